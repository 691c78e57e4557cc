//! The page of one tool: its form, and what became of the call.

use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::fields::{Control, Row, rows};
use super::shown::Shown;
use super::typed::{Problem, Typed, decode, decode_json};
use super::{accounts, context, not_offered, run};
use crate::caller::Caller;
use crate::ids::{ApprovalId, CallId};
use crate::integrations;
use crate::kit::integration::Integration;
use crate::kit::schema;
use crate::kit::tool::{Effect, ToolDef};
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Page, Place, show};
use crate::web::session::SignedIn;

/// The control that holds all arguments as JSON, and what is wrong with it.
const ALL: &str = "all";
/// How the idempotency keys begin that the page makes.
const OWN_KEY: &str = "page-";

type Tool = (&'static Integration, &'static ToolDef);

#[derive(Template)]
#[template(path = "try_tool.html", config = "src/web/askama.toml")]
struct ToolPage {
    page: Page,
    name: &'static str,
    title: &'static str,
    does: String,
    integration: &'static str,
    service: &'static str,
    effect: &'static str,
    writes: bool,
    /// All arguments as JSON, instead of the form.
    json: Option<String>,
    own: Vec<Row>,
    common: Vec<Row>,
    /// Whether those that every tool has are unfolded.
    unfolded: bool,
    problem: Option<String>,
    schema: String,
    shown: Option<Shown>,
    /// The arguments of the call, to go on to the next page with.
    next: Option<String>,
    notice: Option<String>,
}

#[derive(Template)]
#[template(path = "try_confirm.html", config = "src/web/askama.toml")]
struct Confirm {
    page: Page,
    name: &'static str,
    title: &'static str,
    service: &'static str,
    arguments: Vec<(String, String)>,
    json: String,
    view: &'static str,
}

#[derive(Deserialize)]
pub(super) struct Opened {
    /// The form as `json`.
    #[serde(default)]
    view: String,
    /// Fills in the arguments of a call that was asked about.
    approval: Option<String>,
}

/// What is filled in.
enum Filled {
    Form(Typed),
    Json(String),
}

impl Filled {
    const fn view(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::Json(_) => "json",
        }
    }

    /// In the other view, or in the same.
    fn of(view: &str, def: &ToolDef, arguments: &Map<String, Value>) -> Self {
        if view == "json" {
            Self::Json(pretty(arguments))
        } else {
            Self::Form(Typed::encode(&schema::input_schema(def), arguments))
        }
    }

    fn arguments(&self, def: &ToolDef) -> Result<Map<String, Value>, Vec<Problem>> {
        match self {
            Self::Form(typed) => decode(&schema::input_schema(def), typed),
            Self::Json(text) => decode_json(text).map_err(|words| {
                let control = ALL.to_owned();
                vec![Problem { control, words }]
            }),
        }
    }
}

/// The tool with this name as it is offered to this person now; else the page that says why not.
async fn offered(web: &Web, caller: &Caller, name: &str) -> Result<Result<Tool, Response>, Error> {
    let (integration, def) = integrations::tool(name).ok_or(Error::NotFound)?;
    let catalogue = web.calls.catalogue(caller).await?;
    if catalogue
        .tools
        .iter()
        .any(|(_, known)| known.name == def.name)
    {
        return Ok(Ok((integration, def)));
    }
    Ok(Err(not_offered(web, caller, def.title, integration)))
}

/// The form.
pub(super) async fn form(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
    Query(opened): Query<Opened>,
) -> Result<Response, Error> {
    let tool = match offered(&web, &caller, &name).await? {
        Ok(tool) => tool,
        Err(refused) => return Ok(refused),
    };
    let mut arguments = Map::new();
    let mut notice = None;
    if let Some(id) = &opened.approval
        && let Some(asked) = asked_about(&web, &caller, tool.1, id).await
    {
        arguments = asked;
        notice = Some("These are the arguments of the call that was asked about. Run it to go on.");
    }
    if !tool.1.effect.is_read() {
        arguments.insert("idempotency_key".to_owned(), fresh_key(&web));
    }
    let filled = Filled::of(&opened.view, tool.1, &arguments);
    let mut page = page(&web, &caller, tool, &filled, &[]).await?;
    page.notice = notice.map(ToOwned::to_owned);
    Ok(show(StatusCode::OK, &page))
}

