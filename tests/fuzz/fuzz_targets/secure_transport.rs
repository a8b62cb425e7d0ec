//! What comes to a SIP leg's secure transport in and after its handshake: datagrams of the peer, of which
//! some are changed on their way, and of anybody. Nothing of it makes a panic, and keys are the peer's
//! or none.

#![no_main]

#[path = "../steps.rs"]
mod steps;

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use rcgen::{CertificateParams, KeyPair};
use room::codec::SrtpKeys;
use steps::steps;
use webrtc::secure_transport::{
    Certificate, DtlsParameters, DtlsRole, Event, Output, SecureTransport,
};

static CERTIFICATES: LazyLock<[Certificate; 2]> = LazyLock::new(|| [certificate(), certificate()]);

fn certificate() -> Certificate {
    let key = KeyPair::generate().expect("there is randomness");
    let signed = CertificateParams::default().self_signed(&key);
    let signed = signed.expect("a certificate can sign itself");
    Certificate::new(signed.der().to_vec(), key.serialize_der())
}

struct End {
    address: SocketAddr,
    transport: SecureTransport,
    keys: Option<SrtpKeys>,
    /// What waits for the other end.
    sent: Vec<Vec<u8>>,
}

impl End {
    fn new(now: Instant, end: usize, role: DtlsRole) -> Self {
        let address = |end: usize| SocketAddr::from(([192, 0, 2, end as u8], 4_000));
        let parameters = DtlsParameters {
            role,
            peer_certificate: CERTIFICATES[1 - end].fingerprint(),
        };
        let (certificate, seed) = (&CERTIFICATES[end], Some(end as u64));
        let remote = address(1 - end);
        let mut this = Self {
            address: address(end),
            transport: SecureTransport::new(now, remote, certificate, parameters, seed),
            keys: None,
            sent: Vec::new(),
        };
        this.drain();
        this
    }

    fn drain(&mut self) {
        while let Some(output) = self.transport.poll_output() {
            match output {
                Output::Transmit { payload, .. } => self.sent.push(payload.to_vec()),
                Output::Event(Event::Keys(keys)) => {
                    assert!(self.keys.replace(keys).is_none(), "keys are told once");
                }
                Output::Event(Event::Failed(_)) => {}
            }
        }
        assert!(self.sent.len() < 10_000, "it repeats itself within bounds");
    }
}

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::now();
    let mut ends = [
        End::new(now, 0, DtlsRole::Active),
        End::new(now, 1, DtlsRole::Passive),
    ];
    for (what, bytes) in steps(input).take(200) {
        let end = usize::from(what % 2);
        let from = ends[1 - end].address;
        match what {
            0..64 => {
                ends[end].transport.handle_datagram(now, from, bytes);
            }
            64..192 => {
                for mut datagram in std::mem::take(&mut ends[1 - end].sent) {
                    if what < 128 {
                        for (octet, change) in datagram.iter_mut().rev().zip(bytes) {
                            *octet ^= change;
                        }
                    }
                    ends[end].transport.handle_datagram(now, from, &datagram);
                }
            }
            _ => {
                now += Duration::from_millis(bytes.len() as u64 * 50);
                ends[end].transport.handle_timeout(now);
            }
        }
        ends[end].drain();
    }
    if let [Some(ours), Some(theirs)] = ends.map(|end| end.keys) {
        assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
    }
});
