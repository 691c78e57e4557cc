//! Which conversations have read what others wrote.

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::UserId;

impl Store {
    /// Notes that a conversation has; it counts until `until` at least.
    pub async fn note_untrusted_read(
        &self,
        user: UserId,
        thread: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into untrusted_reads (user_id, thread, until) values ($1, $2, $3) \
             on conflict (user_id, thread) do update set until = excluded.until \
             where untrusted_reads.until < excluded.until",
        )
        .bind(user.uuid())
        .bind(thread)
        .bind(until.micros())
        .execute(pool)
        .await
        .map(|_| ()))?;
        Ok(())
    }

    /// Whether a conversation has.
    pub async fn has_read_untrusted(
        &self,
        user: UserId,
        thread: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let until: Option<i64> = on!(&self.db, pool => sqlx::query_scalar(
            "select until from untrusted_reads where user_id = $1 and thread = $2",
        )
        .bind(user.uuid())
        .bind(thread)
        .fetch_optional(pool)
        .await)?;
        Ok(until.is_some_and(|until| until > now.micros()))
    }

    /// Deletes what counts no more.
    pub async fn delete_untrusted_reads_before(&self, now: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from untrusted_reads where until < $1")
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
