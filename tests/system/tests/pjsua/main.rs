//! The real roomd in calls with pjsua2, a SIP endpoint that others wrote: what baresip has not.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod ice;
mod transfers;

use std::time::Duration;

use api::snapshot::{CallDirection, EndReason, HeldBy, Leg, LegSecurity, LegState, Protection};
use system::authority::Authority;
use system::baresip::{Answer, MediaEncryption, Transport};
use system::footage::{reply, speech};
use system::journal::Mark;
use system::pjsua::{Direction, KeyMethod, Pjsua, PjsuaConfig, ReliableRinging};
use system::room_setup::{Room, RoomSetup, end_reason};
use system::sipp::{Scenario, Sipp};
use system::sound::Sound;
use tempfile::TempDir;

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Three seconds of 20 ms packets: a few of the words.
const SPOKEN_PACKETS: u64 = 150;
/// The file with what the room's loudspeaker plays.
const HEARD: &str = "heard.pcm";
const LEAST_CORRELATION: f32 = 0.7;

/// A room and a peer.
struct Site {
    room: Room,
    peer: Pjsua,
    authority: Authority,
    folder: TempDir,
}

/// Starts both, after `adjust` has changed what is not as usual: an encrypted call over TLS.
fn site(adjust: impl FnOnce(&mut RoomSetup, &mut PjsuaConfig)) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let mut setup = RoomSetup::new("room");
    let mut config = PjsuaConfig::new("peer", reply().unwrap());
    setup.sound = Some(speech().unwrap());
    setup.recording = Some(folder.path().join(HEARD));
    adjust(&mut setup, &mut config);
    Site {
        room: setup.start(&authority).unwrap(),
        peer: Pjsua::start(&config, &authority).unwrap(),
        authority,
        folder,
    }
}

fn as_usual(_: &mut RoomSetup, _: &mut PjsuaConfig) {}

impl Site {
    /// Where the peer finds the room.
    fn room_uri(&self) -> String {
        format!("{};transport=tls", self.room.uri())
    }

    fn room_calls(&self) {
        self.room.call(self.peer.uri()).unwrap();
        self.wait_until_established();
    }

    fn peer_calls(&mut self) {
        self.peer.call(&self.room_uri(), &[]).unwrap();
        self.wait_until_established();
    }

    fn wait_until_established(&self) {
        self.peer
            .wait_for_call(Mark::default(), "CONFIRMED", LIMIT)
            .unwrap();
        self.room
            .wait_for_state(Mark::default(), LegState::Established, LIMIT)
            .unwrap();
    }

    /// The end of the room's snapshots as it is now.
    fn now(&self) -> Mark {
        self.room.roomd.snapshot_mark()
    }

    /// Lets that many packets of sound go each way from now on.
    fn let_both_hear(&mut self, packets: u64) -> Leg {
        let counted = |leg: &Leg| {
            let stats = leg.audio.as_ref()?.stats.as_ref()?;
            Some((stats.packets_sent, stats.packets_received))
        };
        let mut first = None;
        self.room
            .wait_for_leg(self.now(), "sound both ways", LIMIT, |leg| {
                let (sent, received) = counted(leg)?;
                let (sent_before, received_before) = *first.get_or_insert((sent, received));
                let is_enough =
                    sent >= sent_before + packets && received >= received_before + packets;
                is_enough.then(|| leg.clone())
            })
            .unwrap()
    }

    /// Waits until the room's leg has ended for that reason.
    fn wait_for_end(&self) -> (CallDirection, EndReason) {
        self.room
            .wait_for_leg(Mark::default(), "an ended leg", LIMIT, |leg| {
                end_reason(leg).map(|reason| (leg.direction, reason))
            })
            .unwrap()
    }

    /// The next message after the mark.
    fn message(&self, mark: Mark, direction: Direction, parts: &[&str]) -> String {
        self.peer
            .wait_for_message(mark, direction, parts, LIMIT)
            .unwrap()
    }
}

/// Lets enough be said, in an encrypted call with that codec.
fn assert_encrypted_call(site: &mut Site, codec: &str) {
    let leg = site.let_both_hear(SPOKEN_PACKETS);
    let encrypted = LegSecurity {
        signalling: Protection::Encrypted,
        media: Protection::Encrypted,
    };
    assert_eq!(leg.security, Some(encrypted));
    let (spoken, received) = site.peer.statistics().unwrap();
    assert_eq!(spoken, codec);
    assert!(received > SPOKEN_PACKETS, "{received}");
    assert_eq!(leg.audio.unwrap().codec, codec);
}

