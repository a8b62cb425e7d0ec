//! Moves one leg's datagrams between its sockets and the media graph.
//!
//! Incoming: only what comes from the latched address, and for a secured stream only what carries
//! a valid SRTP tag, is handed to media. Outgoing: audio and RTCP at once, video and slides through
//! congestion control ([`LegCongestion`]) where the far end reports what arrives, and else each
//! through a [`Pacer`]. Until the leg has a [`LegRoute`] everything that comes in is dropped.
//!
//! ```text
//!  media ──Datagram──> [pacer, congestion: RTP of pictures] ──> socket ──> latch.remote()
//!  media <─Datagram── [SRTP tag] <── [latch] <── [RTP or RTCP] <── [DTLS?] <── socket
//!                         ▲                                           │
//!                         └────────────────── keys ───────────────────┴──> driver
//!  media ──RTCP, decrypted──> [congestion] ──Change──> driver
//!  media <──reports of what arrives── [congestion]
//! ```
//!
//! A stream whose keys a DTLS handshake yields (RFC 5763) is deaf and dumb until it has them: nothing of
//! it leaves in the clear.
//!
//! A stream has two sockets until offer/answer settles that RTCP shares the port of RTP (RFC 5761):
//! then that of RTCP is closed. Should a later answer want it again, it is bound anew; nobody else
//! can have taken the port, because ports are handed out in pairs.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use media::{Channel, ControlDatagram, Datagram, LegDatagrams, Medium};
use room::codec::{PayloadType, RtcpPort, SrtpKey, SrtpKeys, VideoFeedback};
use room::ids::LegId;
use room::media_plan::VideoRole;
use room::units::Bitrate;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use webrtc::secure_transport::{self, Certificate, DtlsParameters, Owner, SecureTransport};

use super::address_latch::{AddressLatch, Verdict};
use super::handshake_events::{HandshakeEvent, HandshakeOutcome};
use super::leg_congestion::{CongestionEvent, LegCongestion, Reported};
use super::pacer::Pacer;
use super::rtcp_demultiplexer::{PacketKind, packet_kind};
use super::sockets::{LegSockets, bind};
use crate::congestion_control::{Change, Sources};
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;
use crate::socket_address::{as_sent_from, canonical};
use crate::srtp_authenticator::SrtpAuthenticator;
use crate::unix_time::ntp_time;

/// The largest UDP payload.
const LARGEST_DATAGRAM: usize = 65_535;
/// Datagrams sent or paced before the sockets are looked at again.
const SENDS_A_TURN: usize = 64;
/// Datagrams of one socket that go to media together. A picture comes as a burst of packets: handed
/// over one by one, each would wake media's thread anew.
const RECEIVED_A_TURN: usize = 32;

/// Where a leg's streams go. A medium that is `None` is refused or not negotiated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegRoute {
    /// Audio's way.
    pub audio: Option<MediumRoute>,
    /// Video's way.
    pub video: Option<MediumRoute>,
    /// The way of slides.
    pub slides: Option<MediumRoute>,
    /// The target of the camera's encoder, which its pacer follows.
    pub video_target: Bitrate,
    /// The target of the encoder of slides.
    pub slides_target: Bitrate,
}

impl LegRoute {
    /// What the encoders make at most for the leg.
    fn sources(&self) -> Sources {
        let slides = self.slides.as_ref().map(|_| self.slides_target);
        Sources {
            camera: self.video_target,
            slides: slides.unwrap_or_default(),
        }
    }

    fn sent_again(&self) -> [Option<PayloadType>; 2] {
        [&self.video, &self.slides].map(|route| route.as_ref()?.sent_again)
    }

    /// Of which pictures the far end and we report what arrives.
    fn reported(&self) -> Reported {
        let reports = |route: &Option<MediumRoute>| {
            let feedback = route.as_ref().map(|route| route.feedback);
            feedback.is_some_and(|feedback| feedback.congestion_control)
        };
        Reported {
            main: reports(&self.video),
            slides: reports(&self.slides),
        }
    }

    fn medium(&self, medium: Medium) -> Option<&MediumRoute> {
        match medium {
            Medium::Audio => self.audio.as_ref(),
            Medium::Video => self.video.as_ref(),
            Medium::Slides => self.slides.as_ref(),
        }
    }
}

