//! The sockets under the media graph: ports, address latch, SRTP tag check, pacing; and those of
//! floor control.

pub mod address_latch;
pub mod floor_channel;
pub mod leg_transport;
pub mod pacer;
pub mod rtcp_demultiplexer;
pub mod sockets;
