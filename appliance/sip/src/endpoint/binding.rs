//! One binding of an account at its registrar: a REGISTER dialogue over one flow.

use std::net::SocketAddr;
use std::time::Instant;

use super::Endpoint;
use super::grant::{Grant, Outbound};
use super::instance_id::InstanceId;
use super::keep_alive::{KeepAlive, SignOfLife};
use super::settings::{Account, AccountName};
use crate::dialog::MAX_FORWARDS;
use crate::grammar::{
    CSeq, CallId, Contact, Expires, HeaderName, Method, NameAddr, Request, SipUri, Uri,
};
use crate::registration::{Bindings, FlowPlace, Registration, Send};
use crate::transport::{FlowId, Path};
use rand_core::Rng;

/// Places that are taken back at once: a box that moves on before it is heard leaves some behind.
const MOST_LEFT_BEHIND: usize = 4;

/// Names one binding of ours: the account, and the flow by its `reg-id` (RFC 5626 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BindingId {
    pub(crate) account: AccountName,
    /// 1 for the first outbound proxy, 2 for the second. It survives restarts.
    pub(crate) reg_id: u32,
}

/// What a REGISTER says that we can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offers {
    /// Flows that the registrar may use (RFC 5626).
    Outbound,
    /// No more than RFC 3261: the first proxy cannot do it (439).
    Plain,
}

/// A binding as the registrar has granted it.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) path: Path,
    pub(crate) grant: Grant,
    /// By UDP; connections have theirs in `flows`.
    pub(crate) keep_alive: Option<KeepAlive>,
}

/// One registration with its identity and its place.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) machine: Registration,
    pub(crate) offers: Offers,
    call_id: CallId,
    tag: String,
    pub(crate) sequence: u32,
    /// What the last REGISTER was about.
    subject: Bindings,
    /// The way that the last REGISTER took.
    pub(crate) path: Option<Path>,
    pub(crate) bound: Option<Bound>,
    /// What the last REGISTER said of where we are.
    pub(crate) named: Option<NameAddr>,
    /// Where the registrar may believe us to be, though we are there no more: taken back by the next
    /// REGISTER. One that knows our flows (RFC 5626) replaces them by itself.
    left_behind: Vec<NameAddr>,
}

