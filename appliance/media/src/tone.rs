//! The tones of calls that are not answered yet, as samples.
//!
//! A tone is a cadence: notes and pauses that come again and again. What the far end's ringing
//! sounds like is that of most of the world's telephone networks (425 Hz, ITU-T E.180); the room's
//! own ringing is a chime, so that people tell the two apart without looking.

use std::f32::consts::TAU;
use std::time::Duration;

use room::media_plan::Tone;

use crate::device::SAMPLE_RATE_HZ;

/// Rise and fall of a note: without them its edges click.
const RAMP: Duration = Duration::from_millis(8);

/// A part of a cadence.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Note {
        hz: f32,
        /// Of full scale.
        amplitude: f32,
        time: Duration,
    },
    Pause(Duration),
}

impl Part {
    const fn time(self) -> Duration {
        match self {
            Self::Note { time, .. } | Self::Pause(time) => time,
        }
    }

    /// The sample so many samples after the part's begin.
    fn sample(self, position: u64) -> f32 {
        match self {
            Self::Note {
                hz,
                amplitude,
                time,
            } => {
                let (position, end) = (position as f32, samples(time) as f32);
                let ramp = samples(RAMP) as f32;
                let edge = (position / ramp).min((end - position) / ramp);
                let phase = TAU * hz * position / SAMPLE_RATE_HZ as f32;
                amplitude * edge.clamp(0.0, 1.0) * phase.sin()
            }
            Self::Pause(_) => 0.0,
        }
    }
}

const fn note(hz: f32, amplitude: f32, milliseconds: u64) -> Part {
    Part::Note {
        hz,
        amplitude,
        time: Duration::from_millis(milliseconds),
    }
}

const fn pause(milliseconds: u64) -> Part {
    Part::Pause(Duration::from_millis(milliseconds))
}

const RINGING: [Part; 5] = [
    note(587.0, 0.25, 300),
    note(784.0, 0.25, 500),
    note(587.0, 0.25, 300),
    note(784.0, 0.25, 500),
    pause(1_900),
];
const CALL_WAITING: [Part; 2] = [note(425.0, 0.08, 400), pause(3_600)];
const RINGBACK: [Part; 2] = [note(425.0, 0.1, 1_000), pause(4_000)];

const fn cadence(tone: Tone) -> &'static [Part] {
    match tone {
        Tone::Ringing => &RINGING,
        Tone::CallWaiting => &CALL_WAITING,
        Tone::Ringback => &RINGBACK,
    }
}

const fn samples(time: Duration) -> u64 {
    time.as_millis() as u64 * SAMPLE_RATE_HZ as u64 / 1_000
}

/// A tone from its begin on, without an end.
#[derive(Debug)]
pub(crate) struct ToneSamples {
    cadence: &'static [Part],
    /// Index of the present part, and samples of it that were given.
    part: usize,
    position: u64,
}

impl ToneSamples {
    /// Begins with the first note.
    pub(crate) fn new(tone: Tone) -> Self {
        Self {
            cadence: cadence(tone),
            part: 0,
            position: 0,
        }
    }
}

impl Iterator for ToneSamples {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        let part = self.cadence[self.part];
        let sample = part.sample(self.position);
        self.position += 1;
        if self.position >= samples(part.time()) {
            self.position = 0;
            self.part = (self.part + 1) % self.cadence.len();
        }
        Some((sample * f32::from(i16::MAX)) as i16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TONES: [Tone; 3] = [Tone::Ringing, Tone::CallWaiting, Tone::Ringback];

    fn length(tone: Tone) -> usize {
        cadence(tone)
            .iter()
            .map(|part| samples(part.time()) as usize)
            .sum()
    }

    #[test]
    fn a_cadence_comes_again_and_again() {
        for tone in TONES {
            let length = length(tone);
            let twice: Vec<i16> = ToneSamples::new(tone).take(2 * length).collect();
            assert!(twice[..length] == twice[length..], "{tone:?}");
        }
    }

    #[test]
    fn every_tone_sounds_pauses_and_never_clicks() {
        for tone in TONES {
            let once: Vec<i16> = ToneSamples::new(tone).take(length(tone)).collect();
            assert!(once.iter().any(|sample| *sample > 2_000), "{tone:?}");
            let silent = once.iter().filter(|sample| **sample == 0).count();
            assert!(silent > once.len() / 3, "{tone:?}");
            let steepest = once.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max();
            // A sine of this height and pitch has no steeper place.
            assert!(steepest.unwrap() < 900, "{tone:?} {steepest:?}");
        }
    }

    #[test]
    fn the_far_ends_ringing_is_one_second_of_425_hz_in_five() {
        let once: Vec<i16> = ToneSamples::new(Tone::Ringback).take(5 * 48_000).collect();
        let rises = once.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0);
        let rises = rises.count();
        assert!((423..=426).contains(&rises), "{rises}");
        assert!(once[48_000..].iter().all(|sample| *sample == 0));
    }
}
