//! What the peer sends: from rtpbin to decoded pictures and sound.
//!
//! ```text
//!  rtpbin pad of a source ──► funnel ──► depayloader ──► decoder ──► [convert] ──► appsink ──► hub
//!  rtpbin pad of telephone keys ──► fakesink      (read on their way into rtpbin)
//! ```
//!
//! A peer that changes its SSRC, or that two of our packets make look like two, gets a pad for
//! each; the funnel lets all of them reach the one decoder that is already running.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gst::prelude::*;
use room::codec::{AudioCodec, VideoFeedback};
use room::media_plan::{AudioStream, LegStreams, VideoRole};
use tokio::sync::mpsc;

use crate::clock::{MediaClock, in_running_time};
use crate::datagram::{ControlDatagram, Medium};
use crate::error::MediaError;
use crate::event::MediaEvent;
use crate::graph_input::GraphInput;
use crate::h264_packet_guard::{GuardVerdict, H264PacketGuard};
use crate::leg::hub::LegHub;
use crate::leg::transport::session;
use crate::pipeline::{OwnedPipeline, link, pad};
use crate::recording::sound_caps;
use crate::rtp::RtpHeader;
use crate::telephone_event::TelephoneEventReceiver;

/// The decoder of H.264.
pub(super) const VIDEO_DECODER: &str = "avdec_h264";

/// The caps of a payload type, for rtpbin; `None` for one that was not negotiated.
pub(super) fn payload_caps(
    streams: &LegStreams,
    session: u32,
    payload_type: u32,
) -> Option<gst::Caps> {
    let caps = |media: &str, name: &str, clock_hz: u32| {
        gst::Caps::builder("application/x-rtp")
            .field("media", media)
            .field("payload", payload_type as i32)
            .field("encoding-name", name)
            .field("clock-rate", clock_hz as i32)
    };
    let audio = streams.audio.as_ref().filter(|_| session == 0);
    let video = match session {
        1 => streams.video.as_ref(),
        2 => streams.slides.as_deref(),
        _ => None,
    };
    if let Some(audio) = audio {
        let clock_hz = audio.codec.rtp_clock_hz();
        if u32::from(audio.receive_payload_type.value()) == payload_type {
            let name = audio.codec.encoding_name().to_ascii_uppercase();
            return Some(caps("audio", &name, clock_hz).build());
        }
        let events = audio
            .receive_telephone_event
            .map(|pt| u32::from(pt.value()));
        return (events == Some(payload_type))
            .then(|| caps("audio", "TELEPHONE-EVENT", clock_hz).build());
    }
    let video = video?;
    if video.rtx.map(|rtx| u32::from(rtx.receive.value())) == Some(payload_type) {
        return Some(caps("video", "RTX", 90_000).build());
    }
    if u32::from(video.receive_payload_type.value()) != payload_type {
        return None;
    }
    let caps = caps("video", "H264", 90_000);
    // rtpbin asks for a picture only in the way that these say the peer takes. After a loss PLI is
    // the better one: a bridge answers FIR with a picture for everybody.
    let caps = if video.feedback.picture_loss_indication {
        caps.field("rtcp-fb-nack-pli", true)
    } else if video.feedback.full_intra_request {
        caps.field("rtcp-fb-ccm-fir", true)
    } else {
        caps
    };
    Some(caps.build())
}

