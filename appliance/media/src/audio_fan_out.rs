//! Hands the room's sound to its encodes, and each encode to every leg that takes it.
//!
//! ```text
//!                         ┌──► [encode] ──► hand ──┬──► leg
//!  microphone ──► distribute                       └──► leg
//!                         └──► [encode] ──► hand ─────► leg
//! ```
//!
//! Buffers are shared, never copied. A leg that is to take another encode goes on with the one that it has until the
//! other one gives its first packet: nothing is missing between them, and nothing is said twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use room::ids::LegId;

use crate::leg::LegHub;
use crate::pipeline::PipelineId;

/// Where sound enters one encode.
#[derive(Debug)]
pub(crate) struct AudioInlet {
    encode: PipelineId,
    source: gst_app::AppSrc,
    /// Buffers that were handed to the encoder.
    fed: AtomicU64,
}

impl AudioInlet {
    pub(crate) fn new(encode: PipelineId, source: gst_app::AppSrc) -> Self {
        Self {
            encode,
            source,
            fed: AtomicU64::new(0),
        }
    }

    /// How many buffers the encoder was handed.
    pub(crate) fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }
}

/// A leg that takes an encode.
#[derive(Debug)]
struct AudioBranch {
    leg: Arc<LegHub>,
    /// Where encoded sound enters the leg.
    inlet: gst_app::AppSrc,
    encode: PipelineId,
    /// What it took before, and takes until `encode` gives something.
    before: Option<PipelineId>,
    /// When the last sound that it got was heard.
    last: Option<gst::ClockTime>,
}

impl AudioBranch {
    /// Whether the leg gets this packet.
    fn takes(&mut self, encode: PipelineId, heard: Option<gst::ClockTime>) -> bool {
        if self.encode == encode {
            self.before = None;
        } else if self.before != Some(encode) {
            return false;
        }
        let is_new = heard > self.last;
        if is_new {
            self.last = heard;
        }
        is_new
    }
}

#[derive(Debug, Default)]
struct AudioFanOutState {
    inlets: Vec<Arc<AudioInlet>>,
    branches: Vec<AudioBranch>,
}

/// The encodes of the microphone's sound, and the legs that take them.
#[derive(Debug, Default)]
pub(crate) struct AudioFanOut {
    state: Mutex<AudioFanOutState>,
}

impl AudioFanOut {
    /// An encode gets the sound from now on.
    pub(crate) fn begin(&self, inlet: Arc<AudioInlet>) {
        self.lock().inlets.push(inlet);
    }

    /// An encode has ended, or failed: who took it goes on with the one before, where that is still there, and else gets
    /// nothing more until it is attached to another.
    pub(crate) fn end(&self, encode: PipelineId) {
        let mut state = self.lock();
        state.inlets.retain(|inlet| inlet.encode != encode);
        for branch in &mut state.branches {
            branch.before = branch.before.filter(|before| *before != encode);
            if branch.encode == encode
                && let Some(before) = branch.before.take()
            {
                branch.encode = before;
            }
        }
        state.branches.retain(|branch| branch.encode != encode);
    }

    /// Whether a leg takes an encode.
    pub(crate) fn is_taken(&self, encode: PipelineId) -> bool {
        let state = self.lock();
        let mut branches = state.branches.iter();
        branches.any(|branch| branch.encode == encode || branch.before == Some(encode))
    }

    /// A leg takes this encode, by this inlet, from now on. Nothing changes where it does already.
    pub(crate) fn attach(&self, leg: Arc<LegHub>, inlet: gst_app::AppSrc, encode: PipelineId) {
        let mut state = self.lock();
        let known = state
            .branches
            .iter_mut()
            .find(|branch| branch.leg.id() == leg.id() && branch.inlet == inlet);
        match known {
            Some(branch) if branch.encode == encode => {}
            Some(branch) => {
                // One that has not given anything yet is not waited for.
                let before = branch.before.unwrap_or(branch.encode);
                branch.before = Some(before).filter(|before| *before != encode);
                branch.encode = encode;
            }
            None => {
                state.branches.retain(|branch| branch.leg.id() != leg.id());
                state.branches.push(AudioBranch {
                    leg,
                    inlet,
                    encode,
                    before: None,
                    last: None,
                });
            }
        }
    }

    /// A leg takes no sound any more.
    pub(crate) fn detach(&self, leg: LegId) {
        self.lock().branches.retain(|branch| branch.leg.id() != leg);
    }

    /// One stretch of sound for every encode. An encode's own queue drops the oldest when it is full.
    pub(crate) fn distribute(&self, sound: &gst::Buffer) {
        for inlet in &self.lock().inlets {
            inlet.fed.fetch_add(1, Ordering::Relaxed);
            // Refused only while the encode is being taken down.
            let _ = inlet.source.push_buffer(sound.clone());
        }
    }

