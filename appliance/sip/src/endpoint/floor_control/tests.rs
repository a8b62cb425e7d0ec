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

fn over_tcp() -> Pair {
    let tcp = FloorConnection::Tcp {
        remote: None,
        setup: crate::offer_answer::TcpSetup::Active,
        number: 0,
        certificate: None,
    };
    let roles = [
        FloorControlRole::Server(ids(7)),
        FloorControlRole::Client(ids(7)),
    ];
    Pair::over(tcp, roles)
}

impl Pair {
    /// The connection ends; what was under way is lost with it.
    fn lose_connection(&mut self, end: FloorChannelEnd) {
        self.under_way.clear();
        for index in 0..2 {
            self.act(index, |floor, now| floor.closed(now, end));
        }
    }

    fn wish(&mut self, end: usize) -> ConnectionWish {
        std::mem::take(&mut self.ends[end].connection_wish)
    }

    fn connect(&mut self) {
        for end in 0..2 {
            self.act(end, FloorControl::opened);
        }
    }
}

#[test]
fn over_a_connection_that_is_lost_the_client_asks_for_another_and_the_floor_stays_where_it_is() {
    let mut pair = over_tcp();
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
    pair.lose_connection(FloorChannelEnd::Lost);
    assert!(pair.changes[1].contains(&FloorChange::Unreachable));
    assert_eq!(
        [pair.wish(0), pair.wish(1)],
        [ConnectionWish::Nothing; 2],
        "nothing is left to be closed, and it is too early to ask"
    );
    pair.run(Duration::from_secs(2));
    assert_eq!(
        [pair.wish(0), pair.wish(1)],
        [ConnectionWish::Nothing, ConnectionWish::Renew]
    );
    pair.run(Duration::from_secs(60));
    pair.connect();
    pair.run(Duration::from_secs(30));
    assert!(!pair.changes[1].contains(&FloorChange::NotGranted));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
}

#[test]
fn a_request_whose_answer_was_lost_with_the_connection_is_found_again_over_the_next() {
    let mut pair = over_tcp();
    pair.act(1, FloorControl::request);
    // The request arrives, and its answer does not.
    pair.run(Duration::from_millis(60));
    pair.lose_connection(FloorChannelEnd::Lost);
    assert_eq!(pair.states()[0], FloorChange::Theirs);
    pair.connect();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
    pair.act(1, FloorControl::release);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Free; 2]);

    pair.act(1, FloorControl::request);
    // Now the request itself is lost.
    pair.lose_connection(FloorChannelEnd::Lost);
    pair.connect();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
}

#[test]
fn a_client_that_does_not_come_back_or_closes_its_connection_has_the_floor_no_more() {
    for end in [FloorChannelEnd::Closed, FloorChannelEnd::Lost] {
        let mut pair = over_tcp();
        pair.act(1, FloorControl::request);
        pair.run(Duration::from_secs(1));
        pair.lose_connection(end);
        let kept = match end {
            FloorChannelEnd::Closed => FloorChange::Free,
            FloorChannelEnd::Lost => FloorChange::Theirs,
        };
        assert_eq!(pair.states()[0], kept);
        pair.run(Duration::from_secs(120));
        assert_eq!(pair.states()[0], FloorChange::Free);
        pair.connect();
        pair.run(Duration::from_secs(1));
        assert!(pair.changes[1].contains(&FloorChange::NotGranted));
        assert_eq!(pair.states(), [FloorChange::Free; 2]);
        pair.act(1, FloorControl::request);
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
    }
}

#[test]
fn a_connection_over_which_nobody_answers_or_nobody_is_understood_is_closed() {
    let mut pair = over_tcp();
    pair.act(1, FloorControl::request);
    pair.under_way.clear();
    pair.run(Duration::from_millis(10_500));
    assert_eq!(pair.wish(1), ConnectionWish::Close, "nobody answers");
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.wish(1), ConnectionWish::Renew);

    for end in 0..2 {
        let mut pair = over_tcp();
        pair.act(end, |floor, now| floor.received(now, &[0xff; 64]));
        assert_eq!(pair.wish(end), ConnectionWish::Close);
        pair.act(end, |floor, now| floor.received(now, &[0; 64]));
        assert_eq!(pair.wish(end), ConnectionWish::Nothing, "nothing is read");
    }
}

#[test]
fn a_floor_that_has_no_connection_any_more_is_told_and_asked_for_when_it_is_wanted_again() {
    let mut pair = over_tcp();
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(1));
    pair.lose_connection(FloorChannelEnd::Lost);
    for _ in 0..5 {
        pair.run(Duration::from_secs(31));
        assert_eq!(pair.wish(1), ConnectionWish::Renew);
        assert!(!pair.changes[1].contains(&FloorChange::NotGranted));
        pair.act(1, |floor, now| floor.closed(now, FloorChannelEnd::Lost));
    }
    assert_eq!(
        pair.changes[1][pair.changes[1].len() - 2..],
        [FloorChange::NotGranted, FloorChange::Free]
    );
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.wish(1), ConnectionWish::Nothing);
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.wish(1), ConnectionWish::Renew);
    // This time the far end says no.
    pair.act(1, FloorControl::renewal_refused);
    assert_eq!(pair.changes[1].last(), Some(&FloorChange::NotGranted));
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(31));
    assert_eq!(pair.wish(1), ConnectionWish::Renew);
    pair.connect();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.states(), [FloorChange::Theirs, FloorChange::Ours]);
}

#[test]
fn who_leaves_closes_the_connection_and_asks_for_no_other() {
    let mut pair = over_tcp();
    pair.act(1, FloorControl::request);
    pair.run(Duration::from_secs(1));
    pair.act(1, FloorControl::leave);
    assert_eq!(pair.wish(1), ConnectionWish::Close);
    pair.act(0, |floor, now| floor.closed(now, FloorChannelEnd::Closed));
    pair.run(Duration::from_secs(600));
    assert_eq!(pair.wish(1), ConnectionWish::Nothing);
    assert_eq!(pair.states(), [FloorChange::Free; 2]);
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
        number: 0,
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
