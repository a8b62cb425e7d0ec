//! A picture that a browser sends in two sizes at once (simulcast, RFC 8853), handed on as one stream.
//!
//! One of the two layers is handed on at a time. The other one takes its place at a whole picture of its own, and the
//! numbers and the timestamps of the stream go on as if nothing had happened.
//!
//! ```text
//!                    ┌── whole picture of the wanted layer ──────────────┐
//!                    ▼                                                   │
//!   nothing ──► the wanted layer ──it is silent for 500 ms while──► the other layer
//!      │         is handed on      the other comes, and a whole      is handed on
//!      │                           picture of that is there               ▲
//!      └── a whole picture of the other, and none of the wanted one in 200 ms ─┘
//! ```
//!
//! A layer that is to take over is asked for a whole picture again and again until one begins. What of it has come
//! meanwhile is held, as the first packet of that picture may be late, or lost and sent again. A switch waits until
//! the picture that is under way is complete, but not for long.
//!
//! The layers count time from different origins. The browser's sender reports say which times of the two are the same;
//! until both have come, the moments of arrival do.

mod attributes;
mod layer;

use std::borrow::Cow;
use std::time::{Duration, Instant};

pub(crate) use attributes::{Layers, SimulcastAttributes, with_layers};

use crate::capture_clock::SenderTime;
use crate::numbering::Place;
use layer::{Layer, Report, Source, Start};

/// A layer of which nothing came for so long has stopped: a browser stops the large one where its network
/// carries too little.
const STOPPED: Duration = Duration::from_millis(500);

/// Pictures of the other layer that have to come meanwhile: a camera may be slow.
const PICTURES: u32 = 2;

/// At the beginning the wanted layer is waited for so long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The rest of a picture that is under way is waited for so long.
const REST_OF_PICTURE: Duration = Duration::from_millis(50);

/// Between two requests for the whole picture at which a switch begins: a browser answers within a round trip.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Ticks of the clock of pictures in a second.
const CLOCK_HZ: u32 = 90_000;

/// Two pictures are so many ticks apart at the least: those with one timestamp would be one.
const LEAST_STEP: u32 = CLOCK_HZ / 1_000;

/// Ticks by which the sender reports may differ from what the moments of arrival say.
const PLAUSIBLE: u32 = CLOCK_HZ;

/// One of the two sizes in which a browser sends a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimulcastLayer {
    /// The large one: the first that the browser's offer names.
    High,
    /// The small one.
    Low,
}

impl SimulcastLayer {
    /// Both, the large one first.
    pub const ALL: [Self; 2] = [Self::High, Self::Low];

    /// The name in logs and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::High => Self::Low,
            Self::Low => Self::High,
        }
    }
}

/// A packet of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: &'a [u8],
    /// It was sent again.
    pub(crate) is_again: bool,
}

/// A packet that is handed on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed<'a> {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Cow<'a, [u8]>,
}

/// What follows from a packet of a layer.
#[derive(Debug, Default)]
pub(crate) struct Forwarded<'a> {
    /// What is handed on, in order.
    pub(crate) packets: Vec<Placed<'a>>,
    /// The sender report by which the timestamps after a switch are to be read.
    pub(crate) report: Option<SenderReport>,
    /// The layer that is to be asked for a whole picture.
    pub(crate) asks: Option<SimulcastLayer>,
}

/// A sender report of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderReport {
    pub(crate) time: SenderTime,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// How far the stream has come.
#[derive(Clone, Copy, Debug)]
struct End {
    place: Place,
    /// When that was.
    at: Instant,
    /// More of this picture is to come.
    is_open: bool,
}

/// Both layers of one picture.
#[derive(Debug)]
pub(crate) struct Simulcast {
    layers: [Layer; 2],
    wanted: SimulcastLayer,
    /// The layer that is handed on.
    current: Option<SimulcastLayer>,
    /// The offset of timestamps of the current layer as the clocks say it; some ticks off where two pictures
    /// would have come to lie on one another.
    exact_offset: u32,
    end: Option<End>,
}

