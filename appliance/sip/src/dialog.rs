//! Dialogs (RFC 3261 section 12): what both ends remember of their relation, and requests within it.
//!
//! A [`Dialog`] is plain state: identity, sequence numbers, remote target and route set. Which
//! requests make sense when is the call's business.

use thiserror::Error;

use crate::error::HeaderError;
use crate::grammar::{
    CSeq, CallId, Contact, HeaderName, MaxForwards, Method, NameAddr, Replaces, Request, Response,
    SipUri, Uri, Via,
};

/// The hops that our requests may take (RFC 3261 section 8.1.1.6).
pub(crate) const MAX_FORWARDS: MaxForwards = MaxForwards(70);
/// Proxies that we remember: more is a loop or an attack.
const MAX_ROUTES: usize = 32;

/// Why no dialog came of two messages.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DialogError {
    /// A header field that makes the dialog is missing or bad.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Contact is missing, or has no SIP URI to send requests to.
    #[error("no usable Contact")]
    NoContact,
    /// More proxies recorded than we follow.
    #[error("more than {MAX_ROUTES} Record-Route values")]
    TooManyRoutes,
}

/// One dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: CallId,
    /// Our end with our tag.
    local: NameAddr,
    /// The far end, with its tag if it has one (RFC 2543 peers may not).
    remote: NameAddr,
    local_cseq: u32,
    /// `None` until the far end has sent a request.
    remote_cseq: Option<u32>,
    remote_target: SipUri,
    /// In the order in which our requests pass them.
    route_set: Vec<NameAddr>,
}

impl Dialog {
    /// The dialog that a response to our INVITE makes (section 12.1.2).
    ///
    /// # Errors
    /// When the response lacks what a dialog needs.
    pub fn of_caller(invite: &Request, response: &Response) -> Result<Self, DialogError> {
        let mut route_set = routes(&response.headers)?;
        route_set.reverse();
        Ok(Self {
            call_id: invite.headers.required()?,
            local: invite.headers.from()?,
            remote: response.headers.to()?,
            local_cseq: invite.headers.required::<CSeq>()?.number,
            remote_cseq: None,
            remote_target: contact(&response.headers)?,
            route_set,
        })
    }

    /// The dialog that we make by answering an INVITE (section 12.1.1).
    ///
    /// # Errors
    /// When the request lacks what a dialog needs: it is answered 400.
    pub fn of_called(invite: &Request, local_tag: &str) -> Result<Self, DialogError> {
        let mut local = invite.headers.to()?;
        local
            .params_mut()
            .set_token("tag", local_tag)
            .expect("our tags are tokens");
        Ok(Self {
            call_id: invite.headers.required()?,
            local,
            remote: invite.headers.from()?,
            local_cseq: 0,
            remote_cseq: Some(invite.headers.required::<CSeq>()?.number),
            remote_target: target_of_caller(invite)?,
            route_set: routes(&invite.headers)?,
        })
    }

    /// Whether a request of the far end belongs to this dialog.
    #[must_use]
    pub fn owns_request(&self, call_id: &CallId, to_tag: &str, from_tag: Option<&str>) -> bool {
        self.call_id == *call_id
            && self.local.tag() == Some(to_tag)
            && self.remote.tag() == from_tag
    }

    /// The address of the far end, as the first INVITE had it.
    #[must_use]
    pub fn remote_uri(&self) -> &Uri {
        self.remote.uri()
    }

    /// Our address, as the far end knows it.
    #[must_use]
    pub fn local_uri(&self) -> &Uri {
        self.local.uri()
    }

    /// How the far end knows this dialog (RFC 3891 section 3).
    #[must_use]
    pub fn as_replaced(&self) -> Option<Replaces> {
        let far_tag = self.remote.tag()?;
        Replaces::new(self.call_id.clone(), far_tag, self.local.tag()?).ok()
    }

