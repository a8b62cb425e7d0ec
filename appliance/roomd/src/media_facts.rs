//! What media observed, in the room's words.

use media::{MediaEvent, Source};
use room::{Fact, MediaFault};

/// The fact that an event stands for.
#[must_use]
pub fn fact(event: MediaEvent) -> Fact {
    match event {
        MediaEvent::Applied { generation } => Fact::MediaApplied { generation },
        MediaEvent::FirstFrame { leg } => Fact::FirstFrame { leg },
        MediaEvent::VideoStalled { leg } => Fact::VideoStalled { leg },
        MediaEvent::VideoResumed { leg } => Fact::VideoResumed { leg },
        MediaEvent::SourceGone(Source::Camera) => Fact::CameraGone,
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
    }
}
