//! When a page shows the first picture after its offer, and when the first whole one: by
//! `requestVideoFrameCallback`, and by the page's own clock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use system::browser::Guest;

/// Runs in a page that has no connection yet.
const WATCH: &str = r#"(() => {
  globalThis.pictureSizes = [];
  const connection = RTCPeerConnection.prototype;
  const describe = connection.setLocalDescription;
  connection.setLocalDescription = function (...parameters) {
    globalThis.offeredAt ??= performance.now();
    return describe.apply(this, parameters);
  };
  const video = document.getElementById("far_end");
  const note = (now, { width, height }) => {
    const last = globalThis.pictureSizes.at(-1);
    if (last?.[1] !== width || last[2] !== height) globalThis.pictureSizes.push([now, width, height]);
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
})()"#;

/// Runs in the page: each size that pictures have had, and how long after the offer the first of it was shown, in
/// milliseconds.
const SIZES: &str = r#"globalThis.pictureSizes.map(([at, width, height]) => [at - globalThis.offeredAt, width, height])"#;

/// How often a page is looked at. It notes the times by itself.
const LOOKS: Duration = Duration::from_millis(50);

/// Begins to watch, before the page makes its connection.
pub(crate) fn watch(page: &Guest<'_>) -> Result<()> {
    page.evaluate(WATCH).map(drop)
}

/// Milliseconds from the offer to the first picture that is at least so wide.
///
/// # Errors
/// When there is none in that time; says which sizes there were.
pub(crate) fn wait_for_width(page: &Guest<'_>, width: u64, limit: Duration) -> Result<f64> {
    let until = Instant::now() + limit;
    loop {
        let sizes = page.evaluate(SIZES)?;
        let sizes = sizes.as_array().context("no sizes")?;
        let is_wide = |size: &&Value| size[1].as_u64().is_some_and(|it| it >= width);
        if let Some(size) = sizes.iter().find(is_wide) {
            return size[0].as_f64().context("no time of the offer");
        }
        if Instant::now() >= until {
            bail!(
                "no picture of {width} columns in {limit:?}, but {}",
                Value::from(sizes.clone())
            );
        }
        std::thread::sleep(LOOKS);
    }
}
