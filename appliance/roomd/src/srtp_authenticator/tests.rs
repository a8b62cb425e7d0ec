//! The gate against the vectors of its RFCs, and against senders that others wrote.

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
        0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41,
        0x39, 0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
    ];
    let cipher_key = [
        0xc6, 0x1e, 0x7a, 0x93, 0x74, 0x4f, 0x39, 0xee, 0x10, 0x73, 0x4a, 0xfe, 0x3f, 0xf7, 0xa0,
        0x87,
    ];
    let cipher_salt = [
        0x30, 0xcb, 0xbc, 0x08, 0x86, 0x3d, 0x8c, 0x85, 0xd4, 0x9d, 0xb3, 0x4a, 0x9a, 0xe1,
    ];
    let authentication_key = [
        0xce, 0xbe, 0x32, 0x1f, 0x6f, 0xf7, 0x71, 0x6b, 0x6f, 0xd4, 0xab, 0x49, 0xaf, 0x25, 0x6a,
        0x15, 0x6d, 0x38, 0xba, 0xa4,
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
