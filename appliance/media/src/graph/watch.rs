//! Looks whether everything that should flow does, four times a second while there is anything.
//!
//! ```text
//!  a leg's pictures:
//!             first picture           none for 0.7 s: VideoStalled
//!   Awaited ───────────────► Flowing ─────────────────────────────► Stalled
//!      ▲                        ▲                                      │
//!      │ hold                   └──────── a picture: VideoResumed ─────┘
//!      └── from any state
//! ```

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use room::codec::Direction;
use room::ids::LegId;
use room::media_plan::VideoRole;

use crate::by_role::ByRole;
use crate::event::MediaEvent;
use crate::graph::Graph;
use crate::graph::watchdog::{Watchdogs, Work};
use crate::leg::{LegHub, SentVideo, StreamMeters};
use crate::pipeline::{PipelineId, PipelineRole};
use crate::shape::LegDirections;
use gst::prelude::*;

const LOOK_INTERVAL: Duration = Duration::from_millis(250);
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// Pictures that stay away for so long have stalled, so that a look within a second says so;
const STALLED_AFTER: Duration = Duration::from_millis(700);
const _: () = assert!(STALLED_AFTER.as_millis() + LOOK_INTERVAL.as_millis() < 1_000);
/// but a peer that shows slides at a few pictures a second may leave so many of its own intervals.
const STALLED_INTERVALS: u32 = 2;
/// No peer is waited for longer than this.
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);
/// Between the first two requests for a keyframe,
const FIRST_REQUEST_PAUSE: Duration = LOOK_INTERVAL;
/// and between the last ones.
const LONGEST_REQUEST_PAUSE: Duration = Duration::from_secs(4);
/// Between two requests by signalling, which travel by way of proxies and cost more than RTCP.
const SIGNALLING_PAUSE: Duration = Duration::from_secs(2);
/// An encoder that hung so long ago is given another chance.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);
/// A pipeline that is not down by then has leaked.
const TEAR_DOWN_TIME: Duration = Duration::from_secs(2);

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Watch {
    next_look: Option<Instant>,
    last_measured: Option<Instant>,
    pictures: HashMap<(LegId, VideoRole), Pictures>,
    keyframe_requests: HashMap<(LegId, VideoRole), KeyframeRequests>,
    /// Pictures that are asked for by signalling.
    signalled: HashMap<LegId, SignalledRequests>,
    leaving: HashMap<PipelineId, Leaving>,
    last_hung: HashMap<PipelineRole, Instant>,
    watchdogs: Watchdogs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pictures {
    Awaited,
    Flowing,
    Stalled,
}

impl Pictures {
    /// What follows when the leg is looked at: whether it is to receive any, whether one was
    /// decoded since it was last awaited, and whether that was just now.
    fn after(self, receives: bool, decoded: bool, fresh: bool) -> Self {
        match self {
            _ if !receives => Self::Awaited,
            Self::Awaited if decoded && fresh => Self::Flowing,
            Self::Flowing if !fresh => Self::Stalled,
            Self::Stalled if fresh => Self::Flowing,
            unchanged @ (Self::Awaited | Self::Flowing | Self::Stalled) => unchanged,
        }
    }
}

/// When the peer is asked for a keyframe again: soon at first, then less and less often, because a
/// peer that holds the call sends none however often it is asked.
#[derive(Clone, Copy, Debug, Default)]
struct KeyframeRequests {
    last: Option<Instant>,
    pause: Duration,
    /// Packets of the stream that had come at the last look.
    arrived: u64,
}

impl KeyframeRequests {
    /// The next request waits for nothing.
    fn begin_anew(&mut self) {
        *self = Self {
            arrived: self.arrived,
            ..Self::default()
        };
    }

    /// Whether it is time to ask; if so, the next time is later.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= self.pause);
        if due {
            self.last = Some(now);
            self.pause = (self.pause * 2).clamp(FIRST_REQUEST_PAUSE, LONGEST_REQUEST_PAUSE);
        }
        due
    }
}

