//! Connecting with a key that the person pastes: it is tried before it is kept.
//!
//! The key goes to the provider and into the vault, and nowhere else: what is said of a refusal is ours, or the provider's
//! without the key in it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use super::apps::pasted;
use super::error::ConnectError;
use super::flow_error::FlowError;
use super::keep::{Arrival, Brought};
use super::{Connections, Site};
use crate::caller::Caller;
use crate::ids::{ConnectionId, FlowId};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::{ApiKey, Provider};
use crate::store::FlowRow;

/// How long the page about how it ended can be seen.
const SHOWN: Duration = Duration::from_mins(10);

/// What a person wrote into the form of a key.
pub struct Pasted {
    /// The key.
    pub key: SecretString,
    /// The address of the account's own server, or nothing.
    pub server: String,
    /// The connection to renew, if it is not a new one.
    pub reconnect: Option<ConnectionId>,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The key.
    Key,
    /// The address of the server.
    Server,
}

/// What to change in the form. Holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Where.
    pub field: Field,
    /// What is wrong and what to do, for the person.
    pub said: String,
}

impl Connections {
    /// Connects the account that this key is of, after trying it. Answers the attempt, for [`Connections::outcome`], or
    /// what is wrong with the form; both are recorded.
    pub async fn connect_key(
        &self,
        caller: &Caller,
        provider: &'static Provider,
        form: Pasted,
    ) -> Result<Result<FlowId, Correction>, ConnectError> {
        if let Err(seconds) = self.inner.pace.take(caller.user) {
            return Ok(Err(Correction {
                field: Field::Key,
                said: FlowError::TooOften(seconds).told(),
            }));
        }
        let (provider, site) = self.site(provider.id)?;
        let now = self.inner.clock.now();
        let flow = FlowRow {
            id: FlowId::new(now),
            org_id: caller.org,
            user_id: caller.user,
            provider: provider.id.to_owned(),
            reconnect: None,
            state_hash: None,
            browser_hash: None,
            sealed: None,
            scopes: Vec::new(),
            created_at: now,
            expires_at: now.plus(SHOWN),
            used_at: Some(now),
            outcome: None,
        };
        self.inner.store.insert_flow(&flow).await?;
        let mut field = Field::Key;
        let finished = match self.server(site, &form.server) {
            Ok(server) => {
                let asked = server.clone();
                let tried = self.try_key(caller, site, &form, server).await;
                tried.map_err(|error| {
                    if matches!(error, FlowError::Connect(_)) {
                        return error;
                    }
                    let (at, said) = explained(provider, asked.as_ref(), &error);
                    field = at;
                    FlowError::Key(without(&said, &form.key))
                })
            }
            Err(said) => {
                field = Field::Server;
                Err(FlowError::Key(said))
            }
        };
        let detail = json!({ "flow": flow.id, "with": "key" });
        self.conclude(caller, &flow, &finished, detail).await?;
        match finished {
            Ok(_) => Ok(Ok(flow.id)),
            Err(FlowError::Connect(error)) => Err(error),
            Err(error) => Ok(Err(Correction {
                field,
                said: error.told(),
            })),
        }
    }

    /// The server that a connection of this person is at, when it is one of its own.
    pub async fn server_of(&self, caller: &Caller, id: ConnectionId) -> Option<String> {
        let rows = self.of(caller.user).await.ok()?;
        let row = rows.iter().find(|row| row.id == id)?;
        row.base_url.clone()
    }

    /// The server that is meant: `None` is the provider's own.
    fn server(&self, site: &Site, typed: &str) -> Result<Option<Url>, String> {
        let own = site.provider.auth.key().and_then(|key| key.site.as_ref());
        let Some(own) = own else { return Ok(None) };
        if typed.trim().is_empty() {
            return if own.required {
                Err(format!(
                    "Write the address of your {} server.",
                    site.provider.name
                ))
            } else {
                Ok(None)
            };
        }
        let read = self.inner.servers.read(typed);
        let url = read.map_err(|error| error.to_string())?;
        Ok((!is_own(site.provider, &url)).then_some(url))
    }

