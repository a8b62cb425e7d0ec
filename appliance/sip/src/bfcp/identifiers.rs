//! The numbers by which BFCP names things. Each is given out by somebody else: conferences, users
//! and floors by the session description (RFC 8856), requests by the floor control server.

use std::fmt;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $number:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $number);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identifier!(
    /// A conference, `a=confid`.
    ConferenceId, u32
);
identifier!(
    /// A user of a conference, `a=userid`.
    UserId, u16
);
identifier!(
    /// A floor of a conference, `a=floorid`.
    FloorId, u16
);
identifier!(
    /// A request for a floor. The server gives it out.
    FloorRequestId, u16
);
identifier!(
    /// What a response has in common with its request. Never 0, save in what a server sends by
    /// itself over a reliable transport (RFC 8855 section 8).
    TransactionId, u16
);

impl TransactionId {
    /// Of what a server sends by itself over a reliable transport, where nothing is acknowledged.
    pub const UNACKNOWLEDGED: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            0 => Self(1),
            number => Self(number),
        }
    }
}
