//! The rows of the audit log. What they mean and how they are chained is in `crate::audit`; here they are appended in one
//! transaction per batch, and read in the two orders that there are.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, OrgId, UserId};

/// One event. An intent has no outcome; everything else has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// The organization, whose chain this is in.
    pub org_id: OrgId,
    /// Its place in the chain, from 1 without gaps.
    pub seq: i64,
    /// When it was appended; never before its predecessor.
    pub at: Timestamp,
    /// `tool.intent`, `connection.created`, …
    pub kind: String,
    /// The call; of other events an id of their own.
    pub call_id: CallId,
    /// Who did it; `None` is the server itself.
    pub user_id: Option<UserId>,
    /// The integration's id.
    pub integration: Option<String>,
    /// Through which connection.
    pub connection_id: Option<ConnectionId>,
    /// The tool's or block's name.
    pub tool: Option<String>,
    /// `read`, `write` or `destructive`.
    pub effect: Option<String>,
    /// The conversation.
    pub thread: Option<String>,
    /// `ok`, or the code of what went wrong.
    pub outcome: Option<String>,
    /// The intent that this is the outcome of.
    pub completes: Option<i64>,
    /// Everything else that is kept for good, as a JSON object.
    pub facts: String,
    /// What may be erased; also `None` once it was.
    pub payload: Option<AuditPayload>,
    /// What the event keeps of its payload.
    pub commitment: Option<[u8; 32]>,
    /// The link of the chain.
    pub hash: [u8; 32],
}

/// The part of an event that may be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPayload {
    /// Makes the commitment useless to whoever guesses at the text.
    pub salt: [u8; 32],
    /// A JSON object.
    pub body: String,
}

/// The end of an organization's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The organization.
    pub org_id: OrgId,
    /// The last event; 0 before the first.
    pub seq: i64,
    /// Its hash; zeros before the first.
    pub hash: [u8; 32],
    /// When it was appended.
    pub at: Timestamp,
    /// The last checkpoint; 0 before the first.
    pub checkpoint_seq: i64,
    /// When that was made.
    pub checkpoint_at: Timestamp,
}

/// A signed statement of where a chain stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCheckpointRow {
    /// The organization.
    pub org_id: OrgId,
    /// The event it is about.
    pub seq: i64,
    /// That event's hash.
    pub hash: [u8; 32],
    /// When it was made.
    pub at: Timestamp,
    /// The checkpoint before it; 0 for the first.
    pub previous_seq: i64,
    /// Which key signed.
    pub key_id: String,
    /// Ed25519.
    pub signature: Vec<u8>,
}

/// Which completed events to list; `None` does not ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Who.
    pub user: Option<UserId>,
    /// Integration id.
    pub integration: Option<String>,
    /// Connection.
    pub connection: Option<ConnectionId>,
    /// Tool or block name.
    pub tool: Option<String>,
    /// Effect.
    pub effect: Option<String>,
    /// Outcome.
    pub outcome: Option<String>,
    /// Conversation.
    pub thread: Option<String>,
    /// Kind of event.
    pub kind: Option<String>,
    /// Only events after this one.
    pub above: i64,
    /// Only events before this one; `i64::MAX` does not ask.
    pub below: i64,
}

/// A completed event with what its intent said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditJoined {
    /// The completed event.
    pub row: AuditRow,
    /// The facts of its intent.
    pub intent_facts: Option<String>,
    /// The payload of its intent.
    pub intent_body: Option<String>,
    /// When its intent was appended.
    pub intent_at: Option<Timestamp>,
}

const EVENT_COLUMNS: &str = "org_id, seq, at, kind, call_id, user_id, integration, connection_id, tool, effect, \
    thread, outcome, completes, facts, commitment, hash";

/// Most rows of one insert statement. Chunks are powers of two up to here, so few texts exist and each stays prepared.
const MAX_CHUNK: usize = 64;

/// `insert into <table> values ($1, …), (…)` for 1, 2, 4 … [`MAX_CHUNK`] rows.
fn inserts(table: &str, columns: &str) -> Vec<String> {
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
fn chunk<'rows, T>(
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
    returning org_id, seq, hash, at, checkpoint_seq, checkpoint_at";

#[derive(FromRow)]
struct HeadColumns {
    org_id: Uuid,
    seq: i64,
    hash: Vec<u8>,
    at: i64,
    checkpoint_seq: i64,
    checkpoint_at: i64,
}

impl TryFrom<HeadColumns> for AuditHead {
    type Error = StoreError;

    fn try_from(row: HeadColumns) -> Result<Self, StoreError> {
        let org_id = OrgId::from_uuid(row.org_id);
        Ok(Self {
            org_id,
            seq: row.seq,
            hash: row.hash.try_into().map_err(|_| StoreError::Corrupt {
                table: "audit_heads",
                column: "hash",
                id: org_id.to_string(),
            })?,
            at: Timestamp::from_micros(row.at),
            checkpoint_seq: row.checkpoint_seq,
            checkpoint_at: Timestamp::from_micros(row.checkpoint_at),
        })
    }
}

#[derive(FromRow)]
struct EventColumns {
    org_id: Uuid,
    seq: i64,
    at: i64,
    kind: String,
    call_id: Uuid,
    user_id: Option<Uuid>,
    integration: Option<String>,
    connection_id: Option<Uuid>,
    tool: Option<String>,
    effect: Option<String>,
    thread: Option<String>,
    outcome: Option<String>,
    completes: Option<i64>,
    facts: String,
    commitment: Option<Vec<u8>>,
    hash: Vec<u8>,
    salt: Option<Vec<u8>>,
    body: Option<String>,
}

impl TryFrom<EventColumns> for AuditRow {
    type Error = StoreError;

    fn try_from(row: EventColumns) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt {
            table: "audit_events",
            column,
            id: row.seq.to_string(),
        };
        let bytes = |bytes: Vec<u8>, column| bytes.try_into().map_err(|_| corrupt(column));
        let payload = match (row.salt, row.body) {
            (Some(salt), Some(body)) => Some(AuditPayload {
                salt: bytes(salt, "salt")?,
                body,
            }),
            _ => None,
        };
        Ok(Self {
            org_id: OrgId::from_uuid(row.org_id),
            seq: row.seq,
            at: Timestamp::from_micros(row.at),
            kind: row.kind,
            call_id: CallId::from_uuid(row.call_id),
            user_id: row.user_id.map(UserId::from_uuid),
            integration: row.integration,
            connection_id: row.connection_id.map(ConnectionId::from_uuid),
            tool: row.tool,
            effect: row.effect,
            thread: row.thread,
            outcome: row.outcome,
            completes: row.completes,
            facts: row.facts,
            payload,
            commitment: row
                .commitment
                .map(|commitment| bytes(commitment, "commitment"))
                .transpose()?,
            hash: bytes(row.hash, "hash")?,
        })
    }
}

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
            let found: HeadColumns = sqlx::query_as(LOCK_HEAD)
                .bind(org.uuid())
                .bind([0u8; 32].as_slice())
                .fetch_one(&mut *tx)
                .await?;
            let mut head = AuditHead::try_from(found)?;
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
                "update audit_heads set seq = $2, hash = $3, at = $4, checkpoint_seq = $5, checkpoint_at = $6 \
                 where org_id = $1",
            )
            .bind(org.uuid())
            .bind(head.seq)
            .bind(head.hash.as_slice())
            .bind(head.at.micros())
            .bind(head.checkpoint_seq)
            .bind(head.checkpoint_at.micros())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(signed)
        })
    }

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
