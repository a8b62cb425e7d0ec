//! SIP over UDP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::SocketEvent;
use crate::error::Error;
use crate::our_addresses::reachable_address;
use crate::socket_address::{as_sent_from, canonical};

/// The largest UDP payload.
const LARGEST_DATAGRAM: usize = 65_535;

/// A bound UDP socket, shared by its receiving task and the driver's sends.
pub(super) struct UdpPort {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
}

impl UdpPort {
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen {
            protocol: "UDP",
            address,
            source,
        };
        let socket = UdpSocket::bind(address).await.map_err(listen)?;
        let local = socket.local_addr().map_err(listen)?;
        Ok(Self {
            socket: Arc::new(socket),
            local,
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn send(&self, remote: SocketAddr, payload: &[u8]) {
        let target = as_sent_from(self.local, remote);
        if let Err(error) = self.socket.try_send_to(payload, target) {
            tracing::debug!(%remote, %error, "SIP datagram not sent");
        }
    }

    /// Reports datagrams until the driver is gone.
    pub(super) fn receive(
        &self,
        events: mpsc::Sender<SocketEvent>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let socket = Arc::clone(&self.socket);
        let bound = self.local;
        async move {
            let mut buffer = vec![0; LARGEST_DATAGRAM];
            loop {
                let (length, remote) = match socket.recv_from(&mut buffer).await {
                    Ok((length, remote)) => (length, canonical(remote)),
                    // An ICMP "port unreachable" of an earlier send ends up here: harmless.
                    Err(error) => {
                        tracing::debug!(%bound, %error, "SIP socket reported an error");
                        continue;
                    }
                };
                let payload = Bytes::copy_from_slice(&buffer[..length]);
                let local = reachable_address(bound.ip(), Some(remote.ip()));
                let event = SocketEvent::Datagram {
                    local: SocketAddr::new(local, bound.port()),
                    remote,
                    payload,
                };
                if events.send(event).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_socket_of_both_families_talks_to_an_ipv4_peer_by_ipv4_addresses() {
        let port = UdpPort::bind("[::]:0".parse().expect("an address"))
            .await
            .expect("a free port");
        let (events, mut reported) = mpsc::channel(4);
        let receiving = tokio::spawn(port.receive(events));
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let peer_address = peer.local_addr().expect("it is bound");
        let ours = SocketAddr::from((Ipv4Addr::LOCALHOST, port.local().port()));

        peer.send_to(b"ask", ours).await.expect("sent");
        let Some(SocketEvent::Datagram { local, remote, .. }) = reported.recv().await else {
            panic!("a datagram was sent");
        };
        assert_eq!((local, remote), (ours, peer_address));

        port.send(remote, b"answer");
        let mut answer = [0; 16];
        let received = tokio::time::timeout(Duration::from_secs(10), peer.recv_from(&mut answer));
        let (length, from) = received.await.expect("in time").expect("received");
        assert_eq!((&answer[..length], from), (b"answer".as_slice(), ours));
        receiving.abort();
    }
}
