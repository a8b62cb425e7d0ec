// The call with the room: one RTCPeerConnection. The page offers always, the room answers.
//
// The lines of the session description keep their order: audio, camera, slides, data channel. What is
// sent on a line changes its direction, and a new offer tells the room so.

import { CHANNEL_LABEL, readChannelMessage, writeChatLine } from "./chat.js";
import type { ChannelMessage } from "./chat.js";
import type { LocalMedia } from "./local_media.js";
import { OfferPace } from "./offer_pace.js";
import { SCREEN, cameraEncodings, fitSizes, pictureLine, sendsTwoSizes } from "./picture_lines.js";
import { readCounters } from "./quality.js";
import type { Counters } from "./quality.js";
import { START_BITRATE_KBPS, withSoundNack, withStartBitrate } from "./session_description.js";
import type { MessageToRoom } from "./signalling_messages.js";

/** How long a connection may be disturbed before the way is looked for anew, in milliseconds. */
const DISTURBED = 3000;
/** How long the room may take to answer an offer for a new way, in milliseconds. */
const ANSWER_TIME = 4000;
/** How long a new way may take before all is set up anew, in milliseconds. */
const RESTART_TIME = 15_000;

export type MediaState = "connecting" | "connected" | "disturbed";

export interface CallListener {
  send(message: MessageToRoom): void;
  /** Whether the room can be reached, by signalling, at this moment. */
  reachable(): boolean;
  mediaChanged(state: MediaState): void;
  received(message: ChannelMessage): void;
  /** Whether chat lines would leave now. */
  chatChanged(open: boolean): void;
  /** The room will show no more slides on the line as it is. */
  slidesEnded(): void;
  /** The room does not answer: signalling leads nowhere. */
  unanswered(): void;
  /** The connection cannot be mended: it takes a new call. */
  broken(): void;
}

export class Call {
  readonly #connection: RTCPeerConnection;
  readonly #media: LocalMedia;
  readonly #listener: CallListener;
  readonly #pace: OfferPace;
  readonly #audio: RTCRtpTransceiver;
  /** Both null in a browser without H.264: then neither line is offered. */
  readonly #camera: RTCRtpTransceiver | null;
  readonly #slides: RTCRtpTransceiver | null;
  readonly #channel: RTCDataChannel;
  /** Whether an offer is being made or waits for its turn. */
  #offering = false;
  /** When the browser has taken in the last offer. */
  #described: Promise<void> = Promise.resolve();
  /** What changed while an offer was out; null where nothing did. */
  #pending: { ice_restart: boolean } | null = null;
  #state: MediaState = "connecting";
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Runs while a guest who was in the meeting waits for an answer. */
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #taken: Promise<unknown> = Promise.resolve();
  /** The far end: sound and camera; and its slides. */
  readonly far_end: MediaStream;
  readonly far_slides: MediaStream;

