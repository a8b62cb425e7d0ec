//! What comes in at a connected leg: datagrams of anybody, and the contents of a browser's own packets.
//! Nothing of it makes a panic; a datagram that is not the browser's draws no answer.

#![no_main]

#[path = "../connected_leg.rs"]
mod connected_leg;

use std::net::SocketAddr;
use std::time::Duration;

use connected_leg::{BROWSER, ConnectedLeg, steps};
use libfuzzer_sys::fuzz_target;
use str0m::rtp::RtpWrite;
use webrtc::{Protocol, Received};

fuzz_target!(|input: &[u8]| {
    let mut run = ConnectedLeg::new();
    for (number, (what, bytes)) in steps(input).take(200).enumerate() {
        let now = run.now;
        match what {
            0..64 => {
                let stranger = SocketAddr::from(([198, 51, 100, what], 7000));
                let received = Received {
                    protocol: Protocol::Udp,
                    source: stranger,
                    destination: connected_leg::ROOM,
                    payload: bytes,
                };
                assert!(!run.leg.accepts(&received), "nobody guesses the password");
                run.leg.receive(now, received);
                assert!(run.leg.poll_output().is_none());
            }
            64..128 => run.give_leg(BROWSER, bytes),
            128..192 => {
                let mid = run.mids[usize::from(what % 3)];
                // Sound, sound with repetitions, pictures.
                let payload_type = match (what % 3, what % 2) {
                    (0, 0) => 63,
                    (0, _) => 111,
                    _ => 106,
                };
                let sequence = 100 + number as u64;
                let write = RtpWrite::new(
                    payload_type.into(),
                    sequence.into(),
                    number as u32 * 960,
                    now,
                    &bytes[..bytes.len().min(1_100)],
                );
                let mut api = run.browser.direct_api();
                if let Some(stream) = api.stream_tx_by_mid(mid, None) {
                    stream.write_rtp(write);
                }
                run.exchange();
                run.run_for(Duration::ZERO);
            }
            192..224 => {
                let channel = run.channel.and_then(|id| run.browser.channel(id));
                if let Some(mut channel) = channel {
                    let _ = channel.write(what % 2 == 0, bytes);
                }
            }
            _ => run.run_for(Duration::from_millis(bytes.len() as u64 * 10)),
        }
        run.exchange();
    }
});
