//! The clock, the network, and the rooms in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netem::{Delivery, LinkConditions, Network};
use room::{Admission, Fact, LegId, LegState, Remembered, Request, RoomSnapshot};

use crate::journal::Journal;
use crate::setup::RoomSetup;
use crate::simulated_room::{SimulatedRoom, Taken};

pub use crate::setup::RoomName;

/// What lies between the rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cable {
    Plugged,
    /// Datagrams are lost. What streams carry waits, as TCP repeats it.
    Cut,
}

/// Rooms in one virtual time.
#[derive(Debug)]
pub struct World {
    seed: u64,
    now: Instant,
    network: Network,
    cable: Cable,
    /// What streams would have brought while the cable was cut, in its order.
    delayed: Vec<Delivery>,
    rooms: BTreeMap<RoomName, SimulatedRoom>,
    /// Addresses at which a test plays somebody, with the datagrams that have arrived there.
    played: BTreeMap<SocketAddr, Vec<(SocketAddr, Bytes)>>,
    journal: Journal,
}

impl World {
    /// These rooms, idle, on a perfect network.
    #[must_use]
    pub fn new(seed: u64, setups: &[RoomSetup]) -> Self {
        let now = Instant::now();
        let mut world = Self {
            seed,
            now,
            network: Network::new(seed, now),
            cable: Cable::Plugged,
            delayed: Vec::new(),
            rooms: BTreeMap::new(),
            played: BTreeMap::new(),
            journal: Journal::new(now),
        };
        for setup in setups {
            world.power_on(setup);
        }
        world
    }

    /// Starts a room, idle and with nothing remembered.
    pub fn power_on(&mut self, setup: &RoomSetup) {
        self.start(setup, Remembered::default());
    }

    /// Kills a room's process: it says nothing any more, and comes back at once with what it had
    /// stored.
    pub fn kill_and_restart(&mut self, setup: &RoomSetup) {
        let killed = self.rooms.remove(&setup.name);
        let stored = killed.map(|room| room.stored().clone());
        self.journal
            .note(self.now, format_args!("{:?} is killed", setup.name));
        self.start(setup, stored.unwrap_or_default());
    }

    fn start(&mut self, setup: &RoomSetup, remembered: Remembered) {
        let address = setup.name.address();
        for port in [crate::setup::SIP_PORT, crate::setup::TLS_PORT] {
            self.network.listen((address, port).into());
        }
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed[8..12].copy_from_slice(&(setup.name as u32).to_be_bytes());
        seed[12..20].copy_from_slice(&(self.elapsed().as_nanos() as u64).to_be_bytes());
        self.rooms
            .insert(setup.name, SimulatedRoom::new(setup, seed, remembered));
        self.journal
            .note(self.now, format_args!("{:?} starts", setup.name));
        self.settle(setup.name);
    }

    /// Takes a room's power: it says nothing any more, to nobody.
    pub fn power_off(&mut self, name: RoomName) {
        self.rooms.remove(&name);
        self.journal
            .note(self.now, format_args!("{name:?} loses power"));
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The virtual time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - self.network.start()
    }

    /// What every path between the rooms does from now on.
    pub fn set_conditions(&mut self, conditions: LinkConditions) {
        self.network.set_default_conditions(conditions);
    }

    /// Cuts the cable between the rooms.
    pub fn cut(&mut self) {
        self.cable = Cable::Cut;
        self.journal.note(self.now, "the cable is cut");
    }

    /// Plugs the cable in again. What streams carried arrives now.
    pub fn heal(&mut self) {
        self.cable = Cable::Plugged;
        self.journal.note(self.now, "the cable is plugged in");
        for delivery in std::mem::take(&mut self.delayed) {
            self.deliver(delivery);
        }
    }

    /// A room.
    ///
    /// # Panics
    /// When there is none of that name, or it has no power.
    #[must_use]
    pub fn room(&self, name: RoomName) -> &SimulatedRoom {
        self.rooms
            .get(&name)
            .unwrap_or_else(|| panic!("{name:?} is not running"))
    }

    /// What a room's clients see.
    #[must_use]
    pub fn snapshot(&self, name: RoomName) -> RoomSnapshot {
        self.room(name).snapshot()
    }

    /// The state of the only leg of a room, `None` when it has none.
    ///
    /// # Panics
    /// When it has several.
    #[must_use]
    pub fn leg_state(&self, name: RoomName) -> Option<LegState> {
        let legs = self.snapshot(name).legs;
        assert!(legs.len() <= 1, "{name:?} has several legs: {legs:#?}");
        legs.first().map(|leg| leg.state)
    }

    /// The only leg of a room.
    ///
    /// # Panics
    /// When it has none or several.
    #[must_use]
    pub fn leg(&self, name: RoomName) -> LegId {
        match self.snapshot(name).legs.as_slice() {
            [leg] => leg.id,
            legs => panic!("{name:?} has not one leg but {legs:#?}\n{}", self.story()),
        }
    }

