//! Why calls end and registrations fail: the SIP endpoint's causes in the room's words, and back.

use room::{EndReason, RegistrationFailure, RegistrationState, TransferProgress};
use sip::endpoint::{ActionError, CallEndCause, IncomingRefusal};
use sip::grammar::{ReasonValue, StatusCode, Warning};
use sip::registration;
use webrtc::secure_transport::IceFailure;

/// Why a call ended.
pub(crate) fn end_reason(cause: CallEndCause) -> EndReason {
    match cause {
        CallEndCause::Local => EndReason::LocalHangUp,
        CallEndCause::RemoteHangUp => EndReason::RemoteHangUp,
        CallEndCause::RemoteCancelled => EndReason::Cancelled,
        CallEndCause::AnsweredElsewhere => EndReason::AnsweredElsewhere,
        CallEndCause::NotAnswered => EndReason::NotAnswered,
        CallEndCause::Timeout | CallEndCause::Forgotten => EndReason::PeerLost,
        CallEndCause::Transport => EndReason::Unreachable,
        CallEndCause::Certificate => EndReason::CertificateRefused,
        CallEndCause::Media => EndReason::IncompatibleMedia,
        CallEndCause::Encryption => EndReason::EncryptionRequired,
        CallEndCause::Protocol => EndReason::PeerFault,
        CallEndCause::Credentials => EndReason::AuthenticationFailed,
        CallEndCause::NoCredentials => EndReason::PasswordMissing,
        CallEndCause::Refused(status) => refused(status.code()),
    }
}

/// Why a call could not even be tried.
#[must_use]
pub fn invite_failure(error: &ActionError) -> EndReason {
    match error {
        ActionError::UnknownAccount(_) | ActionError::NoRegistrar => EndReason::NoUsableAccount,
        ActionError::UnsupportedScheme => EndReason::InvalidTarget,
        ActionError::Media(error) if error.lacks_encryption() => EndReason::EncryptionRequired,
        ActionError::Media(_) => EndReason::IncompatibleMedia,
        ActionError::UnknownCall
        | ActionError::WrongState
        | ActionError::TooManyCalls
        | ActionError::NotARefusal
        | ActionError::NoFloorControl
        | ActionError::Text(_) => EndReason::LocalFault,
    }
}

/// Why a call ends whose media have no way.
pub(crate) fn path_failure(failure: IceFailure) -> EndReason {
    match failure {
        IceFailure::NoPair => EndReason::Unreachable,
        IceFailure::ConsentLost => EndReason::PeerLost,
        IceFailure::LocalAddress | IceFailure::EngineFault => EndReason::LocalFault,
    }
}

fn refused(status: u16) -> EndReason {
    match status {
        401 | 407 => EndReason::AuthenticationFailed,
        403 => EndReason::Forbidden,
        404 | 410 | 484 | 604 => EndReason::NotFound,
        408 | 480 => EndReason::NotAnswered,
        486 | 600 => EndReason::PeerBusy,
        488 | 606 => EndReason::IncompatibleMedia,
        603 => EndReason::DeclinedByPeer,
        status => EndReason::Refused { status },
    }
}

/// Why a call was refused that nobody here was asked about.
pub(crate) fn refused_here(why: IncomingRefusal) -> EndReason {
    match why {
        IncomingRefusal::Encryption => EndReason::EncryptionRequired,
        IncomingRefusal::Media => EndReason::IncompatibleMedia,
        IncomingRefusal::Unsupported(status) => EndReason::Unsupported {
            status: status.code(),
        },
    }
}

/// The far end's words of an end, each with what it was a word of.
pub(crate) fn words(reasons: &[ReasonValue], warnings: &[Warning]) -> impl Iterator<Item = String> {
    reasons.iter().map(reason_words).chain(
        warnings
            .iter()
            .map(|warning| format!("{} (Warning {})", warning.text(), warning.code())),
    )
}

fn reason_words(reason: &ReasonValue) -> String {
    let protocol = reason.protocol();
    let number = reason.cause();
    let number = number.map_or_else(
        || protocol.to_owned(),
        |cause| format!("{protocol} {cause}"),
    );
    match reason.text() {
        Some(text) => format!("{text} ({number})"),
        None => number,
    }
}

