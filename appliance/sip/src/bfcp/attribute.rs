//! Attributes on the wire (RFC 8855 section 5.2): type, mandatory bit, length, content, padding.
//!
//! ```text
//! +-------------+-+---------------+----------------------------- - -
//! |   Type (7)  |M|    Length     |  content, padded to words of 4
//! +-------------+-+---------------+----------------------------- - -
//! ```
//!
//! The length counts the two octets before the content, and not the padding behind it. A grouped
//! attribute holds a number of 16 bits and then attributes, each with its padding.

use super::error::DecodeError;
use super::header::WORD;

/// The attributes that this crate knows (RFC 8855 table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttributeType {
    BeneficiaryId,
    FloorId,
    FloorRequestId,
    Priority,
    RequestStatus,
    ErrorCode,
    ErrorInfo,
    ParticipantProvidedInfo,
    StatusInfo,
    SupportedAttributes,
    SupportedPrimitives,
    UserDisplayName,
    UserUri,
    BeneficiaryInformation,
    FloorRequestInformation,
    RequestedByInformation,
    FloorRequestStatus,
    OverallRequestStatus,
}

impl AttributeType {
    pub(super) const ALL: [Self; 18] = [
        Self::BeneficiaryId,
        Self::FloorId,
        Self::FloorRequestId,
        Self::Priority,
        Self::RequestStatus,
        Self::ErrorCode,
        Self::ErrorInfo,
        Self::ParticipantProvidedInfo,
        Self::StatusInfo,
        Self::SupportedAttributes,
        Self::SupportedPrimitives,
        Self::UserDisplayName,
        Self::UserUri,
        Self::BeneficiaryInformation,
        Self::FloorRequestInformation,
        Self::RequestedByInformation,
        Self::FloorRequestStatus,
        Self::OverallRequestStatus,
    ];

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::BeneficiaryId => 1,
            Self::FloorId => 2,
            Self::FloorRequestId => 3,
            Self::Priority => 4,
            Self::RequestStatus => 5,
            Self::ErrorCode => 6,
            Self::ErrorInfo => 7,
            Self::ParticipantProvidedInfo => 8,
            Self::StatusInfo => 9,
            Self::SupportedAttributes => 10,
            Self::SupportedPrimitives => 11,
            Self::UserDisplayName => 12,
            Self::UserUri => 13,
            Self::BeneficiaryInformation => 14,
            Self::FloorRequestInformation => 15,
            Self::RequestedByInformation => 16,
            Self::FloorRequestStatus => 17,
            Self::OverallRequestStatus => 18,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.number() == number)
    }
}

/// Octets before an attribute's content.
const ATTRIBUTE_HEADER_BYTES: usize = 2;
/// The most that the content of an attribute can hold.
const MAX_CONTENT_BYTES: usize = 255 - ATTRIBUTE_HEADER_BYTES;

/// One known attribute as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawAttribute<'a> {
    kind: AttributeType,
    pub(super) content: &'a [u8],
}

/// A list of attributes, each known. What is not known is skipped, and noted where it must be known.
#[derive(Debug)]
pub(super) struct AttributeList<'a> {
    attributes: Vec<RawAttribute<'a>>,
}

impl<'a> AttributeList<'a> {
    /// Cuts `bytes` into attributes. The types that must be known and are not go to `unknown`.
    pub(super) fn decode(mut bytes: &'a [u8], unknown: &mut Vec<u8>) -> Result<Self, DecodeError> {
        let mut attributes = Vec::new();
        while let Some((first, rest)) = bytes.split_first() {
            let length = usize::from(*rest.first().ok_or(DecodeError::Unparsable)?);
            let padded = length.next_multiple_of(WORD);
            let content = bytes.get(ATTRIBUTE_HEADER_BYTES..length);
            let content = content.ok_or(DecodeError::Unparsable)?;
            // The payload is whole words, so the padding is always there.
            bytes = bytes.get(padded..).ok_or(DecodeError::Unparsable)?;
            let (number, mandatory) = (first >> 1, first & 1 == 1);
            match AttributeType::from_number(number) {
                Some(kind) => attributes.push(RawAttribute { kind, content }),
                None if mandatory => unknown.push(number),
                None => {}
            }
        }
        Ok(Self { attributes })
    }

