//! A call between its intent and its outcome.

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::scrub::{scrub_value, short};
use super::writer::Job;
use super::{AuditError, Outcome, chain, json};
use crate::ids::ConnectionId;
use crate::store::AuditRow;

/// A call whose intent is on its way to the log or in it. Dropped without [`super::AuditLog::finish`], as when the caller
/// hangs up or the call panics, it records the outcome `unknown`.
#[derive(Debug)]
#[must_use = "an intent needs an outcome"]
pub struct Pending {
    queue: mpsc::Sender<Job>,
    intent: Intent,
    /// The outcome's row, with everything in it that is known beforehand; `None` once it was sent.
    outcome: Option<AuditRow>,
    account: Option<String>,
    read: bool,
}

#[derive(Debug)]
enum Intent {
    Queued(oneshot::Receiver<Result<i64, AuditError>>),
    /// Written, at this place of the chain.
    Durable(i64),
    Refused,
}

/// What is kept of an outcome for good.
#[derive(Serialize)]
struct OutcomeFacts<'a> {
    duration_us: u64,
    upstream_requests: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_digest: Option<&'a str>,
}

/// What may be erased of an outcome.
#[derive(Serialize)]
struct OutcomeBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a Value>,
}

impl Pending {
    pub(super) fn new(
        queue: mpsc::Sender<Job>,
        intent: Option<oneshot::Receiver<Result<i64, AuditError>>>,
        outcome: AuditRow,
        read: bool,
    ) -> Self {
        Self {
            queue,
            // An intent that did not even get into the queue was never recorded and needs no outcome.
            outcome: intent.is_some().then_some(outcome),
            intent: intent.map_or(Intent::Refused, Intent::Queued),
            account: None,
            read,
        }
    }

    pub(super) const fn is_read(&self) -> bool {
        self.read
    }

    /// Waits until the intent is in the log, at most two seconds. A write awaits this before the first byte to the
    /// provider, a read before the answer; on an error the call must be refused.
    pub async fn durable(&mut self) -> Result<(), AuditError> {
        let written = match &mut self.intent {
            Intent::Durable(_) => return Ok(()),
            Intent::Refused => return Err(AuditError::Unavailable),
            Intent::Queued(written) => tokio::time::timeout(super::PATIENCE, written).await,
        };
        match written {
            Ok(Ok(Ok(seq))) => {
                self.intent = Intent::Durable(seq);
                Ok(())
            }
            Ok(_) => {
                self.intent = Intent::Refused;
                if !self.read {
                    // Nothing was done, so nothing needs an outcome. A read may have gone ahead.
                    self.outcome = None;
                }
                Err(AuditError::Unavailable)
            }
            // It may get in yet; the outcome then finds it.
            Err(_) => Err(AuditError::Unavailable),
        }
    }

    /// Notes through which account the call goes, once that is resolved; it is written with the outcome.
    pub fn connection(&mut self, id: impl Into<Option<ConnectionId>>, label: &str) {
        if let Some(outcome) = &mut self.outcome {
            outcome.connection_id = id.into();
        }
        self.account = Some(short(label).into_owned());
    }

    /// Queues the outcome; the answer is the writer's word that it is durable.
    pub(super) fn send(
        &mut self,
        outcome: Outcome,
    ) -> Result<oneshot::Receiver<Result<i64, AuditError>>, AuditError> {
        let mut row = self.outcome.take().ok_or(AuditError::Unavailable)?;
        let mut detail = outcome.detail;
        if let Some(detail) = &mut detail {
            scrub_value(detail);
        }
        row.outcome = Some(outcome.code.to_owned());
        row.facts = json(&OutcomeFacts {
            duration_us: outcome.duration_us,
            upstream_requests: outcome.upstream_requests,
            upstream_status: outcome.upstream_status,
            bytes_in: outcome.bytes_in,
            bytes_out: outcome.bytes_out,
            result_digest: outcome.result_digest.as_deref(),
        });
        if self.account.is_some() || detail.is_some() {
            row.payload = chain::unsalted(json(&OutcomeBody {
                account: self.account.as_deref(),
                detail: detail.as_ref(),
            }));
        }
        let (written, durable) = oneshot::channel();
        let job = match std::mem::replace(&mut self.intent, Intent::Refused) {
            Intent::Durable(seq) => {
                row.completes = Some(seq);
                Job::outcome(row, written)
            }
            Intent::Queued(intent) => Job::outcome_of(row, written, intent),
            Intent::Refused => Job::outcome(row, written),
        };
        self.queue
            .try_send(job)
            .map_err(|_| AuditError::Unavailable)?;
        Ok(durable)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.outcome.is_some() {
            let unknown = Outcome {
                code: "unknown",
                ..Outcome::default()
            };
            // A full queue leaves the intent open; the job that closes stale ones finds it.
            drop(self.send(unknown));
        }
    }
}
