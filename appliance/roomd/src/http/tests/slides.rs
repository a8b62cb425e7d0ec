//! Slides: shown by request, seen in the snapshot, as pictures and in metrics.

use super::*;

use ::room::snapshot::{SlidesSending, VideoFlow};
use ::room::units::{Bitrate, FrameRate, Resolution};
use ::room::{Fact, FloorChange, LegStats, RungName, SentRung, StreamStats, VideoStats};

#[tokio::test]
async fn slides_wait_for_the_far_end_and_are_shown_once_it_lets_the_room() {
    let served = Served::start().await;
    let on = Some(r#"{"state": "on"}"#);
    let denied = served.ask("PUT", "/v1/slides", on).await;
    assert_eq!(
        (denied.status, denied.code()),
        (StatusCode::CONFLICT, "slides_not_taken".into())
    );
    let leg = served.driver.share_slides().await;
    let accepted = served.ask("PUT", "/v1/slides", on).await.json();
    assert_eq!(accepted["admission"], "accepted");
    let again = served.ask("PUT", "/v1/slides", on).await.json();
    assert_eq!(again["admission"], "already_so");
    let snapshot = served.ask("GET", "/v1/snapshot", None).await.json();
    assert_eq!(
        snapshot["slides"],
        serde_json::json!({"sending": "waiting", "device": "present"})
    );
    let change = FloorChange::Ours;
    served.driver.tell(Fact::Floor { leg, change }).await;
    let sending = |room: &RoomSnapshot| room.slides == SlidesSending::Sending;
    served.driver.wait_for(sending).await;
    let snapshot = served.ask("GET", "/v1/snapshot", None).await.json();
    let slides = &snapshot["legs"][0]["slides"];
    assert_eq!(slides["sending"], "sending", "{snapshot}");
    assert_eq!(
        (&slides["direction"], &slides["flow"]),
        (&"sendrecv".into(), &"waiting".into())
    );
    let metrics = served.ask("GET", "/metrics", None).await;
    let metrics = std::str::from_utf8(&metrics.body).unwrap();
    assert!(metrics.contains("roomd_slides_state{state=\"sending\"} 1\n"));
    let off = served
        .ask("PUT", "/v1/slides", Some(r#"{"state": "off"}"#))
        .await;
    assert_eq!(off.json()["admission"], "accepted");
}

#[tokio::test]
async fn the_slides_that_a_far_end_shows_are_found_when_no_leg_is_named() {
    let served = Served::start().await;
    let sent = served.ask("GET", "/v1/pictures/sent-slides", None).await;
    assert_eq!(&*sent.body, SLIDES);
    let path = "/v1/pictures/far-end-slides";
    let named = served.ask("GET", &format!("{path}?leg=70"), None).await;
    assert_eq!(&*named.body, SLIDES);
    let leg = served.driver.share_slides().await;
    assert_eq!(
        served.ask("GET", path, None).await.code(),
        "no_picture",
        "it shows none yet"
    );
    let shown = Fact::SlidesResumed { leg };
    served.driver.tell(shown).await;
    let flowing = |room: &RoomSnapshot| {
        let slides = room.legs.first().and_then(|leg| leg.slides);
        slides.is_some_and(|slides| slides.stream.flow == VideoFlow::Flowing)
    };
    served.driver.wait_for(flowing).await;
    assert_eq!(&*served.ask("GET", path, None).await.body, SLIDES);
}

#[tokio::test]
async fn what_is_measured_of_slides_is_told_beside_what_is_of_the_video() {
    let served = Served::start().await;
    let leg = served.driver.share_slides().await;
    let slides = VideoStats {
        stream: StreamStats {
            packets_sent: 7,
            ..StreamStats::default()
        },
        capture_to_decode: Some(std::time::Duration::from_millis(40)),
        sent_resolution: Some(Resolution::HD720),
        rung: Some(SentRung {
            name: RungName::High,
            frame_rate: FrameRate(10),
            bitrate: Bitrate::kbps(900),
        }),
        ..VideoStats::default()
    };
    let stats = Box::new(LegStats {
        slides: Some(slides),
        ..LegStats::default()
    });
    let measured = Fact::Measured { leg, stats };
    served.driver.tell(measured).await;
    let known = |room: &RoomSnapshot| room.legs.iter().any(|leg| leg.stats.is_some());
    served.driver.wait_for(known).await;
    let snapshot = served.ask("GET", "/v1/snapshot", None).await.json();
    let slides = &snapshot["legs"][0]["slides"];
    assert_eq!(slides["stats"]["packets_sent"], 7, "{snapshot}");
    assert_eq!(slides["capture_to_decode_ms"], 40.0);
    let rung = serde_json::json!({"name": "high", "fps": 10, "target_bps": 900_000});
    assert_eq!(slides["stats"]["rung"], rung);
    let metrics = served.ask("GET", "/metrics", None).await;
    let metrics = std::str::from_utf8(&metrics.body).unwrap();
    for line in [
        "roomd_leg_packets_sent_total{leg=\"70\",medium=\"slides\"} 7",
        "roomd_leg_frames_per_second{leg=\"70\",medium=\"slides\",direction=\"sent\"} 0",
        "roomd_leg_capture_to_decode_seconds{leg=\"70\",medium=\"slides\"} 0.04",
        "roomd_leg_target_bits_per_second{leg=\"70\",medium=\"slides\",rung=\"high\"} 900000",
        "roomd_leg_sent_picture_height_pixels{leg=\"70\",medium=\"slides\",rung=\"high\"} 720",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
}
