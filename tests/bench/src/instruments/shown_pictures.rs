//! When pictures are truly shown: looked at inside GStreamer, at the video sinks themselves.
//!
//! A tracer of GStreamer sees every buffer that reaches a sink, and the moment at which the sink is
//! done with it. A sink that keeps time holds a buffer until it is due, so that moment is when the
//! picture is on the screen. Nothing of the program under test knows of it.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use hal_core::burnt_clock::{self, Stamp};

use super::footage_camera::SIZE;

/// The sink of a room without a screen: it keeps time and shows nothing.
const SINK: &str = "fakesink";

/// A picture that a sink has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shown {
    /// What was burnt into it.
    pub(crate) stamp: Stamp,
    /// When the sink was done with it.
    pub(crate) at: Instant,
}

glib::wrapper! {
    /// Watches all sinks of this process, from its making until the process ends.
    pub(crate) struct SinkWatch(ObjectSubclass<imp::SinkWatch>) @extends gst::Tracer, gst::Object;
}

impl SinkWatch {
    /// Starts to watch.
    pub(crate) fn start() -> Self {
        glib::Object::new()
    }

    /// What was shown since the last time.
    pub(crate) fn take(&self) -> Vec<Shown> {
        std::mem::take(
            &mut self
                .imp()
                .shown
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

mod imp {
    use super::*;

    thread_local! {
        /// The stamp of the picture that a sink holds on this thread. A sink is the end of its
        /// pipeline: there is never a second one inside.
        static HELD: Cell<Option<Stamp>> = const { Cell::new(None) };
    }

    #[derive(Default)]
    pub(crate) struct SinkWatch {
        pub(super) shown: Mutex<Vec<Shown>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SinkWatch {
        const NAME: &'static str = "RoomdBenchSinkWatch";
        type Type = super::SinkWatch;
        type ParentType = gst::Tracer;
    }

    impl ObjectImpl for SinkWatch {
        fn constructed(&self) {
            self.parent_constructed();
            self.register_hook(TracerHook::PadChainPre);
            self.register_hook(TracerHook::PadChainPost);
        }
    }

    impl GstObjectImpl for SinkWatch {}

    impl TracerImpl for SinkWatch {
        fn pad_chain_pre(&self, _: u64, pad: &gst::Pad, buffer: &gst::Buffer) {
            if is_picture(buffer) && is_sink(pad) {
                HELD.set(stamp(buffer));
            }
        }

        fn pad_chain_post(
            &self,
            _: u64,
            pad: &gst::Pad,
            _: Result<gst::FlowSuccess, gst::FlowError>,
        ) {
            if HELD.get().is_none() || !is_sink(pad) {
                return;
            }
            if let Some(stamp) = HELD.take() {
                let shown = Shown {
                    stamp,
                    at: Instant::now(),
                };
                self.shown
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(shown);
            }
        }
    }

    fn is_picture(buffer: &gst::Buffer) -> bool {
        buffer.size() >= SIZE.i420_bytes()
    }

    fn is_sink(pad: &gst::Pad) -> bool {
        pad.parent_element()
            .and_then(|element| element.factory())
            .is_some_and(|factory| factory.name() == SINK)
    }

    /// The stride is in the buffer's video meta where a decoder pads its rows.
    fn stamp(buffer: &gst::Buffer) -> Option<Stamp> {
        let stride = match buffer.meta::<gst_video::VideoMeta>() {
            Some(meta) => usize::try_from(*meta.stride().first()?).ok()?,
            None => SIZE.width,
        };
        let offset = match buffer.meta::<gst_video::VideoMeta>() {
            Some(meta) => *meta.offset().first()?,
            None => 0,
        };
        let bytes = buffer.map_readable().ok()?;
        burnt_clock::read(bytes.get(offset..)?, stride)
    }
}