impl Default for Simulcast {
    fn default() -> Self {
        Self {
            layers: [Layer::new(ASK_AGAIN), Layer::new(ASK_AGAIN)],
            wanted: SimulcastLayer::High,
            current: None,
            exact_offset: 0,
            end: None,
        }
    }
}

impl Simulcast {
    /// The layer that is handed on.
    pub(crate) fn current(&self) -> Option<SimulcastLayer> {
        self.current
    }

    /// Which layer is to be handed on while it comes.
    pub(crate) fn want(&mut self, layer: SimulcastLayer) {
        self.wanted = layer;
    }

    /// The layer that a request for a whole picture goes to.
    pub(crate) fn asked(&self) -> SimulcastLayer {
        self.current.unwrap_or(self.wanted)
    }

    /// A packet of a layer comes.
    pub(crate) fn packet<'a>(
        &mut self,
        now: Instant,
        layer: SimulcastLayer,
        ssrc: u32,
        packet: &Packet<'a>,
    ) -> Forwarded<'a> {
        let mut forwarded = Forwarded::default();
        match self.of(layer).takes(ssrc) {
            Source::Present => {}
            Source::Past => return forwarded,
            Source::New => {
                if self.current == Some(layer) {
                    self.current = None;
                }
            }
        }
        let known = self.of(layer);
        let sequence = known.extend(packet.sequence);
        // Padding, by which browsers probe what the path carries, is no picture.
        let is_padding = packet.payload.is_empty();
        if !packet.is_again && !is_padding {
            known.came = Some(now);
            known.pictures = known.pictures.saturating_add(packet.marker.into());
            self.of(layer.other()).pictures = 0;
        }
        if let Some(place) = self.of(layer).place(sequence, packet.timestamp) {
            let ends = packet.marker || is_padding && self.end.is_none_or(|end| !end.is_open);
            self.goes_on(now, place, ends);
            forwarded
                .packets
                .push(placed(place, packet.marker, Cow::Borrowed(packet.payload)));
        } else if self.candidates(now).contains(&Some(layer)) {
            self.of(layer).hold(now, sequence, packet);
        }
        self.consider(now, &mut forwarded);
        forwarded
    }

    /// A sender report of a layer comes. Gives that of the stream, where the layer is handed on.
    pub(crate) fn report(
        &mut self,
        layer: SimulcastLayer,
        ssrc: u32,
        report: SenderReport,
    ) -> Option<SenderReport> {
        let is_current = self.current == Some(layer);
        let known = self.of(layer);
        if known.ssrc() != Some(ssrc) {
            return None;
        }
        let SenderReport {
            time,
            packets,
            octets,
        } = report;
        known.report = Some(Report {
            time,
            packets,
            octets,
        });
        let time = known.on_line(time).filter(|_| is_current)?;
        Some(SenderReport { time, ..report })
    }

    fn of(&mut self, layer: SimulcastLayer) -> &mut Layer {
        &mut self.layers[layer as usize]
    }

    fn at(&self, layer: SimulcastLayer) -> &Layer {
        &self.layers[layer as usize]
    }

    fn comes(&self, now: Instant, layer: SimulcastLayer) -> bool {
        let came = self.at(layer).came;
        came.is_some_and(|came| now.saturating_duration_since(came) < STOPPED)
    }

    /// Which layers may take over.
    fn candidates(&self, now: Instant) -> [Option<SimulcastLayer>; 2] {
        let (wanted, other) = (self.wanted, self.wanted.other());
        match self.current {
            None => [Some(wanted), Some(other)],
            Some(current) if current == other => [Some(wanted), None],
            Some(_) => {
                let has_stopped = !self.comes(now, wanted) && self.at(other).pictures >= PICTURES;
                [has_stopped.then_some(other), None]
            }
        }
    }

    /// Looks whether it is time for another layer.
    fn consider(&mut self, now: Instant, forwarded: &mut Forwarded<'_>) {
        let candidates = self.candidates(now);
        for layer in SimulcastLayer::ALL {
            if !candidates.contains(&Some(layer)) {
                self.of(layer).forget_held();
            }
        }
        for layer in candidates.into_iter().flatten() {
            let is_first = self.current.is_none() && layer != self.wanted;
            let Some(start) = self.at(layer).start() else {
                if self.comes(now, layer) && self.of(layer).asks.request(now) {
                    forwarded.asks = Some(layer);
                }
                continue;
            };
            if is_first && now.saturating_duration_since(start.at) < FIRST_WAIT {
                continue;
            }
            let is_under_way =
                |end: End| end.is_open && now.saturating_duration_since(end.at) < REST_OF_PICTURE;
            if self.current.is_some() && self.end.is_some_and(is_under_way) {
                continue;
            }
            self.switch(layer, start, forwarded);
            return;
        }
    }

    fn switch(&mut self, to: SimulcastLayer, start: Start, forwarded: &mut Forwarded<'_>) {
        let place = match self.end {
            None => Place {
                sequence: start.sequence,
                timestamp: start.timestamp,
            },
            Some(end) => {
                let exact = self.timestamp_of(to, start, end);
                self.exact_offset = exact.wrapping_sub(start.timestamp);
                let earliest = end.place.timestamp.wrapping_add(LEAST_STEP);
                let is_before = exact.wrapping_sub(earliest).cast_signed() < 0;
                Place {
                    sequence: end.place.sequence.wrapping_add(1),
                    timestamp: if is_before { earliest } else { exact },
                }
            }
        };
        if let (Some(from), Some(end)) = (self.current, self.end) {
            self.of(from).end(end.place.sequence);
        }
        self.current = Some(to);
        let layer = self.of(to);
        layer.begin(start, place);
        for held in layer.release(start.sequence) {
            if let Some(place) = self.at(to).place(held.sequence, held.timestamp) {
                self.goes_on(held.at, place, held.marker);
                let payload = Cow::Owned(held.payload);
                forwarded.packets.push(placed(place, held.marker, payload));
            }
        }
        let layer = self.at(to);
        forwarded.report = layer.report.and_then(|report| {
            Some(SenderReport {
                time: layer.on_line(report.time)?,
                packets: report.packets,
                octets: report.octets,
            })
        });
    }

    /// Which timestamp of the line the start of a layer has.
    fn timestamp_of(&self, to: SimulcastLayer, start: Start, end: End) -> u32 {
        let elapsed = start.at.saturating_duration_since(end.at).as_micros();
        let ticks = elapsed * u128::from(CLOCK_HZ) / 1_000_000;
        let by_arrival = end.place.timestamp.wrapping_add(ticks as u32);
        let by_reports = self.current.and_then(|from| {
            let (from, to) = (self.at(from).report?.time, self.at(to).report?.time);
            let fraction = i128::from(to.ntp.wrapping_sub(from.ntp).cast_signed());
            let ticks = (fraction * i128::from(CLOCK_HZ)) >> 32;
            let same_time = from
                .rtp
                .wrapping_add(ticks as u32)
                .wrapping_add(self.exact_offset);
            Some(start.timestamp.wrapping_sub(to.rtp).wrapping_add(same_time))
        });
        let is_plausible = |timestamp: &u32| {
            timestamp
                .wrapping_sub(by_arrival)
                .cast_signed()
                .unsigned_abs()
                <= PLAUSIBLE
        };
        by_reports.filter(is_plausible).unwrap_or(by_arrival)
    }

    fn goes_on(&mut self, at: Instant, place: Place, ends: bool) {
        if self
            .end
            .is_none_or(|end| place.sequence > end.place.sequence)
        {
            self.end = Some(End {
                place,
                at,
                is_open: !ends,
            });
        }
    }
}

