//! The one task that writes: group commit, chain, checkpoints.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::chain::{self, Salts};
use super::{AuditError, Signer};
use crate::clock::{Clock, Timestamp};
use crate::ids::OrgId;
use crate::store::{AuditCheckpointRow, AuditHead, AuditRow, Store, StoreError};

/// Most events of one transaction.
const MAX_BATCH: usize = 1_024;

/// Outcomes that may wait for the database to come back. What does not fit is closed as `unknown` later.
const MAX_KEPT: usize = 10_000;

/// A checkpoint is due after so many events …
const CHECKPOINT_EVENTS: i64 = 1_000;
/// … or so long after the one before it, if there were any.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);

/// How long to wait before trying again what could not be written.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// How often the last batches are tried when the server stops.
const LAST_TRIES: u32 = 4;

type Written = oneshot::Sender<Result<i64, AuditError>>;

/// An event on its way into the log.
#[derive(Debug)]
pub(super) struct Job {
    row: AuditRow,
    written: Written,
    /// The intent's own place, when that was not known yet.
    intent: Option<oneshot::Receiver<Result<i64, AuditError>>>,
    /// Whether the event has happened, so that it must get in sooner or later. An intent that cannot be written is
    /// refused instead.
    happened: bool,
}

impl Job {
    pub(super) const fn intent(row: AuditRow, written: Written) -> Self {
        Self {
            row,
            written,
            intent: None,
            happened: false,
        }
    }

    pub(super) const fn outcome(row: AuditRow, written: Written) -> Self {
        Self {
            row,
            written,
            intent: None,
            happened: true,
        }
    }

    pub(super) const fn outcome_of(
        row: AuditRow,
        written: Written,
        intent: oneshot::Receiver<Result<i64, AuditError>>,
    ) -> Self {
        Self {
            row,
            written,
            intent: Some(intent),
            happened: true,
        }
    }
}

/// The running writer.
#[derive(Debug)]
pub struct AuditWriter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AuditWriter {
    pub(super) fn start(
        store: Store,
        clock: Clock,
        hmac: &[u8; 32],
        signer: Option<Signer>,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        let stop = CancellationToken::new();
        let writer = Writer {
            salts: Salts::new(clock.now(), hmac),
            store,
            clock,
            signer,
            kept: VecDeque::new(),
            unsigned: BTreeSet::new(),
        };
        Self {
            task: tokio::spawn(writer.run(jobs, stop.clone())),
            stop,
        }
    }

    /// Writes what is queued, signs where the chains end, and stops. Later events are refused.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the audit writer broke down"
            );
        }
    }
}

struct Writer {
    store: Store,
    clock: Clock,
    signer: Option<Signer>,
    salts: Salts,
    /// Outcomes that could not be written yet.
    kept: VecDeque<Job>,
    /// Organizations with events since their last checkpoint.
    unsigned: BTreeSet<OrgId>,
}

