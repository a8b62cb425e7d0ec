//! SIP over WebSockets (RFC 7118), as a client.

use std::net::SocketAddr;
use std::time::Duration;

use sip::endpoint::{Account, AccountName, CallEndCause, ClientCertificate, Endpoint, Output};
use sip::grammar::{HeaderName, Method, Token, Via, ViaTransport};
use sip::registration::RegistrationState;
use sip::transport::{FlowId, StreamInfo, Transport};

use crate::calls::{assert_nothing_is_left, call, ended};
use crate::outbound::contact_of;
use crate::registrar::{Algorithm, Registrar};
use crate::registration::{register, registering_account, registrar, wait_for_state};
use crate::world::{ALICE, BOB, REGISTRAR, World, account, address, media_of, room, settings};

const WEBSOCKETS: [Transport; 2] = [Transport::Ws, Transport::Wss];

/// Alice, who registers by a WebSocket.
fn registering_world(transport: Transport) -> World {
    let mut world = World::new(1);
    let account = Account {
        transport,
        websocket_path: "/sip".to_owned(),
        ..registering_account("correct")
    };
    world.add(settings(account, ALICE), ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Sha256, "correct"));
    world.network.listen(REGISTRAR);
    world
}

#[test]
fn a_registration_asks_for_its_path_and_names_an_address_that_leads_nowhere() {
    for (transport, sent) in WEBSOCKETS
        .into_iter()
        .zip([ViaTransport::Ws, ViaTransport::Wss])
    {
        let mut world = registering_world(transport);
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        assert_eq!(world.websocket_paths, ["/sip"], "{transport}");
        let (_, request) = registrar(&mut world)
            .requests
            .last()
            .expect("it registered");
        let via: Via = request.headers.required().expect("a Via");
        assert_eq!(*via.transport(), sent);
        let host = via.host().to_string();
        assert!(host.ends_with(".invalid"), "{host}");
        assert_eq!(via.port(), None);
        let contact = contact_of(request).to_string();
        let expected = format!("<sip:alice@{host};transport=ws>");
        assert!(contact.starts_with(&expected), "{contact}");
    }
}

#[test]
fn dialogs_keep_to_the_websocket_whether_the_registrar_knows_flows_or_not() {
    let outbound = || (HeaderName::Require, "outbound".to_owned());
    for transport in WEBSOCKETS {
        for fields in [Vec::new(), vec![outbound()]] {
            let mut world = registering_world(transport);
            registrar(&mut world).fields = fields;
            register(&mut world);
            wait_for_state(&mut world, RegistrationState::Registered);
            world
                .act(ALICE, |alice, now| {
                    let uri = "sip:carol@example.test".parse().expect("a SIP URI");
                    alice.invite(now, &room(), &uri, media_of(ALICE))
                })
                .expect("the call can be made");
            world.run(Duration::from_secs(1));
            let requests = registrar(&mut world).requests.iter();
            let mut invites = requests.filter(|(_, it)| *it.method() == Method::Invite);
            let (_, invite) = invites.next().expect("it calls");
            let contact = contact_of(invite).to_string();
            let kept = ".invalid;transport=ws;ob>";
            assert!(contact.ends_with(kept), "{contact}");
            let supported = invite.headers.values::<Token>(&HeaderName::Supported);
            let named = supported.filter_map(Result::ok);
            let tags: Vec<String> = named.map(|tag| tag.to_string()).collect();
            assert!(tags.contains(&"outbound".to_owned()), "{tags:?}");
        }
    }
}

#[test]
fn a_call_stands_and_is_hung_up_from_either_end_of_the_connection() {
    for transport in WEBSOCKETS {
        for hanging_up in [ALICE, BOB] {
            let mut world = World::pair(2, transport);
            let (alices, bobs) = call(&mut world);
            let own = if hanging_up == ALICE { alices } else { bobs };
            world
                .act(hanging_up, |endpoint, now| endpoint.hang_up(now, own))
                .expect("the call stands");
            let (other, theirs) = if hanging_up == ALICE {
                (BOB, bobs)
            } else {
                (ALICE, alices)
            };
            let cause = ended(&mut world, other, theirs);
            assert_eq!(cause, CallEndCause::RemoteHangUp, "{transport}");
            assert_eq!(world.websocket_paths.len(), 1, "one connection");
            assert_nothing_is_left(&mut world);
        }
    }
}

#[test]
fn a_server_that_answers_no_pings_any_more_is_connected_to_anew() {
    let mut world = registering_world(Transport::Wss);
    let outbound = (HeaderName::Require, "outbound".to_owned());
    registrar(&mut world).fields.push(outbound);
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.run(Duration::from_secs(300));
    assert_eq!(world.websocket_paths.len(), 1, "pings are answered");

    registrar(&mut world).deaf = true;
    world.run(Duration::from_secs(140));
    assert!(
        world.websocket_paths.len() > 1,
        "the silent one is given up"
    );
}

