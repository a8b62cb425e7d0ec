//! Media that is agreed on before a call from outside is answered (RFC 3262 section 5, RFC 3960).
//!
//! It goes by the first response that carries a description: 183 where our user has something to
//! say before the answer, 180 where the caller takes no other word of the ringing. Its ports stay, and
//! the answer says it again unless a PRACK has confirmed it.

use std::time::Instant;

use bytes::Bytes;
use rand_core::CryptoRng;

use super::outgoing::session_description;
use super::reliable::{Provisional, Sending};
use crate::endpoint::{ActionError, CallId, Endpoint, Event};
use crate::grammar::{Request, StatusCode};
use crate::offer_answer::{CallMedia, LocalMedia, SdpError, Session};

/// A session before the answer.
#[derive(Debug)]
pub(crate) struct EarlyMedia {
    pub(super) session: Session,
    pub(super) standing: Standing,
}

/// What the caller is known to have of early media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Perhaps nothing: the answer says it again.
    Unreliable,
    /// A PRACK is still to come.
    Unacknowledged,
    /// It has our description: what follows is offered anew.
    Acknowledged,
}

impl EarlyMedia {
    pub(super) fn take_later_offer(
        &mut self,
        rng: &mut impl CryptoRng,
        offer: &[u8],
    ) -> Result<(Bytes, CallMedia), SdpError> {
        self.standing = Standing::Acknowledged;
        self.session.answer_reoffer(rng, offer)
    }
}

impl Endpoint {
    /// Whether the caller hears that it rings only from a response that offers media: it takes
    /// reliable ones alone, and the first of these has to, as it has made no offer itself (RFC 3262
    /// section 5). [`Self::ring_with_offer`] sends that.
    #[must_use]
    pub fn rings_with_offer(&self, call: CallId) -> bool {
        self.offered(call)
            .is_ok_and(|offered| offered.progress.has_to_be_reliable() && offered.lacks_offer())
    }

    /// Tells a caller that has made no offer that it rings here, and offers media with the ports that
    /// are bound for it: they are those of the answer too. [`Event::EarlyMedia`] tells what its PRACK
    /// has agreed to.
    ///
    /// # Errors
    /// The call is unknown or not an unanswered incoming one, or [`Self::rings_with_offer`] is not so.
    pub fn ring_with_offer(
        &mut self,
        now: Instant,
        call: CallId,
        local: LocalMedia,
    ) -> Result<(), ActionError> {
        self.offered(call)?;
        if !self.rings_with_offer(call) {
            return Err(ActionError::WrongState);
        }
        self.describe_early(now, call, local, StatusCode::RINGING)
    }

    /// Whether a call from outside has not been answered yet, as far as the caller knows: the answer
    /// may wait for a PRACK.
    #[must_use]
    pub fn is_unanswered(&self, call: CallId) -> bool {
        self.offered(call).is_ok()
    }

    /// Agrees on media before the call is answered, with the ports that are bound for it: they are
    /// those of the answer too. [`Event::EarlyMedia`] tells what was agreed. Repeated, it changes
    /// nothing.
    ///
    /// # Errors
    /// The call is unknown or not an unanswered incoming one; the caller has made no offer and
    /// could not answer ours before we answer; or its offer cannot be answered with these ports,
    /// and the call goes on ringing.
    pub fn open_early_media(
        &mut self,
        now: Instant,
        call: CallId,
        local: LocalMedia,
    ) -> Result<(), ActionError> {
        if self.offered(call)?.progress.early.is_some() {
            return Ok(());
        }
        self.describe_early(now, call, local, StatusCode::SESSION_PROGRESS)
    }

    /// Sends the first description of a call before its answer.
    fn describe_early(
        &mut self,
        now: Instant,
        call: CallId,
        local: LocalMedia,
        status: StatusCode,
    ) -> Result<(), ActionError> {
        let offered = self.offered(call)?;
        let sending = offered.progress.sending_of_description();
        if !offered.has_offer() && sending == Sending::Unreliably {
            return Err(ActionError::WrongState);
        }
        let request = offered.request.clone();
        let (session, body, media) = self.first_session(call, &request, &local)?;
        let progress = Provisional {
            status,
            body: Some(body),
        };
        let standing = match sending {
            Sending::Unreliably => Standing::Unreliable,
            Sending::Reliably => Standing::Unacknowledged,
        };
        self.offered_mut(call)?.progress.early = Some(EarlyMedia { session, standing });
        self.send_provisional(now, call, progress, sending);
        if let Some(media) = media {
            self.event(Event::EarlyMedia { call, media });
        }
        Ok(())
    }

    /// The session of an unanswered call, and the description to send: the answer to its offer, or
    /// an offer of ours.
    pub(super) fn first_session(
        &mut self,
        call: CallId,
        invite: &Request,
        local: &LocalMedia,
    ) -> Result<(Session, Bytes, Option<CallMedia>), ActionError> {
        let account = &self
            .calls
            .get(&call)
            .ok_or(ActionError::UnknownCall)?
            .account;
        let account = self.account(&account.clone())?;
        let capabilities = &account.capabilities;
        let Some(offer) = session_description(&invite.headers, invite.body()) else {
            let (session, body) = Session::offer(capabilities, local, &mut self.rng);
            return Ok((session, body, None));
        };
        match Session::answer(capabilities, local, &mut self.rng, offer) {
            Ok((session, body, media)) => Ok((session, body, Some(media))),
            Err(error) => {
                self.note_description(&error);
                Err(ActionError::Media(error))
            }
        }
    }

    /// Answers with what early media has agreed. A description that the caller has acknowledged is
    /// not said again.
    pub(super) fn answer_with_early_media(&mut self, now: Instant, call: CallId) {
        let Ok(offered) = self.offered_mut(call) else {
            return;
        };
        let Some(EarlyMedia { session, standing }) = offered.progress.early.take() else {
            return;
        };
        let body = match standing {
            Standing::Acknowledged => None,
            Standing::Unacknowledged | Standing::Unreliable => Some(session.body()),
        };
        let media = session.media().cloned();
        self.send_answer(now, call, session, body, media);
    }
}
