//! Attempts to connect an account, from the link to the callback.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::connections::scopes_text;
use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, FlowId, OrgId, UserId};
use crate::vault::Sealed;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// Its id.
    pub id: FlowId,
    /// The organization.
    pub org_id: OrgId,
    /// Who connects.
    pub user_id: UserId,
    /// The provider's id.
    pub provider: String,
    /// The connection to renew, if it is not a new one.
    pub reconnect: Option<ConnectionId>,
    /// SHA-256 of the `state` sent to the provider, once it was.
    pub state_hash: Option<[u8; 32]>,
    /// SHA-256 of the secret in the browser that went there.
    pub browser_hash: Option<[u8; 32]>,
    /// What the callback needs and nobody may see, such as the PKCE verifier.
    pub sealed: Option<Sealed>,
    /// The scopes asked for.
    pub scopes: Vec<String>,
    /// When the link was made.
    pub created_at: Timestamp,
    /// When the attempt ends by itself.
    pub expires_at: Timestamp,
    /// When the callback came.
    pub used_at: Option<Timestamp>,
    /// How it ended, in one word.
    pub outcome: Option<String>,
}

const COLUMNS: &str = "id, org_id, user_id, provider, reconnect, state_hash, browser_hash, sealed, scopes, \
    created_at, expires_at, used_at, outcome";

#[derive(FromRow)]
struct FlowColumns {
    id: Uuid,
    org_id: Uuid,
    user_id: Uuid,
    provider: String,
    reconnect: Option<Uuid>,
    state_hash: Option<Vec<u8>>,
    browser_hash: Option<Vec<u8>>,
    sealed: Option<Vec<u8>>,
    scopes: String,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
    outcome: Option<String>,
}

impl TryFrom<FlowColumns> for FlowRow {
    type Error = StoreError;

    fn try_from(row: FlowColumns) -> Result<Self, StoreError> {
        let id = FlowId::from_uuid(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "flows",
            column,
            id: id.to_string(),
        };
        let hash = |bytes: Option<Vec<u8>>, column| {
            bytes
                .map(|bytes| bytes.try_into().map_err(|_| corrupt(column)))
                .transpose()
        };
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            user_id: UserId::from_uuid(row.user_id),
            provider: row.provider,
            reconnect: row.reconnect.map(ConnectionId::from_uuid),
            state_hash: hash(row.state_hash, "state_hash")?,
            browser_hash: hash(row.browser_hash, "browser_hash")?,
            sealed: row.sealed.map(Sealed::from_bytes),
            scopes: serde_json::from_str(&row.scopes).map_err(|_| corrupt("scopes"))?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            used_at: row.used_at.map(Timestamp::from_micros),
            outcome: row.outcome,
        })
    }
}

impl Store {
    /// Adds an attempt.
    pub async fn insert_flow(&self, flow: &FlowRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into flows (id, org_id, user_id, provider, reconnect, state_hash, browser_hash, sealed, scopes, \
             created_at, expires_at, used_at, outcome) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(flow.id.uuid())
        .bind(flow.org_id.uuid())
        .bind(flow.user_id.uuid())
        .bind(flow.provider.as_str())
        .bind(flow.reconnect.map(ConnectionId::uuid))
        .bind(flow.state_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(flow.browser_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(flow.sealed.as_ref().map(Sealed::as_bytes))
        .bind(scopes_text(&flow.scopes))
        .bind(flow.created_at.micros())
        .bind(flow.expires_at.micros())
        .bind(flow.used_at.map(Timestamp::micros))
        .bind(flow.outcome.as_deref())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// One attempt, whatever became of it.
    pub async fn flow(&self, id: FlowId) -> Result<Option<FlowRow>, StoreError> {
        let row: Option<FlowColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!("select {COLUMNS} from flows where id = $1")),
        )
        .bind(id.uuid())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// The attempts in order of id, after `after`, at most `limit`: how a key rotation walks them.
    pub async fn flows_after(
        &self,
        after: Option<FlowId>,
        limit: u32,
    ) -> Result<Vec<FlowRow>, StoreError> {
        let rows: Vec<FlowColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!("select {COLUMNS} from flows where id > $1 order by id limit $2")),
        )
        .bind(after.map_or(Uuid::nil(), FlowId::uuid))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Uses the attempt with this state: for exactly one caller, and only before it expires.
    pub async fn take_flow(
        &self,
        state_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<FlowRow>, StoreError> {
        let row: Option<FlowColumns> = on!(&self.db, write pool => sqlx::query_as(AssertSqlSafe(format!(
            "update flows set used_at = $2 where state_hash = $1 and used_at is null and expires_at > $2 \
             returning {COLUMNS}",
        )))
        .bind(state_hash.as_slice())
        .bind(now.micros())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Writes down how an attempt ended and erases its secret; false when it had ended before.
    pub async fn finish_flow(
        &self,
        id: FlowId,
        outcome: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let finished = on!(&self.db, write pool => sqlx::query(
            "update flows set outcome = $2, used_at = coalesce(used_at, $3), sealed = null \
             where id = $1 and outcome is null",
        )
        .bind(id.uuid())
        .bind(outcome)
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(finished == 1)
    }

    /// Seals an attempt's secret anew under another data key; false when it was used meanwhile.
    pub async fn reseal_flow(
        &self,
        id: FlowId,
        old: &Sealed,
        new: &Sealed,
    ) -> Result<bool, StoreError> {
        let resealed = on!(&self.db, write pool => sqlx::query(
            "update flows set sealed = $3 where id = $1 and sealed = $2",
        )
        .bind(id.uuid())
        .bind(old.as_bytes())
        .bind(new.as_bytes())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(resealed == 1)
    }

    /// Forgets the attempts that expired before `before`; answers how many.
    pub async fn delete_flows_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from flows where expires_at < $1")
            .bind(before.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
