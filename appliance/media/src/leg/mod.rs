//! One leg: a pipeline around rtpbin, from encoded pictures and raw sound to datagrams and back.
//!
//! ```text
//!              ┌──────────────────────── leg ────────────────────────┐
//!  fan-outs ──►│ send: payloader ──► rtpbin ──► [srtpenc] ──► appsink │──► outgoing
//!  playouts ◄──│ receive: decoder ◄── rtpbin ◄── [srtpdec] ◄── appsrc │◄── incoming
//!              └───────────────────────────────────────────────────────┘
//! ```
//!
//! A leg is built once for what offer/answer settled. Directions change while it runs; anything
//! else builds a new pipeline around the same [`LegHub`].

mod control_outlet;
mod hub;
mod inlet;
mod receive;
mod retransmission;
mod send;
mod statistics;
mod transport;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use room::codec::{Direction, PayloadType, RtcpMode, RtcpSize, VideoFeedback};
use room::dtmf::DtmfDigits;
use room::media_plan::{LegStreams, VideoRole, VideoStream};
use tokio::sync::mpsc;

pub(crate) use hub::{LegHub, StreamMeters};
pub(crate) use inlet::pump;
pub(crate) use retransmission::LossRecovery;
pub(crate) use send::LARGEST_PACKET;
pub(crate) use statistics::SentVideo;

use crate::arrival_delay::ArrivalDelay;
use crate::audio_encode::AudioFormat;
use crate::by_role::ByRole;
use crate::clock::MediaClock;
use crate::datagram::Medium;
use crate::delay_target;
use crate::error::MediaError;
use crate::event::MediaEvent;
use crate::graph_input::GraphInputs;
use crate::leg::control_outlet::ControlOutlet;
use crate::leg::inlet::{LegInlets, StreamInlet};
use crate::leg::send::AudioSend;
use crate::leg::statistics::Statistics;
use crate::leg::transport::{Sources, build_incoming, build_outgoing, session};
use crate::pipeline::{OwnedPipeline, PipelineId, PipelineRole, pad};
use crate::retransmission::Resending;
use crate::shape::{LegDirections, video_of};
use crate::telephone_event::TelephoneEventReceiver;

/// Sources that a peer may have in one session at a time. Each costs a thread and memory.
const MOST_SOURCES: u32 = 4;
/// The least time between two RTCP reports (RFC 4585 section 3.4 lets AVPF lower RFC 3550's 5 s).
const REPORT_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(1_000);

/// Between the end of the jitter buffer's patience and the moment a picture or sound is due:
/// decoding, and concealing what did not come.
const DECODING: Duration = Duration::from_millis(5);
/// The playout delay of a leg of which nothing is known yet.
pub(crate) const FIRST_DELAY: Duration = delay_target::FIRST.saturating_add(DECODING);

/// Smaller changes of a delay are not worth the disturbance.
const SMALLEST_CHANGE: Duration = Duration::from_millis(5);

/// Where one of the two pictures enters a leg's pipeline, and leaves it.
#[derive(Debug)]
struct VideoWay {
    /// Takes encoded pictures.
    inlet: gst_app::AppSrc,
    /// Has what the peer's sources send.
    funnel: gst::Element,
}

/// A running leg.
#[derive(Debug)]
pub(crate) struct Leg {
    pipeline: OwnedPipeline,
    rtpbin: gst::Element,
    hub: Arc<LegHub>,
    inlets: Arc<LegInlets>,
    audio: Option<AudioSend>,
    video: ByRole<Option<VideoWay>>,
    /// How long the jitter buffer waits for a packet.
    jitter_buffer: Duration,
    /// How long after its time a picture or sound is presented.
    playout_delay: Duration,
    statistics: Statistics,
}

