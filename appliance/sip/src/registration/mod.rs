//! One account's registration (RFC 3261 section 10.2): when to send REGISTER, and what is known.
//!
//! ```text
//!               register                     2xx
//!  Unregistered ────────► Registering ───────────────► Registered ──┐ refresh due, flow lost
//!       ▲                   ▲     │ failure                 ▲       ▼
//!       │ answer, or none   │     ▼                     2xx └── Refreshing
//!  Deregistering       due  │   BackingOff ◄──── failure ───────────┘
//!       ▲                   └─────┘ │ forbidden, or credentials refused 3 times
//!       │ deregister                ▼
//!  any state                      Locked ── register ──► Registering
//! ```
//!
//! The machine sends nothing: it says what to send and is told how it went. Digest challenges are
//! answered beneath it; it hears of them only when the answer was refused. A locked registration
//! stays so until it is asked for again, so that a wrong password does not lock the account at the
//! registrar as well.
//!
//! An account that reaches its registrar by several flows (RFC 5626) has such a machine for each.
//! All times are those of the caller's clock: no machine knows the date.

mod back_off;
mod interval;

use std::time::{Duration, Instant};

use rand_core::Rng;

use crate::grammar::StatusCode;

pub use back_off::BackOff;
pub(crate) use back_off::{OtherFlows, random_part};
use interval::Interval;

/// Refusals of credentials or account in a row that lock the registration.
const REFUSALS_UNTIL_LOCKED: u32 = 3;
/// A registration that has stood for this long shows that its flow was good: when it breaks, it is
/// replaced at once, and failures count from the beginning. One that breaks sooner is one more
/// failure, or a registrar that lets go what it has just granted would be asked without end.
const PROVEN_AFTER: Duration = Duration::from_secs(60);
/// A flow that breaks is replaced within this time, spread so that not all rooms of a house come
/// back to their registrar at once.
const FLOW_LOST_SPREAD: Duration = Duration::from_secs(1);

/// How a registration stands, as the rest of the house sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationState {
    /// Not wanted.
    Unregistered,
    /// Asked for, not yet granted.
    Registering,
    /// Granted; refreshed in time.
    Registered,
    /// Failed; tried again after a wait.
    BackingOff(RegistrationFailure),
    /// Forbidden, or refused too often. Not tried again until asked for.
    Locked(StatusCode),
    /// Being taken back.
    Deregistering,
}

/// Why a registration failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationFailure {
    /// The registrar refused it with this final response.
    Refused(StatusCode),
    /// The registrar asked for credentials with this response, and the account has none.
    NoCredentials(StatusCode),
    /// No answer came.
    Timeout,
    /// The registrar could not be reached, or the connection broke.
    Transport,
    /// The registrar was reached, but TLS did not accept its certificate.
    Certificate,
    /// Who answered tried to prove that it knows our password, and does not (`rspauth`, RFC 7616
    /// section 3.5): perhaps not our registrar.
    ServerUnproven,
}

/// What a REGISTER transaction brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Granted for this many seconds; never believed to be longer than asked for.
    Granted { expires: u32 },
    /// 423: the registrar wants at least this many seconds.
    TooBrief { min_expires: u32 },
    /// The same is to be asked for in another way.
    AskAgain,
    /// Any other outcome.
    Failed {
        failure: RegistrationFailure,
        /// What the registrar says of when to come back.
        retry_after: Option<Duration>,
    },
}

impl Answer {
    /// A failure after which the registrar has said nothing of when to come back.
    pub(crate) const fn failed(failure: RegistrationFailure) -> Self {
        Self::Failed {
            failure,
            retry_after: None,
        }
    }
}

/// Whether a flow still starts from an address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowPlace {
    /// It does.
    Stands,
    /// It does not: the registrar has to be told where we are.
    Moved,
}

/// Send a REGISTER for this many seconds; 0 takes the binding back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Send {
    pub(crate) expires: u32,
    pub(crate) bindings: Bindings,
}

impl Send {
    const fn ours(expires: u32) -> Self {
        Self {
            expires,
            bindings: Bindings::Ours,
        }
    }
}

/// Which of the bindings of an address of record a REGISTER is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bindings {
    /// That of this flow; those of other devices are left alone.
    Ours,
    /// All, whoever made them: `Contact: *`, to take them back.
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unregistered,
    Registering,
    Registered {
        since: Instant,
        refresh_at: Instant,
    },
    /// Still bound at the registrar, as far as we know.
    Refreshing {
        since: Instant,
    },
    BackingOff {
        until: Instant,
        /// The registrar has asked to be left alone up to here.
        not_before: Instant,
        failure: RegistrationFailure,
    },
    Locked(StatusCode),
    Deregistering,
}

/// The machine; see the module's drawing.
#[derive(Debug)]
pub(crate) struct Registration {
    state: State,
    interval: Interval,
    back_off: BackOff,
    /// How long the registrar keeps what it has granted last.
    bound_until: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// Refusals in a row, of credentials or account.
    refusals: u32,
}

