//! What is measured of a leg's media, about once a second.

use std::time::Duration;

use crate::media_plan::RungName;
use crate::units::{Bitrate, Fraction, FrameRate, MeasuredFrameRate, Resolution};

/// The measurements of one leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegStats {
    /// Round trip by RTCP sender and receiver reports (RFC 3550 section 6.4.1); `None` before the
    /// first report of the peer.
    pub round_trip: Option<Duration>,
    /// The audio stream, when there is one.
    pub audio: Option<AudioStats>,
    /// The video stream, when there is one.
    pub video: Option<VideoStats>,
    /// The stream of slides, when there is one.
    pub slides: Option<VideoStats>,
}

/// What audio and video streams have in common. Packets and rates are of RTP alone: RTCP counts in
/// neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Sent, over the last interval, without IP and UDP headers.
    pub send_bitrate: Bitrate,
    /// Received, over the last interval, without IP and UDP headers.
    pub receive_bitrate: Bitrate,
    /// Packets sent since the stream began.
    pub packets_sent: u64,
    /// Packets received since the stream began.
    pub packets_received: u64,
    /// Packets that never came or came too late, since the stream began. Those that were sent again in a
    /// stream of their own count as lost.
    pub packets_lost: u64,
    /// The part of the expected packets that was lost over the last interval.
    pub loss: Fraction,
    /// The loss that the peer last reported of what we send.
    pub peer_loss: Option<Fraction>,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// The jitter that the peer last reported.
    pub peer_jitter: Option<Duration>,
    /// How long the jitter buffer holds packets now.
    pub jitter_buffer: Duration,
    /// Datagrams dropped because a bounded channel was full.
    pub datagrams_dropped: u64,
}

/// The measurements of an audio stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioStats {
    /// Packets, bits and time.
    pub stream: StreamStats,
}

/// Packets that were lost and sent again (RFC 4585, RFC 4588), since the stream began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetransmissionStats {
    /// Packets that we asked the peer for, each time that we did.
    pub requested: u64,
    /// Those that came.
    pub received: u64,
    /// Packets that the peer asked for and we sent again.
    pub sent: u64,
}

/// The encode that a leg takes, shared with the other legs of its rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentRung {
    /// Which one.
    pub name: RungName,
    /// Frames per second that it is to have.
    pub frame_rate: FrameRate,
    /// The encoder's target.
    pub bitrate: Bitrate,
}

/// The measurements of a video stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoStats {
    /// Packets, bits and time.
    pub stream: StreamStats,
    /// Encoded frames handed to this leg, per second.
    pub sent_frame_rate: MeasuredFrameRate,
    /// Decoded frames of this leg, per second.
    pub received_frame_rate: MeasuredFrameRate,
    /// Size of the sent picture.
    pub sent_resolution: Option<Resolution>,
    /// The encode that the leg takes; `None` before its first picture. Slides have one, the high one.
    pub rung: Option<SentRung>,
    /// Size of the last decoded picture.
    pub received_resolution: Option<Resolution>,
    /// Gaps between shown frames above 183 ms, since the stream began.
    pub freezes: u32,
    /// The sum of those gaps.
    pub frozen: Duration,
    /// From the far end's capture to our decoded frame, where the picture carries a clock.
    pub capture_to_decode: Option<Duration>,
    /// Keyframes that the peer asked for.
    pub keyframes_requested_by_peer: u32,
    /// Keyframes that we asked the peer for.
    pub keyframes_requested: u32,
    /// Packets that were lost and sent again, since the stream began.
    pub retransmissions: RetransmissionStats,
    /// The encoder at work.
    pub encoder: Option<String>,
    /// The decoder at work.
    pub decoder: Option<String>,
}
