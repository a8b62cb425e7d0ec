//! What media gives a connected leg: no panic, every packet is at most one datagram, and the connection
//! stands it.

#![no_main]

#[path = "../connected_leg.rs"]
#[allow(dead_code)]
mod connected_leg;

use std::time::Duration;

use connected_leg::{ConnectedLeg, steps};
use libfuzzer_sys::fuzz_target;
use room::media_plan::Medium;

fuzz_target!(|input: &[u8]| {
    let mut run = ConnectedLeg::new();
    for (what, bytes) in steps(input).take(200) {
        let medium = Medium::ALL[usize::from(what % 3)];
        let now = run.now;
        match what / 64 {
            0 | 1 => {
                let _ = run.leg.send_rtp(now, medium, bytes);
            }
            2 => {
                let _ = run.leg.send_rtcp(now, medium, bytes);
            }
            _ => run.run_for(Duration::from_millis(bytes.len() as u64 * 10)),
        }
        let before = run.outputs;
        run.exchange();
        assert!(
            run.outputs <= before + 100,
            "one packet is not a hundred datagrams"
        );
    }
    assert!(run.leg.is_connected());
});
