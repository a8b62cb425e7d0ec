//! The steps of a shutdown, each bounded.
//!
//! ```text
//!  Running ──ShutDown──► HangingUp ──no leg left──► StoppingMedia ──empty plan applied,──► Storing
//!                        (each leg has its own      (until)          or time-out          (until)
//!                        hang-up time-out)                                                   │
//!                                                       ShutDown ◄──stored, or time-out──────┘
//! ```
//!
//! The room drives it after each input; [`Shutdown::advance`] takes as many steps as the facts
//! allow.

use std::time::Instant;

use crate::policy::Timeouts;
use crate::turn::deadline;

/// How far a shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// Nobody asked for it.
    Running,
    /// Every leg is being ended.
    HangingUp,
    /// No leg is left; the media graph is being emptied.
    StoppingMedia { until: Instant },
    /// The media graph is empty, or was given up; the last write is awaited.
    Storing { until: Instant },
    /// Done.
    ShutDown,
}

/// What the room knows that decides the next step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Whether any leg is not over.
    pub(crate) legs_left: bool,
    /// Whether the media graph reached the last plan.
    pub(crate) media_applied: bool,
    /// Whether what must be remembered was stored, or could not be.
    pub(crate) stored: bool,
}

impl Shutdown {
    /// Takes every step that is due. Once it returns [`Shutdown::ShutDown`], nothing changes it.
    pub(crate) fn advance(self, now: Instant, progress: Progress, timeouts: &Timeouts) -> Self {
        let next = match self {
            Self::Running | Self::ShutDown => self,
            Self::HangingUp if progress.legs_left => self,
            Self::HangingUp => Self::StoppingMedia {
                until: deadline(now, timeouts.stop_media),
            },
            Self::StoppingMedia { until } if !progress.media_applied && now < until => self,
            Self::StoppingMedia { .. } => Self::Storing {
                until: deadline(now, timeouts.store),
            },
            Self::Storing { until } if !progress.stored && now < until => self,
            Self::Storing { .. } => Self::ShutDown,
        };
        if next == self {
            self
        } else {
            next.advance(now, progress, timeouts)
        }
    }

    /// When the present step is given up.
    pub(crate) fn next_deadline(self) -> Option<Instant> {
        match self {
            Self::StoppingMedia { until } | Self::Storing { until } => Some(until),
            Self::Running | Self::HangingUp | Self::ShutDown => None,
        }
    }

    /// Whether requests are still taken.
    pub(crate) fn is_running(self) -> bool {
        self == Self::Running
    }
}
