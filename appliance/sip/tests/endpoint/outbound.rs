//! Flows, signs of life, GRUUs and routes: RFC 5626, 5627, 3608.

use std::net::SocketAddr;
use std::time::Duration;

use netem::Network;
use sip::endpoint::{Account, CallId, Event};
use sip::grammar::{Contact, HeaderName, Method, NameAddr, Request, Response, StatusCode, Token};
use sip::registration::{RegistrationFailure, RegistrationState};
use sip::stun::is_stun;
use sip::transport::Transport;

use crate::calls::bad_network;
use crate::policy::{invite_from, request_from};
use crate::registrar::{Algorithm, Registrar};
use crate::registration::{register, registering_account, registrar, state, wait_for_state};
use crate::scripted::{request, response};
use crate::world::{ALICE, CAROL, EDGE, REGISTRAR, World, media_of, room, settings};

const INSTANCE: &str = "<urn:uuid:00000000-0000-4000-8000-0000c0000201>";

/// Alice, whose registrar agrees to use her flows.
fn outbound_world(transport: Transport, proxies: &[SocketAddr]) -> World {
    let mut world = World::new(1);
    let proxies = proxies.iter();
    let account = Account {
        transport,
        proxies: proxies
            .map(|proxy| format!("sip:{proxy}").parse().expect("a SIP URI"))
            .collect(),
        ..registering_account("correct")
    };
    world.add(settings(account, ALICE), ALICE);
    let mut registrar = Registrar::new(Algorithm::Sha256, "correct");
    registrar
        .fields
        .push((HeaderName::Require, "outbound".to_owned()));
    world.registrar = Some(registrar);
    world.network.listen(REGISTRAR);
    world.network.listen(EDGE);
    world
}

pub(crate) fn registered_world(transport: Transport, proxies: &[SocketAddr]) -> World {
    let mut world = outbound_world(transport, proxies);
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.run(Duration::from_millis(100));
    world
}

fn flows(world: &mut World) -> Vec<RegistrationState> {
    world.act(ALICE, |alice, _| alice.registration_flows(&room()))
}

pub(crate) fn contact_of(request: &Request) -> NameAddr {
    match request.headers.required::<Contact>().expect("well-formed") {
        Contact::Address(address) => address,
        Contact::All => panic!("an address was expected"),
    }
}

/// `reg-id` of each REGISTER, with where it arrived.
fn reg_ids(world: &mut World) -> Vec<(SocketAddr, Option<String>)> {
    registrar(world)
        .requests
        .iter()
        .filter(|(_, request)| *request.method() == Method::Register)
        .map(|(at, request)| {
            let reg_id = contact_of(request)
                .params()
                .get("reg-id")
                .map(str::to_owned);
            (*at, reg_id)
        })
        .collect()
}

fn losses(world: &mut World) -> usize {
    let lost = |event: &&Event| {
        let state = match event {
            Event::Registration { state, .. } => *state,
            _ => return false,
        };
        matches!(state, RegistrationState::BackingOff(_))
    };
    world.events(ALICE).iter().filter(lost).count()
}

#[test]
fn each_register_names_the_box_the_flow_and_what_we_support() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = registered_world(transport, &[]);
        world.run(Duration::from_secs(1_500));
        let requests = &registrar(&mut world).requests;
        assert!(requests.len() >= 4, "challenge, grant, two refreshes");
        for (_, request) in requests {
            let contact = contact_of(request);
            assert_eq!(contact.params().get("+sip.instance"), Some(INSTANCE));
            assert_eq!(contact.params().get("reg-id"), Some("1"));
            let supported: Vec<String> = request
                .headers
                .values::<Token>(&HeaderName::Supported)
                .map(|token| token.expect("well-formed").as_str().to_owned())
                .collect();
            assert_eq!(supported, ["path", "outbound", "gruu"]);
        }
    }
}

