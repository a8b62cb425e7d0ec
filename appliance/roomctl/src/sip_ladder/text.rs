//! The ladder on a terminal.

use std::fmt::Write;

use api::sip_ladder::SipDirection;
use unicode_width::UnicodeWidthStr;

use super::{Drawing, Kind, Row, shortened};
use crate::terminal::{Style, Tone, harmless, padded};

/// Columns before the room's own line: the time.
const TIME_COLUMNS: usize = 11;
/// Between two lines of the ladder, at least and at most.
const STEP_COLUMNS: std::ops::RangeInclusive<usize> = 30..=72;

/// What is shown beside the drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing.
    Drawing,
    /// Each message, below.
    Messages,
}

/// Draws the ladder for a terminal of so many columns.
pub(crate) fn draw(drawing: &Drawing<'_>, columns: usize, style: Style, detail: Detail) -> String {
    let count = drawing.remotes.len().max(1);
    let step = columns.saturating_sub(TIME_COLUMNS + 1) / count;
    let mut sheet = Sheet {
        text: String::new(),
        step: step.clamp(*STEP_COLUMNS.start(), *STEP_COLUMNS.end()),
        style,
    };
    let title = style.paint(Tone::Strong, &drawing.title);
    let _ = writeln!(sheet.text, "{title}");
    for remark in &drawing.remarks {
        let remark = style.paint(Tone::Faint, &shortened(remark, columns));
        let _ = writeln!(sheet.text, "{remark}");
    }
    if !drawing.rows.is_empty() {
        sheet.text.push('\n');
        sheet.headings(drawing);
        for row in &drawing.rows {
            sheet.row(row, count);
        }
    }
    if detail == Detail::Messages {
        for row in &drawing.rows {
            sheet.message(row, &drawing.remotes);
        }
    }
    sheet.text
}

/// The text as it grows. Writing to a `String` cannot fail.
struct Sheet {
    text: String,
    step: usize,
    style: Style,
}

impl Sheet {
    /// The room's name begins at its line, the others' end at theirs.
    fn headings(&mut self, drawing: &Drawing<'_>) {
        let room = drawing.room();
        let mut line = format!("{}{room}", " ".repeat(TIME_COLUMNS));
        for (index, remote) in drawing.remotes.iter().enumerate() {
            let end = TIME_COLUMNS + (index + 1) * self.step + 1;
            let room_for_it = end.saturating_sub(line.width() + 1);
            let name = shortened(remote, room_for_it);
            let start = end.saturating_sub(name.width());
            line = padded(&line, start);
            line.push_str(&name);
        }
        let line = self.style.paint(Tone::Strong, &line);
        let _ = writeln!(self.text, "{line}");
    }

    fn row(&mut self, row: &Row<'_>, remotes: usize) {
        if let Some(gap) = &row.gap {
            self.note("", gap, '┆', remotes);
        }
        let tone = tone_of(row.kind);
        let length = (row.remote + 1) * self.step - 1;
        let label = shortened(&row.label, length.saturating_sub(5));
        let label = format!(" {label} ");
        let shaft = "─".repeat(length.saturating_sub(label.width() + 2));
        let arrow = match row.message.direction {
            SipDirection::Sent => format!("─{label}{shaft}>"),
            SipDirection::Received => format!("<─{label}{shaft}"),
        };
        let time = format!("{:>8} s ", row.time);
        let arrow = self.style.paint(tone, &arrow);
        let _ = write!(self.text, "{time}│{arrow}│");
        self.lines_after(row.remote + 1, remotes, '│');
        if let Some(note) = &row.note {
            self.note("", note, '│', remotes);
        }
    }

    /// A remark between the room's line and the first of the others.
    fn note(&mut self, time: &str, note: &str, line: char, remotes: usize) {
        let width = self.step - 1;
        let note = padded(&format!("   {}", shortened(note, width - 3)), width);
        let note = self.style.paint(Tone::Faint, &note);
        let _ = write!(
            self.text,
            "{}{line}{note}{line}",
            padded(time, TIME_COLUMNS)
        );
        self.lines_after(1, remotes, line);
    }

    /// The lines of the ends behind the one that was reached.
    fn lines_after(&mut self, reached: usize, remotes: usize, line: char) {
        for _ in reached..remotes {
            let _ = write!(self.text, "{}{line}", " ".repeat(self.step - 1));
        }
        self.text.push('\n');
    }

    fn message(&mut self, row: &Row<'_>, remotes: &[String]) {
        let arrow = match row.message.direction {
            SipDirection::Sent => "->",
            SipDirection::Received => "<-",
        };
        let remote = remotes.get(row.remote).map_or("", String::as_str);
        let note = row
            .note
            .as_ref()
            .map(|note| format!("  ({note})"))
            .unwrap_or_default();
        let heading = format!("{} s {arrow} {remote}{note}", row.time);
        let _ = writeln!(self.text, "\n{}", self.style.paint(Tone::Strong, &heading));
        for line in row.message.text.lines() {
            let _ = writeln!(self.text, "  {}", harmless(line));
        }
    }
}

