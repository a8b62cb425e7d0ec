//! The real roomd behind two edge proxies that others wrote (RFC 5626), in a call through a proxy that
//! restarts, and back in a call that came by proxies after it was killed.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use api::snapshot::{Leg, LegState, Protection, RegistrationState, VideoFlow};
use system::authority::Authority;
use system::baresip::Transport;
use system::edge_proxy::EdgeProxy;
use system::footage::reply;
use system::journal::Mark;
use system::kamailio::{DigestAlgorithm, Kamailio, KamailioConfig, User};
use system::pjsua::{Direction, Outbound, Pjsua, PjsuaConfig};
use system::ports;
use system::roomd::Roomd;
use tempfile::TempDir;

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct-horse-battery";
/// Four for each leg.
const MEDIA_PORTS: u16 = 16;

/// What a room's messages travel on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Udp,
    Tls,
    /// Over TLS. Only an edge takes it, and knows the registrar by UDP.
    WebSocket,
}

impl Way {
    /// The keys of an account.
    fn settings(self) -> &'static str {
        match self {
            Self::Udp => "transport = \"udp\"\n",
            Self::Tls => "transport = \"tls\"\n",
            Self::WebSocket => "transport = \"wss\"\nwebsocket_path = \"/ws\"\n",
        }
    }

    /// How the registrar is reached in the end.
    fn to_registrar(self) -> Transport {
        match self {
            Self::Udp | Self::WebSocket => Transport::Udp,
            Self::Tls => Transport::Tls,
        }
    }
}

/// A registrar, and the authority of everybody's certificates.
struct Site {
    registrar: Kamailio,
    authority: Authority,
    _folder: TempDir,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let user = |name: &str| User {
        name: name.into(),
        password: PASSWORD.into(),
    };
    let config = KamailioConfig {
        digest: DigestAlgorithm::Sha256,
        users: ["anna", "boris", "peer"].map(user).to_vec(),
        longest_registration: Duration::from_secs(300),
    };
    Site {
        registrar: Kamailio::start(&config, &authority).unwrap(),
        authority,
        _folder: folder,
    }
}

/// A test that fails shows what the registrar has seen.
impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("registrar:\n{}", self.registrar.log().tail());
        }
    }
}

impl Site {
    /// A registered room that goes by these proxies, or straight to the registrar.
    fn room(&self, user: &str, way: Way, proxies: &[&EdgeProxy]) -> Roomd {
        let sip_port = ports::free().unwrap();
        let media_port = ports::free_range(MEDIA_PORTS).unwrap();
        let room = Roomd::start(user, |folder| {
            let password = folder.join("password");
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&password)?
                .write_all(PASSWORD.as_bytes())?;
            let proxies: String = ["proxy", "backup_proxy"]
                .iter()
                .zip(proxies)
                .map(|(key, proxy)| format!("{key} = \"{}\"\n", proxy.address()))
                .collect();
            Ok(format!(
                "version = 1\n\
                 [camera]\nsource = \"simulated\"\n\
                 [microphone]\nsource = \"simulated\"\n\
                 [playout]\nvideo = \"none\"\naudio = \"simulated\"\n\
                 [sip]\nlisten_udp = \"127.0.0.1:{sip_port}\"\n\
                 media_ports = \"{media_port}-{last_media_port}\"\n\
                 ca_files = [\"{authority}\"]\n\
                 [log]\nlevel = \"debug\"\n\
                 [[account]]\nname = \"{user}\"\naddress = \"{address}\"\n\
                 {way}password_file = \"{password}\"\n{proxies}",
                last_media_port = media_port + MEDIA_PORTS - 1,
                authority = self.authority.certificate().display(),
                address = self.address(user, way.to_registrar()),
                way = way.settings(),
                password = password.display(),
            ))
        })
        .unwrap();
        wait_for_registration(&room, Mark::default(), user, RegistrationState::Registered);
        room
    }

    fn address(&self, user: &str, transport: Transport) -> String {
        format!("sip:{user}@{}", self.registrar.address(transport))
    }
}

fn wait_for_registration(room: &Roomd, mark: Mark, user: &str, wanted: RegistrationState) {
    room.wait_for_snapshot_after(mark, "a registration", LIMIT, |snapshot| {
        (snapshot.registrations.get(user) == Some(&wanted)).then_some(())
    })
    .unwrap();
}

