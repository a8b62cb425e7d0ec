//! Requests for a whole picture, at most one in an interval.
//!
//! ```text
//!  open ──request──► passes; closed until the interval is over
//!  closed ──request──► waits
//!  closed ──interval over──► one that waited passes, and the gate is closed again; else open
//! ```

use std::time::{Duration, Instant};

/// A whole picture is large: asked for too often, it is what makes the next one get lost.
#[derive(Debug)]
pub(crate) struct KeyframeGate {
    interval: Duration,
    opens: Option<Instant>,
    waiting: bool,
}

impl KeyframeGate {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            opens: None,
            waiting: false,
        }
    }

    /// Whether the request passes at once. One that does not passes by [`KeyframeGate::poll`] later.
    pub(crate) fn request(&mut self, now: Instant) -> bool {
        if self.opens.is_some_and(|opens| now < opens) {
            self.waiting = true;
            return false;
        }
        self.opens = Some(now + self.interval);
        self.waiting = false;
        true
    }

    /// Whether a request that waited passes now.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        self.deadline().is_some_and(|due| due <= now) && self.request(now)
    }

    /// When a request that waits may pass.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.opens.filter(|_| self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_requests_the_first_passes_at_once_and_one_more_an_interval_later() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut gate = KeyframeGate::new(Duration::from_millis(300));
        assert!(gate.request(at(0)));
        assert_eq!(gate.deadline(), None);
        assert!((1..10).all(|ms| !gate.request(at(ms))));
        assert_eq!(gate.deadline(), Some(at(300)));
        assert!(!gate.poll(at(299)));
        assert!(gate.poll(at(300)));
        assert_eq!(gate.deadline(), None);
        assert!(!gate.poll(at(600)));
        assert!(gate.request(at(600)));
    }
}
