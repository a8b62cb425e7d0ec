//! What two descriptions amount to: the same rules for offerer and answerer.
//!
//! [`answer_line`] narrows an offered line to what we take. [`agree`] then pairs a line of ours
//! with the peer's line; which of the two was the offer makes no difference to it.

use std::net::IpAddr;

use rand_core::CryptoRng;
use room::codec::{Direction, RtcpMode, RtcpPort, RtcpSize, RtxPayloadTypes, SrtpKeys};
use room::media_plan::{AudioStream, LegStreams, VideoStream};

use super::capability::{
    AgreedSecurity, CallMedia, Capabilities, DtlsMedia, LocalMedia, LocalPort, MediaSecurity,
    PeerHold, RemoteMedia, RemotePort,
};
use super::content::{ContentMedia, ContentPorts, FloorControlMedia, FloorLink};
use super::crypto::CryptoLine;
use super::dtls_line::{DtlsLine, DtlsSrtp};
use super::error::LineRefusal;
use super::h264::{H264Parameters, H264Profile, Sendable};
use super::ice_line::{IceLine, IceMedia, IceStream, IceUse};
use super::local::{ActiveLine, Encoding, Feedback, Format, Medium, RtcpLine, content_ports};
use super::remote::{RemoteAddress, RemoteLine};

/// A line that both ends use.
pub(super) struct AgreedLine {
    /// Our side, narrowed to what was agreed.
    pub(super) line: ActiveLine,
    stream: AgreedStream,
    remote: Option<RemotePort>,
    dtls: Option<DtlsSrtp>,
    ice: Option<IceStream>,
    /// Whether the peer takes what we send, seen from its description alone.
    peer_receives: bool,
}

enum AgreedStream {
    Audio(AudioStream),
    Video(VideoStream),
}

impl AgreedLine {
    /// Whether the line is protected.
    pub(super) fn is_secured(&self) -> bool {
        self.dtls.is_some() || !self.line.crypto.is_empty()
    }
}

/// What an answer is made from, besides the offered line.
pub(super) struct Answerer<'a> {
    pub(super) capabilities: &'a Capabilities,
    pub(super) address: IpAddr,
    /// What we want at most: less than both ways while we hold the call.
    pub(super) direction: Direction,
    /// What is agreed so far: its keys go on unless the peer changes its own.
    pub(super) previous: Option<&'a CallMedia>,
    /// Whether its connection of floor control, if it has one, goes on.
    pub(super) floor_link: FloorLink,
    /// The last connection of floor control of a session whose place this one takes.
    pub(super) replaced_connection: Option<u32>,
}

impl Answerer<'_> {
    pub(super) fn content_ports(&self, local: &LocalMedia) -> Option<ContentPorts> {
        content_ports(self.capabilities, local)
    }
}

/// Our line in answer to `offered`, and what it amounts to.
pub(super) fn answer_line(
    answerer: &Answerer<'_>,
    medium: Medium,
    port: LocalPort,
    offered: RemoteLine<'_>,
    rng: &mut impl CryptoRng,
) -> Result<AgreedLine, LineRefusal> {
    if offered.is_disabled() {
        return Err(LineRefusal::Disabled);
    }
    let capabilities = answerer.capabilities;
    let (formats, max_bitrate) = match medium {
        Medium::Audio => (answer_audio(capabilities, &offered.formats()), None),
        Medium::Video | Medium::Slides => (
            answer_video(capabilities, &offered.formats()),
            Some(capabilities.video.max_bitrate),
        ),
    };
    let profile = offered.profile().ok_or(LineRefusal::UnsupportedTransport)?;
    if profile.is_keyed_by_dtls() && capabilities.certificate.is_none() {
        return Err(LineRefusal::UnsupportedTransport);
    }
    // Where the description has keys they are taken, unless the profile says otherwise.
    let crypto = match profile.is_keyed_by_dtls() {
        true => None,
        false => answer_crypto(answerer, medium, offered, rng),
    };
    let dtls = match crypto {
        Some(_) => None,
        None => answer_dtls(answerer, medium, offered)?,
    };
    let ice = answer_ice(answerer, medium, offered, rng);
    let line = ActiveLine {
        medium,
        port,
        rtcp: answer_rtcp(&formats),
        profile,
        formats,
        direction: intersection(answerer.direction, offered.direction().reversed()),
        crypto: crypto.into_iter().collect(),
        dtls,
        ice,
        max_bitrate,
    };
    agree(&line, offered, capabilities.security, answerer.address)
}

