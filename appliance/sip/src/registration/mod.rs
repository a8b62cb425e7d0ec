//! One account's registration (RFC 3261 section 10.2): when to send REGISTER, and what is known.
//!
//! ```text
//!               register                     2xx
//!  Unregistered ────────► Registering ───────────────► Registered ──┐ refresh due, flow lost
//!       ▲                   ▲     │ failure                 ▲       ▼
//!       │ answer, or none   │     ▼                     2xx └── Refreshing
//!  Deregistering       due  │   BackingOff ◄──── failure ───────────┘
//!       ▲                   └─────┘ │ credentials or account refused 3 times
//!       │ deregister                ▼
//!  any state                      Locked ── register ──► Registering
//! ```
//!
//! The machine sends nothing: it says what to send and is told how it went. Digest challenges are
//! answered beneath it; it hears of them only when the answer was refused. A locked registration
//! stays so until it is asked for again, so that a wrong password does not lock the account at the
//! registrar as well.

use std::time::{Duration, Instant};

use rand_core::Rng;

use crate::grammar::StatusCode;

/// Refusals of credentials or account in a row that lock the registration.
const REFUSALS_UNTIL_LOCKED: u32 = 3;
/// The first wait after a failure. It doubles with each further one.
const BACK_OFF_FIRST: Duration = Duration::from_secs(2);
/// The longest wait after a failure.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// A flow that breaks is replaced within this time, spread so that not all rooms of a house come
/// back to their registrar at once.
const FLOW_LOST_SPREAD: Duration = Duration::from_secs(1);
/// The shortest registration that we ask for or believe.
const MIN_EXPIRES: u32 = 10;
/// The longest that we let a registrar ask for in Min-Expires: a day.
const MAX_EXPIRES: u32 = 86_400;

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
    /// Refused too often. Not tried again until asked for.
    Locked(StatusCode),
    /// Being taken back.
    Deregistering,
}

/// Why a registration failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationFailure {
    /// The registrar refused it with this final response.
    Refused(StatusCode),
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
    /// Any other outcome.
    Failed(RegistrationFailure),
}

/// Send a REGISTER for this many seconds; 0 takes the binding back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Send {
    pub(crate) expires: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unregistered,
    Registering,
    Registered {
        refresh_at: Instant,
    },
    /// Still bound at the registrar, as far as we know.
    Refreshing,
    BackingOff {
        until: Instant,
        failure: RegistrationFailure,
    },
    Locked(StatusCode),
    Deregistering,
}

/// The machine; see the module's drawing.
#[derive(Debug)]
pub(crate) struct Registration {
    state: State,
    /// What to ask for, in seconds; a registrar's Min-Expires raises it.
    wanted: u32,
    /// Failures in a row.
    failures: u32,
    /// Refusals in a row, of credentials or account.
    refusals: u32,
}