    /// Our tag.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        self.local.tag().unwrap_or_default()
    }

    /// The far end's tag.
    #[must_use]
    pub fn remote_tag(&self) -> Option<&str> {
        self.remote.tag()
    }

    /// Where requests go, unless a route set says otherwise.
    #[must_use]
    pub fn remote_target(&self) -> &SipUri {
        &self.remote_target
    }

    /// Whether requests pass proxies.
    #[must_use]
    pub fn has_route_set(&self) -> bool {
        !self.route_set.is_empty()
    }

    /// Takes note of a request's sequence number. False when it is out of order: such a request is
    /// answered 500 (section 12.2.2).
    #[must_use]
    pub fn accept_sequence(&mut self, number: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return false;
        }
        self.remote_cseq = Some(number);
        true
    }

    /// A target refresh (section 12.2): the far end's Contact may have moved.
    pub fn refresh_target(&mut self, headers: &crate::grammar::Headers) {
        if let Ok(target) = contact(headers) {
            self.remote_target = target;
        }
    }

    /// The URI that decides where our requests go next (section 8.1.2): the first proxy, loose or
    /// strict, or else the far end. Of a request alone it cannot be told: behind a strict router,
    /// the first Route is the second hop.
    #[must_use]
    pub fn next_hop(&self) -> Uri {
        match self.route_set.first() {
            Some(first) => without_headers(first.uri()),
            None => Uri::Sip(self.remote_target.clone()),
        }
    }

    /// The next sequence number of ours.
    pub fn next_sequence(&mut self) -> u32 {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.local_cseq
    }

    /// A request within the dialog, complete but for Via, Contact and body (section 12.2.1.1).
    #[must_use]
    pub fn request(&mut self, method: Method) -> Request {
        let number = self.next_sequence();
        self.request_numbered(method, number)
    }

    /// The ACK of a 2xx: it has the sequence number of its INVITE (section 13.2.2.4).
    #[must_use]
    pub fn ack(&self, invite_sequence: u32) -> Request {
        self.request_numbered(Method::Ack, invite_sequence)
    }

    /// Takes note of a number that a request of ours has.
    pub(crate) fn sequence_used(&mut self, number: u32) {
        self.local_cseq = self.local_cseq.max(number);
    }

    /// This dialog is made by a 2xx, and `early` was by a provisional response of the same fork:
    /// both ends count on (section 13.2.2.4).
    pub(crate) fn continue_from(&mut self, early: &Self) {
        self.sequence_used(early.local_cseq);
        self.remote_cseq = early.remote_cseq;
    }

    /// A request with a number that is known already.
    pub(crate) fn request_numbered(&self, method: Method, number: u32) -> Request {
        let (uri, routes) = self.request_uri_and_routes();
        let mut request = Request::new(method.clone(), uri);
        let headers = &mut request.headers;
        headers.push_typed(&MAX_FORWARDS);
        headers.push_value(HeaderName::From, &self.local);
        headers.push_value(HeaderName::To, &self.remote);
        headers.push_typed(&self.call_id);
        headers.push_typed(&CSeq { number, method });
        for route in &routes {
            headers.push_value(HeaderName::Route, route);
        }
        request
    }

    /// A first proxy without `lr` is a strict router: it wants to be the Request-URI.
    fn request_uri_and_routes(&self) -> (Uri, Vec<NameAddr>) {
        let target = Uri::Sip(self.remote_target.clone());
        match self.route_set.split_first() {
            Some((first, rest)) if !is_loose_router(first.uri()) => {
                let mut routes = rest.to_vec();
                routes.push(NameAddr::new(target));
                (without_headers(first.uri()), routes)
            }
            Some(_) | None => (target, self.route_set.clone()),
        }
    }
}

/// The URI that decides where a request outside of dialogs goes next (section 8.1.2): the first
/// Route, or the Request-URI.
pub(crate) fn next_hop(request: &Request) -> Result<Uri, HeaderError> {
    match request.headers.value::<NameAddr>(&HeaderName::Route)? {
        Some(first) if is_loose_router(first.uri()) => Ok(first.uri().clone()),
        Some(_) | None => Ok(request.uri().clone()),
    }
}

fn is_loose_router(uri: &Uri) -> bool {
    uri.as_sip().is_some_and(|uri| uri.param("lr").is_some())
}

fn without_headers(uri: &Uri) -> Uri {
    match uri {
        Uri::Sip(uri) => Uri::Sip(uri.clone().without_headers().without_param("method")),
        Uri::Tel(_) | Uri::Other(_) => uri.clone(),
    }
}

fn routes(headers: &crate::grammar::Headers) -> Result<Vec<NameAddr>, DialogError> {
    let mut routes = Vec::new();
    for route in headers.values::<NameAddr>(&HeaderName::RecordRoute) {
        if routes.len() == MAX_ROUTES {
            return Err(DialogError::TooManyRoutes);
        }
        routes.push(route?);
    }
    Ok(routes)
}

fn contact(headers: &crate::grammar::Headers) -> Result<SipUri, DialogError> {
    match headers.typed::<Contact>()? {
        Some(Contact::Address(address)) => match address.uri() {
            Uri::Sip(uri) => Ok(uri.clone().without_headers()),
            Uri::Tel(_) | Uri::Other(_) => Err(DialogError::NoContact),
        },
        Some(Contact::All) | None => Err(DialogError::NoContact),
    }
}

