//! What was settled, in the words of the room.

use room::codec::{
    AudioCodec, Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode, RtcpPort,
    RtcpSize, VideoFeedback,
};
use room::media_plan::{AudioStream, VideoStream};
use str0m::format::Codec;
use str0m::media::{Media, Mid};

use crate::description::Line;
use crate::engine::Engine;

/// RTCP between media and the leg: it goes by a channel of its own, and what is urgent goes alone.
const RTCP: RtcpMode = RtcpMode {
    port: RtcpPort::Shared,
    size: RtcpSize::Reduced,
};

/// What media may ask for. Between media and the leg nothing is lost; what the network has lost the leg asks the
/// browser for by itself, and media waits for what is sent again as it does where it has asked.
const FEEDBACK: VideoFeedback = VideoFeedback {
    generic_nack: true,
    picture_loss_indication: true,
    ..VideoFeedback::NONE
};

/// The audio stream of a line; `None` where there is none, or no common codec.
pub(crate) fn audio(engine: &Engine, line: &Line, allowed: Direction) -> Option<AudioStream> {
    let media = media(engine, line)?;
    let payload_type = payload_types(engine, media, Codec::Opus).next()?;
    Some(AudioStream {
        codec: AudioCodec::Opus,
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        send_telephone_event: None,
        receive_telephone_event: None,
        max_bitrate: line.max_bitrate,
        direction: both(direction(media), allowed),
        generic_nack: line.takes_nack(payload_type.value()),
        srtp: None,
        rtcp: RTCP,
    })
}

/// The video stream of a line; `None` where there is none, or no common codec.
pub(crate) fn video(engine: &Engine, line: &Line, allowed: Direction) -> Option<VideoStream> {
    let media = media(engine, line)?;
    let payload_type = payload_types(engine, media, Codec::H264).next()?;
    let profile = line
        .profiles
        .iter()
        .find(|(number, _)| *number == payload_type.value())
        .map_or(ProfileLevelId::CONSTRAINED_BASELINE_31, |(_, profile)| {
            *profile
        });
    Some(VideoStream {
        send_packetization_mode: PacketizationMode::NonInterleaved,
        send_profile: profile,
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        direction: both(direction(media), allowed),
        max_bitrate: line.max_bitrate,
        feedback: FEEDBACK,
        rtx: None,
        srtp: None,
        rtcp: RTCP,
    })
}

fn media<'a>(engine: &'a Engine, line: &Line) -> Option<&'a Media> {
    engine
        .rtc()
        .media(Mid::from(line.mid.as_str()))
        .filter(|media| !media.disabled() && !media.stopped())
}

/// The payload types of a codec that both ends take, in the order that the browser prefers.
fn payload_types<'a>(
    engine: &'a Engine,
    media: &'a Media,
    codec: Codec,
) -> impl Iterator<Item = PayloadType> + 'a {
    let settled = media.remote_pts();
    settled.iter().filter_map(move |number| {
        let params = engine.rtc().codec_config();
        let found = params.params().iter().find(|param| param.pt() == *number)?;
        (found.spec().codec == codec).then_some(PayloadType::new(**number))?
    })
}

/// The payload type by which the browser takes repeated sound.
pub(crate) fn redundancy(engine: &Engine, line: &Line) -> Option<u8> {
    let settled = media(engine, line)?.remote_pts();
    let mut params = engine.rtc().codec_config().params().iter();
    let opus =
        params.find(|param| settled.contains(&param.pt()) && param.spec().codec == Codec::Opus)?;
    opus.red().map(|number| *number)
}

fn direction(media: &Media) -> Direction {
    match media.direction() {
        str0m::media::Direction::SendRecv => Direction::SendRecv,
        str0m::media::Direction::SendOnly => Direction::SendOnly,
        str0m::media::Direction::RecvOnly => Direction::RecvOnly,
        str0m::media::Direction::Inactive => Direction::Inactive,
    }
}

/// What both directions have in common.
pub(crate) const fn both(one: Direction, other: Direction) -> Direction {
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
