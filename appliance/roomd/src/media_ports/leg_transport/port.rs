//! The sockets of a leg, each with what stands behind it.

use std::net::SocketAddr;
use std::time::Instant;

use media::{Channel, Medium};
use room::codec::RtcpPort;
use tokio::net::UdpSocket;
use webrtc::secure_transport::SecureTransport;

use super::Handshaking;
use super::route::{Keying, MediumRoute};
use super::stream::Stream;
use crate::media_ports::sockets::LegSockets;

/// One socket with the stream behind it.
pub(super) struct Port {
    /// `None` while RTCP shares the port of RTP, or when the port could not be had again.
    pub(super) socket: Option<UdpSocket>,
    /// Where the socket is bound.
    pub(super) local: SocketAddr,
    pub(super) medium: Medium,
    pub(super) channel: Channel,
    pub(super) stream: Option<Stream>,
    /// The stream before a pause, as by a hold without address, for what takes it up again.
    pub(super) paused: Option<Stream>,
    /// The handshake that yields the keys of the stream, or has yielded them.
    pub(super) secure: Option<SecureTransport>,
}

/// Whether a channel is carried by the port of the other one.
pub(super) fn is_shared(channel: Channel, route: &MediumRoute) -> bool {
    (channel, route.rtcp_port) == (Channel::Rtcp, RtcpPort::Shared)
}

/// The handshake of a port after `previous`: the same one as long as its parameters are, wherever the
/// peer is (RFC 8842 section 3.1).
pub(super) fn secure(
    previous: Option<SecureTransport>,
    negotiated: SocketAddr,
    route: &MediumRoute,
    handshaking: &Option<Handshaking>,
) -> Option<SecureTransport> {
    let Keying::DtlsSrtp(parameters) = route.keying else {
        return None;
    };
    match previous {
        Some(mut secure) if secure.parameters() == parameters => {
            secure.move_to(negotiated);
            Some(secure)
        }
        Some(_) | None => {
            let certificate = &handshaking.as_ref()?.certificate;
            let now = Instant::now();
            Some(SecureTransport::new(
                now,
                negotiated,
                certificate,
                parameters,
                None,
            ))
        }
    }
}

/// As [`port_index`] counts them.
pub(super) fn ports(sockets: LegSockets) -> Vec<Port> {
    let address = sockets.address;
    let port = |socket: UdpSocket, medium, channel| Port {
        // Only a socket that the system has taken away has no address.
        local: socket
            .local_addr()
            .unwrap_or_else(|_| SocketAddr::new(address, 0)),
        socket: Some(socket),
        medium,
        channel,
        stream: None,
        paused: None,
        secure: None,
    };
    let mut ports = vec![
        port(sockets.audio.rtp, Medium::Audio, Channel::Rtp),
        port(sockets.audio.rtcp, Medium::Audio, Channel::Rtcp),
        port(sockets.video.rtp, Medium::Video, Channel::Rtp),
        port(sockets.video.rtcp, Medium::Video, Channel::Rtcp),
    ];
    if let Some(slides) = sockets.slides {
        ports.push(port(slides.rtp, Medium::Slides, Channel::Rtp));
        ports.push(port(slides.rtcp, Medium::Slides, Channel::Rtcp));
    }
    ports
}

pub(super) fn port_index(medium: Medium, channel: Channel) -> usize {
    match (medium, channel) {
        (Medium::Audio, Channel::Rtp) => 0,
        (Medium::Audio, Channel::Rtcp) => 1,
        (Medium::Video, Channel::Rtp) => 2,
        (Medium::Video, Channel::Rtcp) => 3,
        (Medium::Slides, Channel::Rtp) => 4,
        (Medium::Slides, Channel::Rtcp) => 5,
    }
}
