//! Walks `fixtures/`: every tool, block, completion and identity case of every integration. No per-integration Rust.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use workbench_mcp::caller::Role;
use workbench_mcp::clock::{Clock, Timestamp};
use workbench_mcp::ids::UserId;
use workbench_mcp::integrations;
use workbench_mcp::kit::client::{Bases, Credential, ProviderClient};
use workbench_mcp::kit::error::ToolError;
use workbench_mcp::kit::integration::{Account, Integration};
use workbench_mcp::kit::people::People;
use workbench_mcp::kit::progress::Progress;
use workbench_mcp::kit::tool::{Cx, Granted};
use workbench_mcp::kit::tracking::Tracking;
use workbench_mcp::store::{ConnectionRow, DatabaseUrl, Record, Records, Store, UserRow};

use crate::harness::fixtures::{self, Exchange};
use crate::harness::upstream::Upstream;

/// `fixtures/<integration>/account.json`: whose account the cases run as.
#[derive(Clone, Deserialize)]
struct Who {
    account: Account,
    scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    args: Value,
    #[serde(default)]
    dry_run: bool,
    /// Replaces the account's scopes.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// Replaces the account's details.
    #[serde(default)]
    details: Option<Map<String, Value>>,
    /// A block's address.
    #[serde(default)]
    uri: Option<String>,
    /// A completion: the variable, its prefix and what was chosen before.
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    chosen: Map<String, Value>,
    /// The version of a block that is held already.
    #[serde(default)]
    held: Option<String>,
    /// The caller's cap, in characters.
    #[serde(default)]
    max_chars: Option<usize>,
    /// What the connection keeps already.
    #[serde(default)]
    records: Vec<Kept>,
    upstream: Vec<Exchange>,
    #[expect(dead_code, reason = "compared as JSON by `check`")]
    #[serde(default)]
    result: Value,
    /// What the connection keeps afterwards; as before, if it is not said.
    #[expect(dead_code, reason = "compared as JSON by `check`")]
    #[serde(default)]
    kept: Value,
}

/// A row that an earlier call kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    collection: String,
    key: String,
    version: String,
    /// JSON, or a text as it is kept.
    body: Value,
}

/// Within every case, relative times count from here: 2026-11-20T12:00:00Z.
const NOW: Timestamp = Timestamp::from_micros(1_795_176_000_000_000);

/// The cap of a caller who names none.
const MAX_CHARS: usize = 24_000;

/// What the tools of one case keep: rows of a connection of its own.
async fn records(store: &Store, integration: &Integration, who: &Account) -> Records {
    let org = store.organization(NOW).await.unwrap();
    let user = UserId::new(NOW);
    store
        .insert_user(&UserRow {
            id: user,
            org_id: org.id,
            email: format!("{user}@example.test"),
            role: Role::Member,
            created_at: NOW,
            removed_at: None,
        })
        .await
        .unwrap();
    let provider = integration.providers[0].id;
    let row = ConnectionRow {
        subject: who.id.clone(),
        label: who.label.clone(),
        ..ConnectionRow::new((org.id, user), integration.id, provider, NOW)
    };
    store.insert_connection(&row).await.unwrap();
    Records::new(store.clone(), row.id, Clock::manual(NOW))
}

async fn context(store: &Store, integration: &'static Integration, case: &Case) -> (Cx, Upstream) {
    let mut who: Who = fixtures::read(&fixtures::root().join(integration.id).join("account.json"));
    if let Some(details) = &case.details {
        who.account.details.clone_from(details);
    }
    let provider = &integration.providers[0];
    let upstream = Upstream::start(case.upstream.clone()).await;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let open = integration.open().is_some();
    let credential = Credential::new(provider.api.credential, &"REDACTED".into(), 1);
    let api = ProviderClient::new(
        http,
        &provider.api,
        Bases::new(&provider.api, Some(&upstream.url), |_| None).unwrap(),
        credential.filter(|_| !open),
        None,
    );
    let records = if open {
        Records::none()
    } else {
        records(store, integration, &who.account).await
    };
    for kept in &case.records {
        let record = Record {
            key: kept.key.clone(),
            version: kept.version.clone(),
            body: match &kept.body {
                Value::String(text) => text.clone(),
                json => json.to_string(),
            },
        };
        records.put(&kept.collection, &record).await.unwrap();
    }
    let cx = Cx {
        provider,
        api,
        account: who.account,
        granted: case
            .scopes
            .clone()
            .or(who.scopes)
            .map_or(Granted::Unknown, Granted::Scopes),
        records,
        now: NOW,
        idempotency_key: None,
        dry_run: case.dry_run,
        max_chars: case.max_chars.unwrap_or(MAX_CHARS),
        progress: Progress::default(),
        people: People::default(),
        tracking: Tracking::default(),
        held: case.held.clone(),
    };
    (cx, upstream)
}

