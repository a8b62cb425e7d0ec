//! One DTLS association whose handshake yields the SRTP keys of a stream (RFC 5764).
//!
//! ```text
//!              handshake done, the certificate is the agreed one
//!  Handshaking ───────────────────────────────────────────────────► Established
//!       │                                                              │
//!       │ another certificate, no SRTP profile,                        │ the peer closes it,
//!       │ nothing heard for too long, a fault                          │ or a fault
//!       ▼                                                              ▼
//!     Failed                                                        Finished
//! ```
//!
//! While it is established it repeats what the peer has not got of the handshake. `Finished` costs
//! nothing: the keys are out, and what is protected with them goes on.
//!
//! The engine knows certificates with ECDSA keys alone, as every WebRTC endpoint has one; the handshake
//! with a peer that shows an RSA key fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dimpl::{Config, Dtls, KeyingMaterial, Output, SrtpProfile};
use room::codec::{SrtpKey, SrtpKeys, SrtpSuite};

use super::certificate::{Certificate, CertificateFingerprint};
use crate::engine::contained;

/// After this time what the peer does not answer is sent again; each time twice as long is waited.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(250);
/// How often it is sent again at most: the last time 16 s after the first.
const RETRANSMISSIONS: usize = 6;
/// How long the handshake may take in all, the wait for a peer that has to begin it included.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a datagram of ours, below what every path carries.
const MTU: usize = 1_200;

/// Who begins the handshake (`a=setup`, RFC 5763 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsRole {
    /// We do: the client.
    Active,
    /// The peer does: we are the server.
    Passive,
}

/// What the session descriptions settle of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsParameters {
    /// Our part.
    pub role: DtlsRole,
    /// The certificate that the peer has to show.
    pub peer_certificate: CertificateFingerprint,
}

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DtlsFailure {
    /// The peer has shown another certificate than its session description names.
    #[error("the peer has shown another certificate than the agreed one")]
    OtherCertificate,
    /// The peer does not take part.
    #[error("the peer has not been heard in time")]
    TimedOut,
    /// The handshake is done, and the peer has agreed to no protection profile of SRTP.
    #[error("the peer knows no protection profile of SRTP that is known here")]
    NoSrtpProfile,
    /// The handshake has failed; the text says how, for logs.
    #[error("the DTLS handshake has failed: {0}")]
    Handshake(String),
    /// The DTLS engine has come upon a fault of its own.
    #[error("the DTLS engine has failed")]
    EngineFault,
}

impl From<dimpl::Error> for DtlsFailure {
    fn from(error: dimpl::Error) -> Self {
        match error {
            dimpl::Error::Timeout(_) => Self::TimedOut,
            error => Self::Handshake(error.to_string()),
        }
    }
}

/// What has become of an association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DtlsEvent {
    /// The keys of the stream. They are told once.
    Keys(SrtpKeys),
    /// There will be no keys.
    Failed(DtlsFailure),
}

enum State {
    Handshaking(Box<Handshake>),
    Established(Box<Dtls>),
    Failed,
    Finished,
}

struct Handshake {
    dtls: Dtls,
    parameters: DtlsParameters,
    /// When it is given up, whatever the engine still hopes for.
    ends: Instant,
    proven: bool,
    keys: Option<SrtpKeys>,
}

/// An association.
pub(super) struct DtlsAssociation {
    state: State,
    deadline: Option<Instant>,
    datagrams: VecDeque<Bytes>,
    events: VecDeque<DtlsEvent>,
    buffer: Vec<u8>,
}

