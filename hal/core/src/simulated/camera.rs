//! A camera that looks at a drawn meeting room with a clock burnt into the picture.

use std::time::{Duration, Instant};

use super::Condition;
use super::canvas::check_size;
use super::picture_pool::PicturePool;
use super::scene::Scene;
use super::shared::Shared;
use crate::burnt_clock::{self, BurntClock};
use crate::camera::{Camera, PictureSize, VideoFrame};
use crate::error::{DeviceError, DeviceKind};

/// What a simulated camera delivers.
#[derive(Clone, Debug)]
pub struct CameraSettings {
    /// Both sides even and the width a multiple of 8, so that no plane needs padding; at least 640
    /// wide, as the burnt-in clock is, and 64 high; at most 4096.
    pub size: PictureSize,
    /// The time from one picture to the next.
    pub frame_interval: Duration,
    /// Shown on the room's wall screen: its first 12 characters.
    pub room_name: String,
    /// Counts what is burnt into the picture and shown as the time on the wall screen.
    pub clock: BurntClock,
}

/// A moving scene. See the module's documentation.
#[derive(Clone)]
pub struct SimulatedCamera {
    size: PictureSize,
    frame_interval: Duration,
    state: Shared<CameraState>,
}

struct CameraState {
    clock: BurntClock,
    scene: Scene,
    pool: PicturePool,
    condition: Condition,
}

impl SimulatedCamera {
    /// A working camera.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`].
    pub fn new(settings: CameraSettings) -> Result<Self, DeviceError> {
        let CameraSettings {
            size,
            frame_interval,
            room_name,
            clock,
        } = settings;
        check_size(size, DeviceKind::Camera)?;
        Ok(Self {
            size,
            frame_interval,
            state: Shared::new(CameraState {
                clock,
                scene: Scene::new(size, &room_name),
                pool: PicturePool::default(),
                condition: Condition::Working,
            }),
        })
    }

    /// Unplugs the camera, makes it stall, or lets it work again.
    pub fn set_condition(&self, condition: Condition) {
        self.state.lock().condition = condition;
    }
}

impl CameraState {
    fn frame(&mut self, now: Instant) -> Result<VideoFrame, DeviceError> {
        self.condition.check(DeviceKind::Camera)?;
        let size = self.scene.size();
        let mut picture = self.pool.copy_of(self.scene.background());
        self.scene
            .draw_moving(&mut picture, self.clock.elapsed(now));
        let luma = &mut picture[..size.luma_bytes()];
        let burnt = burnt_clock::write(luma, size.width, self.clock.stamp(now));
        debug_assert!(burnt, "check_size leaves room for the clock");
        let i420 = picture.freeze();
        self.pool.keep_for_reuse(&i420);
        Ok(VideoFrame {
            captured: now,
            size,
            i420,
        })
    }
}

impl Camera for SimulatedCamera {
    fn size(&self) -> PictureSize {
        self.size
    }

    fn frame_interval(&self) -> Duration {
        self.frame_interval
    }

    fn frame(&mut self, now: Instant) -> Result<VideoFrame, DeviceError> {
        self.state.lock().frame(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(size: PictureSize, zero: Instant) -> SimulatedCamera {
        SimulatedCamera::new(CameraSettings {
            size,
            frame_interval: Duration::from_secs(1) / 30,
            room_name: "Room 1".to_owned(),
            clock: BurntClock::new(zero),
        })
        .unwrap()
    }

    #[test]
    fn each_picture_carries_the_moment_at_which_it_was_taken() {
        let zero = Instant::now();
        for size in [
            PictureSize::HD720,
            PictureSize {
                width: 640,
                height: 360,
            },
        ] {
            let mut camera = camera(size, zero);
            for milliseconds in [0, 33, 66, 86_400_000] {
                let now = zero + Duration::from_millis(milliseconds);
                let frame = camera.frame(now).unwrap();
                assert_eq!(frame.i420.len(), size.i420_bytes());
                let stamp = burnt_clock::read(&frame.i420, size.width).unwrap();
                assert_eq!(BurntClock::new(zero).age(stamp, now), Duration::ZERO);
            }
        }
    }

    #[test]
    fn the_scene_moves_from_picture_to_picture_and_repeats_from_the_same_moment() {
        let zero = Instant::now();
        let later = zero + Duration::from_millis(33);
        let mut camera = camera(PictureSize::HD720, zero);
        let first = camera.frame(zero).unwrap().i420;
        let second = camera.frame(later).unwrap().i420;
        let below_clock = PictureSize::HD720.width * burnt_clock::BLOCK;
        assert!(first[below_clock..] != second[below_clock..]);
        assert!(camera.frame(zero).unwrap().i420 == first);
    }

    #[test]
    fn a_picture_that_somebody_holds_is_never_drawn_over() {
        let zero = Instant::now();
        let mut camera = camera(PictureSize::HD720, zero);
        let held = camera.frame(zero).unwrap().i420;
        let copy = held.to_vec();
        for i in 1..40 {
            camera.frame(zero + Duration::from_millis(33 * i)).unwrap();
        }
        assert!(held == copy);
    }

    #[test]
    fn an_unplugged_camera_is_back_as_soon_as_it_is_plugged_in() {
        let zero = Instant::now();
        let mut camera = camera(PictureSize::HD720, zero);
        let simulator = camera.clone();
        simulator.set_condition(Condition::Unplugged);
        assert_eq!(
            camera.frame(zero).unwrap_err(),
            DeviceError::Gone(DeviceKind::Camera)
        );
        simulator.set_condition(Condition::Stalled);
        assert_eq!(
            camera.frame(zero).unwrap_err(),
            DeviceError::Stalled(DeviceKind::Camera)
        );
        simulator.set_condition(Condition::Working);
        assert!(camera.frame(zero).is_ok());
    }

    #[test]
    fn sizes_that_cannot_be_drawn_are_refused() {
        for (width, height) in [(1276, 720), (1280, 719), (320, 180), (640, 32), (8192, 720)] {
            let result = SimulatedCamera::new(CameraSettings {
                size: PictureSize { width, height },
                frame_interval: Duration::from_millis(33),
                room_name: String::new(),
                clock: BurntClock::new(Instant::now()),
            });
            assert!(result.is_err(), "{width}x{height}");
        }
    }
}
