//! RFC 4475 section 3.1.2: invalid in form.

use bytes::Bytes;

use super::{BAD_REQUEST, Case, Treatment, description, wire};

pub(crate) fn cases() -> Vec<Case> {
    let closed = Treatment::AnsweredAndClosed(400);
    vec![
        Case::new("3.1.2.1 badinv01", extraneous_separators(), BAD_REQUEST),
        Case::new("3.1.2.2 clerr", length_too_large(), BAD_REQUEST)
            .but_in_stream(Treatment::ClosedInTime),
        Case::new("3.1.2.3 ncl", negative_length(), BAD_REQUEST).but_in_stream(closed),
        Case::new("3.1.2.4 scalar02", overlarge_scalars(), BAD_REQUEST),
        Case::new(
            "3.1.2.5 scalarlg",
            overlarge_scalars_of_response(),
            Treatment::Dropped,
        ),
        Case::new("3.1.2.6 quotbal", unterminated_quote(), BAD_REQUEST),
        Case::new(
            "3.1.2.7 ltgtruri",
            brackets_around_request_uri(),
            BAD_REQUEST,
        ),
        Case::new("3.1.2.8 lwsruri", white_space_in_request_uri(), BAD_REQUEST),
        Case::new("3.1.2.9 lwsstart", spaces_between_elements(), BAD_REQUEST),
        Case::new("3.1.2.10 trws", spaces_behind_the_line(), BAD_REQUEST),
        Case::new("3.1.2.11 escruri", headers_in_request_uri(), BAD_REQUEST),
        Case::new("3.1.2.12 baddate", date_of_another_zone(), BAD_REQUEST),
        Case::new(
            "3.1.2.13 regbadct",
            unbracketed_contact_headers(),
            BAD_REQUEST,
        ),
        Case::new("3.1.2.14 badaspec", spaces_within_addr_spec(), BAD_REQUEST),
        Case::new("3.1.2.15 baddn", comma_in_display_name(), BAD_REQUEST),
        Case::new(
            "3.1.2.16 badvers",
            unknown_version(),
            Treatment::Answered(505, &[]),
        ),
        Case::new("3.1.2.17 mismatch01", another_method_in_cseq(), BAD_REQUEST),
        Case::new(
            "3.1.2.18 mismatch02",
            unknown_method_and_another_in_cseq(),
            BAD_REQUEST,
        ),
        Case::new("3.1.2.19 bigcode", overlarge_status(), Treatment::Dropped),
    ]
}

fn extraneous_separators() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         To: sip:j.user@example.com\n\
         From: sip:caller@example.net;tag=134161461246\n\
         Max-Forwards: 7\n\
         Call-ID: badinv01.0ha0isndaksdjasdf3234nas\n\
         CSeq: 8 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.15;;,;,,\n\
         Contact: \"Joe\" <sip:joe@example.org>;;;;\n\
         Content-Length: 152\n\
         Content-Type: application/sdp\n\
         \n\
         {}",
        description("192.0.2.15")
    ))
}

fn length_too_large() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         Max-Forwards: 80\n\
         To: sip:j.user@example.com\n\
         From: sip:caller@example.net;tag=93942939o2\n\
         Contact: <sip:caller@hungry.example.net>\n\
         Call-ID: clerr.0ha0isndaksdjweiafasdk3\n\
         CSeq: 8 INVITE\n\
         Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523\n\
         Content-Type: application/sdp\n\
         Content-Length: 9999\n\
         \n\
         {}",
        description("192.0.2.155")
    ))
}

fn negative_length() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         Max-Forwards: 254\n\
         To: sip:j.user@example.com\n\
         From: sip:caller@example.net;tag=32394234\n\
         Call-ID: ncl.0ha0isndaksdj2193423r542w35\n\
         CSeq: 0 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw\n\
         Contact: <sip:caller@example53.example.net>\n\
         Content-Type: application/sdp\n\
         Content-Length: -999\n\
         \n\
         {}",
        description("192.0.2.53")
    ))
}

