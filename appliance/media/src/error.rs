//! What can go wrong in the media graph.

use room::ids::LegId;

/// Why a media call failed.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// GStreamer itself did not start.
    #[error("GStreamer did not start: {0}")]
    Initialization(#[source] gst::glib::Error),
    /// An element that the graph needs is not installed.
    #[error("the GStreamer element {name} is not installed")]
    MissingElement {
        /// The element's factory.
        name: &'static str,
    },
    /// No H.264 encoder passed its self-test.
    #[error("no H.264 encoder works here; tried: {tried}")]
    NoEncoder {
        /// The encoders that were there, with what each did.
        tried: String,
    },
    /// Two elements or pads refused to be joined.
    #[error("{what} could not be linked")]
    Link {
        /// The two ends.
        what: String,
    },
    /// A pipeline refused to change its state.
    #[error("the {pipeline} pipeline did not start")]
    StateChange {
        /// Which pipeline.
        pipeline: String,
    },
    /// A thread could not be started.
    #[error("the thread {name} could not be started: {source}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The leg was not opened, or is gone.
    #[error("there is no leg {0}")]
    UnknownLeg(LegId),
    /// There is no picture to take yet.
    #[error("no picture has been seen yet")]
    NoPicture,
    /// A picture could not be written as JPEG.
    #[error("the picture could not be written as JPEG: {0}")]
    Picture(#[source] gst::glib::Error),
    /// The media thread has ended.
    #[error("the media thread has ended")]
    Ended,
    /// The graph was not empty when the deadline passed.
    #[error("the media graph was not empty in time")]
    ShutDownTimedOut,
}
