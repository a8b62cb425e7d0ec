//! What comes to a media port, before anybody has proved anything: told apart as RTP or RTCP, checked
//! for the peer's tag; of RTCP that passes, read for a limit of our bitrate and for packets to be sent again;
//! of RTP, for what is missing and for what comes again.
//!
//! The readers belong to crates that need GStreamer; they are compiled in as they are.

#![no_main]

#[path = "../../../appliance/media/src/bitrate_request.rs"]
#[allow(dead_code)]
mod bitrate_request;
#[path = "../../../appliance/media/src/retransmission/lost_packets.rs"]
mod lost_packets;
#[path = "../../../appliance/media/src/retransmission/nack.rs"]
#[allow(dead_code)]
mod nack;
#[path = "../../../appliance/roomd/src/media_ports/rtcp_demultiplexer.rs"]
mod rtcp_demultiplexer;
#[path = "../../../appliance/media/src/rtp.rs"]
#[allow(dead_code)]
mod rtp;
#[path = "../../../appliance/media/src/retransmission/rtx.rs"]
mod rtx;
#[path = "../../../appliance/media/src/retransmission/sent_packets.rs"]
mod sent_packets;
#[path = "../../../appliance/roomd/src/srtp_authenticator.rs"]
#[allow(dead_code)]
mod srtp_authenticator;

/// What `bitrate_request` asks of its neighbour.
mod leg {
    pub(crate) const LARGEST_PACKET: u32 = 1_200;
}

use std::time::{Duration, Instant};

use bitrate_request::BitrateRequests;
use libfuzzer_sys::fuzz_target;
use lost_packets::{Arrival, LostPackets, Resending};
use room::codec::{SrtpKey, SrtpSuite};
use rtcp_demultiplexer::{PacketKind, packet_kind};
use rtp::RtpHeader;
use rtx::{RtxStream, SentAgain};
use sent_packets::SentPackets;
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
    sent_again(datagram);
    asked_for(datagram);
    let mut requests = BitrateRequests::default();
    if let Some((ours, entries)) = datagram.split_first_chunk() {
        let ours = u32::from_be_bytes(*ours);
        let taken = requests.take(1, ours, entries);
        assert_eq!(taken.is_some(), requests.notification(ours).is_some());
    }
});

/// A packet of a stream of retransmissions, and one of any other stream.
fn sent_again(datagram: &[u8]) {
    let now = Instant::now();
    if let Some(again) = SentAgain::parse(datagram) {
        let mut lost = LostPackets::new(Resending::OwnStream);
        let number = again.original_sequence;
        lost.arrived(now, 1, number.wrapping_sub(1));
        lost.arrived(now, 1, number.wrapping_add(1));
        let request = lost.poll(now + Duration::from_millis(5));
        let request = request.expect("it is missing");
        assert_eq!((request.ssrc, &request.sequences[..]), (1, &[number][..]));
        assert_eq!(lost.sent_again(now, number), Some(1));
        assert_eq!(lost.next_deadline(), None);
        let packet = again.unwrap(1, 97);
        let (header, payload) = RtpHeader::parse(&packet).expect("it was an RTP packet");
        assert_eq!(header.sequence, number);
        assert!(!payload.is_empty());
    }
    if let Some((header, _)) = RtpHeader::parse(datagram) {
        let mut lost = LostPackets::new(Resending::SamePackets);
        let number = header.sequence;
        lost.arrived(now, header.ssrc, number.wrapping_sub(1));
        lost.arrived(now, header.ssrc, number.wrapping_add(1));
        let request = lost.poll(now + Duration::from_millis(5));
        assert!(request.is_some());
        assert_eq!(lost.arrived(now, header.ssrc, number), Arrival::Requested);
    }
    if let Some(wrapped) = RtxStream::new(2, 102, 0).wrap(datagram)
        && let Some(again) = SentAgain::parse(&wrapped)
    {
        assert!(again.unwrap(1, 97).len() <= datagram.len());
    }
}

/// The entries of a generic NACK, to a sender of 300 packets.
fn asked_for(entries: &[u8]) {
    let now = Instant::now();
    let mut packets = SentPackets::default();
    for number in 0..300 {
        packets.sent(now, number, 1_000, number);
    }
    let mut again = 0;
    for number in nack::read(entries) {
        if let Some(found) = packets.again(now, number) {
            assert_eq!(found, number);
            again += 1_000;
        }
    }
    assert!(again <= 300 * 1_000 * 2 / 5);
}
