// A browser with guests in it, driven by lines of JSON: one object a line on standard input is a command,
// {"number", "command", "guest", ...}, and one a line on standard output its answer, {"number", "result"} or
// {"number", "error"}. What pages complain of comes as {"complaint"}.
//
// Each guest has a browser context of their own: no cookie, no memory of another guest. The end of
// standard input ends the browser.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { writeFile } from "node:fs/promises";

const settings = JSON.parse(process.argv[2]);
const { chromium, firefox } = createRequire(settings.packages)("playwright-core");

const CHROMIUM_ARGUMENTS = [
  // The room's own authority is one that nobody has heard of. What playwright-core does about that is too late for some
  // of several connections that begin at once: their scripts never come, and the page stays empty.
  "--ignore-certificate-errors",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--auto-select-desktop-capture-source=Entire screen",
  "--autoplay-policy=no-user-gesture-required",
  // A machine without a network has only its loopback addresses.
  "--allow-loopback-in-peer-connection",
  // Names of multicast DNS in place of addresses would have to be resolved by the room.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A guest whose window lies behind another's draws and decodes all the same.
  "--disable-renderer-backgrounding",
  "--disable-backgrounding-occluded-windows",
  "--disable-background-timer-throttling",
];
if (settings.sound !== null) CHROMIUM_ARGUMENTS.push(`--use-file-for-fake-audio-capture=${settings.sound}`);
if (settings.video !== null) CHROMIUM_ARGUMENTS.push(`--use-file-for-fake-video-capture=${settings.video}`);

// Firefox' names for the same.
const FIREFOX_PREFERENCES = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
  "media.peerconnection.ice.loopback": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  // Nothing is asked of its maker's servers.
  "media.gmp-manager.updateEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

async function launch() {
  const { kind, executable } = settings;
  if (kind === "chromium") return chromium.launch({ executablePath: executable, args: CHROMIUM_ARGUMENTS });
  // As it is packaged, by WebDriver BiDi: playwright's own builds of Firefox are others.
  return firefox.launch({
    channel: "moz-firefox",
    executablePath: executable,
    firefoxUserPrefs: FIREFOX_PREFERENCES,
  });
}

/** Where a page is that a program brings along: cameras are for secure origins only. */
const OWN_PAGE = "https://call.invalid/";

/** Runs in the page before its own scripts: keeps its connections, which its modules hide. */
function keepConnections() {
  const kept = [];
  Object.defineProperty(globalThis, "keptConnections", { value: kept });
  const Original = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class RTCPeerConnection extends Original {
    constructor(...parameters) {
      super(...parameters);
      kept.push(this);
    }
  };
}

/** Runs in the page: what has been received on the lines of its connection, in W3C webrtc-stats' terms. */
async function received() {
  const connection = globalThis.keptConnections.findLast((each) => each.connectionState !== "closed");
  if (connection === undefined) throw new Error("no connection");
  const lines = { audio: {}, camera: {}, slides: {} };
  const [audio, camera, slides] = connection.getTransceivers().map((each) => each.mid);
  for (const report of (await connection.getStats()).values()) {
    if (report.type !== "inbound-rtp") continue;
    if (report.mid === audio) lines.audio = report;
    if (report.mid === camera) lines.camera = report;
    if (report.mid === slides) lines.slides = report;
  }
  return {
    at_ms: performance.now(),
    connection_state: connection.connectionState,
    audio_packets: lines.audio.packetsReceived ?? 0,
    audio_energy: lines.audio.totalAudioEnergy ?? 0,
    camera_frames: lines.camera.framesDecoded ?? 0,
    camera_width: lines.camera.frameWidth ?? 0,
    camera_height: lines.camera.frameHeight ?? 0,
    slides_frames: lines.slides.framesDecoded ?? 0,
  };
}

/** Runs in the page: waits until a video element has drawn so many more pictures. */
async function drawn(element, { count, timeout_ms }) {
  let pictures = 0;
  const all = (async () => {
    for (; pictures < count; pictures += 1) {
      await new Promise((resolve) => element.requestVideoFrameCallback(resolve));
    }
  })();
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`only ${pictures} of ${count} pictures came in time`)), timeout_ms);
  });
  await Promise.race([all, late]);
}

