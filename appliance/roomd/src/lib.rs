//! The room service: the I/O shell around the pure machines.
//!
//! It owns what the other crates must not: sockets, the clock, files, tasks. One driver task holds
//! the room and the SIP endpoint, feeds them bytes, facts and requests with the time, and carries
//! out their commands. Everything else reports to it through bounded channels.

pub mod address_watch;
pub mod call_facts;
pub mod certificate;
pub mod certificate_expiry;
pub mod command_line;
pub mod congestion_control;
pub mod devices;
pub mod driver;
pub mod dtmf_relay;
pub mod end_reasons;
pub mod error;
mod error_text;
pub mod floor_way;
pub mod guest_legs;
pub mod guest_page;
pub mod guest_reachability;
pub mod guests;
pub mod handshakes;
pub mod held_answers;
pub mod host_addresses;
pub mod http;
pub mod instance_id;
pub mod latency_probe;
pub mod leg_networks;
pub mod logging;
pub mod media_control;
pub mod media_facts;
pub mod media_ports;
pub mod monotonic_zero;
pub mod network_counters;
pub mod our_addresses;
pub mod owned_tasks;
pub mod pictures;
mod pinned_certificate;
pub mod process_memory;
pub mod randomness;
pub mod remembered_store;
pub mod ringing;
pub mod rtcp;
pub mod server_location;
pub mod service;
pub mod service_notification;
pub mod settings;
pub mod signalling;
pub mod sip_ladders;
pub mod sip_sockets;
mod socket_address;
pub mod srtp_authenticator;
pub mod turn_connection;
mod turn_servers;
mod typed_target;
mod unix_time;
