//! The log as JSON Lines, in the form that verifies without the database.
//!
//! The first line says what follows. Each event carries the hash before it, so that a line can be checked by itself and a
//! selection too; checkpoints stand after the event they are about. Facts and payloads are texts, because their bytes are
//! what was hashed.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::chain::{self, GENESIS, VerifyingKey};
use super::verify::{Broken, Follower, Verified};
use super::{AuditError, AuditLog, Checkpoint, Filter};
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, OrgId, UserId};
use crate::store::{AuditPayload, AuditRow};

/// Events read at a time.
const PAGE: u32 = 1_000;

/// What the first line says of the form of the others.
const FORMAT: &str = "workbench-mcp/audit/v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    org: OrgId,
    /// Whether events were left out between the first and the last.
    selection: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    seq: i64,
    previous: String,
    at: i64,
    kind: String,
    call: CallId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    integration: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection: Option<ConnectionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thread: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completes: Option<i64>,
    facts: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commitment: Option<String>,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    checkpoint: i64,
    org: OrgId,
    hash: String,
    at: i64,
    previous: i64,
    key: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Box<EventLine>),
    Checkpoint(CheckpointLine),
}

/// Why an exported file was not found to be whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A line is not what an export writes.
    #[error("line {0} is not a line of an audit export")]
    Line(usize),
    /// It could not be read to the end.
    #[error("the file cannot be read")]
    Io(#[from] std::io::Error),
}

fn event_line(previous: &[u8; 32], row: &AuditRow) -> String {
    super::json(&EventLine {
        seq: row.seq,
        previous: chain::hex(previous),
        at: row.at.micros(),
        kind: row.kind.clone(),
        call: row.call_id,
        user: row.user_id,
        integration: row.integration.clone(),
        connection: row.connection_id,
        tool: row.tool.clone(),
        effect: row.effect.clone(),
        thread: row.thread.clone(),
        outcome: row.outcome.clone(),
        completes: row.completes,
        facts: row.facts.clone(),
        salt: row
            .payload
            .as_ref()
            .map(|payload| chain::hex(&payload.salt)),
        payload: row.payload.as_ref().map(|payload| payload.body.clone()),
        commitment: row
            .commitment
            .as_ref()
            .map(|commitment| chain::hex(commitment)),
        hash: chain::hex(&row.hash),
    })
}

/// A checkpoint as one line of JSON, as it is exported and as it should be kept elsewhere.
pub fn checkpoint_line(checkpoint: &Checkpoint) -> String {
    super::json(&CheckpointLine {
        checkpoint: checkpoint.seq,
        org: checkpoint.org_id,
        hash: chain::hex(&checkpoint.hash),
        at: checkpoint.at.micros(),
        previous: checkpoint.previous_seq,
        key: checkpoint.key_id.clone(),
        signature: chain::hex(&checkpoint.signature),
    })
}

/// Reads the checkpoints among lines of text, whatever else is there, such as a server's log.
pub fn read_checkpoints(reader: impl BufRead) -> std::io::Result<Vec<Checkpoint>> {
    let mut checkpoints = Vec::new();
    for line in reader.lines() {
        checkpoints.extend(
            serde_json::from_str::<CheckpointLine>(&line?)
                .ok()
                .and_then(checkpoint),
        );
    }
    Ok(checkpoints)
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    chain::unhex(text)?.try_into().ok()
}

fn checkpoint(line: CheckpointLine) -> Option<Checkpoint> {
    Some(Checkpoint {
        org_id: line.org,
        seq: line.checkpoint,
        hash: bytes(&line.hash)?,
        at: Timestamp::from_micros(line.at),
        previous_seq: line.previous,
        key_id: line.key,
        signature: chain::unhex(&line.signature)?,
    })
}

fn event(org: OrgId, line: Box<EventLine>) -> Option<([u8; 32], AuditRow)> {
    let payload = match (line.salt, line.payload) {
        (Some(salt), Some(body)) => Some(AuditPayload {
            salt: bytes(&salt)?,
            body,
        }),
        (None, None) => None,
        _ => return None,
    };
    let row = AuditRow {
        org_id: org,
        seq: line.seq,
        at: Timestamp::from_micros(line.at),
        kind: line.kind,
        call_id: line.call,
        user_id: line.user,
        integration: line.integration,
        connection_id: line.connection,
        tool: line.tool,
        effect: line.effect,
        thread: line.thread,
        outcome: line.outcome,
        completes: line.completes,
        facts: line.facts,
        payload,
        commitment: match line.commitment {
            Some(commitment) => Some(bytes(&commitment)?),
            None => None,
        },
        hash: bytes(&line.hash)?,
    };
    Some((bytes(&line.previous)?, row))
}

