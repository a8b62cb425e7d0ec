//! What is tested in the lab. Each case has the kernel and its devices for itself.

mod cameras;
mod failing;
mod host;
mod vivid;

use anyhow::Result;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The name of the test that runs it.
    pub name: &'static str,
    /// Runs inside the lab.
    pub(crate) run: fn() -> Result<()>,
}

/// Names each function as a case.
macro_rules! cases {
    ($($module:ident: $($function:ident),+;)+) => {
        &[$($(Case { name: stringify!($function), run: $module::$function }),+),+]
    };
}

/// All cases that have to pass.
pub const ALL: &[Case] = cases![
    cameras:
        a_webcam_and_an_hdmi_input_are_two_cameras,
        device_nodes_that_capture_no_pictures_are_no_cameras,
        formats_sizes_and_intervals_are_those_that_v4l2_ctl_lists,
        a_camera_that_comes_back_under_another_number_is_the_same,
        a_camera_that_vanishes_before_it_is_looked_at_is_gone,
        cameras_that_come_and_go_during_looks_are_whole_or_left_out,
        a_file_in_place_of_a_camera_s_node_is_named,
        an_hdmi_signal_that_is_lost_or_useless_is_told;
    host:
        the_host_s_files_cannot_be_written;
];

/// Cases that have to fail.
const FAILING: &[Case] = cases![
    failing:
        a_case_that_fails,
        a_case_that_panics,
        a_case_that_never_ends,
        a_case_that_kills_the_kernel;
];

/// The case of that name.
#[must_use]
pub(crate) fn named(name: &str) -> Option<Case> {
    let mut all = ALL.iter().chain(FAILING);
    all.find(|case| case.name == name).copied()
}
