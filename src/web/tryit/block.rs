//! The page of one context block: its address from its parts, each completed as clients complete it, and what it says.

use std::time::Instant;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::shown::Shown;
use super::typed::Typed;
use super::{Entry, accounts, context, is_accounts, not_offered, run, words};
use crate::caller::Caller;
use crate::calls::ACCOUNTS_URI;
use crate::integrations;
use crate::kit::block::BlockDef;
use crate::kit::integration::Integration;
use crate::kit::uri;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{self, Page, Place, show};
use crate::web::session::SignedIn;

/// Suggestions shown at once without a script.
const SUGGESTED: usize = 20;

#[derive(Template)]
#[template(path = "try_block.html", config = "src/web/askama.toml")]
struct BlockPage {
    page: Page,
    name: String,
    title: &'static str,
    does: &'static str,
    integration: &'static str,
    service: &'static str,
    template: &'static str,
    mime: &'static str,
    fields: Vec<Field>,
    problem: Option<String>,
    shown: Option<Shown>,
}

/// A part of the address.
struct Field {
    name: &'static str,
    value: String,
    /// Whether it may stay empty.
    optional: bool,
    /// The person's accounts; of other parts nothing.
    accounts: Vec<(String, String)>,
    /// What was suggested when that was asked for.
    suggested: Option<Vec<String>>,
    problem: Option<String>,
}

/// A block as this page knows it; ours has no integration.
#[derive(Clone, Copy)]
struct Known {
    of: Option<(&'static Integration, &'static BlockDef)>,
}

impl Known {
    fn named(name: &str) -> Option<Self> {
        if is_accounts(name) {
            return Some(Self { of: None });
        }
        let all = integrations::ALL.iter().copied();
        let mut all = all.flat_map(|one| one.blocks().map(move |block| (one, block)));
        let of = all.find(|(_, block)| block.name == name)?;
        Some(Self { of: Some(of) })
    }

    fn template(self) -> &'static str {
        self.of.map_or(ACCOUNTS_URI, |(_, def)| def.uri)
    }
}

const ACCOUNTS_TITLE: &str = "Connected accounts";
const ACCOUNTS_DOES: &str = "Your accounts, whether they work, and how clients name them.";

/// Our own block in the list.
pub(super) fn accounts_entry() -> Entry {
    Entry {
        path: "blocks/workbench_accounts".to_owned(),
        name: "workbench_accounts",
        title: ACCOUNTS_TITLE,
        does: ACCOUNTS_DOES.to_owned(),
        effect: "",
        words: words(&["workbench_accounts", ACCOUNTS_TITLE, ACCOUNTS_DOES]),
    }
}

/// The form.
pub(super) async fn form(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let known = Known::named(&name).ok_or(Error::NotFound)?;
    if let Some((integration, def)) = known.of {
        let catalogue = web.calls.catalogue(&caller).await?;
        if !catalogue
            .blocks
            .iter()
            .any(|(_, block)| block.name == def.name)
        {
            return Ok(not_offered(&web, &caller, def.title, integration));
        }
    }
    let page = page(&web, &caller, &name, known, &Map::new()).await?;
    Ok(answer(StatusCode::OK, &page))
}

