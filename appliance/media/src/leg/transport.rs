//! Between rtpbin and the datagram channels: SRTP, sources and sinks.
//!
//! ```text
//!  rtpbin.send_rtp_src  ──► [srtpenc] ──► appsink ──► outgoing
//!  rtpbin.send_rtcp_src ──► [srtpenc] ──► appsink ──► outgoing
//!  incoming ──► appsrc ──► [srtpdec] ──► rtpbin.recv_rtp_sink
//!  incoming ──► appsrc ──► [srtpdec] ──► rtpbin.recv_rtcp_sink
//! ```

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use gst::prelude::*;
use room::codec::{SrtpKey, SrtpKeys, SrtpSuite};

use crate::datagram::{Channel, Datagram, Medium};
use crate::error::MediaError;
use crate::leg::hub::LegHub;
use crate::pipeline::{OwnedPipeline, link_pads, live_source, pad};

/// Packets that may wait for the jitter buffer.
const QUEUE: u64 = 512;

/// The sources that the peer's datagrams are pushed into.
pub(super) struct Sources {
    pub(super) rtp: gst_app::AppSrc,
    pub(super) rtcp: gst_app::AppSrc,
}

/// The session number of a medium in rtpbin.
pub(super) const fn session(medium: Medium) -> u32 {
    match medium {
        Medium::Audio => 0,
        Medium::Video => 1,
        Medium::Slides => 2,
    }
}

/// Builds the way out for a session's RTCP, and for its RTP, whose source pad rtpbin has as soon
/// as its sink pad was requested. Gives the pad by which RTP leaves, protected.
pub(super) fn build_outgoing(
    pipeline: &OwnedPipeline,
    rtpbin: &gst::Element,
    medium: Medium,
    keys: Option<&SrtpKeys>,
    hub: &Arc<LegHub>,
) -> Result<gst::Pad, MediaError> {
    let session = session(medium);
    let mut rtp = pad(rtpbin, &format!("send_rtp_src_{session}"))?;
    let mut rtcp = pad(rtpbin, &format!("send_rtcp_src_{session}"))?;
    if let Some(keys) = keys {
        let encoder = pipeline.add(srtp_encoder(&keys.local)?)?;
        link_pads(&rtp, &pad(&encoder, "rtp_sink_0")?)?;
        link_pads(&rtcp, &pad(&encoder, "rtcp_sink_0")?)?;
        rtp = pad(&encoder, "rtp_src_0")?;
        rtcp = pad(&encoder, "rtcp_src_0")?;
    }
    for (source, channel) in [(rtp.clone(), Channel::Rtp), (rtcp, Channel::Rtcp)] {
        let sink = pipeline.add(datagram_sink(medium, channel, Arc::downgrade(hub)))?;
        link_pads(&source, &pad(sink.upcast_ref(), "sink")?)?;
    }
    Ok(rtp)
}

/// Builds the way in for a session.
pub(super) fn build_incoming(
    pipeline: &OwnedPipeline,
    rtpbin: &gst::Element,
    medium: Medium,
    keys: Option<&SrtpKeys>,
) -> Result<Sources, MediaError> {
    let session = session(medium);
    let types = match keys {
        Some(_) => ["application/x-srtp", "application/x-srtcp"],
        None => ["application/x-rtp", "application/x-rtcp"],
    };
    let name = medium.name();
    let rtp = pipeline.add(datagram_source(&format!("{name}-rtp"), types[0], medium))?;
    let rtcp = pipeline.add(datagram_source(&format!("{name}-rtcp"), types[1], medium))?;
    let mut rtp_source = pad(rtp.upcast_ref(), "src")?;
    let mut rtcp_source = pad(rtcp.upcast_ref(), "src")?;
    if let Some(keys) = keys {
        let decoder = pipeline.add(srtp_decoder(&keys.remote)?)?;
        link_pads(&rtp_source, &pad(&decoder, "rtp_sink")?)?;
        link_pads(&rtcp_source, &pad(&decoder, "rtcp_sink")?)?;
        rtp_source = pad(&decoder, "rtp_src")?;
        rtcp_source = pad(&decoder, "rtcp_src")?;
    }
    link_pads(
        &rtp_source,
        &pad(rtpbin, &format!("recv_rtp_sink_{session}"))?,
    )?;
    link_pads(
        &rtcp_source,
        &pad(rtpbin, &format!("recv_rtcp_sink_{session}"))?,
    )?;
    Ok(Sources { rtp, rtcp })
}

