//! Walks along the audit log that take a while, so that every replica can show how far one is and stop it.

use sqlx::FromRow;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::{CallId, OrgId, UserId};
use crate::store::{Store, StoreError};

/// How a walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkState {
    /// Under way; or its process ended, when it was not seen for a while.
    Running,
    /// Somebody wants it to stop.
    Stopping,
    /// It came to its end: verified as whole, exported to the last event.
    Done,
    /// It stopped before its end, because somebody wanted that or hung up.
    Stopped,
    /// The chain is broken.
    Broken,
    /// The log could not be read.
    Failed,
}

impl WalkState {
    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Broken => "broken",
            Self::Failed => "failed",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Stopping,
            Self::Done,
            Self::Stopped,
            Self::Broken,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }
}

/// A walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditWalk {
    /// Its id.
    pub id: CallId,
    /// `verify`, `jsonl` or `csv`.
    pub purpose: String,
    /// Who started it.
    pub user: UserId,
    /// When.
    pub started_at: Timestamp,
    /// How many events there were to walk, as far as was known; 0 when it was not.
    pub total: i64,
    /// How many it has walked.
    pub walked: i64,
    /// When that was so.
    pub seen_at: Timestamp,
    /// How it stands.
    pub state: WalkState,
    /// Up to which event, or at which one the chain is broken.
    pub seq: i64,
    /// What is wrong there.
    pub words: String,
}

#[derive(FromRow)]
struct WalkColumns {
    id: Uuid,
    purpose: String,
    user_id: Uuid,
    started_at: i64,
    total: i64,
    walked: i64,
    seen_at: i64,
    state: String,
    seq: i64,
    words: String,
}

impl TryFrom<WalkColumns> for AuditWalk {
    type Error = StoreError;

    fn try_from(row: WalkColumns) -> Result<Self, StoreError> {
        let id = CallId::from_uuid(row.id);
        Ok(Self {
            id,
            purpose: row.purpose,
            user: UserId::from_uuid(row.user_id),
            started_at: Timestamp::from_micros(row.started_at),
            total: row.total,
            walked: row.walked,
            seen_at: Timestamp::from_micros(row.seen_at),
            state: WalkState::parse(&row.state).ok_or_else(|| StoreError::Corrupt {
                table: "audit_walks",
                column: "state",
                id: id.to_string(),
            })?,
            seq: row.seq,
            words: row.words,
        })
    }
}

impl Store {
    /// Notes that a walk begins.
    pub async fn start_audit_walk(&self, org: OrgId, walk: &AuditWalk) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into audit_walks (org_id, id, purpose, user_id, started_at, total, walked, seen_at, state, seq, words) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(org.uuid())
        .bind(walk.id.uuid())
        .bind(walk.purpose.as_str())
        .bind(walk.user.uuid())
        .bind(walk.started_at.micros())
        .bind(walk.total)
        .bind(walk.walked)
        .bind(walk.seen_at.micros())
        .bind(walk.state.as_str())
        .bind(walk.seq)
        .bind(walk.words.as_str())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// Notes how far a walk is; false when it should stop.
    pub async fn see_audit_walk(
        &self,
        org: OrgId,
        id: CallId,
        walked: i64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let seen = on!(&self.db, write pool => sqlx::query(
            "update audit_walks set walked = $3, seen_at = $4 where org_id = $1 and id = $2 and state = 'running'",
        )
        .bind(org.uuid())
        .bind(id.uuid())
        .bind(walked)
        .bind(at.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(seen == 1)
    }

    /// Notes how a walk ended.
    pub async fn end_audit_walk(&self, org: OrgId, walk: &AuditWalk) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "update audit_walks set walked = $3, seen_at = $4, state = $5, seq = $6, words = $7 \
             where org_id = $1 and id = $2",
        )
        .bind(org.uuid())
        .bind(walk.id.uuid())
        .bind(walk.walked)
        .bind(walk.seen_at.micros())
        .bind(walk.state.as_str())
        .bind(walk.seq)
        .bind(walk.words.as_str())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// Asks a walk to stop; false when it is not under way.
    pub async fn stop_audit_walk(&self, org: OrgId, id: CallId) -> Result<bool, StoreError> {
        let asked = on!(&self.db, write pool => sqlx::query(
            "update audit_walks set state = 'stopping' where org_id = $1 and id = $2 and state = 'running'",
        )
        .bind(org.uuid())
        .bind(id.uuid())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(asked == 1)
    }

    /// The latest walks, newest first; of verifying, or of exporting.
    pub async fn audit_walks(
        &self,
        org: OrgId,
        verifying: bool,
        limit: u32,
    ) -> Result<Vec<AuditWalk>, StoreError> {
        let rows: Vec<WalkColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, purpose, user_id, started_at, total, walked, seen_at, state, seq, words from audit_walks \
             where org_id = $1 and case when purpose = 'verify' then 1 else 0 end = $2 \
             order by started_at desc, id desc limit $3",
        )
        .bind(org.uuid())
        .bind(i64::from(verifying))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Forgets walks of long ago; what came of them stands in the log itself.
    pub async fn delete_audit_walks_before(&self, at: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from audit_walks where started_at < $1")
            .bind(at.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
