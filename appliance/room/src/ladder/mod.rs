//! The encode ladder: which encodes of the camera there are, and which of them each leg takes.
//!
//! ```text
//!                            held < need, or held < 2/3 of the best leg's,
//!                            or the level takes less than the best leg's: at once
//!   a leg begins ──► High ────────────────────────────────────────────────────────► Low
//!            │        ▲                                                            ▲ │
//!            │        └──── held >= 9/8 of need, and >= 3/4 of the best leg's ─────┼─┘
//!            └───────────────────── High is not for it ────────────────────────────┘
//! ```
//!
//! What a leg may be sent now is the least of its target, of what its far end asked for, of its
//! level and of what the room's policy allows. *Held* is what it has been for a while (see
//! [`HeldBitrate`]): it falls at once, and rises after [`HOLD`], in the first seconds of a call
//! after [`FIRST_HOLD`].
//!
//! A rung exists while a leg takes it. Its bitrate is the least that its legs may be sent now. What
//! the picture needs decides its format by what they have held: less bitrate comes first, then fewer
//! frames, and on the low rung smaller pictures at last. A leg with less than the high rung's range,
//! or much less than the best leg, is on the low rung and takes nothing from the others.

mod held_bitrate;
mod picture_format;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::codec::PacketizationMode;
use crate::h264_level::H264Level;
use crate::ids::LegId;
use crate::media_plan::{EncodeLadder, Rung, RungName, VideoStream};
use crate::units::Bitrate;
use held_bitrate::HeldBitrate;
pub(crate) use picture_format::PictureFormat;

/// How long a bitrate has to last before a leg rises by it,
const HOLD: Duration = Duration::from_secs(4);
/// and while a call is new and its network not known yet: whoever joins waits for a full picture.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// How long a call is new.
const NEW_FOR: Duration = Duration::from_secs(10);

/// Bits for a thousand pixels without which the high rung's picture gives up frames: 552 kbit/s
/// at 720p30.
const HIGH_NEED: u64 = 20;
/// The same at half the frames, which differ more from each other: below 345 kbit/s at 720p15 a
/// smaller picture is better.
const HALVED_NEED: u64 = 25;
/// The same of the low rung, whose small pictures have more detail in each pixel: 276 kbit/s at
/// 360p30.
const LOW_NEED: u64 = 40;
/// More does not make the low rung's picture better: 690 kbit/s at 360p30. It may be given more all the
/// same, see [`part_for_learning`].
const LOW_MOST: u64 = 100;
/// The shorter side of the low rung's largest picture.
const LOW_SIDE: u32 = 360;

/// The least that an encode is given, whatever a peer asks for: one peer that says `b=AS:1` must
/// not take the picture from all others.
pub(crate) const MIN_BITRATE: Bitrate = Bitrate::kbps(64);

/// The largest NAL unit for a leg that takes packetization mode 0 only. With RTP, SRTP, UDP and
/// IPv6 headers it stays below 1,280 bytes, the smallest MTU that IPv6 allows, so that it passes
/// tunnels too.
const MAX_NAL_UNIT: u32 = 1_180;

/// The most that an encode of one source may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) format: PictureFormat,
    pub(crate) bitrate: Bitrate,
}

/// A leg that sends the camera's picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendingLeg<'a> {
    pub(crate) id: LegId,
    /// As settled, within what the far end asked for.
    pub(crate) stream: &'a VideoStream,
    /// What the network carries to it; `None` where nobody measures it.
    pub(crate) target: Option<Bitrate>,
}

/// The ladder with its past.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    legs: BTreeMap<LegId, Standing>,
    rungs: EncodeLadder,
}

/// Where a leg stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    since: Instant,
    held: HeldBitrate,
    rung: RungName,
}

/// A leg at one moment.
#[derive(Clone, Copy, Debug)]
struct Climber<'a> {
    leg: SendingLeg<'a>,
    level: H264Level,
    /// What it may be sent now.
    now: Bitrate,
    /// What it may have been sent for a while.
    held: Bitrate,
    /// The best format that its level takes.
    format: PictureFormat,
    /// The rung that it took so far.
    rung: Option<RungName>,
}

/// What a leg has to hold for a place on the high rung.
#[derive(Clone, Copy, Debug)]
struct Best {
    format: PictureFormat,
    held: Bitrate,
}

