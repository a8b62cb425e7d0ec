use std::fs;

use config::GuestServerIdentity;
use rcgen::{CertificateParams, KeyPair, SanType};

use super::{Room, settings};

#[tokio::test]
async fn every_answer_is_protected() {
    let room = Room::start().await;
    let browser = room.browser();
    for path in [
        "/join",
        "/trust",
        "/guest/session",
        "/nothing",
        "/guest/signalling",
    ] {
        let answer = browser.get(path).await;
        let policy = answer.header("content-security-policy");
        assert_eq!(
            policy,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'none'",
            "{path}"
        );
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        let permissions = answer.header("permissions-policy");
        for allowed in [
            "camera=(self)",
            "microphone=(self)",
            "display-capture=(self)",
        ] {
            assert!(permissions.contains(allowed), "{permissions}");
        }
        // Who did not trust the room's own authority could not go on any more.
        assert_eq!(answer.header("strict-transport-security"), "");
    }
}

#[tokio::test]
async fn the_page_is_sent_once_and_known_by_its_tag() {
    let room = Room::start().await;
    let browser = room.browser();
    let page = browser.get("/join").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("cache-control"), "no-cache");
    let tag = page.header("etag").to_owned();
    let again = browser.get_with("/join", "if-none-match", &tag).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(browser.get("/guest/assets/../join").await.status, 404);
    assert_eq!(browser.get("/").await.header("location"), "/join");
    assert_eq!(browser.ask("POST", "/join", None).await.status, 405);
}

#[tokio::test]
async fn the_rooms_own_authority_is_explained_and_handed_out_without_its_key() {
    let room = Room::start().await;
    let browser = room.browser();
    let certificate = browser.get("/trust/authority.crt").await;
    assert_eq!(
        certificate.header("content-type"),
        "application/x-x509-ca-cert"
    );
    let pem = fs::read(room.state().join("guests-authority.pem")).unwrap();
    let kept = x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents;
    assert_eq!(certificate.body, kept);
    let link = room.server.links().invite(None, None, None).await.unwrap();
    for (language, word) in [("en", "Trust this room"), ("zh-CN", "信任此会议室")] {
        let page = browser
            .get_with("/trust", "accept-language", language)
            .await;
        let html = String::from_utf8(page.body).unwrap();
        assert!(html.contains(word), "{html}");
        assert!(html.contains(link.fingerprint.as_ref().unwrap()));
        assert!(!html.contains("<style") && !html.contains("style="));
    }
    let style = browser.get("/trust/trust.css").await;
    assert!(style.header("content-type").starts_with("text/css"));
}

#[tokio::test]
async fn the_owners_certificate_is_shown_where_there_is_one() {
    let state = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params
        .subject_alt_names
        .push(SanType::IpAddress([127, 0, 0, 1].into()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    // Where the test's browser looks for whom to trust.
    let (pem, key_file) = (
        state.path().join("guests-authority.pem"),
        state.path().join("own.key"),
    );
    fs::write(&pem, certificate.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    fs::set_permissions(
        &key_file,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let mut settings = settings();
    settings.identity = GuestServerIdentity::Certificate {
        certificate: pem,
        key: key_file,
    };
    let room = Room::start_in(state, &settings).await;
    let page = room.browser().get("/join").await;
    assert_eq!(page.header("strict-transport-security"), "max-age=15552000");
    assert_eq!(room.browser().get("/trust").await.status, 404);
    let link = room.server.links().invite(None, None, None).await.unwrap();
    assert!(link.fingerprint.is_none());
}
