//! Filters of the audit log that somebody gave a name.

use sqlx::FromRow;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::{OrgId, UserId};
use crate::store::{Store, StoreError};

/// A filter with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditView {
    /// Whose it is.
    pub user: UserId,
    /// What they call it.
    pub name: String,
    /// The filter, as the query of the page's address.
    pub query: String,
    /// Whether others who may read the log see it too.
    pub shared: bool,
    /// When it was saved last.
    pub saved_at: Timestamp,
}

#[derive(FromRow)]
struct ViewColumns {
    user_id: Uuid,
    name: String,
    query: String,
    shared: i64,
    saved_at: i64,
}

impl Store {
    /// A person's own views and those that others share, by name.
    pub async fn audit_views(
        &self,
        org: OrgId,
        user: UserId,
    ) -> Result<Vec<AuditView>, StoreError> {
        let rows: Vec<ViewColumns> = on!(&self.db, pool => sqlx::query_as(
            "select user_id, name, query, shared, saved_at from audit_views where org_id = $1 \
             and (user_id = $2 or shared = 1) order by name, user_id",
        )
        .bind(org.uuid())
        .bind(user.uuid())
        .fetch_all(pool)
        .await)?;
        Ok(rows
            .into_iter()
            .map(|row| AuditView {
                user: UserId::from_uuid(row.user_id),
                name: row.name,
                query: row.query,
                shared: row.shared == 1,
                saved_at: Timestamp::from_micros(row.saved_at),
            })
            .collect())
    }

    /// Saves a view over the one of this name; false when the person has `most` others already.
    pub async fn save_audit_view(
        &self,
        org: OrgId,
        view: &AuditView,
        most: i64,
    ) -> Result<bool, StoreError> {
        let saved = on!(&self.db, write pool => sqlx::query(
            "insert into audit_views (org_id, user_id, name, query, shared, saved_at) \
             select $1, $2, $3, $4, $5, $6 where (select count(*) from audit_views where org_id = $1 and user_id = $2 \
             and name <> $3) < $7 on conflict (org_id, user_id, name) do update set query = excluded.query, \
             shared = excluded.shared, saved_at = excluded.saved_at",
        )
        .bind(org.uuid())
        .bind(view.user.uuid())
        .bind(view.name.as_str())
        .bind(view.query.as_str())
        .bind(i64::from(view.shared))
        .bind(view.saved_at.micros())
        .bind(most)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(saved == 1)
    }

    /// Deletes a person's own view; false when there is none of this name.
    pub async fn delete_audit_view(
        &self,
        org: OrgId,
        user: UserId,
        name: &str,
    ) -> Result<bool, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query(
            "delete from audit_views where org_id = $1 and user_id = $2 and name = $3",
        )
        .bind(org.uuid())
        .bind(user.uuid())
        .bind(name)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(deleted == 1)
    }
}
