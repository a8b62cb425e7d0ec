//! What a leg exchanges with the network: RTP and RTCP datagrams, as they are on the wire.

use bytes::Bytes;
pub use room::media_plan::Medium;
use tokio::sync::mpsc;

/// Which of a stream's two protocols a datagram belongs to (RFC 3550).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Media packets.
    Rtp,
    /// Control packets.
    Rtcp,
}

/// One RTP or RTCP packet of a leg, protected when the stream has SRTP keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The stream.
    pub medium: Medium,
    /// RTP or RTCP.
    pub channel: Channel,
    /// The packet as it is on the wire.
    pub payload: Bytes,
}

/// One RTCP datagram of a stream, without protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlDatagram {
    /// The stream.
    pub medium: Medium,
    /// The packet, or the packets of a compound one.
    pub payload: Bytes,
}

/// The network side of one leg.
///
/// All channels are bounded and neither side waits for the other: what does not fit is dropped
/// and counted, as a network would. `outgoing` ends when media has removed the leg.
#[derive(Debug)]
pub struct LegDatagrams {
    /// From the peer. Only authenticated packets from the latched address belong here.
    pub incoming: mpsc::Sender<Datagram>,
    /// To the peer.
    pub outgoing: mpsc::Receiver<Datagram>,
    /// RTCP of the peer about pictures, its protection taken off, for who controls congestion. It reaches
    /// media's own session as well. Who needs none drops this end.
    pub received_control: mpsc::Receiver<ControlDatagram>,
    /// Takes feedback about received pictures, one RTCP packet each: it leaves at once, protected as all RTCP
    /// of the stream is. Who reports, bytes 4 to 7, is filled in.
    pub feedback: mpsc::Sender<ControlDatagram>,
}
