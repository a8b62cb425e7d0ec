//! What measures. No instrument knows which row it serves.

pub(crate) mod first_pictures;
pub(crate) mod footage_camera;
pub(crate) mod gstreamer_floor;
pub(crate) mod media_pair;
pub(crate) mod process_load;
pub(crate) mod shown_frames;
pub(crate) mod shown_pictures;
pub(crate) mod sip_caller;
pub(crate) mod sip_flood;
pub(crate) mod sip_messages;
pub(crate) mod sip_pair;
pub(crate) mod sip_parsing;
pub(crate) mod sip_registrar;
pub(crate) mod sound_record;
