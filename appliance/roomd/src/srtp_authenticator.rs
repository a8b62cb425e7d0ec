//! Tells the peer's SRTP and SRTCP packets from anybody else's.
//!
//! A media socket takes packets from the whole network. This gate checks the authentication tag of
//! each (RFC 3711 sections 3.3, 3.4 and 4.2; RFC 7714 sections 8 and 9) before anything else looks
//! at it: only packets that pass may move the media address latch or reach the media graph. The
//! replay window, and the decryption that media uses, stay with the graph; the gate says how old a
//! packet is, so that a recorded one can be told from a new one.
//!
//! Of the key derivation it needs what a tag depends on: the authentication keys of the suites
//! with HMAC, the cipher keys and salts of those with GCM, whose tag cannot be checked without the
//! key stream. The rollover counter, which is part of what a tag protects but not of the packet, is
//! estimated for each source as RFC 3711 section 3.3.1 describes, from packets that passed.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use room::codec::{SrtpKey, SrtpSuite};
use thiserror::Error;

/// Length of the authentication keys of the suites with HMAC (RFC 4568 section 6.2).
const AUTHENTICATION_KEY_LENGTH: usize = 20;
/// Length of an SRTCP tag, in the suites with HMAC.
const SRTCP_TAG_LENGTH: usize = 10;
/// Length of every tag of the GCM suites (RFC 7714 section 12).
const GCM_TAG_LENGTH: usize = 16;
/// Length of the salts of the GCM suites, and of the nonces that are made of them.
const GCM_SALT_LENGTH: usize = 12;
/// An RTP header without contributing sources.
const RTP_HEADER_LENGTH: usize = 12;
/// An RTCP header with the sender's SSRC: the part that stays in the clear.
const RTCP_HEADER_LENGTH: usize = 8;
/// The E flag and the SRTCP index, between packet and tag.
const SRTCP_INDEX_LENGTH: usize = 4;
/// The flag in front of the SRTCP index: the packet is encrypted.
const SRTCP_ENCRYPTED: u32 = 0x8000_0000;
/// A peer has one source a stream, and a new one each time that a conference server switches. The
/// bound is far above what a long meeting needs.
const MAX_SOURCES: usize = 4096;

/// Key derivation labels (RFC 3711 section 4.3).
const LABEL_RTP_CIPHER: u8 = 0x00;
const LABEL_RTP_AUTHENTICATION: u8 = 0x01;
const LABEL_RTP_SALT: u8 = 0x02;
const LABEL_RTCP_CIPHER: u8 = 0x03;
const LABEL_RTCP_AUTHENTICATION: u8 = 0x04;
const LABEL_RTCP_SALT: u8 = 0x05;

/// A packet whose tag is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticPacket {
    /// Its source.
    pub ssrc: u32,
    /// Its place among the packets of its source: rollover counter and sequence number of an RTP
    /// packet (48 bits), or the SRTCP index (31 bits).
    pub index: u64,
    /// Whether it is newer than every earlier one of its source.
    pub age: PacketAge,
}

/// Whether a valid packet can be a recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketAge {
    /// Newer than all that its source sent before: only the peer can have made it now.
    Newest,
    /// Late, repeated on the way, or replayed by somebody who recorded it.
    NotNewest,
}

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotAuthentic {
    /// Too short, or not version 2.
    #[error("not a packet of this protocol")]
    Malformed,
    /// Not made with the peer's key, or changed on the way.
    #[error("the authentication tag is wrong")]
    Tag,
    /// RTCP in the clear, though with a valid tag: encryption was agreed.
    #[error("the RTCP packet is not encrypted")]
    NotEncrypted,
    /// More sources than any meeting has.
    #[error("too many sources")]
    TooManySources,
}

/// Checks the packets of one stream. RTP and RTCP of a stream may share one or have one each.
pub struct SrtpAuthenticator {
    tags: Tags,
    /// The newest RTP packet index of each source.
    rtp_sources: HashMap<u32, u64>,
    /// The newest SRTCP index of each source.
    rtcp_sources: HashMap<u32, u64>,
}

