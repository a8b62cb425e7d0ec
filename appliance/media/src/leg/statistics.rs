//! A leg's figures: our own counters, and what rtpbin knows from RTCP.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use room::leg_stats::{
    AudioStats, LegStats, RetransmissionStats, SentRung, StreamStats, VideoStats,
};
use room::media_plan::{LegStreams, Rung, RungName, VideoRole};
use room::units::{Bitrate, Fraction, MeasuredFrameRate};

use crate::by_role::ByRole;
use crate::datagram::Medium;
use crate::leg::LossRecovery;
use crate::leg::hub::{LegHub, LegMeters, StreamMeters};
use crate::leg::inlet::LegInlets;
use crate::leg::receive::VIDEO_DECODER;
use crate::leg::transport::session;
use crate::shape::video_of;

/// The encode that a leg takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentVideo {
    pub(crate) name: RungName,
    pub(crate) rung: Rung,
    pub(crate) encoder: &'static str,
}

/// Remembers the counters of the last measurement.
#[derive(Debug)]
pub(super) struct Statistics {
    audio: Option<StreamMemory>,
    video: ByRole<Option<VideoMemory>>,
    measured: Instant,
}

#[derive(Clone, Copy, Debug)]
struct VideoMemory {
    stream: StreamMemory,
    sent_pictures: u64,
    decoded_pictures: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct StreamMemory {
    clock_hz: u32,
    sent_bytes: u64,
    received_bytes: u64,
    received_packets: u64,
    lost_packets: u64,
}

/// What rtpbin knows of a session.
#[derive(Clone, Copy, Debug, Default)]
struct SessionReport {
    received_packets: u64,
    lost_packets: u64,
    jitter: u32,
    sent_keyframe_requests: u32,
    peer: Option<PeerReport>,
}

/// The peer's last receiver report (RFC 3550 section 6.4.2).
#[derive(Clone, Copy, Debug)]
struct PeerReport {
    /// In 256ths.
    fraction_lost: u32,
    jitter: u32,
    /// In 65,536ths of a second; zero before it can be known.
    round_trip: u32,
}

impl Statistics {
    pub(super) fn new(meters: &LegMeters, streams: &LegStreams) -> Self {
        let memory = |clock_hz, meters: &StreamMeters| StreamMemory {
            clock_hz,
            sent_bytes: meters.sent.bytes.load(Ordering::Relaxed),
            received_bytes: meters.received.bytes.load(Ordering::Relaxed),
            received_packets: 0,
            lost_packets: 0,
        };
        let audio = streams.audio.as_ref();
        Self {
            audio: audio.map(|audio| memory(audio.codec.rtp_clock_hz(), &meters.audio)),
            video: ByRole::new(|role| {
                video_of(streams, role)?;
                let meters = meters.video.get(role);
                Some(VideoMemory {
                    stream: memory(90_000, &meters.stream),
                    sent_pictures: meters.sent_pictures.load(Ordering::Relaxed),
                    decoded_pictures: meters.decoded_pictures.load(Ordering::Relaxed),
                })
            }),
            measured: Instant::now(),
        }
    }

