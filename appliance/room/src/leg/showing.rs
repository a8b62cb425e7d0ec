//! Slides on a leg, as the room asks for them and sees them: only a leg that is connected has any.

use super::hold::LocalHold;
use super::media::Media;
use super::{Leg, State};
use crate::snapshot::SlidesSending;
use crate::turn::Turn;

impl Leg {
    /// Whether the far end takes slides of ours, once it lets us.
    pub(crate) fn takes_slides(&self) -> bool {
        self.connected()
            .is_some_and(|(media, _)| media.takes_slides())
    }

    /// The room shows slides: the far end is asked to let it, unless it was and would not.
    pub(crate) fn show_slides(&mut self, turn: &mut Turn<'_>) {
        let id = self.id;
        let Some(media) = self.connected_mut().filter(|media| media.takes_slides()) else {
            return;
        };
        let before = media.slides.sending();
        media.slides.show(id, turn);
        if before != media.slides.sending() {
            self.refused = None;
        }
    }

    /// Somebody in the room wants slides shown that the far end has turned down: it is asked again.
    /// Whether there is anything to ask.
    pub(crate) fn ask_for_slides_again(&mut self) -> bool {
        self.connected_mut()
            .is_some_and(|media| media.takes_slides() && media.slides.ask_again())
    }

    /// The room shows no slides any more.
    pub(crate) fn withdraw_slides(&mut self, turn: &mut Turn<'_>) {
        let id = self.id;
        if let Some(media) = self.connected_mut() {
            media.slides.withdraw(id, turn);
        }
    }

    /// How far our slides have come.
    pub(crate) fn slides_sending(&self) -> SlidesSending {
        self.connected()
            .map_or(SlidesSending::Off, |(media, _)| media.slides.sending())
    }

    /// Whether slides of the far end are to be seen.
    pub(crate) fn shows_slides(&self) -> bool {
        self.connected().is_some_and(|(media, local)| match local {
            LocalHold::Open => media.slides.are_shown(),
            LocalHold::Holding { .. } | LocalHold::Held | LocalHold::Resuming { .. } => false,
        })
    }

    fn connected(&self) -> Option<(&Media, LocalHold)> {
        match &self.state {
            State::Connected { media, local, .. } => Some((media, *local)),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Ending { .. }
            | State::Ended(_) => None,
        }
    }

    fn connected_mut(&mut self) -> Option<&mut Media> {
        match &mut self.state {
            State::Connected { media, .. } => Some(media),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Ending { .. }
            | State::Ended(_) => None,
        }
    }
}
