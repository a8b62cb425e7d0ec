//! Whole messages: a header and the attributes that its primitive has (RFC 8855 section 5.3).

use bytes::Bytes;

use super::attribute::{AttributeList, AttributeType, AttributeWriter};
use super::error::{DecodeError, ErrorCode, Undecodable};
use super::fragment;
use super::header::{Header, TransactionRole, WORD, version_over};
use super::identifiers::{ConferenceId, FloorId, FloorRequestId, TransactionId, UserId};
use super::information::{
    FloorRequestInformation, Priority, UserInformation, decode_priority, encode_priority,
};
use super::primitive::Primitive;
use crate::transaction::Reliability;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The conference.
    pub conference: ConferenceId,
    /// The transaction that it begins or answers.
    pub transaction: TransactionId,
    /// The participant, at whichever end.
    pub user: UserId,
    /// Whether it begins or answers.
    pub role: TransactionRole,
    /// What it says.
    pub content: Content,
}

/// What a message says: its primitive, with the attributes that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A participant asks for floors.
    FloorRequest {
        /// The floors, one at least.
        floors: Vec<FloorId>,
        /// For whom, if not for the participant itself.
        beneficiary: Option<UserId>,
        /// What people may read about it.
        info: Option<String>,
        /// How urgent it is.
        priority: Option<Priority>,
    },
    /// A participant gives back what it has, or no longer asks.
    FloorRelease(FloorRequestId),
    /// How does this request stand?
    FloorRequestQuery(FloorRequestId),
    /// How a request stands.
    FloorRequestStatus(FloorRequestInformation),
    /// What does this user, or the sender, have?
    UserQuery(Option<UserId>),
    /// What a user has.
    UserStatus {
        /// The user.
        beneficiary: Option<UserInformation>,
        /// Its requests.
        requests: Vec<FloorRequestInformation>,
    },
    /// Who has these floors? None at all ends what was asked for before.
    FloorQuery(Vec<FloorId>),
    /// Who has a floor, and who asks for it.
    FloorStatus {
        /// The floor.
        floors: Vec<FloorId>,
        /// All requests for it.
        requests: Vec<FloorRequestInformation>,
    },
    /// A chair decides about a request.
    ChairAction(FloorRequestInformation),
    /// The decision has arrived.
    ChairActionAck,
    /// Are you there?
    Hello,
    /// I am, and know this.
    HelloAck {
        /// Numbers of primitives.
        primitives: Vec<u8>,
        /// Types of attributes.
        attributes: Vec<u8>,
    },
    /// A request was refused.
    Error {
        /// Why.
        code: ErrorCode,
        /// What people may read about it.
        info: Option<String>,
    },
    /// A status that the server sent by itself has arrived.
    FloorRequestStatusAck,
    /// A status that the server sent by itself has arrived.
    FloorStatusAck,
    /// One end leaves.
    Goodbye,
    /// The other knows.
    GoodbyeAck,
}

impl Content {
    /// Its primitive.
    #[must_use]
    pub const fn primitive(&self) -> Primitive {
        match self {
            Self::FloorRequest { .. } => Primitive::FloorRequest,
            Self::FloorRelease(_) => Primitive::FloorRelease,
            Self::FloorRequestQuery(_) => Primitive::FloorRequestQuery,
            Self::FloorRequestStatus(_) => Primitive::FloorRequestStatus,
            Self::UserQuery(_) => Primitive::UserQuery,
            Self::UserStatus { .. } => Primitive::UserStatus,
            Self::FloorQuery(_) => Primitive::FloorQuery,
            Self::FloorStatus { .. } => Primitive::FloorStatus,
            Self::ChairAction(_) => Primitive::ChairAction,
            Self::ChairActionAck => Primitive::ChairActionAck,
            Self::Hello => Primitive::Hello,
            Self::HelloAck { .. } => Primitive::HelloAck,
            Self::Error { .. } => Primitive::Error,
            Self::FloorRequestStatusAck => Primitive::FloorRequestStatusAck,
            Self::FloorStatusAck => Primitive::FloorStatusAck,
            Self::Goodbye => Primitive::Goodbye,
            Self::GoodbyeAck => Primitive::GoodbyeAck,
        }
    }

    /// The HELLO-ACK of this crate.
    #[must_use]
    pub fn hello_ack() -> Self {
        Self::HelloAck {
            primitives: Primitive::ALL.map(Primitive::number).to_vec(),
            attributes: AttributeType::ALL.map(AttributeType::number).to_vec(),
        }
    }

    fn decode(primitive: Primitive, payload: &[u8]) -> Result<Self, DecodeError> {
        let mut unknown = Vec::new();
        let list = AttributeList::decode(payload, &mut unknown)?;
        let content = Self::from_attributes(primitive, &list, &mut unknown);
        // What must be understood and is not outweighs what else may be wrong: the rest of the
        // message may look odd only because of it.
        if !unknown.is_empty() {
            unknown.sort_unstable();
            unknown.dedup();
            return Err(DecodeError::UnknownMandatoryAttribute(unknown));
        }
        content
    }

