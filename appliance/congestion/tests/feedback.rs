//! Whatever the far end says, or does not say.

use std::time::{Duration, Instant};

use congestion::{Action, Bitrate, Controller, Gate, Limits, PacketKind, PacketReport};
use proptest::prelude::*;

fn limits() -> Limits {
    Limits {
        min: Bitrate::kbps(100.0),
        max: Bitrate::kbps(4_000.0),
        first: Bitrate::kbps(1_000.0),
    }
}

/// Does what is due. Whether anything was.
fn tick(controller: &mut Controller, now: Instant) -> bool {
    let is_due = now >= controller.next_deadline();
    if is_due {
        controller.on_tick(now);
    }
    is_due
}

/// Sends at the target for so long, and says that each packet took 50 ms. How often something was due.
fn run(
    controller: &mut Controller,
    begin: Instant,
    from: u64,
    until: u64,
    sequence: &mut u64,
) -> u32 {
    let mut waiting = Vec::new();
    let mut due = 0;
    for millisecond in from..until {
        let now = begin + Duration::from_millis(millisecond);
        due += u32::from(tick(controller, now));
        let bytes = controller.target().bytes_in(Duration::from_millis(10));
        if millisecond % 10 == 0 {
            *sequence += 1;
            controller.on_sent(now, *sequence, bytes as usize, PacketKind::Video);
            waiting.push(PacketReport {
                sequence: *sequence,
                received: Some(Duration::from_millis(millisecond + 50)),
            });
        }
        if millisecond % 50 == 49 {
            // It is on its way for 50 ms, and so is the report.
            let told = waiting.len().saturating_sub(10);
            let reports: Vec<_> = waiting.drain(..told).collect();
            controller.on_feedback(now, &reports);
        }
    }
    due
}

#[test]
fn a_path_that_carries_everything_is_used_up_to_the_limit() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    run(&mut controller, begin, 0, 8_000, &mut 0);
    assert_eq!(controller.target(), limits().max);
    assert_eq!(controller.gate(), Gate::Open);
    assert!(controller.queueing_delay() < Duration::from_millis(1));
}

#[test]
fn a_path_that_carries_everything_wakes_nobody_until_the_far_end_falls_silent() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    let mut sequence = 0;
    run(&mut controller, begin, 0, 8_000, &mut sequence);
    assert_eq!(controller.target(), limits().max);
    // The first report takes 150 ms here.
    run(&mut controller, begin, 8_000, 8_200, &mut sequence);
    let woken = run(&mut controller, begin, 8_200, 12_000, &mut sequence);
    assert!(woken < 10, "{woken} times in 4 s");
    be_unheard(&mut controller, begin, 12_000..12_500, &mut sequence);
    assert!(controller.target() < limits().max);
}

#[test]
fn limits_that_rise_while_the_far_end_falls_silent_do_not_hide_that() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    let mut sequence = 0;
    run(&mut controller, begin, 0, 8_000, &mut sequence);
    be_unheard(&mut controller, begin, 8_000..8_200, &mut sequence);
    assert_eq!(controller.target(), limits().max);
    let more = Limits {
        max: limits().max * 2.0,
        ..limits()
    };
    controller.set_limits(begin + Duration::from_millis(8_200), more);
    // A round trip, the pause between reports, and a fifth of a second after the last one.
    be_unheard(&mut controller, begin, 8_200..8_420, &mut sequence);
    assert!(controller.target() < limits().max);
}

#[test]
fn a_far_end_that_falls_silent_gets_less_and_less_and_never_less_than_the_least() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    let mut sequence = 0;
    run(&mut controller, begin, 0, 3_000, &mut sequence);
    let mut last = limits().max;
    for millisecond in 3_000..9_000 {
        let now = begin + Duration::from_millis(millisecond);
        if millisecond % 20 == 0 {
            sequence += 1;
            controller.on_sent(now, sequence, 500, PacketKind::Video);
        }
        tick(&mut controller, now);
        // What is on the way may still be told of for a round trip and a quarter of a second.
        if millisecond >= 3_400 {
            assert!(controller.target() <= last, "{millisecond} ms");
            last = controller.target();
        }
    }
    assert_eq!(last, limits().min);
}

