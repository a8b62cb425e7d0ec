//! Which addresses of this machine peers are told: those of the sockets, or, where a socket takes what
//! comes to any address, the one that the kernel's routes start from.
//!
//! Where nobody knows yet whom it is for, it is one that leads out, by IPv4 rather than by IPv6 where
//! both do; the SIP endpoint names another once it knows the way of a call. Media comes to sockets of
//! both IP versions, unless a listening address says otherwise.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use sip::endpoint::{self, MediaReach};

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

/// The address that media sockets are bound to: that of the first listener; in a room that nobody
/// connects to any, of both IP versions where this machine has them.
#[must_use]
pub fn media_address(bound: &ListenAddresses) -> IpAddr {
    let listeners = [bound.tls, bound.tcp, bound.udp];
    let first = listeners.into_iter().flatten().next();
    match first {
        Some(listener) => listener.ip(),
        None if serves_both_versions() => Ipv6Addr::UNSPECIFIED.into(),
        None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Which IP versions media sockets serve that are bound to `bound`.
#[must_use]
pub fn media_reach(bound: IpAddr) -> MediaReach {
    match bound.to_canonical() {
        IpAddr::V6(bound) if bound.is_unspecified() => MediaReach::Both,
        IpAddr::V4(_) => MediaReach::Ipv4,
        IpAddr::V6(_) => MediaReach::Ipv6,
    }
}

/// Whether a socket that is bound to `::` carries IPv4 as well: the kernel may be without IPv6, or keep
/// the two apart (`net.ipv6.bindv6only`).
fn serves_both_versions() -> bool {
    let probe = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0));
    // No packet is sent for it.
    probe.is_ok_and(|probe| {
        probe
            .connect((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 9))
            .is_ok()
    })
}

/// The address of this machine by which `remote` reaches a socket that is bound to `bound`.
///
/// A bound address is that address; for an unspecified one the kernel's routing table tells. No
/// packet is sent for it. A socket that is bound to `::` serves IPv4 too: an IPv4 peer is told an
/// IPv4 address, never its IPv4-mapped form, which means nothing outside of this machine. Without a
/// `remote`, it is an address of an IP version by which there is a way out.
#[must_use]
pub fn reachable_address(bound: IpAddr, remote: Option<IpAddr>) -> IpAddr {
    reached_by(&Kernel, bound, remote)
}

/// As [`reachable_address`], for a peer that is told for the first time: where no route leads to it, an
/// address that this machine has, as on a network without a router.
#[must_use]
pub fn address_to_name(bound: IpAddr, remote: Option<IpAddr>) -> IpAddr {
    named_by(&Kernel, bound, remote)
}

/// Stands for any peer of the IP version of an address, so that the default route answers.
#[must_use]
pub fn anywhere_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => ANYWHERE,
        IpAddr::V6(_) => ANYWHERE_V6,
    }
}

/// Whether this machine has a way to an address.
#[must_use]
pub fn has_route_to(remote: IpAddr) -> bool {
    Kernel.route_to(remote).is_some()
}

/// The addresses that others on its networks reach this machine at.
#[must_use]
pub fn own_addresses() -> Vec<IpAddr> {
    Kernel.own_addresses()
}

/// TEST-NET-1 (RFC 5737): stands for "anywhere", so that the default route answers.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// The documentation prefix (RFC 3849): stands for "anywhere" as TEST-NET-1 does.
const ANYWHERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// What a machine knows of its own addresses.
trait Machine {
    /// The address that its route to `remote` starts from.
    fn route_to(&self, remote: IpAddr) -> Option<IpAddr>;
    /// The addresses that others on its networks reach it at.
    fn own_addresses(&self) -> Vec<IpAddr>;
}

/// This machine.
struct Kernel;

