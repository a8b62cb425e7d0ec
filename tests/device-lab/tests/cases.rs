//! Each test boots the device lab and runs the case of its name there.

use std::path::Path;

use anyhow::Result;
use device_lab::{Lab, cases};

fn run(case: &str) -> Result<()> {
    Lab::new(Path::new(env!("CARGO_BIN_EXE_device-lab-guest")))?.run(case)
}

/// A test for each case.
macro_rules! in_the_lab {
    ($($case:ident,)+) => {
        $(
            #[test]
            fn $case() -> Result<()> {
                run(stringify!($case))
            }
        )+

        const TESTED: &[&str] = &[$(stringify!($case)),+];
    };
}

in_the_lab! {
    a_webcam_and_an_hdmi_input_are_two_cameras,
    device_nodes_that_capture_no_pictures_are_no_cameras,
    formats_sizes_and_intervals_are_those_that_v4l2_ctl_lists,
    a_camera_that_comes_back_under_another_number_is_the_same,
    a_camera_that_vanishes_before_it_is_looked_at_is_gone,
    cameras_that_come_and_go_during_looks_are_whole_or_left_out,
    a_file_in_place_of_a_camera_s_node_is_named,
    an_hdmi_signal_that_is_lost_or_useless_is_told,
    the_host_s_files_cannot_be_written,
}

#[test]
fn every_case_has_a_test() {
    let cases: Vec<&str> = cases::ALL.iter().map(|case| case.name).collect();
    assert_eq!(cases, TESTED);
}
