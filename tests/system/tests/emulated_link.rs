//! The emulated link does what it is asked for, seen by datagrams that go over it and back.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::net::Ipv4Addr;
use std::time::Duration;

use system::child_process::{ChildProcess, output_of};
use system::emulated_link::{Conditions, Direction, EmulatedLink};
use system::network_namespace::NetworkNamespace;

const LIMIT: Duration = Duration::from_secs(20);
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Sends back what comes.
const ECHO: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('10.77.0.2', 9000))
print('ready', flush=True)
while True:
    data, sender = s.recvfrom(2048)
    s.sendto(data, sender)
";

/// Sends datagrams of so many bytes, so many, so far apart, and prints how many milliseconds each that came back took.
const PROBE: &str = "
import select, socket, struct, sys, time
size, count, apart = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setblocking(False)
s.connect(('10.77.0.2', 9000))
start, sent = time.monotonic(), 0
while True:
    now = time.monotonic()
    due = start + sent * apart if sent < count else start + count * apart + 1
    if now < due:
        if select.select([s], [], [], due - now)[0]:
            print((time.monotonic() - struct.unpack('d', s.recv(2048)[:8])[0]) * 1e3)
    elif sent < count:
        s.send(struct.pack('d', now) + bytes(size - 8))
        sent += 1
    else:
        break
";

struct Network {
    // The programs end before their networks vanish: fields are dropped in this order.
    _echo: ChildProcess,
    link: EmulatedLink,
    near: NetworkNamespace,
    _far: NetworkNamespace,
}

impl Network {
    fn new() -> Self {
        let near = NetworkNamespace::new().unwrap();
        let far = near.beside().unwrap();
        let link = EmulatedLink::connect((&near, NEAR), (&far, FAR), 1).unwrap();
        let echo = ChildProcess::start("echo", far.command("python3").args(["-c", ECHO])).unwrap();
        echo.wait_for_line("ready", LIMIT).unwrap();
        Self {
            _echo: echo,
            link,
            near,
            _far: far,
        }
    }

    /// The times of datagrams to the far end and back, in milliseconds.
    fn probe(&self, size: u32, count: u32, apart: f64) -> Vec<f64> {
        let words = [size.to_string(), count.to_string(), apart.to_string()];
        let mut probe = self.near.command("python3");
        probe.args(["-c", PROBE]).args(words);
        let printed = String::from_utf8(output_of(&mut probe).unwrap()).unwrap();
        printed.lines().map(|line| line.parse().unwrap()).collect()
    }
}

#[test]
fn a_packet_takes_the_delay_of_both_ways() {
    let network = Network::new();
    let conditions = Conditions {
        delay: Duration::from_millis(50),
        ..Conditions::NONE
    };
    network.link.change_both(conditions).unwrap();
    let times = network.probe(100, 40, 0.025);
    assert_eq!(times.len(), 40);
    // Never less; the machine's load may add to single ones.
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    assert!((100.0..103.0).contains(&least), "{times:?}");
}

#[test]
fn more_than_the_rate_waits_in_the_queue_and_is_dropped_behind_it() {
    let network = Network::new();
    let conditions = Conditions {
        rate_bps: Some(1e6),
        queue: Duration::from_millis(300),
        ..Conditions::NONE
    };
    network.link.change(Direction::ToFar, conditions).unwrap();
    // 1,250 bytes each with their headers, 2 Mbit/s, 3 s.
    network.probe(1_222, 600, 0.005);
    let intervals = network.link.report(Direction::ToFar).unwrap();
    // From when the queue has filled.
    let busy = &intervals[10..50];
    let span = busy[39].at - busy[0].at;
    let bytes: u64 = busy[..39].iter().map(|it| it.carried_bytes).sum();
    let rate = bytes as f64 * 8.0 / span.as_secs_f64();
    assert!((0.97e6..1.03e6).contains(&rate), "{rate}");
    let wait = busy.iter().map(|it| it.longest_wait).max().unwrap();
    let queue = Duration::from_millis(300)..Duration::from_millis(320);
    assert!(queue.contains(&wait), "{wait:?}");
    assert!(busy.iter().map(|it| it.dropped).sum::<u64>() > 50);
}

#[test]
fn as_many_packets_are_lost_as_asked_for_by_themselves_or_in_bursts() {
    for burst in [1, 3] {
        let network = Network::new();
        let conditions = Conditions {
            loss: 0.1,
            burst,
            ..Conditions::NONE
        };
        network.link.change(Direction::ToFar, conditions).unwrap();
        let arrived = network.probe(100, 1_000, 0.002).len();
        // Which ones depends on the seed alone, but for what else the kernel sends.
        assert!((850..=940).contains(&arrived), "{arrived} of 1000");
    }
}
