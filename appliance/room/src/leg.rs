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
//! The room drives it: requests and facts come in, commands go out, and every state that waits for
//! somebody else has a deadline, `Connected` excepted. Clients see the state as [`LegState`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::codec::Direction;
use crate::command::{Command, RejectCause};
use crate::dtmf::{DtmfDigit, DtmfDigits};
use crate::fact::Glare;
use crate::ids::LegId;
use crate::leg_state::{CallDirection, EndReason, HeldBy, HoldChange, LegState};
use crate::leg_stats::LegStats;
use crate::media_plan::{LegStreams, VideoStream};
use crate::peer::{AnswerWish, LegSecurity, Peer, PeerTrust};
use crate::policy::{CallTarget, Timeouts};
use crate::request::{Admission, DeniedReason};
use crate::resumption::{DialogName, PROVEN_AFTER, Resumptions, WantedCall};
use crate::snapshot::{LegSnapshot, VideoFlow, summaries};
use crate::units::Bitrate;

/// How many received keys a leg keeps.
const MAX_DTMF_RECEIVED: usize = 32;

/// One leg of the room.
#[derive(Debug)]
pub(crate) struct Leg {
    id: LegId,
    direction: CallDirection,
    peer: Peer,
    /// The account that the call goes by.
    account: Option<String>,
    /// The call that somebody here asked for; `None` for a leg that only the far end wanted.
    placed: Option<WantedCall>,
    security: Option<LegSecurity>,
    state: State,
    stats: Option<LegStats>,
    dtmf_received: String,
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

#[derive(Debug)]
struct Media {
    /// As settled.
    streams: LegStreams,
    /// The most video that the far end takes for the time being.
    requested_bitrate: Option<Bitrate>,
    flow: VideoFlow,
}

impl Media {
    fn new(streams: LegStreams) -> Self {
        Self {
            streams,
            requested_bitrate: None,
            flow: VideoFlow::Waiting,
        }
    }

    /// New streams. What the far end has asked for stays while its video does: with other keys or
    /// numbers another receiver takes it.
    fn settle(&mut self, streams: LegStreams) {
        let before = std::mem::replace(&mut self.streams, streams);
        let same = self.streams.video.as_ref().zip(before.video.as_ref());
        let same = same.is_some_and(|(video, before)| {
            *before
                == VideoStream {
                    direction: before.direction,
                    max_bitrate: before.max_bitrate,
                    ..video.clone()
                }
        });
        if !same {
            self.requested_bitrate = None;
        }
    }

    /// The streams within what the far end takes now.
    fn limited_streams(&self) -> LegStreams {
        let mut streams = self.streams.clone();
        if let Some(video) = &mut streams.video {
            let limits = video.max_bitrate.into_iter().chain(self.requested_bitrate);
            video.max_bitrate = limits.min();
        }
        streams
    }
}

/// Our own hold. Media stops when the hold is asked for, and flows again only when the far end has
/// taken the resume: nobody is heard who thinks that he is not.
#[derive(Clone, Copy, Debug)]
enum LocalHold {
    Open,
    Holding { until: Instant },
    Held,
    Resuming { until: Instant },
}

impl LocalHold {
    const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Holding { until } | Self::Resuming { until } => Some(until),
            Self::Open | Self::Held => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum RemoteHold {
    Open,
    Held,
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

/// One input's handling: the time it is, the rules, and where commands go.
pub(crate) struct Turn<'a> {
    /// The time of the input.
    pub(crate) now: Instant,
    /// The rules on time.
    pub(crate) timeouts: &'a Timeouts,
    /// What the input sets going.
    pub(crate) commands: &'a mut VecDeque<Command>,
}

impl Turn<'_> {
    /// The moment at which a state that begins now has lasted too long.
    pub(crate) fn deadline(&self, timeout: impl Fn(&Timeouts) -> Duration) -> Instant {
        deadline(self.now, timeout(self.timeouts))
    }
}

/// A moment that is `timeout` away, at most a day, so that no configured value can overflow.
pub(crate) fn deadline(now: Instant, timeout: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    now + timeout.min(DAY)
}

impl Leg {
    /// A leg that this room dials, by `account` if it has any.
    pub(crate) fn dial(
        id: LegId,
        wanted: WantedCall,
        account: Option<String>,
        turn: &mut Turn<'_>,
    ) -> Self {
        turn.commands.push_back(Command::Dial {
            leg: id,
            target: wanted.call.target.clone(),
            account: account.clone(),
            replaced: wanted.dialog.clone(),
        });
        let until = turn.deadline(|timeouts| timeouts.dial);
        let state = State::Dialing { until };
        let mut leg = Self::outgoing(id, &wanted.call.target, account, state, turn.now);
        leg.placed = Some(wanted);
        leg
    }

