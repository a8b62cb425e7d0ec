//! Two ends, each with a secure transport, and the network between them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netem::{Delivery, LinkConditions, Network};
use room::codec::SrtpKeys;
use webrtc::secure_transport::{
    Certificate, DtlsFailure, DtlsParameters, DtlsRole, Event, Output, Owner, SecureTransport,
};

/// A certificate as roomd makes it.
pub(crate) fn certificate() -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::default();
    let certificate = params.self_signed(&key).unwrap();
    Certificate::new(certificate.der().to_vec(), key.serialize_der())
}

/// One end.
pub(crate) struct End {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: Certificate,
    pub(crate) transport: Option<SecureTransport>,
    pub(crate) keys: Vec<SrtpKeys>,
    pub(crate) failures: Vec<DtlsFailure>,
    /// When the last event came.
    pub(crate) told: Option<Instant>,
    /// What is not the transport's.
    pub(crate) media: Vec<Bytes>,
}

impl End {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            certificate: certificate(),
            transport: None,
            keys: Vec::new(),
            failures: Vec::new(),
            told: None,
            media: Vec::new(),
        }
    }
}

/// Both ends and what lies between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) network: Network,
    pub(crate) ends: [End; 2],
}

impl World {
    /// Nobody has begun.
    pub(crate) fn new(seed: u64, conditions: LinkConditions) -> Self {
        let now = Instant::now();
        let mut network = Network::new(seed, now);
        network.set_default_conditions(conditions);
        Self {
            now,
            network,
            ends: [
                End::new(SocketAddr::from(([192, 0, 2, 1], 40_000))),
                End::new(SocketAddr::from(([192, 0, 2, 2], 50_000))),
            ],
        }
    }

    /// One end begins, in that role, with whoever shows the other end's certificate.
    pub(crate) fn begin(&mut self, end: usize, role: DtlsRole) {
        let peer_certificate = self.ends[1 - end].certificate.fingerprint();
        self.begin_with(
            end,
            DtlsParameters {
                role,
                peer_certificate,
            },
        );
    }

    pub(crate) fn begin_with(&mut self, end: usize, parameters: DtlsParameters) {
        let remote = self.ends[1 - end].address;
        let this = &mut self.ends[end];
        let seed = Some(end as u64);
        let transport = SecureTransport::new(self.now, remote, &this.certificate, parameters, seed);
        this.transport = Some(transport);
        self.drain(end);
    }

    fn drain(&mut self, end: usize) {
        let this = &mut self.ends[end];
        let Some(transport) = &mut this.transport else {
            return;
        };
        while let Some(output) = transport.poll_output() {
            match output {
                Output::Transmit {
                    destination,
                    payload,
                } => {
                    assert_eq!(Owner::of(&payload), Owner::Dtls);
                    self.network
                        .send(self.now, this.address, destination, payload);
                }
                Output::Event(Event::Keys(keys)) => {
                    this.keys.push(keys);
                    this.told = Some(self.now);
                }
                Output::Event(Event::Failed(failure)) => {
                    this.failures.push(failure);
                    this.told = Some(self.now);
                }
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let timers = self
            .ends
            .iter()
            .filter_map(|end| end.transport.as_ref()?.next_deadline());
        timers.chain(self.network.next_delivery()).min()
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
                if let Some(transport) = &mut self.ends[index].transport {
                    transport.handle_timeout(self.now);
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
        let end = &mut self.ends[index];
        let Some(transport) = &mut end.transport else {
            return;
        };
        if transport.handle_datagram(self.now, from, payload) == Owner::Media {
            end.media.push(payload.clone());
        }
        self.drain(index);
    }
}
