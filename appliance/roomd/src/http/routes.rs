//! The routes: each turns an HTTP request into a request to the room, and its answer back.

use std::sync::Arc;
use std::time::Duration;

use api::reachability::Reachability;
use api::{Endpoint, Language, Localized, ProblemCode, request};
use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{
    DefaultBodyLimit, FromRequest, FromRequestParts, Json, Path, Query, Request, State,
};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use room::snapshot::VideoFlow;
use room::units::Volume;
use room::{Admission, DtmfDigits, LegId, LegSnapshot};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::convert::{self, WallClock, snapshot_to_api};
use super::convert_ladder::sip_ladder_to_api;
use super::events::EventStreams;
use super::invitations;
use super::metrics::{self, HttpCounters};
use super::problem::{Refusal, Speaks};
use super::room_handle::{PictureError, PictureOf, RoomHandle, Unanswered};
use crate::guests::GuestLinks;
use crate::sip_ladders::LadderOf;

/// The largest body of a request; the hint of `BodyTooLarge` names it too.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// How long a request may take, its body's arrival included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What every route works with.
#[derive(Clone)]
pub(super) struct Api {
    room: RoomHandle,
    counters: Arc<HttpCounters>,
    streams: EventStreams,
}

impl Api {
    pub(super) fn new(
        room: RoomHandle,
        counters: Arc<HttpCounters>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            room,
            counters,
            streams: EventStreams::new(stop),
        }
    }

    /// Who makes links for guests; `None` where there are no guests.
    pub(super) fn guest_links(&self) -> Option<&GuestLinks> {
        self.room.guest_links()
    }

    /// Puts a request to the room and words its answer.
    async fn ask(&self, speaks: Speaks, request: room::Request) -> Response {
        match self.room.request(request).await {
            Ok(admission) => admitted(admission, speaks.0),
            Err(unanswered) => unanswered_by_room(unanswered, speaks),
        }
    }
}

/// Every endpoint's route.
pub(super) fn router(api: Api) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        router = router.route(endpoint.path(), route(endpoint));
    }
    let counters = Arc::clone(&api.counters);
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(within_time))
        .layer(middleware::from_fn(with_safe_headers))
        .layer(middleware::from_fn_with_state(counters, count))
        .with_state(api)
}

fn route(endpoint: Endpoint) -> MethodRouter<Api> {
    match endpoint {
        Endpoint::Snapshot => get(snapshot),
        Endpoint::Events => get(events),
        Endpoint::Call => post(call),
        Endpoint::Join => post(join),
        Endpoint::Answer => post(answer),
        Endpoint::Decline => post(decline),
        Endpoint::Hold => post(hold),
        Endpoint::Resume => post(resume),
        Endpoint::Dtmf => post(dtmf),
        Endpoint::Register => post(register),
        Endpoint::HangUp => delete(hang_up),
        Endpoint::HangUpAll => delete(hang_up_all),
        Endpoint::Microphone => put(microphone),
        Endpoint::Camera => put(camera),
        Endpoint::Slides => put(slides),
        Endpoint::Volume => put(volume),
        Endpoint::Layout => put(layout),
        Endpoint::SentPicture => get(sent_picture),
        Endpoint::FarEndPicture => get(far_end_picture),
        Endpoint::SentSlidesPicture => get(sent_slides_picture),
        Endpoint::FarEndSlidesPicture => get(far_end_slides_picture),
        Endpoint::SipLadder => get(leg_sip_ladder),
        Endpoint::RefusedSipLadder => get(refused_sip_ladder),
        Endpoint::Invitations => get(invitations::list),
        Endpoint::Invite => post(invitations::invite),
        Endpoint::RevokeInvitation => delete(invitations::revoke),
        Endpoint::RenewCertificate => post(invitations::renew_certificate),
        Endpoint::TestGuests => post(test_guests),
        Endpoint::OpenApi => get(openapi),
        Endpoint::Metrics => get(metrics_text),
    }
}

// --- looking ---

async fn snapshot(State(api): State<Api>) -> Response {
    Json(snapshot_to_api(&api.room.snapshot(), &WallClock::now())).into_response()
}

async fn events(
    State(api): State<Api>,
    speaks: Speaks,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let refusal = Refusal::new(ProblemCode::WebSocketOnly, speaks);
            return refusal.because(rejection.body_text()).into_response();
        }
    };
    let Some(stream) = api.streams.place() else {
        return Refusal::new(ProblemCode::Overloaded, speaks).into_response();
    };
    let snapshots = api.room.snapshots();
    upgrade
        .max_message_size(1024)
        .on_upgrade(move |socket| stream.run(socket, snapshots))
}

async fn openapi() -> Response {
    Json(api::openapi()).into_response()
}

