//! One datagram as a STUN message. What is accepted has STUN's first bits, and tells its own transaction.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::stun::{StunMessage, binding_request, is_stun};

fuzz_target!(|datagram: &[u8]| {
    let read = StunMessage::parse(datagram);
    if !is_stun(datagram) {
        assert!(read.is_err());
    }
    if let Ok(message) = read {
        assert_eq!(datagram[8..20], message.transaction().0);
        let request = binding_request(message.transaction());
        let request = StunMessage::parse(&request).expect("our own request");
        assert_eq!(request.transaction(), message.transaction());
    }
});