impl Ladder {
    /// What the legs may be sent is this now.
    pub(crate) fn follow(&mut self, now: Instant, most: &Most, legs: &[SendingLeg<'_>]) {
        let mut climbers: Vec<Climber<'_>> = legs
            .iter()
            .map(|leg| self.climber(now, most, *leg))
            .collect();
        let best = best(most, &climbers);
        for climber in &mut climbers {
            climber.rung = Some(rung_for(most, climber, best));
        }
        let mut gone = std::mem::take(&mut self.legs);
        for climber in &climbers {
            let before = gone.remove(&climber.leg.id);
            let standing = before
                .zip(climber.rung)
                .map(|(before, rung)| Standing { rung, ..before });
            self.legs
                .extend(standing.map(|standing| (climber.leg.id, standing)));
        }
        let on = |name| {
            climbers
                .iter()
                .filter(move |climber| climber.rung == Some(name))
        };
        let high: Vec<_> = on(RungName::High).collect();
        let low: Vec<_> = on(RungName::Low).collect();
        self.rungs = EncodeLadder {
            high: high_rung(most, &high, self.rungs.high),
            low: low_rung(most, &low, self.rungs.low, best),
        };
    }

    /// The encodes.
    pub(crate) const fn rungs(&self) -> EncodeLadder {
        self.rungs
    }

    /// The rung that a leg takes; `None` while it sends no picture.
    pub(crate) fn rung_of(&self, leg: LegId) -> Option<RungName> {
        self.legs.get(&leg).map(|standing| standing.rung)
    }

    /// When [`follow`](Self::follow) may have another result although nothing else happens.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.legs
            .values()
            .filter_map(|standing| standing.held.deadline())
            .min()
    }

    fn climber<'a>(&mut self, now: Instant, most: &Most, leg: SendingLeg<'a>) -> Climber<'a> {
        let level = H264Level::of(leg.stream.send_profile);
        let limits = leg.target.into_iter().chain(leg.stream.max_bitrate);
        let bitrate = limits.fold(most.bitrate.min(level.max_bitrate), Bitrate::min);
        let bitrate = bitrate.max(MIN_BITRATE);
        let known = self.legs.contains_key(&leg.id);
        let standing = self.legs.entry(leg.id).or_insert(Standing {
            since: now,
            held: HeldBitrate::Steady(bitrate),
            rung: RungName::High,
        });
        let is_new = now.saturating_duration_since(standing.since) < NEW_FOR;
        let hold = if is_new { FIRST_HOLD } else { HOLD };
        standing.held = standing.held.follow(now, bitrate, hold);
        Climber {
            leg,
            level,
            now: bitrate,
            held: standing.held.get(),
            format: PictureFormat::within(most.format, &[level]),
            rung: known.then_some(standing.rung),
        }
    }
}

impl Climber<'_> {
    /// What it has to hold of what the high rung needs: more, if it is to rise.
    fn with_margin(&self, need: Bitrate) -> Bitrate {
        match self.rung {
            Some(RungName::Low) => part(need, 9, 8),
            Some(RungName::High) | None => need,
        }
    }

    /// Whether nothing but its network, which is measured, keeps it from what the best leg takes.
    fn waits_for_network(&self, best: &Best) -> bool {
        self.leg.target.is_some() && best.format.is_taken_by(&[self.level])
    }

    /// The least part of the best leg's bitrate that it has to hold.
    fn share(&self, best: Bitrate) -> Bitrate {
        match self.rung {
            Some(RungName::Low) => part(best, 3, 4),
            Some(RungName::High) | None => part(best, 2, 3),
        }
    }
}

/// What the high rung needs for a picture at all its frames. A policy that gives it little wants
/// it so.
fn high_need(most: &Most, format: PictureFormat) -> Bitrate {
    let is_halved = format.frame_rate.0 * 2 <= most.format.frame_rate.0;
    let need = if is_halved { HALVED_NEED } else { HIGH_NEED };
    format.bitrate(need).min(part(most.bitrate, 1, 2))
}

/// The best leg of those that hold what the high rung needs, at half its frames if need be.
fn best(most: &Most, climbers: &[Climber<'_>]) -> Option<Best> {
    let holds = |climber: &&Climber<'_>| {
        let need = high_need(most, climber.format.halved());
        climber.held >= climber.with_margin(need)
    };
    let able = climbers.iter().filter(holds);
    let best = able.max_by_key(|climber| {
        let PictureFormat {
            resolution,
            frame_rate,
        } = climber.format;
        (resolution.macroblocks(), frame_rate, climber.held)
    })?;
    Some(Best {
        format: best.format,
        held: best.held,
    })
}

/// The highest rung for a leg on which it takes nothing from the best one: neither size nor frames,
/// and not much of the bitrate.
fn rung_for(most: &Most, climber: &Climber<'_>, best: Option<Best>) -> RungName {
    let Some(best) = best else {
        return RungName::Low;
    };
    let full = high_need(most, best.format);
    let need = if best.held >= full {
        full
    } else {
        high_need(most, best.format.halved())
    };
    let joins = best.format.is_taken_by(&[climber.level])
        && climber.held >= climber.with_margin(need).min(best.held)
        && climber.held >= climber.share(best.held);
    if joins { RungName::High } else { RungName::Low }
}

