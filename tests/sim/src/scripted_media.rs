//! The stand-in for the media graph: it takes plans, sends packets as they say, and tells what it
//! sees, as `media` and the media ports of `roomd` do together.
//!
//! ```text
//!  apply(plan) ──APPLY_TIME──► in force: every PACKET_INTERVAL a packet for each stream that sends
//!                                 │
//!  received ──► from the peer's address? key right? payload type right? direction right?
//!                  │ no: counted, dropped           │ yes
//!                  ▼                                ▼
//!             MediaCounters          Waiting ──► Flowing ◄──► Stalled     (the far end's picture, and its slides)
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use room::codec::{Direction, PayloadType, SrtpKeys};
use room::media_plan::{CameraState, LegStreams, MicrophoneState, VideoRole, VideoStream};
use room::{DtmfDigits, Fact, LegId, MediaPlan};
use roomd::media_ports::leg_transport::{LegRoute, MediumRoute};
use sip::offer_answer::{BfcpTcp, ContentPorts, LocalMedia, LocalPort};

use crate::media_packet::{self, Content};

/// How long a graph takes to follow a plan.
const APPLY_TIME: Duration = Duration::from_millis(20);
/// Between two packets of a stream. Rare, so that minutes of virtual time stay cheap.
const PACKET_INTERVAL: Duration = Duration::from_millis(250);
/// A picture that is expected and absent for this long has stalled.
const STALL_TIME: Duration = Duration::from_secs(1);
/// The first port of the first leg. Each leg takes four, two more for slides and one for their
/// floor.
const FIRST_PORT: u16 = 20_000;
const PORTS_A_LEG: u16 = 8;

/// What became of the packets that have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaCounters {
    /// Taken.
    pub received: u64,
    /// Dropped: not from the address that the peer's description names.
    pub foreign: u64,
    /// Dropped: not protected by the stream's key.
    pub unauthenticated: u64,
    /// Dropped: no stream with this payload type is to be received.
    pub unexpected: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Audio,
    Video,
    Slides,
}

impl Medium {
    const ALL: [Self; 3] = [Self::Audio, Self::Video, Self::Slides];

