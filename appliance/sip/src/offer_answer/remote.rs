//! Reading the peer's description. Everything in it is untrusted; what we do not understand is
//! skipped, as RFC 8866 section 5 asks, and leaves its line without that feature.

use std::net::{IpAddr, SocketAddr};

use room::codec::{AudioCodec, Direction, PayloadType, RtcpMode, RtcpPort, RtcpSize};
use room::units::Bitrate;
use sdp_types::{Bandwidth, Media, Session as Description};

use super::capability::RemotePort;
use super::crypto::CryptoLine;
use super::error::{LineRefusal, SdpError};
use super::h264::H264Parameters;
use super::line_kind::LineKind;
use super::local::{
    Encoding, Feedback, Format, G722, LocalDescription, LocalLine, Medium, PCMA, PCMU, RtpProfile,
    direction_name,
};

/// The most bytes of a description that are read.
const MAX_BYTES: usize = 64 * 1024;
/// The most `m=` lines that are read.
const MAX_LINES: usize = 32;
/// The most `a=crypto` lines that are read for one stream.
const MAX_CRYPTO_LINES: usize = 32;

/// Bits per second of IP, UDP and RTP headers of sound in packets of 20 ms.
const AUDIO_HEADERS: u64 = 40 * 8 * 50;

/// A description of the peer.
pub(super) struct RemoteDescription(Description);

impl RemoteDescription {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_BYTES {
            return Err(SdpError::TooLarge {
                bytes: bytes.len(),
                limit: MAX_BYTES,
            });
        }
        let description = Description::parse(bytes).map_err(SdpError::Syntax)?;
        let count = description.medias.len();
        if count > MAX_LINES {
            return Err(SdpError::TooManyLines {
                count,
                limit: MAX_LINES,
            });
        }
        Ok(Self(description))
    }

    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = RemoteLine<'_>> {
        let description = &self.0;
        description
            .medias
            .iter()
            .map(move |media| RemoteLine { description, media })
    }
}

/// The address that a description wants media at: that of its first line in use, unspecified while it
/// is on hold. `None` where it cannot be read or names no address of the internet.
#[must_use]
pub fn described_address(description: &[u8]) -> Option<IpAddr> {
    let description = RemoteDescription::parse(description).ok()?;
    let line = description.lines().find(|line| !line.is_disabled())?;
    line.connection_address().ok()
}

impl RemoteDescription {
    /// Takes lines of ours that are missing at the end for refused ones.
    pub(super) fn refuse_missing(&mut self, ours: &LocalDescription) {
        let answered = self.0.medias.len();
        let missing = ours.lines.iter().skip(answered);
        self.0.medias.extend(missing.map(LocalLine::refused));
    }
}

/// One `m=` line of the peer.
#[derive(Clone, Copy)]
pub(super) struct RemoteLine<'a> {
    description: &'a Description,
    pub(super) media: &'a Media,
}

/// Where the peer wants a stream.
pub(super) enum RemoteAddress {
    At(RemotePort),
    /// `c=IN IP4 0.0.0.0`: nowhere for now, the hold of RFC 2543 (RFC 3264 section 8.4).
    Nowhere,
}