#[test]
fn a_box_without_an_identity_offers_neither_flows_nor_gruus() {
    let mut world = World::new(1);
    let mut settings = settings(registering_account("correct"), ALICE);
    settings.instance_id = None;
    world.add(settings, ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Md5, "correct"));
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    for (_, request) in &registrar(&mut world).requests {
        assert_eq!(
            request.headers.get(&HeaderName::Supported),
            Some(&b"path"[..])
        );
        let contact = contact_of(request);
        assert!(!contact.params().contains("reg-id"));
        assert!(!contact.params().contains("+sip.instance"));
    }
}

#[test]
fn a_first_hop_that_knows_no_flows_is_not_asked_for_them_again() {
    let mut world = outbound_world(Transport::Udp, &[]);
    let lacking = StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT;
    registrar(&mut world).refusal = Some((lacking, None));
    register(&mut world);
    world.run(Duration::from_secs(1));
    assert_eq!(
        state(&mut world),
        RegistrationState::BackingOff(RegistrationFailure::Refused(lacking)),
        "one that refuses both is left alone for a while"
    );
    let reg_ids: Vec<_> = reg_ids(&mut world).into_iter().map(|(_, id)| id).collect();
    assert_eq!(reg_ids, [Some("1".to_owned()), None]);
    registrar(&mut world).refusal = None;
    world.run(Duration::from_secs(61));
    assert_eq!(state(&mut world), RegistrationState::Registered);
}

#[test]
fn a_flow_by_udp_is_kept_open_by_stun_and_by_nothing_else() {
    for (flow_timer, shortest, longest) in [(None, 23, 29), (Some("15"), 12, 15)] {
        let mut world = outbound_world(Transport::Udp, &[]);
        if let Some(flow_timer) = flow_timer {
            let field = (HeaderName::FlowTimer, flow_timer.to_owned());
            registrar(&mut world).fields.push(field);
        }
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        let before = world.sent.len();
        world.run(Duration::from_secs(300));
        let signs = |stun: bool| {
            let sent = world.sent[before..].iter();
            sent.filter(|(from, _, bytes)| *from == ALICE && is_stun(bytes) == stun)
                .count()
        };
        let (stun, others) = (signs(true), signs(false));
        assert!(
            (300 / longest..=300 / shortest + 1).contains(&stun),
            "{stun}"
        );
        assert_eq!(others, 0, "no line ends, and no REGISTER yet");
        assert_eq!(losses(&mut world), 0);
    }
}

#[test]
fn a_udp_flow_over_which_no_stun_answer_comes_is_registered_anew() {
    let mut world = registered_world(Transport::Udp, &[]);
    world.run(Duration::from_secs(100));
    registrar(&mut world).deaf = true;
    let before = world.sent.len();
    world.run(Duration::from_secs(39));
    assert_eq!(losses(&mut world), 0, "answers may be lost");
    world.run(Duration::from_secs(29 + 2));
    assert_eq!(losses(&mut world), 1, "39.5 s without an answer");
    let questions = world.sent[before..]
        .iter()
        .filter(|(from, _, bytes)| *from == ALICE && is_stun(bytes));
    assert!(questions.count() >= 7, "repeated before giving up");
    assert_eq!(
        state(&mut world),
        RegistrationState::Registered,
        "within a second"
    );
    assert_eq!(registrar(&mut world).granted.len(), 2);
}

#[test]
fn a_bad_network_costs_no_registration() {
    for seed in 0..10 {
        let mut world = outbound_world(Transport::Udp, &[REGISTRAR, EDGE]);
        world.network = Network::new(seed, world.now);
        world.network.set_default_conditions(bad_network());
        register(&mut world);
        world.run(Duration::from_secs(90));
        for _ in 0..60 {
            world.run(Duration::from_secs(60));
            assert_eq!(
                state(&mut world),
                RegistrationState::Registered,
                "seed {seed}"
            );
        }
        let registrar = registrar(&mut world);
        // Refreshed at least each 510 s by each flow; half as often again for those that fail.
        let granted = registrar.granted.len();
        assert!(
            (2 * 7..=2 * 14).contains(&granted),
            "seed {seed}: {granted}"
        );
    }
}

