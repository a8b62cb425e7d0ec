//! Device nodes that are not what they should be, in folders of the test's own. What drivers answer
//! is tested with real ones, in the device lab.

use std::fs;
use std::path::Path;

use proptest::prelude::{any, proptest};
use tempfile::TempDir;

use super::{Cameras, device_number, nodes_of, text};
use crate::Error;

/// A kernel's list of one device, `video0` with this number, and a folder for its device node.
fn one_device(number: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let attributes = folder.path().join("class/video0");
    fs::create_dir_all(&attributes).expect("a folder");
    fs::create_dir(folder.path().join("dev")).expect("a folder");
    fs::write(attributes.join("dev"), number).expect("an attribute");
    folder
}

fn look(folder: &Path) -> Cameras {
    let mut cameras = Cameras::default();
    for node in nodes_of(&folder.join("class"), &folder.join("dev")).expect("the list is there") {
        cameras.add(node.describe());
    }
    cameras
}

#[test]
fn a_kernel_without_video_has_no_cameras() {
    let nodes = nodes_of(Path::new("/nonexistent/video4linux"), Path::new("/dev"));
    assert_eq!(nodes.expect("no list is no error"), []);
}

#[test]
fn a_device_whose_node_is_gone_is_left_out() {
    let folder = one_device("81:0\n");
    let cameras = look(folder.path());
    assert!(
        cameras.found.is_empty() && cameras.unusable.is_empty(),
        "{cameras:?}"
    );
}

#[test]
fn a_file_in_place_of_a_device_node_is_named() {
    let folder = one_device("81:0\n");
    let path = folder.path().join("dev/video0");
    fs::write(&path, "no camera").expect("a file");
    let cameras = look(folder.path());
    assert!(
        matches!(&cameras.unusable[..], [Error::NotTheDevice { device }] if *device == path),
        "{cameras:?}"
    );
}

#[test]
fn a_device_node_of_something_else_is_asked_nothing() {
    // /dev/null is 1:3: what the kernel lists is no device of Video4Linux then.
    let folder = one_device("1:3\n");
    std::os::unix::fs::symlink("/dev/null", folder.path().join("dev/video0")).expect("a link");
    let cameras = look(folder.path());
    assert!(
        matches!(&cameras.unusable[..], [Error::NotTheDevice { .. }]),
        "{cameras:?}"
    );
}

#[test]
fn a_fifo_in_place_of_a_device_node_holds_nobody_up() {
    let folder = one_device("81:0\n");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("dev/video0"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a FIFO");
    let cameras = look(folder.path());
    assert!(
        matches!(&cameras.unusable[..], [Error::NotTheDevice { .. }]),
        "{cameras:?}"
    );
}

#[test]
fn a_number_that_is_none_is_no_device() {
    for line in [
        "",
        "81",
        "81:",
        ":0",
        "81:-1",
        "81:0:0",
        "x:y",
        "99999999999:0",
    ] {
        assert_eq!(device_number(line), None, "{line:?}");
    }
}

#[test]
fn a_name_ends_at_its_zero_byte_and_hides_no_control_characters() {
    assert_eq!(text(b"HD Webcam\0rubbish"), "HD Webcam");
    assert_eq!(text(b" A1 \n"), "A1");
    assert_eq!(text(b"a\x1b[31mb"), "a\u{fffd}[31mb");
    assert_eq!(text(&[0xff; 32]).chars().count(), 32);
}

proptest! {
    #[test]
    fn whatever_a_device_calls_itself_is_read(bytes in any::<[u8; 32]>()) {
        let text = text(&bytes);
        assert!(!text.chars().any(char::is_control));
    }
}
