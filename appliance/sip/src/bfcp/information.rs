//! What messages tell of users and of requests for floors: the grouped attributes.

use super::attribute::{AttributeList, AttributeType, AttributeWriter, grouped, octets};
use super::error::DecodeError;
use super::identifiers::{FloorId, FloorRequestId, UserId};

/// How a request stands (RFC 8855 section 5.2.5 table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestStatus {
    /// Nobody has decided yet.
    Pending,
    /// It will be granted when its turn comes.
    Accepted,
    /// The user has the floor.
    Granted,
    /// The user will not get the floor.
    Denied,
    /// The user no longer asks.
    Cancelled,
    /// The user has given the floor back.
    Released,
    /// The floor was taken from the user.
    Revoked,
    /// One that later standards have added.
    Other(u8),
}

impl RequestStatus {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Pending => 1,
            Self::Accepted => 2,
            Self::Granted => 3,
            Self::Denied => 4,
            Self::Cancelled => 5,
            Self::Released => 6,
            Self::Revoked => 7,
            Self::Other(number) => number,
        }
    }

    /// The status with that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Pending,
            2 => Self::Accepted,
            3 => Self::Granted,
            4 => Self::Denied,
            5 => Self::Cancelled,
            6 => Self::Released,
            7 => Self::Revoked,
            number => Self::Other(number),
        }
    }

    /// Whether nothing more becomes of the request.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Denied | Self::Cancelled | Self::Released | Self::Revoked => true,
            Self::Pending | Self::Accepted | Self::Granted | Self::Other(_) => false,
        }
    }
}

/// A status and the place in the queue, 0 where that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedStatus {
    /// How the request stands.
    pub status: RequestStatus,
    /// 1 for the next in turn.
    pub queue_position: u8,
}

/// How urgent a request is (RFC 8855 section 5.2.4): 0 to 4; a higher one that was read is 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// What a request without a priority has.
    pub const NORMAL: Self = Self(2);
    /// The most urgent one.
    pub const HIGHEST: Self = Self(4);

    /// A priority, from 0 for the lowest to 4 for the highest.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 4 { Some(Self(value)) } else { None }
    }

    fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let [first, _reserved] = octets(content)?;
        Ok(Self::new(first >> 5).unwrap_or(Self::HIGHEST))
    }

    const fn encode(self) -> [u8; 2] {
        [self.0 << 5, 0]
    }
}

/// A user, with what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInformation {
    /// The user.
    pub user: UserId,
    /// Its name.
    pub display_name: Option<String>,
    /// Its URI.
    pub uri: Option<String>,
}

impl UserInformation {
    /// A user that is only a number.
    #[must_use]
    pub const fn of(user: UserId) -> Self {
        Self {
            user,
            display_name: None,
            uri: None,
        }
    }

    pub(super) fn decode(content: &[u8], unknown: &mut Vec<u8>) -> Result<Self, DecodeError> {
        let (user, list) = grouped(content, unknown)?;
        Ok(Self {
            user: UserId(user),
            display_name: list.text(AttributeType::UserDisplayName),
            uri: list.text(AttributeType::UserUri),
        })
    }

    pub(super) fn encode(&self, kind: AttributeType, into: &mut AttributeWriter) {
        into.group(kind, self.user.0, |group| {
            group.text(AttributeType::UserDisplayName, self.display_name.as_deref());
            group.text(AttributeType::UserUri, self.uri.as_deref());
        });
    }
}

/// How a request stands, as a whole or for one floor of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusInformation<Id> {
    /// The request, or the floor.
    pub id: Id,
    /// How it stands.
    pub status: Option<QueuedStatus>,
    /// What people may read about it.
    pub info: Option<String>,
}

impl<Id> StatusInformation<Id> {
    fn decode(
        content: &[u8],
        unknown: &mut Vec<u8>,
        id: impl FnOnce(u16) -> Id,
    ) -> Result<Self, DecodeError> {
        let (number, list) = grouped(content, unknown)?;
        let status = list.first(AttributeType::RequestStatus).map(|content| {
            let [status, queue_position] = octets(content)?;
            Ok(QueuedStatus {
                status: RequestStatus::from_number(status),
                queue_position,
            })
        });
        Ok(Self {
            id: id(number),
            status: status.transpose()?,
            info: list.text(AttributeType::StatusInfo),
        })
    }

