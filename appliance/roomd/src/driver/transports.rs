//! What the transports of SIP legs see of keys and ways, as the driver deals with it.

use std::time::Instant;

use media::Medium;
use room::ids::LegId;
use room::{EndReason, Fact};

use super::Driver;
use crate::end_reasons;
use crate::media_ports::transport_events::{
    HandshakeEvent, HandshakeOutcome, PathEvent, PathOutcome,
};

impl Driver {
    /// Takes in what has come of a DTLS handshake.
    pub(super) fn take_handshake_event(&mut self, now: Instant, event: HandshakeEvent) {
        let HandshakeEvent {
            leg,
            medium,
            parameters,
            outcome,
        } = event;
        match outcome {
            HandshakeOutcome::Keys(keys) => {
                tracing::info!(%leg, ?medium, suite = %keys.local.suite(), "DTLS has yielded keys");
                let streams = self.handshakes.yielded(leg, medium, parameters, keys);
                if let Some(streams) = streams {
                    self.queue.push_fact(Fact::StreamsChanged { leg, streams });
                }
            }
            HandshakeOutcome::Failed(failure) => {
                tracing::warn!(%leg, ?medium, %failure, "DTLS yields no keys");
                if self.handshakes.needs_handshake(leg, medium, parameters) {
                    self.end_without_media(now, leg, EndReason::KeyExchangeFailed);
                }
            }
        }
    }

    /// Takes in what ICE has found.
    pub(super) fn take_path_event(&mut self, now: Instant, event: PathEvent) {
        let PathEvent {
            leg,
            medium,
            username_fragment,
            outcome,
        } = event;
        match outcome {
            PathOutcome::Selected(remote) => {
                tracing::info!(%leg, ?medium, %remote, "ICE has selected a pair");
                match medium {
                    Medium::Audio => {}
                    // What was sent until now has gone nowhere.
                    Medium::Video | Medium::Slides => self.media.request_keyframe(leg),
                }
            }
            PathOutcome::Failed(failure) => {
                tracing::warn!(%leg, ?medium, %failure, "ICE has no way for media");
                if self.handshakes.needs_path(leg, medium, &username_fragment) {
                    self.end_without_media(now, leg, end_reasons::path_failure(failure));
                }
            }
        }
    }

    /// Ends a call that cannot have media. The room is told at once: what the endpoint says of the end
    /// would be the reason otherwise, that we have hung up.
    fn end_without_media(&mut self, now: Instant, leg: LegId, reason: EndReason) {
        self.room.fact(now, Fact::Ended { leg, reason });
        self.with_call(leg, |endpoint, call| endpoint.hang_up(now, call));
    }
}
