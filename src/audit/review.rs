//! Looking through the log: a page of what fits, one record in full, and opening what only auditors may see.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::chain::{self, GENESIS};
use super::{
    Account, Actor, AdminEvent, AuditError, AuditLog, Checkpoint, Entry, Filter, Line, Order,
    Search, View,
};
use crate::caller::{Caller, Role};
use crate::clock::Timestamp;
use crate::ids::{ApprovalId, CallId, OrgId, UserId};
use crate::store::{AuditRow, StoreError, UserRow};

/// How long a page looks for what fits before it shows what it has and offers to go on.
const PATIENCE: Duration = Duration::from_millis(40);

/// Rows that a stretch looks at, at least and at most.
const STRETCH: (u32, u32) = (500, 8_000);

/// Lines that a stretch answers at most, so that patience is looked at in between.
const LINES: u32 = 750;

/// How many events after a call began its intent is looked for, when the call has not ended.
const NEAR: i64 = 20_000;

/// Views that one person may have.
const MAX_VIEWS: i64 = 50;

/// What to look for, and where from.
#[derive(Clone, Debug)]
pub struct Look {
    /// What fits; its range is set by the other fields.
    pub search: Search,
    /// Completed then or later.
    pub since: Option<Timestamp>,
    /// Completed before then.
    pub until: Option<Timestamp>,
    /// Beyond this event, in the order asked for.
    pub beyond: Option<i64>,
    /// In which order.
    pub order: Order,
    /// At most so many.
    pub limit: u32,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// In the order asked for.
    pub lines: Vec<Line>,
    /// What there is beyond them.
    pub beyond: Beyond,
}

/// What there is beyond the last line of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing more fits.
    Nothing,
    /// More fits, beyond this event.
    More(i64),
    /// It was searched up to this event, appended then, and not further.
    Searched(i64, Timestamp),
}

/// What became of the part of an event that only auditors may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// There was none.
    None,
    /// It is there.
    Kept,
    /// It was erased.
    Erased,
}

impl Payload {
    fn of(row: &AuditRow) -> Self {
        match (&row.payload, row.commitment) {
            (Some(_), _) => Self::Kept,
            (None, Some(_)) => Self::Erased,
            (None, None) => Self::None,
        }
    }
}

/// One event in full, without what only auditors may see.
#[derive(Clone, Debug)]
pub struct Record {
    /// The completed event; the intent itself while there is no outcome. Its payload is taken out.
    pub row: AuditRow,
    /// The intent that it completes. Its payload is taken out too.
    pub intent: Option<AuditRow>,
    /// The hash before the event.
    pub previous: [u8; 32],
    /// Whether the event's own hash follows from its columns and the hash before it.
    pub holds: bool,
    /// The signed statement that covers the event, if there is one yet.
    pub checkpoint: Option<Checkpoint>,
    /// Of the arguments.
    pub arguments: Payload,
    /// Of the details of the outcome.
    pub detail: Payload,
    /// The yes that the call took.
    pub approval: Option<ApprovalId>,
    /// The earlier call whose answer this one repeated, because both had the same idempotency key.
    pub replayed: Option<CallId>,
    /// Records in the answer.
    pub items: Option<i64>,
    /// Other outcomes of the same call, which there are when it ended after it was closed as `unknown`.
    pub others: Vec<i64>,
}

/// What only auditors see.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The recorded arguments; null when there are none.
    pub arguments: Value,
    /// The account and details of the outcome; null when there are none.
    pub detail: Value,
}

/// Why recorded arguments are not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an auditor.
    #[error("only auditors may open recorded arguments and results")]
    Refused,
    /// There is no such record.
    #[error("there is no such record")]
    Missing,
    /// It cannot be recorded that somebody opens it, or not be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Audit(error.into())
    }
}

