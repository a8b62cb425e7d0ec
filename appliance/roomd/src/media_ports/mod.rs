//! The sockets under the media graph: ports, address latch, SRTP tag check, pacing; and those of
//! floor control.

pub mod address_latch;
pub(crate) mod any_socket;
pub mod arrival_log;
pub mod floor_channel;
pub mod floor_events;
pub mod floor_stream;
pub mod floor_tls;
pub mod leg_congestion;
pub mod leg_transport;
pub mod media_certificate;
pub mod pacer;
pub mod reported_loss;
pub mod rtcp_demultiplexer;
pub mod sent_numbers;
pub mod sockets;
pub mod transport_events;
