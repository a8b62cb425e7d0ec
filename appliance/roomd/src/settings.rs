//! From the configuration's words to those of room, SIP endpoint and sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use config::{Account, AutoAnswer, Config, HostPort, MediaSecurity, Peer, Registration};
use room::codec::{AudioCodec, PacketizationMode};
use room::policy::{CallTarget, MediaPolicy, RoomPolicy, SecondCall, Timeouts};
use sip::digest::Credentials;
use sip::endpoint::{self, ConfiguredPeer, EndpointSettings, IncomingPolicy};
use sip::grammar::Uri;
use sip::offer_answer::{Capabilities, ContentSharing, H264Capabilities};
use sip::registration::BackOff;
use sip::secret::Secret;
use sip::transport::Transport;

use crate::error::Error;
use crate::sip_sockets::{ListenAddresses, TlsIdentity, TlsTrust};

/// The room's policy.
#[must_use]
pub fn room_policy(config: &Config) -> RoomPolicy {
    RoomPolicy {
        auto_answer: match config.incoming.auto_answer {
            AutoAnswer::Never => room::AutoAnswer::Never,
            AutoAnswer::Trusted => room::AutoAnswer::TrustedPeers,
        },
        second_call: match config.incoming.second_call {
            config::SecondCall::Busy => SecondCall::Busy,
            config::SecondCall::Add { max_legs } => SecondCall::Add { max_legs },
        },
        join: config.join.as_ref().map(|join| CallTarget {
            target: join.target.to_string(),
            account: join.account.as_ref().map(ToString::to_string),
        }),
        accounts: config
            .accounts
            .iter()
            .map(|account| account.name.to_string())
            .collect(),
        timeouts: Timeouts {
            ring: config.incoming.ring_time_out,
            ..Timeouts::default()
        },
        media: MediaPolicy {
            camera: config.camera.source.clone(),
            resolution: config.camera.resolution,
            frame_rate: config.camera.frame_rate,
            bitrate: config.camera.bitrate,
            microphone: config.microphone.source.clone(),
            video_sink: config.playout.video,
            audio_sink: config.playout.audio,
        },
    }
}

/// Where the SIP sockets listen.
#[must_use]
pub fn listen_addresses(config: &Config) -> ListenAddresses {
    ListenAddresses {
        udp: config.sip.listen_udp,
        tcp: config.sip.listen_tcp,
        tls: config.sip.listen_tls.as_ref().map(|tls| tls.address),
    }
}

/// The certificate that we present, if one is configured.
#[must_use]
pub fn tls_identity(config: &Config) -> Option<TlsIdentity> {
    config.sip.listen_tls.as_ref().map(|tls| TlsIdentity {
        certificate_chain: tls.certificate.clone(),
        private_key: tls.key.clone(),
    })
}

/// Whose certificates are accepted.
#[must_use]
pub fn tls_trust(config: &Config) -> TlsTrust {
    TlsTrust {
        authorities: config.sip.ca_files.clone(),
    }
}

/// A room that cannot be called comes back sooner than RFC 5626 section 4.5 has it by default: the
/// first try is after 2 to 4 s, not after 30 to 60. While another flow works there is no hurry.
const BACK_OFF: BackOff = BackOff {
    all_failed: Duration::from_secs(2),
    some_work: Duration::from_secs(90),
    longest: Duration::from_secs(900),
};

/// The SIP endpoint's settings, but for the box's identity, which is none of the configuration.
/// `bound` are the addresses that the sockets have.
///
/// # Errors
/// [`Error::AccountAddress`] when an address breaks the grammar of SIP, [`Error::Secret`] when a
/// password cannot be read.
pub fn endpoint_settings(
    config: &Config,
    bound: &ListenAddresses,
    credentials_directory: Option<&Path>,
) -> Result<EndpointSettings, Error> {
    let accounts = config
        .accounts
        .iter()
        .map(|account| endpoint_account(config, account, credentials_directory))
        .collect::<Result<Vec<_>, _>>()?;
    let reachable = |bound: Option<SocketAddr>| bound.map(reachable_addresses).unwrap_or_default();
    Ok(EndpointSettings {
        accounts,
        instance_id: None,
        user_agent: config.sip.user_agent.clone(),
        incoming: IncomingPolicy {
            peers: config.sip.peers.iter().map(configured_peer).collect(),
            ..IncomingPolicy::default()
        },
        listen: endpoint::ListenAddresses {
            udp: reachable(bound.udp),
            tcp: reachable(bound.tcp),
            tls: reachable(bound.tls),
        },
        dial_limit: Timeouts::default().dial,
    })
}

/// Leaves out the ways to cut video into packets that the encoders of this machine cannot serve.
pub fn limit_packetization_modes(settings: &mut EndpointSettings, served: &[PacketizationMode]) {
    for account in &mut settings.accounts {
        let video = &mut account.capabilities.video;
        video
            .packetization_modes
            .retain(|mode| served.contains(mode));
    }
}

fn configured_peer(peer: &Peer) -> ConfiguredPeer {
    match peer {
        Peer::Domain(host) => ConfiguredPeer::Domain(host.to_string()),
        Peer::Network { address, prefix } => ConfiguredPeer::Network {
            address: *address,
            prefix: *prefix,
        },
    }
}