    const fn of_video(role: VideoRole) -> Self {
        match role {
            VideoRole::Main => Self::Video,
            VideoRole::Slides => Self::Slides,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Picture {
    Waiting,
    Flowing {
        last: Instant,
        /// Without another picture it counts as stalled then.
        stalls: Instant,
    },
    Stalled,
}

impl Picture {
    /// When it was last seen.
    const fn last(self) -> Option<Instant> {
        match self {
            Self::Flowing { last, .. } => Some(last),
            Self::Waiting | Self::Stalled => None,
        }
    }
}

/// One leg with its ports.
#[derive(Debug)]
struct Leg {
    local: LocalMedia,
    route: LegRoute,
    /// What the plan in force says; `None` while it names no such leg.
    streams: Option<LegStreams>,
    picture: Picture,
    slides: Picture,
    last_sound: Option<Instant>,
}

/// The media of one room.
#[derive(Debug)]
pub struct ScriptedMedia {
    address: IpAddr,
    next_port: u16,
    legs: BTreeMap<LegId, Leg>,
    keyframes_wanted: Vec<LegId>,
    waiting: VecDeque<(Instant, MediaPlan)>,
    in_force: Option<MediaPlan>,
    next_packets: Option<Instant>,
    counters: MediaCounters,
    facts: VecDeque<Fact>,
    outgoing: VecDeque<(SocketAddr, SocketAddr, Bytes)>,
}

impl ScriptedMedia {
    /// Nothing runs; all ports are of this address.
    pub(crate) fn new(address: IpAddr) -> Self {
        Self {
            address,
            next_port: FIRST_PORT,
            legs: BTreeMap::new(),
            keyframes_wanted: Vec::new(),
            waiting: VecDeque::new(),
            in_force: None,
            next_packets: None,
            counters: MediaCounters::default(),
            facts: VecDeque::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// What became of the packets that have arrived.
    #[must_use]
    pub const fn counters(&self) -> MediaCounters {
        self.counters
    }

    /// The streams of a leg in the plan that is in force.
    #[must_use]
    pub fn streams(&self, leg: LegId) -> Option<&LegStreams> {
        self.legs.get(&leg)?.streams.as_ref()
    }

    /// When sound of the far end's room was last heard on a leg. Silence is no sound.
    #[must_use]
    pub fn last_sound(&self, leg: LegId) -> Option<Instant> {
        self.legs.get(&leg)?.last_sound
    }

    /// When the far end's picture was last seen on a leg, unless it has stalled since.
    #[must_use]
    pub fn last_picture(&self, leg: LegId) -> Option<Instant> {
        self.legs.get(&leg)?.picture.last()
    }

    /// When slides of the far end were last seen on a leg, unless they have ended since.
    #[must_use]
    pub fn last_slide(&self, leg: LegId) -> Option<Instant> {
        self.legs.get(&leg)?.slides.last()
    }

    /// The legs on which a keyframe was asked for, in the order of the requests.
    #[must_use]
    pub fn keyframes_wanted(&self) -> &[LegId] {
        &self.keyframes_wanted
    }

    /// How many legs hold ports.
    #[must_use]
    pub fn bound_legs(&self) -> usize {
        self.legs.len()
    }

    /// Binds the ports of a new leg; one that was offered before its answer has them already.
    pub(crate) fn bind(&mut self, leg: LegId) -> LocalMedia {
        if let Some(bound) = self.legs.get(&leg) {
            return bound.local;
        }
        let first = self.next_port;
        self.next_port += PORTS_A_LEG;
        let local = LocalMedia {
            address: self.address,
            audio: Some(LocalPort {
                rtp: first,
                rtcp: first + 1,
            }),
            video: Some(LocalPort {
                rtp: first + 2,
                rtcp: first + 3,
            }),
            content: Some(ContentPorts {
                slides: LocalPort {
                    rtp: first + 4,
                    rtcp: first + 5,
                },
                bfcp_udp: first + 6,
                bfcp_tcp: BfcpTcp::Off,
                certificate: None,
            }),
        };
        let entry = Leg {
            local,
            route: LegRoute::default(),
            streams: None,
            picture: Picture::Waiting,
            slides: Picture::Waiting,
            last_sound: None,
        };
        self.legs.insert(leg, entry);
        local
    }

    /// The BFCP port of a leg.
    pub(crate) fn floor_port(&self, leg: LegId) -> Option<SocketAddr> {
        let local = self.legs.get(&leg)?.local;
        let port = local.content?.bfcp_udp;
        Some(SocketAddr::new(local.address, port))
    }

    /// Says where a leg's media goes.
    pub(crate) fn connect(&mut self, leg: LegId, route: LegRoute) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.route = route;
        }
    }

    /// Gives a leg's ports back.
    pub(crate) fn release(&mut self, leg: LegId) {
        self.legs.remove(&leg);
    }

    /// A far end asks for a keyframe.
    pub(crate) fn request_keyframe(&mut self, leg: LegId) {
        self.keyframes_wanted.push(leg);
    }

    /// Takes a plan. [`Fact::MediaApplied`] follows.
    pub(crate) fn apply(&mut self, now: Instant, plan: MediaPlan) {
        self.waiting.push_back((now + APPLY_TIME, plan));
    }

    /// Sends key presses in the audio stream.
    pub(crate) fn send_dtmf(&mut self, id: LegId, digits: &DtmfDigits) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let Some((stream, route)) = leg.audio() else {
            return;
        };
        let Some(payload_type) = stream.send_telephone_event else {
            return;
        };
        let key = stream.srtp.as_ref().map(|keys| &keys.local);
        let local = leg.port(Medium::Audio);
        for digit in digits.as_slice() {
            let packet = media_packet::encode(payload_type, key, Content::Key(*digit));
            self.outgoing.push_back((local, route.rtp, packet));
        }
    }

    /// A packet has arrived.
    pub(crate) fn received(
        &mut self,
        now: Instant,
        to: SocketAddr,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let Some((id, medium)) = self.leg_at(to) else {
            return;
        };
        let leg = self.legs.get_mut(&id).expect("it was just found");
        let Some(receiver) = leg.receiver(medium) else {
            self.counters.unexpected += 1;
            return;
        };
        if receiver.from != from {
            self.counters.foreign += 1;
            return;
        }
        let key = receiver.keys.as_ref().map(|keys| &keys.remote);
        let Some((payload_type, content)) = media_packet::decode(key, bytes) else {
            self.counters.unauthenticated += 1;
            return;
        };
        if !receiver.takes(payload_type, content) {
            self.counters.unexpected += 1;
            return;
        }
        self.counters.received += 1;
        let fact = match content {
            Content::Key(digit) => Some(Fact::DtmfReceived { leg: id, digit }),
            Content::Sound => {
                leg.last_sound = Some(now);
                None
            }
            Content::Silence => None,
            Content::Picture | Content::Slate => leg.see(now, id, VideoRole::Main),
            Content::Slide => leg.see(now, id, VideoRole::Slides),
        };
        self.facts.extend(fact);
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let plan = self.waiting.front().map(|(at, _)| *at);
        let legs = self.legs.values();
        let stalls = legs.flat_map(|leg| VideoRole::ALL.map(|role| leg.stalls_at(role)));
        stalls.flatten().chain(plan).chain(self.next_packets).min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|(at, _)| *at <= now) {
            let (_, plan) = self.waiting.pop_front().expect("it was just seen");
            self.bring_into_force(now, plan);
        }
        for (id, leg) in &mut self.legs {
            for role in VideoRole::ALL {
                if leg.stalls_at(role).is_some_and(|at| at <= now) {
                    *leg.picture_mut(role) = Picture::Stalled;
                    self.facts.push_back(match role {
                        VideoRole::Main => Fact::VideoStalled { leg: *id },
                        VideoRole::Slides => Fact::SlidesStalled { leg: *id },
                    });
                }
            }
        }
        if self.next_packets.is_some_and(|at| at <= now) {
            self.next_packets = Some(now + PACKET_INTERVAL);
            self.send_packets();
        }
    }

    /// What it saw.
    pub(crate) fn poll_fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    /// What it sends: from, to, packet.
    pub(crate) fn poll_packet(&mut self) -> Option<(SocketAddr, SocketAddr, Bytes)> {
        self.outgoing.pop_front()
    }

    fn bring_into_force(&mut self, now: Instant, plan: MediaPlan) {
        for (id, leg) in &mut self.legs {
            let planned = plan.legs.iter().find(|planned| planned.id == *id);
            leg.streams = planned.map(|planned| planned.streams.clone());
            leg.expect_picture(now);
        }
        self.next_packets = (!plan.legs.is_empty()).then(|| self.next_packets.unwrap_or(now));
        self.facts.push_back(Fact::MediaApplied {
            generation: plan.generation,
        });
        self.in_force = Some(plan);
    }

    fn send_packets(&mut self) {
        let Some(plan) = &self.in_force else { return };
        let sound = match plan.microphone.state {
            MicrophoneState::Open => Content::Sound,
            MicrophoneState::Muted => Content::Silence,
        };
        let picture = match plan.camera.state {
            CameraState::On => Content::Picture,
            CameraState::Off => Content::Slate,
        };
        for leg in self.legs.values() {
            if let Some((stream, route)) =
                leg.audio().filter(|(stream, _)| stream.direction.sends())
            {
                let key = stream.srtp.as_ref().map(|keys| &keys.local);
                let packet = media_packet::encode(stream.send_payload_type, key, sound);
                self.outgoing
                    .push_back((leg.port(Medium::Audio), route.rtp, packet));
            }
            for (role, shown) in [
                (VideoRole::Main, picture),
                (VideoRole::Slides, Content::Slide),
            ] {
                let video = leg.video(role);
                if let Some((stream, route)) = video.filter(|(stream, _)| stream.direction.sends())
                {
                    let key = stream.srtp.as_ref().map(|keys| &keys.local);
                    let packet = media_packet::encode(stream.send_payload_type, key, shown);
                    let local = leg.port(Medium::of_video(role));
                    self.outgoing.push_back((local, route.rtp, packet));
                }
            }
        }
    }

    fn leg_at(&self, to: SocketAddr) -> Option<(LegId, Medium)> {
        self.legs.iter().find_map(|(id, leg)| {
            let medium = Medium::ALL
                .into_iter()
                .find(|medium| leg.port(*medium) == to)?;
            Some((*id, medium))
        })
    }
}

/// What a leg takes on one port.
struct Receiver {
    from: SocketAddr,
    direction: Direction,
    payload_type: PayloadType,
    telephone_event: Option<PayloadType>,
    keys: Option<SrtpKeys>,
}

impl Receiver {
    fn takes(&self, payload_type: PayloadType, content: Content) -> bool {
        let wanted = match content {
            Content::Key(_) => self.telephone_event,
            Content::Sound
            | Content::Silence
            | Content::Picture
            | Content::Slate
            | Content::Slide => Some(self.payload_type),
        };
        self.direction.receives() && wanted == Some(payload_type)
    }
}

impl Leg {
    fn audio(&self) -> Option<(&room::media_plan::AudioStream, &MediumRoute)> {
        self.streams
            .as_ref()?
            .audio
            .as_ref()
            .zip(self.route.audio.as_ref())
    }

