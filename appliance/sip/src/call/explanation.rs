//! What the far end, or a proxy, says about the end of a call.

use super::{Call, CallState};
use crate::endpoint::{CallEndCause, CallId, Endpoint, Event};
use crate::grammar::{HeaderName, HeaderValue, Headers, ReasonValue, Warning};

/// Values of one header that are told.
const MAX_VALUES: usize = 8;

impl Endpoint {
    /// Tells what a message that ends a call says about it.
    pub(super) fn explain_end(&mut self, id: CallId, headers: &Headers) {
        let is_open = match self.calls.get(&id) {
            Some(Call { state, .. }) => match state {
                CallState::Dialing(_) | CallState::Offered(_) | CallState::Established(_) => true,
                CallState::Leaving(_) => false,
            },
            None => false,
        };
        let reasons: Vec<ReasonValue> = values(headers, &HeaderName::Reason);
        let warnings: Vec<Warning> = values(headers, &HeaderName::Warning);
        if is_open && !(reasons.is_empty() && warnings.is_empty()) {
            self.event(Event::EndExplained {
                call: id,
                reasons,
                warnings,
            });
        }
    }
}

/// Why a call ended whose caller has cancelled it.
pub(super) fn cancelled_cause(cancel: &Headers) -> CallEndCause {
    let reasons: Vec<ReasonValue> = values(cancel, &HeaderName::Reason);
    if reasons.iter().any(ReasonValue::is_answered_elsewhere) {
        CallEndCause::AnsweredElsewhere
    } else {
        CallEndCause::RemoteCancelled
    }
}

fn values<T: HeaderValue>(headers: &Headers, name: &HeaderName) -> Vec<T> {
    headers
        .values::<T>(name)
        .filter_map(Result::ok)
        .take(MAX_VALUES)
        .collect()
}