impl Binding {
    pub(crate) fn new(account: &Account, call_id: CallId, tag: String) -> Self {
        Self {
            machine: Registration::new(account.registration_expires, account.back_off),
            offers: Offers::Outbound,
            call_id,
            tag,
            sequence: 0,
            subject: Bindings::Ours,
            path: None,
            bound: None,
            named: None,
            left_behind: Vec::new(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let keep_alive = self
            .bound
            .as_ref()
            .and_then(|bound| bound.keep_alive.as_ref())
            .map(KeepAlive::deadline);
        self.machine.deadline().into_iter().chain(keep_alive).min()
    }

    /// Whether requests over this path come from our registrar.
    pub(crate) fn is_bound_to(&self, flow: Option<FlowId>, remote: SocketAddr) -> bool {
        self.machine.is_registered()
            && match (self.bound.as_ref().map(|bound| bound.path), flow) {
                (Some(Path::Stream(bound)), Some(flow)) => bound == flow,
                (Some(Path::Datagram { remote: bound, .. }), None) => bound == remote,
                (Some(Path::Stream(_) | Path::Datagram { .. }) | None, _) => false,
            }
    }

    /// Whether the connection carries the binding.
    pub(crate) fn uses(&self, flow: FlowId) -> bool {
        let flow = Some(Path::Stream(flow));
        self.path == flow || self.bound.as_ref().map(|bound| bound.path) == flow
    }

    /// The terms, while they hold.
    pub(crate) fn granted(&self) -> Option<&Bound> {
        self.bound.as_ref().filter(|_| self.machine.is_registered())
    }

    /// The machine has heard how a REGISTER went.
    pub(crate) fn note_outcome(&mut self, now: Instant, grant: Option<Grant>, rng: &mut impl Rng) {
        if !self.machine.is_registered() {
            self.bound = None;
            return;
        }
        let Some(grant) = grant else {
            return;
        };
        let Some(path) = self.path else {
            // We have moved while the REGISTER was under way: it named the old place.
            return self.machine.network_changed(now, FlowPlace::Moved, rng);
        };
        self.left_behind.clear();
        let sign_of_life = match grant.outbound {
            Outbound::Agreed => SignOfLife::Stun,
            Outbound::NotAgreed => SignOfLife::None,
        };
        let running = self
            .bound
            .take()
            .filter(|bound| bound.path == path)
            .and_then(|bound| bound.keep_alive)
            .filter(|running| running.goes_on_as(sign_of_life, grant.flow_timer));
        let keep_alive = match path {
            Path::Datagram { .. } => Some(
                running.unwrap_or_else(|| KeepAlive::new(now, sign_of_life, grant.flow_timer, rng)),
            ),
            Path::Stream(_) => None,
        };
        self.bound = Some(Bound {
            path,
            grant,
            keep_alive,
        });
    }

    /// The flow is gone.
    pub(crate) fn forget_flow(&mut self) {
        self.path = None;
        self.bound = None;
    }

    /// A path is gone. A REGISTER that goes by another one already keeps that.
    pub(crate) fn lost_path(&mut self, path: Path) {
        self.path = self.path.filter(|own| *own != path);
        self.bound = self.bound.take().filter(|bound| bound.path != path);
    }

    /// We are no more where the last REGISTER said.
    pub(crate) fn moved(&mut self) {
        let replaced = self
            .bound
            .as_ref()
            .is_some_and(|bound| match bound.grant.outbound {
                Outbound::Agreed => true,
                Outbound::NotAgreed => false,
            });
        if let Some(named) = self.named.take()
            && !replaced
            && self.left_behind.len() < MOST_LEFT_BEHIND
            && self
                .left_behind
                .iter()
                .all(|left| left.uri() != named.uri())
        {
            self.left_behind.push(named);
        }
    }

    /// The places that a REGISTER from `contact` takes back.
    pub(crate) fn left_behind(&self, contact: &Contact) -> Vec<Contact> {
        let (Bindings::Ours, Contact::Address(contact)) = (self.subject, contact) else {
            return Vec::new();
        };
        self.left_behind
            .iter()
            .filter(|left| left.uri() != contact.uri())
            .map(|left| {
                let mut left = left.clone();
                left.params_mut()
                    .set_token("expires", "0")
                    .expect("a digit is a token");
                Contact::Address(left)
            })
            .collect()
    }

    /// The next REGISTER, complete but for Via and Contact.
    pub(crate) fn register_request(
        &mut self,
        account: &Account,
        registrar: Uri,
        proxy: Option<&SipUri>,
        instance: Option<&InstanceId>,
        send: Send,
    ) -> Request {
        self.sequence += 1;
        self.subject = send.bindings;
        let mut request = Request::new(Method::Register, registrar);
        let address = NameAddr::new(account.address.clone());
        let from = address
            .clone()
            .with_tag(&self.tag)
            .expect("our tags are tokens");
        let headers = &mut request.headers;
        headers.push_typed(&MAX_FORWARDS);
        headers.push_value(HeaderName::From, &from);
        headers.push_value(HeaderName::To, &address);
        headers.push_typed(&self.call_id);
        headers.push_typed(&CSeq {
            number: self.sequence,
            method: Method::Register,
        });
        if let Some(proxy) = proxy {
            headers.push_value(HeaderName::Route, &super::loose_route(proxy));
        }
        headers.push_typed(&Expires(send.expires));
        let supported = match (instance, self.offers) {
            (Some(_), Offers::Outbound) => "path, outbound, gruu",
            (Some(_), Offers::Plain) => "path, gruu",
            (None, Offers::Outbound | Offers::Plain) => "path",
        };
        headers
            .push(HeaderName::Supported, supported)
            .expect("plain text");
        request
    }

    /// What the last REGISTER says of where we are. `contact` is our address on its way.
    pub(crate) fn register_contact(
        &self,
        mut contact: NameAddr,
        reg_id: u32,
        instance: Option<&InstanceId>,
    ) -> Contact {
        match self.subject {
            Bindings::All => return Contact::All,
            Bindings::Ours => {}
        }
        if let Some(instance) = instance {
            let params = contact.params_mut();
            params
                .set_quoted("+sip.instance", &instance.parameter())
                .expect("an instance has no control characters");
            match self.offers {
                Offers::Outbound => params
                    .set_token("reg-id", &reg_id.to_string())
                    .expect("digits are a token"),
                Offers::Plain => {}
            }
        }
        Contact::Address(contact)
    }
}

impl Endpoint {
    pub(crate) fn binding(&self, id: &BindingId) -> Option<&Binding> {
        self.registrations.get(&id.account)?.binding(id.reg_id)
    }

    pub(crate) fn binding_mut(&mut self, id: &BindingId) -> Option<&mut Binding> {
        self.registrations
            .get_mut(&id.account)?
            .binding_mut(id.reg_id)
    }
}