    /// Asks a room for something, as a client does.
    pub fn request(&mut self, name: RoomName, request: Request) -> Admission {
        let now = self.now;
        let admission = self.room_mut(name).request(now, request);
        self.settle(name);
        admission
    }

    /// Tells a room of something that neither its signalling nor its media saw.
    pub fn tell(&mut self, name: RoomName, fact: Fact) {
        self.room_mut(name).tell(fact);
        self.settle(name);
    }

    /// Lets a room send an INFO request on its leg, as a far end of another make does.
    ///
    /// # Panics
    /// When the type is none, or the room has not exactly one leg.
    pub fn send_info(&mut self, name: RoomName, content_type: &str, body: &'static str) {
        let content_type = content_type.parse().expect("a content type");
        let (now, leg) = (self.now, self.leg(name));
        let body = Bytes::from_static(body.as_bytes());
        self.room_mut(name).send_info(now, leg, &content_type, body);
        self.settle(name);
    }

    /// Keeps the datagrams that arrive at an address of no running room from now on.
    pub fn play(&mut self, address: SocketAddr) {
        self.played.entry(address).or_default();
    }

    /// The datagrams that have arrived at a played address since the last call, with where each came
    /// from.
    pub fn take_received(&mut self, address: SocketAddr) -> Vec<(SocketAddr, Bytes)> {
        self.played
            .get_mut(&address)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Sends a datagram to a room from an address that no room has.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        self.network.send(self.now, from, to, bytes);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets time pass until something is so, and says how long that took.
    ///
    /// # Panics
    /// When it is not so within `limit` of virtual time.
    pub fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Duration {
        let (begin, until) = (self.now, self.now + limit);
        while !is_so(self) {
            assert!(
                self.step(until),
                "not within {limit:?}: {what}\n{}",
                self.story()
            );
        }
        self.now - begin
    }

    /// The seed and everything that has happened, for the reader of a failure.
    #[must_use]
    pub fn story(&self) -> String {
        format!("seed {}\n{}", self.seed, self.journal)
    }

    fn room_mut(&mut self, name: RoomName) -> &mut SimulatedRoom {
        self.rooms
            .get_mut(&name)
            .unwrap_or_else(|| panic!("{name:?} is not running"))
    }

    fn settle(&mut self, name: RoomName) {
        let Some(room) = self.rooms.get_mut(&name) else {
            return;
        };
        room.settle(self.now, &mut self.network);
        for step in room.take_steps() {
            self.journal
                .note(self.now, format_args!("{name:?}: {step}"));
        }
    }

    /// Moves to the next thing that happens by `until`. False when there is none.
    fn step(&mut self, until: Instant) -> bool {
        let deadlines = self.rooms.values().filter_map(SimulatedRoom::next_deadline);
        let next = deadlines.chain(self.network.next_delivery()).min();
        let Some(at) = next.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(at);
        while let Some(delivery) = self.network.deliver(self.now) {
            self.arrive(delivery);
        }
        for name in RoomName::ALL {
            let Some(room) = self.rooms.get_mut(&name) else {
                continue;
            };
            if room.next_deadline().is_some_and(|at| at <= self.now) {
                room.handle_timeout(self.now);
                self.settle(name);
            }
        }
        true
    }

    fn arrive(&mut self, delivery: Delivery) {
        match (self.cable, &delivery) {
            (Cable::Plugged, _) => self.deliver(delivery),
            (Cable::Cut, Delivery::Datagram { .. }) => {}
            (
                Cable::Cut,
                Delivery::StreamOpened { .. }
                | Delivery::StreamRefused { .. }
                | Delivery::StreamBytes { .. }
                | Delivery::StreamClosed { .. },
            ) => self.delayed.push(delivery),
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        let to = match &delivery {
            Delivery::Datagram { to, .. }
            | Delivery::StreamOpened { to, .. }
            | Delivery::StreamRefused { to, .. }
            | Delivery::StreamBytes { to, .. }
            | Delivery::StreamClosed { to, .. } => *to,
        };
        if let (Delivery::Datagram { from, payload, .. }, Some(received)) =
            (&delivery, self.played.get_mut(&to))
        {
            return received.push((*from, payload.clone()));
        }
        let Some(name) = RoomName::at(to.ip()) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(&name) else {
            return;
        };
        match delivery {
            Delivery::Datagram { from, to, payload } => room.datagram(now, from, to, payload),
            Delivery::StreamOpened { stream, from, to } => {
                room.stream_opened(now, stream, from, to);
            }
            Delivery::StreamRefused { stream, .. } => room.stream_refused(now, stream),
            Delivery::StreamBytes {
                stream, payload, ..
            } => {
                if room.stream_bytes(now, stream, &payload) == Taken::No {
                    self.network.close_stream(now, stream, to);
                }
            }
            Delivery::StreamClosed { stream, .. } => room.stream_closed(now, stream),
        }
        self.settle(name);
    }
}
