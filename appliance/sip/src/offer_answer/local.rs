//! Our own description: what an offer or answer of ours says, and how it is written.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use rand_core::CryptoRng;
use room::codec::{
    AudioCodec, Direction, PayloadType, RtcpMode, RtcpPort, RtcpSize, VideoFeedback,
};
use room::units::Bitrate;
use sdp_types::{Attribute, Bandwidth, Connection, Media, Origin, Session as Description};

use super::capability::{
    Capabilities, H264Capabilities, LocalMedia, LocalPort, MediaKeys, MediaSecurity,
};
use super::content::{ContentPorts, ContentSharing};
use super::crypto::{CryptoLine, OFFERED_SUITES};
use super::dtls_line::DtlsLine;
use super::floor_line::FloorLine;
use super::h264::{H264Parameters, LevelAsymmetry};
use super::ice_line::{IceLine, IceUse};

/// Payload types of our offers. G.722 and G.711 have static ones (RFC 3551 table 4).
const OPUS: PayloadType = payload_type(96);
const FIRST_H264: u8 = 97;
const TELEPHONE_EVENT_48000: PayloadType = payload_type(100);
const TELEPHONE_EVENT_8000: PayloadType = payload_type(101);
const FIRST_RTX: u8 = 102;
pub(super) const PCMU: PayloadType = payload_type(0);
pub(super) const PCMA: PayloadType = payload_type(8);
pub(super) const G722: PayloadType = payload_type(9);

const fn payload_type(value: u8) -> PayloadType {
    PayloadType::new(value).expect("payload types of ours are below 128")
}

/// The label of the slides, by which the floor is tied to them (RFC 4574).
pub(super) const SLIDES_LABEL: u8 = 3;

/// What an `m=` line of RTP is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Audio,
    /// The main picture.
    Video,
    /// The second picture.
    Slides,
}

impl Medium {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video | Self::Slides => "video",
        }
    }

    /// Our port, where there is one and our capabilities allow the medium.
    pub(super) fn port(self, capabilities: &Capabilities, media: &LocalMedia) -> Option<LocalPort> {
        match self {
            Self::Audio => media.audio,
            Self::Video => media.video,
            Self::Slides => content_ports(capabilities, media).map(|ports| ports.slides),
        }
    }
}

/// The ports of content sharing, where it is on.
pub(super) fn content_ports(
    capabilities: &Capabilities,
    media: &LocalMedia,
) -> Option<ContentPorts> {
    match capabilities.content {
        ContentSharing::Off => None,
        ContentSharing::On => media.content,
    }
}

/// The RTP profiles that we speak. Whether feedback (RFC 4585) is used follows from `a=rtcp-fb`,
/// which SIP video systems write under the older profiles too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RtpProfile {
    Avp,
    Avpf,
    Savp,
    Savpf,
    /// Keys by DTLS (RFC 5764 section 8).
    TlsSavp,
    /// As much with feedback.
    TlsSavpf,
}

impl RtpProfile {
    const ALL: [Self; 6] = [
        Self::Avp,
        Self::Avpf,
        Self::Savp,
        Self::Savpf,
        Self::TlsSavp,
        Self::TlsSavpf,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
            Self::TlsSavp => "UDP/TLS/RTP/SAVP",
            Self::TlsSavpf => "UDP/TLS/RTP/SAVPF",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name().eq_ignore_ascii_case(name))
    }

    /// Whether the profile itself demands SRTP.
    pub(super) const fn is_secure(self) -> bool {
        match self {
            Self::Avp | Self::Avpf => false,
            Self::Savp | Self::Savpf | Self::TlsSavp | Self::TlsSavpf => true,
        }
    }

    /// Whether it demands that DTLS yields the keys.
    pub(super) const fn is_keyed_by_dtls(self) -> bool {
        match self {
            Self::Avp | Self::Avpf | Self::Savp | Self::Savpf => false,
            Self::TlsSavp | Self::TlsSavpf => true,
        }
    }
}

