//! Inputs as sequences of steps.

/// The steps of an input: a byte for what happens, two for the length of the bytes it happens with.
pub fn steps(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [what, high, low, more @ ..] = input else {
            return None;
        };
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(more.len());
        let (bytes, behind) = more.split_at(length);
        input = behind;
        Some((*what, bytes))
    })
}
