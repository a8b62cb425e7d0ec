//! What a user agent needs of a message beyond its form (RFC 3261 §8.1.1, §8.2.2; RFC 4475).
//!
//! Only headers that a user agent acts on are judged: a fault in any other one is its reader's business, and the
//! call goes on. What depends on abilities (unknown methods, schemes, extensions) is answered elsewhere.

use super::content_type::ContentType;
use super::date::Date;
use super::header_name::HeaderName;
use super::headers::Headers;
use super::message::{Request, Response};
use super::method::Method;
use super::name_addr::{Contact, NameAddr};
use super::uri::Uri;
use super::values::{CSeq, CallId, Expires, MaxForwards};
use super::via::Via;
use crate::error::{HeaderError, MessageFault, Reason, SyntaxError};

impl Request {
    /// Checks that a user agent can work on the request: the headers of §8.1.1 are there once and well-formed,
    /// CSeq names the method of the request line, no header that matters is malformed.
    ///
    /// Max-Forwards and the From tag may be missing, as in requests of RFC 2543.
    ///
    /// # Errors
    /// The first fault found; [`MessageFault::status`] is the answer.
    pub fn check(&self) -> Result<(), MessageFault> {
        self.check_uri()?;
        check_headers(self).map_err(MessageFault::Header)
    }

    /// A Request-URI has no headers (§19.1.1).
    fn check_uri(&self) -> Result<(), MessageFault> {
        match self.uri() {
            Uri::Sip(uri) if uri.headers().next().is_some() => {
                let offset = self.method().as_str().len() + 1;
                let reason = Reason::Expected("a Request-URI without headers");
                Err(MessageFault::StartLine(SyntaxError { offset, reason }))
            }
            Uri::Sip(_) | Uri::Tel(_) | Uri::Other(_) => Ok(()),
        }
    }
}

impl Response {
    /// Checks that a user agent can work on the response.
    ///
    /// # Errors
    /// The first fault found. Such a response is dropped (§8.1.3, §18.1.2).
    pub fn check(&self) -> Result<(), MessageFault> {
        check_common(&self.headers)
            .map(drop)
            .map_err(MessageFault::Header)
    }
}

fn check_headers(request: &Request) -> Result<(), HeaderError> {
    let headers = &request.headers;
    let sequence = check_common(headers)?;
    if sequence.method != *request.method() {
        return Err(HeaderError {
            header: HeaderName::CSeq,
            offset: 0,
            reason: Reason::MethodMismatch,
        });
    }
    headers.typed::<MaxForwards>()?;
    headers.typed::<Expires>()?;
    headers.typed::<Date>()?;
    for contact in headers.typed_all::<Contact>() {
        match (contact?, request.method()) {
            (Contact::All, method) if *method != Method::Register => {
                let reason = Reason::Expected("an address");
                return Err(HeaderError {
                    header: HeaderName::Contact,
                    offset: 0,
                    reason,
                });
            }
            (Contact::All | Contact::Address(_), _) => {}
        }
    }
    Ok(())
}

/// What requests and responses have in common.
fn check_common(headers: &Headers) -> Result<CSeq, HeaderError> {
    headers.required::<Via>()?;
    headers.from()?;
    headers.to()?;
    headers.required::<CallId>()?;
    headers.typed::<ContentType>()?;
    for route in headers.values::<NameAddr>(&HeaderName::RecordRoute) {
        route?;
    }
    headers.required()
}
