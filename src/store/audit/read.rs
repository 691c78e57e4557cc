//! Reading the audit log: along the chain, and by what was completed.

use std::fmt::Write as _;

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
        let last: Option<i64> = on!(&self.db, pool => sqlx::query_scalar("select seq from audit_heads where org_id = $1")
            .bind(org.uuid())
            .fetch_optional(pool)
            .await)?;
        let (mut before, mut from) = (0, last.unwrap_or(0) + 1);
        while from - before > 1 {
            let middle = before + (from - before) / 2;
            let found: Option<i64> = on!(&self.db, pool => sqlx::query_scalar(
                "select at from audit_events where org_id = $1 and seq = $2",
            )
            .bind(org.uuid())
            .bind(middle)
            .fetch_optional(pool)
            .await)?;
            if found.is_some_and(|found| found < at.micros()) {
                before = middle;
            } else {
                from = middle;
            }
        }
        Ok(before)
    }

    /// The completed events that `query` asks for, newest first, at most `limit`, each with its intent.
    ///
    /// Served by: `audit_events_by_user`, `…_by_integration`, `…_by_tool`, `…_by_thread`, `…_not_ok`, whichever the
    /// planner finds narrowest, else the primary key backwards; connection, effect and kind filter what those find.
    pub async fn audit_completed(
        &self,
        org: OrgId,
        query: &AuditQuery,
        limit: u32,
    ) -> Result<Vec<AuditJoined>, StoreError> {
        let mut text = format!(
            "select e.*, p.salt, p.body, i.facts as intent_facts, i.at as intent_at, ip.body as intent_body from \
             (select {EVENT_COLUMNS} from audit_events where org_id = $1 and seq > $2 and seq < $3 \
             and outcome is not null"
        );
        let texts = [
            ("integration", query.integration.as_deref()),
            ("tool", query.tool.as_deref()),
            ("effect", query.effect.as_deref()),
            ("outcome", query.outcome.as_deref()),
            ("thread", query.thread.as_deref()),
            ("kind", query.kind.as_deref()),
        ];
        let ids = [
            ("user_id", query.user.map(UserId::uuid)),
            ("connection_id", query.connection.map(ConnectionId::uuid)),
        ];
        // Only what is asked for is in the text, so that the planner sees which index fits.
        let mut number = 4;
        let asked = (texts
            .iter()
            .filter(|(_, value)| value.is_some())
            .map(|(name, _)| name))
        .chain(
            ids.iter()
                .filter(|(_, value)| value.is_some())
                .map(|(name, _)| name),
        );
        for name in asked {
            // Writing into a string does not fail.
            let _ = write!(text, " and {name} = ${number}");
            number += 1;
        }
        // Said outright, because a partial index is not considered for a bound value.
        if query
            .outcome
            .as_deref()
            .is_some_and(|outcome| outcome != "ok")
        {
            text.push_str(" and outcome <> 'ok'");
        }
        let _ = write!(
            text,
            " order by seq desc limit ${number}) e \
             left join audit_payloads p on p.org_id = e.org_id and p.seq = e.seq \
             left join audit_events i on i.org_id = e.org_id and i.seq = e.completes \
             left join audit_payloads ip on ip.org_id = e.org_id and ip.seq = e.completes \
             order by e.seq desc"
        );
        let rows: Vec<JoinedColumns> = on!(&self.db, pool => {
            let mut select = sqlx::query_as(AssertSqlSafe(text))
                .bind(org.uuid())
                .bind(query.above)
                .bind(query.below);
            for (_, value) in texts {
                if let Some(value) = value {
                    select = select.bind(value);
                }
            }
            for (_, value) in ids {
                if let Some(value) = value {
                    select = select.bind(value);
                }
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
