//! The places for TCP connections that have not said for whom they are, shared out among the networks that they come
//! from.
//!
//! While there are places, whoever comes has one, within the share of a source. Once all are taken, one comes free for
//! a network that has fewer than another: the oldest of that which has most, looked at in wide networks first and within
//! these in ever narrower ones, so that neither a provider's customer with many addresses nor a provider holds all.

use std::net::IpAddr;

use crate::guests::network_of;

/// Places in all.
pub(super) const MOST: usize = 64;
/// Those of one source: a whole office may come by one address.
pub(super) const MOST_OF_SOURCE: usize = 16;

/// Bits of the networks that are looked at: of providers, of their customers, of single links.
const IPV6_PREFIXES: [u32; 4] = [32, 48, 56, 64];
const IPV4_PREFIXES: [u32; 4] = [12, 16, 24, 32];

/// What becomes of one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// There is one.
    Free,
    /// It takes that of the one with this index.
    Of(usize),
    /// There is none.
    None,
}

/// Whether `newcomer` gets a place, where these, the oldest first, have some.
pub(super) fn place(held: &[IpAddr], newcomer: IpAddr) -> Place {
    let source = network_of(newcomer);
    let of_source = held.iter().filter(|other| network_of(**other) == source);
    if of_source.count() >= MOST_OF_SOURCE {
        return Place::None;
    }
    if held.len() < MOST {
        return Place::Free;
    }
    let mut among: Vec<usize> = (0..held.len()).collect();
    let mut is_of_another = false;
    for level in 0..IPV6_PREFIXES.len() {
        let wide = |index: &usize| network(held[*index], level);
        let count = |of| among.iter().filter(|index| wide(index) == of).count();
        let own = network(newcomer, level);
        // Of equal ones that with the oldest.
        let wide_ones = among.iter().rev().map(wide);
        let Some(largest) = wide_ones.max_by_key(|of| count(*of)) else {
            return Place::None;
        };
        let chosen = if is_of_another || count(largest) > count(own) + 1 {
            is_of_another = true;
            largest
        } else {
            own
        };
        among.retain(|index| network(held[*index], level) == chosen);
    }
    match among.first() {
        Some(oldest) if is_of_another => Place::Of(*oldest),
        Some(_) | None => Place::None,
    }
}

/// The network that an address is in.
fn network(address: IpAddr, level: usize) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX << (32 - IPV4_PREFIXES[level]);
            (true, (address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_PREFIXES[level]);
            (false, address.to_bits() & mask)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// As many as there are places for, of the links of one customer's network.
    fn customer(network: &str) -> Vec<IpAddr> {
        let links = (0..MOST).map(|link| ip(&format!("{network}{link:02x}::1")));
        links.collect()
    }

    #[test]
    fn a_customer_with_many_networks_makes_place_for_others() {
        let held = customer("2001:db8:0:1");
        for other in [
            "2001:db9::1",
            "2001:db8:1::1",
            "2001:db8:0:200::1",
            "198.51.100.7",
        ] {
            assert_eq!(place(&held, ip(other)), Place::Of(0), "{other}");
        }
        assert_eq!(place(&held, ip("2001:db8:0:1ff::1")), Place::None);
        assert_eq!(place(&held[1..], ip("2001:db8:0:1ff::1")), Place::Free);
    }

    #[test]
    fn the_oldest_of_the_network_with_most_goes_and_others_stay() {
        let mut held = vec![ip("198.51.100.7"), ip("2001:db9::1"), ip("2001:db9:0:1::1")];
        held.extend(customer("2001:db8:0:1"));
        held.truncate(MOST);
        assert_eq!(place(&held, ip("203.0.113.9")), Place::Of(3));
        // Who has as many as anybody gets none.
        let half = |third: u8| (0..32).map(move |last| IpAddr::from([10, third, 0, last]));
        let held: Vec<_> = half(1).chain(half(200)).collect();
        assert_eq!(place(&held, ip("10.1.0.77")), Place::None);
        assert_eq!(place(&held, ip("10.200.0.77")), Place::None);
        assert_eq!(place(&held, ip("10.90.0.77")), Place::Of(0));
    }

    #[test]
    fn one_source_has_its_share_however_many_places_there_are() {
        let held = vec![ip("198.51.100.7"); MOST_OF_SOURCE];
        assert_eq!(place(&held, ip("198.51.100.7")), Place::None);
        assert_eq!(place(&held, ip("::ffff:198.51.100.7")), Place::None);
        assert_eq!(place(&held, ip("198.51.100.8")), Place::Free);
        let held: Vec<_> = (0..16)
            .map(|host| ip(&format!("2001:db8::{host:x}")))
            .collect();
        assert_eq!(place(&held, ip("2001:db8::99")), Place::None);
    }
}
