//! The links of guests, as people read them.

use api::Language;
use api::guests::{Admit, FreshInvitation, Invitation, Invitations};

use super::Clock;
use crate::terminal::{Style, Tone, harmless, padded};

/// The columns of a link's number.
const NUMBER_COLUMNS: usize = 6;
/// The columns of the time that it has left.
const TIME_COLUMNS: usize = 12;

/// A link that was just made: alone on the first line, so that it can be copied or piped.
pub(crate) fn link(fresh: &FreshInvitation, language: Language, now: Clock) -> String {
    let left = now.until(fresh.invitation.expires_unix_ms);
    let mut text = format!("{}\n", fresh.url);
    text += &match language {
        Language::English => format!(
            "Invitation {}, good for {left}; it cannot be shown again.\n",
            fresh.invitation.id
        ),
        Language::Chinese => format!(
            "邀请 {},有效期 {left};链接无法再次查看。\n",
            fresh.invitation.id
        ),
    };
    if let Some(fingerprint) = &fresh.authority_fingerprint {
        text += &match language {
            Language::English => format!(
                "Browsers have to trust this room first (see /trust there); its authority is\n{fingerprint}\n"
            ),
            Language::Chinese => {
                format!(
                    "浏览器须先信任本会议室(见其 /trust 页面);其证书颁发机构为\n{fingerprint}\n"
                )
            }
        };
    }
    text
}

/// The links that are good, a line each.
pub(crate) fn list(list: &Invitations, language: Language, style: Style, now: Clock) -> String {
    if list.invitations.is_empty() {
        return match language {
            Language::English => "no links are good\n".to_owned(),
            Language::Chinese => "没有有效的链接\n".to_owned(),
        };
    }
    let line = |invitation| line(invitation, language, style, now);
    list.invitations.iter().map(line).collect()
}

fn line(invitation: &Invitation, language: Language, style: Style, now: Clock) -> String {
    let admit = match (invitation.admit, language) {
        (Admit::Ask, Language::English) => "guests knock",
        (Admit::Ask, Language::Chinese) => "访客须等待放行",
        (Admit::Automatically, Language::English) => "guests come in",
        (Admit::Automatically, Language::Chinese) => "访客直接加入",
    };
    let guests = match language {
        Language::English => format!("guests {}", invitation.guests),
        Language::Chinese => format!("访客 {}", invitation.guests),
    };
    let number = padded(&invitation.id.to_string(), NUMBER_COLUMNS);
    let number = style.paint(Tone::Strong, &number);
    let left = padded(&now.until(invitation.expires_unix_ms), TIME_COLUMNS);
    let label = invitation.label.as_deref().map(harmless);
    let label = label.map(|label| format!("  {label}")).unwrap_or_default();
    format!("{number}{left}{admit}  {guests}{label}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Clock = Clock { unix_ms: 1_000_000 };

    fn invitation(label: Option<&str>) -> Invitation {
        Invitation {
            id: 3,
            label: label.map(str::to_owned),
            admit: Admit::Ask,
            created_unix_ms: 0,
            expires_unix_ms: 1_000_000 + 90 * 60_000,
            guests: 2,
        }
    }

    #[test]
    fn a_fresh_link_stands_alone_on_the_first_line() {
        let fresh = FreshInvitation {
            invitation: invitation(None),
            url: "https://room.example/join#secret".into(),
            authority_fingerprint: Some("AB:CD".into()),
        };
        let english = link(&fresh, Language::English, NOW);
        assert_eq!(english.lines().next(), Some(fresh.url.as_str()));
        assert!(english.contains("good for 1:30:00") && english.contains("AB:CD"));
        assert!(link(&fresh, Language::Chinese, NOW).contains("有效期 1:30:00"));
    }

    #[test]
    fn links_are_listed_without_what_would_disturb_the_terminal() {
        let links = Invitations {
            invitations: vec![invitation(Some("board\u{1b}[2J"))],
        };
        let plain = Style::Plain;
        let english = list(&links, Language::English, plain, NOW);
        assert!(!english.contains('\u{1b}'), "{english:?}");
        assert!(english.starts_with("3     1:30:00     guests knock  guests 2  board"));
        let none = Invitations {
            invitations: Vec::new(),
        };
        assert_eq!(
            list(&none, Language::English, plain, NOW),
            "no links are good\n"
        );
    }
}
