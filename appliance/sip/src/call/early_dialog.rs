//! The caller's early dialogs (RFC 3261 section 12.1.2): one for each fork that has said anything
//! but 100, with the number of its last reliable response and the media agreed so far.
//!
//! ```text
//!  1xx of a known or new fork ─┬─ unreliable ─► told
//!                              └─ reliable ─┬─ the next in order ─► told, PRACK (RFC 3262 section 4)
//!                                           └─ any other ─► nothing: it comes again
//!  2xx ─► the fork's dialog stands, with its numbers; the others wait for their own 2xx, which is
//!         acknowledged and hung up
//! ```
//!
//! All requests within the early dialogs of one INVITE take their sequence numbers from one count,
//! kept by its transaction: a BYE to a fork that lost is numbered right long after its early dialog
//! is forgotten.

use std::time::Instant;

use super::outgoing::{flow_of, remote_tag, session_description};
use super::{Call, CallState, Dialing, RingingTold};
use crate::dialog::Dialog;
use crate::endpoint::extensions::{self, RELIABLE};
use crate::endpoint::keys::{ClientKey, ServerKey};
use crate::endpoint::{CallId, Endpoint, Event, Outgoing, User};
use crate::grammar::{CSeq, HeaderName, Method, RAck, RSeq, Request, Response, StatusCode, Uri};
use crate::offer_answer::{CallMedia, SdpError, Session};

/// Forks that are told apart before any has answered.
const MAX_EARLY_DIALOGS: usize = 8;
/// How often a PRACK is sent that arrives out of order.
const PRACK_ATTEMPTS: u8 = 3;

/// What one fork has said.
#[derive(Debug)]
pub(crate) struct EarlyDialog {
    remote_tag: Option<String>,
    /// `None` when the response names no target for requests.
    dialog: Option<Dialog>,
    media: EarlyMedia,
    /// RSeq of the last reliable response.
    last_reliable: Option<u32>,
}

/// What an early dialog has agreed.
#[derive(Debug)]
enum EarlyMedia {
    None,
    /// By a description that the final answer may replace.
    Preview(Session),
    /// By the answer, which counts (RFC 3262 section 5).
    Agreed(Session),
}

impl EarlyMedia {
    fn session(&self) -> Option<&Session> {
        match self {
            Self::None => None,
            Self::Preview(session) | Self::Agreed(session) => Some(session),
        }
    }
}

/// How a provisional response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    Unreliable,
    /// With its number, the next in order.
    Reliable(u32),
    /// Reliable, but repeated or too early.
    OutOfOrder,
}

impl EarlyDialog {
    fn arrival(&self, response: &Response) -> Arrival {
        let headers = &response.headers;
        if !extensions::requires(headers, RELIABLE) {
            return Arrival::Unreliable;
        }
        match (headers.typed::<RSeq>(), self.last_reliable) {
            (Ok(Some(RSeq(number))), None) => Arrival::Reliable(number),
            (Ok(Some(RSeq(number))), Some(last)) if last.checked_add(1) == Some(number) => {
                Arrival::Reliable(number)
            }
            (Ok(Some(_) | None) | Err(_), _) => Arrival::OutOfOrder,
        }
    }

    /// Takes a description. What it newly agrees, if anything.
    fn take_description(
        &mut self,
        offer: &Session,
        arrival: Arrival,
        description: &[u8],
    ) -> Result<Option<CallMedia>, SdpError> {
        if matches!(self.media, EarlyMedia::Agreed(_)) {
            // The answer has been given: whatever follows is ignored (RFC 3261 section 13.2.1).
            return Ok(None);
        }
        let mut session = offer.clone();
        let media = session.accept_answer(description)?;
        let known = self.media.session().and_then(Session::media);
        let is_new = known != Some(&media);
        self.media = match arrival {
            Arrival::Reliable(_) => EarlyMedia::Agreed(session),
            Arrival::Unreliable | Arrival::OutOfOrder => EarlyMedia::Preview(session),
        };
        Ok(is_new.then_some(media))
    }
}

