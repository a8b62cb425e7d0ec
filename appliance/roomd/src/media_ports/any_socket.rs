//! Receives from several sockets in turn, so that none is starved.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// The next datagram of any socket, with the socket's index: its length in `buffer`, and its source.
/// `next` is where the next look begins. May be dropped and called again: nothing is lost.
///
/// # Errors
/// What the socket says, such as the ICMP error of an earlier send.
pub(crate) async fn receive(
    sockets: &[UdpSocket],
    next: &mut usize,
    buffer: &mut [u8],
) -> (usize, io::Result<(usize, SocketAddr)>) {
    poll_fn(|context| {
        for offset in 0..sockets.len() {
            let index = (*next + offset) % sockets.len();
            let mut read = ReadBuf::new(buffer);
            if let Poll::Ready(result) = sockets[index].poll_recv_from(context, &mut read) {
                *next = (index + 1) % sockets.len();
                let length = read.filled().len();
                return Poll::Ready((index, result.map(|source| (length, source))));
            }
        }
        Poll::Pending
    })
    .await
}
