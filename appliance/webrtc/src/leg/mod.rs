//! A leg: one browser's connection.
//!
//! ```text
//!              answer(offer)
//!                   │
//!                   ▼          ICE and DTLS done            no working pair
//!             establishing ──────────────────► connected ◄──────────────────► disconnected
//!                   │                              │         one found again        │
//!                   │ not in time,                 │ closed by either end,          │ consent is over
//!                   │ DTLS failed                  │ consent over, limit exceeded   │
//!                   └──────────────────────────► closed ◄───────────────────────────┘
//! ```
//!
//! Who owns the sockets calls [`Leg::receive`] and, at [`Leg::next_deadline`], [`Leg::handle_timeout`];
//! after these and every other call that takes `now` they take what [`Leg::poll_output`] has until it has
//! nothing more. `now` never goes back.
//!
//! Only the browser offers. A leg that is to be held keeps its agreement and stops the packets
//! ([`Leg::set_direction`]).

mod early_handshake;
mod events;
mod layers;
mod media;
mod negotiation;
mod remote_addresses;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use room::codec::Direction;
use room::media_plan::{LegStreams, Medium};
use str0m::channel::ChannelId;
use str0m::{Input, Rtc};

use crate::address::{AddressKind, LocalAddress, Received};
use crate::candidate;
use crate::capture_clock::CaptureClock;
use crate::description::{self, Offer, PayloadTypes};
use crate::engine::{self, Engine};
use crate::error::Error;
use crate::output::{CloseReason, Event, Output};
use crate::rate_limit::RateLimit;
use crate::rtp;
use crate::sent_datagrams::SentDatagrams;
use crate::stats::{CandidateKind, LegStats};
use crate::transport_feedback::TransportReports;
use early_handshake::EarlyHandshake;
use media::{MediumState, SourceMedium};
use negotiation::ice_credentials;
use remote_addresses::RemoteAddresses;

/// Candidates of the browser that are tried until ICE restarts.
const CANDIDATES: usize = 200;

/// Sources that a browser may have over a whole call: three streams, one of them in two layers, each with
/// retransmissions, begun anew now and then.
const SOURCES: usize = 64;

/// Sources that packets may name, genuine or not: more than a browser may have.
const CLAIMED_SOURCES: usize = 2 * SOURCES;

/// Data channels that a browser may have open.
const DATA_CHANNELS: usize = 8;

/// Texts within a second. Chat and captions are far below.
const TEXTS: u32 = 100;

/// Parts of RTCP within a second. A browser sends some hundred where much is lost.
const RTCP_PACKETS: u32 = 2_000;

/// Packets of which transport-wide reports tell within a second. We send some hundred, and each is told of once; a report
/// of forty bytes may claim thousands.
const REPORTED_PACKETS: u32 = 10_000;

/// Addresses where the browser listens by TCP, and where we connect, until ICE restarts.
const TCP_PASSIVE_CANDIDATES: usize = 4;

/// Nothing is due when a leg is over.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How a leg behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSettings {
    /// The longest that connecting may take.
    pub establishment_timeout: Duration,
    /// How long the browser's consent lasts after its last answer to a check (RFC 7675 section 5.1: 30
    /// seconds). It shows up to a second late.
    pub consent_timeout: Duration,
    /// Between two requests for a whole picture, each way and for each stream.
    pub keyframe_interval: Duration,
    /// Bytes of a text at most.
    pub longest_text: u32,
}

