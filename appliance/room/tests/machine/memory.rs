//! What outlives a crash: the calls that were placed here, and what the store told of them.

use std::time::{Duration, SystemTime};

use room::media_plan::MicrophoneState;
use room::{
    Admission, Command, DialogName, EndReason, Fact, HoldChange, IfNotReplaced, LegState,
    Remembered, Replaced, Request, Resumptions, RoomState, WantedCall,
};

use crate::rig::Position::Established;
use crate::rig::{Rig, TARGET, call, policy, target, volume, wanted, way_back};

#[test]
fn a_placed_call_is_remembered_until_it_is_ended_by_either_side() {
    let mut rig = Rig::new();
    rig.request(call(TARGET));
    assert_eq!(wanted(&rig.commands()), Some(vec![target(TARGET)]));
    rig.request(Request::HangUp { leg: None });
    assert_eq!(wanted(&rig.commands()), Some(Vec::new()));

    let (mut rig, leg) = Established.reach();
    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg,
            reason: EndReason::RemoteHangUp,
        },
    );
    assert_eq!(wanted(&rig.commands()), Some(Vec::new()));
}

#[test]
fn a_remembered_call_stays_wanted_until_it_is_placed_again_or_given_up() {
    let remembered = Remembered {
        wanted: vec![WantedCall::new(target(TARGET))],
        ..Remembered::default()
    };

    let mut rig = Rig::remembering(policy(), remembered.clone());
    rig.room.fact(rig.now, Fact::CameraGone);
    assert_eq!(wanted(&rig.commands()), None, "still remembered as it was");
    rig.request(call(TARGET));
    assert_eq!(wanted(&rig.commands()), None, "wanted before and after");

    let mut rig = Rig::remembering(policy(), remembered.clone());
    let admission = rig.request(Request::HangUp { leg: None });
    assert_eq!(admission, Admission::Accepted { leg: None });
    assert_eq!(wanted(&rig.commands()), Some(Vec::new()));

    let mut rig = Rig::remembering(policy(), remembered);
    rig.request(call("sip:other@example.com"));
    assert_eq!(
        wanted(&rig.commands()),
        Some(vec![target("sip:other@example.com")])
    );
}

#[test]
fn the_way_back_into_a_placed_call_is_remembered_and_taken_after_a_restart() {
    let (mut rig, leg) = Established.reach();
    let name = |text| DialogName::new(text).unwrap();
    for text in ["a@b;to-tag=1;from-tag=2", "c@d;to-tag=3;from-tag=4"] {
        let way_back = || way_back(text, "sip:board@192.0.2.2");
        let named = Fact::DialogNamed {
            leg,
            way_back: way_back(),
        };
        rig.room.fact(rig.now, named);
        let commands = rig.commands();
        let [Command::Remember { remembered, .. }] = &commands[..] else {
            panic!("{commands:?}")
        };
        let expected = WantedCall {
            dialog: Some(name(text)),
            ..WantedCall::new(target(TARGET))
        };
        assert_eq!(remembered.wanted, [expected], "to whom it was asked for");
        // Told again, it is nothing new.
        let named = Fact::DialogNamed {
            leg,
            way_back: way_back(),
        };
        rig.room.fact(rig.now, named);
        assert_eq!(rig.commands(), []);
    }

    let remembered = Remembered {
        wanted: vec![WantedCall {
            dialog: Some(name("a@b;to-tag=1;from-tag=2")),
            ..WantedCall::new(target(TARGET))
        }],
        ..Remembered::default()
    };
    let mut rig = Rig::remembering(policy(), remembered);
    rig.request(call(TARGET));
    let commands = rig.commands();
    let replaced = commands.iter().find_map(|command| match command {
        Command::Dial { replaced, .. } => Some(replaced.clone()),
        _ => None,
    });
    let expected = Replaced {
        dialog: name("a@b;to-tag=1;from-tag=2"),
        otherwise: IfNotReplaced::CallAnew,
        known_as: None,
    };
    assert_eq!(replaced, Some(Some(expected)));
    assert_eq!(
        wanted(&commands),
        None,
        "should it be interrupted once more"
    );
}

