// When the next offer may leave. The room takes ten offers a minute and ends a connection that sends
// more; somebody who switches the camera to and fro must not come near that.

const WINDOW_MS = 60_000;
const OFFERS_IN_WINDOW = 8;

export class OfferPace {
  /** When the last offers left, oldest first, in milliseconds. */
  #sent: number[] = [];

  /** How long the next offer has to wait, in milliseconds; 0 for one that may leave now. */
  wait(now: number): number {
    this.#sent = this.#sent.filter((time) => now - time < WINDOW_MS);
    const oldest = this.#sent[0];
    if (oldest === undefined || this.#sent.length < OFFERS_IN_WINDOW) return 0;
    return oldest + WINDOW_MS - now;
  }

  /** An offer has left. */
  sent(now: number): void {
    this.#sent.push(now);
  }
}
