import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../backoff.js";
import { levelOf } from "../../level_meter.js";
import { deviceProblem } from "../../local_media.js";
import { OfferPace } from "../../offer_pace.js";
import { assess, readCounters } from "../../quality.js";
import type { Counters } from "../../quality.js";
import { h264First, takesH264, withSoundNack, withStartBitrate } from "../../session_description.js";
import { SlidesPresence } from "../../slides_presence.js";

test("waits grow to their limit, and start again after success", () => {
  const backoff = new Backoff(() => 1);
  const waits = Array.from({ length: 8 }, () => backoff.next());
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  backoff.reset();
  assert.equal(backoff.next(), 500);
  assert.equal(new Backoff(() => 0).next(), 250);
});

test("no more than eight offers leave in a minute", () => {
  const pace = new OfferPace();
  let now = 0;
  const sent: number[] = [];
  for (let offer = 0; offer < 40; offer += 1) {
    now += 100 + pace.wait(now + 100);
    assert.equal(pace.wait(now), 0);
    pace.sent(now);
    sent.push(now);
  }
  for (const time of sent) {
    assert.ok(sent.filter((other) => other > time - 60_000 && other <= time).length <= 8);
  }
});

test("the level is 0 in silence, 1 at full scale and half at -30 dB", () => {
  assert.equal(levelOf(new Float32Array(0)), 0);
  assert.equal(levelOf(new Float32Array(128)), 0);
  assert.equal(levelOf(new Float32Array(128).fill(1)), 1);
  const half = levelOf(new Float32Array(128).fill(10 ** (-30 / 20)));
  assert.ok(Math.abs(half - 0.5) < 1e-3, String(half));
  assert.equal(levelOf(new Float32Array(128).fill(1e-5)), 0);
});

test("exceptions of devices are told apart", () => {
  const named = (name: string): object => ({ name });
  assert.equal(deviceProblem(named("NotAllowedError")), "permission_denied");
  assert.equal(deviceProblem(named("NotFoundError")), "not_found");
  assert.equal(deviceProblem(named("OverconstrainedError")), "not_found");
  assert.equal(deviceProblem(named("NotReadableError")), "in_use");
  assert.equal(deviceProblem(new TypeError("x")), "failed");
  assert.equal(deviceProblem(undefined), "failed");
});

const COUNTERS: Counters = {
  time: 0,
  received: 0,
  lost: 0,
  camera_frames: 0,
  slides_frames: 0,
  frozen: 0,
  lost_at_room: 0,
  round_trip: 0.03,
  width: 1280,
  height: 720,
};

test("the quality is that of its worst part", () => {
  const after = (changes: Partial<Counters>): object =>
    assess(COUNTERS, { ...COUNTERS, time: 1000, received: 300, ...changes });
  assert.deepEqual(after({}), { level: "good", reason: null });
  assert.deepEqual(after({ lost: 12 }), { level: "fair", reason: "loss_from_room" });
  assert.deepEqual(after({ lost: 60 }), { level: "poor", reason: "loss_from_room" });
  assert.deepEqual(after({ lost_at_room: 0.05 }), { level: "fair", reason: "loss_to_room" });
  assert.deepEqual(after({ round_trip: 0.8, lost: 12 }), { level: "poor", reason: "delay" });
  assert.deepEqual(after({ frozen: 0.4, lost: 60 }), { level: "poor", reason: "picture_freezes" });
  assert.deepEqual(after({ round_trip: null, received: 0 }), { level: "good", reason: null });
});

test("counters that go back, as after a new connection, are no loss", () => {
  const before = { ...COUNTERS, lost: 500, received: 10_000, frozen: 9 };
  assert.equal(assess(before, { ...COUNTERS, time: 1000, received: 50 }).level, "good");
});

