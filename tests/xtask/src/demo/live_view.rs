//! The call of both rooms side by side, drawn again in place.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use api::snapshot::{Leg, LegState, Protection, Resolution};
use api::{Localized, Snapshot};

use crate::language::Language;

/// Without a terminal one line is printed this often.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
const LABEL_WIDTH: usize = 20;
const COLUMN_WIDTH: usize = 38;

/// Draws the view. On a terminal in place, elsewhere a line now and then.
pub(super) struct LiveView {
    language: Language,
    hint: String,
    started: Instant,
    lines_drawn: usize,
    last_line: Option<Instant>,
}

impl LiveView {
    pub(super) fn new(language: Language, hint: String) -> Self {
        Self {
            language,
            hint,
            started: Instant::now(),
            lines_drawn: 0,
            last_line: None,
        }
    }

    pub(super) fn draw(&mut self, rooms: impl Iterator<Item = Option<Snapshot>>) -> Result<()> {
        let rooms: Vec<_> = rooms.collect();
        if std::io::stdout().is_terminal() {
            self.redraw(&rooms)
        } else {
            self.print_line(&rooms)
        }
    }

    /// Leaves the last picture on the screen.
    pub(super) fn close(&mut self) -> Result<()> {
        self.lines_drawn = 0;
        println!();
        Ok(std::io::stdout().flush()?)
    }

    fn redraw(&mut self, rooms: &[Option<Snapshot>]) -> Result<()> {
        let text = self.table(rooms);
        let mut terminal = std::io::stdout().lock();
        if self.lines_drawn > 0 {
            write!(terminal, "\x1b[{}A", self.lines_drawn)?;
        }
        for line in text.lines() {
            writeln!(terminal, "\x1b[2K{line}")?;
        }
        self.lines_drawn = text.lines().count();
        Ok(terminal.flush()?)
    }

    fn print_line(&mut self, rooms: &[Option<Snapshot>]) -> Result<()> {
        if self
            .last_line
            .is_some_and(|last| last.elapsed() < LINE_INTERVAL)
        {
            return Ok(());
        }
        self.last_line = Some(Instant::now());
        let rooms: Vec<String> = rooms
            .iter()
            .map(|room| summary(self.language, room.as_ref()))
            .collect();
        println!(
            "{:>4} s  {}",
            self.started.elapsed().as_secs(),
            rooms.join("  |  ")
        );
        Ok(std::io::stdout().flush()?)
    }

    fn table(&self, rooms: &[Option<Snapshot>]) -> String {
        let choose = |english, chinese| self.language.choose(english, chinese);
        let title = choose(
            "roomd: two rooms in a SIP call, one encode each",
            "roomd：两间会议室的 SIP 通话，各编码一次",
        );
        let mut text = format!("\n{title}  ({} s)\n\n", self.started.elapsed().as_secs());
        let legs: Vec<Option<&Leg>> = rooms
            .iter()
            .map(|room| room.as_ref().and_then(|room| room.legs.first()))
            .collect();
        let mut row = |label: &str, cell: &dyn Fn(usize) -> Option<String>| {
            text.push_str(&padded(label, LABEL_WIDTH));
            for index in 0..rooms.len() {
                text.push_str(&padded(
                    &cell(index).unwrap_or_else(|| "-".into()),
                    COLUMN_WIDTH,
                ));
            }
            text.push('\n');
        };
        row("", &|index| Some(["Room A", "Room B"][index].to_owned()));
        row(choose("state", "状态"), &|index| {
            Some(state(self.language, rooms[index].as_ref(), legs[index]))
        });
        row(choose("protection", "加密"), &|index| {
            legs[index].and_then(protection)
        });
        row(choose("audio", "音频"), &|index| {
            legs[index].and_then(audio)
        });
        row(choose("video", "视频"), &|index| {
            legs[index].and_then(video)
        });
        row(choose("  sent", "  发送"), &|index| {
            legs[index].and_then(sent)
        });
        row(choose("  received", "  接收"), &|index| {
            legs[index].and_then(received)
        });
        row(choose("loss, jitter", "丢包、抖动"), &|index| {
            legs[index].and_then(loss)
        });
        row(choose("capture to decode", "采集到解码"), &|index| {
            let latency = legs[index]?.capture_to_decode_ms?;
            Some(format!("{latency:.1} ms"))
        });
        row(
            choose("encoder, decoder", "编码器、解码器"),
            &|index| legs[index].and_then(codecs),
        );
        row(choose("microphone", "麦克风"), &|index| {
            let room = rooms[index].as_ref()?;
            Some(format!("{:.0} dBFS", room.microphone.level_dbfs))
        });
        text.push('\n');
        text.push_str(&self.hint);
        text.push('\n');
        text
    }
}

