//! The way that media of a leg takes just now, as what leaves shows it.

use std::net::SocketAddr;

use webrtc::{DatagramKind, Transmit};

/// From which of our addresses to which of the browser's it goes; by none until something has left.
#[derive(Debug, Default)]
pub(super) struct MediaPath(Option<(SocketAddr, SocketAddr)>);

impl MediaPath {
    /// The two addresses.
    pub(super) fn current(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.0
    }

    /// Whether a datagram that leaves goes by another way than what left before it. ICE chooses one for all media, so
    /// RTCP shows it too: pictures may be held back on the way before, and a guest may get no sound.
    pub(super) fn leads_elsewhere(&mut self, datagram: &Transmit) -> bool {
        let is_media = match datagram.kind {
            DatagramKind::Rtp { .. } | DatagramKind::Rtcp => true,
            // Checks go every way, and the handshake was before.
            DatagramKind::Connectivity | DatagramKind::Dtls => false,
        };
        let path = Some((datagram.source, datagram.destination));
        let leads_elsewhere = is_media && self.0 != path;
        if leads_elsewhere {
            self.0 = path;
        }
        leads_elsewhere
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::Medium;
    use webrtc::Protocol;

    use super::*;

    fn datagram(kind: DatagramKind, port: u16) -> Transmit {
        Transmit {
            protocol: Protocol::Tcp,
            source: SocketAddr::from(([192, 0, 2, 1], 5_000)),
            destination: SocketAddr::from(([198, 51, 100, 7], port)),
            payload: Bytes::new(),
            kind,
        }
    }

    #[test]
    fn rtcp_shows_another_way_while_pictures_wait_and_there_is_no_sound() {
        let picture = DatagramKind::Rtp {
            medium: Medium::Video,
            retransmission: false,
            transport_sequence: None,
        };
        let mut path = MediaPath::default();
        let mut seen = Vec::new();
        for (kind, port) in [
            (DatagramKind::Connectivity, 1),
            (DatagramKind::Dtls, 1),
            (picture, 1),
            (picture, 1),
            (DatagramKind::Connectivity, 2),
            (DatagramKind::Rtcp, 1),
            (DatagramKind::Rtcp, 2),
            (picture, 2),
        ] {
            let leads_elsewhere = path.leads_elsewhere(&datagram(kind, port));
            seen.push((leads_elsewhere, path.current().map(|(_, to)| to.port())));
        }
        let expected = [
            (false, None),
            (false, None),
            (true, Some(1)),
            (false, Some(1)),
            (false, Some(1)),
            (false, Some(1)),
            (true, Some(2)),
            (false, Some(2)),
        ];
        assert_eq!(seen, expected);
    }
}
