//! What an endpoint says to its caller.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::next_hop::TransportFrom;
use super::settings::AccountName;
use crate::call::glare::Glare;
use crate::grammar::{NameAddr, ReasonValue, Replaces, StatusCode, Uri, Warning};
use crate::offer_answer::{AgreedSecurity, CallMedia, SdpError};
use crate::registration::RegistrationState;
use crate::transport::{FlowId, Transport};
use room::FloorChange;

/// One call, unique for the life of the endpoint. Not the Call-ID header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(crate) u64);

/// One name look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResolveId(pub(crate) u64);

/// What the caller does for the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "outputs are taken at once; few wait at a time"
)]
pub enum Output {
    /// Send a datagram from the socket that is bound to `local`.
    SendDatagram {
        /// One of [`ListenAddresses::udp`](super::ListenAddresses::udp).
        local: SocketAddr,
        /// Where to.
        remote: SocketAddr,
        /// The whole datagram.
        bytes: Bytes,
    },
    /// Open a connection, then call `stream_opened` or `stream_closed`.
    OpenStream {
        /// The name of the connection from now on.
        flow: FlowId,
        /// TCP, TLS or a WebSocket.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
        /// A WebSocket: the path that is asked for.
        websocket_path: Option<String>,
        /// TLS, and the `Host` of a WebSocket: the name or address that the certificate has to be valid for.
        server_name: String,
        /// TLS: the account whose certificate a server that asks for one is shown; none is shown
        /// where there is no account.
        identity: Option<AccountName>,
    },
    /// Write to a connection.
    SendStream {
        /// The connection.
        flow: FlowId,
        /// The bytes, after all that were written before.
        bytes: Bytes,
    },
    /// Ask for a sign of life over a WebSocket, by a Ping frame (RFC 7118 section 6);
    /// `websocket_ponged` follows.
    PingWebSocket {
        /// The connection.
        flow: FlowId,
    },
    /// Close a connection. No `stream_closed` is expected for it.
    CloseStream {
        /// The connection.
        flow: FlowId,
    },
    /// Send to the peer of a call what belongs to its floor control: a datagram from our BFCP port
    /// to the peer's, or bytes over the connection.
    SendFloorControl {
        /// The call.
        call: CallId,
        /// A whole datagram, or the next bytes.
        bytes: Bytes,
    },
    /// Close the connection of a call's floor control, after what is to be sent over it. There is
    /// nothing to tell of its end.
    CloseFloorControl {
        /// The call.
        call: CallId,
    },
    /// Look a name up, then call `resolved`.
    Resolve {
        /// Names the answer.
        id: ResolveId,
        /// The name.
        host: String,
        /// The port, when the URI gives one; without it SRV records come first (RFC 3263 section
        /// 4.2), else the transport's default port.
        port: Option<u16>,
        /// The transport that the request will take.
        transport: Transport,
        /// Who has chosen it: NAPTR records come first where the account's owner has (RFC 3263 section
        /// 4.1).
        transport_from: TransportFrom,
    },
    /// Something happened.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody calls. Answer, reject, or ring first.
    Incoming {
        /// The new call.
        call: CallId,
        /// The account that is called.
        account: AccountName,
        /// Who says to be calling.
        from: NameAddr,
        /// Where the call came from: the caller, or the last proxy before us.
        remote: SocketAddr,
        /// Why the call was let in.
        trust: PeerTrust,
        /// Signalling and media security.
        security: CallSecurity,
        /// How the caller wishes to be answered: no reason to do so by itself.
        wish: AnswerWish,
        /// Our own unanswered call to the caller, if there is one.
        glare: Option<Glare>,
    },
    /// Our call rings at the far end.
    Ringing {
        /// The call.
        call: CallId,
    },
    /// Our call has media before it is answered.
    EarlyMedia {
        /// The call.
        call: CallId,
        /// What was agreed.
        media: CallMedia,
    },
    /// The call stands, either way.
    Established {
        /// The call.
        call: CallId,
        /// What was agreed.
        media: CallMedia,
        /// Signalling and media security.
        security: CallSecurity,
    },
    /// A re-INVITE, of either side, changed the media: codecs, addresses, keys or directions.
    MediaChanged {
        /// The call.
        call: CallId,
        /// What is agreed now. Its `peer_hold` says whether the peer holds the call.
        media: CallMedia,
    },
    /// The wanted hold stands at both ends.
    HoldSucceeded {
        /// The call.
        call: CallId,
    },
    /// The wanted resumption stands at both ends.
    ResumeSucceeded {
        /// The call.
        call: CallId,
    },
    /// The far end refused a hold; the media is as it was.
    HoldFailed {
        /// The call.
        call: CallId,
    },
    /// The far end refused a resumption; the media is as it was.
    ResumeFailed {
        /// The call.
        call: CallId,
    },
    /// The far end asks to be replaced by somebody else: by a call to `target`, which takes the place of
    /// a dialog there if it names one (RFC 5589 section 7). Accept or refuse it.
    TransferAsked {
        /// The call.
        call: CallId,
        /// Whom to call.
        target: Uri,
        /// The dialog whose place that call takes.
        replaces: Option<Replaces>,
    },
    /// An INFO request arrived in the call, and was answered 200.
    Info {
        /// The call.
        call: CallId,
        /// Its Content-Type, without parameters, in lower case.
        content_type: String,
        /// Its body.
        body: InfoBody,
    },
    /// The far end did not take an INFO request of ours. The call stands.
    InfoRefused {
        /// The call.
        call: CallId,
        /// The Content-Type of the request, without parameters, in lower case.
        content_type: String,
    },
    /// The right to show slides went to somebody, or did not.
    Floor {
        /// The call.
        call: CallId,
        /// What happened.
        change: FloorChange,
    },
    /// What the far end, or a proxy, says about the end of the call, which is told next. For people
    /// who look for a fault: anybody on the way may have written it.
    EndExplained {
        /// The call.
        call: CallId,
        /// The status of its refusal; `None` when it has sent CANCEL or BYE.
        status: Option<StatusCode>,
        /// How long it does not want to be called again, by its refusal.
        retry_after: Option<Duration>,
        /// Reason of its CANCEL, BYE or refusal (RFC 3326).
        reasons: Vec<ReasonValue>,
        /// Warning of its refusal.
        warnings: Vec<Warning>,
    },
    /// The call is over. The last event of every call.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        cause: CallEndCause,
    },
    /// A registration changed.
    Registration {
        /// The account.
        account: AccountName,
        /// How it stands now.
        state: RegistrationState,
    },
    /// The registration by one of an account's outbound proxies has changed; only of accounts with
    /// several.
    RegistrationFlows {
        /// The account.
        account: AccountName,
        /// How each stands, in the order of the proxies.
        flows: Vec<RegistrationState>,
    },
    /// Somebody who may call did, and was refused before anybody here heard of it.
    IncomingRefused {
        /// The account that was called.
        account: AccountName,
        /// Who said to be calling.
        from: NameAddr,
        /// Why.
        why: IncomingRefusal,
    },
    /// A request of a stranger was refused. Counted; told only as often as it was answered.
    Refused {
        /// Where it came from.
        remote: SocketAddr,
        /// Why.
        why: RefusedWhy,
    },
}

