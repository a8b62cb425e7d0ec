//! Rooms whose process is killed in a call that they have answered: they go back into it, nobody is rung,
//! and where both ends were killed the caller's new call is the one.

mod scripted_peer;

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use room::media_plan::MicrophoneState;
use room::{EndReason, LegState, Request};
use sim::{AutoAnswer, RoomName, RoomSetup, Signalling, World};
use sip::grammar::{HeaderName, Method, StatusCode};

use RoomName::{Board, Lobby};
use scripted_peer::{Peer, address};

/// Long enough for a few messages on a good network.
const SOON: Duration = Duration::from_millis(300);
/// Longer than the packets of the simulated media are apart.
const A_MOMENT: Duration = Duration::from_millis(600);
/// Longer than anything that a transaction waits for.
const EVERY_TIME_OUT: Duration = Duration::from_secs(70);
/// What the README promises.
const BACK_WITHIN: Duration = Duration::from_secs(3);

const SIGNALLINGS: [Signalling; 3] = [Signalling::Udp, Signalling::Tcp, Signalling::Tls];

fn lobby(signalling: Signalling) -> RoomSetup {
    RoomSetup::new(Lobby, signalling).joining(Board)
}

fn board(signalling: Signalling) -> RoomSetup {
    RoomSetup::new(Board, signalling).answering()
}

/// The lobby has called the board room, which has answered.
fn meeting(seed: u64, signalling: Signalling) -> World {
    let mut world = World::new(seed, &[lobby(signalling), board(signalling)]);
    world.request(Lobby, Request::Join);
    for name in [Lobby, Board] {
        wait_until_established(&mut world, name, SOON);
    }
    world.run_for(A_MOMENT);
    world
}

fn wait_until_established(world: &mut World, name: RoomName, limit: Duration) {
    world.wait_until(&format!("{name:?} is in a call"), limit, |world| {
        states(world, name) == [LegState::Established]
    });
}

fn states(world: &World, name: RoomName) -> Vec<LegState> {
    let legs = world.snapshot(name).legs;
    legs.into_iter().map(|leg| leg.state).collect()
}

fn last_ended(world: &World, name: RoomName) -> Option<LegState> {
    let legs = world.snapshot(name).last_ended;
    legs.first().map(|leg| leg.state)
}

/// What the service does with the calls that it remembers.
fn go_back(world: &mut World, name: RoomName) {
    for wanted in world.room(name).stored().wanted.clone() {
        let request = Request::Call {
            target: wanted.call.target,
            account: wanted.call.account,
        };
        world.request(name, request);
    }
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

#[test]
fn a_room_that_was_killed_in_a_call_that_it_answered_takes_its_old_place_and_stays_muted() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(1, signalling);
        world.request(Board, Request::SetMicrophone(MicrophoneState::Muted));
        world.run_for(A_MOMENT);
        let kept = world.leg(Lobby);
        world.kill_and_restart(&board(signalling));
        assert_eq!(
            world.snapshot(Board).microphone,
            MicrophoneState::Muted,
            "from the first moment"
        );
        go_back(&mut world, Board);
        wait_until_established(&mut world, Board, BACK_WITHIN);
        world.run_for(A_MOMENT);
        assert_eq!(world.leg(Lobby), kept, "{signalling:?}");
        assert_eq!(last_ended(&world, Lobby), None, "its call was never over");
        assert_eq!(hears_and_sees(&world, Board), (true, true));
        assert_eq!(hears_and_sees(&world, Lobby), (false, true), "muted");
        // Nothing of the old dialog is left to end the new one.
        world.run_for(Duration::from_secs(120));
        assert_eq!(states(&world, Board), [LegState::Established]);
        assert_eq!(world.leg(Lobby), kept);
        world.request(Lobby, Request::HangUp { leg: None });
        world.run_for(SOON);
        let hung_up = LegState::Ended(EndReason::RemoteHangUp);
        assert_eq!(last_ended(&world, Board), Some(hung_up));
        assert_eq!(world.room(Board).stored().wanted, [], "it is over");
    }
}

#[test]
fn either_end_may_be_killed_again_and_again() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(2, signalling);
        for killed in [Board, Board, Lobby, Board, Lobby, Lobby, Board] {
            let setup = match killed {
                Lobby => lobby(signalling),
                Board | RoomName::Annex => board(signalling),
            };
            world.kill_and_restart(&setup);
            go_back(&mut world, killed);
            wait_until_established(&mut world, killed, BACK_WITHIN);
            world.run_for(A_MOMENT);
            for name in [Lobby, Board] {
                assert_eq!(last_ended(&world, name), None, "{}", world.story());
                assert_eq!(hears_and_sees(&world, name), (true, true), "{name:?}");
            }
        }
    }
}

