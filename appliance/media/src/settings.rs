//! What the media graph is told once, at its start.

use acoustics::{FrontEnd, PassThrough};

/// Settings that hold for the life of [`Media`](crate::Media).
pub struct MediaSettings {
    /// What turns the microphone's sound into what the far end hears.
    pub front_end: Box<dyn FrontEnd>,
}

impl Default for MediaSettings {
    /// No echo control.
    fn default() -> Self {
        Self {
            front_end: Box::new(PassThrough),
        }
    }
}
