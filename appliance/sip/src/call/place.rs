//! Where the two ends of a call are. A box that gets another address in a call tells the far end by
//! re-INVITE (RFC 3261 section 14.1), which names its new Contact too; a far end that does so is
//! followed.
//!
//! ```text
//!   told ── move_media ──► moved ── an offer or answer with the address is agreed on ──► told
//!                            │ 491: told again, after the other request
//!                            │ 480, 5xx, or no way: told again, sixteen times; then the call is over
//!                            │ another refusal: nothing more is said of it
//! ```

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::outgoing::flow_back;
use super::{CallState, Established, Reinvite};
use crate::endpoint::{ActionError, CallEndCause, CallId, Endpoint};
use crate::grammar::Headers;
use crate::transport::Path;

/// How soon the far end is told again where we are, after there was no way to it.
const MOVE_RETRY: Duration = Duration::from_secs(2);
/// How often, one after the other: about as long as a transaction lasts.
const MOVE_RETRIES: u8 = 16;

impl Established {
    /// Whether the far end sends media to where we are no more, and may want to know.
    pub(super) fn has_moved(&self) -> bool {
        !self.session.is_placed() && self.refused_place != Some(self.place())
    }

    /// The far end does not take media to where we are: asked again, it would say the same.
    pub(super) fn refuse_place(&mut self) {
        self.refused_place = Some(self.place());
    }

    fn place(&self) -> IpAddr {
        self.session.local_media().address
    }
}

impl Endpoint {
    /// Media of a call comes to another address of ours, to the same ports: the far end is told by
    /// re-INVITE, which also names our new Contact. One that is told already, or meets another
    /// request, is told after it; [`MediaChanged`](crate::endpoint::Event::MediaChanged) follows.
    ///
    /// # Errors
    /// The call is unknown or not established.
    pub fn move_media(
        &mut self,
        now: Instant,
        call: CallId,
        address: IpAddr,
    ) -> Result<(), ActionError> {
        let established = self.established_mut(call)?;
        established.session.move_to(address);
        self.drive_reinvite(now, call);
        Ok(())
    }

    /// A new network may take a moment before it leads anywhere, and a proxy before it does. A far end
    /// that cannot be told for longer sends to nobody: the call is over.
    pub(super) fn move_undelivered(&mut self, now: Instant, id: CallId) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        established.moves_undelivered = established.moves_undelivered.saturating_add(1);
        if established.moves_undelivered > MOVE_RETRIES {
            return self.hang_up_for(now, id, CallEndCause::Timeout);
        }
        let until = now + MOVE_RETRY;
        established.reinvite = Reinvite::Waiting { until };
    }

    /// The far end says where it is, by a request that came over `path`. It may have moved: what we
    /// ask next goes to the new place, and back by the connection that it has made from there, never by
    /// one that is less protected than the call.
    pub(super) fn follow_far_end(&mut self, id: CallId, path: Path, request: &Headers) {
        let signalling = self.signalling(path);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let CallState::Established(established) = &mut call.state else {
            return;
        };
        established.dialog.refresh_target(request);
        let flow = flow_back(path, request, &established.dialog);
        if flow.is_some() && signalling == call.signalling {
            call.flow = flow;
        }
    }
}