/// What the tags of a suite are made with.
enum Tags {
    Hmac {
        rtp_key: Box<hmac::Key>,
        rtcp_key: Box<hmac::Key>,
        rtp_tag_length: usize,
    },
    Gcm {
        rtp: GcmKey,
        rtcp: GcmKey,
        /// Where the plaintext goes, which nobody reads.
        plaintext: Vec<u8>,
    },
}

impl SrtpAuthenticator {
    /// A gate for packets that are protected by `remote`, the peer's key.
    #[must_use]
    pub fn new(remote: &SrtpKey) -> Self {
        let hmac = |rtp_tag_length| Tags::Hmac {
            rtp_key: Box::new(authentication_key(remote, LABEL_RTP_AUTHENTICATION)),
            rtcp_key: Box::new(authentication_key(remote, LABEL_RTCP_AUTHENTICATION)),
            rtp_tag_length,
        };
        Self::with_tags(match remote.suite() {
            SrtpSuite::AeadAes256Gcm | SrtpSuite::AeadAes128Gcm => Tags::Gcm {
                rtp: GcmKey::derived(remote, LABEL_RTP_CIPHER, LABEL_RTP_SALT),
                rtcp: GcmKey::derived(remote, LABEL_RTCP_CIPHER, LABEL_RTCP_SALT),
                plaintext: Vec::new(),
            },
            SrtpSuite::AesCm128HmacSha1_80 => hmac(10),
            SrtpSuite::AesCm128HmacSha1_32 => hmac(4),
        })
    }

    fn with_tags(tags: Tags) -> Self {
        Self {
            tags,
            rtp_sources: HashMap::new(),
            rtcp_sources: HashMap::new(),
        }
    }

    /// Checks an SRTP packet.
    ///
    /// # Errors
    /// It is not the peer's. The state stays as it was.
    pub fn authenticate_rtp(&mut self, packet: &[u8]) -> Result<AuthenticPacket, NotAuthentic> {
        check_version(packet)?;
        if packet.len() < RTP_HEADER_LENGTH {
            return Err(NotAuthentic::Malformed);
        }
        let sequence_number = u16::from_be_bytes(bytes_at(packet, 2)?);
        let ssrc = u32::from_be_bytes(bytes_at(packet, 8)?);
        let newest = self.rtp_sources.get(&ssrc).copied();
        let index = estimated_index(newest, sequence_number);
        let rollover_counter = u32::try_from(index >> 16).expect("a packet index has 48 bits");
        self.tags.check_rtp(packet, rollover_counter)?;
        note(&mut self.rtp_sources, ssrc, index)
    }

    /// Checks an SRTCP packet.
    ///
    /// # Errors
    /// It is not the peer's. The state stays as it was.
    pub fn authenticate_rtcp(&mut self, packet: &[u8]) -> Result<AuthenticPacket, NotAuthentic> {
        check_version(packet)?;
        let ssrc = u32::from_be_bytes(bytes_at(packet, 4)?);
        let trailer = self.tags.check_rtcp(packet)?;
        if trailer & SRTCP_ENCRYPTED == 0 {
            return Err(NotAuthentic::NotEncrypted);
        }
        note(
            &mut self.rtcp_sources,
            ssrc,
            u64::from(trailer & !SRTCP_ENCRYPTED),
        )
    }
}

impl Tags {
    /// Checks the tag of a packet that has a whole RTP header.
    fn check_rtp(&mut self, packet: &[u8], rollover_counter: u32) -> Result<(), NotAuthentic> {
        match self {
            Self::Hmac {
                rtp_key,
                rtp_tag_length,
                ..
            } => {
                let (message, tag) = split_tag(packet, *rtp_tag_length)?;
                if message.len() < RTP_HEADER_LENGTH {
                    return Err(NotAuthentic::Malformed);
                }
                check_tag(rtp_key, &[message, &rollover_counter.to_be_bytes()], tag)
            }
            Self::Gcm { rtp, plaintext, .. } => {
                let (message, tag) = split_tag(packet, GCM_TAG_LENGTH)?;
                let (header, ciphertext) = message
                    .split_at_checked(rtp_header_length(packet)?)
                    .ok_or(NotAuthentic::Malformed)?;
                let [sequence @ .., _, _, _, _, s0, s1, s2, s3] = &header[2..RTP_HEADER_LENGTH]
                else {
                    return Err(NotAuthentic::Malformed);
                };
                let [r0, r1, r2, r3] = rollover_counter.to_be_bytes();
                // RFC 7714 section 8.1.
                let mut nonce = [0, 0, *s0, *s1, *s2, *s3, r0, r1, r2, r3, 0, 0];
                nonce[10..].copy_from_slice(sequence);
                rtp.check(nonce, header, ciphertext, tag, plaintext)
            }
        }
    }