/// Where the streams of one medium go, as offer/answer settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediumRoute {
    /// The peer's RTP address.
    pub rtp: SocketAddr,
    /// The peer's RTCP address.
    pub rtcp: SocketAddr,
    /// Whether RTCP shares the port of RTP, at both ends.
    pub rtcp_port: RtcpPort,
    /// How it is protected.
    pub keying: Keying,
    /// The RTCP feedback about pictures that both ends settled.
    pub feedback: VideoFeedback,
    /// The payload type of packets that we send again in a stream of their own (RFC 4588).
    pub sent_again: Option<PayloadType>,
}

/// Where the keys of a stream come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keying {
    /// There are none: the stream is plain.
    Plain,
    /// From the session descriptions (RFC 4568).
    Sdes(SrtpKeys),
    /// From a DTLS handshake on the port of RTP, which RTCP shares (RFC 5763).
    DtlsSrtp(DtlsParameters),
}

/// What DTLS handshakes need.
#[derive(Clone, Debug)]
pub struct Handshaking {
    /// What we show.
    pub certificate: Certificate,
    /// Takes what comes of them.
    pub events: mpsc::UnboundedSender<HandshakeEvent>,
}

/// Whom a transport tells what it sees.
#[derive(Clone, Debug, Default)]
pub struct Observers {
    /// Without it streams that want a handshake stay without keys.
    pub handshaking: Option<Handshaking>,
    /// Takes what congestion control finds.
    pub congestion: Option<mpsc::UnboundedSender<CongestionEvent>>,
}

/// The running transport of one leg. Dropping it closes the sockets.
#[derive(Debug)]
pub struct LegTransport {
    routes: mpsc::UnboundedSender<LegRoute>,
    task: AbortHandle,
}

impl LegTransport {
    /// Starts to move datagrams of `leg`, and to count them, in a task that `tasks` owns; nothing
    /// passes before the first [`Self::set_route`].
    #[must_use]
    pub fn start(
        tasks: &mut OwnedTasks,
        leg: LegId,
        sockets: LegSockets,
        datagrams: LegDatagrams,
        counters: Arc<NetworkCounters>,
        observers: Observers,
    ) -> Self {
        let now = Instant::now();
        let (routes, route_changes) = mpsc::unbounded_channel();
        let task = Task {
            leg,
            ports: ports(sockets),
            next_port: 0,
            pacers: VideoRole::ALL.map(|role| (role, Pacer::new(Bitrate::kbps(2_000)))),
            counters,
            handshaking: observers.handshaking,
            congestion: LegCongestion::new(now, ntp_time(), LegRoute::default().sources()),
            congestion_events: observers.congestion,
            feedback: datagrams.feedback,
            incoming: datagrams.incoming,
            arrived: Vec::with_capacity(RECEIVED_A_TURN),
        };
        let control = datagrams.received_control;
        let task = tasks.spawn_passing(task.run(route_changes, datagrams.outgoing, control));
        Self { routes, task }
    }

    /// Sets where the streams go, after offer/answer and each time that it is renewed.
    pub fn set_route(&self, route: LegRoute) {
        // The task ends only with media's channel; then the leg is on its way out as well.
        let _ = self.routes.send(route);
    }
}

impl Drop for LegTransport {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One socket with the stream behind it.
struct Port {
    /// `None` while RTCP shares the port of RTP, or when the port could not be had again.
    socket: Option<UdpSocket>,
    /// Where the socket is bound.
    local: SocketAddr,
    medium: Medium,
    channel: Channel,
    stream: Option<Stream>,
    /// The stream before a pause, as by a hold without address, for what takes it up again.
    paused: Option<Stream>,
    /// The handshake that yields the keys of the stream, or has yielded them.
    secure: Option<SecureTransport>,
}

/// The negotiated stream of a socket.
struct Stream {
    negotiated: SocketAddr,
    /// Whether RTCP travels here as well.
    rtcp_port: RtcpPort,
    keying: Keying,
    latch: AddressLatch,
    protection: StreamProtection,
}

/// What is known of a stream's keys.
enum StreamProtection {
    /// It has none.
    Plain,
    /// The handshake is not over: nothing passes.
    Awaiting,
    Secured {
        /// The key of what the peer sends.
        remote: SrtpKey,
        authenticator: Box<SrtpAuthenticator>,
    },
}

impl StreamProtection {
    /// The protection after `previous`. While the peer's key stays, its packet counters go on, and
    /// with them the authenticator: a new one would not know how often they have wrapped.
    fn secured(key: &SrtpKey, previous: Option<Self>) -> Self {
        match previous {
            Some(Self::Secured {
                remote,
                authenticator,
            }) if remote == *key => Self::Secured {
                remote,
                authenticator,
            },
            Some(Self::Secured { .. } | Self::Awaiting | Self::Plain) | None => Self::Secured {
                remote: key.clone(),
                authenticator: Box::new(SrtpAuthenticator::new(key)),
            },
        }
    }
}

impl Stream {
    /// The stream after `previous`.
    fn new(negotiated: SocketAddr, route: &MediumRoute, previous: Option<Self>) -> Self {
        let keying = route.keying.clone();
        let before = previous.map(|previous| (previous.keying, previous.protection));
        let protection = match &keying {
            Keying::Plain => StreamProtection::Plain,
            Keying::Sdes(keys) => {
                let before = before.map(|(_, protection)| protection);
                StreamProtection::secured(&keys.remote, before)
            }
            // What the same handshake has yielded goes on.
            Keying::DtlsSrtp(_) => before
                .filter(|(before, _)| *before == keying)
                .map_or(StreamProtection::Awaiting, |(_, protection)| protection),
        };
        Self {
            negotiated,
            rtcp_port: route.rtcp_port,
            keying,
            latch: AddressLatch::new(negotiated),
            protection,
        }
    }

