//! Cameras: which ones there are, by which identity, and what they offer.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, ensure};
use hal_core::camera::PictureSize;
use hal_core::camera_offer::{
    CameraIdentity, CameraOffer, OfferedInterval, OfferedSize, Scan, SignalState, VideoInput,
};
use hal_linux::Error;
use hal_linux::camera::{FoundCamera, find, nodes};

use super::vivid;

/// The cameras, where everything that looks like one can be used.
fn all_found() -> Result<Vec<FoundCamera>> {
    let cameras = find();
    ensure!(cameras.unusable.is_empty(), "{:?}", cameras.unusable);
    Ok(cameras.found)
}

fn offers(cameras: &[FoundCamera]) -> Vec<CameraOffer> {
    cameras.iter().map(|camera| camera.offer.clone()).collect()
}

fn identity(bus: &str) -> CameraIdentity {
    CameraIdentity {
        bus: bus.into(),
        source: 0,
        serial: None,
    }
}

pub(super) fn a_webcam_and_an_hdmi_input_are_two_cameras() -> Result<()> {
    let cameras = all_found()?;
    let [webcam, hdmi] = &cameras[..] else {
        anyhow::bail!("not two cameras: {cameras:?}");
    };
    assert_eq!(webcam.offer.identity, identity("platform:vivid-000"));
    assert_eq!(hdmi.offer.identity, identity("platform:vivid-001"));
    assert_eq!(webcam.offer.input, VideoInput::Sensor);
    assert_eq!(
        hdmi.offer.input,
        VideoInput::Signal(SignalState::Present {
            size: PictureSize::HD720,
            scan: Scan::Progressive,
        })
    );
    assert_eq!(webcam.offer.name, "vivid");
    assert_ne!(webcam.node, hdmi.node);
    Ok(())
}

pub(super) fn device_nodes_that_capture_no_pictures_are_no_cameras() -> Result<()> {
    let cameras = all_found()?;
    let mut others = Vec::new();
    for entry in fs::read_dir("/sys/class/video4linux")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("name"))?;
        let name = name.trim_end();
        let node = Path::new("/dev").join(entry.file_name());
        let is_found = cameras.iter().any(|camera| camera.node == node);
        let is_camera = name.starts_with("vivid") && name.ends_with("vid-cap");
        ensure!(is_found == is_camera, "{name}: {is_found}");
        if !is_camera {
            others.push(name.to_owned());
        }
    }
    // Without these the case would say nothing.
    for kind in [
        "vid-out",
        "vbi-out",
        "sdr-cap",
        "rad-rx",
        "meta-cap",
        "touch-cap",
        "stateful-encoder",
        "stateless-decoder",
        // A pipeline's end, and a part of one.
        "Raw Capture",
        "Debayer",
    ] {
        ensure!(
            others.iter().any(|name| name.contains(kind)),
            "the kernel has no {kind}, only {others:?}"
        );
    }
    Ok(())
}

pub(super) fn formats_sizes_and_intervals_are_those_that_v4l2_ctl_lists() -> Result<()> {
    for camera in all_found()? {
        let listed = v4l2_ctl(&camera.node, "--list-formats-ext")?;
        let ours = as_v4l2_ctl_lists(&camera.offer)?;
        // Its heading and what stands in brackets are its own.
        let mut theirs = listed
            .lines()
            .skip_while(|line| !line.contains("[0]"))
            .map(|line| line.split(" (").next().unwrap_or(line).trim());
        ensure!(!camera.offer.formats.is_empty(), "no formats");
        for our_line in ours.lines() {
            let their_line = theirs.next();
            ensure!(
                their_line == Some(our_line),
                "ours: {our_line}, v4l2-ctl's: {their_line:?}"
            );
        }
        ensure!(theirs.next().is_none(), "v4l2-ctl lists more");
    }
    Ok(())
}

