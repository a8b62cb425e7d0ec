//! Where raw pictures enter the encodes of one source.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pipeline::PipelineId;

/// The way into one encode.
#[derive(Debug)]
pub(crate) struct EncodeInlet {
    encode: PipelineId,
    source: gst_app::AppSrc,
    /// No leg takes pictures just now: what is not encoded is no reference that anybody lacks.
    skips: AtomicBool,
    /// Pictures that were handed to the encoder.
    fed: AtomicU64,
}

impl EncodeInlet {
    pub(crate) fn new(encode: PipelineId, source: gst_app::AppSrc) -> Self {
        Self {
            encode,
            source,
            skips: AtomicBool::new(false),
            fed: AtomicU64::new(0),
        }
    }

    /// Which encode.
    pub(crate) fn encode(&self) -> PipelineId {
        self.encode
    }

    /// Whether pictures are skipped before they are encoded.
    pub(crate) fn skips(&self) -> bool {
        self.skips.load(Ordering::Acquire)
    }

    /// Skips pictures from now on, or does so no more.
    pub(crate) fn set_skips(&self, skips: bool) {
        self.skips.store(skips, Ordering::Release);
    }

    /// How many pictures the encoder was handed.
    pub(crate) fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    fn push(&self, picture: &gst::Sample) {
        // Refused only while the encode is being taken down.
        if !self.skips() && self.source.push_sample(picture).is_ok() {
            self.fed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The ways into all encodes of one source. Encodes come and go while it gives pictures.
#[derive(Debug, Default)]
pub(crate) struct EncodeInlets(Mutex<Vec<Arc<EncodeInlet>>>);

impl EncodeInlets {
    pub(crate) fn add(&self, inlet: Arc<EncodeInlet>) {
        self.lock().push(inlet);
    }

    pub(crate) fn remove(&self, encode: PipelineId) {
        self.lock().retain(|inlet| inlet.encode != encode);
    }

    /// One picture for every encode. Buffers are shared, never copied.
    pub(crate) fn push(&self, picture: &gst::Sample) {
        for inlet in self.lock().iter() {
            inlet.push(picture);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<EncodeInlet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