fn endpoint_account(
    config: &Config,
    account: &Account,
    credentials_directory: Option<&Path>,
) -> Result<endpoint::Account, Error> {
    let transport = match account.transport {
        config::Transport::Tls => Transport::Tls,
        config::Transport::Tcp => Transport::Tcp,
        config::Transport::Udp => Transport::Udp,
    };
    let server = |server: &HostPort| server_uri(account, server, transport);
    let credentials = match &account.credentials {
        None => None,
        Some(credentials) => {
            let password = credentials
                .password
                .read(credentials_directory)
                .map_err(|source| Error::Secret {
                    account: account.name.to_string(),
                    source,
                })?;
            Some(Credentials {
                username: credentials.username.clone(),
                password: Secret::new(password.expose().to_owned()),
            })
        }
    };
    let (registrar, registration_expires) = match account.registration {
        Registration::Off => (None, Duration::ZERO),
        Registration::On { expires } => (Some(server(&account.registrar)?), expires),
    };
    Ok(endpoint::Account {
        name: endpoint::AccountName::new(account.name.as_str()),
        address: uri(account, account.address.as_str())?,
        display_name: Some(config.room.name.clone()),
        registrar,
        proxies: account
            .proxy
            .iter()
            .chain(&account.backup_proxy)
            .map(server)
            .collect::<Result<_, _>>()?,
        transport,
        large_requests_by_tcp: true,
        credentials,
        registration_expires,
        back_off: BACK_OFF,
        redirects: endpoint::Account::REDIRECTS,
        capabilities: Capabilities {
            audio: vec![
                AudioCodec::Opus,
                AudioCodec::G722,
                AudioCodec::Pcmu,
                AudioCodec::Pcma,
            ],
            video: H264Capabilities::default(),
            security: match account.media_security {
                MediaSecurity::SrtpRequired => sip::offer_answer::MediaSecurity::SrtpRequired,
                MediaSecurity::PlainAllowed => sip::offer_answer::MediaSecurity::PlainAllowed,
            },
            // Media has no second picture to send yet.
            content: ContentSharing::Off,
        },
    })
}

fn server_uri(account: &Account, server: &HostPort, transport: Transport) -> Result<Uri, Error> {
    uri(
        account,
        &format!("sip:{server};transport={}", transport.uri_parameter()),
    )
}

fn uri(account: &Account, text: &str) -> Result<Uri, Error> {
    text.parse().map_err(|source| Error::AccountAddress {
        account: account.name.to_string(),
        address: text.to_owned(),
        source,
    })
}

/// The address that offers name while the way to the peer is not known: that of the first listener.
#[must_use]
pub fn media_address(bound: &ListenAddresses) -> IpAddr {
    let listeners = [bound.tls, bound.tcp, bound.udp];
    let first = listeners.into_iter().flatten().next();
    first.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

/// The address of this machine by which `remote` reaches a socket that is bound to `bound`.
///
/// A bound address is that address; for an unspecified one the kernel's routing table tells. No
/// packet is sent for it. A socket that is bound to `::` serves IPv4 too: an IPv4 peer is told an
/// IPv4 address, never its IPv4-mapped form, which means nothing outside of this machine.
#[must_use]
pub fn reachable_address(bound: IpAddr, remote: Option<IpAddr>) -> IpAddr {
    /// TEST-NET-1 (RFC 5737): stands for "anywhere", so that the default route answers.
    const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let bound = bound.to_canonical();
    if !bound.is_unspecified() {
        return bound;
    }
    let remote = remote
        .map(|remote| remote.to_canonical())
        .filter(|remote| remote.is_ipv4() || bound.is_ipv6())
        .unwrap_or(ANYWHERE);
    route_to(remote).unwrap_or(match remote {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    })
}

/// The address of this machine that the kernel's route to `remote` starts from.
fn route_to(remote: IpAddr) -> io::Result<IpAddr> {
    let any = match remote {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let probe = UdpSocket::bind((any, 0))?;
    probe.connect((remote, 9))?;
    Ok(probe.local_addr()?.ip())
}

/// The addresses by which a listening socket is reached, one for each family that it serves.
fn reachable_addresses(bound: SocketAddr) -> Vec<SocketAddr> {
    /// The documentation prefix (RFC 3849): stands for "anywhere" as TEST-NET-1 does.
    const ANYWHERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    let mut addresses = vec![reachable_address(bound.ip(), None)];
    if bound.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        addresses.push(reachable_address(bound.ip(), Some(ANYWHERE_V6)));
    }
    addresses
        .into_iter()
        .map(|address| SocketAddr::new(address, bound.port()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_peer_is_told_an_address_of_its_own_family() {
        for (bound, remote, reachable) in [
            ("::", "127.0.0.1", "127.0.0.1"),
            ("::", "::ffff:127.0.0.1", "127.0.0.1"),
            ("::", "::1", "::1"),
            ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
            ("::1", "127.0.0.1", "::1"),
            ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(
                reachable_address(ip(bound), Some(ip(remote))),
                ip(reachable),
                "{bound} for {remote}"
            );
        }
    }

    #[test]
    fn a_socket_of_both_families_is_listed_once_for_each() {
        let families = |bound: &str| -> Vec<bool> {
            let bound = SocketAddr::new(ip(bound), 5060);
            let listed = reachable_addresses(bound);
            assert!(listed.iter().all(|address| address.port() == 5060));
            listed.iter().map(SocketAddr::is_ipv4).collect()
        };
        assert_eq!(families("::"), [true, false]);
        assert_eq!(families("0.0.0.0"), [true]);
        assert_eq!(families("::1"), [false]);
    }
}
