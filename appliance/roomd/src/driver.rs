//! The one task that owns the room.
//!
//! ```text
//!  sockets, look-ups, media, store ──fact──┐            ┌──> SIP endpoint ──> sockets
//!                                          ├─> Room ────┼──> media plan, leg transports
//!  HTTP, buttons, signals ───────request───┘     │      └──> store
//!                                                └──> watch<RoomSnapshot>
//! ```
//!
//! Each turn takes in what waits, facts before requests, and carries out every command before it
//! waits again. Nothing here blocks: sockets and media have bounded queues of their own.

mod congestion;
mod guests;
mod transports;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{Media, MediaEvent};
use room::ids::LegId;
use room::policy::RoomPolicy;
use room::{
    Admission, AnswerMode, Command, DtmfDigits, EndReason, Fact, Generation, Input, InputQueue,
    Remembered, Replaced, Request, Room, RoomSnapshot,
};
use sip::endpoint::{self, AccountName, ActionError, CallId, Endpoint, Event};
use sip::grammar::{StatusCode, Uri};
use sip::offer_answer::CallMedia;
use tokio::sync::{mpsc, oneshot, watch};

use crate::call_facts::Meaning;
use crate::devices::WantedDevices;
use crate::dtmf_relay;
use crate::error::Error;
use crate::floor_way::FloorWay;
use crate::guest_legs::{self, GuestLegs, LegNews};
use crate::guests::signalling::GuestEvent;
use crate::handshakes::{self, Handshakes, Stage};
use crate::held_answers::{HeldAnswers, Released};
use crate::latency_probe::LatencyProbes;
use crate::leg_networks::{FloorNews, FloorStep, LegNetworks};
use crate::media_ports::floor_events::FloorEvent;
use crate::media_ports::transport_events::TransportEvent;
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;
use crate::signalling::{FloorOrder, Signalling};
use crate::sip_ladders::LadderQuestion;
use crate::sip_sockets::SocketEvent;
use crate::typed_target::dialable;
use crate::{
    call_facts, end_reasons, media_control, media_facts, our_addresses, ringing,
    service_notification,
};

/// Facts of one kind that are taken in before the other kinds get their turn.
const FACTS_A_TURN: usize = 64;
/// Requests that may wait; more are refused by the API as "busy".
const REQUEST_QUEUE: usize = 64;
/// How long the endpoint may take to de-register and finish its transactions at the end.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// A client's request, with the way to answer it.
pub type PendingRequest = (Request, oneshot::Sender<Admission>);

/// Everything that reaches the driver.
pub struct Inputs {
    /// What SIP sockets saw.
    pub sockets: mpsc::Receiver<SocketEvent>,
    /// What the sockets of floors see. Ends where no content is shared.
    pub floors: mpsc::Receiver<FloorEvent>,
    /// What comes of the DTLS handshakes of media and of ICE, and what congestion control finds.
    pub transports: mpsc::UnboundedReceiver<TransportEvent>,
    /// What the guest server sees. Ends where there is none.
    pub guests: mpsc::Receiver<GuestEvent>,
    /// What the legs of guests see.
    pub guest_news: mpsc::Receiver<LegNews>,
    /// What media observed.
    pub media: mpsc::Receiver<MediaEvent>,
    /// What the store, the devices and the like report.
    pub facts: mpsc::Receiver<Fact>,
    /// What clients want.
    pub requests: mpsc::Receiver<PendingRequest>,
    /// What clients want to see of SIP.
    pub ladders: mpsc::Receiver<LadderQuestion>,
    /// Counts changes of this machine's addresses.
    pub address_changes: watch::Receiver<u64>,
}

