//! What a program has said so far, in order, and waiting for what it says next.

use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// An append-only record, shared by the thread that reads a program and the test that waits.
#[derive(Debug)]
pub struct Journal<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    entries: Mutex<Entries<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Entries<T> {
    all: Vec<T>,
    /// How many still write; nothing more comes after the last.
    writers: usize,
}

/// A place in a journal: everything after it is news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(usize);

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Clone + Debug> Journal<T> {
    /// An empty journal that `writers` will write into until each has called [`Journal::close`].
    #[must_use]
    pub fn new(writers: usize) -> Self {
        let entries = Mutex::new(Entries {
            all: Vec::new(),
            writers,
        });
        Self {
            shared: Arc::new(Shared {
                entries,
                changed: Condvar::new(),
            }),
        }
    }

    /// Adds an entry.
    pub fn push(&self, entry: T) {
        self.lock().all.push(entry);
        self.shared.changed.notify_all();
    }

    /// One writer is done.
    pub fn close(&self) {
        let mut entries = self.lock();
        entries.writers = entries.writers.saturating_sub(1);
        drop(entries);
        self.shared.changed.notify_all();
    }

    /// Everything so far.
    #[must_use]
    pub fn entries(&self) -> Vec<T> {
        self.lock().all.clone()
    }

    /// The end as it is now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.lock().all.len())
    }

    /// Waits for the first entry, however old, in which `find` finds something.
    ///
    /// # Errors
    /// When the time is over or nothing more can come; the error shows the last entries.
    pub fn wait_for<R>(
        &self,
        what: &str,
        timeout: Duration,
        find: impl FnMut(&T) -> Option<R>,
    ) -> Result<R> {
        self.wait_after(Mark(0), what, timeout, find)
    }

    /// Waits for the first entry after the mark in which `find` finds something.
    ///
    /// # Errors
    /// As [`Journal::wait_for`].
    pub fn wait_after<R>(
        &self,
        mark: Mark,
        what: &str,
        timeout: Duration,
        mut find: impl FnMut(&T) -> Option<R>,
    ) -> Result<R> {
        let deadline = Instant::now() + timeout;
        let Mark(mut next) = mark;
        let mut entries = self.lock();
        loop {
            while let Some(entry) = entries.all.get(next) {
                next += 1;
                if let Some(found) = find(entry) {
                    return Ok(found);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || entries.writers == 0 {
                let end = if left.is_zero() {
                    "did not come in time"
                } else {
                    "can never come"
                };
                bail!("{what} {end}; last entries:\n{}", last(&entries.all, 30));
            }
            let waited = self.shared.changed.wait_timeout(entries, left);
            entries = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The last entries as text, for a test's error.
    #[must_use]
    pub fn tail(&self) -> String {
        last(&self.lock().all, 30)
    }

    // A test that panicked while it held the lock has left whole entries behind.
    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn last<T: Debug>(entries: &[T], count: usize) -> String {
    let from = entries.len().saturating_sub(count);
    entries[from..]
        .iter()
        .map(|entry| format!("  {entry:?}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Journal;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn an_entry_that_was_there_before_is_found() {
        let journal = Journal::new(1);
        journal.push(3);
        assert_eq!(
            journal
                .wait_for("three", LONG, |it| (*it == 3).then_some(*it))
                .unwrap(),
            3
        );
    }

    #[test]
    fn an_entry_that_comes_later_wakes_the_waiting_thread() {
        let journal = Journal::new(1);
        let writer = journal.clone();
        let thread = std::thread::spawn(move || writer.push(7));
        assert!(
            journal
                .wait_for("seven", LONG, |it| (*it == 7).then_some(()))
                .is_ok()
        );
        thread.join().unwrap();
    }

    #[test]
    fn only_news_counts_after_a_mark() {
        let journal = Journal::new(1);
        journal.push("old");
        let mark = journal.mark();
        journal.push("new");
        let found = journal.wait_after(mark, "anything", LONG, |it| Some(*it));
        assert_eq!(found.unwrap(), "new");
    }

    #[test]
    fn waiting_ends_when_the_last_writer_is_gone() {
        let journal: Journal<u8> = Journal::new(2);
        journal.close();
        journal.close();
        let error = journal
            .wait_for("anything", LONG, |_| Some(()))
            .unwrap_err();
        assert!(error.to_string().contains("can never come"), "{error}");
    }

    #[test]
    fn the_error_names_what_was_waited_for_and_shows_what_came() {
        let journal = Journal::new(1);
        journal.push("something else");
        let error = journal
            .wait_for("the call", Duration::ZERO, |_| None::<()>)
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("the call") && text.contains("something else"),
            "{text}"
        );
    }
}
