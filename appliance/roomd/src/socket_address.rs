//! Addresses of peers as sockets of both IP versions have them, and as everybody else does.
//!
//! A socket that is bound to `::` names its IPv4 peers in IPv4-mapped form (RFC 4291 section 2.5.5.2), and
//! sends to no other. That form stays with the socket: addresses are compared and written into messages
//! as what they are.

use std::net::{IpAddr, SocketAddr};

/// IPv4 as IPv4.
#[must_use]
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A peer's address in the form in which a socket that is bound to `local` sends to it.
#[must_use]
pub(crate) fn as_sent_from(local: SocketAddr, remote: SocketAddr) -> SocketAddr {
    match remote.ip() {
        IpAddr::V4(ip) if local.is_ipv6() => SocketAddr::from((ip.to_ipv6_mapped(), remote.port())),
        IpAddr::V4(_) | IpAddr::V6(_) => remote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_is_mapped_for_a_socket_of_both_versions_and_for_nobody_else() {
        const IPV4: &str = "192.0.2.7:5004";
        const MAPPED: &str = "[::ffff:192.0.2.7]:5004";
        const IPV6: &str = "[2001:db8::7]:5004";
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        for (local, remote, sent_to) in [
            ("[::]:5060", IPV4, MAPPED),
            ("[::]:5060", IPV6, IPV6),
            ("0.0.0.0:5060", IPV4, IPV4),
            ("[::1]:5060", IPV6, IPV6),
        ] {
            let form = as_sent_from(address(local), address(remote));
            assert_eq!(form, address(sent_to), "{local} {remote}");
        }
        for (seen, is) in [(MAPPED, IPV4), (IPV4, IPV4), (IPV6, IPV6)] {
            assert_eq!(canonical(address(seen)), address(is));
        }
    }
}
