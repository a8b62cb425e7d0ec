//! Whether guests reach the room from outside, as far as that can be told from inside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a test of the ways to the room has found, in the order in which a guest goes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Reachability {
    /// All of it.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Finding {
    /// Whether it is good.
    pub verdict: Verdict,
    /// What was found.
    pub code: FindingCode,
    /// What was looked at: a URL or an address.
    pub subject: String,
    /// What came of it: addresses, or why it failed, in the words of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    /// A finding with the verdict that its code has.
    #[must_use]
    pub fn new(code: FindingCode, subject: String, detail: Option<String>) -> Self {
        Self {
            verdict: code.verdict(),
            code,
            subject,
            detail,
        }
    }
}

/// Whether something is good for guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works.
    Works,
    /// It keeps guests out, or some of them.
    Problem,
    /// It cannot be told from here, or is for somebody to know.
    Note,
}

/// What may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// The configuration has no `public_url`: links name an address of this machine.
    PublicUrlNotSet,
    /// The name in `public_url` has addresses: those of the detail.
    PublicUrlResolves,
    /// Nobody knows the name in `public_url`.
    PublicUrlUnknown,
    /// `public_url` leads to an address of a private network.
    PublicUrlPrivate,
    /// The page is served at that address, with the room's certificate.
    PageServed,
    /// Somebody else answers there: the certificate is not the room's.
    PageOfAnother,
    /// The room's certificate is not for the name in `public_url`.
    PageNameNotCertified,
    /// Nobody answers at an address of this machine.
    PageNotServed,
    /// Nobody answers at the address, which is not one of this machine; it may be different from outside.
    PageNotReachedFromHere,
    /// Whether others are let in cannot be told from here.
    OutsideUnknown,
    /// The configuration has no TURN server.
    NoTurnServer,
    /// The TURN server gives an address, that of the detail, and what is sent there comes.
    TurnRelays,
    /// Nobody knows the TURN server's name.
    TurnServerUnknown,
    /// The TURN server does not answer in this way.
    TurnServerNotReached,
    /// The TURN server's certificate is not accepted.
    TurnServerNotTrusted,
    /// The TURN server does not take the name and the password.
    TurnCredentialsWrong,
    /// The TURN server is there, and gives no address.
    TurnServerRefuses,
    /// The TURN server gives an address, and what is sent there does not come.
    TurnRelaysNothing,
    /// The TURN server gives an address; whether what is sent there comes cannot be told from here.
    TurnRelayUntried,
    /// Pages use this way, and the room cannot try it.
    TurnWayUntried,
    /// A server sees this machine at the public address that is configured.
    PublicAddressRight,
    /// A server sees this machine at another address than the public one that is configured: that of the detail.
    PublicAddressWrong,
    /// A server sees this machine at another address, that of the detail, and no public one is configured.
    PublicAddressNotSet,
    /// A server sees this machine at its own address.
    NoAddressTranslation,
}

impl FindingCode {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::PublicUrlNotSet,
        Self::PublicUrlResolves,
        Self::PublicUrlUnknown,
        Self::PublicUrlPrivate,
        Self::PageServed,
        Self::PageOfAnother,
        Self::PageNameNotCertified,
        Self::PageNotServed,
        Self::PageNotReachedFromHere,
        Self::OutsideUnknown,
        Self::NoTurnServer,
        Self::TurnRelays,
        Self::TurnServerUnknown,
        Self::TurnServerNotReached,
        Self::TurnServerNotTrusted,
        Self::TurnCredentialsWrong,
        Self::TurnServerRefuses,
        Self::TurnRelaysNothing,
        Self::TurnRelayUntried,
        Self::TurnWayUntried,
        Self::PublicAddressRight,
        Self::PublicAddressWrong,
        Self::PublicAddressNotSet,
        Self::NoAddressTranslation,
    ];

    /// Whether it is good.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::PublicUrlResolves
            | Self::PageServed
            | Self::TurnRelays
            | Self::PublicAddressRight
            | Self::NoAddressTranslation => Verdict::Works,
            Self::PublicUrlUnknown
            | Self::PageOfAnother
            | Self::PageNameNotCertified
            | Self::PageNotServed
            | Self::TurnServerUnknown
            | Self::TurnServerNotReached
            | Self::TurnServerNotTrusted
            | Self::TurnCredentialsWrong
            | Self::TurnServerRefuses
            | Self::TurnRelaysNothing
            | Self::PublicAddressWrong => Verdict::Problem,
            Self::PublicUrlNotSet
            | Self::PublicUrlPrivate
            | Self::PageNotReachedFromHere
            | Self::OutsideUnknown
            | Self::NoTurnServer
            | Self::TurnRelayUntried
            | Self::TurnWayUntried
            | Self::PublicAddressNotSet => Verdict::Note,
        }
    }
}
