//! The audit log: who did what through which account, refused and failed attempts included.
//!
//! A call is written down twice: its **intent** before anything happens, its **outcome** before the answer leaves
//! ([`AuditLog::begin`], [`Pending::durable`], [`AuditLog::finish`]). Everything else that an admin must be able to look
//! up is one [`AuditLog::record`]. If the log cannot be written, the caller gets [`AuditError::Unavailable`] and must not
//! go on; there is no switch that turns it off.
//!
//! One task writes: it takes all that is queued, links it to the organization's hash chain (`chain.rs`) and commits it in
//! one transaction, so a thousand waiting calls cost one sync of the disk. It does not linger: while one batch commits,
//! the next one gathers.
//!
//! What the chain proves, and against whom: a changed, removed or inserted event breaks it. Somebody who can write to the
//! database could recompute a whole chain, but not the signed checkpoints in it; and somebody who also cuts the end off,
//! checkpoints included, is found out by a checkpoint that was kept elsewhere ([`Signer::publish`]). Nobody is found out
//! who holds the database *and* the signing key, as long as no checkpoint is kept elsewhere.
//!
//! Not here: which arguments may be kept in the clear. `calls` decides that by the tool's definition and uses
//! [`AuditLog::digest`] for the others; [`scrub()`] is only the second net.

mod chain;
mod chart;
mod download;
mod export;
mod pending;
mod review;
mod scrub;
mod stale;
mod table;
mod verify;
mod walks;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

pub use chain::{VerifyingKey, link, unlinked};
pub use chart::{Bar, Chart, Served};
pub use download::{Download, Form};
pub use export::{Exporter, FileError, checkpoint_line, read_checkpoints, verify_file};
pub use pending::Pending;
pub use review::{Beyond, Found, Look, OpenError, Opened, Payload, Record};
pub use scrub::{scrub, scrub_value};
pub use verify::{Broken, Verified, VerifyError};
pub use walks::Started;
pub use writer::AuditWriter;

use crate::caller::{Caller, Client, Credential};
use crate::clock::{Clock, Timestamp};
use crate::ids::{CallId, ConnectionId, GrantId, OrgId, UserId};
pub use crate::store::AuditCheckpointRow as Checkpoint;
pub use crate::store::{
    AuditAccount as Account, AuditClass as Class, AuditCount as Count, AuditLine as Line,
    AuditOrder as Order, AuditSearch as Search, AuditView as View, AuditWalk as Walk,
    AuditWords as Words, DURATIONS_US, Like, WalkState,
};
use crate::store::{AuditJoined, AuditQuery, AuditRow, Store, StoreError};
use scrub::short;
use writer::Job;

/// How long anybody waits for the log before the call is refused or its result withheld.
const PATIENCE: Duration = Duration::from_secs(2);

/// Events that may wait for the writer; beyond that the log counts as unavailable.
const QUEUE: usize = 10_000;

/// The kind of the event that says up to where payloads were erased; its target is that number.
const ERASED: &str = "audit.redaction";

/// The log did not do what it must.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The event is not known to be written. Trying again later is right.
    #[error("the audit log is unavailable")]
    Unavailable,
    /// Reading it went wrong.
    #[error("the audit log cannot be read")]
    Store(#[from] StoreError),
}

/// What makes the log hard to forge.
pub struct AuditKeys {
    /// Keys the digests of arguments.
    pub hmac: [u8; 32],
    /// Signs checkpoints; without one there are none.
    pub signer: Option<Signer>,
}

/// Computes an Ed25519 signature (RFC 8032).
pub type Sign = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// Takes a checkpoint somewhere that the database's owner cannot reach, such as the process's output.
pub type Publish = Arc<dyn Fn(&Checkpoint) + Send + Sync>;

/// Signs where a chain stands.
#[derive(Clone)]
pub struct Signer {
    /// Its key, and what verifies it.
    pub key: VerifyingKey,
    /// Signs with that key.
    pub sign: Sign,
    /// Is told every checkpoint.
    pub publish: Publish,
    /// Keys that signed before.
    pub earlier: Vec<VerifyingKey>,
}

/// Which path an audited call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tool call.
    Tool,
    /// The reading of a context block.
    Block,
    /// The completion of a context block's address, which reads at the provider too.
    Completion,
}

