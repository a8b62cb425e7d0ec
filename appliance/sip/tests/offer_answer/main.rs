//! Offer and answer (RFC 3264), by descriptions as real systems write them.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod offers_of_others;
mod our_offers;
mod sessions;

use std::net::IpAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::{AudioCodec, Direction, PacketizationMode, PayloadType, SrtpSuite};
use room::units::Bitrate;
use sip::grammar::StatusCode;
use sip::offer_answer::{
    AgreedSecurity, BfcpTransport, CallMedia, Capabilities, ContentSharing, H264Capabilities,
    IceUse, LineRefusal, LocalMedia, LocalPort, MediaKeys, MediaSecurity, PeerHold, SdpError,
    Session,
};

/// 30 counted bytes each: no secrets.
const KEY_A: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
const KEY_B: &str = "Hh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7";

fn capabilities(security: MediaSecurity) -> Capabilities {
    Capabilities {
        audio: vec![
            AudioCodec::Opus,
            AudioCodec::G722,
            AudioCodec::Pcmu,
            AudioCodec::Pcma,
        ],
        video: H264Capabilities::default(),
        security,
        media_keys: MediaKeys::default(),
        certificate: None,
        ice: IceUse::default(),
        content: ContentSharing::Off,
        floor_transport: BfcpTransport::default(),
    }
}

fn local() -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([192, 0, 2, 10]),
        audio: Some(LocalPort {
            rtp: 40_000,
            rtcp: 40_001,
        }),
        video: Some(LocalPort {
            rtp: 40_002,
            rtcp: 40_003,
        }),
        content: None,
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([1; 32])
}

/// A description from lines, with keys for `KEY_A` and `KEY_B`.
fn sdp(media: &str) -> Vec<u8> {
    let head = "v=0\no=- 42 7 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
    description(&format!("{head}{media}"))
}

fn description(text: &str) -> Vec<u8> {
    let text = text.replace("KEY_A", KEY_A).replace("KEY_B", KEY_B);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .flat_map(|line| [line, "\r\n"])
        .collect::<String>()
        .into_bytes()
}

fn answer(security: MediaSecurity, offer: &[u8]) -> Result<(String, CallMedia), SdpError> {
    let (_, body, media) = Session::answer(&capabilities(security), &local(), &mut rng(), offer)?;
    Ok((String::from_utf8(body.to_vec()).unwrap(), media))
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

/// The `m=` lines of a description.
fn media_lines(description: &str) -> Vec<&str> {
    description
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect()
}

const BARESIP: &str = "
    m=audio 21034 RTP/SAVP 96 9 0 8 101
    b=AS:128
    a=rtpmap:96 opus/48000/2
    a=fmtp:96 stereo=1;sprop-stereo=1
    a=rtpmap:9 G722/8000
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=rtcp:21035
    a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:KEY_A
    a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:KEY_B
    a=sendrecv
    a=label:1
    a=ptime:20
    m=video 29384 RTP/SAVP 97 98
    b=AS:1500
    a=rtpmap:97 H264/90000
    a=fmtp:97 packetization-mode=0;profile-level-id=42801f
    a=rtpmap:98 H264/90000
    a=fmtp:98 packetization-mode=1;profile-level-id=42801f
    a=rtcp:29385
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A
    a=sendrecv
    a=label:2
    a=rtcp-fb:* nack pli";

/// Our offer, to be answered by hand.
fn offering(security: MediaSecurity) -> Session {
    Session::offer(&capabilities(security), &local(), &mut rng()).0
}
