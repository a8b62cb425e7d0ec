//! The media plan as a pure function of what the room wants.
//!
//! The ladder has one rung so far: every leg that sends video takes it, so it keeps within what
//! each of them decodes (profile-level-id) and asks for (`b=`).

use crate::codec::PacketizationMode;
use crate::h264_level::H264Level;
use crate::ids::Generation;
use crate::media_plan::{
    CameraPlan, CameraState, Layout, LegPlan, MediaPlan, MicrophonePlan, MicrophoneState,
    PlayoutPlan, Rung, VideoStream,
};
use crate::policy::MediaPolicy;
use crate::snapshot::RoomSnapshot;
use crate::units::{Bitrate, FrameRate, Resolution, Volume};

/// The largest NAL unit for a leg that takes packetization mode 0 only. With RTP, SRTP, UDP and
/// IPv6 headers it stays below 1,280 bytes, the smallest MTU that IPv6 allows, so that it passes
/// tunnels too.
const MAX_NAL_UNIT: u32 = 1_180;

/// The least that an encode is given, whatever a peer asks for: one peer that says `b=AS:1` must
/// not take the picture from all others.
const MIN_BITRATE: Bitrate = Bitrate::kbps(64);

/// The sizes that a picture may be scaled down to, in eighths of its sides.
const SCALES_IN_EIGHTHS: [u32; 6] = [8, 6, 4, 3, 2, 1];

/// What the users of the room have set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Controls {
    pub(crate) microphone: MicrophoneState,
    pub(crate) camera: CameraState,
    pub(crate) volume: Volume,
    pub(crate) layout: Layout,
}

impl Controls {
    /// The controls as a snapshot shows them.
    pub(crate) fn of(snapshot: &RoomSnapshot) -> Self {
        Self {
            microphone: snapshot.microphone,
            camera: snapshot.camera,
            volume: snapshot.volume,
            layout: snapshot.layout,
        }
    }
}

/// The plan for these devices, controls and legs.
pub(crate) fn media_plan(
    generation: Generation,
    policy: &MediaPolicy,
    controls: Controls,
    legs: Vec<LegPlan>,
) -> MediaPlan {
    MediaPlan {
        generation,
        camera: CameraPlan {
            source: policy.camera.clone(),
            resolution: policy.resolution,
            frame_rate: policy.frame_rate,
            state: controls.camera,
        },
        microphone: MicrophonePlan {
            source: policy.microphone.clone(),
            state: controls.microphone,
        },
        ladder: rung(policy, &legs).into_iter().collect(),
        legs,
        layout: controls.layout,
        playout: PlayoutPlan {
            video: policy.video_sink,
            audio: policy.audio_sink,
            volume: controls.volume,
        },
    }
}

/// The one rung that all sending legs can take; `None` while no leg sends video.
fn rung(policy: &MediaPolicy, legs: &[LegPlan]) -> Option<Rung> {
    let sending: Vec<&VideoStream> = legs
        .iter()
        .filter_map(|leg| leg.streams.video.as_ref())
        .filter(|video| video.direction.sends())
        .collect();
    if sending.is_empty() {
        return None;
    }
    let levels: Vec<H264Level> = sending
        .iter()
        .map(|video| H264Level::of(video.send_profile))
        .collect();
    let (resolution, frame_rate) = picture(policy.resolution, policy.frame_rate, &levels);
    let asked = sending.iter().filter_map(|video| video.max_bitrate);
    let decodable = levels.iter().map(|level| level.max_bitrate);
    let bitrate = asked
        .chain(decodable)
        .fold(policy.bitrate, Bitrate::min)
        .max(MIN_BITRATE);
    let single_nal_unit = sending
        .iter()
        .any(|video| video.send_packetization_mode == PacketizationMode::SingleNalUnit);
    Some(Rung {
        resolution,
        frame_rate,
        bitrate,
        max_nal_unit: single_nal_unit.then_some(MAX_NAL_UNIT),
    })
}

/// The largest picture that all levels take at the full frame rate; when even the smallest is too
/// much, the smallest at one frame per second and up.
fn picture(
    full: Resolution,
    frame_rate: FrameRate,
    levels: &[H264Level],
) -> (Resolution, FrameRate) {
    let taken_at = |resolution, frame_rate| {
        levels
            .iter()
            .all(|level| level.takes(resolution, frame_rate))
    };
    let sizes = SCALES_IN_EIGHTHS.map(|eighths| scaled(full, eighths));
    if let Some(resolution) = sizes.into_iter().find(|size| taken_at(*size, frame_rate)) {
        return (resolution, frame_rate);
    }
    let smallest = scaled(full, 1);
    let slower = (1..frame_rate.0)
        .rev()
        .map(FrameRate)
        .find(|rate| taken_at(smallest, *rate));
    (smallest, slower.unwrap_or(FrameRate(1)))
}

/// The picture with both sides scaled, kept even as 4:2:0 sampling needs them.
fn scaled(full: Resolution, eighths: u32) -> Resolution {
    let side = |side: u32| {
        let scaled = u64::from(side) * u64::from(eighths) / 8;
        u32::try_from(scaled).map_or(side, |scaled| (scaled & !1).max(2))
    };
    Resolution {
        width: side(full.width),
        height: side(full.height),
    }
}
