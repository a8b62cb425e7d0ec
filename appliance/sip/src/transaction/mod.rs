//! The four transaction machines of RFC 3261 section 17, as RFC 6026 corrects them.
//!
//! Each machine is pure: it sees classes of messages and the time, and says what is to be done. The
//! [`endpoint`](crate::endpoint) keeps the messages, the transport and the user of each.
//!
//! Contract of every machine: after any call, ask `deadline()`; when that time has come, call
//! `handle_timeout(now)`, which does one thing and is called again while a deadline is due; when
//! `is_terminated()`, forget the machine.

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;
pub(crate) mod timers;

pub use invite_client::{InviteClient, Outcome as InviteClientOutcome};
pub use invite_server::{InviteServer, Outcome as InviteServerOutcome};
pub use non_invite_client::{NonInviteClient, Outcome as NonInviteClientOutcome};
pub use non_invite_server::{NonInviteServer, Outcome as NonInviteServerOutcome};
pub use timers::{Reliability, T1, T1_64, T2, T4};

/// What transactions tell apart in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseClass {
    /// 100-199.
    Provisional,
    /// 200-299.
    Success,
    /// 300-699.
    Failure,
}

impl ResponseClass {
    /// The class of a status code.
    #[must_use]
    pub fn of(code: u16) -> Self {
        match code {
            0..=199 => Self::Provisional,
            200..=299 => Self::Success,
            300.. => Self::Failure,
        }
    }
}
