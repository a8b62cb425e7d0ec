//! Character classes of RFC 3261 §25.1 and the cursor that every typed value is read with.

use crate::error::{Reason, SyntaxError};

const TOKEN: u8 = 1;
const USER: u8 = 1 << 1;
const PASSWORD: u8 = 1 << 2;
const PARAM: u8 = 1 << 3;
const HEADER: u8 = 1 << 4;
const URIC: u8 = 1 << 5;
const WORD: u8 = 1 << 6;
const HOST: u8 = 1 << 7;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        if character.is_ascii_alphanumeric() {
            table[byte] = TOKEN | USER | PASSWORD | PARAM | HEADER | URIC | WORD | HOST;
        }
        byte += 1;
    }
    mark(&mut table, b"-.!%*_+`'~", TOKEN | WORD);
    mark(&mut table, b"()<>:\\\"/[]?{}", WORD);
    let unreserved = b"-_.!~*'()";
    mark(
        &mut table,
        unreserved,
        USER | PASSWORD | PARAM | HEADER | URIC,
    );
    mark(&mut table, b"&=+$,;?/", USER);
    mark(&mut table, b"&=+$,", PASSWORD);
    mark(&mut table, b"[]/:&+$", PARAM);
    mark(&mut table, b"[]/?:+$", HEADER);
    // `[` and `]` are not in RFC 2396's uric; RFC 2732 added them for IPv6 references. `#` is what
    // some schemes close with.
    mark(&mut table, b";/?:@&=+$,[]#", URIC);
    mark(&mut table, b"-._", HOST);
    table
}

const fn mark(table: &mut [u8; 256], characters: &[u8], class: u8) {
    let mut index = 0;
    while index < characters.len() {
        table[characters[index] as usize] |= class;
        index += 1;
    }
}

const fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// `token`: methods, parameter names, tags, branches.
pub(crate) const fn is_token(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// `user` of a SIP URI, without escapes.
pub(crate) const fn is_user(byte: u8) -> bool {
    is(byte, USER)
}

/// `password` of a SIP URI, without escapes.
pub(crate) const fn is_password(byte: u8) -> bool {
    is(byte, PASSWORD)
}

/// `paramchar` of a SIP URI, without escapes.
pub(crate) const fn is_uri_parameter(byte: u8) -> bool {
    is(byte, PARAM)
}

/// `hname` and `hvalue` of a SIP URI, without escapes.
pub(crate) const fn is_uri_header(byte: u8) -> bool {
    is(byte, HEADER)
}

/// What an absolute URI of any scheme may consist of, without escapes.
pub(crate) const fn is_uric(byte: u8) -> bool {
    is(byte, URIC)
}

/// `word`: the halves of a Call-ID.
pub(crate) const fn is_word(byte: u8) -> bool {
    is(byte, WORD)
}

/// Letters, digits, `-`, `.` and `_`: host names as they are seen in the field.
pub(crate) const fn is_host_name(byte: u8) -> bool {
    is(byte, HOST)
}

/// An unquoted parameter value: `token` or `host`, the latter with or without brackets.
pub(crate) const fn is_parameter_value(byte: u8) -> bool {
    is_token(byte) || matches!(byte, b'[' | b']' | b':')
}

/// Space and tab: all that is left of linear white space once folding is undone.
pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether `text` is one or more characters of `token`.
pub(crate) fn is_token_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token)
}

/// Takes blanks from both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|character| matches!(character, ' ' | '\t'))
}

/// Checks text in which `%` introduces an escape and every other character must be `allowed`.
pub(crate) fn check_escaped(
    text: &str,
    offset: usize,
    allowed: fn(u8) -> bool,
    what: &'static str,
) -> Result<(), SyntaxError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
            if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
                return Err(SyntaxError {
                    offset: offset + at,
                    reason: Reason::BadEscape,
                });
            }
            at += 3;
        } else if allowed(byte) {
            at += 1;
        } else {
            return Err(SyntaxError {
                offset: offset + at,
                reason: Reason::Expected(what),
            });
        }
    }
    Ok(())
}

