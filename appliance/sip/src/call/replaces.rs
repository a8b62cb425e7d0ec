//! A dialog that takes the place of another (RFC 3891).
//!
//! ```text
//!  INVITE with Replaces ─┬─ unknown dialog, or one that rings ──► 481    over already ──► 603
//!                        ├─ answered, but early-only ──► 486
//!                        ├─ not by our policy, or less protected ──► 403, 488
//!                        ├─ without an offer: what it will agree to cannot be seen ──► 488
//!                        └─ 200 at once, with the ports of the call; BYE to the old dialog
//! ```
//!
//! The call goes on for its user: it keeps its name and its ports, and what was agreed anew is told
//! as [`Event::MediaChanged`]. So a room whose process was killed comes back into its call
//! ([`Endpoint::invite_replacing`]) without anybody having to answer; where the far end cannot do
//! that, or has forgotten the call, the same INVITE goes out as a new call. Not so where the far end had
//! placed the call ([`Endpoint::take_up_again`]): nobody here has asked for another. Nor where somebody else
//! has asked for it by REFER: whoever hands a call on hears that it could not be done, still has both
//! of its calls, and decides itself whether the other party is to be rung anew (RFC 5589 section 7).
//!
//! A call of ours that still rings at the far end is not replaced: nobody would miss it, and its
//! ports are not in use.

use std::time::Instant;

use super::glare::is_same_party;
use super::hang_up::ByeReason;
use super::outgoing::{flow_back, session_description};
use super::{AckCarries, AwaitingAck, Call, CallState, Established, Role};
use crate::dialog::Dialog;
use crate::endpoint::keys::{ClientKey, ServerKey};
use crate::endpoint::{
    Account, AccountName, ActionError, Arrival, CallId, Endpoint, Event, PeerTrust, ReplacesPolicy,
    User,
};
use crate::grammar::{CSeq, ContentType, HeaderName, Replaces, Request, StatusCode, Uri};
use crate::offer_answer::{AgreedSecurity, CallMedia, LocalMedia, Session};

/// What becomes of a call whose far end cannot put it into the place of a dialog: it knows no such
/// dialog, or no Replaces, or does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNotReplaced {
    /// It goes on as a call of its own.
    CallAnew,
    /// It ends with what the far end has said.
    GiveUp,
}

/// What a call of ours is to replace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replacing<'a> {
    pub(super) dialog: &'a Replaces,
    pub(super) otherwise: IfNotReplaced,
    /// From, where it is not the account's address.
    pub(super) known_as: Option<&'a Uri>,
}

/// What an INVITE with Replaces asks for.
enum Wanted {
    Replace(CallId),
    Refuse(StatusCode),
}

impl Endpoint {
    /// Names the dialog of a standing call for its far end, so that
    /// [`invite_replacing`](Self::invite_replacing) finds the way back after a restart. It changes
    /// when the far end's dialog is replaced.
    #[must_use]
    pub fn replaces(&self, call: CallId) -> Option<Replaces> {
        match &self.calls.get(&call)?.state {
            CallState::Established(established) => established.dialog.as_replaced(),
            CallState::Dialing(_) | CallState::Offered(_) | CallState::Leaving(_) => None,
        }
    }

    /// Calls `target` to take the place of a dialog that it has, with us or with somebody who has asked
    /// for that.
    ///
    /// # Errors
    /// As for [`invite`](Self::invite).
    pub fn invite_replacing(
        &mut self,
        now: Instant,
        account: &AccountName,
        target: &Uri,
        local: LocalMedia,
        replaced: &Replaces,
        otherwise: IfNotReplaced,
    ) -> Result<CallId, ActionError> {
        let replacing = Replacing {
            dialog: replaced,
            otherwise,
            known_as: None,
        };
        self.place(now, account, target, local, Some(replacing))
    }

    /// Sends an INVITE again that could replace nothing, as one of its own. False when it wanted to
    /// replace nothing or nothing else, or was refused for another cause.
    pub(super) fn invite_without_replaces(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        status: StatusCode,
    ) -> bool {
        let calls_anew = match self.calls.get(&id).map(|call| &call.state) {
            Some(CallState::Dialing(dialing)) => dialing.if_not_replaced == IfNotReplaced::CallAnew,
            Some(CallState::Offered(_) | CallState::Established(_) | CallState::Leaving(_))
            | None => false,
        };
        let could_not_replace = [
            StatusCode::FORBIDDEN,
            StatusCode::BAD_EXTENSION,
            StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
            StatusCode::DECLINE,
        ]
        .contains(&status);
        calls_anew
            && could_not_replace
            && self.send_again(now, key, |request| {
                let replaced = request.headers.remove(&HeaderName::Replaces) > 0;
                request.headers.remove(&HeaderName::Require);
                replaced
            })
    }

    /// Somebody who is no stranger calls to take the place of a dialog.
    pub(super) fn replacing_invite_received(
        &mut self,
        now: Instant,
        key: &ServerKey,
        arrival: &Arrival,
        trust: PeerTrust,
        account: &Account,
    ) {
        if !self.has_room_for_calls() {
            self.statistics.overloaded += 1;
            return self.respond_with(now, key, StatusCode::BUSY_HERE);
        }
        let id = match self.what_replaces(arrival, trust, account) {
            Wanted::Replace(id) => id,
            Wanted::Refuse(status) => return self.respond_with(now, key, status),
        };
        let tag = self.token();
        let Ok(dialog) = Dialog::of_called(&arrival.request, &tag) else {
            return self.respond_with(now, key, StatusCode::BAD_REQUEST);
        };
        match self.replacing_session(id, account, &arrival.request) {
            Ok((session, media)) => {
                self.replace(now, id, key, arrival, dialog, session, media);
            }
            Err(status) => self.respond_with(now, key, status),
        }
    }

