//! Writing to the audit log.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::FromRow;

use super::counts::{Counted, add_counts, tally};
use super::{AuditCheckpointRow, AuditHead, AuditPayload, AuditRow, EVENT_COLUMNS, HeadColumns};
use crate::ids::{ConnectionId, OrgId, UserId};
use crate::store::{Store, StoreError};

/// Most rows of one insert statement. Chunks are powers of two up to here, so few texts exist and each stays prepared.
const MAX_CHUNK: usize = 64;

/// `insert into <table> values ($1, …), (…)` for 1, 2, 4 … [`MAX_CHUNK`] rows.
pub(super) fn inserts(table: &str, columns: &str) -> Vec<String> {
    let width = columns.split(',').count();
    let mut texts = Vec::new();
    let mut rows = 1;
    while rows <= MAX_CHUNK {
        let mut text = format!("insert into {table} ({columns}) values ");
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 1..=width {
                // Writing into a string does not fail.
                let _ = write!(
                    text,
                    "{}${}",
                    if column == 1 { "" } else { ", " },
                    row * width + column
                );
            }
            text.push(')');
        }
        texts.push(text);
        rows *= 2;
    }
    texts
}

static INSERT_EVENTS: LazyLock<Vec<String>> =
    LazyLock::new(|| inserts("audit_events", EVENT_COLUMNS));
static INSERT_PAYLOADS: LazyLock<Vec<String>> =
    LazyLock::new(|| inserts("audit_payloads", "org_id, seq, salt, body"));

/// The first rows that one statement takes, that statement, and the other rows.
pub(super) fn chunk<'rows, T>(
    rows: &'rows [T],
    texts: &'static [String],
) -> Option<(&'static str, &'rows [T], &'rows [T])> {
    let power = rows.len().min(MAX_CHUNK).checked_ilog2()?;
    let (now, later) = rows.split_at(1 << power);
    Some((texts.get(power as usize)?.as_str(), now, later))
}

/// Locks the end of a chain, making it when it is the first event.
const LOCK_HEAD: &str = "insert into audit_heads (org_id, seq, hash, at, checkpoint_seq, checkpoint_at) \
    values ($1, 0, $2, 0, 0, 0) on conflict (org_id) do update set seq = audit_heads.seq \
    returning org_id, seq, hash, at, checkpoint_seq, checkpoint_at, counted";

#[derive(FromRow)]
struct LockedHead {
    #[sqlx(flatten)]
    head: HeadColumns,
    counted: i64,
}

fn counts_as(row: &AuditRow) -> Counted<'_> {
    Counted {
        at: row.at,
        kind: &row.kind,
        integration: row.integration.as_deref(),
        has_tool: row.tool.is_some(),
        effect: row.effect.as_deref(),
        outcome: row.outcome.as_deref(),
        facts: &row.facts,
    }
}

