//! Telephone keys in RTP (RFC 4733), both ways.
//!
//! While a key sounds, its packets take the place of the audio packets, one for one: the same
//! SSRC, an unbroken sequence, and no timer of our own.
//!
//! ```text
//!             digits                100 ms sounded         three ends sent
//!   Idle ───────────────► Sounding ────────────────► Ending ───────────────► Pausing ──┐
//!    ▲                       ▲                                                  │      │
//!    │ nothing left          └──────────────────── 60 ms of audio, next digit ──┘      │
//!    └─────────────────────────────────────────────────────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use room::codec::PayloadType;
use room::dtmf::{DtmfDigit, DtmfDigits};

use crate::rtp::RtpHeader;

/// How long a key sounds. RFC 4733 names no time; ITU-T Q.24 receivers need 40 ms.
const TONE: Duration = Duration::from_millis(100);
/// Sound between two keys.
const PAUSE: Duration = Duration::from_millis(60);
/// The end is said three times, against loss (RFC 4733 section 2.5.1.4).
const END_PACKETS: u8 = 3;
/// -10 dBm0.
const VOLUME: u8 = 10;
/// Digits that may wait.
const QUEUE: usize = 256;

/// A telephone event with its RTP header.
pub(crate) type EventPacket = [u8; RtpHeader::LEN + 4];

/// Sends keys on one stream.
#[derive(Debug)]
pub(crate) struct TelephoneEventSender {
    payload_type: PayloadType,
    clock_hz: u32,
    queue: VecDeque<DtmfDigit>,
    state: SendState,
}

/// Timestamps are those of the audio packets that are replaced.
#[derive(Clone, Copy, Debug)]
enum SendState {
    Idle,
    Sounding {
        digit: DtmfDigit,
        start: u32,
    },
    Ending {
        digit: DtmfDigit,
        start: u32,
        duration: u16,
        left: u8,
    },
    Pausing {
        since: u32,
    },
}

impl TelephoneEventSender {
    /// A sender for a stream whose timestamps count `clock_hz` a second.
    pub(crate) fn new(payload_type: PayloadType, clock_hz: u32) -> Self {
        Self {
            payload_type,
            clock_hz,
            queue: VecDeque::new(),
            state: SendState::Idle,
        }
    }

    /// Sends these keys after those that wait. Keys beyond the queue's bound are dropped.
    pub(crate) fn send(&mut self, digits: &DtmfDigits) {
        let room = QUEUE.saturating_sub(self.queue.len());
        self.queue
            .extend(digits.as_slice().iter().copied().take(room));
    }

    /// What goes out instead of an audio packet; `None` lets the audio pass.
    pub(crate) fn replace(&mut self, audio: RtpHeader) -> Option<EventPacket> {
        let ticks = |time: Duration| (u128::from(self.clock_hz) * time.as_millis() / 1_000) as u32;
        let (tone, pause) = (ticks(TONE), ticks(PAUSE));
        match self.state {
            SendState::Idle => self.begin(audio),
            SendState::Pausing { since } if audio.timestamp.wrapping_sub(since) < pause => None,
            SendState::Pausing { .. } => self.begin(audio),
            SendState::Sounding { digit, start } => {
                let sounded = audio.timestamp.wrapping_sub(start).min(u32::from(u16::MAX)) as u16;
                if u32::from(sounded) < tone {
                    return Some(self.packet(audio, digit, start, sounded, Part::Middle));
                }
                self.end(audio, digit, start, sounded, END_PACKETS)
            }
            SendState::Ending {
                digit,
                start,
                duration,
                left,
            } => self.end(audio, digit, start, duration, left),
        }
    }

    fn begin(&mut self, audio: RtpHeader) -> Option<EventPacket> {
        let Some(digit) = self.queue.pop_front() else {
            self.state = SendState::Idle;
            return None;
        };
        let start = audio.timestamp;
        self.state = SendState::Sounding { digit, start };
        Some(self.packet(audio, digit, start, 0, Part::First))
    }

    fn end(
        &mut self,
        audio: RtpHeader,
        digit: DtmfDigit,
        start: u32,
        duration: u16,
        left: u8,
    ) -> Option<EventPacket> {
        self.state = match left.saturating_sub(1) {
            0 => SendState::Pausing {
                since: audio.timestamp,
            },
            left => SendState::Ending {
                digit,
                start,
                duration,
                left,
            },
        };
        Some(self.packet(audio, digit, start, duration, Part::End))
    }

    fn packet(
        &self,
        audio: RtpHeader,
        digit: DtmfDigit,
        start: u32,
        duration: u16,
        part: Part,
    ) -> EventPacket {
        let header = RtpHeader {
            marker: part == Part::First,
            payload_type: self.payload_type.value(),
            timestamp: start,
            ..audio
        };
        let end = if part == Part::End { 0x80 } else { 0 };
        let [high, low] = duration.to_be_bytes();
        let mut packet = [0; RtpHeader::LEN + 4];
        packet[..RtpHeader::LEN].copy_from_slice(&header.to_bytes());
        packet[RtpHeader::LEN..].copy_from_slice(&[digit.event_code(), end | VOLUME, high, low]);
        packet
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Middle,
    End,
}

/// Receives keys on one stream: each key once, however many packets say it.
#[derive(Debug)]
pub(crate) struct TelephoneEventReceiver {
    payload_type: PayloadType,
    last: Option<(u32, u32)>,
}

impl TelephoneEventReceiver {
    /// A receiver of events with this payload type.
    pub(crate) fn new(payload_type: PayloadType) -> Self {
        Self {
            payload_type,
            last: None,
        }
    }

