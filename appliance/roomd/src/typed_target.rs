//! What people type to be called.

use std::net::Ipv6Addr;

/// The URI that is meant: "room@example.com" means `sip:`, and an IPv6 address has no brackets.
pub(crate) fn dialable(target: &str) -> String {
    let target = target.trim();
    if let Ok(address) = target.parse::<Ipv6Addr>() {
        return format!("sip:[{address}]");
    }
    let has_scheme = target
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphabetic()));
    if has_scheme {
        target.to_owned()
    } else {
        format!("sip:{target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_a_scheme_is_a_sip_address() {
        for (typed, dialled) in [
            ("room@example.com", "sip:room@example.com"),
            (" sip:room@example.com ", "sip:room@example.com"),
            ("127.0.0.1:5060", "sip:127.0.0.1:5060"),
            ("[::1]:5060", "sip:[::1]:5060"),
            ("::1", "sip:[::1]"),
            ("fd00::7", "sip:[fd00::7]"),
            ("tel:+861012345678", "tel:+861012345678"),
        ] {
            assert_eq!(dialable(typed), dialled);
        }
    }
}
