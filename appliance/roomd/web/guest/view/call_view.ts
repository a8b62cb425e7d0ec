// The call: the room large, slides larger, the guest's own picture, and the controls.

import type { MediaState } from "../call.js";
import type { Speech } from "../language.js";
import type { DeviceChoices, LocalMedia } from "../local_media.js";
import type { PageState } from "../page_state.js";
import type { Quality } from "../quality.js";
import type { TextKey } from "../texts_en.js";
import { DeviceSelects } from "./device_selects.js";
import type { Chosen, DeviceKind } from "./device_selects.js";
import { any, button, showTrack, video } from "./elements.js";

export interface CallViewListener {
  mutePressed(): void;
  cameraPressed(): void;
  sharePressed(): void;
  leavePressed(): void;
  deviceChosen(kind: DeviceKind, chosen: Chosen): void;
  /** The devices' panel comes up. */
  devicesOpened(): void;
}

/** The keys of the controls. */
const SHORTCUTS: Record<string, string> = { m: "mute", c: "camera", s: "share" };

export class CallView {
  readonly #speech: Speech;
  readonly #selects: DeviceSelects;
  readonly #screen = any("call");
  readonly #stage = any("stage");
  readonly #farEnd = video("far_end");
  readonly #slides = video("far_slides");
  readonly #own = video("own");
  readonly #noPicture = any("no_picture");
  readonly #notice = any("call_notice");
  readonly #problem = any("call_problem");
  readonly #hear = button("hear_room");
  readonly #quality = any("quality");
  readonly #panel = any("devices_panel");
  readonly #toggle = button("devices");
  #connectionProblem: TextKey | null = null;
  #deviceProblem: TextKey | null = null;

  constructor(speech: Speech, pictures: boolean, listener: CallViewListener) {
    this.#speech = speech;
    this.#selects = new DeviceSelects("call", speech, pictures, (kind, chosen) => listener.deviceChosen(kind, chosen));
    button("mute").addEventListener("click", () => listener.mutePressed());
    button("camera").addEventListener("click", () => listener.cameraPressed());
    const share = button("share");
    share.addEventListener("click", () => listener.sharePressed());
    // Telephones share no screens. What is not secure has no devices at all.
    const shares = navigator.mediaDevices !== undefined && "getDisplayMedia" in navigator.mediaDevices;
    share.hidden = !pictures || !shares;
    button("camera").hidden = !pictures;
    if (!pictures) speech.show(this.#noPicture, "sound_only_call");
    button("leave").addEventListener("click", () => listener.leavePressed());
    this.#toggle.addEventListener("click", () => {
      if (this.#panel.hidden) {
        listener.devicesOpened();
        this.#panel.hidden = false;
        this.#toggle.setAttribute("aria-expanded", "true");
      } else {
        this.closeDevices();
      }
    });
    button("devices_close").addEventListener("click", () => {
      this.closeDevices();
      this.#toggle.focus();
    });
    this.#hear.addEventListener("click", () => void this.#play());
    this.#farEnd.addEventListener("loadeddata", () => {
      // Sound alone is data too.
      this.#noPicture.hidden = pictures;
    });
    document.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  closeDevices(): void {
    this.#panel.hidden = true;
    this.#toggle.setAttribute("aria-expanded", "false");
  }

  show(state: Extract<PageState, { name: "in_call" }>, media: MediaState, blocked: boolean): void {
    this.#speech.show(any("call_heading"), "call_heading", { room: state.session.room_name });
    if (state.held) this.#speech.show(this.#notice, "held");
    else this.#speech.clear(this.#notice);
    this.#connectionProblem = connectionProblem(state, media, blocked);
    this.#showProblem();
  }

  /** Shows what a new connection brings. */
  showFarEnd(farEnd: MediaStream, slides: MediaStream): void {
    this.#noPicture.hidden = false;
    this.#farEnd.srcObject = farEnd;
    this.#slides.srcObject = slides;
    void this.#play();
  }

  showSlides(shown: boolean): void {
    this.#slides.hidden = !shown;
    this.#stage.classList.toggle("with_slides", shown);
  }

  showMedia(media: LocalMedia, choices: DeviceChoices, used: Record<DeviceKind, string | null | "none">): void {
    this.#selects.show(choices, used);
    const camera = media.track("camera");
    showTrack(this.#own, camera);
    this.#own.hidden = camera === null;
    const silent = media.muted || media.track("microphone") === null;
    this.#press("mute", silent, silent ? "unmute" : "mute");
    this.#press("camera", camera === null, camera === null ? "camera_start" : "camera_stop");
    const sharing = media.screen !== null;
    button("share").classList.toggle("on", sharing);
    this.#speech.show(any("share_text"), sharing ? "share_stop" : "share");
  }

  /** What was wrong with the device that was wanted last; null once one works. */
  showDeviceProblem(problem: TextKey | null): void {
    this.#deviceProblem = problem;
    this.#showProblem();
  }

  showQuality(quality: Quality | null): void {
    this.#quality.hidden = false;
    this.#quality.className = `quality ${quality?.level ?? "unknown"}`;
    const text = any("quality_text");
    this.#speech.show(text, quality === null ? "quality_unknown" : `quality_${quality.level}`);
    if (quality === null || quality.reason === null) {
      delete this.#quality.dataset.title;
      this.#quality.title = "";
    } else {
      this.#quality.dataset.title = quality.reason;
      this.#quality.title = this.#speech.text(quality.reason);
    }
  }

  /** Sends sound to that speaker; whether the browser could. */
  async useSpeaker(id: string): Promise<boolean> {
    if (!("setSinkId" in this.#farEnd)) return id === "";
    try {
      await this.#farEnd.setSinkId(id);
      return true;
    } catch {
      return false;
    }
  }

  /** Another screen is shown. */
  hide(): void {
    this.#farEnd.srcObject = null;
    this.#slides.srcObject = null;
    this.showSlides(false);
    showTrack(this.#own, null);
    this.#quality.hidden = true;
    this.#hear.hidden = true;
    this.#deviceProblem = null;
    this.closeDevices();
  }

  /** Browsers play sound by themselves only where a person has touched the page, or it captures. */
  async #play(): Promise<void> {
    void this.#slides.play().catch(() => undefined);
    try {
      await this.#farEnd.play();
      this.#hear.hidden = true;
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.#hear.hidden = false;
    }
  }

  #showProblem(): void {
    const problem = this.#connectionProblem ?? this.#deviceProblem;
    if (problem === null) this.#speech.clear(this.#problem);
    else this.#speech.show(this.#problem, problem);
  }

  #press(id: "mute" | "camera", off: boolean, text: TextKey): void {
    button(id).classList.toggle("off", off);
    this.#speech.show(any(`${id}_text`), text);
  }

  #keyPressed(event: KeyboardEvent): void {
    if (this.#screen.hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    // Somebody who writes or chooses means the letter.
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return;
    const id = SHORTCUTS[event.key.toLowerCase()];
    if (id === undefined) return;
    const pressed = button(id);
    if (pressed.hidden) return;
    event.preventDefault();
    pressed.click();
  }
}

/** What is wrong with the connection just now. */
function connectionProblem(
  state: Extract<PageState, { name: "in_call" }>,
  media: MediaState,
  blocked: boolean,
): TextKey | null {
  if (blocked) return "media_blocked";
  if (media === "disturbed") return "media_disturbed";
  return state.signalling === "reconnecting" ? "signalling_lost" : null;
}
