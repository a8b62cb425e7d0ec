// The guest's own camera, microphone and screen: the tracks that are open, and why one is not.
//
// A camera that is off is closed, so that its light goes out. A muted microphone stays open, to be
// back at once; nothing of it is sent.

/** Why a device could not be opened. */
export type DeviceProblem = "permission_denied" | "not_found" | "in_use" | "failed";

export type InputKind = "camera" | "microphone";

export interface DeviceChoice {
  id: string;
  /** The device's name; empty until the browser has been allowed to tell it. */
  label: string;
}

export interface DeviceChoices {
  camera: DeviceChoice[];
  microphone: DeviceChoice[];
  speaker: DeviceChoice[];
}

/** What an exception of getUserMedia or getDisplayMedia means to a person. */
export function deviceProblem(error: unknown): DeviceProblem {
  // Not every browser's exceptions are Errors.
  const name = typeof error === "object" && error !== null && "name" in error ? error.name : null;
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "permission_denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "not_found";
    case "NotReadableError":
    case "AbortError":
      return "in_use";
    default:
      return "failed";
  }
}

/** The devices that there are. */
export async function deviceChoices(): Promise<DeviceChoices> {
  // A browser that keeps its devices to itself still opens its default ones.
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  const of = (kind: MediaDeviceKind): DeviceChoice[] =>
    devices
      .filter((device) => device.kind === kind && device.deviceId !== "")
      .map(({ deviceId, label }) => ({ id: deviceId, label }));
  return { camera: of("videoinput"), microphone: of("audioinput"), speaker: of("audiooutput") };
}

function constraintsOf(kind: InputKind, device: string | null): MediaTrackConstraints {
  const wanted: MediaTrackConstraints =
    kind === "camera"
      ? { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } }
      : { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  if (device !== null) wanted.deviceId = { exact: device };
  return wanted;
}

async function openTrack(kind: InputKind, device: string | null): Promise<MediaStreamTrack> {
  const constraints = constraintsOf(kind, device);
  const stream = await navigator.mediaDevices.getUserMedia(
    kind === "camera" ? { video: constraints } : { audio: constraints },
  );
  const track = stream.getTracks()[0];
  if (track === undefined) throw new Error("a stream without a track");
  return track;
}

export class LocalMedia {
  #tracks: Record<InputKind, MediaStreamTrack | null> = { camera: null, microphone: null };
  #problems: Record<InputKind, DeviceProblem | null> = { camera: null, microphone: null };
  #wanted: Record<InputKind, string | null> = { camera: null, microphone: null };
  /** Counts the openings of a kind: only the last one of several at a time counts. */
  #openings: Record<InputKind, number> = { camera: 0, microphone: 0 };
  #screen: MediaStreamTrack | null = null;
  #muted = false;
  readonly #changed: () => void;

  /** `changed` is called after every change of what the getters say. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  track(kind: InputKind): MediaStreamTrack | null {
    return this.#tracks[kind];
  }

  problem(kind: InputKind): DeviceProblem | null {
    return this.#problems[kind];
  }

  get screen(): MediaStreamTrack | null {
    return this.#screen;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** The device of the open track, or else the one that is wanted. */
  device(kind: InputKind): string | null {
    return this.#tracks[kind]?.getSettings().deviceId ?? this.#wanted[kind];
  }

  /** Opens camera and microphone with a single question to the person, or what there is of them. */
  async openBoth(camera: string | null, microphone: string | null): Promise<void> {
    this.#wanted = { camera, microphone };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: constraintsOf("microphone", microphone),
        video: constraintsOf("camera", camera),
      });
      for (const track of stream.getTracks()) this.#adopt(track.kind === "video" ? "camera" : "microphone", track);
      this.#changed();
    } catch {
      // One of the two is missing or taken: the other is opened alone.
      await this.open("microphone", microphone);
      await this.open("camera", camera);
    }
  }

  /** Opens a device in the place of the open one of its kind. Whether that went well. */
  async open(kind: InputKind, device: string | null): Promise<boolean> {
    this.#wanted[kind] = device;
    this.#openings[kind] += 1;
    const opening = this.#openings[kind];
    try {
      const track = await this.#openOrInstead(kind, device);
      if (opening !== this.#openings[kind]) {
        track.stop();
        return true;
      }
      this.#adopt(kind, track);
      return true;
    } catch (error) {
      if (opening === this.#openings[kind]) this.#problems[kind] = deviceProblem(error);
      return false;
    } finally {
      this.#changed();
    }
  }

  async #openOrInstead(kind: InputKind, device: string | null): Promise<MediaStreamTrack> {
    try {
      return await openTrack(kind, device);
    } catch (error) {
      switch (deviceProblem(error)) {
        case "not_found":
          // The remembered device is not plugged in today: any other is better than none.
          if (device === null) throw error;
          return openTrack(kind, null);
        case "in_use":
          // Telephones open one camera at a time.
          if (this.#tracks[kind] === null) throw error;
          this.#drop(kind);
          return openTrack(kind, device);
        case "permission_denied":
        case "failed":
          throw error;
      }
    }
  }

  /** Closes the device of that kind; it has no problem then. */
  close(kind: InputKind): void {
    this.#openings[kind] += 1;
    this.#drop(kind);
    this.#problems[kind] = null;
    this.#changed();
  }

  setMuted(muted: boolean): void {
    this.#muted = muted;
    const { microphone } = this.#tracks;
    if (microphone !== null) microphone.enabled = !muted;
    this.#changed();
  }

  /** Asks the person for a screen, window or tab. A person who changes their mind is no problem. */
  async openScreen(): Promise<DeviceProblem | null> {
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({
        video: { frameRate: { ideal: 15, max: 30 } },
        audio: false,
      });
    } catch (error) {
      const problem = deviceProblem(error);
      return problem === "permission_denied" ? null : problem;
    }
    const track = stream.getVideoTracks()[0];
    if (track === undefined) return "failed";
    this.closeScreen();
    // Sharp letters matter more than smooth motion.
    track.contentHint = "detail";
    track.addEventListener("ended", () => {
      if (this.#screen === track) this.closeScreen();
    });
    this.#screen = track;
    this.#changed();
    return null;
  }

  closeScreen(): void {
    if (this.#screen === null) return;
    this.#screen.stop();
    this.#screen = null;
    this.#changed();
  }

  closeAll(): void {
    this.closeScreen();
    this.close("camera");
    this.close("microphone");
  }

  #adopt(kind: InputKind, track: MediaStreamTrack): void {
    this.#drop(kind);
    this.#tracks[kind] = track;
    this.#problems[kind] = null;
    if (kind === "microphone") track.enabled = !this.#muted;
    else track.contentHint = "motion";
    track.addEventListener("ended", () => {
      if (this.#tracks[kind] !== track) return;
      // Unplugged, or taken by the system: another one steps in where there is one.
      this.#tracks[kind] = null;
      void this.open(kind, null);
    });
  }

  #drop(kind: InputKind): void {
    this.#tracks[kind]?.stop();
    this.#tracks[kind] = null;
  }
}
