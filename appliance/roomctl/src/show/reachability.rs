//! What a test of the ways of guests has found, as people read it.

use api::reachability::{Finding, Reachability, Verdict};
use api::{Language, Localized};

use crate::terminal::{Style, Tone, harmless, padded};

/// The columns of a verdict.
const VERDICT_COLUMNS: usize = 9;

/// A line for what was looked at, one for what was found there, and one for what to do.
pub(crate) fn findings(found: &Reachability, language: Language, style: Style) -> String {
    let finding = |one| finding(one, language, style);
    found.findings.iter().map(finding).collect()
}

fn finding(finding: &Finding, language: Language, style: Style) -> String {
    let tone = match finding.verdict {
        Verdict::Works => Tone::Good,
        Verdict::Problem => Tone::Bad,
        Verdict::Note => Tone::Notable,
    };
    let verdict = padded(&finding.verdict.text(language), VERDICT_COLUMNS);
    let indent = " ".repeat(VERDICT_COLUMNS);
    let subject = style.paint(Tone::Strong, &harmless(&finding.subject));
    let what = finding.code.text(language);
    let detail = finding.detail.as_deref().map(harmless);
    let detail = match language {
        Language::English => detail.map(|detail| format!(": {detail}")),
        Language::Chinese => detail.map(|detail| format!(":{detail}")),
    };
    let mut text = format!(
        "{}{subject}\n{indent}{what}{}\n",
        style.paint(tone, &verdict),
        detail.unwrap_or_default()
    );
    if let Some(advice) = finding.code.advice(language) {
        text += &format!("{indent}-> {advice}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use api::reachability::FindingCode;

    use super::*;

    #[test]
    fn what_was_found_is_said_with_what_to_do() {
        let found = Reachability {
            findings: vec![
                Finding::new(
                    FindingCode::TurnRelays,
                    "turn:turn.example.com".to_owned(),
                    Some("203.0.113.9:49152".to_owned()),
                ),
                Finding::new(
                    FindingCode::TurnCredentialsWrong,
                    "turn:turn.example.com?transport=tcp".to_owned(),
                    None,
                ),
            ],
        };
        assert_eq!(
            findings(&found, Language::English, Style::Plain),
            "works    turn:turn.example.com\n         \
             the TURN server gives an address, and what is sent there comes: 203.0.113.9:49152\n\
             problem  turn:turn.example.com?transport=tcp\n         \
             the TURN server does not take the name and password\n         \
             -> compare the name and the password, or the shared secret, with those of the server; with a \
             shared secret also the clocks\n"
        );
        let chinese = findings(&found, Language::Chinese, Style::Plain);
        assert!(
            chinese.starts_with("正常     turn:turn.example.com\n"),
            "{chinese}"
        );
        assert!(chinese.contains("-> 请与服务器核对"), "{chinese}");
    }
}