impl Registration {
    pub(crate) fn new(wanted: Duration) -> Self {
        let seconds = u32::try_from(wanted.as_secs()).unwrap_or(MAX_EXPIRES);
        Self {
            state: State::Unregistered,
            wanted: seconds.clamp(MIN_EXPIRES, MAX_EXPIRES),
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
                self.state = State::Registering;
                Some(Send {
                    expires: self.wanted,
                })
            }
            State::Registering | State::Registered { .. } | State::Refreshing => None,
        }
    }

    /// The registration is no longer wanted. Only a binding that may exist is taken back.
    pub(crate) fn deregister(&mut self) -> Option<Send> {
        match self.state {
            State::Registering | State::Registered { .. } | State::Refreshing => {
                self.state = State::Deregistering;
                Some(Send { expires: 0 })
            }
            State::Unregistered | State::BackingOff { .. } | State::Locked(_) => {
                self.state = State::Unregistered;
                None
            }
            State::Deregistering => None,
        }
    }

    /// A REGISTER of ours has come to an end.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        answer: Answer,
        rng: &mut impl Rng,
    ) -> Option<Send> {
        match self.state {
            State::Deregistering => {
                self.state = State::Unregistered;
                None
            }
            State::Registering | State::Refreshing => match answer {
                Answer::Granted { expires } => {
                    self.granted(now, expires);
                    None
                }
                Answer::TooBrief { min_expires } if min_expires > self.wanted => {
                    self.wanted = min_expires.min(MAX_EXPIRES);
                    Some(Send {
                        expires: self.wanted,
                    })
                }
                Answer::TooBrief { .. } => {
                    self.failed(
                        now,
                        RegistrationFailure::Refused(StatusCode::INTERVAL_TOO_BRIEF),
                        rng,
                    );
                    None
                }
                Answer::Failed(failure) => {
                    self.failed(now, failure, rng);
                    None
                }
            },
            State::Unregistered
            | State::Registered { .. }
            | State::BackingOff { .. }
            | State::Locked(_) => None,
        }
    }

    /// The connection that carries the binding is gone.
    pub(crate) fn flow_lost(&mut self, now: Instant, rng: &mut impl Rng) {
        if let State::Registered { .. } = self.state {
            self.state = State::BackingOff {
                until: now + random_part(FLOW_LOST_SPREAD, rng),
                failure: RegistrationFailure::Transport,
            };
        }
    }

    /// The next time at which [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Registered { refresh_at } => Some(refresh_at),
            State::BackingOff { until, .. } => Some(until),
            State::Unregistered
            | State::Registering
            | State::Refreshing
            | State::Locked(_)
            | State::Deregistering => None,
        }
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Send> {
        match self.state {
            State::Registered { refresh_at } if refresh_at <= now => {
                self.state = State::Refreshing;
                Some(Send {
                    expires: self.wanted,
                })
            }
            State::BackingOff { until, .. } if until <= now => {
                self.state = State::Registering;
                Some(Send {
                    expires: self.wanted,
                })
            }
            State::Registered { .. }
            | State::BackingOff { .. }
            | State::Unregistered
            | State::Registering
            | State::Refreshing
            | State::Locked(_)
            | State::Deregistering => None,
        }
    }

    /// How it stands, for others.
    pub(crate) fn state(&self) -> RegistrationState {
        match self.state {
            State::Unregistered => RegistrationState::Unregistered,
            State::Registering => RegistrationState::Registering,
            State::Registered { .. } | State::Refreshing => RegistrationState::Registered,
            State::BackingOff { failure, .. } => RegistrationState::BackingOff(failure),
            State::Locked(status) => RegistrationState::Locked(status),
            State::Deregistering => RegistrationState::Deregistering,
        }
    }

    /// Whether the registrar knows us, as far as we know.
    pub(crate) fn is_registered(&self) -> bool {
        matches!(self.state, State::Registered { .. } | State::Refreshing)
    }

    fn granted(&mut self, now: Instant, expires: u32) {
        self.failures = 0;
        self.refusals = 0;
        let expires = expires.clamp(MIN_EXPIRES, self.wanted);
        // Five sixths leave time for one more round of retransmissions (32 s) of an hour's, and a
        // sixth of any.
        let refresh_at = now + Duration::from_secs(u64::from(expires)) * 5 / 6;
        self.state = State::Registered { refresh_at };
    }

    fn failed(&mut self, now: Instant, failure: RegistrationFailure, rng: &mut impl Rng) {
        if let RegistrationFailure::Refused(status) = failure
            && is_refusal_of_who_we_are(status)
        {
            self.refusals += 1;
            if self.refusals >= REFUSALS_UNTIL_LOCKED {
                self.state = State::Locked(status);
                return;
            }
        } else {
            self.refusals = 0;
        }
        let longest = BACK_OFF_FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(BACK_OFF_MAX);
        self.failures = self.failures.saturating_add(1);
        // Half of it is certain, the other half random (RFC 5626 section 4.5).
        let wait = longest / 2 + random_part(longest / 2, rng);
        self.state = State::BackingOff {
            until: now + wait,
            failure,
        };
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

fn random_part(longest: Duration, rng: &mut impl Rng) -> Duration {
    longest.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    struct Bench {
        now: Instant,
        rng: ChaCha8Rng,
        registration: Registration,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                now: Instant::now(),
                rng: ChaCha8Rng::seed_from_u64(1),
                registration: Registration::new(HOUR),
            }
        }

        fn registering() -> Self {
            let mut bench = Self::new();
            assert_eq!(bench.registration.register(), Some(Send { expires: 3600 }));
            bench
        }

        fn answer(&mut self, answer: Answer) -> Option<Send> {
            self.registration.answered(self.now, answer, &mut self.rng)
        }

        fn refused(&mut self, status: StatusCode) {
            self.answer(Answer::Failed(RegistrationFailure::Refused(status)));
        }

        /// Moves to the next deadline; returns the wait and what is to be sent.
        fn wait(&mut self) -> (Duration, Option<Send>) {
            let at = self.registration.deadline().unwrap();
            let waited = at - self.now;
            self.now = at;
            (waited, self.registration.handle_timeout(at))
        }
    }

    #[test]
    fn a_granted_registration_is_refreshed_before_it_expires() {
        let mut bench = Bench::registering();
        bench.answer(Answer::Granted { expires: 600 });
        assert_eq!(bench.registration.state(), RegistrationState::Registered);
        assert_eq!(
            bench.wait(),
            (Duration::from_secs(500), Some(Send { expires: 3600 }))
        );
        assert_eq!(bench.registration.state(), RegistrationState::Registered);
        bench.answer(Answer::Granted { expires: 60 });
        assert_eq!(bench.wait().0, Duration::from_secs(50));
    }

    #[test]
    fn asking_again_changes_nothing_while_it_stands_or_is_under_way() {
        let mut bench = Bench::registering();
        assert_eq!(bench.registration.register(), None);
        bench.answer(Answer::Granted { expires: 600 });
        assert_eq!(bench.registration.register(), None);
    }

    #[test]
    fn a_registrar_that_finds_the_interval_too_brief_gets_what_it_wants_but_no_loop() {
        let mut bench = Bench::registering();
        let again = bench.answer(Answer::TooBrief { min_expires: 7200 });
        assert_eq!(again, Some(Send { expires: 7200 }));
        assert_eq!(bench.answer(Answer::TooBrief { min_expires: 7200 }), None);
        assert_eq!(
            bench.registration.state(),
            RegistrationState::BackingOff(RegistrationFailure::Refused(
                StatusCode::INTERVAL_TOO_BRIEF
            ))
        );
    }

    #[test]
    fn failures_are_retried_with_growing_random_waits_up_to_a_limit() {
        let mut bench = Bench::registering();
        let mut longest = BACK_OFF_FIRST;
        for _ in 0..12 {
            bench.answer(Answer::Failed(RegistrationFailure::Timeout));
            let (waited, send) = bench.wait();
            assert!(
                (longest / 2..=longest).contains(&waited),
                "{waited:?} of {longest:?}"
            );
            assert_eq!(send, Some(Send { expires: 3600 }));
            longest = (longest * 2).min(BACK_OFF_MAX);
        }
    }

    #[test]
    fn repeated_refusals_of_the_credentials_lock_until_it_is_asked_for_again() {
        let mut bench = Bench::registering();
        for _ in 1..REFUSALS_UNTIL_LOCKED {
            bench.refused(StatusCode::FORBIDDEN);
            bench.wait();
        }
        bench.refused(StatusCode::UNAUTHORIZED);
        assert_eq!(
            bench.registration.state(),
            RegistrationState::Locked(StatusCode::UNAUTHORIZED)
        );
        assert_eq!(bench.registration.deadline(), None);
        assert_eq!(bench.registration.register(), Some(Send { expires: 3600 }));
    }

    #[test]
    fn other_failures_between_refusals_do_not_lock() {
        let mut bench = Bench::registering();
        for _ in 0..6 {
            bench.refused(StatusCode::FORBIDDEN);
            bench.wait();
            bench.refused(StatusCode::SERVICE_UNAVAILABLE);
            bench.wait();
        }
        assert_eq!(bench.registration.state(), RegistrationState::Registering);
    }

    #[test]
    fn a_lost_flow_is_replaced_soon() {
        let mut bench = Bench::registering();
        bench.answer(Answer::Granted { expires: 600 });
        bench.registration.flow_lost(bench.now, &mut bench.rng);
        let (waited, send) = bench.wait();
        assert!(waited <= FLOW_LOST_SPREAD);
        assert_eq!(send, Some(Send { expires: 3600 }));
    }

    #[test]
    fn deregistration_takes_back_only_what_may_exist() {
        let mut bench = Bench::new();
        assert_eq!(bench.registration.deregister(), None);
        let mut bench = Bench::registering();
        assert_eq!(bench.registration.deregister(), Some(Send { expires: 0 }));
        bench.answer(Answer::Failed(RegistrationFailure::Timeout));
        assert_eq!(bench.registration.state(), RegistrationState::Unregistered);
    }
}
