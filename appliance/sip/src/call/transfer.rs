//! The far end of a call asks us to call somebody else in its place: REFER within the dialog (RFC 3515,
//! 5589), with Replaces where the other party is in a call with the far end already (RFC 3891).
//!
//! ```text
//!            REFER: told to our user                accepted: 202, NOTIFY 100
//!   Nothing ────────────────────────► Asked ────────────────────────────────► UnderWay ─┐ NOTIFY
//!     ▲                                │ refused: 603                          │  ▲    │ of progress
//!     ├────────────────────────────────┘                                       │  └────┘
//!     └── NOTIFY of the outcome, or nobody takes a NOTIFY ─────────────────────┘
//! ```
//!
//! REFER makes a subscription (RFC 6665) unless it says that it wants none (RFC 4488). Nobody
//! subscribes anew to it: it ends with the outcome, well before its time.

use std::time::Instant;

use super::Established;
use crate::endpoint::keys::{ClientKey, ServerKey};
use crate::endpoint::{ActionError, CallId, Endpoint, Event};
use crate::grammar::{
    ContentType, HeaderName, HeaderValue, Method, NameAddr, Replaces, Request, Response, SipUri,
    StatusCode, Uri, decode_escapes,
};

/// Longer than any call is let ring.
const SUBSCRIPTION_SECONDS: u32 = 300;
/// What Refer-Sub says where nobody wants to hear of the outcome (RFC 4488).
const NO_SUBSCRIPTION: &str = "false";

/// A REFER of the far end and what has become of it.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    state: State,
    /// The first REFER of the dialog: those after it are told apart by their numbers (RFC 3515 section
    /// 2.4.6).
    first: Option<u32>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    /// Our user has not said yet.
    Asked {
        key: ServerKey,
        sequence: u32,
        outcome: Outcome,
    },
    /// We call somebody.
    UnderWay { sequence: u32, outcome: Outcome },
}

/// Whether the far end wants to hear how it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Told,
    NotWanted,
}

/// Whom a REFER names.
struct Referred {
    target: Uri,
    replaces: Option<Replaces>,
}

impl Endpoint {
    /// Agrees to a transfer: whoever is to be called, is called by the user of this endpoint.
    ///
    /// # Errors
    /// The call is unknown, or nobody has asked.
    pub fn accept_transfer(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        let (key, sequence, outcome) = self.asked_transfer(call)?;
        let established = self.established_mut(call)?;
        established.transfer.state = State::UnderWay { sequence, outcome };
        let tag = established.dialog.local_tag().to_owned();
        if let Some(mut response) = self.dialog_response(call, &key, StatusCode::ACCEPTED, &tag) {
            if outcome == Outcome::NotWanted {
                let headers = &mut response.headers;
                headers
                    .push(HeaderName::ReferSub, NO_SUBSCRIPTION)
                    .expect("plain text");
            }
            self.respond(now, &key, &response);
        }
        self.tell_transfer(now, call, StatusCode::TRYING)
    }

    /// Refuses a transfer; the call goes on.
    ///
    /// # Errors
    /// The call is unknown, or nobody has asked.
    pub fn refuse_transfer(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        let (key, ..) = self.asked_transfer(call)?;
        self.established_mut(call)?.transfer.state = State::Nothing;
        self.respond_with(now, &key, StatusCode::DECLINE);
        Ok(())
    }

    /// Tells the far end how the call that it has asked for goes: `status` is what the called party
    /// has said. A final one ends the matter.
    ///
    /// # Errors
    /// The call is unknown, or no transfer is under way: the far end does not want to know any more.
    pub fn tell_transfer(
        &mut self,
        now: Instant,
        call: CallId,
        status: StatusCode,
    ) -> Result<(), ActionError> {
        let established = self.established_mut(call)?;
        let State::UnderWay { sequence, outcome } = established.transfer.state else {
            return Err(ActionError::WrongState);
        };
        let notify = (outcome == Outcome::Told).then(|| established.notify(sequence, status));
        if status.is_final() {
            established.transfer.state = State::Nothing;
        }
        if let Some(notify) = notify {
            self.send_in_dialog(now, call, notify);
        }
        Ok(())
    }

    fn asked_transfer(&mut self, call: CallId) -> Result<(ServerKey, u32, Outcome), ActionError> {
        match &self.established_mut(call)?.transfer.state {
            State::Asked {
                key,
                sequence,
                outcome,
            } => Ok((key.clone(), *sequence, *outcome)),
            State::Nothing | State::UnderWay { .. } => Err(ActionError::WrongState),
        }
    }

