//! What we send on a leg: encoded pictures and encoded sound, which it shares with other legs.
//!
//! ```text
//!  fan-out ──► appsrc ──► rtph264pay ──► rtpbin
//!  fan-out ──► appsrc ──► payloader ──► [telephone keys] ──► rtpbin
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use room::codec::AudioCodec;
use room::media_plan::{AudioStream, VideoRole, VideoStream};
use room::units::Bitrate;

use crate::audio_encode::{AudioFormat, LossToBear};
use crate::bitrate_request::{BITRATE_REQUEST, BitrateRequests, TRANSPORT_FEEDBACK};
use crate::datagram::Medium;
use crate::error::MediaError;
use crate::graph_input::GraphInput;
use crate::leg::hub::LegHub;
use crate::leg::internal_session;
use crate::leg::transport::session;
use crate::pipeline::{OwnedPipeline, link, link_pads, live_source, pad};
use crate::rtp::RtpHeader;
use crate::telephone_event::TelephoneEventSender;

/// The largest RTP packet before protection: with SRTP, UDP and IPv6 it fits into the 1280 bytes
/// that every path carries.
pub(crate) const LARGEST_PACKET: u32 = 1_200;
/// One packet of sound, in nanoseconds.
const PACKET_TIME: i64 = 20_000_000;
/// How long a notification may wait for company, so that a peer does not ask again meanwhile.
const NOTIFICATION_DELAY: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// Packets of sound that may wait for a leg, each of 20 ms.
const SOUND_QUEUE: u64 = 5;

/// The sound that leaves a leg.
#[derive(Debug)]
pub(super) struct AudioSend {
    pub(super) inlet: gst_app::AppSrc,
    codec: AudioCodec,
    most: Option<Bitrate>,
    loss: LossToBear,
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

    /// The peer reports how much of our sound it loses, 0 to 1.
    pub(super) fn loss_reported(&mut self, now: Instant, lost: f64) {
        self.loss.reported(now, lost);
    }

    /// As what the leg takes the room's sound.
    pub(super) fn format(&self) -> AudioFormat {
        AudioFormat::new(self.codec, self.most, self.loss.expected())
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
    let inlet = pipeline.add(live_source("encoded-audio", SOUND_QUEUE, Duration::ZERO))?;
    let payloader = payloader(pipeline, stream)?;
    link(&[inlet.upcast_ref(), &payloader])?;
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
        codec: stream.codec,
        most: stream.max_bitrate,
        loss: LossToBear::default(),
        events,
    })
}

fn payloader(pipeline: &OwnedPipeline, stream: &AudioStream) -> Result<gst::Element, MediaError> {
    let (codec, payload_type) = (stream.codec, stream.send_payload_type);
    let factory = match codec {
        AudioCodec::Opus => "rtpopuspay",
        AudioCodec::G722 => "rtpg722pay",
        AudioCodec::Pcmu => "rtppcmupay",
        AudioCodec::Pcma => "rtppcmapay",
    };
    pipeline.make(factory, |b| {
        let b = b
            .property("pt", u32::from(payload_type.value()))
            .property("mtu", LARGEST_PACKET);
        match codec {
            AudioCodec::Opus => b,
            AudioCodec::G722 | AudioCodec::Pcmu | AudioCodec::Pcma => b
                .property("min-ptime", PACKET_TIME)
                .property("max-ptime", PACKET_TIME),
        }
    })
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