/// What one payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Audio(AudioCodec),
    /// DTMF, with its RTP clock in Hz (RFC 4733).
    TelephoneEvent(u32),
    H264(H264Parameters),
    /// Packets of this payload type, sent again (RFC 4588).
    Rtx(PayloadType),
}

impl Encoding {
    fn rtpmap(&self) -> String {
        match self {
            // RFC 7587 section 7: always two channels, whatever is sent.
            Self::Audio(AudioCodec::Opus) => "opus/48000/2".into(),
            Self::Audio(codec) => format!("{codec}/{}", codec.rtp_clock_hz()),
            Self::TelephoneEvent(clock) => format!("telephone-event/{clock}"),
            Self::H264(_) => "H264/90000".into(),
            Self::Rtx(_) => "rtx/90000".into(),
        }
    }

    fn fmtp(&self) -> Option<String> {
        match self {
            Self::Audio(AudioCodec::Opus) => Some("useinbandfec=1".into()),
            Self::Audio(AudioCodec::G722 | AudioCodec::Pcmu | AudioCodec::Pcma) => None,
            Self::TelephoneEvent(_) => Some("0-15".into()),
            Self::H264(parameters) => Some(parameters.to_string()),
            Self::Rtx(original) => Some(format!("apt={original}")),
        }
    }
}

/// One payload type of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: PayloadType,
    pub(super) encoding: Encoding,
    pub(super) feedback: Vec<Feedback>,
}

/// RTCP feedback of a receiver of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feedback {
    /// Lost packets by their numbers (RFC 4585 section 6.2.1).
    Nack,
    /// Picture loss indication (RFC 4585 section 6.3.1).
    NackPli,
    /// Full intra request (RFC 5104 section 4.3.1).
    CcmFir,
    /// Temporary maximum media stream bitrate request (RFC 5104 section 4.2.1).
    CcmTmmbr,
    /// Congestion control feedback (RFC 8888 section 6), which is of all payload types or of none.
    AckCcfb,
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 section 2.3).
    GoogRemb,
}

impl Feedback {
    pub(super) const ALL: [Self; 6] = [
        Self::Nack,
        Self::NackPli,
        Self::CcmFir,
        Self::CcmTmmbr,
        Self::AckCcfb,
        Self::GoogRemb,
    ];

    pub(super) const fn value(self) -> &'static str {
        match self {
            Self::Nack => "nack",
            Self::NackPli => "nack pli",
            Self::CcmFir => "ccm fir",
            Self::CcmTmmbr => "ccm tmmbr",
            Self::AckCcfb => "ack ccfb",
            Self::GoogRemb => "goog-remb",
        }
    }

    /// Whether `a=rtcp-fb` names it with these words. What follows them is a parameter, save behind a
    /// bare `nack`, where it makes another kind of feedback.
    pub(super) fn is_named_by<'a>(self, mut words: impl Iterator<Item = &'a str>) -> bool {
        let named = self
            .value()
            .split(' ')
            .all(|word| words.next() == Some(word));
        match self {
            Self::Nack => named && words.next().is_none(),
            Self::NackPli | Self::CcmFir | Self::CcmTmmbr | Self::AckCcfb | Self::GoogRemb => named,
        }
    }

    /// Whether it is of the whole line, and not of one of its payload types.
    pub(super) const fn is_of_all(self) -> bool {
        match self {
            Self::AckCcfb => true,
            Self::Nack | Self::NackPli | Self::CcmFir | Self::CcmTmmbr | Self::GoogRemb => false,
        }
    }

    /// What both of two payload types list.
    pub(super) fn common(one: &[Self], other: &[Self]) -> VideoFeedback {
        let both = |feedback: Self| one.contains(&feedback) && other.contains(&feedback);
        VideoFeedback {
            generic_nack: both(Self::Nack),
            picture_loss_indication: both(Self::NackPli),
            full_intra_request: both(Self::CcmFir),
            temporary_bitrate: both(Self::CcmTmmbr),
            congestion_control: both(Self::AckCcfb),
            maximum_bitrate: both(Self::GoogRemb),
        }
    }
}

