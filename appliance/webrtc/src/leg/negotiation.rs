//! Offer and answer: what a browser offers, and what comes of it (RFC 8829).

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use room::media_plan::{LegStreams, Medium};
use str0m::ice::IceCreds;
use str0m::media::Mid;
use str0m::rtp::Extension;

use super::early_handshake::EarlyHandshake;
use super::media::MediumState;
use super::{Leg, SOURCES, State, TCP_PASSIVE_CANDIDATES, word};
use crate::candidate;
use crate::description::{self, LineKind, Offer};
use crate::engine;
use crate::error::Error;
use crate::output::{CloseReason, Event};
use crate::simulcast;
use crate::stats::CandidateKind;
use crate::streams;

/// Offers that are answered within a minute.
const OFFERS: usize = 10;
const OFFERS_WITHIN: Duration = Duration::from_secs(60);

impl Leg {
    /// Whether an offer is of the browser's connection that this leg is: a page that was opened anew has
    /// another certificate, and needs another leg.
    #[must_use]
    pub fn is_of_this_connection(&self, offer: &str) -> bool {
        description::fingerprints(offer).eq(self.fingerprints.iter().map(String::as_str))
    }

    /// Answers a later offer: an ICE restart, a line that comes or changes its direction.
    ///
    /// # Errors
    /// What is wrong with the offer; the leg goes on as it was, unless it is closed by now.
    pub fn reoffer(&mut self, now: Instant, offer: &str) -> Result<String, Error> {
        if self.state == State::Closed {
            return Err(Error::Closed);
        }
        let read = Offer::parse(offer)?;
        let answer = self.take_offer(now, offer, &read);
        if matches!(answer, Err(Error::EngineFault)) {
            self.close_with(CloseReason::EngineFault);
        } else if !self.engine.rtc().is_alive() {
            self.close_with(CloseReason::HandshakeFailed("of a bad offer".to_owned()));
        }
        let answer = answer?;
        self.tell_streams();
        self.advance(now);
        Ok(answer)
    }

    pub(super) fn take_offer(
        &mut self,
        now: Instant,
        offer: &str,
        read: &Offer,
    ) -> Result<String, Error> {
        let too_old = |at: &Instant| now.saturating_duration_since(*at) >= OFFERS_WITHIN;
        while self.offers.front().is_some_and(too_old) {
            self.offers.pop_front();
        }
        if self.offers.len() >= OFFERS {
            return Err(Error::TooManyOffers { limit: OFFERS });
        }
        self.offers.push_back(now);
        let payload_types = self.payload_types.extend(read)?;
        let mut sources = self.sources.clone();
        let new = read
            .ssrcs
            .iter()
            .filter(|ssrc| !self.sources.contains(ssrc));
        sources.extend(new);
        if sources.len() > SOURCES {
            return Err(Error::TooMany {
                what: "sources",
                limit: SOURCES,
            });
        }

        // The engine tells a restart by new credentials, and makes its own by a random source that is
        // not made for secrets.
        let before = self.local_credentials()?;
        let for_engine = description::for_engine(offer, read);
        let answer = self.engine.accept_offer(&for_engine)?;
        let answer = description::with_repetition_last(&answer);
        let layers = read.lines.iter().map(|line| line.layers.as_ref());
        let answer = simulcast::with_layers(&answer, layers);
        let mut answer = description::with_sound_nack(&answer, read);
        let after = self.local_credentials()?;
        let restarted = before != after;
        if restarted {
            let credentials = ice_credentials(&mut self.rng);
            answer = with_credentials(&answer, &after, &credentials);
            self.local_ufrag.clone_from(&credentials.ufrag);
            self.engine
                .run(|rtc| rtc.direct_api().set_local_ice_credentials(credentials));
        }
        if restarted {
            self.candidates = 0;
            self.tcp_passive_candidates.clear();
            self.remote_addresses.clear();
            self.early_handshake = EarlyHandshake::default();
            self.remote_kinds.clear();
            self.restarted_until = Some(now + self.settings.establishment_timeout);
        }
        self.candidates += read.candidates;
        for line in offer.lines() {
            if let Some(line) = line.strip_prefix("a=candidate:")
                && let Ok(Some(candidate)) = candidate::remote(&format!("candidate:{line}"))
            {
                if candidate::is_tcp_passive(&candidate) {
                    self.try_remote(candidate);
                } else {
                    // The engine has read it itself.
                    self.remember_remote(&candidate);
                }
            }
        }
        self.payload_types = payload_types;
        self.sources = sources;
        self.learn_lines(read);
        Ok(answer)
    }

    fn local_credentials(&mut self) -> Result<IceCreds, Error> {
        self.engine
            .run(|rtc| rtc.direct_api().local_ice_credentials())
            .ok_or(Error::EngineFault)
    }

