//! The machine alone, in virtual time.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::interval::MAX_EXPIRES;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    now: Instant,
    rng: ChaCha8Rng,
    registration: Registration,
}

impl Bench {
    fn new() -> Self {
        Self {
            now: Instant::now(),
            rng: ChaCha8Rng::seed_from_u64(1),
            registration: Registration::new(HOUR, BackOff::default()),
        }
    }

    fn registering() -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.registration.register(), Some(Send::ours(3600)));
        bench
    }

    fn registered_for(time: Duration) -> Self {
        let mut bench = Self::registering();
        bench.answer(Answer::Granted { expires: 3600 });
        bench.now += time;
        bench
    }

    fn answer(&mut self, answer: Answer) -> Option<Send> {
        let others = OtherFlows::Failed;
        self.registration
            .answered(self.now, answer, others, &mut self.rng)
    }

    fn fail(&mut self, failure: RegistrationFailure) {
        self.answer(Answer::failed(failure));
    }

    fn refused(&mut self, status: StatusCode) {
        self.fail(RegistrationFailure::Refused(status));
    }

    fn lose_flow(&mut self) {
        self.registration
            .flow_lost(self.now, OtherFlows::Failed, &mut self.rng);
    }

    /// Moves to the next deadline; returns the wait and what is to be sent.
    fn wait(&mut self) -> (Duration, Option<Send>) {
        let at = self.registration.deadline().unwrap();
        let waited = at - self.now;
        self.now = at;
        (waited, self.registration.handle_timeout(at))
    }

    fn waits_between(&mut self, from: u64, to: u64) {
        let (waited, send) = self.wait();
        let range = Duration::from_secs(from)..=Duration::from_secs(to);
        assert!(range.contains(&waited), "{waited:?} in {range:?}");
        assert_eq!(send, Some(Send::ours(3600)));
    }
}

#[test]
fn a_granted_registration_is_refreshed_before_it_expires_and_never_at_the_same_part_of_it() {
    let mut bench = Bench::registering();
    let mut waits = Vec::new();
    for _ in 0..50 {
        bench.answer(Answer::Granted { expires: 1000 });
        assert_eq!(bench.registration.state(), RegistrationState::Registered);
        let (waited, send) = bench.wait();
        assert_eq!(send, Some(Send::ours(3600)));
        assert_eq!(bench.registration.state(), RegistrationState::Registered);
        waits.push(waited.as_secs());
    }
    assert!(
        waits.iter().all(|wait| (700..=850).contains(wait)),
        "{waits:?}"
    );
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 30, "{waits:?}");
}

#[test]
fn what_the_registrar_grants_is_believed_within_reason() {
    for (granted, from, to) in [
        (60, 42, 51),
        (10, 7, 9),
        // Refreshed in time even so.
        (3, 2, 3),
        (0, 1, 2),
        // Never longer than we have asked for.
        (u32::MAX, 2520, 3060),
    ] {
        let mut bench = Bench::registering();
        bench.answer(Answer::Granted { expires: granted });
        bench.waits_between(from, to);
    }
}

#[test]
fn asking_again_changes_nothing_while_it_stands_or_is_under_way() {
    let mut bench = Bench::registering();
    assert_eq!(bench.registration.register(), None);
    bench.answer(Answer::Granted { expires: 600 });
    assert_eq!(bench.registration.register(), None);
}

#[test]
fn a_registrar_that_finds_the_interval_too_brief_gets_what_it_wants_but_no_loop() {
    let mut bench = Bench::registering();
    let again = bench.answer(Answer::TooBrief { min_expires: 7200 });
    assert_eq!(again, Some(Send::ours(7200)));
    assert_eq!(bench.answer(Answer::TooBrief { min_expires: 7200 }), None);
    assert_eq!(
        bench.registration.state(),
        RegistrationState::BackingOff(RegistrationFailure::Refused(StatusCode::INTERVAL_TOO_BRIEF))
    );
}

#[test]
fn a_registrar_that_wants_more_than_a_day_is_offered_a_day_and_then_left_alone_for_a_while() {
    let mut bench = Bench::registering();
    let day = Some(Send::ours(MAX_EXPIRES));
    let more = u32::MAX;
    assert_eq!(bench.answer(Answer::TooBrief { min_expires: more }), day);
    for (from, to) in [(30, 60), (60, 120), (120, 240)] {
        assert_eq!(bench.answer(Answer::TooBrief { min_expires: more }), None);
        let (waited, send) = bench.wait();
        let range = Duration::from_secs(from)..=Duration::from_secs(to);
        assert!(range.contains(&waited), "{waited:?} in {range:?}");
        assert_eq!(send, day);
    }
}