#[test]
fn a_caller_that_has_hung_up_meanwhile_is_not_rung() {
    for signalling in SIGNALLINGS {
        let mut world = meeting(3, signalling);
        world.kill_and_restart(&board(signalling));
        world.request(Lobby, Request::HangUp { leg: None });
        world.run_for(SOON);
        let hung_up = last_ended(&world, Lobby);
        go_back(&mut world, Board);
        world.run_for(EVERY_TIME_OUT);
        let not_resumed = LegState::Ended(EndReason::NotResumed);
        assert_eq!(last_ended(&world, Board), Some(not_resumed));
        assert_eq!(states(&world, Board), []);
        assert_eq!(world.room(Board).stored().wanted, []);
        assert_eq!(states(&world, Lobby), [], "{}", world.story());
        assert_eq!(last_ended(&world, Lobby), hung_up, "it never rang");
    }
}

#[test]
fn a_caller_of_another_make_that_cannot_take_the_room_back_is_not_rung() {
    for status in [
        StatusCode::BAD_EXTENSION,
        StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
        StatusCode::FORBIDDEN,
        StatusCode::DECLINE,
    ] {
        let setup = RoomSetup::new(Lobby, Signalling::Udp).answering();
        let mut world = World::new(4, &[setup]);
        let mut peer = Peer::new(&mut world, 5060);
        peer.refusal = status;
        peer.call(&mut world, Lobby);
        world.kill_and_restart(&setup);
        go_back(&mut world, Lobby);
        peer.run(&mut world, EVERY_TIME_OUT);
        let invites = peer.requests(&Method::Invite);
        let [invite] = &invites[..] else {
            panic!("{invites:#?}\n{}", world.story());
        };
        let headers = &invite.headers;
        assert!(headers.contains(&HeaderName::Replaces));
        let require = headers.text(&HeaderName::Require);
        assert_eq!(require.as_deref(), Some("replaces"));
        // Where its Contact says, as the one that it has called.
        let contact = format!("sip:peer@{}", address(5060));
        assert_eq!(invite.uri().to_string(), contact);
        let from = headers.from().expect("each request has it");
        let called = format!("sip:room@{}:5060", Lobby.address());
        assert_eq!(from.uri().to_string(), called);
        assert_eq!(states(&world, Lobby), []);
        let not_resumed = LegState::Ended(EndReason::NotResumed);
        assert_eq!(last_ended(&world, Lobby), Some(not_resumed), "{status}");
    }
}

#[test]
fn where_both_were_killed_a_room_that_asks_its_people_rings_for_the_callers_new_call() {
    for signalling in SIGNALLINGS {
        for apart in [0, 1, 20] {
            let mut world = meeting(5, signalling);
            let asks = RoomSetup {
                auto_answer: AutoAnswer::Never,
                ..board(signalling)
            };
            world.kill_and_restart(&lobby(signalling));
            world.kill_and_restart(&asks);
            go_back(&mut world, Lobby);
            world.run_for(Duration::from_millis(apart));
            go_back(&mut world, Board);
            world.run_for(SOON);
            let [LegState::Incoming] = states(&world, Board)[..] else {
                panic!("it does not ring\n{}", world.story());
            };
            let leg = world.leg(Board);
            world.request(Board, Request::Answer { leg });
            for name in [Lobby, Board] {
                wait_until_established(&mut world, name, SOON);
            }
        }
    }
}

fn conditions(largest_loss: f64) -> impl Strategy<Value = LinkConditions> {
    (0.0..=largest_loss, 0_u64..150, 0_u64..100).prop_map(|(loss, delay, jitter)| LinkConditions {
        delay: Duration::from_millis(delay),
        jitter: Duration::from_millis(jitter),
        loss: Loss::Random(Probability::percent(loss).expect("a percentage")),
        ..LinkConditions::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn of_two_rooms_that_are_killed_at_once_the_caller_calls_anew_and_one_call_comes_of_it(
        seed in any::<u64>(),
        signalling in prop_oneof![
            Just(Signalling::Udp),
            Just(Signalling::Tcp),
            Just(Signalling::Tls)
        ],
        conditions in conditions(15.0),
        order in prop_oneof![Just([Lobby, Board]), Just([Board, Lobby])],
        apart in 0_u64..=400,
    ) {
        let mut world = meeting(seed, signalling);
        world.set_conditions(conditions);
        world.kill_and_restart(&lobby(signalling));
        world.kill_and_restart(&board(signalling));
        go_back(&mut world, order[0]);
        world.run_for(Duration::from_millis(apart));
        go_back(&mut world, order[1]);
        world.run_for(EVERY_TIME_OUT);
        world.set_conditions(LinkConditions::default());
        world.run_for(SOON);
        for name in [Lobby, Board] {
            let legs = states(&world, name);
            prop_assert_eq!(legs, [LegState::Established], "{:?}\n{}", name, world.story());
            let calls = world.room(name).endpoint_counts().calls;
            prop_assert_eq!(calls, 1, "{:?}\n{}", name, world.story());
        }
    }
}
