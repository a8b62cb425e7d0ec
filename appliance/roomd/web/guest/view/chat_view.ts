// The chat panel and the caption line. What the room writes is shown as plain text.

import type { ChannelMessage } from "../chat.js";
import type { Speech } from "../language.js";
import { any, button, form, input } from "./elements.js";

/** How many lines are kept. */
const KEPT_LINES = 200;
/** How long a caption stays, in milliseconds. */
const CAPTION_TIME = 6000;

export class ChatView {
  readonly #speech: Speech;
  readonly #panel = any("chat_panel");
  readonly #toggle = button("chat");
  readonly #lines = any("chat_lines");
  readonly #hint = any("chat_hint");
  readonly #field = input("chat_field");
  readonly #send = button("chat_send");
  readonly #caption = any("caption");
  #captionTimer: ReturnType<typeof setTimeout> | undefined;
  #connected = false;

  /** `send` sends a line and says whether it left. `opened` hears that the panel comes up. */
  constructor(speech: Speech, send: (text: string) => boolean, opened: () => void) {
    this.#speech = speech;
    this.#toggle.addEventListener("click", () => {
      if (this.#panel.hidden) {
        opened();
        this.open();
      } else {
        this.close();
      }
    });
    button("chat_close").addEventListener("click", () => {
      this.close();
      this.#toggle.focus();
    });
    form("chat_form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#field.value.trim();
      if (text === "" || !send(text)) return;
      this.#add("chat_you", null, text);
      this.#field.value = "";
    });
    this.setConnected(false);
  }

  open(): void {
    this.#panel.hidden = false;
    this.#toggle.setAttribute("aria-expanded", "true");
    this.#toggle.classList.remove("unread");
    this.#speech.show(any("chat_text"), "chat");
    this.#field.focus();
  }

  close(): void {
    this.#panel.hidden = true;
    this.#toggle.setAttribute("aria-expanded", "false");
  }

  setConnected(connected: boolean): void {
    this.#connected = connected;
    this.#field.disabled = !connected;
    this.#send.disabled = !connected;
    this.#showHint();
  }

  show(message: ChannelMessage): void {
    switch (message.type) {
      case "caption":
        this.#showCaption(message.from === null ? message.text : `${message.from}: ${message.text}`);
        break;
      case "chat":
        this.#add("chat_room", message.from, message.text);
        if (this.#panel.hidden) {
          this.#toggle.classList.add("unread");
          this.#speech.show(any("chat_text"), "chat_unread");
        }
        break;
    }
  }

  /** A new call begins: what was written in the last one is gone. */
  clear(): void {
    this.#lines.replaceChildren();
    this.#caption.hidden = true;
    this.setConnected(false);
    this.close();
  }

  #add(who: "chat_you" | "chat_room", from: string | null, text: string): void {
    const line = document.createElement("p");
    line.className = who;
    const name = document.createElement("b");
    if (from === null) this.#speech.show(name, who);
    else name.textContent = from;
    const words = document.createElement("span");
    words.textContent = text;
    line.append(name, " ", words);
    this.#lines.append(line);
    while (this.#lines.childElementCount > KEPT_LINES) this.#lines.firstElementChild?.remove();
    this.#lines.scrollTop = this.#lines.scrollHeight;
    this.#showHint();
  }

  #showHint(): void {
    if (!this.#connected) this.#speech.show(this.#hint, "chat_closed");
    else if (this.#lines.childElementCount === 0) this.#speech.show(this.#hint, "chat_empty");
    else this.#speech.clear(this.#hint);
  }

  #showCaption(text: string): void {
    this.#caption.textContent = text;
    this.#caption.hidden = false;
    clearTimeout(this.#captionTimer);
    this.#captionTimer = setTimeout(() => {
      this.#caption.hidden = true;
    }, CAPTION_TIME);
  }
}
