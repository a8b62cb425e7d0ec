//! What a caller would meet now, for those who ask before they call.

use super::Room;
use crate::command::RejectCause;

impl Room {
    /// With what anybody who calls now is refused; `None` while somebody may be taken. How a call is met
    /// that crosses one of ours, or wishes for something, shows only when it comes.
    #[must_use]
    pub fn refuses_calls(&self) -> Option<RejectCause> {
        if !self.shutdown.is_running() {
            Some(RejectCause::NotAvailable)
        } else if self.has_free_leg() {
            None
        } else {
            Some(RejectCause::Busy)
        }
    }
}
