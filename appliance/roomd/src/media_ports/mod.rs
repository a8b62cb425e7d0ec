//! The sockets under the media graph: ports, address latch, SRTP tag check, pacing.

pub mod address_latch;
pub mod leg_transport;
pub mod pacer;
pub mod rtcp_demultiplexer;
pub mod sockets;
