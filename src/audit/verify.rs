//! Walking a chain and saying where it is broken, if it is.

use super::chain::{self, GENESIS, VerifyingKey};
use super::{AuditLog, Checkpoint, ERASED};
use crate::clock::Timestamp;
use crate::ids::OrgId;
use crate::store::{AuditHead, AuditRow, Store, StoreError};

/// Events read at a time: enough to make the trips to the database unimportant, few enough to hold.
const PAGE: u32 = 2_000;

/// What was found to be whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events.
    pub events: u64,
    /// Checkpoints with a good signature, those from elsewhere included.
    pub checkpoints: u64,
    /// Checkpoints that nobody could check, because no key is known.
    pub unchecked_checkpoints: u64,
    /// Events after the last checkpoint. A chain that was cut off or computed anew behind a checkpoint looks whole
    /// unless a later checkpoint was kept elsewhere.
    pub unsigned_events: u64,
    /// Payloads that were erased, and of which the chain says so.
    pub erased_payloads: u64,
}

/// The first place where a chain is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log of {org} is broken at event {seq}: {reason}")]
pub struct Broken {
    /// Whose chain.
    pub org: OrgId,
    /// The event.
    pub seq: i64,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Why a log was not found to be whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It could not be read to the end.
    #[error("the audit log cannot be read")]
    Store(#[from] StoreError),
}

/// Follows one chain, event by event.
pub(super) struct Follower<'a> {
    pub(super) org: OrgId,
    keys: &'a [VerifyingKey],
    pub(super) seq: i64,
    pub(super) hash: [u8; 32],
    at: Timestamp,
    /// The last checkpoint and its time.
    checkpoint: (i64, Timestamp),
    /// The last event whose payload is gone, and up to where that was said to be so.
    gone: i64,
    erased: i64,
    buffer: Vec<u8>,
    pub(super) found: Verified,
}

impl<'a> Follower<'a> {
    pub(super) fn new(org: OrgId, keys: &'a [VerifyingKey]) -> Self {
        Self {
            org,
            keys,
            seq: 0,
            hash: GENESIS,
            at: Timestamp::from_micros(i64::MIN),
            checkpoint: (0, Timestamp::default()),
            gone: 0,
            erased: 0,
            buffer: Vec::new(),
            found: Verified::default(),
        }
    }

    pub(super) const fn broken(&self, seq: i64, reason: &'static str) -> Broken {
        Broken {
            org: self.org,
            seq,
            reason,
        }
    }

    /// Goes one event further.
    pub(super) fn event(&mut self, row: &AuditRow) -> Result<(), Broken> {
        if row.seq != self.seq + 1 {
            return Err(self.broken(self.seq + 1, "it is missing"));
        }
        if row.org_id != self.org {
            return Err(self.broken(row.seq, "it belongs to another organization"));
        }
        if chain::hash(&self.hash, row, &mut self.buffer) != row.hash {
            return Err(self.broken(
                row.seq,
                "it, or the link to the event before it, was changed",
            ));
        }
        if row.at < self.at {
            return Err(self.broken(row.seq, "it is older than the event before it"));
        }
        if row
            .completes
            .is_some_and(|intent| intent < 1 || intent >= row.seq)
        {
            return Err(self.broken(row.seq, "it completes an event that was not there yet"));
        }
        match (&row.payload, row.commitment) {
            (Some(payload), Some(commitment)) => {
                if chain::commitment(payload) != commitment {
                    return Err(self.broken(row.seq, "its payload was changed"));
                }
            }
            (Some(_), None) => return Err(self.broken(row.seq, "a payload was added to it")),
            (None, Some(_)) => {
                self.gone = row.seq;
                self.found.erased_payloads += 1;
            }
            (None, None) => {}
        }
        if row.kind == ERASED {
            self.erased = self
                .erased
                .max(erased_up_to(row).unwrap_or(0).min(row.seq - 1));
        }
        self.seq = row.seq;
        self.hash = row.hash;
        self.at = row.at;
        self.found.events += 1;
        self.found.unsigned_events += 1;
        Ok(())
    }

    /// Goes over a checkpoint about the event this is at.
    pub(super) fn checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        linked: bool,
    ) -> Result<(), Broken> {
        if checkpoint.seq != self.seq || checkpoint.hash != self.hash {
            return Err(self.broken(checkpoint.seq, "a checkpoint says that it was different"));
        }
        if linked {
            if checkpoint.previous_seq != self.checkpoint.0 {
                return Err(self.broken(
                    checkpoint.seq,
                    "the checkpoint before the one here is missing",
                ));
            }
            self.checkpoint = (checkpoint.seq, checkpoint.at);
        }
        if self.keys.is_empty() {
            self.found.unchecked_checkpoints += 1;
            return Ok(());
        }
        if !chain::is_signed(checkpoint, self.keys) {
            return Err(self.broken(
                checkpoint.seq,
                "the checkpoint here is not signed by a known key",
            ));
        }
        self.found.checkpoints += 1;
        self.found.unsigned_events = 0;
        Ok(())
    }

    /// At the end: every payload that is gone was said to be erased.
    fn erasures(&self) -> Result<(), Broken> {
        if self.gone > self.erased {
            return Err(self.broken(self.gone, "its payload is missing"));
        }
        Ok(())
    }
}

fn erased_up_to(row: &AuditRow) -> Option<i64> {
    let facts: serde_json::Value = serde_json::from_str(&row.facts).ok()?;
    facts.get("target")?.as_str()?.parse().ok()
}

