//! Calls: what the endpoint remembers of one INVITE dialog from the first message to the last.
//!
//! ```text
//!  invite ─► Dialing ──── 2xx, ACK sent ────────────────► Established ◄─┐ re-INVITE, UPDATE, INFO,
//!            1xx: early dialogs, PRACK                       │    │ └────┘ OPTIONS of either side;
//!               │ │ 3xx: the next target                     │    │        INVITE with Replaces
//!               │ │ final refusal, timeout: (gone)           │    │ BYE received: (gone)
//!               │ └ hang up: Leaving::Cancelling             │    │ ACK never came, nobody
//!               │      │ 487: (gone)                         │    │ refreshed the session: BYE
//!               │      │ 2xx after all: ACK, then BYE        │ hang up
//!  INVITE       │      ▼                                     ▼
//!  received ─► Offered │ ◄─ answer before ACK: Leaving::AwaitingAck ── ACK ──┐
//!               │ │    ▼                                                     ▼
//!               │ └── answer: Established               Leaving::HangingUp ── final: (gone)
//!               └ reject, CANCEL, ring limit, no PRACK: (gone)
//! ```
//!
//! `Event::Ended` is told when the call is over for its user: at once when we hang up. `Leaving` is
//! what is left to be done after that.
//!
//! The data and its small decisions are here; what the endpoint does with them is in `outgoing` and
//! `incoming` before the answer, with `early_dialog`, `reliable` and `redirect`, and in `success_ack`,
//! `in_dialog`, `update`, `session_timer`, `liveness`, `floor_connection` and `replaces` after it,
//! until `hang_up`.

mod answer_wish;
mod early_dialog;
mod early_media;
mod explanation;
mod floor_connection;
pub(crate) mod glare;
mod hang_up;
mod in_dialog;
mod incoming;
mod liveness;
pub(crate) mod media_reach;
mod outgoing;
mod place;
mod redirect;
mod reliable;
pub(crate) mod replaces;
mod session_timer;
mod success_ack;
mod transfer;
mod unanswered_reinvite;
mod update;
pub(crate) mod way_back;

use std::net::IpAddr;
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

use self::answer_wish::AnswerMode;
use self::early_dialog::EarlyDialog;
use self::floor_connection::FloorRenewal;
use self::glare::Placed;
use self::hang_up::ByeReason;
use self::liveness::Liveness;
use self::redirect::Redirects;
use self::reliable::{Progress, ResponseNumber};
use self::replaces::IfNotReplaced;
use self::session_timer::SessionTimer;
use self::transfer::Transfer;
use self::unanswered_reinvite::ReinviteLimit;
use self::update::UpdateAllowed;

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
    /// The address for media that our user has given, whatever the offer names.
    pub(crate) given_address: IpAddr,
    /// The forks that have said something.
    pub(crate) early: Vec<EarlyDialog>,
    pub(crate) ringing: RingingTold,
    /// The sequence number of the last INVITE.
    pub(crate) sequence: u32,
    pub(crate) redirects: Redirects,
    /// The outbound proxies that were asked for the present target, by their `reg-id`.
    pub(crate) proxies_tried: Vec<u32>,
    pub(crate) if_not_replaced: IfNotReplaced,
    pub(crate) timer: SessionTimer,
    /// When we give up.
    pub(crate) until: Instant,
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
    /// What the caller has been told.
    pub(crate) progress: Progress,
    /// How it is answered, once it is.
    pub(crate) answer_mode: AnswerMode,
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
    pub(crate) reinvite_limit: ReinviteLimit,
    pub(crate) reinvite_answers: ReinviteAnswers,
    /// A reliable response that the answer has overtaken.
    pub(crate) late_prack: Option<ResponseNumber>,
    pub(crate) timer: SessionTimer,
    /// Whether the far end takes UPDATE.
    pub(crate) update: UpdateAllowed,
    /// Whether the far end is still there.
    pub(crate) liveness: Liveness,
    /// Hold or both ways: what our user wants.
    pub(crate) wanted: Direction,
    /// The address of ours that the far end has refused to hear of.
    pub(crate) refused_place: Option<IpAddr>,
    /// How often it could not be told where we are, one after the other.
    pub(crate) moves_undelivered: u8,
    /// Whether the far end is to be asked for another connection of floor control.
    pub(crate) floor_renewal: FloorRenewal,
    /// What the far end has asked for by REFER.
    pub(crate) transfer: Transfer,
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
    /// Under way.
    Sent(ReinviteFor),
    /// Met the peer's own (491): tried again then.
    Waiting {
        until: Instant,
    },
}

