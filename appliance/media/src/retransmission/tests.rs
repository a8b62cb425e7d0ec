//! Both ends over a network that loses and delays, in virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const SSRC: u32 = 7;
const PACKETS: u16 = 3_000;
/// Bytes of a packet, and packets of a picture, of which there are thirty a second.
const BYTES: usize = 1_000;
const A_PICTURE: u16 = 8;

/// What happens at a moment.
enum Event {
    Arrives(u16, Resent),
    Asked(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Resent {
    No,
    Yes,
}

/// A network: the same fate for the same seed.
struct Network {
    loss_percent: u64,
    one_way: Duration,
    state: u64,
}

impl Network {
    fn loses(&mut self) -> bool {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % 100 < self.loss_percent
    }
}

/// What became of a stream.
#[derive(Debug, Default)]
struct Outcome {
    lost: usize,
    /// Lost ones that came again,.
    mended: usize,
    requested: usize,
    resent_bytes: usize,
    wait: Duration,
}

fn run(mut network: Network) -> Outcome {
    let start = Instant::now();
    let (mut lost, mut sent) = (
        LostPackets::new(Resending::OwnStream),
        SentPackets::default(),
    );
    let mut wait = RetransmissionWait::new();
    let mut outcome = Outcome::default();
    let mut missing = BTreeMap::new();
    let mut events: BTreeMap<(Instant, usize), Event> = BTreeMap::new();
    let mut order = 0;
    let mut later = |events: &mut BTreeMap<_, _>, at: Instant, event| {
        order += 1;
        events.insert((at, order), event);
    };
    let pictures = PACKETS / A_PICTURE;
    for picture in 0..pictures {
        let now = start + Duration::from_micros(33_333) * u32::from(picture);
        // Everything that is due before this picture leaves.
        loop {
            let event = events.first_key_value().map(|((at, _), _)| *at);
            let request = lost.next_deadline();
            let Some(at) = event
                .into_iter()
                .chain(request)
                .min()
                .filter(|at| *at <= now)
            else {
                break;
            };
            if request == Some(at) {
                if let Some(request) = lost.poll(at) {
                    outcome.requested += request.sequences.len();
                    let packet = nack::packet(1, request.ssrc, &request.sequences);
                    if !network.loses() {
                        later(&mut events, at + network.one_way, Event::Asked(packet));
                    }
                }
                continue;
            }
            match events.pop_first().map(|(_, event)| event) {
                Some(Event::Arrives(number, Resent::No)) => {
                    lost.arrived(at, SSRC, number);
                }
                Some(Event::Arrives(number, Resent::Yes)) => {
                    let again = lost.sent_again(at, number);
                    if let Some(due) = again.and_then(|_| missing.remove(&number)) {
                        outcome.mended += 1;
                        wait.observe(at, at.saturating_duration_since(due));
                    }
                }
                Some(Event::Asked(packet)) => {
                    for number in nack::read(&packet[12..]) {
                        if let Some(again) = sent.again(at, number) {
                            outcome.resent_bytes += BYTES;
                            if !network.loses() {
                                let event = Event::Arrives(again, Resent::Yes);
                                later(&mut events, at + network.one_way, event);
                            }
                        }
                    }
                }
                None => {}
            }
        }
        outcome.wait = outcome.wait.max(wait.target(now));
        for number in picture * A_PICTURE..(picture + 1) * A_PICTURE {
            sent.sent(now, number, BYTES, number);
            if network.loses() {
                outcome.lost += 1;
                missing.insert(number, now + network.one_way);
            } else {
                let event = Event::Arrives(number, Resent::No);
                later(&mut events, now + network.one_way, event);
            }
        }
    }
    outcome
}

#[test]
fn nothing_is_asked_for_and_nobody_waits_on_a_network_that_loses_nothing() {
    let outcome = run(Network {
        loss_percent: 0,
        one_way: Duration::from_millis(20),
        state: 1,
    });
    assert_eq!((outcome.requested, outcome.wait), (0, Duration::ZERO));
}

#[test]
fn a_network_that_is_too_slow_for_it_costs_few_requests_and_no_waiting() {
    let outcome = run(Network {
        loss_percent: 5,
        one_way: Duration::from_millis(200),
        state: 1,
    });
    assert_eq!((outcome.mended, outcome.wait), (0, Duration::ZERO));
    assert!(outcome.requested < outcome.lost * 2, "{outcome:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nearly_all_that_is_lost_is_mended_in_time_and_at_a_bounded_price(
        loss_percent in 1_u64..12,
        one_way_ms in 1_u64..40,
        state: u64,
    ) {
        let one_way = Duration::from_millis(one_way_ms);
        let outcome = run(Network { loss_percent, one_way, state });
        // The last second is still under way.
        let settled = outcome.lost.saturating_sub(40);
        prop_assert!(outcome.mended * 100 >= settled * 97, "{:?}", outcome);
        prop_assert!(outcome.requested <= outcome.lost * 2 + 10, "{:?}", outcome);
        prop_assert!(outcome.resent_bytes <= usize::from(PACKETS) * BYTES * 2 / 5);
        prop_assert!(outcome.wait <= Duration::from_millis(200), "{:?}", outcome);
    }
}
