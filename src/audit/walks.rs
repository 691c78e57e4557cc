//! Verifying a chain in the background, started and watched from a page. The state is a row, so any replica can show it and
//! stop it; one verification of an organization runs at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Actor, AdminEvent, AuditError, AuditLog, VerifyError, Walk, WalkState};
use crate::caller::Caller;
use crate::ids::{CallId, OrgId};
use crate::store::StoreError;

/// How often it is noted how far a walk is, and whether it should stop.
const NOTED: Duration = Duration::from_millis(500);

/// After this without a sign the process that walked is gone.
const ALIVE: Duration = Duration::from_secs(30);

/// Walks that are shown.
const SHOWN: u32 = 10;

/// Whether a verification began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It did.
    Now,
    /// One is under way already.
    Already,
}

impl AuditLog {
    /// Starts to verify an organization's chain in the background. The work ends with the process; who starts it again
    /// begins anew.
    pub async fn start_verifying(&self, caller: &Caller) -> Result<Started, AuditError> {
        let org = caller.org;
        let now = self.clock.now();
        let id = CallId::new(now);
        let lease = lease(org);
        let owner = id.to_string();
        let until = now.plus(ALIVE);
        if !self.store.claim_lease(&lease, &owner, now, until).await? {
            return Ok(Started::Already);
        }
        let (_, total) = self.store.audit_counted(org).await?;
        let walk = Walk {
            id,
            purpose: "verify".to_owned(),
            user: caller.user,
            started_at: now,
            total,
            walked: 0,
            seen_at: now,
            state: WalkState::Running,
            seq: 0,
            words: String::new(),
        };
        let begun = async {
            self.note_walk(caller.into(), org, "audit.verify_started", "", &walk)
                .await?;
            self.store.start_audit_walk(org, &walk).await?;
            Ok(())
        };
        if let Err(error) = begun.await {
            self.store.release_lease(&lease, &owner).await?;
            return Err(error);
        }
        let (log, actor) = (self.clone(), Actor::from(caller));
        tokio::spawn(async move { log.verify_in_background(org, actor, walk).await });
        Ok(Started::Now)
    }

    async fn verify_in_background(self, org: OrgId, actor: Actor, mut walk: Walk) {
        let walked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&walked);
        let verify = self.verify(Some(org), &[], move |events| {
            counter.store(events, Ordering::Relaxed);
        });
        let events =
            |walked: &AtomicU64| i64::try_from(walked.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let verified = tokio::select! {
            verified = verify => Some(verified),
            () = self.watch(org, &walk, || events(&walked)) => None,
        };
        walk.walked = events(&walked);
        let outcome = match verified {
            Some(Ok(found)) => {
                walk.state = WalkState::Done;
                walk.walked = i64::try_from(found.events).unwrap_or(i64::MAX);
                walk.seq = walk.walked;
                "ok"
            }
            Some(Err(VerifyError::Broken(broken))) => {
                walk.state = WalkState::Broken;
                walk.seq = broken.seq;
                broken.reason.clone_into(&mut walk.words);
                tracing::error!(
                    seq = broken.seq,
                    reason = broken.reason,
                    "the audit log is broken"
                );
                "broken"
            }
            Some(Err(VerifyError::Store(error))) => {
                walk.state = WalkState::Failed;
                tracing::error!(error = %error, "the audit log cannot be verified");
                "failed"
            }
            None => {
                walk.state = WalkState::Stopped;
                "stopped"
            }
        };
        walk.seen_at = self.clock.now();
        if let Err(error) = self.store.end_audit_walk(org, &walk).await {
            tracing::warn!(error = %error, "how a verification ended cannot be noted");
        }
        if let Err(error) = self
            .note_walk(actor, org, "audit.verified", outcome, &walk)
            .await
        {
            tracing::error!(error = %error, "how a verification ended cannot be recorded");
        }
        let owner = walk.id.to_string();
        if let Err(error) = self.store.release_lease(&lease(org), &owner).await {
            tracing::warn!(error = %error, "the next verification has to wait half a minute");
        }
    }

    /// Notes how far the walk is until somebody wants it to stop.
    async fn watch(&self, org: OrgId, walk: &Walk, walked: impl Fn() -> i64) {
        let owner = walk.id.to_string();
        loop {
            tokio::time::sleep(NOTED).await;
            let now = self.clock.now();
            let seen = async {
                let until = now.plus(ALIVE);
                self.store
                    .claim_lease(&lease(org), &owner, now, until)
                    .await?;
                self.store.see_audit_walk(org, walk.id, walked(), now).await
            };
            match seen.await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = %error, "how far a verification is cannot be noted");
                }
            }
        }
    }

    async fn note_walk(
        &self,
        actor: Actor,
        org: OrgId,
        kind: &'static str,
        outcome: &'static str,
        walk: &Walk,
    ) -> Result<(), AuditError> {
        let mut detail = serde_json::json!({ "events": walk.walked });
        if walk.state == WalkState::Broken {
            detail["seq"] = walk.seq.into();
            detail["reason"] = walk.words.clone().into();
        }
        let event = AdminEvent {
            kind,
            target: walk.id.to_string().into(),
            outcome,
            detail,
            ..AdminEvent::default()
        };
        self.record(actor, org, event).await
    }

    /// The latest verifications, newest first.
    pub async fn verifications(&self, org: OrgId) -> Result<Vec<Walk>, AuditError> {
        Ok(self.store.audit_walks(org, true, SHOWN).await?)
    }

    /// The latest exports, newest first.
    pub async fn exports(&self, org: OrgId) -> Result<Vec<Walk>, AuditError> {
        Ok(self.store.audit_walks(org, false, SHOWN).await?)
    }

    /// Asks a verification to stop; false when it is not under way.
    pub async fn stop_walk(&self, org: OrgId, id: CallId) -> Result<bool, AuditError> {
        Ok(self.store.stop_audit_walk(org, id).await?)
    }

    /// Whether the process that walked is gone.
    pub fn is_lost(&self, walk: &Walk) -> bool {
        matches!(walk.state, WalkState::Running | WalkState::Stopping)
            && self.clock.now().since(walk.seen_at) > ALIVE
    }

    /// Forgets the walks of more than `kept` ago; what came of them stands in the log.
    pub async fn forget_walks(&self, kept: Duration) -> Result<u64, StoreError> {
        let before = self.clock.now().minus(kept);
        self.store.delete_audit_walks_before(before).await
    }
}

fn lease(org: OrgId) -> String {
    format!("audit.verify/{org}")
}
