//! What the graph observes and tells.

use room::dtmf::DtmfDigit;
use room::ids::{Generation, LegId};
use room::leg_stats::LegStats;
use room::media_plan::VideoRole;
use room::units::{AudioLevel, Bitrate};

/// Something that was seen to happen. Events describe what is, never what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one comes once a second and leg"
)]
pub enum MediaEvent {
    /// The graph follows the plan of this generation.
    Applied {
        /// The plan's generation.
        generation: Generation,
    },
    /// The leg's first main picture since it was added, or since its graph was built anew.
    FirstFrame {
        /// Which leg.
        leg: LegId,
    },
    /// No picture came from the peer for most of a second, or for two of its own intervals, though it
    /// should send.
    VideoStalled {
        /// Which leg.
        leg: LegId,
    },
    /// Pictures come, for the first time, again, or after a hold.
    VideoResumed {
        /// Which leg.
        leg: LegId,
    },
    /// No slides came from the peer for as long, though they may: it may show none any more.
    SlidesStalled {
        /// Which leg.
        leg: LegId,
    },
    /// Slides come, for the first time or again.
    SlidesResumed {
        /// Which leg.
        leg: LegId,
    },
    /// A device gave nothing for almost a second while it was needed.
    SourceGone(Source),
    /// It gives again.
    SourceBack(Source),
    /// The peer sent a key of its telephone keypad (RFC 4733).
    DtmfReceived {
        /// Which leg.
        leg: LegId,
        /// The key.
        digit: DtmfDigit,
    },
    /// A whole picture of the peer is needed, and only signalling can ask for it: no RTCP feedback
    /// for that was settled. At most once in two seconds.
    PictureNeeded {
        /// Which leg.
        leg: LegId,
    },
    /// The peer asked for at most this much of a picture (TMMBR, RFC 5104); it was told that we keep
    /// to it.
    BitrateRequested {
        /// Which leg.
        leg: LegId,
        /// Which picture.
        role: VideoRole,
        /// The most, without headers below RTP.
        most: Bitrate,
    },
    /// A leg's figures, once a second.
    Measured {
        /// Which leg.
        leg: LegId,
        /// The figures.
        stats: LegStats,
    },
    /// Loudness, five times a second while a leg has sound.
    Levels {
        /// What leaves the room, mute included.
        microphone: AudioLevel,
        /// What the loudspeaker plays.
        loudspeaker: AudioLevel,
    },
    /// Something failed. What else runs goes on.
    Fault {
        /// The leg that is hit; `None` for a part that legs share.
        leg: Option<LegId>,
        /// The element or part that failed.
        element: String,
        /// What it said.
        text: String,
    },
}

/// A device that the graph takes frames from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The camera or the recording in its place.
    Camera,
    /// The source of slides or the recording in its place.
    Slides,
    /// The microphone or the recording in its place.
    Microphone,
}

impl Source {
    /// Where a room takes a picture from.
    pub(crate) const fn of_video(role: VideoRole) -> Self {
        match role {
            VideoRole::Main => Self::Camera,
            VideoRole::Slides => Self::Slides,
        }
    }
}