fn datagram_sink(medium: Medium, channel: Channel, hub: Weak<LegHub>) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder().sync(false).build();
    sink.set_property("async", false);
    sink.set_property("enable-last-sample", false);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let hub = hub.upgrade().ok_or(gst::FlowError::Eos)?;
                if let Some(lists) = sample.buffer_list_owned() {
                    for buffer in lists.iter_owned() {
                        send(&hub, medium, channel, buffer);
                    }
                }
                if let Some(buffer) = sample.buffer_owned() {
                    send(&hub, medium, channel, buffer);
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink
}

fn send(hub: &LegHub, medium: Medium, channel: Channel, buffer: gst::Buffer) {
    if let Ok(bytes) = buffer.into_mapped_buffer_readable() {
        hub.send(Datagram {
            medium,
            channel,
            payload: Bytes::from_owner(bytes),
        });
    }
}

fn datagram_source(name: &str, media_type: &str, medium: Medium) -> gst_app::AppSrc {
    let caps = match media_type {
        "application/x-rtp" | "application/x-srtp" => gst::Caps::builder(media_type)
            .field("media", media_name(medium))
            .build(),
        other => gst::Caps::builder(other).build(),
    };
    let source = live_source(name, QUEUE, Duration::ZERO);
    source.set_caps(Some(&caps));
    source
}

/// What kind of media a stream carries, as caps name it.
const fn media_name(medium: Medium) -> &'static str {
    match medium {
        Medium::Audio => "audio",
        Medium::Video | Medium::Slides => "video",
    }
}

/// How srtpenc and srtpdec name what protects RTP and RTCP.
struct Protection {
    cipher: &'static str,
    rtp_authentication: &'static str,
    rtcp_authentication: &'static str,
}

impl Protection {
    /// RTCP keeps the long tag with either suite of HMAC (RFC 4568 section 6.2.2). A GCM cipher
    /// makes its own tag, so that there is no authentication beside it (RFC 7714 section 12).
    const fn of(suite: SrtpSuite) -> Self {
        const fn hmac(rtp_authentication: &'static str) -> Protection {
            Protection {
                cipher: "aes-128-icm",
                rtp_authentication,
                rtcp_authentication: "hmac-sha1-80",
            }
        }
        const fn gcm(cipher: &'static str) -> Protection {
            Protection {
                cipher,
                rtp_authentication: "null",
                rtcp_authentication: "null",
            }
        }
        match suite {
            SrtpSuite::AeadAes256Gcm => gcm("aes-256-gcm"),
            SrtpSuite::AeadAes128Gcm => gcm("aes-128-gcm"),
            SrtpSuite::AesCm128HmacSha1_80 => hmac("hmac-sha1-80"),
            SrtpSuite::AesCm128HmacSha1_32 => hmac("hmac-sha1-32"),
        }
    }
}

fn srtp_encoder(key: &SrtpKey) -> Result<gst::Element, MediaError> {
    let protection = Protection::of(key.suite());
    crate::pipeline::make_element("srtpenc", |builder| {
        builder
            .property("key", key_buffer(key))
            .property_from_str("rtp-cipher", protection.cipher)
            .property_from_str("rtcp-cipher", protection.cipher)
            .property_from_str("rtp-auth", protection.rtp_authentication)
            .property_from_str("rtcp-auth", protection.rtcp_authentication)
    })
}

fn srtp_decoder(key: &SrtpKey) -> Result<gst::Element, MediaError> {
    let decoder = crate::pipeline::make_element("srtpdec", |builder| builder)?;
    let protection = Protection::of(key.suite());
    let keys = gst::Caps::builder("application/x-srtp")
        .field("srtp-key", key_buffer(key))
        .field("srtp-cipher", protection.cipher)
        .field("srtcp-cipher", protection.cipher)
        .field("srtp-auth", protection.rtp_authentication)
        .field("srtcp-auth", protection.rtcp_authentication)
        .build();
    // Every source of the peer uses the one key that was negotiated.
    decoder.connect("request-key", false, move |_| Some(keys.to_value()));
    Ok(decoder)
}

fn key_buffer(key: &SrtpKey) -> gst::Buffer {
    gst::Buffer::from_slice(key.key_and_salt().to_vec())
}
