//! Rules on requests of a standing or a ringing call, kept towards a scripted peer: order, methods, extensions, bodies,
//! limits.

use std::time::Duration;

use sip::endpoint::{CallEndCause, CallId, Event};
use sip::grammar::{HeaderName, Message, Method, Response, StatusCode};
use sip::offer_answer::MediaSecurity;
use sip::transport::Transport;

use crate::calls::ended;
use crate::corpus::description;
use crate::scripted::response;
use crate::world::{BOB, CAROL, World, account, media_of, settings};

/// Bob, who takes plain media, and Carol, whom the test plays.
pub(crate) struct Script {
    pub(crate) world: World,
    pub(crate) call: CallId,
    /// Bob's tag.
    tag: String,
}

fn bob() -> World {
    let mut world = World::new(1);
    let mut account = account("bob", Transport::Udp);
    account.capabilities.security = MediaSecurity::PlainAllowed;
    world.add(settings(account, BOB), BOB);
    world
}

/// A request of Carol's; `to` is what stands behind Bob's address, `branch` makes the transaction.
fn text(method: &str, sequence: u32, branch: &str, to: &str, fields: &str, body: &str) -> String {
    let length = body.replace('\n', "\r\n").len();
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\n\
         Via: SIP/2.0/UDP {CAROL};branch=z9hG4bK{branch}\n\
         Max-Forwards: 70\n\
         From: <sip:carol@{CAROL}>;tag=carol\n\
         To: <sip:bob@192.0.2.2>{to}\n\
         Call-ID: script\n\
         CSeq: {sequence} {method}\n\
         Contact: <sip:carol@{CAROL}>\n\
         {fields}Content-Length: {length}\n\n{body}"
    )
}

pub(crate) fn offer() -> String {
    description("192.0.2.3")
}

pub(crate) const SDP: &str = "Content-Type: application/sdp\n";

/// The offer as the second part of a mixture.
fn mixture() -> (String, String) {
    let body = format!(
        "--parts\nContent-Type: application/isup\nContent-Disposition: signal;handling=optional\n\nx\n\
         --parts\nContent-Type: application/sdp\n\n{}\n--parts--\n",
        offer()
    );
    (
        "Content-Type: multipart/mixed;boundary=parts\n".to_owned(),
        body,
    )
}

pub(crate) fn responses(world: &World) -> Vec<Response> {
    world
        .received
        .iter()
        .filter(|(to, _)| *to == CAROL)
        .filter_map(|(_, bytes)| response(bytes))
        .collect()
}

impl Script {
    /// Carol's call rings at Bob's.
    pub(crate) fn ringing() -> Self {
        let mut world = bob();
        world.inject(CAROL, BOB, &text("INVITE", 10, "first", "", SDP, &offer()));
        let call = world.incoming(BOB);
        world
            .act(BOB, |bob, now| bob.ring(now, call))
            .expect("it is unanswered");
        world.run(Duration::from_millis(10));
        let responses = responses(&world);
        let ringing = responses.last().expect("180");
        assert_eq!(ringing.status(), StatusCode::RINGING);
        let tag = ringing
            .headers
            .to()
            .expect("a To")
            .tag()
            .expect("a tag")
            .to_owned();
        Self { world, call, tag }
    }

    /// Bob has answered, and Carol has acknowledged it.
    pub(crate) fn established() -> Self {
        let mut script = Self::ringing();
        let call = script.call;
        script
            .world
            .act(BOB, |bob, now| bob.answer(now, call, media_of(BOB)))
            .expect("it is unanswered");
        let ack = script.request("ACK", 10, "ack", "", "");
        script.world.inject(CAROL, BOB, &ack);
        script.world.run(Duration::from_secs(1));
        script
    }

    pub(crate) fn request(
        &self,
        method: &str,
        sequence: u32,
        branch: &str,
        fields: &str,
        body: &str,
    ) -> String {
        let to = format!(";tag={}", self.tag);
        text(method, sequence, branch, &to, fields, body)
    }

    /// Sends a request within the dialog and gives the last response to it.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        sequence: u32,
        fields: &str,
        body: &str,
    ) -> Response {
        let branch = format!("{method}{sequence}");
        let text = self.request(method, sequence, &branch, fields, body);
        let before = responses(&self.world).len();
        self.world.inject(CAROL, BOB, &text);
        self.world.run(Duration::from_millis(400));
        let after = responses(&self.world);
        assert!(after.len() > before, "{method} {fields} is not answered");
        after.last().expect("it is there").clone()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        let ended = |event: &Event| matches!(event, Event::Ended { .. });
        self.world.events(BOB).iter().any(ended)
    }
}

