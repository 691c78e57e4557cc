//! The real server, killed while it writes: whatever the provider saw stands in the log, and so does every outcome that a
//! client was told (security.md H3).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use serde_json::json;
use workbench_mcp::sandbox::Command;

use crate::harness::app::{Person, World, until};
use crate::harness::database::sqlite;
use crate::harness::process::{self, Process};

/// How often the server is killed.
const ROUNDS: usize = 20;
/// Writes that are under way at the same time.
const WRITERS: usize = 4;

/// Writes until the server is gone; notes what was answered.
async fn write(
    person: Person,
    round: usize,
    writer: usize,
    answered: Arc<Mutex<Vec<(String, String)>>>,
    watch: impl Fn(&str),
) {
    for at in 0.. {
        let mark = format!("mark-{round}-{writer}-{at}-end");
        watch(&mark);
        let arguments = json!({ "kind": "note", "body": mark, "on": ["contacts/101"] });
        let params = json!({ "name": "hubspot_log_activity", "arguments": arguments, "_meta": { "workbench-mcp/thread": mark } });
        let request = person.mcp.build(&json!(1), "tools/call", params);
        let Ok(response) = request.send().await else {
            return;
        };
        let Ok(body) = response.json::<serde_json::Value>().await else {
            return;
        };
        let code = body["result"]["structuredContent"]["error"]["code"]
            .as_str()
            .unwrap_or("ok");
        answered.lock().unwrap().push((mark, code.to_owned()));
    }
}

#[tokio::test]
async fn no_write_is_forgotten_however_the_server_dies() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let mut people = Vec::new();
    // Several accounts, so that our own limit of calls does not end the load.
    for name in ["ann", "ben", "cem", "dan"] {
        let person = app.person(&format!("{name}@example.test")).await;
        person.connect("hubspot", "4711").await;
        people.push(person);
    }
    assert_eq!(people.len(), WRITERS);
    app.stop().await;
    let settings = world.settings(process::free_address());
    let answered = Arc::new(Mutex::new(Vec::new()));
    for round in 0..ROUNDS {
        let mut server = Process::serve(&settings).await;
        let endpoint = format!("{}/mcp", server.url);
        let writers = people.iter().enumerate().map(|(writer, person)| {
            let mut person = person.clone();
            person.mcp.endpoint.clone_from(&endpoint);
            let control = world.control();
            let watch = move |mark: &str| {
                let text = mark.to_owned();
                control.tell("hubspot", Command::Watch { text }).unwrap();
            };
            tokio::spawn(write(person, round, writer, Arc::clone(&answered), watch))
        });
        let writers: Vec<_> = writers.collect();
        // A different moment each time: after so many requests have reached the provider.
        let enough = world.api_calls("hubspot") + 1 + u64::try_from(round * 7 % 20).unwrap();
        until("requests", async || {
            (world.api_calls("hubspot") >= enough).then_some(())
        })
        .await;
        server.kill().await;
        join_all(writers).await;
    }

    let app = world.app().await;
    app.verify().await;
    let mut intents = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    let mut lines = Vec::new();
    app.audit
        .export(app.org, &workbench_mcp::audit::Filter::default(), |line| {
            lines.push(line.to_owned());
        })
        .await
        .unwrap();
    for line in &lines {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(mark) = event["thread"].as_str() else {
            continue;
        };
        match event["kind"].as_str() {
            Some("tool.intent") => intents.insert(mark.to_owned(), String::new()),
            Some("tool.outcome") => outcomes.insert(
                mark.to_owned(),
                event["outcome"].as_str().unwrap().to_owned(),
            ),
            _ => None,
        };
    }
    let seen: Vec<String> = world
        .report("hubspot")
        .canaries
        .into_iter()
        .filter_map(|(mark, seen)| seen.then_some(mark))
        .collect();
    assert!(seen.len() >= ROUNDS, "{}", seen.len());
    for mark in &seen {
        assert!(
            intents.contains_key(mark),
            "the provider saw {mark}, the log did not"
        );
    }
    let answered = answered.lock().unwrap();
    assert!(!answered.is_empty());
    for (mark, code) in answered.iter() {
        assert_eq!(outcomes.get(mark), Some(code), "{mark} was answered");
    }
    eprintln!(
        "{} writes reached the provider, {} were answered, {} intents",
        seen.len(),
        answered.len(),
        intents.len()
    );
}