impl Dialing {
    fn early_of(&mut self, invite: &Request, response: &Response) -> Option<&mut EarlyDialog> {
        let tag = remote_tag(response);
        let known = self.early.iter().position(|early| early.remote_tag == tag);
        let index = match known {
            Some(index) => index,
            None if self.early.len() < MAX_EARLY_DIALOGS => {
                self.early.push(EarlyDialog {
                    remote_tag: tag,
                    dialog: None,
                    media: EarlyMedia::None,
                    last_reliable: None,
                });
                self.early.len() - 1
            }
            None => return None,
        };
        let early = self.early.get_mut(index)?;
        if early.dialog.is_none() && early.remote_tag.is_some() {
            early.dialog = Dialog::of_caller(invite, response).ok();
        }
        Some(early)
    }

    /// The early dialog that a request of the far end belongs to.
    pub(super) fn dialog_with(&mut self, remote_tag: Option<&str>) -> Option<&mut Dialog> {
        self.early
            .iter_mut()
            .find(|early| early.remote_tag.as_deref() == remote_tag)?
            .dialog
            .as_mut()
    }

    pub(super) fn dialogs(&self) -> impl Iterator<Item = &Dialog> {
        self.early.iter().filter_map(|early| early.dialog.as_ref())
    }

    /// The session that a 2xx agrees: by what its fork has agreed reliably, by its own answer, or
    /// by an earlier preview (RFC 3261 section 13.2.1).
    pub(super) fn agreed_session(&self, response: &Response) -> Result<Session, SdpError> {
        let tag = remote_tag(response);
        let early = self.early.iter().find(|early| early.remote_tag == tag);
        let answer = session_description(&response.headers, response.body());
        match (early.map(|early| &early.media), answer) {
            (Some(EarlyMedia::Agreed(session)), _) | (Some(EarlyMedia::Preview(session)), None) => {
                Ok(session.clone())
            }
            (Some(EarlyMedia::None | EarlyMedia::Preview(_)) | None, answer) => {
                let mut session = self.offer.clone();
                session.accept_answer(answer.unwrap_or_default())?;
                Ok(session)
            }
        }
    }

    /// Carries what an early dialog has counted over into the one that its 2xx makes.
    pub(super) fn hand_over(&self, dialog: &mut Dialog) {
        let early = self
            .dialogs()
            .find(|early| early.remote_tag() == dialog.remote_tag());
        if let Some(early) = early {
            dialog.continue_from(early);
        }
    }
}

impl Endpoint {
    /// A provisional response to the INVITE of a call that we place.
    pub(super) fn provisional_response(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        response: &Response,
    ) {
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        let Some(Call {
            state: CallState::Dialing(dialing),
            ..
        }) = self.calls.get_mut(&id)
        else {
            return;
        };
        if response.status() == StatusCode::TRYING {
            return;
        }
        let offer = dialing.offer.clone();
        let Some(early) = dialing.early_of(&transaction.outgoing.request, response) else {
            self.statistics.overloaded += 1;
            return;
        };
        let arrival = early.arrival(response);
        match arrival {
            Arrival::OutOfOrder => return,
            Arrival::Reliable(_) if early.dialog.is_none() => return,
            Arrival::Reliable(number) => early.last_reliable = Some(number),
            Arrival::Unreliable => {}
        }
        // A description that we cannot use is no reason to give up: the final answer decides.
        let taken = session_description(&response.headers, response.body())
            .map(|description| early.take_description(&offer, arrival, description));
        let rings = response.status() == StatusCode::RINGING && dialing.ringing == RingingTold::No;
        if rings {
            dialing.ringing = RingingTold::Yes;
            self.event(Event::Ringing { call: id });
        }
        match taken {
            Some(Ok(Some(media))) => self.event(Event::EarlyMedia { call: id, media }),
            Some(Err(error)) => self.note_description(&error),
            Some(Ok(None)) | None => {}
        }
        if let Arrival::Reliable(number) = arrival {
            self.acknowledge_provisional(now, id, key, response, number);
        }
    }

