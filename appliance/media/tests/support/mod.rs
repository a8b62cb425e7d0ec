//! Rooms with simulated devices, and a network in memory between them.

#![allow(dead_code, reason = "every test binary uses a part of it")]

pub(crate) mod picture;
pub(crate) mod sound;
pub(crate) mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use media::{
    AudioFrame, DeviceStreams, LegDatagrams, Media, MediaEvent, MediaSettings, VideoFrame,
};
use room::codec::{
    AudioCodec, Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode,
    RtxPayloadTypes, SrtpKey, SrtpKeys, SrtpSuite, VideoFeedback,
};
use room::ids::{Generation, LegId};
use room::media_plan::{
    AudioSink, AudioSource, AudioStream, CameraPlan, CameraState, EncodeLadder, Layout,
    LegConnection, LegPlan, LegStreams, MediaPlan, MicrophonePlan, MicrophoneState, PlayoutPlan,
    Rung, RungName, SlidesPlan, VideoSink, VideoSource, VideoStream,
};
use room::units::{Bitrate, FrameRate, Resolution, Volume};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Nothing that these tests wait for takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The number that the first slide shows. The camera's frames begin at 0.
pub(crate) const FIRST_SLIDE: u32 = 30_000;

/// One room: the graph, its devices and what it told.
pub(crate) struct Room {
    pub(crate) media: Media,
    pub(crate) events: mpsc::Receiver<MediaEvent>,
    pub(crate) loudspeaker: mpsc::Receiver<AudioFrame>,
    pub(crate) plan: MediaPlan,
    /// While false the camera gives nothing, as one that hangs.
    pub(crate) camera_works: Arc<AtomicBool>,
    devices: Vec<JoinHandle<()>>,
}

impl Room {
    /// A room whose camera shows [`picture`]s and whose microphone hears [`sound`].
    pub(crate) fn start() -> Self {
        let (camera, frames) = mpsc::channel(2);
        let (projector, pages) = mpsc::channel(2);
        let (microphone, heard) = mpsc::channel(8);
        let (played, loudspeaker) = mpsc::channel(2_000);
        let devices = DeviceStreams {
            camera: Some(frames),
            slides: Some(pages),
            microphone: Some(heard),
            loudspeaker: Some(played),
        };
        let (media, events) = Media::start(MediaSettings::default(), devices).unwrap();
        let camera_works = Arc::new(AtomicBool::new(true));
        let devices = vec![
            tokio::spawn(film(camera, Arc::clone(&camera_works))),
            tokio::spawn(present(projector)),
            tokio::spawn(talk(microphone)),
        ];
        Self {
            media,
            events,
            loudspeaker,
            plan: idle_plan(),
            camera_works,
            devices,
        }
    }

    /// Opens a leg and plans it with these streams.
    pub(crate) fn open(&mut self, id: u32, streams: LegStreams) -> LegDatagrams {
        let datagrams = self.media.open_leg(LegId(id));
        self.plan.legs.push(LegPlan {
            id: LegId(id),
            rung: Some(RungName::High),
            streams,
            connection: LegConnection::Connected,
        });
        self.apply();
        datagrams
    }

    /// Applies the plan as it now is.
    pub(crate) fn apply(&mut self) {
        self.plan.generation = self.plan.generation.next();
        self.media.apply(self.plan.clone());
    }