#[test]
fn a_request_with_a_number_that_was_seen_is_refused_with_500_and_the_call_goes_on() {
    let mut script = Script::established();
    assert_eq!(script.ask("OPTIONS", 15, "", "").status(), StatusCode::OK);
    for (method, number) in [("BYE", 9), ("BYE", 10), ("INFO", 14), ("OPTIONS", 15)] {
        let text = script.request(method, number, &format!("old{method}{number}"), "", "");
        script.world.inject(CAROL, BOB, &text);
        script.world.run(Duration::from_millis(100));
        let last = responses(&script.world).pop().expect("an answer");
        assert_eq!(
            last.status(),
            StatusCode::SERVER_INTERNAL_ERROR,
            "{method} {number}"
        );
    }
    assert!(!script.is_over());
    // Gaps are allowed.
    assert_eq!(script.ask("BYE", 400, "", "").status(), StatusCode::OK);
    assert!(script.is_over());
}

#[test]
fn a_method_that_is_not_for_us_is_refused_within_a_call_too() {
    let mut script = Script::established();
    for (method, status) in [
        ("PUBLISH", StatusCode::METHOD_NOT_ALLOWED),
        ("REGISTER", StatusCode::METHOD_NOT_ALLOWED),
        ("FROBNICATE", StatusCode::NOT_IMPLEMENTED),
    ] {
        let response = script.ask(method, 20, "", "");
        assert_eq!(response.status(), status);
        assert!(response.headers.contains(&HeaderName::Allow), "{method}");
    }
    assert!(!script.is_over());
}

#[test]
fn an_extension_that_is_required_within_a_call_is_refused_by_name() {
    let mut script = Script::established();
    let response = script.ask("INFO", 11, "Require: levitation\n", "");
    assert_eq!(response.status(), StatusCode::BAD_EXTENSION);
    assert_eq!(
        response.headers.text(&HeaderName::Unsupported).as_deref(),
        Some("levitation")
    );
    assert!(!script.is_over());
}

#[test]
fn a_reinvite_with_an_unknown_body_is_refused_and_the_session_stands() {
    let mut script = Script::established();
    let response = script.ask("INVITE", 11, "Content-Type: text/plain\n", "hello\n");
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        response.headers.text(&HeaderName::Accept).as_deref(),
        Some("application/sdp")
    );
    let changed = |event: &Event| matches!(event, Event::MediaChanged { .. });
    assert!(!script.world.events(BOB).iter().any(changed));
    assert!(!script.is_over());
}

#[test]
fn an_offer_within_a_multipart_body_is_answered_in_a_new_call_and_in_a_standing_one() {
    let (fields, body) = mixture();
    let mut world = bob();
    world.inject(CAROL, BOB, &text("INVITE", 10, "first", "", &fields, &body));
    let call = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.answer(now, call, media_of(BOB)))
        .expect("it is unanswered");
    world.run(Duration::from_millis(10));
    let accepted = responses(&world).pop().expect("200");
    assert_eq!(accepted.status(), StatusCode::OK);
    let answer = String::from_utf8_lossy(accepted.body()).into_owned();
    assert!(answer.contains("m=audio 20000 RTP/AVP 0"), "{answer}");
    // Established at once: the offer was seen.
    let established = |event: &Event| matches!(event, Event::Established { .. });
    assert!(world.events(BOB).iter().any(established));

    let mut script = Script::established();
    let accepted = script.ask("INVITE", 11, &fields, &body);
    assert_eq!(accepted.status(), StatusCode::OK);
    let changed = |event: &Event| matches!(event, Event::MediaChanged { .. });
    assert!(script.world.events(BOB).iter().any(changed));
}

#[test]
fn a_second_invite_before_the_first_is_answered_is_put_off() {
    let mut script = Script::ringing();
    let response = script.ask("INVITE", 11, SDP, &offer());
    assert_eq!(response.status(), StatusCode::SERVER_INTERNAL_ERROR);
    let seconds = response
        .headers
        .text(&HeaderName::RetryAfter)
        .expect("Retry-After");
    assert!(
        seconds.parse::<u32>().is_ok_and(|seconds| seconds <= 10),
        "{seconds}"
    );
    let call = script.call;
    script
        .world
        .act(BOB, |bob, now| bob.answer(now, call, media_of(BOB)))
        .expect("the first is still to be answered");
}

