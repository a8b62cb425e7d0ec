//! Codecs and keys as offer/answer settles them and the media graph uses them.

use std::fmt;

/// An RTP payload type, 0 to 127 (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadType(u8);

impl PayloadType {
    /// A payload type, or `None` above 127.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 127 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The audio codecs that a leg may speak, best first in our own offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioCodec {
    /// Opus at 48 kHz with in-band FEC (RFC 6716, RFC 7587).
    Opus,
    /// G.722 at 16 kHz; its RTP clock is 8 kHz by an old error (RFC 3551 section 4.5.2).
    G722,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl AudioCodec {
    /// The encoding name in `a=rtpmap`, as its registration spells it.
    #[must_use]
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "G722",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The RTP clock in Hz, as `a=rtpmap` states it.
    #[must_use]
    pub const fn rtp_clock_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::G722 | Self::Pcmu | Self::Pcma => 8_000,
        }
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encoding_name())
    }
}

/// How H.264 is cut into RTP packets (RFC 6184 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PacketizationMode {
    /// Mode 0: one NAL unit a packet. Slices must be small enough to fit.
    SingleNalUnit,
    /// Mode 1: STAP-A and FU-A allowed.
    NonInterleaved,
}

/// H.264 profile, constraints and level (RFC 6184 section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProfileLevelId {
    /// `profile_idc`.
    pub profile_idc: u8,
    /// `profile-iop`, the constraint flags.
    pub profile_iop: u8,
    /// `level_idc`: ten times the level (31 is level 3.1).
    pub level_idc: u8,
}

impl ProfileLevelId {
    /// Constrained Baseline, level 3.1: 1280x720 at 30 frames per second.
    pub const CONSTRAINED_BASELINE_31: Self = Self {
        profile_idc: 0x42,
        profile_iop: 0xe0,
        level_idc: 31,
    };
}

impl fmt::Display for ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:02x}{:02x}{:02x}",
            self.profile_idc, self.profile_iop, self.level_idc
        )
    }
}

impl fmt::Debug for ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which way a stream flows, seen from us (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// From us only.
    SendOnly,
    /// To us only.
    RecvOnly,
    /// Neither way; RTCP still flows.
    Inactive,
}

impl Direction {
    /// Whether we send.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether we receive.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The direction of the same stream seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }
}

/// Which port of ours and of the peer carries a stream's RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RtcpPort {
    /// One of its own.
    #[default]
    Own,
    /// That of RTP (RFC 5761).
    Shared,
}

/// Which RTCP packets may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RtcpSize {
    /// Compound packets only, each with a report (RFC 3550 section 6.1).
    #[default]
    Compound,
    /// Feedback may travel without a report (RFC 5506).
    Reduced,
}

/// How RTCP of a stream is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RtcpMode {
    /// Which port it uses.
    pub port: RtcpPort,
    /// What its packets may consist of.
    pub size: RtcpSize,
}

/// The RTCP feedback about pictures that both ends settled, besides reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VideoFeedback {
    /// `nack`: packets that were lost are asked for again (RFC 4585 section 6.2.1).
    pub generic_nack: bool,
    /// `nack pli`: a whole picture is asked for after a loss (RFC 4585 section 6.3.1).
    pub picture_loss_indication: bool,
    /// `ccm fir`: a whole picture is asked for (RFC 5104 section 4.3.1).
    pub full_intra_request: bool,
    /// `ccm tmmbr`: the most that the sender may send is set for a while (RFC 5104 section 4.2.1).
    pub temporary_bitrate: bool,
    /// `ack ccfb`: what arrives is reported packet by packet, with its time (RFC 8888).
    pub congestion_control: bool,
    /// `goog-remb`: the receiver says how much it takes of all streams together
    /// (draft-alvestrand-rmcat-remb-03).
    pub maximum_bitrate: bool,
}

impl VideoFeedback {
    /// All that we know.
    pub const ALL: Self = Self {
        generic_nack: true,
        picture_loss_indication: true,
        full_intra_request: true,
        temporary_bitrate: true,
        congestion_control: true,
        maximum_bitrate: true,
    };

    /// None: a whole picture can be asked for by signalling only.
    pub const NONE: Self = Self {
        generic_nack: false,
        picture_loss_indication: false,
        full_intra_request: false,
        temporary_bitrate: false,
        congestion_control: false,
        maximum_bitrate: false,
    };

