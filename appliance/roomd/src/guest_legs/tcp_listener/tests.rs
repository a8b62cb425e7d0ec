use std::future::poll_fn;

use tokio::io::AsyncWriteExt;

use super::super::unknown_connections::MOST_OF_SOURCE;
use super::*;
use crate::owned_tasks::OwnedTasks;

/// A port that is listened at, for as long as the tasks are there.
async fn listening() -> (SocketAddr, TcpPort, OwnedTasks) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = GuestTcpListener::bind(any).await.unwrap();
    let port = listener.port();
    let mut tasks = OwnedTasks::default();
    tasks.spawn_lasting(listener.run());
    (SocketAddr::new(any.ip(), port.number()), port, tasks)
}

/// A binding request to that name: header, USERNAME, PRIORITY, ICE-CONTROLLING and MESSAGE-INTEGRITY of nobody.
fn check(ufrag: &str) -> Vec<u8> {
    let name = format!("{ufrag}:theirs");
    let mut attributes = vec![0, 6];
    attributes.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
    attributes.extend(name.bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    attributes.extend([0, 0x24, 0, 4, 0, 0, 1, 0]);
    attributes.extend([0x80, 0x2a, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]);
    attributes.extend([0, 8, 0, 20]);
    attributes.extend([7; 20]);
    let mut message = vec![0, 1];
    message.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
    message.extend([0x21, 0x12, 0xa4, 0x42]);
    message.extend([9; 12]);
    message.extend(attributes);
    message
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&length, message].concat()
}

async fn next(arriving: &mut Arriving) -> TcpConnection {
    poll_fn(|context| arriving.poll_next(context)).await
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn a_connection_comes_to_the_leg_that_its_first_message_names() {
    let (address, port, _tasks) = listening().await;
    let mut anna = port.await_connections("anna");
    let mut ben = port.await_connections("ben0");
    for (ufrag, leg) in [("ben0", &mut ben), ("anna", &mut anna)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let check = check(ufrag);
        // However the network cuts it.
        for byte in framed(&check) {
            stream.write_all(&[byte]).await.unwrap();
        }
        let mut connection = next(leg).await;
        let path = (address, stream.local_addr().unwrap());
        assert_eq!(connection.path(), path);
        let mut frames = Vec::new();
        connection
            .advance(|frame| frames.push(frame.to_vec()))
            .unwrap();
        assert_eq!(frames, [check]);
    }
}

#[tokio::test]
async fn a_leg_is_found_by_the_name_that_it_has_now() {
    let (address, port, _tasks) = listening().await;
    let mut anna = port.await_connections("old");
    anna.set_ufrag("new");
    let mut too_late = TcpStream::connect(address).await.unwrap();
    too_late.write_all(&framed(&check("old"))).await.unwrap();
    assert!(is_closed(&mut too_late).await);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&framed(&check("new"))).await.unwrap();
    drop(next(&mut anna).await);
    drop(anna);
    assert!(lock(&port.awaiting).is_empty());
    let mut nobody = TcpStream::connect(address).await.unwrap();
    nobody.write_all(&framed(&check("new"))).await.unwrap();
    assert!(is_closed(&mut nobody).await);
}

#[tokio::test]
async fn what_is_no_check_of_ice_is_closed() {
    let (address, port, _tasks) = listening().await;
    let _anna = port.await_connections("anna");
    for nonsense in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        framed(b"hello"),
        // Longer than any first message.
        vec![0x7f; 4],
        b"\x00\x00".repeat(1_000),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(is_closed(&mut stream).await);
    }
}

/// In virtual time: it goes on once nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn whoever_does_not_say_whose_it_is_is_closed_in_time() {
    let (address, port, _tasks) = listening().await;
    let _anna = port.await_connections("anna");
    let start = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&framed(&check("anna"))[..30]).await.unwrap();
    assert!(is_closed(&mut silent).await);
    assert!(is_closed(&mut slow).await);
    assert!(start.elapsed() >= FIRST_MESSAGE);
}

#[tokio::test]
async fn unknown_connections_of_a_source_are_bounded_and_known_ones_are_not_of_them() {
    let (address, port, _tasks) = listening().await;
    let mut anna = port.await_connections("anna");
    let mut known = Vec::new();
    for _ in 0..MOST_OF_SOURCE {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&framed(&check("anna"))).await.unwrap();
        known.push((stream, next(&mut anna).await));
    }
    let mut silent = Vec::new();
    for _ in 0..MOST_OF_SOURCE {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut one_too_many = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut one_too_many).await);
    for stream in &silent {
        let error = stream.try_read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "still there");
    }
}
