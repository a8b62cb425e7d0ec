//! One room: its machine, its SIP endpoint and its media, joined as the driver task of `roomd`
//! joins them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use netem::{Network, StreamId};
use room::{
    Admission, Command, DtmfDigits, EndReason, Fact, FloorChange, LegId, Remembered, Replaced,
    Request, Room, RoomPolicy, RoomSnapshot,
};
use roomd::call_facts::{self, Meaning};
use roomd::end_reasons;
use roomd::floor_way::FloorWay;
use roomd::{dtmf_relay, ringing};
use sip::endpoint::{AccountName, ActionError, CallId, Counts, Endpoint, Event, Output};
use sip::grammar::{ContentType, Uri};
use sip::offer_answer::CallMedia;
use sip::transport::{StreamError, StreamInfo, Transport};

use crate::connections::Connections;
use crate::scripted_media::ScriptedMedia;
use crate::setup::{RoomName, RoomSetup, SIP_PORT, TLS_PORT};
use crate::unanswered::Unanswered;

/// A room in the simulation. The [`crate::World`] drives it.
#[derive(Debug)]
pub struct SimulatedRoom {
    name: RoomName,
    policy: RoomPolicy,
    room: Room,
    endpoint: Endpoint,
    connections: Connections,
    media: ScriptedMedia,
    calls: BTreeMap<LegId, CallId>,
    legs: BTreeMap<CallId, LegId>,
    /// Legs whose peer takes key presses as telephone-event (RFC 4733).
    telephone_event_legs: BTreeSet<LegId>,
    /// The BFCP port of each leg that has a floor, and where its messages go.
    floor_ways: BTreeMap<LegId, (SocketAddr, FloorWay)>,
    floor_changes: Vec<FloorChange>,
    events: VecDeque<Event>,
    facts: VecDeque<Fact>,
    unanswered: Unanswered,
    stored: Remembered,
    progress: Progress,
    steps: Vec<String>,
}

/// Whether bytes reached a connection of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    No,
}

/// Whether the process would still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Running,
    ShutDown,
}

impl SimulatedRoom {
    /// An idle room that remembers this from before. `seed` makes its endpoint's tags and keys.
    pub(crate) fn new(setup: &RoomSetup, seed: [u8; 32], remembered: Remembered) -> Self {
        let (policy, endpoint_settings) = setup.settings();
        let address = setup.name.address();
        Self {
            name: setup.name,
            room: Room::new(policy.clone(), remembered.clone()),
            policy,
            endpoint: Endpoint::new(endpoint_settings, seed),
            connections: Connections::new(address),
            media: ScriptedMedia::new(address),
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            telephone_event_legs: BTreeSet::new(),
            floor_ways: BTreeMap::new(),
            floor_changes: Vec::new(),
            events: VecDeque::new(),
            facts: VecDeque::new(),
            unanswered: Unanswered::default(),
            stored: remembered,
            progress: Progress::Running,
            steps: Vec::new(),
        }
    }

    /// Which room it is.
    #[must_use]
    pub const fn name(&self) -> RoomName {
        self.name
    }

    /// What its clients see.
    #[must_use]
    pub fn snapshot(&self) -> RoomSnapshot {
        self.room.snapshot()
    }

    /// Its media.
    #[must_use]
    pub const fn media(&self) -> &ScriptedMedia {
        &self.media
    }

    /// What its endpoint holds.
    #[must_use]
    pub fn endpoint_counts(&self) -> Counts {
        self.endpoint.counts()
    }

    /// The commands of the room that no fact has answered, in words.
    #[must_use]
    pub fn unanswered_commands(&self) -> Vec<String> {
        self.unanswered.list()
    }

    /// What would be there after a crash.
    #[must_use]
    pub const fn stored(&self) -> &Remembered {
        &self.stored
    }

    /// Whether it has shut down: the process would have ended.
    #[must_use]
    pub fn has_shut_down(&self) -> bool {
        self.progress == Progress::ShutDown
    }

    /// Asks the room for something. [`Self::settle`] must follow, as after every input.
    pub(crate) fn request(&mut self, now: Instant, request: Request) -> Admission {
        let text = format!("{request:?}");
        let admission = self.room.request(now, request);
        self.note(format!("request {text}: {admission:?}"));
        admission
    }

    /// Tells the room of something that neither signalling nor media told.
    pub(crate) fn tell(&mut self, fact: Fact) {
        self.facts.push_back(fact);
    }

    /// Sends an INFO request on a leg, as a far end of another make does.
    pub(crate) fn send_info(
        &mut self,
        now: Instant,
        leg: LegId,
        content_type: &ContentType,
        body: Bytes,
    ) {
        self.with_call(leg, |endpoint, call| {
            endpoint.send_info(now, call, content_type, body)
        });
    }