    /// Checks the tag of an SRTCP packet; gives the E flag and the index.
    fn check_rtcp(&mut self, packet: &[u8]) -> Result<u32, NotAuthentic> {
        let (protected, tag, trailer) = match self {
            Self::Hmac { .. } => {
                let (protected, tag) = split_tag(packet, SRTCP_TAG_LENGTH)?;
                let (_, trailer) = split_trailer(protected)?;
                (protected, tag, trailer)
            }
            // Here the index follows the tag (RFC 7714 section 9).
            Self::Gcm { .. } => {
                let (before, trailer) = split_trailer(packet)?;
                let (protected, tag) = split_tag(before, GCM_TAG_LENGTH)?;
                (protected, tag, trailer)
            }
        };
        match self {
            Self::Hmac { rtcp_key, .. } => {
                if protected.len() < RTCP_HEADER_LENGTH + SRTCP_INDEX_LENGTH {
                    return Err(NotAuthentic::Malformed);
                }
                check_tag(rtcp_key, &[protected], tag)?;
            }
            Self::Gcm {
                rtcp, plaintext, ..
            } => {
                let (header, ciphertext) = protected
                    .split_at_checked(RTCP_HEADER_LENGTH)
                    .ok_or(NotAuthentic::Malformed)?;
                if trailer & SRTCP_ENCRYPTED == 0 {
                    return Err(NotAuthentic::NotEncrypted);
                }
                let index = (trailer & !SRTCP_ENCRYPTED).to_be_bytes();
                let mut nonce = [0; GCM_SALT_LENGTH];
                nonce[2..6].copy_from_slice(&header[4..]);
                nonce[8..].copy_from_slice(&index);
                let mut associated = [0; RTCP_HEADER_LENGTH + SRTCP_INDEX_LENGTH];
                associated[..RTCP_HEADER_LENGTH].copy_from_slice(header);
                associated[RTCP_HEADER_LENGTH..].copy_from_slice(&trailer.to_be_bytes());
                rtcp.check(nonce, &associated, ciphertext, tag, plaintext)?;
            }
        }
        Ok(trailer)
    }
}

/// A session key of a GCM suite with its salt.
struct GcmKey {
    key: LessSafeKey,
    salt: [u8; GCM_SALT_LENGTH],
}

impl GcmKey {
    fn derived(master: &SrtpKey, cipher_label: u8, salt_label: u8) -> Self {
        let mut key = [0; 32];
        let key = &mut key[..master.suite().key_length()];
        derive(master, cipher_label, key);
        let mut salt = [0; GCM_SALT_LENGTH];
        derive(master, salt_label, &mut salt);
        Self::new(key, salt)
    }

    fn new(key: &[u8], salt: [u8; GCM_SALT_LENGTH]) -> Self {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            _ => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key).expect("the key has the length of its suite");
        Self {
            key: LessSafeKey::new(key),
            salt,
        }
    }

    /// Opens what the tag protects: there is no other way to check it.
    fn check(
        &self,
        mut nonce: [u8; GCM_SALT_LENGTH],
        associated: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        plaintext: &mut Vec<u8>,
    ) -> Result<(), NotAuthentic> {
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        plaintext.resize(ciphertext.len(), 0);
        self.key
            .open_separate_gather(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated),
                ciphertext,
                tag,
                plaintext,
            )
            .map_err(|_| NotAuthentic::Tag)
    }
}

impl fmt::Debug for SrtpAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpAuthenticator").finish_non_exhaustive()
    }
}

/// Derives a session authentication key with key derivation rate 0 (RFC 3711 section 4.3.1).
fn authentication_key(master: &SrtpKey, label: u8) -> hmac::Key {
    let mut key = [0; AUTHENTICATION_KEY_LENGTH];
    derive(master, label, &mut key);
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key)
}

