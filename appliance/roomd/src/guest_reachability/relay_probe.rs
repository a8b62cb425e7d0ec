//! One address at a TURN server, which is asked for, tried and given back.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{interval, sleep_until, timeout};
use webrtc::{Relay, RelayCredentials, RelayEnd, RelayOutput};

use super::seen_address::SeenSocket;
use crate::turn_connection::{Connection, TurnConnectionError};

/// What is read together, the largest UDP payload.
const READ_BYTES: usize = 65_535;
/// Between two datagrams of a try: the first ones may be lost.
const TRY_INTERVAL: Duration = Duration::from_millis(200);

/// Why a probe is over before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error("{0}")]
    Connection(#[from] TurnConnectionError),
    #[error("the connection has failed: {0}")]
    Broken(#[from] io::Error),
    #[error("{0}")]
    Relay(RelayEnd),
}

/// What happens on it.
#[derive(Debug)]
enum ProbeEvent {
    Allocated(SocketAddr),
    Received(Bytes),
}

/// An address at a server, on its connection.
pub(super) struct RelayProbe {
    connection: Connection,
    relay: Relay,
    buffer: Vec<u8>,
}

impl RelayProbe {
    /// Asks for an address.
    pub(super) fn new(connection: Connection, credentials: &RelayCredentials) -> Self {
        let relay = Relay::new(
            Instant::now(),
            connection.protocol(),
            connection.local,
            connection.server,
            credentials,
        );
        Self {
            connection,
            relay,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Waits for the address.
    ///
    /// # Errors
    /// There will be none.
    pub(super) async fn allocated(&mut self) -> Result<SocketAddr, ProbeError> {
        loop {
            if let ProbeEvent::Allocated(address) = self.next().await? {
                return Ok(address);
            }
        }
    }

    /// Sends a word to the address until it comes: from a socket of ours that the server sees, or by the relay itself.
    ///
    /// # Errors
    /// The address is gone.
    pub(super) async fn hears(
        &mut self,
        address: SocketAddr,
        word: &[u8],
        from: Option<&SeenSocket>,
    ) -> Result<(), ProbeError> {
        let mut ticks = interval(TRY_INTERVAL);
        loop {
            tokio::select! {
                event = self.next() => {
                    if let ProbeEvent::Received(payload) = event?
                        && payload == word
                    {
                        return Ok(());
                    }
                }
                _ = ticks.tick() => {
                    // The server lets nobody in whom nothing was sent to.
                    let peer = from.map_or(address, |from| from.seen);
                    self.relay.send(Instant::now(), peer, word);
                    if let Some(from) = from {
                        // What does not leave does not come, which is what is looked for.
                        let _ = from.socket.try_send_to(word, address);
                    }
                }
            }
        }
    }

    /// Waits for something to happen. May be dropped and called again: nothing is lost.
    async fn next(&mut self) -> Result<ProbeEvent, ProbeError> {
        loop {
            while let Some(output) = self.relay.poll_output() {
                match output {
                    RelayOutput::Transmit(message) => self.connection.send(&message)?,
                    RelayOutput::Received { payload, .. } => {
                        return Ok(ProbeEvent::Received(payload));
                    }
                    RelayOutput::Allocated(address) => return Ok(ProbeEvent::Allocated(address)),
                    RelayOutput::Closed(end) => return Err(ProbeError::Relay(end)),
                }
            }
            let now = Instant::now();
            let due = self.relay.next_deadline().unwrap_or(now);
            tokio::select! {
                received = self.connection.receive(&mut self.buffer) => {
                    let length = received?;
                    self.relay.receive(Instant::now(), &self.buffer[..length]);
                }
                () = sleep_until(due.into()) => self.relay.handle_timeout(Instant::now()),
            }
        }
    }

    /// Gives the address back, and waits until the server can know.
    pub(super) async fn finish(mut self) {
        self.give_back();
        // A server notices by itself what does not reach it.
        let _ = timeout(TRY_INTERVAL, self.connection.finish()).await;
    }

    fn give_back(&mut self) {
        self.relay.close(Instant::now());
        while let Some(output) = self.relay.poll_output() {
            if let RelayOutput::Transmit(message) = output {
                let _ = self.connection.send(&message);
            }
        }
    }
}

impl Drop for RelayProbe {
    /// One that is cut short gives its address back too, if it has one, which would be kept for ten minutes. By a stream, the end of
    /// that is enough (RFC 8656 section 7.4).
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use config::TurnUrl;
    use tokio::net::UdpSocket;
    use turn_client_proto::api::Transmit;
    use turn_client_proto::stun::Instant as ServerInstant;
    use turn_client_proto::types::stun::TransportType;
    use turn_client_proto::types::transmit::DelayedTransmitBuild;
    use turn_server_proto::api::{TurnServerApi, TurnServerPollRet};
    use turn_server_proto::server::TurnServer;

    use super::*;
    use crate::sip_sockets::TlsTrust;
    use crate::turn_servers::{TurnServers, TurnWay};

    /// Carries the server for as long as it is polled.
    async fn serve(socket: &UdpSocket, server: &mut TurnServer) {
        let own = socket.local_addr().unwrap();
        let mut buffer = [0; 2_048];
        let now = ServerInstant::from_nanos(0);
        loop {
            let (length, source) = socket.recv_from(&mut buffer).await.unwrap();
            let bytes = buffer[..length].to_vec();
            let message = Transmit::new(bytes, TransportType::Udp, source, own);
            if let Some(reply) = server.recv(message, now) {
                socket.send_to(&reply.data.build(), reply.to).await.unwrap();
            }
            if let TurnServerPollRet::AllocateSocket {
                transport,
                listen_addr,
                client_addr,
                allocation_transport,
                family,
            } = server.poll(now)
            {
                let relayed = Ok("192.0.2.9:40000".parse().unwrap());
                server.allocated_socket(
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                    relayed,
                    now,
                );
            }
            while let Some(message) = server.poll_transmit(now) {
                socket.send_to(&message.data, message.to).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_probe_that_is_cut_short_gives_its_address_back() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let own = socket.local_addr().unwrap();
        let mut server = TurnServer::new(TransportType::Udp, own, "example.com".to_owned());
        server.add_user("room".to_owned(), "secret".to_owned());
        let url = TurnUrl::new(&format!("turn:{own}?transport=udp")).unwrap();
        let servers = TurnServers::new(&[], None, &TlsTrust::default()).unwrap();
        let connection = Connection::open(&servers, &TurnWay::of(&url)).await;
        let credentials = RelayCredentials {
            username: "room".to_owned(),
            password: "secret".to_owned(),
        };
        let mut probe = RelayProbe::new(connection.unwrap(), &credentials);
        let limit = Duration::from_secs(5);
        tokio::select! {
            allocated = timeout(limit, probe.allocated()) => { allocated.unwrap().unwrap(); }
            () = serve(&socket, &mut server) => {}
        }
        drop(probe);
        // A refresh (RFC 8656 section 7.1) that asks for no time at all.
        let mut buffer = [0; 2_048];
        let received = timeout(limit, socket.recv_from(&mut buffer)).await;
        let (length, _) = received.unwrap().unwrap();
        assert_eq!(buffer[..2], [0x00, 0x04]);
        let no_time = [0x00, 0x0d, 0, 4, 0, 0, 0, 0];
        let mut attributes = buffer[20..length].windows(no_time.len());
        assert!(attributes.any(|attribute| attribute == no_time));
    }
}
