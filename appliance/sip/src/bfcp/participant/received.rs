//! What the server says, and what it changes. Nothing here trusts the order of messages.

use std::time::Instant;

use super::{
    Asked, Doubt, FloorEnd, FloorHolder, MAX_FINISHED, OwnRequest, Participant, ParticipantEvent,
    Phase, REOPEN_AFTER, SIGN_OF_LIFE, State, ToldMeanwhile, Wanted,
};
use crate::bfcp::error::ErrorCode;
use crate::bfcp::header::TransactionRole;
use crate::bfcp::identifiers::{FloorId, FloorRequestId, TransactionId};
use crate::bfcp::information::{FloorRequestInformation, RequestStatus};
use crate::bfcp::message::{Content, Message};
use crate::transaction::Reliability;

impl Participant {
    pub(super) fn message_received(&mut self, now: Instant, message: Message) {
        let ours =
            message.conference == self.settings.conference && message.user == self.settings.user;
        if !ours || self.state == State::Closed {
            return;
        }
        match message.role {
            TransactionRole::Initiator => self.told(now, message),
            TransactionRole::Responder => self.answered(now, message),
        }
        self.proceed(now);
    }

    /// The server says something by itself.
    fn told(&mut self, now: Instant, message: Message) {
        let Message {
            transaction,
            content,
            ..
        } = message;
        let primitive = content.primitive();
        if let Some(response) = self.answered.response(now, transaction, primitive) {
            return self.send(response);
        }
        let acknowledgement = match content {
            Content::FloorRequestStatus(information) => {
                self.request_stands(&information);
                Content::FloorRequestStatusAck
            }
            Content::FloorStatus { floors, requests } => {
                if let Some((Asked::Floor { told_meanwhile }, _)) = &mut self.outstanding {
                    *told_meanwhile = ToldMeanwhile::Yes;
                }
                self.floor_stands(&floors, &requests);
                Content::FloorStatusAck
            }
            Content::Goodbye => {
                self.server_left();
                Content::GoodbyeAck
            }
            // What only participants and chairs begin, and what only answers.
            Content::FloorRequest { .. }
            | Content::FloorRelease(_)
            | Content::FloorRequestQuery(_)
            | Content::UserQuery(_)
            | Content::UserStatus { .. }
            | Content::FloorQuery(_)
            | Content::ChairAction(_)
            | Content::ChairActionAck
            | Content::Hello
            | Content::HelloAck { .. }
            | Content::Error { .. }
            | Content::FloorRequestStatusAck
            | Content::FloorStatusAck
            | Content::GoodbyeAck => return,
        };
        if transaction == TransactionId::UNACKNOWLEDGED {
            return;
        }
        let response = self.channel.write(&Message {
            conference: self.settings.conference,
            transaction,
            user: self.settings.user,
            role: TransactionRole::Responder,
            content: acknowledgement,
        });
        self.answered
            .keep(now, transaction, primitive, response.clone());
        self.send(response);
    }

    /// The server answers. What answers nothing that is asked is old.
    fn answered(&mut self, now: Instant, message: Message) {
        let asked = match &self.outstanding {
            Some((asked, request)) if request.transaction == message.transaction => *asked,
            Some(_) | None => return,
        };
        if self.take_answer(asked, message.content) {
            if let Some((_, request)) = self.outstanding.take() {
                request.answered(now, &mut self.round_trip);
            }
            self.sign_of_life = Some(now + SIGN_OF_LIFE);
        }
    }

