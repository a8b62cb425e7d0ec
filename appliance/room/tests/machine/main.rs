//! The machines of room and leg, driven through the room's public door in virtual time.

mod deadlines;
mod leg_facts;
mod leg_requests;
mod meeting;
mod properties;
mod rig;
mod shutdown;
