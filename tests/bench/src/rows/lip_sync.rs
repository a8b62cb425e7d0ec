//! `media.glass_ms`, `media.mouth_to_ear_ms` and `media.av_offset_ms`: when picture and sound of one
//! moment are seen and heard.
//!
//! Both are taken at sinks that keep time. The offset of a moment is the delay of its sound less
//! that of its picture: positive when the sound is late.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Measurement;
use crate::instruments::footage_camera::{Footage, INTERVAL};
use crate::instruments::media_pair::{self, PairRecord, ShownPicture, TALKER};
use crate::instruments::shown_pictures::SinkWatch;
use crate::plot::{Line, Plot};
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const GLASS: Figure = Figure {
    name: "media.glass_ms",
    unit: "ms",
    anchor_name: "none",
    // As for sound: lip-sync holds both together.
    goal: Goal::AtMost(80.0),
};

const MOUTH_TO_EAR: Figure = Figure {
    name: "media.mouth_to_ear_ms",
    unit: "ms",
    anchor_name: "ITU-T G.114, one way",
    goal: Goal::AtMost(80.0),
};

const OFFSET: Figure = Figure {
    name: "media.av_offset_ms",
    unit: "ms",
    anchor_name: "ITU-R BT.1359, sound early",
    goal: Goal::AtMost(40.0),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[GLASS, MOUTH_TO_EAR, OFFSET],
    measure,
};

/// Up to this, delay does not disturb a conversation (ITU-T G.114).
const G114_MS: f64 = 150.0;
/// From this on, sound before its picture is noticed (ITU-R BT.1359-1; late sound only from 125 ms).
const BT1359_MS: f64 = 45.0;
/// How often the sound's delay is looked for.
const SOUND_STEP: Duration = Duration::from_millis(200);

/// The delay of the sound of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Heard {
    captured: Instant,
    delay: Duration,
}

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    gst::init()?;
    let footage = Footage::decode(&setting.recordings.video)?;
    let watch = SinkWatch::start();
    let record = media_pair::run(&footage, &setting.recordings.speech, setting.lengths.media)?;
    let seen: Vec<ShownPicture> = watch
        .take()
        .into_iter()
        .filter_map(|shown| record.shown(shown.stamp, shown.at))
        .collect();
    let heard = heard(&record);
    let offsets = offsets(&heard, &seen);
    save_plot(setting, &record, &seen, &heard)?;
    let glass = Samples::new(seen.iter().map(|seen| milliseconds(seen.age)))
        .context("no picture was shown")?;
    let mouth_to_ear = Samples::new(heard.iter().map(|heard| milliseconds(heard.delay)))
        .context("no sound was recognised")?;
    let apart = Samples::new(offsets.iter().map(|offset| offset.abs()))
        .context("no sound with its picture")?;
    let signed = Samples::new(offsets).context("no sound with its picture")?;
    Ok(vec![
        GLASS.measured(
            glass.p95(),
            None,
            format!(
                "p95, captured to the end of a sink with sync=true, by the burnt-in clock, two \
                 media graphs over loopback; {}",
                glass.summary()
            ),
        ),
        MOUTH_TO_EAR.measured(
            mouth_to_ear.p95(),
            Some(G114_MS),
            format!(
                "p95, recorded speech with echo control on, first sample captured to its hand-over \
                 to the simulated loudspeaker, by correlation; 10 ms of capture included, no sound card; {}",
                mouth_to_ear.summary()
            ),
        ),
        OFFSET.measured(
            apart.p95(),
            Some(BT1359_MS),
            format!(
                "p95 of the absolute offset at both sinks; signed (positive: sound late) {}",
                signed.summary()
            ),
        ),
    ])
}

/// The sound's delays.
fn heard(record: &PairRecord) -> Vec<Heard> {
    let moments = record.said.moments(SOUND_STEP).into_iter();
    let heard = |captured: Instant| {
        let delay = record.said.delay_to(&record.heard, captured)?;
        Some(Heard { captured, delay })
    };
    moments
        .filter(|moment| record.covers(*moment))
        .filter_map(heard)
        .collect()
}

/// Sound less picture in ms, for each sound with a picture of the same moment.
fn offsets(heard: &[Heard], seen: &[ShownPicture]) -> Vec<f64> {
    let distance = |heard: &Heard, seen: &ShownPicture| {
        let (a, b) = (heard.captured, seen.captured);
        a.max(b) - a.min(b)
    };
    let offset = |heard: &Heard| {
        let picture = seen
            .iter()
            .filter(|seen| seen.sender == TALKER)
            .min_by_key(|seen| distance(heard, seen))?;
        (distance(heard, picture) <= INTERVAL)
            .then(|| milliseconds(heard.delay) - milliseconds(picture.age))
    };
    heard.iter().filter_map(offset).collect()
}

fn save_plot(
    setting: &Setting,
    record: &PairRecord,
    seen: &[ShownPicture],
    heard: &[Heard],
) -> Result<()> {
    let at = |moment: Instant| record.since_begin(moment).as_secs_f64();
    let seen = seen.iter().filter(|seen| seen.sender == TALKER);
    let lines = vec![
        Line {
            name: "picture: capture to glass".to_owned(),
            points: seen
                .map(|seen| (at(seen.captured), milliseconds(seen.age)))
                .collect(),
        },
        Line {
            name: "sound: mouth to ear".to_owned(),
            points: heard
                .iter()
                .map(|heard| (at(heard.captured), milliseconds(heard.delay)))
                .collect(),
        },
    ];
    setting.save_plot(
        "media.av_offset_ms",
        &Plot {
            title: "Delay of picture and sound, one direction of the call".to_owned(),
            x_label: "s",
            y_label: "ms",
            lines,
        },
    )
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_taken_to_the_talkers_picture_of_the_same_moment() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let picture = |sender, captured: u64, age: u64| ShownPicture {
            sender,
            captured: at(captured),
            age: Duration::from_millis(age),
        };
        let seen = [picture(0, 0, 40), picture(0, 33, 50), picture(1, 33, 90)];
        let heard = |captured: u64, delay: u64| Heard {
            captured: at(captured),
            delay: Duration::from_millis(delay),
        };
        let heard = [heard(30, 70), heard(2, 10), heard(900, 70)];
        assert_eq!(offsets(&heard, &seen), [20.0, -30.0]);
    }
}
