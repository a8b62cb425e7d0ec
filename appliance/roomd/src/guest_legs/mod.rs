//! The legs of guests: between the guest server, the room's commands and the tasks that carry them.
//!
//! ```text
//!              offer             Accept: answer goes out       browser is reached
//!  (no leg) ──────────► Knocking ───────────────► Connecting ─────────────────► Connected
//!                          │                          │                             │
//!                          │ Reject, left             │ HangUp, left, lost, session over
//!                          └──────────────────────────┴──────────────┬──────────────┘
//!                                                                (no leg)
//! ```
//!
//! Owned by the driver. What has to be told to the room comes out as facts, in order.

mod active_connections;
mod chat;
mod commands;
mod end_words;
mod measurements;
mod relays;
mod sockets;
mod tcp_connection;
mod tcp_connections;
mod tcp_listener;
mod transport;
mod unknown_connections;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use room::ids::LegId;
use room::media_plan::PlayoutPlan;
use room::{EndReason, Fact, Guest, GuestAdmission, LegSecurity, LegStats};
use tokio::sync::mpsc;
use webrtc::SimulcastLayer;

use crate::congestion_control::Sources;
use crate::error::Error;
use crate::guests::Guests;
use crate::guests::signalling::{Admit, GuestEvent, GuestId, GuestReply, SessionEnd};
use crate::host_addresses::host_addresses;
use crate::media_ports::sockets::MediaPortRange;
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;
use crate::randomness::random_bytes;
use crate::turn_servers::TurnServers;

use end_words::{end_of_connection, end_reason};
pub use tcp_listener::GuestTcpListener;
use tcp_listener::TcpPort;
use transport::{GuestTransport, Order};
pub use transport::{LegEvent, LegNews};

/// Candidates of a guest who knocks that are kept until the guest is let in.
const MOST_CANDIDATES: usize = 64;

/// News of the tasks that wait for the driver.
const NEWS: usize = 256;

/// A guest's way to hear of the room. What does not fit is not waited for: a page that does not read is
/// cut off by its server.
type Replies = mpsc::Sender<GuestReply>;

/// One guest's leg.
#[derive(Debug)]
struct GuestLeg {
    guest: GuestId,
    name: String,
    replies: Replies,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not let in yet.
    Knocking {
        offer: String,
        candidates: Vec<String>,
    },
    /// Let in: a task carries it, and its browser is being reached.
    Connecting(GuestTransport),
    /// In the meeting.
    Connected(GuestTransport),
}

/// What the legs of guests are made of.
#[derive(Debug)]
pub struct GuestLegsParts {
    /// Where their pages are served: their media goes by the same addresses.
    pub bound: IpAddr,
    /// Their UDP ports.
    pub ports: MediaPortRange,
    /// Where their browsers come by TCP; `None`: nowhere.
    pub tcp: Option<GuestTcpListener>,
    /// The addresses of a router that forwards the ports to this machine.
    pub public_addresses: Vec<IpAddr>,
    /// What they are sent.
    pub sources: Sources,
    /// By which servers they are reached as well.
    pub turn: TurnServers,
    /// Who is told what became of guests; `None` where there is no guest server.
    pub server: Option<Guests>,
    /// What the tasks count.
    pub counters: Arc<NetworkCounters>,
}

/// In which size the room shows the cameras of its far ends: beside slides they lie in a corner, a quarter of the
/// screen wide, and the small layer has half of what the large one has.
#[must_use]
pub const fn shown_layer(playout: &PlayoutPlan) -> SimulcastLayer {
    if playout.slides.is_some() {
        SimulcastLayer::Low
    } else {
        SimulcastLayer::High
    }
}

/// The legs of all guests.
#[derive(Debug)]
pub struct GuestLegs {
    /// What media sockets are bound to.
    bound: IpAddr,
    ports: MediaPortRange,
    /// Where browsers come by TCP, if they may.
    tcp: Option<TcpPort>,
    public_addresses: Vec<IpAddr>,
    sources: Sources,
    turn: TurnServers,
    legs: HashMap<LegId, GuestLeg>,
    /// Who is told what became of guests; `None` where there is no guest server.
    server: Option<Guests>,
    news: mpsc::Sender<LegNews>,
    counters: Arc<NetworkCounters>,
    tasks: OwnedTasks,
    service: Service,
    /// In which size the cameras of guests are taken.
    camera_layer: SimulcastLayer,
}

/// What the service is about, where it is more than one guest's leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Running,
    /// The room ends its meeting.
    EndingMeeting,
    ShuttingDown,
}

