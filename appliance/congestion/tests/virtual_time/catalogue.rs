//! The scenarios: those of RFC 8867, and what else paths do.

use crate::path::{Excess, Ms, PathSettings};
use crate::scenario::{Direction, FlowSettings, Scenario};
use crate::tcp::Load;

/// 5.1: one flow whose capacity goes up and down.
pub(crate) fn variable_capacity() -> Scenario {
    let capacity = [
        (0, 1_000.0),
        (40_000, 2_500.0),
        (60_000, 600.0),
        (80_000, 1_000.0),
    ];
    Scenario::of(&capacity, 100_000)
}

/// 5.2: two flows whose capacity goes up and down.
pub(crate) fn variable_capacity_for_two() -> Scenario {
    let capacity = [
        (0, 4_000.0),
        (25_000, 2_000.0),
        (50_000, 3_500.0),
        (75_000, 1_000.0),
        (100_000, 2_000.0),
    ];
    Scenario::of(&capacity, 125_000).with_flows([0, 0].map(FlowSettings::from))
}

/// 5.3: a flow each way, and feedback shares the way with the other's media.
pub(crate) fn both_ways() -> Scenario {
    let forward = [
        (0, 2_000.0),
        (20_000, 1_000.0),
        (40_000, 500.0),
        (60_000, 2_000.0),
    ];
    let backward = [(0, 2_000.0), (35_000, 800.0), (70_000, 2_000.0)];
    let mut back = FlowSettings::from(0);
    back.direction = Direction::Backward;
    let mut scenario = Scenario::of(&forward, 100_000).with_flows([FlowSettings::from(0), back]);
    scenario.way_back = Some(PathSettings::of(&backward));
    scenario
}

/// 5.4: three flows that come one after the other.
pub(crate) fn three_flows() -> Scenario {
    Scenario::of(&[(0, 3_500.0)], 120_000).with_flows([0, 20_000, 40_000].map(FlowSettings::from))
}

/// 5.5: five flows that come one after the other, from near and far.
pub(crate) fn near_and_far() -> Scenario {
    let delays = [10.0, 25.0, 50.0, 100.0, 150.0];
    let flows = delays.into_iter().zip((0..).step_by(10_000));
    Scenario::of(&[(0, 4_000.0)], 300_000).with_flows(flows.map(|(delay, start)| FlowSettings {
        delay,
        ..FlowSettings::from(start)
    }))
}

/// 5.6: a flow beside a long download, which is there first.
pub(crate) fn beside_a_download(queue: f64) -> Scenario {
    Scenario::of(&[(0, 2_000.0)], 120_000)
        .with_flows([FlowSettings::from(5_000)])
        .with_competitors([Load::Long(0)])
        .with_excess(Excess::Queued(queue))
}

/// Flows beside a download that ends at half-time.
pub(crate) fn after_a_download(flows: usize) -> Scenario {
    Scenario::of(&[(0, 2_000.0)], 120_000)
        .with_flows(vec![FlowSettings::from(5_000); flows])
        .with_competitors([Load::Between(0, 60_000)])
}

/// 5.7: two flows beside ten connections with short downloads.
pub(crate) fn beside_short_downloads() -> Scenario {
    Scenario::of(&[(0, 2_000.0)], 300_000)
        .with_flows([5_000, 5_000].map(FlowSettings::from))
        .with_competitors([Load::Short(0); 10])
}

/// 5.8: three flows, of which one is silent for a while.
pub(crate) fn pause_and_resume() -> Scenario {
    let mut paused = FlowSettings::from(0);
    paused.activity = vec![(0, 1.0), (40_000, 0.0), (60_000, 1.0)];
    Scenario::of(&[(0, 3_500.0)], 120_000).with_flows([
        paused,
        FlowSettings::from(0),
        FlowSettings::from(0),
    ])
}

/// A step after 20 s, in kbit/s.
pub(crate) fn step(from: f64, to: f64) -> Scenario {
    Scenario::of(&[(0, from), (20_000, to)], 40_000)
}

/// A step to what hardly carries a picture, after 20 s; sound is sent twice.
pub(crate) fn step_to_little(to: f64) -> Scenario {
    let mut flow = FlowSettings::from(0);
    flow.audio = 260;
    Scenario::of(&[(0, 4_000.0), (20_000, to)], 40_000).with_flows([flow])
}