#[test]
fn a_registrar_that_wants_ever_more_gets_it_once_in_each_attempt() {
    let mut bench = Bench::registering();
    for min_expires in (3_601..4_000).step_by(2) {
        let again = bench.answer(Answer::TooBrief { min_expires });
        assert_eq!(again, Some(Send::ours(min_expires)));
        let min_expires = min_expires + 1;
        assert_eq!(bench.answer(Answer::TooBrief { min_expires }), None);
        assert_eq!(bench.wait().1, Some(Send::ours(min_expires)));
    }
}

#[test]
fn failures_are_retried_with_growing_random_waits_up_to_a_limit() {
    let mut bench = Bench::registering();
    for (from, to) in [(30, 60), (60, 120), (120, 240), (240, 480), (480, 960)] {
        bench.fail(RegistrationFailure::Timeout);
        bench.waits_between(from, to);
    }
    for _ in 0..5 {
        bench.fail(RegistrationFailure::Transport);
        bench.waits_between(900, 1800);
    }
}

#[test]
fn a_registrar_that_names_a_time_is_not_asked_before() {
    let mut bench = Bench::registering();
    bench.answer(Answer::Failed {
        failure: RegistrationFailure::Refused(StatusCode::SERVICE_UNAVAILABLE),
        retry_after: Some(Duration::from_secs(500)),
    });
    bench.waits_between(500, 550);
}

#[test]
fn the_loss_of_the_last_flow_hurries_nobody_whom_the_registrar_has_put_off() {
    let while_another_works = |retry_after| {
        let mut bench = Bench::registering();
        let answer = Answer::Failed {
            failure: RegistrationFailure::Refused(StatusCode::SERVICE_UNAVAILABLE),
            retry_after,
        };
        bench
            .registration
            .answered(bench.now, answer, OtherFlows::Work, &mut bench.rng);
        bench
            .registration
            .last_flow_failed(bench.now, &mut bench.rng);
        bench
    };
    while_another_works(None).waits_between(30, 60);
    while_another_works(Some(Duration::from_secs(500))).waits_between(500, 550);
}

#[test]
fn repeated_refusals_of_the_credentials_lock_until_it_is_asked_for_again() {
    let mut bench = Bench::registering();
    for _ in 1..REFUSALS_UNTIL_LOCKED {
        bench.refused(StatusCode::UNAUTHORIZED);
        bench.wait();
    }
    bench.refused(StatusCode::UNAUTHORIZED);
    assert_eq!(
        bench.registration.state(),
        RegistrationState::Locked(StatusCode::UNAUTHORIZED)
    );
    assert_eq!(bench.registration.deadline(), None);
    assert_eq!(bench.registration.register(), Some(Send::ours(3600)));
}

#[test]
fn what_is_forbidden_is_not_asked_for_a_second_time() {
    let mut bench = Bench::registered_for(HOUR / 2);
    bench.wait();
    bench.refused(StatusCode::FORBIDDEN);
    let locked = RegistrationState::Locked(StatusCode::FORBIDDEN);
    assert_eq!(bench.registration.state(), locked);
    assert_eq!(bench.registration.deadline(), None);
}

#[test]
fn refusals_of_other_flows_count_as_well() {
    let mut bench = Bench::registering();
    bench.refused(StatusCode::UNAUTHORIZED);
    bench
        .registration
        .refused_elsewhere(StatusCode::SERVICE_UNAVAILABLE);
    bench
        .registration
        .refused_elsewhere(StatusCode::UNAUTHORIZED);
    let back_off = RegistrationFailure::Refused(StatusCode::UNAUTHORIZED);
    let state = RegistrationState::BackingOff(back_off);
    assert_eq!(bench.registration.state(), state);
    bench
        .registration
        .refused_elsewhere(StatusCode::UNAUTHORIZED);
    let locked = RegistrationState::Locked(StatusCode::UNAUTHORIZED);
    assert_eq!(bench.registration.state(), locked);
}

#[test]
fn other_failures_between_refusals_do_not_lock() {
    let mut bench = Bench::registering();
    for _ in 0..6 {
        bench.refused(StatusCode::UNAUTHORIZED);
        bench.wait();
        bench.refused(StatusCode::SERVICE_UNAVAILABLE);
        bench.wait();
    }
    assert_eq!(bench.registration.state(), RegistrationState::Registering);
}

