//! Touch-tone digits (RFC 4733 section 3.2).

use std::fmt;

/// One touch-tone digit: `0` to `9`, `*`, `#`, `A` to `D`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DtmfDigit(u8);

impl DtmfDigit {
    /// The event codes of RFC 4733 section 3.2, in order.
    const DIGITS: &'static [u8; 16] = b"0123456789*#ABCD";

    /// The digit that a character names; letters in either case. `None` for any other character.
    #[must_use]
    pub fn from_char(character: char) -> Option<Self> {
        let upper = u8::try_from(character).ok()?.to_ascii_uppercase();
        let code = Self::DIGITS.iter().position(|digit| *digit == upper)?;
        Self::from_event_code(u8::try_from(code).ok()?)
    }

    /// The digit of a telephone-event code, or `None` above 15.
    #[must_use]
    pub const fn from_event_code(code: u8) -> Option<Self> {
        if code < 16 { Some(Self(code)) } else { None }
    }

    /// The telephone-event code, 0 to 15.
    #[must_use]
    pub const fn event_code(self) -> u8 {
        self.0
    }

    /// The digit as a character; letters in upper case.
    #[must_use]
    pub fn as_char(self) -> char {
        char::from(Self::DIGITS[usize::from(self.0)])
    }
}

impl fmt::Display for DtmfDigit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

impl fmt::Debug for DtmfDigit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_char())
    }
}

/// One to [`DtmfDigits::MAX`] digits, sent one after the other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DtmfDigits(Vec<DtmfDigit>);

impl DtmfDigits {
    /// The most digits that one request may carry: a meeting number with its passcode fits, an
    /// hour of tones does not.
    pub const MAX: usize = 64;

    /// Reads digits such as `1234#`.
    ///
    /// # Errors
    /// Says what is wrong: no digit at all, too many, or a character that is no digit.
    pub fn parse(text: &str) -> Result<Self, DtmfError> {
        let mut digits = Vec::new();
        for character in text.chars() {
            if digits.len() == Self::MAX {
                return Err(DtmfError::TooMany);
            }
            digits.push(DtmfDigit::from_char(character).ok_or(DtmfError::NotADigit(character))?);
        }
        if digits.is_empty() {
            Err(DtmfError::Empty)
        } else {
            Ok(Self(digits))
        }
    }

    /// The digits in order; at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[DtmfDigit] {
        &self.0
    }
}

impl fmt::Display for DtmfDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digit| write!(f, "{digit}"))
    }
}

/// Digits are passcodes more often than not, so their number is all that is printed.
impl fmt::Debug for DtmfDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DtmfDigits({} digits)", self.0.len())
    }
}

/// Why a text is no [`DtmfDigits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DtmfError {
    /// The text is empty.
    #[error("no digit given")]
    Empty,
    /// The text has more than [`DtmfDigits::MAX`] digits.
    #[error("more than {} digits", DtmfDigits::MAX)]
    TooMany,
    /// The text has a character that no telephone key sends.
    #[error("{0:?} is not one of 0-9, *, #, A-D")]
    NotADigit(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_code_is_read_back_from_its_character() {
        for code in 0..16 {
            let digit = DtmfDigit::from_event_code(code).unwrap();
            assert_eq!(DtmfDigit::from_char(digit.as_char()), Some(digit));
            assert_eq!(digit.event_code(), code);
        }
        assert_eq!(DtmfDigit::from_event_code(16), None);
    }

    #[test]
    fn digits_are_read_in_order_and_anything_else_is_refused() {
        assert_eq!(DtmfDigits::parse("12*d#").unwrap().to_string(), "12*D#");
        assert_eq!(DtmfDigits::parse(""), Err(DtmfError::Empty));
        assert_eq!(DtmfDigits::parse("1 2"), Err(DtmfError::NotADigit(' ')));
        assert_eq!(DtmfDigits::parse("1٣"), Err(DtmfError::NotADigit('٣')));
        assert!(DtmfDigits::parse(&"1".repeat(DtmfDigits::MAX)).is_ok());
        assert_eq!(
            DtmfDigits::parse(&"1".repeat(DtmfDigits::MAX + 1)),
            Err(DtmfError::TooMany)
        );
    }

    #[test]
    fn a_passcode_is_not_printed_for_debugging() {
        let digits = DtmfDigits::parse("4711").unwrap();
        assert!(!format!("{digits:?}").contains("4711"));
    }
}
