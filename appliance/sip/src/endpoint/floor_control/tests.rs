//! Both ends of one call's floor, with a server at one or at each.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::bfcp::{ConferenceId, FloorId};

fn ids(conference: u32) -> FloorIds {
    FloorIds {
        conference: ConferenceId(conference),
        user: UserId(2),
        floor: FloorId(1),
    }
}

/// Two ends that each have a server, and what is on its way to each, with its time of arrival.
struct Pair {
    now: Instant,
    ends: [FloorControl; 2],
    under_way: VecDeque<(Instant, usize, Bytes)>,
    changes: [Vec<FloorChange>; 2],
}

impl Pair {
    fn new() -> Self {
        let role = |theirs, ours, first| FloorControlRole::Both {
            client: ids(theirs),
            server: ids(ours),
            first,
        };
        let roles = [role(8, 7, FirstChoice::Us), role(7, 8, FirstChoice::Peer)];
        Self::over(FloorConnection::Udp { remote: None }, roles)
    }

    fn over(connection: FloorConnection, roles: [FloorControlRole; 2]) -> Self {
        let mut pair = Self {
            now: Instant::now(),
            ends: roles.map(|role| FloorControl::new(FloorControlMedia { role, connection }, 0)),
            under_way: VecDeque::new(),
            changes: [Vec::new(), Vec::new()],
        };
        for end in 0..2 {
            pair.act(end, FloorControl::opened);
        }
        pair.run(Duration::from_secs(1));
        pair
    }

    fn act(&mut self, end: usize, action: impl FnOnce(&mut FloorControl, Instant)) {
        action(&mut self.ends[end], self.now);
        let sends = std::mem::take(&mut self.ends[end].to_send);
        let arrival = self.now + Duration::from_millis(50);
        self.under_way
            .extend(sends.into_iter().map(|bytes| (arrival, 1 - end, bytes)));
        let changes = std::mem::take(&mut self.ends[end].changes);
        self.changes[end].extend(changes);
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            let deadlines = self.ends.iter().filter_map(FloorControl::deadline);
            let arrivals = self.under_way.iter().map(|(at, ..)| *at);
            let Some(at) = deadlines.chain(arrivals).min().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            while self
                .under_way
                .front()
                .is_some_and(|(at, ..)| *at <= self.now)
            {
                if let Some((_, end, bytes)) = self.under_way.pop_front() {
                    self.act(end, |end, now| end.received(now, &bytes));
                }
            }
            for end in 0..2 {
                self.act(end, FloorControl::handle_timeout);
            }
        }
        panic!("the clock stands still");
    }

    fn states(&self) -> [FloorChange; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }
}

#[test]
fn with_two_servers_the_floor_goes_to_who_asks_and_back() {
    let mut pair = Pair::new();
    for (end, states) in [
        (0, [FloorChange::Ours, FloorChange::Theirs]),
        (1, [FloorChange::Theirs, FloorChange::Ours]),
    ] {
        pair.act(end, FloorControl::request);
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.states(), states);
        pair.act(end, FloorControl::release);
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.states(), [FloorChange::Free; 2]);
    }
}

#[test]
fn when_both_ask_at_once_who_offered_the_session_is_first_and_the_other_next() {
    let mut pair = Pair::new();
    pair.act(0, FloorControl::request);
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), [FloorChange::Ours, FloorChange::Theirs]);
    pair.act(0, FloorControl::release);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
}

#[test]
fn who_loses_the_floor_at_the_other_server_keeps_nothing() {
    let mut pair = Pair::new();
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(1));
    pair.changes[1].clear();
    pair.act(0, |end, now| assert!(end.revoke(now)));
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Free; 2]);
    assert_eq!(
        pair.changes[1],
        [FloorChange::NotGranted, FloorChange::Free]
    );
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.states(), [FloorChange::Free; 2], "nobody asks again");
}

