//! Slides on a terminal: what the room shows, and what its far ends show.

use api::snapshot::{DeviceState, Leg, SlidesSending, VideoFlow};
use api::{Language, Localized, Snapshot};

use super::Sheet;
use crate::terminal::{Tone, harmless};

impl Sheet {
    /// What the room shows or waits to show, and whose slides are on its screen. Nothing where there
    /// are neither.
    pub(super) fn slides(&mut self, snapshot: &Snapshot) {
        let shown = snapshot.legs.iter().find(|leg| far_end_shows_slides(leg));
        let slides = &snapshot.slides;
        if slides.device == DeviceState::NotConfigured && shown.is_none() {
            return;
        }
        let tone = sending_tone(slides.sending);
        let state = self.style.paint(tone, &slides.sending.text(self.language));
        let mut line = format!("{state}  {}", self.device(slides.device));
        if let Some(leg) = shown {
            let whose = harmless(&leg.peer.uri);
            let on_screen = match self.language {
                Language::English => format!("  on the screen: those of {whose}"),
                Language::Chinese => format!("  屏幕上:{whose} 的幻灯片"),
            };
            line.push_str(&on_screen);
        }
        self.line(("Slides", "幻灯片"), &line);
    }

    /// Which slides go which way; nothing while none do.
    pub(super) fn slides_summary(&self, leg: &Leg) -> Option<String> {
        let slides = leg.slides.as_ref()?;
        let mut parts = Vec::new();
        if slides.sending != SlidesSending::Off {
            let sending = slides.sending.text(self.language);
            let sending = self.style.paint(sending_tone(slides.sending), &sending);
            parts.push(format!("-> {sending}"));
        }
        if far_end_shows_slides(leg) {
            parts.push(format!("<- {}", self.video_summary(&slides.stream)));
        }
        let words = self.words(("slides", "幻灯片"));
        (!parts.is_empty()).then(|| format!("{words} {}", parts.join(" ")))
    }
}

/// Whether slides of the far end are on the screen. While it has the floor, a slide that does not
/// change may stall.
pub(crate) fn far_end_shows_slides(leg: &Leg) -> bool {
    let flow = leg.slides.as_ref().map(|slides| slides.stream.flow);
    matches!(flow, Some(VideoFlow::Flowing | VideoFlow::Stalled))
}

fn sending_tone(sending: SlidesSending) -> Tone {
    match sending {
        SlidesSending::Off => Tone::Faint,
        SlidesSending::Waiting => Tone::Notable,
        SlidesSending::Sending => Tone::Good,
    }
}

#[cfg(test)]
mod tests {
    use api::snapshot::{LegState, Slides};

    use super::super::{Clock, samples, stats, status};
    use super::*;
    use crate::terminal::Style;

    const CLOCK: Clock = Clock { unix_ms: 0 };

    #[test]
    fn the_status_tells_what_is_shown_and_whose_slides_are_on_the_screen() {
        let mut room = samples::snapshot(vec![samples::leg(1, LegState::Established)]);
        room.slides.sending = SlidesSending::Waiting;
        room.legs[0].slides = Some(samples::slides(SlidesSending::Waiting, VideoFlow::Flowing));
        let text = status(&room, Language::English, Style::Plain, CLOCK);
        let line = "Slides      waiting for the far end  present  \
                    on the screen: those of sip:board@example.com\n";
        assert!(text.contains(line), "{text}");
        let of_leg = "  slides -> waiting for the far end <- H264 1280x720 30.0 fps\n";
        assert!(text.contains(of_leg), "{text}");
        let text = status(&room, Language::Chinese, Style::Plain, CLOCK);
        let line = "幻灯片      等待对方允许  正常  屏幕上:sip:board@example.com 的幻灯片\n";
        assert!(text.contains(line), "{text}");

        room.slides.sending = SlidesSending::Sending;
        room.legs[0].slides = Some(samples::slides(SlidesSending::Sending, VideoFlow::Waiting));
        let text = status(&room, Language::English, Style::Plain, CLOCK);
        assert!(text.contains("Slides      shown  present\n"), "{text}");
        assert!(text.contains("  slides -> shown\n"), "{text}");
    }

    #[test]
    fn a_room_without_slides_does_not_speak_of_them() {
        let mut room = samples::snapshot(vec![samples::leg(1, LegState::Established)]);
        room.slides = Slides::default();
        for flow in [VideoFlow::Waiting, VideoFlow::Off] {
            room.legs[0].slides = Some(samples::slides(SlidesSending::Off, flow));
            let text = status(&room, Language::English, Style::Plain, CLOCK);
            assert!(!text.to_lowercase().contains("slides"), "{text}");
        }
    }

    #[test]
    fn slides_are_measured_as_video_is() {
        let mut leg = samples::leg(1, LegState::Established);
        leg.slides = Some(samples::slides(SlidesSending::Off, VideoFlow::Flowing));
        let legs = [leg];
        let text = stats(&legs, Language::English, Style::Plain);
        assert!(
            text.contains("\n  slides    H264 42e01f mode 1  -> 1.98 Mbit/s"),
            "{text}"
        );
        assert!(
            text.ends_with("capture to decode 12.3 ms  slides capture to decode 45.6 ms\n"),
            "{text}"
        );
        let text = stats(&legs, Language::Chinese, Style::Plain);
        assert!(text.contains("\n  幻灯片    H264 42e01f"), "{text}");
    }
}
