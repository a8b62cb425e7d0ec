//! Session timers (RFC 4028): a session that nobody refreshes ends at both ends, and in the proxies
//! between them.
//!
//! ```text
//!            2xx of INVITE or UPDATE with Session-Expires
//!   Off ────────────────────────────────────────────────► Running: refreshed by the peer, or by us
//!    ▲                                                     │ │ ▲
//!    └──────────── 2xx without Session-Expires ────────────┘ │ │ each such 2xx, of either side
//!                                                            ▼ │
//!                        ours: at less than half the interval, UPDATE where the peer allows it,
//!                        else a re-INVITE with the description that stands; 422: the longer
//!                        interval is asked for; every refusal: again in 5 s
//!                                                            │
//!                        no refresh a third of the interval (at most 32 s) before its end: BYE
//! ```
//!
//! Session timers and the question of `liveness` find the same thing out. A short interval answers
//! it, and then nobody asks by OPTIONS. That is what we wish for wherever UPDATE, which is small,
//! refreshes. Where a re-INVITE would have to, or where a proxy insists on half an hour, the interval
//! is long, and the far end is asked in between.

use std::time::{Duration, Instant};

use super::hang_up::ByeReason;
use super::update::UpdateAllowed;
use super::{Call, CallState, Established, Reinvite, ReinviteFor};
use crate::endpoint::extensions::{self, TIMER};
use crate::endpoint::keys::{ClientKey, ServerKey};
use crate::endpoint::{CallEndCause, CallId, Endpoint};
use crate::grammar::{
    CSeq, ContentType, HeaderName, Headers, Method, MinSe, Refresher, Request, Response,
    SessionExpires, StatusCode,
};
use crate::transaction::T1_64;
use crate::transport::Path;

/// The shortest interval that anybody may ask for (RFC 4028 section 4).
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(90);
/// What we wish for where a refresh is a small message.
const WATCHFUL_INTERVAL: Duration = MIN_INTERVAL;
/// What we wish for where a refresh is a re-INVITE: the RFC's recommendation.
const CALM_INTERVAL: Duration = Duration::from_secs(1800);
/// Up to this interval, a far end that is gone is noticed as early as `liveness` would.
const WATCHES_UP_TO: Duration = Duration::from_secs(120);
/// How soon a refresh that was refused, or had to wait, is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// INVITEs of one call, each sent again as an answer asked for. More is a loop.
const MAX_INVITES: u32 = 8;

/// The session timer of one dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// The shortest interval that the peer and the proxies have been seen to accept.
    min: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Running {
        interval: Duration,
        /// When the session ends for us.
        end: Instant,
        refresh: Refresh,
    },
}

/// Who refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    ByPeer,
    DueAt(Instant),
    UnderWay,
}

/// What a request for a session gets of its timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    interval: Duration,
    refresher: Refresher,
}

/// The interval that a request asks for is too short: it is answered 422 (RFC 4028 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooShort;

/// What the time asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Refresh,
    End,
}

impl SessionTimer {
    pub(crate) const fn off() -> Self {
        Self {
            min: MIN_INTERVAL,
            state: State::Off,
        }
    }

    fn wish(self, update: UpdateAllowed) -> Duration {
        match update {
            UpdateAllowed::Yes => WATCHFUL_INTERVAL,
            UpdateAllowed::No => CALM_INTERVAL,
        }
        .max(self.min)
    }

    /// Writes our wish into a request within a dialog (RFC 4028 section 7). A re-INVITE is answered
    /// at once by most, and needs no reliable provisional responses.
    pub(crate) fn ask(self, headers: &mut Headers, update: UpdateAllowed) {
        headers
            .push(HeaderName::Supported, TIMER)
            .expect("plain text");
        self.write_wish(headers, update);
    }

    /// Writes our wish.
    pub(crate) fn write_wish(self, headers: &mut Headers, update: UpdateAllowed) {
        let refresher = match self.state {
            State::Off => None,
            State::Running { refresh, .. } => Some(match refresh {
                Refresh::ByPeer => Refresher::Uas,
                Refresh::DueAt(_) | Refresh::UnderWay => Refresher::Uac,
            }),
        };
        let interval = seconds(self.wish(update));
        headers.push_typed(&SessionExpires::new(interval, refresher));
        if self.min > MIN_INTERVAL {
            headers.push_typed(&MinSe::new(seconds(self.min)));
        }
    }

    /// Writes our wish into an INVITE that is sent again outside of a dialog.
    pub(super) fn repeat_wish(self, headers: &mut Headers) {
        for name in [HeaderName::SessionExpires, HeaderName::MinSe] {
            headers.remove(&name);
        }
        self.write_wish(headers, UpdateAllowed::Yes);
    }

