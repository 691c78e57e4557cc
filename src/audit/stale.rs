//! Closing the intents that a crash, or a queue that overflowed, left without an outcome; and erasing old payloads.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;

use super::writer::Job;
use super::{Actor, AdminEvent, AuditError, AuditLog, wait};
use crate::clock::Timestamp;
use crate::ids::OrgId;
use crate::store::AuditRow;

/// Events read at a time.
const PAGE: u32 = 1_000;

impl AuditLog {
    /// Closes the intents that have had no outcome for `older_than`, as `unknown`; answers how many. That must be longer
    /// than any call takes, in any process, and one process at a time does this (under a lease).
    pub async fn close_stale(&self, older_than: Duration) -> Result<u64, AuditError> {
        let before = self.clock.now().minus(older_than);
        let mut closed = 0;
        for head in self.store.audit_heads().await? {
            closed += self.close_stale_of(head.org_id, before).await?;
        }
        Ok(closed)
    }

    /// Reads the chain from where everything is closed to its end, so each event is read about once in its life.
    async fn close_stale_of(&self, org: OrgId, before: Timestamp) -> Result<u64, AuditError> {
        let mut open: BTreeMap<i64, AuditRow> = BTreeMap::new();
        let mut seq = self.store.audit_closed(org).await?;
        loop {
            let page = self.store.audit_after(org, seq, PAGE).await?;
            let Some(last) = page.last() else { break };
            seq = last.seq;
            for row in page {
                match (row.completes, &row.outcome) {
                    (Some(intent), _) => drop(open.remove(&intent)),
                    (None, None) => drop(open.insert(row.seq, row)),
                    (None, Some(_)) => {}
                }
            }
        }
        let young = open
            .iter()
            .find(|(_, row)| row.at >= before)
            .map(|(seq, _)| *seq);
        let mut closing = Vec::new();
        for (intent, row) in open {
            if row.at >= before {
                break;
            }
            let (written, durable) = oneshot::channel();
            let outcome = AuditRow {
                kind: row.kind.replace(".intent", ".outcome"),
                outcome: Some("unknown".to_owned()),
                completes: Some(intent),
                facts: r#"{"closed":"stale"}"#.to_owned(),
                payload: None,
                commitment: None,
                ..row
            };
            self.queue
                .send(Job::intent(outcome, written))
                .await
                .map_err(|_| AuditError::Unavailable)?;
            closing.push(durable);
        }
        let mut closed = 0;
        for durable in closing {
            wait(durable).await?;
            closed += 1;
        }
        // Up to the first intent that is still open, or to the end as it was when this began.
        self.store
            .set_audit_closed(org, young.map_or(seq, |young| young - 1))
            .await?;
        Ok(closed)
    }

    /// Erases what may be erased of the events appended before `before`; answers of how many. That it was done is an event
    /// itself, without which the chain does not verify.
    pub async fn erase_payloads(
        &self,
        actor: impl Into<Actor>,
        org: OrgId,
        before: Timestamp,
    ) -> Result<u64, AuditError> {
        let up_to = self.store.audit_seq_before(org, before).await?;
        self.record(
            actor,
            org,
            AdminEvent {
                kind: super::ERASED,
                target: up_to.to_string().into(),
                ..AdminEvent::default()
            },
        )
        .await?;
        Ok(self.store.erase_audit_payloads(org, up_to).await?)
    }
}
