// The start screen: name, devices with preview and level, and the button that joins.

import type { Speech } from "../language.js";
import { LevelMeter } from "../level_meter.js";
import type { DeviceChoices, InputKind, LocalMedia } from "../local_media.js";
import type { PageState } from "../page_state.js";
import type { TextKey } from "../texts_en.js";
import { DeviceSelects } from "./device_selects.js";
import type { Chosen, DeviceKind } from "./device_selects.js";
import { any, button, form, input, showTrack, video } from "./elements.js";

export interface StartListener {
  joinPressed(guest_name: string): void;
  deviceChosen(kind: DeviceKind, chosen: Chosen): void;
  tryDevicesAgain(): void;
}

export class StartView {
  readonly #speech: Speech;
  readonly #pictures: boolean;
  readonly #selects: DeviceSelects;
  readonly #name = input("guest_name");
  readonly #nameProblem = any("name_problem");
  readonly #problem = any("start_problem");
  readonly #join = button("join");
  readonly #preview = video("preview");
  readonly #previewOff = any("preview_off");
  readonly #level = any("level");
  readonly #levelBar = any("level_bar");
  #meter: LevelMeter | null = null;
  #metered: MediaStreamTrack | null = null;

  constructor(speech: Speech, pictures: boolean, listener: StartListener) {
    this.#speech = speech;
    this.#pictures = pictures;
    this.#selects = new DeviceSelects("start", speech, pictures, (kind, chosen) => listener.deviceChosen(kind, chosen));
    button("start_try_again").addEventListener("click", () => listener.tryDevicesAgain());
    form("start_form").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#name.value.trim();
      this.#showNameProblem(name === "" ? "name_missing" : null);
      if (name !== "") listener.joinPressed(name);
    });
    this.#name.addEventListener("input", () => this.#showNameProblem(null));
  }

  set guestName(name: string) {
    this.#name.value = name;
  }

  /** Puts the keyboard where a person goes on. */
  focus(): void {
    (this.#name.value === "" ? this.#name : this.#join).focus();
  }

  show(state: Extract<PageState, { name: "start" | "exchanging" }>): void {
    const heading = any("start_heading");
    if (state.name === "start" && state.credential.kind === "session") {
      this.#speech.show(heading, "start_heading_room", { room: state.credential.session.room_name });
    } else {
      this.#speech.show(heading, "start_heading");
    }
    const problem = state.name === "start" ? state.problem : null;
    if (problem === "invalid_name") this.#showNameProblem("invalid_name");
    if (problem === null || problem === "invalid_name") this.#speech.clear(this.#problem);
    else this.#speech.show(this.#problem, problem);
    const joining = state.name === "exchanging";
    this.#join.disabled = joining;
    this.#speech.show(this.#join, joining ? "joining" : "join");
  }

  showMedia(media: LocalMedia, choices: DeviceChoices, used: Record<DeviceKind, string | null | "none">): void {
    this.#selects.show(choices, used);
    const camera = media.track("camera");
    const microphone = media.track("microphone");
    showTrack(this.#preview, camera);
    this.#previewOff.hidden = camera !== null;
    this.#showLevel(microphone);
    const kinds: InputKind[] = ["camera", "microphone"];
    for (const kind of kinds) {
      const line = any(`start_${kind}_problem`);
      const problem = media.problem(kind);
      line.hidden = problem === null;
      if (problem === null) this.#speech.clear(line);
      else this.#speech.show(line, `${kind}_${problem}`);
    }
    any("start_device_problem").hidden = kinds.every((kind) => media.problem(kind) === null);
    const without = any("start_without");
    if (!this.#pictures) this.#speech.show(without, "sound_only");
    else if (camera === null && microphone === null) this.#speech.show(without, "without_camera_and_microphone");
    else this.#speech.clear(without);
  }

  /** Another screen is shown: nothing is measured for this one any more. */
  hide(): void {
    this.#showLevel(null);
    showTrack(this.#preview, null);
  }

  #showNameProblem(problem: TextKey | null): void {
    this.#name.setAttribute("aria-invalid", String(problem !== null));
    if (problem === null) {
      this.#speech.clear(this.#nameProblem);
    } else {
      this.#speech.show(this.#nameProblem, problem);
      this.#name.focus();
    }
  }

  #showLevel(microphone: MediaStreamTrack | null): void {
    if (microphone === this.#metered) return;
    this.#meter?.close();
    this.#meter = null;
    this.#metered = microphone;
    this.#level.hidden = microphone === null;
    if (microphone === null) return;
    this.#meter = new LevelMeter(microphone, (level) => {
      this.#levelBar.style.setProperty("--level", level.toFixed(3));
      this.#level.setAttribute("aria-valuenow", String(Math.round(level * 100)));
    });
  }
}
