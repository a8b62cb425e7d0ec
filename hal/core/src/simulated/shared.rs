//! A device's state, shared by the device's owner and by whoever simulates.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State behind a lock that is held for no longer than one call takes. Clones are the same state.
#[derive(Default)]
pub(super) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    pub(super) fn new(state: T) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        // Every call leaves the state whole, also one that panics: there is nothing to distrust.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
