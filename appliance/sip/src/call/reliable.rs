//! Provisional responses of ours, and their reliability (RFC 3262 section 3).
//!
//! ```text
//!   ring, early media ──► sent ──────────── the caller neither has nor wants it: forgotten
//!                          │ reliably
//!                          ▼                 PRACK with its number
//!       T1 doubling ┌─ unacknowledged ────────────────────────────► the next in the queue,
//!                   └──────┘ │ 64 T1                                 or the answer that had to wait
//!                            ▼
//!                       504, the call is over
//! ```
//!
//! 180 goes reliably only to a caller that requires it: what it says is said again by the answer.
//! Early media goes reliably whenever the caller can: its description counts (section 5). A caller
//! that requires reliability and has made no offer is offered media by its 180: the first reliable
//! response to it has to carry our offer, and that needs ports.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::early_media::{EarlyMedia, Standing};
use super::outgoing::session_description;
use super::{Call, CallState, Offered};
use crate::endpoint::extensions::{self, RELIABLE};
use crate::endpoint::keys::ServerKey;
use crate::endpoint::{ActionError, CallEndCause, CallId, Endpoint, Event};
use crate::grammar::{
    CSeq, ContentType, HeaderName, Headers, Method, RAck, RSeq, Request, StatusCode,
};
use crate::transaction::T1_64;
use crate::transaction::timers::Retransmission;
use crate::transport::Path;

/// What the caller makes of reliable provisional responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallerWants {
    /// It does not know them.
    Unreliable,
    /// It knows them.
    Either,
    /// It takes no others.
    Reliable,
}

/// How a provisional response was sent, or is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    Unreliably,
    Reliably,
}

/// What has been said to the caller before the answer.
#[derive(Debug)]
pub(crate) struct Progress {
    caller_wants: CallerWants,
    /// RSeq of the next reliable response.
    next: u32,
    unacknowledged: Option<Unacknowledged>,
    /// A second reliable response waits for the acknowledgement of the first.
    queue: VecDeque<Provisional>,
    pub(super) early: Option<EarlyMedia>,
    answer: AnswerWanted,
}

/// Whether our user has answered, and only a PRACK is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerWanted {
    NotYet,
    AfterPrack,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Provisional {
    pub(super) status: StatusCode,
    pub(super) body: Option<Bytes>,
}

/// A reliable response without its PRACK.
#[derive(Debug)]
struct Unacknowledged {
    number: ResponseNumber,
    has_description: HasDescription,
    response: Bytes,
    path: Path,
    retransmission: Retransmission,
    give_up: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HasDescription {
    No,
    Yes,
}

/// What RAck has to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseNumber {
    response: u32,
    /// Of the INVITE.
    sequence: u32,
}

impl ResponseNumber {
    fn is_of(self, ack: &RAck) -> bool {
        ack.response == self.response
            && ack.sequence == self.sequence
            && ack.method == Method::Invite
    }
}

impl Progress {
    /// Nothing has been said yet. `random` makes the first response number.
    pub(crate) fn new(invite: &Headers, random: u32) -> Self {
        let caller_wants = if extensions::requires(invite, RELIABLE) {
            CallerWants::Reliable
        } else if extensions::sender_supports(invite, RELIABLE) {
            CallerWants::Either
        } else {
            CallerWants::Unreliable
        };
        Self {
            caller_wants,
            // Section 3: 1 to 2^31 - 1, so that counting on never wraps.
            next: (random >> 1).max(1),
            unacknowledged: None,
            queue: VecDeque::new(),
            early: None,
            answer: AnswerWanted::NotYet,
        }
    }

    /// How a description goes: reliably whenever the caller can.
    pub(super) fn sending_of_description(&self) -> Sending {
        match self.caller_wants {
            CallerWants::Unreliable => Sending::Unreliably,
            CallerWants::Either | CallerWants::Reliable => Sending::Reliably,
        }
    }

    /// Whether the caller takes no provisional responses but reliable ones.
    pub(super) fn has_to_be_reliable(&self) -> bool {
        self.caller_wants == CallerWants::Reliable
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let unacknowledged = self.unacknowledged.as_ref()?;
        Some(
            unacknowledged
                .retransmission
                .at()
                .min(unacknowledged.give_up),
        )
    }

    /// What a PRACK may still acknowledge once the call is answered.
    pub(super) fn unacknowledged(&self) -> Option<ResponseNumber> {
        self.unacknowledged
            .as_ref()
            .map(|unacknowledged| unacknowledged.number)
    }

