//! Carol, whom the tests play by hand: as called by Alice, and as caller of Bob.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::CallId;
use sip::grammar::{
    CSeq, ContentType, HeaderName, Headers, Message, Method, NameAddr, Request, Response,
    StatusCode, Uri, Via,
};
use sip::offer_answer::Session;
use sip::transport::Transport;

use crate::scripted::{request, response};
use crate::world::{ALICE, BOB, CAROL, World, account, media_of, settings};

/// How long a message takes on the perfect network, and its answer too.
const MOMENT: Duration = Duration::from_millis(10);

pub(crate) fn rng() -> rand_chacha::ChaCha20Rng {
    rand_core::SeedableRng::from_seed([3; 32])
}

/// Alice, over UDP, and nobody else.
pub(crate) fn alice_alone() -> World {
    let mut world = World::new(1);
    world.add(settings(account("alice", Transport::Udp), ALICE), ALICE);
    world
}

/// Alice calls Carol: the call, and the INVITE as it arrived.
pub(crate) fn alice_calls_carol(world: &mut World) -> (CallId, Request) {
    let alices = world.invite(ALICE, CAROL);
    world.run(MOMENT);
    let invite = requests(world, &Method::Invite).pop();
    (alices, invite.expect("the INVITE arrived"))
}

/// Carol's INVITE to Bob, with an offer and further header lines.
pub(crate) fn carol_calls_bob(world: &mut World, more: &[(HeaderName, &str)]) -> (CallId, Request) {
    let mut invite = outgoing(Method::Invite, 1, None);
    for (name, value) in more {
        invite
            .headers
            .push(name.clone(), value)
            .expect("plain text");
    }
    offer_in(world, invite, offer())
}

/// Carol's INVITE to Bob, with this offer.
pub(crate) fn carol_offers_bob(world: &mut World, offer: &Bytes) -> (CallId, Request) {
    offer_in(world, outgoing(Method::Invite, 1, None), offer.clone())
}

fn offer_in(world: &mut World, mut invite: Request, offer: Bytes) -> (CallId, Request) {
    invite.set_body(&ContentType::sdp(), offer);
    send(world, BOB, invite.to_bytes());
    (world.incoming(BOB), invite)
}

/// Carol's request to Bob, in the dialog of his tag.
pub(crate) fn to_bob(method: Method, number: u32, bobs_tag: &str) -> Request {
    outgoing(method, number, Some(bobs_tag))
}

fn outgoing(method: Method, number: u32, bobs_tag: Option<&str>) -> Request {
    let target: Uri = format!("sip:bob@{BOB}").parse().expect("a SIP URI");
    let mut request = Request::new(method.clone(), target.clone());
    let headers = &mut request.headers;
    push(
        headers,
        HeaderName::Via,
        &format!("SIP/2.0/UDP {CAROL};branch=z9hG4bKc{number}{method}"),
    );
    push(
        headers,
        HeaderName::From,
        &format!("<sip:carol@{CAROL}>;tag=carol"),
    );
    let to = NameAddr::new(target);
    let to = match bobs_tag {
        Some(tag) => to.with_tag(tag).expect("a token"),
        None => to,
    };
    headers.push_value(HeaderName::To, &to);
    push(headers, HeaderName::CallId, "carols-call");
    headers.push_typed(&CSeq { number, method });
    push(
        headers,
        HeaderName::Contact,
        &format!("<sip:carol@{CAROL}>"),
    );
    request
}

/// Carol's request to Alice in the dialog that her tag made.
pub(crate) fn to_alice(invite: &Request, tag: &str, method: Method, number: u32) -> Request {
    let target: Uri = format!("sip:alice@{ALICE}").parse().expect("a SIP URI");
    let mut request = Request::new(method.clone(), target);
    let headers = &mut request.headers;
    push(
        headers,
        HeaderName::Via,
        &format!("SIP/2.0/UDP {CAROL};branch=z9hG4bKc{tag}{number}{method}"),
    );
    let carol = invite.headers.to().expect("a To").with_tag(tag);
    headers.push_value(HeaderName::From, &carol.expect("a token"));
    headers.push_value(HeaderName::To, &invite.headers.from().expect("a From"));
    headers.copy_from(&invite.headers, &HeaderName::CallId);
    headers.push_typed(&CSeq { number, method });
    push(
        headers,
        HeaderName::Contact,
        &format!("<sip:carol@{CAROL}>"),
    );
    request
}

