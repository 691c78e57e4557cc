//! Calls that wait for a person's yes, or had it. A yes is used by the statement that looks for it, so it is used once.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::changes::{INSERT, NEXT};
use super::{Store, StoreError};
use crate::caller::Approver;
use crate::clock::Timestamp;
use crate::ids::{ApprovalId, CallId, ConnectionId, OrgId, UserId};
use crate::vault::Sealed;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// Nobody decided yet.
    Waiting,
    /// The call may happen, once.
    Approved,
    /// Somebody said no.
    Denied,
    /// The call took the yes.
    Used,
    /// Its time ended before it was decided or used.
    Expired,
}

impl ApprovalState {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Used => "used",
            Self::Expired => "expired",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [
            Self::Waiting,
            Self::Approved,
            Self::Denied,
            Self::Used,
            Self::Expired,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }
}

/// A question to a person, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// The organization.
    pub org_id: OrgId,
    /// In whose name the call would happen.
    pub user_id: UserId,
    /// Who may say yes.
    pub approver: Approver,
    /// The tool.
    pub tool: String,
    /// The integration's id.
    pub integration: String,
    /// The connection it would go through; `None` where the integration is open to everyone.
    pub connection_id: Option<ConnectionId>,
    /// What people call that account.
    pub account: String,
    /// A keyed digest of everything the yes is bound to.
    pub digest: String,
    /// The arguments; `None` once they were erased.
    pub sealed: Option<Sealed>,
    /// Which rule asks, in words.
    pub why: String,
    /// The scopes of the credential that asked.
    pub scopes: String,
    /// The client that asked.
    pub client: String,
    /// The conversation it asked in.
    pub thread: Option<String>,
    /// The call that was stopped.
    pub call_id: CallId,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When neither an answer nor its use counts any more.
    pub expires_at: Timestamp,
    /// How it stands.
    pub state: ApprovalState,
    /// Who decided.
    pub decided_by: Option<UserId>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// The call that took the yes.
    pub used_by: Option<CallId>,
}

impl ApprovalRow {
    /// How it stands at this moment: its end needs no statement.
    pub fn state_at(&self, now: Timestamp) -> ApprovalState {
        let open = matches!(self.state, ApprovalState::Waiting | ApprovalState::Approved);
        if open && self.expires_at <= now {
            ApprovalState::Expired
        } else {
            self.state
        }
    }
}

/// What became of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is asked now.
    New,
    /// It was asked before, and that still counts.
    Before(Box<ApprovalRow>),
    /// The person has too many open questions.
    TooMany,
}

const COLUMNS: &str = "id, org_id, user_id, approver, tool, integration, connection_id, account, digest, sealed, why, \
    scopes, client, thread, call_id, created_at, expires_at, state, decided_by, decided_at, used_by";

#[derive(FromRow)]
struct ApprovalColumns {
    id: Uuid,
    org_id: Uuid,
    user_id: Uuid,
    approver: String,
    tool: String,
    integration: String,
    connection_id: Uuid,
    account: String,
    digest: String,
    sealed: Option<Vec<u8>>,
    why: String,
    scopes: String,
    client: String,
    thread: Option<String>,
    call_id: Uuid,
    created_at: i64,
    expires_at: i64,
    state: String,
    decided_by: Option<Uuid>,
    decided_at: Option<i64>,
    used_by: Option<Uuid>,
}

impl TryFrom<ApprovalColumns> for ApprovalRow {
    type Error = StoreError;

    fn try_from(row: ApprovalColumns) -> Result<Self, StoreError> {
        let id = ApprovalId::from_uuid(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "approvals",
            column,
            id: id.to_string(),
        };
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            user_id: UserId::from_uuid(row.user_id),
            approver: Approver::parse(&row.approver).ok_or_else(|| corrupt("approver"))?,
            tool: row.tool,
            integration: row.integration,
            // The column is not null; the nil UUID, which no connection has, stands for none.
            connection_id: Some(row.connection_id)
                .filter(|id| !id.is_nil())
                .map(ConnectionId::from_uuid),
            account: row.account,
            digest: row.digest,
            sealed: row.sealed.map(Sealed::from_bytes),
            why: row.why,
            scopes: row.scopes,
            client: row.client,
            thread: row.thread,
            call_id: CallId::from_uuid(row.call_id),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            state: ApprovalState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            decided_by: row.decided_by.map(UserId::from_uuid),
            decided_at: row.decided_at.map(Timestamp::from_micros),
            used_by: row.used_by.map(CallId::from_uuid),
        })
    }
}

