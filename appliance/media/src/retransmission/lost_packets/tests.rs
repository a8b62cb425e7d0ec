use proptest::prelude::*;

use super::*;

const SSRC: u32 = 7;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A stream of which these packets came, all at `start`.
fn after(start: Instant, sequences: impl IntoIterator<Item = u16>) -> LostPackets {
    let mut lost = LostPackets::new(Resending::SamePackets);
    for sequence in sequences {
        assert_eq!(lost.arrived(start, SSRC, sequence), Arrival::Regular);
    }
    lost
}

fn asked(lost: &mut LostPackets, now: Instant) -> Vec<u16> {
    lost.poll(now).map_or_else(Vec::new, |request| {
        assert_eq!(request.ssrc, SSRC);
        request.sequences
    })
}

#[test]
fn a_gap_is_asked_for_once_its_packets_are_not_just_overtaken() {
    let start = Instant::now();
    let mut lost = after(start, [65_533, 65_534, 2, 3, 5]);
    assert_eq!(asked(&mut lost, start), []);
    assert_eq!(lost.arrived(start + ms(2), SSRC, 0), Arrival::Regular);
    assert_eq!(lost.next_deadline(), Some(start + REORDERING));
    assert_eq!(asked(&mut lost, start + REORDERING), [65_535, 1, 4]);
    assert_eq!(asked(&mut lost, start + REORDERING), []);
}

#[test]
fn what_was_asked_for_is_known_by_either_way_and_only_once() {
    let start = Instant::now();
    let mut lost = after(start, [10, 14]);
    assert_eq!(asked(&mut lost, start + ms(5)), [11, 12, 13]);
    let now = start + ms(30);
    assert_eq!(lost.sent_again(now, 12), Some(SSRC));
    assert_eq!(lost.sent_again(now, 12), None, "it is here");
    assert_eq!(lost.arrived(now, SSRC, 13), Arrival::Requested);
    assert_eq!(lost.arrived(now, SSRC, 13), Arrival::Regular, "twice");
    assert_eq!(lost.sent_again(now, 14), None, "never missing");
    assert_eq!(lost.sent_again(now, 15), None, "not even sent");
    assert_eq!(asked(&mut lost, now + ms(110)), [11]);
}

#[test]
fn where_packets_come_again_in_a_stream_of_their_own_a_late_one_was_only_overtaken() {
    let start = Instant::now();
    let mut lost = LostPackets::new(Resending::OwnStream);
    lost.arrived(start, SSRC, 10);
    lost.arrived(start, SSRC, 12);
    assert_eq!(asked(&mut lost, start + ms(5)), [11]);
    let late = start + ms(20);
    assert_eq!(lost.arrived(late, SSRC, 11), Arrival::Regular);
    assert_eq!(lost.sent_again(late, 11), None, "it is here");
    assert_eq!(lost.next_deadline(), None);
}

#[test]
fn a_request_is_repeated_after_the_round_trip_that_was_seen_until_it_is_no_use() {
    let start = Instant::now();
    let mut lost = after(start, [0, 2]);
    assert_eq!(asked(&mut lost, start + ms(5)), [1]);
    lost.sent_again(start + ms(45), 1);
    let start = start + ms(1_000);
    lost.arrived(start, SSRC, 4);
    let mut requests = Vec::new();
    while let Some(now) = lost.next_deadline() {
        if !asked(&mut lost, now).is_empty() {
            requests.push(now - start);
        }
    }
    assert_eq!(requests, [5, 65, 125, 185].map(ms), "40 ms and a margin");
    assert_eq!(lost.sent_again(start + GIVE_UP, 3), None);
}

