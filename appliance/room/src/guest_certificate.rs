//! How the guests' server stands with who certifies it (ACME, RFC 8555).

use std::time::SystemTime;

/// The certificate of the guests' server, where an ACME server makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestCertificate {
    /// The name that it certifies.
    pub name: String,
    /// What is going on.
    pub state: GuestCertificateState,
    /// The end of the time of the one that guests see; `None`: they see one of the room's own authority.
    pub not_after: Option<SystemTime>,
    /// Why the last order failed; `None` when it did not.
    pub failure: Option<GuestCertificateFailure>,
}

/// What is going on about the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestCertificateState {
    /// One is being ordered.
    Ordering,
    /// Nothing is done before this moment.
    Waiting {
        /// When the certificate is ordered, or the server asked for the time of its renewal.
        until: SystemTime,
    },
}

/// An order that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestCertificateFailure {
    /// Why.
    pub reason: GuestCertificateReason,
    /// What the server or the machine said, without control characters, in its own language.
    pub detail: String,
    /// How many orders failed in a row, 1 or more.
    pub count: u32,
    /// When the last one did.
    pub at: SystemTime,
}

/// Why there is no new certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl GuestCertificateReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::ServerUntrusted,
        Self::AccountRefused,
        Self::NameRefused,
        Self::NoChallenge,
        Self::NameNotProven,
        Self::RateLimited,
        Self::ServerFault,
        Self::ClockWrong,
        Self::NotStored,
    ];
}