#[test]
fn a_nat_that_gives_us_another_address_makes_us_register_anew() {
    let mut world = registered_world(Transport::Udp, &[]);
    world.run(Duration::from_secs(100));
    assert_eq!(registrar(&mut world).granted.len(), 1);
    registrar(&mut world).mapped = Some(CAROL);
    world.run(Duration::from_secs(31));
    assert_eq!(losses(&mut world), 1);
    assert_eq!(registrar(&mut world).granted.len(), 2);
    world.run(Duration::from_secs(100));
    assert_eq!(
        losses(&mut world),
        1,
        "the new address is the one to compare with"
    );
}

#[test]
fn a_stun_answer_to_nothing_we_have_asked_changes_nothing() {
    let mut world = registered_world(Transport::Udp, &[]);
    let now = world.now;
    let stranger = "\u{1}\u{1}\0\0\u{21}\u{12}";
    let mut answer = stranger.as_bytes().to_vec();
    answer.extend([0xa4, 0x42]);
    answer.extend([7; 12]);
    for from in [REGISTRAR, CAROL] {
        world.network.send(now, from, ALICE, answer.clone().into());
    }
    let mut malformed = answer;
    malformed.push(0);
    world.network.send(now, CAROL, ALICE, malformed.into());
    world.run(Duration::from_secs(10));
    assert_eq!(state(&mut world), RegistrationState::Registered);
    let statistics = world.act(ALICE, |alice, _| alice.statistics());
    assert_eq!(statistics.malformed, 1);
    assert!(
        world.received.is_empty(),
        "nothing is answered: {:?}",
        world.received
    );
}

#[test]
fn a_connection_without_pongs_is_given_up_ten_seconds_after_the_ping_and_replaced() {
    let mut world = outbound_world(Transport::Tls, &[]);
    let flow_timer = (HeaderName::FlowTimer, "40".to_owned());
    registrar(&mut world).fields.push(flow_timer);
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.run(Duration::from_secs(200));
    assert_eq!(losses(&mut world), 0);
    registrar(&mut world).deaf = true;
    // A ping is due within 40 s, its answer within 10 s, the new connection within 1 s.
    world.run(Duration::from_secs(40 + 10 + 1));
    assert_eq!(losses(&mut world), 1);
    assert_eq!(state(&mut world), RegistrationState::Registered);
    let ids: Vec<_> = reg_ids(&mut world).into_iter().map(|(_, id)| id).collect();
    assert!(ids.iter().all(|id| id.as_deref() == Some("1")), "{ids:?}");
    // One that goes on so is asked ever more seldom.
    world.run(Duration::from_secs(3_600));
    let granted = registrar(&mut world).granted.len();
    assert!(granted < 15, "{granted} in an hour");
}

#[test]
fn a_registrar_that_has_promised_no_pongs_need_not_send_any() {
    let mut world = outbound_world(Transport::Tls, &[]);
    registrar(&mut world).fields.clear();
    registrar(&mut world).deaf = true;
    register(&mut world);
    world.run(Duration::from_secs(3_600));
    assert_eq!(losses(&mut world), 0);
}

#[test]
fn an_account_registers_by_each_of_its_proxies_and_one_of_them_is_enough() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = registered_world(transport, &[REGISTRAR, EDGE]);
        assert_eq!(flows(&mut world), [RegistrationState::Registered; 2]);
        let mut granted = reg_ids(&mut world);
        granted.sort();
        granted.dedup();
        let expected = [
            (EDGE, Some("2".to_owned())),
            (REGISTRAR, Some("1".to_owned())),
        ];
        assert_eq!(granted, expected, "{transport}");
        // The first proxy dies; a flow that is not alive is noticed, and nobody needs to know.
        world.run(Duration::from_secs(120));
        registrar(&mut world).silent_at.push(REGISTRAR);
        world.run(Duration::from_secs(300));
        assert_ne!(flows(&mut world)[0], RegistrationState::Registered);
        assert_eq!(flows(&mut world)[1], RegistrationState::Registered);
        assert_eq!(state(&mut world), RegistrationState::Registered);
        assert_eq!(losses(&mut world), 0, "{transport}: one flow is enough");
        registrar(&mut world).silent_at.clear();
        world.run(Duration::from_secs(1_800));
        assert_eq!(flows(&mut world), [RegistrationState::Registered; 2]);
    }
}