impl Leg {
    /// Builds and starts a leg's pipeline.
    pub(crate) fn start(
        streams: &LegStreams,
        hub: &Arc<LegHub>,
        clock: &MediaClock,
        inputs: &GraphInputs,
        events: &mpsc::Sender<MediaEvent>,
    ) -> Result<Self, MediaError> {
        let pipeline = OwnedPipeline::new(PipelineRole::Leg(hub.id()), clock, inputs);
        let rtpbin = pipeline.add(make_rtpbin(streams)?)?;
        let (audio, audio_inlet, audio_funnel) = match &streams.audio {
            None => (None, None, None),
            Some(stream) => {
                let send = send::build_audio(&pipeline, &rtpbin, stream)?;
                let keys = stream.srtp.as_ref();
                build_outgoing(&pipeline, &rtpbin, Medium::Audio, keys, hub)?;
                let funnel = receive::build_audio(&pipeline, stream, hub, clock)?;
                let sources = build_incoming(&pipeline, &rtpbin, Medium::Audio, keys)?;
                let events_type = stream.receive_telephone_event;
                if let Some(payload_type) = events_type {
                    let sink = pad(&rtpbin, "recv_rtp_sink_0")?;
                    let receiver = TelephoneEventReceiver::new(payload_type);
                    receive::watch_events(&sink, receiver, hub, events.clone());
                }
                let types = [Some(stream.receive_payload_type), events_type];
                let types = types
                    .into_iter()
                    .flatten()
                    .map(PayloadType::value)
                    .collect();
                let clock_hz = stream.codec.rtp_clock_hz();
                let delay = new_delay(clock_hz);
                let recovery = stream.generic_nack.then(|| {
                    let control = ControlOutlet::new(&rtpbin, Medium::Audio, stream.rtcp.size)?;
                    let resending = Resending::SamePackets;
                    let recovery =
                        LossRecovery::new(control, Medium::Audio, resending, &delay, hub);
                    Ok::<_, MediaError>(recovery)
                });
                let recovery = recovery.transpose()?;
                let inlet = StreamInlet {
                    recovery,
                    ..stream_inlet(sources, types, stream.direction, delay)
                };
                (Some(send), Some(inlet), Some(funnel))
            }
        };
        let mut video_inlets = ByRole::default();
        let video = ByRole::try_new(|role| {
            let Some(stream) = video_of(streams, role) else {
                return Ok(None);
            };
            let (way, inlet) = build_video(&pipeline, &rtpbin, role, stream, hub, clock)?;
            *video_inlets.get_mut(role) = Some(inlet);
            Ok(Some(way))
        })?;
        let funnel = |way: &Option<VideoWay>| way.as_ref().map(|way| way.funnel.clone());
        let funnels = [audio_funnel, funnel(&video.main), funnel(&video.slides)];
        link_sources(&pipeline, &rtpbin, streams, funnels);
        let mode = |role| video_of(streams, role).map(|video| video.rtcp);
        let modes = [
            streams.audio.as_ref().map(|audio| audio.rtcp),
            mode(VideoRole::Main),
            mode(VideoRole::Slides),
        ];
        for (medium, mode) in Medium::ALL.into_iter().zip(modes) {
            configure_rtcp(&rtpbin, medium, mode.unwrap_or_default());
        }
        for role in VideoRole::ALL {
            if video_of(streams, role).is_some_and(|video| video.feedback.temporary_bitrate) {
                send::obey_bitrate_requests(&rtpbin, role, hub)?;
            }
        }
        pipeline.play()?;
        let inlets = LegInlets {
            audio: audio_inlet,
            video: video_inlets,
            clock: clock.clone(),
        };
        let inlets = Arc::new(inlets);
        hub.set_inlets(Some(Arc::clone(&inlets)));
        let statistics = Statistics::new(hub.meters(), streams);
        let hub = Arc::clone(hub);
        Ok(Self {
            pipeline,
            rtpbin,
            hub,
            inlets,
            audio,
            video,
            jitter_buffer: delay_target::FIRST,
            playout_delay: FIRST_DELAY,
            statistics,
        })
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.pipeline.id()
    }

    /// The way in for encoded sound, and as what it is taken; `None` when audio was refused.
    pub(crate) fn sound_inlet(&self) -> Option<(gst_app::AppSrc, AudioFormat)> {
        let audio = self.audio.as_ref()?;
        Some((audio.inlet.clone(), audio.format()))
    }

    /// The way in for encoded pictures; `None` when their stream was refused.
    pub(crate) fn picture_inlet(&self, role: VideoRole) -> Option<gst_app::AppSrc> {
        let way = self.video.get(role).as_ref()?;
        Some(way.inlet.clone())
    }

    /// What outlives this pipeline.
    pub(crate) fn hub(&self) -> &Arc<LegHub> {
        &self.hub
    }

    /// Follows a hold or its end for what comes in.
    pub(crate) fn set_directions(&self, directions: LegDirections) {
        let LegDirections { audio, video } = directions;
        let inlets = &self.inlets;
        for (inlet, direction) in [
            (&inlets.audio, audio),
            (&inlets.video.main, video.main),
            (&inlets.video.slides, video.slides),
        ] {
            if let (Some(inlet), Some(direction)) = (inlet, direction) {
                inlet.set_direction(direction);
            }
        }
    }

