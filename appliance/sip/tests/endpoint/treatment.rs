//! What an endpoint does with every message of the corpus, as a datagram and in a stream.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{ConfiguredPeer, Endpoint, EndpointSettings, Event, Output};
use sip::grammar::{HeaderName, Message, Response, StatusCode};
use sip::offer_answer::MediaSecurity;
use sip::transport::{FlowId, StreamInfo, Transport};

use crate::corpus::{self, Case, Treatment};
use crate::scripted::response;
use crate::world::{BOB, CAROL, account, settings};

/// Bob and a peer that may call him, of one address family.
#[derive(Clone, Copy)]
struct Pair {
    bob: SocketAddr,
    peer: SocketAddr,
}

const IPV4: Pair = Pair {
    bob: BOB,
    peer: CAROL,
};

fn ipv6() -> Pair {
    Pair {
        bob: "[2001:db8::10]:5060".parse().expect("an address"),
        peer: "[2001:db8::9:1]:5060".parse().expect("an address"),
    }
}

/// An endpoint that takes plain media, and what came out of it.
struct Subject {
    endpoint: Endpoint,
    now: Instant,
    responses: Vec<Response>,
    /// Where datagrams went.
    targets: Vec<SocketAddr>,
    rings: usize,
    closed: bool,
}

impl Subject {
    fn new(pair: Pair) -> Self {
        let mut account = account("bob", Transport::Udp);
        account.capabilities.security = MediaSecurity::PlainAllowed;
        let mut settings: EndpointSettings = settings(account, pair.bob);
        settings.incoming.peers = vec![ConfiguredPeer::address(pair.peer.ip())];
        Self {
            endpoint: Endpoint::new(settings, [5; 32]),
            now: Instant::now(),
            responses: Vec::new(),
            targets: Vec::new(),
            rings: 0,
            closed: false,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::SendDatagram { remote, bytes, .. } => {
                    self.targets.push(remote);
                    self.sent(&bytes);
                }
                Output::SendStream { bytes, .. } => self.sent(&bytes),
                Output::CloseStream { .. } => self.closed = true,
                Output::Event(Event::Incoming { .. }) => self.rings += 1,
                Output::Event(_) => {}
                Output::OpenStream { .. }
                | Output::PingWebSocket { .. }
                | Output::SendFloorControl { .. }
                | Output::CloseFloorControl { .. }
                | Output::Resolve { .. } => {
                    panic!("nothing is asked for")
                }
            }
        }
    }

    fn sent(&mut self, bytes: &Bytes) {
        // The answer to a ping.
        if bytes[..] != b"\r\n"[..] {
            self.responses
                .push(response(bytes).expect("only responses are sent"));
        }
    }

    /// Lets time pass; a refusal of an INVITE is repeated until its ACK, so the first second is enough for answers.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(at) = self.endpoint.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// The statuses of all answers, repetitions left out.
    fn statuses(&self) -> Vec<u16> {
        let mut statuses: Vec<u16> = self.responses.iter().map(|r| r.status().code()).collect();
        statuses.dedup();
        statuses
    }
}

fn as_datagram(pair: Pair, bytes: &Bytes) -> Subject {
    let mut subject = Subject::new(pair);
    let now = subject.now;
    subject
        .endpoint
        .datagram_received(now, pair.bob, pair.peer, bytes.clone());
    subject.run(Duration::from_millis(400));
    let elsewhere = |target: &&SocketAddr| target.ip() != pair.peer.ip();
    assert_eq!(
        subject.targets.iter().find(elsewhere),
        None,
        "no third party hears of it"
    );
    subject
}

/// Opens a connection from the peer.
fn connected(pair: Pair) -> (Subject, FlowId) {
    let mut subject = Subject::new(pair);
    let flow = subject.endpoint.reserve_flow();
    let info = StreamInfo::new(Transport::Tcp, pair.bob, pair.peer);
    subject.endpoint.stream_opened(subject.now, flow, info);
    (subject, flow)
}

/// Cut wherever the network pleases.
fn in_stream(pair: Pair, bytes: &Bytes, chunk: usize) -> Subject {
    let (mut subject, flow) = connected(pair);
    for chunk in bytes.chunks(chunk) {
        let now = subject.now;
        subject
            .endpoint
            .stream_received(now, flow, &Bytes::copy_from_slice(chunk));
        subject.drain();
    }
    subject.run(Duration::from_millis(400));
    subject
}

