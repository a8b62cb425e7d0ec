//! Carries the leg until it is over.
//!
//! ```text
//!  Connecting ── connected ──> Connected ── the browser takes leave ──> waits for its return
//!                                  ^                                      │           │
//!                                  └─────── offer of a page anew ─────────┘        too long ──> over
//! ```
//!
//! A page that is loaded again takes leave as one that is closed does, and offers again a moment later:
//! the leg waits for that, so that the meeting sees the same guest go on.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use congestion::{Gate, PacketKind, PacketReport};
use media::{Channel, Datagram, Medium};
use room::ids::LegId;
use room::media_plan::VideoRole;
use room::units::Bitrate;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use webrtc::{
    CloseReason, DatagramKind, Event, Leg, LegSettings, LocalAddress, Output, Protocol, Received,
    SimulcastLayer, Transmit,
};

use super::super::Replies;
use super::super::chat;
use super::super::end_words::ends_of_failure;
use super::super::measurements::Measurements;
use super::super::sockets::{Arrival, Sockets};
use super::held_pictures::{HeldPictures, Release};
use super::media_path::MediaPath;
use super::{LegEvent, LegNews, Order};
use crate::congestion_control::{Change, CongestionControl};
use crate::guests::signalling::GuestReply;
use crate::network_counters::NetworkCounters;

/// The largest UDP payload.
const LARGEST_DATAGRAM: usize = 65_535;
/// Datagrams that are sent before the sockets are looked at again.
const SENDS_A_TURN: usize = 64;

/// How long a browser that has taken leave may take to come back: a page that is loaded again does so
/// within seconds, on a slow line too, and one that is closed shows no longer than this.
const RETURN_TIME: Duration = Duration::from_secs(10);

/// How often congestion control looks at the time while a TCP connection takes nothing.
const HELD_BACK_INTERVAL: Duration = Duration::from_millis(20);

/// How often the driver is given new measurements; a leg makes them once a second.
const MEASUREMENT_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the driver knows that the leg is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    Connecting,
    Connected,
}

/// What waits to leave.
#[derive(Clone, Debug)]
pub(super) enum Leaving {
    /// A packet of media's.
    Picture(VideoRole, Bytes),
    /// A datagram with a packet that is sent again.
    Again(Transmit),
}

/// What carries the leg.
pub(super) struct Task {
    pub(super) id: LegId,
    pub(super) leg: Leg,
    pub(super) settings: LegSettings,
    pub(super) sockets: Sockets,
    pub(super) congestion: CongestionControl<Leaving>,
    /// By which way media goes.
    pub(super) path: MediaPath,
    /// Why the last datagram was not sent.
    pub(super) send_failure: Option<io::ErrorKind>,
    /// What the leg has said and nobody has dealt with yet.
    pub(super) events: VecDeque<Event>,
    pub(super) incoming: mpsc::Sender<Datagram>,
    pub(super) news: mpsc::Sender<LegNews>,
    pub(super) counters: Arc<NetworkCounters>,
    pub(super) state: ConnectionState,
    /// What media has made while connecting.
    pub(super) held: HeldPictures,
    pub(super) measurements: Measurements,
    /// When the next ones are due.
    pub(super) next_measurement: Instant,
    /// In which size the camera is taken, where the browser sends both.
    pub(super) camera_layer: SimulcastLayer,
}

