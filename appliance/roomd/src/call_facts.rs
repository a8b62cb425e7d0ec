//! What the SIP endpoint reports, in the room's words, and what the room orders, in the endpoint's.
//!
//! Pure functions: the driver calls them, and so does the simulation, which joins the same room
//! and the same endpoint in virtual time.

use std::net::SocketAddr;
use std::time::Instant;

use room::codec::{RtcpPort, SrtpKeys, VideoFeedback};
use room::leg_state::EndReason;
use room::media_plan::{LegStreams, VideoStream};
use room::peer::{LegSecurity, Peer, PeerTrust, Protection};
use room::policy::MediaPolicy;
use room::units::Bitrate;
use room::{
    AnswerMode, AnswerWish, DialogName, EndExplanation, Fact, FloorChange, Glare, IfNotReplaced,
    LegId, Prevails, RejectCause, Replaced, WayBack,
};
use sip::endpoint::{
    self, AccountName, ActionError, CallId, CallSecurity, Endpoint, Event, RefusedWhy,
};
use sip::grammar::{HeaderValue, NameAddr, Replaces, StatusCode, Uri};
use sip::offer_answer::{
    AgreedSecurity, CallMedia, DtlsSetup, DtlsSrtp, IceCandidateKind, IceComponent, IceStream,
    LocalMedia, PeerHold, RemotePort,
};
use webrtc::CandidateKind;
use webrtc::secure_transport::{
    CertificateFingerprint, DtlsParameters, DtlsRole, IceCredentials, IceParameters, IceRole,
    RemoteCandidate,
};

use crate::dtmf_relay;
use crate::end_reasons;
use crate::media_control;
use crate::media_ports::leg_transport::{IceRoute, Keying, LegRoute, MediumRoute};

/// What an event of the endpoint means for the room.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Somebody calls: a leg is to be reserved for the call.
    Incoming(IncomingCall),
    /// Something happened to a call that has a leg.
    Leg {
        /// The leg.
        leg: LegId,
        /// Where its media goes from now on; `None` when that has not changed.
        media: Option<Box<CallMedia>>,
        /// What the room is told, in this order, once the media is connected.
        facts: Vec<Fact>,
    },
    /// A call that has a leg is over: what was kept for it is to be given back.
    Ended {
        /// The call.
        call: CallId,
        /// The leg.
        leg: LegId,
        /// Why, for [`Fact::Ended`].
        reason: EndReason,
    },
    /// What the far end says about the end of a call, for [`Fact::EndExplained`] and the log. The end
    /// itself comes next.
    EndExplained {
        /// The leg.
        leg: LegId,
        /// What it says.
        explanation: EndExplanation,
    },
    /// The far end needs a whole picture of ours.
    KeyframeWanted {
        /// The leg.
        leg: LegId,
    },
    /// Something that is about no call.
    Room(Fact),
    /// A stranger was refused, which the room need not know.
    Refused {
        /// Where the request came from.
        remote: SocketAddr,
        /// Why.
        why: RefusedWhy,
    },
    /// Nothing: a call without a leg, or an INFO request that carries neither a key press nor a
    /// request for a picture.
    Nothing,
}

/// A call that comes in and has no leg yet.
#[derive(Debug, PartialEq, Eq)]
pub struct IncomingCall {
    /// The call.
    pub call: CallId,
    /// Where it came from: the caller, or the last proxy before us.
    pub remote: SocketAddr,
    peer: Peer,
    account: String,
    security: LegSecurity,
    trust: PeerTrust,
    wish: AnswerWish,
    glare: Option<Glare>,
}

impl IncomingCall {
    /// What the room is told once the call has its leg.
    #[must_use]
    pub fn fact(self, leg: LegId) -> Fact {
        Fact::Incoming {
            leg,
            peer: self.peer,
            account: self.account,
            security: self.security,
            trust: self.trust,
            wish: self.wish,
            glare: self.glare,
        }
    }
}

