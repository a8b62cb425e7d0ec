//! Lost packets of pictures in a leg's pipeline: asking the peer for them, and answering the peer.
//!
//! ```text
//!  inlet ──► [LossRecovery] ──NACK──► (the way out of RTCP)
//!              ▲
//!  rtpbin: session ──► [unwrap RTX] ──► jitter buffer
//!
//!  rtpbin.send_rtp_src ──┬──► [srtpenc] ──┬──► appsink
//!                        │                │
//!           with RTX: [Resender]   without: [Resender]      ◄── NACK of the peer
//! ```
//!
//! Our NACKs leave at once, beside what rtpbin sends: its own would come too late for a jitter
//! buffer that is as short as ours. The packets are taken apart behind the session, so that reports
//! to the peer count what the network lost, and what is sent again as a source of its own. That of ours
//! sends no reports: nothing is played from it, and its packets carry the times of the pictures.
//!
//! A packet that is sent again in a stream of its own is a new packet of SRTP. One that is sent again
//! as it is must be the very same datagram: to protect it anew under its old index would be the same
//! keystream twice, and under a new one another packet (RFC 3711 section 9.1).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use room::codec::PayloadType;
use room::media_plan::VideoStream;

use crate::arrival_delay::ArrivalDelay;
use crate::datagram::Medium;
use crate::error::MediaError;
use crate::leg::control_outlet::ControlOutlet;
use crate::leg::hub::{LegHub, RetransmissionMeters};
use crate::leg::internal_session;
use crate::leg::transport::session;
use crate::pipeline::{make_element, pad};
use crate::retransmission::{
    Arrival, LostPackets, Resending, RetransmissionWait, RtxStream, SentAgain, SentPackets, nack,
};
use crate::rtp::RtpHeader;

/// Packets that one request of a peer may name: as many as we would ask for.
const MOST_A_REQUEST: usize = 256;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the peer for what was lost of one stream.
#[derive(Debug)]
pub(crate) struct LossRecovery {
    lost: Mutex<LostPackets>,
    wait: Mutex<RetransmissionWait>,
    /// When the packets of the stream come that were not lost.
    delay: Arc<Mutex<ArrivalDelay>>,
    /// The source of the peer's packets that are sent again.
    source: Mutex<Option<u32>>,
    medium: Medium,
    control: ControlOutlet,
    hub: Weak<LegHub>,
}

impl LossRecovery {
    /// For a stream whose ways out rtpbin has already.
    pub(super) fn new(
        control: ControlOutlet,
        medium: Medium,
        resending: Resending,
        delay: &Arc<Mutex<ArrivalDelay>>,
        hub: &Arc<LegHub>,
    ) -> Arc<Self> {
        Arc::new(Self {
            lost: Mutex::new(LostPackets::new(resending)),
            wait: Mutex::new(RetransmissionWait::new()),
            delay: Arc::clone(delay),
            source: Mutex::new(None),
            medium,
            control,
            hub: Arc::downgrade(hub),
        })
    }

    /// A packet of the stream itself came.
    pub(crate) fn arrived(&self, now: Instant, header: &RtpHeader) -> Arrival {
        let arrival = lock(&self.lost).arrived(now, header.ssrc, header.sequence);
        match arrival {
            Arrival::Regular => {}
            Arrival::Requested => self.note_sent_again(now, header.timestamp),
        }
        arrival
    }

    /// Sends what the peer is to be asked for by now.
    pub(crate) fn ask(&self, now: Instant) {
        let request = lock(&self.lost).poll(now);
        if let Some(request) = request
            && self
                .control
                .send(nack::packet(0, request.ssrc, &request.sequences))
        {
            let count = request.sequences.len() as u64;
            self.count(|meters| RetransmissionMeters::add(&meters.requested, count));
        }
    }

