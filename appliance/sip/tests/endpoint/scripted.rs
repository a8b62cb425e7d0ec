//! A small registrar that checks digests by its own arithmetic, and readers for what was sent.

use std::net::SocketAddr;

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};
use sip::grammar::{
    AuthCredentials, Challenge, Expires, HeaderName, Message, Method, MinExpires, Request,
    Response, StatusCode, Via,
};

/// The hash that a registrar asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        let bytes = match self {
            Self::Md5 => Md5::digest(text).to_vec(),
            Self::Sha256 => Sha256::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A registrar that knows one user.
pub(crate) struct Registrar {
    pub(crate) algorithm: Algorithm,
    pub(crate) password: &'static str,
    pub(crate) min_expires: u32,
    /// The Expires of each registration that was granted.
    pub(crate) granted: Vec<u32>,
    pub(crate) challenges: usize,
    /// Answers nothing while true.
    pub(crate) silent: bool,
}

impl Registrar {
    pub(crate) fn new(algorithm: Algorithm, password: &'static str) -> Self {
        Self {
            algorithm,
            password,
            min_expires: 60,
            granted: Vec::new(),
            challenges: 0,
            silent: false,
        }
    }

    /// The answer to a datagram.
    pub(crate) fn answer(&mut self, from: SocketAddr, datagram: &Bytes) -> Option<Bytes> {
        let message = Message::parse_datagram(datagram.clone()).ok()?;
        self.answer_message(from, message)
    }

    /// The answer to a message.
    pub(crate) fn answer_message(&mut self, from: SocketAddr, message: Message) -> Option<Bytes> {
        match message {
            Message::Request(request) if !self.silent => {
                Some(self.respond(from, request).to_bytes())
            }
            Message::Request(_) | Message::Response(_) => None,
        }
    }

    fn respond(&mut self, from: SocketAddr, mut request: Request) -> Response {
        let mut via: Via = request.headers.required().expect("a Via");
        via.note_source(from);
        request.headers.replace_first(&via);
        let expires = request
            .headers
            .typed::<Expires>()
            .expect("well-formed")
            .map(|field| field.0);
        let mut response = if *request.method() != Method::Register {
            Response::to(&request, StatusCode::NOT_FOUND)
        } else if !self.is_authorized(&request) {
            self.challenge(&request)
        } else if expires.is_some_and(|expires| expires > 0 && expires < self.min_expires) {
            let mut response = Response::to(&request, StatusCode::INTERVAL_TOO_BRIEF);
            response.headers.push_typed(&MinExpires(self.min_expires));
            response
        } else {
            let expires = expires.unwrap_or_default();
            self.granted.push(expires);
            let mut response = Response::to(&request, StatusCode::OK);
            response.headers.push_typed(&Expires(expires));
            response
        };
        response.headers.add_to_tag("registrar").expect("a token");
        response
    }

    fn challenge(&mut self, request: &Request) -> Response {
        self.challenges += 1;
        let mut response = Response::to(request, StatusCode::UNAUTHORIZED);
        let mut challenge = Challenge::new("Digest").expect("a scheme");
        let params = challenge.params_mut();
        params
            .set_quoted("realm", "example.test")
            .expect("plain text");
        params
            .set_quoted("nonce", &format!("nonce{}", self.challenges))
            .expect("plain text");
        params.set_quoted("qop", "auth").expect("plain text");
        params
            .set_token("algorithm", self.algorithm.name())
            .expect("a token");
        response
            .headers
            .push_value(HeaderName::WwwAuthenticate, &challenge);
        response
    }

    /// RFC 7616 section 3.4.1, written out.
    fn is_authorized(&self, request: &Request) -> bool {
        let Ok(Some(answer)) = request
            .headers
            .value::<AuthCredentials>(&HeaderName::Authorization)
        else {
            return false;
        };
        let value = |name: &str| answer.params().get(name).unwrap_or_default().to_owned();
        let hash = |text: String| self.algorithm.hash(&text);
        let a1 = hash(format!(
            "{}:{}:{}",
            value("username"),
            value("realm"),
            self.password
        ));
        let a2 = hash(format!("{}:{}", request.method(), value("uri")));
        let expected = hash(format!(
            "{a1}:{}:{}:{}:{}:{a2}",
            value("nonce"),
            value("nc"),
            value("cnonce"),
            value("qop")
        ));
        value("response") == expected && value("nonce") == format!("nonce{}", self.challenges)
    }
}

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
