//! The BFCP port of one leg: datagrams to the peer of its floor and from it (RFC 8855 section 6.2).
//!
//! ```text
//!  endpoint ──bounded──> socket ──> the negotiated peer, or nowhere
//!  endpoint <──bounded── [from the negotiated peer?] <── socket
//! ```
//!
//! What finds a queue full is dropped, as the network might have dropped it: BFCP sends again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use room::ids::LegId;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::floor_events::{FloorEvent, FloorInput};
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;
use crate::socket_address::{as_sent_from, canonical};

/// The largest datagram that is looked at: a peer cuts its messages to what a path takes, which is
/// rarely more than 1,500 bytes.
const LARGEST_DATAGRAM: usize = 4_096;
/// Datagrams of one leg that wait to be sent.
const SEND_QUEUE: usize = 32;

/// The running channel of one leg. Dropping it closes the socket.
#[derive(Debug)]
pub struct FloorChannel {
    remote: watch::Sender<Option<SocketAddr>>,
    outgoing: mpsc::Sender<Bytes>,
    task: AbortHandle,
}

impl FloorChannel {
    /// Starts to move the datagrams of a leg, in a task that `tasks` owns; nothing passes before
    /// [`Self::set_remote`] names a peer.
    #[must_use]
    pub fn start(
        tasks: &mut OwnedTasks,
        leg: LegId,
        socket: UdpSocket,
        incoming: mpsc::Sender<FloorEvent>,
        counters: Arc<NetworkCounters>,
    ) -> Self {
        let (remote, remote_changes) = watch::channel(None);
        let (outgoing, to_send) = mpsc::channel(SEND_QUEUE);
        let task = Task {
            leg,
            socket,
            remote: remote_changes,
            incoming,
            counters,
        };
        let task = tasks.spawn_passing(task.run(to_send));
        Self {
            remote,
            outgoing,
            task,
        }
    }

    /// Names the peer's port, or none while it names no address.
    pub fn set_remote(&self, remote: Option<SocketAddr>) {
        self.remote.send_replace(remote);
    }

    /// Sends a datagram to the peer.
    pub fn send(&self, datagram: Bytes) {
        if self.outgoing.try_send(datagram).is_err() {
            tracing::debug!("a floor control datagram was dropped: too many wait");
        }
    }
}

impl Drop for FloorChannel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    leg: LegId,
    socket: UdpSocket,
    remote: watch::Receiver<Option<SocketAddr>>,
    incoming: mpsc::Sender<FloorEvent>,
    counters: Arc<NetworkCounters>,
}