    /// When to ask again; `None` while nothing is missing.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        lock(&self.lost).next_deadline()
    }

    /// How long the jitter buffer is to wait for packets that are sent again.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        lock(&self.wait).target(now)
    }

    /// The source by which the peer sends packets again, once it has.
    pub(crate) fn source(&self) -> Option<u32> {
        *lock(&self.source)
    }

    /// The packet that was lost, from one of the stream of retransmissions; `None` for one that
    /// nobody waits for.
    fn unwrap(&self, now: Instant, packet: &[u8], payload_type: u8) -> Option<Vec<u8>> {
        let again = SentAgain::parse(packet)?;
        *lock(&self.source) = Some(again.header.ssrc);
        let ssrc = lock(&self.lost).sent_again(now, again.original_sequence)?;
        self.note_sent_again(now, again.header.timestamp);
        Some(again.unwrap(ssrc, payload_type))
    }

    fn note_sent_again(&self, now: Instant, timestamp: u32) {
        self.count(|meters| RetransmissionMeters::add(&meters.received, 1));
        if let Some(late) = lock(&self.delay).lateness(now, timestamp) {
            lock(&self.wait).observe(now, late);
        }
    }

    fn count(&self, count: impl FnOnce(&RetransmissionMeters)) {
        if let Some(hub) = self.hub.upgrade() {
            count(&hub.meters().stream(self.medium).retransmissions);
        }
    }
}

/// Lets rtpbin put packets that were sent again in their places. To be called before its way in is
/// asked for.
pub(super) fn unwrap_retransmissions(
    rtpbin: &gst::Element,
    medium: Medium,
    rtx: PayloadType,
    original: PayloadType,
    recovery: &Arc<LossRecovery>,
) {
    let (rtx, original) = (rtx.value(), original.value());
    let recovery = Arc::downgrade(recovery);
    rtpbin.connect("request-aux-receiver", false, move |values| {
        let number = values.get(1).and_then(|value| value.get::<u32>().ok());
        let wanted = number == Some(session(medium));
        let element = wanted.then(|| unwrapper(medium, rtx, original, recovery.clone()));
        let element = element.and_then(|built| {
            built
                .inspect_err(|error| tracing::warn!(%error, "packets sent again are not used"))
                .ok()
        });
        Some(element.to_value())
    });
}

/// An element as rtpbin wants it: its pads are named after the session.
fn unwrapper(
    medium: Medium,
    rtx: u8,
    original: u8,
    recovery: Weak<LossRecovery>,
) -> Result<gst::Element, MediaError> {
    let identity = make_element("identity", |b| b.property("silent", true))?;
    let bin = gst::Bin::new();
    let refused = |_| MediaError::Link {
        what: "retransmissions".to_owned(),
    };
    bin.add(&identity).map_err(refused)?;
    for name in ["sink", "src"] {
        let inner = pad(&identity, name)?;
        let outer = gst::GhostPad::builder_with_target(&inner)
            .map_err(refused)?
            .name(format!("{name}_{}", session(medium)))
            .build();
        bin.add_pad(&outer).map_err(refused)?;
    }
    pad(&identity, "src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        let packet = buffer.map_readable().ok();
        let header = packet.as_ref().and_then(|packet| RtpHeader::parse(packet));
        if header.is_none_or(|(header, _)| header.payload_type != rtx) {
            return gst::PadProbeReturn::Ok;
        }
        let found = packet
            .zip(recovery.upgrade())
            .and_then(|(packet, recovery)| recovery.unwrap(Instant::now(), &packet, original));
        let Some(found) = found else {
            // GStreamer complains about a buffer that bindings have dropped by that name.
            return gst::PadProbeReturn::Handled;
        };
        *buffer = stamped(gst::Buffer::from_slice(found), buffer);
        gst::PadProbeReturn::Ok
    });
    Ok(bin.upcast())
}

/// The buffer with the times of another one.
fn stamped(mut buffer: gst::Buffer, like: &gst::BufferRef) -> gst::Buffer {
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(like.pts());
        buffer.set_dts(like.dts());
    }
    buffer
}

/// Sends packets of one stream again.
struct Resender {
    packets: Mutex<KeptPackets>,
    /// By which stream; `None` sends the datagrams themselves.
    stream: Option<Mutex<RtxStream>>,
    /// Behind which packets are kept, and go out again.
    source: glib::WeakRef<gst::Pad>,
    medium: Medium,
    hub: Weak<LegHub>,
}

#[derive(Default)]
struct KeptPackets {
    ssrc: u32,
    packets: SentPackets<gst::Buffer>,
}