    /// Notes that the answer is wanted. True when it has to wait: section 3 forbids a 2xx before
    /// the PRACK of a description.
    pub(super) fn postpones_answer(&mut self) -> bool {
        let waits = self.queue.iter().any(|next| next.body.is_some())
            || self
                .unacknowledged
                .as_ref()
                .is_some_and(|sent| sent.has_description == HasDescription::Yes);
        if waits {
            self.answer = AnswerWanted::AfterPrack;
        }
        waits
    }
}

/// What the wait for a PRACK asks for.
enum PrackDue {
    Nothing,
    Repeat(Bytes, Path),
    GiveUp,
}

impl Offered {
    fn prack_due(&mut self, now: Instant) -> PrackDue {
        match &mut self.progress.unacknowledged {
            Some(sent) if sent.give_up <= now => PrackDue::GiveUp,
            Some(sent) if sent.retransmission.is_due(now) => {
                sent.retransmission.advance(now);
                PrackDue::Repeat(sent.response.clone(), sent.path)
            }
            Some(_) | None => PrackDue::Nothing,
        }
    }

    pub(super) fn has_offer(&self) -> bool {
        session_description(&self.request.headers, self.request.body()).is_some()
    }

    /// Whether neither side has offered anything.
    pub(super) fn lacks_offer(&self) -> bool {
        !self.has_offer() && self.progress.early.is_none()
    }
}

impl Endpoint {
    /// Tells the caller that it rings here. Nothing is said where [`Self::rings_with_offer`].
    ///
    /// # Errors
    /// The call is unknown, or is not an unanswered incoming one.
    pub fn ring(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        let offered = self.offered_mut(call)?;
        let sending = match offered.progress.caller_wants {
            CallerWants::Unreliable | CallerWants::Either => Sending::Unreliably,
            CallerWants::Reliable if offered.lacks_offer() => return Ok(()),
            CallerWants::Reliable => Sending::Reliably,
        };
        let ringing = Provisional {
            status: StatusCode::RINGING,
            body: None,
        };
        self.send_provisional(now, call, ringing, sending);
        Ok(())
    }

    pub(super) fn send_provisional(
        &mut self,
        now: Instant,
        id: CallId,
        provisional: Provisional,
        sending: Sending,
    ) {
        let Ok(offered) = self.offered_mut(id) else {
            return;
        };
        if sending == Sending::Reliably && offered.progress.unacknowledged.is_some() {
            if !offered.progress.queue.contains(&provisional) {
                offered.progress.queue.push_back(provisional);
            }
            return;
        }
        let (key, tag) = (offered.invite.clone(), offered.local_tag());
        let Some(mut response) = self.dialog_response(id, &key, provisional.status, &tag) else {
            return;
        };
        let has_description = match provisional.body {
            Some(body) => {
                response.set_body(&ContentType::sdp(), body);
                HasDescription::Yes
            }
            None => HasDescription::No,
        };
        if sending == Sending::Unreliably {
            self.respond(now, &key, &response);
            return;
        }
        let Ok(offered) = self.offered_mut(id) else {
            return;
        };
        let Ok(CSeq { number, .. }) = offered.request.headers.required::<CSeq>() else {
            return;
        };
        let number = ResponseNumber {
            response: offered.progress.next,
            sequence: number,
        };
        offered.progress.next += 1;
        let headers = &mut response.headers;
        headers
            .push(HeaderName::Require, RELIABLE)
            .expect("plain text");
        headers.push_typed(&RSeq(number.response));
        let Some((response, path)) = self.respond(now, &key, &response) else {
            return;
        };
        if let Ok(offered) = self.offered_mut(id) {
            offered.progress.unacknowledged = Some(Unacknowledged {
                number,
                has_description,
                response,
                path,
                // Section 3: doubling without the bound of T2, over TCP and TLS too.
                retransmission: Retransmission::doubling(now),
                give_up: now + T1_64,
            });
        }
    }

    /// Time has passed for the provisional responses of a call.
    pub(super) fn progress_due(&mut self, now: Instant, id: CallId) {
        let Ok(offered) = self.offered_mut(id) else {
            return;
        };
        match offered.prack_due(now) {
            PrackDue::Nothing => {}
            PrackDue::Repeat(bytes, path) => self.send_repeated(now, path, bytes),
            PrackDue::GiveUp => {
                let refused = self.refuse_offered(now, id, StatusCode::SERVER_TIMEOUT);
                if refused.is_ok() {
                    self.end_call(id, CallEndCause::Timeout);
                }
            }
        }
    }

