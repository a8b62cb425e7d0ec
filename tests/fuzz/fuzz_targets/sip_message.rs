//! One datagram. What is accepted prints as it came, every typed value prints as something that reads the same, and
//! the answer to a request has the header fields of an answer and no others.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip::grammar::{
    AuthCredentials, AuthenticationInfo, CSeq, CallId, Challenge, Contact, ContentType, Date,
    HeaderName, HeaderValue, Headers, Message, MinSe, NameAddr, RAck, RSeq, ReasonValue, Replaces,
    Response, SessionExpires, StatusCode, Token, Via, Warning,
};

fuzz_target!(|datagram: &[u8]| {
    let datagram = Bytes::copy_from_slice(datagram);
    match Message::parse_datagram(datagram.clone()) {
        Ok(message) => {
            check_print(&datagram, &message);
            check_values(message.headers());
            match &message {
                Message::Request(request) => {
                    let _ = request.check();
                    check_answer(&Response::to(request, StatusCode::OK), message.headers());
                }
                Message::Response(response) => drop(response.check()),
            }
        }
        Err(error) => {
            if let Some(headers) = error.answerable {
                check_answer(
                    &Response::to_headers(&headers, error.fault.status()),
                    &headers,
                );
            }
        }
    }
});

fn check_print(datagram: &Bytes, message: &Message) {
    let printed = message.to_bytes();
    let line_ends = datagram
        .chunks_exact(2)
        .take_while(|pair| *pair == b"\r\n")
        .count()
        * 2;
    assert_eq!(printed, datagram[line_ends..][..printed.len()]);
}

fn check_answer(answer: &Response, request: &Headers) {
    let mut answer = answer.clone();
    answer.headers.add_to_tag("tag").expect("it is a token");
    let copied = request.iter().filter(|(name, _)| {
        matches!(
            name,
            HeaderName::Via
                | HeaderName::From
                | HeaderName::To
                | HeaderName::CallId
                | HeaderName::CSeq
        )
    });
    let read = match Message::parse_datagram(answer.to_bytes()) {
        Ok(Message::Response(read)) => read,
        other => panic!("our answer is not understood: {other:?}"),
    };
    assert_eq!(
        read.headers.len(),
        copied.count() + 1,
        "the copies and Content-Length"
    );
}

fn check_values(headers: &Headers) {
    for (name, _) in headers.iter() {
        let _ = headers.text(name);
        check_value::<Via>(headers, name);
        check_value::<NameAddr>(headers, name);
        check_value::<Contact>(headers, name);
        check_value::<CSeq>(headers, name);
        check_value::<AuthenticationInfo>(headers, name);
        check_value::<CallId>(headers, name);
        check_value::<ContentType>(headers, name);
        check_value::<Challenge>(headers, name);
        check_value::<AuthCredentials>(headers, name);
        check_value::<Date>(headers, name);
        check_value::<Token>(headers, name);
        check_value::<SessionExpires>(headers, name);
        check_value::<MinSe>(headers, name);
        check_value::<RSeq>(headers, name);
        check_value::<RAck>(headers, name);
        check_value::<Replaces>(headers, name);
        check_value::<ReasonValue>(headers, name);
        check_value::<Warning>(headers, name);
    }
}

fn check_value<T: HeaderValue + std::fmt::Display + PartialEq + std::fmt::Debug>(
    headers: &Headers,
    name: &HeaderName,
) {
    for value in headers.values::<T>(name).flatten() {
        let printed = value.to_string();
        assert!(!printed.contains(['\r', '\n', '\0']), "{printed:?}");
        // What a peer escaped in quotes (NUL among it) is printed as `?`: compare what that reads as.
        let read = T::parse_value(&printed).expect("what we print is well-formed");
        assert_eq!(read.to_string(), printed);
    }
}
