// Whether the room shows slides just now. Their line is open all the time, so only their pictures
// tell.

/** How long slides stay without a new picture while the camera's picture goes on, in milliseconds. */
const PATIENCE = 5000;

export class SlidesPresence {
  #frames = 0;
  #camera_frames = 0;
  /** How long no picture of the slides has come while others came, in milliseconds. */
  #missing = 0;
  #time: number | null = null;
  #shown = false;

  get shown(): boolean {
    return this.#shown;
  }

  /** Takes the numbers of decoded pictures at a moment. A picture that stands still because nothing at
   * all arrives is not the end of the slides. */
  observe(slides_frames: number, camera_frames: number, time: number): boolean {
    const passed = this.#time === null ? 0 : time - this.#time;
    if (slides_frames > this.#frames) {
      this.#shown = true;
      this.#missing = 0;
    } else if (camera_frames > this.#camera_frames) {
      this.#missing += passed;
      if (this.#missing >= PATIENCE) this.#shown = false;
    }
    this.#frames = slides_frames;
    this.#camera_frames = camera_frames;
    this.#time = time;
    return this.#shown;
  }

  /** The line has said that no more slides come. */
  ended(): void {
    this.#shown = false;
    this.#missing = 0;
  }
}
