//! RFC 4475 section 3.1.1: strange and valid.

use bytes::Bytes;

use super::{ALLOW, Case, Treatment, description, wire};

pub(crate) fn cases() -> Vec<Case> {
    let unknown_method = Treatment::Answered(501, ALLOW);
    let not_allowed = Treatment::Answered(405, ALLOW);
    let ok = Treatment::Answered(200, ALLOW);
    vec![
        // A To tag makes it a request of a dialog that nobody here has.
        Case::new(
            "3.1.1.1 wsinv",
            short_tortuous_invite(),
            Treatment::Answered(481, &[]),
        ),
        Case::new(
            "3.1.1.2 intmeth",
            wide_range_of_characters(),
            unknown_method,
        ),
        Case::new("3.1.1.3 esc01", escapes(), Treatment::Rings),
        Case::new("3.1.1.4 escnull", escaped_nulls(), not_allowed),
        Case::new("3.1.1.5 esc02", escapes_of_a_method(), unknown_method),
        Case::new("3.1.1.6 lwsdisp", no_space_before_bracket(), ok),
        Case::new("3.1.1.7 longreq", long_values(), Treatment::Rings),
        // The INVITE behind it has no Contact.
        Case::new("3.1.1.8 dblreq", extra_behind_the_request(), not_allowed)
            .but_in_stream(Treatment::AnsweredTwice(405, 400)),
        Case::new("3.1.1.9 semiuri", semicolon_in_the_user(), ok),
        Case::new("3.1.1.10 transports", varied_transports(), ok),
        Case::new("3.1.1.11 mpart01", binary_parts(), not_allowed),
        Case::new("3.1.1.12 unreason", unusual_reason(), Treatment::Dropped),
        Case::new("3.1.1.13 noreason", empty_reason(), Treatment::Dropped),
    ]
}

fn short_tortuous_invite() -> Bytes {
    wire(
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\n\
         TO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n\
         from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n\
         MaX-fOrWaRdS: 0068\n\
         Call-ID: wsinv.ndaksdj@192.0.2.1\n\
         Content-Length   : 150\n\
         cseq: 0009\n  INVITE\n\
         Via  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\n\
         s :\n\
         NewFangledHeader:   newfangled value\n continued newfangled value\n\
         UnknownHeaderWithUnusualValue: ;;,,;;,;\n\
         Content-Type: application/sdp\n\
         Route:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\n\
         v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n \
         SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\n\
         m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  \
         secondparam ; q = 0.33\n\
         \n\
         v=0\n\
         o=mhandley 29739 7272939 IN IP4 192.0.2.3\n\
         s=-\n\
         c=IN IP4 192.0.2.4\n\
         t=0 0\n\
         m=audio 49217 RTP/AVP 0 12\n\
         m=video 3227 RTP/AVP 31\n\
         a=rtpmap:31 LPC\n",
    )
}

fn wide_range_of_characters() -> Bytes {
    wire(
        "!interesting-Method0123456789_*+`.%indeed'~ \
         sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\n\
         Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n\
         To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\n\
         From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{440}\u{430}\u{431}\u{43e}\u{442}\u{430}\u{44e}\u{449}\u{438}\u{439}\";tag=_token~1'+`*%!-.\n\
         Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n\
         CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\n\
         Max-Forwards: 255\n\
         extensionHeader-!.%*+_`'~:\u{feff}\u{5927}\u{505c}\u{96fb}\n\
         Content-Length: 0\n\
         \n",
    )
}

fn escapes() -> Bytes {
    wire(&format!(
        "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0\n\
         To: sip:%75se%72@example.com\n\
         From: <sip:I%20have%20spaces@example.net>;tag=938\n\
         Max-Forwards: 87\n\
         i: esc01.239409asdfakjkn23onasd0-3234\n\
         CSeq: 234234 INVITE\n\
         Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw\n\
         C: application/sdp\n\
         Contact:\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\n\
         Content-Length: 150\n\
         \n\
         {}",
        description("192.0.2.1")
    ))
}

