//! What outlives a leg's pipeline: its channels, taps and counters.
//!
//! A leg's pipeline is built anew when offer/answer changes keys or codecs. The hub stays, so that
//! sockets, observers and totals do not notice.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use room::ids::LegId;
use room::media_plan::VideoRole;
use room::units::Resolution;
use tokio::sync::{mpsc, watch};

use crate::by_role::ByRole;
use crate::datagram::{Channel, ControlDatagram, Datagram, Medium};
use crate::decoded_frame::DecodedFrame;
use crate::delay_target::{DelayOrigin, DelayTarget};
use crate::graph_input::{GraphInput, GraphInputs};
use crate::leg::inlet::LegInlets;

/// A gap between pictures that people notice as a freeze.
const FREEZE: u64 = 183_000_000;

/// Counters of one leg. Streaming threads count, the media thread reads.
#[derive(Debug, Default)]
pub(crate) struct LegMeters {
    pub(crate) audio: StreamMeters,
    /// Stretches of sound for the leg's encoder, and from its decoder.
    pub(crate) offered_sounds: AtomicU64,
    pub(crate) decoded_sounds: AtomicU64,
    pub(crate) video: ByRole<VideoMeters>,
}

/// Counters of one stream of pictures.
#[derive(Debug, Default)]
pub(crate) struct VideoMeters {
    pub(crate) stream: StreamMeters,
    pub(crate) sent_pictures: AtomicU64,
    pub(crate) dropped_pictures: AtomicU64,
    pub(crate) decoded_pictures: AtomicU64,
    /// Running time of the last decoded picture in nanoseconds; 0 before the first.
    pub(crate) last_decoded: AtomicU64,
    /// Nanoseconds between the last two decoded pictures.
    pub(crate) last_gap: AtomicU64,
    pub(crate) freezes: AtomicU32,
    pub(crate) frozen_nanoseconds: AtomicU64,
    pub(crate) keyframes_requested_by_peer: AtomicU32,
}

/// Counters of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamMeters {
    /// RTP packets and their bytes. RTCP counts in neither, so that the two can be set against each
    /// other.
    pub(crate) sent: PacketMeter,
    pub(crate) received: PacketMeter,
    /// Outgoing datagrams for which the channel had no room, and incoming ones that are no RTP of
    /// this stream.
    pub(crate) dropped: AtomicU64,
    pub(crate) retransmissions: RetransmissionMeters,
}

/// Counters of packets that are sent again.
#[derive(Debug, Default)]
pub(crate) struct RetransmissionMeters {
    /// Packets that the peer was asked for, each time that it was.
    pub(crate) requested: AtomicU64,
    /// Those that came.
    pub(crate) received: AtomicU64,
    /// Those that the peer has asked for and we have sent again.
    pub(crate) sent: AtomicU64,
}

impl RetransmissionMeters {
    pub(crate) fn add(counter: &AtomicU64, packets: u64) {
        counter.fetch_add(packets, Ordering::Relaxed);
    }
}

/// Counters of the RTP packets of one direction.
#[derive(Debug, Default)]
pub(crate) struct PacketMeter {
    pub(crate) packets: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl PacketMeter {
    /// Counts a datagram of this many bytes, if it is RTP.
    pub(crate) fn count(&self, channel: Channel, bytes: usize) {
        match channel {
            Channel::Rtp => {
                self.packets.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            Channel::Rtcp => {}
        }
    }
}

impl LegMeters {
    /// The counters of one stream.
    pub(crate) fn stream(&self, medium: Medium) -> &StreamMeters {
        match medium {
            Medium::Audio => &self.audio,
            Medium::Video => &self.video.main.stream,
            Medium::Slides => &self.video.slides.stream,
        }
    }
}

/// The part of a leg that everybody shares.
#[derive(Debug)]
pub(crate) struct LegHub {
    id: LegId,
    meters: LegMeters,
    inputs: GraphInputs,
    outgoing: Mutex<Option<mpsc::Sender<Datagram>>>,
    /// Where RTCP of the peer goes besides.
    control: mpsc::Sender<ControlDatagram>,
    /// Where datagrams of the peer go; `None` while there is no pipeline.
    inlets: watch::Sender<Option<Arc<LegInlets>>>,
    observers: Mutex<Observers>,
    /// How long after its time sound leaves the decoder. Sound decides for pictures as well.
    sound_delay: Mutex<DelayTarget>,
}

/// Who sees decoded pictures and hears decoded sound.
#[derive(Debug, Default)]
struct Observers {
    video: ByRole<Viewers>,
    mixer: Option<gst_app::AppSrc>,
}

/// Who sees the pictures of one stream.
#[derive(Debug, Default)]
struct Viewers {
    latest: Option<gst::Sample>,
    tap: Option<mpsc::Sender<DecodedFrame>>,
    screen: Option<gst_app::AppSrc>,
}

impl LegHub {
    /// A leg without a pipeline.
    pub(crate) fn new(
        id: LegId,
        outgoing: mpsc::Sender<Datagram>,
        control: mpsc::Sender<ControlDatagram>,
        inputs: GraphInputs,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            meters: LegMeters::default(),
            inputs,
            outgoing: Mutex::new(Some(outgoing)),
            control,
            inlets: watch::channel(None).0,
            observers: Mutex::default(),
            sound_delay: Mutex::new(DelayTarget::new(DelayOrigin::Zero)),
        })
    }