impl Registration {
    pub(crate) fn new(wanted: Duration, back_off: BackOff) -> Self {
        Self {
            state: State::Unregistered,
            interval: Interval::new(wanted),
            back_off,
            bound_until: None,
            failures: 0,
            refusals: 0,
        }
    }

    /// The registration is wanted. Nothing is to be sent when it stands or is under way.
    pub(crate) fn register(&mut self) -> Option<Send> {
        match self.state {
            State::Unregistered
            | State::BackingOff { .. }
            | State::Locked(_)
            | State::Deregistering => {
                self.failures = 0;
                self.refusals = 0;
                self.interval.attempt_over();
                self.state = State::Registering;
                Some(Send::ours(self.interval.seconds()))
            }
            State::Registering | State::Registered { .. } | State::Refreshing { .. } => None,
        }
    }

    /// The registration is no longer wanted. Only a binding that may exist is taken back, also while
    /// a refresh of it is waited for.
    pub(crate) fn deregister(&mut self, now: Instant) -> Option<Send> {
        let may_be_bound = self.bound_until.is_some_and(|until| until > now);
        match self.state {
            State::Registering | State::Registered { .. } | State::Refreshing { .. } => {
                self.state = State::Deregistering;
                Some(Send::ours(0))
            }
            State::BackingOff { .. } if may_be_bound => {
                self.state = State::Deregistering;
                Some(Send::ours(0))
            }
            State::Unregistered | State::BackingOff { .. } | State::Locked(_) => {
                self.state = State::Unregistered;
                None
            }
            State::Deregistering => None,
        }
    }

    /// No binding of the address of record is wanted, whoever made it.
    pub(crate) fn remove_all(&mut self) -> Send {
        self.state = State::Deregistering;
        Send {
            expires: 0,
            bindings: Bindings::All,
        }
    }

    /// Another flow of the account takes care that nothing is left of this one.
    pub(crate) fn drop_binding(&mut self) {
        self.state = State::Unregistered;
    }