/// Requests for a picture by signalling: no two soon after each other, and none forgotten.
#[derive(Clone, Copy, Debug, Default)]
struct SignalledRequests {
    last: Option<Instant>,
    needed: bool,
}

impl SignalledRequests {
    /// Whether it is time to ask; if so, it counts as done.
    fn is_due(&mut self, now: Instant) -> bool {
        let rested = self
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= SIGNALLING_PAUSE);
        let due = self.needed && rested;
        if due {
            *self = Self {
                last: Some(now),
                needed: false,
            };
        }
        due
    }
}

/// A pipeline on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    Since(Instant),
    /// It took too long, which was told.
    Leaked,
}

impl Watch {
    /// A picture is needed that only signalling can ask for: whether to do so now. Otherwise it is
    /// done at a later look.
    pub(super) fn picture_needed(&mut self, leg: LegId, now: Instant) -> bool {
        let requests = self.signalled.entry(leg).or_default();
        requests.needed = true;
        requests.is_due(now)
    }

    pub(super) fn leaving(&mut self, id: PipelineId, now: Instant) {
        self.watchdogs.forget(id);
        self.leaving.insert(id, Leaving::Since(now));
        self.next_look.get_or_insert(now + LOOK_INTERVAL);
    }

    pub(super) fn gone(&mut self, id: PipelineId) {
        self.leaving.remove(&id);
    }

    pub(super) fn forget(&mut self, leg: LegId) {
        self.pictures.retain(|(known, _), _| *known != leg);
        self.keyframe_requests.retain(|(known, _), _| *known != leg);
        self.signalled.remove(&leg);
    }

    /// What a leg is not to receive any more is awaited anew from now on.
    pub(super) fn await_what_stops(&mut self, leg: LegId, directions: LegDirections, hub: &LegHub) {
        for (role, direction) in directions.video.iter() {
            if !direction.is_some_and(Direction::receives) {
                self.pictures.insert((leg, role), Pictures::Awaited);
                hub.await_picture(role);
            }
        }
    }

    pub(super) fn nothing_leaving(&self) -> bool {
        self.leaving
            .values()
            .all(|leaving| *leaving == Leaving::Leaked)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next_look
    }

    /// Pipelines that have just turned out to be stuck.
    fn take_leaked(&mut self, now: Instant) -> Vec<PipelineId> {
        let mut leaked = Vec::new();
        for (id, leaving) in &mut self.leaving {
            match leaving {
                Leaving::Since(since) if *since + TEAR_DOWN_TIME <= now => {
                    *leaving = Leaving::Leaked;
                    leaked.push(*id);
                }
                Leaving::Since(_) | Leaving::Leaked => {}
            }
        }
        leaked
    }
}

impl Graph {
    /// Looks around when it is time, and as long as there is anything to see.
    pub(super) fn look_around(&mut self, now: Instant) {
        let busy = !self.shape.legs.is_empty() || !self.watch.nothing_leaving();
        match self.watch.next_look {
            None if busy => self.watch.next_look = Some(now + LOOK_INTERVAL),
            Some(due) if due <= now => {
                self.watch.next_look = busy.then(|| now + LOOK_INTERVAL);
                self.look(now);
            }
            None | Some(_) => {}
        }
    }

    fn look(&mut self, now: Instant) {
        for id in self.watch.take_leaked(now) {
            let leg = match id.role {
                PipelineRole::Leg(leg) => Some(leg),
                PipelineRole::VideoEncode(..)
                | PipelineRole::AudioEncode(_)
                | PipelineRole::VideoRecording(_)
                | PipelineRole::MicrophoneRecording
                | PipelineRole::VideoPlayout
                | PipelineRole::AudioPlayout => None,
            };
            let element = format!("{:?}", id.role);
            let text = format!("not down after {TEAR_DOWN_TIME:?}: left behind");
            tracing::error!(element, text, "a pipeline leaked");
            self.tell(MediaEvent::Fault { leg, element, text });
        }
        self.look_at_pictures(now);
        self.look_at_work(now);
        self.adapt_delays(now);
        self.measure(now);
    }