/// Reads the block, or suggests values for one part.
pub(super) async fn act(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let known = Known::named(&name).ok_or(Error::NotFound)?;
    let typed = Typed::new(pairs);
    if !web
        .auth
        .is_form_token(&caller, typed.get("csrf").unwrap_or_default())
    {
        return Err(Error::Foreign);
    }
    let mut variables = variables(known, &typed);
    let asked = typed.get("do").unwrap_or_default();
    if let Some(part) = asked.strip_prefix("suggest:") {
        let values = suggestions(&web, &caller, known, part, variables.clone()).await?;
        let mut page = page(&web, &caller, &name, known, &variables).await?;
        if let Some(field) = page.fields.iter_mut().find(|field| field.name == part) {
            field.suggested = Some(values.into_iter().take(SUGGESTED).collect());
        }
        return Ok(answer(StatusCode::OK, &page));
    }
    if let Some((part, value)) = asked
        .strip_prefix("take:")
        .and_then(|taken| taken.split_once('='))
    {
        variables.insert(part.to_owned(), json!(value));
        let page = page(&web, &caller, &name, known, &variables).await?;
        return Ok(answer(StatusCode::OK, &page));
    }
    let address = match uri::expand(known.template(), &variables) {
        Ok(address) => address,
        Err(missing) => {
            let mut page = page(&web, &caller, &name, known, &variables).await?;
            page.problem = Some("Nothing was read: a part of the address is missing.".to_owned());
            if let Some(field) = page.fields.iter_mut().find(|field| field.name == missing) {
                field.problem = Some("must be filled in".to_owned());
            }
            return Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let began = Instant::now();
    let cancel = CancellationToken::new();
    let (mcp, person, surroundings) = (web.mcp.clone(), caller.clone(), context(&cancel));
    let read = async move { mcp.try_block(&person, &address, surroundings).await };
    let tried = run(read, cancel).await?;
    let mut page = page(&web, &caller, &name, known, &variables).await?;
    page.shown = Some(Shown::of(&tried, began.elapsed(), false));
    Ok(answer(StatusCode::OK, &page))
}

/// Values for one part, for the script: `{"values": […]}`.
pub(super) async fn complete(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let known = Known::named(&name).ok_or(Error::NotFound)?;
    let typed = Typed::new(pairs);
    if !web
        .auth
        .is_form_token(&caller, typed.get("csrf").unwrap_or_default())
    {
        return Err(Error::Foreign);
    }
    let part = typed.get("part").unwrap_or_default().to_owned();
    let variables = variables(known, &typed);
    let values = suggestions(&web, &caller, known, &part, variables).await?;
    Ok(Json(json!({ "values": values })).into_response())
}

/// What a client's `completion/complete` would answer.
async fn suggestions(
    web: &Web,
    caller: &Caller,
    known: Known,
    part: &str,
    mut chosen: Map<String, Value>,
) -> Result<Vec<String>, Error> {
    let template = known.template();
    if !uri::variables(template).contains(&part) {
        return Ok(Vec::new());
    }
    let prefix = match chosen.remove(part) {
        Some(Value::String(prefix)) => prefix,
        _ => String::new(),
    };
    let part = part.to_owned();
    let cancel = CancellationToken::new();
    let (calls, person, surroundings) = (web.calls.clone(), caller.clone(), context(&cancel));
    let completion = async move {
        calls
            .complete(&person, template, &part, &prefix, &chosen, surroundings)
            .await
    };
    run(completion, cancel).await
}

/// What was typed, without what was left blank.
fn variables(known: Known, typed: &Typed) -> Map<String, Value> {
    let names = uri::variables(known.template()).into_iter();
    names
        .filter_map(|name| {
            let value = typed.get(&format!("part/{name}"))?.trim();
            (!value.is_empty()).then(|| (name.to_owned(), json!(value)))
        })
        .collect()
}

async fn page(
    web: &Web,
    caller: &Caller,
    name: &str,
    known: Known,
    variables: &Map<String, Value>,
) -> Result<BlockPage, Error> {
    let own = match known.of {
        Some((integration, _)) => accounts(web, caller, integration.id).await?,
        None => Vec::new(),
    };
    let template = known.template();
    let value = |name: &str| {
        variables
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let fields = uri::variables(template).into_iter().map(|name| Field {
        name,
        value: value(name).to_owned(),
        optional: template.contains(&format!("{{/{name}*}}")),
        accounts: if name == "account" {
            own.clone()
        } else {
            Vec::new()
        },
        suggested: None,
        problem: None,
    });
    let (title, does, mime) = match known.of {
        Some((_, def)) => (def.title, def.description, def.mime),
        None => (ACCOUNTS_TITLE, ACCOUNTS_DOES, "application/json"),
    };
    Ok(BlockPage {
        page: Page::of(web, Some(caller)).at(Place::Try),
        name: name.to_owned(),
        title,
        does,
        integration: known.of.map_or("workbench", |(of, _)| of.id),
        service: known.of.map_or("Workbench", |(of, _)| of.name),
        template,
        mime,
        fields: fields.collect(),
        problem: None,
        shown: None,
    })
}

/// The page, whose script asks us for completions.
fn answer(status: StatusCode, page: &BlockPage) -> Response {
    let mut response = show(status, page);
    if let Ok(policy) = HeaderValue::from_str(&pages::policy_with_requests()) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
