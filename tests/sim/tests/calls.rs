//! Calls between whole rooms, from the press of a button to the last word of both ends.

use std::time::Duration;

use room::media_plan::{CameraState, MicrophoneState};
use room::snapshot::VideoFlow;
use room::{Admission, EndReason, HeldBy, LegSecurity, LegState, Protection, Request, RoomState};
use sim::{AutoAnswer, RoomName, RoomSetup, Signalling, World, mirror_fault};

use RoomName::{Annex, Board, Lobby};

/// Long enough for a few messages on a good network.
const SOON: Duration = Duration::from_millis(100);
/// Longer than the packets of the simulated media are apart.
const A_MOMENT: Duration = Duration::from_millis(600);
/// Every SIP transaction is over by then (RFC 3261 section 17: 64 x T1, and T4 or Timer D on top).
const ALL_TRANSACTIONS: Duration = Duration::from_secs(70);

const SIGNALLINGS: [Signalling; 3] = [Signalling::Udp, Signalling::Tcp, Signalling::Tls];

/// The lobby, whose button calls the board room, and the board room.
fn pair(signalling: Signalling, auto_answer: AutoAnswer) -> World {
    let lobby = RoomSetup::new(Lobby, signalling).joining(Board);
    let board = RoomSetup {
        auto_answer,
        ..RoomSetup::new(Board, signalling)
    };
    World::new(1, &[lobby, board])
}

fn press_join(world: &mut World) {
    let admission = world.request(Lobby, Request::Join);
    assert!(
        matches!(admission, Admission::Accepted { leg: Some(_) }),
        "{admission:?}"
    );
}

fn wait_for_leg(world: &mut World, name: RoomName, state: LegState, limit: Duration) {
    world.wait_until(&format!("{name:?} is {state:?}"), limit, |world| {
        world.leg_state(name) == Some(state)
    });
}

/// A standing call of the two, by the join button.
fn meeting(signalling: Signalling) -> World {
    let mut world = pair(signalling, AutoAnswer::Trusted);
    join_meeting(&mut world);
    world
}

fn join_meeting(world: &mut World) {
    press_join(world);
    for name in [Lobby, Board] {
        wait_for_leg(world, name, LegState::Established, SOON);
    }
    world.run_for(A_MOMENT);
}

/// Whether sound and picture of the far end reach the room's only leg now.
fn hears_and_sees(world: &World, name: RoomName) -> (bool, bool) {
    let (leg, media) = (world.leg(name), world.room(name).media());
    let is_fresh = |at| world.now().duration_since(at) < A_MOMENT;
    (
        media.last_sound(leg).is_some_and(is_fresh),
        media.last_picture(leg).is_some_and(is_fresh),
    )
}

fn assert_media(world: &World, expected: (bool, bool)) {
    for name in [Lobby, Board] {
        assert_eq!(
            hears_and_sees(world, name),
            expected,
            "{name:?}\n{}",
            world.story()
        );
    }
}

fn assert_ended(world: &World, name: RoomName, reason: EndReason) {
    let snapshot = world.snapshot(name);
    let last = snapshot.last_ended.first().map(|leg| leg.state);
    assert_eq!(
        last,
        Some(LegState::Ended(reason)),
        "{name:?}\n{}",
        world.story()
    );
    assert_eq!(
        snapshot.state,
        RoomState::Idle,
        "{name:?}\n{}",
        world.story()
    );
}

/// Nothing of any call is left in the rooms, but for connections that may serve again.
fn assert_nothing_is_left(world: &mut World, names: &[RoomName]) {
    world.run_for(ALL_TRANSACTIONS);
    for name in names {
        let room = world.room(*name);
        let counts = room.endpoint_counts();
        let held = (
            counts.calls,
            counts.client_transactions,
            counts.server_transactions,
        );
        assert_eq!(held, (0, 0, 0), "{name:?}\n{}", world.story());
        assert_eq!(room.media().bound_legs(), 0, "{name:?}\n{}", world.story());
        assert_eq!(
            room.unanswered_commands(),
            [""; 0],
            "{name:?}\n{}",
            world.story()
        );
        assert_eq!(
            room.snapshot().state,
            RoomState::Idle,
            "{name:?}\n{}",
            world.story()
        );
    }
}

