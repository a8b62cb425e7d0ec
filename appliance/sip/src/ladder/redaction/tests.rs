//! Secrets at every place where one may stand, in every spelling: none is ever shown.

use bytes::Bytes;
use proptest::prelude::*;

use super::redact;
use crate::grammar::Message;

fn shown(text: &str) -> super::Redacted {
    let datagram = Bytes::from(text.replace('\n', "\r\n"));
    let message = Message::parse_datagram(datagram).expect("a message");
    redact((&message).into())
}

#[test]
fn what_is_needed_to_find_a_fault_is_still_there() {
    let invite = "INVITE sip:board@example.com;transport=tcp SIP/2.0\n\
        v: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKabc;rport\n\
        Max-Forwards: 70\n\
        f: \"Ann\" <sip:ann@example.com>;tag=1\n\
        t: <sip:board@example.com>\n\
        i: call@192.0.2.1\n\
        CSeq: 2 INVITE\n\
        m: <sip:ann@192.0.2.1;transport=tcp>;+sip.instance=\"<urn:uuid:0>\";expires=60\n\
        Authorization: Digest username=\"ann\", realm=\"example.com\", nonce=\"n\", uri=\"sip:x\",\n \
        response=\"r\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\", opaque=\"\"\n\
        X-Token: abc\n\
        c: application/sdp\n\
        l: 42\n\
        \n\
        v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nk=clear:x\n";
    let shown = shown(invite);
    let expected = "\
INVITE sip:board@example.com;transport=tcp SIP/2.0
Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKabc;rport
Max-Forwards: 70
From: \"Ann\" <sip:ann@example.com>;tag=1
To: <sip:board@example.com>
Call-ID: call@192.0.2.1
CSeq: 2 INVITE
Contact: <sip:ann@192.0.2.1;transport=tcp>;+sip.instance=<urn:uuid:0>;expires=60
Authorization: Digest username=***, realm=\"example.com\", nonce=***, uri=***, response=***, \
algorithm=\"SHA-256\", qop=\"auth\", nc=***, cnonce=***, opaque=***
X-Token: *** (3 bytes)
Content-Type: application/sdp
Content-Length: 42

v=0
o=- 1 1 IN IP4 192.0.2.1
s=-
k=***
";
    assert_eq!(shown.text, expected);
    assert_eq!(
        (
            shown.method.as_str(),
            shown.status,
            shown.body_type.as_deref()
        ),
        ("INVITE", None, Some("application/sdp"))
    );
}

#[test]
fn a_message_of_any_length_is_cut_and_shows_no_control_characters() {
    let reason = "x\u{1b}[2J".repeat(4_000);
    let response = format!("SIP/2.0 404 {reason}\nCall-ID: 1\nCSeq: 1 BYE\n\n");
    let shown = shown(&response);
    assert!(
        shown.text.len() < super::MAX_TEXT + 64,
        "{}",
        shown.text.len()
    );
    assert!(shown.start_line.len() < super::MAX_START_LINE + 4);
    assert!(!shown.text.contains('\u{1b}') && !shown.start_line.contains('\u{1b}'));
    assert_eq!((shown.method.as_str(), shown.status), ("BYE", Some(404)));
}

/// A line of a head or body with a secret in it. `§` stands for the secret, `~` for a fold or blanks.
const HEADERS: [&str; 34] = [
    "Authorization:~Digest username=\"ann\",~realm=\"r\",~nonce=\"§\",~response=\"§\",~cnonce=\"§\"",
    "AUTHORIZATION:~Digest realm=\"r\",~opaque=§,~RESPONSE=§,~nonce=§",
    "authorization :~Basic §",
    "authorization:~Basic~§==",
    "Authorization:~Bearer~§",
    "Authorization:~Digest §",
    "Authorization:~Digest",
    "Proxy-Authorization:~Digest realm=\"r\", response=\"§\", auts=\"§\", §=\"§\"",
    "pRoXy-AuThOrIzAtIoN:~Digest realm=r, rspauth=§",
    "WWW-Authenticate:~Digest realm=\"r\",~nonce=\"§\",~opaque=\"§\"",
    "Proxy-Authenticate:~Digest nonce=\"§\", domain=\"sip:§\", realm=\"r\"",
    "Authentication-Info:~nextnonce=\"§\", rspauth=\"§\", cnonce=\"§\"",
    "Proxy-Authentication-Info:~nextnonce=§",
    "Contact:~<sip:ann:§@example.com>",
    "m:~\"Ann\"~<sip:ann:§@example.com;token=§?Subject=§>;pin=§",
    "m:~sip:ann:§@example.com",
    "CONTACT:~<sips:ann%3A§@example.com>",
    "Route:~<sip:u:§@example.com;lr>,~<sip:v:§@example.com;lr>",
    "Record-Route:~<sip:example.com;lr;ticket=§>",
    "P-Asserted-Identity:~\"a \\\" b\"~<SIP:u:§@example.com>",
    "Refer-To:~<sip:u@example.com?Replaces=§>",
    "r:~<sip:u:§@example.com?Authorization=§>",
    "Referred-By:~<sip:123456789.§@example.com>",
    "b:~<sip:123456789**§@example.com>",
    "Call-Info:~<https://example.com/?token=§>;purpose=icon",
    "Remote-Party-ID:~<sip:u:§@example.com>;party=calling;secret=§",
    "History-Info:~<sip:u:§@example.com>;index=1",
    "Diversion:~not an address §",
    "Identity:~§",
    "y:~§",
    "Security-Client:~digest;d-alg=md5;key=§",
    "X-Access-Token:~§",
    "Subject:~Passcode §",
    "P-Access-Network-Info:~§",
];

