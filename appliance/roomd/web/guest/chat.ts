// What goes over the data channel "roomd": chat both ways, captions from the room. One JSON object a
// message; what is none is taken for the plain text of a chat line.

import { parseObject } from "./signalling_messages.js";

/** The data channel's name. */
export const CHANNEL_LABEL = "roomd";

/** How long a chat line may be, in characters. */
export const LONGEST_LINE = 2000;

export type ChannelMessage =
  | { type: "chat"; from: string | null; text: string }
  | { type: "caption"; from: string | null; text: string };

/** The message in what the room sent; null for what this page does not know, and for empty lines. */
export function readChannelMessage(data: unknown): ChannelMessage | null {
  if (typeof data !== "string") return null;
  const object = parseObject(data);
  if (object === null) return line("chat", null, data);
  if (object.type !== "chat" && object.type !== "caption") return null;
  if (typeof object.text !== "string") return null;
  return line(object.type, typeof object.from === "string" ? object.from : null, object.text);
}

function line(type: "chat" | "caption", from: string | null, text: string): ChannelMessage | null {
  const shown = text.trim().slice(0, LONGEST_LINE);
  return shown === "" ? null : { type, from: from?.slice(0, 100) ?? null, text: shown };
}

/** A chat line as it leaves. */
export function writeChatLine(text: string): string {
  return JSON.stringify({ type: "chat", text: text.trim().slice(0, LONGEST_LINE) });
}
