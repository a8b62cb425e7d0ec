//! The room on a terminal.

mod guest_certificate;
pub(crate) mod guests;
pub(crate) mod reachability;
mod slides;

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use api::snapshot::{
    Audio, CallDirection, CameraState, Certificate, CertificateValidity, DeviceState, Leg, LegKind,
    LegSecurity, LegState, MediaTransport, MicrophoneState, Protection, RegistrationState,
    RoomState, Rung, RungName, StreamStats, Video, VideoFlow, VideoStats,
};
use api::{Language, Localized, Snapshot};

use crate::terminal::{Style, Tone, harmless, padded};

pub(crate) use slides::far_end_shows_slides;

/// The columns of a label.
const LABEL_COLUMNS: usize = 12;

/// The present moment, as snapshots count time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    unix_ms: u64,
}

impl Clock {
    pub(crate) fn now() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The time since then as `H:MM:SS`.
    fn since(self, unix_ms: u64) -> String {
        hours_minutes_seconds(self.unix_ms.saturating_sub(unix_ms) / 1000)
    }

    /// Whether that moment is over.
    fn is_past(self, unix_ms: u64) -> bool {
        self.unix_ms >= unix_ms
    }

    /// The time until then as `H:MM:SS`.
    fn until(self, unix_ms: u64) -> String {
        hours_minutes_seconds(unix_ms.saturating_sub(self.unix_ms) / 1000)
    }
}

