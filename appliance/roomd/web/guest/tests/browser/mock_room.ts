// A room for the page's tests: the HTTP and WebSocket side of the contract, with a second browser page
// as its media end. It is as strict as the real one about what it is sent.

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

import type { EndReason, MessageFromRoom, MessageToRoom } from "../../signalling_messages.js";
import { startMediaEnd } from "./media_end.js";

const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
  "media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const CONTENT_TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** The kinds of lines that a page may offer: with camera and slides, or sound alone. */
const LINES = ["audio video video application", "audio application"];
export const VALID_TOKEN = "c2VjcmV0LW9mLXRoZS10ZXN0";
export const ROOM_NAME = "Board room";
const COOKIE = "__Host-roomd_guest";

interface GuestSession {
  name: string;
  admitted: boolean;
  socket: WebSocket | null;
  offer: string | null;
  /** The candidates since that offer. */
  candidates: { candidate: string; mid: string }[];
  /** The end of what is being done with the last message: the next one waits for it. */
  turn: Promise<void>;
}

export class MockRoom {
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  readonly #connections = new Set<Socket>();
  readonly #sessions = new Map<string, GuestSession>();
  readonly #media: Page;
  /** Where the page's HTML and style are, and where its compiled scripts are. */
  readonly #sources: string;
  readonly #scripts: string;
  /** Whether a guest has to be let in by `admit`. */
  asks = false;
  /** Whether WebSockets are refused, as by a server that is being started anew. */
  unreachable = false;
  /** What the page sent, by type. */
  readonly received: MessageToRoom[] = [];
  /** What was wrong with what the page sent. */
  readonly faults: string[] = [];

