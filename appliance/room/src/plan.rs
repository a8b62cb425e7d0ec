//! The media plan as a pure function of what the room wants.
//!
//! The ladder has one rung so far: every leg that sends video takes it, so it keeps within what
//! each of them decodes (profile-level-id) and asks for (`b=`).

use crate::codec::PacketizationMode;
use crate::guest::LegKind;
use crate::h264_level::H264Level;
use crate::ids::{Generation, LegId};
use crate::leg_state::LegState;
use crate::media_plan::{
    CameraPlan, CameraState, Layout, LegPlan, MediaPlan, MicrophonePlan, MicrophoneState,
    PlayoutPlan, Rung, SlidesPlan, Tone, VideoStream,
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

/// The sizes that a picture may be scaled to, as fractions of its sides. Two thirds take 1080p to
/// 720p.
const SCALES: [(u32, u32); 8] = [
    (1, 1),
    (3, 4),
    (2, 3),
    (1, 2),
    (3, 8),
    (1, 3),
    (1, 4),
    (1, 8),
];

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

/// What follows from the states of the legs for people in the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// What the loudspeaker plays of a call that is not answered yet.
    pub(crate) tone: Option<Tone>,
    /// The leg whose slides fill the screen.
    pub(crate) slides: Option<LegId>,
}

/// The most that an encode of one source may be.
struct Most {
    resolution: Resolution,
    frame_rate: FrameRate,
    bitrate: Bitrate,
}

/// The plan for these devices, controls and legs.
pub(crate) fn media_plan(
    generation: Generation,
    policy: &MediaPolicy,
    controls: Controls,
    legs: Vec<LegPlan>,
    shown: Shown,
) -> MediaPlan {
    let camera = Most {
        resolution: policy.resolution,
        frame_rate: policy.frame_rate,
        bitrate: policy.bitrate,
    };
    let slides = Most {
        resolution: policy.slides.resolution,
        frame_rate: policy.slides.frame_rate,
        bitrate: policy.slides.bitrate,
    };
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
        ladder: rung(
            &camera,
            legs.iter().filter_map(|leg| leg.streams.video.as_ref()),
        )
        .into_iter()
        .collect(),
        slides: SlidesPlan {
            source: policy.slides.source.clone(),
            resolution: policy.slides.resolution,
            frame_rate: policy.slides.frame_rate,
            rung: rung(
                &slides,
                legs.iter().filter_map(|leg| leg.streams.slides.as_deref()),
            ),
        },
        legs,
        layout: controls.layout,
        playout: PlayoutPlan {
            video: policy.video_sink,
            audio: policy.audio_sink,
            volume: controls.volume,
            tone: shown.tone,
            slides: shown.slides,
        },
    }
}

/// What people in the room hear of calls in these states. Whoever calls comes before whomever the
/// room calls: somebody has to act. A guest who knocks may wait for long, and does so more quietly
/// than a caller.
pub(crate) fn tone(legs: &[(LegKind, LegState)]) -> Option<Tone> {
    let meets = legs.iter().any(|(_, state)| state.is_connected());
    if legs.contains(&(LegKind::Sip, LegState::Incoming)) && !meets {
        return Some(Tone::Ringing);
    }
    let any = |wanted| legs.iter().any(|(_, state)| *state == wanted);
    if any(LegState::Incoming) {
        return Some(Tone::CallWaiting);
    }
    any(LegState::Ringing).then_some(Tone::Ringback)
}