    /// One encoded packet for every leg that takes the encode. Runs on its streaming thread. A leg's own queue drops
    /// the oldest when it is full.
    pub(crate) fn hand(&self, encode: PipelineId, sound: &gst::Sample) {
        let heard = sound.buffer().and_then(gst::BufferRef::pts);
        for branch in &mut self.lock().branches {
            let is_first = branch.last.is_none();
            if branch.takes(encode, heard) {
                let offered = &branch.leg.meters().offered_sounds;
                offered.fetch_add(1, Ordering::Relaxed);
                // Refused only while the leg is being taken down.
                let _ = match is_first.then(|| after_a_pause(sound)).flatten() {
                    Some(first) => branch.inlet.push_sample(&first),
                    None => branch.inlet.push_sample(sound),
                };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, AudioFanOutState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same sound, marked as not following on anything: a leg that was held has had none meanwhile, and its payloader
/// counts samples where its codec has no other time.
fn after_a_pause(sound: &gst::Sample) -> Option<gst::Sample> {
    let mut buffer = sound.buffer()?.copy();
    buffer
        .get_mut()?
        .set_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::RESYNC);
    let caps = sound.caps_owned()?;
    Some(gst::Sample::builder().buffer(&buffer).caps(&caps).build())
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use gst::prelude::*;
    use tokio::sync::mpsc;

    use super::*;
    use crate::audio_encode::AudioFormat;
    use crate::clock::MediaClock;
    use crate::graph_input::GraphInputs;
    use crate::pipeline::{OwnedPipeline, PipelineRole};

    /// A leg whose inlet keeps what it is given.
    struct Leg {
        hub: Arc<LegHub>,
        inlet: gst_app::AppSrc,
    }

    fn inputs() -> GraphInputs {
        static INPUTS: OnceLock<GraphInputs> = OnceLock::new();
        INPUTS.get_or_init(|| GraphInputs::new().0).clone()
    }

    fn leg(id: u32) -> Leg {
        let (to_network, _) = mpsc::channel(1);
        let (control, _) = mpsc::channel(1);
        let inlet = gst_app::AppSrc::builder().format(gst::Format::Time).build();
        // Below, an inlet refuses everything.
        inlet.set_state(gst::State::Paused).unwrap();
        Leg {
            hub: LegHub::new(LegId(id), to_network, control, inputs()),
            inlet,
        }
    }

    fn encodes<const N: usize>() -> [PipelineId; N] {
        gst::init().unwrap();
        let clock = MediaClock::start();
        let role = PipelineRole::AudioEncode(AudioFormat::Pcmu);
        std::array::from_fn(|_| OwnedPipeline::new(role, &clock, &inputs()).id())
    }

    fn packet(milliseconds: u64) -> gst::Sample {
        let mut buffer = gst::Buffer::with_size(1).unwrap();
        let pts = gst::ClockTime::from_mseconds(milliseconds);
        buffer.get_mut().unwrap().set_pts(pts);
        gst::Sample::builder().buffer(&buffer).build()
    }

    impl Leg {
        fn attach(&self, fan_out: &AudioFanOut, encode: PipelineId) {
            fan_out.attach(Arc::clone(&self.hub), self.inlet.clone(), encode);
        }

        /// Whether it gets this packet.
        fn gets(&self, fan_out: &AudioFanOut, encode: PipelineId, milliseconds: u64) -> bool {
            let before = self.inlet.current_level_buffers();
            fan_out.hand(encode, &packet(milliseconds));
            self.inlet.current_level_buffers() > before
        }
    }

    impl Drop for Leg {
        fn drop(&mut self) {
            self.inlet.set_state(gst::State::Null).unwrap();
        }
    }

    #[test]
    fn a_leg_that_changes_takes_what_it_had_until_the_other_encode_gives_something() {
        let [before, after] = encodes();
        let (fan_out, leg) = (AudioFanOut::default(), leg(1));
        leg.attach(&fan_out, before);
        assert!(leg.gets(&fan_out, before, 20));
        leg.attach(&fan_out, after);
        assert!(leg.gets(&fan_out, before, 40));
        assert!(fan_out.is_taken(before), "it is still needed");
        // The same stretch of sound comes out of both.
        assert!(!leg.gets(&fan_out, after, 40));
        assert!(leg.gets(&fan_out, after, 60));
        assert!(!leg.gets(&fan_out, before, 80));
        assert!(!fan_out.is_taken(before));
    }

    #[test]
    fn a_leg_that_changes_its_mind_goes_on_with_what_it_has() {
        let [before, after] = encodes();
        let (fan_out, leg) = (AudioFanOut::default(), leg(1));
        for encode in [before, after, before] {
            leg.attach(&fan_out, encode);
        }
        assert!(!fan_out.is_taken(after));
        assert!(!leg.gets(&fan_out, after, 20));
        assert!(leg.gets(&fan_out, before, 20));
    }

    #[test]
    fn a_leg_whose_next_encode_fails_goes_on_with_the_one_it_has() {
        let [before, failing] = encodes();
        let (fan_out, leg) = (AudioFanOut::default(), leg(1));
        leg.attach(&fan_out, before);
        assert!(leg.gets(&fan_out, before, 20));
        leg.attach(&fan_out, failing);
        fan_out.end(failing);
        assert!(leg.gets(&fan_out, before, 40));
        assert!(fan_out.is_taken(before));
    }

    #[test]
    fn the_end_of_an_encode_leaves_legs_of_others_alone() {
        let [ending, other] = encodes();
        let fan_out = AudioFanOut::default();
        let [first, second] = [leg(1), leg(2)];
        first.attach(&fan_out, ending);
        second.attach(&fan_out, other);
        fan_out.end(ending);
        assert!(!first.gets(&fan_out, ending, 20));
        assert!(second.gets(&fan_out, other, 20));
        // It comes back by another encode.
        first.attach(&fan_out, other);
        assert!(first.gets(&fan_out, other, 40));
    }
}