/// Builds what decodes pictures; gives the funnel.
pub(super) fn build_video(
    pipeline: &OwnedPipeline,
    role: VideoRole,
    hub: &Arc<LegHub>,
    clock: &MediaClock,
    feedback: VideoFeedback,
) -> Result<gst::Element, MediaError> {
    let funnel = funnel(pipeline)?;
    if !feedback.requests_pictures() {
        ask_by_signalling(&pad(&funnel, "src")?, hub);
    }
    let depayloader = pipeline.make("rtph264depay", |b| b.property("request-keyframe", true))?;
    guard(&pad(&depayloader, "sink")?);
    let parser = pipeline.make("h264parse", |b| b)?;
    // Frame threads would each hold a picture back; one thread decodes 720p in 1.3 ms.
    let decoder = pipeline.make(VIDEO_DECODER, |b| {
        b.property("max-threads", 1)
            .property("output-corrupt", true)
    })?;
    let sink = decoded_sink();
    take_pictures_as_they_lie(&pad(sink.upcast_ref(), "sink")?);
    let (hub, clock) = (Arc::downgrade(hub), clock.clone());
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let hub = hub.upgrade().ok_or(gst::FlowError::Eos)?;
                if let Some(picture) = in_running_time(&sample) {
                    hub.picture(role, picture, clock.now());
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    let sink = pipeline.add(sink)?;
    link(&[&funnel, &depayloader, &parser, &decoder, sink.upcast_ref()])?;
    Ok(funnel)
}

/// Tells of every request for a picture on its way to rtpbin, which cannot pass it on.
fn ask_by_signalling(source: &gst::Pad, hub: &Arc<LegHub>) {
    let hub = Arc::downgrade(hub);
    source.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        let asked = info
            .event()
            .is_some_and(|e| gst_video::UpstreamForceKeyUnitEvent::parse(e).is_ok());
        if asked && let Some(hub) = hub.upgrade() {
            hub.tell(GraphInput::PictureNeeded(hub.id()));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Lets only those packets through to the depayloader that it survives.
fn guard(sink: &gst::Pad) {
    let guard = Mutex::new(H264PacketGuard::default());
    let events = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
    sink.add_probe(gst::PadProbeType::BUFFER | events, move |_, info| {
        let mut guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(buffer) = info.buffer_mut() else {
            // Losses, new sources, flushes.
            guard.interrupt();
            return gst::PadProbeReturn::Ok;
        };
        let verdict = buffer.map_readable().ok().and_then(|packet| {
            let (header, payload) = RtpHeader::parse_without_padding(&packet)?;
            Some(guard.judge(header, payload))
        });
        match verdict {
            Some(GuardVerdict::Pass) => gst::PadProbeReturn::Ok,
            Some(GuardVerdict::PassAfterGap) => {
                buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
                gst::PadProbeReturn::Ok
            }
            // By this name, because GStreamer complains about a buffer that bindings have dropped.
            Some(GuardVerdict::Drop) => gst::PadProbeReturn::Handled,
            None => {
                guard.interrupt();
                gst::PadProbeReturn::Handled
            }
        }
    });
}

/// A gap that is shorter than this is none: what is missing there has no sound of its own. It is the least that Opus
/// can make up for, and a shorter one makes `opusdec` wait for the rest of it, and be silent, for ever.
const SHORTEST_GAP: gst::ClockTime = gst::ClockTime::from_useconds(2_500);

/// How much time a packet that the jitter buffer has given up stood for; `None` where the event tells of something else.
fn lost_time(event: &gst::Event) -> Option<gst::ClockTime> {
    let structure = event.structure()?;
    (structure.name() == "GstRTPPacketLost")
        .then(|| structure.get::<u64>("duration").ok())
        .flatten()
        .map(gst::ClockTime::from_nseconds)
}

/// Keeps from the decoder of sound what is no sound: packets of padding, by which browsers probe what the path carries
/// and which keep the numbering whole as far as here; and the loss of such packets.
fn only_sound(sink: &gst::Pad) {
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    sink.add_probe(mask, |_, info| {
        let is_sound = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                let packet = buffer.map_readable().ok();
                let payload = packet.as_deref().and_then(RtpHeader::parse_without_padding);
                payload.is_some_and(|(_, payload)| !payload.is_empty())
            }
            Some(gst::PadProbeData::Event(event)) => {
                lost_time(event).is_none_or(|time| time >= SHORTEST_GAP)
            }
            _ => true,
        };
        match is_sound {
            true => gst::PadProbeReturn::Ok,
            // By this name, because GStreamer complains about a buffer that bindings have dropped.
            false => gst::PadProbeReturn::Handled,
        }
    });
}

/// Builds what decodes sound; gives the funnel.
pub(super) fn build_audio(
    pipeline: &OwnedPipeline,
    stream: &AudioStream,
    hub: &Arc<LegHub>,
    clock: &MediaClock,
) -> Result<gst::Element, MediaError> {
    let funnel = funnel(pipeline)?;
    let (depayloader, decoder) = match stream.codec {
        AudioCodec::Opus => (
            "rtpopusdepay",
            pipeline.make("opusdec", |b| {
                b.property("plc", true).property("use-inband-fec", true)
            })?,
        ),
        AudioCodec::G722 => ("rtpg722depay", pipeline.make("avdec_g722", |b| b)?),
        AudioCodec::Pcmu => ("rtppcmudepay", pipeline.make("mulawdec", |b| b)?),
        AudioCodec::Pcma => ("rtppcmadepay", pipeline.make("alawdec", |b| b)?),
    };
    let depayloader = pipeline.make(depayloader, |b| b)?;
    only_sound(&pad(&depayloader, "sink")?);
    let convert = pipeline.make("audioconvert", |b| b)?;
    let resample = pipeline.make("audioresample", |b| b)?;
    let caps = pipeline.make("capsfilter", |b| b.property("caps", sound_caps()))?;
    let sink = decoded_sink();
    let (hub, clock) = (Arc::downgrade(hub), clock.clone());
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let hub = hub.upgrade().ok_or(gst::FlowError::Eos)?;
                if let Some(sound) = in_running_time(&sample).and_then(|s| s.buffer_owned()) {
                    hub.sound(sound, clock.now());
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    let sink = pipeline.add(sink)?;
    link(&[
        &funnel,
        &depayloader,
        &decoder,
        &convert,
        &resample,
        &caps,
        sink.upcast_ref(),
    ])?;
    Ok(funnel)
}

/// Reads telephone keys on their way into rtpbin, after SRTP.
pub(super) fn watch_events(
    sink: &gst::Pad,
    receiver: TelephoneEventReceiver,
    hub: &Arc<LegHub>,
    events: mpsc::Sender<MediaEvent>,
) {
    let leg = hub.id();
    let receiver = Mutex::new(receiver);
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(map) = info.buffer().and_then(|buffer| buffer.map_readable().ok()) else {
            return gst::PadProbeReturn::Ok;
        };
        let mut receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let digit =
            RtpHeader::parse(&map).and_then(|(header, payload)| receiver.receive(header, payload));
        if let Some(digit) = digit
            && events
                .try_send(MediaEvent::DtmfReceived { leg, digit })
                .is_err()
        {
            tracing::warn!(%leg, "a telephone key was lost: the owner does not take events");
        }
        gst::PadProbeReturn::Ok
    });
}

