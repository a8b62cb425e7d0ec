//! The certificate of the guests' server on its way to clients.

use std::time::{SystemTime, UNIX_EPOCH};

use api::guest_certificate as wire;
use room::{
    GuestCertificate, GuestCertificateFailure, GuestCertificateReason, GuestCertificateState,
};

/// The certificate as the wire has it.
pub(super) fn guest_certificate_to_api(certificate: &GuestCertificate) -> wire::GuestCertificate {
    let (state, next) = match certificate.state {
        GuestCertificateState::Ordering => (wire::GuestCertificateState::Ordering, None),
        GuestCertificateState::Waiting { until } => {
            (wire::GuestCertificateState::Waiting, Some(until))
        }
    };
    wire::GuestCertificate {
        name: certificate.name.clone(),
        state,
        next_unix_ms: next.map(unix_ms),
        not_after_unix_ms: certificate.not_after.map(unix_ms),
        failure: certificate.failure.as_ref().map(failure),
    }
}

fn failure(failure: &GuestCertificateFailure) -> wire::GuestCertificateFailure {
    wire::GuestCertificateFailure {
        reason: reason(failure.reason),
        detail: failure.detail.clone(),
        count: failure.count,
        at_unix_ms: unix_ms(failure.at),
    }
}

fn reason(reason: GuestCertificateReason) -> wire::GuestCertificateReason {
    match reason {
        GuestCertificateReason::Unreachable => wire::GuestCertificateReason::Unreachable,
        GuestCertificateReason::ServerUntrusted => wire::GuestCertificateReason::ServerUntrusted,
        GuestCertificateReason::AccountRefused => wire::GuestCertificateReason::AccountRefused,
        GuestCertificateReason::NameRefused => wire::GuestCertificateReason::NameRefused,
        GuestCertificateReason::NoChallenge => wire::GuestCertificateReason::NoChallenge,
        GuestCertificateReason::NameNotProven => wire::GuestCertificateReason::NameNotProven,
        GuestCertificateReason::RateLimited => wire::GuestCertificateReason::RateLimited,
        GuestCertificateReason::ServerFault => wire::GuestCertificateReason::ServerFault,
        GuestCertificateReason::ClockWrong => wire::GuestCertificateReason::ClockWrong,
        GuestCertificateReason::NotStored => wire::GuestCertificateReason::NotStored,
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