/// The one rung that all sending streams can take; `None` while none sends.
fn rung<'a>(most: &Most, streams: impl Iterator<Item = &'a VideoStream>) -> Option<Rung> {
    let sending: Vec<&VideoStream> = streams.filter(|video| video.direction.sends()).collect();
    if sending.is_empty() {
        return None;
    }
    let levels: Vec<H264Level> = sending
        .iter()
        .map(|video| H264Level::of(video.send_profile))
        .collect();
    let (resolution, frame_rate) = picture(most.resolution, most.frame_rate, &levels);
    let asked = sending.iter().filter_map(|video| video.max_bitrate);
    let decodable = levels.iter().map(|level| level.max_bitrate);
    let bitrate = asked
        .chain(decodable)
        .fold(most.bitrate, Bitrate::min)
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
/// much, the smallest at whatever rate is left.
fn picture(
    full: Resolution,
    frame_rate: FrameRate,
    levels: &[H264Level],
) -> (Resolution, FrameRate) {
    let at_most = |size| {
        let rates = levels
            .iter()
            .map(|level| level.max_frame_rate(size).unwrap_or(FrameRate(0)));
        rates.fold(frame_rate, FrameRate::min)
    };
    let mut sizes = SCALES.iter().map(|scale| scaled(full, *scale));
    let fluent = sizes.find(|size| at_most(*size) == frame_rate);
    let size = fluent.unwrap_or_else(|| scaled(full, SCALES[SCALES.len() - 1]));
    (size, at_most(size).max(FrameRate(1)))
}

/// The picture with both sides scaled, kept even as 4:2:0 sampling needs them.
fn scaled(full: Resolution, (numerator, denominator): (u32, u32)) -> Resolution {
    let side = |side: u32| {
        let scaled = u64::from(side) * u64::from(numerator) / u64::from(denominator);
        u32::try_from(scaled).map_or(side, |scaled| (scaled & !1).max(2))
    };
    Resolution {
        width: side(full.width),
        height: side(full.height),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{Direction, PayloadType, ProfileLevelId, RtcpMode, VideoFeedback};
    use crate::media_plan::LegStreams;

    const CONTROLS: Controls = Controls {
        microphone: MicrophoneState::Open,
        camera: CameraState::On,
        volume: Volume::DEFAULT,
        layout: Layout::Single,
    };

    fn leg(change: impl Fn(&mut VideoStream)) -> LegPlan {
        let mut video = VideoStream {
            send_packetization_mode: PacketizationMode::NonInterleaved,
            send_profile: ProfileLevelId::CONSTRAINED_BASELINE_31,
            send_payload_type: PayloadType::new(97).unwrap(),
            receive_payload_type: PayloadType::new(97).unwrap(),
            direction: Direction::SendRecv,
            max_bitrate: None,
            feedback: VideoFeedback::ALL,
            rtx: None,
            srtp: None,
            rtcp: RtcpMode::default(),
        };
        change(&mut video);
        LegPlan {
            id: LegId(1),
            streams: LegStreams {
                video: Some(video),
                ..LegStreams::default()
            },
        }
    }

    fn ladder(legs: Vec<LegPlan>) -> Vec<Rung> {
        media_plan(
            Generation(1),
            &MediaPolicy::simulated(),
            CONTROLS,
            legs,
            Shown::default(),
        )
        .ladder
    }

    fn level(level_idc: u8) -> LegPlan {
        leg(|video| video.send_profile.level_idc = level_idc)
    }

    #[test]
    fn without_a_leg_that_sends_video_nothing_is_encoded() {
        assert_eq!(ladder(Vec::new()), []);
        for direction in [Direction::RecvOnly, Direction::Inactive] {
            assert_eq!(ladder(vec![leg(|video| video.direction = direction)]), []);
        }
    }

    #[test]
    fn one_rung_as_configured_serves_a_leg_that_takes_everything() {
        let policy = MediaPolicy::simulated();
        let rung = Rung {
            resolution: policy.resolution,
            frame_rate: policy.frame_rate,
            bitrate: policy.bitrate,
            max_nal_unit: None,
        };
        assert_eq!(ladder(vec![leg(|_| {}), leg(|_| {})]), [rung]);
    }

    #[test]
    fn nal_units_are_kept_small_when_one_leg_cannot_take_fragments() {
        let single = PacketizationMode::SingleNalUnit;
        let legs = vec![
            leg(|_| {}),
            leg(|video| video.send_packetization_mode = single),
        ];
        assert_eq!(ladder(legs)[0].max_nal_unit, Some(MAX_NAL_UNIT));
    }

    #[test]
    fn the_bitrate_is_what_every_sending_leg_asks_for() {
        let limited = |kbps| leg(move |video| video.max_bitrate = Some(Bitrate::kbps(kbps)));
        let bitrate = |legs| ladder(legs)[0].bitrate;
        assert_eq!(
            bitrate(vec![limited(900), limited(300)]),
            Bitrate::kbps(300)
        );
        assert_eq!(
            bitrate(vec![limited(50_000)]),
            MediaPolicy::simulated().bitrate
        );
        assert_eq!(bitrate(vec![limited(0)]), MIN_BITRATE);
        let receiving = leg(|video| {
            video.max_bitrate = Some(Bitrate::kbps(300));
            video.direction = Direction::RecvOnly;
        });
        assert_eq!(
            bitrate(vec![leg(|_| {}), receiving]),
            MediaPolicy::simulated().bitrate
        );
    }

    #[test]
    fn the_picture_is_what_the_weakest_sending_leg_decodes() {
        let picture = |level_idc| {
            let rung = ladder(vec![leg(|_| {}), level(level_idc)])[0];
            (
                rung.resolution.width,
                rung.resolution.height,
                rung.frame_rate.0,
            )
        };
        assert_eq!(picture(31), (1280, 720, 30));
        assert_eq!(picture(30), (640, 360, 30));
        assert_eq!(picture(21), (480, 270, 30));
        assert_eq!(picture(20), (320, 180, 30));
        assert_eq!(picture(12), (160, 90, 30));
        assert_eq!(picture(10), (160, 90, 24));
    }

    #[test]
    fn a_decoder_of_720p_gets_720p_of_a_1080p_camera() {
        let full = Resolution {
            width: 1920,
            height: 1080,
        };
        let policy = MediaPolicy {
            resolution: full,
            ..MediaPolicy::simulated()
        };
        let rung = media_plan(
            Generation(1),
            &policy,
            CONTROLS,
            vec![level(31)],
            Shown::default(),
        )
        .ladder[0];
        assert_eq!(rung.resolution, Resolution::HD720);
        let rung = media_plan(
            Generation(1),
            &policy,
            CONTROLS,
            vec![level(40)],
            Shown::default(),
        )
        .ladder[0];
        assert_eq!(rung.resolution, full);
    }

    #[test]
    fn a_picture_too_large_for_any_scale_is_sent_at_one_frame_a_second() {
        let wall = Resolution {
            width: u32::MAX,
            height: u32::MAX,
        };
        let policy = MediaPolicy {
            resolution: wall,
            ..MediaPolicy::simulated()
        };
        let rung = media_plan(
            Generation(1),
            &policy,
            CONTROLS,
            vec![level(10)],
            Shown::default(),
        )
        .ladder[0];
        assert_eq!(rung.frame_rate, FrameRate(1));
    }

    proptest! {
        #[test]
        fn no_leg_is_sent_more_than_it_takes(
            levels in proptest::collection::vec(any::<u8>(), 1..5),
            width in 16_u32..4_096,
            height in 16_u32..2_304,
            frame_rate in 1_u32..61,
        ) {
            let policy = MediaPolicy {
                resolution: Resolution { width, height },
                frame_rate: FrameRate(frame_rate),
                ..MediaPolicy::simulated()
            };
            let legs = levels.iter().map(|idc| level(*idc)).collect();
            let rung = media_plan(Generation(1), &policy, CONTROLS, legs, Shown::default()).ladder[0];
            prop_assert!(rung.resolution.width.is_multiple_of(2));
            prop_assert!(rung.resolution.height.is_multiple_of(2));
            for level_idc in levels {
                let limits = H264Level::of(ProfileLevelId {
                    level_idc,
                    ..ProfileLevelId::CONSTRAINED_BASELINE_31
                });
                let smallest = scaled(policy.resolution, (1, 8));
                prop_assert!(
                    limits.takes(rung.resolution, rung.frame_rate) || rung.resolution == smallest
                );
                prop_assert!(rung.bitrate <= limits.max_bitrate.max(MIN_BITRATE));
            }
        }
    }
}
