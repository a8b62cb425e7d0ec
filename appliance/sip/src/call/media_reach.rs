//! Which of our addresses a call's media comes to, where we have one of each IP version.
//!
//! ```text
//!  we call:    LocalMedia ──► way of the INVITE known ─┬─ of the same version ──────► as it was given
//!                               (again for each server)└─ of the other, or leads ───► the address of
//!                                                         out where the given one     ours that the
//!                                                         does not                    way starts from
//!  we answer:  the offer says it: media of a call has one version at both ends
//! ```
//!
//! Whether a name leads to IPv4 or IPv6 shows only when it is looked up, and the next server of it may
//! be of the other version. Whoever hears us by one version has it; whether it has the other, nobody
//! knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::CallState;
use super::outgoing::session_description;
use crate::endpoint::{CallId, Endpoint, Outgoing, User};
use crate::grammar::{ContentType, Method};
use crate::offer_answer::described_address;
use crate::transport::Path;

/// The IP versions that sockets for media serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MediaReach {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// Whichever a call is about.
    #[default]
    Both,
}

impl MediaReach {
    /// An address of ours to look at an offer with, before there are ports: the offer is usable if it
    /// is of a version that we serve.
    pub(super) fn address_for(self, offered: Option<IpAddr>) -> IpAddr {
        let is_ipv6 = match self {
            Self::Ipv4 => false,
            Self::Ipv6 => true,
            Self::Both => offered.is_some_and(|offered| offered.is_ipv6()),
        };
        if is_ipv6 {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        }
    }

    /// The address that an offer names: the one that was given, or the one that its way starts from.
    fn offered_from(self, given: IpAddr, way: IpAddr) -> IpAddr {
        let leads_further = given.is_loopback() && !way.is_loopback();
        match self {
            Self::Both if given.is_ipv4() != way.is_ipv4() || leads_further => way,
            Self::Ipv4 | Self::Ipv6 | Self::Both => given,
        }
    }
}

impl Endpoint {
    /// Says which IP versions the sockets of [`LocalMedia`](crate::offer_answer::LocalMedia) serve. At
    /// first that is both, and an INVITE that goes another way than was thought names the address that
    /// it leaves from; where it is one alone, what is given stands, and offers of the other are refused.
    pub fn set_media_reach(&mut self, reach: MediaReach) {
        self.media_reach = reach;
    }

    /// Where the caller of an unanswered call wants our media: the address to answer with is of the same
    /// IP version. `None` where the caller leaves the offer to us.
    #[must_use]
    pub fn offered_address(&self, call: CallId) -> Option<IpAddr> {
        let CallState::Offered(offered) = &self.calls.get(&call)?.state else {
            return None;
        };
        let request = &offered.request;
        described_address(session_description(&request.headers, request.body())?)
    }

    /// The address of ours that our latest description of a call names.
    #[must_use]
    pub fn media_address(&self, call: CallId) -> Option<IpAddr> {
        let session = match &self.calls.get(&call)?.state {
            CallState::Dialing(dialing) => &dialing.offer,
            CallState::Established(established) => &established.session,
            CallState::Offered(_) | CallState::Leaving(_) => return None,
        };
        Some(session.local_media().address)
    }

    /// The offer of an INVITE that makes a call names an address that fits the way that it takes.
    pub(crate) fn place_offer(&mut self, outgoing: &mut Outgoing, path: Path) {
        let User::Call(call) = &outgoing.user else {
            return;
        };
        if *outgoing.request.method() != Method::Invite {
            return;
        }
        let (reach, way) = (self.media_reach, self.local_end(path));
        let state = self.calls.get_mut(call).map(|call| &mut call.state);
        let (Some(CallState::Dialing(dialing)), Some((_, way))) = (state, way) else {
            return;
        };
        let address = reach.offered_from(dialing.given_address, way.ip());
        dialing.offer.offer_from(address);
        let body = dialing.offer.body();
        if *outgoing.request.body() != body {
            outgoing.request.set_body(&ContentType::sdp(), body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_offer_names_what_fits_its_way() {
        for (given, way, named) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            // The route to whom we call may start elsewhere than the way to the proxy.
            ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
            ("192.0.2.1", "127.0.0.1", "192.0.2.1"),
            ("192.0.2.1", "2001:db8::1", "2001:db8::1"),
            ("192.0.2.1", "::1", "::1"),
            ("2001:db8::1", "192.0.2.1", "192.0.2.1"),
            ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
            ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("::1", "2001:db8::1", "2001:db8::1"),
            ("::1", "::1", "::1"),
        ] {
            let (given, way, named) = (ip(given), ip(way), ip(named));
            let case = format!("{given} by {way}");
            assert_eq!(MediaReach::Both.offered_from(given, way), named, "{case}");
            for one in [MediaReach::Ipv4, MediaReach::Ipv6] {
                assert_eq!(one.offered_from(given, way), given, "{case}");
            }
        }
    }
}
