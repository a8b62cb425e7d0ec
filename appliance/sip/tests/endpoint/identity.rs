//! Accounts that prove themselves by certificates of their own, and connections that may be used both
//! ways because of it (RFC 5923).

use std::time::{Duration, Instant};

use sip::endpoint::{Account, AccountName, ClientCertificate, Endpoint, Output};
use sip::transport::{StreamInfo, Transport};

use crate::calls::{assert_nothing_is_left, call, ended};
use crate::world::{ALICE, BOB, World, account, address, media_of, room, settings};

fn proven(user: &str, name: &str) -> Account {
    Account {
        name: AccountName::new(name),
        client_certificate: ClientCertificate::Own,
        ..account(user, Transport::Tls)
    }
}

/// Bob, and Alice with these accounts.
fn world(accounts: Vec<Account>) -> World {
    let mut world = World::new(1);
    let mut alice = settings(account("alice", Transport::Tls), ALICE);
    alice.accounts = accounts;
    world.add(alice, ALICE);
    world.add(settings(account("bob", Transport::Tls), BOB), BOB);
    world
}

fn flows(world: &mut World, at: std::net::SocketAddr) -> usize {
    world.act(at, |endpoint, _| endpoint.counts()).flows
}

#[test]
fn a_connection_that_was_made_with_a_certificate_carries_its_accounts_calls_alone() {
    let accounts = vec![
        account("alice", Transport::Tls),
        proven("alice2", "second"),
        proven("alice3", "third"),
    ];
    let mut world = world(accounts);
    let target = format!("sip:{BOB}").parse().expect("a SIP URI");
    // Each twice: by the second time there is a connection.
    for name in ["room", "second", "third", "room", "second", "third"] {
        world
            .act(ALICE, |alice, now| {
                alice.invite(now, &AccountName::new(name), &target, media_of(ALICE))
            })
            .expect("the call can be made");
        world.run(Duration::from_secs(1));
    }
    let names = ["second", "third"].map(|name| Some(AccountName::new(name)));
    let expected: Vec<_> = [None].into_iter().chain(names).collect();
    assert_eq!(world.identities, expected);
}

/// Alice calls Bob and hangs up; then he calls her where she listens.
fn bob_calls_back(world: &mut World) {
    let (alices, _) = call(world);
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("the call stands");
    ended(world, ALICE, alices);
    world.run(Duration::from_secs(1));
    let bobs = world.invite(BOB, ALICE);
    world.run(Duration::from_secs(1));
    world
        .act(BOB, |bob, now| bob.hang_up(now, bobs))
        .expect("it rings");
    ended(world, BOB, bobs);
}

#[test]
fn a_peer_that_has_proven_itself_is_called_back_by_its_own_connection() {
    let mut proven_world = world(vec![proven("alice", "room")]);
    bob_calls_back(&mut proven_world);
    assert_eq!(proven_world.identities, [Some(room())], "one connection");
    assert_eq!(flows(&mut proven_world, BOB), 1);
    assert_nothing_is_left(&mut proven_world);

    // One that has not may be anybody at that address.
    let mut anonymous = world(vec![account("alice", Transport::Tls)]);
    bob_calls_back(&mut anonymous);
    assert_eq!(anonymous.identities, [None, None]);
    assert_eq!(flows(&mut anonymous, BOB), 2);
}

/// Whether a call to where a peer listens takes the connection that the peer has made from some other
/// port, and by which it has sent a request with this Via.
fn is_called_back_by_its_connection(via: &str, proven: &[&str]) -> bool {
    let anonymous = account("bob", Transport::Tls);
    let own = Account {
        client_certificate: ClientCertificate::Own,
        ..account("bob", Transport::Tls)
    };
    let [anonymous, own] = [anonymous, own].map(|bob| calls_back(bob, via, proven));
    assert_eq!(anonymous, own, "whatever Bob would show elsewhere");
    own
}

fn calls_back(bob: Account, via: &str, proven: &[&str]) -> bool {
    let listening = address(3, 5061);
    let now = Instant::now();
    let mut bob = Endpoint::new(settings(bob, BOB), [7; 32]);
    let flow = bob.reserve_flow();
    let mut info = StreamInfo::new(Transport::Tls, BOB, address(3, 49_152));
    info.verified_names = proven.iter().map(|name| (*name).to_owned()).collect();
    bob.stream_opened(now, flow, info);
    let options = format!(
        "OPTIONS sip:{BOB} SIP/2.0\r\nVia: SIP/2.0/TLS {via};branch=z9hG4bK1\r\n\
         From: <sip:carol@example.test>;tag=1\r\nTo: <sip:{BOB}>\r\nCall-ID: 1\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    bob.stream_received(now, flow, &options.into());
    while bob.poll_output().is_some() {}

    let target = format!("sip:{listening}").parse().expect("a SIP URI");
    bob.invite(now, &room(), &target, media_of(BOB))
        .expect("the call can be made");
    let outputs = std::iter::from_fn(|| bob.poll_output());
    let ways: Vec<bool> = outputs
        .filter_map(|output| match output {
            Output::SendStream { flow: used, .. } if used == flow => Some(true),
            Output::OpenStream { remote, .. } if remote == listening => Some(false),
            _ => None,
        })
        .collect();
    assert_eq!(ways.len(), 1, "{via}");
    ways[0]
}

#[test]
fn a_connection_is_used_for_an_address_only_if_its_owner_offers_it_and_has_proven_the_address() {
    const PROVEN: &[&str] = &["192.0.2.3"];
    for (via, proven, expected) in [
        ("192.0.2.3:5061;alias", PROVEN, true),
        // 5061 is where TLS listens unless something else is said.
        ("192.0.2.3;alias", PROVEN, true),
        ("192.0.2.3:5061", PROVEN, false),
        ("192.0.2.3:5062;alias", PROVEN, false),
        ("192.0.2.3:5061;alias", &[], false),
        ("192.0.2.3:5061;alias", &["192.0.2.4"], false),
        // Somebody else's address is nobody's to offer.
        ("192.0.2.4:5061;alias", PROVEN, false),
        ("elsewhere.example:5061;alias", PROVEN, false),
    ] {
        let used = is_called_back_by_its_connection(via, proven);
        assert_eq!(used, expected, "{via} {proven:?}");
    }
}
