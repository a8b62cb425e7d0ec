//! The streams of one room: what the endpoint calls a flow, the network calls a stream.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use netem::{Network, StreamId};
use sip::transport::{FlowId, StreamInfo, Transport};

/// The first port of connections that a room opens.
const FIRST_OUTGOING_PORT: u16 = 40_000;

/// A stream of ours in the network.
#[derive(Clone, Copy, Debug)]
struct End {
    stream: StreamId,
    local: SocketAddr,
}

/// One that we asked for.
#[derive(Debug)]
struct Opening {
    end: End,
    transport: Transport,
    server_name: String,
}

/// One room's streams, by the endpoint's names.
#[derive(Debug)]
pub(crate) struct Connections {
    address: IpAddr,
    opened: u16,
    opening: BTreeMap<FlowId, Opening>,
    open: BTreeMap<FlowId, End>,
}

impl Connections {
    /// None yet; all have this address at our end.
    pub(crate) const fn new(address: IpAddr) -> Self {
        Self {
            address,
            opened: 0,
            opening: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// Begins to connect.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        network: &mut Network,
        flow: FlowId,
        transport: Transport,
        remote: SocketAddr,
        server_name: String,
    ) {
        let local = SocketAddr::new(self.address, FIRST_OUTGOING_PORT + self.opened);
        self.opened += 1;
        let stream = network.open_stream(now, local, remote);
        let end = End { stream, local };
        self.opening.insert(
            flow,
            Opening {
                end,
                transport,
                server_name,
            },
        );
    }

    /// One that we asked for is open. `None` when we have given it up.
    pub(crate) fn opened(
        &mut self,
        stream: StreamId,
        remote: SocketAddr,
    ) -> Option<(FlowId, StreamInfo)> {
        let flow = self.opening_flow(stream)?;
        let Opening {
            end,
            transport,
            server_name,
        } = self.opening.remove(&flow)?;
        self.open.insert(flow, end);
        let mut info = StreamInfo::new(transport, end.local, remote);
        if transport == Transport::Tls {
            info.verified_names.push(server_name);
        }
        Some((flow, info))
    }

    /// One that we asked for could not be made. `None` when we have given it up.
    pub(crate) fn refused(&mut self, stream: StreamId) -> Option<FlowId> {
        let flow = self.opening_flow(stream)?;
        self.opening.remove(&flow);
        Some(flow)
    }

    /// Takes a peer's connection under the endpoint's name for it.
    pub(crate) fn accepted(&mut self, flow: FlowId, stream: StreamId, local: SocketAddr) {
        self.open.insert(flow, End { stream, local });
    }

    /// Writes. Bytes for a connection that is gone are lost.
    pub(crate) fn send(&self, now: Instant, network: &mut Network, flow: FlowId, bytes: Bytes) {
        if let Some(end) = self.open.get(&flow) {
            network.stream_send(now, end.stream, end.local, bytes);
        }
    }

    /// Closes a connection, or gives one up that is not open yet.
    pub(crate) fn close(&mut self, now: Instant, network: &mut Network, flow: FlowId) {
        let opening = self.opening.remove(&flow).map(|opening| opening.end);
        if let Some(end) = opening.or_else(|| self.open.remove(&flow)) {
            network.close_stream(now, end.stream, end.local);
        }
    }

    /// The other end has closed it.
    pub(crate) fn closed(&mut self, stream: StreamId) -> Option<FlowId> {
        let flow = self.flow(stream)?;
        self.open.remove(&flow);
        Some(flow)
    }

    /// The name of an open connection.
    pub(crate) fn flow(&self, stream: StreamId) -> Option<FlowId> {
        self.open
            .iter()
            .find(|(_, end)| end.stream == stream)
            .map(|(flow, _)| *flow)
    }

    fn opening_flow(&self, stream: StreamId) -> Option<FlowId> {
        let is_it = |opening: &Opening| opening.end.stream == stream;
        self.opening
            .iter()
            .find(|(_, opening)| is_it(opening))
            .map(|(flow, _)| *flow)
    }
}
