//! The sonora front end in a seeded simulated room.

mod simulated_room;

use std::time::Duration;

use acoustics::{
    AutomaticGain, FRAME_SAMPLES, FrontEnd, NoiseReduction, PassThrough, ReferenceLine,
    SAMPLE_RATE_HZ, SonoraFrontEnd, SonoraSettings,
};
use proptest::prelude::*;
use simulated_room::{EchoPath, Seeded, decibels, frames, hiss, mixed, power, samples_in, speech};

const SPEECH_LEVEL: f64 = 0.1;
const NOISE_LEVEL: f64 = 0.000_3;

/// Echo control alone, so that gain and noise suppression do not blur the measurement.
const ECHO_CONTROL_ONLY: SonoraSettings = SonoraSettings {
    noise_reduction: NoiseReduction::Off,
    automatic_gain: AutomaticGain::Off,
};

fn processed(settings: SonoraSettings, microphone: &[f32], reference: &[f32]) -> Vec<f32> {
    let mut front_end = SonoraFrontEnd::new(settings);
    let mut result = Vec::with_capacity(microphone.len());
    let mut out = [0.0; FRAME_SAMPLES];
    for (microphone, reference) in frames(microphone).zip(frames(reference)) {
        front_end.process(&[microphone], &[reference], &mut out);
        result.extend_from_slice(&out);
    }
    result
}

fn seconds(signal: &[f32], from: f64, to: f64) -> &[f32] {
    &signal[samples_in(from)..samples_in(to)]
}

/// How much weaker `out` is than `microphone` between two moments, in dB.
fn attenuation(microphone: &[f32], out: &[f32], from: f64, to: f64) -> f64 {
    decibels(power(seconds(microphone, from, to)) / power(seconds(out, from, to)))
}

