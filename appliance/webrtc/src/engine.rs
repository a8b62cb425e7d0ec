//! The WebRTC engine, str0m, behind a wall.
//!
//! The engine stops with a panic where it finds itself contradicted. What a guest sends may bring it
//! there through a fault that nobody knows yet; such a fault costs this guest's leg and nothing else.
//!
//! # What the engine does for what a browser sends
//!
//! It works in its RTP mode: every packet is handed on as it comes, in no order, and nothing is held. What is
//! held, put in order, shown or given up is decided by the jitter buffer of media, which learns here
//! ([`streams`](crate::streams)) that what is lost is sent again, and waits for that as on a call's leg.
//!
//! ```text
//!  SRTP ─► decrypted ─┬─► [NACK register: the last 100 packets] ─► NACK, RTX of what is in there
//!                     └─► as it came ─► leg: RTX unwrapped, doubles dropped ─► media
//! ```
//!
//! - It asks for lost packets itself (generic NACK), 33 ms after it did so last at the soonest, five times at
//!   most, a round trip and 5 ms apart; a round trip that no extended report (RFC 3611) has told of counts as
//!   100 ms. Whatever is more than 100 packets behind the newest is neither asked for any more nor handed on
//!   when it comes at last: at 4 Mbit/s a quarter of a second, which is all that a repair takes on a long path.
//!   Asking cannot be done without the engine, which encrypts; but the packets are taken where they have been
//!   decrypted and before its register looks at them. In the two-peers harness (5 % lost at random, 200 ms
//!   there and back, 2.6 Mbit/s), of 100 pictures eight were never whole with the register, and less than one is without.
//! - It never asks for a whole picture by itself. Media does, when the decoder lacks something, and the leg
//!   lets one request in an interval pass ([`keyframe_gate`](crate::keyframe_gate)).
//! - Sound is asked for again only where the browser sends it again; repeated sound (RFC 2198) is taken
//!   apart by the leg ([`redundancy`](crate::redundancy)).
//! - It answers with transport-wide feedback every 100 ms at the most, and with reception reports and
//!   extended reports every [`REPORT_INTERVAL`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::config::DtlsVersion;
use str0m::ice::IceCreds;
use str0m::net::Receive;
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Input, Output, Rtc, RtcError};

use crate::address::Received;
use crate::error::Error;

/// How often the browser gets sender and receiver reports: often enough that lips follow words soon
/// after the start.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How often the engine counts. The counts tell also whether the browser still answers.
pub(crate) const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);

/// Packets of pictures that are kept to be sent again, about two seconds of 4 Mbit/s.
pub(crate) const RETRANSMISSION_PACKETS: usize = 1_024;

/// Age beyond which a packet is not sent again: the browser has given the picture up by then.
pub(crate) const RETRANSMISSION_AGE: Duration = Duration::from_secs(2);

/// The share of what is sent that may be retransmission. Beyond it all waiting ones are dropped.
pub(crate) const RETRANSMISSION_SHARE: f32 = 0.4;

/// Profiles of H.264 that are taken, all with packetization mode 1: constrained baseline, baseline and
/// main, each with the level of 720p. With each goes the payload type of its retransmissions. The
/// numbers stand until an offer brings its own.
const H264: [(u8, u8, u32); 3] = [
    (108, 109, 0x42_e0_1f),
    (127, 121, 0x42_00_1f),
    (123, 119, 0x4d_00_1f),
];

/// What the engine reads of a datagram; `None` when it can do nothing with it.
pub(crate) fn parse<'a>(received: &Received<'a>) -> Option<Receive<'a>> {
    let parsed = contained(|| {
        Receive::new(
            received.protocol.engine(),
            received.source,
            received.destination,
            received.payload,
        )
    });
    parsed?.ok()
}

/// Runs code of the engine; `None` when it panics. What it may leave half done is not used again.
pub(crate) fn contained<T>(what: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(what)).ok()
}

/// The engine of one leg.
#[derive(Debug)]
pub(crate) struct Engine {
    rtc: Rtc,
    broken: bool,
}

impl Engine {
    /// An engine that takes Opus and H.264 as RTP packets and estimates no bandwidth of its own.
    pub(crate) fn new(now: Instant, credentials: IceCreds, longest_text: u32) -> Self {
        let mut extensions = ExtensionMap::empty();
        extensions.set(3, Extension::TransportSequenceNumber);
        extensions.set(4, Extension::RtpMid);
        extensions.set(10, Extension::RtpStreamId);
        extensions.set(11, Extension::RepairedRtpStreamId);
        let mut config = Rtc::builder()
            .set_local_ice_credentials(credentials)
            // 1.3 (RFC 9147) where the browser speaks it, else 1.2.
            .set_dtls_version(DtlsVersion::Auto)
            .set_rtp_mode(true)
            // The reports of what has arrived, which the engine keeps to itself otherwise.
            .enable_raw_packets(true)
            .clear_codecs()
            .enable_opus(true, true)
            .set_extension_map(extensions)
            .set_stats_interval(Some(STATISTICS_INTERVAL))
            .set_rtcp_report_interval_audio(REPORT_INTERVAL)
            .set_rtcp_report_interval_video(REPORT_INTERVAL)
            .set_sctp_max_message_size(longest_text)
            .set_sctp_max_buffered_amount(longest_text as usize * 16);
        let codecs = config.codec_config();
        for (payload_type, retransmission, profile_level_id) in H264 {
            codecs.add_h264(
                payload_type.into(),
                Some(retransmission.into()),
                true,
                profile_level_id,
            );
        }
        for codec in codecs.iter_mut() {
            codec.set_fb_remb(false);
        }
        Self {
            rtc: config.build(now),
            broken: false,
        }
    }

    /// Runs something on the engine; `None` when that has broken it, now or before.
    pub(crate) fn run<T>(&mut self, what: impl FnOnce(&mut Rtc) -> T) -> Option<T> {
        if self.broken {
            return None;
        }
        let rtc = &mut self.rtc;
        let result = contained(|| what(rtc));
        self.broken = result.is_none();
        result
    }

    /// Answers an offer.
    pub(crate) fn accept_offer(&mut self, offer: &str) -> Result<String, Error> {
        self.run(|rtc| {
            // What the parser says quotes the description, and that has passwords in it.
            let offer = SdpOffer::from_sdp_string(offer)
                .map_err(|_| Error::Description("it does not follow the grammar".to_owned()))?;
            match rtc.sdp_api().accept_offer(offer) {
                Ok(answer) => Ok(answer.to_sdp_string()),
                Err(RtcError::RemoteSdp(reason)) => Err(Error::Description(reason)),
                Err(_) => Err(Error::Description("it contradicts itself".to_owned())),
            }
        })
        .unwrap_or(Err(Error::EngineFault))
    }

    pub(crate) fn handle_input(&mut self, input: Input<'_>) -> Option<Result<(), RtcError>> {
        self.run(|rtc| rtc.handle_input(input))
    }

    pub(crate) fn poll_output(&mut self) -> Option<Result<Output, RtcError>> {
        self.run(Rtc::poll_output)
    }

    /// Whether a datagram is for this engine.
    pub(crate) fn accepts(&self, input: &Input<'_>) -> bool {
        !self.broken && contained(|| self.rtc.accepts(input)) == Some(true)
    }

    /// To look at what was settled.
    pub(crate) fn rtc(&self) -> &Rtc {
        &self.rtc
    }
}
