//! What the far end, or a proxy, says about the end of a call.

use super::{Call, CallState};
use crate::endpoint::{CallEndCause, CallId, Endpoint, Event};
use crate::grammar::{
    HeaderName, HeaderValue, Headers, ReasonValue, Response, RetryAfter, StatusCode, Warning,
};

/// Values of one header that are told.
const MAX_VALUES: usize = 8;

impl Endpoint {
    /// Tells what a CANCEL or BYE that ends a call says about it.
    pub(super) fn explain_end(&mut self, id: CallId, headers: &Headers) {
        self.tell_explanation(id, None, headers);
    }

    /// Tells how a refusal that ends a call puts it.
    pub(super) fn explain_refusal(&mut self, id: CallId, refusal: &Response) {
        self.tell_explanation(id, Some(refusal.status()), &refusal.headers);
    }

    fn tell_explanation(&mut self, id: CallId, status: Option<StatusCode>, headers: &Headers) {
        let is_open = match self.calls.get(&id) {
            Some(Call { state, .. }) => match state {
                CallState::Dialing(_) | CallState::Offered(_) | CallState::Established(_) => true,
                CallState::Leaving(_) => false,
            },
            None => false,
        };
        let reasons: Vec<ReasonValue> = values(headers, &HeaderName::Reason);
        let warnings: Vec<Warning> = values(headers, &HeaderName::Warning);
        let retry_after = headers.typed::<RetryAfter>().ok().flatten();
        let retry_after = retry_after
            .map(|value| value.wait())
            .filter(|_| status.is_some());
        if is_open && (status.is_some() || !reasons.is_empty() || !warnings.is_empty()) {
            self.event(Event::EndExplained {
                call: id,
                status,
                retry_after,
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
