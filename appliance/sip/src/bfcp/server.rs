//! A floor control server for one floor.
//!
//! ```text
//!  participants ── requests ──► checked: conference, user, floor, rights ──► Floor (policy)
//!                                   │ wrong                                     │
//!                                   ▼                                           ▼
//!                                 Error                        response, and news for those whom
//!                                                              the change concerns
//!  owner of the room ── request, release, revoke ──────────────────► Floor
//!
//!  News to one participant:
//!
//!           ┌─ due ◄── a change ────────────────────────────┐
//!           ▼                                               │
//!   Idle ── sent ──► Waiting for the acknowledgement ── it comes ──► Idle
//!                       │ none after three retransmissions
//!                       ▼
//!                     Silent: its requests are revoked; heard again ──► Idle, told what it missed
//! ```
//!
//! News go one by one, so that they cannot overtake each other, and say how things stand when they
//! are sent: of several changes while one is under way, only the last is told. Over a reliable
//! transport nothing is acknowledged and all is sent at once (RFC 8855 section 8).
//!
//! The owner of the room is a participant without a network, and the chair: nobody else may decide
//! about the requests of others.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::channel::Arrived;
use super::error::{ErrorCode, Undecodable};
use super::floor::{Floor, WhenBusy};
use super::header::TransactionRole;
use super::identifiers::{ConferenceId, FloorId, FloorRequestId, TransactionId, UserId};
use super::information::{FloorRequestInformation, Priority, QueuedStatus, UserInformation};
use super::message::{Content, Message};
use super::peer::{News, Peer};
use super::transaction::{Due, PendingRequest};
use crate::transaction::Reliability;

/// The longest text of a participant that is passed on: more would leave no room for the rest.
const MAX_INFO_BYTES: usize = 64;
/// How long the requests of a participant outlive its connection: time for two attempts at a new one,
/// which are 30 s apart (RFC 8855 section 6.1).
const KEPT_WITHOUT_CONNECTION: Duration = Duration::from_secs(75);

/// What a server is told when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The conference.
    pub conference: ConferenceId,
    /// The floor.
    pub floor: FloorId,
    /// The owner of the room.
    pub owner: UserId,
    /// What becomes of requests while the floor is taken.
    pub when_busy: WhenBusy,
    /// Random: transactions begin behind it.
    pub transaction_seed: u16,
}

/// What a server has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerOutput {
    /// Send a datagram to a participant, or write to its stream.
    Send(UserId, Bytes),
    /// Something happened.
    Event(ServerEvent),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// Somebody else, or nobody, has the floor now.
    HolderChanged(Option<UserId>),
    /// A participant asks for a floor that is taken; it waits.
    Waits(UserId),
    /// The request of the owner is over, without the owner's doing.
    OwnerEnded,
    /// A participant does not answer; its requests were revoked.
    Silent(UserId),
    /// A participant said goodbye.
    Left(UserId),
    /// What a participant writes to its connection cannot be read: the connection is to be closed.
    Unreadable(UserId),
}

/// A floor control server. Take outputs after every call.
#[derive(Debug)]
pub struct Server {
    settings: ServerSettings,
    floor: Floor,
    peers: BTreeMap<UserId, Peer>,
    outputs: VecDeque<ServerOutput>,
}