#[test]
fn a_proxy_that_had_time_is_asked_soon_when_the_last_that_worked_is_gone() {
    // Twice the base time of RFC 5626 section 4.5 while all have failed, and the REGISTER itself.
    const SOON: Duration = Duration::from_secs(62);
    let mut world = registered_world(Transport::Tls, &[REGISTRAR, EDGE]);
    // While the second works, the first is tried ever more seldom: every half hour at last.
    registrar(&mut world).silent_at.push(REGISTRAR);
    world.run(Duration::from_secs(6 * 3_600));
    let expected = |flows: &[RegistrationState]| {
        flows
            .iter()
            .map(|state| *state == RegistrationState::Registered)
            .collect::<Vec<_>>()
    };
    assert_eq!(expected(&flows(&mut world)), [false, true]);
    registrar(&mut world).silent_at = vec![EDGE];
    let is_called = |world: &mut World| state(world) == RegistrationState::Registered;
    while is_called(&mut world) {
        assert_eq!(
            expected(&flows(&mut world)),
            [false, true],
            "the first is back too soon"
        );
        world.run(Duration::from_secs(1));
    }
    world.run(SOON);
    assert_eq!(expected(&flows(&mut world)), [true, false]);
}

#[test]
fn refusals_by_two_proxies_count_as_refusals_of_one_account() {
    let mut world = outbound_world(Transport::Udp, &[REGISTRAR, EDGE]);
    registrar(&mut world).password = "changed";
    register(&mut world);
    world.run(Duration::from_secs(3_600));
    let locked = RegistrationState::Locked(StatusCode::UNAUTHORIZED);
    assert_eq!(flows(&mut world), [locked; 2]);
    let with_password = registrar(&mut world)
        .requests
        .iter()
        .filter(|(_, request)| request.headers.contains(&HeaderName::Authorization))
        .count();
    assert!(with_password <= 4, "{with_password} guesses");
}

/// Calls Bob at the account's domain and gives the INVITE, with where it went.
fn call(world: &mut World) -> (SocketAddr, Request) {
    let before = registrar(world).requests.len();
    world
        .act(ALICE, |alice, now| {
            let target = "sip:bob@example.test".parse().expect("a SIP URI");
            alice.invite(now, &room(), &target, media_of(ALICE))
        })
        .expect("the call can be made");
    world.run(Duration::from_millis(100));
    registrar(world).requests[before..]
        .iter()
        .find(|(_, request)| *request.method() == Method::Invite)
        .cloned()
        .expect("the INVITE arrived")
}

fn routes(request: &Request) -> Vec<String> {
    request
        .headers
        .values::<NameAddr>(&HeaderName::Route)
        .map(|route| route.expect("well-formed").uri().to_string())
        .collect()
}

#[test]
fn calls_leave_over_a_flow_that_works() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = registered_world(transport, &[REGISTRAR, EDGE]);
        let (at, invite) = call(&mut world);
        assert_eq!(at, REGISTRAR);
        assert_eq!(routes(&invite), [format!("sip:{REGISTRAR};lr")]);
        registrar(&mut world).silent_at.push(REGISTRAR);
        world.run(Duration::from_secs(300));
        let (at, invite) = call(&mut world);
        assert_eq!(at, EDGE, "{transport}");
        assert_eq!(routes(&invite), [format!("sip:{EDGE};lr")]);
    }
}

