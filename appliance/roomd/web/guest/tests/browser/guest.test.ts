// The page in Chromium, against a mock room.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Visit, closeBrowser, eventually } from "./harness.js";
import type { VisitOptions } from "./harness.js";

after(closeBrowser);

/** A test with a visit that must leave neither a fault at the room nor a complaint of the browser. */
function visit(name: string, options: VisitOptions, run: (visit: Visit) => Promise<void>): void {
  test(name, { timeout: 120_000 }, async () => {
    const each = await Visit.prepare(options);
    try {
      await run(each);
      assert.deepEqual(each.room.faults, []);
      assert.deepEqual(each.complaints, []);
    } finally {
      await each.close();
    }
  });
}

visit("a guest joins, sees the room and is seen and heard", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.roomReceives(({ camera_frames, audio_energy }) => camera_frames > 5 && audio_energy > 0);
  assert.equal(await guest.page.evaluate(() => location.hash), "");
  assert.deepEqual((await guest.received()).directions.slice(0, 3), ["sendrecv", "sendrecv", "sendonly"]);
});

visit("a guest waits until somebody lets them in", { asks: true }, async (guest) => {
  await guest.join();
  await guest.page.waitForSelector("#waiting:not([hidden])");
  await eventually(async () => (await guest.text("#waiting_text")) === "Somebody in the room has to let you in.");
  await guest.room.admit();
  await guest.seesRoom();
});

visit("a reload comes back in, muted as before", {}, async (guest) => {
  await guest.joinAndSee();
  await guest.page.keyboard.press("m");
  await eventually(async () => (await guest.text("#mute_text")) === "Unmute");
  await guest.page.reload();
  await guest.seesRoom();
  assert.equal(await guest.text("#mute_text"), "Unmute");
  assert.equal(await guest.text("#room_name"), "Board room");
});
