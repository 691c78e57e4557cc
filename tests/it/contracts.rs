//! Every exchange in `fixtures/` against the provider's own description of its API: what we ask, it takes; what it is said
//! to answer, it could answer.
//!
//! Every request that a tool, block or identity hook really sends in the tests is covered too: `integrations.rs` answers
//! only requests that stand in a fixture, compares path, query and body whole, and fails on any other.
//!
//! The descriptions are the providers' files and no part of this repository. They are looked for in `$CONTRACTS_DIR`, else
//! `../shared/contracts`; where they are absent the test says so and passes, in CI too.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::harness::fixtures::{self, Exchange, Request};
use crate::harness::openapi::Description;

/// The folder in `fixtures/` and the descriptions of the provider that answers there.
const DESCRIPTIONS: &[(&str, &[&str])] = &[
    ("github", &["github/rest.json"]),
    ("hubspot", &["hubspot/api.json"]),
];

/// What no description covers: the folder, how the path begins, and why.
const OUTSIDE: &[(&str, &str, &str)] = &[(
    "github",
    "/_download/",
    "the storage host that job logs redirect to; GitHub does not describe it",
)];

/// The part of a case that matters here.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    upstream: Vec<Exchange>,
}

fn folder() -> PathBuf {
    std::env::var_os("CONTRACTS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts"),
        PathBuf::from,
    )
}

fn outside(integration: &str, request: &Request) -> bool {
    OUTSIDE
        .iter()
        .any(|(folder, start, _)| *folder == integration && request.path.starts_with(start))
}

#[test]
fn every_exchange_is_one_the_provider_describes() {
    let contracts = folder();
    if !contracts.is_dir() {
        // Not `eprintln!`, whose output the test runner keeps from view.
        writeln!(
            std::io::stderr(),
            "SKIPPED: no fixture was checked against the providers' descriptions, which are not in {}; set CONTRACTS_DIR",
            contracts.display()
        )
        .unwrap();
        return;
    }
    let mut wrong = Vec::new();
    let mut checked = BTreeMap::new();
    for (integration, files) in DESCRIPTIONS {
        let descriptions: Vec<_> = files
            .iter()
            .map(|file| Description::read(&contracts.join(file)))
            .collect();
        for path in fixtures::all_cases(integration) {
            let case: Case = fixtures::read(&path);
            for exchange in &case.upstream {
                if outside(integration, &exchange.request) {
                    continue;
                }
                *checked.entry(*integration).or_insert(0) += 1;
                // Where a provider has several descriptions, the operation stands in one of them.
                let complaints = descriptions
                    .iter()
                    .find_map(|description| description.complaints(exchange))
                    .unwrap_or_else(|| vec!["the provider has no such operation".to_owned()]);
                if !complaints.is_empty() {
                    wrong.push(format!(
                        "{}: {} {}\n  {}",
                        path.display(),
                        exchange.request.method,
                        exchange.request.path,
                        complaints.join("\n  ")
                    ));
                }
            }
        }
    }
    eprintln!("exchanges checked: {checked:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_integration_has_a_description() {
    for integration in workbench_mcp::integrations::ALL {
        assert!(
            DESCRIPTIONS.iter().any(|(id, _)| *id == integration.id),
            "name the description of {}",
            integration.id
        );
    }
}
