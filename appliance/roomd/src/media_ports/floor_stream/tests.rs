//! Tests over real sockets on loopback: who is let in, and what comes of who is not.

use std::net::Ipv4Addr;

use sip::offer_answer::Fingerprint;

use super::*;
use crate::media_ports::floor_events::floor_events;
use crate::media_ports::media_certificate::MediaCertificate;

/// Longer than loopback takes; only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(30);
const LEG: LegId = LegId(7);
const NUMBER: u32 = 3;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// One end, and what it says.
struct End {
    /// Owns its task.
    _tasks: OwnedTasks,
    stream: FloorStream,
    events: mpsc::Receiver<FloorEvent>,
    listener: Arc<TcpListener>,
}

impl End {
    async fn new(
        setup: TcpSetup,
        remote: Option<SocketAddr>,
        tls: &FloorTls,
        certificate: Option<Fingerprint>,
    ) -> Self {
        let listener = Arc::new(TcpListener::bind(loopback(0)).await.unwrap());
        let mut tasks = OwnedTasks::default();
        let (sender, events) = floor_events();
        let way = StreamWay {
            number: NUMBER,
            setup,
            remote,
            certificate,
        };
        let shared = Arc::clone(&listener);
        Self {
            stream: FloorStream::start(&mut tasks, LEG, way, shared, tls, sender),
            _tasks: tasks,
            events,
            listener,
        }
    }

