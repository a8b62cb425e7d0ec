//! The way back into a call after our process was killed, when all that is left is what was written down.
//!
//! A new INVITE has to reach the far end without the dialog: without its route set, whose hops may
//! mean connections that died with us, and without its connection.
//!
//! ```text
//!  Contact is a GRUU ────────────────────────────────────► Contact: it reaches this very far end (RFC 5627)
//!  no proxy recorded its route ─┬─ plain, or From is an address ──► Contact (RFC 5589 section 6)
//!                               └─ TLS, and From names a host ────► From: a certificate proves a name,
//!                                                                   and Contact is often an address
//!  proxies recorded their route ─────────────────────────► From: the way that any call to it takes
//! ```
//!
//! Whoever has From's address but not the dialog refuses to replace it, and rings nobody (RFC 3891
//! section 3). Where From is of nobody (`anonymous.invalid`, a telephone number), Contact is left.

use std::time::Instant;

use super::CallState;
use super::replaces::{IfNotReplaced, Replacing};
use crate::dialog::Dialog;
use crate::endpoint::{AccountName, ActionError, CallId, Endpoint};
use crate::grammar::{Host, Replaces, SipUri, Uri};
use crate::offer_answer::LocalMedia;

/// How a standing call is taken up again by a process that knows nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// What the far end calls the dialog.
    pub dialog: Replaces,
    /// Where the far end is called.
    pub target: Uri,
    /// The address by which it knows us, where that is not the account's. `None` as well for an account
    /// that registers: its servers take calls by its own address only.
    pub known_as: Option<Uri>,
}

impl Endpoint {
    /// The way back into a standing call. It changes when the far end's dialog is replaced, or the far
    /// end moves.
    #[must_use]
    pub fn way_back(&self, call: CallId) -> Option<WayBack> {
        let call = self.calls.get(&call)?;
        let dialog = match &call.state {
            CallState::Established(established) => &established.dialog,
            CallState::Dialing(_) | CallState::Offered(_) | CallState::Leaving(_) => return None,
        };
        let account = self.account(&call.account).ok()?;
        let known_as = dialog.local_uri();
        let is_other = account.registrar.is_none() && *known_as != account.address;
        Some(WayBack {
            dialog: dialog.as_replaced()?,
            target: Uri::Sip(far_end(dialog, call.signalling.is_protected())),
            known_as: is_other.then(|| known_as.clone()),
        })
    }

    /// Calls a far end to go back into a call that it had placed, as the one whom it knows as
    /// `known_as`. Where it does not know the dialog any more, the call ends with what it says: it is
    /// theirs to place.
    ///
    /// # Errors
    /// As for [`invite`](Self::invite).
    pub fn take_up_again(
        &mut self,
        now: Instant,
        account: &AccountName,
        target: &Uri,
        local: LocalMedia,
        dialog: &Replaces,
        known_as: Option<&Uri>,
    ) -> Result<CallId, ActionError> {
        let replacing = Replacing {
            dialog,
            otherwise: IfNotReplaced::GiveUp,
            known_as,
        };
        self.place(now, account, target, local, Some(replacing))
    }
}

/// See the head of this file.
fn far_end(dialog: &Dialog, is_protected: bool) -> SipUri {
    let contact = dialog.remote_target();
    let from = match dialog.remote_uri() {
        Uri::Sip(from) if is_somebody(from) => from,
        Uri::Sip(_) | Uri::Tel(_) | Uri::Other(_) => return contact.clone(),
    };
    let is_gruu = contact.param("gr").is_some();
    let is_named = from.host().address().is_none() && contact.host().address().is_some();
    if !is_gruu && (dialog.has_route_set() || is_protected && is_named) {
        from.clone().without_headers()
    } else {
        contact.clone()
    }
}

/// Not so of who is anonymous (RFC 3323 section 4.1.1.3).
fn is_somebody(from: &SipUri) -> bool {
    match from.host() {
        Host::Name(name) => !name.as_str().to_ascii_lowercase().ends_with(".invalid"),
        Host::Address(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Message, Request};

    fn called(from: &str, contact: &str, more: &str) -> Dialog {
        let text = format!(
            "INVITE sip:bob@example.test SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <{from}>;tag=a\r\n\
             To: <sip:bob@example.test>\r\n\
             Call-ID: one\r\n\
             CSeq: 7 INVITE\r\n\
             Contact: <{contact}>\r\n{more}\r\n"
        );
        let request: Request = match Message::parse_datagram(text.into()).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a request was expected"),
        };
        Dialog::of_called(&request, "b").unwrap()
    }

    #[test]
    fn a_far_end_is_called_back_where_a_new_call_reaches_it() {
        const FROM: &str = "sip:alice@example.test";
        const CONTACT: &str = "sip:alice@192.0.2.1:5061;transport=tls";
        const GRUU: &str = "sip:alice@example.test;gr=urn:uuid:f81d4fae";
        const PROXY: &str = "Record-Route: <sip:proxy.example.test;lr>\r\n";
        for (from, contact, more, is_protected, target) in [
            (FROM, CONTACT, "", false, CONTACT),
            (FROM, CONTACT, "", true, FROM),
            (FROM, CONTACT, PROXY, false, FROM),
            (FROM, CONTACT, PROXY, true, FROM),
            (FROM, GRUU, PROXY, true, GRUU),
            (FROM, GRUU, "", true, GRUU),
            ("sip:alice@192.0.2.1", CONTACT, "", true, CONTACT),
            ("sip:alice@[2001:db8::1]", CONTACT, "", true, CONTACT),
            (
                FROM,
                "sip:alice@room.example.test",
                "",
                true,
                "sip:alice@room.example.test",
            ),
            (
                "sip:anonymous@anonymous.invalid",
                CONTACT,
                PROXY,
                true,
                CONTACT,
            ),
            ("tel:+861012345678", CONTACT, PROXY, true, CONTACT),
        ] {
            let dialog = called(from, contact, more);
            let got = far_end(&dialog, is_protected).to_string();
            assert_eq!(got, target, "{from} {contact} {more} {is_protected}");
        }
    }
}