impl DtlsAssociation {
    /// An association that the active end begins at once. `seed` makes its times of repetition the
    /// same in each run of a test; keys and signatures are never drawn from it.
    pub(super) fn new(
        now: Instant,
        certificate: &Certificate,
        parameters: DtlsParameters,
        seed: Option<u64>,
    ) -> Self {
        let mut association = Self {
            state: State::Failed,
            deadline: None,
            datagrams: VecDeque::new(),
            events: VecDeque::new(),
            buffer: vec![0; 2 * MTU],
        };
        let engine = contained(|| {
            let mut dtls = Dtls::new_auto(Arc::new(config(seed)?), certificate.pair(), now);
            dtls.set_active(parameters.role == DtlsRole::Active);
            Ok::<_, DtlsFailure>(dtls)
        });
        match engine.unwrap_or(Err(DtlsFailure::EngineFault)) {
            Ok(dtls) => {
                association.state = State::Handshaking(Box::new(Handshake {
                    dtls,
                    parameters,
                    ends: now + HANDSHAKE_LIMIT,
                    proven: false,
                    keys: None,
                }));
                association.handle_timeout(now);
            }
            Err(failure) => association.fail(failure),
        }
        association
    }

    /// Takes a datagram of the peer.
    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.drive(|dtls| {
            dtls.handle_timeout(now)?;
            dtls.handle_packet(datagram)
        });
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let State::Handshaking(handshake) = &self.state
            && handshake.ends <= now
        {
            return self.fail(DtlsFailure::TimedOut);
        }
        self.drive(|dtls| dtls.handle_timeout(now));
    }

    /// Whether there will be no keys.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed)
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next datagram to send.
    pub(super) fn poll_datagram(&mut self) -> Option<Bytes> {
        self.datagrams.pop_front()
    }

    /// What has happened next.
    pub(super) fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    /// Has the engine do something, and takes what it says then. A failure is its end.
    fn drive(&mut self, what: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) {
        let dtls = match &mut self.state {
            State::Handshaking(handshake) => &mut handshake.dtls,
            State::Established(dtls) => dtls,
            State::Failed | State::Finished => return,
        };
        let (buffer, datagrams) = (&mut self.buffer, &mut self.datagrams);
        let said = contained(|| {
            what(dtls)?;
            Ok(poll(dtls, buffer, datagrams))
        });
        match said.unwrap_or(Err(DtlsFailure::EngineFault)) {
            Ok(said) => self.take(said),
            Err(failure) => self.give_up(failure),
        }
    }

    /// The engine is of no more use.
    fn give_up(&mut self, failure: DtlsFailure) {
        match self.state {
            State::Handshaking(_) => self.fail(failure),
            State::Established(_) | State::Failed | State::Finished => self.finish(),
        }
    }

    fn take(&mut self, said: Said) {
        self.deadline = said.timeout;
        if said.closed {
            let closed = "the peer has closed it".to_owned();
            return self.give_up(DtlsFailure::Handshake(closed));
        }
        let State::Handshaking(handshake) = &mut self.state else {
            return;
        };
        match said.peer_certificate {
            Some(shown) if shown == handshake.parameters.peer_certificate => {
                handshake.proven = true;
            }
            Some(_) => return self.fail(DtlsFailure::OtherCertificate),
            None => {}
        }
        if let Some((material, profile)) = said.keying_material {
            handshake.keys = srtp_keys(&material, profile, handshake.parameters.role);
        }
        if said.connected {
            self.establish();
        } else {
            let ends = handshake.ends;
            self.deadline = Some(self.deadline.map_or(ends, |deadline| deadline.min(ends)));
        }
    }

    fn establish(&mut self) {
        let State::Handshaking(handshake) = std::mem::replace(&mut self.state, State::Failed)
        else {
            return;
        };
        match (handshake.proven, handshake.keys) {
            (true, Some(keys)) => {
                self.state = State::Established(Box::new(handshake.dtls));
                self.events.push_back(DtlsEvent::Keys(keys));
            }
            (false, _) => self.fail(DtlsFailure::OtherCertificate),
            (true, None) => self.fail(DtlsFailure::NoSrtpProfile),
        }
    }

    fn fail(&mut self, failure: DtlsFailure) {
        (self.state, self.deadline) = (State::Failed, None);
        self.events.push_back(DtlsEvent::Failed(failure));
    }

    fn finish(&mut self) {
        (self.state, self.deadline) = (State::Finished, None);
    }
}

