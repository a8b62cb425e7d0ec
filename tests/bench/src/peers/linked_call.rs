//! A call over an emulated link: camera and microphone of a room, or of a Chromium, to a Chromium.
//!
//! ```text
//!  near namespace            link           far namespace
//!   roomd    ── picture, sound, signalling ──► Chromium, a guest with its camera off
//!   Chromium ── picture, sound ──────────────► Chromium
//! ```
//!
//! Both send the same film at 1280x720 and 30 pictures a second as H.264, and get sound back. Both are as they are
//! when nobody sets anything. The two Chromiums are told of each other by the benchmark, beside the link.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use system::browser::{Browser, Guest, Screen, View};
use system::emulated_link::{Conditions, EmulatedLink};
use system::network_namespace::NetworkNamespace;
use system::room_setup::Place;

use super::guest_room;
use super::recordings::Recordings;

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Pictures after which a call stands.
const FIRST_FRAMES: u32 = 3;

const PAGE: &str = "<!doctype html><title>Call</title>\
    <video id=far_end autoplay playsinline style='width: 1280px; height: 720px'></video>";

/// In the sender's page: the offer with all its candidates.
const OFFER: &str = r#"(async () => {
  const wanted = { video: { width: 1280, height: 720, frameRate: 30 }, audio: true };
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  const connection = new RTCPeerConnection();
  for (const track of stream.getTracks()) {
    const direction = track.kind === "video" ? "sendonly" : "sendrecv";
    const line = connection.addTransceiver(track, { direction, streams: [stream] });
    if (track.kind !== "video") continue;
    const { codecs } = RTCRtpReceiver.getCapabilities("video");
    const rank = ({ mimeType }) => ["video/H264", "video/rtx"].indexOf(mimeType);
    const chosen = codecs.filter((each) => rank(each) >= 0).sort((a, b) => rank(a) - rank(b));
    line.setCodecPreferences(chosen);
  }
  await connection.setLocalDescription();
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return connection.localDescription.sdp;
})()"#;

/// In the receiver's page: the answer to `sdp` with all its candidates.
const ANSWER: &str = r#"(async (sdp) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const connection = new RTCPeerConnection();
  connection.addEventListener("track", ({ streams }) => {
    document.getElementById("far_end").srcObject = streams[0];
  });
  await connection.setRemoteDescription({ type: "offer", sdp });
  for (const track of stream.getTracks()) connection.addTrack(track, stream);
  await connection.setLocalDescription();
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return connection.localDescription.sdp;
})"#;

const ACCEPT: &str = r#"(async (sdp) => {
  await keptConnections[0].setRemoteDescription({ type: "answer", sdp });
})"#;

/// Whose camera is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// That of roomd, to a guest of its.
    Room,
    /// That of a Chromium.
    Chromium,
}

impl Sender {
    pub(crate) const BOTH: [Self; 2] = [Self::Room, Self::Chromium];
}

/// A call that stands.
#[derive(Debug)]
pub(crate) struct LinkedCall<'a> {
    /// What the call goes over. The receiver is at its far end.
    pub(crate) link: &'a EmulatedLink,
    /// The receiver's page, in whose `#far_end` the picture is.
    pub(crate) receiver: &'a Guest<'a>,
}

/// Makes a call over a link of these conditions, and measures in it. `seed` decides what the link does at random.
pub(crate) fn within_call<T>(
    recordings: &Recordings,
    sender: Sender,
    conditions: Conditions,
    seed: u32,
    measure: impl FnOnce(&LinkedCall<'_>) -> Result<T>,
) -> Result<T> {
    let near = Arc::new(NetworkNamespace::new()?);
    let far = near.beside()?;
    let link = EmulatedLink::connect((&near, NEAR), (&far, FAR), seed)?;
    link.change_both(conditions)?;
    let film = recordings.chromium_video()?;
    let sound = Some(&recordings.speech);
    let receiving = Browser::start_with_film(Some(&far), sound, &film)?;
    let started = Instant::now();
    let measure = |receiver: &Guest<'_>| {
        receiver
            .wait_for_frames(View::FarEnd, FIRST_FRAMES)
            .with_context(|| {
                format!("no picture {:?} after the call was made", started.elapsed())
            })?;
        measure(&LinkedCall {
            link: &link,
            receiver,
        })
    };
    match sender {
        Sender::Room => {
            let place = Place {
                address: NEAR.into(),
                listen: NEAR.into(),
                peers: "10.77.0.0/24",
                network: Some(Arc::clone(&near)),
            };
            let room = guest_room::start(recordings, place)?;
            let guest = guest_room::visit(&room, &receiving)?;
            guest.join_as("Anna")?;
            guest.wait_for_screen(Screen::Call)?;
            guest.press_camera()?;
            let measured = measure(&guest);
            guest_room::keep_log(&room, &format!("room-{seed}.log"))?;
            measured
        }
        Sender::Chromium => {
            let sending = Browser::start_with_film(Some(&near), sound, &film)?;
            let (caller, callee) = (sending.open(PAGE)?, receiving.open(PAGE)?);
            let offer = text(&caller.evaluate(OFFER)?)?;
            ensure!(offer.contains("H264"), "this Chromium has no H.264");
            let answer = text(&callee.evaluate(&call(ANSWER, &offer))?)?;
            caller.evaluate(&call(ACCEPT, &answer))?;
            measure(&callee)
        }
    }
}

/// An expression that calls a function with a text.
fn call(function: &str, text: &str) -> String {
    format!("{function}({})", Value::from(text))
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("no description")?.to_owned())
}

/// How long a call is left alone before it is measured: both senders have found the link's rate by then.
pub(crate) const SETTLING: Duration = Duration::from_secs(12);