/// The best match of `wanted` in `out`: `(delay in samples, gain)`.
fn found(wanted: &[f32], out: &[f32], max_delay: usize) -> (usize, f64) {
    let energy: f64 = wanted[..wanted.len() - max_delay]
        .iter()
        .map(|&s| f64::from(s).powi(2))
        .sum();
    (0..max_delay)
        .map(|delay| {
            let product: f64 = wanted[..wanted.len() - max_delay]
                .iter()
                .zip(&out[delay..])
                .map(|(&wanted, &out)| f64::from(wanted) * f64::from(out))
                .sum();
            (delay, product / energy)
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("max_delay is not zero")
}

#[test]
fn echo_of_the_far_end_is_at_least_20_db_weaker_after_three_seconds() {
    for (seed, bulk_delay_ms, level) in [(1, 20.0, 0.5), (2, 80.0, 1.0), (3, 150.0, 2.0)] {
        let far_end = speech(seed, 8.0, SPEECH_LEVEL);
        let echo = EchoPath::shoebox(seed, bulk_delay_ms, level).heard(&far_end);
        let microphone = mixed(&[&echo, &hiss(seed, echo.len(), NOISE_LEVEL)]);
        for settings in [ECHO_CONTROL_ONLY, SonoraSettings::default()] {
            let out = processed(settings, &microphone, &far_end);
            let db = attenuation(&microphone, &out, 3.0, 8.0);
            println!("room {seed}, {settings:?}: echo {db:.1} dB weaker");
            assert!(db >= 20.0, "seed {seed}, {settings:?}: only {db:.1} dB");
        }
    }
}

#[test]
fn a_talker_in_a_quiet_room_keeps_his_level() {
    let quieter_noise = SonoraSettings {
        noise_reduction: NoiseReduction::Moderate,
        ..ECHO_CONTROL_ONLY
    };
    for (seed, settings) in [
        (11, ECHO_CONTROL_ONLY),
        (12, ECHO_CONTROL_ONLY),
        (11, quieter_noise),
    ] {
        let talker = speech(seed, 6.0, SPEECH_LEVEL);
        let microphone = mixed(&[&talker, &hiss(seed, talker.len(), NOISE_LEVEL)]);
        let silence = vec![0.0; talker.len()];
        let out = processed(settings, &microphone, &silence);
        let (delay, gain) = found(
            seconds(&talker, 2.0, 5.0),
            seconds(&out, 2.0, 5.0),
            samples_in(0.02),
        );
        let loss = attenuation(&talker, &out, 2.0, 5.0);
        let latency = SonoraFrontEnd::new(settings).latency().as_secs_f64();
        let stated = samples_in(latency).abs_diff(delay);
        assert!(
            stated <= samples_in(0.001),
            "seed {seed}, {settings:?}: {delay} samples late, not {latency} s"
        );
        println!(
            "seed {seed}, {settings:?}: {loss:.1} dB lost, {gain:.2} of it as it was, {delay} samples late"
        );
        assert!(
            loss.abs() <= 1.5,
            "seed {seed}, {settings:?}: {loss:.1} dB lost"
        );
        assert!(
            gain >= 0.6,
            "seed {seed}, {settings:?}: only {gain:.2} resembles the talker"
        );
    }
}

#[test]
fn a_talker_is_still_heard_while_the_far_end_talks() {
    for seed in [21, 22] {
        let far_end = speech(seed, 10.0, SPEECH_LEVEL);
        let echo = EchoPath::shoebox(seed, 60.0, 0.5).heard(&far_end);
        let mut talker = speech(seed + 100, 10.0, SPEECH_LEVEL);
        talker[..samples_in(5.0)].fill(0.0);
        let noise = hiss(seed, echo.len(), NOISE_LEVEL);
        let gain = |microphone: &[f32], reference: &[f32]| {
            let out = processed(ECHO_CONTROL_ONLY, microphone, reference);
            found(
                seconds(&talker, 5.5, 9.5),
                seconds(&out, 5.5, 9.5),
                samples_in(0.02),
            )
            .1
        };
        let alone = gain(&mixed(&[&talker, &noise]), &vec![0.0; talker.len()]);
        let double_talk = gain(&mixed(&[&echo, &talker, &noise]), &far_end);
        let loss = decibels((alone / double_talk).powi(2));
        println!("seed {seed}: near end loses {loss:.1} dB in double talk");
        assert!(loss <= 8.0, "seed {seed}: the near end loses {loss:.1} dB");
    }
}

#[test]
fn a_jump_of_the_echo_delay_is_recovered_within_three_seconds() {
    let seed = 31;
    let far_end = speech(seed, 14.0, SPEECH_LEVEL);
    let before = EchoPath::shoebox(seed, 60.0, 1.0).heard(&far_end);
    let mut echo = EchoPath::shoebox(seed, 100.0, 1.0).heard(&far_end);
    let jump = samples_in(6.0);
    echo[..jump].copy_from_slice(&before[..jump]);
    let microphone = mixed(&[&echo, &hiss(seed, echo.len(), NOISE_LEVEL)]);
    let out = processed(ECHO_CONTROL_ONLY, &microphone, &far_end);
    let settled = attenuation(&microphone, &out, 3.0, 6.0);
    let recovered = attenuation(&microphone, &out, 9.0, 14.0);
    println!("{settled:.1} dB before the jump, {recovered:.1} dB three seconds after it");
    assert!(settled >= 20.0, "seed {seed}: {settled:.1} dB");
    assert!(recovered >= 20.0, "seed {seed}: {recovered:.1} dB");
}

#[test]
fn silence_stays_silence() {
    let silence = vec![0.0; samples_in(3.0)];
    let out = processed(SonoraSettings::default(), &silence, &silence);
    let loudest = out
        .iter()
        .fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest < 1.0 / 32_768.0, "{loudest} is audible in 16 bit");
}

#[test]
fn without_a_microphone_nothing_is_sent_even_while_the_far_end_talks() {
    let far_end = speech(41, 2.0, SPEECH_LEVEL);
    let mut front_end = SonoraFrontEnd::new(SonoraSettings::default());
    let mut out = [9.0; FRAME_SAMPLES];
    for reference in frames(&far_end) {
        front_end.process(&[], &[reference], &mut out);
        assert_eq!(out, [0.0; FRAME_SAMPLES]);
    }
}

#[test]
fn samples_that_are_not_numbers_do_no_lasting_harm() {
    let seed = 51;
    let far_end = speech(seed, 8.0, SPEECH_LEVEL);
    let echo = EchoPath::shoebox(seed, 60.0, 1.0).heard(&far_end);
    let mut microphone = mixed(&[&echo, &hiss(seed, echo.len(), NOISE_LEVEL)]);
    let clean = microphone.clone();
    let mut reference = far_end.clone();
    for (i, poison) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]
        .into_iter()
        .enumerate()
    {
        microphone[samples_in(1.0) + 700 * i] = poison;
        reference[samples_in(1.2) + 700 * i] = poison;
    }
    let out = processed(ECHO_CONTROL_ONLY, &microphone, &reference);
    assert!(
        out.iter()
            .all(|sample| sample.is_finite() && sample.abs() <= 1.0)
    );
    let db = attenuation(&clean, &out, 5.0, 8.0);
    assert!(
        db >= 20.0,
        "seed {seed}: echo only {db:.1} dB weaker after poisoned samples"
    );
}

#[test]
fn the_same_input_gives_the_same_output() {
    let far_end = speech(61, 2.0, SPEECH_LEVEL);
    let microphone = EchoPath::shoebox(61, 40.0, 1.0).heard(&far_end);
    let once = processed(SonoraSettings::default(), &microphone, &far_end);
    let again = processed(SonoraSettings::default(), &microphone, &far_end);
    assert!(once == again);
}

