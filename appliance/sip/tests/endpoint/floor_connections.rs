//! Floor control over a connection: how calls agree on it, and on another when it is lost. Carol's
//! session and her floor control server are played by hand, and so is the connection.

use std::time::Duration;

use bytes::Bytes;
use room::FloorChange as F;
use sip::bfcp::{Server, ServerOutput, ServerSettings, UserId, WhenBusy};
use sip::endpoint::{CallId, Endpoint, Event, FloorChannelEnd};
use sip::grammar::{ContentType, HeaderName, Method, Request, Response, StatusCode};
use sip::offer_answer::{
    BfcpTcp, CallMedia, ContentPorts, ContentSharing, FloorConnection, FloorControlRole, FloorIds,
    LocalMedia, LocalPort, MediaSecurity, Session, TcpSetup,
};
use sip::transaction::Reliability;
use sip::transport::Transport;

use crate::calls::established;
use crate::carol::{
    bobs_tag, carol_offers_bob, push, reply, requests, responses, rng, send, to_bob,
};
use crate::world::{BOB, CAROL, World, account, media_of, settings};

const SECOND: Duration = Duration::from_secs(1);
/// In Carol's conference.
const CAROL_HERSELF: UserId = UserId(1);

fn media(address: std::net::SocketAddr) -> LocalMedia {
    LocalMedia {
        content: Some(ContentPorts {
            slides: LocalPort {
                rtp: 20_004,
                rtcp: 20_005,
            },
            bfcp_udp: 20_006,
            bfcp_tcp: BfcpTcp::Listen(20_006),
            certificate: None,
        }),
        ..media_of(address)
    }
}

/// Carol's server listens: what her session says of its line.
fn over_tcp(description: &Bytes, setup: &str, connection: &str) -> Bytes {
    let text = std::str::from_utf8(description).expect("text");
    let line = format!("TCP/BFCP *\r\na=setup:{setup}\r\na=connection:{connection}\r\n");
    let text = text
        .replace("UDP/BFCP *\r\n", &line)
        .replace("a=bfcpver:2", "a=bfcpver:1")
        .replace("c-only s-only", "s-only");
    text.into_bytes().into()
}

/// What Bob says, as Carol's session can read it, which knows of datagrams only.
fn over_udp(description: &[u8]) -> String {
    std::str::from_utf8(description)
        .expect("text")
        .replace("m=application 9 TCP/BFCP", "m=application 20006 UDP/BFCP")
        .replace("a=bfcpver:1", "a=bfcpver:2")
        .replace("a=setup:active\r\n", "")
}

struct Call {
    world: World,
    bobs: CallId,
    carol: Session,
    server: Server,
    ids: FloorIds,
    next_request: u32,
}

impl Call {
    /// Carol has called Bob, and her floor is to be had over a connection that Bob makes.
    fn new() -> Self {
        let mut world = World::new(1);
        let mut bobs_account = account("bob", Transport::Udp);
        bobs_account.capabilities.content = ContentSharing::On;
        // A connection without TLS.
        bobs_account.capabilities.security = MediaSecurity::PlainAllowed;
        let capabilities = bobs_account.capabilities.clone();
        world.add(settings(bobs_account, BOB), BOB);
        let (mut carol, offer) = Session::offer(&capabilities, &media(CAROL), &mut rng());
        let offer = over_tcp(&offer, "passive", "new");
        let (bobs, _) = carol_offers_bob(&mut world, &offer);
        world
            .act(BOB, |bob, now| bob.answer(now, bobs, media(BOB)))
            .expect("it is unanswered");
        world.run(SECOND / 10);
        let answer = responses(&world, &Method::Invite).pop().expect("answered");
        carol
            .accept_answer(over_udp(answer.body()).as_bytes())
            .expect("it fits");
        let mut ack = to_bob(Method::Ack, 1, &bobs_tag(&world));
        push(&mut ack.headers, HeaderName::MaxForwards, "70");
        send(&mut world, BOB, ack.to_bytes());
        let agreed = established(&mut world, BOB, bobs);
        let FloorControlRole::Client(ids) = agreed.floor_control().expect("agreed").role else {
            panic!("{agreed:?}");
        };
        assert_eq!(number(&agreed), 0);
        let server = Server::new(ServerSettings {
            conference: ids.conference,
            floor: ids.floor,
            owner: CAROL_HERSELF,
            when_busy: WhenBusy::Queue,
            transaction_seed: 0,
        });
        Self {
            world,
            bobs,
            carol,
            server,
            ids,
            next_request: 2,
        }
    }

    /// The connection stands.
    fn connect(&mut self) {
        self.world.floor_connections.clear();
        self.server.admit(self.ids.user, Reliability::Reliable);
        self.bob(|bob, now, call| bob.floor_channel_opened(now, call).expect("agreed"));
        self.carry();
    }

