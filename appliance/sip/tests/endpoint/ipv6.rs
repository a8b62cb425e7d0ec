//! Where answers to IPv6 sources go, and what their Via says (RFC 3261 section 18.2, RFC 3581, RFC 5118 section 4.5).

use std::net::SocketAddr;
use std::time::Duration;

use sip::grammar::{Rport, StatusCode, Via};
use sip::transport::Transport;

use crate::scripted::response;
use crate::world::{World, account, settings};

const BOB: &str = "[2001:db8::10]:5060";
const CAROL: &str = "[2001:db8::9:1]:40000";

#[test]
fn answers_go_to_the_source_address_and_to_the_port_that_via_asks_for() {
    for (sent_by, port, received, rport) in [
        ("[2001:db8::9:1]", 5060, None, Rport::Absent),
        ("[2001:db8::9:1]:5070", 5070, None, Rport::Absent),
        ("[2001:DB8:0::9:1]:5070", 5070, None, Rport::Absent),
        (
            "[2001:db8::9:1];rport",
            40_000,
            Some("2001:db8::9:1"),
            Rport::Port(40_000),
        ),
        (
            "[2001:db8::9:1]:5070;rport",
            40_000,
            Some("2001:db8::9:1"),
            Rport::Port(40_000),
        ),
        ("[2001:db8::7]", 5060, Some("2001:db8::9:1"), Rport::Absent),
        ("192.0.2.7:5080", 5080, Some("2001:db8::9:1"), Rport::Absent),
        (
            "phone.example.com",
            5060,
            Some("2001:db8::9:1"),
            Rport::Absent,
        ),
        // What the request says of its own source is not believed.
        (
            "phone.example.com;received=[2001:db8::7]",
            5060,
            Some("2001:db8::9:1"),
            Rport::Absent,
        ),
        (
            "[2001:db8::9:1];rport=1;received=192.0.2.7",
            40_000,
            Some("2001:db8::9:1"),
            Rport::Port(40_000),
        ),
        // Nor may it choose a third party as the target.
        (
            "[2001:db8::9:1];maddr=2001:db8::7",
            5060,
            None,
            Rport::Absent,
        ),
        (
            "[2001:db8::9:1];maddr=[2001:db8::7]",
            5060,
            None,
            Rport::Absent,
        ),
        ("[2001:db8::9:1]:0", 5060, None, Rport::Absent),
    ] {
        let (bob, carol): (SocketAddr, SocketAddr) = (BOB.parse().unwrap(), CAROL.parse().unwrap());
        let mut world = World::new(1);
        let mut settings = settings(account("bob", Transport::Udp), bob);
        settings.incoming.peers = Vec::new();
        world.add(settings, bob);
        world.inject(
            carol,
            bob,
            &format!(
                "OPTIONS sip:bob@[2001:db8::10]:5060;maddr=[2001:db8::10] SIP/2.0\n\
                 Via: SIP/2.0/UDP {sent_by};branch=z9hG4bK1\n\
                 Via: SIP/2.0/UDP [2001:db8::99]:5062;branch=z9hG4bK0;received=2001:db8::98\n\
                 From: <sip:carol@[2001:db8::9:1]>;tag=1\n\
                 To: <sip:bob@[2001:db8::10]>\n\
                 Call-ID: 1@[2001:db8::9:1]\n\
                 CSeq: 1 OPTIONS\n\
                 Max-Forwards: 70\n\
                 Content-Length: 0\n\n"
            ),
        );
        world.run(Duration::from_secs(1));
        let [(to, bytes)] = &world.received[..] else {
            panic!("{sent_by}: {:?}", world.received);
        };
        assert_eq!(*to, SocketAddr::new(carol.ip(), port), "{sent_by}");
        let answer = response(bytes).expect("an answer");
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let vias: Vec<Via> = answer.headers.typed_all().map(Result::unwrap).collect();
        assert_eq!(vias.len(), 2);
        assert_eq!(vias[0].rport(), rport, "{sent_by}");
        let noted = vias[0].received().and_then(|host| host.address());
        assert_eq!(
            noted,
            received.map(|text| text.parse().unwrap()),
            "{sent_by}"
        );
        assert_eq!(
            vias[1].received().unwrap().address(),
            "2001:db8::98".parse().ok()
        );
    }
}
