//! A guest's WebSocket.
//!
//! ```text
//!  opened ── place taken ── talking ──┬─ page leaves ──────────> Left, closed
//!               │                     ├─ driver ends it ───────> ended, closed
//!               │ (an earlier         ├─ page gone or silent,
//!               │  WebSocket sends    │  or breaks the rules ──> ConnectionLost, closed
//!               │  nothing more)      └─ taken over, session
//!               └──────────────────────── over, shutting down ─> ended, closed
//! ```
//!
//! Frames are read only while the driver takes what came before, so that a page which floods waits for
//! itself.

use std::time::{Duration, Instant};

use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, close_code};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::handle::Guests;
use super::limits::Costly;
use super::signalling::{GuestEnd, GuestEvent, GuestId, GuestReply, replies};
use crate::http::stopped;

/// The largest frame and message, in bytes.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// A longer candidate is none.
const LONGEST_CANDIDATE: usize = 1024;
/// A longer media identification (mid) is none.
const LONGEST_MID: usize = 64;
/// The line whose transport all lines share (RFC 9143): browsers number theirs from 0.
const BUNDLE_MID: &str = "0";
/// How long one message may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a silent page is told from one that is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pings {
    /// How often it is asked.
    pub(super) interval: Duration,
    /// How long it may be silent.
    pub(super) silence: Duration,
}

impl Default for Pings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            silence: Duration::from_secs(30),
        }
    }
}

/// What a page says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FromPage {
    Offer {
        sdp: String,
    },
    Candidate {
        candidate: String,
        mid: Option<String>,
    },
    Leave,
}

/// What a page is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToPage<'a> {
    Waiting,
    Answer {
        sdp: &'a str,
    },
    Candidate {
        candidate: &'a str,
        mid: &'static str,
    },
    Held {
        held: bool,
    },
    Ended {
        reason: &'static str,
    },
}

/// How a WebSocket comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    /// The page is told that it is over.
    Ended(GuestEnd),
    /// The page has left, or has broken a rule.
    Closed(CloseCode),
    /// Nobody hears it.
    Gone,
}

/// Talks to a guest's page until either side ends.
pub(super) async fn run(
    mut socket: WebSocket,
    guests: Guests,
    guest: GuestId,
    pings: Pings,
    mut stop: watch::Receiver<bool>,
) {
    let Some(mut attachment) = guests.attach(guest).await else {
        return say_goodbye(socket, Goodbye::Ended(GuestEnd::LinkExpired)).await;
    };
    let (reply, replies) = replies();
    let mut talk = Talk {
        guests,
        guest,
        reply,
        replies,
        offered: false,
    };
    let goodbye = tokio::select! {
        biased;
        end = attachment.closed() => Goodbye::Ended(end),
        () = stopped(&mut stop) => Goodbye::Ended(GuestEnd::ShuttingDown),
        goodbye = talk.run(&mut socket, pings) => goodbye,
    };
    // No event follows, so that another WebSocket of this guest may send its own.
    drop(attachment);
    tracing::debug!(%guest, ?goodbye, "a guest's WebSocket ends");
    say_goodbye(socket, goodbye).await;
}

struct Talk {
    guests: Guests,
    guest: GuestId,
    /// Given to the driver with each offer; kept, so that `replies` never ends.
    reply: mpsc::Sender<GuestReply>,
    replies: mpsc::Receiver<GuestReply>,
    /// Whether the driver knows of this WebSocket.
    offered: bool,
}

impl Talk {
    async fn run(&mut self, socket: &mut WebSocket, pings: Pings) -> Goodbye {
        let goodbye = self.talk(socket, pings).await;
        let is_lost = match goodbye {
            Goodbye::Gone => true,
            Goodbye::Closed(code) => code != close_code::NORMAL,
            Goodbye::Ended(_) => false,
        };
        if is_lost && self.offered {
            let guest = self.guest;
            // Fails only when the driver has ended.
            let _ = self.tell(GuestEvent::ConnectionLost { guest }).await;
        }
        goodbye
    }

