//! The JSON as clients see it.

#![allow(
    clippy::unwrap_used,
    reason = "clippy spares test functions only, not their helpers"
)]

use api::answer::{Admission, DeniedCode};
use api::request;
use api::sip_ladder::{SipDirection, SipLadder, SipMessage, SipTransport};
use api::snapshot::{
    DeviceState, Direction, EndReason, HeldBy, Layout, LegSlides, LegState, MediaTransport,
    RegistrationFailure, RegistrationState, Rung, RungName, Slides, SlidesSending, SlidesState,
    Video, VideoFlow, VideoStats,
};
use serde_json::{Value, json};

fn to_json(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn admissions_say_which_they_are() {
    assert_eq!(
        to_json(Admission::Accepted { leg: Some(3) }),
        json!({"admission": "accepted", "leg": 3})
    );
    assert_eq!(
        to_json(Admission::Accepted { leg: None }),
        json!({"admission": "accepted"})
    );
    assert_eq!(
        to_json(Admission::AlreadySo),
        json!({"admission": "already_so"})
    );
    let denied = Admission::Denied {
        code: DeniedCode::UnknownLeg,
        message: "no".into(),
    };
    assert_eq!(
        to_json(denied),
        json!({"admission": "denied", "code": "unknown_leg", "message": "no"})
    );
}

#[test]
fn enums_with_data_are_objects_and_others_strings() {
    let cases = [
        (
            to_json(LegState::Established),
            json!({"name": "established"}),
        ),
        (
            to_json(LegState::Held { by: HeldBy::Both }),
            json!({"name": "held", "by": "both"}),
        ),
        (
            to_json(LegState::Ended {
                reason: EndReason::Refused { status: 488 },
            }),
            json!({"name": "ended", "reason": {"code": "refused", "status": 488}}),
        ),
        (
            to_json(RegistrationState::Failed {
                reason: RegistrationFailure::TimedOut,
            }),
            json!({"name": "failed", "reason": {"code": "timed_out"}}),
        ),
        (
            to_json(Layout::PictureInPicture),
            json!("picture_in_picture"),
        ),
        (to_json(Direction::SendRecv), json!("sendrecv")),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn video_measurements_are_flat_and_leave_out_what_is_unknown() {
    let stats = to_json(VideoStats::default());
    assert_eq!(stats["send_bps"], json!(0));
    assert!(stats.get("encoder").is_none() && stats.get("peer_loss").is_none());
    assert_eq!(
        serde_json::from_value::<VideoStats>(stats).unwrap(),
        VideoStats::default()
    );
}

#[test]
fn a_leg_names_the_encode_that_it_takes() {
    let stats = VideoStats {
        rung: Some(Rung {
            name: RungName::Low,
            fps: 15,
            target_bps: 250_000,
        }),
        ..VideoStats::default()
    };
    let expected = json!({"name": "low", "fps": 15, "target_bps": 250_000});
    assert_eq!(to_json(stats)["rung"], expected);
}

#[test]
fn slides_say_how_far_they_have_come_and_a_room_that_knows_none_has_none() {
    let slides = Slides {
        sending: SlidesSending::Waiting,
        device: DeviceState::Present,
    };
    let json = to_json(slides);
    assert_eq!(json, json!({"sending": "waiting", "device": "present"}));
    assert_eq!(serde_json::from_value::<Slides>(json).unwrap(), slides);
    assert_eq!(
        to_json(Slides::default()),
        json!({"sending": "off", "device": "not_configured"})
    );
    let wanted = request::SetSlides {
        state: SlidesState::On,
    };
    assert_eq!(to_json(wanted), json!({"state": "on"}));
    let misspelt = json!({"state": "on", "leg": 1});
    assert!(serde_json::from_value::<request::SetSlides>(misspelt).is_err());
}

#[test]
fn the_slides_of_a_leg_are_a_flat_video_stream_and_more() {
    let slides = LegSlides {
        stream: Video {
            codec: "H264".into(),
            profile_level_id: "42e01f".into(),
            packetization_mode: 1,
            direction: Direction::SendRecv,
            transport: MediaTransport::default(),
            flow: VideoFlow::Flowing,
            stats: None,
        },
        sending: SlidesSending::Off,
        capture_to_decode_ms: None,
    };
    let json = to_json(&slides);
    assert_eq!(
        json,
        json!({
            "codec": "H264", "profile_level_id": "42e01f", "packetization_mode": 1,
            "direction": "sendrecv", "flow": "flowing", "sending": "off",
            "transport": {"rtcp_mux": false, "rtcp_reduced_size": false}
        })
    );
    assert_eq!(serde_json::from_value::<LegSlides>(json).unwrap(), slides);
}

#[test]
fn an_unknown_member_of_a_request_is_refused() {
    let good = json!({"target": "sip:a@example.com"});
    assert!(serde_json::from_value::<request::Call>(good).is_ok());
    let misspelt = json!({"target": "sip:a@example.com", "acount": "office"});
    assert!(serde_json::from_value::<request::Call>(misspelt).is_err());
}

#[test]
fn a_passcode_is_not_printed_for_debugging() {
    let dtmf = request::Dtmf {
        digits: "4711#".into(),
    };
    assert!(!format!("{dtmf:?}").contains("4711"));
}

#[test]
fn a_sip_message_leaves_out_what_it_has_not() {
    let message = SipMessage {
        offset_ms: 12.5,
        direction: SipDirection::Sent,
        transport: SipTransport::Tls,
        remote: "192.0.2.1:5061".into(),
        method: "BYE".into(),
        status: None,
        start_line: "BYE sip:a@example.com SIP/2.0".into(),
        body_type: None,
        text: "BYE sip:a@example.com SIP/2.0\n".into(),
        retransmissions: 0,
        last_retransmission_ms: None,
        left_out_before: 0,
    };
    let refused = SipLadder {
        leg: None,
        call_ids: vec!["1".into()],
        messages: vec![message],
    };
    let json = to_json(&refused);
    assert_eq!(
        json,
        json!({
            "call_ids": ["1"],
            "messages": [{
                "offset_ms": 12.5, "direction": "sent", "transport": "tls",
                "remote": "192.0.2.1:5061", "method": "BYE",
                "start_line": "BYE sip:a@example.com SIP/2.0",
                "text": "BYE sip:a@example.com SIP/2.0\n",
                "retransmissions": 0, "left_out_before": 0
            }]
        })
    );
    assert_eq!(serde_json::from_value::<SipLadder>(json).unwrap(), refused);
}
