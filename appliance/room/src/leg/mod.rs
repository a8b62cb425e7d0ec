//! One leg: its machine, and what has been seen of it.
//!
//! ```text
//!               call comes                                       call is placed
//!                   │                                                  │
//!                   ▼                  EarlyMedia                      ▼
//!   decline ┌── Incoming          ┌───────────────────────────────  Dialing ───┐
//!   ring    │       │ answer      │     EarlyMedia                     │       │
//!   time-out│       ▼             │   ┌──────────── Ringing ◄── Ringing┘       │
//!           │   Answering         ▼   ▼                │                       │
//!           │       │           Early                  │      hang up, dial    │
//!           │       │             │    Established     │      time-out         │
//!           │       └──────────┐  │   ┌────────────────┴───────────────────────┤
//!           │  hang up,        ▼  ▼   ▼                                        │
//!           │  answer time-out Connected: local hold (open, holding, held,     │
//!           │       │            resuming) x remote hold (open, held)          │
//!           │       │                  │ hang up                               │
//!           ▼       ▼                  ▼                                       ▼
//!         Ending(reason, until) ◄────────────────────────────────────────────────
//!                   │ Ended, or nothing until the hang-up time-out
//!                   ▼
//!                 Ended ◄── Ended(reason) in any state
//! ```
//!
//! Where the way to the far end is made after the answer, Answering has media from `Answered` on, which is made ready
//! meanwhile.
//!
//! The room drives it: requests and facts come in, commands go out, and every state that waits for
//! somebody else has a deadline, `Connected` excepted. Clients see the state as [`LegState`].

mod facts;
mod hold;
mod media;
mod over_at_once;
mod requests;
mod showing;
mod slides;
mod wanted;

use std::time::Instant;

use crate::command::{Command, IfNotReplaced};
use crate::end_explanation::EndExplanation;
use crate::fact::Glare;
use crate::guest::{Guest, LegKind};
use crate::ids::LegId;
use crate::leg_state::{CallDirection, EndReason, HoldChange, LegRefusal, LegState};
use crate::leg_stats::LegStats;
use crate::media_plan::{LegConnection, LegStreams};
use crate::peer::{AnswerWish, LegSecurity, Peer, PeerTrust};
use crate::resumption::{Resumptions, WantedCall};
use crate::snapshot::{LegSnapshot, SlidesSending, VideoFlow};
use crate::turn::Turn;
use crate::units::Bitrate;
use hold::{LocalHold, RemoteHold, connected_state};
use media::{Media, MediaSummary};

/// One leg of the room.
#[derive(Debug)]
pub(crate) struct Leg {
    id: LegId,
    kind: LegKind,
    direction: CallDirection,
    peer: Peer,
    /// The account that the call goes by.
    account: Option<String>,
    /// What is remembered of the call; `None` for one that only the far end wants as yet.
    wanted: Option<WantedCall>,
    security: Option<LegSecurity>,
    state: State,
    stats: Option<LegStats>,
    dtmf_received: String,
    refused: Option<LegRefusal>,
    explanation: Option<EndExplanation>,
    started: Instant,
    established: Option<Instant>,
    first_frame: Option<Instant>,
    ended: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Incoming {
        until: Instant,
    },
    Answering {
        until: Instant,
        /// Once the answer is out, where the way to the far end is made after that.
        media: Option<Media>,
    },
    Dialing {
        until: Instant,
    },
    Ringing {
        until: Instant,
    },
    Early {
        until: Instant,
        media: Media,
    },
    Connected {
        media: Media,
        local: LocalHold,
        remote: RemoteHold,
    },
    Ending {
        reason: EndReason,
        until: Instant,
    },
    Ended(EndReason),
}

/// A call that comes in, as signalling tells of it.
#[derive(Debug)]
pub(crate) struct IncomingCall {
    pub(crate) peer: Peer,
    pub(crate) account: String,
    pub(crate) security: LegSecurity,
    pub(crate) trust: PeerTrust,
    pub(crate) wish: AnswerWish,
    pub(crate) glare: Option<Glare>,
}