/// Verifies an exported file, away from any server. Of a whole export nothing is missing between the first and the last
/// event; of a selection only each event by itself, and that neighbours are neighbours, can be checked.
pub fn verify_file(reader: impl BufRead, keys: &[VerifyingKey]) -> Result<Verified, FileError> {
    let mut lines = reader.lines().enumerate();
    let Some((_, first)) = lines.next() else {
        return Err(FileError::Line(1));
    };
    let head: Head = serde_json::from_str(&first?).map_err(|_| FileError::Line(1))?;
    if head.format != FORMAT {
        return Err(FileError::Line(1));
    }
    let mut follower = Follower::new(head.org, keys);
    let mut started = false;
    for (index, line) in lines {
        let unreadable = || FileError::Line(index + 1);
        match serde_json::from_str(&line?).map_err(|_| unreadable())? {
            Line::Event(line) => {
                let (previous, row) = event(head.org, line).ok_or_else(unreadable)?;
                // Where events may have been left out, the line itself says what was before it.
                let jump = row.seq > follower.seq + 1 && (head.selection || !started);
                if jump {
                    follower.seq = row.seq - 1;
                    follower.hash = previous;
                }
                if row.seq == 1 && previous != GENESIS || previous != follower.hash {
                    return Err(follower
                        .broken(row.seq, "it does not follow the event before it")
                        .into());
                }
                follower.event(&row)?;
                started = true;
            }
            Line::Checkpoint(line) => {
                let checkpoint = checkpoint(line).ok_or_else(unreadable)?;
                follower.checkpoint(&checkpoint, false)?;
            }
        }
    }
    Ok(follower.found)
}

impl AuditLog {
    /// Writes the events that `filter` asks for, oldest first, one line each, without the line ends; answers how many.
    /// An intent is written when it fits by itself. The limit and the paging of the filter do not count. That there was an
    /// export is for the caller to record.
    pub async fn export(
        &self,
        org: OrgId,
        filter: &Filter,
        mut out: impl FnMut(&str),
    ) -> Result<u64, AuditError> {
        let selection = selects(filter);
        out(&super::json(&Head {
            format: FORMAT.to_owned(),
            org,
            selection,
        }));
        let range = Filter {
            since: filter.since,
            until: filter.until,
            ..Filter::default()
        };
        let query = self.query(org, &range).await?;
        let mut previous = GENESIS;
        let mut seq = query.above;
        if seq > 0 {
            // For its hash alone.
            let before = self.store.audit_after(org, seq - 1, 1).await?;
            previous = before.first().map_or(GENESIS, |row| row.hash);
        }
        let mut checkpoints = self
            .store
            .audit_checkpoints(org, seq, PAGE)
            .await?
            .into_iter()
            .peekable();
        let mut written = 0;
        loop {
            let page = self.store.audit_after(org, seq, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(written);
            };
            seq = last.seq;
            for row in page {
                if row.seq >= query.below {
                    return Ok(written);
                }
                let fits = !selection || matches(filter, &row);
                if fits {
                    out(&event_line(&previous, &row));
                    written += 1;
                }
                while let Some(checkpoint) = checkpoints.next_if(|next| next.seq <= row.seq) {
                    if fits {
                        out(&checkpoint_line(&checkpoint));
                    }
                    if checkpoints.peek().is_none() {
                        let more = self
                            .store
                            .audit_checkpoints(org, checkpoint.seq, PAGE)
                            .await?;
                        checkpoints = more.into_iter().peekable();
                    }
                }
                previous = row.hash;
            }
        }
    }
}

/// Whether a filter leaves events out between the first and the last.
const fn selects(filter: &Filter) -> bool {
    filter.user.is_some()
        || filter.integration.is_some()
        || filter.connection.is_some()
        || filter.tool.is_some()
        || filter.effect.is_some()
        || filter.outcome.is_some()
        || filter.thread.is_some()
        || filter.kind.is_some()
}

fn matches(filter: &Filter, row: &AuditRow) -> bool {
    fn fits<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
        wanted.is_none() || wanted == found
    }
    fits(filter.user.as_ref(), row.user_id.as_ref())
        && fits(filter.integration.as_ref(), row.integration.as_ref())
        && fits(filter.connection.as_ref(), row.connection_id.as_ref())
        && fits(filter.tool.as_ref(), row.tool.as_ref())
        && fits(filter.effect.as_ref(), row.effect.as_ref())
        && fits(filter.outcome.as_ref(), row.outcome.as_ref())
        && fits(filter.thread.as_ref(), row.thread.as_ref())
        && fits(filter.kind.as_ref(), Some(&row.kind))
}
