//! The grammar of SIP messages: RFC 3261 §7, §18.3, §19 and §25, on [`bytes::Bytes`].
//!
//! This module owns the way from bytes to a [`Message`] and back. It knows no transaction, no dialog and
//! no clock. Its rules:
//!
//! * **Nothing is lost.** Header fields keep their order, spelling, folding and spacing; unknown methods,
//!   headers, parameters and URI schemes survive. A message that nobody touched is printed byte for byte.
//! * **Parsed on demand.** [`Headers`] are ranges over the received bytes. A typed value ([`Via`], [`CSeq`],
//!   [`NameAddr`], ...) is parsed when asked for and must consume all of its input. In a list each value is
//!   judged alone: a bad one does not hide the others.
//! * **No injection.** Every way to write text into a message refuses CR, LF and NUL, and percent escapes
//!   are only ever decoded for a reader ([`SipUri::user_decoded`]), never on the way into another message.
//! * **Bounded.** Heads end at [`MAX_HEAD_BYTES`] and [`MAX_FIELDS`]; time is linear in the size of the
//!   message; no input panics.
//!
//! ```text
//!  datagram ──> Message::parse_datagram ─┐
//!                                        ├─> Message ── Request  { method, uri, headers, body }
//!  stream ────> StreamFramer::push/next ─┘           └─ Response { status, reason, headers, body }
//!                                                              │ headers.typed::<Via>() ...
//!  bytes  <──── Message::to_bytes <────── Request::new, Response::to, headers.push/set
//! ```

mod authentication;
mod content_disposition;
mod content_type;
mod date;
mod explanation;
mod field_text;
mod head;
mod header_name;
mod headers;
mod host;
mod media_range;
mod message;
mod method;
mod multipart;
mod name_addr;
mod params;
mod reliability;
mod replaces;
mod retry_after;
mod session_timer;
mod status;
mod stream_framer;
mod syntax;
mod uri;
mod validation;
mod values;
mod via;

pub use authentication::{AuthCredentials, AuthenticationInfo, Challenge};
pub use content_disposition::{ContentDisposition, Handling};
pub use content_type::ContentType;
pub use date::Date;
pub use explanation::{ReasonValue, Warning};
pub use head::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_URI_BYTES};
pub use header_name::{HeaderName, UnknownName};
pub use headers::{HeaderValue, Headers, Placement, TypedHeader};
pub(crate) use headers::{field_text, field_values};
pub use host::{Host, HostName};
pub use media_range::MediaRange;
pub use message::{Message, Request, Response};
pub use method::{Method, UnknownMethod};
pub use multipart::{MAX_PARTS, MultipartError, Part, parts as multipart_parts};
pub use name_addr::{Contact, NameAddr};
pub use params::{MAX_PARAMS, ParamValue, Params};
pub use reliability::{RAck, RSeq};
pub use replaces::Replaces;
pub use retry_after::RetryAfter;
pub use session_timer::{MinSe, Refresher, SessionExpires};
pub use status::StatusCode;
pub use stream_framer::{FramingError, MAX_BODY_BYTES, StreamFramer, StreamItem};
pub(crate) use syntax::decode_escapes;
pub use uri::{OtherUri, SipScheme, SipUri, TelUri, Uri};
pub use values::{CSeq, CallId, ContentLength, Expires, FlowTimer, MaxForwards, MinExpires, Token};
pub(crate) use via::MAGIC_COOKIE;
pub use via::{Rport, UnknownTransport, Via, ViaTransport};
