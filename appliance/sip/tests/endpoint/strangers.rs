//! What strangers can get out of an endpoint: bytes, answers, memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sip::endpoint::{Endpoint, Output};
use sip::grammar::{Message, StatusCode};
use sip::transport::{StreamInfo, Transport};

use crate::corpus;
use crate::policy::request_from;
use crate::scripted::response;
use crate::world::{BOB, CAROL, account, address, settings};

/// An endpoint that knows nobody.
fn endpoint() -> Endpoint {
    let mut settings = settings(account("bob", Transport::Udp), BOB);
    settings.incoming.peers = Vec::new();
    Endpoint::new(settings, [9; 32])
}

/// The datagrams that a datagram draws at once.
fn drawn(
    endpoint: &mut Endpoint,
    now: Instant,
    from: SocketAddr,
    bytes: &Bytes,
) -> Vec<(SocketAddr, Bytes)> {
    endpoint.datagram_received(now, BOB, from, bytes.clone());
    let mut sent = Vec::new();
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::SendDatagram { remote, bytes, .. } => sent.push((remote, bytes)),
            Output::Event(_) => {}
            other => panic!("a stranger's datagram made us {other:?}"),
        }
    }
    sent
}

fn below(rng: &mut ChaCha20Rng, limit: usize) -> usize {
    (rng.next_u64() % limit as u64) as usize
}

/// Noise, a message of the corpus, or one with bytes changed, cut out, doubled or cut off.
fn garbage(rng: &mut ChaCha20Rng, corpus: &[Bytes]) -> Bytes {
    if below(rng, 8) == 0 {
        let mut noise = vec![0; below(rng, 600)];
        rng.fill_bytes(&mut noise);
        return noise.into();
    }
    let mut bytes = corpus[below(rng, corpus.len())].to_vec();
    for _ in 0..below(rng, 4) {
        let at = below(rng, bytes.len().max(1)).min(bytes.len());
        match below(rng, 5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next_u32() as u8),
            2 => {
                let end = (at + below(rng, 60)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + below(rng, 60)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => bytes.insert(at, b"\r\n:;<>\"@,= %"[below(rng, 12)]),
        }
    }
    bytes.into()
}

fn messages() -> Vec<Bytes> {
    [
        corpus::rfc4475_valid::cases(),
        corpus::rfc4475_invalid::cases(),
        corpus::rfc4475_application::cases(),
        corpus::rfc3261::cases(),
        corpus::rfc3261_bodies::cases(),
        corpus::rfc5118::cases(),
    ]
    .concat()
    .into_iter()
    .map(|case| case.bytes)
    .chain([Bytes::from_static(
        b"X x:y SIP/2.0\r\nv:SIP/2.0/UDP a;rport\r\nl:0\r\n\r\n",
    )])
    .collect()
}

#[test]
fn a_stranger_gets_at_most_twice_the_bytes_that_it_sent_and_only_at_its_own_address() {
    let corpus = messages();
    let (mut answered, mut largest) = (0, 0.0_f64);
    for seed in 0..40 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut endpoint = endpoint();
        let mut now = Instant::now();
        for _ in 0..500 {
            // Every datagram may be answered: the limits of rate have their own test.
            now += Duration::from_secs(11);
            let from = address(3, 1024 + rng.next_u32() as u16 % 60_000);
            let bytes = garbage(&mut rng, &corpus);
            let sent = drawn(&mut endpoint, now, from, &bytes);
            assert!(sent.len() <= 1, "seed {seed}: {bytes:?}");
            for (to, answer) in sent {
                answered += 1;
                assert_eq!(to.ip(), from.ip(), "seed {seed}: {bytes:?}");
                assert!(
                    answer.len() <= 2 * bytes.len(),
                    "seed {seed}: {bytes:?}: {answer:?}"
                );
                largest = largest.max(answer.len() as f64 / bytes.len() as f64);
                assert!(response(&answer).is_some(), "seed {seed}: {answer:?}");
            }
            if let Some(at) = endpoint.next_deadline() {
                panic!("seed {seed}: a stranger is remembered until {at:?}: {bytes:?}");
            }
        }
    }
    // The test is about something: most are answered, the largest answer near the bound.
    assert!(answered > 10_000, "{answered}");
    assert!(largest > 1.0, "{largest}");
}

