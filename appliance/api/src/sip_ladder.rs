//! The SIP messages of a call, for people who look for a fault.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The SIP messages of a call in the order of their times. Passwords, digest responses, media keys,
/// tones and whatever is not known to be harmless are not in it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SipLadder {
    /// The leg; absent when the call was refused before it became one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<u32>,
    /// The Call-IDs, in the order in which they came up. None when no message was sent or received;
    /// more than one when another dialog took the place of the call's.
    pub call_ids: Vec<String>,
    /// The messages.
    pub messages: Vec<SipMessage>,
}

/// One SIP message, with all its retransmissions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SipMessage {
    /// When, since the first message.
    pub offset_ms: f64,
    /// Which way.
    pub direction: SipDirection,
    /// How it travelled.
    pub transport: SipTransport,
    /// Address and port of the other end: the far end or a proxy between.
    pub remote: String,
    /// The method of the request, or of the request that a response answers; empty when a response
    /// does not say.
    pub method: String,
    /// The status code of a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The first line.
    pub start_line: String,
    /// The type of the body, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_type: Option<String>,
    /// The whole message, with `***` for what is hidden.
    pub text: String,
    /// How often it was retransmitted.
    pub retransmissions: u32,
    /// When it was retransmitted last, since the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_retransmission_ms: Option<f64>,
    /// How many messages between the one before and this one were not kept.
    pub left_out_before: u64,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SipDirection {
    /// From this room.
    Sent,
    /// To this room.
    Received,
}

/// How SIP messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SipTransport {
    /// Datagrams in the clear.
    Udp,
    /// A connection in the clear.
    Tcp,
    /// An encrypted connection.
    Tls,
    /// A WebSocket in the clear.
    Ws,
    /// An encrypted WebSocket.
    Wss,
}

impl SipTransport {
    /// The name that people know.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }
}
