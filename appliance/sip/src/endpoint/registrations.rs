//! The registrations of the accounts: REGISTER out, answers in, and where each is bound.
//!
//! An account with several outbound proxies has a binding by each of them (RFC 5626): while one
//! flow is made anew, calls come in over the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rand_core::Rng;

use super::binding::{Binding, BindingId, Offers};
use super::event::{Event, Output};
use super::grant::{Grant, OurBinding, Outbound};
use super::keep_alive::Step;
use super::outgoing::{Outgoing, User};
use super::settings::{Account, AccountName};
use super::{ActionError, Endpoint, Failure};
use crate::grammar::{
    CSeq, Contact, MinExpires, NameAddr, Response, RetryAfter, SipUri, StatusCode,
};
use crate::registration::{Answer, OtherFlows, RegistrationFailure, RegistrationState, Send};
use crate::stun::StunMessage;
use crate::transport::{FlowId, Path};

/// One account's bindings.
#[derive(Debug)]
pub(crate) struct Registrant {
    /// That with `reg-id` 1 first.
    bindings: Vec<Binding>,
    told: RegistrationState,
    /// What was told of each flow, where there are several.
    told_flows: Vec<RegistrationState>,
}

impl Registrant {
    pub(crate) fn binding(&self, reg_id: u32) -> Option<&Binding> {
        self.bindings.get(index_of(reg_id)?)
    }

    pub(crate) fn binding_mut(&mut self, reg_id: u32) -> Option<&mut Binding> {
        self.bindings.get_mut(index_of(reg_id)?)
    }

    /// The bindings with their `reg-id`.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (u32, &Binding)> {
        (1..).zip(&self.bindings)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.bindings.iter().filter_map(Binding::deadline).min()
    }

    /// Whether requests over this path come from our registrar.
    pub(crate) fn is_bound_to(&self, flow: Option<FlowId>, remote: SocketAddr) -> bool {
        self.bindings
            .iter()
            .any(|binding| binding.is_bound_to(flow, remote))
    }

    /// Whether the connection carries a binding.
    pub(crate) fn uses(&self, flow: FlowId) -> bool {
        self.bindings.iter().any(|binding| binding.uses(flow))
    }

    fn others_of(&self, reg_id: u32) -> OtherFlows {
        let work = self
            .bindings()
            .any(|(other, binding)| other != reg_id && binding.machine.is_registered());
        if work {
            OtherFlows::Work
        } else {
            OtherFlows::Failed
        }
    }

    /// The flow `reg_id` works no more. When it was the last, the others, which had time, have none
    /// any more. Only then: flows that fail in turn must not hurry each other on.
    fn flow_failed(&mut self, now: Instant, reg_id: u32, rng: &mut impl Rng) {
        if self.others_of(reg_id) == OtherFlows::Work {
            return;
        }
        for (other, binding) in (1..).zip(&mut self.bindings) {
            if other != reg_id {
                binding.machine.last_flow_failed(now, rng);
            }
        }
    }

    /// One flow that works is enough to be called. While none does, what is hoped for comes before
    /// what has gone wrong.
    fn state(&self) -> RegistrationState {
        let rank = |state: RegistrationState| match state {
            RegistrationState::Registered => 0,
            RegistrationState::Registering => 1,
            RegistrationState::Locked(_) => 2,
            RegistrationState::BackingOff(_) => 3,
            RegistrationState::Deregistering => 4,
            RegistrationState::Unregistered => 5,
        };
        self.bindings
            .iter()
            .map(|binding| binding.machine.state())
            .min_by_key(|state| rank(*state))
            .unwrap_or(RegistrationState::Unregistered)
    }
}

fn index_of(reg_id: u32) -> Option<usize> {
    usize::try_from(reg_id).ok()?.checked_sub(1)
}

impl Endpoint {
    /// Registers an account and keeps it registered, by each of its outbound proxies.
    /// [`Event::Registration`] tells of each change. A registration that is locked is tried again,
    /// one that waits is tried at once.
    ///
    /// # Errors
    /// The account is unknown or has no registrar.
    pub fn register(&mut self, now: Instant, account: &AccountName) -> Result<(), ActionError> {
        let settings = self.account(account)?;
        if settings.registrar.is_none() {
            return Err(ActionError::NoRegistrar);
        }
        self.add_registrant(&settings);
        self.send_registers(now, &settings, |binding| {
            let send = binding.machine.register();
            if send.is_some() {
                binding.offers = Offers::Outbound;
            }
            send
        });
        self.tell_registration(account);
        Ok(())
    }

    /// Takes a registration back and leaves it so. Bindings of other devices stay.
    ///
    /// # Errors
    /// The account is unknown.
    pub fn deregister(&mut self, now: Instant, account: &AccountName) -> Result<(), ActionError> {
        let settings = self.account(account)?;
        self.send_registers(now, &settings, |binding| binding.machine.deregister(now));
        self.tell_registration(account);
        Ok(())
    }

