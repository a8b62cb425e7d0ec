//! ICE for one component of a SIP leg's stream (RFC 8445), with consent to go on sending (RFC 7675).
//!
//! ```text
//!              a pair is selected                     no answer for 30 s
//!  Checking ─────────────────────────► Connected ───────────────────────► Over
//!     │  ▲                                 │  ▲ another pair is better       ▲
//!     │  │ restart: other credentials      │  │                              │
//!     │  └─────────────────────────────────┘──┘                              │
//!     └───────────────── no pair within 30 s, or a fault ───────────────────┘
//! ```
//!
//! A component is a port of ours: RTP with RTCP (RFC 5761), or one of the two. Each has an agent of its
//! own, and both of a line have the same credentials. The checks follow RFC 8445; there is one local
//! candidate, the port itself, so that no check waits for another ("frozen"), and no address of ours is
//! gathered from servers. The controlling agent selects the best pair that works, and a better one that
//! works later in its place: it is not bound by `ice2` (RFC 8445 section 10), which is never said.
//!
//! `Over` ends only by a restart, or by another agreement on the same where no pair was found: consent that
//! was lost does not come back by itself (RFC 7675 section 5.1). In a restart media go on where they went until a pair is selected anew, for as long as the old
//! consent lasts (RFC 8445 section 9).

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use bytes::Bytes;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};

use crate::engine::contained;
use crate::stats::CandidateKind;

/// How long checks may take until a pair is selected.
const CHECKS_LIMIT: Duration = Duration::from_secs(30);
/// How long an answer to a check is consent to send (RFC 7675 section 5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// How often a pair that works is checked (RFC 7675 section 5.1). What is not answered is asked again
/// sooner, so that no consent is lost for a few lost datagrams.
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// Candidates of the peer that are tried.
pub(super) const MOST_CANDIDATES: usize = 32;
/// Addresses from which checks of the peer are answered, beyond its candidates.
const MOST_SOURCES: usize = 32;
/// Addresses that the peer may say it sees us at.
const MOST_MAPPED: usize = 16;

/// What one end proves itself with in checks (RFC 8445 section 5.3). Its `Debug` does not show the
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub username_fragment: String,
    /// `a=ice-pwd`.
    pub password: String,
}

impl IceCredentials {
    fn of_agent(&self) -> IceCreds {
        IceCreds {
            ufrag: self.username_fragment.clone(),
            pass: self.password.clone(),
        }
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.username_fragment)
    }
}

/// Who selects the pair (RFC 8445 section 6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceRole {
    /// We do.
    Controlling,
    /// The peer does.
    Controlled,
}

/// An address at which the peer may be reached by UDP (RFC 8445 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemoteCandidate {
    /// The address.
    pub address: SocketAddr,
    /// How it is reached.
    pub kind: CandidateKind,
    /// Greater is better.
    pub priority: u32,
}

impl RemoteCandidate {
    fn of_agent(self) -> Candidate {
        let kind = match self.kind {
            CandidateKind::Host => is::CandidateKind::Host,
            CandidateKind::ServerReflexive => is::CandidateKind::ServerReflexive,
            CandidateKind::PeerReflexive => is::CandidateKind::PeerReflexive,
            CandidateKind::Relayed => is::CandidateKind::Relayed,
        };
        // The agent knows one component, and of foundations only that they differ.
        let foundation = self.address.to_string();
        let (priority, address) = (self.priority, self.address);
        Candidate::from_parts(
            foundation,
            1,
            Protocol::Udp,
            priority,
            address,
            kind,
            None,
            None,
            None,
        )
    }
}

/// What the session descriptions settle of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceParameters {
    /// Ours.
    pub local: IceCredentials,
    /// The peer's.
    pub remote: IceCredentials,
    /// Our part, where nothing has settled it before.
    pub role: IceRole,
    /// Where the peer may be reached. The first 32 are tried.
    pub candidates: Vec<RemoteCandidate>,
}

impl IceParameters {
    /// Whether these are of the same session as others: one that differs is a restart (RFC 8445 section
    /// 9).
    #[must_use]
    pub fn continues(&self, other: &Self) -> bool {
        (&self.local, &self.remote) == (&other.local, &other.remote)
    }
}

/// Why media cannot flow (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IceFailure {
    /// No pair of addresses works.
    #[error("no address of the peer is reached")]
    NoPair,
    /// The peer has not answered checks for half a minute (RFC 7675).
    #[error("the peer answers no more")]
    ConsentLost,
    /// Our own address cannot be a candidate: it is link-local, or none of one host.
    #[error("our own address is none that a peer could reach")]
    LocalAddress,
    /// The ICE engine has come upon a fault of its own.
    #[error("the ICE engine has failed")]
    EngineFault,
}

