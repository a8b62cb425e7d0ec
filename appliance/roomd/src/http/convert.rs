//! Between the room's words and the wire's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::snapshot as wire;
use api::{DeniedCode, Snapshot};
use room::codec::{Direction, PacketizationMode, RtcpPort, RtcpSize};
use room::media_plan::{CameraState, Layout, MicrophoneState, SlidesState};
use room::snapshot::{
    AudioSummary, DeviceState, SlidesSending, SlidesSummary, TransportSummary, VideoFlow,
    VideoSummary,
};
use room::units::{Fraction, Resolution};
use room::{
    CallDirection, Certificate, CertificateValidity, DeniedReason, HeldBy, LegKind, LegSecurity,
    LegSnapshot, LegState, LegStats, MediaFault, Peer, Protection, RegistrationState, RoomSnapshot,
    RoomState, RungName, SentRung, StreamStats, VideoStats,
};

use super::convert_ends::{end_explanation, end_reason, leg_refusal, registration_failure};
use super::convert_guest_certificate::guest_certificate_to_api;

/// One moment in the process's time and in the world's, to tell the second by the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallClock {
    instant: Instant,
    unix: Duration,
}

impl WallClock {
    pub(super) fn now() -> Self {
        // A clock before 1970 is one that was never set.
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            instant: Instant::now(),
            unix,
        }
    }

    fn unix_ms(&self, instant: Instant) -> u64 {
        let unix = match instant.checked_duration_since(self.instant) {
            Some(later) => self.unix.saturating_add(later),
            None => self
                .unix
                .saturating_sub(self.instant.duration_since(instant)),
        };
        u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The snapshot as clients see it.
pub(super) fn snapshot_to_api(snapshot: &RoomSnapshot, clock: &WallClock) -> Snapshot {
    let registrations = snapshot.registrations.iter();
    Snapshot {
        generation: snapshot.generation.0,
        state: room_state(snapshot.state),
        legs: snapshot
            .legs
            .iter()
            .map(|leg| leg_to_api(leg, clock))
            .collect(),
        last_ended: snapshot
            .last_ended
            .iter()
            .map(|leg| leg_to_api(leg, clock))
            .collect(),
        microphone: wire::Microphone {
            state: match snapshot.microphone {
                MicrophoneState::Open => wire::MicrophoneState::Open,
                MicrophoneState::Muted => wire::MicrophoneState::Muted,
            },
            device: device(snapshot.microphone_device),
            level_dbfs: snapshot.microphone_level.as_dbfs(),
        },
        camera: wire::Camera {
            state: match snapshot.camera {
                CameraState::On => wire::CameraState::On,
                CameraState::Off => wire::CameraState::Off,
            },
            device: device(snapshot.camera_device),
        },
        slides: wire::Slides {
            sending: slides_sending(snapshot.slides),
            device: device(snapshot.slides_device),
        },
        loudspeaker: wire::Loudspeaker {
            volume_percent: snapshot.volume.as_percent(),
            level_dbfs: snapshot.loudspeaker_level.as_dbfs(),
        },
        layout: match snapshot.layout {
            Layout::Single => wire::Layout::Single,
            Layout::Grid => wire::Layout::Grid,
            Layout::PictureInPicture => wire::Layout::PictureInPicture,
        },
        registrations: registrations
            .map(|(name, state)| (name.clone(), registration(*state)))
            .collect(),
        registration_flows: snapshot
            .registration_flows
            .iter()
            .map(|(name, flows)| {
                let flows = flows.iter().map(|state| registration(*state)).collect();
                (name.clone(), flows)
            })
            .collect(),
        media_faults: snapshot.media_faults.iter().map(media_fault).collect(),
        media_wanted: snapshot.media_wanted.0,
        media_applied: snapshot.media_applied.0,
        certificates: snapshot
            .certificates
            .iter()
            .map(|(file, certificate)| (file.clone(), certificate_to_api(*certificate)))
            .collect(),
        guest_certificate: snapshot
            .guest_certificate
            .as_ref()
            .map(guest_certificate_to_api),
        store_fault: snapshot.store_fault.clone(),
    }
}

fn certificate_to_api(certificate: Certificate) -> wire::Certificate {
    let since_1970 = certificate.not_after.duration_since(UNIX_EPOCH);
    wire::Certificate {
        validity: match certificate.validity {
            CertificateValidity::Good => wire::CertificateValidity::Good,
            CertificateValidity::ExpiresSoon => wire::CertificateValidity::ExpiresSoon,
            CertificateValidity::Expired => wire::CertificateValidity::Expired,
            CertificateValidity::NotYetValid => wire::CertificateValidity::NotYetValid,
        },
        not_after_unix_ms: since_1970.map_or(0, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        }),
    }
}