/// Sends every 10 ms as long as the gate is open, unheard.
fn be_unheard(
    controller: &mut Controller,
    begin: Instant,
    milliseconds: std::ops::Range<u64>,
    sequence: &mut u64,
) -> Vec<u64> {
    let mut sent = Vec::new();
    for millisecond in milliseconds {
        let now = begin + Duration::from_millis(millisecond);
        tick(controller, now);
        if millisecond % 10 == 0 && controller.gate() == Gate::Open {
            *sequence += 1;
            controller.on_sent(now, *sequence, 5_000, PacketKind::Video);
            sent.push(millisecond);
        }
    }
    sent
}

/// Says that all that was sent at those times arrived after 50 ms.
fn be_heard(controller: &mut Controller, now: Instant, sent: &[u64], last: u64) {
    let first = last + 1 - sent.len() as u64;
    let reports = (first..).zip(sent).map(|(sequence, at)| PacketReport {
        sequence,
        received: Some(Duration::from_millis(at + 50)),
    });
    let reports: Vec<_> = reports.collect();
    controller.on_feedback(now, &reports);
}

#[test]
fn reports_that_were_held_up_give_back_what_their_silence_took() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    let mut sequence = 0;
    run(&mut controller, begin, 0, 8_000, &mut sequence);
    let sent = be_unheard(&mut controller, begin, 8_000..9_000, &mut sequence);
    assert!(controller.target() < limits().max * 0.5);
    let now = begin + Duration::from_millis(9_000);
    be_heard(&mut controller, now, &sent, sequence);
    assert_eq!(controller.target(), limits().max);
    assert_eq!(controller.poll_action(), None);
}

#[test]
fn a_machine_that_had_no_time_hears_first_what_was_said_meanwhile() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    let mut sequence = 0;
    run(&mut controller, begin, 0, 8_000, &mut sequence);
    be_unheard(&mut controller, begin, 8_000..8_020, &mut sequence);
    controller.on_tick(begin + Duration::from_millis(8_800));
    controller.on_tick(begin + Duration::from_millis(8_810));
    assert_eq!(controller.target(), limits().max);
}

#[test]
fn a_path_that_was_gone_is_tried_every_second_and_begins_with_a_whole_picture() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    let mut sequence = 0;
    run(&mut controller, begin, 0, 8_000, &mut sequence);
    while controller.poll_action().is_some() {}
    let sent = be_unheard(&mut controller, begin, 8_000..18_000, &mut sequence);
    for second in 8..18 {
        let tried = |at: &&u64| **at / 1_000 == second;
        assert!(sent.iter().any(|at| tried(&at)), "second {second}");
    }
    assert_eq!(controller.target(), limits().min);
    let now = begin + Duration::from_millis(18_000);
    be_heard(&mut controller, now, &sent[sent.len() - 1..], sequence);
    assert_eq!(controller.poll_action(), Some(Action::StartOver));
    assert_eq!(controller.target(), limits().min);
}

#[test]
fn a_source_that_sends_little_is_promised_no_more() {
    let begin = Instant::now();
    let mut controller = Controller::new(begin, limits());
    for millisecond in 0..5_000 {
        let now = begin + Duration::from_millis(millisecond);
        tick(&mut controller, now);
        if millisecond % 100 == 0 {
            let sequence = millisecond / 100 + 1;
            controller.on_sent(now, sequence, 200, PacketKind::Audio);
            let received = Some(Duration::from_millis(millisecond + 50));
            controller.on_feedback(now, &[PacketReport { sequence, received }]);
        }
    }
    assert_eq!(controller.target(), limits().first);
}

proptest! {
    #[test]
    fn nothing_that_a_far_end_says_takes_the_target_out_of_its_limits(
        steps in proptest::collection::vec((0..4_u8, 0..400_u64, proptest::option::of(0..u64::from(u32::MAX))), 0..400)
    ) {
        let begin = Instant::now();
        let mut controller = Controller::new(begin, limits());
        let (mut now, mut sequence) = (begin, 0);
        for (what, number, received) in steps {
            match what {
                0 => {
                    sequence += number;
                    controller.on_sent(now, sequence, 1_200, PacketKind::Video);
                }
                1 => now += Duration::from_millis(number),
                2 => {
                    let received = received.map(Duration::from_millis);
                    let report = PacketReport { sequence: number, received };
                    controller.on_feedback(now, &[report, report]);
                }
                _ => controller.on_tick(now),
            }
            let target = controller.target();
            prop_assert!(target >= limits().min && target <= limits().max);
            prop_assert!(controller.window() >= 0.0 && controller.in_flight() >= 0.0);
            prop_assert!(controller.encoder_target(Bitrate::kbps(50.0)) <= limits().max);
            while controller.poll_action().is_some() {}
        }
    }
}
