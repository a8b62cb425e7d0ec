//! The states of a leg that clients see, and the reasons for its end.

/// Who opened the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallDirection {
    /// The far end called.
    Incoming,
    /// This room called.
    Outgoing,
}

/// Where a leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegState {
    /// The far end calls; the room rings.
    Incoming,
    /// Answered here; signalling settles it with the far end.
    Answering,
    /// Called; the far end has not rung yet.
    Dialing,
    /// The far end rings.
    Ringing,
    /// Not answered yet, but the far end already sends media (announcements, ring-back tones).
    Early,
    /// In the meeting.
    Established,
    /// In the meeting, with the media paused.
    Held(HeldBy),
    /// Hung up or refused here for this reason; signalling has not confirmed it yet. No media
    /// flows any more.
    Ending(EndReason),
    /// Over.
    Ended(EndReason),
}

impl LegState {
    /// Whether the leg takes part in the meeting: established, or held.
    #[must_use]
    pub const fn is_connected(self) -> bool {
        match self {
            Self::Established | Self::Held(_) => true,
            Self::Incoming
            | Self::Answering
            | Self::Dialing
            | Self::Ringing
            | Self::Early
            | Self::Ending(_)
            | Self::Ended(_) => false,
        }
    }

    /// Why the leg ends or has ended; `None` while it lives.
    #[must_use]
    pub const fn end_reason(self) -> Option<EndReason> {
        match self {
            Self::Ending(reason) | Self::Ended(reason) => Some(reason),
            Self::Incoming
            | Self::Answering
            | Self::Dialing
            | Self::Ringing
            | Self::Early
            | Self::Established
            | Self::Held(_) => None,
        }
    }
}

/// Which side paused the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// This room.
    Local,
    /// The far end.
    Remote,
    /// Both sides.
    Both,
}

/// Whether a change of our own hold is on its way to the far end. [`LegState::Held`] tells only
/// what the far end has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldChange {
    /// Nothing is on its way.
    None,
    /// The far end was asked to pause; our media is paused already.
    Holding,
    /// The far end was asked to go on.
    Resuming,
}

/// What was asked of the far end within a call last, and it did not take. The call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegRefusal {
    /// A hold: the media goes on.
    Hold,
    /// The end of a hold: the leg stays held.
    Resume,
    /// Key presses by INFO.
    Dtmf,
    /// That this room shows slides.
    Slides,
}

/// Why a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Somebody in this room hung up.
    LocalHangUp,
    /// The far end hung up.
    RemoteHangUp,
    /// Somebody in this room declined the call.
    Declined,
    /// Refused by this room because it had no free leg.
    RefusedBusy,
    /// Rang here until the ring time-out, or was to be answered unasked or not at all.
    Missed,
    /// The caller gave up before the call was answered.
    Cancelled,
    /// The call was answered elsewhere, by another phone or person, before it was here.
    AnsweredElsewhere,
    /// The far end declined.
    DeclinedByPeer,
    /// The far end is in another call.
    PeerBusy,
    /// The far end rang but did not answer in time, or said that nobody is there.
    NotAnswered,
    /// The far end called at the same moment, and its call was answered instead.
    GaveWay,
    /// The far end has handed this room on to somebody else, who has answered.
    Transferred,
    /// Nothing was heard of the far end until the dial time-out.
    DialTimedOut,
    /// The address exists nowhere.
    NotFound,
    /// The address cannot be called: it is no address of a known kind.
    InvalidTarget,
    /// No account of this room can place the call.
    NoUsableAccount,
    /// The far end or its server could not be reached.
    Unreachable,
    /// The far end or its server was reached, but its certificate was not accepted.
    CertificateRefused,
    /// The far end does not allow the call.
    Forbidden,
    /// The server refused this room's credentials.
    AuthenticationFailed,
    /// The server asked for credentials, and the account has none.
    PasswordMissing,
    /// The two sides share no codec, or the far end takes none of our media and does not say why.
    IncompatibleMedia,
    /// One side insists on encryption and the other does not offer it.
    EncryptionRequired,
    /// The handshake for the keys of media failed: the far end did not take part, or has another
    /// certificate than it told.
    KeyExchangeFailed,
    /// The far end refused for another reason.
    Refused {
        /// The status code of its answer.
        status: u16,
    },
    /// Refused by this room before it rang, because the call asks for what the room does not have.
    Unsupported {
        /// The status code of this room's answer.
        status: u16,
    },
    /// The far end took part and then was heard no more.
    PeerLost,
    /// The connection by which the call was signalled broke and did not come back.
    ConnectionLost,
    /// This room answered, but the far end never confirmed it.
    AnswerTimedOut,
    /// The far end broke the rules of SIP.
    PeerFault,
    /// This room could not handle the call, for example because no media port was free.
    LocalFault,
    /// This room restarted too often during the call and does not place it again: the call itself
    /// may be what ends it.
    TooManyRestarts,
    /// This room restarted during a call that it had answered, and the far end does not take it back;
    /// or the room was gone for too long.
    NotResumed,
    /// This room was shut down.
    ShutDown,
    /// This room ended the leg, but signalling did not confirm it in time; the leg was dropped.
    HangUpTimedOut,
}
