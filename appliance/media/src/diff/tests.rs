//! Tables and properties of the diff.

use std::path::PathBuf;

use proptest::prelude::*;
use room::codec::{
    AudioCodec, Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode, VideoFeedback,
};
use room::ids::Generation;
use room::media_plan::{
    AudioStream, CameraPlan, EncodeLadder, Layout, LegConnection, LegPlan, LegStreams, MediaPlan,
    MicrophonePlan, PlayoutPlan, Rung, SlidesPlan, VideoSink, VideoSource, VideoStream,
};
use room::units::{FrameRate, Resolution};

use super::*;
use crate::by_role::ByRole;

const PT: PayloadType = PayloadType::new(96).unwrap();

fn audio(codec: AudioCodec, direction: Direction) -> AudioStream {
    AudioStream {
        codec,
        send_payload_type: PT,
        receive_payload_type: PT,
        send_telephone_event: None,
        receive_telephone_event: None,
        max_bitrate: None,
        direction,
        generic_nack: false,
        srtp: None,
        rtcp: RtcpMode::default(),
    }
}

fn video(mode: PacketizationMode, direction: Direction, most: Option<Bitrate>) -> VideoStream {
    VideoStream {
        send_packetization_mode: mode,
        send_profile: ProfileLevelId::CONSTRAINED_BASELINE_31,
        send_payload_type: PT,
        receive_payload_type: PT,
        direction,
        max_bitrate: most,
        feedback: VideoFeedback::ALL,
        rtx: None,
        srtp: None,
        rtcp: RtcpMode::default(),
    }
}

fn rung(resolution: Resolution, kbps: u64) -> Rung {
    let bitrate = Bitrate::kbps(kbps);
    Rung {
        resolution,
        frame_rate: FrameRate(30),
        bitrate,
        max_nal_unit: Some(1_100),
    }
}

fn plan(legs: Vec<LegPlan>) -> MediaPlan {
    MediaPlan {
        generation: Generation(1),
        camera: CameraPlan {
            source: VideoSource::Simulated,
            resolution: Resolution::HD720,
            frame_rate: FrameRate(30),
            state: CameraState::On,
        },
        microphone: MicrophonePlan {
            source: AudioSource::Simulated,
            state: MicrophoneState::Open,
        },
        ladder: EncodeLadder::one(rung(Resolution::HD720, 1_500)),
        slides: SlidesPlan::NONE,
        legs,
        layout: Layout::Single,
        playout: PlayoutPlan {
            video: VideoSink::None,
            audio: AudioSink::None,
            volume: Volume::FULL,
            tone: None,
            slides: None,
        },
    }
}

fn leg(id: u32) -> LegPlan {
    LegPlan {
        id: LegId(id),
        rung: Some(RungName::High),
        streams: LegStreams {
            audio: Some(audio(AudioCodec::Opus, Direction::SendRecv)),
            video: Some(video(
                PacketizationMode::NonInterleaved,
                Direction::SendRecv,
                None,
            )),
            slides: None,
        },
        connection: LegConnection::Connected,
    }
}

fn changes(before: &MediaPlan, after: &MediaPlan) -> Vec<GraphChange> {
    diff(&GraphShape::wanted(before), &GraphShape::wanted(after))
}

#[test]
fn a_tone_needs_the_loudspeaker_and_nothing_else() {
    let idle = plan(Vec::new());
    let mut ringing = idle.clone();
    ringing.playout.tone = Some(Tone::Ringing);
    let started = [
        GraphChange::StartAudioPlayout(AudioSink::None),
        GraphChange::SetTone(Some(Tone::Ringing)),
    ];
    assert_eq!(changes(&idle, &ringing), started);
    let stopped = [GraphChange::StopAudioPlayout, GraphChange::SetTone(None)];
    assert_eq!(changes(&ringing, &idle), stopped);
    // The loudspeaker goes on with the call's sound.
    let answered = changes(&ringing, &plan(vec![leg(1)]));
    assert!(!answered.contains(&GraphChange::StopAudioPlayout));
    assert!(answered.contains(&GraphChange::SetTone(None)));
}