impl Kind {
    const fn intent(self) -> &'static str {
        match self {
            Self::Tool => "tool.intent",
            Self::Block => "block.intent",
            Self::Completion => "completion.intent",
        }
    }

    const fn outcome(self) -> &'static str {
        match self {
            Self::Tool => "tool.outcome",
            Self::Block => "block.outcome",
            Self::Completion => "completion.outcome",
        }
    }
}

/// A value from which everything that must not be kept has been taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct Redacted(pub Value);

/// A call that is about to happen.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Its id.
    pub call: CallId,
    /// Which path.
    pub kind: Kind,
    /// Name of the tool or block, as called.
    pub tool: Cow<'a, str>,
    /// The integration's id.
    pub integration: Cow<'a, str>,
    /// The provider's id, when known.
    pub provider: Option<&'a str>,
    /// `read`, `write` or `destructive`.
    pub effect: &'static str,
    /// The conversation it belongs to.
    pub thread: Option<&'a str>,
    /// The connection, when known already; see [`Pending::connection`].
    pub connection: Option<ConnectionId>,
    /// The account's label, likewise.
    pub account: Option<&'a str>,
    /// The arguments.
    pub arguments: Redacted,
    /// [`AuditLog::digest`] of the whole arguments.
    pub arguments_digest: Option<&'a str>,
    /// Which catalogue of tools the caller saw.
    pub catalogue_digest: Option<&'a str>,
}

/// What became of a call.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// `ok`, or the code of what went wrong.
    pub code: &'static str,
    /// From the intent to the answer, in microseconds.
    pub duration_us: u64,
    /// Requests to the provider, retries included.
    pub upstream_requests: u32,
    /// HTTP status of the last of them.
    pub upstream_status: Option<u16>,
    /// Bytes received from the provider.
    pub bytes_in: u64,
    /// Bytes of the answer.
    pub bytes_out: u64,
    /// [`AuditLog::digest`] of the answer.
    pub result_digest: Option<String>,
    /// What else explains it; never bodies.
    pub detail: Option<Value>,
}

/// Who did something that is not a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The server itself, or whoever ran a command on its machine.
    System,
    /// A person.
    Person {
        /// Who.
        user: UserId,
        /// By which token or session, if by one.
        grant: Option<GrantId>,
    },
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self::Person {
            user: caller.user,
            grant: grant(caller.credential),
        }
    }
}

/// Something that is not a call: `connection.*`, `auth.*`, `key.*`, `admin.*`, `audit.*`.
#[derive(Clone, Debug, Default)]
pub struct AdminEvent<'a> {
    /// `connection.created`, `auth.denied`, …
    pub kind: &'static str,
    /// What it was done to, in words or as an id.
    pub target: Cow<'a, str>,
    /// The integration's id.
    pub integration: Option<&'a str>,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// `ok`, or the code of why not; empty is `ok`.
    pub outcome: &'static str,
    /// What changed; secrets only as the word `changed`.
    pub detail: Value,
}

/// Which entries to list; `None` does not ask.
#[derive(Clone, Debug, Default)]
pub struct Filter {
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
    /// Outcome code.
    pub outcome: Option<String>,
    /// Conversation.
    pub thread: Option<String>,
    /// Kind, such as `tool.outcome` or `connection.created`.
    pub kind: Option<String>,
    /// Completed then or later.
    pub since: Option<Timestamp>,
    /// Completed before then.
    pub until: Option<Timestamp>,
    /// Goes on after the entry with this number.
    pub after: Option<i64>,
    /// At most so many, and never more than 1,000; 0 is 100.
    pub limit: u32,
}

/// A call or another event as people look at it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its place in the chain.
    pub seq: i64,
    /// When it was completed.
    #[serde(serialize_with = "rfc3339")]
    pub at: Timestamp,
    /// `tool.outcome`, `connection.created`, …
    pub kind: String,
    /// The call.
    pub call: CallId,
    /// Who; `None` is the server itself.
    pub user: Option<UserId>,
    /// The integration's id.
    pub integration: Option<String>,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// The tool's or block's name.
    pub tool: Option<String>,
    /// `read`, `write` or `destructive`.
    pub effect: Option<String>,
    /// The conversation.
    pub thread: Option<String>,
    /// `ok`, or the code of what went wrong.
    pub outcome: String,
    /// What was measured, and through which client it came.
    pub facts: Value,
    /// The account's label and details of the outcome; null when erased.
    pub detail: Value,
    /// The recorded arguments; null when erased or there were none.
    pub arguments: Value,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is the serializer's"
)]
fn rfc3339<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}

