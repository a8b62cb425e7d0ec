//! Random hands in two rooms, on a random network: when the network is well again and time has
//! passed, both rooms agree, nothing waits for ever, and nothing is left behind.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use room::media_plan::MicrophoneState;
use room::{DtmfDigits, HeldBy, LegId, LegState, Request, RoomState};
use sim::{AutoAnswer, RoomName, RoomSetup, SecondCall, Signalling, World, mirror_fault};

use RoomName::{Board, Lobby};

/// Longer than anything that a room or a transaction waits for.
const EVERY_TIME_OUT: Duration = Duration::from_secs(300);
/// Longer than transactions live after their call.
const ALL_TRANSACTIONS: Duration = Duration::from_secs(70);
/// Longer than the packets of the simulated media are apart.
const A_MOMENT: Duration = Duration::from_secs(1);

/// What somebody in a room does.
#[derive(Clone, Copy, Debug)]
enum Hand {
    Join,
    Answer,
    Decline,
    HangUp,
    HangUpAll,
    Hold,
    Resume,
    Mute,
    Unmute,
    PressKey,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    In(RoomName, Hand),
    Wait(u16),
    Cut,
    Heal,
}

fn step() -> impl Strategy<Value = Step> {
    let hand = prop_oneof![
        4 => Just(Hand::Join),
        4 => Just(Hand::Answer),
        1 => Just(Hand::Decline),
        1 => Just(Hand::HangUp),
        1 => Just(Hand::HangUpAll),
        3 => Just(Hand::Hold),
        3 => Just(Hand::Resume),
        1 => Just(Hand::Mute),
        1 => Just(Hand::Unmute),
        1 => Just(Hand::PressKey),
    ];
    let name = prop_oneof![Just(Lobby), Just(Board)];
    prop_oneof![
        8 => (name, hand).prop_map(|(name, hand)| Step::In(name, hand)),
        4 => (0_u16..2_000).prop_map(Step::Wait),
        1 => (2_000_u16..60_000).prop_map(Step::Wait),
        1 => Just(Step::Cut),
        2 => Just(Step::Heal),
    ]
}

fn conditions() -> impl Strategy<Value = LinkConditions> {
    (0.0..25.0, 0.0..20.0, 0.0..20.0, 0_u64..200, 0_u64..100).prop_map(
        |(loss, duplication, reordering, delay, jitter)| LinkConditions {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            loss: Loss::Random(Probability::percent(loss).expect("a percentage")),
            duplication: Probability::percent(duplication).expect("a percentage"),
            reordering: Probability::percent(reordering).expect("a percentage"),
            held_back: Duration::from_millis(700),
            ..LinkConditions::default()
        },
    )
}

fn setups() -> impl Strategy<Value = [RoomSetup; 2]> {
    let signalling = prop_oneof![2 => Just(Signalling::Udp), 1 => Just(Signalling::Tcp), 1 => Just(Signalling::Tls)];
    let answers = || prop_oneof![Just(AutoAnswer::Never), Just(AutoAnswer::Trusted)];
    let second = || prop_oneof![2 => Just(SecondCall::Busy), 1 => Just(SecondCall::Joins)];
    (signalling, answers(), answers(), second(), second()).prop_map(
        |(signalling, lobby_answers, board_answers, lobby_second, board_second)| {
            let room = |name, other, auto_answer, second_call| RoomSetup {
                auto_answer,
                second_call,
                ..RoomSetup::new(name, signalling).joining(other)
            };
            [
                room(Lobby, Board, lobby_answers, lobby_second),
                room(Board, Lobby, board_answers, board_second),
            ]
        },
    )
}

/// The latest leg that is in such a state.
fn leg(world: &World, name: RoomName, wanted: fn(LegState) -> bool) -> Option<LegId> {
    let legs = world.snapshot(name).legs;
    legs.iter()
        .rev()
        .find(|leg| wanted(leg.state))
        .map(|leg| leg.id)
}

fn request(world: &World, name: RoomName, hand: Hand) -> Option<Request> {
    let ringing = || leg(world, name, |state| state == LegState::Incoming);
    let connected = || leg(world, name, LegState::is_connected);
    Some(match hand {
        Hand::Join => Request::Join,
        Hand::Answer => Request::Answer { leg: ringing()? },
        Hand::Decline => Request::Decline { leg: ringing()? },
        Hand::HangUp => Request::HangUp {
            leg: Some(leg(world, name, |_| true)?),
        },
        Hand::HangUpAll => Request::HangUp { leg: None },
        Hand::Hold => Request::Hold { leg: connected()? },
        Hand::Resume => Request::Resume { leg: connected()? },
        Hand::Mute => Request::SetMicrophone(MicrophoneState::Muted),
        Hand::Unmute => Request::SetMicrophone(MicrophoneState::Open),
        Hand::PressKey => Request::SendDtmf {
            leg: connected()?,
            digits: DtmfDigits::parse("5").expect("a key"),
        },
    })
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::In(name, hand) => {
            if let Some(request) = request(world, name, hand) {
                world.request(name, request);
            }
        }
        Step::Wait(milliseconds) => world.run_for(Duration::from_millis(milliseconds.into())),
        Step::Cut => world.cut(),
        Step::Heal => world.heal(),
    }
}

