//! At which address a server sees this machine (STUN, RFC 8489), and whether that is the configured one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use api::reachability::FindingCode;
use sip::stun::{Class, StunMessage, TransactionId, binding_request};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::is_private;
use crate::randomness::random_bytes;

/// How often a server is asked, and how long each time it may take.
const TRIES: usize = 5;
const ANSWER: Duration = Duration::from_millis(300);

/// A socket of ours, and how a server sees it.
#[derive(Debug)]
pub(super) struct SeenSocket {
    pub(super) socket: UdpSocket,
    /// Its address here.
    pub(super) local: IpAddr,
    /// Its address there.
    pub(super) seen: SocketAddr,
}

impl SeenSocket {
    /// Asks a server by UDP.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn ask(server: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let way = UdpSocket::bind((any, 0)).await?;
        way.connect(server).await?;
        let local = way.local_addr()?.ip();
        // One that is not connected: it is to send elsewhere, too.
        let socket = UdpSocket::bind((any, 0)).await?;
        let id: [u8; 32] = random_bytes().map_err(io::Error::other)?;
        let id = TransactionId(*id.first_chunk().expect("it has more"));
        for _ in 0..TRIES {
            socket.send_to(&binding_request(id), server).await?;
            if let Ok(seen) = timeout(ANSWER, answer(&socket, server, id)).await {
                let seen = seen?;
                return Ok(Self {
                    socket,
                    local,
                    seen,
                });
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

async fn answer(
    socket: &UdpSocket,
    server: SocketAddr,
    id: TransactionId,
) -> io::Result<SocketAddr> {
    let mut buffer = [0; 1_280];
    loop {
        let (length, source) = socket.recv_from(&mut buffer).await?;
        if let Some(seen) = mapped_address(&buffer[..length], id).filter(|_| source == server) {
            return Ok(seen);
        }
    }
}

/// The address in the answer to the request with that number; `None` for any other datagram.
fn mapped_address(datagram: &[u8], id: TransactionId) -> Option<SocketAddr> {
    let message = StunMessage::parse(datagram).ok()?;
    let is_answer = message.class() == Class::Success
        && message.is_binding()
        && message.transaction() == id
        && message.unknown_attribute().is_none();
    message.mapped_address().filter(|_| is_answer)
}

/// What it means that a server sees this machine, whose address is `local`, at `seen`. A server on a private network
/// says nothing of how others see it.
pub(super) fn meaning(local: IpAddr, seen: IpAddr, configured: &[IpAddr]) -> Option<FindingCode> {
    let is_same_version = |address: &&IpAddr| address.is_ipv4() == seen.is_ipv4();
    match configured.iter().find(is_same_version) {
        Some(public) if *public == seen => Some(FindingCode::PublicAddressRight),
        Some(_) if is_private(seen) => None,
        Some(_) => Some(FindingCode::PublicAddressWrong),
        None if local == seen && is_private(seen) => None,
        None if local == seen => Some(FindingCode::NoAddressTranslation),
        None if is_private(seen) => None,
        None => Some(FindingCode::PublicAddressNotSet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sees_is_compared_with_what_is_configured() {
        const PUBLIC: &str = "203.0.113.7";
        for (local, seen, configured, expected) in [
            (
                "10.0.0.7",
                PUBLIC,
                &[PUBLIC][..],
                Some(FindingCode::PublicAddressRight),
            ),
            (
                "10.0.0.7",
                "203.0.113.8",
                &["2001:db8::1", PUBLIC],
                Some(FindingCode::PublicAddressWrong),
            ),
            (
                "10.0.0.7",
                PUBLIC,
                &["2001:db8::1"],
                Some(FindingCode::PublicAddressNotSet),
            ),
            (PUBLIC, PUBLIC, &[], Some(FindingCode::NoAddressTranslation)),
            // The server is near.
            ("10.0.0.7", "10.0.0.7", &[], None),
            ("10.0.0.7", "10.0.0.7", &[PUBLIC], None),
            ("10.0.0.7", "192.168.1.1", &[], None),
        ] {
            let address = |text: &str| -> IpAddr { text.parse().unwrap() };
            let configured: Vec<_> = configured.iter().map(|text| address(text)).collect();
            let found = meaning(address(local), address(seen), &configured);
            assert_eq!(found, expected, "{local} {seen} {configured:?}");
        }
    }

    #[tokio::test]
    async fn a_server_is_asked_until_it_answers_and_others_are_not_heard() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let answering = async {
            let mut request = [0; 64];
            // The first one is lost.
            server.recv_from(&mut request).await.unwrap();
            let (length, from) = server.recv_from(&mut request).await.unwrap();
            assert_eq!(length, 20);
            // RFC 5769's answer, with the number of the request: the address does not depend on that by IPv4.
            let mut answer = b"\x01\x01\x00\x0c".to_vec();
            answer.extend_from_slice(&request[4..20]);
            answer.extend_from_slice(b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43");
            stranger.send_to(&answer, from).await.unwrap();
            server.send_to(b"nonsense", from).await.unwrap();
            server.send_to(&answer, from).await.unwrap();
        };
        let (seen, ()) = tokio::join!(SeenSocket::ask(address), answering);
        let seen = seen.unwrap();
        assert_eq!(seen.seen, "192.0.2.1:32853".parse().unwrap());
        assert_eq!(seen.local, address.ip());
    }
}
