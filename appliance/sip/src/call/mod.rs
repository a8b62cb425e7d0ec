//! Calls: what the endpoint remembers of one INVITE dialog from the first message to the last.
//!
//! ```text
//!  invite ─► Dialing ──── 2xx, ACK sent ────────────────► Established ◄─┐ re-INVITE, INFO, OPTIONS
//!               │ │ final refusal, timeout: (gone)           │    │ └────┘ of either side
//!               │ └ hang up: Leaving::Cancelling             │    │ BYE received: (gone)
//!               │      │ 487: (gone)                         │    │ ACK never came: BYE
//!               │      │ 2xx after all: ACK, then BYE        │ hang up
//!  INVITE       │      ▼                                     ▼
//!  received ─► Offered │ ◄─ answer before ACK: Leaving::AwaitingAck ── ACK ──┐
//!               │ │    ▼                                                     ▼
//!               │ └── answer: Established               Leaving::HangingUp ── final: (gone)
//!               └ reject, CANCEL, ring limit: (gone)
//! ```
//!
//! `Event::Ended` is told when the call is over for its user: at once when we hang up. `Leaving` is
//! what is left to be done after that.
//!
//! The data and its small decisions are here; `outgoing`, `incoming` and `in_dialog` hold what the
//! endpoint does with them.

pub(crate) mod glare;
mod in_dialog;
mod incoming;
mod liveness;
mod outgoing;

use std::time::{Duration, Instant};

use bytes::Bytes;
use room::codec::Direction;

use crate::dialog::Dialog;
use crate::endpoint::AccountName;
use crate::endpoint::keys::{ClientKey, ServerKey};
use crate::grammar::{self, Request, StatusCode};
use crate::offer_answer::Session;
use crate::transaction::T1_64;
use crate::transaction::timers::Retransmission;
use crate::transport::{FlowId, Path, Transport};

use self::glare::Placed;
use self::liveness::Liveness;

/// Calls at once, those that are ending included.
pub(crate) const MAX_CALLS: usize = 64;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) account: AccountName,
    /// How its signalling travels.
    pub(crate) signalling: Transport,
    /// The connection that in-dialog requests may use again.
    pub(crate) flow: Option<FlowId>,
    pub(crate) state: CallState,
}

#[derive(Debug)]
pub(crate) enum CallState {
    Dialing(Box<Dialing>),
    Offered(Box<Offered>),
    Established(Box<Established>),
    Leaving(Leaving),
}

/// We have sent, or are about to send, an INVITE.
#[derive(Debug)]
pub(crate) struct Dialing {
    /// `None` while the way to the peer is being found.
    pub(crate) invite: Option<ClientKey>,
    /// Whom we call, and by which Call-ID.
    pub(crate) placed: Placed,
    /// Our offer, without any answer.
    pub(crate) offer: Session,
    /// The latest early answer.
    pub(crate) early: Option<Early>,
    pub(crate) ringing: RingingTold,
    /// When we give up.
    pub(crate) until: Instant,
}

/// An answer in a provisional response.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) remote_tag: Option<String>,
    pub(crate) session: Session,
}

/// Whether the caller knows that the far end rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingingTold {
    No,
    Yes,
}

/// We have received an INVITE and not given a final response.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) invite: ServerKey,
    pub(crate) request: Request,
    pub(crate) dialog: Dialog,
    /// When we refuse for lack of an answer.
    pub(crate) until: Instant,
    /// With what: 480, or 487 when the caller has set the limit (RFC 3261 section 13.3.1).
    pub(crate) at_limit: StatusCode,
}

/// Both ends have agreed, or will have with the ACK.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) role: Role,
    pub(crate) dialog: Dialog,
    pub(crate) session: Session,
    pub(crate) awaiting_ack: Option<AwaitingAck>,
    pub(crate) reinvite: Reinvite,
    /// Whether the far end is still there.
    pub(crate) liveness: Liveness,
    /// Hold or both ways: what our user wants.
    pub(crate) wanted: Direction,
}

/// Who made the call. The caller's end owns the Call-ID, which decides how long each waits after
/// 491 (RFC 3261 section 14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Caller,
    Called,
}

/// Our 2xx is repeated until its ACK comes (RFC 3261 section 13.3.1.4), over TCP and TLS too.
#[derive(Debug)]
pub(crate) struct AwaitingAck {
    /// Sequence number of the INVITE.
    pub(crate) sequence: u32,
    pub(crate) response: Bytes,
    pub(crate) path: Path,
    pub(crate) retransmission: Retransmission,
    pub(crate) give_up: Instant,
    pub(crate) carries: AckCarries,
}

/// What the awaited ACK brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckCarries {
    /// Nothing: the offer was in the INVITE.
    Nothing,
    /// The answer to our first offer: the call is established with it.
    FirstAnswer,
    /// The answer to our offer in the response to a re-INVITE.
    LaterAnswer,
}

impl AwaitingAck {
    pub(crate) fn new(
        now: Instant,
        sequence: u32,
        response: Bytes,
        path: Path,
        carries: AckCarries,
    ) -> Self {
        Self {
            sequence,
            response,
            path,
            retransmission: Retransmission::capped(now),
            give_up: now + T1_64,
            carries,
        }
    }
}

