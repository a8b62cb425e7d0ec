//! Commands of the room that wait for the fact that answers them.

use std::collections::BTreeSet;

use room::{Command, Fact, FloorChange, Generation, LegId};

/// A command that a fact must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waiting {
    Dial(LegId),
    Accept(LegId),
    End(LegId),
    Hold(LegId),
    Resume(LegId),
    Floor(LegId),
    Media(Generation),
    Store(Generation),
}

/// The room's commands that no fact has answered yet.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    waiting: BTreeSet<Waiting>,
    over: BTreeSet<LegId>,
}

impl Unanswered {
    /// The room has ordered something.
    pub(crate) fn ordered(&mut self, command: &Command) {
        let waiting = match command {
            Command::Dial { leg, .. } => Waiting::Dial(*leg),
            Command::Accept { leg, .. } => Waiting::Accept(*leg),
            Command::Reject { leg, .. } | Command::HangUp { leg } => Waiting::End(*leg),
            Command::Hold { leg } => Waiting::Hold(*leg),
            Command::Resume { leg } => Waiting::Resume(*leg),
            Command::RequestFloor { leg } => Waiting::Floor(*leg),
            Command::ReleaseFloor { leg } => {
                // Nobody waits for it any more.
                self.waiting.remove(&Waiting::Floor(*leg));
                return;
            }
            Command::ApplyMedia(plan) => Waiting::Media(plan.generation),
            Command::Remember { generation, .. } => Waiting::Store(*generation),
            Command::Ring { .. }
            | Command::RevokeFloor { .. }
            | Command::SendDtmf { .. }
            | Command::AcceptTransfer { .. }
            | Command::RefuseTransfer { .. }
            | Command::TellTransfer { .. }
            | Command::Register { .. }
            | Command::ShutDownComplete => return,
        };
        if !waiting.leg().is_some_and(|leg| self.over.contains(&leg)) {
            self.waiting.insert(waiting);
        }
    }

    /// The room was told something.
    pub(crate) fn told(&mut self, fact: &Fact) {
        match fact {
            Fact::Established { leg, .. } => {
                self.waiting.remove(&Waiting::Dial(*leg));
                self.waiting.remove(&Waiting::Accept(*leg));
            }
            Fact::HoldSucceeded { leg } | Fact::HoldFailed { leg } => {
                self.waiting.remove(&Waiting::Hold(*leg));
            }
            Fact::ResumeSucceeded { leg } | Fact::ResumeFailed { leg } => {
                self.waiting.remove(&Waiting::Resume(*leg));
            }
            Fact::Floor {
                leg,
                change: FloorChange::Ours | FloorChange::NotGranted,
            } => {
                self.waiting.remove(&Waiting::Floor(*leg));
            }
            Fact::Ended { leg, .. } => {
                self.waiting.retain(|waiting| waiting.leg() != Some(*leg));
                self.over.insert(*leg);
            }
            Fact::MediaApplied { generation } => {
                self.waiting.remove(&Waiting::Media(*generation));
            }
            Fact::Stored { generation } | Fact::StoreFailed { generation, .. } => {
                self.waiting.remove(&Waiting::Store(*generation));
            }
            Fact::Incoming { .. }
            | Fact::GuestKnocks { .. }
            | Fact::IncomingRefused { .. }
            | Fact::EndExplained { .. }
            | Fact::DtmfRefused { .. }
            | Fact::Ringing { .. }
            | Fact::Answered { .. }
            | Fact::EarlyMedia { .. }
            | Fact::DialogNamed { .. }
            | Fact::StreamsChanged { .. }
            | Fact::RemoteHold { .. }
            | Fact::RemoteResume { .. }
            | Fact::TransferAsked { .. }
            | Fact::FirstFrame { .. }
            | Fact::VideoStalled { .. }
            | Fact::VideoResumed { .. }
            | Fact::Floor { .. }
            | Fact::SlidesResumed { .. }
            | Fact::SlidesStalled { .. }
            | Fact::SlidesGone
            | Fact::SlidesBack
            | Fact::DtmfReceived { .. }
            | Fact::BitrateRequested { .. }
            | Fact::VideoTarget { .. }
            | Fact::Measured { .. }
            | Fact::CameraGone
            | Fact::CameraBack
            | Fact::MicrophoneGone
            | Fact::MicrophoneBack
            | Fact::MediaFault(_)
            | Fact::Certificates(_)
            | Fact::GuestCertificate(_)
            | Fact::Levels { .. }
            | Fact::Registration { .. }
            | Fact::RegistrationFlows { .. }
            | Fact::NotResumed { .. }
            | Fact::PolicyChanged(_) => {}
        }
    }

    /// The commands that wait, in words.
    pub(crate) fn list(&self) -> Vec<String> {
        self.waiting
            .iter()
            .map(|waiting| format!("{waiting:?}"))
            .collect()
    }
}

impl Waiting {
    const fn leg(self) -> Option<LegId> {
        match self {
            Self::Dial(leg)
            | Self::Accept(leg)
            | Self::End(leg)
            | Self::Hold(leg)
            | Self::Resume(leg)
            | Self::Floor(leg) => Some(leg),
            Self::Media(_) | Self::Store(_) => None,
        }
    }
}