    /// A leg that is over before it began: a call that will not be placed, shown with the reason.
    pub(crate) fn not_placed(id: LegId, call: CallTarget, reason: EndReason, now: Instant) -> Self {
        let state = State::Ended(reason);
        let mut leg = Self::outgoing(id, &call.target, call.account, state, now);
        leg.ended = Some(now);
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
            direction,
            peer,
            account,
            placed: None,
            security: None,
            state,
            stats: None,
            dtmf_received: String::new(),
            started: now,
            established: None,
            first_frame: None,
            ended: None,
        }
    }

    pub(crate) fn id(&self) -> LegId {
        self.id
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

    /// Whether this room placed exactly such a call. A call that names no account is the same as
    /// one to the same address by any account.
    pub(crate) fn is_call_to(&self, call: &CallTarget) -> bool {
        let placed = self.placed.as_ref();
        placed.is_some_and(|placed| placed.call.target == call.target)
            && (call.account.is_none() || call.account == self.account)
    }

    /// The call that somebody here asked for, unless only the far end wanted the leg.
    pub(crate) fn placed_call(&self) -> Option<WantedCall> {
        self.placed.clone()
    }

    /// What the way back into this call is, should it be interrupted. Of a call that somebody else
    /// placed it is theirs to know.
    pub(crate) fn dialog_named(&mut self, dialog: DialogName) {
        if let Some(placed) = &mut self.placed {
            placed.dialog = Some(dialog);
        }
    }

    /// Whether the leg was dialed and the far end has not answered yet.
    pub(crate) fn is_dialed(&self) -> bool {
        matches!(
            self.state,
            State::Dialing { .. } | State::Ringing { .. } | State::Early { .. }
        )
    }

    /// Ends in favour of the far end's own call, and hands over what was asked for here: the other
    /// leg fulfils it.
    pub(crate) fn give_way(&mut self, turn: &mut Turn<'_>) -> Option<WantedCall> {
        self.end(EndReason::GaveWay, turn);
        self.placed.take()
    }

    /// The leg fulfils a call that was asked for here.
    pub(crate) fn take_place_of(&mut self, placed: Option<WantedCall>) {
        self.placed = placed;
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
            State::Connected {
                local: LocalHold::Holding { .. },
                ..
            } => HoldChange::Holding,
            State::Connected {
                local: LocalHold::Resuming { .. },
                ..
            } => HoldChange::Resuming,
            State::Connected {
                local: LocalHold::Open | LocalHold::Held,
                ..
            }
            | State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Ending { .. }
            | State::Ended(_) => HoldChange::None,
        }
    }

    pub(crate) fn snapshot(&self) -> LegSnapshot {
        let (audio, video) = match &self.state {
            State::Early { media, .. } => summaries(&media.streams, media.flow),
            State::Connected { media, local, .. } => {
                let flow = match local {
                    LocalHold::Open => media.flow,
                    LocalHold::Holding { .. } | LocalHold::Held | LocalHold::Resuming { .. } => {
                        VideoFlow::Off
                    }
                };
                summaries(&media.streams, flow)
            }
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Ending { .. }
            | State::Ended(_) => (None, None),
        };
        LegSnapshot {
            id: self.id,
            direction: self.direction,
            peer: self.peer.clone(),
            account: self.account.clone(),
            state: self.state(),
            hold_change: self.hold_change(),
            security: self.security,
            audio,
            video,
            stats: self.stats.clone(),
            dtmf_received: self.dtmf_received.clone(),
            started: self.started,
            established: self.established,
            first_frame: self.first_frame,
            ended: self.ended,
        }
    }

    /// The streams that media should carry now: nothing leaves the room before the call is
    /// answered, and nothing flows while we hold the leg. `None` without media.
    pub(crate) fn planned_streams(&self) -> Option<LegStreams> {
        match &self.state {
            State::Early { media, .. } => Some(redirected(media, receiving_only)),
            State::Connected { media, local, .. } => match local {
                LocalHold::Open => Some(media.limited_streams()),
                LocalHold::Holding { .. } | LocalHold::Held | LocalHold::Resuming { .. } => {
                    Some(redirected(media, |_| Direction::Inactive))
                }
            },
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Ending { .. }
            | State::Ended(_) => None,
        }
    }

