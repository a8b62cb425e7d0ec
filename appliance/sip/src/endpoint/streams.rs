//! The caller's reports on connections, and their clocks.

use std::time::Instant;

use bytes::Bytes;

use super::event::Output;
use super::flows::{Flow, FlowDue, OpenFlow, OpenedBy, Waiting};
use super::incoming::Arrival;
use super::keys::ClientKey;
use super::{Endpoint, Failure, ServerKey};
use crate::error::MessageError;
use crate::grammar::{FramingError, Message, StreamItem};
use crate::transport::{FlowId, Path, StreamError, StreamInfo};

/// Two line ends ask for a sign of life; one is the answer (RFC 5626 section 4.4.1).
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

impl Endpoint {
    /// A name for a connection that a peer has opened. Use it once, in `stream_opened`.
    pub fn reserve_flow(&mut self) -> FlowId {
        FlowId(self.next_id())
    }

    /// A connection stands: one that [`Output::OpenStream`] asked for, or a peer's under a reserved
    /// name.
    pub fn stream_opened(&mut self, now: Instant, flow: FlowId, info: StreamInfo) {
        match self.flows.remove(flow) {
            Some(Flow::Opening {
                target, waiting, ..
            }) => {
                let target = Some(&target);
                let open = OpenFlow::new(now, info, OpenedBy::Us, target, &mut self.rng);
                self.flows.insert(flow, open);
                for Waiting {
                    outgoing,
                    remaining,
                } in waiting
                {
                    self.transmit(now, outgoing, Path::Stream(flow), remaining);
                }
            }
            // Told twice: what stands stays.
            Some(Flow::Open(open)) => self.flows.insert(flow, *open),
            None if self.flows.is_full() => {
                self.statistics.overloaded += 1;
                self.output(Output::CloseStream { flow });
            }
            None => {
                let open = OpenFlow::new(now, info, OpenedBy::Peer, None, &mut self.rng);
                self.flows.insert(flow, open);
            }
        }
    }

    /// Bytes have arrived over a connection.
    pub fn stream_received(&mut self, now: Instant, flow: FlowId, bytes: &Bytes) {
        let Some(open) = self.flows.get_open_mut(flow) else {
            return;
        };
        open.heard(now);
        if open.info.transport.is_websocket() {
            return self.websocket_received(now, flow, bytes);
        }
        open.framer.push(bytes);
        // What a message does may close the connection: it is looked up each time.
        while let Some(open) = self.flows.get_open_mut(flow) {
            match open.framer.next_item() {
                Ok(None) => return,
                Ok(Some(StreamItem::Message(message))) => {
                    open.used(now);
                    // A stream's source is proven: no answer is measured by the request.
                    self.message_received(now, Path::Stream(flow), message, usize::MAX);
                }
                Ok(Some(sign @ (StreamItem::Ping | StreamItem::Pong))) => {
                    let is_ping = matches!(sign, StreamItem::Ping);
                    self.keep_alive_received(flow, is_ping);
                }
                Err(FramingError::Message(error)) => self.malformed_on_stream(now, flow, &error),
                Err(FramingError::Lost(error)) => {
                    self.malformed_on_stream(now, flow, &error);
                    return self.close_flow(now, flow);
                }
                Err(FramingError::Closed) => return self.close_flow(now, flow),
            }
        }
    }

    /// Each message of a WebSocket is one of SIP, and needs no Content-Length (RFC 7118 section 5.1). A
    /// server may also keep alive by line ends (section 6).
    fn websocket_received(&mut self, now: Instant, flow: FlowId, bytes: &Bytes) {
        if bytes[..] == *PING || bytes[..] == *PONG {
            if bytes[..] == *PING {
                let bytes = Bytes::from_static(PONG);
                self.output(Output::SendStream { flow, bytes });
            }
            return;
        }
        let path = Path::Stream(flow);
        match Message::parse_datagram(bytes.clone()) {
            Ok(message) => {
                if let Some(open) = self.flows.get_open_mut(flow) {
                    open.used(now);
                }
                self.message_received(now, path, message, usize::MAX);
            }
            Err(error) => self.malformed(now, path, &error, usize::MAX),
        }
    }

    /// The other end of a WebSocket has answered [`Output::PingWebSocket`].
    pub fn websocket_ponged(&mut self, now: Instant, flow: FlowId) {
        if let Some(open) = self.flows.get_open_mut(flow) {
            open.heard(now);
            open.ponged();
        }
    }

    /// Who opened a connection pings, the other answers. So over ours every line end is an answer,
    /// also where two answers in a row look like a ping.
    fn keep_alive_received(&mut self, flow: FlowId, is_ping: bool) {
        let Some(open) = self.flows.get_open_mut(flow) else {
            return;
        };
        match open.opened_by {
            OpenedBy::Us => open.ponged(),
            OpenedBy::Peer if is_ping => {
                self.output(Output::SendStream {
                    flow,
                    bytes: Bytes::from_static(PONG),
                });
            }
            OpenedBy::Peer => {}
        }
    }