/// What we take of RTCP. On a shared port its packets look like RTP of the payload types 64 to 95
/// (RFC 5761 section 4), so that a peer who uses one of these gets none.
fn answer_rtcp(formats: &[Format]) -> RtcpLine {
    let ambiguous = |format: &Format| (64..=95).contains(&format.payload_type.value());
    match RtcpLine::OFFER.mode() {
        mode if formats.iter().any(ambiguous) => RtcpLine::Offered(RtcpMode {
            port: RtcpPort::Own,
            ..mode
        }),
        mode => RtcpLine::Offered(mode),
    }
}

/// What both ends list.
fn common_rtcp(ours: RtcpMode, theirs: RtcpMode) -> RtcpMode {
    RtcpMode {
        port: match (ours.port, theirs.port) {
            (RtcpPort::Shared, RtcpPort::Shared) => RtcpPort::Shared,
            (RtcpPort::Own, _) | (_, RtcpPort::Own) => RtcpPort::Own,
        },
        size: match (ours.size, theirs.size) {
            (RtcpSize::Reduced, RtcpSize::Reduced) => RtcpSize::Reduced,
            (RtcpSize::Compound, _) | (_, RtcpSize::Compound) => RtcpSize::Compound,
        },
    }
}

/// One codec, the best of ours that is offered, and telephone-event. One codec only, so that
/// neither end switches in the middle of a call.
fn answer_audio(capabilities: &Capabilities, offered: &[Format]) -> Vec<Format> {
    let codec = capabilities.audio.iter().find_map(|codec| {
        offered
            .iter()
            .find(|format| format.encoding == Encoding::Audio(*codec))
    });
    let event = codec.and_then(|codec| {
        let events = || {
            offered
                .iter()
                .filter(|format| event_clock(format).is_some())
        };
        events()
            .find(|event| event_clock(event) == audio_clock(codec))
            .or_else(|| events().next())
    });
    codec
        .into_iter()
        .chain(event)
        .map(|format| Format {
            feedback: Vec::new(),
            ..format.clone()
        })
        .collect()
}

/// One payload type: our best packetization mode that is offered with a profile that we decode; and
/// the one by which its packets are sent again.
fn answer_video(capabilities: &Capabilities, offered: &[Format]) -> Vec<Format> {
    let video = &capabilities.video;
    let decodable = |parameters: &H264Parameters| {
        H264Profile::of(parameters.profile_level)
            .is_some_and(|profile| video.decodable_profiles.contains(&profile))
    };
    let mut candidates: Vec<(usize, Format)> = offered
        .iter()
        .filter_map(|format| {
            let parameters = h264(format).filter(|parameters| decodable(parameters))?;
            let mut modes = video.packetization_modes.iter();
            let preference = modes.position(|mode| *mode == parameters.packetization_mode)?;
            let format = Format {
                encoding: Encoding::H264(parameters.answer(video.profile_level)),
                ..format.clone()
            };
            Some((preference, format))
        })
        .collect();
    // A stable sort: among equals the peer's order decides.
    candidates.sort_by_key(|(preference, _)| *preference);
    let Some((_, picture)) = candidates.into_iter().next() else {
        return Vec::new();
    };
    let sent_again = rtx_of(&picture, offered).map(|format| Format {
        feedback: Vec::new(),
        ..format.clone()
    });
    [picture].into_iter().chain(sent_again).collect()
}

/// The payload type of `formats` by which lost packets of `picture` are sent again. Without NACK
/// nobody asks for them.
fn rtx_of<'a>(picture: &Format, formats: &'a [Format]) -> Option<&'a Format> {
    let sent_again = Encoding::Rtx(picture.payload_type);
    formats
        .iter()
        .find(|format| format.encoding == sent_again)
        .filter(|_| picture.feedback.contains(&Feedback::Nack))
}

/// The answer to the first usable key. Our own key goes on while the peer's does: a new key
/// restarts the packet counters of SRTP.
fn answer_crypto(
    answerer: &Answerer<'_>,
    medium: Medium,
    offered: RemoteLine<'_>,
    rng: &mut impl CryptoRng,
) -> Option<CryptoLine> {
    let theirs = offered.crypto().into_iter().next()?;
    let previous = answerer.previous.and_then(|media| keys_of(media, medium));
    match previous.filter(|keys| keys.remote == theirs.key) {
        Some(keys) => Some(CryptoLine {
            tag: theirs.tag,
            key: keys.local.clone(),
        }),
        None => Some(CryptoLine::generate(theirs.tag, theirs.key.suite(), rng)),
    }
}