/// 3 Mbit/s on which packets are lost, in bursts of so many.
pub(crate) fn lossy(loss: f64, burst: u32) -> Scenario {
    Scenario::of(&[(0, 3_000.0)], 40_000).with_loss(loss, burst)
}

/// A policer: there is no queue by which its rate could be seen.
pub(crate) fn policed(burst: f64) -> Scenario {
    Scenario::of(&[(0, 2_000.0)], 60_000).with_excess(Excess::Policed(burst))
}

/// A source that has nothing to show for half a minute, and then all at once.
pub(crate) fn idle_source(capacity_after: f64) -> Scenario {
    let mut flow = FlowSettings::from(0);
    flow.activity = vec![(0, 1.0), (20_000, 0.1), (50_000, 1.0)];
    Scenario::of(&[(0, 3_000.0), (35_000, capacity_after)], 70_000).with_flows([flow])
}

/// Clocks of which one runs faster, in millionths.
pub(crate) fn drifting(drift: f64) -> Scenario {
    let mut scenario = Scenario::of(&[(0, 2_000.0)], 180_000);
    scenario.drift = drift;
    scenario
}

/// One line of the table.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) scenario: Scenario,
    /// When the capacity falls, or what is looked at begins.
    pub(crate) change: Ms,
}

fn entry(name: impl Into<String>, scenario: Scenario, change: Ms) -> Entry {
    Entry {
        name: name.into(),
        scenario,
        change,
    }
}

/// Everything that the table shows.
pub(crate) fn all() -> Vec<Entry> {
    let mut entries = vec![
        entry("RFC 8867 5.1", variable_capacity(), 60_000),
        entry("RFC 8867 5.2", variable_capacity_for_two(), 75_000),
        entry("RFC 8867 5.3", both_ways(), 40_000),
        entry("RFC 8867 5.4", three_flows(), 60_000),
        entry("RFC 8867 5.5", near_and_far(), 100_000),
        entry("RFC 8867 5.6", beside_a_download(300.0), 20_000),
        entry(
            "RFC 8867 5.6, 1 s queue",
            beside_a_download(1_000.0),
            20_000,
        ),
        entry("after a download", after_a_download(1), 65_000),
        entry("three after a download", after_a_download(3), 65_000),
        entry("RFC 8867 5.7", beside_short_downloads(), 20_000),
        entry("RFC 8867 5.8", pause_and_resume(), 60_000),
    ];
    for (from, to) in [(4_000.0, 700.0), (4_000.0, 2_000.0), (3_000.0, 1_000.0)] {
        for queue in [100.0, 300.0, 1_000.0] {
            let scenario = step(from, to).with_excess(Excess::Queued(queue));
            entries.push(entry(
                format!("{from} -> {to}, {queue} ms"),
                scenario,
                20_000,
            ));
        }
    }
    for to in [300.0, 200.0] {
        let name = format!("4000 -> {to}, sound twice");
        entries.push(entry(name, step_to_little(to), 20_000));
    }
    for interval in [100, 150, 250] {
        let scenario = step(3_000.0, 1_000.0).with_feedback_every(interval);
        entries.push(entry(
            format!("3000 -> 1000, told each {interval}"),
            scenario,
            20_000,
        ));
    }
    for (loss, burst) in [(0.02, 1), (0.05, 1), (0.1, 1), (0.1, 3)] {
        let name = format!("{} % lost by {burst}", loss * 100.0);
        entries.push(entry(name, lossy(loss, burst), 20_000));
    }
    let mut unheard = step(3_000.0, 1_000.0);
    unheard.feedback_loss = 0.1;
    entries.push(entry("3000 -> 1000, reports lost", unheard, 20_000));
    entries.push(entry("policed, 50 ms", policed(50.0), 20_000));
    entries.push(entry("policed, 200 ms", policed(200.0), 20_000));
    entries.push(entry("idle source", idle_source(3_000.0), 50_000));
    entries.push(entry(
        "idle source, then less",
        idle_source(1_000.0),
        50_000,
    ));
    entries.push(entry("clock +100 ppm", drifting(100.0), 20_000));
    entries.push(entry("clock -100 ppm", drifting(-100.0), 20_000));
    entries
}
