//! The registrations of the accounts: REGISTER out, answers in, and where each is bound.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::event::{Event, Output};
use super::outgoing::{Outgoing, User};
use super::settings::{Account, AccountName};
use super::{ActionError, Endpoint, Failure};
use crate::dialog::MAX_FORWARDS;
use crate::grammar::{
    CSeq, CallId, Contact, Expires, HeaderName, Method, MinExpires, NameAddr, Request, Response,
    SipUri, StatusCode, Uri,
};
use crate::registration::{Answer, Registration, RegistrationFailure, RegistrationState, Send};
use crate::transport::{FlowId, Path};

/// A datagram to the registrar this often keeps the way back through a NAT open.
const UDP_KEEP_ALIVE: Duration = Duration::from_secs(25);

/// One account's registration with its identity and its place.
#[derive(Debug)]
pub(crate) struct Registrant {
    machine: Registration,
    call_id: CallId,
    tag: String,
    sequence: u32,
    /// The way that the last REGISTER took.
    path: Option<Path>,
    /// The path that the binding is known at, once granted.
    bound: Option<Path>,
    keep_alive_at: Option<Instant>,
    told: RegistrationState,
}

impl Registrant {
    pub(crate) fn new(account: &Account, call_id: CallId, tag: String) -> Self {
        Self {
            machine: Registration::new(account.registration_expires),
            call_id,
            tag,
            sequence: 0,
            path: None,
            bound: None,
            keep_alive_at: None,
            told: RegistrationState::Unregistered,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.machine
            .deadline()
            .into_iter()
            .chain(self.keep_alive_at)
            .min()
    }

    /// Whether requests over this path come from our registrar.
    pub(crate) fn is_bound_to(&self, flow: Option<FlowId>, remote: SocketAddr) -> bool {
        self.machine.is_registered()
            && match (self.bound, flow) {
                (Some(Path::Stream(bound)), Some(flow)) => bound == flow,
                (Some(Path::Datagram { remote: bound, .. }), None) => bound == remote,
                (Some(Path::Stream(_) | Path::Datagram { .. }) | None, _) => false,
            }
    }

    /// Whether the connection carries the binding.
    pub(crate) fn uses(&self, flow: FlowId) -> bool {
        self.path == Some(Path::Stream(flow)) || self.bound == Some(Path::Stream(flow))
    }
}

impl Endpoint {
    /// Registers an account and keeps it registered. [`Event::Registration`] tells of each change.
    ///
    /// # Errors
    /// The account is unknown or has no registrar.
    pub fn register(&mut self, now: Instant, account: &AccountName) -> Result<(), ActionError> {
        let settings = self.account(account)?;
        if settings.registrar.is_none() {
            return Err(ActionError::NoRegistrar);
        }
        if let Some(send) = self.registrant(&settings).machine.register() {
            self.send_register(now, &settings, send);
        }
        self.tell_registration(account);
        Ok(())
    }

    /// Takes a registration back and leaves it so.
    ///
    /// # Errors
    /// The account is unknown.
    pub fn deregister(&mut self, now: Instant, account: &AccountName) -> Result<(), ActionError> {
        let settings = self.account(account)?;
        let Some(registrant) = self.registrations.get_mut(account) else {
            return Ok(());
        };
        if let Some(send) = registrant.machine.deregister() {
            self.send_register(now, &settings, send);
        }
        self.tell_registration(account);
        Ok(())
    }

    /// How an account's registration stands.
    #[must_use]
    pub fn registration(&self, account: &AccountName) -> RegistrationState {
        self.registrations
            .get(account)
            .map_or(RegistrationState::Unregistered, |registrant| {
                registrant.machine.state()
            })
    }

    fn registrant(&mut self, account: &Account) -> &mut Registrant {
        if !self.registrations.contains_key(&account.name) {
            let (call_id, tag) = (self.new_call_id(), self.token());
            let registrant = Registrant::new(account, call_id, tag);
            self.registrations.insert(account.name.clone(), registrant);
        }
        self.registrations
            .get_mut(&account.name)
            .expect("it was inserted just now")
    }

