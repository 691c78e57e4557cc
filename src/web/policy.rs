//! The admins' page of what the organization allows: rules, switches, caps, limits, and why a call would be allowed or not.

use std::num::NonZeroU32;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Router};
use http::StatusCode;
use serde::Deserialize;

use super::Web;
use super::error::Error;
use super::pages::{Page, Place, sentence, show};
use super::routing::{get, post};
use super::session::{Admin, TokenForm};
use crate::audit::Actor;
use crate::auth::AuthError;
use crate::caller::{Caller, Role};
use crate::calls::Explanation;
use crate::ids::RuleId;
use crate::integrations;
use crate::kit::integration::Integration;
use crate::policy::{Cap, EffectWord, Per, Rule, Subject, Verdict};
use crate::rulebook::{Draft, Invalid, RulebookError};

/// Most calls that a cap or a limit can say.
const MOST_CALLS: u32 = 1_000_000;

/// The routes of this page.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/policy", get(list))
        .route("/admin/policy/rules", post(add))
        .route("/admin/policy/rules/{id}/remove", post(remove))
        .route("/admin/policy/read-only", post(read_only))
        .route("/admin/policy/after-untrusted", post(after_untrusted))
        .route("/admin/policy/track-mail", post(track_mail))
        .route("/admin/policy/caps", post(cap))
        .route("/admin/policy/limits", post(limits))
}

#[derive(Template)]
#[template(path = "policy.html", config = "src/web/askama.toml")]
struct Policy {
    page: Page,
    read_only: bool,
    ask_after_untrusted: bool,
    track_mail: bool,
    rules: Vec<Row>,
    verdicts: [&'static str; 4],
    effects: [&'static str; 3],
    /// Whom a rule can be for: value and title.
    people: Vec<(String, String)>,
    /// Where a rule can apply: `integration` or `integration/toolset`, and the title.
    places: Vec<(String, String)>,
    tools: Vec<&'static str>,
    /// Of these, the ones that reach people outside.
    outward: Vec<&'static str>,
    caps: Vec<CapRow>,
    /// What was written into the form for a new rule.
    draft: Draft,
    cap: CapForm,
    limits: LimitsForm,
    /// What is wrong, and with which form.
    wrong: Option<(Part, String)>,
    asked: Asked,
    explained: Option<Explanation>,
    unexplained: Option<String>,
}

/// A form of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Rules,
    Caps,
    Limits,
}

struct CapRow {
    tools: String,
    per: &'static str,
    calls_a_day: NonZeroU32,
    /// Of a cap per person, by the one who has called most.
    used: i64,
}

impl From<(Cap, i64)> for CapRow {
    fn from((cap, used): (Cap, i64)) -> Self {
        Self {
            tools: cap.tools.to_string(),
            per: cap.per.as_str(),
            calls_a_day: cap.calls_a_day,
            used,
        }
    }
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
    fn problem(&self, part: Part) -> Option<&str> {
        let (at, said) = self.wrong.as_ref()?;
        (*at == part).then_some(said)
    }

    fn is_place(&self, value: &str) -> bool {
        let (integration, toolset) = value.split_once('/').unwrap_or((value, ""));
        self.draft.integration == integration && self.draft.toolset == toolset
    }

    async fn of(web: &Web, caller: &Caller) -> Result<Self, Error> {
        let rules = web.rulebook.rules(caller.org).await?;
        let roles = [Role::Member, Role::Admin, Role::Auditor].map(Role::as_str);
        let roles = roles.map(|role| (format!("role:{role}"), format!("role {role}")));
        let groups = web.auth.groups(caller.org).await?;
        let groups = groups.into_iter().map(|group| {
            (
                format!("group:{}", group.name),
                format!("group {}", group.name),
            )
        });
        let caps = web.rulebook.caps_today(caller.org).await?;
        let text =
            |rate: Option<NonZeroU32>| rate.map_or_else(String::new, |rate| rate.to_string());
        Ok(Self {
            page: Page::of(web, Some(caller)).at(Place::Policy),
            read_only: rules.read_only,
            ask_after_untrusted: rules.ask_after_untrusted,
            track_mail: rules.track_mail,
            rules: rules.iter().map(Row::from).collect(),
            verdicts: Verdict::ALL.map(Verdict::as_str),
            effects: EffectWord::ALL.map(EffectWord::as_str),
            people: roles.into_iter().chain(groups).collect(),
            places: places(),
            tools: everything().map(|subject| subject.name).collect(),
            outward: outward().collect(),
            caps: caps.into_iter().map(CapRow::from).collect(),
            draft: Draft::default(),
            cap: CapForm::default(),
            limits: LimitsForm {
                csrf: String::new(),
                person: text(rules.rates.person),
                integration: text(rules.rates.integration),
            },
            wrong: None,
            asked: Asked::default(),
            explained: None,
            unexplained: None,
        })
    }
}

fn places() -> Vec<(String, String)> {
    let of = |integration: &&'static Integration| {
        let (id, name) = (integration.id, integration.name);
        let sets = integration.toolsets.iter();
        let sets =
            sets.map(move |set| (format!("{id}/{}", set.id), format!("{name}: {}", set.title)));
        std::iter::once((id.to_owned(), name.to_owned())).chain(sets)
    };
    integrations::ALL.iter().flat_map(of).collect()
}