impl Task {
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut outgoing: mpsc::Receiver<Datagram>,
    ) {
        while let Some(why) = self.carry(&mut orders, &mut outgoing).await {
            let may_return = why == CloseReason::Remote && self.state == ConnectionState::Connected;
            if !may_return || !self.comes_back(&mut orders, &mut outgoing).await {
                self.tell(LegEvent::Closed(why)).await;
                return;
            }
        }
    }

    /// Carries the leg until its connection is over, and says why it is.
    async fn carry(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        outgoing: &mut mpsc::Receiver<Datagram>,
    ) -> Option<CloseReason> {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        let mut batch = Vec::with_capacity(SENDS_A_TURN);
        loop {
            if let Some(why) = self.flush().await {
                return Some(why);
            }
            let now = Instant::now();
            self.tell_changes(now).await;
            self.measure(now);
            let deadline = self.next_deadline(now);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order).await,
                    None => {
                        self.leg.close(Instant::now());
                        return self.flush().await;
                    }
                },
                () = tokio::time::sleep_until(deadline.into()) => self.handle_timeout().await,
                taken = outgoing.recv_many(&mut batch, SENDS_A_TURN) => {
                    if taken == 0 {
                        // Media is done with the leg: what is left is to take leave.
                        self.leg.close(Instant::now());
                        return self.flush().await;
                    }
                    batch.drain(..).for_each(|datagram| self.take_from_media(datagram));
                    self.send_paced();
                }
                arrival = self.sockets.receive(&mut buffer) => {
                    self.take_arrival(arrival, &mut buffer).await;
                }
            }
        }
    }

    fn next_deadline(&self, now: Instant) -> Instant {
        let congestion = self.congestion.next_deadline(now).map(|due| {
            if self.is_held_back() {
                // What is due to leave cannot, and the connection says when it can.
                due.max(now + HELD_BACK_INTERVAL)
            } else {
                due
            }
        });
        let others = congestion.into_iter().chain(self.held.next_deadline());
        others.fold(self.leg.next_deadline(), Instant::min)
    }

    /// Whether a TCP connection that takes nothing just now holds pictures back.
    fn is_held_back(&self) -> bool {
        let path = self.path.current();
        path.is_some_and(|path| self.sockets.is_full(path))
    }

    /// Waits for an offer of the browser that has taken leave. Whether it has made one.
    async fn comes_back(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        outgoing: &mut mpsc::Receiver<Datagram>,
    ) -> bool {
        tracing::info!(leg = %self.id, "a guest has taken leave and may come back");
        let deadline = Instant::now() + RETURN_TIME;
        let mut unsent = Vec::with_capacity(SENDS_A_TURN);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Offer { sdp, replies, seed }) => {
                        return self.answer_offer(&sdp, &replies, seed);
                    }
                    Some(Order::Addresses { all, opened }) => self.move_to(&all, opened).await,
                    // They were for the connection that is over.
                    Some(Order::Candidate(_) | Order::Text(_)) => {}
                    Some(Order::CameraLayer(layer)) => self.camera_layer = layer,
                    None => return false,
                },
                () = tokio::time::sleep_until(deadline.into()) => return false,
                taken = outgoing.recv_many(&mut unsent, SENDS_A_TURN) => {
                    if taken == 0 {
                        return false;
                    }
                    unsent.clear();
                }
            }
        }
    }

    async fn handle_timeout(&mut self) {
        let now = Instant::now();
        self.drop_old_pictures(now).await;
        self.leg.handle_timeout(now);
        self.congestion.handle_timeout(now);
        self.send_paced();
    }

    /// Where packets come all the time, no deadline is ever waited for.
    fn measure(&mut self, now: Instant) {
        if self.next_measurement <= now {
            self.next_measurement = now + MEASUREMENT_INTERVAL;
            self.measurements.set(self.leg.stats().clone());
        }
    }

    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Candidate(candidate) => {
                if let Err(error) = self.leg.add_remote_candidate(Instant::now(), &candidate) {
                    tracing::debug!(leg = %self.id, %error, "a candidate of a guest is not tried");
                }
            }
            Order::Text(text) => {
                let sent = self.leg.send_text(Instant::now(), chat::CHANNEL, &text);
                if let Err(error) = sent {
                    tracing::debug!(leg = %self.id, %error, "a text does not go to a guest");
                }
            }
            Order::Offer { sdp, replies, seed } => {
                self.answer_offer(&sdp, &replies, seed);
            }
            Order::CameraLayer(layer) => {
                self.camera_layer = layer;
                self.leg.set_simulcast_layer(Medium::Video, layer);
            }
            Order::Addresses { all, opened } => self.move_to(&all, opened).await,
        }
    }

    /// The browser is told of new addresses without an offer, and may have learned of them by our checks before (RFC
    /// 8445 section 7.3.1.3).
    async fn move_to(&mut self, addresses: &[IpAddr], opened: Vec<UdpSocket>) {
        let now = Instant::now();
        tracing::info!(leg = %self.id, ?addresses, "a guest's leg has other addresses");
        for socket in opened {
            for address in self.sockets.add(socket) {
                self.open(now, address).await;
            }
        }
        for address in self.sockets.retain(addresses) {
            self.leg.remove_local_address(now, address);
        }
    }

    /// Tells the page what becomes of its offer. Whether it is answered.
    fn answer_offer(&mut self, offer: &str, replies: &Replies, seed: [u8; 32]) -> bool {
        let answer = self.answer_again(offer, seed);
        let is_answered = answer.is_ok();
        let reply = match answer {
            Ok(sdp) => GuestReply::Answer { sdp },
            Err(error) => {
                tracing::info!(leg = %self.id, %error, "an offer of a guest is not answered");
                GuestReply::Ended(ends_of_failure(&error).0)
            }
        };
        let _ = replies.try_send(reply);
        is_answered
    }

    /// Answers an offer of the same guest. It may come from another connection than the last one: the page
    /// was opened anew.
    fn answer_again(&mut self, offer: &str, seed: [u8; 32]) -> Result<String, webrtc::Error> {
        let now = Instant::now();
        if self.leg.is_of_this_connection(offer) {
            let answer = self.leg.reoffer(now, offer);
            self.sockets.set_ufrag(self.leg.local_ufrag());
            return answer;
        }
        let (leg, answer) = Leg::answer(
            now,
            seed,
            self.settings.clone(),
            &self.sockets.local(),
            offer,
        )?;
        tracing::info!(leg = %self.id, "a guest comes back by another connection");
        self.leg.close(now);
        self.transmit_all();
        // Whatever the replaced one had to say concerns nobody any more.
        self.events.clear();
        self.congestion.path_changed(now);
        self.leg = leg;
        self.leg
            .set_simulcast_layer(Medium::Video, self.camera_layer);
        self.sockets.set_ufrag(self.leg.local_ufrag());
        Ok(answer)
    }

    /// Sends all that the leg has to send, and keeps what it has to say.
    fn transmit_all(&mut self) {
        while let Some(output) = self.leg.poll_output() {
            match output {
                Output::Transmit(datagram) => self.take_from_leg(datagram),
                Output::Event(event) => self.events.push_back(event),
            }
        }
    }

    /// Carries out what the leg wants. Why its connection is over, once it is.
    async fn flush(&mut self) -> Option<CloseReason> {
        self.transmit_all();
        while let Some(event) = self.events.pop_front() {
            let news = match event {
                Event::Media {
                    medium,
                    channel,
                    payload,
                } => {
                    self.hand_over(medium, channel, payload);
                    continue;
                }
                Event::Connected => {
                    let event = self.connected();
                    self.release_held().await;
                    event
                }
                Event::StreamsChanged(streams) => LegEvent::StreamsChanged(streams),
                Event::KeyframeRequested(_) => LegEvent::KeyframeWanted,
                Event::Closed(why) => return Some(why),
                Event::Disconnected => {
                    tracing::info!(leg = %self.id, "a guest is not reached for the moment");
                    // A server that has forgotten us does not say so.
                    for address in self.sockets.renew_relayed() {
                        self.leg.remove_local_address(Instant::now(), address);
                    }
                    continue;
                }
                Event::Text { label, text } if label == chat::CHANNEL => LegEvent::Text(text),
                Event::Text { .. } => continue,
                Event::TransportFeedback(report) => {
                    let packets = report.packets.into_iter();
                    let packets: Vec<_> = packets.map(congestion_report).collect();
                    self.congestion.reported(Instant::now(), &packets);
                    continue;
                }
                Event::ReceiverEstimatedMaximumBitrate(most) => {
                    self.congestion.limited_to(Bitrate::bps(most));
                    continue;
                }
            };
            self.tell(news).await;
        }
        None
    }

    /// Tells the driver what congestion control has found.
    async fn tell_changes(&mut self, now: Instant) {
        self.leg
            .limit_redundancy(self.congestion.room_for_redundancy());
        while let Some(change) = self.congestion.poll_change(now) {
            tracing::debug!(leg = %self.id, ?change, "congestion control");
            let event = match change {
                Change::Target(role, target) => LegEvent::VideoTarget(role, target),
                Change::Gate(gate) => LegEvent::Gate(gate),
                Change::StartOver => {
                    for role in VideoRole::ALL {
                        self.leg.flush_retransmissions(Medium::of_video(role));
                    }
                    LegEvent::KeyframeWanted
                }
            };
            self.tell(event).await;
        }
    }

    fn connected(&mut self) -> LegEvent {
        match self.state {
            ConnectionState::Connecting => {
                self.state = ConnectionState::Connected;
                LegEvent::Connected(self.leg.streams().clone())
            }
            // By another connection: the numbers of its streams may be others.
            ConnectionState::Connected => LegEvent::StreamsChanged(self.leg.streams().clone()),
        }
    }

    /// Where the browser is not reached in time, what was made for it goes, and no more is made.
    async fn drop_old_pictures(&mut self, now: Instant) {
        if self.held.handle_timeout(now) {
            tracing::debug!(leg = %self.id, "a guest is not reached yet: no more pictures are made");
            self.tell(LegEvent::Gate(Gate::Closed)).await;
            // A gate that opens makes a whole one only where somebody has asked meanwhile.
            self.tell(LegEvent::KeyframeWanted).await;
        }
    }

    /// What was made while the browser was being reached leaves now.
    async fn release_held(&mut self) {
        let now = Instant::now();
        // It may have become old in the same moment.
        self.drop_old_pictures(now).await;
        match self.held.release() {
            Release::Leave(packets) => {
                for (role, packet) in packets {
                    let bytes = packet.len();
                    let packet = Leaving::Picture(role, packet);
                    self.congestion.push(now, role, bytes, packet);
                }
                self.send_paced();
            }
            Release::BeginAnew => self.tell(LegEvent::Gate(Gate::Open)).await,
        }
    }

    async fn tell(&self, event: LegEvent) {
        // The driver is there as long as the service is.
        let _ = self
            .news
            .send(LegNews {
                leg: self.id,
                event,
            })
            .await;
    }

    fn hand_over(&self, medium: Medium, channel: webrtc::Channel, payload: Bytes) {
        let datagram = Datagram {
            medium,
            channel: match channel {
                webrtc::Channel::Rtp => Channel::Rtp,
                webrtc::Channel::Rtcp => Channel::Rtcp,
            },
            payload,
        };
        let counter = match self.incoming.try_send(datagram) {
            Ok(()) => &self.counters.datagrams.received,
            Err(_) => &self.counters.datagrams.overrun,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a packet that media sends.
    fn take_from_media(&mut self, datagram: Datagram) {
        let Datagram {
            medium,
            channel,
            payload,
        } = datagram;
        let now = Instant::now();
        let sent = match (channel, medium.video_role()) {
            (Channel::Rtp, Some(role)) if self.state == ConnectionState::Connecting => {
                return self.held.push(now, role, payload);
            }
            (Channel::Rtp, Some(role)) => {
                let bytes = payload.len();
                let packet = Leaving::Picture(role, payload);
                return self.congestion.push(now, role, bytes, packet);
            }
            (Channel::Rtp, None) => self.leg.send_rtp(now, medium, &payload),
            (Channel::Rtcp, _) => self.leg.send_rtcp(now, medium, &payload),
        };
        self.note_unsent(sent);
    }

    fn send_paced(&mut self) {
        let now = Instant::now();
        while !self.is_held_back()
            && let Some(departure) = self.congestion.poll(now)
        {
            match departure.packet {
                Leaving::Picture(role, packet) => {
                    let sent = self.leg.send_rtp(now, Medium::of_video(role), &packet);
                    self.note_unsent(sent);
                    // The next one leaves only if the path has room for it beside this one.
                    self.transmit_all();
                }
                // One that was made for another path does not bring that back.
                Leaving::Again(datagram) => {
                    if self.path.current() == Some((datagram.source, datagram.destination)) {
                        self.transmit(&datagram);
                    }
                }
            }
        }
    }

    fn note_unsent(&self, sent: Result<(), webrtc::Error>) {
        if let Err(error) = sent {
            tracing::trace!(leg = %self.id, %error, "a packet of media does not go out");
        }
    }

    /// Sends what the leg made; what is sent again waits for its turn.
    fn take_from_leg(&mut self, datagram: Transmit) {
        match datagram.kind {
            DatagramKind::Rtp {
                medium: Medium::Video | Medium::Slides,
                retransmission: true,
                ..
            } => {
                let bytes = datagram.payload.len();
                let packet = Leaving::Again(datagram);
                self.congestion.push_again(Instant::now(), bytes, packet);
            }
            _ => self.transmit(&datagram),
        }
    }

    fn transmit(&mut self, datagram: &Transmit) {
        self.send(datagram);
        let now = Instant::now();
        if self.path.leads_elsewhere(datagram) {
            let protocol = datagram.protocol.name();
            tracing::info!(leg = %self.id, protocol, local = %datagram.source, "media for a guest goes by this path");
            self.congestion.path_changed(now);
        }
        let DatagramKind::Rtp {
            medium,
            retransmission,
            transport_sequence,
        } = datagram.kind
        else {
            return;
        };
        let kind = match (medium, retransmission) {
            (Medium::Audio, _) => PacketKind::Audio,
            (Medium::Video | Medium::Slides, false) => PacketKind::Video,
            (Medium::Video | Medium::Slides, true) => PacketKind::Retransmission,
        };
        let bytes = datagram.payload.len();
        self.congestion.sent(now, kind, bytes, transport_sequence);
    }

    fn send(&mut self, datagram: &Transmit) {
        let failure = match self.sockets.send(datagram) {
            Ok(_) => {
                self.counters.datagrams.sent.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(error) => Some(error),
        };
        let kind = failure.as_ref().map(io::Error::kind);
        if kind != self.send_failure {
            self.send_failure = kind;
            if let Some(error) = failure {
                tracing::debug!(leg = %self.id, %error, "datagrams of a guest are not sent");
            }
        }
    }

    async fn take_arrival(&mut self, arrival: Arrival, buffer: &mut [u8]) {
        let now = Instant::now();
        match arrival {
            Arrival::Datagrams { socket, first } => {
                let leg = &mut self.leg;
                let taken = self.sockets.take_burst(socket, first, buffer, |datagram| {
                    leg.receive(Instant::now(), datagram);
                });
                // An ICMP error of an earlier send: the browser's port is closed for now.
                if let Err(error) = taken {
                    tracing::debug!(leg = %self.id, %error, "a guest's socket");
                }
            }
            Arrival::Connection(connection) => {
                let leg = &mut self.leg;
                self.sockets.advance_connection(connection, |datagram| {
                    leg.receive(Instant::now(), datagram);
                });
                for remote in self.sockets.take_closed_connections() {
                    self.leg.connection_closed(remote);
                }
                self.send_paced();
            }
            Arrival::Relayed {
                destination,
                source,
                payload,
            } => self.leg.receive(
                now,
                Received {
                    protocol: Protocol::Udp,
                    source,
                    destination,
                    payload: &payload,
                },
            ),
            Arrival::Opened(address) => self.open(now, address).await,
            Arrival::Closed(address) => self.leg.remove_local_address(now, address),
        }
    }

    /// The browser has to know an address at a TURN server, which lets nothing in from one that it has not sent to,
    /// and one of TCP, where it opens the connection.
    async fn open(&mut self, now: Instant, address: LocalAddress) {
        match self.leg.add_local_address(now, address) {
            Ok(line) => self.tell(LegEvent::LocalCandidate(line)).await,
            Err(error) => {
                tracing::warn!(leg = %self.id, %error, "an address is of no use for a guest");
            }
        }
    }
}

/// A browser's report on a packet, as congestion control takes it.
fn congestion_report(report: webrtc::PacketReport) -> PacketReport {
    PacketReport {
        sequence: report.sequence,
        received: report.received,
    }
}
