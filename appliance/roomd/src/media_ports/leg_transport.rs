//! Moves one leg's datagrams between its sockets and the media graph.
//!
//! Incoming: only what comes from the latched address, or from one that ICE has proven, and for a secured
//! stream only what carries a valid SRTP tag, is handed to media. Outgoing: audio and RTCP
//! at once, video and slides through congestion control ([`LegCongestion`]) where the far end reports what
//! arrives, and else each through a [`Pacer`]. Until the leg has a [`LegRoute`] everything that comes in is dropped.
//!
//! ```text
//!  media ──Datagram──> [pacer, congestion: RTP of pictures] ──> socket ──> the pair of ICE, or the latch
//!  media <─Datagram── [SRTP tag] <── [pair or latch] <── [RTP or RTCP] <── [ICE, DTLS?] <── socket
//!                         ▲                 ▲                                   │
//!                         └────── keys ─────┴──────── pair ─────────────────────┴──> driver
//!  media ──RTCP, decrypted──> [congestion] ──Change──> driver
//!  media <──reports of what arrives── [congestion]
//! ```
//!
//! A stream whose keys a DTLS handshake yields (RFC 5763) is deaf and dumb until it has them: nothing of
//! it leaves in the clear. One whose way ICE finds (RFC 8445) sends nothing before a pair is selected, and
//! nothing after the peer's consent has ended (RFC 7675).
//!
//! A stream has two sockets until offer/answer settles that RTCP shares the port of RTP (RFC 5761):
//! then that of RTCP is closed. Should a later answer want it again, it is bound anew; nobody else
//! can have taken the port, because ports are handed out in pairs.

mod connection;
mod port;
mod route;
mod stream;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use media::{Channel, ControlDatagram, Datagram, LegDatagrams, Medium};
use room::codec::RtcpPort;
use room::ids::LegId;
use room::media_plan::VideoRole;
use room::units::Bitrate;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use webrtc::secure_transport::{Certificate, IceFailure, Owner};

use super::address_latch::Verdict;
use super::leg_congestion::{CongestionEvent, LegCongestion};
use super::pacer::Pacer;
use super::rtcp_demultiplexer::{PacketKind, packet_kind};
use super::sockets::{LegSockets, bind};
use super::transport_events::{
    HandshakeEvent, HandshakeOutcome, PathEvent, PathOutcome, TransportEvent,
};
use crate::congestion_control::Change;
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;
use crate::socket_address::{as_sent_from, canonical};
use crate::unix_time::ntp_time;
use connection::{Connection, ConnectionOutput};
use port::{Port, is_shared, port_index, ports};
pub use route::{IceRoute, Keying, LegRoute, MediumRoute};
use stream::{Stream, StreamProtection};

/// The largest UDP payload.
const LARGEST_DATAGRAM: usize = 65_535;
/// Datagrams sent or paced before the sockets are looked at again.
const SENDS_A_TURN: usize = 64;
/// Datagrams of one socket that go to media together. A picture comes as a burst of packets: handed
/// over one by one, each would wake media's thread anew.
const RECEIVED_A_TURN: usize = 32;

/// What connecting with peers needs.
#[derive(Clone, Debug)]
pub struct Connecting {
    /// What we show in DTLS handshakes.
    pub certificate: Certificate,
    /// Takes what comes of handshakes and of ICE, and what congestion control finds.
    pub events: mpsc::UnboundedSender<TransportEvent>,
}

/// The running transport of one leg. Dropping it closes the sockets.
#[derive(Debug)]
pub struct LegTransport {
    routes: mpsc::UnboundedSender<LegRoute>,
    task: AbortHandle,
}

