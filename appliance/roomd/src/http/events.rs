//! The event stream: the room's snapshot at each change, by WebSocket.
//!
//! ```text
//!  open ── snapshot ── changed ── snapshot ── ... ── client closes, sleeps, or server stops ── over
//! ```
//!
//! A client that reads slowly skips generations: what waits for it is never more than the one
//! snapshot that is being written, and the next one it gets is the newest.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use room::RoomSnapshot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::connections::stopped;
use super::convert::{WallClock, snapshot_to_api};

/// Event streams at a time, both listeners together.
const MAX_STREAMS: u32 = 32;
/// How long one snapshot may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// The event streams of a server.
#[derive(Clone, Debug)]
pub(super) struct EventStreams {
    free: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl EventStreams {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Self {
            free: Arc::new(Semaphore::new(MAX_STREAMS as usize)),
            stop,
        }
    }

    /// A place for one more stream, or `None` when all are taken.
    pub(super) fn place(&self) -> Option<EventStream> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(EventStream {
            stop: self.stop.clone(),
            _permit: permit,
        })
    }

    /// How many streams are open.
    pub(super) fn open(&self) -> usize {
        MAX_STREAMS as usize - self.free.available_permits()
    }
}

/// One event stream.
#[derive(Debug)]
pub(super) struct EventStream {
    stop: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl EventStream {
    /// Sends until either side ends.
    pub(super) async fn run(
        mut self,
        mut socket: WebSocket,
        mut snapshots: watch::Receiver<RoomSnapshot>,
    ) {
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_since_ping = true;
        loop {
            let message = tokio::select! {
                () = stopped(&mut self.stop) => break,
                changed = snapshots.changed() => match changed {
                    Ok(()) => newest(&mut snapshots),
                    Err(_) => break,
                },
                received = socket.recv() => match received {
                    // Pings are answered by the WebSocket itself; nothing else is expected.
                    Some(Ok(_)) => {
                        heard_since_ping = true;
                        continue;
                    }
                    Some(Err(_)) | None => return,
                },
                _ = ping.tick() => {
                    if !std::mem::take(&mut heard_since_ping) {
                        return;
                    }
                    Message::Ping(Vec::new().into())
                }
            };
            match timeout(WRITE_TIMEOUT, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
        let goodbye = CloseFrame {
            code: close_code::AWAY,
            reason: "shutting down".into(),
        };
        // Best effort: a client that is gone needs no goodbye.
        let _ = timeout(super::FAREWELL, socket.send(Message::Close(Some(goodbye)))).await;
    }
}

fn newest(snapshots: &mut watch::Receiver<RoomSnapshot>) -> Message {
    let snapshot = snapshot_to_api(&snapshots.borrow_and_update(), &WallClock::now());
    Message::text(serde_json::to_string(&snapshot).expect("a snapshot is plain data"))
}
