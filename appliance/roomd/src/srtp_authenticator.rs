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
// By its path, because the fuzz targets include this file by a path of theirs.
#[path = "srtp_authenticator/tests.rs"]
mod tests;
