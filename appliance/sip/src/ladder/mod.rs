//! The ladder of a call: which SIP message went where, when, and what was answered. For people who
//! look for a fault.
//!
//! ```text
//!  message as parsed ─► known Call-ID? ─ yes ─► redaction ─► record of its call ─► Ladder
//!                             │ no
//!                             └─ INVITE ─► the one waiting place ─┬─ a call comes of it: its record
//!                                                                 └─ refused: the one place of those
//! ```
//!
//! `recorder` owns the records and their bounds, `redaction` what may be shown. Both get what the
//! endpoint has parsed or is about to send, and read no message again. What does not belong to a call
//! (registrations, keep-alives, OPTIONS) is not recorded.
//!
//! # Secrets
//! A record holds text that is redacted already: passwords, digest responses, media keys, tones and
//! passcodes never get into it. Only the last INVITE that nobody has answered waits as it came.
//!
//! # Bounds
//! 16 calls, 200 messages a call (the first and the last ones stay), 256 KiB in all. What is refused,
//! to strangers above all, has one place together, so it pushes no call out.

mod recorder;
mod redaction;

use std::net::SocketAddr;
use std::time::Duration;

use crate::grammar::{Message, Request, Response};
use crate::transport::Transport;

pub(crate) use recorder::{Recorder, Way};

/// The messages of one call in the order of their times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// The Call-IDs, in the order in which they came up. More than one when another dialog took the
    /// place of the call's (`Replaces`).
    pub call_ids: Vec<String>,
    /// The messages.
    pub messages: Vec<LadderMessage>,
}

/// One message, with all its repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderMessage {
    /// When, since the first message of the ladder.
    pub offset: Duration,
    /// Which way.
    pub direction: Direction,
    /// How it travelled.
    pub transport: Transport,
    /// The other end: the far end or the proxy between.
    pub remote: SocketAddr,
    /// The method of the request, or of the request that a response answers; empty when a response
    /// does not say.
    pub method: String,
    /// The status code of a response; `None` for a request.
    pub status: Option<u16>,
    /// The first line, without secrets.
    pub start_line: String,
    /// The type of the body, such as `application/sdp`; `None` without a body.
    pub body_type: Option<String>,
    /// The whole message without secrets. Lines end in LF.
    pub text: String,
    /// How often the same message came again.
    pub repeats: u32,
    /// When it came the last time, since the first message of the ladder. `None` without repetition.
    pub last_repeat: Option<Duration>,
    /// How many messages between the one before and this one were not kept.
    pub left_out_before: u64,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From this endpoint.
    Sent,
    /// To this endpoint.
    Received,
}

/// A message that somebody else owns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MessageRef<'a> {
    Request(&'a Request),
    Response(&'a Response),
}

impl<'a> From<&'a Message> for MessageRef<'a> {
    fn from(message: &'a Message) -> Self {
        match message {
            Message::Request(request) => Self::Request(request),
            Message::Response(response) => Self::Response(response),
        }
    }
}

impl<'a> From<&'a Request> for MessageRef<'a> {
    fn from(request: &'a Request) -> Self {
        Self::Request(request)
    }
}

impl<'a> From<&'a Response> for MessageRef<'a> {
    fn from(response: &'a Response) -> Self {
        Self::Response(response)
    }
}
