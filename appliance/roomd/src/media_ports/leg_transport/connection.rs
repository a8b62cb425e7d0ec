//! What connects a port with its peer before media flow: ICE finds the way, a DTLS handshake yields the
//! keys. Either may be missing.
//!
//! ```text
//!             ┌── no ICE: the address of the line ──┐
//!  settled ───┤                                     ├──► handshake ──► keys
//!             └── ICE: checks ──► a pair is ────────┘    (with DTLS)
//!                                 selected, or the peer begins the handshake from a proven address
//! ```

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use room::codec::SrtpKeys;
use webrtc::secure_transport::{
    Certificate, DtlsFailure, DtlsParameters, Event, IceComponent, IceFailure, IceOutput,
    IceParameters, Output, Owner, SecureTransport,
};

/// What a connection hands out.
pub(super) enum ConnectionOutput {
    /// Send this from the port.
    Transmit {
        destination: SocketAddr,
        payload: Bytes,
    },
    /// The handshake with these parameters has yielded the keys of the stream, or none.
    Handshake(DtlsParameters, Result<SrtpKeys, DtlsFailure>),
    /// ICE sends media to that address, or nowhere any more.
    Path(Result<SocketAddr, IceFailure>),
}

/// What is settled of a connection.
pub(super) struct Settled<'a> {
    /// The peer's address by its line.
    pub(super) negotiated: SocketAddr,
    /// Our port's address as the peer knows it, and what ICE needs, where there is ICE.
    pub(super) ice: Option<(SocketAddr, &'a IceParameters)>,
    /// The handshake that is to be held.
    pub(super) dtls: Option<DtlsParameters>,
    /// What we show in it; without it none is held.
    pub(super) certificate: Option<&'a Certificate>,
}

/// The connection of one port.
#[derive(Default)]
pub(super) struct Connection {
    ice: Option<IceComponent>,
    /// The handshake that is agreed, with what we show in it.
    agreed: Option<(DtlsParameters, Certificate)>,
    /// The handshake that is under way, or over.
    secure: Option<SecureTransport>,
}

impl Connection {
    /// Another offer and answer have settled this.
    pub(super) fn settle(&mut self, now: Instant, settled: &Settled<'_>) {
        match (&mut self.ice, settled.ice) {
            (Some(ice), Some((local, parameters))) => ice.settle(now, local, parameters.clone()),
            (None, Some((local, parameters))) => {
                self.ice = Some(IceComponent::new(now, local, parameters.clone()));
            }
            (Some(_) | None, None) => self.ice = None,
        }
        self.agreed = settled.dtls.zip(settled.certificate.cloned());
        let agreed = self.agreed.as_ref().map(|(parameters, _)| *parameters);
        // The same one goes on, wherever the peer is (RFC 8842 section 3.1).
        self.secure = self
            .secure
            .take()
            .filter(|secure| Some(secure.parameters()) == agreed && !secure.has_failed());
        let remote = match &self.ice {
            Some(ice) => ice.selected(),
            None => Some(settled.negotiated),
        };
        if let Some(remote) = remote {
            self.shake_hands(now, remote);
        }
    }

    /// Goes on with the handshake at that address of the peer, or begins it.
    fn shake_hands(&mut self, now: Instant, remote: SocketAddr) {
        match (&mut self.secure, &self.agreed) {
            (Some(secure), _) => secure.move_to(remote),
            (None, Some((parameters, certificate))) => {
                let secure = SecureTransport::new(now, remote, certificate, *parameters, None);
                self.secure = Some(secure);
            }
            (None, None) => {}
        }
    }

    /// What ICE says of the way, where there is ICE.
    pub(super) fn ice(&self) -> Option<&IceComponent> {
        self.ice.as_ref()
    }

    /// Takes a datagram that has come from `source` and is not that of media.
    pub(super) fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        match Owner::of(datagram) {
            Owner::Ice => {
                if let Some(ice) = &mut self.ice {
                    ice.handle_datagram(now, source, datagram);
                }
            }
            Owner::Dtls => {
                // The peer may have selected the pair before we have.
                let is_early = self
                    .ice
                    .as_ref()
                    .is_some_and(|ice| ice.selected().is_none() && ice.is_proven(source));
                if is_early {
                    self.shake_hands(now, source);
                }
                if let Some(secure) = &mut self.secure {
                    secure.handle_datagram(now, source, datagram);
                }
            }
            Owner::Media => {}
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(ice) = &mut self.ice {
            ice.handle_timeout(now);
        }
        if let Some(secure) = &mut self.secure {
            secure.handle_timeout(now);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        let ice = self.ice.as_mut().and_then(IceComponent::next_deadline);
        let secure = self.secure.as_ref();
        let secure = secure.and_then(SecureTransport::next_deadline);
        ice.into_iter().chain(secure).min()
    }

    /// What is to be done next.
    pub(super) fn poll_output(&mut self, now: Instant) -> Option<ConnectionOutput> {
        if let Some(output) = self.ice.as_mut().and_then(IceComponent::poll_output) {
            return Some(match output {
                IceOutput::Transmit {
                    destination,
                    payload,
                } => ConnectionOutput::Transmit {
                    destination,
                    payload,
                },
                IceOutput::Selected(remote) => {
                    self.shake_hands(now, remote);
                    ConnectionOutput::Path(Ok(remote))
                }
                IceOutput::Failed(failure) => ConnectionOutput::Path(Err(failure)),
            });
        }
        let secure = self.secure.as_mut()?;
        let parameters = secure.parameters();
        Some(match secure.poll_output()? {
            Output::Transmit {
                destination,
                payload,
            } => ConnectionOutput::Transmit {
                destination,
                payload,
            },
            Output::Event(Event::Keys(keys)) => ConnectionOutput::Handshake(parameters, Ok(keys)),
            Output::Event(Event::Failed(failure)) => {
                ConnectionOutput::Handshake(parameters, Err(failure))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use webrtc::secure_transport::DtlsRole;

    use super::*;
    use crate::media_ports::media_certificate::MediaCertificate;

    /// Longer than a peer is waited for.
    const TOO_LONG: Duration = Duration::from_secs(31);

    #[test]
    fn a_handshake_that_nobody_began_begins_anew_when_the_same_is_agreed_again() {
        let certificate = MediaCertificate::generate().unwrap().for_dtls();
        let settled = Settled {
            negotiated: SocketAddr::from(([192, 0, 2, 2], 50_000)),
            ice: None,
            dtls: Some(DtlsParameters {
                role: DtlsRole::Passive,
                peer_certificate: certificate.fingerprint(),
            }),
            certificate: Some(&certificate),
        };
        let mut now = Instant::now();
        let mut connection = Connection::default();
        for _ in 0..2 {
            connection.settle(now, &settled);
            assert!(connection.poll_output(now).is_none());
            now += TOO_LONG;
            connection.handle_timeout(now);
            let output = connection.poll_output(now);
            let Some(ConnectionOutput::Handshake(_, outcome)) = output else {
                panic!("the peer is waited for");
            };
            assert_eq!(outcome, Err(DtlsFailure::TimedOut));
            assert_eq!(connection.next_deadline(), None);
        }
    }
}
