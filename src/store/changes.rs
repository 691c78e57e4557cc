//! What other processes, caches and open listings should notice.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{OrgId, UserId};

/// Takes the next number. The row stays locked until the transaction ends, so numbers become visible in their order;
/// take it last, so that nobody waits long.
pub(super) const NEXT: &str = "update change_head set seq = seq + 1 where slot = 1 returning seq";

/// Writes the change that [`NEXT`] numbered.
pub(super) const INSERT: &str =
    "insert into changes (seq, org_id, user_id, topic, at) values ($1, $2, $3, $4, $5)";

/// Something changed that somebody may be looking at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number; later changes have higher ones.
    pub seq: i64,
    /// The organization.
    pub org_id: OrgId,
    /// Whose it is; `None` concerns the whole organization.
    pub user_id: Option<UserId>,
    /// `connection`, `integration`, `grant` or `policy`.
    pub topic: String,
    /// When.
    pub at: Timestamp,
}

#[derive(FromRow)]
struct ChangeColumns {
    seq: i64,
    org_id: Uuid,
    user_id: Option<Uuid>,
    topic: String,
    at: i64,
}

impl From<ChangeColumns> for Change {
    fn from(row: ChangeColumns) -> Self {
        Self {
            seq: row.seq,
            org_id: OrgId::from_uuid(row.org_id),
            user_id: row.user_id.map(UserId::from_uuid),
            topic: row.topic,
            at: Timestamp::from_micros(row.at),
        }
    }
}

impl Store {
    /// The number of the newest change; 0 when there was none yet.
    pub async fn latest_change(&self) -> Result<i64, StoreError> {
        let seq: i64 = on!(&self.db, pool => sqlx::query_scalar("select seq from change_head where slot = 1")
            .fetch_one(pool)
            .await)?;
        Ok(seq)
    }

    /// The changes after `seq`, oldest first, at most `limit`.
    pub async fn changes_after(&self, seq: i64, limit: u32) -> Result<Vec<Change>, StoreError> {
        let rows: Vec<ChangeColumns> = on!(&self.db, pool => sqlx::query_as(
            "select seq, org_id, user_id, topic, at from changes where seq > $1 order by seq limit $2",
        )
        .bind(seq)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Notes a change that no other method of the store notes by itself; answers its number.
    pub async fn insert_change(
        &self,
        org: OrgId,
        user: Option<UserId>,
        topic: &str,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        on!(&self.db, begin tx => {
            let seq: i64 = sqlx::query_scalar(NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(INSERT)
                .bind(seq)
                .bind(org.uuid())
                .bind(user.map(UserId::uuid))
                .bind(topic)
                .bind(at.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(seq)
        })
    }

    /// Forgets old changes; answers how many.
    pub async fn delete_changes_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from changes where at < $1")
            .bind(before.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
