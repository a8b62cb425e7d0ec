//! The command itself against a scripted roomd: what it sends, what it prints, how it exits.

#![allow(
    clippy::unwrap_used,
    reason = "clippy spares test functions only, not their helpers"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Answers requests in order, and tells what they were.
struct Roomd {
    directory: TempDir,
    serving: JoinHandle<Vec<(String, String)>>,
}

impl Roomd {
    fn answering(answers: Vec<(u16, String)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("api.sock")).unwrap();
        let serving = thread::spawn(move || {
            answers
                .into_iter()
                .map(|answer| serve_one(&listener, answer))
                .collect()
        });
        Self { directory, serving }
    }

    fn json(status: u16, answer: &Value) -> Self {
        Self::answering(vec![(status, answer.to_string())])
    }

    fn roomctl(&self, line: &str) -> Output {
        let socket = self.directory.path().join("api.sock");
        run(line, socket.to_str().unwrap())
    }

    /// The requests as `METHOD PATH` and body.
    fn requests(self) -> Vec<(String, String)> {
        self.serving.join().unwrap()
    }
}

fn serve_one(listener: &UnixListener, (status, answer): (u16, String)) -> (String, String) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    )
    .unwrap();
    let request = request.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    (request, String::from_utf8(body).unwrap())
}

fn run(line: &str, socket: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roomctl"))
        .args(line.split(' '))
        .env_clear()
        .env("ROOMD_SOCKET", socket)
        .output()
        .unwrap()
}

fn snapshot(leg_states: &[(u32, Value)]) -> Value {
    let legs: Vec<_> = leg_states
        .iter()
        .map(|(id, state)| {
            json!({
                "id": id, "kind": "sip", "direction": "incoming", "peer": {"uri": "sip:ann@example.com"},
                "state": state, "dtmf_received": "", "started_unix_ms": 1
            })
        })
        .collect();
    json!({
        "generation": 4, "state": "idle", "legs": legs, "last_ended": [],
        "microphone": {"state": "open", "device": "present", "level_dbfs": -40.0},
        "camera": {"state": "on", "device": "gone"},
        "slides": {"sending": "off", "device": "present"},
        "loudspeaker": {"volume_percent": 70, "level_dbfs": -100.0},
        "layout": "single", "registrations": {}, "media_faults": [],
        "media_wanted": 0, "media_applied": 0
    })
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn each_command_becomes_its_request() {
    let cases = [
        (
            "call sip:b@c.de",
            "POST /v1/calls",
            json!({"target": "sip:b@c.de"}),
        ),
        (
            "call sip:b@c.de --account office",
            "POST /v1/calls",
            json!({"target": "sip:b@c.de", "account": "office"}),
        ),
        ("join", "POST /v1/join", Value::Null),
        ("answer 3", "POST /v1/legs/3/answer", Value::Null),
        ("decline 3", "POST /v1/legs/3/decline", Value::Null),
        ("hold 3", "POST /v1/legs/3/hold", Value::Null),
        ("resume 3", "POST /v1/legs/3/resume", Value::Null),
        (
            "dtmf 12# --leg 3",
            "POST /v1/legs/3/dtmf",
            json!({"digits": "12#"}),
        ),
        ("hangup", "DELETE /v1/legs", Value::Null),
        ("hangup 3", "DELETE /v1/legs/3", Value::Null),
        ("mute on", "PUT /v1/microphone", json!({"state": "muted"})),
        ("mute off", "PUT /v1/microphone", json!({"state": "open"})),
        ("camera off", "PUT /v1/camera", json!({"state": "off"})),
        ("slides on", "PUT /v1/slides", json!({"state": "on"})),
        ("slides off", "PUT /v1/slides", json!({"state": "off"})),
        ("volume 30", "PUT /v1/volume", json!({"percent": 30})),
        (
            "layout picture-in-picture",
            "PUT /v1/layout",
            json!({"layout": "picture_in_picture"}),
        ),
    ];
    for (line, request, body) in cases {
        let roomd = Roomd::json(200, &json!({"admission": "accepted"}));
        let output = roomd.roomctl(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
        let [(sent, sent_body)] = roomd.requests().try_into().unwrap();
        assert_eq!(sent, request, "{line}");
        let sent_body = if sent_body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&sent_body).unwrap()
        };
        assert_eq!(sent_body, body, "{line}");
    }
}

#[test]
fn the_status_is_for_people_or_for_programs() {
    let roomd = Roomd::json(200, &snapshot(&[]));
    let output = roomd.roomctl("status");
    assert!(
        stdout(&output).contains("Camera      on  gone\n"),
        "{}",
        stdout(&output)
    );
    assert!(
        !stdout(&output).contains('\x1b'),
        "colours do not belong into a pipe"
    );

    let roomd = Roomd::json(200, &snapshot(&[]));
    let output = roomd.roomctl("status --json");
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        snapshot(&[])
    );
}