/// What a line says of RTCP: that the peer may choose, or what was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RtcpLine {
    Offered(RtcpMode),
    Agreed(RtcpMode),
}

impl RtcpLine {
    /// All that our offers propose.
    pub(super) const OFFER: Self = Self::Offered(RtcpMode {
        port: RtcpPort::Shared,
        size: RtcpSize::Reduced,
    });

    pub(super) const fn mode(self) -> RtcpMode {
        match self {
            Self::Offered(mode) | Self::Agreed(mode) => mode,
        }
    }

    /// Whether RTCP may come to its own port, which is then to be named where it does not follow
    /// that of RTP (RFC 3605, RFC 5761 section 5.1.1).
    const fn has_own_port(self) -> bool {
        match self {
            Self::Offered(_) => true,
            Self::Agreed(mode) => matches!(mode.port, RtcpPort::Own),
        }
    }
}

/// One `m=` line of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LocalLine {
    Active(ActiveLine),
    /// BFCP.
    FloorControl(FloorLine),
    /// Kept with port 0, so that the lines behind it keep their numbers.
    Refused(RefusedLine),
}

impl LocalLine {
    /// The line with which a peer refuses this one.
    pub(super) fn refused(&self) -> Media {
        let media = write_line(self, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        RefusedLine::of(&media).write()
    }
}

/// A line that we use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ActiveLine {
    pub(super) medium: Medium,
    pub(super) port: LocalPort,
    pub(super) profile: RtpProfile,
    pub(super) formats: Vec<Format>,
    pub(super) direction: Direction,
    /// In an offer all keys to choose from, then the chosen one. Empty on a plain line, and where DTLS
    /// yields the keys.
    pub(super) crypto: Vec<CryptoLine>,
    /// `None` on a plain line, and where the description has the keys.
    pub(super) dtls: Option<DtlsLine>,
    /// `None` where nothing is said of ICE.
    pub(super) ice: Option<IceLine>,
    pub(super) max_bitrate: Option<Bitrate>,
    pub(super) rtcp: RtcpLine,
}

/// What a refused line must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedLine {
    media: String,
    proto: String,
    fmt: String,
}

impl RefusedLine {
    pub(super) fn of(media: &Media) -> Self {
        Self {
            media: media.media.clone(),
            proto: media.proto.clone(),
            fmt: media.fmt.clone(),
        }
    }

    fn write(&self) -> Media {
        Media {
            media: self.media.clone(),
            proto: self.proto.clone(),
            fmt: self.fmt.clone(),
            ..empty_media()
        }
    }
}

/// A whole description of ours, save its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalDescription {
    pub(super) address: IpAddr,
    pub(super) lines: Vec<LocalLine>,
}

impl LocalDescription {
    /// The first offer of a session: one line for each medium with a bound port, and one for the
    /// floor of the slides.
    pub(super) fn offer(
        capabilities: &Capabilities,
        local: &LocalMedia,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut lines: Vec<LocalLine> = [Medium::Audio, Medium::Video, Medium::Slides]
            .into_iter()
            .filter_map(|medium| Some((medium, medium.port(capabilities, local)?)))
            .map(|(medium, port)| LocalLine::Active(offer_line(capabilities, medium, port, rng)))
            .collect();
        let content = content_ports(capabilities, local);
        lines.extend(
            content
                .map(|ports| LocalLine::FloorControl(FloorLine::offer(capabilities, &ports, rng))),
        );
        Self {
            address: local.address,
            lines,
        }
    }

    /// How many lines there are up to the last one that is used. A peer that knows of no others may
    /// leave those behind out.
    pub(super) fn lines_in_use(&self) -> usize {
        let used = |line: &LocalLine| !matches!(line, LocalLine::Refused(_));
        self.lines.iter().rposition(used).map_or(0, |last| last + 1)
    }

