//! What the owner's configuration decides for the room.

use std::time::Duration;

use crate::guest::GuestPolicy;
use crate::media_plan::{AudioSink, AudioSource, VideoSink, VideoSource};
use crate::peer::{AnswerWish, PeerTrust};
use crate::units::{Bitrate, FrameRate, Resolution};

/// The room's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPolicy {
    /// Which calls are answered without a hand.
    pub auto_answer: AutoAnswer,
    /// What happens to a call that comes, or is placed, during another.
    pub second_call: SecondCall,
    /// Who may come in by a link.
    pub guests: GuestPolicy,
    /// What the join button calls.
    pub join: Option<CallTarget>,
    /// The names of the accounts that a call may be placed by. The first one is taken where a call
    /// names none.
    pub accounts: Vec<String>,
    /// How long each state may last.
    pub timeouts: Timeouts,
    /// Devices and formats.
    pub media: MediaPolicy,
}

impl RoomPolicy {
    /// Cautious rules for these devices: nothing is answered unasked, one call at a time, no guests,
    /// nothing to join.
    #[must_use]
    pub fn cautious(media: MediaPolicy) -> Self {
        Self {
            auto_answer: AutoAnswer::Never,
            second_call: SecondCall::Busy,
            guests: GuestPolicy::default(),
            join: None,
            accounts: Vec::new(),
            timeouts: Timeouts::default(),
            media,
        }
    }
}

/// Which incoming calls are answered without a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoAnswer {
    /// None: somebody in the room answers.
    Never,
    /// Those of trusted peers that wish for it.
    TrustedPeersWhenAsked,
    /// Those of trusted peers, unless they wish for a person.
    TrustedPeers,
    /// Every call that signalling lets through.
    Everyone,
}

impl AutoAnswer {
    /// Whether a call from such a peer, with such a wish, is answered without a hand.
    #[must_use]
    pub const fn answers(self, trust: PeerTrust, wish: AnswerWish) -> bool {
        match (self, trust, wish) {
            (Self::Never, _, _)
            | (_, _, AnswerWish::Manual)
            | (Self::TrustedPeers | Self::TrustedPeersWhenAsked, PeerTrust::Admitted, _)
            | (Self::TrustedPeersWhenAsked, PeerTrust::Trusted, AnswerWish::None) => false,
            (
                Self::TrustedPeersWhenAsked,
                PeerTrust::Trusted,
                AnswerWish::Automatic | AnswerWish::AutomaticOnly,
            )
            | (Self::TrustedPeers, PeerTrust::Trusted, _)
            | (Self::Everyone, _, _) => true,
        }
    }
}

/// What happens to a second call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecondCall {
    /// One leg at a time: a second caller hears busy.
    Busy,
    /// It joins the meeting as a further leg.
    Add {
        /// The most legs at a time, ringing ones included. Zero counts as one.
        max_legs: u8,
    },
}

impl SecondCall {
    /// The most legs at a time, ringing ones included; at least one.
    #[must_use]
    pub fn max_legs(self) -> usize {
        match self {
            Self::Busy => 1,
            Self::Add { max_legs } => usize::from(max_legs.max(1)),
        }
    }
}

/// An address to call, with the account to call it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallTarget {
    /// The address, such as `sip:board@example.com`.
    pub target: String,
    /// The account; `None` stands for the first one of [`RoomPolicy::accounts`].
    pub account: Option<String>,
}

/// How long each passing state of a leg, and each step of a shutdown, may last. Anything above a
/// day counts as a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// An unanswered incoming call, until it is refused.
    pub ring: Duration,
    /// A guest who knocks, until nobody has let them in.
    pub knock: Duration,
    /// A placed call, from dialing until the far end answers.
    pub dial: Duration,
    /// From answering here until the call is established.
    pub answer: Duration,
    /// A hold or resume, until it counts as refused.
    pub hold: Duration,
    /// From asking for the floor until it counts as refused.
    pub floor: Duration,
    /// After a transfer: how long the far end that has asked for it has to hang up by itself.
    pub transfer: Duration,
    /// A leg that was ended here, until it is dropped without the far end's confirmation.
    pub hang_up: Duration,
    /// At shutdown: the media graph's emptying.
    pub stop_media: Duration,
    /// At shutdown: the last write.
    pub store: Duration,
}

impl Default for Timeouts {
    /// Answer and hold outlast a SIP transaction (64 x T1 = 32 s, RFC 3261 section 17.1.1.2), so
    /// that signalling's own, better reason comes first.
    fn default() -> Self {
        Self {
            ring: Duration::from_secs(45),
            knock: Duration::from_secs(300),
            dial: Duration::from_secs(90),
            answer: Duration::from_secs(35),
            hold: Duration::from_secs(35),
            floor: Duration::from_secs(15),
            transfer: Duration::from_secs(2),
            hang_up: Duration::from_secs(2),
            stop_media: Duration::from_secs(2),
            store: Duration::from_secs(2),
        }
    }
}

/// Devices and formats of the media plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPolicy {
    /// Where the picture comes from.
    pub camera: VideoSource,
    /// The captured size, and the largest that is sent.
    pub resolution: Resolution,
    /// Captured frames per second, and the most that are sent.
    pub frame_rate: FrameRate,
    /// The most that one encode takes.
    pub bitrate: Bitrate,
    /// The slides.
    pub slides: SlidesPolicy,
    /// Where the sound comes from.
    pub microphone: AudioSource,
    /// Where the far ends' picture goes.
    pub video_sink: VideoSink,
    /// Where the far ends' sound goes.
    pub audio_sink: AudioSink,
}

/// Source and format of the slides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidesPolicy {
    /// Where the slides come from.
    pub source: VideoSource,
    /// The captured size, and the largest that is sent.
    pub resolution: Resolution,
    /// Captured frames per second, and the most that are sent.
    pub frame_rate: FrameRate,
    /// The most that their encode takes.
    pub bitrate: Bitrate,
}

impl MediaPolicy {
    /// Simulated camera, slides, microphone and loudspeaker, no screen; 720p at 30 frames per second
    /// and 2 Mbit/s, slides at 10 frames per second and 1 Mbit/s.
    #[must_use]
    pub const fn simulated() -> Self {
        Self {
            camera: VideoSource::Simulated,
            resolution: Resolution::HD720,
            frame_rate: FrameRate(30),
            bitrate: Bitrate::kbps(2_000),
            slides: SlidesPolicy {
                source: VideoSource::Simulated,
                resolution: Resolution::HD720,
                frame_rate: FrameRate(10),
                bitrate: Bitrate::kbps(1_000),
            },
            microphone: AudioSource::Simulated,
            video_sink: VideoSink::None,
            audio_sink: AudioSink::Simulated,
        }
    }
}
