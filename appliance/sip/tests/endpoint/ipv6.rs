//! IPv6: where answers to its sources go and what their Via says (RFC 3261 section 18.2, RFC 3581, RFC
//! 5118 section 4.5), and which of our addresses offers and answers name.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::{CallId, ConfiguredPeer, Event, MediaReach};
use sip::grammar::{Method, Rport, StatusCode, Uri, Via};
use sip::offer_answer::{LocalMedia, Session, described_address};
use sip::transport::Transport;

use crate::carol::rng;
use crate::scripted::{request, response};
use crate::world::{self, ALICE, World, account, media_of, room, settings};

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

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

const FAR_AWAY: &str = "far.example";

/// Alice with an address of each IP version, and a name with servers at these.
fn alice_of_both(servers: &[&str]) -> World {
    let mut world = World::new(1);
    let mut settings = settings(account("alice", Transport::Udp), ALICE);
    settings.listen.udp.push(socket(BOB));
    world.add(settings, ALICE);
    let servers = servers.iter().map(|server| socket(server));
    world.names.insert(FAR_AWAY.to_owned(), servers.collect());
    world
}

/// A call by name, with what is given as the address for media.
fn call(world: &mut World, given: SocketAddr) -> CallId {
    let target: Uri = format!("sip:carol@{FAR_AWAY}").parse().expect("a URI");
    let invited = world.act(ALICE, |endpoint, now| {
        endpoint.invite(now, &room(), &target, media_of(given))
    });
    invited.expect("the call can be made")
}

/// Where INVITEs arrived, and the version of the address for media that each has named, once for each.
fn asked(world: &World) -> Vec<(SocketAddr, bool)> {
    let mut asked: Vec<_> = world
        .received
        .iter()
        .filter_map(|(to, bytes)| {
            let invite = request(bytes).filter(|request| *request.method() == Method::Invite)?;
            let named = described_address(invite.body()).expect("an offer");
            Some((*to, named.is_ipv6()))
        })
        .collect();
    asked.dedup();
    asked
}

#[test]
fn an_offer_is_of_the_ip_version_of_its_way_from_one_server_of_a_name_to_the_next() {
    let (ipv4, ipv6) = (world::CAROL, CAROL);
    let (ipv4_text, at_ipv6) = (ipv4.to_string(), socket(ipv6));
    let expected = [(at_ipv6, true), (ipv4, false)];
    for given in [ALICE, socket(BOB)] {
        let mut world = alice_of_both(&[ipv6, &ipv4_text]);
        let call = call(&mut world, given);
        world.run(Duration::from_secs(1));
        assert_eq!(asked(&world), expected[..1], "{given}");
        let bob = socket(BOB);
        let named = world.node(ALICE).endpoint.media_address(call);
        assert_eq!(named, Some(bob.ip()), "{given}");
        // The first does not answer.
        world.run(Duration::from_secs(10));
        assert_eq!(asked(&world), expected, "{given}");
        let named = world.node(ALICE).endpoint.media_address(call);
        assert_eq!(named, Some(ALICE.ip()), "{given}");
    }
}

#[test]
fn sockets_of_one_ip_version_are_named_whatever_the_way() {
    let mut world = alice_of_both(&[CAROL]);
    let endpoint = &mut world.node(ALICE).endpoint;
    endpoint.set_media_reach(MediaReach::Ipv4);
    call(&mut world, ALICE);
    world.run(Duration::from_secs(1));
    assert_eq!(asked(&world), [(socket(CAROL), false)]);
}

/// Carol's INVITE from an IPv6 address to Bob at his, with an offer of media at `media`.
fn carol_offers(reach: MediaReach, media: SocketAddr) -> World {
    let (bob, carol) = (socket(BOB), socket(CAROL));
    let mut world = World::new(1);
    let mut settings = settings(account("bob", Transport::Udp), bob);
    settings.incoming.peers = vec![ConfiguredPeer::address(carol.ip())];
    world.add(settings, bob);
    world.node(bob).endpoint.set_media_reach(reach);
    let carols = account("carol", Transport::Udp).capabilities;
    let (_, offer) = Session::offer(&carols, &media_of(media), &mut rng());
    let offer = String::from_utf8(offer.to_vec()).expect("text");
    let invite = format!(
        "INVITE sip:bob@{BOB} SIP/2.0\n\
         Via: SIP/2.0/UDP {CAROL};branch=z9hG4bK1\n\
         From: <sip:carol@{CAROL}>;tag=1\n\
         To: <sip:bob@{BOB}>\n\
         Contact: <sip:carol@{CAROL}>\n\
         Call-ID: 1@carol\n\
         CSeq: 1 INVITE\n\
         Max-Forwards: 70\n\
         Content-Type: application/sdp\n\
         Content-Length: {length}\n\n",
        length = offer.len()
    );
    let datagram = format!("{}{offer}", invite.replace('\n', "\r\n"));
    let now = world.now;
    world.network.send(now, carol, bob, Bytes::from(datagram));
    world.run(Duration::from_secs(1));
    world
}

#[test]
fn an_offer_is_taken_whatever_its_ip_version_and_answered_in_the_same() {
    let bob = socket(BOB);
    // A proxy may speak IPv6 with us for a caller who has IPv4 alone.
    for media in [socket(CAROL), world::CAROL] {
        let mut world = carol_offers(MediaReach::Both, media);
        let call = world.incoming(bob);
        let offered = world.node(bob).endpoint.offered_address(call);
        assert_eq!(offered, Some(media.ip()));
        let ours = if media.is_ipv6() { bob } else { world::BOB };
        let local: LocalMedia = media_of(ours);
        let answered = world.act(bob, |endpoint, now| endpoint.answer(now, call, local));
        answered.unwrap();
        world.run(Duration::from_secs(1));
        let answer = world.received.iter().find_map(|(_, bytes)| {
            response(bytes).filter(|response| response.status() == StatusCode::OK)
        });
        let answer = answer.expect("an answer");
        assert_eq!(described_address(answer.body()), Some(ours.ip()));
    }
}

#[test]
fn an_offer_of_an_ip_version_that_media_does_not_serve_is_refused_before_anything_rings() {
    for (reach, media, refused) in [
        (MediaReach::Ipv4, socket(CAROL), true),
        (MediaReach::Ipv6, world::CAROL, true),
        (MediaReach::Ipv4, world::CAROL, false),
        (MediaReach::Ipv6, socket(CAROL), false),
    ] {
        let mut world = carol_offers(reach, media);
        let answers: Vec<StatusCode> = world
            .received
            .iter()
            .filter_map(|(_, bytes)| Some(response(bytes)?.status()))
            .collect();
        let is_refused = answers.contains(&StatusCode::NOT_ACCEPTABLE_HERE);
        assert_eq!(is_refused, refused, "{reach:?} {media}: {answers:?}");
        let events = world.events(socket(BOB));
        let rings = events
            .iter()
            .any(|event| matches!(event, Event::Incoming { .. }));
        assert_eq!(rings, !refused, "{reach:?} {media}");
    }
}
