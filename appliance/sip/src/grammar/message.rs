//! Requests and responses: from a datagram, from parts, and back to bytes (RFC 3261 §7).

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::content_type::ContentType;
use super::header_name::HeaderName;
use super::headers::Headers;
use super::method::Method;
use super::status::StatusCode;
use super::syntax::{is_blank, is_token, trim};
use super::uri::Uri;
use super::values::ContentLength;
use crate::error::{MessageError, MessageFault, Reason, SyntaxError};

/// The longest head (start line and header fields) that is read.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most header fields that are read.
pub const MAX_FIELDS: usize = 512;

/// The longest Request-URI that is read (RFC 3261 §21.4.12).
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// A SIP message.
#[derive(Debug, Clone)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    uri: Uri,
    /// The line as received, CRLF included; `None` once the request is of our making.
    line: Option<Bytes>,
    /// The header fields.
    pub headers: Headers,
    body: Bytes,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    status: StatusCode,
    reason: String,
    /// The line as received, CRLF included; `None` when the response is of our making.
    line: Option<Bytes>,
    /// The header fields.
    pub headers: Headers,
    body: Bytes,
}

impl Message {
    /// Reads the one message of a datagram. Line ends before it are skipped (RFC 3261 §7.5); its body ends where
    /// Content-Length says, or with the datagram when there is none (§18.3).
    ///
    /// # Errors
    /// What is wrong, with the means to answer it where there are any.
    pub fn parse_datagram(datagram: Bytes) -> Result<Self, MessageError> {
        let mut rest = datagram;
        rest.advance(line_ends(&rest));
        if rest.is_empty() {
            return Err(silent(MessageFault::Empty));
        }
        let limit = rest.len().min(MAX_HEAD_BYTES);
        let length = match find_head_end(rest.get(..limit).unwrap_or_default(), 0) {
            Some(length) => length,
            None if limit < rest.len() => {
                let head = rest.slice(..limit);
                return Err(Head::refuse_unfinished(&head, MessageFault::HeadTooLong));
            }
            None => return Err(Head::refuse_unfinished(&rest, MessageFault::UnfinishedHead)),
        };
        let head = Head::parse(&rest.split_to(length))?;
        let length = match head.content_length() {
            Ok(None) => rest.len(),
            Ok(Some(declared)) if declared <= rest.len() => declared,
            Ok(Some(declared)) => {
                return Err(head.refuse(MessageFault::TruncatedBody {
                    declared,
                    present: rest.len(),
                }));
            }
            Err(fault) => return Err(head.refuse(fault)),
        };
        head.finish(rest.slice(..length))
    }

    /// The bytes to send. A message as it was received is given byte for byte; one of our making gets the right
    /// Content-Length.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }

    /// The header fields.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The header fields, to change them.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => &mut request.headers,
            Self::Response(response) => &mut response.headers,
        }
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }
}

impl Request {
    /// A request without header fields and body.
    #[must_use]
    pub const fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            line: None,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Changes the Request-URI.
    pub fn set_uri(&mut self, uri: Uri) {
        self.uri = uri;
        self.line = None;
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Sets body, Content-Type and Content-Length.
    pub fn set_body(&mut self, content_type: &ContentType, body: Bytes) {
        describe_body(&mut self.headers, content_type, &body);
        self.body = body;
    }

    /// The bytes to send; see [`Message::to_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.line {
            Some(line) => assemble(line, &self.headers, &self.body, Origin::Received),
            None => {
                let line = format!("{} {} SIP/2.0\r\n", self.method, self.uri);
                assemble(line.as_bytes(), &self.headers, &self.body, Origin::Ours)
            }
        }
    }
}

impl Response {
    /// The answer to a request, with Via, From, To, Call-ID and CSeq copied byte for byte (RFC 3261 §8.2.6.2).
    #[must_use]
    pub fn to(request: &Request, status: StatusCode) -> Self {
        Self::to_headers(&request.headers, status)
    }

    /// The answer to a request of which only the header fields could be read.
    #[must_use]
    pub fn to_headers(request: &Headers, status: StatusCode) -> Self {
        let mut headers = Headers::new();
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            headers.copy_from(request, &name);
        }
        Self {
            status,
            reason: status.phrase().to_owned(),
            line: None,
            headers,
            body: Bytes::new(),
        }
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Sets body, Content-Type and Content-Length.
    pub fn set_body(&mut self, content_type: &ContentType, body: Bytes) {
        describe_body(&mut self.headers, content_type, &body);
        self.body = body;
    }

