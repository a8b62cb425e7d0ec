//! The machine of one dialog's session: who has offered, what is agreed.
//!
//! ```text
//!    offer()                                     answer()
//!       |                                           |
//!       v          accept_answer()                  v
//!   Offering ------------------------------------> Agreed <-+ answer_reoffer()
//!                                                  |    ^ \-+
//!                                       reoffer()  |    |  accept_answer()
//!                                                  v    |  withdraw_offer()
//!                                                Reoffering
//! ```
//!
//! The endpoint drives it: one session for each dialog. An INVITE that forks gets several answers
//! to one offer: clone the session while it is offering, once for each early dialog. There is no
//! final state; a session ends with its dialog. An error leaves the machine where it was.

use std::net::IpAddr;

use bytes::Bytes;
use rand_core::CryptoRng;
use room::codec::Direction;

use super::agreement::{
    AgreedLine, Answerer, agree, answer_line, call_media, hold_by_answer, hold_by_offer,
};
use super::capability::{CallMedia, Capabilities, LocalMedia, PeerHold};
use super::content::{FloorControlMedia, FloorLink};
use super::error::{LineRefusal, SdpError};
use super::floor_line::{AgreedFloor, FloorLine};
use super::ice_line::IceSeed;
use super::line_kind::LineKind;
use super::local::{LocalDescription, LocalLine, Medium, RefusedLine};
use super::remote::{RemoteDescription, RemoteLine};

/// Offer/answer of one dialog (RFC 3264). Its `Debug` shows no keys.
#[derive(Clone, Debug)]
pub struct Session {
    capabilities: Capabilities,
    local: LocalMedia,
    session_id: u32,
    /// `sess-version` of `sent`: grows by one with each description that differs from the last.
    version: u64,
    /// Our latest description: the pending offer, or our side of what is agreed.
    sent: LocalDescription,
    /// What we want at most: less than both ways while we hold the call.
    direction: Direction,
    floor_link: FloorLink,
    /// For the credentials of restarts that we ask for.
    ice_seed: IceSeed,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The first offer awaits its answer.
    Offering,
    /// Nothing is pending.
    Agreed(Agreement),
    /// A later offer of ours awaits its answer; the agreement stands until then.
    Reoffering {
        agreement: Agreement,
        /// What we wanted before.
        previous_direction: Direction,
    },
}

#[derive(Clone, Debug)]
struct Agreement {
    /// Our side, narrowed to what is used.
    description: LocalDescription,
    media: CallMedia,
}

/// The outcome of the peer's description before it is taken over.
struct Outcome {
    description: LocalDescription,
    agreed: Vec<AgreedLine>,
    floor_control: Option<FloorControlMedia>,
}

/// A line that both ends use.
enum Agreed {
    Stream(Box<AgreedLine>),
    FloorControl(AgreedFloor),
}

impl Session {
    /// Offers every medium that has ports, with all that we can do. The second value is the body
    /// of type `application/sdp`.
    pub fn offer(
        capabilities: &Capabilities,
        local: &LocalMedia,
        rng: &mut impl CryptoRng,
    ) -> (Self, Bytes) {
        let sent = LocalDescription::offer(capabilities, local, rng);
        let session = Self::start(capabilities, local, sent, State::Offering, rng);
        let body = session.body();
        (session, body)
    }

    /// Answers the peer's first offer.
    ///
    /// # Errors
    /// The offer is malformed, or no line of it can be used: refuse the INVITE with
    /// [`SdpError::status`].
    pub fn answer(
        capabilities: &Capabilities,
        local: &LocalMedia,
        rng: &mut impl CryptoRng,
        offer: &[u8],
    ) -> Result<(Self, Bytes, CallMedia), SdpError> {
        Self::answer_after(None, capabilities, local, rng, offer)
    }

