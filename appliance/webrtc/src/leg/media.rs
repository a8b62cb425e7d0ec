//! Media through a leg: plain packets of media to the browser, and the browser's to media.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use room::codec::Direction;
use room::media_plan::Medium;
use str0m::Input;
use str0m::media::{Mid, SenderFeedback};
use str0m::rtp::{RtpHeader, RtpWrite};

use super::layers::ReceivedLayers;
use super::{Leg, SOURCES, State};
use crate::arrived_packets::ArrivedPackets;
use crate::capture_clock::SenderTime;
use crate::description::Line;
use crate::engine;
use crate::error::Error;
use crate::keyframe_gate::KeyframeGate;
use crate::numbering::Numbering;
use crate::output::{Channel, CloseReason, Event, Output};
use crate::redundancy::{self, Redundancy, Repetitions, Unwrapped};
use crate::rtp::{self, ControlPacket};
use crate::sent_sound::SentSound;
use crate::simulcast::{Packet, SenderReport, SimulcastLayer};
use crate::stats::{Meter, StreamStats};

/// One medium of a leg.
#[derive(Debug)]
pub(super) struct MediumState {
    pub(super) medium: Medium,
    /// Its line in the browser's last offer.
    pub(super) line: Option<Line>,
    /// Which way it may flow at most.
    pub(super) allowed: Direction,
    /// Payload type and direction, where the stream was settled.
    pub(super) settled: Option<(u8, Direction)>,
    /// The id of the header extension with transport-wide numbers.
    pub(super) transport_sequence_id: Option<u8>,
    /// The SSRCs that we send with: the stream, and its retransmissions.
    pub(super) sources: Option<(u32, Option<u32>)>,
    /// The SSRC that media sees the browser's packets with.
    pub(super) ssrc: u32,
    sent: Numbering,
    received: Numbering,
    arrived: ArrivedPackets,
    /// The layers, where the browser sends two.
    pub(super) layers: ReceivedLayers,
    /// The payload type of repeated sound, where the browser takes it.
    pub(super) redundancy_payload_type: Option<u8>,
    pub(super) redundancy: Redundancy,
    repetitions: Repetitions,
    /// Whether the browser asks for sound that is lost, and sends it again when asked.
    pub(super) takes_nack: bool,
    pub(super) sent_sound: SentSound,
    sender_time: Option<SenderTime>,
    /// Requests of media, on their way to the browser.
    pub(super) asks_browser: KeyframeGate,
    /// Requests of the browser, on their way to media.
    pub(super) asks_media: KeyframeGate,
    pub(super) sent_meter: Meter,
    pub(super) received_meter: Meter,
    pub(super) stats: StreamStats,
}

impl MediumState {
    pub(super) fn new(medium: Medium, keyframe_interval: Duration, ssrc: u32) -> Self {
        Self {
            medium,
            line: None,
            allowed: Direction::SendRecv,
            settled: None,
            transport_sequence_id: None,
            sources: None,
            ssrc,
            sent: Numbering::of_sent(clock_hz(medium)),
            received: Numbering::of_received(clock_hz(medium)),
            arrived: ArrivedPackets::default(),
            layers: ReceivedLayers::default(),
            redundancy_payload_type: None,
            redundancy: Redundancy::default(),
            repetitions: Repetitions::default(),
            takes_nack: false,
            sent_sound: SentSound::default(),
            sender_time: None,
            asks_browser: KeyframeGate::new(keyframe_interval),
            asks_media: KeyframeGate::new(keyframe_interval),
            sent_meter: Meter::default(),
            received_meter: Meter::default(),
            stats: StreamStats::of(medium),
        }
    }

    pub(super) fn mid(&self) -> Option<Mid> {
        self.line.as_ref().map(|line| Mid::from(line.mid.as_str()))
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> + use<> {
        let gates = [self.asks_browser.deadline(), self.asks_media.deadline()];
        gates.into_iter().flatten()
    }

    fn sends(&self) -> Option<u8> {
        self.settled
            .filter(|(_, direction)| direction.sends())
            .map(|(payload_type, _)| payload_type)
    }

    pub(super) fn receives(&self) -> Option<u8> {
        self.settled
            .filter(|(_, direction)| direction.receives())
            .map(|(payload_type, _)| payload_type)
    }
}

/// Whose packets those of a source of the browser's are.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceMedium {
    ssrc: u32,
    medium: Medium,
    /// Of which layer they are, where the browser sends two.
    layer: Option<SimulcastLayer>,
    /// The source whose packets it sends again (RFC 4588), where it is one that does.
    repairs: Option<u32>,
}