#[test]
fn a_press_of_the_join_button_leads_to_a_meeting_that_both_ends_see_and_hear() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(signalling);

        assert_media(&world, (true, true));
        let streams = |name| world.room(name).media().streams(world.leg(name)).cloned();
        let (lobby, board) = (streams(Lobby).unwrap(), streams(Board).unwrap());
        assert_eq!(mirror_fault(&lobby, &board), None, "{signalling:?}");
        assert!(lobby.audio.is_some_and(|audio| audio.srtp.is_some()));
        for name in [Lobby, Board] {
            let counters = world.room(name).media().counters();
            let dropped = counters.foreign + counters.unauthenticated;
            assert_eq!(dropped, 0, "{name:?} {counters:?}");
            let leg = world.snapshot(name).legs.remove(0);
            assert!(leg.first_frame.is_some(), "{name:?}");
            let signalling = match signalling {
                Signalling::Udp | Signalling::Tcp => Protection::Plain,
                Signalling::Tls => Protection::Encrypted,
            };
            let security = LegSecurity {
                signalling,
                media: Protection::Encrypted,
            };
            assert_eq!(leg.security, Some(security), "{name:?}");
        }

        world.request(Lobby, Request::HangUp { leg: None });
        world.run_for(SOON);
        assert_ended(&world, Lobby, EndReason::LocalHangUp);
        assert_ended(&world, Board, EndReason::RemoteHangUp);
        assert_nothing_is_left(&mut world, &[Lobby, Board]);
    }
}

#[test]
fn a_second_press_of_the_join_button_in_the_meeting_changes_nothing() {
    let mut world = meeting(Signalling::Tls);
    let before = world.snapshot(Lobby);
    assert_eq!(world.request(Lobby, Request::Join), Admission::AlreadySo);
    assert_eq!(world.snapshot(Lobby), before);
}

#[test]
fn the_caller_hears_it_ring_until_somebody_answers() {
    for signalling in SIGNALLINGS {
        let mut world = pair(signalling, AutoAnswer::Never);
        press_join(&mut world);
        wait_for_leg(&mut world, Board, LegState::Incoming, SOON);
        wait_for_leg(&mut world, Lobby, LegState::Ringing, SOON);
        world.run_for(Duration::from_secs(20));
        assert_eq!(world.leg_state(Lobby), Some(LegState::Ringing));

        let leg = world.leg(Board);
        world.request(Board, Request::Answer { leg });
        wait_for_leg(&mut world, Board, LegState::Established, SOON);
        wait_for_leg(&mut world, Lobby, LegState::Established, SOON);
        world.run_for(A_MOMENT);
        assert_media(&world, (true, true));
    }
}

#[test]
fn a_declined_call_is_over_for_both_and_each_knows_why() {
    let mut world = pair(Signalling::Tls, AutoAnswer::Never);
    press_join(&mut world);
    wait_for_leg(&mut world, Board, LegState::Incoming, SOON);
    let leg = world.leg(Board);
    world.request(Board, Request::Decline { leg });
    world.run_for(SOON);
    assert_ended(&world, Board, EndReason::Declined);
    assert_ended(&world, Lobby, EndReason::DeclinedByPeer);
    assert_nothing_is_left(&mut world, &[Lobby, Board]);
}

#[test]
fn a_caller_who_gives_up_ends_the_ringing() {
    for signalling in SIGNALLINGS {
        let mut world = pair(signalling, AutoAnswer::Never);
        press_join(&mut world);
        wait_for_leg(&mut world, Board, LegState::Incoming, SOON);
        world.run_for(SOON);
        world.request(Lobby, Request::HangUp { leg: None });
        world.run_for(SOON);
        assert_ended(&world, Lobby, EndReason::LocalHangUp);
        assert_ended(&world, Board, EndReason::Cancelled);
        assert_nothing_is_left(&mut world, &[Lobby, Board]);
    }
}

#[test]
fn giving_up_at_the_moment_of_the_answer_ends_the_call_for_both() {
    for signalling in SIGNALLINGS {
        let mut world = pair(signalling, AutoAnswer::Never);
        press_join(&mut world);
        wait_for_leg(&mut world, Board, LegState::Incoming, SOON);
        let leg = world.leg(Board);
        world.request(Board, Request::Answer { leg });
        world.request(Lobby, Request::HangUp { leg: None });
        world.run_for(Duration::from_secs(1));
        assert_ended(&world, Lobby, EndReason::LocalHangUp);
        assert_nothing_is_left(&mut world, &[Lobby, Board]);
    }
}

