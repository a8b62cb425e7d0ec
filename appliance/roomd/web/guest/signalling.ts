// The WebSocket to the room. One that breaks is made anew by itself, with growing waits, until the
// owner closes it; the call itself does not hang on it.

import { Backoff } from "./backoff.js";
import { parseMessage } from "./signalling_messages.js";
import type { MessageFromRoom, MessageToRoom } from "./signalling_messages.js";

/** How long a connection may take to open, in milliseconds. */
const OPENING_TIME = 10_000;

export interface SignallingListener {
  /** The connection is there, for the first time or again. */
  opened(): void;
  /** The connection is gone; the next attempt follows by itself. */
  lost(): void;
  received(message: MessageFromRoom): void;
}

export class Signalling {
  readonly #address: string;
  readonly #listener: SignallingListener;
  readonly #backoff = new Backoff();
  #socket: WebSocket | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #tryNow = (): void => this.#connectIfWaiting();

  constructor(address: string, listener: SignallingListener) {
    this.#address = address;
    this.#listener = listener;
    addEventListener("online", this.#tryNow);
    this.#connect();
  }

  /** Whether a message would leave now. */
  get open(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Sends the message, or drops it where there is no connection: what counts is offered anew then. */
  send(message: MessageToRoom): void {
    if (this.open) this.#socket?.send(JSON.stringify(message));
  }

  /** Makes the connection anew at once: the one that stands leads nowhere, although nobody has closed it. */
  reopen(): void {
    const socket = this.#socket;
    if (this.#closed || socket === null) return;
    this.#socket = null;
    socket.close();
    this.#listener.lost();
    this.#connect();
  }

  /** Ends the connection for good. What was sent still arrives. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    removeEventListener("online", this.#tryNow);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  #connect(): void {
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    const openingTimer = setTimeout(() => socket.close(), OPENING_TIME);
    socket.addEventListener("open", () => {
      clearTimeout(openingTimer);
      if (this.#socket !== socket) return;
      this.#backoff.reset();
      this.#listener.opened();
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.#socket !== socket || typeof data !== "string") return;
      const message = parseMessage(data);
      if (message !== null) this.#listener.received(message);
    });
    socket.addEventListener("close", () => {
      clearTimeout(openingTimer);
      if (this.#socket !== socket || this.#closed) return;
      this.#socket = null;
      this.#listener.lost();
      this.#retry = setTimeout(() => this.#connect(), this.#backoff.next());
    });
  }

  /** The network has come back: there is nothing to wait for. */
  #connectIfWaiting(): void {
    if (this.#closed || this.#socket !== null) return;
    clearTimeout(this.#retry);
    this.#connect();
  }
}
