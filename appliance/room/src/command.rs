//! What the room tells the parts around it to do.

use crate::dtmf::DtmfDigits;
use crate::ids::{Generation, LegId};
use crate::leg_state::EndReason;
use crate::media_plan::{CameraState, MediaPlan, MicrophoneState};
use crate::resumption::{DialogName, WantedCall};
use crate::units::Volume;

/// An order to signalling, media, the store, or the ringer. Each is carried out once; what comes
/// of it returns as a [`crate::Fact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Call an address. When that cannot even be tried, [`crate::Fact::Ended`] says why.
    Dial {
        /// The new leg.
        leg: LegId,
        /// The address.
        target: String,
        /// The account to call by; `None` when the room has none.
        account: Option<String>,
        /// The dialog whose place the call takes: it was interrupted by a restart, or is that of
        /// somebody who hands this room on.
        replaced: Option<Replaced>,
    },
    /// Tell the caller that the room rings (180).
    Ring {
        /// Which leg.
        leg: LegId,
    },
    /// Answer the call. [`crate::Fact::Established`] or [`crate::Fact::Ended`] follows.
    Accept {
        /// Which leg.
        leg: LegId,
        /// What a caller who has said how it wishes to be answered is told.
        mode: AnswerMode,
    },
    /// Refuse the call. [`crate::Fact::Ended`] follows.
    Reject {
        /// Which leg.
        leg: LegId,
        /// What the caller is told.
        cause: RejectCause,
    },
    /// End the call in whatever state it is, also when it is answered at the same moment.
    /// [`crate::Fact::Ended`] follows.
    HangUp {
        /// Which leg.
        leg: LegId,
    },
    /// Ask the far end to pause. [`crate::Fact::HoldSucceeded`] or [`crate::Fact::HoldFailed`]
    /// follows.
    Hold {
        /// Which leg.
        leg: LegId,
    },
    /// Ask the far end to go on. [`crate::Fact::ResumeSucceeded`] or
    /// [`crate::Fact::ResumeFailed`] follows.
    Resume {
        /// Which leg.
        leg: LegId,
    },
    /// Ask for the right to show slides. [`crate::Fact::Floor`] tells what comes of it; where nobody
    /// decides about it, it is ours at once.
    RequestFloor {
        /// Which leg.
        leg: LegId,
    },
    /// Give it back, or no longer wait for it.
    ReleaseFloor {
        /// Which leg.
        leg: LegId,
    },
    /// Take it from the far end, where this room decides about it. Elsewhere nothing comes of it.
    RevokeFloor {
        /// Which leg.
        leg: LegId,
    },
    /// Send touch tones: by telephone-event where the streams have it, else by INFO.
    SendDtmf {
        /// Which leg.
        leg: LegId,
        /// The keys.
        digits: DtmfDigits,
    },
    /// Agree to call somebody else in the place of this far end, which has asked for it.
    AcceptTransfer {
        /// The leg of the far end.
        leg: LegId,
    },
    /// Stay with this far end, which has asked to be replaced by somebody else.
    RefuseTransfer {
        /// The leg of the far end.
        leg: LegId,
    },
    /// Tell the far end how the call goes that it has asked for.
    TellTransfer {
        /// The leg of the far end.
        leg: LegId,
        /// What has come of the call.
        progress: TransferProgress,
    },
    /// Ask the registrar of an account at once. [`crate::Fact::Registration`] tells of each change.
    Register {
        /// The account's name.
        account: String,
    },
    /// Bring the media graph to this plan. [`crate::Fact::MediaApplied`] follows.
    ApplyMedia(MediaPlan),
    /// Store this before anything else can be lost. [`crate::Fact::Stored`] or
    /// [`crate::Fact::StoreFailed`] follows, at least for the newest of several: those that it
    /// overtakes need not be stored.
    Remember {
        /// Names the values in the store's answer.
        generation: Generation,
        /// What is to be stored.
        remembered: Remembered,
    },
    /// The room is shut down: no leg, no media, everything stored. The last command.
    ShutDownComplete,
}

/// What has come of a call that a far end has asked for in its own place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferProgress {
    /// It rings.
    Ringing,
    /// It was answered.
    Answered,
    /// It was not, and will not be.
    Failed(EndReason),
}

/// A dialog whose place a call takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// What the far end calls it.
    pub dialog: DialogName,
    /// What becomes of the call where the far end cannot do that.
    pub otherwise: IfNotReplaced,
    /// By which address the far end knows this room; `None` where that of the account is to be used.
    pub known_as: Option<String>,
}

/// What becomes of a call whose far end cannot put it into the place of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfNotReplaced {
    /// It is placed as a call of its own.
    CallAnew,
    /// It has failed.
    GiveUp,
}

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerMode {
    /// By somebody in the room.
    Manual,
    /// By policy, without a hand.
    Automatic,
}

/// What a refused caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectCause {
    /// In another call (486).
    Busy,
    /// Declined by somebody (603).
    Decline,
    /// Nobody answered, or the room is shutting down (480).
    NotAvailable,
    /// The caller does not want anybody to be asked, and policy does not answer it unasked (403, RFC 5373
    /// section 4).
    NotAnsweredUnasked,
}

/// What survives a crash: stored at each change, handed to [`crate::Room::new`] at the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// A muted room comes back muted.
    pub microphone: MicrophoneState,
    /// A hidden picture comes back hidden.
    pub camera: CameraState,
    /// The loudspeaker's volume.
    pub volume: Volume,
    /// The calls that this room placed or answered and that nobody ended, oldest first.
    pub wanted: Vec<WantedCall>,
}

impl Default for Remembered {
    /// A room that was never used: microphone open, camera on, 60 percent volume, no call.
    fn default() -> Self {
        Self {
            microphone: MicrophoneState::Open,
            camera: CameraState::On,
            volume: Volume::DEFAULT,
            wanted: Vec::new(),
        }
    }
}