/// Hands out the peer's RTCP about pictures on its way into rtpbin, after SRTP.
pub(super) fn hand_out_control(
    rtpbin: &gst::Element,
    medium: Medium,
    hub: &Arc<LegHub>,
) -> Result<(), MediaError> {
    let sink = pad(rtpbin, &format!("recv_rtcp_sink_{}", session(medium)))?;
    let hub = Arc::downgrade(hub);
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let datagram = info.buffer().and_then(|buffer| buffer.map_readable().ok());
        if let Some((datagram, hub)) = datagram.zip(hub.upgrade()) {
            hub.received_control(ControlDatagram {
                medium,
                payload: Bytes::copy_from_slice(&datagram),
            });
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Links a new source of the peer to its decoder. Runs on a streaming thread: pads are linked, no
/// state is changed but that of a sink which is born here.
pub(super) fn link_source(
    pad: &gst::Pad,
    pipeline: &gst::Pipeline,
    funnels: &[Option<gst::glib::WeakRef<gst::Element>>; 3],
    event_payload_type: Option<u8>,
) {
    // recv_rtp_src_<session>_<ssrc>_<pt>
    let name = pad.name();
    let mut numbers = name.rsplit('_').map(str::parse::<u32>);
    let (Some(Ok(payload_type)), Some(Ok(_ssrc)), Some(Ok(session))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return;
    };
    let is_event = session == 0 && event_payload_type.map(u32::from) == Some(payload_type);
    let funnel = funnels
        .get(session as usize)
        .and_then(Option::as_ref)
        .and_then(gst::glib::WeakRef::upgrade);
    match funnel {
        Some(funnel) if !is_event => {
            let Some(sink) = funnel.request_pad_simple("sink_%u") else {
                return;
            };
            if pad.link(&sink).is_err() {
                tracing::warn!(pad = %name, "a source of the peer could not be linked");
                funnel.release_request_pad(&sink);
                return;
            }
            let funnel = funnel.downgrade();
            pad.connect_unlinked(move |_, sink| {
                if let Some(funnel) = funnel.upgrade() {
                    funnel.release_request_pad(sink);
                }
            });
        }
        Some(_) | None => discard(pad, pipeline),
    }
}

/// Lets packets flow that nobody needs: an unlinked pad would stop its whole source.
fn discard(pad: &gst::Pad, pipeline: &gst::Pipeline) {
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .property("async", false)
        .property("enable-last-sample", false)
        .build();
    let linked = sink
        .ok()
        .filter(|sink| pipeline.add(sink).is_ok())
        .is_some_and(|sink| {
            let playing = sink.sync_state_with_parent().is_ok();
            playing
                && sink
                    .static_pad("sink")
                    .is_some_and(|sink| pad.link(&sink).is_ok())
        });
    if !linked {
        tracing::warn!(pad = %pad.name(), "a source of the peer could not be discarded");
    }
}

fn funnel(pipeline: &OwnedPipeline) -> Result<gst::Element, MediaError> {
    let funnel = pipeline.make("funnel", |b| b)?;
    // A source that says goodbye must not end the decoder: the next source needs it.
    if let Some(pad) = funnel.static_pad("src") {
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
            match info.event().map(|event| event.type_()) {
                Some(gst::EventType::Eos) => gst::PadProbeReturn::Drop,
                Some(_) | None => gst::PadProbeReturn::Ok,
            }
        });
    }
    Ok(funnel)
}