impl AuditLog {
    /// The present instant by the log's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The places between which a range of time lies, both left out.
    pub(super) async fn range(
        &self,
        org: OrgId,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<(i64, i64), StoreError> {
        let above = match since {
            Some(since) => self.store.audit_seq_before(org, since).await?,
            None => 0,
        };
        let below = match until {
            Some(until) => self.store.audit_seq_before(org, until).await? + 1,
            None => i64::MAX,
        };
        Ok((above, below))
    }

    /// What fits, as far as it is found in a moment.
    pub async fn look(&self, org: OrgId, look: &Look) -> Result<Found, AuditError> {
        let (above, below) = self.range(org, look.since, look.until).await?;
        let mut search = Search {
            above,
            below,
            ..look.search.clone()
        };
        if let Some(seq) = look.beyond {
            match look.order {
                Order::Down => search.below = search.below.min(seq),
                Order::Up => search.above = search.above.max(seq),
            }
        }
        Ok(self
            .search(org, search, look.order, look.limit, PATIENCE)
            .await?)
    }

    /// Looks at one stretch after the other.
    pub(super) async fn search(
        &self,
        org: OrgId,
        mut search: Search,
        order: Order,
        limit: u32,
        patience: Duration,
    ) -> Result<Found, StoreError> {
        let started = Instant::now();
        let mut lines: Vec<Line> = Vec::new();
        let (least, most) = STRETCH;
        let mut rows = least;
        let mut reached = None;
        while search.above < search.below {
            let begun = Instant::now();
            let missing = limit.saturating_sub(u32::try_from(lines.len()).unwrap_or(u32::MAX));
            // One more than is shown says whether there is more.
            let mut stretch = self
                .store
                .audit_stretch(org, &search, order, rows, (missing + 1).min(LINES))
                .await?;
            lines.append(&mut stretch.lines);
            reached = stretch.reached;
            let Some(seq) = reached else { break };
            let left = patience.saturating_sub(started.elapsed());
            if lines.len() > limit as usize || left.is_zero() {
                break;
            }
            match order {
                Order::Down => search.below = seq,
                Order::Up => search.above = seq,
            }
            // As many rows as the time that is left allows at the pace of the last ones.
            let micros = begun.elapsed().as_micros().max(1);
            let fitting = u128::from(rows) * left.as_micros() / micros;
            rows = u32::try_from(fitting)
                .unwrap_or(most)
                .min(rows * 4)
                .clamp(least, most);
        }
        let beyond = if lines.len() > limit as usize {
            lines.truncate(limit as usize);
            lines
                .last()
                .map_or(Beyond::Nothing, |line| Beyond::More(line.seq))
        } else {
            match reached {
                None => Beyond::Nothing,
                Some(seq) => {
                    let at = self.store.audit_at(org, seq).await?;
                    Beyond::Searched(seq, at.unwrap_or_default())
                }
            }
        };
        Ok(Found { lines, beyond })
    }

    /// The event at a place of the chain.
    async fn event(&self, org: OrgId, seq: i64) -> Result<Option<AuditRow>, StoreError> {
        let mut found = self.store.audit_after(org, seq - 1, 1).await?;
        Ok(found.pop().filter(|row| row.seq == seq))
    }

    /// The event of a call, with its intent, payloads included; and other outcomes of it.
    async fn of_call(
        &self,
        org: OrgId,
        call: CallId,
    ) -> Result<Option<(AuditRow, Option<AuditRow>, Vec<i64>)>, StoreError> {
        let mut seqs = self.store.audit_call(org, call).await?;
        let seq = if let Some(seq) = seqs.pop() {
            seq
        } else {
            // The id says when the call began.
            let near = began(call).minus(Duration::from_mins(1));
            let above = self.store.audit_seq_before(org, near).await?;
            let intent = self.store.audit_intent(org, call, above, NEAR).await?;
            let Some(seq) = intent else { return Ok(None) };
            seq
        };
        let Some(row) = self.event(org, seq).await? else {
            return Ok(None);
        };
        let intent = match row.completes {
            Some(seq) => self.event(org, seq).await?,
            None => None,
        };
        Ok(Some((row, intent, seqs)))
    }

    /// The completed call with this id, when it is this person's.
    pub async fn call_of(
        &self,
        org: OrgId,
        user: UserId,
        call: CallId,
    ) -> Result<Option<Entry>, AuditError> {
        let Some(seq) = self.store.audit_call(org, call).await?.pop() else {
            return Ok(None);
        };
        let filter = Filter {
            user: Some(user),
            after: Some(seq + 1),
            limit: 1,
            ..Filter::default()
        };
        let found = self.list(org, &filter).await?.pop();
        Ok(found.filter(|entry| entry.call == call && entry.tool.is_some()))
    }

    /// Everything that is recorded of a call or another event, except what only auditors may see.
    pub async fn read(&self, org: OrgId, call: CallId) -> Result<Option<Record>, AuditError> {
        let Some((mut row, mut intent, others)) = self.of_call(org, call).await? else {
            return Ok(None);
        };
        let previous = match row.seq {
            1 => GENESIS,
            seq => self
                .event(org, seq - 1)
                .await?
                .map_or(GENESIS, |row| row.hash),
        };
        let checkpoint = self.store.audit_checkpoints(org, row.seq - 1, 1).await?;
        let is_call = row.tool.is_some();
        let detail = parsed(row.payload.as_ref().map(|payload| payload.body.as_str()));
        // Of a call's outcome this is nothing that anybody wrote.
        let of_outcome = |name: &str| {
            if is_call {
                detail["detail"][name].clone()
            } else {
                Value::Null
            }
        };
        let text = |name| of_outcome(name).as_str().map(str::to_owned);
        let record = Record {
            previous,
            holds: chain::hash(&previous, &row, &mut Vec::new()) == row.hash,
            checkpoint: checkpoint.into_iter().next(),
            arguments: intent.as_ref().map_or(Payload::None, Payload::of),
            detail: Payload::of(&row),
            approval: text("approval").and_then(|id| id.parse().ok()),
            replayed: text("replayed").and_then(|id| id.parse().ok()),
            items: of_outcome("items").as_i64(),
            others,
            row: {
                row.payload = None;
                row
            },
            intent: intent.take().map(|mut intent| {
                intent.payload = None;
                intent
            }),
        };
        Ok(Some(record))
    }

    /// Opens what only auditors may see. That somebody does is durable before they see it; that somebody was refused is
    /// recorded too.
    pub async fn open(&self, caller: &Caller, call: CallId) -> Result<Opened, OpenError> {
        let refused = caller.role != Role::Auditor;
        let found = self.of_call(caller.org, call).await?;
        if found.is_none() && !refused {
            return Err(OpenError::Missing);
        }
        let event = AdminEvent {
            kind: "audit.opened",
            target: call.to_string().into(),
            outcome: if refused { "refused" } else { "ok" },
            ..AdminEvent::default()
        };
        self.record(caller, caller.org, event).await?;
        let Some((row, intent, _)) = found.filter(|_| !refused) else {
            return Err(OpenError::Refused);
        };
        let body = |row: &AuditRow| parsed(row.payload.as_ref().map(|payload| &*payload.body));
        // Without an outcome the row is the intent.
        let begun = intent.as_ref().unwrap_or(&row);
        Ok(Opened {
            arguments: body(begun)
                .as_object_mut()
                .and_then(|all| all.remove("arguments"))
                .unwrap_or_default(),
            detail: if row.outcome.is_some() {
                body(&row)
            } else {
                Value::Null
            },
        })
    }

    /// Who called in a conversation, those with the most calls first, and how many of its newest ten thousand.
    pub async fn thread_people(
        &self,
        org: OrgId,
        thread: &str,
    ) -> Result<Vec<(UserId, i64)>, AuditError> {
        Ok(self.store.audit_thread_users(org, thread, 10_000).await?)
    }

    /// Everybody whom an event may be about, removed people included.
    pub async fn people(&self, org: OrgId) -> Result<Vec<UserRow>, AuditError> {
        Ok(self.store.users(org).await?)
    }

    /// Every account that an event may be about and that is still connected.
    pub async fn accounts(&self, org: OrgId) -> Result<Vec<Account>, AuditError> {
        Ok(self.store.audit_accounts(org).await?)
    }

    /// A person's views, and those that others share with them.
    pub async fn views(&self, caller: &Caller) -> Result<Vec<View>, AuditError> {
        Ok(self.store.audit_views(caller.org, caller.user).await?)
    }

    /// Saves a view over the one of this name; false when the person has too many.
    pub async fn save_view(
        &self,
        caller: &Caller,
        name: &str,
        query: &str,
        shared: bool,
    ) -> Result<bool, AuditError> {
        let view = View {
            user: caller.user,
            name: name.to_owned(),
            query: query.to_owned(),
            shared,
            saved_at: self.clock.now(),
        };
        let saved = self
            .store
            .save_audit_view(caller.org, &view, MAX_VIEWS)
            .await?;
        if saved && shared {
            self.note_view(caller, "audit.view_shared", name).await?;
        }
        Ok(saved)
    }

    /// Deletes a person's own view.
    pub async fn delete_view(&self, caller: &Caller, name: &str) -> Result<bool, AuditError> {
        Ok(self
            .store
            .delete_audit_view(caller.org, caller.user, name)
            .await?)
    }

    async fn note_view(
        &self,
        caller: &Caller,
        kind: &'static str,
        name: &str,
    ) -> Result<(), AuditError> {
        let event = AdminEvent {
            kind,
            target: name.into(),
            ..AdminEvent::default()
        };
        self.record(Actor::from(caller), caller.org, event).await
    }
}

/// When a call began, as its id says (RFC 9562 §5.7).
fn began(call: CallId) -> Timestamp {
    let stamp = call.uuid().get_timestamp();
    let (seconds, nanos) = stamp.map_or((0, 0), |stamp| stamp.to_unix());
    let seconds = i64::try_from(seconds).unwrap_or(0);
    Timestamp::from_micros(seconds * 1_000_000 + i64::from(nanos) / 1_000)
}

/// A JSON object; null when it is none.
pub(super) fn parsed(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