    /// Takes an answer. False if it is none to what was asked.
    fn take_answer(&mut self, asked: Asked, content: Content) -> bool {
        if let Content::Error { code, .. } = content {
            self.refused(asked, code);
            return true;
        }
        match asked {
            Asked::Hello => {
                let Content::HelloAck { .. } = content else {
                    return false;
                };
                self.advance(Phase::Greeting);
            }
            Asked::User => {
                let Content::UserStatus { requests, .. } = content else {
                    return false;
                };
                self.recall(&requests);
                self.advance(Phase::Recalling);
            }
            Asked::Floor { told_meanwhile } => {
                let Content::FloorStatus { floors, requests } = content else {
                    return false;
                };
                match told_meanwhile {
                    ToldMeanwhile::No => self.floor_stands(&floors, &requests),
                    // It may be older than what was told.
                    ToldMeanwhile::Yes => {}
                }
                self.advance(Phase::Subscribing);
            }
            Asked::Request => {
                let Content::FloorRequestStatus(information) = content else {
                    return false;
                };
                // Old news may have passed for those of this request while it had no number.
                if let Some(other) = self.own.filter(|own| own.id != information.request) {
                    self.own = None;
                    self.finish(other.id);
                }
                self.request_stands(&information);
            }
            Asked::Release(_) | Asked::HowStands(_) => {
                let Content::FloorRequestStatus(information) = content else {
                    return false;
                };
                self.request_stands(&information);
            }
            Asked::Goodbye => {
                let Content::GoodbyeAck = content else {
                    return false;
                };
                self.left();
            }
        }
        true
    }

    fn refused(&mut self, asked: Asked, code: ErrorCode) {
        match asked {
            Asked::Hello => {
                self.state = State::Failed { reopen: None };
                self.end(FloorEnd::Refused(code));
                self.event(ParticipantEvent::Failed);
            }
            // Servers need not answer these; we can do without.
            Asked::User => self.advance(Phase::Recalling),
            Asked::Floor { .. } => self.advance(Phase::Subscribing),
            // It has taken the request before: what was sent again arrived after it had forgotten its answer
            // (T2, RFC 8855 section 8.3.2), and we never heard that.
            Asked::Request if self.is_doubted(&code) => {
                self.doubt = Doubt::Asked;
                self.state = State::Open(Phase::Recalling);
            }
            Asked::Request => {
                self.wanted = Wanted::No;
                self.event(ParticipantEvent::Ended(FloorEnd::Refused(code)));
            }
            // A server that will not take a release back would be asked for ever.
            Asked::Release(id) => self.forgotten(id, FloorEnd::Refused(code)),
            Asked::HowStands(id) if code == ErrorCode::FloorRequestIdDoesNotExist => {
                self.forgotten(id, FloorEnd::Forgotten);
            }
            Asked::HowStands(_) => {}
            Asked::Goodbye => self.left(),
        }
    }

    fn is_doubted(&self, code: &ErrorCode) -> bool {
        *code == ErrorCode::TooManyFloorRequests
            && self.own.is_none()
            && self.doubt == Doubt::None
            && self.state == State::Open(Phase::Ready)
    }

    /// From one phase to the next. A user who has left meanwhile stays on the way out.
    fn advance(&mut self, from: Phase) {
        if self.state != State::Open(from) {
            return;
        }
        let next = match from {
            Phase::Greeting => Phase::Recalling,
            Phase::Recalling => Phase::Subscribing,
            Phase::Subscribing => {
                self.event(ParticipantEvent::Ready);
                Phase::Ready
            }
            Phase::Ready | Phase::Leaving | Phase::Returning => from,
        };
        self.state = State::Open(next);
    }

    /// The server does not answer.
    pub(super) fn failed(&mut self, now: Instant) {
        self.outstanding = None;
        if let State::Open(Phase::Leaving | Phase::Returning) = self.state {
            self.left();
            return self.proceed(now);
        }
        let reopen = match self.settings.reliability {
            Reliability::Unreliable => Some(now + REOPEN_AFTER),
            Reliability::Reliable => None,
        };
        self.state = State::Failed { reopen };
        self.event(ParticipantEvent::Failed);
    }

    pub(super) fn left(&mut self) {
        let returning = self.state == State::Open(Phase::Returning);
        self.state = State::Closed;
        self.end(FloorEnd::Forgotten);
        self.set_holder(FloorHolder::Nobody);
        if returning {
            self.greet();
        }
    }

    fn server_left(&mut self) {
        self.outstanding = None;
        self.left();
        self.event(ParticipantEvent::ServerLeft);
    }