    /// The figures since the last call.
    pub(super) fn measure(
        &mut self,
        now: Instant,
        rtpbin: &gst::Element,
        hub: &LegHub,
        inlets: &LegInlets,
        delay: Duration,
        sent: ByRole<Option<SentVideo>>,
    ) -> LegStats {
        let seconds = now
            .saturating_duration_since(self.measured)
            .as_secs_f64()
            .max(0.001);
        self.measured = now;
        let meters = hub.meters();
        let mut round_trip = None;
        let mut stream = |medium: Medium, memory: &mut StreamMemory| {
            let recovery = inlets
                .stream(medium)
                .and_then(|stream| stream.recovery.as_deref());
            let sent_again = recovery.and_then(LossRecovery::source);
            let report = session_report(rtpbin, session(medium), sent_again);
            round_trip = round_trip.or(report.round_trip());
            (
                memory.stats(seconds, meters.stream(medium), &report, delay),
                report,
            )
        };
        let audio = self
            .audio
            .as_mut()
            .map(|memory| stream(Medium::Audio, memory).0);
        let mut video = |role: VideoRole| {
            let memory = self.video.get_mut(role).as_mut()?;
            let (stream, report) = stream(Medium::of_video(role), &mut memory.stream);
            Some(VideoStats {
                keyframes_requested: report.sent_keyframe_requests,
                ..memory.stats(seconds, hub, role, stream, *sent.get(role))
            })
        };
        let (video, slides) = (video(VideoRole::Main), video(VideoRole::Slides));
        LegStats {
            round_trip,
            audio: audio.map(|stream| AudioStats { stream }),
            video,
            slides,
        }
    }
}

impl VideoMemory {
    fn stats(
        &mut self,
        seconds: f64,
        hub: &LegHub,
        role: VideoRole,
        stream: StreamStats,
        sent: Option<SentVideo>,
    ) -> VideoStats {
        let meters = hub.meters().video.get(role);
        let again = &meters.stream.retransmissions;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let rate = |counter: &AtomicU64, before: &mut u64| {
            let count = counter.load(Ordering::Relaxed);
            let new = count.saturating_sub(std::mem::replace(before, count));
            MeasuredFrameRate::fps(new as f64 / seconds)
        };
        VideoStats {
            stream,
            sent_frame_rate: rate(&meters.sent_pictures, &mut self.sent_pictures),
            received_frame_rate: rate(&meters.decoded_pictures, &mut self.decoded_pictures),
            sent_resolution: sent.map(|sent| sent.rung.resolution),
            rung: sent.map(|sent| SentRung {
                name: sent.name,
                frame_rate: sent.rung.frame_rate,
                bitrate: sent.rung.bitrate,
            }),
            received_resolution: hub.received_resolution(role),
            freezes: meters.freezes.load(Ordering::Relaxed),
            frozen: Duration::from_nanos(meters.frozen_nanoseconds.load(Ordering::Relaxed)),
            // Whoever knows the far end's clock can tell; RTP alone cannot.
            capture_to_decode: None,
            keyframes_requested_by_peer: meters.keyframes_requested_by_peer.load(Ordering::Relaxed),
            keyframes_requested: 0,
            retransmissions: RetransmissionStats {
                requested: load(&again.requested),
                received: load(&again.received),
                sent: load(&again.sent),
            },
            encoder: sent.map(|sent| sent.encoder.to_owned()),
            decoder: Some(VIDEO_DECODER.to_owned()),
        }
    }
}

impl StreamMemory {
    fn stats(
        &mut self,
        seconds: f64,
        meters: &StreamMeters,
        report: &SessionReport,
        delay: Duration,
    ) -> StreamStats {
        let (sent, received) = (
            meters.sent.bytes.load(Ordering::Relaxed),
            meters.received.bytes.load(Ordering::Relaxed),
        );
        let bitrate = |bytes: u64| Bitrate::bps((bytes as f64 * 8.0 / seconds) as u64);
        let new_lost = report.lost_packets.saturating_sub(self.lost_packets);
        let new_received = report
            .received_packets
            .saturating_sub(self.received_packets);
        let jitter = |ticks: u32| {
            Duration::from_secs_f64(f64::from(ticks) / f64::from(self.clock_hz.max(1)))
        };
        let stats = StreamStats {
            send_bitrate: bitrate(sent.saturating_sub(self.sent_bytes)),
            receive_bitrate: bitrate(received.saturating_sub(self.received_bytes)),
            packets_sent: meters.sent.packets.load(Ordering::Relaxed),
            packets_received: meters.received.packets.load(Ordering::Relaxed),
            packets_lost: report.lost_packets,
            loss: Fraction::new(new_lost as f64 / (new_lost + new_received).max(1) as f64),
            peer_loss: report
                .peer
                .map(|peer| Fraction::new(f64::from(peer.fraction_lost) / 256.0)),
            jitter: jitter(report.jitter),
            peer_jitter: report.peer.map(|peer| jitter(peer.jitter)),
            jitter_buffer: delay,
            datagrams_dropped: meters.dropped.load(Ordering::Relaxed),
        };
        *self = Self {
            clock_hz: self.clock_hz,
            sent_bytes: sent,
            received_bytes: received,
            received_packets: report.received_packets,
            lost_packets: report.lost_packets,
        };
        stats
    }
}

impl SessionReport {
    fn round_trip(&self) -> Option<Duration> {
        let round_trip = self.peer?.round_trip;
        (round_trip > 0).then(|| Duration::from_secs_f64(f64::from(round_trip) / 65_536.0))
    }

    fn add_source(&mut self, source: &gst::StructureRef) {
        let number = |field: &str| source.get::<u32>(field).unwrap_or(0);
        if source.get::<bool>("internal").unwrap_or(false) {
            return;
        }
        self.received_packets += source.get::<u64>("packets-received").unwrap_or(0);
        let lost = source.get::<i32>("packets-lost").unwrap_or(0);
        self.lost_packets += u64::try_from(lost).unwrap_or(0);
        self.jitter = self.jitter.max(number("jitter"));
        self.sent_keyframe_requests += number("sent-pli-count") + number("sent-fir-count");
        if source.get::<bool>("have-rb").unwrap_or(false) {
            self.peer = Some(PeerReport {
                fraction_lost: number("rb-fractionlost"),
                jitter: number("rb-jitter"),
                round_trip: number("rb-round-trip"),
            });
        }
    }
}

/// What the session knows, save of the source by which the peer sends packets again.
fn session_report(rtpbin: &gst::Element, session: u32, sent_again: Option<u32>) -> SessionReport {
    let mut report = SessionReport::default();
    let session = rtpbin.emit_by_name::<Option<glib::Object>>("get-internal-session", &[&session]);
    let Some(stats) = session.map(|session| session.property::<gst::Structure>("stats")) else {
        return report;
    };
    if let Ok(sources) = stats.get::<glib::ValueArray>("source-stats") {
        for source in sources.iter() {
            if let Ok(source) = source.get::<gst::Structure>()
                && (sent_again.is_none() || source.get::<u32>("ssrc").ok() != sent_again)
            {
                report.add_source(&source);
            }
        }
    }
    report
}
