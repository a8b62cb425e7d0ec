//! Carries one guest's leg: its connection to the browser, its sockets, and its way to media.
//!
//! ```text
//!  driver ──Order──> ┌──────── task ────────┐ ──LegNews──> driver
//!                    │  webrtc::Leg         │
//!  media ─Datagram─> │  CongestionControl   │ <─UDP, TCP─> browser
//!  media <─Datagram─ └──────────────────────┘
//! ```
//!
//! The [task] ends by itself when its handle is dropped, after it has taken leave of the browser.

mod held_pictures;
mod media_path;
mod task;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use congestion::Gate;
use media::{LegDatagrams, Medium};
use room::ids::LegId;
use room::media_plan::{LegStreams, VideoRole};
use room::units::Bitrate;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use webrtc::{CloseReason, Leg, LegSettings, SimulcastLayer};

use super::Replies;
use super::measurements::Measurements;
use super::relays::RelayNews;
use super::sockets::Sockets;
use super::tcp_connections::TcpConnections;
use super::tcp_listener::TcpPort;
use crate::congestion_control::{CongestionControl, Sources};
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;
use held_pictures::HeldPictures;
use media_path::MediaPath;
use task::{ConnectionState, Task};

/// What a task saw of its leg.
#[derive(Debug)]
pub struct LegNews {
    /// The leg.
    pub leg: LegId,
    /// What it saw.
    pub event: LegEvent,
}

/// What is to be known of a guest's leg.
#[derive(Debug)]
pub enum LegEvent {
    /// Browser and room reach each other, and these streams are settled.
    Connected(LegStreams),
    /// The streams were settled anew.
    StreamsChanged(LegStreams),
    /// The browser may reach the leg in this way too: the line of a candidate.
    LocalCandidate(String),
    /// The guest has written something.
    Text(String),
    /// The browser needs a whole picture of each stream.
    KeyframeWanted,
    /// The network carries this much of a picture to the browser.
    VideoTarget(VideoRole, Bitrate),
    /// Whether the network takes pictures just now.
    Gate(Gate),
    /// It is over.
    Closed(CloseReason),
}

/// What the task is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Answer an offer of the same guest.
    Offer {
        sdp: String,
        replies: Replies,
        /// Random and secret, for another connection.
        seed: [u8; 32],
    },
    /// Try this way to the browser too.
    Candidate(String),
    /// Send this to the page.
    Text(String),
    /// Take the camera in this size.
    CameraLayer(SimulcastLayer),
    /// The machine has these addresses now, of which some are new and have a socket here.
    Addresses {
        all: Vec<IpAddr>,
        opened: Vec<UdpSocket>,
    },
}

/// The handle of a leg's task.
#[derive(Debug)]
pub(super) struct GuestTransport {
    orders: mpsc::UnboundedSender<Order>,
    measurements: Measurements,
    /// Of its sockets.
    addresses: Vec<IpAddr>,
}

/// What a leg is made of.
pub(super) struct Parts {
    pub(super) leg: LegId,
    /// Random and secret.
    pub(super) seed: [u8; 32],
    pub(super) settings: LegSettings,
    pub(super) sockets: Vec<UdpSocket>,
    /// Where the browser may come by TCP, if it may.
    pub(super) tcp: Option<TcpPort>,
    /// Of the router that forwards our ports.
    pub(super) public_addresses: Vec<IpAddr>,
    /// What TURN servers relay.
    pub(super) relays: mpsc::Receiver<RelayNews>,
    pub(super) datagrams: LegDatagrams,
    pub(super) sources: Sources,
    pub(super) news: mpsc::Sender<LegNews>,
    pub(super) counters: Arc<NetworkCounters>,
    pub(super) camera_layer: SimulcastLayer,
}

impl GuestTransport {
    /// Answers the offer, and starts to carry the leg in a task that `tasks` owns. Gives the answer, and the streams that
    /// it settles.
    ///
    /// # Errors
    /// What is wrong with the offer.
    pub(super) fn start(
        now: Instant,
        parts: Parts,
        offer: &str,
        tasks: &mut OwnedTasks,
    ) -> Result<(Self, String, LegStreams), webrtc::Error> {
        let Parts {
            leg: id,
            seed,
            settings,
            sockets,
            tcp,
            public_addresses,
            relays,
            datagrams,
            sources,
            news,
            counters,
            camera_layer,
        } = parts;
        let tcp = tcp.as_ref().map(TcpConnections::new);
        let mut sockets = Sockets::new(sockets, tcp, public_addresses, relays);
        let addresses = sockets.addresses().iter().map(SocketAddr::ip).collect();
        let (mut leg, answer) = Leg::answer(now, seed, settings.clone(), &sockets.local(), offer)?;
        leg.set_simulcast_layer(Medium::Video, camera_layer);
        sockets.set_ufrag(leg.local_ufrag());
        let streams = leg.streams().clone();
        let (orders, taken) = mpsc::unbounded_channel();
        let measurements = Measurements::default();
        let task = Task {
            id,
            leg,
            settings,
            sockets,
            congestion: CongestionControl::new(now, sources),
            path: MediaPath::default(),
            send_failure: None,
            events: VecDeque::new(),
            incoming: datagrams.incoming,
            news,
            counters,
            state: ConnectionState::Connecting,
            held: HeldPictures::default(),
            measurements: measurements.clone(),
            next_measurement: now,
            camera_layer,
        };
        tasks.spawn_passing(task.run(taken, datagrams.outgoing));
        let transport = Self {
            orders,
            measurements,
            addresses,
        };
        Ok((transport, answer, streams))
    }

    /// The machine has these addresses from now on. `open` gives a socket at a new one.
    pub(super) fn follow_addresses(
        &mut self,
        all: &[IpAddr],
        mut open: impl FnMut(IpAddr) -> Option<UdpSocket>,
    ) {
        let fresh = all
            .iter()
            .filter(|address| !self.addresses.contains(address));
        let opened: Vec<UdpSocket> = fresh.filter_map(|address| open(*address)).collect();
        let are_gone = self.addresses.iter().any(|known| !all.contains(known));
        if opened.is_empty() && !are_gone {
            return;
        }
        self.addresses.retain(|known| all.contains(known));
        let addresses = opened.iter().filter_map(|socket| socket.local_addr().ok());
        self.addresses.extend(addresses.map(|address| address.ip()));
        self.order(Order::Addresses {
            all: all.to_vec(),
            opened,
        });
    }

    /// What the task has measured last.
    pub(super) fn measurements(&self) -> &Measurements {
        &self.measurements
    }

    /// Tells the task to do something.
    pub(super) fn order(&self, order: Order) {
        // A task that has ended has told why.
        let _ = self.orders.send(order);
    }
}
