//! One layer of a picture that comes in two sizes: which packets of it have come, and which of them go where.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Packet;
use crate::capture_clock::SenderTime;
use crate::keyframe_gate::KeyframeGate;
use crate::numbering::Place;

/// Packets that are kept for a switch: the whole picture at which it begins, where its first packet comes late.
const HELD: usize = 256;

const SEQUENCE_PARAMETER_SET: u8 = 7;
const STAP_A: u8 = 24;

/// Where packets of a layer go in the line of all.
#[derive(Clone, Copy, Debug)]
struct Placement {
    /// The first number of the layer that has a place.
    first: u64,
    /// The last one, once another layer is handed on.
    last: Option<u64>,
    /// What is added to numbers and to timestamps of the layer.
    sequence_offset: u64,
    timestamp_offset: u32,
}

/// A packet that waits for a switch.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
    /// When it came.
    pub(super) at: Instant,
}

/// Where a switch to a layer can begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) at: Instant,
}

/// The last sender report of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) time: SenderTime,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

#[derive(Debug)]
pub(super) struct Layer {
    ssrc: Option<u32>,
    previous_ssrc: Option<u32>,
    /// The highest number so far, extended beyond 16 bits.
    newest: u64,
    /// When the browser sent something of it by itself last.
    pub(super) came: Option<Instant>,
    /// Ends of pictures that have come since the other layer was heard last.
    pub(super) pictures: u32,
    pub(super) report: Option<Report>,
    placement: Option<Placement>,
    held: VecDeque<Held>,
    pub(super) asks: KeyframeGate,
}

impl Layer {
    pub(super) fn new(ask_again: Duration) -> Self {
        Self {
            ssrc: None,
            previous_ssrc: None,
            newest: 0,
            came: None,
            pictures: 0,
            report: None,
            placement: None,
            held: VecDeque::new(),
            asks: KeyframeGate::new(ask_again),
        }
    }

    pub(super) fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Whether a packet is of the source that the layer has at present, or of a new one.
    pub(super) fn takes(&mut self, ssrc: u32) -> Source {
        if self.ssrc == Some(ssrc) {
            return Source::Present;
        }
        if self.previous_ssrc == Some(ssrc) {
            return Source::Past;
        }
        self.previous_ssrc = self.ssrc.replace(ssrc);
        self.newest = 0;
        self.report = None;
        self.placement = None;
        self.held.clear();
        Source::New
    }

    /// The number beyond 16 bits.
    pub(super) fn extend(&mut self, sequence: u16) -> u64 {
        if self.newest == 0 {
            // A packet from before the first one has a number too.
            self.newest = (1 << 16) + u64::from(sequence);
        }
        let distance = sequence.wrapping_sub(self.newest as u16).cast_signed();
        let extended = self.newest.saturating_add_signed(distance.into());
        self.newest = self.newest.max(extended);
        extended
    }

    /// Where a packet goes; `None` while nothing of it is handed on.
    pub(super) fn place(&self, sequence: u64, timestamp: u32) -> Option<Place> {
        let placement = self.placement?;
        let is_in =
            placement.first <= sequence && placement.last.is_none_or(|last| sequence <= last);
        is_in.then(|| Place {
            sequence: sequence.wrapping_add(placement.sequence_offset),
            timestamp: timestamp.wrapping_add(placement.timestamp_offset),
        })
    }

    /// A time of the layer's as the line counts.
    pub(super) fn on_line(&self, time: SenderTime) -> Option<SenderTime> {
        let offset = self.placement?.timestamp_offset;
        Some(SenderTime {
            rtp: time.rtp.wrapping_add(offset),
            ..time
        })
    }

    /// From `start` on the layer is handed on.
    pub(super) fn begin(&mut self, start: Start, place: Place) {
        self.placement = Some(Placement {
            first: start.sequence,
            last: None,
            sequence_offset: place.sequence.wrapping_sub(start.sequence),
            timestamp_offset: place.timestamp.wrapping_sub(start.timestamp),
        });
    }

    /// The layer is handed on no more. What is missing of it up to the highest number of the line may still come.
    pub(super) fn end(&mut self, highest_on_line: u64) {
        if let Some(placement) = &mut self.placement {
            placement.last = Some(highest_on_line.wrapping_sub(placement.sequence_offset));
        }
    }

    /// Keeps a packet in case that a switch begins before it.
    pub(super) fn hold(&mut self, now: Instant, sequence: u64, packet: &Packet<'_>) {
        if self.held.iter().any(|held| held.sequence == sequence) {
            return;
        }
        if self.held.len() >= HELD {
            self.held.pop_front();
        }
        self.held.push_back(Held {
            sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload.to_vec(),
            at: now,
        });
    }

    /// Nobody wants a switch to it.
    pub(super) fn forget_held(&mut self) {
        self.held.clear();
    }

    /// Where a switch to it can begin: at the newest whole picture that has begun to come.
    pub(super) fn start(&self) -> Option<Start> {
        let starts = self
            .held
            .iter()
            .filter(|held| begins_whole_picture(&held.payload));
        let newest = starts.max_by_key(|held| held.sequence)?;
        Some(Start {
            sequence: newest.sequence,
            timestamp: newest.timestamp,
            at: newest.at,
        })
    }

    /// What waits, from a number on, in order.
    pub(super) fn release(&mut self, first: u64) -> Vec<Held> {
        let held = std::mem::take(&mut self.held).into_iter();
        let mut held: Vec<_> = held.filter(|held| held.sequence >= first).collect();
        held.sort_unstable_by_key(|held| held.sequence);
        held
    }
}

/// Whose packet one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Present,
    /// The layer begins anew with it.
    New,
    /// It was the layer's until another came.
    Past,
}

/// Whether a decoder can begin with this packet: it has the parameters of the sequence, before the whole picture
/// that they are for (RFC 6184 section 5.2).
fn begins_whole_picture(payload: &[u8]) -> bool {
    let kind = |unit: &[u8]| unit.first().map(|header| header & 0x1f);
    if kind(payload) != Some(STAP_A) {
        return kind(payload) == Some(SEQUENCE_PARAMETER_SET);
    }
    let mut rest = &payload[1..];
    while let Some((length, behind)) = rest.split_first_chunk() {
        let Some((unit, behind)) = behind.split_at_checked(u16::from_be_bytes(*length).into())
        else {
            return false;
        };
        if kind(unit) == Some(SEQUENCE_PARAMETER_SET) {
            return true;
        }
        rest = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_picture_begins_with_its_parameters() {
        assert!(begins_whole_picture(&[0x67, 1, 2]));
        assert!(begins_whole_picture(&[0x78, 0, 2, 0x67, 1, 0, 1, 0x68]));
        assert!(begins_whole_picture(&[0x78, 0, 1, 0x09, 0, 2, 0x67, 1]));
        for none in [
            &[][..],
            &[0x65, 7],
            &[0x68, 7],
            &[0x7c, 0x85],
            &[0x78, 0, 1, 0x68],
            &[0x78, 0, 9, 0x67],
            &[0x78, 0],
        ] {
            assert!(!begins_whole_picture(none), "{none:?}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let now = Instant::now();
        let mut layer = Layer::new(Duration::ZERO);
        let packet = Packet {
            sequence: 0,
            timestamp: 0,
            marker: false,
            payload: &[1; 9],
            is_again: false,
        };
        for sequence in 0..10_000 {
            layer.hold(now, sequence, &packet);
        }
        assert_eq!(layer.release(0).len(), HELD);
    }
}