/// The arguments of the caller's own call that this approval is about, while they are kept.
async fn asked_about(
    web: &Web,
    caller: &Caller,
    def: &ToolDef,
    id: &str,
) -> Option<Map<String, Value>> {
    let id: ApprovalId = id.parse().ok()?;
    let waiting = web.calls.waiting(caller, id).await.ok()?;
    if waiting.row.user_id != caller.user || waiting.row.tool != def.name {
        return None;
    }
    let mut arguments = waiting.arguments?;
    if def.account {
        arguments.insert("account".to_owned(), json!(waiting.row.account));
    }
    Some(arguments)
}

/// A key that makes a call that is sent twice happen once.
fn fresh_key(web: &Web) -> Value {
    let id = CallId::new(web.calls.now());
    json!(format!("{OWN_KEY}{}", id.uuid().simple()))
}

/// What a button of the form asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The same form as JSON.
    AsJson,
    /// The same arguments as a form.
    AsForm,
    /// A dry run.
    DryRun,
    /// The call.
    Run,
    /// The call, after the page that asks once more.
    Confirmed,
}

impl Asked {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::AsJson),
            "form" => Some(Self::AsForm),
            "dry" => Some(Self::DryRun),
            "run" => Some(Self::Run),
            "confirmed" => Some(Self::Confirmed),
            _ => None,
        }
    }
}

