//! What changed between two snapshots, a line for each change: for logs and scripts.
//!
//! Levels and measurements change all the time and are left out.

use api::snapshot::{Leg, LegRefusal, LegState, SlidesSending};
use api::{Language, Localized, Snapshot};

use crate::show::{far_end_shows_slides, far_end_words};
use crate::terminal::harmless;

/// The changes since `before`; everything, when there is no before.
pub(crate) fn change_lines(
    before: Option<&Snapshot>,
    now: &Snapshot,
    language: Language,
) -> Vec<String> {
    let mut changes = Changes {
        lines: Vec::new(),
        language,
    };
    changes.note(("room", "会议室"), before.map(|b| &b.state), &now.state);
    changes.note(
        ("microphone", "麦克风"),
        before.map(|b| &b.microphone.state),
        &now.microphone.state,
    );
    changes.note(
        ("microphone device", "麦克风设备"),
        before.map(|b| &b.microphone.device),
        &now.microphone.device,
    );
    changes.note(
        ("camera", "摄像头"),
        before.map(|b| &b.camera.state),
        &now.camera.state,
    );
    changes.note(
        ("camera device", "摄像头设备"),
        before.map(|b| &b.camera.device),
        &now.camera.device,
    );
    changes.note(
        ("slides", "幻灯片"),
        before.map(|b| &b.slides.sending),
        &now.slides.sending,
    );
    changes.note(
        ("slides device", "幻灯片来源"),
        before.map(|b| &b.slides.device),
        &now.slides.device,
    );
    changes.volume(before, now);
    changes.note(("layout", "布局"), before.map(|b| &b.layout), &now.layout);
    changes.registrations(before, now);
    changes.legs(before, now);
    changes.lines
}

struct Changes {
    lines: Vec<String>,
    language: Language,
}

impl Changes {
    fn word(&self, (english, chinese): (&'static str, &'static str)) -> &'static str {
        match self.language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    fn note<T: Localized + PartialEq>(
        &mut self,
        label: (&'static str, &'static str),
        before: Option<&T>,
        now: &T,
    ) {
        if before != Some(now) {
            self.lines
                .push(format!("{}: {}", self.word(label), now.text(self.language)));
        }
    }

    fn volume(&mut self, before: Option<&Snapshot>, now: &Snapshot) {
        let now = now.loudspeaker.volume_percent;
        if before.map(|before| before.loudspeaker.volume_percent) != Some(now) {
            self.lines
                .push(format!("{}: {now} %", self.word(("volume", "音量"))));
        }
    }

    fn registrations(&mut self, before: Option<&Snapshot>, now: &Snapshot) {
        for (account, state) in &now.registrations {
            if before.and_then(|before| before.registrations.get(account)) != Some(state) {
                let label = self.word(("account", "账户"));
                let state = state.text(self.language);
                self.lines
                    .push(format!("{label} {}: {state}", harmless(account)));
            }
        }
    }

    fn legs(&mut self, before: Option<&Snapshot>, now: &Snapshot) {
        let known = |id: u32| {
            let legs = before?.legs.iter().chain(&before?.last_ended);
            legs.into_iter().find(|leg| leg.id == id)
        };
        for leg in &now.legs {
            self.leg(known(leg.id), leg);
        }
        // At the start, what ended before is history and no change.
        if before.is_some() {
            for leg in now.last_ended.iter().rev() {
                self.leg(known(leg.id), leg);
            }
        }
    }

