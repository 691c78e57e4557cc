//! The integrations of the organization: the OAuth app of each, whether it is on, and who has connected.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::Fields;
use crate::audit::Actor;
use crate::auth::Person;
use crate::caller::Caller;
use crate::calls::Switch;
use crate::connect::{App, AppSource, Checked, pasted, tenant};
use crate::ids::UserId;
use crate::integrations;
use crate::kit::integration::{ApiKey, Integration, Provider, Scope};
use crate::rulebook::RulebookError;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Message, Page, Place, show};
use crate::web::session::Admin;

#[derive(Template)]
#[template(path = "integrations.html", config = "src/web/askama.toml")]
struct Integrations {
    page: Page,
    cards: Vec<Card>,
}

struct Card {
    id: &'static str,
    name: &'static str,
    summary: &'static str,
    on: bool,
    toolsets: Vec<ToolsetSwitch>,
    apps: Vec<OAuthApp>,
    /// What people can connect with by themselves.
    keys: Vec<&'static ApiKey>,
    /// Open to everyone: nobody connects anything.
    open: bool,
    connected: Vec<String>,
    /// Who has an account that does not work.
    broken: Vec<String>,
    missing: Vec<String>,
}

struct ToolsetSwitch {
    id: &'static str,
    title: &'static str,
    tools: usize,
    blocks: usize,
    on: bool,
}

struct OAuthApp {
    provider: &'static str,
    name: &'static str,
    /// What it asks people to allow.
    scopes: &'static [Scope],
    redirect: String,
    client_id: Option<String>,
    /// Set in the environment, which wins: nothing can be changed here.
    fixed: bool,
    /// The directory whose accounts may sign in, where the provider has such.
    tenant: Option<String>,
    /// Words for several directories, and what they mean.
    tenants: &'static [(&'static str, &'static str)],
}

fn tenants(provider: &'static Provider) -> &'static [(&'static str, &'static str)] {
    let directory = provider
        .auth
        .oauth2()
        .and_then(|oauth| oauth.directory.as_ref());
    directory.map_or(&[], |directory| directory.tenants)
}

/// Every integration.
pub(in crate::web) async fn list(
    State(web): State<Web>,
    Admin(caller): Admin,
) -> Result<Response, Error> {
    let rules = web.rulebook.rules(caller.org).await?;
    let people = web.auth.people(caller.org).await?;
    let accounts = web.connections.everybody(caller.org).await?;
    let mut cards = Vec::new();
    for integration in integrations::ALL.iter().copied() {
        let mut apps = Vec::new();
        for provider in integration.providers {
            if provider.auth.oauth2().is_none() {
                continue;
            }
            let source = web.connections.app_source(caller.org, provider.id).await?;
            let (client_id, fixed) = match source {
                AppSource::Environment { client_id } => (Some(client_id), true),
                AppSource::Stored { client_id } => (Some(client_id), false),
                AppSource::Missing => (None, false),
            };
            apps.push(OAuthApp {
                provider: provider.id,
                name: provider.name,
                scopes: provider.auth.oauth2().map_or(&[], |oauth| oauth.scopes),
                redirect: web.links.callback(provider.id),
                client_id,
                fixed,
                tenant: web.connections.tenant(caller.org, provider.id).await?,
                tenants: tenants(provider),
            });
        }
        // An account that is not `connected` or merely switched off needs its person.
        let of = |works: bool, user: UserId| {
            accounts.iter().any(|account| {
                let good = matches!(account.status.as_str(), "connected" | "disabled");
                account.user == user && account.integration == integration.id && good == works
            })
        };
        let named = |wanted: &dyn Fn(UserId) -> bool| -> Vec<String> {
            let chosen = people.iter().filter(|person: &&Person| wanted(person.id));
            chosen.map(|person| person.email.clone()).collect()
        };
        cards.push(Card {
            id: integration.id,
            name: integration.name,
            summary: integration.summary,
            on: !rules.is_off(integration.id),
            toolsets: integration
                .toolsets
                .iter()
                .map(|set| ToolsetSwitch {
                    id: set.id,
                    title: set.title,
                    tools: set.tools.len(),
                    blocks: set.blocks.len(),
                    on: !rules.is_toolset_off(integration.id, set.id),
                })
                .collect(),
            apps,
            keys: integration
                .providers
                .iter()
                .filter_map(|provider| provider.auth.key())
                .collect(),
            open: integration.open().is_some(),
            connected: named(&|user| of(true, user)),
            broken: named(&|user| of(false, user) && !of(true, user)),
            missing: named(&|user| !of(true, user) && !of(false, user)),
        });
    }
    let page = Integrations {
        page: Page::of(&web, Some(&caller)).at(Place::Integrations),
        cards,
    };
    Ok(show(StatusCode::OK, &page))
}

fn known(id: &str) -> Result<&'static Integration, Error> {
    integrations::integration(id).ok_or(Error::NotFound)
}