    /// Waits for the first event that `wanted` takes, and gives what it makes of it.
    pub(crate) async fn wait_for<T>(
        &mut self,
        mut wanted: impl FnMut(&MediaEvent) -> Option<T>,
    ) -> T {
        let mut seen = Vec::new();
        let found = timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.expect("media has ended");
                if let Some(found) = wanted(&event) {
                    return found;
                }
                if !matches!(event, MediaEvent::Levels { .. }) {
                    seen.push(event);
                }
            }
        });
        found.await.unwrap_or_else(|_| {
            panic!(
                "not seen in time; instead: {:?}",
                &seen[seen.len().saturating_sub(4)..]
            )
        })
    }

    pub(crate) async fn wait_for_first_frame(&mut self, id: u32) {
        self.wait_for(|event| {
            matches!(event, MediaEvent::FirstFrame { leg } if *leg == LegId(id)).then_some(())
        })
        .await;
    }

    pub(crate) async fn wait_for_applied(&mut self) {
        let wanted = self.plan.generation;
        self.wait_for(|event| {
            matches!(event, MediaEvent::Applied { generation } if *generation == wanted)
                .then_some(())
        })
        .await;
    }

    /// What the loudspeaker plays from now on.
    pub(crate) async fn listen(&mut self, time: Duration) -> Vec<i16> {
        while self.loudspeaker.try_recv().is_ok() {}
        let frames = time.as_millis() as usize / 10;
        let mut heard = Vec::new();
        let all = timeout(PATIENCE, async {
            for _ in 0..frames {
                heard.extend(
                    self.loudspeaker
                        .recv()
                        .await
                        .expect("media has ended")
                        .samples,
                );
            }
        });
        all.await.expect("the loudspeaker is silent");
        heard
    }

    pub(crate) async fn shut_down(self) {
        for device in self.devices {
            device.abort();
        }
        self.media.shut_down().await.unwrap();
    }
}

/// Two rooms with a call between their legs 1.
pub(crate) async fn call(streams: LegStreams) -> (Room, Room) {
    call_with(streams, wire::Wire::default()).await
}

/// Two rooms with a call over this wire.
pub(crate) async fn call_with(streams: LegStreams, wire: wire::Wire) -> (Room, Room) {
    let (mut left, mut right) = (Room::start(), Room::start());
    right.plan.ladder = left.plan.ladder;
    let a = left.open(1, streams.clone());
    let b = right.open(1, mirrored(&streams));
    wire.join(a, b);
    (left, right)
}

/// The same streams seen from the other side.
pub(crate) fn mirrored(streams: &LegStreams) -> LegStreams {
    let swap = |keys: &Option<SrtpKeys>| {
        keys.clone().map(|keys| SrtpKeys {
            local: keys.remote,
            remote: keys.local,
        })
    };
    let mirrored_video = |video: &VideoStream| VideoStream {
        send_payload_type: video.receive_payload_type,
        receive_payload_type: video.send_payload_type,
        rtx: video.rtx.map(|rtx| RtxPayloadTypes {
            send: rtx.receive,
            receive: rtx.send,
        }),
        direction: video.direction.reversed(),
        srtp: swap(&video.srtp),
        ..video.clone()
    };
    LegStreams {
        audio: streams.audio.clone().map(|audio| AudioStream {
            send_payload_type: audio.receive_payload_type,
            receive_payload_type: audio.send_payload_type,
            send_telephone_event: audio.receive_telephone_event,
            receive_telephone_event: audio.send_telephone_event,
            direction: audio.direction.reversed(),
            srtp: swap(&audio.srtp),
            ..audio
        }),
        video: streams.video.as_ref().map(mirrored_video),
        slides: streams
            .slides
            .as_deref()
            .map(|slides| Box::new(mirrored_video(slides))),
    }
}

pub(crate) fn pt(value: u8) -> PayloadType {
    PayloadType::new(value).unwrap()
}

/// Sound with other payload types in each direction, as offer/answer may settle.
pub(crate) fn audio(codec: AudioCodec) -> AudioStream {
    let (send, receive) = match codec {
        AudioCodec::Opus => (111, 96),
        AudioCodec::G722 => (9, 9),
        AudioCodec::Pcmu => (0, 0),
        AudioCodec::Pcma => (8, 8),
    };
    AudioStream {
        codec,
        send_payload_type: pt(send),
        receive_payload_type: pt(receive),
        send_telephone_event: Some(pt(101)),
        receive_telephone_event: Some(pt(100)),
        max_bitrate: None,
        direction: Direction::SendRecv,
        generic_nack: false,
        srtp: None,
        rtcp: RtcpMode::default(),
    }
}