impl Store {
    /// Asks, unless exactly this is asked already or was refused and that still counts. A person can have `most` open
    /// questions.
    pub async fn ask_approval(
        &self,
        row: &ApprovalRow,
        now: Timestamp,
        most: u32,
    ) -> Result<Asked, StoreError> {
        on!(&self.db, begin tx => {
            // What has expired must not stand in the way of asking anew.
            sqlx::query(
                "update approvals set state = 'expired' where user_id = $1 and digest = $2 \
                 and state in ('waiting', 'approved') and expires_at <= $3",
            )
            .bind(row.user_id.uuid())
            .bind(row.digest.as_str())
            .bind(now.micros())
            .execute(&mut *tx)
            .await?;
            let open: i64 = sqlx::query_scalar(
                "select count(*) from approvals where user_id = $1 and state = 'waiting' and expires_at > $2",
            )
            .bind(row.user_id.uuid())
            .bind(now.micros())
            .fetch_one(&mut *tx)
            .await?;
            // Read after the count and before the insert; a question that another process asks meanwhile is met by the
            // index, whose conflict waits for that process.
            for attempt in 0..2 {
                let before: Option<ApprovalColumns> = sqlx::query_as(AssertSqlSafe(format!(
                    "select {COLUMNS} from approvals where user_id = $1 and digest = $2 \
                     and state in ('waiting', 'approved', 'denied') and expires_at > $3 \
                     order by created_at desc, id desc limit 1",
                )))
                .bind(row.user_id.uuid())
                .bind(row.digest.as_str())
                .bind(now.micros())
                .fetch_optional(&mut *tx)
                .await?;
                if let Some(before) = before {
                    tx.commit().await?;
                    return Ok(Asked::Before(Box::new(before.try_into()?)));
                }
                if open >= i64::from(most) {
                    tx.commit().await?;
                    return Ok(Asked::TooMany);
                }
                if attempt > 0 {
                    break;
                }
                let inserted = sqlx::query(
                    "insert into approvals (id, org_id, user_id, approver, tool, integration, connection_id, account, \
                     digest, sealed, why, scopes, client, thread, call_id, created_at, expires_at, state) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'waiting') \
                     on conflict (user_id, digest) where state in ('waiting', 'approved') do nothing",
                )
                .bind(row.id.uuid())
                .bind(row.org_id.uuid())
                .bind(row.user_id.uuid())
                .bind(row.approver.as_str())
                .bind(row.tool.as_str())
                .bind(row.integration.as_str())
                .bind(row.connection_id.map_or(Uuid::nil(), ConnectionId::uuid))
                .bind(row.account.as_str())
                .bind(row.digest.as_str())
                .bind(row.sealed.as_ref().map(Sealed::as_bytes))
                .bind(row.why.as_str())
                .bind(row.scopes.as_str())
                .bind(row.client.as_str())
                .bind(row.thread.as_deref())
                .bind(row.call_id.uuid())
                .bind(row.created_at.micros())
                .bind(row.expires_at.micros())
                .execute(&mut *tx)
                .await?
                .rows_affected();
                if inserted == 1 {
                    tx.commit().await?;
                    return Ok(Asked::New);
                }
            }
            tx.rollback().await?;
            Err(StoreError::Unavailable)
        })
    }

