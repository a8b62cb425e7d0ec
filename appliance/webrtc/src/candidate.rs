//! Candidates: ours as the engine wants them, the browser's as they come (RFC 8839 section 5.1).

use str0m::Candidate;
use str0m::net::{Protocol as EngineProtocol, TcpType};

use crate::address::{AddressKind, LocalAddress, Protocol, may_be_connected_to};
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
        (AddressKind::TcpActive, _) => Candidate::builder()
            .tcp()
            .host(address.address)
            .tcptype(TcpType::Active)
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
/// another component than RTP's, a TCP connection that the browser opens (its first check shows the port) or that
/// both open at a time (RFC 6544 section 6.2: we have no such candidate), or one that is not for us to open.
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
    let can_be_tried = match (candidate.proto(), candidate.tcptype()) {
        (EngineProtocol::Udp, _) => true,
        (EngineProtocol::Tcp, Some(TcpType::Passive)) => may_be_connected_to(candidate.addr()),
        (EngineProtocol::Tcp, Some(TcpType::Active | TcpType::So) | None)
        | (EngineProtocol::SslTcp | EngineProtocol::Tls, _) => false,
    };
    Ok(Some(candidate).filter(|_| can_be_tried))
}

/// Whether a candidate of the browser is one by TCP, where it listens.
pub(crate) fn is_tcp_passive(candidate: &Candidate) -> bool {
    candidate.tcptype() == Some(TcpType::Passive)
}

/// Whether the line of an offer, `a=candidate:...`, is one that the engine would try by TCP.
pub(crate) fn is_by_tcp(line: &str) -> bool {
    let protocol = line
        .strip_prefix("a=candidate:")
        .and_then(|fields| fields.split_ascii_whitespace().nth(2));
    protocol.is_some_and(|protocol| !protocol.eq_ignore_ascii_case("udp"))
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
        let passive = "candidate:2 1 TCP 1518280447 192.0.2.7 50000 typ host tcptype passive";
        let passive = remote(passive).unwrap().unwrap();
        assert!(is_tcp_passive(&passive));
    }

    #[test]
    fn what_cannot_be_tried_is_passed_over_and_garbage_is_refused() {
        for nothing in [
            "",
            "candidate:1 1 udp 2113937151 4f2c9a1e-0000-4000-8000-00000000abcd.local 50000 typ host",
            "candidate:1 2 udp 2113937151 192.0.2.7 50001 typ host",
            "candidate:1 1 tcp 1 192.0.2.7 25 typ host tcptype passive",
            "candidate:1 1 tcp 1 224.0.0.1 50000 typ host tcptype passive",
            "candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
            "candidate:1 1 tcp 1 192.0.2.7 50000 typ host tcptype so",
            "candidate:1 1 tcp 1 192.0.2.7 50000 typ host",
            "candidate:1 1 ssltcp 1 192.0.2.7 443 typ host tcptype passive",
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
