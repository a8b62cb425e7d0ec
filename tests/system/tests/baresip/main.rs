//! The real roomd in calls with baresip, a SIP endpoint that others wrote.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod call_setup;
mod codecs;
mod content;
mod dtls_srtp;
mod endurance;
mod hold;
mod hostile_network;
mod ice;
mod loss_of_a_side;
mod sip_ladder;
mod site;
