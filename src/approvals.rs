//! A human's yes to exactly one call. When policy says *ask*, the call is stopped and a question is written down; the call
//! repeated after a yes goes through, once.
//!
//! A yes is bound to person, tool, connection and the exact arguments by a keyed digest, so a client carries nothing: it
//! repeats the call, on whichever replica, after whatever restart. Another person's call, other arguments, a second use
//! and a use after the end have no row to find; they are asked about anew.
//!
//! | State | Leads to |
//! |---|---|
//! | waiting | approved, denied (by whom [`Approver`] names), expired |
//! | approved | used, by the statement that finds it; expired |
//! | used | approved, when the call changed nothing and gives it back |
//! | denied | the same call is refused until the question's end, then it may be asked again |
//!
//! Not here: whether a call needs a yes (`policy`), what the person is shown (`web`), and the call itself (`calls`).

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use crate::audit::{AdminEvent, AuditError, AuditLog};
pub use crate::caller::Approver;
use crate::caller::{Caller, Role};
use crate::changes::Changes;
use crate::clock::{Clock, Timestamp};
use crate::ids::{ApprovalId, CallId, ConnectionId};
pub use crate::store::{ApprovalRow, ApprovalState};
use crate::store::{Asked, Store, StoreError};
use crate::vault::{Mac, Place, Vault, VaultError};

/// How long a question can be answered and its answer used.
const LIFE: Duration = Duration::from_hours(1);
/// Open questions of one person.
const MOST: u32 = 50;
/// How many past questions are shown.
const PAST: u32 = 30;
/// How long a question is kept after its end.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The yes could not be looked for, asked for or given.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The database failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The log could not take it.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The arguments could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Why somebody's decision does not count.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such question in this organization.
    #[error("there is no such question")]
    Unknown,
    /// Somebody else was asked.
    #[error("somebody else was asked")]
    NotYours,
    /// It was decided before, or its time is over.
    #[error("it is {} already", .0.as_str())]
    Over(ApprovalState),
    /// The call is no longer allowed, whatever anybody says.
    #[error("the call is no longer allowed: {0}")]
    NoLongerAllowed(String),
    /// Something failed.
    #[error(transparent)]
    Failed(#[from] ApprovalError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// A call that needs a yes.
pub struct Question<'a> {
    /// The call.
    pub call: CallId,
    /// The tool.
    pub tool: &'a str,
    /// The integration's id.
    pub integration: &'a str,
    /// Through which connection; `None` where the integration is open to everyone.
    pub connection: Option<ConnectionId>,
    /// What people call that account.
    pub account: &'a str,
    /// The tool's own arguments.
    pub arguments: &'a Map<String, Value>,
    /// The same in a form that does not depend on the order they were written in.
    pub exact: &'a str,
    /// Which rule asks.
    pub why: &'a str,
    /// Who may say yes.
    pub approver: Approver,
    /// The client that asks.
    pub client: &'a str,
    /// The conversation it asks in.
    pub thread: Option<&'a str>,
}

/// Whether a call may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may; the yes is used now.
    Yes(ApprovalId),
    /// Nobody said anything yet.
    Waiting(ApprovalId),
    /// Somebody said no.
    No,
    /// Too many questions of this person are open.
    TooMany,
}

/// Questions and answers. Cheap to clone.
#[derive(Clone)]
pub struct Approvals {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    vault: Vault,
    audit: AuditLog,
    changes: Changes,
    digests: Mac,
}

/// What [`Approvals::new`] is made of.
pub struct Parts {
    /// Rows.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Seals arguments.
    pub vault: Vault,
    /// The log.
    pub audit: AuditLog,
    /// Tells whoever waits.
    pub changes: Changes,
    /// Makes the digests that a yes is bound to.
    pub digests: Mac,
}

