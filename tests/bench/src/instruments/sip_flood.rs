//! A stranger who sends noise to a SIP port, at a rate.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Packets that go out together.
const BATCH: u32 = 100;

/// Requests and responses that each break a rule, and bytes that are no message.
const NOISE: [&[u8]; 5] = [
    b"INVITE sip:room@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bK1\r\n\r\n",
    b"INVITE sip:room@127.0.0.1 SIP/7.0\r\nContent-Length: 99999\r\nCSeq: 1 BYE\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: nonsense\r\nCSeq: 4294967296 INVITE\r\n\r\n",
    b"REGISTER sip:\xff\xfe SIP/2.0\r\nFrom: <sip:@@@>;tag=\r\nTo: \"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03not SIP at all",
];

/// A running flood.
#[derive(Debug)]
pub(crate) struct SipFlood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Duration)>,
}

impl SipFlood {
    /// Begins to send `rate` packets a second.
    pub(crate) fn start(target: SocketAddr, rate: u32) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        // Errors that come back (a full queue, a refused packet) are the target's affair.
        socket.set_nonblocking(true)?;
        socket.connect(target)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || send(&socket, rate, &stopped));
        Ok(Self { stop, thread })
    }

    /// Ends it, and gives the packets that were sent in a second.
    pub(crate) fn stop(self) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, took) = self
            .thread
            .join()
            .map_err(|_| anyhow!("the sender panicked"))?;
        Ok(sent as f64 / took.as_secs_f64())
    }
}

fn send(socket: &UdpSocket, rate: u32, stopped: &AtomicBool) -> (u64, Duration) {
    let interval = Duration::from_secs(1) * BATCH / rate;
    let started = Instant::now();
    let mut next = started;
    let mut sent = 0;
    while !stopped.load(Ordering::Relaxed) {
        for noise in NOISE.iter().cycle().take(BATCH as usize) {
            sent += u64::from(socket.send(noise).is_ok());
        }
        next += interval;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    (sent, started.elapsed())
}