fn placed(place: Place, marker: bool, payload: Cow<'_, [u8]>) -> Placed<'_> {
    Placed {
        sequence: place.sequence as u16,
        timestamp: place.timestamp,
        marker,
        payload,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The header of a slice, and that of a sequence parameter set.
    const BEGINS: [u8; 2] = [0x41, 0x67];

    fn packet(sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Packet<'_> {
        Packet {
            sequence,
            timestamp,
            marker,
            payload,
            is_again: false,
        }
    }

    #[test]
    fn the_first_packet_of_a_whole_picture_may_come_last() {
        let now = Instant::now();
        let mut simulcast = Simulcast::default();
        let high = |simulcast: &mut Simulcast, number, marker, payload| {
            let forwarded = simulcast.packet(
                now,
                SimulcastLayer::High,
                1,
                &packet(number, 90, marker, payload),
            );
            let numbers = forwarded.packets.iter().map(|packet| packet.sequence);
            (numbers.collect::<Vec<_>>(), forwarded.asks.is_some())
        };
        assert_eq!(high(&mut simulcast, 11, false, &[0x41]), (vec![], true));
        assert_eq!(high(&mut simulcast, 12, true, &[0x41]), (vec![], false));
        assert_eq!(high(&mut simulcast, 9, true, &[0x41]), (vec![], false));
        assert_eq!(
            high(&mut simulcast, 10, false, &[0x67]),
            (vec![10, 11, 12], false)
        );
        assert_eq!(high(&mut simulcast, 13, false, &[0x41]), (vec![13], false));
    }

    #[test]
    fn a_switch_waits_for_the_rest_of_a_picture_but_not_for_long() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for rest in [true, false] {
            let mut simulcast = Simulcast::default();
            let mut from = |ms, layer, sequence, marker, kind: u8| {
                let packet = packet(
                    sequence,
                    ms as u32 * 90,
                    marker,
                    std::slice::from_ref(&kind),
                );
                let forwarded = simulcast.packet(at(ms), layer, layer as u32, &packet);
                let numbers = forwarded.packets.iter().map(|packet| packet.sequence);
                numbers.collect::<Vec<_>>()
            };
            assert_eq!(from(0, SimulcastLayer::Low, 50, true, 0x67), [0; 0]);
            assert_eq!(from(200, SimulcastLayer::Low, 51, false, 0x41), [50, 51]);
            assert_eq!(from(210, SimulcastLayer::High, 700, false, 0x67), [0; 0]);
            if rest {
                assert_eq!(from(220, SimulcastLayer::Low, 52, true, 0x41), [52, 53]);
                assert_eq!(from(220, SimulcastLayer::High, 701, true, 0x41), [54]);
            } else {
                assert_eq!(from(249, SimulcastLayer::High, 701, true, 0x41), [0; 0]);
                assert_eq!(
                    from(250, SimulcastLayer::High, 702, true, 0x41),
                    [52, 53, 54]
                );
                // What is missing of the old layer up to there has a place, what follows has none.
                assert_eq!(from(251, SimulcastLayer::Low, 51, false, 0x41), [51]);
                assert_eq!(from(251, SimulcastLayer::Low, 52, true, 0x41), [0; 0]);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_the_stream_goes_on_by_one(
            steps in proptest::collection::vec(
                (any::<bool>(), 0_u32..3, 0_u16..3, 0_u64..400, any::<bool>(), 0..2_usize),
                1..300,
            )
        ) {
            let mut now = Instant::now();
            let mut simulcast = Simulcast::default();
            let mut sequences = [[65_530_u16; 3], [3; 3]];
            let mut next: Option<u16> = None;
            for (low, source, jump, ms, marker, kind) in steps {
                now += Duration::from_millis(ms);
                let layer = SimulcastLayer::ALL[usize::from(low)];
                // In order, and each once; one that is passed over was lost.
                let sequence = &mut sequences[usize::from(low)][source as usize];
                *sequence = sequence.wrapping_add(1);
                let packet = packet(*sequence, ms as u32 * 90, marker, &BEGINS[kind..]);
                if jump == 2 {
                    continue;
                }
                let ssrc = source + 10 * u32::from(low);
                for placed in simulcast.packet(now, layer, ssrc, &packet).packets {
                    let expected = next.unwrap_or(placed.sequence);
                    prop_assert!(placed.sequence.wrapping_sub(expected) < 300);
                    next = Some(placed.sequence.wrapping_add(1));
                }
            }
        }
    }
}
