//! The way in for the peer's datagrams.
//!
//! Datagrams wait in their bounded channel until the leg has a pipeline, so that the keyframe
//! which a quick peer sends at once is not lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use room::codec::Direction;
use tokio::sync::{mpsc, watch};

use crate::arrival_delay::ArrivalDelay;
use crate::by_role::ByRole;
use crate::clock::MediaClock;
use crate::datagram::{Channel, ControlDatagram, Datagram, Medium};
use crate::delay_target;
use crate::leg::control_outlet::ControlOutlet;
use crate::leg::hub::{LegHub, StreamMeters};
use crate::leg::retransmission::LossRecovery;
use crate::retransmission::Arrival;
use crate::rtp::RtpHeader;

/// When a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reception {
    at: Instant,
    /// It waited for the pipeline, so its delay tells nothing of the network.
    waited: bool,
}

/// The ways in of one leg's pipeline.
#[derive(Debug)]
pub(crate) struct LegInlets {
    pub(crate) audio: Option<StreamInlet>,
    pub(crate) video: ByRole<Option<StreamInlet>>,
    pub(crate) clock: MediaClock,
}

/// One stream's way in.
#[derive(Debug)]
pub(crate) struct StreamInlet {
    pub(crate) rtp: gst_app::AppSrc,
    pub(crate) rtcp: gst_app::AppSrc,
    /// Payload types that offer/answer settled. Others never reach a demultiplexer.
    pub(crate) payload_types: Vec<u8>,
    pub(crate) receives: AtomicBool,
    pub(crate) delay: Arc<Mutex<ArrivalDelay>>,
    /// Asks for what is lost, where the peer takes such requests.
    pub(crate) recovery: Option<Arc<LossRecovery>>,
    /// The way out of feedback, where the peer takes it.
    pub(crate) control: Option<ControlOutlet>,
}

impl LegInlets {
    /// One stream's way in; `None` when it was refused.
    pub(crate) fn stream(&self, medium: Medium) -> Option<&StreamInlet> {
        match medium {
            Medium::Audio => self.audio.as_ref(),
            Medium::Video => self.video.main.as_ref(),
            Medium::Slides => self.video.slides.as_ref(),
        }
    }

    /// How long packets have to be held: for jitter, or for what is sent again where that is longer. Of
    /// jitter sound decides where there is any: pictures that come a little late are only shown late,
    /// sound that comes late is lost.
    pub(crate) fn jitter_buffer(&self, now: Instant) -> Duration {
        let stream = self.audio.as_ref().or(self.video.main.as_ref());
        let jitter = stream.map_or(delay_target::FIRST, |stream| stream.target(now));
        let waits = self.recoveries().map(|recovery| recovery.wait(now));
        waits.fold(jitter, Duration::max)
    }

    /// Asks for what is missing by now.
    fn ask(&self, now: Instant) {
        self.recoveries().for_each(|recovery| recovery.ask(now));
    }

    /// When to ask for missing packets; `None` while none is missing.
    fn next_request(&self) -> Option<Instant> {
        self.recoveries()
            .filter_map(LossRecovery::next_deadline)
            .min()
    }

    fn recoveries(&self) -> impl Iterator<Item = &LossRecovery> {
        let streams = Medium::ALL
            .into_iter()
            .filter_map(|medium| self.stream(medium));
        streams.filter_map(|stream| stream.recovery.as_deref())
    }

    /// Sends feedback of ours. What finds no way out is out of date by the time there is one.
    fn send_feedback(&self, packet: &ControlDatagram) {
        let stream = self.stream(packet.medium);
        if let Some(control) = stream.and_then(|stream| stream.control.as_ref()) {
            control.send(packet.payload.to_vec());
        }
    }

    /// A datagram arrived.
    fn push(&self, datagram: Datagram, meters: &StreamMeters, arrival: Reception) {
        let taken = self.stream(datagram.medium).is_some_and(|stream| {
            stream.push(datagram.channel, datagram.payload, &self.clock, arrival)
        });
        if !taken {
            meters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl StreamInlet {
    /// Follows a hold or its end.
    pub(crate) fn set_direction(&self, direction: Direction) {
        self.receives.store(direction.receives(), Ordering::Relaxed);
    }

    fn target(&self, now: Instant) -> Duration {
        self.delay
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .target(now)
    }

    fn push(
        &self,
        channel: Channel,
        payload: bytes::Bytes,
        clock: &MediaClock,
        arrival: Reception,
    ) -> bool {
        let source = match channel {
            Channel::Rtcp => &self.rtcp,
            Channel::Rtp => {
                if !self.accepts(&payload, arrival) {
                    return false;
                }
                &self.rtp
            }
        };
        let mut buffer = gst::Buffer::from_slice(payload);
        if let Some(buffer) = buffer.get_mut() {
            // The time of arrival: the jitter buffer reckons with it.
            let at = clock.running_time(arrival.at);
            buffer.set_pts(at);
            buffer.set_dts(at);
        }
        source.push_buffer(buffer).is_ok()
    }

    fn accepts(&self, packet: &[u8], arrival: Reception) -> bool {
        let Some((header, _)) = RtpHeader::parse(packet) else {
            return false;
        };
        if !self.receives.load(Ordering::Relaxed)
            || !self.payload_types.contains(&header.payload_type)
        {
            return false;
        }
        // Only media: a telephone event repeats its timestamp, and what is sent again comes late.
        if self.payload_types.first() != Some(&header.payload_type) {
            return true;
        }
        let recovery = self.recovery.as_ref();
        let arrived = recovery.map(|recovery| recovery.arrived(arrival.at, &header));
        if arrived != Some(Arrival::Requested) && !arrival.waited {
            let mut delay = self.delay.lock().unwrap_or_else(PoisonError::into_inner);
            delay.arrived(arrival.at, header.timestamp);
        }
        true
    }
}

/// Moves a leg's datagrams from their channel into whichever pipeline the leg has, until the owner
/// or the leg is gone. The hub is held only while a datagram is on its way, so that its end is
/// seen.
pub(crate) async fn pump(
    hub: Weak<LegHub>,
    mut inlets: watch::Receiver<Option<Arc<LegInlets>>>,
    mut incoming: mpsc::Receiver<Datagram>,
    mut feedback: mpsc::Receiver<ControlDatagram>,
) {
    while let Some(current) = next_inlets(&mut inlets).await {
        let mut waiting = incoming.len();
        loop {
            let request = current.next_request();
            tokio::select! {
                biased;
                changed = inlets.changed() => {
                    if changed.is_err() { return }
                    break;
                }
                datagram = incoming.recv() => {
                    let (Some(datagram), Some(hub)) = (datagram, hub.upgrade()) else { return };
                    let meters = hub.meters().stream(datagram.medium);
                    meters.received.count(datagram.channel, datagram.payload.len());
                    let arrival = Reception {
                        at: Instant::now(),
                        waited: waiting > 0,
                    };
                    waiting = waiting.saturating_sub(1);
                    current.push(datagram, meters, arrival);
                }
                // Where nobody controls congestion this ends, and the others go on.
                Some(packet) = feedback.recv() => current.send_feedback(&packet),
                () = sleep_until(request), if request.is_some() => {}
            }
            if request.is_some_and(|due| due <= Instant::now()) {
                current.ask(Instant::now());
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline.into()).await;
    }
}

/// The pipeline's ways in, as soon as there is a pipeline; `None` when the leg is gone.
async fn next_inlets(
    inlets: &mut watch::Receiver<Option<Arc<LegInlets>>>,
) -> Option<Arc<LegInlets>> {
    inlets.wait_for(Option::is_some).await.ok()?.clone()
}
