//! The commands of the room that are about guests' legs, and what becomes of them.

use std::sync::Arc;
use std::time::Instant;

use media::Media;
use room::ids::LegId;
use room::media_plan::LegStreams;
use room::{Command, EndReason, Fact, FloorChange, RejectCause};
use webrtc::LegSettings;

use super::end_words::{end_of_refusal, ends_of_failure};
use super::transport::{GuestTransport, Order, Parts};
use super::{GuestLegs, Service, State, relays};
use crate::error::Error;
use crate::guests::signalling::{GuestEnd, GuestReply};
use crate::host_addresses::host_addresses;
use crate::randomness::random_bytes;

impl GuestLegs {
    /// Whether a command is about a guest's leg.
    #[must_use]
    pub fn concerns(&self, command: &Command) -> bool {
        subject(command).is_some_and(|leg| self.has(leg))
    }

    /// Carries out a command that [concerns](Self::concerns) a guest's leg.
    pub fn carry_out(&mut self, now: Instant, command: Command, media: &Media) -> Vec<Fact> {
        let Some(leg) = subject(&command) else {
            return Vec::new();
        };
        match command {
            Command::Ring { .. } => {
                self.tell(leg, GuestReply::Waiting);
                Vec::new()
            }
            Command::Accept { .. } => self.accept(now, leg, media),
            Command::Reject { cause, .. } => self.reject(leg, cause),
            Command::HangUp { .. } => self.hang_up(leg),
            // What flows follows the media plan; the page only has to say so.
            Command::Hold { .. } => {
                self.tell(leg, GuestReply::Held(true));
                vec![Fact::HoldSucceeded { leg }]
            }
            Command::Resume { .. } => {
                self.tell(leg, GuestReply::Held(false));
                vec![Fact::ResumeSucceeded { leg }]
            }
            // Nobody decides about slides of guests: each has a stream of its own.
            Command::RequestFloor { .. } => vec![Fact::Floor {
                leg,
                change: FloorChange::Ours,
            }],
            Command::SendDtmf { .. } => vec![Fact::DtmfRefused { leg }],
            other => {
                tracing::debug!(command = ?other, "means nothing for a guest");
                Vec::new()
            }
        }
    }

    fn accept(&mut self, now: Instant, leg: LegId, media: &Media) -> Vec<Fact> {
        let Some(known) = self.legs.get_mut(&leg) else {
            return Vec::new();
        };
        let State::Knocking { offer, candidates } = &mut known.state else {
            return Vec::new();
        };
        let (offer, candidates) = (std::mem::take(offer), std::mem::take(candidates));
        let (end, reason) = match self.answer(now, leg, &offer, media) {
            Ok((transport, sdp, streams)) => {
                for candidate in candidates {
                    transport.order(Order::Candidate(candidate));
                }
                if let Some(known) = self.legs.get_mut(&leg) {
                    known.state = State::Connecting(transport);
                    if let Some(server) = &self.server {
                        server.admitted(known.guest);
                    }
                }
                self.tell(leg, GuestReply::Answer { sdp });
                return vec![Fact::Answered { leg, streams }];
            }
            Err(AnswerError::Here(error)) => {
                tracing::error!(%leg, %error, "a guest cannot be let in");
                (GuestEnd::Failed, EndReason::LocalFault)
            }
            Err(AnswerError::Offer(error)) => {
                tracing::info!(%leg, %error, "a guest cannot be let in");
                ends_of_failure(&error)
            }
        };
        self.tell(leg, GuestReply::Ended(end));
        self.legs.remove(&leg);
        vec![Fact::Ended { leg, reason }]
    }

    fn answer(
        &mut self,
        now: Instant,
        leg: LegId,
        offer: &str,
        media: &Media,
    ) -> Result<(GuestTransport, String, LegStreams), AnswerError> {
        let mut sockets = Vec::new();
        let mut failure = None;
        for address in host_addresses(self.bound) {
            match self.ports.bind_bundle(address) {
                Ok(socket) => sockets.push(socket),
                // An address that has just gone is no reason to do without the others.
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure.filter(|_| sockets.is_empty()) {
            return Err(AnswerError::Here(error));
        }
        let parts = Parts {
            leg,
            seed: random_bytes().map_err(AnswerError::Here)?,
            settings: LegSettings::default(),
            sockets,
            tcp: self.tcp.clone(),
            public_addresses: self.public_addresses.clone(),
            relays: relays::start(leg, &self.turn, &mut self.tasks),
            datagrams: media.open_leg(leg),
            sources: self.sources,
            news: self.news.clone(),
            counters: Arc::clone(&self.counters),
            camera_layer: self.camera_layer,
        };
        GuestTransport::start(now, parts, offer, &mut self.tasks).map_err(AnswerError::Offer)
    }

    pub(super) fn reject(&mut self, leg: LegId, cause: RejectCause) -> Vec<Fact> {
        let end = match self.service {
            Service::Running => end_of_refusal(cause),
            Service::EndingMeeting => GuestEnd::MeetingOver,
            Service::ShuttingDown => GuestEnd::ShuttingDown,
        };
        self.end(leg, end)
    }

    /// Ends a leg by the wish of the room, and tells its page why.
    fn end(&mut self, leg: LegId, end: GuestEnd) -> Vec<Fact> {
        if let (Some(server), Some(known)) = (&self.server, self.legs.get(&leg))
            && end.sends_away()
        {
            server.sent_away(known.guest);
        }
        self.tell(leg, GuestReply::Ended(end));
        self.legs.remove(&leg);
        let reason = EndReason::LocalHangUp;
        vec![Fact::Ended { leg, reason }]
    }

    fn hang_up(&mut self, leg: LegId) -> Vec<Fact> {
        let connected = self.legs.get(&leg).map(|known| &known.state);
        let end = match (self.service, connected) {
            (Service::ShuttingDown, _) => GuestEnd::ShuttingDown,
            (Service::EndingMeeting, _) => GuestEnd::MeetingOver,
            (Service::Running, Some(State::Connected(_))) => GuestEnd::HungUp,
            // Nobody has sent the guest away: the browser was not reached.
            (Service::Running, _) => GuestEnd::ConnectionLost,
        };
        self.end(leg, end)
    }
}

/// Why an offer cannot be answered.
#[derive(Debug)]
enum AnswerError {
    /// This machine does not give what an answer needs.
    Here(Error),
    /// The offer is not one that can be answered.
    Offer(webrtc::Error),
}

/// The leg that a command is about.
const fn subject(command: &Command) -> Option<LegId> {
    match command {
        Command::Dial { leg, .. }
        | Command::Ring { leg }
        | Command::Accept { leg, .. }
        | Command::Reject { leg, .. }
        | Command::HangUp { leg }
        | Command::Hold { leg }
        | Command::Resume { leg }
        | Command::RequestFloor { leg }
        | Command::ReleaseFloor { leg }
        | Command::RevokeFloor { leg }
        | Command::SendDtmf { leg, .. }
        | Command::AcceptTransfer { leg }
        | Command::RefuseTransfer { leg }
        | Command::TellTransfer { leg, .. } => Some(*leg),
        Command::Register { .. }
        | Command::ApplyMedia(_)
        | Command::Remember { .. }
        | Command::ShutDownComplete => None,
    }
}
