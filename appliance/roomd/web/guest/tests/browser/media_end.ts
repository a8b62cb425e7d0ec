// What runs in the mock room's own browser page: the far end of the media. It answers the guest's
// offers and shows a picture of people, and slides when it is told to.

export interface MediaEnd {
  answer(offer: string): Promise<string>;
  candidate(message: { candidate: string; mid: string }): Promise<void>;
  /** Begins to show slides, or ends it. */
  showSlides(shown: boolean): Promise<void>;
  write(text: string): void;
  received(): Promise<Received>;
  close(): void;
}

/** What has arrived from the guest. */
export interface Received {
  camera_frames: number;
  slides_frames: number;
  camera_width: number;
  /** All energy of the guest's sound so far. */
  audio_energy: number;
  /** The directions of the guest's lines: audio, camera, slides. */
  directions: string[];
  lines: string[];
}

declare global {
  interface Window {
    mediaEnd: MediaEnd;
  }
}

/** Defines `window.mediaEnd`. It is sent to the page as its text: it may use nothing from outside. */
export function startMediaEnd(): void {
  const painted = (text: string, hue: number, width: number, height: number): MediaStreamTrack => {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    let count = 0;
    setInterval(() => {
      if (context === null) return;
      count += 1;
      const gradient = context.createLinearGradient(0, 0, width, height);
      gradient.addColorStop(0, `hsl(${hue} 45% 28%)`);
      gradient.addColorStop(1, `hsl(${hue + 40} 45% 55%)`);
      context.fillStyle = gradient;
      context.fillRect(0, 0, width, height);
      context.fillStyle = "#fff";
      context.font = `600 ${height / 9}px sans-serif`;
      context.textAlign = "center";
      context.fillText(text, width / 2, height / 2);
      context.fillRect((count * 12) % width, height * 0.8, height / 10, height / 10);
    }, 66);
    const track = canvas.captureStream(15).getVideoTracks()[0];
    if (track === undefined) throw new Error("a canvas without a track");
    return track;
  };
  const people = painted("Board room", 200, 1280, 720);
  const slides = painted("Slide 7", 20, 1280, 720);
  const sound = (): MediaStreamTrack => {
    const context = new AudioContext();
    const tone = context.createOscillator();
    const quiet = context.createGain();
    const target = context.createMediaStreamDestination();
    quiet.gain.value = 0.05;
    tone.connect(quiet).connect(target);
    tone.start();
    const track = target.stream.getAudioTracks()[0];
    if (track === undefined) throw new Error("sound without a track");
    return track;
  };
  const voice = sound();

  let connection: RTCPeerConnection | null = null;
  let channel: RTCDataChannel | null = null;
  let shows_slides = false;
  let lines: string[] = [];
  let fingerprint = "";

  const fingerprintOf = (sdp: string): string => /^a=fingerprint:(.*)$/m.exec(sdp)?.[1]?.trim() ?? "";

  window.mediaEnd = {
    async answer(offer) {
      // A page that was loaded anew has another certificate: it is a new connection.
      if (connection === null || fingerprint !== fingerprintOf(offer)) {
        connection?.close();
        connection = new RTCPeerConnection();
        fingerprint = fingerprintOf(offer);
        lines = [];
        // What nobody plays is not decoded.
        connection.addEventListener("track", ({ track }) => {
          const player = document.createElement("video");
          player.srcObject = new MediaStream([track]);
          void player.play().catch(() => undefined);
        });
        connection.addEventListener("datachannel", (event) => {
          channel = event.channel;
          channel.addEventListener("message", ({ data }) => lines.push(String(data)));
        });
      }
      const current = connection;
      // As a browser it gets one size of the camera only, and may not get on with what it says of others.
      const sdp = offer.replace(/^a=(simulcast|rid):.*\r\n/gm, "");
      await current.setRemoteDescription({ type: "offer", sdp });
      const [audio, camera, screen] = current.getTransceivers();
      for (const transceiver of [audio, camera, screen]) if (transceiver) transceiver.direction = "sendrecv";
      await audio?.sender.replaceTrack(voice);
      await camera?.sender.replaceTrack(people);
      await screen?.sender.replaceTrack(shows_slides ? slides : null);
      await current.setLocalDescription();
      if (current.iceGatheringState !== "complete") {
        await new Promise<void>((resolve) => {
          current.addEventListener("icegatheringstatechange", () => {
            if (current.iceGatheringState === "complete") resolve();
          });
        });
      }
      return current.localDescription?.sdp ?? "";
    },
    async candidate({ candidate, mid }) {
      if (candidate !== "") await connection?.addIceCandidate({ candidate, sdpMid: mid });
    },
    async showSlides(shown) {
      shows_slides = shown;
      await connection?.getTransceivers()[2]?.sender.replaceTrack(shown ? slides : null);
    },
    write(text) {
      channel?.send(text);
    },
    async received() {
      const answer: Received = {
        camera_frames: 0,
        slides_frames: 0,
        camera_width: 0,
        audio_energy: 0,
        directions: [],
        lines,
      };
      const transceivers = connection?.getTransceivers() ?? [];
      answer.directions = transceivers.map((transceiver) => transceiver.currentDirection ?? "");
      const report = (await connection?.getStats())?.values() ?? [];
      for (const entry of report as Iterable<Record<string, unknown>>) {
        if (entry.type !== "inbound-rtp") continue;
        if (entry.kind === "audio") {
          answer.audio_energy = Number(entry.totalAudioEnergy);
        } else if (entry.mid === transceivers[1]?.mid) {
          answer.camera_frames = Number(entry.framesDecoded);
          answer.camera_width = Number(entry.frameWidth ?? 0);
        } else {
          answer.slides_frames = Number(entry.framesDecoded);
        }
      }
      return answer;
    },
    close() {
      connection?.close();
      connection = null;
    },
  };
}
