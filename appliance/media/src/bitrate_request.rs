//! Temporary maximum media stream bitrates: what a peer asks our video to keep to, and our
//! notification of what it keeps to (TMMBR and TMMBN, RFC 5104 section 4.2).
//!
//! GStreamer hands feedback over that it does not know itself; it knows neither of these.

use room::units::Bitrate;

use crate::leg::LARGEST_PACKET;

/// Transport layer feedback (RFC 4585 section 6.2) and its two formats here.
pub(crate) const TRANSPORT_FEEDBACK: u32 = 205;
pub(crate) const BITRATE_REQUEST: u32 = 3;
const BITRATE_NOTIFICATION: u8 = 4;

/// Bytes of an entry.
const ENTRY_LENGTH: usize = 8;
/// The largest significand of a bitrate.
const MAX_MANTISSA: u64 = (1 << 17) - 1;
/// Requesters that are remembered: a peer is one, a mixer may pass on a few.
const MOST_REQUESTERS: usize = 4;

/// One entry of a request or notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BitrateEntry {
    /// In a request who is to keep to it, in a notification who asked for it.
    pub(crate) ssrc: u32,
    /// The most, with all headers.
    pub(crate) most: Bitrate,
    /// Bytes of headers that the requester counts for each packet.
    pub(crate) overhead: u16,
}

impl BitrateEntry {
    fn read(bytes: [u8; ENTRY_LENGTH]) -> Self {
        let [s0, s1, s2, s3, rest @ ..] = bytes;
        let rest = u32::from_be_bytes(rest);
        let mantissa = u64::from(rest >> 9) & MAX_MANTISSA;
        let bits = mantissa.checked_mul(1 << (rest >> 26).min(46));
        Self {
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            most: Bitrate::bps(bits.unwrap_or(u64::MAX)),
            overhead: (rest & 0x1ff) as u16,
        }
    }

    fn write(self) -> [u8; ENTRY_LENGTH] {
        let mut exponent = 0;
        let mut mantissa = self.most.as_bps();
        while mantissa > MAX_MANTISSA {
            mantissa >>= 1;
            exponent += 1;
        }
        let rest = exponent << 26 | (mantissa as u32) << 9 | u32::from(self.overhead & 0x1ff);
        let mut bytes = [0; ENTRY_LENGTH];
        bytes[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes[4..].copy_from_slice(&rest.to_be_bytes());
        bytes
    }

    /// What is left for the media when each packet is of full size.
    fn media_bitrate(self) -> Bitrate {
        let payload = u64::from(LARGEST_PACKET);
        let whole = payload + u64::from(self.overhead);
        Bitrate::bps(
            (u128::from(self.most.as_bps()) * u128::from(payload) / u128::from(whole)) as u64,
        )
    }
}

/// What peers have asked a stream to keep to, and whether they are still to be told.
#[derive(Debug, Default)]
pub(crate) struct BitrateRequests {
    /// One for each requester: `ssrc` is his.
    entries: Vec<BitrateEntry>,
    unanswered: bool,
}

impl BitrateRequests {
    /// Takes in the entries of a request by `requester` to the source `ours`; gives the bitrate that
    /// the media may have from now on, or `None` when the request is about nobody here.
    pub(crate) fn take(&mut self, requester: u32, ours: u32, entries: &[u8]) -> Option<Bitrate> {
        let request = entries
            .as_chunks::<ENTRY_LENGTH>()
            .0
            .iter()
            .map(|entry| BitrateEntry::read(*entry))
            .find(|entry| entry.ssrc == ours)?;
        self.entries.retain(|entry| entry.ssrc != requester);
        if self.entries.len() == MOST_REQUESTERS {
            self.entries.remove(0);
        }
        self.entries.push(BitrateEntry {
            ssrc: requester,
            ..request
        });
        self.unanswered = true;
        self.lowest().map(BitrateEntry::media_bitrate)
    }

