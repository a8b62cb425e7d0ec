//! The TCP listener against other programs, other names and other sites' pages.

use super::*;

/// A request that may pass.
fn good(served: &Served) -> Request<Full<Bytes>> {
    let address = served.server.loopback().unwrap();
    Request::builder()
        .uri("/v1/snapshot")
        .header("host", address.to_string())
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Full::default())
        .unwrap()
}

async fn answer_with(served: &Served, name: &'static str, value: Option<&str>) -> Answer {
    let mut request = good(served);
    request.headers_mut().remove(name);
    if let Some(value) = value {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    send(served.tcp().await, request).await
}

#[tokio::test]
async fn a_token_and_a_loopback_name_open_the_door() {
    let served = Served::start_with_loopback().await;
    let port = served.server.loopback().unwrap().port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        let host = format!("{host}:{port}");
        let answer = answer_with(&served, "host", Some(&host)).await;
        assert_eq!(answer.status, StatusCode::OK, "{host}: {answer:?}");
    }
    let origin = format!("http://localhost:{port}");
    assert_eq!(
        answer_with(&served, "origin", Some(&origin)).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_refused() {
    let served = Served::start_with_loopback().await;
    let longer = format!("Bearer {TOKEN}x");
    let shorter = format!("Bearer {}", &TOKEN[1..]);
    let basic = format!("Basic {TOKEN}");
    for value in [None, Some(""), Some("Bearer"), Some("Bearer "), Some(TOKEN)]
        .into_iter()
        .chain([&longer, &shorter, &basic].map(|value| Some(value.as_str())))
    {
        let answer = answer_with(&served, "authorization", value).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value:?}");
        assert_eq!(answer.code(), "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!String::from_utf8_lossy(&answer.body).contains(TOKEN));
    }
}

#[tokio::test]
async fn two_authorization_headers_are_no_authorization() {
    let served = Served::start_with_loopback().await;
    let mut request = good(&served);
    request
        .headers_mut()
        .append("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    assert_eq!(
        send(served.tcp().await, request).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_is_refused_even_with_the_token() {
    let served = Served::start_with_loopback().await;
    let port = served.server.loopback().unwrap().port();
    let hosts = [
        Some(format!("evil.example:{port}")),
        Some(format!("localhost.evil.example:{port}")),
        Some(format!("127.0.0.1.evil.example:{port}")),
        Some("127.0.0.1".to_owned()),
        Some("127.0.0.1:1".to_owned()),
        Some(String::new()),
        None,
    ];
    for host in hosts {
        let answer = answer_with(&served, "host", host.as_deref()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{host:?}");
        assert_eq!(answer.code(), "foreign_host");
    }
}

#[tokio::test]
async fn an_absolute_target_of_another_host_is_refused() {
    let served = Served::start_with_loopback().await;
    let mut request = good(&served);
    *request.uri_mut() = "http://evil.example/v1/snapshot".parse().unwrap();
    assert_eq!(
        send(served.tcp().await, request).await.code(),
        "foreign_host"
    );
}

#[tokio::test]
async fn a_request_from_another_sites_page_is_refused_even_with_the_token() {
    let served = Served::start_with_loopback().await;
    let port = served.server.loopback().unwrap().port();
    for origin in [
        "http://evil.example".to_owned(),
        "null".to_owned(),
        format!("https://localhost:{port}"),
        format!("http://localhost:{port}.evil.example"),
        "http://localhost:1".to_owned(),
        String::new(),
    ] {
        let answer = answer_with(&served, "origin", Some(&origin)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
        assert_eq!(answer.code(), "foreign_origin");
    }
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let served = Served::start_with_loopback().await;
    // What a page can send without a preflight: no token, a form's content type, its own origin.
    let forged = Request::builder()
        .method("POST")
        .uri("/v1/calls")
        .header("host", served.server.loopback().unwrap().to_string())
        .header("origin", "http://evil.example")
        .header("content-type", "text/plain")
        .body(Full::from(r#"{"target": "sip:premium@evil.example"}"#))
        .unwrap();
    assert_eq!(
        send(served.tcp().await, forged).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(served.driver.handle().snapshot().legs.is_empty());
}

#[tokio::test]
async fn the_guard_stands_before_unknown_paths_and_the_event_stream_too() {
    let served = Served::start_with_loopback().await;
    for path in [
        "/",
        "/v1/nothing",
        "/metrics",
        "/v1/openapi.json",
        "/v1/events",
    ] {
        let mut request = good(&served);
        request.headers_mut().remove("authorization");
        *request.uri_mut() = path.parse().unwrap();
        let answer = send(served.tcp().await, request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_token_that_could_be_guessed_or_read_by_all_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let driver = Driver::start();
    let weak = settings(&directory, Some("short"));
    let error = Server::start(&weak, driver.handle(), None)
        .await
        .unwrap_err();
    assert!(matches!(error, ServeError::WeakToken), "{error}");

    let readable = settings(&directory, Some(TOKEN));
    let file = directory.path().join("token");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = Server::start(&readable, driver.handle(), None)
        .await
        .unwrap_err();
    assert!(matches!(error, ServeError::Token(_)), "{error}");
}
