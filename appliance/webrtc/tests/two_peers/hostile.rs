//! What others do to a leg, and what a hostile guest does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use room::media_plan::Medium;
use str0m::channel::ChannelConfig;
use str0m::ice::{StunMessage, TransId};
use webrtc::{
    CloseReason, Error, Event, Leg, LegSettings, LocalAddress, Output, Protocol, Received,
};

use crate::browser::Browser;
use crate::world::{World, address, browser_address, room_udp};

fn from(source: SocketAddr, payload: &[u8]) -> Received<'_> {
    Received {
        protocol: Protocol::Udp,
        source,
        destination: room_udp(),
        payload,
    }
}

/// Datagrams that begin like all that a leg reads, and are nothing.
fn garbage() -> Vec<Vec<u8>> {
    let mut datagrams = vec![Vec::new(), vec![0x80], vec![22]];
    for first in [0, 1, 20, 21, 22, 23, 26, 44, 63, 100, 0x80, 0x90, 0xb3] {
        for second in [0, 1, 72, 96, 111, 200, 201, 205, 206, 254] {
            for length in [3, 13, 20, 28, 60, 1_200] {
                let mut datagram = vec![second; length];
                datagram[0] = first;
                datagrams.push(datagram);
            }
        }
    }
    // Alerts of DTLS 1.2 without protection: close_notify and handshake_failure.
    for alert in [[1, 0], [2, 40]] {
        let mut record = vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2];
        record.extend(alert);
        datagrams.push(record);
    }
    datagrams
}

#[test]
fn a_stranger_is_not_heard() {
    let mut world = World::new(30);
    world.connect();
    world.media = true;
    world.run_for(Duration::from_secs(1));
    let stranger = address("203.0.113.66:1000");
    for datagram in garbage() {
        assert!(!world.leg.accepts(&from(stranger, &datagram)));
        world.leg.receive(world.now, from(stranger, &datagram));
        assert_eq!(world.leg.poll_output(), None);
    }
}

#[test]
fn garbage_in_the_name_of_the_browser_disturbs_neither_handshake_nor_call() {
    let mut world = World::new(31);
    let step = |world: &mut World| {
        for datagram in garbage() {
            world
                .leg
                .receive(world.now, from(browser_address(), &datagram));
        }
        world.run_for(Duration::from_millis(7));
    };
    for _ in 0..100 {
        step(&mut world);
    }
    assert!(world.leg.is_connected());
    world.media = true;
    for _ in 0..100 {
        step(&mut world);
    }
    world.media = false;
    world.run_for(Duration::from_secs(1));
    for medium in [Medium::Audio, Medium::Video] {
        let sent = world.sent_by_browser(medium) as usize;
        assert!(sent > 30);
        assert_eq!(world.received_by_media(medium).len(), sent);
    }
}

#[test]
fn each_of_two_legs_at_one_address_takes_its_own() {
    let now = Instant::now();
    let addresses = [LocalAddress::udp(room_udp())];
    let settings = LegSettings::default();
    let leg = |number: u8| {
        let own = address(&format!("198.51.100.{number}:6000"));
        let (mut browser, offer) = Browser::new(now, Some(own), None);
        let seed = [number; 32];
        let (leg, answer) = Leg::answer(now, seed, settings.clone(), &addresses, &offer).unwrap();
        browser.accept(now, &answer);
        browser.timeout(now);
        (leg, browser)
    };
    let (one, mut browser) = leg(1);
    let (other, _) = leg(2);
    let check = browser.transmits.pop_front().unwrap();
    let received = from(check.source, &check.contents);
    assert!(one.accepts(&received));
    assert!(!other.accepts(&received));
}

/// The credentials in a description.
fn credentials(description: &str) -> (String, String) {
    let value = |start: &str| {
        let line = description
            .lines()
            .find_map(|line| line.strip_prefix(start));
        line.unwrap().trim().to_owned()
    };
    (value("a=ice-ufrag:"), value("a=ice-pwd:"))
}

