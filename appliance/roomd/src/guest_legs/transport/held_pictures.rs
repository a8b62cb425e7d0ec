//! Pictures that were made before the browser is reached, so that the first one is there when it is.
//!
//! ```text
//!            a packet            the first one is too old
//!  Holding ◄──────────┐       ┌───────────────────────────► Stopped ◄── a packet: dropped
//!     │               └─ Holding                               │
//!     │ reached: all of them leave                             │ reached: whole pictures are asked for
//!     ▼                                                        ▼
//! ```
//!
//! What is held begins with a whole picture, since media gives a leg nothing before that. A browser that is not
//! reached soon shall neither get old pictures nor keep the encoders of pictures at work.

use std::time::{Duration, Instant};

use bytes::Bytes;
use room::media_plan::VideoRole;

/// A picture that was made so long ago is not worth showing first.
const OLDEST: Duration = Duration::from_millis(300);
/// Packets that are held: more than any encoder makes in that time.
const MOST_PACKETS: usize = 1_024;

/// What the pictures of a leg do that has no connection yet.
#[derive(Debug)]
pub(super) enum HeldPictures {
    /// They wait, in the order in which they were made.
    Holding {
        /// When the first one came.
        since: Option<Instant>,
        /// Whose they are.
        packets: Vec<(VideoRole, Bytes)>,
    },
    /// There are to be none until the browser is reached.
    Stopped,
}

/// What is to be done once the browser is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// These are to leave.
    Leave(Vec<(VideoRole, Bytes)>),
    /// Pictures are to be made again, and whole ones first.
    BeginAnew,
}

impl Default for HeldPictures {
    fn default() -> Self {
        Self::Holding {
            since: None,
            packets: Vec::new(),
        }
    }
}

impl HeldPictures {
    /// Takes a packet of a picture.
    pub(super) fn push(&mut self, now: Instant, role: VideoRole, packet: Bytes) {
        if let Self::Holding { since, packets } = self
            && packets.len() < MOST_PACKETS
        {
            since.get_or_insert(now);
            packets.push((role, packet));
        }
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Holding { since, .. } => Some((*since)? + OLDEST),
            Self::Stopped => None,
        }
    }

    /// Does what is due by `now`. Whether no more pictures are to be made from now on.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let stops = self.next_deadline().is_some_and(|due| due <= now);
        if stops {
            *self = Self::Stopped;
        }
        stops
    }

    /// The browser is reached, and what was due before was done. From now on nothing is held.
    pub(super) fn release(&mut self) -> Release {
        match std::mem::take(self) {
            Self::Holding { packets, .. } => Release::Leave(packets),
            Self::Stopped => Release::BeginAnew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: VideoRole = VideoRole::Main;

    fn packet(number: u8) -> Bytes {
        Bytes::from(vec![number])
    }

    #[test]
    fn what_was_made_while_the_browser_was_being_reached_leaves_in_order() {
        let begin = Instant::now();
        let mut held = HeldPictures::default();
        assert_eq!(held.next_deadline(), None);
        held.push(begin, MAIN, packet(1));
        held.push(begin + OLDEST / 2, VideoRole::Slides, packet(2));
        assert!(!held.handle_timeout(begin + OLDEST / 2));
        let packets = vec![(MAIN, packet(1)), (VideoRole::Slides, packet(2))];
        assert_eq!(held.release(), Release::Leave(packets));
    }

    #[test]
    fn old_pictures_are_not_shown_and_no_more_are_made() {
        let begin = Instant::now();
        let mut held = HeldPictures::default();
        held.push(begin, MAIN, packet(1));
        let due = held.next_deadline().unwrap();
        assert_eq!(due, begin + OLDEST);
        assert!(held.handle_timeout(due));
        assert!(!held.handle_timeout(due));
        assert_eq!(held.next_deadline(), None);
        // One that was under way.
        held.push(due, MAIN, packet(2));
        assert_eq!(held.release(), Release::BeginAnew);
    }

    #[test]
    fn no_more_is_held_than_there_is_place_for() {
        let begin = Instant::now();
        let mut held = HeldPictures::default();
        for _ in 0..MOST_PACKETS * 2 {
            held.push(begin, MAIN, packet(1));
        }
        match held.release() {
            Release::Leave(packets) => assert_eq!(packets.len(), MOST_PACKETS),
            Release::BeginAnew => panic!("it is not old"),
        }
    }
}
