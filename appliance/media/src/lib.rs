//! The media graph: a [`MediaPlan`](room::MediaPlan) in, [`MediaEvent`]s out.
//!
//! This is the only crate that imports GStreamer. It captures picture and sound, encodes each
//! picture once for each rung, hands the encodes to the legs, receives, decodes, lays out and plays. It owns no
//! socket: a leg ends in [`LegDatagrams`], bounded channels of RTP and RTCP packets as they are on
//! the wire.
//!
//! ```text
//!                      ┌──────────── media thread: plan ──► diff ──► changes ────────────┐
//!  camera ──► [encode of a rung: scale, encode]   ──┬──► [leg] ──► datagrams              │
//!  microphone ──► [microphone stage: front end] ─┐  │     ▲  └──► decoded ──┬─► [video playout] ──► screen
//!                      ▲        [encode of sound] ┴──┴──► [leg] ...         └─► [audio playout] ──► loudspeaker
//!                      └───────────────── reference ◄──────────────────────────────┘
//! ```
//!
//! Each box in brackets is a pipeline or thread of its own, in one shared running time: one that
//! hangs or fails is dropped and built again while the others go on.
//!
//! Terms: a *rung* is one encode of the camera or of the slides; an *inlet* is where a pipeline is fed from
//! outside; a *hub* is the part of a leg that outlives its pipeline.

mod arrival_delay;
mod audio_encode;
mod audio_fan_out;
mod audio_playout;
mod bitrate_request;
mod by_role;
mod camera_feed;
mod clock;
mod datagram;
mod decoded_frame;
mod delay_target;
mod device;
mod diff;
mod encode_inlets;
mod encoded_sink;
mod encoder;
mod error;
mod event;
mod fan_out;
mod gate;
mod graph;
mod graph_input;
mod h264_packet_guard;
mod keyframe_gate;
mod leg;
mod loudness;
mod loudspeaker_tap;
mod media;
mod microphone;
mod pipeline;
mod recording;
mod retransmission;
mod rtp;
mod sample_timeline;
mod settings;
mod shape;
mod slate;
mod telephone_event;
mod tone;
mod video_capture;
mod video_encode;
mod video_playout;
mod warm_up;

pub use datagram::{Channel, ControlDatagram, Datagram, LegDatagrams, Medium};
pub use decoded_frame::DecodedFrame;
pub use device::{AUDIO_FRAME_SAMPLES, AudioFrame, DeviceStreams, SAMPLE_RATE_HZ, VideoFrame};
pub use error::MediaError;
pub use event::{MediaEvent, Source};
pub use gate::Gate;
pub use media::{Media, PictureOf, PictureTaker};
pub use settings::MediaSettings;