#[test]
fn the_leg_that_rings_is_found_when_none_is_named() {
    let rings = snapshot(&[
        (4, json!({"name": "established"})),
        (9, json!({"name": "incoming"})),
    ]);
    let accepted = json!({"admission": "accepted", "leg": 9});
    let roomd = Roomd::answering(vec![(200, rings.to_string()), (200, accepted.to_string())]);
    let output = roomd.roomctl("answer");
    assert_eq!(stdout(&output), "leg 9\n");
    assert_eq!(roomd.requests()[1].0, "POST /v1/legs/9/answer");
}

#[test]
fn already_so_is_success() {
    let roomd = Roomd::json(200, &json!({"admission": "already_so"}));
    let output = roomd.roomctl("mute on");
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(0), "already so\n")
    );
}

#[test]
fn a_denial_exits_with_1_and_says_why_in_the_wanted_language() {
    let denied = json!({"admission": "denied", "code": "nothing_to_join", "message": "x"});
    let english = Roomd::json(409, &denied).roomctl("join");
    assert_eq!(english.status.code(), Some(1));
    assert_eq!(
        stderr(&english),
        "roomctl: no meeting is configured for the join button\n"
    );
    let chinese = Roomd::json(409, &denied).roomctl("--language zh join");
    assert_eq!(stderr(&chinese), "roomctl: 未配置加入按钮的会议\n");
    let json = Roomd::json(409, &denied).roomctl("join --json");
    assert_eq!(json.status.code(), Some(1));
    assert_eq!(
        serde_json::from_slice::<Value>(&json.stdout).unwrap(),
        denied
    );
}

#[test]
fn slides_that_no_far_end_takes_are_denied_in_the_wanted_language() {
    let denied = json!({"admission": "denied", "code": "slides_not_taken", "message": "x"});
    let english = Roomd::json(409, &denied).roomctl("slides on");
    assert_eq!(english.status.code(), Some(1));
    assert_eq!(stderr(&english), "roomctl: no far end takes slides\n");
    let chinese = Roomd::json(409, &denied).roomctl("--language zh slides on");
    assert_eq!(stderr(&chinese), "roomctl: 没有可接收幻灯片的对方\n");
}

#[test]
fn a_refusal_exits_with_1_and_gives_the_hint() {
    let problem =
        json!({"code": "invalid_digits", "status": 400, "message": "bad digits", "hint": "do x"});
    let output = Roomd::json(400, &problem).roomctl("dtmf 12x --leg 1");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "roomctl: bad digits (do x)\n");
}

#[test]
fn wrong_usage_exits_with_2() {
    for line in [
        "volume 101",
        "mute maybe",
        "slides maybe",
        "nonsense",
        "status --nonsense",
    ] {
        assert_eq!(run(line, "/nonexistent").status.code(), Some(2), "{line}");
    }
    let ring = json!({"name": "incoming"});
    let roomd = Roomd::json(200, &snapshot(&[(4, ring.clone()), (9, ring)]));
    let output = roomd.roomctl("decline");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("4, 9"), "{}", stderr(&output));
}

#[test]
fn an_absent_roomd_exits_with_3_and_names_the_socket() {
    for line in ["status", "join", "watch", "picture /dev/null", "sip-ladder"] {
        let output = run(line, "/nonexistent/api.sock");
        assert_eq!(output.status.code(), Some(3), "{line}");
        assert!(stderr(&output).contains("/nonexistent/api.sock"), "{line}");
    }
}

#[test]
fn an_answer_that_is_none_exits_with_4() {
    for (status, body) in [(200, "{}"), (200, "<html>"), (500, "oops"), (302, "")] {
        let roomd = Roomd::answering(vec![(status, body.to_owned())]);
        let output = roomd.roomctl("status");
        assert_eq!(
            output.status.code(),
            Some(4),
            "{status} {body}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_picture_is_saved_and_an_unwritable_file_is_named() {
    let roomd = Roomd::answering(vec![(200, "a picture".to_owned())]);
    let file = roomd.directory.path().join("far.jpg");
    let output = roomd.roomctl(&format!("picture {} --leg 2", file.display()));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "a picture");
    assert_eq!(roomd.requests()[0].0, "GET /v1/pictures/far-end?leg=2");

    for (arguments, request) in [
        ("--of sent", "GET /v1/pictures/sent"),
        ("--of sent --slides", "GET /v1/pictures/sent-slides"),
        ("--slides", "GET /v1/pictures/far-end-slides"),
        ("--slides --leg 2", "GET /v1/pictures/far-end-slides?leg=2"),
    ] {
        let roomd = Roomd::answering(vec![(200, "a picture".to_owned())]);
        let file = roomd.directory.path().join("picture.jpg");
        let output = roomd.roomctl(&format!("picture {} {arguments}", file.display()));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(roomd.requests()[0].0, request);
    }

    let roomd = Roomd::answering(vec![(200, "a picture".to_owned())]);
    let output = roomd.roomctl("picture /nonexistent/x.jpg --of sent");
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("/nonexistent/x.jpg"));
}

