//! Connecting: from the click to the stored, identified account.
//!
//! Every attempt is a row that names the person. Its `state` is 256 bits, stored hashed, used once, good for ten minutes
//! and bound to the browser that clicked, so a link that is forwarded or a callback that is forged connects nothing
//! (RFC 6749 §10.12, RFC 9700 §4.7).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::ConnectError;
use super::flow_error::FlowError;
use super::life::Life;
use super::oauth::{self, App, TokenFailure, Trade};
use super::secret::Tokens;
use super::sites::Site;
use super::{Connections, account, granted, handle};
use crate::audit::{Actor, AdminEvent};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, FlowId, OrgId, UserId};
use crate::kit::client::{Credential, ProviderClient};
use crate::kit::integration::{Account, Auth, Integration, OAuth2, Provider, TokenSet};
use crate::kit::progress::Progress;
use crate::kit::text;
use crate::kit::tool::{Cx, Granted};
use crate::store::{AppRow, ConnectionRow, FlowRow, Records, Status};
use crate::vault::{self, Place, Sealed, VaultError};

/// How long an attempt may take.
const FLOW_LIFE: Duration = Duration::from_mins(10);

/// Where to send the browser, and what it must bring back.
#[derive(Debug)]
pub struct Started {
    /// The attempt.
    pub flow: FlowId,
    /// The provider's consent page.
    pub url: url::Url,
    /// A secret for a cookie of the browser; the callback must bring it.
    pub browser: SecretString,
}

/// What the provider sent the browser back with.
#[derive(Debug, Default)]
pub struct Callback {
    /// `state`.
    pub state: Option<String>,
    /// `code`, when the person approved.
    pub code: Option<String>,
    /// `error`, when there is none.
    pub error: Option<String>,
    /// `error_description`.
    pub description: Option<String>,
}

/// How an attempt ended, as kept with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// In a connected account.
    Connected {
        /// What people recognise it by.
        account: String,
        /// Scopes that were not granted.
        missing: Vec<String>,
    },
    /// In nothing, for this reason, told to the person.
    Failed(String),
}

/// A connected account.
#[derive(Debug)]
pub struct Finished {
    /// The integration.
    pub integration: &'static Integration,
    /// The connection.
    pub id: ConnectionId,
    /// What people recognise the account by.
    pub label: String,
    /// Scopes that were asked for and not granted, with what they would have enabled.
    pub missing: Vec<(&'static str, &'static str)>,
    /// Whether an account that was connected before was renewed.
    pub again: bool,
}

impl Connections {
    /// The app with which we come to this provider, from the environment or the store.
    pub(super) async fn app(&self, site: &Site, org: OrgId) -> Option<App> {
        if let Some(app) = &site.app {
            return Some(app.clone());
        }
        let row = self.inner.store.app(org, site.provider.id).await.ok()??;
        let client_secret = self.inner.vault.open(&app_place(&row), &row.secret).ok()?;
        Some(App {
            client_id: row.client_id,
            client_secret,
        })
    }

