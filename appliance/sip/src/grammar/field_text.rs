//! The text of a header field: folding undone, lists cut into values, and what may be written (RFC 3261 §7.3.1).

use std::borrow::Cow;

use crate::error::ValueRefused;

/// Replaces each line fold by one space (RFC 3261 §7.3.1).
pub(super) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\r') {
        return Cow::Borrowed(value);
    }
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(&byte) = rest.first() {
        let length = rest
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        if length == 0 {
            text.push(byte);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let blanks = rest
            .iter()
            .skip(length)
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        rest = rest.get(length + blanks..).unwrap_or_default();
        text.push(b' ');
    }
    Cow::Owned(text)
}

/// One value of a comma-separated list.
pub(super) struct ListItem<'a> {
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

/// Splits at the commas that stand neither in quotes nor in angle brackets.
pub(super) struct ListItems<'a> {
    text: &'a str,
    next: Option<usize>,
}

impl<'a> ListItems<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self {
            text,
            next: Some(0),
        }
    }
}

impl<'a> Iterator for ListItems<'a> {
    type Item = ListItem<'a>;

    fn next(&mut self) -> Option<ListItem<'a>> {
        let offset = self.next?;
        let rest = self.text.get(offset..)?;
        let length = item_length(rest.as_bytes());
        self.next = (length < rest.len()).then_some(offset + length + 1);
        Some(ListItem {
            offset,
            text: rest.get(..length)?,
        })
    }
}

pub(super) fn item_length(bytes: &[u8]) -> usize {
    enum Place {
        Plain,
        Quotes,
        Escape,
        Brackets,
    }
    let mut place = Place::Plain;
    for (index, byte) in bytes.iter().enumerate() {
        place = match (place, byte) {
            (Place::Plain, b',') => return index,
            (Place::Plain, b'"') => Place::Quotes,
            (Place::Plain, b'<') => Place::Brackets,
            (Place::Quotes, b'\\') => Place::Escape,
            (Place::Quotes, b'"') | (Place::Brackets, b'>') => Place::Plain,
            (Place::Escape, _) => Place::Quotes,
            (same, _) => same,
        };
    }
    bytes.len()
}

/// Refuses what could end a header field.
pub(crate) fn check_text(text: &str) -> Result<(), ValueRefused> {
    match text
        .bytes()
        .position(|byte| matches!(byte, b'\r' | b'\n' | 0))
    {
        Some(offset) => Err(ValueRefused::ControlCharacter { offset }),
        None => Ok(()),
    }
}
