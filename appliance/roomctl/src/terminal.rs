//! What a terminal needs: colours, columns, and protection from what strangers write.

use std::io::{IsTerminal, stdout};

use unicode_width::UnicodeWidthStr;

/// Whether the output may have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// For files and pipes.
    Plain,
    /// For a terminal.
    Colour,
}

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Notable,
    /// Something is wrong.
    Bad,
    /// A heading or a name.
    Strong,
    /// Of little weight.
    Faint,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set or the terminal cannot show them.
    pub(crate) fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let unable = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if stdout().is_terminal() && !unwanted && !unable {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// The text in the colour of its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Notable => "33",
            Tone::Bad => "31",
            Tone::Strong => "1",
            Tone::Faint => "2",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    /// The text from the top of the screen, over whatever stood there.
    pub(crate) fn screen(text: &str) -> String {
        // Each line is cleared as it is written, then everything below: no flicker.
        format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
    }
}

/// Columns where no terminal says how many it has.
const USUAL_COLUMNS: usize = 80;

/// How many columns the output has.
pub(crate) fn columns_of_stdout() -> usize {
    // What is no terminal, and one of unknown size, has none.
    let columns = rustix::termios::tcgetwinsize(stdout()).map_or(0, |size| size.ws_col);
    match usize::from(columns) {
        0 => USUAL_COLUMNS,
        columns => columns,
    }
}

/// The text with spaces up to a width in columns. A Chinese character takes two.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let spaces = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(spaces))
}

/// Text of a stranger without what could move the cursor, change colours or reverse the line.
pub(crate) fn harmless(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if is_harmful(c) { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_and_latin_labels_end_in_the_same_column() {
        assert_eq!(padded("会议室", 8).width(), padded("Room", 8).width());
        assert_eq!(padded("too long", 3), "too long");
    }

    #[test]
    fn a_strangers_name_cannot_steer_the_terminal() {
        let name = harmless("Ann\x1b[2J\r\n\u{202e}evil\u{7}");
        assert!(
            !name.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{name:?}"
        );
        assert_eq!(harmless("会议室 ☎"), "会议室 ☎");
    }

    #[test]
    fn plain_text_has_no_escapes() {
        assert_eq!(Style::Plain.paint(Tone::Bad, "x"), "x");
        assert!(Style::Colour.paint(Tone::Bad, "x").contains("\x1b[31m"));
    }
}