/// The answer to the handshake that is offered, if one is and we have a certificate.
fn answer_dtls(
    answerer: &Answerer<'_>,
    medium: Medium,
    offered: RemoteLine<'_>,
) -> Result<Option<DtlsLine>, LineRefusal> {
    let (Some(certificate), Some(_)) = (answerer.capabilities.certificate, offered.fingerprint())
    else {
        return Ok(None);
    };
    let previous = answerer.previous.and_then(|media| dtls_of(media, medium));
    DtlsLine::answer(certificate, offered, previous).map(Some)
}

/// The answer to ICE, where it is offered and used.
fn answer_ice(
    answerer: &Answerer<'_>,
    medium: Medium,
    offered: RemoteLine<'_>,
    rng: &mut impl CryptoRng,
) -> Option<IceLine> {
    match answerer.capabilities.ice {
        IceUse::Off => None,
        IceUse::Answered | IceUse::Offered => {
            let previous = answerer.previous.and_then(|media| ice_of(media, medium));
            IceLine::answer(offered, answerer.address, previous, rng)
        }
    }
}

fn ice_of(media: &CallMedia, medium: Medium) -> Option<&IceStream> {
    match medium {
        Medium::Audio => media.ice.audio.as_ref(),
        Medium::Video => media.ice.video.as_ref(),
        Medium::Slides => media.content.as_ref()?.ice.as_ref(),
    }
}

fn dtls_of(media: &CallMedia, medium: Medium) -> Option<DtlsSrtp> {
    match medium {
        Medium::Audio => media.dtls.audio,
        Medium::Video => media.dtls.video,
        Medium::Slides => media.content.as_ref()?.dtls,
    }
}

fn keys_of(media: &CallMedia, medium: Medium) -> Option<&SrtpKeys> {
    match medium {
        Medium::Audio => media.streams.audio.as_ref()?.srtp.as_ref(),
        Medium::Video => media.streams.video.as_ref()?.srtp.as_ref(),
        Medium::Slides => media.content.as_ref()?.stream.srtp.as_ref(),
    }
}

/// What our line and the peer's line amount to.
pub(super) fn agree(
    ours: &ActiveLine,
    theirs: RemoteLine<'_>,
    security: MediaSecurity,
    address: IpAddr,
) -> Result<AgreedLine, LineRefusal> {
    if theirs.is_disabled() {
        return Err(LineRefusal::Disabled);
    }
    let profile = theirs.profile().ok_or(LineRefusal::UnsupportedTransport)?;
    let keys = agree_keys(ours, theirs);
    let dtls = agree_dtls(ours, theirs)?;
    let srtp_demanded =
        security == MediaSecurity::SrtpRequired || profile.is_secure() || ours.profile.is_secure();
    if keys.is_none() && dtls.is_none() && srtp_demanded {
        return Err(LineRefusal::NoAcceptableKey);
    }
    let rtcp = common_rtcp(ours.rtcp.mode(), theirs.rtcp());
    if dtls.is_some() && rtcp.port == RtcpPort::Own {
        return Err(LineRefusal::RtcpNotShared);
    }
    let remote = match (theirs.address(address)?, rtcp.port) {
        (RemoteAddress::At(port), RtcpPort::Own) => Some(port),
        (RemoteAddress::At(port), RtcpPort::Shared) => Some(RemotePort {
            rtcp: port.rtp,
            ..port
        }),
        (RemoteAddress::Nowhere, _) => None,
    };
    let (ice_line, ice) = match &ours.ice {
        Some(line) => line.agree(theirs, address, rtcp.port),
        None => (None, None),
    };
    let direction = intersection(ours.direction, theirs.direction().reversed());
    let srtp = keys.as_ref().map(|(_, keys)| keys.clone());
    let (stream, formats) = match ours.medium {
        Medium::Audio => agree_audio(ours, theirs, direction, srtp, rtcp),
        Medium::Video | Medium::Slides => agree_video(ours, theirs, direction, srtp, rtcp),
    }
    .ok_or(LineRefusal::NoCommonCodec)?;
    let crypto = keys
        .map(|(tag, keys)| CryptoLine {
            tag,
            key: keys.local,
        })
        .into_iter()
        .collect();
    Ok(AgreedLine {
        line: ActiveLine {
            formats,
            crypto,
            dtls: dtls.map(|(line, _)| line),
            ice: ice_line,
            rtcp: RtcpLine::Agreed(rtcp),
            ..ours.clone()
        },
        stream,
        remote,
        dtls: dtls.map(|(_, dtls)| dtls),
        ice,
        peer_receives: theirs.direction().receives(),
    })
}

