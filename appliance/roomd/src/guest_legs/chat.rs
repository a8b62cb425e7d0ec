//! Lines of chat between guests, as their pages write and read them on the data channel.
//!
//! From a page: `{"type": "chat", "text": "..."}`. To a page the same with `from`, the name of who wrote it.

use serde::{Deserialize, Serialize};

/// The name of the data channel.
pub(super) const CHANNEL: &str = "roomd";

/// The longest line that is passed on, in characters.
const LONGEST: usize = 2_000;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FromPage {
    Chat { text: String },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToPage<'a> {
    Chat { from: &'a str, text: &'a str },
}

/// What the other pages are sent of a page's text; `None` where it is no line of chat.
pub(super) fn to_others(from: &str, text: &str) -> Option<String> {
    let FromPage::Chat { text } = serde_json::from_str(text).ok()?;
    let is_line = !text.trim().is_empty() && text.chars().count() <= LONGEST;
    let line = ToPage::Chat { from, text: &text };
    is_line.then(|| serde_json::to_string(&line).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_passed_on_with_the_name_that_the_room_knows() {
        let line = r#"{"type": "chat", "text": "hello", "from": "somebody else"}"#;
        assert_eq!(
            to_others("Anna", line).as_deref(),
            Some(r#"{"type":"chat","from":"Anna","text":"hello"}"#)
        );
    }

    #[test]
    fn what_is_no_line_of_chat_goes_to_nobody() {
        let long = format!(r#"{{"type": "chat", "text": "{}"}}"#, "x".repeat(2_001));
        for text in [
            "",
            "hello",
            "[]",
            r#"{"type": "caption", "text": "x"}"#,
            r#"{"type": "chat", "text": "  "}"#,
            &long,
        ] {
            assert_eq!(to_others("Anna", text), None, "{text}");
        }
    }
}