#[test]
fn a_long_row_of_losses_and_another_source_are_not_asked_for() {
    let start = Instant::now();
    let mut lost = after(start, [0, 102]);
    assert_eq!(lost.next_deadline(), None);
    assert_eq!(lost.arrived(start, SSRC, 104), Arrival::Regular);
    assert_eq!(lost.arrived(start, SSRC + 1, 60), Arrival::Regular);
    assert_eq!(lost.next_deadline(), None);
    lost.arrived(start, SSRC + 1, 62);
    let request = lost.poll(start + ms(5)).unwrap();
    assert_eq!((request.ssrc, request.sequences), (SSRC + 1, vec![61]));
}

#[test]
fn a_stream_that_counts_anew_is_followed() {
    let start = Instant::now();
    let mut lost = after(start, [30_000]);
    for sequence in 10_000..10_000 + ANEW as u16 {
        lost.arrived(start, SSRC, sequence);
    }
    lost.arrived(start, SSRC, 10_000 + ANEW as u16 + 1);
    assert_eq!(asked(&mut lost, start + ms(5)), [10_000 + ANEW as u16]);
}

#[test]
fn a_peer_that_never_answers_is_asked_rarely_and_often_again_once_it_does() {
    let start = Instant::now();
    let mut lost = after(start, [0]);
    let mut requests = Vec::new();
    let lose = |lost: &mut LostPackets, second: u16| {
        let from = start + ms(u64::from(second) * 1_000);
        (1..=10).for_each(|n| {
            lost.arrived(from, SSRC, second * 20 + n * 2);
        });
        let mut count = 0;
        while let Some(now) = lost.next_deadline() {
            count += asked(lost, now).len();
        }
        count
    };
    for second in 0..20 {
        requests.push(lose(&mut lost, second));
    }
    assert!(
        requests[..3].iter().all(|count| *count >= 20),
        "{requests:?}"
    );
    let rarely: usize = requests[4..].iter().sum();
    assert!(
        (80..=90).contains(&rarely),
        "once in two seconds: {requests:?}"
    );
    let now = start + ms(22_000);
    lost.arrived(now, SSRC, 442);
    let wanted = asked(&mut lost, now + ms(5));
    assert_eq!(lost.sent_again(now + ms(20), wanted[0]), Some(SSRC));
    assert!(lose(&mut lost, 23) >= 20);
}

proptest! {
    #[test]
    fn whatever_comes_the_requests_are_bounded_and_polling_ends(
        packets in prop::collection::vec((0_u64..60, 0_u32..2, prop_oneof![0_u16..300, any::<u16>()]), 1..400),
    ) {
        let mut now = Instant::now();
        let mut lost = LostPackets::new(Resending::SamePackets);
        for (gap, ssrc, sequence) in packets {
            let next = now + ms(gap);
            let mut polls = 0;
            while let Some(due) = lost.next_deadline().filter(|due| *due <= next) {
                prop_assert!(due >= now, "never in the past");
                now = due;
                if let Some(request) = lost.poll(now) {
                    prop_assert!(request.sequences.len() <= MOST_MISSING);
                }
                polls += 1;
                prop_assert!(polls <= 20 * MOST_MISSING);
            }
            now = next;
            lost.arrived(now, ssrc, sequence);
            lost.sent_again(now, sequence.wrapping_mul(31));
            prop_assert!(lost.missing.len() <= MOST_MISSING);
        }
    }

    /// The number in a gap, seen from any start, is the number that was lost.
    #[test]
    fn exactly_what_is_lost_is_asked_for(start: u16, losses in prop::collection::vec(prop::bool::weighted(0.2), 1..150)) {
        let now = Instant::now();
        let mut lost = after(now, [start]);
        let numbered = || (1..).zip(&losses).map(|(n, lost)| (start.wrapping_add(n), *lost));
        let last = losses.iter().rposition(|lost| !lost).map_or(0, |last| last + 1);
        let mut expected = Vec::new();
        for (number, is_lost) in numbered().take(last) {
            if is_lost {
                expected.push(number);
            } else {
                lost.arrived(now, SSRC, number);
            }
        }
        prop_assert_eq!(asked(&mut lost, now + REORDERING), expected);
    }
}