    fn video(&self, role: VideoRole) -> Option<(&VideoStream, &MediumRoute)> {
        let streams = self.streams.as_ref()?;
        match role {
            VideoRole::Main => streams.video.as_ref().zip(self.route.video.as_ref()),
            VideoRole::Slides => streams.slides.as_deref().zip(self.route.slides.as_ref()),
        }
    }

    fn receiver(&self, medium: Medium) -> Option<Receiver> {
        match medium {
            Medium::Audio => self.audio().map(|(stream, route)| Receiver {
                from: route.rtp,
                direction: stream.direction,
                payload_type: stream.receive_payload_type,
                telephone_event: stream.receive_telephone_event,
                keys: stream.srtp.clone(),
            }),
            Medium::Video => self.video_receiver(VideoRole::Main),
            Medium::Slides => self.video_receiver(VideoRole::Slides),
        }
    }

    fn video_receiver(&self, role: VideoRole) -> Option<Receiver> {
        self.video(role).map(|(stream, route)| Receiver {
            from: route.rtp,
            direction: stream.direction,
            payload_type: stream.receive_payload_type,
            telephone_event: None,
            keys: stream.srtp.clone(),
        })
    }

    fn port(&self, medium: Medium) -> SocketAddr {
        let port = match medium {
            Medium::Audio => self.local.audio,
            Medium::Video => self.local.video,
            Medium::Slides => self.local.content.map(|content| content.slides),
        };
        SocketAddr::new(self.local.address, port.expect("bind names all").rtp)
    }