impl Leg {
    /// A leg that this room dials, by `account` if it has any.
    pub(crate) fn dial(
        id: LegId,
        wanted: WantedCall,
        account: Option<String>,
        otherwise: IfNotReplaced,
        turn: &mut Turn<'_>,
    ) -> Self {
        turn.commands.push_back(Command::Dial {
            leg: id,
            target: wanted.call.target.clone(),
            account: account.clone(),
            replaced: wanted.replaced(otherwise),
        });
        let until = turn.deadline(|timeouts| timeouts.dial);
        let state = State::Dialing { until };
        let mut leg = Self::outgoing(id, &wanted.call.target, account, state, turn.now);
        leg.wanted = Some(wanted);
        leg
    }

    fn outgoing(
        id: LegId,
        target: &str,
        account: Option<String>,
        state: State,
        now: Instant,
    ) -> Self {
        let peer = Peer {
            uri: target.to_owned(),
            display_name: None,
        };
        Self::new(id, CallDirection::Outgoing, peer, account, state, now)
    }

    /// A leg that a far end opened. Nothing is told to it yet: [`Leg::ring`], [`Leg::answer`],
    /// [`Leg::refuse_busy`] or [`Leg::end`] follows at once.
    pub(crate) fn incoming(id: LegId, call: IncomingCall, turn: &Turn<'_>) -> Self {
        let state = State::Incoming {
            until: turn.deadline(|timeouts| timeouts.ring),
        };
        let IncomingCall {
            peer,
            account,
            security,
            trust: _,
            wish: _,
            glare: _,
        } = call;
        let mut leg = Self::new(
            id,
            CallDirection::Incoming,
            peer,
            Some(account),
            state,
            turn.now,
        );
        leg.security = Some(security);
        leg
    }

    /// A leg that a guest opened; as [`Leg::incoming`].
    pub(crate) fn guest(id: LegId, guest: &Guest, turn: &Turn<'_>) -> Self {
        let state = State::Incoming {
            until: turn.deadline(|timeouts| timeouts.knock),
        };
        let peer = Peer {
            uri: format!("guest:{}", guest.number),
            display_name: Some(guest.name.clone()),
        };
        let mut leg = Self::new(id, CallDirection::Incoming, peer, None, state, turn.now);
        leg.kind = LegKind::Guest;
        // There is no other way for a browser.
        leg.security = Some(LegSecurity::SECURED);
        leg
    }

    fn new(
        id: LegId,
        direction: CallDirection,
        peer: Peer,
        account: Option<String>,
        state: State,
        now: Instant,
    ) -> Self {
        Self {
            id,
            kind: LegKind::Sip,
            direction,
            peer,
            account,
            wanted: None,
            security: None,
            state,
            stats: None,
            dtmf_received: String::new(),
            refused: None,
            explanation: None,
            started: now,
            established: None,
            first_frame: None,
            ended: None,
        }
    }

    pub(crate) fn id(&self) -> LegId {
        self.id
    }

    /// Whether it is a call or a guest.
    pub(crate) fn kind(&self) -> LegKind {
        self.kind
    }

