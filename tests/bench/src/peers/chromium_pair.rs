//! Two connections of Chromium's within one page, which hear of each other at once: the shortest way from an offer to a
//! picture that there is between two of them.

use std::path::Path;

use anyhow::{Result, ensure};
use system::browser::{Browser, Guest};
use system::sound::Sound;

const PAGE: &str = "<!doctype html><title>Call</title>\
    <video id=far_end autoplay playsinline style='width: 1280px; height: 720px'></video>";

/// Camera and microphone to one who sends nothing, H.264, everything else as it is when nobody sets anything.
const CALL: &str = r#"(async () => {
  const wanted = { video: { width: 1280, height: 720, frameRate: 30 }, audio: true };
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  const [caller, callee] = [new RTCPeerConnection(), new RTCPeerConnection()];
  for (const [from, to] of [[caller, callee], [callee, caller]]) {
    from.addEventListener("icecandidate", ({ candidate }) => to.addIceCandidate(candidate ?? undefined));
  }
  callee.addEventListener("track", ({ streams }) => {
    document.getElementById("far_end").srcObject = streams[0];
  });
  for (const track of stream.getTracks()) {
    const line = caller.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    if (track.kind !== "video") continue;
    const { codecs } = RTCRtpReceiver.getCapabilities("video");
    const rank = ({ mimeType }) => ["video/H264", "video/rtx"].indexOf(mimeType);
    const chosen = codecs.filter((each) => rank(each) >= 0).sort((a, b) => rank(a) - rank(b));
    line.setCodecPreferences(chosen);
  }
  await caller.setLocalDescription();
  await callee.setRemoteDescription(caller.localDescription);
  await callee.setLocalDescription();
  await caller.setRemoteDescription(callee.localDescription);
  return caller.localDescription.sdp.includes("H264");
})()"#;

/// A Chromium that calls itself.
#[derive(Debug)]
pub(crate) struct ChromiumPair {
    browser: Browser,
}

impl ChromiumPair {
    /// Starts it, with that film before its camera.
    pub(crate) fn start(sound: &Sound, film: &Path) -> Result<Self> {
        let browser = Browser::start_with_film(None, Some(sound), film)?;
        Ok(Self { browser })
    }

    /// Makes a call in a page of its own, after `before`.
    pub(crate) fn call(&self, before: impl FnOnce(&Guest<'_>) -> Result<()>) -> Result<Guest<'_>> {
        let page = self.browser.open(PAGE)?;
        before(&page)?;
        let has_h264 = page.evaluate(CALL)?.as_bool().unwrap_or_default();
        ensure!(has_h264, "this Chromium has no H.264");
        Ok(page)
    }
}
