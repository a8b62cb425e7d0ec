//! The owner's page about the configuration names every key, and no other.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::collections::BTreeSet;
use std::path::Path;

/// The keys of each table, as `table.key`.
type Keys = BTreeSet<String>;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What the page lists: rows of tables below headings such as ``## `[sip]` ``.
fn documented() -> Keys {
    let page = read("../../docs/configuration.md");
    let mut table = String::new();
    let mut keys = Keys::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## `") {
            table = heading.trim_matches(['`', '[', ']']).to_owned();
        } else if let Some(row) = line.strip_prefix("| `") {
            let key = row.split('`').next().unwrap();
            keys.insert(format!("{table}.{key}"));
        }
    }
    keys
}

/// What the file may hold: the wire types, whose tables are named as they are.
fn known() -> Keys {
    let source = read("src/v1/file.rs");
    let mut table = String::new();
    let mut keys = Keys::new();
    let tables = source.split_once("table!(").unwrap().1;
    for line in tables.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix("/// `[") {
            table = heading.trim_matches(['`', '[', ']']).to_owned();
        } else if let Some((key, _)) = line.strip_suffix(',').and_then(|it| it.split_once(": "))
            && !line.starts_with("///")
        {
            keys.insert(format!("{table}.{key}"));
        }
    }
    keys
}

#[test]
fn the_owners_page_names_every_key_and_no_other() {
    let known = known();
    assert!(known.contains("sip.listen_udp") && known.contains("account.name"));
    assert!(known.len() > 40, "{known:?}");
    assert_eq!(documented(), known);
}