/// Switches an integration on or off.
pub(in crate::web) async fn switch(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let integration = known(&id)?;
    let switch = match fields.get("to") {
        "on" => Switch::On,
        "off" => Switch::Off,
        _ => return Err(Error::NotFound),
    };
    let by = Actor::from(&caller);
    web.calls
        .switch(by, caller.org, integration, switch)
        .await?;
    Ok(Redirect::to(&web.links.admin_integrations()).into_response())
}

/// Switches a toolset on or off.
pub(in crate::web) async fn switch_toolset(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path((id, toolset)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let on = match fields.get("to") {
        "on" => true,
        "off" => false,
        _ => return Err(Error::NotFound),
    };
    let by = Actor::from(&caller);
    let switched = web
        .rulebook
        .switch_toolset(by, caller.org, &id, &toolset, on);
    match switched.await {
        Ok(_) => Ok(Redirect::to(&web.links.admin_integrations()).into_response()),
        Err(RulebookError::Invalid(_)) => Err(Error::NotFound),
        Err(error) => Err(error.into()),
    }
}

/// Sets the app at a provider. Its secret is sealed, and never shown again.
pub(in crate::web) async fn set_app(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(provider): Path<String>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let (integration, provider) = integrations::provider(&provider).ok_or(Error::NotFound)?;
    if provider.auth.oauth2().is_none() {
        return Err(Error::NotFound);
    }
    let client_id = fields.get("client_id").trim();
    let whole = !client_id.is_empty()
        && client_id.len() <= 512
        && !client_id.contains(|c: char| c.is_whitespace() || c.is_control());
    let (true, Some(client_secret)) = (whole, pasted(fields.get("client_secret"))) else {
        let said = "Paste the client id and the client secret, each as one word without spaces.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(told(
            &web,
            &caller,
            status,
            integration,
            "bad",
            said.to_owned(),
        ));
    };
    let app = App {
        client_id: client_id.to_owned(),
        client_secret,
    };
    let by = Actor::from(&caller);
    web.connections
        .set_app(by, caller.org, provider.id, &app)
        .await?;
    Ok(Redirect::to(&web.links.admin_integrations()).into_response())
}

/// Chooses the directory whose accounts may sign in through the stored app.
pub(in crate::web) async fn set_tenant(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(provider): Path<String>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let (integration, provider) = integrations::provider(&provider).ok_or(Error::NotFound)?;
    let directory = provider
        .auth
        .oauth2()
        .and_then(|oauth| oauth.directory.as_ref());
    let directory = directory.ok_or(Error::NotFound)?;
    let Ok(chosen) = tenant(directory, fields.get("tenant")) else {
        let said = "Write one of the words, the directory's id, or one of its domains.".to_owned();
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(told(&web, &caller, status, integration, "bad", said));
    };
    let by = Actor::from(&caller);
    let set = web
        .connections
        .set_tenant(by, caller.org, provider, &chosen)
        .await?;
    if set {
        return Ok(Redirect::to(&web.links.admin_integrations()).into_response());
    }
    let said = "Save the app first; one that is set in the server's settings has its directory there, too.";
    let status = StatusCode::CONFLICT;
    Ok(told(
        &web,
        &caller,
        status,
        integration,
        "bad",
        said.to_owned(),
    ))
}

/// Says whether the provider knows the app.
pub(in crate::web) async fn test_app(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(provider): Path<String>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let (integration, provider) = integrations::provider(&provider).ok_or(Error::NotFound)?;
    let checked = web.connections.check_app(caller.org, provider.id).await?;
    let (tone, said) = match checked {
        Checked::Good => (
            "good",
            "The provider knows the client id and the client secret.".to_owned(),
        ),
        Checked::Wrong(word) => (
            "bad",
            format!(
                "The provider does not accept the app: {word}. Check the client id, paste the secret again, and compare the redirect address."
            ),
        ),
        Checked::NotSet => (
            "bad",
            "No app is set. Register one at the provider and paste its client id and secret."
                .to_owned(),
        ),
        Checked::Unclear(said) => (
            "bad",
            format!("The provider did not say whether the app is right: {said}. Try again later."),
        ),
    };
    Ok(told(&web, &caller, StatusCode::OK, integration, tone, said))
}

fn told(
    web: &Web,
    caller: &Caller,
    status: StatusCode,
    integration: &Integration,
    tone: &'static str,
    said: String,
) -> Response {
    let message = Message {
        page: Page::of(web, Some(caller)),
        title: format!("The OAuth app of {}", integration.name),
        tone,
        lines: vec![said],
        actions: vec![("Integrations".to_owned(), web.links.admin_integrations())],
        close: false,
    };
    show(status, &message)
}
