//! What has happened: to the far ends, the devices, the media and the store.
//!
//! A fact cannot be denied. A fact about a leg that the room does not have, or that cannot be true
//! in the leg's state, changes nothing: signalling and media run on their own clocks, so a late
//! word about a leg that is gone is normal.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::dtmf::DtmfDigit;
use crate::end_explanation::EndExplanation;
use crate::guest::Guest;
use crate::guest_certificate::GuestCertificate;
use crate::ids::{Generation, LegId};
use crate::leg_state::EndReason;
use crate::leg_stats::LegStats;
use crate::media_plan::{LegStreams, VideoRole};
use crate::peer::{AnswerWish, LegSecurity, Peer, PeerTrust};
use crate::policy::{CallTarget, RoomPolicy};
use crate::resumption::{DialogName, WayBack};
use crate::units::{AudioLevel, Bitrate};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A far end calls. The leg's id comes from [`crate::Room::reserve_leg`].
    Incoming {
        /// The new leg.
        leg: LegId,
        /// Who calls.
        peer: Peer,
        /// The account that is called.
        account: String,
        /// How the leg is protected as offered.
        security: LegSecurity,
        /// Whether policy may answer it unasked.
        trust: PeerTrust,
        /// How the caller wishes to be answered.
        wish: AnswerWish,
        /// The leg by which this room calls the caller at the same moment, if there is one.
        glare: Option<Glare>,
    },
    /// A guest comes by a link. The leg's id comes from [`crate::Room::reserve_leg`].
    GuestKnocks {
        /// The new leg.
        leg: LegId,
        /// Who comes.
        guest: Guest,
    },
    /// The far end rings.
    Ringing {
        /// Which leg.
        leg: LegId,
    },
    /// The far end sends media before it answers.
    EarlyMedia {
        /// Which leg.
        leg: LegId,
        /// The streams as settled so far.
        streams: LegStreams,
    },
    /// The answer to a leg's offer is out, and the way to the far end is being made: its media can be made ready.
    Answered {
        /// Which leg.
        leg: LegId,
        /// The streams as settled by the answer.
        streams: LegStreams,
    },
    /// The leg is in the meeting.
    Established {
        /// Which leg.
        leg: LegId,
        /// The settled streams.
        streams: LegStreams,
        /// How the leg is protected.
        security: LegSecurity,
    },
    /// What the far end calls the dialog of an established leg, or calls it from now on.
    DialogNamed {
        /// Which leg.
        leg: LegId,
        /// Its name, and the way to the far end.
        way_back: WayBack,
    },
    /// The streams were settled anew, by either side.
    StreamsChanged {
        /// Which leg.
        leg: LegId,
        /// The streams as they are now.
        streams: LegStreams,
    },
    /// The far end took our hold.
    HoldSucceeded {
        /// Which leg.
        leg: LegId,
    },
    /// The far end refused our hold; the media goes on.
    HoldFailed {
        /// Which leg.
        leg: LegId,
    },
    /// The far end took our resume.
    ResumeSucceeded {
        /// Which leg.
        leg: LegId,
    },
    /// The far end refused our resume; the leg stays held.
    ResumeFailed {
        /// Which leg.
        leg: LegId,
    },
    /// The far end holds us.
    RemoteHold {
        /// Which leg.
        leg: LegId,
    },
    /// The far end goes on.
    RemoteResume {
        /// Which leg.
        leg: LegId,
    },
    /// The far end asks to be replaced by somebody else: by a call of this room to `target`.
    TransferAsked {
        /// The leg of the far end.
        leg: LegId,
        /// Whom to call.
        target: String,
        /// The dialog whose place that call takes, as the called party knows it.
        replaced: Option<DialogName>,
    },
    /// Somebody who may call did, and signalling has refused the call before it became a leg.
    IncomingRefused {
        /// Who called.
        peer: Peer,
        /// The account that was called.
        account: String,
        /// Why the call was refused.
        reason: EndReason,
    },
    /// What the far end says about the end of the leg, which comes next.
    EndExplained {
        /// Which leg.
        leg: LegId,
        /// What it says.
        explanation: EndExplanation,
    },
    /// Signalling is done with the leg.
    Ended {
        /// Which leg.
        leg: LegId,
        /// Why, as signalling saw it. What this room did outranks it.
        reason: EndReason,
    },
    /// The first frame of the far end was decoded.
    FirstFrame {
        /// Which leg.
        leg: LegId,
    },
    /// No frame of the far end was decoded for most of a second.
    VideoStalled {
        /// Which leg.
        leg: LegId,
    },
    /// Frames of the far end are decoded again.
    VideoResumed {
        /// Which leg.
        leg: LegId,
    },
    /// The right to show slides went to somebody, or did not (RFC 8855).
    Floor {
        /// Which leg.
        leg: LegId,
        /// What happened.
        change: FloorChange,
    },
    /// Slides of the far end are decoded.
    SlidesResumed {
        /// Which leg.
        leg: LegId,
    },
    /// No slides of the far end were decoded for longer than it had left between them.
    SlidesStalled {
        /// Which leg.
        leg: LegId,
    },
    /// The far end pressed a key.
    DtmfReceived {
        /// Which leg.
        leg: LegId,
        /// The key.
        digit: DtmfDigit,
    },
    /// The far end did not take key presses of ours.
    DtmfRefused {
        /// Which leg.
        leg: LegId,
    },
    /// The far end asked for at most this much of a picture for the time being (TMMBR, RFC 5104
    /// section 4.2.1): less than it settled, or that again.
    BitrateRequested {
        /// Which leg.
        leg: LegId,
        /// Which picture.
        role: VideoRole,
        /// The most.
        most: Bitrate,
    },
    /// The network carries this much of a picture to the far end, as congestion control finds: the
    /// most that the leg is to send of it from now on.
    VideoTarget {
        /// Which leg.
        leg: LegId,
        /// Which picture.
        role: VideoRole,
        /// The most, without headers below RTP.
        target: Bitrate,
    },
    /// The leg's media was measured.
    Measured {
        /// Which leg.
        leg: LegId,
        /// The measurements.
        stats: Box<LegStats>,
    },
    /// The camera is gone, or gives no frames.
    CameraGone,
    /// The camera gives frames again.
    CameraBack,
    /// The source of our slides is gone, or gives no frames.
    SlidesGone,
    /// The source of our slides gives frames again.
    SlidesBack,
    /// The microphone is gone, or gives no sound.
    MicrophoneGone,
    /// The microphone gives sound again.
    MicrophoneBack,
    /// The media graph is as the plan of this generation wants it.
    MediaApplied {
        /// The plan's generation.
        generation: Generation,
    },
    /// Something in the media graph failed. The legs go on with what is left.
    MediaFault(MediaFault),
    /// How long the certificates of this room are good for, by their files: all of them, when one has
    /// changed.
    Certificates(BTreeMap<String, Certificate>),
    /// How the guests' server stands with who certifies it.
    GuestCertificate(Box<GuestCertificate>),
    /// Sound levels over the last interval.
    Levels {
        /// What leaves the room, mute included.
        microphone: AudioLevel,
        /// What the loudspeaker plays.
        loudspeaker: AudioLevel,
    },
    /// How an account stands with its registrar.
    Registration {
        /// The account's name.
        account: String,
        /// How it stands.
        state: RegistrationState,
    },
    /// How an account stands by each of its outbound proxies, where it has several.
    RegistrationFlows {
        /// The account's name.
        account: String,
        /// The states, in the order of the proxies.
        flows: Vec<RegistrationState>,
    },
    /// A call that was remembered from before a restart is not placed again, and no longer wanted.
    NotResumed {
        /// The call.
        call: CallTarget,
        /// Why not.
        reason: EndReason,
    },
    /// A [`crate::Command::Remember`] is safely stored, and all before it are done with.
    Stored {
        /// Which one.
        generation: Generation,
    },
    /// A [`crate::Command::Remember`] could not be stored, and all before it are done with.
    StoreFailed {
        /// Which one.
        generation: Generation,
        /// Why, in the words of the operating system.
        text: String,
    },
    /// A new configuration is in force. It changes what is wanted from now on; legs that are there
    /// stay.
    PolicyChanged(Box<RoomPolicy>),
}