#[test]
fn a_call_that_nobody_answers_is_missed_here_and_not_answered_there() {
    let mut world = pair(Signalling::Udp, AutoAnswer::Never);
    press_join(&mut world);
    wait_for_leg(&mut world, Board, LegState::Incoming, SOON);
    let rang = world.wait_until("it has stopped ringing", Duration::from_secs(60), |world| {
        world.snapshot(Board).legs.is_empty()
    });
    assert!(rang >= Duration::from_secs(45) - SOON, "{rang:?}");
    world.run_for(SOON);
    assert_ended(&world, Board, EndReason::Missed);
    assert_ended(&world, Lobby, EndReason::NotAnswered);
    assert_nothing_is_left(&mut world, &[Lobby, Board]);
}

#[test]
fn a_room_without_power_cannot_be_reached_and_the_caller_is_told_in_bounded_time() {
    for signalling in SIGNALLINGS {
        let mut world = pair(signalling, AutoAnswer::Trusted);
        world.power_off(Board);
        press_join(&mut world);
        world.wait_until("the call has ended", Duration::from_secs(90), |world| {
            world.snapshot(Lobby).state == RoomState::Idle
        });
        assert_ended(&world, Lobby, EndReason::Unreachable);
        assert_nothing_is_left(&mut world, &[Lobby]);
    }
}

#[test]
fn a_second_caller_hears_busy_and_the_meeting_goes_on() {
    let mut world = meeting(Signalling::Tls);
    world.power_on(&RoomSetup::new(Annex, Signalling::Tls).joining(Board));
    world.request(Annex, Request::Join);
    world.run_for(A_MOMENT);
    assert_ended(&world, Annex, EndReason::PeerBusy);
    assert_media(&world, (true, true));
    assert_eq!(world.leg_state(Board), Some(LegState::Established));
}

#[test]
fn a_second_caller_joins_the_meeting_where_the_owner_allows_it() {
    let setups = [
        RoomSetup::new(Lobby, Signalling::Tls).joining(Board),
        RoomSetup::new(Board, Signalling::Tls)
            .answering()
            .adding_callers(),
        RoomSetup::new(Annex, Signalling::Tls).joining(Board),
    ];
    let mut world = World::new(2, &setups);
    for caller in [Lobby, Annex] {
        world.request(caller, Request::Join);
        wait_for_leg(&mut world, caller, LegState::Established, SOON);
    }
    world.run_for(A_MOMENT);
    let states: Vec<_> = world
        .snapshot(Board)
        .legs
        .iter()
        .map(|leg| leg.state)
        .collect();
    assert_eq!(states, [LegState::Established; 2]);
    for caller in [Lobby, Annex] {
        assert_eq!(hears_and_sees(&world, caller), (true, true), "{caller:?}");
    }

    world.request(Lobby, Request::HangUp { leg: None });
    world.run_for(A_MOMENT);
    assert_ended(&world, Lobby, EndReason::LocalHangUp);
    assert_eq!(world.leg_state(Board), Some(LegState::Established));
    assert_eq!(hears_and_sees(&world, Annex), (true, true));
}

/// Two rooms whose join buttons call each other.
fn facing(signalling: Signalling) -> [RoomSetup; 2] {
    [
        RoomSetup::new(Lobby, signalling).joining(Board),
        RoomSetup::new(Board, signalling).joining(Lobby),
    ]
}

#[test]
fn two_rooms_that_call_each_other_at_once_agree_on_whose_call_goes_on() {
    for signalling in SIGNALLINGS {
        let mut world = World::new(3, &facing(signalling).map(RoomSetup::answering));
        world.request(Lobby, Request::Join);
        world.request(Board, Request::Join);
        for name in [Lobby, Board] {
            wait_for_leg(&mut world, name, LegState::Established, SOON);
        }
        world.run_for(A_MOMENT);
        assert_media(&world, (true, true));
        let ended = [Lobby, Board].map(|name| {
            let ended = world.snapshot(name).last_ended;
            ended.iter().map(|leg| leg.state).collect::<Vec<_>>()
        });
        let [gave_way, refused] = [EndReason::GaveWay, EndReason::RefusedBusy]
            .map(|reason| vec![LegState::Ended(reason)]);
        assert!(
            ended == [gave_way.clone(), refused.clone()] || ended == [refused, gave_way],
            "{signalling:?}: {ended:?}\n{}",
            world.story()
        );
        for name in [Lobby, Board] {
            assert_eq!(world.request(name, Request::Join), Admission::AlreadySo);
        }
        world.request(Lobby, Request::HangUp { leg: None });
        world.run_for(SOON);
        assert_nothing_is_left(&mut world, &[Lobby, Board]);
    }
}