fn escaped_nulls() -> Bytes {
    wire(
        "REGISTER sip:example.com SIP/2.0\n\
         To: sip:null-%00-null@example.com\n\
         From: sip:null-%00-null@example.com;tag=839923423\n\
         Max-Forwards: 70\n\
         Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd\n\
         CSeq: 14398234 REGISTER\n\
         Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\n\
         Contact: <sip:%00@host5.example.com>\n\
         Contact: <sip:%00%00@host5.example.com>\n\
         L:0\n\
         \n",
    )
}

fn escapes_of_a_method() -> Bytes {
    wire(
        "RE%47IST%45R sip:registrar.example.com SIP/2.0\n\
         To: \"%Z%45\" <sip:resource@example.com>\n\
         From: \"%Z%45\" <sip:resource@example.com>;tag=f232jadfj23\n\
         Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf\n\
         Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234\n\
         CSeq: 29344 RE%47IST%45R\n\
         Max-Forwards: 70\n\
         Contact: <sip:alias1@host1.example.com>\n\
         C%6Fntact: <sip:alias2@host2.example.com>\n\
         Contact: <sip:alias3@host3.example.com>\n\
         l: 0\n\
         \n",
    )
}

fn no_space_before_bracket() -> Bytes {
    wire(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: caller<sip:caller@example.com>;tag=323\n\
         Max-Forwards: 70\n\
         Call-ID: lwsdisp.1234abcd@funky.example.com\n\
         CSeq: 60 OPTIONS\n\
         Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw\n\
         l: 0\n\
         \n",
    )
}

/// How the RFC spells the name of the 34 Via fields, from the top.
const VIA_SPELLINGS: [&str; 17] = [
    "Via:", "v:", "V:", "Via:", "ViA:", "VIa:", "VIA:", "via:", "viA:", "vIa:", "vIA:", "V : ",
    "v : ", "V  :", "v  :", "Via :", "Via  :",
];

fn long_values() -> Bytes {
    let vias: String = (1..=33)
        .rev()
        .zip(VIA_SPELLINGS.into_iter().chain(std::iter::repeat("Via:")))
        .map(|(hop, name)| format!("{name} SIP/2.0/TCP sip{hop}.example.com\n"))
        .collect();
    let name = "amazinglylongcallername".repeat(5);
    let long = "long".repeat(20);
    wire(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         To: \"I have a user name of {} proportion\"<sip:user@example.com:6000;unknownparam1=very{long}value;\
         longparam{}=shortvalue;very{}ParameterNameWithNoValue>\n\
         F: sip:{name}@example.net;tag=12{}424;unknownheaderparam{}=unknowheaderparam{};\
         unknownValueless{}\n\
         Call-ID: longreq.one{}longcallid\n\
         CSeq: 3882340 INVITE\n\
         Unknown-{}-Name: unknown-{long}-value; unknown-{long}-parameter-name = unknown-{long}-parameter-value\n\
         {vias}\
         Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{}branchvalue\n\
         Max-Forwards: 70\n\
         Contact: <sip:{name}@host5.example.net>\n\
         Content-Type: application/sdp\n\
         l: 150\n\
         \n\
         {}",
        "extreme".repeat(10),
        "name".repeat(25),
        "long".repeat(25),
        "982".repeat(50),
        "name".repeat(20),
        "value".repeat(15),
        "paramname".repeat(10),
        "really".repeat(20),
        "Long".repeat(20),
        "long".repeat(50),
        description("192.0.2.1")
    ))
}

fn extra_behind_the_request() -> Bytes {
    wire(&format!(
        "REGISTER sip:example.com SIP/2.0\n\
         To: sip:j.user@example.com\n\
         From: sip:j.user@example.com;tag=43251j3j324\n\
         Max-Forwards: 8\n\
         I: dblreq.0ha0isndaksdj99sdfafnl3lk233412\n\
         Contact: sip:j.user@host.example.com\n\
         CSeq: 8 REGISTER\n\
         Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492\n\
         Content-Length: 0\n\
         \n\
         \n\
         INVITE sip:joe@example.com SIP/2.0\n\
         t: sip:joe@example.com\n\
         From: sip:caller@example.net;tag=141334\n\
         Max-Forwards: 8\n\
         Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15\n\
         CSeq: 8 INVITE\n\
         Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234\n\
         Content-Type: application/sdp\n\
         Content-Length: 150\n\
         \n\
         {}",
        description("192.0.2.15").replace("m=video", "m =video")
    ))
}