    fn send_register(&mut self, now: Instant, account: &Arc<Account>, send: Send) {
        let Some(registrar) = account.registrar.clone() else {
            return;
        };
        let user = User::Registration(account.name.clone());
        // An earlier REGISTER that still looks for its way is overtaken.
        self.drop_waiting(&user);
        let registrant = self.registrant(account);
        registrant.sequence += 1;
        let reusable = registrant.path;
        let request = register_request(account, registrar, registrant, send);
        let mut outgoing = Outgoing::new(request, account.clone(), user);
        if let Some(Path::Stream(flow)) = reusable {
            outgoing.flow = Some(flow);
        }
        self.dispatch(now, outgoing);
    }

    /// A REGISTER has been sent over `path`.
    pub(crate) fn register_sent(&mut self, account: &AccountName, path: Path) {
        if let Some(registrant) = self.registrations.get_mut(account) {
            registrant.path = Some(path);
        }
    }

    pub(crate) fn next_register_sequence(&mut self, account: &AccountName) -> u32 {
        self.registrations.get_mut(account).map_or(1, |registrant| {
            registrant.sequence += 1;
            registrant.sequence
        })
    }

    pub(crate) fn register_response(
        &mut self,
        now: Instant,
        account: &AccountName,
        response: &Response,
    ) {
        if response.status().is_provisional() {
            return;
        }
        let Some(registrant) = self.registrations.get(account) else {
            return;
        };
        if response
            .headers
            .required::<CSeq>()
            .ok()
            .map(|cseq| cseq.number)
            != Some(registrant.sequence)
        {
            return;
        }
        let answer = self.read_answer(account, response);
        self.register_answered(now, account, answer);
    }

    pub(crate) fn register_failed(
        &mut self,
        now: Instant,
        account: &AccountName,
        failure: Failure,
    ) {
        let failure = match failure {
            Failure::Timeout => RegistrationFailure::Timeout,
            Failure::Transport => RegistrationFailure::Transport,
            Failure::Certificate => RegistrationFailure::Certificate,
        };
        self.register_answered(now, account, Answer::Failed(failure));
    }

    /// Who granted a registration has shown that it does not know the password.
    pub(crate) fn register_unproven(&mut self, now: Instant, account: &AccountName) {
        let failure = RegistrationFailure::ServerUnproven;
        self.register_answered(now, account, Answer::Failed(failure));
    }

    fn register_answered(&mut self, now: Instant, account: &AccountName, answer: Answer) {
        let Ok(settings) = self.account(account) else {
            return;
        };
        let Some(registrant) = self.registrations.get_mut(account) else {
            return;
        };
        let again = registrant.machine.answered(now, answer, &mut self.rng);
        registrant.note_binding(now);
        if let Some(send) = again {
            self.send_register(now, &settings, send);
        }
        self.tell_registration(account);
    }

    fn read_answer(&self, account: &AccountName, response: &Response) -> Answer {
        let status = response.status();
        if status.is_success() {
            return Answer::Granted {
                expires: self.granted_expires(account, response),
            };
        }
        match (status, response.headers.typed::<MinExpires>()) {
            (StatusCode::INTERVAL_TOO_BRIEF, Ok(Some(MinExpires(min_expires)))) => {
                Answer::TooBrief { min_expires }
            }
            _ => Answer::Failed(RegistrationFailure::Refused(status)),
        }
    }

    /// The life of our binding: of our Contact in the list of all bindings, else of the Expires
    /// header field, else as asked for (section 10.2.4).
    fn granted_expires(&self, account: &AccountName, response: &Response) -> u32 {
        let path = self
            .registrations
            .get(account)
            .and_then(|registrant| registrant.path);
        let ours = self
            .account(account)
            .ok()
            .zip(path)
            .and_then(|(settings, path)| self.contact(&settings, path));
        let of_contact = response
            .headers
            .typed_all::<Contact>()
            .find_map(|listed| expires_of(&listed.ok()?, ours.as_ref()?));
        of_contact
            .or_else(|| {
                response
                    .headers
                    .typed::<Expires>()
                    .ok()
                    .flatten()
                    .map(|field| field.0)
            })
            .unwrap_or(u32::MAX)
    }

