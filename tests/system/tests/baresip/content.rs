//! What one side shows and says is what the other sees and hears.

use std::time::Duration;

use api::snapshot::{CallDirection, EndReason, LegSecurity, Protection};
use hal_core::burnt_clock::Stamp;
use rustix::time::{ClockId, clock_gettime};
use system::baresip::{BaresipConfig, MediaEncryption, Transport, Video, VideoFormat};
use system::footage::{Recording, reply, speech};
use system::journal::Mark;
use system::picture::Luma;
use system::room_setup::{Camera, RoomSetup};
use system::sound::Sound;

use crate::site::{LIMIT, Site, in_the_clear, site};

/// A picture that went through H.264 at 2 Mbit/s is that far from its recording, in dB; another
/// picture is 15 dB away or less.
const LEAST_PSNR: f64 = 25.0;
/// The clearest second of a voice that went through echo, noise and gain control and a codec while
/// nobody else spoke has 0.92, other words stay below 0.5.
const LEAST_CORRELATION: f32 = 0.85;
/// Each side speaks so long, in seconds, and is then silent while the other speaks: echo control
/// takes from a voice that speaks at the same time as another.
const TURN: f32 = 4.5;
/// Both turns and a second more, in 20 ms packets.
const SPOKEN_PACKETS: u64 = 500;
/// An older picture is not live.
const OLDEST_PICTURE: Duration = Duration::from_secs(2);

const ENCRYPTED: LegSecurity = LegSecurity {
    signalling: Protection::Encrypted,
    media: Protection::Encrypted,
};
const PLAIN: LegSecurity = LegSecurity {
    signalling: Protection::Plain,
    media: Protection::Plain,
};

/// Either side sends another recording, so that none can be taken for the other's. The room speaks
/// first.
fn different_recordings(setup: &mut RoomSetup, config: &mut BaresipConfig) {
    setup.camera = Camera::Recording(Recording::BigBuckBunny.file().unwrap());
    let silence = Sound::silence(48_000, TURN);
    let in_turn = |first: Sound, then: Sound| {
        let then = then.lasting(TURN);
        first.lasting(TURN).followed_by(&then).unwrap()
    };
    setup.sound = Some(in_turn(speech().unwrap(), silence.clone()));
    config.sound = in_turn(silence, reply().unwrap());
    config.video = Video::Recording(Recording::Bikes.file().unwrap());
    config.video_format = VideoFormat {
        width: 640,
        height: 272,
        ..config.video_format
    };
}

pub(crate) fn assert_shows(picture: &Luma, recording: Recording) {
    let found = picture.best_match(&recording.file().unwrap()).unwrap();
    assert!(found.psnr > LEAST_PSNR, "{recording:?}: {found:?}");
}

pub(crate) fn assert_says(heard: &Sound, said: &Sound) {
    let clearest = heard.clearest_second(said).unwrap();
    assert!(clearest > LEAST_CORRELATION, "{clearest}");
}

/// How long ago the simulated camera took the picture: its clock counts units of 0.1 ms since the
/// system's monotonic clock was zero.
pub(crate) fn age(stamp: Stamp) -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let now = now.tv_sec * 10_000 + now.tv_nsec / 100_000;
    let age = (now as u32).wrapping_sub(stamp.count());
    Duration::from_micros(100) * age
}

/// Pictures and voices of both sides, and a call that ends by the room.
fn assert_content_and_hang_up(site: &mut Site) {
    assert_shows(
        &site.peer.snapshot_received().unwrap(),
        Recording::BigBuckBunny,
    );
    assert_shows(
        &site.room.roomd.picture("far-end").unwrap(),
        Recording::Bikes,
    );
    assert_shows(
        &site.room.roomd.picture("sent").unwrap(),
        Recording::BigBuckBunny,
    );
    site.wait_until_the_peer_has_heard(SPOKEN_PACKETS);
    site.room.hang_up_with(&[], LIMIT).unwrap();
    site.peer
        .wait_for_event(Mark::default(), "CALL_CLOSED", LIMIT)
        .unwrap();
    assert_says(&site.peer.received_sound().unwrap(), &speech().unwrap());
    assert_says(&site.heard_in_the_room(), &reply().unwrap());
}

