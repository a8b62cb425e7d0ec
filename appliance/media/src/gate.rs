//! Whether a leg's pictures may leave just now.

/// Whether pictures are handed to a leg. Closed by whoever knows that the network towards the far end
/// is full, for moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Pictures go to the leg.
    Open,
    /// None do. When all legs of an encode are closed, pictures are skipped before they are encoded
    /// and the next one follows on the last; a leg that is closed alone goes on with a keyframe.
    Closed,
}
