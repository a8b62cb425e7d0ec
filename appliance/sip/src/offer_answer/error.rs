//! Why a session description was not acceptable.

use thiserror::Error;

use crate::grammar::StatusCode;

/// An offer or answer that cannot be used. Never carries keys.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SdpError {
    /// The description is larger than we read.
    #[error("session description of {bytes} bytes is larger than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that we read.
        limit: usize,
    },
    /// Not a session description (RFC 8866).
    #[error("malformed session description: {0}")]
    Syntax(#[source] sdp_types::ParserError),
    /// More `m=` lines than we read.
    #[error("{count} m= lines are more than {limit}")]
    TooManyLines {
        /// How many there are.
        count: usize,
        /// The most that we read.
        limit: usize,
    },
    /// An answer has more `m=` lines than its offer, or a new offer fewer than the session uses (RFC
    /// 3264 sections 6 and 8). Lines that are missing at the end of an answer are refused ones.
    #[error("{found} m= lines where the session has {expected}")]
    LineCount {
        /// How many the session has.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// No line can be used; the reason is that of the first audio or video line.
    #[error("no m= line is acceptable: {0}")]
    NothingAcceptable(LineRefusal),
    /// An answer line contradicts the offer.
    #[error("m= line {line} of the answer does not fit its offer: {reason}")]
    AnswerLine {
        /// Counted from 0.
        line: usize,
        /// What does not fit.
        reason: LineRefusal,
    },
    /// An offer arrived, or was asked for, while our own awaits its answer (RFC 3261 section 14).
    #[error("an offer is pending")]
    OfferPending,
    /// An answer arrived that nobody asked for.
    #[error("no offer is pending")]
    NoOfferPending,
}

impl SdpError {
    /// Whether the description itself is at fault: too large, not of the grammar, or with another
    /// number of lines than it must have. A well-formed one that we cannot use is none of these.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        match self {
            Self::TooLarge { .. }
            | Self::Syntax(_)
            | Self::TooManyLines { .. }
            | Self::LineCount { .. } => true,
            Self::NothingAcceptable(_)
            | Self::AnswerLine { .. }
            | Self::OfferPending
            | Self::NoOfferPending => false,
        }
    }

    /// Whether encryption is what is missing: a line has none, or not by a key that we take, and one
    /// side insists on it.
    #[must_use]
    pub fn lacks_encryption(&self) -> bool {
        match self {
            Self::NothingAcceptable(reason) | Self::AnswerLine { reason, .. } => {
                *reason == LineRefusal::NoAcceptableKey
            }
            Self::TooLarge { .. }
            | Self::Syntax(_)
            | Self::TooManyLines { .. }
            | Self::LineCount { .. }
            | Self::OfferPending
            | Self::NoOfferPending => false,
        }
    }

    /// What a refusal of the offer warns of (RFC 3261 sections 13.3.1.3 and 20.43): a code, and words for
    /// people. `None` where the status says it all.
    pub(crate) fn warning(&self) -> Option<(u16, &'static str)> {
        match self {
            Self::NothingAcceptable(reason) | Self::AnswerLine { reason, .. } => {
                Some(reason.warning())
            }
            Self::TooLarge { .. }
            | Self::Syntax(_)
            | Self::TooManyLines { .. }
            | Self::LineCount { .. }
            | Self::OfferPending
            | Self::NoOfferPending => None,
        }
    }

    /// The status code of the SIP response that refuses a request with this offer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. }
            | Self::Syntax(_)
            | Self::TooManyLines { .. }
            | Self::LineCount { .. }
            | Self::NoOfferPending => StatusCode::BAD_REQUEST,
            Self::NothingAcceptable(_) | Self::AnswerLine { .. } => StatusCode::NOT_ACCEPTABLE_HERE,
            Self::OfferPending => StatusCode::REQUEST_PENDING,
        }
    }
}

/// Why one `m=` line is not used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LineRefusal {
    /// There is no line of audio or video at all.
    #[error("no audio or video is offered")]
    NoMediaLine,
    /// Port 0: the peer itself does not use it.
    #[error("the line is disabled")]
    Disabled,
    /// A kind of media that we do not take, or one that we take already.
    #[error("this kind of media is not wanted")]
    NotWanted,
    /// Not RTP over UDP with an SRTP or plain profile.
    #[error("the transport is not supported")]
    UnsupportedTransport,
    /// No codec that we speak.
    #[error("no common codec")]
    NoCommonCodec,
    /// SRTP is required here and no key of a supported suite is offered, nor a DTLS handshake that we
    /// can hold; or no certificate is known for BFCP over TLS.
    #[error("no acceptable key")]
    NoAcceptableKey,
    /// DTLS-SRTP with a port of its own for RTCP, which would need a second handshake there.
    #[error("DTLS-SRTP without a=rtcp-mux is not supported")]
    RtcpNotShared,
    /// No part in floor control is left for us, or the numbers of conference, user and floor are
    /// missing.
    #[error("no part in floor control can be agreed")]
    NoFloorControlRole,
    /// Control of our camera by the far end (RFC 4573).
    #[error("far-end camera control is not supported")]
    FarEndCamera,
    /// The connection address is missing, a name, multicast or of the other IP version.
    #[error("the connection address cannot be used")]
    UnusableAddress,
}

impl LineRefusal {
    /// 399 is for what has no code of its own.
    fn warning(self) -> (u16, &'static str) {
        match self {
            Self::UnusableAddress => (301, "Incompatible network address formats"),
            Self::UnsupportedTransport => (302, "Incompatible transport protocol"),
            Self::NoMediaLine | Self::Disabled | Self::NotWanted | Self::FarEndCamera => {
                (304, "Media type not available")
            }
            Self::NoCommonCodec => (305, "Incompatible media format"),
            Self::NoAcceptableKey => (399, "SRTP with keys by SDES or DTLS is required"),
            Self::RtcpNotShared => (399, "DTLS-SRTP requires rtcp-mux"),
            Self::NoFloorControlRole => (399, "No part in floor control can be agreed"),
        }
    }
}
