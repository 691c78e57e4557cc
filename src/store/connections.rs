//! One person's connected accounts. Refreshing their tokens is in `refresh.rs`.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, OrgId, UserId};
use crate::vault::Sealed;

/// What a person sees of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Works.
    Connected,
    /// The provider refused it for good: the person reconnects.
    Expired,
    /// Did not work lately and is tried again.
    Error,
    /// Switched off.
    Disabled,
}

impl Status {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Expired => "expired",
            Self::Error => "error",
            Self::Disabled => "disabled",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Connected, Self::Expired, Self::Error, Self::Disabled]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// A connection. At most one per person, provider and subject; an alias is unique per person and integration.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionRow {
    /// Its id.
    pub id: ConnectionId,
    /// The organization.
    pub org_id: OrgId,
    /// Whose it is.
    pub user_id: UserId,
    /// The integration's id.
    pub integration: String,
    /// The provider's id.
    pub provider: String,
    /// Who the provider says this is; never changes.
    pub subject: String,
    /// The account's name at the provider, as shown.
    pub label: String,
    /// What the person calls it.
    pub alias: Option<String>,
    /// Whether it is meant when a call names no account of its integration.
    pub is_default: bool,
    /// What identification found besides.
    pub details: serde_json::Value,
    /// The scopes granted; `None` when the provider does not say.
    pub scopes: Option<Vec<String>>,
    /// The scopes asked for.
    pub requested_scopes: Vec<String>,
    /// Where this account's API is, when that differs per account.
    pub base_url: Option<String>,
    /// What a person sees.
    pub status: Status,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Since when; `None` as long as it is what it was when it was connected.
    pub status_at: Option<Timestamp>,
    /// The tokens, sealed as one document.
    pub sealed: Sealed,
    /// Goes up by one with every new seal of other tokens, and never otherwise.
    pub token_version: i64,
    /// When the access token ends.
    pub access_expires_at: Option<Timestamp>,
    /// When the refresh token ends.
    pub refresh_expires_at: Option<Timestamp>,
    /// When to refresh.
    pub next_refresh_at: Option<Timestamp>,
    /// Refreshes that failed in a row.
    pub failures: i64,
    /// When the first of them did.
    pub first_failure_at: Option<Timestamp>,
    /// When to try again after a failure; goes before `next_refresh_at`.
    pub retry_at: Option<Timestamp>,
    /// Who is refreshing.
    pub lease_owner: Option<String>,
    /// Until when they may.
    pub lease_until: Option<Timestamp>,
    /// When a refresh began that has not come to an end.
    pub attempt_started_at: Option<Timestamp>,
    /// When the person connected it.
    pub connected_at: Timestamp,
    /// When a tool last used it.
    pub last_used_at: Option<Timestamp>,
}

impl ConnectionRow {
    /// A connection of this person at this provider, that has no account and no secret yet.
    #[must_use]
    pub fn new(
        (org_id, user_id): (OrgId, UserId),
        integration: &str,
        provider: &str,
        now: Timestamp,
    ) -> Self {
        Self {
            id: ConnectionId::new(now),
            org_id,
            user_id,
            integration: integration.to_owned(),
            provider: provider.to_owned(),
            subject: String::new(),
            label: String::new(),
            alias: None,
            is_default: false,
            details: serde_json::Value::Null,
            scopes: None,
            requested_scopes: Vec::new(),
            base_url: None,
            status: Status::Connected,
            reason: None,
            status_at: None,
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
}

const COLUMNS: &str = "id, org_id, user_id, integration, provider, subject, label, alias, details, scopes, \
    requested_scopes, base_url, status, reason, sealed, token_version, access_expires_at, refresh_expires_at, \
    next_refresh_at, failures, first_failure_at, retry_at, lease_owner, lease_until, attempt_started_at, \
    connected_at, last_used_at, is_default, status_at";

/// A select of all columns. Both parts are texts of this program.
pub(super) fn select(rest: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("select {COLUMNS} from connections {rest}"))
}

#[derive(FromRow)]
pub(super) struct ConnectionColumns {
    id: Uuid,
    org_id: Uuid,
    user_id: Uuid,
    integration: String,
    provider: String,
    subject: String,
    label: String,
    alias: Option<String>,
    details: String,
    scopes: Option<String>,
    requested_scopes: String,
    base_url: Option<String>,
    status: String,
    reason: Option<String>,
    sealed: Vec<u8>,
    token_version: i64,
    access_expires_at: Option<i64>,
    refresh_expires_at: Option<i64>,
    next_refresh_at: Option<i64>,
    failures: i64,
    first_failure_at: Option<i64>,
    retry_at: Option<i64>,
    lease_owner: Option<String>,
    lease_until: Option<i64>,
    attempt_started_at: Option<i64>,
    connected_at: i64,
    last_used_at: Option<i64>,
    is_default: i64,
    status_at: Option<i64>,
}

impl TryFrom<ConnectionColumns> for ConnectionRow {
    type Error = StoreError;