/// The reason of a denial as clients see it.
pub(super) fn denied_to_api(reason: DeniedReason) -> DeniedCode {
    match reason {
        DeniedReason::ShuttingDown => DeniedCode::ShuttingDown,
        DeniedReason::NoFreeLeg => DeniedCode::NoFreeLeg,
        DeniedReason::UnknownLeg => DeniedCode::UnknownLeg,
        DeniedReason::InvalidTarget => DeniedCode::InvalidTarget,
        DeniedReason::UnknownAccount => DeniedCode::UnknownAccount,
        DeniedReason::NoRegistrar => DeniedCode::NoRegistrar,
        DeniedReason::NothingToJoin => DeniedCode::NothingToJoin,
        DeniedReason::NotRinging => DeniedCode::NotRinging,
        DeniedReason::NotEstablished => DeniedCode::NotEstablished,
        DeniedReason::LegHeld => DeniedCode::LegHeld,
        DeniedReason::HoldInProgress => DeniedCode::HoldInProgress,
        DeniedReason::NoSlides => DeniedCode::NoSlides,
        DeniedReason::SlidesNotTaken => DeniedCode::SlidesNotTaken,
    }
}

pub(super) fn microphone_from_api(state: wire::MicrophoneState) -> MicrophoneState {
    match state {
        wire::MicrophoneState::Open => MicrophoneState::Open,
        wire::MicrophoneState::Muted => MicrophoneState::Muted,
    }
}

pub(super) fn camera_from_api(state: wire::CameraState) -> CameraState {
    match state {
        wire::CameraState::On => CameraState::On,
        wire::CameraState::Off => CameraState::Off,
    }
}

pub(super) fn slides_from_api(state: wire::SlidesState) -> SlidesState {
    match state {
        wire::SlidesState::On => SlidesState::On,
        wire::SlidesState::Off => SlidesState::Off,
    }
}

pub(super) fn layout_from_api(layout: wire::Layout) -> Layout {
    match layout {
        wire::Layout::Single => Layout::Single,
        wire::Layout::Grid => Layout::Grid,
        wire::Layout::PictureInPicture => Layout::PictureInPicture,
    }
}

fn room_state(state: RoomState) -> wire::RoomState {
    match state {
        RoomState::Idle => wire::RoomState::Idle,
        RoomState::InMeeting => wire::RoomState::InMeeting,
        RoomState::Leaving => wire::RoomState::Leaving,
    }
}

fn device(state: DeviceState) -> wire::DeviceState {
    match state {
        DeviceState::NotConfigured => wire::DeviceState::NotConfigured,
        DeviceState::Present => wire::DeviceState::Present,
        DeviceState::Gone => wire::DeviceState::Gone,
    }
}

fn media_fault(fault: &MediaFault) -> wire::MediaFault {
    wire::MediaFault {
        leg: fault.leg.map(|leg| leg.0),
        element: fault.element.clone(),
        text: fault.text.clone(),
    }
}

fn registration(state: RegistrationState) -> wire::RegistrationState {
    match state {
        RegistrationState::Unregistered => wire::RegistrationState::Unregistered,
        RegistrationState::Registering => wire::RegistrationState::Registering,
        RegistrationState::Registered => wire::RegistrationState::Registered,
        RegistrationState::Failed(failure) => wire::RegistrationState::Failed {
            reason: registration_failure(failure),
        },
        RegistrationState::Locked => wire::RegistrationState::Locked,
    }
}