pub(crate) fn video(mode: PacketizationMode) -> VideoStream {
    VideoStream {
        send_packetization_mode: mode,
        send_profile: ProfileLevelId::CONSTRAINED_BASELINE_31,
        send_payload_type: pt(97),
        receive_payload_type: pt(102),
        direction: Direction::SendRecv,
        max_bitrate: None,
        feedback: VideoFeedback::ALL,
        rtx: None,
        srtp: None,
        rtcp: RtcpMode::default(),
    }
}

pub(crate) fn audio_and_video() -> LegStreams {
    LegStreams {
        audio: Some(audio(AudioCodec::Opus)),
        video: Some(video(PacketizationMode::NonInterleaved)),
        slides: None,
    }
}

pub(crate) fn only_video(stream: VideoStream) -> LegStreams {
    LegStreams {
        video: Some(stream),
        ..LegStreams::default()
    }
}

pub(crate) fn only_audio(stream: AudioStream) -> LegStreams {
    LegStreams {
        audio: Some(stream),
        ..LegStreams::default()
    }
}

/// Keys that differ in every stream and direction.
pub(crate) fn keys(suite: SrtpSuite, seed: u8) -> SrtpKeys {
    let key = |salt: u8| {
        SrtpKey::generate(suite, |bytes| {
            for (n, byte) in bytes.iter_mut().enumerate() {
                *byte = seed.wrapping_mul(31) ^ salt ^ (n as u8).wrapping_mul(7);
            }
        })
    };
    SrtpKeys {
        local: key(1),
        remote: key(2),
    }
}

pub(crate) fn rung() -> Rung {
    Rung {
        resolution: Resolution::NHD360,
        frame_rate: FrameRate(30),
        bitrate: Bitrate::kbps(800),
        max_nal_unit: None,
    }
}

pub(crate) fn idle_plan() -> MediaPlan {
    MediaPlan {
        generation: Generation(0),
        camera: CameraPlan {
            source: VideoSource::Simulated,
            resolution: Resolution::NHD360,
            frame_rate: FrameRate(30),
            state: CameraState::On,
        },
        microphone: MicrophonePlan {
            source: AudioSource::Simulated,
            state: MicrophoneState::Open,
        },
        ladder: EncodeLadder::one(rung()),
        slides: SlidesPlan::NONE,
        legs: Vec::new(),
        layout: Layout::Single,
        playout: PlayoutPlan {
            video: VideoSink::None,
            audio: AudioSink::Simulated,
            volume: Volume::FULL,
            tone: None,
            slides: None,
        },
    }
}

async fn film(frames: mpsc::Sender<VideoFrame>, works: Arc<AtomicBool>) {
    let mut pace = interval(Duration::from_nanos(33_333_333));
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 0.. {
        pace.tick().await;
        if frames.is_closed() {
            return;
        }
        if !works.load(Ordering::Relaxed) {
            continue;
        }
        // Full while no leg wants pictures.
        let _ = frames.try_send(picture::frame(number, Instant::now()));
    }
}

/// Slides at 10 frames a second, numbered from [`FIRST_SLIDE`].
async fn present(frames: mpsc::Sender<VideoFrame>) {
    let mut pace = interval(Duration::from_millis(100));
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in FIRST_SLIDE.. {
        pace.tick().await;
        if frames.is_closed() {
            return;
        }
        // Full while no leg wants slides.
        let _ = frames.try_send(picture::frame(number, Instant::now()));
    }
}

async fn talk(frames: mpsc::Sender<AudioFrame>) {
    let mut pace = interval(Duration::from_millis(10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0.. {
        pace.tick().await;
        if frames.is_closed() {
            return;
        }
        let captured = Instant::now();
        let _ = frames.try_send(AudioFrame {
            captured,
            samples: sound::frame(number),
        });
    }
}