fn tone_of(kind: Kind) -> Tone {
    match kind {
        Kind::Request => Tone::Strong,
        Kind::Provisional => Tone::Faint,
        Kind::Success => Tone::Good,
        Kind::Detour => Tone::Notable,
        Kind::Failure => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use api::{Language, SipLadder};

    use super::super::samples::{ladder, message};
    use super::*;

    fn drawn(ladder: &SipLadder, columns: usize, language: Language) -> String {
        let drawing = Drawing::new(ladder, None, language);
        draw(&drawing, columns, Style::Plain, Detail::Drawing)
    }

    #[test]
    fn the_ladder_has_a_line_for_each_end_and_an_arrow_for_each_message() {
        let expected = "\
SIP messages of leg 3
Call-ID 1b2c@192.0.2.1

           this room        192.0.2.9:5060 UDP                192.0.2.2:5061 TLS
   0.000 s │─ INVITE (SDP) ─────────────────>│                                 │
           │   repeated 2×, last 1.500 s     │                                 │
   1.512 s │<─ 407 Proxy Authentication Re… ─│                                 │
   1.513 s │─ ACK ──────────────────────────>│                                 │
   1.513 s │─ INVITE (SDP) ─────────────────>│                                 │
   1.620 s │<─ 180 Ringing (INVITE) ─────────│                                 │
   4.000 s │<─ 200 OK (INVITE, SDP) ─────────│                                 │
   4.000 s │─ ACK ────────────────────────────────────────────────────────────>│
           ┆   12 messages were not kept     ┆                                 ┆
  61.004 s │<─ BYE ────────────────────────────────────────────────────────────│
  61.004 s │─ 200 OK (BYE) ───────────────────────────────────────────────────>│
";
        assert_eq!(drawn(&ladder(), 80, Language::English), expected);
    }

    #[test]
    fn wide_characters_leave_the_lines_straight() {
        use api::sip_ladder::SipDirection::{Received, Sent};
        let mut ladder = ladder();
        ladder.messages = vec![
            message(0.0, Sent, "INVITE sip:a@example.com SIP/2.0", "INVITE"),
            message(
                3_000.0,
                Received,
                "SIP/2.0 486 会议室正忙,请稍后再拨打",
                "INVITE",
            ),
            message(9_000.0, Received, "SIP/2.0 486 正忙", "INVITE"),
        ];
        ladder.messages[0].retransmissions = 1;
        ladder.messages[0].last_retransmission_ms = Some(500.0);
        let expected = "\
通话 3 的 SIP 消息
Call-ID 1b2c@192.0.2.1

           本会议室     192.0.2.9:5060 UDP
   0.000 s │─ INVITE ───────────────────>│
           │   重传 1 次,最后 0.500 s    │
   3.000 s │<─ 486 会议室正忙,请稍后再… ─│
   9.000 s │<─ 486 正忙 (INVITE) ────────│
";
        assert_eq!(drawn(&ladder, 42, Language::Chinese), expected);
    }

    #[test]
    fn the_lines_are_straight_at_every_width() {
        for columns in 1..240 {
            for language in [Language::English, Language::Chinese] {
                let text = drawn(&ladder(), columns, language);
                let widths: Vec<usize> = text.lines().skip(3).map(UnicodeWidthStr::width).collect();
                assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
                assert!(columns < 73 || widths[0] <= columns, "{columns}:\n{text}");
            }
        }
    }

    #[test]
    fn the_messages_follow_where_they_are_asked_for() {
        let mut ladder = ladder();
        ladder.messages.truncate(1);
        let drawing = Drawing::new(&ladder, None, Language::English);
        let text = draw(&drawing, 60, Style::Plain, Detail::Messages);
        let expected = "
0.000 s -> 192.0.2.9:5060 UDP  (repeated 2×, last 1.500 s)
  INVITE sip:ann@example.com SIP/2.0
  CSeq: 1 INVITE
";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_leg_without_messages_says_so() {
        let mut ladder = ladder();
        ladder.messages.clear();
        ladder.call_ids.clear();
        let text = drawn(&ladder, 80, Language::English);
        assert_eq!(
            text,
            "SIP messages of leg 3\nno SIP message was sent or received, or they have been forgotten\n"
        );
    }

    #[test]
    fn what_a_stranger_wrote_cannot_steer_the_terminal() {
        use api::sip_ladder::SipDirection::Received;
        let hostile = "\x1b[2J\r\n\u{202e}evil\u{7}";
        let mut ladder = ladder();
        let mut evil = message(0.0, Received, &format!("SIP/2.0 404 {hostile}"), hostile);
        evil.remote = hostile.into();
        evil.body_type = Some(hostile.into());
        evil.text = hostile.into();
        ladder.messages = vec![evil];
        ladder.call_ids = vec![hostile.into()];
        let drawing = Drawing::new(&ladder, None, Language::English);
        let text = draw(&drawing, 80, Style::Plain, Detail::Messages);
        let is_harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(is_harmful), "{text:?}");
    }

    #[test]
    fn colours_are_for_terminals_that_have_them() {
        let ladder = ladder();
        let drawing = Drawing::new(&ladder, None, Language::English);
        let coloured = draw(&drawing, 80, Style::Colour, Detail::Drawing);
        assert!(coloured.contains("\x1b[32m<─ 200 OK"), "{coloured}");
        let plain = draw(&drawing, 80, Style::Plain, Detail::Drawing);
        assert!(!plain.contains('\x1b'));
    }
}
