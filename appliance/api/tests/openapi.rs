//! The OpenAPI text: complete, sound in itself, and changed only on purpose.

#![allow(
    clippy::unwrap_used,
    reason = "clippy spares test functions only, not their helpers"
)]

use std::collections::BTreeSet;
use std::path::Path;

use api::{Endpoint, openapi};
use serde_json::Value;

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone());
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_endpoint_is_described_and_nothing_else() {
    let document = openapi();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods
                .map(|method| (path.clone(), method.to_uppercase()))
                .collect::<Vec<_>>()
        })
        .collect();
    let wanted = Endpoint::ALL
        .iter()
        .map(|endpoint| (endpoint.path().to_owned(), endpoint.method().to_string()))
        .collect();
    assert_eq!(described, wanted);
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = openapi();
    let mut referenced = BTreeSet::new();
    references(&document, &mut referenced);
    let defined: BTreeSet<_> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    assert_eq!(referenced, defined);
}

#[test]
fn operation_ids_differ() {
    let ids: BTreeSet<_> = Endpoint::ALL
        .map(Endpoint::operation_id)
        .into_iter()
        .collect();
    assert_eq!(ids.len(), Endpoint::ALL.len());
}

/// `openapi.json` is committed so that a change of the wire is seen in review. To renew it:
/// `RENEW_OPENAPI=1 cargo test -p api`.
#[test]
fn the_committed_description_is_the_generated_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
    if std::env::var_os("RENEW_OPENAPI").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        generated == committed,
        "run RENEW_OPENAPI=1 cargo test -p api and review the change"
    );
}
