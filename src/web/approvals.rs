//! The page that asks a person whether a call may happen, and the list of such questions. Everything that the yes is bound
//! to is shown in full, beside what the tool itself says that it would do.

use std::fmt::Write as _;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::Web;
use super::error::Error;
use super::pages::{self, Message, Page, Place, show};
use super::session::SignedIn;
use super::tryit;
use crate::approvals::{ApprovalRow, ApprovalState, Approver, Refused};
use crate::caller::Caller;
use crate::calls::{Answer, CallError, Waiting};
use crate::ids::ApprovalId;
use crate::integrations;
use crate::kit::schema;
use crate::kit::text;

/// Longest value of a dry run that is shown, in characters. Arguments are never shortened.
const SHOWN: usize = 4_000;

#[derive(Template)]
#[template(path = "approvals.html", config = "src/web/askama.toml")]
struct Inbox {
    page: Page,
    waiting: Vec<Line>,
    past: Vec<Line>,
}

/// A question in a list.
struct Line {
    id: ApprovalId,
    title: &'static str,
    tool: String,
    account: String,
    asked_at: String,
    state: &'static str,
    for_admin: bool,
}

#[derive(Template)]
#[template(path = "approval.html", config = "src/web/askama.toml")]
struct Question {
    page: Page,
    id: ApprovalId,
    title: &'static str,
    tool: String,
    /// What the tool does, in its own words.
    does: String,
    service: String,
    integration: String,
    effect: &'static str,
    account: String,
    asked_by: String,
    client: String,
    thread: Option<String>,
    why: String,
    asked_at: String,
    expires_at: String,
    state: &'static str,
    /// `None` once they are erased.
    arguments: Option<Vec<(String, String)>>,
    preview: Preview,
    may_decide: bool,
    for_admin: bool,
}

/// What the tool's dry run says.
enum Preview {
    /// It has none, or the question is over.
    None,
    /// It is made when the admin says so, for it reads with somebody else's account.
    Offered,
    /// It failed; so would the call.
    Fails(String),
    /// What would be done.
    Shows {
        records: Vec<Would>,
        warnings: Vec<String>,
    },
}

/// One record of a dry run.
struct Would {
    name: String,
    changes: Vec<Change>,
    facts: Vec<(String, String)>,
}

/// A value that would change.
struct Change {
    field: String,
    before: String,
    after: String,
}

/// What waits for this person, and what they decided lately.
pub(super) async fn inbox(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
) -> Result<Response, Error> {
    let (waiting, past) = web.calls.approvals().inbox(&caller).await?;
    let now = web.calls.now();
    let line = |row: ApprovalRow| Line {
        id: row.id,
        title: title(&row),
        state: row.state_at(now).as_str(),
        for_admin: row.approver == Approver::Admin,
        tool: row.tool,
        account: text::visible(row.account),
        asked_at: row.created_at.rfc3339(),
    };
    Ok(show(
        StatusCode::OK,
        &Inbox {
            page: Page::of(&web, Some(&caller)).at(Place::Approvals),
            waiting: waiting.into_iter().map(line).collect(),
            past: past.into_iter().map(line).collect(),
        },
    ))
}

/// One question, in full.
pub(super) async fn question(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let waiting = match web.calls.waiting(&caller, known(&id)?).await {
        Ok(waiting) => waiting,
        Err(refused) => return answer(&web, &caller, refused),
    };
    let state = waiting.row.state_at(web.calls.now());
    // The dry run reads at the provider, so it is only made for somebody who has to decide.
    let preview = match (
        state == ApprovalState::Waiting && waiting.may_decide,
        &waiting,
    ) {
        (true, waiting) if waiting.row.user_id == caller.user => {
            preview(web.calls.preview(&caller, waiting).await?)
        }
        (true, waiting) if waiting.has_dry_run() => Preview::Offered,
        _ => Preview::None,
    };
    let page = Page::of(&web, Some(&caller)).at(Place::Approvals);
    Ok(show(StatusCode::OK, &asked(page, waiting, state, preview)))
}

