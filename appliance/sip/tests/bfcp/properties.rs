//! Whatever the network does, and whatever everybody wants: in the end all agree who has the floor.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use sip::bfcp::{FloorHolder, Server, UserId, WhenBusy};
use sip::transaction::Reliability;

use crate::ends::{Ends, OWNER, SERVER, address};

const USERS: [UserId; 3] = [UserId(10), UserId(11), UserId(12)];

#[derive(Clone, Copy, Debug)]
enum Action {
    Ask(UserId),
    GiveBack(UserId),
    Revoke(UserId),
    OwnerAsks,
    OwnerGivesBack,
    /// The participant says goodbye and comes back.
    LeaveAndReturn(UserId),
}

fn user() -> impl Strategy<Value = UserId> {
    prop::sample::select(USERS.to_vec())
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => user().prop_map(Action::Ask),
        3 => user().prop_map(Action::GiveBack),
        2 => user().prop_map(Action::Revoke),
        1 => Just(Action::OwnerAsks),
        1 => Just(Action::OwnerGivesBack),
        1 => user().prop_map(Action::LeaveAndReturn),
    ]
}

fn script() -> impl Strategy<Value = Vec<(u64, Action)>> {
    // Waits in milliseconds: some far below a round trip, some above a time-out.
    let wait = prop_oneof![0_u64..20, 0_u64..2_000, 0_u64..20_000];
    prop::collection::vec((wait, action()), 1..25)
}

fn bad_network() -> impl Strategy<Value = LinkConditions> {
    (
        0.0_f64..35.0,
        0.0_f64..30.0,
        0.0_f64..30.0,
        1_u64..300,
        1_u64..1_500,
    )
        .prop_map(
            |(loss, duplication, reordering, delay, held_back)| LinkConditions {
                delay: Duration::from_millis(delay),
                jitter: Duration::from_millis(delay / 2),
                loss: Loss::Random(Probability::percent(loss).unwrap()),
                duplication: Probability::percent(duplication).unwrap(),
                reordering: Probability::percent(reordering).unwrap(),
                held_back: Duration::from_millis(held_back),
                ..LinkConditions::default()
            },
        )
}

fn perform(ends: &mut Ends, action: Action) {
    match action {
        Action::Ask(user) => ends.ask(user),
        Action::GiveBack(user) => ends.give_back(user),
        Action::Revoke(user) => ends.chair(|server, now| server.revoke(now, user)),
        Action::OwnerAsks => {
            ends.chair(Server::request_as_owner);
        }
        Action::OwnerGivesBack => ends.chair(Server::release_as_owner),
        Action::LeaveAndReturn(user) => {
            ends.leave(user);
            ends.run(Duration::from_millis(700));
            ends.connect(user);
        }
    }
}

/// Everybody knows the same, and it is what they want.
fn check_agreement(ends: &Ends) -> Result<(), TestCaseError> {
    let holder = ends.server.holder();
    let believers = ends.holders();
    let expected: Vec<UserId> = holder.filter(|user| *user != OWNER).into_iter().collect();
    prop_assert_eq!(&believers, &expected, "the server says {:?}", holder);
    for (user, end) in &ends.participants {
        let seen = match holder {
            None => FloorHolder::Nobody,
            Some(holder) if holder == *user => FloorHolder::Us,
            Some(holder) => FloorHolder::Other(Some(holder)),
        };
        prop_assert_eq!(end.machine.holder(), seen, "{:?}", user);
        prop_assert!(end.machine.wants_floor() || !end.machine.has_floor());
    }
    Ok(())
}

/// Plays a script over a network, lets that recover, and sees who believes what.
fn quarrel(
    seed: u64,
    script: Vec<(u64, Action)>,
    conditions: LinkConditions,
    when_busy: WhenBusy,
    reliability: Reliability,
) -> Result<(), TestCaseError> {
    let mut ends = Ends::new(seed, reliability, when_busy, conditions, &USERS);
    for (wait, action) in script {
        ends.run(Duration::from_millis(wait));
        perform(&mut ends, action);
    }
    // The network recovers, and what is under way ends: a retransmission, a failed association
    // made anew, a sign of life.
    for one in USERS {
        let calm = LinkConditions::default();
        ends.network.set_conditions(address(one), SERVER, calm);
        ends.network.set_conditions(SERVER, address(one), calm);
    }
    ends.run(Duration::from_secs(60));
    check_agreement(&ends)?;
    // And nothing goes on for ever.
    let sent = ends.sent;
    ends.run(Duration::from_secs(50));
    prop_assert!(
        ends.sent - sent <= 4 * USERS.len(),
        "{} messages",
        ends.sent - sent
    );
    Ok(())
}

#[test]
fn all_agree_in_the_cases_that_once_failed() {
    use Action::{Ask, GiveBack, LeaveAndReturn, OwnerAsks, OwnerGivesBack, Revoke};
    let [anna, bert, carl] = USERS;
    let network = |delay, loss, duplication, reordering, held_back| LinkConditions {
        delay: Duration::from_millis(delay),
        jitter: Duration::from_millis(delay / 2),
        loss: Loss::Random(Probability::percent(loss).unwrap()),
        duplication: Probability::percent(duplication).unwrap(),
        reordering: Probability::percent(reordering).unwrap(),
        held_back: Duration::from_millis(held_back),
        ..LinkConditions::default()
    };
    let cases = [
        // An answer that was lost for longer than it was kept.
        (
            12_620_043_472_116_559_532,
            vec![(6_755, Ask(anna)), (9_068, Ask(anna))],
            network(
                231,
                11.910_987_153_248_94,
                0.356_773_444_092_087_1,
                4.106_274_131_573_593,
                1_333,
            ),
        ),
        // A copy of old news, later than it was remembered.
        (
            7_223_907_565_414_360_797,
            vec![
                (6_793, GiveBack(anna)),
                (1_604, OwnerAsks),
                (1_572, Ask(anna)),
                (1_621, Ask(anna)),
                (15, LeaveAndReturn(anna)),
                (269, Ask(bert)),
                (6_189, Ask(carl)),
                (1_624, Ask(bert)),
                (4_057, LeaveAndReturn(anna)),
                (6_538, Revoke(bert)),
                (5_043, OwnerGivesBack),
                (5_022, Ask(carl)),
                (210, Ask(anna)),
            ],
            network(
                49,
                29.341_059_909_794_01,
                12.874_917_618_612_466,
                24.338_986_081_817_154,
                1_408,
            ),
        ),
    ];
    for (seed, script, conditions) in cases {
        let played = quarrel(
            seed,
            script,
            conditions,
            WhenBusy::Queue,
            Reliability::Unreliable,
        );
        assert!(played.is_ok(), "seed {seed}: {played:?}");
    }
}

proptest! {
    #[test]
    fn all_agree_who_has_the_floor_after_any_quarrel_over_any_network(
        seed in any::<u64>(),
        script in script(),
        conditions in bad_network(),
        when_busy in prop::sample::select(vec![WhenBusy::Queue, WhenBusy::Deny]),
        reliability in prop::sample::select(vec![
            Reliability::Unreliable,
            Reliability::Unreliable,
            Reliability::Reliable,
        ]),
    ) {
        quarrel(seed, script, conditions, when_busy, reliability)?;
    }
}
