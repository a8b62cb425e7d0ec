use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::super::links::LinkError;
use super::{Room, settings};

#[tokio::test]
async fn unknown_expired_and_revoked_links_are_refused_alike() {
    let room = Room::start().await;
    let (expired, revoked) = (room.link().await, room.link().await);
    let links = room.server.links();
    links.revoke(links.list()[1].0.id).await.unwrap();
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    room.server.guests().expire(tomorrow);
    let unknown = "0".repeat(32);
    let mut answers = Vec::new();
    for token in [&expired, &revoked, &unknown, "no token"] {
        let answer = room.browser().open_session(token, "Anna").await;
        assert!(answer.header("set-cookie").is_empty());
        answers.push((answer.status, answer.body));
    }
    assert_eq!(answers[0].0, 403);
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_good_link_gives_a_cookie_that_only_this_server_sees() {
    let room = Room::start().await;
    let link = room
        .server
        .links()
        .invite(Some("Board".into()), None, None)
        .await
        .unwrap();
    let prefix = format!("https://{}/join#", room.server.address());
    assert!(link.url().starts_with(&prefix), "{}", link.url());
    let opened = room
        .browser()
        .open_session(link.token.expose(), "Anna")
        .await;
    let cookie = opened.header("set-cookie");
    assert!(cookie.starts_with("__Host-roomd_guest="), "{cookie}");
    for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    // Neither secret is on the disk, nor what shows them.
    room.server.guests().stored().await.unwrap();
    let value = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    for entry in fs::read_dir(room.state()).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(&value) && !text.contains(link.token.expose()));
    }
    assert!(!format!("{link:?}").contains(link.token.expose()));
}

#[tokio::test]
async fn links_are_bounded_and_so_are_guests() {
    let room = Room::start().await;
    let links = room.server.links();
    let token = room.link().await;
    for _ in 1..64 {
        room.link().await;
    }
    let refused = links.invite(None, None, None).await.unwrap_err();
    assert!(matches!(refused, LinkError::Invite(_)), "{refused}");
    for _ in 0..4 {
        room.guest(&token).await;
    }
    let full = room.browser().open_session(&token, "Anna").await;
    assert_eq!((full.status, full.code().as_str()), (503, "meeting_full"));
}

#[tokio::test]
async fn a_name_is_short_and_plain() {
    let room = Room::start().await;
    let token = room.link().await;
    for name in [
        "",
        "   ",
        "a\u{0}b",
        "a\nb",
        "\u{202e}evil",
        &"x".repeat(65),
    ] {
        let answer = room.browser().open_session(&token, name).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_name"),
            "{name:?}"
        );
    }
    for name in ["Anna", "王小明", &"会".repeat(64)] {
        assert_eq!(room.browser().open_session(&token, name).await.status, 200);
    }
}

#[tokio::test]
async fn pages_are_told_of_turn_servers_and_by_what_these_know_them() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("turn.password");
    fs::write(&file, "hunter2\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut settings = settings();
    settings.turn.push(config::TurnServer {
        urls: vec![config::TurnUrl::new("turn:192.0.2.1?transport=tcp").unwrap()],
        credentials: config::TurnCredentials::Password {
            username: "room".into(),
            password: config::SecretSource::File(file.clone()),
        },
    });
    settings.turn.push(config::TurnServer {
        urls: vec![config::TurnUrl::new("turn:192.0.2.2").unwrap()],
        credentials: config::TurnCredentials::SharedSecret(config::SecretSource::File(file)),
    });
    let room = Room::start_in(state, &settings).await;
    let token = room.link().await;
    let opened = room.browser().open_session(&token, "Anna").await;
    let opened = opened.json();
    let expected = json!({
        "urls": ["turn:192.0.2.1?transport=tcp"],
        "username": "room",
        "credential": "hunter2",
    });
    let servers = &opened["ice_servers"];
    assert_eq!(servers[0], expected);
    // What is made of a secret ends with the session, and the secret is not told.
    let expires_at = opened["expires_at"].as_u64().unwrap();
    assert_eq!(servers[1]["username"], format!("{expires_at}:roomd"));
    assert!(!servers[1].to_string().contains("hunter2"));
}