#[test]
fn over_a_connection_that_breaks_the_floor_is_given_back_and_asked_for_anew() {
    let tcp = FloorConnection::Tcp {
        remote: None,
        setup: crate::offer_answer::TcpSetup::Active,
        certificate: None,
    };
    let roles = [
        FloorControlRole::Server(ids(7)),
        FloorControlRole::Client(ids(7)),
    ];
    let mut pair = Pair::over(tcp, roles);
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
    for end in 0..2 {
        pair.act(end, FloorControl::closed);
    }
    assert_eq!(pair.states()[0], FloorChange::Free);
    assert!(pair.changes[1].contains(&FloorChange::Unreachable));
    for end in 0..2 {
        pair.act(end, FloorControl::opened);
    }
    pair.run(Duration::from_secs(1));
    assert!(pair.changes[1].contains(&FloorChange::NotGranted));
    assert_eq!(pair.states(), [FloorChange::Free; 2]);
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
}

#[test]
fn a_later_agreement_with_the_same_numbers_changes_nothing_and_another_conference_all() {
    let role = FloorControlRole::Server(ids(7));
    let at = |port| FloorConnection::Udp {
        remote: Some(([192, 0, 2, 1], port).into()),
    };
    let media = |role, connection| FloorControlMedia { role, connection };
    let mut floor = FloorControl::new(media(role, at(1)), 0);
    assert!(floor.follow(media(role, at(2))));
    assert!(!floor.follow(media(FloorControlRole::Server(ids(8)), at(2))));
    assert!(!floor.follow(media(FloorControlRole::Client(ids(7)), at(2))));
    let tcp = FloorConnection::Tcp {
        remote: None,
        setup: crate::offer_answer::TcpSetup::Passive,
        certificate: None,
    };
    assert!(!floor.follow(media(role, tcp)));
}

proptest! {
    #[test]
    fn two_servers_never_leave_the_floor_to_both_or_to_nobody_who_wants_it(
        script in prop::collection::vec((0_u64..200, 0_usize..2, any::<bool>()), 1..20),
    ) {
        let mut pair = Pair::new();
        let mut wanted = [false, false];
        for (wait, end, wants) in script {
            pair.run(Duration::from_millis(wait));
            wanted[end] = wants;
            pair.act(end, if wants { FloorControl::request } else { FloorControl::release });
        }
        pair.run(Duration::from_secs(10));
        let states = pair.states();
        match wanted {
            [false, false] => prop_assert_eq!(states, [FloorChange::Free; 2]),
            [true, false] => prop_assert_eq!(states, [FloorChange::Ours, FloorChange::Theirs]),
            [false, true] => prop_assert_eq!(states, [FloorChange::Theirs, FloorChange::Ours]),
            [true, true] => prop_assert!(
                states == [FloorChange::Ours, FloorChange::Theirs]
                    || states == [FloorChange::Theirs, FloorChange::Ours],
                "{:?}", states
            ),
        }
    }
}

#[test]
fn what_was_wanted_of_one_conference_is_asked_for_in_the_one_that_follows() {
    let role = |conference| {
        [
            FloorControlRole::Client(ids(conference)),
            FloorControlRole::Server(ids(conference)),
        ]
    };
    let over = |conference| Pair::over(FloorConnection::Udp { remote: None }, role(conference));
    for wanted in [true, false] {
        let mut before = over(7);
        before.act(0, FloorControl::request);
        before.run(Duration::from_secs(1));
        assert_eq!(before.ends[0].told(), FloorChange::Ours);
        if !wanted {
            before.act(0, FloorControl::release);
        }
        let connection = FloorConnection::Udp { remote: None };
        let [ours, _] = role(9);
        let media = FloorControlMedia {
            role: ours,
            connection,
        };
        let mut after = over(9);
        after.ends[0] = FloorControl::new(media, 3);
        after.ends[0].take_wish_of(&before.ends[0]);
        after.act(0, FloorControl::opened);
        after.run(Duration::from_secs(1));
        let expected = if wanted {
            [FloorChange::Ours, FloorChange::Theirs]
        } else {
            [FloorChange::Free; 2]
        };
        assert_eq!(after.states(), expected);
    }
}