    /// A request may offer the connection that it has come by for requests to where it says that its
    /// sender listens (RFC 5923). Nobody offers it for an address of somebody else.
    pub(super) fn note_alias(&mut self, arrival: &Arrival) {
        let (Path::Stream(flow), true) = (arrival.path, arrival.via.is_alias()) else {
            return;
        };
        let Some(open) = self.flows.get_open_mut(flow) else {
            return;
        };
        let host = arrival.via.host();
        let proven =
            host.address() == Some(arrival.remote.ip()) || open.is_verified_for(&host.to_string());
        if proven {
            let default = open.info.transport.default_port();
            open.offered_for(arrival.via.port().unwrap_or(default));
        }
    }

    /// A connection has ended, or could not be made.
    pub fn stream_closed(&mut self, now: Instant, flow: FlowId, why: StreamError) {
        self.flow_failed(now, flow);
        self.flow_lost(now, flow, why);
    }

    pub(crate) fn flow_timeouts(&mut self, now: Instant) {
        if self.flows.deadline().is_none_or(|at| at > now) {
            return;
        }
        let mut used: Vec<FlowId> = Vec::new();
        for flow in self.flows.ids() {
            if self.is_in_use(flow) {
                used.push(flow);
            }
        }
        let in_use = |flow| used.contains(&flow);
        for (flow, due) in self.flows.handle_timeout(now, in_use, &mut self.rng) {
            match due {
                FlowDue::Nothing => {}
                FlowDue::Ping => {
                    let open = self.flows.get_open(flow);
                    let is_websocket = open.is_some_and(|it| it.info.transport.is_websocket());
                    self.output(if is_websocket {
                        Output::PingWebSocket { flow }
                    } else {
                        let bytes = Bytes::from_static(PING);
                        Output::SendStream { flow, bytes }
                    });
                }
                FlowDue::Close => self.close_flow(now, flow),
            }
        }
    }

    /// A request got no answer. A connection over which nothing else came either is dead, though
    /// nobody closed it: what follows must not wait in vain for it again.
    pub(crate) fn close_if_silent(&mut self, now: Instant, path: Path) {
        match path {
            Path::Datagram { .. } => {}
            Path::Stream(flow) => {
                let open = self.flows.get_open(flow);
                if open.is_some_and(|open| open.is_silent(now)) {
                    self.close_flow(now, flow);
                }
            }
        }
    }

    fn close_flow(&mut self, now: Instant, flow: FlowId) {
        self.flow_failed(now, flow);
        self.leave_flow(now, flow);
    }

    /// Gives a connection up through no fault of its other end.
    pub(super) fn leave_flow(&mut self, now: Instant, flow: FlowId) {
        self.output(Output::CloseStream { flow });
        self.flow_lost(now, flow, StreamError::Closed);
    }

    /// Makes a connection that is not there yet from the beginning, for what waits for it.
    pub(super) fn open_anew(&mut self, now: Instant, flow: FlowId) {
        let Some(Flow::Opening {
            target, waiting, ..
        }) = self.flows.remove(flow)
        else {
            return;
        };
        self.output(Output::CloseStream { flow });
        for Waiting {
            outgoing,
            mut remaining,
        } in waiting
        {
            remaining.push_front(target.clone());
            self.launch(now, outgoing, remaining);
        }
    }

    /// A connection could not be made, or has taken a request and given nothing back: its server is
    /// asked last for a while.
    fn flow_failed(&mut self, now: Instant, flow: FlowId) {
        let server = match self.flows.get(flow) {
            Some(Flow::Opening { target, .. }) => (target.transport, target.remote),
            Some(Flow::Open(open)) if self.has_unanswered(flow) => {
                (open.info.transport, open.info.remote)
            }
            Some(Flow::Open(_)) | None => return,
        };
        self.avoided.failed(now, server, None);
    }

    /// Everything that the connection carried is told, or tries another way.
    fn flow_lost(&mut self, now: Instant, flow: FlowId, why: StreamError) {
        match self.flows.remove(flow) {
            Some(Flow::Opening { waiting, .. }) => {
                for Waiting {
                    mut outgoing,
                    remaining,
                } in waiting
                {
                    // It is told even when a later target is not there at all: the owner has to
                    // mend a certificate, not a network.
                    if why == StreamError::Certificate {
                        outgoing.undeliverable = Failure::Certificate;
                    }
                    self.launch(now, outgoing, remaining);
                }
            }
            Some(Flow::Open(_)) => {
                self.registrations_lost_flow(now, flow);
                self.calls_lost_flow(now, flow);
                for key in self.clients_over(flow) {
                    self.client_transport_failed(now, &key);
                }
                for key in self.servers_over(flow) {
                    self.server_transport_failed(&key);
                }
            }
            None => {}
        }
    }

    /// Whether a connection has taken a request and given nothing back.
    fn has_unanswered(&self, flow: FlowId) -> bool {
        self.clients.values().any(|transaction| {
            transaction.path == Path::Stream(flow) && transaction.has_heard_nothing()
        })
    }

    fn clients_over(&self, flow: FlowId) -> Vec<ClientKey> {
        self.clients
            .iter()
            .filter(|(_, transaction)| transaction.path == Path::Stream(flow))
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn servers_over(&self, flow: FlowId) -> Vec<ServerKey> {
        self.servers
            .iter()
            .filter(|(_, transaction)| transaction.path == Path::Stream(flow))
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn malformed_on_stream(&mut self, now: Instant, flow: FlowId, error: &MessageError) {
        self.malformed(now, Path::Stream(flow), error, usize::MAX);
    }
}