    fn try_from(row: ConnectionColumns) -> Result<Self, StoreError> {
        let id = ConnectionId::from_uuid(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "connections",
            column,
            id: id.to_string(),
        };
        let at = |micros: Option<i64>| micros.map(Timestamp::from_micros);
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            user_id: UserId::from_uuid(row.user_id),
            integration: row.integration,
            provider: row.provider,
            subject: row.subject,
            label: row.label,
            alias: row.alias,
            is_default: row.is_default != 0,
            details: serde_json::from_str(&row.details).map_err(|_| corrupt("details"))?,
            scopes: match row.scopes {
                Some(text) => Some(serde_json::from_str(&text).map_err(|_| corrupt("scopes"))?),
                None => None,
            },
            requested_scopes: serde_json::from_str(&row.requested_scopes)
                .map_err(|_| corrupt("requested_scopes"))?,
            base_url: row.base_url,
            status: Status::parse(&row.status).ok_or_else(|| corrupt("status"))?,
            reason: row.reason,
            status_at: at(row.status_at),
            sealed: Sealed::from_bytes(row.sealed),
            token_version: row.token_version,
            access_expires_at: at(row.access_expires_at),
            refresh_expires_at: at(row.refresh_expires_at),
            next_refresh_at: at(row.next_refresh_at),
            failures: row.failures,
            first_failure_at: at(row.first_failure_at),
            retry_at: at(row.retry_at),
            lease_owner: row.lease_owner,
            lease_until: at(row.lease_until),
            attempt_started_at: at(row.attempt_started_at),
            connected_at: Timestamp::from_micros(row.connected_at),
            last_used_at: at(row.last_used_at),
        })
    }
}

/// The JSON text of a list of scopes.
pub(super) fn scopes_text(scopes: &[String]) -> String {
    serde_json::Value::from(scopes).to_string()
}

fn rows(rows: Vec<ConnectionColumns>) -> Result<Vec<ConnectionRow>, StoreError> {
    rows.into_iter().map(TryInto::try_into).collect()
}

impl Store {
    /// Adds a connection.
    pub async fn insert_connection(&self, row: &ConnectionRow) -> Result<(), StoreError> {
        on!(&self.db, begin tx => {
            sqlx::query(
                "insert into connections (id, org_id, user_id, integration, provider, subject, label, alias, details, \
                 scopes, requested_scopes, base_url, status, reason, sealed, token_version, access_expires_at, \
                 refresh_expires_at, next_refresh_at, failures, first_failure_at, retry_at, lease_owner, lease_until, \
                 attempt_started_at, connected_at, last_used_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
                 $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)",
            )
            .bind(row.id.uuid())
            .bind(row.org_id.uuid())
            .bind(row.user_id.uuid())
            .bind(row.integration.as_str())
            .bind(row.provider.as_str())
            .bind(row.subject.as_str())
            .bind(row.label.as_str())
            .bind(row.alias.as_deref())
            .bind(row.details.to_string())
            .bind(row.scopes.as_deref().map(scopes_text))
            .bind(scopes_text(&row.requested_scopes))
            .bind(row.base_url.as_deref())
            .bind(row.status.as_str())
            .bind(row.reason.as_deref())
            .bind(row.sealed.as_bytes())
            .bind(row.token_version)
            .bind(row.access_expires_at.map(Timestamp::micros))
            .bind(row.refresh_expires_at.map(Timestamp::micros))
            .bind(row.next_refresh_at.map(Timestamp::micros))
            .bind(row.failures)
            .bind(row.first_failure_at.map(Timestamp::micros))
            .bind(row.retry_at.map(Timestamp::micros))
            .bind(row.lease_owner.as_deref())
            .bind(row.lease_until.map(Timestamp::micros))
            .bind(row.attempt_started_at.map(Timestamp::micros))
            .bind(row.connected_at.micros())
            .bind(row.last_used_at.map(Timestamp::micros))
            .execute(&mut *tx)
            .await?;
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(row.org_id.uuid())
                .bind(row.user_id.uuid())
                .bind("connection")
                .bind(row.connected_at.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        });
        Ok(())
    }

