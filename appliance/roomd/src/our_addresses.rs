//! Which addresses of this machine peers are told: those of the sockets, or, where a socket takes what
//! comes to any address, the one that the kernel's routes start from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use sip::endpoint;

use crate::sip_sockets::ListenAddresses;

/// Where peers reach the SIP sockets at the moment.
#[must_use]
pub fn reachable(bound: &ListenAddresses) -> endpoint::ListenAddresses {
    let reachable = |bound: Option<SocketAddr>| bound.map(reachable_addresses).unwrap_or_default();
    endpoint::ListenAddresses {
        udp: reachable(bound.udp),
        tcp: reachable(bound.tcp),
        tls: reachable(bound.tls),
    }
}

/// Where peers are told that we are, after the routes have changed from those by which they were told
/// `before`. An address whose network has no route at the moment stays what it was: nobody is helped by
/// hearing of this machine's loopback.
#[must_use]
pub fn following(
    before: &endpoint::ListenAddresses,
    now: endpoint::ListenAddresses,
) -> endpoint::ListenAddresses {
    let follow = |before: &[SocketAddr], now: Vec<SocketAddr>| {
        let known = |at| before.get(at).copied();
        now.into_iter()
            .enumerate()
            .map(|(at, address)| match known(at) {
                Some(known) if has_lost_its_route(known.ip(), address.ip()) => known,
                Some(_) | None => address,
            })
            .collect()
    };
    endpoint::ListenAddresses {
        udp: follow(&before.udp, now.udp),
        tcp: follow(&before.tcp, now.tcp),
        tls: follow(&before.tls, now.tls),
    }
}

/// Whether there is no way out of this machine at all, where there was one.
#[must_use]
pub fn is_cut_off(before: &endpoint::ListenAddresses, now: &endpoint::ListenAddresses) -> bool {
    let is_inside = |listen: &endpoint::ListenAddresses| {
        let mut all = listen.udp.iter().chain(&listen.tcp).chain(&listen.tls);
        all.all(|address| address.ip().is_loopback())
    };
    is_inside(now) && !is_inside(before)
}

/// Whether an address is told only because the one before has no route any more.
#[must_use]
pub fn has_lost_its_route(before: IpAddr, now: IpAddr) -> bool {
    now.is_loopback() && !before.is_loopback()
}

/// Whether packets to that address arrive at this machine.
#[must_use]
pub fn is_ours(address: IpAddr) -> bool {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => true,
        // Anything else, like too many open files, says nothing about the address.
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
    }
}

