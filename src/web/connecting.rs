//! Connecting an account in the browser: what will be asked, the way to the provider, the way back, and how it ended.

use std::collections::HashMap;

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
use super::pages::{Message, Page, policy_towards, sentence, show};
use super::session::{SignedIn, cookie, flow_cookie, set_cookie};
use crate::caller::Caller;
use crate::connect::{
    Callback, Consented, Correction, Ended, Field, FlowError, Outcome, Wanted, is_admins,
};
use crate::ids::{ConnectionId, FlowId};
use crate::integrations;
use crate::kit::integration::{ApiKey, Integration, OAuth2, Product, Provider, Scope};

#[derive(Template)]
#[template(path = "connect.html", config = "src/web/askama.toml")]
struct Connect {
    page: Page,
    id: &'static str,
    name: &'static str,
    summary: &'static str,
    ways: Vec<Way>,
    reconnect: Option<ConnectionId>,
}

/// An attempt that waits for an administrator.
#[derive(Template)]
#[template(path = "needs_admin.html", config = "src/web/askama.toml")]
struct NeedsAdmin {
    page: Page,
    name: &'static str,
    /// Where to try again.
    again: String,
    said: String,
    link: Option<String>,
}

/// How one provider lets people in.
struct Way {
    provider: &'static Provider,
    /// What its consent page asks for, when it has one and the organization's app is set up; with products, what it asks
    /// for whatever is chosen.
    scopes: Option<Vec<&'static Scope>>,
    products: Vec<Choice>,
    /// What to call accounts of nobody's organization, where that matters, and whether this is one.
    personal: Option<(&'static str, bool)>,
    key: Option<KeyForm>,
}

/// A product that can be connected without the others.
struct Choice {
    product: &'static Product,
    scopes: Vec<&'static Scope>,
    chosen: bool,
}

/// The form of a key.
struct KeyForm {
    key: &'static ApiKey,
    /// What was written as the server's address. The key is never shown again.
    server: String,
    wrong: Option<Correction>,
}

impl KeyForm {
    /// What is wrong with this field.
    fn problem(&self, field: Field) -> Option<String> {
        let wrong = self.wrong.as_ref().filter(|wrong| wrong.field == field)?;
        Some(sentence(&wrong.said))
    }
}

/// A form of a key that has to be filled in again.
pub(super) struct Again {
    pub(super) provider: &'static Provider,
    pub(super) server: String,
    pub(super) wrong: Correction,
}

#[derive(Deserialize)]
pub(super) struct ConnectQuery {
    reconnect: Option<ConnectionId>,
    /// A product to add to those that were granted.
    add: Option<String>,
}

pub(super) fn known(id: &str) -> Result<&'static Integration, Error> {
    integrations::integration(id).ok_or(Error::NotFound)
}

/// The page of an integration that an admin has switched off, to which nobody connects anything.
pub(super) async fn switched_off(
    web: &Web,
    caller: &Caller,
    integration: &'static Integration,
) -> Result<Option<Response>, Error> {
    let rules = web.rulebook.rules(caller.org).await?;
    if !rules.is_off(integration.id) {
        return Ok(None);
    }
    let message = Message {
        page: Page::of(web, Some(caller)),
        title: format!("{} is switched off", integration.name),
        tone: "bad",
        lines: vec![
            "An admin has switched this integration off, so no account of it can be connected. Nothing was changed.".to_owned(),
        ],
        actions: vec![("Connected accounts".to_owned(), web.links.connections())],
        close: false,
    };
    Ok(Some(show(StatusCode::FORBIDDEN, &message)))
}

/// The way in that a form names; the first one when it names none.
pub(super) fn way(
    integration: &'static Integration,
    provider: Option<&str>,
) -> Result<&'static Provider, Error> {
    let mut providers = integration.providers.iter();
    let found = match provider {
        Some(id) => providers.find(|provider| provider.id == id),
        None => providers.next(),
    };
    found.ok_or(Error::NotFound)
}

/// What the provider will ask, before anybody is sent there, and where a key can be pasted instead.
pub(super) async fn explain(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Query(query): Query<ConnectQuery>,
) -> Result<Response, Error> {
    let integration = known(&id)?;
    if integration.open().is_some() {
        return nothing_to_connect(&web, &caller, integration).await;
    }
    if let Some(off) = switched_off(&web, &caller, integration).await? {
        return Ok(off);
    }
    let add = query.add.as_deref();
    shown(&web, &caller, integration, query.reconnect, add, None).await
}

