//! The programs that are measured: pairs of roomd and of baresip, each pair in a call with itself.

pub(crate) mod baresip_pair;
pub(crate) mod recordings;
pub(crate) mod room_api;
pub(crate) mod roomd_pair;
