//! Connecting an account in the browser: what will be asked, the way to the provider, the way back, and how it ended.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::CONTENT_SECURITY_POLICY;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::Web;
use super::error::Error;
use super::pages::{Message, Page, policy_towards, show};
use super::session::{SignedIn, cookie, flow_cookie, set_cookie};
use crate::caller::Caller;
use crate::connect::{Callback, Ended, FlowError};
use crate::ids::{ConnectionId, FlowId};
use crate::integrations;
use crate::kit::integration::{Integration, Scope};

#[derive(Template)]
#[template(path = "connect.html", config = "src/web/askama.toml")]
struct Connect {
    page: Page,
    id: &'static str,
    name: &'static str,
    summary: &'static str,
    scopes: &'static [Scope],
    reconnect: Option<ConnectionId>,
}

#[derive(Deserialize)]
pub(super) struct ConnectQuery {
    reconnect: Option<ConnectionId>,
}

fn known(id: &str) -> Result<&'static Integration, Error> {
    integrations::integration(id).ok_or(Error::NotFound)
}

/// What the provider will ask, before anybody is sent there.
pub(super) async fn explain(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Query(query): Query<ConnectQuery>,
) -> Result<Response, Error> {
    let integration = known(&id)?;
    let provider = integration.providers.first().ok_or(Error::NotFound)?;
    if !web.connections.is_set_up(caller.org, provider.id).await {
        return Ok(failed(&web, &caller, &FlowError::NotSetUp(integration)));
    }
    let page = Connect {
        page: Page::of(&web, Some(&caller)),
        id: integration.id,
        name: integration.name,
        summary: integration.summary,
        scopes: provider
            .auth
            .oauth2()
            .map(|oauth| oauth.scopes)
            .unwrap_or_default(),
        reconnect: query.reconnect,
    };
    let mut response = show(StatusCode::OK, &page);
    let origin = web.connections.consent_origin(integration);
    if let Some(policy) = origin.as_deref().and_then(policy_towards) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

#[derive(Deserialize)]
pub(super) struct StartForm {
    #[serde(default)]
    csrf: String,
    reconnect: Option<ConnectionId>,
}

/// Sends the browser to the provider, with a cookie that the callback must bring back.
pub(super) async fn start(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<StartForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let integration = known(&id)?;
    match web
        .connections
        .start(&caller, integration, form.reconnect)
        .await
    {
        Ok(started) => {
            let mut response = Redirect::to(started.url.as_str()).into_response();
            set_cookie(
                &web,
                &mut response,
                flow_cookie(&web),
                started.browser.expose_secret(),
                600,
            );
            Ok(response)
        }
        Err(error) => Ok(failed(&web, &caller, &error)),
    }
}

/// Takes the browser back from the provider and sends it on to an address without the code in it.
pub(super) async fn callback(
    State(web): State<Web>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    SignedIn(caller): SignedIn,
    request: Request,
) -> Result<Response, Error> {
    let (parts, _) = request.into_parts();
    let Some(callback) = read_callback(query.as_deref().unwrap_or_default()) else {
        return Ok(failed(&web, &caller, &FlowError::Stale));
    };
    let browser = cookie(&parts, flow_cookie(&web));
    let ended = web
        .connections
        .finish(&caller, &provider, browser, callback)
        .await?;
    let mut response = match ended {
        Some(flow) => {
            Redirect::to(&format!("{}connected/{flow}", Page::of(&web, None).base)).into_response()
        }
        None => failed(&web, &caller, &FlowError::Stale),
    };
    set_cookie(&web, &mut response, flow_cookie(&web), "", 0);
    Ok(response)
}

/// The parameters of RFC 6749 §4.1.2; `None` when any parameter stands twice or `state` is missing.
fn read_callback(query: &str) -> Option<Callback> {
    let mut callback = Callback::default();
    let mut seen = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if seen.contains(&name) {
            return None;
        }
        seen.push(name.clone());
        let place = match &*name {
            "state" => &mut callback.state,
            "code" => &mut callback.code,
            "error" => &mut callback.error,
            "error_description" => &mut callback.description,
            _ => continue,
        };
        *place = Some(value.into_owned());
    }
    callback.state.is_some().then_some(callback)
}

/// How an attempt ended.
pub(super) async fn outcome(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(flow): Path<FlowId>,
) -> Result<Response, Error> {
    let Some((integration, ended)) = web.connections.outcome(&caller, flow).await? else {
        return Err(Error::NotFound);
    };
    let again = (
        format!("Connect {} again", integration.name),
        web.links.connect(integration.id),
    );
    let accounts = ("Connected accounts".to_owned(), web.links.connections());
    let (title, tone, lines, actions) = match ended {
        Ended::Connected { account, missing } => {
            let mut lines = vec![format!(
                "{account} is connected. You can close this window and go on in your AI client."
            )];
            if !missing.is_empty() {
                lines.push(format!("Not allowed: {}. What needs it will not work until you connect again and allow it.", missing.join(", ")));
            }
            let actions = if missing.is_empty() {
                vec![accounts]
            } else {
                vec![again, accounts]
            };
            (
                format!("{} is connected", integration.name),
                "good",
                lines,
                actions,
            )
        }
        Ended::Failed(said) => (
            format!("{} is not connected", integration.name),
            "bad",
            vec![said],
            vec![again, accounts],
        ),
    };
    let close = tone == "good";
    let message = Message {
        page: Page::of(&web, Some(&caller)),
        title,
        tone,
        lines,
        actions,
        close,
    };
    Ok(show(StatusCode::OK, &message))
}

fn failed(web: &Web, caller: &Caller, error: &FlowError) -> Response {
    let message = Message {
        page: Page::of(web, Some(caller)),
        title: "Nothing was connected".to_owned(),
        tone: "bad",
        lines: vec![error.told()],
        actions: vec![("Connected accounts".to_owned(), web.links.connections())],
        close: false,
    };
    show(StatusCode::CONFLICT, &message)
}