    pub(super) fn refer_received(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        sequence: u32,
        request: &Request,
    ) {
        let Referred { target, replaces } = match read_refer(request) {
            Ok(referred) => referred,
            Err(status) => return self.respond_with(now, key, status),
        };
        let wish = request.headers.text(&HeaderName::ReferSub);
        let outcome = match wish {
            Some(wish) if wish.trim().eq_ignore_ascii_case(NO_SUBSCRIPTION) => Outcome::NotWanted,
            Some(_) | None => Outcome::Told,
        };
        let Ok(established) = self.established_mut(id) else {
            return self.respond_with(now, key, StatusCode::DECLINE);
        };
        match established.transfer.state {
            State::Nothing => {}
            State::Asked { .. } | State::UnderWay { .. } => {
                return self.respond_with(now, key, StatusCode::REQUEST_PENDING);
            }
        }
        established.transfer.first.get_or_insert(sequence);
        established.transfer.state = State::Asked {
            key: key.clone(),
            sequence,
            outcome,
        };
        self.event(Event::TransferAsked {
            call: id,
            target,
            replaces,
        });
    }

    /// The far end has answered a NOTIFY. One that knows nothing of it has forgotten the subscription,
    /// which is no reason to end the call (RFC 5057); to one that came too late, others have come.
    pub(super) fn transfer_told(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        response: &Response,
    ) {
        let notify = self.clients.get(key).map(|it| it.outgoing.request.clone());
        if response.status().is_success() {
            self.heard_far_end(now, id);
        } else if response.status().is_final()
            && response.status() != StatusCode::SERVER_INTERNAL_ERROR
            && let Some(notify) = notify
        {
            self.notify_failed(id, &notify);
        }
    }

    /// A NOTIFY has not been taken. What it was about is not told any more; a later transfer is.
    pub(crate) fn notify_failed(&mut self, id: CallId, notify: &Request) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        if let State::UnderWay { sequence, .. } = established.transfer.state
            && notify.headers.text(&HeaderName::Event) == Some(established.event_of(sequence))
        {
            established.transfer.state = State::Nothing;
        }
    }
}

impl Established {
    /// What the subscription of a REFER is called.
    fn event_of(&self, sequence: u32) -> String {
        if self.transfer.first == Some(sequence) {
            "refer".to_owned()
        } else {
            format!("refer;id={sequence}")
        }
    }

    /// NOTIFY of what the called party has said (RFC 3515 section 2.4.5).
    fn notify(&mut self, sequence: u32, status: StatusCode) -> Request {
        let event = self.event_of(sequence);
        let mut request = self.dialog.request(Method::Notify);
        let subscription = if status.is_final() {
            "terminated;reason=noresource".to_owned()
        } else {
            format!("active;expires={SUBSCRIPTION_SECONDS}")
        };
        let headers = &mut request.headers;
        headers.push(HeaderName::Event, &event).expect("plain text");
        headers
            .push(HeaderName::SubscriptionState, &subscription)
            .expect("plain text");
        let content_type: ContentType = "message/sipfrag;version=2.0"
            .parse()
            .expect("a content type");
        let fragment = format!("SIP/2.0 {} {}\r\n", status.code(), status.phrase());
        request.set_body(&content_type, fragment.into());
        request
    }
}

/// Whom a REFER names: exactly one address that can be called, by INVITE, and with nothing of the
/// header fields that it brings but Replaces.
fn read_refer(request: &Request) -> Result<Referred, StatusCode> {
    let mut named = request.headers.values::<NameAddr>(&HeaderName::ReferTo);
    let (Some(Ok(named)), None) = (named.next(), named.next()) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let uri = named
        .uri()
        .as_sip()
        .ok_or(StatusCode::UNSUPPORTED_URI_SCHEME)?;
    let by_invite = uri
        .param("method")
        .is_none_or(|method| method == Method::Invite.as_str());
    if !by_invite {
        return Err(StatusCode::DECLINE);
    }
    Ok(Referred {
        replaces: replaces_of(uri)?,
        target: Uri::Sip(uri.clone().without_headers().without_param("method")),
    })
}

fn replaces_of(uri: &SipUri) -> Result<Option<Replaces>, StatusCode> {
    let mut all = uri
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
    let Some((_, escaped)) = all.next() else {
        return Ok(None);
    };
    let text = String::from_utf8(decode_escapes(escaped)).map_err(|_| StatusCode::BAD_REQUEST)?;
    let replaces = Replaces::parse_value(&text).map_err(|_| StatusCode::BAD_REQUEST)?;
    if all.next().is_some() {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(Some(replaces))
}
