//! A server and its participants, with a network between them and one clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use netem::{Delivery, LinkConditions, Network, StreamId};
use sip::bfcp::{
    ConferenceId, FloorId, Participant, ParticipantEvent, ParticipantOutput, ParticipantSettings,
    Server, ServerEvent, ServerOutput, ServerSettings, UserId, WhenBusy,
};
use sip::transaction::Reliability;

pub(crate) const CONFERENCE: ConferenceId = ConferenceId(4_711);
pub(crate) const FLOOR: FloorId = FloorId(2);
pub(crate) const OWNER: UserId = UserId(1);
pub(crate) const ANNA: UserId = UserId(10);
pub(crate) const BERT: UserId = UserId(11);

pub(crate) const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5_000);

pub(crate) fn address(user: UserId) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), user.0)
}

pub(crate) struct Ends {
    pub(crate) now: Instant,
    pub(crate) network: Network,
    pub(crate) server: Server,
    pub(crate) server_events: Vec<ServerEvent>,
    pub(crate) participants: BTreeMap<UserId, End>,
    reliability: Reliability,
    /// How often anybody sent something.
    pub(crate) sent: usize,
}

pub(crate) struct End {
    pub(crate) machine: Participant,
    pub(crate) events: Vec<ParticipantEvent>,
    stream: Option<StreamId>,
}

pub(crate) fn participant(user: UserId, reliability: Reliability) -> Participant {
    Participant::new(ParticipantSettings {
        conference: CONFERENCE,
        user,
        floor: FLOOR,
        reliability,
        // Close to where the numbers begin again.
        transaction_seed: 65_533,
    })
}

pub(crate) fn server(when_busy: WhenBusy) -> Server {
    Server::new(ServerSettings {
        conference: CONFERENCE,
        floor: FLOOR,
        owner: OWNER,
        when_busy,
        transaction_seed: 65_520,
    })
}

impl Ends {
    /// A server with participants whose ways are open.
    pub(crate) fn new(
        seed: u64,
        reliability: Reliability,
        when_busy: WhenBusy,
        conditions: LinkConditions,
        users: &[UserId],
    ) -> Self {
        let now = Instant::now();
        let mut ends = Self {
            now,
            network: Network::new(seed, now),
            server: server(when_busy),
            server_events: Vec::new(),
            participants: BTreeMap::new(),
            reliability,
            sent: 0,
        };
        ends.network.set_default_conditions(conditions);
        ends.network.listen(SERVER);
        for user in users {
            let machine = participant(*user, reliability);
            let end = End {
                machine,
                events: Vec::new(),
                stream: None,
            };
            ends.participants.insert(*user, end);
            ends.connect(*user);
        }
        ends
    }

    /// A quiet network, over UDP, where the floor is queued for.
    pub(crate) fn calm(users: &[UserId]) -> Self {
        let mut ends = Self::new(
            1,
            Reliability::Unreliable,
            WhenBusy::Queue,
            LinkConditions::default(),
            users,
        );
        ends.run(Duration::from_secs(1));
        ends
    }

    /// Opens a participant's way.
    pub(crate) fn connect(&mut self, user: UserId) {
        let now = self.now;
        match self.reliability {
            Reliability::Unreliable => {
                self.server.admit(user, self.reliability);
                self.act(user, |machine| machine.open(now));
            }
            Reliability::Reliable => {
                let stream = self.network.open_stream(now, address(user), SERVER);
                self.participants.get_mut(&user).unwrap().stream = Some(stream);
            }
        }
    }

    pub(crate) fn act<T>(&mut self, user: UserId, action: impl FnOnce(&mut Participant) -> T) -> T {
        let result = action(&mut self.participants.get_mut(&user).unwrap().machine);
        self.drain();
        result
    }

    pub(crate) fn ask(&mut self, user: UserId) {
        let now = self.now;
        self.act(user, |machine| machine.request_floor(now));
    }

    pub(crate) fn give_back(&mut self, user: UserId) {
        let now = self.now;
        self.act(user, |machine| machine.release_floor(now));
    }

    /// Leaves: by a goodbye, or by closing the connection.
    pub(crate) fn leave(&mut self, user: UserId) {
        let now = self.now;
        self.act(user, |machine| machine.leave(now));
        if self.reliability == Reliability::Reliable {
            self.close_stream(user);
        }
    }