/// The first bytes of AES counter mode under the master key, starting at the salt with the label
/// in it (RFC 3711 section 4.3.3; with a key of 256 bits RFC 6188 section 3). A salt of 12 bytes is
/// followed by zeros (RFC 7714 section 11).
fn derive(master: &SrtpKey, label: u8, output: &mut [u8]) {
    let mut counter = [0; 16];
    let salt = master.master_salt();
    counter[..salt.len()].copy_from_slice(salt);
    // The label stands above a 48-bit packet index, here zero, at the low end of 14 bytes.
    counter[7] ^= label;
    output.fill(0);
    let algorithm = match master.suite() {
        SrtpSuite::AeadAes256Gcm => &AES_256,
        SrtpSuite::AeadAes128Gcm
        | SrtpSuite::AesCm128HmacSha1_80
        | SrtpSuite::AesCm128HmacSha1_32 => &AES_128,
    };
    UnboundCipherKey::new(algorithm, master.master_key())
        .and_then(EncryptingKey::ctr)
        .and_then(|key| {
            let context = EncryptionContext::Iv128(counter.into());
            key.less_safe_encrypt(output, context)
        })
        .expect("the key has the length of its suite, and any counter of 16 bytes is taken");
}

/// Bytes of the RTP header with its contributing sources and its extension.
fn rtp_header_length(packet: &[u8]) -> Result<usize, NotAuthentic> {
    let [first] = bytes_at(packet, 0)?;
    let fixed = RTP_HEADER_LENGTH + usize::from(first & 0x0f) * 4;
    if first & 0x10 == 0 {
        return Ok(fixed);
    }
    let words = u16::from_be_bytes(bytes_at(packet, fixed + 2)?);
    Ok(fixed + 4 + usize::from(words) * 4)
}

fn check_version(packet: &[u8]) -> Result<(), NotAuthentic> {
    match packet.first() {
        Some(first) if first >> 6 == 2 => Ok(()),
        Some(_) | None => Err(NotAuthentic::Malformed),
    }
}

fn split_tag(packet: &[u8], tag_length: usize) -> Result<(&[u8], &[u8]), NotAuthentic> {
    let message_length = packet
        .len()
        .checked_sub(tag_length)
        .ok_or(NotAuthentic::Malformed)?;
    Ok(packet.split_at(message_length))
}

/// Takes the E flag and the SRTCP index off the end.
fn split_trailer(packet: &[u8]) -> Result<(&[u8], u32), NotAuthentic> {
    let (before, trailer) = packet
        .split_last_chunk::<SRTCP_INDEX_LENGTH>()
        .ok_or(NotAuthentic::Malformed)?;
    Ok((before, u32::from_be_bytes(*trailer)))
}

fn bytes_at<const LENGTH: usize>(
    packet: &[u8],
    offset: usize,
) -> Result<[u8; LENGTH], NotAuthentic> {
    packet
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(NotAuthentic::Malformed)
}

/// Compares in constant time: a peer must not learn how many bytes of its guess were right.
fn check_tag(key: &hmac::Key, parts: &[&[u8]], tag: &[u8]) -> Result<(), NotAuthentic> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let right = context.sign();
    let right = right
        .as_ref()
        .get(..tag.len())
        .ok_or(NotAuthentic::Malformed)?;
    verify_slices_are_equal(right, tag).map_err(|_| NotAuthentic::Tag)
}

/// The index that lies nearest to the newest one (RFC 3711 section 3.3.1). A source begins in its
/// first round, and before that one there is none.
fn estimated_index(newest: Option<u64>, sequence_number: u16) -> u64 {
    const ROUND: u64 = 1 << 16;
    const HALF: u64 = ROUND / 2;
    let sequence_number = u64::from(sequence_number);
    let Some(newest) = newest else {
        return sequence_number;
    };
    let this_round = newest - newest % ROUND + sequence_number;
    let last_index = (1 << 48) - 1;
    if this_round > newest + HALF && this_round >= ROUND {
        this_round - ROUND
    } else if this_round + HALF < newest && this_round + ROUND <= last_index {
        this_round + ROUND
    } else {
        this_round
    }
}