    async fn try_key(
        &self,
        caller: &Caller,
        site: &Site,
        form: &Pasted,
        server: Option<Url>,
    ) -> Result<super::Finished, FlowError> {
        let key = pasted(form.key.expose_secret())
            .filter(|key| {
                key.expose_secret()
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic())
            })
            .ok_or_else(|| {
                FlowError::Key("Paste it whole, as one word without spaces.".to_owned())
            })?;
        self.keep(Arrival {
            org: caller.org,
            user: caller.user,
            site,
            brought: Brought::Key(key),
            asked_at: self.inner.clock.now(),
            requested: Vec::new(),
            reconnect: form.reconnect,
            server,
        })
        .await
    }
}

/// Whether what was typed is the provider's own address, which people paste from their browser.
fn is_own(provider: &Provider, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let home = Url::parse(provider.api.base_url).ok();
    home.is_some_and(|home| home.host_str() == Some(host)) || provider.api.is_region(host)
}

/// What a refusal means for the form.
fn explained(provider: &Provider, server: Option<&Url>, error: &FlowError) -> (Field, String) {
    let name = provider.name;
    let called = provider.auth.key().map_or("key", |key: &ApiKey| key.name);
    let there = server.and_then(Url::host_str).unwrap_or(name);
    let error = match error {
        FlowError::WrongAccount { expected, found } => {
            return (
                Field::Key,
                format!(
                    "This {called} is of {found}, but this was to reconnect {expected}. Paste one of {expected}, or connect {found} as another account."
                ),
            );
        }
        FlowError::Identify(error) => error,
        FlowError::UnknownIntegration(_)
        | FlowError::NotSetUp(_)
        | FlowError::NoConsentPage(_)
        | FlowError::Stale
        | FlowError::TooOften(_)
        | FlowError::Foreign
        | FlowError::Denied
        | FlowError::AdminConsent(_)
        | FlowError::Refused(_)
        | FlowError::Key(_)
        | FlowError::Connect(_) => return (Field::Key, error.told()),
    };
    let at_server = || {
        if server.is_some() {
            Field::Server
        } else {
            Field::Key
        }
    };
    match error {
        ToolError::Provider(ProviderError::Unauthorized) => (
            Field::Key,
            format!(
                "{there} does not accept this {called}. Was it copied whole, and is it still there?"
            ),
        ),
        ToolError::Provider(ProviderError::InsufficientScope { missing })
            if !missing.is_empty() =>
        {
            (
                Field::Key,
                format!(
                    "This {called} lacks {}. Make one that allows {} and paste it here.",
                    missing.join(", "),
                    if missing.len() == 1 { "it" } else { "them" }
                ),
            )
        }
        ToolError::Provider(ProviderError::NotFound) => (
            at_server(),
            format!("There is no {name} at {there}, or not at this address."),
        ),
        ToolError::Provider(ProviderError::RateLimited { retry_after_s }) => (
            Field::Key,
            format!("{there} asks to wait. Try again in {retry_after_s} s."),
        ),
        ToolError::Provider(
            error @ (ProviderError::Unavailable { .. }
            | ProviderError::Timeout
            | ProviderError::TooLarge { .. }),
        ) => {
            let hint = if server.is_some() {
                " If it stands in a network of your own, an admin has to allow it with WORKBENCH_PRIVATE_PROVIDER_HOSTS."
            } else {
                " Try again in a minute."
            };
            (
                at_server(),
                format!("{there} did not answer as {name}: {error}.{hint}"),
            )
        }
        ToolError::Provider(error) => (
            Field::Key,
            format!("{there} did not take this {called}: {error}."),
        ),
        ToolError::Invalid(said) | ToolError::NotFound(said) | ToolError::Conflict(said) => {
            (Field::Key, said.clone())
        }
        ToolError::Records(_) => (
            Field::Key,
            "Something failed on our side. Try again in a moment.".to_owned(),
        ),
    }
}

/// The text without the key, should a provider have repeated it.
fn without(said: &str, key: &SecretString) -> String {
    let key = key.expose_secret().trim();
    if key.is_empty() {
        said.to_owned()
    } else {
        said.replace(key, "[REDACTED]")
    }
}
