// How loud the microphone is: what the bar beside the preview shows.

/** Below this, in decibels of full scale, the bar is empty. */
const SILENCE_DB = -60;

/** The level of a piece of sound, from 0 (silence) to 1 (full scale), as ears order it. */
export function levelOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  if (samples.length === 0 || sum === 0) return 0;
  const decibels = 10 * Math.log10(sum / samples.length);
  return Math.min(1, Math.max(0, 1 - decibels / SILENCE_DB));
}

export class LevelMeter {
  readonly #context = new AudioContext();
  readonly #source: MediaStreamAudioSourceNode;
  readonly #analyser: AnalyserNode;
  readonly #samples: Float32Array<ArrayBuffer>;
  #frame = 0;

  /** Calls `show` with the level of `track` for each frame that the screen draws. */
  constructor(track: MediaStreamTrack, show: (level: number) => void) {
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
    // Without a gesture of the person the context may be suspended: any gesture wakes it.
    void this.#context.resume().catch(() => undefined);
    addEventListener("pointerdown", this.#wake);
    addEventListener("keydown", this.#wake);
    const measure = (): void => {
      this.#analyser.getFloatTimeDomainData(this.#samples);
      show(levelOf(this.#samples));
      this.#frame = requestAnimationFrame(measure);
    };
    measure();
  }

  readonly #wake = (): void => void this.#context.resume().catch(() => undefined);

  close(): void {
    cancelAnimationFrame(this.#frame);
    removeEventListener("pointerdown", this.#wake);
    removeEventListener("keydown", this.#wake);
    this.#source.disconnect();
    void this.#context.close();
  }
}
