//! A candidate that the browser tells: no panic, and a leg that has it goes on.

#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use webrtc::{Error, Leg, LegSettings, LocalAddress};

const OFFER: &str = include_str!("../../../appliance/webrtc/tests/offers/chromium.sdp");

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static LEG: RefCell<Option<Leg>> = const { RefCell::new(None) };
}

fn new_leg() -> Leg {
    let addresses = [
        LocalAddress::udp("192.0.2.1:5000".parse().expect("an address")),
        LocalAddress::udp("[2001:db8::1]:5000".parse().expect("an address")),
        LocalAddress::tcp_passive("192.0.2.1:5001".parse().expect("an address")),
        LocalAddress::tcp_active("192.0.2.1".parse().expect("an address")),
    ];
    let answered = Leg::answer(*START, [1; 32], LegSettings::default(), &addresses, OFFER);
    answered.expect("a good offer").0
}

fuzz_target!(|line: &str| {
    LEG.with_borrow_mut(|slot| {
        let leg = slot.get_or_insert_with(new_leg);
        let full = matches!(
            leg.add_remote_candidate(*START, line),
            Err(Error::TooManyCandidates { .. })
        );
        leg.handle_timeout(*START + Duration::from_millis(50));
        while leg.poll_output().is_some() {}
        if full {
            *slot = None;
        }
    });
});
