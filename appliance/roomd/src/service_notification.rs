//! What roomd tells the service supervisor (systemd, `sd_notify`): that it is ready, that it is
//! leaving, and that its driver is alive.
//!
//! Without a supervisor every call does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// The driver answers: all sockets are bound, the API is served. `status` is one line for
/// `systemctl status`.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The service was told to end and hangs up its legs: from now on the supervisor counts its
/// time-out for the end.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The driver is alive. Only the driver's own loop may call this: a silent device or peer must
/// never withhold it, a stuck driver must.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is due: half of what the supervisor demands, or `None` where it demands
/// nothing.
#[must_use]
pub fn alive_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|demanded| demanded / 2)
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service supervisor was not told");
    }
}
