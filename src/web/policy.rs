//! The admins' page of what the organization allows: rules, the read-only switch, and why a call would be allowed or not.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use serde::Deserialize;

use super::Web;
use super::error::Error;
use super::pages::{Page, Place, show};
use super::session::{Admin, TokenForm};
use crate::audit::Actor;
use crate::auth::AuthError;
use crate::caller::{Caller, Role};
use crate::calls::Explanation;
use crate::ids::RuleId;
use crate::integrations;
use crate::policy::{EffectWord, Rule, Verdict};
use crate::rulebook::{Draft, RulebookError};

/// The routes of this page.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/policy", get(list))
        .route("/admin/policy/rules", post(add))
        .route("/admin/policy/rules/{id}/remove", post(remove))
        .route("/admin/policy/read-only", post(read_only))
}

#[derive(Template)]
#[template(path = "policy.html", config = "src/web/askama.toml")]
struct Policy {
    page: Page,
    read_only: bool,
    rules: Vec<Row>,
    verdicts: [&'static str; 4],
    roles: [&'static str; 3],
    effects: [&'static str; 3],
    integrations: Vec<&'static str>,
    toolsets: Vec<&'static str>,
    /// What was written into the form for a new rule.
    draft: Draft,
    /// What is wrong with it.
    problem: Option<String>,
    asked: Asked,
    explained: Option<Explanation>,
    unexplained: Option<String>,
}

struct Row {
    id: String,
    verdict: &'static str,
    words: String,
    note: String,
}

impl From<&Rule> for Row {
    fn from(rule: &Rule) -> Self {
        Self {
            id: rule.id.to_string(),
            verdict: rule.verdict.as_str(),
            words: format!("{}: {}", rule.who, rule.target),
            note: rule.note.clone(),
        }
    }
}

/// Which call to explain.
#[derive(Deserialize, Default)]
struct Asked {
    #[serde(default)]
    user: String,
    #[serde(default)]
    tool: String,
}

impl Policy {
    async fn of(web: &Web, caller: &Caller) -> Result<Self, Error> {
        let rules = web.rulebook.rules(caller.org).await?;
        let mut toolsets: Vec<_> = integrations::ALL
            .iter()
            .flat_map(|integration| integration.toolsets)
            .map(|set| set.id)
            .collect();
        toolsets.sort_unstable();
        toolsets.dedup();
        Ok(Self {
            page: Page::of(web, Some(caller)).at(Place::Policy),
            read_only: rules.read_only,
            rules: rules.iter().map(Row::from).collect(),
            verdicts: Verdict::ALL.map(Verdict::as_str),
            roles: [Role::Member, Role::Admin, Role::Auditor].map(Role::as_str),
            effects: EffectWord::ALL.map(EffectWord::as_str),
            integrations: integrations::ALL.iter().map(|one| one.id).collect(),
            toolsets,
            draft: Draft::default(),
            problem: None,
            asked: Asked::default(),
            explained: None,
            unexplained: None,
        })
    }
}

async fn list(
    State(web): State<Web>,
    Admin(caller): Admin,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let mut page = Policy::of(&web, &caller).await?;
    if !asked.user.is_empty() || !asked.tool.is_empty() {
        match explain(&web, &caller, &asked).await? {
            Ok(explained) => page.explained = Some(explained),
            Err(problem) => page.unexplained = Some(problem),
        }
    }
    page.asked = asked;
    Ok(show(StatusCode::OK, &page))
}

/// Why this person's call would be allowed or not, or what is wrong with the question.
async fn explain(
    web: &Web,
    caller: &Caller,
    asked: &Asked,
) -> Result<Result<Explanation, String>, Error> {
    let person = match web.auth.person(caller.org, &asked.user).await {
        Ok(person) => person,
        Err(AuthError::Store(error)) => return Err(error.into()),
        Err(_) => {
            return Ok(Err(
                "Nobody here has this address. Check how it is written.".to_owned(),
            ));
        }
    };
    let caller = web.auth.local_caller(&person).await?;
    let explained = web.calls.why(&caller, asked.tool.trim()).await?;
    Ok(explained.ok_or_else(|| {
        "No tool or block has this name. Use the name that clients show.".to_owned()
    }))
}

/// A new rule as the form has it.
#[derive(Deserialize)]
struct NewRule {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    who: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    integration: String,
    #[serde(default)]
    toolset: String,
    #[serde(default)]
    tool: String,
    #[serde(default)]
    effect: String,
    #[serde(default)]
    note: String,
}

async fn add(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<NewRule>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    let group = form.group.trim();
    let draft = Draft {
        who: if group.is_empty() {
            form.who
        } else {
            format!("group:{group}")
        },
        integration: form.integration,
        toolset: form.toolset,
        tool: form.tool.trim().to_owned(),
        effect: form.effect,
        verdict: form.decision,
        note: form.note,
    };
    let added = web
        .rulebook
        .add(Actor::from(&caller), caller.org, draft.clone())
        .await;
    match added {
        Ok(_) => Ok(back(&web)),
        Err(error @ (RulebookError::Invalid(_) | RulebookError::Missing(_))) => {
            let mut page = Policy::of(&web, &caller).await?;
            page.problem = Some(error.to_string());
            page.draft = draft;
            Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(error) => Err(error.into()),
    }
}

async fn remove(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<RuleId>,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    let removed = web
        .rulebook
        .remove(Actor::from(&caller), caller.org, id)
        .await;
    match removed {
        // Somebody else was faster: it is gone, as was wanted.
        Ok(_) | Err(RulebookError::Missing(_)) => Ok(back(&web)),
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
struct ReadOnlyForm {
    #[serde(default)]
    csrf: String,
    /// `on` or `off`.
    state: String,
}

async fn read_only(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<ReadOnlyForm>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    web.rulebook
        .set_read_only(Actor::from(&caller), caller.org, form.state == "on")
        .await?;
    Ok(back(&web))
}

fn guard(web: &Web, caller: &Caller, csrf: &str) -> Result<(), Error> {
    if web.auth.is_form_token(caller, csrf) {
        Ok(())
    } else {
        Err(Error::Foreign)
    }
}

/// To the page again, so that reloading it repeats nothing.
fn back(web: &Web) -> Response {
    let base = Page::of(web, None).base;
    Redirect::to(&format!("{base}admin/policy")).into_response()
}