    fn encode(&self, kind: AttributeType, number: u16, into: &mut AttributeWriter) {
        into.group(kind, number, |group| {
            if let Some(status) = self.status {
                let content = [status.status.number(), status.queue_position];
                group.push(AttributeType::RequestStatus, &content);
            }
            group.text(AttributeType::StatusInfo, self.info.as_deref());
        });
    }
}

/// Everything about one request (RFC 8855 section 5.2.15).
///
/// It has to fit into 255 octets. What does not fit is left out, texts first; a few floors and
/// names of usual length always fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloorRequestInformation {
    /// The request.
    pub request: FloorRequestId,
    /// How it stands as a whole.
    pub overall: Option<StatusInformation<FloorRequestId>>,
    /// Each floor of it, one at least.
    pub floors: Vec<StatusInformation<FloorId>>,
    /// For whom the floor is.
    pub beneficiary: Option<UserInformation>,
    /// Who asked.
    pub requested_by: Option<UserInformation>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// What the participant wrote with its request.
    pub participant_info: Option<String>,
}

impl FloorRequestInformation {
    /// How the request stands: as a whole, or else where its first floor stands.
    #[must_use]
    pub fn status(&self) -> Option<QueuedStatus> {
        let overall = self.overall.as_ref().and_then(|overall| overall.status);
        overall.or_else(|| self.floors.first().and_then(|floor| floor.status))
    }

    /// For whom the floor is: the beneficiary, or else who asked.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        let users = self.beneficiary.as_ref().or(self.requested_by.as_ref());
        users.map(|user| user.user)
    }

    pub(super) fn decode(content: &[u8], unknown: &mut Vec<u8>) -> Result<Self, DecodeError> {
        use AttributeType as A;
        let (request, list) = grouped(content, unknown)?;
        let mut user = |kind| {
            let first = list.first(kind);
            first
                .map(|content| UserInformation::decode(content, unknown))
                .transpose()
        };
        let beneficiary = user(A::BeneficiaryInformation)?;
        let requested_by = user(A::RequestedByInformation)?;
        let overall = list
            .first(A::OverallRequestStatus)
            .map(|content| StatusInformation::decode(content, unknown, FloorRequestId));
        let floors: Result<Vec<_>, _> = list
            .all(A::FloorRequestStatus)
            .map(|content| StatusInformation::decode(content, unknown, FloorId))
            .collect();
        let priority = list.first(A::Priority).map(Priority::decode);
        Ok(Self {
            request: FloorRequestId(request),
            overall: overall.transpose()?,
            floors: floors?,
            beneficiary,
            requested_by,
            priority: priority.transpose()?,
            participant_info: list.text(A::ParticipantProvidedInfo),
        })
    }

    pub(super) fn encode(&self, into: &mut AttributeWriter) {
        use AttributeType as A;
        into.group(A::FloorRequestInformation, self.request.0, |group| {
            if let Some(overall) = &self.overall {
                overall.encode(A::OverallRequestStatus, overall.id.0, group);
            }
            for floor in &self.floors {
                floor.encode(A::FloorRequestStatus, floor.id.0, group);
            }
            if let Some(user) = &self.beneficiary {
                user.encode(A::BeneficiaryInformation, group);
            }
            if let Some(user) = &self.requested_by {
                user.encode(A::RequestedByInformation, group);
            }
            encode_priority(self.priority, group);
            group.text(A::ParticipantProvidedInfo, self.participant_info.as_deref());
        });
    }
}

pub(super) fn decode_priority(list: &AttributeList<'_>) -> Result<Option<Priority>, DecodeError> {
    list.first(AttributeType::Priority)
        .map(Priority::decode)
        .transpose()
}

pub(super) fn encode_priority(priority: Option<Priority>, into: &mut AttributeWriter) {
    if let Some(priority) = priority {
        into.push(AttributeType::Priority, &priority.encode());
    }
}
