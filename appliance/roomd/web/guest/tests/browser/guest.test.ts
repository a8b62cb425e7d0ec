// The page in Chromium, against a mock room.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Visit, closeBrowser, eventually } from "./harness.js";
import type { VisitOptions } from "./harness.js";

after(closeBrowser);

/** A test with a visit that must leave neither a fault at the room nor a complaint of the browser. */
function visit(name: string, options: VisitOptions, run: (guest: Visit) => Promise<void>): void {
  test(name, { timeout: 150_000 }, async () => {
    const guest = await Visit.prepare(options);
    try {
      await run(guest);
      assert.deepEqual(guest.room.faults, []);
      assert.deepEqual(guest.complaints, []);
    } finally {
      await guest.close();
    }
  });
}

// Coming in

visit("a guest joins, sees the room and is seen and heard", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.roomReceives(({ camera_frames, audio_energy }) => camera_frames > 5 && audio_energy > 0);
  // The token is out of the address bar, and what a link is for is used.
  assert.equal(await guest.page.evaluate(() => location.hash), "");
  assert.deepEqual((await guest.received()).directions.slice(0, 3), ["sendrecv", "sendrecv", "sendonly"]);
  assert.equal(await guest.text("#room_name"), "Board room");
});

visit("the guest's picture has full resolution from its first seconds on", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.roomReceives(({ camera_frames }) => camera_frames > 0);
  assert.equal((await guest.received()).camera_width, 1280);
});

visit("a guest waits until somebody lets them in", { asks: true }, async (guest) => {
  await guest.join();
  await guest.says("#waiting_text", "Somebody in the room has to let you in.");
  await guest.room.admit();
  await guest.seesRoom();
});

visit("a guest who is declined reads so, and may ask again", { asks: true }, async (guest) => {
  await guest.join();
  await guest.says("#waiting_text", "Somebody in the room has to let you in.");
  guest.room.end("declined");
  await guest.says("#ended_text", "The room did not let you in.");
  await guest.page.click("#again");
  await guest.says("#start_heading", "Join the meeting in “Board room”");
  await guest.page.click("#join");
  await guest.says("#waiting_text", "Somebody in the room has to let you in.");
});

for (const [language, words] of [
  ["en", "This link is not valid"],
  ["zh", "此链接无效或已失效"],
] as const) {
  visit(`a link that is not valid is refused in words (${language})`, { language }, async (guest) => {
    await guest.open(guest.room.link("bm90LXRoZS1yaWdodC1vbmU"));
    await guest.page.fill("#guest_name", "Anna");
    await guest.page.click("#join");
    await guest.says("#refused_text", words);
  });
}

visit("without a link nobody comes in", {}, async (guest) => {
  await guest.open(`${guest.room.origin}/join`);
  await guest.says("#refused_text", "You need a link to join.");
});

visit("a name that is missing or not taken is asked for again", {}, async (guest) => {
  await guest.open();
  await guest.page.click("#join");
  await guest.says("#name_problem", "Please enter your name");
  await guest.page.fill("#guest_name", "Nobody");
  await guest.page.click("#join");
  await guest.says("#name_problem", "The room does not take this name.");
  await guest.page.fill("#guest_name", "Anna");
  await guest.page.click("#join");
  await guest.seesRoom();
});

visit("a reload comes back in, muted as before", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.keyboard.press("m");
  await guest.says("#mute_text", "Unmute");
  await guest.page.reload();
  await guest.seesRoom();
  assert.equal(await guest.text("#mute_text"), "Unmute");
  assert.equal(await guest.text("#room_name"), "Board room");
});

visit("a reload after leaving asks first", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.click("#leave");
  await guest.says("#ended_text", "You have left.");
  await eventually(() => guest.room.count("leave") === 1);
  await guest.page.reload();
  await guest.says("#start_heading", "Join the meeting in “Board room”");
  assert.equal(await guest.page.inputValue("#guest_name"), "Anna");
});

