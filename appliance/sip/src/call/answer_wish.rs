//! How a caller wishes to be answered: Answer-Mode (RFC 5373 section 4), and what intercoms and door
//! stations said before there was one; and how it is told that it was.
//!
//! What a caller requires to be done by a hand always can be, so that only `Auto;require` may have to be
//! refused.

use crate::endpoint::AnswerWish;
use crate::grammar::{HeaderName, Headers};

/// What Alert-Info says, in whatever form, to have a call answered at once.
const ALERTS: [&str; 3] = ["alert-autoanswer", "auto answer", "auto-answer"];
/// The same in Call-Info.
const ANSWER_AFTER_NOTHING: &str = "answer-after=0";

/// What the header fields of an INVITE wish for. Answer-Mode outranks what is older; one that nobody
/// understands wishes for nothing. Priv-Answer-Mode wants what an owner has forbidden: it gets no more
/// than Answer-Mode would, so that one which does not insist is passed over, and one that does is a call
/// that is answered at once or not at all.
pub(super) fn answer_wish(headers: &Headers) -> AnswerWish {
    if mode(headers, &HeaderName::PrivAnswerMode) == Some(AnswerWish::AutomaticOnly) {
        return AnswerWish::AutomaticOnly;
    }
    if let Some(wish) = mode(headers, &HeaderName::AnswerMode) {
        return wish;
    }
    let says = |name: &HeaderName, words: &[&str]| {
        headers.all(name).any(|value| {
            let value = String::from_utf8_lossy(value).to_ascii_lowercase();
            words.iter().any(|word| value.contains(word))
        })
    };
    let at_once = says(&HeaderName::AlertInfo, &ALERTS)
        || headers
            .all(&HeaderName::CallInfo)
            .any(|value| answers_after_nothing(&String::from_utf8_lossy(value)));
    if at_once {
        AnswerWish::Automatic
    } else {
        AnswerWish::None
    }
}

/// What one of the two header fields wishes for, where it is there.
fn mode(headers: &Headers, name: &HeaderName) -> Option<AnswerWish> {
    let mode = headers.text(name)?;
    let mut parts = mode.split(';').map(str::trim);
    let word = parts.next().unwrap_or_default();
    let is_required = parts.any(|param| param.eq_ignore_ascii_case("require"));
    Some(match word.to_ascii_lowercase().as_str() {
        "auto" if is_required => AnswerWish::AutomaticOnly,
        "auto" => AnswerWish::Automatic,
        "manual" => AnswerWish::Manual,
        _ => AnswerWish::None,
    })
}

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerMode {
    Manual,
    Automatic,
}

impl AnswerMode {
    /// Tells a caller who has said how it wishes to be answered how it is.
    pub(super) fn write(self, invite: &Headers, response: &mut Headers) {
        let mode = match self {
            Self::Manual => "Manual",
            Self::Automatic => "Auto",
        };
        for name in [HeaderName::AnswerMode, HeaderName::PrivAnswerMode] {
            if invite.contains(&name) {
                response.push(name, mode).expect("plain text");
            }
        }
    }
}

/// Whether one of the parameters is `answer-after=0`, and not `answer-after=05`.
fn answers_after_nothing(value: &str) -> bool {
    value
        .split([';', ','])
        .any(|part| part.trim().eq_ignore_ascii_case(ANSWER_AFTER_NOTHING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_from_what_peers_really_send() {
        use HeaderName as H;
        for (name, value, expected) in [
            (H::AnswerMode, "Auto", AnswerWish::Automatic),
            (H::AnswerMode, "auto;require", AnswerWish::AutomaticOnly),
            (
                H::AnswerMode,
                "Auto ; x=y ; REQUIRE",
                AnswerWish::AutomaticOnly,
            ),
            (H::AnswerMode, "Auto;required", AnswerWish::Automatic),
            (H::AnswerMode, "Manual;require", AnswerWish::Manual),
            (H::AnswerMode, "Manual", AnswerWish::Manual),
            (H::AnswerMode, "Later", AnswerWish::None),
            (H::PrivAnswerMode, "Auto", AnswerWish::None),
            (H::PrivAnswerMode, "Manual", AnswerWish::None),
            (H::PrivAnswerMode, "Auto;require", AnswerWish::AutomaticOnly),
            (
                H::AlertInfo,
                "<http://x.example>;info=alert-autoanswer",
                AnswerWish::Automatic,
            ),
            (
                H::AlertInfo,
                "info=alert-autoanswer;delay=0",
                AnswerWish::Automatic,
            ),
            (H::AlertInfo, "Auto Answer", AnswerWish::Automatic),
            (
                H::AlertInfo,
                "<urn:alert:source:internal>",
                AnswerWish::None,
            ),
            (
                H::CallInfo,
                "<sip:x.example>;answer-after=0",
                AnswerWish::Automatic,
            ),
            (
                H::CallInfo,
                "<sip:x.example>;answer-after=05",
                AnswerWish::None,
            ),
            (
                H::CallInfo,
                "<sip:x.example>;answer-after=3",
                AnswerWish::None,
            ),
            (H::Subject, "alert-autoanswer", AnswerWish::None),
        ] {
            let mut headers = Headers::default();
            headers.push(name, value).expect("plain text");
            assert_eq!(answer_wish(&headers), expected, "{value}");
        }
    }

    #[test]
    fn what_insists_on_a_privilege_outranks_what_is_wished_for_without() {
        for (privileged, ordinary, expected) in [
            ("Auto;require", "Manual", AnswerWish::AutomaticOnly),
            ("Auto;require", "Auto", AnswerWish::AutomaticOnly),
            ("Auto", "Manual", AnswerWish::Manual),
            ("Auto", "Auto", AnswerWish::Automatic),
        ] {
            let mut headers = Headers::default();
            for (name, value) in [
                (HeaderName::AnswerMode, ordinary),
                (HeaderName::PrivAnswerMode, privileged),
            ] {
                headers.push(name, value).expect("plain text");
            }
            assert_eq!(answer_wish(&headers), expected, "{privileged} {ordinary}");
        }
    }

    #[test]
    fn what_is_newer_outranks_what_is_older() {
        let mut headers = Headers::default();
        headers
            .push(HeaderName::AlertInfo, "info=alert-autoanswer")
            .expect("plain text");
        headers
            .push(HeaderName::AnswerMode, "Manual")
            .expect("plain text");
        assert_eq!(answer_wish(&headers), AnswerWish::Manual);
    }
}
