//! Mute, camera, volume, layout, devices, configuration and registrations.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use room::media_plan::{CameraState, Layout, MicrophoneState, VideoSource};
use room::snapshot::DeviceState;
use room::units::AudioLevel;
use room::{
    Admission, Certificate, CertificateValidity, Command, DeniedReason, Fact, GuestCertificate,
    GuestCertificateFailure, GuestCertificateReason, GuestCertificateState, LegState,
    RegistrationFailure, RegistrationState, Remembered, Request, RoomPolicy,
};

use crate::rig::Position::{Dialing, Established};
use crate::rig::{Rig, policy, streams, volume};

#[test]
fn a_control_is_accepted_once_and_then_already_so() {
    let requests = [
        Request::SetMicrophone(MicrophoneState::Muted),
        Request::SetCamera(CameraState::Off),
        Request::SetVolume(volume(13)),
        Request::SetLayout(Layout::PictureInPicture),
    ];
    for position in [Dialing, Established] {
        for request in requests.clone() {
            let (mut rig, _) = position.reach();
            assert_eq!(
                rig.request(request.clone()),
                Admission::Accepted { leg: None }
            );
            let commands = rig.commands();
            assert!(
                matches!(commands[0], Command::ApplyMedia(_)),
                "{commands:?}"
            );
            assert_eq!(rig.request(request), Admission::AlreadySo);
            assert_eq!(rig.commands(), []);
        }
    }
}

#[test]
fn controls_reach_plan_snapshot_and_memory() {
    let mut rig = Rig::new();
    rig.request(Request::SetMicrophone(MicrophoneState::Muted));
    rig.request(Request::SetCamera(CameraState::Off));
    rig.request(Request::SetVolume(volume(13)));
    let commands = rig.commands();
    assert_eq!(rig.plan.microphone.state, MicrophoneState::Muted);
    assert_eq!(rig.plan.camera.state, CameraState::Off);
    assert_eq!(rig.plan.playout.volume, volume(13));
    let snapshot = rig.room.snapshot();
    assert_eq!(snapshot.microphone, MicrophoneState::Muted);
    assert_eq!(snapshot.camera, CameraState::Off);
    assert_eq!(snapshot.volume, volume(13));
    let remembered = Remembered {
        microphone: MicrophoneState::Muted,
        camera: CameraState::Off,
        volume: volume(13),
        wanted: Vec::new(),
    };
    assert_eq!(
        commands.last(),
        Some(&Command::Remember {
            generation: rig.room.remembered_generation(),
            remembered: remembered.clone(),
        })
    );

    let rig = Rig::remembering(policy(), remembered);
    assert_eq!(rig.plan.microphone.state, MicrophoneState::Muted);
    assert_eq!(rig.plan.camera.state, CameraState::Off);
    assert_eq!(rig.room.snapshot().volume, volume(13));
}

#[test]
fn a_missing_device_is_shown_and_changes_nothing_that_was_asked_for() {
    let (mut rig, leg) = Established.reach();
    let plan = rig.plan.clone();
    rig.told(Fact::CameraGone);
    rig.told(Fact::MicrophoneGone);
    let snapshot = rig.room.snapshot();
    assert_eq!(snapshot.camera_device, DeviceState::Gone);
    assert_eq!(snapshot.microphone_device, DeviceState::Gone);
    assert_eq!(
        (snapshot.camera, snapshot.microphone),
        (CameraState::On, MicrophoneState::Open)
    );
    assert_eq!(rig.plan, plan);
    assert_eq!(rig.leg(leg).state, LegState::Established);
    rig.told(Fact::CameraBack);
    rig.told(Fact::MicrophoneBack);
    assert_eq!(rig.room.snapshot().camera_device, DeviceState::Present);
    assert_eq!(rig.room.snapshot().microphone_device, DeviceState::Present);
}

#[test]
fn a_device_that_no_configuration_names_cannot_be_missed() {
    let mut policy = policy();
    policy.media.camera = VideoSource::None;
    let mut rig = Rig::with_policy(policy.clone());
    assert_eq!(
        rig.room.snapshot().camera_device,
        DeviceState::NotConfigured
    );
    rig.told(Fact::CameraGone);
    assert_eq!(
        rig.room.snapshot().camera_device,
        DeviceState::NotConfigured
    );

    policy.media.camera = VideoSource::Simulated;
    rig.told(Fact::PolicyChanged(Box::new(policy.clone())));
    assert_eq!(rig.room.snapshot().camera_device, DeviceState::Present);
    rig.told(Fact::CameraGone);
    rig.told(Fact::PolicyChanged(Box::new(policy)));
    assert_eq!(rig.room.snapshot().camera_device, DeviceState::Gone);
}

#[test]
fn a_new_configuration_changes_the_plan_and_leaves_the_legs() {
    let (mut rig, leg) = Established.reach();
    let mut policy = policy();
    policy.media.bitrate = room::units::Bitrate::kbps(700);
    rig.told(Fact::PolicyChanged(Box::new(policy)));
    let high = rig.plan.ladder.high.expect("it is encoded");
    assert_eq!(high.bitrate, room::units::Bitrate::kbps(700));
    assert_eq!(rig.leg(leg).state, LegState::Established);
}

#[test]
fn registrations_are_shown_for_the_accounts_that_there_are() {
    let mut rig = Rig::new();
    let state = RegistrationState::Registered;
    for account in ["work", "unheard-of"] {
        rig.told(Fact::Registration {
            account: account.to_owned(),
            state,
        });
    }
    let shown: Vec<_> = rig
        .room
        .snapshot()
        .registrations
        .clone()
        .into_iter()
        .collect();
    assert_eq!(shown, [("work".to_owned(), state)]);
    rig.told(Fact::PolicyChanged(Box::new(RoomPolicy {
        accounts: Vec::new(),
        ..policy()
    })));
    assert!(rig.room.snapshot().registrations.is_empty());
}

