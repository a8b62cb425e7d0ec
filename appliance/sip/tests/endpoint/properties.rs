//! Random users on random networks: both sides agree in the end, and nothing is left behind.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use room::codec::Direction;
use sip::endpoint::{CallId, Event};
use sip::grammar::StatusCode;
use sip::transport::Transport;

use crate::calls::assert_nothing_is_left;
use crate::world::{ALICE, BOB, World, address, media_of};

#[derive(Clone, Copy, Debug)]
enum Action {
    Invite,
    Ring,
    Answer,
    Reject,
    HangUp,
    Hold,
    Resume,
    EarlyMedia,
    Info,
    BreakStreams,
    /// The media of a call comes to another address of the box.
    MoveMedia(u8),
    Wait(u16),
    /// Long enough for refreshes of the session.
    WaitLong(u8),
}

fn action() -> impl Strategy<Value = (bool, Action)> {
    let action = prop_oneof![
        3 => Just(Action::Invite),
        2 => Just(Action::Ring),
        3 => Just(Action::Answer),
        1 => Just(Action::Reject),
        1 => Just(Action::HangUp),
        2 => Just(Action::Hold),
        2 => Just(Action::Resume),
        2 => Just(Action::EarlyMedia),
        1 => Just(Action::Info),
        1 => Just(Action::BreakStreams),
        1 => (100_u8..110).prop_map(Action::MoveMedia),
        5 => (0_u16..3_000).prop_map(Action::Wait),
        1 => (10_u8..120).prop_map(Action::WaitLong),
    ];
    (any::<bool>(), action)
}

/// What the two ends make of extensions.
#[derive(Clone, Copy, Debug)]
enum Abilities {
    All,
    /// Every provisional response has to be reliable.
    ReliableOnly,
    /// Sessions are refreshed by re-INVITE.
    WithoutUpdate,
    /// Neither session timers nor reliability: the peer is asked by OPTIONS.
    Plain,
}

impl Abilities {
    fn rewrite(self) -> fn(Bytes) -> Bytes {
        match self {
            Self::All => |bytes| bytes,
            Self::ReliableOnly => |bytes| {
                if bytes.starts_with(b"INVITE") {
                    replaced(
                        &bytes,
                        "Supported: timer, 100rel",
                        "Require: 100rel\r\nSupported: timer",
                    )
                } else {
                    bytes
                }
            },
            Self::WithoutUpdate => |bytes| replaced(&bytes, ", UPDATE", ""),
            Self::Plain => |bytes| {
                let bytes = replaced(&bytes, "Supported: timer, 100rel", "Supported: x");
                replaced(&bytes, "Session-Expires", "X-Session")
            },
        }
    }
}

fn replaced(bytes: &Bytes, what: &str, by: &str) -> Bytes {
    let text = std::str::from_utf8(bytes).expect("we write text");
    text.replace(what, by).into()
}

fn abilities() -> impl Strategy<Value = Abilities> {
    prop_oneof![
        Just(Abilities::All),
        Just(Abilities::ReliableOnly),
        Just(Abilities::WithoutUpdate),
        Just(Abilities::Plain),
    ]
}

fn network() -> impl Strategy<Value = LinkConditions> {
    (0.0..30.0, 0.0..20.0, 0.0..20.0, 0_u64..200, 0_u64..200).prop_map(
        |(loss, duplication, reordering, delay, jitter)| LinkConditions {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            loss: Loss::Random(Probability::percent(loss).expect("a percentage")),
            duplication: Probability::percent(duplication).expect("a percentage"),
            reordering: Probability::percent(reordering).expect("a percentage"),
            held_back: Duration::from_millis(900),
            ..LinkConditions::default()
        },
    )
}

/// The calls that a side has and that have not ended for it, the latest first.
fn open_calls(world: &mut World, at: SocketAddr, own: &[CallId]) -> Vec<CallId> {
    let events = world.events(at);
    let incoming = events.iter().filter_map(|event| match event {
        Event::Incoming { call, .. } => Some(*call),
        _ => None,
    });
    let is_over = |call: CallId| {
        events
            .iter()
            .any(|event| matches!(event, Event::Ended { call: this, .. } if *this == call))
    };
    incoming
        .chain(own.iter().copied())
        .filter(|call| !is_over(*call))
        .collect()
}

/// The calls that a side believes to stand.
fn standing(world: &mut World, at: SocketAddr) -> usize {
    standing_calls(world, at).len()
}

/// What each side believes about the one call that stands, if it is one.
fn directions(world: &mut World) -> Option<[Direction; 2]> {
    let mut believed = Vec::new();
    for at in [ALICE, BOB] {
        let calls = standing_calls(world, at);
        let [only] = calls[..] else {
            return None;
        };
        let audio = world.events(at).iter().rev().find_map(|event| match event {
            Event::Established { call, media, .. } | Event::MediaChanged { call, media }
                if *call == only =>
            {
                media.streams.audio.as_ref().map(|audio| audio.direction)
            }
            _ => None,
        });
        believed.push(audio?);
    }
    believed.try_into().ok()
}

/// Where the media of the one call that stands is, as its two ends say, and where each believes that of
/// the other to be.
fn places(world: &mut World, moved: &Moved) -> Option<[(IpAddr, IpAddr); 2]> {
    let mut known = Vec::new();
    for (side, at) in [ALICE, BOB].into_iter().enumerate() {
        let calls = standing_calls(world, at);
        let [only] = calls[..] else {
            return None;
        };
        let believed = world.events(at).iter().rev().find_map(|event| match event {
            Event::Established { call, media, .. } | Event::MediaChanged { call, media }
                if *call == only =>
            {
                media.remote.audio.map(|audio| audio.rtp.ip())
            }
            _ => None,
        });
        let own = moved.get(&(side, only)).copied().unwrap_or(at.ip());
        known.push((own, believed?));
    }
    known.try_into().ok()
}

