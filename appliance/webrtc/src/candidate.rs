//! Candidates: ours as the engine wants them, the browser's as they come (RFC 8839 section 5.1).

use str0m::Candidate;
use str0m::net::TcpType;

use crate::address::{AddressKind, LocalAddress, Protocol};
use crate::error::Error;

/// The longest candidate line that is read.
const LONGEST_LINE: usize = 512;

/// The engine's candidate for one of our addresses.
pub(crate) fn local(address: LocalAddress) -> Result<Candidate, Error> {
    let protocol = address.protocol.engine();
    let candidate = match (address.kind, address.protocol) {
        (AddressKind::Host, Protocol::Udp) => Candidate::host(address.address, protocol),
        (AddressKind::Host, Protocol::Tcp) => Candidate::builder()
            .tcp()
            .host(address.address)
            .tcptype(TcpType::Passive)
            .build(),
        (AddressKind::ServerReflexive { base }, Protocol::Udp) => {
            Candidate::server_reflexive(address.address, base, protocol)
        }
        (AddressKind::ServerReflexive { base }, Protocol::Tcp) => Candidate::builder()
            .tcp()
            .server_reflexive(address.address, base)
            .tcptype(TcpType::Passive)
            .build(),
        (AddressKind::Relayed { local }, _) => Candidate::relayed(address.address, local, protocol),
    };
    candidate.map_err(|_| Error::LocalAddress(address.address))
}

/// Reads a candidate of the browser, with or without `a=` before it. `Ok(None)` for one that cannot be
/// tried: the end of candidates, a name of mDNS (the browser's checks show its address all the same),
/// another component than RTP's, a connection that we would have to open.
pub(crate) fn remote(line: &str) -> Result<Option<Candidate>, Error> {
    let line = line.trim();
    let line = line.strip_prefix("a=").unwrap_or(line);
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() > LONGEST_LINE || !line.starts_with("candidate:") {
        return Err(Error::Candidate);
    }
    let mut fields = line.split_ascii_whitespace();
    let component = fields.nth(1).ok_or(Error::Candidate)?;
    let address = fields.nth(2).ok_or(Error::Candidate)?;
    if component != "1" || address.ends_with(".local") {
        return Ok(None);
    }
    let candidate = Candidate::from_sdp_string(line).map_err(|_| Error::Candidate)?;
    Ok(Some(candidate).filter(|candidate| candidate.tcptype() != Some(TcpType::Passive)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_of_browsers_are_read() {
        let host = "candidate:842163049 1 udp 1677729535 192.0.2.7 46154 typ srflx raddr 10.0.0.7 \
                    rport 46154 generation 0 ufrag EsAw network-id 1 network-cost 10";
        let candidate = remote(host).unwrap().unwrap();
        assert_eq!(candidate.addr(), "192.0.2.7:46154".parse().unwrap());
        let firefox = "candidate:0 1 UDP 2122187007 192.0.2.8 59464 typ host";
        assert!(remote(firefox).unwrap().is_some());
        let ipv6 = "a=candidate:3 1 udp 2122197247 2001:db8::7 50000 typ host generation 0";
        assert!(remote(ipv6).unwrap().is_some());
        let active = "candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active";
        assert!(remote(active).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_tried_is_passed_over_and_garbage_is_refused() {
        for nothing in [
            "",
            "candidate:1 1 udp 2113937151 4f2c9a1e-0000-4000-8000-00000000abcd.local 50000 typ host",
            "candidate:1 2 udp 2113937151 192.0.2.7 50001 typ host",
            "candidate:1 1 tcp 1 192.0.2.7 443 typ host tcptype passive",
        ] {
            assert!(remote(nothing).unwrap().is_none(), "{nothing}");
        }
        for garbage in [
            "candidate:",
            "candidate:1 1 udp",
            "192.0.2.7:5000",
            "candidate:1 1 udp x 192.0.2.7 50000 typ host",
            "candidate:1 1 udp 1 192.0.2.7 70000 typ host",
            &format!(
                "candidate:1 1 udp 1 192.0.2.7 5000 typ host {}",
                "x".repeat(600)
            ),
        ] {
            assert!(remote(garbage).is_err(), "{garbage}");
        }
    }
}