fn hours_minutes_seconds(seconds: u64) -> String {
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The room and its legs, a line or two each.
pub(crate) fn status(
    snapshot: &Snapshot,
    language: Language,
    style: Style,
    clock: Clock,
) -> String {
    let mut sheet = Sheet {
        text: String::new(),
        language,
        style,
    };
    let state_tone = match snapshot.state {
        RoomState::Idle => Tone::Faint,
        RoomState::InMeeting => Tone::Good,
        RoomState::Leaving => Tone::Notable,
    };
    sheet.line(
        ("Room", "会议室"),
        &style.paint(state_tone, &snapshot.state.text(language)),
    );
    sheet.microphone(snapshot);
    sheet.camera(snapshot);
    sheet.slides(snapshot);
    let loudspeaker = &snapshot.loudspeaker;
    let volume = format!(
        "{} %  {:.0} dB",
        loudspeaker.volume_percent, loudspeaker.level_dbfs
    );
    sheet.line(("Loudspeaker", "扬声器"), &volume);
    sheet.line(("Layout", "布局"), &snapshot.layout.text(language));
    for (account, state) in &snapshot.registrations {
        let state = style.paint(registration_tone(*state), &state.text(language));
        sheet.line(
            ("Account", "账户"),
            &format!("{}: {state}", harmless(account)),
        );
        let flows = snapshot.registration_flows.get(account);
        for (number, state) in (1..).zip(flows.into_iter().flatten()) {
            let state = style.paint(registration_tone(*state), &state.text(language));
            let proxy = match language {
                Language::English => format!("  by proxy {number}: {state}"),
                Language::Chinese => format!("  经代理 {number}:{state}"),
            };
            sheet.line(("", ""), &proxy);
        }
    }
    for (file, certificate) in &snapshot.certificates {
        if certificate.validity != CertificateValidity::Good {
            sheet.certificate(file, *certificate);
        }
    }
    if let Some(certificate) = &snapshot.guest_certificate {
        sheet.guest_certificate(certificate, clock);
    }
    if let Some(fault) = &snapshot.store_fault {
        sheet.line(
            ("Not stored", "未保存"),
            &style.paint(Tone::Bad, &harmless(fault)),
        );
    }
    for fault in snapshot.media_faults.iter().take(3) {
        let fault = format!("{}: {}", harmless(&fault.element), harmless(&fault.text));
        sheet.line(
            ("Media fault", "媒体故障"),
            &style.paint(Tone::Notable, &fault),
        );
    }
    for leg in &snapshot.legs {
        sheet.leg(leg, clock);
    }
    if let Some(last) = snapshot.last_ended.first() {
        sheet.text.push('\n');
        let line = format!(
            "{}  {}",
            harmless(&last.peer.uri),
            last.state_text(language)
        );
        sheet.line(("Last call", "上次通话"), &style.paint(Tone::Faint, &line));
        if let Some(words) = far_end_words(last, language) {
            sheet.detail("", &style.paint(Tone::Faint, &words));
        }
    }
    sheet.text
}

/// The measurements of legs.
pub(crate) fn stats(legs: &[Leg], language: Language, style: Style) -> String {
    let mut sheet = Sheet {
        text: String::new(),
        language,
        style,
    };
    for leg in legs {
        sheet.measurements(leg);
    }
    if legs.is_empty() {
        let nothing = sheet.words(("no calls", "没有通话"));
        let _ = writeln!(sheet.text, "{nothing}");
    }
    sheet.text
}

/// English and Chinese.
type Words = (&'static str, &'static str);

/// The text as it grows. Writing to a `String` cannot fail.
struct Sheet {
    text: String,
    language: Language,
    style: Style,
}

impl Sheet {
    fn words(&self, (english, chinese): Words) -> &'static str {
        match self.language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    fn line(&mut self, label: Words, value: &str) {
        let label = self
            .style
            .paint(Tone::Strong, &padded(self.words(label), LABEL_COLUMNS));
        let _ = writeln!(self.text, "{label}{value}");
    }

    fn detail(&mut self, label: &str, value: &str) {
        let _ = writeln!(self.text, "{}{value}", padded(label, LABEL_COLUMNS));
    }

    fn microphone(&mut self, snapshot: &Snapshot) {
        let microphone = &snapshot.microphone;
        let tone = match microphone.state {
            MicrophoneState::Open => Tone::Good,
            MicrophoneState::Muted => Tone::Notable,
        };
        let state = self
            .style
            .paint(tone, &microphone.state.text(self.language));
        let device = self.device(microphone.device);
        let level = format!("{:.0} dB", microphone.level_dbfs);
        self.line(
            ("Microphone", "麦克风"),
            &format!("{state}  {device}  {level}"),
        );
    }

    fn certificate(&mut self, file: &str, certificate: Certificate) {
        let tone = match certificate.validity {
            CertificateValidity::Good => Tone::Good,
            CertificateValidity::ExpiresSoon => Tone::Notable,
            CertificateValidity::Expired | CertificateValidity::NotYetValid => Tone::Bad,
        };
        let validity = certificate.validity.text(self.language);
        let validity = self.style.paint(tone, &validity);
        let text = format!("{}: {validity}", harmless(file));
        self.line(("Certificate", "证书"), &text);
    }

    fn camera(&mut self, snapshot: &Snapshot) {
        let tone = match snapshot.camera.state {
            CameraState::On => Tone::Good,
            CameraState::Off => Tone::Notable,
        };
        let state = self
            .style
            .paint(tone, &snapshot.camera.state.text(self.language));
        let device = self.device(snapshot.camera.device);
        self.line(("Camera", "摄像头"), &format!("{state}  {device}"));
    }

    fn device(&self, device: DeviceState) -> String {
        let tone = match device {
            DeviceState::NotConfigured => Tone::Faint,
            DeviceState::Present => Tone::Good,
            DeviceState::Gone => Tone::Bad,
        };
        self.style.paint(tone, &device.text(self.language))
    }

    fn leg(&mut self, leg: &Leg, clock: Clock) {
        self.text.push('\n');
        let title = self.leg_title(leg);
        let lasting = leg
            .established_unix_ms
            .map(|since| clock.since(since))
            .unwrap_or_default();
        let state = self
            .style
            .paint(leg_tone(leg.state), &leg.state.text(self.language));
        let _ = writeln!(self.text, "{title}  {state}  {lasting}");
        let mut parts = vec![self.security(leg.security)];
        if let Some(audio) = &leg.audio {
            parts.push(audio.codec.clone());
        }
        if let Some(video) = &leg.video {
            parts.push(self.video_summary(video));
        }
        parts.extend(self.slides_summary(leg));
        if !leg.dtmf_received.is_empty() {
            parts.push(format!("DTMF {}", harmless(&leg.dtmf_received)));
        }
        if let Some(refused) = leg.refused {
            let refused = refused.text(self.language);
            parts.push(self.style.paint(Tone::Notable, &refused));
        }
        self.detail("", &parts.join("  "));
    }

    fn leg_title(&self, leg: &Leg) -> String {
        let label = format!("{} {}", self.words(("Leg", "通话")), leg.id);
        let arrow = match leg.direction {
            CallDirection::Incoming => "<-",
            CallDirection::Outgoing => "->",
        };
        let name = leg
            .peer
            .display_name
            .as_deref()
            .filter(|name| !name.is_empty());
        let peer = match (leg.kind, name) {
            (LegKind::Guest, name) => {
                let guest = self.words(("guest", "访客"));
                format!("{} ({guest})", harmless(name.unwrap_or_default()))
            }
            (LegKind::Sip, None) => harmless(&leg.peer.uri),
            (LegKind::Sip, Some(name)) => {
                format!("{} <{}>", harmless(name), harmless(&leg.peer.uri))
            }
        };
        let label = self
            .style
            .paint(Tone::Strong, &padded(&label, LABEL_COLUMNS));
        format!("{label}{arrow} {peer}")
    }

    fn security(&self, security: Option<LegSecurity>) -> String {
        match security {
            None => self.style.paint(Tone::Faint, "-"),
            Some(LegSecurity {
                signalling: Protection::Encrypted,
                media: Protection::Encrypted,
            }) => {
                let words = Protection::Encrypted.text(self.language);
                self.style.paint(Tone::Good, &words)
            }
            Some(LegSecurity { signalling, media }) => {
                let (signalling, media) =
                    (signalling.text(self.language), media.text(self.language));
                let words = match self.language {
                    Language::English => format!("signalling {signalling}, media {media}"),
                    Language::Chinese => format!("信令{signalling},媒体{media}"),
                };
                self.style.paint(Tone::Notable, &words)
            }
        }
    }

    fn video_summary(&self, video: &Video) -> String {
        let flow = match video.flow {
            VideoFlow::Flowing => {
                let stats = video.stats.as_ref();
                let size = stats.and_then(|stats| stats.received_resolution);
                let rate = stats.map(|stats| format!("{:.1} fps", stats.received_fps));
                let size = size.map(|size| size.to_string());
                [size, rate]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            VideoFlow::Off | VideoFlow::Waiting => self
                .style
                .paint(Tone::Notable, &video.flow.text(self.language)),
            VideoFlow::Stalled => self.style.paint(Tone::Bad, &video.flow.text(self.language)),
        };
        format!("{} {flow}", video.codec)
    }

    fn measurements(&mut self, leg: &Leg) {
        let title = self.leg_title(leg);
        let state = self
            .style
            .paint(leg_tone(leg.state), &leg.state.text(self.language));
        let _ = writeln!(self.text, "{title}  {state}");
        if let Some(audio) = &leg.audio {
            self.audio_measurements(leg.kind, audio);
        }
        if let Some(video) = &leg.video {
            self.video_measurements(leg.kind, ("video", "视频"), video);
        }
        if let Some(slides) = &leg.slides {
            self.video_measurements(leg.kind, ("slides", "幻灯片"), &slides.stream);
        }
        let times = [
            (("round trip", "往返"), leg.round_trip_ms),
            (
                ("capture to decode", "采集到解码"),
                leg.capture_to_decode_ms,
            ),
            (
                ("slides capture to decode", "幻灯片采集到解码"),
                leg.slides
                    .as_ref()
                    .and_then(|slides| slides.capture_to_decode_ms),
            ),
        ];
        let times: Vec<_> = times
            .into_iter()
            .filter_map(|(label, time)| Some(format!("{} {:.1} ms", self.words(label), time?)))
            .collect();
        if !times.is_empty() {
            self.detail("", &times.join("  "));
        }
    }

    fn audio_measurements(&mut self, kind: LegKind, audio: &Audio) {
        let stats = audio.stats.as_ref();
        let streams = stats.map(|stats| self.stream(stats)).unwrap_or_default();
        let label = format!("  {}", self.words(("audio", "音频")));
        self.detail(&label, &format!("{}  {streams}", audio.codec));
        self.transport(kind, &audio.transport);
    }

    /// What was settled of SRTP and RTCP: names of the field, the same in both languages.
    fn transport(&mut self, kind: LegKind, transport: &MediaTransport) {
        let protection = match (kind, transport.srtp_suite.as_deref()) {
            (_, Some(suite)) => harmless(suite),
            // A browser has nothing else (RFC 8827 section 6.5).
            (LegKind::Guest, None) => "DTLS-SRTP".to_owned(),
            (LegKind::Sip, None) => self.words(("plain RTP", "明文 RTP")).to_owned(),
        };
        let mut parts = vec![protection];
        let modes = [
            (transport.rtcp_mux, "rtcp-mux"),
            (transport.rtcp_reduced_size, "rtcp-rsize"),
        ];
        let modes = modes.into_iter().filter(|(settled, _)| *settled);
        parts.extend(modes.map(|(_, name)| name.to_owned()));
        let feedback: Vec<_> = transport
            .rtcp_feedback
            .iter()
            .map(|feedback| harmless(feedback))
            .collect();
        if !feedback.is_empty() {
            parts.push(feedback.join(", "));
        }
        self.detail("", &parts.join("  "));
    }

    fn video_measurements(&mut self, kind: LegKind, medium: Words, video: &Video) {
        let label = format!("  {}", self.words(medium));
        let head = format!(
            "{} {} mode {}",
            video.codec, video.profile_level_id, video.packetization_mode
        );
        let Some(stats) = &video.stats else {
            self.detail(&label, &head);
            return self.transport(kind, &video.transport);
        };
        self.detail(&label, &format!("{head}  {}", self.stream(&stats.stream)));
        self.transport(kind, &video.transport);
        let size = |size: Option<api::snapshot::Resolution>| {
            size.map_or_else(|| "-".to_owned(), |size| size.to_string())
        };
        let pictures = format!(
            "-> {} {:.1} fps  <- {} {:.1} fps  {} {} ({:.1} s)",
            size(stats.sent_resolution),
            stats.sent_fps,
            size(stats.received_resolution),
            stats.received_fps,
            self.words(("freezes", "卡顿")),
            stats.freezes,
            stats.frozen_ms / 1000.0,
        );
        self.detail("", &pictures);
        self.rung(stats);
        self.retransmissions(stats);
        let name = |name: &Option<String>| harmless(name.as_deref().unwrap_or("-"));
        let (encoder, decoder) = (name(&stats.encoder), name(&stats.decoder));
        let codecs = match self.language {
            Language::English => format!("encoder {encoder}  decoder {decoder}"),
            Language::Chinese => format!("编码器 {encoder}  解码器 {decoder}"),
        };
        self.detail("", &codecs);
    }

    /// The encode that the leg takes, and what that one is to be.
    fn rung(&mut self, stats: &VideoStats) {
        let Some(Rung {
            name,
            fps,
            target_bps,
        }) = stats.rung
        else {
            return;
        };
        let name = self.words(match name {
            RungName::High => ("high", "高"),
            RungName::Low => ("low", "低"),
        });
        let kbps = target_bps / 1_000;
        let rung = match self.language {
            Language::English => format!("rung {name}  {kbps} kbit/s {fps} fps"),
            Language::Chinese => format!("编码档位 {name}  {kbps} kbit/s {fps} fps"),
        };
        self.detail("", &rung);
    }

    /// What was lost and sent again; nothing on a network that loses nothing.
    fn retransmissions(&mut self, stats: &VideoStats) {
        let (asked, received, sent) = (
            stats.retransmissions_requested,
            stats.retransmissions_received,
            stats.retransmissions_sent,
        );
        if (asked, received, sent) == (0, 0, 0) {
            return;
        }
        let line = match self.language {
            Language::English => {
                format!("retransmissions asked {asked}  received {received}  sent {sent}")
            }
            Language::Chinese => format!("重传 请求 {asked}  收到 {received}  发送 {sent}"),
        };
        self.detail("", &line);
    }

    fn stream(&self, stats: &StreamStats) -> String {
        let loss = percent(stats.loss);
        let tone = if stats.loss > 0.02 {
            Tone::Notable
        } else {
            Tone::Good
        };
        let peer_loss = stats.peer_loss.map(percent);
        let peer = peer_loss.map(|loss| format!(" ({} {loss})", self.words(("peer", "对方"))));
        format!(
            "-> {}  <- {}  {} {}{}  {} {:.1} ms",
            bitrate(stats.send_bps),
            bitrate(stats.receive_bps),
            self.words(("loss", "丢包")),
            self.style.paint(tone, &loss),
            peer.unwrap_or_default(),
            self.words(("jitter", "抖动")),
            stats.jitter_ms,
        )
    }
}

/// What the far end said about the end of a leg, marked as its words.
pub(crate) fn far_end_words(leg: &Leg, language: Language) -> Option<String> {
    let words = leg.explanation.as_ref()?.words_text(language)?;
    Some(harmless(&words))
}

pub(crate) fn leg_tone(state: LegState) -> Tone {
    match state {
        LegState::Established => Tone::Good,
        LegState::Incoming
        | LegState::Answering
        | LegState::Dialing
        | LegState::Ringing
        | LegState::Early
        | LegState::Held { .. } => Tone::Notable,
        LegState::Ending { .. } | LegState::Ended { .. } => Tone::Faint,
    }
}

fn registration_tone(state: RegistrationState) -> Tone {
    match state {
        RegistrationState::Registered => Tone::Good,
        RegistrationState::Unregistered => Tone::Faint,
        RegistrationState::Registering => Tone::Notable,
        RegistrationState::Failed { .. } | RegistrationState::Locked => Tone::Bad,
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

fn bitrate(bps: u64) -> String {
    if bps >= 1_000_000 {
        format!("{:.2} Mbit/s", bps as f64 / 1e6)
    } else {
        format!("{} kbit/s", bps / 1000)
    }
}

/// Snapshots for the tests of this crate.
#[cfg(test)]
pub(crate) mod samples {
    use api::snapshot::{
        Camera, Direction, Layout, LegSlides, Loudspeaker, Microphone, Peer, Resolution, Rung,
        RungName, Slides, SlidesSending, VideoStats,
    };

    use super::*;

    pub(crate) fn snapshot(legs: Vec<Leg>) -> Snapshot {
        Snapshot {
            generation: 1,
            state: if legs.is_empty() {
                RoomState::Idle
            } else {
                RoomState::InMeeting
            },
            legs,
            last_ended: Vec::new(),
            microphone: Microphone {
                state: MicrophoneState::Open,
                device: DeviceState::Present,
                level_dbfs: -34.0,
            },
            camera: Camera {
                state: CameraState::On,
                device: DeviceState::Present,
            },
            slides: Slides {
                sending: SlidesSending::Off,
                device: DeviceState::Present,
            },
            loudspeaker: Loudspeaker {
                volume_percent: 70,
                level_dbfs: -100.0,
            },
            layout: Layout::Single,
            registrations: [("office".to_owned(), RegistrationState::Registered)].into(),
            registration_flows: std::collections::BTreeMap::new(),
            media_faults: Vec::new(),
            media_wanted: 1,
            media_applied: 1,
            certificates: std::collections::BTreeMap::new(),
            guest_certificate: None,
            store_fault: None,
        }
    }

    /// Slides of a leg: how far ours have come, and whether the far end's flow.
    pub(crate) fn slides(sending: SlidesSending, flow: VideoFlow) -> LegSlides {
        let video = leg(1, LegState::Established).video.unwrap();
        LegSlides {
            stream: Video { flow, ..video },
            sending,
            capture_to_decode_ms: Some(45.6),
        }
    }

    pub(crate) fn leg(id: u32, state: LegState) -> Leg {
        let stream = StreamStats {
            send_bps: 1_980_000,
            receive_bps: 32_000,
            loss: 0.031,
            peer_loss: Some(0.0),
            jitter_ms: 1.25,
            ..StreamStats::default()
        };
        let stats = VideoStats {
            stream,
            sent_fps: 30.0,
            received_fps: 29.97,
            received_resolution: Some(Resolution {
                width: 1280,
                height: 720,
            }),
            rung: Some(Rung {
                name: RungName::Low,
                fps: 15,
                target_bps: 250_000,
            }),
            encoder: Some("x264enc".into()),
            retransmissions_requested: 12,
            retransmissions_received: 11,
            retransmissions_sent: 3,
            ..VideoStats::default()
        };
        let video = Video {
            codec: "H264".into(),
            profile_level_id: "42e01f".into(),
            packetization_mode: 1,
            direction: Direction::SendRecv,
            transport: MediaTransport {
                srtp_suite: Some("AEAD_AES_256_GCM".into()),
                rtcp_mux: true,
                rtcp_reduced_size: true,
                rtcp_feedback: vec!["nack".into(), "nack pli".into(), "ccm fir".into()],
            },
            flow: VideoFlow::Flowing,
            stats: Some(stats),
        };
        Leg {
            id,
            kind: LegKind::Sip,
            direction: CallDirection::Outgoing,
            peer: Peer {
                uri: "sip:board@example.com".into(),
                display_name: None,
            },
            account: Some("office".into()),
            state,
            security: Some(LegSecurity {
                signalling: Protection::Encrypted,
                media: Protection::Encrypted,
            }),
            audio: Some(Audio {
                codec: "opus".into(),
                direction: Direction::SendRecv,
                transport: MediaTransport::default(),
                stats: None,
            }),
            video: Some(video),
            slides: None,
            capture_to_decode_ms: Some(12.34),
            round_trip_ms: None,
            dtmf_received: String::new(),
            refused: None,
            explanation: None,
            started_unix_ms: 1_000,
            established_unix_ms: Some(5_000),
            first_frame_unix_ms: None,
            ended_unix_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock {
        unix_ms: 5_000 + 3_723_000,
    };

    #[test]
    fn the_status_tells_room_devices_accounts_and_legs_in_columns() {
        let room = samples::snapshot(vec![samples::leg(1, LegState::Established)]);
        let text = status(&room, Language::English, Style::Plain, CLOCK);
        let expected = "\
Room        in a meeting
Microphone  open  present  -34 dB
Camera      on  present
Slides      off  present
Loudspeaker 70 %  -100 dB
Layout      single
Account     office: registered

Leg 1       -> sip:board@example.com  in the call  1:02:03
            encrypted  opus  H264 1280x720 30.0 fps
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_status_tells_how_an_account_stands_by_each_of_its_proxies() {
        let mut room = samples::snapshot(Vec::new());
        let failed = RegistrationState::Failed {
            reason: api::snapshot::RegistrationFailure::TimedOut,
        };
        let flows = vec![RegistrationState::Registered, failed];
        room.registration_flows = [("office".to_owned(), flows)].into();
        let text = status(&room, Language::English, Style::Plain, CLOCK);
        let expected = "\
Account     office: registered
              by proxy 1: registered
              by proxy 2: failed: the registrar did not answer; trying again
";
        assert!(text.contains(expected), "{text}");
        let text = status(&room, Language::Chinese, Style::Plain, CLOCK);
        assert!(text.contains("经代理 2:失败:注册服务器没有响应"), "{text}");
    }

    #[test]
    fn the_status_warns_of_certificates_that_are_not_good_for_long_and_is_silent_on_others() {
        let mut room = samples::snapshot(Vec::new());
        let certificates = [
            ("/etc/roomd/good.pem", CertificateValidity::Good),
            ("/etc/roomd/old.pem", CertificateValidity::Expired),
            ("/etc/roomd/soon.pem", CertificateValidity::ExpiresSoon),
        ];
        room.certificates = certificates
            .map(|(file, validity)| {
                let not_after_unix_ms = 1_800_000_000_000;
                let certificate = Certificate {
                    validity,
                    not_after_unix_ms,
                };
                (file.to_owned(), certificate)
            })
            .into();
        let text = status(&room, Language::English, Style::Plain, CLOCK);
        let warnings = "\
Certificate /etc/roomd/old.pem: has expired
Certificate /etc/roomd/soon.pem: expires soon
";
        assert!(text.contains(warnings), "{text}");
        assert!(!text.contains("good.pem"), "{text}");
        let text = status(&room, Language::Chinese, Style::Plain, CLOCK);
        assert!(text.contains("/etc/roomd/soon.pem: 即将过期\n"), "{text}");
    }

    #[test]
    fn the_status_speaks_chinese_in_the_same_columns() {
        let room = samples::snapshot(vec![samples::leg(1, LegState::Established)]);
        let text = status(&room, Language::Chinese, Style::Plain, CLOCK);
        assert!(
            text.starts_with("会议室      会议中\n麦克风      开启  正常  -34 dB\n"),
            "{text}"
        );
        assert!(
            text.contains("通话 1      -> sip:board@example.com  通话中  1:02:03\n"),
            "{text}"
        );
    }

    #[test]
    fn measurements_are_shown_for_each_direction() {
        let text = stats(
            &[samples::leg(1, LegState::Established)],
            Language::English,
            Style::Plain,
        );
        let expected = "\
Leg 1       -> sip:board@example.com  in the call
  audio     opus  \n            plain RTP\n  video     H264 42e01f mode 1  -> 1.98 Mbit/s  <- 32 kbit/s  loss 3.1 % (peer 0.0 %)  \
jitter 1.2 ms
            AEAD_AES_256_GCM  rtcp-mux  rtcp-rsize  nack, nack pli, ccm fir
            -> - 30.0 fps  <- 1280x720 30.0 fps  freezes 0 (0.0 s)
            rung low  250 kbit/s 15 fps
            retransmissions asked 12  received 11  sent 3
            encoder x264enc  decoder -
            capture to decode 12.3 ms
";
        assert_eq!(text, expected);
        assert_eq!(stats(&[], Language::English, Style::Plain), "no calls\n");
    }

    #[test]
    fn an_unprotected_leg_says_which_part_is_unprotected() {
        let mut leg = samples::leg(1, LegState::Established);
        leg.security = Some(LegSecurity {
            signalling: Protection::Plain,
            media: Protection::Encrypted,
        });
        let room = samples::snapshot(vec![leg]);
        let text = status(&room, Language::English, Style::Plain, CLOCK);
        assert!(
            text.contains("signalling not encrypted, media encrypted"),
            "{text}"
        );
    }

    #[test]
    fn a_callers_name_cannot_steer_the_terminal() {
        let mut leg = samples::leg(1, LegState::Incoming);
        leg.peer.display_name = Some("\x1b]0;owned\x07".into());
        leg.peer.uri = "sip:a\r\n\x1b[2J@example.com".into();
        let room = samples::snapshot(vec![leg]);
        let text = status(&room, Language::English, Style::Plain, CLOCK);
        assert!(!text.contains(['\x1b', '\r', '\x07']), "{text:?}");
    }

    #[test]
    fn a_clock_that_went_backwards_shows_no_negative_time() {
        assert_eq!(Clock { unix_ms: 0 }.since(5_000), "0:00:00");
    }
}
