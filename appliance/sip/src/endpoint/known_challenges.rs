//! Challenges that were met before, so that further requests are let in at once.
//!
//! A server that has challenged one request of a call or registration is given credentials with the
//! next ones as well (RFC 3261 section 22.3): the nonce is used again and its uses are counted.
//! Credentials are never shown to an address that did not ask for them, as whoever sees them can
//! guess passwords: a request that goes on to another server leaves them behind.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::authorization::Authorization;
use crate::grammar::CallId;

/// How many calls and registrations are remembered; the oldest give way. What is forgotten is asked
/// for again.
const MAX_KNOWN: usize = 64;

#[derive(Debug)]
struct Known {
    call_id: CallId,
    /// Who challenged, or passed the challenge on.
    remote: SocketAddr,
    authorization: Authorization,
}

/// The challenges of each Call-ID.
#[derive(Debug, Default)]
pub(crate) struct KnownChallenges {
    known: VecDeque<Known>,
}

impl KnownChallenges {
    /// A request has answered challenges that came from `remote`.
    pub(crate) fn remember(
        &mut self,
        call_id: CallId,
        remote: SocketAddr,
        authorization: Authorization,
    ) {
        self.forget(&call_id);
        if self.known.len() == MAX_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(Known {
            call_id,
            remote,
            authorization,
        });
    }

    /// What answers the challenges that `remote` would make, to be used and counted.
    pub(crate) fn of(
        &mut self,
        call_id: &CallId,
        remote: SocketAddr,
    ) -> Option<&mut Authorization> {
        self.known
            .iter_mut()
            .find(|known| known.call_id == *call_id && known.remote == remote)
            .map(|known| &mut known.authorization)
    }

    /// The credentials were refused.
    pub(crate) fn forget(&mut self, call_id: &CallId) {
        self.known.retain(|known| known.call_id != *call_id);
    }
}