#[test]
fn a_leg_whose_far_end_is_not_reached_yet_is_made_ready_and_not_shown() {
    let idle = plan(Vec::new());
    let mut connecting = leg(1);
    connecting.connection = LegConnection::Connecting;
    let connecting = plan(vec![connecting]);
    let before = changes(&idle, &connecting);
    let is_shown = |change: &GraphChange| matches!(change, GraphChange::StartVideoPlayout(_));
    let is_made = |change: &GraphChange| matches!(change, GraphChange::AddLeg(LegId(1), _));
    assert!(before.iter().any(is_made) && !before.iter().any(is_shown));
    // Then it has nothing more to wait for.
    let after = changes(&connecting, &plan(vec![leg(1)]));
    assert!(matches!(
        after.as_slice(),
        [GraphChange::StartVideoPlayout(_)]
    ));
}

#[test]
fn an_idle_room_captures_and_plays_nothing() {
    let shape = GraphShape::wanted(&plan(Vec::new()));
    assert!(shape.video_captures == ByRole::default() && shape.audio_capture.is_none());
    assert!(shape.video_playout.is_none() && shape.audio_playout.is_none());
}

#[test]
fn a_mute_comes_before_every_other_change() {
    let mut after = plan(vec![leg(1), leg(2)]);
    after.microphone.state = MicrophoneState::Muted;
    let changes = changes(&plan(vec![leg(1)]), &after);
    assert_eq!(
        changes[0],
        GraphChange::SetMicrophone(MicrophoneState::Muted)
    );
    assert!(changes.len() > 1);
}

#[test]
fn a_new_bitrate_changes_the_running_encoder() {
    let mut after = plan(vec![leg(1)]);
    after.ladder = EncodeLadder::one(rung(Resolution::HD720, 700));
    let expected = GraphChange::SetBitrate {
        role: VideoRole::Main,
        name: RungName::High,
        bitrate: Bitrate::kbps(700),
    };
    assert_eq!(changes(&plan(vec![leg(1)]), &after), [expected]);
}

#[test]
fn another_resolution_builds_the_encode_anew_and_leaves_the_source_and_the_legs() {
    let mut after = plan(vec![leg(1)]);
    after.ladder = EncodeLadder::one(rung(Resolution::NHD360, 1_500));
    let changes = changes(&plan(vec![leg(1)]), &after);
    let names: Vec<_> = changes.iter().map(kind).collect();
    assert_eq!(names, ["retire high", "start high"]);
}

#[test]
fn a_leg_that_moves_to_the_low_rung_leaves_the_high_one_as_it_is() {
    let before = plan(vec![leg(1), leg(2)]);
    let mut after = before.clone();
    after.legs[1].rung = Some(RungName::Low);
    after.ladder.low = Some(rung(Resolution::NHD360, 300));
    let names = |before, after| -> Vec<_> { changes(before, after).iter().map(kind).collect() };
    assert_eq!(names(&before, &after), ["start low", "rung of 2"]);
    assert_eq!(names(&after, &before), ["retire low", "rung of 2"]);
    // Alone, it takes the only encode that there is.
    let before = plan(vec![leg(1)]);
    let mut after = before.clone();
    after.legs[0].rung = Some(RungName::Low);
    after.ladder.low = after.ladder.high.take();
    let moved = ["retire high", "start low", "rung of 1"];
    assert_eq!(names(&before, &after), moved);
}

#[test]
fn a_hold_only_changes_directions_and_what_is_shown() {
    let mut after = plan(vec![leg(1), leg(2)]);
    let streams = &mut after.legs[1].streams;
    streams.audio.as_mut().unwrap().direction = Direction::Inactive;
    streams.video.as_mut().unwrap().direction = Direction::Inactive;
    let changes = changes(&plan(vec![leg(1), leg(2)]), &after);
    let names: Vec<_> = changes.iter().map(kind).collect();
    assert_eq!(names, ["directions of 2", "rung of 2"]);
}

#[test]
fn slides_that_begin_and_end_leave_the_camera_alone() {
    let mut silent = leg(1);
    let slides = video(PacketizationMode::NonInterleaved, Direction::RecvOnly, None);
    silent.streams.slides = Some(Box::new(slides));
    let before = plan(vec![silent.clone(), leg(2)]);
    let mut showing = silent;
    showing.streams.slides.as_mut().unwrap().direction = Direction::SendRecv;
    let mut after = plan(vec![showing, leg(2)]);
    after.slides.source = VideoSource::Simulated;
    after.slides.rung = Some(rung(Resolution::HD720, 900));
    let names = |before, after| -> Vec<_> { changes(before, after).iter().map(kind).collect() };
    let begun = ["start slides", "directions of 1", "slides of 1"];
    assert_eq!(names(&before, &after), begun);
    let ended = ["stop slides", "directions of 1", "slides of 1"];
    assert_eq!(names(&after, &before), ended);
}

