//! What the engine has to say, and what time brings.

use std::time::Instant;

use room::media_plan::Medium;
use str0m::channel::{ChannelData, ChannelId};
use str0m::media::Mid;
use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::Rtcp;
use str0m::stats::{MediaEgressStats, MediaIngressStats, PeerStats};
use str0m::{IceConnectionState, Output as EngineOutput};

use super::media::{MediumState, clock_hz};
use super::{DATA_CHANNELS, Leg, State};
use crate::address::{LocalAddress, Protocol};
use crate::output::{CloseReason, DatagramKind, Event, Output, Transmit};
use crate::redundancy::Repair;
use crate::rtp;
use crate::stats::{self, CandidateKind, CandidatePair};
use crate::transport_feedback::TransportFeedback;

/// Outputs of the engine after one input. More than that is a loop.
const OUTPUTS: usize = 100_000;

impl Leg {
    /// Takes all that the engine has, then does what is due by `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        self.drain(now);
        if self.ends_at().is_some_and(|end| end <= now) {
            let reason = match self.state {
                State::Establishing { .. } => CloseReason::NotEstablished,
                State::Connected | State::Disconnected | State::Closed => CloseReason::ConsentLost,
            };
            self.close_with(reason);
        }
        if self.state == State::Connected
            && self
                .media
                .iter()
                .flat_map(MediumState::deadlines)
                .any(|due| due <= now)
        {
            self.pass_keyframe_requests(now);
        }
    }

    /// When the leg is over if nothing happens.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        match self.state {
            State::Establishing { until } => Some(until),
            State::Connected | State::Disconnected => self.consent_until.max(self.restarted_until),
            State::Closed => None,
        }
    }

    /// Whether the browser consents to being sent to (RFC 7675).
    pub(super) fn may_send(&self, now: Instant) -> bool {
        self.consent_until.is_none_or(|until| now < until)
    }

    fn drain(&mut self, now: Instant) {
        for _ in 0..OUTPUTS {
            if self.state == State::Closed {
                return;
            }
            match self.engine.poll_output() {
                Some(Ok(EngineOutput::Timeout(deadline))) => {
                    self.engine_deadline = deadline;
                    return;
                }
                Some(Ok(EngineOutput::Transmit(transmit))) => self.transmit(now, transmit),
                Some(Ok(EngineOutput::Event(event))) => self.engine_event(now, event),
                Some(Err(error)) => {
                    self.close_with(CloseReason::HandshakeFailed(error.to_string()));
                }
                None => self.close_with(CloseReason::EngineFault),
            }
        }
        self.close_with(CloseReason::EngineFault);
    }

    fn transmit(&mut self, now: Instant, transmit: str0m::net::Transmit) {
        let payload = Vec::from(transmit.contents);
        let Some(kind) = self.datagram_kind(&payload) else {
            return;
        };
        // Checks go on, so that consent may come back.
        if kind != DatagramKind::Connectivity && !self.may_send(now) {
            return;
        }
        let datagram = Transmit {
            protocol: Protocol::of_engine(transmit.proto),
            source: transmit.source,
            destination: transmit.destination,
            payload: payload.into(),
            kind,
        };
        let audio = self.state_of(Medium::Audio);
        if audio.takes_nack
            && let DatagramKind::Rtp {
                medium: Medium::Audio,
                ..
            } = kind
        {
            audio.sent_sound.sent(now, &datagram);
        }
        self.sent_datagrams.sent(now, &datagram);
        self.outputs.push_back(Output::Transmit(datagram));
    }

    /// What a datagram of ours is (RFC 7983).
    fn datagram_kind(&mut self, payload: &[u8]) -> Option<DatagramKind> {
        let first = *payload.first()?;
        Some(match first {
            0..=3 => DatagramKind::Connectivity,
            128..=191 if rtp::is_rtcp(payload) => DatagramKind::Rtcp,
            128..=191 => {
                let (ssrc, _) = rtp::ssrc_and_transport_sequence(payload, None)?;
                let state = self.media.iter().find(|state| {
                    state
                        .sources
                        .is_some_and(|(main, again)| main == ssrc || again == Some(ssrc))
                })?;
                let retransmission = state.sources.is_some_and(|(main, _)| main != ssrc);
                let (medium, id) = (state.medium, state.transport_sequence_id);
                let (_, number) = rtp::ssrc_and_transport_sequence(payload, id)?;
                DatagramKind::Rtp {
                    medium,
                    retransmission,
                    transport_sequence: number.map(|number| self.transport_reports.sent(number)),
                }
            }
            _ => DatagramKind::Dtls,
        })
    }

    fn engine_event(&mut self, now: Instant, event: str0m::Event) {
        use str0m::Event as Engine;
        match event {
            Engine::Connected => {
                if matches!(self.state, State::Establishing { .. }) {
                    self.consent_until = Some(now + self.settings.consent_timeout);
                    self.connected();
                }
            }
            Engine::IceConnectionStateChange(state) => self.ice_state(state),
            Engine::MediaAdded(_) | Engine::MediaChanged(_) => self.tell_streams(),
            Engine::SenderFeedback(feedback) => self.sender_reported(&feedback),
            Engine::KeyframeRequest(request) => {
                let state = self
                    .media
                    .iter_mut()
                    .find(|state| state.mid() == Some(request.mid));
                if let Some(state) = state
                    && state.asks_media.request(now)
                {
                    let medium = state.medium;
                    self.event(Event::KeyframeRequested(medium));
                }
            }
            Engine::RawPacket(packet) => match *packet {
                RawPacket::RtcpRx(packet) => self.rtcp_received(now, &packet),
                RawPacket::RtpRx(header, payload) => self.rtp_received(now, &header, &payload),
                RawPacket::RtcpTx(_) | RawPacket::RtpTx(..) => {}
            },
            Engine::ChannelOpen(id, label) => self.channel_opened(id, label),
            Engine::ChannelClose(id) => self.channels.retain(|(known, _)| *known != id),
            Engine::ChannelData(data) => self.channel_data(now, data),
            Engine::PeerStats(stats) => self.peer_stats(now, &stats),
            Engine::MediaEgressStats(stats) => self.sent_stats(now, &stats),
            Engine::MediaIngressStats(stats) => self.received_stats(now, &stats),
            Engine::Closed => self.close_with(CloseReason::Remote),
            _ => {}
        }
    }

    fn channel_opened(&mut self, id: ChannelId, label: String) {
        if self.channels.len() >= DATA_CHANNELS {
            return self.close_with(CloseReason::LimitExceeded("data channels"));
        }
        self.channels.push((id, label));
    }

    fn channel_data(&mut self, now: Instant, data: ChannelData) {
        if self.texts.is_exceeded(now) {
            return self.close_with(CloseReason::LimitExceeded("texts"));
        }
        let channel = self.channels.iter().find(|(known, _)| *known == data.id);
        if let Some((_, label)) = channel
            && !data.binary
            && data.data.len() <= self.settings.longest_text as usize
            && let Ok(text) = String::from_utf8(data.data)
        {
            let label = label.clone();
            self.event(Event::Text { label, text });
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn connected(&mut self) {
        self.state = State::Connected;
        self.event(Event::Connected);
    }

    fn ice_state(&mut self, ice: IceConnectionState) {
        match (self.state, ice) {
            (State::Connected, IceConnectionState::Disconnected) => {
                self.state = State::Disconnected;
                self.event(Event::Disconnected);
            }
            (
                State::Disconnected,
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => self.connected(),
            _ => {}
        }
    }

    fn rtcp_received(&mut self, now: Instant, packet: &Rtcp) {
        if self.rtcp_packets.is_exceeded(now) {
            return self.close_with(CloseReason::LimitExceeded("RTCP packets"));
        }
        match packet {
            Rtcp::Twcc(report) => {
                let read = self.transport_reports.read(&mut self.engine, report);
                if let Some(mut feedback) = read {
                    let told = u32::try_from(feedback.packets.len()).unwrap_or(u32::MAX);
                    if self.reported_packets.is_exceeded_by(now, told) {
                        return self.close_with(CloseReason::LimitExceeded("reported packets"));
                    }
                    let sound = &self.media[Medium::Audio as usize].sent_sound;
                    for packet in &mut feedback.packets {
                        if packet.received.is_some() && sound.is_again(packet.sequence) {
                            packet.received = None;
                        }
                    }
                    self.send_lost_again(now, &feedback);
                    self.event(Event::TransportFeedback(feedback));
                }
            }
            Rtcp::Nack(request) => {
                let entries = request.reports.iter();
                let sequences = entries.flat_map(|it| rtp::requested_sequences(it.pid, it.blp));
                let sequences = sequences.collect();
                self.sent_datagrams.asked(*request.ssrc, &sequences);
                self.sound_requested(now, *request.ssrc, &sequences);
            }
            Rtcp::Remb(limit) => {
                self.event(Event::ReceiverEstimatedMaximumBitrate(limit.bitrate as u64));
            }
            _ => {}
        }
    }

    fn send_lost_again(&mut self, now: Instant, feedback: &TransportFeedback) {
        let lost = self.sent_datagrams.reported(now, feedback);
        if self.may_send(now) {
            self.outputs.extend(lost.into_iter().map(Output::Transmit));
        }
    }

    fn peer_stats(&mut self, now: Instant, stats: &PeerStats) {
        self.stats.sent_loss = stats.egress_loss_fraction;
        let round_trip = stats
            .selected_candidate_pair
            .as_ref()
            .and_then(|pair| pair.current_round_trip_time);
        self.stats.round_trip_time = round_trip;
        self.ask_for_sound();
        let audio = self.state_of(Medium::Audio);
        // Receiver reports know of sound alone, but come more seldom.
        let loss = stats.egress_loss_fraction.or(audio.stats.sent_loss);
        let loss = loss.unwrap_or(0.0);
        let is_sent_again = audio.takes_nack && audio.sent_sound.is_asked_for(now, loss);
        let repair = Repair::of(is_sent_again, round_trip);
        audio.redundancy.loss(loss, repair);
        audio.stats.redundancy = audio.redundancy.level() as u8;
        let Some(pair) = &stats.selected_candidate_pair else {
            return;
        };
        let (local, remote) = (pair.local.addr, pair.remote.addr);
        let counted = (local, remote, pair.responses_received);
        // No answer at all is what a pair has that was given up.
        if pair.responses_received > 0 && self.consent_counted != Some(counted) {
            self.consent_counted = Some(counted);
            self.consent_until = Some(now + self.settings.consent_timeout);
            self.restarted_until = None;
        }
        let local_address = self
            .local_addresses
            .iter()
            .find(|known| known.address == local);
        let remote_kind = self.remote_kinds.iter().find(|(known, _)| *known == remote);
        self.stats.candidate_pair = Some(CandidatePair {
            protocol: Protocol::of_engine(pair.protocol),
            local,
            local_kind: local_address.map_or(CandidateKind::Host, LocalAddress::candidate_kind),
            remote,
            remote_kind: remote_kind.map_or(CandidateKind::PeerReflexive, |(_, kind)| *kind),
        });
        let settled = self.media.iter().filter(|state| state.settled.is_some());
        self.stats.streams = settled.map(|state| state.stats).collect();
    }

    fn state_of_mid(&mut self, mid: Mid) -> Option<&mut MediumState> {
        self.media.iter_mut().find(|state| state.mid() == Some(mid))
    }

    fn sent_stats(&mut self, now: Instant, stats: &MediaEgressStats) {
        let Some(state) = self.state_of_mid(stats.mid) else {
            return;
        };
        let clock = clock_hz(state.medium);
        let bitrate = state.sent_meter.read(now, stats.bytes);
        let known = &mut state.stats;
        known.sent_bitrate = bitrate;
        known.sent_packets = stats.packets;
        known.sent_loss = stats.loss;
        let remote = stats.remote.as_ref();
        known.sent_jitter = remote.map(|remote| stats::jitter(remote.jitter, clock));
        known.nacks_received = stats.nacks;
        known.keyframe_requests_received = stats.plis + stats.firs;
    }

    fn received_stats(&mut self, now: Instant, stats: &MediaIngressStats) {
        let Some(state) = self.state_of_mid(stats.mid) else {
            return;
        };
        let of_layer = stats.rid.and_then(|rid| state.layer_of(rid));
        if let Some(layer) = of_layer {
            return state.layer_stats(now, layer, stats);
        }
        let clock = clock_hz(state.medium);
        let bitrate = state.received_meter.read(now, stats.bytes);
        let known = &mut state.stats;
        known.received_bitrate = bitrate;
        known.received_packets = stats.packets;
        known.received_loss = stats.loss;
        known.received_jitter = Some(stats::jitter(stats.jitter, clock));
        known.nacks_sent = stats.nacks;
        known.keyframe_requests_sent = stats.plis + stats.firs;
    }
}
