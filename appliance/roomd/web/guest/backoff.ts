// How long to wait before the next attempt: longer each time, and never the same for all guests of a
// room that comes back.

/** The first wait, in milliseconds. */
const FIRST = 500;
/** The longest wait, in milliseconds. */
const LONGEST = 15_000;

export class Backoff {
  #attempts = 0;
  readonly #random: () => number;

  /** `random` gives numbers from 0 up to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The wait before the next attempt, in milliseconds: between half and all of its step. */
  next(): number {
    const longest = Math.min(FIRST * 2 ** this.#attempts, LONGEST);
    this.#attempts += 1;
    return longest * (0.5 + this.#random() / 2);
  }

  /** An attempt went well: the next trouble starts from the beginning. */
  reset(): void {
    this.#attempts = 0;
  }
}