    /// Tells again which pictures flow.
    pub(super) fn tell_what_flows(&self) {
        for ((leg, role), pictures) in &self.watch.pictures {
            if *pictures == Pictures::Flowing && self.parts.legs.contains_key(leg) {
                self.tell(resumed(*leg, *role));
            }
        }
    }

    fn look_at_pictures(&mut self, now: Instant) {
        let running_now = self.surroundings.clock.running_time(now).nseconds();
        let mut events = Vec::new();
        let legs = self.parts.legs.iter();
        for ((&id, leg), role) in legs.flat_map(|leg| VideoRole::ALL.map(|role| (leg, role))) {
            let shape = self.shape.legs.get(&id);
            let receives = shape
                .and_then(|leg| *leg.directions().video.get(role))
                .is_some_and(Direction::receives);
            let meters = leg.hub().meters().video.get(role);
            let last = meters.last_decoded.load(Ordering::Relaxed);
            let gap = meters.last_gap.load(Ordering::Relaxed);
            let since = Duration::from_nanos(running_now.saturating_sub(last));
            let fresh = since < patience(Duration::from_nanos(gap));
            let state = self
                .watch
                .pictures
                .entry((id, role))
                .or_insert(Pictures::Awaited);
            let before = *state;
            *state = before.after(receives, last != 0, fresh);
            match (before, *state) {
                (Pictures::Awaited | Pictures::Stalled, Pictures::Flowing) => {
                    events.push(resumed(id, role));
                }
                (Pictures::Flowing, Pictures::Stalled) => {
                    events.push(stalled(id, role));
                    // Slides may be over. What comes next begins anew: the pause was no freeze.
                    match role {
                        VideoRole::Main => {}
                        VideoRole::Slides => leg.hub().await_picture(role),
                    }
                }
                (Pictures::Flowing | Pictures::Stalled, Pictures::Awaited) => {
                    leg.hub().await_picture(role);
                }
                (Pictures::Awaited, Pictures::Awaited | Pictures::Stalled)
                | (Pictures::Flowing, Pictures::Flowing)
                | (Pictures::Stalled, Pictures::Stalled) => {}
            }
            // Whatever was lost, only a keyframe brings the picture back.
            let requests = self.watch.keyframe_requests.entry((id, role)).or_default();
            let arrived = meters.stream.received.packets.load(Ordering::Relaxed);
            let before = std::mem::replace(&mut requests.arrived, arrived);
            let arrives = before != arrived;
            if before == 0 && arrives {
                // What was asked for before nobody may have heard: a guest's leg is there before its connection.
                requests.begin_anew();
            }
            // A peer that shows no slides is not to be asked for any.
            let is_due = arrives || role == VideoRole::Main;
            if receives && *state != Pictures::Flowing {
                if is_due && requests.is_due(now) {
                    leg.request_keyframe_from_peer(role);
                }
            } else {
                requests.begin_anew();
            }
        }
        for (&leg, requests) in &mut self.watch.signalled {
            if self.parts.legs.contains_key(&leg) && requests.is_due(now) {
                events.push(MediaEvent::PictureNeeded { leg });
            }
        }
        for event in events {
            self.tell(event);
        }
    }