    /// The bytes to send; see [`Message::to_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.line {
            Some(line) => assemble(line, &self.headers, &self.body, Origin::Received),
            None => {
                let line = format!("SIP/2.0 {} {}\r\n", self.status, self.status.phrase());
                assemble(line.as_bytes(), &self.headers, &self.body, Origin::Ours)
            }
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

fn describe_body(headers: &mut Headers, content_type: &ContentType, body: &Bytes) {
    headers.set_typed(content_type);
    headers.set_typed(&ContentLength(
        u32::try_from(body.len()).unwrap_or(u32::MAX),
    ));
}

/// Who wrote the start line, and so who answers for Content-Length.
#[derive(Clone, Copy)]
enum Origin {
    Received,
    Ours,
}

fn assemble(line: &[u8], headers: &Headers, body: &Bytes, origin: Origin) -> Bytes {
    let (except, own_length) = match origin {
        Origin::Received => (None, String::new()),
        Origin::Ours => (
            Some(&HeaderName::ContentLength),
            format!("Content-Length: {}\r\n", body.len()),
        ),
    };
    let fields: usize = headers.lines(except).map(Bytes::len).sum();
    let mut bytes =
        BytesMut::with_capacity(line.len() + fields + own_length.len() + 2 + body.len());
    bytes.put_slice(line);
    for field in headers.lines(except) {
        bytes.put_slice(field);
    }
    bytes.put_slice(own_length.as_bytes());
    bytes.put_slice(b"\r\n");
    bytes.put_slice(body);
    bytes.freeze()
}

const fn silent(fault: MessageFault) -> MessageError {
    MessageError {
        fault,
        answerable: None,
    }
}

/// The length of the line ends that come before a message.
fn line_ends(bytes: &[u8]) -> usize {
    2 * bytes
        .chunks_exact(2)
        .take_while(|pair| *pair == b"\r\n")
        .count()
}

/// The length of the head, its empty line included, when it ends in `bytes`; looked for from `from` on.
pub(crate) fn find_head_end(bytes: &[u8], from: usize) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|&byte| byte == b'\r')?;
        if bytes.get(at..)?.starts_with(END) {
            return Some(at + END.len());
        }
        at += 1;
    }
}

/// Start line and header fields; the body is still to come.
#[derive(Debug)]
pub(crate) struct Head {
    line: Bytes,
    start: Result<Start, MessageFault>,
    headers: Headers,
}

#[derive(Debug)]
enum Start {
    Request(Method, Uri),
    Response(StatusCode, String),
}

impl Head {
    /// Reads a head that ends with its empty line. A bad start line is kept for [`Head::finish`]: the header fields
    /// behind it are what an answer is made of.
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, MessageError> {
        let mut lines = Lines { bytes, at: 0 };
        let first = lines.next_line().map_err(silent)?.unwrap_or_default();
        let line = bytes.slice(first);
        let (headers, fault) = read_fields(&mut lines);
        let start = parse_start_line(line.strip_suffix(b"\r\n").unwrap_or(&line));
        let head = Self {
            line,
            start,
            headers,
        };
        match fault {
            None => Ok(head),
            Some(fault) => Err(head.refuse(fault)),
        }
    }

    /// The error for bytes that hold no whole head: the fields that are there may be enough to answer.
    pub(crate) fn refuse_unfinished(bytes: &Bytes, fault: MessageFault) -> MessageError {
        match Self::parse(bytes) {
            Ok(head) => head.refuse(fault),
            Err(MessageError { answerable, .. }) => MessageError { fault, answerable },
        }
    }

    pub(crate) fn content_length(&self) -> Result<Option<usize>, MessageFault> {
        match self.headers.typed::<ContentLength>() {
            Ok(length) => Ok(length.map(|ContentLength(length)| length as usize)),
            Err(error) => Err(MessageFault::Header(error)),
        }
    }

    /// The error for a message with this head; a response and an ACK are never answered.
    pub(crate) fn refuse(self, fault: MessageFault) -> MessageError {
        let answerable = match self.start {
            Ok(Start::Response(..)) => None,
            Err(_) if is_status_line(&self.line) || self.line.starts_with(b"ACK ") => None,
            Ok(Start::Request(Method::Ack, _)) => None,
            Ok(Start::Request(..)) | Err(_) => Some(Box::new(self.headers)),
        };
        MessageError { fault, answerable }
    }

    pub(crate) fn finish(self, body: Bytes) -> Result<Message, MessageError> {
        let Self {
            line,
            start,
            headers,
        } = self;
        match start {
            Ok(Start::Request(method, uri)) => Ok(Message::Request(Request {
                method,
                uri,
                line: Some(line),
                headers,
                body,
            })),
            Ok(Start::Response(status, reason)) => Ok(Message::Response(Response {
                status,
                reason,
                line: Some(line),
                headers,
                body,
            })),
            Err(fault) => {
                let head = Self {
                    line,
                    start: Err(fault.clone()),
                    headers,
                };
                Err(head.refuse(fault))
            }
        }
    }
}

/// Cuts a head into lines, each with the folded ones that continue it.
struct Lines<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Lines<'_> {
    /// The next line with its CRLF; `None` at the empty line.
    fn next_line(&mut self) -> Result<Option<Range<usize>>, MessageFault> {
        let start = self.at;
        if self
            .bytes
            .get(start..start + 2)
            .is_none_or(|next| next == b"\r\n")
        {
            return Ok(None);
        }
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(length) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                return Err(MessageFault::UnfinishedHead);
            };
            if rest.get(length..length + 2) != Some(b"\r\n") {
                return Err(MessageFault::BareLineEnd {
                    offset: self.at + length,
                });
            }
            self.at += length + 2;
            if !matches!(self.bytes.get(self.at), Some(b' ' | b'\t')) {
                return Ok(Some(start..self.at));
            }
        }
    }
}

