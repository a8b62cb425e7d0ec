//! The SIP endpoint with its sockets: bytes in and out, names resolved, calls named by leg.
//!
//! Owned by the driver, which calls [`Signalling::flush`] after everything that it hands in.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use room::ids::LegId;
use sip::endpoint::{CallId, Endpoint, Event, Output, ResolveId};
use sip::transport::{FlowId, StreamError};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::server_location::{ServerLocator, Sought};
use crate::sip_ladders::{LadderQuestion, SipLadders};
use crate::sip_sockets::{ListenAddresses, SipSockets, SocketEvent};

/// The answer to a name look-up; empty when the name is not known.
#[derive(Debug)]
pub struct Resolution {
    id: ResolveId,
    addresses: Vec<SocketAddr>,
}

/// What is to be done to the floor control of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FloorOrder {
    /// Send this to the far end: a datagram, or bytes over the connection.
    Send(Bytes),
    /// Close the connection, after what is to be sent over it.
    Close,
}

/// The SIP side of the driver.
pub struct Signalling {
    /// The protocol machine; [`Self::flush`] must follow each call of it.
    pub endpoint: Endpoint,
    sockets: SipSockets,
    calls: HashMap<LegId, CallId>,
    legs: HashMap<CallId, LegId>,
    ladders: SipLadders,
    events: VecDeque<Event>,
    /// What is to be done to the floor control of legs.
    floor_control: VecDeque<(LegId, FloorOrder)>,
    locator: ServerLocator,
    /// Name look-ups under way.
    resolving: JoinSet<Resolution>,
}

impl Signalling {
    /// Joins an endpoint and its sockets.
    #[must_use]
    pub fn new(endpoint: Endpoint, sockets: SipSockets) -> Self {
        Self {
            endpoint,
            sockets,
            calls: HashMap::new(),
            legs: HashMap::new(),
            ladders: SipLadders::default(),
            events: VecDeque::new(),
            floor_control: VecDeque::new(),
            locator: ServerLocator::of_system(),
            resolving: JoinSet::new(),
        }
    }

    /// The addresses that the SIP sockets are bound to.
    #[must_use]
    pub fn bound(&self) -> &ListenAddresses {
        self.sockets.bound()
    }

    /// Whether no peer owes us anything: no call, and no answer.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let counts = self.endpoint.counts();
        counts.calls == 0 && counts.unanswered_requests == 0
    }

    /// The call of a leg.
    #[must_use]
    pub fn call(&self, leg: LegId) -> Option<CallId> {
        self.calls.get(&leg).copied()
    }

    /// The leg of a call.
    #[must_use]
    pub fn leg(&self, call: CallId) -> Option<LegId> {
        self.legs.get(&call).copied()
    }

    /// Gives a call the name of its leg.
    pub fn bind(&mut self, leg: LegId, call: CallId) {
        self.calls.insert(leg, call);
        self.legs.insert(call, leg);
        self.ladders.remember(leg, call);
    }

    /// Answers a question for the SIP messages of a leg.
    pub fn show_ladder(&self, question: LadderQuestion) {
        self.ladders.answer(&self.endpoint, question);
    }

    /// Forgets a call that has ended.
    pub fn unbind(&mut self, call: CallId) -> Option<LegId> {
        let leg = self.legs.remove(&call)?;
        self.calls.remove(&leg);
        Some(leg)
    }

    /// Takes in what a socket saw.
    pub fn take_in(&mut self, now: Instant, event: SocketEvent) {
        match event {
            SocketEvent::Datagram {
                local,
                remote,
                payload,
            } => {
                self.endpoint.datagram_received(now, local, remote, payload);
            }
            SocketEvent::Accepted(accepted) => {
                let flow = self.endpoint.reserve_flow();
                let info = accepted.info.clone();
                self.sockets.adopt(flow, accepted);
                self.endpoint.stream_opened(now, flow, info);
            }
            SocketEvent::Opened { flow, info } => self.endpoint.stream_opened(now, flow, info),
            SocketEvent::Received { flow, payload } => {
                self.endpoint.stream_received(now, flow, &payload);
            }
            SocketEvent::Ponged { flow } => self.endpoint.websocket_ponged(now, flow),
            SocketEvent::Closed { flow, error } => {
                self.sockets.forget(flow);
                self.endpoint.stream_closed(now, flow, error);
            }
        }
    }

    /// Waits for the answer to a look-up, which the driver hands to [`Self::resolved`]. May be
    /// dropped and called again: no answer is lost.
    ///
    /// # Errors
    /// [`Error::PartEnded`] when a look-up or a socket's task ended that must not.
    pub async fn resolution(&mut self) -> Result<Resolution, Error> {
        tokio::select! {
            () = self.sockets.unexpected_end() => Err(Error::PartEnded { part: "SIP sockets" }),
            Some(resolution) = self.resolving.join_next() => {
                resolution.map_err(|_| Error::PartEnded { part: "resolver" })
            }
        }
    }

    /// Takes in the answer to a look-up.
    pub fn resolved(&mut self, now: Instant, resolution: Resolution) {
        let Resolution { id, addresses } = resolution;
        self.endpoint.resolved(now, id, &addresses);
    }

    /// Carries out what the endpoint wants, and collects its events.
    pub fn flush(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::SendDatagram { remote, bytes, .. } => {
                    self.sockets.send_datagram(remote, &bytes);
                }
                Output::OpenStream {
                    flow,
                    transport,
                    remote,
                    server_name,
                    identity,
                    websocket_path,
                } => {
                    let identity = identity.as_ref();
                    let path = websocket_path;
                    self.sockets
                        .open(flow, transport, remote, server_name, identity, path);
                }
                Output::PingWebSocket { flow } => {
                    let result = self.sockets.ping_websocket(flow);
                    self.cut_off_if_failed(now, flow, result);
                }
                Output::SendStream { flow, bytes } => {
                    let result = self.sockets.send_stream(flow, bytes);
                    self.cut_off_if_failed(now, flow, result);
                }
                Output::CloseStream { flow } => self.sockets.close(flow),
                Output::SendFloorControl { call, bytes } => {
                    self.order_floor_control(call, FloorOrder::Send(bytes));
                }
                Output::CloseFloorControl { call } => {
                    self.order_floor_control(call, FloorOrder::Close);
                }
                Output::Resolve {
                    id,
                    host,
                    port,
                    transport,
                    transport_from,
                } => {
                    let sought = Sought {
                        host,
                        port,
                        transport,
                        transport_from,
                    };
                    self.resolve(id, sought);
                }
                Output::Event(event) => self.events.push_back(event),
            }
        }
    }

    fn cut_off_if_failed(&mut self, now: Instant, flow: FlowId, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::info!(%flow, %error, "SIP connection cut off");
            self.endpoint.stream_closed(now, flow, StreamError::Broken);
        }
    }

    fn order_floor_control(&mut self, call: CallId, order: FloorOrder) {
        let leg = self.leg(call);
        self.floor_control.extend(leg.map(|leg| (leg, order)));
    }

    /// What is to be done next to the floor control of a leg.
    pub fn poll_floor_control(&mut self) -> Option<(LegId, FloorOrder)> {
        self.floor_control.pop_front()
    }

    /// The next event of the endpoint.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn resolve(&mut self, id: ResolveId, sought: Sought) {
        // Bounded by the locator's own time-outs and by the look-ups that the endpoint allows.
        let locator = self.locator.clone();
        self.resolving.spawn(async move {
            let addresses = locator.locate(&sought).await;
            Resolution { id, addresses }
        });
    }
}
