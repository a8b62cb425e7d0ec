//! What we send on a leg: encoded pictures as they are, and sound through the leg's own encoder.
//!
//! ```text
//!  fan-out ──► appsrc ──► rtph264pay ──► rtpbin
//!  fan-out ──► appsrc ──► [resample] ──► encoder ──► payloader ──► [telephone keys] ──► rtpbin
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use room::codec::AudioCodec;
use room::media_plan::{AudioStream, VideoRole, VideoStream};
use room::units::Bitrate;

use crate::bitrate_request::{BITRATE_REQUEST, BitrateRequests, TRANSPORT_FEEDBACK};
use crate::datagram::Medium;
use crate::error::MediaError;
use crate::graph_input::GraphInput;
use crate::leg::hub::LegHub;
use crate::leg::internal_session;
use crate::leg::transport::session;
use crate::pipeline::{OwnedPipeline, link, link_pads, pad};
use crate::recording::sound_caps;
use crate::rtp::RtpHeader;
use crate::telephone_event::TelephoneEventSender;

/// The largest RTP packet before protection: with SRTP, UDP and IPv6 it fits into the 1280 bytes
/// that every path carries.
pub(crate) const LARGEST_PACKET: u32 = 1_200;
/// Bits per second of Opus: transparent speech with room for in-band FEC.
const OPUS_BITRATE: i32 = 40_000;
/// The least that Opus is given, whatever a peer asks for: below, speech is hard to follow.
const OPUS_LEAST_BITRATE: i32 = 12_000;
/// How hard Opus searches, 0 to 10: less than its default of 10, for less work.
const OPUS_COMPLEXITY: i32 = 5;
/// The loss that in-band FEC prepares for until the peer reports its own, in percent.
const OPUS_EXPECTED_LOSS: i32 = 5;
/// One packet of sound, in nanoseconds.
const PACKET_TIME: i64 = 20_000_000;
/// How long a notification may wait for company, so that a peer does not ask again meanwhile.
const NOTIFICATION_DELAY: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// Sound that may wait for a leg's encoder, in buffers of 20 ms.
const SOUND_QUEUE: u64 = 5;

/// The sound that leaves a leg.
#[derive(Debug)]
pub(super) struct AudioSend {
    pub(super) inlet: gst_app::AppSrc,
    encoder: gst::Element,
    codec: AudioCodec,
    events: Option<Arc<Mutex<TelephoneEventSender>>>,
}

impl AudioSend {
    /// Sends these keys; `false` when the peer takes none.
    pub(super) fn send_dtmf(&self, digits: &room::dtmf::DtmfDigits) -> bool {
        let Some(events) = &self.events else {
            return false;
        };
        events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(digits);
        true
    }

    /// The peer reports how much of our sound it loses.
    pub(super) fn set_expected_loss(&self, fraction: f64) {
        match self.codec {
            AudioCodec::Opus => {
                // Some at all times: the first loss comes before its report.
                let percent = (fraction * 100.0)
                    .round()
                    .clamp(f64::from(OPUS_EXPECTED_LOSS), 50.0);
                self.encoder
                    .set_property("packet-loss-percentage", percent as i32);
            }
            AudioCodec::G722 | AudioCodec::Pcmu | AudioCodec::Pcma => {}
        }
    }
}

/// Builds what sends pictures. Gives the inlet for encoded pictures.
pub(super) fn build_video(
    pipeline: &OwnedPipeline,
    rtpbin: &gst::Element,
    role: VideoRole,
    stream: &VideoStream,
    hub: &Arc<LegHub>,
) -> Result<gst_app::AppSrc, MediaError> {
    let inlet = pipeline.add(
        gst_app::AppSrc::builder()
            .name(format!("encoded-{}", Medium::of_video(role).name()))
            .format(gst::Format::Time)
            .is_live(true)
            .min_latency(0)
            .max_bytes(0)
            .build(),
    )?;
    // No aggregation: mode 0 forbids it, and in mode 1 it would only save the parameter sets'
    // headers.
    let payloader = pipeline.make("rtph264pay", |b| {
        b.property("pt", u32::from(stream.send_payload_type.value()))
            .property("mtu", LARGEST_PACKET)
            .property_from_str("aggregate-mode", "none")
    })?;
    link(&[inlet.upcast_ref(), &payloader])?;
    watch_keyframe_requests(&inlet, role, hub);
    let sink = pad(
        rtpbin,
        &format!("send_rtp_sink_{}", session(Medium::of_video(role))),
    )?;
    link_pads(&pad(&payloader, "src")?, &sink)?;
    Ok(inlet)
}