/// The RTP clock of Opus and of H.264.
pub(super) const fn clock_hz(medium: Medium) -> u32 {
    match medium {
        Medium::Audio => 48_000,
        Medium::Video | Medium::Slides => 90_000,
    }
}

impl Leg {
    /// Sends a plain RTP packet of media's. Its payload type is replaced by the settled one; SSRC and
    /// numbers by those that the browser knows, across a change of media's source.
    ///
    /// # Errors
    /// It is no RTP packet, the leg is not connected, or the stream does not flow that way.
    pub fn send_rtp(&mut self, now: Instant, medium: Medium, packet: &[u8]) -> Result<(), Error> {
        let packet = rtp::RtpPacket::parse(packet).ok_or(Error::RtpPacket)?;
        if self.state != State::Connected || !self.may_send(now) {
            return Err(Error::NotConnected);
        }
        let clock = clock_hz(medium);
        let state = &mut self.media[medium as usize];
        let (Some(payload_type), Some(mid)) = (state.sends(), state.mid()) else {
            return Err(Error::NotSending(medium));
        };
        if state.sent.ssrc() != Some(packet.ssrc) {
            // What the old source reported says nothing of the new one.
            state.sender_time = None;
        }
        let place = state
            .sent
            .place(now, packet.ssrc, packet.sequence, packet.timestamp);
        let Some(place) = place else {
            return Ok(());
        };
        let captured = self
            .capture_clock
            .captured(now, state.sender_time, clock, packet.timestamp);
        let repeating = state.redundancy_payload_type.and_then(|number| {
            let payload = state
                .redundancy
                .wrap(payload_type, place.timestamp, packet.payload)?;
            Some((number, payload))
        });
        let (payload_type, payload) =
            repeating.unwrap_or_else(|| (payload_type, packet.payload.to_vec()));
        let write = RtpWrite::new(
            payload_type.into(),
            place.sequence.into(),
            place.timestamp,
            captured,
            payload,
        )
        .marker(packet.marker)
        .nackable(true);
        let written = self.engine.run(|rtc| {
            rtc.direct_api()
                .stream_tx_by_mid(mid, None)
                .map(|stream| stream.write_rtp(write))
        });
        if written.flatten().is_none() {
            return Err(Error::NotSending(medium));
        }
        self.advance(now);
        // The engine sends what was written when its time moves.
        let _ = self.engine.handle_input(Input::Timeout(now));
        self.advance(now);
        Ok(())
    }

    /// Takes RTCP of media's: its sender reports say when what it sends was captured, and its requests
    /// for a whole picture go to the browser. Everything else is between the leg and the browser and is
    /// dropped.
    ///
    /// # Errors
    /// It is no RTCP.
    pub fn send_rtcp(&mut self, now: Instant, medium: Medium, packet: &[u8]) -> Result<(), Error> {
        for packet in rtp::control_packets(packet).ok_or(Error::RtcpPacket)? {
            match packet {
                ControlPacket::SenderReport { ssrc, time } => {
                    let state = &mut self.media[medium as usize];
                    // The first report may come before the first packet.
                    if state.sent.ssrc().is_none_or(|known| known == ssrc) {
                        state.sender_time = Some(time);
                        self.capture_clock.report(now, time);
                    }
                }
                ControlPacket::KeyframeRequest => self.request_keyframe(now, medium),
            }
        }
        Ok(())
    }

    /// Asks the browser for a whole picture, at most once in an interval.
    pub fn request_keyframe(&mut self, now: Instant, medium: Medium) {
        let state = &mut self.media[medium as usize];
        if self.state == State::Connected
            && medium != Medium::Audio
            && state.asks_browser.request(now)
        {
            self.send_keyframe_request(now, medium);
        }
    }

    fn send_keyframe_request(&mut self, now: Instant, medium: Medium) {
        let state = &self.media[medium as usize];
        let Some(mid) = state.mid() else {
            return;
        };
        let rid = state.rid_asked();
        if self.ask_for_keyframe(mid, rid) {
            self.advance(now);
            let _ = self.engine.handle_input(Input::Timeout(now));
            self.advance(now);
        }
    }

