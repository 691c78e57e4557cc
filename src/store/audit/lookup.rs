//! Single things of the audit log: one call, one instant, one conversation's people, the accounts that events name.
//!
//! SQLite keeps no statistics here and would walk an organization's whole primary key, so it is told the index.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, OrgId, UserId};
use crate::store::{Store, StoreError};

/// A connected account, as a filter names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditAccount {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub user: UserId,
    /// The integration's id.
    pub integration: String,
    /// What it is called.
    pub label: String,
    /// What its person calls it.
    pub alias: Option<String>,
}

/// A statement for both databases; SQLite is told the index.
macro_rules! by_index {
    ($sqlite:expr, $before:literal, $index:literal, $after:literal) => {
        if $sqlite {
            concat!($before, " indexed by ", $index, $after)
        } else {
            concat!($before, $after)
        }
    };
}

impl Store {
    /// The completed events of a call, oldest first; more than one only where a call was closed as `unknown` and then
    /// ended after all.
    pub async fn audit_call(&self, org: OrgId, call: CallId) -> Result<Vec<i64>, StoreError> {
        let text = by_index!(
            self.is_sqlite(),
            "select seq from audit_events",
            "audit_events_by_call",
            " where org_id = $1 and call_id = $2 and outcome is not null limit 10"
        );
        let mut seqs: Vec<i64> = on!(&self.db, pool => sqlx::query_scalar(text)
        .bind(org.uuid())
        .bind(call.uuid())
        .fetch_all(pool)
        .await)?;
        seqs.sort_unstable();
        Ok(seqs)
    }

    /// The intent of a call among the `rows` events after the one at `above`, for a call that has not ended.
    pub async fn audit_intent(
        &self,
        org: OrgId,
        call: CallId,
        above: i64,
        rows: i64,
    ) -> Result<Option<i64>, StoreError> {
        let seq: Option<i64> = on!(&self.db, pool => sqlx::query_scalar(
            "select seq from audit_events where org_id = $1 and seq > $2 and seq <= $3 and call_id = $4 \
             and outcome is null limit 1",
        )
        .bind(org.uuid())
        .bind(above)
        .bind(above.saturating_add(rows))
        .bind(call.uuid())
        .fetch_optional(pool)
        .await)?;
        Ok(seq)
    }

    /// When the event at `seq` was appended.
    pub async fn audit_at(&self, org: OrgId, seq: i64) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = on!(&self.db, pool => sqlx::query_scalar(
            "select at from audit_events where org_id = $1 and seq = $2",
        )
        .bind(org.uuid())
        .bind(seq)
        .fetch_optional(pool)
        .await)?;
        Ok(at.map(Timestamp::from_micros))
    }

    /// Who called in a conversation: looks at no more than its `rows` newest calls.
    pub async fn audit_thread_users(
        &self,
        org: OrgId,
        thread: &str,
        rows: u32,
    ) -> Result<Vec<(UserId, i64)>, StoreError> {
        let text = by_index!(
            self.is_sqlite(),
            "select user_id, count(*) from (select user_id from audit_events",
            "audit_events_by_thread",
            " where org_id = $1 and thread = $2 and thread is not null and outcome is not null order by thread desc, seq desc \
             limit $3) as newest where user_id is not null group by user_id order by 2 desc, 1"
        );
        let found: Vec<(Uuid, i64)> = on!(&self.db, pool => sqlx::query_as(text)
        .bind(org.uuid())
        .bind(thread)
        .bind(i64::from(rows))
        .fetch_all(pool)
        .await)?;
        Ok(found
            .into_iter()
            .map(|(user, calls)| (UserId::from_uuid(user), calls))
            .collect())
    }

    /// The accounts of an organization, by label.
    pub async fn audit_accounts(&self, org: OrgId) -> Result<Vec<AuditAccount>, StoreError> {
        let rows: Vec<(Uuid, Uuid, String, String, Option<String>)> = on!(&self.db, pool => sqlx::query_as(
            "select id, user_id, integration, label, alias from connections where org_id = $1 order by label, id",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        Ok(rows
            .into_iter()
            .map(|(id, user, integration, label, alias)| AuditAccount {
                id: ConnectionId::from_uuid(id),
                user: UserId::from_uuid(user),
                integration,
                label,
                alias,
            })
            .collect())
    }
}
