//! The engine in the role of a browser: it offers, and takes and gives RTP packets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use room::media_plan::Medium;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::config::DtlsVersion;
use str0m::format::Codec;
use str0m::media::{
    Direction, KeyframeRequestKind, MediaKind, Mid, Pt, Rid, Simulcast, SimulcastLayer,
};
use str0m::net::{Protocol, Receive, TcpType, Transmit};
use str0m::rtp::rtcp::Rtcp;
use str0m::rtp::{RawPacket, RtpPacket, RtpWrite, SeqNo};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

/// The payload type of the engine for sound.
const OPUS: u8 = 111;

/// What the browser has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connected: bool,
    pub(crate) ice: Option<IceConnectionState>,
    pub(crate) closed: bool,
    pub(crate) packets: Vec<(Medium, RtpPacket)>,
    pub(crate) keyframe_requests: Vec<(Instant, Medium)>,
    /// Those for a layer of a picture that is sent in two.
    pub(crate) layer_requests: Vec<(Instant, Rid)>,
    pub(crate) texts: Vec<String>,
    pub(crate) sender_reports: usize,
}

pub(crate) struct Browser {
    pub(crate) rtc: Rtc,
    pub(crate) seen: Seen,
    pub(crate) mids: [Mid; 3],
    pub(crate) deadline: Instant,
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) channel: Option<ChannelId>,
    /// Whether it asks for lost sound and, when asked, sends the same packets again, as libwebrtc does.
    pub(crate) sends_sound_again: bool,
    /// Sound that was sent, by its numbers.
    sound: VecDeque<(u16, Transmit)>,
    pending: Option<SdpPendingOffer>,
    sequences: [u64; 3],
}

fn copy(transmit: &Transmit) -> Transmit {
    Transmit {
        proto: transmit.proto,
        source: transmit.source,
        destination: transmit.destination,
        contents: transmit.contents.to_vec().into(),
    }
}

fn rtc(now: Instant, version: DtlsVersion) -> Rtc {
    let mut config = Rtc::builder()
        .set_rtp_mode(true)
        .set_dtls_version(version)
        .enable_raw_packets(true)
        .clear_codecs()
        .enable_opus(true, true)
        .enable_vp8(true)
        .set_rtcp_report_interval_audio(Duration::from_millis(500))
        .set_rtcp_report_interval_video(Duration::from_millis(500));
    let codecs = config.codec_config();
    codecs.add_h264(102.into(), Some(103.into()), true, 0x42_00_1f);
    codecs.add_h264(106.into(), Some(107.into()), true, 0x42_e0_1f);
    config.build(now)
}

impl Browser {
    pub(crate) fn new(
        now: Instant,
        udp: Option<SocketAddr>,
        tcp: Option<(SocketAddr, TcpType)>,
    ) -> (Self, String) {
        Self::with_dtls(now, DtlsVersion::Dtls13, udp, tcp)
    }

    pub(crate) fn with_dtls(
        now: Instant,
        version: DtlsVersion,
        udp: Option<SocketAddr>,
        tcp: Option<(SocketAddr, TcpType)>,
    ) -> (Self, String) {
        Self::with_layers(now, version, udp, tcp, &[])
    }

    /// One whose camera has these layers; where there are none, one stream.
    pub(crate) fn with_layers(
        now: Instant,
        version: DtlsVersion,
        udp: Option<SocketAddr>,
        tcp: Option<(SocketAddr, TcpType)>,
        layers: &[&str],
    ) -> (Self, String) {
        let mut rtc = rtc(now, version);
        if let Some(address) = udp {
            rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        }
        if let Some((address, tcptype)) = tcp {
            let candidate = Candidate::builder().tcp().host(address).tcptype(tcptype);
            rtc.add_local_candidate(candidate.build().unwrap());
        }
        let mut api = rtc.sdp_api();
        let mut camera = Simulcast::new();
        for layer in layers {
            camera.add_send_layer(SimulcastLayer::new(layer));
        }
        let camera = (!layers.is_empty()).then_some(camera);
        let mids = [
            (MediaKind::Audio, Direction::SendRecv, None),
            (MediaKind::Video, Direction::SendRecv, camera),
            (MediaKind::Video, Direction::Inactive, None),
        ]
        .map(|(kind, direction, layers)| api.add_media(kind, direction, None, None, layers));
        api.add_channel("roomd".to_owned());
        let (offer, pending) = api.apply().unwrap();
        let browser = Self {
            rtc,
            seen: Seen::default(),
            mids,
            deadline: now,
            transmits: VecDeque::new(),
            channel: None,
            sends_sound_again: false,
            sound: VecDeque::new(),
            pending: Some(pending),
            sequences: [100; 3],
        };
        (browser, offer.to_sdp_string())
    }