    /// Lets requests for whole pictures pass that have waited long enough.
    pub(super) fn pass_keyframe_requests(&mut self, now: Instant) {
        for medium in Medium::ALL {
            let state = &mut self.media[medium as usize];
            if state.asks_media.poll(now) {
                self.outputs
                    .push_back(Output::Event(Event::KeyframeRequested(medium)));
            }
            if state.asks_browser.poll(now) {
                self.send_keyframe_request(now, medium);
            }
        }
    }

    /// At most so many packets of sound are sent along with each, however many are lost: 0 where the path carries
    /// little.
    pub fn limit_redundancy(&mut self, most: usize) {
        self.media[Medium::Audio as usize].redundancy.limit(most);
    }

    /// Forgets the packets that could be sent again: after a congestion they would only add to it, and
    /// the whole picture that follows does without them.
    pub fn flush_retransmissions(&mut self, medium: Medium) {
        self.sent_datagrams.clear();
        if let Some(mid) = self.media[medium as usize].mid() {
            self.engine.run(|rtc| {
                if let Some(stream) = rtc.direct_api().stream_tx_by_mid(mid, None) {
                    stream.set_rtx_cache(
                        engine::RETRANSMISSION_PACKETS,
                        engine::RETRANSMISSION_AGE,
                        Some(engine::RETRANSMISSION_SHARE),
                    );
                }
            });
        }
    }

    /// A packet of the browser's, for media: one that came by itself, or one that was sent again.
    pub(super) fn rtp_received(&mut self, now: Instant, header: &RtpHeader, payload: &[u8]) {
        let ssrc = *header.ssrc;
        if !self.source_seen(ssrc) {
            return;
        }
        let Some(source) = self.source_media(ssrc) else {
            return;
        };
        let (ssrc, sequence, payload) = match source.repairs {
            None => (ssrc, header.sequence_number, payload),
            Some(original) => {
                let Some((sequence, payload)) = rtp::retransmitted(payload) else {
                    return;
                };
                (original, sequence, payload)
            }
        };
        let packet = Packet {
            sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
            is_again: source.repairs.is_some(),
        };
        match source.layer {
            Some(layer) => self.layer_received(now, source.medium, layer, ssrc, &packet),
            None => self.hand_on(now, source.medium, ssrc, *header.payload_type, &packet),
        }
    }

    /// A packet of a stream, for media.
    pub(super) fn hand_on(
        &mut self,
        now: Instant,
        medium: Medium,
        ssrc: u32,
        received_payload_type: u8,
        packet: &Packet<'_>,
    ) {
        let Packet {
            payload, marker, ..
        } = *packet;
        let state = &mut self.media[medium as usize];
        let Some(payload_type) = state.receives() else {
            return;
        };
        let place = state
            .received
            .place(now, ssrc, packet.sequence, packet.timestamp);
        let Some(place) = place.filter(|place| state.arrived.is_new(place.sequence)) else {
            return;
        };
        let itself = Unwrapped {
            sequence: place.sequence,
            timestamp: place.timestamp,
            payload,
            is_primary: true,
        };
        // Padding, by which browsers probe what the path carries, has its place too: without it media would miss a packet.
        let is_padding = payload.is_empty();
        let repeats = state.redundancy_payload_type == Some(received_payload_type);
        let packets = if repeats && !is_padding {
            state
                .repetitions
                .unwrap(payload_type, place.sequence, place.timestamp, payload)
        } else {
            state.repetitions.came(place.sequence, place.timestamp);
            vec![itself]
        };
        let ssrc = state.ssrc;
        for packet in packets {
            // What is repeated may have been sent again as well.
            if !packet.is_primary && !state.arrived.is_new(packet.sequence) {
                continue;
            }
            let plain = rtp::RtpPacket {
                marker: marker && packet.is_primary,
                sequence: packet.sequence as u16,
                timestamp: packet.timestamp,
                ssrc,
                payload: packet.payload,
            };
            self.outputs.push_back(Output::Event(Event::Media {
                medium,
                channel: Channel::Rtp,
                payload: plain.write(payload_type),
            }));
        }
    }

