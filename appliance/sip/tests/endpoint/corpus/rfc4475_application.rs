//! RFC 4475 sections 3.2 to 3.4: well-formed, and a trap for transactions, user agents or old peers.

use bytes::Bytes;

use super::{ALLOW, BAD_REQUEST, Case, Treatment, description, wire};

pub(crate) fn cases() -> Vec<Case> {
    // No room is a registrar.
    let no_registrar = Treatment::Answered(405, ALLOW);
    let unknown_scheme = Treatment::Answered(416, &[]);
    let closed = Treatment::AnsweredAndClosed(400);
    vec![
        Case::new(
            "3.2.1 badbranch",
            no_transaction_in_branch(),
            Treatment::Answered(200, ALLOW),
        ),
        Case::new("3.3.1 insuf", missing_fields(), BAD_REQUEST),
        Case::new(
            "3.3.2 unkscm",
            unknown_scheme_of_request_uri(),
            unknown_scheme,
        ),
        Case::new(
            "3.3.3 novelsc",
            known_scheme_of_another_protocol(),
            unknown_scheme,
        ),
        Case::new("3.3.4 unksm2", unknown_schemes_in_fields(), no_registrar),
        Case::new(
            "3.3.5 bext01",
            required_extensions(),
            Treatment::Answered(
                420,
                &[(
                    "Unsupported",
                    "nothingSupportsThis, nothingSupportsThisEither",
                )],
            ),
        ),
        Case::new(
            "3.3.6 invut",
            unknown_content_type(),
            Treatment::Answered(415, &[("Accept", "application/sdp")]),
        ),
        Case::new("3.3.7 regaut01", unknown_authorization(), no_registrar),
        Case::new("3.3.8 multi01", repeated_single_fields(), BAD_REQUEST),
        Case::new("3.3.9 mcl01", two_lengths(), BAD_REQUEST).but_in_stream(closed),
        Case::new("3.3.10 bcast", broadcast_in_via(), Treatment::Dropped),
        // The limit is for proxies: whoever is meant answers (RFC 3261 section 16.3).
        Case::new(
            "3.3.11 zeromf",
            no_hop_left(),
            Treatment::Answered(200, ALLOW),
        ),
        Case::new("3.3.12 cparam01", parameter_of_contact(), no_registrar),
        Case::new("3.3.13 cparam02", parameter_of_contact_uri(), no_registrar),
        Case::new("3.3.14 regescrt", headers_in_contact_uri(), no_registrar),
        Case::new(
            "3.3.15 sdp01",
            no_acceptable_answer(),
            Treatment::Answered(406, &[]),
        ),
        Case::new("3.4.1 inv2543", invite_of_rfc_2543(), Treatment::Rings).but_in_stream(closed),
    ]
}

fn no_transaction_in_branch() -> Bytes {
    wire(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.org;tag=33242\n\
         Max-Forwards: 3\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\n\
         Accept: application/sdp\n\
         Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n\n\
         CSeq: 8 OPTIONS\n\
         l: 0\n\
         \n",
    )
}

fn missing_fields() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         CSeq: 193942 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\n\
         Content-Type: application/sdp\n\
         l: 152\n\
         \n\
         {}",
        description("192.0.2.95")
    ))
}

fn unknown_scheme_of_request_uri() -> Bytes {
    wire(
        "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.net;tag=384\n\
         Max-Forwards: 3\n\
         Call-ID: unkscm.nasdfasser0q239nwsdfasdkl34\n\
         CSeq: 3923423 OPTIONS\n\
         Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\n\
         Content-Length: 0\n\
         \n",
    )
}

fn known_scheme_of_another_protocol() -> Bytes {
    wire(
        "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.net;tag=384\n\
         Max-Forwards: 3\n\
         Call-ID: novelsc.asdfasser0q239nwsdfasdkl34\n\
         CSeq: 3923423 OPTIONS\n\
         Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\n\
         Content-Length: 0\n\
         \n",
    )
}

fn unknown_schemes_in_fields() -> Bytes {
    wire(
        "REGISTER sip:example.com SIP/2.0\n\
         To: isbn:2983792873\n\
         From: <http://www.example.com>;tag=3234233\n\
         Call-ID: unksm2.daksdj@hyphenated-host.example.com\n\
         CSeq: 234902 REGISTER\n\
         Max-Forwards: 70\n\
         Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw\n\
         Contact: <name:John_Smith>\n\
         l: 0\n\
         \n",
    )
}

fn required_extensions() -> Bytes {
    wire(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:j_user@example.com\n\
         From: sip:caller@example.net;tag=242etr\n\
         Max-Forwards: 6\n\
         Call-ID: bext01.0ha0isndaksdj\n\
         Require: nothingSupportsThis, nothingSupportsThisEither\n\
         Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis\n\
         CSeq: 8 OPTIONS\n\
         Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw\n\
         Content-Length: 0\n\
         \n",
    )
}

fn unknown_content_type() -> Bytes {
    wire(
        "INVITE sip:user@example.com SIP/2.0\n\
         Contact: <sip:caller@host5.example.net>\n\
         To: sip:j.user@example.com\n\
         From: sip:caller@example.net;tag=8392034\n\
         Max-Forwards: 70\n\
         Call-ID: invut.0ha0isndaksdjadsfij34n23d\n\
         CSeq: 235448 INVITE\n\
         Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw\n\
         Content-Type: application/unknownformat\n\
         Content-Length: 40\n\
         \n\
         <audio>\n \
         <pcmu port=\"443\"/>\n\
         </audio>\n",
    )
}