/// What Debian's own tool says of the device.
fn v4l2_ctl(node: &Path, argument: &str) -> Result<String> {
    let output = Command::new("/usr/bin/v4l2-ctl")
        .arg("--device")
        .arg(node)
        .arg(argument)
        .output()
        .context("cannot start v4l2-ctl")?;
    ensure!(output.status.success(), "v4l2-ctl {argument}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn as_v4l2_ctl_lists(offer: &CameraOffer) -> Result<String> {
    let mut text = String::new();
    for (number, format) in offer.formats.iter().enumerate() {
        writeln!(text, "[{number}]: '{}'", format.code)?;
        for size in &format.sizes {
            match size {
                OfferedSize::Exactly { size, intervals } => {
                    writeln!(text, "Size: Discrete {size}")?;
                    for interval in intervals {
                        let OfferedInterval::Exactly(interval) = interval else {
                            anyhow::bail!("vivid has no range of intervals: {interval:?}");
                        };
                        let seconds = interval.duration().as_secs_f64();
                        writeln!(text, "Interval: Discrete {seconds:.3}s")?;
                    }
                }
                OfferedSize::Between {
                    smallest,
                    largest,
                    step,
                } => {
                    writeln!(
                        text,
                        "Size: Stepwise {smallest} - {largest} with step {}/{}",
                        step.width, step.height
                    )?;
                }
            }
        }
    }
    Ok(text)
}

pub(super) fn a_camera_that_comes_back_under_another_number_is_the_same() -> Result<()> {
    let before = all_found()?;
    // Programs that still have the old device nodes open keep their numbers taken.
    let held = before
        .iter()
        .map(|camera| File::open(&camera.node))
        .collect::<std::io::Result<Vec<_>>>()?;
    vivid::unplug()?;
    ensure!(all_found()?.is_empty(), "cameras are left after unplugging");
    vivid::plug_in()?;
    let after = all_found()?;
    drop(held);
    ensure!(before.len() == 2, "{before:?}");
    assert_eq!(offers(&before), offers(&after));
    for (old, new) in before.iter().zip(&after) {
        ensure!(old.node != new.node, "{} has not moved", old.node.display());
    }
    Ok(())
}

pub(super) fn a_camera_that_vanishes_before_it_is_looked_at_is_gone() -> Result<()> {
    let cameras = all_found()?;
    let nodes = nodes()?;
    vivid::unplug()?;
    for camera in cameras {
        let node = nodes
            .iter()
            .find(|node| node.path() == camera.node)
            .context("the camera has a node")?;
        let described = node.describe();
        ensure!(
            matches!(&described, Err(Error::Gone { device }) if *device == camera.node),
            "{described:?}"
        );
    }
    Ok(())
}

pub(super) fn cameras_that_come_and_go_during_looks_are_whole_or_left_out() -> Result<()> {
    const ROUNDS: usize = 20;
    let whole = offers(&all_found()?);
    let (mut looks, mut seen) = (0, 0);
    let (look_ended, looks_that_ended) = mpsc::channel();
    let plugging = thread::spawn(move || -> Result<()> {
        for round in 0..ROUNDS {
            vivid::unplug()?;
            vivid::plug_in()?;
            // Every other time the cameras stay for a whole look: the second one that ends from now on.
            if round % 2 == 0 {
                looks_that_ended.try_iter().for_each(drop);
                looks_that_ended.recv()?;
                looks_that_ended.recv()?;
            }
        }
        Ok(())
    });
    while !plugging.is_finished() {
        for camera in all_found()? {
            ensure!(whole.contains(&camera.offer), "{:?}", camera.offer);
            seen += 1;
        }
        looks += 1;
        // Nobody listens after the last round.
        let _ = look_ended.send(());
    }
    plugging.join().expect("plugging does not panic")?;
    println!(
        "{looks} looks found {seen} cameras, of {} at most",
        2 * looks
    );
    ensure!(seen >= ROUNDS, "cameras that stayed were not seen");
    ensure!(seen < 2 * looks, "no camera ever went away during a look");
    assert_eq!(offers(&all_found()?), whole);
    Ok(())
}

pub(super) fn a_file_in_place_of_a_camera_s_node_is_named() -> Result<()> {
    let cameras = all_found()?;
    let [webcam, hdmi] = &cameras[..] else {
        anyhow::bail!("not two cameras: {cameras:?}");
    };
    fs::remove_file(&webcam.node)?;
    fs::write(&webcam.node, "no camera")?;
    let cameras = find();
    assert_eq!(cameras.found, std::slice::from_ref(hdmi));
    ensure!(
        matches!(&cameras.unusable[..], [Error::NotTheDevice { device }] if *device == webcam.node),
        "{:?}",
        cameras.unusable
    );
    Ok(())
}

pub(super) fn an_hdmi_signal_that_is_lost_or_useless_is_told() -> Result<()> {
    let webcam_and_hdmi = all_found()?;
    let node = &webcam_and_hdmi.last().context("no camera")?.node;
    let present = SignalState::Present {
        size: PictureSize::HD720,
        scan: Scan::Progressive,
    };
    // The driver's control of what its receiver sees.
    for (mode, state) in [
        (1, SignalState::Absent),
        (2, SignalState::Unstable),
        (3, SignalState::Unsupported),
        (0, present),
    ] {
        v4l2_ctl(node, &format!("--set-ctrl=dv_timings_signal_mode={mode}"))?;
        let inputs: Vec<VideoInput> = all_found()?
            .iter()
            .map(|camera| camera.offer.input)
            .collect();
        assert_eq!(inputs, [VideoInput::Sensor, VideoInput::Signal(state)]);
    }
    Ok(())
}
