//! One record in full, opening its recorded arguments and results, and a conversation in order.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::filter::{Asked, Names};
use super::list::{Row, thread_path};
use super::{Reviewer, brief, check, duration, looked, number, refused};
use crate::audit::{Beyond, Look, OpenError, Opened, Order, Payload, Record, Search};
use crate::caller::{Caller, Role};
use crate::ids::{CallId, UserId};
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Page, Place, show};
use crate::web::session::TokenForm;

/// Calls of a page of a conversation.
const STEPS: u32 = 100;

#[derive(Template)]
#[template(path = "audit/record.html", config = "src/web/askama.toml")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one question of the template"
)]
struct Shown {
    page: Page,
    call: String,
    title: String,
    outcome: String,
    ok: bool,
    open: bool,
    sections: Vec<(&'static str, Vec<Fact>)>,
    thread_path: Option<String>,
    /// Whether there is something that only auditors may open, in words.
    payload: &'static str,
    can_open: bool,
    is_auditor: bool,
    opened: Option<(String, String)>,
    others: Vec<i64>,
}

/// A name and a value, which may lead somewhere below the log.
struct Fact {
    name: &'static str,
    value: String,
    href: Option<String>,
    code: bool,
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        name,
        value: value.into(),
        href: None,
        code: false,
    }
}

fn code(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        code: true,
        ..fact(name, value)
    }
}