#[test]
fn slides_of_a_far_end_change_what_is_shown_and_nothing_else() {
    let mut presenter = leg(1);
    let slides = video(PacketizationMode::NonInterleaved, Direction::RecvOnly, None);
    presenter.streams.slides = Some(Box::new(slides));
    let before = plan(vec![presenter]);
    let mut after = before.clone();
    after.playout.slides = Some(LegId(1));
    let names: Vec<_> = changes(&before, &after).iter().map(kind).collect();
    assert_eq!(names, ["stop video playout", "start video playout"]);
    // A leg that takes no slides shows none.
    after.playout.slides = Some(LegId(2));
    assert_eq!(changes(&before, &after), []);
}

#[test]
fn new_keys_or_codecs_build_that_leg_anew() {
    let mut after = plan(vec![leg(1), leg(2)]);
    after.legs[0].streams.audio = Some(audio(AudioCodec::Pcma, Direction::SendRecv));
    let changes = changes(&plan(vec![leg(1), leg(2)]), &after);
    let names: Vec<_> = changes.iter().map(kind).collect();
    assert_eq!(names, ["remove 1", "add 1"]);
}

#[test]
fn each_leg_takes_the_rung_that_the_plan_names_while_it_sends_and_the_rung_is_there() {
    let rung_of = |leg: LegPlan| {
        let mut plan = plan(vec![leg]);
        plan.ladder.low = Some(rung(Resolution::NHD360, 300));
        GraphShape::wanted(&plan).legs[&LegId(1)].rungs.main
    };
    for name in RungName::ALL {
        let mut leg = leg(1);
        leg.rung = Some(name);
        assert_eq!(rung_of(leg), Some(name));
    }
    let mut low = leg(1);
    low.rung = Some(RungName::Low);
    assert_eq!(
        GraphShape::wanted(&plan(vec![low])).legs[&LegId(1)]
            .rungs
            .main,
        None
    );
    let mut silent = leg(1);
    silent.streams.video.as_mut().unwrap().direction = Direction::RecvOnly;
    assert_eq!(rung_of(silent), None);
}

#[test]
fn single_nal_unit_mode_takes_only_a_rung_with_small_nal_units() {
    let mut single = leg(1);
    single
        .streams
        .video
        .as_mut()
        .unwrap()
        .send_packetization_mode = PacketizationMode::SingleNalUnit;
    let mut plan = plan(vec![single]);
    assert_eq!(
        GraphShape::wanted(&plan).legs[&LegId(1)].rungs.main,
        Some(RungName::High)
    );
    plan.ladder.high.as_mut().unwrap().max_nal_unit = None;
    assert_eq!(GraphShape::wanted(&plan).legs[&LegId(1)].rungs.main, None);
}

/// A change in words, without its data.
fn kind(change: &GraphChange) -> String {
    match change {
        GraphChange::SetMicrophone(_) => "microphone".to_owned(),
        GraphChange::SetCamera(_) => "camera".to_owned(),
        GraphChange::RemoveLeg(leg) => format!("remove {leg}"),
        GraphChange::StopVideoCapture(VideoRole::Main) => "stop video capture".to_owned(),
        GraphChange::StopVideoCapture(VideoRole::Slides) => "stop slides".to_owned(),
        GraphChange::StopAudioCapture => "stop audio capture".to_owned(),
        GraphChange::StopVideoPlayout => "stop video playout".to_owned(),
        GraphChange::StopAudioPlayout => "stop audio playout".to_owned(),
        GraphChange::StartVideoCapture(VideoRole::Main, _) => "start video capture".to_owned(),
        GraphChange::StartVideoCapture(VideoRole::Slides, _) => "start slides".to_owned(),
        GraphChange::StartAudioCapture(_) => "start audio capture".to_owned(),
        GraphChange::StartAudioPlayout(_) => "start audio playout".to_owned(),
        GraphChange::StartVideoPlayout(_) => "start video playout".to_owned(),
        GraphChange::SetBitrate { name, .. } => format!("bitrate of {}", name.name()),
        GraphChange::StartEncode { name, .. } => format!("start {}", name.name()),
        GraphChange::RetireEncode { name, .. } => format!("retire {}", name.name()),
        GraphChange::SetVolume(_) => "volume".to_owned(),
        GraphChange::SetTone(_) => "tone".to_owned(),
        GraphChange::AddLeg(leg, _) => format!("add {leg}"),
        GraphChange::SetLegDirections(leg, _) => format!("directions of {leg}"),
        GraphChange::SetLegRung {
            leg,
            role: VideoRole::Main,
            ..
        } => format!("rung of {leg}"),
        GraphChange::SetLegRung { leg, .. } => format!("slides of {leg}"),
    }
}

