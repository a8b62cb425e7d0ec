//! The keys that DTLS handshakes have yielded, until their legs end.
//!
//! Offer and answer say which streams get their keys by a handshake; the leg's transport holds it, and
//! media flows once it is over. The room is told of such a stream when there are keys for it:
//!
//! ```text
//!  sip: agreed ──────────────► settle ──► the streams that have keys: Established, StreamsChanged
//!  transport: HandshakeEvent ─► yielded ─► one more of them: StreamsChanged
//! ```

use std::collections::HashMap;

use media::Medium;
use room::Fact;
use room::codec::SrtpKeys;
use room::ids::LegId;
use room::media_plan::{AudioStream, LegStreams, VideoStream};
use sip::offer_answer::{CallMedia, DtlsSrtp};
use webrtc::secure_transport::DtlsParameters;

use crate::call_facts;

/// The handshakes of all legs.
#[derive(Debug, Default)]
pub struct Handshakes {
    legs: HashMap<LegId, LegHandshakes>,
}

/// Those of one leg.
#[derive(Debug)]
struct LegHandshakes {
    agreed: CallMedia,
    yielded: Vec<Yielded>,
}

/// What a handshake has yielded.
#[derive(Debug)]
struct Yielded {
    medium: Medium,
    parameters: DtlsParameters,
    keys: SrtpKeys,
}

impl Handshakes {
    /// Offer and answer have agreed on this: the streams of it that may flow.
    pub fn settle(&mut self, leg: LegId, agreed: &CallMedia) -> LegStreams {
        let yielded = self.legs.remove(&leg).map(|leg| leg.yielded);
        let mut handshakes = LegHandshakes {
            agreed: agreed.clone(),
            yielded: yielded.unwrap_or_default(),
        };
        // What another handshake has yielded will not be of use again.
        let agreed = handshakes.agreed.clone();
        handshakes
            .yielded
            .retain(|yielded| handshake(&agreed, yielded.medium) == Some(yielded.parameters));
        let streams = handshakes.streams();
        self.legs.insert(leg, handshakes);
        streams
    }

    /// A handshake has yielded keys: the streams that may flow now, unless it is agreed no more.
    pub fn yielded(
        &mut self,
        leg: LegId,
        medium: Medium,
        parameters: DtlsParameters,
        keys: SrtpKeys,
    ) -> Option<LegStreams> {
        let handshakes = self.legs.get_mut(&leg)?;
        if handshake(&handshakes.agreed, medium) != Some(parameters) {
            return None;
        }
        handshakes
            .yielded
            .retain(|yielded| yielded.medium != medium);
        handshakes.yielded.push(Yielded {
            medium,
            parameters,
            keys,
        });
        Some(handshakes.streams())
    }

    /// Whether that handshake is the agreed one.
    #[must_use]
    pub fn is_agreed(&self, leg: LegId, medium: Medium, parameters: DtlsParameters) -> bool {
        let agreed = self.legs.get(&leg).map(|leg| &leg.agreed);
        agreed.and_then(|agreed| handshake(agreed, medium)) == Some(parameters)
    }

    /// The leg is over.
    pub fn forget(&mut self, leg: LegId) {
        self.legs.remove(&leg);
    }
}

impl LegHandshakes {
    fn streams(&self) -> LegStreams {
        let mut streams = call_facts::streams(&self.agreed);
        for Yielded { medium, keys, .. } in &self.yielded {
            let srtp = Some(keys.clone());
            match medium {
                Medium::Audio => {
                    let audio = self.agreed.streams.audio.clone();
                    streams.audio = audio.map(|audio| AudioStream { srtp, ..audio });
                }
                Medium::Video => {
                    let video = self.agreed.streams.video.clone();
                    streams.video = video.map(|video| VideoStream { srtp, ..video });
                }
                Medium::Slides => {
                    let content = self.agreed.content.as_ref();
                    let slides = content.map(|content| content.stream.clone());
                    streams.slides = slides.map(|slides| Box::new(VideoStream { srtp, ..slides }));
                }
            }
        }
        streams
    }
}

/// The handshake that is agreed for a medium.
fn handshake(agreed: &CallMedia, medium: Medium) -> Option<DtlsParameters> {
    let dtls: Option<DtlsSrtp> = match medium {
        Medium::Audio => agreed.dtls.audio,
        Medium::Video => agreed.dtls.video,
        Medium::Slides => agreed.content.as_ref().and_then(|content| content.dtls),
    };
    dtls.map(call_facts::dtls_parameters)
}