impl Store {
    /// Appends events of one organization in one transaction that holds the end of its chain. `link` gives each row its
    /// place and hash and answers the new end; `checkpoint` may sign the last one. Answers the checkpoint, if it did.
    pub async fn append_audit(
        &self,
        org: OrgId,
        rows: &mut [AuditRow],
        link: &mut (dyn FnMut(&AuditHead, &mut AuditRow) -> AuditHead + Send),
        checkpoint: &(dyn Fn(&AuditHead) -> Option<AuditCheckpointRow> + Sync),
    ) -> Result<Option<AuditCheckpointRow>, StoreError> {
        on!(&self.audit, begin tx => {
            let found: LockedHead = sqlx::query_as(LOCK_HEAD)
                .bind(org.uuid())
                .bind([0u8; 32].as_slice())
                .fetch_one(&mut *tx)
                .await?;
            let mut counted = found.counted;
            let mut head = AuditHead::try_from(found.head)?;
            let all_counted = counted == head.seq;
            for row in rows.iter_mut() {
                head = link(&head, row);
            }
            let rows: &[AuditRow] = rows;
            let mut rest = rows;
            while let Some((text, some, later)) = chunk(rest, &INSERT_EVENTS) {
                let mut insert = sqlx::query(text);
                for row in some {
                    insert = insert
                        .bind(row.org_id.uuid())
                        .bind(row.seq)
                        .bind(row.at.micros())
                        .bind(row.kind.as_str())
                        .bind(row.call_id.uuid())
                        .bind(row.user_id.map(UserId::uuid))
                        .bind(row.integration.as_deref())
                        .bind(row.connection_id.map(ConnectionId::uuid))
                        .bind(row.tool.as_deref())
                        .bind(row.effect.as_deref())
                        .bind(row.thread.as_deref())
                        .bind(row.outcome.as_deref())
                        .bind(row.completes)
                        .bind(row.facts.as_str())
                        .bind(row.commitment.as_ref().map(<[u8; 32]>::as_slice))
                        .bind(row.hash.as_slice());
                }
                insert.execute(&mut *tx).await?;
                rest = later;
            }
            let payloads: Vec<(i64, &AuditPayload)> = rows
                .iter()
                .filter_map(|row| Some((row.seq, row.payload.as_ref()?)))
                .collect();
            let mut rest = payloads.as_slice();
            while let Some((text, some, later)) = chunk(rest, &INSERT_PAYLOADS) {
                let mut insert = sqlx::query(text);
                for (seq, payload) in some {
                    insert = insert
                        .bind(org.uuid())
                        .bind(*seq)
                        .bind(payload.salt.as_slice())
                        .bind(payload.body.as_str());
                }
                insert.execute(&mut *tx).await?;
                rest = later;
            }
            // Otherwise the job that catches up counts these too.
            if all_counted {
                let counts = tally(rows.iter().map(counts_as));
                add_counts!(tx, org, counts);
                counted = head.seq;
            }
            let signed = checkpoint(&head);
            if let Some(row) = &signed {
                sqlx::query(
                    "insert into audit_checkpoints (org_id, seq, hash, at, previous_seq, key_id, signature) \
                     values ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(row.org_id.uuid())
                .bind(row.seq)
                .bind(row.hash.as_slice())
                .bind(row.at.micros())
                .bind(row.previous_seq)
                .bind(row.key_id.as_str())
                .bind(row.signature.as_slice())
                .execute(&mut *tx)
                .await?;
                head.checkpoint_seq = row.seq;
                head.checkpoint_at = row.at;
            }
            sqlx::query(
                "update audit_heads set seq = $2, hash = $3, at = $4, checkpoint_seq = $5, checkpoint_at = $6, \
                 counted = $7 where org_id = $1",
            )
            .bind(org.uuid())
            .bind(head.seq)
            .bind(head.hash.as_slice())
            .bind(head.at.micros())
            .bind(head.checkpoint_seq)
            .bind(head.checkpoint_at.micros())
            .bind(counted)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(signed)
        })
    }

    /// Notes up to where every intent has an outcome; never goes back.
    pub async fn set_audit_closed(&self, org: OrgId, seq: i64) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into audit_closed (org_id, seq) values ($1, $2) on conflict (org_id) do update set \
             seq = excluded.seq where audit_closed.seq < excluded.seq",
        )
        .bind(org.uuid())
        .bind(seq)
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// Erases the payloads of the events up to `seq`; answers how many.
    pub async fn erase_audit_payloads(&self, org: OrgId, seq: i64) -> Result<u64, StoreError> {
        let erased = on!(&self.db, write pool => sqlx::query(
            "delete from audit_payloads where org_id = $1 and seq <= $2",
        )
        .bind(org.uuid())
        .bind(seq)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(erased)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_in_chunks_of_powers_of_two() {
        let rows = [0; 100];
        let mut sizes = Vec::new();
        let mut rest = rows.as_slice();
        while let Some((text, some, later)) = chunk(rest, &INSERT_PAYLOADS) {
            assert_eq!(text.matches('(').count(), some.len() + 1);
            assert!(text.ends_with(&format!("${})", some.len() * 4)));
            sizes.push(some.len());
            rest = later;
        }
        assert_eq!(sizes, [64, 32, 4]);
    }
}