impl Writer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let pause = if self.kept.is_empty() {
                CHECKPOINT_EVERY
            } else {
                RETRY_EVERY
            };
            tokio::select! {
                biased;
                () = stop.cancelled(), if !jobs.is_closed() => jobs.close(),
                taken = jobs.recv_many(&mut batch, MAX_BATCH) => {
                    if taken == 0 {
                        break;
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
            self.write(&mut batch).await;
        }
        for _ in 0..LAST_TRIES {
            if self.kept.is_empty() {
                break;
            }
            self.write(&mut batch).await;
            tokio::time::sleep(RETRY_EVERY).await;
        }
        if !self.kept.is_empty() {
            tracing::error!(
                outcomes = self.kept.len(),
                "outcomes could not be written to the audit log"
            );
        }
        for org in std::mem::take(&mut self.unsigned) {
            drop(self.append(org, &mut [], Checkpoint::Now).await);
        }
    }

    /// Writes what was kept and what is new, and lets everybody know.
    async fn write(&mut self, batch: &mut Vec<Job>) {
        let mut by_org: BTreeMap<OrgId, Vec<Job>> = BTreeMap::new();
        let room = MAX_BATCH.min(self.kept.len());
        let kept: Vec<Job> = self.kept.drain(..room).collect();
        for mut job in kept.into_iter().chain(batch.drain(..)) {
            if let Some(intent) = &mut job.intent {
                match intent.try_recv() {
                    Ok(Ok(seq)) => job.row.completes = Some(seq),
                    // Its intent is in this very batch, or was refused: then the outcome stands alone.
                    Err(oneshot::error::TryRecvError::Empty) => {
                        self.kept.push_back(job);
                        continue;
                    }
                    Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => {}
                }
                job.intent = None;
            }
            by_org.entry(job.row.org_id).or_default().push(job);
        }
        let idle = by_org.is_empty();
        for (org, jobs) in by_org {
            let (mut rows, waiting): (Vec<AuditRow>, Vec<(Written, bool)>) = jobs
                .into_iter()
                .map(|job| (job.row, (job.written, job.happened)))
                .unzip();
            for row in &mut rows {
                if let Some(payload) = &mut row.payload {
                    payload.salt = self.salts.next();
                    row.commitment = Some(chain::commitment(payload));
                }
            }
            match self.append(org, &mut rows, Checkpoint::WhenDue).await {
                Ok(()) => {
                    for (row, (written, _)) in rows.iter().zip(waiting) {
                        // Nobody may be waiting any more.
                        drop(written.send(Ok(row.seq)));
                    }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        events = rows.len(),
                        "the audit log cannot be written"
                    );
                    self.keep(rows, waiting);
                }
            }
        }
        if idle {
            for org in self.unsigned.clone() {
                drop(self.append(org, &mut [], Checkpoint::WhenDue).await);
            }
        }
    }

    fn keep(&mut self, rows: Vec<AuditRow>, waiting: Vec<(Written, bool)>) {
        for (row, (written, happened)) in rows.into_iter().zip(waiting) {
            if happened && self.kept.len() < MAX_KEPT {
                self.kept.push_back(Job::outcome(row, written));
            } else {
                drop(written.send(Err(AuditError::Unavailable)));
            }
        }
    }

    async fn append(
        &mut self,
        org: OrgId,
        rows: &mut [AuditRow],
        when: Checkpoint,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut buffer = Vec::new();
        let mut link =
            |head: &AuditHead, row: &mut AuditRow| chain::link(head, row, now, &mut buffer);
        let sign = |head: &AuditHead| sign(self.signer.as_ref()?, head, now, when);
        let checkpoint = self.store.append_audit(org, rows, &mut link, &sign).await?;
        match (checkpoint, &self.signer) {
            (Some(checkpoint), Some(signer)) => {
                self.unsigned.remove(&org);
                (signer.publish)(&checkpoint);
            }
            (_, Some(_)) => {
                self.unsigned.insert(org);
            }
            (_, None) => {}
        }
        Ok(())
    }
}

/// When to sign the end of a chain.
#[derive(Clone, Copy)]
enum Checkpoint {
    WhenDue,
    Now,
}

fn sign(
    signer: &Signer,
    head: &AuditHead,
    now: Timestamp,
    when: Checkpoint,
) -> Option<AuditCheckpointRow> {
    let events = head.seq - head.checkpoint_seq;
    let due = match when {
        Checkpoint::WhenDue => {
            events >= CHECKPOINT_EVENTS || now.since(head.checkpoint_at) >= CHECKPOINT_EVERY
        }
        Checkpoint::Now => true,
    };
    if events == 0 || !due {
        return None;
    }
    let mut checkpoint = AuditCheckpointRow {
        org_id: head.org_id,
        seq: head.seq,
        hash: head.hash,
        at: now.max(head.at),
        previous_seq: head.checkpoint_seq,
        key_id: signer.key.key_id.clone(),
        signature: Vec::new(),
    };
    checkpoint.signature = (signer.sign)(&chain::signed_bytes(&checkpoint));
    Some(checkpoint)
}
