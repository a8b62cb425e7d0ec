//! Guests: people who come into the meeting by a link, from a browser.

/// What a leg is: by whom, and in which way, the far end takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegKind {
    /// A SIP call.
    Sip,
    /// A guest, by WebRTC from a browser.
    Guest,
}

/// A guest who comes to the room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guest {
    /// The number by which the guest server knows the guest.
    pub number: u64,
    /// The name that the guest gives. Untrusted text.
    pub name: String,
    /// Whether somebody in the room has to let the guest in.
    pub admission: GuestAdmission,
}

/// Whether somebody in the room has to let a guest in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuestAdmission {
    /// The guest knocks, and waits until somebody answers.
    Ask,
    /// The guest comes in at once: the link says so, or the guest was let in before.
    Unasked,
}

/// The owner's rules for guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuestPolicy {
    /// The most guests at a time, those who knock included. They do not count among the legs that
    /// [`crate::policy::SecondCall`] allows. By default, none.
    pub max_guests: u8,
}
