//! Context blocks: a thread, a message, and what is newest under a label.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::asks::{seen, utc};
use super::super::auth::GMAIL_READ;
use super::labels::{self, LabelNames};
use super::model::{Message, Profile};
use super::read::{self, Kind, gmail, me};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};
use crate::kit::uri::encode;

/// Threads of a label, and values of a completion.
const NEWEST: u32 = 20;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    history_id: String,
}

/// Whether the version held is the newest one: one request for a number.
async fn is_held(cx: &Cx, kind: Kind, id: &str) -> Result<bool, ProviderError> {
    let Some(held) = &cx.held else {
        return Ok(false);
    };
    let request = gmail(cx).get(&me(&[kind.path(), id]));
    let request = request.query("format", "minimal");
    let newest: Version = request.query("fields", "historyId").send().await?;
    Ok(newest.history_id == *held)
}

/// Ids of the newest threads or messages that `prefix` finds.
async fn hits(cx: &Cx, kind: Kind, prefix: &str) -> Result<Vec<String>, ToolError> {
    let listed = read::listed(cx, kind, prefix.trim(), None, NEWEST, None).await?;
    let found = listed.threads.into_iter().chain(listed.messages);
    Ok(found.map(|own| own.id).collect())
}

/// A thread.
#[derive(Debug, Deserialize)]
pub(super) struct ThreadBlock {
    id: String,
}

impl ContextBlock for ThreadBlock {
    const URI: &'static str = "google://{account}/mail/threads/{id}";
    const NAME: &'static str = "google_mail_thread";
    const TITLE: &'static str = "Mail thread";
    const DESCRIPTION: &'static str =
        "A mail thread, oldest message first, without quoted history.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&[GMAIL_READ]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let what = format!("thread {}", self.id);
        if seen(cx, &what, is_held(cx, Kind::Thread, &self.id).await)? {
            return Ok(Content::unchanged());
        }
        let thread = seen(cx, &what, read::thread(cx, &self.id).await)?;
        let subject = thread
            .messages
            .first()
            .map_or("", |own| own.header("Subject"));
        Ok(written(
            cx,
            &self.id,
            subject,
            &thread.messages,
            thread.history_id,
        ))
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        hits(cx, Kind::Thread, prefix).await
    }
}

/// A message.
#[derive(Debug, Deserialize)]
pub(super) struct MessageBlock {
    id: String,
}

impl ContextBlock for MessageBlock {
    const URI: &'static str = "google://{account}/mail/messages/{id}";
    const NAME: &'static str = "google_mail_message";
    const TITLE: &'static str = "Mail message";
    const DESCRIPTION: &'static str = "A mail message without quoted history.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&[GMAIL_READ]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let what = format!("message {}", self.id);
        if seen(cx, &what, is_held(cx, Kind::Message, &self.id).await)? {
            return Ok(Content::unchanged());
        }
        let message = seen(cx, &what, read::message(cx, &self.id).await)?;
        let version = message.history_id.clone();
        let subject = message.header("Subject").to_owned();
        Ok(written(cx, &self.id, &subject, &[message], version))
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        hits(cx, Kind::Message, prefix).await
    }
}

/// The messages as one text. When they are too long for it, the oldest are left out.
fn written(cx: &Cx, id: &str, subject: &str, messages: &[Message], version: String) -> Content {
    let subject = if subject.is_empty() {
        "(no subject)"
    } else {
        subject
    };
    let head = format!("# {}\n", text::visible(subject.to_owned()));
    let mut room = cx.max_chars.saturating_sub(head.chars().count() + 80);
    let mut parts: Vec<String> = Vec::new();
    let mut truncated = false;
    for message in messages.iter().rev() {
        let part = section(message);
        let chars = part.chars().count();
        if chars > room {
            truncated = true;
            if parts.is_empty() {
                parts.push(text::clip(&part, room));
            }
            break;
        }
        room -= chars;
        parts.push(part);
    }
    let mut out = head;
    if parts.len() < messages.len() {
        let _ = write!(
            out,
            "\n({} older messages are left out)\n",
            messages.len() - parts.len()
        );
    }
    for part in parts.iter().rev() {
        out.push_str(part);
    }
    Content {
        version: Some(version).filter(|version| !version.is_empty()),
        url: Some(read::url(cx, id)),
        truncated,
        ..Content::text(out)
    }
}

