//! What can go wrong in a WebRTC leg.

use room::media_plan::Medium;

/// Why a WebRTC leg cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session description cannot be read, or contradicts itself.
    #[error("the session description cannot be read: {0}")]
    Description(String),
    /// The session description is longer than this crate reads.
    #[error("the session description has {length} bytes; at most {limit} are read")]
    DescriptionTooLong {
        /// Bytes that came.
        length: usize,
        /// Bytes that are read at most.
        limit: usize,
    },
    /// There is more of something in the session description than this crate reads.
    #[error("the session description has too many {what}; at most {limit} are read")]
    TooMany {
        /// What there is too much of, as RFC 8866 calls it.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// One payload type stands for two codecs, or two lines describe it differently.
    #[error("the payload type {0} is used for two things")]
    PayloadTypeConflict(u8),
    /// There is no audio line.
    #[error("the session description has no audio")]
    NoAudio,
    /// A line has no codec that this room speaks: Opus, and H.264 with packetization mode 1.
    #[error("the {} line has no codec that this room speaks", .0.name())]
    NoCommonCodec(Medium),
    /// More offers within a minute than are answered.
    #[error("too many offers; at most {limit} are answered in a minute")]
    TooManyOffers {
        /// How many are answered.
        limit: usize,
    },
    /// The candidate cannot be read.
    #[error("the candidate cannot be read")]
    Candidate,
    /// More candidates than are tried.
    #[error("too many candidates; at most {limit} are tried")]
    TooManyCandidates {
        /// How many are tried.
        limit: usize,
    },
    /// An address of our own that cannot be a candidate.
    #[error("{0} cannot be a candidate")]
    LocalAddress(std::net::SocketAddr),
    /// The leg is not connected (yet, or no more).
    #[error("the leg is not connected")]
    NotConnected,
    /// The leg was closed.
    #[error("the leg is closed")]
    Closed,
    /// The stream does not flow from us to the browser.
    #[error("{} is not sent", .0.name())]
    NotSending(Medium),
    /// Not an RTP packet, or one that is too long.
    #[error("not an RTP packet that can be sent")]
    RtpPacket,
    /// Not a compound of RTCP packets.
    #[error("not an RTCP packet")]
    RtcpPacket,
    /// The text is longer than a message may be.
    #[error("the text has {length} bytes; at most {limit} are sent")]
    TextTooLong {
        /// Bytes of the text.
        length: usize,
        /// Bytes of a message at most.
        limit: usize,
    },
    /// The browser has no data channel of this name open.
    #[error("there is no open data channel of this name")]
    NoDataChannel,
    /// The browser does not take texts as fast as they are sent.
    #[error("the data channel is full")]
    DataChannelFull,
    /// The WebRTC engine has refused.
    #[error("the WebRTC engine has refused: {0}")]
    Engine(String),
    /// The WebRTC engine has come upon a fault of its own; the leg is lost.
    #[error("the WebRTC engine has failed")]
    EngineFault,
}
