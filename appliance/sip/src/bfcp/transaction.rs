//! One request and its retransmissions; the responses that are kept for requests that come again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::identifiers::TransactionId;
use super::primitive::Primitive;
use super::round_trip::RoundTrip;
use super::timers::{RETRANSMISSIONS, T2};
use crate::transaction::Reliability;

/// A request that waits for its response.
///
/// ```text
///            T1, 2 T1, 4 T1: sent again (unreliable transports; `round_trip`)
///              ┌──┐
///  sent ──► Waiting ── response ──► (done)
///              └ 8 T1 after the third, or T2 over a reliable transport ──► failed
/// ```
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) transaction: TransactionId,
    datagrams: Vec<Bytes>,
    sent: Instant,
    interval: Duration,
    at: Instant,
    retransmissions_left: u8,
}

/// What a deadline of a request brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has not come yet.
    Nothing,
    /// Send this again.
    Retransmit(Vec<Bytes>),
    /// Nobody answered: the association has failed (RFC 8855 section 8.3.1).
    Failed,
}

impl PendingRequest {
    pub(super) fn new(
        now: Instant,
        transaction: TransactionId,
        datagrams: Vec<Bytes>,
        reliability: Reliability,
        round_trip: &RoundTrip,
    ) -> Self {
        let (interval, retransmissions_left) = match reliability {
            Reliability::Unreliable => (round_trip.t1(), RETRANSMISSIONS),
            // What is lost is the transport's to repeat, but a server that is stuck is not.
            Reliability::Reliable => (T2, 0),
        };
        Self {
            transaction,
            datagrams,
            sent: now,
            interval,
            at: now + interval,
            retransmissions_left,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.at
    }

    /// It was answered: what that tells of the way to the peer, where T1 counts.
    pub(super) fn answered(&self, now: Instant, round_trip: &mut RoundTrip) {
        if self.retransmissions_left == RETRANSMISSIONS {
            round_trip.measured(now.saturating_duration_since(self.sent));
        } else {
            round_trip.repeated();
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Due {
        if self.at > now {
            return Due::Nothing;
        }
        let Some(left) = self.retransmissions_left.checked_sub(1) else {
            return Due::Failed;
        };
        self.retransmissions_left = left;
        self.interval *= 2;
        self.at = now + self.interval;
        Due::Retransmit(self.datagrams.clone())
    }
}

/// The most responses that are kept. One end has one request under way at a time.
const MAX_KEPT: usize = 16;

/// Responses to requests over an unreliable transport, for T2 since the request last came. Longer than
/// RFC 8855 section 8.3.2 asks for: copies of a request may arrive over more than T2 since the first,
/// and its sender may have had an answer meanwhile and asked for something else.
#[derive(Debug, Default)]
pub(super) struct AnsweredRequests {
    kept: VecDeque<Answered>,
}

#[derive(Debug)]
struct Answered {
    transaction: TransactionId,
    primitive: Primitive,
    response: Vec<Bytes>,
    until: Instant,
}

impl AnsweredRequests {
    /// The response to a request that was answered already, if it is kept. It is from now on again.
    pub(super) fn response(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        primitive: Primitive,
    ) -> Option<Vec<Bytes>> {
        self.kept.retain(|answered| answered.until > now);
        let answered = self.kept.iter_mut().find(|answered| {
            answered.transaction == transaction && answered.primitive == primitive
        })?;
        answered.until = now + T2;
        Some(answered.response.clone())
    }

    pub(super) fn keep(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        primitive: Primitive,
        response: Vec<Bytes>,
    ) {
        if self.kept.len() >= MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Answered {
            transaction,
            primitive,
            response,
            until: now + T2,
        });
    }
}
