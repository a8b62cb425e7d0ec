//! What the API needs of the room: a way to ask, a way to look, and pictures.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use room::{Admission, LegId, Request, RoomSnapshot};
use sip::ladder::Ladder;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::guest_reachability::GuestReachability;
use crate::guests::GuestLinks;
use crate::network_counters::NetworkCounters;
use crate::sip_ladders::{LadderOf, LadderQuestion};

/// The room as its clients see it. Clones speak to the same room.
#[derive(Clone)]
pub struct RoomHandle {
    requests: mpsc::Sender<(Request, oneshot::Sender<Admission>)>,
    snapshots: watch::Receiver<RoomSnapshot>,
    pictures: Arc<dyn PictureSource>,
    ladders: mpsc::Sender<LadderQuestion>,
    counters: Arc<NetworkCounters>,
    guest_links: Option<GuestLinks>,
    guest_reachability: Option<GuestReachability>,
}

/// Whose picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureOf {
    /// The one that the room sends.
    Sent,
    /// The one that a leg's far end sends.
    FarEnd(LegId),
    /// The slides that the room shows.
    SentSlides,
    /// The slides that a leg's far end shows.
    FarEndSlides(LegId),
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Nothing flows there now.
    #[error("there is no such picture now")]
    Nothing,
    /// It could not be made.
    #[error("{0}")]
    Failed(String),
}

/// Makes pictures of what flows: the media graph, or a stand-in for it.
pub trait PictureSource: Send + Sync {
    /// The newest picture as JPEG.
    fn picture(&self, of: PictureOf) -> PictureFuture<'_>;
}

/// The answer of a [`PictureSource`].
pub type PictureFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<u8>, PictureError>> + Send + 'a>>;

/// Why the room gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Too many requests wait.
    Overloaded,
    /// The driver has ended.
    Gone,
}

impl RoomHandle {
    /// A handle on the driver's channels, on the maker of pictures, on who remembers SIP messages,
    /// and on what is counted.
    #[must_use]
    pub fn new(
        requests: mpsc::Sender<(Request, oneshot::Sender<Admission>)>,
        snapshots: watch::Receiver<RoomSnapshot>,
        pictures: Arc<dyn PictureSource>,
        ladders: mpsc::Sender<LadderQuestion>,
        counters: Arc<NetworkCounters>,
    ) -> Self {
        Self {
            requests,
            snapshots,
            pictures,
            ladders,
            counters,
            guest_links: None,
            guest_reachability: None,
        }
    }

    /// The same room, to whose meeting guests come by links.
    #[must_use]
    pub fn with_guest_links(self, guest_links: Option<GuestLinks>) -> Self {
        Self {
            guest_links,
            ..self
        }
    }

    /// The same room, whose ways for guests can be tested.
    #[must_use]
    pub fn with_guest_reachability(self, guest_reachability: Option<GuestReachability>) -> Self {
        Self {
            guest_reachability,
            ..self
        }
    }

    /// Who tests the ways of guests; `None` where there are no guests.
    pub(super) fn guest_reachability(&self) -> Option<&GuestReachability> {
        self.guest_reachability.as_ref()
    }

    /// Who makes links for guests; `None` where there are no guests.
    pub(super) fn guest_links(&self) -> Option<&GuestLinks> {
        self.guest_links.as_ref()
    }

    /// What came from the network and was not used.
    pub(super) fn network(&self) -> &NetworkCounters {
        &self.counters
    }

    /// The same room with another way to ask.
    #[cfg(test)]
    pub(super) fn with_requests(
        self,
        requests: mpsc::Sender<(Request, oneshot::Sender<Admission>)>,
    ) -> Self {
        Self { requests, ..self }
    }

    /// Asks the room, and waits for its answer.
    pub(super) async fn request(&self, request: Request) -> Result<Admission, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send((request, answer))
            .map_err(|error| unsent(&error))?;
        // The driver drops the way to answer when its queue is full, and when it ends.
        answered.await.map_err(|_| {
            if self.requests.is_closed() {
                Unanswered::Gone
            } else {
                Unanswered::Overloaded
            }
        })
    }

    /// The room as it is now.
    pub(super) fn snapshot(&self) -> RoomSnapshot {
        self.snapshots.borrow().clone()
    }

    /// The room at each change, beginning with now.
    pub(super) fn snapshots(&self) -> watch::Receiver<RoomSnapshot> {
        let mut snapshots = self.snapshots.clone();
        snapshots.mark_changed();
        snapshots
    }

    /// The SIP messages of a call; `None` when none are remembered.
    pub(super) async fn sip_ladder(&self, of: LadderOf) -> Result<Option<Ladder>, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.ladders
            .try_send((of, answer))
            .map_err(|error| unsent(&error))?;
        // The driver drops no question before its end.
        answered.await.map_err(|_| Unanswered::Gone)
    }

    pub(super) async fn picture(&self, of: PictureOf) -> Result<Vec<u8>, PictureError> {
        self.pictures.picture(of).await
    }
}

fn unsent<T>(error: &TrySendError<T>) -> Unanswered {
    match error {
        TrySendError::Full(_) => Unanswered::Overloaded,
        TrySendError::Closed(_) => Unanswered::Gone,
    }
}