    fn is_for(&self, negotiated: SocketAddr, route: &MediumRoute) -> bool {
        self.negotiated == negotiated
            && self.rtcp_port == route.rtcp_port
            && self.keying == route.keying
    }

    /// The handshake has yielded its keys.
    fn secure(&mut self, parameters: DtlsParameters, keys: &SrtpKeys) {
        if self.keying == Keying::DtlsSrtp(parameters) {
            self.protection = StreamProtection::secured(&keys.remote, None);
        }
    }
}

/// Whether a channel is carried by the port of the other one.
fn is_shared(channel: Channel, route: &MediumRoute) -> bool {
    (channel, route.rtcp_port) == (Channel::Rtcp, RtcpPort::Shared)
}

/// The handshake of a port after `previous`: the same one as long as its parameters are, wherever the
/// peer is (RFC 8842 section 3.1).
fn secure(
    previous: Option<SecureTransport>,
    negotiated: SocketAddr,
    route: &MediumRoute,
    handshaking: &Option<Handshaking>,
) -> Option<SecureTransport> {
    let Keying::DtlsSrtp(parameters) = route.keying else {
        return None;
    };
    match previous {
        Some(mut secure) if secure.parameters() == parameters => {
            secure.move_to(negotiated);
            Some(secure)
        }
        Some(_) | None => {
            let certificate = &handshaking.as_ref()?.certificate;
            let now = Instant::now();
            Some(SecureTransport::new(
                now,
                negotiated,
                certificate,
                parameters,
                None,
            ))
        }
    }
}

/// As [`port_index`] counts them.
fn ports(sockets: LegSockets) -> Vec<Port> {
    let address = sockets.address;
    let port = |socket: UdpSocket, medium, channel| Port {
        // Only a socket that the system has taken away has no address.
        local: socket
            .local_addr()
            .unwrap_or_else(|_| SocketAddr::new(address, 0)),
        socket: Some(socket),
        medium,
        channel,
        stream: None,
        paused: None,
        secure: None,
    };
    let mut ports = vec![
        port(sockets.audio.rtp, Medium::Audio, Channel::Rtp),
        port(sockets.audio.rtcp, Medium::Audio, Channel::Rtcp),
        port(sockets.video.rtp, Medium::Video, Channel::Rtp),
        port(sockets.video.rtcp, Medium::Video, Channel::Rtcp),
    ];
    if let Some(slides) = sockets.slides {
        ports.push(port(slides.rtp, Medium::Slides, Channel::Rtp));
        ports.push(port(slides.rtcp, Medium::Slides, Channel::Rtcp));
    }
    ports
}

fn port_index(medium: Medium, channel: Channel) -> usize {
    match (medium, channel) {
        (Medium::Audio, Channel::Rtp) => 0,
        (Medium::Audio, Channel::Rtcp) => 1,
        (Medium::Video, Channel::Rtp) => 2,
        (Medium::Video, Channel::Rtcp) => 3,
        (Medium::Slides, Channel::Rtp) => 4,
        (Medium::Slides, Channel::Rtcp) => 5,
    }
}

struct Task {
    leg: LegId,
    ports: Vec<Port>,
    /// Where the next look at the sockets begins, so that none is starved.
    next_port: usize,
    pacers: [(VideoRole, Pacer); 2],
    counters: Arc<NetworkCounters>,
    handshaking: Option<Handshaking>,
    congestion: LegCongestion,
    congestion_events: Option<mpsc::UnboundedSender<CongestionEvent>>,
    /// Takes our reports of what arrives.
    feedback: mpsc::Sender<ControlDatagram>,
    incoming: mpsc::Sender<Datagram>,
    /// What this turn has received and media has not been given yet.
    arrived: Vec<Datagram>,
}

impl Task {
    async fn run(
        mut self,
        mut routes: mpsc::UnboundedReceiver<LegRoute>,
        mut outgoing: mpsc::Receiver<Datagram>,
        mut control: mpsc::Receiver<ControlDatagram>,
    ) {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        let mut batch = Vec::with_capacity(SENDS_A_TURN);
        loop {
            let now = Instant::now();
            self.tell_of_congestion(now);
            let congestion = self.congestion.next_deadline(now);
            let pacers = self.pacers.iter();
            let pacing = pacers.filter_map(|(_, pacer)| pacer.next_deadline()).min();
            let handshakes = self.ports.iter().filter_map(|port| port.secure.as_ref());
            let handshake = handshakes.filter_map(SecureTransport::next_deadline).min();
            tokio::select! {
                route = routes.recv() => match route {
                    Some(route) => self.set_route(&route),
                    None => return,
                },
                () = sleep_until(pacing), if pacing.is_some() => self.send_paced(),
                () = sleep_until(congestion), if congestion.is_some() => {
                    self.congestion.handle_timeout(Instant::now());
                    self.send_paced();
                }
                Some(datagram) = control.recv() => self.take_control(&datagram),
                () = sleep_until(handshake), if handshake.is_some() => {
                    self.handshake_timeout(Instant::now());
                }
                taken = outgoing.recv_many(&mut batch, SENDS_A_TURN) => {
                    if taken == 0 {
                        return;
                    }
                    batch.drain(..).for_each(|datagram| self.send(datagram));
                    self.send_paced();
                }
                (port, received) = receive(&self.ports, &mut self.next_port, &mut buffer) => {
                    self.take_burst(port, received, &mut buffer);
                }
            }
        }
    }

