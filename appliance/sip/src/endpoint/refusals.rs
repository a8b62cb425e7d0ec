//! Refusals that leave nothing behind: 400 and its kin to garbage, 403 to strangers, 481 for what is long gone
//! (RFC 3261 section 8.2.7).
//!
//! # Bounds
//! The source of a datagram is unproven: whoever writes a victim's address into it makes us answer the victim. So
//! each datagram gets one such answer at most, of no more than [`MAX_AMPLIFICATION`] times its size, and
//! [`super::stranger_limit`] bounds how many answers one source, and all sources together, get in a time. Responses
//! and ACKs are never answered, and no answer is ever repeated. A stream's source is proven by its handshake; the rate
//! is bounded all the same.

use std::time::Instant;

use sha2::{Digest, Sha256};

use super::event::{Event, RefusedWhy};
use super::incoming::{answer_path, note_source};
use super::{Arrival, Endpoint, User};
use crate::error::MessageError;
use crate::grammar::{HeaderName, Method, Response, StatusCode};
use crate::transport::Path;

/// An answer to a datagram of a stranger has at most so many times its bytes. Refusals of real requests have fewer
/// bytes than those; only headers stripped to the bone come near.
pub(crate) const MAX_AMPLIFICATION: usize = 2;

impl Endpoint {
    /// `received` bytes that are no SIP message, or one without a usable top Via. Answered where the sender can be
    /// told: by its Via, or, when that is malformed, where the bytes came from.
    pub(crate) fn malformed(
        &mut self,
        now: Instant,
        path: Path,
        error: &MessageError,
        received: usize,
    ) {
        self.statistics.malformed += 1;
        let (Some(headers), Some(remote)) = (&error.answerable, self.remote_end(path)) else {
            return;
        };
        let mut headers = (**headers).clone();
        let path = match note_source(&mut headers, remote) {
            Ok(Some(via)) => answer_path(path, &via, remote),
            Err(_) => path,
            // Nobody could match the answer.
            Ok(None) => return,
        };
        if self.stranger_limit.admit(now, remote.ip()) {
            let response = Response::to_headers(&headers, error.fault.status());
            self.send_refusal(now, path, response, received);
        }
    }

    pub(crate) fn refuse_malformed(&mut self, now: Instant, arrival: &Arrival) {
        self.statistics.malformed += 1;
        if *arrival.request.method() != Method::Ack
            && self.stranger_limit.admit(now, arrival.remote.ip())
        {
            self.respond_stateless(now, arrival, StatusCode::BAD_REQUEST);
        }
    }

    pub(crate) fn refuse_stranger(&mut self, now: Instant, arrival: &Arrival) {
        self.statistics.refused += 1;
        if self.stranger_limit.admit(now, arrival.remote.ip()) {
            self.respond_stateless(now, arrival, StatusCode::FORBIDDEN);
            self.event(Event::Refused {
                remote: arrival.remote,
                why: RefusedWhy::Stranger,
            });
        }
    }

    /// Sends a response and forgets it: strangers cost no memory.
    pub(crate) fn respond_stateless(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        status: StatusCode,
    ) {
        let response = Response::to(&arrival.request, status);
        self.send_refusal(now, arrival.path, response, arrival.size);
    }

    /// Sends what fits into the bound.
    fn send_refusal(&mut self, now: Instant, path: Path, mut response: Response, received: usize) {
        let tag = self.stateless_tag(&response);
        response
            .headers
            .add_to_tag(&tag)
            .expect("our tags are tokens");
        let short = response.to_bytes();
        let _ = response.headers.push(HeaderName::Server, self.user_agent());
        let whole = response.to_bytes();
        let room = match path {
            Path::Datagram { .. } => received.saturating_mul(MAX_AMPLIFICATION),
            Path::Stream(_) => usize::MAX,
        };
        if let Some(bytes) = [whole, short].into_iter().find(|bytes| bytes.len() <= room) {
            self.send_message(now, path, &response, &User::Nobody, bytes);
        }
    }

    /// The same request gets the same tag.
    fn stateless_tag(&self, response: &Response) -> String {
        let mut hash = Sha256::new();
        hash.update(self.stateless_tag_key);
        for name in [HeaderName::Via, HeaderName::CallId] {
            hash.update(response.headers.get(&name).unwrap_or_default());
        }
        hash.finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
