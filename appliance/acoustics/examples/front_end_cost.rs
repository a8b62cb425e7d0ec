//! Prints what a frame of each front end costs on this machine.
//!
//! `cargo run --release -p acoustics --example front_end_cost`

use std::time::Instant;

use acoustics::{FRAME_SAMPLES, Frame, FrontEnd, PassThrough, SonoraFrontEnd, SonoraSettings};

/// A minute of sound.
const FRAMES: u32 = 6_000;

fn main() {
    report("pass through", &mut PassThrough);
    report(
        "sonora",
        &mut SonoraFrontEnd::new(SonoraSettings::default()),
    );
}

fn report(name: &str, front_end: &mut dyn FrontEnd) {
    let mut out = [0.0; FRAME_SAMPLES];
    let mut before = [0.0; FRAME_SAMPLES];
    let started = Instant::now();
    for number in 0..FRAMES {
        let reference = noise(number);
        front_end.process(&[&before], &[&reference], &mut out);
        before = reference.map(|sample| sample * 0.5);
    }
    let frame = started.elapsed() / FRAMES;
    let core = frame.as_secs_f64() / 0.010;
    println!("{name}: {frame:?} a frame, {:.2} % of a core", core * 100.0);
}

/// A frame of noise that differs from its neighbours.
fn noise(number: u32) -> Frame {
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 * 0.2 - 0.1
    })
}
