//! The ladder as a picture: one SVG file that needs nothing else, on a light ground.
//!
//! Each message has its whole text, secrets removed, as a tooltip (`<title>`).

use std::fmt::Write;

use api::sip_ladder::SipDirection;

use unicode_width::UnicodeWidthStr;

use super::{Drawing, Kind, Row, shortened};

/// Pixels.
const MARGIN: usize = 24;
/// The room's own line.
const ROOM_X: usize = 130;
/// Between two lines of the ladder: with one far end, with several.
const STEPS: (usize, usize) = (560, 420);
const ROW_HEIGHT: usize = 44;
const NOTE_HEIGHT: usize = 20;
const TITLE_HEIGHT: usize = 26;
const REMARK_HEIGHT: usize = 20;
const FONT_SIZE: usize = 14;
/// Tenths of a pixel that a column of the font takes at most.
const COLUMN_TENTHS: usize = 86;

const FONTS: &str = "'DejaVu Sans Mono', 'Noto Sans Mono CJK SC', Menlo, Consolas, monospace";

const INK: &str = "#1b1f24";
const FAINT: &str = "#57606a";
const LINE: &str = "#afb8c1";

fn colour_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "#0b57d0",
        Kind::Provisional => "#57606a",
        Kind::Success => "#1a7f37",
        Kind::Detour => "#8a5a00",
        Kind::Failure => "#cf222e",
    }
}

/// Draws the ladder.
pub(crate) fn draw(drawing: &Drawing<'_>) -> String {
    let count = drawing.remotes.len().max(1);
    let step = if count == 1 { STEPS.0 } else { STEPS.1 };
    let right = ROOM_X + count * step;
    // The outermost heading is centred on its line.
    let outermost = drawing.remotes.last().map_or(0, |name| name.width());
    let width = right + (outermost * COLUMN_TENTHS / 20).min(step / 2) + MARGIN;
    let head = MARGIN + TITLE_HEIGHT + drawing.remarks.len() * REMARK_HEIGHT + 12;
    let top = head + 44;
    let rows: usize = drawing.rows.iter().map(height_of).sum();
    let bottom = top + rows + 12;
    let height = if drawing.rows.is_empty() {
        head + MARGIN
    } else {
        bottom + MARGIN
    };
    let mut sheet = Sheet {
        svg: String::new(),
        step,
    };
    sheet.put(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\" font-size=\"{FONT_SIZE}\">"
    ));
    sheet.put(&format!("<title>{}</title>", escaped(&drawing.title)));
    sheet.put(&format!(
        "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
    ));
    let mut y = MARGIN + 14;
    let fits = (width - 2 * MARGIN) * 10 / COLUMN_TENTHS;
    let title = escaped(&shortened(&drawing.title, fits));
    sheet.put(&format!(
        "<text x=\"{MARGIN}\" y=\"{y}\" font-weight=\"bold\" fill=\"{INK}\">{title}</text>"
    ));
    y += TITLE_HEIGHT - 4;
    for remark in &drawing.remarks {
        let remark = escaped(&shortened(remark, fits));
        sheet.put(&format!(
            "<text x=\"{MARGIN}\" y=\"{y}\" font-size=\"12\" fill=\"{FAINT}\">{remark}</text>"
        ));
        y += REMARK_HEIGHT;
    }
    if !drawing.rows.is_empty() {
        sheet.ends(drawing, head + 16, top, bottom);
        let mut y = top;
        for row in &drawing.rows {
            sheet.row(row, y);
            y += height_of(row);
        }
    }
    sheet.put("</svg>");
    sheet.svg
}

fn height_of(row: &Row<'_>) -> usize {
    let extra = row.gap.iter().chain(&row.note).count();
    ROW_HEIGHT + extra * NOTE_HEIGHT
}

/// The picture as it grows. Writing to a `String` cannot fail.
struct Sheet {
    svg: String,
    step: usize,
}

impl Sheet {
    fn put(&mut self, line: &str) {
        let _ = writeln!(self.svg, "{line}");
    }

    fn ends(&mut self, drawing: &Drawing<'_>, heading_y: usize, top: usize, bottom: usize) {
        let names =
            std::iter::once(drawing.room()).chain(drawing.remotes.iter().map(String::as_str));
        for (index, name) in names.enumerate() {
            let x = ROOM_X + index * self.step;
            let name = escaped(&shortened(name, self.step * 10 / COLUMN_TENTHS));
            self.put(&format!(
                "<text x=\"{x}\" y=\"{heading_y}\" text-anchor=\"middle\" font-weight=\"bold\" \
                 fill=\"{INK}\">{name}</text>"
            ));
            let start = top - 18;
            self.put(&format!(
                "<line x1=\"{x}\" y1=\"{start}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"{LINE}\" \
                 stroke-width=\"2\"/>"
            ));
        }
    }

