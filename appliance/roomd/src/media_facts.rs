//! What media observed, in the room's words.

use media::{MediaEvent, Source};
use room::ids::LegId;
use room::{Fact, MediaFault};

/// What an event of the media graph means.
#[derive(Debug, PartialEq)]
pub enum Meaning {
    /// Something that the room is to know.
    Fact(Fact),
    /// The far end is to be asked for a whole picture by signalling.
    PictureNeeded {
        /// The leg.
        leg: LegId,
    },
}

/// Says what an event means.
#[must_use]
pub fn meaning(event: MediaEvent) -> Meaning {
    Meaning::Fact(match event {
        MediaEvent::PictureNeeded { leg } => return Meaning::PictureNeeded { leg },
        MediaEvent::BitrateRequested { leg, role, most } => {
            Fact::BitrateRequested { leg, role, most }
        }
        MediaEvent::Applied { generation } => Fact::MediaApplied { generation },
        MediaEvent::FirstFrame { leg } => Fact::FirstFrame { leg },
        MediaEvent::VideoStalled { leg } => Fact::VideoStalled { leg },
        MediaEvent::VideoResumed { leg } => Fact::VideoResumed { leg },
        MediaEvent::SourceGone(Source::Camera) => Fact::CameraGone,
        MediaEvent::SlidesStalled { leg } => Fact::SlidesStalled { leg },
        MediaEvent::SlidesResumed { leg } => Fact::SlidesResumed { leg },
        MediaEvent::SourceGone(Source::Slides) => Fact::SlidesGone,
        MediaEvent::SourceBack(Source::Slides) => Fact::SlidesBack,
        MediaEvent::SourceGone(Source::Microphone) => Fact::MicrophoneGone,
        MediaEvent::SourceBack(Source::Camera) => Fact::CameraBack,
        MediaEvent::SourceBack(Source::Microphone) => Fact::MicrophoneBack,
        MediaEvent::DtmfReceived { leg, digit } => Fact::DtmfReceived { leg, digit },
        MediaEvent::Measured { leg, stats } => Fact::Measured {
            leg,
            stats: Box::new(stats),
        },
        MediaEvent::Levels {
            microphone,
            loudspeaker,
        } => Fact::Levels {
            microphone,
            loudspeaker,
        },
        MediaEvent::Fault { leg, element, text } => {
            Fact::MediaFault(MediaFault { leg, element, text })
        }
    })
}

#[cfg(test)]
mod tests {
    use room::media_plan::VideoRole;
    use room::units::Bitrate;

    use super::*;

    #[test]
    fn what_only_signalling_can_ask_for_is_no_fact_and_a_limit_is_one() {
        let leg = LegId(3);
        assert_eq!(
            meaning(MediaEvent::PictureNeeded { leg }),
            Meaning::PictureNeeded { leg }
        );
        let (role, most) = (VideoRole::Slides, Bitrate::kbps(300));
        assert_eq!(
            meaning(MediaEvent::BitrateRequested { leg, role, most }),
            Meaning::Fact(Fact::BitrateRequested { leg, role, most })
        );
    }
}