    /// Writes the description with this `o=` identity (RFC 8866 section 5.2).
    pub(super) fn write(&self, session_id: u32, version: u64) -> Bytes {
        let origin = Origin::with_ip_addr(session_id, version, self.address);
        let mut description = Description::new(origin, "-");
        description.connection = Some(Connection::from_ip_addr(self.address));
        let lines = self.lines.iter();
        description.medias = lines.map(|line| write_line(line, self.address)).collect();
        let mut bytes = Vec::new();
        description
            .write(&mut bytes)
            .expect("writing to memory does not fail");
        bytes.into()
    }
}

fn offer_line(
    capabilities: &Capabilities,
    medium: Medium,
    port: LocalPort,
    rng: &mut impl CryptoRng,
) -> ActiveLine {
    let dtls = match capabilities.media_keys {
        MediaKeys::Sdes => None,
        MediaKeys::DtlsSrtp => capabilities.certificate.map(DtlsLine::offer),
    };
    let profile = match (capabilities.security, dtls) {
        (MediaSecurity::SrtpRequired, None) => RtpProfile::Savp,
        // With feedback: systems that have DTLS-SRTP have it from WebRTC, which knows this one.
        (MediaSecurity::SrtpRequired, Some(_)) => RtpProfile::TlsSavpf,
        (MediaSecurity::PlainAllowed, _) => RtpProfile::Avp,
    };
    let (formats, max_bitrate) = match medium {
        Medium::Audio => (offered_audio(&capabilities.audio), None),
        Medium::Video | Medium::Slides => (
            offered_video(&capabilities.video),
            Some(capabilities.video.max_bitrate),
        ),
    };
    let suites = match dtls {
        None => &OFFERED_SUITES[..],
        Some(_) => &[],
    };
    let crypto = suites
        .iter()
        .map(|(tag, suite)| CryptoLine::generate(*tag, *suite, rng))
        .collect();
    let ice = match capabilities.ice {
        IceUse::Off | IceUse::Answered => None,
        IceUse::Offered => Some(IceLine::offer(rng)),
    };
    ActiveLine {
        medium,
        port,
        profile,
        formats,
        direction: Direction::SendRecv,
        crypto,
        dtls,
        ice,
        max_bitrate,
        rtcp: RtcpLine::OFFER,
    }
}

/// The codecs, and telephone-event at each of their clocks (RFC 4733 section 2.5.1.1 wants events
/// on the clock of the stream that they are part of).
fn offered_audio(codecs: &[AudioCodec]) -> Vec<Format> {
    let plain = |payload_type, encoding| Format {
        payload_type,
        encoding,
        feedback: Vec::new(),
    };
    let mut formats: Vec<Format> = codecs
        .iter()
        .map(|codec| plain(offered_payload_type(*codec), Encoding::Audio(*codec)))
        .collect();
    for (payload_type, clock) in [
        (TELEPHONE_EVENT_48000, 48_000),
        (TELEPHONE_EVENT_8000, 8_000),
    ] {
        if codecs.iter().any(|codec| codec.rtp_clock_hz() == clock) {
            formats.push(plain(payload_type, Encoding::TelephoneEvent(clock)));
        }
    }
    formats
}

const fn offered_payload_type(codec: AudioCodec) -> PayloadType {
    match codec {
        AudioCodec::Opus => OPUS,
        AudioCodec::G722 => G722,
        AudioCodec::Pcmu => PCMU,
        AudioCodec::Pcma => PCMA,
    }
}

fn offered_video(video: &H264Capabilities) -> Vec<Format> {
    // There are two modes; a third entry could only repeat one.
    let modes = video.packetization_modes.iter().take(2);
    let pictures: Vec<Format> = (FIRST_H264..)
        .map_while(PayloadType::new)
        .zip(modes)
        .map(|(payload_type, mode)| Format {
            payload_type,
            encoding: Encoding::H264(H264Parameters {
                profile_level: video.profile_level,
                packetization_mode: *mode,
                level_asymmetry: LevelAsymmetry::Allowed,
                max_mbps: None,
                max_fs: None,
                max_br: None,
            }),
            feedback: Feedback::ALL.to_vec(),
        })
        .collect();
    let sent_again: Vec<Format> = (FIRST_RTX..)
        .map_while(PayloadType::new)
        .zip(&pictures)
        .map(|(payload_type, picture)| Format {
            payload_type,
            encoding: Encoding::Rtx(picture.payload_type),
            feedback: Vec::new(),
        })
        .collect();
    [pictures, sent_again].concat()
}

