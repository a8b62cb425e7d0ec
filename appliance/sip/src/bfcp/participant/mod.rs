//! A floor participant: the client of a floor control server, for one floor.
//!
//! ```text
//!            open               HelloAck            UserStatus            FloorStatus
//!  Closed ─────────► Greeting ───────────► Recalling ──────────► Subscribing ──────────► Ready
//!    ▲ ▲                │                      │                      │                    │
//!    │ │                └──────────────────────┴──── no answer ───────┴────────────────────┤
//!    │ │                                              ▼                                    │
//!    │ │  reliable: the caller makes a new way     Failed ── wait, unreliable ──► Greeting │
//!    │ └──────────────────────────────────────────────┘                                    │
//!    └───────────────────── Goodbye of either side ────────────────────────────────────────┘
//!
//!  Ready, by what the user wants and what the server has said of our request:
//!
//!             wanted                        Pending, Accepted
//!   Nothing ─────────► FloorRequest sent ─────────────────────► Waiting
//!      ▲                      │ Granted                            │ Granted
//!      │                      ▼                                    ▼
//!      │◄─ not wanted: FloorRelease sent, then Released ──────── Holding
//!      └◄─ Denied, Cancelled, Revoked, Error: no longer wanted ────┘
//! ```
//!
//! The caller says what is wanted, the floor or not, and how often it does makes no difference. One
//! request is under way at a time; what to send next follows from the states above. *Recalling*
//! asks what the server knows of us from before, so that after a broken way both ends agree again; and so
//! does a server that refuses a request because it has one of ours already: its answer was lost.
//!
//! Messages may arrive twice, late and out of order. A request for the floor only ever moves on
//! (pending, accepted, granted, over), so that what would move it back is known to be old; and of
//! what the server tells of the floor, that which it sends by itself outweighs a response.

mod received;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::bfcp::channel::{Arrived, Channel};
use crate::bfcp::error::ErrorCode;
use crate::bfcp::header::TransactionRole;
use crate::bfcp::identifiers::{ConferenceId, FloorId, FloorRequestId, TransactionId, UserId};
use crate::bfcp::information::RequestStatus;
use crate::bfcp::message::{Content, Message};
use crate::bfcp::round_trip::RoundTrip;
use crate::bfcp::transaction::{AnsweredRequests, Due, PendingRequest};
use crate::transaction::Reliability;

/// A sign of life when nothing else was sent for so long. It keeps bindings of NATs and firewalls
/// open, which may close after 30 s, and finds out about a server that is gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(25);
/// The wait before a failed association is made anew.
const REOPEN_AFTER: Duration = Duration::from_secs(5);
/// How many of our requests that are over are remembered, so that old news of them is not taken
/// for news.
const MAX_FINISHED: usize = 16;

/// What a participant is told when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParticipantSettings {
    /// The conference.
    pub conference: ConferenceId,
    /// Who we are in it.
    pub user: UserId,
    /// The floor.
    pub floor: FloorId,
    /// How messages travel.
    pub reliability: Reliability,
    /// Random: the first transaction is the one after it.
    pub transaction_seed: u16,
}

/// What a participant has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParticipantOutput {
    /// Send a datagram, or write to the stream.
    Send(Bytes),
    /// Something happened.
    Event(ParticipantEvent),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParticipantEvent {
    /// The server answers, and knows us.
    Ready,
    /// Our request waits; 1 is the next in turn, 0 an unknown place.
    Queued(u8),
    /// We have the floor.
    Granted,
    /// We neither have the floor nor ask for it any more.
    Ended(FloorEnd),
    /// Somebody else, or nobody, has the floor now.
    HolderChanged(FloorHolder),
    /// The server does not answer. Over an unreliable transport it is asked again soon.
    Failed,
    /// The server said goodbye.
    ServerLeft,
}

/// How our request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FloorEnd {
    /// As the server says: denied, cancelled, released, revoked.
    Status(RequestStatus),
    /// The server refused a message.
    Refused(ErrorCode),
    /// The server no longer knows the request, or left.
    Forgotten,
}

/// Who has the floor, as far as the server has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloorHolder {
    /// Nobody.
    Nobody,
    /// We.
    Us,
    /// Somebody else, by its number where the server tells it.
    Other(Option<UserId>),
}

