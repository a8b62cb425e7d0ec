//! Packets that are lost and sent again: asking for them, and answering who asks.
//!
//! ```text
//!  receiver: [LostPackets] ──► generic NACK ──► peer ──► packet again ──► jitter buffer
//!                  └── how late they come ──► [RetransmissionWait] ──► how long it waits
//!  sender:   generic NACK of the peer ──► [SentPackets] ──► the packet, or [RtxStream] around it
//! ```
//!
//! - `nack`: generic NACK on the wire (RFC 4585 section 6.2.1).
//! - `rtx`: the payload format of packets that are sent again in a stream of their own (RFC 4588).
//! - [`LostPackets`]: which packets a peer is asked for, and when.
//! - [`RetransmissionWait`]: how long the jitter buffer has to wait for them.
//! - [`SentPackets`]: what we have sent and may send again, and how much of it.
//!
//! All of it is handed the time and does no I/O; `leg::retransmission` puts it into a pipeline.

mod lost_packets;
pub(crate) mod nack;
mod retransmission_wait;
mod rtx;
mod sent_packets;

pub(crate) use lost_packets::{Arrival, LostPackets, Resending};
pub(crate) use retransmission_wait::RetransmissionWait;
pub(crate) use rtx::{RtxStream, SentAgain};
pub(crate) use sent_packets::SentPackets;

#[cfg(test)]
mod tests;