/// What of a provider is offered to this person: the products whose toolsets are on; those chosen that are granted
/// already, or else the usual ones, and the one to add.
async fn choices(
    web: &Web,
    caller: &Caller,
    integration: &'static Integration,
    oauth: &'static OAuth2,
    reconnect: Option<ConnectionId>,
    add: Option<&str>,
) -> Result<(Vec<Choice>, bool), Error> {
    let rules = web.rulebook.rules(caller.org).await?;
    let rows = web.connections.of(caller.user).await?;
    let row = reconnect.and_then(|id| rows.iter().find(|row| row.id == id));
    let granted = row.filter(|row| row.scopes.is_some());
    let granted = granted.map(|row| web.connections.granted(row));
    let mut personal = row.is_some_and(|row| row.details["kind"] == "personal");
    let only = oauth.directory.as_ref();
    if let Some(only) = only.and_then(|found| found.personal_tenant) {
        let provider = integration.providers.iter().find(|provider| {
            let its = provider.auth.oauth2();
            its.is_some_and(|its| std::ptr::eq(its, oauth))
        });
        if let Some(provider) = provider {
            let tenant = web.connections.tenant(caller.org, provider.id).await?;
            personal |= tenant.as_deref() == Some(only);
        }
    }
    let unfit = oauth.directory.as_ref().and_then(|found| found.personal);
    let unfit = unfit
        .filter(|_| personal)
        .map_or(&[][..], |(_, scopes)| scopes);
    let on = |product: &&Product| !rules.is_toolset_off(integration.id, product.toolset);
    let offered = oauth.products.iter().filter(on);
    let choice = |product: &'static Product| {
        let fit =
            |scope: &&Scope| product.scopes.contains(&scope.name) && !unfit.contains(&scope.name);
        let scopes: Vec<&Scope> = oauth.scopes.iter().filter(fit).collect();
        let chosen = match &granted {
            Some(granted) => scopes.iter().all(|scope| granted.has(scope.name)),
            None => product.chosen,
        };
        Choice {
            product,
            chosen: chosen || add == Some(product.id),
            scopes,
        }
    };
    let mut choices: Vec<Choice> = offered.map(choice).collect();
    choices.retain(|choice| !choice.scopes.is_empty());
    Ok((choices, personal))
}

/// The ways in.
pub(super) async fn shown(
    web: &Web,
    caller: &Caller,
    integration: &'static Integration,
    reconnect: Option<ConnectionId>,
    add: Option<&str>,
    again: Option<Again>,
) -> Result<Response, Error> {
    let server = match reconnect {
        Some(id) => web.connections.server_of(caller, id).await,
        None => None,
    };
    let status = again
        .as_ref()
        .map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    let mut again = again;
    let mut ways = Vec::new();
    let mut origins = Vec::new();
    for provider in integration.providers {
        let oauth = provider.auth.oauth2();
        let set_up = web.connections.has_consent_page(caller.org, provider).await;
        let mut scopes = None;
        let (mut products, mut personal) = (Vec::new(), None);
        if let Some(oauth) = oauth.filter(|_| set_up) {
            let (offered, is_personal) =
                choices(web, caller, integration, oauth, reconnect, add).await?;
            let alone = |name| {
                oauth
                    .products
                    .iter()
                    .any(|product| product.scopes.contains(&name))
            };
            scopes = Some(
                oauth
                    .scopes
                    .iter()
                    .filter(|scope| !alone(scope.name))
                    .collect(),
            );
            products = offered;
            let called = oauth.directory.as_ref().and_then(|found| found.personal);
            personal = called.map(|(called, _)| (called, is_personal));
            origins.extend(web.connections.consent_origin(provider));
        }
        let key = provider.auth.key().map(|key| {
            let tried = again.take_if(|again| again.provider.id == provider.id);
            let (server, wrong) = match tried {
                Some(tried) => (tried.server, Some(tried.wrong)),
                None => (server.clone().unwrap_or_default(), None),
            };
            KeyForm { key, server, wrong }
        });
        if scopes.is_some() || key.is_some() {
            ways.push(Way {
                provider,
                scopes,
                products,
                personal,
                key,
            });
        }
    }
    if ways.is_empty() {
        return Ok(failed(web, caller, &FlowError::NotSetUp(integration)));
    }
    let page = Connect {
        page: Page::of(web, Some(caller)),
        id: integration.id,
        name: integration.name,
        summary: integration.summary,
        ways,
        reconnect,
    };
    let mut response = show(status, &page);
    origins.sort();
    origins.dedup();
    let origins = (!origins.is_empty()).then(|| origins.join(" "));
    if let Some(policy) = origins.as_deref().and_then(policy_towards) {
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
    provider: Option<String>,
    reconnect: Option<ConnectionId>,
    /// `product-…` for each product that is chosen, `choose` when there was a choice, `personal`.
    #[serde(flatten)]
    rest: HashMap<String, String>,
}

impl StartForm {
    /// What was chosen of what may be.
    fn wanted(&self, offered: &[Choice]) -> Wanted {
        let chosen = |choice: &&Choice| {
            let field = format!("product-{}", choice.product.id);
            self.rest.contains_key(&field)
        };
        let offered = offered.iter();
        let products = if self.rest.contains_key("choose") {
            offered.filter(chosen).collect::<Vec<_>>()
        } else {
            offered.filter(|choice| choice.chosen).collect()
        };
        Wanted {
            products: Some(
                products
                    .iter()
                    .map(|choice| choice.product.id.to_owned())
                    .collect(),
            ),
            personal: self.rest.contains_key("personal"),
        }
    }
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
    let provider = way(integration, form.provider.as_deref())?;
    if let Some(off) = switched_off(&web, &caller, integration).await? {
        return Ok(off);
    }
    let wanted = match provider.auth.oauth2() {
        Some(oauth) => {
            let offered = choices(&web, &caller, integration, oauth, form.reconnect, None).await?;
            let personal = offered.1;
            let mut wanted = form.wanted(&offered.0);
            wanted.personal |= personal;
            wanted
        }
        None => Wanted::default(),
    };
    match web
        .connections
        .start(&caller, provider, form.reconnect, &wanted)
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
    signed_in: Result<SignedIn, Response>,
    request: Request,
) -> Result<Response, Error> {
    let (parts, _) = request.into_parts();
    let callback = read_callback(query.as_deref().unwrap_or_default());
    if let Some(callback) = callback.as_ref().filter(|callback| is_admins(callback)) {
        return answered(&web, &provider, callback).await;
    }
    let SignedIn(caller) = match signed_in {
        Ok(signed_in) => signed_in,
        Err(sign_in_first) => return Ok(sign_in_first),
    };
    let Some(callback) = callback else {
        return Ok(failed(&web, &caller, &FlowError::Stale));
    };
    if let Some((integration, _)) = integrations::provider(&provider)
        && let Some(off) = switched_off(&web, &caller, integration).await?
    {
        return Ok(off);
    }
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
            "iss" => &mut callback.issuer,
            "admin_consent" => {
                callback.admin_consent = value.eq_ignore_ascii_case("true");
                continue;
            }
            _ => continue,
        };
        *place = Some(value.into_owned());
    }
    callback.state.is_some().then_some(callback)
}