/// What the driver works on.
pub struct Driver {
    room: Room,
    policy: RoomPolicy,
    signalling: Signalling,
    networks: LegNetworks,
    handshakes: Handshakes,
    guests: GuestLegs,
    media: Media,
    /// Where peers were last told that SIP reaches us.
    listen: endpoint::ListenAddresses,
    /// Whether there was no network when the addresses last changed.
    was_cut_off: bool,
    remember: mpsc::UnboundedSender<(Generation, Remembered)>,
    wanted_devices: watch::Sender<WantedDevices>,
    snapshots: watch::Sender<RoomSnapshot>,
    counters: Arc<NetworkCounters>,
    /// Accounts that register, to de-register at the end.
    registering: Vec<AccountName>,
    alive_interval: Option<Duration>,
    /// Legs whose peer takes key presses as telephone-event (RFC 4733).
    telephone_event_legs: HashSet<LegId>,
    latency_probes: HashMap<LegId, LatencyProbes>,
    probe_tasks: OwnedTasks,
    /// Where incoming calls came from: decides which of our addresses the answer names.
    callers: HashMap<LegId, IpAddr>,
    /// Whether somebody has ended the meeting, and its links are to end after its legs.
    meeting_over: bool,
    queue: InputQueue<PendingRequest>,
    answers: HeldAnswers<(Admission, oneshot::Sender<Admission>)>,
}

/// The parts that [`Driver::new`] joins.
pub struct Parts {
    /// The owner's policy.
    pub policy: RoomPolicy,
    /// What the room remembers of its last run.
    pub remembered: Remembered,
    /// SIP.
    pub signalling: Signalling,
    /// Media sockets.
    pub networks: LegNetworks,
    /// The legs of guests.
    pub guests: GuestLegs,
    /// The media graph.
    pub media: Media,
    /// Where peers reach the SIP sockets, as the endpoint was told.
    pub listen: endpoint::ListenAddresses,
    /// Takes what is to be stored.
    pub remember: mpsc::UnboundedSender<(Generation, Remembered)>,
    /// Which simulated devices are to run.
    pub wanted_devices: watch::Sender<WantedDevices>,
    /// Shows what was dropped.
    pub counters: Arc<NetworkCounters>,
    /// Accounts that register.
    pub registering: Vec<AccountName>,
}

impl Driver {
    /// A driver for an idle room; the receiver sees every snapshot.
    #[must_use]
    pub fn new(parts: Parts) -> (Self, watch::Receiver<RoomSnapshot>) {
        let room = Room::new(parts.policy.clone(), parts.remembered);
        let (snapshots, receiver) = watch::channel(room.snapshot());
        let driver = Self {
            room,
            policy: parts.policy,
            signalling: parts.signalling,
            networks: parts.networks,
            handshakes: Handshakes::default(),
            guests: parts.guests,
            media: parts.media,
            listen: parts.listen,
            was_cut_off: false,
            remember: parts.remember,
            wanted_devices: parts.wanted_devices,
            snapshots,
            counters: parts.counters,
            registering: parts.registering,
            alive_interval: service_notification::alive_interval(),
            telephone_event_legs: HashSet::new(),
            latency_probes: HashMap::new(),
            probe_tasks: OwnedTasks::default(),
            callers: HashMap::new(),
            meeting_over: false,
            queue: InputQueue::new(REQUEST_QUEUE),
            answers: HeldAnswers::new(),
        };
        (driver, receiver)
    }

    /// Runs until the room has shut down.
    ///
    /// # Errors
    /// [`Error::PartEnded`] when a part ends that must not.
    pub async fn run(mut self, mut inputs: Inputs) -> Result<(), Error> {
        let now = Instant::now();
        for account in self.registering.clone() {
            if let Err(error) = self.signalling.endpoint.register(now, &account) {
                tracing::error!(%account, %error, "not registered");
            }
        }
        let mut next_alive = now;
        while !self.settle(Instant::now()) {
            if let Some(interval) = self.alive_interval.filter(|_| next_alive <= Instant::now()) {
                service_notification::alive();
                next_alive = Instant::now() + interval;
            }
            let alive = self.alive_interval.map(|_| next_alive);
            self.wait(&mut inputs, alive).await?;
            self.take_waiting(&mut inputs);
        }
        self.say_farewell(&mut inputs).await;
        self.media.shut_down().await.map_err(Error::Media)
    }

