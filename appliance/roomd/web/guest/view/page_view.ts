// Which screen is shown, and what a screen reader hears when that changes.

import type { Speech } from "../language.js";
import { mayJoinAgain } from "../page_state.js";
import type { PageState } from "../page_state.js";
import type { TextKey } from "../texts_en.js";
import { any, button } from "./elements.js";

type Screen = "opening" | "start" | "waiting" | "call" | "ended" | "refused";

const SCREENS: readonly Screen[] = ["opening", "start", "waiting", "call", "ended", "refused"];

export class PageView {
  readonly #speech: Speech;
  #screen: Screen | null = null;

  constructor(speech: Speech, againPressed: () => void, cancelPressed: () => void) {
    this.#speech = speech;
    button("again").addEventListener("click", againPressed);
    button("waiting_cancel").addEventListener("click", cancelPressed);
    const skip = document.querySelector(".skip");
    // The address bar holds the token until it is exchanged: this link must not take its place.
    skip?.addEventListener("click", (event) => {
      event.preventDefault();
      any("content").focus();
    });
  }

  /** Shows the screen of the state; whether another one was shown before. */
  show(state: PageState): boolean {
    const screen = screenOf(state);
    const changed = screen !== this.#screen;
    this.#screen = screen;
    for (const each of SCREENS) any(each).hidden = each !== screen;
    // The scripts have come after all, late.
    any("not_loaded").hidden = true;
    document.documentElement.dataset.screen = screen;
    // What had the keyboard may be hidden now. The start screen says itself where to go on.
    if (changed && screen !== "start") any("content").focus({ preventScroll: true });
    this.#showRoomName(state);
    switch (state.name) {
      case "waiting":
      case "connecting":
        this.#showWaiting(state);
        break;
      case "ended":
        this.#showEnd(state);
        break;
      case "refused":
        this.#speech.show(any("refused_text"), state.reason);
        if (changed) this.announce(state.reason);
        break;
      case "in_call":
        if (changed) this.announce("now_in_call");
        break;
      case "opening":
      case "start":
      case "exchanging":
        break;
    }
    return changed;
  }

  /** Lets screen readers say something that the screen shows elsewhere or otherwise. */
  announce(key: TextKey): void {
    this.#speech.show(any("announcement"), key);
  }

  #showRoomName(state: PageState): void {
    const name = any("room_name");
    const session =
      state.name === "start" && state.credential.kind === "session"
        ? state.credential.session
        : "session" in state
          ? state.session
          : null;
    if (session === null) {
      this.#speech.show(name, "banner_title");
      document.title = this.#speech.text("title");
    } else {
      this.#speech.clear(name);
      name.textContent = session.room_name;
      document.title = this.#speech.text("title_in_room", { room: session.room_name });
    }
  }

  #showWaiting(state: Extract<PageState, { name: "waiting" | "connecting" }>): void {
    const text = any("waiting_text");
    const key =
      state.signalling === "reconnecting"
        ? "signalling_lost"
        : state.name === "waiting"
          ? "waiting_explanation"
          : "connecting";
    this.#speech.show(text, key);
    this.announce(key);
  }

  #showEnd(state: Extract<PageState, { name: "ended" }>): void {
    this.#speech.show(any("ended_heading"), state.ending === "left" ? "ended_heading" : "ended_heading_by_room");
    this.#speech.show(any("ended_text"), state.ending);
    this.announce(state.ending);
    button("again").hidden = !mayJoinAgain(state);
  }
}

function screenOf(state: PageState): Screen {
  switch (state.name) {
    case "exchanging":
      return "start";
    case "connecting":
      return "waiting";
    case "in_call":
      return "call";
    case "opening":
    case "start":
    case "waiting":
    case "ended":
    case "refused":
      return state.name;
  }
}
