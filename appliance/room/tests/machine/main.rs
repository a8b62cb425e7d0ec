//! The machines of room and leg, driven through the room's public door in virtual time.

mod answered_calls;
mod calls;
mod controls;
mod deadlines;
mod guests;
mod leg_facts;
mod leg_requests;
mod media;
mod memory;
mod properties;
mod rig;
mod shutdown;
mod slides;
mod transfer;
