//! Requests whose content or whose wishes for an answer cannot be met (RFC 3261 sections 8.2.3, 20.1 and 21.4.13).

use std::time::Instant;

use super::Endpoint;
use super::keys::ServerKey;
use crate::body::{self, BodyFault};
use crate::grammar::{HeaderName, MediaRange, Method, Request, StatusCode, Warning};
use crate::offer_answer::SdpError;

/// The one type of body that INVITE and its kin carry.
const SDP: &str = "application/sdp";
/// Content codings that we undo.
pub(crate) const ACCEPT_ENCODING: &str = "identity";

impl Endpoint {
    /// Refuses a request for its body, or because no answer of ours would be read. Says with what, when it
    /// did.
    pub(crate) fn refuse_content(
        &mut self,
        now: Instant,
        key: &ServerKey,
        request: &Request,
    ) -> Option<StatusCode> {
        if !is_judged(request.method()) {
            return None;
        }
        if let Err(fault) = body::session_description(&request.headers, request.body()) {
            let status = fault.status();
            match fault {
                BodyFault::Type => self.respond_unsupported(now, key, HeaderName::Accept, SDP),
                BodyFault::Encoding => {
                    self.respond_unsupported(now, key, HeaderName::AcceptEncoding, ACCEPT_ENCODING);
                }
                BodyFault::Malformed | BodyFault::Encrypted => self.respond_with(now, key, status),
            }
            return Some(status);
        }
        if *request.method() == Method::Invite && !accepts_description(request) {
            let status = StatusCode::NOT_ACCEPTABLE;
            self.respond_with(now, key, status);
            return Some(status);
        }
        None
    }

    /// Refuses a request whose description cannot be used, and warns of what is wrong with it.
    pub(crate) fn refuse_description(&mut self, now: Instant, key: &ServerKey, error: &SdpError) {
        self.note_description(error);
        let Some(mut response) = self.response(key, error.status()) else {
            return;
        };
        if let Some((code, text)) = error.warning() {
            let agent = self.user_agent().split(['/', ' ']).next();
            let agent = agent.filter(|name| !name.is_empty()).unwrap_or("-");
            response
                .headers
                .push_typed(&Warning::new(code, agent, text));
        }
        self.respond(now, key, &response);
    }

    /// 415, with what would be supported.
    pub(crate) fn respond_unsupported(
        &mut self,
        now: Instant,
        key: &ServerKey,
        name: HeaderName,
        supported: &str,
    ) {
        if let Some(mut response) = self.response(key, StatusCode::UNSUPPORTED_MEDIA_TYPE) {
            response.headers.push(name, supported).expect("plain text");
            self.respond(now, key, &response);
        }
    }
}

/// BYE and CANCEL end things whatever they carry; INFO has its own types; the others carry descriptions or nothing.
fn is_judged(method: &Method) -> bool {
    match method {
        Method::Invite | Method::Options | Method::Update | Method::Prack => true,
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Info
        | Method::Subscribe
        | Method::Notify
        | Method::Refer
        | Method::Message
        | Method::Publish
        | Method::Other(_) => false,
    }
}

/// Without Accept a description is accepted; an empty Accept accepts nothing. A value that nobody can read is no
/// reason to refuse a call.
fn accepts_description(request: &Request) -> bool {
    if !request.headers.contains(&HeaderName::Accept) {
        return true;
    }
    request
        .headers
        .typed_all::<MediaRange>()
        .any(|range| range.map_or(true, |range| range.wants("application", "sdp")))
}
