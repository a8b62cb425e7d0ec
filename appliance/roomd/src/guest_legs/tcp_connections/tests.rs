use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use webrtc::TCP_ACTIVE_PORT;

use super::super::active_connections::{MOST_ACTIVE, RoomAttempts};
use super::super::tcp_listener::GuestTcpListener;
use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Our address, as the leg knows it.
const OURS: SocketAddr = SocketAddr::new(LOOPBACK, TCP_ACTIVE_PORT);

async fn connections() -> TcpConnections {
    let any = SocketAddr::new(LOOPBACK, 0);
    let listener = GuestTcpListener::bind(any).await.unwrap();
    TcpConnections::new(&listener.port())
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn datagram(destination: SocketAddr, kind: DatagramKind, payload: &'static [u8]) -> Transmit {
    Transmit {
        protocol: Protocol::Tcp,
        source: OURS,
        destination,
        payload: Bytes::from_static(payload),
        kind,
    }
}

fn check(destination: SocketAddr) -> Transmit {
    datagram(destination, DatagramKind::Connectivity, b"check")
}

/// Carries the connections until a frame has come.
async fn received(connections: &mut TcpConnections) -> (SocketAddr, SocketAddr, Vec<u8>) {
    let mut received = None;
    while received.is_none() {
        let ready = connections.ready().await;
        connections.advance(ready, |frame| {
            received = Some((frame.source, frame.destination, frame.payload.to_vec()));
        });
    }
    received.unwrap()
}

/// Carries the connections until none is left.
async fn all_closed(connections: &mut TcpConnections) {
    loop {
        let ready = connections.ready().await;
        connections.advance(ready, |frame| panic!("nobody has sent {frame:?}"));
        if connections.connections.is_empty() {
            assert_eq!(connections.take_closed().len(), 1);
            return;
        }
    }
}

/// Waits for the connection that is opened, while that is carried.
async fn accepted(connections: &mut TcpConnections, listener: &TcpListener) -> TcpStream {
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => return accepted.unwrap().0,
            ready = connections.ready() => connections.advance(ready, |_| {}),
        }
    }
}

async fn frame(stream: &mut TcpStream) -> Vec<u8> {
    let length = stream.read_u16().await.unwrap();
    let mut frame = vec![0; length.into()];
    stream.read_exact(&mut frame).await.unwrap();
    frame
}

/// A kernel that knows us would take the connection for us; this gives the check that goes out to the other end.
async fn first_frame(connections: &mut TcpConnections, stream: &mut TcpStream) -> Vec<u8> {
    tokio::select! {
        frame = frame(stream) => frame,
        _ = async { loop {
            let ready = connections.ready().await;
            connections.advance(ready, |_| {});
        } } => unreachable!("it does not end"),
    }
}

#[tokio::test]
async fn a_check_opens_a_connection_to_where_the_browser_listens_and_all_goes_by_it() {
    let mut connections = connections().await;
    let (listener, browser) = listening().await;
    // Before a check has made a connection, nothing goes there.
    let dtls = datagram(browser, DatagramKind::Dtls, b"hello");
    let error = connections.send(&dtls).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    connections.send(&check(browser)).unwrap();
    // What is sent meanwhile takes its place.
    let newer = datagram(browser, DatagramKind::Connectivity, b"newer check");
    connections.send(&newer).unwrap();
    let mut stream = accepted(&mut connections, &listener).await;
    let first = first_frame(&mut connections, &mut stream).await;
    assert_eq!(first, b"newer check");
    stream.write_all(b"\x00\x06answer").await.unwrap();
    let expected = (browser, OURS, b"answer".to_vec());
    assert_eq!(received(&mut connections).await, expected);
    for sent in [dtls, check(browser)] {
        connections.send(&sent).unwrap();
        assert_eq!(frame(&mut stream).await, sent.payload);
    }
    assert_eq!(connections.connections.len(), 1);
}

#[tokio::test]
async fn a_service_that_speaks_otherwise_gets_one_check_and_is_left_alone() {
    let mut connections = connections().await;
    let (listener, service) = listening().await;
    connections.send(&check(service)).unwrap();
    let mut stream = accepted(&mut connections, &listener).await;
    stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
    all_closed(&mut connections).await;
    let error = connections.send(&check(service)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let mut sent = Vec::new();
    // The end may come as a reset.
    let _ = stream.read_to_end(&mut sent).await;
    assert_eq!(sent, b"\x00\x05check");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_says_nothing_is_left_alone_after_a_while() {
    let mut connections = connections().await;
    let (_listener, service) = listening().await;
    connections.send(&check(service)).unwrap();
    all_closed(&mut connections).await;
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_tried_ever_more_seldom() {
    let (listener, nobody) = listening().await;
    drop(listener);
    let mut active = ActiveConnections::new(RoomAttempts::default());
    let start = Instant::now();
    let check = Bytes::from_static(b"check");
    let mut attempts = Vec::new();
    for second in 0..120 {
        let now = start + Duration::from_secs(second);
        if active.connect(now, (OURS, nobody), &check, 0).is_ok() {
            attempts.push(second);
            // Until it is refused.
            poll_fn(|context| {
                assert!(active.poll_next(context).is_pending());
                if active.is_idle() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }
    assert_eq!(attempts, [0, 2, 6, 14, 30, 62]);
}

#[tokio::test]
async fn neither_a_leg_nor_all_of_them_connect_often() {
    let of_room = RoomAttempts::default();
    let start = Instant::now();
    let check = Bytes::from_static(b"check");
    let mut all = 0;
    for leg in 0..10_u16 {
        let mut active = ActiveConnections::new(of_room.clone());
        let mut of_leg = 0;
        for number in 0..100 {
            let remote = SocketAddr::new(LOOPBACK, 50_000 + 100 * leg + number);
            let now = start + Duration::from_millis(100) * number.into();
            if active.connect(now, (OURS, remote), &check, 0).is_ok() {
                of_leg += 1;
                // It ends as if it had been refused.
                active.retain(&[]);
            }
            // As many as may be open are.
            let full = active.connect(now, (OURS, remote), &check, MOST_ACTIVE);
            full.unwrap_err();
        }
        assert!(of_leg <= 8, "{of_leg}");
        all += of_leg;
    }
    assert_eq!(all, 30);
}

#[tokio::test]
async fn nobody_elsewhere_has_us_knock_at_our_loopback() {
    let mut active = ActiveConnections::new(RoomAttempts::default());
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], TCP_ACTIVE_PORT));
    let service = SocketAddr::new(LOOPBACK, 50_000);
    let check = Bytes::from_static(b"check");
    let refused = active.connect(Instant::now(), (elsewhere, service), &check, 0);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}
