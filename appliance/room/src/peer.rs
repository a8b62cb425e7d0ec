//! Who is at the other end of a leg, and how far the leg is protected.

/// The far end of a leg, as signalling named it. Untrusted text: never a decision rests on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address, such as `sip:board@example.com`.
    pub uri: String,
    /// The name that it gives itself.
    pub display_name: Option<String>,
}

/// How well signalling knows the caller of an incoming leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerTrust {
    /// One that configuration names, proven by address or certificate: policy may answer it
    /// unasked.
    Trusted,
    /// Let through to ring, no more.
    Admitted,
}

/// How a caller wishes to be answered. The room does so only where its policy allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnswerWish {
    /// Nothing is said.
    #[default]
    None,
    /// By nobody but a person.
    Manual,
    /// At once, without a hand.
    Automatic,
    /// At once, without a hand, or not at all: nobody is to be asked.
    AutomaticOnly,
}

/// Whether a path can be read and changed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Encrypted and authenticated to the next hop.
    Encrypted,
    /// Readable by anyone on the path.
    Plain,
}

/// How a leg is protected. Media keys that travel by plain signalling protect nothing, so both
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegSecurity {
    /// The signalling path to the next hop.
    pub signalling: Protection,
    /// Every media stream of the leg.
    pub media: Protection,
}

impl LegSecurity {
    /// Signalling and media encrypted.
    pub const SECURED: Self = Self {
        signalling: Protection::Encrypted,
        media: Protection::Encrypted,
    };
    /// Neither encrypted.
    pub const PLAIN: Self = Self {
        signalling: Protection::Plain,
        media: Protection::Plain,
    };

    /// Whether both signalling and media are encrypted.
    #[must_use]
    pub const fn is_secured(self) -> bool {
        matches!(
            (self.signalling, self.media),
            (Protection::Encrypted, Protection::Encrypted)
        )
    }
}
