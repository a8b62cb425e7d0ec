//! Readers for what was sent.

use bytes::Bytes;
use sip::grammar::{Message, Request, Response};

/// The request in a datagram.
pub(crate) fn request(datagram: &Bytes) -> Option<Request> {
    match Message::parse_datagram(datagram.clone()) {
        Ok(Message::Request(request)) => Some(request),
        Ok(Message::Response(_)) | Err(_) => None,
    }
}

/// The response in a datagram.
pub(crate) fn response(datagram: &Bytes) -> Option<Response> {
    match Message::parse_datagram(datagram.clone()) {
        Ok(Message::Response(response)) => Some(response),
        Ok(Message::Request(_)) | Err(_) => None,
    }
}