    /// Sends PRACK (RFC 3262 section 4).
    fn acknowledge_provisional(
        &mut self,
        now: Instant,
        id: CallId,
        invite: &ClientKey,
        response: &Response,
        number: u32,
    ) {
        let Ok(CSeq { number: of, method }) = response.headers.required::<CSeq>() else {
            return;
        };
        let tag = remote_tag(response);
        let request = self.request_in_early(id, invite, tag.as_deref(), Method::Prack);
        let Some((mut prack, next_hop)) = request else {
            return;
        };
        prack.headers.push_typed(&RAck {
            response: number,
            sequence: of,
            method,
        });
        self.send_in_early(now, id, invite, prack, next_hop);
    }

    /// A request within an early dialog, numbered.
    fn request_in_early(
        &mut self,
        id: CallId,
        invite: &ClientKey,
        tag: Option<&str>,
        method: Method,
    ) -> Option<(Request, Uri)> {
        let number = self.next_fork_sequence(invite)?;
        let Some(Call {
            state: CallState::Dialing(dialing),
            ..
        }) = self.calls.get_mut(&id)
        else {
            return None;
        };
        let dialog = dialing.dialog_with(tag)?;
        dialog.sequence_used(number);
        Some((dialog.request_numbered(method, number), dialog.next_hop()))
    }

    fn send_in_early(
        &mut self,
        now: Instant,
        id: CallId,
        invite: &ClientKey,
        request: Request,
        next_hop: Uri,
    ) {
        let Some(transaction) = self.clients.get(invite) else {
            return;
        };
        let (account, path) = (transaction.outgoing.account.clone(), transaction.path);
        let has_route = request.headers.contains(&HeaderName::Route);
        let reusable = has_route || !self.is_proxied(invite);
        let mut outgoing = Outgoing::new(request, account, User::Call(id));
        outgoing.next_hop = Some(next_hop);
        outgoing.flow = flow_of(path).filter(|_| reusable);
        self.dispatch(now, outgoing);
    }

    /// A PRACK of ours has been answered. Nothing depends on it but one that came out of order, as
    /// when a younger request has overtaken it: the far end still waits for it.
    pub(super) fn prack_response(&mut self, now: Instant, key: &ClientKey, response: &Response) {
        if response.status() != StatusCode::SERVER_INTERNAL_ERROR {
            return;
        }
        let Some(transaction) = self.clients.get_mut(key) else {
            return;
        };
        let repeats = transaction.outgoing.attempts;
        if repeats + 1 < PRACK_ATTEMPTS {
            transaction.outgoing.attempts += 1;
            self.send_again(now, key, |_| true);
        }
    }

    /// An UPDATE in an early dialog of ours (RFC 3311 section 5.2).
    pub(super) fn update_of_dialing(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        request: &Request,
    ) {
        let from = request.headers.from();
        let remote_tag = from.as_ref().ok().and_then(|from| from.tag());
        let mut rng = self.rng.clone();
        let Some(Call {
            state: CallState::Dialing(dialing),
            ..
        }) = self.calls.get_mut(&id)
        else {
            return;
        };
        let early = dialing
            .early
            .iter_mut()
            .find(|early| early.remote_tag.as_deref() == remote_tag);
        let Some(EarlyDialog {
            dialog: Some(dialog),
            media,
            ..
        }) = early
        else {
            return self.respond_with(now, key, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        let tag = dialog.local_tag().to_owned();
        let answered = match (session_description(&request.headers, request.body()), media) {
            (None, _) => None,
            // The offer of our INVITE has no answer yet.
            (Some(_), EarlyMedia::None | EarlyMedia::Preview(_)) => {
                return self.respond_with(now, key, StatusCode::REQUEST_PENDING);
            }
            (Some(offer), EarlyMedia::Agreed(session)) => {
                match session.answer_reoffer(&mut rng, offer) {
                    Ok(answered) => Some(answered),
                    Err(error) => {
                        return self.refuse_description(now, key, &error);
                    }
                }
            }
        };
        dialog.refresh_target(&request.headers);
        self.rng = rng;
        self.accept_early_update(now, id, key, &tag, answered);
    }
}