    fn bob<T>(&mut self, action: impl FnOnce(&mut Endpoint, std::time::Instant, CallId) -> T) -> T {
        let call = self.bobs;
        self.world.act(BOB, |bob, now| action(bob, now, call))
    }

    /// Carries what both ends have to say, until they have no more.
    fn carry(&mut self) {
        loop {
            let sent = std::mem::take(&mut self.world.floor_connections);
            if sent.is_empty() {
                return;
            }
            for (_, bytes) in sent {
                let bytes = bytes.expect("the connection stands");
                self.server.received(self.world.now, self.ids.user, &bytes);
            }
            while let Some(output) = self.server.poll_output() {
                if let ServerOutput::Send(_, bytes) = output {
                    self.bob(|bob, now, call| bob.floor_channel_received(now, call, &bytes));
                }
            }
        }
    }

    /// The connection is lost, with what was under way.
    fn lose(&mut self) {
        self.world.floor_connections.clear();
        self.server.lose(self.world.now, self.ids.user);
        self.bob(|bob, now, call| bob.floor_channel_closed(now, call, FloorChannelEnd::Lost));
    }

    /// Bob's re-INVITEs.
    fn reinvites(&self) -> Vec<Request> {
        requests(&self.world, &Method::Invite)
    }

    /// Carol answers a re-INVITE of Bob's, saying this of the connection.
    fn accept(&mut self, reinvite: &Request, setup: &str, connection: &str) {
        let offer = over_udp(reinvite.body());
        let (answer, _) = self
            .carol
            .answer_reoffer(&mut rng(), offer.as_bytes())
            .expect("it can be answered");
        let mut response: Response = reply(reinvite, StatusCode::OK, "carol");
        response.set_body(&ContentType::sdp(), over_tcp(&answer, setup, connection));
        send(&mut self.world, BOB, response.to_bytes());
    }

    /// Carol offers again; Bob's answer.
    fn reoffer(&mut self, connection: &str) -> String {
        self.reoffer_as(|offer| over_tcp(offer, "passive", connection))
    }

    /// Carol offers again what `written` makes of her session's words; Bob's answer.
    fn reoffer_as(&mut self, written: impl FnOnce(&Bytes) -> Bytes) -> String {
        let offer = self
            .carol
            .reoffer(room::codec::Direction::SendRecv)
            .expect("nothing is pending");
        self.carol.withdraw_offer();
        let number = self.next_request;
        self.next_request += 1;
        let mut invite = to_bob(Method::Invite, number, &bobs_tag(&self.world));
        invite.set_body(&ContentType::sdp(), written(&offer));
        send(&mut self.world, BOB, invite.to_bytes());
        let answer = responses(&self.world, &Method::Invite).pop();
        let ack = to_bob(Method::Ack, number, &bobs_tag(&self.world));
        send(&mut self.world, BOB, ack.to_bytes());
        let answer = answer.expect("answered").body().to_vec();
        String::from_utf8(answer).expect("text")
    }

    /// What Bob was told last of his media.
    fn agreed(&mut self) -> CallMedia {
        let events = self.world.events(BOB).iter().rev();
        let mut media = events.filter_map(|event| match event {
            Event::MediaChanged { media, .. } | Event::Established { media, .. } => {
                Some(media.clone())
            }
            _ => None,
        });
        media.next().expect("the call stands")
    }

    fn floor_changes(&mut self) -> Vec<F> {
        let events = self.world.events(BOB).iter();
        events
            .filter_map(|event| match event {
                Event::Floor { change, .. } => Some(*change),
                _ => None,
            })
            .collect()
    }
}

fn number(media: &CallMedia) -> u32 {
    let control = media.floor_control().expect("agreed");
    let FloorConnection::Tcp {
        remote,
        setup,
        number,
        certificate,
    } = control.connection
    else {
        panic!("{control:?}");
    };
    assert_eq!(setup, TcpSetup::Active);
    assert_eq!(remote.map(|remote| remote.port()), Some(20_006));
    assert_eq!(certificate, None);
    number
}

#[test]
fn a_request_that_was_under_way_when_the_connection_was_lost_is_granted_over_the_next() {
    let mut call = Call::new();
    call.connect();
    call.bob(|bob, now, floor| bob.request_floor(now, floor).expect("agreed"));
    call.lose();
    assert_eq!(
        call.reinvites().len(),
        0,
        "the far end has to notice it too"
    );
    call.world.run(2 * SECOND);
    let [reinvite] = &call.reinvites()[..] else {
        panic!("one is asked for");
    };
    let offer = String::from_utf8(reinvite.body().to_vec()).expect("text");
    assert!(
        offer.contains("m=application 9 TCP/BFCP *\r\na=floorctrl:c-only\r\na=setup:active\r\na=connection:new\r\n"),
        "{offer}"
    );
    call.accept(reinvite, "passive", "new");
    let agreed = call.agreed();
    assert_eq!(number(&agreed), 1);
    call.connect();
    assert_eq!(call.floor_changes().last(), Some(&F::Ours));
    // Until a sign of life is due, which nobody would carry.
    call.world.run(20 * SECOND);
    assert_eq!(call.reinvites().len(), 1, "nothing more is asked");
}

