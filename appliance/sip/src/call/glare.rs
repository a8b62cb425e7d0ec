//! Two ends that call each other at the same moment.
//!
//! Each would refuse the other as busy, and nobody would talk. Both ends know the Call-IDs of both
//! INVITEs, so both can say which of the two calls should go on, without a further message: the one
//! whose Call-ID is the smaller, byte by byte. Our user decides what to make of it.
//!
//! ```text
//!        one end (Call-ID "a")                      the other (Call-ID "b")
//!              │ ───────────── INVITE a ────────┐ ┌─── INVITE b ──────────── │
//!              │ ◄──────────────────────────────┼─┘                          │
//!   a < b: the │                                └──────────────────────────► │ a < b: the
//!   placed one │ ───────────── 486 (b) ────────────────────────────────────► │ incoming one
//!   goes on    │ ◄──────────── 200 (a), CANCEL (b) ───────────────────────── │ is answered
//! ```
//!
//! Crossing re-INVITEs within a call are another matter: see `glare_wait`.
//!
//! Where something between the two makes new Call-IDs (a back-to-back user agent), they may disagree,
//! and the calls end as if this did not exist.

use super::CallState;
use crate::endpoint::{AccountName, CallId, Endpoint};
use crate::grammar::{self, SipUri, Uri};

/// An unanswered call of ours to whoever calls us now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glare {
    /// Our call.
    pub placed: CallId,
    /// The one that goes on, by the word of both ends.
    pub prevails: Prevails,
}

/// Which of two crossing calls goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prevails {
    /// The call that we placed.
    Placed,
    /// The call that comes in.
    Incoming,
}

/// What tells a crossing call from any other.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) target: SipUri,
    pub(crate) call_id: grammar::CallId,
}

impl Placed {
    /// Who goes on when a call with this Call-ID comes from this address; `None` when it is somebody
    /// else, or our own INVITE come back.
    fn crossed_by(&self, from: &SipUri, call_id: &grammar::CallId) -> Option<Prevails> {
        if !is_same_party(&self.target, from) {
            return None;
        }
        match self.call_id.cmp(call_id) {
            std::cmp::Ordering::Less => Some(Prevails::Placed),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Prevails::Incoming),
        }
    }
}

impl Endpoint {
    /// Whether a call of an account of ours is under way to whoever sends this INVITE.
    pub(crate) fn glare(
        &self,
        account: &AccountName,
        from: &Uri,
        call_id: &grammar::CallId,
    ) -> Option<Glare> {
        let from = from.as_sip()?;
        self.calls.iter().find_map(|(id, call)| {
            let CallState::Dialing(dialing) = &call.state else {
                return None;
            };
            let prevails = dialing.placed.crossed_by(from, call_id)?;
            (call.account == *account).then_some(Glare {
                placed: *id,
                prevails,
            })
        })
    }
}

/// Whether two addresses are of the same party: user and host, and the port where both name one. How
/// it is reached does not matter.
pub(super) fn is_same_party(one: &SipUri, two: &SipUri) -> bool {
    let same_port = match (one.port(), two.port()) {
        (Some(one), Some(two)) => one == two,
        (None, _) | (_, None) => true,
    };
    same_port && one.host().is_equivalent_to(two.host()) && one.user_decoded() == two.user_decoded()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(target: &str, call_id: &str) -> Placed {
        Placed {
            target: sip(target),
            call_id: grammar::CallId::new(call_id).unwrap(),
        }
    }

    fn sip(uri: &str) -> SipUri {
        uri.parse::<Uri>().unwrap().as_sip().unwrap().clone()
    }

    #[test]
    fn both_ends_name_the_same_call() {
        let (lobby, board) = ("sip:room@192.0.2.1", "sip:room@192.0.2.2");
        for (lobbys, boards) in [("a", "b"), ("b", "a"), ("x9", "x10")] {
            let calls = [lobbys, boards].map(|id| grammar::CallId::new(id).unwrap());
            let at_lobby = placed(board, lobbys).crossed_by(&sip(board), &calls[1]);
            let at_board = placed(lobby, boards).crossed_by(&sip(lobby), &calls[0]);
            let (one, other) = if lobbys < boards {
                (Prevails::Placed, Prevails::Incoming)
            } else {
                (Prevails::Incoming, Prevails::Placed)
            };
            assert_eq!((at_lobby, at_board), (Some(one), Some(other)));
        }
    }

    #[test]
    fn only_the_called_itself_crosses_a_call() {
        let id = grammar::CallId::new("b").unwrap();
        let ours = placed("sip:board@example.com;transport=tls", "a");
        for (from, crosses) in [
            ("sip:board@EXAMPLE.com", true),
            ("sips:board@example.com:5061", true),
            ("sip:%62oard@example.com", true),
            ("sip:lobby@example.com", false),
            ("sip:board@example.org", false),
            ("sip:example.com", false),
        ] {
            assert_eq!(
                ours.crossed_by(&sip(from), &id).is_some(),
                crosses,
                "{from}"
            );
        }
        let port = placed("sip:board@127.0.0.1:5070", "a");
        assert_eq!(port.crossed_by(&sip("sip:board@127.0.0.1:5060"), &id), None);
    }

    #[test]
    fn an_own_invite_that_comes_back_crosses_nothing() {
        let id = grammar::CallId::new("a").unwrap();
        let own = "sip:room@192.0.2.1";
        assert_eq!(placed(own, "a").crossed_by(&sip(own), &id), None);
    }
}
