//! The addresses of this machine that a peer is told as host candidates of ICE (RFC 8445 section
//! 5.1.1.1).

use std::net::{IpAddr, Ipv4Addr};

use crate::our_addresses::own_addresses;

/// The most that a peer is told: each costs a socket, and pairs with each of the peer's.
const MOST: usize = 8;

/// The addresses by which peers may reach sockets of a service that is bound to `bound`: that one, or
/// where it is unspecified, all that others on its networks reach it at. A machine without a network still
/// serves itself.
#[must_use]
pub fn host_addresses(bound: IpAddr) -> Vec<IpAddr> {
    let bound = bound.to_canonical();
    if !bound.is_unspecified() {
        return vec![bound];
    }
    choose(bound, own_addresses())
}

fn choose(bound: IpAddr, addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let serves = |address: &IpAddr| address.is_ipv4() || bound.is_ipv6();
    let usable =
        |address: &IpAddr| serves(address) && !address.is_loopback() && !is_link_local(*address);
    let mut addresses: Vec<IpAddr> = addresses.into_iter().filter(usable).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST);
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

/// Means something on one link only, and the peer cannot know on which.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

    fn chosen(bound: IpAddr, addresses: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        let chosen = choose(bound, addresses.collect());
        chosen.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_peer_is_told_the_addresses_of_the_network_and_none_that_means_nothing_there() {
        let ours = [
            "127.0.0.1",
            "::1",
            "192.0.2.7",
            "192.0.2.7",
            "169.254.3.4",
            "fe80::1",
            "2001:db8::7",
        ];
        assert_eq!(chosen(ANY, &ours), ["192.0.2.7", "2001:db8::7"]);
        let any_ipv4 = "0.0.0.0".parse().unwrap();
        assert_eq!(chosen(any_ipv4, &ours), ["192.0.2.7"]);
    }

    #[test]
    fn a_machine_without_a_network_serves_itself() {
        assert_eq!(chosen(ANY, &[]), ["127.0.0.1"]);
        assert_eq!(chosen(ANY, &["::1", "127.0.0.1"]), ["127.0.0.1"]);
    }

    #[test]
    fn a_service_that_is_bound_to_one_address_tells_that_one() {
        let bound = "192.0.2.9".parse().unwrap();
        assert_eq!(host_addresses(bound), [bound]);
    }

    #[test]
    fn a_machine_with_many_addresses_tells_a_bounded_number() {
        let many: Vec<String> = (1..40).map(|host| format!("192.0.2.{host}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(chosen(ANY, &many).len(), MOST);
    }
}