fn everything() -> impl Iterator<Item = Subject> {
    integrations::ALL.iter().copied().flat_map(Subject::all)
}

fn outward() -> impl Iterator<Item = &'static str> {
    let tools = integrations::ALL.iter().flat_map(|one| one.tools());
    tools.filter(|tool| tool.outward).map(|tool| tool.name)
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
#[derive(Deserialize, Default)]
#[serde(default)]
struct NewRule {
    csrf: String,
    decision: String,
    who: String,
    /// `integration` or `integration/toolset`.
    place: String,
    tool: String,
    effect: String,
    note: String,
}

async fn add(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<NewRule>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    let (integration, toolset) = form.place.split_once('/').unwrap_or((&form.place, ""));
    let draft = Draft {
        who: form.who,
        integration: integration.to_owned(),
        toolset: toolset.to_owned(),
        tool: form.tool.trim().to_owned(),
        effect: form.effect,
        verdict: form.decision,
        note: form.note,
    };
    let added = web
        .rulebook
        .add(Actor::from(&caller), caller.org, draft.clone())
        .await;
    done(&web, &caller, Part::Rules, added, |page| page.draft = draft).await
}

/// Leads back to the page, or shows it with what was written and what is wrong with it.
async fn done<T>(
    web: &Web,
    caller: &Caller,
    part: Part,
    result: Result<T, RulebookError>,
    written: impl FnOnce(&mut Policy),
) -> Result<Response, Error> {
    match result {
        Ok(_) => Ok(back(web)),
        Err(error @ (RulebookError::Invalid(_) | RulebookError::Missing(_))) => {
            let mut page = Policy::of(web, caller).await?;
            page.wrong = Some((part, sentence(&error.to_string())));
            written(&mut page);
            Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(error @ (RulebookError::Audit(_) | RulebookError::Store(_))) => Err(error.into()),
    }
}

/// A cap as the form has it; without a number it is removed.
#[derive(Deserialize, Default)]
#[serde(default)]
struct CapForm {
    csrf: String,
    tools: String,
    per: String,
    calls: String,
}

async fn cap(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<CapForm>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    let set = match (number(&form.calls), Per::parse(&form.per)) {
        (Ok(calls), Some(per)) => {
            let by = Actor::from(&caller);
            let tools = form.tools.trim();
            web.rulebook
                .set_cap(by, caller.org, tools, per, calls)
                .await
        }
        (Err(said), _) => Err(said.into()),
        (_, None) => Err(Invalid("a cap counts per person or per organization".to_owned()).into()),
    };
    done(&web, &caller, Part::Caps, set, |page| page.cap = form).await
}

/// Limits as the form has them; empty sets none.
#[derive(Deserialize, Default)]
#[serde(default)]
struct LimitsForm {
    csrf: String,
    person: String,
    integration: String,
}

async fn limits(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<LimitsForm>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    let set = match (number(&form.person), number(&form.integration)) {
        (Ok(person), Ok(integration)) => {
            let (by, org) = (Actor::from(&caller), caller.org);
            match web.rulebook.set_person_rate(by, org, person).await {
                Ok(_) => {
                    let by = Actor::from(&caller);
                    web.rulebook
                        .set_integration_rate(by, org, integration)
                        .await
                }
                Err(error) => Err(error),
            }
        }
        (Err(said), _) | (_, Err(said)) => Err(said.into()),
    };
    done(&web, &caller, Part::Limits, set, |page| page.limits = form).await
}

/// A number of calls; `None` when nothing is written.
fn number(text: &str) -> Result<Option<NonZeroU32>, Invalid> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text
        .parse()
        .ok()
        .filter(|calls: &NonZeroU32| calls.get() <= MOST_CALLS);
    number.map(Some).ok_or_else(|| {
        Invalid(format!(
            "write a whole number of calls from 1 to {MOST_CALLS}, or nothing"
        ))
    })
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
struct SwitchForm {
    #[serde(default)]
    csrf: String,
    /// `on` or `off`.
    state: String,
}

async fn read_only(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<SwitchForm>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    web.rulebook
        .set_read_only(Actor::from(&caller), caller.org, form.state == "on")
        .await?;
    Ok(back(&web))
}

async fn after_untrusted(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<SwitchForm>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    web.rulebook
        .set_ask_after_untrusted(Actor::from(&caller), caller.org, form.state == "on")
        .await?;
    Ok(back(&web))
}

async fn track_mail(
    State(web): State<Web>,
    Admin(caller): Admin,
    Form(form): Form<SwitchForm>,
) -> Result<Response, Error> {
    guard(&web, &caller, &form.csrf)?;
    web.rulebook
        .set_track_mail(Actor::from(&caller), caller.org, form.state == "on")
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
