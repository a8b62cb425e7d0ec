//! `a=crypto` lines: SRTP keys in session descriptions (SDES, RFC 4568).
//!
//! A line is used only when we can do exactly what it says: a suite that we have, one key without
//! MKI, no session parameter that changes the protection. All others are skipped, as the RFC
//! allows while another line is left.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rand_core::CryptoRng;
use room::codec::{SrtpKey, SrtpSuite};
use thiserror::Error;

/// Suites that we offer with their tags, the strongest first. A peer takes the first that it knows
/// (RFC 4568 section 5.1.2), so that old ones go on with what every system has; for those that
/// answer to tag 1 whatever stands beside it, that one has it. `AEAD_AES_128_GCM` is understood and
/// not offered: whoever has it has the longer key as well, and each suite makes every offer longer.
pub(super) const OFFERED_SUITES: [(u32, SrtpSuite); 3] = [
    (3, SrtpSuite::AeadAes256Gcm),
    (1, SrtpSuite::AesCm128HmacSha1_80),
    (2, SrtpSuite::AesCm128HmacSha1_32),
];

/// The shortest key lifetime that is accepted, in packets. Keys are not renewed within a call, so
/// a key must outlive the longest meeting: this many last nine hours at 500 packets a second.
const MIN_LIFETIME_PACKETS: u64 = 1 << 24;

/// One usable `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CryptoLine {
    /// Names the line within its `m=` section: 1 to 9 digits, no leading zero.
    pub(super) tag: u32,
    /// The key of whoever wrote the line, for what he sends.
    pub(super) key: SrtpKey,
}

/// Why an `a=crypto` line is skipped.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum CryptoLineError {
    #[error("the tag is not a number of 1 to 9 digits")]
    Tag,
    #[error("the suite is not supported")]
    Suite,
    #[error("the key is not inline: and the base64 of what the suite wants")]
    Key,
    #[error("several keys or a master key identifier")]
    MasterKeyIdentifier,
    #[error("the key's lifetime is malformed or too short")]
    Lifetime,
    #[error("a session parameter is not supported")]
    SessionParameter,
}

impl CryptoLine {
    /// A line with a fresh key.
    pub(super) fn generate(tag: u32, suite: SrtpSuite, rng: &mut impl CryptoRng) -> Self {
        Self {
            tag,
            key: SrtpKey::generate(suite, |bytes| rng.fill_bytes(bytes)),
        }
    }

    /// Reads the value of `a=crypto` (RFC 4568 section 9.1).
    pub(super) fn parse(text: &str) -> Result<Self, CryptoLineError> {
        let mut fields = text.split_ascii_whitespace();
        let tag = parse_tag(fields.next().unwrap_or_default())?;
        let suite = parse_suite(fields.next().unwrap_or_default())?;
        let key = parse_key_parameters(suite, fields.next().unwrap_or_default())?;
        fields.try_for_each(check_session_parameter)?;
        Ok(Self { tag, key })
    }

    /// The value of `a=crypto`. It contains the key: for the wire only.
    pub(super) fn to_attribute_value(&self) -> String {
        let mut value = format!("{} {} inline:", self.tag, self.key.suite());
        STANDARD.encode_string(self.key.key_and_salt(), &mut value);
        value
    }
}

fn parse_tag(text: &str) -> Result<u32, CryptoLineError> {
    let well_formed = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    well_formed
        .then(|| text.parse().ok())
        .flatten()
        .ok_or(CryptoLineError::Tag)
}

fn parse_suite(text: &str) -> Result<SrtpSuite, CryptoLineError> {
    SrtpSuite::ALL
        .into_iter()
        .find(|suite| suite.name().eq_ignore_ascii_case(text))
        .ok_or(CryptoLineError::Suite)
}

/// `inline:<key and salt>["|" lifetime]["|" MKI ":" length]`, several joined by `;`.
fn parse_key_parameters(suite: SrtpSuite, text: &str) -> Result<SrtpKey, CryptoLineError> {
    if text.contains(';') {
        return Err(CryptoLineError::MasterKeyIdentifier);
    }
    let (method, information) = text.split_once(':').ok_or(CryptoLineError::Key)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(CryptoLineError::Key);
    }
    let mut fields = information.split('|');
    let key = decode_key(suite, fields.next().unwrap_or_default())?;
    for field in fields {
        if field.contains(':') {
            return Err(CryptoLineError::MasterKeyIdentifier);
        }
        check_lifetime(field)?;
    }
    Ok(key)
}

/// The padding of the base64 may be missing: the keys of the GCM suites end in one, and the grammar
/// of `a=crypto` lets a writer forget it.
fn decode_key(suite: SrtpSuite, text: &str) -> Result<SrtpKey, CryptoLineError> {
    let mut bytes = [0; SrtpKey::MAX_LENGTH];
    let length = STANDARD_NO_PAD
        .decode_slice(text.trim_end_matches('='), &mut bytes)
        .map_err(|_| CryptoLineError::Key)?;
    SrtpKey::new(suite, &bytes[..length]).ok_or(CryptoLineError::Key)
}

