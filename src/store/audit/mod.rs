//! The rows of the audit log. What they mean and how they are chained is in `crate::audit`; here they are appended in one
//! transaction per batch (`append.rs`) and read in the two orders that there are (`read.rs`). Pages look through them by
//! stretches (`search.rs`), at single things (`lookup.rs`) and at counts by the hour (`counts.rs`); what people name and start there is in `views.rs` and
//! `walks.rs`.

mod append;
mod counts;
mod filter;
mod lookup;
mod read;
mod search;
mod views;
mod walks;

use sqlx::FromRow;
use uuid::Uuid;

pub use counts::{AuditClass, AuditCount, AuditCounted, DURATIONS_US};
pub use filter::{AuditLine, AuditOrder, AuditSearch, AuditStretch, AuditWords, Like};
pub use lookup::AuditAccount;
pub use views::AuditView;
pub use walks::{AuditWalk, WalkState};

use super::StoreError;
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
