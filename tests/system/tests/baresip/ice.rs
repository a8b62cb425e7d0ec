//! Calls whose media find their way by ICE (RFC 8445). baresip takes no address of the loopback for a
//! candidate: each end has a network of its own, with a cable between them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use api::snapshot::{EndReason, HeldBy, LegState};
use system::baresip::{Ice, MediaEncryption, Transport, Video};
use system::network_namespace::NetworkNamespace;
use system::room_setup::{PEER_AT_CABLE, Place};

use crate::site::{LIMIT, Site, site};

const PEER_BEHIND_NAT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// For half a minute without an answer.
const CONSENT_LIMIT: Duration = Duration::from_secs(60);

/// A room that offers ICE, and a peer that uses it, with the peer's network.
fn ice_site(encryption: MediaEncryption) -> (Site, Arc<NetworkNamespace>) {
    let (place, beyond) = Place::with_cable().unwrap();
    let site = site_at(place, &beyond, PEER_AT_CABLE, encryption);
    (site, beyond)
}

/// As much with the peer behind a NAT: the room has no way to its address.
fn ice_site_behind_nat(encryption: MediaEncryption) -> (Site, Arc<NetworkNamespace>) {
    let (place, nat) = Place::with_cable().unwrap();
    let inner = Arc::new(nat.beside().unwrap());
    nat.connect("inside0", &inner, "peer0").unwrap();
    nat.ip("address add 10.0.0.1/24 dev inside0").unwrap();
    nat.translate("peer0").unwrap();
    inner
        .ip(&format!("address add {PEER_BEHIND_NAT}/24 dev peer0"))
        .unwrap();
    inner.ip("route add default via 10.0.0.1").unwrap();
    (site_at(place, &inner, PEER_BEHIND_NAT, encryption), nat)
}

fn site_at(
    place: Place,
    network: &Arc<NetworkNamespace>,
    address: Ipv4Addr,
    encryption: MediaEncryption,
) -> Site {
    site(|setup, config| {
        setup.place = place;
        (setup.ice, config.ice) = ("offered", Ice::On);
        (config.address, config.network) = (address, Some(Arc::clone(network)));
        (setup.media_encryption, config.media_encryption) = (encryption, encryption);
        (setup.transport, config.transport) = (Transport::Tcp, Transport::Tcp);
        config.video = Video::TestPattern;
    })
}

/// How often a way has been found.
fn selections(site: &Site) -> usize {
    let log = site.room.roomd.log().entries();
    let found = log.iter().filter(|line| line.contains("ICE has selected"));
    found.count()
}

/// Both the sound and the pictures have a way that ICE has found.
fn assert_found_by_ice(site: &Site) {
    for medium in ["Audio", "Video"] {
        site.room
            .roomd
            .log()
            .wait_for(&format!("the way of {medium}"), LIMIT, |line| {
                let told = line.contains("ICE has selected a pair") && line.contains(medium);
                (told && line.contains(&PEER_AT_CABLE.to_string())).then_some(())
            })
            .unwrap();
    }
}

fn assert_the_room_calls(encryption: MediaEncryption) {
    let (mut site, _) = ice_site(encryption);
    site.room_calls();
    assert_found_by_ice(&site);
    site.assert_media_flows_on();
}

fn assert_the_peer_calls(encryption: MediaEncryption) {
    let (mut site, _) = ice_site(encryption);
    site.peer_calls();
    assert_found_by_ice(&site);
    site.assert_media_flows_on();
}

/// Called, baresip 1.0 with ICE writes its answer before it has read our keys: it names its own first
/// suite, and goes on with ours.
#[test]
fn media_with_keys_in_the_descriptions_flow_where_ice_has_led_them() {
    assert_the_peer_calls(MediaEncryption::SrtpMandatory);
}

#[test]
fn media_with_keys_by_dtls_flow_where_ice_has_led_them() {
    assert_the_room_calls(MediaEncryption::DtlsSrtp);
    assert_the_peer_calls(MediaEncryption::DtlsSrtp);
}

#[test]
fn media_in_the_clear_flow_where_ice_has_led_them() {
    assert_the_room_calls(MediaEncryption::Off);
    assert_the_peer_calls(MediaEncryption::Off);
}

#[test]
fn a_peer_behind_a_nat_is_found_by_its_checks() {
    for encryption in [MediaEncryption::DtlsSrtp, MediaEncryption::Off] {
        let (mut site, _nat) = ice_site_behind_nat(encryption);
        site.peer_calls();
        assert_found_by_ice(&site);
        site.assert_media_flows_on();
    }
}

#[test]
fn a_hold_leaves_the_way_as_it_is() {
    let (mut site, _) = ice_site(MediaEncryption::DtlsSrtp);
    site.room_calls();
    site.assert_media_flows_on();
    let before = site.now();
    site.room.roomd.roomctl(&["hold"]).unwrap();
    let held = LegState::Held { by: HeldBy::Local };
    site.room.wait_for_state(before, held, LIMIT).unwrap();
    let before = site.now();
    site.room.roomd.roomctl(&["resume"]).unwrap();
    site.room
        .wait_for_state(before, LegState::Established, LIMIT)
        .unwrap();
    site.assert_media_flows_on();
    assert_eq!(selections(&site), 2, "one of sound and one of pictures");
}

#[test]
fn a_peer_that_is_cut_off_consents_no_more_and_the_call_is_over() {
    let (mut site, beyond) = ice_site(MediaEncryption::DtlsSrtp);
    site.room_calls();
    let before = site.now();
    beyond.ip("link set peer0 down").unwrap();
    let ended = LegState::Ended {
        reason: EndReason::PeerLost,
    };
    site.room
        .wait_for_state(before, ended, CONSENT_LIMIT)
        .unwrap();
}