/// Has a fact tell of these streams, if it tells of streams at all.
pub fn tell_streams(fact: &mut Fact, settled: &LegStreams) {
    if let Fact::EarlyMedia { streams, .. }
    | Fact::Established { streams, .. }
    | Fact::StreamsChanged { streams, .. } = fact
    {
        *streams = settled.clone();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use room::codec::{SrtpKey, SrtpSuite};
    use sip::offer_answer::{
        AgreedSecurity, DtlsMedia, DtlsSetup, Fingerprint, IceMedia, PeerHold, RemoteMedia,
        RemotePort,
    };

    use super::*;
    use crate::call_facts::tests::video_stream;

    const LEG: LegId = LegId(1);

    fn agreed(certificate: u8) -> CallMedia {
        let port = SocketAddr::from(([127, 0, 0, 1], 40_000));
        CallMedia {
            streams: LegStreams {
                video: Some(video_stream(None)),
                ..LegStreams::default()
            },
            remote: RemoteMedia {
                audio: None,
                video: Some(RemotePort {
                    rtp: port,
                    rtcp: port,
                }),
            },
            dtls: DtlsMedia {
                audio: None,
                video: Some(DtlsSrtp {
                    setup: DtlsSetup::Active,
                    certificate: Fingerprint([certificate; 32]),
                }),
            },
            ice: IceMedia::default(),
            content: None,
            security: AgreedSecurity::Secured,
            peer_hold: PeerHold::Off,
        }
    }

    fn parameters(certificate: u8) -> DtlsParameters {
        let video = agreed(certificate).dtls.video;
        call_facts::dtls_parameters(video.unwrap())
    }

    fn keys(byte: u8) -> SrtpKeys {
        let key = |byte| {
            let suite = SrtpSuite::AeadAes256Gcm;
            SrtpKey::new(suite, &vec![byte; suite.key_and_salt_length()]).unwrap()
        };
        SrtpKeys {
            local: key(byte),
            remote: key(byte + 1),
        }
    }

    #[test]
    fn a_stream_is_told_of_once_it_has_keys_and_keeps_them_through_later_offers() {
        let mut handshakes = Handshakes::default();
        assert_eq!(handshakes.settle(LEG, &agreed(1)), LegStreams::default());
        let streams = handshakes
            .yielded(LEG, Medium::Video, parameters(1), keys(3))
            .unwrap();
        assert_eq!(streams.video.as_ref().unwrap().srtp, Some(keys(3)));
        assert_eq!(handshakes.settle(LEG, &agreed(1)), streams);
    }

    #[test]
    fn keys_of_a_handshake_that_is_agreed_no_more_are_of_no_use() {
        let mut handshakes = Handshakes::default();
        handshakes.settle(LEG, &agreed(1));
        handshakes.yielded(LEG, Medium::Video, parameters(1), keys(3));
        assert_eq!(handshakes.settle(LEG, &agreed(2)), LegStreams::default());
        let late = handshakes.yielded(LEG, Medium::Video, parameters(1), keys(3));
        assert_eq!(late, None);
        assert!(!handshakes.is_agreed(LEG, Medium::Video, parameters(1)));
        handshakes.forget(LEG);
        let late = handshakes.yielded(LEG, Medium::Video, parameters(2), keys(3));
        assert_eq!(late, None);
    }

    #[test]
    fn facts_tell_of_the_streams_that_may_flow() {
        let mut handshakes = Handshakes::default();
        handshakes.settle(LEG, &agreed(1));
        let settled = handshakes
            .yielded(LEG, Medium::Video, parameters(1), keys(3))
            .unwrap();
        let mut fact = Fact::StreamsChanged {
            leg: LEG,
            streams: LegStreams::default(),
        };
        tell_streams(&mut fact, &settled);
        assert_eq!(
            fact,
            Fact::StreamsChanged {
                leg: LEG,
                streams: settled.clone()
            }
        );
        let mut other = Fact::Ringing { leg: LEG };
        tell_streams(&mut other, &settled);
        assert_eq!(other, Fact::Ringing { leg: LEG });
    }
}
