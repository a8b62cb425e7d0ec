//! The sockets of a leg, each with what stands behind it.

use std::net::SocketAddr;
use std::time::Instant;

use media::{Channel, Medium};
use room::codec::RtcpPort;
use tokio::net::UdpSocket;
use webrtc::secure_transport::Certificate;

use super::connection::{Connection, Settled};
use super::route::{Keying, MediumRoute};
use super::stream::{Stream, StreamProtection};
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
    /// How the way of the stream and its keys are found.
    pub(super) connection: Connection,
}

/// Whether a channel is carried by the port of the other one.
pub(super) fn is_shared(channel: Channel, route: &MediumRoute) -> bool {
    (channel, route.rtcp_port) == (Channel::Rtcp, RtcpPort::Shared)
}

impl Port {
    /// Offer and answer have settled where its stream goes. What changes neither address nor keys keeps
    /// what is known of the stream.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        route: &MediumRoute,
        certificate: Option<&Certificate>,
    ) {
        let (negotiated, local) = (route.negotiated(self.channel), self.local);
        let ice = route.ice.as_ref().map(|ice| {
            let local = SocketAddr::new(ice.local_address, local.port());
            (local, ice.parameters(self.channel))
        });
        let dtls = match route.keying {
            Keying::DtlsSrtp(parameters) => Some(parameters),
            Keying::Plain | Keying::Sdes(_) => None,
        };
        self.connection.settle(
            now,
            &Settled {
                negotiated,
                ice,
                dtls,
                certificate,
            },
        );
        let stream = self.stream.as_ref();
        if !stream.is_some_and(|stream| stream.is_for(negotiated, route)) {
            let previous = self.stream.take().or_else(|| self.paused.take());
            self.stream = Some(Stream::new(negotiated, route, previous));
        }
    }

    /// Where its stream is sent, if it may be: nothing leaves before there are keys and a way.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        let stream = self.stream.as_ref()?;
        match (&stream.protection, self.connection.ice()) {
            (StreamProtection::Awaiting, _) => None,
            (StreamProtection::Plain | StreamProtection::Secured { .. }, Some(ice)) => {
                ice.selected()
            }
            (StreamProtection::Plain | StreamProtection::Secured { .. }, None) => {
                Some(stream.latch.remote())
            }
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
        connection: Connection::default(),
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
