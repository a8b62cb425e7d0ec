//! What every front end does, and what it tells about its work.

use std::time::Duration;

use crate::frame::Frame;

/// Turns what the microphones hear into what the far end should hear.
///
/// The owner of the audio thread calls [`process`](Self::process) once for each 10 ms, in order,
/// and calls nothing else from another thread. A frame that a device failed to deliver is handed
/// in as silence, so that microphones and references keep their alignment.
///
/// Implementations take no lock, read no clock and keep no more memory than they start with. Our own
/// allocate nothing after they are made; [`SonoraFrontEnd`](crate::SonoraFrontEnd) says what it does.
pub trait FrontEnd: Send {
    /// Processes one frame.
    ///
    /// `microphones` and `references` hold one frame for each channel of the same 10 ms: the
    /// reference is what was handed to the loudspeaker during these 10 ms, and the delay until it
    /// is heard is found by the front end itself. No reference means that nothing is being played;
    /// no microphone gives silence. `out` is always written whole, with finite values within full
    /// scale, whatever comes in.
    fn process(&mut self, microphones: &[&Frame], references: &[&Frame], out: &mut Frame);

    /// How much later than its microphones' sound the output is: whoever stamps the output takes it
    /// off, or lips would move before words.
    fn latency(&self) -> Duration;

    /// What the front end knows about the echo now.
    fn echo_report(&self) -> EchoReport;
}

/// A front end's own estimate of the echo and of how well it removes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EchoReport {
    /// Echo return loss enhancement of the linear canceller in dB; `None` before it is known.
    pub enhancement_db: Option<f32>,
    /// From a reference frame to its echo in the microphones; `None` before it is known.
    pub delay: Option<Duration>,
}