    /// Hands media what is to be reported, and the driver what was found.
    fn tell_of_congestion(&mut self, now: Instant) {
        while let Some((role, packet)) = self.congestion.poll_feedback() {
            let report = ControlDatagram {
                medium: Medium::of_video(role),
                payload: packet.into(),
            };
            // What does not fit is in the next report again.
            let _ = self.feedback.try_send(report);
        }
        while let Some(change) = self.congestion.poll_change(now) {
            tracing::debug!(leg = %self.leg, ?change, "congestion control");
            if let Change::Target(role, target) = change {
                let mut pacers = self.pacers.iter_mut();
                if let Some((_, pacer)) = pacers.find(|(paced, _)| *paced == role) {
                    pacer.set_target(target);
                }
            }
            let event = CongestionEvent {
                leg: self.leg,
                change,
            };
            if let Some(events) = &self.congestion_events {
                // The driver's end is the end of the leg as well.
                let _ = events.send(event);
            }
        }
    }

    fn take_control(&mut self, datagram: &ControlDatagram) {
        if let Some(role) = datagram.medium.video_role() {
            let now = Instant::now();
            self.congestion
                .received_control(now, ntp_time(), role, &datagram.payload);
            self.send_paced();
        }
    }

    fn set_route(&mut self, route: &LegRoute) {
        let now = Instant::now();
        self.congestion
            .settle(now, route.reported(), route.sent_again(), route.sources());
        for (role, pacer) in &mut self.pacers {
            pacer.set_target(match role {
                VideoRole::Main => route.video_target,
                VideoRole::Slides => route.slides_target,
            });
        }
        for port in &mut self.ports {
            let Some(medium) = route.medium(port.medium) else {
                port.paused = port.stream.take().or_else(|| port.paused.take());
                continue;
            };
            if is_shared(port.channel, medium) {
                (port.socket, port.stream, port.paused) = (None, None, None);
                continue;
            }
            if port.socket.is_none() {
                match bind(port.local) {
                    Ok(socket) => port.socket = Some(socket),
                    Err(error) => tracing::warn!(
                        leg = %self.leg, %error, local = %port.local, "RTCP has no port of its own"
                    ),
                }
            }
            let negotiated = match port.channel {
                Channel::Rtp => medium.rtp,
                Channel::Rtcp => medium.rtcp,
            };
            // A re-offer that changes neither address nor keys keeps the latch and its counters.
            let unchanged = port
                .stream
                .as_ref()
                .is_some_and(|s| s.is_for(negotiated, medium));
            if !unchanged {
                self.congestion.path_changed(now);
                let previous = port.stream.take().or_else(|| port.paused.take());
                port.stream = Some(Stream::new(negotiated, medium, previous));
                port.secure = secure(port.secure.take(), negotiated, medium, &self.handshaking);
            }
        }
        for index in 0..self.ports.len() {
            self.drive_handshake(index);
        }
    }

