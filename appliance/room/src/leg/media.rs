//! The media of a leg: the streams as settled, what the far end takes of them for the time being, and
//! whether its pictures flow.

use crate::codec::Direction;
use crate::media_plan::{LegStreams, VideoStream};
use crate::snapshot::VideoFlow;
use crate::units::Bitrate;

#[derive(Debug)]
pub(super) struct Media {
    /// As settled.
    pub(super) streams: LegStreams,
    /// The most video that the far end takes for the time being.
    pub(super) requested_bitrate: Option<Bitrate>,
    pub(super) flow: VideoFlow,
}

impl Media {
    pub(super) fn new(streams: LegStreams) -> Self {
        Self {
            streams,
            requested_bitrate: None,
            flow: VideoFlow::Waiting,
        }
    }

    /// New streams. What the far end has asked for stays while its video does: with other keys or
    /// numbers another receiver takes it.
    pub(super) fn settle(&mut self, streams: LegStreams) {
        let before = std::mem::replace(&mut self.streams, streams);
        let same = self.streams.video.as_ref().zip(before.video.as_ref());
        let same = same.is_some_and(|(video, before)| {
            *before
                == VideoStream {
                    direction: before.direction,
                    max_bitrate: before.max_bitrate,
                    ..video.clone()
                }
        });
        if !same {
            self.requested_bitrate = None;
        }
    }

    /// The streams within what the far end takes now.
    pub(super) fn limited_streams(&self) -> LegStreams {
        let mut streams = self.streams.clone();
        if let Some(video) = &mut streams.video {
            let limits = video.max_bitrate.into_iter().chain(self.requested_bitrate);
            video.max_bitrate = limits.min();
        }
        streams
    }

    /// The streams by which the far end is heard and seen, and nothing leaves the room.
    pub(super) fn receiving_streams(&self) -> LegStreams {
        self.redirected_streams(|direction| {
            if direction.receives() {
                Direction::RecvOnly
            } else {
                Direction::Inactive
            }
        })
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
        if let Some(video) = &mut streams.video {
            video.direction = direction(video.direction);
        }
        streams
    }
}