    /// The notification that is still to be sent, as a packet by the source `ours`.
    pub(crate) fn notification(&mut self, ours: u32) -> Option<[u8; 12 + ENTRY_LENGTH]> {
        if !std::mem::take(&mut self.unanswered) {
            return None;
        }
        let entry = self.lowest()?;
        let mut packet = [0; 12 + ENTRY_LENGTH];
        packet[..4].copy_from_slice(&[0x80 | BITRATE_NOTIFICATION, TRANSPORT_FEEDBACK as u8, 0, 4]);
        packet[4..8].copy_from_slice(&ours.to_be_bytes());
        packet[12..].copy_from_slice(&entry.write());
        Some(packet)
    }

    fn lowest(&self) -> Option<BitrateEntry> {
        let entries = self.entries.iter().copied();
        entries.min_by_key(|entry| entry.media_bitrate())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: u32 = 7;

    fn entry(ssrc: u32, kbps: u64, overhead: u16) -> BitrateEntry {
        BitrateEntry {
            ssrc,
            most: Bitrate::kbps(kbps),
            overhead,
        }
    }

    #[test]
    fn an_entry_is_read_as_rfc_5104_section_4_2_1_1_lays_it_out() {
        // Exponent 3, significand 100,000, 40 bytes of overhead.
        let bits: u32 = 3 << 26 | 100_000 << 9 | 40;
        let mut bytes = [0; 8];
        bytes[3] = 9;
        bytes[4..].copy_from_slice(&bits.to_be_bytes());
        let read = BitrateEntry::read(bytes);
        assert_eq!(read, entry(9, 800, 40));
        assert_eq!(read.write(), bytes);
    }

    #[test]
    fn the_lowest_request_decides_until_its_requester_takes_it_back() {
        let mut requests = BitrateRequests::default();
        assert_eq!(requests.notification(OURS), None);
        let mut ask = |requester, kbps| {
            let taken = requests.take(requester, OURS, &entry(OURS, kbps, 0).write());
            let told = requests.notification(OURS).unwrap();
            assert_eq!(requests.notification(OURS), None, "told once");
            assert_eq!(told[..12], [0x84, 205, 0, 4, 0, 0, 0, 7, 0, 0, 0, 0]);
            let told = BitrateEntry::read(*told.last_chunk().unwrap());
            (taken.unwrap().as_kbps(), told.ssrc)
        };
        assert_eq!(ask(1, 800), (800, 1));
        assert_eq!(ask(2, 500), (500, 2));
        assert_eq!(ask(1, 900), (500, 2));
        assert_eq!(ask(2, 4_000), (900, 1));
        for requester in 3..100 {
            ask(requester, 1_000);
        }
        assert_eq!(requests.entries.len(), MOST_REQUESTERS);
    }

    #[test]
    fn headers_are_no_media_and_requests_to_others_are_not_ours() {
        let mut requests = BitrateRequests::default();
        let both = [entry(8, 100, 0).write(), entry(OURS, 620, 40).write()].concat();
        assert_eq!(requests.take(1, 9, &both), None);
        assert_eq!(requests.notification(OURS), None);
        assert_eq!(requests.take(1, OURS, &both), Some(Bitrate::kbps(600)));
        assert_eq!(requests.take(1, OURS, &both[..15]), None, "cut off");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_what_is_notified_is_never_more(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut requests = BitrateRequests::default();
            for chunk in bytes.as_chunks::<8>().0 {
                let read = BitrateEntry::read(*chunk);
                let again = BitrateEntry::read(read.write());
                prop_assert!(again.most <= read.most);
                prop_assert_eq!((again.ssrc, again.overhead), (read.ssrc, read.overhead));
                let most = requests.take(1, read.ssrc, &bytes);
                prop_assert!(most.is_some());
                prop_assert!(requests.notification(read.ssrc).is_some());
            }
        }
    }
}
