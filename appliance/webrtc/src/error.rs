//! What can go wrong in a WebRTC leg.

/// Why a WebRTC leg cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session description cannot be read.
    #[error("the session description cannot be read: {0}")]
    Description(String),
}