    pub(crate) fn id(&self) -> LegId {
        self.id
    }

    pub(crate) fn meters(&self) -> &LegMeters {
        &self.meters
    }

    /// Tells the media thread something.
    pub(crate) fn tell(&self, input: GraphInput) {
        self.inputs.send(input);
    }

    /// The pipeline's ways in, as they come and go.
    pub(crate) fn watch_inlets(&self) -> watch::Receiver<Option<Arc<LegInlets>>> {
        self.inlets.subscribe()
    }

    /// A pipeline takes the peer's datagrams, or none does any more.
    pub(crate) fn set_inlets(&self, inlets: Option<Arc<LegInlets>>) {
        self.inlets.send_replace(inlets);
    }

    /// Hands a datagram to the network, or drops it, counted.
    pub(crate) fn send(&self, datagram: Datagram) {
        let meters = self.meters.stream(datagram.medium);
        let (channel, bytes) = (datagram.channel, datagram.payload.len());
        let outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        match outgoing
            .as_ref()
            .map(|outgoing| outgoing.try_send(datagram))
        {
            Some(Ok(())) => meters.sent.count(channel, bytes),
            Some(Err(_)) | None => {
                meters.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// RTCP of the peer came, for whoever controls congestion.
    pub(crate) fn received_control(&self, datagram: ControlDatagram) {
        // Full: what is reported is reported again. Closed: nobody wants it.
        let _ = self.control.try_send(datagram);
    }

    /// Ends the leg: no datagram leaves any more, and the owner's channels end.
    pub(crate) fn close(&self) {
        self.outgoing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.set_inlets(None);
        *self.observe() = Observers::default();
    }

    /// Where a picture of the leg is shown.
    pub(crate) fn set_screen(&self, role: VideoRole, screen: Option<gst_app::AppSrc>) {
        self.observe().video.get_mut(role).screen = screen;
    }

    /// Where the leg is heard.
    pub(crate) fn set_mixer(&self, mixer: Option<gst_app::AppSrc>) {
        self.observe().mixer = mixer;
    }

    /// Shows the last decoded picture on a screen that has come since.
    pub(crate) fn show_again(&self, role: VideoRole, now: gst::ClockTime) {
        let observers = self.observe();
        let viewers = observers.video.get(role);
        let (Some(screen), Some(latest)) = (&viewers.screen, &viewers.latest) else {
            return;
        };
        let (Some(mut buffer), Some(caps)) = (latest.buffer_owned(), latest.caps_owned()) else {
            return;
        };
        // The memory stays shared.
        let stamped = buffer.make_mut();
        stamped.set_pts(now);
        stamped.set_dts(None);
        let picture = gst::Sample::builder().buffer(&buffer).caps(&caps).build();
        // Refused only while playout is being taken down.
        let _ = screen.push_sample(&picture);
    }

    /// Who gets a copy of each decoded picture.
    pub(crate) fn set_tap(&self, role: VideoRole, tap: mpsc::Sender<DecodedFrame>) {
        self.observe().video.get_mut(role).tap = Some(tap);
    }

    /// The last decoded picture.
    pub(crate) fn latest_picture(&self, role: VideoRole) -> Option<gst::Sample> {
        self.observe().video.get(role).latest.clone()
    }

    /// Size of the last decoded picture.
    pub(crate) fn received_resolution(&self, role: VideoRole) -> Option<Resolution> {
        let latest = self.latest_picture(role)?;
        let info = gst_video::VideoInfo::from_caps(latest.caps()?).ok()?;
        Some(Resolution {
            width: info.width(),
            height: info.height(),
        })
    }

    /// The pipeline ended: its last pictures are not the peer's pictures any more.
    pub(crate) fn forget_pictures(&self) {
        self.sound_delays().forget();
        for role in VideoRole::ALL {
            self.observe().video.get_mut(role).latest = None;
            self.await_picture(role);
        }
    }

    /// What was decoded so far tells nothing of whether pictures come from now on.
    pub(crate) fn await_picture(&self, role: VideoRole) {
        let meters = self.meters.video.get(role);
        meters.last_decoded.store(0, Ordering::Relaxed);
        meters.last_gap.store(0, Ordering::Relaxed);
    }

    /// A picture was decoded. Runs on the decoder's streaming thread.
    pub(crate) fn picture(&self, role: VideoRole, picture: gst::Sample, now: gst::ClockTime) {
        let mut observers = self.observe();
        let viewers = observers.video.get_mut(role);
        if let Some(screen) = &viewers.screen {
            // Refused only while playout is being taken down.
            let _ = screen.push_sample(&picture);
        }
        if let Some(tap) = &viewers.tap {
            if tap.is_closed() {
                viewers.tap = None;
            } else if let Some(frame) = DecodedFrame::new(&picture, Instant::now()) {
                // Full: the observer is behind and counts what it gets.
                let _ = tap.try_send(frame);
            }
        }
        viewers.latest = Some(picture);
        drop(observers);
        // Last: whoever hears of the first picture may ask for it at once.
        self.count_picture(role, now.nseconds());
    }

    fn count_picture(&self, role: VideoRole, now: u64) {
        let meters = self.meters.video.get(role);
        meters.decoded_pictures.fetch_add(1, Ordering::Relaxed);
        let before = meters.last_decoded.swap(now.max(1), Ordering::Relaxed);
        if before == 0 {
            match role {
                VideoRole::Main => self.tell(GraphInput::FirstFrame(self.id)),
                VideoRole::Slides => {}
            }
            return;
        }
        let gap = now.saturating_sub(before);
        meters.last_gap.store(gap, Ordering::Relaxed);
        // A slide may stand for as long as it is looked at.
        if gap > FREEZE && role == VideoRole::Main {
            meters.freezes.fetch_add(1, Ordering::Relaxed);
            meters.frozen_nanoseconds.fetch_add(gap, Ordering::Relaxed);
        }
    }

    /// Sound was decoded. Runs on the decoder's streaming thread.
    pub(crate) fn sound(&self, sound: gst::Buffer, now: gst::ClockTime) {
        if let Some(due) = sound.pts() {
            let late = i64::try_from(now.useconds()).unwrap_or(i64::MAX / 2);
            let late = late.saturating_sub(i64::try_from(due.useconds()).unwrap_or(0));
            self.sound_delays().observe(late);
        }
        self.meters.decoded_sounds.fetch_add(1, Ordering::Relaxed);
        if let Some(mixer) = &self.observe().mixer {
            // Refused only while playout is being taken down.
            let _ = mixer.push_buffer(sound);
        }
    }

    /// How long sound has to be held so that the decoder has it in time.
    pub(crate) fn sound_delay(&self, now: Instant) -> Duration {
        self.sound_delays().target(now)
    }

    fn sound_delays(&self) -> MutexGuard<'_, DelayTarget> {
        self.sound_delay
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self) -> MutexGuard<'_, Observers> {
        self.observers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtcp_counts_neither_as_packets_nor_as_bytes() {
        let meter = PacketMeter::default();
        meter.count(Channel::Rtp, 1_200);
        meter.count(Channel::Rtcp, 80);
        meter.count(Channel::Rtp, 100);
        assert_eq!(meter.packets.load(Ordering::Relaxed), 2);
        assert_eq!(meter.bytes.load(Ordering::Relaxed), 1_300);
    }
}
