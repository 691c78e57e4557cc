//! Tokens refresh by themselves, exactly once, and are never lost where that can be helped (security.md 1.2 and 4).

mod crashes;
mod failures;
mod once;

use std::time::Duration;

use serde_json::json;
use workbench_mcp::sandbox::providers::Rotation;
use workbench_mcp::sandbox::{Command, Fault, Place, Settings};
use workbench_mcp::store::Status;

use crate::harness::app::{Person, TestApp, World, still, until};
use crate::harness::database::{postgres, sqlite};

/// Longer than the sandbox's GitHub tokens live.
const LIFE: Duration = Duration::from_mins(16);

/// Somebody with a GitHub account.
async fn connected(app: &TestApp) -> Person {
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    alice
}
