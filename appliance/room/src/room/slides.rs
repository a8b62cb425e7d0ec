//! The slides of the room: wanted by its users, shown on each leg that takes them.

use std::time::Instant;

use super::Room;
use crate::ids::LegId;
use crate::leg::Leg;
use crate::media_plan::{SlidesState, VideoSource};
use crate::request::{Admission, DeniedReason};
use crate::snapshot::SlidesSending;

impl Room {
    pub(super) fn set_slides(&mut self, now: Instant, wanted: SlidesState) -> Admission {
        match wanted {
            SlidesState::Off => match self.slides {
                SlidesState::Off => Admission::AlreadySo,
                SlidesState::On => {
                    self.withdraw_slides(now);
                    Admission::Accepted { leg: None }
                }
            },
            SlidesState::On => {
                if self.slides == SlidesState::On {
                    let mut asked = false;
                    for leg in &mut self.legs {
                        asked |= leg.ask_for_slides_again();
                    }
                    return if asked {
                        Admission::Accepted { leg: None }
                    } else {
                        Admission::AlreadySo
                    };
                }
                if self.policy.media.slides.source == VideoSource::None {
                    return Admission::Denied(DeniedReason::NoSlides);
                }
                if !self.legs.iter().any(Leg::takes_slides) {
                    return Admission::Denied(DeniedReason::SlidesNotTaken);
                }
                self.slides = SlidesState::On;
                Admission::Accepted { leg: None }
            }
        }
    }

    fn withdraw_slides(&mut self, now: Instant) {
        self.slides = SlidesState::Off;
        self.each_leg(now, Leg::withdraw_slides);
    }

    /// Shows the slides on legs that have come since; they are not wanted any more once no far end
    /// lets this room.
    pub(super) fn advance_slides(&mut self, now: Instant) {
        if self.slides == SlidesState::On {
            self.each_leg(now, Leg::show_slides);
            let configured = self.policy.media.slides.source != VideoSource::None;
            if !configured || self.slides_sending() == SlidesSending::Off {
                self.withdraw_slides(now);
            }
        }
        self.current.slides = self.slides_sending();
    }

    fn slides_sending(&self) -> SlidesSending {
        let farthest = self.legs.iter().map(Leg::slides_sending).max();
        farthest.unwrap_or(SlidesSending::Off)
    }

    /// The leg whose slides fill the screen.
    pub(super) fn shown_slides(&self) -> Option<LegId> {
        self.legs.iter().find(|leg| leg.shows_slides()).map(Leg::id)
    }
}