fn overlarge_scalars() -> Bytes {
    wire(&format!(
        "REGISTER sip:example.com SIP/2.0\n\
         Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3\n\
         To: <sip:user@example.com>\n\
         From: <sip:user@example.com>;tag=239232jh3\n\
         CSeq: 36893488147419103232 REGISTER\n\
         Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32\n\
         Max-Forwards: 300\n\
         Expires: 1{}\n\
         Contact: <sip:user@host129.example.com>\n  ;expires=280297596632815\n\
         Content-Length: 0\n\
         \n",
        "0".repeat(100)
    ))
}

fn overlarge_scalars_of_response() -> Bytes {
    wire(
        "SIP/2.0 503 Service Unavailable\n\
         Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129\n\
         To: <sip:user@example.com>\n\
         From: <sip:other@example.net>;tag=2easdjfejw\n\
         CSeq: 9292394834772304023312 OPTIONS\n\
         Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r\n\
         Retry-After: 949302838503028349304023988\n\
         Warning: 1812 overture \"In Progress\"\n\
         Content-Length: 0\n\
         \n",
    )
}

fn unterminated_quote() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         To: \"Mr. J. User <sip:j.user@example.com>\n\
         From: sip:caller@example.net;tag=93334\n\
         Max-Forwards: 10\n\
         Call-ID: quotbal.aksdj\n\
         Contact: <sip:caller@host59.example.net>\n\
         CSeq: 8 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234\n\
         Content-Type: application/sdp\n\
         Content-Length: 152\n\
         \n\
         {}",
        description("192.0.2.15")
    ))
}

/// The description of two messages, whose session begins in the year 1999.
fn dated_description(address: &str) -> String {
    description(address).replace("t=0 0", "t=3149328700 0")
}

fn brackets_around_request_uri() -> Bytes {
    wire(&format!(
        "INVITE <sip:user@example.com> SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.net;tag=39291\n\
         Max-Forwards: 23\n\
         Call-ID: ltgtruri.1@192.0.2.5\n\
         CSeq: 1 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.5\n\
         Contact: <sip:caller@host5.example.net>\n\
         Content-Type: application/sdp\n\
         Content-Length: 159\n\
         \n\
         {}",
        dated_description("192.0.2.5")
    ))
}

fn white_space_in_request_uri() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com; lr SIP/2.0\n\
         To: sip:user@example.com;tag=3xfe-9921883-z9f\n\
         From: sip:caller@example.net;tag=231413434\n\
         Max-Forwards: 5\n\
         Call-ID: lwsruri.asdfasdoeoi2323-asdfwrn23-asd834rk423\n\
         CSeq: 2130706432 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkdjuw2395\n\
         Contact: <sip:caller@host1.example.net>\n\
         Content-Type: application/sdp\n\
         Content-Length: 159\n\
         \n\
         {}",
        dated_description("192.0.2.1")
    ))
}

fn spaces_between_elements() -> Bytes {
    wire(&format!(
        "INVITE  sip:user@example.com  SIP/2.0\n\
         Max-Forwards: 8\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.net;tag=8814\n\
         Call-ID: lwsstart.dfknq234oi243099adsdfnawe3@example.com\n\
         CSeq: 1893884 INVITE\n\
         Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw3923\n\
         Contact: <sip:caller@host1.example.net>\n\
         Content-Type: application/sdp\n\
         Content-Length: 150\n\
         \n\
         {}",
        description("192.0.2.1")
    ))
}

fn spaces_behind_the_line() -> Bytes {
    wire(
        "OPTIONS sip:remote-target@example.com SIP/2.0  \n\
         Via: SIP/2.0/TCP host1.examle.com;branch=z9hG4bK299342093\n\
         To: <sip:remote-target@example.com>\n\
         From: <sip:local-resource@example.com>;tag=329429089\n\
         Call-ID: trws.oicu34958239neffasdhr2345r\n\
         Accept: application/sdp\n\
         CSeq: 238923 OPTIONS\n\
         Max-Forwards: 70\n\
         Content-Length: 0\n\
         \n",
    )
}

fn headers_in_request_uri() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.net;tag=341518\n\
         Max-Forwards: 7\n\
         Contact: <sip:caller@host39923.example.net>\n\
         Call-ID: escruri.23940-asdfhj-aje3br-234q098w-fawerh2q-h4n5\n\
         CSeq: 149209342 INVITE\n\
         Via: SIP/2.0/UDP host-of-the-hour.example.com;branch=z9hG4bKkdjuw\n\
         Content-Type: application/sdp\n\
         Content-Length: 150\n\
         \n\
         {}",
        description("192.0.2.1")
    ))
}

