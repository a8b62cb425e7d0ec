//! How the guests' server stands with who certifies it, as clients see it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The certificate of the guests' server, where an ACME server makes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct GuestCertificate {
    /// The name that it certifies.
    pub name: String,
    /// What is going on.
    pub state: GuestCertificateState,
    /// When something is done next, in milliseconds since 1970: a certificate is ordered, or the server
    /// asked for the time of its renewal. Absent while one is ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_unix_ms: Option<u64>,
    /// The end of the time of the one that guests see, in milliseconds since 1970. Absent while they see
    /// one of the room's own authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after_unix_ms: Option<u64>,
    /// Why the last order failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<GuestCertificateFailure>,
}

/// What is going on about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestCertificateState {
    /// One is being ordered.
    Ordering,
    /// Nothing is done for now.
    Waiting,
}

/// An order that failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct GuestCertificateFailure {
    /// Why.
    pub reason: GuestCertificateReason,
    /// What the server or the machine said, in its own language.
    pub detail: String,
    /// How many orders failed in a row.
    pub count: u32,
    /// When the last one did, in milliseconds since 1970.
    pub at_unix_ms: u64,
}

/// Why there is no new certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestCertificateReason {
    /// The ACME server cannot be reached, or does not answer.
    Unreachable,
    /// The certificate of the ACME server is not trusted.
    ServerUntrusted,
    /// The server does not take the account, or its key.
    AccountRefused,
    /// The server does not certify this name.
    NameRefused,
    /// The server cannot prove the name in the configured way.
    NoChallenge,
    /// The server came to prove the name, and did not find this room.
    NameNotProven,
    /// The server wants fewer orders.
    RateLimited,
    /// The server failed, or said what cannot be understood.
    ServerFault,
    /// The clock of this machine does not stand within the certificate's time.
    ClockWrong,
    /// The certificate cannot be stored.
    NotStored,
}
