//! A session description as a first offer, as a later offer and as an answer. What we answer has a line for each line
//! of the offer and is understood by `sdp-types`.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::AudioCodec;
use sip::offer_answer::{
    BfcpTcp, BfcpTransport, Capabilities, ContentPorts, ContentSharing, Fingerprint,
    H264Capabilities, IceUse, LocalMedia, LocalPort, MediaKeys, MediaSecurity, Session,
};

fuzz_target!(|description: &[u8]| {
    for security in [MediaSecurity::SrtpRequired, MediaSecurity::PlainAllowed] {
        for (media_keys, ice) in [
            (MediaKeys::Sdes, IceUse::Answered),
            (MediaKeys::DtlsSrtp, IceUse::Offered),
        ] {
            let capabilities = capabilities(security, media_keys, ice);
            answer(&capabilities, description);
            let mut rng = ChaCha20Rng::from_seed([7; 32]);
            let (mut session, _) = Session::offer(&capabilities, &local(), &mut rng);
            let _ = session.accept_answer(description);
        }
    }
});

fn answer(capabilities: &Capabilities, offer: &[u8]) {
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let Ok((mut session, answer, _)) = Session::answer(capabilities, &local(), &mut rng, offer)
    else {
        return;
    };
    let read = sdp_types::Session::parse(&answer).expect("our answer is well-formed");
    let offered = sdp_types::Session::parse(offer).expect("an offer that we answer is well-formed");
    assert_eq!(read.medias.len(), offered.medias.len());
    session
        .answer_reoffer(&mut rng, offer)
        .expect("the same offer is acceptable again");
}

fn capabilities(security: MediaSecurity, media_keys: MediaKeys, ice: IceUse) -> Capabilities {
    Capabilities {
        audio: vec![
            AudioCodec::Opus,
            AudioCodec::G722,
            AudioCodec::Pcmu,
            AudioCodec::Pcma,
        ],
        video: H264Capabilities::default(),
        security,
        media_keys,
        certificate: Some(Fingerprint([7; 32])),
        ice,
        content: ContentSharing::On,
        floor_transport: BfcpTransport::default(),
    }
}

fn local() -> LocalMedia {
    let port = |rtp| Some(LocalPort { rtp, rtcp: rtp + 1 });
    LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        audio: port(4000),
        video: port(4002),
        content: Some(ContentPorts {
            slides: LocalPort {
                rtp: 4004,
                rtcp: 4005,
            },
            bfcp_udp: 4006,
            bfcp_tcp: BfcpTcp::Listen(4008),
            certificate: Some(Fingerprint([7; 32])),
        }),
    }
}