    /// What the server remembers of us, after the way to it was made anew.
    fn recall(&mut self, requests: &[FloorRequestInformation]) {
        let known = |id| requests.iter().find(|request| request.request == id);
        match self.own {
            Some(own) => match known(own.id) {
                Some(information) => self.request_stands(&information.clone()),
                None => self.forgotten(own.id, FloorEnd::Forgotten),
            },
            None => {
                let ours = requests.iter().find(|request| self.is_of_floor(request));
                if let Some(information) = ours {
                    self.request_stands(&information.clone());
                }
            }
        }
    }

    fn is_of_floor(&self, information: &FloorRequestInformation) -> bool {
        information
            .floors
            .iter()
            .any(|floor| floor.id == self.settings.floor)
    }

    /// How our request stands.
    fn request_stands(&mut self, information: &FloorRequestInformation) {
        let (id, Some(queued)) = (information.request, information.status()) else {
            return;
        };
        let known = match self.own {
            Some(own) if own.id == id => Some(own.status),
            Some(_) => return,
            None if self.finished.contains(&id) => return,
            None => None,
        };
        if known.is_some_and(|known| rank(queued.status) < rank(known)) {
            return;
        }
        self.doubt = Doubt::None;
        self.own = Some(OwnRequest {
            id,
            status: queued.status,
        });
        if queued.status.is_final() {
            return self.forgotten(id, FloorEnd::Status(queued.status));
        }
        match queued.status {
            RequestStatus::Granted if known != Some(RequestStatus::Granted) => {
                self.event(ParticipantEvent::Granted);
            }
            RequestStatus::Pending | RequestStatus::Accepted => {
                self.event(ParticipantEvent::Queued(queued.queue_position));
            }
            RequestStatus::Granted
            | RequestStatus::Denied
            | RequestStatus::Cancelled
            | RequestStatus::Released
            | RequestStatus::Revoked
            | RequestStatus::Other(_) => {}
        }
    }

    /// Our request is over.
    fn forgotten(&mut self, id: FloorRequestId, end: FloorEnd) {
        if self.own.is_none_or(|own| own.id != id) {
            return;
        }
        // Over by the server's decision: asking again is the user's. A user who wants the floor
        // again while it is being released gets a new request.
        if self.outstanding_release() != Some(id) {
            self.wanted = Wanted::No;
        }
        self.end(end);
    }

    fn outstanding_release(&self) -> Option<FloorRequestId> {
        match &self.outstanding {
            Some((Asked::Release(id), _)) => Some(*id),
            Some(_) | None => None,
        }
    }

    fn end(&mut self, end: FloorEnd) {
        if let Some(own) = self.own.take() {
            self.finish(own.id);
            self.event(ParticipantEvent::Ended(end));
        }
    }

    fn finish(&mut self, id: FloorRequestId) {
        if self.finished.len() >= MAX_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(id);
    }

    /// How the floor stands.
    fn floor_stands(&mut self, floors: &[FloorId], requests: &[FloorRequestInformation]) {
        if !floors.is_empty() && !floors.contains(&self.settings.floor) {
            return;
        }
        let granted = requests.iter().find(|request| {
            request
                .status()
                .is_some_and(|queued| queued.status == RequestStatus::Granted)
        });
        let holder = match granted {
            None => FloorHolder::Nobody,
            Some(request) => match request.user() {
                Some(user) if user == self.settings.user => FloorHolder::Us,
                Some(user) => FloorHolder::Other(Some(user)),
                None if self.own.is_some_and(|own| own.id == request.request) => FloorHolder::Us,
                None => FloorHolder::Other(None),
            },
        };
        self.set_holder(holder);
    }

    fn set_holder(&mut self, holder: FloorHolder) {
        if self.holder != holder {
            self.holder = holder;
            self.event(ParticipantEvent::HolderChanged(holder));
        }
    }
}

/// How far a request has come. It never goes back.
fn rank(status: RequestStatus) -> u8 {
    match status {
        RequestStatus::Other(_) | RequestStatus::Pending => 0,
        RequestStatus::Accepted => 1,
        RequestStatus::Granted => 2,
        RequestStatus::Denied
        | RequestStatus::Cancelled
        | RequestStatus::Released
        | RequestStatus::Revoked => 3,
    }
}
