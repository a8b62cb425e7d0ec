//! Date (RFC 3261 §20.17): an RFC 1123 date, always in GMT.

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::syntax::{Cursor, is_blank};
use crate::error::{Reason, SyntaxError};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A point in time, to the second. The day of the week is checked to be one, not to be the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    weekday: &'static str,
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60: leap seconds exist.
    pub second: u8,
}

impl HeaderValue for Date {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let (weekday, _) = name(&mut cursor, &DAYS, "a day of the week")?;
        cursor.expect(b',', "`,` after the day of the week")?;
        blank(&mut cursor)?;
        let day = digits(&mut cursor, 1..=31)?;
        blank(&mut cursor)?;
        let (_, month) = name(&mut cursor, &MONTHS, "a month")?;
        blank(&mut cursor)?;
        let year: u16 = cursor.number("a year")?;
        blank(&mut cursor)?;
        let hour = digits(&mut cursor, 0..=23)?;
        cursor.expect(b':', "`:` after the hour")?;
        let minute = digits(&mut cursor, 0..=59)?;
        cursor.expect(b':', "`:` after the minute")?;
        let second = digits(&mut cursor, 0..=60)?;
        blank(&mut cursor)?;
        if cursor.clone().token("GMT")? != "GMT" {
            return Err(cursor.expected("GMT"));
        }
        cursor.token("GMT")?;
        cursor.finish()?;
        Ok(Self {
            weekday,
            year,
            month,
            day,
            hour,
            minute,
            second,
        })
    }
}

/// Reads one of `names` and gives its place, counted from 1.
fn name(
    cursor: &mut Cursor<'_>,
    names: &[&'static str],
    what: &'static str,
) -> Result<(&'static str, u8), SyntaxError> {
    let unknown = cursor.expected(what);
    let word = cursor.take_while(|byte| byte.is_ascii_alphabetic());
    let numbered = names.iter().zip(1u8..);
    let mut found = numbered.filter(|(name, _)| **name == word);
    found
        .next()
        .map(|(name, number)| (*name, number))
        .ok_or(unknown)
}

fn digits(cursor: &mut Cursor<'_>, range: std::ops::RangeInclusive<u8>) -> Result<u8, SyntaxError> {
    let out_of_range = cursor.fault(Reason::OutOfRange);
    let number = cursor.number("a number of two digits")?;
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(out_of_range)
    }
}

fn blank(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    cursor.take_some(is_blank, "a space").map(drop)
}

impl TypedHeader for Date {
    const NAME: HeaderName = HeaderName::Date;
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = MONTHS
            .get(usize::from(self.month).wrapping_sub(1))
            .copied()
            .unwrap_or("Jan");
        let Self {
            weekday,
            year,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        write!(
            formatter,
            "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
        )
    }
}