/// Says what an event means. `leg_of` knows the legs of calls.
#[must_use]
pub fn meaning(event: Event, leg_of: impl Fn(CallId) -> Option<LegId>) -> Meaning {
    match event {
        Event::Incoming {
            call,
            account,
            from,
            remote,
            trust,
            security,
            wish,
            glare,
        } => Meaning::Incoming(IncomingCall {
            call,
            remote,
            peer: peer(&from),
            account: account.to_string(),
            security: leg_security(security),
            trust: peer_trust(trust),
            wish: answer_wish(wish),
            glare: glare.and_then(|glare| leg_glare(glare, leg_of)),
        }),
        Event::Registration { account, state } => Meaning::Room(Fact::Registration {
            account: account.to_string(),
            state: end_reasons::registration_state(state),
        }),
        Event::RegistrationFlows { account, flows } => Meaning::Room(Fact::RegistrationFlows {
            account: account.to_string(),
            flows: flows
                .into_iter()
                .map(end_reasons::registration_state)
                .collect(),
        }),
        Event::Refused { remote, why } => Meaning::Refused { remote, why },
        Event::EndExplained {
            call,
            status,
            retry_after,
            reasons,
            warnings,
        } => leg_of(call).map_or(Meaning::Nothing, |leg| {
            let status = status.map(StatusCode::code);
            let words = end_reasons::words(&reasons, &warnings);
            let explanation = EndExplanation::new(status, retry_after, words);
            Meaning::EndExplained { leg, explanation }
        }),
        Event::IncomingRefused { account, from, why } => Meaning::Room(Fact::IncomingRefused {
            peer: peer(&from),
            account: account.to_string(),
            reason: end_reasons::refused_here(why),
        }),
        Event::InfoRefused { call, content_type } => leg_of(call)
            .filter(|_| dtmf_relay::is_key_press(&content_type))
            .map_or(Meaning::Nothing, |leg| {
                one_fact(Some(leg), |leg| Fact::DtmfRefused { leg })
            }),
        Event::Ended { call, cause } => leg_of(call).map_or(Meaning::Nothing, |leg| {
            let reason = end_reasons::end_reason(cause);
            Meaning::Ended { call, leg, reason }
        }),
        Event::Ringing { call } => one_fact(leg_of(call), |leg| Fact::Ringing { leg }),
        Event::TransferAsked {
            call,
            target,
            replaces,
        } => one_fact(leg_of(call), |leg| Fact::TransferAsked {
            leg,
            target: target.to_string(),
            replaced: replaces.and_then(|replaces| DialogName::new(replaces.to_string())),
        }),
        Event::HoldSucceeded { call } => one_fact(leg_of(call), |leg| Fact::HoldSucceeded { leg }),
        Event::HoldFailed { call } => one_fact(leg_of(call), |leg| Fact::HoldFailed { leg }),
        Event::ResumeSucceeded { call } => {
            one_fact(leg_of(call), |leg| Fact::ResumeSucceeded { leg })
        }
        Event::ResumeFailed { call } => one_fact(leg_of(call), |leg| Fact::ResumeFailed { leg }),
        Event::Floor { call, change } => one_fact(leg_of(call), |leg| Fact::Floor { leg, change }),
        Event::Info {
            call,
            content_type,
            body,
        } => leg_of(call).map_or(Meaning::Nothing, |leg| {
            info(leg, &content_type, body.as_bytes())
        }),
        Event::EarlyMedia { call, media } => with_media(leg_of(call), media, |leg, media| {
            let streams = streams(media);
            vec![Fact::EarlyMedia { leg, streams }]
        }),
        Event::Established {
            call,
            media,
            security,
        } => with_media(leg_of(call), media, |leg, media| {
            let established = Fact::Established {
                leg,
                streams: streams(media),
                security: leg_security(security),
            };
            vec![established, hold_fact(leg, media.peer_hold)]
        }),
        Event::MediaChanged { call, media } => with_media(leg_of(call), media, |leg, media| {
            let streams = streams(media);
            let changed = Fact::StreamsChanged { leg, streams };
            vec![changed, hold_fact(leg, media.peer_hold)]
        }),
    }
}

/// Places a call, into the dialog that it is to replace when it has one.
///
/// # Errors
/// As for [`Endpoint::invite`].
pub fn place(
    endpoint: &mut Endpoint,
    now: Instant,
    account: &AccountName,
    target: &Uri,
    local: LocalMedia,
    replaced: Option<&Replaced>,
) -> Result<CallId, ActionError> {
    let Some(replaced) = replaced else {
        return endpoint.invite(now, account, target, local);
    };
    let dialog = Replaces::parse_value(replaced.dialog.as_str());
    match (dialog, replaced.otherwise) {
        (Ok(dialog), IfNotReplaced::CallAnew) => {
            let otherwise = endpoint::IfNotReplaced::CallAnew;
            endpoint.invite_replacing(now, account, target, local, &dialog, otherwise)
        }
        (Ok(dialog), IfNotReplaced::GiveUp) => {
            let known_as = replaced.known_as.as_ref();
            let known_as = known_as.and_then(|known_as| known_as.parse().ok());
            endpoint.take_up_again(now, account, target, local, &dialog, known_as.as_ref())
        }
        // A name that cannot be read was written by another version.
        (Err(_), IfNotReplaced::CallAnew) => endpoint.invite(now, account, target, local),
        (Err(_), IfNotReplaced::GiveUp) => Err(ActionError::UnknownCall),
    }
}

