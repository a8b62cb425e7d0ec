//! Whether two ends of a call mean the same media.

use std::fmt::Debug;

use room::codec::{Direction, PayloadType, SrtpKeys};
use room::media_plan::{AudioStream, LegStreams, VideoStream};

/// What is wrong with the two ends of a call, if anything: one has a stream that the other lacks,
/// or codec, payload types, directions or keys of one are not the mirror image of the other's.
#[must_use]
pub fn mirror_fault(one: &LegStreams, other: &LegStreams) -> Option<String> {
    let audio = match (&one.audio, &other.audio) {
        (Some(one), Some(other)) => audio_fault(one, other),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => Some("only one end has audio".to_owned()),
    };
    let video = || match (&one.video, &other.video) {
        (Some(one), Some(other)) => video_fault(one, other),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => Some("only one end has video".to_owned()),
    };
    audio.or_else(video)
}

fn audio_fault(one: &AudioStream, other: &AudioStream) -> Option<String> {
    let events =
        |stream: &AudioStream| (stream.send_telephone_event, stream.receive_telephone_event);
    let (sent, received) = events(other);
    differ("audio codec", &one.codec, &other.codec)
        .or_else(|| {
            let ours = (one.send_payload_type, one.receive_payload_type);
            let theirs = (other.send_payload_type, other.receive_payload_type);
            payload_type_fault("audio", ours, theirs)
        })
        .or_else(|| differ("telephone-event", &events(one), &(received, sent)))
        .or_else(|| direction_fault("audio", one.direction, other.direction))
        .or_else(|| key_fault("audio", one.srtp.as_ref(), other.srtp.as_ref()))
}

fn video_fault(one: &VideoStream, other: &VideoStream) -> Option<String> {
    let ours = (one.send_payload_type, one.receive_payload_type);
    let theirs = (other.send_payload_type, other.receive_payload_type);
    payload_type_fault("video", ours, theirs)
        .or_else(|| {
            let modes = (one.send_packetization_mode, other.send_packetization_mode);
            differ("packetization mode", &modes.0, &modes.1)
        })
        .or_else(|| direction_fault("video", one.direction, other.direction))
        .or_else(|| key_fault("video", one.srtp.as_ref(), other.srtp.as_ref()))
}

/// `ours` and `theirs` are each what an end sends with and what it receives.
fn payload_type_fault(
    medium: &str,
    ours: (PayloadType, PayloadType),
    theirs: (PayloadType, PayloadType),
) -> Option<String> {
    differ(
        &format!("{medium} payload types"),
        &ours,
        &(theirs.1, theirs.0),
    )
}

fn direction_fault(medium: &str, one: Direction, other: Direction) -> Option<String> {
    differ(&format!("{medium} direction"), &one, &other.reversed())
}

/// Says only that keys differ: a key is never printed.
fn key_fault(medium: &str, one: Option<&SrtpKeys>, other: Option<&SrtpKeys>) -> Option<String> {
    let mirrored = match (one, other) {
        (Some(one), Some(other)) => one.local == other.remote && one.remote == other.local,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    (!mirrored).then(|| format!("the {medium} keys are not each other's"))
}

fn differ<T: PartialEq + Debug>(what: &str, one: &T, other: &T) -> Option<String> {
    (one != other).then(|| format!("{what}: {one:?} at one end, {other:?} at the other"))
}
