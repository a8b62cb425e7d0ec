//! Why a guest's leg ends: in the words of its connection, of the room, and of the guest's page.

use room::{EndReason, RejectCause};
use webrtc::CloseReason;

use crate::guests::signalling::GuestEnd;

/// What the page hears of a connection that has ended.
pub(super) fn end_of_connection(why: &CloseReason) -> GuestEnd {
    match why {
        CloseReason::Local => GuestEnd::HungUp,
        CloseReason::Remote | CloseReason::NotEstablished | CloseReason::ConsentLost => {
            GuestEnd::ConnectionLost
        }
        CloseReason::HandshakeFailed(_)
        | CloseReason::LimitExceeded(_)
        | CloseReason::EngineFault => GuestEnd::Failed,
    }
}

/// What the room hears of it.
pub(super) fn end_reason(why: &CloseReason) -> EndReason {
    match why {
        CloseReason::Local => EndReason::LocalHangUp,
        CloseReason::Remote => EndReason::RemoteHangUp,
        // The room knows whether the guest had come in before.
        CloseReason::NotEstablished | CloseReason::ConsentLost => EndReason::PeerLost,
        CloseReason::HandshakeFailed(_) | CloseReason::LimitExceeded(_) => EndReason::PeerFault,
        CloseReason::EngineFault => EndReason::LocalFault,
    }
}

/// What the page hears of a guest who is not let in.
pub(super) const fn end_of_refusal(cause: RejectCause) -> GuestEnd {
    match cause {
        RejectCause::Busy => GuestEnd::Busy,
        RejectCause::Decline => GuestEnd::Declined,
        RejectCause::NotAvailable | RejectCause::NotAnsweredUnasked => GuestEnd::NoAnswer,
    }
}

/// What page and room hear of an offer that cannot be answered.
pub(super) fn ends_of_failure(error: &webrtc::Error) -> (GuestEnd, EndReason) {
    match error {
        webrtc::Error::NoAudio | webrtc::Error::NoCommonCodec(_) => {
            (GuestEnd::MediaIncompatible, EndReason::IncompatibleMedia)
        }
        webrtc::Error::LocalAddress(_) | webrtc::Error::EngineFault => {
            (GuestEnd::Failed, EndReason::LocalFault)
        }
        _ => (GuestEnd::Failed, EndReason::PeerFault),
    }
}
