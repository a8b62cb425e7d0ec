//! What clients ask of the room, and the one honest answer that each request gets.

use crate::dtmf::DtmfDigits;
use crate::ids::LegId;
use crate::media_plan::{CameraState, Layout, MicrophoneState, SlidesState};
use crate::units::Volume;

/// What a client asks for. A request names the wanted state, never a toggle, so that a repeated
/// press is [`Admission::AlreadySo`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Call an address.
    Call {
        /// The address, such as `sip:board@example.com`.
        target: String,
        /// The account to call by; `None` stands for the first one of
        /// [`crate::RoomPolicy::accounts`].
        account: Option<String>,
    },
    /// The join button: call the target that policy names.
    Join,
    /// Answer a ringing leg.
    Answer {
        /// Which leg.
        leg: LegId,
    },
    /// Decline a ringing leg.
    Decline {
        /// Which leg.
        leg: LegId,
    },
    /// End a leg in whatever state it is.
    HangUp {
        /// Which leg; `None` ends all of them, and gives up a meeting remembered from before a
        /// restart.
        leg: Option<LegId>,
    },
    /// Mute or open the microphone.
    SetMicrophone(MicrophoneState),
    /// Show or hide the camera's picture.
    SetCamera(CameraState),
    /// Show slides of this room to the far ends, in place of anybody else's, or stop that.
    SetSlides(SlidesState),
    /// Set the loudspeaker's volume.
    SetVolume(Volume),
    /// Arrange the far ends on the screen.
    SetLayout(Layout),
    /// Pause the media of a leg.
    Hold {
        /// Which leg.
        leg: LegId,
    },
    /// Go on with a leg that this room holds.
    Resume {
        /// Which leg.
        leg: LegId,
    },
    /// Send touch tones. The one request that is not idempotent: each is a fresh press of keys.
    SendDtmf {
        /// Which leg.
        leg: LegId,
        /// The keys.
        digits: DtmfDigits,
    },
    /// Have an account registered: one that waits after a failure, or is locked, is asked for at once.
    Register {
        /// The account's name.
        account: String,
    },
    /// End every leg, stop the media, store what must be stored, and stop.
    ShutDown,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admission {
    /// The room acts on it.
    Accepted {
        /// The leg that it opened or acts on, where it is about one leg.
        leg: Option<LegId>,
    },
    /// The wanted state holds already or is being brought about; nothing is done.
    AlreadySo,
    /// The room will not do it; nothing is done.
    Denied(DeniedReason),
}

/// Why a request was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeniedReason {
    /// The room is shutting down.
    ShuttingDown,
    /// The room is in as many calls as policy allows.
    NoFreeLeg,
    /// There is no such leg.
    UnknownLeg,
    /// The target is empty, too long, or holds a control character.
    InvalidTarget,
    /// No account has that name.
    UnknownAccount,
    /// The account registers nowhere.
    NoRegistrar,
    /// Policy names nothing that the join button could call.
    NothingToJoin,
    /// The leg does not ring here, so it can be neither answered nor declined.
    NotRinging,
    /// The leg is not in the meeting (yet, or any more).
    NotEstablished,
    /// The configuration names no source of slides.
    NoSlides,
    /// No far end takes slides.
    SlidesNotTaken,
    /// The leg is held, so nothing can be sent on it.
    LegHeld,
    /// The opposite change of the leg's hold is still being settled with the far end.
    HoldInProgress,
}