fn standing_calls(world: &mut World, at: SocketAddr) -> Vec<CallId> {
    let events = world.events(at);
    let count = |wanted: fn(&Event) -> Option<CallId>| events.iter().filter_map(wanted).count();
    let established = events
        .iter()
        .filter_map(|event| match event {
            Event::Established { call, .. } => Some(*call),
            _ => None,
        })
        .filter(|call| {
            !events
                .iter()
                .any(|event| matches!(event, Event::Ended { call: this, .. } if this == call))
        })
        .collect();
    let ended_twice = count(|event| match event {
        Event::Ended { call, .. } => Some(*call),
        _ => None,
    });
    let calls_ended: std::collections::BTreeSet<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Ended { call, .. } => Some(*call),
            _ => None,
        })
        .collect();
    assert_eq!(
        ended_twice,
        calls_ended.len(),
        "a call ends once: {events:#?}"
    );
    established
}

/// Where the media of each side's calls has moved to.
type Moved = BTreeMap<(usize, CallId), IpAddr>;

fn perform(
    world: &mut World,
    own: &mut [Vec<CallId>; 2],
    moved: &mut Moved,
    first: bool,
    action: Action,
) {
    let (side, at, other) = if first {
        (0, ALICE, BOB)
    } else {
        (1, BOB, ALICE)
    };
    let latest = open_calls(world, at, &own[side]).last().copied();
    match (action, latest) {
        (Action::Invite, _) if own[side].len() < 8 => {
            let call = world.invite(at, other);
            own[side].push(call);
        }
        (Action::Wait(milliseconds), _) => world.run(Duration::from_millis(milliseconds.into())),
        (Action::WaitLong(seconds), _) => world.run(Duration::from_secs(seconds.into())),
        (Action::BreakStreams, _) => world.break_streams(at),
        // An action in the wrong state is refused, and that is all.
        (Action::Ring, Some(call)) => drop(world.act(at, |end, now| end.ring(now, call))),
        (Action::Answer, Some(call)) => {
            drop(world.act(at, |end, now| end.answer(now, call, media_of(at))));
        }
        (Action::Reject, Some(call)) => {
            drop(world.act(at, |end, now| end.reject(now, call, StatusCode::BUSY_HERE)));
        }
        (Action::HangUp, Some(call)) => drop(world.act(at, |end, now| end.hang_up(now, call))),
        (Action::MoveMedia(host), Some(call)) => {
            let place = address(host, 0).ip();
            let told = world.act(at, |end, now| end.move_media(now, call, place));
            if told.is_ok() {
                moved.insert((side, call), place);
            }
        }
        (Action::Hold, Some(call)) => drop(world.act(at, |end, now| end.hold(now, call))),
        (Action::Resume, Some(call)) => drop(world.act(at, |end, now| end.resume(now, call))),
        (Action::EarlyMedia, Some(call)) => {
            drop(world.act(at, |end, now| end.open_early_media(now, call, media_of(at))));
        }
        (Action::Info, Some(call)) => {
            let digits = "application/dtmf-relay".parse().expect("a type");
            drop(world.act(at, |end, now| {
                end.send_info(now, call, &digits, "Signal=1".into())
            }));
        }
        (
            Action::Invite
            | Action::Ring
            | Action::Answer
            | Action::Reject
            | Action::HangUp
            | Action::Hold
            | Action::Resume
            | Action::EarlyMedia
            | Action::MoveMedia(_)
            | Action::Info,
            _,
        ) => {}
    }
}

fn run(
    seed: u64,
    transport: Transport,
    abilities: Abilities,
    conditions: LinkConditions,
    actions: &[(bool, Action)],
) {
    let mut world = World::pair(seed, transport).with_conditions(conditions);
    world.rewrite = abilities.rewrite();
    let mut own = [Vec::new(), Vec::new()];
    let mut moved = Moved::new();
    for (first, action) in actions {
        perform(&mut world, &mut own, &mut moved, *first, *action);
    }
    // Longer than ringing lasts, so that what nobody answered has ended.
    world.run(Duration::from_secs(300));
    assert_eq!(
        standing(&mut world, ALICE),
        standing(&mut world, BOB),
        "they agree on what stands"
    );
    if let Some([alices, bobs]) = directions(&mut world) {
        assert_eq!(alices, bobs.reversed(), "they agree on who sends");
    }
    if let Some([(alice, bob_as_known), (bob, alice_as_known)]) = places(&mut world, &moved) {
        let known = (alice_as_known, bob_as_known);
        assert_eq!(known, (alice, bob), "they agree on where media goes");
    }
    for (side, at) in [(0, ALICE), (1, BOB)] {
        for call in open_calls(&mut world, at, &own[side]) {
            drop(world.act(at, |end, now| end.hang_up(now, call)));
        }
    }
    assert_nothing_is_left(&mut world);
    assert_eq!(
        (standing(&mut world, ALICE), standing(&mut world, BOB)),
        (0, 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_sides_agree_in_the_end_over_udp(
        seed in any::<u64>(),
        abilities in abilities(),
        conditions in network(),
        actions in proptest::collection::vec(action(), 1..60),
    ) {
        run(seed, Transport::Udp, abilities, conditions, &actions);
    }

    #[test]
    fn both_sides_agree_in_the_end_over_streams_that_break(
        seed in any::<u64>(),
        abilities in abilities(),
        conditions in network(),
        actions in proptest::collection::vec(action(), 1..60),
    ) {
        run(seed, Transport::Tls, abilities, conditions, &actions);
    }
}