impl Server {
    /// A server without participants, save the owner.
    #[must_use]
    pub fn new(settings: ServerSettings) -> Self {
        Self {
            settings,
            floor: Floor::new(settings.floor, settings.when_busy),
            peers: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Lets a participant in, or gives one a new way. Who it is, the caller knows from the way its
    /// messages come, which no message can change.
    pub fn admit(&mut self, user: UserId, reliability: Reliability) {
        let seed = TransactionId(self.settings.transaction_seed.wrapping_add(user.0));
        match self.peers.get_mut(&user) {
            Some(peer) => peer.readmitted(reliability),
            None => {
                self.peers.insert(user, Peer::new(reliability, seed));
            }
        }
    }

    /// The connection of a participant is lost. Its requests are kept for a new one, for a while
    /// (RFC 8855 section 6.1).
    pub fn lose(&mut self, now: Instant, user: UserId) {
        if let Some(peer) = self.peers.get_mut(&user) {
            peer.away(now + KEPT_WITHOUT_CONNECTION);
        }
    }

    /// A participant has left the conference: by closing its connection, or by other means.
    pub fn dismiss(&mut self, now: Instant, user: UserId) {
        if self.peers.remove(&user).is_some() {
            self.change(now, None, |floor| floor.revoke(user));
        }
    }

    /// Who has the floor.
    #[must_use]
    pub fn holder(&self) -> Option<UserId> {
        self.floor.holder()
    }

    /// Whether a user asks for the floor and does not have it.
    #[must_use]
    pub fn waits(&self, user: UserId) -> bool {
        self.holder() != Some(user) && self.floor.request_of(user).is_some()
    }

    /// The owner asks for the floor. Already asking is no error.
    pub fn request_as_owner(&mut self, now: Instant) -> Option<QueuedStatus> {
        let owner = self.settings.owner;
        let request = self
            .change(now, Some(owner), |floor| {
                floor.request(owner, Priority::NORMAL, None)
            })
            .ok();
        match request {
            Some(information) => information.status(),
            None => {
                let requests = self.floor.requests();
                let mine = requests
                    .iter()
                    .find(|request| request.user() == Some(owner));
                mine.and_then(FloorRequestInformation::status)
            }
        }
    }

    /// The owner gives the floor back, or no longer asks.
    pub fn release_as_owner(&mut self, now: Instant) {
        let owner = self.settings.owner;
        self.change(now, Some(owner), |floor| floor.release(owner));
    }

    /// The owner, as the chair, takes the floor from a user or turns its request down.
    pub fn revoke(&mut self, now: Instant, user: UserId) {
        self.change(now, None, |floor| floor.revoke(user));
    }

    /// What to send, and what happened.
    pub fn poll_output(&mut self) -> Option<ServerOutput> {
        self.outputs.pop_front()
    }

    /// When [`Server::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.peers.values().filter_map(Peer::deadline).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let users: Vec<UserId> = self.peers.keys().copied().collect();
        for user in users {
            let Some(peer) = self.peers.get_mut(&user) else {
                continue;
            };
            if peer.stayed_away(now) {
                self.dismiss(now, user);
                continue;
            }
            let due = peer.handle_timeout(now);
            match due {
                Due::Retransmit(datagrams) => self.send(user, datagrams),
                Due::Failed => {
                    self.event(ServerEvent::Silent(user));
                    self.change(now, None, |floor| floor.revoke(user));
                }
                Due::Nothing => {}
            }
        }
    }

    /// A datagram, or bytes of the stream, from a participant that was admitted.
    pub fn received(&mut self, now: Instant, user: UserId, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&user) else {
            return;
        };
        for arrived in peer.channel.read(now, bytes) {
            match arrived {
                Arrived::Message(message) => self.message_received(now, user, &message),
                Arrived::Undecodable(error) => self.undecodable(user, &error),
                Arrived::Lost(error) => {
                    self.undecodable(user, &error);
                    self.event(ServerEvent::Unreadable(user));
                    return self.lose(now, user);
                }
            }
        }
        self.tell_news(now, user);
    }

    /// What cannot be read gets an Error, if it might be a request (RFC 8855 section 13.8).
    fn undecodable(&mut self, user: UserId, error: &Undecodable) {
        let Some(header) = error.header else {
            return;
        };
        if header.role == TransactionRole::Responder {
            return;
        }
        let response = Message {
            conference: header.conference,
            transaction: header.transaction,
            user: header.user,
            role: TransactionRole::Responder,
            content: Content::Error {
                code: error.why.code(),
                info: None,
            },
        };
        self.send_message(user, &response);
    }

    fn message_received(&mut self, now: Instant, user: UserId, message: &Message) {
        let Some(peer) = self.peers.get_mut(&user) else {
            return;
        };
        peer.heard();
        if message.role == TransactionRole::Responder {
            return peer.acknowledged(now, message.transaction, &message.content);
        }
        let (transaction, primitive) = (message.transaction, message.content.primitive());
        if let Some(response) = peer.answered.response(now, transaction, primitive) {
            return self.send(user, response);
        }
        let Some(content) = self.answer(now, user, message) else {
            return;
        };
        let response = Message {
            conference: message.conference,
            transaction,
            user: message.user,
            role: TransactionRole::Responder,
            content,
        };
        if let Some(peer) = self.peers.get_mut(&user) {
            let bytes = peer.channel.write(&response);
            match peer.channel.reliability() {
                Reliability::Unreliable => {
                    peer.answered
                        .keep(now, transaction, primitive, bytes.clone());
                }
                Reliability::Reliable => {}
            }
            self.send(user, bytes);
        }
    }