#[test]
fn info_of_an_unknown_type_is_refused_with_the_types_that_are_known() {
    let mut script = Script::established();
    let response = script.ask("INFO", 11, "Content-Type: text/plain\n", "hello\n");
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let known = response.headers.text(&HeaderName::Accept).expect("Accept");
    assert!(known.contains("application/dtmf-relay"), "{known}");
}

#[test]
fn bye_ends_the_call_whatever_it_carries() {
    let mut script = Script::established();
    let response = script.ask(
        "BYE",
        11,
        "Content-Type: text/plain\nContent-Encoding: gzip\n",
        "x\n",
    );
    assert_eq!(response.status(), StatusCode::OK);
    assert!(script.is_over());
}

#[test]
fn a_call_rings_no_longer_than_its_invite_allows() {
    for (expires, after, status) in [
        ("Expires: 5\n", 5, StatusCode::REQUEST_TERMINATED),
        ("Expires: 0\n", 0, StatusCode::REQUEST_TERMINATED),
        ("Expires: 4000\n", 180, StatusCode::TEMPORARILY_UNAVAILABLE),
        ("", 180, StatusCode::TEMPORARILY_UNAVAILABLE),
    ] {
        let mut world = bob();
        // Carol never sends ACK, so the refusal's own repetitions are waited for.
        let fields = format!("{expires}{SDP}");
        world.inject(
            CAROL,
            BOB,
            &text("INVITE", 10, "first", "", &fields, &offer()),
        );
        let start = world.now;
        let call = world.incoming(BOB);
        // Events are looked at after a step: the refusal is the last thing sent by then.
        if after > 0 {
            world.run(Duration::from_secs(after) - Duration::from_millis(100));
            assert!(
                !world
                    .events(BOB)
                    .iter()
                    .any(|event| matches!(event, Event::Ended { .. }))
            );
        }
        world.run(Duration::from_millis(300));
        assert_eq!(
            ended(&mut world, BOB, call),
            CallEndCause::NotAnswered,
            "{expires}"
        );
        assert!(world.now - start < Duration::from_secs(after + 1));
        let last = responses(&world).pop().expect("a refusal");
        assert_eq!(last.status(), status, "{expires}");
    }
}

#[test]
fn a_timestamp_comes_back_in_100() {
    let mut world = bob();
    let fields = format!("Timestamp: 54.25\n{SDP}");
    world.inject(
        CAROL,
        BOB,
        &text("INVITE", 10, "first", "", &fields, &offer()),
    );
    world.run(Duration::from_millis(300));
    let trying = responses(&world).pop().expect("100");
    assert_eq!(trying.status(), StatusCode::TRYING);
    assert_eq!(
        trying.headers.text(&HeaderName::Timestamp).as_deref(),
        Some("54.25")
    );
}

#[test]
fn a_peer_of_rfc_2543_is_reached_by_its_from_address() {
    let mut world = bob();
    let contact = format!("Contact: <sip:carol@{CAROL}>\n");
    let invite = text("INVITE", 10, "first", "", SDP, &offer())
        .replace(&contact, "")
        .replace(";branch=z9hG4bKfirst", "");
    world.inject(CAROL, BOB, &invite);
    let call = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.answer(now, call, media_of(BOB)))
        .expect("it is unanswered");
    world.run(Duration::from_millis(10));
    let accepted = responses(&world).pop().expect("200");
    let tag = accepted.headers.to().unwrap().tag().unwrap().to_owned();
    let ack = text("ACK", 10, "x", &format!(";tag={tag}"), "", "")
        .replace(&contact, "")
        .replace(";branch=z9hG4bKx", "");
    world.inject(CAROL, BOB, &ack);
    world.run(Duration::from_millis(10));
    world
        .act(BOB, |bob, now| bob.hang_up(now, call))
        .expect("it stands");
    world.run(Duration::from_millis(10));
    let bye = world.received.iter().find_map(|(to, bytes)| {
        match Message::parse_datagram(bytes.clone()) {
            Ok(Message::Request(request)) if *request.method() == Method::Bye => {
                Some((*to, request))
            }
            _ => None,
        }
    });
    let (to, bye) = bye.expect("BYE arrived");
    assert_eq!(
        (to, bye.uri().to_string()),
        (CAROL, format!("sip:carol@{CAROL}"))
    );
}
