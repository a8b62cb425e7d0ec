// The three lists of devices, on the start screen and in the call alike.

import type { Speech } from "../language.js";
import type { DeviceChoice, DeviceChoices, InputKind } from "../local_media.js";
import type { TextKey } from "../texts_en.js";
import { select } from "./elements.js";

/** The value of "no camera" and "no microphone". */
const NONE = "none";

export type DeviceKind = InputKind | "speaker";

const UNNAMED: Record<DeviceKind, TextKey> = {
  camera: "unnamed_camera",
  microphone: "unnamed_microphone",
  speaker: "unnamed_speaker",
};

/** What is chosen: a device, the browser's default (null), or none. */
export type Chosen = { kind: "device"; id: string | null } | { kind: "none" };

export class DeviceSelects {
  readonly #speech: Speech;
  readonly #selects: Record<DeviceKind, HTMLSelectElement>;

  /** The lists whose ids begin with `prefix`. `chosen` hears what a person chooses. */
  constructor(prefix: string, speech: Speech, pictures: boolean, chosen: (kind: DeviceKind, chosen: Chosen) => void) {
    this.#speech = speech;
    this.#selects = {
      camera: select(`${prefix}_camera`),
      microphone: select(`${prefix}_microphone`),
      speaker: select(`${prefix}_speaker`),
    };
    for (const kind of ["camera", "microphone", "speaker"] as const) {
      const list = this.#selects[kind];
      list.addEventListener("change", () => {
        const { value } = list;
        chosen(kind, value === NONE ? { kind: "none" } : { kind: "device", id: value === "" ? null : value });
      });
    }
    this.#showField("camera", pictures);
    // Chromium and Firefox can send sound elsewhere; in others the system decides.
    this.#showField("speaker", "setSinkId" in HTMLMediaElement.prototype);
  }

  /** Shows the devices that there are, and which one of each kind is in use; "none" for none. */
  show(choices: DeviceChoices, used: Record<DeviceKind, string | null | "none">): void {
    for (const kind of ["camera", "microphone", "speaker"] as const) {
      const list = this.#selects[kind];
      const options = choices[kind].map((choice, index) => this.#option(kind, choice, index));
      if (choices[kind].length === 0 || kind === "speaker") {
        // Where the first of them is the system's own "default", that is it.
        if (choices[kind][0]?.id !== "default") {
          options.unshift(new Option(this.#speech.text("default_device"), ""));
        }
      }
      if (kind !== "speaker") {
        options.push(new Option(this.#speech.text(kind === "camera" ? "no_camera" : "no_microphone"), NONE));
      }
      list.replaceChildren(...options);
      const value = used[kind] ?? "";
      list.value = value;
      if (list.selectedIndex < 0) list.selectedIndex = 0;
    }
  }

  #showField(kind: DeviceKind, shown: boolean): void {
    const field = this.#selects[kind].closest<HTMLElement>(".field");
    if (field !== null) field.hidden = !shown;
  }

  #option(kind: DeviceKind, choice: DeviceChoice, index: number): HTMLOptionElement {
    const label =
      choice.label === "" ? this.#speech.text(UNNAMED[kind], { number: String(index + 1) }) : choice.label;
    return new Option(label, choice.id);
  }
}
