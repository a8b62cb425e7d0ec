//! The grammar from outside: messages in, typed values and bytes out.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod differential;
mod header_values;
mod message_form;
mod properties;
mod setters;
mod stream;
mod torture;
mod uris;

use bytes::Bytes;
use sip::error::MessageError;
use sip::grammar::{Message, Request, Response};

/// Writes a message with the line ends of the wire: the lines of `text` up to the empty one get CRLF, as does the
/// body.
fn wire(text: &str) -> Bytes {
    Bytes::from(text.replace('\n', "\r\n"))
}

fn parse(text: &str) -> Result<Message, MessageError> {
    Message::parse_datagram(wire(text))
}

fn request(text: &str) -> Request {
    match parse(text) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn response(text: &str) -> Response {
    match parse(text) {
        Ok(Message::Response(response)) => response,
        other => panic!("no response: {other:?}"),
    }
}

/// A request with the headers that every request has, and `extra` lines, each closed by a line end.
fn options_with(extra: &str) -> Request {
    request(&format!(
        "OPTIONS sip:room@example.com SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\n\
         From: <sip:a@example.com>;tag=1\n\
         To: <sip:room@example.com>\n\
         Call-ID: 1@192.0.2.1\n\
         CSeq: 1 OPTIONS\n\
         Max-Forwards: 70\n\
         {extra}\n"
    ))
}