/// What the far end of a leg in this state sees; `None` for a state that must not last.
fn seen_from_the_far_end(state: LegState) -> Option<LegState> {
    match state {
        LegState::Established => Some(LegState::Established),
        LegState::Held(HeldBy::Local) => Some(LegState::Held(HeldBy::Remote)),
        LegState::Held(HeldBy::Remote) => Some(LegState::Held(HeldBy::Local)),
        LegState::Held(HeldBy::Both) => Some(LegState::Held(HeldBy::Both)),
        LegState::Incoming
        | LegState::Answering
        | LegState::Dialing
        | LegState::Ringing
        | LegState::Early
        | LegState::Ending(_)
        | LegState::Ended(_) => None,
    }
}

fn states(world: &World, name: RoomName) -> Vec<LegState> {
    world
        .snapshot(name)
        .legs
        .iter()
        .map(|leg| leg.state)
        .collect()
}

fn check(is_so: bool, what: &str, world: &World) -> Result<(), TestCaseError> {
    if is_so {
        Ok(())
    } else {
        Err(TestCaseError::fail(format!("{what}\n{}", world.story())))
    }
}

/// Both rooms have the same calls, each in a state that matches the other's.
fn check_agreement(world: &World) -> Result<(), TestCaseError> {
    let mut expected = Vec::new();
    for state in states(world, Lobby) {
        let seen = seen_from_the_far_end(state);
        check(
            seen.is_some(),
            &format!("the lobby's {state:?} lasts for ever"),
            world,
        )?;
        expected.extend(seen);
    }
    let mut actual = states(world, Board);
    let in_order = |state: &LegState| format!("{state:?}");
    expected.sort_by_key(in_order);
    actual.sort_by_key(in_order);
    let what = format!("the board room should have {expected:?} and has {actual:?}");
    check(expected == actual, &what, world)
}

/// The two ends of the only call, when it stands and nobody holds it, see and hear each other.
fn check_media(world: &mut World) -> Result<(), TestCaseError> {
    let stands = |name| states(world, name) == [LegState::Established];
    if !stands(Lobby) || !stands(Board) {
        return Ok(());
    }
    world.run_for(A_MOMENT);
    let streams = |name| world.room(name).media().streams(world.leg(name)).cloned();
    let (Some(lobby), Some(board)) = (streams(Lobby), streams(Board)) else {
        return check(false, "a call that stands has media at both ends", world);
    };
    if let Some(fault) = mirror_fault(&lobby, &board) {
        return check(false, &fault, world);
    }
    for (name, other) in [(Lobby, Board), (Board, Lobby)] {
        let media = world.room(name).media();
        let is_fresh = |at| world.now().duration_since(at) < A_MOMENT;
        let sees = media.last_picture(world.leg(name)).is_some_and(is_fresh);
        let hears = media.last_sound(world.leg(name)).is_some_and(is_fresh);
        let speaks = world.snapshot(other).microphone == MicrophoneState::Open;
        check(sees, &format!("{name:?} sees no picture"), world)?;
        check(
            hears == speaks,
            &format!("{name:?} hears: {hears}, spoken: {speaks}"),
            world,
        )?;
    }
    Ok(())
}

fn check_nothing_is_left(world: &World, name: RoomName) -> Result<(), TestCaseError> {
    let room = world.room(name);
    let counts = room.endpoint_counts();
    let held = (
        counts.calls,
        counts.client_transactions,
        counts.server_transactions,
    );
    check(
        held == (0, 0, 0),
        &format!("{name:?} keeps {counts:?}"),
        world,
    )?;
    check(
        room.media().bound_legs() == 0,
        &format!("{name:?} keeps media ports"),
        world,
    )?;
    check(
        room.snapshot().state == RoomState::Idle,
        &format!("{name:?} is not idle"),
        world,
    )
}

fn check_all_answered(world: &World) -> Result<(), TestCaseError> {
    for name in [Lobby, Board] {
        let unanswered = world.room(name).unanswered_commands();
        check(
            unanswered.is_empty(),
            &format!("{name:?}: unanswered {unanswered:?}"),
            world,
        )?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rooms_agree_once_the_network_is_well_and_time_has_passed(
        seed in any::<u64>(),
        setups in setups(),
        conditions in conditions(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new(seed, &setups);
        world.set_conditions(conditions);
        for step in steps {
            take(&mut world, step);
        }
        world.heal();
        world.set_conditions(LinkConditions::default());
        world.run_for(EVERY_TIME_OUT);
        check_agreement(&world)?;
        check_all_answered(&world)?;
        check_media(&mut world)?;

        for name in [Lobby, Board] {
            world.request(name, Request::HangUp { leg: None });
        }
        world.run_for(ALL_TRANSACTIONS);
        for name in [Lobby, Board] {
            check_nothing_is_left(&world, name)?;
        }
        check_all_answered(&world)?;
    }
}