async fn metrics_text(State(api): State<Api>) -> Response {
    let (room, streams) = (&api.room, api.streams.open());
    let text = metrics::render(&room.snapshot(), room.network(), &api.counters, streams);
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

async fn sent_picture(State(api): State<Api>, speaks: Speaks) -> Response {
    picture(&api, speaks, PictureOf::Sent).await
}

async fn sent_slides_picture(State(api): State<Api>, speaks: Speaks) -> Response {
    picture(&api, speaks, PictureOf::SentSlides).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichLeg {
    leg: Option<u32>,
}

async fn far_end_picture(
    State(api): State<Api>,
    speaks: Speaks,
    query: Result<Query<WhichLeg>, QueryRejection>,
) -> Response {
    let has_video = |leg: &LegSnapshot| leg.video.is_some();
    picture_of_far_end(&api, speaks, query, has_video, PictureOf::FarEnd).await
}

async fn far_end_slides_picture(
    State(api): State<Api>,
    speaks: Speaks,
    query: Result<Query<WhichLeg>, QueryRejection>,
) -> Response {
    // One far end at a time shows some.
    let shows = |leg: &LegSnapshot| {
        let flow = leg.slides.map(|slides| slides.stream.flow);
        matches!(flow, Some(VideoFlow::Flowing | VideoFlow::Stalled))
    };
    picture_of_far_end(&api, speaks, query, shows, PictureOf::FarEndSlides).await
}

/// A picture of the leg that the query names, else of the first that fits.
async fn picture_of_far_end(
    api: &Api,
    speaks: Speaks,
    query: Result<Query<WhichLeg>, QueryRejection>,
    fits: fn(&LegSnapshot) -> bool,
    of: fn(LegId) -> PictureOf,
) -> Response {
    let leg = match query {
        Ok(Query(WhichLeg { leg: Some(leg) })) => Some(LegId(leg)),
        Ok(Query(WhichLeg { leg: None })) => {
            let legs = api.room.snapshot().legs;
            legs.iter().find(|leg| fits(leg)).map(|leg| leg.id)
        }
        Err(rejection) => {
            let refusal = Refusal::new(ProblemCode::InvalidQuery, speaks);
            return refusal.because(rejection.body_text()).into_response();
        }
    };
    match leg {
        Some(leg) => picture(api, speaks, of(leg)).await,
        None => Refusal::new(ProblemCode::NoPicture, speaks).into_response(),
    }
}

async fn picture(api: &Api, speaks: Speaks, of: PictureOf) -> Response {
    match api.room.picture(of).await {
        Ok(jpeg) => (
            [(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"))],
            jpeg,
        )
            .into_response(),
        Err(PictureError::Nothing) => Refusal::new(ProblemCode::NoPicture, speaks).into_response(),
        Err(PictureError::Failed(why)) => {
            tracing::warn!(%why, "a picture could not be made");
            Refusal::new(ProblemCode::PictureFailed, speaks).into_response()
        }
    }
}

async fn leg_sip_ladder(State(api): State<Api>, speaks: Speaks, Leg(leg): Leg) -> Response {
    sip_ladder(&api, speaks, LadderOf::Leg(leg)).await
}

async fn refused_sip_ladder(State(api): State<Api>, speaks: Speaks) -> Response {
    sip_ladder(&api, speaks, LadderOf::Refused).await
}

async fn sip_ladder(api: &Api, speaks: Speaks, of: LadderOf) -> Response {
    match api.room.sip_ladder(of).await {
        Ok(Some(ladder)) => Json(sip_ladder_to_api(of, ladder)).into_response(),
        Ok(None) => Refusal::new(ProblemCode::NoSipLadder, speaks).into_response(),
        Err(unanswered) => unanswered_by_room(unanswered, speaks),
    }
}

fn unanswered_by_room(unanswered: Unanswered, speaks: Speaks) -> Response {
    let code = match unanswered {
        Unanswered::Overloaded => ProblemCode::Overloaded,
        Unanswered::Gone => ProblemCode::RoomGone,
    };
    Refusal::new(code, speaks).into_response()
}

// --- asking ---

async fn call(State(api): State<Api>, speaks: Speaks, Body(call): Body<request::Call>) -> Response {
    api.ask(
        speaks,
        room::Request::Call {
            target: call.target,
            account: call.account,
        },
    )
    .await
}

async fn join(State(api): State<Api>, speaks: Speaks) -> Response {
    api.ask(speaks, room::Request::Join).await
}

async fn answer(State(api): State<Api>, speaks: Speaks, Leg(leg): Leg) -> Response {
    api.ask(speaks, room::Request::Answer { leg }).await
}

async fn decline(State(api): State<Api>, speaks: Speaks, Leg(leg): Leg) -> Response {
    api.ask(speaks, room::Request::Decline { leg }).await
}

async fn hold(State(api): State<Api>, speaks: Speaks, Leg(leg): Leg) -> Response {
    api.ask(speaks, room::Request::Hold { leg }).await
}

async fn resume(State(api): State<Api>, speaks: Speaks, Leg(leg): Leg) -> Response {
    api.ask(speaks, room::Request::Resume { leg }).await
}

async fn dtmf(
    State(api): State<Api>,
    speaks: Speaks,
    Leg(leg): Leg,
    Body(dtmf): Body<request::Dtmf>,
) -> Response {
    match DtmfDigits::parse(&dtmf.digits) {
        Ok(digits) => {
            api.ask(speaks, room::Request::SendDtmf { leg, digits })
                .await
        }
        // Without the detail: it would repeat a part of what may be a passcode.
        Err(_) => Refusal::new(ProblemCode::InvalidDigits, speaks).into_response(),
    }
}

async fn register(
    State(api): State<Api>,
    speaks: Speaks,
    Body(wanted): Body<request::Register>,
) -> Response {
    let account = wanted.account;
    api.ask(speaks, room::Request::Register { account }).await
}

async fn hang_up(State(api): State<Api>, speaks: Speaks, Leg(leg): Leg) -> Response {
    api.ask(speaks, room::Request::HangUp { leg: Some(leg) })
        .await
}

async fn hang_up_all(State(api): State<Api>, speaks: Speaks) -> Response {
    api.ask(speaks, room::Request::HangUp { leg: None }).await
}

async fn microphone(
    State(api): State<Api>,
    speaks: Speaks,
    Body(wanted): Body<request::SetMicrophone>,
) -> Response {
    let state = convert::microphone_from_api(wanted.state);
    api.ask(speaks, room::Request::SetMicrophone(state)).await
}

async fn camera(
    State(api): State<Api>,
    speaks: Speaks,
    Body(wanted): Body<request::SetCamera>,
) -> Response {
    let state = convert::camera_from_api(wanted.state);
    api.ask(speaks, room::Request::SetCamera(state)).await
}

async fn slides(
    State(api): State<Api>,
    speaks: Speaks,
    Body(wanted): Body<request::SetSlides>,
) -> Response {
    let state = convert::slides_from_api(wanted.state);
    api.ask(speaks, room::Request::SetSlides(state)).await
}

async fn volume(
    State(api): State<Api>,
    speaks: Speaks,
    Body(wanted): Body<request::SetVolume>,
) -> Response {
    match Volume::percent(wanted.percent) {
        Some(volume) => api.ask(speaks, room::Request::SetVolume(volume)).await,
        None => Refusal::new(ProblemCode::InvalidVolume, speaks).into_response(),
    }
}

async fn layout(
    State(api): State<Api>,
    speaks: Speaks,
    Body(wanted): Body<request::SetLayout>,
) -> Response {
    let layout = convert::layout_from_api(wanted.layout);
    api.ask(speaks, room::Request::SetLayout(layout)).await
}

fn admitted(admission: Admission, language: Language) -> Response {
    let (status, answer) = match admission {
        Admission::Accepted { leg } => {
            let leg = leg.map(|leg| leg.0);
            (StatusCode::OK, api::Admission::Accepted { leg })
        }
        Admission::AlreadySo => (StatusCode::OK, api::Admission::AlreadySo),
        Admission::Denied(reason) => {
            let code = convert::denied_to_api(reason);
            let message = code.text(language).into_owned();
            (
                StatusCode::CONFLICT,
                api::Admission::Denied { code, message },
            )
        }
    };
    (status, Json(answer)).into_response()
}

async fn test_guests(State(api): State<Api>, speaks: Speaks) -> Response {
    let Some(reachability) = api.room.guest_reachability() else {
        return Refusal::new(ProblemCode::NoGuests, speaks).into_response();
    };
    let findings = reachability.test().await;
    Json(Reachability { findings }).into_response()
}

// --- around every route ---

async fn unknown_path(speaks: Speaks) -> Refusal {
    Refusal::new(ProblemCode::UnknownPath, speaks)
}

async fn method_not_allowed(speaks: Speaks) -> Refusal {
    Refusal::new(ProblemCode::MethodNotAllowed, speaks)
}

async fn within_time(request: Request, next: Next) -> Response {
    let speaks = Speaks::of(request.headers());
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(ProblemCode::TimedOut, speaks).into_response(),
    }
}

/// The answers are for programs: no browser may cache them, guess their type or frame them.
async fn with_safe_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let safe = [
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
        (
            HeaderName::from_static("content-security-policy"),
            "default-src 'none'",
        ),
    ];
    for (name, value) in safe {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn count(
    State(counters): State<Arc<HttpCounters>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    counters.answered(response.status());
    response
}

/// A JSON body of a known shape.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let speaks = Speaks::of(request.headers());
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(body_refusal(&rejection, speaks)),
        }
    }
}

fn body_refusal(rejection: &JsonRejection, speaks: Speaks) -> Refusal {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(ProblemCode::BodyTooLarge, speaks),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Refusal::new(ProblemCode::NotJson, speaks),
        _ => Refusal::new(ProblemCode::InvalidBody, speaks).because(rejection.body_text()),
    }
}

/// The leg that the path names.
struct Leg(LegId);

impl<S: Send + Sync> FromRequestParts<S> for Leg {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let speaks = Speaks::of(&parts.headers);
        match Path::<u32>::from_request_parts(parts, state).await {
            Ok(Path(leg)) => Ok(Self(LegId(leg))),
            Err(_) => Err(Refusal::new(ProblemCode::InvalidLeg, speaks)),
        }
    }
}
