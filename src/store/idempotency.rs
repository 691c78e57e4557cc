//! Writes that carry an idempotency key: which call does it, and what it answered.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, OrgId, UserId};
use crate::vault::Sealed;

/// What one row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceKey {
    /// The organization.
    pub org: OrgId,
    /// Whose key it is: two people may choose the same one.
    pub user: UserId,
    /// The tool.
    pub tool: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
}

/// How far the call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnceState {
    /// It is under way as long as the lease holds; afterwards nobody knows.
    Running,
    /// It worked, and its answer is kept.
    Done,
    /// It failed after something was sent.
    Unknown,
}

impl OnceState {
    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Unknown => "unknown",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Unknown]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// The first call with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceRow {
    /// The call.
    pub call: CallId,
    /// A keyed digest of its arguments.
    pub arguments: String,
    /// How far it got.
    pub state: OnceState,
    /// Through which connection it went, once it is done; `None` too where the integration is open to everyone.
    pub connection: Option<ConnectionId>,
    /// Its answer, once it is done.
    pub sealed: Option<Sealed>,
    /// Until when it counts as under way without a further sign.
    pub lease_until: Timestamp,
    /// When the key may be used for something else.
    pub expires_at: Timestamp,
}

#[derive(FromRow)]
struct OnceColumns {
    call_id: Uuid,
    arguments: String,
    state: String,
    connection_id: Option<Uuid>,
    sealed: Option<Vec<u8>>,
    lease_until: i64,
    expires_at: i64,
}

impl TryFrom<OnceColumns> for OnceRow {
    type Error = StoreError;

    fn try_from(row: OnceColumns) -> Result<Self, StoreError> {
        let call = CallId::from_uuid(row.call_id);
        Ok(Self {
            call,
            arguments: row.arguments,
            state: OnceState::parse(&row.state).ok_or_else(|| StoreError::Corrupt {
                table: "idempotency",
                column: "state",
                id: call.to_string(),
            })?,
            connection: row.connection_id.map(ConnectionId::from_uuid),
            sealed: row.sealed.map(Sealed::from_bytes),
            lease_until: Timestamp::from_micros(row.lease_until),
            expires_at: Timestamp::from_micros(row.expires_at),
        })
    }
}

impl Store {
    /// Makes `row.call` the one that uses the key; false when another call did, and that is not older than its end.
    pub async fn claim_once(
        &self,
        key: &OnceKey,
        row: &OnceRow,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let claimed = on!(&self.db, write pool => sqlx::query(
            "insert into idempotency (org_id, user_id, tool, key_hash, call_id, arguments, state, lease_until, \
             expires_at) values ($1, $2, $3, $4, $5, $6, 'running', $7, $8) \
             on conflict (org_id, user_id, tool, key_hash) do update set call_id = excluded.call_id, \
             arguments = excluded.arguments, state = 'running', connection_id = null, sealed = null, \
             lease_until = excluded.lease_until, expires_at = excluded.expires_at \
             where idempotency.expires_at <= $9",
        )
        .bind(key.org.uuid())
        .bind(key.user.uuid())
        .bind(key.tool.as_str())
        .bind(key.hash.as_slice())
        .bind(row.call.uuid())
        .bind(row.arguments.as_str())
        .bind(row.lease_until.micros())
        .bind(row.expires_at.micros())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(claimed == 1)
    }

    /// The call that used the key, expired or not: the caller judges.
    pub async fn once(&self, key: &OnceKey) -> Result<Option<OnceRow>, StoreError> {
        let row: Option<OnceColumns> = on!(&self.db, pool => sqlx::query_as(
            "select call_id, arguments, state, connection_id, sealed, lease_until, expires_at from idempotency \
             where org_id = $1 and user_id = $2 and tool = $3 and key_hash = $4",
        )
        .bind(key.org.uuid())
        .bind(key.user.uuid())
        .bind(key.tool.as_str())
        .bind(key.hash.as_slice())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Says that the call goes on; false when it no longer holds the key.
    pub async fn extend_once(
        &self,
        key: &OnceKey,
        call: CallId,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let extended = on!(&self.db, write pool => sqlx::query(
            "update idempotency set lease_until = $6 where org_id = $1 and user_id = $2 and tool = $3 \
             and key_hash = $4 and call_id = $5 and state = 'running'",
        )
        .bind(key.org.uuid())
        .bind(key.user.uuid())
        .bind(key.tool.as_str())
        .bind(key.hash.as_slice())
        .bind(call.uuid())
        .bind(until.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(extended == 1)
    }

    /// Keeps the call's answer; false when it no longer holds the key.
    pub async fn finish_once(
        &self,
        key: &OnceKey,
        call: CallId,
        connection: Option<ConnectionId>,
        answer: &Sealed,
    ) -> Result<bool, StoreError> {
        let finished = on!(&self.db, write pool => sqlx::query(
            "update idempotency set state = 'done', connection_id = $6, sealed = $7 where org_id = $1 \
             and user_id = $2 and tool = $3 and key_hash = $4 and call_id = $5 and state <> 'done'",
        )
        .bind(key.org.uuid())
        .bind(key.user.uuid())
        .bind(key.tool.as_str())
        .bind(key.hash.as_slice())
        .bind(call.uuid())
        .bind(connection.map(ConnectionId::uuid))
        .bind(answer.as_bytes())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(finished == 1)
    }

    /// Notes that nobody knows what the call did; false when it no longer holds the key.
    pub async fn lose_once(&self, key: &OnceKey, call: CallId) -> Result<bool, StoreError> {
        let lost = on!(&self.db, write pool => sqlx::query(
            "update idempotency set state = 'unknown' where org_id = $1 and user_id = $2 and tool = $3 \
             and key_hash = $4 and call_id = $5 and state = 'running'",
        )
        .bind(key.org.uuid())
        .bind(key.user.uuid())
        .bind(key.tool.as_str())
        .bind(key.hash.as_slice())
        .bind(call.uuid())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(lost == 1)
    }

    /// Frees the key of a call that did nothing; false when it no longer holds the key.
    pub async fn free_once(&self, key: &OnceKey, call: CallId) -> Result<bool, StoreError> {
        let freed = on!(&self.db, write pool => sqlx::query(
            "delete from idempotency where org_id = $1 and user_id = $2 and tool = $3 and key_hash = $4 \
             and call_id = $5 and state = 'running'",
        )
        .bind(key.org.uuid())
        .bind(key.user.uuid())
        .bind(key.tool.as_str())
        .bind(key.hash.as_slice())
        .bind(call.uuid())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(freed == 1)
    }

    /// Forgets keys, and with them the answers, whose time is over; answers how many.
    pub async fn delete_once_before(&self, now: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from idempotency where expires_at <= $1")
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
