//! How calls end, and what a far end does not take while they last.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody in this room hung up.
    LocalHangUp,
    /// The far end hung up.
    RemoteHangUp,
    /// Somebody in this room declined the call.
    Declined,
    /// Refused by this room because it had no free leg.
    RefusedBusy,
    /// Rang here until the ring time-out.
    Missed,
    /// The caller gave up.
    Cancelled,
    /// The call was answered elsewhere, by another phone or person.
    AnsweredElsewhere,
    /// The far end declined.
    DeclinedByPeer,
    /// The far end is in another call.
    PeerBusy,
    /// The far end did not answer in time.
    NotAnswered,
    /// The far end called at the same moment, and its call was answered instead.
    GaveWay,
    /// The far end has handed this room on to somebody else, who has answered.
    Transferred,
    /// Nothing was heard of the far end until the dial time-out.
    DialTimedOut,
    /// The address exists nowhere.
    NotFound,
    /// The address cannot be called.
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
    /// The server asked for a password, and the account has none.
    PasswordMissing,
    /// The two sides share no codec, or the far end takes none of the room's media and does not say why.
    IncompatibleMedia,
    /// One side insists on encryption and the other does not offer it.
    EncryptionRequired,
    /// The handshake for the keys of media failed: the far end did not take part, or has another
    /// certificate than it told.
    KeyExchangeFailed,
    /// The far end refused for another reason.
    Refused {
        /// The SIP status code of its answer.
        status: u16,
    },
    /// Refused by this room before it rang, because the call asks for what the room does not have.
    Unsupported {
        /// The SIP status code of this room's answer.
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
    /// This room could not handle the call.
    LocalFault,
    /// This room restarted too often during the call and does not place it again.
    TooManyRestarts,
    /// This room restarted in a call that it had answered, and the far end does not take it back.
    NotResumed,
    /// This room was shut down.
    ShutDown,
    /// This room ended the leg, and the far end did not confirm it in time.
    HangUpTimedOut,
}

/// What the far end, or a proxy, said about the end of a leg. Anybody on the way may have written it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct EndExplanation {
    /// The SIP status code by which it refused; absent when it gave up or hung up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_status: Option<u16>,
    /// How long it does not want to be called again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Its own words, from Reason and Warning: at most 8 of at most 160 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub far_end_words: Vec<String>,
}

/// What was asked of the far end of a leg, and it did not take. The call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegRefusal {
    /// A hold: the media goes on.
    Hold,
    /// The end of a hold: the leg stays held.
    Resume,
    /// Key presses by INFO.
    Dtmf,
    /// That the room shows slides.
    Slides,
}