impl<'a> RemoteLine<'a> {
    /// All lines of the description, this one included.
    pub(super) fn siblings(&self) -> impl Iterator<Item = Self> + use<'a> {
        let description = self.description;
        let medias = description.medias.iter();
        medias.map(move |media| Self { description, media })
    }

    /// The medium of RTP that the line serves.
    fn medium(&self) -> Option<Medium> {
        match self.kind() {
            LineKind::Stream(medium) => Some(medium),
            LineKind::FloorControl(_) | LineKind::FarEndCamera | LineKind::Other => None,
        }
    }

    /// Whether the line is of that medium, whatever it is for.
    pub(super) fn media_is(&self, name: &str) -> bool {
        self.media.media.eq_ignore_ascii_case(name)
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.media.port == 0
    }

    pub(super) fn profile(&self) -> Option<RtpProfile> {
        RtpProfile::parse(&self.media.proto)
    }

    /// Which way the peer lets the stream flow, seen from the peer.
    pub(super) fn direction(&self) -> Direction {
        let direction = self
            .media
            .attributes
            .iter()
            .chain(&self.description.attributes)
            .find_map(|attribute| parse_direction(&attribute.attribute))
            .unwrap_or(Direction::SendRecv);
        let takes_nothing = self
            .connection_address()
            .is_ok_and(|address| address.is_unspecified());
        if !takes_nothing {
            return direction;
        }
        match direction {
            Direction::SendRecv | Direction::SendOnly => Direction::SendOnly,
            Direction::RecvOnly | Direction::Inactive => Direction::Inactive,
        }
    }

    /// How the peer carries RTCP, or proposes to (RFC 5761 section 5.1.1, RFC 5506 section 5).
    pub(super) fn rtcp(&self) -> RtcpMode {
        RtcpMode {
            port: if self.has_flag("rtcp-mux") {
                RtcpPort::Shared
            } else {
                RtcpPort::Own
            },
            size: if self.has_flag("rtcp-rsize") {
                RtcpSize::Reduced
            } else {
                RtcpSize::Compound
            },
        }
    }

    /// Where to send, as seen from `local`, when RTCP has a port of its own.
    pub(super) fn address(&self, local: IpAddr) -> Result<RemoteAddress, LineRefusal> {
        let address = self.connection_address()?;
        if address.is_unspecified() {
            return Ok(RemoteAddress::Nowhere);
        }
        if !is_usable(address, local) {
            return Err(LineRefusal::UnusableAddress);
        }
        Ok(RemoteAddress::At(self.port_at(address, local)))
    }

    /// The addresses that the line names, whether something can be sent there or not.
    pub(super) fn named_port(&self, local: IpAddr) -> Option<RemotePort> {
        let address = self.connection_address().ok()?;
        Some(self.port_at(address, local))
    }

    fn port_at(&self, address: IpAddr, local: IpAddr) -> RemotePort {
        let rtp = SocketAddr::new(address, self.media.port);
        RemotePort {
            rtp,
            rtcp: self.rtcp_address(rtp, local),
        }
    }

    fn connection_address(&self) -> Result<IpAddr, LineRefusal> {
        self.media
            .connections
            .first()
            .or(self.description.connection.as_ref())
            .and_then(|connection| connection.try_address().ok())
            .map(|address| address.ip)
            .ok_or(LineRefusal::UnusableAddress)
    }

    /// `a=rtcp:<port> [IN IP4 <address>]` (RFC 3605), else the port behind RTP. Behind 65535
    /// there is none: RTCP then goes to the RTP port, where it can be told apart (RFC 5761).
    fn rtcp_address(&self, rtp: SocketAddr, local: IpAddr) -> SocketAddr {
        let next = SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).unwrap_or(rtp.port()));
        let stated = self.values("rtcp").next().and_then(|value| {
            let mut fields = value.split_ascii_whitespace();
            let port = fields.next()?.parse().ok().filter(|port| *port != 0)?;
            let address = match fields.nth(2) {
                Some(address) => address.parse().ok().filter(|ip| is_usable(*ip, local))?,
                None => rtp.ip(),
            };
            Some(SocketAddr::new(address, port))
        });
        stated.unwrap_or(next)
    }

    /// The payload types that we understand, in the peer's order, each once.
    pub(super) fn formats(&self) -> Vec<Format> {
        let mut formats: Vec<Format> = Vec::new();
        let numbers = self.media.fmt.split_ascii_whitespace();
        for payload_type in numbers.filter_map(|text| PayloadType::new(text.parse().ok()?)) {
            let known = formats
                .iter()
                .any(|format| format.payload_type == payload_type);
            if let Some(encoding) = self.encoding(payload_type).filter(|_| !known) {
                let feedback = self.feedback(payload_type);
                formats.push(Format {
                    payload_type,
                    encoding,
                    feedback,
                });
            }
        }
        formats
    }

    fn encoding(&self, payload_type: PayloadType) -> Option<Encoding> {
        let Some(rtpmap) = self.value_of("rtpmap", payload_type) else {
            return static_encoding(payload_type);
        };
        let mut fields = rtpmap.trim().split('/');
        let name = fields.next().unwrap_or_default().trim();
        let clock: u32 = fields.next()?.trim().parse().ok()?;
        let fmtp = self.value_of("fmtp", payload_type).unwrap_or_default();
        match self.medium()? {
            Medium::Audio if name.eq_ignore_ascii_case("telephone-event") => {
                Some(Encoding::TelephoneEvent(clock))
            }
            Medium::Audio => audio_codec(name, clock).map(Encoding::Audio),
            Medium::Video | Medium::Slides
                if name.eq_ignore_ascii_case("rtx") && clock == 90_000 =>
            {
                associated_payload_type(fmtp).map(Encoding::Rtx)
            }
            Medium::Video | Medium::Slides
                if name.eq_ignore_ascii_case("H264") && clock == 90_000 =>
            {
                H264Parameters::parse(fmtp).ok().map(Encoding::H264)
            }
            Medium::Video | Medium::Slides => None,
        }
    }

    fn feedback(&self, payload_type: PayloadType) -> Vec<Feedback> {
        let asked = |feedback: &Feedback| {
            self.values("rtcp-fb").any(|value| {
                let mut fields = value.split_ascii_whitespace();
                let whom = fields.next().unwrap_or_default();
                (whom == "*" || whom.parse() == Ok(payload_type.value()))
                    && feedback.is_named_by(fields)
            })
        };
        Feedback::ALL.into_iter().filter(asked).collect()
    }

    /// The usable keys, in the peer's order.
    pub(super) fn crypto(&self) -> Vec<CryptoLine> {
        self.values("crypto")
            .take(MAX_CRYPTO_LINES)
            .filter_map(|value| CryptoLine::parse(value).ok())
            .collect()
    }

    /// The most that the peer takes: `b=TIAS` (RFC 3890) or else `b=AS` of the line, or else of
    /// the whole session. Zero is written by peers that mean nothing by it.
    pub(super) fn max_bitrate(&self) -> Option<Bitrate> {
        stated_bitrate(&self.media.bandwidths)
            .or_else(|| stated_bitrate(&self.description.bandwidths))
    }

    /// The most sound that the peer takes, without headers: `b=TIAS` (RFC 3890), or else `b=AS` (RFC
    /// 8866 section 5.8) less the headers of its packets. What is said of the whole session is for
    /// the picture.
    pub(super) fn max_audio_bitrate(&self) -> Option<Bitrate> {
        stated(&self.media.bandwidths, "TIAS")
            .or_else(|| {
                let kilobits = stated(&self.media.bandwidths, "AS")?;
                Some(kilobits.saturating_mul(1_000).saturating_sub(AUDIO_HEADERS))
            })
            .map(Bitrate::bps)
    }

    /// The values of attributes of that name, of the line first and then of the session.
    pub(super) fn values_anywhere(
        &self,
        name: &'static str,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let session = self.description.attributes.iter();
        let session = session
            .filter(move |attribute| attribute.attribute == name)
            .filter_map(|attribute| attribute.value.as_deref());
        self.values(name).chain(session)
    }

    /// Whether the line has an attribute of that name.
    pub(super) fn has_flag(&self, name: &str) -> bool {
        let mut attributes = self.media.attributes.iter();
        attributes.any(|attribute| attribute.attribute == name)
    }

    /// Whether the session has an attribute of that name.
    pub(super) fn has_session_flag(&self, name: &str) -> bool {
        let mut attributes = self.description.attributes.iter();
        attributes.any(|attribute| attribute.attribute == name)
    }

    /// The values of the line's attributes of that name.
    pub(super) fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        let attributes = self.media.attributes.iter();
        attributes
            .filter(move |attribute| attribute.attribute == name)
            .filter_map(|attribute| attribute.value.as_deref())
    }

    /// What `a=<name>:<payload type> <value>` says.
    fn value_of(&self, name: &'static str, payload_type: PayloadType) -> Option<&'a str> {
        self.values(name).find_map(|value| {
            let (number, rest) = value.trim_start().split_once(' ')?;
            (number.parse() == Ok(payload_type.value())).then_some(rest)
        })
    }
}

