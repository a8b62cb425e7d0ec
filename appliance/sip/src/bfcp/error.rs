//! What can be wrong with a message, and how a server says so (RFC 8855 sections 5.2.6 and 13.8).

use thiserror::Error;

use super::header::Header;

/// The value of an ERROR-CODE attribute, with its details (RFC 8855 table 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Conference does not exist.
    ConferenceDoesNotExist,
    /// User does not exist.
    UserDoesNotExist,
    /// Unknown primitive.
    UnknownPrimitive,
    /// Unknown mandatory attribute: the types that were not known, each at most 127.
    UnknownMandatoryAttribute(Vec<u8>),
    /// Unauthorized operation.
    UnauthorizedOperation,
    /// Invalid floor ID.
    InvalidFloorId,
    /// Floor request ID does not exist.
    FloorRequestIdDoesNotExist,
    /// This user asks for this floor as often as it may already.
    TooManyFloorRequests,
    /// Use TLS.
    UseTls,
    /// The message cannot be parsed.
    UnableToParse,
    /// Use DTLS.
    UseDtls,
    /// Unsupported version.
    UnsupportedVersion,
    /// Incorrect message length.
    IncorrectMessageLength,
    /// Generic error.
    Generic,
    /// One that later standards have added.
    Other(u8),
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::ConferenceDoesNotExist => 1,
            Self::UserDoesNotExist => 2,
            Self::UnknownPrimitive => 3,
            Self::UnknownMandatoryAttribute(_) => 4,
            Self::UnauthorizedOperation => 5,
            Self::InvalidFloorId => 6,
            Self::FloorRequestIdDoesNotExist => 7,
            Self::TooManyFloorRequests => 8,
            Self::UseTls => 9,
            Self::UnableToParse => 10,
            Self::UseDtls => 11,
            Self::UnsupportedVersion => 12,
            Self::IncorrectMessageLength => 13,
            Self::Generic => 14,
            Self::Other(number) => *number,
        }
    }

    /// Reads the content of an ERROR-CODE attribute.
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (number, details) = value.split_first()?;
        Some(match number {
            1 => Self::ConferenceDoesNotExist,
            2 => Self::UserDoesNotExist,
            3 => Self::UnknownPrimitive,
            4 => Self::UnknownMandatoryAttribute(details.iter().map(|octet| octet >> 1).collect()),
            5 => Self::UnauthorizedOperation,
            6 => Self::InvalidFloorId,
            7 => Self::FloorRequestIdDoesNotExist,
            8 => Self::TooManyFloorRequests,
            9 => Self::UseTls,
            10 => Self::UnableToParse,
            11 => Self::UseDtls,
            12 => Self::UnsupportedVersion,
            13 => Self::IncorrectMessageLength,
            14 => Self::Generic,
            number => Self::Other(*number),
        })
    }

    /// The content of an ERROR-CODE attribute. Unknown types fill seven bits of an octet each; the
    /// eighth is reserved.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = vec![self.number()];
        if let Self::UnknownMandatoryAttribute(types) = self {
            value.extend(types.iter().map(|number| number << 1));
        }
        value
    }
}

/// Why bytes are not a message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Less than a header.
    #[error("{0} bytes are less than a header")]
    Truncated(usize),
    /// Not the version of the transport: 1 over TCP and TLS, 2 over UDP.
    #[error("version {0} is not that of the transport")]
    UnsupportedVersion(u8),
    /// The length in the header is not that of the message.
    #[error("the length in the header is not that of the message")]
    IncorrectLength,
    /// A fragment that does not fit into its message.
    #[error("a fragment does not fit into its message")]
    BadFragment,
    /// No primitive that we know.
    #[error("primitive {0} is not known")]
    UnknownPrimitive(u8),
    /// Attributes that must be understood and are not.
    #[error("attributes of the types {0:?} must be understood and are not known")]
    UnknownMandatoryAttribute(Vec<u8>),
    /// An attribute that breaks off, has the wrong size or is missing.
    #[error("the attributes cannot be parsed")]
    Unparsable,
}

impl DecodeError {
    /// What an Error message says of it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnsupportedVersion(_) => ErrorCode::UnsupportedVersion,
            Self::IncorrectLength | Self::BadFragment => ErrorCode::IncorrectMessageLength,
            Self::UnknownPrimitive(_) => ErrorCode::UnknownPrimitive,
            Self::UnknownMandatoryAttribute(types) => {
                ErrorCode::UnknownMandatoryAttribute(types.clone())
            }
            Self::Truncated(_) | Self::Unparsable => ErrorCode::UnableToParse,
        }
    }
}

/// Bytes that are not a message, with as much of a header as an Error needs.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{why}")]
pub struct Undecodable {
    /// The header, where there was a whole one.
    pub header: Option<Header>,
    /// What is wrong.
    #[source]
    pub why: DecodeError,
}
