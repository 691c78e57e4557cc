//! Keeping a credential that a person brought: whose account it is, and as which connection it is stored.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::error::ConnectError;
use super::flow::Finished;
use super::flow_error::FlowError;
use super::life::Life;
use super::secret::Tokens;
use super::sites::Site;
use super::{Connections, account, granted, handle, named};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, OrgId, UserId};
use crate::kit::integration::{Account, GRANTED, OAuth2, TokenSet};
use crate::kit::people::People;
use crate::kit::progress::Progress;
use crate::kit::tool::{Cx, Granted};
use crate::kit::tracking::Tracking;
use crate::store::{ConnectionRow, Records};

/// What a person brought.
pub(super) enum Brought {
    /// What a token endpoint answered.
    Tokens(TokenSet),
    /// A key.
    Key(SecretString),
}

/// A credential on its way into a connection.
pub(super) struct Arrival<'a> {
    pub(super) org: OrgId,
    pub(super) user: UserId,
    pub(super) site: &'a Site,
    pub(super) brought: Brought,
    /// When it was asked for.
    pub(super) asked_at: Timestamp,
    /// The scopes asked for.
    pub(super) requested: Vec<String>,
    /// The connection it is to renew.
    pub(super) reconnect: Option<ConnectionId>,
    /// The account's own server.
    pub(super) server: Option<Url>,
}

impl Connections {
    /// Finds out whose account this credential is of and stores it, as a new connection or in the place of the one with
    /// the same account.
    pub(super) async fn keep(&self, arrival: Arrival<'_>) -> Result<Finished, FlowError> {
        let Arrival {
            org, user, site, ..
        } = arrival;
        let provider = site.provider;
        let now = self.inner.clock.now();
        let mut row = ConnectionRow::new((org, user), site.integration.id, site.provider.id, now);
        row.requested_scopes = arrival.requested;
        row.base_url = arrival.server.as_ref().map(ToString::to_string);
        let tokens = match arrival.brought {
            Brought::Tokens(tokens) => {
                let life = Life::of(&tokens, arrival.asked_at, &row);
                row.scopes = tokens.scopes;
                row.access_expires_at = life.access_expires_at;
                row.refresh_expires_at = life.refresh_expires_at;
                row.next_refresh_at = life.next_refresh_at;
                Tokens::OAuth {
                    access: tokens.access_token,
                    refresh: tokens.refresh_token,
                }
            }
            Brought::Key(key) => {
                let read = provider.auth.key().map(|facts| facts.read);
                let said = read.map_or(Ok(Map::new()), |read| read(key.expose_secret()));
                row.details = Value::Object(said.map_err(|why| FlowError::Key(why.to_owned()))?);
                Tokens::Key(key)
            }
        };
        row.next_refresh_at = row.next_refresh_at.filter(|_| tokens.can_refresh());
        let mut found = self.identify(site, &row, &tokens).await?;
        // Two servers may number their accounts alike.
        if let Some(server) = &arrival.server {
            let place = server.as_str().trim_end_matches('/');
            let place = place.split_once("://").map_or(place, |(_, place)| place);
            found.id = format!("{}@{place}", found.id);
        }
        if let Some(Value::Array(scopes)) = found.details.remove(GRANTED) {
            let scopes = scopes.iter().filter_map(Value::as_str);
            let scopes = scopes.map(ToOwned::to_owned).collect();
            row.scopes.get_or_insert(scopes);
        }
        if let Some(id) = arrival.reconnect {
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
        row.details = Value::Object(found.details);
        let again = self.place(&mut row, &tokens).await?;
        self.changed(user);
        let granted = granted(&row, provider.auth.oauth2());
        let missing = provider
            .auth
            .oauth2()
            .map(|oauth| missing(oauth, &granted, &row.requested_scopes))
            .unwrap_or_default();
        Ok(Finished {
            integration: site.integration,
            id: row.id,
            label: row.label,
            missing,
            again,
        })
    }

    /// Seals and stores a connection, in the place of one with the same account if there is one, and says whether there
    /// was.
    async fn place(&self, row: &mut ConnectionRow, tokens: &Tokens) -> Result<bool, FlowError> {
        let inner = &self.inner;
        let before = inner
            .store
            .connection_by_subject(row.user_id, &row.provider, &row.subject)
            .await?;
        let Some(before) = before else {
            row.sealed = tokens.seal(&inner.vault, row, row.token_version)?;
            inner.store.insert_connection(row).await?;
            return Ok(false);
        };
        row.id = before.id;
        row.alias = before.alias;
        row.token_version = before.token_version + 1;
        row.sealed = tokens.seal(&inner.vault, row, row.token_version)?;
        if inner.store.reconnect(row, before.token_version).await? {
            Ok(true)
        } else {
            Err(ConnectError::Unavailable.into())
        }
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
                && named(other, &found.label)
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
        let cx = Cx {
            provider: site.provider,
            api: self.road(site, row, tokens, None)?,
            account: account(row),
            granted: row.scopes.clone().map_or(Granted::Unknown, Granted::Scopes),
            records: Records::new(self.inner.store.clone(), row.id, self.inner.clock.clone()),
            now: self.inner.clock.now(),
            idempotency_key: None,
            dry_run: false,
            max_chars: 24_000,
            progress: Progress::default(),
            people: People::default(),
            tracking: Tracking::default(),
            held: None,
        };
        (site.provider.identify)(&cx)
            .await
            .map_err(FlowError::Identify)
    }
}

/// What was asked for and not granted; a key is asked for nothing and may lack anything.
fn missing(
    oauth: &'static OAuth2,
    granted: &Granted,
    requested: &[String],
) -> Vec<(&'static str, &'static str)> {
    let asked = |name: &str| requested.is_empty() || requested.iter().any(|one| one == name);
    oauth
        .scopes
        .iter()
        .filter(|scope| asked(scope.name) && !granted.has(scope.name))
        .map(|scope| (scope.name, scope.why))
        .collect()
}