/// What a component hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IceOutput {
    /// Send this from the component's socket.
    Transmit {
        /// Where to.
        destination: SocketAddr,
        /// The datagram.
        payload: Bytes,
    },
    /// Media go to this address of the peer from now on.
    Selected(SocketAddr),
    /// Media must not be sent any more, until a restart.
    Failed(IceFailure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Checking {
        /// When it is given up.
        until: Instant,
    },
    Connected {
        /// When consent ends.
        until: Instant,
    },
    Over(IceFailure),
}

/// ICE of one component.
pub struct IceComponent {
    local: SocketAddr,
    parameters: IceParameters,
    agent: IceAgent,
    state: State,
    /// The peer's address of the pair that is selected, now or before a restart.
    selected: Option<SocketAddr>,
    /// How many checks of the selected pair were answered when consent was last looked at.
    answered: u64,
    /// Whence the peer's checks have come.
    sources: HashSet<SocketAddr>,
    outputs: VecDeque<IceOutput>,
}

impl IceComponent {
    /// A component that begins its checks at once. `local` is where its socket receives: the address that
    /// the peer was told, or any other one of this host of the same IP version.
    #[must_use]
    pub fn new(now: Instant, local: SocketAddr, parameters: IceParameters) -> Self {
        let mut component = Self {
            local,
            agent: IceAgent::new(parameters.local.of_agent()),
            parameters,
            state: State::Over(IceFailure::NoPair),
            selected: None,
            answered: 0,
            sources: HashSet::new(),
            outputs: VecDeque::new(),
        };
        let role = component.parameters.role;
        component.begin(now, role);
        component
    }

    /// What was settled last.
    #[must_use]
    pub fn parameters(&self) -> &IceParameters {
        &self.parameters
    }

    /// The peer's address that media go to.
    #[must_use]
    pub fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    /// Our part. A conflict with the peer's may have changed it.
    #[must_use]
    pub fn role(&self) -> IceRole {
        match self.agent.controlling() {
            true => IceRole::Controlling,
            false => IceRole::Controlled,
        }
    }

    /// Whether a check has shown that the peer is at that address: media from there are its own.
    #[must_use]
    pub fn is_proven(&self, source: SocketAddr) -> bool {
        self.selected == Some(source) || self.agent.has_viable_remote_candidate(source)
    }

    /// Another offer and answer have settled this. Other credentials are a restart, in which the part of
    /// each end stays (RFC 8445 section 9); candidates that were not known are tried as well. Checks that
    /// have found nothing begin anew: a peer that rings may answer none before somebody accepts.
    pub fn settle(&mut self, now: Instant, local: SocketAddr, parameters: IceParameters) {
        let found_nothing = self.state == State::Over(IceFailure::NoPair);
        if found_nothing || !parameters.continues(&self.parameters) {
            let role = self.role();
            (self.local, self.parameters) = (local, parameters);
            return self.begin(now, role);
        }
        let before = std::mem::replace(&mut self.parameters, parameters).candidates;
        let candidates = self.parameters.candidates.iter().take(MOST_CANDIDATES);
        let new: Vec<_> = candidates
            .filter(|candidate| !before.contains(candidate))
            .copied()
            .collect();
        self.run(now, |agent| {
            for candidate in new {
                agent.add_remote_candidate(candidate.of_agent());
            }
            agent.handle_timeout(now);
        });
    }

    fn begin(&mut self, now: Instant, role: IceRole) {
        self.answered = 0;
        self.sources.clear();
        let begun = contained(|| agent(self.local, &self.parameters, role));
        match begun {
            Some(Some(agent)) => {
                self.agent = agent;
                self.state = State::Checking {
                    until: now + CHECKS_LIMIT,
                };
                self.run(now, |agent| agent.handle_timeout(now));
            }
            Some(None) => self.fail(IceFailure::LocalAddress),
            None => self.fail(IceFailure::EngineFault),
        }
    }