/// Whether the user wants the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open(Phase),
    Failed { reopen: Option<Instant> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Recalling,
    Subscribing,
    Ready,
    Leaving,
    /// Leaving, but the way was opened again meanwhile. A goodbye that is still on its way must not
    /// end what comes after it.
    Returning,
}

/// Our request, once the server has numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnRequest {
    id: FloorRequestId,
    status: RequestStatus,
}

/// What was asked, to know its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Hello,
    User,
    Floor { told_meanwhile: ToldMeanwhile },
    Request,
    Release(FloorRequestId),
    HowStands(FloorRequestId),
    Goodbye,
}

/// Whether the server has told of the floor by itself since it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToldMeanwhile {
    No,
    Yes,
}

/// A floor participant. Take outputs after every call; see the module for the states.
#[derive(Debug)]
pub struct Participant {
    settings: ParticipantSettings,
    channel: Channel,
    state: State,
    wanted: Wanted,
    own: Option<OwnRequest>,
    holder: FloorHolder,
    outstanding: Option<(Asked, PendingRequest)>,
    last_transaction: TransactionId,
    round_trip: RoundTrip,
    answered: AnsweredRequests,
    finished: VecDeque<FloorRequestId>,
    sign_of_life: Option<Instant>,
    doubt: Doubt,
    outputs: VecDeque<ParticipantOutput>,
}

/// Whether the server was asked what it knows of us because it would take no further request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    Asked,
}

impl Participant {
    /// A participant that has not spoken to its server yet.
    #[must_use]
    pub fn new(settings: ParticipantSettings) -> Self {
        Self {
            settings,
            channel: Channel::new(settings.reliability),
            state: State::Closed,
            wanted: Wanted::No,
            own: None,
            holder: FloorHolder::Nobody,
            outstanding: None,
            last_transaction: TransactionId(settings.transaction_seed),
            round_trip: RoundTrip::default(),
            answered: AnsweredRequests::default(),
            finished: VecDeque::new(),
            sign_of_life: None,
            doubt: Doubt::None,
            outputs: VecDeque::new(),
        }
    }

    /// The way to the server stands: a socket, or a new connection. What the server knows of us from
    /// before is asked for.
    pub fn open(&mut self, now: Instant) {
        let is_leaving = matches!(self.state, State::Open(Phase::Leaving | Phase::Returning));
        if is_leaving && self.settings.reliability == Reliability::Unreliable {
            self.state = State::Open(Phase::Returning);
            return;
        }
        self.channel = Channel::new(self.settings.reliability);
        self.outstanding = None;
        self.greet();
        self.proceed(now);
    }

    fn greet(&mut self) {
        // What the server says from now on is news: it may never have heard what we believe.
        self.finished.clear();
        self.state = State::Open(Phase::Greeting);
    }

    /// The connection to the server broke.
    pub fn closed(&mut self) {
        match self.state {
            State::Open(_) => {
                self.outstanding = None;
                self.state = State::Failed { reopen: None };
                self.event(ParticipantEvent::Failed);
            }
            State::Closed | State::Failed { .. } => {}
        }
    }

    /// The user wants the floor. It is asked for as soon as the server answers.
    pub fn request_floor(&mut self, now: Instant) {
        if self.wanted == Wanted::No {
            self.doubt = Doubt::None;
        }
        self.wanted = Wanted::Yes;
        self.proceed(now);
    }

    /// The user does not want the floor, or not any more.
    pub fn release_floor(&mut self, now: Instant) {
        self.wanted = Wanted::No;
        self.proceed(now);
    }

    /// Leaves the conference, after what is under way. Over a reliable transport the caller says so by
    /// closing the connection (RFC 8855 section 6.1).
    pub fn leave(&mut self, now: Instant) {
        self.wanted = Wanted::No;
        match self.state {
            State::Open(_) if self.settings.reliability == Reliability::Reliable => {
                self.outstanding = None;
                self.left();
            }
            State::Open(_) => {
                self.state = State::Open(Phase::Leaving);
                self.proceed(now);
            }
            State::Closed | State::Failed { .. } => self.state = State::Closed,
        }
    }

    /// The server cannot be reached any more: what it has said of us counts for nothing. A new way
    /// begins as if there had been none.
    pub fn forget(&mut self) {
        self.wanted = Wanted::No;
        self.outstanding = None;
        self.left();
    }