impl GuestLegs {
    /// No guests yet. The receiver has what their tasks see, for [`Self::take_news`].
    ///
    /// # Panics
    /// Outside of a tokio runtime, where there is a listener.
    #[must_use]
    pub fn new(parts: GuestLegsParts) -> (Self, mpsc::Receiver<LegNews>) {
        let GuestLegsParts {
            bound,
            ports,
            tcp,
            public_addresses,
            sources,
            turn,
            server,
            counters,
        } = parts;
        let (news, receiver) = mpsc::channel(NEWS);
        let mut tasks = OwnedTasks::default();
        let tcp = tcp.map(|listener| {
            let port = listener.port();
            tasks.spawn_lasting(listener.run());
            port
        });
        let legs = Self {
            bound,
            ports,
            tcp,
            public_addresses,
            sources,
            turn,
            legs: HashMap::new(),
            server,
            news,
            counters,
            tasks,
            service: Service::Running,
            camera_layer: SimulcastLayer::High,
        };
        (legs, receiver)
    }

    /// Whether a leg is a guest's.
    #[must_use]
    pub fn has(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg)
    }

    /// Waits until a guest's task breaks. May be dropped and called again.
    pub async fn unexpected_end(&mut self) {
        self.tasks.unexpected_end().await;
    }

    /// Takes in what the guest server saw. `reserve` gives the id of a new leg.
    pub fn take_event(&mut self, event: GuestEvent, reserve: impl FnOnce() -> LegId) -> Vec<Fact> {
        match event {
            GuestEvent::Offer {
                guest,
                name,
                admit,
                sdp,
                replies,
            } => match self.leg_of(guest) {
                Some(leg) => {
                    self.offer_again(leg, sdp, replies);
                    Vec::new()
                }
                None => vec![self.knock(reserve(), guest, name, admit, sdp, replies)],
            },
            GuestEvent::Candidate {
                guest, candidate, ..
            } => {
                self.take_candidate(guest, candidate);
                Vec::new()
            }
            GuestEvent::Left { guest } => self.over(guest, EndReason::RemoteHangUp),
            // The page has heard why.
            GuestEvent::SessionOver { guest, why } => self.over(
                guest,
                match why {
                    SessionEnd::SignedOut => EndReason::RemoteHangUp,
                    SessionEnd::LinkExpired | SessionEnd::LinkRevoked | SessionEnd::MeetingOver => {
                        EndReason::LocalHangUp
                    }
                    SessionEnd::PlaceTaken => EndReason::PeerLost,
                },
            ),
            // Whoever is in the meeting stays, as long as its media lives.
            GuestEvent::ConnectionLost { guest } if !self.is_knocking(guest) => Vec::new(),
            GuestEvent::ConnectionLost { guest } => self.over(guest, EndReason::RemoteHangUp),
        }
    }

    fn leg_of(&self, guest: GuestId) -> Option<LegId> {
        let mut legs = self.legs.iter();
        let (leg, _) = legs.find(|(_, leg)| leg.guest == guest)?;
        Some(*leg)
    }

    fn is_knocking(&self, guest: GuestId) -> bool {
        let mut legs = self.legs.values();
        legs.any(|leg| leg.guest == guest && matches!(leg.state, State::Knocking { .. }))
    }

    fn knock(
        &mut self,
        leg: LegId,
        guest: GuestId,
        name: String,
        admit: Admit,
        offer: String,
        replies: Replies,
    ) -> Fact {
        let state = State::Knocking {
            offer,
            candidates: Vec::new(),
        };
        self.legs.insert(
            leg,
            GuestLeg {
                guest,
                name: name.clone(),
                replies,
                state,
            },
        );
        let guest = Guest {
            number: guest.0,
            name,
            admission: match admit {
                Admit::Ask => GuestAdmission::Ask,
                Admit::Automatically => GuestAdmission::Unasked,
            },
        };
        Fact::GuestKnocks { leg, guest }
    }

    /// The page of a guest who is here already offers anew: it has lost its connection, or was opened
    /// anew, or its media changes.
    fn offer_again(&mut self, leg: LegId, sdp: String, replies: Replies) {
        let Some(known) = self.legs.get_mut(&leg) else {
            return;
        };
        known.replies = replies;
        match &mut known.state {
            State::Knocking { offer, candidates } => {
                *offer = sdp;
                candidates.clear();
                let _ = known.replies.try_send(GuestReply::Waiting);
            }
            State::Connecting(transport) | State::Connected(transport) => match random_bytes() {
                Ok(seed) => transport.order(Order::Offer {
                    sdp,
                    replies: known.replies.clone(),
                    seed,
                }),
                Err(error) => tracing::error!(%leg, %error, "an offer is not answered"),
            },
        }
    }

    fn take_candidate(&mut self, guest: GuestId, candidate: String) {
        let leg = self.leg_of(guest).and_then(|leg| self.legs.get_mut(&leg));
        match leg.map(|leg| &mut leg.state) {
            Some(State::Knocking { candidates, .. }) if candidates.len() < MOST_CANDIDATES => {
                candidates.push(candidate);
            }
            Some(State::Connecting(transport) | State::Connected(transport)) => {
                transport.order(Order::Candidate(candidate));
            }
            Some(State::Knocking { .. }) | None => {}
        }
    }

    /// A guest is gone.
    fn over(&mut self, guest: GuestId, reason: EndReason) -> Vec<Fact> {
        let Some(leg) = self.leg_of(guest) else {
            return Vec::new();
        };
        let reason = match reason {
            EndReason::RemoteHangUp if self.is_knocking(guest) => EndReason::Cancelled,
            reason => reason,
        };
        // Its task takes leave of the browser and ends by itself.
        self.legs.remove(&leg);
        vec![Fact::Ended { leg, reason }]
    }

    /// Takes in what the task of a leg saw.
    pub fn take_news(&mut self, news: LegNews) -> Vec<Fact> {
        let LegNews { leg, event } = news;
        if !self.has(leg) {
            return Vec::new();
        }
        match event {
            LegEvent::Connected(streams) => {
                self.connected(leg);
                vec![Fact::Established {
                    leg,
                    streams,
                    security: LegSecurity::SECURED,
                }]
            }
            LegEvent::StreamsChanged(streams) => vec![Fact::StreamsChanged { leg, streams }],
            LegEvent::Closed(why) => {
                tracing::info!(%leg, ?why, "the connection to a guest has ended");
                self.tell(leg, GuestReply::Ended(end_of_connection(&why)));
                self.legs.remove(&leg);
                let reason = end_reason(&why);
                vec![Fact::Ended { leg, reason }]
            }
            LegEvent::LocalCandidate(candidate) => {
                self.tell(leg, GuestReply::Candidate(candidate));
                Vec::new()
            }
            LegEvent::Text(text) => {
                self.pass_on(leg, &text);
                Vec::new()
            }
            LegEvent::VideoTarget(role, target) => {
                vec![Fact::VideoTarget { leg, role, target }]
            }
            // The driver passes them on to media.
            LegEvent::KeyframeWanted | LegEvent::Gate(_) => Vec::new(),
        }
    }

    /// The addresses of this machine have changed: legs leave by those that it has now. Without any, they wait for
    /// the next change.
    pub fn look_at_addresses(&mut self) {
        let addresses = host_addresses(self.bound);
        if addresses.iter().all(IpAddr::is_loopback) && !self.bound.is_loopback() {
            return;
        }
        let ports = &mut self.ports;
        for (leg, known) in &mut self.legs {
            let (State::Connecting(transport) | State::Connected(transport)) = &mut known.state
            else {
                continue;
            };
            transport.follow_addresses(&addresses, |address| {
                let bound = ports.bind_bundle(address);
                let note = |error: &Error| tracing::warn!(%leg, %error, "an address is not used");
                bound.inspect_err(note).ok()
            });
        }
    }

    /// From now on the cameras of guests are taken in this size, where their browsers send both.
    pub fn take_cameras(&mut self, layer: SimulcastLayer) {
        if layer == self.camera_layer {
            return;
        }
        self.camera_layer = layer;
        for leg in self.legs.values() {
            if let State::Connecting(transport) | State::Connected(transport) = &leg.state {
                transport.order(Order::CameraLayer(layer));
            }
        }
    }

    /// Completes what media has measured of a guest's leg.
    pub fn complete(&self, leg: LegId, stats: &mut LegStats) {
        if let Some(State::Connected(transport)) = self.legs.get(&leg).map(|leg| &leg.state) {
            transport.measurements().complete(stats);
        }
    }

    /// Passes a guest's text on to the others who are in the meeting.
    fn pass_on(&self, from: LegId, text: &str) {
        let name = self.legs.get(&from).map(|leg| leg.name.as_str());
        let Some(text) = chat::to_others(name.unwrap_or_default(), text) else {
            tracing::debug!(leg = %from, "a text of a guest is no chat line");
            return;
        };
        for (leg, known) in &self.legs {
            if let State::Connected(transport) = &known.state
                && *leg != from
            {
                transport.order(Order::Text(text.clone()));
            }
        }
    }

    /// The room is being shut down: from now on, guests hear that it is nobody's wish that they leave.
    pub fn shutting_down(&mut self) {
        self.service = Service::ShuttingDown;
    }

    fn connected(&mut self, leg: LegId) {
        let Some(known) = self.legs.remove(&leg) else {
            return;
        };
        let state = match known.state {
            State::Connecting(transport) => State::Connected(transport),
            state @ (State::Knocking { .. } | State::Connected(_)) => state,
        };
        self.legs.insert(leg, GuestLeg { state, ..known });
    }

    /// The room ends its meeting: whoever is hung up on hears that.
    pub fn meeting_ends(&mut self) {
        if self.service == Service::Running {
            self.service = Service::EndingMeeting;
        }
    }

    /// The room has ended its meeting: the links to it, and who came by them.
    pub fn meeting_over(&mut self) {
        if self.service == Service::EndingMeeting {
            self.service = Service::Running;
        }
        if let Some(server) = &self.server {
            server.meeting_over();
        }
    }

    fn tell(&self, leg: LegId, reply: GuestReply) {
        if let Some(known) = self.legs.get(&leg) {
            // A page whose connection is gone offers again, and then hears how things stand.
            let _ = known.replies.try_send(reply);
        }
    }
}

#[cfg(test)]
mod tests;
