//! RTCP that tells what becomes of what we send: congestion control feedback, transport-wide feedback,
//! estimates of a receiver and reception reports, out of a datagram of any packets.
//!
//! The readers belong to a crate that needs GStreamer; they are compiled in as they are.

#![no_main]

#[path = "../../../appliance/roomd/src/rtcp/mod.rs"]
#[allow(dead_code)]
mod rtcp;

use libfuzzer_sys::fuzz_target;
use rtcp::congestion_feedback::CongestionFeedback;
use rtcp::maximum_bitrate::MaximumBitrate;
use rtcp::reception_report::reception_reports;
use rtcp::transport_feedback::TransportFeedback;

fuzz_target!(|datagram: &[u8]| {
    for packet in rtcp::packets(datagram) {
        assert!(packet.body.len() < datagram.len());
        if let Some(report) = CongestionFeedback::read(packet) {
            let reported: usize = report.streams.iter().map(|it| it.packets.len()).sum();
            assert!(reported * 2 <= packet.body.len());
            let written = report.to_bytes();
            let again = rtcp::packets(&written).next();
            let again = again.and_then(CongestionFeedback::read);
            assert_eq!(again, Some(report));
        }
        if let Some(report) = TransportFeedback::read(packet) {
            // Of those that arrived each has a difference.
            let arrived = report.packets.iter().flatten().count();
            assert!(arrived <= packet.body.len());
            assert!(report.packets.len() <= usize::from(u16::MAX));
        }
        if let Some(estimate) = MaximumBitrate::read(packet) {
            assert!(estimate.ssrcs.len() * 4 < packet.body.len());
        }
        for report in reception_reports(packet) {
            assert!((0.0..1.0).contains(&report.loss()));
            assert_eq!(report.round_trip(0), report.round_trip(0));
        }
    }
});
