//! What a server remembers of one participant: its way, the news that are due to it, and the one
//! that waits for its acknowledgement.

use std::time::Instant;

use super::channel::Channel;
use super::identifiers::TransactionId;
use super::information::FloorRequestInformation;
use super::message::Content;
use super::round_trip::RoundTrip;
use super::transaction::{AnsweredRequests, Due, PendingRequest};
use crate::transaction::Reliability;

/// Something that a participant has to learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// How a request of its own stands.
    Request(FloorRequestInformation),
    /// How the floor stands; what to say is looked up when it is sent.
    Floor,
}

/// Whether a participant wants to know of every change of the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscription {
    No,
    Yes,
}

/// Whether a participant takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Here,
    /// It said goodbye, and nothing since.
    Left,
    /// Its connection is lost. Until then a new one finds its requests as they were.
    Away {
        until: Instant,
    },
}

/// What is under way to a participant.
#[derive(Debug)]
enum Delivery {
    Idle,
    Waiting(Box<News>, PendingRequest),
    /// It did not acknowledge the last news: it is told no more until it is heard of.
    Silent,
}

/// One participant.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) channel: Channel,
    pub(super) answered: AnsweredRequests,
    last_transaction: TransactionId,
    pub(super) round_trip: RoundTrip,
    presence: Presence,
    subscription: Subscription,
    due: Vec<News>,
    delivery: Delivery,
}

impl Peer {
    pub(super) fn new(reliability: Reliability, seed: TransactionId) -> Self {
        Self {
            channel: Channel::new(reliability),
            answered: AnsweredRequests::default(),
            last_transaction: seed,
            round_trip: RoundTrip::default(),
            presence: Presence::Here,
            subscription: Subscription::No,
            due: Vec::new(),
            delivery: Delivery::Idle,
        }
    }

    pub(super) fn next_transaction(&mut self) -> TransactionId {
        self.last_transaction = self.last_transaction.next();
        self.last_transaction
    }

    pub(super) fn subscribe(&mut self, asks: bool) {
        if asks {
            self.subscription = Subscription::Yes;
            // The response says how the floor stands, but news from before may arrive after it. The
            // news that follow them settle it.
            match self.channel.reliability() {
                Reliability::Unreliable => self.floor_changed(),
                Reliability::Reliable => {}
            }
        } else {
            self.subscription = Subscription::No;
            self.due.retain(|news| *news != News::Floor);
        }
    }

    /// A request of this participant stands otherwise. It replaces what was due of it before.
    pub(super) fn request_changed(&mut self, information: FloorRequestInformation) {
        self.due.retain(|news| match news {
            News::Request(older) => older.request != information.request,
            News::Floor => true,
        });
        self.due.push(News::Request(information));
    }

    /// The floor stands otherwise.
    pub(super) fn floor_changed(&mut self) {
        if self.subscription == Subscription::Yes && !self.due.contains(&News::Floor) {
            self.due.push(News::Floor);
        }
    }

    /// It has left: nothing concerns it any more. What is under way stays so until it cannot arrive
    /// any more, or else it could overtake what is sent after a return.
    pub(super) fn left(&mut self) {
        self.presence = Presence::Left;
        self.subscription = Subscription::No;
        self.due.clear();
    }

    /// Its connection is lost.
    pub(super) fn away(&mut self, until: Instant) {
        self.presence = Presence::Away { until };
        self.subscription = Subscription::No;
        self.due.retain(|news| *news != News::Floor);
    }

    /// It has a new way. What has become of its requests meanwhile is still due to it.
    pub(super) fn readmitted(&mut self, reliability: Reliability) {
        self.channel = Channel::new(reliability);
        match self.presence {
            Presence::Away { .. } => self.presence = Presence::Here,
            Presence::Here | Presence::Left => {}
        }
    }

    /// Whether it has not come back in time.
    pub(super) fn stayed_away(&self, now: Instant) -> bool {
        match self.presence {
            Presence::Away { until } => until <= now,
            Presence::Here | Presence::Left => false,
        }
    }

    /// What to send now, if nothing is under way.
    pub(super) fn next_news(&mut self) -> Option<News> {
        match (&self.presence, &self.delivery) {
            (Presence::Away { .. }, _) => None,
            (_, Delivery::Idle) if !self.due.is_empty() => Some(self.due.remove(0)),
            (_, Delivery::Idle | Delivery::Waiting(..) | Delivery::Silent) => None,
        }
    }

    pub(super) fn await_acknowledgement(&mut self, news: News, request: PendingRequest) {
        self.delivery = Delivery::Waiting(Box::new(news), request);
    }

    /// It has acknowledged something. Only what is under way counts.
    pub(super) fn acknowledged(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        content: &Content,
    ) {
        let Delivery::Waiting(news, request) = &self.delivery else {
            return;
        };
        let fits = match **news {
            News::Request(_) => *content == Content::FloorRequestStatusAck,
            News::Floor => *content == Content::FloorStatusAck,
        };
        if fits && request.transaction == transaction {
            request.answered(now, &mut self.round_trip);
            self.delivery = Delivery::Idle;
        }
    }

    /// It is there.
    pub(super) fn heard(&mut self) {
        self.presence = Presence::Here;
        match self.delivery {
            Delivery::Silent => self.delivery = Delivery::Idle,
            Delivery::Idle | Delivery::Waiting(..) => {}
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match (&self.presence, &self.delivery) {
            (Presence::Away { until }, _) => Some(*until),
            (_, Delivery::Waiting(_, request)) => Some(request.deadline()),
            (_, Delivery::Idle | Delivery::Silent) => None,
        }
    }

    /// Time has passed. What could not be delivered is due again, unless there is newer.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Due {
        let Delivery::Waiting(news, request) = &mut self.delivery else {
            return Due::Nothing;
        };
        let due = request.handle_timeout(now);
        if due == Due::Failed && self.presence == Presence::Left {
            self.delivery = Delivery::Idle;
            return Due::Nothing;
        }
        if due == Due::Failed {
            let news = (**news).clone();
            let newer = self.due.iter().any(|due| match (due, &news) {
                (News::Request(due), News::Request(news)) => due.request == news.request,
                (News::Floor, News::Floor) => true,
                (News::Request(_), News::Floor) | (News::Floor, News::Request(_)) => false,
            });
            if !newer {
                self.due.insert(0, news);
            }
            self.delivery = Delivery::Silent;
        }
        due
    }
}