    /// A REGISTER of ours has come to an end.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        answer: Answer,
        others: OtherFlows,
        rng: &mut impl Rng,
    ) -> Option<Send> {
        match self.state {
            State::Deregistering => {
                self.state = State::Unregistered;
                self.bound_until = None;
                None
            }
            State::Registering | State::Refreshing { .. } => match answer {
                Answer::Granted { expires } => {
                    self.granted(now, expires, rng);
                    None
                }
                Answer::TooBrief { min_expires } => {
                    let raised = self.interval.raise(min_expires);
                    if raised.is_none() {
                        let failure = RegistrationFailure::Refused(StatusCode::INTERVAL_TOO_BRIEF);
                        self.failed(now, failure, None, others, rng);
                    }
                    raised.map(Send::ours)
                }
                Answer::AskAgain => Some(Send::ours(self.interval.seconds())),
                Answer::Failed {
                    failure,
                    retry_after,
                } => {
                    self.failed(now, failure, retry_after, others, rng);
                    None
                }
            },
            State::Unregistered
            | State::Registered { .. }
            | State::BackingOff { .. }
            | State::Locked(_) => None,
        }
    }

    /// The flow that carries the binding is gone. A REGISTER that is under way hears of it by itself.
    pub(crate) fn flow_lost(&mut self, now: Instant, others: OtherFlows, rng: &mut impl Rng) {
        match self.state {
            State::Registered { .. } => {
                self.failed(now, RegistrationFailure::Transport, None, others, rng);
            }
            State::Unregistered
            | State::Registering
            | State::Refreshing { .. }
            | State::BackingOff { .. }
            | State::Locked(_)
            | State::Deregistering => {}
        }
    }

    /// Our addresses have changed. What the registrar knows of a flow that has `Moved` is wrong; what
    /// found no way before may find one now. What the registrar has refused stays refused.
    pub(crate) fn network_changed(&mut self, now: Instant, flow: FlowPlace, rng: &mut impl Rng) {
        let due = match &mut self.state {
            State::Registered { refresh_at, .. } if flow == FlowPlace::Moved => refresh_at,
            State::BackingOff {
                until,
                failure: RegistrationFailure::Transport | RegistrationFailure::Timeout,
                ..
            } => until,
            State::Registered { .. }
            | State::BackingOff { .. }
            | State::Unregistered
            | State::Registering
            | State::Refreshing { .. }
            | State::Locked(_)
            | State::Deregistering => return,
        };
        *due = (now + random_part(FLOW_LOST_SPREAD, rng)).min(*due);
    }

    /// Another flow of the account was refused who we are: the registrar has counted it.
    pub(crate) fn refused_elsewhere(&mut self, status: StatusCode) {
        if !is_refusal_of_who_we_are(status) {
            return;
        }
        self.refusals = self.refusals.saturating_add(1);
        match self.state {
            State::BackingOff { .. } if self.locks(status) => self.state = State::Locked(status),
            State::BackingOff { .. }
            | State::Unregistered
            | State::Registering
            | State::Registered { .. }
            | State::Refreshing { .. }
            | State::Locked(_)
            | State::Deregistering => {}
        }
    }

    /// The next time at which [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Registered { refresh_at, .. } => Some(refresh_at),
            State::BackingOff { until, .. } => Some(until),
            State::Unregistered
            | State::Registering
            | State::Refreshing { .. }
            | State::Locked(_)
            | State::Deregistering => None,
        }
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Send> {
        match self.state {
            State::Registered { since, refresh_at } if refresh_at <= now => {
                self.state = State::Refreshing { since };
                Some(Send::ours(self.interval.seconds()))
            }
            State::BackingOff { until, .. } if until <= now => {
                self.state = State::Registering;
                Some(Send::ours(self.interval.seconds()))
            }
            State::Registered { .. }
            | State::BackingOff { .. }
            | State::Unregistered
            | State::Registering
            | State::Refreshing { .. }
            | State::Locked(_)
            | State::Deregistering => None,
        }
    }

    /// How it stands, for others.
    pub(crate) fn state(&self) -> RegistrationState {
        match self.state {
            State::Unregistered => RegistrationState::Unregistered,
            State::Registering => RegistrationState::Registering,
            State::Registered { .. } | State::Refreshing { .. } => RegistrationState::Registered,
            State::BackingOff { failure, .. } => RegistrationState::BackingOff(failure),
            State::Locked(status) => RegistrationState::Locked(status),
            State::Deregistering => RegistrationState::Deregistering,
        }
    }

    /// Whether the registrar knows us, as far as we know.
    pub(crate) fn is_registered(&self) -> bool {
        matches!(
            self.state,
            State::Registered { .. } | State::Refreshing { .. }
        )
    }

    fn granted(&mut self, now: Instant, expires: u32, rng: &mut impl Rng) {
        self.refusals = 0;
        self.interval.attempt_over();
        let since = match self.state {
            State::Registered { since, .. } | State::Refreshing { since } => since,
            State::Unregistered
            | State::Registering
            | State::BackingOff { .. }
            | State::Locked(_)
            | State::Deregistering => now,
        };
        let expires = self.interval.believed(expires);
        self.bound_until = Some(now + expires);
        // At least a seventh is left for retransmissions, and for another try.
        let refresh_at = now + expires * 7 / 10 + random_part(expires * 3 / 20, rng);
        self.state = State::Registered { since, refresh_at };
    }

    fn failed(
        &mut self,
        now: Instant,
        failure: RegistrationFailure,
        retry_after: Option<Duration>,
        others: OtherFlows,
        rng: &mut impl Rng,
    ) {
        self.interval.attempt_over();
        match failure {
            RegistrationFailure::Refused(status) | RegistrationFailure::NoCredentials(status)
                if is_refusal_of_who_we_are(status) =>
            {
                self.refusals = self.refusals.saturating_add(1);
                if self.locks(status) {
                    self.state = State::Locked(status);
                    return;
                }
            }
            RegistrationFailure::Refused(_)
            | RegistrationFailure::NoCredentials(_)
            | RegistrationFailure::Timeout
            | RegistrationFailure::Transport
            | RegistrationFailure::Certificate
            | RegistrationFailure::ServerUnproven => self.refusals = 0,
        }
        let wait = match (self.was_proven(now), failure) {
            (true, RegistrationFailure::Transport | RegistrationFailure::Timeout) => {
                self.failures = 0;
                random_part(FLOW_LOST_SPREAD, rng)
            }
            (proven, _) => {
                let before = if proven { 0 } else { self.failures };
                self.failures = before.saturating_add(1);
                self.back_off.wait(self.failures, others, retry_after, rng)
            }
        };
        self.state = State::BackingOff {
            until: now + wait,
            not_before: now + retry_after.unwrap_or_default().min(wait),
            failure,
        };
    }

    /// The last flow of the account that carried a registration has failed: the time that it has left
    /// this one is over (RFC 5626 section 4.5). One try comes soon; waits after it grow as before.
    pub(crate) fn last_flow_failed(&mut self, now: Instant, rng: &mut impl Rng) {
        if let State::BackingOff {
            until, not_before, ..
        } = &mut self.state
        {
            let wait = self.back_off.wait(1, OtherFlows::Failed, None, rng);
            *until = (now + wait).max(*not_before).min(*until);
        }
    }

    /// Whether the registration had stood for long enough to say that its flow was good.
    fn was_proven(&self, now: Instant) -> bool {
        match self.state {
            State::Registered { since, .. } | State::Refreshing { since } => {
                since + PROVEN_AFTER <= now
            }
            State::Unregistered
            | State::Registering
            | State::BackingOff { .. }
            | State::Locked(_)
            | State::Deregistering => false,
        }
    }

    /// Whether this refusal is not to be met again. 403 says so itself (RFC 3261 section 21.4.4).
    fn locks(&self, status: StatusCode) -> bool {
        status == StatusCode::FORBIDDEN || self.refusals >= REFUSALS_UNTIL_LOCKED
    }
}

/// Responses that will be the same with the same credentials.
fn is_refusal_of_who_we_are(status: StatusCode) -> bool {
    [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
    ]
    .contains(&status)
}

#[cfg(test)]
mod tests;