    /// Whether RTCP can ask for a whole picture.
    #[must_use]
    pub const fn requests_pictures(self) -> bool {
        self.picture_loss_indication || self.full_intra_request
    }

    /// The values of `a=rtcp-fb` that name what is settled.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (self.generic_nack, "nack"),
            (self.picture_loss_indication, "nack pli"),
            (self.full_intra_request, "ccm fir"),
            (self.temporary_bitrate, "ccm tmmbr"),
            (self.congestion_control, "ack ccfb"),
            (self.maximum_bitrate, "goog-remb"),
        ]
        .into_iter()
        .filter_map(|(settled, name)| settled.then_some(name))
    }
}

/// The payload types of packets that are sent again (RFC 4588), in a stream of their own beside the
/// one that lost them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtxPayloadTypes {
    /// What we send again: the peer's number.
    pub send: PayloadType,
    /// What the peer sends again: our number.
    pub receive: PayloadType,
}

/// SRTP protection profiles with SDES keys (RFC 4568 section 6.2, RFC 7714 section 14.2), the
/// strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SrtpSuite {
    /// `AEAD_AES_256_GCM`: RTP and RTCP carry a tag of 16 bytes.
    AeadAes256Gcm,
    /// `AEAD_AES_128_GCM`: the same with a shorter key.
    AeadAes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_80`.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: RTP carries a 4-byte tag, RTCP one of 10 bytes.
    AesCm128HmacSha1_32,
}

impl SrtpSuite {
    /// Every suite, the strongest first.
    pub const ALL: [Self; 4] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    /// The registered name, as `a=crypto` and clients spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Bytes of the master key.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
        }
    }

    /// Bytes of master key and master salt together, as one key of `a=crypto` holds them.
    #[must_use]
    pub const fn key_and_salt_length(self) -> usize {
        self.key_length() + self.salt_length()
    }
}

impl fmt::Display for SrtpSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An SRTP master key and salt, as long as its suite wants them. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey {
    suite: SrtpSuite,
    /// Key, then salt.
    key_and_salt: Box<[u8]>,
}

impl SrtpKey {
    /// Bytes of the longest master key and salt.
    pub const MAX_LENGTH: usize = SrtpSuite::AeadAes256Gcm.key_and_salt_length();

    /// A key from the master key and the salt behind it; `None` when the suite wants another
    /// number of bytes.
    #[must_use]
    pub fn new(suite: SrtpSuite, key_and_salt: &[u8]) -> Option<Self> {
        (key_and_salt.len() == suite.key_and_salt_length()).then(|| Self {
            suite,
            key_and_salt: key_and_salt.into(),
        })
    }

    /// A key whose bytes `fill` writes: a random source, but for tests.
    #[must_use]
    pub fn generate(suite: SrtpSuite, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut key_and_salt = vec![0; suite.key_and_salt_length()].into_boxed_slice();
        fill(&mut key_and_salt);
        Self {
            suite,
            key_and_salt,
        }
    }

    /// The protection profile.
    #[must_use]
    pub const fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// Master key, then master salt.
    #[must_use]
    pub fn key_and_salt(&self) -> &[u8] {
        &self.key_and_salt
    }

    /// The master key.
    #[must_use]
    pub fn master_key(&self) -> &[u8] {
        &self.key_and_salt()[..self.suite.key_length()]
    }

    /// The master salt.
    #[must_use]
    pub fn master_salt(&self) -> &[u8] {
        &self.key_and_salt()[self.suite.key_length()..]
    }
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKey({:?}, secret)", self.suite)
    }
}

/// The keys of one secured stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Protects what we send.
    pub local: SrtpKey,
    /// Protects what the peer sends.
    pub remote: SrtpKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_length_of_its_suite_and_shows_no_byte() {
        for suite in SrtpSuite::ALL {
            let bytes: Vec<u8> = (0..suite.key_and_salt_length() as u8).collect();
            let key = SrtpKey::new(suite, &bytes).unwrap();
            assert_eq!(key.key_and_salt(), bytes);
            assert_eq!([key.master_key(), key.master_salt()].concat(), bytes);
            assert_eq!(SrtpKey::new(suite, &bytes[1..]), None);
            assert_eq!(format!("{key:?}"), format!("SrtpKey({suite:?}, secret)"));
        }
    }
}