    /// Whether `integration` can be connected by the people of `org`: its app is set up, or it needs none.
    pub async fn is_set_up(&self, org: OrgId, provider: &str) -> bool {
        match self.inner.sites.get(provider) {
            Some(site) if site.provider.auth.oauth2().is_some() => {
                self.app(site, org).await.is_some()
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Sets the organization's app at a provider. The secret is sealed and never shown again.
    pub async fn set_app(
        &self,
        by: Actor,
        org: OrgId,
        provider: &str,
        app: &App,
    ) -> Result<(), ConnectError> {
        let (provider, _) = self.site(provider)?;
        let before = self.inner.store.app(org, provider.id).await?;
        let mut row = AppRow {
            org_id: org,
            provider: provider.id.to_owned(),
            client_id: app.client_id.clone(),
            secret: Sealed::from_bytes(Vec::new()),
            version: before.map_or(1, |before| before.version + 1),
            updated_at: self.inner.clock.now(),
        };
        row.secret = self
            .inner
            .vault
            .seal(&app_place(&row), &app.client_secret)?;
        let event = AdminEvent {
            kind: "admin.app_set",
            target: provider.id.into(),
            detail: json!({ "client_id": app.client_id, "client_secret": "changed" }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(by, org, event).await?;
        Ok(self.inner.store.upsert_app(&row).await?)
    }

    /// The origin of the page that asks for consent to `integration`, for a content security policy.
    pub fn consent_origin(&self, integration: &Integration) -> Option<String> {
        let site = self.inner.sites.get(integration.providers.first()?.id)?;
        let endpoints = site.endpoints(site.provider.auth.oauth2()?)?;
        Some(endpoints.authorize.origin().ascii_serialization())
    }

    /// Begins connecting an account for the person, anew or in the place of `reconnect`.
    pub async fn start(
        &self,
        caller: &Caller,
        integration: &'static Integration,
        reconnect: Option<ConnectionId>,
    ) -> Result<Started, FlowError> {
        let provider = integration
            .providers
            .first()
            .ok_or(FlowError::NoConsentPage(integration))?;
        let (provider, site) = self.site(provider.id)?;
        let Auth::OAuth2(oauth) = &provider.auth else {
            return Err(FlowError::NoConsentPage(integration));
        };
        let not_set_up = || FlowError::NotSetUp(integration);
        let app = self.app(site, caller.org).await.ok_or_else(not_set_up)?;
        let endpoints = site.endpoints(oauth).ok_or_else(not_set_up)?;
        let now = self.inner.clock.now();
        let random = || vault::random_secret("").ok_or(ConnectError::Vault(VaultError::Randomness));
        let (state, browser) = (random()?, random()?);
        let scopes: Vec<&str> = oauth.scopes.iter().map(|scope| scope.name).collect();
        let redirect = self.inner.links.callback(provider.id);
        let hashed = vault::hash(state.expose_secret());
        let started = oauth::authorize(oauth, &endpoints, &app, redirect, &state, &scopes)
            .ok_or_else(not_set_up)?;
        let mut flow = FlowRow {
            id: FlowId::new(now),
            org_id: caller.org,
            user_id: caller.user,
            provider: provider.id.to_owned(),
            reconnect,
            state_hash: Some(hashed),
            browser_hash: Some(vault::hash(browser.expose_secret())),
            sealed: None,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            created_at: now,
            expires_at: now.plus(FLOW_LIFE),
            used_at: None,
            outcome: None,
        };
        let sealed = self.inner.vault.seal(&flow_place(&flow), &started.verifier);
        flow.sealed = Some(sealed.map_err(ConnectError::from)?);
        self.inner.store.insert_flow(&flow).await?;
        Ok(Started {
            flow: flow.id,
            url: started.url,
            browser,
        })
    }

    /// Ends connecting: trades the code, finds out whose account it is, and stores it. Whatever happens is recorded and
    /// kept with the attempt, for [`Connections::outcome`]. `None` when there is no such attempt, or not any more.
    pub async fn finish(
        &self,
        caller: &Caller,
        provider: &str,
        browser: Option<&str>,
        callback: Callback,
    ) -> Result<Option<FlowId>, ConnectError> {
        let now = self.inner.clock.now();
        let state = callback.state.as_deref().unwrap_or_default();
        let Some(flow) = self.inner.store.take_flow(&vault::hash(state), now).await? else {
            return Ok(None);
        };
        let finished = self
            .finish_flow(caller, provider, browser, &flow, callback)
            .await;
        let (kind, ended) = match &finished {
            Ok(done) => (
                if done.again {
                    "connection.reconnected"
                } else {
                    "connection.connected"
                },
                Ended::Connected {
                    account: done.label.clone(),
                    missing: done
                        .missing
                        .iter()
                        .map(|(scope, _)| (*scope).to_owned())
                        .collect(),
                },
            ),
            Err(error) => ("connection.refused", Ended::Failed(error.told())),
        };
        if let Err(FlowError::Connect(error)) = &finished {
            tracing::error!(flow.id = %flow.id, error = %error, "an account cannot be connected");
        }
        let done = finished.as_ref().ok();
        let event = AdminEvent {
            kind,
            target: done
                .map_or(flow.provider.as_str(), |done| done.label.as_str())
                .into(),
            integration: done.map(|done| done.integration.id),
            connection: done.map(|done| done.id),
            outcome: if done.is_some() { "ok" } else { "refused" },
            detail: json!({ "flow": flow.id, "ended": ended }),
        };
        self.inner.audit.record(caller, flow.org_id, event).await?;
        let ended = serde_json::to_string(&ended).unwrap_or_default();
        self.inner.store.finish_flow(flow.id, &ended, now).await?;
        self.changed(flow.user_id);
        // Somebody else's attempt stays theirs: the person at this browser learns nothing of it.
        Ok((flow.user_id == caller.user).then_some(flow.id))
    }

    /// How an attempt of this person ended; `None` when it is not theirs or has not ended.
    pub async fn outcome(
        &self,
        caller: &Caller,
        flow: FlowId,
    ) -> Result<Option<(&'static Integration, Ended)>, ConnectError> {
        let flow = self.inner.store.flow(flow).await?;
        let Some(flow) = flow.filter(|flow| flow.user_id == caller.user) else {
            return Ok(None);
        };
        let (_, site) = self.site(&flow.provider)?;
        let ended = flow
            .outcome
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        Ok(ended.map(|ended| (site.integration, ended)))
    }

    async fn finish_flow(
        &self,
        caller: &Caller,
        provider: &str,
        browser: Option<&str>,
        flow: &FlowRow,
        callback: Callback,
    ) -> Result<Finished, FlowError> {
        let same_browser = browser
            .map(vault::hash)
            .is_some_and(|hash| flow.browser_hash == Some(hash));
        if flow.user_id != caller.user || flow.provider != provider || !same_browser {
            return Err(FlowError::Foreign);
        }
        let (provider, site) = self.site(&flow.provider)?;
        let Auth::OAuth2(oauth) = &provider.auth else {
            return Err(FlowError::NoConsentPage(site.integration));
        };
        let code = match (callback.code, callback.error.as_deref()) {
            (Some(code), None) => code,
            (_, Some("access_denied")) => return Err(FlowError::Denied),
            (_, Some("admin_consent_required" | "consent_required")) => {
                return Err(FlowError::AdminConsent);
            }
            (_, Some(word)) => {
                let said = callback.description.as_deref().unwrap_or(word);
                return Err(FlowError::Refused(text::clip(
                    &text::visible(text::scrub(said)),
                    200,
                )));
            }
            (None, None) => return Err(FlowError::Stale),
        };
        let not_set_up = || FlowError::NotSetUp(site.integration);
        let app = self.app(site, flow.org_id).await.ok_or_else(not_set_up)?;
        let endpoints = site.endpoints(oauth).ok_or_else(not_set_up)?;
        let sealed = flow.sealed.as_ref().ok_or(FlowError::Stale)?;
        let verifier = self
            .inner
            .vault
            .open(&flow_place(flow), sealed)
            .map_err(ConnectError::from)?;
        let redirect = self.inner.links.callback(provider.id);
        let asked_at = self.inner.clock.now();
        let trade = Trade::Code {
            code: &code,
            verifier: &verifier,
            redirect,
        };
        let tokens = oauth::trade(&self.inner.http, oauth, &endpoints, &app, trade).await;
        let tokens = tokens.map_err(|failure| match failure {
            TokenFailure::Gone(_) => FlowError::Stale,
            TokenFailure::App(word) => {
                FlowError::Refused(format!("the OAuth app is not accepted ({word})"))
            }
            TokenFailure::Throttled { .. } => {
                FlowError::Refused("too many requests; try again in a minute".to_owned())
            }
            TokenFailure::Transient(reason) | TokenFailure::Unknown(reason) => {
                FlowError::Refused(reason)
            }
        })?;
        let requested = flow.scopes.clone();
        self.keep(
            flow.org_id,
            flow.user_id,
            site,
            tokens,
            asked_at,
            requested,
            flow.reconnect,
            None,
        )
        .await
    }

    /// Finds out whose account these tokens are of and stores them, as a new connection or in the place of the one with
    /// the same account.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a separate fact of one connection; a struct would only rename them"
    )]
    pub(super) async fn keep(
        &self,
        org: OrgId,
        user: UserId,
        site: &Site,
        tokens: TokenSet,
        asked_at: Timestamp,
        requested: Vec<String>,
        reconnect: Option<ConnectionId>,
        base_url: Option<String>,
    ) -> Result<Finished, FlowError> {
        let integration = site.integration;
        let provider = site.provider;
        let now = self.inner.clock.now();
        let mut row = blank(org, user, site, now);
        row.scopes.clone_from(&tokens.scopes);
        row.requested_scopes = requested;
        row.base_url = base_url;
        let life = Life::of(&tokens, asked_at, &row);
        let tokens = match provider.auth {
            Auth::OAuth2(_) => Tokens::OAuth {
                access: tokens.access_token,
                refresh: tokens.refresh_token,
            },
            Auth::ApiKey(_) | Auth::None => Tokens::Key(tokens.access_token),
        };
        let found = self.identify(site, &row, &tokens).await?;
        if let Some(id) = reconnect {
            let before = self.inner.store.connection(id).await?;
            if let Some(before) =
                before.filter(|before| before.user_id == user && before.subject != found.id)
            {
                // Providers take a whole grant back, so one that another connection lives on is left alone.
                let kept = self
                    .inner
                    .store
                    .connection_by_subject(user, provider.id, &found.id)
                    .await?;
                if kept.is_none() {
                    self.revoke_tokens(&row, site, &tokens).await;
                }
                return Err(FlowError::WrongAccount {
                    expected: handle(&before),
                    found: found.label,
                });
            }
        }
        row.label = self.distinct_label(user, site, &found).await?;
        row.subject = found.id;
        row.details = serde_json::Value::Object(found.details);
        row.access_expires_at = life.access_expires_at;
        row.refresh_expires_at = life.refresh_expires_at;
        row.next_refresh_at = life.next_refresh_at.filter(|_| tokens.can_refresh());
        let before = self
            .inner
            .store
            .connection_by_subject(user, provider.id, &row.subject)
            .await?;
        let again = before.is_some();
        if let Some(before) = before {
            row.id = before.id;
            row.connected_at = now;
            row.alias.clone_from(&before.alias);
            row.token_version = before.token_version + 1;
            row.sealed = tokens.seal(&self.inner.vault, &row, row.token_version)?;
            if !self
                .inner
                .store
                .reconnect(&row, before.token_version)
                .await?
            {
                return Err(ConnectError::Unavailable.into());
            }
        } else {
            row.sealed = tokens.seal(&self.inner.vault, &row, row.token_version)?;
            self.inner.store.insert_connection(&row).await?;
        }
        self.changed(user);
        let granted = granted(&row, provider.auth.oauth2());
        let missing = provider
            .auth
            .oauth2()
            .map(|oauth| missing(oauth, &granted))
            .unwrap_or_default();
        Ok(Finished {
            integration,
            id: row.id,
            label: row.label,
            missing,
            again,
        })
    }

    /// The account's label, made different from those of the person's other accounts of the integration: two portals of
    /// one company may call themselves alike, and `account` must be able to name each.
    async fn distinct_label(
        &self,
        user: UserId,
        site: &Site,
        found: &Account,
    ) -> Result<String, FlowError> {
        let others = self.inner.store.connections_of(user).await?;
        let taken = others.iter().any(|other| {
            other.integration == site.integration.id
                && other.subject != found.id
                && other.label.eq_ignore_ascii_case(&found.label)
        });
        Ok(if taken {
            format!("{} ({})", found.label, found.id)
        } else {
            found.label.clone()
        })
    }

    async fn identify(
        &self,
        site: &Site,
        row: &ConnectionRow,
        tokens: &Tokens,
    ) -> Result<Account, FlowError> {
        let provider: &'static Provider = site.provider;
        let credential = match provider.auth {
            Auth::None => None,
            Auth::ApiKey(_) | Auth::OAuth2(_) => {
                let made = tokens
                    .bearer()
                    .and_then(|bearer| Credential::new(provider.api.credential, bearer, 0));
                Some(made.ok_or(ConnectError::Secret)?)
            }
        };
        let base = match &row.base_url {
            Some(url) => {
                std::sync::Arc::new(url::Url::parse(url).map_err(|_| ConnectError::Secret)?)
            }
            None => std::sync::Arc::clone(&site.api),
        };
        let api = ProviderClient::new(
            self.inner.http.clone(),
            &provider.api,
            base,
            credential,
            None,
        );
        let cx = Cx {
            provider,
            api,
            account: account(row),
            granted: row.scopes.clone().map_or(Granted::Unknown, Granted::Scopes),
            records: Records::new(self.inner.store.clone(), row.id, self.inner.clock.clone()),
            now: self.inner.clock.now(),
            idempotency_key: None,
            dry_run: false,
            max_chars: 24_000,
            progress: Progress::default(),
        };
        (provider.identify)(&cx).await.map_err(FlowError::Identify)
    }
}

/// A connection of this person at this provider that has no account and no secret yet.
fn blank(org: OrgId, user: UserId, site: &Site, now: Timestamp) -> ConnectionRow {
    ConnectionRow {
        id: ConnectionId::new(now),
        org_id: org,
        user_id: user,
        integration: site.integration.id.to_owned(),
        provider: site.provider.id.to_owned(),
        subject: String::new(),
        label: String::new(),
        alias: None,
        is_default: false,
        status_at: None,
        details: serde_json::Value::Null,
        scopes: None,
        requested_scopes: Vec::new(),
        base_url: None,
        status: Status::Connected,
        reason: None,
        sealed: Sealed::from_bytes(Vec::new()),
        token_version: 1,
        access_expires_at: None,
        refresh_expires_at: None,
        next_refresh_at: None,
        failures: 0,
        first_failure_at: None,
        retry_at: None,
        lease_owner: None,
        lease_until: None,
        attempt_started_at: None,
        connected_at: now,
        last_used_at: None,
    }
}

fn missing(oauth: &'static OAuth2, granted: &Granted) -> Vec<(&'static str, &'static str)> {
    oauth
        .scopes
        .iter()
        .filter(|scope| !granted.has(scope.name))
        .map(|scope| (scope.name, scope.why))
        .collect()
}

pub(super) fn app_place(row: &AppRow) -> Place<'_> {
    Place {
        table: "apps",
        column: "secret",
        org: row.org_id,
        user: None,
        row: row.provider.as_bytes(),
        provider: &row.provider,
        version: row.version,
    }
}

pub(super) fn flow_place(row: &FlowRow) -> Place<'_> {
    Place {
        table: "flows",
        column: "sealed",
        org: row.org_id,
        user: Some(row.user_id),
        row: row.id.bytes(),
        provider: &row.provider,
        version: 1,
    }
}