    /// The account that the call goes by.
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Whether the leg is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Whether this room is done with the leg, confirmed or not.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending { .. } | State::Ended(_))
    }

    /// Whether the leg was dialed and the far end has not answered yet.
    pub(crate) fn is_dialed(&self) -> bool {
        matches!(
            self.state,
            State::Dialing { .. } | State::Ringing { .. } | State::Early { .. }
        )
    }

    pub(crate) fn state(&self) -> LegState {
        match &self.state {
            State::Incoming { .. } => LegState::Incoming,
            State::Answering { .. } => LegState::Answering,
            State::Dialing { .. } => LegState::Dialing,
            State::Ringing { .. } => LegState::Ringing,
            State::Early { .. } => LegState::Early,
            State::Connected { local, remote, .. } => connected_state(*local, *remote),
            State::Ending { reason, .. } => LegState::Ending(*reason),
            State::Ended(reason) => LegState::Ended(*reason),
        }
    }

    fn hold_change(&self) -> HoldChange {
        match &self.state {
            State::Connected { local, .. } => local.change(),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Ending { .. }
            | State::Ended(_) => HoldChange::None,
        }
    }

    pub(crate) fn snapshot(&self) -> LegSnapshot {
        let MediaSummary {
            audio,
            video,
            slides,
        } = match &self.state {
            State::Early { media, .. } => media.summary(media.flow),
            State::Connected { media, local, .. } => {
                let flow = match local {
                    LocalHold::Open => media.flow,
                    LocalHold::Holding { .. } | LocalHold::Held | LocalHold::Resuming { .. } => {
                        VideoFlow::Off
                    }
                };
                media.summary(flow)
            }
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Ending { .. }
            | State::Ended(_) => MediaSummary::default(),
        };
        LegSnapshot {
            id: self.id,
            kind: self.kind,
            direction: self.direction,
            peer: self.peer.clone(),
            account: self.account.clone(),
            state: self.state(),
            hold_change: self.hold_change(),
            security: self.security,
            audio,
            video,
            slides,
            stats: self.stats.clone(),
            dtmf_received: self.dtmf_received.clone(),
            refused: self.refused,
            explanation: self.explanation.clone(),
            started: self.started,
            established: self.established,
            first_frame: self.first_frame,
            ended: self.ended,
        }
    }

    /// The streams that media should carry now: nothing is made of the room before the call is
    /// answered, and nothing flows while we hold the leg. `None` without media.
    pub(crate) fn planned_streams(&self) -> Option<LegStreams> {
        match &self.state {
            State::Answering { media, .. } => media.as_ref().map(Media::limited_streams),
            State::Early { media, .. } => Some(media.receiving_streams()),
            State::Connected { media, local, .. } => match local {
                LocalHold::Open => Some(media.limited_streams()),
                LocalHold::Holding { .. } | LocalHold::Held | LocalHold::Resuming { .. } => {
                    Some(media.inactive_streams())
                }
            },
            State::Incoming { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Ending { .. }
            | State::Ended(_) => None,
        }
    }

    /// Whether the way to the far end is there.
    pub(crate) fn connection(&self) -> LegConnection {
        match &self.state {
            State::Answering { .. } => LegConnection::Connecting,
            State::Incoming { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => LegConnection::Connected,
        }
    }

    /// What the network carries of the main picture to the far end; `None` where nobody measures it.
    pub(crate) fn target(&self) -> Option<Bitrate> {
        match &self.state {
            State::Early { media, .. } | State::Connected { media, .. } => media.target,
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Ending { .. }
            | State::Ended(_) => None,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Incoming { until }
            | State::Answering { until, .. }
            | State::Dialing { until }
            | State::Ringing { until }
            | State::Early { until, .. }
            | State::Ending { until, .. } => Some(*until),
            State::Connected { local, media, .. } => {
                let asked = [local.deadline(), media.slides.deadline(), self.proven()];
                asked.into_iter().flatten().min()
            }
            State::Ended(_) => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        if self.next_deadline().is_none_or(|until| turn.now < until) {
            return;
        }
        match &mut self.state {
            State::Incoming { .. } => self.end(EndReason::Missed, turn),
            State::Answering { .. } => {
                self.end(EndReason::AnswerTimedOut, turn);
            }
            State::Dialing { .. } => self.end(EndReason::DialTimedOut, turn),
            State::Ringing { .. } | State::Early { .. } => {
                self.end(EndReason::NotAnswered, turn);
            }
            State::Connected { local, media, .. } => {
                let asked = media.slides.sending() == SlidesSending::Waiting;
                media.slides.handle_timeout(self.id, turn);
                if asked && media.slides.sending() == SlidesSending::Off {
                    self.refused = Some(LegRefusal::Slides);
                }
                if local.deadline().is_some_and(|until| until <= turn.now) {
                    self.hold_failed();
                    self.resume_failed();
                }
                if self.proven().is_some_and(|until| until <= turn.now)
                    && let Some(wanted) = &mut self.wanted
                {
                    wanted.resumptions = Resumptions::default();
                }
            }
            State::Ending { .. } => {
                self.state = State::Ended(EndReason::HangUpTimedOut);
                self.ended = Some(turn.now);
            }
            State::Ended(_) => {}
        }
    }

    fn media(&mut self) -> Option<&mut Media> {
        match &mut self.state {
            State::Early { media, .. } | State::Connected { media, .. } => Some(media),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Ending { .. }
            | State::Ended(_) => None,
        }
    }

    fn local_hold(&mut self) -> Option<&mut LocalHold> {
        match &mut self.state {
            State::Connected { local, .. } => Some(local),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Ending { .. }
            | State::Ended(_) => None,
        }
    }
}