fn wait_for_leg(room: &Roomd, mark: Mark, what: &str, mut is_so: impl FnMut(&Leg) -> bool) {
    room.wait_for_snapshot_after(mark, what, LIMIT, |snapshot| {
        snapshot.legs.iter().any(&mut is_so).then_some(())
    })
    .unwrap();
}

/// The one calls, the other answers, and both are in the call and see each other.
fn call(caller: &Roomd, address: &str, callee: &Roomd) {
    let (callers, callees) = (caller.snapshot_mark(), callee.snapshot_mark());
    caller.roomctl(&["call", address]).unwrap();
    wait_for_leg(callee, callees, "an incoming call", |leg| {
        leg.state == LegState::Incoming
    });
    callee.roomctl(&["answer"]).unwrap();
    for (room, mark) in [(caller, callers), (callee, callees)] {
        wait_for_leg(
            room,
            mark,
            "a standing call with the far end's picture",
            |leg| {
                let picture = leg.video.as_ref().map(|video| video.flow);
                leg.state == LegState::Established && picture == Some(VideoFlow::Flowing)
            },
        );
    }
}

/// The first hangs up, and neither has a leg any more.
fn hang_up(room: &Roomd, far_end: &Roomd) {
    let marks = [
        (room, room.snapshot_mark()),
        (far_end, far_end.snapshot_mark()),
    ];
    room.roomctl(&["hangup"]).unwrap();
    for (room, mark) in marks {
        wait_until_idle(room, mark);
    }
}

fn wait_until_idle(room: &Roomd, mark: Mark) {
    room.wait_for_snapshot_after(mark, "a room without legs", LIMIT, |snapshot| {
        snapshot.legs.is_empty().then_some(())
    })
    .unwrap();
}

/// Waits until the registrar has granted a binding by this edge.
fn wait_for_flow(edge: &EdgeProxy) {
    edge.wait_for_registration("anna", LIMIT).unwrap();
}

fn calls_arrive_by_either_of_two_edges(way: Way) {
    let site = site();
    let mut edges =
        ["first", "second"].map(|name| EdgeProxy::start(name, &site.authority).unwrap());
    let anna = site.room("anna", way, &[&edges[0], &edges[1]]);
    let boris = site.room("boris", Way::Udp, &[]);
    for edge in &edges {
        wait_for_flow(edge);
        assert_eq!(edge.websockets() > 0, way == Way::WebSocket);
    }
    // The call comes by both ways, and rings once.
    call(&boris, &site.address("anna", Transport::Udp), &anna);
    hang_up(&anna, &boris);

    edges[0].stop().unwrap();
    call(&boris, &site.address("anna", Transport::Udp), &anna);
    hang_up(&boris, &anna);

    // It is not waited for while the second serves, but called again when that is gone.
    edges[0].start_again().unwrap();
    edges[1].stop().unwrap();
    wait_for_flow(&edges[0]);
    call(&boris, &site.address("anna", Transport::Udp), &anna);
    hang_up(&anna, &boris);
    anna.stop().unwrap();
    boris.stop().unwrap();
}

#[test]
fn calls_arrive_by_one_edge_proxy_while_the_other_is_gone_and_by_that_when_it_is_back() {
    calls_arrive_by_either_of_two_edges(Way::Tls);
}

#[test]
fn calls_arrive_over_websockets_by_one_edge_proxy_while_the_other_is_gone_and_by_that_when_it_is_back()
 {
    calls_arrive_by_either_of_two_edges(Way::WebSocket);
}

#[test]
fn rooms_behind_one_edge_call_each_other_over_websockets() {
    let site = site();
    let edge = EdgeProxy::start("edge", &site.authority).unwrap();
    let anna = site.room("anna", Way::WebSocket, &[&edge]);
    let boris = site.room("boris", Way::WebSocket, &[&edge]);
    for (caller, callee, name) in [(&anna, &boris, "boris"), (&boris, &anna, "anna")] {
        call(caller, &site.address(name, Transport::Udp), callee);
        hang_up(callee, caller);
    }
    // Each has one, which carries the registration and all calls of both ways.
    assert_eq!(edge.websockets(), 2);
    anna.stop().unwrap();
    boris.stop().unwrap();
}