#[test]
fn completions_and_manual_need_no_roomd() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&format!("completion {shell}"), "/nonexistent");
        assert_eq!(output.status.code(), Some(0));
        for command in ["hangup", "slides"] {
            assert!(stdout(&output).contains(command), "{shell}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let output = run(
        &format!("man {}", directory.path().display()),
        "/nonexistent",
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = std::fs::read_to_string(directory.path().join("roomctl.1")).unwrap();
    assert!(
        page.contains("EXIT STATUS") && page.contains("ROOMD_SOCKET"),
        "{page}"
    );
    assert!(directory.path().join("roomctl-picture.1").exists());
    assert!(directory.path().join("roomctl-sip-ladder.1").exists());
    assert!(directory.path().join("roomctl-slides.1").exists());
}

#[test]
fn help_speaks_the_language_of_the_locale() {
    let help = |locale: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_roomctl"))
            .arg("--help")
            .env_clear()
            .env("LANG", locale)
            .output()
            .unwrap();
        stdout(&output)
    };
    assert!(help("C.UTF-8").contains("Press the join button"));
    assert!(help("zh_CN.UTF-8").contains("按下加入按钮"));
}

fn sip_ladder() -> Value {
    json!({
        "leg": 9, "call_ids": ["call@192.0.2.1"],
        "messages": [
            {"offset_ms": 0.0, "direction": "received", "transport": "tls",
             "remote": "192.0.2.2:5061", "method": "INVITE", "start_line": "INVITE sip:a@b.c SIP/2.0",
             "text": "INVITE sip:a@b.c SIP/2.0\nCSeq: 1 INVITE\n", "retransmissions": 0,
             "left_out_before": 0},
            {"offset_ms": 12.5, "direction": "sent", "transport": "tls",
             "remote": "192.0.2.2:5061", "method": "INVITE", "status": 486,
             "start_line": "SIP/2.0 486 Busy Here",
             "text": "SIP/2.0 486 Busy Here\nCSeq: 1 INVITE\n", "retransmissions": 0,
             "left_out_before": 0}
        ]
    })
}

#[test]
fn the_sip_messages_of_the_newest_leg_are_drawn() {
    let legs = snapshot(&[
        (4, json!({"name": "established"})),
        (9, json!({"name": "incoming"})),
    ]);
    let answers = vec![(200, legs.to_string()), (200, sip_ladder().to_string())];
    let roomd = Roomd::answering(answers.clone());
    let output = roomd.roomctl("sip-ladder");
    let expected = "\
SIP messages of leg 9, calling
Call-ID call@192.0.2.1

           this room                                          192.0.2.2:5061 TLS
   0.000 s │<─ INVITE ─────────────────────────────────────────────────────────│
   0.013 s │─ 486 Busy Here (INVITE) ─────────────────────────────────────────>│
";
    assert_eq!(stdout(&output), expected);
    assert_eq!(roomd.requests()[1].0, "GET /v1/legs/9/sip-ladder");

    let roomd = Roomd::answering(answers.clone());
    let output = roomd.roomctl("sip-ladder 4 --json");
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        sip_ladder()
    );
    assert_eq!(roomd.requests()[1].0, "GET /v1/legs/4/sip-ladder");

    let roomd = Roomd::answering(answers.clone());
    let output = roomd.roomctl("sip-ladder --refused --full");
    assert!(stdout(&output).ends_with("  CSeq: 1 INVITE\n"));
    assert_eq!(roomd.requests()[1].0, "GET /v1/sip-ladder/refused");

    let roomd = Roomd::answering(answers);
    let file = roomd.directory.path().join("ladder.svg");
    let output = roomd.roomctl(&format!("sip-ladder --svg {}", file.display()));
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(0), "")
    );
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains(">486 Busy Here (INVITE)<"));
}

#[test]
fn a_leg_whose_sip_messages_are_not_remembered_is_refused() {
    let problem = json!({"code": "no_sip_ladder", "status": 404, "message": "none", "hint": "h"});
    let answers = vec![(200, snapshot(&[]).to_string()), (404, problem.to_string())];
    let output = Roomd::answering(answers).roomctl("sip-ladder 1");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "roomctl: none (h)\n");
    let output = Roomd::json(200, &snapshot(&[])).roomctl("sip-ladder");
    assert_eq!(output.status.code(), Some(1), "there is no leg at all");
    let answers = vec![
        (200, snapshot(&[]).to_string()),
        (200, sip_ladder().to_string()),
    ];
    let output = Roomd::answering(answers).roomctl("sip-ladder 9 --svg /nonexistent/x.svg");
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("/nonexistent/x.svg"));
}