/// Answers requests of the peer for packets of a stream of ours. `protected` is the pad by which the
/// datagrams leave.
pub(super) fn answer_requests(
    rtpbin: &gst::Element,
    medium: Medium,
    stream: &VideoStream,
    protected: &gst::Pad,
    hub: &Arc<LegHub>,
) -> Result<(), MediaError> {
    let Some(rtp_session) = internal_session(rtpbin, medium) else {
        return Ok(());
    };
    let plain = pad(rtpbin, &format!("send_rtp_src_{}", session(medium)))?;
    let source = match stream.rtx {
        Some(_) => &plain,
        None => protected,
    };
    let stream = stream.rtx.map(|rtx| {
        let ours = rtp_session.property::<u32>("internal-ssrc");
        let ssrc = match glib::random_int() {
            // Two streams of one source would share the keystream of SRTP.
            ssrc if ssrc == ours => !ssrc,
            ssrc => ssrc,
        };
        // Low, so that a receiver which misses the first ones does not miss that they have wrapped: it
        // would never find the index of SRTP (RFC 3711 section 3.3.1).
        let first = (glib::random_int() & 0x7fff) as u16;
        Mutex::new(RtxStream::new(ssrc, rtx.send.value(), first))
    });
    let resender = Arc::new(Resender {
        packets: Mutex::default(),
        stream,
        source: source.downgrade(),
        medium,
        hub: Arc::downgrade(hub),
    });
    let keeper = Arc::clone(&resender);
    let buffers = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    source.add_probe(buffers, move |_, info| {
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => keeper.keep(buffer),
            Some(gst::PadProbeData::BufferList(list)) => {
                list.iter_owned().for_each(|buffer| keeper.keep(&buffer));
            }
            Some(_) | None => {}
        }
        gst::PadProbeReturn::Ok
    });
    rtp_session.connect("on-feedback-rtcp", false, move |values| {
        let number = |index: usize| values.get(index)?.get::<u32>().ok();
        if (number(1)?, number(2)?) == (nack::TRANSPORT_FEEDBACK, nack::GENERIC_NACK) {
            let entries = values.get(5)?.get::<gst::Buffer>().ok()?;
            resender.answer(number(4)?, &entries.map_readable().ok()?);
        }
        None
    });
    Ok(())
}

impl Resender {
    fn keep(&self, buffer: &gst::Buffer) {
        let header = buffer
            .map_readable()
            .ok()
            .and_then(|packet| Some(RtpHeader::parse(&packet)?.0));
        let Some(header) = header else { return };
        let mut kept = lock(&self.packets);
        if kept.ssrc != header.ssrc {
            *kept = KeptPackets {
                ssrc: header.ssrc,
                ..KeptPackets::default()
            };
        }
        let (now, bytes) = (Instant::now(), buffer.size());
        kept.packets
            .sent(now, header.sequence, bytes, buffer.clone());
    }

    /// Sends what the entries of a request for packets of `media` name, as far as it may.
    fn answer(&self, media: u32, entries: &[u8]) {
        let now = Instant::now();
        let mut kept = lock(&self.packets);
        if kept.ssrc != media {
            return;
        }
        let again: Vec<gst::Buffer> = nack::read(entries)
            .take(MOST_A_REQUEST)
            .filter_map(|sequence| kept.packets.again(now, sequence))
            .collect();
        drop(kept);
        let Some(next) = self.source.upgrade().and_then(|source| source.peer()) else {
            return;
        };
        let mut sent = 0;
        for buffer in again {
            let buffer = match &self.stream {
                None => Some(buffer),
                Some(stream) => wrap(&mut lock(stream), &buffer),
            };
            let left = buffer.is_some_and(|buffer| next.chain(buffer).is_ok());
            sent += u64::from(left);
        }
        if let Some(hub) = self.hub.upgrade() {
            let meters = &hub.meters().stream(self.medium).retransmissions;
            RetransmissionMeters::add(&meters.sent, sent);
        }
    }
}

fn wrap(stream: &mut RtxStream, buffer: &gst::Buffer) -> Option<gst::Buffer> {
    let packet = stream.wrap(&buffer.map_readable().ok()?)?;
    Some(stamped(gst::Buffer::from_slice(packet), buffer))
}
