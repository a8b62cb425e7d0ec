//! Digest authentication, client side (RFC 7616 as RFC 8760 applies it to SIP).
//!
//! ```text
//!  401/407 ──> DigestChallenge::select ──> DigestSession::new ──> authorize(request), nc = 1
//!                (strongest a realm)             │                authorize(request), nc = 2 ...
//!                                                │
//!  2xx with Authentication-Info ──> prove_server ┼─> nextnonce: its own count
//!                                                │
//!  401/407 again ──> DigestSession::challenged ──┴─> Renewed (the nonce is old: send again)
//!                                                └─> Refused (the credentials are wrong: stop)
//! ```
//!
//! The response proves knowledge of the password without showing it; whoever records it can still
//! guess passwords offline, most cheaply with MD5. So the strongest algorithm offered is taken.

mod challenge;
mod hash;
mod session;

use thiserror::Error;

use crate::error::ValueRefused;
use crate::secret::Secret;

pub use challenge::DigestChallenge;
pub use hash::HashAlgorithm;
pub use session::{AuthorizedRequest, DigestSession, Rechallenge, ServerProof};

/// Who answers challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name of the account, as its provider gave it.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Why a challenge cannot be answered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DigestError {
    /// No Digest challenge with an algorithm and a quality of protection that we have.
    #[error("no digest challenge of a supported kind")]
    NoSupportedChallenge,
    /// The challenge has no realm or no nonce.
    #[error("the digest challenge lacks {0}")]
    Missing(&'static str),
    /// A value of ours does not fit into a header field.
    #[error("the credentials do not fit into a header field: {0}")]
    Value(#[from] ValueRefused),
}