    /// Answers the first offer of a dialog that takes the place of another (RFC 3891), over the same
    /// ports: what connected there is no connection of this one.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn answer_replacing(
        &self,
        capabilities: &Capabilities,
        rng: &mut impl CryptoRng,
        offer: &[u8],
    ) -> Result<(Self, Bytes, CallMedia), SdpError> {
        let floor = self.media().and_then(CallMedia::floor_control);
        let connection = floor.and_then(|floor| floor.connection.number());
        Self::answer_after(connection, capabilities, &self.local, rng, offer)
    }

    fn answer_after(
        replaced_connection: Option<u32>,
        capabilities: &Capabilities,
        local: &LocalMedia,
        rng: &mut impl CryptoRng,
        offer: &[u8],
    ) -> Result<(Self, Bytes, CallMedia), SdpError> {
        let offer = RemoteDescription::parse(offer)?;
        let answerer = Answerer {
            capabilities,
            address: local.address,
            direction: Direction::SendRecv,
            previous: None,
            floor_link: FloorLink::Kept,
            replaced_connection,
        };
        let outcome = answer(&answerer, local, &offer, rng)?;
        let hold = hold_by_offer(&outcome.agreed);
        let media = call_media(outcome.agreed, outcome.floor_control, hold);
        let sent = outcome.description;
        let agreement = Agreement {
            description: sent.clone(),
            media: media.clone(),
        };
        let session = Self::start(capabilities, local, sent, State::Agreed(agreement), rng);
        let body = session.body();
        Ok((session, body, media))
    }

    fn start(
        capabilities: &Capabilities,
        local: &LocalMedia,
        sent: LocalDescription,
        state: State,
        rng: &mut impl CryptoRng,
    ) -> Self {
        Self {
            capabilities: capabilities.clone(),
            local: *local,
            session_id: rng.next_u32(),
            version: 1,
            sent,
            direction: Direction::SendRecv,
            floor_link: FloorLink::Kept,
            ice_seed: IceSeed::draw(rng),
            state,
        }
    }

    /// Takes the answer to the pending offer.
    ///
    /// # Errors
    /// The answer is malformed or does not fit the offer. After a first offer the call has to be
    /// ended; after a later one, [`withdraw_offer`](Self::withdraw_offer) keeps what stood.
    pub fn accept_answer(&mut self, answer: &[u8]) -> Result<CallMedia, SdpError> {
        let previous_hold = match &self.state {
            State::Offering => PeerHold::Off,
            State::Reoffering { agreement, .. } => agreement.media.peer_hold,
            State::Agreed(_) => return Err(SdpError::NoOfferPending),
        };
        let mut answer = RemoteDescription::parse(answer)?;
        // Systems that know of no second picture leave its lines out, which is to refuse them.
        answer.refuse_missing(&self.sent);
        let outcome = self.match_answer(&answer)?;
        let hold = hold_by_answer(&outcome.agreed).unwrap_or(previous_hold);
        let media = call_media(outcome.agreed, outcome.floor_control, hold);
        self.agree(outcome.description, &media);
        Ok(media)
    }

    /// Offers the agreed streams again: [`Direction::SendOnly`] or [`Direction::Inactive`] to hold
    /// the call, [`Direction::SendRecv`] to resume it. The direction stays wanted in answers to
    /// the peer's later offers too.
    ///
    /// # Errors
    /// [`SdpError::OfferPending`].
    pub fn reoffer(&mut self, direction: Direction) -> Result<Bytes, SdpError> {
        let State::Agreed(agreement) = &self.state else {
            return Err(SdpError::OfferPending);
        };
        let agreement = agreement.clone();
        let mut offer = agreement.description.clone();
        let moved = offer.address != self.local.address;
        offer.address = self.local.address;
        let mut ice_rng = self.ice_seed.rng(self.version);
        for line in &mut offer.lines {
            match line {
                LocalLine::Active(active) => {
                    active.direction = offered_direction(direction, agreement.media.peer_hold);
                    active.ice = match active.ice.take() {
                        Some(line) if moved => line.restarted(&mut ice_rng),
                        Some(line) => line.reoffered(),
                        None => None,
                    };
                }
                LocalLine::FloorControl(line) => *line = line.clone().reoffered(self.floor_link),
                LocalLine::Refused(_) => {}
            }
        }
        self.publish(offer);
        self.state = State::Reoffering {
            agreement,
            previous_direction: self.direction,
        };
        self.direction = direction;
        Ok(self.body())
    }

    /// Forgets a later offer that was refused, timed out or met the peer's own (RFC 3261
    /// section 14.1): what was agreed before stands. Without such an offer, nothing happens.
    pub fn withdraw_offer(&mut self) {
        if let State::Reoffering {
            agreement,
            previous_direction,
        } = &self.state
        {
            self.direction = *previous_direction;
            self.state = State::Agreed(agreement.clone());
        }
    }

    /// Answers a later offer of the peer.
    ///
    /// # Errors
    /// [`SdpError::OfferPending`], or the offer cannot be used: refuse the request with
    /// [`SdpError::status`]; what was agreed before stands.
    pub fn answer_reoffer(
        &mut self,
        rng: &mut impl CryptoRng,
        offer: &[u8],
    ) -> Result<(Bytes, CallMedia), SdpError> {
        let State::Agreed(agreement) = &self.state else {
            return Err(SdpError::OfferPending);
        };
        let offer = RemoteDescription::parse(offer)?;
        check_line_count(
            agreement.description.lines_in_use(),
            &offer,
            |found, expected| found >= expected,
        )?;
        let answerer = Answerer {
            capabilities: &self.capabilities,
            address: self.local.address,
            direction: self.direction,
            previous: Some(&agreement.media),
            floor_link: self.floor_link,
            replaced_connection: None,
        };
        let outcome = answer(&answerer, &self.local, &offer, rng)?;
        let hold = hold_by_offer(&outcome.agreed);
        let media = call_media(outcome.agreed, outcome.floor_control, hold);
        self.publish(outcome.description.clone());
        self.agree(outcome.description, &media);
        Ok((self.body(), media))
    }

    fn agree(&mut self, description: LocalDescription, media: &CallMedia) {
        let number = |media: &CallMedia| media.floor_control()?.connection.number();
        // One that was lost while its continuation was being agreed is lost all the same.
        if self.media().and_then(number) != number(media) {
            self.floor_link = FloorLink::Kept;
        }
        self.state = State::Agreed(Agreement {
            description,
            media: media.clone(),
        });
    }

    /// The agreed connection of floor control has ended, or could not be made: the next offer or
    /// answer asks for a new one. Datagrams have none to lose.
    pub(crate) fn lose_floor_connection(&mut self) {
        let control = self.media().and_then(CallMedia::floor_control);
        if control.is_some_and(|control| control.connection.number().is_some()) {
            self.floor_link = FloorLink::Lost;
        }
    }

    /// Whether floor control lacks the connection that it was agreed to have.
    pub(crate) fn has_lost_floor_connection(&self) -> bool {
        self.floor_link == FloorLink::Lost
    }

    /// What is agreed at the moment.
    #[must_use]
    pub fn media(&self) -> Option<&CallMedia> {
        match &self.state {
            State::Offering => None,
            State::Agreed(agreement) | State::Reoffering { agreement, .. } => {
                Some(&agreement.media)
            }
        }
    }

    /// The ports that the session was made with.
    #[must_use]
    pub fn local_media(&self) -> LocalMedia {
        self.local
    }

    /// We are at another address: the next description, an offer or an answer, names it. The ports
    /// stay.
    pub fn move_to(&mut self, address: IpAddr) {
        self.local.address = address;
    }

    /// Our first offer is to name that address, before its answer: the offer as it reads then. `None`
    /// where it names it already, or has its answer.
    pub(crate) fn offer_from(&mut self, address: IpAddr) -> Option<Bytes> {
        match self.state {
            State::Offering if self.sent.address != address => {}
            State::Offering | State::Agreed(_) | State::Reoffering { .. } => return None,
        }
        self.local.address = address;
        let offer = LocalDescription {
            address,
            lines: self.sent.lines.clone(),
        };
        self.publish(offer);
        Some(self.body())
    }

    /// Whether the address that is agreed on is the one that we are at.
    #[must_use]
    pub(crate) fn is_placed(&self) -> bool {
        match &self.state {
            State::Offering => false,
            State::Agreed(agreement) | State::Reoffering { agreement, .. } => {
                agreement.description.address == self.local.address
            }
        }
    }

    /// Whether an offer of ours awaits its answer.
    #[must_use]
    pub fn is_offering(&self) -> bool {
        match self.state {
            State::Offering | State::Reoffering { .. } => true,
            State::Agreed(_) => false,
        }
    }

    /// What we want at most; less than both ways while we hold the call.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Our latest description, as it was sent: for a repeated response.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.sent.write(self.session_id, self.version)
    }

    fn publish(&mut self, description: LocalDescription) {
        if description != self.sent {
            self.version += 1;
            self.sent = description;
        }
    }

    /// Pairs the pending offer with its answer. A line that only we cannot use is dropped as long
    /// as another is left; one without keys where keys are demanded condemns the answer.
    fn match_answer(&self, answer: &RemoteDescription) -> Result<Outcome, SdpError> {
        check_line_count(self.sent.lines.len(), answer, |found, expected| {
            found == expected
        })?;
        let mut results: Vec<_> = self
            .sent
            .lines
            .iter()
            .zip(answer.lines())
            .map(|(ours, theirs)| self.match_line(ours, theirs))
            .collect();
        let condemned = results.iter().position(|result| {
            matches!(
                result,
                Err(LineRefusal::NoAcceptableKey
                    | LineRefusal::RtcpNotShared
                    | LineRefusal::NotWanted)
            )
        });
        if let Some((line, Err(reason))) =
            condemned.and_then(|line| Some((line, results.get(line)?)))
        {
            return Err(SdpError::AnswerLine {
                line,
                reason: *reason,
            });
        }
        keep_first_floor(&mut results);
        outcome(&self.sent, answer, results)
    }

    fn match_line(&self, ours: &LocalLine, theirs: RemoteLine<'_>) -> Result<Agreed, LineRefusal> {
        match ours {
            LocalLine::Refused(_) => Err(LineRefusal::Disabled),
            LocalLine::Active(_) | LocalLine::FloorControl(_) if theirs.is_disabled() => {
                Err(LineRefusal::Disabled)
            }
            LocalLine::Active(active) if !theirs.media_is(active.medium.name()) => {
                Err(LineRefusal::NotWanted)
            }
            LocalLine::Active(active) => agree(
                active,
                theirs,
                self.capabilities.security,
                self.local.address,
            )
            .map(|line| Agreed::Stream(Box::new(line))),
            LocalLine::FloorControl(line) => line
                .answered(theirs, self.local.address)
                .map(Agreed::FloorControl),
        }
    }
}