    /// Carries out everything that follows from what was taken in. True once the room has shut
    /// down.
    fn settle(&mut self, now: Instant) -> bool {
        let mut shut_down = false;
        loop {
            self.signalling.flush(now);
            if let Some((leg, order)) = self.signalling.poll_floor_control() {
                self.order_floor_control(now, leg, order);
            } else if let Some(event) = self.signalling.poll_event() {
                self.take_sip_event(now, event);
            } else if let Some(command) = self.room.poll_command() {
                shut_down |= command == Command::ShutDownComplete;
                self.carry_out(now, command);
            } else if let Some(input) = self.queue.pop() {
                match input {
                    Input::Fact(fact) => self.room.fact(now, fact),
                    Input::Request((request, answer)) => self.judge(now, request, answer),
                }
            } else {
                break;
            }
        }
        if std::mem::take(&mut self.meeting_over) {
            self.guests.meeting_over();
        }
        let refusal = self.room.refuses_calls().map(call_facts::reject_status);
        self.signalling.endpoint.set_call_refusal(refusal);
        self.publish();
        self.release_answers(now);
        shut_down
    }

    fn judge(&mut self, now: Instant, request: Request, answer: oneshot::Sender<Admission>) {
        tracing::info!(?request, "request");
        let is_shut_down = request == Request::ShutDown;
        let ends_meeting = request == Request::HangUp { leg: None };
        let admission = self.room.request(now, request);
        tracing::info!(?admission, "admission");
        if matches!(admission, Admission::Accepted { .. }) {
            if is_shut_down {
                service_notification::stopping();
                self.guests.shutting_down();
            }
            if ends_meeting {
                self.guests.meeting_ends();
                self.meeting_over = true;
            }
        }
        let needs = self.room.remembered_generation();
        self.answers.hold(now, needs, (admission, answer));
    }

    fn release_answers(&mut self, now: Instant) {
        let stored = self.room.stored_generation();
        while let Some((released, (admission, answer))) = self.answers.release(now, stored) {
            match released {
                Released::Settled => {}
                Released::TimedOut => {
                    tracing::warn!(
                        "the store is slow: an answer goes out before what it promises is stored"
                    );
                }
            }
            // A client that left does not need its answer.
            let _ = answer.send(admission);
        }
    }

    fn publish(&self) {
        self.counters.set_sip(self.signalling.endpoint.statistics());
        let snapshot = self.room.snapshot();
        self.snapshots.send_if_modified(|published| {
            let changed = published.generation != snapshot.generation;
            if changed {
                *published = snapshot;
            }
            changed
        });
    }

