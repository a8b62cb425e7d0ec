//! The controller over one bottleneck in virtual time: a queue of 300 ms, 50 ms each way, feedback every 50 ms,
//! a camera that follows its target, sound beside it, and lost packets of pictures asked for again.
//!
//! Seeds below 1,000 were played to tune the controller; the tests play others.
//!
//! | goal | where it is not met, and what the tests hold instead |
//! |---|---|
//! | settled after 0.7 s | one seed in some ten where five sixths of the capacity go: 1.1 s, 0.7 s on average |
//! | p99 of sound's wait 100 ms | after such steps (200 ms), and beside downloads, which fill the queue |
//! | a quarter beside a download | with a queue of a second: 0.15 |

mod catalogue;
mod flow;
mod gates;
mod path;
mod played;
mod random;
mod scenario;
mod tcp;

use std::cell::Cell;

use catalogue::{all, lossy, step, three_flows, variable_capacity};
use played::Played;
use scenario::Scenario;

/// Not played before the controller was as it is.
const UNSEEN: std::ops::Range<u64> = 2_000..2_016;

/// The first of them.
fn unseen(count: u64) -> std::ops::Range<u64> {
    UNSEEN.start..UNSEEN.end.min(UNSEEN.start + count)
}

fn each_seed(scenario: &Scenario, check: impl Fn(u64, Played)) {
    for seed in UNSEEN {
        check(seed, scenario.play(seed));
    }
}

#[track_caller]
fn at_most(seed: u64, what: &str, value: f64, most: f64) {
    assert!(
        value <= most,
        "seed {seed}: {what} {value:.2}, at most {most}"
    );
}

#[track_caller]
fn at_least(seed: u64, what: &str, value: f64, least: f64) {
    assert!(
        value >= least,
        "seed {seed}: {what} {value:.2}, at least {least}"
    );
}

/// What must hold on every path: it is used, its queue is short, and sound does not wait behind pictures.
fn check_path(seed: u64, scenario: &Scenario, played: &Played) {
    at_least(seed, "used", played.used(5_000, scenario.length), 0.80);
    let queue = played.queue_p95(5_000, scenario.length);
    at_most(seed, "p95 of the queue in ms", queue, 75.0);
}

#[test]
fn a_flow_follows_a_capacity_that_goes_up_and_down() {
    let scenario = variable_capacity();
    each_seed(&scenario, |seed, played| {
        check_path(seed, &scenario, &played);
        at_most(seed, "seconds to 80 %", played.reaches(40_000, 0.8), 5.0);
        at_most(seed, "seconds to settle", played.settled(60_000), 0.7);
        at_most(
            seed,
            "seconds frozen",
            played.frozen(0, 1_000, 100_000),
            0.6,
        );
        at_most(
            seed,
            "p99 of the wait of sound in ms",
            played.audio_p99(0),
            100.0,
        );
    });
}

#[test]
fn a_picture_stands_still_for_little_when_most_of_the_capacity_goes() {
    for (from, to) in [(4_000.0, 700.0), (3_000.0, 1_000.0)] {
        let scenario = step(from, to);
        let settled = Cell::new(0.0);
        each_seed(&scenario, |seed, played| {
            check_path(seed, &scenario, &played);
            at_most(seed, "seconds frozen", played.frozen(0, 1_000, 40_000), 0.6);
            // The goal is 100 ms. A queue that is full for half a second is more than 1 % of 40 s.
            at_most(seed, "p99 of sound in ms", played.audio_p99(0), 200.0);
            // One in some ten takes longer than 0.7 s, where five sixths of the capacity go.
            at_most(seed, "seconds to settle", played.settled(20_000), 1.1);
            settled.set(settled.get() + played.settled(20_000));
        });
        let mean = settled.get() / (UNSEEN.end - UNSEEN.start) as f64;
        assert!(mean <= 0.7, "{mean:.2} s to settle on average");
    }
}

#[test]
fn a_picture_hardly_stands_still_when_half_of_the_capacity_goes() {
    let scenario = step(4_000.0, 2_000.0);
    each_seed(&scenario, |seed, played| {
        check_path(seed, &scenario, &played);
        at_most(seed, "seconds to settle", played.settled(20_000), 0.7);
        at_most(
            seed,
            "seconds frozen",
            played.frozen(0, 1_000, 40_000),
            0.25,
        );
    });
}

#[test]
fn flows_of_ours_share_a_path_fairly() {
    let scenario = three_flows();
    for seed in UNSEEN.take(5) {
        let played = scenario.play(seed);
        check_path(seed, &scenario, &played);
        at_least(seed, "Jain's index", played.fairness(80_000, 120_000), 0.9);
    }
}

#[test]
fn random_loss_is_no_congestion() {
    for (loss, burst, least) in [
        (0.02, 1, 0.80),
        (0.05, 1, 0.80),
        (0.10, 1, 0.75),
        (0.10, 3, 0.75),
    ] {
        let scenario = lossy(loss, burst);
        each_seed(&scenario, |seed, played| {
            at_least(seed, "used", played.used(5_000, 40_000), least);
            let queue = played.queue_p95(5_000, 40_000);
            at_most(seed, "p95 of the queue in ms", queue, 75.0);
        });
    }
}

/// `CONGESTION_SEEDS=A..B cargo test -p congestion --test virtual_time -- --ignored --nocapture`
#[test]
#[ignore = "prints a table instead of testing"]
fn table() {
    let seeds = std::env::var("CONGESTION_SEEDS").unwrap_or_else(|_| "0..4".to_owned());
    let (first, end) = seeds.split_once("..").expect("A..B");
    let seeds: std::ops::Range<u64> =
        first.parse().expect("a number")..end.parse().expect("a number");
    println!("mean / worst of the seeds {}..{}", seeds.start, seeds.end);
    for entry in all() {
        let (scenario, change) = (entry.scenario, entry.change);
        let end = scenario.length;
        let played: Vec<Played> = seeds.clone().map(|seed| scenario.play(seed)).collect();
        let column = |measure: &dyn Fn(&Played) -> f64, worse: fn(f64, f64) -> f64| {
            let values: Vec<f64> = played.iter().map(measure).collect();
            let worst = values.iter().copied().reduce(worse).unwrap_or(0.0);
            (values.iter().sum::<f64>() / values.len() as f64, worst)
        };
        let used = column(&|played| played.used(5_000, end) * 100.0, f64::min);
        let queue = column(&|played| played.queue_p95(5_000, end), f64::max);
        let settled = column(&|played| played.settled(change), f64::max);
        let frozen = column(&|played| played.frozen_altogether(), f64::max);
        let fairness = column(&|played| played.fairness(change, end), f64::min);
        let sound = column(&|played| played.audio_p99(0), f64::max);
        let share = column(&|played| played.share(0, change, end) * 100.0, f64::min);
        let others = column(
            &|played| played.competitors_share(change, end) * 100.0,
            f64::min,
        );
        println!(
            "{:27} used {:3.0}/{:3.0} %  queue {:3.0}/{:3.0} ms  settled {:.2}/{:.2} s  frozen {:.2}/{:.2} s  \
             Jain {:.2}/{:.2}  sound {:3.0}/{:3.0} ms  first flow {:3.0}/{:3.0} %  TCP {:3.0}/{:3.0} %",
            entry.name,
            used.0,
            used.1,
            queue.0,
            queue.1,
            settled.0,
            settled.1,
            frozen.0,
            frozen.1,
            fairness.0,
            fairness.1,
            sound.0,
            sound.1,
            share.0,
            share.1,
            others.0,
            others.1,
        );
    }
}