#[test]
fn two_rooms_that_call_each_other_at_once_and_answer_by_hand_are_free_again() {
    let mut world = World::new(3, &facing(Signalling::Udp));
    world.request(Lobby, Request::Join);
    world.request(Board, Request::Join);
    world.run_for(SOON);
    assert_eq!(world.snapshot(Lobby).state, RoomState::Idle);
    assert_eq!(world.snapshot(Board).state, RoomState::Idle);
    assert_nothing_is_left(&mut world, &[Lobby, Board]);
}

#[test]
fn a_held_call_is_silent_and_dark_both_ways_until_it_is_resumed() {
    for signalling in SIGNALLINGS {
        for (holder, held) in [(Lobby, Board), (Board, Lobby)] {
            let mut world = meeting(signalling);
            let leg = world.leg(holder);
            world.request(holder, Request::Hold { leg });
            wait_for_leg(&mut world, holder, LegState::Held(HeldBy::Local), SOON);
            wait_for_leg(&mut world, held, LegState::Held(HeldBy::Remote), SOON);
            world.run_for(2 * A_MOMENT);
            assert_media(&world, (false, false));

            world.request(holder, Request::Resume { leg });
            wait_for_leg(&mut world, holder, LegState::Established, SOON);
            wait_for_leg(&mut world, held, LegState::Established, SOON);
            world.run_for(A_MOMENT);
            assert_media(&world, (true, true));
        }
    }
}

#[test]
fn each_end_of_a_call_that_both_hold_is_released_by_its_own_hand() {
    let mut world = meeting(Signalling::Tls);
    let (lobby, board) = (world.leg(Lobby), world.leg(Board));
    world.request(Lobby, Request::Hold { leg: lobby });
    wait_for_leg(&mut world, Board, LegState::Held(HeldBy::Remote), SOON);
    world.request(Board, Request::Hold { leg: board });
    wait_for_leg(&mut world, Board, LegState::Held(HeldBy::Both), SOON);
    wait_for_leg(&mut world, Lobby, LegState::Held(HeldBy::Both), SOON);

    world.request(Lobby, Request::Resume { leg: lobby });
    wait_for_leg(&mut world, Lobby, LegState::Held(HeldBy::Remote), SOON);
    wait_for_leg(&mut world, Board, LegState::Held(HeldBy::Local), SOON);
    world.run_for(2 * A_MOMENT);
    assert_media(&world, (false, false));

    world.request(Board, Request::Resume { leg: board });
    wait_for_leg(&mut world, Lobby, LegState::Established, SOON);
    wait_for_leg(&mut world, Board, LegState::Established, SOON);
    world.run_for(A_MOMENT);
    assert_media(&world, (true, true));
}

#[test]
fn two_holds_at_the_same_moment_both_come_to_stand() {
    let mut world = meeting(Signalling::Udp);
    for name in [Lobby, Board] {
        let leg = world.leg(name);
        world.request(name, Request::Hold { leg });
    }
    // RFC 3261 section 14.1: after 491 each end waits up to four seconds.
    for name in [Lobby, Board] {
        let limit = Duration::from_secs(10);
        wait_for_leg(&mut world, name, LegState::Held(HeldBy::Both), limit);
    }
}

#[test]
fn a_muted_room_stays_silent_through_hold_and_into_the_next_call() {
    let mut world = meeting(Signalling::Tls);
    let muted = |world: &World| hears_and_sees(world, Board) == (false, true);
    let mute = Request::SetMicrophone(MicrophoneState::Muted);
    world.request(Lobby, mute);
    world.run_for(2 * A_MOMENT);
    assert!(muted(&world), "{}", world.story());
    assert_eq!(hears_and_sees(&world, Lobby), (true, true), "only one way");

    let leg = world.leg(Lobby);
    world.request(Lobby, Request::Hold { leg });
    world.run_for(A_MOMENT);
    world.request(Lobby, Request::Resume { leg });
    world.run_for(A_MOMENT);
    assert!(muted(&world), "{}", world.story());

    world.request(Lobby, Request::HangUp { leg: None });
    world.run_for(SOON);
    join_meeting(&mut world);
    assert!(muted(&world), "{}", world.story());
    assert_eq!(
        world.room(Lobby).stored().microphone,
        MicrophoneState::Muted
    );

    world.request(Lobby, Request::SetMicrophone(MicrophoneState::Open));
    world.run_for(A_MOMENT);
    assert_media(&world, (true, true));
}