fn asked(page: Page, waiting: Waiting, state: ApprovalState, preview: Preview) -> Question {
    let Waiting {
        row,
        asked_by,
        tool,
        arguments,
        may_decide,
    } = waiting;
    Question {
        page,
        id: row.id,
        title: title(&row),
        does: tool.map_or_else(String::new, |(_, def)| schema::description(def)),
        service: tool.map_or_else(
            || row.integration.clone(),
            |(known, _)| known.name.to_owned(),
        ),
        effect: tool.map_or("", |(_, def)| def.effect.as_str()),
        tool: row.tool,
        integration: row.integration,
        account: text::visible(row.account),
        asked_by,
        client: text::visible(row.client),
        thread: row.thread.map(text::visible),
        why: text::visible(row.why),
        asked_at: row.created_at.rfc3339(),
        expires_at: row.expires_at.rfc3339(),
        state: state.as_str(),
        arguments: arguments.map(|arguments| {
            let shown = arguments.iter();
            shown
                .map(|(name, value)| (name.clone(), whole(value)))
                .collect()
        }),
        preview,
        may_decide,
        for_admin: row.approver == Approver::Admin,
    }
}

#[derive(Deserialize)]
pub(super) struct Decision {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    decision: String,
}

/// Takes the yes or the no.
pub(super) async fn decide(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Decision>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let id = known(&id)?;
    if form.decision == "preview" {
        return looked(&web, &caller, id).await;
    }
    let yes = match form.decision.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(Error::Foreign),
    };
    let row = match web.calls.decide(&caller, id, yes).await {
        Ok(row) => row,
        Err(refused) => return answer(&web, &caller, refused),
    };
    let (title, tone, line) = if yes {
        (
            "Approved",
            "good",
            format!(
                "{} may happen once, exactly as it was shown, until {}. The client goes on by itself or when the call is repeated.",
                title(&row),
                row.expires_at.rfc3339()
            ),
        )
    } else {
        (
            "Denied",
            "good",
            format!(
                "{} does not happen. The client is told when it asks again.",
                title(&row)
            ),
        )
    };
    let mut message = said(&web, &caller, title, tone, line, true);
    if yes && row.user_id == caller.user && row.client == tryit::CLIENT {
        let back = format!("{}try/{}?approval={id}", message.page.base, row.tool);
        message
            .actions
            .insert(0, ("Go on with the call".to_owned(), back));
    }
    Ok(show(StatusCode::OK, &message))
}

/// The question with the dry run that an admin asked for.
async fn looked(web: &Web, caller: &Caller, id: ApprovalId) -> Result<Response, Error> {
    let waiting = match web.calls.waiting(caller, id).await {
        Ok(waiting) => waiting,
        Err(refused) => return answer(web, caller, refused),
    };
    let state = waiting.row.state_at(web.calls.now());
    if !waiting.may_decide {
        return answer(web, caller, Refused::NotYours);
    }
    if state != ApprovalState::Waiting {
        return answer(web, caller, Refused::Over(state));
    }
    let approvals = web.calls.approvals();
    approvals.previewed(caller, &waiting.row).await?;
    let preview = preview(web.calls.preview(caller, &waiting).await?);
    let page = Page::of(web, Some(caller)).at(Place::Approvals);
    Ok(show(StatusCode::OK, &asked(page, waiting, state, preview)))
}

fn known(id: &str) -> Result<ApprovalId, Error> {
    id.parse().map_err(|_| Error::NotFound)
}

fn title(row: &ApprovalRow) -> &'static str {
    integrations::tool(&row.tool).map_or("A call", |(_, def)| def.title)
}

/// The page of somebody whose look or decision does not count.
fn answer(web: &Web, caller: &Caller, refused: Refused) -> Result<Response, Error> {
    let (status, title, line) = match refused {
        Refused::Unknown => return Err(Error::NotFound),
        Refused::Failed(error) => return Err(Error::Internal(Box::new(error))),
        Refused::NotYours => (
            StatusCode::FORBIDDEN,
            "This is not yours to decide",
            "The question was put to somebody else. Sign in as the person who was asked, or pass the link on to them.".to_owned(),
        ),
        Refused::Over(ApprovalState::Expired) => (
            StatusCode::GONE,
            "Too late",
            "This question has expired. Let the client ask again.".to_owned(),
        ),
        Refused::Over(state) => (
            StatusCode::CONFLICT,
            "Decided already",
            format!("This question is {} already; nothing was changed now.", state.as_str()),
        ),
        Refused::NoLongerAllowed(why) => (
            StatusCode::CONFLICT,
            "No longer allowed",
            format!("The call would be refused all the same: {why}."),
        ),
    };
    Ok(show(status, &said(web, caller, title, "bad", line, false)))
}

