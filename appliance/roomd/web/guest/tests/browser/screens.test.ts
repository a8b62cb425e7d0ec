// Every screen, in both languages, from a telephone to a wall: nothing is wider than the window, and
// axe finds no fault. With ROOMD_SCREENSHOTS, a folder, each screen is kept there as a picture.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, test } from "node:test";

import { Visit, closeBrowser } from "./harness.js";

after(closeBrowser);

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pictures = process.env.ROOMD_SCREENSHOTS;

const WINDOWS = [
  { width: 360, height: 640, dark: false },
  { width: 1280, height: 720, dark: true },
  { width: 1280, height: 720, dark: false },
  { width: 3840, height: 2160, dark: false },
];

for (const language of ["en", "zh"] as const) {
  for (const { width, height, dark } of WINDOWS) {
    const name = `${language} ${width}x${height}${dark ? " dark" : ""}`;
    test(`all screens: ${name}`, { timeout: 150_000 }, async () => {
      const guest = await Visit.prepare({ language, width, height, dark, asks: true });
      const look = async (screen: string): Promise<void> => {
        if (pictures !== undefined) {
          await guest.page.screenshot({ path: join(pictures, `${name.replaceAll(" ", "-")}-${screen}.png`) });
        }
        await lookAt(guest, `${name}, ${screen}`);
      };
      try {
        await goThroughScreens(guest, look);
      } finally {
        await guest.close();
      }
    });
  }
}

/** Brings every screen up and has it looked at. */
async function goThroughScreens(guest: Visit, look: (screen: string) => Promise<void>): Promise<void> {
  const { page, room } = guest;
  const plays = (id: string): Promise<unknown> =>
    page.waitForFunction((video) => (document.getElementById(video) as HTMLVideoElement).videoWidth > 0, id);
  await guest.open();
  await plays("preview");
  await page.click("#join");
  await look("start-without-name");
  await page.fill("#guest_name", "Anna");
  await look("start");
  await page.click("#join");
  await plays("waiting_preview");
  await look("waiting");
  await room.admit();
  await guest.seesRoom();
  await page.waitForSelector("#quality:not(.unknown)");
  await look("call");
  await room.media.evaluate(() => window.mediaEnd.showSlides(true));
  await page.waitForSelector("#far_slides:not([hidden])");
  await room.media.evaluate(() =>
    window.mediaEnd.write('{"type":"caption","from":"Bo","text":"The numbers of the third quarter come next."}'),
  );
  await page.waitForSelector("#caption:not([hidden])");
  await look("slides");
  await page.click("#chat");
  await room.media.evaluate(() => window.mediaEnd.write('{"type":"chat","from":"Bo","text":"Welcome! 欢迎参加会议。"}'));
  await page.waitForSelector("#chat_lines p");
  await look("chat");
  await page.click("#devices");
  await page.waitForSelector("#chat_panel", { state: "hidden" });
  room.unreachable = true;
  room.breakSignalling();
  await page.waitForFunction(() => document.getElementById("call_problem")?.textContent !== "");
  await look("devices-and-trouble");
  await page.click("#leave");
  await page.waitForSelector("#ended:not([hidden])");
  await look("ended");
  await page.goto(`${room.origin}/join?refused`);
  room.forgetSessions();
  await page.reload();
  await page.waitForSelector("#refused:not([hidden])");
  await look("refused");
}

async function lookAt(guest: Visit, where: string): Promise<void> {
  const [content, window] = await guest.page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(Number(content) <= Number(window), `${where}: ${content} px of content in ${window} px`);
  // By the debugger, which the page's security policy does not bind.
  await guest.page.evaluate(axe);
  const faults = await guest.page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as { axe: { run(options: object): Promise<AxeResults> } };
    // A picture without captions of its own: captions come by the data channel.
    const results = await checker.run({ rules: { "video-caption": { enabled: false } } });
    return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  });
  assert.deepEqual(faults, [], where);
}

interface AxeResults {
  violations: { id: string; nodes: { html: string }[] }[];
}
