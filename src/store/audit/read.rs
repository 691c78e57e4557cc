//! Reading the audit log: along the chain, and by what was completed.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{
    AuditCheckpointRow, AuditHead, AuditJoined, AuditQuery, AuditRow, EVENT_COLUMNS, EventColumns,
    HeadColumns,
};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, OrgId, UserId};
use crate::store::{Store, StoreError};

#[derive(FromRow)]
struct JoinedColumns {
    #[sqlx(flatten)]
    event: EventColumns,
    intent_facts: Option<String>,
    intent_body: Option<String>,
    intent_at: Option<i64>,
}

#[derive(FromRow)]
struct CheckpointColumns {
    org_id: Uuid,
    seq: i64,
    hash: Vec<u8>,
    at: i64,
    previous_seq: i64,
    key_id: String,
    signature: Vec<u8>,
}

/// The statement of [`Store::audit_completed`]. Only what is asked for is in it, so that the planner sees which index fits.
///
/// | Asked for | Index |
/// |---|---|
/// | thread, person, connection, tool, integration | `audit_events_by_…` |
/// | outcome other than `ok` | `audit_events_not_ok` |
/// | effect other than `read` | `audit_events_not_read` |
/// | kind other than `tool.outcome` | `audit_events_not_tool` |
/// | anything else, and the time (as numbers of events) | the primary key, backwards |
///
/// SQLite keeps no statistics here and would always walk the primary key, so it is told. Postgres decides by itself.
fn completed(query: &AuditQuery, sqlite: bool) -> String {
    let asked_and_rare =
        |value: Option<&str>, common| (value.is_some(), value.is_some_and(|value| value != common));
    let (outcome, failed) = asked_and_rare(query.outcome.as_deref(), "ok");
    let (kind, other_kind) = asked_and_rare(query.kind.as_deref(), "tool.outcome");
    let (effect, changing) = asked_and_rare(query.effect.as_deref(), "read");
    // Column, whether it is asked for, and what makes a partial index fit: a bound value does not show that it does.
    let columns = [
        ("user_id", query.user.is_some(), ""),
        ("connection_id", query.connection.is_some(), ""),
        ("thread", query.thread.is_some(), ""),
        (
            "outcome",
            outcome,
            if failed { " and outcome <> 'ok'" } else { "" },
        ),
        (
            "kind",
            kind,
            if other_kind {
                " and kind <> 'tool.outcome'"
            } else {
                ""
            },
        ),
        ("tool", query.tool.is_some(), ""),
        (
            "effect",
            effect,
            if changing {
                " and effect <> 'read'"
            } else {
                ""
            },
        ),
        ("integration", query.integration.is_some(), ""),
    ];
    // The narrowest first.
    let indexes = [
        (query.thread.is_some(), "audit_events_by_thread"),
        (query.connection.is_some(), "audit_events_by_connection"),
        // Before what fails: other people's failures may be many more than one person's calls.
        (query.user.is_some(), "audit_events_by_user"),
        (failed, "audit_events_not_ok"),
        (other_kind, "audit_events_not_tool"),
        (query.tool.is_some(), "audit_events_by_tool"),
        (changing, "audit_events_not_read"),
        (query.integration.is_some(), "audit_events_by_integration"),
    ];
    let index = indexes
        .iter()
        .find(|(fits, _)| *fits)
        .map(|(_, index)| index);
    let indexed_by = match index {
        Some(index) if sqlite => format!(" indexed by {index}"),
        _ => String::new(),
    };
    let mut conditions = String::new();
    let mut number = 3;
    for (column, _, fits) in columns.iter().filter(|(_, asked, _)| *asked) {
        number += 1;
        // Writing into a string does not fail.
        let _ = write!(conditions, " and {column} = ${number}{fits}");
    }
    format!(
        "select e.*, p.salt, p.body, i.facts as intent_facts, i.at as intent_at, ip.body as intent_body from \
         (select {EVENT_COLUMNS} from audit_events{indexed_by} where org_id = $1 and seq > $2 and seq < $3 \
         and outcome is not null{conditions} order by seq desc limit ${limit}) e \
         left join audit_payloads p on p.org_id = e.org_id and p.seq = e.seq \
         left join audit_events i on i.org_id = e.org_id and i.seq = e.completes \
         left join audit_payloads ip on ip.org_id = e.org_id and ip.seq = e.completes \
         order by e.seq desc",
        limit = number + 1
    )
}

/// Halves the places between `low`, which is before the time $2, and `high`, which is not, until they are neighbours.
static SEQ_BEFORE: LazyLock<String> = LazyLock::new(|| {
    let early = "coalesce((select e.at < $2 from audit_events e where e.org_id = $1 and e.seq = (low + high) / 2), false)";
    format!(
        "with recursive halves (low, high) as (select cast(0 as bigint), seq + 1 from audit_heads where org_id = $1 \
         union all select case when {early} then (low + high) / 2 else low end, \
         case when {early} then high else (low + high) / 2 end from halves where high - low > 1) \
         select low from halves where high - low <= 1"
    )
});