fn poll(dtls: &mut Dtls, buffer: &mut Vec<u8>, datagrams: &mut VecDeque<Bytes>) -> Said {
    let mut said = Said::default();
    loop {
        match dtls.poll_output(buffer) {
            Output::Packet(datagram) => datagrams.push_back(Bytes::copy_from_slice(datagram)),
            Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
            Output::PeerCert(certificate) => {
                said.peer_certificate = Some(CertificateFingerprint::of(certificate));
            }
            Output::KeyingMaterial(material, profile) => {
                said.keying_material = Some((material, profile));
            }
            Output::Connected => said.connected = true,
            Output::CloseNotify => said.closed = true,
            Output::Timeout(timeout) => {
                said.timeout = Some(timeout);
                return said;
            }
            // There are no data here, and nothing else that concerns keys.
            _ => {}
        }
    }
}

/// What the engine says in one go.
#[derive(Default)]
struct Said {
    timeout: Option<Instant>,
    peer_certificate: Option<CertificateFingerprint>,
    keying_material: Option<(KeyingMaterial, SrtpProfile)>,
    connected: bool,
    closed: bool,
}

fn config(seed: Option<u64>) -> Result<Config, dimpl::Error> {
    let builder = Config::builder()
        .mtu(MTU)
        // The description of the peer names who it is; a cookie would cost a round trip and show no
        // more than that.
        .use_server_cookie(false)
        .flight_start_rto(FIRST_RETRANSMISSION)
        .flight_retries(RETRANSMISSIONS)
        .handshake_timeout(HANDSHAKE_LIMIT);
    match seed {
        Some(seed) => builder.dangerously_set_rng_seed(seed).build(),
        None => builder.build(),
    }
}

/// The keys in the exported material: those of the client and the server, then the salts of both (RFC
/// 5764 section 4.2).
fn srtp_keys(material: &[u8], profile: SrtpProfile, role: DtlsRole) -> Option<SrtpKeys> {
    let suite = match profile {
        SrtpProfile::AEAD_AES_256_GCM => SrtpSuite::AeadAes256Gcm,
        SrtpProfile::AEAD_AES_128_GCM => SrtpSuite::AeadAes128Gcm,
        SrtpProfile::AES128_CM_SHA1_80 => SrtpSuite::AesCm128HmacSha1_80,
        _ => return None,
    };
    let (keys, salts) = material.split_at_checked(2 * suite.key_length())?;
    let (client_key, server_key) = keys.split_at_checked(suite.key_length())?;
    let (client_salt, server_salt) = salts.split_at_checked(suite.salt_length())?;
    let client = SrtpKey::new(suite, &[client_key, client_salt].concat())?;
    let server = SrtpKey::new(suite, &[server_key, server_salt].concat())?;
    Some(match role {
        DtlsRole::Active => SrtpKeys {
            local: client,
            remote: server,
        },
        DtlsRole::Passive => SrtpKeys {
            local: server,
            remote: client,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_material_is_cut_as_the_standard_says() {
        for (profile, suite) in [
            (SrtpProfile::AEAD_AES_256_GCM, SrtpSuite::AeadAes256Gcm),
            (SrtpProfile::AEAD_AES_128_GCM, SrtpSuite::AeadAes128Gcm),
            (
                SrtpProfile::AES128_CM_SHA1_80,
                SrtpSuite::AesCm128HmacSha1_80,
            ),
        ] {
            let length = profile.keying_material_len();
            assert_eq!(length, 2 * suite.key_and_salt_length());
            let material: Vec<u8> = (0..length as u8).collect();
            let active = srtp_keys(&material, profile, DtlsRole::Active).unwrap();
            let passive = srtp_keys(&material, profile, DtlsRole::Passive).unwrap();
            let key = suite.key_length();
            assert_eq!(active.local.master_key(), &material[..key]);
            assert_eq!(active.remote.master_key(), &material[key..2 * key]);
            let salt = 2 * key + suite.salt_length();
            assert_eq!(active.local.master_salt(), &material[2 * key..salt]);
            assert_eq!(active.remote.master_salt(), &material[salt..]);
            assert_eq!(active.local, passive.remote);
            assert_eq!(active.remote, passive.local);
            assert_eq!(srtp_keys(&material[1..], profile, DtlsRole::Active), None);
        }
    }
}
