//! Slides between two rooms: the second picture of a call.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use media::{DecodedFrame, MediaEvent, PictureOf};
use room::codec::{Direction, PacketizationMode, SrtpSuite};
use room::ids::LegId;
use room::media_plan::{LegStreams, SlidesPlan, VideoRole, VideoSource, VideoStream};
use room::units::{FrameRate, Resolution};
use support::wire::Wire;
use support::{
    FIRST_SLIDE, PATIENCE, Room, audio_and_video, call_with, keys, picture, rung, video,
};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

const LEG: LegId = LegId(1);

fn slides(direction: Direction) -> VideoStream {
    VideoStream {
        direction,
        srtp: Some(keys(SrtpSuite::AesCm128HmacSha1_80, 9)),
        ..video(PacketizationMode::NonInterleaved)
    }
}

fn streams(direction: Direction) -> LegStreams {
    LegStreams {
        slides: Some(Box::new(slides(direction))),
        ..audio_and_video()
    }
}

/// The left room may send slides, the right one takes them.
async fn rooms() -> (Room, Room) {
    call_with(streams(Direction::SendOnly), Wire::default()).await
}

/// Shows the room's slides, or stops that.
fn show(room: &mut Room, shown: bool) {
    room.plan.slides = SlidesPlan {
        source: VideoSource::Simulated,
        resolution: Resolution::NHD360,
        frame_rate: FrameRate(10),
        rung: shown.then(rung),
    };
    let direction = if shown {
        Direction::SendOnly
    } else {
        Direction::Inactive
    };
    let streams = &mut room.plan.legs[0].streams;
    streams.slides.as_mut().unwrap().direction = direction;
    room.apply();
}

async fn next_number(frames: &mut Receiver<DecodedFrame>) -> u32 {
    let readable = async {
        loop {
            let frame = frames.recv().await.expect("the leg has ended");
            if let Some(number) = picture::number(&frame) {
                return number;
            }
        }
    };
    timeout(PATIENCE, readable).await.expect("no picture")
}

async fn wait_for_slides(room: &mut Room) {
    room.wait_for(|event| matches!(event, MediaEvent::SlidesResumed { leg: LEG }).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slides_arrive_beside_the_camera_and_each_stays_itself() {
    let (mut left, mut right) = rooms().await;
    right.wait_for_first_frame(1).await;
    show(&mut left, true);
    wait_for_slides(&mut right).await;
    let mut slides = right.media.tap_decoded(LEG, VideoRole::Slides).unwrap();
    let mut camera = right.media.tap_decoded(LEG, VideoRole::Main).unwrap();
    for _ in 0..10 {
        assert!(next_number(&mut slides).await >= FIRST_SLIDE);
        assert!(next_number(&mut camera).await < FIRST_SLIDE);
    }
    for of in [PictureOf::FarEndSlides(LEG), PictureOf::FarEnd(LEG)] {
        let jpeg = right.media.picture(of).unwrap();
        assert!(jpeg.starts_with(&[0xff, 0xd8]), "{of:?}");
    }
    assert!(left.media.picture(PictureOf::SentSlides).is_ok());
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slides_end_and_begin_again_while_the_camera_goes_on() {
    let (mut left, mut right) = rooms().await;
    for _ in 0..2 {
        show(&mut left, true);
        wait_for_slides(&mut right).await;
        show(&mut left, false);
        right
            .wait_for(|event| matches!(event, MediaEvent::SlidesStalled { leg: LEG }).then_some(()))
            .await;
        assert!(left.media.picture(PictureOf::SentSlides).is_err());
        let mut camera = right.media.tap_decoded(LEG, VideoRole::Main).unwrap();
        assert!(next_number(&mut camera).await < FIRST_SLIDE);
    }
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slides_that_are_lost_on_the_way_are_shown_again() {
    let wire = Wire {
        loss: 50,
        seed: 7,
        ..Wire::default()
    };
    let (mut left, mut right) = call_with(streams(Direction::SendOnly), wire).await;
    show(&mut left, true);
    wait_for_slides(&mut right).await;
    let mut slides = right.media.tap_decoded(LEG, VideoRole::Slides).unwrap();
    let first = next_number(&mut slides).await;
    let later = async { while next_number(&mut slides).await < first + 20 {} };
    timeout(PATIENCE, later)
        .await
        .expect("the slides stand still");
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_slides_are_told_beside_those_of_the_camera() {
    let (mut left, mut right) = rooms().await;
    show(&mut left, true);
    wait_for_slides(&mut right).await;
    let measured = |event: &MediaEvent| match event {
        MediaEvent::Measured { stats, .. } => {
            let (main, slides) = (stats.video.as_ref()?, stats.slides.as_ref()?);
            let flows = slides.received_frame_rate.as_f64() > 1.0;
            (flows && main.received_frame_rate.as_f64() > 1.0)
                .then_some((main.received_frame_rate, slides.received_frame_rate))
        }
        _ => None,
    };
    let (main, slides) = right.wait_for(measured).await;
    assert!(
        slides < main,
        "{slides:?} of slides, {main:?} of the camera"
    );
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slides_go_on_while_they_come_to_the_screen_and_leave_it() {
    let (mut left, mut right) = rooms().await;
    show(&mut left, true);
    wait_for_slides(&mut right).await;
    let mut slides = right.media.tap_decoded(LEG, VideoRole::Slides).unwrap();
    let mut before = next_number(&mut slides).await;
    for shown in [Some(LEG), None, Some(LEG)] {
        right.plan.playout.slides = shown;
        right.apply();
        right.wait_for_applied().await;
        for _ in 0..5 {
            let number = next_number(&mut slides).await;
            assert!(number > before, "{number} after {before}");
            before = number;
        }
    }
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slides_that_end_while_a_leg_is_built_anew_are_told_to_have_ended() {
    let (mut left, mut right) = rooms().await;
    show(&mut left, true);
    wait_for_slides(&mut right).await;
    show(&mut left, false);
    // Another key builds the leg anew.
    let streams = &mut right.plan.legs[0].streams;
    streams.slides.as_mut().unwrap().srtp = Some(keys(SrtpSuite::AesCm128HmacSha1_80, 10));
    right.apply();
    right
        .wait_for(|event| matches!(event, MediaEvent::SlidesStalled { leg: LEG }).then_some(()))
        .await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slides_are_told_to_flow_again_after_a_pause_that_is_shorter_than_a_look() {
    let (mut left, mut right) = rooms().await;
    show(&mut left, true);
    wait_for_slides(&mut right).await;
    for direction in [Direction::Inactive, Direction::RecvOnly] {
        let streams = &mut right.plan.legs[0].streams;
        streams.slides.as_mut().unwrap().direction = direction;
        right.apply();
    }
    right.wait_for_applied().await;
    wait_for_slides(&mut right).await;
    left.shut_down().await;
    right.shut_down().await;
}
