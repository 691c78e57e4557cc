//! Sessions of MCP clients that still speak a revision with sessions.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{OrgId, UserId};

/// An MCP session, bound to the person who began it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpSessionRow {
    /// The session id as the client sends it.
    pub id: String,
    /// The organization.
    pub org_id: OrgId,
    /// The person.
    pub user_id: UserId,
    /// The client's `initialize` request, as JSON.
    pub initialize: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When the client last used it.
    pub last_seen_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct SessionColumns {
    id: String,
    org_id: Uuid,
    user_id: Uuid,
    initialize: String,
    created_at: i64,
    last_seen_at: i64,
    ended_at: Option<i64>,
}

impl From<SessionColumns> for McpSessionRow {
    fn from(row: SessionColumns) -> Self {
        Self {
            id: row.id,
            org_id: OrgId::from_uuid(row.org_id),
            user_id: UserId::from_uuid(row.user_id),
            initialize: row.initialize,
            created_at: Timestamp::from_micros(row.created_at),
            last_seen_at: Timestamp::from_micros(row.last_seen_at),
            ended_at: row.ended_at.map(Timestamp::from_micros),
        }
    }
}

impl Store {
    /// Adds a session.
    pub async fn insert_session(&self, session: &McpSessionRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into mcp_sessions (id, org_id, user_id, initialize, created_at, last_seen_at, ended_at) \
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(session.id.as_str())
        .bind(session.org_id.uuid())
        .bind(session.user_id.uuid())
        .bind(session.initialize.as_str())
        .bind(session.created_at.micros())
        .bind(session.last_seen_at.micros())
        .bind(session.ended_at.map(Timestamp::micros))
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// One session, ended or not.
    pub async fn session(&self, id: &str) -> Result<Option<McpSessionRow>, StoreError> {
        let row: Option<SessionColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, org_id, user_id, initialize, created_at, last_seen_at, ended_at from mcp_sessions where id = $1",
        )
        .bind(id)
        .fetch_optional(pool)
        .await)?;
        Ok(row.map(Into::into))
    }

    /// Notes that a live session was used.
    pub async fn touch_session(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "update mcp_sessions set last_seen_at = $2 where id = $1 and ended_at is null and last_seen_at < $2",
        )
        .bind(id)
        .bind(now.micros())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// Ends a session; false when it had ended or never was.
    pub async fn end_session(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let ended = on!(&self.db, write pool => sqlx::query(
            "update mcp_sessions set ended_at = $2 where id = $1 and ended_at is null",
        )
        .bind(id)
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(ended == 1)
    }

    /// How many sessions of a person have not ended.
    pub async fn live_sessions(&self, user: UserId) -> Result<i64, StoreError> {
        let count: i64 = on!(&self.db, pool => sqlx::query_scalar(
            "select count(*) from mcp_sessions where user_id = $1 and ended_at is null",
        )
        .bind(user.uuid())
        .fetch_one(pool)
        .await)?;
        Ok(count)
    }

    /// Ends the sessions not used since `before`; answers how many.
    pub async fn end_sessions_idle_before(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let ended = on!(&self.db, write pool => sqlx::query(
            "update mcp_sessions set ended_at = $2 where ended_at is null and last_seen_at < $1",
        )
        .bind(before.micros())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(ended)
    }
}