    /// One that waits for its peer on loopback.
    async fn listening(tls: &FloorTls, certificate: Option<Fingerprint>) -> Self {
        Self::new(TcpSetup::Passive, Some(loopback(9)), tls, certificate).await
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    async fn next(&mut self) -> ConnectionInput {
        let event = timeout(LIMIT, self.events.recv()).await.expect("in time");
        let FloorEvent { leg, what } = event.expect("its task says how it ends");
        match what {
            FloorInput::Connection { number, what } => {
                assert_eq!((leg, number), (LEG, NUMBER));
                if what == ConnectionInput::Opened {
                    self.stream.opened();
                }
                what
            }
            FloorInput::Datagram(_) => panic!("there are no datagrams"),
        }
    }

    async fn expect(&mut self, expected: ConnectionInput) {
        assert_eq!(self.next().await, expected);
    }
}

fn tls() -> FloorTls {
    FloorTls::new(&MediaCertificate::generate().unwrap())
}

const LOST: ConnectionInput = ConnectionInput::Ended(FloorChannelEnd::Lost);

#[tokio::test]
async fn two_ends_that_show_the_agreed_certificates_are_connected() {
    let (ours, theirs) = (tls(), tls());
    let mut listening = End::listening(&ours, Some(theirs.fingerprint())).await;
    let remote = Some(listening.address());
    let shown = Some(ours.fingerprint());
    let mut connecting = End::new(TcpSetup::Active, remote, &theirs, shown).await;
    for end in [&mut listening, &mut connecting] {
        end.expect(ConnectionInput::Opened).await;
        end.stream.send(Bytes::from_static(b"hello")).unwrap();
    }
    for end in [&mut listening, &mut connecting] {
        let hello = Bytes::from_static(b"hello");
        end.expect(ConnectionInput::Received(hello)).await;
    }
}

#[tokio::test]
async fn a_peer_that_shows_another_certificate_is_not_connected() {
    let (ours, theirs, another) = (tls(), tls(), tls());
    // What we connect to.
    let listening = End::listening(&ours, Some(theirs.fingerprint())).await;
    let remote = Some(listening.address());
    let agreed = Some(another.fingerprint());
    let mut connecting = End::new(TcpSetup::Active, remote, &theirs, agreed).await;
    connecting.expect(LOST).await;
    drop(listening);
    // What connects to us is turned away, and the peer is waited for.
    let mut listening = End::listening(&ours, Some(theirs.fingerprint())).await;
    let (remote, shown) = (Some(listening.address()), Some(ours.fingerprint()));
    let mut stranger = End::new(TcpSetup::Active, remote, &another, shown).await;
    // By TLS 1.3 it hears of that only after its own part of the handshake.
    while stranger.next().await != LOST {}
    let mut connecting = End::new(TcpSetup::Active, remote, &theirs, shown).await;
    connecting.expect(ConnectionInput::Opened).await;
    listening.expect(ConnectionInput::Opened).await;
}

#[tokio::test]
async fn who_does_not_speak_tls_where_it_is_agreed_is_not_connected() {
    let (ours, theirs) = (tls(), tls());
    let mut listening = End::listening(&ours, Some(theirs.fingerprint())).await;
    let (remote, shown) = (Some(listening.address()), Some(ours.fingerprint()));
    let mut plain = TcpStream::connect(listening.address()).await.unwrap();
    plain
        .write_all(&[0x20, 11, 0, 0, 0, 0, 0, 1, 0, 1, 0, 2])
        .await
        .unwrap();
    let mut connecting = End::new(TcpSetup::Active, remote, &theirs, shown).await;
    connecting.expect(ConnectionInput::Opened).await;
    listening.expect(ConnectionInput::Opened).await;
}

#[tokio::test]
async fn who_comes_from_another_address_is_turned_away_and_the_peer_let_in() {
    let mut listening = End::listening(&tls(), None).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let mut stranger = socket.connect(listening.address()).await.unwrap();
    let read = timeout(LIMIT, stranger.read(&mut [0; 8]))
        .await
        .expect("in time");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let mut peer = TcpStream::connect(listening.address()).await.unwrap();
    listening.expect(ConnectionInput::Opened).await;
    peer.write_all(b"mine").await.unwrap();
    let mine = Bytes::from_static(b"mine");
    listening.expect(ConnectionInput::Received(mine)).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_connects_and_says_nothing_is_given_up_after_a_while() {
    let (ours, theirs) = (tls(), tls());
    let start = tokio::time::Instant::now();
    let mut listening = End::listening(&ours, Some(theirs.fingerprint())).await;
    let _silent = TcpStream::connect(listening.address()).await.unwrap();
    // The clock of the test goes on while nothing else happens.
    let event = listening
        .events
        .recv()
        .await
        .expect("its task says how it ends");
    let what = LOST;
    let number = NUMBER;
    assert_eq!(event.what, FloorInput::Connection { number, what });
    assert_eq!(start.elapsed().as_secs(), ACCEPT_LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_connection_and_says_nothing_is_given_up_after_a_while() {
    let (ours, theirs) = (tls(), tls());
    let silent = TcpListener::bind(loopback(0)).await.unwrap();
    let start = tokio::time::Instant::now();
    let remote = Some(silent.local_addr().unwrap());
    let certificate = Some(theirs.fingerprint());
    let mut connecting = End::new(TcpSetup::Active, remote, &ours, certificate).await;
    let event = connecting
        .events
        .recv()
        .await
        .expect("its task says how it ends");
    let what = LOST;
    let number = NUMBER;
    assert_eq!(event.what, FloorInput::Connection { number, what });
    assert_eq!(start.elapsed().as_secs(), CONNECT_LIMIT.as_secs());
}

#[tokio::test]
async fn a_peer_that_speaks_tls_first_over_the_connection_that_we_made_is_the_client() {
    let (ours, theirs) = (tls(), tls());
    let peer = TcpListener::bind(loopback(0)).await.unwrap();
    let remote = Some(peer.local_addr().unwrap());
    let certificate = Some(theirs.fingerprint());
    let mut connecting = End::new(TcpSetup::Active, remote, &ours, certificate).await;
    let (stream, _) = peer.accept().await.unwrap();
    let connector = theirs.connector(ours.fingerprint()).unwrap();
    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"first").await.unwrap();
    connecting.expect(ConnectionInput::Opened).await;
    let first = Bytes::from_static(b"first");
    connecting.expect(ConnectionInput::Received(first)).await;
    stream.shutdown().await.unwrap();
    let closed = ConnectionInput::Ended(FloorChannelEnd::Closed);
    connecting.expect(closed).await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_from_one_that_is_closed() {
    let (ours, theirs) = (tls(), tls());
    let mut listening = End::listening(&ours, Some(theirs.fingerprint())).await;
    let stream = TcpStream::connect(listening.address()).await.unwrap();
    let connector = theirs.connector(ours.fingerprint()).unwrap();
    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    let stream = connector.connect(name, stream).await.unwrap();
    listening.expect(ConnectionInput::Opened).await;
    // Without a word of TLS.
    drop(stream.into_inner());
    listening.expect(LOST).await;
}

#[tokio::test]
async fn where_nobody_listens_or_no_address_is_named_there_is_no_connection() {
    let gone = TcpListener::bind(loopback(0)).await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    for remote in [Some(address), None] {
        let mut connecting = End::new(TcpSetup::Active, remote, &tls(), None).await;
        connecting.expect(LOST).await;
    }
}

#[tokio::test]
async fn what_is_queued_when_the_owner_drops_the_connection_is_still_sent() {
    let mut listening = End::listening(&tls(), None).await;
    let mut peer = TcpStream::connect(listening.address()).await.unwrap();
    listening.expect(ConnectionInput::Opened).await;
    for _ in 0..SEND_QUEUE {
        listening
            .stream
            .send(Bytes::from_static(b"goodbye."))
            .unwrap();
    }
    drop(listening.stream);
    let mut read = Vec::new();
    let end = timeout(LIMIT, peer.read_to_end(&mut read)).await;
    end.expect("in time").unwrap();
    assert_eq!(read.len(), SEND_QUEUE * 8);
    assert_eq!(listening.events.recv().await, None, "its end is no news");
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_noticed() {
    let mut listening = End::listening(&tls(), None).await;
    let _peer = TcpStream::connect(listening.address()).await.unwrap();
    listening.expect(ConnectionInput::Opened).await;
    let much = Bytes::from(vec![0; 1 << 20]);
    let stalled = async {
        while listening.stream.send(much.clone()).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, stalled).await.expect("its queue is bounded");
}

#[tokio::test]
async fn before_it_stands_nothing_is_kept_for_the_peer() {
    let mut listening = End::listening(&tls(), None).await;
    for _ in 0..2 * SEND_QUEUE {
        assert_eq!(listening.stream.send(Bytes::from_static(b"early")), Ok(()));
        tokio::task::yield_now().await;
    }
    let mut peer = TcpStream::connect(listening.address()).await.unwrap();
    listening.expect(ConnectionInput::Opened).await;
    listening.stream.send(Bytes::from_static(b"late!")).unwrap();
    let mut read = [0; 5];
    timeout(LIMIT, peer.read_exact(&mut read))
        .await
        .expect("in time")
        .unwrap();
    assert_eq!(&read, b"late!");
}
