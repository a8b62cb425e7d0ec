//! Floor control of one call: our participant, our server, or one of each, as one machine.
//!
//! Where each end has a server (`c-s`), nobody decides for both. We then take the floor of our own
//! server first and ask the peer's only while we have it, so that a peer that does the same and we
//! cannot both have both. When both have taken their own and wait for the other's, whoever did not
//! offer the session gives way.
//!
//! Over a connection the client of a server sees to it that there is one: a lost one is asked for
//! anew, by an offer, and what the two ends knew of each other goes on.

mod renewal;
#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::Bytes;
use room::FloorChange;

use self::renewal::Renewal;
use crate::bfcp::{
    FloorEnd, FloorHolder, Participant, ParticipantEvent, ParticipantOutput, ParticipantSettings,
    RequestStatus, Server, ServerEvent, ServerOutput, ServerSettings, UserId, WhenBusy,
};
use crate::offer_answer::{
    FirstChoice, FloorConnection, FloorControlMedia, FloorControlRole, FloorIds,
};
use crate::transaction::Reliability;

/// We, in conferences of our own server.
const OWNER: UserId = UserId(1);

/// How the connection of a floor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloorChannelEnd {
    /// The peer closed it in order: as a client, it takes part no more (RFC 8855 section 6.1).
    Closed,
    /// It broke, or could not be made.
    Lost,
}

/// What the machine wants of its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ConnectionWish {
    /// Nothing.
    #[default]
    Nothing,
    /// It is of no use any more: close it.
    Close,
    /// It is lost: agree on another with the peer.
    Renew,
}

/// Whether our user wants the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    No,
    Yes,
}

#[derive(Debug)]
enum Ends {
    Client(Box<Participant>),
    Server(Box<Server>, UserId),
    Both {
        client: Box<Participant>,
        server: Box<Server>,
        ids: FloorIds,
        first: FirstChoice,
    },
}

/// The machine; see the module.
#[derive(Debug)]
pub(super) struct FloorControl {
    media: FloorControlMedia,
    ends: Ends,
    wanted: Wanted,
    /// Whether it was wanted of another conference before, and is to be asked for here.
    ask_when_open: bool,
    told: FloorChange,
    renewal: Renewal,
    pub(super) connection_wish: ConnectionWish,
    pub(super) to_send: Vec<Bytes>,
    pub(super) changes: Vec<FloorChange>,
}

