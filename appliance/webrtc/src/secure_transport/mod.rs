//! What stands between a SIP leg's socket and its media: ICE (RFC 8445) and DTLS-SRTP (RFC 5763, RFC
//! 5764).
//!
//! An [`IceComponent`] finds the way to the peer for one port of ours. A [`SecureTransport`] holds the
//! handshake of an `m=` line whose RTCP shares the port of RTP (RFC 5761). A stream may have both, either
//! or none. They own no socket and no media: what is SRTP passes them by.
//!
//! ```text
//!  socket ──► first byte (RFC 7983) ──┬─ 0..=3 ────► ICE ───► the peer's address
//!                                     ├─ 20..=63 ──► DTLS ──► keys
//!                                     └─ else ─────► media, by its keys
//! ```
//!
//! Both are driven as other machines are: call [`SecureTransport::handle_datagram`] or
//! [`SecureTransport::handle_timeout`], then take all of [`SecureTransport::poll_output`], then wait
//! until [`SecureTransport::next_deadline`].
//!
//! The handshake is held with the address that offer and answer settle, or that ICE has selected, and
//! nobody else is heard.

mod certificate;
mod dtls;
mod ice;

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use room::codec::SrtpKeys;

pub use certificate::{Certificate, CertificateFingerprint};
use dtls::{DtlsAssociation, DtlsEvent};
pub use dtls::{DtlsFailure, DtlsParameters, DtlsRole};
pub use ice::{
    IceComponent, IceCredentials, IceFailure, IceOutput, IceParameters, IceRole, RemoteCandidate,
};

/// What a transport hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this from the component's socket.
    Transmit {
        /// Where to.
        destination: SocketAddr,
        /// The datagram.
        payload: Bytes,
    },
    /// Something has happened.
    Event(Event),
}

/// Something has happened on a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream's keys, told once: from now on media may flow.
    Keys(SrtpKeys),
    /// There will be no keys.
    Failed(DtlsFailure),
}

/// Whose a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// That of an [`IceComponent`]: STUN.
    Ice,
    /// That of a [`SecureTransport`]: DTLS.
    Dtls,
    /// That of media: RTP or RTCP, or nothing at all.
    Media,
}

impl Owner {
    /// By the first byte (RFC 7983 section 7).
    #[must_use]
    pub fn of(datagram: &[u8]) -> Self {
        match datagram.first() {
            Some(0..=3) => Self::Ice,
            Some(20..=63) => Self::Dtls,
            Some(_) | None => Self::Media,
        }
    }
}

/// The handshake of one component.
pub struct SecureTransport {
    remote: SocketAddr,
    parameters: DtlsParameters,
    dtls: DtlsAssociation,
}

impl SecureTransport {
    /// A transport to `remote`, which proves itself by `certificate`. `seed` is for tests alone: with
    /// one, datagrams are repeated at the same times in each run.
    #[must_use]
    pub fn new(
        now: Instant,
        remote: SocketAddr,
        certificate: &Certificate,
        parameters: DtlsParameters,
        seed: Option<u64>,
    ) -> Self {
        Self {
            remote,
            parameters,
            dtls: DtlsAssociation::new(now, certificate, parameters, seed),
        }
    }

    /// What was settled of it. Other parameters need another transport (RFC 8842 section 3.1).
    #[must_use]
    pub fn parameters(&self) -> DtlsParameters {
        self.parameters
    }

    /// Whether it has ended without keys: only another one may yield some.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.dtls.has_failed()
    }

    /// The peer is at another address from now on. The association goes on (RFC 8842 section 3.1).
    pub fn move_to(&mut self, remote: SocketAddr) {
        self.remote = remote;
    }

    /// Takes a datagram that has come from `source`, if it is of DTLS.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Owner {
        let owner = Owner::of(datagram);
        if owner == Owner::Dtls && source == self.remote {
            self.dtls.handle_datagram(now, datagram);
        }
        owner
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.dtls.handle_timeout(now);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.dtls.next_deadline()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(payload) = self.dtls.poll_datagram() {
            return Some(Output::Transmit {
                destination: self.remote,
                payload,
            });
        }
        let event = self.dtls.poll_event()?;
        Some(Output::Event(match event {
            DtlsEvent::Keys(keys) => Event::Keys(keys),
            DtlsEvent::Failed(failure) => Event::Failed(failure),
        }))
    }
}

impl fmt::Debug for SecureTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureTransport")
            .field("remote", &self.remote)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