/// A stream that the peer has stopped for us is held by `inactive` (RFC 3264 section 8.4).
fn offered_direction(wanted: Direction, peer_hold: PeerHold) -> Direction {
    match (wanted, peer_hold) {
        (Direction::SendOnly, PeerHold::On) => Direction::Inactive,
        (
            Direction::SendRecv | Direction::SendOnly | Direction::RecvOnly | Direction::Inactive,
            PeerHold::Off | PeerHold::On,
        ) => wanted,
    }
}

fn check_line_count(
    expected: usize,
    theirs: &RemoteDescription,
    fits: impl Fn(usize, usize) -> bool,
) -> Result<(), SdpError> {
    let found = theirs.lines().len();
    if fits(found, expected) {
        Ok(())
    } else {
        Err(SdpError::LineCount { expected, found })
    }
}

/// Answers an offer: for each medium the first line that can be protected, else the first that
/// can be used. Systems that offer both kinds do so in two lines.
fn answer(
    answerer: &Answerer<'_>,
    local: &LocalMedia,
    offer: &RemoteDescription,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, SdpError> {
    let mut results: Vec<Result<Agreed, LineRefusal>> = offer
        .lines()
        .map(|line| answer_one(answerer, local, line, rng))
        .collect();
    for medium in [Medium::Audio, Medium::Video, Medium::Slides] {
        let usable = |result: &Result<Agreed, LineRefusal>, secured: bool| match result {
            Ok(Agreed::Stream(agreed)) => {
                agreed.line.medium == medium && (agreed.is_secured() || !secured)
            }
            Ok(Agreed::FloorControl(_)) | Err(_) => false,
        };
        let chosen = results
            .iter()
            .position(|result| usable(result, true))
            .or_else(|| results.iter().position(|result| usable(result, false)));
        for (index, result) in results.iter_mut().enumerate() {
            if Some(index) != chosen && usable(result, false) {
                *result = Err(LineRefusal::NotWanted);
            }
        }
    }
    keep_first_floor(&mut results);
    let nothing = LocalDescription {
        address: answerer.address,
        lines: Vec::new(),
    };
    outcome(&nothing, offer, results)
}

fn answer_one(
    answerer: &Answerer<'_>,
    local: &LocalMedia,
    line: RemoteLine<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Agreed, LineRefusal> {
    match line.kind() {
        LineKind::Stream(medium) => {
            let port = medium.port(answerer.capabilities, local);
            let port = port.ok_or(LineRefusal::NotWanted)?;
            answer_line(answerer, medium, port, line, rng)
                .map(|line| Agreed::Stream(Box::new(line)))
        }
        LineKind::FloorControl(transport) => {
            FloorLine::answer(answerer, local, transport, line, rng).map(Agreed::FloorControl)
        }
        LineKind::FarEndCamera => Err(LineRefusal::FarEndCamera),
        LineKind::Other => Err(LineRefusal::NotWanted),
    }
}

/// One line of floor control, and that only with slides: without them there is nothing to control.
fn keep_first_floor(results: &mut [Result<Agreed, LineRefusal>]) {
    let mut wanted = results.iter().any(|result| match result {
        Ok(Agreed::Stream(agreed)) => agreed.line.medium == Medium::Slides,
        Ok(Agreed::FloorControl(_)) | Err(_) => false,
    });
    for result in results {
        if let Ok(Agreed::FloorControl(_)) = result {
            if !wanted {
                *result = Err(LineRefusal::NotWanted);
            }
            wanted = false;
        }
    }
}

/// Puts the lines together, the refused ones with port 0. `ours` gives the address.
fn outcome(
    ours: &LocalDescription,
    theirs: &RemoteDescription,
    results: Vec<Result<Agreed, LineRefusal>>,
) -> Result<Outcome, SdpError> {
    let mut agreed = Vec::new();
    let mut floor_control = None;
    let mut lines = Vec::new();
    let mut first_refusal = None;
    for (result, theirs) in results.into_iter().zip(theirs.lines()) {
        match result {
            Ok(Agreed::Stream(line)) => {
                lines.push(LocalLine::Active(line.line.clone()));
                agreed.push(*line);
            }
            Ok(Agreed::FloorControl(floor)) => {
                lines.push(LocalLine::FloorControl(floor.line));
                floor_control = Some(floor.media);
            }
            Err(reason) => {
                lines.push(LocalLine::Refused(RefusedLine::of(theirs.media)));
                if theirs.kind().is_main() {
                    first_refusal.get_or_insert(reason);
                }
            }
        }
    }
    if agreed
        .iter()
        .all(|agreed| agreed.line.medium == Medium::Slides)
    {
        let reason = first_refusal.unwrap_or(LineRefusal::NoMediaLine);
        return Err(SdpError::NothingAcceptable(reason));
    }
    Ok(Outcome {
        description: LocalDescription {
            address: ours.address,
            lines,
        },
        agreed,
        floor_control,
    })
}