    fn handshake_timeout(&mut self, now: Instant) {
        for index in 0..self.ports.len() {
            if let Some(secure) = &mut self.ports[index].secure {
                secure.handle_timeout(now);
            }
            self.drive_handshake(index);
        }
    }

    /// Sends what the handshake of a port has to say, and takes its keys.
    fn drive_handshake(&mut self, index: usize) {
        let port = &mut self.ports[index];
        let Some(secure) = &mut port.secure else {
            return;
        };
        let parameters = secure.parameters();
        while let Some(output) = secure.poll_output() {
            let outcome = match output {
                secure_transport::Output::Transmit {
                    destination,
                    payload,
                } => {
                    let target = as_sent_from(port.local, destination);
                    let sent = port
                        .socket
                        .as_ref()
                        .map(|it| it.try_send_to(&payload, target));
                    if let Some(Err(error)) = sent {
                        tracing::debug!(leg = %self.leg, %error, "handshake not sent");
                    }
                    continue;
                }
                secure_transport::Output::Event(secure_transport::Event::Keys(keys)) => {
                    for stream in port.stream.iter_mut().chain(&mut port.paused) {
                        stream.secure(parameters, &keys);
                    }
                    HandshakeOutcome::Keys(keys)
                }
                secure_transport::Output::Event(secure_transport::Event::Failed(failure)) => {
                    HandshakeOutcome::Failed(failure)
                }
            };
            let event = HandshakeEvent {
                leg: self.leg,
                medium: port.medium,
                parameters,
                outcome,
            };
            if let Some(handshaking) = &self.handshaking {
                // The driver's end is the end of the leg as well.
                let _ = handshaking.events.send(event);
            }
        }
    }

    fn send(&mut self, datagram: Datagram) {
        let now = Instant::now();
        let mut datagram = datagram;
        if let (Some(role), Channel::Rtp) = (datagram.medium.video_role(), datagram.channel) {
            match self.congestion.push(now, role, datagram.payload) {
                None => return,
                Some(payload) => datagram.payload = payload,
            }
        }
        let paced =
            |(role, _): &&mut (VideoRole, Pacer)| Medium::of_video(*role) == datagram.medium;
        let pacer = self.pacers.iter_mut().find(paced);
        if let (Some((_, pacer)), Channel::Rtp) = (pacer, datagram.channel) {
            pacer.push(now, datagram.payload);
        } else {
            let index = self.sending_port(datagram.medium, datagram.channel);
            if datagram.channel == Channel::Rtp {
                self.congestion
                    .sent(now, datagram.medium, &datagram.payload);
            }
            self.transmit(index, &datagram.payload);
        }
    }

    /// The port by which a channel leaves.
    fn sending_port(&self, medium: Medium, channel: Channel) -> usize {
        let rtp = port_index(medium, Channel::Rtp);
        let port = self.ports.get(rtp);
        match port.and_then(|port| port.stream.as_ref()) {
            Some(Stream {
                rtcp_port: RtcpPort::Shared,
                ..
            }) => rtp,
            Some(_) | None => port_index(medium, channel),
        }
    }

    fn send_paced(&mut self) {
        for index in 0..self.pacers.len() {
            let medium = Medium::of_video(self.pacers[index].0);
            let rtp = port_index(medium, Channel::Rtp);
            while let Some(payload) = self.pacers[index].1.poll(Instant::now()) {
                self.congestion.sent(Instant::now(), medium, &payload);
                self.transmit(rtp, &payload);
            }
        }
        let now = Instant::now();
        while let Some((role, payload)) = self.congestion.poll(now) {
            let medium = Medium::of_video(role);
            self.congestion.sent(now, medium, &payload);
            self.transmit(port_index(medium, Channel::Rtp), &payload);
        }
    }