    /// Sends telephone keys; `false` when the peer takes none.
    pub(crate) fn send_dtmf(&self, digits: &DtmfDigits) -> bool {
        self.audio
            .as_ref()
            .is_some_and(|audio| audio.send_dtmf(digits))
    }

    /// How long after its time a picture or sound is presented.
    pub(crate) fn playout_delay(&self) -> Duration {
        self.playout_delay
    }

    /// Follows the network and the decoder: gives the new playout delay when it changes. Picture
    /// and sound share it, so that lips and words stay together.
    pub(crate) fn adapt_delays(&mut self, now: Instant) -> Option<Duration> {
        let jitter_buffer = self.inlets.jitter_buffer(now);
        if jitter_buffer.abs_diff(self.jitter_buffer) >= SMALLEST_CHANGE {
            self.jitter_buffer = jitter_buffer;
            self.rtpbin
                .set_property("latency", jitter_buffer.as_millis() as u32);
        }
        let mut playout_delay = self.jitter_buffer + DECODING;
        if self.audio.is_some() {
            playout_delay = playout_delay.max(self.hub.sound_delay(now));
        }
        if playout_delay.abs_diff(self.playout_delay) < SMALLEST_CHANGE {
            return None;
        }
        self.playout_delay = playout_delay;
        Some(playout_delay)
    }

    /// Asks the peer for a keyframe, where it takes such requests.
    pub(crate) fn request_keyframe_from_peer(&self, role: VideoRole) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(true)
            .build();
        let way = self.video.get(role).as_ref();
        if let Some(pad) = way.and_then(|way| way.funnel.static_pad("src")) {
            pad.send_event(event);
        }
    }

    /// The leg's figures since the last call, and what follows from them.
    pub(crate) fn measure(
        &mut self,
        now: Instant,
        sent: ByRole<Option<SentVideo>>,
    ) -> room::LegStats {
        let stats = self.statistics.measure(
            now,
            &self.rtpbin,
            &self.hub,
            &self.inlets,
            self.jitter_buffer,
            sent,
        );
        let peer_loss = stats
            .audio
            .as_ref()
            .and_then(|audio| audio.stream.peer_loss);
        if let (Some(audio), Some(loss)) = (&mut self.audio, peer_loss) {
            audio.loss_reported(now, loss.as_f64());
        }
        stats
    }
}

fn build_video(
    pipeline: &OwnedPipeline,
    rtpbin: &gst::Element,
    role: VideoRole,
    stream: &VideoStream,
    hub: &Arc<LegHub>,
    clock: &MediaClock,
) -> Result<(VideoWay, StreamInlet), MediaError> {
    let (medium, keys) = (Medium::of_video(role), stream.srtp.as_ref());
    let inlet = send::build_video(pipeline, rtpbin, role, stream, hub)?;
    let protected = build_outgoing(pipeline, rtpbin, medium, keys, hub)?;
    let delay = new_delay(90_000);
    let control = ControlOutlet::new(rtpbin, medium, stream.rtcp.size)?;
    let recovery = repair_losses(rtpbin, medium, stream, &protected, &delay, &control, hub)?;
    let funnel = receive::build_video(pipeline, role, hub, clock, stream.feedback)?;
    let sources = build_incoming(pipeline, rtpbin, medium, keys)?;
    receive::hand_out_control(rtpbin, medium, hub)?;
    let types = [
        Some(stream.receive_payload_type),
        stream.rtx.map(|rtx| rtx.receive),
    ];
    let types = types.into_iter().flatten().map(PayloadType::value);
    let stream_inlet = StreamInlet {
        recovery,
        control: stream.feedback.congestion_control.then_some(control),
        ..stream_inlet(sources, types.collect(), stream.direction, delay)
    };
    Ok((VideoWay { inlet, funnel }, stream_inlet))
}

