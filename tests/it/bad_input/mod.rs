//! What clients and providers should never send: each is answered precisely, written down, and does no harm.

mod from_clients;
mod from_providers;

use serde_json::{Value, json};
use workbench_mcp::audit::Filter;
use workbench_mcp::sandbox::{Command, Fault, Place};

use crate::harness::app::{Person, TestApp, still, until};

/// Somebody with accounts of both providers.
async fn connected(app: &TestApp) -> Person {
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    alice.connect("hubspot", "4711").await;
    alice
}

/// The outcomes of the calls in a conversation, oldest first.
async fn outcomes(app: &TestApp, thread: &str, expected: usize) -> Vec<String> {
    // The outcome of a read may follow the answer.
    until(&format!("the outcomes of {thread}"), async || {
        let filter = Filter {
            thread: Some(thread.to_owned()),
            ..Filter::default()
        };
        let entries = app.log(filter).await;
        let found: Vec<String> = entries.into_iter().map(|entry| entry.outcome).collect();
        (found.len() == expected).then_some(found)
    })
    .await
}