    async fn talk(&mut self, socket: &mut WebSocket, pings: Pings) -> Goodbye {
        let start = tokio::time::Instant::now();
        let mut ping = interval_at(start + pings.interval, pings.interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = tokio::time::Instant::now();
        loop {
            let goodbye = tokio::select! {
                reply = self.replies.recv() => match reply {
                    Some(reply) => self.pass_on(socket, reply).await,
                    None => Err(Goodbye::Ended(GuestEnd::Failed)),
                },
                received = socket.recv() => {
                    heard = tokio::time::Instant::now();
                    match received {
                        Some(Ok(message)) => self.hear(message).await,
                        Some(Err(_)) | None => Err(Goodbye::Gone),
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() >= pings.silence {
                        Err(Goodbye::Gone)
                    } else {
                        send(socket, Message::Ping(Vec::new().into())).await
                    }
                }
            };
            if let Err(goodbye) = goodbye {
                return goodbye;
            }
        }
    }

    /// Tells the page what the driver says.
    async fn pass_on(&self, socket: &mut WebSocket, reply: GuestReply) -> Result<(), Goodbye> {
        let message = match &reply {
            GuestReply::Waiting => ToPage::Waiting,
            GuestReply::Answer { sdp } => ToPage::Answer { sdp },
            GuestReply::Candidate(candidate) => ToPage::Candidate {
                candidate,
                mid: BUNDLE_MID,
            },
            GuestReply::Held(held) => ToPage::Held { held: *held },
            GuestReply::Ended(end) => {
                if end.sends_away() {
                    self.guests.sent_away(self.guest);
                }
                return Err(Goodbye::Ended(*end));
            }
        };
        send(socket, message.to_message()).await
    }

    /// Tells the driver what the page says.
    async fn hear(&mut self, message: Message) -> Result<(), Goodbye> {
        let text = match message {
            Message::Text(text) => text,
            // Pings are answered by the WebSocket itself.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Binary(_) => return Err(Goodbye::Closed(close_code::UNSUPPORTED)),
            Message::Close(_) => return Err(Goodbye::Gone),
        };
        match serde_json::from_str(&text) {
            Ok(FromPage::Offer { sdp }) => self.hear_offer(sdp).await,
            Ok(FromPage::Candidate { candidate, mid }) => self.hear_candidate(candidate, mid).await,
            Ok(FromPage::Leave) => {
                let guest = self.guest;
                self.guests.left(guest);
                self.tell(GuestEvent::Left { guest }).await?;
                Err(Goodbye::Closed(close_code::NORMAL))
            }
            // Not logged in detail: what it holds is a stranger's.
            Err(_) => Err(Goodbye::Closed(close_code::INVALID)),
        }
    }

    async fn hear_offer(&mut self, sdp: String) -> Result<(), Goodbye> {
        self.pay(Costly::Offer)?;
        let guest = self.guest;
        let Some((name, admit)) = self.guests.knock(guest) else {
            // Its end is on the way.
            return Ok(());
        };
        self.offered = true;
        let replies = self.reply.clone();
        self.tell(GuestEvent::Offer {
            guest,
            name,
            admit,
            sdp,
            replies,
        })
        .await
    }

    async fn hear_candidate(
        &mut self,
        candidate: String,
        mid: Option<String>,
    ) -> Result<(), Goodbye> {
        self.pay(Costly::Candidate)?;
        let mid_length = mid.as_ref().map_or(0, String::len);
        if candidate.len() > LONGEST_CANDIDATE || mid_length > LONGEST_MID {
            return Err(Goodbye::Closed(close_code::POLICY));
        }
        let guest = self.guest;
        self.tell(GuestEvent::Candidate {
            guest,
            candidate,
            mid,
        })
        .await
    }

    fn pay(&self, what: Costly) -> Result<(), Goodbye> {
        if self.guests.may(self.guest, what, Instant::now()) {
            return Ok(());
        }
        tracing::warn!(guest = %self.guest, ?what, "too much from a guest's page: disconnected");
        Err(Goodbye::Closed(close_code::POLICY))
    }

    async fn tell(&self, event: GuestEvent) -> Result<(), Goodbye> {
        let told = self.guests.events().send(event).await;
        told.map_err(|_| Goodbye::Ended(GuestEnd::ShuttingDown))
    }
}

impl ToPage<'_> {
    fn to_message(&self) -> Message {
        Message::text(serde_json::to_string(self).expect("plain data with text keys"))
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Goodbye> {
    match timeout(WRITE_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Goodbye::Gone),
    }
}

/// Best effort, within a limit: the page may be gone already.
async fn say_goodbye(mut socket: WebSocket, goodbye: Goodbye) {
    let (ended, code) = match goodbye {
        Goodbye::Gone => return,
        Goodbye::Closed(code) => (None, code),
        Goodbye::Ended(end) => (Some(end), close_code::NORMAL),
    };
    let farewell = async {
        if let Some(end) = ended {
            let reason = end.as_str();
            socket.send(ToPage::Ended { reason }.to_message()).await?;
        }
        let close = CloseFrame {
            code,
            reason: "".into(),
        };
        socket.send(Message::Close(Some(close))).await?;
        // Until the page has closed its end: bytes of it that nobody reads would make the kernel reset
        // the connection, and with it what the page has not read yet.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<_, axum::Error>(())
    };
    // What goes wrong here changes nothing any more.
    let _ = timeout(FAREWELL, farewell).await;
}
