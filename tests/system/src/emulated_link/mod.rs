//! A link between two network namespaces with what real ones have: a rate, a queue that drops what does not
//! fit, a delay, jitter, and loss, each way by itself, in real time.
//!
//! ```text
//!  near namespace                                                   far namespace
//!   TUN device ──► loss ──► queue before the rate ──► delay, jitter ──► TUN device
//!              ◄── the same the other way ◄──
//! ```
//!
//! A Python program beside this file does it: this machine's kernel may lack the queueing discipline netem. At some
//! megabits a second it is exact to a millisecond on a machine that is not overloaded.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::ChildStdin;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child_process::ChildProcess;
use crate::network_namespace::NetworkNamespace;

const PROGRAM: &str = include_str!("link.py");
const START_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Of both ends, each in its own namespace.
const INTERFACE: &str = "link0";

/// One of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the near end to the far one.
    ToFar,
    /// From the far end to the near one.
    ToNear,
}

impl Direction {
    const BOTH: [Self; 2] = [Self::ToFar, Self::ToNear];

    fn name(self) -> &'static str {
        match self {
            Self::ToFar => "to_far",
            Self::ToNear => "to_near",
        }
    }
}

/// What a link does to packets in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Bits a second, IP headers included; as many as come where there is none.
    pub rate_bps: Option<f64>,
    /// What the queue before the rate holds, in time at that rate. What does not fit is lost.
    pub queue: Duration,
    /// From the end of the queue to the other end of the link.
    pub delay: Duration,
    /// Up to so much more, evenly spread. Packets keep their order.
    pub jitter: Duration,
    /// The share of packets that are lost, 0 to 1.
    pub loss: f64,
    /// How many are lost one after the other; 1 for each by itself.
    pub burst: u32,
}

impl Conditions {
    /// Everything arrives at once.
    pub const NONE: Self = Self {
        rate_bps: None,
        queue: Duration::ZERO,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        burst: 1,
    };
}

/// What one direction did in some 50 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// When it began, by the link's clock.
    pub at: Duration,
    /// Bytes that left the queue.
    pub carried_bytes: u64,
    /// Packets that found the queue full.
    pub dropped: u64,
    /// Packets that were lost at random.
    pub lost: u64,
    /// The longest that a packet was in the queue, being sent included.
    pub longest_wait: Duration,
}

/// A link. Vanishes with this value.
#[derive(Debug)]
pub struct EmulatedLink {
    // The program ends before its folder vanishes: fields are dropped in this order.
    input: RefCell<ChildStdin>,
    process: ChildProcess,
    _folder: TempDir,
}

impl EmulatedLink {
    /// Lays a link between the namespaces, whose ends have these addresses (both of one /24). `seed` decides what is
    /// random: which packets are lost depends on it and on the packets' order alone.
    ///
    /// # Errors
    /// When there are no TUN devices, or the namespaces have such a link.
    pub fn connect(
        near: (&NetworkNamespace, Ipv4Addr),
        far: (&NetworkNamespace, Ipv4Addr),
        seed: u32,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("link.py");
        std::fs::write(&program, PROGRAM)?;
        let mut command = near.0.command("python3");
        command
            .arg(&program)
            .arg(far.0.file())
            .args([INTERFACE, &seed.to_string()]);
        let (process, input) = ChildProcess::start_with_input("emulated link", &mut command)?;
        process
            .lines()
            .wait_for("a ready link", START_LIMIT, |line| {
                (line == "ready").then_some(())
            })
            .context("a link needs /dev/net/tun")?;
        for (namespace, address) in [near, far] {
            namespace.ip(&format!("address add {address}/24 dev {INTERFACE}"))?;
            namespace.ip(&format!("link set {INTERFACE} up"))?;
        }
        Ok(Self {
            input: RefCell::new(input),
            process,
            _folder: folder,
        })
    }

    /// Changes one direction. What is in the queue stays there, and leaves it at the new rate. Returns the moment by
    /// the link's clock.
    ///
    /// # Errors
    /// When the link is gone.
    pub fn change(&self, direction: Direction, conditions: Conditions) -> Result<Duration> {
        let answer = self.ask(&json!({
            "direction": direction.name(),
            "rate_bps": conditions.rate_bps,
            "queue_s": conditions.queue.as_secs_f64(),
            "delay_s": conditions.delay.as_secs_f64(),
            "jitter_s": conditions.jitter.as_secs_f64(),
            "loss": conditions.loss,
            "burst": conditions.burst,
        }))?;
        seconds(&answer["now"])
    }

    /// Changes both directions alike.
    ///
    /// # Errors
    /// As [`EmulatedLink::change`].
    pub fn change_both(&self, conditions: Conditions) -> Result<Duration> {
        let mut at = Duration::ZERO;
        for direction in Direction::BOTH {
            at = self.change(direction, conditions)?;
        }
        Ok(at)
    }

    /// What a direction has done since it was last asked for. Intervals in which nothing came are left out.
    ///
    /// # Errors
    /// When the link is gone.
    pub fn report(&self, direction: Direction) -> Result<Vec<Interval>> {
        let answer = self.ask(&json!({"direction": direction.name(), "report": true}))?;
        let bins = answer["bins"].as_array().context("no intervals")?;
        let interval = |bin: &Value| {
            let count = |index: usize| bin[index].as_u64().context("no count");
            Ok(Interval {
                at: seconds(&bin[0])?,
                carried_bytes: count(1)?,
                dropped: count(2)?,
                lost: count(3)?,
                longest_wait: seconds(&bin[4])?,
            })
        };
        bins.iter().map(interval).collect()
    }

    fn ask(&self, command: &Value) -> Result<Value> {
        let mark = self.process.lines().mark();
        writeln!(self.input.borrow_mut(), "{command}")?;
        self.process
            .lines()
            .wait_after(mark, "the link's answer", ANSWER_LIMIT, |line| {
                let line: Value = serde_json::from_str(line).ok()?;
                line["now"].is_number().then_some(line)
            })
    }
}

fn seconds(value: &Value) -> Result<Duration> {
    let seconds = value.as_f64().context("no time")?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}
