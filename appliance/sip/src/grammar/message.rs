//! Requests and responses: from a datagram, from parts, and back to bytes (RFC 3261 §7).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::content_type::ContentType;
use super::head::{Head, MAX_HEAD_BYTES, silent};
use super::header_name::HeaderName;
use super::headers::Headers;
use super::method::Method;
use super::status::StatusCode;
use super::uri::Uri;
use super::values::ContentLength;
use crate::error::{MessageError, MessageFault};

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
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// The line as received, CRLF included; `None` once the request is of our making.
    pub(super) line: Option<Bytes>,
    /// The header fields.
    pub headers: Headers,
    pub(super) body: Bytes,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) reason: String,
    /// The line as received, CRLF included; `None` when the response is of our making.
    pub(super) line: Option<Bytes>,
    /// The header fields.
    pub headers: Headers,
    pub(super) body: Bytes,
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
        let (head, length) = if rest.len() > MAX_HEAD_BYTES {
            let start = rest.slice(..MAX_HEAD_BYTES);
            Head::parse_prefix(&start, MessageFault::HeadTooLong)?
        } else {
            Head::parse_prefix(&rest, MessageFault::UnfinishedHead)?
        };
        rest.advance(length);
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
    let fields: usize = headers.lines(except).map(<[u8]>::len).sum();
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

/// The length of the line ends that come before a message.
fn line_ends(bytes: &[u8]) -> usize {
    2 * bytes
        .chunks_exact(2)
        .take_while(|pair| *pair == b"\r\n")
        .count()
}