/// Remembers an authentic packet.
fn note(
    sources: &mut HashMap<u32, u64>,
    ssrc: u32,
    index: u64,
) -> Result<AuthenticPacket, NotAuthentic> {
    let full = sources.len() >= MAX_SOURCES;
    let age = match sources.get_mut(&ssrc) {
        Some(newest) if index > *newest => {
            *newest = index;
            PacketAge::Newest
        }
        Some(_) => PacketAge::NotNewest,
        None if full => return Err(NotAuthentic::TooManySources),
        None => {
            sources.insert(ssrc, index);
            PacketAge::Newest
        }
    };
    Ok(AuthenticPacket { ssrc, index, age })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use webrtc_srtp::context::Context;
    use webrtc_srtp::protection_profile::ProtectionProfile;

    const SUITES: [(SrtpSuite, ProtectionProfile); 4] = [
        (SrtpSuite::AeadAes256Gcm, ProtectionProfile::AeadAes256Gcm),
        (SrtpSuite::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm),
        (
            SrtpSuite::AesCm128HmacSha1_80,
            ProtectionProfile::Aes128CmHmacSha1_80,
        ),
        (
            SrtpSuite::AesCm128HmacSha1_32,
            ProtectionProfile::Aes128CmHmacSha1_32,
        ),
    ];

    fn key(suite: SrtpSuite, seed: u8) -> SrtpKey {
        SrtpKey::generate(suite, |bytes| {
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = seed ^ index as u8;
            }
        })
    }

    /// The peer: an implementation by others.
    fn sender(key: &SrtpKey, profile: ProtectionProfile) -> Context {
        Context::new(key.master_key(), key.master_salt(), profile, None, None).unwrap()
    }

    fn rtp(ssrc: u32, sequence_number: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 96];
        packet.extend(sequence_number.to_be_bytes());
        packet.extend([0, 0, 0, 1]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend(b"sound or picture");
        packet
    }

    /// An empty receiver report.
    fn rtcp(ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 201, 0, 1];
        packet.extend(ssrc.to_be_bytes());
        packet
    }

    fn derived<const LENGTH: usize>(master: &SrtpKey, label: u8) -> [u8; LENGTH] {
        let mut output = [0; LENGTH];
        derive(master, label, &mut output);
        output
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter_map(|digit| Some(digit.to_digit(16)? as u8))
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    /// A gate for the session keys of RFC 7714 sections 16 and 17: counted bytes, and the salt that
    /// is the same everywhere.
    fn gate_of_rfc_7714(key_length: u8) -> SrtpAuthenticator {
        let key: Vec<u8> = (0..key_length).collect();
        let salt = *b"Quid pro quo";
        SrtpAuthenticator::with_tags(Tags::Gcm {
            rtp: GcmKey::new(&key, salt),
            rtcp: GcmKey::new(&key, salt),
            plaintext: Vec::new(),
        })
    }

    fn plaintext(gate: &SrtpAuthenticator) -> &[u8] {
        match &gate.tags {
            Tags::Gcm { plaintext, .. } => plaintext,
            Tags::Hmac { .. } => panic!("no GCM suite"),
        }
    }

    /// No bit of it may be another one.
    fn check_that_every_bit_counts(
        packet: &[u8],
        authenticate: impl Fn(&[u8]) -> Result<AuthenticPacket, NotAuthentic>,
    ) {
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.to_vec();
            changed[bit / 8] ^= 0x80 >> (bit % 8);
            assert!(authenticate(&changed).is_err(), "bit {bit}");
        }
        for length in 0..packet.len() {
            assert!(authenticate(&packet[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_srtp_packets_of_rfc_7714_section_16_pass_and_no_other() {
        let header = "8040f17b 8041f8d3 5501a0b2";
        for (key_length, sealed) in [
            (
                16,
                "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf \
                 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
            ),
            (
                32,
                "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 \
                 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
            ),
        ] {
            let packet = [hex(header), hex(sealed)].concat();
            let mut gate = gate_of_rfc_7714(key_length);
            let passed = gate.authenticate_rtp(&packet).unwrap();
            assert_eq!((passed.ssrc, passed.index), (0x5501_a0b2, 0xf17b));
            assert_eq!(plaintext(&gate), b"Gallia est omnis divisa in partes tres");
            check_that_every_bit_counts(&packet, |packet| {
                gate_of_rfc_7714(key_length).authenticate_rtp(packet)
            });
        }
    }

    #[test]
    fn the_srtcp_packets_of_rfc_7714_section_17_pass_and_no_other() {
        let header = "81c8000d 4d617273";
        for (key_length, sealed) in [
            (
                16,
                "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 \
                 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
            ),
            (
                32,
                "d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 \
                 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
            ),
        ] {
            let packet = [hex(header), hex(sealed)].concat();
            let mut gate = gate_of_rfc_7714(key_length);
            let passed = gate.authenticate_rtcp(&packet).unwrap();
            assert_eq!((passed.ssrc, passed.index), (0x4d61_7273, 0x5d4));
            let report = "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef \
                          deadbeef deadbeef deadbeef";
            assert_eq!(plaintext(&gate), hex(report));
            check_that_every_bit_counts(&packet, |packet| {
                gate_of_rfc_7714(key_length).authenticate_rtcp(packet)
            });
        }
    }

    /// Written by libsrtp 2.5 with a master key of counted bytes: an RTP packet with a header
    /// extension, and an empty receiver report.
    #[test]
    fn what_libsrtp_protects_with_a_key_of_256_bits_passes() {
        let counted: Vec<u8> = (0..44).collect();
        let key = SrtpKey::new(SrtpSuite::AeadAes256Gcm, &counted).unwrap();
        let rtp = hex(
            "9060f17b 8041f8d3 5501a0b2 bede0001 10aa0000 733eb0d4 6d46ce59 0a59d316 \
                       d6d12fc1 f2e4ff22 5d61cf89 f64c5f5d dd808363",
        );
        let rtcp = hex("80c90001 5501a0b2 63ebe018 043b61ee 469a6732 7fc30b52 80000001");
        let mut gate = SrtpAuthenticator::new(&key);
        assert_eq!(gate.authenticate_rtp(&rtp).unwrap().index, 0xf17b);
        assert_eq!(plaintext(&gate), b"sound or picture");
        assert_eq!(gate.authenticate_rtcp(&rtcp).unwrap().index, 1);
    }

    #[test]
    fn keys_are_derived_as_in_rfc_3711_appendix_b_3() {
        let key_and_salt = [
            0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde,
            0x41, 0x39, 0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a,
            0xab, 0xe6,
        ];
        let cipher_key = [
            0xc6, 0x1e, 0x7a, 0x93, 0x74, 0x4f, 0x39, 0xee, 0x10, 0x73, 0x4a, 0xfe, 0x3f, 0xf7,
            0xa0, 0x87,
        ];
        let cipher_salt = [
            0x30, 0xcb, 0xbc, 0x08, 0x86, 0x3d, 0x8c, 0x85, 0xd4, 0x9d, 0xb3, 0x4a, 0x9a, 0xe1,
        ];
        let authentication_key = [
            0xce, 0xbe, 0x32, 0x1f, 0x6f, 0xf7, 0x71, 0x6b, 0x6f, 0xd4, 0xab, 0x49, 0xaf, 0x25,
            0x6a, 0x15, 0x6d, 0x38, 0xba, 0xa4,
        ];
        let master = SrtpKey::new(SrtpSuite::AesCm128HmacSha1_80, &key_and_salt).unwrap();
        assert_eq!(derived::<16>(&master, LABEL_RTP_CIPHER), cipher_key);
        assert_eq!(derived::<14>(&master, LABEL_RTP_SALT), cipher_salt);
        assert_eq!(
            derived::<20>(&master, LABEL_RTP_AUTHENTICATION),
            authentication_key
        );
    }

    #[test]
    fn the_index_is_the_one_nearest_to_the_newest() {
        let table = [
            // Newest, sequence number, index.
            (None, 65_535, 65_535),
            (Some(10), 11, 11),
            (Some(10), 65_000, 65_000),
            (Some(0x0_ffff), 0, 0x1_0000),
            (Some(0x1_0000), 0xffff, 0x0_ffff),
            (Some(0x1_0000), 0x7fff, 0x1_7fff),
            (Some(0x1_8001), 0x0000, 0x2_0000),
            (Some(0x5_0005), 0xfff0, 0x4_fff0),
            (Some(0xffff_ffff_ffff), 0, 0xffff_ffff_0000),
        ];
        for (newest, sequence_number, index) in table {
            assert_eq!(
                estimated_index(newest, sequence_number),
                index,
                "{newest:x?}"
            );
        }
    }

    #[test]
    fn a_peers_packets_pass_and_count_on_across_rollover_and_loss() {
        for (suite, profile) in SUITES {
            let key = key(suite, 7);
            let mut peer = sender(&key, profile);
            let mut gate = SrtpAuthenticator::new(&key);
            for index in (65_000_u64..).step_by(20_000).take(30) {
                let packet = peer.encrypt_rtp(&rtp(1, index as u16)).unwrap();
                let passed = gate.authenticate_rtp(&packet).unwrap();
                let expected = AuthenticPacket {
                    ssrc: 1,
                    index,
                    age: PacketAge::Newest,
                };
                assert_eq!(passed, expected, "{suite:?}");
                assert_eq!(
                    gate.authenticate_rtp(&packet).unwrap().age,
                    PacketAge::NotNewest
                );
            }
        }
    }

    #[test]
    fn late_packets_of_the_round_before_pass_but_are_not_the_newest() {
        for (suite, profile) in SUITES {
            let key = key(suite, 7);
            let mut peer = sender(&key, profile);
            let mut gate = SrtpAuthenticator::new(&key);
            let packets: Vec<_> = (65_530..65_545_u64)
                .map(|index| peer.encrypt_rtp(&rtp(1, index as u16)).unwrap())
                .collect();
            gate.authenticate_rtp(&packets[0]).unwrap();
            gate.authenticate_rtp(packets.last().unwrap()).unwrap();
            for (packet, index) in packets.iter().zip(65_530..).skip(1).take(13) {
                let passed = gate.authenticate_rtp(packet).unwrap();
                let expected = AuthenticPacket {
                    ssrc: 1,
                    index,
                    age: PacketAge::NotNewest,
                };
                assert_eq!(passed, expected, "{suite:?}");
            }
        }
    }

    #[test]
    fn rtcp_passes_with_its_index_and_its_long_tag_in_every_suite() {
        for (suite, profile) in SUITES {
            let key = key(suite, 7);
            let mut peer = sender(&key, profile);
            let mut gate = SrtpAuthenticator::new(&key);
            let packets: Vec<_> = (0..3)
                .map(|_| peer.encrypt_rtcp(&rtcp(5)).unwrap())
                .collect();
            let passed: Vec<_> = packets
                .iter()
                .map(|packet| gate.authenticate_rtcp(packet).unwrap())
                .collect();
            assert!(passed.iter().all(|packet| packet.ssrc == 5));
            assert!(
                passed.iter().all(|packet| packet.age == PacketAge::Newest),
                "{passed:?}"
            );
            let replayed = gate.authenticate_rtcp(&packets[1]).unwrap();
            assert_eq!(replayed.age, PacketAge::NotNewest);
        }
    }

    #[test]
    fn rtcp_in_the_clear_is_refused_even_with_a_valid_tag() {
        let key = key(SrtpSuite::AesCm128HmacSha1_80, 7);
        let mut gate = SrtpAuthenticator::new(&key);
        let mut packet = rtcp(5);
        packet.extend([0, 0, 0, 1]);
        let key = authentication_key(&key, LABEL_RTCP_AUTHENTICATION);
        let tag = hmac::sign(&key, &packet);
        packet.extend(&tag.as_ref()[..SRTCP_TAG_LENGTH]);
        assert_eq!(
            gate.authenticate_rtcp(&packet),
            Err(NotAuthentic::NotEncrypted)
        );
    }

    #[test]
    fn each_source_has_its_own_count_and_the_number_of_sources_is_bounded() {
        let (suite, profile) = (
            SrtpSuite::AesCm128HmacSha1_80,
            ProtectionProfile::Aes128CmHmacSha1_80,
        );
        let key = key(suite, 7);
        let mut peer = sender(&key, profile);
        let mut gate = SrtpAuthenticator::new(&key);
        for ssrc in 0..MAX_SOURCES as u32 {
            let packet = peer.encrypt_rtp(&rtp(ssrc, 9)).unwrap();
            assert_eq!(
                gate.authenticate_rtp(&packet).unwrap().age,
                PacketAge::Newest
            );
        }
        let packet = peer.encrypt_rtp(&rtp(u32::MAX, 9)).unwrap();
        assert_eq!(
            gate.authenticate_rtp(&packet),
            Err(NotAuthentic::TooManySources)
        );
        let packet = peer.encrypt_rtp(&rtp(0, 10)).unwrap();
        assert_eq!(gate.authenticate_rtp(&packet).unwrap().index, 10);
    }

    #[test]
    fn debug_shows_no_keys() {
        let gate = SrtpAuthenticator::new(&key(SrtpSuite::AesCm128HmacSha1_80, 7));
        assert_eq!(format!("{gate:?}"), "SrtpAuthenticator { .. }");
    }

    proptest! {
        #[test]
        fn a_changed_packet_or_another_key_is_refused_and_leaves_no_trace(
            suite in prop::sample::select(SUITES.to_vec()),
            sequence_number: u16,
            position: prop::sample::Index,
            flip in 1_u8..,
        ) {
            let (suite, profile) = suite;
            let mut peer = sender(&key(suite, 7), profile);
            let mut gate = SrtpAuthenticator::new(&key(suite, 7));
            let mut stranger = SrtpAuthenticator::new(&key(suite, 8));
            let good = peer.encrypt_rtp(&rtp(1, sequence_number)).unwrap();
            let mut changed = good.to_vec();
            changed[position.index(good.len())] ^= flip;
            prop_assert!(gate.authenticate_rtp(&changed).is_err());
            prop_assert_eq!(stranger.authenticate_rtp(&good), Err(NotAuthentic::Tag));
            prop_assert!(gate.rtp_sources.is_empty());
            prop_assert!(gate.authenticate_rtp(&good).is_ok());
            let good = peer.encrypt_rtcp(&rtcp(1)).unwrap();
            let mut changed = good.to_vec();
            changed[position.index(good.len())] ^= flip;
            prop_assert!(gate.authenticate_rtcp(&changed).is_err());
            prop_assert_eq!(stranger.authenticate_rtcp(&good), Err(NotAuthentic::Tag));
            prop_assert!(gate.authenticate_rtcp(&good).is_ok());
        }

        #[test]
        fn reordered_and_lossy_streams_are_counted_right_from_any_start(
            start: u16,
            steps in prop::collection::vec((1_u64..3_000, any::<bool>()), 1..120),
        ) {
            let (suite, profile) = SUITES[0];
            let mut peer = sender(&key(suite, 7), profile);
            let mut gate = SrtpAuthenticator::new(&key(suite, 7));
            let mut index = u64::from(start);
            let mut held_back = None;
            let first = peer.encrypt_rtp(&rtp(1, start)).unwrap();
            gate.authenticate_rtp(&first).unwrap();
            for (step, hold) in steps {
                index += step;
                let packet = peer.encrypt_rtp(&rtp(1, index as u16)).unwrap();
                if hold && held_back.is_none() {
                    held_back = Some((index, packet));
                    continue;
                }
                prop_assert_eq!(gate.authenticate_rtp(&packet).map(|passed| passed.index), Ok(index));
                if let Some((index, packet)) = held_back.take() {
                    let passed = gate.authenticate_rtp(&packet);
                    let expected = AuthenticPacket { ssrc: 1, index, age: PacketAge::NotNewest };
                    prop_assert_eq!(passed, Ok(expected));
                }
            }
        }

        #[test]
        fn any_bytes_are_refused_without_panic(packet in prop::collection::vec(any::<u8>(), 0..80)) {
            for suite in SrtpSuite::ALL {
                let mut gate = SrtpAuthenticator::new(&key(suite, 7));
                prop_assert!(gate.authenticate_rtp(&packet).is_err());
                prop_assert!(gate.authenticate_rtcp(&packet).is_err());
            }
        }
    }
}