    /// Takes down what is fed and gives nothing; a repair builds it anew.
    fn look_at_work(&mut self, now: Instant) {
        let mut work: Vec<(PipelineId, Work)> = Vec::new();
        for leg in self.parts.legs.values() {
            work.push((leg.id(), work_of_leg(leg.hub())));
        }
        let hubs = || self.parts.legs.iter().map(|(id, leg)| (*id, leg.hub()));
        if let Some(playout) = &self.parts.video_playout {
            let decoded = playout.pictures().filter_map(|(id, role)| {
                let meters = self.parts.legs.get(&id)?.hub().meters();
                Some(
                    meters
                        .video
                        .get(role)
                        .decoded_pictures
                        .load(Ordering::Relaxed),
                )
            });
            let (fed, given) = (decoded.sum(), playout.shown());
            work.push((playout.id(), Work { fed, given }));
        }
        if let Some(playout) = &self.parts.audio_playout {
            let decoded =
                hubs().map(|(_, hub)| hub.meters().decoded_sounds.load(Ordering::Relaxed));
            let (fed, given) = (decoded.sum(), playout.played());
            work.push((playout.id(), Work { fed, given }));
        }
        for capture in self.parts.video_captures.present() {
            for (_, encode) in capture.encodes() {
                let (fed, given) = (encode.inlet().fed(), encode.encoded());
                work.push((encode.id(), Work { fed, given }));
            }
        }
        for encode in &self.parts.audio_encodes {
            let (fed, given) = (encode.inlet().fed(), encode.encoded());
            work.push((encode.id(), Work { fed, given }));
        }
        for (id, work) in work {
            if self.watch.watchdogs.hangs(id, work, now) {
                let element = self.culprit(id, now).unwrap_or("pipeline".to_owned());
                let text = "it takes pictures or sound and gives none".to_owned();
                self.pipeline_failed(id, element, text, now);
            }
        }
    }

    /// The element that is to blame for a pipeline that hangs: a capture's encoder, but only when
    /// it is not the first time. The machine may have slept, and an encoder that was struck off
    /// does not come back.
    pub(super) fn culprit(&mut self, id: PipelineId, now: Instant) -> Option<String> {
        let mut captures = self.parts.video_captures.present();
        let encode = captures.find_map(|capture| capture.encode(id))?;
        let before = self.watch.last_hung.insert(id.role, now)?;
        let again = now.saturating_duration_since(before) < FORGIVEN_AFTER;
        again.then(|| encode.encoder().name().to_string())
    }

    fn adapt_delays(&mut self, now: Instant) {
        for (&id, leg) in &mut self.parts.legs {
            let Some(delay) = leg.adapt_delays(now) else {
                continue;
            };
            tracing::debug!(leg = %id, ?delay, "packets are held for another time");
            if let Some(playout) = &self.parts.audio_playout {
                playout.set_delay(id, delay);
            }
            if let Some(playout) = &self.parts.video_playout {
                playout.set_delay(id, delay);
            }
        }
    }

    fn measure(&mut self, now: Instant) {
        let last = *self.watch.last_measured.get_or_insert(now);
        if now.saturating_duration_since(last) < MEASURE_INTERVAL {
            return;
        }
        self.watch.last_measured = Some(now);
        let (captures, fan_outs) = (&self.parts.video_captures, &self.video_fan_outs);
        let mut events = Vec::new();
        for (&id, leg) in &mut self.parts.legs {
            let sent = ByRole::new(|role| {
                let encode = fan_outs.get(role).encode_of(id)?;
                let encode = captures.get(role).as_ref()?.encode(encode)?;
                Some(SentVideo {
                    name: encode.name(),
                    rung: *encode.rung(),
                    encoder: encode.kind().factory(),
                })
            });
            events.push(MediaEvent::Measured {
                leg: id,
                stats: leg.measure(now, sent),
            });
        }
        for event in events {
            self.tell(event);
        }
        // What peers lose may want another encode.
        self.follow_sound();
    }
}

fn resumed(leg: LegId, role: VideoRole) -> MediaEvent {
    match role {
        VideoRole::Main => MediaEvent::VideoResumed { leg },
        VideoRole::Slides => MediaEvent::SlidesResumed { leg },
    }
}