visit("the keyboard alone is enough", {}, async (guest) => {
  const { keyboard } = guest.page;
  const focused = (): Promise<string> => guest.page.evaluate(() => document.activeElement?.id ?? "");
  await guest.open();
  await guest.page.waitForFunction(() => document.activeElement?.id === "guest_name");
  await keyboard.type("Anna");
  const stops: string[] = [];
  for (let presses = 0; presses < 10 && (await focused()) !== "join"; presses += 1) {
    await keyboard.press("Tab");
    stops.push(await focused());
  }
  assert.deepEqual(stops, ["start_camera", "start_microphone", "start_speaker", "join"]);
  await keyboard.press("Enter");
  await guest.seesRoom();
  await guest.page.waitForFunction(() => document.activeElement?.id === "content");
  stops.length = 0;
  for (let presses = 0; presses < 10 && (await focused()) !== "leave"; presses += 1) {
    await keyboard.press("Tab");
    stops.push(await focused());
  }
  assert.deepEqual(stops, ["mute", "camera", "share", "chat", "devices", "leave"]);
  await keyboard.press("Enter");
  await guest.says("#ended_text", "You have left.");
});

// In the call

visit("a muted guest is not heard, and is again", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.roomReceives(({ audio_energy }) => audio_energy > 0);
  await guest.page.click("#mute");
  await guest.says("#announcement", "Your microphone is muted.");
  // Beeps come once a second: silence is two looks, frames apart, at the same energy.
  await eventually(async () => {
    const before = await guest.received();
    await guest.roomReceives(({ camera_frames }) => camera_frames > before.camera_frames + 30);
    return (await guest.received()).audio_energy - before.audio_energy < 1e-6;
  });
  const silent = (await guest.received()).audio_energy;
  await guest.page.click("#mute");
  await guest.roomReceives(({ audio_energy }) => audio_energy > silent + 0.01);
});

visit("whoever presses mute in haste is as the button says", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.evaluate(() => {
    const mute = document.querySelector<HTMLButtonElement>("#mute");
    for (let presses = 0; presses < 4; presses += 1) mute?.click();
  });
  assert.equal(await guest.text("#mute_text"), "Mute");
  const { audio_energy } = await guest.received();
  await guest.roomReceives((received) => received.audio_energy > audio_energy + 0.01);
});

visit("a camera that is switched off is closed, and the room is told", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.keyboard.press("c");
  await guest.says("#camera_text", "Camera on");
  await guest.roomReceives(({ directions }) => directions[1] === "sendonly");
  const { camera_frames: before } = await guest.received();
  await guest.page.keyboard.press("c");
  await guest.roomReceives(({ directions, camera_frames }) => directions[1] === "sendrecv" && camera_frames > before);
});

visit("a screen is shared on the line of the slides, and no longer", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.keyboard.press("s");
  await guest.roomReceives(({ slides_frames, directions }) => slides_frames > 2 && directions[2] === "sendrecv");
  await guest.says("#share_text", "Stop sharing");
  await guest.page.click("#share");
  await guest.roomReceives(({ directions }) => directions[2] === "sendonly");
  await guest.says("#share_text", "Share screen");
});

visit("slides of the room take the stage and leave it", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.room.media.evaluate(() => window.mediaEnd.showSlides(true));
  await guest.page.waitForSelector("#far_slides:not([hidden])");
  const widths = await guest.page.evaluate(() =>
    ["far_slides", "far_end"].map((id) => document.getElementById(id)?.clientWidth ?? 0),
  );
  assert.ok(Number(widths[0]) > 2 * Number(widths[1]), String(widths));
  await guest.room.media.evaluate(() => window.mediaEnd.showSlides(false));
  await guest.page.waitForSelector("#far_slides", { state: "hidden" });
});

visit("another camera and another microphone are taken without a new offer", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.roomReceives(({ camera_frames }) => camera_frames > 0);
  const offers = guest.room.count("offer");
  await guest.page.click("#devices");
  for (const kind of ["camera", "microphone"]) {
    const list = guest.page.locator(`#call_${kind}`);
    const values = await list.locator("option").evaluateAll((options) =>
      options.map((option) => (option as HTMLOptionElement).value),
    );
    const current = await list.inputValue();
    // The last one: Chromium's second simulated camera has pictures of depth, which nobody encodes.
    const other = values.filter((value) => value !== current && value !== "none" && value !== "default").pop();
    assert.ok(other, `one other ${kind} among ${values.length}`);
    await list.selectOption(other);
    await eventually(async () => (await list.inputValue()) === other);
  }
  const before = await guest.received();
  await guest.roomReceives(
    ({ camera_frames, audio_energy }) =>
      camera_frames > before.camera_frames + 10 && audio_energy > before.audio_energy,
  );
  assert.equal(guest.room.count("offer"), offers);
});