/// Our own re-INVITE.
#[derive(Debug)]
pub(crate) enum Reinvite {
    Idle,
    /// Under way. The direction that it asks for.
    Sent(Direction),
    /// Met the peer's own (491): tried again then.
    Waiting {
        until: Instant,
    },
}

/// What is left to be done for a call that has ended for its user.
#[derive(Debug)]
pub(crate) enum Leaving {
    /// The INVITE has no final response. CANCEL may be sent only once it has a provisional one.
    Cancelling {
        invite: ClientKey,
        cancelled: Cancelled,
    },
    /// BYE has to wait for the ACK of our 2xx (RFC 3261 section 15).
    AwaitingAck(Box<Established>),
    /// BYE is under way. How often it may still be sent over another connection when it is lost with
    /// one: without it the far end would believe that the call stands.
    HangingUp {
        dialog: Box<Dialog>,
        attempts_left: u8,
    },
}

/// All connections to a peer that reboots break at once, but we learn of them one by one.
const BYE_ATTEMPTS: u8 = 4;

impl Leaving {
    pub(crate) fn hanging_up(dialog: Dialog) -> Self {
        Self::HangingUp {
            dialog: Box::new(dialog),
            attempts_left: BYE_ATTEMPTS - 1,
        }
    }
}

/// Whether CANCEL was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    NotYet,
    /// A final response is no longer waited for then (RFC 3261 section 9.1).
    Sent {
        give_up: Instant,
    },
}

impl Established {
    pub(crate) fn new(now: Instant, role: Role, dialog: Dialog, session: Session) -> Self {
        Self {
            role,
            dialog,
            session,
            awaiting_ack: None,
            reinvite: Reinvite::Idle,
            liveness: Liveness::heard(now),
            wanted: Direction::SendRecv,
        }
    }

    /// Whether nothing is under way that a re-INVITE would meet.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self.reinvite, Reinvite::Idle)
            && self.awaiting_ack.is_none()
            && !self.session.is_offering()
    }

    fn ack_deadline(&self) -> Option<Instant> {
        self.awaiting_ack
            .as_ref()
            .map(|awaiting| awaiting.retransmission.at().min(awaiting.give_up))
    }

    fn deadline(&self) -> Option<Instant> {
        let retry = match self.reinvite {
            Reinvite::Waiting { until } => Some(until),
            Reinvite::Idle | Reinvite::Sent(_) => None,
        };
        let ask = self.liveness.deadline();
        self.ack_deadline()
            .into_iter()
            .chain(retry)
            .chain(ask)
            .min()
    }
}

impl Call {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            CallState::Dialing(dialing) => Some(dialing.until),
            CallState::Offered(offered) => Some(offered.until),
            CallState::Established(established) => established.deadline(),
            CallState::Leaving(leaving) => match leaving {
                Leaving::Cancelling {
                    cancelled: Cancelled::Sent { give_up },
                    ..
                } => Some(*give_up),
                Leaving::Cancelling {
                    cancelled: Cancelled::NotYet,
                    ..
                }
                | Leaving::HangingUp { .. } => None,
                Leaving::AwaitingAck(established) => established.ack_deadline(),
            },
        }
    }

    /// The dialog of a call that has one.
    pub(crate) fn dialog(&self) -> Option<&Dialog> {
        match &self.state {
            CallState::Dialing(_) => None,
            CallState::Offered(offered) => Some(&offered.dialog),
            CallState::Established(established) => Some(&established.dialog),
            CallState::Leaving(leaving) => match leaving {
                Leaving::Cancelling { .. } => None,
                Leaving::AwaitingAck(established) => Some(&established.dialog),
                Leaving::HangingUp { dialog, .. } => Some(dialog),
            },
        }
    }

    pub(crate) fn dialog_mut(&mut self) -> Option<&mut Dialog> {
        match &mut self.state {
            CallState::Dialing(_) => None,
            CallState::Offered(offered) => Some(&mut offered.dialog),
            CallState::Established(established) => Some(&mut established.dialog),
            CallState::Leaving(leaving) => match leaving {
                Leaving::Cancelling { .. } => None,
                Leaving::AwaitingAck(established) => Some(&mut established.dialog),
                Leaving::HangingUp { dialog, .. } => Some(dialog),
            },
        }
    }

    /// Whether a request of the far end belongs to this call.
    pub(crate) fn owns_request(
        &self,
        call_id: &grammar::CallId,
        to_tag: &str,
        from_tag: Option<&str>,
    ) -> bool {
        self.dialog()
            .is_some_and(|dialog| dialog.owns_request(call_id, to_tag, from_tag))
    }
}

/// How long to wait after 491 (RFC 3261 section 14.1), given 16 random bits.
pub(crate) fn glare_wait(role: Role, random: u16) -> Duration {
    let (from, steps) = match role {
        Role::Caller => (2_100, 190),
        Role::Called => (0, 200),
    };
    Duration::from_millis(from + 10 * (u64::from(random) % (steps + 1)))
}
