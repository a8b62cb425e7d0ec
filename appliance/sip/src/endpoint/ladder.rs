//! What the endpoint tells its [`Recorder`](crate::ladder::Recorder), and what it gives out of it.

use std::time::Instant;

use bytes::Bytes;

use super::{CallId, Endpoint, User};
use crate::grammar::{Headers, Message};
use crate::ladder::{Direction, Ladder, MessageRef, Way};
use crate::transport::Path;

impl Endpoint {
    /// The SIP messages of a call, secrets removed. Calls that are over are remembered for a while;
    /// `None` for those that are not, and for one of which no message has been sent or received.
    #[must_use]
    pub fn sip_ladder(&self, call: CallId) -> Option<Ladder> {
        self.ladders.ladder(call)
    }

    /// The same of the last INVITE of which no call came, because it was refused at once.
    #[must_use]
    pub fn refused_sip_ladder(&self) -> Option<Ladder> {
        self.ladders.refused()
    }

    /// Sends a message for the first time.
    pub(crate) fn send_message<'a>(
        &mut self,
        now: Instant,
        path: Path,
        message: impl Into<MessageRef<'a>>,
        user: &User,
        bytes: Bytes,
    ) {
        let call = match user {
            User::Call(call) => Some(*call),
            User::Registration(_) | User::Nobody => None,
        };
        if let Some(way) = self.way(path, Direction::Sent) {
            self.ladders.sent(now, way, message.into(), &bytes, call);
        }
        self.send(now, path, bytes);
    }

    /// Sends a message that was sent before.
    pub(crate) fn send_repeated(&mut self, now: Instant, path: Path, bytes: Bytes) {
        self.ladders.sent_again(now, &bytes);
        self.send(now, path, bytes);
    }

    pub(crate) fn note_received(&mut self, now: Instant, path: Path, message: &Message) {
        if let Some(way) = self.way(path, Direction::Received) {
            self.ladders.received(now, way, message);
        }
    }

    /// The INVITE with these header fields made a call, or takes the place of its dialog.
    pub(crate) fn note_call(&mut self, headers: &Headers, call: CallId) {
        self.ladders.became_call(headers, call);
    }

    fn way(&self, path: Path, direction: Direction) -> Option<Way> {
        let (transport, _) = self.local_end(path)?;
        let remote = self.remote_end(path)?;
        Some(Way {
            direction,
            transport,
            remote,
        })
    }
}
