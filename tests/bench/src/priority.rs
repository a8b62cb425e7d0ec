//! The scheduling priority of what is measured.
//!
//! While the kernel groups processes by terminal, `nice` acts only among the processes of one
//! terminal. What counts between terminals is the nice value of the group itself, which the
//! benchmark and the peers that it starts share.

use std::path::Path;

const AUTOGROUP: &str = "/proc/self/autogroup";
/// Half of the range: ahead of what else runs, without starving it.
const NICE: i32 = -10;

/// A raised priority. Goes back to what it was with this value.
#[derive(Debug)]
pub(crate) struct RaisedPriority {
    before: i32,
}

impl RaisedPriority {
    /// Raises the priority; `None` where this kernel or user cannot.
    pub(crate) fn raise() -> Option<Self> {
        let before = nice_of(&std::fs::read_to_string(AUTOGROUP).ok()?)?;
        set_nice(NICE).then_some(Self { before })
    }
}

impl Drop for RaisedPriority {
    fn drop(&mut self) {
        // It was ours to raise, so it is ours to lower.
        set_nice(self.before);
    }
}

fn set_nice(nice: i32) -> bool {
    std::fs::write(Path::new(AUTOGROUP), nice.to_string()).is_ok()
}

/// Reads `/autogroup-45 nice 0`.
fn nice_of(text: &str) -> Option<i32> {
    text.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::nice_of;

    #[test]
    fn the_nice_value_of_the_group_is_read() {
        assert_eq!(nice_of("/autogroup-45 nice 0\n"), Some(0));
        assert_eq!(nice_of("/autogroup-7 nice -10\n"), Some(-10));
        assert_eq!(nice_of(""), None);
    }
}
