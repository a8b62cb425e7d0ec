//! The room's interface for programs: what travels between roomd and its clients.
//!
//! The crate owns the JSON types ([`snapshot`], [`request`], [`answer`], [`guests`],
//! [`reachability`], [`sip_ladder`]), the list of endpoints
//! ([`Endpoint`]), the OpenAPI text that is generated from both ([`openapi`]), and the words for
//! every state and reason in English and Chinese ([`Localized`]). It moves no byte itself.
//!
//! Conventions of the wire: names are in snake case and end in their unit (`_ms`, `_bps`); a point
//! in time is a Unix time in milliseconds; an enum without data is a string, one with data an
//! object whose `name` or `code` says which it is; what is unknown or absent is left out.

pub mod answer;
mod call_end;
mod call_end_text;
mod endpoint;
pub mod guest_certificate;
pub mod guests;
mod language;
mod openapi;
pub mod reachability;
mod reachability_text;
pub mod request;
pub mod sip_ladder;
pub mod snapshot;
mod text;

pub use answer::{Admission, DeniedCode, Problem, ProblemCode};
pub use endpoint::{Endpoint, Method};
pub use language::Language;
pub use openapi::openapi;
pub use sip_ladder::SipLadder;
pub use snapshot::Snapshot;
pub use text::Localized;
