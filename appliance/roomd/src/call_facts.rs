//! What the SIP endpoint reports, in the room's words.

use room::leg_state::EndReason;
use room::peer::{LegSecurity, Peer, PeerTrust, Protection};
use room::{RegistrationFailure, RegistrationState};
use sip::endpoint::{self, ActionError, CallEndCause, CallSecurity};
use sip::grammar::NameAddr;
use sip::offer_answer::{AgreedSecurity, CallMedia};
use sip::registration;
use sip::transport::Transport;

use crate::media_ports::leg_transport::{LegRoute, MediumRoute};

/// Who calls.
#[must_use]
pub fn peer(from: &NameAddr) -> Peer {
    Peer {
        uri: from.uri().to_string(),
        display_name: from.display_name().map(str::to_owned),
    }
}

/// How far a caller is trusted: a configured peer is the owner's own; what a registrar passes on
/// may be anybody.
#[must_use]
pub fn trust(trust: endpoint::PeerTrust) -> PeerTrust {
    match trust {
        endpoint::PeerTrust::ConfiguredPeer => PeerTrust::Trusted,
        endpoint::PeerTrust::RegisteredFlow => PeerTrust::Admitted,
    }
}

/// How a call is protected.
#[must_use]
pub fn security(security: CallSecurity) -> LegSecurity {
    LegSecurity {
        signalling: match security.signalling {
            Transport::Tls => Protection::Encrypted,
            Transport::Udp | Transport::Tcp => Protection::Plain,
        },
        media: match security.media {
            Some(AgreedSecurity::Secured) => Protection::Encrypted,
            Some(AgreedSecurity::Plain) | None => Protection::Plain,
        },
    }
}

/// Where the media of a call goes.
#[must_use]
pub fn route(media: &CallMedia, video_target: room::units::Bitrate) -> LegRoute {
    let audio = media.streams.audio.as_ref().zip(media.remote.audio);
    let video = media.streams.video.as_ref().zip(media.remote.video);
    LegRoute {
        audio: audio.map(|(stream, remote)| MediumRoute {
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            srtp: stream.srtp.clone(),
        }),
        video: video.map(|(stream, remote)| MediumRoute {
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            srtp: stream.srtp.clone(),
        }),
        video_target,
    }
}

/// Why a call ended.
#[must_use]
pub fn end_reason(cause: CallEndCause) -> EndReason {
    match cause {
        CallEndCause::Local => EndReason::LocalHangUp,
        CallEndCause::RemoteHangUp => EndReason::RemoteHangUp,
        CallEndCause::RemoteCancelled => EndReason::Cancelled,
        CallEndCause::NotAnswered => EndReason::NotAnswered,
        CallEndCause::Timeout | CallEndCause::Forgotten => EndReason::PeerLost,
        CallEndCause::Transport => EndReason::Unreachable,
        CallEndCause::Media => EndReason::IncompatibleMedia,
        CallEndCause::Protocol => EndReason::LocalFault,
        CallEndCause::Credentials => EndReason::AuthenticationFailed,
        CallEndCause::Refused(status) => refused(status.code()),
    }
}

/// Why a call could not even be tried.
#[must_use]
pub fn invite_failure(error: &ActionError) -> EndReason {
    match error {
        ActionError::UnknownAccount(_) | ActionError::NoRegistrar => EndReason::NoUsableAccount,
        ActionError::UnsupportedScheme => EndReason::InvalidTarget,
        ActionError::Media(_) => EndReason::IncompatibleMedia,
        ActionError::UnknownCall
        | ActionError::WrongState
        | ActionError::TooManyCalls
        | ActionError::NotARefusal
        | ActionError::Text(_) => EndReason::LocalFault,
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

/// How a registration stands.
#[must_use]
pub fn registration_state(state: registration::RegistrationState) -> RegistrationState {
    use registration::{RegistrationFailure as Failure, RegistrationState as State};
    match state {
        State::Unregistered => RegistrationState::Unregistered,
        State::Registering => RegistrationState::Registering,
        State::Registered | State::Deregistering => RegistrationState::Registered,
        State::Locked(_) => RegistrationState::Locked,
        State::BackingOff(failure) => RegistrationState::Failed(match failure {
            Failure::Transport => RegistrationFailure::Unreachable,
            Failure::Certificate => RegistrationFailure::CertificateRefused,
            Failure::Timeout => RegistrationFailure::TimedOut,
            Failure::Refused(status) => match status.code() {
                401 | 403 | 407 => RegistrationFailure::AuthenticationFailed,
                status => RegistrationFailure::Refused { status },
            },
        }),
    }
}