// Echo control takes from a voice that speaks at the same time as another: one side is silent.

#[test]
fn the_peer_hears_the_room_that_called_it_over_tls_with_srtp_and_g722() {
    let mut site = site(|_, config| {
        config.codecs = vec!["G722"];
        config.sound = Sound::silence(48_000, 1.0);
    });
    site.room_calls();
    assert_encrypted_call(&mut site, "G722");
    site.peer.hang_up().unwrap();
    let ended = (CallDirection::Outgoing, EndReason::RemoteHangUp);
    assert_eq!(site.wait_for_end(), ended);
    let heard = site.peer.finish().unwrap();
    let clarity = heard.clearest_second(&speech().unwrap()).unwrap();
    assert!(clarity > LEAST_CORRELATION, "{clarity}");
}

#[test]
fn the_room_hears_the_peer_that_called_it_over_tls_with_srtp_and_pcma() {
    let mut site = site(|setup, config| {
        config.codecs = vec!["PCMA"];
        setup.sound = Some(Sound::silence(48_000, 1.0));
    });
    site.peer_calls();
    assert_encrypted_call(&mut site, "PCMA");
    site.room.roomd.roomctl(&["hangup"]).unwrap();
    site.peer
        .wait_for_call(Mark::default(), "DISCONNECTED", LIMIT)
        .unwrap();
    let heard = Sound::read_samples(&site.folder.path().join(HEARD), 48_000).unwrap();
    let clarity = heard.clearest_second(&reply().unwrap()).unwrap();
    assert!(clarity > LEAST_CORRELATION, "{clarity}");
}

#[test]
fn a_caller_that_requires_reliable_ringing_gets_it_and_its_prack_is_answered() {
    let mut site = site(|setup, config| {
        setup.answer = Answer::Manual;
        config.reliable_ringing = ReliableRinging::Required;
    });
    let uri = site.room_uri();
    site.peer.call(&uri, &[]).unwrap();
    let start = Mark::default();
    let ringing = site.message(start, Direction::Received, &["SIP/2.0 180 "]);
    assert!(has_line(&ringing, "Require: 100rel"), "{ringing}");
    assert!(ringing.contains("\nRSeq: "), "{ringing}");
    site.message(start, Direction::Sent, &["PRACK sip:"]);
    site.message(start, Direction::Received, &["SIP/2.0 200 ", " PRACK\n"]);
    site.room.roomd.roomctl(&["answer"]).unwrap();
    site.wait_until_established();
    site.let_both_hear(2);
}

#[test]
fn a_callee_that_requires_reliable_ringing_gets_its_prack_and_then_answers() {
    let mut site = site(|_, config| {
        config.reliable_ringing = ReliableRinging::Required;
        config.answer = Some(180);
    });
    site.room.call(site.peer.uri()).unwrap();
    let start = Mark::default();
    let ringing = site.message(start, Direction::Sent, &["SIP/2.0 180 "]);
    assert!(has_line(&ringing, "Require: 100rel"), "{ringing}");
    site.message(start, Direction::Received, &["PRACK sip:"]);
    site.message(start, Direction::Sent, &["SIP/2.0 200 ", " PRACK\n"]);
    site.room
        .wait_for_state(start, LegState::Ringing, LIMIT)
        .unwrap();
    // The next one has the next number, and media before the answer.
    let mark = site.peer.mark();
    site.peer.answer(183).unwrap();
    site.message(mark, Direction::Sent, &["SIP/2.0 183 ", "\nRSeq: "]);
    site.message(mark, Direction::Received, &["PRACK sip:"]);
    site.room
        .wait_for_state(start, LegState::Early, LIMIT)
        .unwrap();
    site.peer.answer(200).unwrap();
    site.wait_until_established();
    site.let_both_hear(2);
}

/// Whether a message has the header line, perhaps among other values.
fn has_line(message: &str, line: &str) -> bool {
    let (name, value) = line.split_once(": ").unwrap();
    message.lines().any(|line| {
        line.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(": "))
            .is_some_and(|values| values.split(',').any(|it| it.trim() == value))
    })
}