fn section(message: &Message) -> String {
    let mut out = format!(
        "\n## {}, {}\n\n",
        text::visible(message.header("From").to_owned()),
        utc(message.seconds())
    );
    for name in ["To", "Cc"] {
        let people = read::shown(message.header(name));
        if !people.is_empty() {
            let _ = writeln!(out, "{name}: {}  ", people.join(", "));
        }
    }
    let body = read::body(message, false);
    let _ = write!(out, "\n{}\n", body.text);
    if body.trimmed {
        out.push_str("\n(quoted history left out)\n");
    }
    let files = read::files(message);
    if !files.is_empty() {
        let names: Vec<&str> = files.iter().map(|part| part.filename.as_str()).collect();
        let _ = write!(out, "\nAttachments: {}\n", text::visible(names.join(", ")));
    }
    out
}

/// What is newest under a label.
#[derive(Debug, Deserialize)]
pub(super) struct LabelBlock {
    name: String,
}

impl ContextBlock for LabelBlock {
    const URI: &'static str = "google://{account}/labels/{name}";
    const NAME: &'static str = "google_label";
    const TITLE: &'static str = "Mail label";
    const DESCRIPTION: &'static str =
        "The newest threads under a label, such as INBOX or Customers.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&[GMAIL_READ]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        // The mailbox as a whole has a version, its labels have none.
        let profile: Profile = gmail(cx).get(&me(&["profile"])).send().await?;
        if cx.held.as_deref() == Some(profile.history_id.as_str()) {
            return Ok(Content::unchanged());
        }
        let all = labels::all_labels(cx).await?;
        let label = labels::find(&all, &self.name)?;
        let listed = read::listed(cx, Kind::Thread, "", Some(&label.id), NEWEST, None).await?;
        let ids: Vec<String> = listed.threads.into_iter().map(|own| own.id).collect();
        let rows = read::rows(cx, Kind::Thread, &ids, &LabelNames::of(&all)).await?;
        let mut out = format!("# {}\n\n", label.name);
        if rows.is_empty() {
            out.push_str("No thread has this label.\n");
        }
        for row in &rows {
            out.push_str(&line(row));
        }
        let short = text::clip(&out, cx.max_chars);
        Ok(Content {
            version: Some(profile.history_id).filter(|version| !version.is_empty()),
            url: Some(format!(
                "https://mail.google.com/mail/?authuser={}#label/{}",
                encode(&cx.account.label),
                encode(&label.name)
            )),
            truncated: short.len() != out.len() || listed.next_page_token.is_some(),
            ..Content::text(short)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let prefix = prefix.to_lowercase();
        let all = labels::all_labels(cx).await?;
        let mut names: Vec<String> = all
            .into_iter()
            .map(|own| own.name)
            .filter(|name| name.to_lowercase().contains(&prefix))
            .collect();
        names.sort_by_key(|name| {
            (
                !name.to_lowercase().starts_with(&prefix),
                name.to_lowercase(),
            )
        });
        names.truncate(100);
        Ok(names)
    }
}

/// A thread on one line, with its snippet below.
fn line(row: &Item) -> String {
    let word = |name: &str| {
        row.fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let from = row.fields.get("from").and_then(Value::as_array);
    let from: Vec<&str> = from
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mark = if row.fields.contains_key("unread") {
        "**"
    } else {
        ""
    };
    format!(
        "- {mark}[{}]({}){mark}, {}, {}\n  {}\n",
        word("subject").replace(['[', ']'], " "),
        row.uri.as_deref().unwrap_or_default(),
        from.join(", "),
        word("date"),
        word("snippet")
    )
}