/// PLI and FIR of the peer reach the inlet as an event (RFC 4585 section 6.3.1, RFC 5104 section
/// 4.3.1).
fn watch_keyframe_requests(inlet: &gst_app::AppSrc, role: VideoRole, hub: &Arc<LegHub>) {
    let Some(pad) = inlet.static_pad("src") else {
        return;
    };
    let hub = Arc::downgrade(hub);
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        let asked = info
            .event()
            .is_some_and(|e| gst_video::UpstreamForceKeyUnitEvent::parse(e).is_ok());
        if asked && let Some(hub) = hub.upgrade() {
            let counter = &hub.meters().video.get(role).keyframes_requested_by_peer;
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            hub.tell(GraphInput::KeyframeWanted(hub.id(), role));
        }
        // The source ignores it. To drop it here makes GStreamer 1.22 release it twice.
        gst::PadProbeReturn::Ok
    });
}

/// Follows the peer's temporary limits for our pictures, and tells it so.
///
/// The notification leaves behind the next RTCP packet, which is asked for at once; until it has
/// left, nothing else waits for it.
pub(super) fn obey_bitrate_requests(
    rtpbin: &gst::Element,
    role: VideoRole,
    hub: &Arc<LegHub>,
) -> Result<(), MediaError> {
    let Some(rtp_session) = internal_session(rtpbin, Medium::of_video(role)) else {
        return Ok(());
    };
    let requests = Arc::new(Mutex::new(BitrateRequests::default()));
    let taken = Arc::clone(&requests);
    let hub = Arc::downgrade(hub);
    rtp_session.connect("on-feedback-rtcp", false, move |values| {
        let rtp_session = values.first()?.get::<gst::glib::Object>().ok()?;
        let number = |index: usize| values.get(index)?.get::<u32>().ok();
        let kind = (number(1)?, number(2)?);
        if kind != (TRANSPORT_FEEDBACK, BITRATE_REQUEST) {
            return None;
        }
        let entries = values.get(5)?.get::<gst::Buffer>().ok()?;
        let entries = entries.map_readable().ok()?;
        let ours = rtp_session.property::<u32>("internal-ssrc");
        let mut requests = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let most = requests.take(number(3)?, ours, &entries)?;
        drop(requests);
        if let Some(hub) = hub.upgrade() {
            hub.tell(GraphInput::BitrateRequested(hub.id(), role, most));
        }
        rtp_session.emit_by_name::<()>("send-rtcp", &[&NOTIFICATION_DELAY.nseconds()]);
        None
    });
    let session = session(Medium::of_video(role));
    let source = pad(rtpbin, &format!("send_rtcp_src_{session}"))?;
    source.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let together = buffer.map_readable().ok().and_then(|report| {
            // Who reports stands at the same place in every RTCP packet.
            let ours = u32::from_be_bytes(*report.get(4..)?.first_chunk()?);
            let notification = requests.notification(ours)?;
            Some([report.as_slice(), &notification].concat())
        });
        if let Some(together) = together {
            let mut packet = gst::Buffer::from_slice(together);
            if let Some(packet) = packet.get_mut() {
                packet.set_pts(buffer.pts());
                packet.set_dts(buffer.dts());
            }
            *buffer = packet;
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Builds what sends sound.
pub(super) fn build_audio(
    pipeline: &OwnedPipeline,
    rtpbin: &gst::Element,
    stream: &AudioStream,
) -> Result<AudioSend, MediaError> {
    let caps = sound_caps();
    let inlet = pipeline.add(
        gst_app::AppSrc::builder()
            .name("sound")
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(true)
            .min_latency(0)
            .max_buffers(SOUND_QUEUE)
            .max_bytes(0)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build(),
    )?;
    stamp_earlier(&inlet, encoder_latency(stream.codec));
    let (encoder, payloader) = encoder(pipeline, stream)?;
    match encoder_rate(stream.codec) {
        None => link(&[inlet.upcast_ref(), &encoder, &payloader])?,
        Some(rate) => {
            let resample = pipeline.make("audioresample", |b| b)?;
            let caps = gst::Caps::builder("audio/x-raw")
                .field("rate", rate)
                .build();
            let caps = pipeline.make("capsfilter", |b| b.property("caps", caps))?;
            link(&[inlet.upcast_ref(), &resample, &caps, &encoder, &payloader])?;
        }
    }
    let source = pad(&payloader, "src")?;
    let events = stream.send_telephone_event.map(|payload_type| {
        let sender = TelephoneEventSender::new(payload_type, stream.codec.rtp_clock_hz());
        let events = Arc::new(Mutex::new(sender));
        replace_by_events(&source, Arc::clone(&events));
        events
    });
    let sink = pad(rtpbin, &format!("send_rtp_sink_{}", session(Medium::Audio)))?;
    link_pads(&source, &sink)?;
    Ok(AudioSend {
        inlet,
        encoder,
        codec: stream.codec,
        events,
    })
}

/// How much later than its input an encoder's output sounds, where it is worth counting.
const fn encoder_latency(codec: AudioCodec) -> gst::ClockTime {
    match codec {
        // The look-ahead of its speech modes (RFC 6716 section 2): 312 samples.
        AudioCodec::Opus => gst::ClockTime::from_useconds(6_500),
        AudioCodec::G722 | AudioCodec::Pcmu | AudioCodec::Pcma => gst::ClockTime::ZERO,
    }
}

/// Takes an encoder's latency off the timestamps: what comes out was said that much earlier, and
/// far ends put lips and words together by it.
fn stamp_earlier(inlet: &gst_app::AppSrc, latency: gst::ClockTime) {
    if let Some(pad) = inlet.static_pad("src") {
        pad.set_offset(-(latency.nseconds() as i64));
    }
}

/// The sampling rate that an encoder wants; `None` where it is ours.
const fn encoder_rate(codec: AudioCodec) -> Option<i32> {
    match codec {
        AudioCodec::Opus => None,
        AudioCodec::G722 => Some(16_000),
        AudioCodec::Pcmu | AudioCodec::Pcma => Some(8_000),
    }
}

/// Bits per second for a peer that takes this much.
fn opus_bitrate(most: Option<Bitrate>) -> i32 {
    let most = most.and_then(|most| i32::try_from(most.as_bps()).ok());
    most.map_or(OPUS_BITRATE, |most| {
        most.clamp(OPUS_LEAST_BITRATE, OPUS_BITRATE)
    })
}

fn encoder(
    pipeline: &OwnedPipeline,
    stream: &AudioStream,
) -> Result<(gst::Element, gst::Element), MediaError> {
    let (codec, payload_type, most) = (stream.codec, stream.send_payload_type, stream.max_bitrate);
    let encoder = match codec {
        AudioCodec::Opus => pipeline.make("opusenc", |b| {
            b.property("bitrate", opus_bitrate(most))
                .property("complexity", OPUS_COMPLEXITY)
                .property("inband-fec", true)
                .property("packet-loss-percentage", OPUS_EXPECTED_LOSS)
                .property_from_str("audio-type", "voice")
                .property_from_str("frame-size", "20")
        })?,
        AudioCodec::G722 => pipeline.make("avenc_g722", |b| b)?,
        AudioCodec::Pcmu => pipeline.make("mulawenc", |b| b)?,
        AudioCodec::Pcma => pipeline.make("alawenc", |b| b)?,
    };
    let factory = match codec {
        AudioCodec::Opus => "rtpopuspay",
        AudioCodec::G722 => "rtpg722pay",
        AudioCodec::Pcmu => "rtppcmupay",
        AudioCodec::Pcma => "rtppcmapay",
    };
    let payloader = pipeline.make(factory, |b| {
        let b = b
            .property("pt", u32::from(payload_type.value()))
            .property("mtu", LARGEST_PACKET);
        match codec {
            AudioCodec::Opus => b,
            AudioCodec::G722 | AudioCodec::Pcmu | AudioCodec::Pcma => b
                .property("min-ptime", PACKET_TIME)
                .property("max-ptime", PACKET_TIME),
        }
    })?;
    Ok((encoder, payloader))
}

/// Lets telephone keys take the place of sound packets.
fn replace_by_events(source: &gst::Pad, events: Arc<Mutex<TelephoneEventSender>>) {
    // The first packet's time stands for the whole key, as its timestamp does; sender reports
    // would otherwise map that timestamp to a later time and move the lips.
    let mut key: Option<(u32, Option<gst::ClockTime>)> = None;
    let key = Mutex::new(key.take());
    source.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        let header = buffer
            .map_readable()
            .ok()
            .and_then(|map| Some(RtpHeader::parse(&map)?.0));
        let packet = header.and_then(|header| {
            events
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .replace(header)
        });
        if let Some(packet) = packet {
            let timestamp = RtpHeader::parse(&packet).map_or(0, |(header, _)| header.timestamp);
            let mut key = key.lock().unwrap_or_else(PoisonError::into_inner);
            let pts = match *key {
                Some((current, pts)) if current == timestamp => pts,
                Some(_) | None => buffer.pts(),
            };
            *key = Some((timestamp, pts));
            let mut event = gst::Buffer::from_slice(packet);
            if let Some(event) = event.get_mut() {
                event.set_pts(pts);
                event.set_dts(pts);
            }
            *buffer = event;
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_keeps_to_what_the_peer_takes_as_far_as_speech_bears_it() {
        for (most, bitrate) in [
            (None, OPUS_BITRATE),
            (Some(Bitrate::kbps(24)), 24_000),
            (Some(Bitrate::kbps(128)), OPUS_BITRATE),
            (Some(Bitrate::bps(0)), OPUS_LEAST_BITRATE),
            (Some(Bitrate::bps(u64::MAX)), OPUS_BITRATE),
        ] {
            assert_eq!(opus_bitrate(most), bitrate, "{most:?}");
        }
    }
}
