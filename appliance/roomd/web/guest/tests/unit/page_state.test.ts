import assert from "node:assert/strict";
import { test } from "node:test";

import { mayJoinAgain, opened, step } from "../../page_state.js";
import type { PageEvent, PageState } from "../../page_state.js";
import { END_REASONS } from "../../signalling_messages.js";
import type { Session } from "../../session.js";

const TOKEN = "c2VjcmV0LW9mLXRoZS10ZXN0";
const SESSION: Session = { room_name: "Board room", guest_name: "Anna", expires_at: 1, ice_servers: [] };

const EVENTS: PageEvent[] = [
  { type: "unsupported", reason: "no_webrtc" },
  { type: "session_found", session: SESSION },
  { type: "session_missing" },
  { type: "session_unreachable" },
  { type: "join_pressed", guest_name: "Anna" },
  { type: "session_created", session: SESSION },
  { type: "session_refused", problem: "link_not_valid" },
  { type: "session_refused", problem: "meeting_full" },
  { type: "signalling_opened" },
  { type: "signalling_lost" },
  { type: "session_gone" },
  { type: "waiting" },
  { type: "answered" },
  { type: "held", held: true },
  { type: "ended", reason: "hung_up" },
  { type: "leave_pressed" },
  { type: "again_pressed" },
];

function after(first: PageState, ...events: PageEvent[]): { state: PageState; effects: string[] } {
  const effects: string[] = [];
  let state = first;
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    effects.push(...next.effects.map(({ type }) => type));
  }
  return { state, effects };
}

const withLink = opened(TOKEN, false).state;
const withoutLink = opened(null, false).state;
const reloaded = opened(null, true).state;
const join: PageEvent = { type: "join_pressed", guest_name: "Anna" };
const created: PageEvent = { type: "session_created", session: SESSION };
const found: PageEvent = { type: "session_found", session: SESSION };

test("a link is exchanged, forgotten, and then called with", () => {
  const { state, effects } = after(withLink, { type: "session_missing" }, join, created);
  assert.equal(state.name, "connecting");
  assert.deepEqual(effects, ["exchange_token", "forget_link", "start_call"]);
});

test("a link counts more than the session of an earlier visit", () => {
  const { state } = after(withLink, found);
  assert.deepEqual(state, { name: "start", credential: { kind: "token", token: TOKEN }, problem: null });
});

test("a reload in the call comes back in without a question", () => {
  assert.deepEqual(after(reloaded, found).effects, ["start_call"]);
});

test("a session without a call in this tab asks first", () => {
  const { state, effects } = after(withoutLink, found);
  assert.equal(state.name, "start");
  assert.deepEqual(effects, []);
});

test("another name is told to the room before the call", () => {
  const { state, effects } = after(withoutLink, found, { type: "join_pressed", guest_name: "Bo" });
  assert.deepEqual(effects, ["rename_guest", "start_call"]);
  assert.equal(state.name === "connecting" && state.session.guest_name, "Bo");
});

test("a link that is not valid is the end, other refusals are not", () => {
  const refused = after(withLink, { type: "session_missing" }, join, { type: "session_refused", problem: "link_not_valid" });
  assert.deepEqual(refused.state, { name: "refused", reason: "link_not_valid" });
  const full = after(withLink, { type: "session_missing" }, join, { type: "session_refused", problem: "meeting_full" });
  assert.equal(full.state.name === "start" && full.state.problem, "meeting_full");
});

test("neither link nor session leads nowhere", () => {
  assert.deepEqual(after(withoutLink, { type: "session_missing" }).state, { name: "refused", reason: "no_link" });
});

test("waiting ends in the call, or by the room's word", () => {
  const waiting = after(withLink, { type: "session_missing" }, join, created, { type: "waiting" }).state;
  assert.equal(waiting.name, "waiting");
  assert.equal(step(waiting, { type: "answered" }).state.name, "in_call");
  const declined = step(waiting, { type: "ended", reason: "declined" });
  assert.equal(declined.state.name === "ended" && declined.state.ending, "declined");
  assert.deepEqual(declined.effects, [{ type: "stop_call" }]);
});

test("a broken signalling connection leaves the call where it is", () => {
  const call = after(reloaded, found, { type: "answered" }, { type: "held", held: true }).state;
  const lost = step(call, { type: "signalling_lost" }).state;
  assert.deepEqual(lost, { ...call, signalling: "reconnecting" });
  assert.deepEqual(step(lost, { type: "signalling_opened" }).state, call);
  // The answer to the offer after it is no new call.
  assert.deepEqual(step(call, { type: "answered" }).state, call);
});

test("leaving says goodbye first", () => {
  const { effects } = after(reloaded, found, { type: "answered" }, { type: "leave_pressed" });
  assert.deepEqual(effects, ["start_call", "say_goodbye", "stop_call"]);
});

test("joining again looks the session up anew, where that can help", () => {
  for (const ending of [...END_REASONS, "left"] as const) {
    const ended = { name: "ended", ending, session: SESSION } as const;
    const { state, effects } = after(ended, { type: "again_pressed" });
    assert.deepEqual(effects, mayJoinAgain(ended) ? ["look_up_session"] : [], ending);
    assert.equal(state.name, mayJoinAgain(ended) ? "opening" : "ended", ending);
  }
});

test("who has no link and no session any more is not asked to join again", () => {
  for (const ending of ["meeting_over", "session_over", "link_expired", "link_revoked"] as const) {
    assert.ok(!mayJoinAgain({ name: "ended", ending, session: SESSION }), ending);
  }
});

test("whatever happens in whatever order, calls are started and stopped in turn", () => {
  // Numbers from a linear congruential generator: the same sequence on every run.
  let seed = 20_261_128;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let run = 0; run < 2000; run += 1) {
    let { state } = opened(random(2) === 0 ? TOKEN : null, random(2) === 0);
    let calls = 0;
    const seen: string[] = [];
    for (let count = 0; count < 30; count += 1) {
      const event = EVENTS[random(EVENTS.length)];
      // A browser that lacks something says so at the beginning only.
      if (event === undefined || event.type === "unsupported") continue;
      seen.push(event.type);
      const next = step(state, event);
      state = next.state;
      for (const effect of next.effects) {
        if (effect.type === "start_call") calls += 1;
        if (effect.type === "stop_call") calls -= 1;
        assert.ok(calls === 0 || calls === 1, seen.join(" "));
      }
      const in_call = state.name === "connecting" || state.name === "waiting" || state.name === "in_call";
      assert.equal(calls, in_call ? 1 : 0, seen.join(" "));
    }
  }
});
