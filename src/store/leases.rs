//! Who runs a background job: one process at a time holds a named lease.

use super::{Store, StoreError};
use crate::clock::Timestamp;

impl Store {
    /// Takes or extends the lease `name` until `until`; false while somebody else holds it.
    pub async fn claim_lease(
        &self,
        name: &str,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let claimed = on!(&self.db, write pool => sqlx::query(
            "insert into leases (name, owner, until) values ($1, $2, $4) on conflict (name) do update set \
             owner = excluded.owner, until = excluded.until where leases.owner = excluded.owner or leases.until < $3",
        )
        .bind(name)
        .bind(owner)
        .bind(now.micros())
        .bind(until.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(claimed == 1)
    }

    /// Gives the lease back; false when it was no longer held.
    pub async fn release_lease(&self, name: &str, owner: &str) -> Result<bool, StoreError> {
        let released = on!(&self.db, write pool => sqlx::query("delete from leases where name = $1 and owner = $2")
            .bind(name)
            .bind(owner)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(released == 1)
    }

    /// Who holds the leases at `now` whose names begin with `prefix`: name and owner, by name.
    pub async fn leases(
        &self,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, StoreError> {
        // The last character's successor bounds the prefix on both databases, whatever their collation of `like`.
        let end = format!("{prefix}\u{10ffff}");
        let rows: Vec<(String, String)> = on!(&self.db, pool => sqlx::query_as(
            "select name, owner from leases where name >= $1 and name < $2 and until >= $3 order by name",
        )
        .bind(prefix)
        .bind(&end)
        .bind(now.micros())
        .fetch_all(pool)
        .await)?;
        Ok(rows)
    }
}