    /// Takes back all bindings of an account's address, those of other devices too (RFC 3261
    /// section 10.2.2), and leaves it so. For an owner who wants to be sure that nobody answers in
    /// the account's name; nothing else sends `Contact: *`.
    ///
    /// # Errors
    /// The account is unknown or has no registrar.
    pub fn remove_all_bindings(
        &mut self,
        now: Instant,
        account: &AccountName,
    ) -> Result<(), ActionError> {
        let settings = self.account(account)?;
        if settings.registrar.is_none() {
            return Err(ActionError::NoRegistrar);
        }
        self.add_registrant(&settings);
        let mut asked = false;
        self.send_registers(now, &settings, |binding| {
            if asked {
                binding.machine.drop_binding();
                binding.bound = None;
                return None;
            }
            asked = true;
            Some(binding.machine.remove_all())
        });
        self.tell_registration(account);
        Ok(())
    }

    /// How an account's registration stands: registered when it is by one of its flows at least.
    #[must_use]
    pub fn registration(&self, account: &AccountName) -> RegistrationState {
        self.registrations
            .get(account)
            .map_or(RegistrationState::Unregistered, Registrant::state)
    }

    /// How each flow of an account stands, in the order of its outbound proxies.
    #[must_use]
    pub fn registration_flows(&self, account: &AccountName) -> Vec<RegistrationState> {
        self.registrations
            .get(account)
            .map(|registrant| registrant.bindings.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|binding| binding.machine.state())
            .collect()
    }

    fn add_registrant(&mut self, account: &Account) {
        if self.registrations.contains_key(&account.name) {
            return;
        }
        let bindings = (0..account.proxies.len().max(1))
            .map(|_| Binding::new(account, self.new_call_id(), self.token()))
            .collect();
        let registrant = Registrant {
            bindings,
            told: RegistrationState::Unregistered,
            told_flows: Vec::new(),
        };
        self.registrations.insert(account.name.clone(), registrant);
    }

    /// Asks each binding of an account what to send, and sends it.
    fn send_registers(
        &mut self,
        now: Instant,
        account: &Arc<Account>,
        mut wanted: impl FnMut(&mut Binding) -> Option<Send>,
    ) {
        let Some(registrant) = self.registrations.get_mut(&account.name) else {
            return;
        };
        let sends: Vec<(u32, Send)> = (1..)
            .zip(&mut registrant.bindings)
            .filter_map(|(reg_id, binding)| Some((reg_id, wanted(binding)?)))
            .collect();
        for (reg_id, send) in sends {
            let id = BindingId {
                account: account.name.clone(),
                reg_id,
            };
            self.send_register(now, account, &id, send);
        }
    }

    fn send_register(&mut self, now: Instant, account: &Arc<Account>, id: &BindingId, send: Send) {
        let Some(registrar) = account.registrar.clone() else {
            return;
        };
        let user = User::Registration(id.clone());
        // An earlier REGISTER that still looks for its way is overtaken.
        self.drop_waiting(&user);
        let proxy = account.proxy(id.reg_id);
        let instance = self.instance_id.clone();
        let Some(binding) = self.binding_mut(id) else {
            return;
        };
        let request = binding.register_request(account, registrar, proxy, instance.as_ref(), send);
        let mut outgoing = Outgoing::new(request, account.clone(), user);
        if let Some(Path::Stream(flow)) = binding.path {
            outgoing.flow = Some(flow);
        }
        self.dispatch(now, outgoing);
    }

    /// A REGISTER has been sent over `path`.
    pub(crate) fn register_sent(&mut self, id: &BindingId, path: Path) {
        let named = self
            .account(&id.account)
            .ok()
            .and_then(|account| self.address_on(&account, path));
        if let Some(binding) = self.binding_mut(id) {
            binding.path = Some(path);
            binding.named = named;
        }
    }

    pub(crate) fn next_register_sequence(&mut self, id: &BindingId) -> u32 {
        self.binding_mut(id).map_or(1, |binding| {
            binding.sequence += 1;
            binding.sequence
        })
    }

    /// What a REGISTER that takes this path says of where we are.
    pub(crate) fn register_contact(
        &self,
        id: &BindingId,
        account: &Account,
        path: Path,
    ) -> Option<Contact> {
        let contact = self.address_on(account, path)?;
        let binding = self.binding(id)?;
        Some(binding.register_contact(contact, id.reg_id, self.instance_id.as_ref()))
    }

