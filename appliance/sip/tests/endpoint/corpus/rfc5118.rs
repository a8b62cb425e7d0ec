//! RFC 5118: IPv6 references.

use bytes::Bytes;

use super::{ALLOW, BAD_REQUEST, Case, Treatment, wire};

pub(crate) fn cases() -> Vec<Case> {
    let no_registrar = Treatment::Answered(405, ALLOW);
    let unknown_call = Treatment::Answered(481, &[]);
    let ok = Treatment::Answered(200, ALLOW);
    // G.726 and H.263 alone: understood, and not for us.
    let no_common_codec = Treatment::Answered(488, &[]);
    vec![
        Case::new(
            "4.1 ipv6-good",
            register("sip:[2001:db8::10]"),
            no_registrar,
        ),
        Case::new("4.2 ipv6-bad", register("sip:2001:db8::10"), BAD_REQUEST),
        Case::new(
            "4.3 port-ambiguous",
            register("sip:[2001:db8::10:5070]"),
            no_registrar,
        ),
        Case::new(
            "4.4 port-unambiguous",
            register("sip:[2001:db8::10]:5070"),
            no_registrar,
        ),
        Case::new(
            "4.5 via-received-param-with-delim",
            bye_with_brackets(),
            unknown_call,
        ),
        Case::new(
            "4.5 via-received-param-no-delim",
            options_without_brackets(),
            ok,
        ),
        Case::new("4.6 ipv6-in-sdp", ipv6_in_description(), no_common_codec),
        Case::new(
            "4.7 mult-ip-in-header",
            addresses_of_both_families_in_via(),
            unknown_call,
        ),
        Case::new(
            "4.8 mult-ip-in-sdp",
            addresses_of_both_families_in_description(),
            Treatment::Rings,
        ),
        Case::new("4.9 ipv4-mapped-ipv6", mapped_addresses(), no_common_codec),
        // Section 4.10 asks to be liberal: the third colon is a fault of RFC 3261's own grammar.
        Case::new(
            "4.10 ipv6-bug-abnf-3-colons",
            options_to("[2001:db8:::192.0.2.1]"),
            ok,
        ),
        Case::new(
            "4.10 ipv6-correct-abnf-2-colons",
            options_to("[2001:db8::192.0.2.1]"),
            ok,
        ),
    ]
}

fn register(target: &str) -> Bytes {
    wire(&format!(
        "REGISTER {target} SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:user@example.com;tag=81x2\n\
         Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\n\
         Call-ID: SSG9559905523997077@hlau_4100\n\
         Max-Forwards: 70\n\
         Contact: \"Caller\" <sip:caller@[2001:db8::1]>\n\
         CSeq: 98176 REGISTER\n\
         Content-Length: 0\n\
         \n"
    ))
}

fn bye_with_brackets() -> Bytes {
    wire(
        "BYE sip:[2001:db8::10] SIP/2.0\n\
         To: sip:user@example.com;tag=bd76ya\n\
         From: sip:user@example.com;tag=81x2\n\
         Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111\n\
         Call-ID: SSG9559905523997077@hlau_4100\n\
         Max-Forwards: 70\n\
         CSeq: 321 BYE\n\
         Content-Length: 0\n\
         \n",
    )
}

fn options_without_brackets() -> Bytes {
    wire(
        "OPTIONS sip:[2001:db8::10] SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:user@example.com;tag=81x2\n\
         Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3\n\
         Call-ID: SSG95523997077@hlau_4100\n\
         Max-Forwards: 70\n\
         Contact: \"Caller\" <sip:caller@[2001:db8::9:1]>\n\
         CSeq: 921 OPTIONS\n\
         Content-Length: 0\n\
         \n",
    )
}

/// A message with a description. The lengths that the RFC prints are not those of its bodies.
fn with_description(head: &str, description: &str) -> Bytes {
    let length = wire(description).len();
    wire(&format!(
        "{head}Content-Type: application/sdp\nContent-Length: {length}\n\n{description}"
    ))
}

fn ipv6_in_description() -> Bytes {
    with_description(
        "INVITE sip:user@[2001:db8::10] SIP/2.0\n\
         To: sip:user@[2001:db8::10]\n\
         From: sip:user@example.com;tag=81x2\n\
         Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111\n\
         Call-ID: SSG9559905523997077@hlau_4100\n\
         Contact: \"Caller\" <sip:caller@[2001:db8::20]>\n\
         CSeq: 8612 INVITE\n\
         Max-Forwards: 70\n",
        "v=0\n\
         o=assistant 971731711378798081 0 IN IP6 2001:db8::20\n\
         s=Live video feed for today's meeting\n\
         c=IN IP6 2001:db8::20\n\
         t=3338481189 3370017201\n\
         m=audio 6000 RTP/AVP 2\n\
         a=rtpmap:2 G726-32/8000\n\
         m=video 6024 RTP/AVP 107\n\
         a=rtpmap:107 H263-1998/90000\n",
    )
}

fn addresses_of_both_families_in_via() -> Bytes {
    wire(
        "BYE sip:user@host.example.net SIP/2.0\n\
         Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144\n\
         Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200\n\
         Call-ID: 997077@lau_4100\n\
         Max-Forwards: 70\n\
         CSeq: 89187 BYE\n\
         To: sip:user@example.net;tag=9817--94\n\
         From: sip:user@example.com;tag=81x2\n\
         Content-Length: 0\n\
         \n",
    )
}

fn addresses_of_both_families_in_description() -> Bytes {
    with_description(
        "INVITE sip:user@[2001:db8::10] SIP/2.0\n\
         To: sip:user@[2001:db8::10]\n\
         From: sip:user@example.com;tag=81x2\n\
         Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\n\
         Call-ID: SSG9559905523997077@hlau_4100\n\
         Contact: \"Caller\" <sip:caller@[2001:db8::9:1]>\n\
         Max-Forwards: 70\n\
         CSeq: 8912 INVITE\n",
        "v=0\n\
         o=bob 280744730 28977631 IN IP4 host.example.com\n\
         s=\n\
         t=0 0\n\
         m=audio 22334 RTP/AVP 0\n\
         c=IN IP4 192.0.2.1\n\
         m=video 6024 RTP/AVP 107\n\
         c=IN IP6 2001:db8::1\n\
         a=rtpmap:107 H263-1998/90000\n",
    )
}

fn mapped_addresses() -> Bytes {
    with_description(
        "INVITE sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:user@east.example.com;tag=81x2\n\
         Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19\n\
         Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111\n\
         Call-ID: SSG9559905523997077@hlau_4100\n\
         Contact: \"T. desk phone\" <sip:ted@[::ffff:192.0.2.2]>\n\
         CSeq: 612 INVITE\n\
         Max-Forwards: 70\n",
        "v=0\n\
         o=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2\n\
         s=Call me soon, please!\n\
         c=IN IP6 ::ffff:192.0.2.2\n\
         t=3338481189 3370017201\n\
         m=audio 6000 RTP/AVP 2\n\
         a=rtpmap:2 G726-32/8000\n\
         m=video 6024 RTP/AVP 107\n\
         a=rtpmap:107 H263-1998/90000\n",
    )
}

fn options_to(host: &str) -> Bytes {
    wire(&format!(
        "OPTIONS sip:user@{host} SIP/2.0\n\
         To: sip:user@{host}\n\
         From: sip:user@example.com;tag=810x2\n\
         Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111\n\
         Call-ID: G9559905523997077@hlau_4100\n\
         CSeq: 689 OPTIONS\n\
         Max-Forwards: 70\n\
         Content-Length: 0\n\
         \n"
    ))
}
