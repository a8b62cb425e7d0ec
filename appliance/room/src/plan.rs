//! The media plan as a pure function of what the room wants.
//!
//! The encodes of the camera come from the [`ladder`](crate::ladder). Slides have one: every leg
//! that shows them takes it, so it keeps within what each of them decodes (profile-level-id) and
//! asks for (`b=`, TMMBR).

use crate::guest::LegKind;
use crate::ids::{Generation, LegId};
use crate::ladder::{Most, PictureFormat, one_rung_for_all};
use crate::leg_state::LegState;
use crate::media_plan::{
    CameraPlan, CameraState, EncodeLadder, Layout, LegPlan, MediaPlan, MicrophonePlan,
    MicrophoneState, PlayoutPlan, Rung, SlidesPlan, Tone,
};
use crate::policy::MediaPolicy;
use crate::snapshot::RoomSnapshot;
use crate::units::Volume;

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

/// The plan for these devices, controls and legs.
pub(crate) fn media_plan(
    generation: Generation,
    policy: &MediaPolicy,
    controls: Controls,
    legs: Vec<LegPlan>,
    ladder: EncodeLadder,
    shown: Shown,
) -> MediaPlan {
    let slides = slides_rung(policy, &legs);
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
        ladder,
        slides: SlidesPlan {
            source: policy.slides.source.clone(),
            resolution: policy.slides.resolution,
            frame_rate: policy.slides.frame_rate,
            rung: slides,
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

/// The most that the encodes of the camera may be.
pub(crate) const fn most_of_camera(policy: &MediaPolicy) -> Most {
    Most {
        format: PictureFormat {
            resolution: policy.resolution,
            frame_rate: policy.frame_rate,
        },
        bitrate: policy.bitrate,
    }
}

/// The one encode of the slides that all legs can take which send them.
fn slides_rung(policy: &MediaPolicy, legs: &[LegPlan]) -> Option<Rung> {
    let most = Most {
        format: PictureFormat {
            resolution: policy.slides.resolution,
            frame_rate: policy.slides.frame_rate,
        },
        bitrate: policy.slides.bitrate,
    };
    let streams = legs.iter().filter_map(|leg| leg.streams.slides.as_deref());
    let sending: Vec<_> = streams.filter(|video| video.direction.sends()).collect();
    one_rung_for_all(&most, &sending)
}