visit("chat goes both ways as plain text", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.click("#chat");
  await guest.page.waitForSelector("#chat_field:enabled");
  await guest.page.fill("#chat_field", "Good morning <b>all</b>");
  await guest.page.press("#chat_field", "Enter");
  await guest.roomReceives(({ lines }) => lines[0] === JSON.stringify({ type: "chat", text: "Good morning <b>all</b>" }));
  await guest.room.media.evaluate(() => window.mediaEnd.write('{"type":"chat","from":"Bo","text":"<img src=x>"}'));
  await guest.says("#chat_lines p:last-child", "Bo <img src=x>");
  assert.equal(await guest.page.locator("#chat_lines img").count(), 0);
  // The letters of the shortcuts are letters here.
  await guest.page.fill("#chat_field", "");
  await guest.page.locator("#chat_field").pressSequentially("mcs");
  assert.equal(await guest.text("#mute_text"), "Mute");
});

visit("a held call says so", {}, async (guest) => {
  await guest.joinAndSee();
  guest.room.hold(true);
  await guest.says("#call_notice", "The room has put the call on hold.");
  guest.room.hold(false);
  await guest.page.waitForFunction(() => document.getElementById("call_notice")?.textContent === "");
});

visit("the language changes in the call", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.click("#language");
  await guest.says("#leave span", "离开");
  assert.equal(await guest.page.getAttribute("html", "lang"), "zh-CN");
  await guest.page.reload();
  await guest.seesRoom();
  assert.equal(await guest.text("#leave span"), "离开");
});

// Trouble

visit("a page that lacks a script is loaded anew by itself", {}, async (guest) => {
  await guest.page.clock.install();
  await guest.page.route("**/call.js", (route) => route.abort(), { times: 1 });
  await guest.open();
  await guest.page.clock.fastForward("00:16");
  await guest.page.waitForSelector("#start:not([hidden])");
});

visit("a page that never gets its scripts says so, and what to do", {}, async (guest) => {
  await guest.page.clock.install();
  await guest.page.route("**/call.js", (route) => route.abort());
  await guest.open();
  for (let reloads = 0; reloads < 2; reloads += 1) {
    const reloaded = guest.page.waitForEvent("load");
    await guest.page.clock.fastForward("00:16");
    await reloaded;
  }
  assert.equal(await guest.page.isVisible("#not_loaded"), false);
  await guest.page.clock.fastForward("00:16");
  await guest.says("#not_loaded", "Check your internet connection and load it again.");
});

visit("a room that does not answer is told to be out of reach", {}, async (guest) => {
  await guest.page.clock.install();
  await guest.open();
  await guest.page.waitForSelector("#start:not([hidden])");
  await guest.page.route("**/guest/session", () => undefined);
  await guest.page.fill("#guest_name", "Anna");
  await guest.page.click("#join");
  await guest.page.waitForSelector("#join:disabled");
  await guest.page.clock.fastForward("00:21");
  await guest.page.waitForSelector("#join:enabled");
});

visit("a room that cannot be reached for a while is reached again, and the picture goes on", {}, async (guest) => {
  await guest.joinAndSee();
  const offers = guest.room.count("offer");
  guest.room.unreachable = true;
  guest.room.breakSignalling();
  await guest.says("#call_problem", "The connection to the room is interrupted.");
  await guest.seesRoom();
  guest.room.unreachable = false;
  await eventually(() => guest.room.count("offer") > offers);
  await guest.page.waitForFunction(() => document.getElementById("call_problem")?.textContent === "");
});

visit("a room that was started anew gets a new call", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.room.media.evaluate(() => window.mediaEnd.close());
  await eventually(async () => (await guest.received()).camera_frames > 5);
  await guest.seesRoom();
});

visit("a network that comes back has the way looked for anew, and the picture goes on", {}, async (guest) => {
  await guest.joinAndSee();
  const fragments = (): Set<string | undefined> =>
    new Set(guest.room.received.flatMap((message) =>
      message.type === "offer" ? [/^a=ice-ufrag:(.*)$/m.exec(message.sdp)?.[1]] : [],
    ));
  const before = fragments().size;
  await guest.setOffline(true);
  await guest.setOffline(false);
  await eventually(() => fragments().size > before);
  const { camera_frames } = await guest.received();
  await guest.roomReceives((received) => received.camera_frames > camera_frames);
  await guest.seesRoom();
});

