//! Runs the simulated devices: asks them for frames at their pace and passes the frames to the
//! media graph. Real devices are streamed by media itself.
//!
//! The devices run only while the room has a leg with media, and the slides only while they are shown,
//! so that an idle box costs nothing.

use std::time::{Duration, Instant};

use hal_core::audio::{FRAME_DURATION, Loudspeaker, Microphone};
use hal_core::camera::Camera;
use media::{AudioFrame, DeviceStreams, VideoFrame};
use room::MediaPlan;
use room::units::Resolution;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Pictures that may wait for media; a device's own queue is as short.
const PICTURES: usize = 3;
/// 10 ms frames of sound that may wait.
const SOUNDS: usize = 8;

/// Which devices a media plan needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedDevices {
    /// Camera, microphone and loudspeaker: there is a leg.
    pub meeting: bool,
    /// The slides: a leg takes them now.
    pub slides: bool,
}

impl WantedDevices {
    /// What a plan needs.
    #[must_use]
    pub fn of(plan: &MediaPlan) -> Self {
        Self {
            meeting: !plan.legs.is_empty(),
            slides: plan.slides.rung.is_some(),
        }
    }
}

/// The devices that roomd runs itself.
#[derive(Default)]
pub struct SimulatedDevices {
    /// Takes the pictures, unless media does.
    pub camera: Option<Box<dyn Camera>>,
    /// Gives the slides, unless media does.
    pub slides: Option<Box<dyn Camera>>,
    /// Takes the sound, unless media does.
    pub microphone: Option<Box<dyn Microphone>>,
    /// Plays the sound, unless media does.
    pub loudspeaker: Option<Box<dyn Loudspeaker>>,
}

impl SimulatedDevices {
    /// Starts a task for each device. They run while they are wanted and end when media does.
    #[must_use]
    pub fn start(self, wanted: &watch::Receiver<WantedDevices>) -> (DeviceStreams, JoinSet<()>) {
        let mut tasks = JoinSet::new();
        let mut streams = DeviceStreams::default();
        if let Some(camera) = self.camera {
            let (frames, receiver) = mpsc::channel(PICTURES);
            streams.camera = Some(receiver);
            let interval = camera.frame_interval();
            tasks.spawn(pace(
                interval,
                wanted.clone(),
                |wanted| wanted.meeting,
                picture_source(camera, frames),
            ));
        }
        if let Some(slides) = self.slides {
            let (frames, receiver) = mpsc::channel(PICTURES);
            streams.slides = Some(receiver);
            let interval = slides.frame_interval();
            tasks.spawn(pace(
                interval,
                wanted.clone(),
                |wanted| wanted.slides,
                picture_source(slides, frames),
            ));
        }
        if let Some(microphone) = self.microphone {
            let (frames, receiver) = mpsc::channel(SOUNDS);
            streams.microphone = Some(receiver);
            tasks.spawn(pace(
                FRAME_DURATION,
                wanted.clone(),
                |wanted| wanted.meeting,
                sound_source(microphone, frames),
            ));
        }
        if let Some(loudspeaker) = self.loudspeaker {
            let (sender, frames) = mpsc::channel(SOUNDS);
            streams.loudspeaker = Some(sender);
            tasks.spawn(play(loudspeaker, frames));
        }
        (streams, tasks)
    }
}

/// Whether the consumer of a source is still there.
#[derive(PartialEq, Eq)]
enum Consumer {
    There,
    Gone,
}

/// Calls `source` at each interval while it is needed, until its consumer is gone.
async fn pace(
    interval: Duration,
    mut wanted: watch::Receiver<WantedDevices>,
    is_needed: fn(&WantedDevices) -> bool,
    mut source: impl FnMut(Instant) -> Consumer,
) {
    loop {
        if wanted.wait_for(is_needed).await.is_err() {
            return;
        }
        let mut ticks = tokio::time::interval(interval);
        // After a stall a device goes on in time; it does not deliver the past in a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while is_needed(&wanted.borrow()) {
            let tick = ticks.tick().await;
            if source(tick.into_std()) == Consumer::Gone {
                return;
            }
        }
    }
}

fn picture_source(
    mut camera: Box<dyn Camera>,
    frames: mpsc::Sender<VideoFrame>,
) -> impl FnMut(Instant) -> Consumer {
    move |_| {
        // A camera that does not answer sends nothing: media's watchdog reports it gone.
        let Ok(frame) = camera.frame(Instant::now()) else {
            return consumer(&frames);
        };
        let resolution = Resolution {
            width: frame.size.width as u32,
            height: frame.size.height as u32,
        };
        let frame = VideoFrame {
            captured: frame.captured,
            resolution,
            i420: frame.i420,
        };
        // A full queue loses the frame, as a driver's queue does.
        let _ = frames.try_send(frame);
        consumer(&frames)
    }
}

fn sound_source(
    mut microphone: Box<dyn Microphone>,
    frames: mpsc::Sender<AudioFrame>,
) -> impl FnMut(Instant) -> Consumer {
    move |_| {
        let Ok(frame) = microphone.frame(Instant::now()) else {
            return consumer(&frames);
        };
        let frame = AudioFrame {
            captured: frame.captured,
            samples: frame.samples,
        };
        // A full queue loses the frame, as a driver's queue does.
        let _ = frames.try_send(frame);
        consumer(&frames)
    }
}

fn consumer<T>(frames: &mpsc::Sender<T>) -> Consumer {
    if frames.is_closed() {
        Consumer::Gone
    } else {
        Consumer::There
    }
}

async fn play(mut loudspeaker: Box<dyn Loudspeaker>, mut frames: mpsc::Receiver<AudioFrame>) {
    while let Some(frame) = frames.recv().await {
        let frame = hal_core::audio::AudioFrame {
            captured: frame.captured,
            samples: frame.samples,
        };
        if let Err(error) = loudspeaker.play(&frame) {
            tracing::debug!(%error, "the simulated loudspeaker lost 10 ms");
        }
    }
}

#[cfg(test)]
mod tests {
    use hal_core::burnt_clock::BurntClock;
    use hal_core::camera::PictureSize;
    use hal_core::simulated::{SimulatedSlides, SlidesSettings};

    use super::*;

    fn slides() -> SimulatedSlides {
        SimulatedSlides::new(SlidesSettings {
            size: PictureSize {
                width: 640,
                height: 64,
            },
            frame_interval: Duration::from_millis(100),
            room_name: "Room".to_owned(),
            clock: BurntClock::new(Instant::now()),
        })
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn slides_are_drawn_only_while_they_are_shown() {
        let (wants, wanted) = watch::channel(WantedDevices::default());
        let devices = SimulatedDevices {
            slides: Some(Box::new(slides())),
            ..SimulatedDevices::default()
        };
        let (streams, _tasks) = devices.start(&wanted);
        let mut frames = streams.slides.unwrap();
        let second = Duration::from_secs(1);
        for idle in [false, true] {
            wants.send_replace(WantedDevices {
                meeting: idle,
                slides: false,
            });
            assert!(tokio::time::timeout(second, frames.recv()).await.is_err());
        }
        wants.send_replace(WantedDevices {
            meeting: true,
            slides: true,
        });
        let mut drawn = 0;
        let counting = async {
            while frames.recv().await.is_some() {
                drawn += 1;
            }
        };
        assert!(tokio::time::timeout(second, counting).await.is_err());
        assert!((9..=11).contains(&drawn), "{drawn} in a second");
    }
}
