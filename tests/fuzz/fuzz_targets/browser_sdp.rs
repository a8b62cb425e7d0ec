//! A browser's offer: no panic, and what is answered can be answered again.

#![no_main]

use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use webrtc::{Leg, LegSettings, LocalAddress};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fuzz_target!(|offer: &str| {
    let addresses = [LocalAddress::udp(
        "192.0.2.1:5000".parse().expect("an address"),
    )];
    let settings = LegSettings::default();
    if let Ok((mut leg, answer)) = Leg::answer(*START, [1; 32], settings, &addresses, offer) {
        assert!(answer.starts_with("v=0"));
        assert!(leg.streams().audio.is_some());
        while leg.poll_output().is_some() {}
        let _ = leg.reoffer(*START, offer);
        while leg.poll_output().is_some() {}
    }
});