    /// Waits for one input or deadline and takes it in.
    async fn wait(&mut self, inputs: &mut Inputs, alive: Option<Instant>) -> Result<(), Error> {
        let deadlines = [
            self.room.next_deadline(),
            self.signalling.endpoint.next_deadline(),
            self.answers.next_deadline(),
            alive,
        ];
        let deadline = deadlines.into_iter().flatten().min();
        tokio::select! {
            biased;
            () = sleep_until(deadline), if deadline.is_some() => {
                let now = Instant::now();
                self.room.handle_timeout(now);
                self.signalling.endpoint.handle_timeout(now);
            }
            // These are rare, and a flood of the others must not hide them.
            resolution = self.signalling.resolution() => {
                self.signalling.resolved(Instant::now(), resolution?);
            }
            () = self.networks.unexpected_end() => {
                return Err(Error::PartEnded { part: "leg transport" });
            }
            () = self.guests.unexpected_end() => {
                return Err(Error::PartEnded { part: "guest's leg" });
            }
            () = self.probe_tasks.unexpected_end() => {
                return Err(Error::PartEnded { part: "latency probe" });
            }
            event = inputs.media.recv() => {
                let event = event.ok_or(Error::PartEnded { part: "media" })?;
                self.take_media_event(event);
            }
            // The channel cannot end, because the sockets hold its other end; that a socket's task
            // ends is seen with the resolutions.
            Some(event) = inputs.sockets.recv() => self.signalling.take_in(Instant::now(), event),
            Some(event) = inputs.floors.recv() => self.take_floor_event(event),
            Some(event) = inputs.transports.recv() => match event {
                TransportEvent::Handshake(event) => {
                    self.take_handshake_event(Instant::now(), event);
                }
                TransportEvent::Path(event) => self.take_path_event(Instant::now(), event),
                TransportEvent::Congestion(event) => self.take_congestion_event(event),
            },
            Some(event) = inputs.guests.recv() => self.take_guest_event(event),
            Some(news) = inputs.guest_news.recv() => self.take_guest_news(news),
            fact = inputs.facts.recv() => {
                self.queue.push_fact(fact.ok_or(Error::PartEnded { part: "store" })?);
            }
            request = inputs.requests.recv() => {
                self.queue_request(request.ok_or(Error::PartEnded { part: "API" })?);
            }
            Ok(()) = inputs.address_changes.changed() => self.look_at_addresses(Instant::now()),
            // One at a time: whoever asks in a loop waits behind everything else.
            Some(question) = inputs.ladders.recv() => self.signalling.show_ladder(question),
        }
        Ok(())
    }

    /// Takes in what else waits, a bounded amount of each kind.
    fn take_waiting(&mut self, inputs: &mut Inputs) {
        let now = Instant::now();
        for _ in 0..FACTS_A_TURN {
            let Ok(event) = inputs.sockets.try_recv() else {
                break;
            };
            self.signalling.take_in(now, event);
        }
        for _ in 0..FACTS_A_TURN {
            let Ok(event) = inputs.floors.try_recv() else {
                break;
            };
            self.take_floor_event(event);
        }
        for _ in 0..FACTS_A_TURN {
            let Ok(event) = inputs.media.try_recv() else {
                break;
            };
            self.take_media_event(event);
        }
        for _ in 0..FACTS_A_TURN {
            let Ok(fact) = inputs.facts.try_recv() else {
                break;
            };
            self.queue.push_fact(fact);
        }
        while let Ok(request) = inputs.requests.try_recv() {
            self.queue_request(request);
        }
    }

    /// A request that finds the queue full is dropped with its answer channel, which its client
    /// sees as "busy".
    fn queue_request(&mut self, request: PendingRequest) {
        if self.queue.push_request(request).is_err() {
            tracing::warn!("too many requests wait: one was refused");
        }
    }

    /// Addresses or routes of this machine have changed: registrars and far ends learn where we are.
    fn look_at_addresses(&mut self, now: Instant) {
        self.guests.look_at_addresses();
        let now_reached = our_addresses::reachable(self.signalling.bound());
        if our_addresses::is_cut_off(&self.listen, &now_reached) {
            // What stands may go on when the network is back, and there is no new place to tell.
            tracing::info!("no network");
            self.was_cut_off = true;
            return;
        }
        let is_back = std::mem::take(&mut self.was_cut_off);
        let listen = our_addresses::following(&self.listen, now_reached);
        let used = self.signalling.endpoint.connection_addresses();
        let gone: BTreeSet<IpAddr> = used
            .into_iter()
            .filter(|address| !our_addresses::is_ours(*address))
            .collect();
        if listen != self.listen || !gone.is_empty() || is_back {
            tracing::info!(?listen, ?gone, "our addresses have changed");
            let endpoint = &mut self.signalling.endpoint;
            endpoint.addresses_changed(now, listen.clone(), &gone);
            self.listen = listen;
        }
        self.move_media(now);
    }