    /// Has the engine try a candidate of the browser: a few of those where we would have to connect.
    pub(super) fn try_remote(&mut self, candidate: str0m::Candidate) {
        if candidate::is_tcp_passive(&candidate) {
            let known = &mut self.tcp_passive_candidates;
            if known.contains(&candidate.addr()) || known.len() >= TCP_PASSIVE_CANDIDATES {
                return;
            }
            known.push(candidate.addr());
        }
        self.remember_remote(&candidate);
        self.engine.run(|rtc| rtc.add_remote_candidate(candidate));
    }

    fn remember_remote(&mut self, candidate: &str0m::Candidate) {
        let kind = CandidateKind::of_engine(candidate.kind());
        self.remote_kinds.push((candidate.addr(), kind));
    }

    /// Which line is which medium: the first of sound, the first picture, the second picture.
    fn learn_lines(&mut self, read: &Offer) {
        let mut pictures = read.lines_of(LineKind::Video);
        let lines = [
            read.lines_of(LineKind::Audio).next(),
            pictures.next(),
            pictures.next(),
        ];
        for (state, line) in self.media.iter_mut().zip(lines) {
            state.line = line.cloned();
        }
    }

    /// Looks at what the engine has settled. Tells whether the streams are others than before.
    pub(super) fn learn_streams(&mut self) -> bool {
        let engine = &self.engine;
        let [audio, video, slides] = &self.media;
        let picture =
            |state: &MediumState| streams::video(engine, state.line.as_ref()?, state.allowed);
        let streams = LegStreams {
            audio: audio
                .line
                .as_ref()
                .and_then(|line| streams::audio(engine, line, audio.allowed)),
            video: picture(video),
            slides: picture(slides).map(Box::new),
        };
        for state in &mut self.media {
            state.settled = match state.medium {
                Medium::Audio => streams
                    .audio
                    .as_ref()
                    .map(|audio| (audio.send_payload_type.value(), audio.direction)),
                Medium::Video => streams
                    .video
                    .as_ref()
                    .map(|video| (video.send_payload_type.value(), video.direction)),
                Medium::Slides => streams
                    .slides
                    .as_ref()
                    .map(|video| (video.send_payload_type.value(), video.direction)),
            };
            let Some(line) = &state.line else {
                continue;
            };
            if state.medium == Medium::Audio {
                state.redundancy_payload_type = streams::redundancy(&self.engine, line);
                state.takes_nack = streams.audio.as_ref().is_some_and(|it| it.generic_nack);
            }
            let mid = Mid::from(line.mid.as_str());
            state.transport_sequence_id = self.engine.rtc().media(mid).and_then(|media| {
                media
                    .remote_extmap()
                    .id_of(Extension::TransportSequenceNumber)
            });
            let sources = self.engine.run(|rtc| {
                let mut api = rtc.direct_api();
                let stream = api.stream_tx_by_mid(mid, None)?;
                Some((*stream.ssrc(), stream.rtx().map(|ssrc| *ssrc)))
            });
            let sources = sources.flatten();
            if sources != state.sources {
                state.sources = sources;
                self.engine.run(|rtc| {
                    if let Some(stream) = rtc.direct_api().stream_tx_by_mid(mid, None) {
                        stream.set_rtx_cache(
                            engine::RETRANSMISSION_PACKETS,
                            engine::RETRANSMISSION_AGE,
                            Some(engine::RETRANSMISSION_SHARE),
                        );
                    }
                });
            }
        }
        let changed = streams != self.streams;
        self.streams = streams;
        changed
    }

    /// Every line that is there has to have a codec in common.
    pub(super) fn require_common_codecs(&self, read: &Offer) -> Result<(), Error> {
        let pictures = read.lines_of(LineKind::Video).count();
        let missing = [
            (Medium::Audio, self.streams.audio.is_none()),
            (Medium::Video, pictures > 0 && self.streams.video.is_none()),
            (
                Medium::Slides,
                pictures > 1 && self.streams.slides.is_none(),
            ),
        ];
        match missing.into_iter().find(|(_, missing)| *missing) {
            Some((medium, _)) => Err(Error::NoCommonCodec(medium)),
            None => Ok(()),
        }
    }

    /// Tells what was settled, where that is something else than before.
    pub(super) fn tell_streams(&mut self) {
        if self.learn_streams() {
            self.event(Event::StreamsChanged(self.streams.clone()));
        }
    }
}

/// A name and a password of ICE (RFC 8839 section 5.4), of 48 and 192 random bits.
pub(super) fn ice_credentials(rng: &mut ChaCha20Rng) -> IceCreds {
    IceCreds {
        ufrag: word(rng, 8),
        pass: word(rng, 32),
    }
}

/// The answer with other credentials of ICE.
fn with_credentials(answer: &str, from: &IceCreds, to: &IceCreds) -> String {
    answer
        .replace(
            &format!("a=ice-ufrag:{}", from.ufrag),
            &format!("a=ice-ufrag:{}", to.ufrag),
        )
        .replace(
            &format!("a=ice-pwd:{}", from.pass),
            &format!("a=ice-pwd:{}", to.pass),
        )
        .replace(
            &format!(" ufrag {}", from.ufrag),
            &format!(" ufrag {}", to.ufrag),
        )
}
