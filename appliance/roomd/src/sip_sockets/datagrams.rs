//! SIP over UDP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::SocketEvent;
use crate::error::Error;

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
        if let Err(error) = self.socket.try_send_to(payload, remote) {
            tracing::debug!(%remote, %error, "SIP datagram not sent");
        }
    }

    /// Reports datagrams until the driver is gone.
    pub(super) fn receive(
        &self,
        events: mpsc::Sender<SocketEvent>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let socket = Arc::clone(&self.socket);
        let local = self.local;
        async move {
            let mut buffer = vec![0; LARGEST_DATAGRAM];
            loop {
                let (length, remote) = match socket.recv_from(&mut buffer).await {
                    Ok(received) => received,
                    // An ICMP "port unreachable" of an earlier send ends up here: harmless.
                    Err(error) => {
                        tracing::debug!(%local, %error, "SIP socket reported an error");
                        continue;
                    }
                };
                let payload = Bytes::copy_from_slice(&buffer[..length]);
                let event = SocketEvent::Datagram {
                    local,
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
