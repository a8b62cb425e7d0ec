//! When a page shows the first picture after its offer, and when the first whole one: by
//! `requestVideoFrameCallback`, and by the page's own clock.

use std::time::Duration;

use anyhow::{Context, Result};
use system::browser::Guest;

/// Runs in a page that has no connection yet.
const WATCH: &str = r#"(() => {
  const sizes = [];
  let tell = () => {};
  const connection = RTCPeerConnection.prototype;
  const describe = connection.setLocalDescription;
  let offered;
  connection.setLocalDescription = function (...parameters) {
    offered ??= performance.now();
    return describe.apply(this, parameters);
  };
  const video = document.getElementById("far_end");
  const note = (now, { width, height }) => {
    const last = sizes.at(-1);
    if (last?.width !== width || last.height !== height) {
      sizes.push({ after: now - offered, width, height });
      tell();
    }
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
  // The first size that is at least so wide, or null when there was none in that time; and all sizes.
  globalThis.firstPicture = async (width, limit) => {
    const end = performance.now() + limit;
    for (;;) {
      const found = sizes.find((size) => size.width >= width) ?? null;
      const left = end - performance.now();
      if (found !== null || left <= 0) return { found, sizes };
      await new Promise((resolve) => {
        tell = resolve;
        setTimeout(resolve, left);
      });
    }
  };
})()"#;

/// The longest that is waited: Chromium takes half of it to its full resolution, and a page has to answer within 75 s.
const LIMIT: Duration = Duration::from_secs(60);

/// Begins to watch, before the page makes its connection.
pub(crate) fn watch(page: &Guest<'_>) -> Result<()> {
    page.evaluate(WATCH).map(drop)
}

/// Milliseconds from the offer to the first picture that is at least so wide.
///
/// # Errors
/// When there is none within [`LIMIT`]; says which sizes there were.
pub(crate) fn wait_for_width(page: &Guest<'_>, width: u64) -> Result<f64> {
    let limit = LIMIT.as_millis();
    let seen = page.evaluate(&format!("firstPicture({width}, {limit})"))?;
    let after = seen["found"]["after"].as_f64();
    after.with_context(|| {
        let sizes = &seen["sizes"];
        format!("no picture of {width} columns in {LIMIT:?}, but {sizes}")
    })
}
