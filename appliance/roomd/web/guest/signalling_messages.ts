// What the page and the room say to each other by WebSocket: one JSON object a frame, told apart by
// "type". What comes from the room is checked here, once.

/** Why the room ended the call. */
export const END_REASONS = [
  "declined",
  "no_answer",
  "busy",
  "hung_up",
  "meeting_over",
  "session_over",
  "link_expired",
  "link_revoked",
  "taken_over",
  "media_incompatible",
  "connection_lost",
  "shutting_down",
  "failed",
] as const;

export type EndReason = (typeof END_REASONS)[number];

export type MessageToRoom =
  | { type: "offer"; sdp: string }
  | { type: "candidate"; candidate: string; mid: string }
  | { type: "leave" };

export type MessageFromRoom =
  | { type: "waiting" }
  | { type: "answer"; sdp: string }
  | { type: "candidate"; candidate: string; mid: string }
  | { type: "held"; held: boolean }
  | { type: "ended"; reason: EndReason };

/** The message in a frame, or null for one that this page does not know. */
export function parseMessage(frame: string): MessageFromRoom | null {
  const message = parseObject(frame);
  if (message === null) return null;
  switch (message.type) {
    case "waiting":
      return { type: "waiting" };
    case "answer":
      return typeof message.sdp === "string" ? { type: "answer", sdp: message.sdp } : null;
    case "candidate": {
      const { candidate, mid } = message;
      if (typeof candidate !== "string" || typeof mid !== "string") return null;
      return { type: "candidate", candidate, mid };
    }
    case "held":
      return typeof message.held === "boolean" ? { type: "held", held: message.held } : null;
    case "ended":
      return { type: "ended", reason: endReason(message.reason) };
    default:
      return null;
  }
}

/** A reason that this page does not know is a failure without words of its own. */
function endReason(value: unknown): EndReason {
  return END_REASONS.find((reason) => reason === value) ?? "failed";
}

/** The JSON object in a text, or null where it is something else. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
