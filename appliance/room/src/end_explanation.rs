//! What the far end says about the end of a call: its status, and its words.
//!
//! Anybody on the way may have written it. It is for people who look for a fault; nothing is decided
//! by it.

use std::time::Duration;

/// What the far end, or a proxy, has said of the end of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndExplanation {
    /// The SIP status code by which it refused; `None` when it sent CANCEL or BYE.
    pub status: Option<u16>,
    /// How long it does not want to be called again (Retry-After, RFC 3261 section 20.33).
    pub retry_after: Option<Duration>,
    words: Vec<String>,
}

impl EndExplanation {
    /// How many words of one end are kept.
    pub const MAX_WORDS: usize = 8;
    /// How many characters of each are kept.
    pub const MAX_CHARACTERS: usize = 160;

    /// Keeps of the words what a line can show: no control characters, and none that turn the
    /// direction of what follows.
    #[must_use]
    pub fn new(
        status: Option<u16>,
        retry_after: Option<Duration>,
        words: impl IntoIterator<Item = String>,
    ) -> Self {
        let words = words.into_iter().map(|words| harmless(&words));
        let words = words.filter(|words| !words.is_empty());
        Self {
            status,
            retry_after,
            words: words.take(Self::MAX_WORDS).collect(),
        }
    }

    /// The far end's words, from Reason (RFC 3326) and Warning (RFC 3261 section 20.43), in their
    /// order. At most [`Self::MAX_WORDS`] of at most [`Self::MAX_CHARACTERS`].
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

fn harmless(words: &str) -> String {
    let kept = words.chars().filter(|c| !c.is_control() && !turns_text(*c));
    let kept: String = kept.take(EndExplanation::MAX_CHARACTERS).collect();
    kept.trim().to_owned()
}

/// Marks of direction, and separators of lines: they change how the text around them is shown.
const fn turns_text(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_far_end_writes_stays_within_a_few_lines() {
        let flood = vec!["x".repeat(10_000); 1_000];
        let explanation = EndExplanation::new(Some(486), None, flood);
        assert_eq!(explanation.words().len(), EndExplanation::MAX_WORDS);
        for words in explanation.words() {
            assert_eq!(words.len(), EndExplanation::MAX_CHARACTERS);
        }
    }

    #[test]
    fn what_would_change_the_text_around_it_is_left_out() {
        for (written, kept) in [
            ("gone\x1b[31m away\r\n", Some("gone[31m away")),
            ("a\u{202e}b\u{2066}c\u{2028}d\u{85}", Some("abcd")),
            ("没有人在", Some("没有人在")),
            ("\u{7}\t ", None),
        ] {
            let explanation = EndExplanation::new(None, None, [written.to_owned()]);
            let words: Vec<&str> = explanation.words().iter().map(String::as_str).collect();
            assert_eq!(words, Vec::from_iter(kept), "{written:?}");
        }
    }
}