    pub(crate) fn register_response(&mut self, now: Instant, id: &BindingId, response: &Response) {
        let Some(binding) = self.binding_mut(id) else {
            return;
        };
        let sequence = response.headers.required::<CSeq>().ok();
        if response.status().is_provisional()
            || sequence.map(|it| it.number) != Some(binding.sequence)
        {
            return;
        }
        if response.status() == StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT
            && binding.offers == Offers::Outbound
        {
            binding.offers = Offers::Plain;
            return self.register_answered(now, id, Answer::AskAgain, None);
        }
        let has_credentials = self
            .account(&id.account)
            .is_ok_and(|account| account.credentials.is_some());
        let grant = self.read_grant(id, response);
        let answer = match &grant {
            Some(grant) => Answer::Granted {
                expires: grant.expires,
            },
            None => read_refusal(response, has_credentials),
        };
        self.register_answered(now, id, answer, grant);
    }

    pub(crate) fn register_failed(&mut self, now: Instant, id: &BindingId, failure: Failure) {
        let failure = match failure {
            Failure::Timeout => RegistrationFailure::Timeout,
            Failure::Transport => RegistrationFailure::Transport,
            Failure::Certificate => RegistrationFailure::Certificate,
        };
        self.register_answered(now, id, Answer::failed(failure), None);
    }

    /// Who granted a registration has shown that it does not know the password.
    pub(crate) fn register_unproven(&mut self, now: Instant, id: &BindingId) {
        let failure = RegistrationFailure::ServerUnproven;
        self.register_answered(now, id, Answer::failed(failure), None);
    }

    fn register_answered(
        &mut self,
        now: Instant,
        id: &BindingId,
        answer: Answer,
        grant: Option<Grant>,
    ) {
        let Ok(settings) = self.account(&id.account) else {
            return;
        };
        let Some(registrant) = self.registrations.get_mut(&id.account) else {
            return;
        };
        let others = registrant.others_of(id.reg_id);
        for (reg_id, other) in (1..).zip(&mut registrant.bindings) {
            match answer {
                Answer::Failed {
                    failure:
                        RegistrationFailure::Refused(status)
                        | RegistrationFailure::NoCredentials(status),
                    ..
                } if reg_id != id.reg_id => other.machine.refused_elsewhere(status),
                Answer::Failed { .. }
                | Answer::Granted { .. }
                | Answer::TooBrief { .. }
                | Answer::AskAgain => {}
            }
        }
        let Some(binding) = registrant.binding_mut(id.reg_id) else {
            return;
        };
        let worked = binding.machine.is_registered();
        if let Answer::Failed {
            failure: RegistrationFailure::Refused(StatusCode::SERVICE_UNAVAILABLE),
            ..
        } = answer
        {
            // The next one may go to another server of the name.
            binding.path = None;
        }
        let again = binding.machine.answered(now, answer, others, &mut self.rng);
        binding.note_outcome(now, grant, &mut self.rng);
        if worked && !binding.machine.is_registered() {
            registrant.flow_failed(now, id.reg_id, &mut self.rng);
        }
        self.keep_flow_alive(now, id);
        if let Some(send) = again {
            self.send_register(now, &settings, id, send);
        }
        self.tell_registration(&id.account);
    }

    /// A connection by which the registrar reaches us has to show signs of life: the registrar has
    /// promised to answer pings (RFC 5626 section 4.4.1).
    fn keep_flow_alive(&mut self, now: Instant, id: &BindingId) {
        let Some(bound) = self.binding(id).and_then(Binding::granted) else {
            return;
        };
        if let (Path::Stream(flow), Outbound::Agreed) = (bound.path, bound.grant.outbound) {
            let flow_timer = bound.grant.flow_timer;
            if let Some(open) = self.flows.get_open_mut(flow) {
                open.expect_pongs(now, flow_timer, &mut self.rng);
            }
        }
    }

    fn read_grant(&self, id: &BindingId, response: &Response) -> Option<Grant> {
        if !response.status().is_success() {
            return None;
        }
        let account = self.account(&id.account).ok()?;
        let contact = self
            .binding(id)
            .and_then(|binding| self.address_on(&account, binding.path?))
            .unwrap_or_else(|| NameAddr::new(account.address.clone()));
        let ours = OurBinding {
            contact: &contact,
            instance: self.instance_id.as_ref(),
            reg_id: id.reg_id,
        };
        Some(Grant::read(response, &ours))
    }

    pub(crate) fn registration_timeout(&mut self, now: Instant, account: &AccountName) {
        let Ok(settings) = self.account(account) else {
            return;
        };
        self.keep_datagram_flows_alive(now, account);
        self.send_registers(now, &settings, |binding| {
            binding.machine.handle_timeout(now)
        });
        self.tell_registration(account);
    }