/// The next page of events. What cannot even be read was changed, and the one event is found that cannot.
async fn page(store: &Store, follower: &Follower<'_>) -> Result<Vec<AuditRow>, VerifyError> {
    let org = follower.org;
    match store.audit_after(org, follower.seq, PAGE).await {
        Err(StoreError::Corrupt { .. } | StoreError::Driver(_)) => {}
        rows => return Ok(rows?),
    }
    let mut rows: Vec<AuditRow> = Vec::new();
    loop {
        let last = rows.last().map_or(follower.seq, |row| row.seq);
        match store.audit_after(org, last, 1).await {
            Ok(mut one) if !one.is_empty() => rows.append(&mut one),
            Err(StoreError::Corrupt { .. } | StoreError::Driver(_)) if rows.is_empty() => {
                return Err(follower.broken(last + 1, "it cannot be read").into());
            }
            Ok(_) | Err(StoreError::Corrupt { .. } | StoreError::Driver(_)) => return Ok(rows),
            Err(error) => return Err(error.into()),
        }
    }
}

impl AuditLog {
    /// Walks the chain of one organization, or of all, with the checkpoints in the database and those in `known`, which
    /// were kept elsewhere. `progress` hears how many events were read so far. Needs the same memory however long the
    /// log is, and does not stop anybody from writing to it.
    pub async fn verify(
        &self,
        org: Option<OrgId>,
        known: &[Checkpoint],
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Verified, VerifyError> {
        let heads = self.store.audit_heads().await?;
        let mut orgs = match org {
            Some(org) => vec![org],
            None => self.store.audit_organizations().await?,
        };
        orgs.extend(
            known
                .iter()
                .map(|known| known.org_id)
                .filter(|known| org.is_none_or(|org| org == *known)),
        );
        orgs.sort_unstable();
        orgs.dedup();
        let mut total = Verified::default();
        for org in orgs {
            let mut head = heads.iter().find(|head| head.org_id == org).cloned();
            if head.is_none() {
                if self.store.audit_after(org, 0, 1).await?.is_empty()
                    && !known.iter().any(|known| known.org_id == org)
                {
                    // Nothing was ever recorded of this organization.
                    continue;
                }
                // The first event may have come in just now.
                head = self.head(org).await?;
            }
            let Some(head) = head else {
                return Err(Broken {
                    org,
                    seq: 1,
                    reason: "the end of its chain is missing",
                }
                .into());
            };
            let found = self
                .verify_one(&head, known, &mut |events| progress(total.events + events))
                .await?;
            total.events += found.events;
            total.checkpoints += found.checkpoints;
            total.unchecked_checkpoints += found.unchecked_checkpoints;
            total.unsigned_events += found.unsigned_events;
            total.erased_payloads += found.erased_payloads;
        }
        Ok(total)
    }

    async fn head(&self, org: OrgId) -> Result<Option<AuditHead>, StoreError> {
        let heads = self.store.audit_heads().await?;
        Ok(heads.into_iter().find(|head| head.org_id == org))
    }

    async fn verify_one(
        &self,
        head: &AuditHead,
        known: &[Checkpoint],
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Verified, VerifyError> {
        let org = head.org_id;
        let mut known: Vec<&Checkpoint> =
            known.iter().filter(|known| known.org_id == org).collect();
        known.sort_by_key(|known| known.seq);
        let mut known = known.into_iter().peekable();
        let mut follower = Follower::new(org, &self.verifying);
        let mut stored = self
            .store
            .audit_checkpoints(org, 0, PAGE)
            .await?
            .into_iter()
            .peekable();
        loop {
            let rows = page(&self.store, &follower).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                follower.event(row)?;
                while let Some(checkpoint) = stored.next_if(|next| next.seq <= row.seq) {
                    follower.checkpoint(&checkpoint, true)?;
                    if stored.peek().is_none() {
                        let more = self
                            .store
                            .audit_checkpoints(org, checkpoint.seq, PAGE)
                            .await?;
                        stored = more.into_iter().peekable();
                    }
                }
                while let Some(checkpoint) = known.next_if(|next| next.seq <= row.seq) {
                    follower.checkpoint(checkpoint, false)?;
                }
                if row.seq == head.seq {
                    follower.end(head)?;
                }
            }
            progress(follower.found.events);
        }
        if follower.seq < head.seq || known.peek().is_some() {
            return Err(follower
                .broken(follower.seq + 1, "it is missing, and so is all after it")
                .into());
        }
        if head.seq < 1 {
            return Err(follower
                .broken(1, "the end of the chain was changed")
                .into());
        }
        follower.erasures()?;
        // The end is read last, so it is not before anything that was honestly there.
        let beyond = self.store.audit_checkpoints(org, follower.seq, 1).await?;
        let end = self.head(org).await?.map_or(0, |now| now.seq);
        if end < follower.seq {
            return Err(follower
                .broken(end + 1, "it lies beyond the end of the chain")
                .into());
        }
        if beyond.iter().any(|checkpoint| checkpoint.seq > end) {
            return Err(follower
                .broken(end + 1, "it is missing, and so is all after it")
                .into());
        }
        Ok(follower.found)
    }
}

impl Follower<'_> {
    /// Compares with what the database says is the end, at the event that it says is.
    fn end(&self, head: &AuditHead) -> Result<(), Broken> {
        if head.hash != self.hash || head.at != self.at {
            return Err(self.broken(head.seq, "the end of the chain was changed"));
        }
        if (head.checkpoint_seq, head.checkpoint_at) != self.checkpoint {
            return Err(self.broken(head.seq, "a checkpoint is missing"));
        }
        Ok(())
    }
}