const DESCRIPTION: [&str; 16] = [
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:§|2^20|1:4",
    "a=crypto:2 AEAD_AES_256_GCM inline:§;inline:§ FEC_KEY=inline:§",
    "a=Crypto:§ AES_CM_128_HMAC_SHA1_80 inline:§",
    "a=crypto:1 § inline:§",
    "a=crypto:§",
    "a= crypto:1 AES_CM_128_HMAC_SHA1_80 inline:§",
    "A=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:§",
    "a=ice-pwd:§",
    "a=ICE-PWD:§",
    "k=clear:§",
    "K=base64:§",
    "a=key-mgmt:mikey §",
    "a=path:msrp://example.com/§;tcp",
    "u=https://example.com/?token=§",
    "i=passcode §",
    "§",
];

const BODIES: [(&str, &str); 6] = [
    ("application/dtmf-relay", "Signal=§\nDuration=160\n"),
    ("APPLICATION/DTMF", "§"),
    ("application/octet-stream", "§"),
    ("text/plain", "§"),
    ("nonsense", "§"),
    (
        "multipart/mixed;boundary=b",
        "--b\nContent-Type: application/dtmf-relay\n\nSignal=§\n--b\nContent-Type: application/sdp\n\nv=0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:§\n--b--\n",
    ),
];

fn message(start: &str, headers: &[String], content_type: &str, body: &str) -> String {
    let mut text = format!("{start}\nCall-ID: 1@example.com\nCSeq: 1 INVITE\n");
    for header in headers {
        text += header;
        text.push('\n');
    }
    text += &format!("{content_type}\n\n{body}");
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_secret_is_ever_shown(
        // Longer than any word of the grammar, so that it can only be shown as itself.
        secret in "[A-Z]{3}[A-Za-z0-9]{9,30}Q7",
        folds in prop::collection::vec(prop_oneof![Just(" "), Just("\n "), Just("\n\t  "), Just("\t")], HEADERS.len()),
        order in Just((0..HEADERS.len()).collect::<Vec<_>>()).prop_shuffle(),
        description in prop::sample::subsequence(DESCRIPTION.to_vec(), 1..=DESCRIPTION.len()),
        body in prop::option::of(0..BODIES.len()),
        compact in any::<bool>(),
        is_response in any::<bool>(),
    ) {
        let headers: Vec<String> = order
            .iter()
            .zip(&folds)
            .map(|(index, fold)| HEADERS[*index].replace('§', &secret).replace('~', fold))
            .collect();
        let (content_type, body) = match body {
            Some(index) => (BODIES[index].0, BODIES[index].1.to_owned()),
            None => ("application/sdp", format!("v=0\n{}\n", description.join("\n"))),
        };
        let body = body.replace('§', &secret);
        let name = if compact { "c" } else { "Content-Type" };
        let start = if is_response {
            "SIP/2.0 401 Unauthorized".to_owned()
        } else {
            format!("INVITE sip:board:{secret}@example.com;token={secret}?Subject={secret} SIP/2.0")
        };
        let text = message(&start, &headers, &format!("{name}: {content_type}"), &body);
        let shown = shown(&text);
        for output in [&shown.text, &shown.start_line, &shown.method] {
            prop_assert!(!output.contains(&secret), "{secret} in {output}");
        }
        let body_type = shown.body_type.unwrap_or_default();
        prop_assert!(!body_type.contains(&secret));
    }
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(
        lines in prop::collection::vec("[ -~\t§é<>\"@;?=:,]{0,60}", 0..12),
        names in prop::collection::vec(0..HEADERS.len(), 12),
        cut_at in any::<prop::sample::Index>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        content_type in 0..BODIES.len(),
    ) {
        let mut text = "INVITE sip:a@example.com SIP/2.0\r\n".to_owned();
        for (line, name) in lines.iter().zip(names) {
            let (name, value) = HEADERS[name].split_once(':').expect("a field");
            let value = value.replace('~', "");
            // A good value that breaks off, and goes on as another.
            let mut at = cut_at.index(value.len());
            while !value.is_char_boundary(at) {
                at -= 1;
            }
            text += &format!("{name}:{}{line}\r\n", &value[..at]);
        }
        text += &format!("Content-Type: {}\r\n\r\n", BODIES[content_type].0);
        let mut bytes = text.into_bytes();
        bytes.extend(body);
        if let Ok(message) = Message::parse_datagram(bytes.into()) {
            let shown = redact((&message).into());
            prop_assert!(!shown.start_line.contains('\n'));
        }
    }
}
