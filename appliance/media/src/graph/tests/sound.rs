//! Encodes of the room's sound, and the legs that share them.

use room::codec::AudioCodec;
use room::media_plan::AudioStream;

use super::*;
use crate::audio_encode::{AudioEncode, AudioFormat};

const OTHER: LegId = LegId(2);

fn stream(codec: AudioCodec) -> AudioStream {
    let payload_type = PayloadType::new(96).unwrap();
    AudioStream {
        codec,
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        send_telephone_event: None,
        receive_telephone_event: None,
        max_bitrate: None,
        direction: Direction::SendRecv,
        generic_nack: false,
        srtp: None,
        rtcp: RtcpMode::default(),
    }
}

/// A room without devices that sends its silence on two legs.
fn plan_with_sound(codecs: [AudioCodec; 2]) -> MediaPlan {
    let mut plan = plan();
    let legs = [LEG, OTHER].into_iter().zip(codecs);
    plan.legs = legs
        .map(|(id, codec)| LegPlan {
            id,
            rung: None,
            streams: LegStreams {
                audio: Some(stream(codec)),
                ..LegStreams::default()
            },
            connection: LegConnection::Connected,
        })
        .collect();
    plan
}

impl Rig {
    fn sound(&self) -> &[AudioEncode] {
        &self.graph.parts.audio_encodes
    }

    fn formats(&self) -> Vec<AudioFormat> {
        self.sound().iter().map(AudioEncode::format).collect()
    }
}

#[test]
fn legs_that_take_the_same_share_one_encode_from_the_first_to_the_last_of_them() {
    let plan = plan_with_sound([AudioCodec::Opus; 2]);
    let mut rig = Rig::following(plan.clone());
    let [encode] = rig.sound() else {
        panic!("{:?}", rig.formats());
    };
    let shared = encode.id();
    rig.run_until_sent(LEG, Medium::Audio);
    rig.run_until_sent(OTHER, Medium::Audio);
    let mut without_first = plan.clone();
    without_first.legs.remove(0);
    rig.follow(without_first);
    assert_eq!(rig.sound()[0].id(), shared);
    rig.run_until_sent(OTHER, Medium::Audio);
    rig.follow(MediaPlan {
        legs: Vec::new(),
        ..plan
    });
    assert_eq!(rig.formats(), []);
}

#[test]
fn legs_of_two_codecs_have_an_encode_each() {
    let mut rig = Rig::following(plan_with_sound([AudioCodec::G722, AudioCodec::Pcma]));
    let mut formats = rig.formats();
    formats.sort_by_key(|format| format.name());
    assert_eq!(formats, [AudioFormat::G722, AudioFormat::Pcma]);
    rig.run_until_sent(LEG, Medium::Audio);
    rig.run_until_sent(OTHER, Medium::Audio);
}

#[test]
fn a_leg_on_hold_takes_no_sound_and_others_of_its_encode_go_on() {
    let mut plan = plan_with_sound([AudioCodec::Opus, AudioCodec::Pcmu]);
    let mut rig = Rig::following(plan.clone());
    for (direction, encodes) in [(Direction::RecvOnly, 1), (Direction::SendRecv, 2)] {
        let audio = plan.legs[0].streams.audio.as_mut().unwrap();
        audio.direction = direction;
        rig.follow(plan.clone());
        assert_eq!(rig.formats().len(), encodes, "{direction:?}");
        rig.run_until_sent(OTHER, Medium::Audio);
    }
    rig.run_until_sent(LEG, Medium::Audio);
}

#[test]
fn an_encode_of_sound_that_fails_is_built_anew_for_all_of_its_legs() {
    let mut rig = Rig::following(plan_with_sound([AudioCodec::Opus; 2]));
    let failed = rig.sound()[0].id();
    rig.run_until_sent(OTHER, Medium::Audio);
    rig.graph.handle(GraphInput::PipelineFailed {
        id: failed,
        element: "encoder".to_owned(),
        text: "broken".to_owned(),
    });
    rig.run_until("another encode", |rig| {
        rig.sound().iter().any(|encode| encode.id() != failed)
    });
    assert_eq!(rig.sound().len(), 1);
    rig.run_until_sent(LEG, Medium::Audio);
    rig.run_until_sent(OTHER, Medium::Audio);
}

/// The RTP time of the next packet of sound that a leg sends from now on.
fn next_timestamp(rig: &mut Rig, leg: LegId) -> u32 {
    while rig.sent(leg).is_some() {}
    let mut timestamp = 0;
    let end = Instant::now() + PATIENCE;
    while timestamp == 0 {
        assert!(Instant::now() < end, "no sound");
        rig.run_until("anything", |_| true);
        if let Ok(input) = rig.inputs.recv_timeout(Duration::from_millis(5)) {
            rig.graph.handle(input);
        }
        let sent = rig.sent(leg).filter(|sent| sent.channel == Channel::Rtp);
        if let Some(sent) = sent {
            timestamp = u32::from_be_bytes(sent.payload[4..8].try_into().unwrap());
        }
    }
    timestamp
}

#[test]
fn a_leg_that_was_held_goes_on_in_time_where_another_kept_its_encode_alive() {
    let mut plan = plan_with_sound([AudioCodec::Pcmu; 2]);
    let mut rig = Rig::following(plan.clone());
    let [held, other] = [LEG, OTHER].map(|leg| next_timestamp(&mut rig, leg));
    for direction in [Direction::RecvOnly, Direction::SendRecv] {
        plan.legs[0].streams.audio.as_mut().unwrap().direction = direction;
        rig.follow(plan.clone());
        for _ in 0..25 {
            next_timestamp(&mut rig, OTHER);
        }
    }
    let passed = [(LEG, held), (OTHER, other)].map(|(leg, before)| {
        let now = next_timestamp(&mut rig, leg);
        now.wrapping_sub(before)
    });
    // In samples of 8 kHz: as much for the one as for the other, but for a few packets.
    assert!(passed[1] >= 50 * 160, "{passed:?}");
    assert!(passed[0].abs_diff(passed[1]) <= 5 * 160, "{passed:?}");
}