fn said(
    web: &Web,
    caller: &Caller,
    title: &str,
    tone: &'static str,
    line: String,
    close: bool,
) -> Message {
    Message {
        page: Page::of(web, Some(caller)),
        title: title.to_owned(),
        tone,
        lines: vec![line],
        actions: vec![("Approvals".to_owned(), web.links.approvals())],
        close,
    }
}

fn preview(answered: Option<Result<Answer, CallError>>) -> Preview {
    let output = match answered {
        None => return Preview::None,
        Some(Err(error)) => return Preview::Fails(error.message),
        Some(Ok(answer)) => answer.output,
    };
    let records = output.items.into_iter().map(|item| {
        let mut would = Would {
            name: text::visible(item.url.unwrap_or(item.id)),
            changes: Vec::new(),
            facts: Vec::new(),
        };
        for (name, value) in item.fields {
            split(name, &value, &mut would);
        }
        would
    });
    Preview::Shows {
        records: records.collect(),
        warnings: output.warnings,
    }
}

/// Finds what has a before and an after, at the top or one level below; everything else is a fact.
fn split(name: String, value: &Value, would: &mut Would) {
    if let Some(change) = change(&name, value) {
        would.changes.push(change);
        return;
    }
    if let Value::Object(map) = value
        && !map.is_empty()
        && let Some(changes) = map
            .iter()
            .map(|(field, value)| change(field, value))
            .collect::<Option<Vec<_>>>()
    {
        would.changes.extend(changes);
        return;
    }
    would.facts.push((name, short(value)));
}

fn change(field: &str, value: &Value) -> Option<Change> {
    let map = value.as_object()?;
    let both = map.contains_key("before") || map.contains_key("after");
    let only = map.keys().all(|key| key == "before" || key == "after");
    (both && only).then(|| {
        let shown = |key: &str| map.get(key).map(short).unwrap_or_default();
        Change {
            field: field.to_owned(),
            before: shown("before"),
            after: shown("after"),
        }
    })
}

/// A value as people read it, shortened.
fn short(value: &Value) -> String {
    text::clip(&whole(value), SHOWN)
}

/// A value as people read it, whole: text as it is, with what cannot be seen made visible, and everything else as JSON.
fn whole(value: &Value) -> String {
    match value {
        Value::String(plain) => revealed(plain),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => {
            revealed(&serde_json::to_string_pretty(value).unwrap_or_default())
        }
    }
}

/// What is approved must be what is seen: characters that are invisible or turn the reading direction are written out, not
/// left out as in answers.
pub(super) fn revealed(plain: &str) -> String {
    let mut shown = String::with_capacity(plain.len());
    for letter in plain.chars() {
        let kept = !text::visible(letter.to_string()).is_empty();
        if kept {
            shown.push(letter);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(letter));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        for (plain, shown) in [
            ("plain\ntext\t1", "plain\ntext\t1"),
            ("pay\u{200b}roll", "pay\\u{200b}roll"),
            ("abc\u{202e}def", "abc\\u{202e}def"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("bell\u{7}", "bell\\u{7}"),
            ("Grüße 日本", "Grüße 日本"),
        ] {
            assert_eq!(revealed(plain), shown);
        }
    }

    #[test]
    fn before_and_after_are_found() {
        let mut would = Would {
            name: String::new(),
            changes: Vec::new(),
            facts: Vec::new(),
        };
        for (name, value) in [
            ("title", json!({ "before": "a", "after": "b" })),
            (
                "changes",
                json!({ "x": { "before": 1, "after": 2 }, "y": { "after": "new" } }),
            ),
            ("would", json!("update")),
            ("mixed", json!({ "before": 1, "other": 2 })),
        ] {
            split(name.to_owned(), &value, &mut would);
        }
        let changes: Vec<_> = would
            .changes
            .iter()
            .map(|one| (one.field.as_str(), one.before.as_str(), one.after.as_str()))
            .collect();
        assert_eq!(
            changes,
            [("title", "a", "b"), ("x", "1", "2"), ("y", "", "new")]
        );
        let facts: Vec<_> = would.facts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(facts, ["would", "mixed"]);
    }
}
