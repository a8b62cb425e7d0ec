//! The certificate of the guests' server on a terminal.

use api::guest_certificate::{GuestCertificate, GuestCertificateFailure, GuestCertificateState};
use api::{Language, Localized};

use super::{Clock, Sheet};
use crate::terminal::{Tone, harmless};

impl Sheet {
    /// What is amiss or under way; nothing while a certificate is there and nothing failed.
    pub(super) fn guest_certificate(&mut self, certificate: &GuestCertificate, clock: Clock) {
        let end = certificate.not_after_unix_ms;
        let ended = end.is_some_and(|end| clock.is_past(end));
        let failure = certificate.failure.as_ref();
        if failure.is_none() && end.is_some() && !ended {
            return;
        }
        let (tone, shown) = match (end, ended, self.language) {
            (Some(_), true, Language::English) => (Tone::Bad, "has expired".to_owned()),
            (Some(_), true, Language::Chinese) => (Tone::Bad, "已过期".to_owned()),
            (Some(end), false, Language::English) => {
                (Tone::Notable, format!("good for {}", clock.until(end)))
            }
            (Some(end), false, Language::Chinese) => {
                (Tone::Notable, format!("有效期还剩 {}", clock.until(end)))
            }
            (None, _, Language::English) => (
                Tone::Notable,
                "the room's own authority stands in".to_owned(),
            ),
            (None, _, Language::Chinese) => {
                (Tone::Notable, "暂用会议室自有的证书颁发机构".to_owned())
            }
        };
        let shown = self.style.paint(tone, &shown);
        let going_on = match (certificate.state, certificate.next_unix_ms, self.language) {
            (GuestCertificateState::Ordering, _, Language::English) => {
                ", one is being ordered".to_owned()
            }
            (GuestCertificateState::Ordering, _, Language::Chinese) => ",正在申请".to_owned(),
            (GuestCertificateState::Waiting, Some(next), Language::English) => {
                format!(", next step in {}", clock.until(next))
            }
            (GuestCertificateState::Waiting, Some(next), Language::Chinese) => {
                format!(",{} 后进行下一步", clock.until(next))
            }
            (GuestCertificateState::Waiting, None, _) => String::new(),
        };
        let name = harmless(&certificate.name);
        self.line(
            ("Guests' TLS", "访客证书"),
            &format!("{name}: {shown}{going_on}"),
        );
        if let Some(failure) = failure {
            self.guest_certificate_failure(failure);
        }
    }

    fn guest_certificate_failure(&mut self, failure: &GuestCertificateFailure) {
        let reason = failure.reason.text(self.language);
        let reason = self.style.paint(Tone::Bad, &reason);
        let (hint, count) = (failure.reason.hint(self.language), failure.count);
        let line = match self.language {
            Language::English if count == 1 => format!("{reason} ({hint}); failed once"),
            Language::English => format!("{reason} ({hint}); failed {count} times"),
            Language::Chinese => format!("{reason}({hint});已失败 {count} 次"),
        };
        self.line(("", ""), &line);
        if !failure.detail.is_empty() {
            self.line(("", ""), &harmless(&failure.detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use api::guest_certificate::GuestCertificateReason;

    use super::super::{samples, status};
    use super::*;
    use crate::terminal::Style;

    const CLOCK: Clock = Clock {
        unix_ms: 1_790_000_000_000,
    };

    fn shown(certificate: GuestCertificate, language: Language) -> String {
        let mut room = samples::snapshot(Vec::new());
        room.guest_certificate = Some(certificate);
        status(&room, language, Style::Plain, CLOCK)
    }

    fn good() -> GuestCertificate {
        GuestCertificate {
            name: "room.example.com".to_owned(),
            state: GuestCertificateState::Waiting,
            next_unix_ms: Some(CLOCK.unix_ms + 3_600_000),
            not_after_unix_ms: Some(CLOCK.unix_ms + 7_200_000),
            failure: None,
        }
    }

    #[test]
    fn the_status_is_silent_on_a_certificate_that_is_good() {
        let text = shown(good(), Language::English);
        assert!(!text.contains("room.example.com"), "{text}");
    }

    #[test]
    fn the_status_says_why_there_is_no_certificate_and_what_to_do() {
        let failed = GuestCertificate {
            not_after_unix_ms: None,
            failure: Some(GuestCertificateFailure {
                reason: GuestCertificateReason::NameNotProven,
                detail: "Connection refused\u{1b}[2J".to_owned(),
                count: 3,
                at_unix_ms: CLOCK.unix_ms,
            }),
            ..good()
        };
        let text = shown(failed.clone(), Language::English);
        for words in [
            "room.example.com: the room's own authority stands in, next step in 1:00:00\n",
            "did not find this room under its name (the name has to lead to this room",
            "failed 3 times\n",
            "Connection refused",
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        let text = shown(failed.clone(), Language::Chinese);
        assert!(text.contains("已失败 3 次"), "{text}");
        let mut once = failed;
        if let Some(failure) = &mut once.failure {
            failure.count = 1;
        }
        let text = shown(once, Language::English);
        assert!(text.contains("; failed once\n"), "{text}");
        let ordering = GuestCertificate {
            state: GuestCertificateState::Ordering,
            next_unix_ms: None,
            not_after_unix_ms: None,
            ..good()
        };
        let text = shown(ordering, Language::English);
        assert!(text.contains("stands in, one is being ordered\n"), "{text}");
        let expired = GuestCertificate {
            not_after_unix_ms: Some(CLOCK.unix_ms - 1),
            ..good()
        };
        let text = shown(expired, Language::English);
        assert!(text.contains("room.example.com: has expired"), "{text}");
    }
}
