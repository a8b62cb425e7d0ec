//! Randomness from the operating system.

use crate::error::Error;

/// Bytes that nobody can guess: the seed of tags, branches and keys, an identity.
///
/// # Errors
/// [`Error::NoRandomness`].
pub fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}