/// Re-INVITEs of ours whose final answer has not been heard, by their sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReinviteAnswers {
    /// That of the one under way.
    pub(crate) awaited: Option<u32>,
    /// One that would have come by a way that is gone: the far end may wait for its ACK.
    pub(crate) lost: Option<u32>,
}

/// What a re-INVITE of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReinviteFor {
    /// A hold or its end.
    Direction(Direction),
    /// Media comes to another address of ours.
    Move,
    /// Floor control is to have a connection again.
    FloorConnection,
    /// The session timer.
    Refresh,
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
        reason: ByeReason,
    },
}

/// All connections to a peer that reboots break at once, but we learn of them one by one.
const BYE_ATTEMPTS: u8 = 4;

impl Leaving {
    pub(crate) fn hanging_up(dialog: Dialog) -> Self {
        Self::hanging_up_saying(dialog, ByeReason::None)
    }

    fn hanging_up_saying(dialog: Dialog, reason: ByeReason) -> Self {
        Self::HangingUp {
            dialog: Box::new(dialog),
            attempts_left: BYE_ATTEMPTS - 1,
            reason,
        }
    }

    /// What BYE says about itself.
    fn bye_reason(&self) -> ByeReason {
        match self {
            Self::Cancelling { .. } | Self::AwaitingAck(_) => ByeReason::None,
            Self::HangingUp { reason, .. } => *reason,
        }
    }

    fn dialog_mut(&mut self) -> Option<&mut Dialog> {
        match self {
            Self::Cancelling { .. } => None,
            Self::AwaitingAck(established) => Some(&mut established.dialog),
            Self::HangingUp { dialog, .. } => Some(dialog),
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
            reinvite_limit: ReinviteLimit::None,
            reinvite_answers: ReinviteAnswers::default(),
            late_prack: None,
            timer: SessionTimer::off(),
            update: UpdateAllowed::No,
            liveness: Liveness::heard(now),
            wanted: Direction::SendRecv,
            refused_place: None,
            moves_undelivered: 0,
            floor_renewal: FloorRenewal::None,
            transfer: Transfer::default(),
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
        let ask = self.liveness.deadline().filter(|_| !self.timer.watches());
        self.ack_deadline()
            .into_iter()
            .chain(retry)
            .chain(self.reinvite_deadline())
            .chain(ask)
            .chain(self.timer.deadline())
            .min()
    }
}

impl Call {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            CallState::Dialing(dialing) => Some(dialing.until),
            CallState::Offered(offered) => {
                let progress = offered.progress.deadline();
                Some(progress.map_or(offered.until, |at| at.min(offered.until)))
            }
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

    /// The dialog of a call that has one, and no more than one.
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
            CallState::Leaving(leaving) => leaving.dialog_mut(),
        }
    }

    /// Whether a request of the far end belongs to this call.
    pub(crate) fn owns_request(
        &self,
        call_id: &grammar::CallId,
        to_tag: &str,
        from_tag: Option<&str>,
    ) -> bool {
        let owns = |dialog: &Dialog| dialog.owns_request(call_id, to_tag, from_tag);
        match &self.state {
            CallState::Dialing(dialing) => dialing.dialogs().any(owns),
            CallState::Offered(_) | CallState::Established(_) | CallState::Leaving(_) => {
                self.dialog().is_some_and(owns)
            }
        }
    }

    /// The dialog, early or not, with the far end of this tag.
    pub(crate) fn dialog_with(&mut self, remote_tag: Option<&str>) -> Option<&mut Dialog> {
        match &mut self.state {
            CallState::Dialing(dialing) => dialing.dialog_with(remote_tag),
            CallState::Offered(offered) => Some(&mut offered.dialog),
            CallState::Established(established) => Some(&mut established.dialog),
            CallState::Leaving(leaving) => leaving.dialog_mut(),
        }
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
