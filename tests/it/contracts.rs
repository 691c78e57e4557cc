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

/// What describes each provider, and what nothing describes; the checks with prism read it too.
const TABLE: &str = include_str!("../contracts.json");

/// `tests/contracts.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    hosts: Vec<Host>,
    outside: Vec<Outside>,
    wrong: Vec<Wrong>,
}

/// The folder in `fixtures/`, the provider's host (`Api::hosts`; the main one has no name) and the descriptions of what
/// answers there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    integration: String,
    host: String,
    files: Vec<String>,
}

/// What no description covers: the folder, the path with `*` for any one segment and `**` for all that follow, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outside {
    integration: String,
    path: String,
    #[expect(dead_code, reason = "for who reads the table")]
    why: String,
}

/// Where a description is wrong: the folder, a path as above, how the complaint ends that is not one, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    integration: String,
    path: String,
    complaint: String,
    #[expect(dead_code, reason = "for who reads the table")]
    why: String,
}

fn table() -> Table {
    serde_json::from_str(TABLE).unwrap()
}

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

/// Whether `path` is one that `pattern` names.
fn covers(pattern: &str, path: &str) -> bool {
    let mut path = path.split('/');
    let same = pattern.split('/').all(|part| match part {
        "**" => path.by_ref().last().is_some(),
        "*" => path.next().is_some_and(|found| !found.is_empty()),
        part => path.next() == Some(part),
    });
    same && path.next().is_none()
}

fn outside(table: &Table, integration: &str, request: &Request) -> bool {
    let mut all = table.outside.iter();
    all.any(|one| one.integration == integration && covers(&one.path, &request.path))
}

/// Whether a complaint is the description's fault.
fn is_wrong(table: &Table, integration: &str, path: &str, complaint: &str) -> bool {
    let mut all = table.wrong.iter();
    all.any(|one| {
        one.integration == integration
            && covers(&one.path, path)
            && complaint.ends_with(&one.complaint)
    })
}

/// The host that an exchange is with, and the exchange as it is there: a moved provider has its further hosts in folders.
fn at_host<'a>(
    mut hosts: impl Iterator<Item = &'a str>,
    exchange: &Exchange,
) -> (&'a str, Exchange) {
    let mut exchange = exchange.clone();
    let named = hosts.find(|host| {
        let rest = exchange.request.path.strip_prefix('/');
        let rest = rest.and_then(|rest| rest.strip_prefix(host));
        !host.is_empty() && rest.is_some_and(|rest| rest.starts_with('/'))
    });
    let host = named.unwrap_or_default();
    if !host.is_empty() {
        exchange.request.path.drain(..=host.len());
    }
    (host, exchange)
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
    let mut described: BTreeMap<&str, BTreeMap<&str, Vec<Description>>> = BTreeMap::new();
    let table = table();
    for host in &table.hosts {
        let read = |file| Description::read(&contracts.join(file));
        let descriptions = host.files.iter().map(read).collect();
        let hosts = described.entry(&host.integration).or_default();
        hosts.insert(&host.host, descriptions);
    }
    for (integration, hosts) in &described {
        for path in fixtures::all_cases(integration) {
            let case: Case = fixtures::read(&path);
            for exchange in &case.upstream {
                if outside(&table, integration, &exchange.request) {
                    continue;
                }
                let (host, exchange) = at_host(hosts.keys().copied(), exchange);
                *checked.entry(*integration).or_insert(0) += 1;
                // Where a provider has several descriptions, the operation stands in one of them.
                let mut complaints = hosts
                    .get(host)
                    .into_iter()
                    .flatten()
                    .find_map(|description| description.complaints(&exchange))
                    .unwrap_or_else(|| vec!["the provider has no such operation".to_owned()]);
                complaints.retain(|complaint| {
                    !is_wrong(&table, integration, &exchange.request.path, complaint)
                });
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
    let table = table();
    for integration in workbench_mcp::integrations::ALL {
        assert!(
            table
                .hosts
                .iter()
                .any(|host| host.integration == integration.id),
            "name the description of {}",
            integration.id
        );
    }
}