    fn transmit(&self, index: usize, payload: &Bytes) {
        let Some(port) = self.ports.get(index) else {
            return;
        };
        let (Some(stream), Some(socket)) = (&port.stream, &port.socket) else {
            return;
        };
        if matches!(stream.protection, StreamProtection::Awaiting) {
            return;
        }
        let target = as_sent_from(port.local, stream.latch.remote());
        match socket.try_send_to(payload, target) {
            Ok(_) => drop(self.counters.datagrams.sent.fetch_add(1, Ordering::Relaxed)),
            Err(error) => tracing::debug!(leg = %self.leg, %error, "media datagram not sent"),
        }
    }

    /// Takes what was received and what waits behind it.
    fn take_burst(
        &mut self,
        index: usize,
        first: io::Result<(usize, SocketAddr)>,
        buffer: &mut [u8],
    ) {
        let mut received = first;
        for more in (0..RECEIVED_A_TURN).rev() {
            match received {
                Ok((length, source)) => self.take_in(index, &buffer[..length], source),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP error of an earlier send: the peer's port is closed for now.
                Err(error) => {
                    tracing::debug!(leg = %self.leg, %error, "media socket");
                    break;
                }
            }
            if more == 0 {
                break;
            }
            let Some(socket) = &self.ports[index].socket else {
                break;
            };
            received = socket.try_recv_from(buffer);
        }
        self.hand_over();
    }

    /// Gives media what has arrived.
    fn hand_over(&mut self) {
        for datagram in self.arrived.drain(..) {
            let counter = match self.incoming.try_send(datagram) {
                Ok(()) => &self.counters.datagrams.received,
                Err(_) => &self.counters.datagrams.overrun,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take_in(&mut self, index: usize, payload: &[u8], source: SocketAddr) {
        let (now, source) = (Instant::now(), canonical(source));
        let port = &mut self.ports[index];
        if let Some(secure) = &mut port.secure
            && secure.handle_datagram(now, source, payload) == Owner::Transport
        {
            self.drive_handshake(index);
            return;
        }
        let Some(stream) = &mut port.stream else {
            return;
        };
        let channel = match (stream.rtcp_port, packet_kind(payload)) {
            (RtcpPort::Own, PacketKind::Rtp | PacketKind::Rtcp) => port.channel,
            (RtcpPort::Shared, PacketKind::Rtp) => Channel::Rtp,
            (RtcpPort::Shared, PacketKind::Rtcp) => Channel::Rtcp,
        };
        let verdict = match &mut stream.protection {
            StreamProtection::Plain => stream.latch.judge_plain(source),
            StreamProtection::Awaiting => return,
            StreamProtection::Secured { authenticator, .. } => {
                let packet = match channel {
                    Channel::Rtp => authenticator.authenticate_rtp(payload),
                    Channel::Rtcp => authenticator.authenticate_rtcp(payload),
                };
                match packet {
                    Ok(packet) => stream.latch.judge_authenticated(source, packet.age),
                    Err(_) => {
                        self.counters
                            .datagrams
                            .unauthenticated
                            .fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
        };
        match verdict {
            Verdict::Drop => {
                self.counters
                    .datagrams
                    .foreign
                    .fetch_add(1, Ordering::Relaxed);
                return;
            }
            Verdict::Pass => {}
            Verdict::PassAndFollow => {
                tracing::info!(leg = %self.leg, medium = ?port.medium, %source, "media follows the peer");
                self.congestion.path_changed(now);
            }
        }
        if let (Some(role), Channel::Rtp) = (port.medium.video_role(), channel) {
            self.congestion.received(now, role, payload);
        }
        self.arrived.push(Datagram {
            medium: port.medium,
            channel,
            payload: Bytes::copy_from_slice(payload),
        });
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline.into()).await;
    }
}

/// The next datagram of any port, with the port's index.
async fn receive(
    ports: &[Port],
    next_port: &mut usize,
    buffer: &mut [u8],
) -> (usize, io::Result<(usize, SocketAddr)>) {
    poll_fn(|context| {
        for offset in 0..ports.len() {
            let index = (*next_port + offset) % ports.len();
            let Some(socket) = &ports[index].socket else {
                continue;
            };
            let mut read = ReadBuf::new(buffer);
            if let Poll::Ready(result) = socket.poll_recv_from(context, &mut read) {
                *next_port = (index + 1) % ports.len();
                let length = read.filled().len();
                return Poll::Ready((index, result.map(|source| (length, source))));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod tests;
