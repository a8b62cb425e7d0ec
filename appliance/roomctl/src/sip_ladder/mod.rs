//! The SIP messages of a call as a ladder: a line for each end, an arrow for each message.
//!
//! [`Drawing`] says what stands where; [`text`] draws it on a terminal, [`svg`] into a picture. What
//! the messages say was written by strangers: the painters keep it from steering a terminal or from
//! being read as markup.

pub(crate) mod svg;
pub(crate) mod text;

use api::sip_ladder::SipMessage;
use api::snapshot::Leg;
use api::{Language, SipLadder, Snapshot};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::harmless;

/// What is to be drawn.
#[derive(Debug)]
pub(crate) struct Drawing<'a> {
    language: Language,
    title: String,
    /// Something to say under the title.
    remarks: Vec<String>,
    /// The far end's addresses, in the order in which they came up. The room's own line stands to
    /// the left of them.
    remotes: Vec<String>,
    rows: Vec<Row<'a>>,
}

/// One message.
#[derive(Debug)]
struct Row<'a> {
    /// An index of [`Drawing::remotes`].
    remote: usize,
    kind: Kind,
    label: String,
    /// Seconds since the first message.
    time: String,
    /// What became of it further.
    note: Option<String>,
    /// What is missing before it.
    gap: Option<String>,
    message: &'a SipMessage,
}

/// What a message is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Provisional,
    Success,
    /// A redirection or a challenge: the caller tries again.
    Detour,
    Failure,
}

impl Kind {
    fn of(status: Option<u16>) -> Self {
        match status {
            None => Self::Request,
            Some(100..=199) => Self::Provisional,
            Some(200..=299) => Self::Success,
            Some(300..=399 | 401 | 407) => Self::Detour,
            Some(_) => Self::Failure,
        }
    }
}

impl<'a> Drawing<'a> {
    /// A drawing of a ladder; what the snapshot knows of the leg stands above it.
    pub(crate) fn new(
        ladder: &'a SipLadder,
        snapshot: Option<&Snapshot>,
        language: Language,
    ) -> Self {
        let mut remotes = Vec::new();
        let mut rows = Vec::new();
        for message in &ladder.messages {
            let name = harmless(&format!("{} {}", message.remote, message.transport.name()));
            let remote = remotes.iter().position(|known| *known == name);
            let remote = remote.unwrap_or_else(|| {
                remotes.push(name);
                remotes.len() - 1
            });
            rows.push(Row {
                remote,
                kind: Kind::of(message.status),
                label: label(message),
                time: seconds(message.offset_ms),
                note: retransmissions(message, language),
                gap: gap(message, language),
                message,
            });
        }
        let mut remarks: Vec<_> = ladder
            .call_ids
            .iter()
            .map(|call_id| format!("Call-ID {}", harmless(call_id)))
            .collect();
        if rows.is_empty() {
            remarks.push(
                match language {
                    Language::English => {
                        "no SIP message was sent or received, or they have been forgotten"
                    }
                    Language::Chinese => "没有发送或收到 SIP 消息,或消息已不再保存",
                }
                .to_owned(),
            );
        }
        Self {
            language,
            title: title(ladder, snapshot, language),
            remarks,
            remotes,
            rows,
        }
    }

    fn room(&self) -> &'static str {
        match self.language {
            Language::English => "this room",
            Language::Chinese => "本会议室",
        }
    }
}

/// The leg and how it stands. Not its address: what was dialled may hold a passcode.
fn title(ladder: &SipLadder, snapshot: Option<&Snapshot>, language: Language) -> String {
    let Some(id) = ladder.leg else {
        return match language {
            Language::English => "The last call that was refused at once",
            Language::Chinese => "最近一次立即被拒绝的来电",
        }
        .to_owned();
    };
    let name = match language {
        Language::English => format!("SIP messages of leg {id}"),
        Language::Chinese => format!("通话 {id} 的 SIP 消息"),
    };
    let state = snapshot
        .and_then(|snapshot| legs(snapshot).find(|leg| leg.id == id))
        .map(|leg| leg.state_text(language));
    match (state, language) {
        (Some(state), Language::English) => format!("{name}, {state}"),
        (Some(state), Language::Chinese) => format!("{name}({state})"),
        (None, _) => name,
    }
}

/// The leg that came last, over or not.
pub(crate) fn newest_leg(snapshot: &Snapshot) -> Option<u32> {
    legs(snapshot).map(|leg| leg.id).max()
}

fn legs(snapshot: &Snapshot) -> impl Iterator<Item = &Leg> {
    snapshot.legs.iter().chain(&snapshot.last_ended)
}

/// `INVITE (SDP)`, `200 OK (INVITE, SDP)`.
fn label(message: &SipMessage) -> String {
    let body = message.body_type.as_deref().map(|body| {
        let is_sdp = body.eq_ignore_ascii_case("application/sdp");
        if is_sdp { "SDP" } else { body }
    });
    let (head, about) = match message.status {
        None => (message.method.as_str(), None),
        Some(_) => {
            let line = message.start_line.as_str();
            let line = line.strip_prefix("SIP/2.0 ").unwrap_or(line);
            let method = Some(message.method.as_str());
            (line.trim_end(), method.filter(|method| !method.is_empty()))
        }
    };
    let about: Vec<_> = about.into_iter().chain(body).collect();
    let label = if about.is_empty() {
        head.to_owned()
    } else {
        format!("{head} ({})", about.join(", "))
    };
    harmless(&label)
}