fn date_of_another_zone() -> Bytes {
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:caller@example.net;tag=2234923\n\
         Max-Forwards: 70\n\
         Call-ID: baddate.239423mnsadf3j23lj42--sedfnm234\n\
         CSeq: 1392934 INVITE\n\
         Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\n\
         Date: Fri, 01 Jan 2010 16:00:00 EST\n\
         Contact: <sip:caller@host5.example.net>\n\
         Content-Type: application/sdp\n\
         Content-Length: 150\n\
         \n\
         {}",
        description("192.0.2.5")
    ))
}

fn unbracketed_contact_headers() -> Bytes {
    wire(
        "REGISTER sip:example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: sip:user@example.com;tag=998332\n\
         Max-Forwards: 70\n\
         Call-ID: regbadct.k345asrl3fdbv@10.0.0.1\n\
         CSeq: 1 REGISTER\n\
         Via: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw\n\
         Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\n\
         l: 0\n\
         \n",
    )
}

fn spaces_within_addr_spec() -> Bytes {
    wire(
        "OPTIONS sip:user@example.org SIP/2.0\n\
         Via: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234\n\
         Max-Forwards: 70\n\
         From: \"Bell, Alexander\" <sip:a.g.bell@example.com>;tag=433423\n\
         To: \"Watson, Thomas\" < sip:t.watson@example.org >\n\
         Call-ID: badaspec.sdf0234n2nds0a099u23h3hnnw009cdkne3\n\
         Accept: application/sdp\n\
         CSeq: 3923239 OPTIONS\n\
         l: 0\n\
         \n",
    )
}

fn comma_in_display_name() -> Bytes {
    wire(
        "OPTIONS sip:t.watson@example.org SIP/2.0\n\
         Via:     SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw\n\
         Max-Forwards:      70\n\
         From:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43\n\
         To:      Watson, Thomas <sip:t.watson@example.org>\n\
         Call-ID: baddn.31415@c.example.com\n\
         Accept: application/sdp\n\
         CSeq:    3923239 OPTIONS\n\
         l: 0\n\
         \n",
    )
}

fn unknown_version() -> Bytes {
    wire(
        "OPTIONS sip:t.watson@example.org SIP/7.0\n\
         Via:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw\n\
         Max-Forwards:     70\n\
         From:    A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe\n\
         To:      T. Watson <sip:t.watson@example.org>\n\
         Call-ID: badvers.31417@c.example.com\n\
         CSeq:    1 OPTIONS\n\
         l: 0\n\
         \n",
    )
}

fn another_method_in_cseq() -> Bytes {
    wire(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:j.user@example.com\n\
         From: sip:caller@example.net;tag=34525\n\
         Max-Forwards: 6\n\
         Call-ID: mismatch01.dj0234sxdfl3\n\
         CSeq: 8 INVITE\n\
         Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\n\
         l: 0\n\
         \n",
    )
}

fn unknown_method_and_another_in_cseq() -> Bytes {
    wire(
        "NEWMETHOD sip:user@example.com SIP/2.0\n\
         To: sip:j.user@example.com\n\
         From: sip:caller@example.net;tag=34525\n\
         Max-Forwards: 6\n\
         Call-ID: mismatch02.dj0234sxdfl3\n\
         CSeq: 8 INVITE\n\
         Contact: <sip:caller@host.example.net>\n\
         Via: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw\n\
         Content-Type: application/sdp\n\
         l: 138\n\
         \n\
         v=0\n\
         o=mhandley 29739 7272939 IN IP4 192.0.2.1\n\
         c=IN IP4 192.0.2.1\n\
         m=audio 49217 RTP/AVP 0 12\n\
         m=video 3227 RTP/AVP 31\n\
         a=rtpmap:31 LPC\n",
    )
}

fn overlarge_status() -> Bytes {
    wire(
        "SIP/2.0 4294967301 better not break the receiver\n\
         Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\n\
         Call-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i\n\
         CSeq: 353494 INVITE\n\
         From: <sip:user@example.com>;tag=39ansfi3\n\
         To: <sip:user@example.edu>;tag=902jndnke3\n\
         Content-Length: 0\n\
         Contact: <sip:user@host105.example.com>\n\
         \n",
    )
}