/// Carol's response, as the fork `tag`.
pub(crate) fn reply(to: &Request, status: StatusCode, tag: &str) -> Response {
    let mut response = Response::to(to, status);
    response.headers.add_to_tag(tag).expect("a token");
    push(
        &mut response.headers,
        HeaderName::Contact,
        &format!("<sip:{tag}@{CAROL}>"),
    );
    response
}

/// The same with an answer to the offer in the request.
pub(crate) fn answering(to: &Request, status: StatusCode, tag: &str) -> Response {
    let mut response = reply(to, status, tag);
    response.set_body(&ContentType::sdp(), answer(to.body()));
    response
}

pub(crate) fn push(headers: &mut Headers, name: HeaderName, value: &str) {
    headers.push(name, value).expect("plain text");
}

/// Carol's answer to an offer.
pub(crate) fn answer(offer: &[u8]) -> Bytes {
    let capabilities = account("carol", Transport::Udp).capabilities;
    let answered = Session::answer(&capabilities, &media_of(CAROL), &mut rng(), offer);
    answered.expect("our own offers can be answered").1
}

/// An offer of Carol's.
pub(crate) fn offer() -> Bytes {
    let capabilities = account("carol", Transport::Udp).capabilities;
    Session::offer(&capabilities, &media_of(CAROL), &mut rng()).1
}

/// Carol sends something, and the answers to it arrive.
pub(crate) fn send(world: &mut World, to: SocketAddr, bytes: Bytes) {
    let now = world.now;
    world.network.send(now, CAROL, to, bytes);
    world.run(MOMENT);
}

fn arrived<T>(world: &World, read: impl Fn(&Bytes) -> Option<T>) -> Vec<T> {
    world
        .received
        .iter()
        .filter(|(to, _)| *to == CAROL)
        .filter_map(|(_, bytes)| read(bytes))
        .collect()
}

/// The requests of one method that Carol has received, without repetitions.
pub(crate) fn requests(world: &World, method: &Method) -> Vec<Request> {
    let mut requests = arrived(world, request);
    let mut branches = BTreeSet::new();
    requests.retain(|request| {
        let via: Via = request.headers.required().expect("a Via");
        let branch = via.branch().expect("a branch").to_owned();
        request.method() == method && branches.insert(branch)
    });
    requests
}

/// The responses to her requests of one method that Carol has received.
pub(crate) fn responses(world: &World, method: &Method) -> Vec<Response> {
    let mut responses = arrived(world, response);
    responses.retain(|response| {
        let sequence: CSeq = response.headers.required().expect("a CSeq");
        sequence.method == *method
    });
    responses
}

/// The status of the latest response to a request of hers.
pub(crate) fn latest_status(world: &World, method: &Method) -> Option<u16> {
    let latest = responses(world, method).pop()?;
    Some(latest.status().code())
}

/// The tag that Bob gave her call.
pub(crate) fn bobs_tag(world: &World) -> String {
    let latest = responses(world, &Method::Invite)
        .into_iter()
        .filter_map(|response| response.headers.to().ok()?.tag().map(str::to_owned))
        .next_back();
    latest.expect("Bob has answered")
}

/// Carol acknowledges Bob's 200.
pub(crate) fn acknowledge(world: &mut World, number: u32) {
    let tag = bobs_tag(world);
    send(world, BOB, to_bob(Method::Ack, number, &tag).to_bytes());
}

/// What was sent, taken apart.
pub(crate) fn sent(world: &World, from: SocketAddr) -> Vec<Message> {
    world
        .sent
        .iter()
        .filter(|(source, ..)| *source == from)
        .filter_map(|(.., bytes)| Message::parse_datagram(bytes.clone()).ok())
        .collect()
}
