//! Disconnecting: the grant is taken back at the provider, the row is deleted, and the person is told which of the two
//! happened.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::error::ConnectError;
use super::oauth::{App, TOKEN_TIMEOUT};
use super::secret::Tokens;
use super::sites::Site;
use super::{Connections, handle};
use crate::audit::{Actor, AdminEvent};
use crate::ids::{ConnectionId, UserId};
use crate::kit::integration::{ClientAuth, OAuth2, Revocation, RevokedToken};
use crate::store::{ConnectionRow, Status};

/// Whether the provider took the grant back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It did; the tokens are dead.
    Yes,
    /// It offers no way; the person can remove the app at the provider.
    Unsupported,
    /// It was a key that the person made at the provider, and goes on working until they delete it there.
    Key,
    /// It did not, for this reason; the tokens die by themselves or by hand.
    No(String),
    /// There was nothing to take back: it was disconnected before.
    Before,
}

/// What becomes of what integrations keep for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// It is deleted with the connection.
    Erase,
    /// It stays with the connection, which has no credential any more and waits to be connected again.
    Keep,
}

/// What disconnecting did.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The integration's id.
    pub integration: String,
    /// What the person called the account.
    pub account: String,
    /// Whether the provider took the grant back.
    pub revoked: Revoked,
}

impl Connections {
    /// Disconnects an account of this person. `None` when they have no such connection. Its credential is deleted
    /// whatever the provider answers, and so is everything integrations kept for it unless it is to be kept.
    pub async fn disconnect(
        &self,
        user: UserId,
        id: ConnectionId,
        synced: Synced,
    ) -> Result<Option<Receipt>, ConnectError> {
        let owner = Actor::Person { user, grant: None };
        self.disconnect_by(owner, user, id, synced).await
    }

    /// As [`Connections::disconnect`], when somebody else than the owner wants it.
    pub async fn disconnect_by(
        &self,
        by: Actor,
        user: UserId,
        id: ConnectionId,
        synced: Synced,
    ) -> Result<Option<Receipt>, ConnectError> {
        let found = self.inner.store.connection(id).await?;
        let Some(row) = found.filter(|row| row.user_id == user) else {
            return Ok(None);
        };
        let (_, site) = self.site(&row.provider)?;
        let revoked = self.revoke_row(&row, site).await;
        let said = match &revoked {
            Revoked::Yes => "revoked".to_owned(),
            Revoked::Unsupported => "unsupported".to_owned(),
            Revoked::Key => "the key stays until it is deleted at the provider".to_owned(),
            Revoked::No(reason) => format!("not revoked: {reason}"),
            Revoked::Before => "disconnected before".to_owned(),
        };
        let kept = match synced {
            Synced::Erase => "erased",
            Synced::Keep => "kept",
        };
        let event = AdminEvent {
            kind: "connection.disconnected",
            target: handle(&row).into(),
            integration: Some(&row.integration),
            connection: Some(id),
            outcome: "",
            detail: json!({ "revocation": said, "synced": kept }),
        };
        self.inner.audit.record(by, row.org_id, event).await?;
        match synced {
            Synced::Erase => {
                self.inner.store.delete_connection(id).await?;
            }
            Synced::Keep => self.retire(row.clone()).await?,
        }
        self.changed(user);
        Ok(Some(Receipt {
            integration: row.integration.clone(),
            account: handle(&row),
            revoked,
        }))
    }

    /// Takes the credential away. A refresh may come between; what it saves is taken away too.
    async fn retire(&self, mut row: ConnectionRow) -> Result<(), ConnectError> {
        let inner = &self.inner;
        loop {
            let nothing = Tokens::Nothing.seal(&inner.vault, &row, row.token_version + 1)?;
            let version = row.token_version;
            if inner
                .store
                .retire_connection(row.id, version, &nothing)
                .await?
            {
                return Ok(());
            }
            match inner.store.connection(row.id).await? {
                Some(now) => row = now,
                None => return Ok(()),
            }
        }
    }