fn summary(language: Language, room: Option<&Snapshot>) -> String {
    let leg = room.and_then(|room| room.legs.first());
    let cells = [
        leg.and_then(audio),
        leg.and_then(received),
        leg.and_then(loss),
    ];
    let latency = leg.and_then(|leg| leg.capture_to_decode_ms);
    let mut words = vec![state(language, room, leg)];
    words.extend(cells.into_iter().flatten());
    words.extend(latency.map(|latency| format!("{latency:.1} ms")));
    words.join(", ")
}

fn state(language: Language, room: Option<&Snapshot>, leg: Option<&Leg>) -> String {
    let Some(room) = room else {
        return "-".to_owned();
    };
    let Some(leg) = leg else {
        return room.state.text(language.into()).into_owned();
    };
    let state = leg.state.text(language.into());
    match leg.first_frame_unix_ms {
        Some(first_frame) if leg.state == LegState::Established => {
            let waited = first_frame.saturating_sub(leg.started_unix_ms);
            match language {
                Language::English => format!("{state}, picture after {waited} ms"),
                Language::Chinese => format!("{state}，{waited} 毫秒后有画面"),
            }
        }
        Some(_) | None => state.into_owned(),
    }
}

fn protection(leg: &Leg) -> Option<String> {
    let security = leg.security.as_ref()?;
    let signalling = if security.signalling == Protection::Encrypted {
        "TLS"
    } else {
        "SIP plain"
    };
    let media = if security.media == Protection::Encrypted {
        "SRTP"
    } else {
        "RTP plain"
    };
    Some(format!("{signalling} + {media}"))
}

fn audio(leg: &Leg) -> Option<String> {
    let audio = leg.audio.as_ref()?;
    let rates = audio.stats.as_ref().map(|stats| {
        format!(
            " {} / {} kbit/s",
            stats.send_bps / 1_000,
            stats.receive_bps / 1_000
        )
    });
    Some(format!("{}{}", audio.codec, rates.unwrap_or_default()))
}

fn video(leg: &Leg) -> Option<String> {
    let video = leg.video.as_ref()?;
    let mode = video.packetization_mode;
    Some(format!(
        "{} {} mode {mode}",
        video.codec, video.profile_level_id
    ))
}

fn sent(leg: &Leg) -> Option<String> {
    let stats = leg.video.as_ref()?.stats.as_ref()?;
    picture(
        stats.sent_resolution?,
        stats.sent_fps,
        stats.stream.send_bps,
    )
}

fn received(leg: &Leg) -> Option<String> {
    let stats = leg.video.as_ref()?.stats.as_ref()?;
    picture(
        stats.received_resolution?,
        stats.received_fps,
        stats.stream.receive_bps,
    )
}

fn picture(resolution: Resolution, fps: f64, bps: u64) -> Option<String> {
    Some(format!(
        "{resolution} {fps:.1} fps {:.2} Mbit/s",
        bps as f64 / 1e6
    ))
}

fn loss(leg: &Leg) -> Option<String> {
    let stats = leg.video.as_ref()?.stats.as_ref()?;
    Some(format!(
        "{:.1} %, {:.1} ms",
        stats.stream.loss * 100.0,
        stats.stream.jitter_ms
    ))
}

fn codecs(leg: &Leg) -> Option<String> {
    let stats = leg.video.as_ref()?.stats.as_ref()?;
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    Some(format!(
        "{}, {}",
        name(&stats.encoder),
        name(&stats.decoder)
    ))
}

/// The text filled up with blanks to `width` columns; a Chinese character takes two.
fn padded(text: &str, width: usize) -> String {
    let columns: usize = text
        .chars()
        .map(|c| if c >= '\u{1100}' { 2 } else { 1 })
        .sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(columns).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_in_both_languages() {
        assert_eq!(padded("state", 8), "state   ");
        assert_eq!(padded("状态", 8), "状态    ");
    }

    #[test]
    fn a_room_that_has_not_reported_yet_is_shown_as_such() {
        let view = LiveView::new(Language::Chinese, "hint".to_owned());
        let table = view.table(&[None, None]);
        assert!(
            table.contains("状态") && table.ends_with("hint\n"),
            "{table}"
        );
    }
}