    // Requests.

    /// Tells the caller that the room rings.
    pub(crate) fn ring(&self, turn: &mut Turn<'_>) {
        turn.commands.push_back(Command::Ring { leg: self.id });
    }

    pub(crate) fn answer(&mut self, turn: &mut Turn<'_>) -> Admission {
        match (&self.state, self.direction) {
            (State::Incoming { .. }, _) => {
                self.state = State::Answering {
                    until: turn.deadline(|timeouts| timeouts.answer),
                };
                turn.commands.push_back(Command::Accept { leg: self.id });
                self.accepted()
            }
            (State::Answering { .. } | State::Connected { .. }, CallDirection::Incoming) => {
                Admission::AlreadySo
            }
            (
                State::Answering { .. }
                | State::Connected { .. }
                | State::Dialing { .. }
                | State::Ringing { .. }
                | State::Early { .. }
                | State::Ending { .. }
                | State::Ended(_),
                _,
            ) => Admission::Denied(DeniedReason::NotRinging),
        }
    }

    pub(crate) fn decline(&mut self, turn: &mut Turn<'_>) -> Admission {
        match &self.state {
            State::Incoming { .. } => {
                self.refuse(RejectCause::Decline, EndReason::Declined, turn);
                self.accepted()
            }
            State::Ending {
                reason: EndReason::Declined,
                ..
            } => Admission::AlreadySo,
            State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => Admission::Denied(DeniedReason::NotRinging),
        }
    }