    /// Looks at a packet; gives the key when it begins. Packets that are no events, events that
    /// are no keys, and repetitions give `None`.
    pub(crate) fn receive(&mut self, header: RtpHeader, payload: &[u8]) -> Option<DtmfDigit> {
        if header.payload_type != self.payload_type.value() || payload.len() < 4 {
            return None;
        }
        let digit = DtmfDigit::from_event_code(payload[0])?;
        // One event keeps its timestamp in all its packets (RFC 4733 section 2.3.1).
        let event = (header.ssrc, header.timestamp);
        let old = self.last.is_some_and(|(ssrc, timestamp)| {
            // A late packet of the event before is no new key.
            ssrc == event.0 && timestamp.wrapping_sub(event.1) < u32::MAX / 2
        });
        if old {
            return None;
        }
        self.last = Some(event);
        Some(digit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: PayloadType = PayloadType::new(101).unwrap();

    /// Sends `digits` over a stream of 20 ms packets and gives the packets that went out.
    fn stream(digits: &str, packets: u32) -> Vec<Option<EventPacket>> {
        let mut sender = TelephoneEventSender::new(EVENTS, 48_000);
        sender.send(&DtmfDigits::parse(digits).unwrap());
        (0..packets).map(|n| sender.replace(audio(n))).collect()
    }

    fn audio(n: u32) -> RtpHeader {
        RtpHeader {
            marker: false,
            payload_type: 96,
            sequence: n as u16,
            // Wraps in the middle of a key.
            timestamp: (u32::MAX - 2_000).wrapping_add(n * 960),
            ssrc: 7,
        }
    }

    fn received(packets: impl IntoIterator<Item = EventPacket>) -> String {
        let mut receiver = TelephoneEventReceiver::new(EVENTS);
        let digit = |packet: EventPacket| {
            let (header, payload) = RtpHeader::parse(&packet)?;
            receiver.receive(header, payload)
        };
        packets
            .into_iter()
            .filter_map(digit)
            .map(DtmfDigit::as_char)
            .collect()
    }

    #[test]
    fn keys_replace_audio_packets_for_100_ms_and_say_their_end_three_times() {
        let packets: Vec<_> = stream("5", 20)
            .into_iter()
            .map_while(|packet| packet)
            .collect();
        assert_eq!(packets.len(), 8);
        let durations: Vec<_> = packets
            .iter()
            .map(|p| u16::from_be_bytes([p[14], p[15]]))
            .collect();
        assert_eq!(durations, [0, 960, 1920, 2880, 3840, 4800, 4800, 4800]);
        let ends: Vec<_> = packets.iter().map(|p| p[13] & 0x80 != 0).collect();
        assert_eq!(ends, [false, false, false, false, false, true, true, true]);
        assert!(
            packets[0][1] & 0x80 != 0,
            "the first packet carries the marker"
        );
        let sequences: Vec<_> = packets.iter().map(|p| p[3]).collect();
        assert_eq!(sequences, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn audio_passes_between_two_keys() {
        let out = stream("11", 40);
        let gap = out
            .iter()
            .skip_while(|p| p.is_some())
            .take_while(|p| p.is_none())
            .count();
        assert!((2..=3).contains(&gap), "{gap}");
    }

    #[test]
    fn a_key_whose_first_packets_are_lost_is_still_received_once() {
        let out: Vec<_> = stream("7", 20).into_iter().flatten().skip(6).collect();
        assert_eq!(received(out), "7");
    }

    proptest! {
        #[test]
        fn every_key_arrives_once_though_packets_are_lost_doubled_and_swapped(
            digits in "[0-9*#A-D]{1,12}",
            fates in prop::collection::vec(0_u8..8, 400),
        ) {
            let mut out = Vec::new();
            let mut run_end = false;
            for (packet, fate) in stream(&digits, 400).into_iter().zip(fates) {
                let Some(packet) = packet else { run_end = false; continue };
                // The last packet of a key always arrives; others may be lost or doubled.
                run_end = run_end || packet[13] & 0x80 != 0;
                match fate {
                    0..=2 if !run_end => {}
                    3 => out.extend([packet, packet]),
                    _ => out.push(packet),
                }
            }
            prop_assert_eq!(received(out), digits);
        }

        #[test]
        fn any_payload_is_read_or_ignored(
            payload in prop::collection::vec(any::<u8>(), 0..12),
            pt in 0_u8..128,
        ) {
            let mut receiver = TelephoneEventReceiver::new(EVENTS);
            let header = RtpHeader { payload_type: pt, ..audio(0) };
            let digit = receiver.receive(header, &payload);
            prop_assert!(digit.is_none() || (pt == 101 && payload.len() >= 4));
        }
    }
}