/// Says that rows may have any stride. Without this, a decoder that keeps its pictures for reference
/// copies each into another that lies as the caps alone tell.
fn take_pictures_as_they_lie(sink: &gst::Pad) {
    sink.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        let query = info.query_mut().map(gst::QueryRef::view_mut);
        if let Some(gst::QueryViewMut::Allocation(allocation)) = query {
            allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

fn decoded_sink() -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder().sync(false).build();
    sink.set_property("async", false);
    sink.set_property("enable-last-sample", false);
    sink.set_property("qos", false);
    sink
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, payload: &[u8]) -> gst::Buffer {
        let header = RtpHeader {
            marker: false,
            payload_type: 97,
            sequence,
            timestamp: 3_000,
            ssrc: 1,
        };
        gst::Buffer::from_slice([&header.to_bytes(), payload].concat())
    }

    #[test]
    fn the_depayloader_survives_fragments_that_end_a_process_without_the_guard() {
        gst::init().unwrap();
        let pipeline = gst::Pipeline::new();
        let caps = gst::Caps::builder("application/x-rtp")
            .field("media", "video")
            .field("encoding-name", "H264")
            .field("payload", 97)
            .field("clock-rate", 90_000)
            .build();
        let source = gst_app::AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .build();
        let depayloader = gst::ElementFactory::make("rtph264depay").build().unwrap();
        let sink = gst::ElementFactory::make("fakesink").build().unwrap();
        let elements = [source.upcast_ref(), &depayloader, &sink];
        pipeline.add_many(elements).unwrap();
        gst::Element::link_many(elements).unwrap();
        guard(&pad(&depayloader, "sink").unwrap());
        pipeline.set_state(gst::State::Playing).unwrap();
        let (first, last, empty) = ([0x7c, 0x85, 1, 2], [0x7c, 0x45, 3, 4], []);
        let payloads: [&[u8]; 6] = [&first, &empty, &last, &first, &last, &[0x7c]];
        for (sequence, payload) in (1..).zip(payloads) {
            source.push_buffer(packet(sequence, payload)).unwrap();
        }
        source.end_of_stream().unwrap();
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        let end = pipeline
            .bus()
            .unwrap()
            .timed_pop_filtered(gst::ClockTime::from_seconds(20), &ends);
        assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