#[test]
fn an_account_that_failed_or_is_locked_is_registered_when_somebody_asks() {
    let register = |account: &str| Request::Register {
        account: account.to_owned(),
    };
    let mut rig = Rig::new();
    for (account, reason) in [
        ("unheard-of", DeniedReason::UnknownAccount),
        ("work", DeniedReason::NoRegistrar),
    ] {
        let admission = rig.request(register(account));
        assert_eq!(admission, Admission::Denied(reason), "{account}");
    }
    let failed = RegistrationState::Failed(RegistrationFailure::TimedOut);
    for (state, is_asked) in [
        (RegistrationState::Unregistered, true),
        (RegistrationState::Registering, false),
        (RegistrationState::Registered, false),
        (failed, true),
        (RegistrationState::Locked, true),
    ] {
        rig.told(Fact::Registration {
            account: "work".to_owned(),
            state,
        });
        rig.commands();
        let admission = rig.request(register("work"));
        let (expected, commands) = if is_asked {
            let account = "work".to_owned();
            (
                Admission::Accepted { leg: None },
                vec![Command::Register { account }],
            )
        } else {
            (Admission::AlreadySo, Vec::new())
        };
        assert_eq!(admission, expected, "{state:?}");
        assert_eq!(rig.commands(), commands, "{state:?}");
    }
}

#[test]
fn flows_of_an_account_are_shown_and_those_of_others_are_not() {
    let mut rig = Rig::new();
    let states = vec![
        RegistrationState::Registered,
        RegistrationState::Registering,
    ];
    let told = |account: &str| Fact::RegistrationFlows {
        account: account.to_owned(),
        flows: states.clone(),
    };
    rig.told(told("work"));
    rig.told(told("nobody's"));
    let shown = rig.room.snapshot().registration_flows;
    assert_eq!(shown, [("work".to_owned(), states)].into());
}

#[test]
fn certificates_are_shown_as_they_were_last_told() {
    let mut rig = Rig::new();
    let certificate = |validity| Certificate {
        validity,
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000),
    };
    for validity in [
        CertificateValidity::Good,
        CertificateValidity::ExpiresSoon,
        CertificateValidity::Expired,
        CertificateValidity::NotYetValid,
    ] {
        let told: BTreeMap<_, _> = [("room.pem".to_owned(), certificate(validity))].into();
        let before = rig.room.snapshot().generation;
        rig.told(Fact::Certificates(told.clone()));
        assert_eq!(rig.room.snapshot().certificates, told);
        assert!(rig.room.snapshot().generation > before, "{validity:?}");
        // Told again, it is nothing new.
        let before = rig.room.snapshot().generation;
        rig.told(Fact::Certificates(told));
        assert_eq!(rig.room.snapshot().generation, before);
    }
}

#[test]
fn the_certificate_of_the_guests_server_is_shown_as_it_was_last_told() {
    let mut rig = Rig::new();
    assert_eq!(rig.room.snapshot().guest_certificate, None);
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let failure = GuestCertificateFailure {
        reason: GuestCertificateReason::NameNotProven,
        detail: "connection refused".to_owned(),
        count: 1,
        at,
    };
    for (state, failure) in [
        (GuestCertificateState::Ordering, None),
        (GuestCertificateState::Waiting { until: at }, Some(failure)),
        (GuestCertificateState::Waiting { until: at }, None),
    ] {
        let told = GuestCertificate {
            name: "room.example.com".to_owned(),
            state,
            not_after: Some(at),
            failure,
        };
        let before = rig.room.snapshot().generation;
        rig.told(Fact::GuestCertificate(Box::new(told.clone())));
        assert_eq!(rig.room.snapshot().guest_certificate, Some(told));
        assert!(rig.room.snapshot().generation > before);
    }
}

#[test]
fn levels_are_shown() {
    let mut rig = Rig::new();
    let (microphone, loudspeaker) = (AudioLevel::dbfs(-20.0), AudioLevel::dbfs(-30.0));
    rig.told(Fact::Levels {
        microphone,
        loudspeaker,
    });
    assert_eq!(rig.room.snapshot().microphone_level, microphone);
    assert_eq!(rig.room.snapshot().loudspeaker_level, loudspeaker);
}

#[test]
fn no_snapshot_tells_a_key() {
    use room::codec::{SrtpKey, SrtpKeys, SrtpSuite};
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let key = |byte| SrtpKey::generate(suite, |bytes| bytes.fill(byte));
    let mut settled = streams();
    if let Some(audio) = &mut settled.audio {
        audio.srtp = Some(SrtpKeys {
            local: key(0xa7),
            remote: key(0xb7),
        });
    }
    let (mut rig, leg) = Established.reach();
    rig.room.fact(
        rig.now,
        Fact::StreamsChanged {
            leg,
            streams: settled,
        },
    );
    for text in [
        format!("{:?}", rig.room.snapshot()),
        format!("{:?}", rig.commands()),
    ] {
        // The first two bytes of each key, as a list, in hexadecimal and in
        // base64 would show it. One byte alone is found in a clock's reading.
        for shown in [
            "167, 167", "183, 183", "a7, a7", "b7, b7", "a7a7", "b7b7", "p6en", "t7e3",
        ] {
            assert!(!text.contains(shown), "{shown}: {text}");
        }
    }
}
