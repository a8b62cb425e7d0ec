//! What a leg counts.

use std::net::SocketAddr;
use std::time::Duration;

use room::media_plan::Medium;
use room::units::Bitrate;

use crate::address::Protocol;
use crate::simulcast::SimulcastLayer;

/// How a leg does. Figures are those of the last second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LegStats {
    /// From a check of ICE to its answer.
    pub round_trip_time: Option<Duration>,
    /// The addresses that are used.
    pub candidate_pair: Option<CandidatePair>,
    /// The share of all that we sent that was lost, 0 to 1, as the browser's transport-wide reports say.
    pub sent_loss: Option<f32>,
    /// Each stream that was settled.
    pub streams: Vec<StreamStats>,
}

/// The addresses that a leg uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidatePair {
    /// What is spoken.
    pub protocol: Protocol,
    /// Our address.
    pub local: SocketAddr,
    /// How ours is reached.
    pub local_kind: CandidateKind,
    /// The browser's address.
    pub remote: SocketAddr,
    /// How the browser's is reached.
    pub remote_kind: CandidateKind,
}

/// How an address is reached (RFC 8445 section 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the machine itself.
    Host,
    /// What a NAT shows, learned from a STUN server.
    ServerReflexive,
    /// What a NAT shows, learned from a check.
    PeerReflexive,
    /// An address at a TURN server.
    Relayed,
}

impl CandidateKind {
    /// The name in session descriptions (RFC 8839 section 5.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }

    pub(crate) const fn of_engine(kind: str0m::CandidateKind) -> Self {
        match kind {
            str0m::CandidateKind::Host => Self::Host,
            str0m::CandidateKind::ServerReflexive => Self::ServerReflexive,
            str0m::CandidateKind::PeerReflexive => Self::PeerReflexive,
            str0m::CandidateKind::Relayed => Self::Relayed,
        }
    }
}

/// How one stream does, both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamStats {
    /// Which stream.
    pub medium: Medium,
    /// Payload that we send, retransmissions included.
    pub sent_bitrate: Bitrate,
    /// Packets that we have sent so far, retransmissions included.
    pub sent_packets: u64,
    /// The share that the browser has lost of it, 0 to 1 (receiver reports).
    pub sent_loss: Option<f32>,
    /// The jitter that the browser sees (RFC 3550 section 6.4.1).
    pub sent_jitter: Option<Duration>,
    /// Requests to send packets again that have come so far.
    pub nacks_received: u64,
    /// Requests for a whole picture that have come so far.
    pub keyframe_requests_received: u64,
    /// How many earlier packets each packet of sound carries, 0 to 2 (RFC 2198).
    pub redundancy: u8,
    /// The layer that media gets, where the browser sends two (RFC 8853). Loss and jitter of what is received are
    /// of this layer; the other figures are of both.
    pub received_layer: Option<SimulcastLayer>,
    /// Payload that comes, retransmissions included.
    pub received_bitrate: Bitrate,
    /// Packets that have come so far, retransmissions included.
    pub received_packets: u64,
    /// The share that was lost on the way to us, 0 to 1.
    pub received_loss: Option<f32>,
    /// The jitter that we see.
    pub received_jitter: Option<Duration>,
    /// Requests to send packets again that we have made so far.
    pub nacks_sent: u64,
    /// Requests for a whole picture that we have made so far.
    pub keyframe_requests_sent: u64,
}

impl StreamStats {
    /// Of a stream on which nothing has gone yet.
    #[must_use]
    pub fn of(medium: Medium) -> Self {
        Self {
            medium,
            sent_bitrate: Bitrate::bps(0),
            sent_packets: 0,
            sent_loss: None,
            sent_jitter: None,
            nacks_received: 0,
            keyframe_requests_received: 0,
            redundancy: 0,
            received_layer: None,
            received_bitrate: Bitrate::bps(0),
            received_packets: 0,
            received_loss: None,
            received_jitter: None,
            nacks_sent: 0,
            keyframe_requests_sent: 0,
        }
    }
}

/// A bitrate from a counter of bytes that is looked at now and then.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<(std::time::Instant, u64)>,
}

impl Meter {
    /// The counter stands at `bytes`: the bitrate since it was looked at last.
    pub(crate) fn read(&mut self, now: std::time::Instant, bytes: u64) -> Bitrate {
        let last = self.last.replace((now, bytes));
        let rate = last.and_then(|(at, before)| {
            let elapsed = now.saturating_duration_since(at).as_micros();
            let bits = u128::from(bytes.saturating_sub(before)) * 8;
            (bits * 1_000_000).checked_div(elapsed)
        });
        Bitrate::bps(rate.and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0))
    }
}

/// Jitter counts ticks of the stream's RTP clock.
pub(crate) fn jitter(ticks: u32, clock_hz: u32) -> Duration {
    Duration::from_secs(1) * ticks / clock_hz.max(1)
}