impl Default for LegSettings {
    fn default() -> Self {
        Self {
            establishment_timeout: Duration::from_secs(30),
            consent_timeout: Duration::from_secs(30),
            keyframe_interval: Duration::from_millis(300),
            longest_text: 16 * 1024,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected yet; given up at `until`.
    Establishing {
        until: Instant,
    },
    Connected,
    /// ICE has no working pair.
    Disconnected,
    Closed,
}

/// One browser's connection.
#[derive(Debug)]
pub struct Leg {
    settings: LegSettings,
    rng: ChaCha20Rng,
    engine: Engine,
    engine_deadline: Instant,
    local_ufrag: String,
    state: State,
    /// Until when we may send, once connected.
    consent_until: Option<Instant>,
    /// The answers to checks that the engine has counted, and on which pair.
    consent_counted: Option<(std::net::SocketAddr, std::net::SocketAddr, u64)>,
    /// An ICE restart gives a leg whose consent has run out this much longer to come back.
    restarted_until: Option<Instant>,
    outputs: VecDeque<Output>,
    media: [MediumState; 3],
    streams: LegStreams,
    capture_clock: CaptureClock,
    /// The name that ties the browser's streams together for media.
    name: String,
    transport_reports: TransportReports,
    sent_datagrams: SentDatagrams,
    payload_types: PayloadTypes,
    /// The certificates of the browser, as its first offer names them.
    fingerprints: Vec<String>,
    /// Sources of the browser, as its offers and its packets name them.
    sources: Vec<u32>,
    /// Sources that packets have named which may not be genuine.
    claimed_sources: Vec<u32>,
    /// Whose packets those of a source are.
    source_media: Vec<SourceMedium>,
    channels: Vec<(ChannelId, String)>,
    texts: RateLimit,
    rtcp_packets: RateLimit,
    reported_packets: RateLimit,
    offers: VecDeque<Instant>,
    candidates: usize,
    /// Where the browser listens by TCP.
    tcp_passive_candidates: Vec<std::net::SocketAddr>,
    remote_addresses: RemoteAddresses,
    early_handshake: EarlyHandshake,
    local_addresses: Vec<LocalAddress>,
    remote_kinds: Vec<(std::net::SocketAddr, CandidateKind)>,
    stats: LegStats,
}

impl Leg {
    /// Answers the first offer of a browser. The answer has all of our candidates in it. `seed` has to
    /// be random and secret: names and passwords of ICE come from it. (Keys of DTLS come from the
    /// system's random source.)
    ///
    /// # Errors
    /// What is wrong with the offer or an address.
    pub fn answer(
        now: Instant,
        seed: [u8; 32],
        settings: LegSettings,
        addresses: &[LocalAddress],
        offer: &str,
    ) -> Result<(Self, String), Error> {
        let read = Offer::parse(offer)?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let credentials = ice_credentials(&mut rng);
        let name = word(&mut rng, 16);
        let local_ufrag = credentials.ufrag.clone();
        let mut engine = Engine::new(now, credentials, settings.longest_text);
        for address in addresses {
            let candidate = candidate::local(*address)?;
            engine.run(|rtc| rtc.add_local_candidate(candidate).is_some());
        }
        let until = now + settings.establishment_timeout;
        let media = Medium::ALL
            .map(|medium| MediumState::new(medium, settings.keyframe_interval, rng.next_u32()));
        let mut leg = Self {
            settings,
            rng,
            engine,
            engine_deadline: now,
            local_ufrag,
            state: State::Establishing { until },
            consent_until: None,
            consent_counted: None,
            restarted_until: None,
            outputs: VecDeque::new(),
            media,
            streams: LegStreams::default(),
            capture_clock: CaptureClock::default(),
            name,
            transport_reports: TransportReports::new(now),
            sent_datagrams: SentDatagrams::default(),
            payload_types: PayloadTypes::default(),
            fingerprints: description::fingerprints(offer)
                .map(str::to_owned)
                .collect(),
            sources: Vec::new(),
            claimed_sources: Vec::new(),
            source_media: Vec::new(),
            channels: Vec::new(),
            texts: RateLimit::per_second(TEXTS),
            rtcp_packets: RateLimit::per_second(RTCP_PACKETS),
            reported_packets: RateLimit::per_second(REPORTED_PACKETS),
            offers: VecDeque::new(),
            candidates: 0,
            tcp_passive_candidates: Vec::new(),
            remote_addresses: RemoteAddresses::default(),
            early_handshake: EarlyHandshake::default(),
            local_addresses: addresses.to_vec(),
            remote_kinds: Vec::new(),
            stats: LegStats::default(),
        };
        let answer = leg.take_offer(now, offer, &read)?;
        leg.learn_streams();
        leg.require_common_codecs(&read)?;
        leg.advance(now);
        Ok((leg, answer))
    }

    /// Takes a candidate that the browser tells later, as its line `candidate:...`; an empty one, which
    /// ends them, is taken too. One that cannot be tried is passed over.
    ///
    /// # Errors
    /// It cannot be read, or is one too many.
    pub fn add_remote_candidate(&mut self, now: Instant, line: &str) -> Result<(), Error> {
        if self.state == State::Closed {
            return Err(Error::Closed);
        }
        if self.candidates >= CANDIDATES {
            return Err(Error::TooManyCandidates { limit: CANDIDATES });
        }
        self.candidates += 1;
        if let Some(candidate) = candidate::remote(line)? {
            self.try_remote(candidate);
            self.advance(now);
        }
        Ok(())
    }

    /// A new address of ours. The browser learns it from the answer to its next offer, or from our
    /// checks; or sooner from the line of the candidate, `candidate:...`, which this gives.
    ///
    /// # Errors
    /// It cannot be a candidate.
    pub fn add_local_address(
        &mut self,
        now: Instant,
        address: LocalAddress,
    ) -> Result<String, Error> {
        let candidate = candidate::local(address)?;
        let line = candidate.to_sdp_string();
        if !self.local_addresses.contains(&address) {
            self.local_addresses.push(address);
            self.engine
                .run(|rtc| rtc.add_local_candidate(candidate).is_some());
            self.advance(now);
        }
        Ok(line)
    }

    /// An address of ours is gone.
    pub fn remove_local_address(&mut self, now: Instant, address: LocalAddress) {
        let known = self.local_addresses.len();
        self.local_addresses.retain(|other| *other != address);
        if self.local_addresses.len() < known
            && let Ok(candidate) = candidate::local(address)
        {
            self.engine
                .run(|rtc| rtc.direct_api().invalidate_candidate(&candidate));
            self.advance(now);
        }
    }

    /// The name of ICE that the browser's checks are addressed to (RFC 8445 section 5.3), by which a TCP connection is
    /// known to be for this leg. An ICE restart changes it.
    #[must_use]
    pub fn local_ufrag(&self) -> &str {
        &self.local_ufrag
    }

    /// Whether a datagram that has come in is for this leg.
    #[must_use]
    pub fn accepts(&self, received: &Received<'_>) -> bool {
        // The engine does not look at the time here.
        let input = |receive| Input::Receive(self.engine_deadline, receive);
        self.state != State::Closed
            && engine::parse(received).is_some_and(|receive| self.engine.accepts(&input(receive)))
    }

    /// Takes a datagram. What is not for this leg, or cannot be read, is dropped.
    pub fn receive(&mut self, now: Instant, received: Received<'_>) {
        let is_establishing = matches!(self.state, State::Establishing { .. });
        if !self.accepts(&received) {
            // From where the browser's checks come, its handshake may be ahead of our own check.
            if is_establishing && self.remote_addresses.contains(received.source) {
                self.early_handshake.keep(&received);
            }
            return;
        }
        if !self.admits(now, &received) || !self.knows_source(received.payload) {
            return;
        }
        self.hand_to_engine(now, &received);
        if is_establishing {
            self.take_early_handshake(now);
        }
    }

    fn hand_to_engine(&mut self, now: Instant, received: &Received<'_>) {
        if let Some(receive) = engine::parse(received) {
            // An error here says that a datagram was bad. Anybody may send one.
            let _ = self.engine.handle_input(Input::Receive(now, receive));
        }
        self.advance(now);
    }

    /// Takes what waited for a check of ours to be answered.
    fn take_early_handshake(&mut self, now: Instant) {
        let mut waiting = std::mem::take(&mut self.early_handshake);
        let proven = waiting.take_proven(|early| self.accepts(early));
        self.early_handshake = waiting;
        for early in proven {
            self.hand_to_engine(now, &early.as_received());
        }
    }

    /// The engine remembers every address from which a check comes.
    fn admits(&mut self, now: Instant, received: &Received<'_>) -> bool {
        let is_check = received.payload.first().is_some_and(|first| *first < 2);
        !is_check || self.remote_addresses.admit(now, received.source)
    }

    /// A connection by TCP with this address of the browser is closed: in time, another may take its place among those
    /// that are known.
    pub fn connection_closed(&mut self, remote: std::net::SocketAddr) {
        self.remote_addresses.close(remote);
    }

    /// The engine remembers sources and their stream ids before it knows whether a packet is genuine.
    fn knows_source(&mut self, payload: &[u8]) -> bool {
        let is_rtp = matches!(payload.first(), Some(128..=191)) && !rtp::is_rtcp(payload);
        let Some((ssrc, _)) = rtp::ssrc_and_sequence(payload).filter(|_| is_rtp) else {
            return true;
        };
        if self.claimed_sources.contains(&ssrc) || self.sources.contains(&ssrc) {
            return true;
        }
        let has_room = self.claimed_sources.len() < CLAIMED_SOURCES;
        if has_room {
            self.claimed_sources.push(ssrc);
        }
        has_room
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        let _ = self.engine.handle_input(Input::Timeout(now));
        self.advance(now);
    }

    /// When [`Leg::handle_timeout`] is to be called next: in a year where the leg is over.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let mut deadline = self.engine_deadline;
        if self.state == State::Closed {
            return deadline;
        }
        let gates = self.media.iter().flat_map(MediumState::deadlines);
        for other in gates.chain(self.ends_at()) {
            deadline = deadline.min(other);
        }
        deadline
    }

    /// Takes the next datagram or event.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What was settled, as far as [`Leg::set_direction`] lets it flow.
    #[must_use]
    pub fn streams(&self) -> &LegStreams {
        &self.streams
    }

    /// Which way a stream may flow at most: hold, without a word to the browser, since only the browser
    /// offers. At the start every stream may flow both ways.
    pub fn set_direction(&mut self, medium: Medium, direction: Direction) {
        self.state_of(medium).allowed = direction;
        self.tell_streams();
    }

    /// Whether media flows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// How the leg does.
    #[must_use]
    pub fn stats(&self) -> &LegStats {
        &self.stats
    }

    /// Sends a text by the browser's data channel of this name.
    ///
    /// # Errors
    /// There is no such channel, the text is too long, or the browser does not take so many.
    pub fn send_text(&mut self, now: Instant, label: &str, text: &str) -> Result<(), Error> {
        let limit = self.settings.longest_text as usize;
        if text.len() > limit {
            return Err(Error::TextTooLong {
                length: text.len(),
                limit,
            });
        }
        let found = self.channels.iter().find(|(_, name)| name == label);
        let &(id, _) = found.ok_or(Error::NoDataChannel)?;
        let written = self.engine.run(|rtc| {
            let mut channel = rtc.channel(id)?;
            Some(channel.write(false, text.as_bytes()))
        });
        let result = match written {
            Some(Some(Ok(true))) => Ok(()),
            Some(Some(Ok(false))) => Err(Error::DataChannelFull),
            Some(Some(Err(error))) => Err(Error::Engine(error.to_string())),
            Some(None) => Err(Error::NoDataChannel),
            None => Err(Error::EngineFault),
        };
        self.advance(now);
        result
    }

    /// Ends the leg: the browser is told.
    pub fn close(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        let _ = self.engine.run(Rtc::close);
        self.advance(now);
        self.close_with(CloseReason::Local);
    }

    fn close_with(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.engine_deadline += NEVER;
            self.outputs.push_back(Output::Event(Event::Closed(reason)));
        }
    }

    fn state_of(&mut self, medium: Medium) -> &mut MediumState {
        &mut self.media[medium as usize]
    }
}

/// Random characters that may stand in a session description.
fn word(rng: &mut ChaCha20Rng, length: usize) -> String {
    const CHARACTERS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
        .into_iter()
        .map(|byte| char::from(CHARACTERS[usize::from(byte & 63)]))
        .collect()
}

impl LocalAddress {
    /// How it is reached, as statistics say it.
    fn candidate_kind(&self) -> CandidateKind {
        match self.kind {
            AddressKind::Host | AddressKind::TcpActive => CandidateKind::Host,
            AddressKind::ServerReflexive { .. } => CandidateKind::ServerReflexive,
            AddressKind::Relayed { .. } => CandidateKind::Relayed,
        }
    }
}
