//! Loads what a call needs before there is a call.
//!
//! An element's first instance loads its plugin and the libraries behind it, and its first state
//! change prepares tables: 0.3 s in all, which the first press of the day would otherwise pay.

use std::sync::Once;

use gst::prelude::*;

/// Every element of capture, legs and playouts but video encoders, which their self-test has
/// loaded, and srtpenc, which does not get ready without a key and comes with srtpdec.
const ELEMENTS: [&str; 33] = [
    "appsink",
    "appsrc",
    "audioconvert",
    "audiomixer",
    "audioresample",
    "alawdec",
    "alawenc",
    "avdec_g722",
    "avdec_h264",
    "avenc_g722",
    "capsfilter",
    "compositor",
    "fakesink",
    "funnel",
    "h264parse",
    "mulawdec",
    "mulawenc",
    "opusdec",
    "opusenc",
    "rtpbin",
    "rtpg722depay",
    "rtpg722pay",
    "rtph264depay",
    "rtph264pay",
    "rtpopusdepay",
    "rtpopuspay",
    "rtppcmadepay",
    "rtppcmapay",
    "rtppcmudepay",
    "rtppcmupay",
    "srtpdec",
    "videoscale",
    "volume",
];

/// Elements that rtpbin makes of itself when it gets its first session.
const SESSION_ELEMENTS: [&str; 4] = [
    "rtpsession",
    "rtpssrcdemux",
    "rtpjitterbuffer",
    "rtpptdemux",
];

/// Loads everything, once a process: plugins are the process's, and elements of GStreamer 1.22
/// complain when two threads prepare their first instances at once. What is missing is reported
/// by whoever needs it.
pub(crate) fn warm_up() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        for name in ELEMENTS.into_iter().chain(SESSION_ELEMENTS) {
            prepare(name);
        }
    });
}

fn prepare(name: &str) {
    let Ok(element) = gst::ElementFactory::make(name).build() else {
        tracing::debug!(name, "the element is not installed");
        return;
    };
    let ready = element.set_state(gst::State::Ready);
    let null = element.set_state(gst::State::Null);
    if ready.is_err() || null.is_err() {
        tracing::debug!(name, "the element does not get ready");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_that_is_warmed_up_exists() {
        gst::init().unwrap();
        for name in ELEMENTS.into_iter().chain(SESSION_ELEMENTS) {
            assert!(gst::ElementFactory::find(name).is_some(), "{name}");
        }
    }
}