#[test]
fn a_far_end_that_refuses_another_connection_keeps_its_call_and_is_not_asked_again() {
    let mut call = Call::new();
    call.connect();
    call.lose();
    call.world.run(2 * SECOND);
    let reinvite = call.reinvites().pop().expect("one is asked for");
    let refusal = reply(&reinvite, StatusCode::NOT_ACCEPTABLE_HERE, "carol");
    send(&mut call.world, BOB, refusal.to_bytes());
    call.world.run(40 * SECOND);
    assert_eq!(call.reinvites().len(), 1);
    call.bob(|bob, now, call| bob.hold(now, call).expect("it stands"));
}

#[test]
fn connections_that_cannot_be_made_are_asked_for_every_half_minute_and_five_times() {
    let mut call = Call::new();
    let start = call.world.now;
    let mut asked = Vec::new();
    for attempt in 0..8 {
        call.bob(|bob, now, call| bob.floor_channel_closed(now, call, FloorChannelEnd::Lost));
        for _ in 0..400 {
            call.world.run(SECOND / 10);
            if call.reinvites().len() > asked.len() {
                break;
            }
        }
        let Some(reinvite) = call.reinvites().get(attempt).cloned() else {
            break;
        };
        asked.push((call.world.now - start).as_secs());
        call.accept(&reinvite, "passive", "new");
        assert_eq!(
            number(&call.agreed()),
            1 + u32::try_from(attempt).expect("few")
        );
    }
    assert_eq!(asked, [1, 31, 61, 91, 121]);
}

#[test]
fn a_connection_that_stands_goes_on_through_a_hold_and_through_offers_of_the_far_end() {
    let mut call = Call::new();
    call.connect();
    call.bob(|bob, now, call| bob.hold(now, call).expect("it stands"));
    call.world.run(SECOND / 10);
    let hold = call.reinvites().pop().expect("sent");
    let text = String::from_utf8(hold.body().to_vec()).expect("text");
    assert!(text.contains("a=connection:existing\r\n"), "{text}");
    call.accept(&hold, "passive", "existing");
    assert_eq!(number(&call.agreed()), 0);
    let answer = call.reoffer("existing");
    assert!(answer.contains("a=connection:existing\r\n"), "{answer}");
    assert_eq!(number(&call.agreed()), 0);
    // The far end wants another.
    let answer = call.reoffer("new");
    assert!(answer.contains("a=connection:new\r\n"), "{answer}");
    assert_eq!(number(&call.agreed()), 1);
}

#[test]
fn to_an_offer_of_a_connection_that_we_have_lost_the_answer_is_another() {
    let mut call = Call::new();
    call.connect();
    call.lose();
    let answer = call.reoffer("existing");
    assert!(answer.contains("a=connection:new\r\n"), "{answer}");
    assert_eq!(number(&call.agreed()), 1);
    call.world.run(40 * SECOND);
    assert!(call.reinvites().is_empty(), "there is one already");
}

#[test]
fn what_cannot_be_understood_ends_the_connection_and_another_is_asked_for() {
    let mut call = Call::new();
    call.connect();
    call.bob(|bob, now, call| bob.floor_channel_received(now, call, &[0xff; 16]));
    let bobs = call.bobs;
    assert_eq!(call.world.floor_connections, [(bobs, None)]);
    call.world.run(2 * SECOND);
    assert_eq!(call.reinvites().len(), 1);
}

#[test]
fn where_nobody_decides_any_more_who_shows_goes_on_and_where_somebody_does_again_it_has_to_ask() {
    let mut call = Call::new();
    call.connect();
    call.bob(|bob, now, floor| bob.request_floor(now, floor).expect("agreed"));
    call.carry();
    assert_eq!(call.floor_changes().last(), Some(&F::Ours));
    let told = call.floor_changes().len();
    let refused = |offer: &Bytes| {
        let offer = over_tcp(offer, "passive", "existing");
        let text = String::from_utf8(offer.to_vec()).expect("text");
        let line = "m=application 20006 ";
        assert!(text.contains(line), "{text}");
        text.replace(line, "m=application 0 ").into_bytes().into()
    };
    call.reoffer_as(refused);
    assert_eq!(call.floor_changes()[told..], [F::Ours]);
    assert_eq!(call.agreed().floor_control(), None);
    call.reoffer("new");
    assert_eq!(call.floor_changes()[told..], [F::Ours, F::NotGranted]);
    assert!(call.agreed().floor_control().is_some());
}
