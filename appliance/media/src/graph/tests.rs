//! What the graph does in the middle of a call: when an element fails, and when legs come and go.

mod sound;

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use room::codec::{
    Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode, VideoFeedback,
};
use room::ids::Generation;
use room::media_plan::{
    AudioSink, AudioSource, CameraPlan, CameraState, EncodeLadder, Layout, LegConnection, LegPlan,
    LegStreams, MicrophonePlan, MicrophoneState, PlayoutPlan, Rung, RungName, SlidesPlan,
    VideoSink, VideoSource, VideoStream,
};
use room::units::{Bitrate, FrameRate, Resolution, Volume};

use super::*;
use crate::datagram::{Channel, Datagram, Medium};
use crate::leg::LegHub;
use crate::video_encode::VideoEncode;

const LEG: LegId = LegId(1);
/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A room without devices that sends its slate on one leg.
fn plan() -> MediaPlan {
    let (resolution, frame_rate) = (Resolution::NHD360, FrameRate(30));
    let payload_type = PayloadType::new(97).unwrap();
    let video = VideoStream {
        send_packetization_mode: PacketizationMode::NonInterleaved,
        send_profile: ProfileLevelId::CONSTRAINED_BASELINE_31,
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        direction: Direction::SendRecv,
        max_bitrate: None,
        feedback: VideoFeedback::ALL,
        rtx: None,
        srtp: None,
        rtcp: RtcpMode::default(),
    };
    MediaPlan {
        generation: Generation(1),
        camera: CameraPlan {
            source: VideoSource::None,
            resolution,
            frame_rate,
            state: CameraState::On,
        },
        microphone: MicrophonePlan {
            source: AudioSource::None,
            state: MicrophoneState::Open,
        },
        ladder: EncodeLadder::one(Rung {
            resolution,
            frame_rate,
            bitrate: Bitrate::kbps(500),
            max_nal_unit: None,
        }),
        slides: SlidesPlan::NONE,
        legs: vec![LegPlan {
            id: LEG,
            rung: Some(RungName::High),
            streams: LegStreams {
                video: Some(video),
                ..LegStreams::default()
            },
            connection: LegConnection::Connected,
        }],
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

/// A graph that follows the plan, driven by the test in the media thread's place.
struct Rig {
    graph: Graph,
    inputs: Receiver<GraphInput>,
    events: mpsc::Receiver<MediaEvent>,
    outgoing: BTreeMap<LegId, mpsc::Receiver<Datagram>>,
    _runtime: tokio::runtime::Runtime,
}

/// The same room with slides, which it sends and takes on the same leg.
fn plan_with_slides() -> MediaPlan {
    let mut plan = plan();
    let streams = &mut plan.legs[0].streams;
    streams.slides = streams.video.clone().map(Box::new);
    plan.slides = SlidesPlan {
        rung: plan.ladder.high,
        ..SlidesPlan::NONE
    };
    plan
}

impl Rig {
    fn start() -> Self {
        Self::following(plan())
    }

    fn following(plan: MediaPlan) -> Self {
        gst::init().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let (inputs, queue) = GraphInputs::new();
        let (events, told) = mpsc::channel(1_024);
        let legs = OpenLegs::default();
        let mut open = |leg: &LegPlan| {
            let (to_network, outgoing) = mpsc::channel(4_096);
            let (control, _) = mpsc::channel(1);
            legs.insert(LegHub::new(leg.id, to_network, control, inputs.clone()));
            (leg.id, outgoing)
        };
        let outgoing = plan.legs.iter().map(&mut open).collect();
        let surroundings = GraphSurroundings {
            clock: MediaClock::start(),
            inputs,
            events,
            runtime: runtime.handle().clone(),
            plan: Arc::default(),
            legs,
            sent: ByRole::default(),
        };
        let devices = DeviceStreams::default();
        let encoders = Encoders::choose().unwrap();
        let mut graph = Graph::new(surroundings, MediaSettings::default(), devices, encoders);
        graph.plan = Some(plan);
        graph.follow_plan();
        Self {
            graph,
            inputs: queue,
            events: told,
            outgoing,
            _runtime: runtime,
        }
    }

    fn high_encode(&self) -> Option<&VideoEncode> {
        let mut encodes = self.graph.parts.video_captures.main.as_ref()?.encodes();
        let (_, encode) = encodes.find(|(name, _)| *name == RungName::High)?;
        Some(encode)
    }

    fn encoder(&self) -> Option<&'static str> {
        Some(self.high_encode()?.kind().factory())
    }

    /// Serves the graph until `seen` is.
    fn run_until(&mut self, what: &str, seen: impl Fn(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !seen(self) {
            assert!(Instant::now() < end, "{what} was not seen");
            if let Ok(input) = self.inputs.recv_timeout(Duration::from_millis(20)) {
                self.graph.handle(input);
            }
            self.graph.handle_timeout(Instant::now());
        }
    }

    /// Follows another plan.
    fn follow(&mut self, plan: MediaPlan) {
        self.graph.plan = Some(plan);
        self.graph.follow_plan();
    }

    fn sent(&mut self, leg: LegId) -> Option<Datagram> {
        self.outgoing.get_mut(&leg)?.try_recv().ok()
    }

    /// Serves the graph until a leg has sent a packet of this medium, made from now on.
    fn run_until_sent(&mut self, leg: LegId, medium: Medium) {
        while self.sent(leg).is_some() {}
        self.run_until("a packet", |rig| {
            rig.sent(leg)
                .is_some_and(|sent| sent.medium == medium && sent.channel == Channel::Rtp)
        });
    }

    fn run_until_a_picture_is_sent(&mut self) {
        self.run_until_sent(LEG, Medium::Video);
    }
}

#[test]
fn another_encoder_takes_over_when_one_fails_in_a_call() {
    let mut rig = Rig::start();
    rig.run_until_a_picture_is_sent();
    let first = rig.encoder().expect("an encoder");
    let failing = rig.high_encode().expect("an encode").encoder().clone();
    gst::element_error!(failing, gst::StreamError::Encode, ["the hardware is gone"]);
    rig.run_until("another encoder", |rig| {
        rig.encoder().is_some_and(|encoder| encoder != first)
    });
    rig.run_until_a_picture_is_sent();
    let mut faults = 0;
    while let Ok(event) = rig.events.try_recv() {
        faults += u32::from(matches!(event, MediaEvent::Fault { .. }));
    }
    assert_eq!(faults, 1, "the failure is told once");
}

#[test]
fn a_capture_that_hangs_is_built_again_with_its_encoder_and_only_then_with_another() {
    let mut rig = Rig::start();
    rig.run_until_a_picture_is_sent();
    let first = rig.encoder();
    let (id, now) = (rig.high_encode().expect("an encode").id(), Instant::now());
    assert_eq!(rig.graph.culprit(id, now), None);
    let again = rig.graph.culprit(id, now + Duration::from_secs(30));
    let named = again.and_then(|name| {
        let capture = rig.graph.parts.video_captures.main.as_ref()?;
        capture.encoder_named(id, &name)
    });
    assert_eq!(named.map(crate::encoder::EncoderKind::factory), first);
    let much_later = now + Duration::from_secs(3_600);
    assert_eq!(rig.graph.culprit(id, much_later), None);
}

#[test]
fn two_captures_that_hang_at_once_hang_for_the_first_time_both() {
    let mut rig = Rig::following(plan_with_slides());
    rig.run_until_a_picture_is_sent();
    let captures = &rig.graph.parts.video_captures;
    let encodes = captures.present().flat_map(VideoCapture::encodes);
    let ids: Vec<PipelineId> = encodes.map(|(_, encode)| encode.id()).collect();
    assert_eq!(ids.len(), 2);
    let now = Instant::now();
    for id in ids {
        assert_eq!(rig.graph.culprit(id, now), None);
    }
}

#[test]
fn slides_of_a_far_end_lie_on_the_screen_with_its_picture_while_the_plan_says_so() {
    let mut plan = plan_with_slides();
    let mut rig = Rig::following(plan.clone());
    let shown = |rig: &Rig| {
        let playout = rig.graph.parts.video_playout.as_ref().unwrap();
        let mut pictures: Vec<_> = playout.pictures().collect();
        pictures.sort_unstable();
        pictures
    };
    let both = VideoRole::ALL.map(|role| (LEG, role));
    for slides in [None, Some(LEG), None] {
        plan.playout.slides = slides;
        rig.follow(plan.clone());
        let expected = if slides.is_some() {
            &both[..]
        } else {
            &both[..1]
        };
        assert_eq!(shown(&rig), expected);
    }
}