    /// Tells the far ends of standing calls where their media is to come now; those of others once
    /// they stand.
    fn move_media(&mut self, now: Instant) {
        for (leg, address) in self.networks.moved() {
            let Some(call) = self.signalling.call(leg) else {
                continue;
            };
            match self.signalling.endpoint.move_media(now, call, address) {
                Ok(()) => self.networks.moved_to(leg, address),
                Err(error) => tracing::debug!(%leg, %error, "its media is not moved yet"),
            }
        }
    }

    fn take_floor_event(&mut self, event: FloorEvent) {
        let leg = event.leg;
        if let Some(news) = self.networks.floor_event(event) {
            self.tell_floor(Instant::now(), leg, news);
        }
    }

    fn tell_floor(&mut self, now: Instant, leg: LegId, news: FloorNews) {
        let Some(call) = self.signalling.call(leg) else {
            return;
        };
        let endpoint = &mut self.signalling.endpoint;
        match news {
            FloorNews::Opened => {
                if let Err(error) = endpoint.floor_channel_opened(now, call) {
                    tracing::debug!(%leg, %error, "a connection for no floor");
                }
            }
            FloorNews::Received(bytes) => endpoint.floor_channel_received(now, call, &bytes),
            FloorNews::Closed(end) => endpoint.floor_channel_closed(now, call, end),
        }
    }

    fn order_floor_control(&mut self, now: Instant, leg: LegId, order: FloorOrder) {
        match order {
            FloorOrder::Send(bytes) => {
                if let Some(news) = self.networks.send_floor_control(leg, bytes) {
                    self.tell_floor(now, leg, news);
                }
            }
            FloorOrder::Close => self.networks.close_floor_connection(leg),
        }
    }

    fn take_media_event(&mut self, event: MediaEvent) {
        let mut fact = match media_facts::meaning(event) {
            media_facts::Meaning::Fact(fact) => fact,
            media_facts::Meaning::PictureNeeded { leg } => {
                let (content_type, body) = media_control::picture_request();
                return self.with_call(leg, |endpoint, call| {
                    endpoint.send_info(Instant::now(), call, &content_type, body)
                });
            }
        };
        if let Fact::Measured { leg, stats } = &mut fact {
            self.guests.complete(*leg, stats);
            if let Some(probes) = self.latency_probes.get(leg) {
                probes.complete(stats);
            }
        }
        self.queue.push_fact(fact);
    }

