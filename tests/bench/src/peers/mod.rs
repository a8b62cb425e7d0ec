//! The programs that are measured: pairs of roomd, of baresip and of Chromium, each pair in a call with itself, and a
//! room with a guest.

pub(crate) mod baresip_pair;
pub(crate) mod chromium_pair;
pub(crate) mod guest_room;
pub(crate) mod linked_call;
pub(crate) mod recordings;
pub(crate) mod room_api;
pub(crate) mod roomd_pair;
