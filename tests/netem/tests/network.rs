//! What the seeded network promises.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netem::{Delivery, LinkConditions, Loss, Network, Probability};
use proptest::prelude::*;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn percent(value: f64) -> Probability {
    Probability::percent(value).expect("a percentage")
}

/// Sends `count` numbered datagrams, 1 ms apart, and returns what arrives, with its delay.
fn send_numbered(seed: u64, conditions: LinkConditions, count: u32) -> Vec<(u32, Duration)> {
    let start = Instant::now();
    let mut network = Network::new(seed, start);
    network.set_default_conditions(conditions);
    for number in 0..count {
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        network.send(
            start + Duration::from_millis(number.into()),
            address(1),
            address(2),
            payload,
        );
    }
    let mut arrived = Vec::new();
    while let Some(at) = network.next_delivery() {
        let Some(Delivery::Datagram { payload, .. }) = network.deliver(at) else {
            panic!("only datagrams were sent");
        };
        let number = u32::from_be_bytes(payload[..].try_into().expect("four bytes were sent"));
        arrived.push((number, at - start - Duration::from_millis(number.into())));
    }
    arrived
}

#[test]
fn a_perfect_link_delivers_everything_in_order_after_its_delay() {
    let arrived = send_numbered(1, LinkConditions::default(), 100);
    assert_eq!(arrived.len(), 100);
    assert!(
        arrived
            .iter()
            .enumerate()
            .all(|(i, (number, _))| i == *number as usize)
    );
    assert!(
        arrived
            .iter()
            .all(|(_, delay)| *delay == Duration::from_micros(500))
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let conditions = LinkConditions {
        jitter: Duration::from_millis(20),
        loss: Loss::Random(percent(10.0)),
        duplication: percent(5.0),
        reordering: percent(5.0),
        ..LinkConditions::default()
    };
    assert_eq!(
        send_numbered(7, conditions, 500),
        send_numbered(7, conditions, 500)
    );
    assert_ne!(
        send_numbered(7, conditions, 500),
        send_numbered(8, conditions, 500)
    );
}

#[test]
fn random_loss_and_bursts_lose_the_share_that_was_asked_for() {
    for loss in [
        Loss::Random(percent(20.0)),
        Loss::Bursts {
            share: percent(20.0),
            length: 3,
        },
    ] {
        let conditions = LinkConditions {
            loss,
            ..LinkConditions::default()
        };
        let arrived = send_numbered(3, conditions, 20_000).len();
        assert!(
            (15_500..16_500).contains(&arrived),
            "{loss:?}: {arrived} of 20000 arrived"
        );
    }
}

#[test]
fn bursts_are_at_least_as_long_as_asked_for() {
    let loss = Loss::Bursts {
        share: percent(20.0),
        length: 3,
    };
    let arrived = send_numbered(
        4,
        LinkConditions {
            loss,
            ..LinkConditions::default()
        },
        2_000,
    );
    let shortest_gap = arrived
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .filter(|step| *step > 1)
        .min();
    assert_eq!(shortest_gap, Some(4), "three lost between two that arrive");
}

#[test]
fn held_back_datagrams_are_passed_by_later_ones_and_jitter_alone_keeps_order() {
    let jitter = LinkConditions {
        jitter: Duration::from_millis(30),
        ..LinkConditions::default()
    };
    let in_order = |arrived: &[(u32, Duration)]| arrived.is_sorted_by_key(|(number, _)| *number);
    assert!(in_order(&send_numbered(5, jitter, 500)));
    let reordering = LinkConditions {
        reordering: percent(10.0),
        ..jitter
    };
    assert!(!in_order(&send_numbered(5, reordering, 500)));
}

#[test]
fn a_full_queue_delays_up_to_its_limit_and_then_loses() {
    let conditions = LinkConditions {
        rate: Some(16_000),
        queue: Duration::from_millis(100),
        ..LinkConditions::default()
    };
    // 32 bytes with headers at 16 kbit/s: 16 ms each, one handed in every millisecond.
    let arrived = send_numbered(6, conditions, 200);
    let longest = arrived.iter().map(|(_, delay)| *delay).max().unwrap();
    assert!(longest > Duration::from_millis(100) && longest < Duration::from_millis(118));
    assert!(arrived.len() < 25, "{} arrived", arrived.len());
}

#[test]
fn a_stream_to_nobody_is_refused() {
    let start = Instant::now();
    let mut network = Network::new(9, start);
    let wanted = network.open_stream(start, address(1), address(2));
    let at = network.next_delivery().unwrap();
    assert_eq!(
        network.deliver(at),
        Some(Delivery::StreamRefused {
            stream: wanted,
            to: address(1)
        })
    );
}

#[test]
fn closing_a_stream_tells_the_other_end_after_the_last_byte() {
    let start = Instant::now();
    let mut network = Network::new(9, start);
    network.listen(address(2));
    let stream = network.open_stream(start, address(1), address(2));
    network.stream_send(start, stream, address(1), Bytes::from_static(b"bye"));
    network.close_stream(start, stream, address(1));
    let mut seen = Vec::new();
    while let Some(at) = network.next_delivery() {
        match network.deliver(at).unwrap() {
            Delivery::StreamBytes { payload, to, .. } if to == address(2) => {
                seen.extend_from_slice(&payload);
            }
            Delivery::StreamClosed { to, .. } if to == address(2) => seen.extend_from_slice(b"|"),
            _ => {}
        }
    }
    assert_eq!(seen, b"bye|");
}

/// Takes everything that is on its way, with the time since `start`.
fn drain(network: &mut Network, start: Instant) -> Vec<(Duration, Delivery)> {
    let mut seen = Vec::new();
    while let Some(at) = network.next_delivery() {
        seen.extend(network.deliver(at).map(|delivery| (at - start, delivery)));
    }
    seen
}

fn nothing_passes() -> [LinkConditions; 2] {
    [
        LinkConditions {
            loss: Loss::Random(percent(100.0)),
            ..LinkConditions::default()
        },
        LinkConditions {
            rate: Some(0),
            queue: Duration::ZERO,
            ..LinkConditions::default()
        },
    ]
}

#[test]
fn a_stream_over_a_path_that_loses_everything_breaks_and_both_ends_learn_of_it() {
    for conditions in nothing_passes() {
        let start = Instant::now();
        let mut network = Network::new(9, start);
        network.listen(address(2));
        let stream = network.open_stream(start, address(1), address(2));
        drain(&mut network, start);
        network.set_default_conditions(conditions);
        let hello = Bytes::from_static(b"hello");
        network.stream_send(start, stream, address(1), hello.clone());
        network.stream_send(start, stream, address(1), hello);
        let seen = drain(&mut network, start);
        for to in [address(1), address(2)] {
            let closed = (
                Duration::from_secs(100),
                Delivery::StreamClosed { stream, to },
            );
            let count = seen.iter().filter(|seen| **seen == closed).count();
            assert_eq!(count, 1, "{conditions:?}: {seen:?}");
        }
    }
}

#[test]
fn a_stream_that_cannot_be_opened_for_loss_is_refused_in_the_end() {
    let start = Instant::now();
    let mut network = Network::new(9, start);
    network.listen(address(2));
    let [lossy, _] = nothing_passes();
    network.set_conditions(address(1), address(2), lossy);
    let stream = network.open_stream(start, address(1), address(2));
    let to = address(1);
    assert_eq!(
        drain(&mut network, start),
        [(
            Duration::from_secs(100),
            Delivery::StreamRefused { stream, to }
        )]
    );
}

proptest! {
    #[test]
    fn a_stream_keeps_every_byte_and_their_order_whatever_is_lost(
        seed in any::<u64>(),
        writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..20),
        loss in 0.0..60.0,
    ) {
        let start = Instant::now();
        let mut network = Network::new(seed, start);
        network.listen(address(2));
        network.set_default_conditions(LinkConditions {
            jitter: Duration::from_millis(10),
            loss: Loss::Random(percent(loss)),
            ..LinkConditions::default()
        });
        let stream = network.open_stream(start, address(1), address(2));
        for write in &writes {
            network.stream_send(start, stream, address(1), Bytes::copy_from_slice(write));
        }
        let mut received = Vec::new();
        while let Some(at) = network.next_delivery() {
            if let Some(Delivery::StreamBytes { payload, .. }) = network.deliver(at) {
                received.extend_from_slice(&payload);
            }
        }
        prop_assert_eq!(received, writes.concat());
    }
}
