//! Between the room's words and the wire's for the ends of calls and the failures of registrations.

use api::snapshot as wire;
use room::{EndExplanation, EndReason, LegRefusal, RegistrationFailure};

pub(super) fn end_reason(reason: EndReason) -> wire::EndReason {
    match reason {
        EndReason::LocalHangUp => wire::EndReason::LocalHangUp,
        EndReason::RemoteHangUp => wire::EndReason::RemoteHangUp,
        EndReason::Declined => wire::EndReason::Declined,
        EndReason::RefusedBusy => wire::EndReason::RefusedBusy,
        EndReason::Missed => wire::EndReason::Missed,
        EndReason::Cancelled => wire::EndReason::Cancelled,
        EndReason::AnsweredElsewhere => wire::EndReason::AnsweredElsewhere,
        EndReason::DeclinedByPeer => wire::EndReason::DeclinedByPeer,
        EndReason::PeerBusy => wire::EndReason::PeerBusy,
        EndReason::NotAnswered => wire::EndReason::NotAnswered,
        EndReason::GaveWay => wire::EndReason::GaveWay,
        EndReason::DialTimedOut => wire::EndReason::DialTimedOut,
        EndReason::NotFound => wire::EndReason::NotFound,
        EndReason::InvalidTarget => wire::EndReason::InvalidTarget,
        EndReason::NoUsableAccount => wire::EndReason::NoUsableAccount,
        EndReason::Unreachable => wire::EndReason::Unreachable,
        EndReason::CertificateRefused => wire::EndReason::CertificateRefused,
        EndReason::Forbidden => wire::EndReason::Forbidden,
        EndReason::AuthenticationFailed => wire::EndReason::AuthenticationFailed,
        EndReason::PasswordMissing => wire::EndReason::PasswordMissing,
        EndReason::IncompatibleMedia => wire::EndReason::IncompatibleMedia,
        EndReason::EncryptionRequired => wire::EndReason::EncryptionRequired,
        EndReason::KeyExchangeFailed => wire::EndReason::KeyExchangeFailed,
        EndReason::Refused { status } => wire::EndReason::Refused { status },
        EndReason::Unsupported { status } => wire::EndReason::Unsupported { status },
        EndReason::PeerLost => wire::EndReason::PeerLost,
        EndReason::ConnectionLost => wire::EndReason::ConnectionLost,
        EndReason::AnswerTimedOut => wire::EndReason::AnswerTimedOut,
        EndReason::PeerFault => wire::EndReason::PeerFault,
        EndReason::LocalFault => wire::EndReason::LocalFault,
        EndReason::TooManyRestarts => wire::EndReason::TooManyRestarts,
        EndReason::NotResumed => wire::EndReason::NotResumed,
        EndReason::Transferred => wire::EndReason::Transferred,
        EndReason::ShutDown => wire::EndReason::ShutDown,
        EndReason::HangUpTimedOut => wire::EndReason::HangUpTimedOut,
    }
}

pub(super) fn end_explanation(explanation: &EndExplanation) -> wire::EndExplanation {
    wire::EndExplanation {
        sip_status: explanation.status,
        retry_after_s: explanation.retry_after.map(|wait| wait.as_secs()),
        far_end_words: explanation.words().to_vec(),
    }
}

pub(super) fn leg_refusal(refused: LegRefusal) -> wire::LegRefusal {
    match refused {
        LegRefusal::Hold => wire::LegRefusal::Hold,
        LegRefusal::Resume => wire::LegRefusal::Resume,
        LegRefusal::Dtmf => wire::LegRefusal::Dtmf,
        LegRefusal::Slides => wire::LegRefusal::Slides,
    }
}

pub(super) fn registration_failure(failure: RegistrationFailure) -> wire::RegistrationFailure {
    match failure {
        RegistrationFailure::Unreachable => wire::RegistrationFailure::Unreachable,
        RegistrationFailure::CertificateRefused => wire::RegistrationFailure::CertificateRefused,
        RegistrationFailure::ServerUnproven => wire::RegistrationFailure::ServerUnproven,
        RegistrationFailure::TimedOut => wire::RegistrationFailure::TimedOut,
        RegistrationFailure::AuthenticationFailed => {
            wire::RegistrationFailure::AuthenticationFailed
        }
        RegistrationFailure::PasswordMissing => wire::RegistrationFailure::PasswordMissing,
        RegistrationFailure::Refused { status } => wire::RegistrationFailure::Refused { status },
    }
}
