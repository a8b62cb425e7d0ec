//! Where the streams of a leg go, as offer and answer settled.

use std::net::{IpAddr, SocketAddr};

use media::{Channel, Medium};
use room::codec::{PayloadType, RtcpPort, SrtpKeys, VideoFeedback};
use room::units::Bitrate;
use webrtc::secure_transport::{DtlsParameters, IceParameters};

use crate::congestion_control::Sources;
use crate::media_ports::leg_congestion::Reported;

/// Where a leg's streams go. A medium that is `None` is refused or not negotiated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegRoute {
    /// Audio's way.
    pub audio: Option<MediumRoute>,
    /// Video's way.
    pub video: Option<MediumRoute>,
    /// The way of slides.
    pub slides: Option<MediumRoute>,
    /// The target of the camera's encoder, which its pacer follows.
    pub video_target: Bitrate,
    /// The target of the encoder of slides.
    pub slides_target: Bitrate,
}

impl LegRoute {
    /// What the encoders make at most for the leg.
    pub(super) fn sources(&self) -> Sources {
        let slides = self.slides.as_ref().map(|_| self.slides_target);
        Sources {
            camera: self.video_target,
            slides: slides.unwrap_or_default(),
        }
    }

    /// The payload types of what is sent again of pictures.
    pub(super) fn sent_again(&self) -> [Option<PayloadType>; 2] {
        [&self.video, &self.slides].map(|route| route.as_ref()?.sent_again)
    }

    /// Of which pictures the far end and we report what arrives.
    pub(super) fn reported(&self) -> Reported {
        let reports = |route: &Option<MediumRoute>| {
            let feedback = route.as_ref().map(|route| route.feedback);
            feedback.is_some_and(|feedback| feedback.congestion_control)
        };
        Reported {
            main: reports(&self.video),
            slides: reports(&self.slides),
        }
    }

    pub(super) fn medium(&self, medium: Medium) -> Option<&MediumRoute> {
        match medium {
            Medium::Audio => self.audio.as_ref(),
            Medium::Video => self.video.as_ref(),
            Medium::Slides => self.slides.as_ref(),
        }
    }
}

/// Where the streams of one medium go, as offer/answer settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediumRoute {
    /// The peer's RTP address.
    pub rtp: SocketAddr,
    /// The peer's RTCP address.
    pub rtcp: SocketAddr,
    /// Whether RTCP shares the port of RTP, at both ends.
    pub rtcp_port: RtcpPort,
    /// How it is protected.
    pub keying: Keying,
    /// How its way is found; `None` where that is the address alone.
    pub ice: Option<Box<IceRoute>>,
    /// The RTCP feedback about pictures that both ends settled.
    pub feedback: VideoFeedback,
    /// The payload type of packets that we send again in a stream of their own (RFC 4588).
    pub sent_again: Option<PayloadType>,
}

impl MediumRoute {
    /// The peer's address by its line.
    pub(super) fn negotiated(&self, channel: Channel) -> SocketAddr {
        match channel {
            Channel::Rtp => self.rtp,
            Channel::Rtcp => self.rtcp,
        }
    }
}

/// ICE of one medium (RFC 8445). The pair that it selects takes the place of the addresses of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceRoute {
    /// Our own address, which the peer knows as a candidate.
    pub local_address: IpAddr,
    /// For the port of RTP.
    pub rtp: IceParameters,
    /// For the port of RTCP, where it has one of its own.
    pub rtcp: IceParameters,
}

impl IceRoute {
    pub(super) fn parameters(&self, channel: Channel) -> &IceParameters {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }
}

/// Where the keys of a stream come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keying {
    /// There are none: the stream is plain.
    Plain,
    /// From the session descriptions (RFC 4568).
    Sdes(SrtpKeys),
    /// From a DTLS handshake on the port of RTP, which RTCP shares (RFC 5763).
    DtlsSrtp(DtlsParameters),
}