fn high_rung(most: &Most, legs: &[&Climber<'_>], before: Option<Rung>) -> Option<Rung> {
    let full = PictureFormat::within(most.format, &levels(legs));
    let formats = [full, full.halved()];
    rung(
        legs,
        before,
        &formats,
        |format| high_need(most, format),
        most.bitrate,
    )
}

fn low_rung(
    most: &Most,
    legs: &[&Climber<'_>],
    before: Option<Rung>,
    best: Option<Best>,
) -> Option<Rung> {
    let levels = levels(legs);
    let is_small = |format: &PictureFormat| {
        let size = format.resolution;
        size.width.min(size.height) <= LOW_SIDE
    };
    let sizes = most.format.sizes().filter(is_small);
    let formats = sizes.flat_map(|format| [format, format.halved()]);
    let mut formats: Vec<_> = formats
        .filter(|format| format.is_taken_by(&levels))
        .collect();
    if formats.is_empty() {
        formats.push(most.format.smallest().slowed_for(&levels));
    }
    let useful = formats[0].bitrate(LOW_MOST);
    let learning = best.filter(|best| legs.iter().any(|leg| leg.waits_for_network(best)));
    let learning = learning.map_or(useful, |best| part_for_learning(best.held));
    let most = useful.max(learning).min(most.bitrate);
    rung(
        legs,
        before,
        &formats,
        |format| format.bitrate(LOW_NEED),
        most,
    )
}

/// What a leg has to be sent, so that congestion control may find that its network carries what the best leg's does:
/// it learns of no more than twice what is sent, and a leg rises at three quarters of the best one.
fn part_for_learning(best: Bitrate) -> Bitrate {
    part(best, 9, 20)
}

/// The rung for these legs in the first of these formats for which they hold enough, or in the last
/// one; `None` without legs. A better format than the one before has to be held with a margin.
fn rung(
    legs: &[&Climber<'_>],
    before: Option<Rung>,
    formats: &[PictureFormat],
    need: impl Fn(PictureFormat) -> Bitrate,
    most: Bitrate,
) -> Option<Rung> {
    let held = legs.iter().map(|leg| leg.held).min()?;
    let least = legs.iter().map(|leg| leg.now).min()?;
    let is_before = |format: &PictureFormat| {
        before.is_some_and(|rung| {
            (rung.resolution, rung.frame_rate) == (format.resolution, format.frame_rate)
        })
    };
    let current = formats.iter().position(is_before).unwrap_or(0);
    let is_held = |(index, format): &(usize, &PictureFormat)| {
        let need = need(**format);
        let need = if *index < current {
            part(need, 9, 8)
        } else {
            need
        };
        held >= need
    };
    let mut candidates = formats.iter().enumerate();
    let held_format = candidates.find(is_held).map(|(_, format)| *format);
    let format = held_format.or_else(|| formats.last().copied())?;
    let single_nal_unit = |leg: &&Climber<'_>| {
        leg.leg.stream.send_packetization_mode == PacketizationMode::SingleNalUnit
    };
    let most = most.max(MIN_BITRATE);
    Some(Rung {
        resolution: format.resolution,
        frame_rate: format.frame_rate,
        bitrate: followed(before.map(|rung| rung.bitrate), least.min(most), most),
        max_nal_unit: legs.iter().any(single_nal_unit).then_some(MAX_NAL_UNIT),
    })
}

/// The one rung that all streams can take, at the least that they all take; `None` without one.
pub(crate) fn one_rung_for_all(most: &Most, streams: &[&VideoStream]) -> Option<Rung> {
    if streams.is_empty() {
        return None;
    }
    let levels: Vec<_> = streams
        .iter()
        .map(|video| H264Level::of(video.send_profile))
        .collect();
    let PictureFormat {
        resolution,
        frame_rate,
    } = PictureFormat::within(most.format, &levels);
    let asked = streams.iter().filter_map(|video| video.max_bitrate);
    let decodable = levels.iter().map(|level| level.max_bitrate);
    let bitrate = asked.chain(decodable).fold(most.bitrate, Bitrate::min);
    let single_nal_unit = streams
        .iter()
        .any(|video| video.send_packetization_mode == PacketizationMode::SingleNalUnit);
    Some(Rung {
        resolution,
        frame_rate,
        bitrate: bitrate.max(MIN_BITRATE),
        max_nal_unit: single_nal_unit.then_some(MAX_NAL_UNIT),
    })
}

/// Less at once, and more where it is worth a change or all that there is.
fn followed(before: Option<Bitrate>, now: Bitrate, most: Bitrate) -> Bitrate {
    match before {
        Some(before) if now > before && now < most && now < part(before, 33, 32) => before,
        Some(_) | None => now,
    }
}

fn levels(legs: &[&Climber<'_>]) -> Vec<H264Level> {
    legs.iter().map(|leg| leg.level).collect()
}

fn part(bitrate: Bitrate, numerator: u64, denominator: u64) -> Bitrate {
    Bitrate::bps(bitrate.as_bps().saturating_mul(numerator) / denominator)
}
