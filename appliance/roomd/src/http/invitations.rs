//! The routes of guests' links, and of their server's certificate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::guests::{Admit, FreshInvitation, Invitation, Invitations};
use api::{ProblemCode, request};
use axum::extract::{FromRequestParts, Json, Path, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::problem::{Refusal, Speaks};
use super::routes::{Api, Body};
use crate::guests::{GuestLinks, InvitationId, LinkError, Renewal};

/// What a link's name may have, in characters.
const LONGEST_LABEL: usize = 64;
/// How long a link may be good for, in minutes.
const LIFETIME_MINUTES: std::ops::RangeInclusive<u32> = 5..=43_200;

pub(super) async fn list(State(api): State<Api>, speaks: Speaks) -> Response {
    let Some(links) = api.guest_links() else {
        return Refusal::new(ProblemCode::NoGuests, speaks).into_response();
    };
    let invitations = links.list().into_iter();
    let invitations = invitations.map(|(invitation, guests)| to_api(invitation, guests));
    Json(Invitations {
        invitations: invitations.collect(),
    })
    .into_response()
}

pub(super) async fn invite(
    State(api): State<Api>,
    speaks: Speaks,
    Body(wanted): Body<request::Invite>,
) -> Response {
    let Some(links) = api.guest_links() else {
        return Refusal::new(ProblemCode::NoGuests, speaks).into_response();
    };
    if !is_within_bounds(&wanted) {
        return Refusal::new(ProblemCode::InvalidInvitation, speaks).into_response();
    }
    match make(links, wanted).await {
        Ok(fresh) => Json(fresh).into_response(),
        Err(error) => refused(error, speaks),
    }
}

async fn make(links: &GuestLinks, wanted: request::Invite) -> Result<FreshInvitation, LinkError> {
    let admit = wanted.admit.map(|admit| match admit {
        Admit::Ask => config::Admit::Ask,
        Admit::Automatically => config::Admit::Automatically,
    });
    let lifetime = wanted
        .lifetime_minutes
        .map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
    let fresh = links.invite(wanted.label, admit, lifetime).await?;
    Ok(FreshInvitation {
        url: fresh.url(),
        invitation: to_api(fresh.invitation, 0),
        authority_fingerprint: fresh.fingerprint,
    })
}

fn is_within_bounds(wanted: &request::Invite) -> bool {
    let label = wanted.label.as_deref().unwrap_or_default();
    let lifetime = wanted.lifetime_minutes;
    label.chars().count() <= LONGEST_LABEL
        && !label.contains(char::is_control)
        && lifetime.is_none_or(|minutes| LIFETIME_MINUTES.contains(&minutes))
}

pub(super) async fn revoke(State(api): State<Api>, speaks: Speaks, Number(id): Number) -> Response {
    let Some(links) = api.guest_links() else {
        return Refusal::new(ProblemCode::NoGuests, speaks).into_response();
    };
    match links.revoke(id).await {
        Ok(()) => Json(api::Admission::Accepted { leg: None }).into_response(),
        Err(error) => refused(error, speaks),
    }
}

pub(super) async fn renew_certificate(State(api): State<Api>, speaks: Speaks) -> Response {
    let Some(links) = api.guest_links() else {
        return Refusal::new(ProblemCode::NoGuests, speaks).into_response();
    };
    let admission = match links.renew_certificate() {
        None => return Refusal::new(ProblemCode::NoAcme, speaks).into_response(),
        Some(Renewal::Asked) => api::Admission::Accepted { leg: None },
        Some(Renewal::UnderWay) => api::Admission::AlreadySo,
    };
    Json(admission).into_response()
}

fn refused(error: LinkError, speaks: Speaks) -> Response {
    let code = match error {
        LinkError::Invite(_) => ProblemCode::TooManyInvitations,
        LinkError::NotStored(_) => ProblemCode::NotStored,
        LinkError::Unknown => ProblemCode::UnknownInvitation,
        LinkError::NoRandomness => ProblemCode::RoomGone,
    };
    Refusal::new(code, speaks).into_response()
}

fn to_api(invitation: crate::guests::Invitation, guests: usize) -> Invitation {
    Invitation {
        id: invitation.id.0,
        label: invitation.label,
        admit: match invitation.admit {
            config::Admit::Ask => Admit::Ask,
            config::Admit::Automatically => Admit::Automatically,
        },
        created_unix_ms: unix_ms(invitation.created_at),
        expires_unix_ms: unix_ms(invitation.expires_at),
        guests: guests.try_into().unwrap_or(u32::MAX),
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The invitation that the path names.
pub(super) struct Number(InvitationId);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let speaks = Speaks::of(&parts.headers);
        match Path::<u32>::from_request_parts(parts, state).await {
            Ok(Path(number)) => Ok(Self(InvitationId(number))),
            Err(_) => Err(Refusal::new(ProblemCode::UnknownInvitation, speaks)),
        }
    }
}
