//! Our addresses change: another network, another lease of the same one.
//!
//! Registrations tell their registrars where we are now, at once but for a spread; connections that
//! start from an address that is gone are given up, and what they carried goes another way. Those that
//! are being made may start from there too, and are made anew. What was asked by UDP from there within a
//! call is asked again: its answer goes where nobody is. Where the media of a call is, its user tells by
//! [`Endpoint::move_media`].

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::binding::BindingId;
use super::event::CallId;
use super::outgoing::User;
use super::settings::ListenAddresses;
use super::{Endpoint, Failure};
use crate::call::CallState;
use crate::grammar::NameAddr;
use crate::registration::FlowPlace;
use crate::transport::{FlowId, Path};

impl Endpoint {
    /// The addresses of ours that connections start from, ours and our peers'.
    #[must_use]
    pub fn connection_addresses(&self) -> BTreeSet<IpAddr> {
        self.flows
            .open_ones()
            .map(|(_, info)| info.local.ip())
            .collect()
    }

    /// Our sockets are reached at `listen` from now on, and nothing arrives any more at the addresses
    /// that are `gone`. A network that is there again is a change too: registrations that found no way
    /// are tried at once.
    pub fn addresses_changed(
        &mut self,
        now: Instant,
        listen: ListenAddresses,
        gone: &BTreeSet<IpAddr>,
    ) {
        let places: Vec<(BindingId, FlowPlace)> = self
            .registrations
            .iter()
            .flat_map(|(account, registrant)| {
                registrant.bindings().map(|(reg_id, binding)| {
                    let account = account.clone();
                    let place = match binding.path {
                        Some(path) => self.place_of(path, &listen.udp, gone),
                        // The flow has failed before we moved: what was said of it counts.
                        None => place_named(binding.named.as_ref(), &listen),
                    };
                    (BindingId { account, reg_id }, place)
                })
            })
            .collect();
        let has_left = |ours: &SocketAddr| listen.addresses().all(|new| new.ip() != ours.ip());
        let left = !gone.is_empty() || self.listen.addresses().any(has_left);
        self.listen = listen;
        for (id, place) in &places {
            if let Some(binding) = self.binding_mut(id)
                && *place == FlowPlace::Moved
            {
                binding.moved();
                if let Some(Path::Datagram { .. }) = binding.path {
                    binding.forget_flow();
                }
            }
        }
        let lost: Vec<FlowId> = self
            .flows
            .open_ones()
            .filter(|(_, info)| gone.contains(&info.local.ip()))
            .map(|(id, _)| id)
            .collect();
        for flow in lost {
            self.leave_flow(now, flow);
        }
        if left {
            for flow in self.flows.opening_ones() {
                self.open_anew(now, flow);
            }
        }
        self.leave_lost_sockets(now);
        for (id, place) in places {
            let mut rng = self.rng.clone();
            if let Some(binding) = self.binding_mut(&id) {
                binding.machine.network_changed(now, place, &mut rng);
            }
            self.rng = rng;
        }
    }

    /// Requests within standing calls that were sent from a socket that we have no more. Where they have
    /// arrived, repetitions would be answered to that socket too. What makes a call is repeated from the
    /// new place instead: asked twice, it could ring twice.
    fn leave_lost_sockets(&mut self, now: Instant) {
        let stands = |call: &CallId| {
            let state = self.calls.get(call).map(|call| &call.state);
            matches!(
                state,
                Some(CallState::Established(_) | CallState::Leaving(_))
            )
        };
        let lost: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, transaction)| {
                let is_gone = match transaction.path {
                    Path::Datagram { local, .. } => !self.listen.udp.contains(&local),
                    Path::Stream(_) => false,
                };
                let is_within_call = match &transaction.outgoing.user {
                    User::Call(call) => stands(call) && !transaction.makes_call(),
                    User::Registration(_) | User::Nobody => false,
                };
                is_gone && transaction.is_waiting() && is_within_call
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in lost {
            if let Some(transaction) = self.clients.remove(&key) {
                self.request_failed(now, &transaction.outgoing, Failure::Transport);
            }
        }
    }

    /// Whether a path still starts from an address of ours.
    fn place_of(&self, path: Path, udp: &[SocketAddr], gone: &BTreeSet<IpAddr>) -> FlowPlace {
        let stands = match path {
            Path::Datagram { local, .. } => udp.contains(&local),
            Path::Stream(_) => self
                .local_end(path)
                .is_some_and(|(_, local)| !gone.contains(&local.ip())),
        };
        if stands {
            FlowPlace::Stands
        } else {
            FlowPlace::Moved
        }
    }
}

/// Whether an address that a registrar was told is one of those where we are.
fn place_named(named: Option<&NameAddr>, listen: &ListenAddresses) -> FlowPlace {
    let address = named
        .and_then(|named| named.uri().as_sip())
        .and_then(|uri| uri.host().address());
    let mut known = listen.addresses();
    match address {
        Some(address) if !known.any(|ours| ours.ip() == address) => FlowPlace::Moved,
        Some(_) | None => FlowPlace::Stands,
    }
}