impl Approvals {
    /// Approvals over these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                vault: parts.vault,
                audit: parts.audit,
                changes: parts.changes,
                digests: parts.digests,
            }),
        }
    }

    /// Uses the yes to exactly this call, or asks for one.
    pub async fn answer(
        &self,
        caller: &Caller,
        question: &Question<'_>,
    ) -> Result<Answer, ApprovalError> {
        let inner = &*self.inner;
        let digest = self.digest(caller, question);
        // A second round only when a yes came between the two statements.
        for _ in 0..3 {
            let now = inner.clock.now();
            if let Some(row) = inner
                .store
                .use_approval(caller.user, &digest, question.call, now)
                .await?
            {
                let used = self.record(
                    caller,
                    "approval.used",
                    "",
                    &row,
                    json!({ "call": question.call }),
                );
                if let Err(error) = used.await {
                    inner
                        .store
                        .return_approval(row.id, question.call, now)
                        .await?;
                    return Err(error.into());
                }
                return Ok(Answer::Yes(row.id));
            }
            let row = self.row(caller, question, &digest, now)?;
            match inner.store.ask_approval(&row, now, MOST).await? {
                Asked::New => {
                    let detail = json!({
                        "call": question.call,
                        "why": question.why,
                        "approver": question.approver.as_str(),
                        "expires_at": row.expires_at.rfc3339(),
                    });
                    let asked = self.record(caller, "approval.asked", "", &row, detail);
                    if let Err(error) = asked.await {
                        inner.store.unask_approval(row.id).await?;
                        return Err(error.into());
                    }
                    return Ok(Answer::Waiting(row.id));
                }
                Asked::Before(before) => match before.state {
                    ApprovalState::Waiting => return Ok(Answer::Waiting(before.id)),
                    ApprovalState::Denied => return Ok(Answer::No),
                    ApprovalState::Approved | ApprovalState::Used | ApprovalState::Expired => {}
                },
                Asked::TooMany => return Ok(Answer::TooMany),
            }
        }
        Err(StoreError::Unavailable.into())
    }

    /// Gives a yes back that `call` took and did nothing with; false when it cannot be used any more.
    pub async fn give_back(
        &self,
        caller: &Caller,
        id: ApprovalId,
        call: CallId,
    ) -> Result<bool, ApprovalError> {
        let now = self.inner.clock.now();
        if !self.inner.store.return_approval(id, call, now).await? {
            return Ok(false);
        }
        if let Some(row) = self.inner.store.approval(id).await? {
            self.record(
                caller,
                "approval.returned",
                "",
                &row,
                json!({ "call": call }),
            )
            .await?;
        }
        Ok(true)
    }

    /// A question as this person may see it: their own, or one that wants an admin when they are one.
    pub async fn look(&self, caller: &Caller, id: ApprovalId) -> Result<ApprovalRow, Refused> {
        let row = self.inner.store.approval(id).await?;
        let row = row
            .filter(|row| row.org_id == caller.org)
            .ok_or(Refused::Unknown)?;
        if row.user_id == caller.user || may_decide(caller, &row) {
            return Ok(row);
        }
        self.refused(caller, &row, "not_yours").await?;
        Err(Refused::NotYours)
    }

    /// Says yes or no. Whether the call is allowed at all is the caller's to check.
    pub async fn decide(
        &self,
        caller: &Caller,
        id: ApprovalId,
        yes: bool,
    ) -> Result<ApprovalRow, Refused> {
        let inner = &*self.inner;
        let row = self.look(caller, id).await?;
        if !may_decide(caller, &row) {
            self.refused(caller, &row, "not_yours").await?;
            return Err(Refused::NotYours);
        }
        let now = inner.clock.now();
        let state = row.state_at(now);
        if state != ApprovalState::Waiting {
            self.refused(caller, &row, state.as_str()).await?;
            return Err(Refused::Over(state));
        }
        // First in the log: there is no yes that the log does not know.
        let kind = if yes {
            "approval.approved"
        } else {
            "approval.denied"
        };
        self.record(caller, kind, "", &row, json!({ "asked_by": row.user_id }))
            .await
            .map_err(ApprovalError::from)?;
        let decided = inner
            .store
            .decide_approval(id, yes, caller.user, now)
            .await?;
        if let Some(row) = decided {
            inner.changes.nudge();
            return Ok(row);
        }
        // Somebody else was quicker.
        let row = inner.store.approval(id).await?.unwrap_or(row);
        let state = row.state_at(inner.clock.now());
        self.refused(caller, &row, state.as_str()).await?;
        Err(Refused::Over(state))
    }

    /// Records that a decision does not count because the call is no longer allowed.
    pub async fn not_allowed(
        &self,
        caller: &Caller,
        row: &ApprovalRow,
    ) -> Result<(), ApprovalError> {
        self.refused(caller, row, "blocked_by_policy").await
    }

    /// Records that somebody has the dry run of another person's call made, with that person's account.
    pub async fn previewed(&self, caller: &Caller, row: &ApprovalRow) -> Result<(), AuditError> {
        let detail = json!({ "asked_by": row.user_id });
        self.record(caller, "approval.previewed", "ok", row, detail)
            .await
    }

    /// What waits for this person, and what they asked or decided lately.
    pub async fn inbox(
        &self,
        caller: &Caller,
    ) -> Result<(Vec<ApprovalRow>, Vec<ApprovalRow>), StoreError> {
        let now = self.inner.clock.now();
        let store = &self.inner.store;
        let admin = caller.role == Role::Admin;
        let waiting = store
            .approvals_waiting(caller.org, caller.user, admin, now)
            .await?;
        let past = store.approvals_past(caller.user, now, PAST).await?;
        Ok((waiting, past))
    }

    /// Whether the question still waits.
    pub async fn is_waiting(&self, id: ApprovalId) -> Result<bool, StoreError> {
        let now = self.inner.clock.now();
        let row = self.inner.store.approval(id).await?;
        Ok(row.is_some_and(|row| row.state_at(now) == ApprovalState::Waiting))
    }

    /// The arguments; `None` once they are erased.
    pub fn arguments(
        &self,
        row: &ApprovalRow,
    ) -> Result<Option<Map<String, Value>>, ApprovalError> {
        let Some(sealed) = &row.sealed else {
            return Ok(None);
        };
        let text = self.inner.vault.open(&place(row), sealed)?;
        serde_json::from_str(text.expose_secret())
            .map(Some)
            .map_err(|_| {
                StoreError::Corrupt {
                    table: "approvals",
                    column: "sealed",
                    id: row.id.to_string(),
                }
                .into()
            })
    }

    /// Ends what has expired and forgets what is old. A job calls it now and then.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.inner.clock.now();
        self.inner.store.expire_approvals(now).await?;
        self.inner
            .store
            .delete_approvals_before(now.minus(KEPT))
            .await?;
        Ok(())
    }

    /// What a yes is bound to. With a new key, open questions are asked anew.
    fn digest(&self, caller: &Caller, question: &Question<'_>) -> String {
        let context: [&[u8]; 6] = [
            b"approval",
            caller.org.bytes(),
            caller.user.bytes(),
            question.tool.as_bytes(),
            question
                .connection
                .as_ref()
                .map_or(&[], ConnectionId::bytes),
            question.exact.as_bytes(),
        ];
        self.inner.digests.sign(&context, "")
    }

    fn row(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        digest: &str,
        now: Timestamp,
    ) -> Result<ApprovalRow, VaultError> {
        let mut row = ApprovalRow {
            id: ApprovalId::new(now),
            org_id: caller.org,
            user_id: caller.user,
            approver: question.approver,
            tool: question.tool.to_owned(),
            integration: question.integration.to_owned(),
            connection_id: question.connection,
            account: question.account.to_owned(),
            digest: digest.to_owned(),
            sealed: None,
            why: question.why.to_owned(),
            scopes: caller.scopes.to_string(),
            client: question.client.to_owned(),
            thread: question.thread.map(ToOwned::to_owned),
            call_id: question.call,
            created_at: now,
            expires_at: now.plus(LIFE),
            state: ApprovalState::Waiting,
            decided_by: None,
            decided_at: None,
            used_by: None,
        };
        let text = SecretString::from(json!(question.arguments).to_string());
        row.sealed = Some(self.inner.vault.seal(&place(&row), &text)?);
        Ok(row)
    }

    async fn refused(
        &self,
        caller: &Caller,
        row: &ApprovalRow,
        why: &'static str,
    ) -> Result<(), ApprovalError> {
        let detail = json!({ "asked_by": row.user_id });
        self.record(caller, "approval.refused", why, row, detail)
            .await?;
        Ok(())
    }

    async fn record(
        &self,
        caller: &Caller,
        kind: &'static str,
        outcome: &'static str,
        row: &ApprovalRow,
        mut detail: Value,
    ) -> Result<(), AuditError> {
        detail["tool"] = json!(row.tool);
        let event = AdminEvent {
            kind,
            target: row.id.to_string().into(),
            integration: Some(&row.integration),
            connection: row.connection_id,
            outcome,
            detail,
        };
        self.inner.audit.record(caller, caller.org, event).await
    }
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approvals").finish_non_exhaustive()
    }
}

/// Whether this person is the one who is asked.
pub fn may_decide(caller: &Caller, row: &ApprovalRow) -> bool {
    caller.org == row.org_id
        && match row.approver {
            Approver::Person => caller.user == row.user_id,
            Approver::Admin => caller.role == Role::Admin,
        }
}

fn place(row: &ApprovalRow) -> Place<'_> {
    Place {
        table: "approvals",
        column: "sealed",
        org: row.org_id,
        user: Some(row.user_id),
        row: row.id.bytes(),
        // Not a provider's secret, but a tool's arguments.
        provider: &row.tool,
        version: 1,
    }
}
