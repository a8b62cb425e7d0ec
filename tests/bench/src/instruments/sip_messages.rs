//! The messages of a call between a room and a meeting through a registrar and a proxy, as they arrive at the room.

use bytes::Bytes;

/// Two proxies' fields, as every message beyond the first hop has them.
const VIAS: &str = "Via: SIP/2.0/TLS 198.51.100.7:5061;branch=z9hG4bK4f2a.5d1c77b2.0;rport=5061;received=198.51.100.7\n\
     Via: SIP/2.0/TLS 203.0.113.20:41872;branch=z9hG4bKcc81e0b97c0d4411a2;rport=41872;received=203.0.113.20\n";
/// The room's own field, as it comes back.
const OWN_VIA: &str = "Via: SIP/2.0/TLS 192.0.2.30:48211;branch=z9hG4bK9a3f04c71be25d08771f;rport=48211;received=192.0.2.30\n";
const RECORD_ROUTES: &str = "Record-Route: <sip:198.51.100.7:5061;transport=tls;lr;r2=on;ftag=5b1de2f0>\n\
     Record-Route: <sip:203.0.113.1;transport=tls;lr;ftag=5b1de2f0>\n";
const DESCRIPTION: &str = "v=0\n\
     o=- 7231986504 1 IN IP4 203.0.113.20\n\
     s=-\n\
     c=IN IP4 203.0.113.20\n\
     t=0 0\n\
     m=audio 30002 RTP/SAVP 111 9 0 101\n\
     a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n\
     a=rtpmap:111 opus/48000/2\n\
     a=fmtp:111 useinbandfec=1\n\
     a=rtpmap:101 telephone-event/8000\n\
     m=video 30004 RTP/SAVPF 97\n\
     b=AS:2500\n\
     a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\n\
     a=rtpmap:97 H264/90000\n\
     a=fmtp:97 profile-level-id=42e01f;packetization-mode=1;max-mbps=108000;max-fs=3600\n\
     a=rtcp-fb:97 nack pli\n\
     a=rtcp-fb:97 ccm fir\n";

/// The messages, one of each kind.
pub(crate) fn messages() -> Vec<Bytes> {
    let parties = |own: &str, other: &str| {
        format!(
            "From: \"Meeting 4711\" <sip:4711@meet.example.com>{other}\n\
             To: <sip:room7@example.com>{own}\n\
             Call-ID: 6f0d2c41-88ab-4b12-9f0e-7d5c1f3a20be@203.0.113.20\n"
        )
    };
    let own_parties = |other: &str| {
        format!(
            "From: \"Room 7\" <sip:room7@example.com>;tag=8f14e45fceea167a5a36\n\
             To: <sip:4711@meet.example.com>{other}\n\
             Call-ID: 1679091c5a880faf6fb5e6087eb1b2dc\n"
        )
    };
    let (ours, theirs) = (";tag=c9f0f895fb98ab9159f5", ";tag=5b1de2f0");
    let contact = "Contact: <sip:4711@203.0.113.20:41872;transport=tls>\n";
    let agent = "User-Agent: Meeting Bridge 9.4.1 (build 20817)\n";
    let allow = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY\n\
         Supported: 100rel, timer, replaces, norefersub\n";
    let request = |method: &str, more: &str, sequence: u32, tag: &str, body: &str| {
        message(
            &format!(
                "{method} sip:room7@192.0.2.30:48211;transport=tls SIP/2.0\n{VIAS}Max-Forwards: 68\n{}CSeq: {sequence} {method}\n{more}",
                parties(tag, theirs)
            ),
            body,
        )
    };
    let response = |status: &str, method: &str, more: &str, tag: &str, body: &str| {
        message(
            &format!(
                "SIP/2.0 {status}\n{OWN_VIA}{}CSeq: 2 {method}\n{more}",
                own_parties(tag)
            ),
            body,
        )
    };
    vec![
        request(
            "INVITE",
            &format!("{RECORD_ROUTES}{contact}{agent}{allow}Expires: 180\n"),
            102,
            "",
            DESCRIPTION,
        ),
        request("ACK", "", 102, ours, ""),
        request(
            "INVITE",
            &format!("{contact}{agent}{allow}"),
            103,
            ours,
            DESCRIPTION,
        ),
        request("INFO", agent, 104, ours, ""),
        request("BYE", agent, 105, ours, ""),
        request(
            "OPTIONS",
            &format!("{agent}Accept: application/sdp\n"),
            7,
            "",
            "",
        ),
        response("100 Trying", "INVITE", "", "", ""),
        response(
            "180 Ringing",
            "INVITE",
            &format!("{RECORD_ROUTES}{contact}{agent}"),
            theirs,
            "",
        ),
        response(
            "200 OK",
            "INVITE",
            &format!("{RECORD_ROUTES}{contact}{agent}{allow}"),
            theirs,
            DESCRIPTION,
        ),
        response(
            "200 OK",
            "REGISTER",
            "Contact: <sip:room7@192.0.2.30:48211;transport=tls>;expires=600\nDate: Fri, 27 Nov 2026 11:22:33 GMT\nServer: registrar 5.6.3\n",
            theirs,
            "",
        ),
        response(
            "401 Unauthorized",
            "REGISTER",
            "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"YvKs3mLyq6q0Yv2R\", qop=\"auth\", algorithm=SHA-256\nServer: registrar 5.6.3\n",
            theirs,
            "",
        ),
    ]
}

fn message(head: &str, body: &str) -> Bytes {
    let (head, body) = (head.replace('\n', "\r\n"), body.replace('\n', "\r\n"));
    let content_type = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    let length = body.len();
    Bytes::from(format!(
        "{head}{content_type}Content-Length: {length}\r\n\r\n{body}"
    ))
}