    async fn revoke_row(&self, row: &ConnectionRow, site: &Site) -> Revoked {
        let integration = site.integration;
        let mut row = Arc::new(row.clone());
        let by_access_token = site
            .provider
            .auth
            .oauth2()
            .is_some_and(|oauth| matches!(oauth.revocation, Revocation::DeleteGrant { .. }));
        // A token that has ended does not show the provider which grant is meant.
        if by_access_token && matches!(row.status, Status::Connected | Status::Error) {
            row = match self.fresh(Arc::clone(&row), integration).await {
                Ok(fresh) => fresh,
                Err(ConnectError::Dead { .. }) => {
                    return Revoked::No("the provider no longer accepts it".to_owned());
                }
                Err(_) => return Revoked::No("its access token cannot be renewed now".to_owned()),
            };
        }
        match self.unseal(&row, integration).await {
            Ok(Tokens::Nothing) => Revoked::Before,
            Ok(tokens) => self.revoke_tokens(&row, site, &tokens).await,
            Err(_) => Revoked::No("its stored credential cannot be opened".to_owned()),
        }
    }

    pub(super) async fn revoke_tokens(
        &self,
        row: &ConnectionRow,
        site: &Site,
        tokens: &Tokens,
    ) -> Revoked {
        let Some(oauth) = site.provider.auth.oauth2() else {
            return Revoked::Key;
        };
        let Tokens::OAuth { access, refresh } = tokens else {
            return Revoked::Key;
        };
        let Some(app) = self.app(site, row.org_id).await else {
            return Revoked::No("the OAuth app is not set up".to_owned());
        };
        let request = match oauth.revocation {
            Revocation::Unsupported => return Revoked::Unsupported,
            Revocation::Rfc7009 { url, token } => {
                let (token, hint) = match (token, refresh) {
                    (RevokedToken::Refresh, Some(refresh)) => (refresh, "refresh_token"),
                    _ => (access, "access_token"),
                };
                site.address(url)
                    .map(|url| self.rfc7009(oauth, &app, url, token, hint))
            }
            Revocation::DeleteGrant { url } => {
                let url = url.replace("{client_id}", &crate::kit::uri::encode(&app.client_id));
                site.address(&url).map(|url| {
                    self.inner
                        .http
                        .delete(url)
                        .basic_auth(&app.client_id, Some(app.client_secret.expose_secret()))
                        .json(&json!({ "access_token": access.expose_secret() }))
                })
            }
        };
        let Some(request) = request else {
            return Revoked::No("its address is wrong".to_owned());
        };
        match request.timeout(TOKEN_TIMEOUT).send().await {
            Ok(response) if response.status().is_success() => Revoked::Yes,
            // The token is not known, which says nothing about the grant.
            Ok(response) if matches!(response.status().as_u16(), 404 | 410) => {
                Revoked::No("the provider no longer accepts it".to_owned())
            }
            Ok(response) => Revoked::No(format!(
                "the provider answered {}",
                response.status().as_u16()
            )),
            Err(_) => Revoked::No("the provider could not be reached".to_owned()),
        }
    }

    /// RFC 7009 §2.1.
    fn rfc7009(
        &self,
        oauth: &OAuth2,
        app: &App,
        url: url::Url,
        token: &SecretString,
        hint: &str,
    ) -> reqwest::RequestBuilder {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.expose_secret())
            .append_pair("token_type_hint", hint);
        let request = self
            .inner
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match oauth.client_auth {
            ClientAuth::Body => {
                form.append_pair("client_id", &app.client_id)
                    .append_pair("client_secret", app.client_secret.expose_secret());
                request.body(form.finish())
            }
            ClientAuth::Basic => request
                .basic_auth(&app.client_id, Some(app.client_secret.expose_secret()))
                .body(form.finish()),
        }
    }
}