/// The body of an INFO request. It may hold a key that was pressed, and keys are passcodes more often than
/// not: its length is all that is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct InfoBody(Bytes);

impl InfoBody {
    pub(crate) const fn new(body: Bytes) -> Self {
        Self(body)
    }

    /// The body as it came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for InfoBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoBody({} bytes)", self.0.len())
    }
}

/// Why a call from outside was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerTrust {
    /// It came over the flow of one of our registrations: the registrar has let it pass, whoever
    /// has sent it.
    RegisteredFlow,
    /// It came from a configured peer, be it over such a flow: whoever has sent it, our owner trusts
    /// the one who has passed it on.
    ConfiguredPeer,
}

/// How a caller wishes to be answered (RFC 5373, and what older intercoms say in Alert-Info and
/// Call-Info).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerWish {
    /// Nothing is said.
    None,
    /// By nobody but a person.
    Manual,
    /// At once, without a hand.
    Automatic,
    /// At once, without a hand, or not at all (`require`): who cannot do so says 403 (RFC 5373 section 4).
    AutomaticOnly,
}

/// What protects a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallSecurity {
    /// How the signalling travels to the next hop.
    pub signalling: Transport,
    /// What was agreed for media; `None` while no description has been seen.
    pub media: Option<AgreedSecurity>,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallEndCause {
    /// We hung up, cancelled or rejected.
    Local,
    /// The far end sent BYE.
    RemoteHangUp,
    /// The far end gave up before we answered.
    RemoteCancelled,
    /// The call was answered by another phone of ours, or another user, before we did.
    AnsweredElsewhere,
    /// The far end refused our call with this final response.
    Refused(StatusCode),
    /// Nobody answered: our own limit on ringing was reached.
    NotAnswered,
    /// The far end did not answer a request, or never acknowledged our answer.
    Timeout,
    /// The far end could not be reached, or the connection broke.
    Transport,
    /// The far end, or the proxy on the way to it, was reached, but TLS did not accept its
    /// certificate.
    Certificate,
    /// The far end's session description was not acceptable.
    Media,
    /// The far end's media is not encrypted, or not by a key that we take, and has to be.
    Encryption,
    /// The far end no longer knows the call (481): it has restarted, perhaps.
    Forgotten,
    /// The far end broke the protocol.
    Protocol,
    /// The far end, or a server on the way, refused our credentials.
    Credentials,
    /// It asked for credentials, and the account has none.
    NoCredentials,
}

