//! From the graph that is to the graph that is wanted: a pure list of changes.
//!
//! Applying the changes in order to the shape they were computed from always gives the wanted
//! shape; equal shapes give no change; and what happens to one leg never touches another leg or
//! the capture that they share. The order matters: a mute comes before everything else, what goes
//! is gone before what replaces it comes, and capture starts before the legs that wait for it.

use room::ids::LegId;
use room::media_plan::{
    AudioSink, AudioSource, CameraState, MicrophoneState, Rung, RungName, Tone, VideoRole,
};
use room::units::{Bitrate, Volume};

use crate::shape::{
    GraphShape, LegDirections, LegShape, VideoCaptureShape, VideoPlayoutShape, same_but_bitrate,
};

/// One step from one graph to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GraphChange {
    SetMicrophone(MicrophoneState),
    SetCamera(CameraState),
    RemoveLeg(LegId),
    StopVideoCapture(VideoRole),
    StopAudioCapture,
    StopVideoPlayout,
    StopAudioPlayout,
    StartVideoCapture(VideoRole, VideoCaptureShape),
    StartAudioCapture(AudioSource),
    StartAudioPlayout(AudioSink),
    StartVideoPlayout(VideoPlayoutShape),
    /// What takes an encode goes on with it until it has another.
    RetireEncode {
        role: VideoRole,
        name: RungName,
    },
    StartEncode {
        role: VideoRole,
        name: RungName,
        rung: Rung,
    },
    SetBitrate {
        role: VideoRole,
        name: RungName,
        bitrate: Bitrate,
    },
    SetVolume(Volume),
    SetTone(Option<Tone>),
    AddLeg(LegId, LegShape),
    SetLegDirections(LegId, LegDirections),
    SetLegRung {
        leg: LegId,
        role: VideoRole,
        rung: Option<RungName>,
    },
}

/// The changes that turn `current` into `wanted`.
pub(crate) fn diff(current: &GraphShape, wanted: &GraphShape) -> Vec<GraphChange> {
    let mut changes = Vec::new();
    if current.microphone != wanted.microphone {
        changes.push(GraphChange::SetMicrophone(wanted.microphone));
    }
    if current.camera != wanted.camera {
        changes.push(GraphChange::SetCamera(wanted.camera));
    }
    changes.extend(removed_legs(current, wanted).map(GraphChange::RemoveLeg));
    changes.extend(stopped_parts(current, wanted));
    changes.extend(started_parts(current, wanted));
    if current.volume != wanted.volume {
        changes.push(GraphChange::SetVolume(wanted.volume));
    }
    if current.tone != wanted.tone {
        changes.push(GraphChange::SetTone(wanted.tone));
    }
    for (&id, leg) in &wanted.legs {
        match current
            .legs
            .get(&id)
            .filter(|before| before.same_but_directions(leg))
        {
            Some(before) => changes.extend(live_leg_changes(id, before, leg)),
            None => changes.push(GraphChange::AddLeg(id, leg.clone())),
        }
    }
    changes
}

/// Legs that are not wanted any more, or not as they are.
fn removed_legs(current: &GraphShape, wanted: &GraphShape) -> impl Iterator<Item = LegId> {
    let stays = |id: &LegId, leg: &LegShape| {
        wanted
            .legs
            .get(id)
            .is_some_and(|after| leg.same_but_directions(after))
    };
    current
        .legs
        .iter()
        .filter(move |(id, leg)| !stays(id, leg))
        .map(|(&id, _)| id)
}

fn stopped_parts(current: &GraphShape, wanted: &GraphShape) -> Vec<GraphChange> {
    let mut changes = Vec::new();
    for (role, before) in current.video_captures.iter() {
        let after = wanted.video_captures.get(role).as_ref();
        if let Some(before) = before
            && !after.is_some_and(|after| before.same_but_rungs(after))
        {
            changes.push(GraphChange::StopVideoCapture(role));
        }
    }
    if current.audio_capture.is_some() && current.audio_capture != wanted.audio_capture {
        changes.push(GraphChange::StopAudioCapture);
    }
    if current.video_playout.is_some() && current.video_playout != wanted.video_playout {
        changes.push(GraphChange::StopVideoPlayout);
    }
    if current.audio_playout.is_some() && current.audio_playout != wanted.audio_playout {
        changes.push(GraphChange::StopAudioPlayout);
    }
    changes
}

fn started_parts(current: &GraphShape, wanted: &GraphShape) -> Vec<GraphChange> {
    let mut changes = Vec::new();
    for (role, after) in wanted.video_captures.iter() {
        let Some(after) = after else { continue };
        let before = current.video_captures.get(role).as_ref();
        match before.filter(|before| before.same_but_rungs(after)) {
            Some(before) => changes.extend(encode_changes(role, before, after)),
            None => changes.push(GraphChange::StartVideoCapture(role, after.clone())),
        }
    }
    if current.audio_capture != wanted.audio_capture {
        changes.extend(
            wanted
                .audio_capture
                .clone()
                .map(GraphChange::StartAudioCapture),
        );
    }
    if current.audio_playout != wanted.audio_playout {
        changes.extend(wanted.audio_playout.map(GraphChange::StartAudioPlayout));
    }
    if current.video_playout != wanted.video_playout {
        changes.extend(
            wanted
                .video_playout
                .clone()
                .map(GraphChange::StartVideoPlayout),
        );
    }
    changes
}

/// What goes is retired before what replaces it starts: retired, it is still there for the legs
/// that take it.
fn encode_changes(
    role: VideoRole,
    before: &VideoCaptureShape,
    after: &VideoCaptureShape,
) -> Vec<GraphChange> {
    let mut changes = Vec::new();
    for name in RungName::ALL {
        match (before.rungs.get(&name), after.rungs.get(&name)) {
            (None, None) => {}
            (Some(before), Some(after)) if same_but_bitrate(before, after) => {
                if before.bitrate != after.bitrate {
                    let bitrate = after.bitrate;
                    changes.push(GraphChange::SetBitrate {
                        role,
                        name,
                        bitrate,
                    });
                }
            }
            (before, after) => {
                changes.extend(before.map(|_| GraphChange::RetireEncode { role, name }));
                let start = |rung: &Rung| GraphChange::StartEncode {
                    role,
                    name,
                    rung: *rung,
                };
                changes.extend(after.map(start));
            }
        }
    }
    changes
}

fn live_leg_changes(id: LegId, before: &LegShape, after: &LegShape) -> Vec<GraphChange> {
    let mut changes = Vec::new();
    if before.directions() != after.directions() {
        changes.push(GraphChange::SetLegDirections(id, after.directions()));
    }
    for (role, &rung) in after.rungs.iter() {
        if *before.rungs.get(role) != rung {
            changes.push(GraphChange::SetLegRung {
                leg: id,
                role,
                rung,
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests;
