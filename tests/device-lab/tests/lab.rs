//! The lab itself: whatever goes wrong in it, the test fails, says why, and comes to an end.

use std::path::Path;
use std::time::Duration;

use device_lab::Lab;

fn lab() -> Lab {
    Lab::new(Path::new(env!("CARGO_BIN_EXE_device-lab-guest"))).expect("there is a kernel")
}

fn error_of(lab: &Lab, case: &str) -> String {
    let error = lab.run(case).expect_err("the case must not pass");
    error.to_string()
}

#[test]
fn a_case_that_fails_says_why() {
    let error = error_of(&lab(), "a_case_that_fails");
    assert!(error.starts_with("`a_case_that_fails` failed"), "{error}");
    assert!(error.contains("it has a reason"), "{error}");
}

#[test]
fn a_case_that_panics_says_why_and_the_machine_goes_off() {
    let error = error_of(&lab(), "a_case_that_panics");
    assert!(error.starts_with("`a_case_that_panics` failed"), "{error}");
    assert!(error.contains("it has a reason"), "{error}");
    assert!(error.contains("Power down"), "{error}");
}

#[test]
fn a_case_that_never_ends_is_ended() {
    let error = error_of(
        &lab().within(Duration::from_secs(1)),
        "a_case_that_never_ends",
    );
    assert!(error.contains("took more than 1s"), "{error}");
}

#[test]
fn a_kernel_that_dies_is_no_passed_case() {
    let error = error_of(&lab(), "a_case_that_kills_the_kernel");
    assert!(error.contains("went down before"), "{error}");
}

#[test]
fn a_case_that_there_is_not_fails() {
    let error = error_of(&lab(), "no_such_case");
    assert!(error.contains("there is no case `no_such_case`"), "{error}");
}