fn any_direction() -> impl Strategy<Value = Direction> {
    prop_oneof![
        Just(Direction::SendRecv),
        Just(Direction::SendOnly),
        Just(Direction::RecvOnly),
        Just(Direction::Inactive),
    ]
}

fn any_leg(id: u32) -> impl Strategy<Value = LegPlan> {
    let codec = prop_oneof![Just(AudioCodec::Opus), Just(AudioCodec::Pcma)];
    let mode = prop_oneof![
        Just(PacketizationMode::NonInterleaved),
        Just(PacketizationMode::SingleNalUnit),
    ];
    let most = prop::option::of((50_u64..2_000).prop_map(Bitrate::kbps));
    let audio_stream = prop::option::of((codec, any_direction()).prop_map(|(c, d)| audio(c, d)));
    let picture = (mode, any_direction(), most).prop_map(|(m, d, b)| video(m, d, b));
    let picture = prop::option::of(picture.boxed());
    let streams = (audio_stream, picture.clone(), picture);
    let rung = prop::option::of(prop_oneof![Just(RungName::High), Just(RungName::Low)]);
    let connection = prop_oneof![
        Just(LegConnection::Connecting),
        Just(LegConnection::Connected)
    ];
    let parts = (streams, rung, connection);
    parts.prop_map(move |((audio, video, slides), rung, connection)| LegPlan {
        id: LegId(id),
        rung,
        streams: LegStreams {
            audio,
            video,
            slides: slides.map(Box::new),
        },
        connection,
    })
}

fn any_legs() -> impl Strategy<Value = Vec<LegPlan>> {
    let maybe = |id| prop::option::of(any_leg(id));
    (maybe(1), maybe(2), maybe(3)).prop_map(|(a, b, c)| [a, b, c].into_iter().flatten().collect())
}

fn any_plan() -> impl Strategy<Value = MediaPlan> {
    let layout = prop_oneof![
        Just(Layout::Single),
        Just(Layout::Grid),
        Just(Layout::PictureInPicture)
    ];
    let source = prop_oneof![
        Just(VideoSource::Simulated),
        Just(VideoSource::None),
        Just(VideoSource::File(PathBuf::from("room.mp4"))),
    ];
    let sound = prop_oneof![Just(AudioSource::Simulated), Just(AudioSource::None)];
    let sink = prop_oneof![Just(AudioSink::None), Just(AudioSink::Simulated)];
    let rungs = prop::collection::vec(
        (any::<bool>(), 100_u64..2_000, any::<bool>()).prop_map(|(small, kbps, cut)| {
            let size = if small {
                Resolution::NHD360
            } else {
                Resolution::HD720
            };
            let max_nal_unit = cut.then_some(1_100);
            Rung {
                max_nal_unit,
                ..rung(size, kbps)
            }
        }),
        0..3,
    );
    let rungs = rungs.prop_map(|rungs| EncodeLadder {
        high: rungs.first().copied(),
        low: rungs.get(1).copied(),
    });
    let tone = prop::option::of(prop_oneof![
        Just(Tone::Ringing),
        Just(Tone::CallWaiting),
        Just(Tone::Ringback),
    ]);
    let slides = prop::option::of((500_u64..1_500).prop_map(|kbps| rung(Resolution::HD720, kbps)));
    let shown = prop::option::of((1_u32..4).prop_map(LegId));
    let toggles = (
        any::<bool>(),
        any::<bool>(),
        0_u8..=100,
        tone,
        slides,
        shown,
    );
    (any_legs(), layout, source, sound, sink, rungs, toggles).prop_map(
        |(legs, layout, source, sound, sink, ladder, toggles)| {
            let (camera, microphone, volume, tone, slides, shown) = toggles;
            let mut plan = plan(legs);
            plan.slides.source = source.clone();
            plan.slides.rung = slides;
            plan.playout.slides = shown;
            plan.layout = layout;
            plan.camera.source = source;
            plan.camera.state = if camera {
                CameraState::On
            } else {
                CameraState::Off
            };
            plan.microphone.source = sound;
            plan.microphone.state = if microphone {
                MicrophoneState::Open
            } else {
                MicrophoneState::Muted
            };
            plan.ladder = ladder;
            plan.playout.audio = sink;
            plan.playout.volume = Volume::percent(volume).unwrap();
            plan.playout.tone = tone;
            plan
        },
    )
}