/// The keys of the first line of theirs that has ours of the same tag and suite (RFC 4568
/// section 5.1.3). A peer that mirrors our own key would make both ends use one keystream.
fn agree_keys(ours: &ActiveLine, theirs: RemoteLine<'_>) -> Option<(u32, SrtpKeys)> {
    theirs.crypto().into_iter().find_map(|theirs| {
        let ours = ours.crypto.iter().find(|ours| {
            ours.tag == theirs.tag
                && ours.key.suite() == theirs.key.suite()
                && ours.key != theirs.key
        })?;
        Some((
            ours.tag,
            SrtpKeys {
                local: ours.key.clone(),
                remote: theirs.key,
            },
        ))
    })
}

/// The handshake, where both ends have a certificate for one. Where one end shows none the other's is
/// of no use (RFC 8643 section 3.1).
fn agree_dtls(
    ours: &ActiveLine,
    theirs: RemoteLine<'_>,
) -> Result<Option<(DtlsLine, DtlsSrtp)>, LineRefusal> {
    match ours.dtls {
        Some(line) if theirs.fingerprint().is_some() => line.agree(theirs).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn agree_audio(
    ours: &ActiveLine,
    theirs: RemoteLine<'_>,
    direction: Direction,
    srtp: Option<SrtpKeys>,
    rtcp: RtcpMode,
) -> Option<(AgreedStream, Vec<Format>)> {
    let offered = theirs.formats();
    let same_codec = |ours: &Format, theirs: &Format| {
        matches!(ours.encoding, Encoding::Audio(_)) && ours.encoding == theirs.encoding
    };
    let (local, remote) = pair(&ours.formats, &offered, same_codec)?;
    let Encoding::Audio(codec) = local.encoding else {
        return None;
    };
    // Peers that know telephone-event at 8 kHz only use it beside Opus all the same.
    let event_at = |clock: Option<u32>| {
        pair(&ours.formats, &offered, |ours, theirs| {
            event_clock(ours).is_some_and(|ours| clock.is_none_or(|clock| clock == ours))
                && ours.encoding == theirs.encoding
        })
    };
    let event = event_at(Some(codec.rtp_clock_hz())).or_else(|| event_at(None));
    let stream = AudioStream {
        codec,
        send_payload_type: remote.payload_type,
        receive_payload_type: local.payload_type,
        send_telephone_event: event.map(|(_, remote)| remote.payload_type),
        receive_telephone_event: event.map(|(local, _)| local.payload_type),
        max_bitrate: theirs.max_audio_bitrate(),
        direction,
        generic_nack: false,
        srtp,
        rtcp,
    };
    let formats = [Some(local), event.map(|(local, _)| local)];
    Some((
        AgreedStream::Audio(stream),
        formats.into_iter().flatten().cloned().collect(),
    ))
}

fn agree_video(
    ours: &ActiveLine,
    theirs: RemoteLine<'_>,
    direction: Direction,
    srtp: Option<SrtpKeys>,
    rtcp: RtcpMode,
) -> Option<(AgreedStream, Vec<Format>)> {
    let offered = theirs.formats();
    let agreeing = |ours: &Format, theirs: &Format| {
        h264(ours)
            .zip(h264(theirs))
            .is_some_and(|(ours, theirs)| ours.agrees_with(theirs))
    };
    let (local, remote) = pair(&ours.formats, &offered, agreeing)?;
    let (our_parameters, their_parameters) = h264(local).zip(h264(remote))?;
    let rtx = rtx_of(local, &ours.formats).zip(rtx_of(remote, &offered));
    let Sendable {
        profile_level,
        max_bitrate,
    } = their_parameters.sendable(our_parameters);
    let stream = VideoStream {
        send_packetization_mode: their_parameters.packetization_mode,
        send_profile: profile_level,
        send_payload_type: remote.payload_type,
        receive_payload_type: local.payload_type,
        direction,
        max_bitrate: max_bitrate.into_iter().chain(theirs.max_bitrate()).min(),
        feedback: Feedback::common(&local.feedback, &remote.feedback),
        rtx: rtx.map(|(local, remote)| RtxPayloadTypes {
            send: remote.payload_type,
            receive: local.payload_type,
        }),
        srtp,
        rtcp,
    };
    let formats = [Some(local), rtx.map(|(local, _)| local)];
    Some((
        AgreedStream::Video(stream),
        formats.into_iter().flatten().cloned().collect(),
    ))
}

/// The first format of theirs that one of ours matches. Where the peer lists the same encoding
/// under several numbers, the one with our number is meant.
fn pair<'a>(
    ours: &'a [Format],
    theirs: &'a [Format],
    matches: impl Fn(&Format, &Format) -> bool,
) -> Option<(&'a Format, &'a Format)> {
    let (local, first) = theirs.iter().find_map(|theirs| {
        let local = ours.iter().find(|ours| matches(ours, theirs))?;
        Some((local, theirs))
    })?;
    let same_number = theirs
        .iter()
        .find(|theirs| theirs.payload_type == local.payload_type && matches(local, theirs));
    Some((local, same_number.unwrap_or(first)))
}

fn h264(format: &Format) -> Option<&H264Parameters> {
    match &format.encoding {
        Encoding::H264(parameters) => Some(parameters),
        Encoding::Audio(_) | Encoding::TelephoneEvent(_) | Encoding::Rtx(_) => None,
    }
}

fn event_clock(format: &Format) -> Option<u32> {
    match format.encoding {
        Encoding::TelephoneEvent(clock) => Some(clock),
        Encoding::Audio(_) | Encoding::H264(_) | Encoding::Rtx(_) => None,
    }
}

fn audio_clock(format: &Format) -> Option<u32> {
    match format.encoding {
        Encoding::Audio(codec) => Some(codec.rtp_clock_hz()),
        Encoding::TelephoneEvent(_) | Encoding::H264(_) | Encoding::Rtx(_) => None,
    }
}

/// The ways that both allow.
fn intersection(one: Direction, other: Direction) -> Direction {
    match (
        one.sends() && other.sends(),
        one.receives() && other.receives(),
    ) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

/// Whether an offer of these lines holds the call. The first line tells: audio, where there is any.
/// Slides flow one way at a time and tell nothing.
pub(super) fn hold_by_offer(lines: &[AgreedLine]) -> PeerHold {
    match main_lines(lines).next() {
        Some(AgreedLine {
            peer_receives: false,
            ..
        }) => PeerHold::On,
        Some(AgreedLine {
            peer_receives: true,
            ..
        })
        | None => PeerHold::Off,
    }
}

/// Whether the answer with these lines holds the call, or `None` where it cannot tell because we
/// did not offer to send.
pub(super) fn hold_by_answer(lines: &[AgreedLine]) -> Option<PeerHold> {
    main_lines(lines)
        .any(|agreed| agreed.line.direction.sends())
        .then(|| hold_by_offer(lines))
}

fn main_lines(lines: &[AgreedLine]) -> impl Iterator<Item = &AgreedLine> {
    let lines = lines.iter();
    lines.filter(|agreed| agreed.line.medium != Medium::Slides)
}

/// The outcome for the whole call.
pub(super) fn call_media(
    lines: Vec<AgreedLine>,
    floor_control: Option<FloorControlMedia>,
    peer_hold: PeerHold,
) -> CallMedia {
    let secured = lines.iter().all(AgreedLine::is_secured);
    let mut streams = LegStreams::default();
    let mut remote = RemoteMedia::default();
    let mut dtls = DtlsMedia::default();
    let mut ice = IceMedia::default();
    let mut content = None;
    for agreed in lines {
        let is_slides = agreed.line.medium == Medium::Slides;
        match agreed.stream {
            AgreedStream::Audio(stream) => {
                streams.audio = Some(stream);
                remote.audio = agreed.remote;
                dtls.audio = agreed.dtls;
                ice.audio = agreed.ice;
            }
            AgreedStream::Video(stream) if is_slides => {
                content = Some(Box::new(ContentMedia {
                    stream,
                    remote: agreed.remote,
                    dtls: agreed.dtls,
                    ice: agreed.ice,
                    floor_control,
                }));
            }
            AgreedStream::Video(stream) => {
                streams.video = Some(stream);
                remote.video = agreed.remote;
                dtls.video = agreed.dtls;
                ice.video = agreed.ice;
            }
        }
    }
    let security = if secured {
        AgreedSecurity::Secured
    } else {
        AgreedSecurity::Plain
    };
    CallMedia {
        streams,
        remote,
        dtls,
        ice,
        content,
        security,
        peer_hold,
    }
}
