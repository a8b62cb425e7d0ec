//! Two URIs, one a line: what is accepted prints as something that reads the same, and equivalence is symmetric.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::grammar::Uri;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(2, '\n');
    let uris =
        [lines.next(), lines.next()].map(|line| line.and_then(|text| text.parse::<Uri>().ok()));
    for uri in uris.iter().flatten() {
        let printed = uri.to_string();
        assert!(
            !printed.contains(['\r', '\n', '\0', ' ', '<', '>', '"']),
            "{printed:?}"
        );
        assert_eq!(printed.parse::<Uri>().as_ref(), Ok(uri));
        assert!(uri.is_equivalent_to(uri));
        if let Some(sip) = uri.as_sip() {
            let _ = sip.user_decoded();
        }
    }
    if let [Some(one), Some(two)] = &uris {
        assert_eq!(one.is_equivalent_to(two), two.is_equivalent_to(one));
    }
});
