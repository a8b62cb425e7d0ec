//! Where what an encoder makes leaves its pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gst::prelude::*;

use crate::clock::in_running_time;

/// Counts what is encoded, and hands it on in running time. `hand` runs on the streaming thread.
pub(crate) fn encoded_sink(
    encoded: &Arc<AtomicU64>,
    hand: impl Fn(&gst::Sample) + Send + 'static,
) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .name("encoded")
        .sync(false)
        .build();
    sink.set_property("async", false);
    sink.set_property("enable-last-sample", false);
    let encoded = Arc::clone(encoded);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(sample) = in_running_time(&sample) {
                    encoded.fetch_add(1, Ordering::Relaxed);
                    hand(&sample);
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink
}
