//! Calls that are sent elsewhere (RFC 3261 section 8.1.3.4), or by another proxy to the same target.
//!
//! ```text
//!  300, 301, 302 ─► its Contacts, best first, join what waits ─┐
//!  any other refusal but 6xx, no answer, no way ───────────────┴─► the next that waits: INVITE
//!                                                                  none: the call is over
//!  503, no answer, no way ─► another outbound proxy of the account, if one works: INVITE
//! ```
//!
//! A target is tried once, so that no loop can form; an account says how many are tried at most, and
//! may follow none. `sips` is never left for `sip`, nor TLS for another transport. What a Contact
//! would write into our request (its headers, its method) is not taken. 305 and 380 are refusals:
//! nobody may choose a proxy for us, and another service is another kind of call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::{Call, CallState, Dialing};
use crate::endpoint::{Account, CallId, Endpoint, FirstHop, Outgoing, User};
use crate::grammar::{
    CSeq, Contact, HeaderName, Headers, Method, NameAddr, Request, Response, SipScheme, SipUri,
    StatusCode, Uri,
};

/// Targets that wait at once.
const MAX_WAITING: usize = 16;

/// Where else a call may go.
#[derive(Debug)]
pub(crate) struct Redirects {
    /// The first INVITE, without what depends on its way.
    invite: Request,
    tried: Vec<SipUri>,
    waiting: VecDeque<SipUri>,
    left: u8,
}

impl Redirects {
    /// Follows at most `limit` redirections of an INVITE to `target`.
    pub(crate) fn new(invite: Request, target: SipUri, limit: u8) -> Self {
        Self {
            invite,
            tried: vec![target],
            waiting: VecDeque::new(),
            left: limit,
        }
    }

    /// Takes the targets of a redirection, by their preference.
    fn take(&mut self, headers: &Headers) {
        let mut targets: Vec<(u16, SipUri)> = headers
            .typed_all::<Contact>()
            .filter_map(Result::ok)
            .filter_map(|contact| match contact {
                Contact::Address(address) => self.usable(&address),
                Contact::All => None,
            })
            .collect();
        // Stable: what is preferred alike stays in the order of the message.
        targets.sort_by_key(|(preference, _)| std::cmp::Reverse(*preference));
        for (_, target) in targets {
            let is_known = self
                .waiting
                .iter()
                .any(|known| known.is_equivalent_to(&target));
            if !is_known && self.waiting.len() < MAX_WAITING {
                self.waiting.push_back(target);
            }
        }
    }

    fn usable(&self, address: &NameAddr) -> Option<(u16, SipUri)> {
        let uri = address.uri().as_sip()?;
        let first = self.tried.first()?;
        if first.scheme() == SipScheme::Sips && uri.scheme() != SipScheme::Sips {
            return None;
        }
        let uri = uri.clone().without_headers().without_param("method");
        Some((preference(address), uri))
    }

    /// The next target that has not been tried.
    fn next(&mut self) -> Option<SipUri> {
        self.left.checked_sub(1)?;
        while let Some(target) = self.waiting.pop_front() {
            let is_new = self
                .tried
                .iter()
                .all(|tried| !tried.is_equivalent_to(&target));
            if is_new {
                self.left -= 1;
                self.tried.push(target.clone());
                return Some(target);
            }
        }
        None
    }
}

/// `q` in thousandths (section 20.10); a missing or bad one says that there is nothing better.
fn preference(address: &NameAddr) -> u16 {
    let Some(text) = address.params().get("q") else {
        return 1_000;
    };
    match text.split_once('.').unwrap_or((text, "")) {
        ("0", digits) if digits.len() <= 3 => format!("{digits:0<3}").parse().unwrap_or(1_000),
        _ => 1_000,
    }
}

impl Endpoint {
    /// Takes the targets of a redirection.
    pub(super) fn redirected(&mut self, id: CallId, response: &Response) {
        let status = response.status();
        let is_redirection = [
            StatusCode::MULTIPLE_CHOICES,
            StatusCode::MOVED_PERMANENTLY,
            StatusCode::MOVED_TEMPORARILY,
        ]
        .contains(&status);
        let Some(dialing) = self.dialing_mut(id) else {
            return;
        };
        if is_redirection {
            dialing.redirects.take(&response.headers);
        } else if status.code() >= 600 {
            dialing.redirects.waiting.clear();
        }
    }