#[test]
fn a_redirected_call_leaves_over_the_flow_that_works_by_then() {
    let mut world = registered_world(Transport::Udp, &[REGISTRAR, EDGE]);
    registrar(&mut world).called = StatusCode::RINGING;
    let (at, invite) = call(&mut world);
    assert_eq!(at, REGISTRAR);
    registrar(&mut world).silent_at.push(REGISTRAR);
    world.run(Duration::from_secs(80));
    let before = registrar(&mut world).requests.len();
    let mut moved = Response::to(&invite, StatusCode::MOVED_TEMPORARILY);
    moved.headers.add_to_tag("registrar").expect("a token");
    moved
        .headers
        .push(HeaderName::Contact, "<sip:carol@example.test>")
        .expect("plain text");
    let moved = moved.to_bytes();
    world.network.send(world.now, REGISTRAR, ALICE, moved);
    world.run(Duration::from_millis(100));
    let (at, again) = registrar(&mut world).requests[before..]
        .iter()
        .find(|(_, request)| *request.method() == Method::Invite)
        .cloned()
        .expect("the call goes on");
    assert_eq!(again.uri().to_string(), "sip:carol@example.test");
    assert_eq!(at, EDGE);
    assert_eq!(routes(&again), [format!("sip:{EDGE};lr")]);
}

#[test]
fn calls_pass_the_proxies_that_the_registrar_names_after_our_own() {
    for (service_route, expected) in [
        (
            "<sip:one.example.test;lr>, <sip:two.example.test;lr>",
            &[
                "sip:192.0.2.9:5060;lr",
                "sip:one.example.test;lr",
                "sip:two.example.test;lr",
            ][..],
        ),
        // The proxy that we have named already.
        (
            "<sip:192.0.2.9:5060;lr>, <sip:two.example.test;lr>",
            &["sip:192.0.2.9:5060;lr", "sip:two.example.test;lr"],
        ),
        // Strict routers, other schemes and nonsense are no route.
        ("<sip:strict.example.test>", &["sip:192.0.2.9:5060;lr"]),
        ("<tel:+1>", &["sip:192.0.2.9:5060;lr"]),
        ("<sip:one.example.test;lr>, <", &["sip:192.0.2.9:5060;lr"]),
    ] {
        let mut world = outbound_world(Transport::Udp, &[REGISTRAR]);
        let field = (HeaderName::ServiceRoute, service_route.to_owned());
        registrar(&mut world).fields.push(field);
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        let (_, invite) = call(&mut world);
        assert_eq!(routes(&invite), expected, "{service_route}");
    }
}

const PUBLIC: &str = "sip:alice@example.test;gr=urn:uuid:00000000-0000-4000-8000-0000c0000201";

#[test]
fn dialogs_name_the_gruu_that_the_registrar_has_given() {
    for (params, uri) in [
        (
            ";pub-gruu=\"sip:alice@example.test;gr=urn:uuid:00000000-0000-4000-8000-0000c0000201\"\
             ;temp-gruu=\"sip:tgruu.7hs@example.test;gr\"",
            PUBLIC,
        ),
        (
            ";temp-gruu=\"sip:tgruu.7hs@example.test;gr\"",
            "sip:tgruu.7hs@example.test;gr",
        ),
        // No GRUUs: without `gr`, or no SIP URI.
        (
            ";pub-gruu=\"sip:alice@example.test\"",
            "sip:alice@192.0.2.1:5060;ob",
        ),
        (";pub-gruu=\"tel:+1;gr\"", "sip:alice@192.0.2.1:5060;ob"),
        ("", "sip:alice@192.0.2.1:5060;ob"),
    ] {
        let mut world = outbound_world(Transport::Udp, &[REGISTRAR]);
        registrar(&mut world).contact_params = params;
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        let (_, invite) = call(&mut world);
        assert_eq!(contact_of(&invite).uri().to_string(), uri, "{params}");
        // REGISTER goes on to name the address itself.
        world.run(Duration::from_secs(600));
        let (_, refresh) = registrar(&mut world)
            .requests
            .iter()
            .rfind(|(_, request)| *request.method() == Method::Register)
            .expect("there are some");
        let address = contact_of(refresh).uri().to_string();
        assert_eq!(address, "sip:alice@192.0.2.1:5060");
    }
}