    fn picture_mut(&mut self, role: VideoRole) -> &mut Picture {
        match role {
            VideoRole::Main => &mut self.picture,
            VideoRole::Slides => &mut self.slides,
        }
    }

    fn receives(&self, role: VideoRole) -> bool {
        self.video(role)
            .is_some_and(|(stream, _)| stream.direction.receives())
    }

    fn see(&mut self, now: Instant, id: LegId, role: VideoRole) -> Option<Fact> {
        let before = std::mem::replace(
            self.picture_mut(role),
            Picture::Flowing {
                last: now,
                stalls: now + STALL_TIME,
            },
        );
        match (before, role) {
            (Picture::Waiting, VideoRole::Main) => Some(Fact::FirstFrame { leg: id }),
            (Picture::Stalled, VideoRole::Main) => Some(Fact::VideoResumed { leg: id }),
            (Picture::Waiting | Picture::Stalled, VideoRole::Slides) => {
                Some(Fact::SlidesResumed { leg: id })
            }
            (Picture::Flowing { .. }, _) => None,
        }
    }

    /// A new plan: the far end gets the whole time anew before its picture counts as stalled.
    fn expect_picture(&mut self, now: Instant) {
        for role in VideoRole::ALL {
            if let Picture::Flowing { stalls, .. } = self.picture_mut(role) {
                *stalls = now + STALL_TIME;
            }
        }
    }

    fn stalls_at(&self, role: VideoRole) -> Option<Instant> {
        let picture = match role {
            VideoRole::Main => self.picture,
            VideoRole::Slides => self.slides,
        };
        match picture {
            Picture::Flowing { stalls, .. } if self.receives(role) => Some(stalls),
            Picture::Flowing { .. } | Picture::Waiting | Picture::Stalled => None,
        }
    }
}
