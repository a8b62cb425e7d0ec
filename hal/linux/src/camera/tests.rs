//! Device nodes that are not what they should be, in folders of the test's own. What drivers answer
//! is tested with real ones, in the device lab.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hal_core::camera_offer::CameraIdentity;
use proptest::prelude::{any, proptest};
use tempfile::TempDir;

use super::{Cameras, capture_type, device_number, nodes_of, text};
use crate::Error;
use crate::v4l2::{self, Capability, capabilities};

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
fn what_captures_pictures_by_itself_is_a_camera_and_a_codec_is_none() {
    use capabilities::{DEVICE, VIDEO_CAPTURE, VIDEO_CAPTURE_MULTIPLANAR};
    let of = |all, device| {
        let mut capability = Capability::default();
        (capability.all, capability.device) = (all, device);
        capture_type(&capability)
    };
    assert_eq!(of(VIDEO_CAPTURE, 0), Some(v4l2::CAPTURE));
    let multiplanar = of(DEVICE, VIDEO_CAPTURE_MULTIPLANAR);
    assert_eq!(multiplanar, Some(v4l2::CAPTURE_MULTIPLANAR));
    // What other nodes of the device do is not what this one does.
    assert_eq!(of(DEVICE | VIDEO_CAPTURE, 0), None);
    // V4L2_CAP_VIDEO_M2M and V4L2_CAP_VIDEO_M2M_MPLANE.
    for codec in [0x8000, 0x4000] {
        assert_eq!(of(DEVICE, VIDEO_CAPTURE | codec), None);
    }
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
fn devices_without_pictures_are_not_even_opened() {
    let folder = one_device("81:0\n");
    let class = folder.path().join("class");
    fs::rename(class.join("video0"), class.join("radio0")).expect("it is there");
    fs::write(folder.path().join("dev/radio0"), "no device").expect("a file");
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
    symlink("/dev/null", folder.path().join("dev/video0")).expect("a link");
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

/// A device node that belongs to the interface `1-2:1.0` of a device on the bus of that name.
fn node_of_a_device_on(folder: &Path, bus: &str) -> super::Node {
    let interface = folder.join("devices/1-2/1-2:1.0");
    fs::create_dir_all(&interface).expect("a folder");
    fs::create_dir_all(folder.join("bus").join(bus)).expect("a folder");
    symlink(folder.join("bus").join(bus), interface.join("subsystem")).expect("a link");
    let attributes = folder.join("class/video0");
    symlink(&interface, attributes.join("device")).expect("a link");
    fs::write(attributes.join("index"), "2\n").expect("an attribute");
    let nodes = nodes_of(&folder.join("class"), &folder.join("dev")).expect("the list is there");
    nodes.into_iter().next().expect("one device")
}

fn capability_with_bus(bus: &[u8]) -> Capability {
    let mut capability = Capability::default();
    capability.bus_info[..bus.len()].copy_from_slice(bus);
    capability
}

#[test]
fn a_usb_camera_is_known_by_its_port_its_node_and_its_serial_number() {
    let folder = one_device("81:0\n");
    let node = node_of_a_device_on(folder.path(), "usb");
    let capability = capability_with_bus(b"usb-0000:00:14.0-2");
    let mut expected = CameraIdentity {
        bus: "usb-0000:00:14.0-2".into(),
        source: 2,
        serial: None,
    };
    assert_eq!(node.identity(&capability).expect("it is read"), expected);
    fs::write(folder.path().join("devices/1-2/serial"), "AB 12\x07\n").expect("an attribute");
    expected.serial = Some("AB 12\u{fffd}".into());
    assert_eq!(node.identity(&capability).expect("it is read"), expected);
}

#[test]
fn a_file_named_serial_beside_what_is_no_usb_device_is_no_serial_number() {
    let folder = one_device("81:0\n");
    let node = node_of_a_device_on(folder.path(), "platform");
    fs::write(folder.path().join("devices/1-2/serial"), "7").expect("an attribute");
    let identity = node
        .identity(&capability_with_bus(b""))
        .expect("it is read");
    assert_eq!(identity.serial, None);
    // Its driver says nothing of its place: then the kernel's name for it is taken.
    assert_eq!(identity.bus, "1-2:1.0");
}

#[test]
fn a_device_that_goes_away_while_its_attributes_are_read_is_gone() {
    let folder = one_device("81:0\n");
    let node = node_of_a_device_on(folder.path(), "usb");
    fs::remove_dir_all(folder.path().join("devices")).expect("it was there");
    let identity = node.identity(&capability_with_bus(b""));
    assert!(matches!(&identity, Err(Error::Gone { .. })), "{identity:?}");
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