fn leg_to_api(leg: &LegSnapshot, clock: &WallClock) -> wire::Leg {
    let stats = leg.stats.as_ref();
    let moment = |instant: Option<Instant>| instant.map(|instant| clock.unix_ms(instant));
    wire::Leg {
        id: leg.id.0,
        kind: match leg.kind {
            LegKind::Sip => wire::LegKind::Sip,
            LegKind::Guest => wire::LegKind::Guest,
        },
        direction: match leg.direction {
            CallDirection::Incoming => wire::CallDirection::Incoming,
            CallDirection::Outgoing => wire::CallDirection::Outgoing,
        },
        peer: peer(&leg.peer),
        account: leg.account.clone(),
        state: leg_state(leg.state),
        security: leg.security.map(security),
        audio: leg.audio.map(|audio| audio_to_api(audio, stats)),
        video: leg
            .video
            .map(|video| video_to_api(video, stats.and_then(|stats| stats.video.as_ref()))),
        slides: leg
            .slides
            .map(|slides| slides_to_api(slides, stats.and_then(|stats| stats.slides.as_ref()))),
        capture_to_decode_ms: stats
            .and_then(|stats| stats.video.as_ref()?.capture_to_decode)
            .map(milliseconds),
        round_trip_ms: stats.and_then(|stats| stats.round_trip).map(milliseconds),
        dtmf_received: leg.dtmf_received.clone(),
        refused: leg.refused.map(leg_refusal),
        explanation: leg.explanation.as_ref().map(end_explanation),
        started_unix_ms: clock.unix_ms(leg.started),
        established_unix_ms: moment(leg.established),
        first_frame_unix_ms: moment(leg.first_frame),
        ended_unix_ms: moment(leg.ended),
    }
}

fn peer(peer: &Peer) -> wire::Peer {
    wire::Peer {
        uri: peer.uri.clone(),
        display_name: peer.display_name.clone(),
    }
}

fn leg_state(state: LegState) -> wire::LegState {
    match state {
        LegState::Incoming => wire::LegState::Incoming,
        LegState::Answering => wire::LegState::Answering,
        LegState::Dialing => wire::LegState::Dialing,
        LegState::Ringing => wire::LegState::Ringing,
        LegState::Early => wire::LegState::Early,
        LegState::Established => wire::LegState::Established,
        LegState::Held(by) => wire::LegState::Held {
            by: match by {
                HeldBy::Local => wire::HeldBy::Local,
                HeldBy::Remote => wire::HeldBy::Remote,
                HeldBy::Both => wire::HeldBy::Both,
            },
        },
        LegState::Ending(reason) => wire::LegState::Ending {
            reason: end_reason(reason),
        },
        LegState::Ended(reason) => wire::LegState::Ended {
            reason: end_reason(reason),
        },
    }
}

fn security(security: LegSecurity) -> wire::LegSecurity {
    let protection = |protection| match protection {
        Protection::Encrypted => wire::Protection::Encrypted,
        Protection::Plain => wire::Protection::Plain,
    };
    wire::LegSecurity {
        signalling: protection(security.signalling),
        media: protection(security.media),
    }
}

fn audio_to_api(audio: AudioSummary, stats: Option<&LegStats>) -> wire::Audio {
    wire::Audio {
        codec: audio.codec.encoding_name().to_owned(),
        direction: direction(audio.direction),
        transport: transport(audio.transport),
        stats: stats
            .and_then(|stats| stats.audio.as_ref())
            .map(|audio| stream(&audio.stream)),
    }
}

fn video_to_api(video: VideoSummary, stats: Option<&VideoStats>) -> wire::Video {
    wire::Video {
        codec: "H264".to_owned(),
        profile_level_id: video.send_profile.to_string(),
        packetization_mode: match video.send_packetization_mode {
            PacketizationMode::SingleNalUnit => 0,
            PacketizationMode::NonInterleaved => 1,
        },
        direction: direction(video.direction),
        transport: transport(video.transport),
        flow: match video.flow {
            VideoFlow::Off => wire::VideoFlow::Off,
            VideoFlow::Waiting => wire::VideoFlow::Waiting,
            VideoFlow::Flowing => wire::VideoFlow::Flowing,
            VideoFlow::Stalled => wire::VideoFlow::Stalled,
        },
        stats: stats.map(video_stats),
    }
}