impl From<&SdpError> for CallEndCause {
    fn from(error: &SdpError) -> Self {
        if error.lacks_encryption() {
            Self::Encryption
        } else {
            Self::Media
        }
    }
}

/// Why a call of somebody who may call was refused before it rang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IncomingRefusal {
    /// Its media is not encrypted, or not by keys that we take, and ours has to be.
    Encryption,
    /// Its media is none that we have.
    Media,
    /// It asks for what we do not have, or cannot be read; refused with this status.
    Unsupported(StatusCode),
}

impl From<&SdpError> for IncomingRefusal {
    fn from(error: &SdpError) -> Self {
        if error.lacks_encryption() {
            Self::Encryption
        } else if error.is_malformed() {
            Self::Unsupported(error.status())
        } else {
            Self::Media
        }
    }
}

/// Why a request from outside of dialogs was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedWhy {
    /// Neither the flow of a registration nor a configured peer.
    Stranger,
    /// More calls than this endpoint keeps.
    TooManyCalls,
}

/// How much an endpoint holds now; all zero when idle and without registrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that have not ended, or still hang up.
    pub calls: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Those of them whose final response is still to come. The others only wait for what the
    /// network may deliver late.
    pub unanswered_requests: usize,
    /// Server transactions.
    pub server_transactions: usize,
    /// Open or opening connections.
    pub flows: usize,
    /// Requests that wait for a name look-up.
    pub look_ups: usize,
}

/// What an endpoint has seen and dropped since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Datagrams and stream contents that were no SIP message.
    pub malformed: u64,
    /// Session descriptions, in messages that were none of these, that were malformed.
    pub malformed_descriptions: u64,
    /// Responses and ACKs that belong to nothing.
    pub stray: u64,
    /// Requests of strangers, answered or not.
    pub refused: u64,
    /// Messages dropped because a table was full.
    pub overloaded: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_shows_no_key_that_was_pressed() {
        let event = Event::Info {
            call: CallId(1),
            content_type: "application/dtmf-relay".to_owned(),
            body: InfoBody::new(Bytes::from_static(b"Signal=7\r\nDuration=160\r\n")),
        };
        let shown = format!("{event:?}");
        assert!(shown.contains("InfoBody(24 bytes)"), "{shown}");
        assert!(!shown.contains("Signal"), "{shown}");
    }
}