fn parse_direction(name: &str) -> Option<Direction> {
    [
        Direction::SendRecv,
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ]
    .into_iter()
    .find(|direction| direction_name(*direction) == name)
}

/// Media goes to one host of our own IP version. A multicast or broadcast address would turn a
/// call into an amplifier.
fn is_usable(address: IpAddr, local: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    address.is_ipv4() == local.is_ipv4()
        && !address.is_multicast()
        && !address.is_unspecified()
        && !broadcast
}

/// Payload types that need no `a=rtpmap` (RFC 3551 table 4).
fn static_encoding(payload_type: PayloadType) -> Option<Encoding> {
    let codec = match payload_type {
        PCMU => AudioCodec::Pcmu,
        PCMA => AudioCodec::Pcma,
        G722 => AudioCodec::G722,
        _ => return None,
    };
    Some(Encoding::Audio(codec))
}

/// Encoding names compare without case (RFC 8866 section 6.6).
fn audio_codec(name: &str, clock: u32) -> Option<AudioCodec> {
    [
        AudioCodec::Opus,
        AudioCodec::G722,
        AudioCodec::Pcmu,
        AudioCodec::Pcma,
    ]
    .into_iter()
    .find(|codec| codec.encoding_name().eq_ignore_ascii_case(name) && codec.rtp_clock_hz() == clock)
}

/// The payload type whose packets are sent again, from `a=fmtp` of the payload type that they are
/// sent with (RFC 4588 section 8.6).
fn associated_payload_type(fmtp: &str) -> Option<PayloadType> {
    let mut parameters = fmtp.split(';').filter_map(|text| text.split_once('='));
    let (_, number) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("apt"))?;
    PayloadType::new(number.trim().parse().ok()?)
}

fn stated_bitrate(bandwidths: &[Bandwidth]) -> Option<Bitrate> {
    stated(bandwidths, "TIAS")
        .or_else(|| stated(bandwidths, "AS").map(|kilobits| kilobits.saturating_mul(1_000)))
        .map(Bitrate::bps)
}

/// The number of a kind of `b=` line; zero says nothing.
fn stated(bandwidths: &[Bandwidth], name: &str) -> Option<u64> {
    let mut named = bandwidths
        .iter()
        .filter(|line| line.bwtype.eq_ignore_ascii_case(name));
    named
        .find(|line| line.bandwidth > 0)
        .map(|line| line.bandwidth)
}