    /// Whether the server has granted us the floor and not taken it back, as far as we know.
    #[must_use]
    pub fn has_floor(&self) -> bool {
        self.own
            .is_some_and(|own| own.status == RequestStatus::Granted)
    }

    /// Whether the user wants the floor.
    #[must_use]
    pub fn wants_floor(&self) -> bool {
        self.wanted == Wanted::Yes
    }

    /// Who has the floor, as far as the server has said.
    #[must_use]
    pub fn holder(&self) -> FloorHolder {
        self.holder
    }

    /// What to send, and what happened.
    pub fn poll_output(&mut self) -> Option<ParticipantOutput> {
        self.outputs.pop_front()
    }

    /// When [`Participant::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Failed { reopen } => reopen,
            State::Open(_) => match &self.outstanding {
                Some((_, request)) => Some(request.deadline()),
                None => self.sign_of_life,
            },
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Closed => {}
            State::Failed { reopen } => {
                if reopen.is_some_and(|at| at <= now) {
                    self.open(now);
                }
            }
            State::Open(_) => {
                let due = match &mut self.outstanding {
                    Some((_, request)) => request.handle_timeout(now),
                    None => return self.proceed(now),
                };
                match due {
                    Due::Nothing => {}
                    Due::Retransmit(datagrams) => self.send(datagrams),
                    Due::Failed => self.failed(now),
                }
            }
        }
    }

    /// A datagram, or bytes of the stream, from the server.
    pub fn received(&mut self, now: Instant, bytes: &[u8]) {
        for arrived in self.channel.read(now, bytes) {
            match arrived {
                Arrived::Message(message) => self.message_received(now, message),
                // Only servers may answer by Error (RFC 8855 section 5.3.13).
                Arrived::Undecodable(_) => {}
                Arrived::Lost(_) => return self.closed(),
            }
        }
    }

    /// Asks what has to be asked next, when nothing is under way.
    fn proceed(&mut self, now: Instant) {
        let State::Open(phase) = self.state else {
            return;
        };
        if self.outstanding.is_some() {
            return;
        }
        let quiet = self.sign_of_life.is_some_and(|at| at <= now);
        let (asked, content) = match (phase, self.wanted, self.own) {
            (Phase::Greeting, ..) => (Asked::Hello, Content::Hello),
            (Phase::Recalling, ..) => (Asked::User, Content::UserQuery(None)),
            (Phase::Subscribing, ..) => {
                let told_meanwhile = ToldMeanwhile::No;
                let floors = vec![self.settings.floor];
                (Asked::Floor { told_meanwhile }, Content::FloorQuery(floors))
            }
            (Phase::Leaving | Phase::Returning, ..) => (Asked::Goodbye, Content::Goodbye),
            (Phase::Ready, Wanted::Yes, None) => (Asked::Request, self.floor_request()),
            (Phase::Ready, Wanted::No, Some(own)) => {
                (Asked::Release(own.id), Content::FloorRelease(own.id))
            }
            (Phase::Ready, Wanted::Yes, Some(own)) if quiet => {
                (Asked::HowStands(own.id), Content::FloorRequestQuery(own.id))
            }
            (Phase::Ready, Wanted::No, None) if quiet => (Asked::Hello, Content::Hello),
            (Phase::Ready, Wanted::Yes, Some(_)) | (Phase::Ready, Wanted::No, None) => return,
        };
        self.ask(now, asked, content);
    }

    fn floor_request(&self) -> Content {
        Content::FloorRequest {
            floors: vec![self.settings.floor],
            beneficiary: None,
            info: None,
            priority: None,
        }
    }

    fn ask(&mut self, now: Instant, asked: Asked, content: Content) {
        self.last_transaction = self.last_transaction.next();
        let datagrams = self.channel.write(&Message {
            conference: self.settings.conference,
            transaction: self.last_transaction,
            user: self.settings.user,
            role: TransactionRole::Initiator,
            content,
        });
        let request = PendingRequest::new(
            now,
            self.last_transaction,
            datagrams.clone(),
            self.channel.reliability(),
            &self.round_trip,
        );
        self.outstanding = Some((asked, request));
        self.send(datagrams);
    }

    fn send(&mut self, datagrams: Vec<Bytes>) {
        let sends = datagrams.into_iter().map(ParticipantOutput::Send);
        self.outputs.extend(sends);
    }

    fn event(&mut self, event: ParticipantEvent) {
        self.outputs.push_back(ParticipantOutput::Event(event));
    }
}