    /// Has the engine ask for lost sound where the browser sends it again in time. By itself it never does: it takes
    /// what has no stream of retransmissions for something that is not sent again.
    pub(super) fn ask_for_sound(&mut self) {
        let round_trip = self.stats.round_trip_time;
        let audio = self.state_of(Medium::Audio);
        let (Some(mid), takes_nack) = (audio.mid(), audio.takes_nack) else {
            return;
        };
        let asks = takes_nack && redundancy::is_worth_asking(round_trip);
        self.engine.run(|rtc| {
            if let Some(stream) = rtc.direct_api().stream_rx_by_mid(mid, None) {
                stream.suppress_nack(!asks);
            }
        });
    }

    /// The browser asks for packets of one of our sources, which may be that of sound.
    pub(super) fn sound_requested(&mut self, now: Instant, ssrc: u32, sequences: &BTreeSet<u16>) {
        let may_send = self.may_send(now);
        let audio = &mut self.media[Medium::Audio as usize];
        let is_ours = audio.sources.is_some_and(|(main, _)| main == ssrc);
        if !audio.takes_nack || !is_ours || !may_send {
            return;
        }
        for sequence in sequences {
            let again = audio.sent_sound.requested(now, *sequence);
            self.outputs.extend(again.map(Output::Transmit));
        }
    }

    /// A sender report of the browser's, for media.
    pub(super) fn sender_reported(&mut self, feedback: &SenderFeedback) {
        let info = &feedback.sender_info;
        let ssrc = *info.ssrc;
        let medium = self
            .media
            .iter()
            .find(|state| state.mid() == Some(feedback.mid));
        let Some(medium) = medium.map(|state| state.medium) else {
            return;
        };
        let report = SenderReport {
            time: SenderTime {
                ntp: rtp::ntp_time(info.ntp_time),
                rtp: info.rtp_time.numer() as u32,
            },
            packets: info.sender_packet_count,
            octets: info.sender_octet_count,
        };
        let state = &mut self.media[medium as usize];
        if let Some(layer) = feedback.rid.and_then(|rid| state.layer_of(rid)) {
            return self.layer_reported(medium, layer, ssrc, report);
        }
        // Retransmissions have reports of their own.
        if state.received.ssrc() == Some(ssrc) {
            self.report_to_media(medium, report);
        }
    }

    /// A sender report of what is handed on, in the numbers of its source.
    pub(super) fn report_to_media(&mut self, medium: Medium, report: SenderReport) {
        let state = &self.media[medium as usize];
        let Some(timestamp) = state.received.timestamp(report.time.rtp) else {
            return;
        };
        if state.receives().is_none() {
            return;
        }
        let time = SenderTime {
            rtp: timestamp,
            ..report.time
        };
        let report =
            rtp::write_sender_report(state.ssrc, time, report.packets, report.octets, &self.name);
        self.outputs.push_back(Output::Event(Event::Media {
            medium,
            channel: Channel::Rtcp,
            payload: report,
        }));
    }

    /// Whose packets those of a source of the browser's are.
    fn source_media(&mut self, ssrc: u32) -> Option<SourceMedium> {
        let known = self.source_media.iter().find(|known| known.ssrc == ssrc);
        if let Some(known) = known {
            return Some(*known);
        }
        let streams = self.media.each_ref().map(MediumState::received_streams);
        let found = self.engine.run(|rtc| {
            let mut api = rtc.direct_api();
            let streams = streams.into_iter().flatten().flatten();
            streams.into_iter().find_map(|wanted| {
                let stream = api.stream_rx_by_mid(wanted.mid, wanted.rid)?;
                let original = *stream.ssrc();
                let repairs = match stream.rtx() {
                    _ if original == ssrc => None,
                    Some(again) if *again == ssrc => Some(original),
                    Some(_) | None => return None,
                };
                Some(SourceMedium {
                    ssrc,
                    medium: wanted.medium,
                    layer: wanted.layer,
                    repairs,
                })
            })
        });
        let found = found.flatten()?;
        self.source_media.push(found);
        if found.medium == Medium::Audio {
            self.ask_for_sound();
        }
        Some(found)
    }

    /// A packet with this SSRC has come, and was genuine. Whether there is room for its source.
    fn source_seen(&mut self, ssrc: u32) -> bool {
        if self.sources.contains(&ssrc) {
            return true;
        }
        self.sources.push(ssrc);
        let has_room = self.sources.len() <= SOURCES;
        if !has_room {
            self.close_with(CloseReason::LimitExceeded("sources"));
        }
        has_room
    }
}
