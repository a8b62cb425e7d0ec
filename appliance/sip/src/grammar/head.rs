//! The head of a message: start line and header fields, cut out of bytes (RFC 3261 §7).
//!
//! A fault does not stop the reading where the rest can still be told apart: what was read is what an answer to the
//! sender is made of.

use std::ops::Range;

use bytes::Bytes;

use super::header_name::HeaderName;
use super::headers::Headers;
use super::message::{Message, Request, Response};
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

pub(super) const fn silent(fault: MessageFault) -> MessageError {
    MessageError {
        fault,
        answerable: None,
    }
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
    /// Reads a head that ends with its empty line.
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, MessageError> {
        Self::parse_prefix(bytes, MessageFault::UnfinishedHead).map(|(head, _)| head)
    }

    /// Reads the head at the beginning of `bytes` and gives its length, empty line included; the fault is
    /// `unfinished` when it does not end in them. A bad start line is kept for [`Head::finish`]: the header fields
    /// behind it, as many as are there, are what an answer is made of.
    pub(crate) fn parse_prefix(
        bytes: &Bytes,
        unfinished: MessageFault,
    ) -> Result<(Self, usize), MessageError> {
        let mut lines = Lines { bytes, at: 0 };
        let first = match lines.next_line() {
            Ok(first) => first.unwrap_or_default(),
            Err(MessageFault::UnfinishedHead) => return Err(silent(unfinished)),
            Err(fault) => return Err(silent(fault)),
        };
        let line = bytes.slice(first);
        let (headers, fault) = read_fields(&mut lines);
        let end = lines.at + 2;
        let start = parse_start_line(line.strip_suffix(b"\r\n").unwrap_or(&line));
        let head = Self {
            line,
            start,
            headers,
        };
        match fault {
            None if end <= bytes.len() => Ok((head, end)),
            None | Some(MessageFault::UnfinishedHead) => Err(head.refuse(unfinished)),
            Some(fault) => Err(head.refuse(fault)),
        }
    }

    /// The error for the beginning of a head that is too long.
    pub(crate) fn refuse_too_long(bytes: &Bytes) -> MessageError {
        let fault = MessageFault::HeadTooLong;
        match Self::parse_prefix(bytes, fault.clone()) {
            Ok((head, _)) => head.refuse(fault),
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
            let Some(length) = line_length(rest) else {
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

/// Where the first CR or LF is. Whole chunks at once: this is where most bytes of a message are looked at.
fn line_length(bytes: &[u8]) -> Option<usize> {
    const CHUNK: usize = 16;
    let is_end = |byte: u8| byte == b'\r' || byte == b'\n';
    let clean = bytes
        .chunks_exact(CHUNK)
        .take_while(|chunk| {
            !chunk
                .iter()
                .fold(false, |found, &byte| found | is_end(byte))
        })
        .count()
        * CHUNK;
    let rest = bytes.get(clean..)?;
    rest.iter()
        .position(|&byte| is_end(byte))
        .map(|length| clean + length)
}

/// Reads fields up to the empty line. Gives what could be read also when there was a fault, the first of which is
/// told: it is what an answer is made of.
fn read_fields(lines: &mut Lines<'_>) -> (Headers, Option<MessageFault>) {
    let mut headers = Headers::of_received(lines.bytes);
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
        match read_name(lines.bytes, range.clone()) {
            Some((name, value_start)) => {
                let value = trimmed(lines.bytes, value_start..range.end);
                headers.push_received(name, range, value);
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

/// Reads `field-name HCOLON` at the beginning of a line and says where the rest of the line begins.
fn read_name(bytes: &Bytes, range: Range<usize>) -> Option<(HeaderName, usize)> {
    let line = bytes.get(range.clone())?;
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
    HeaderName::from_wire(bytes, range.start..range.start + length)
        .map(|name| (name, range.start + colon + 1))
}

/// The range without white space and line ends at its ends.
fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let from = range.start;
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let value = bytes.get(range).unwrap_or_default();
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