    /// The answer to a request, or `None` where it is none.
    fn answer(&mut self, now: Instant, user: UserId, message: &Message) -> Option<Content> {
        if message.conference != self.settings.conference {
            return Some(refusal(ErrorCode::ConferenceDoesNotExist));
        }
        if message.user != user {
            return Some(refusal(ErrorCode::UserDoesNotExist));
        }
        Some(match &message.content {
            Content::FloorRequest {
                floors,
                beneficiary,
                info,
                priority,
            } => {
                if floors.iter().any(|floor| *floor != self.floor.id()) {
                    return Some(refusal(ErrorCode::InvalidFloorId));
                }
                if beneficiary.is_some_and(|beneficiary| beneficiary != user) {
                    return Some(refusal(ErrorCode::UnauthorizedOperation));
                }
                self.floor_requested(now, user, *priority, info.as_deref())
            }
            Content::FloorRelease(request) => self.floor_released(now, user, *request),
            Content::FloorRequestQuery(request) => self.request_queried(*request),
            Content::UserQuery(beneficiary) => self.user_queried(beneficiary.unwrap_or(user)),
            Content::FloorQuery(floors) => self.floor_queried(user, floors),
            // The owner is the one chair.
            Content::ChairAction(_) => refusal(ErrorCode::UnauthorizedOperation),
            Content::Hello => Content::hello_ack(),
            Content::Goodbye => {
                self.goodbye(now, user);
                Content::GoodbyeAck
            }
            Content::FloorRequestStatus(_)
            | Content::UserStatus { .. }
            | Content::FloorStatus { .. }
            | Content::ChairActionAck
            | Content::HelloAck { .. }
            | Content::Error { .. }
            | Content::FloorRequestStatusAck
            | Content::FloorStatusAck
            | Content::GoodbyeAck => return None,
        })
    }

    fn floor_requested(
        &mut self,
        now: Instant,
        user: UserId,
        priority: Option<Priority>,
        info: Option<&str>,
    ) -> Content {
        let info = info.map(|info| {
            let end = info.floor_char_boundary(MAX_INFO_BYTES);
            info.get(..end).unwrap_or_default().to_owned()
        });
        let priority = priority.unwrap_or(Priority::NORMAL);
        let requested = self.change(now, Some(user), |floor| floor.request(user, priority, info));
        match requested {
            Ok(information) => {
                if self.waits(user) {
                    self.event(ServerEvent::Waits(user));
                }
                Content::FloorRequestStatus(information)
            }
            Err(code) => refusal(code),
        }
    }

    fn floor_released(&mut self, now: Instant, user: UserId, request: FloorRequestId) -> Content {
        let owner = self
            .floor
            .requests()
            .into_iter()
            .find(|information| information.request == request)
            .and_then(|information| information.user());
        match owner {
            None => refusal(ErrorCode::FloorRequestIdDoesNotExist),
            Some(owner) if owner != user => refusal(ErrorCode::UnauthorizedOperation),
            Some(_) => match self.change(now, Some(user), |floor| floor.release(user)) {
                Some(information) => Content::FloorRequestStatus(information),
                None => refusal(ErrorCode::FloorRequestIdDoesNotExist),
            },
        }
    }

    fn request_queried(&self, request: FloorRequestId) -> Content {
        let mut requests = self.floor.requests().into_iter();
        match requests.find(|information| information.request == request) {
            Some(information) => Content::FloorRequestStatus(information),
            None => refusal(ErrorCode::FloorRequestIdDoesNotExist),
        }
    }

    fn user_queried(&self, user: UserId) -> Content {
        if user != self.settings.owner && !self.peers.contains_key(&user) {
            return refusal(ErrorCode::UserDoesNotExist);
        }
        let requests = self.floor.requests().into_iter();
        Content::UserStatus {
            beneficiary: Some(UserInformation::of(user)),
            requests: requests
                .filter(|information| information.user() == Some(user))
                .collect(),
        }
    }

    fn floor_queried(&mut self, user: UserId, floors: &[FloorId]) -> Content {
        if floors.iter().any(|floor| *floor != self.floor.id()) {
            return refusal(ErrorCode::InvalidFloorId);
        }
        let asks = !floors.is_empty();
        if let Some(peer) = self.peers.get_mut(&user) {
            peer.subscribe(asks);
        }
        if asks {
            self.floor_status()
        } else {
            Content::FloorStatus {
                floors: Vec::new(),
                requests: Vec::new(),
            }
        }
    }

