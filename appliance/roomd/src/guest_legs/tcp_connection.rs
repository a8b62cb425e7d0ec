//! One TCP connection with a guest's browser, which carries datagrams in frames (RFC 4571).
//!
//! What the browser does not read is lost, as on any network, and does not pile up: the kernel keeps little that has
//! not left, we keep less, and the leg holds pictures back while the connection is full, so that congestion control
//! sees the queue where it can do something about it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use webrtc::{Deframer, LONGEST_FIRST_FRAME, LONGEST_FRAME, length_prefix};

use crate::socket_address::canonical;

/// What the kernel may keep: what is under way at 4 Mbit/s with 250 ms to an answer.
const SEND_BUFFER: usize = 128 * 1024;

/// Of that, what may wait to leave: about as much as a picture of the camera has.
const UNSENT_IN_KERNEL: u32 = 16 * 1024;

/// Bytes that may wait for the kernel. Datagrams beyond it are dropped.
const UNSENT: usize = 8 * 1024;

/// How long the kernel tries to reach a browser that acknowledges nothing (RFC 5482): as long as its consent lasts.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that are read together.
const READ_BYTES: usize = 16 * 1024;

/// How long whoever we have connected to may take to send a frame.
const FIRST_FRAME: Duration = Duration::from_secs(10);

/// A connection that a browser has opened and whose first frame has come, or one that we have opened.
#[derive(Debug)]
pub(super) struct TcpConnection {
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    deframer: Deframer,
    /// The frame that has told whose it is, until the leg takes it.
    first: Option<Bytes>,
    /// What the kernel has not taken yet.
    unsent: BytesMut,
    heard_at: Instant,
    /// When it is over unless a frame has come, on one that we have opened.
    silent_until: Option<Pin<Box<Sleep>>>,
}

impl TcpConnection {
    /// Takes over the stream, of which `first` and what is in `deframer` has come so far.
    ///
    /// # Errors
    /// The connection is gone.
    pub(super) fn new(stream: TcpStream, mut deframer: Deframer, first: Bytes) -> io::Result<Self> {
        deframer.set_limit(LONGEST_FRAME);
        let local = canonical(stream.local_addr()?);
        Self::with(stream, local, deframer, Some(first))
    }

