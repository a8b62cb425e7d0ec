//! The network: moves datagrams from one leg to another, and loses some.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use media::{Channel, Datagram, LegDatagrams, Medium};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Packets that have a number and the timestamp of the one before, and carry nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    Arrives,
    /// Somebody on the way has taken it out; its numbers are missing.
    TakenOut,
}

/// So many packets of padding
const PADDING: u64 = 3;
/// after so many others.
const PADDING_AFTER: u64 = 100;

/// A wire between two legs.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    /// RTP packets lost of 1,000.
    pub(crate) loss: u64,
    pub(crate) seed: u64,
    /// What becomes of the padding that a peer sends: three packets after each hundred.
    pub(crate) padding: Option<Padding>,
    /// How long a datagram is on its way.
    pub(crate) delay: Duration,
    /// While true nothing arrives.
    pub(crate) cut: Arc<AtomicBool>,
    /// Largest RTP packet seen, RTP packets of video seen, and NAL unit types seen, as bits.
    pub(crate) largest: Arc<AtomicU64>,
    pub(crate) video_packets: Arc<AtomicU64>,
    pub(crate) nal_types: Arc<AtomicU64>,
    /// Opus packets that repeat the one before at a lower rate.
    pub(crate) opus_with_repetition: Arc<AtomicU64>,
    /// Feedback in plain RTCP: packet type and format (RFC 4585 section 6.1).
    pub(crate) feedback: Arc<Mutex<BTreeSet<(u8, u8)>>>,
}

impl Wire {
    /// Joins two legs, both ways.
    pub(crate) fn join(&self, a: LegDatagrams, b: LegDatagrams) {
        tokio::spawn(self.clone().carry(a.outgoing, b.incoming, 1));
        tokio::spawn(self.clone().carry(b.outgoing, a.incoming, 2));
    }

    async fn carry(
        self,
        mut from: mpsc::Receiver<Datagram>,
        to: mpsc::Sender<Datagram>,
        direction: u64,
    ) {
        let mut random = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ direction;
        let to = self.delayed(to);
        let mut packets = 0;
        while let Some(mut datagram) = from.recv().await {
            self.look_at(&datagram);
            if datagram.channel == Channel::Rtp
                && let Some(padding) = self.padding
            {
                let by = PADDING * (packets / PADDING_AFTER);
                packets += 1;
                datagram.payload = renumbered(&datagram.payload, by);
                if packets % PADDING_AFTER == 0 && padding == Padding::Arrives {
                    for number in 1..=PADDING {
                        let payload = renumbered(&datagram.payload[..12], number);
                        let padding = Datagram {
                            payload,
                            ..datagram.clone()
                        };
                        if to.send(padding).await.is_err() {
                            return;
                        }
                    }
                }
            }
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let lost = datagram.channel == Channel::Rtp && (random >> 33) % 1_000 < self.loss;
            if !lost && !self.cut.load(Ordering::Relaxed) && to.send(datagram).await.is_err() {
                return;
            }
        }
    }

    /// A channel to `to` that takes its time.
    fn delayed(&self, to: mpsc::Sender<Datagram>) -> mpsc::Sender<Datagram> {
        if self.delay.is_zero() {
            return to;
        }
        let (sender, mut on_its_way) = mpsc::channel(4_096);
        let delay = self.delay;
        tokio::spawn(async move {
            while let Some((due, datagram)) = on_its_way.recv().await {
                sleep_until(due).await;
                if to.send(datagram).await.is_err() {
                    return;
                }
            }
        });
        let (entry, mut entered) = mpsc::channel(4_096);
        tokio::spawn(async move {
            while let Some(datagram) = entered.recv().await {
                if sender
                    .send((Instant::now() + delay, datagram))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        entry
    }

    fn look_at(&self, datagram: &Datagram) {
        if datagram.channel == Channel::Rtp && datagram.medium == Medium::Video {
            self.largest
                .fetch_max(datagram.payload.len() as u64, Ordering::Relaxed);
            self.video_packets.fetch_add(1, Ordering::Relaxed);
            let nal_type = datagram.payload.get(12).map_or(0, |byte| byte & 0x1f);
            self.nal_types.fetch_or(1 << nal_type, Ordering::Relaxed);
        }
        if datagram.channel == Channel::Rtcp {
            let mut rest = &datagram.payload[..];
            while let [first, packet_type @ 192..=223, high, low, ..] = *rest {
                if let 205 | 206 = packet_type {
                    let feedback = (packet_type, first & 0x1f);
                    self.feedback.lock().unwrap().insert(feedback);
                }
                let words = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(4 * (words + 1)..).unwrap_or_default();
            }
        }
        if datagram.channel == Channel::Rtp && datagram.medium == Medium::Audio {
            let repeats = repeats_the_packet_before(&datagram.payload[12..]);
            self.opus_with_repetition
                .fetch_add(u64::from(repeats), Ordering::Relaxed);
        }
    }
}

/// The RTP packet with a higher sequence number.
fn renumbered(packet: &[u8], by: u64) -> Bytes {
    let mut packet = packet.to_vec();
    let number = u16::from_be_bytes([packet[2], packet[3]]).wrapping_add(by as u16);
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet.into()
}

/// Whether an Opus packet of 20 ms carries a low bit-rate copy of the packet before: the LBRR flag,
/// which follows the one bit of voice activity of a mono SILK frame (RFC 6716 sections 3.1, 4.2.3
/// and 4.2.4).
fn repeats_the_packet_before(packet: &[u8]) -> bool {
    let [toc, first, ..] = packet else {
        return false;
    };
    let (configuration, is_stereo) = (toc >> 3, toc & 4 != 0);
    let has_silk_of_20_ms = matches!(configuration, 1 | 5 | 9 | 13 | 15);
    has_silk_of_20_ms && !is_stereo && first & 0x40 != 0
}
