//! The answers to requests: admissions and problems.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The room's answer to a request: 200 when it is accepted or already so, 409 when denied.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "admission", rename_all = "snake_case")]
pub enum Admission {
    /// The room acts on it. What comes of it is seen in the snapshot.
    Accepted {
        /// The leg that it opened or acts on, where it is about one leg.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leg: Option<u32>,
    },
    /// The wanted state holds already or is being brought about.
    AlreadySo,
    /// The room will not do it.
    Denied {
        /// Why, for programs.
        code: DeniedCode,
        /// Why, for people.
        message: String,
    },
}

/// Why the room denied a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeniedCode {
    /// The room is shutting down.
    ShuttingDown,
    /// The room is in as many calls as its configuration allows.
    NoFreeLeg,
    /// There is no such leg.
    UnknownLeg,
    /// The target is empty, too long, or holds a control character.
    InvalidTarget,
    /// No account has that name.
    UnknownAccount,
    /// The account registers nowhere.
    NoRegistrar,
    /// The configuration names nothing that the join button could call.
    NothingToJoin,
    /// The leg does not ring here.
    NotRinging,
    /// The leg is not in the meeting.
    NotEstablished,
    /// The leg is held.
    LegHeld,
    /// The opposite change of the leg's hold is still being settled.
    HoldInProgress,
    /// The configuration names no source of slides.
    NoSlides,
    /// No far end takes slides.
    SlidesNotTaken,
}

impl DeniedCode {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::ShuttingDown,
        Self::NoFreeLeg,
        Self::UnknownLeg,
        Self::InvalidTarget,
        Self::UnknownAccount,
        Self::NoRegistrar,
        Self::NothingToJoin,
        Self::NotRinging,
        Self::NotEstablished,
        Self::LegHeld,
        Self::HoldInProgress,
        Self::NoSlides,
        Self::SlidesNotTaken,
    ];
}

/// A request that did not reach the room, or whose answer is not an admission
/// (`application/problem+json`, RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Problem {
    /// What is wrong, for programs.
    pub code: ProblemCode,
    /// The HTTP status again.
    pub status: u16,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What is wrong with a request before the room sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// 401: the bearer token is missing or wrong.
    Unauthorized,
    /// 403: `Host` is not a name of this machine's loopback interface.
    ForeignHost,
    /// 403: the request comes from another origin's page.
    ForeignOrigin,
    /// 404: there is no such path.
    UnknownPath,
    /// 405: the path does not take this method.
    MethodNotAllowed,
    /// 413: the body is too large.
    BodyTooLarge,
    /// 415: the body is not `application/json`.
    NotJson,
    /// 400: the body is not what the endpoint takes.
    InvalidBody,
    /// 400: the query is not what the endpoint takes.
    InvalidQuery,
    /// 400: the leg's id is not a number.
    InvalidLeg,
    /// 400: the digits are not 1 to 64 of `0-9`, `*`, `#`, `A-D`.
    InvalidDigits,
    /// 400: the volume is above 100.
    InvalidVolume,
    /// 404: there is no such picture now.
    NoPicture,
    /// 404: no SIP messages of that leg are remembered.
    NoSipLadder,
    /// 404: guests are not configured.
    NoGuests,
    /// 404: no ACME server certifies the guests' server.
    NoAcme,
    /// 404: there is no such invitation.
    UnknownInvitation,
    /// 400: the label or the lifetime of a link is out of bounds.
    InvalidInvitation,
    /// 409: there are as many links as there may be.
    TooManyInvitations,
    /// 503: it could not be stored.
    NotStored,
    /// 426: the endpoint speaks WebSocket only.
    WebSocketOnly,
    /// 503: too many requests wait for the room.
    Overloaded,
    /// 503: the room does not answer.
    RoomGone,
    /// 408 or 504: it took too long.
    TimedOut,
    /// 500: a picture could not be made.
    PictureFailed,
}

impl ProblemCode {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Unauthorized,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::NotJson,
        Self::InvalidBody,
        Self::InvalidQuery,
        Self::InvalidLeg,
        Self::InvalidDigits,
        Self::InvalidVolume,
        Self::NoPicture,
        Self::NoSipLadder,
        Self::NoGuests,
        Self::NoAcme,
        Self::UnknownInvitation,
        Self::InvalidInvitation,
        Self::TooManyInvitations,
        Self::NotStored,
        Self::WebSocketOnly,
        Self::Overloaded,
        Self::RoomGone,
        Self::TimedOut,
        Self::PictureFailed,
    ];

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidBody
            | Self::InvalidQuery
            | Self::InvalidLeg
            | Self::InvalidDigits
            | Self::InvalidVolume
            | Self::InvalidInvitation => 400,
            Self::Unauthorized => 401,
            Self::ForeignHost | Self::ForeignOrigin => 403,
            Self::UnknownPath
            | Self::NoPicture
            | Self::NoSipLadder
            | Self::NoGuests
            | Self::NoAcme
            | Self::UnknownInvitation => 404,
            Self::MethodNotAllowed => 405,
            Self::TooManyInvitations => 409,
            Self::BodyTooLarge => 413,
            Self::NotJson => 415,
            Self::WebSocketOnly => 426,
            Self::PictureFailed => 500,
            Self::Overloaded | Self::RoomGone | Self::NotStored => 503,
            Self::TimedOut => 504,
        }
    }
}