    /// Takes a datagram of STUN that has come from `source`. Whoever does not prove to know the
    /// passwords is not answered.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        let destination = self.local;
        let may_be_new = self.sources.len() < MOST_SOURCES;
        let is_known = |source| {
            let mut candidates = self.parameters.candidates.iter();
            self.sources.contains(source)
                || candidates.any(|candidate| candidate.address == *source)
        };
        if !may_be_new && !is_known(&source) {
            return;
        }
        let mut accepted = false;
        self.run(now, |agent| {
            let Ok(message) = StunMessage::parse(datagram) else {
                return;
            };
            if !bears_mapped_address(agent, &message) {
                return;
            }
            let packet = StunPacket {
                proto: Protocol::Udp,
                source,
                destination,
                message,
            };
            accepted = agent.handle_packet(now, packet);
        });
        if accepted {
            self.sources.insert(source);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Checking { until } if until <= now => self.fail(IceFailure::NoPair),
            State::Connected { until } if until <= now => self.fail(IceFailure::ConsentLost),
            State::Checking { .. } | State::Connected { .. } => {
                if self.agent.poll_timeout().is_some_and(|due| due <= now) {
                    self.run(now, |agent| agent.handle_timeout(now));
                }
            }
            State::Over(_) => {}
        }
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn next_deadline(&mut self) -> Option<Instant> {
        match self.state {
            State::Checking { until } | State::Connected { until } => {
                let agent = self.agent.poll_timeout();
                Some(agent.map_or(until, |due| due.min(until)))
            }
            State::Over(_) => None,
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<IceOutput> {
        self.outputs.pop_front()
    }

    /// Has the agent do something, and takes what it says then.
    fn run(&mut self, now: Instant, what: impl FnOnce(&mut IceAgent)) {
        if let State::Over(_) = self.state {
            return;
        }
        let (agent, outputs) = (&mut self.agent, &mut self.outputs);
        let selected = contained(|| {
            what(agent);
            poll(agent, outputs)
        });
        match selected {
            None => self.fail(IceFailure::EngineFault),
            Some(Some(selected)) => self.select(now, selected),
            Some(None) => self.renew_consent(now),
        }
    }

    fn select(&mut self, now: Instant, selected: SocketAddr) {
        self.state = State::Connected {
            until: now + CONSENT,
        };
        self.answered = self.answers();
        if self.selected != Some(selected) {
            self.selected = Some(selected);
            self.outputs.push_back(IceOutput::Selected(selected));
        }
    }

    fn renew_consent(&mut self, now: Instant) {
        let answered = self.answers();
        if let State::Connected { until } = &mut self.state
            && answered > self.answered
        {
            *until = now + CONSENT;
            self.answered = answered;
        }
    }

    /// Answers to checks of the pair that is selected, as long as the agent has it.
    fn answers(&self) -> u64 {
        self.agent.nominated_pair_responses_received().unwrap_or(0)
    }

    fn fail(&mut self, failure: IceFailure) {
        self.state = State::Over(failure);
        self.selected = None;
        self.outputs.push_back(IceOutput::Failed(failure));
    }
}

impl fmt::Debug for IceComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceComponent")
            .field("local", &self.local)
            .field("parameters", &self.parameters)
            .field("state", &self.state)
            .field("selected", &self.selected)
            .finish_non_exhaustive()
    }
}

/// An agent with its candidates; `None` where our address cannot be one.
fn agent(local: SocketAddr, parameters: &IceParameters, role: IceRole) -> Option<IceAgent> {
    let mut agent = IceAgent::new(parameters.local.of_agent());
    agent.set_control_tie_breaker(tie_breaker(&parameters.local));
    agent.set_controlling(role == IceRole::Controlling);
    agent.set_max_stun_rto(CONSENT_INTERVAL);
    agent.set_remote_credentials(parameters.remote.of_agent());
    agent.add_local_candidate(Candidate::host(local, Protocol::Udp).ok()?);
    for candidate in parameters.candidates.iter().take(MOST_CANDIDATES) {
        agent.add_remote_candidate(candidate.of_agent());
    }
    Some(agent)
}

/// Who gives way in a conflict of roles (RFC 8445 section 7.3.1.1). It travels in the clear: of the
/// password it tells nothing, and both components of a line have the same.
fn tie_breaker(credentials: &IceCredentials) -> u64 {
    let hash = digest::digest(&digest::SHA256, credentials.password.as_bytes());
    let octets = hash.as_ref().first_chunk();
    u64::from_be_bytes(*octets.expect("SHA-256 has more than eight octets"))
}

/// Takes what the agent says, and the peer's address of the pair that it has selected.
fn poll(agent: &mut IceAgent, outputs: &mut VecDeque<IceOutput>) -> Option<SocketAddr> {
    while let Some(transmit) = agent.poll_transmit() {
        outputs.push_back(IceOutput::Transmit {
            destination: transmit.destination,
            payload: Bytes::from(Vec::from(transmit.contents)),
        });
    }
    let mut selected = None;
    while let Some(event) = agent.poll_event() {
        match event {
            IceAgentEvent::NominatedSend { destination, .. } => selected = Some(destination),
            // Its states tell nothing that selected pairs and answers do not.
            IceAgentEvent::IceRestart(_)
            | IceAgentEvent::IceConnectionStateChange(_)
            | IceAgentEvent::DiscoveredRecv { .. } => {}
        }
    }
    selected
}

/// Whether an answer may be taken: the agent keeps each address of ours that the peer says it sees, and
/// a peer may say many.
fn bears_mapped_address(agent: &IceAgent, message: &StunMessage<'_>) -> bool {
    let Some(mapped) = message
        .is_successful_binding_response()
        .then(|| message.mapped_address())
        .flatten()
    else {
        return true;
    };
    let mut known = agent.local_candidates();
    known.clone().count() < MOST_MAPPED || known.any(|candidate| candidate.addr() == mapped)
}
