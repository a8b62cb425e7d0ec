//! What comes to a media port, before anybody has proved anything: told apart as RTP or RTCP, checked
//! for the peer's tag, and, of RTCP that passes, read for a limit of our bitrate.
//!
//! The three readers belong to crates that need GStreamer; they are compiled in as they are.

#![no_main]

#[path = "../../../appliance/media/src/bitrate_request.rs"]
#[allow(dead_code)]
mod bitrate_request;
#[path = "../../../appliance/roomd/src/media_ports/rtcp_demultiplexer.rs"]
mod rtcp_demultiplexer;
#[path = "../../../appliance/roomd/src/srtp_authenticator.rs"]
#[allow(dead_code)]
mod srtp_authenticator;

/// What `bitrate_request` asks of its neighbour.
mod leg {
    pub(crate) const LARGEST_PACKET: u32 = 1_200;
}

use bitrate_request::BitrateRequests;
use libfuzzer_sys::fuzz_target;
use room::codec::{SrtpKey, SrtpSuite};
use rtcp_demultiplexer::{PacketKind, packet_kind};
use srtp_authenticator::SrtpAuthenticator;

fuzz_target!(|datagram: &[u8]| {
    for suite in SrtpSuite::ALL {
        let key = SrtpKey::generate(suite, |bytes| bytes.fill(7));
        let mut gate = SrtpAuthenticator::new(&key);
        let first = match packet_kind(datagram) {
            PacketKind::Rtp => gate.authenticate_rtp(datagram),
            PacketKind::Rtcp => gate.authenticate_rtcp(datagram),
        };
        assert!(first.is_err(), "nobody guesses a tag");
    }
    let mut requests = BitrateRequests::default();
    if let Some((ours, entries)) = datagram.split_first_chunk() {
        let ours = u32::from_be_bytes(*ours);
        let taken = requests.take(1, ours, entries);
        assert_eq!(taken.is_some(), requests.notification(ours).is_some());
    }
});