impl Store {
    /// Where every chain ends, by organization.
    pub async fn audit_heads(&self) -> Result<Vec<AuditHead>, StoreError> {
        let rows: Vec<HeadColumns> = on!(&self.db, pool => sqlx::query_as(
            "select org_id, seq, hash, at, checkpoint_seq, checkpoint_at from audit_heads order by org_id",
        )
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Every organization that there is or that has a chain.
    pub async fn audit_organizations(&self) -> Result<Vec<OrgId>, StoreError> {
        let ids: Vec<Uuid> = on!(&self.db, pool => sqlx::query_scalar(
            "select id from organizations union select org_id from audit_heads",
        )
        .fetch_all(pool)
        .await)?;
        Ok(ids.into_iter().map(OrgId::from_uuid).collect())
    }

    /// The events after `seq` in the order of the chain, at most `limit`.
    pub async fn audit_after(
        &self,
        org: OrgId,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let rows: Vec<EventColumns> = on!(&self.db, pool => sqlx::query_as(
            "select e.org_id, e.seq, e.at, e.kind, e.call_id, e.user_id, e.integration, e.connection_id, e.tool, \
             e.effect, e.thread, e.outcome, e.completes, e.facts, e.commitment, e.hash, p.salt, p.body \
             from audit_events e left join audit_payloads p on p.org_id = e.org_id and p.seq = e.seq \
             where e.org_id = $1 and e.seq > $2 order by e.seq limit $3",
        )
        .bind(org.uuid())
        .bind(seq)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The checkpoints after `seq`, oldest first, at most `limit`.
    pub async fn audit_checkpoints(
        &self,
        org: OrgId,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<AuditCheckpointRow>, StoreError> {
        let rows: Vec<CheckpointColumns> = on!(&self.db, pool => sqlx::query_as(
            "select org_id, seq, hash, at, previous_seq, key_id, signature from audit_checkpoints \
             where org_id = $1 and seq > $2 order by seq limit $3",
        )
        .bind(org.uuid())
        .bind(seq)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        rows.into_iter()
            .map(|row| {
                Ok(AuditCheckpointRow {
                    org_id: OrgId::from_uuid(row.org_id),
                    seq: row.seq,
                    hash: row.hash.try_into().map_err(|_| StoreError::Corrupt {
                        table: "audit_checkpoints",
                        column: "hash",
                        id: row.seq.to_string(),
                    })?,
                    at: Timestamp::from_micros(row.at),
                    previous_seq: row.previous_seq,
                    key_id: row.key_id,
                    signature: row.signature,
                })
            })
            .collect()
    }

    /// The last event that was appended before `at`; 0 when there is none. Times never go back along a chain and it has
    /// no gaps, so this halves the chain instead of needing an index on the time.
    pub async fn audit_seq_before(&self, org: OrgId, at: Timestamp) -> Result<i64, StoreError> {
        let before: Option<i64> = on!(&self.db, pool => sqlx::query_scalar(SEQ_BEFORE.as_str())
            .bind(org.uuid())
            .bind(at.micros())
            .fetch_optional(pool)
            .await)?;
        Ok(before.unwrap_or(0))
    }

    /// The completed events that `query` asks for, newest first, at most `limit`, each with its intent.
    pub async fn audit_completed(
        &self,
        org: OrgId,
        query: &AuditQuery,
        limit: u32,
    ) -> Result<Vec<AuditJoined>, StoreError> {
        // In the order of `completed`.
        let ids = [
            query.user.map(UserId::uuid),
            query.connection.map(ConnectionId::uuid),
        ];
        let texts = [
            query.thread.as_deref(),
            query.outcome.as_deref(),
            query.kind.as_deref(),
            query.tool.as_deref(),
            query.effect.as_deref(),
            query.integration.as_deref(),
        ];
        let text = completed(query, self.is_sqlite());
        let rows: Vec<JoinedColumns> = on!(&self.db, pool => {
            let mut select = sqlx::query_as(AssertSqlSafe(text))
                .bind(org.uuid())
                .bind(query.above)
                .bind(query.below);
            for id in ids.into_iter().flatten() {
                select = select.bind(id);
            }
            for text in texts.into_iter().flatten() {
                select = select.bind(text);
            }
            select.bind(i64::from(limit)).fetch_all(pool).await
        })?;
        rows.into_iter()
            .map(|row| {
                Ok(AuditJoined {
                    row: row.event.try_into()?,
                    intent_facts: row.intent_facts,
                    intent_body: row.intent_body,
                    intent_at: row.intent_at.map(Timestamp::from_micros),
                })
            })
            .collect()
    }

    /// Up to where every intent is known to have an outcome.
    pub async fn audit_closed(&self, org: OrgId) -> Result<i64, StoreError> {
        let seq: Option<i64> = on!(&self.db, pool => sqlx::query_scalar("select seq from audit_closed where org_id = $1")
            .bind(org.uuid())
            .fetch_optional(pool)
            .await)?;
        Ok(seq.unwrap_or(0))
    }
}