/** Runs in the page: what a video element shows, as a PNG in base64. */
function pictureOf(element) {
  const canvas = document.createElement("canvas");
  canvas.width = element.videoWidth;
  canvas.height = element.videoHeight;
  if (canvas.width === 0) throw new Error("no picture yet");
  canvas.getContext("2d").drawImage(element, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}

/** Runs in the page: the far end's sound of that many seconds at 48 kHz, as 16 bit samples. */
async function heard(seconds) {
  const context = new AudioContext({ sampleRate: 48000 });
  try {
    await context.resume();
    const source = context.createMediaStreamSource(document.getElementById("far_end").srcObject);
    // A worklet would be a script that the page's security policy does not know.
    const tap = context.createScriptProcessor(4096, 1, 1);
    const samples = new Int16Array(Math.round(seconds * 48000));
    let filled = 0;
    const full = new Promise((resolve) => {
      tap.onaudioprocess = ({ inputBuffer }) => {
        for (const sample of inputBuffer.getChannelData(0)) {
          if (filled < samples.length) samples[filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
        }
        if (filled === samples.length) resolve();
      };
    });
    source.connect(tap);
    tap.connect(context.destination);
    await full;
    return [...samples];
  } finally {
    await context.close();
  }
}

/** Runs in the page: the same in Firefox, which starts no AudioContext on a machine without a loudspeaker. */
async function recorded(seconds) {
  const tracks = document.getElementById("far_end").srcObject.getAudioTracks();
  const recorder = new MediaRecorder(new MediaStream(tracks));
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const stopped = new Promise((resolve) => {
    recorder.onstop = resolve;
  });
  recorder.start();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  recorder.stop();
  await stopped;
  const file = await new Blob(parts).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 48000, 48000).decodeAudioData(file);
  return [...sound.getChannelData(0)].map((sample) => Math.round(Math.max(-1, Math.min(1, sample)) * 32767));
}

const browser = await launch();
const guests = new Map();

function pageOf(command) {
  const page = guests.get(command.guest);
  if (page === undefined) throw new Error(`there is no guest ${command.guest}`);
  return page;
}

const COMMANDS = {
  /** Opens the link as somebody who has never been here; or a page of that text. */
  async visit({ guest, link, html, language }) {
    const context = await browser.newContext({
      // The same for Firefox.
      ignoreHTTPSErrors: true,
      // Firefox has a preference for that.
      ...(settings.kind === "chromium" ? { permissions: ["camera", "microphone"] } : {}),
      locale: language === "zh" ? "zh-CN" : "en-GB",
      viewport: { width: 1280, height: 720 },
    });
    await context.addInitScript(keepConnections);
    const page = await context.newPage();
    page.on("pageerror", (error) => say({ complaint: String(error), guest }));
    page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) say({ complaint: message.text(), guest });
      else if (message.type() === "error") say({ console: message.text(), guest });
    });
    guests.set(guest, page);
    if (html !== undefined) {
      await page.route(`${OWN_PAGE}**`, (route) => route.fulfill({ contentType: "text/html", body: html }));
    }
    await page.goto(link ?? OWN_PAGE);
  },
  /** What an expression comes to in the page, when it is there. */
  async evaluate(command) {
    return pageOf(command).evaluate(command.expression);
  },
  async fill(command) {
    await pageOf(command).fill(command.selector, command.text, { timeout: command.timeout_ms });
  },
  async press(command) {
    const { selector, timeout_ms } = command;
    const button = pageOf(command).locator(selector);
    // By the keyboard: a click goes to a place, and misses what moves away from there, as when cameras appear
    // above the button. What could not be clicked is waited for all the same.
    await button.click({ trial: true, timeout: timeout_ms });
    await button.press("Enter", { timeout: timeout_ms });
  },
  /** Waits until an element that is shown has these words in it. */
  async wait(command) {
    const { selector, text, timeout_ms } = command;
    const options = text === null ? {} : { hasText: text };
    await pageOf(command).locator(selector, options).first().waitFor({ timeout: timeout_ms });
  },
  /** Waits until an element is not shown, or has nothing in it: what is empty is not visible. */
  async gone(command) {
    const { selector, timeout_ms } = command;
    await pageOf(command).locator(selector).waitFor({ state: "hidden", timeout: timeout_ms });
  },
  async text(command) {
    return (await pageOf(command).locator(command.selector).innerText()).trim();
  },
  /** Waits until so many more pictures have been drawn on a video element. */
  async frames(command) {
    await pageOf(command).locator(command.selector).evaluate(drawn, command);
  },
  async statistics(command) {
    return pageOf(command).evaluate(received);
  },
  async picture(command) {
    const png = await pageOf(command).locator(command.selector).evaluate(pictureOf);
    await writeFile(command.file, Buffer.from(png, "base64"));
  },
  /** The page as a person sees it. */
  async screenshot(command) {
    await pageOf(command).screenshot({ path: command.file });
  },
  async sound(command) {
    const listen = settings.kind === "firefox" ? recorded : heard;
    const samples = await pageOf(command).evaluate(listen, command.seconds);
    await writeFile(command.file, new Uint8Array(Int16Array.from(samples).buffer));
  },
  async reload(command) {
    await pageOf(command).reload();
  },
  /** Closes the tab as its cross does, without a word to the page's scripts beforehand. */
  async close(command) {
    await pageOf(command).close({ runBeforeUnload: false });
    guests.delete(command.guest);
  },
};

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function obey(line) {
  const command = JSON.parse(line);
  const { number } = command;
  try {
    say({ number, result: (await COMMANDS[command.command](command)) ?? null });
  } catch (error) {
    // The secret of a link is nothing for a log.
    say({ number, error: String(error).replaceAll(/#[\w-]{16,}/g, "#…") });
  }
}

say({ ready: browser.version() });
for await (const line of createInterface({ input: process.stdin })) void obey(line);
await browser.close();