/// The log; clones share one writer.
#[derive(Clone)]
pub struct AuditLog {
    store: Store,
    clock: Clock,
    queue: mpsc::Sender<Job>,
    digest_key: hmac::Key,
    verifying: Arc<[VerifyingKey]>,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").finish_non_exhaustive()
    }
}

/// What is kept of an intent for good.
#[derive(Serialize)]
struct IntentFacts<'a> {
    transport: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue_digest: Option<&'a str>,
}

/// What may be erased of an intent.
#[derive(Serialize)]
struct IntentBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    arguments: &'a Value,
}

#[derive(Serialize)]
struct AdminFacts<'a> {
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantId>,
}

const fn grant(credential: Credential) -> Option<GrantId> {
    match credential {
        Credential::Token(grant) | Credential::Session(grant) | Credential::Access(grant) => {
            Some(grant)
        }
        Credential::External(_) | Credential::Local => None,
    }
}

/// JSON text; these types always have one.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}

impl AuditLog {
    /// Starts the writer on a migrated database.
    pub async fn start(
        store: Store,
        clock: Clock,
        keys: AuditKeys,
    ) -> Result<(Self, AuditWriter), AuditError> {
        store.audit_heads().await?;
        let mut verifying = Vec::new();
        if let Some(signer) = &keys.signer {
            verifying.push(signer.key.clone());
            verifying.extend(signer.earlier.iter().cloned());
        }
        let (queue, jobs) = mpsc::channel(QUEUE);
        let log = Self {
            store: store.clone(),
            clock: clock.clone(),
            queue,
            digest_key: hmac::Key::new(hmac::HMAC_SHA256, &keys.hmac),
            verifying: verifying.into(),
        };
        let writer = AuditWriter::start(store, clock, &keys.hmac, keys.signer, jobs);
        Ok((log, writer))
    }

    /// Queues the intent of a call, at once. Dropping the answer unfinished records the outcome `unknown`.
    #[must_use = "an intent needs an outcome"]
    pub fn begin(&self, caller: &Caller, client: &Client, mut event: Event<'_>) -> Pending {
        let account = event.account.map(short);
        scrub_value(&mut event.arguments.0);
        let row = AuditRow {
            kind: event.kind.intent().to_owned(),
            call_id: event.call,
            user_id: Some(caller.user),
            integration: Some(short(&event.integration).into_owned()),
            connection_id: event.connection,
            tool: Some(short(&event.tool).into_owned()),
            effect: Some(event.effect.to_owned()),
            thread: event.thread.map(|thread| short(thread).into_owned()),
            facts: json(&IntentFacts {
                transport: client.transport,
                protocol: &short(&client.protocol),
                client: &short(&client.name),
                grant: grant(caller.credential),
                provider: event.provider,
                arguments_digest: event.arguments_digest,
                catalogue_digest: event.catalogue_digest,
            }),
            payload: chain::unsalted(json(&IntentBody {
                account: account.as_deref(),
                arguments: &event.arguments.0,
            })),
            ..chain::unlinked(caller.org, event.call)
        };
        let outcome = AuditRow {
            kind: event.kind.outcome().to_owned(),
            facts: String::new(),
            payload: None,
            ..row.clone()
        };
        let (written, intent) = oneshot::channel();
        let queued = self.queue.try_send(Job::intent(row, written)).is_ok();
        Pending::new(
            self.queue.clone(),
            queued.then_some(intent),
            outcome,
            event.effect == "read",
        )
    }

    /// Records what became of a call. A write returns when that is durable; a read when its *intent* is, because its
    /// outcome may follow in the next batch. An error means that the answer must be withheld.
    pub async fn finish(&self, mut pending: Pending, outcome: Outcome) -> Result<(), AuditError> {
        let intent = pending.durable().await;
        let written = pending.send(outcome);
        intent?;
        let written = written?;
        if pending.is_read() {
            return Ok(());
        }
        wait(written).await.map(drop)
    }