#[test]
fn the_peer_refreshes_the_session_by_update_and_by_re_invite() {
    let mut site = site(as_usual);
    site.peer_calls();
    let answer = site.message(
        Mark::default(),
        Direction::Received,
        &["SIP/2.0 200 ", " INVITE\n"],
    );
    assert!(
        answer.contains("\nSession-Expires: 90;refresher="),
        "{answer}"
    );
    for method in ["UPDATE", "INVITE"] {
        let mark = site.peer.mark();
        match method {
            "UPDATE" => site.peer.update().unwrap(),
            _ => site.peer.reinvite().unwrap(),
        }
        let asked = site.message(mark, Direction::Sent, &[&format!("{method} sip:")]);
        assert!(asked.contains("\nSession-Expires: 90"), "{asked}");
        let end = format!(" {method}\n");
        let answer = site.message(mark, Direction::Received, &["SIP/2.0 200 ", &end]);
        assert!(
            answer.contains("\nSession-Expires: 90;refresher="),
            "{answer}"
        );
        site.let_both_hear(2);
    }
    assert_eq!(site.room.only_leg().unwrap().state, LegState::Established);
}

/// Both at once: the room waits 28 s before it refreshes a session of 90 s.
#[test]
fn the_room_refreshes_a_session_by_update_and_where_the_peer_has_none_by_re_invite() {
    let mut site = site(as_usual);
    site.peer_calls();
    let mark = site.peer.mark();
    let (room, sipp) = room_in_a_call_without_update();
    let update = site
        .peer
        .wait_for_message(mark, Direction::Received, &["UPDATE sip:"], 2 * LIMIT)
        .unwrap();
    assert!(
        update.contains("\nSession-Expires: 90;refresher=uac"),
        "{update}"
    );
    site.message(mark, Direction::Sent, &["SIP/2.0 200 ", " UPDATE\n"]);
    site.let_both_hear(2);
    sipp.wait_for_message("CSeq: 2 ACK", LIMIT).unwrap();
    room.roomd.roomctl(&["hangup"]).unwrap();
    let messages = sipp.assert_played(LIMIT).unwrap();
    // A refresh that is no small message is asked for every half hour only.
    let asked = messages.contains("Session-Expires: 1800;refresher=uac");
    assert!(asked && messages.contains("CSeq: 2 INVITE"), "{messages}");
}

/// A room that has called somebody whose sessions last 90 s and who takes no UPDATE.
fn room_in_a_call_without_update() -> (Room, Sipp) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let mut setup = RoomSetup::new("other");
    setup.transport = Transport::Udp;
    setup.media_encryption = MediaEncryption::Off;
    let room = setup.start(&authority).unwrap();
    let answer = include_str!("../sipp/scenarios/answer.sdp").trim_end();
    let scenario = include_str!("../sipp/scenarios/refreshed_by_re_invite.xml");
    let scenario = Scenario::new(scenario).with("answer", answer);
    let sipp = Sipp::wait_for_call(&scenario, Transport::Udp).unwrap();
    room.call(&sipp.uri()).unwrap();
    room.wait_for_state(Mark::default(), LegState::Established, LIMIT)
        .unwrap();
    (room, sipp)
}

#[test]
fn the_peer_holds_and_resumes() {
    let mut site = site(as_usual);
    site.room_calls();
    for _ in 0..2 {
        let before = site.now();
        let mark = site.peer.mark();
        site.peer.hold().unwrap();
        let held = LegState::Held { by: HeldBy::Remote };
        site.room.wait_for_state(before, held, LIMIT).unwrap();
        site.peer.wait_for_media(mark, "held here", LIMIT).unwrap();
        let before = site.now();
        let mark = site.peer.mark();
        site.peer.resume().unwrap();
        site.room
            .wait_for_state(before, LegState::Established, LIMIT)
            .unwrap();
        site.peer.wait_for_media(mark, "active", LIMIT).unwrap();
        site.let_both_hear(2);
    }
}

#[test]
fn the_room_holds_and_resumes() {
    let mut site = site(as_usual);
    site.peer_calls();
    let before = site.now();
    let mark = site.peer.mark();
    site.room.roomd.roomctl(&["hold"]).unwrap();
    site.peer.wait_for_media(mark, "held there", LIMIT).unwrap();
    // The peer knows it when it answers, the room when that answer has come.
    let held = LegState::Held { by: HeldBy::Local };
    site.room.wait_for_state(before, held, LIMIT).unwrap();
    let mark = site.peer.mark();
    site.room.roomd.roomctl(&["resume"]).unwrap();
    site.peer.wait_for_media(mark, "active", LIMIT).unwrap();
    site.let_both_hear(2);
}

