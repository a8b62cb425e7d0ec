//! Strangers send what they like to the room's ports in a call: it is counted, and the call goes on.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use system::baresip::Transport;

use crate::site::{LIMIT, Site, in_the_clear, site};

/// T1 (RFC 3261 section 17.1.1.1).
const RETRANSMISSION: Duration = Duration::from_millis(500);
const DATAGRAMS: u32 = 500;
const OPTIONS: &str = "OPTIONS sip:room@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{n}\r\n\
     From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:room@127.0.0.1>\r\nCall-ID: {n}\r\n\
     CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

/// A stranger's socket.
fn stranger() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(RETRANSMISSION)).unwrap();
    socket
}

fn sip_port(site: &Site) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, site.room.sip_port()).into()
}

/// The room's RTP ports of audio and video, from the session description that the peer received.
fn rtp_ports(site: &Site) -> [SocketAddr; 2] {
    ["m=audio ", "m=video "].map(|line_start| {
        let lines = site.peer.log().entries();
        // The peer's own line is in the log too: the room's ports are those that it was given.
        let port = lines.iter().find_map(|line| {
            let (port, _) = line.trim().strip_prefix(line_start)?.split_once(' ')?;
            port.parse()
                .ok()
                .filter(|port| site.room.has_media_port(*port))
        });
        (Ipv4Addr::LOCALHOST, port.unwrap()).into()
    })
}

/// Bytes without any order, the same at each run (xorshift).
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) * 2 + 1;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(byte).take(length).collect()
}

fn damaged_sip(n: u32) -> Vec<u8> {
    let message = OPTIONS
        .replace("{local}", "127.0.0.1:9")
        .replace("{n}", &n.to_string());
    let damaged = match n % 6 {
        0 => return noise(n, 40 + n as usize),
        1 => message.replace("CSeq: 1 OPTIONS", "CSeq: 99999999999999999999 OPTIONS"),
        2 => message.replace("Content-Length: 0", "Content-Length: -1"),
        3 => message.replace("Max-Forwards", "\0\u{7f}"),
        4 => message.replace("SIP/2.0\r\nVia", "SIP/9.0\r\nVia"),
        _ => message[..message.len() / 2].to_owned(),
    };
    damaged.into_bytes()
}

/// Asks what the room can until it answers: a burst may have filled the sockets' buffers.
fn answer_to_a_good_message(stranger: &UdpSocket, room: SocketAddr) -> String {
    let local = stranger.local_addr().unwrap().to_string();
    let good = OPTIONS.replace("{local}", &local).replace("{n}", "good");
    let deadline = Instant::now() + LIMIT;
    let mut datagram = [0; 2_048];
    while Instant::now() < deadline {
        stranger.send_to(good.as_bytes(), room).unwrap();
        while let Ok(length) = stranger.recv(&mut datagram) {
            let answer = String::from_utf8_lossy(&datagram[..length]);
            if answer.contains("Call-ID: good") {
                return answer.into_owned();
            }
        }
    }
    panic!("the room has not answered within {LIMIT:?}");
}

#[test]
fn malformed_sip_in_a_call_is_counted_and_the_call_goes_on() {
    let mut site = site(in_the_clear(Transport::Udp));
    site.room_calls();
    let stranger = stranger();
    for n in 0..DATAGRAMS {
        stranger.send_to(&damaged_sip(n), sip_port(&site)).unwrap();
    }
    let answer = answer_to_a_good_message(&stranger, sip_port(&site));
    assert!(answer.starts_with("SIP/2.0 486"), "{answer}");
    let name = "roomd_sip_messages_dropped_total{reason=\"malformed\"}";
    let counted = site.room.roomd.metric(name).unwrap();
    assert!(counted > 0.0);
    site.assert_media_flows_on();
}

/// Packets that look like the stream's own but for their origin.
fn forged_rtp(n: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 96, (n >> 8) as u8, n as u8];
    packet.extend(noise(n, 168));
    packet
}

fn strangers_rtp_is_not_let_in(site: &mut Site, reason: &str) {
    site.room_calls();
    let stranger = stranger();
    let name = format!("roomd_media_datagrams_dropped_total{{reason=\"{reason}\"}}");
    let before = site.room.roomd.metric(&name).unwrap();
    let mut sent = 0;
    for port in rtp_ports(site) {
        for n in 0..DATAGRAMS {
            stranger.send_to(&forged_rtp(n), port).unwrap();
            stranger.send_to(&noise(n, n as usize % 40), port).unwrap();
            sent += 2;
        }
    }
    site.assert_media_flows_on();
    let counted = site.room.roomd.metric(&name).unwrap() - before;
    // The kernel may drop some of a burst; none that it delivers is used.
    assert!(
        counted > 0.0 && counted <= f64::from(sent),
        "{counted} of {sent}"
    );
    // Had the room followed the stranger, pictures would come here.
    stranger.set_nonblocking(true).unwrap();
    assert!(
        stranger.recv(&mut [0; 2_048]).is_err(),
        "media came to a stranger"
    );
}

#[test]
fn rtp_without_a_valid_tag_is_counted_and_never_moves_the_media() {
    let mut site = site(|_, _| {});
    strangers_rtp_is_not_let_in(&mut site, "unauthenticated");
}

#[test]
fn rtp_from_a_wrong_source_is_counted_and_never_moves_the_media_of_a_plain_call() {
    let mut site = site(in_the_clear(Transport::Udp));
    strangers_rtp_is_not_let_in(&mut site, "foreign");
}