    fn leg(&mut self, before: Option<&Leg>, now: &Leg) {
        let label = format!("{} {}", self.word(("leg", "通话")), now.id);
        if before.map(|before| before.state) != Some(now.state) {
            let state = now.state_text(self.language);
            self.lines
                .push(format!("{label}: {state} ({})", harmless(&now.peer.uri)));
            if let Some(words) = far_end_words(now, self.language) {
                self.lines.push(format!("{label}: {words}"));
            }
        }
        let refused_before = before.and_then(|leg| leg.refused);
        let is_new = |refused: &LegRefusal| !is_over(now) && refused_before != Some(*refused);
        if let Some(refused) = now.refused.filter(is_new) {
            let refused = refused.text(self.language);
            self.lines.push(format!("{label}: {refused}"));
        }
        let flow = now.video.as_ref().map(|video| video.flow);
        let flow_before = before
            .and_then(|before| before.video.as_ref())
            .map(|video| video.flow);
        if let Some(flow) = flow.filter(|flow| flow_before != Some(*flow)) {
            let video = self.word(("video", "视频"));
            self.lines
                .push(format!("{label}: {video}: {}", flow.text(self.language)));
        }
        self.leg_slides(&label, before, now);
        let heard = before.map_or("", |before| &before.dtmf_received);
        if now.dtmf_received != heard && !now.dtmf_received.is_empty() {
            self.lines
                .push(format!("{label}: DTMF {}", harmless(&now.dtmf_received)));
        }
    }

    /// What has changed of the slides, ours and the far end's. That a new leg has none yet is no
    /// change, and that they end with their leg goes without saying.
    fn leg_slides(&mut self, label: &str, before: Option<&Leg>, now: &Leg) {
        if is_over(now) {
            return;
        }
        let sending = |leg: &Leg| leg.slides.as_ref().map(|slides| slides.sending);
        let before_sending = before.and_then(sending).unwrap_or(SlidesSending::Off);
        let now_sending = sending(now).unwrap_or(SlidesSending::Off);
        if now_sending != before_sending {
            let own = self.word(("own slides", "本方幻灯片"));
            let sending = now_sending.text(self.language);
            self.lines.push(format!("{label}: {own}: {sending}"));
        }
        let shown = far_end_shows_slides(now);
        if shown != before.is_some_and(far_end_shows_slides) {
            let theirs = self.word(("far end's slides", "对方幻灯片"));
            let state = if shown {
                SlidesSending::Sending
            } else {
                SlidesSending::Off
            };
            let state = state.text(self.language);
            self.lines.push(format!("{label}: {theirs}: {state}"));
        }
    }
}

fn is_over(leg: &Leg) -> bool {
    matches!(leg.state, LegState::Ended { .. })
}

#[cfg(test)]
mod tests {
    use api::snapshot::{EndExplanation, EndReason, MicrophoneState, VideoFlow};

    use super::*;
    use crate::show::samples::{leg, slides, snapshot};

    fn lines(before: Option<&Snapshot>, now: &Snapshot) -> Vec<String> {
        change_lines(before, now, Language::English)
    }

    #[test]
    fn the_first_snapshot_is_told_whole_and_the_same_one_again_not_at_all() {
        let room = snapshot(Vec::new());
        assert!(lines(None, &room).contains(&"room: idle".to_owned()));
        assert!(lines(None, &room).contains(&"account office: registered".to_owned()));
        assert_eq!(lines(Some(&room), &room), Vec::<String>::new());
    }

    #[test]
    fn levels_are_no_change() {
        let before = snapshot(Vec::new());
        let mut now = before.clone();
        now.generation += 1;
        now.microphone.level_dbfs = -3.0;
        assert_eq!(lines(Some(&before), &now), Vec::<String>::new());
    }

    #[test]
    fn each_change_is_a_line() {
        let before = snapshot(vec![leg(1, LegState::Ringing)]);
        let mut now = snapshot(vec![leg(1, LegState::Established)]);
        now.microphone.state = MicrophoneState::Muted;
        now.legs[0].video.as_mut().unwrap().flow = VideoFlow::Stalled;
        now.legs[0].dtmf_received = "5".into();
        assert_eq!(
            lines(Some(&before), &now),
            [
                "microphone: muted",
                "leg 1: in the call (sip:board@example.com)",
                "leg 1: video: stalled",
                "leg 1: DTMF 5",
            ]
        );
    }

