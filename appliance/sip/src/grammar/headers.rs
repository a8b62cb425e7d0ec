//! Header fields in the order and spelling of the message, and the typed view on them.
//!
//! A field is a slice of the received bytes, line end included, or a line of our own making. Typed values are
//! parsed when asked for; where the same header may hold several values, in one field or in many, both forms
//! read the same (RFC 3261 §7.3.1).

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::header_name::HeaderName;
use super::name_addr::NameAddr;
use super::syntax::{is_token_text, trim};
use crate::error::{HeaderError, Reason, SyntaxError, ValueRefused};

/// How many values a header may have, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// One field with one value.
    Single,
    /// Any number of fields with one value each.
    Fields,
    /// Any number of fields with any number of values, separated by commas.
    List,
    /// Like [`Placement::List`]; an empty field means no value (`Supported:`).
    ListOrEmpty,
}

/// A value that header fields hold.
pub trait HeaderValue: Sized {
    /// How many values there may be.
    const PLACEMENT: Placement;

    /// Parses one value. All of `text` has to be consumed, white space around it aside; folding is undone before.
    ///
    /// # Errors
    /// Where and why the text does not follow the grammar of the header.
    fn parse_value(text: &str) -> Result<Self, SyntaxError>;
}

/// A value that belongs to one header only.
pub trait TypedHeader: HeaderValue {
    /// The header.
    const NAME: HeaderName;
}

/// The header fields of a message.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    fields: Vec<Field>,
}

#[derive(Clone)]
struct Field {
    name: HeaderName,
    /// The whole field, its CRLF included.
    line: Bytes,
    /// The value in `line`, without white space around it.
    value: Range<usize>,
}

impl Field {
    fn new(name: HeaderName, value: &[u8]) -> Self {
        let spelling = name.as_str();
        let start = spelling.len() + 2;
        let mut line = BytesMut::with_capacity(start + value.len() + 2);
        line.put_slice(spelling.as_bytes());
        line.put_slice(b": ");
        line.put_slice(value);
        line.put_slice(b"\r\n");
        Self {
            name,
            line: line.freeze(),
            value: start..start + value.len(),
        }
    }

    fn value(&self) -> &[u8] {
        self.line.get(self.value.clone()).unwrap_or_default()
    }

    /// The value with folding undone.
    fn text(&self) -> Result<Cow<'_, str>, HeaderError> {
        match unfold(self.value()) {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|error| error.valid_up_to()),
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .map(Cow::Owned)
                .map_err(|error| error.utf8_error().valid_up_to()),
        }
        .map_err(|offset| {
            self.fault(SyntaxError {
                offset,
                reason: Reason::NotUtf8,
            })
        })
    }

    fn fault(&self, error: SyntaxError) -> HeaderError {
        HeaderError {
            header: self.name.clone(),
            offset: error.offset,
            reason: error.reason,
        }
    }

    fn parse_list<T: HeaderValue>(&self) -> Vec<Result<T, HeaderError>> {
        let text = match self.text() {
            Ok(text) => text,
            Err(error) => return vec![Err(error)],
        };
        match T::PLACEMENT {
            Placement::ListOrEmpty if trim(&text).is_empty() => Vec::new(),
            Placement::List | Placement::ListOrEmpty => ListItems::of(&text)
                .map(|item| self.parse_item(&item))
                .collect(),
            Placement::Single | Placement::Fields => {
                vec![T::parse_value(&text).map_err(|error| self.fault(error))]
            }
        }
    }

    fn parse_first<T: HeaderValue>(&self) -> Result<Option<T>, HeaderError> {
        let text = self.text()?;
        match T::PLACEMENT {
            Placement::ListOrEmpty if trim(&text).is_empty() => Ok(None),
            Placement::List | Placement::ListOrEmpty => ListItems::of(&text)
                .next()
                .map(|item| self.parse_item(&item))
                .transpose(),
            Placement::Single | Placement::Fields => T::parse_value(&text)
                .map(Some)
                .map_err(|error| self.fault(error)),
        }
    }

    fn parse_item<T: HeaderValue>(&self, item: &ListItem<'_>) -> Result<T, HeaderError> {
        T::parse_value(item.text).map_err(|error| {
            self.fault(SyntaxError {
                offset: item.offset + error.offset,
                ..error
            })
        })
    }
}

/// Replaces each line fold by one space (RFC 3261 §7.3.1).
fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
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
struct ListItem<'a> {
    offset: usize,
    text: &'a str,
}