#[test]
fn a_hidden_camera_still_shows_the_far_end_that_the_room_is_there() {
    let mut world = meeting(Signalling::Tls);
    world.request(Lobby, Request::SetCamera(CameraState::Off));
    world.run_for(3 * A_MOMENT);
    assert_media(&world, (true, true));
}

#[test]
fn keys_pressed_in_a_call_arrive_at_the_far_end_once_and_in_order() {
    let mut world = meeting(Signalling::Tls);
    let leg = world.leg(Lobby);
    let digits = room::DtmfDigits::parse("12#45*").unwrap();
    world.request(Lobby, Request::SendDtmf { leg, digits });
    world.run_for(SOON);
    assert_eq!(world.snapshot(Board).legs[0].dtmf_received, "12#45*");
}

#[test]
fn a_far_end_that_asks_for_a_picture_by_info_makes_a_keyframe_on_its_leg() {
    let mut world = meeting(Signalling::Tls);
    let media_control = "application/media_control+xml";
    world.send_info(
        Board,
        media_control,
        "<media_control><general_error/></media_control>",
    );
    world.run_for(SOON);
    assert_eq!(world.room(Lobby).media().keyframes_wanted(), []);

    world.send_info(
        Board,
        media_control,
        "<?xml version=\"1.0\"?><media_control><vc_primitive><to_encoder>\
         <picture_fast_update/></to_encoder></vc_primitive></media_control>",
    );
    world.run_for(SOON);
    let leg = world.leg(Lobby);
    assert_eq!(world.room(Lobby).media().keyframes_wanted(), [leg]);
}

#[test]
fn a_room_that_shuts_down_says_goodbye_and_is_down_in_bounded_time() {
    for signalling in SIGNALLINGS {
        for (ending, other) in [(Lobby, Board), (Board, Lobby)] {
            let mut world = meeting(signalling);
            world.request(ending, Request::ShutDown);
            world.wait_until("it is down", Duration::from_secs(2), |world| {
                world.room(ending).has_shut_down()
            });
            world.run_for(SOON);
            assert_ended(&world, other, EndReason::RemoteHangUp);
            assert_nothing_is_left(&mut world, &[other]);
        }
    }
}

#[test]
fn a_room_shuts_down_in_bounded_time_though_its_peer_is_gone() {
    let mut world = meeting(Signalling::Udp);
    world.power_off(Board);
    world.request(Lobby, Request::ShutDown);
    // The time-outs of hang-up, media and store, two seconds each.
    world.wait_until("it is down", Duration::from_secs(6), |world| {
        world.room(Lobby).has_shut_down()
    });
}

#[test]
fn a_short_break_of_the_network_is_seen_and_survived() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(signalling);
        world.cut();
        world.run_for(Duration::from_secs(5));
        for name in [Lobby, Board] {
            let leg = world.snapshot(name).legs.remove(0);
            assert_eq!(leg.state, LegState::Established);
            let flow = leg.video.map(|video| video.flow);
            assert_eq!(flow, Some(VideoFlow::Stalled), "{name:?}");
        }
        world.heal();
        world.run_for(A_MOMENT);
        assert_media(&world, (true, true));
    }
}

#[test]
fn a_room_that_loses_power_is_missed_at_once_and_given_up_after_about_a_minute() {
    for signalling in SIGNALLINGS {
        for (gone, left) in [(Board, Lobby), (Lobby, Board)] {
            let mut world = meeting(signalling);
            world.power_off(gone);
            world.wait_until("its picture is missed", Duration::from_secs(2), |world| {
                let video = world.snapshot(left).legs.remove(0).video;
                video.is_some_and(|video| video.flow == VideoFlow::Stalled)
            });
            assert_eq!(world.leg_state(left), Some(LegState::Established));

            world.wait_until("it is given up", Duration::from_secs(65), |world| {
                world.snapshot(left).state == RoomState::Idle
            });
            assert_ended(&world, left, EndReason::PeerLost);
            assert_nothing_is_left(&mut world, &[left]);
        }
    }
}