visit("the same guest in another tab takes the call", {}, async (guest) => {
  await guest.joinAndSee();
  guest.room.end("taken_over");
  await guest.says("#ended_text", "You have joined from another tab or window.");
  await guest.page.waitForFunction(() => document.activeElement?.id === "content");
});

visit("a session that is over ends the call", {}, async (guest) => {
  await guest.joinAndSee();
  guest.room.forgetSessions();
  await guest.says("#ended_text", "Your visit has ended.");
  assert.ok(await guest.page.locator("#again").isHidden());
});

for (const [language, words] of [
  ["en", "The meeting has ended."],
  ["zh", "会议已结束，"],
] as const) {
  visit(`the end of the meeting is told, and nothing offered that leads nowhere (${language})`, { language }, async (guest) => {
    await guest.joinAndSee();
    guest.room.end("meeting_over");
    await guest.says("#ended_text", words);
    assert.ok(await guest.page.locator("#again").isHidden());
  });
}

visit("a revoked link ends the call in words", { language: "zh" }, async (guest) => {
  await guest.joinAndSee();
  guest.room.end("link_revoked");
  await guest.says("#ended_text", "您的链接已被撤销");
});

visit("a refused camera says what to do, and the guest comes in without", {}, async (guest) => {
  await guest.page.addInitScript(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (constraints) => {
      if (constraints?.video !== undefined) throw new DOMException("refused", "NotAllowedError");
      return open(constraints);
    };
  });
  await guest.open();
  await guest.says("#start_camera_problem", "Click the camera or lock symbol");
  await guest.page.fill("#guest_name", "Anna");
  await guest.page.click("#join");
  await guest.seesRoom();
  assert.deepEqual((await guest.received()).directions.slice(0, 2), ["sendrecv", "sendonly"]);
});

visit("without any device a guest sees and hears the room all the same", {}, async (guest) => {
  await guest.page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException("none", "NotFoundError");
    };
  });
  await guest.open();
  await guest.says("#start_camera_problem", "There is no camera.");
  await guest.says("#start_microphone_problem", "There is no microphone.");
  await guest.page.fill("#guest_name", "Anna");
  await guest.page.click("#join");
  await guest.seesRoom();
});

visit("a camera that is unplugged is replaced", {}, async (guest) => {
  await guest.page.addInitScript(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (constraints) => {
      const stream = await open(constraints);
      addEventListener("unplug", () => {
        for (const track of stream.getVideoTracks()) {
          track.stop();
          track.dispatchEvent(new Event("ended"));
        }
      }, { once: true });
      return stream;
    };
  });
  await guest.joinAndSee();
  await guest.page.evaluate(() => dispatchEvent(new Event("unplug")));
  await guest.says("#camera_text", "Camera off");
  const { camera_frames } = await guest.received();
  await guest.roomReceives((received) => received.camera_frames > camera_frames + 10);
});

visit("a page that is not secure says so", { language: "zh" }, async (guest) => {
  await guest.page.addInitScript(() => {
    Object.defineProperty(globalThis, "isSecureContext", { value: false });
    Object.defineProperty(navigator, "mediaDevices", { value: undefined });
  });
  await guest.open();
  await guest.says("#refused_text", "请使用以 https:// 开头的链接");
});

visit("a browser without H.264 comes in with sound and chat, and is told what helps", {}, async (guest) => {
  await guest.page.addInitScript(() => {
    RTCRtpSender.getCapabilities = () => ({ codecs: [{ mimeType: "video/VP8", clockRate: 90000 }], headerExtensions: [] });
  });
  await guest.open();
  await guest.says("#start_without", "install the OpenH264 plugin");
  assert.ok(await guest.page.locator("#start_camera").isHidden());
  await guest.page.fill("#guest_name", "Anna");
  await guest.page.click("#join");
  await guest.says("#no_picture", "Sound only");
  for (const control of ["#camera", "#share", "#own"]) {
    assert.ok(await guest.page.locator(control).isHidden(), control);
  }
  await guest.roomReceives(({ audio_energy }) => audio_energy > 0);
  await guest.page.click("#chat");
  await guest.says("#chat_hint", "Nothing has been written yet.");
});