    fn from_attributes(
        primitive: Primitive,
        list: &AttributeList<'_>,
        unknown: &mut Vec<u8>,
    ) -> Result<Self, DecodeError> {
        use AttributeType as A;
        Ok(match primitive {
            Primitive::FloorRequest => Self::FloorRequest {
                floors: match floors(list)? {
                    floors if floors.is_empty() => return Err(DecodeError::Unparsable),
                    floors => floors,
                },
                beneficiary: list.number(A::BeneficiaryId)?.map(UserId),
                info: list.text(A::ParticipantProvidedInfo),
                priority: decode_priority(list)?,
            },
            Primitive::FloorRelease => Self::FloorRelease(request_id(list)?),
            Primitive::FloorRequestQuery => Self::FloorRequestQuery(request_id(list)?),
            Primitive::FloorRequestStatus => Self::FloorRequestStatus(request(list, unknown)?),
            Primitive::UserQuery => Self::UserQuery(list.number(A::BeneficiaryId)?.map(UserId)),
            Primitive::UserStatus => Self::UserStatus {
                beneficiary: list
                    .first(A::BeneficiaryInformation)
                    .map(|content| UserInformation::decode(content, unknown))
                    .transpose()?,
                requests: requests(list, unknown)?,
            },
            Primitive::FloorQuery => Self::FloorQuery(floors(list)?),
            Primitive::FloorStatus => Self::FloorStatus {
                floors: floors(list)?,
                requests: requests(list, unknown)?,
            },
            Primitive::ChairAction => Self::ChairAction(request(list, unknown)?),
            Primitive::ChairActionAck => Self::ChairActionAck,
            Primitive::Hello => Self::Hello,
            Primitive::HelloAck => Self::HelloAck {
                primitives: list
                    .first(A::SupportedPrimitives)
                    .unwrap_or_default()
                    .to_vec(),
                attributes: list
                    .first(A::SupportedAttributes)
                    .unwrap_or_default()
                    .iter()
                    .map(|octet| octet >> 1)
                    .collect(),
            },
            Primitive::Error => Self::Error {
                code: list
                    .first(A::ErrorCode)
                    .and_then(ErrorCode::decode)
                    .ok_or(DecodeError::Unparsable)?,
                info: list.text(A::ErrorInfo),
            },
            Primitive::FloorRequestStatusAck => Self::FloorRequestStatusAck,
            Primitive::FloorStatusAck => Self::FloorStatusAck,
            Primitive::Goodbye => Self::Goodbye,
            Primitive::GoodbyeAck => Self::GoodbyeAck,
        })
    }

    fn encode(&self) -> Vec<u8> {
        use AttributeType as A;
        let mut writer = AttributeWriter::default();
        match self {
            Self::FloorRequest {
                floors,
                beneficiary,
                info,
                priority,
            } => {
                write_floors(&mut writer, floors);
                writer.optional_number(A::BeneficiaryId, beneficiary.map(|user| user.0));
                writer.text(A::ParticipantProvidedInfo, info.as_deref());
                encode_priority(*priority, &mut writer);
            }
            Self::FloorRelease(request) | Self::FloorRequestQuery(request) => {
                writer.number(A::FloorRequestId, request.0);
            }
            Self::FloorRequestStatus(request) | Self::ChairAction(request) => {
                request.encode(&mut writer);
            }
            Self::UserQuery(user) => {
                writer.optional_number(A::BeneficiaryId, user.map(|user| user.0));
            }
            Self::UserStatus {
                beneficiary,
                requests,
            } => {
                if let Some(user) = beneficiary {
                    user.encode(A::BeneficiaryInformation, &mut writer);
                }
                write_requests(&mut writer, requests);
            }
            Self::FloorQuery(floors) => write_floors(&mut writer, floors),
            Self::FloorStatus { floors, requests } => {
                write_floors(&mut writer, floors);
                write_requests(&mut writer, requests);
            }
            Self::HelloAck {
                primitives,
                attributes,
            } => {
                let attributes: Vec<u8> = attributes.iter().map(|number| number << 1).collect();
                writer.push(A::SupportedPrimitives, primitives);
                writer.push(A::SupportedAttributes, &attributes);
            }
            Self::Error { code, info } => {
                writer.push(A::ErrorCode, &code.encode());
                writer.text(A::ErrorInfo, info.as_deref());
            }
            Self::ChairActionAck
            | Self::Hello
            | Self::FloorRequestStatusAck
            | Self::FloorStatusAck
            | Self::Goodbye
            | Self::GoodbyeAck => {}
        }
        writer.into_bytes()
    }
}