    fn row(&mut self, row: &Row<'_>, top: usize) {
        let mut y = top;
        if let Some(gap) = &row.gap {
            self.note(gap, y + 8);
            y += NOTE_HEIGHT;
        }
        let far = ROOM_X + (row.remote + 1) * self.step;
        let colour = colour_of(row.kind);
        let (shaft, time) = (y + 26, &row.time);
        self.put(&format!("<g><title>{}</title>", escaped(&row.message.text)));
        // So that the pointer need not hit the letters.
        self.put(&format!(
            "<rect x=\"{ROOM_X}\" y=\"{y}\" width=\"{}\" height=\"{ROW_HEIGHT}\" fill=\"#ffffff\" \
             fill-opacity=\"0\"/>",
            far - ROOM_X
        ));
        self.put(&format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"12\" fill=\"{FAINT}\">{time} \
             s</text>",
            ROOM_X - 14,
            shaft + 4
        ));
        let fits = (far - ROOM_X - 30) * 10 / COLUMN_TENTHS;
        let label = escaped(&shortened(&row.label, fits));
        self.put(&format!(
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\">{label}</text>",
            ROOM_X + 18,
            shaft - 7
        ));
        let (from, to, tip) = match row.message.direction {
            SipDirection::Sent => (ROOM_X + 2, far - 10, [far - 2, far - 13]),
            SipDirection::Received => (far - 2, ROOM_X + 10, [ROOM_X + 2, ROOM_X + 13]),
        };
        self.put(&format!(
            "<line x1=\"{from}\" y1=\"{shaft}\" x2=\"{to}\" y2=\"{shaft}\" stroke=\"{colour}\" \
             stroke-width=\"2\"/>"
        ));
        let [point, back] = tip;
        self.put(&format!(
            "<polygon points=\"{point},{shaft} {back},{} {back},{}\" fill=\"{colour}\"/>",
            shaft - 5,
            shaft + 5
        ));
        if let Some(note) = &row.note {
            self.note(note, shaft + 18);
        }
        self.put("</g>");
    }

    fn note(&mut self, note: &str, y: usize) {
        let fits = (self.step - 30) * 10 / COLUMN_TENTHS;
        let note = escaped(&shortened(note, fits));
        self.put(&format!(
            "<text x=\"{}\" y=\"{y}\" font-size=\"12\" font-style=\"italic\" \
             fill=\"{FAINT}\">{note}</text>",
            ROOM_X + 18
        ));
    }
}

/// Text for an XML document: what would be markup is escaped, what XML 1.0 (section 2.2) forbids is
/// replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use api::Language;
    use api::sip_ladder::SipDirection::{Received, Sent};

    use super::super::samples::{ladder, message};
    use super::*;

    fn drawn(ladder: &api::SipLadder, language: Language) -> String {
        draw(&Drawing::new(ladder, None, language))
    }

    /// To renew the picture after a change, and look at it:
    /// `RENEW_PICTURE=1 cargo test -p roomctl`.
    #[test]
    fn the_picture_is_the_one_that_somebody_has_looked_at() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sip-ladder.svg");
        let drawn = drawn(&ladder(), Language::English);
        if std::env::var_os("RENEW_PICTURE").is_some() {
            std::fs::write(file, &drawn).unwrap();
        }
        let known = std::fs::read_to_string(file).unwrap_or_default();
        assert!(drawn == known, "run RENEW_PICTURE=1 cargo test -p roomctl");
    }

    #[test]
    fn what_a_stranger_wrote_is_no_markup() {
        let hostile = "<script>alert('x')</script>&\"\u{0}\u{1b}[2J\u{ffff}]]>";
        let mut ladder = ladder();
        let mut evil = message(5.0, Received, &format!("SIP/2.0 404 {hostile}"), hostile);
        evil.remote = hostile.into();
        evil.body_type = Some(hostile.into());
        evil.text = hostile.into();
        ladder.messages.push(evil);
        ladder.call_ids = vec![hostile.into()];
        let svg = drawn(&ladder, Language::English);
        assert!(!svg.contains("<script") && !svg.contains("]]>"), "{svg}");
        let is_allowed =
            |c: char| !matches!(c, '\u{0}'..='\u{9}' | '\u{b}'..='\u{1f}' | '\u{ffff}');
        assert!(svg.chars().all(is_allowed));
        let tags: Vec<&str> = svg
            .split('<')
            .skip(1)
            .map(|tag| tag.split([' ', '>']).next().unwrap())
            .collect();
        for tag in tags {
            let known = ["svg", "title", "rect", "text", "line", "g", "polygon"];
            assert!(known.contains(&tag.trim_start_matches('/')), "{tag}");
        }
        assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    }

    #[test]
    fn each_message_has_its_text_as_a_tooltip_and_a_colour_of_its_kind() {
        let mut ladder = ladder();
        ladder.messages = vec![
            message(0.0, Sent, "INVITE sip:a@example.com SIP/2.0", "INVITE"),
            message(1.0, Received, "SIP/2.0 486 Busy Here", "INVITE"),
        ];
        let svg = drawn(&ladder, Language::Chinese);
        assert!(svg.contains("<title>SIP/2.0 486 Busy Here\nCSeq: 1 INVITE\n</title>"));
        assert!(svg.contains(&format!("fill=\"{}\">486", colour_of(Kind::Failure))));
        assert!(svg.contains("本会议室"));
    }
}
