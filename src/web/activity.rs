//! A person's own calls: newest first, by conversation, and one in full. Nobody else's are ever looked at, and looking at
//! one's own is nothing that the log notes.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::Web;
use super::error::Error;
use super::pages::{Page, Place, show};
use super::routing::get;
use super::session::SignedIn;
use crate::audit::{Entry, Filter};
use crate::caller::Caller;
use crate::calls::Explanation;
use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::integrations;
use crate::kit::error::Code;
use crate::kit::text;

/// Calls of one page.
const PAGE: usize = 50;
/// Events looked at in one go.
const LOOK: u32 = 200;
/// How often one page looks before it ends where it is; among the person's events are few that are no calls.
const LOOKS: usize = 20;
/// Calls that are grouped by conversation.
const GROUPED: usize = 1_000;
/// The outcomes to choose from besides `ok`.
const FAILURES: [Code; 17] = [
    Code::ApprovalRequired,
    Code::BlockedByPolicy,
    Code::ConnectionMissing,
    Code::ReauthRequired,
    Code::InsufficientScope,
    Code::AdminConsentRequired,
    Code::AmbiguousAccount,
    Code::InvalidInput,
    Code::NotFound,
    Code::Conflict,
    Code::PlanRequired,
    Code::RateLimited,
    Code::UpstreamUnavailable,
    Code::Timeout,
    Code::Cancelled,
    Code::UnknownTool,
    Code::Internal,
];

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/activity", get(list))
        .route("/activity/conversations", get(conversations))
        .route("/activity/{call}", get(record))
}

/// Which calls, as the form has it.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    integration: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    thread: String,
    after: Option<i64>,
}

impl Asked {
    fn is_all(&self) -> bool {
        self.integration.is_empty() && self.outcome.is_empty() && self.thread.is_empty()
    }

    fn filter(&self, caller: &Caller) -> Filter {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Filter {
            integration: some(&self.integration),
            outcome: some(&self.outcome),
            thread: some(&self.thread),
            after: self.after,
            ..own(caller)
        }
    }

    /// The address of the page after the entry with this number.
    fn next(&self, after: i64) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("integration", &self.integration),
            ("outcome", &self.outcome),
            ("thread", &self.thread),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair("after", &after.to_string());
        format!("activity?{}", query.finish())
    }
}

fn own(caller: &Caller) -> Filter {
    Filter {
        user: Some(caller.user),
        limit: LOOK,
        ..Filter::default()
    }
}

/// The person's calls that fit, newest first, at most `most`, and after which entry there are more. Signing in and the
/// like are events too, but no calls.
async fn calls(
    web: &Web,
    caller: &Caller,
    mut filter: Filter,
    most: usize,
) -> Result<(Vec<Entry>, Option<i64>), Error> {
    let mut found = Vec::new();
    for _ in 0..LOOKS {
        let entries = web.audit.list(caller.org, &filter).await?;
        let ended = entries.len() < usize::try_from(filter.limit).unwrap_or(usize::MAX);
        for entry in entries {
            if found.len() == most {
                return Ok((found, filter.after));
            }
            filter.after = Some(entry.seq);
            // The filter says so too; a page of one's own must not depend on it alone.
            if entry.tool.is_some() && entry.user == Some(caller.user) {
                found.push(entry);
            }
        }
        if ended {
            return Ok((found, None));
        }
    }
    Ok((found, filter.after))
}

#[derive(Template)]
#[template(path = "activity.html", config = "src/web/askama.toml")]
struct Activity {
    page: Page,
    asked: Asked,
    all: bool,
    integrations: Vec<(&'static str, &'static str)>,
    outcomes: Vec<&'static str>,
    lines: Vec<Line>,
    next: Option<String>,
}

/// One call in a list.
struct Line {
    call: CallId,
    at: String,
    title: String,
    tool: String,
    integration: String,
    account: String,
    effect: String,
    outcome: String,
    class: &'static str,
    millis: String,
    thread: String,
    /// Below the public URL.
    thread_address: String,
    client: String,
}

