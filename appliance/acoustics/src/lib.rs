//! The acoustic front end: what happens to the microphones' sound before it is encoded.
//!
//! ```text
//!  far end, after mixer and volume ──┬──────────────► loudspeaker
//!                                    │ references          ) echo path
//!                                    ▼                     ▼
//!  out, to the encoder ◄── [ front end ] ◄── microphones ──┴── talker, noise
//! ```
//!
//! Everything here is plain signal processing in frames of 10 ms at 48 kHz. This crate owns no
//! device, thread, lock or clock: whoever drives it hands in one frame of every microphone and one
//! frame of what the loudspeaker was given, and gets one frame back. The same input always gives
//! the same output, so that tests run from files and from simulated rooms.
//!
//! Terms: *near end* is the talker in this room, *far end* the peers, *reference* the far end's
//! sound exactly as it goes to the loudspeaker, *echo* the reference as the microphones hear it.

mod frame;
mod front_end;
mod pass_through;
mod reference_line;
mod sonora_front_end;

pub use frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ, from_pcm16, to_pcm16};
pub use front_end::{EchoReport, FrontEnd};
pub use pass_through::PassThrough;
pub use reference_line::ReferenceLine;
pub use sonora_front_end::{AutomaticGain, NoiseReduction, SonoraFrontEnd, SonoraSettings};
