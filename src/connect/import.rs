//! Connections from elsewhere: service set-ups, migrations and tests hand in a credential instead of a consent.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Connections;
use super::error::ConnectError;
use super::flow::Finished;
use super::flow_error::FlowError;
use super::keep::{Arrival, Brought};
use crate::audit::{Actor, AdminEvent};
use crate::ids::{OrgId, UserId};
use crate::kit::integration::{Auth, TokenSet};

/// A credential file of `connections import`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// An OAuth access token.
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<SecretString>,
    /// Its refresh token.
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Option<SecretString>,
    /// Seconds of life left in the access token.
    expires_in: Option<u64>,
    /// What was granted, when that is known.
    scopes: Option<Vec<String>>,
    /// An API key instead.
    #[serde(default, deserialize_with = "secret")]
    api_key: Option<SecretString>,
    /// The account's own API address, for providers with one per customer.
    base_url: Option<url::Url>,
}

fn secret<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?
        .filter(|text| !text.is_empty())
        .map(SecretString::from))
}

impl Connections {
    /// Stores an imported credential for the person, after asking the provider whose account it is.
    pub async fn import(
        &self,
        org: OrgId,
        user: UserId,
        provider: &str,
        import: Import,
    ) -> Result<Finished, FlowError> {
        let (provider, site) = self.site(provider)?;
        let wrong = |what: &str| FlowError::Refused(format!("the credential file {what}"));
        let auth = &provider.auth;
        let (token, is_key) = match (import.access_token, import.api_key) {
            (Some(token), None) if auth.oauth2().is_some() => (token, false),
            (None, Some(key)) if auth.key().is_some() => (key, true),
            _ => {
                return Err(wrong(match auth {
                    Auth::OAuth2(_) => "must have `access_token` and no `api_key`",
                    Auth::ApiKey(_) => "must have `api_key` and no `access_token`",
                    Auth::Either(..) => "must have either `access_token` or `api_key`",
                    Auth::Open(_) => "is not needed: this provider is open to everyone",
                }));
            }
        };
        if token
            .expose_secret()
            .chars()
            .any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(wrong("holds a token with spaces or line breaks"));
        }
        if let Some(url) = &import.base_url {
            let checked = self.inner.servers.check(url);
            checked
                .map_err(|error| wrong(&format!("names a server in `base_url`, but {error}")))?;
        }
        let brought = if is_key {
            Brought::Key(token)
        } else {
            Brought::Tokens(TokenSet {
                access_token: token,
                refresh_token: import.refresh_token,
                expires_in_s: import.expires_in,
                refresh_expires_in_s: None,
                scopes: import.scopes.clone(),
                subject: None,
            })
        };
        let done = self
            .keep(Arrival {
                org,
                user,
                site,
                brought,
                asked_at: self.inner.clock.now(),
                requested: import.scopes.unwrap_or_default(),
                reconnect: None,
                server: import.base_url,
            })
            .await?;
        let event = AdminEvent {
            kind: "connection.imported",
            target: done.label.as_str().into(),
            integration: Some(done.integration.id),
            connection: Some(done.id),
            ..AdminEvent::default()
        };
        let owner = Actor::Person { user, grant: None };
        self.inner
            .audit
            .record(owner, org, event)
            .await
            .map_err(ConnectError::from)?;
        Ok(done)
    }
}