    #[test]
    fn slides_that_are_shown_either_way_are_lines_in_both_languages() {
        let quiet = Some(slides(SlidesSending::Off, VideoFlow::Waiting));
        let mut before = snapshot(vec![leg(1, LegState::Established)]);
        let mut now = before.clone();
        now.legs[0].slides = quiet;
        assert_eq!(lines(Some(&before), &now), Vec::<String>::new());
        before = now.clone();
        now.slides.sending = SlidesSending::Waiting;
        now.legs[0].slides = Some(slides(SlidesSending::Waiting, VideoFlow::Flowing));
        assert_eq!(
            lines(Some(&before), &now),
            [
                "slides: waiting for the far end",
                "leg 1: own slides: waiting for the far end",
                "leg 1: far end's slides: shown",
            ]
        );
        assert_eq!(
            change_lines(Some(&before), &now, Language::Chinese),
            [
                "幻灯片: 等待对方允许",
                "通话 1: 本方幻灯片: 等待对方允许",
                "通话 1: 对方幻灯片: 正在展示",
            ]
        );
        assert_eq!(
            lines(Some(&now), &before),
            [
                "slides: off",
                "leg 1: own slides: off",
                "leg 1: far end's slides: off",
            ]
        );
    }

    #[test]
    fn what_the_far_end_does_not_take_is_a_line_until_it_is_asked_again() {
        let before = snapshot(vec![leg(1, LegState::Established)]);
        for (refused, english, chinese) in [
            (
                LegRefusal::Hold,
                "leg 1: the far end did not take the hold",
                "通话 1: 对方未接受保持",
            ),
            (
                LegRefusal::Resume,
                "leg 1: the far end did not take the end of the hold",
                "通话 1: 对方未接受恢复",
            ),
            (
                LegRefusal::Dtmf,
                "leg 1: the far end takes no key presses",
                "通话 1: 对方不接受按键",
            ),
            (
                LegRefusal::Slides,
                "leg 1: the far end does not let the room show slides",
                "通话 1: 对方不允许展示幻灯片",
            ),
        ] {
            let mut now = before.clone();
            now.legs[0].refused = Some(refused);
            assert_eq!(lines(Some(&before), &now), [english]);
            let told = change_lines(Some(&before), &now, Language::Chinese);
            assert_eq!(told, [chinese]);
            assert_eq!(lines(Some(&now), &now), Vec::<String>::new());
            assert_eq!(lines(Some(&now), &before), Vec::<String>::new());
        }
    }

    #[test]
    fn what_the_far_end_says_of_the_end_is_told_as_its_words() {
        let reason = EndReason::Refused { status: 503 };
        let before = snapshot(vec![leg(1, LegState::Ringing)]);
        let mut now = snapshot(Vec::new());
        let mut ended = leg(1, LegState::Ended { reason });
        ended.explanation = Some(EndExplanation {
            sip_status: Some(503),
            retry_after_s: Some(30),
            far_end_words: vec!["Over\x1b[31mload (Warning 399)".into()],
        });
        now.last_ended = vec![ended];
        assert_eq!(
            lines(Some(&before), &now)[1..],
            [
                "leg 1: ended: the server there is out of service (SIP 503), to be called again \
                 after 30 s (sip:board@example.com)",
                "leg 1: in the far end's words: Over\u{fffd}[31mload (Warning 399)",
            ]
        );
        assert_eq!(
            change_lines(Some(&before), &now, Language::Chinese)[1..],
            [
                "通话 1: 已结束:对方的服务器暂停服务(SIP 503),请在 30 秒后再呼叫 \
                 (sip:board@example.com)",
                "通话 1: 对方原话:Over\u{fffd}[31mload (Warning 399)",
            ]
        );
    }

    #[test]
    fn the_end_of_a_leg_is_told_once_with_its_reason() {
        let mut before = snapshot(vec![leg(1, LegState::Established)]);
        before.legs[0].slides = Some(slides(SlidesSending::Sending, VideoFlow::Flowing));
        let mut now = snapshot(Vec::new());
        now.last_ended = vec![leg(
            1,
            LegState::Ended {
                reason: EndReason::RemoteHangUp,
            },
        )];
        assert_eq!(
            lines(Some(&before), &now),
            [
                "room: idle",
                "leg 1: ended: the far end hung up (sip:board@example.com)"
            ]
        );
        assert_eq!(lines(Some(&now), &now), Vec::<String>::new());
        assert!(!lines(None, &now).iter().any(|line| line.contains("leg")));
    }
}
