//! What a leg hands out: datagrams to send, and events.

use std::net::SocketAddr;

use bytes::Bytes;
use room::media_plan::{LegStreams, Medium};

use crate::address::Protocol;
use crate::transport_feedback::TransportFeedback;

/// What a leg hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Something has happened.
    Event(Event),
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// By what.
    pub protocol: Protocol,
    /// From which of our addresses.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// The datagram.
    pub payload: Bytes,
    /// What it is, for pacing.
    pub kind: DatagramKind,
}

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramKind {
    /// A check of ICE, or its answer (STUN).
    Connectivity,
    /// DTLS: the handshake, and data channels.
    Dtls,
    /// SRTCP.
    Rtcp,
    /// SRTP.
    Rtp {
        /// The stream.
        medium: Medium,
        /// Whether it is sent again: on the browser's request (RFC 4588), or since the browser has reported it as
        /// lost. In the second case the datagram and its transport-wide number are those of the first time.
        retransmission: bool,
        /// Its transport-wide number, extended beyond 16 bits, where the browser takes such numbers
        /// (draft-holmer-rmcat-transport-wide-cc-extensions-01). They grow by one in the order in which
        /// packets are handed out for the first time.
        transport_sequence: Option<u64>,
    },
}

/// Which of the two plain channels of a medium a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
}

/// Something has happened on a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// ICE and DTLS are done: media flows. After [`Event::Disconnected`]: it flows again.
    Connected,
    /// ICE has no working pair of addresses any more. It may find one again; [`Event::Closed`] follows
    /// when that takes longer than the browser's consent lasts.
    Disconnected,
    /// A plain packet for media: RTP with the SSRC and the payload type of the medium, or the sender
    /// reports of the browser with the same SSRC.
    Media {
        /// The stream.
        medium: Medium,
        /// RTP or RTCP.
        channel: Channel,
        /// The packet.
        payload: Bytes,
    },
    /// The browser wants a whole picture.
    KeyframeRequested(Medium),
    /// A new offer or [`Leg::set_direction`](crate::Leg::set_direction) has changed the streams.
    StreamsChanged(LegStreams),
    /// A text has come by a data channel.
    Text {
        /// The channel's name.
        label: String,
        /// The text.
        text: String,
    },
    /// The browser says which packets have reached it, and when.
    TransportFeedback(TransportFeedback),
    /// The browser says how much it wants to get at most, in bits a second, of all streams together
    /// (draft-alvestrand-rmcat-remb-03).
    ReceiverEstimatedMaximumBitrate(u64),
    /// The leg is over. Nothing follows, and nothing more is sent.
    Closed(CloseReason),
}

/// Why a leg is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// [`Leg::close`](crate::Leg::close) was called.
    Local,
    /// The browser has closed the connection.
    Remote,
    /// The browser did not get connected in time.
    NotEstablished,
    /// The browser has not answered for as long as its consent lasts (RFC 7675).
    ConsentLost,
    /// DTLS has failed; the text says how, for logs.
    HandshakeFailed(String),
    /// The browser has gone beyond a limit that no honest one reaches.
    LimitExceeded(&'static str),
    /// The WebRTC engine has come upon a fault of its own.
    EngineFault,
}