#[test]
fn the_delay_of_the_echo_is_reported() {
    let seed = 71;
    let far_end = speech(seed, 5.0, SPEECH_LEVEL);
    let microphone = EchoPath::shoebox(seed, 80.0, 1.0).heard(&far_end);
    let mut front_end = SonoraFrontEnd::new(ECHO_CONTROL_ONLY);
    let mut out = [0.0; FRAME_SAMPLES];
    for (microphone, reference) in frames(&microphone).zip(frames(&far_end)) {
        front_end.process(&[microphone], &[reference], &mut out);
    }
    let report = front_end.echo_report();
    println!("{report:?}");
    let delay = report
        .delay
        .expect("five seconds of far end tell the delay");
    assert!(
        (60..=100).contains(&delay.as_millis()),
        "seed {seed}: {delay:?}"
    );
    assert!(
        report.enhancement_db.expect("known by now") > 6.0,
        "{report:?}"
    );
}

#[test]
fn a_settled_front_end_keeps_no_further_memory() {
    let far_end = speech(81, 6.0, SPEECH_LEVEL);
    let microphone = EchoPath::shoebox(81, 40.0, 1.0).heard(&far_end);
    let mut front_end = SonoraFrontEnd::new(SonoraSettings::default());
    let mut out = [0.0; FRAME_SAMPLES];
    let mut pairs = frames(&microphone).zip(frames(&far_end));
    for (microphone, reference) in pairs.by_ref().take(100) {
        front_end.process(&[microphone], &[reference], &mut out);
    }
    let counted = allocation_counter::measure(|| {
        for (microphone, reference) in pairs {
            front_end.process(&[microphone], &[reference], &mut out);
        }
    });
    assert!(
        counted.count_current <= 0 && counted.bytes_current <= 0,
        "{counted:?}"
    );
    // The library's own scratch blocks: short-lived and small, for one frame at a time.
    assert!(counted.bytes_max < 16 * 1024, "{counted:?}");
}

#[test]
fn passing_through_allocates_nothing() {
    let frame = [0.25; FRAME_SAMPLES];
    let mut out = [0.0; FRAME_SAMPLES];
    let counted =
        allocation_counter::measure(|| PassThrough.process(&[&frame], &[&frame], &mut out));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn stamps_that_jitter_do_not_spoil_the_echo_control() {
    let seed = 91;
    let far_end = speech(seed, 9.0, SPEECH_LEVEL);
    let echo = EchoPath::shoebox(seed, 60.0, 1.0).heard(&far_end);
    let microphone = mixed(&[&echo, &hiss(seed, echo.len(), NOISE_LEVEL)]);
    let mut random = Seeded::new(seed);
    let mut stamp = |sample: usize| {
        let late = random.between(0.0, 0.007);
        Duration::from_secs_f64(1.0 + sample as f64 / f64::from(SAMPLE_RATE_HZ) + late)
    };
    let mut line = ReferenceLine::new();
    let mut front_end = SonoraFrontEnd::new(ECHO_CONTROL_ONLY);
    let (mut reference, mut out) = ([0.0; FRAME_SAMPLES], [0.0; FRAME_SAMPLES]);
    // The mixer works in stretches of 20 ms, 40 ms ahead of the loudspeaker.
    let mut played = far_end.chunks(2 * FRAME_SAMPLES).enumerate();
    let mut result = Vec::new();
    for (number, microphone) in frames(&microphone).enumerate() {
        while line.waiting() < Duration::from_millis(40)
            && let Some((number, sound)) = played.next()
        {
            line.play(stamp(number * 2 * FRAME_SAMPLES), sound.iter().copied());
        }
        line.heard_at(stamp(number * FRAME_SAMPLES), &mut reference);
        front_end.process(&[microphone], &[&reference], &mut out);
        result.extend_from_slice(&out);
    }
    let db = attenuation(&microphone, &result, 3.0, 9.0);
    println!("echo {db:.1} dB weaker with stamps that jitter by 7 ms");
    assert!(db >= 20.0, "seed {seed}: only {db:.1} dB");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_bits_come_in_the_output_is_sound(
        bits in proptest::collection::vec(any::<(u32, u32)>(), FRAME_SAMPLES),
        references in 0_usize..3,
    ) {
        let microphone = std::array::from_fn(|i| f32::from_bits(bits[i].0));
        let reference = std::array::from_fn(|i| f32::from_bits(bits[i].1));
        let mut front_end = SonoraFrontEnd::new(SonoraSettings::default());
        let mut out = [9.0; FRAME_SAMPLES];
        for _ in 0..10 {
            front_end.process(&[&microphone], &[&reference; 3][..references], &mut out);
            prop_assert!(out.iter().all(|sample| sample.is_finite() && sample.abs() <= 1.0));
        }
    }
}