#[test]
fn a_registrar_that_gives_gruus_but_uses_no_flows_is_told_our_address() {
    let mut world = outbound_world(Transport::Udp, &[REGISTRAR]);
    registrar(&mut world).fields.clear();
    registrar(&mut world).contact_params = ";pub-gruu=\"sip:alice@example.test;gr=1\"";
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let (_, invite) = call(&mut world);
    let address = contact_of(&invite).uri().to_string();
    assert_eq!(address, "sip:alice@192.0.2.1:5060");
}

#[test]
fn who_calls_without_our_registrar_is_told_our_address_not_our_gruu() {
    let mut world = outbound_world(Transport::Udp, &[REGISTRAR]);
    let params = ";pub-gruu=\"sip:alice@example.test;gr=1\"";
    registrar(&mut world).contact_params = params;
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let contacts: Vec<String> = [CAROL, REGISTRAR]
        .into_iter()
        .map(|from| {
            let before = world.sent.len();
            world.inject(
                from,
                ALICE,
                &request_from(
                    "INVITE",
                    from,
                    "sip:alice@example.test;gr=1",
                    &from.ip().to_string(),
                    "",
                ),
            );
            let call = world.wait_for(ALICE, |event| match event {
                Event::Incoming { call, remote, .. } if *remote == from => Some(*call),
                _ => None,
            });
            ring(&mut world, call);
            let ringing = world.sent[before..]
                .iter()
                .filter_map(|(_, _, bytes)| response(bytes))
                .find(|response| response.status() == StatusCode::RINGING)
                .expect("it rings");
            match ringing.headers.required::<Contact>() {
                Ok(Contact::Address(contact)) => contact.uri().to_string(),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let expected = ["sip:alice@192.0.2.1:5060", "sip:alice@example.test;gr=1"];
    assert_eq!(contacts, expected);
}

fn ring(world: &mut World, call: CallId) {
    world
        .act(ALICE, |alice, now| alice.ring(now, call))
        .expect("it is unanswered");
    world.run(Duration::from_millis(10));
}

#[test]
fn requests_of_a_call_to_a_gruu_are_those_of_its_account() {
    let mut world = outbound_world(Transport::Udp, &[]);
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let text = invite_from(REGISTRAR, "sip:tgruu.7hs@example.test;gr");
    world.inject(REGISTRAR, ALICE, &text);
    let account = world.wait_for(ALICE, |event| match event {
        Event::Incoming { account, .. } => Some(account.clone()),
        _ => None,
    });
    assert_eq!(account, room());
    assert!(
        world
            .received
            .iter()
            .all(|(_, bytes)| request(bytes).is_none())
    );
}

#[test]
fn each_flow_of_several_is_told_of_and_the_only_one_of_an_account_is_not() {
    let told = |world: &mut World| {
        let events = world.events(ALICE).iter();
        let flows = events.filter_map(|event| match event {
            Event::RegistrationFlows { flows, .. } => Some(flows.clone()),
            _ => None,
        });
        flows.last()
    };
    let both = RegistrationState::Registered;
    let mut world = registered_world(Transport::Udp, &[REGISTRAR, EDGE]);
    world.run(Duration::from_secs(1));
    assert_eq!(told(&mut world), Some(vec![both, both]));

    // The account is registered still, and only this says that something is wrong.
    registrar(&mut world).silent_at.push(EDGE);
    world.run(Duration::from_secs(700));
    assert_eq!(state(&mut world), RegistrationState::Registered);
    let flows = told(&mut world).expect("it was told");
    assert_eq!(flows[0], RegistrationState::Registered);
    assert_ne!(flows[1], RegistrationState::Registered, "{flows:?}");

    let mut world = registered_world(Transport::Udp, &[REGISTRAR]);
    world.run(Duration::from_secs(700));
    assert_eq!(told(&mut world), None);
}