impl Machine for Kernel {
    fn route_to(&self, remote: IpAddr) -> Option<IpAddr> {
        let any = match remote {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let probe = UdpSocket::bind((any, 0)).ok()?;
        probe.connect((remote, 9)).ok()?;
        Some(probe.local_addr().ok()?.ip())
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let ipv4 = own_ipv4(&read("/proc/net/fib_trie"));
        let ipv6 = own_ipv6(&read("/proc/net/if_inet6"));
        let ipv4 = ipv4.into_iter().map(IpAddr::V4);
        ipv4.chain(ipv6.into_iter().map(IpAddr::V6)).collect()
    }
}

/// Whom an address of ours is for: the peer, or anybody of each IP version that the socket serves.
fn seekers(bound: IpAddr, remote: Option<IpAddr>) -> Vec<IpAddr> {
    let remote = remote
        .map(|remote| remote.to_canonical())
        .filter(|remote| !remote.is_unspecified() && (remote.is_ipv4() || bound.is_ipv6()));
    match remote {
        Some(remote) => vec![remote],
        None if bound.is_ipv6() => vec![ANYWHERE, ANYWHERE_V6],
        None => vec![ANYWHERE],
    }
}

fn reached_by(machine: &impl Machine, bound: IpAddr, remote: Option<IpAddr>) -> IpAddr {
    let bound = bound.to_canonical();
    if !bound.is_unspecified() {
        return bound;
    }
    let seekers = seekers(bound, remote);
    let mut routes = seekers.iter().map(|remote| machine.route_to(*remote));
    let inside = match seekers.first() {
        Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Some(IpAddr::V4(_)) | None => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    routes.find_map(|route| route).unwrap_or(inside)
}

fn named_by(machine: &impl Machine, bound: IpAddr, remote: Option<IpAddr>) -> IpAddr {
    let reached = reached_by(machine, bound, remote);
    let bound = bound.to_canonical();
    let is_inside = remote.is_some_and(|remote| remote.to_canonical().is_loopback());
    if !bound.is_unspecified() || !reached.is_loopback() || is_inside {
        return reached;
    }
    let own = machine.own_addresses();
    let mut alike = seekers(bound, remote).into_iter().map(|remote| {
        let mut own = own.iter().copied();
        own.find(|own| own.is_ipv4() == remote.is_ipv4())
    });
    alike.find_map(|own| own).unwrap_or(reached)
}

/// The addresses in the kernel's table of local IPv4 routes, but for loopback.
fn own_ipv4(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut own = Vec::new();
    let mut leaf = None;
    for line in fib_trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            leaf = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.trim_end().ends_with("/32 host LOCAL")
            && let Some(address) = leaf
            && !address.is_loopback()
            && !own.contains(&address)
        {
            own.push(address);
        }
    }
    own
}

/// The addresses of global scope in the kernel's list of IPv6 addresses. One of a link says nothing
/// without the name of the link.
fn own_ipv6(if_inet6: &str) -> Vec<Ipv6Addr> {
    const GLOBAL: &str = "00";
    if_inet6
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let bits = u128::from_str_radix(fields.next()?, 16).ok()?;
            (fields.nth(2)? == GLOBAL).then_some(Ipv6Addr::from_bits(bits))
        })
        .collect()
}