#[test]
fn an_encrypted_call_by_the_room_shows_and_says_the_recordings() {
    let mut site = site(different_recordings);
    site.room_calls();
    let leg = site.room.only_leg().unwrap();
    assert_eq!(leg.security, Some(ENCRYPTED));
    let (audio, video) = (leg.audio.unwrap(), leg.video.unwrap());
    assert_eq!((&*audio.codec, &*video.codec), ("opus", "H264"));
    // The strongest suite that baresip takes of the room's offer. It shares no port and knows of
    // feedback for lost pictures only.
    let strongest = Some("AEAD_AES_256_GCM");
    for transport in [&audio.transport, &video.transport] {
        assert_eq!(transport.srtp_suite.as_deref(), strongest);
        assert!(!transport.rtcp_mux && !transport.rtcp_reduced_size);
    }
    assert_eq!(video.transport.rtcp_feedback, ["nack pli"]);
    for medium in ["audio", "video"] {
        let encrypted = format!("0,{medium},AEAD_AES_256_GCM");
        let events = site.peer.events().entries();
        assert!(
            events.iter().any(|event| event.parameter == encrypted),
            "{events:?}"
        );
    }
    assert_content_and_hang_up(&mut site);
}

#[test]
fn an_encrypted_call_by_the_peer_is_answered_and_shows_the_live_camera() {
    let mut site = site(|_, _| {});
    site.peer_calls();
    let leg = site.room.only_leg().unwrap();
    assert_eq!(leg.security, Some(ENCRYPTED));
    assert!(leg.peer.uri.contains("peer@127.0.0.1"), "{}", leg.peer.uri);
    let first = site.peer.snapshot_received().unwrap().stamp().unwrap();
    let age_of_first = age(first);
    assert!(age_of_first < OLDEST_PICTURE, "{age_of_first:?}");
    let second = site.peer.snapshot_received().unwrap().stamp().unwrap();
    assert!(second.count() > first.count(), "the picture stands still");
    assert_shows(
        &site.room.roomd.picture("far-end").unwrap(),
        Recording::BigBuckBunny,
    );
    site.peer.hang_up().unwrap();
    site.wait_for_end(CallDirection::Incoming, EndReason::RemoteHangUp);
}

fn a_plain_call_is_marked(transport: Transport) {
    let mut site = site(|setup, config| {
        in_the_clear(transport)(setup, config);
        different_recordings(setup, config);
    });
    site.room_calls();
    assert_eq!(site.room.only_leg().unwrap().security, Some(PLAIN));
    assert_content_and_hang_up(&mut site);
}

#[test]
fn a_plain_call_over_udp_that_the_account_allows_is_marked() {
    a_plain_call_is_marked(Transport::Udp);
}

#[test]
fn a_plain_call_over_tcp_that_the_account_allows_is_marked() {
    a_plain_call_is_marked(Transport::Tcp);
}

#[test]
fn a_peer_without_encryption_is_refused_in_both_directions() {
    let mut site = site(|_, config| config.media_encryption = MediaEncryption::Off);
    site.peer.dial(site.room.uri()).unwrap();
    let closed = site
        .peer
        .wait_for_event(Mark::default(), "CALL_CLOSED", LIMIT)
        .unwrap();
    assert!(closed.parameter.contains("488"), "{closed:?}");
    site.wait_for_end(CallDirection::Incoming, EndReason::EncryptionRequired);
    site.room.call(site.peer.uri()).unwrap();
    // It refuses with 488, which does not say what it lacks.
    let (direction, reason) = (CallDirection::Outgoing, EndReason::IncompatibleMedia);
    site.wait_for_end(direction, reason);
}
