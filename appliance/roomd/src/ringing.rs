//! Tells callers that it rings here.
//!
//! Most hear it by a 180 that says no more. To a caller that takes reliable responses alone, and leaves
//! the offer to us, 180 has to bring it (RFC 3262 section 5): for such a call ports are bound when it
//! begins to ring, and no media flows over them before it is answered.

use std::time::Instant;

use sip::endpoint::{ActionError, CallId, Endpoint};
use sip::offer_answer::LocalMedia;

/// Why a caller does not hear that it rings.
#[derive(Debug)]
pub enum NotRung<E> {
    /// There are no ports for an offer.
    NoPorts(E),
    /// The call waits for no such thing, or is over.
    NotUnanswered(ActionError),
}

/// Tells the caller that it rings here, with the ports that `bind` gives when it has to be offered media
/// at once.
///
/// # Errors
/// [`NotRung`], which ends no call.
pub fn ring<E>(
    endpoint: &mut Endpoint,
    now: Instant,
    call: CallId,
    bind: impl FnOnce() -> Result<LocalMedia, E>,
) -> Result<(), NotRung<E>> {
    let told = if endpoint.rings_with_offer(call) {
        let local = bind().map_err(NotRung::NoPorts)?;
        endpoint.ring_with_offer(now, call, local)
    } else {
        endpoint.ring(now, call)
    };
    told.map_err(NotRung::NotUnanswered)
}