#[test]
fn a_good_flow_that_is_lost_is_replaced_soon() {
    let mut bench = Bench::registered_for(PROVEN_AFTER);
    bench.lose_flow();
    bench.waits_between(0, FLOW_LOST_SPREAD.as_secs());
    // A refresh that shows it is the same.
    let mut bench = Bench::registered_for(PROVEN_AFTER);
    bench.wait();
    bench.fail(RegistrationFailure::Timeout);
    bench.waits_between(0, FLOW_LOST_SPREAD.as_secs());
    bench.fail(RegistrationFailure::Timeout);
    bench.waits_between(30, 60);
}

#[test]
fn a_registrar_that_lets_go_what_it_has_granted_is_asked_ever_more_seldom() {
    let mut bench = Bench::registering();
    for (from, to) in [(30, 60), (60, 120), (120, 240)] {
        bench.answer(Answer::Granted { expires: 3600 });
        bench.lose_flow();
        bench.waits_between(from, to);
    }
}

#[test]
fn deregistration_takes_back_only_what_may_exist() {
    let mut bench = Bench::new();
    assert_eq!(bench.registration.deregister(bench.now), None);
    let mut bench = Bench::registering();
    assert_eq!(
        bench.registration.deregister(bench.now),
        Some(Send::ours(0))
    );
    bench.fail(RegistrationFailure::Timeout);
    assert_eq!(bench.registration.state(), RegistrationState::Unregistered);
}

#[test]
fn a_binding_that_could_not_be_refreshed_is_taken_back_until_it_has_expired() {
    for (waited, send) in [(Duration::ZERO, Some(Send::ours(0))), (HOUR, None)] {
        let mut bench = Bench::registered_for(HOUR / 2);
        bench.wait();
        bench.refused(StatusCode::SERVICE_UNAVAILABLE);
        bench.now += waited;
        assert_eq!(bench.registration.deregister(bench.now), send, "{waited:?}");
    }
}

fn outcome() -> impl Strategy<Value = Answer> {
    let refused = select(vec![301, 400, 408, 420, 423, 480, 500, 503, 504, 600]).prop_map(|code| {
        let status = StatusCode::new(code).expect("a status");
        RegistrationFailure::Refused(status)
    });
    let failure = prop_oneof![
        refused,
        Just(RegistrationFailure::Timeout),
        Just(RegistrationFailure::Transport),
        Just(RegistrationFailure::ServerUnproven),
    ];
    prop_oneof![
        (60..4_000_u32).prop_map(|expires| Answer::Granted { expires }),
        any::<u32>().prop_map(|min_expires| Answer::TooBrief { min_expires }),
        (failure, option::of(0..5_000_u64)).prop_map(|(failure, seconds)| Answer::Failed {
            failure,
            retry_after: seconds.map(Duration::from_secs),
        }),
    ]
}

/// How often a registrar is asked that answers so and lets go its flow, and for how long that goes on.
fn asked(
    outcomes: impl IntoIterator<Item = (Answer, bool)>,
) -> Result<(u64, Duration), TestCaseError> {
    let mut bench = Bench::registering();
    let began = bench.now;
    let mut asked = 1;
    for (answer, flow_breaks) in outcomes {
        let mut again = bench.answer(answer);
        if again.is_none() && flow_breaks {
            bench.lose_flow();
        }
        if again.is_none() {
            again = bench.wait().1;
        }
        let state = bench.registration.state();
        prop_assert!(again.is_some(), "it goes on for ever: {state:?}");
        asked += 1;
    }
    Ok((asked, bench.now - began))
}

proptest! {
    /// Whatever a registrar answers, and whenever it lets a flow go.
    #[test]
    fn no_registrar_is_asked_more_often_than_it_grants(
        outcomes in vec((outcome(), any::<bool>()), 1..200),
    ) {
        let (asked, time) = asked(outcomes)?;
        // Half a minute lies between two, but for one more after each good minute, and for the
        // few by which an interval that is too brief is raised.
        let minutes = time.as_secs() / 60;
        let most = 4 * minutes + 24;
        prop_assert!(asked <= most, "{} in {} min", asked, minutes);
    }

    /// Long waits of other kinds hide nothing here.
    #[test]
    fn a_registrar_that_finds_every_interval_too_brief_is_asked_twice_in_each_attempt(
        intervals in vec(any::<u32>(), 1..200),
        most in prop_oneof![Just(u32::MAX), 3_000..100_000_u32],
    ) {
        let too_brief = |interval| (Answer::TooBrief { min_expires: interval % most }, false);
        let (asked, time) = asked(intervals.into_iter().map(too_brief))?;
        // The first waits are 30 s at least, and none is shorter than that before it.
        let most = 2 * (time.as_secs() / 30 + 1);
        prop_assert!(asked <= most, "{} in {:?}", asked, time);
    }
}
