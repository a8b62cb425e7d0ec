//! A seeded network in virtual time: datagrams and byte streams between socket addresses.
//!
//! It owns no clock, socket or thread. A test sends, asks [`Network::next_delivery`] when something
//! arrives, moves its own clock there and takes what has arrived with [`Network::deliver`]. The same
//! seed and the same calls give the same run, to the nanosecond.
//!
//! ```text
//!  send ──► loss? ──► queue at the link's rate ──► delay + jitter ──► held back? twice? ──► deliver
//!             │              │ full
//!             ▼              ▼
//!           lost           lost
//! ```
//!
//! Streams take the same way, but what would be lost is late instead, as TCP repeats it, and bytes
//! stay in order. They arrive in pieces of random length, so that a framer cannot rely on one write
//! being one read.
//!
//! Addresses stand for interfaces: whoever sends from an address owns it, and conditions are set for
//! an ordered pair of addresses, so that the two directions may differ.

mod link;
mod network;

pub use link::{LinkConditions, Loss, Probability};
pub use network::{Counters, Delivery, Network, StreamId};