/// Reads fields up to the empty line. Gives what could be read also when there was a fault, the first of which is
/// told: it is what an answer is made of.
fn read_fields(lines: &mut Lines<'_>) -> (Headers, Option<MessageFault>) {
    let mut headers = Headers::new();
    let mut fault = None;
    loop {
        let range = match lines.next_line() {
            Ok(Some(range)) => range,
            Ok(None) => return (headers, fault),
            Err(error) => return (headers, fault.or(Some(error))),
        };
        if headers.len() == MAX_FIELDS {
            return (headers, fault.or(Some(MessageFault::TooManyFields)));
        }
        let offset = range.start;
        let line = lines.bytes.slice(range);
        match read_name(&line) {
            Some((name, value_start)) => {
                let value = trimmed(&line, value_start);
                headers.push_received(name, line, value);
            }
            None => fault = fault.or(Some(MessageFault::Field { offset })),
        }
    }
}

/// The header fields of a block that ends with its empty line, as parts of a body have them (RFC 2046 §5.1).
pub(crate) fn read_block(block: &Bytes) -> Result<Headers, MessageFault> {
    match read_fields(&mut Lines {
        bytes: block,
        at: 0,
    }) {
        (headers, None) => Ok(headers),
        (_, Some(fault)) => Err(fault),
    }
}

/// Reads `field-name HCOLON` and says where the rest of the line begins.
fn read_name(line: &Bytes) -> Option<(HeaderName, usize)> {
    let length = line.iter().position(|&byte| !is_token(byte))?;
    let blanks = line
        .iter()
        .skip(length)
        .take_while(|&&byte| is_blank(byte))
        .count();
    let colon = length + blanks;
    if line.get(colon) != Some(&b':') {
        return None;
    }
    HeaderName::from_wire(&line.slice(..length)).map(|name| (name, colon + 1))
}

/// The range of `line` from `from` on without white space and line ends around it.
fn trimmed(line: &[u8], from: usize) -> Range<usize> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let value = line.get(from..).unwrap_or_default();
    let start = value
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(start, |last| last + 1);
    from + start..from + end
}

fn is_status_line(line: &[u8]) -> bool {
    line.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
}

fn parse_start_line(line: &[u8]) -> Result<Start, MessageFault> {
    if is_status_line(line) {
        parse_status_line(line)
    } else {
        parse_request_line(line)
    }
}

const fn start_line_fault(offset: usize, reason: Reason) -> MessageFault {
    MessageFault::StartLine(SyntaxError { offset, reason })
}

/// `Method SP Request-URI SP SIP-Version`, with single spaces (RFC 3261 §7.1).
fn parse_request_line(line: &[u8]) -> Result<Start, MessageFault> {
    let text = std::str::from_utf8(line)
        .map_err(|error| start_line_fault(error.valid_up_to(), Reason::NotUtf8))?;
    let (method, rest) = text.split_once(' ').ok_or(start_line_fault(
        text.len(),
        Reason::Expected("a Request-URI"),
    ))?;
    let method: Method = method.parse().map_err(MessageFault::StartLine)?;
    let (uri, version) = rest
        .rsplit_once(' ')
        .ok_or(start_line_fault(text.len(), Reason::Expected("SIP/2.0")))?;
    check_version(version, text.len() - version.len())?;
    if uri.len() > MAX_URI_BYTES {
        return Err(MessageFault::UriTooLong);
    }
    let offset = method.as_str().len() + 1;
    let uri = uri
        .parse()
        .map_err(|error: SyntaxError| start_line_fault(offset + error.offset, error.reason))?;
    Ok(Start::Request(method, uri))
}

/// `SIP-Version SP Status-Code SP Reason-Phrase` (RFC 3261 §7.2). A missing reason phrase is accepted with its space
/// missing too, as some peers send it.
fn parse_status_line(line: &[u8]) -> Result<Start, MessageFault> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let version = parts.next().unwrap_or_default();
    check_version(&String::from_utf8_lossy(version), 0)?;
    let offset = version.len() + 1;
    let code = parts.next().unwrap_or_default();
    let status = std::str::from_utf8(code)
        .ok()
        .filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|code| code.parse().ok())
        .and_then(StatusCode::new)
        .ok_or(start_line_fault(offset, Reason::Expected("a status code")))?;
    let reason = String::from_utf8_lossy(parts.next().unwrap_or_default());
    Ok(Start::Response(status, trim(&reason).to_owned()))
}

fn check_version(version: &str, offset: usize) -> Result<(), MessageFault> {
    if version.eq_ignore_ascii_case("SIP/2.0") {
        Ok(())
    } else if is_status_line(version.as_bytes()) {
        Err(MessageFault::Version)
    } else {
        Err(start_line_fault(offset, Reason::Expected("SIP/2.0")))
    }
}
