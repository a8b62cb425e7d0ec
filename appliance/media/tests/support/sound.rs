//! A sound that never repeats within seconds and lies within the band of every codec.

use std::f64::consts::TAU;

const RATE: f64 = 48_000.0;

/// The 10 ms with this number.
pub(crate) fn frame(number: u64) -> [i16; 480] {
    std::array::from_fn(|n| sample(number * 480 + n as u64))
}

/// The sound repeats after this many seconds, phase included.
const PERIOD: f64 = 1.6;
/// Samples that are compared at a time.
const PART: usize = 9_600;

/// A tone that glides between 500 and 2,300 Hz.
fn sample(position: u64) -> i16 {
    let t = position as f64 / RATE;
    // The integral of the gliding frequency.
    let phase = 1_400.0 * t - 900.0 * PERIOD / TAU * (TAU * t / PERIOD).cos();
    ((TAU * phase).sin() * 9_000.0) as i16
}

/// How well what was heard correlates with what was sent: the best of several parts of 200 ms,
/// each with its own delay. Playout may change its delay within a part, and a machine that is
/// busy with other tests adds gaps; what arrives whole has to be right.
pub(crate) fn correlation(heard: &[i16]) -> f64 {
    let period = (PERIOD * RATE) as u64;
    let sent: Vec<f64> = (0..period + PART as u64)
        .map(|n| f64::from(sample(n)))
        .collect();
    let scores = heard
        .chunks_exact(PART)
        .step_by(2)
        .map(|part| best_score(&sent, part));
    scores.fold(0.0, f64::max)
}

fn best_score(sent: &[f64], part: &[i16]) -> f64 {
    let part: Vec<f64> = part.iter().map(|&sample| f64::from(sample)).collect();
    let last = sent.len() - part.len();
    let at = |from: usize, step: usize| score(&sent[from..], &part, step);
    let coarse: Vec<f64> = (0..last).step_by(4).map(|from| at(from, 97)).collect();
    let best = (0..coarse.len())
        .max_by(|&a, &b| coarse[a].total_cmp(&coarse[b]))
        .unwrap()
        * 4;
    (best.saturating_sub(6)..(best + 6).min(last))
        .map(|from| at(from, 1))
        .fold(0.0, f64::max)
}

fn score(sent: &[f64], part: &[f64], step: usize) -> f64 {
    let (mut cross, mut a, mut b) = (0.0, 1.0, 1.0);
    for (x, y) in sent.iter().zip(part).step_by(step) {
        cross += x * y;
        a += x * x;
        b += y * y;
    }
    cross / (a * b).sqrt()
}
