//! Reading, exporting and verifying the audit log.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Json, output};
use crate::app::App;
use crate::audit::{Actor, AdminEvent, Entry, Filter, VerifyError, read_checkpoints};
use crate::clock::Timestamp;
use crate::ids::ConnectionId;

/// The audit log.
#[derive(Subcommand)]
pub(super) enum Audit {
    /// Lists what was done, newest first.
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Goes on after the entry with this number.
        #[arg(long, value_name = "SEQ")]
        after: Option<i64>,
        #[command(flatten)]
        json: Json,
    },
    /// Writes events as JSON Lines, oldest first, so that the file verifies by itself.
    Export {
        #[command(flatten)]
        which: Which,
    },
    /// Walks the hash chain; ends with an error at the first break.
    Verify {
        /// Checkpoints that were kept outside the database: the log's lines about them, or an export.
        #[arg(long, value_name = "FILE")]
        checkpoints: Option<PathBuf>,
    },
}

/// Which entries.
#[derive(Args)]
pub(super) struct Which {
    /// Of this person, by e-mail address.
    #[arg(long)]
    user: Option<String>,
    /// Of this integration.
    #[arg(long)]
    integration: Option<String>,
    /// Through this connection.
    #[arg(long)]
    connection: Option<ConnectionId>,
    /// Of this tool or block.
    #[arg(long)]
    tool: Option<String>,
    /// `read`, `write` or `destructive`.
    #[arg(long)]
    effect: Option<String>,
    /// `ok`, or the code of a failure.
    #[arg(long)]
    outcome: Option<String>,
    /// In this conversation.
    #[arg(long)]
    thread: Option<String>,
    /// Of this kind, such as `tool.outcome` or `connection.connected`.
    #[arg(long)]
    kind: Option<String>,
    /// Completed at this time (RFC 3339) or later.
    #[arg(long, value_parser = time)]
    since: Option<Timestamp>,
    /// Completed before this time (RFC 3339).
    #[arg(long, value_parser = time)]
    until: Option<Timestamp>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| "is not a time such as 2026-11-21T09:30:00Z".to_owned())
}

impl Which {
    async fn filter(self, app: &App, limit: u32, after: Option<i64>) -> anyhow::Result<Filter> {
        let user = match self.user {
            Some(email) => Some(app.auth.person(app.org, &email).await?.id),
            None => None,
        };
        Ok(Filter {
            user,
            integration: self.integration,
            connection: self.connection,
            tool: self.tool,
            effect: self.effect,
            outcome: self.outcome,
            thread: self.thread,
            kind: self.kind,
            since: self.since,
            until: self.until,
            after,
            limit,
        })
    }
}

impl Audit {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::List {
                which,
                limit,
                after,
                json: Json { json },
            } => {
                let filter = which.filter(app, limit, after).await?;
                let entries = app.audit.list(app.org, &filter).await?;
                note(app, "audit.read", json!({ "entries": entries.len() })).await?;
                let people = app.store.users(app.org).await?;
                let person = |entry: &Entry| {
                    let found = people.iter().find(|user| Some(user.id) == entry.user);
                    found.map_or_else(String::new, |user| user.email.clone())
                };
                if json {
                    for entry in &entries {
                        let mut object = serde_json::to_value(entry)?;
                        object["email"] = json!(person(entry));
                        output::json(&object)?;
                    }
                } else {
                    let rows: Vec<_> = entries
                        .iter()
                        .map(|entry| row(entry, person(entry)))
                        .collect();
                    let heading = [
                        "SEQ", "AT", "PERSON", "WHAT", "ACCOUNT", "OUTCOME", "MS", "THREAD",
                    ];
                    output::table(&heading, &rows)?;
                }
            }
            Self::Export { which } => {
                let filter = which.filter(app, 1_000, None).await?;
                note(app, "audit.exported", Value::Null).await?;
                let mut broken = Ok(());
                let count = app
                    .audit
                    .export(app.org, &filter, |line| {
                        if broken.is_ok() {
                            broken = output::line(line);
                        }
                    })
                    .await?;
                broken?;
                output::tell(&format!("{count} events"));
            }
            Self::Verify { checkpoints } => return verify(app, checkpoints).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn verify(app: &App, checkpoints: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let known = match checkpoints {
        Some(path) => {
            let file = std::fs::File::open(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            read_checkpoints(BufReader::new(file))
                .with_context(|| format!("{} holds no checkpoints", path.display()))?
        }
        None => Vec::new(),
    };
    match app.audit.verify(None, &known, |_| {}).await {
        Ok(found) => {
            output::line(&format!(
                "the chain holds: {} events, {} checkpoints",
                found.events, found.checkpoints
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(VerifyError::Broken(broken)) => {
            output::line(&format!(
                "the chain is broken at event {}: {}",
                broken.seq, broken.reason
            ))?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => bail!(error),
    }
}

async fn note(app: &App, kind: &'static str, detail: Value) -> anyhow::Result<()> {
    let event = AdminEvent {
        kind,
        target: "command line".into(),
        detail,
        ..AdminEvent::default()
    };
    Ok(app.audit.record(Actor::System, app.org, event).await?)
}

fn row(entry: &Entry, person: String) -> Vec<String> {
    let what = entry.tool.clone().unwrap_or_else(|| entry.kind.clone());
    let account = entry
        .detail
        .get("account")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let millis = entry.facts.get("duration_us").and_then(Value::as_u64);
    let millis = millis
        .map(|micros| format!("{}.{}", micros / 1_000, micros % 1_000 / 100))
        .unwrap_or_default();
    let thread = entry.thread.clone().unwrap_or_default();
    vec![
        entry.seq.to_string(),
        entry.at.rfc3339(),
        person,
        what,
        account,
        entry.outcome.clone(),
        millis,
        thread,
    ]
}