/// Contact is there since RFC 3261 only (section 8.1.1.8). A caller of RFC 2543, whose branch tells it, is reached by
/// From.
fn target_of_caller(invite: &Request) -> Result<SipUri, DialogError> {
    let is_of_old = !invite.headers.contains(&HeaderName::Contact)
        && !invite.headers.required::<Via>()?.has_unique_branch();
    if !is_of_old {
        return contact(&invite.headers);
    }
    match invite.headers.from()?.uri() {
        Uri::Sip(uri) => Ok(uri.clone().without_headers()),
        Uri::Tel(_) | Uri::Other(_) => Err(DialogError::NoContact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Message;

    fn request(text: &str) -> Request {
        match Message::parse_datagram(text.replace('\n', "\r\n").into()).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a request was expected"),
        }
    }

    fn response(text: &str) -> Response {
        match Message::parse_datagram(text.replace('\n', "\r\n").into()).unwrap() {
            Message::Response(response) => response,
            Message::Request(_) => panic!("a response was expected"),
        }
    }

    fn invite(more: &str) -> Request {
        request(&format!(
            "INVITE sip:bob@example.test SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n\
             From: \"A, lice\" <sip:alice@example.test>;tag=a\n\
             To: <sip:bob@example.test>\n\
             Call-ID: one\n\
             CSeq: 7 INVITE\n\
             Contact: <sip:alice@192.0.2.1:5070;transport=tcp>\n{more}\n"
        ))
    }

    fn ok(more: &str) -> Response {
        response(&format!(
            "SIP/2.0 200 OK\n\
             Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n\
             From: \"A, lice\" <sip:alice@example.test>;tag=a\n\
             To: <sip:bob@example.test>;tag=b\n\
             Call-ID: one\n\
             CSeq: 7 INVITE\n\
             Contact: <sip:bob@192.0.2.2>\n{more}\n"
        ))
    }

    fn routes_of(request: &Request) -> Vec<String> {
        request
            .headers
            .values::<NameAddr>(&HeaderName::Route)
            .map(|route| route.unwrap().uri().to_string())
            .collect()
    }

    #[test]
    fn a_caller_passes_recorded_proxies_in_reverse_and_the_called_in_order() {
        let recorded = "Record-Route: <sip:p1;lr>, <sip:p2;lr>\nRecord-Route: <sip:p3;lr>\n";
        let mut caller = Dialog::of_caller(&invite(""), &ok(recorded)).unwrap();
        let bye = caller.request(Method::Bye);
        assert_eq!(routes_of(&bye), ["sip:p3;lr", "sip:p2;lr", "sip:p1;lr"]);
        assert_eq!(bye.uri().to_string(), "sip:bob@192.0.2.2");
        assert_eq!(caller.next_hop().to_string(), "sip:p3;lr");

        let mut called = Dialog::of_called(&invite(recorded), "b").unwrap();
        let bye = called.request(Method::Bye);
        assert_eq!(routes_of(&bye), ["sip:p1;lr", "sip:p2;lr", "sip:p3;lr"]);
        assert_eq!(
            bye.uri().to_string(),
            "sip:alice@192.0.2.1:5070;transport=tcp"
        );
    }

    #[test]
    fn a_strict_router_becomes_the_request_uri_and_the_target_the_last_route() {
        let mut caller =
            Dialog::of_caller(&invite(""), &ok("Record-Route: <sip:p1;lr>, <sip:old>\n")).unwrap();
        let bye = caller.request(Method::Bye);
        assert_eq!(bye.uri().to_string(), "sip:old");
        assert_eq!(routes_of(&bye), ["sip:p1;lr", "sip:bob@192.0.2.2"]);
        assert_eq!(caller.next_hop().to_string(), "sip:old");
    }

    #[test]
    fn requests_count_on_and_ack_repeats_the_number_of_its_invite() {
        let mut caller = Dialog::of_caller(&invite(""), &ok("")).unwrap();
        let number = |request: &Request| request.headers.required::<CSeq>().unwrap().number;
        assert_eq!(number(&caller.request(Method::Info)), 8);
        assert_eq!(number(&caller.ack(7)), 7);
        assert_eq!(number(&caller.request(Method::Bye)), 9);
    }

    #[test]
    fn old_and_repeated_sequence_numbers_are_out_of_order() {
        let mut called = Dialog::of_called(&invite(""), "b").unwrap();
        assert!(!called.accept_sequence(7));
        assert!(called.accept_sequence(9));
        assert!(!called.accept_sequence(8));
        assert!(called.accept_sequence(10));
    }

    #[test]
    fn a_request_belongs_to_a_dialog_by_call_id_and_both_tags() {
        let called = Dialog::of_called(&invite(""), "b").unwrap();
        let one = CallId::new("one").unwrap();
        assert!(called.owns_request(&one, "b", Some("a")));
        assert!(!called.owns_request(&one, "b", Some("x")));
        assert!(!called.owns_request(&one, "x", Some("a")));
        assert!(!called.owns_request(&CallId::new("two").unwrap(), "b", Some("a")));
    }

    #[test]
    fn an_answer_without_a_sip_contact_makes_no_dialog() {
        let mut without = ok("");
        without.headers.remove(&HeaderName::Contact);
        assert_eq!(
            Dialog::of_caller(&invite(""), &without).unwrap_err(),
            DialogError::NoContact
        );
        without
            .headers
            .push(HeaderName::Contact, "<mailto:bob@example.test>")
            .unwrap();
        assert_eq!(
            Dialog::of_caller(&invite(""), &without).unwrap_err(),
            DialogError::NoContact
        );
    }
}
