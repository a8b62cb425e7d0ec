//! Which box this is, for registrars that tell one from another (RFC 5626 section 4.1).

use std::fmt;
use std::fmt::Write as _;

/// A UUID as URN. It stays the same for the life of a box, through restarts and updates: by it a
/// registrar knows which of several bindings is an old one of the same box.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(String);

impl InstanceId {
    /// A UUID of version 4 from 122 of these random bits (RFC 9562 section 5.4).
    #[must_use]
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::from("urn:uuid:");
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
        }
        Self(text)
    }

    /// The URN of text that [`InstanceId`] has printed, in any case; `None` when it is no UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let uuid = text.strip_prefix("urn:uuid:")?;
        let well_formed = uuid.len() == 36
            && uuid.char_indices().all(|(index, character)| match index {
                8 | 13 | 18 | 23 => character == '-',
                _ => character.is_ascii_hexdigit(),
            });
        well_formed.then_some(Self(text))
    }

    /// The URN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of `+sip.instance`, which has angle brackets within its quotes.
    pub(crate) fn parameter(&self) -> String {
        format!("<{}>", self.0)
    }

    /// Whether a `+sip.instance` is ours.
    pub(crate) fn is_named_by(&self, parameter: &str) -> bool {
        parameter.eq_ignore_ascii_case(&self.parameter())
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bits_become_a_uuid_of_version_4_and_nothing_else_does() {
        let id = InstanceId::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(InstanceId::parse(&format!("{id}\n")), Some(id.clone()));
        assert_eq!(InstanceId::parse(&id.as_str().to_uppercase()), Some(id));
        for text in [
            "",
            "urn:uuid:",
            "ffffffff-ffff-4fff-bfff-ffffffffffff",
            "urn:uuid:ffffffff-ffff-4fff-bfff-fffffffffff",
            "urn:uuid:ffffffffffff-4fff-bfff-ffffffffffff-",
            "urn:uuid:ffffffff-ffff-4fff-bfff-fffffffffff\"",
        ] {
            assert_eq!(InstanceId::parse(text), None, "{text}");
        }
    }
}