/// Splits at the commas that stand neither in quotes nor in angle brackets.
struct ListItems<'a> {
    text: &'a str,
    next: Option<usize>,
}

impl<'a> ListItems<'a> {
    const fn of(text: &'a str) -> Self {
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

fn item_length(bytes: &[u8]) -> usize {
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

impl Headers {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// The number of fields.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Names and raw values in order; a raw value may be folded and need not be UTF-8.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &[u8])> {
        self.fields.iter().map(|field| (&field.name, field.value()))
    }

    /// The raw value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The raw values of all fields of that name.
    pub fn all(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        self.named(name).map(Field::value)
    }

    /// Whether there is a field of that name.
    #[must_use]
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.named(name).next().is_some()
    }

    /// The first field of that name as text for people: unfolded, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn text(&self, name: &HeaderName) -> Option<String> {
        self.get(name)
            .map(|value| String::from_utf8_lossy(&unfold(value)).into_owned())
    }

    fn named(&self, name: &HeaderName) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.name == *name)
    }

    /// The value of a header that stands once, or the first value of one that may stand often.
    ///
    /// # Errors
    /// When that value is malformed, or when a single header stands twice.
    pub fn typed<T: TypedHeader>(&self) -> Result<Option<T>, HeaderError> {
        self.value(&T::NAME)
    }

    /// Like [`Headers::typed`] for a header that has to be there.
    ///
    /// # Errors
    /// As [`Headers::typed`], and when the header is missing.
    pub fn required<T: TypedHeader>(&self) -> Result<T, HeaderError> {
        self.typed()?.ok_or_else(|| missing(T::NAME))
    }

    /// All values in order, each judged alone.
    pub fn typed_all<T: TypedHeader>(&self) -> impl Iterator<Item = Result<T, HeaderError>> {
        self.fields
            .iter()
            .filter(|field| field.name == T::NAME)
            .flat_map(Field::parse_list)
    }

    /// [`Headers::typed`] for a type that several headers share.
    ///
    /// # Errors
    /// As [`Headers::typed`].
    pub fn value<T: HeaderValue>(&self, name: &HeaderName) -> Result<Option<T>, HeaderError> {
        let mut fields = self.named(name);
        let Some(first) = fields.next() else {
            return Ok(None);
        };
        if T::PLACEMENT == Placement::Single {
            refuse_second(fields.next())?;
        }
        first.parse_first()
    }

    /// [`Headers::typed_all`] for a type that several headers share.
    pub fn values<T: HeaderValue>(
        &self,
        name: &HeaderName,
    ) -> impl Iterator<Item = Result<T, HeaderError>> {
        self.named(name).flat_map(Field::parse_list)
    }

    /// The From header.
    ///
    /// # Errors
    /// When it is missing, malformed or there twice.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.single_address(&HeaderName::From)
    }

    /// The To header.
    ///
    /// # Errors
    /// When it is missing, malformed or there twice.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.single_address(&HeaderName::To)
    }

    /// From and To hold one address, though the form is that of lists.
    fn single_address(&self, name: &HeaderName) -> Result<NameAddr, HeaderError> {
        let mut fields = self.named(name);
        let first = fields.next().ok_or_else(|| missing(name.clone()))?;
        refuse_second(fields.next())?;
        NameAddr::parse_value(&first.text()?).map_err(|error| first.fault(error))
    }

    /// Adds a field behind all others.
    ///
    /// # Errors
    /// When the value has CR, LF or NUL.
    pub fn push(&mut self, name: HeaderName, value: &str) -> Result<(), ValueRefused> {
        check_text(value)?;
        self.fields.push(Field::new(name, trim(value).as_bytes()));
        Ok(())
    }

    /// Puts one field in the place of the first of that name and removes the others; adds it when there is none.
    ///
    /// # Errors
    /// When the value has CR, LF or NUL.
    pub fn set(&mut self, name: HeaderName, value: &str) -> Result<(), ValueRefused> {
        check_text(value)?;
        self.put(Field::new(name, trim(value).as_bytes()));
        Ok(())
    }

    /// Removes all fields of that name and says how many there were.
    pub fn remove(&mut self, name: &HeaderName) -> usize {
        let before = self.fields.len();
        self.fields.retain(|field| field.name != *name);
        before - self.fields.len()
    }

    /// Adds a typed value in a field of its own behind all others.
    pub fn push_typed<T: TypedHeader + Display>(&mut self, value: &T) {
        self.push_value(T::NAME, value);
    }

    /// Adds a typed value in a field of its own before all others: a Via, a Record-Route.
    pub fn push_front_typed<T: TypedHeader + Display>(&mut self, value: &T) {
        self.fields.insert(0, field_of(T::NAME, value));
    }

    /// [`Headers::set`] with a typed value.
    pub fn set_typed<T: TypedHeader + Display>(&mut self, value: &T) {
        self.put(field_of(T::NAME, value));
    }

    /// [`Headers::push_typed`] for a type that several headers share.
    pub fn push_value<T: HeaderValue + Display>(&mut self, name: HeaderName, value: &T) {
        self.fields.push(field_of(name, value));
    }

    /// [`Headers::set_typed`] for a type that several headers share.
    pub fn set_value<T: HeaderValue + Display>(&mut self, name: HeaderName, value: &T) {
        self.put(field_of(name, value));
    }

    /// Replaces the first value of a list header and leaves the others as they are: how a receiver completes the
    /// topmost Via. Does nothing when there is no such header.
    pub fn replace_first<T: TypedHeader + Display>(&mut self, value: &T) {
        let Some(field) = self.fields.iter_mut().find(|field| field.name == T::NAME) else {
            return;
        };
        let text = unfold(field.value());
        let mut replaced = safe_text(value).into_bytes();
        replaced.extend_from_slice(text.get(item_length(&text)..).unwrap_or_default());
        *field = Field::new(T::NAME, &replaced);
    }

    /// Adds a tag to a To that has none, which makes the answer of a user agent complete (RFC 3261 §8.2.6.2).
    ///
    /// # Errors
    /// When the tag is no token.
    pub fn add_to_tag(&mut self, tag: &str) -> Result<(), ValueRefused> {
        if !is_token_text(tag) {
            return Err(SyntaxError {
                offset: 0,
                reason: Reason::Expected("a token"),
            }
            .into());
        }
        if self.to().is_ok_and(|address| address.tag().is_some()) {
            return Ok(());
        }
        if let Some(field) = self
            .fields
            .iter_mut()
            .find(|field| field.name == HeaderName::To)
        {
            let value = [field.value(), b";tag=", tag.as_bytes()].concat();
            *field = Field::new(HeaderName::To, &value);
        }
        Ok(())
    }

    /// Copies all fields of that name from another message, byte for byte.
    pub fn copy_from(&mut self, other: &Self, name: &HeaderName) {
        self.fields.extend(other.named(name).cloned());
    }

    /// Adds a field of a received message: `line` with its CRLF, the value at `value`.
    pub(crate) fn push_received(&mut self, name: HeaderName, line: Bytes, value: Range<usize>) {
        self.fields.push(Field { name, line, value });
    }

    /// The lines of all fields but those named `except`, ready to be sent.
    pub(crate) fn lines(&self, except: Option<&HeaderName>) -> impl Iterator<Item = &Bytes> {
        self.fields
            .iter()
            .filter(move |field| Some(&field.name) != except)
            .map(|field| &field.line)
    }

    fn put(&mut self, field: Field) {
        let Some(place) = self
            .fields
            .iter()
            .position(|present| present.name == field.name)
        else {
            self.fields.push(field);
            return;
        };
        let name = field.name.clone();
        self.fields[place] = field;
        let mut index = 0;
        self.fields.retain(|present| {
            let keep = index <= place || present.name != name;
            index += 1;
            keep
        });
    }
}

fn missing(header: HeaderName) -> HeaderError {
    HeaderError {
        header,
        offset: 0,
        reason: Reason::Missing,
    }
}

fn refuse_second(field: Option<&Field>) -> Result<(), HeaderError> {
    match field {
        Some(second) => Err(second.fault(SyntaxError {
            offset: 0,
            reason: Reason::Repeated,
        })),
        None => Ok(()),
    }
}

fn field_of<T: Display>(name: HeaderName, value: &T) -> Field {
    Field::new(name, safe_text(value).as_bytes())
}

/// Prints a typed value. Typed values are checked where they are made; should one print a control character all
/// the same, it becomes `?` rather than a header field of somebody else's.
fn safe_text<T: Display>(value: &T) -> String {
    let mut text = String::new();
    write!(text, "{value}").expect("writing to a String cannot fail");
    if check_text(&text).is_err() {
        text = text.replace(['\r', '\n', '\0'], "?");
    }
    text
}

/// Shows the name only: values may be credentials.
impl fmt::Debug for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name.as_str())
    }
}
