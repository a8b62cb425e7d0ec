//! Header by header: the first byte chooses a typed value, the rest is its text. What is read prints as something that
//! reads the same and holds no line end; as a field of a message it reads as it does by itself.

#![no_main]

use std::fmt::{Debug, Display};

use libfuzzer_sys::fuzz_target;
use sip::grammar::{
    AuthCredentials, AuthenticationInfo, CSeq, CallId, Challenge, Contact, ContentDisposition,
    ContentLength, ContentType, Date, Expires, FlowTimer, HeaderName, HeaderValue, Headers, Host,
    MaxForwards, MediaRange, Method, MinExpires, MinSe, NameAddr, RAck, RSeq, ReasonValue,
    Replaces, RetryAfter, SessionExpires, Token, Uri, Via, Warning, multipart_parts,
};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else {
        return;
    };
    if choice == u8::MAX {
        return check_multipart(rest);
    }
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    match choice % 28 {
        0 => check::<Via>(&HeaderName::Via, text),
        1 => check::<NameAddr>(&HeaderName::From, text),
        2 => check::<Contact>(&HeaderName::Contact, text),
        3 => check::<CSeq>(&HeaderName::CSeq, text),
        4 => check::<CallId>(&HeaderName::CallId, text),
        5 => check::<ContentType>(&HeaderName::ContentType, text),
        6 => check::<ContentDisposition>(&HeaderName::ContentDisposition, text),
        7 => check::<MediaRange>(&HeaderName::Accept, text),
        8 => check::<Challenge>(&HeaderName::WwwAuthenticate, text),
        9 => check::<AuthCredentials>(&HeaderName::Authorization, text),
        10 => check::<Date>(&HeaderName::Date, text),
        11 => check::<Token>(&HeaderName::Require, text),
        12 => check::<MaxForwards>(&HeaderName::MaxForwards, text),
        13 => check::<ContentLength>(&HeaderName::ContentLength, text),
        14 => check::<Expires>(&HeaderName::Expires, text),
        15 => check::<MinExpires>(&HeaderName::MinExpires, text),
        16 => {
            if let Ok(method) = text.parse::<Method>() {
                assert_eq!(method.to_string(), text);
            }
        }
        17 => check_host_and_uri(text),
        18 => check::<AuthenticationInfo>(&HeaderName::AuthenticationInfo, text),
        19 => check::<MinSe>(&HeaderName::MinSe, text),
        20 => check::<RAck>(&HeaderName::RAck, text),
        21 => check::<RSeq>(&HeaderName::RSeq, text),
        22 => check::<ReasonValue>(&HeaderName::Reason, text),
        23 => check::<Replaces>(&HeaderName::Replaces, text),
        24 => check::<RetryAfter>(&HeaderName::RetryAfter, text),
        25 => check::<SessionExpires>(&HeaderName::SessionExpires, text),
        26 => check::<FlowTimer>(&HeaderName::FlowTimer, text),
        _ => check::<Warning>(&HeaderName::Warning, text),
    }
});

fn check<T: HeaderValue + Display + Debug + PartialEq>(name: &HeaderName, text: &str) {
    let value = T::parse_value(text);
    if let Ok(value) = &value {
        let printed = value.to_string();
        assert!(!printed.contains(['\r', '\n', '\0']), "{printed:?}");
        // A peer's escaped NUL is printed as `?`: compare what that reads as.
        let read = T::parse_value(&printed).expect("what we print is well-formed");
        assert_eq!(read.to_string(), printed);
    }
    let mut headers = Headers::new();
    if headers.push(name.clone(), text).is_err() {
        return;
    }
    // A list is cut at its commas first: a value without one is the whole text.
    if !text.contains(',') && !text.trim_matches([' ', '\t']).is_empty() {
        let first = headers.value::<T>(name).ok().flatten();
        assert_eq!(first, value.ok());
    }
    for value in headers.values::<T>(name).flatten() {
        let printed = value.to_string();
        assert!(!printed.contains(['\r', '\n', '\0']), "{printed:?}");
    }
}

fn check_host_and_uri(text: &str) {
    if let Ok(host) = text.parse::<Host>() {
        assert_eq!(host.to_string().parse::<Host>().as_ref(), Ok(&host));
        assert!(host.is_equivalent_to(&host));
    }
    if let Ok(uri) = format!("sip:{text}").parse::<Uri>() {
        assert_eq!(uri.to_string().parse::<Uri>().as_ref(), Ok(&uri));
    }
}

/// The parts of a body lie in it, one behind the other.
fn check_multipart(input: &[u8]) {
    let Some((&length, rest)) = input.split_first() else {
        return;
    };
    let (boundary, body) = rest.split_at(usize::from(length % 72).min(rest.len()));
    let Ok(boundary) = std::str::from_utf8(boundary) else {
        return;
    };
    if let Ok(parts) = multipart_parts(body, boundary) {
        let contents: usize = parts.iter().map(|part| part.content.len()).sum();
        assert!(contents + parts.len() * (boundary.len() + 2) <= body.len());
    }
}
