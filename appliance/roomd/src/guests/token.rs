//! The secrets of links and sessions: 128 random bits, kept as their SHA-256 only.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use subtle::ConstantTimeEq;

/// Random bytes of a token. Nobody guesses 128 bits, so a plain hash keeps them.
const TOKEN_BYTES: usize = 16;

/// What a guest shows: the secret part of a link, or the value of a session's cookie. It prints nothing
/// by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one, of the operating system's randomness; `None` when that gives none.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        rand::fill(&mut bytes).ok()?;
        Some(Self(hexadecimal(&bytes)))
    }

    /// Reads what somebody shows: 32 hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let valid = text.len() == 2 * TOKEN_BYTES && text.bytes().all(is_digit);
        valid.then(|| Self(text.to_owned()))
    }

    /// The secret itself, for the one whom it is made for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        TokenDigest(hash)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Whether both are of the same token, in a time that does not tell where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub(super) fn from_hexadecimal(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(16 * value(pair[0])? + value(pair[1])?).ok()?;
        }
        Some(Self(hash))
    }

    pub(super) fn to_hexadecimal(self) -> String {
        hexadecimal(&self.0)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}

/// Bytes as lower-case digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_read_back() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one, other);
        let read = Token::parse(one.expose()).unwrap();
        assert!(read.digest().is(&one.digest()));
        assert!(!read.digest().is(&other.digest()));
    }

    #[test]
    fn a_digest_is_kept_as_text() {
        let digest = Token::generate().unwrap().digest();
        let kept = digest.to_hexadecimal();
        assert!(TokenDigest::from_hexadecimal(&kept).unwrap().is(&digest));
        for damaged in ["", &kept[1..], &kept.replace(|_| true, "g"), "\u{e9}"] {
            assert!(TokenDigest::from_hexadecimal(damaged).is_none());
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_nothing_is_shown() {
        for text in [
            "",
            "abc",
            &"A".repeat(32),
            &"\u{e9}".repeat(16),
            &"0".repeat(33),
        ] {
            assert_eq!(Token::parse(text), None);
        }
        let token = Token::generate().unwrap();
        let shown = format!("{token:?} {:?}", token.digest());
        assert_eq!(shown, "Token TokenDigest");
    }
}