#[test]
fn a_flood_of_garbage_draws_few_answers_for_each_source_and_in_total() {
    let corpus = messages();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut endpoint = endpoint();
    let start = Instant::now();
    let mut answers: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for number in 0..100_000_u32 {
        let now = start + Duration::from_micros(100) * number;
        // A third comes from one source, a third from ten, a third from anywhere.
        let host = match number % 3 {
            0 => Ipv4Addr::new(203, 0, 113, 1),
            1 => Ipv4Addr::new(203, 0, 113, 2 + (rng.next_u32() % 10) as u8),
            _ => Ipv4Addr::from_bits(rng.next_u32()),
        };
        let bytes = garbage(&mut rng, &corpus);
        let from = SocketAddr::new(host.into(), 5060);
        for (to, _) in drawn(&mut endpoint, now, from, &bytes) {
            *answers.entry(to.ip()).or_default() += 1;
        }
    }
    let total: usize = answers.values().sum();
    assert!((64..=64 + 10 * 20).contains(&total), "{total} in 10 s");
    let most = answers.values().max().copied().unwrap_or_default();
    assert!(
        most <= 6,
        "{most} to one source: its burst of 5, and one more after 10 s"
    );
    assert!(endpoint.next_deadline().is_none(), "nothing is remembered");
}

#[test]
fn neither_responses_nor_acks_are_ever_answered() {
    let corpus = messages();
    let mut endpoint = endpoint();
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let mut now = Instant::now();
    for _ in 0..5_000 {
        now += Duration::from_secs(11);
        let mut bytes = corpus[below(&mut rng, corpus.len())].to_vec();
        let line = bytes
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .unwrap_or_default();
        let start = [
            &b"SIP/2.0 200 OK"[..],
            b"SIP/2.0 99999 Long",
            b"SIP/1.0 200 OK",
            b"ACK sip:bob@192.0.2.2 SIP/2.0",
            b"ACK <sip:bob@192.0.2.2> SIP/2.0",
        ][below(&mut rng, 5)];
        bytes.splice(..line, start.iter().copied());
        let bytes = Bytes::from(bytes);
        assert_eq!(drawn(&mut endpoint, now, CAROL, &bytes), [], "{bytes:?}");
    }
}

#[test]
fn the_ack_of_a_refusal_and_the_refusal_sent_back_draw_nothing() {
    let mut endpoint = endpoint();
    let now = Instant::now();
    let invite = request_from("INVITE", CAROL, "sip:bob@192.0.2.2", "1", "").replace('\n', "\r\n");
    let sent = drawn(&mut endpoint, now, CAROL, &Bytes::from(invite));
    let [(_, refusal)] = &sent[..] else {
        panic!("{sent:?}");
    };
    let tag = response(refusal)
        .expect("a response")
        .headers
        .to()
        .unwrap()
        .tag()
        .unwrap()
        .to_owned();
    let ack = request_from("ACK", CAROL, "sip:bob@192.0.2.2", "1", "")
        .replace(
            "To: <sip:bob@192.0.2.2>",
            &format!("To: <sip:bob@192.0.2.2>;tag={tag}"),
        )
        .replace('\n', "\r\n");
    assert_eq!(drawn(&mut endpoint, now, CAROL, &Bytes::from(ack)), []);
    assert_eq!(drawn(&mut endpoint, now, CAROL, refusal), []);
    // Stateless: nothing is repeated later.
    assert_eq!(endpoint.next_deadline(), None);
}

#[test]
fn the_same_request_gets_the_same_refusal() {
    let mut endpoint = endpoint();
    let now = Instant::now();
    let invite = request_from("INVITE", CAROL, "sip:bob@192.0.2.2", "1", "").replace('\n', "\r\n");
    let invite = Bytes::from(invite);
    let first = drawn(&mut endpoint, now, CAROL, &invite);
    let second = drawn(
        &mut endpoint,
        now + Duration::from_millis(500),
        CAROL,
        &invite,
    );
    assert_eq!(
        first, second,
        "with the same tag, or the ACK matched neither"
    );
    let Ok(Message::Response(refusal)) = Message::parse_datagram(first[0].1.clone()) else {
        panic!("{first:?}");
    };
    assert_eq!(refusal.status(), StatusCode::FORBIDDEN);
}

#[test]
fn garbage_in_a_stream_is_answered_at_most_as_often_as_in_datagrams() {
    let mut endpoint = endpoint();
    let now = Instant::now();
    let bad = request_from("OPTIONS", CAROL, "sip:bob@192.0.2.2", "1", "")
        .replace("Call-ID: c1\n", "")
        .replace('\n', "\r\n");
    let flow = endpoint.reserve_flow();
    endpoint.stream_opened(now, flow, StreamInfo::new(Transport::Tcp, BOB, CAROL));
    for _ in 0..100 {
        endpoint.stream_received(now, flow, &Bytes::from(bad.clone()));
    }
    let mut answers = 0;
    while let Some(output) = endpoint.poll_output() {
        assert!(matches!(output, Output::SendStream { .. }), "{output:?}");
        answers += 1;
    }
    assert_eq!(answers, 5);
}
