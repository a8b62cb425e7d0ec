//! The kinds of message (RFC 8855 section 5.1 table 1).

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Primitive {
    /// A participant asks for a floor.
    FloorRequest,
    /// A participant gives a floor back, or no longer asks for it.
    FloorRelease,
    /// How does this request stand?
    FloorRequestQuery,
    /// How a request stands.
    FloorRequestStatus,
    /// What does this user have?
    UserQuery,
    /// What a user has.
    UserStatus,
    /// Who has these floors? Tell me whenever that changes.
    FloorQuery,
    /// Who has a floor.
    FloorStatus,
    /// A chair decides about a request.
    ChairAction,
    /// The decision has arrived.
    ChairActionAck,
    /// Are you there, and what do you speak?
    Hello,
    /// What the server speaks.
    HelloAck,
    /// A request was refused.
    Error,
    /// A `FloorRequestStatus` that the server sent by itself has arrived.
    FloorRequestStatusAck,
    /// A `FloorStatus` that the server sent by itself has arrived.
    FloorStatusAck,
    /// One end leaves.
    Goodbye,
    /// The other end knows.
    GoodbyeAck,
}

impl Primitive {
    /// All of them, by number.
    pub const ALL: [Self; 17] = [
        Self::FloorRequest,
        Self::FloorRelease,
        Self::FloorRequestQuery,
        Self::FloorRequestStatus,
        Self::UserQuery,
        Self::UserStatus,
        Self::FloorQuery,
        Self::FloorStatus,
        Self::ChairAction,
        Self::ChairActionAck,
        Self::Hello,
        Self::HelloAck,
        Self::Error,
        Self::FloorRequestStatusAck,
        Self::FloorStatusAck,
        Self::Goodbye,
        Self::GoodbyeAck,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::FloorRequest => 1,
            Self::FloorRelease => 2,
            Self::FloorRequestQuery => 3,
            Self::FloorRequestStatus => 4,
            Self::UserQuery => 5,
            Self::UserStatus => 6,
            Self::FloorQuery => 7,
            Self::FloorStatus => 8,
            Self::ChairAction => 9,
            Self::ChairActionAck => 10,
            Self::Hello => 11,
            Self::HelloAck => 12,
            Self::Error => 13,
            Self::FloorRequestStatusAck => 14,
            Self::FloorStatusAck => 15,
            Self::Goodbye => 16,
            Self::GoodbyeAck => 17,
        }
    }

    /// The primitive with that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|primitive| primitive.number() == number)
    }
}
