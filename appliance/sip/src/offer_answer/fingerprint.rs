//! Certificates by their fingerprints (RFC 8122).

use std::fmt;

/// The SHA-256 of a certificate (RFC 8122).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Reads the value of `a=fingerprint`. Other hash functions are not taken.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (function, hash) = value.trim().split_once(' ')?;
        let mut octets = [0; 32];
        let mut pairs = hash.trim().split(':');
        for octet in &mut octets {
            let pair = pairs.next().filter(|pair| pair.len() == 2)?;
            *octet = u8::from_str_radix(pair, 16).ok()?;
        }
        let whole = pairs.next().is_none() && function.eq_ignore_ascii_case("sha-256");
        whole.then_some(Self(octets))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256 ")?;
        for (index, octet) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
