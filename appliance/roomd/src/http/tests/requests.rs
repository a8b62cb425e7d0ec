//! Every endpoint, good requests and bad ones.

use super::*;

use api::Endpoint;

fn good_body(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::Call => Some(r#"{"target": "sip:board@example.com"}"#),
        Endpoint::Dtmf => Some(r#"{"digits": "1#"}"#),
        Endpoint::Register => Some(r#"{"account": "office"}"#),
        Endpoint::Microphone => Some(r#"{"state": "muted"}"#),
        Endpoint::Camera => Some(r#"{"state": "off"}"#),
        Endpoint::Slides => Some(r#"{"state": "on"}"#),
        Endpoint::Volume => Some(r#"{"percent": 30}"#),
        Endpoint::Layout => Some(r#"{"layout": "grid"}"#),
        Endpoint::Invite => Some(r#"{"label": "board", "lifetime_minutes": 60}"#),
        Endpoint::Snapshot
        | Endpoint::Events
        | Endpoint::Join
        | Endpoint::Answer
        | Endpoint::Decline
        | Endpoint::Hold
        | Endpoint::Resume
        | Endpoint::HangUp
        | Endpoint::HangUpAll
        | Endpoint::SentPicture
        | Endpoint::FarEndPicture
        | Endpoint::SentSlidesPicture
        | Endpoint::FarEndSlidesPicture
        | Endpoint::SipLadder
        | Endpoint::RefusedSipLadder
        | Endpoint::Invitations
        | Endpoint::RevokeInvitation
        | Endpoint::RenewCertificate
        | Endpoint::TestGuests
        | Endpoint::OpenApi
        | Endpoint::Metrics => None,
    }
}

#[tokio::test]
async fn every_endpoint_of_the_list_has_its_route() {
    let served = Served::start().await;
    for endpoint in Endpoint::ALL {
        let method = endpoint.method().to_string();
        let answer = served
            .ask(&method, &endpoint.path_for_leg(70), good_body(endpoint))
            .await;
        let expected = match endpoint {
            Endpoint::Events => StatusCode::UPGRADE_REQUIRED,
            // No leg rings or talks.
            Endpoint::Answer
            | Endpoint::Decline
            | Endpoint::Hold
            | Endpoint::Resume
            | Endpoint::Dtmf
            | Endpoint::HangUp => StatusCode::CONFLICT,
            // The only account has no registrar.
            Endpoint::Register => StatusCode::CONFLICT,
            // The call that was placed before takes the only leg.
            Endpoint::Join => StatusCode::CONFLICT,
            // No far end takes slides.
            Endpoint::Slides => StatusCode::CONFLICT,
            Endpoint::FarEndPicture
            | Endpoint::FarEndSlidesPicture
            | Endpoint::RefusedSipLadder
            // This room has no guests.
            | Endpoint::Invitations
            | Endpoint::Invite
            | Endpoint::RevokeInvitation
            | Endpoint::RenewCertificate
            | Endpoint::TestGuests => StatusCode::NOT_FOUND,
            Endpoint::Snapshot
            | Endpoint::Call
            | Endpoint::HangUpAll
            | Endpoint::Microphone
            | Endpoint::Camera
            | Endpoint::Volume
            | Endpoint::Layout
            | Endpoint::SentPicture
            | Endpoint::SentSlidesPicture
            | Endpoint::SipLadder
            | Endpoint::OpenApi
            | Endpoint::Metrics => StatusCode::OK,
        };
        assert_eq!(answer.status, expected, "{endpoint:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_wanted_state_is_accepted_once_and_then_already_so() {
    let served = Served::start().await;
    let body = Some(r#"{"state": "muted"}"#);
    let first = served.ask("PUT", "/v1/microphone", body).await;
    assert_eq!(first.json(), serde_json::json!({"admission": "accepted"}));
    let second = served.ask("PUT", "/v1/microphone", body).await;
    assert_eq!(
        second.json(),
        serde_json::json!({"admission": "already_so"})
    );
    served
        .driver
        .wait_for(|room| room.microphone == MUTED)
        .await;
    let snapshot = served.ask("GET", "/v1/snapshot", None).await.json();
    assert_eq!(snapshot["microphone"]["state"], "muted");
}

const MUTED: ::room::media_plan::MicrophoneState = ::room::media_plan::MicrophoneState::Muted;

#[tokio::test]
async fn a_placed_call_names_its_leg_and_shows_in_the_snapshot() {
    let served = Served::start().await;
    let body = r#"{"target": "sip:board@example.com", "account": "office"}"#;
    let placed = served.ask("POST", "/v1/calls", Some(body)).await.json();
    assert_eq!(placed["admission"], "accepted");
    served.driver.wait_for(|room| !room.legs.is_empty()).await;
    let snapshot = served.ask("GET", "/v1/snapshot", None).await.json();
    assert_eq!(snapshot["legs"][0]["id"], placed["leg"]);
    assert_eq!(snapshot["legs"][0]["state"]["name"], "dialing");
    assert_eq!(snapshot["legs"][0]["peer"]["uri"], "sip:board@example.com");
}

#[tokio::test]
async fn a_ringing_leg_is_declined_once() {
    let served = Served::start().await;
    let leg = served.driver.ring().await;
    let path = format!("/v1/legs/{leg}/decline");
    assert_eq!(
        served.ask("POST", &path, None).await.json()["admission"],
        "accepted"
    );
    assert_eq!(
        served.ask("POST", &path, None).await.json()["admission"],
        "already_so"
    );
}

#[tokio::test]
async fn a_denial_has_its_reason_in_the_clients_language() {
    let served = Served::start().await;
    let english = served.ask("POST", "/v1/legs/5/answer", None).await;
    assert_eq!(english.status, StatusCode::CONFLICT);
    assert_eq!(
        english.json(),
        serde_json::json!({
            "admission": "denied", "code": "unknown_leg", "message": "there is no such leg"
        })
    );
    let mut chinese = request("POST", "/v1/legs/5/answer", None);
    chinese
        .headers_mut()
        .insert("accept-language", "zh-CN".parse().unwrap());
    let chinese = send(served.unix().await, chinese).await;
    assert_eq!(chinese.json()["message"], "没有这一路通话");
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_code_and_a_hint() {
    let served = Served::start().await;
    let cases = [
        ("GET", "/v1/nothing", None, 404, "unknown_path"),
        ("GET", "/", None, 404, "unknown_path"),
        ("POST", "/v1/snapshot", None, 405, "method_not_allowed"),
        ("POST", "/v1/legs/x/answer", None, 400, "invalid_leg"),
        (
            "POST",
            "/v1/legs/4294967296/answer",
            None,
            400,
            "invalid_leg",
        ),
        ("POST", "/v1/legs/-1/hold", None, 400, "invalid_leg"),
        ("POST", "/v1/calls", Some("{"), 400, "invalid_body"),
        ("POST", "/v1/calls", Some("{}"), 400, "invalid_body"),
        (
            "POST",
            "/v1/calls",
            Some(r#"{"target": 5}"#),
            400,
            "invalid_body",
        ),
        (
            "POST",
            "/v1/calls",
            Some(r#"{"target": "sip:a@b.c", "x": 1}"#),
            400,
            "invalid_body",
        ),
        ("POST", "/v1/calls", None, 415, "not_json"),
        (
            "PUT",
            "/v1/volume",
            Some(r#"{"percent": 101}"#),
            400,
            "invalid_volume",
        ),
        (
            "PUT",
            "/v1/volume",
            Some(r#"{"percent": 256}"#),
            400,
            "invalid_body",
        ),
        (
            "PUT",
            "/v1/microphone",
            Some(r#"{"state": "off"}"#),
            400,
            "invalid_body",
        ),
        (
            "POST",
            "/v1/legs/1/dtmf",
            Some(r#"{"digits": "12x"}"#),
            400,
            "invalid_digits",
        ),
        (
            "GET",
            "/v1/pictures/far-end?leg=x",
            None,
            400,
            "invalid_query",
        ),
        (
            "GET",
            "/v1/pictures/far-end?lag=1",
            None,
            400,
            "invalid_query",
        ),
    ];
    for (method, path, body, status, code) in cases {
        let answer = served.ask(method, path, body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path} {body:?}: {answer:?}"
        );
        assert_eq!(answer.code(), code, "{method} {path} {body:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(!answer.json()["hint"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_oversized_body_is_refused_whether_or_not_it_says_its_length() {
    let served = Served::start().await;
    let body = format!(r#"{{"target": "{}"}}"#, "x".repeat(20_000));
    let answer = served.ask("POST", "/v1/calls", Some(&body)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (413, "body_too_large".into())
    );
}

#[tokio::test]
async fn digits_never_return_in_an_answer() {
    let served = Served::start().await;
    let body = Some(r#"{"digits": "4711x"}"#);
    let answer = served.ask("POST", "/v1/legs/1/dtmf", body).await;
    assert!(!String::from_utf8_lossy(&answer.body).contains("4711"));
}

#[tokio::test]
async fn pictures_are_jpeg_or_a_reason() {
    let served = Served::start().await;
    let sent = served.ask("GET", "/v1/pictures/sent", None).await;
    assert_eq!(
        (sent.header("content-type"), &*sent.body),
        ("image/jpeg", PICTURE)
    );
    let far_end = served.ask("GET", "/v1/pictures/far-end?leg=70", None).await;
    assert_eq!(&*far_end.body, PICTURE);
    assert_eq!(
        served.ask("GET", "/v1/pictures/far-end", None).await.code(),
        "no_picture"
    );
    let failed = served.ask("GET", "/v1/pictures/far-end?leg=71", None).await;
    assert_eq!(
        (failed.status.as_u16(), failed.code()),
        (500, "picture_failed".into())
    );
}

#[tokio::test]
async fn answers_may_not_be_cached_framed_or_guessed() {
    let served = Served::start().await;
    for path in ["/v1/snapshot", "/v1/nothing"] {
        let answer = served.ask("GET", path, None).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
}

#[tokio::test]
async fn metrics_tell_of_the_room_and_of_the_api_itself() {
    let served = Served::start().await;
    served.ask("GET", "/v1/nothing", None).await;
    let answer = served.ask("GET", "/metrics", None).await;
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "roomd_room_state{state=\"idle\"} 1",
        "roomd_legs 0",
        "roomd_device_present{device=\"camera\"} 1",
        "roomd_device_present{device=\"slides\"} 1",
        "roomd_slides_state{state=\"off\"} 1",
        "roomd_api_requests_total{class=\"4xx\"} 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

#[tokio::test]
async fn a_gone_camera_shows_in_the_snapshot() {
    let served = Served::start().await;
    served.driver.tell(::room::Fact::CameraGone).await;
    let gone = |room: &RoomSnapshot| room.camera_device == DeviceState::Gone;
    served.driver.wait_for(gone).await;
    let snapshot = served.ask("GET", "/v1/snapshot", None).await.json();
    assert_eq!(
        snapshot["camera"],
        serde_json::json!({"state": "on", "device": "gone"})
    );
}

#[tokio::test]
async fn the_sip_messages_of_a_leg_are_shown_without_its_keys() {
    let served = Served::start().await;
    let answer = served.ask("GET", "/v1/legs/70/sip-ladder", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let ladder: api::SipLadder = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((ladder.leg, ladder.call_ids.len()), (Some(70), 1));
    let lines: Vec<_> = ladder
        .messages
        .iter()
        .map(|message| (message.direction, message.start_line.as_str()))
        .collect();
    use api::sip_ladder::SipDirection::{Received, Sent};
    assert_eq!(
        lines,
        [
            (Sent, "INVITE sip:ann@192.0.2.2 SIP/2.0"),
            (Received, "SIP/2.0 486 Busy Here"),
            (Sent, "ACK sip:ann@192.0.2.2 SIP/2.0"),
        ]
    );
    let invite = &ladder.messages[0];
    assert_eq!(invite.remote, "192.0.2.2:5060");
    assert_eq!(invite.body_type.as_deref(), Some("application/sdp"));
    assert!(invite.text.contains("inline:***"), "{}", invite.text);
}

#[tokio::test]
async fn a_leg_without_sip_messages_is_not_found_and_says_so_in_both_languages() {
    let served = Served::start().await;
    for path in ["/v1/legs/7/sip-ladder", "/v1/sip-ladder/refused"] {
        let answer = served.ask("GET", path, None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
        assert_eq!(answer.code(), "no_sip_ladder");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(message, "no SIP messages are remembered of that");
    }
    let answer = served.ask("GET", "/v1/legs/x/sip-ladder", None).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "invalid_leg".into())
    );
}