/// Undoes percent escapes; an escape that is none stays as it is.
pub(crate) fn decode_escapes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (
            byte,
            bytes.get(at + 1).and_then(hex),
            bytes.get(at + 2).and_then(hex),
        ) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Reads one value from left to right. Its position always lies on a character boundary.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) const fn fault(&self, reason: Reason) -> SyntaxError {
        SyntaxError {
            offset: self.at,
            reason,
        }
    }

    pub(crate) const fn expected(&self, what: &'static str) -> SyntaxError {
        self.fault(Reason::Expected(what))
    }

    /// Takes the ASCII character `byte` if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        debug_assert!(byte.is_ascii());
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), SyntaxError> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.expected(what))
        }
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// Takes a separator with the white space that RFC 3261 allows around it (SEMI, COMMA, SLASH, EQUAL).
    pub(crate) fn eat_spaced(&mut self, byte: u8) -> bool {
        let before = self.at;
        self.skip_blanks();
        if self.eat(byte) {
            self.skip_blanks();
            true
        } else {
            self.at = before;
            false
        }
    }

    /// Takes the longest run of characters that `class` accepts; classes accept ASCII only.
    pub(crate) fn take_while(&mut self, class: fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest
            .bytes()
            .position(|byte| !class(byte))
            .unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    pub(crate) fn take_some(
        &mut self,
        class: fn(u8) -> bool,
        what: &'static str,
    ) -> Result<&'a str, SyntaxError> {
        let taken = self.take_while(class);
        if taken.is_empty() {
            Err(self.expected(what))
        } else {
            Ok(taken)
        }
    }

    /// Takes `length` bytes, which the caller has measured on [`Cursor::rest`].
    pub(crate) fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    pub(crate) fn token(&mut self, what: &'static str) -> Result<&'a str, SyntaxError> {
        self.take_some(is_token, what)
    }

    /// Takes a decimal number that fits `T`.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, SyntaxError> {
        let start = self.at;
        let digits = self.take_some(|byte| byte.is_ascii_digit(), what)?;
        let out_of_range = SyntaxError {
            offset: start,
            reason: Reason::OutOfRange,
        };
        let value: u64 = digits.parse().map_err(|_| out_of_range)?;
        T::try_from(value).map_err(|_| out_of_range)
    }

    /// Takes a quoted string and gives what it means, with escapes undone.
    pub(crate) fn quoted_string(&mut self) -> Result<String, SyntaxError> {
        self.expect(b'"', "a quoted string")?;
        let start = self.at;
        let mut meaning = String::new();
        loop {
            let rest = self.rest();
            let Some(stop) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\')) else {
                return Err(SyntaxError {
                    offset: start,
                    reason: Reason::UnterminatedQuote,
                });
            };
            meaning.push_str(self.take(stop));
            if self.eat(b'"') {
                return Ok(meaning);
            }
            self.eat(b'\\');
            match self.peek() {
                Some(escaped) if escaped.is_ascii() => {
                    meaning.push(char::from(escaped));
                    self.at += 1;
                }
                Some(_) => return Err(self.expected("an ASCII character after the backslash")),
                None => {
                    return Err(SyntaxError {
                        offset: start,
                        reason: Reason::UnterminatedQuote,
                    });
                }
            }
        }
    }

    /// The value must be over here, white space aside.
    pub(crate) fn finish(mut self) -> Result<(), SyntaxError> {
        self.skip_blanks();
        self.finish_exactly()
    }

    /// The value must be over here.
    pub(crate) fn finish_exactly(self) -> Result<(), SyntaxError> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.fault(Reason::TrailingText))
        }
    }
}

/// Writes `meaning` as a quoted string.
///
/// CR, LF and NUL have no place in a message of ours; a peer's escaped ones come out as `?`.
pub(crate) fn write_quoted(out: &mut impl std::fmt::Write, meaning: &str) -> std::fmt::Result {
    out.write_char('"')?;
    for character in meaning.chars() {
        match character {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(character)?;
            }
            '\r' | '\n' | '\0' => out.write_char('?')?,
            _ => out.write_char(character)?,
        }
    }
    out.write_char('"')
}