    /// A 2xx has answered a request with our wish.
    pub(crate) fn answered(&mut self, now: Instant, headers: &Headers) {
        let Ok(Some(answer)) = headers.typed::<SessionExpires>() else {
            self.state = State::Off;
            return;
        };
        let interval = Duration::from_secs(answer.seconds().into());
        match answer.refresher() {
            Some(Refresher::Uas) => self.start(now, interval, Refresher::Uas, Refresher::Uac),
            // An answer has to say who; refreshing ourselves is safe.
            Some(Refresher::Uac) | None => {
                self.start(now, interval, Refresher::Uac, Refresher::Uac);
            }
        }
    }

    /// What a request is granted (RFC 4028 section 9).
    pub(crate) fn grant(
        self,
        headers: &Headers,
        update: UpdateAllowed,
    ) -> Result<Option<Grant>, TooShort> {
        let asked = headers.typed::<SessionExpires>().ok().flatten();
        let knows = extensions::sender_supports(headers, TIMER);
        let min = headers.typed::<MinSe>().ok().flatten();
        let min = min.map_or(MIN_INTERVAL, |min| {
            Duration::from_secs(min.seconds().into())
        });
        let wish = self.wish(update).max(min);
        // Who refreshes goes on; at first we do, early enough for what is lost to be repeated.
        let who = match self.state {
            State::Running {
                refresh: Refresh::ByPeer,
                ..
            } => Refresher::Uac,
            State::Running {
                refresh: Refresh::DueAt(_) | Refresh::UnderWay,
                ..
            }
            | State::Off => Refresher::Uas,
        };
        match (asked, knows) {
            (None, false) => Ok(None),
            (None, true) => Ok(Some(Grant {
                interval: wish,
                refresher: who,
            })),
            (Some(asked), true) => {
                let interval = Duration::from_secs(asked.seconds().into());
                if interval < MIN_INTERVAL {
                    return Err(TooShort);
                }
                Ok(Some(Grant {
                    interval: interval.min(wish),
                    refresher: asked.refresher().unwrap_or(who),
                }))
            }
            // A proxy has asked: only we can refresh.
            (Some(asked), false) => Ok(Some(Grant {
                interval: Duration::from_secs(asked.seconds().into()).max(MIN_INTERVAL),
                refresher: Refresher::Uas,
            })),
        }
    }

    /// We have accepted a request.
    pub(crate) fn granted(&mut self, now: Instant, grant: Option<Grant>) {
        match grant {
            Some(grant) => self.start(now, grant.interval, grant.refresher, Refresher::Uas),
            None => self.state = State::Off,
        }
    }

    fn start(&mut self, now: Instant, interval: Duration, refresher: Refresher, us: Refresher) {
        // Less is forbidden, and would have us refresh without a pause.
        let interval = interval.max(MIN_INTERVAL);
        let spare = T1_64.min(interval / 3);
        let end = now + interval - spare;
        let refresh = if refresher == us {
            // A whole transaction fits in before the end: what is lost is repeated in time.
            let before_the_end = interval.saturating_sub(spare + T1_64);
            Refresh::DueAt(now + (interval / 2).min(before_the_end))
        } else {
            Refresh::ByPeer
        };
        self.state = State::Running {
            interval,
            end,
            refresh,
        };
    }

    /// A 422 has told what is accepted. False when it tells nothing new.
    pub(super) fn lengthen(&mut self, headers: &Headers) -> bool {
        let min = headers.typed::<MinSe>().ok().flatten();
        let Some(min) = min.map(|min| Duration::from_secs(min.seconds().into())) else {
            return false;
        };
        let is_longer = min > self.min;
        self.min = self.min.max(min);
        is_longer
    }

    /// Whether a far end that is gone is noticed soon.
    pub(crate) fn watches(self) -> bool {
        match self.state {
            State::Off => false,
            State::Running { interval, .. } => interval <= WATCHES_UP_TO,
        }
    }

    pub(crate) fn deadline(self) -> Option<Instant> {
        match self.state {
            State::Off => None,
            State::Running {
                end,
                refresh: Refresh::DueAt(at),
                ..
            } => Some(at.min(end)),
            State::Running { end, .. } => Some(end),
        }
    }

    fn due(self, now: Instant) -> Due {
        match self.state {
            State::Running { end, .. } if end <= now => Due::End,
            State::Running {
                refresh: Refresh::DueAt(at),
                ..
            } if at <= now => Due::Refresh,
            State::Running { .. } | State::Off => Due::Nothing,
        }
    }

    fn set_refresh(&mut self, next: Refresh) {
        if let State::Running { refresh, .. } = &mut self.state {
            *refresh = next;
        }
    }