    /// What it was told of the floors of its legs, the oldest first.
    #[must_use]
    pub fn floor_changes(&self) -> &[FloorChange] {
        &self.floor_changes
    }

    /// The BFCP ports of its legs, and of their far ends.
    #[must_use]
    pub fn floor_ports(&self) -> Vec<(SocketAddr, Option<SocketAddr>)> {
        let ways = self.floor_ways.values();
        ways.map(|(local, way)| (*local, way.remote)).collect()
    }

    fn floor_at(&self, to: SocketAddr) -> Option<LegId> {
        let mut ways = self.floor_ways.iter();
        ways.find_map(|(leg, (local, _))| (*local == to).then_some(*leg))
    }

    fn floor_received(&mut self, now: Instant, leg: LegId, from: SocketAddr, bytes: &[u8]) {
        let way = self.floor_ways.get(&leg).map(|(_, way)| way);
        if !way.is_some_and(|way| way.is_from_peer(from)) {
            return self.note(format!("leg {leg}: {from} is not the peer of its floor"));
        }
        if let Some(call) = self.calls.get(&leg) {
            self.endpoint.floor_channel_received(now, *call, bytes);
        }
    }

    /// A datagram has arrived, for SIP or for media.
    pub(crate) fn datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    ) {
        if is_listening(to) {
            self.endpoint.datagram_received(now, to, from, bytes);
        } else if let Some(leg) = self.floor_at(to) {
            self.floor_received(now, leg, from, &bytes);
        } else {
            self.media.received(now, to, from, &bytes);
        }
    }

    /// A connection stands: a peer's where we listen, else one that we asked for.
    pub(crate) fn stream_opened(
        &mut self,
        now: Instant,
        stream: StreamId,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        if is_listening(to) {
            let transport = if to.port() == TLS_PORT {
                Transport::Tls
            } else {
                Transport::Tcp
            };
            let flow = self.endpoint.reserve_flow();
            self.connections.accepted(flow, stream, to);
            self.endpoint
                .stream_opened(now, flow, StreamInfo::new(transport, to, from));
        } else if let Some((flow, info)) = self.connections.opened(stream, from) {
            self.endpoint.stream_opened(now, flow, info);
        }
    }

    /// A connection that we asked for could not be made.
    pub(crate) fn stream_refused(&mut self, now: Instant, stream: StreamId) {
        if let Some(flow) = self.connections.refused(stream) {
            self.endpoint
                .stream_closed(now, flow, StreamError::NotConnected);
        }
    }

    /// Bytes have arrived over a connection. One that the room does not know is to be reset, as a
    /// restarted machine resets those from before.
    pub(crate) fn stream_bytes(&mut self, now: Instant, stream: StreamId, bytes: &Bytes) -> Taken {
        match self.connections.flow(stream) {
            Some(flow) => {
                self.endpoint.stream_received(now, flow, bytes);
                Taken::Yes
            }
            None => Taken::No,
        }
    }

    /// The other end has closed a connection.
    pub(crate) fn stream_closed(&mut self, now: Instant, stream: StreamId) {
        if let Some(flow) = self.connections.closed(stream) {
            self.endpoint.stream_closed(now, flow, StreamError::Closed);
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let room = self.room.next_deadline();
        let media = self.media.next_deadline();
        self.endpoint
            .next_deadline()
            .into_iter()
            .chain(room)
            .chain(media)
            .min()
    }

    /// Time has passed. The same order as in the driver.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.media.handle_timeout(now);
        self.room.handle_timeout(now);
        self.endpoint.handle_timeout(now);
    }

    /// Carries out everything that follows from what was taken in.
    pub(crate) fn settle(&mut self, now: Instant, network: &mut Network) {
        loop {
            self.flush(now, network);
            if let Some(event) = self.events.pop_front() {
                self.take_sip_event(now, event);
            } else if let Some(command) = self.room.poll_command() {
                self.carry_out(now, command);
            } else if let Some(fact) = self.facts.pop_front().or_else(|| self.media.poll_fact()) {
                self.fact(now, fact);
            } else {
                break;
            }
        }
        let refusal = self.room.refuses_calls().map(call_facts::reject_status);
        self.endpoint.set_call_refusal(refusal);
    }

    /// What it did since the last call.
    pub(crate) fn take_steps(&mut self) -> Vec<String> {
        std::mem::take(&mut self.steps)
    }

    fn note(&mut self, step: String) {
        self.steps.push(step);
    }

    fn fact(&mut self, now: Instant, fact: Fact) {
        self.unanswered.told(&fact);
        if let Fact::Floor { change, .. } = &fact {
            self.floor_changes.push(*change);
        }
        self.note(format!("fact {}", brief(&fact)));
        self.room.fact(now, fact);
    }

    fn flush(&mut self, now: Instant, network: &mut Network) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::SendDatagram {
                    local,
                    remote,
                    bytes,
                } => {
                    network.send(now, local, remote, bytes);
                }
                Output::OpenStream {
                    flow,
                    transport,
                    remote,
                    server_name,
                    identity: _,
                    websocket_path: _,
                } => {
                    self.connections
                        .connect(now, network, flow, transport, remote, server_name);
                }
                Output::SendStream { flow, bytes } => {
                    self.connections.send(now, network, flow, bytes);
                }
                // No room of the simulation speaks over WebSockets.
                Output::PingWebSocket { .. } => {}
                Output::CloseStream { flow } => self.connections.close(now, network, flow),
                Output::SendFloorControl { call, bytes } => {
                    let leg = self.legs.get(&call);
                    let way = leg.and_then(|leg| self.floor_ways.get(leg));
                    if let Some((local, way)) = way
                        && let Some(remote) = way.remote
                    {
                        network.send(now, *local, remote, bytes);
                    }
                }
                // Floors of the simulation are agreed over datagrams.
                Output::CloseFloorControl { .. } => {}
                // Every target of the simulation is an address.
                Output::Resolve { id, .. } => self.endpoint.resolved(now, id, &[]),
                Output::Event(event) => self.events.push_back(event),
            }
        }
        while let Some((from, to, packet)) = self.media.poll_packet() {
            network.send(now, from, to, packet);
        }
    }

    fn carry_out(&mut self, now: Instant, command: Command) {
        self.unanswered.ordered(&command);
        self.note(format!("command {}", brief(&command)));
        match command {
            Command::Dial {
                leg,
                target,
                account,
                replaced,
            } => self.dial(now, leg, &target, account, replaced.as_ref()),
            Command::Ring { leg } => {
                if let Some(call) = self.calls.get(&leg) {
                    let bind = || Ok::<_, Infallible>(self.media.bind(leg));
                    let told = ringing::ring(&mut self.endpoint, now, *call, bind);
                    if let Err(error) = told {
                        self.note(format!("leg {leg}: not rung, {error:?}"));
                    }
                }
            }
            Command::Accept { leg, mode } => {
                let local = self.media.bind(leg);
                self.with_call(leg, |endpoint, call| {
                    call_facts::answer(endpoint, now, call, local, mode)
                });
            }
            Command::Reject { leg, cause } => {
                let status = call_facts::reject_status(cause);
                self.with_call(leg, |endpoint, call| endpoint.reject(now, call, status));
            }
            Command::HangUp { leg } => {
                self.with_call(leg, |endpoint, call| endpoint.hang_up(now, call));
            }
            Command::Hold { leg } => self.with_call(leg, |endpoint, call| endpoint.hold(now, call)),
            Command::Resume { leg } => {
                self.with_call(leg, |endpoint, call| endpoint.resume(now, call));
            }
            Command::RequestFloor { leg } => {
                if let Some(call) = self.calls.get(&leg) {
                    let endpoint = &mut self.endpoint;
                    let fact = call_facts::request_floor(endpoint, now, leg, *call);
                    self.facts.extend(fact);
                }
            }
            Command::ReleaseFloor { leg } => {
                self.with_call(leg, |endpoint, call| endpoint.release_floor(now, call));
            }
            Command::RevokeFloor { leg } => {
                self.with_call(leg, |endpoint, call| endpoint.revoke_floor(now, call));
            }
            Command::SendDtmf { leg, digits } => self.send_dtmf(now, leg, &digits),
            Command::AcceptTransfer { leg } => {
                self.with_call(leg, |endpoint, call| endpoint.accept_transfer(now, call));
            }
            Command::RefuseTransfer { leg } => {
                self.with_call(leg, |endpoint, call| endpoint.refuse_transfer(now, call));
            }
            Command::TellTransfer { leg, progress } => {
                let status = end_reasons::transfer_status(progress);
                self.with_call(leg, |endpoint, call| {
                    endpoint.tell_transfer(now, call, status)
                });
            }
            Command::Register { account } => {
                let account = AccountName::new(&account);
                if let Err(error) = self.endpoint.register(now, &account) {
                    self.note(format!("account {account}: not registered, {error}"));
                }
            }
            Command::ApplyMedia(plan) => self.media.apply(now, plan),
            Command::Remember {
                generation,
                remembered,
            } => {
                self.stored = remembered;
                self.facts.push_back(Fact::Stored { generation });
            }
            Command::ShutDownComplete => self.progress = Progress::ShutDown,
        }
    }

    fn with_call(
        &mut self,
        leg: LegId,
        action: impl FnOnce(&mut Endpoint, CallId) -> Result<(), ActionError>,
    ) {
        let Some(call) = self.calls.get(&leg) else {
            return;
        };
        if let Err(error) = action(&mut self.endpoint, *call) {
            self.note(format!("leg {leg}: not done, {error}"));
        }
    }

    fn send_dtmf(&mut self, now: Instant, leg: LegId, digits: &DtmfDigits) {
        if self.telephone_event_legs.contains(&leg) {
            return self.media.send_dtmf(leg, digits);
        }
        for digit in digits.as_slice() {
            self.with_call(leg, |endpoint, call| {
                let content_type = dtmf_relay::content_type();
                endpoint.send_info(now, call, &content_type, dtmf_relay::body(*digit))
            });
        }
    }

    fn dial(
        &mut self,
        now: Instant,
        leg: LegId,
        target: &str,
        account: Option<String>,
        replaced: Option<&Replaced>,
    ) {
        if let Err(reason) = self.try_dial(now, leg, target, account, replaced) {
            self.media.release(leg);
            self.facts.push_back(Fact::Ended { leg, reason });
        }
    }

    fn try_dial(
        &mut self,
        now: Instant,
        leg: LegId,
        target: &str,
        account: Option<String>,
        replaced: Option<&Replaced>,
    ) -> Result<(), EndReason> {
        let target: Uri = target.parse().map_err(|_| EndReason::InvalidTarget)?;
        let account = AccountName::new(&account.ok_or(EndReason::NoUsableAccount)?);
        let local = self.media.bind(leg);
        let endpoint = &mut self.endpoint;
        let call = call_facts::place(endpoint, now, &account, &target, local, replaced);
        let call = call.map_err(|error| end_reasons::invite_failure(&error))?;
        self.calls.insert(leg, call);
        self.legs.insert(call, leg);
        Ok(())
    }

    fn take_sip_event(&mut self, now: Instant, event: Event) {
        match call_facts::meaning(event, |call| self.legs.get(&call).copied()) {
            Meaning::Incoming(incoming) => {
                let leg = self.room.reserve_leg();
                self.calls.insert(leg, incoming.call);
                self.legs.insert(incoming.call, leg);
                self.fact(now, incoming.fact(leg));
            }
            Meaning::Leg { leg, media, facts } => {
                if let Some(media) = media.filter(|_| !self.is_unanswered(leg)) {
                    self.connect(now, leg, &media);
                }
                for fact in facts {
                    self.fact(now, fact);
                }
                let call = self.calls.get(&leg);
                let way_back = |call: &CallId| call_facts::way_back(&self.endpoint, *call);
                if let Some(way_back) = call.and_then(way_back) {
                    self.fact(now, Fact::DialogNamed { leg, way_back });
                }
            }
            Meaning::Ended { call, leg, reason } => {
                self.legs.remove(&call);
                self.calls.remove(&leg);
                self.media.release(leg);
                self.floor_ways.remove(&leg);
                self.telephone_event_legs.remove(&leg);
                self.fact(now, Fact::Ended { leg, reason });
            }
            Meaning::EndExplained { leg, explanation } => {
                self.note(format!("{leg:?}: {explanation:?}"));
                self.fact(now, Fact::EndExplained { leg, explanation });
            }
            Meaning::KeyframeWanted { leg } => self.media.request_keyframe(leg),
            Meaning::Room(fact) => self.fact(now, fact),
            Meaning::Refused { remote, why } => self.note(format!("{remote} refused: {why:?}")),
            Meaning::Nothing => {}
        }
    }

    fn is_unanswered(&self, leg: LegId) -> bool {
        let call = self.calls.get(&leg);
        call.is_some_and(|call| self.endpoint.is_unanswered(*call))
    }

    fn connect(&mut self, now: Instant, leg: LegId, media: &CallMedia) {
        if call_facts::takes_telephone_event(media) {
            self.telephone_event_legs.insert(leg);
        } else {
            self.telephone_event_legs.remove(&leg);
        }
        let route = call_facts::route(media, &self.policy.media);
        self.media.connect(leg, route);
        self.connect_floor(now, leg, media);
    }

    fn connect_floor(&mut self, now: Instant, leg: LegId, media: &CallMedia) {
        let way = FloorWay::agreed(media);
        let before = self.floor_ways.remove(&leg).map(|(_, before)| before);
        let Some((way, local)) = way.zip(self.media.floor_port(leg)) else {
            return;
        };
        self.floor_ways.insert(leg, (local, way));
        if !way.continues(before.as_ref()) {
            self.with_call(leg, |endpoint, call| {
                endpoint.floor_channel_opened(now, call)
            });
        }
    }
}

/// Whether SIP listens there; connections of ours and media have the ports above.
fn is_listening(local: SocketAddr) -> bool {
    [SIP_PORT, TLS_PORT].contains(&local.port())
}

/// The first line of a value's text, cut to a readable length.
fn brief(value: &impl std::fmt::Debug) -> String {
    const LONGEST: usize = 160;
    let text = format!("{value:?}");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}
