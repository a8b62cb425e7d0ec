//! A call's SIP messages on their way to clients.

use api::SipLadder;
use api::sip_ladder::{SipDirection, SipMessage, SipTransport};
use sip::ladder::{Direction, Ladder, LadderMessage};
use sip::transport::Transport;

use crate::sip_ladders::LadderOf;

/// The messages as the wire has them.
pub(super) fn sip_ladder_to_api(of: LadderOf, ladder: Ladder) -> SipLadder {
    let leg = match of {
        LadderOf::Leg(leg) => Some(leg.0),
        LadderOf::Refused => None,
    };
    SipLadder {
        leg,
        call_ids: ladder.call_ids,
        messages: ladder.messages.into_iter().map(message).collect(),
    }
}

fn message(message: LadderMessage) -> SipMessage {
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    SipMessage {
        offset_ms: milliseconds(message.offset),
        direction: match message.direction {
            Direction::Sent => SipDirection::Sent,
            Direction::Received => SipDirection::Received,
        },
        transport: match message.transport {
            Transport::Udp => SipTransport::Udp,
            Transport::Tcp => SipTransport::Tcp,
            Transport::Tls => SipTransport::Tls,
            Transport::Ws => SipTransport::Ws,
            Transport::Wss => SipTransport::Wss,
        },
        remote: message.remote.to_string(),
        method: message.method,
        status: message.status,
        start_line: message.start_line,
        body_type: message.body_type,
        text: message.text,
        retransmissions: message.repeats,
        last_retransmission_ms: message.last_repeat.map(milliseconds),
        left_out_before: message.left_out_before,
    }
}