/// Asks for the floor of a call. Where nobody decides about it, it is ours, as the fact says.
pub fn request_floor(
    endpoint: &mut Endpoint,
    now: Instant,
    leg: LegId,
    call: CallId,
) -> Option<Fact> {
    let ours = |change| Fact::Floor { leg, change };
    match endpoint.request_floor(now, call) {
        Ok(()) => None,
        Err(ActionError::NoFloorControl) => Some(ours(FloorChange::Ours)),
        // The call is over, as its own fact says.
        Err(_) => None,
    }
}

/// What offer and answer settled, as the room knows it: slides are one of its streams. A stream whose
/// keys a handshake has yet to yield is none of them: it would flow in the clear.
#[must_use]
pub(crate) fn streams(media: &CallMedia) -> LegStreams {
    let content = media.content.as_ref();
    let content = content.filter(|content| content.dtls.is_none());
    let settled = &media.streams;
    LegStreams {
        audio: settled.audio.clone().filter(|_| media.dtls.audio.is_none()),
        video: settled.video.clone().filter(|_| media.dtls.video.is_none()),
        slides: content.map(|content| Box::new(content.stream.clone())),
    }
}

/// A handshake as the transport holds it.
#[must_use]
pub(crate) fn dtls_parameters(agreed: DtlsSrtp) -> DtlsParameters {
    DtlsParameters {
        role: match agreed.setup {
            DtlsSetup::Active => DtlsRole::Active,
            DtlsSetup::Passive => DtlsRole::Passive,
        },
        peer_certificate: CertificateFingerprint(agreed.certificate.0),
    }
}

/// The way back into an established call.
#[must_use]
pub fn way_back(endpoint: &Endpoint, call: CallId) -> Option<WayBack> {
    let way_back = endpoint.way_back(call)?;
    Some(WayBack {
        dialog: DialogName::new(way_back.dialog.to_string())?,
        target: way_back.target.to_string(),
        known_as: way_back.known_as.map(|known_as| known_as.to_string()),
    })
}

/// What the body of an INFO request means.
fn info(leg: LegId, content_type: &str, body: &[u8]) -> Meaning {
    if media_control::is_picture_request(content_type, body) {
        return Meaning::KeyframeWanted { leg };
    }
    dtmf_relay::digit(content_type, body).map_or(Meaning::Nothing, |digit| {
        one_fact(Some(leg), |leg| Fact::DtmfReceived { leg, digit })
    })
}

fn leg_glare(
    glare: endpoint::Glare,
    leg_of: impl FnOnce(CallId) -> Option<LegId>,
) -> Option<Glare> {
    Some(Glare {
        placed: leg_of(glare.placed)?,
        prevails: match glare.prevails {
            endpoint::Prevails::Placed => Prevails::Placed,
            endpoint::Prevails::Incoming => Prevails::Incoming,
        },
    })
}

fn one_fact(leg: Option<LegId>, fact: impl FnOnce(LegId) -> Fact) -> Meaning {
    leg.map_or(Meaning::Nothing, |leg| Meaning::Leg {
        leg,
        media: None,
        facts: vec![fact(leg)],
    })
}

fn with_media(
    leg: Option<LegId>,
    media: CallMedia,
    facts: impl FnOnce(LegId, &CallMedia) -> Vec<Fact>,
) -> Meaning {
    leg.map_or(Meaning::Nothing, |leg| Meaning::Leg {
        leg,
        facts: facts(leg, &media),
        media: Some(Box::new(media)),
    })
}

fn hold_fact(leg: LegId, hold: PeerHold) -> Fact {
    match hold {
        PeerHold::On => Fact::RemoteHold { leg },
        PeerHold::Off => Fact::RemoteResume { leg },
    }
}

/// The answer to a caller whom the room refuses.
#[must_use]
pub fn reject_status(cause: RejectCause) -> StatusCode {
    match cause {
        RejectCause::Busy => StatusCode::BUSY_HERE,
        RejectCause::Decline => StatusCode::DECLINE,
        RejectCause::NotAvailable => StatusCode::TEMPORARILY_UNAVAILABLE,
        RejectCause::NotAnsweredUnasked => StatusCode::FORBIDDEN,
    }
}

