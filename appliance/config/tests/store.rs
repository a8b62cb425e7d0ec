//! Loading and saving on a real file system, also on a full one.

#![allow(
    clippy::unwrap_used,
    reason = "clippy spares test functions only, not their helpers"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use config::{ConfigError, Origin, Store, WriteStep};

const GOOD: &str = "version = 1 # the one and only\n[room]\nname = \"A\"\n";

fn store(directory: &Path) -> Store {
    Store::new(
        directory.join("roomd.toml"),
        directory.join("last-good.toml"),
    )
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_good_file_is_used_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    fs::write(store.file(), GOOD).unwrap();
    let loaded = store.load_or_last_good().unwrap();
    assert_eq!(loaded.config.room.name, "A");
    assert!(matches!(loaded.origin, Origin::File { not_kept: None }));
    assert_eq!(
        fs::read_to_string(directory.path().join("last-good.toml")).unwrap(),
        GOOD
    );
}

#[test]
fn a_bad_file_gives_way_to_the_last_good_one_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    fs::write(store.file(), GOOD).unwrap();
    store.load_or_last_good().unwrap();
    for bad in [
        "version = 1\n[room]\nnam = \"B\"\n",
        "version = 1\n\u{0}",
        "",
    ] {
        fs::write(store.file(), bad).unwrap();
        let loaded = store.load_or_last_good().unwrap();
        assert_eq!(loaded.config.room.name, "A");
        let Origin::LastGood { because } = loaded.origin else {
            panic!("took the bad file")
        };
        assert!(matches!(because, ConfigError::Invalid { .. }));
        assert_eq!(
            fs::read_to_string(store.file()).unwrap(),
            bad,
            "the bad file is not touched"
        );
    }
    fs::remove_file(store.file()).unwrap();
    let loaded = store.load_or_last_good().unwrap();
    assert!(matches!(
        loaded.origin,
        Origin::LastGood {
            because: ConfigError::Read { .. }
        }
    ));
}

#[test]
fn without_any_good_file_the_error_is_that_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    assert!(matches!(
        store.load_or_last_good(),
        Err(ConfigError::Read { .. })
    ));
    fs::write(store.file(), [0xff, 0xfe]).unwrap();
    assert!(matches!(
        store.load_or_last_good(),
        Err(ConfigError::Read { .. })
    ));
}

#[test]
fn a_copy_that_cannot_be_kept_does_not_stop_the_room() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(
        directory.path().join("roomd.toml"),
        directory.path().join("absent/copy.toml"),
    );
    fs::write(store.file(), GOOD).unwrap();
    let loaded = store.load_or_last_good().unwrap();
    let Origin::File {
        not_kept: Some(error),
    } = loaded.origin
    else {
        panic!("kept it")
    };
    assert!(matches!(
        error,
        ConfigError::Write {
            step: WriteStep::Create,
            ..
        }
    ));
}

#[test]
fn saving_keeps_comments_and_mode_and_leaves_no_other_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    fs::write(store.file(), GOOD).unwrap();
    fs::set_permissions(store.file(), Permissions::from_mode(0o604)).unwrap();
    let text = GOOD.replace("\"A\"", "\"B\"");
    assert_eq!(store.save(&text).unwrap().room.name, "B");
    assert_eq!(fs::read_to_string(store.file()).unwrap(), text);
    assert_eq!(fs::metadata(store.file()).unwrap().mode() & 0o777, 0o604);
    assert_eq!(names(directory.path()), ["roomd.toml"]);
}

#[test]
fn a_bad_text_is_not_saved() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    fs::write(store.file(), GOOD).unwrap();
    assert!(matches!(
        store.save("version = 3\n"),
        Err(ConfigError::Invalid { .. })
    ));
    assert_eq!(fs::read_to_string(store.file()).unwrap(), GOOD);
}

#[test]
fn a_planted_link_in_the_temporary_files_place_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let victim = directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, directory.path().join(".roomd.toml.new")).unwrap();
    store.save(GOOD).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_to_string(store.file()).unwrap(), GOOD);
}

/// Set for the process of the test below that may not write more than a block.
const LIMITED: &str = "CONFIG_TEST_LIMITED_DIRECTORY";

#[test]
fn a_write_that_finds_no_room_leaves_the_old_file_and_nothing_else() {
    if let Some(directory) = std::env::var_os(LIMITED) {
        let store = store(Path::new(&directory));
        let long = format!("{GOOD}#{}\n", "x".repeat(100_000));
        let error = store.save(&long).expect_err("there is no room");
        assert!(
            matches!(
                error,
                ConfigError::Write {
                    step: WriteStep::Write,
                    ..
                }
            ),
            "{error}"
        );
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("roomd.toml"), GOOD).unwrap();
    // With XFSZ ignored, a write beyond the limit fails as one to a full disk does.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_write_that_finds_no_room_leaves_the_old_file_and_nothing_else",
        ])
        .env(LIMITED, directory.path())
        .output()
        .unwrap();
    assert!(
        limited.status.success(),
        "{}",
        String::from_utf8_lossy(&limited.stdout)
    );
    assert_eq!(
        fs::read_to_string(directory.path().join("roomd.toml")).unwrap(),
        GOOD
    );
    assert_eq!(names(directory.path()), ["roomd.toml"]);
}