impl LegTransport {
    /// Starts to move datagrams of `leg`, and to count them, in a task that `tasks` owns; nothing
    /// passes before the first [`Self::set_route`]. Without `connecting` streams that want a handshake
    /// stay without keys.
    #[must_use]
    pub fn start(
        tasks: &mut OwnedTasks,
        leg: LegId,
        sockets: LegSockets,
        datagrams: LegDatagrams,
        counters: Arc<NetworkCounters>,
        connecting: Option<Connecting>,
    ) -> Self {
        let (routes, route_changes) = mpsc::unbounded_channel();
        let sources = LegRoute::default().sources();
        let task = Task {
            leg,
            ports: ports(sockets),
            next_port: 0,
            pacers: VideoRole::ALL.map(|role| (role, Pacer::new(Bitrate::kbps(2_000)))),
            counters,
            connecting,
            congestion: LegCongestion::new(Instant::now(), ntp_time(), sources),
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

struct Task {
    leg: LegId,
    ports: Vec<Port>,
    /// Where the next look at the sockets begins, so that none is starved.
    next_port: usize,
    pacers: [(VideoRole, Pacer); 2],
    counters: Arc<NetworkCounters>,
    connecting: Option<Connecting>,
    congestion: LegCongestion,
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
            let connections = self.ports.iter_mut().map(|port| &mut port.connection);
            let connection = connections.filter_map(Connection::next_deadline).min();
            tokio::select! {
                route = routes.recv() => match route {
                    Some(route) => self.set_route(Instant::now(), &route),
                    None => return,
                },
                () = sleep_until(pacing), if pacing.is_some() => self.send_paced(),
                () = sleep_until(congestion), if congestion.is_some() => {
                    self.congestion.handle_timeout(Instant::now());
                    self.send_paced();
                }
                Some(datagram) = control.recv() => self.take_control(&datagram),
                () = sleep_until(connection), if connection.is_some() => {
                    self.connection_timeout(Instant::now());
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
            self.tell(TransportEvent::Congestion(CongestionEvent {
                leg: self.leg,
                change,
            }));
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

    fn set_route(&mut self, now: Instant, route: &LegRoute) {
        self.congestion
            .settle(now, route.reported(), route.sent_again(), route.sources());
        let certificate = self.connecting.as_ref();
        let certificate = certificate.map(|connecting| &connecting.certificate);
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
                port.connection = Connection::default();
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
            let before = port.destination();
            port.settle(now, medium, certificate);
            if before.is_some() && before != port.destination() {
                self.congestion.path_changed(now);
            }
        }
        for index in 0..self.ports.len() {
            self.drive_connection(now, index);
        }
    }

    fn connection_timeout(&mut self, now: Instant) {
        for index in 0..self.ports.len() {
            self.ports[index].connection.handle_timeout(now);
            self.drive_connection(now, index);
        }
    }

    /// Does what the connection of a port says.
    fn drive_connection(&mut self, now: Instant, index: usize) {
        while let Some(output) = self.ports[index].connection.poll_output(now) {
            match output {
                ConnectionOutput::Transmit {
                    destination,
                    payload,
                } => self.transmit_for_connection(index, destination, &payload),
                ConnectionOutput::Handshake(parameters, outcome) => {
                    let port = &mut self.ports[index];
                    if let Ok(keys) = &outcome {
                        for stream in port.stream.iter_mut().chain(&mut port.paused) {
                            stream.secure(parameters, keys);
                        }
                    }
                    let event = HandshakeEvent {
                        leg: self.leg,
                        medium: port.medium,
                        parameters,
                        outcome: match outcome {
                            Ok(keys) => HandshakeOutcome::Keys(keys),
                            Err(failure) => HandshakeOutcome::Failed(failure),
                        },
                    };
                    self.tell(TransportEvent::Handshake(event));
                }
                ConnectionOutput::Path(outcome) => {
                    self.congestion.path_changed(now);
                    self.tell_path(index, outcome);
                }
            }
        }
    }

    fn transmit_for_connection(&self, index: usize, destination: SocketAddr, payload: &[u8]) {
        let port = &self.ports[index];
        let target = as_sent_from(port.local, destination);
        let socket = port.socket.as_ref();
        if let Some(Err(error)) = socket.map(|socket| socket.try_send_to(payload, target)) {
            tracing::debug!(leg = %self.leg, %error, "check or handshake not sent");
        }
    }

    fn tell_path(&self, index: usize, outcome: Result<SocketAddr, IceFailure>) {
        let port = &self.ports[index];
        let Some(ice) = port.connection.ice() else {
            return;
        };
        let username_fragment = ice.parameters().local.username_fragment.clone();
        match (port.channel, outcome) {
            (Channel::Rtp, outcome) => self.tell(TransportEvent::Path(PathEvent {
                leg: self.leg,
                medium: port.medium,
                username_fragment,
                outcome: match outcome {
                    Ok(remote) => PathOutcome::Selected(remote),
                    Err(failure) => PathOutcome::Failed(failure),
                },
            })),
            (Channel::Rtcp, Ok(_)) => {}
            (Channel::Rtcp, Err(failure)) => {
                tracing::warn!(leg = %self.leg, medium = ?port.medium, %failure, "RTCP has no way");
            }
        }
    }

    fn tell(&self, event: TransportEvent) {
        if let Some(connecting) = &self.connecting {
            // The driver's end is the end of the leg as well.
            let _ = connecting.events.send(event);
        }
    }

    fn send(&mut self, mut datagram: Datagram) {
        let now = Instant::now();
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
            let leaves = self.transmit(index, &datagram.payload);
            if leaves && datagram.channel == Channel::Rtp {
                self.congestion
                    .sent(now, datagram.medium, &datagram.payload);
            }
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
            while let Some(payload) = self.pacers[index].1.poll(Instant::now()) {
                self.send_picture(medium, &payload);
            }
        }
        while let Some((role, payload)) = self.congestion.poll(Instant::now()) {
            self.send_picture(Medium::of_video(role), &payload);
        }
    }

    fn send_picture(&mut self, medium: Medium, payload: &Bytes) {
        let now = Instant::now();
        if self.transmit(port_index(medium, Channel::Rtp), payload) {
            self.congestion.sent(now, medium, payload);
        }
    }

    /// Sends a datagram. Whether it has left.
    fn transmit(&self, index: usize, payload: &Bytes) -> bool {
        let Some(port) = self.ports.get(index) else {
            return false;
        };
        let (Some(destination), Some(socket)) = (port.destination(), &port.socket) else {
            return false;
        };
        let target = as_sent_from(port.local, destination);
        match socket.try_send_to(payload, target) {
            Ok(_) => {
                self.counters.datagrams.sent.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(error) => {
                tracing::debug!(leg = %self.leg, %error, "media datagram not sent");
                false
            }
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
        match Owner::of(payload) {
            Owner::Ice | Owner::Dtls => {
                port.connection.handle_datagram(now, source, payload);
                return self.drive_connection(now, index);
            }
            Owner::Media => {}
        }
        let Some(stream) = &mut port.stream else {
            return;
        };
        let channel = match (stream.rtcp_port, packet_kind(payload)) {
            (RtcpPort::Own, PacketKind::Rtp | PacketKind::Rtcp) => port.channel,
            (RtcpPort::Shared, PacketKind::Rtp) => Channel::Rtp,
            (RtcpPort::Shared, PacketKind::Rtcp) => Channel::Rtcp,
        };
        let ice = port.connection.ice();
        let verdict = match &mut stream.protection {
            StreamProtection::Plain => match ice {
                Some(ice) if ice.is_proven(source) => Verdict::Pass,
                Some(_) => Verdict::Drop,
                None => stream.latch.judge_plain(source),
            },
            StreamProtection::Awaiting => return,
            StreamProtection::Secured { authenticator, .. } => {
                let packet = match channel {
                    Channel::Rtp => authenticator.authenticate_rtp(payload),
                    Channel::Rtcp => authenticator.authenticate_rtcp(payload),
                };
                match (packet, ice) {
                    // ICE says where media go to, whencever they come.
                    (Ok(_), Some(_)) => Verdict::Pass,
                    (Ok(packet), None) => stream.latch.judge_authenticated(source, packet.age),
                    (Err(_), _) => {
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
mod ice_tests;
#[cfg(test)]
mod tests;