    /// Listens there, which the offer has not said.
    pub(crate) fn listen_by_tcp(&mut self, address: SocketAddr) {
        let candidate = Candidate::builder().tcp().host(address);
        let candidate = candidate.tcptype(TcpType::Passive).build().unwrap();
        self.rtc.add_local_candidate(candidate);
    }

    pub(crate) fn accept(&mut self, now: Instant, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        let pending = self.pending.take().unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
        self.drain(now);
    }

    /// An offer with new credentials of ICE.
    pub(crate) fn restart(&mut self, now: Instant) -> String {
        let mut api = self.rtc.sdp_api();
        api.ice_restart(true);
        let (offer, pending) = api.apply().unwrap();
        self.pending = Some(pending);
        self.drain(now);
        offer.to_sdp_string()
    }

    pub(crate) fn offer_direction(
        &mut self,
        now: Instant,
        medium: Medium,
        direction: Direction,
    ) -> String {
        let mut api = self.rtc.sdp_api();
        api.set_direction(self.mids[medium as usize], direction);
        let (offer, pending) = api.apply().unwrap();
        self.pending = Some(pending);
        self.drain(now);
        offer.to_sdp_string()
    }

    /// Sends again whatever it is asked for, as browsers do.
    pub(crate) fn keep_for_retransmission(&mut self) {
        let mid = self.mids[Medium::Video as usize];
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        stream.set_rtx_cache(4_096, Duration::from_secs(3), None);
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        if self.rtc.is_alive() {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
            self.drain(now);
        }
    }

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        proto: Protocol,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) {
        let Ok(receive) = Receive::new(proto, source, destination, payload) else {
            return;
        };
        let input = Input::Receive(now, receive);
        if self.rtc.accepts(&input) {
            let _ = self.rtc.handle_input(input);
            self.drain(now);
        }
    }

    pub(crate) fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
                Output::Transmit(transmit) => {
                    self.keep_sound(&transmit);
                    self.transmits.push_back(transmit);
                }
                Output::Event(event) => self.event(now, event),
            }
        }
    }

    fn keep_sound(&mut self, transmit: &Transmit) {
        if let [0x80 | 0x90, kind, high, low, ..] = transmit.contents[..]
            && kind & 0x7f == OPUS
        {
            let sequence = u16::from_be_bytes([high, low]);
            self.sound.push_back((sequence, copy(transmit)));
            self.sound.drain(..self.sound.len().saturating_sub(256));
        }
    }

    fn send_sound_again(&mut self, packet: &Rtcp) {
        let mid = self.mids[Medium::Audio as usize];
        let mut api = self.rtc.direct_api();
        let ours = api.stream_tx_by_mid(mid, None).unwrap().ssrc();
        let Rtcp::Nack(nack) = packet else { return };
        for entry in nack.reports.iter().filter(|_| nack.ssrc == ours) {
            for offset in 0..=16_u16 {
                let number = entry.pid.wrapping_add(offset);
                if offset > 0 && entry.blp & 1 << (offset - 1) == 0 {
                    continue;
                }
                let found = self.sound.iter().find(|(known, _)| *known == number);
                self.transmits
                    .extend(found.map(|(_, transmit)| copy(transmit)));
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        let medium_of = |mid: Mid| {
            let index = self.mids.iter().position(|known| *known == mid);
            Medium::ALL[index.unwrap()]
        };
        match event {
            Event::Connected => self.seen.connected = true,
            Event::IceConnectionStateChange(state) => self.seen.ice = Some(state),
            Event::Closed => self.seen.closed = true,
            Event::RtpPacket(packet) => {
                let ssrc = packet.header.ssrc;
                let mut api = self.rtc.direct_api();
                let stream = api.stream_rx(&ssrc).unwrap();
                let mid = stream.mid();
                if self.sends_sound_again && mid == self.mids[Medium::Audio as usize] {
                    stream.suppress_nack(false);
                }
                self.seen.packets.push((medium_of(mid), packet));
            }
            Event::KeyframeRequest(request) => {
                let medium = medium_of(request.mid);
                self.seen.keyframe_requests.push((now, medium));
                let layer = request.rid.map(|rid| (now, rid));
                self.seen.layer_requests.extend(layer);
            }
            Event::RawPacket(packet) => {
                if let RawPacket::RtcpRx(packet) = *packet
                    && self.sends_sound_again
                {
                    self.send_sound_again(&packet);
                }
            }
            Event::SenderFeedback(_) => self.seen.sender_reports += 1,
            Event::ChannelOpen(id, _) => self.channel = Some(id),
            Event::ChannelData(data) => {
                let text = String::from_utf8(data.data).unwrap();
                self.seen.texts.push(text);
            }
            _ => {}
        }
    }

    pub(crate) fn send_rtp(
        &mut self,
        now: Instant,
        medium: Medium,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) {
        let (mid, pt) = self.stream(medium);
        let sequence = &mut self.sequences[medium as usize];
        *sequence += 1;
        let write = RtpWrite::new(pt, SeqNo::from(*sequence), timestamp, now, payload)
            .marker(marker)
            .nackable(true);
        let mut api = self.rtc.direct_api();
        api.stream_tx_by_mid(mid, None).unwrap().write_rtp(write);
        self.drain(now);
        self.timeout(now);
    }

    /// The line of a medium, and the payload type that is sent on it.
    fn stream(&self, medium: Medium) -> (Mid, Pt) {
        let mid = self.mids[medium as usize];
        let codec = match medium {
            Medium::Audio => Codec::Opus,
            Medium::Video | Medium::Slides => Codec::H264,
        };
        let settled = self.rtc.media(mid).unwrap().remote_pts().to_vec();
        let params = self.rtc.codec_config().params();
        let pt = params
            .iter()
            .find(|param| param.spec().codec == codec && settled.contains(&param.pt()))
            .unwrap()
            .pt();
        (mid, pt)
    }

    /// Sends a packet of a layer, with the numbers that it is given.
    pub(crate) fn send_layer(
        &mut self,
        now: Instant,
        layer: &str,
        sequence: u64,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) {
        let (mid, pt) = self.stream(Medium::Video);
        let write = RtpWrite::new(pt, SeqNo::from(sequence), timestamp, now, payload)
            .marker(marker)
            .nackable(true);
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, Some(layer.into()));
        stream.unwrap().write_rtp(write);
        self.drain(now);
        self.timeout(now);
    }

    /// Another source for a layer, as if the browser had begun it anew.
    pub(crate) fn begin_layer_anew(&mut self, layer: &str) {
        let mid = self.mids[Medium::Video as usize];
        let mut api = self.rtc.direct_api();
        let (ssrc, again) = (api.new_ssrc(), api.new_ssrc());
        let reset = api.reset_stream_tx(mid, Some(layer.into()), ssrc, Some(again));
        assert!(reset.is_some());
    }

    pub(crate) fn request_keyframe(&mut self, now: Instant, medium: Medium) {
        let mid = self.mids[medium as usize];
        let mut api = self.rtc.direct_api();
        if let Some(stream) = api.stream_rx_by_mid(mid, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        self.drain(now);
        self.timeout(now);
    }

    pub(crate) fn send_text(&mut self, now: Instant, text: &str) {
        let mut channel = self.rtc.channel(self.channel.unwrap()).unwrap();
        assert!(channel.write(false, text.as_bytes()).unwrap());
        self.drain(now);
    }

    pub(crate) fn close(&mut self, now: Instant) {
        self.rtc.close().unwrap();
        self.drain(now);
    }
}
