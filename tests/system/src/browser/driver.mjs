// Drives guests' pages in Chromium: takes commands and tells what comes of them, a line of JSON each.

import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages, chromiumPath] = process.argv.slice(2);
const { chromium } = createRequire(`${packages}/`)("playwright-core");

const ARGUMENTS = [
  "--use-fake-device-for-media-stream",
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

const browser = await chromium.launch({ executablePath: chromiumPath, args: ARGUMENTS });
const pages = [];

const commands = {
  /** Opens a link in a window of its own. */
  async open({ link, language, patience }) {
    const context = await browser.newContext({
      // The room's own authority is trusted by nobody else here.
      ignoreHTTPSErrors: true,
      locale: language === "zh" ? "zh-CN" : "en-GB",
      permissions: ["camera", "microphone"],
      viewport: { width: 1280, height: 720 },
    });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    await page.goto(link);
    pages.push(page);
    return pages.length - 1;
  },

  async join({ page, name }) {
    await pages[page].fill("#guest_name", name);
    await pages[page].click("#join");
  },

  async click({ page, selector }) {
    await pages[page].click(selector);
  },

  /** Waits until an element is shown that has these words. */
  async reads({ page, selector, words }) {
    const found = pages[page].locator(selector, { hasText: words });
    await found.waitFor({ state: "visible" });
    return (await found.innerText()).trim();
  },

  /** Waits until so many more pictures of a video were shown. Tells their size, and the time it took. */
  async watches({ page, selector, pictures }) {
    await pages[page].locator(selector).waitFor({ state: "visible" });
    return pages[page].evaluate(
      async ([selector, pictures]) => {
        const video = document.querySelector(selector);
        const shown = () => new Promise((resolve) => video.requestVideoFrameCallback(resolve));
        await shown();
        const begin = performance.now();
        for (let picture = 0; picture < pictures; picture += 1) await shown();
        return {
          width: video.videoWidth,
          height: video.videoHeight,
          seconds: (performance.now() - begin) / 1000,
        };
      },
      [selector, pictures],
    );
  },

  /** Writes the picture that a video shows as PNG. */
  async picture({ page, selector, file }) {
    const url = await pages[page].evaluate((selector) => {
      const video = document.querySelector(selector);
      const canvas = document.createElement("canvas");
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d").drawImage(video, 0, 0);
      return canvas.toDataURL("image/png");
    }, selector);
    await writeFile(file, Buffer.from(url.split(",")[1], "base64"));
  },

  /** The loudest of what the room's sound was while so many pictures were shown, 0 to 1. */
  async hears({ page, selector, pictures }) {
    return pages[page].evaluate(
      async ([selector, pictures]) => {
        const video = document.querySelector(selector);
        const context = new AudioContext();
        const analyser = context.createAnalyser();
        context.createMediaStreamSource(video.srcObject).connect(analyser);
        const samples = new Float32Array(analyser.fftSize);
        let loudest = 0;
        for (let picture = 0; picture < pictures; picture += 1) {
          await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
          analyser.getFloatTimeDomainData(samples);
          for (const sample of samples) loudest = Math.max(loudest, Math.abs(sample));
        }
        await context.close();
        return loudest;
      },
      [selector, pictures],
    );
  },

  async reload({ page }) {
    await pages[page].reload();
  },

  async screenshot({ page, file }) {
    await pages[page].screenshot({ path: file });
  },

  /** Closes a page without a goodbye. */
  async close({ page }) {
    await pages[page].context().close();
  },
};

console.log(JSON.stringify({ event: "ready" }));
for await (const line of createInterface({ input: process.stdin })) {
  const { number, command, ...rest } = JSON.parse(line);
  try {
    const result = await commands[command](rest);
    console.log(JSON.stringify({ answer: number, result: result ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ answer: number, error: String(error) }));
  }
}
await browser.close();