fn seconds(milliseconds: f64) -> String {
    format!("{:.3}", milliseconds / 1000.0)
}

fn retransmissions(message: &SipMessage, language: Language) -> Option<String> {
    let count = message.retransmissions;
    if count == 0 {
        return None;
    }
    let last = seconds(message.last_retransmission_ms.unwrap_or_default());
    Some(match language {
        Language::English => format!("repeated {count}×, last {last} s"),
        Language::Chinese => format!("重传 {count} 次,最后 {last} s"),
    })
}

fn gap(message: &SipMessage, language: Language) -> Option<String> {
    let count = message.left_out_before;
    (count > 0).then(|| match language {
        Language::English => format!("{count} messages were not kept"),
        Language::Chinese => format!("有 {count} 条消息未保存"),
    })
}

/// The text cut to a width in columns.
fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

/// A ladder for the tests of the painters: a call by a proxy that challenges, and a first INVITE
/// that was lost twice.
#[cfg(test)]
mod samples {
    use api::sip_ladder::{SipDirection, SipTransport};

    use super::*;

    pub(super) fn message(
        offset_ms: f64,
        direction: SipDirection,
        start_line: &str,
        method: &str,
    ) -> SipMessage {
        let status = start_line
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        SipMessage {
            offset_ms,
            direction,
            transport: SipTransport::Udp,
            remote: "192.0.2.9:5060".into(),
            method: method.into(),
            status,
            start_line: start_line.into(),
            body_type: None,
            text: format!("{start_line}\nCSeq: 1 {method}\n"),
            retransmissions: 0,
            last_retransmission_ms: None,
            left_out_before: 0,
        }
    }

    pub(super) fn ladder() -> SipLadder {
        use SipDirection::{Received, Sent};
        let invite = "INVITE sip:ann@example.com SIP/2.0";
        let mut messages = vec![
            message(0.0, Sent, invite, "INVITE"),
            message(
                1_512.3,
                Received,
                "SIP/2.0 407 Proxy Authentication Required",
                "INVITE",
            ),
            message(1_512.9, Sent, "ACK sip:ann@example.com SIP/2.0", "ACK"),
            message(1_513.0, Sent, invite, "INVITE"),
            message(1_620.0, Received, "SIP/2.0 180 Ringing", "INVITE"),
            message(4_000.0, Received, "SIP/2.0 200 OK", "INVITE"),
            message(4_000.4, Sent, "ACK sip:ann@192.0.2.2 SIP/2.0", "ACK"),
            message(61_004.0, Received, "BYE sip:board@192.0.2.1 SIP/2.0", "BYE"),
            message(61_004.1, Sent, "SIP/2.0 200 OK", "BYE"),
        ];
        messages[0].retransmissions = 2;
        messages[0].last_retransmission_ms = Some(1_500.0);
        for index in [0, 3, 5] {
            messages[index].body_type = Some("application/sdp".into());
        }
        messages[7].left_out_before = 12;
        for message in &mut messages[6..] {
            message.remote = "192.0.2.2:5061".into();
            message.transport = SipTransport::Tls;
        }
        SipLadder {
            leg: Some(3),
            call_ids: vec!["1b2c@192.0.2.1".into()],
            messages,
        }
    }
}

#[cfg(test)]
mod tests {
    use api::snapshot::{EndReason, LegState};

    use super::*;
    use crate::show::samples::{leg, snapshot};

    #[test]
    fn the_newest_leg_is_found_among_those_that_are_over_too() {
        let mut room = snapshot(vec![leg(3, LegState::Established)]);
        let ended = LegState::Ended {
            reason: EndReason::PeerBusy,
        };
        room.last_ended = vec![leg(5, ended), leg(4, ended)];
        assert_eq!(newest_leg(&room), Some(5));
        assert_eq!(newest_leg(&snapshot(Vec::new())), None);
    }

    #[test]
    fn the_title_says_how_the_leg_ended_and_not_what_was_dialled() {
        let mut room = snapshot(Vec::new());
        let mut ended = leg(
            3,
            LegState::Ended {
                reason: EndReason::PeerBusy,
            },
        );
        ended.peer.uri = "sip:123456789.4711@example.com".into();
        room.last_ended = vec![ended];
        let ladder = samples::ladder();
        let title = |language| Drawing::new(&ladder, Some(&room), language).title;
        assert_eq!(
            title(Language::English),
            "SIP messages of leg 3, ended: the far end is busy"
        );
        assert_eq!(
            title(Language::Chinese),
            "通话 3 的 SIP 消息(已结束:对方忙)"
        );
    }

    #[test]
    fn text_is_cut_by_columns_and_wide_characters_count_twice() {
        assert_eq!(shortened("会议室 A", 8), "会议室 A");
        assert_eq!(shortened("会议室 A", 7), "会议室…");
        assert_eq!(shortened("会议室 A", 6), "会议…");
        assert_eq!(shortened("abc", 2), "a…");
    }
}
