//! A far end of another make, played message by message over UDP: it hands calls on (REFER), and knows
//! no Replaces.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sim::{RoomName, World};
use sip::endpoint::{Account, AccountName};
use sip::grammar::{
    CSeq, ContentType, HeaderName, Headers, Message, Method, NameAddr, RAck, RSeq, Request,
    Response, StatusCode, Uri,
};
use sip::offer_answer::{LocalMedia, LocalPort, Session};

const STEP: Duration = Duration::from_millis(10);
const TAG: &str = "peer";

/// The host that rooms take calls from and on which no room runs.
pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::new(RoomName::Annex.address(), port)
}

/// The played far end.
pub(crate) struct Peer {
    address: SocketAddr,
    room: SocketAddr,
    /// What it says to an INVITE with Replaces.
    pub(crate) refusal: StatusCode,
    /// The statuses that NOTIFY told of what it has asked for.
    pub(crate) told: Vec<u16>,
    requests: Vec<Request>,
    responses: Vec<Response>,
    rooms_address: Option<NameAddr>,
    sequence: u32,
}

impl Peer {
    /// Plays at a port, and is asked for nothing yet.
    pub(crate) fn new(world: &mut World, port: u16) -> Self {
        let address = address(port);
        world.play(address);
        Self {
            address,
            room: SocketAddr::new(RoomName::Lobby.address(), 5060),
            refusal: StatusCode::BAD_EXTENSION,
            told: Vec::new(),
            requests: Vec::new(),
            responses: Vec::new(),
            rooms_address: None,
            sequence: 0,
        }
    }

    /// Calls a room that answers by itself.
    pub(crate) fn call(&mut self, world: &mut World, name: RoomName) {
        let answer = self.invite(world, name, &[]);
        assert!(answer.status().is_success(), "{}", world.story());
    }

    /// Calls a room, with further header fields, and gives its final answer.
    pub(crate) fn invite(
        &mut self,
        world: &mut World,
        name: RoomName,
        fields: &[(HeaderName, &str)],
    ) -> Response {
        self.room = SocketAddr::new(name.address(), 5060);
        let mut invite = self.request(Method::Invite);
        for (name, value) in fields {
            push(&mut invite.headers, name.clone(), value);
        }
        let (_, offer) = Session::offer(&capabilities(), &self.media(), &mut rng());
        invite.set_body(&ContentType::sdp(), offer);
        self.send(world, invite.to_bytes());
        self.run(world, Duration::from_millis(300));
        let mut answers = self.responses.iter().rev();
        let answer = answers.find(|it| it.status().is_final()).cloned();
        let answer = answer.unwrap_or_else(|| panic!("no answer\n{}", world.story()));
        if answer.status().is_success() {
            self.rooms_address = answer.headers.to().ok();
            self.acknowledge(world, self.sequence);
        }
        answer
    }

    /// Calls a room, takes nothing but reliable provisional responses, and leaves the offer to the room.
    pub(crate) fn invite_without_offer(&mut self, world: &mut World, name: RoomName) {
        self.room = SocketAddr::new(name.address(), 5060);
        let mut invite = self.request(Method::Invite);
        push(&mut invite.headers, HeaderName::Require, "100rel");
        self.send(world, invite.to_bytes());
    }

    /// Acknowledges the last ringing, and answers the offer that has come with it.
    pub(crate) fn acknowledge_ringing(&mut self, world: &mut World) {
        let mut responses = self.responses.iter().rev();
        let ringing = responses.find(|it| it.status() == StatusCode::RINGING);
        let ringing = ringing.cloned().expect("it rings");
        self.rooms_address = ringing.headers.to().ok();
        let RSeq(response) = ringing.headers.required().expect("a number");
        let mut prack = self.request(Method::Prack);
        prack.headers.push_typed(&RAck {
            response,
            sequence: 1,
            method: Method::Invite,
        });
        prack.set_body(&ContentType::sdp(), self.answer(ringing.body()));
        self.send(world, prack.to_bytes());
    }

    /// Confirms the answer to the INVITE of that number.
    pub(crate) fn acknowledge(&mut self, world: &mut World, number: u32) {
        let mut ack = self.request(Method::Ack);
        ack.headers.set_typed(&CSeq {
            number,
            method: Method::Ack,
        });
        self.send(world, ack.to_bytes());
        self.run(world, STEP);
    }

    /// Asks the room to call somebody else.
    pub(crate) fn refer(&mut self, world: &mut World, target: &str) {
        let mut refer = self.request(Method::Refer);
        push(&mut refer.headers, HeaderName::ReferTo, target);
        self.send(world, refer.to_bytes());
    }

