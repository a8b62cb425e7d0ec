//! What streaming threads and the owner tell the media thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};

use room::dtmf::DtmfDigits;
use room::ids::LegId;
use room::media_plan::VideoRole;
use room::units::Bitrate;
use tokio::sync::oneshot;

use crate::event::Source;
use crate::gate::Gate;
use crate::pipeline::PipelineId;

/// Inputs that may wait. Far more than ever come at once: reaching it means that the media thread
/// hangs.
const QUEUE: usize = 1_024;

/// A message to the media thread.
#[derive(Debug)]
pub(crate) enum GraphInput {
    /// The owner put a plan into its place.
    PlanWaiting,
    /// The owner closes a leg that no plan names.
    LegClosed(LegId),
    /// The owner wants these telephone keys sent.
    SendDtmf(LegId, DtmfDigits),
    /// The owner wants the graph empty, and to know when it is.
    ShutDown(oneshot::Sender<()>),
    /// A peer, or a leg that lost encoded pictures, asks for a keyframe.
    KeyframeWanted(LegId, VideoRole),
    /// The owner opens or closes a leg's gate.
    Gate(LegId, VideoRole, Gate),
    /// A leg took another encode: the one that it had may be over.
    EncodeLeft(VideoRole),
    /// A leg needs a whole picture of its peer, and RTCP cannot ask for one.
    PictureNeeded(LegId),
    /// A leg's peer asks for at most this much of a picture.
    BitrateRequested(LegId, VideoRole, Bitrate),
    /// A leg's first main picture was decoded.
    FirstFrame(LegId),
    /// A device stopped or began to give frames.
    SourceGone(Source),
    SourceBack(Source),
    /// An element of a pipeline failed.
    PipelineFailed {
        id: PipelineId,
        element: String,
        text: String,
    },
    /// A pipeline's elements ask for another latency.
    LatencyChanged(PipelineId),
    /// A recording has ended.
    EndOfStream(PipelineId),
    /// A pipeline is being taken down.
    PipelineLeaving(PipelineId),
    /// It is down.
    PipelineGone(PipelineId),
}

/// Where messages to the media thread are put. Never waits.
#[derive(Clone, Debug)]
pub(crate) struct GraphInputs {
    queue: SyncSender<GraphInput>,
    dropped: Arc<AtomicU64>,
}

impl GraphInputs {
    /// The queue's two ends.
    pub(crate) fn new() -> (Self, Receiver<GraphInput>) {
        let (queue, receiver) = mpsc::sync_channel(QUEUE);
        (
            Self {
                queue,
                dropped: Arc::new(AtomicU64::new(0)),
            },
            receiver,
        )
    }

    /// Puts a message into the queue, or drops it, counted, when the queue is full. `false` when
    /// the media thread has ended.
    pub(crate) fn send(&self, input: GraphInput) -> bool {
        match self.queue.try_send(input) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(input)) => {
                let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::error!(?input, dropped, "the media thread does not keep up");
                true
            }
        }
    }
}