impl FloorControl {
    pub(super) fn new(media: FloorControlMedia, transaction_seed: u16) -> Self {
        let reliability = reliability_of(media.connection);
        let client = |ids: FloorIds| {
            Box::new(Participant::new(ParticipantSettings {
                conference: ids.conference,
                user: ids.user,
                floor: ids.floor,
                reliability,
                transaction_seed,
            }))
        };
        let server = |ids: FloorIds| {
            Box::new(Server::new(ServerSettings {
                conference: ids.conference,
                floor: ids.floor,
                owner: OWNER,
                when_busy: WhenBusy::Queue,
                transaction_seed,
            }))
        };
        let ends = match media.role {
            FloorControlRole::Client(ids) => Ends::Client(client(ids)),
            FloorControlRole::Server(ids) => Ends::Server(server(ids), ids.user),
            FloorControlRole::Both {
                client: theirs,
                server: ours,
                first,
            } => Ends::Both {
                client: client(theirs),
                server: server(ours),
                ids: ours,
                first,
            },
        };
        Self {
            media,
            ends,
            wanted: Wanted::No,
            ask_when_open: false,
            told: FloorChange::Free,
            renewal: Renewal::default(),
            connection_wish: ConnectionWish::Nothing,
            to_send: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Takes over what a later offer and answer say. False if that is another conference or
    /// transport, for which the machine has to be made anew.
    pub(super) fn follow(&mut self, media: FloorControlMedia) -> bool {
        let same_numbers = match (self.media.role, media.role) {
            (FloorControlRole::Client(old), FloorControlRole::Client(new))
            | (FloorControlRole::Server(old), FloorControlRole::Server(new)) => old == new,
            (
                FloorControlRole::Both { client, server, .. },
                FloorControlRole::Both {
                    client: new_client,
                    server: new_server,
                    ..
                },
            ) => client == new_client && server == new_server,
            (
                FloorControlRole::Client(_)
                | FloorControlRole::Server(_)
                | FloorControlRole::Both { .. },
                _,
            ) => false,
        };
        let same = same_numbers
            && reliability_of(self.media.connection) == reliability_of(media.connection);
        if same {
            if self.media.connection.number() != media.connection.number() {
                self.renewal.settled();
            }
            self.media = media;
        }
        same
    }

    /// Takes over what our user wanted of the floor control before, in another conference.
    pub(super) fn take_wish_of(&mut self, before: &Self) {
        self.ask_when_open = before.wanted == Wanted::Yes || before.ask_when_open;
    }

    /// Whether our user wants it, and was not turned down.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted == Wanted::Yes || self.ask_when_open
    }

    /// What the caller was told last.
    pub(super) fn told(&self) -> FloorChange {
        self.told
    }

    /// The socket or connection is ready.
    pub(super) fn opened(&mut self, now: Instant) {
        let reliability = reliability_of(self.media.connection);
        self.renewal.opened(now);
        match &mut self.ends {
            Ends::Client(client) => client.open(now),
            Ends::Server(server, peer) => server.admit(*peer, reliability),
            Ends::Both {
                client,
                server,
                ids,
                ..
            } => {
                server.admit(ids.user, reliability);
                client.open(now);
            }
        }
        self.settle(now);
        if std::mem::take(&mut self.ask_when_open) {
            self.request(now);
        }
    }

    /// The connection is at its end.
    pub(super) fn closed(&mut self, now: Instant, end: FloorChannelEnd) {
        match (&mut self.ends, end) {
            (Ends::Client(client), FloorChannelEnd::Closed | FloorChannelEnd::Lost) => {
                client.closed();
                self.renewal.lost(now);
            }
            (Ends::Server(server, peer), FloorChannelEnd::Closed) => server.dismiss(now, *peer),
            (Ends::Server(server, peer), FloorChannelEnd::Lost) => server.lose(now, *peer),
            // Agreed for datagrams only, which have no end.
            (Ends::Both { .. }, FloorChannelEnd::Closed | FloorChannelEnd::Lost) => return,
        }
        self.settle(now);
        // There is none any more.
        self.connection_wish = ConnectionWish::Nothing;
    }

    /// The far end has refused another connection.
    pub(super) fn renewal_refused(&mut self, now: Instant) {
        self.renewal.refused();
        self.settle(now);
    }

    /// There is no connection to the peer's server, and there will be none: what it said of us counts
    /// no more, and what our user wants is not to be had.
    fn give_up(&mut self) {
        if let Ends::Client(client) = &mut self.ends {
            client.forget();
            if self.wanted == Wanted::Yes {
                self.wanted = Wanted::No;
                self.changes.push(FloorChange::NotGranted);
            }
        }
    }

    /// Bytes from the peer.
    pub(super) fn received(&mut self, now: Instant, bytes: &[u8]) {
        match &mut self.ends {
            Ends::Client(client) => client.received(now, bytes),
            Ends::Server(server, peer) => server.received(now, *peer, bytes),
            Ends::Both {
                client,
                server,
                ids,
                ..
            } => {
                // Only in datagrams can the two be told apart: each has its own header, and names a conference.
                let conference = ids.conference.0.to_be_bytes();
                if bytes.get(4..8) == Some(&conference) {
                    server.received(now, ids.user, bytes);
                } else {
                    client.received(now, bytes);
                }
            }
        }
        self.settle(now);
    }

    pub(super) fn request(&mut self, now: Instant) {
        self.wanted = Wanted::Yes;
        match &mut self.ends {
            Ends::Client(client) => {
                self.renewal.wanted(now);
                client.request_floor(now);
            }
            Ends::Server(server, _) | Ends::Both { server, .. } => {
                server.request_as_owner(now);
            }
        }
        self.settle(now);
    }

    pub(super) fn release(&mut self, now: Instant) {
        self.wanted = Wanted::No;
        self.ask_when_open = false;
        self.give_back(now);
        self.settle(now);
    }

    fn give_back(&mut self, now: Instant) {
        match &mut self.ends {
            Ends::Client(client) => client.release_floor(now),
            Ends::Server(server, _) => server.release_as_owner(now),
            Ends::Both { client, server, .. } => {
                client.release_floor(now);
                server.release_as_owner(now);
            }
        }
    }

    /// Takes the floor from the peer, or turns its request down. False where we are not the server.
    pub(super) fn revoke(&mut self, now: Instant) -> bool {
        let revoked = match &mut self.ends {
            Ends::Client(_) => false,
            Ends::Server(server, peer) => {
                server.revoke(now, *peer);
                true
            }
            Ends::Both { server, ids, .. } => {
                server.revoke(now, ids.user);
                true
            }
        };
        self.settle(now);
        revoked
    }

    /// Says goodbye to the peer's server.
    pub(super) fn leave(&mut self, now: Instant) {
        self.wanted = Wanted::No;
        let reliability = reliability_of(self.media.connection);
        match &mut self.ends {
            Ends::Client(client) => {
                client.leave(now);
                if reliability == Reliability::Reliable {
                    self.renewal.settled();
                    self.connection_wish = ConnectionWish::Close;
                }
            }
            Ends::Server(server, _) => server.release_as_owner(now),
            Ends::Both { client, server, .. } => {
                server.release_as_owner(now);
                client.leave(now);
            }
        }
        self.settle(now);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.ends {
            Ends::Client(client) => {
                let deadlines = [client.next_deadline(), self.renewal.deadline()];
                deadlines.into_iter().flatten().min()
            }
            Ends::Server(server, _) => server.next_deadline(),
            Ends::Both { client, server, .. } => {
                let deadlines = [client.next_deadline(), server.next_deadline()];
                deadlines.into_iter().flatten().min()
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.ends {
            Ends::Client(client) => {
                client.handle_timeout(now);
                if self.renewal.take_due(now) {
                    self.connection_wish = ConnectionWish::Renew;
                }
            }
            Ends::Server(server, _) => server.handle_timeout(now),
            Ends::Both { client, server, .. } => {
                client.handle_timeout(now);
                server.handle_timeout(now);
            }
        }
        self.settle(now);
    }

    /// Draws what follows from a change, and collects what the machines have to say.
    fn settle(&mut self, now: Instant) {
        // First what has happened: a floor that was taken is not to be asked for again.
        self.collect(now);
        if self.renewal.has_given_up() {
            self.give_up();
        }
        self.arbitrate(now);
        self.collect(now);
        let state = self.state();
        if state != self.told {
            self.told = state;
            self.changes.push(state);
        }
    }

    /// Where both ends have a server: what we want of the two.
    fn arbitrate(&mut self, now: Instant) {
        let Ends::Both {
            client,
            server,
            ids,
            first,
        } = &mut self.ends
        else {
            return;
        };
        if self.wanted == Wanted::No {
            return;
        }
        let stuck = server.holder() == Some(OWNER)
            && server.waits(ids.user)
            && client.wants_floor()
            && !client.has_floor();
        if stuck && *first == FirstChoice::Peer {
            server.release_as_owner(now);
            server.request_as_owner(now);
        }
        if server.holder() == Some(OWNER) {
            if !client.wants_floor() {
                client.request_floor(now);
            }
        } else if client.has_floor() {
            client.release_floor(now);
        }
    }

    fn collect(&mut self, now: Instant) {
        let over_connection = reliability_of(self.media.connection) == Reliability::Reliable;
        let mut lost = false;
        let (client, server) = match &mut self.ends {
            Ends::Client(client) => (Some(client), None),
            Ends::Server(server, _) => (None, Some(server)),
            Ends::Both { client, server, .. } => (Some(client), Some(server)),
        };
        if let Some(client) = client {
            while let Some(output) = client.poll_output() {
                match output {
                    ParticipantOutput::Send(bytes) => self.to_send.push(bytes),
                    ParticipantOutput::Event(ParticipantEvent::Failed) => {
                        self.changes.push(FloorChange::Unreachable);
                        // Nobody answers, or nobody can be understood.
                        if over_connection {
                            self.renewal.lost(now);
                            self.connection_wish = ConnectionWish::Close;
                        }
                    }
                    ParticipantOutput::Event(ParticipantEvent::Ended(end)) => {
                        lost |= is_loss(&end) && !client.wants_floor();
                    }
                    ParticipantOutput::Event(
                        ParticipantEvent::Ready
                        | ParticipantEvent::Queued(_)
                        | ParticipantEvent::Granted
                        | ParticipantEvent::HolderChanged(_)
                        | ParticipantEvent::ServerLeft,
                    ) => {}
                }
            }
        }
        if let Some(server) = server {
            while let Some(output) = server.poll_output() {
                match output {
                    ServerOutput::Send(_, bytes) => self.to_send.push(bytes),
                    ServerOutput::Event(ServerEvent::Waits(_)) => {
                        self.changes.push(FloorChange::PeerWaits);
                    }
                    ServerOutput::Event(ServerEvent::Unreadable(_)) => {
                        self.connection_wish = ConnectionWish::Close;
                    }
                    ServerOutput::Event(ServerEvent::Silent(_)) => {
                        self.changes.push(FloorChange::Unreachable);
                    }
                    ServerOutput::Event(
                        ServerEvent::HolderChanged(_)
                        | ServerEvent::OwnerEnded
                        | ServerEvent::Left(_),
                    ) => {}
                }
            }
        }
        // That is told, and nothing is kept.
        if lost && self.wanted == Wanted::Yes {
            self.wanted = Wanted::No;
            self.give_back(now);
            self.changes.push(FloorChange::NotGranted);
            self.collect(now);
        }
    }

    fn state(&self) -> FloorChange {
        match &self.ends {
            Ends::Client(client) if client.has_floor() => FloorChange::Ours,
            Ends::Client(client) => match client.holder() {
                // The server says so, and has not told us of the end of our request yet.
                FloorHolder::Nobody | FloorHolder::Us => FloorChange::Free,
                FloorHolder::Other(_) => FloorChange::Theirs,
            },
            Ends::Server(server, _) => match server.holder() {
                None => FloorChange::Free,
                Some(OWNER) => FloorChange::Ours,
                Some(_) => FloorChange::Theirs,
            },
            Ends::Both { client, server, .. } => match server.holder() {
                Some(OWNER) if client.has_floor() => FloorChange::Ours,
                Some(OWNER) | None => FloorChange::Free,
                Some(_) => FloorChange::Theirs,
            },
        }
    }
}

/// Whether a request ended without our doing.
fn is_loss(end: &FloorEnd) -> bool {
    match end {
        FloorEnd::Status(RequestStatus::Released | RequestStatus::Cancelled) => false,
        FloorEnd::Status(
            RequestStatus::Pending
            | RequestStatus::Accepted
            | RequestStatus::Granted
            | RequestStatus::Denied
            | RequestStatus::Revoked
            | RequestStatus::Other(_),
        )
        | FloorEnd::Refused(_)
        | FloorEnd::Forgotten => true,
    }
}

fn reliability_of(connection: FloorConnection) -> Reliability {
    match connection {
        FloorConnection::Udp { .. } => Reliability::Unreliable,
        FloorConnection::Tcp { .. } => Reliability::Reliable,
    }
}
