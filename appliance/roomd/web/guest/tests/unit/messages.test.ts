import assert from "node:assert/strict";
import { test } from "node:test";

import { LONGEST_LINE, readChannelMessage, writeChatLine } from "../../chat.js";
import { tokenOf } from "../../invitation_link.js";
import { readAnswer } from "../../session.js";
import { parseMessage } from "../../signalling_messages.js";

test("messages of the room are read, and what is none is left out", () => {
  assert.deepEqual(parseMessage('{"type":"waiting"}'), { type: "waiting" });
  assert.deepEqual(parseMessage('{"type":"answer","sdp":"v=0"}'), { type: "answer", sdp: "v=0" });
  const candidate = { type: "candidate", candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ relay", mid: "0" };
  assert.deepEqual(parseMessage(JSON.stringify(candidate)), candidate);
  assert.equal(parseMessage('{"type":"candidate","candidate":1,"mid":"0"}'), null);
  assert.deepEqual(parseMessage('{"type":"held","held":true}'), { type: "held", held: true });
  assert.deepEqual(parseMessage('{"type":"ended","reason":"busy"}'), { type: "ended", reason: "busy" });
  for (const frame of ["", "null", "[]", '"waiting"', "{}", '{"type":"answer"}', '{"type":"held","held":1}', '{"type":"x"}']) {
    assert.equal(parseMessage(frame), null, frame);
  }
});

test("an end for a reason that is not known is a failure", () => {
  assert.deepEqual(parseMessage('{"type":"ended","reason":"moon"}'), { type: "ended", reason: "failed" });
  assert.deepEqual(parseMessage('{"type":"ended"}'), { type: "ended", reason: "failed" });
});

test("a session is read with its servers", () => {
  const body = {
    room_name: "Board room",
    guest_name: "Anna",
    expires_at: 1_790_000_000,
    ice_servers: [{ urls: ["turn:turn.example.com"], username: "u", credential: "c" }, "nonsense", { urls: 1 }],
  };
  assert.deepEqual(readAnswer(200, body), {
    kind: "session",
    session: { ...body, ice_servers: [{ urls: ["turn:turn.example.com"], username: "u", credential: "c" }] },
  });
});

test("refusals are told apart by their codes, and otherwise by their status", () => {
  assert.deepEqual(readAnswer(401, { code: "no_session" }), { kind: "none" });
  assert.deepEqual(readAnswer(401, null), { kind: "none" });
  for (const [status, problem] of [
    [403, "link_not_valid"],
    [429, "too_many_attempts"],
    [400, "invalid_name"],
    [503, "meeting_full"],
  ] as const) {
    assert.deepEqual(readAnswer(status, { code: problem }), { kind: "refused", problem });
  }
  assert.deepEqual(readAnswer(429, "<html>"), { kind: "refused", problem: "too_many_attempts" });
  assert.deepEqual(readAnswer(502, "<html>"), { kind: "refused", problem: "room_failed" });
  assert.deepEqual(readAnswer(200, {}), { kind: "refused", problem: "room_failed" });
});

test("chat lines and captions are read, and are never longer than they may be", () => {
  assert.deepEqual(readChannelMessage('{"type":"chat","from":"Bo","text":" Hello "}'), {
    type: "chat",
    from: "Bo",
    text: "Hello",
  });
  assert.deepEqual(readChannelMessage('{"type":"caption","text":"Hello"}'), { type: "caption", from: null, text: "Hello" });
  assert.deepEqual(readChannelMessage("Hello"), { type: "chat", from: null, text: "Hello" });
  assert.equal(readChannelMessage("  "), null);
  assert.equal(readChannelMessage('{"type":"poll","text":"x"}'), null);
  assert.equal(readChannelMessage('{"type":"chat","text":7}'), null);
  assert.equal(readChannelMessage(new ArrayBuffer(4)), null);
  assert.equal(readChannelMessage("x".repeat(10_000))?.text.length, LONGEST_LINE);
  assert.equal(writeChatLine(' a "b" '), '{"type":"chat","text":"a \\"b\\""}');
});

test("a token is what looks like one: not the anchor of a heading", () => {
  assert.equal(tokenOf("#c2VjcmV0LW9mLXRoZS10ZXN0"), "c2VjcmV0LW9mLXRoZS10ZXN0");
  for (const hash of ["", "#", "#content", "#<script>alert(1)</script>", `#${"a".repeat(300)}`]) {
    assert.equal(tokenOf(hash), null, hash);
  }
});
