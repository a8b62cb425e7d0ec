//! Parameters behind a `;` in header values (`generic-param`, RFC 3261 §25.1).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::syntax::{Cursor, is_parameter_value, is_token, is_token_text, write_quoted};
use crate::error::{Reason, SyntaxError, ValueRefused};

/// The most parameters that one value may have.
pub const MAX_PARAMS: usize = 64;

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    /// A token or a host, as spelled.
    Token(String),
    /// A quoted string: its meaning, without quotes and escapes.
    Quoted(String),
}

impl ParamValue {
    /// The text of the value, whichever form it has.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Token(text) | Self::Quoted(text) => text,
        }
    }
}

/// Parameters in the order of the message. Names compare without regard to case and stand once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    list: Vec<(ParamName, Option<ParamValue>)>,
}

/// The name of a parameter as spelled. Those that nearly every message has cost no memory.
pub(crate) type ParamName = Cow<'static, str>;

/// A name as spelled.
pub(crate) fn param_name(spelling: &str) -> ParamName {
    Cow::Borrowed(match spelling {
        "branch" => "branch",
        "tag" => "tag",
        "transport" => "transport",
        "lr" => "lr",
        "rport" => "rport",
        "received" => "received",
        "expires" => "expires",
        "ob" => "ob",
        "user" => "user",
        "q" => "q",
        "realm" => "realm",
        "nonce" => "nonce",
        "qop" => "qop",
        "algorithm" => "algorithm",
        other => return Cow::Owned(other.to_owned()),
    })
}

impl Params {
    /// The value of the parameter `name`; `None` also when it is there without a value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name)?.as_ref().map(ParamValue::as_str)
    }

    /// Whether the parameter is there, with or without a value.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&ParamValue>)> {
        self.list
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Sets a parameter whose value is a token (a tag, a branch, a number).
    ///
    /// # Errors
    /// When name or value is no token.
    pub fn set_token(&mut self, name: &str, value: &str) -> Result<(), ValueRefused> {
        check_token(value)?;
        self.put(name, Some(ParamValue::Token(value.to_owned())))
    }

    /// Sets a parameter whose value is a quoted string.
    ///
    /// # Errors
    /// When the name is no token or the value has CR, LF or NUL.
    pub fn set_quoted(&mut self, name: &str, value: &str) -> Result<(), ValueRefused> {
        super::field_text::check_text(value)?;
        self.put(name, Some(ParamValue::Quoted(value.to_owned())))
    }

    /// Sets a parameter that has no value (`lr`, `rport`, `ob`).
    ///
    /// # Errors
    /// When the name is no token.
    pub fn set_flag(&mut self, name: &str) -> Result<(), ValueRefused> {
        self.put(name, None)
    }

    /// Sets a parameter to an address, IPv6 without brackets as `received` wants it.
    pub(crate) fn set_address(&mut self, name: &'static str, address: IpAddr) {
        self.replace(name, Some(ParamValue::Token(address.to_string())));
    }

    /// Sets a parameter to a number.
    pub(crate) fn set_number(&mut self, name: &'static str, number: u32) {
        self.replace(name, Some(ParamValue::Token(number.to_string())));
    }

    /// Takes a parameter away.
    pub fn remove(&mut self, name: &str) {
        self.list
            .retain(|(present, _)| !present.eq_ignore_ascii_case(name));
    }

    fn find(&self, name: &str) -> Option<&Option<ParamValue>> {
        self.list
            .iter()
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn put(&mut self, name: &str, value: Option<ParamValue>) -> Result<(), ValueRefused> {
        check_token(name)?;
        self.replace(name, value);
        Ok(())
    }

    fn replace(&mut self, name: &str, value: Option<ParamValue>) {
        match self
            .list
            .iter_mut()
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
        {
            Some((_, present)) => *present = value,
            None => self.list.push((param_name(name), value)),
        }
    }

    /// Reads `*( SEMI generic-param )`.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut params = Self::default();
        while cursor.eat_spaced(b';') {
            params.read_one(cursor)?;
        }
        Ok(params)
    }

    /// Reads `name [EQUAL value]` and adds it.
    pub(crate) fn read_one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        self.read_one_of(cursor, is_parameter_value)
    }

    /// The same, with another class of characters for a value without quotes.
    pub(crate) fn read_one_of(
        &mut self,
        cursor: &mut Cursor<'_>,
        class: fn(u8) -> bool,
    ) -> Result<(), SyntaxError> {
        let start = cursor.clone();
        let name = cursor.take_some(is_token, "a parameter name")?;
        if self.list.len() == MAX_PARAMS {
            return Err(start.fault(Reason::TooManyParameters));
        }
        if self.contains(name) {
            return Err(start.fault(Reason::RepeatedParameter));
        }
        let value = if cursor.eat_spaced(b'=') {
            Some(read_value(cursor, class)?)
        } else {
            None
        };
        self.list.push((param_name(name), value));
        Ok(())
    }

    /// Writes the parameters with `separator` between them.
    pub(crate) fn write(&self, formatter: &mut fmt::Formatter<'_>, separator: &str) -> fmt::Result {
        for (index, (name, value)) in self.list.iter().enumerate() {
            if index > 0 {
                formatter.write_str(separator)?;
            }
            formatter.write_str(name)?;
            match value {
                Some(ParamValue::Token(text)) => write!(formatter, "={text}")?,
                Some(ParamValue::Quoted(text)) => {
                    formatter.write_str("=")?;
                    write_quoted(formatter, text)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn read_value(cursor: &mut Cursor<'_>, class: fn(u8) -> bool) -> Result<ParamValue, SyntaxError> {
    if cursor.peek() == Some(b'"') {
        return cursor.quoted_string().map(ParamValue::Quoted);
    }
    let text = cursor.take_some(class, "a parameter value")?;
    Ok(ParamValue::Token(text.to_owned()))
}

fn check_token(text: &str) -> Result<(), ValueRefused> {
    if is_token_text(text) {
        return Ok(());
    }
    let offset = text.bytes().position(|byte| !is_token(byte)).unwrap_or(0);
    Err(ValueRefused::Syntax(SyntaxError {
        offset,
        reason: Reason::Expected("a token"),
    }))
}

impl fmt::Display for Params {
    /// Each parameter with its `;` before it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.list.is_empty() {
            return Ok(());
        }
        formatter.write_str(";")?;
        self.write(formatter, ";")
    }
}
