// The state machine of the page: which screen there is, and what is asked of the network.
//
//                 ┌───────── session_missing, no link ──────────────► refused
//   opening ──────┤
//                 ├── session_found, was in the call ──┐
//                 └── otherwise ──► start              │
//                                    │ join_pressed    │
//                                    ▼                 │
//        ┌── session_refused ─── exchanging            │
//        │ (start, or refused        │ session_created │
//        │  for a link that is       ▼                 ▼
//        │  not valid)        ┌─ connecting ◄──────────┘
//        ▼                    │      │ waiting
//      start, refused         │      ▼
//        ▲                    │   waiting ───────┐
//        │ again_pressed      │ answered         │ answered
//        │                    ▼                  ▼
//      ended ◄── ended ── in_call ◄──────────────┘
//        ▲                    │
//        └── left, ended, session_gone: from connecting, waiting and in_call alike
//
// A signalling connection that breaks moves no state: the call goes on, and `signalling` says so.
// The machine is pure. `guest.ts` hands it events, carries out the effects, and shows the state.

import type { EndReason } from "./signalling_messages.js";
import type { Session } from "./session.js";

/** What gives a visitor the right to join. */
export type Credential =
  | { kind: "token"; token: string }
  | { kind: "session"; session: Session };

/** Why a visitor cannot join at all. */
export type RefusalReason = "no_link" | "link_not_valid" | "insecure_context" | "no_webrtc";

/** Why joining has failed for now. */
export type JoinProblem =
  | "invalid_name"
  | "too_many_attempts"
  | "meeting_full"
  | "room_unreachable"
  | "room_failed";

/** How a call has ended: by the room's word, or by what the page saw itself. */
export type Ending = EndReason | "left";

/** Whether the page and the room can talk to each other. */
export type SignallingState = "open" | "reconnecting";

export type PageState =
  | { name: "opening"; token: string | null; was_in_call: boolean }
  | { name: "start"; credential: Credential; problem: JoinProblem | null }
  | { name: "exchanging"; token: string; guest_name: string }
  | { name: "connecting"; session: Session; signalling: SignallingState }
  | { name: "waiting"; session: Session; signalling: SignallingState }
  | { name: "in_call"; session: Session; signalling: SignallingState; held: boolean }
  | { name: "ended"; ending: Ending; session: Session | null }
  | { name: "refused"; reason: RefusalReason };

export type PageEvent =
  | { type: "unsupported"; reason: RefusalReason }
  | { type: "session_found"; session: Session }
  | { type: "session_missing" }
  | { type: "session_unreachable" }
  | { type: "join_pressed"; guest_name: string }
  | { type: "session_created"; session: Session }
  | { type: "session_refused"; problem: JoinProblem | "link_not_valid" }
  | { type: "signalling_opened" }
  | { type: "signalling_lost" }
  | { type: "session_gone" }
  | { type: "waiting" }
  | { type: "answered" }
  | { type: "held"; held: boolean }
  | { type: "ended"; reason: EndReason }
  | { type: "leave_pressed" }
  | { type: "again_pressed" };

export type Effect =
  | { type: "look_up_session" }
  | { type: "exchange_token"; token: string; guest_name: string }
  | { type: "rename_guest"; guest_name: string }
  | { type: "forget_link" }
  | { type: "start_call"; session: Session }
  | { type: "stop_call" }
  | { type: "say_goodbye" };

export interface Step {
  state: PageState;
  effects: Effect[];
}

/** The page when it is opened: with the token of its link, or with the session of an earlier visit. */
export function opened(token: string | null, was_in_call: boolean): Step {
  return { state: { name: "opening", token, was_in_call }, effects: [{ type: "look_up_session" }] };
}

/** What `event` makes of `state`. An event that the state has no use for changes nothing. */
export function step(state: PageState, event: PageEvent): Step {
  if (event.type === "unsupported") return { state: { name: "refused", reason: event.reason }, effects: [] };
  switch (state.name) {
    case "opening":
      return fromOpening(state, event);
    case "start":
      return fromStart(state, event);
    case "exchanging":
      return fromExchanging(state, event);
    case "connecting":
    case "waiting":
    case "in_call":
      return fromCall(state, event);
    case "ended":
      return fromEnded(state, event);
    case "refused":
      return unchanged(state);
  }
}

function unchanged(state: PageState): Step {
  return { state, effects: [] };
}