#[test]
fn a_name_that_could_damage_a_file_or_a_message_is_none() {
    for text in ["", "a\r\nb", "a\0", &"x".repeat(1025)] {
        assert_eq!(DialogName::new(text), None, "{text:.10}");
    }
}

#[test]
fn a_call_that_was_placed_again_and_lasts_is_remembered_without_its_restarts() {
    let restart = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let interrupted = WantedCall {
        resumptions: Resumptions::new([restart]),
        ..WantedCall::new(target(TARGET))
    };
    let remembered = Remembered {
        wanted: vec![interrupted],
        ..Remembered::default()
    };
    let mut rig = Rig::remembering(policy(), remembered);
    let leg = rig.dial();
    assert_eq!(wanted(&rig.commands()), None, "remembered as it was");
    rig.establish(leg);
    rig.commands();
    rig.pass(Duration::from_secs(30));
    rig.accepted(Request::Hold { leg });
    rig.pass(Duration::from_secs(29));
    assert_eq!(wanted(&rig.commands()), None);
    rig.pass(Duration::from_secs(1));
    let commands = rig.commands();
    let [Command::Remember { remembered, .. }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(remembered.wanted, [WantedCall::new(target(TARGET))]);
    assert_eq!(
        rig.leg(leg).hold_change,
        HoldChange::Holding,
        "the hold has time left"
    );
}

#[test]
fn a_call_that_is_not_placed_again_is_shown_with_the_reason_and_forgotten() {
    let remembered = Remembered {
        wanted: vec![WantedCall::new(target(TARGET))],
        ..Remembered::default()
    };
    for remembered in [remembered, Remembered::default()] {
        let mut rig = Rig::remembering(policy(), remembered);
        rig.room.fact(
            rig.now,
            Fact::NotResumed {
                call: target(TARGET),
                reason: EndReason::TooManyRestarts,
            },
        );
        assert_eq!(rig.signalling(), []);
        let snapshot = rig.room.snapshot();
        assert_eq!(snapshot.state, RoomState::Idle);
        assert_eq!(snapshot.legs, []);
        assert_eq!(snapshot.last_ended[0].peer.uri, TARGET);
        assert_eq!(
            snapshot.last_ended[0].state,
            LegState::Ended(EndReason::TooManyRestarts)
        );
        // Whoever wants it all the same may call.
        rig.dial();
    }
}

#[test]
fn a_failed_write_is_shown_until_a_later_one_succeeds() {
    let mut rig = Rig::new();
    rig.accepted(Request::SetVolume(volume(1)));
    let first = rig.room.remembered_generation();
    assert_ne!(rig.room.stored_generation(), first);
    let full = "no space left on device".to_owned();
    rig.told(Fact::StoreFailed {
        generation: first,
        text: full.clone(),
    });
    assert_eq!(
        rig.room.stored_generation(),
        first,
        "nothing more will come"
    );
    assert_eq!(rig.room.snapshot().store_fault, Some(full));

    rig.accepted(Request::SetVolume(volume(2)));
    let second = rig.room.remembered_generation();
    rig.told(Fact::Stored { generation: first });
    assert!(
        rig.room.snapshot().store_fault.is_some(),
        "a late word about an older value"
    );
    rig.told(Fact::Stored { generation: second });
    assert_eq!(rig.room.snapshot().store_fault, None);
}

#[test]
fn a_value_that_comes_back_is_stored_again_before_it_counts_as_stored() {
    let mut rig = Rig::new();
    rig.accepted(Request::SetMicrophone(MicrophoneState::Muted));
    let muted = rig.room.remembered_generation();
    rig.accepted(Request::SetMicrophone(MicrophoneState::Open));
    rig.accepted(Request::SetMicrophone(MicrophoneState::Muted));
    let muted_again = rig.room.remembered_generation();
    // The store may be writing "open" at this moment.
    rig.told(Fact::Stored { generation: muted });
    assert!(rig.room.stored_generation() < muted_again);
    rig.told(Fact::Stored {
        generation: muted_again,
    });
    assert_eq!(rig.room.stored_generation(), muted_again);
}