    fn carry_out(&mut self, now: Instant, command: Command) {
        tracing::debug!(?command, "command");
        if self.guests.concerns(&command) {
            return self.carry_out_for_guest(now, command);
        }
        match command {
            Command::Dial {
                leg,
                target,
                account,
                replaced,
            } => self.dial(now, leg, &target, account, replaced.as_ref()),
            Command::Ring { leg } => self.ring(now, leg),
            Command::Accept { leg, mode } => self.accept(now, leg, mode),
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
            Command::RequestFloor { leg } => self.request_floor(now, leg),
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
                if let Err(error) = self.signalling.endpoint.register(now, &account) {
                    tracing::error!(%account, %error, "not registered");
                }
            }
            Command::ApplyMedia(plan) => {
                self.wanted_devices.send_replace(WantedDevices::of(&plan));
                self.guests
                    .take_cameras(guest_legs::shown_layer(&plan.playout));
                self.media.apply(plan);
            }
            Command::Remember {
                generation,
                remembered,
            } => {
                // The store's end is noticed by its owner; mute still holds in this process.
                let _ = self.remember.send((generation, remembered));
            }
            Command::ShutDownComplete => tracing::info!("the room has shut down"),
        }
    }

    fn with_call(
        &mut self,
        leg: LegId,
        action: impl FnOnce(&mut Endpoint, CallId) -> Result<(), ActionError>,
    ) {
        let Some(call) = self.signalling.call(leg) else {
            return;
        };
        // The call may have ended in the meantime; the room hears of that by a fact.
        if let Err(error) = action(&mut self.signalling.endpoint, call) {
            tracing::debug!(%leg, %error, "not done");
        }
    }

    fn request_floor(&mut self, now: Instant, leg: LegId) {
        if let Some(call) = self.signalling.call(leg) {
            let endpoint = &mut self.signalling.endpoint;
            let fact = call_facts::request_floor(endpoint, now, leg, call);
            if let Some(fact) = fact {
                self.queue.push_fact(fact);
            }
        }
    }

    /// Sends key presses in the audio stream where the peer takes telephone-event, else by INFO.
    fn send_dtmf(&mut self, now: Instant, leg: LegId, digits: &DtmfDigits) {
        if self.telephone_event_legs.contains(&leg) {
            self.media.send_dtmf(leg, digits);
            return;
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
            self.networks.release(leg);
            self.queue.push_fact(Fact::Ended { leg, reason });
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
        let target: Uri = dialable(target)
            .parse()
            .map_err(|_| EndReason::InvalidTarget)?;
        let account = AccountName::new(&account.ok_or(EndReason::NoUsableAccount)?);
        let peer = target.as_sip().and_then(|sip| sip.host().address());
        let local = self.networks.bind(leg, peer).map_err(|error| {
            tracing::error!(%leg, %error, "the call cannot be made");
            EndReason::LocalFault
        })?;
        let endpoint = &mut self.signalling.endpoint;
        let call = call_facts::place(endpoint, now, &account, &target, local, replaced);
        let call = call.map_err(|error| {
            tracing::info!(%leg, %error, "the call cannot be made");
            end_reasons::invite_failure(&error)
        })?;
        self.signalling.bind(leg, call);
        Ok(())
    }

    fn ring(&mut self, now: Instant, leg: LegId) {
        let Some(call) = self.signalling.call(leg) else {
            return;
        };
        let caller = self.media_of_caller(leg);
        let endpoint = &mut self.signalling.endpoint;
        let told = ringing::ring(endpoint, now, call, || self.networks.bind(leg, caller));
        if let Err(error) = told {
            tracing::warn!(%leg, ?error, "the caller does not hear that it rings");
        }
    }

    fn accept(&mut self, now: Instant, leg: LegId, mode: AnswerMode) {
        let caller = self.media_of_caller(leg);
        match self.networks.bind(leg, caller) {
            Ok(local) => {
                self.with_call(leg, |endpoint, call| {
                    call_facts::answer(endpoint, now, call, local, mode)
                });
            }
            Err(error) => {
                tracing::error!(%leg, %error, "the call cannot be answered");
                let status = StatusCode::SERVER_INTERNAL_ERROR;
                self.with_call(leg, |endpoint, call| endpoint.reject(now, call, status));
                self.queue.push_fact(Fact::Ended {
                    leg,
                    reason: EndReason::LocalFault,
                });
            }
        }
    }

    /// For whom an answer is to name an address: who has called. Behind a proxy that speaks another IP
    /// version with us than with the caller it is whom the caller's offer names: media is of one version.
    fn media_of_caller(&self, leg: LegId) -> Option<IpAddr> {
        let call = self.signalling.call(leg);
        let offered = call.and_then(|call| self.signalling.endpoint.offered_address(call));
        let caller = self.callers.get(&leg).copied();
        match (caller, offered) {
            (Some(caller), Some(offered)) if caller.is_ipv4() != offered.is_ipv4() => Some(offered),
            (caller, offered) => caller.or(offered),
        }
    }

    fn take_sip_event(&mut self, now: Instant, event: Event) {
        tracing::debug!(?event, "SIP event");
        match call_facts::meaning(event, |call| self.signalling.leg(call)) {
            Meaning::Incoming(incoming) => {
                let leg = self.room.reserve_leg();
                self.callers.insert(leg, incoming.remote.ip());
                self.signalling.bind(leg, incoming.call);
                self.room.fact(now, incoming.fact(leg));
            }
            Meaning::Leg {
                leg,
                media,
                mut facts,
            } => {
                if let Some(media) = media.filter(|_| !self.is_unanswered(leg)) {
                    self.connect(now, leg, &media);
                    let is_early = |fact: &Fact| matches!(fact, Fact::EarlyMedia { .. });
                    let stage = match facts.iter().any(is_early) {
                        true => Stage::Early,
                        false => Stage::Established,
                    };
                    let streams = self.handshakes.settle(leg, stage, &media);
                    for fact in &mut facts {
                        handshakes::tell_streams(fact, &streams);
                    }
                    // A call that was set up while our address changed can be told now.
                    self.move_media(now);
                }
                for fact in facts {
                    self.room.fact(now, fact);
                }
                let call = self.signalling.call(leg);
                let endpoint = &self.signalling.endpoint;
                if let Some(way_back) = call.and_then(|call| call_facts::way_back(endpoint, call)) {
                    self.room.fact(now, Fact::DialogNamed { leg, way_back });
                }
            }
            Meaning::Ended { call, leg, reason } => {
                self.signalling.unbind(call);
                self.networks.release(leg);
                self.handshakes.forget(leg);
                self.telephone_event_legs.remove(&leg);
                self.latency_probes.remove(&leg);
                self.callers.remove(&leg);
                self.room.fact(now, Fact::Ended { leg, reason });
            }
            Meaning::EndExplained { leg, explanation } => {
                tracing::info!(?leg, ?explanation, "the far end says why a call ends");
                self.room.fact(now, Fact::EndExplained { leg, explanation });
            }
            Meaning::KeyframeWanted { leg } => self.media.request_keyframe(leg),
            Meaning::Room(fact) => self.room.fact(now, fact),
            Meaning::Refused { remote, why } => {
                tracing::info!(%remote, ?why, "a SIP request was refused");
            }
            Meaning::Nothing => {}
        }
    }

    /// Whether it rings here: what is agreed then flows from the answer on, with which it comes again.
    fn is_unanswered(&self, leg: LegId) -> bool {
        let call = self.signalling.call(leg);
        call.is_some_and(|call| self.signalling.endpoint.is_unanswered(call))
    }

    fn connect(&mut self, now: Instant, leg: LegId, media: &CallMedia) {
        if call_facts::takes_telephone_event(media) {
            self.telephone_event_legs.insert(leg);
        } else {
            self.telephone_event_legs.remove(&leg);
        }
        let call = self.signalling.call(leg);
        if let Some(ours) = call.and_then(|call| self.signalling.endpoint.media_address(call)) {
            let remote = media.remote.audio.or(media.remote.video);
            let theirs = remote.map(|remote| remote.rtp.ip());
            self.networks.has_named(leg, ours, theirs);
        }
        let route = call_facts::route(media, &self.policy.media);
        self.networks.connect(leg, route, &self.media);
        match self.networks.connect_floor(leg, FloorWay::agreed(media)) {
            FloorStep::Opened => {
                self.with_call(leg, |endpoint, call| {
                    endpoint.floor_channel_opened(now, call)
                });
            }
            FloorStep::Unchanged => {}
        }
        self.watch_latency(leg);
    }

    fn watch_latency(&mut self, leg: LegId) {
        let (tasks, media) = (&mut self.probe_tasks, &self.media);
        self.latency_probes
            .entry(leg)
            .or_insert_with(|| LatencyProbes::start(tasks, media, leg));
    }

    /// De-registers and lets the last transactions end, within a limit.
    async fn say_farewell(&mut self, inputs: &mut Inputs) {
        let limit = Instant::now() + FAREWELL_LIMIT;
        for account in self.registering.clone() {
            if let Err(error) = self
                .signalling
                .endpoint
                .deregister(Instant::now(), &account)
            {
                tracing::debug!(%account, %error, "not de-registered");
            }
        }
        while !self.signalling.is_quiet() && Instant::now() < limit {
            self.settle(Instant::now());
            if self.wait(inputs, Some(limit)).await.is_err() {
                return;
            }
        }
        self.settle(Instant::now());
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline.into()).await;
    }
}