/// What the case's connection keeps now, in the order of collections and keys.
async fn kept(records: &Records) -> Value {
    let mut rows = Vec::new();
    for collection in records.collections("").await.unwrap() {
        for head in records.list(&collection, "", "", u32::MAX).await.unwrap() {
            let row = records.get(&collection, &head.key).await.unwrap().unwrap();
            let body = serde_json::from_str(&row.body).unwrap_or(Value::String(row.body));
            rows.push(json!({
                "collection": collection, "key": row.key, "version": row.version, "body": body,
            }));
        }
    }
    Value::Array(rows)
}

/// About how many characters of the cap a value takes.
fn chars(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 6,
        Value::String(text) => text.chars().count() + 3,
        Value::Array(list) => list.iter().map(|value| chars(value) + 1).sum::<usize>() + 2,
        Value::Object(map) => {
            let fields = map.iter();
            fields
                .map(|(name, value)| name.len() + 4 + chars(value))
                .sum::<usize>()
                + 2
        }
    }
}

fn error(error: &ToolError) -> Value {
    json!({ "error": { "code": error.code(), "message": error.to_string() } })
}

async fn run(
    store: &Store,
    integration: &'static Integration,
    folder: &str,
    path: &Path,
) -> Result<(), String> {
    let case: Case = fixtures::read(path);
    let (cx, upstream) = context(store, integration, &case).await;
    let before = kept(&cx.records).await;
    let found = if folder == "identify" {
        match (cx.provider.identify)(&cx).await {
            Ok(account) => serde_json::to_value(account).unwrap(),
            Err(failure) => error(&failure),
        }
    } else if let Some(field) = &case.field {
        let block = integration
            .blocks()
            .find(|block| block.name == folder)
            .expect("a folder of a block's name");
        match (block.complete)(&cx, field, &case.prefix, &case.chosen).await {
            Ok(values) => json!(values),
            Err(failure) => error(&failure),
        }
    } else if let Some(uri) = &case.uri {
        let (_, block, mut variables) = integrations::block(uri).expect("an address of a block");
        assert_eq!(block.name, folder, "{uri}");
        variables.remove("account");
        match (block.read)(&cx, variables).await {
            Ok(content) if content.unchanged => json!({ "unchanged": true }),
            Ok(content) => json!({
                "text": content.text, "mime": content.mime, "version": content.version,
                "url": content.url, "truncated": content.truncated,
            }),
            Err(failure) => error(&failure),
        }
    } else {
        let tool = integration
            .tools()
            .find(|tool| tool.name == folder)
            .expect("a folder of a tool's name");
        match (tool.call)(&cx, case.args.clone()).await {
            Ok(output) => {
                // What a record has beyond the cap is cut out of it, and no cursor leads there.
                let most = cx.max_chars;
                let size = |item| chars(&serde_json::to_value(item).unwrap());
                let large = output.items.iter().map(size).find(|size| *size > most);
                if let Some(size) = large {
                    let path = path.display();
                    return Err(format!("{path}: a record of {size} characters of {most}"));
                }
                json!({
                    "items": output.items, "next_cursor": output.next_cursor,
                    "total": output.total, "truncated": output.truncated,
                    "warnings": output.warnings,
                })
            }
            Err(failure) => error(&failure),
        }
    };
    let complaints = upstream.complaints();
    if !complaints.is_empty() {
        return Err(format!(
            "{}\n  {}\n  answered {found}",
            path.display(),
            complaints.join("\n  ")
        ));
    }
    fixtures::check(path, "result", Some(&found));
    let after = kept(&cx.records).await;
    fixtures::check(path, "kept", (after != before).then_some(&after));
    Ok(())
}

#[tokio::test]
async fn every_case_of_every_integration_answers_as_written() {
    let store = Store::open(&DatabaseUrl::in_memory()).await.unwrap();
    store.migrate().await.unwrap();
    let mut ran = BTreeMap::new();
    let mut wrong = Vec::new();
    for integration in integrations::ALL {
        let tools = integration.tools().map(|tool| tool.name);
        let blocks = integration.blocks().map(|block| block.name);
        for folder in tools.chain(blocks).chain(["identify"]) {
            for path in fixtures::cases(integration.id, folder) {
                *ran.entry(integration.id).or_insert(0) += 1;
                if let Err(complaint) = run(&store, integration, folder, &path).await {
                    wrong.push(complaint);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!("fixture cases: {ran:?}");
}