proptest! {
    #[test]
    fn carrying_the_changes_out_always_gives_the_wanted_graph(
        plans in prop::collection::vec(any_plan(), 1..6),
    ) {
        let mut shape = GraphShape::empty();
        for plan in &plans {
            let wanted = GraphShape::wanted(plan);
            for change in diff(&shape, &wanted) {
                shape.follow(&change);
            }
            // `max_bitrate` alone changes nothing that is built.
            prop_assert_eq!(diff(&shape, &wanted), []);
            prop_assert_eq!(&shape.video_captures, &wanted.video_captures);
            prop_assert_eq!(&shape.audio_capture, &wanted.audio_capture);
            prop_assert_eq!(&shape.video_playout, &wanted.video_playout);
            prop_assert_eq!(&shape.audio_playout, &wanted.audio_playout);
            prop_assert_eq!(
                (shape.camera, shape.microphone, shape.volume, shape.tone),
                (wanted.camera, wanted.microphone, wanted.volume, wanted.tone)
            );
            prop_assert!(shape.legs.keys().eq(wanted.legs.keys()));
        }
    }

    #[test]
    fn equal_plans_need_no_change(plan in any_plan()) {
        prop_assert_eq!(changes(&plan, &plan), []);
    }

    #[test]
    fn a_change_of_one_leg_leaves_the_others_and_the_capture_alone(
        plan in any_plan(),
        other in any_leg(9),
        changed in any_leg(9),
    ) {
        // A leg that stays keeps the capture wanted, before and after.
        let mut before = plan;
        before.ladder = EncodeLadder {
            high: Some(rung(Resolution::HD720, 1_500)),
            low: Some(rung(Resolution::NHD360, 300)),
        };
        before.legs.retain(|leg| leg.id != LegId(1));
        before.legs.insert(0, leg(1));
        let mut after = before.clone();
        before.legs.push(other);
        after.legs.push(changed);
        for change in changes(&before, &after) {
            match change {
                GraphChange::RemoveLeg(leg)
                | GraphChange::AddLeg(leg, _)
                | GraphChange::SetLegDirections(leg, _)
                | GraphChange::SetLegRung { leg, .. } => prop_assert_eq!(leg, LegId(9)),
                GraphChange::StopVideoPlayout
                | GraphChange::StartVideoPlayout(_)
                // Perhaps nobody else takes slides.
                | GraphChange::StopVideoCapture(VideoRole::Slides)
                | GraphChange::StartVideoCapture(VideoRole::Slides, _) => {}
                GraphChange::SetMicrophone(_)
                | GraphChange::SetCamera(_)
                | GraphChange::StopVideoCapture(VideoRole::Main)
                | GraphChange::StopAudioCapture
                | GraphChange::StopAudioPlayout
                | GraphChange::StartVideoCapture(VideoRole::Main, _)
                | GraphChange::StartAudioCapture(_)
                | GraphChange::StartAudioPlayout(_)
                | GraphChange::SetBitrate { .. }
                | GraphChange::StartEncode { .. }
                | GraphChange::RetireEncode { .. }
                | GraphChange::SetVolume(_)
                | GraphChange::SetTone(_) => {
                    prop_assert!(false, "{:?}", change);
                }
            }
        }
    }
}
