//! The call of both rooms side by side, drawn again in place.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use api::snapshot::{DeviceState, Leg, Protection, Resolution};
use api::{Localized, Snapshot};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::language::Language;

/// Without a terminal one line is printed this often.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
const LABEL_WIDTH: usize = 20;
/// A room's column where the terminal is wide enough, and where it is not.
const COLUMN_WIDTHS: std::ops::RangeInclusive<usize> = 12..=38;

/// Draws the view. On a terminal in place, elsewhere a line now and then.
pub(super) struct LiveView {
    language: Language,
    /// How to look further into the running demo. It may be longer than a line is.
    hint: String,
    started: Instant,
    lines_drawn: usize,
    drawn_for: Option<Size>,
    last_line: Option<Instant>,
}

/// The size of the terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

impl Size {
    /// What the terminal says, or else the size that a terminal has always had.
    fn of_terminal(terminal: impl std::os::fd::AsFd) -> Self {
        match rustix::termios::tcgetwinsize(terminal) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Self {
                columns: size.ws_col.into(),
                rows: size.ws_row.into(),
            },
            Ok(_) | Err(_) => Self {
                columns: 80,
                rows: 24,
            },
        }
    }

    /// How wide each of two rooms' columns may be.
    fn column_width(self) -> usize {
        (self.columns.saturating_sub(LABEL_WIDTH) / 2)
            .clamp(*COLUMN_WIDTHS.start(), *COLUMN_WIDTHS.end())
    }
}