/// A count of packets, written out or as `2^exponent`.
fn check_lifetime(text: &str) -> Result<(), CryptoLineError> {
    let packets = match text.strip_prefix("2^") {
        Some(exponent) => exponent
            .parse()
            .ok()
            .and_then(|bits| 1_u64.checked_shl(bits)),
        None => text.parse().ok(),
    };
    packets
        .filter(|packets| *packets >= MIN_LIFETIME_PACKETS)
        .map(|_| ())
        .ok_or(CryptoLineError::Lifetime)
}

/// Only parameters that leave the protection as it is are accepted: a window size hint, a zero
/// key derivation rate, and extensions that say of themselves that they may be ignored
/// (RFC 4568 section 6.3).
fn check_session_parameter(text: &str) -> Result<(), CryptoLineError> {
    let harmless = text.starts_with('-')
        || text.eq_ignore_ascii_case("KDR=0")
        || text
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case("WSH="));
    harmless
        .then_some(())
        .ok_or(CryptoLineError::SessionParameter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// Counted bytes, so no secrets: 30, 28 and 44 of them.
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    const KEY28: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";
    const KEY44: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=";

    fn parse(rest: &str) -> Result<CryptoLine, CryptoLineError> {
        let text = rest.replace("KEY28", KEY28).replace("KEY44", KEY44);
        CryptoLine::parse(&text.replace("KEY", KEY))
    }

    #[test]
    fn usable_lines_are_read() {
        let table = [
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY",
                1,
                SrtpSuite::AesCm128HmacSha1_80,
            ),
            (
                "2 AES_CM_128_HMAC_SHA1_32 inline:KEY",
                2,
                SrtpSuite::AesCm128HmacSha1_32,
            ),
            (
                "999999999 aes_cm_128_hmac_sha1_80 INLINE:KEY|2^31",
                999_999_999,
                SrtpSuite::AesCm128HmacSha1_80,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^48 WSH=64 KDR=0 -x=1",
                1,
                SrtpSuite::AesCm128HmacSha1_80,
            ),
            (
                "1 AEAD_AES_256_GCM inline:KEY44|2^31",
                1,
                SrtpSuite::AeadAes256Gcm,
            ),
            (
                "1 aead_aes_256_gcm inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis",
                1,
                SrtpSuite::AeadAes256Gcm,
            ),
            (
                "7 AEAD_AES_128_GCM inline:KEY28",
                7,
                SrtpSuite::AeadAes128Gcm,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|16777216",
                1,
                SrtpSuite::AesCm128HmacSha1_80,
            ),
        ];
        for (text, tag, suite) in table {
            let line = parse(text).unwrap();
            assert_eq!((line.tag, line.key.suite()), (tag, suite), "{text}");
            let length = suite.key_and_salt_length() as u8;
            let bytes = line.key.key_and_salt().iter().copied();
            assert!(bytes.eq(0..length), "{text}");
        }
    }

    #[test]
    fn lines_that_ask_for_what_we_do_not_do_are_skipped() {
        use CryptoLineError as E;
        let table = [
            ("", E::Tag),
            ("x AES_CM_128_HMAC_SHA1_80 inline:KEY", E::Tag),
            ("+1 AES_CM_128_HMAC_SHA1_80 inline:KEY", E::Tag),
            ("1234567890 AES_CM_128_HMAC_SHA1_80 inline:KEY", E::Tag),
            ("1", E::Suite),
            ("1 F8_128_HMAC_SHA1_80 inline:KEY", E::Suite),
            ("1 AES_256_CM_HMAC_SHA1_80 inline:KEY", E::Suite),
            ("1 AEAD_AES_256_GCM inline:KEY", E::Key),
            ("1 AEAD_AES_256_GCM inline:KEY28", E::Key),
            ("1 AEAD_AES_128_GCM inline:KEY44", E::Key),
            ("1 AEAD_AES_256_GCM inline:KEY44KEY44", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY44", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEYAAAA", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQF", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:????", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 uri:KEY", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4", E::Lifetime),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|1:4",
                E::MasterKeyIdentifier,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31|1:4",
                E::MasterKeyIdentifier,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY;inline:KEY",
                E::MasterKeyIdentifier,
            ),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^64", E::Lifetime),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^999999999999",
                E::Lifetime,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY UNENCRYPTED_SRTP",
                E::SessionParameter,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY UNAUTHENTICATED_SRTP",
                E::SessionParameter,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:KEY KDR=10",
                E::SessionParameter,
            ),
        ];
        for (text, error) in table {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn debug_never_shows_a_key() {
        let line = parse("1 AES_CM_128_HMAC_SHA1_80 inline:KEY").unwrap();
        let shown = format!("{line:?} {line:#?}");
        assert!(
            !shown.contains(KEY) && !shown.contains("13, 14, 15"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn a_generated_line_reads_back(seed: [u8; 32], tag in 1_u32..1_000_000_000) {
            let mut rng = ChaCha20Rng::from_seed(seed);
            for suite in SrtpSuite::ALL {
                let line = CryptoLine::generate(tag, suite, &mut rng);
                prop_assert_eq!(CryptoLine::parse(&line.to_attribute_value()), Ok(line));
            }
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,80}|1 AES_CM_128_HMAC_SHA1_80 \\PC{0,60}") {
            let _ = CryptoLine::parse(&text);
        }
    }
}
