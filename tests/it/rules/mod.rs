//! What an organization allows: the same answer on lists and on calls, over every face, in every process.

mod caps;
mod commands;
mod matrix;
mod page;
mod stdio;
mod untrusted;

use std::collections::BTreeMap;

use serde_json::Value;
use workbench_mcp::caller::Role;

use crate::harness::app::{Person, TestApp, World};
use crate::harness::process;

type Settings = BTreeMap<String, String>;

/// The settings of a command of this installation.
fn settings(world: &World) -> Settings {
    world.settings(process::free_address())
}

/// Runs a command that succeeds; answers what it wrote.
async fn command(settings: &Settings, arguments: &[&str]) -> String {
    let done = process::run(settings, arguments).await;
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {told}");
    String::from_utf8(done.stdout).unwrap()
}

/// Runs a command that is refused; answers why.
async fn refused(settings: &Settings, arguments: &[&str]) -> String {
    let done = process::run(settings, arguments).await;
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success(), "{arguments:?}");
    told
}

/// The rows of a listing.
async fn rows(settings: &Settings, arguments: &[&str]) -> Vec<Value> {
    let listed = command(settings, &[arguments, &["--json"]].concat()).await;
    let lines = listed.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Removes every rule.
async fn clear(settings: &Settings) {
    for rule in rows(settings, &["policy", "list"]).await {
        command(
            settings,
            &["policy", "remove", rule["id"].as_str().unwrap()],
        )
        .await;
    }
}

/// Somebody with this role and accounts of both integrations.
async fn connected(app: &TestApp, email: &str, role: Role) -> Person {
    app.auth.add_user(app.org, email, role).await.unwrap();
    let person = app.person(email).await;
    person.connect("github", "alice-dev").await;
    person.connect("hubspot", "4711").await;
    person
}