#[test]
fn connections_are_shared_only_by_accounts_that_ask_for_the_same_path() {
    let named = |name: &str, path: &str, certificate| Account {
        name: AccountName::new(name),
        websocket_path: path.to_owned(),
        client_certificate: certificate,
        ..account(name, Transport::Wss)
    };
    let (none, own) = (ClientCertificate::None, ClientCertificate::Own);
    let accounts = [
        ("a", "/x", none),
        ("b", "/x", none),
        ("c", "/y", none),
        ("d", "/y", own),
    ];
    let mut world = World::new(3);
    let mut alice = settings(account("alice", Transport::Wss), ALICE);
    alice.accounts = accounts
        .map(|(name, path, own)| named(name, path, own))
        .into();
    world.add(alice, ALICE);
    world.add(settings(account("bob", Transport::Wss), BOB), BOB);
    let target = format!("sip:{BOB}").parse().expect("a SIP URI");
    for (name, ..) in accounts {
        world
            .act(ALICE, |alice, now| {
                alice.invite(now, &AccountName::new(name), &target, media_of(ALICE))
            })
            .expect("the call can be made");
        world.run(Duration::from_secs(1));
    }
    assert_eq!(world.websocket_paths, ["/x", "/y", "/y"]);
}

#[test]
fn an_account_that_is_protected_stays_so_whatever_an_address_says() {
    for (transport, target, expected) in [
        (
            Transport::Wss,
            "sip:bob@192.0.2.2:5060;transport=ws",
            Transport::Wss,
        ),
        (
            Transport::Wss,
            "sip:bob@192.0.2.2:5060;transport=tcp",
            Transport::Wss,
        ),
        (
            Transport::Ws,
            "sips:bob@192.0.2.2:5060;transport=ws",
            Transport::Wss,
        ),
        (
            Transport::Ws,
            "sip:bob@192.0.2.2:5060;transport=wss",
            Transport::Wss,
        ),
        (Transport::Ws, "sip:bob@192.0.2.2:5060", Transport::Ws),
        (
            Transport::Tls,
            "sip:bob@192.0.2.2:5060;transport=ws",
            Transport::Tls,
        ),
        (
            Transport::Tcp,
            "sip:bob@192.0.2.2:5060;transport=ws",
            Transport::Ws,
        ),
    ] {
        let settings = settings(account("alice", transport), ALICE);
        let mut alice = Endpoint::new(settings, [7; 32]);
        let now = std::time::Instant::now();
        let uri = target.parse().expect("a SIP URI");
        alice
            .invite(now, &room(), &uri, media_of(ALICE))
            .expect("the call can be made");
        let mut outputs = std::iter::from_fn(|| alice.poll_output());
        let used = outputs.find_map(|output| match output {
            Output::OpenStream { transport, .. } => Some(transport),
            _ => None,
        });
        assert_eq!(used, Some(expected), "{transport} {target}");
    }
}

/// Bob, with a WebSocket from an edge proxy that he trusts.
fn bob() -> (Endpoint, FlowId, std::time::Instant) {
    let now = std::time::Instant::now();
    let mut bob = Endpoint::new(settings(account("bob", Transport::Ws), BOB), [7; 32]);
    let flow = bob.reserve_flow();
    let edge: SocketAddr = address(3, 80);
    bob.stream_opened(now, flow, StreamInfo::new(Transport::Ws, BOB, edge));
    (bob, flow, now)
}

fn sent(bob: &mut Endpoint) -> Vec<String> {
    let outputs = std::iter::from_fn(|| bob.poll_output());
    outputs
        .filter_map(|output| match output {
            Output::SendStream { bytes, .. } => String::from_utf8(bytes.to_vec()).ok(),
            Output::CloseStream { .. } => Some("closed".to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_message_needs_no_content_length_and_a_bad_one_spoils_nothing_after_it() {
    let (mut bob, flow, now) = bob();
    let options = |number: u32| {
        format!(
            "OPTIONS sip:{BOB} SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK{number}\r\n\
             From: <sip:carol@example.test>;tag=1\r\nTo: <sip:{BOB}>\r\n\
             Call-ID: {number}\r\nCSeq: 1 {}\r\nMax-Forwards: 70\r\n\r\n",
            Method::Options
        )
    };
    bob.stream_received(now, flow, &options(1).into());
    let answers = sent(&mut bob);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].starts_with("SIP/2.0 200 "), "{answers:?}");

    for bad in ["\u{0}\u{1}\u{2}", "OPTIONS", "INVITE sip:x SIP/9.0\r\n\r\n"] {
        bob.stream_received(now, flow, &bad.to_owned().into());
        let said = sent(&mut bob);
        assert!(
            !said.iter().any(|it| it == "closed" || it.contains(" 200 ")),
            "{said:?}"
        );
    }
    assert!(bob.statistics().malformed >= 3);
    bob.stream_received(now, flow, &options(2).into());
    assert!(sent(&mut bob)[0].starts_with("SIP/2.0 200 "));
}

#[test]
fn line_ends_are_a_sign_of_life_over_a_websocket_too() {
    let (mut bob, flow, now) = bob();
    bob.stream_received(now, flow, &"\r\n\r\n".into());
    assert_eq!(sent(&mut bob), ["\r\n"]);
    bob.stream_received(now, flow, &"\r\n".into());
    assert_eq!(sent(&mut bob), Vec::<String>::new());
}
