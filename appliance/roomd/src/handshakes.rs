//! What stands between agreement and media of a leg: the keys that DTLS handshakes have yielded, and
//! whether one that failed, or a way that ICE has lost, is the end of the call.
//!
//! Offer and answer say which streams get their keys by a handshake; the leg's transport holds it, and
//! media flows once it is over. The room is told of such a stream when there are keys for it:
//!
//! ```text
//!  sip: agreed ──────────────► settle ──► the streams that have keys: Established, StreamsChanged
//!  transport: HandshakeEvent ─► yielded ─► one more of them: StreamsChanged
//! ```
//!
//! A failure is the end of an established call whose sound or pictures it concerns: without slides a call
//! is one all the same, and a peer that rings may begin only when somebody accepts. What has failed until
//! then is tried again by the transport once the call is established.

use std::collections::HashMap;

use media::Medium;
use room::Fact;
use room::codec::SrtpKeys;
use room::ids::LegId;
use room::media_plan::{AudioStream, LegStreams, VideoStream};
use sip::offer_answer::{CallMedia, DtlsSrtp};
use webrtc::secure_transport::DtlsParameters;

use crate::call_facts;

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It rings, with media before the answer.
    Early,
    /// It was answered.
    Established,
}

/// The handshakes of all legs.
#[derive(Debug, Default)]
pub struct Handshakes {
    legs: HashMap<LegId, LegHandshakes>,
}

/// Those of one leg.
#[derive(Debug)]
struct LegHandshakes {
    agreed: CallMedia,
    stage: Stage,
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
    /// Offer and answer of a call at that stage have agreed on this: the streams of it that may flow.
    pub fn settle(&mut self, leg: LegId, stage: Stage, agreed: &CallMedia) -> LegStreams {
        let yielded = self.legs.remove(&leg).map(|leg| leg.yielded);
        let mut handshakes = LegHandshakes {
            agreed: agreed.clone(),
            stage,
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

    /// Whether the failure of that handshake is the end of the call: it is agreed, and none that the call
    /// can do without.
    #[must_use]
    pub fn needs_handshake(&self, leg: LegId, medium: Medium, parameters: DtlsParameters) -> bool {
        let agreed = self.needed(leg, medium);
        agreed.and_then(|agreed| handshake(agreed, medium)) == Some(parameters)
    }

    /// As much of the way that ICE finds with our username fragment.
    #[must_use]
    pub fn needs_path(&self, leg: LegId, medium: Medium, username_fragment: &str) -> bool {
        let agreed = self.needed(leg, medium);
        let ice = agreed.and_then(|agreed| match medium {
            Medium::Audio => agreed.ice.audio.as_ref(),
            Medium::Video => agreed.ice.video.as_ref(),
            Medium::Slides => agreed.content.as_ref()?.ice.as_ref(),
        });
        ice.is_some_and(|ice| ice.local.username_fragment == username_fragment)
    }

    /// What is agreed of an established call that a medium is essential for.
    fn needed(&self, leg: LegId, medium: Medium) -> Option<&CallMedia> {
        let leg = self.legs.get(&leg)?;
        match (leg.stage, medium) {
            (Stage::Established, Medium::Audio | Medium::Video) => Some(&leg.agreed),
            (Stage::Early, _) | (Stage::Established, Medium::Slides) => None,
        }
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
        AgreedSecurity, DtlsMedia, DtlsSetup, Fingerprint, IceCredentials, IceMedia, IceRole,
        IceStream, PeerHold, RemoteMedia, RemotePort,
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

    fn ice() -> IceStream {
        let credentials = |fragment: &str| IceCredentials {
            username_fragment: fragment.to_owned(),
            password: "0123456789012345678901".to_owned(),
        };
        IceStream {
            local: credentials("ours"),
            remote: credentials("theirs"),
            role: IceRole::Controlling,
            candidates: Vec::new(),
            address: [127, 0, 0, 1].into(),
        }
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
        assert_eq!(
            handshakes.settle(LEG, Stage::Established, &agreed(1)),
            LegStreams::default()
        );
        let streams = handshakes
            .yielded(LEG, Medium::Video, parameters(1), keys(3))
            .unwrap();
        assert_eq!(streams.video.as_ref().unwrap().srtp, Some(keys(3)));
        assert_eq!(
            handshakes.settle(LEG, Stage::Established, &agreed(1)),
            streams
        );
    }

    #[test]
    fn keys_of_a_handshake_that_is_agreed_no_more_are_of_no_use() {
        let mut handshakes = Handshakes::default();
        handshakes.settle(LEG, Stage::Established, &agreed(1));
        handshakes.yielded(LEG, Medium::Video, parameters(1), keys(3));
        assert_eq!(
            handshakes.settle(LEG, Stage::Established, &agreed(2)),
            LegStreams::default()
        );
        let late = handshakes.yielded(LEG, Medium::Video, parameters(1), keys(3));
        assert_eq!(late, None);
        assert!(!handshakes.needs_handshake(LEG, Medium::Video, parameters(1)));
        handshakes.forget(LEG);
        let late = handshakes.yielded(LEG, Medium::Video, parameters(2), keys(3));
        assert_eq!(late, None);
    }

    #[test]
    fn a_failure_ends_an_established_call_and_none_that_rings() {
        let agreed = CallMedia {
            ice: IceMedia {
                audio: None,
                video: Some(ice()),
            },
            ..agreed(1)
        };
        for (stage, ends) in [(Stage::Early, false), (Stage::Established, true)] {
            let mut handshakes = Handshakes::default();
            handshakes.settle(LEG, stage, &agreed);
            let handshake = |medium| handshakes.needs_handshake(LEG, medium, parameters(1));
            let path = |medium, fragment| handshakes.needs_path(LEG, medium, fragment);
            assert_eq!(handshake(Medium::Video), ends);
            assert_eq!(path(Medium::Video, "ours"), ends);
            assert!(!handshake(Medium::Slides) && !path(Medium::Slides, "ours"));
            assert!(!path(Medium::Video, "theirs") && !path(Medium::Audio, "ours"));
        }
    }

    #[test]
    fn facts_tell_of_the_streams_that_may_flow() {
        let mut handshakes = Handshakes::default();
        handshakes.settle(LEG, Stage::Established, &agreed(1));
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
