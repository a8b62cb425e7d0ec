//! The media of a leg: the streams as settled, what the far end takes of them for the time being, and
//! whether its pictures flow.

use super::slides::Slides;
use crate::codec::Direction;
use crate::media_plan::{LegStreams, VideoStream};
use crate::snapshot::{AudioSummary, SlidesSending, SlidesSummary, VideoFlow, VideoSummary};
use crate::units::Bitrate;

#[derive(Debug)]
pub(super) struct Media {
    /// As settled.
    pub(super) streams: LegStreams,
    /// The most video that the far end takes for the time being.
    pub(super) requested_bitrate: Option<Bitrate>,
    /// As much of slides.
    pub(super) requested_slides_bitrate: Option<Bitrate>,
    /// What the network carries of video to the far end; `None` where nobody measures it.
    pub(super) target: Option<Bitrate>,
    /// As much of slides.
    pub(super) slides_target: Option<Bitrate>,
    pub(super) flow: VideoFlow,
    pub(super) slides: Slides,
}

/// What a snapshot tells of the media of a leg.
#[derive(Default)]
pub(super) struct MediaSummary {
    pub(super) audio: Option<AudioSummary>,
    pub(super) video: Option<VideoSummary>,
    pub(super) slides: Option<SlidesSummary>,
}

impl Media {
    pub(super) fn new(streams: LegStreams) -> Self {
        Self {
            streams,
            requested_bitrate: None,
            requested_slides_bitrate: None,
            target: None,
            slides_target: None,
            flow: VideoFlow::Waiting,
            slides: Slides::default(),
        }
    }

    /// New streams. What the far end has asked for stays while its video does: with other keys or
    /// numbers another receiver takes it.
    pub(super) fn settle(&mut self, streams: LegStreams) {
        let before = std::mem::replace(&mut self.streams, streams);
        let (video, slides) = (self.streams.video.as_ref(), self.streams.slides.as_deref());
        if !is_same_receiver(video, before.video.as_ref()) {
            self.requested_bitrate = None;
        }
        if !is_same_receiver(slides, before.slides.as_deref()) {
            self.requested_slides_bitrate = None;
        }
        if self.streams.slides.is_none() {
            // Nor is there a floor any more.
            self.slides = Slides::default();
        }
    }

    /// Whether the far end takes slides of ours, once it lets us.
    pub(super) fn takes_slides(&self) -> bool {
        let slides = self.streams.slides.as_ref();
        slides.is_some_and(|slides| slides.direction.sends())
    }

    /// What is to be told of it while the far end's picture does this.
    pub(super) fn summary(&self, flow: VideoFlow) -> MediaSummary {
        let flowing = |seen| match flow {
            VideoFlow::Off => VideoFlow::Off,
            VideoFlow::Waiting | VideoFlow::Flowing | VideoFlow::Stalled => seen,
        };
        MediaSummary {
            audio: self.streams.audio.as_ref().map(AudioSummary::from),
            video: self
                .streams
                .video
                .as_ref()
                .map(|video| VideoSummary::new(video, flow)),
            slides: self.streams.slides.as_ref().map(|slides| SlidesSummary {
                stream: VideoSummary::new(slides, flowing(self.slides.flow())),
                sending: self.slides.sending(),
            }),
        }
    }

    /// The streams within what the far end takes now. The target of the main picture chooses its
    /// encode alone, and is the ladder's.
    pub(super) fn limited_streams(&self) -> LegStreams {
        let mut streams = self.streams.clone();
        if let Some(video) = &mut streams.video {
            let limits = video.max_bitrate.into_iter().chain(self.requested_bitrate);
            video.max_bitrate = limits.min();
        }
        if let Some(slides) = &mut streams.slides {
            let limits = slides.max_bitrate.into_iter();
            let limits = limits.chain(self.requested_slides_bitrate);
            slides.max_bitrate = limits.chain(self.slides_target).min();
            slides.direction = match self.slides.sending() {
                SlidesSending::Sending => slides.direction,
                SlidesSending::Off | SlidesSending::Waiting => receiving(slides.direction),
            };
        }
        streams
    }

    /// The streams by which the far end is heard and seen, and nothing leaves the room.
    pub(super) fn receiving_streams(&self) -> LegStreams {
        self.redirected_streams(receiving)
    }

    /// The streams while nothing flows.
    pub(super) fn inactive_streams(&self) -> LegStreams {
        self.redirected_streams(|_| Direction::Inactive)
    }

    fn redirected_streams(&self, direction: impl Fn(Direction) -> Direction) -> LegStreams {
        let mut streams = self.limited_streams();
        if let Some(audio) = &mut streams.audio {
            audio.direction = direction(audio.direction);
        }
        for video in streams
            .video
            .iter_mut()
            .chain(streams.slides.as_deref_mut())
        {
            video.direction = direction(video.direction);
        }
        streams
    }
}

/// Whether a stream is still taken by whoever took it before.
fn is_same_receiver(video: Option<&VideoStream>, before: Option<&VideoStream>) -> bool {
    video.zip(before).is_some_and(|(video, before)| {
        *before
            == VideoStream {
                direction: before.direction,
                max_bitrate: before.max_bitrate,
                ..video.clone()
            }
    })
}

/// The direction without what leaves the room.
fn receiving(direction: Direction) -> Direction {
    if direction.receives() {
        Direction::RecvOnly
    } else {
        Direction::Inactive
    }
}