#[test]
fn a_held_call_outlives_hours_of_silence_but_not_its_far_end() {
    let mut world = meeting(Signalling::Tls);
    let leg = world.leg(Lobby);
    world.request(Lobby, Request::Hold { leg });
    world.run_for(Duration::from_secs(2 * 60 * 60));
    assert_eq!(world.leg_state(Lobby), Some(LegState::Held(HeldBy::Local)));
    assert_eq!(world.leg_state(Board), Some(LegState::Held(HeldBy::Remote)));

    world.power_off(Board);
    world.run_for(Duration::from_secs(65));
    assert_ended(&world, Lobby, EndReason::PeerLost);
}

#[test]
fn a_room_that_restarted_can_be_joined_again_as_soon_as_its_old_call_is_noticed_to_be_gone() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(signalling);
        world.power_off(Board);
        world.power_on(&RoomSetup::new(Board, signalling).answering());
        world.wait_until(
            "the old call is given up",
            Duration::from_secs(65),
            |world| world.snapshot(Lobby).state == RoomState::Idle,
        );
        join_meeting(&mut world);
        assert_media(&world, (true, true));
    }
}

#[test]
fn a_room_that_was_killed_takes_its_old_place_in_the_call_and_stays_muted() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(signalling);
        world.request(Lobby, Request::SetMicrophone(MicrophoneState::Muted));
        world.run_for(A_MOMENT);
        let kept = world.leg(Board);
        world.kill_and_restart(&RoomSetup::new(Lobby, signalling).joining(Board));
        assert_eq!(world.snapshot(Lobby).microphone, MicrophoneState::Muted);
        press_join(&mut world);
        wait_for_leg(&mut world, Lobby, LegState::Established, SOON);
        world.run_for(A_MOMENT);
        let board = world.snapshot(Board);
        assert_eq!(
            (board.legs.len(), world.leg(Board)),
            (1, kept),
            "{signalling:?}"
        );
        assert_eq!(board.last_ended, [], "its call was never over");
        assert_eq!(hears_and_sees(&world, Lobby), (true, true));
        assert_eq!(hears_and_sees(&world, Board), (false, true), "muted");
        // Nothing of the old dialog is left to end the new one.
        world.run_for(Duration::from_secs(120));
        assert_eq!(world.leg_state(Lobby), Some(LegState::Established));
        assert_eq!(world.leg(Board), kept);
    }
}

#[test]
fn a_killed_room_whose_far_end_has_hung_up_meanwhile_calls_it_anew() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(signalling);
        let before = world.leg(Board);
        let lobby = RoomSetup::new(Lobby, signalling).joining(Board);
        world.kill_and_restart(&lobby);
        world.request(Board, Request::HangUp { leg: None });
        world.run_for(Duration::from_secs(60));
        press_join(&mut world);
        for name in [Lobby, Board] {
            wait_for_leg(&mut world, name, LegState::Established, SOON);
        }
        assert_ne!(world.leg(Board), before, "another call");
        world.run_for(A_MOMENT);
        assert_media(&world, (true, true));
    }
}

#[test]
fn a_long_break_of_the_network_ends_the_call_for_both() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(signalling);
        world.cut();
        world.run_for(Duration::from_secs(70));
        for name in [Lobby, Board] {
            assert_ended(&world, name, EndReason::PeerLost);
        }
        world.heal();
        assert_nothing_is_left(&mut world, &[Lobby, Board]);
        join_meeting(&mut world);
        assert_media(&world, (true, true));
    }
}

#[test]
fn a_hang_up_during_a_break_of_the_network_reaches_the_far_end_after_it() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(signalling);
        world.cut();
        world.request(Lobby, Request::HangUp { leg: None });
        world.run_for(Duration::from_secs(10));
        assert_eq!(
            world.snapshot(Lobby).state,
            RoomState::Idle,
            "nobody waits for the network"
        );
        world.heal();
        // BYE is repeated every four seconds over UDP (T2).
        world.run_for(Duration::from_secs(5));
        assert_ended(&world, Board, EndReason::RemoteHangUp);
        assert_nothing_is_left(&mut world, &[Lobby, Board]);
    }
}