test("statistics are read by the line that they are of", () => {
  const report = [
    { type: "inbound-rtp", kind: "audio", mid: "0", packetsReceived: 50, packetsLost: 1 },
    { type: "inbound-rtp", kind: "video", mid: "1", packetsReceived: 100, packetsLost: -2, framesDecoded: 30, frameWidth: 1280, frameHeight: 720 },
    { type: "inbound-rtp", kind: "video", mid: "2", packetsReceived: 10, framesDecoded: 5, frameWidth: 640 },
    { type: "remote-inbound-rtp", fractionLost: 0.1 },
    { type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: 0.02 },
    { type: "candidate-pair", nominated: false, state: "waiting", currentRoundTripTime: 9 },
  ];
  assert.deepEqual(readCounters(report, { camera: "1", slides: "2" }, 7), {
    time: 7,
    received: 160,
    lost: 1,
    camera_frames: 30,
    slides_frames: 5,
    frozen: 0,
    lost_at_room: 0.1,
    round_trip: 0.02,
    width: 1280,
    height: 720,
  });
});

test("slides are there with their first picture and gone some seconds after the last", () => {
  const presence = new SlidesPresence();
  assert.equal(presence.observe(0, 30, 1000), false);
  assert.equal(presence.observe(1, 60, 2000), true);
  for (let second = 3; second <= 6; second += 1) assert.equal(presence.observe(1, second * 30, second * 1000), true);
  assert.equal(presence.observe(1, 210, 7000), false);
  assert.equal(presence.observe(2, 240, 8000), true);
});

test("slides stay while nothing at all arrives, and go when their line ends", () => {
  const presence = new SlidesPresence();
  presence.observe(1, 30, 1000);
  for (let second = 2; second <= 30; second += 1) assert.equal(presence.observe(1, 30, second * 1000), true);
  presence.ended();
  assert.equal(presence.shown, false);
  assert.equal(presence.observe(1, 60, 31_000), false);
});

const H264 = { mimeType: "video/H264", sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" };
const H264_MODE_0 = { mimeType: "video/H264", sdpFmtpLine: "packetization-mode=0;profile-level-id=42e01f" };
const H264_MAIN = { mimeType: "video/h264", sdpFmtpLine: "packetization-mode=1;profile-level-id=4d001f" };
const VP8 = { mimeType: "video/VP8" };
const RTX = { mimeType: "video/rtx" };

test("H.264 of the baseline in packets of mode 1 is offered first, and others keep their order", () => {
  assert.deepEqual(h264First([VP8, RTX, H264_MODE_0, H264_MAIN, H264]), [H264, H264_MODE_0, H264_MAIN, VP8, RTX]);
});

test("a browser takes H.264 where it has packetization-mode 1", () => {
  assert.ok(takesH264([VP8, H264]));
  assert.ok(!takesH264([VP8, RTX, H264_MODE_0]));
  assert.ok(!takesH264([]));
});

test("the start bitrate goes into the formats of H.264 alone, and once", () => {
  const answer = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 useinbandfec=1",
    "m=video 9 UDP/TLS/RTP/SAVPF 102 103",
    "a=rtpmap:102 H264/90000",
    "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f",
    "a=rtpmap:103 rtx/90000",
    "a=fmtp:103 apt=102",
    "",
  ].join("\r\n");
  const changed = withStartBitrate(answer, 1500);
  assert.equal(
    changed,
    answer.replace("profile-level-id=42e01f", "profile-level-id=42e01f;x-google-start-bitrate=1500"),
  );
  assert.equal(withStartBitrate(changed, 900), changed);
  assert.equal(withStartBitrate("", 900), "");
});

test("the offer has generic NACK for sound where the browser has RED for it, once", () => {
  const opus = "a=rtpmap:111 opus/48000/2";
  const offer = (more: string): string => `m=audio 9 X 111 63\r\n${opus}\r\n${more}a=fmtp:111 minptime=10\r\n`;
  const red = "a=rtpmap:63 red/48000/2\r\n";
  const changed = withSoundNack(offer(red));
  assert.equal(changed, offer(red).replace(opus, `${opus}\r\na=rtcp-fb:111 nack`));
  assert.equal(withSoundNack(changed), changed);
  assert.equal(withSoundNack(offer("")), offer(""));
  const pli = offer(`${red}a=rtcp-fb:111 nack pli\r\n`);
  assert.notEqual(withSoundNack(pli), pli);
});
