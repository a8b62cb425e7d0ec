//! The front end that changes nothing: for recordings, which need no echo control, and for
//! microphones that do their own.

use std::time::Duration;

use crate::frame::{Frame, copy_bounded};
use crate::front_end::{EchoReport, FrontEnd};

/// Passes the first microphone on, held to full scale.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough;

impl FrontEnd for PassThrough {
    fn process(&mut self, microphones: &[&Frame], _references: &[&Frame], out: &mut Frame) {
        match microphones.first() {
            Some(microphone) => copy_bounded(microphone, out),
            None => out.fill(0.0),
        }
    }

    fn latency(&self) -> Duration {
        Duration::ZERO
    }

    fn echo_report(&self) -> EchoReport {
        EchoReport::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME_SAMPLES;

    #[test]
    fn pass_through_gives_the_first_microphone_unchanged() {
        let microphone: Frame = std::array::from_fn(|i| i as f32 / FRAME_SAMPLES as f32);
        let other = [0.5; FRAME_SAMPLES];
        let mut out = [9.0; FRAME_SAMPLES];
        PassThrough.process(&[&microphone, &other], &[&other], &mut out);
        assert_eq!(out, microphone);
    }

    #[test]
    fn pass_through_without_a_microphone_gives_silence() {
        let mut out = [9.0; FRAME_SAMPLES];
        PassThrough.process(&[], &[], &mut out);
        assert_eq!(out, [0.0; FRAME_SAMPLES]);
    }
}