fn check(how: &str, case: &Case, treatment: Treatment, mut subject: Subject) {
    let what = format!("{} {how}: {:?}", case.name, subject.statuses());
    let (statuses, rings, closed): (&[u16], _, _) = match treatment {
        Treatment::Answered(status, _) => (&[status], 0, false),
        Treatment::Rings => (&[100], 1, false),
        Treatment::AnsweredThenRings(status) => (&[status, 100], 1, false),
        Treatment::AnsweredTwice(first, second) => (&[first, second], 0, false),
        Treatment::Dropped | Treatment::ClosedInTime => (&[], 0, false),
        Treatment::AnsweredAndClosed(status) => (&[status], 0, true),
        Treatment::Closed => (&[], 0, true),
    };
    assert_eq!(subject.statuses(), statuses, "{what}");
    assert_eq!((subject.rings, subject.closed), (rings, closed), "{what}");
    if let Treatment::Answered(_, fields) = treatment {
        for (name, value) in fields {
            let name = HeaderName::new(name).expect("a token");
            let text = subject.responses[0].headers.text(&name).unwrap_or_default();
            if name == HeaderName::Allow {
                // Methods may be added; none of these goes.
                let listed: Vec<&str> = text.split(", ").collect();
                let all = value.split(", ").all(|method| listed.contains(&method));
                assert!(all, "{what}: {text}");
            } else {
                assert_eq!(text, *value, "{what}: {name}");
            }
        }
    }
    if treatment == Treatment::ClosedInTime {
        subject.run(Duration::from_secs(31));
        assert!(subject.closed, "{what}");
        assert_eq!(subject.statuses(), [], "{what}");
    }
    for response in &subject.responses {
        check_answer(&what, &case.bytes, response);
    }
}

/// Section 8.2.6.2: what every answer repeats of its request, and our tag.
fn check_answer(what: &str, request: &Bytes, response: &Response) {
    assert!(response.body().is_empty(), "{what}");
    if response.status() != StatusCode::TRYING
        && let Ok(to) = response.headers.to()
    {
        assert!(to.tag().is_some(), "{what}");
    }
    let Some(Message::Request(request)) = Message::parse_datagram(request.clone()).ok() else {
        return;
    };
    for name in [HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
        let repeated = response.headers.text(&name);
        if response.headers.get(&HeaderName::CallId) == request.headers.get(&HeaderName::CallId) {
            assert_eq!(repeated, request.headers.text(&name), "{what}: {name}");
        }
    }
}

fn check_all(pair: Pair, cases: &[Case]) {
    for case in cases {
        check(
            "as a datagram",
            case,
            case.as_datagram,
            as_datagram(pair, &case.bytes),
        );
        for chunk in [usize::MAX, 7] {
            let subject = in_stream(pair, &case.bytes, chunk);
            let how = format!("in a stream, {chunk} bytes at once");
            check(&how, case, case.in_stream, subject);
        }
    }
}

#[test]
fn every_message_of_rfc_4475_is_treated_as_it_asks() {
    let cases = [
        corpus::rfc4475_valid::cases(),
        corpus::rfc4475_invalid::cases(),
        corpus::rfc4475_application::cases(),
    ]
    .concat();
    assert_eq!(cases.len(), 49);
    check_all(IPV4, &cases);
}

#[test]
fn every_message_of_rfc_5118_is_treated_as_it_asks() {
    let cases = corpus::rfc5118::cases();
    assert_eq!(cases.len(), 12);
    check_all(ipv6(), &cases);
}

#[test]
fn every_rule_of_rfc_3261_on_requests_is_kept() {
    check_all(IPV4, &corpus::rfc3261::cases());
    check_all(IPV4, &corpus::rfc3261_bodies::cases());
}

#[test]
fn the_lengths_that_rfc_4475_prints_are_those_of_its_bodies() {
    for case in corpus::rfc4475_valid::cases() {
        let Ok(message) = Message::parse_datagram(case.bytes.clone()) else {
            panic!("{} is valid", case.name);
        };
        let whole = message.to_bytes().len() == case.bytes.len();
        assert_eq!(whole, case.name != "3.1.1.8 dblreq", "{}", case.name);
    }
}