function fromOpening(state: Extract<PageState, { name: "opening" }>, event: PageEvent): Step {
  switch (event.type) {
    case "session_found":
      // A link in the address bar is newer than the cookie: it may be for another meeting.
      if (state.token !== null) return start({ kind: "token", token: state.token });
      if (state.was_in_call) return call(event.session, []);
      return start({ kind: "session", session: event.session });
    case "session_missing":
    case "session_unreachable": {
      if (state.token !== null) return start({ kind: "token", token: state.token });
      if (event.type === "session_unreachable") return { state: ended("connection_lost", null), effects: [] };
      return { state: { name: "refused", reason: "no_link" }, effects: [] };
    }
    default:
      return unchanged(state);
  }
}

function fromStart(state: Extract<PageState, { name: "start" }>, event: PageEvent): Step {
  if (event.type !== "join_pressed") return unchanged(state);
  const { credential } = state;
  const { guest_name } = event;
  switch (credential.kind) {
    case "token": {
      const { token } = credential;
      return {
        state: { name: "exchanging", token, guest_name },
        effects: [{ type: "exchange_token", token, guest_name }],
      };
    }
    case "session": {
      const { session } = credential;
      const rename: Effect[] =
        guest_name === session.guest_name ? [] : [{ type: "rename_guest", guest_name }];
      return call({ ...session, guest_name }, rename);
    }
  }
}

function fromExchanging(state: Extract<PageState, { name: "exchanging" }>, event: PageEvent): Step {
  switch (event.type) {
    case "session_created":
      return call(event.session, [{ type: "forget_link" }]);
    case "session_refused":
      if (event.problem === "link_not_valid") {
        return { state: { name: "refused", reason: "link_not_valid" }, effects: [] };
      }
      return start({ kind: "token", token: state.token }, event.problem);
    default:
      return unchanged(state);
  }
}

type CallState = Extract<PageState, { name: "connecting" | "waiting" | "in_call" }>;

function fromCall(state: CallState, event: PageEvent): Step {
  const { session, signalling } = state;
  switch (event.type) {
    case "signalling_opened":
      return { state: { ...state, signalling: "open" }, effects: [] };
    case "signalling_lost":
      return { state: { ...state, signalling: "reconnecting" }, effects: [] };
    case "waiting":
      return { state: { name: "waiting", session, signalling }, effects: [] };
    case "answered":
      if (state.name === "in_call") return unchanged(state);
      return { state: { name: "in_call", session, signalling, held: false }, effects: [] };
    case "held":
      if (state.name !== "in_call") return unchanged(state);
      return { state: { ...state, held: event.held }, effects: [] };
    case "ended":
      return { state: ended(event.reason, session), effects: [{ type: "stop_call" }] };
    case "session_gone":
      return { state: ended("session_over", null), effects: [{ type: "stop_call" }] };
    case "leave_pressed":
      // The session lives on for "join again"; the room hears that the guest has left.
      return { state: ended("left", session), effects: [{ type: "say_goodbye" }, { type: "stop_call" }] };
    default:
      return unchanged(state);
  }
}

function fromEnded(state: Extract<PageState, { name: "ended" }>, event: PageEvent): Step {
  if (event.type !== "again_pressed" || !mayJoinAgain(state)) return unchanged(state);
  // Looked up anew: what gave the right to join may have ended in the meantime.
  return opened(null, false);
}

function start(credential: Credential, problem: JoinProblem | null = null): Step {
  return { state: { name: "start", credential, problem }, effects: [] };
}

function call(session: Session, before: Effect[]): Step {
  return {
    state: { name: "connecting", session, signalling: "open" },
    effects: [...before, { type: "start_call", session }],
  };
}

function ended(ending: Ending, session: Session | null): Extract<PageState, { name: "ended" }> {
  return { name: "ended", ending, session };
}

/** Whether joining again can help after such an end. */
export function mayJoinAgain(state: Extract<PageState, { name: "ended" }>): boolean {
  switch (state.ending) {
    case "link_expired":
    case "link_revoked":
    case "meeting_over":
    case "session_over":
      return false;
    case "left":
    case "declined":
    case "no_answer":
    case "busy":
    case "hung_up":
    case "taken_over":
    case "media_incompatible":
    case "connection_lost":
    case "shutting_down":
    case "failed":
      return true;
  }
}
