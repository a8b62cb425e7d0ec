//! What guests' pages and the driver say to each other: events one way, replies the other, and the
//! handle by which the driver tells what became of a guest.
//!
//! ```text
//!  page ── WebSocket ──> connection ── GuestEvent ──> driver
//!  page <── WebSocket ── connection <── GuestReply ── driver   (a channel for each WebSocket)
//!                        sessions   <── Guests ────── driver   (admitted, meeting over)
//! ```
//!
//! All channels are bounded. A driver that is behind holds up the pages and nobody else; a page that
//! does not read loses its WebSocket, not its call.
//!
//! The order of one guest's events is that of its page. Where a page connects again, by a new WebSocket
//! or from another tab, all events of the old WebSocket come before those of the new one; replies to
//! the old one are dropped.

use std::fmt;

use tokio::sync::mpsc;

pub use config::Admit;

/// Events of guests that wait for the driver.
const EVENTS: usize = 64;
/// Replies that wait for one page: an answer, what is held, an end. A page that lets more wait does not read.
pub const REPLIES: usize = 16;

/// A guest: one person's session. It is the same after a reload of the page, a new WebSocket and a restart
/// of the service, and is never given to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuestId(pub u64);

impl fmt::Display for GuestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "guest-{}", self.0)
    }
}

/// What a guest's page does, for the driver.
#[derive(Debug)]
pub enum GuestEvent {
    /// An offer. The first of a guest is a knock; a later one of a guest that has a leg renegotiates (ICE
    /// restart, slides), or brings back a page whose WebSocket broke.
    Offer {
        /// Whose.
        guest: GuestId,
        /// What the guest calls itself: 1 to 64 characters, none of them a control character.
        name: String,
        /// Whether somebody in the room has to let the guest in. A guest that was let in is
        /// [`Admit::Automatically`] until the room hangs up on it.
        admit: Admit,
        /// The session description (RFC 8866), at most 64 KiB, unread.
        sdp: String,
        /// The way back to the page that sent the offer. The newest one of a guest counts: sending to
        /// an earlier one may fail, and reaches nobody.
        replies: mpsc::Sender<GuestReply>,
    },
    /// A candidate of the guest's ICE agent, trickled (RFC 8838).
    Candidate {
        /// Whose.
        guest: GuestId,
        /// The value of an `a=candidate` attribute with its name, `candidate:...`, unread; empty: there
        /// are no more.
        candidate: String,
        /// The media line that it belongs to, by its mid, where the page says so.
        mid: Option<String>,
    },
    /// The guest has hung up. Its session stays: it may offer again.
    Left {
        /// Who.
        guest: GuestId,
    },
    /// The guest's WebSocket is gone, without a goodbye. The call goes on as long as ICE consent does.
    ConnectionLost {
        /// Whose.
        guest: GuestId,
    },
    /// The session has ended, and a leg with it.
    SessionOver {
        /// Whose.
        guest: GuestId,
        /// Why.
        why: SessionEnd,
    },
}

/// Why a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionEnd {
    /// The guest has ended it.
    SignedOut,
    /// Its link has expired.
    LinkExpired,
    /// Its link was revoked.
    LinkRevoked,
    /// The guest was absent, and another needed its place.
    PlaceTaken,
    /// The meeting is over: see [`super::Guests::meeting_over`].
    MeetingOver,
}

impl SessionEnd {
    /// What the page of such a session is told, if there is one.
    pub(super) const fn as_guest_end(self) -> GuestEnd {
        match self {
            Self::SignedOut | Self::PlaceTaken => GuestEnd::SessionOver,
            Self::MeetingOver => GuestEnd::MeetingOver,
            Self::LinkExpired => GuestEnd::LinkExpired,
            Self::LinkRevoked => GuestEnd::LinkRevoked,
        }
    }
}

/// What the driver has to tell a guest's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestReply {
    /// Somebody in the room has to let the guest in.
    Waiting,
    /// The answer to the newest offer.
    Answer {
        /// The session description, with the room's candidates.
        sdp: String,
    },
    /// The room may be reached in this way too (RFC 8838): the value of an `a=candidate` attribute with its
    /// name.
    Candidate(String),
    /// Whether the room holds the call.
    Held(bool),
    /// It is over. The page is told, and its WebSocket closed.
    Ended(GuestEnd),
}

/// Why a guest's call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuestEnd {
    /// Somebody in the room did not let the guest in.
    Declined,
    /// Nobody in the room answered.
    NoAnswer,
    /// The room takes no more.
    Busy,
    /// The room has hung up on the guest. Its session stays: it may knock again.
    HungUp,
    /// The room has ended its meeting, and all links to it.
    MeetingOver,
    /// The session has ended by itself or elsewhere: there is none to come back by.
    SessionOver,
    /// The link has expired.
    LinkExpired,
    /// The link was revoked.
    LinkRevoked,
    /// The same session was opened elsewhere.
    TakenOver,
    /// There is no media that both ends can use.
    MediaIncompatible,
    /// Nothing has come from the page for too long.
    ConnectionLost,
    /// The service ends.
    ShuttingDown,
    /// The room could not do it.
    Failed,
}

impl GuestEnd {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Declined,
        Self::NoAnswer,
        Self::Busy,
        Self::HungUp,
        Self::MeetingOver,
        Self::SessionOver,
        Self::LinkExpired,
        Self::LinkRevoked,
        Self::TakenOver,
        Self::MediaIncompatible,
        Self::ConnectionLost,
        Self::ShuttingDown,
        Self::Failed,
    ];

    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::HungUp => "hung_up",
            Self::MeetingOver => "meeting_over",
            Self::SessionOver => "session_over",
            Self::LinkExpired => "link_expired",
            Self::LinkRevoked => "link_revoked",
            Self::TakenOver => "taken_over",
            Self::MediaIncompatible => "media_incompatible",
            Self::ConnectionLost => "connection_lost",
            Self::ShuttingDown => "shutting_down",
            Self::Failed => "failed",
        }
    }

    /// Whether the room has sent the guest away: then it has to knock again, whatever its link says.
    #[must_use]
    pub(crate) const fn sends_away(self) -> bool {
        match self {
            Self::Declined | Self::HungUp | Self::MeetingOver => true,
            Self::NoAnswer
            | Self::Busy
            | Self::SessionOver
            | Self::LinkExpired
            | Self::LinkRevoked
            | Self::TakenOver
            | Self::MediaIncompatible
            | Self::ConnectionLost
            | Self::ShuttingDown
            | Self::Failed => false,
        }
    }
}

/// The channel by which the driver hears of guests: one for the whole service.
#[must_use]
pub fn guest_events() -> (mpsc::Sender<GuestEvent>, mpsc::Receiver<GuestEvent>) {
    mpsc::channel(EVENTS)
}

/// A channel to one page.
pub(super) fn replies() -> (mpsc::Sender<GuestReply>, mpsc::Receiver<GuestReply>) {
    mpsc::channel(REPLIES)
}