fn link(name: &'static str, value: impl Into<String>, query: &[(&'static str, &str)]) -> Fact {
    Fact {
        href: Some(format!("?{}", Asked::default().with(query).query())),
        ..fact(name, value)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One record.
pub(super) async fn page(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Path(call): Path<String>,
) -> Result<Response, Error> {
    let call: CallId = call.parse().map_err(|_| Error::NotFound)?;
    let shown = Shown::of(&web, &caller, call).await?;
    looked(&web, &caller, &call.to_string(), "").await?;
    Ok(show(StatusCode::OK, &shown))
}

/// Opens what only auditors may see, once that is recorded.
pub(super) async fn open(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Path(call): Path<String>,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    check(&web, &caller, &form.csrf)?;
    let call: CallId = call.parse().map_err(|_| Error::NotFound)?;
    let opened = match web.audit.open(&caller, call).await {
        Ok(opened) => opened,
        Err(OpenError::Missing) => return Err(Error::NotFound),
        Err(OpenError::Refused) => {
            return Ok(refused(
                &web,
                &caller,
                "Only auditors may open recorded arguments and results. Ask an auditor of your organization.",
            ));
        }
        Err(OpenError::Audit(error)) => return Err(error.into()),
    };
    let mut shown = Shown::of(&web, &caller, call).await?;
    shown.opened = Some(told(&opened));
    Ok(show(StatusCode::OK, &shown))
}

fn told(opened: &Opened) -> (String, String) {
    let text = |value: &Value| {
        if value.is_null() {
            String::new()
        } else {
            serde_json::to_string_pretty(value).unwrap_or_default()
        }
    };
    (text(&opened.arguments), text(&opened.detail))
}

impl Shown {
    async fn of(web: &Web, caller: &Caller, call: CallId) -> Result<Self, Error> {
        let record = web.audit.read(caller.org, call).await?;
        let record = record.ok_or(Error::NotFound)?;
        let names = Names::of(web, caller).await?;
        let row = &record.row;
        let kept = [record.arguments, record.detail].contains(&Payload::Kept);
        let erased = [record.arguments, record.detail].contains(&Payload::Erased);
        let open = row.outcome.is_none();
        let outcome = row.outcome.clone().unwrap_or_default();
        Ok(Self {
            page: Page::of(web, Some(caller)).at(Place::Audit),
            call: call.to_string(),
            title: row.tool.clone().unwrap_or_else(|| row.kind.clone()),
            ok: outcome == "ok",
            open,
            thread_path: row
                .thread
                .as_deref()
                .and_then(|thread| thread_path(thread, row.user_id.map(|id| id.to_string()))),
            payload: match (kept, erased) {
                (true, false) => "are kept.",
                (true, true) => "are kept in part; the rest was erased.",
                (false, true) => "were erased, as the log itself records.",
                (false, false) => "were not recorded for this.",
            },
            can_open: kept && caller.role == Role::Auditor,
            is_auditor: caller.role == Role::Auditor,
            opened: None,
            others: record.others.clone(),
            sections: vec![
                ("Who and what", who(&record, &names)),
                ("How it went", went(&record)),
                ("In the log", chained(&record)),
            ],
            outcome,
        })
    }
}

fn object(facts: &str) -> Value {
    serde_json::from_str(facts).unwrap_or_default()
}

fn who(record: &Record, names: &Names) -> Vec<Fact> {
    let row = &record.row;
    let of_intent = record
        .intent
        .as_ref()
        .map_or_else(|| object(&row.facts), |intent| object(&intent.facts));
    let text = |name: &str| of_intent[name].as_str().map(str::to_owned);
    let mut facts = Vec::new();
    match row.user_id {
        Some(id) => {
            let person = names.person(id);
            facts.push(link("Person", person, &[("person", &id.to_string())]));
        }
        None => facts.push(fact(
            "Person",
            "the server itself, or a command on its machine",
        )),
    }
    facts.push(link("Kind", row.kind.clone(), &[("kind", &row.kind)]));
    if let Some(target) = text("target") {
        facts.push(fact("About", target));
    }
    if let Some(tool) = &row.tool {
        facts.push(link("Tool or block", tool.clone(), &[("tool", tool)]));
    }
    if let Some(integration) = row.integration.as_ref().filter(|id| !id.is_empty()) {
        let query = [("integration", integration.as_str())];
        facts.push(link("Integration", integration.clone(), &query));
    }
    if let Some(id) = row.connection_id {
        let query = [("account", id.to_string())];
        let query = [(query[0].0, query[0].1.as_str())];
        facts.push(link("Account", names.account(id), &query));
    }
    if let Some(effect) = &row.effect {
        facts.push(fact("Effect", effect.clone()));
    }
    if let Some(thread) = &row.thread {
        facts.push(link("Thread", thread.clone(), &[("thread", thread)]));
    }
    for (name, key) in [
        ("Client", "client"),
        ("Protocol", "protocol"),
        ("Came over", "transport"),
        ("Signed in by", "grant"),
        ("Provider", "provider"),
    ] {
        if let Some(value) = text(key) {
            facts.push(fact(name, value));
        }
    }
    facts.push(code("Call", row.call_id.to_string()));
    facts
}

fn went(record: &Record) -> Vec<Fact> {
    let row = &record.row;
    let measured = object(&row.facts);
    let whole = |name: &str| measured[name].as_i64();
    let mut facts = Vec::new();
    if let Some(intent) = &record.intent {
        facts.push(fact("Intent recorded", intent.at.rfc3339()));
    }
    if let Some(outcome) = &row.outcome {
        facts.push(fact("Outcome recorded", row.at.rfc3339()));
        facts.push(link("Outcome", outcome.clone(), &[("outcome", outcome)]));
    } else {
        facts.push(fact("Intent recorded", row.at.rfc3339()));
        facts.push(fact(
            "Outcome",
            "none yet: it is under way, or its process ended and the call will be closed as unknown",
        ));
    }
    if row.tool.is_some() {
        let decision = match row.outcome.as_deref() {
            Some("blocked_by_policy") => "refused by a rule",
            Some("approval_required") => "a rule asks a person first, and nobody had said yes",
            _ if record.approval.is_some() => "allowed by a person's yes",
            Some("unknown_tool") => "not decided: no tool has this name",
            _ => "not refused",
        };
        facts.push(fact("Policy", decision));
    }
    if let Some(approval) = record.approval {
        facts.push(code("Approval", approval.to_string()));
    }
    if let Some(first) = record.replayed {
        facts.push(Fact {
            href: Some(format!("/{first}")),
            ..code("Repeats the answer of", first.to_string())
        });
    }
    if let Some(micros) = whole("duration_us") {
        facts.push(fact("Took", duration(micros)));
    }
    for (name, key) in [
        ("Requests to the provider", "upstream_requests"),
        ("Last answer of the provider", "upstream_status"),
        ("Bytes from the provider", "bytes_in"),
        ("Bytes answered", "bytes_out"),
    ] {
        if let Some(value) = whole(key) {
            facts.push(fact(name, number(value)));
        }
    }
    if let Some(items) = record.items {
        facts.push(fact("Records answered", number(items)));
    }
    if let Some(closed) = measured["closed"].as_str() {
        facts.push(fact("Closed", closed.to_owned()));
    }
    facts
}

fn chained(record: &Record) -> Vec<Fact> {
    let row = &record.row;
    let mut facts = vec![fact("Number", number(row.seq))];
    if let Some(intent) = &record.intent {
        facts.push(fact("Number of the intent", number(intent.seq)));
    }
    facts.push(code("Hash", hex(&row.hash)));
    facts.push(code("Hash before it", hex(&record.previous)));
    if let Some(commitment) = &row.commitment {
        facts.push(code("Commitment to its details", hex(commitment)));
    }
    if let Some(commitment) = record.intent.as_ref().and_then(|intent| intent.commitment) {
        facts.push(code("Commitment to its arguments", hex(&commitment)));
    }
    facts.push(fact(
        "Link to the record before it",
        if record.holds {
            "holds"
        } else {
            "does not hold: this record or the one before it was changed. Verify the chain"
        },
    ));
    facts.push(match &record.checkpoint {
        Some(checkpoint) => fact(
            "Signed by",
            format!(
                "the checkpoint at {} of {}, key {}",
                number(checkpoint.seq),
                checkpoint.at.rfc3339(),
                checkpoint.key_id
            ),
        ),
        None => fact(
            "Signed by",
            "no checkpoint yet; the next one follows within a minute or so",
        ),
    });
    facts
}

#[derive(Template)]
#[template(path = "audit/thread.html", config = "src/web/askama.toml")]
struct Story {
    page: Page,
    thread: String,
    path: String,
    /// Whose it is; nobody, when it has to be chosen.
    person: Option<String>,
    /// Everybody who has a conversation of this name: id, address, calls.
    people: Vec<(String, String, i64)>,
    rows: Vec<Row>,
    /// Where the next calls are.
    next: Option<String>,
    began: String,
}

/// The calls of one person's conversation, in order. A conversation's name is the client's, so two people may use the same;
/// they are told apart.
pub(super) async fn thread(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Path(thread): Path<String>,
    asked: Asked,
) -> Result<Response, Error> {
    if thread.contains('\0') {
        return Err(Error::NotFound);
    }
    let people = web.audit.thread_people(caller.org, &thread).await?;
    let names = Names::of(&web, &caller).await?;
    let wanted = asked.get("person").parse::<UserId>().ok();
    let person = match (wanted, people.as_slice()) {
        (_, []) => return Err(Error::NotFound),
        (Some(wanted), people) => {
            if !people.iter().any(|(user, _)| *user == wanted) {
                return Err(Error::NotFound);
            }
            Some(wanted)
        }
        (None, [(only, _)]) => Some(*only),
        (None, _) => None,
    };
    let mut story = Story {
        page: Page::of(&web, Some(&caller)).at(Place::Audit),
        path: thread_path(&thread, None).ok_or(Error::NotFound)?,
        person: person.map(|id| names.person(id)),
        people: people
            .iter()
            .map(|(id, calls)| (id.to_string(), names.person(*id), *calls))
            .collect(),
        rows: Vec::new(),
        next: None,
        began: String::new(),
        thread,
    };
    if let Some(user) = person {
        let look = Look {
            search: Search {
                user: Some(user),
                thread: Some(story.thread.clone()),
                ..Search::default()
            },
            since: None,
            until: None,
            beyond: asked.seq("after"),
            order: Order::Up,
            limit: STEPS,
        };
        let found = web.audit.look(caller.org, &look).await?;
        story.began = found
            .lines
            .first()
            .map(|line| brief(line.at))
            .unwrap_or_default();
        story.rows = found
            .lines
            .iter()
            .map(|line| Row::of(line, &names, &Asked::default()))
            .collect();
        story.next = match found.beyond {
            Beyond::Nothing => None,
            Beyond::More(seq) | Beyond::Searched(seq, _) => {
                Some(format!("{}{user}&after={seq}", story.path))
            }
        };
    }
    looked(&web, &caller, "thread", &story.thread).await?;
    Ok(show(StatusCode::OK, &story))
}
