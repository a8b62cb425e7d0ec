//! A small registrar, with edge proxies before it, that checks digests by its own arithmetic.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha256};
use sip::grammar::{
    AuthCredentials, Challenge, Contact, Expires, HeaderName, Message, Method, MinExpires, Request,
    Response, StatusCode, Via,
};
use sip::stun::StunMessage;

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

/// What a registrar says of itself when it grants a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Silent,
    Right,
    Wrong,
}

/// A registrar that knows one password.
pub(crate) struct Registrar {
    pub(crate) algorithm: Algorithm,
    pub(crate) password: &'static str,
    pub(crate) min_expires: u32,
    /// Grants no more than this.
    pub(crate) max_expires: u32,
    /// Every REGISTER, with where it was sent to.
    pub(crate) requests: Vec<(SocketAddr, Request)>,
    /// The Expires of each registration that was granted.
    pub(crate) granted: Vec<u32>,
    pub(crate) challenges: usize,
    /// Answers nothing while true.
    pub(crate) silent: bool,
    /// Answers nothing that arrives at these addresses.
    pub(crate) silent_at: Vec<SocketAddr>,
    /// Refuses everything that arrives at these addresses by 503, with this Retry-After.
    pub(crate) overloaded_at: Vec<(SocketAddr, &'static str)>,
    /// Answers no sign of life while true.
    pub(crate) deaf: bool,
    /// Where STUN answers say that they saw the request; where it came from when `None`.
    pub(crate) mapped: Option<SocketAddr>,
    /// Refuses everything with this status and Retry-After.
    pub(crate) refusal: Option<(StatusCode, Option<&'static str>)>,
    /// The answer to every other request.
    pub(crate) called: StatusCode,
    /// Header fields of each 200.
    pub(crate) fields: Vec<(HeaderName, String)>,
    /// Contacts of others, listed in each 200 before that of the request.
    pub(crate) others: Vec<&'static str>,
    /// Parameters that the Contact of the request has in the 200.
    pub(crate) contact_params: &'static str,
    pub(crate) proof: Proof,
    /// Names a new nonce with each 200.
    pub(crate) next_nonces: bool,
    /// Calls an old nonce stale, instead of saying nothing.
    pub(crate) says_stale: bool,
    /// How often each nonce was used.
    nonces: BTreeMap<String, u32>,
    nonces_made: usize,
    /// By branch: what is repeated is answered as before.
    answers: BTreeMap<String, Bytes>,
}

impl Registrar {
    pub(crate) fn new(algorithm: Algorithm, password: &'static str) -> Self {
        Self {
            algorithm,
            password,
            min_expires: 60,
            max_expires: u32::MAX,
            requests: Vec::new(),
            granted: Vec::new(),
            challenges: 0,
            silent: false,
            silent_at: Vec::new(),
            overloaded_at: Vec::new(),
            deaf: false,
            mapped: None,
            refusal: None,
            called: StatusCode::NOT_FOUND,
            fields: Vec::new(),
            others: Vec::new(),
            contact_params: "",
            proof: Proof::Silent,
            next_nonces: false,
            says_stale: false,
            nonces: BTreeMap::new(),
            nonces_made: 0,
            answers: BTreeMap::new(),
        }
    }

    /// Forgets its nonces, as when it restarts.
    pub(crate) fn forget_nonces(&mut self) {
        self.nonces.clear();
    }

    fn new_nonce(&mut self) -> String {
        self.nonces_made += 1;
        let nonce = format!("nonce{}", self.nonces_made);
        self.nonces.insert(nonce.clone(), 0);
        nonce
    }

    /// The answer to a datagram.
    pub(crate) fn answer(
        &mut self,
        from: SocketAddr,
        at: SocketAddr,
        datagram: &Bytes,
    ) -> Option<Bytes> {
        if let Ok(question) = StunMessage::parse(datagram) {
            return self
                .answers_pings(at)
                .then(|| stun_answer(question.transaction().0, self.mapped.unwrap_or(from)));
        }
        let message = Message::parse_datagram(datagram.clone()).ok()?;
        self.answer_message(from, at, message)
    }

    /// Whether a sign of life is answered at an address.
    pub(crate) fn answers_pings(&self, at: SocketAddr) -> bool {
        !self.deaf && !self.silent && !self.silent_at.contains(&at)
    }

    /// The answer to a message.
    pub(crate) fn answer_message(
        &mut self,
        from: SocketAddr,
        at: SocketAddr,
        message: Message,
    ) -> Option<Bytes> {
        match message {
            Message::Request(request) if *request.method() == Method::Ack => None,
            Message::Request(request) if !self.silent && !self.silent_at.contains(&at) => {
                let branch = branch_of(&request);
                if let Some(answer) = self.answers.get(&branch) {
                    return Some(answer.clone());
                }
                self.requests.push((at, request.clone()));
                let overloaded = self.overloaded_at.iter().find(|(edge, _)| *edge == at);
                let answer = match overloaded {
                    Some((_, retry_after)) => overloaded_response(&request, retry_after).to_bytes(),
                    None => self.respond(from, request).to_bytes(),
                };
                self.answers.insert(branch, answer.clone());
                Some(answer)
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
            Response::to(&request, self.called)
        } else if let Some((status, retry_after)) = self.refusal {
            let mut response = Response::to(&request, status);
            if let Some(retry_after) = retry_after {
                response
                    .headers
                    .push(HeaderName::RetryAfter, retry_after)
                    .expect("plain text");
            }
            response
        } else if !self.is_authorized(&request) {
            self.challenge(&request)
        } else if expires.is_some_and(|expires| expires > 0 && expires < self.min_expires) {
            let mut response = Response::to(&request, StatusCode::INTERVAL_TOO_BRIEF);
            response.headers.push_typed(&MinExpires(self.min_expires));
            response
        } else {
            self.grant(&request, expires.unwrap_or_default())
        };
        response.headers.add_to_tag("registrar").expect("a token");
        response
    }

    fn grant(&mut self, request: &Request, expires: u32) -> Response {
        let expires = expires.min(self.max_expires);
        self.granted.push(expires);
        let mut response = Response::to(request, StatusCode::OK);
        for other in &self.others {
            response
                .headers
                .push(HeaderName::Contact, other)
                .expect("plain text");
        }
        if expires > 0
            && let Some(Contact::Address(contact)) = request.headers.typed().expect("well-formed")
        {
            let contact = format!("{contact};expires={expires}{}", self.contact_params);
            response
                .headers
                .push(HeaderName::Contact, &contact)
                .expect("plain text");
        }
        for (name, value) in &self.fields {
            response
                .headers
                .push(name.clone(), value)
                .expect("plain text");
        }
        self.add_authentication_info(request, &mut response);
        response
    }

    fn add_authentication_info(&mut self, request: &Request, response: &mut Response) {
        let mut info = Vec::new();
        match self.proof {
            Proof::Silent => {}
            Proof::Right => {
                let proof = self.digest(request, "");
                info.push(format!("qop=auth, rspauth=\"{proof}\""));
            }
            Proof::Wrong => info.push("qop=auth, rspauth=\"0123456789abcdef\"".to_owned()),
        }
        if self.next_nonces {
            self.nonces.remove(&parameter(request, "nonce"));
            let nonce = self.new_nonce();
            info.push(format!("nextnonce=\"{nonce}\""));
        }
        if !info.is_empty() {
            let info = info.join(", ");
            response
                .headers
                .push(HeaderName::AuthenticationInfo, &info)
                .expect("plain text");
        }
    }

    fn challenge(&mut self, request: &Request) -> Response {
        self.challenges += 1;
        let knew_a_nonce = request.headers.contains(&HeaderName::Authorization);
        let nonce = self.new_nonce();
        let mut response = Response::to(request, StatusCode::UNAUTHORIZED);
        let mut challenge = Challenge::new("Digest").expect("a scheme");
        let params = challenge.params_mut();
        params
            .set_quoted("realm", "example.test")
            .expect("plain text");
        params.set_quoted("nonce", &nonce).expect("plain text");
        params.set_quoted("qop", "auth").expect("plain text");
        params
            .set_token("algorithm", self.algorithm.name())
            .expect("a token");
        if self.says_stale && knew_a_nonce {
            params.set_token("stale", "true").expect("a token");
        }
        response
            .headers
            .push_value(HeaderName::WwwAuthenticate, &challenge);
        response
    }

    /// A nonce may be used again, with the count that is next.
    fn is_authorized(&mut self, request: &Request) -> bool {
        let expected = self.digest(request, request.method().as_str());
        let Some(uses) = self.nonces.get_mut(&parameter(request, "nonce")) else {
            return false;
        };
        let authorized = parameter(request, "response") == expected
            && parameter(request, "nc") == format!("{:08x}", *uses + 1);
        *uses += u32::from(authorized);
        authorized
    }

    /// RFC 7616 section 3.4.1, written out.
    fn digest(&self, request: &Request, method: &str) -> String {
        let value = |name| parameter(request, name);
        let hash = |text: String| self.algorithm.hash(&text);
        let a1 = hash(format!(
            "{}:{}:{}",
            value("username"),
            value("realm"),
            self.password
        ));
        let a2 = hash(format!("{method}:{}", value("uri")));
        hash(format!(
            "{a1}:{}:{}:{}:{}:{a2}",
            value("nonce"),
            value("nc"),
            value("cnonce"),
            value("qop")
        ))
    }
}

fn overloaded_response(request: &Request, retry_after: &str) -> Response {
    let mut response = Response::to(request, StatusCode::SERVICE_UNAVAILABLE);
    response.headers.add_to_tag("overloaded").expect("a token");
    response
        .headers
        .push(HeaderName::RetryAfter, retry_after)
        .expect("plain text");
    response
}

fn branch_of(request: &Request) -> String {
    let via: Via = request.headers.required().expect("a Via");
    via.branch().expect("a branch").to_owned()
}

/// A success response with XOR-MAPPED-ADDRESS, written out (RFC 8489 section 14.2).
fn stun_answer(transaction: [u8; 12], mapped: SocketAddr) -> Bytes {
    let IpAddr::V4(address) = mapped.ip() else {
        panic!("tests run on IPv4");
    };
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    let mut bytes = vec![0x01, 0x01, 0x00, 0x0c];
    bytes.extend(cookie);
    bytes.extend(transaction);
    bytes.extend([0x00, 0x20, 0x00, 0x08, 0x00, 0x01]);
    bytes.extend((mapped.port() ^ 0x2112).to_be_bytes());
    bytes.extend(
        address
            .octets()
            .iter()
            .zip(cookie)
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes.into()
}

/// A parameter of the credentials of a request.
fn parameter(request: &Request, name: &str) -> String {
    request
        .headers
        .value::<AuthCredentials>(&HeaderName::Authorization)
        .ok()
        .flatten()
        .and_then(|answer| answer.params().get(name).map(str::to_owned))
        .unwrap_or_default()
}
