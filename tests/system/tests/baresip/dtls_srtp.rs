//! Calls whose keys a DTLS handshake yields (RFC 5763).

use api::snapshot::{CallDirection, EndReason, HeldBy, LegState, Protection};
use system::baresip::{MediaEncryption, Video};

use crate::site::{LIMIT, Site, site};

/// Both know DTLS-SRTP, and the peer nothing else. Its pictures go on after a hold.
fn keyed_by_dtls() -> Site {
    site(|setup, config| {
        setup.media_encryption = MediaEncryption::DtlsSrtp;
        config.media_encryption = MediaEncryption::DtlsSrtp;
        config.video = Video::TestPattern;
    })
}

/// Whoever waits for the handshake chooses the suite.
fn assert_encrypted(site: &Site, suite: &str) {
    let leg = site.room.only_leg().unwrap();
    let security = leg.security.unwrap();
    assert_eq!(security.media, Protection::Encrypted);
    let (audio, video) = (leg.audio.unwrap(), leg.video.unwrap());
    for agreed in [audio.transport.srtp_suite, video.transport.srtp_suite] {
        assert_eq!(agreed.as_deref(), Some(suite));
    }
}

#[test]
fn a_call_of_the_room_gets_its_keys_by_dtls_and_keeps_them_through_a_hold() {
    let mut site = keyed_by_dtls();
    site.room_calls();
    site.assert_media_flows_on();
    assert_encrypted(&site, "AEAD_AES_256_GCM");
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
    assert_encrypted(&site, "AEAD_AES_256_GCM");
}

#[test]
fn a_caller_that_knows_dtls_alone_is_answered_whatever_the_room_offers() {
    let mut site = site(|_, config| config.media_encryption = MediaEncryption::DtlsSrtp);
    site.peer_calls();
    site.assert_media_flows_on();
    assert_encrypted(&site, "AES_CM_128_HMAC_SHA1_80");
}

#[test]
fn a_call_without_keys_ends_and_says_so() {
    // By itself baresip has an RSA key, which is not taken.
    let site = site(|setup, config| {
        setup.media_encryption = MediaEncryption::DtlsSrtp;
        config.media_encryption = MediaEncryption::Off;
        config.account_parameters = ";mediaenc=dtls_srtp".to_owned();
        config.extra_lines = ["module dtls_srtp.so", "rtcp_mux yes"]
            .map(str::to_owned)
            .into();
    });
    site.room.call(site.peer.uri()).unwrap();
    site.wait_for_end(CallDirection::Outgoing, EndReason::KeyExchangeFailed);
}
