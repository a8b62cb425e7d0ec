//! Two ends, each with an ICE component, and the network between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netem::{Delivery, LinkConditions, Network};
use webrtc::CandidateKind;
use webrtc::secure_transport::{
    IceComponent, IceCredentials, IceFailure, IceOutput, IceParameters, IceRole, Owner,
    RemoteCandidate,
};

/// One end.
pub(crate) struct End {
    pub(crate) address: SocketAddr,
    pub(crate) component: Option<IceComponent>,
    pub(crate) selected: Vec<SocketAddr>,
    pub(crate) failures: Vec<IceFailure>,
    /// When the last event came.
    pub(crate) told: Option<Instant>,
    /// Whether what it sends leaves it.
    pub(crate) is_connected: bool,
}

impl End {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            component: None,
            selected: Vec::new(),
            failures: Vec::new(),
            told: None,
            is_connected: true,
        }
    }
}

/// Both ends and what lies between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) network: Network,
    pub(crate) ends: [End; 2],
    /// What has come to an end that has no component.
    pub(crate) undelivered: Vec<Bytes>,
}

/// What an end has said in its `session`th description.
pub(crate) fn credentials(end: usize, session: usize) -> IceCredentials {
    IceCredentials {
        username_fragment: format!("end{end}session{session}"),
        password: format!("{end:022}{session}"),
    }
}

pub(crate) fn host(address: SocketAddr, priority: u32) -> RemoteCandidate {
    RemoteCandidate {
        address,
        kind: CandidateKind::Host,
        priority,
    }
}

impl World {
    /// Nobody has begun.
    pub(crate) fn new(seed: u64, conditions: LinkConditions, addresses: [SocketAddr; 2]) -> Self {
        let now = Instant::now();
        let mut network = Network::new(seed, now);
        network.set_default_conditions(conditions);
        Self {
            now,
            network,
            ends: addresses.map(End::new),
            undelivered: Vec::new(),
        }
    }

    /// What an end takes from the descriptions of that session.
    pub(crate) fn parameters(&self, end: usize, role: IceRole, session: usize) -> IceParameters {
        IceParameters {
            local: credentials(end, session),
            remote: credentials(1 - end, session),
            role,
            candidates: vec![host(self.ends[1 - end].address, 2_130_706_431)],
        }
    }

    pub(crate) fn begin(&mut self, end: usize, role: IceRole) {
        let parameters = self.parameters(end, role, 0);
        self.begin_with(end, parameters);
    }

    pub(crate) fn begin_with(&mut self, end: usize, parameters: IceParameters) {
        let this = &mut self.ends[end];
        this.component = Some(IceComponent::new(self.now, this.address, parameters));
        self.drain(end);
    }

    pub(crate) fn settle(&mut self, end: usize, parameters: IceParameters) {
        let this = &mut self.ends[end];
        let component = this.component.as_mut().unwrap();
        component.settle(self.now, this.address, parameters);
        self.drain(end);
    }

    fn drain(&mut self, end: usize) {
        let this = &mut self.ends[end];
        let Some(component) = &mut this.component else {
            return;
        };
        while let Some(output) = component.poll_output() {
            match output {
                IceOutput::Transmit {
                    destination,
                    payload,
                } => {
                    assert_eq!(Owner::of(&payload), Owner::Ice);
                    if this.is_connected {
                        self.network
                            .send(self.now, this.address, destination, payload);
                    }
                }
                IceOutput::Selected(address) => {
                    this.selected.push(address);
                    this.told = Some(self.now);
                }
                IceOutput::Failed(failure) => {
                    this.failures.push(failure);
                    this.told = Some(self.now);
                }
            }
        }
    }

    fn next(&mut self) -> Option<Instant> {
        let ends = self.ends.iter_mut();
        let timers = ends.filter_map(|end| end.component.as_mut()?.next_deadline());
        let timer = timers.min();
        timer.into_iter().chain(self.network.next_delivery()).min()
    }

    /// Runs for that long.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            while let Some(delivery) = self.network.deliver(self.now) {
                if let Delivery::Datagram { from, to, payload } = delivery {
                    self.receive(from, to, &payload);
                }
            }
            for index in [0, 1] {
                if let Some(component) = &mut self.ends[index].component {
                    component.handle_timeout(self.now);
                }
                self.drain(index);
            }
        }
        self.now = end;
    }

    /// A datagram comes to an address.
    pub(crate) fn receive(&mut self, from: SocketAddr, to: SocketAddr, payload: &Bytes) {
        let Some(index) = self.ends.iter().position(|end| end.address == to) else {
            return;
        };
        match &mut self.ends[index].component {
            Some(component) => component.handle_datagram(self.now, from, payload),
            None => self.undelivered.push(payload.clone()),
        }
        self.drain(index);
    }
}
