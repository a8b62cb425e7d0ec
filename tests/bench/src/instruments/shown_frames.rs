//! What a Chromium shows of a call: when each picture was shown, by `requestVideoFrameCallback`, and its own counters
//! (W3C webrtc-stats).

use anyhow::{Context, Result};
use serde_json::Value;
use system::browser::Guest;

/// A longer gap between two pictures is a freeze.
const LONGEST_GAP_MS: f64 = 183.0;

/// Runs in the page: notes when pictures are shown, from now on.
const START: &str = r#"(() => {
  const video = document.getElementById("far_end");
  globalThis.shownFrames = [];
  const note = (now) => {
    globalThis.shownFrames.push(now);
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
})()"#;

/// Runs in the page: what has been counted since the connection was made, and what was shown since this last ran.
const LOOK: &str = r#"(async () => {
  const at = performance.now();
  const connection = keptConnections.findLast((each) => each.connectionState !== "closed");
  const sum = {};
  let codec = "";
  const reports = await connection.getStats();
  for (const report of reports.values()) {
    if (report.type !== "inbound-rtp") continue;
    for (const [name, value] of Object.entries(report)) {
      const key = `${report.kind}_${name}`;
      if (typeof value === "number") sum[key] = (sum[key] ?? 0) + value;
    }
    if (report.kind === "video" && report.framesDecoded > 0) codec = reports.get(report.codecId)?.mimeType ?? "";
  }
  return { at, sum, codec, shown: globalThis.shownFrames.splice(0) };
})()"#;

/// Begins to note pictures.
pub(crate) fn start(page: &Guest<'_>) -> Result<()> {
    page.evaluate(START).map(drop)
}

/// One look at a page.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// By the page's clock, in milliseconds.
    pub(crate) at: f64,
    /// The pictures shown since the look before, by the same clock.
    shown: Vec<f64>,
    counters: Value,
    codec: String,
}

impl Look {
    pub(crate) fn at(page: &Guest<'_>) -> Result<Self> {
        let mut seen = page.evaluate(LOOK)?;
        let shown = seen["shown"].as_array().context("no pictures noted")?;
        Ok(Self {
            at: seen["at"].as_f64().context("no time")?,
            shown: shown.iter().filter_map(Value::as_f64).collect(),
            codec: seen["codec"].as_str().unwrap_or_default().to_owned(),
            counters: seen["sum"].take(),
        })
    }

    /// What a counter is, 0 where the page has none such.
    fn counter(&self, name: &str) -> f64 {
        self.counters[name].as_f64().unwrap_or(0.0)
    }
}

/// What a page showed between two looks.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The sum of the gaps that are freezes, in seconds.
    pub(crate) frozen_s: f64,
    /// How many there were.
    pub(crate) freezes: usize,
    /// Pictures shown a second.
    pub(crate) fps: f64,
    /// What Chromium itself counts as frozen, in seconds.
    pub(crate) chromium_frozen_s: f64,
    /// Pictures decoded a second.
    pub(crate) decoded_fps: f64,
    /// The share of sound that was made up, in per cent.
    pub(crate) concealed_percent: f64,
    /// The mean time of a picture in the jitter buffer.
    pub(crate) buffer_ms: f64,
    /// How the picture was encoded.
    pub(crate) codec: String,
}

impl Shown {
    pub(crate) fn between(before: &Look, after: &Look) -> Self {
        let gaps = gaps(before, after);
        let freezes = || gaps.iter().filter(|gap| **gap > LONGEST_GAP_MS);
        let grown = |name: &str| after.counter(name) - before.counter(name);
        let share = |part: &str, whole: &str| grown(part) / grown(whole).max(1.0);
        let seconds = (after.at - before.at) / 1e3;
        Self {
            // A sum of nothing would be -0.
            frozen_s: freezes().fold(0.0, |sum, gap| sum + gap) / 1e3,
            freezes: freezes().count(),
            fps: after.shown.len() as f64 / seconds,
            chromium_frozen_s: grown("video_totalFreezesDuration"),
            decoded_fps: grown("video_framesDecoded") / seconds,
            concealed_percent: 100.0
                * share("audio_concealedSamples", "audio_totalSamplesReceived"),
            buffer_ms: 1e3 * share("video_jitterBufferDelay", "video_jitterBufferEmittedCount"),
            codec: after.codec.clone(),
        }
    }

    /// `3 freezes, 28.1 shown and 28.4 decoded fps, jitter buffer 94 ms, video/H264`: for a row's note.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} freezes, {:.1} shown and {:.1} decoded fps, jitter buffer {:.0} ms, {}",
            self.freezes, self.fps, self.decoded_fps, self.buffer_ms, self.codec
        )
    }
}

/// The gaps between pictures in milliseconds, the one that the first look falls into and the one that the last look
/// ends included.
fn gaps(before: &Look, after: &Look) -> Vec<f64> {
    let first = before.shown.last().copied().unwrap_or(before.at);
    let mut times = vec![first];
    times.extend(&after.shown);
    times.push(after.at.max(times[times.len() - 1]));
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(at: f64, shown: &[f64], frames: u32) -> Look {
        Look {
            at,
            shown: shown.to_vec(),
            counters: json!({"video_framesDecoded": frames}),
            codec: "video/H264".to_owned(),
        }
    }

    #[test]
    fn a_gap_at_either_end_counts() {
        let before = look(1_000.0, &[900.0], 10);
        let after = look(2_000.0, &[1_100.0, 1_133.0, 1_800.0], 13);
        let shown = Shown::between(&before, &after);
        assert_eq!(shown.freezes, 3);
        assert!((shown.frozen_s - (0.2 + 0.667 + 0.2)).abs() < 1e-9);
        assert!((shown.fps - 3.0).abs() < 1e-9 && (shown.decoded_fps - 3.0).abs() < 1e-9);
    }

    #[test]
    fn thirty_pictures_a_second_are_no_freeze() {
        let times: Vec<f64> = (1..=30).map(|n| f64::from(n) * 33.3).collect();
        let shown = Shown::between(&look(0.0, &[0.0], 0), &look(1_000.0, &times, 30));
        assert_eq!((shown.freezes, shown.frozen_s), (0, 0.0));
    }
}