    pub(crate) fn registration_timeout(&mut self, now: Instant, account: &AccountName) {
        let Ok(settings) = self.account(account) else {
            return;
        };
        let Some(registrant) = self.registrations.get_mut(account) else {
            return;
        };
        let send = registrant.machine.handle_timeout(now);
        let keep_alive = registrant.keep_alive_due(now);
        if let Some(Path::Datagram { local, remote }) = keep_alive {
            let bytes = Bytes::from_static(b"\r\n\r\n");
            self.output(Output::SendDatagram {
                local,
                remote,
                bytes,
            });
        }
        if let Some(send) = send {
            self.send_register(now, &settings, send);
        }
        self.tell_registration(account);
    }

    /// A connection is gone: the bindings that it carried are made again.
    pub(crate) fn registrations_lost_flow(&mut self, now: Instant, flow: FlowId) {
        let mut lost = Vec::new();
        for (account, registrant) in &mut self.registrations {
            if registrant.uses(flow) {
                registrant.machine.flow_lost(now, &mut self.rng);
                registrant.path = None;
                registrant.bound = None;
                lost.push(account.clone());
            }
        }
        for account in lost {
            self.tell_registration(&account);
        }
    }

    fn tell_registration(&mut self, account: &AccountName) {
        let Some(registrant) = self.registrations.get_mut(account) else {
            return;
        };
        let state = registrant.machine.state();
        if registrant.told == state {
            return;
        }
        registrant.told = state;
        self.output(Output::Event(Event::Registration {
            account: account.clone(),
            state,
        }));
    }
}

impl Registrant {
    fn note_binding(&mut self, now: Instant) {
        self.bound = if self.machine.is_registered() {
            self.path
        } else {
            None
        };
        self.keep_alive_at = match self.bound {
            Some(Path::Datagram { .. }) => Some(now + UDP_KEEP_ALIVE),
            Some(Path::Stream(_)) | None => None,
        };
    }

    fn keep_alive_due(&mut self, now: Instant) -> Option<Path> {
        if self.keep_alive_at.is_none_or(|at| at > now) {
            return None;
        }
        self.keep_alive_at = Some(now + UDP_KEEP_ALIVE);
        self.bound
    }
}

fn register_request(
    account: &Account,
    registrar: Uri,
    registrant: &Registrant,
    send: Send,
) -> Request {
    let mut request = Request::new(Method::Register, registrar);
    let address = NameAddr::new(account.address.clone());
    let from = address
        .clone()
        .with_tag(&registrant.tag)
        .expect("our tags are tokens");
    let headers = &mut request.headers;
    headers.push_typed(&MAX_FORWARDS);
    headers.push_value(HeaderName::From, &from);
    headers.push_value(HeaderName::To, &address);
    headers.push_typed(&registrant.call_id);
    headers.push_typed(&CSeq {
        number: registrant.sequence,
        method: Method::Register,
    });
    if let Some(proxy) = account.proxy.as_ref().and_then(Uri::as_sip) {
        headers.push_value(HeaderName::Route, &super::loose_route(proxy));
    }
    headers.push_typed(&Expires(send.expires));
    request
}

/// The life that a listed binding has, if it is ours.
fn expires_of(listed: &Contact, ours: &Contact) -> Option<u32> {
    match (listed, ours) {
        (Contact::Address(listed), Contact::Address(ours)) => listed
            .uri()
            .is_equivalent_to(ours.uri())
            .then(|| listed.expires())
            .flatten(),
        (Contact::All, Contact::All | Contact::Address(_))
        | (Contact::Address(_), Contact::All) => None,
    }
}

/// An account's user, as a Request-URI that is meant for it names it.
pub(crate) fn user_of(account: &Account) -> Option<String> {
    account.address.as_sip().and_then(SipUri::user_decoded)
}