impl Task {
    /// Ends when its owner has gone.
    async fn run(self, mut to_send: mpsc::Receiver<Bytes>) {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        loop {
            tokio::select! {
                datagram = to_send.recv() => match datagram {
                    Some(datagram) => self.send(&datagram).await,
                    None => return,
                },
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => {
                        self.take_in(from, buffer.get(..length).unwrap_or_default());
                    }
                    Err(error) => tracing::debug!(leg = %self.leg, %error, "floor control socket"),
                },
            }
        }
    }

    async fn send(&self, datagram: &[u8]) {
        let remote = *self.remote.borrow();
        let Some(remote) = remote else { return };
        let target = self
            .socket
            .local_addr()
            .map(|local| as_sent_from(local, remote));
        let Ok(target) = target else { return };
        if let Err(error) = self.socket.send_to(datagram, target).await {
            tracing::debug!(leg = %self.leg, %remote, %error, "floor control was not sent");
        }
    }

    fn take_in(&self, from: SocketAddr, payload: &[u8]) {
        let from = canonical(from);
        let counters = &self.counters.datagrams;
        if *self.remote.borrow() != Some(from) {
            counters.foreign.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let event = FloorEvent {
            leg: self.leg,
            what: FloorInput::Datagram(Bytes::copy_from_slice(payload)),
        };
        if self.incoming.try_send(event).is_err() {
            counters.overrun.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media_ports::floor_events::{QUEUE, floor_events};

    /// Longer than a loopback datagram takes; only a failing test waits for it.
    const LIMIT: Duration = Duration::from_secs(10);
    const LEG: LegId = LegId(7);

    struct Ends {
        /// Owns the channel's task.
        _tasks: OwnedTasks,
        channel: FloorChannel,
        received: mpsc::Receiver<FloorEvent>,
        counters: Arc<NetworkCounters>,
        ours: SocketAddr,
        peer: UdpSocket,
    }

    async fn loopback() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").await.unwrap()
    }

    async fn ends() -> Ends {
        let mut tasks = OwnedTasks::default();
        let socket = loopback().await;
        let ours = socket.local_addr().unwrap();
        let (incoming, received) = floor_events();
        let counters = Arc::new(NetworkCounters::default());
        let shared = Arc::clone(&counters);
        let channel = FloorChannel::start(&mut tasks, LEG, socket, incoming, shared);
        let peer = loopback().await;
        Ends {
            _tasks: tasks,
            channel,
            received,
            counters,
            ours,
            peer,
        }
    }

    async fn next(received: &mut mpsc::Receiver<FloorEvent>) -> Bytes {
        let event = tokio::time::timeout(LIMIT, received.recv()).await;
        let event = event.expect("in time").expect("the channel stands");
        assert_eq!(event.leg, LEG);
        match event.what {
            FloorInput::Datagram(payload) => payload,
            FloorInput::Connection { .. } => panic!("there is no connection"),
        }
    }

    #[tokio::test]
    async fn datagrams_pass_between_the_endpoint_and_the_negotiated_peer() {
        let mut ends = ends().await;
        ends.channel
            .set_remote(Some(ends.peer.local_addr().unwrap()));
        ends.channel.send(Bytes::from_static(b"hello"));
        let mut buffer = [0; 16];
        let arrived = tokio::time::timeout(LIMIT, ends.peer.recv_from(&mut buffer)).await;
        assert_eq!(arrived.expect("in time").unwrap(), (5, ends.ours));
        assert_eq!(&buffer[..5], b"hello");
        ends.peer.send_to(b"hello back", ends.ours).await.unwrap();
        assert_eq!(&next(&mut ends.received).await[..], b"hello back");
    }

    #[tokio::test]
    async fn a_datagram_from_elsewhere_is_dropped_and_counted() {
        let mut ends = ends().await;
        let stranger = loopback().await;
        ends.channel
            .set_remote(Some(ends.peer.local_addr().unwrap()));
        stranger.send_to(b"mine", ends.ours).await.unwrap();
        // Loopback keeps the order of what one socket receives.
        ends.peer.send_to(b"theirs", ends.ours).await.unwrap();
        assert_eq!(&next(&mut ends.received).await[..], b"theirs");
        assert_eq!(ends.counters.datagrams.foreign.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn after_a_move_only_the_new_peer_is_heard() {
        let mut ends = ends().await;
        let next_peer = loopback().await;
        ends.channel
            .set_remote(Some(ends.peer.local_addr().unwrap()));
        ends.channel
            .set_remote(Some(next_peer.local_addr().unwrap()));
        ends.peer.send_to(b"old", ends.ours).await.unwrap();
        next_peer.send_to(b"new", ends.ours).await.unwrap();
        assert_eq!(&next(&mut ends.received).await[..], b"new");
    }

    #[tokio::test]
    async fn a_flood_is_cut_off_at_the_queue_and_counted() {
        let mut ends = ends().await;
        ends.channel
            .set_remote(Some(ends.peer.local_addr().unwrap()));
        let flood = QUEUE + 8;
        for _ in 0..flood {
            ends.peer.send_to(b"again", ends.ours).await.unwrap();
        }
        let overrun = &ends.counters.datagrams.overrun;
        tokio::time::timeout(LIMIT, async {
            while overrun.load(Ordering::Relaxed) < 8 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the rest is dropped");
        for _ in 0..QUEUE {
            assert_eq!(&next(&mut ends.received).await[..], b"again");
        }
        assert!(ends.received.try_recv().is_err());
    }
}