/// What an administrator who came back from the provider should know. Whoever they are, they need no account here.
async fn answered(web: &Web, provider: &str, callback: &Callback) -> Result<Response, Error> {
    let found = web.connections.admin_answered(provider, callback).await?;
    let (status, title, tone, lines) = match found {
        None => (
            StatusCode::CONFLICT,
            "This link was used already".to_owned(),
            "bad",
            vec!["It was opened before, or is older than a week. Whoever sent it to you makes a new one by connecting again.".to_owned()],
        ),
        Some(Consented { integration, refused: None }) => (
            StatusCode::OK,
            format!("{} may be connected", integration.name),
            "good",
            vec![
                "The provider says that you consented for your organization. Tell whoever sent you the link that they can connect their account now.".to_owned(),
                "You can close this window.".to_owned(),
            ],
        ),
        Some(Consented { integration, refused: Some(said) }) => (
            StatusCode::OK,
            format!("{} was not approved", integration.name),
            "bad",
            vec![
                format!("The provider says: {said}."),
                "Nothing was changed. If you meant to approve, ask for a new link.".to_owned(),
            ],
        ),
    };
    let message = Message {
        page: Page::of(web, None),
        title,
        tone,
        lines,
        actions: Vec::new(),
        close: false,
    };
    Ok(show(status, &message))
}

/// How an attempt ended.
pub(super) async fn outcome(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(flow): Path<FlowId>,
) -> Result<Response, Error> {
    let Some(outcome) = web.connections.outcome(&caller, flow).await? else {
        return Err(Error::NotFound);
    };
    let Outcome {
        integration,
        reconnect,
        ended,
    } = outcome;
    // An attempt that was to renew an account is repeated as one: it asks for that account, and with what it is owed.
    let again = (
        format!("Connect {} again", integration.name),
        match reconnect {
            Some(id) => web.links.reconnect(integration.id, id),
            None => web.links.connect(integration.id),
        },
    );
    let accounts = ("Connected accounts".to_owned(), web.links.connections());
    if let Ended::NeedsAdmin { said, link } = ended {
        let link = web.connections.admin_link(&caller, link).await?;
        let page = NeedsAdmin {
            page: Page::of(&web, Some(&caller)),
            name: integration.name,
            again: again.1,
            said,
            link: link.map(String::from),
        };
        return Ok(show(StatusCode::OK, &page));
    }
    let (title, tone, lines, actions, close) = match ended {
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
            // What will not work has to be read, so only a whole grant closes the window.
            (
                format!("{} is connected", integration.name),
                "good",
                lines,
                actions,
                missing.is_empty(),
            )
        }
        Ended::NeedsAdmin { said, .. } | Ended::Failed(said) => (
            format!("{} is not connected", integration.name),
            "bad",
            vec![said],
            vec![again, accounts],
            false,
        ),
    };
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

/// The page of an integration that is open to everyone.
async fn nothing_to_connect(
    web: &Web,
    caller: &Caller,
    integration: &'static Integration,
) -> Result<Response, Error> {
    let disabled = web.calls.disabled(caller).await?;
    let off = disabled.iter().any(|id| id == integration.id);
    let line = if off {
        format!(
            "{} needs no account, but an admin has switched it off.",
            integration.name
        )
    } else {
        format!(
            "{} is open to everyone here: its tools are in your AI client's list already.",
            integration.name
        )
    };
    let message = Message {
        page: Page::of(web, Some(caller)),
        title: "There is nothing to connect".to_owned(),
        tone: if off { "bad" } else { "good" },
        lines: vec![line],
        actions: vec![("Connected accounts".to_owned(), web.links.connections())],
        close: false,
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