/// Answers a call in the way that the room says.
///
/// # Errors
/// Those of [`Endpoint::answer`].
pub fn answer(
    endpoint: &mut Endpoint,
    now: Instant,
    call: CallId,
    local: LocalMedia,
    mode: AnswerMode,
) -> Result<(), ActionError> {
    match mode {
        AnswerMode::Manual => endpoint.answer(now, call, local),
        AnswerMode::Automatic => endpoint.answer_unasked(now, call, local),
    }
}

fn peer(from: &NameAddr) -> Peer {
    Peer {
        uri: from.uri().to_string(),
        display_name: from.display_name().map(str::to_owned),
    }
}

/// How far a caller is trusted: a configured peer is the owner's own; what a registrar passes on
/// may be anybody's, unless the owner has named it among the peers.
fn peer_trust(trust: endpoint::PeerTrust) -> PeerTrust {
    match trust {
        endpoint::PeerTrust::ConfiguredPeer => PeerTrust::Trusted,
        endpoint::PeerTrust::RegisteredFlow => PeerTrust::Admitted,
    }
}

fn answer_wish(wish: endpoint::AnswerWish) -> AnswerWish {
    match wish {
        endpoint::AnswerWish::None => AnswerWish::None,
        endpoint::AnswerWish::Manual => AnswerWish::Manual,
        endpoint::AnswerWish::Automatic => AnswerWish::Automatic,
        endpoint::AnswerWish::AutomaticOnly => AnswerWish::AutomaticOnly,
    }
}

fn leg_security(security: CallSecurity) -> LegSecurity {
    LegSecurity {
        signalling: if security.signalling.is_protected() {
            Protection::Encrypted
        } else {
            Protection::Plain
        },
        media: match security.media {
            Some(AgreedSecurity::Secured) => Protection::Encrypted,
            Some(AgreedSecurity::Plain) | None => Protection::Plain,
        },
    }
}

/// Whether the far end takes key presses in the audio stream (RFC 4733).
#[must_use]
pub fn takes_telephone_event(media: &CallMedia) -> bool {
    let audio = media.streams.audio.as_ref();
    audio.is_some_and(|audio| audio.send_telephone_event.is_some())
}

/// Where the media of a call goes. An encoder's target is what the owner allows, at most what the
/// far end takes.
#[must_use]
pub fn route(media: &CallMedia, owner: &MediaPolicy) -> LegRoute {
    let video = media.streams.video.as_ref();
    let content = media.content.as_ref();
    let slides = content.map(|content| &content.stream);
    let target = |video: Option<&VideoStream>, limit: Bitrate| {
        let peer = video.and_then(|video| video.max_bitrate);
        peer.map_or(limit, |peer| peer.min(limit))
    };
    let way = |rtcp_port: RtcpPort,
               srtp: &Option<SrtpKeys>,
               dtls,
               ice: Option<&IceStream>,
               remote: Option<RemotePort>| {
        let remote = remote?;
        Some(MediumRoute {
            rtp: remote.rtp,
            rtcp: remote.rtcp,
            rtcp_port,
            keying: keying(srtp.as_ref(), dtls),
            ice: ice.map(|ice| Box::new(ice_route(ice))),
            feedback: VideoFeedback::NONE,
            sent_again: None,
        })
    };
    let picture = |stream: &VideoStream, dtls, ice, remote| {
        Some(MediumRoute {
            feedback: stream.feedback,
            sent_again: stream.rtx.map(|rtx| rtx.send),
            ..way(stream.rtcp.port, &stream.srtp, dtls, ice, remote)?
        })
    };
    let (remote, dtls, ice) = (&media.remote, &media.dtls, &media.ice);
    let audio = media.streams.audio.as_ref();
    LegRoute {
        audio: audio.and_then(|audio| {
            way(
                audio.rtcp.port,
                &audio.srtp,
                dtls.audio,
                ice.audio.as_ref(),
                remote.audio,
            )
        }),
        video: video.and_then(|video| picture(video, dtls.video, ice.video.as_ref(), remote.video)),
        slides: content.and_then(|content| {
            let ice = content.ice.as_ref();
            picture(&content.stream, content.dtls, ice, content.remote)
        }),
        video_target: target(video, owner.bitrate),
        slides_target: target(slides, owner.slides.bitrate),
    }
}