impl LiveView {
    pub(super) fn new(language: Language, hint: String) -> Self {
        Self {
            language,
            hint,
            started: Instant::now(),
            lines_drawn: 0,
            drawn_for: None,
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
        let mut terminal = std::io::stdout().lock();
        let size = Size::of_terminal(&terminal);
        // A terminal that was resized has broken the lines anew: where they are is unknown.
        if self.drawn_for.is_some_and(|drawn_for| drawn_for != size) {
            write!(terminal, "\x1b[H\x1b[2J")?;
            self.lines_drawn = 0;
        }
        if self.lines_drawn == 0 {
            writeln!(terminal, "\n{}", self.hint)?;
        } else {
            write!(terminal, "\x1b[{}A", self.lines_drawn)?;
        }
        let table = self.table(rooms, size.column_width());
        // The cursor goes below the last line, and cannot come back from beyond the top.
        let lines = table.lines().take(size.rows.saturating_sub(1));
        self.lines_drawn = 0;
        for line in lines {
            // An unbroken line is one line, however narrow the terminal.
            writeln!(terminal, "\x1b[2K{}", clipped(line, size.columns))?;
            self.lines_drawn += 1;
        }
        // The table before this one may have been longer.
        write!(terminal, "\x1b[J")?;
        self.drawn_for = Some(size);
        Ok(terminal.flush()?)
    }

    fn print_line(&mut self, rooms: &[Option<Snapshot>]) -> Result<()> {
        if self
            .last_line
            .is_some_and(|last| last.elapsed() < LINE_INTERVAL)
        {
            return Ok(());
        }
        if self.last_line.is_none() {
            println!("{}", self.hint);
        }
        self.last_line = Some(Instant::now());
        let rooms: Vec<String> = rooms
            .iter()
            .map(|room| summary(self.language, room.as_ref()))
            .collect();
        println!(
            "{:>4} s  {}",
            self.started.elapsed().as_secs(),
            rooms.join("\n     |  ")
        );
        Ok(std::io::stdout().flush()?)
    }

    fn table(&self, rooms: &[Option<Snapshot>], column_width: usize) -> String {
        let language = self.language;
        let choose = |english, chinese| language.choose(english, chinese);
        let legs: Vec<Option<&Leg>> = rooms
            .iter()
            .map(|room| room.as_ref().and_then(|room| room.legs.first()))
            .collect();
        let of_leg = |cell: fn(Language, &Leg) -> Option<String>| {
            let cells: Vec<_> = legs
                .iter()
                .map(|leg| leg.and_then(|leg| cell(language, leg)))
                .collect();
            cells
        };
        let states = rooms
            .iter()
            .zip(&legs)
            .map(|(room, leg)| Some(state(language, room.as_ref(), *leg)));
        let of_room = |cell: fn(Language, &Snapshot) -> Option<String>| {
            let cells: Vec<_> = rooms
                .iter()
                .map(|room| cell(language, room.as_ref()?))
                .collect();
            cells
        };
        let names = choose("Room A|Room B", "会议室 A|会议室 B");
        let mut rows = vec![
            ("", names.split('|').map(|name| Some(name.into())).collect()),
            (choose("state", "状态"), states.collect()),
            (
                choose("picture after", "出现画面用时"),
                of_leg(first_picture),
            ),
            (choose("protection", "加密"), of_leg(protection)),
            (choose("audio", "音频"), of_leg(audio)),
            (choose("video", "视频"), of_leg(video)),
            (choose("  sent", "  发送"), of_leg(sent)),
            (choose("  received", "  接收"), of_leg(received)),
            (choose("loss, jitter", "丢包、抖动"), of_leg(loss)),
            (choose("capture to decode", "采集到解码"), of_leg(latency)),
            (choose("encoder, decoder", "编码器、解码器"), of_leg(codecs)),
            (choose("camera", "摄像头"), of_room(camera)),
            (choose("microphone", "麦克风"), of_room(microphone)),
        ];
        let faults = of_room(last_fault);
        if faults.iter().any(Option::is_some) {
            rows.push((choose("last fault", "最近的故障"), faults));
        }
        let title = choose(
            "roomd: two rooms in a SIP call, one encode each",
            "roomd：两间会议室的 SIP 通话，各编码一次",
        );
        let mut lines = vec![
            String::new(),
            format!("{title}  ({} s)", self.started.elapsed().as_secs()),
            String::new(),
        ];
        lines.extend(
            rows.into_iter()
                .map(|(label, cells)| row(label, &cells, column_width)),
        );
        lines.push(String::new());
        lines.push(choose("Ctrl-C ends the demo.", "按 Ctrl-C 结束演示。").to_owned());
        lines.join("\n")
    }
}

fn row(label: &str, cells: &[Option<String>], column_width: usize) -> String {
    let mut line = padded(label, LABEL_WIDTH);
    for cell in cells {
        let text = cell.as_deref().unwrap_or("-");
        line.push_str(&padded(&clipped(text, column_width - 1), column_width));
    }
    line.trim_end().to_owned()
}

fn summary(language: Language, room: Option<&Snapshot>) -> String {
    let leg = room.and_then(|room| room.legs.first());
    let of_leg =
        |cell: fn(Language, &Leg) -> Option<String>| leg.and_then(|leg| cell(language, leg));
    let waited = of_leg(first_picture).map(|waited| match language {
        Language::English => format!("picture after {waited}"),
        Language::Chinese => format!("{waited} 后有画面"),
    });
    let words = [
        Some(state(language, room, leg)),
        waited,
        of_leg(audio),
        of_leg(received),
        of_leg(loss),
        of_leg(latency),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the room is doing, or how its call stands.
pub(super) fn state(language: Language, room: Option<&Snapshot>, leg: Option<&Leg>) -> String {
    match (room, leg) {
        (_, Some(leg)) => leg.state.text(language.into()).into_owned(),
        (Some(room), None) => room.state.text(language.into()).into_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// From the press, or the call's arrival, to the far end's first decoded frame.
fn first_picture(_: Language, leg: &Leg) -> Option<String> {
    let waited = leg.first_frame_unix_ms?.saturating_sub(leg.started_unix_ms);
    Some(format!("{waited} ms"))
}

fn protection(language: Language, leg: &Leg) -> Option<String> {
    let security = leg.security.as_ref()?;
    let path = |protection: Protection, encrypted: &str, plain: &str| match protection {
        Protection::Encrypted => encrypted.to_owned(),
        Protection::Plain => format!("{plain} ({})", protection.text(language.into())),
    };
    Some(format!(
        "{} + {}",
        path(security.signalling, "TLS", "SIP"),
        path(security.media, "SRTP", "RTP")
    ))
}

fn camera(language: Language, room: &Snapshot) -> Option<String> {
    Some(room.camera.device.text(language.into()).into_owned())
}

fn microphone(language: Language, room: &Snapshot) -> Option<String> {
    let microphone = &room.microphone;
    Some(match microphone.device {
        DeviceState::Present => format!("{:.0} dBFS", microphone.level_dbfs),
        DeviceState::NotConfigured | DeviceState::Gone => {
            microphone.device.text(language.into()).into_owned()
        }
    })
}

/// What failed last in the room's media graph, in GStreamer's words.
pub(super) fn last_fault(_: Language, room: &Snapshot) -> Option<String> {
    room.media_faults.first().map(|fault| fault.text.clone())
}

fn latency(_: Language, leg: &Leg) -> Option<String> {
    Some(format!("{:.1} ms", leg.capture_to_decode_ms?))
}

fn audio(_: Language, leg: &Leg) -> Option<String> {
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

fn video(language: Language, leg: &Leg) -> Option<String> {
    let video = leg.video.as_ref()?;
    let (mode, number) = (language.choose("mode", "模式"), video.packetization_mode);
    Some(format!(
        "{} {} {mode} {number}",
        video.codec, video.profile_level_id
    ))
}

fn sent(_: Language, leg: &Leg) -> Option<String> {
    let stats = leg.video.as_ref()?.stats.as_ref()?;
    picture(
        stats.sent_resolution?,
        stats.sent_fps,
        stats.stream.send_bps,
    )
}

fn received(_: Language, leg: &Leg) -> Option<String> {
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

fn loss(_: Language, leg: &Leg) -> Option<String> {
    let stats = leg.video.as_ref()?.stats.as_ref()?;
    Some(format!(
        "{:.1} %, {:.1} ms",
        stats.stream.loss * 100.0,
        stats.stream.jitter_ms
    ))
}

fn codecs(_: Language, leg: &Leg) -> Option<String> {
    let stats = leg.video.as_ref()?.stats.as_ref()?;
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    Some(format!(
        "{}, {}",
        name(&stats.encoder),
        name(&stats.decoder)
    ))
}

/// The text filled up with blanks to `width` columns, and at least one.
fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width()).max(1);
    format!("{text}{}", " ".repeat(blanks))
}

/// The text, or as much of it as `width` columns hold, then with an ellipsis.
fn clipped(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut columns = 0;
    let mut clipped: String = text
        .chars()
        .take_while(|character| {
            columns += character.width().unwrap_or(0);
            columns < width
        })
        .collect();
    clipped.push('…');
    clipped
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
    fn what_does_not_fit_ends_with_an_ellipsis() {
        for (text, width, expected) in [
            ("in the call", 11, "in the call"),
            ("in the call", 7, "in the…"),
            ("会议室", 6, "会议室"),
            ("会议室", 5, "会议…"),
            ("会议室", 4, "会…"),
        ] {
            assert_eq!(clipped(text, width), expected, "{text} in {width}");
        }
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_of_eighty_columns() {
        let size = Size {
            columns: 80,
            rows: 24,
        };
        for language in [Language::English, Language::Chinese] {
            let view = LiveView::new(language, String::new());
            let table = view.table(&[None, None], size.column_width());
            assert!(table.lines().all(|line| line.width() <= 80), "{table}");
            assert!(table.lines().count() < size.rows, "{table}");
        }
    }

    #[test]
    fn a_room_that_has_not_reported_yet_is_shown_as_such() {
        let view = LiveView::new(Language::Chinese, String::new());
        let table = view.table(&[None, None], 30);
        let state = table.lines().find(|line| line.contains("状态"));
        assert_eq!(state.map(|line| line.matches('-').count()), Some(2));
    }
}