    /// Records something that is not a call; returns when it is durable.
    pub async fn record(
        &self,
        actor: impl Into<Actor>,
        org: OrgId,
        event: AdminEvent<'_>,
    ) -> Result<(), AuditError> {
        let (user, grant) = match actor.into() {
            Actor::System => (None, None),
            Actor::Person { user, grant } => (Some(user), grant),
        };
        let AdminEvent {
            kind,
            target,
            integration,
            connection,
            outcome,
            mut detail,
        } = event;
        scrub_value(&mut detail);
        let row = AuditRow {
            kind: kind.to_owned(),
            user_id: user,
            integration: integration.map(|integration| short(integration).into_owned()),
            connection_id: connection,
            outcome: Some(if outcome.is_empty() { "ok" } else { outcome }.to_owned()),
            facts: json(&AdminFacts {
                target: &short(&target),
                grant,
            }),
            payload: if detail.is_null() {
                None
            } else {
                chain::unsalted(json(&serde_json::json!({ "detail": detail })))
            },
            ..chain::unlinked(org, CallId::new(self.clock.now()))
        };
        let (written, durable) = oneshot::channel();
        self.queue
            .try_send(Job::intent(row, written))
            .map_err(|_| AuditError::Unavailable)?;
        wait(durable).await.map(drop)
    }

    /// What is recorded of a value that must not be kept: equal values of one organization have equal digests, so an
    /// admin who knows a value can look for it. `hmac:<32 hex digits>:<length in bytes>`.
    pub fn digest(&self, org: OrgId, value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.digest_key);
        context.update(b"audit-digest/v1");
        context.update(org.uuid().as_bytes());
        context.update(value.as_bytes());
        let tag = context.sign();
        let half = tag.as_ref().split_at(16).0;
        format!("hmac:{}:{}", chain::hex(half), value.len())
    }

    /// The completed entries, newest first.
    pub async fn list(&self, org: OrgId, filter: &Filter) -> Result<Vec<Entry>, AuditError> {
        let query = self.query(org, filter).await?;
        let limit = match filter.limit {
            0 => 100,
            limit => limit.min(1_000),
        };
        let rows = self.store.audit_completed(org, &query, limit).await?;
        Ok(rows.into_iter().map(entry).collect())
    }

    async fn query(&self, org: OrgId, filter: &Filter) -> Result<AuditQuery, StoreError> {
        let mut below = filter.after.unwrap_or(i64::MAX);
        if let Some(until) = filter.until {
            below = below.min(self.store.audit_seq_before(org, until).await? + 1);
        }
        Ok(AuditQuery {
            user: filter.user,
            integration: filter.integration.clone(),
            connection: filter.connection,
            tool: filter.tool.clone(),
            effect: filter.effect.clone(),
            outcome: filter.outcome.clone(),
            thread: filter.thread.clone(),
            kind: filter.kind.clone(),
            above: match filter.since {
                Some(since) => self.store.audit_seq_before(org, since).await?,
                None => 0,
            },
            below,
        })
    }
}

/// Waits for the writer's word, not for ever.
async fn wait(written: oneshot::Receiver<Result<i64, AuditError>>) -> Result<i64, AuditError> {
    match tokio::time::timeout(PATIENCE, written).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) | Err(_) => Err(AuditError::Unavailable),
    }
}

fn entry(joined: AuditJoined) -> Entry {
    let object = |text: Option<&str>| -> Value {
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    };
    let AuditJoined {
        row,
        intent_facts,
        intent_body,
        ..
    } = joined;
    let mut facts = object(intent_facts.as_deref());
    merge(&mut facts, object(Some(&row.facts)));
    let mut detail = object(row.payload.as_ref().map(|payload| payload.body.as_str()));
    let mut arguments = Value::Null;
    if let Value::Object(mut intent) = object(intent_body.as_deref()) {
        arguments = intent.remove("arguments").unwrap_or_default();
        let mut both = Value::Object(intent);
        merge(&mut both, detail);
        detail = both;
    }
    Entry {
        seq: row.seq,
        at: row.at,
        kind: row.kind,
        call: row.call_id,
        user: row.user_id,
        integration: row.integration,
        connection: row.connection_id,
        tool: row.tool,
        effect: row.effect,
        thread: row.thread,
        outcome: row.outcome.unwrap_or_default(),
        facts,
        detail,
        arguments,
    }
}

/// Lays the members of `over` over those of `under`.
fn merge(under: &mut Value, over: Value) {
    match (under.as_object_mut(), over) {
        (Some(under), Value::Object(over)) => under.extend(over),
        (None, over) => *under = over,
        (Some(_), _) => {}
    }
}