/// Does what was asked for with what was typed.
pub(super) async fn act(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let typed = Typed::new(pairs);
    if !web
        .auth
        .is_form_token(&caller, typed.get("csrf").unwrap_or_default())
    {
        return Err(Error::Foreign);
    }
    let asked = typed
        .get("do")
        .and_then(Asked::parse)
        .ok_or(Error::Foreign)?;
    // Whether it may be called is for the call to say: what was typed must not be lost to a rule that changed meanwhile.
    let tool = integrations::tool(&name).ok_or(Error::NotFound)?;
    let view = typed.get("back").unwrap_or_default().to_owned();
    let filled = match typed.get("view") {
        Some("json") => Filled::Json(typed.get(ALL).unwrap_or_default().to_owned()),
        _ => Filled::Form(typed),
    };
    let arguments = match filled.arguments(tool.1) {
        Ok(arguments) => arguments,
        Err(problems) => {
            let page = page(&web, &caller, tool, &filled, &problems).await?;
            return Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let writes = !tool.1.effect.is_read();
    match asked {
        Asked::AsJson | Asked::AsForm => {
            let view = if asked == Asked::AsJson {
                "json"
            } else {
                "form"
            };
            let filled = Filled::of(view, tool.1, &arguments);
            let page = page(&web, &caller, tool, &filled, &[]).await?;
            Ok(show(StatusCode::OK, &page))
        }
        Asked::DryRun if writes => {
            let mut dry = arguments;
            dry.insert("dry_run".to_owned(), Value::Bool(true));
            called(&web, &caller, tool, filled, dry).await
        }
        Asked::Run
            if matches!(tool.1.effect, Effect::Destructive { .. })
                && arguments.get("dry_run") != Some(&Value::Bool(true)) =>
        {
            let page = confirm(&web, &caller, tool, &arguments, filled.view());
            Ok(show(StatusCode::OK, &page))
        }
        Asked::Confirmed => {
            let filled = Filled::of(&view, tool.1, &arguments);
            called(&web, &caller, tool, filled, arguments).await
        }
        Asked::DryRun | Asked::Run => called(&web, &caller, tool, filled, arguments).await,
    }
}

/// Asks once more, with everything that would be sent.
fn confirm(
    web: &Web,
    caller: &Caller,
    (integration, def): Tool,
    arguments: &Map<String, Value>,
    view: &'static str,
) -> Confirm {
    let shown = arguments.iter().map(|(name, value)| {
        let value = match value.as_str() {
            Some(text) => text.to_owned(),
            None => serde_json::to_string_pretty(value).unwrap_or_default(),
        };
        (name.clone(), crate::web::approvals::revealed(&value))
    });
    Confirm {
        page: Page::of(web, Some(caller)).at(Place::Try),
        name: def.name,
        title: def.title,
        service: integration.name,
        arguments: shown.collect(),
        json: Value::Object(arguments.clone()).to_string(),
        view,
    }
}

/// Calls the tool and shows the answer above the form.
async fn called(
    web: &Web,
    caller: &Caller,
    tool: Tool,
    filled: Filled,
    arguments: Map<String, Value>,
) -> Result<Response, Error> {
    let def = tool.1;
    let dry = arguments.get("dry_run") == Some(&Value::Bool(true));
    let began = Instant::now();
    let cancel = CancellationToken::new();
    let (mcp, person, surroundings, sent) = (
        web.mcp.clone(),
        caller.clone(),
        context(&cancel),
        arguments.clone(),
    );
    let call = async move { mcp.try_tool(&person, def.name, sent, surroundings).await };
    let tried = run(call, cancel).await?;
    let shown = Shown::of(&tried, began.elapsed(), dry);
    let mut filled = filled;
    if shown.problem.is_none() && !dry {
        filled = with_fresh_key(web, def, filled, &arguments);
    }
    let mut page = page(web, caller, tool, &filled, &[]).await?;
    page.next = shown.cursor.as_ref().map(|cursor| {
        let mut next = arguments;
        next.insert("cursor".to_owned(), json!(cursor));
        Value::Object(next).to_string()
    });
    page.shown = Some(shown);
    Ok(show(StatusCode::OK, &page))
}

/// The same form, for another call: a key that the page made has done its work.
fn with_fresh_key(
    web: &Web,
    def: &ToolDef,
    filled: Filled,
    arguments: &Map<String, Value>,
) -> Filled {
    let key = arguments.get("idempotency_key").and_then(Value::as_str);
    if !key.is_some_and(|key| key.starts_with(OWN_KEY)) {
        return filled;
    }
    let mut again = arguments.clone();
    again.insert("idempotency_key".to_owned(), fresh_key(web));
    Filled::of(filled.view(), def, &again)
}

async fn page(
    web: &Web,
    caller: &Caller,
    (integration, def): Tool,
    filled: &Filled,
    problems: &[Problem],
) -> Result<ToolPage, Error> {
    let schema = schema::input_schema(def);
    let accounts = accounts(web, caller, integration.id).await?;
    let (own, common, json) = match filled {
        Filled::Form(typed) => {
            let (own, common) = rows(&schema, typed, problems, &accounts);
            (own, common, None)
        }
        Filled::Json(text) => (Vec::new(), Vec::new(), Some(text.clone())),
    };
    let unfolded = common.iter().any(
        |row| matches!(row, Row::Field(field) if field.problem.is_some() || field.is_chosen()),
    );
    let problem = match problems {
        [] => None,
        [one] if one.control == ALL => Some(format!("What you typed {}.", one.words)),
        [_] => Some("Nothing was called: one argument cannot be read.".to_owned()),
        more => Some(format!(
            "Nothing was called: {} arguments cannot be read.",
            more.len()
        )),
    };
    Ok(ToolPage {
        page: Page::of(web, Some(caller)).at(Place::Try),
        name: def.name,
        title: def.title,
        does: schema::description(def),
        integration: integration.id,
        service: integration.name,
        effect: def.effect.as_str(),
        writes: !def.effect.is_read(),
        json,
        own,
        common,
        unfolded,
        problem,
        schema: pretty(&schema),
        shown: None,
        next: None,
        notice: None,
    })
}

fn pretty(arguments: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(arguments).unwrap_or_default()
}
