//! The guests' server's certificate by ACME (RFC 8555).
//!
//! [`schedule`] says what is to be done, `keeper` does it, by an `order` over `client`. What comes of it is
//! kept by `store` and shown by `shown`, at the listener that guests come to; HTTP-01 has an `http_listener`
//! of its own. The room's own authority is not part of this: it stands in wherever nothing is shown here.

mod client;
mod http_listener;
mod issued;
mod keeper;
mod order;
mod schedule;
mod shown;
mod store;
#[cfg(test)]
mod tests;

pub(super) use keeper::{Acme, AcmeParts};
pub use keeper::{Renewal, Renewals};
pub(super) use shown::{ACME_TLS, Resolved, Shown};
