//! Header fields in the order and spelling of the message, and the typed view on them.
//!
//! A field is a slice of the received bytes, line end included, or a line of our own making. Typed values are
//! parsed when asked for; where the same header may hold several values, in one field or in many, both forms
//! read the same (RFC 3261 §7.3.1).

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::field_text::{ListItem, ListItems, check_text, item_length, unfold};
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
#[derive(Clone, Default)]
pub struct Headers {
    /// The received bytes that fields are ranges of: one reference for all.
    received: Bytes,
    fields: Vec<Field>,
}

/// Fields that a list has room for at first: nearly every message has fewer.
const USUAL_FIELDS: usize = 16;

#[derive(Clone)]
struct Field {
    name: HeaderName,
    line: Line,
}

/// A whole field, its CRLF included, and the place of its value, without white space around it.
#[derive(Clone)]
enum Line {
    /// Both are ranges of the received bytes.
    Received {
        line: Range<usize>,
        value: Range<usize>,
    },
    /// A line of our own making, or of another message.
    Own { line: Bytes, value: Range<usize> },
}

/// A field with its bytes at hand.
#[derive(Clone, Copy)]
struct View<'a> {
    name: &'a HeaderName,
    line: &'a [u8],
    value: &'a [u8],
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
        let line = Line::Own {
            line: line.freeze(),
            value: start..start + value.len(),
        };
        Self { name, line }
    }

    fn view<'a>(&'a self, received: &'a Bytes) -> View<'a> {
        let (line, value) = match &self.line {
            Line::Received { line, value } => {
                (received.get(line.clone()), received.get(value.clone()))
            }
            Line::Own { line, value } => (Some(&line[..]), line.get(value.clone())),
        };
        View {
            name: &self.name,
            line: line.unwrap_or_default(),
            value: value.unwrap_or_default(),
        }
    }

    /// The same field, independent of the bytes that it came with.
    fn detached(&self, received: &Bytes) -> Self {
        let line = match &self.line {
            Line::Received { line, value } => Line::Own {
                value: value.start - line.start..value.end - line.start,
                line: received.slice(line.clone()),
            },
            own @ Line::Own { .. } => own.clone(),
        };
        Self {
            name: self.name.clone(),
            line,
        }
    }
}

impl<'a> View<'a> {
    /// The value with folding undone.
    fn text(self) -> Result<Cow<'a, str>, HeaderError> {
        match unfold(self.value) {
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

    fn fault(self, error: SyntaxError) -> HeaderError {
        HeaderError {
            header: self.name.clone(),
            offset: error.offset,
            reason: error.reason,
        }
    }

    fn parse_list<T: HeaderValue>(self) -> Vec<Result<T, HeaderError>> {
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

    fn parse_first<T: HeaderValue>(self) -> Result<Option<T>, HeaderError> {
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

    fn parse_item<T: HeaderValue>(self, item: &ListItem<'_>) -> Result<T, HeaderError> {
        T::parse_value(item.text).map_err(|error| {
            self.fault(SyntaxError {
                offset: item.offset + error.offset,
                ..error
            })
        })
    }
}

/// The value of one field as text for people: unfolded, with U+FFFD for what is not UTF-8.
pub(crate) fn field_text(value: &[u8]) -> Cow<'_, str> {
    match unfold(value) {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The values of one field, each judged alone.
pub(crate) fn field_values<T: HeaderValue>(
    name: &HeaderName,
    value: &[u8],
) -> Vec<Result<T, HeaderError>> {
    let view = View {
        name,
        line: value,
        value,
    };
    view.parse_list()
}

impl Headers {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            received: Bytes::new(),
            fields: Vec::new(),
        }
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
        self.views().map(|field| (field.name, field.value))
    }

    /// The raw value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The raw values of all fields of that name.
    pub fn all(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        self.named(name).map(|field| field.value)
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

    fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.fields.iter().map(|field| field.view(&self.received))
    }

    fn named<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = View<'a>> {
        self.fields
            .iter()
            .filter(move |field| field.name == *name)
            .map(|field| field.view(&self.received))
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
        self.views()
            .filter(|field| *field.name == T::NAME)
            .flat_map(View::parse_list)
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
        self.named(name).flat_map(View::parse_list)
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
        let text = unfold(field.view(&self.received).value);
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
            let value = field.view(&self.received).value;
            let value = [value, b";tag=", tag.as_bytes()].concat();
            *field = Field::new(HeaderName::To, &value);
        }
        Ok(())
    }

    /// Copies all fields of that name from another message, byte for byte.
    pub fn copy_from(&mut self, other: &Self, name: &HeaderName) {
        let fields = other.fields.iter().filter(|field| field.name == *name);
        self.fields
            .extend(fields.map(|field| field.detached(&other.received)));
    }

    /// No fields yet of these received bytes.
    pub(crate) fn of_received(received: &Bytes) -> Self {
        Self {
            received: received.clone(),
            fields: Vec::with_capacity(USUAL_FIELDS),
        }
    }

    /// Adds a field of the received bytes: the line with its CRLF, and the value in it.
    pub(crate) fn push_received(
        &mut self,
        name: HeaderName,
        line: Range<usize>,
        value: Range<usize>,
    ) {
        let line = Line::Received { line, value };
        self.fields.push(Field { name, line });
    }

    /// The lines of all fields but those named `except`, ready to be sent.
    pub(crate) fn lines(&self, except: Option<&HeaderName>) -> impl Iterator<Item = &[u8]> {
        self.views()
            .filter(move |field| Some(field.name) != except)
            .map(|field| field.line)
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

fn refuse_second(field: Option<View<'_>>) -> Result<(), HeaderError> {
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

/// Shows the names only: values may be credentials.
impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.fields.iter().map(|field| &field.name);
        formatter.debug_list().entries(names).finish()
    }
}