fn unknown_authorization() -> Bytes {
    wire(
        "REGISTER sip:example.com SIP/2.0\n\
         To: sip:j.user@example.com\n\
         From: sip:j.user@example.com;tag=87321hj23128\n\
         Max-Forwards: 8\n\
         Call-ID: regaut01.0ha0isndaksdj\n\
         CSeq: 9338 REGISTER\n\
         Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw\n\
         Authorization: NoOneKnowsThisScheme opaque-data=here\n\
         Content-Length:0\n\
         \n",
    )
}

/// The RFC prints a length of 154, which is 2 too many: the repeated fields alone are to be at fault.
fn repeated_single_fields() -> Bytes {
    wire(&format!(
        "INVITE sip:user@company.com SIP/2.0\n\
         Contact: <sip:caller@host25.example.net>\n\
         Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw\n\
         Max-Forwards: 70\n\
         CSeq: 5 INVITE\n\
         Call-ID: multi01.98asdh@192.0.2.1\n\
         CSeq: 59 INVITE\n\
         Call-ID: multi01.98asdh@192.0.2.2\n\
         From: sip:caller@example.com;tag=3413415\n\
         To: sip:user@example.com\n\
         To: sip:other@example.net\n\
         From: sip:caller@example.net;tag=2923420123\n\
         Content-Type: application/sdp\n\
         l: 152\n\
         Contact: <sip:caller@host36.example.net>\n\
         Max-Forwards: 5\n\
         \n\
         {}",
        description("192.0.2.25")
    ))
}

fn two_lengths() -> Bytes {
    wire(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423\n\
         To: sip:user@example.com\n\
         From: sip:other@example.net;tag=3923942\n\
         Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf\n\
         CSeq: 15932 OPTIONS\n\
         Content-Length: 13\n\
         Max-Forwards: 60\n\
         Content-Length: 5\n\
         Content-Type: text/plain\n\
         \n\
         There's no way to know how many octets are supposed to be here.\n",
    )
}

fn broadcast_in_via() -> Bytes {
    wire(&format!(
        "SIP/2.0 200 OK\n\
         Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\n\
         Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\n\
         Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf\n\
         CSeq: 35 INVITE\n\
         From: sip:user@example.com;tag=11141343\n\
         To: sip:user@example.edu;tag=2229\n\
         Content-Length: 154\n\
         Content-Type: application/sdp\n\
         Contact: <sip:user@host28.example.com>\n\
         \n\
         {}",
        description("192.0.2.198")
    ))
}

fn no_hop_left() -> Bytes {
    wire(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.net;tag=3ghsd41\n\
         Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas\n\
         CSeq: 39234321 OPTIONS\n\
         Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i\n\
         Max-Forwards: 0\n\
         Content-Length: 0\n\
         \n",
    )
}

fn parameter_of_contact() -> Bytes {
    wire(
        "REGISTER sip:example.com SIP/2.0\n\
         Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\n\
         Max-Forwards: 70\n\
         From: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe\n\
         To: sip:watson@example.com\n\
         Call-ID: cparam01.70710@saturn.example.com\n\
         CSeq: 2 REGISTER\n\
         Contact: sip:+19725552222@gw1.example.net;unknownparam\n\
         l: 0\n\
         \n",
    )
}

fn parameter_of_contact_uri() -> Bytes {
    wire(
        "REGISTER sip:example.com SIP/2.0\n\
         Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\n\
         Max-Forwards: 70\n\
         From: sip:watson@example.com;tag=838293\n\
         To: sip:watson@example.com\n\
         Call-ID: cparam02.70710@saturn.example.com\n\
         CSeq: 3 REGISTER\n\
         Contact: <sip:+19725552222@gw1.example.net;unknownparam>\n\
         l: 0\n\
         \n",
    )
}

fn headers_in_contact_uri() -> Bytes {
    wire(
        "REGISTER sip:example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:user@example.com;tag=8\n\
         Max-Forwards: 70\n\
         Call-ID: regescrt.k345asrl3fdbv@192.0.2.1\n\
         CSeq: 14398234 REGISTER\n\
         Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\n\
         M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\n\
         L:0\n\
         \n",
    )
}

fn no_acceptable_answer() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         To: sip:j_user@example.com\n\
         Contact: <sip:caller@host15.example.net>\n\
         From: sip:caller@example.net;tag=234\n\
         Max-Forwards: 5\n\
         Call-ID: sdp01.ndaksdj9342dasdd\n\
         Accept: text/nobodyKnowsThis\n\
         CSeq: 8 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw\n\
         Content-Length: 150\n\
         Content-Type: application/sdp\n\
         \n\
         {}",
        description("192.0.2.5")
    ))
}

fn invite_of_rfc_2543() -> Bytes {
    wire(
        "INVITE sip:UserB@example.com SIP/2.0\n\
         Via: SIP/2.0/UDP iftgw.example.com\n\
         From: <sip:+13035551111@ift.client.example.net;user=phone>\n\
         Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\n\
         To: sip:+16505552222@ss1.example.net;user=phone\n\
         Call-ID: inv2543.1717@ift.client.example.com\n\
         CSeq: 56 INVITE\n\
         Content-Type: application/sdp\n\
         \n\
         v=0\n\
         o=mhandley 29739 7272939 IN IP4 192.0.2.5\n\
         s=-\n\
         c=IN IP4 192.0.2.5\n\
         t=0 0\n\
         m=audio 49217 RTP/AVP 0\n",
    )
}
