//! Connecting: from the click to the stored, identified account.
//!
//! Every attempt is a row that names the person. Its `state` is 256 bits, stored hashed, used once, good for ten minutes
//! and bound to the browser that clicked, so a link that is forwarded or a callback that is forged connects nothing
//! (RFC 6749 §10.12, RFC 9700 §4.7).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Connections;
use super::directory::{self, Wanted};
use super::error::ConnectError;
use super::flow_error::FlowError;
use super::keep::{Arrival, Brought};
use super::oauth::{self, App, TokenFailure, Trade};
use super::sites::Site;
use crate::audit::{Actor, AdminEvent};
use crate::caller::Caller;
use crate::ids::{ConnectionId, FlowId, OrgId};
use crate::kit::integration::{Auth, Integration, OAuth2, Provider};
use crate::kit::text;
use crate::store::{AppRow, FlowRow};
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
    /// `iss` of RFC 9207: which authorization server this is from.
    pub issuer: Option<String>,
    /// `admin_consent`, which an administrator's answer has.
    pub admin_consent: bool,
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
    /// In nothing, until an administrator consents; the link for them is [`Connections::admin_link`]'s.
    NeedsAdmin {
        /// What the person is told.
        said: String,
        /// Names the link.
        link: FlowId,
    },
}

/// How an attempt ended, with what it was for.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The integration.
    pub integration: &'static Integration,
    /// The connection that was to be renewed.
    pub reconnect: Option<ConnectionId>,
    /// Its end.
    pub ended: Ended,
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

    /// Whether the people of `org` can connect at this provider: its app is set up, or there is a way without one.
    pub async fn is_set_up(&self, org: OrgId, provider: &str) -> bool {
        match self.inner.sites.get(provider) {
            Some(site) => match &site.provider.auth {
                Auth::OAuth2(_) => self.app(site, org).await.is_some(),
                Auth::Open(_) | Auth::ApiKey(_) | Auth::Either(..) => true,
            },
            None => false,
        }
    }

    /// Whether the people of `org` can go to this provider's consent page.
    pub async fn has_consent_page(&self, org: OrgId, provider: &Provider) -> bool {
        match self.inner.sites.get(provider.id) {
            Some(site) if provider.auth.oauth2().is_some() => self.app(site, org).await.is_some(),
            Some(_) | None => false,
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

    /// The origin of the page on which this provider asks for consent, for a content security policy.
    pub fn consent_origin(&self, provider: &Provider) -> Option<String> {
        let site = self.inner.sites.get(provider.id)?;
        let oauth = site.provider.auth.oauth2()?;
        // The directory stands in the path, so any will do.
        let endpoints = site.endpoints(oauth, "")?;
        Some(endpoints.authorize.origin().ascii_serialization())
    }

    /// Begins connecting an account at this provider for the person, anew or in the place of `reconnect`.
    pub async fn start(
        &self,
        caller: &Caller,
        provider: &'static Provider,
        reconnect: Option<ConnectionId>,
        wanted: &Wanted,
    ) -> Result<Started, FlowError> {
        self.inner
            .pace
            .take(caller.user)
            .map_err(FlowError::TooOften)?;
        let (provider, site) = self.site(provider.id)?;
        let integration = site.integration;
        let oauth = provider
            .auth
            .oauth2()
            .ok_or(FlowError::NoConsentPage(integration))?;
        let not_set_up = || FlowError::NotSetUp(integration);
        let app = self.app(site, caller.org).await.ok_or_else(not_set_up)?;
        let endpoints = self.endpoints(site, oauth, caller.org).await;
        let endpoints = endpoints.ok_or_else(not_set_up)?;
        let claims = self.owed_claims(caller, reconnect).await?;
        let now = self.inner.clock.now();
        let random = || vault::random_secret("").ok_or(ConnectError::Vault(VaultError::Randomness));
        let (state, browser) = (random()?, random()?);
        let scopes = directory::scopes(oauth, wanted);
        let redirect = self.inner.links.callback(provider.id);
        let hashed = vault::hash(state.expose_secret());
        let claims = claims.as_deref();
        let started = oauth::authorize(oauth, &endpoints, &app, redirect, &state, &scopes, claims)
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
        self.conclude(caller, &flow, &finished, json!({ "flow": flow.id }))
            .await?;
        // Somebody else's attempt stays theirs: the person at this browser learns nothing of it.
        Ok((flow.user_id == caller.user).then_some(flow.id))
    }

    /// Records how an attempt ended and keeps it with the attempt.
    pub(super) async fn conclude(
        &self,
        caller: &Caller,
        flow: &FlowRow,
        finished: &Result<Finished, FlowError>,
        mut detail: serde_json::Value,
    ) -> Result<(), ConnectError> {
        let (kind, ended) = match finished {
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
            Err(error) => (
                "connection.refused",
                if let FlowError::AdminConsent(Some(link)) = error {
                    Ended::NeedsAdmin {
                        said: error.told(),
                        link: *link,
                    }
                } else {
                    Ended::Failed(error.told())
                },
            ),
        };
        if let Err(FlowError::Connect(error)) = finished {
            tracing::error!(flow.id = %flow.id, error = %error, "an account cannot be connected");
        }
        let done = finished.as_ref().ok();
        detail["ended"] = json!(ended);
        let event = AdminEvent {
            kind,
            target: done
                .map_or(flow.provider.as_str(), |done| done.label.as_str())
                .into(),
            integration: done.map(|done| done.integration.id),
            connection: done.map(|done| done.id),
            outcome: if done.is_some() { "ok" } else { "refused" },
            detail,
        };
        self.inner.audit.record(caller, flow.org_id, event).await?;
        let ended = serde_json::to_string(&ended).unwrap_or_default();
        let now = self.inner.clock.now();
        self.inner.store.finish_flow(flow.id, &ended, now).await?;
        self.changed(flow.user_id);
        Ok(())
    }

    /// How an attempt of this person ended; `None` when it is not theirs or has not ended.
    pub async fn outcome(
        &self,
        caller: &Caller,
        flow: FlowId,
    ) -> Result<Option<Outcome>, ConnectError> {
        let flow = self.inner.store.flow(flow).await?;
        let Some(flow) = flow.filter(|flow| flow.user_id == caller.user) else {
            return Ok(None);
        };
        let (_, site) = self.site(&flow.provider)?;
        let ended = flow
            .outcome
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        Ok(ended.map(|ended| Outcome {
            integration: site.integration,
            reconnect: flow.reconnect,
            ended,
        }))
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
        let oauth = provider
            .auth
            .oauth2()
            .ok_or(FlowError::NoConsentPage(site.integration))?;
        let not_set_up = || FlowError::NotSetUp(site.integration);
        let endpoints = self.endpoints(site, oauth, flow.org_id).await;
        let endpoints = endpoints.ok_or_else(not_set_up)?;
        // A provider that names itself must be the one that was asked. Its exact name is nowhere in what we know of it, so
        // the origin is compared, in addition to the address of our own that each provider has for its answers.
        let asked = endpoints.authorize.origin();
        let is_asked =
            |issuer: &str| url::Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == asked);
        if !callback.issuer.as_deref().is_none_or(is_asked) {
            return Err(FlowError::Foreign);
        }
        let code = self.approved(oauth, flow, callback).await?;
        let app = self.app(site, flow.org_id).await.ok_or_else(not_set_up)?;
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
        let tokens = match tokens {
            Ok(tokens) => tokens,
            Err(failure) => return Err(self.not_traded(flow, failure).await?),
        };
        self.keep(Arrival {
            org: flow.org_id,
            user: flow.user_id,
            site,
            brought: Brought::Tokens(tokens),
            asked_at,
            requested: flow.scopes.clone(),
            reconnect: flow.reconnect,
            server: None,
        })
        .await
    }

    /// The code of an approved attempt, or why there is none.
    async fn approved(
        &self,
        oauth: &OAuth2,
        flow: &FlowRow,
        callback: Callback,
    ) -> Result<String, FlowError> {
        match (callback.code, callback.error.as_deref()) {
            (Some(code), None) => Ok(code),
            (_, Some(word))
                if directory::wants_admin(oauth, word, callback.description.as_deref()) =>
            {
                let page = oauth
                    .directory
                    .as_ref()
                    .and_then(|found| found.admin_consent_url);
                let link = match page {
                    Some(_) => Some(self.ask_admin(flow).await?),
                    None => None,
                };
                Err(FlowError::AdminConsent(link))
            }
            (_, Some("access_denied")) => Err(FlowError::Denied),
            (_, Some(word)) => {
                let said = callback.description.as_deref().unwrap_or(word);
                let said = text::visible(text::scrub(said));
                Err(FlowError::Refused(text::clip(&said, 200)))
            }
            (None, None) => Err(FlowError::Stale),
        }
    }

    /// Why a code was not traded. What the next sign-in of an account must prove is kept with it.
    async fn not_traded(
        &self,
        flow: &FlowRow,
        failure: TokenFailure,
    ) -> Result<FlowError, ConnectError> {
        Ok(match failure {
            TokenFailure::Gone(_) => FlowError::Stale,
            TokenFailure::Challenged(claims) => {
                if let Some(id) = flow.reconnect {
                    let row = self.inner.store.connection(id).await?;
                    if let Some(row) = row.filter(|row| row.user_id == flow.user_id) {
                        self.owe(&row, &claims).await;
                    }
                }
                FlowError::Refused(
                    "it wants another sign-in first; start again and sign in there as it asks"
                        .to_owned(),
                )
            }
            TokenFailure::App(word) => {
                FlowError::Refused(format!("the OAuth app is not accepted ({word})"))
            }
            TokenFailure::Throttled { .. } => {
                FlowError::Refused("too many requests; try again in a minute".to_owned())
            }
            TokenFailure::Transient(reason) | TokenFailure::Unknown(reason) => {
                FlowError::Refused(reason)
            }
        })
    }
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