fn write_line(line: &LocalLine, address: IpAddr) -> Media {
    match line {
        LocalLine::Active(active) => write_active_line(active, address),
        LocalLine::FloorControl(line) => line.write(),
        LocalLine::Refused(refused) => refused.write(),
    }
}

pub(super) fn empty_media() -> Media {
    Media {
        media: String::new(),
        port: 0,
        num_ports: None,
        proto: String::new(),
        fmt: String::new(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

fn write_active_line(line: &ActiveLine, address: IpAddr) -> Media {
    let payload_types: Vec<String> = line
        .formats
        .iter()
        .map(|format| format.payload_type.to_string())
        .collect();
    let bandwidths = line.max_bitrate.into_iter().flat_map(|bitrate| {
        [
            Bandwidth {
                bwtype: "AS".into(),
                bandwidth: bitrate.as_kbps(),
            },
            Bandwidth {
                bwtype: "TIAS".into(),
                bandwidth: bitrate.as_bps(),
            },
        ]
    });
    Media {
        media: line.medium.name().into(),
        port: line.port.rtp,
        proto: line.profile.name().into(),
        fmt: payload_types.join(" "),
        bandwidths: bandwidths.collect(),
        attributes: write_attributes(line, address),
        ..empty_media()
    }
}

fn write_attributes(line: &ActiveLine, address: IpAddr) -> Vec<Attribute> {
    let mut attributes: Vec<Attribute> = line.formats.iter().flat_map(write_format).collect();
    let listed = |feedback: &Feedback| {
        let mut formats = line.formats.iter();
        feedback.is_of_all() && formats.any(|format| format.feedback.contains(feedback))
    };
    let of_all = Feedback::ALL.into_iter().filter(listed);
    attributes.extend(
        of_all.map(|feedback| Attribute::with_value("rtcp-fb", format!("* {}", feedback.value()))),
    );
    match line.medium {
        Medium::Audio => attributes.push(Attribute::with_value("ptime", 20)),
        Medium::Video => {}
        Medium::Slides => {
            attributes.push(Attribute::with_value("content", "slides"));
            attributes.push(Attribute::with_value("label", SLIDES_LABEL));
        }
    }
    if line.rtcp.has_own_port() && Some(line.port.rtcp) != line.port.rtp.checked_add(1) {
        attributes.push(Attribute::with_value("rtcp", line.port.rtcp));
    }
    let mode = line.rtcp.mode();
    if mode.port == RtcpPort::Shared {
        attributes.push(Attribute::new("rtcp-mux"));
    }
    if mode.size == RtcpSize::Reduced {
        attributes.push(Attribute::new("rtcp-rsize"));
    }
    let crypto = line.crypto.iter();
    attributes
        .extend(crypto.map(|crypto| Attribute::with_value("crypto", crypto.to_attribute_value())));
    if let Some((certificate, setup)) = line.dtls.map(DtlsLine::values) {
        attributes.push(Attribute::with_value("fingerprint", certificate));
        attributes.push(Attribute::with_value("setup", setup));
    }
    if let Some(ice) = &line.ice {
        attributes.extend(ice.attributes(address, line.port, line.rtcp.has_own_port()));
    }
    attributes.push(Attribute::new(direction_name(line.direction)));
    attributes
}

fn write_format(format: &Format) -> Vec<Attribute> {
    let number = format.payload_type;
    let attribute =
        |name: &str, value: &str| Attribute::with_value(name, format!("{number} {value}"));
    let mut attributes = vec![attribute("rtpmap", &format.encoding.rtpmap())];
    attributes.extend(format.encoding.fmtp().map(|fmtp| attribute("fmtp", &fmtp)));
    let feedback = format.feedback.iter().filter(|it| !it.is_of_all());
    attributes.extend(feedback.map(|feedback| attribute("rtcp-fb", feedback.value())));
    attributes
}

pub(super) const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}
