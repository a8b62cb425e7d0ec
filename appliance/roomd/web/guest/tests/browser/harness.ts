// A Chromium with simulated devices, a mock room, and a guest's page in it.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, Page } from "playwright-core";

import { MockRoom } from "./mock_room.js";

/** Where the compiled page is: this file is `build/tests/browser/harness.js`. */
const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** Where the sources are. */
const SOURCES = join(SCRIPTS, "..");
/** How long anything may take, in milliseconds: a busy machine is no fault of the page. */
export const PATIENCE = 45_000;

const ARGUMENTS = [
  "--use-fake-device-for-media-stream=device-count=3",
  "--use-fake-ui-for-media-stream",
  "--auto-select-desktop-capture-source=Entire screen",
  // A machine without a network has only its loopback addresses.
  "--allow-loopback-in-peer-connection",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let browser: Browser | undefined;

async function launched(): Promise<Browser> {
  browser ??= await chromium.launch({
    executablePath: process.env.ROOMD_CHROMIUM ?? "/usr/bin/chromium",
    args: ARGUMENTS,
  });
  return browser;
}

export async function closeBrowser(): Promise<void> {
  await browser?.close();
  browser = undefined;
}

export interface VisitOptions {
  language?: "en" | "zh";
  width?: number;
  height?: number;
  asks?: boolean;
  dark?: boolean;
}

/** A guest with a browser window of their own, before a room. */
export class Visit {
  readonly room: MockRoom;
  readonly page: Page;
  readonly #contexts: BrowserContext[];
  /** What the page complained of: errors and what its security policy forbids. */
  readonly complaints: string[] = [];

  private constructor(room: MockRoom, page: Page, contexts: BrowserContext[]) {
    this.room = room;
    this.page = page;
    this.#contexts = contexts;
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) this.complaints.push(message.text());
    });
  }

  static async prepare(options: VisitOptions = {}): Promise<Visit> {
    const started = await launched();
    const roomContext = await started.newContext({ permissions: ["camera", "microphone"] });
    const room = await MockRoom.start(await roomContext.newPage(), SOURCES, SCRIPTS);
    room.asks = options.asks ?? false;
    const guestContext = await started.newContext({
      permissions: ["camera", "microphone"],
      locale: options.language === "zh" ? "zh-CN" : "en-GB",
      viewport: { width: options.width ?? 1280, height: options.height ?? 720 },
      colorScheme: options.dark === true ? "dark" : "light",
    });
    guestContext.setDefaultTimeout(PATIENCE);
    return new Visit(room, await guestContext.newPage(), [roomContext, guestContext]);
  }

  /** Opens the link and waits for the start screen. */
  async open(link: string = this.room.link()): Promise<void> {
    await this.page.goto(link);
  }

  /** Joins as Anna, by the link. */
  async join(): Promise<void> {
    await this.open();
    await this.page.fill("#guest_name", "Anna");
    await this.page.click("#join");
  }

  /** Joins, and waits until the room's picture plays. */
  async joinAndSee(): Promise<void> {
    await this.join();
    await this.seesRoom();
  }

  /** Waits until the room's picture plays: until three more of its pictures have been drawn. */
  async seesRoom(): Promise<void> {
    await this.page.waitForSelector("#call:not([hidden])");
    await this.page.evaluate(async () => {
      const video = document.getElementById("far_end") as HTMLVideoElement;
      for (let frames = 0; frames < 3; frames += 1) {
        await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
      }
    });
  }

  /** Waits until the element is shown and begins with, or contains, these words. */
  async says(selector: string, words: string): Promise<void> {
    await this.page.locator(selector, { hasText: words }).waitFor({ state: selector === "#announcement" ? "attached" : "visible" });
  }

  /** What the element shows. */
  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).innerText()).trim();
  }

  /** Waits until the room has received what `condition` wants. */
  async roomReceives(condition: (received: Awaited<ReturnType<typeof this.received>>) => boolean): Promise<void> {
    await eventually(async () => condition(await this.received()));
  }

  async received() {
    return this.room.media.evaluate(() => window.mediaEnd.received());
  }

  /** Takes the guest's browser off the network, or back: what it tells its pages, not what WebRTC does. */
  async setOffline(offline: boolean): Promise<void> {
    await this.page.context().setOffline(offline);
  }

  async close(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    await this.room.close();
  }
}

/** Waits until the condition holds, as long as patience lasts. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
