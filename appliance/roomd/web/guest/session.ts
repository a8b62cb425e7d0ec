// The guest's session: what the token of a link is exchanged for, by HTTP. The session's cookie is
// the browser's alone (HttpOnly); this page sees what belongs to it.

import type { JoinProblem } from "./page_state.js";
import { isObject } from "./signalling_messages.js";

export interface Session {
  room_name: string;
  guest_name: string;
  /** When the session ends, in seconds since 1970. */
  expires_at: number;
  ice_servers: RTCIceServer[];
}

/** What asking for a session leads to. */
export type SessionAnswer =
  | { kind: "session"; session: Session }
  | { kind: "none" }
  | { kind: "refused"; problem: JoinProblem | "link_not_valid" };

const ADDRESS = "/guest/session";
/** How long the room may take to answer, in milliseconds. */
const PATIENCE = 20_000;

/** The session of an earlier visit. */
export async function findSession(): Promise<SessionAnswer> {
  return ask("GET");
}

/** Exchanges the token of a link for a session. */
export async function createSession(token: string, name: string): Promise<SessionAnswer> {
  return ask("POST", { token, name });
}

/** Gives the guest another name. */
export async function renameGuest(name: string): Promise<SessionAnswer> {
  return ask("PATCH", { name });
}

async function ask(method: string, body?: object): Promise<SessionAnswer> {
  // AbortSignal.timeout would do, where browsers have it.
  const patience = new AbortController();
  setTimeout(() => patience.abort(), PATIENCE);
  const { signal } = patience;
  const init: RequestInit = { method, cache: "no-store", credentials: "same-origin", signal };
  if (body !== undefined) {
    init.headers = { "content-type": "application/json" };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  let answer: unknown;
  try {
    response = await fetch(ADDRESS, init);
    answer = await response.json().catch(() => null);
  } catch {
    return { kind: "refused", problem: "room_unreachable" };
  }
  return readAnswer(response.status, answer);
}

/** What a status and the JSON of its body mean. */
export function readAnswer(status: number, body: unknown): SessionAnswer {
  if (status >= 200 && status < 300) {
    const session = readSession(body);
    return session === null ? { kind: "refused", problem: "room_failed" } : { kind: "session", session };
  }
  const code = isObject(body) ? body.code : undefined;
  switch (code) {
    case "no_session":
      return { kind: "none" };
    case "link_not_valid":
    case "too_many_attempts":
    case "invalid_name":
    case "meeting_full":
      return { kind: "refused", problem: code };
    default:
      if (status === 401) return { kind: "none" };
      return { kind: "refused", problem: status === 429 ? "too_many_attempts" : "room_failed" };
  }
}

function readSession(body: unknown): Session | null {
  if (!isObject(body)) return null;
  const { room_name, guest_name, expires_at, ice_servers } = body;
  if (typeof room_name !== "string" || typeof guest_name !== "string") return null;
  return {
    room_name,
    guest_name,
    expires_at: typeof expires_at === "number" ? expires_at : Number.POSITIVE_INFINITY,
    ice_servers: Array.isArray(ice_servers) ? ice_servers.flatMap(readIceServer) : [],
  };
}

function readIceServer(value: unknown): RTCIceServer[] {
  if (!isObject(value) || !Array.isArray(value.urls)) return [];
  const server: RTCIceServer = { urls: value.urls.filter((url): url is string => typeof url === "string") };
  if (typeof value.username === "string") server.username = value.username;
  if (typeof value.credential === "string") server.credential = value.credential;
  return [server];
}
