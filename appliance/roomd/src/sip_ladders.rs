//! Questions for the SIP messages of calls, and which call a leg was.
//!
//! The endpoint remembers by its calls, clients ask by legs, also after the end of a leg, when the
//! driver has forgotten it. So the last pairs are kept here.

use std::collections::VecDeque;

use room::LegId;
use sip::endpoint::{CallId, Endpoint};
use sip::ladder::Ladder;
use tokio::sync::oneshot;

/// Legs whose calls are remembered: as many as the endpoint remembers calls.
const MAX_LEGS: usize = 16;

/// Whose messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LadderOf {
    /// A leg's, which may be over.
    Leg(LegId),
    /// The last call's that was refused before it became a leg.
    Refused,
}

/// A question for messages, with the way to answer it: `None` when the leg is not remembered, an
/// empty ladder when its call never got as far as a message.
pub type LadderQuestion = (LadderOf, oneshot::Sender<Option<Ladder>>);

/// The calls of the last legs.
#[derive(Debug, Default)]
pub(crate) struct SipLadders {
    calls: VecDeque<(LegId, CallId)>,
}

impl SipLadders {
    /// A leg has become a call.
    pub(crate) fn remember(&mut self, leg: LegId, call: CallId) {
        if self.calls.len() >= MAX_LEGS {
            self.calls.pop_front();
        }
        self.calls.push_back((leg, call));
    }

    /// Answers a question from what the endpoint remembers.
    pub(crate) fn answer(&self, endpoint: &Endpoint, (of, answer): LadderQuestion) {
        let ladder = match of {
            LadderOf::Leg(leg) => {
                let newest = self.calls.iter().rev().find(|(known, _)| *known == leg);
                newest.map(|(_, call)| endpoint.sip_ladder(*call).unwrap_or_default())
            }
            LadderOf::Refused => endpoint.refused_sip_ladder(),
        };
        // A client that left does not need its answer.
        let _ = answer.send(ladder);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use sip::endpoint::{
        Account, AccountName, EndpointSettings, IncomingPolicy, ListenAddresses, Output,
    };
    use sip::grammar::{Message, Method, Response, StatusCode};
    use sip::offer_answer::{LocalMedia, LocalPort};
    use sip::transport::Transport;

    use super::*;

    fn here() -> SocketAddr {
        "192.0.2.1:5060".parse().unwrap()
    }

    fn there() -> SocketAddr {
        "192.0.2.2:5060".parse().unwrap()
    }

    /// An endpoint with one account over UDP.
    pub(crate) fn endpoint() -> Endpoint {
        let account = Account {
            transport: Transport::Udp,
            large_requests_by_tcp: false,
            ..Account::new(
                AccountName::new("office"),
                "sip:board@example.com".parse().unwrap(),
            )
        };
        let settings = EndpointSettings {
            accounts: vec![account],
            instance_id: None,
            user_agent: "roomd".to_owned(),
            incoming: IncomingPolicy::default(),
            listen: ListenAddresses {
                udp: vec![here()],
                ..ListenAddresses::default()
            },
            dial_limit: Duration::from_secs(60),
        };
        Endpoint::new(settings, [1; 32])
    }

    fn local() -> LocalMedia {
        LocalMedia {
            address: here().ip(),
            audio: Some(LocalPort {
                rtp: 20_000,
                rtcp: 20_001,
            }),
            video: None,
            content: None,
        }
    }

    /// A call that the far end refuses with 486.
    pub(crate) fn refused_call(endpoint: &mut Endpoint) -> CallId {
        let now = Instant::now();
        let target = "sip:ann@192.0.2.2".parse().unwrap();
        let call = endpoint
            .invite(now, &AccountName::new("office"), &target, local())
            .unwrap();
        while let Some(output) = endpoint.poll_output() {
            if let Output::SendDatagram { bytes, .. } = output
                && let Ok(Message::Request(invite)) = Message::parse_datagram(bytes)
                && *invite.method() == Method::Invite
            {
                let mut busy = Response::to(&invite, StatusCode::BUSY_HERE);
                busy.headers.add_to_tag("ann").unwrap();
                endpoint.datagram_received(now, here(), there(), busy.to_bytes());
            }
        }
        call
    }

    fn asked(ladders: &SipLadders, endpoint: &Endpoint, leg: u32) -> Option<Ladder> {
        let (answer, mut answered) = oneshot::channel();
        ladders.answer(endpoint, (LadderOf::Leg(LegId(leg)), answer));
        answered.try_recv().unwrap()
    }

    #[test]
    fn a_leg_that_is_over_can_still_be_asked_for_until_sixteen_others_came() {
        let mut endpoint = endpoint();
        let mut ladders = SipLadders::default();
        for leg in 0..17 {
            ladders.remember(LegId(leg), refused_call(&mut endpoint));
        }
        assert_eq!(asked(&ladders, &endpoint, 0), None);
        for leg in 1..17 {
            let ladder = asked(&ladders, &endpoint, leg).unwrap();
            let statuses: Vec<_> = ladder.messages.iter().map(|m| m.status).collect();
            assert_eq!(statuses, [None, Some(486), None], "leg {leg}");
        }
        assert_eq!(asked(&ladders, &endpoint, 17), None);
    }

    #[test]
    fn a_leg_whose_call_found_no_way_is_known_and_has_no_messages() {
        let mut endpoint = endpoint();
        let target = "sip:ann@unknown.example".parse().unwrap();
        let call = endpoint
            .invite(
                Instant::now(),
                &AccountName::new("office"),
                &target,
                local(),
            )
            .unwrap();
        let mut ladders = SipLadders::default();
        ladders.remember(LegId(1), call);
        assert_eq!(asked(&ladders, &endpoint, 1), Some(Ladder::default()));
    }
}