/// ICE of a stream as the transport does it.
fn ice_route(agreed: &IceStream) -> IceRoute {
    let credentials = |of: &sip::offer_answer::IceCredentials| IceCredentials {
        username_fragment: of.username_fragment.clone(),
        password: of.password.clone(),
    };
    let parameters = |component: IceComponent| IceParameters {
        local: credentials(&agreed.local),
        remote: credentials(&agreed.remote),
        role: match agreed.role {
            sip::offer_answer::IceRole::Controlling => IceRole::Controlling,
            sip::offer_answer::IceRole::Controlled => IceRole::Controlled,
        },
        candidates: agreed
            .candidates
            .iter()
            .filter(|candidate| candidate.component == component)
            .map(|candidate| RemoteCandidate {
                address: candidate.address,
                kind: match candidate.kind {
                    IceCandidateKind::Host => CandidateKind::Host,
                    IceCandidateKind::ServerReflexive => CandidateKind::ServerReflexive,
                    IceCandidateKind::PeerReflexive => CandidateKind::PeerReflexive,
                    IceCandidateKind::Relayed => CandidateKind::Relayed,
                },
                priority: candidate.priority,
            })
            .collect(),
    };
    IceRoute {
        local_address: agreed.address,
        rtp: parameters(IceComponent::Rtp),
        rtcp: parameters(IceComponent::Rtcp),
    }
}

fn keying(srtp: Option<&SrtpKeys>, dtls: Option<DtlsSrtp>) -> Keying {
    match (dtls, srtp) {
        (Some(agreed), _) => Keying::DtlsSrtp(dtls_parameters(agreed)),
        (None, Some(keys)) => Keying::Sdes(keys.clone()),
        (None, None) => Keying::Plain,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use room::RegistrationState;
    use room::codec::{
        Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode, VideoFeedback,
    };
    use sip::endpoint::AccountName;
    use sip::offer_answer::{ContentMedia, DtlsMedia, IceMedia, RemoteMedia};
    use sip::registration;

    #[test]
    fn a_registration_is_about_no_leg() {
        let event = Event::Registration {
            account: AccountName::new("office"),
            state: registration::RegistrationState::Registered,
        };
        let fact = Fact::Registration {
            account: "office".to_owned(),
            state: RegistrationState::Registered,
        };
        assert_eq!(meaning(event, |_| None), Meaning::Room(fact));
    }

    #[test]
    fn the_encoders_target_is_the_lower_one_of_the_owners_and_the_far_ends_limit() {
        let owner = MediaPolicy::simulated();
        let least = |limit: Bitrate, peer: Option<Bitrate>| peer.map_or(limit, |p| p.min(limit));
        for peer in [None, Some(Bitrate::kbps(500)), Some(Bitrate::kbps(8_000))] {
            let mut media = video_only(peer);
            media.content = Some(Box::new(ContentMedia {
                stream: video_stream(peer),
                remote: None,
                dtls: None,
                ice: None,
                floor_control: None,
            }));
            let route = route(&media, &owner);
            assert_eq!(route.video_target, least(owner.bitrate, peer));
            assert_eq!(route.slides_target, least(owner.slides.bitrate, peer));
            assert_eq!(route.slides, None, "it names no address");
        }
    }

    pub(crate) fn video_stream(max_bitrate: Option<Bitrate>) -> VideoStream {
        let payload_type = PayloadType::new(97).expect("below 128");
        VideoStream {
            send_packetization_mode: PacketizationMode::NonInterleaved,
            send_profile: ProfileLevelId::CONSTRAINED_BASELINE_31,
            send_payload_type: payload_type,
            receive_payload_type: payload_type,
            direction: Direction::SendRecv,
            max_bitrate,
            feedback: VideoFeedback::ALL,
            rtx: None,
            srtp: None,
            rtcp: RtcpMode::default(),
        }
    }

    fn video_only(max_bitrate: Option<Bitrate>) -> CallMedia {
        CallMedia {
            streams: LegStreams {
                video: Some(video_stream(max_bitrate)),
                ..LegStreams::default()
            },
            remote: RemoteMedia {
                audio: None,
                video: Some(RemotePort {
                    rtp: SocketAddr::from(([127, 0, 0, 1], 40_000)),
                    rtcp: SocketAddr::from(([127, 0, 0, 1], 40_001)),
                }),
            },
            dtls: DtlsMedia::default(),
            ice: IceMedia::default(),
            content: None,
            security: AgreedSecurity::Plain,
            peer_hold: PeerHold::Off,
        }
    }
}
