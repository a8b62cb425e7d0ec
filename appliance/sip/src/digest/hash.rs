//! The hash functions of digest authentication.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// The hash functions of RFC 8760, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// MD5: for servers that know nothing better.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512, cut to 256 bits.
    Sha512_256,
}

impl HashAlgorithm {
    pub(super) const ALL: [Self; 3] = [Self::Md5, Self::Sha256, Self::Sha512_256];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash of `text` in lower-case hexadecimal digits.
    pub(super) fn hash(self, text: &[u8]) -> String {
        fn hexadecimal(bytes: &[u8]) -> String {
            bytes
                .iter()
                .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
                    write!(text, "{byte:02x}").expect("writing to a string does not fail");
                    text
                })
        }
        match self {
            Self::Md5 => hexadecimal(&Md5::digest(text)),
            Self::Sha256 => hexadecimal(&Sha256::digest(text)),
            Self::Sha512_256 => hexadecimal(&Sha512_256::digest(text)),
        }
    }
}