/// The address that media sockets are bound to: that of the first listener.
#[must_use]
pub fn media_address(bound: &ListenAddresses) -> IpAddr {
    let listeners = [bound.tls, bound.tcp, bound.udp];
    let first = listeners.into_iter().flatten().next();
    first.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

/// The address of this machine by which `remote` reaches a socket that is bound to `bound`.
///
/// A bound address is that address; for an unspecified one the kernel's routing table tells. No
/// packet is sent for it. A socket that is bound to `::` serves IPv4 too: an IPv4 peer is told an
/// IPv4 address, never its IPv4-mapped form, which means nothing outside of this machine.
#[must_use]
pub fn reachable_address(bound: IpAddr, remote: Option<IpAddr>) -> IpAddr {
    /// TEST-NET-1 (RFC 5737): stands for "anywhere", so that the default route answers.
    const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let bound = bound.to_canonical();
    if !bound.is_unspecified() {
        return bound;
    }
    let remote = remote
        .map(|remote| remote.to_canonical())
        .filter(|remote| remote.is_ipv4() || bound.is_ipv6())
        .unwrap_or(ANYWHERE);
    route_to(remote).unwrap_or(match remote {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    })
}

/// The address of this machine that the kernel's route to `remote` starts from.
fn route_to(remote: IpAddr) -> io::Result<IpAddr> {
    let any = match remote {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let probe = UdpSocket::bind((any, 0))?;
    probe.connect((remote, 9))?;
    Ok(probe.local_addr()?.ip())
}

/// The addresses by which a listening socket is reached, one for each family that it serves.
fn reachable_addresses(bound: SocketAddr) -> Vec<SocketAddr> {
    /// The documentation prefix (RFC 3849): stands for "anywhere" as TEST-NET-1 does.
    const ANYWHERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    let mut addresses = vec![reachable_address(bound.ip(), None)];
    if bound.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        addresses.push(reachable_address(bound.ip(), Some(ANYWHERE_V6)));
    }
    addresses
        .into_iter()
        .map(|address| SocketAddr::new(address, bound.port()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_peer_is_told_an_address_of_its_own_family() {
        for (bound, remote, reachable) in [
            ("::", "127.0.0.1", "127.0.0.1"),
            ("::", "::ffff:127.0.0.1", "127.0.0.1"),
            ("::", "::1", "::1"),
            ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
            ("::1", "127.0.0.1", "::1"),
            ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(
                reachable_address(ip(bound), Some(ip(remote))),
                ip(reachable),
                "{bound} for {remote}"
            );
        }
    }

    fn listening(udp: &[&str]) -> endpoint::ListenAddresses {
        endpoint::ListenAddresses {
            udp: udp
                .iter()
                .map(|address| address.parse().expect("an address"))
                .collect(),
            ..endpoint::ListenAddresses::default()
        }
    }

    #[test]
    fn what_has_no_route_for_a_while_is_told_as_before() {
        const OLD: &str = "192.0.2.7:5060";
        const NEW: &str = "198.51.100.7:5060";
        const INSIDE: &str = "127.0.0.1:5060";
        const OLD_V6: &str = "[2001:db8::7]:5060";
        const INSIDE_V6: &str = "[::1]:5060";
        for (before, now, told, cut_off) in [
            (&[OLD][..], &[NEW][..], &[NEW][..], false),
            (&[OLD], &[INSIDE], &[OLD], true),
            (&[INSIDE], &[NEW], &[NEW], false),
            (&[INSIDE], &[INSIDE], &[INSIDE], false),
            // One family may have none for good, and the other moves all the same.
            (&[OLD, OLD_V6], &[NEW, INSIDE_V6], &[NEW, OLD_V6], false),
            (
                &[OLD, INSIDE_V6],
                &[NEW, INSIDE_V6],
                &[NEW, INSIDE_V6],
                false,
            ),
            (&[OLD, OLD_V6], &[INSIDE, INSIDE_V6], &[OLD, OLD_V6], true),
        ] {
            let (before, now) = (listening(before), listening(now));
            assert_eq!(is_cut_off(&before, &now), cut_off, "{before:?} {now:?}");
            let case = format!("{before:?} {now:?}");
            assert_eq!(following(&before, now), listening(told), "{case}");
        }
    }

    #[test]
    fn only_an_address_that_this_machine_has_is_ours() {
        assert!(is_ours(ip("127.0.0.1")));
        assert!(is_ours(ip("127.0.0.7")), "all of loopback");
        // TEST-NET-3 (RFC 5737) and the documentation prefix belong to nobody.
        assert!(!is_ours(ip("203.0.113.7")));
        assert!(!is_ours(ip("2001:db8::7")));
    }

    #[test]
    fn a_socket_of_both_families_is_listed_once_for_each() {
        let families = |bound: &str| -> Vec<bool> {
            let bound = SocketAddr::new(ip(bound), 5060);
            let listed = reachable_addresses(bound);
            assert!(listed.iter().all(|address| address.port() == 5060));
            listed.iter().map(SocketAddr::is_ipv4).collect()
        };
        assert_eq!(families("::"), [true, false]);
        assert_eq!(families("0.0.0.0"), [true]);
        assert_eq!(families("::1"), [false]);
    }
}