/// What a far end that has asked for a transfer is told of the call.
#[must_use]
pub fn transfer_status(progress: TransferProgress) -> StatusCode {
    let reason = match progress {
        TransferProgress::Ringing => return StatusCode::RINGING,
        TransferProgress::Answered => return StatusCode::OK,
        TransferProgress::Failed(reason) => reason,
    };
    match reason {
        EndReason::PeerBusy => StatusCode::BUSY_HERE,
        EndReason::DeclinedByPeer => StatusCode::DECLINE,
        EndReason::NotAnswered | EndReason::DialTimedOut => StatusCode::TEMPORARILY_UNAVAILABLE,
        EndReason::NotFound | EndReason::InvalidTarget => StatusCode::NOT_FOUND,
        EndReason::Unreachable | EndReason::ConnectionLost | EndReason::CertificateRefused => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        EndReason::Forbidden
        | EndReason::AuthenticationFailed
        | EndReason::PasswordMissing
        | EndReason::NoUsableAccount => StatusCode::FORBIDDEN,
        EndReason::IncompatibleMedia
        | EndReason::EncryptionRequired
        | EndReason::KeyExchangeFailed => StatusCode::NOT_ACCEPTABLE_HERE,
        EndReason::LocalHangUp | EndReason::ShutDown | EndReason::HangUpTimedOut => {
            StatusCode::REQUEST_TERMINATED
        }
        EndReason::Refused { status } | EndReason::Unsupported { status } => {
            StatusCode::new(status).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
        }
        EndReason::RemoteHangUp
        | EndReason::Declined
        | EndReason::RefusedBusy
        | EndReason::Missed
        | EndReason::Cancelled
        | EndReason::AnsweredElsewhere
        | EndReason::GaveWay
        | EndReason::Transferred
        | EndReason::PeerLost
        | EndReason::AnswerTimedOut
        | EndReason::PeerFault
        | EndReason::LocalFault
        | EndReason::TooManyRestarts
        | EndReason::NotResumed => StatusCode::SERVER_INTERNAL_ERROR,
    }
}

/// How an account stands with its registrar.
pub(crate) fn registration_state(state: registration::RegistrationState) -> RegistrationState {
    use registration::{RegistrationFailure as Failure, RegistrationState as State};
    match state {
        State::Unregistered => RegistrationState::Unregistered,
        State::Registering => RegistrationState::Registering,
        State::Registered | State::Deregistering => RegistrationState::Registered,
        State::Locked(_) => RegistrationState::Locked,
        State::BackingOff(failure) => RegistrationState::Failed(match failure {
            Failure::Transport => RegistrationFailure::Unreachable,
            Failure::Certificate => RegistrationFailure::CertificateRefused,
            Failure::ServerUnproven => RegistrationFailure::ServerUnproven,
            Failure::Timeout => RegistrationFailure::TimedOut,
            Failure::NoCredentials(_) => RegistrationFailure::PasswordMissing,
            Failure::Refused(status) => match status.code() {
                401 | 403 | 407 => RegistrationFailure::AuthenticationFailed,
                status => RegistrationFailure::Refused { status },
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use room::RejectCause;
    use sip::grammar::HeaderValue;

    use super::*;
    use crate::call_facts;

    #[test]
    fn a_room_that_is_refused_by_a_room_hears_why() {
        for (cause, heard) in [
            (RejectCause::Busy, EndReason::PeerBusy),
            (RejectCause::Decline, EndReason::DeclinedByPeer),
            (RejectCause::NotAvailable, EndReason::NotAnswered),
            (RejectCause::NotAnsweredUnasked, EndReason::Forbidden),
        ] {
            let status = call_facts::reject_status(cause);
            assert_eq!(end_reason(CallEndCause::Refused(status)), heard);
        }
    }

    #[test]
    fn each_cause_of_an_end_has_its_own_reason() {
        for (cause, reason) in [
            (CallEndCause::Media, EndReason::IncompatibleMedia),
            (CallEndCause::Encryption, EndReason::EncryptionRequired),
            (CallEndCause::Protocol, EndReason::PeerFault),
            (CallEndCause::Credentials, EndReason::AuthenticationFailed),
            (CallEndCause::NoCredentials, EndReason::PasswordMissing),
            (CallEndCause::Transport, EndReason::Unreachable),
            (CallEndCause::Timeout, EndReason::PeerLost),
        ] {
            assert_eq!(end_reason(cause), reason, "{cause:?}");
        }
    }

    #[test]
    fn a_call_refused_before_it_rang_has_its_reason() {
        for (why, reason) in [
            (IncomingRefusal::Encryption, EndReason::EncryptionRequired),
            (IncomingRefusal::Media, EndReason::IncompatibleMedia),
            (
                IncomingRefusal::Unsupported(StatusCode::BAD_EXTENSION),
                EndReason::Unsupported { status: 420 },
            ),
        ] {
            assert_eq!(refused_here(why), reason, "{why:?}");
        }
    }

    #[test]
    fn the_far_ends_words_stand_before_what_they_are_words_of() {
        let reasons = ["SIP;cause=480;text=\"On vacation\"", "Q.850;cause=16", "X"]
            .map(|text| ReasonValue::parse_value(text).expect("a reason"));
        let warnings = ["305 carol \"No H.265 here\""]
            .map(|text| Warning::parse_value(text).expect("a warning"));
        let words: Vec<String> = words(&reasons, &warnings).collect();
        let expected = [
            "On vacation (SIP 480)",
            "Q.850 16",
            "X",
            "No H.265 here (Warning 305)",
        ];
        assert_eq!(words, expected);
    }
}