    /// Ends the leg because somebody in the room asked for it. A ringing call counts as declined.
    pub(crate) fn hang_up(&mut self, turn: &mut Turn<'_>) -> Admission {
        match &self.state {
            State::Incoming { .. } => self.decline(turn),
            State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. } => {
                self.end(EndReason::LocalHangUp, turn);
                self.accepted()
            }
            State::Ending { .. } | State::Ended(_) => Admission::AlreadySo,
        }
    }

    pub(crate) fn hold(&mut self, turn: &mut Turn<'_>) -> Admission {
        let Some(local) = self.local_hold() else {
            return Admission::Denied(DeniedReason::NotEstablished);
        };
        match local {
            LocalHold::Open => {
                *local = LocalHold::Holding {
                    until: turn.deadline(|timeouts| timeouts.hold),
                };
                turn.commands.push_back(Command::Hold { leg: self.id });
                // Afterwards, whether pictures flow again is to be seen first.
                if let Some(media) = self.media() {
                    media.flow = VideoFlow::Waiting;
                }
                self.accepted()
            }
            LocalHold::Holding { .. } | LocalHold::Held => Admission::AlreadySo,
            LocalHold::Resuming { .. } => Admission::Denied(DeniedReason::HoldInProgress),
        }
    }

    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) -> Admission {
        let Some(local) = self.local_hold() else {
            return Admission::Denied(DeniedReason::NotEstablished);
        };
        match local {
            LocalHold::Held => {
                *local = LocalHold::Resuming {
                    until: turn.deadline(|timeouts| timeouts.hold),
                };
                turn.commands.push_back(Command::Resume { leg: self.id });
                self.accepted()
            }
            LocalHold::Open | LocalHold::Resuming { .. } => Admission::AlreadySo,
            LocalHold::Holding { .. } => Admission::Denied(DeniedReason::HoldInProgress),
        }
    }

    pub(crate) fn send_dtmf(&mut self, digits: DtmfDigits, turn: &mut Turn<'_>) -> Admission {
        match self.local_hold() {
            None => Admission::Denied(DeniedReason::NotEstablished),
            Some(LocalHold::Open) => {
                turn.commands.push_back(Command::SendDtmf {
                    leg: self.id,
                    digits,
                });
                self.accepted()
            }
            Some(LocalHold::Holding { .. } | LocalHold::Held | LocalHold::Resuming { .. }) => {
                Admission::Denied(DeniedReason::LegHeld)
            }
        }
    }

    /// Refuses a call that rings, because no leg is free for it.
    pub(crate) fn refuse_busy(&mut self, turn: &mut Turn<'_>) {
        self.refuse(RejectCause::Busy, EndReason::RefusedBusy, turn);
    }

    fn refuse(&mut self, cause: RejectCause, reason: EndReason, turn: &mut Turn<'_>) {
        turn.commands.push_back(Command::Reject {
            leg: self.id,
            cause,
        });
        self.state = State::Ending {
            reason,
            until: turn.deadline(|timeouts| timeouts.hang_up),
        };
    }

    /// Ends the leg for whatever reason, in whatever state it is.
    pub(crate) fn end(&mut self, reason: EndReason, turn: &mut Turn<'_>) {
        match &self.state {
            State::Incoming { .. } => {
                self.refuse(RejectCause::NotAvailable, reason, turn);
            }
            State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. } => {
                turn.commands.push_back(Command::HangUp { leg: self.id });
                self.state = State::Ending {
                    reason,
                    until: turn.deadline(|timeouts| timeouts.hang_up),
                };
            }
            State::Ending { .. } | State::Ended(_) => {}
        }
    }

    fn accepted(&self) -> Admission {
        Admission::Accepted { leg: Some(self.id) }
    }

    // Facts.

    pub(crate) fn far_end_rings(&mut self) {
        if let State::Dialing { until } = self.state {
            self.state = State::Ringing { until };
        }
    }

    pub(crate) fn early_media(&mut self, streams: LegStreams) {
        match &mut self.state {
            State::Dialing { until } | State::Ringing { until } => {
                self.state = State::Early {
                    until: *until,
                    media: Media::new(streams),
                };
            }
            State::Early { media, .. } => media.settle(streams),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => {}
        }
    }

    pub(crate) fn established(&mut self, now: Instant, streams: LegStreams, security: LegSecurity) {
        let flow = match &mut self.state {
            State::Dialing { .. } | State::Ringing { .. } | State::Answering { .. } => {
                VideoFlow::Waiting
            }
            State::Early { media, .. } => media.flow,
            State::Connected { media, .. } => {
                media.settle(streams);
                self.security = Some(security);
                return;
            }
            // Nobody here answered, or somebody hung up at the same moment.
            State::Incoming { .. } | State::Ending { .. } | State::Ended(_) => return,
        };
        self.state = State::Connected {
            media: Media {
                flow,
                ..Media::new(streams)
            },
            local: LocalHold::Open,
            remote: RemoteHold::Open,
        };
        self.security = Some(security);
        self.established = Some(now);
    }

    pub(crate) fn streams_changed(&mut self, streams: LegStreams) {
        if let Some(media) = self.media() {
            media.settle(streams);
            let receives = |video: &VideoStream| video.direction.receives();
            if !media.streams.video.as_ref().is_some_and(receives) {
                // After a hold, whether pictures flow again is to be seen first.
                media.flow = VideoFlow::Waiting;
            }
        }
    }

    /// The far end sets a limit for the time being.
    pub(crate) fn bitrate_requested(&mut self, most: Bitrate) {
        if let Some(media) = self.media() {
            media.requested_bitrate = Some(most);
        }
    }

    pub(crate) fn hold_succeeded(&mut self) {
        if let Some(local @ LocalHold::Holding { .. }) = self.local_hold() {
            *local = LocalHold::Held;
        }
    }

    pub(crate) fn hold_failed(&mut self) {
        if let Some(local @ LocalHold::Holding { .. }) = self.local_hold() {
            *local = LocalHold::Open;
        }
    }

    pub(crate) fn resume_succeeded(&mut self) {
        if let Some(local @ LocalHold::Resuming { .. }) = self.local_hold() {
            *local = LocalHold::Open;
        }
    }

    pub(crate) fn resume_failed(&mut self) {
        if let Some(local @ LocalHold::Resuming { .. }) = self.local_hold() {
            *local = LocalHold::Held;
        }
    }

    pub(crate) fn far_end_holds(&mut self) {
        if let State::Connected { remote, .. } = &mut self.state {
            *remote = RemoteHold::Held;
        }
    }

    pub(crate) fn far_end_resumes(&mut self) {
        if let State::Connected { remote, .. } = &mut self.state {
            *remote = RemoteHold::Open;
        }
    }

    /// Signalling is done with the leg. What was decided here outranks what signalling saw of it,
    /// and only a far end that took part can be lost.
    pub(crate) fn ended(&mut self, now: Instant, reason: EndReason) {
        let reason = match (&self.state, reason) {
            (State::Ending { reason, .. }, _) => *reason,
            (State::Ended(_), _) => return,
            (State::Dialing { .. }, EndReason::PeerLost) => EndReason::Unreachable,
            (State::Answering { .. }, EndReason::PeerLost) => EndReason::AnswerTimedOut,
            (
                State::Incoming { .. }
                | State::Answering { .. }
                | State::Dialing { .. }
                | State::Ringing { .. }
                | State::Early { .. }
                | State::Connected { .. },
                reason,
            ) => reason,
        };
        self.state = State::Ended(reason);
        self.ended = Some(now);
    }

    pub(crate) fn first_frame(&mut self, now: Instant) {
        if self.media().is_some() {
            self.video_flow(VideoFlow::Flowing);
            self.first_frame.get_or_insert(now);
        }
    }

    /// What was seen before a hold reached the media is no news of what follows it.
    pub(crate) fn video_flow(&mut self, flow: VideoFlow) {
        match &mut self.state {
            State::Early { media, .. }
            | State::Connected {
                media,
                local: LocalHold::Open,
                ..
            } => media.flow = flow,
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => {}
        }
    }

    pub(crate) fn measured(&mut self, stats: LegStats) {
        if self.media().is_some() {
            self.stats = Some(stats);
        }
    }

    pub(crate) fn dtmf_received(&mut self, digit: DtmfDigit) {
        if self.media().is_none() {
            return;
        }
        if self.dtmf_received.len() >= MAX_DTMF_RECEIVED {
            self.dtmf_received.remove(0);
        }
        self.dtmf_received.push(digit.as_char());
    }

    // Time.

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Incoming { until }
            | State::Answering { until }
            | State::Dialing { until }
            | State::Ringing { until }
            | State::Early { until, .. }
            | State::Ending { until, .. } => Some(*until),
            State::Connected { local, .. } => {
                let hold = local.deadline();
                hold.into_iter().chain(self.proven()).min()
            }
            State::Ended(_) => None,
        }
    }

    /// When a call that was interrupted by restarts will have lasted so long that they do not count
    /// any more.
    fn proven(&self) -> Option<Instant> {
        let interrupted = |wanted: &WantedCall| !wanted.resumptions.is_empty();
        self.placed.as_ref().filter(|placed| interrupted(placed))?;
        Some(self.established? + PROVEN_AFTER)
    }

    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        if self.next_deadline().is_none_or(|until| turn.now < until) {
            return;
        }
        match &self.state {
            State::Incoming { .. } => self.end(EndReason::Missed, turn),
            State::Answering { .. } => {
                self.end(EndReason::AnswerTimedOut, turn);
            }
            State::Dialing { .. } => self.end(EndReason::DialTimedOut, turn),
            State::Ringing { .. } | State::Early { .. } => {
                self.end(EndReason::NotAnswered, turn);
            }
            State::Connected { local, .. } => {
                if local.deadline().is_some_and(|until| until <= turn.now) {
                    self.hold_failed();
                    self.resume_failed();
                }
                if self.proven().is_some_and(|until| until <= turn.now)
                    && let Some(placed) = &mut self.placed
                {
                    placed.resumptions = Resumptions::default();
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

/// What clients see of the holds: what the far end has taken, not what was asked for.
fn connected_state(local: LocalHold, remote: RemoteHold) -> LegState {
    match (local, remote) {
        (LocalHold::Open | LocalHold::Holding { .. }, RemoteHold::Open) => LegState::Established,
        (LocalHold::Open | LocalHold::Holding { .. }, RemoteHold::Held) => {
            LegState::Held(HeldBy::Remote)
        }
        (LocalHold::Held | LocalHold::Resuming { .. }, RemoteHold::Open) => {
            LegState::Held(HeldBy::Local)
        }
        (LocalHold::Held | LocalHold::Resuming { .. }, RemoteHold::Held) => {
            LegState::Held(HeldBy::Both)
        }
    }
}

fn receiving_only(direction: Direction) -> Direction {
    if direction.receives() {
        Direction::RecvOnly
    } else {
        Direction::Inactive
    }
}

fn redirected(media: &Media, direction: impl Fn(Direction) -> Direction) -> LegStreams {
    let mut streams = media.limited_streams();
    if let Some(audio) = &mut streams.audio {
        audio.direction = direction(audio.direction);
    }
    if let Some(video) = &mut streams.video {
        video.direction = direction(video.direction);
    }
    streams
}