fn stalled(leg: LegId, role: VideoRole) -> MediaEvent {
    match role {
        VideoRole::Main => MediaEvent::VideoStalled { leg },
        VideoRole::Slides => MediaEvent::SlidesStalled { leg },
    }
}

/// How long a peer's next picture may stay away, by the interval between its last two.
fn patience(gap: Duration) -> Duration {
    let intervals = gap.min(LONGEST_INTERVAL) * STALLED_INTERVALS;
    intervals.max(STALLED_AFTER)
}

/// What a leg was given to send, and what became datagrams.
fn work_of_leg(hub: &LegHub) -> Work {
    let meters = hub.meters();
    let count = |counters: &[&std::sync::atomic::AtomicU64]| -> u64 {
        counters.iter().map(|c| c.load(Ordering::Relaxed)).sum()
    };
    let videos = || meters.video.iter().map(|(_, video)| video);
    let pictures = videos().map(|video| count(&[&video.sent_pictures, &video.dropped_pictures]));
    // Also what found no room on its way out has left the pipeline.
    let left = |stream: &StreamMeters| count(&[&stream.sent.packets, &stream.dropped]);
    Work {
        fed: count(&[&meters.offered_sounds]) + pictures.sum::<u64>(),
        given: left(&meters.audio) + videos().map(|video| left(&video.stream)).sum::<u64>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline() -> PipelineId {
        gst::init().unwrap();
        let (inputs, _queue) = crate::graph_input::GraphInputs::new();
        let clock = crate::clock::MediaClock::start();
        crate::pipeline::OwnedPipeline::new(PipelineRole::AudioPlayout, &clock, &inputs).id()
    }

    #[test]
    fn a_pipeline_that_is_not_down_by_its_deadline_is_told_once_and_not_waited_for_any_longer() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let (stuck, prompt) = (pipeline(), pipeline());
        watch.leaving(stuck, start);
        watch.leaving(prompt, start);
        watch.gone(prompt);
        let late = start + TEAR_DOWN_TIME;
        assert_eq!(watch.take_leaked(late - LOOK_INTERVAL), []);
        assert!(!watch.nothing_leaving());
        assert_eq!(watch.take_leaked(late), [stuck]);
        assert_eq!(watch.take_leaked(late + TEAR_DOWN_TIME), []);
        assert!(watch.nothing_leaving());
    }

    #[test]
    fn pictures_flow_stall_and_are_awaited_anew_by_what_is_seen_of_them() {
        use Pictures::{Awaited, Flowing, Stalled};
        let table = [
            // state, receives, decoded, fresh, next
            (Awaited, true, false, true, Awaited),
            (Awaited, true, true, false, Awaited),
            (Awaited, true, true, true, Flowing),
            (Awaited, false, true, true, Awaited),
            (Flowing, true, true, true, Flowing),
            (Flowing, true, true, false, Stalled),
            (Flowing, false, true, true, Awaited),
            (Stalled, true, true, false, Stalled),
            (Stalled, true, true, true, Flowing),
            (Stalled, false, true, false, Awaited),
        ];
        for (state, receives, decoded, fresh, next) in table {
            let after = state.after(receives, decoded, fresh);
            assert_eq!(after, next, "{state:?} {receives} {decoded} {fresh}");
        }
    }

    #[test]
    fn a_peer_that_sends_no_keyframe_is_asked_less_and_less_often() {
        let (start, mut requests) = (Instant::now(), KeyframeRequests::default());
        let asked: Vec<u32> = (0..80)
            .filter(|look| requests.is_due(start + LOOK_INTERVAL * *look))
            .collect();
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 47, 63, 79]);
    }

    #[test]
    fn a_stall_is_told_soon_at_camera_rates_and_later_for_slides() {
        assert_eq!(patience(Duration::from_millis(33)), STALLED_AFTER);
        assert_eq!(patience(Duration::from_secs(1)), Duration::from_secs(2));
        assert_eq!(patience(Duration::from_secs(60)), Duration::from_secs(4));
    }
}