    /// Takes over a stream that we have opened. The leg knows our address of it as `local`.
    ///
    /// # Errors
    /// The connection is gone.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn opened(stream: TcpStream, local: SocketAddr) -> io::Result<Self> {
        let deframer = Deframer::new(LONGEST_FIRST_FRAME);
        let mut connection = Self::with(stream, local, deframer, None)?;
        connection.silent_until = Some(Box::pin(sleep(FIRST_FRAME)));
        Ok(connection)
    }

    fn with(
        stream: TcpStream,
        local: SocketAddr,
        deframer: Deframer,
        first: Option<Bytes>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_tcp_notsent_lowat(UNSENT_IN_KERNEL)?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        Ok(Self {
            local,
            remote: canonical(stream.peer_addr()?),
            stream,
            deframer,
            first,
            unsent: BytesMut::new(),
            heard_at: Instant::now(),
            silent_until: None,
        })
    }

    /// Our address, and the browser's.
    pub(super) fn path(&self) -> (SocketAddr, SocketAddr) {
        (self.local, self.remote)
    }

    /// When something has come last.
    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Whether a frame has come.
    pub(super) fn is_answered(&self) -> bool {
        self.silent_until.is_none()
    }

    /// Whether it takes no more just now.
    pub(super) fn is_full(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Ready when [`Self::advance`] has something to do.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.first.is_some() || self.stream.poll_read_ready(context).is_ready() {
            return Poll::Ready(());
        }
        if self.is_full() && self.stream.poll_write_ready(context).is_ready() {
            return Poll::Ready(());
        }
        if let Some(silent_until) = &mut self.silent_until {
            return silent_until.as_mut().poll(context);
        }
        Poll::Pending
    }

    /// Sends what waits as far as that is possible, and gives `take` the frames that have come.
    ///
    /// # Errors
    /// The connection is over, or its frames make no sense.
    pub(super) fn advance(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        self.flush()?;
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.heard_at = Instant::now();
                self.deframer.push(&buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if let Some(first) = self.first.take() {
            take(&first);
        }
        let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        while let Some(frame) = self.deframer.next_frame().map_err(broken)? {
            if self.silent_until.take().is_some() {
                self.deframer.set_limit(LONGEST_FRAME);
            }
            take(&frame);
        }
        match &self.silent_until {
            Some(silent_until) if silent_until.is_elapsed() => Err(io::ErrorKind::TimedOut.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// `WouldBlock`: it is dropped, because too much waits. Any other: the connection is over, which shows where it
    /// is read too.
    pub(super) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let prefix = length_prefix(datagram).ok_or(io::ErrorKind::InvalidInput)?;
        if self.is_full() {
            if self.unsent.len() + prefix.len() + datagram.len() > UNSENT {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.unsent.extend_from_slice(&prefix);
            self.unsent.extend_from_slice(datagram);
            return Ok(());
        }
        let parts = [IoSlice::new(&prefix), IoSlice::new(datagram)];
        let written = match self.stream.try_write_vectored(&parts) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        // Half a frame would be the end of the stream: the rest has to follow.
        let of_prefix = written.min(prefix.len());
        self.unsent.extend_from_slice(&prefix[of_prefix..]);
        self.unsent
            .extend_from_slice(&datagram[written - of_prefix..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(written) => self.unsent.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn connected() -> (TcpConnection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let browser = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (ours, _) = listener.accept().await.unwrap();
        let deframer = Deframer::new(LONGEST_FIRST_FRAME);
        let connection = TcpConnection::new(ours, deframer, Bytes::from_static(b"first"));
        (connection.unwrap(), browser.unwrap())
    }

    async fn advance(connection: &mut TcpConnection) -> io::Result<Vec<Vec<u8>>> {
        poll_fn(|context| connection.poll_ready(context)).await;
        let mut frames = Vec::new();
        connection.advance(|frame| frames.push(frame.to_vec()))?;
        Ok(frames)
    }

    #[tokio::test]
    async fn the_first_frame_comes_before_those_behind_it() {
        let (mut connection, mut browser) = connected().await;
        browser.write_all(b"\x00\x06second\x00").await.unwrap();
        let mut frames = Vec::new();
        while frames.len() < 2 {
            frames.extend(advance(&mut connection).await.unwrap());
        }
        assert_eq!(frames, [&b"first"[..], b"second"]);
        browser.write_all(b"\x05third").await.unwrap();
        assert_eq!(advance(&mut connection).await.unwrap(), [b"third"]);
        drop(browser);
        advance(&mut connection).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_stream_that_makes_no_sense_is_over() {
        let (mut connection, mut browser) = connected().await;
        assert_eq!(advance(&mut connection).await.unwrap(), [b"first"]);
        browser.write_all(b"\xff\xffxx").await.unwrap();
        let error = advance(&mut connection).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_browser_that_does_not_read_costs_bounded_memory_and_gets_whole_frames_once_it_does()
    {
        let (mut connection, mut browser) = connected().await;
        advance(&mut connection).await.unwrap();
        let mut sent = 0_usize;
        loop {
            let datagram = [u8::try_from(sent % 251).unwrap(); 1_200];
            match connection.send(&datagram) {
                Ok(()) => sent += 1,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
            assert!(connection.unsent.len() <= UNSENT);
            assert!(sent < 20_000, "nobody reads 24 MB");
        }
        assert!(connection.is_full());
        let mut frame = [0; 1_202];
        for number in 0..sent {
            let read = browser.read_exact(&mut frame);
            let written = async {
                loop {
                    advance(&mut connection).await.unwrap();
                }
            };
            tokio::select! {
                biased;
                read = read => read.map(drop).unwrap(),
                () = written => {}
            }
            let expected = u8::try_from(number % 251).unwrap();
            assert_eq!(frame[..2], 1_200_u16.to_be_bytes());
            assert_eq!(frame[2..], [expected; 1_200]);
        }
        assert!(!connection.is_full());
        connection.send(b"again").unwrap();
        let mut rest = [0; 7];
        browser.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"\x00\x05again");
    }
}