/// The addresses by which a listening socket is reached, one for each family that it serves.
fn reachable_addresses(bound: SocketAddr) -> Vec<SocketAddr> {
    let (ip, port) = (bound.ip().to_canonical(), bound.port());
    let reached = match ip.is_unspecified() {
        false => vec![ip],
        true => seekers(ip, None)
            .into_iter()
            .map(|remote| reachable_address(ip, Some(remote)))
            .collect(),
    };
    let reached = reached.into_iter();
    reached.map(|ip| SocketAddr::new(ip, port)).collect()
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

    /// A machine with these addresses, one of each IP version at most that its routes start from.
    struct Known {
        routes: &'static [&'static str],
        own: &'static [&'static str],
    }

    impl Machine for Known {
        fn route_to(&self, remote: IpAddr) -> Option<IpAddr> {
            if remote.is_loopback() {
                return Some(remote);
            }
            let mut routes = self.routes.iter().map(|route| ip(route));
            routes.find(|route| route.is_ipv4() == remote.is_ipv4())
        }

        fn own_addresses(&self) -> Vec<IpAddr> {
            self.own.iter().map(|own| ip(own)).collect()
        }
    }

    #[test]
    fn a_peer_that_is_not_known_yet_is_told_an_address_that_leads_out() {
        const IPV4: &str = "192.0.2.7";
        const IPV6: &str = "2001:db8::7";
        for (routes, own, bound, remote, told) in [
            (&[IPV4, IPV6][..], &[IPV4, IPV6][..], "::", None, IPV4),
            (&[IPV6], &[IPV6], "::", None, IPV6),
            (&[IPV4], &[IPV4], "::", None, IPV4),
            (&[IPV6], &[IPV4, IPV6], "::", None, IPV6),
            (&[IPV6], &[IPV6], "0.0.0.0", None, "127.0.0.1"),
            // A network without a router.
            (&[], &[IPV4, IPV6], "::", None, IPV4),
            (&[], &[IPV6], "::", None, IPV6),
            (&[], &[IPV4], "0.0.0.0", None, IPV4),
            (&[], &[IPV4, IPV6], "::", Some("2001:db8::9"), IPV6),
            (&[], &[IPV4], "::", Some("2001:db8::9"), "::1"),
            (&[], &[], "::", None, "127.0.0.1"),
            // Who is on this machine needs no other address.
            (&[IPV4], &[IPV4], "::", Some("127.0.0.1"), "127.0.0.1"),
            (&[], &[IPV6], "::", Some("::1"), "::1"),
            (&[IPV4, IPV6], &[IPV4], "::", Some("2001:db8::9"), IPV6),
            (&[IPV4, IPV6], &[IPV4], "0.0.0.0", Some(IPV6), IPV4),
            (&[IPV4, IPV6], &[IPV4], "::", Some("::ffff:192.0.2.9"), IPV4),
            (&[IPV4, IPV6], &[IPV4], "::", Some("::"), IPV4),
            // A socket at one address is reached there alone.
            (&[IPV4], &[IPV4], "::1", None, "::1"),
            (&[IPV4], &[IPV4], "127.0.0.1", None, "127.0.0.1"),
        ] {
            let machine = Known { routes, own };
            let told_by = named_by(&machine, ip(bound), remote.map(ip));
            assert_eq!(told_by, ip(told), "{routes:?} {own:?} {bound} {remote:?}");
        }
    }

    #[test]
    fn where_no_route_is_left_only_loopback_is_reached() {
        // So that who has been told another address is not told a bridge's while a lease is renewed.
        let machine = Known {
            routes: &[],
            own: &["172.17.0.1"],
        };
        let reached = reached_by(&machine, ip("::"), None);
        assert!(has_lost_its_route(ip("192.0.2.7"), reached));
    }

    #[test]
    fn the_addresses_of_this_machine_are_read_from_the_kernels_lists() {
        let fib_trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
            \x20          |-- 127.0.0.1\n              /32 host LOCAL\n\
            \x20          |-- 192.0.2.0\n              /24 link UNICAST\n\
            \x20          |-- 192.0.2.7\n              /32 host LOCAL\n\
            \x20       |-- 192.0.2.255\n           /32 link BROADCAST\n\
            \x20          |-- 192.0.2.7\n              /32 host LOCAL\n";
        assert_eq!(own_ipv4(fib_trie), [Ipv4Addr::new(192, 0, 2, 7)]);
        let if_inet6 = "20010db8000000000000000000000007 04 40 00 82     eth0\n\
            fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\
            00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n";
        assert_eq!(
            own_ipv6(if_inet6),
            [Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)]
        );
    }

    #[test]
    fn media_of_a_room_that_nobody_connects_to_serves_every_ip_version_that_there_is() {
        let nobody = media_address(&ListenAddresses::default());
        assert!(nobody.is_unspecified());
        assert_eq!(nobody.is_ipv6(), serves_both_versions());
        for (udp, bound, reach) in [
            ("[::]:5060", "::", MediaReach::Both),
            ("0.0.0.0:5060", "0.0.0.0", MediaReach::Ipv4),
            ("[::1]:5060", "::1", MediaReach::Ipv6),
            ("192.0.2.7:5060", "192.0.2.7", MediaReach::Ipv4),
        ] {
            let listen = ListenAddresses {
                udp: udp.parse().ok(),
                ..ListenAddresses::default()
            };
            let address = media_address(&listen);
            assert_eq!((address, media_reach(address)), (ip(bound), reach), "{udp}");
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