    fn keep_datagram_flows_alive(&mut self, now: Instant, account: &AccountName) {
        let Some(registrant) = self.registrations.get_mut(account) else {
            return;
        };
        let mut steps = Vec::new();
        for (reg_id, binding) in (1..).zip(&mut registrant.bindings) {
            if let Some(bound) = &mut binding.bound
                && let Some(keep_alive) = &mut bound.keep_alive
            {
                let step = keep_alive.handle_timeout(now, &mut self.rng);
                steps.push((reg_id, bound.path, step));
            }
        }
        for (reg_id, path, step) in steps {
            let account = account.clone();
            self.take_step(now, &BindingId { account, reg_id }, path, step);
        }
    }

    /// A STUN message has arrived at one of our sockets.
    pub(crate) fn stun_received(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &Bytes,
    ) {
        let Ok(message) = StunMessage::parse(datagram) else {
            self.statistics.malformed += 1;
            return;
        };
        let path = Path::Datagram { local, remote };
        let mut steps = Vec::new();
        for (account, registrant) in &mut self.registrations {
            for (reg_id, binding) in (1..).zip(&mut registrant.bindings) {
                if let Some(bound) = binding.bound.as_mut().filter(|bound| bound.path == path)
                    && let Some(keep_alive) = &mut bound.keep_alive
                {
                    let account = account.clone();
                    let step = keep_alive.received(now, &message, &mut self.rng);
                    steps.push((BindingId { account, reg_id }, step));
                }
            }
        }
        for (id, step) in steps {
            self.take_step(now, &id, path, step);
            self.tell_registration(&id.account);
        }
    }

    fn take_step(&mut self, now: Instant, id: &BindingId, path: Path, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Send(bytes) => self.send(now, path, bytes),
            Step::Failed => self.binding_lost_flow(now, id, path),
        }
    }

    /// A connection is gone: the bindings that it carried are made again.
    pub(crate) fn registrations_lost_flow(&mut self, now: Instant, flow: FlowId) {
        let lost: Vec<BindingId> = self
            .registrations
            .iter()
            .flat_map(|(account, registrant)| {
                registrant
                    .bindings()
                    .filter(|(_, binding)| binding.uses(flow))
                    .map(|(reg_id, _)| BindingId {
                        account: account.clone(),
                        reg_id,
                    })
            })
            .collect();
        for id in lost {
            self.binding_lost_flow(now, &id, Path::Stream(flow));
            self.tell_registration(&id.account);
        }
    }

    fn binding_lost_flow(&mut self, now: Instant, id: &BindingId, path: Path) {
        let Some(registrant) = self.registrations.get_mut(&id.account) else {
            return;
        };
        let others = registrant.others_of(id.reg_id);
        if let Some(binding) = registrant.binding_mut(id.reg_id) {
            let worked = binding.machine.is_registered();
            binding.machine.flow_lost(now, others, &mut self.rng);
            binding.lost_path(path);
            if worked && !binding.machine.is_registered() {
                registrant.flow_failed(now, id.reg_id, &mut self.rng);
            }
        }
    }

    fn tell_registration(&mut self, account: &AccountName) {
        let Some(registrant) = self.registrations.get_mut(account) else {
            return;
        };
        let state = registrant.state();
        let flows: Vec<_> = registrant
            .bindings
            .iter()
            .map(|binding| binding.machine.state())
            .collect();
        let told = std::mem::replace(&mut registrant.told, state);
        // The only flow of an account stands as the account does.
        let tells_flows = flows.len() > 1 && registrant.told_flows != flows;
        if tells_flows {
            registrant.told_flows.clone_from(&flows);
        }
        if told != state {
            self.output(Output::Event(Event::Registration {
                account: account.clone(),
                state,
            }));
        }
        if tells_flows {
            self.output(Output::Event(Event::RegistrationFlows {
                account: account.clone(),
                flows,
            }));
        }
    }
}

fn read_refusal(response: &Response, has_credentials: bool) -> Answer {
    let status = response.status();
    let is_challenge =
        status == StatusCode::UNAUTHORIZED || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
    let failure = if is_challenge && !has_credentials {
        RegistrationFailure::NoCredentials(status)
    } else {
        RegistrationFailure::Refused(status)
    };
    match (status, response.headers.typed::<MinExpires>()) {
        (StatusCode::INTERVAL_TOO_BRIEF, Ok(Some(MinExpires(min_expires)))) => {
            Answer::TooBrief { min_expires }
        }
        _ => Answer::Failed {
            failure,
            retry_after: response
                .headers
                .typed::<RetryAfter>()
                .ok()
                .flatten()
                .map(|field| field.wait()),
        },
    }
}

/// An account's user, as a Request-URI that is meant for it names it.
pub(crate) fn user_of(account: &Account) -> Option<String> {
    account.address.as_sip().and_then(SipUri::user_decoded)
}
