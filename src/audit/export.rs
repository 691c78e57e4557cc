//! The log as JSON Lines, in the form that verifies without the database.
//!
//! The first line says what follows. Each event carries the hash before it, so that a line can be checked by itself and a
//! selection too; checkpoints stand after the event they are about. Facts and payloads are texts, because their bytes are
//! what was hashed. The last line says that the file is whole: one that ends without it was broken off.

use std::collections::VecDeque;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::chain::{self, GENESIS, VerifyingKey};
use super::verify::{Broken, Follower, Verified};
use super::{AuditError, AuditLog, Checkpoint, Class, Filter, Like, Search, Words};
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    /// Whether everything that was asked for stands before it.
    complete: bool,
    /// How many events stand before it.
    events: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Box<EventLine>),
    Checkpoint(CheckpointLine),
    End(EndLine),
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
/// event; of a selection only each event by itself, and that neighbours are neighbours, can be checked. A last line is
/// held to what it says; files of earlier releases have none.
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
    let mut ended = false;
    for (index, line) in lines {
        let unreadable = || FileError::Line(index + 1);
        if ended {
            return Err(unreadable());
        }
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
            Line::End(end) => {
                if !end.complete || end.events != follower.found.events {
                    let last = follower.seq;
                    return Err(follower
                        .broken(last + 1, "it and what follows are not in the file")
                        .into());
                }
                ended = true;
            }
        }
    }
    Ok(follower.found)
}

/// Writes a chain, or what fits a filter of it, oldest first.
pub struct Exporter {
    log: AuditLog,
    org: OrgId,
    search: Search,
    selection: bool,
    /// Whether payloads go with the events. Without them an event keeps its commitment, as when they were erased.
    payloads: bool,
    /// The last event read, its hash, and how many were written.
    seq: i64,
    previous: [u8; 32],
    written: u64,
    checkpoints: VecDeque<Checkpoint>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Events,
    End,
}

impl Exporter {
    /// The last event that was read.
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// How many events were written.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The line that says that the file is not whole, for when [`Exporter::next`] fails.
    pub fn broken_off(&self) -> String {
        super::json(&EndLine {
            complete: false,
            events: self.written,
        })
    }

    /// The next lines, without their ends; none may be among them although there are more. `None` is the end.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, AuditError> {
        match self.state {
            State::Begin => {
                if self.seq > 0 {
                    // For its hash alone.
                    let before = self
                        .log
                        .store
                        .audit_after(self.org, self.seq - 1, 1)
                        .await?;
                    self.previous = before.first().map_or(GENESIS, |row| row.hash);
                }
                self.more_checkpoints(self.seq).await?;
                self.state = State::Events;
                Ok(Some(vec![super::json(&Head {
                    format: FORMAT.to_owned(),
                    org: self.org,
                    selection: self.selection,
                })]))
            }
            State::Events => self.events().await.map(Some),
            State::End => Ok(None),
        }
    }

    async fn events(&mut self) -> Result<Vec<String>, AuditError> {
        let page = self.log.store.audit_after(self.org, self.seq, PAGE).await?;
        let mut lines = Vec::new();
        if page.is_empty() {
            self.end(&mut lines);
        }
        for mut row in page {
            if row.seq >= self.search.below {
                self.end(&mut lines);
                break;
            }
            self.seq = row.seq;
            let fits = !self.selection || fits(&self.search, &row);
            if fits {
                if !self.payloads {
                    row.payload = None;
                }
                lines.push(event_line(&self.previous, &row));
                self.written += 1;
            }
            while let Some(checkpoint) = self.checkpoints.pop_front_if(|next| next.seq <= row.seq) {
                if fits {
                    lines.push(checkpoint_line(&checkpoint));
                }
                if self.checkpoints.is_empty() {
                    self.more_checkpoints(checkpoint.seq).await?;
                }
            }
            self.previous = row.hash;
        }
        Ok(lines)
    }

    fn end(&mut self, lines: &mut Vec<String>) {
        self.state = State::End;
        lines.push(super::json(&EndLine {
            complete: true,
            events: self.written,
        }));
    }

    async fn more_checkpoints(&mut self, after: i64) -> Result<(), AuditError> {
        let found = self
            .log
            .store
            .audit_checkpoints(self.org, after, PAGE)
            .await?;
        self.checkpoints = found.into();
        Ok(())
    }
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
        let range = Filter {
            after: None,
            ..filter.clone()
        };
        let query = self.query(org, &range).await?;
        let search = Search {
            user: query.user,
            integration: query.integration,
            connection: query.connection,
            tool: query.tool,
            effect: query.effect,
            outcome: query.outcome.map(Like::Is),
            thread: query.thread,
            kind: query.kind.map(Like::Is),
            words: None,
            above: query.above,
            below: query.below,
        };
        let mut exporter = self.exporter(org, search, true);
        while let Some(lines) = exporter.next().await? {
            for line in &lines {
                out(line);
            }
        }
        Ok(exporter.written)
    }

    /// What writes the events between two places of the chain that fit, with or without their payloads.
    pub(super) fn exporter(&self, org: OrgId, search: Search, payloads: bool) -> Exporter {
        let all = Search {
            above: search.above,
            below: search.below,
            ..Search::default()
        };
        Exporter {
            log: self.clone(),
            org,
            selection: search != all,
            payloads,
            seq: search.above,
            previous: GENESIS,
            written: 0,
            checkpoints: VecDeque::new(),
            state: State::Begin,
            search,
        }
    }
}

/// Whether an event fits a filter, its range left out; as the store's own search has it, for intents too.
fn fits(search: &Search, row: &AuditRow) -> bool {
    fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
        wanted.is_none() || wanted == found
    }
    let outcome = match &search.outcome {
        None | Some(Like::Class(_)) => true,
        Some(Like::Is(code)) => row.outcome.as_ref() == Some(code),
        Some(Like::NotOk) => row.outcome.as_deref().is_some_and(|code| code != "ok"),
    };
    let kind = match &search.kind {
        None | Some(Like::NotOk) => true,
        Some(Like::Is(kind)) => row.kind == *kind,
        Some(Like::Class(class)) => Class::of(&row.kind, row.tool.is_some()) == *class,
    };
    is(search.user.as_ref(), row.user_id.as_ref())
        && is(search.integration.as_ref(), row.integration.as_ref())
        && is(search.connection.as_ref(), row.connection_id.as_ref())
        && is(search.tool.as_ref(), row.tool.as_ref())
        && is(search.effect.as_ref(), row.effect.as_ref())
        && is(search.thread.as_ref(), row.thread.as_ref())
        && outcome
        && kind
        && search.words.as_ref().is_none_or(|words| says(words, row))
}

fn says(words: &Words, row: &AuditRow) -> bool {
    let has = |text: Option<&str>| {
        text.is_some_and(|text| text.to_ascii_lowercase().contains(&words.text))
    };
    has(row.tool.as_deref())
        || has(row.integration.as_deref())
        || has(row.thread.as_deref())
        || has(Some(&row.kind))
        || has(row.outcome.as_deref())
        || row.tool.is_none() && has(Some(&row.facts))
        || row.user_id.is_some_and(|id| words.users.contains(&id))
        || row
            .connection_id
            .is_some_and(|id| words.connections.contains(&id))
}
