//! Tells the peer's SRTP and SRTCP packets from anybody else's, without decrypting them.
//!
//! A media socket takes packets from the whole network. This gate checks the authentication tag of
//! each (RFC 3711 sections 3.3, 3.4 and 4.2) before anything else looks at it: only packets that
//! pass may move the media address latch or reach the media graph. Decryption and the replay
//! window stay with the graph; the gate says how old a packet is, so that a recorded one can be
//! told from a new one.
//!
//! Of the key derivation it needs the authentication keys only. The rollover counter, which is
//! part of what a tag protects but not of the packet, is estimated for each source as RFC 3711
//! section 3.3.1 describes, from packets that passed.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use room::codec::{SrtpKey, SrtpSuite};
use thiserror::Error;

/// Length of the authentication keys of both suites (RFC 4568 section 6.2).
const AUTHENTICATION_KEY_LENGTH: usize = 20;
/// Length of an SRTCP tag, in both suites.
const SRTCP_TAG_LENGTH: usize = 10;
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
const LABEL_RTP_AUTHENTICATION: u8 = 0x01;
const LABEL_RTCP_AUTHENTICATION: u8 = 0x04;

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
    rtp_key: hmac::Key,
    rtcp_key: hmac::Key,
    rtp_tag_length: usize,
    /// The newest RTP packet index of each source.
    rtp_sources: HashMap<u32, u64>,
    /// The newest SRTCP index of each source.
    rtcp_sources: HashMap<u32, u64>,
}

impl SrtpAuthenticator {
    /// A gate for packets that are protected by `remote`, the peer's key.
    #[must_use]
    pub fn new(remote: &SrtpKey) -> Self {
        Self {
            rtp_key: authentication_key(remote, LABEL_RTP_AUTHENTICATION),
            rtcp_key: authentication_key(remote, LABEL_RTCP_AUTHENTICATION),
            rtp_tag_length: match remote.suite {
                SrtpSuite::AesCm128HmacSha1_80 => 10,
                SrtpSuite::AesCm128HmacSha1_32 => 4,
            },
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
        let (message, tag) = split_tag(packet, self.rtp_tag_length)?;
        if message.len() < RTP_HEADER_LENGTH {
            return Err(NotAuthentic::Malformed);
        }
        let sequence_number = u16::from_be_bytes(bytes_at(message, 2)?);
        let ssrc = u32::from_be_bytes(bytes_at(message, 8)?);
        let newest = self.rtp_sources.get(&ssrc).copied();
        let index = estimated_index(newest, sequence_number);
        let rollover_counter = u32::try_from(index >> 16)
            .expect("a packet index has 48 bits")
            .to_be_bytes();
        check_tag(&self.rtp_key, &[message, &rollover_counter], tag)?;
        note(&mut self.rtp_sources, ssrc, index)
    }

    /// Checks an SRTCP packet.
    ///
    /// # Errors
    /// It is not the peer's. The state stays as it was.
    pub fn authenticate_rtcp(&mut self, packet: &[u8]) -> Result<AuthenticPacket, NotAuthentic> {
        check_version(packet)?;
        let (message, tag) = split_tag(packet, SRTCP_TAG_LENGTH)?;
        let (compound, trailer) = message
            .split_last_chunk::<SRTCP_INDEX_LENGTH>()
            .ok_or(NotAuthentic::Malformed)?;
        if compound.len() < RTCP_HEADER_LENGTH {
            return Err(NotAuthentic::Malformed);
        }
        let ssrc = u32::from_be_bytes(bytes_at(compound, 4)?);
        check_tag(&self.rtcp_key, &[message], tag)?;
        let trailer = u32::from_be_bytes(*trailer);
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

impl fmt::Debug for SrtpAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpAuthenticator").finish_non_exhaustive()
    }
}

/// Derives a session authentication key with key derivation rate 0 (RFC 3711 section 4.3.1).
fn authentication_key(master: &SrtpKey, label: u8) -> hmac::Key {
    let key: [u8; AUTHENTICATION_KEY_LENGTH] = derived(&master.key_and_salt, label);
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key)
}

/// The first bytes of AES counter mode under the master key, starting at the salt with the label
/// in it (RFC 3711 section 4.3.3).
fn derived<const LENGTH: usize>(key_and_salt: &[u8; 30], label: u8) -> [u8; LENGTH] {
    let (key, salt) = key_and_salt.split_at(16);
    let mut counter = [0; 16];
    counter[..salt.len()].copy_from_slice(salt);
    // The label stands above a 48-bit packet index, here zero, at the low end of the salt.
    counter[salt.len() - 7] ^= label;
    let mut stream = [0; LENGTH];
    UnboundCipherKey::new(&AES_128, key)
        .and_then(EncryptingKey::ctr)
        .and_then(|key| {
            let context = EncryptionContext::Iv128(counter.into());
            key.less_safe_encrypt(&mut stream, context)
        })
        .expect("AES-128 takes any key of 16 bytes and any counter of 16");
    stream
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

    const SUITES: [(SrtpSuite, ProtectionProfile); 2] = [
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
        SrtpKey {
            suite,
            key_and_salt: std::array::from_fn(|index| seed ^ index as u8),
        }
    }

    /// The peer: an implementation by others.
    fn sender(key: &SrtpKey, profile: ProtectionProfile) -> Context {
        let (master_key, salt) = key.key_and_salt.split_at(16);
        Context::new(master_key, salt, profile, None, None).unwrap()
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
        assert_eq!(derived::<16>(&key_and_salt, 0x00), cipher_key);
        assert_eq!(derived::<14>(&key_and_salt, 0x02), cipher_salt);
        assert_eq!(
            derived::<20>(&key_and_salt, LABEL_RTP_AUTHENTICATION),
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
    fn rtcp_passes_with_its_index_and_its_long_tag_in_both_suites() {
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
        let tag = hmac::sign(&gate.rtcp_key, &packet);
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
            let mut gate = SrtpAuthenticator::new(&key(SrtpSuite::AesCm128HmacSha1_80, 7));
            prop_assert!(gate.authenticate_rtp(&packet).is_err());
            prop_assert!(gate.authenticate_rtcp(&packet).is_err());
        }
    }
}