    /// Calls the next target of a call that got no answer where it was. False when there is none.
    pub(super) fn follow_redirect(&mut self, now: Instant, id: CallId) -> bool {
        let (Some(account), Some(dialing)) = (self.account_of(id), self.dialing_mut(id)) else {
            return false;
        };
        let Some(target) = dialing.redirects.next() else {
            return false;
        };
        dialing.proxies_tried.clear();
        // The registration that a call starts from may have moved since.
        let first_hop = self.first_hop(now, &account, &[]);
        self.invite_anew(now, id, account, target, &first_hop);
        true
    }

    /// Sends a call that an outbound proxy of its account does not serve by another one with a
    /// registration that works. False when all have had it.
    pub(super) fn try_other_proxy(&mut self, now: Instant, id: CallId) -> bool {
        let (Some(account), Some(dialing)) = (self.account_of(id), self.dialing_mut(id)) else {
            return false;
        };
        let tried = dialing.proxies_tried.clone();
        let Some(target) = dialing.redirects.tried.last().cloned() else {
            return false;
        };
        let first_hop = self.first_hop(now, &account, &tried);
        if tried.contains(&first_hop.reg_id) {
            return false;
        }
        self.invite_anew(now, id, account, target, &first_hop);
        true
    }

    fn invite_anew(
        &mut self,
        now: Instant,
        id: CallId,
        account: Arc<Account>,
        target: SipUri,
        first_hop: &FirstHop,
    ) {
        let Some(dialing) = self.dialing_mut(id) else {
            return;
        };
        dialing.early.clear();
        dialing.invite = None;
        dialing.proxies_tried.push(first_hop.reg_id);
        let mut request = dialing.redirects.invite.clone();
        request.set_uri(Uri::Sip(target));
        let number = dialing.sequence.saturating_add(1);
        let method = Method::Invite;
        request.headers.set_typed(&CSeq { number, method });
        dialing.timer.repeat_wish(&mut request.headers);
        request.headers.remove(&HeaderName::Route);
        for route in &first_hop.routes {
            request.headers.push_value(HeaderName::Route, route);
        }
        let mut outgoing = Outgoing::new(request, account, User::Call(id));
        outgoing.flow = first_hop.flow;
        self.dispatch(now, outgoing);
    }

    fn account_of(&self, id: CallId) -> Option<Arc<Account>> {
        self.account(&self.calls.get(&id)?.account).ok()
    }

    fn dialing_mut(&mut self, id: CallId) -> Option<&mut Dialing> {
        match self.calls.get_mut(&id) {
            Some(Call {
                state: CallState::Dialing(dialing),
                ..
            }) => Some(dialing),
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirects(target: &str, limit: u8) -> Redirects {
        let target: Uri = target.parse().unwrap();
        let invite = Request::new(Method::Invite, target.clone());
        Redirects::new(invite, target.as_sip().unwrap().clone(), limit)
    }

    fn contacts(text: &str) -> Headers {
        let mut headers = Headers::new();
        headers.push(HeaderName::Contact, text).unwrap();
        headers
    }

    fn all(mut redirects: Redirects) -> Vec<String> {
        std::iter::from_fn(|| redirects.next())
            .map(|target| target.to_string())
            .collect()
    }

    #[test]
    fn targets_are_tried_by_preference_once_and_not_too_many() {
        let mut moved = redirects("sip:a@x", 3);
        moved.take(&contacts(
            "<sip:b@x>;q=0.1, <sip:c@x>, <sip:d@x>;q=0.25, <sip:A@x>, <sip:c@x>;q=0.9, <sip:a@x>, <sip:e@x>;q=0",
        ));
        assert_eq!(all(moved), ["sip:c@x", "sip:A@x", "sip:d@x"]);
    }

    #[test]
    fn what_is_no_address_for_us_is_passed_over() {
        let mut moved = redirects("sips:a@x", 9);
        moved.take(&contacts(
            "<sip:b@x>, <tel:+1>, <mailto:a@x>, <sips:c@x;method=BYE?Subject=s>",
        ));
        moved.take(&contacts("*"));
        assert_eq!(all(moved), ["sips:c@x"]);
        assert!(all(redirects("sip:a@x", 0)).is_empty());
        let mut none = redirects("sip:a@x", 0);
        none.take(&contacts("<sip:b@x>"));
        assert!(all(none).is_empty());
    }
}