    /// Takes back a question that could not be recorded; false when it is decided already.
    pub async fn unask_approval(&self, id: ApprovalId) -> Result<bool, StoreError> {
        let unasked = on!(&self.db, write pool => sqlx::query("delete from approvals where id = $1 and state = 'waiting'")
            .bind(id.uuid())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(unasked == 1)
    }

    /// One question, however it stands.
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
        let row: Option<ApprovalColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!("select {COLUMNS} from approvals where id = $1")),
        )
        .bind(id.uuid())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Uses a yes to exactly this: for one call, and only before it expires.
    pub async fn use_approval(
        &self,
        user: UserId,
        digest: &str,
        call: CallId,
        now: Timestamp,
    ) -> Result<Option<ApprovalRow>, StoreError> {
        let row: Option<ApprovalColumns> = on!(&self.db, write pool => sqlx::query_as(AssertSqlSafe(format!(
            "update approvals set state = 'used', used_by = $3 where user_id = $1 and digest = $2 \
             and state = 'approved' and expires_at > $4 returning {COLUMNS}",
        )))
        .bind(user.uuid())
        .bind(digest)
        .bind(call.uuid())
        .bind(now.micros())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Gives a yes back that this call took and did nothing with; false when it has expired, or is asked anew.
    pub async fn return_approval(
        &self,
        id: ApprovalId,
        call: CallId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let returned: Result<u64, StoreError> = on!(&self.db, write pool => sqlx::query(
            "update approvals set state = 'approved', used_by = null \
             where id = $1 and state = 'used' and used_by = $2 and expires_at > $3",
        )
        .bind(id.uuid())
        .bind(call.uuid())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::from));
        match returned {
            Ok(count) => Ok(count == 1),
            // The same call was asked about again meanwhile.
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Decides what waits, and tells whoever waits for it: for exactly one caller, and only before it expires.
    pub async fn decide_approval(
        &self,
        id: ApprovalId,
        yes: bool,
        by: UserId,
        now: Timestamp,
    ) -> Result<Option<ApprovalRow>, StoreError> {
        let state = if yes {
            ApprovalState::Approved
        } else {
            ApprovalState::Denied
        };
        on!(&self.db, begin tx => {
            let row: Option<ApprovalColumns> = sqlx::query_as(AssertSqlSafe(format!(
                "update approvals set state = $2, decided_by = $3, decided_at = $4 \
                 where id = $1 and state = 'waiting' and expires_at > $4 returning {COLUMNS}",
            )))
            .bind(id.uuid())
            .bind(state.as_str())
            .bind(by.uuid())
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await?;
            let Some(row) = row else {
                tx.rollback().await?;
                return Ok(None);
            };
            let row = ApprovalRow::try_from(row)?;
            let seq: i64 = sqlx::query_scalar(NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(INSERT)
                .bind(seq)
                .bind(row.org_id.uuid())
                .bind(row.user_id.uuid())
                .bind("approval")
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(Some(row))
        })
    }

    /// What waits for this person, oldest first: their own questions, and with `admin` those that want an admin.
    pub async fn approvals_waiting(
        &self,
        org: OrgId,
        user: UserId,
        admin: bool,
        now: Timestamp,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let rows: Vec<ApprovalColumns> = on!(&self.db, pool => sqlx::query_as(AssertSqlSafe(format!(
            "select {COLUMNS} from approvals where org_id = $1 and state = 'waiting' and expires_at > $4 \
             and (user_id = $2 or (approver = 'admin' and $3 = 1)) order by created_at, id limit 200",
        )))
        .bind(org.uuid())
        .bind(user.uuid())
        .bind(i64::from(admin))
        .bind(now.micros())
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// What this person asked or decided lately and waits no more, newest first.
    pub async fn approvals_past(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let rows: Vec<ApprovalColumns> = on!(&self.db, pool => sqlx::query_as(AssertSqlSafe(format!(
            "select {COLUMNS} from approvals where (user_id = $1 or decided_by = $1) \
             and (state <> 'waiting' or expires_at <= $2) order by created_at desc, id desc limit $3",
        )))
        .bind(user.uuid())
        .bind(now.micros())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Marks what has expired, and erases arguments that nobody needs any more; answers how many rows that concerned.
    pub async fn expire_approvals(&self, now: Timestamp) -> Result<u64, StoreError> {
        let expired = on!(&self.db, write pool => sqlx::query(
            "update approvals set sealed = null, \
             state = case when state in ('waiting', 'approved') then 'expired' else state end \
             where expires_at <= $1 and (sealed is not null or state in ('waiting', 'approved'))",
        )
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(expired)
    }

    /// Forgets what expired before then; the audit log still has it. Answers how many.
    pub async fn delete_approvals_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from approvals where expires_at < $1")
            .bind(before.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