    /// The refresh has not succeeded, and is tried again.
    pub(crate) fn refresh_again_at(&mut self, at: Instant) {
        if let State::Running {
            refresh: refresh @ Refresh::UnderWay,
            ..
        } = &mut self.state
        {
            *refresh = Refresh::DueAt(at);
        }
    }
}

impl Grant {
    /// Writes the grant into a 2xx.
    pub(crate) fn write(self, headers: &mut Headers) {
        let interval = seconds(self.interval);
        headers.push_typed(&SessionExpires::new(interval, Some(self.refresher)));
        if self.refresher == Refresher::Uac {
            headers
                .push(HeaderName::Require, TIMER)
                .expect("plain text");
        }
    }
}

impl Endpoint {
    /// Refuses a request whose session interval is too short.
    pub(super) fn refuse_interval(&mut self, now: Instant, key: &ServerKey, tag: &str) {
        let status = StatusCode::SESSION_INTERVAL_TOO_SMALL;
        if let Some(mut response) = self.response_tagged(key, status, tag) {
            let min = MinSe::new(seconds(MIN_INTERVAL));
            response.headers.push_typed(&min);
            self.respond(now, key, &response);
        }
    }

    /// Somebody on the way wants a longer interval: the INVITE of a new call is sent again. False
    /// when that would not help.
    pub(super) fn invite_with_longer_interval(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        response: &Response,
    ) -> bool {
        let Some(Call {
            state: CallState::Dialing(dialing),
            ..
        }) = self.calls.get_mut(&id)
        else {
            return false;
        };
        if !dialing.timer.lengthen(&response.headers) {
            return false;
        }
        let timer = dialing.timer;
        self.send_again(now, key, |request| {
            let sequence = request.headers.required::<CSeq>();
            if sequence.is_ok_and(|sequence| sequence.number >= MAX_INVITES) {
                return false;
            }
            timer.repeat_wish(&mut request.headers);
            true
        })
    }

    /// Does what the session timer of a call asks for. False when the call is over.
    pub(super) fn session_timer_due(&mut self, now: Instant, id: CallId) -> bool {
        let Ok(established) = self.established_mut(id) else {
            return false;
        };
        match established.timer.due(now) {
            Due::Nothing => true,
            Due::Refresh => {
                self.refresh_session(now, id);
                true
            }
            Due::End => {
                // A connection that is as silent as the peer would only keep BYE from it.
                if let Some(flow) = self.calls.get(&id).and_then(|call| call.flow) {
                    self.close_if_silent(now, Path::Stream(flow));
                }
                self.hang_up_saying(now, id, CallEndCause::Timeout, ByeReason::SessionExpired);
                false
            }
        }
    }

    pub(super) fn refresh_session(&mut self, now: Instant, id: CallId) {
        let allow = self.allow();
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        // A lost re-INVITE that arrived after a younger request would be refused as out of order.
        if !established.is_quiet() {
            established.timer.set_refresh(Refresh::DueAt(now + RETRY));
            return;
        }
        let request = match established.update {
            UpdateAllowed::Yes => established.update_request(allow),
            UpdateAllowed::No => {
                let direction = established.session.direction();
                let Ok(body) = established.session.reoffer(direction) else {
                    return;
                };
                established.reinvite = Reinvite::Sent(ReinviteFor::Refresh);
                established.reinvite_goes_out(now);
                let mut request = established.reinvite_request(allow);
                request.set_body(&ContentType::sdp(), body);
                request
            }
        };
        established.timer.set_refresh(Refresh::UnderWay);
        self.send_in_dialog(now, id, request);
    }

    /// A refresh was refused, but the call stands.
    pub(super) fn refresh_refused(&mut self, now: Instant, id: CallId, response: &Response) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        if response.status() == StatusCode::SESSION_INTERVAL_TOO_SMALL {
            established.timer.lengthen(&response.headers);
        }
        established.timer.refresh_again_at(now + RETRY);
    }

    /// A refresh found no way to the far end.
    pub(super) fn refresh_undelivered(&mut self, now: Instant, id: CallId) {
        if let Ok(established) = self.established_mut(id) {
            established.timer.refresh_again_at(now + RETRY);
        }
    }
}

impl Established {
    /// A re-INVITE, complete but for its body.
    pub(super) fn reinvite_request(&mut self, allow: &str) -> Request {
        let mut request = self.dialog.request(Method::Invite);
        request
            .headers
            .push(HeaderName::Allow, allow)
            .expect("plain text");
        self.timer.ask(&mut request.headers, self.update);
        request
    }
}

fn seconds(interval: Duration) -> u32 {
    u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)
}
