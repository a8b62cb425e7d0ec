//! Messages of the RFCs, each with the treatment that it gets from an endpoint.
//!
//! The bytes are built here from what the RFCs describe. A line end in the sources is CRLF on the wire.

mod draft;
pub(crate) mod rfc3261;
pub(crate) mod rfc3261_bodies;
pub(crate) mod rfc4475_application;
pub(crate) mod rfc4475_invalid;
pub(crate) mod rfc4475_valid;
pub(crate) mod rfc5118;

use bytes::Bytes;

/// What becomes of one message, or of several in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// The only answer has this status, and these header fields with exactly these values.
    Answered(u16, &'static [(&'static str, &'static str)]),
    /// A call comes in and 100 says so to the caller.
    Rings,
    /// The stream carries two messages: the first is answered with this status, the second rings.
    AnsweredThenRings(u16),
    /// The stream carries two messages, answered with these statuses.
    AnsweredTwice(u16, u16),
    /// Nothing is sent.
    Dropped,
    /// The answer has this status, and the stream is closed behind it.
    AnsweredAndClosed(u16),
    /// Nothing is sent; the stream is closed at once.
    Closed,
    /// The rest of the message is waited for in vain: the stream is closed after 30 s.
    ClosedInTime,
}

/// A message with its treatment.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Section of the RFC, and the name that it gives the message.
    pub(crate) name: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) as_datagram: Treatment,
    pub(crate) in_stream: Treatment,
}

impl Case {
    /// A message that is treated the same however it comes.
    pub(crate) fn new(name: &'static str, bytes: Bytes, treatment: Treatment) -> Self {
        Self {
            name,
            bytes,
            as_datagram: treatment,
            in_stream: treatment,
        }
    }

    /// The same message, with another treatment in a stream.
    pub(crate) fn but_in_stream(mut self, treatment: Treatment) -> Self {
        self.in_stream = treatment;
        self
    }
}

/// Writes a message with the line ends of the wire.
pub(crate) fn wire(text: &str) -> Bytes {
    Bytes::from(text.replace('\n', "\r\n"))
}

/// The description that nearly every INVITE of RFC 4475 carries: PCMU audio, and H.261 video at most.
pub(crate) fn description(address: &str) -> String {
    format!(
        "v=0\n\
         o=mhandley 29739 7272939 IN IP4 {address}\n\
         s=-\n\
         c=IN IP4 {address}\n\
         t=0 0\n\
         m=audio 49217 RTP/AVP 0 12\n\
         m=video 3227 RTP/AVP 31\n\
         a=rtpmap:31 LPC\n"
    )
}

/// What 405 and 501 list.
pub(crate) const ALLOW: &[(&str, &str)] = &[(
    "Allow",
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK",
)];

/// A plain refusal.
pub(crate) const BAD_REQUEST: Treatment = Treatment::Answered(400, &[]);
