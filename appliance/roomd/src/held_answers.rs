//! Answers that wait until what they promise is on disk.
//!
//! ```text
//!  press ─> Room::request ─> accepted ──hold──> [ held ] ──the store has spoken──> client
//!                    └─> Command::Remember ─> store ─┘ └──────time is up─────────> client
//! ```
//!
//! Who was told "muted" must find the room muted after a power cut a millisecond later. The room
//! acts at once; only the word to the client waits. Answers leave in the order of the requests. A
//! disk that hangs must not make the room look dead, so the wait is bounded.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use room::Generation;

/// How long an answer waits for the store.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The answers that wait. `T` is an answer together with whom it goes to.
#[derive(Debug)]
pub struct HeldAnswers<T> {
    /// In the order of the requests, and therefore of generations and of deadlines.
    held: VecDeque<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    needs: Generation,
    until: Instant,
    answer: T,
}

/// Why an answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The store has spoken.
    Settled,
    /// The store has taken too long.
    TimedOut,
}

impl<T> HeldAnswers<T> {
    /// Nothing waits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            held: VecDeque::new(),
        }
    }

    /// Keeps an answer until the store has spoken about the values of generation `needs`: the
    /// newest ones at the time of the answer.
    pub fn hold(&mut self, now: Instant, needs: Generation, answer: T) {
        let until = now + LONGEST_WAIT;
        self.held.push_back(Held {
            needs,
            until,
            answer,
        });
    }

    /// Takes the next answer that may go out, the store having spoken about generation `stored`.
    pub fn release(&mut self, now: Instant, stored: Generation) -> Option<(Released, T)> {
        let first = self.held.front()?;
        let released = if first.needs <= stored {
            Released::Settled
        } else if first.until <= now {
            Released::TimedOut
        } else {
            return None;
        };
        let held = self.held.pop_front()?;
        Some((released, held.answer))
    }

    /// When [`Self::release`] must be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.held.front().map(|held| held.until)
    }
}

impl<T> Default for HeldAnswers<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T>(answers: &mut HeldAnswers<T>, now: Instant, stored: u64) -> Vec<(Released, T)> {
        let stored = Generation(stored);
        std::iter::from_fn(|| answers.release(now, stored)).collect()
    }

    #[test]
    fn an_answer_that_promises_nothing_new_goes_out_at_once() {
        let mut answers = HeldAnswers::new();
        let now = Instant::now();
        answers.hold(now, Generation(3), "already so");
        assert_eq!(
            all(&mut answers, now, 3),
            [(Released::Settled, "already so")]
        );
        assert_eq!(answers.next_deadline(), None);
    }

    #[test]
    fn answers_wait_for_their_own_store_and_leave_in_the_order_of_the_requests() {
        let mut answers = HeldAnswers::new();
        let now = Instant::now();
        answers.hold(now, Generation(1), "mute");
        answers.hold(now, Generation(1), "hold");
        answers.hold(now, Generation(2), "volume");
        assert_eq!(all(&mut answers, now, 0), []);
        let settled = Released::Settled;
        assert_eq!(
            all(&mut answers, now, 1),
            [(settled, "mute"), (settled, "hold")]
        );
        assert_eq!(all(&mut answers, now, 2), [(settled, "volume")]);
    }

    #[test]
    fn one_word_of_the_store_settles_what_it_overtook() {
        let mut answers = HeldAnswers::new();
        let now = Instant::now();
        answers.hold(now, Generation(1), "mute");
        answers.hold(now, Generation(2), "open");
        assert_eq!(all(&mut answers, now, 2).len(), 2);
    }

    #[test]
    fn a_disk_that_hangs_delays_an_answer_only_so_long() {
        let mut answers = HeldAnswers::new();
        let start = Instant::now();
        answers.hold(start, Generation(1), "mute");
        assert_eq!(answers.next_deadline(), Some(start + LONGEST_WAIT));
        let early = start + LONGEST_WAIT - Duration::from_millis(1);
        assert_eq!(all(&mut answers, early, 0), []);
        assert_eq!(
            all(&mut answers, start + LONGEST_WAIT, 0),
            [(Released::TimedOut, "mute")]
        );
    }
}