    fn floor_status(&self) -> Content {
        Content::FloorStatus {
            floors: vec![self.floor.id()],
            requests: self.floor.requests(),
        }
    }

    fn goodbye(&mut self, now: Instant, user: UserId) {
        self.change(now, Some(user), |floor| floor.release(user));
        if let Some(peer) = self.peers.get_mut(&user) {
            peer.left();
        }
        self.event(ServerEvent::Left(user));
    }

    /// Changes the floor, and tells everybody whom that concerns, save `told`, who learns it by a
    /// response or is at our end.
    fn change<T>(
        &mut self,
        now: Instant,
        told: Option<UserId>,
        action: impl FnOnce(&mut Floor) -> T,
    ) -> T
    where
        T: Ended,
    {
        let (before, holder) = (self.floor.requests(), self.floor.holder());
        let outcome = action(&mut self.floor);
        let after = self.floor.requests();
        let changed = after.iter().filter(|request| !before.contains(request));
        let news: Vec<_> = changed.chain(outcome.ended()).cloned().collect();
        for information in news {
            match information.user() {
                Some(user) if Some(user) == told => {}
                Some(user) if user == self.settings.owner => self.owner_changed(),
                Some(user) => {
                    if let Some(peer) = self.peers.get_mut(&user) {
                        peer.request_changed(information);
                    }
                }
                None => {}
            }
        }
        if before != after {
            for peer in self.peers.values_mut() {
                peer.floor_changed();
            }
        }
        if holder != self.floor.holder() {
            self.event(ServerEvent::HolderChanged(self.floor.holder()));
        }
        let users: Vec<UserId> = self.peers.keys().copied().collect();
        for user in users {
            if Some(user) != told {
                self.tell_news(now, user);
            }
        }
        outcome
    }

    fn owner_changed(&mut self) {
        if self.floor.request_of(self.settings.owner).is_none() {
            self.event(ServerEvent::OwnerEnded);
        }
    }

    /// Sends a participant what is due to it: one thing, or all over a reliable transport.
    fn tell_news(&mut self, now: Instant, user: UserId) {
        let status = self.floor_status();
        while let Some(peer) = self.peers.get_mut(&user) {
            let Some(news) = peer.next_news() else {
                return;
            };
            let content = match &news {
                News::Request(information) => Content::FloorRequestStatus(information.clone()),
                News::Floor => status.clone(),
            };
            let reliability = peer.channel.reliability();
            let transaction = match reliability {
                Reliability::Unreliable => peer.next_transaction(),
                Reliability::Reliable => TransactionId::UNACKNOWLEDGED,
            };
            let datagrams = peer.channel.write(&Message {
                conference: self.settings.conference,
                transaction,
                user,
                role: TransactionRole::Initiator,
                content,
            });
            if reliability == Reliability::Unreliable {
                let request = PendingRequest::new(
                    now,
                    transaction,
                    datagrams.clone(),
                    reliability,
                    &peer.round_trip,
                );
                peer.await_acknowledgement(news, request);
            }
            self.send(user, datagrams);
        }
    }

    fn send_message(&mut self, user: UserId, message: &Message) {
        if let Some(peer) = self.peers.get(&user) {
            let bytes = peer.channel.write(message);
            self.send(user, bytes);
        }
    }

    fn send(&mut self, user: UserId, datagrams: Vec<Bytes>) {
        let sends = datagrams.into_iter();
        self.outputs
            .extend(sends.map(|bytes| ServerOutput::Send(user, bytes)));
    }

    fn event(&mut self, event: ServerEvent) {
        self.outputs.push_back(ServerOutput::Event(event));
    }
}

/// What an action on the floor ended, if anything.
trait Ended {
    fn ended(&self) -> Option<&FloorRequestInformation>;
}

impl Ended for Option<FloorRequestInformation> {
    fn ended(&self) -> Option<&FloorRequestInformation> {
        self.as_ref()
    }
}

impl Ended for Result<FloorRequestInformation, ErrorCode> {
    /// A new request is told by its response.
    fn ended(&self) -> Option<&FloorRequestInformation> {
        None
    }
}

fn refusal(code: ErrorCode) -> Content {
    Content::Error { code, info: None }
}