/// What became of the right to show slides on a leg, which is called the floor (RFC 8855).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloorChange {
    /// Nobody has it.
    Free,
    /// We have it: our slides may be sent.
    Ours,
    /// The far end has it.
    Theirs,
    /// The far end asks us for it, and waits.
    PeerWaits,
    /// What we asked for was denied, or what we had was taken.
    NotGranted,
    /// Whoever decides about it does not answer.
    Unreachable,
}

/// Two rooms that call each other at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glare {
    /// Our own leg to the caller.
    pub placed: LegId,
    /// The call that goes on, by the word of both sides.
    pub prevails: Prevails,
}

/// Which of two crossing calls goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prevails {
    /// The call that this room placed.
    Placed,
    /// The call that comes in.
    Incoming,
}

/// A failure in the media graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFault {
    /// The leg whose media is concerned; `None` for capture and playout.
    pub leg: Option<LegId>,
    /// The element that failed.
    pub element: String,
    /// What it said.
    pub text: String,
}

/// A certificate by which the room proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whether it is good now.
    pub validity: CertificateValidity,
    /// The end of its time.
    pub not_after: SystemTime,
}

/// Whether a certificate is good at the moment, by the clock of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateValidity {
    /// For longer than the time that renewing it takes.
    Good,
    /// It is, but not for long.
    ExpiresSoon,
    /// Its time is over: peers refuse it.
    Expired,
    /// Its time has not begun. Most likely the clock is wrong.
    NotYetValid,
}

/// How an account stands with its registrar (RFC 3261 section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationState {
    /// Not registered, and not wanted to be.
    Unregistered,
    /// Asked; no answer yet.
    Registering,
    /// Registered: the account can be called.
    Registered,
    /// The last attempt failed; it is tried again.
    Failed(RegistrationFailure),
    /// The registrar has forbidden the account, or refused the credentials repeatedly. It is not asked
    /// again until somebody wants it ([`crate::Request::Register`]) or the service starts anew, so that
    /// the account is not locked by us.
    Locked,
}

/// Why a registration failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationFailure {
    /// The registrar could not be reached.
    Unreachable,
    /// The registrar's certificate was not accepted.
    CertificateRefused,
    /// Who answered failed to prove that it knows the password: perhaps not the registrar.
    ServerUnproven,
    /// The registrar did not answer in time.
    TimedOut,
    /// The credentials were refused.
    AuthenticationFailed,
    /// The registrar asked for credentials, and the account has none.
    PasswordMissing,
    /// Refused for another reason.
    Refused {
        /// The status code of the answer.
        status: u16,
    },
}