fn semicolon_in_the_user() -> Bytes {
    wire(
        "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0\n\
         To: sip:j_user@example.com\n\
         From: sip:caller@example.org;tag=33242\n\
         Max-Forwards: 3\n\
         Call-ID: semiuri.0ha0isndaksdj\n\
         CSeq: 8 OPTIONS\n\
         Accept: application/sdp, application/pkcs7-mime,\n        multipart/mixed, multipart/signed,\n        \
         message/sip, message/sipfrag\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw\n\
         l: 0\n\
         \n",
    )
}

fn varied_transports() -> Bytes {
    wire(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: <sip:caller@example.com>;tag=323\n\
         Max-Forwards: 70\n\
         Call-ID:  transports.kijh4akdnaqjkwendsasfdj\n\
         Accept: application/sdp\n\
         CSeq: 60 OPTIONS\n\
         Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\n\
         Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\n\
         Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\n\
         Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\n\
         Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee\n\
         l: 0\n\
         \n",
    )
}

/// Two parts, the second of which is binary with NULs in it.
fn binary_parts() -> Bytes {
    let head = wire(
        "MESSAGE sip:kumiko@example.org SIP/2.0\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport\n\
         Max-Forwards: 70\n\
         Route: <sip:127.0.0.1:5080>\n\
         Contact: <sip:fluffy@127.0.0.1:5070>\n\
         To: <sip:kumiko@example.org>\n\
         From: <sip:fluffy@example.com>;tag=2fb0dcc9\n\
         Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..\n\
         CSeq: 1 MESSAGE\n\
         Content-Transfer-Encoding: binary\n\
         Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\n\
         Date: Sat, 15 Oct 2005 04:44:56 GMT\n\
         User-Agent: SIPimp.org/0.2.5 (curses)\n\
         Content-Length: 553\n\
         \n",
    );
    let opening = wire(
        "--7a9cbec02ceef655\n\
         Content-Type: text/plain\n\
         Content-Transfer-Encoding: binary\n\
         \n\
         Hello\n\
         --7a9cbec02ceef655\n\
         Content-Type: application/octet-stream\n\
         Content-Transfer-Encoding: binary\n\
         \n",
    );
    let closing = wire("\n--7a9cbec02ceef655--\n");
    let binary: Vec<u8> = (0..553 - opening.len() - closing.len())
        .map(|index| (index % 256) as u8)
        .collect();
    Bytes::from([&head[..], &opening[..], &binary[..], &closing[..]].concat())
}

fn unusual_reason() -> Bytes {
    wire(&format!(
        "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e} \
         \u{434}\u{435}\u{432}\u{44f}\u{43d}\u{43e}\u{441}\u{442}\u{43e} \
         \u{434}\u{435}\u{432}\u{44f}\u{442}\u{44c} - \u{43f}\u{440}\u{43e}\u{441}\u{442}\u{43e}\u{435}\n\
         Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\n\
         Call-ID: unreason.1234ksdfak3j2erwedfsASdf\n\
         CSeq: 35 INVITE\n\
         From: sip:user@example.com;tag=11141343\n\
         To: sip:user@example.edu;tag=2229\n\
         Content-Length: 154\n\
         Content-Type: application/sdp\n\
         Contact: <sip:user@host198.example.com>\n\
         \n\
         {}",
        description("192.0.2.198")
    ))
}

fn empty_reason() -> Bytes {
    wire(
        "SIP/2.0 100 \n\
         Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\n\
         Call-ID: noreason.asndj203insdf99223ndf\n\
         CSeq: 35 INVITE\n\
         From: <sip:user@example.com>;tag=39ansfi3\n\
         To: <sip:user@example.edu>;tag=902jndnke3\n\
         Content-Length: 0\n\
         Contact: <sip:user@host105.example.com>\n\
         \n",
    )
}
