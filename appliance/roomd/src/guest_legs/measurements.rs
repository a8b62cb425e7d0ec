//! What only the connection of a guest's leg can measure: media sees neither the browser's reports nor what
//! was sent again.

use std::sync::{Arc, Mutex, PoisonError};

use media::Medium;
use room::LegStats;
use room::leg_stats::{RetransmissionStats, StreamStats};
use room::units::Fraction;

/// The newest measurements of one connection, from its task to the driver.
#[derive(Clone, Debug, Default)]
pub(super) struct Measurements(Arc<Mutex<Option<webrtc::LegStats>>>);

impl Measurements {
    /// Takes note of the newest ones.
    pub(super) fn set(&self, stats: webrtc::LegStats) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
    }

    /// Puts them into the place of what media could not know.
    pub(super) fn complete(&self, stats: &mut LegStats) {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = newest.as_ref() {
            complete(stats, newest);
        }
    }
}

fn complete(stats: &mut LegStats, connection: &webrtc::LegStats) {
    stats.round_trip = connection.round_trip_time;
    for measured in &connection.streams {
        let (stream, sent_again) = match measured.medium {
            Medium::Audio => match &mut stats.audio {
                Some(audio) => (&mut audio.stream, None),
                None => continue,
            },
            Medium::Video | Medium::Slides => {
                let pictures = if measured.medium == Medium::Video {
                    stats.video.as_mut()
                } else {
                    stats.slides.as_mut()
                };
                let Some(pictures) = pictures else {
                    continue;
                };
                (&mut pictures.stream, Some(&mut pictures.retransmissions))
            }
        };
        complete_stream(stream, measured);
        if let Some(sent_again) = sent_again {
            *sent_again = RetransmissionStats {
                requested: measured.nacks_sent,
                sent: measured.nacks_received,
                ..*sent_again
            };
        }
    }
}

fn complete_stream(stream: &mut StreamStats, measured: &webrtc::StreamStats) {
    let fraction = |loss: f32| Fraction::new(f64::from(loss));
    stream.peer_loss = measured.sent_loss.map(fraction);
    stream.peer_jitter = measured.sent_jitter;
    if let Some(loss) = measured.received_loss {
        // On the wire; media sees what is left after repair.
        stream.loss = fraction(loss);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use room::leg_stats::{AudioStats, VideoStats};

    use super::*;

    #[test]
    fn what_the_browser_reports_comes_to_the_stream_that_it_is_of() {
        let mut stats = LegStats {
            audio: Some(AudioStats::default()),
            video: Some(VideoStats::default()),
            ..LegStats::default()
        };
        let measurements = Measurements::default();
        measurements.complete(&mut stats);
        assert_eq!(stats.round_trip, None, "nothing is known yet");
        let stream = |medium, sent_loss| webrtc::StreamStats {
            sent_loss: Some(sent_loss),
            nacks_received: 7,
            ..webrtc::StreamStats::of(medium)
        };
        measurements.set(webrtc::LegStats {
            round_trip_time: Some(Duration::from_millis(20)),
            streams: vec![
                stream(Medium::Audio, 0.1),
                stream(Medium::Video, 0.2),
                stream(Medium::Slides, 0.3),
            ],
            ..webrtc::LegStats::default()
        });
        measurements.complete(&mut stats);
        assert_eq!(stats.round_trip, Some(Duration::from_millis(20)));
        let audio = stats.audio.unwrap().stream;
        let video = stats.video.unwrap();
        assert_eq!(audio.peer_loss, Some(Fraction::new(f64::from(0.1_f32))));
        assert_eq!(
            video.stream.peer_loss,
            Some(Fraction::new(f64::from(0.2_f32)))
        );
        assert_eq!(video.retransmissions.sent, 7);
        assert_eq!(stats.slides, None, "media has none");
    }
}