    /// A PRACK of the caller.
    pub(super) fn prack_received(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        request: &Request,
    ) {
        let Ok(ack) = request.headers.required::<RAck>() else {
            return self.respond_with(now, key, StatusCode::BAD_REQUEST);
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        match &mut call.state {
            CallState::Offered(offered) => {
                let progress = &mut offered.progress;
                let sent = progress
                    .unacknowledged
                    .take_if(|sent| sent.number.is_of(&ack));
                match sent {
                    Some(sent) => {
                        let carried = sent.has_description;
                        self.progress_acknowledged(now, id, key, request, carried);
                    }
                    None => self.refuse_prack(now, key),
                }
            }
            CallState::Established(established) => {
                let late = established.late_prack.take_if(|number| number.is_of(&ack));
                match late {
                    Some(_) => self.respond_with(now, key, StatusCode::OK),
                    None => self.refuse_prack(now, key),
                }
            }
            CallState::Dialing(_) | CallState::Leaving(_) => self.refuse_prack(now, key),
        }
    }

    fn refuse_prack(&mut self, now: Instant, key: &ServerKey) {
        self.respond_with(now, key, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
    }

    fn progress_acknowledged(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        prack: &Request,
        carried: HasDescription,
    ) {
        if !self.take_prack_body(now, id, key, prack, carried) {
            return;
        }
        let Ok(offered) = self.offered_mut(id) else {
            return;
        };
        if let Some(next) = offered.progress.queue.pop_front() {
            return self.send_provisional(now, id, next, Sending::Reliably);
        }
        if offered.progress.answer == AnswerWanted::AfterPrack {
            self.answer_with_early_media(now, id);
        }
    }

    /// Answers a PRACK: with its body comes the answer to our offer, or another offer (section 5).
    /// False when the call has ended of it.
    fn take_prack_body(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        prack: &Request,
        carried: HasDescription,
    ) -> bool {
        let description = session_description(&prack.headers, prack.body());
        let mut rng = self.rng.clone();
        let Ok(offered) = self.offered_mut(id) else {
            return false;
        };
        let tag = offered.local_tag();
        let invite = offered.invite.clone();
        let early = offered.progress.early.as_mut();
        let early = early.filter(|early| {
            carried == HasDescription::Yes || early.standing == Standing::Acknowledged
        });
        match (early, description) {
            (Some(early), description) if early.session.is_offering() => {
                early.standing = Standing::Acknowledged;
                let agreed = early.session.accept_answer(description.unwrap_or_default());
                self.respond_with(now, key, StatusCode::OK);
                match agreed {
                    Ok(media) => self.event(Event::EarlyMedia { call: id, media }),
                    Err(error) => {
                        self.refuse_description(now, &invite, &error);
                        self.end_call(id, CallEndCause::from(&error));
                        return false;
                    }
                }
            }
            (Some(early), Some(offer)) => match early.take_later_offer(&mut rng, offer) {
                Ok((body, media)) => {
                    self.rng = rng;
                    if let Some(mut response) = self.response_tagged(key, StatusCode::OK, &tag) {
                        response.set_body(&ContentType::sdp(), body);
                        self.respond(now, key, &response);
                    }
                    self.event(Event::EarlyMedia { call: id, media });
                }
                Err(error) => {
                    self.refuse_description(now, key, &error);
                }
            },
            // The offer of the INVITE has no answer yet.
            (None, Some(_)) => self.respond_later(now, key),
            (early, None) => {
                if let Some(early) = early {
                    early.standing = Standing::Acknowledged;
                }
                self.respond_with(now, key, StatusCode::OK);
            }
        }
        true
    }

    pub(super) fn offered_mut(&mut self, call: CallId) -> Result<&mut Offered, ActionError> {
        match self.calls.get_mut(&call) {
            Some(Call {
                state: CallState::Offered(offered),
                ..
            }) => Ok(offered),
            Some(Call {
                state: CallState::Dialing(_) | CallState::Established(_),
                ..
            }) => Err(ActionError::WrongState),
            Some(Call {
                state: CallState::Leaving(_),
                ..
            })
            | None => Err(ActionError::UnknownCall),
        }
    }
}