fn floors(list: &AttributeList<'_>) -> Result<Vec<FloorId>, DecodeError> {
    let numbers = list.numbers(AttributeType::FloorId)?;
    Ok(numbers.into_iter().map(FloorId).collect())
}

fn write_floors(writer: &mut AttributeWriter, floors: &[FloorId]) {
    for floor in floors {
        writer.number(AttributeType::FloorId, floor.0);
    }
}

fn request_id(list: &AttributeList<'_>) -> Result<FloorRequestId, DecodeError> {
    list.required(AttributeType::FloorRequestId)
        .map(FloorRequestId)
}

fn request(
    list: &AttributeList<'_>,
    unknown: &mut Vec<u8>,
) -> Result<FloorRequestInformation, DecodeError> {
    let content = list
        .first(AttributeType::FloorRequestInformation)
        .ok_or(DecodeError::Unparsable)?;
    FloorRequestInformation::decode(content, unknown)
}

fn requests(
    list: &AttributeList<'_>,
    unknown: &mut Vec<u8>,
) -> Result<Vec<FloorRequestInformation>, DecodeError> {
    list.all(AttributeType::FloorRequestInformation)
        .map(|content| FloorRequestInformation::decode(content, unknown))
        .collect()
}

fn write_requests(writer: &mut AttributeWriter, requests: &[FloorRequestInformation]) {
    for request in requests {
        request.encode(writer);
    }
}

impl Message {
    /// Reads a message from a header and its whole payload.
    ///
    /// # Errors
    /// The version is not that of the transport, the length is wrong, or the content cannot be
    /// understood.
    pub fn from_parts(
        header: Header,
        payload: &[u8],
        reliability: Reliability,
    ) -> Result<Self, Undecodable> {
        let undecodable = |why| Undecodable {
            header: Some(header),
            why,
        };
        if header.version != version_over(reliability) {
            return Err(undecodable(DecodeError::UnsupportedVersion(header.version)));
        }
        if payload.len() != header.payload_bytes() {
            return Err(undecodable(DecodeError::IncorrectLength));
        }
        let primitive = Primitive::from_number(header.primitive)
            .ok_or_else(|| undecodable(DecodeError::UnknownPrimitive(header.primitive)))?;
        let content = Content::decode(primitive, payload).map_err(undecodable)?;
        let role = match reliability {
            Reliability::Unreliable => header.role,
            Reliability::Reliable => role_without_bit(primitive, header.transaction),
        };
        Ok(Self {
            conference: header.conference,
            transaction: header.transaction,
            user: header.user,
            role,
            content,
        })
    }

    fn header(&self, payload: &[u8], reliability: Reliability) -> Header {
        let words = u16::try_from(payload.len() / WORD);
        Header {
            version: version_over(reliability),
            role: match reliability {
                Reliability::Unreliable => self.role,
                Reliability::Reliable => TransactionRole::Initiator,
            },
            primitive: self.content.primitive().number(),
            payload_words: words.expect("the writer stops at what a payload can hold"),
            conference: self.conference,
            transaction: self.transaction,
            user: self.user,
            fragment: None,
        }
    }

    /// The message for a byte stream.
    #[must_use]
    pub fn to_stream(&self) -> Bytes {
        let payload = self.content.encode();
        let mut bytes = Vec::new();
        self.header(&payload, Reliability::Reliable)
            .encode(&mut bytes);
        bytes.extend(payload);
        bytes.into()
    }

    /// The message as datagrams, cut where it is larger than one of `max_bytes`.
    #[must_use]
    pub fn to_datagrams(&self, max_bytes: usize) -> Vec<Bytes> {
        let payload = self.content.encode();
        let header = self.header(&payload, Reliability::Unreliable);
        fragment::cut(header, &payload, max_bytes)
    }
}

/// Over a reliable transport there is no R bit: what a server sends by itself has transaction 0.
fn role_without_bit(primitive: Primitive, transaction: TransactionId) -> TransactionRole {
    match primitive {
        Primitive::FloorRequest
        | Primitive::FloorRelease
        | Primitive::FloorRequestQuery
        | Primitive::UserQuery
        | Primitive::FloorQuery
        | Primitive::ChairAction
        | Primitive::Hello
        | Primitive::Goodbye => TransactionRole::Initiator,
        Primitive::FloorRequestStatus | Primitive::FloorStatus
            if transaction == TransactionId::UNACKNOWLEDGED =>
        {
            TransactionRole::Initiator
        }
        Primitive::FloorRequestStatus
        | Primitive::FloorStatus
        | Primitive::UserStatus
        | Primitive::ChairActionAck
        | Primitive::HelloAck
        | Primitive::Error
        | Primitive::FloorRequestStatusAck
        | Primitive::FloorStatusAck
        | Primitive::GoodbyeAck => TransactionRole::Responder,
    }
}