impl Line {
    fn of(entry: Entry) -> Self {
        let tool = entry.tool.clone().unwrap_or_default();
        Self {
            call: entry.call,
            at: entry.at.rfc3339(),
            title: title(&tool),
            account: field(&entry.detail, "account"),
            client: client(&entry),
            millis: millis(&entry.facts),
            tool,
            integration: entry.integration.unwrap_or_default(),
            effect: entry.effect.unwrap_or_default(),
            class: class(&entry.outcome),
            outcome: entry.outcome,
            thread_address: thread_address(entry.thread.as_deref().unwrap_or_default()),
            thread: text::visible(entry.thread.unwrap_or_default()),
        }
    }

    /// An RFC 3339 time up to the second, as people read it.
    fn moment(&self) -> String {
        self.at
            .chars()
            .take(19)
            .collect::<String>()
            .replace('T', " ")
    }
}

/// The list.
async fn list(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let (entries, more) = calls(&web, &caller, asked.filter(&caller), PAGE).await?;
    let known = integrations::ALL.iter();
    let page = Activity {
        page: Page::of(&web, Some(&caller)).at(Place::Activity),
        all: asked.is_all() && asked.after.is_none(),
        integrations: known.map(|one| (one.id, one.name)).collect(),
        outcomes: std::iter::once("ok")
            .chain(FAILURES.map(Code::as_str))
            .chain(["unknown"])
            .collect(),
        next: more.map(|after| asked.next(after)),
        lines: entries.into_iter().map(Line::of).collect(),
        asked,
    };
    Ok(show(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "activity_threads.html", config = "src/web/askama.toml")]
struct Conversations {
    page: Page,
    threads: Vec<Thread>,
    /// Calls without a conversation.
    alone: usize,
    looked: usize,
    /// Whether there are older calls.
    more: bool,
}

/// A conversation.
struct Thread {
    id: String,
    address: String,
    first: String,
    last: String,
    calls: usize,
    failed: usize,
    clients: Vec<String>,
}

/// The latest calls by conversation, the one with the newest call first.
async fn conversations(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
) -> Result<Response, Error> {
    let (entries, more) = calls(&web, &caller, own(&caller), GROUPED).await?;
    let looked = entries.len();
    let mut threads: Vec<(String, Vec<Entry>)> = Vec::new();
    let mut alone = 0;
    for entry in entries {
        match &entry.thread {
            None => alone += 1,
            Some(thread) => match threads.iter_mut().find(|(id, _)| id == thread) {
                Some((_, entries)) => entries.push(entry),
                None => threads.push((thread.clone(), vec![entry])),
            },
        }
    }
    let page = Conversations {
        page: Page::of(&web, Some(&caller)).at(Place::Activity),
        threads: threads.into_iter().map(Thread::of).collect(),
        alone,
        looked,
        more: more.is_some(),
    };
    Ok(show(StatusCode::OK, &page))
}

impl Thread {
    /// Of its calls, newest first.
    fn of((id, entries): (String, Vec<Entry>)) -> Self {
        let at = |entry: Option<&Entry>| entry.map(|entry| minute(entry.at)).unwrap_or_default();
        let mut clients: Vec<String> = entries.iter().map(client).collect();
        clients.sort_unstable();
        clients.dedup();
        Self {
            address: thread_address(&id),
            first: at(entries.last()),
            last: at(entries.first()),
            calls: entries.len(),
            failed: entries.iter().filter(|entry| entry.outcome != "ok").count(),
            clients,
            id: text::visible(id),
        }
    }
}

#[derive(Template)]
#[template(path = "activity_call.html", config = "src/web/askama.toml")]
struct Call {
    page: Page,
    line: Line,
    outcome_words: &'static str,
    began: String,
    ended: String,
    facts: Vec<(&'static str, String)>,
    approval: Option<String>,
    replayed: Option<String>,
    /// What the rules say of this tool now, when they stopped the call.
    now: Option<Explanation>,
    /// Whether it can be tried from here.
    again: bool,
}

/// One call of the person's own; anybody else's is not there.
async fn record(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(call): Path<String>,
) -> Result<Response, Error> {
    let call: CallId = call.parse().map_err(|_| Error::NotFound)?;
    let entry = web.audit.call_of(caller.org, caller.user, call).await?;
    let entry = entry.ok_or(Error::NotFound)?;
    let tool = entry.tool.clone().unwrap_or_default();
    let stopped = [Code::BlockedByPolicy, Code::ApprovalRequired].map(Code::as_str);
    let now = if stopped.contains(&entry.outcome.as_str()) {
        web.calls.why(&caller, &tool).await?
    } else {
        None
    };
    let inner = &entry.detail["detail"];
    let some = |text: String| (!text.is_empty()).then_some(text);
    let mut facts = vec![
        ("Client", client(&entry)),
        ("Transport", field(&entry.facts, "transport")),
        ("Protocol", field(&entry.facts, "protocol")),
        ("Credential", field(&entry.facts, "grant")),
        ("Answered records", field(inner, "items")),
        (
            "Requests to the provider",
            field(&entry.facts, "upstream_requests"),
        ),
        (
            "The provider's last status",
            field(&entry.facts, "upstream_status"),
        ),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    let page = Call {
        page: Page::of(&web, Some(&caller)).at(Place::Activity),
        outcome_words: outcome_words(&entry.outcome),
        began: entry.call.made_at().rfc3339(),
        ended: entry.at.rfc3339(),
        approval: some(field(inner, "approval")),
        replayed: some(field(inner, "replayed")),
        facts,
        now,
        again: integrations::tool(&tool).is_some(),
        line: Line::of(entry),
    };
    Ok(show(StatusCode::OK, &page))
}

/// The address of a conversation's calls.
fn thread_address(thread: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("thread", thread)
        .finish();
    format!("activity?{query}")
}

/// A member as text; empty when there is none.
fn field(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(plain) => text::visible(plain.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value[name].to_string()
        }
    }
}

fn client(entry: &Entry) -> String {
    let name = field(&entry.facts, "client");
    if name.is_empty() {
        field(&entry.facts, "transport")
    } else {
        name
    }
}

fn millis(facts: &Value) -> String {
    let micros = facts["duration_us"].as_u64();
    micros.map_or_else(String::new, |micros| {
        format!("{} ms", micros.div_ceil(1_000))
    })
}

fn minute(at: Timestamp) -> String {
    at.rfc3339()
        .chars()
        .take(16)
        .collect::<String>()
        .replace('T', " ")
}

/// The title of a tool or block.
fn title(name: &str) -> String {
    if let Some((_, def)) = integrations::tool(name) {
        return def.title.to_owned();
    }
    let blocks = integrations::ALL.iter().flat_map(|one| one.blocks());
    let mut named = blocks.filter(|block| block.name == name);
    match named.next() {
        Some(block) => block.title.to_owned(),
        None if name == "workbench_accounts" => "Connected accounts".to_owned(),
        None => text::visible(name.to_owned()),
    }
}

fn class(outcome: &str) -> &'static str {
    match outcome {
        "ok" => "ok",
        "approval_required" => "waiting",
        _ => "failed",
    }
}

/// What an outcome means, for people.
fn outcome_words(outcome: &str) -> &'static str {
    match outcome {
        "ok" => "It worked.",
        "unknown_tool" => "Nothing here has that name.",
        "invalid_input" => "The arguments were wrong; nothing was called.",
        "connection_missing" => "No account of this integration was connected.",
        "reauth_required" => "The account had to be connected again.",
        "insufficient_scope" => "The account lacked a permission.",
        "admin_consent_required" => "An administrator of the provider had to consent first.",
        "ambiguous_account" => "Several accounts fitted and none was named.",
        "blocked_by_policy" => "Your organization, or the credential, did not allow it.",
        "approval_required" => "It waited for somebody's yes; nothing was called.",
        "not_found" => "The provider has no such record, or hides it.",
        "conflict" => "The record had changed, or existed already.",
        "plan_required" => "The provider's plan does not include it.",
        "rate_limited" => "There were too many calls.",
        "upstream_unavailable" => "The provider failed or did not answer.",
        "timeout" => "It took too long and was stopped.",
        "cancelled" => "The client took it back.",
        "internal" => "Something failed on our side.",
        _ => {
            "Nobody knows how it ended: the process stopped, or the client went away in the middle."
        }
    }
}
