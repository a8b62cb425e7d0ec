//! Requests that the room refuses, by the status that says why.

use system::baresip::{Answer, Transport};
use system::sipp::{Scenario, Sipp};

use crate::{LIMIT, OFFER, room};

const REFUSED: &str = include_str!("scenarios/refused.xml");
/// Of the room, in a script.
const ROOM: &str = "sip:room@[remote_ip]:[remote_port]";
const ACK: &str = include_str!("scenarios/ack_refusal.xml");

/// What is wrong with a request, and what is said to it.
struct Wrong {
    method: &'static str,
    uri: &'static str,
    version: &'static str,
    header: &'static str,
    content_type: &'static str,
    body: &'static str,
    to_tag: &'static str,
}

impl Wrong {
    /// Nothing is, with an INVITE.
    fn invite() -> Self {
        Self {
            method: "INVITE",
            uri: ROOM,
            version: "SIP/2.0",
            header: "Supported: timer",
            content_type: "application/sdp",
            body: OFFER.trim_end(),
            to_tag: "",
        }
    }

    /// Nothing is, with a request without a body.
    fn request(method: &'static str) -> Self {
        Self {
            method,
            body: "",
            ..Self::invite()
        }
    }

    /// Asserts that a room refuses it with that status, and says so with a line that fits the expression.
    fn assert_refused(self, status: u16, said: &str) {
        let ack = match self.method {
            "INVITE" => ACK,
            _ => "",
        };
        let scenario = Scenario::new(REFUSED)
            .with("method", self.method)
            .with("uri", self.uri)
            .with("version", self.version)
            .with("header", self.header)
            .with("content_type", self.content_type)
            .with("body", self.body)
            .with("to_tag", self.to_tag)
            .with("status", &status.to_string())
            .with("said", said)
            .with("ack", ack);
        let room = room(Transport::Udp, Answer::Auto);
        let sipp = Sipp::call(&scenario, Transport::Udp, room.sip_port()).unwrap();
        sipp.assert_played(LIMIT).unwrap();
        let snapshot = room.roomd.snapshot().unwrap();
        assert!(snapshot.legs.is_empty(), "{:?}", snapshot.legs);
    }
}

#[test]
fn a_call_that_describes_its_session_in_another_language_gets_415_and_what_is_taken() {
    let wrong = Wrong {
        content_type: "text/plain",
        ..Wrong::invite()
    };
    wrong.assert_refused(415, "Accept:.*application/sdp");
}

#[test]
fn a_call_that_requires_what_nobody_has_gets_420_and_its_name() {
    let wrong = Wrong {
        header: "Require: moonlight",
        ..Wrong::invite()
    };
    wrong.assert_refused(420, "Unsupported: *moonlight");
}

#[test]
fn a_method_that_nobody_has_heard_of_gets_501_and_those_that_there_are() {
    Wrong::request("DANCE").assert_refused(501, "Allow:.*INVITE");
}

#[test]
fn a_method_that_others_have_gets_405_and_those_that_there_are() {
    Wrong::request("SUBSCRIBE").assert_refused(405, "Allow:.*INVITE");
}

#[test]
fn a_later_version_of_sip_gets_505() {
    let wrong = Wrong {
        version: "SIP/3.0",
        ..Wrong::invite()
    };
    wrong.assert_refused(505, "Version Not Supported");
}

#[test]
fn a_request_of_a_call_that_there_is_not_gets_481() {
    for method in ["BYE", "INVITE"] {
        let wrong = Wrong {
            to_tag: ";tag=unheard-of",
            ..Wrong::request(method)
        };
        wrong.assert_refused(481, "unheard-of");
    }
}

#[test]
fn a_call_without_a_codec_in_common_gets_488() {
    let wrong = Wrong {
        body: "v=0\no=sipp 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
               m=audio 4000 RTP/AVP 3\na=rtpmap:3 GSM/8000",
        ..Wrong::invite()
    };
    wrong.assert_refused(488, "488");
}

#[test]
fn a_request_that_says_a_thing_twice_gets_400() {
    let wrong = Wrong {
        header: "CSeq: 2 INVITE",
        ..Wrong::invite()
    };
    wrong.assert_refused(400, "SIP/2.0 400 ");
}

#[test]
fn a_call_to_an_address_of_another_kind_gets_416() {
    let wrong = Wrong {
        uri: "urn:service:sos",
        ..Wrong::invite()
    };
    wrong.assert_refused(416, "Unsupported URI Scheme");
}

/// RFC 4028 section 9.
#[test]
fn a_call_that_would_be_refreshed_too_often_gets_422_and_how_often_is_taken() {
    let wrong = Wrong {
        header: "Supported: timer\nSession-Expires: 60",
        ..Wrong::invite()
    };
    wrong.assert_refused(422, "Min-SE: *90");
}

#[test]
fn a_call_that_announces_a_body_without_end_gets_413() {
    let room = room(Transport::Tcp, Answer::Auto);
    let scenario = Scenario::new(include_str!("scenarios/too_long.xml"));
    let sipp = Sipp::call(&scenario, Transport::Tcp, room.sip_port()).unwrap();
    sipp.assert_played(LIMIT).unwrap();
    let snapshot = room.roomd.snapshot().unwrap();
    assert!(snapshot.legs.is_empty(), "{:?}", snapshot.legs);
}