    /// One connection.
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionRow>, StoreError> {
        let row: Option<ConnectionColumns> = on!(&self.db, pool => sqlx::query_as(select("where id = $1"))
            .bind(id.uuid())
            .fetch_optional(pool)
            .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// A person's connections, oldest first.
    pub async fn connections_of(&self, user: UserId) -> Result<Vec<ConnectionRow>, StoreError> {
        rows(
            on!(&self.db, pool => sqlx::query_as(select("where user_id = $1 order by connected_at, id"))
            .bind(user.uuid())
            .fetch_all(pool)
            .await)?,
        )
    }

    /// Everybody's connections, oldest first.
    pub async fn connections(&self, org: OrgId) -> Result<Vec<ConnectionRow>, StoreError> {
        rows(
            on!(&self.db, pool => sqlx::query_as(select("where org_id = $1 order by connected_at, id"))
            .bind(org.uuid())
            .fetch_all(pool)
            .await)?,
        )
    }

    /// A person's connection to one account at a provider.
    pub async fn connection_by_subject(
        &self,
        user: UserId,
        provider: &str,
        subject: &str,
    ) -> Result<Option<ConnectionRow>, StoreError> {
        let row: Option<ConnectionColumns> = on!(&self.db, pool => sqlx::query_as(
            select("where user_id = $1 and provider = $2 and subject = $3"),
        )
        .bind(user.uuid())
        .bind(provider)
        .bind(subject)
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// The connections of the installation in order of id, after `after`, at most `limit`: how a key rotation walks them.
    pub async fn connections_after(
        &self,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<ConnectionRow>, StoreError> {
        let after = after.map_or(Uuid::nil(), ConnectionId::uuid);
        rows(
            on!(&self.db, pool => sqlx::query_as(select("where id > $1 order by id limit $2"))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?,
        )
    }

    /// Replaces everything that connecting again finds (tokens, label, details, scopes, status), but not whose and which
    /// account it is, nor its alias. False when the tokens are no longer those of `expected_version`.
    ///
    /// `row.token_version` must be higher than that, because the seal is bound to it.
    pub async fn reconnect(
        &self,
        row: &ConnectionRow,
        expected_version: i64,
    ) -> Result<bool, StoreError> {
        on!(&self.db, begin tx => {
            let found: Option<(Uuid, Uuid)> = sqlx::query_as(
                "update connections set label = $3, details = $4, scopes = $5, requested_scopes = $6, base_url = $7, \
                 status = $8, reason = $9, status_at = null, sealed = $10, token_version = $11, access_expires_at = $12, \
                 refresh_expires_at = $13, next_refresh_at = $14, connected_at = $15, failures = 0, \
                 first_failure_at = null, retry_at = null, lease_owner = null, lease_until = null, \
                 attempt_started_at = null, claims = null \
                 where id = $1 and token_version = $2 and $11 > token_version returning org_id, user_id",
            )
            .bind(row.id.uuid())
            .bind(expected_version)
            .bind(row.label.as_str())
            .bind(row.details.to_string())
            .bind(row.scopes.as_deref().map(scopes_text))
            .bind(scopes_text(&row.requested_scopes))
            .bind(row.base_url.as_deref())
            .bind(row.status.as_str())
            .bind(row.reason.as_deref())
            .bind(row.sealed.as_bytes())
            .bind(row.token_version)
            .bind(row.access_expires_at.map(Timestamp::micros))
            .bind(row.refresh_expires_at.map(Timestamp::micros))
            .bind(row.next_refresh_at.map(Timestamp::micros))
            .bind(row.connected_at.micros())
            .fetch_optional(&mut *tx)
            .await?;
            let Some((org_id, user_id)) = found else { return Ok(false) };
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(org_id)
                .bind(user_id)
                .bind("connection")
                .bind(row.connected_at.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Gives a connection the person's own name, or takes it away; false when there is no such connection.
    pub async fn rename_connection(
        &self,
        id: ConnectionId,
        alias: Option<&str>,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        on!(&self.db, begin tx => {
            let found: Option<(Uuid, Uuid)> =
                sqlx::query_as("update connections set alias = $2 where id = $1 returning org_id, user_id")
                    .bind(id.uuid())
                    .bind(alias)
                    .fetch_optional(&mut *tx)
                    .await?;
            let Some((org_id, user_id)) = found else { return Ok(false) };
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(org_id)
                .bind(user_id)
                .bind("connection")
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Makes a connection the one that is meant when a call names none of its integration, or with `on` false none;
    /// false when there is no such connection.
    pub async fn set_default_connection(
        &self,
        id: ConnectionId,
        on: bool,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        on!(&self.db, begin tx => {
            let found: Vec<(Uuid, Uuid)> = sqlx::query_as(
                "update connections set is_default = case when id = $1 then $2 else 0 end \
                 where (user_id, integration) in (select user_id, integration from connections where id = $1) \
                 returning org_id, user_id",
            )
            .bind(id.uuid())
            .bind(i64::from(on))
            .fetch_all(&mut *tx)
            .await?;
            let Some((org_id, user_id)) = found.first() else { return Ok(false) };
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(*org_id)
                .bind(*user_id)
                .bind("connection")
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Takes a connection's credential away and leaves what it keeps: from then on it waits to be connected again. False
    /// when the tokens are no longer those of `version`; `nothing` is sealed for the version after it.
    pub async fn retire_connection(
        &self,
        id: ConnectionId,
        version: i64,
        nothing: &Sealed,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        on!(&self.db, begin tx => {
            let found: Option<(Uuid, Uuid)> = sqlx::query_as(
                "update connections set status = 'expired', reason = 'disconnected', status_at = $4, sealed = $3, \
                 token_version = token_version + 1, access_expires_at = null, refresh_expires_at = null, \
                 next_refresh_at = null, failures = 0, first_failure_at = null, retry_at = null, lease_owner = null, \
                 lease_until = null, attempt_started_at = null \
                 where id = $1 and token_version = $2 returning org_id, user_id",
            )
            .bind(id.uuid())
            .bind(version)
            .bind(nothing.as_bytes())
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await?;
            let Some((org_id, user_id)) = found else { return Ok(false) };
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(org_id)
                .bind(user_id)
                .bind("connection")
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Removes a connection with all that it keeps; false when there was none.
    pub async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        on!(&self.db, begin tx => {
            let found: Option<(Uuid, Uuid)> =
                sqlx::query_as("delete from connections where id = $1 returning org_id, user_id")
                    .bind(id.uuid())
                    .fetch_optional(&mut *tx)
                    .await?;
            let Some((org_id, user_id)) = found else { return Ok(false) };
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(org_id)
                .bind(user_id)
                .bind("connection")
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Notes when connections were last used; an older instant never replaces a newer one.
    pub async fn touch_connections(
        &self,
        used: &[(ConnectionId, Timestamp)],
    ) -> Result<(), StoreError> {
        // Always in the same order, so that two processes cannot wait for each other.
        let mut used = used.to_vec();
        used.sort_unstable();
        on!(&self.db, begin tx => {
            for (id, at) in &used {
                sqlx::query(
                    "update connections set last_used_at = $2 \
                     where id = $1 and (last_used_at is null or last_used_at < $2)",
                )
                .bind(id.uuid())
                .bind(at.micros())
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// Seals a connection's tokens anew under another data key; false when a refresh or a reconnect came first.
    pub async fn reseal_connection(
        &self,
        id: ConnectionId,
        version: i64,
        old: &Sealed,
        new: &Sealed,
    ) -> Result<bool, StoreError> {
        let resealed = on!(&self.db, write pool => sqlx::query(
            "update connections set sealed = $4 where id = $1 and token_version = $2 and sealed = $3",
        )
        .bind(id.uuid())
        .bind(version)
        .bind(old.as_bytes())
        .bind(new.as_bytes())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(resealed == 1)
    }
}