  /** `pictures`: whether the browser takes the room's, and has some that the room takes. */
  constructor(
    iceServers: RTCIceServer[],
    pictures: boolean,
    media: LocalMedia,
    pace: OfferPace,
    listener: CallListener,
  ) {
    this.#media = media;
    this.#listener = listener;
    this.#pace = pace;
    const connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#connection = connection;
    this.#audio = connection.addTransceiver("audio", { direction: "recvonly" });
    this.#camera = pictures ? pictureLine(connection, cameraEncodings(sendsTwoSizes())) : null;
    this.#slides = pictures ? pictureLine(connection, SCREEN) : null;
    this.#channel = connection.createDataChannel(CHANNEL_LABEL);
    this.far_end = new MediaStream([this.#audio.receiver.track]);
    this.far_slides = new MediaStream();
    if (this.#camera !== null) this.far_end.addTrack(this.#camera.receiver.track);
    if (this.#slides !== null) this.far_slides.addTrack(this.#slides.receiver.track);
    this.#listen();
    void this.#takeTracks().then(() => this.#offer(false));
  }

  /** Sends what `LocalMedia` has open now; a line whose use changes is offered anew. */
  async takeMedia(): Promise<void> {
    if (this.#closed) return;
    if (await this.#takeTracks()) await this.#offer(false);
  }

  /** Signalling is there again: the room gets an offer, the open one where one is out. */
  async signallingOpened(): Promise<void> {
    if (this.#closed) return;
    const description = this.#connection.localDescription;
    if (this.#connection.signalingState === "have-local-offer" && description !== null) {
      this.#send(description.sdp);
      return;
    }
    await this.#offer(this.#state !== "connected");
  }

  /** The room's answer to the last offer. */
  async takeAnswer(sdp: string): Promise<void> {
    await this.#described.catch(() => undefined);
    if (this.#closed || this.#connection.signalingState !== "have-local-offer") return;
    clearTimeout(this.#answerTimer);
    try {
      await this.#connection.setRemoteDescription({
        type: "answer",
        sdp: withStartBitrate(sdp, START_BITRATE_KBPS),
      });
    } catch {
      // The room was started anew, say, and knows nothing of what was agreed before.
      this.#broken();
      return;
    }
    this.#bound(this.#camera, "balanced");
    this.#bound(this.#slides, "maintain-resolution");
    const currentDirection = this.#slides?.currentDirection;
    if (currentDirection !== "recvonly" && currentDirection !== "sendrecv") this.#listener.slidesEnded();
    if (this.#pending !== null) {
      const { ice_restart } = this.#pending;
      this.#pending = null;
      await this.#offer(ice_restart);
    }
  }

  /** Another way to the room. */
  async takeCandidate(candidate: string, sdpMid: string): Promise<void> {
    // As an answer does, which it is not to overtake.
    await this.#described.catch(() => undefined);
    if (this.#closed) return;
    try {
      await this.#connection.addIceCandidate({ candidate, sdpMid });
    } catch {
      // Of an answer that this page has not taken: the next one has it again.
    }
  }

  sendChatLine(text: string): boolean {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(writeChatLine(text));
    return true;
  }

  async counters(): Promise<Counters> {
    const report = await this.#connection.getStats();
    const mids = { camera: this.#camera?.mid ?? null, slides: this.#slides?.mid ?? null };
    return readCounters(report.values() as Iterable<Record<string, unknown>>, mids, performance.now());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#answerTimer);
    removeEventListener("online", this.#networkChanged);
    this.#connection.close();
  }

  #listen(): void {
    const connection = this.#connection;
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate === null) {
        this.#listener.send({ type: "candidate", candidate: "", mid: "0" });
      } else if (candidate.candidate !== "") {
        this.#listener.send({ type: "candidate", candidate: candidate.candidate, mid: candidate.sdpMid ?? "0" });
      }
    });
    connection.addEventListener("connectionstatechange", () => this.#connectionChanged());
    for (const type of ["open", "close"]) {
      this.#channel.addEventListener(type, () => {
        if (!this.#closed) this.#listener.chatChanged(this.#channel.readyState === "open");
      });
    }
    this.#channel.addEventListener("message", ({ data }) => {
      const message = readChannelMessage(data);
      if (message !== null && !this.#closed) this.#listener.received(message);
    });
    this.#slides?.receiver.track.addEventListener("mute", () => this.#listener.slidesEnded());
    addEventListener("online", this.#networkChanged);
  }

  readonly #networkChanged = (): void => {
    if (this.#state !== "connecting") void this.#offer(true);
  };

  #connectionChanged(): void {
    if (this.#closed) return;
    switch (this.#connection.connectionState) {
      case "connected":
        clearTimeout(this.#timer);
        this.#setState("connected");
        break;
      case "disconnected":
        this.#setState("disturbed");
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#restart(), DISTURBED);
        break;
      case "failed":
        this.#setState("disturbed");
        this.#restart();
        break;
      case "new":
      case "connecting":
      case "closed":
        break;
    }
  }

  /** Looks for a new way to the room; if that leads nowhere, the call is set up anew. */
  #restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Without signalling a new call would get no further either: the offer follows when it is back.
      if (this.#listener.reachable()) this.#broken();
      else this.#restart();
    }, RESTART_TIME);
    void this.#offer(true);
  }

  #broken(): void {
    if (!this.#closed) this.#listener.broken();
  }

  #setState(state: MediaState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#listener.mediaChanged(state);
  }

  /**
   * Puts what is to be sent on its lines; whether a line's direction changed by that. One after the other: the last
   * change is the one that stays.
   */
  #takeTracks(): Promise<boolean> {
    const taken = this.#taken.then(() => this.#takeTracksNow());
    this.#taken = taken.catch(() => false);
    return taken;
  }

  async #takeTracksNow(): Promise<boolean> {
    const microphone = this.#media.track("microphone");
    const camera = this.#media.track("camera");
    const { screen, muted } = this.#media;
    // Each line, what is open for it and what of that is sent. A muted microphone keeps its line, to be back without
    // an offer; but no packets of silence go out, which the room would have to decode for everyone who only listens.
    const lines: [RTCRtpTransceiver | null, MediaStreamTrack | null, MediaStreamTrack | null][] = [
      [this.#audio, microphone, muted ? null : microphone],
      [this.#camera, camera, camera],
      [this.#slides, screen, screen],
    ];
    let changed = false;
    for (const [transceiver, open, sent] of lines) {
      if (transceiver === null) continue;
      if (transceiver.sender.track !== sent) {
        if (transceiver === this.#camera && sent !== null) await fitSizesTo(transceiver, sent);
        await transceiver.sender.replaceTrack(sent);
      }
      const direction = open === null ? "recvonly" : "sendrecv";
      if (transceiver.direction !== direction) {
        transceiver.direction = direction;
        changed = true;
      }
    }
    return changed;
  }

  async #offer(iceRestart: boolean): Promise<void> {
    const connection = this.#connection;
    if (this.#offering || connection.signalingState !== "stable") {
      this.#pending = { ice_restart: iceRestart || (this.#pending?.ice_restart ?? false) };
      return;
    }
    // Without signalling nothing is offered: `signallingOpened` does that.
    if (this.#closed || !this.#listener.reachable()) return;
    this.#offering = true;
    try {
      const wait = this.#pace.wait(performance.now());
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#closed) return;
      const offer = await connection.createOffer({ iceRestart });
      // The room reads it while the browser takes it in; candidates follow by themselves.
      this.#described = connection.setLocalDescription(offer);
      this.#send(offer.sdp ?? "");
      await this.#described;
    } catch {
      this.#broken();
    } finally {
      this.#offering = false;
    }
  }

  /** Sends an offer. Whoever knocks may wait for long; whoever was in hears at once, or signalling is dead. */
  #send(sdp: string): void {
    this.#pace.sent(performance.now());
    this.#listener.send({ type: "offer", sdp: withSoundNack(sdp) });
    clearTimeout(this.#answerTimer);
    if (this.#state === "connecting") return;
    this.#answerTimer = setTimeout(() => {
      if (!this.#closed) this.#listener.unanswered();
    }, ANSWER_TIME);
  }

  /** What to give up first when the way to the room is narrow. Some browsers cannot be told. */
  #bound(transceiver: RTCRtpTransceiver | null, preference: RTCDegradationPreference): void {
    if (transceiver === null) return;
    const parameters = transceiver.sender.getParameters();
    if (parameters.encodings.length === 0) return;
    parameters.degradationPreference = preference;
    void transceiver.sender.setParameters(parameters).catch(() => undefined);
  }
}

/** Sends a camera in one or two sizes, as it is large. A browser that cannot be told goes on as it is. */
async function fitSizesTo(line: RTCRtpTransceiver, camera: MediaStreamTrack): Promise<void> {
  const parameters = line.sender.getParameters();
  if (!fitSizes(parameters.encodings, camera.getSettings())) return;
  await line.sender.setParameters(parameters).catch(() => undefined);
}