  private constructor(media: Page, sources: string, scripts: string) {
    this.#media = media;
    this.#sources = sources;
    this.#scripts = scripts;
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
    this.#server.on("connection", (socket) => {
      this.#connections.add(socket);
      socket.on("close", () => this.#connections.delete(socket));
    });
    this.#server.on("upgrade", (request, socket, head) => {
      const session = this.#sessionOf(request);
      const known = request.url === "/guest/signalling" && request.headers.origin === this.origin;
      if (this.unreachable || session === undefined || !known) {
        socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(session, webSocket));
    });
  }

  /** Starts a room with `media` as its media end. */
  static async start(media: Page, sources: string, scripts: string): Promise<MockRoom> {
    const room = new MockRoom(media, sources, scripts);
    await new Promise<void>((resolve) => room.#server.listen(0, "127.0.0.1", resolve));
    await media.goto(`${room.origin}/mock/media`);
    // Without a gesture the browser plays no sound, and makes none.
    await media.mouse.click(10, 10);
    await media.evaluate(startMediaEnd);
    return room;
  }

  get origin(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  link(token: string = VALID_TOKEN): string {
    return `${this.origin}/join#${token}`;
  }

  /** Lets everyone in who waits. */
  async admit(): Promise<void> {
    for (const session of this.#sessions.values()) {
      session.admitted = true;
      if (session.offer !== null) await this.#answer(session, session.offer);
    }
  }

  /** Ends all calls. */
  end(reason: EndReason): void {
    for (const session of this.#sessions.values()) {
      this.#say(session, { type: "ended", reason });
      session.socket?.close();
    }
  }

  hold(held: boolean): void {
    for (const session of this.#sessions.values()) this.#say(session, { type: "held", held });
  }

  /** Breaks all WebSockets, as a network does: without a word. */
  breakSignalling(): void {
    for (const client of this.#sockets.clients) client.terminate();
  }

  /** Forgets all sessions, as when the meeting is over. */
  forgetSessions(): void {
    this.#sessions.clear();
    this.breakSignalling();
  }

  /** The room's media end: what runs in its page. */
  get media(): Page {
    return this.#media;
  }

  /** How many messages of that type the page has sent. */
  count(type: MessageToRoom["type"]): number {
    return this.received.filter((message) => message.type === type).length;
  }

  async close(): Promise<void> {
    this.breakSignalling();
    for (const socket of this.#connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", this.origin).pathname;
    response.setHeader("content-security-policy", CONTENT_SECURITY_POLICY);
    response.setHeader("referrer-policy", "no-referrer");
    if (path === "/guest/session") {
      await this.#serveSession(request, response);
    } else if (path === "/mock/media") {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html><title>Media end</title>");
    } else if (path === "/join") {
      await this.#serveFile(response, join(this.#sources, "join.html"));
    } else if (path.startsWith("/guest/assets/")) {
      const name = path.slice("/guest/assets/".length);
      await this.#serveFile(response, join(name.endsWith(".js") ? this.#scripts : this.#sources, name));
    } else {
      response.writeHead(404).end();
    }
  }

  async #serveFile(response: ServerResponse, file: string): Promise<void> {
    try {
      const bytes = await readFile(file);
      response.setHeader("content-type", CONTENT_TYPES[file.split(".").pop() ?? ""] ?? "text/plain");
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  }

  async #serveSession(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const session = this.#sessionOf(request);
    const refuse = (status: number, code: string): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ code, message: { en: code, zh: code } }));
    };
    const show = (shown: GuestSession): void => {
      response.setHeader("content-type", "application/json");
      const expires_at = Math.floor(Date.now() / 1000) + 3600;
      response.end(JSON.stringify({ room_name: ROOM_NAME, guest_name: shown.name, expires_at, ice_servers: [] }));
    };
    switch (request.method) {
      case "POST": {
        if (body.token !== VALID_TOKEN) return refuse(403, "link_not_valid");
        if (typeof body.name !== "string" || body.name === "Nobody") return refuse(400, "invalid_name");
        const cookie = randomBytes(16).toString("hex");
        const created: GuestSession = {
          name: body.name,
          admitted: !this.asks, socket: null, offer: null, candidates: [], turn: Promise.resolve() };
        this.#sessions.set(cookie, created);
        response.setHeader("set-cookie", `${COOKIE}=${cookie}; HttpOnly; Secure; SameSite=Strict; Path=/`);
        return show(created);
      }
      case "GET":
        return session === undefined ? refuse(401, "no_session") : show(session);
      case "PATCH":
        if (session === undefined) return refuse(401, "no_session");
        if (typeof body.name === "string") session.name = body.name;
        return show(session);
      default:
        response.writeHead(405).end();
    }
  }

  #sessionOf(request: IncomingMessage): GuestSession | undefined {
    const cookie = /(?:^|; )__Host-roomd_guest=([0-9a-f]+)/.exec(request.headers.cookie ?? "");
    return this.#sessions.get(cookie?.[1] ?? "");
  }

  #accept(session: GuestSession, socket: WebSocket): void {
    session.socket = socket;
    socket.on("message", (data) => {
      const message = JSON.parse(String(data)) as MessageToRoom;
      this.received.push(message);
      session.turn = session.turn
        .then(() => this.#take(session, message))
        .catch((error: unknown) => void this.faults.push(String(error)));
    });
    socket.on("error", (error) => this.faults.push(String(error)));
  }

  async #take(session: GuestSession, message: MessageToRoom): Promise<void> {
    switch (message.type) {
      case "offer":
        session.offer = message.sdp;
        session.candidates = [];
        if (session.admitted) await this.#answer(session, message.sdp);
        else this.#say(session, { type: "waiting" });
        break;
      case "candidate":
        session.candidates.push(message);
        if (session.admitted) await this.#media.evaluate((each) => window.mediaEnd.candidate(each), message);
        break;
      case "leave":
        await this.#media.evaluate(() => window.mediaEnd.close());
        break;
    }
  }

  async #answer(session: GuestSession, offer: string): Promise<void> {
    const order = [...offer.matchAll(/^m=(\w+)/gm)].map((match) => match[1]).join(" ");
    if (!LINES.includes(order)) this.faults.push(`lines: ${order}`);
    const sdp = await this.#media.evaluate((text) => window.mediaEnd.answer(text), offer);
    this.#say(session, { type: "answer", sdp });
    for (const candidate of session.candidates) {
      await this.#media.evaluate((each) => window.mediaEnd.candidate(each), candidate);
    }
  }

  #say(session: GuestSession, message: MessageFromRoom): void {
    session.socket?.send(JSON.stringify(message));
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}