    pub(crate) fn chair<T>(&mut self, action: impl FnOnce(&mut Server, Instant) -> T) -> T {
        let result = action(&mut self.server, self.now);
        self.drain();
        result
    }

    /// The events of a participant since the last time.
    pub(crate) fn news(&mut self, user: UserId) -> Vec<ParticipantEvent> {
        std::mem::take(&mut self.participants.get_mut(&user).unwrap().events)
    }

    /// Those who believe that they have the floor.
    pub(crate) fn holders(&self) -> Vec<UserId> {
        let participants = self.participants.iter();
        participants
            .filter(|(_, end)| end.machine.has_floor())
            .map(|(user, _)| *user)
            .collect()
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        // Bounded: a machine that is due again and again without time passing is a bug.
        for _ in 0..1_000_000 {
            let machines = self.participants.values();
            let next = machines
                .filter_map(|end| end.machine.next_deadline())
                .chain(self.server.next_deadline())
                .chain(self.network.next_delivery())
                .min();
            let Some(at) = next.filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            self.step();
        }
        panic!("the clock stands still");
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(delivery) = self.network.deliver(now) {
            self.deliver(delivery);
            self.drain();
        }
        for end in self.participants.values_mut() {
            end.machine.handle_timeout(now);
        }
        self.server.handle_timeout(now);
        self.drain();
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::Datagram { from, to, payload } => self.read(from, to, &payload),
            Delivery::StreamOpened { from, to, .. } if to == SERVER => {
                self.server.admit(UserId(from.port()), self.reliability);
            }
            Delivery::StreamOpened { to, .. } => {
                let user = UserId(to.port());
                self.act(user, |machine| machine.open(now));
            }
            Delivery::StreamBytes {
                stream,
                to,
                payload,
            } => {
                // What comes over a connection that was replaced concerns nobody.
                if let Some(user) = self.user_of(stream) {
                    let from = if to == SERVER { address(user) } else { SERVER };
                    self.read(from, to, &payload);
                }
            }
            Delivery::StreamClosed { stream, to } => {
                let user = self.user_of(stream);
                match user {
                    Some(user) if to == SERVER => self.server.dismiss(now, user),
                    Some(user) => self.act(user, Participant::closed),
                    None => {}
                }
            }
            Delivery::StreamRefused { .. } => panic!("the server listens"),
        }
    }

    fn user_of(&self, stream: StreamId) -> Option<UserId> {
        let mut participants = self.participants.iter();
        participants
            .find(|(_, end)| end.stream == Some(stream))
            .map(|(user, _)| *user)
    }

    fn read(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to == SERVER {
            self.server.received(self.now, UserId(from.port()), bytes);
        } else if let Some(end) = self.participants.get_mut(&UserId(to.port())) {
            end.machine.received(self.now, bytes);
        }
    }

    fn drain(&mut self) {
        let mut sends: Vec<(UserId, SocketAddr, Bytes)> = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                ServerOutput::Send(user, bytes) => sends.push((user, SERVER, bytes)),
                ServerOutput::Event(event) => self.server_events.push(event),
            }
        }
        for (user, end) in &mut self.participants {
            while let Some(output) = end.machine.poll_output() {
                match output {
                    ParticipantOutput::Send(bytes) => sends.push((*user, address(*user), bytes)),
                    ParticipantOutput::Event(event) => end.events.push(event),
                }
            }
        }
        self.sent += sends.len();
        for (user, from, bytes) in sends {
            let to = if from == SERVER {
                address(user)
            } else {
                SERVER
            };
            match self.participants.get(&user).and_then(|end| end.stream) {
                Some(stream) => self.network.stream_send(self.now, stream, from, bytes),
                None => self.network.send(self.now, from, to, bytes),
            }
        }
    }

    /// Breaks a participant's connection.
    pub(crate) fn break_stream(&mut self, user: UserId) {
        self.close_stream(user);
        self.act(user, Participant::closed);
    }

    /// A participant's connection is lost, and both ends notice.
    pub(crate) fn lose_stream(&mut self, user: UserId) {
        self.close_stream(user);
        self.participants.get_mut(&user).unwrap().stream = None;
        self.act(user, Participant::closed);
        self.server.lose(self.now, user);
        self.drain();
    }

    fn close_stream(&mut self, user: UserId) {
        let stream = self.participants[&user].stream.unwrap();
        self.network.close_stream(self.now, stream, address(user));
    }
}
