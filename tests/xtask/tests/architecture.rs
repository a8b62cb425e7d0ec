//! Who may import whom, checked against what Cargo says about the workspace.
//!
//! The product's crates form layers in which siblings never see each other; only `roomd` and the
//! tests wire them. A dependency that is not allowed here is a change of architecture: change
//! ARCHITECTURE.md with it, or do without.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What one crate of ours may import of ours, in its product code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowed {
    /// These crates and no others.
    Only(&'static [&'static str]),
    /// All of `appliance` and `hal` except these.
    WholeProductExcept(&'static [&'static str]),
    /// Anything: a crate under `tests`.
    Anything,
}

/// The rules by crate name. A crate that is not named here may not exist: its place in the house
/// has to be decided first.
fn allowed(name: &str) -> Option<Allowed> {
    Some(match name {
        "room" | "congestion" | "acoustics" | "api" | "hal-core" | "panel-link" => {
            Allowed::Only(&[])
        }
        "sip" | "config" | "invite" => Allowed::Only(&["room"]),
        "webrtc" => Allowed::Only(&["room", "congestion"]),
        "media" => Allowed::Only(&["room", "acoustics"]),
        "hal-linux" => Allowed::Only(&["hal-core"]),
        "panel" => Allowed::Only(&["panel-link"]),
        "roomctl" => Allowed::Only(&["api"]),
        "fleet" => Allowed::Only(&["api", "config"]),
        "roomd" => Allowed::WholeProductExcept(&["roomctl", "fleet"]),
        "netem" | "sim" | "system" | "bench" | "device-lab" | "xtask" => Allowed::Anything,
        _ => return None,
    })
}

/// Crates that any crate's tests may use: the seeded network, which knows nothing of ours.
const DEVELOPMENT_ONLY: &[&str] = &["netem"];

/// One import of one crate of ours by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Import<'a> {
    importer: &'a str,
    imported: &'a str,
    kind: DependencyKind,
    /// Whether the imported crate lies under `tests`.
    imports_a_test_crate: bool,
}

/// What is wrong with the import, if anything.
fn objection(import: Import<'_>) -> Option<String> {
    let Import {
        importer,
        imported,
        kind,
        imports_a_test_crate,
    } = import;
    let Some(allowed) = allowed(importer) else {
        return Some(format!(
            "`{importer}` has no place in the rules of this test"
        ));
    };
    if kind == DependencyKind::Development && DEVELOPMENT_ONLY.contains(&imported) {
        return None;
    }
    let fits = match allowed {
        Allowed::Only(names) => names.contains(&imported),
        Allowed::WholeProductExcept(names) => !imports_a_test_crate && !names.contains(&imported),
        Allowed::Anything => true,
    };
    (!fits).then(|| format!("`{importer}` may not import `{imported}` ({kind:?} dependency)"))
}

/// All objections to the imports between the workspace's own crates.
fn objections(metadata: &Metadata) -> Vec<String> {
    let folders: BTreeMap<&str, bool> = metadata
        .workspace_packages()
        .iter()
        .map(|package| {
            let folder = package.manifest_path.strip_prefix(&metadata.workspace_root);
            (
                package.name.as_str(),
                folder.is_ok_and(|folder| folder.starts_with("tests")),
            )
        })
        .collect();
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        if allowed(&package.name).is_none() {
            found.push(format!(
                "`{}` has no place in the rules of this test",
                package.name
            ));
        }
        // A dependency without a path comes from a registry, whatever its name.
        for dependency in package.dependencies.iter().filter(|it| it.path.is_some()) {
            found.extend(objection(Import {
                importer: &package.name,
                imported: &dependency.name,
                kind: dependency.kind,
                imports_a_test_crate: *folders.get(dependency.name.as_str()).unwrap_or(&false),
            }));
        }
    }
    found
}

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace")
}

#[test]
fn every_import_between_our_crates_is_allowed() {
    let objections = objections(&workspace());
    assert!(objections.is_empty(), "\n{}", objections.join("\n"));
}

#[test]
fn xtask_imports_no_crate_of_ours_but_the_api_s_words() {
    let metadata = workspace();
    let xtask = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == "xtask");
    let ours: Vec<&str> = xtask
        .expect("xtask is in the workspace")
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some())
        .map(|dependency| dependency.name.as_str())
        .collect();
    // The demo reads snapshots by the API's own types; those need nothing that is installed.
    assert_eq!(ours, ["api"], "xtask is built before anything is installed");
}

fn import(importer: &'static str, imported: &'static str, kind: DependencyKind) -> Import<'static> {
    let imports_a_test_crate = allowed(imported) == Some(Allowed::Anything);
    Import {
        importer,
        imported,
        kind,
        imports_a_test_crate,
    }
}

#[test]
fn imports_that_break_the_layers_are_objected_to() {
    let cases = [
        ("sip", "media", DependencyKind::Normal),
        ("media", "sip", DependencyKind::Normal),
        ("room", "sip", DependencyKind::Normal),
        ("api", "room", DependencyKind::Normal),
        ("roomctl", "roomd", DependencyKind::Normal),
        ("roomd", "roomctl", DependencyKind::Normal),
        ("roomd", "netem", DependencyKind::Normal),
        ("sip", "netem", DependencyKind::Normal),
        ("sip", "netem", DependencyKind::Build),
        ("sip", "sim", DependencyKind::Development),
        ("room", "sip", DependencyKind::Development),
        ("hal-core", "room", DependencyKind::Build),
    ];
    for (importer, imported, kind) in cases {
        assert!(
            objection(import(importer, imported, kind)).is_some(),
            "{importer} -> {imported} ({kind:?}) went unnoticed"
        );
    }
}

#[test]
fn imports_along_the_layers_are_allowed() {
    let cases = [
        ("sip", "room", DependencyKind::Normal),
        ("sip", "netem", DependencyKind::Development),
        ("media", "acoustics", DependencyKind::Normal),
        ("roomd", "sip", DependencyKind::Normal),
        ("roomd", "hal-core", DependencyKind::Normal),
        ("roomctl", "api", DependencyKind::Normal),
        ("system", "roomd", DependencyKind::Normal),
    ];
    for (importer, imported, kind) in cases {
        assert_eq!(objection(import(importer, imported, kind)), None);
    }
}

#[test]
fn a_crate_without_a_place_in_the_house_is_objected_to() {
    assert!(objection(import("helpers", "room", DependencyKind::Normal)).is_some());
}
