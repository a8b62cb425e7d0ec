//! The way out of RTCP packets that are made here, beside what rtpbin sends.
//!
//! rtpbin sends what it knows itself, when its timers say so. Requests for lost packets and congestion control
//! feedback are made here and leave at once: through the same pad, so that SRTP protects them under the same
//! indices as rtpbin's own, and in a compound packet where the far end takes no other.

use gst::glib;
use gst::prelude::*;
use room::codec::RtcpSize;

use crate::datagram::Medium;
use crate::error::MediaError;
use crate::leg::internal_session;
use crate::leg::transport::session;
use crate::pipeline::pad;

/// Where a packet says who sends it.
const SENDER: std::ops::Range<usize> = 4..8;

/// The way out of one session.
#[derive(Clone, Debug)]
pub(crate) struct ControlOutlet {
    medium: Medium,
    source: glib::WeakRef<gst::Pad>,
    rtpbin: glib::WeakRef<gst::Element>,
    size: RtcpSize,
}

impl ControlOutlet {
    /// The way out of that session, whose pad for RTCP has been requested.
    pub(super) fn new(
        rtpbin: &gst::Element,
        medium: Medium,
        size: RtcpSize,
    ) -> Result<Self, MediaError> {
        let source = pad(rtpbin, &format!("send_rtcp_src_{}", session(medium)))?;
        Ok(Self {
            medium,
            source: source.downgrade(),
            rtpbin: rtpbin.downgrade(),
            size,
        })
    }

    /// Sends a packet, in which who sends it is filled in; `false` while there is no way out.
    pub(crate) fn send(&self, mut packet: Vec<u8>) -> bool {
        let next = self.source.upgrade().and_then(|source| source.peer());
        let session = self.rtpbin.upgrade();
        let session = session.and_then(|rtpbin| internal_session(&rtpbin, self.medium));
        let Some((next, session)) = next.zip(session) else {
            return false;
        };
        if next.sticky_event::<gst::event::Segment>(0).is_none() {
            // rtpbin opens the way with its first report: let it come at once.
            session.emit_by_name::<()>("send-rtcp", &[&0_u64]);
            return false;
        }
        let ours = session.property::<u32>("internal-ssrc");
        if let Some(sender) = packet.get_mut(SENDER) {
            sender.copy_from_slice(&ours.to_be_bytes());
        }
        let packet = match self.size {
            RtcpSize::Reduced => packet,
            RtcpSize::Compound => {
                let names = session.property::<gst::Structure>("sdes");
                let name = names.get::<String>("cname").unwrap_or_default();
                [empty_report(ours, &name), packet].concat()
            }
        };
        next.chain(gst::Buffer::from_slice(packet)).is_ok()
    }
}

/// What a compound packet begins with (RFC 3550 section 6.1): a report about nobody, and the name of
/// who reports.
fn empty_report(ssrc: u32, name: &str) -> Vec<u8> {
    let name = &name.as_bytes()[..name.len().min(255)];
    // The chunk ends with one to four zeros (section 6.5).
    let zeros = 4 - (2 + name.len()) % 4;
    let words = (4 + 2 + name.len() + zeros) / 4;
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, words as u8]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, name.len() as u8]);
    packet.extend(name);
    packet.resize(packet.len() + zeros, 0);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_report_is_whole_words_with_a_name_that_ends_in_zeros() {
        for length in 0..300 {
            let name = "n".repeat(length);
            let packet = empty_report(9, &name);
            assert_eq!(packet[..8], [0x80, 201, 0, 1, 0, 0, 0, 9]);
            let (head, chunk) = packet[8..].split_at(4);
            assert_eq!(head[..2], [0x81, 202]);
            assert_eq!(usize::from(head[3]) * 4, chunk.len());
            assert_eq!(chunk[..4], [0, 0, 0, 9]);
            let length = length.min(255);
            assert_eq!(usize::from(chunk[5]), length);
            assert!(chunk[6..6 + length].iter().all(|byte| *byte == b'n'));
            let zeros = &chunk[6 + length..];
            assert!((1..=4).contains(&zeros.len()) && zeros.iter().all(|byte| *byte == 0));
        }
    }
}
