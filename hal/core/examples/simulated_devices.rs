//! Prints what simulated pictures and sound cost on this machine, and saves a picture to look at.
//!
//! `cargo run --release -p hal-core --example simulated_devices -- room.i420`
//!
//! The file is one raw picture, 1280x720 I420.

use std::time::{Duration, Instant};

use hal_core::audio::Microphone;
use hal_core::burnt_clock::BurntClock;
use hal_core::camera::{Camera, PictureSize};
use hal_core::simulated::{CameraSettings, SimulatedCamera, SimulatedMicrophone, SoundSource};

/// A minute at 30 pictures a second.
const PICTURES: u32 = 1_800;
/// A minute of 10 ms.
const SOUNDS: u32 = 6_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zero = Instant::now();
    let mut camera = SimulatedCamera::new(CameraSettings {
        size: PictureSize::HD720,
        frame_interval: Duration::from_secs(1) / 30,
        room_name: "Room 1".to_owned(),
        clock: BurntClock::new(zero),
    })?;
    let picture = average(PICTURES, |i| {
        camera.frame(zero + camera.frame_interval() * i).map(drop)
    })?;
    println!("a picture of {}: {picture:?}", camera.size());

    let mut microphone = SimulatedMicrophone::new(SoundSource::Voice { seed: 1 });
    let sound = average(SOUNDS, |_| microphone.frame(zero).map(drop))?;
    println!("10 ms of voice: {sound:?}");

    if let Some(path) = std::env::args_os().nth(1) {
        std::fs::write(
            &path,
            &camera.frame(zero + Duration::from_millis(5_432_100))?.i420,
        )?;
    }
    Ok(())
}

/// The mean time of one call.
fn average<E>(calls: u32, mut call: impl FnMut(u32) -> Result<(), E>) -> Result<Duration, E> {
    let started = Instant::now();
    for i in 0..calls {
        call(i)?;
    }
    Ok(started.elapsed() / calls)
}
