//! The guests' server: people who join the room's meeting by a browser.

mod acme;
mod authority;
mod connection;
mod connections;
mod handle;
mod headers;
mod limits;
mod links;
mod refusal;
mod registry;
mod routes;
mod server;
mod server_certificate;
pub mod signalling;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod trust_page;

pub use acme::{Renewal, Renewals};
pub use handle::Guests;
pub(crate) use limits::{Limit, network_of};
pub use links::{FreshLink, GuestLinks, LinkError};
pub use registry::{Invitation, InvitationId, InviteError};
pub use server::{GuestServer, GuestServerParts};
pub use server_certificate::ShownCertificate;
pub use store::{GuestStore, NotStored};
pub use token::Token;

/// The most characters of a guest's name.
const LONGEST_NAME: usize = 64;

/// A name as it is shown: without white space around it, 1 to 64 characters, none of them a control
/// character or one that turns the direction of text; `None` for what is no name.
fn guest_name(text: &str) -> Option<String> {
    let name = text.trim();
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
    let plain = !name
        .chars()
        .any(|c| c.is_control() || turns(c) || matches!(c, '\u{2028}' | '\u{2029}'));
    (fits && plain).then(|| name.to_owned())
}