#[test]
fn checks_from_ten_thousand_ports_cost_bounded_memory() {
    let now = Instant::now();
    let (_, offer) = Browser::new(now, Some(browser_address()), None);
    let addresses = [LocalAddress::udp(room_udp())];
    let (mut leg, answer) =
        Leg::answer(now, [1; 32], LegSettings::default(), &addresses, &offer).unwrap();
    let (theirs, _) = credentials(&offer);
    let (ours, password) = credentials(&answer);
    let username = format!("{ours}:{theirs}");
    let provider = str0m::crypto::from_feature_flags();
    let mut answered = 0;
    for port in 1_000..11_000 {
        let id = TransId::new();
        let check = StunMessage::binding_request(&username, id, true, 1, 1, false);
        let mut bytes = vec![0; 500];
        let hmac = |key: &[u8], parts: &[&[u8]]| provider.sha1_hmac_provider.sha1_hmac(key, parts);
        let length = check
            .to_bytes(Some(password.as_bytes()), &mut bytes, hmac)
            .unwrap();
        let source = SocketAddr::from(([198, 51, 100, 7], port));
        leg.receive(now, from(source, &bytes[..length]));
        while let Some(output) = leg.poll_output() {
            let Output::Transmit(transmit) = output else {
                continue;
            };
            answered += usize::from(transmit.destination == source);
        }
    }
    assert!((1..=200).contains(&answered), "{answered}");
}

#[test]
fn a_guest_with_ever_new_sources_is_shown_out() {
    let mut world = World::new(33);
    world.connect();
    let mid = world.browser.mids[Medium::Video as usize];
    for number in 0..100_u32 {
        let mut api = world.browser.rtc.direct_api();
        api.reset_stream_tx(
            mid,
            None,
            (90_000 + number).into(),
            Some((80_000 + number).into()),
        );
        world.browser.drain(world.now);
        let now = world.now;
        world
            .browser
            .send_rtp(now, Medium::Video, number, true, b"picture");
        world.run_for(Duration::from_millis(10));
    }
    let closed = Event::Closed(CloseReason::LimitExceeded("sources"));
    let at = world.events.iter().position(|(_, event)| *event == closed);
    assert_eq!(at, Some(world.events.len() - 1));
}

#[test]
fn a_guest_with_a_flood_of_texts_or_channels_is_shown_out() {
    let mut world = World::new(35);
    world.connect();
    world.wait_for(|world| world.browser.channel.is_some());
    for second in 0..3 {
        for number in 0..30 {
            world
                .browser
                .send_text(world.now, &format!("{second} {number}"));
        }
        world.run_for(Duration::from_secs(1));
    }
    assert!(world.leg.is_connected());
    for number in 0..200 {
        world.browser.send_text(world.now, &format!("{number}"));
    }
    world.wait_for(|world| world.saw(&Event::Closed(CloseReason::LimitExceeded("texts"))));

    let mut world = World::new(36);
    world.connect();
    world.wait_for(|world| world.browser.channel.is_some());
    for number in 0..20 {
        let mut api = world.browser.rtc.direct_api();
        api.create_data_channel(ChannelConfig {
            label: number.to_string(),
            ..ChannelConfig::default()
        });
        world.browser.drain(world.now);
        world.browser.timeout(world.now);
    }
    let closed = Event::Closed(CloseReason::LimitExceeded("data channels"));
    world.wait_for(|world| world.saw(&closed));
}

#[test]
fn a_closed_leg_refuses_everything() {
    let mut world = World::new(34);
    world.connect();
    let now = world.now;
    world.leg.close(now);
    world.collect();
    let (_, offer) = Browser::new(now, None, None);
    assert!(matches!(world.leg.reoffer(now, &offer), Err(Error::Closed)));
    assert!(matches!(
        world.leg.add_remote_candidate(now, ""),
        Err(Error::Closed)
    ));
    let text = world.leg.send_text(now, "roomd", "x");
    assert!(text.is_err());
    world.leg.close(now);
    world.leg.handle_timeout(now + Duration::from_secs(60));
    assert_eq!(world.leg.poll_output(), None);
}