    /// RFC 3891 section 3.
    fn what_replaces(&self, arrival: &Arrival, trust: PeerTrust, account: &Account) -> Wanted {
        let headers = &arrival.request.headers;
        let (Ok(replaced), Ok(from)) = (headers.required::<Replaces>(), headers.from()) else {
            return Wanted::Refuse(StatusCode::BAD_REQUEST);
        };
        let found = self
            .calls
            .iter()
            .find(|(_, call)| call.account == account.name && call.is_named_by(&replaced));
        let Some((id, call)) = found else {
            return Wanted::Refuse(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        let established = match &call.state {
            CallState::Established(established) => established,
            CallState::Leaving(_) => return Wanted::Refuse(StatusCode::DECLINE),
            CallState::Dialing(_) | CallState::Offered(_) => {
                return Wanted::Refuse(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            }
        };
        if replaced.is_early_only() {
            return Wanted::Refuse(StatusCode::BUSY_HERE);
        }
        let remote = established.dialog.remote_uri().as_sip();
        let is_same_party = remote
            .zip(from.uri().as_sip())
            .is_some_and(|(known, from)| is_same_party(known, from));
        let allowed = match self.policy.replaces {
            ReplacesPolicy::Never => false,
            ReplacesPolicy::SameParty => is_same_party,
            // What a registrar passes on may be anybody's.
            ReplacesPolicy::Trusted => is_same_party || trust == PeerTrust::ConfiguredPeer,
        };
        let keeps_protection =
            !call.signalling.is_protected() || self.transport_of(arrival.path).is_protected();
        if allowed && keeps_protection {
            Wanted::Replace(*id)
        } else {
            Wanted::Refuse(StatusCode::FORBIDDEN)
        }
    }

    /// The session of the new dialog, with the ports of the old one.
    fn replacing_session(
        &mut self,
        id: CallId,
        account: &Account,
        invite: &Request,
    ) -> Result<(Session, CallMedia), StatusCode> {
        let established = self.established_mut(id);
        let Ok(replaced) = established.map(|established| established.session.clone()) else {
            return Err(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        let before = replaced.media().map(|media| media.security);
        let capabilities = &account.capabilities;
        let Some(offer) = session_description(&invite.headers, invite.body()) else {
            return Err(StatusCode::NOT_ACCEPTABLE_HERE);
        };
        let answered = replaced.answer_replacing(capabilities, &mut self.rng, offer);
        let (session, _, media) = answered.map_err(|error| {
            self.note_description(&error);
            error.status()
        })?;
        // A call that was protected does not become a plain one unseen.
        if before == Some(AgreedSecurity::Secured) && media.security == AgreedSecurity::Plain {
            return Err(StatusCode::NOT_ACCEPTABLE_HERE);
        }
        Ok((session, media))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that a new dialog is made of"
    )]
    fn replace(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        arrival: &Arrival,
        dialog: Dialog,
        session: Session,
        media: CallMedia,
    ) {
        self.note_call(&arrival.request.headers, id);
        let tag = dialog.local_tag().to_owned();
        let Some(mut response) = self.dialog_response(id, key, StatusCode::OK, &tag) else {
            return;
        };
        response.set_body(&ContentType::sdp(), session.body());
        let timer = self.grant_first(now, &arrival.request, &mut response);
        let Some((bytes, path)) = self.respond(now, key, &response) else {
            return;
        };
        let sequence = arrival.request.headers.required::<CSeq>();
        let sequence = sequence.map_or(0, |sequence| sequence.number);
        let carries = AckCarries::Nothing;
        let mut established = Established::new(now, Role::Called, dialog, session);
        established.awaiting_ack = Some(AwaitingAck::new(now, sequence, bytes, path, carries));
        established.timer = timer;
        established.heard_abilities(&arrival.request.headers);
        let signalling = self.signalling(arrival.path);
        let headers = &arrival.request.headers;
        let flow = flow_back(arrival.path, headers, &established.dialog);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if let CallState::Established(old) = &call.state {
            established.wanted = old.wanted;
        }
        let new = Call {
            account: call.account.clone(),
            signalling,
            flow,
            state: CallState::Established(Box::new(established)),
        };
        let old = std::mem::replace(call, new);
        self.bind_server(key, id);
        self.leave_replaced(now, id, old);
        self.event(Event::MediaChanged { call: id, media });
    }

    /// Ends the old dialog under a name of its own: what is still under way in it is no business of
    /// the call any more.
    fn leave_replaced(&mut self, now: Instant, id: CallId, old: Call) {
        let left = CallId(self.next_id());
        self.drop_waiting(&User::Call(id));
        self.hand_requests_over(id, left);
        self.leave_established(now, left, old, ByeReason::None);
    }
}

impl Call {
    fn is_named_by(&self, replaced: &Replaces) -> bool {
        self.owns_request(replaced.call_id(), replaced.to_tag(), replaced.from_tag())
    }
}
