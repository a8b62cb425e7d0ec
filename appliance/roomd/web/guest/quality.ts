// How good the connection is, read from the browser's statistics of two moments.

/** The counters that count, from one `getStats`. */
export interface Counters {
  /** When they were read, in milliseconds. */
  time: number;
  received: number;
  lost: number;
  /** Decoded pictures of the room's camera and of its slides. */
  camera_frames: number;
  slides_frames: number;
  /** How long the room's picture stood still, in seconds. */
  frozen: number;
  /** What the room misses of what the guest sends, from 0 to 1, as it reported last. */
  lost_at_room: number;
  /** There and back, in seconds; null before the first measurement. */
  round_trip: number | null;
  /** The room's picture. */
  width: number;
  height: number;
}

export type QualityLevel = "good" | "fair" | "poor";

export type QualityReason = "loss_from_room" | "loss_to_room" | "delay" | "picture_freezes";

export interface Quality {
  level: QualityLevel;
  /** What is worst; null where all is well. */
  reason: QualityReason | null;
}

/** The lines of a call in its session description. */
export interface Mids {
  camera: string | null;
  slides: string | null;
}

type Statistics = Record<string, unknown>;

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

/** Reads the counters out of a report. */
export function readCounters(report: Iterable<Statistics>, mids: Mids, time: number): Counters {
  const counters: Counters = {
    time,
    received: 0,
    lost: 0,
    camera_frames: 0,
    slides_frames: 0,
    frozen: 0,
    lost_at_room: 0,
    round_trip: null,
    width: 0,
    height: 0,
  };
  for (const entry of report) {
    switch (entry.type) {
      case "inbound-rtp":
        counters.received += number(entry.packetsReceived);
        counters.lost += Math.max(0, number(entry.packetsLost));
        if (entry.kind !== "video") break;
        if (entry.mid === mids.slides) {
          counters.slides_frames = number(entry.framesDecoded);
        } else {
          counters.camera_frames = number(entry.framesDecoded);
          counters.frozen = number(entry.totalFreezesDuration);
          counters.width = number(entry.frameWidth);
          counters.height = number(entry.frameHeight);
        }
        break;
      case "remote-inbound-rtp":
        counters.lost_at_room = Math.max(counters.lost_at_room, number(entry.fractionLost));
        break;
      case "candidate-pair":
        if (entry.nominated === true && entry.state === "succeeded" && typeof entry.currentRoundTripTime === "number") {
          counters.round_trip = entry.currentRoundTripTime;
        }
        break;
      default:
    }
  }
  return counters;
}

/** How bad a value is: 0 up to `fair`, 1 up to `poor`, 2 beyond. */
function grade(value: number, fair: number, poor: number): number {
  if (value > poor) return 2;
  return value > fair ? 1 : 0;
}

/** The quality between two moments. */
export function assess(before: Counters, after: Counters): Quality {
  const seconds = Math.max(0.001, (after.time - before.time) / 1000);
  const lost = Math.max(0, after.lost - before.lost);
  const all = lost + Math.max(0, after.received - before.received);
  const grades: [QualityReason, number][] = [
    ["picture_freezes", grade(Math.max(0, after.frozen - before.frozen) / seconds, 0.05, 0.3)],
    ["loss_from_room", grade(all === 0 ? 0 : lost / all, 0.02, 0.08)],
    ["loss_to_room", grade(after.lost_at_room, 0.02, 0.08)],
    ["delay", grade(after.round_trip ?? 0, 0.25, 0.5)],
  ];
  let worst: [QualityReason | null, number] = [null, 0];
  for (const each of grades) if (each[1] > worst[1]) worst = each;
  const levels: QualityLevel[] = ["good", "fair", "poor"];
  return { level: levels[worst[1]] ?? "poor", reason: worst[0] };
}