    /// Answers what arrives, for a time.
    pub(crate) fn run(&mut self, world: &mut World, time: Duration) {
        let end = world.now() + time;
        while world.now() < end {
            world.run_for(STEP);
            for (from, bytes) in world.take_received(self.address) {
                match Message::parse_datagram(bytes) {
                    Ok(Message::Request(request)) => self.requested(world, from, request),
                    Ok(Message::Response(response)) => self.responses.push(response),
                    Err(error) => panic!("{error}\n{}", world.story()),
                }
            }
        }
    }

    /// The requests of a method that have arrived, in their order.
    pub(crate) fn requests(&self, method: &Method) -> Vec<Request> {
        let requests = self.requests.iter();
        requests
            .filter(|it| it.method() == method)
            .cloned()
            .collect()
    }

    /// The statuses of the answers to its requests of a method.
    pub(crate) fn answers(&self, method: &Method) -> Vec<u16> {
        let responses = self.responses.iter();
        let is_of = |response: &&Response| {
            let sequence = response.headers.required::<CSeq>();
            sequence.is_ok_and(|sequence| sequence.method == *method)
        };
        responses
            .filter(is_of)
            .map(|it| it.status().code())
            .collect()
    }

    fn requested(&mut self, world: &mut World, from: SocketAddr, request: Request) {
        let replaces = request.headers.contains(&HeaderName::Replaces);
        let status = match request.method() {
            Method::Ack => None,
            Method::Invite if replaces => Some(self.refusal),
            _ => Some(StatusCode::OK),
        };
        if *request.method() == Method::Notify {
            self.told.extend(told_status(request.body()));
        }
        if let Some(status) = status {
            let answer = self.answer_to(&request, status);
            world.inject(self.address, from, answer.to_bytes());
        }
        self.requests.push(request);
    }

    fn answer_to(&self, request: &Request, status: StatusCode) -> Response {
        let mut response = Response::to(request, status);
        response.headers.add_to_tag(TAG).expect("a token");
        if *request.method() == Method::Invite && status.is_success() {
            let contact = format!("<sip:peer@{}>", self.address);
            push(&mut response.headers, HeaderName::Contact, &contact);
            response.set_body(&ContentType::sdp(), self.answer(request.body()));
        }
        response
    }

    fn answer(&self, offer: &Bytes) -> Bytes {
        let answered = Session::answer(&capabilities(), &self.media(), &mut rng(), offer);
        let (_, body, _) = answered.expect("rooms offer what rooms answer");
        body
    }

    /// The next request in the call, or the one that makes it.
    fn request(&mut self, method: Method) -> Request {
        self.sequence += 1;
        let (address, number) = (self.address, self.sequence);
        let target: Uri = format!("sip:room@{}", self.room)
            .parse()
            .expect("a SIP URI");
        let to = match &self.rooms_address {
            Some(to) => to.clone(),
            None => NameAddr::new(target.clone()),
        };
        let mut request = Request::new(method.clone(), target);
        let headers = &mut request.headers;
        let via = format!("SIP/2.0/UDP {address};branch=z9hG4bKpeer{number}");
        push(headers, HeaderName::Via, &via);
        push(headers, HeaderName::MaxForwards, "70");
        let from = format!("<sip:peer@{address}>;tag={TAG}");
        push(headers, HeaderName::From, &from);
        headers.push_value(HeaderName::To, &to);
        push(headers, HeaderName::CallId, &format!("call-of-{address}"));
        headers.push_typed(&CSeq { number, method });
        let contact = format!("<sip:peer@{address}>");
        push(headers, HeaderName::Contact, &contact);
        request
    }

    fn send(&self, world: &mut World, bytes: Bytes) {
        world.inject(self.address, self.room, bytes);
    }

    fn media(&self) -> LocalMedia {
        let port = |rtp| LocalPort { rtp, rtcp: rtp + 1 };
        LocalMedia {
            address: self.address.ip(),
            audio: Some(port(40_000)),
            video: Some(port(40_002)),
            content: None,
        }
    }
}

/// The status in a fragment of a response (RFC 3515 section 2.4.5).
fn told_status(body: &Bytes) -> Option<u16> {
    let text = std::str::from_utf8(body).ok()?;
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

fn capabilities() -> sip::offer_answer::Capabilities {
    let address = "sip:peer@example.test".parse().expect("a SIP URI");
    Account::new(AccountName::new("peer"), address).capabilities
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([5; 32])
}

fn push(headers: &mut Headers, name: HeaderName, value: &str) {
    headers.push(name, value).expect("plain text");
}