    /// All attributes of a type, in order.
    pub(super) fn all(&self, kind: AttributeType) -> impl Iterator<Item = &'a [u8]> {
        let attributes = self.attributes.iter();
        attributes
            .filter(move |attribute| attribute.kind == kind)
            .map(|attribute| attribute.content)
    }

    /// The first attribute of a type.
    pub(super) fn first(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    /// The first number of a type, if there is one.
    pub(super) fn number(&self, kind: AttributeType) -> Result<Option<u16>, DecodeError> {
        self.first(kind).map(unsigned16).transpose()
    }

    /// The number of a type that has to be there.
    pub(super) fn required(&self, kind: AttributeType) -> Result<u16, DecodeError> {
        self.number(kind)?.ok_or(DecodeError::Unparsable)
    }

    /// All numbers of a type.
    pub(super) fn numbers(&self, kind: AttributeType) -> Result<Vec<u16>, DecodeError> {
        self.all(kind).map(unsigned16).collect()
    }

    /// The first text of a type. Texts are for people: what is no UTF-8 is replaced, not refused.
    pub(super) fn text(&self, kind: AttributeType) -> Option<String> {
        self.first(kind)
            .map(|content| String::from_utf8_lossy(content).into_owned())
    }
}

/// The content of an Unsigned16.
pub(super) fn unsigned16(content: &[u8]) -> Result<u16, DecodeError> {
    octets(content).map(u16::from_be_bytes)
}

/// The content of an `OctetString16`, and of every other attribute of two octets.
pub(super) fn octets(content: &[u8]) -> Result<[u8; 2], DecodeError> {
    content.try_into().map_err(|_| DecodeError::Unparsable)
}

/// The number and the attributes of a grouped attribute.
pub(super) fn grouped<'a>(
    content: &'a [u8],
    unknown: &mut Vec<u8>,
) -> Result<(u16, AttributeList<'a>), DecodeError> {
    let (number, rest) = content.split_first_chunk().ok_or(DecodeError::Unparsable)?;
    let list = AttributeList::decode(rest, unknown)?;
    Ok((u16::from_be_bytes(*number), list))
}

/// Attributes being written. Those of the standard itself are all marked as mandatory: every
/// implementation knows them.
#[derive(Debug, Default)]
pub(super) struct AttributeWriter {
    bytes: Vec<u8>,
    limit: Limit,
}

#[derive(Debug, Default, Clone, Copy)]
enum Limit {
    /// A message: the length of its payload has 16 bits.
    #[default]
    Message,
    /// A grouped attribute: its length has 8 bits, two octets of which are a number.
    Group,
}

impl Limit {
    const fn bytes(self) -> usize {
        match self {
            Self::Message => u16::MAX as usize * WORD,
            // The group's own header and number, and whole words behind them.
            Self::Group => (MAX_CONTENT_BYTES - 2) / WORD * WORD,
        }
    }
}

impl AttributeWriter {
    /// Writes an attribute, unless there is no room for it: what is written first is what matters
    /// most, so texts go last. Content beyond 253 octets is cut off.
    pub(super) fn push(&mut self, kind: AttributeType, content: &[u8]) {
        let content = content.get(..MAX_CONTENT_BYTES).unwrap_or(content);
        let length = ATTRIBUTE_HEADER_BYTES + content.len();
        let padded = length.next_multiple_of(WORD);
        if self.bytes.len() + padded > self.limit.bytes() {
            return;
        }
        let end = self.bytes.len() + padded;
        self.bytes.push(kind.number() << 1 | 1);
        // At most 255, as the content was cut.
        self.bytes.push(u8::try_from(length).unwrap_or(u8::MAX));
        self.bytes.extend(content);
        self.bytes.resize(end, 0);
    }

    pub(super) fn number(&mut self, kind: AttributeType, number: u16) {
        self.push(kind, &number.to_be_bytes());
    }

    pub(super) fn optional_number(&mut self, kind: AttributeType, number: Option<u16>) {
        if let Some(number) = number {
            self.number(kind, number);
        }
    }

    /// A text, cut between characters where it is too long for an attribute.
    pub(super) fn text(&mut self, kind: AttributeType, text: Option<&str>) {
        if let Some(text) = text {
            let end = text.floor_char_boundary(MAX_CONTENT_BYTES);
            self.push(kind, text.get(..end).unwrap_or_default().as_bytes());
        }
    }

    /// A grouped attribute, filled by `fill`.
    pub(super) fn group(&mut self, kind: AttributeType, number: u16, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self {
            bytes: Vec::new(),
            limit: Limit::Group,
        };
        fill(&mut inner);
        let mut content = number.to_be_bytes().to_vec();
        content.extend(inner.bytes);
        self.push(kind, &content);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