/// Each by a connection of its own to an edge of its own; the peer is an endpoint that others wrote.
#[test]
fn a_room_and_pjsua2_call_each_other_through_their_edges() {
    let site = site();
    let [rooms, peers] =
        ["rooms", "peers"].map(|name| EdgeProxy::start(name, &site.authority).unwrap());
    let anna = site.room("anna", Way::Tls, &[&rooms]);
    let mut config = PjsuaConfig::new("peer", reply().unwrap());
    config.outbound = Some(Outbound {
        registrar: site.registrar.address(Transport::Udp),
        edge: peers.address(),
        password: PASSWORD.to_owned(),
    });
    let mut peer = Pjsua::start(&config, &site.authority).unwrap();
    let status = peer.wait_for_registration(Mark::default(), LIMIT).unwrap();
    assert_eq!(status, 200);
    let asked = ["REGISTER sip:", "reg-id=1", "+sip.instance="];
    peer.wait_for_message(Mark::default(), Direction::Sent, &asked, LIMIT)
        .unwrap();

    anna.roomctl(&["call", peer.uri()]).unwrap();
    peer.wait_for_call(Mark::default(), "CONFIRMED", LIMIT)
        .unwrap();
    assert_heard(&anna, Mark::default());
    let (peers_mark, annas) = (peer.mark(), anna.snapshot_mark());
    peer.hang_up().unwrap();
    wait_until_idle(&anna, annas);
    peer.wait_for_call(peers_mark, "DISCONNECTED", LIMIT)
        .unwrap();

    let (peers_mark, annas) = (peer.mark(), anna.snapshot_mark());
    let address = site.address("anna", Transport::Udp);
    peer.call(&address, &[]).unwrap();
    wait_for_leg(&anna, annas, "an incoming call", |leg| {
        leg.state == LegState::Incoming
    });
    anna.roomctl(&["answer"]).unwrap();
    peer.wait_for_call(peers_mark, "CONFIRMED", LIMIT).unwrap();
    assert_heard(&anna, annas);
    anna.roomctl(&["hangup"]).unwrap();
    peer.wait_for_call(peers_mark, "DISCONNECTED", LIMIT)
        .unwrap();
    wait_until_idle(&anna, annas);
    anna.stop().unwrap();
}

/// The room is in an encrypted call and hears its far end.
fn assert_heard(room: &Roomd, mark: Mark) {
    wait_for_leg(room, mark, "an encrypted call that is heard", |leg| {
        let stats = leg.audio.as_ref().and_then(|audio| audio.stats.as_ref());
        leg.state == LegState::Established
            && leg.security.as_ref().is_some_and(|security| {
                security.signalling == Protection::Encrypted
                    && security.media == Protection::Encrypted
            })
            && stats.is_some_and(|stats| stats.packets_received > 50)
    });
}

#[test]
fn a_call_outlives_a_restart_of_its_proxy_and_is_hung_up_through_it() {
    let mut site = site();
    let anna = site.room("anna", Way::Udp, &[]);
    let boris = site.room("boris", Way::Udp, &[]);
    call(&boris, &site.address("anna", Transport::Udp), &anna);
    site.registrar.restart().unwrap();
    hang_up(&boris, &anna);
    // Its log has begun anew.
    site.registrar
        .wait_for_request("BYE", "boris", LIMIT)
        .unwrap();
    anna.stop().unwrap();
    boris.stop().unwrap();
}

/// It calls its far end back by its proxies, as the dialog's own way ends at a connection that died with
/// it.
#[test]
fn a_killed_room_comes_back_into_a_call_that_came_by_its_registrar() {
    let site = site();
    let mut anna = site.room("anna", Way::Udp, &[]);
    let boris = site.room("boris", Way::Udp, &[]);
    call(&boris, &site.address("anna", Transport::Udp), &anna);
    let kept = boris.snapshot().unwrap().legs.remove(0).id;
    anna.kill_and_restart().unwrap();
    let flows = |leg: &Leg| {
        let picture = leg.video.as_ref().map(|video| video.flow);
        leg.state == LegState::Established && picture == Some(VideoFlow::Flowing)
    };
    wait_for_leg(&anna, Mark::default(), "the call as before", flows);
    wait_for_leg(&boris, boris.snapshot_mark(), "pictures that go on", flows);
    let snapshot = boris.snapshot().unwrap();
    assert_eq!(snapshot.legs.len(), 1);
    assert_eq!(snapshot.legs[0].id, kept);
    assert_eq!(snapshot.last_ended, [], "its call was never over");
    hang_up(&boris, &anna);
    anna.stop().unwrap();
    boris.stop().unwrap();
}
