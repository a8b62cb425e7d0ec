//! What a TURN server sends, as datagrams and as a stream: answers to what it was asked, and anything. It
//! makes no panic, and what it causes is bounded.

#![no_main]

#[path = "../steps.rs"]
mod steps;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use steps::steps;
use webrtc::{Protocol, Relay, RelayCredentials, RelayOutput};

/// Where a STUN message has its cookie and its transaction (RFC 8489 section 5).
const TRANSACTION: std::ops::Range<usize> = 4..20;

fuzz_target!(|input: &[u8]| {
    let address = |last: u8, port| SocketAddr::from(([192, 0, 2, last], port));
    let credentials = RelayCredentials {
        username: "room".to_owned(),
        password: "password".to_owned(),
    };
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let mut now = Instant::now();
        let mut relay = Relay::new(
            now,
            protocol,
            address(1, 5_000),
            address(2, 3_478),
            &credentials,
        );
        let mut asked = Vec::new();
        for (what, bytes) in steps(input).take(200) {
            match what {
                0..64 => relay.receive(now, bytes),
                64..160 => {
                    let mut answer = bytes.to_vec();
                    if let (Some(id), Some(place)) =
                        (asked.get(TRANSACTION), answer.get_mut(TRANSACTION))
                    {
                        place.copy_from_slice(id);
                    }
                    relay.receive(now, &answer);
                }
                160..208 => relay.send(now, address(what, 6_000), bytes),
                _ => {
                    now += Duration::from_millis(bytes.len() as u64 * 50);
                    relay.handle_timeout(now);
                }
            }
            let mut outputs = 0;
            while let Some(output) = relay.poll_output() {
                outputs += 1;
                if let RelayOutput::Transmit(bytes) = output {
                    asked = bytes.to_vec();
                }
            }
            assert!(outputs < 70_000 / 4, "bounded by what came");
        }
    }
});