fn slides_to_api(slides: SlidesSummary, stats: Option<&VideoStats>) -> wire::LegSlides {
    wire::LegSlides {
        stream: video_to_api(slides.stream, stats),
        sending: slides_sending(slides.sending),
        capture_to_decode_ms: stats
            .and_then(|stats| stats.capture_to_decode)
            .map(milliseconds),
    }
}

fn slides_sending(sending: SlidesSending) -> wire::SlidesSending {
    match sending {
        SlidesSending::Off => wire::SlidesSending::Off,
        SlidesSending::Waiting => wire::SlidesSending::Waiting,
        SlidesSending::Sending => wire::SlidesSending::Sending,
    }
}

fn transport(transport: TransportSummary) -> wire::MediaTransport {
    wire::MediaTransport {
        srtp_suite: transport.srtp.map(|suite| suite.name().to_owned()),
        rtcp_mux: transport.rtcp.port == RtcpPort::Shared,
        rtcp_reduced_size: transport.rtcp.size == RtcpSize::Reduced,
        rtcp_feedback: transport.feedback.names().map(str::to_owned).collect(),
    }
}

fn direction(direction: Direction) -> wire::Direction {
    match direction {
        Direction::SendRecv => wire::Direction::SendRecv,
        Direction::SendOnly => wire::Direction::SendOnly,
        Direction::RecvOnly => wire::Direction::RecvOnly,
        Direction::Inactive => wire::Direction::Inactive,
    }
}

fn stream(stats: &StreamStats) -> wire::StreamStats {
    wire::StreamStats {
        send_bps: stats.send_bitrate.as_bps(),
        receive_bps: stats.receive_bitrate.as_bps(),
        packets_sent: stats.packets_sent,
        packets_received: stats.packets_received,
        packets_lost: stats.packets_lost,
        loss: stats.loss.as_f64(),
        peer_loss: stats.peer_loss.map(Fraction::as_f64),
        jitter_ms: milliseconds(stats.jitter),
        peer_jitter_ms: stats.peer_jitter.map(milliseconds),
        jitter_buffer_ms: milliseconds(stats.jitter_buffer),
        datagrams_dropped: stats.datagrams_dropped,
    }
}

fn video_stats(stats: &VideoStats) -> wire::VideoStats {
    wire::VideoStats {
        stream: stream(&stats.stream),
        sent_fps: stats.sent_frame_rate.as_f64(),
        received_fps: stats.received_frame_rate.as_f64(),
        sent_resolution: stats.sent_resolution.map(resolution),
        rung: stats.rung.map(rung),
        received_resolution: stats.received_resolution.map(resolution),
        freezes: stats.freezes,
        frozen_ms: milliseconds(stats.frozen),
        keyframes_requested_by_peer: stats.keyframes_requested_by_peer,
        keyframes_requested: stats.keyframes_requested,
        retransmissions_requested: stats.retransmissions.requested,
        retransmissions_received: stats.retransmissions.received,
        retransmissions_sent: stats.retransmissions.sent,
        encoder: stats.encoder.clone(),
        decoder: stats.decoder.clone(),
    }
}

fn rung(rung: SentRung) -> wire::Rung {
    wire::Rung {
        name: match rung.name {
            RungName::High => wire::RungName::High,
            RungName::Low => wire::RungName::Low,
        },
        fps: rung.frame_rate.0,
        target_bps: rung.bitrate.as_bps(),
    }
}

fn resolution(resolution: Resolution) -> wire::Resolution {
    wire::Resolution {
        width: resolution.width,
        height: resolution.height,
    }
}

/// To the microsecond: more digits would only be noise on the wire.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_and_after_the_clocks_reading_have_their_unix_time() {
        let instant = Instant::now();
        let clock = WallClock {
            instant,
            unix: Duration::from_secs(1000),
        };
        assert_eq!(clock.unix_ms(instant), 1_000_000);
        assert_eq!(
            clock.unix_ms(instant + Duration::from_millis(1500)),
            1_001_500
        );
        if let Some(earlier) = instant.checked_sub(Duration::from_millis(1500)) {
            assert_eq!(clock.unix_ms(earlier), 998_500);
        }
    }

    #[test]
    fn milliseconds_are_kept_to_the_microsecond() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
        assert_eq!(milliseconds(Duration::MAX), 1.844_674_407_370_955_2e22);
    }
}