/// The value of a header in a message, and its tag.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let find = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    message.lines().find_map(find).unwrap().trim()
}

fn tag(message: &str, name: &str) -> String {
    let (_, tag) = header(message, name).split_once(";tag=").unwrap();
    tag.to_owned()
}

#[test]
fn a_call_of_the_peer_takes_the_place_of_its_earlier_one() {
    let mut site = site(as_usual);
    site.peer_calls();
    let answer = site.message(
        Mark::default(),
        Direction::Received,
        &["SIP/2.0 200 ", " INVITE\n"],
    );
    let replaced = format!(
        "{};to-tag={};from-tag={}",
        header(&answer, "Call-ID"),
        tag(&answer, "To"),
        tag(&answer, "From")
    );
    let mark = site.peer.mark();
    let uri = site.room_uri();
    let headers = [("Replaces", replaced.as_str()), ("Require", "replaces")];
    site.peer.call(&uri, &headers).unwrap();
    site.peer.wait_for_call(mark, "CONFIRMED", LIMIT).unwrap();
    site.message(
        mark,
        Direction::Received,
        &["BYE sip:", header(&answer, "Call-ID")],
    );
    site.peer
        .wait_for_call(mark, "DISCONNECTED", LIMIT)
        .unwrap();
    site.let_both_hear(2);
    assert_eq!(site.room.only_leg().unwrap().state, LegState::Established);
}

#[test]
fn a_call_that_claims_to_replace_another_that_there_is_not_is_refused_with_481() {
    let mut site = site(as_usual);
    site.peer_calls();
    let mark = site.peer.mark();
    let uri = site.room_uri();
    let headers = [("Replaces", "nobody@127.0.0.1;to-tag=1;from-tag=2")];
    site.peer.call(&uri, &headers).unwrap();
    assert_eq!(
        site.peer
            .wait_for_call(mark, "DISCONNECTED", LIMIT)
            .unwrap(),
        481
    );
    assert_eq!(site.room.only_leg().unwrap().state, LegState::Established);
}

#[test]
fn keys_reach_the_other_side_in_order_and_once() {
    let mut site = site(as_usual);
    site.room_calls();
    let received = |site: &Site, keys: &str| {
        site.room
            .wait_for_leg(Mark::default(), keys, LIMIT, |leg| {
                (leg.dtmf_received == keys).then_some(())
            })
            .unwrap();
    };
    site.peer.send_keys("1223", KeyMethod::Rtp).unwrap();
    received(&site, "1223");
    site.peer.send_keys("9*#0", KeyMethod::Info).unwrap();
    received(&site, "12239*#0");
    site.room.roomd.roomctl(&["dtmf", "155#"]).unwrap();
    site.peer
        .wait_for_keys(Mark::default(), "155#", LIMIT)
        .unwrap();
}

#[test]
fn a_call_in_the_clear_over_udp_is_answered_where_the_account_allows_it() {
    let mut site = site(|setup, config| {
        setup.transport = Transport::Udp;
        setup.media_encryption = MediaEncryption::Off;
        config.transport = Transport::Udp;
        config.media_encryption = MediaEncryption::Off;
    });
    site.room_calls();
    let leg = site.let_both_hear(2);
    let plain = LegSecurity {
        signalling: Protection::Plain,
        media: Protection::Plain,
    };
    assert_eq!(leg.security, Some(plain));
    site.peer.hang_up().unwrap();
    let ended = (CallDirection::Outgoing, EndReason::RemoteHangUp);
    assert_eq!(site.wait_for_end(), ended);
}

#[test]
fn an_account_that_insists_on_encryption_refuses_a_call_in_the_clear() {
    let mut site = site(|setup, config| {
        setup.transport = Transport::Tcp;
        config.transport = Transport::Tcp;
        config.media_encryption = MediaEncryption::Off;
    });
    let uri = format!("{};transport=tcp", site.room.uri());
    site.peer.call(&uri, &[]).unwrap();
    let status = site
        .peer
        .wait_for_call(Mark::default(), "DISCONNECTED", LIMIT);
    assert_eq!(status.unwrap(), 488);
}