fn make_rtpbin(streams: &LegStreams) -> Result<gst::Element, MediaError> {
    let feedback = VideoRole::ALL.into_iter().any(|role| {
        let video = video_of(streams, role);
        video.is_some_and(|video| video.feedback != VideoFeedback::NONE)
    });
    let rtpbin = crate::pipeline::make_element("rtpbin", |b| {
        b.property("latency", delay_target::FIRST.as_millis() as u32)
            .property("do-lost", true)
            .property("autoremove", true)
            .property("max-streams", MOST_SOURCES)
            // Timestamps say when light and sound came in, not when they were sent: lips follow.
            .property("rtcp-sync-send-time", false)
            .property_from_str("rtp-profile", if feedback { "avpf" } else { "avp" })
    })?;
    let streams = streams.clone();
    rtpbin.connect("request-pt-map", false, move |values| {
        let number = |index: usize| values.get(index).and_then(|value| value.get::<u32>().ok());
        let caps = number(1)
            .zip(number(2))
            .and_then(|(session, pt)| receive::payload_caps(&streams, session, pt));
        Some(caps.to_value())
    });
    rtpbin.connect("new-jitterbuffer", false, |values| {
        if let Some(buffer) = values
            .get(1)
            .and_then(|value| value.get::<gst::Element>().ok())
        {
            // Otherwise the first packet waits a whole delay for packets before it.
            buffer.set_property("faststart-min-packets", 1_u32);
        }
        None
    });
    Ok(rtpbin)
}

fn link_sources(
    pipeline: &OwnedPipeline,
    rtpbin: &gst::Element,
    streams: &LegStreams,
    funnels: [Option<gst::Element>; 3],
) {
    let funnels = funnels.map(|funnel| funnel.map(|funnel| funnel.downgrade()));
    let events = streams
        .audio
        .as_ref()
        .and_then(|audio| audio.receive_telephone_event);
    let events = events.map(PayloadType::value);
    let pipeline = pipeline.gst().downgrade();
    rtpbin.connect_pad_added(move |_, pad| {
        let Some(pipeline) = pipeline.upgrade() else {
            return;
        };
        if pad.direction() == gst::PadDirection::Src && pad.name().starts_with("recv_rtp_src_") {
            receive::link_source(pad, &pipeline, &funnels, events);
        }
    });
}

fn configure_rtcp(rtpbin: &gst::Element, medium: Medium, mode: RtcpMode) {
    let Some(session) = internal_session(rtpbin, medium) else {
        return;
    };
    session.set_property("rtcp-min-interval", REPORT_INTERVAL.nseconds());
    session.set_property("rtcp-reduced-size", mode.size == RtcpSize::Reduced);
}

/// What rtpbin keeps of a medium's session; `None` before a pad of it was requested.
fn internal_session(rtpbin: &gst::Element, medium: Medium) -> Option<gst::glib::Object> {
    rtpbin.emit_by_name("get-internal-session", &[&session(medium)])
}

fn stream_inlet(
    sources: Sources,
    payload_types: Vec<u8>,
    direction: Direction,
    delay: Arc<Mutex<ArrivalDelay>>,
) -> StreamInlet {
    StreamInlet {
        rtp: sources.rtp,
        rtcp: sources.rtcp,
        payload_types,
        receives: AtomicBool::new(direction.receives()),
        delay,
        recovery: None,
        control: None,
    }
}

fn new_delay(clock_hz: u32) -> Arc<Mutex<ArrivalDelay>> {
    Arc::new(Mutex::new(ArrivalDelay::new(clock_hz)))
}

/// Asks for lost pictures and answers who asks, where both ends take such requests. To be called
/// between the ways out and in.
fn repair_losses(
    rtpbin: &gst::Element,
    medium: Medium,
    stream: &VideoStream,
    protected: &gst::Pad,
    delay: &Arc<Mutex<ArrivalDelay>>,
    control: &ControlOutlet,
    hub: &Arc<LegHub>,
) -> Result<Option<Arc<LossRecovery>>, MediaError> {
    if !stream.feedback.generic_nack {
        return Ok(None);
    }
    retransmission::answer_requests(rtpbin, medium, stream, protected, hub)?;
    let resending = match stream.rtx {
        Some(_) => Resending::OwnStream,
        None => Resending::SamePackets,
    };
    let recovery = LossRecovery::new(control.clone(), medium, resending, delay, hub);
    if let Some(rtx) = stream.rtx {
        let original = stream.receive_payload_type;
        retransmission::unwrap_retransmissions(rtpbin, medium, rtx.receive, original, &recovery);
        if let Some(session) = internal_session(rtpbin, medium) {
            // What is sent again is rare: its source must not have to prove itself each time.
            session.set_property("probation", 1_u32);
        }
    }
    Ok(Some(recovery))
}

impl Drop for Leg {
    /// The hub may get a new pipeline; nothing of this one may reach it any more.
    fn drop(&mut self) {
        self.hub.set_inlets(None);
        self.hub.forget_pictures();
    }
}
