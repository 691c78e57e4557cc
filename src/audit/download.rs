//! An export that somebody downloads: written page by page with bounded memory, recorded when it begins and when it ends,
//! whichever way, and seen by whoever looks how far it is.

use std::time::{Duration, Instant};

use super::export::Exporter;
use super::table::Table;
use super::{Actor, AdminEvent, AuditError, AuditLog, Search, Walk, WalkState};
use crate::caller::{Caller, Role};
use crate::clock::Timestamp;
use crate::ids::{CallId, OrgId};

/// How often it is noted how far an export is.
const NOTED: Duration = Duration::from_secs(1);

/// In what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON Lines that verify without the database.
    Lines,
    /// Comma-separated values, without payloads.
    Table,
}

impl Form {
    /// The word in addresses and records, and the end of the file's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "jsonl",
            Self::Table => "csv",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Lines, Self::Table]
            .into_iter()
            .find(|form| form.as_str() == word)
    }
}

enum Source {
    Lines(Exporter),
    Table(Table),
}

/// A download under way. Dropping it before its end records that it was broken off.
pub struct Download {
    log: AuditLog,
    org: OrgId,
    actor: Actor,
    source: Source,
    walk: Walk,
    /// Where the range begins.
    above: i64,
    noted: Instant,
    ended: bool,
}

impl AuditLog {
    /// Begins to export what fits a filter, up to where the log ends now. Only auditors get payloads with it.
    pub async fn download(
        &self,
        caller: &Caller,
        form: Form,
        search: &Search,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        words: &str,
    ) -> Result<Download, AuditError> {
        let org = caller.org;
        let (above, below) = self.range(org, since, until).await?;
        let (_, last) = self.store.audit_counted(org).await?;
        let search = Search {
            above,
            below: below.min(last + 1),
            ..search.clone()
        };
        let payloads = form == Form::Lines && caller.role == Role::Auditor;
        let now = self.clock.now();
        let walk = Walk {
            id: CallId::new(now),
            purpose: form.as_str().to_owned(),
            user: caller.user,
            started_at: now,
            total: (search.below - 1 - above).max(0),
            walked: 0,
            seen_at: now,
            state: WalkState::Running,
            seq: 0,
            words: String::new(),
        };
        let event = AdminEvent {
            kind: "audit.exported",
            target: walk.id.to_string().into(),
            detail: serde_json::json!({ "form": form.as_str(), "filter": words, "payloads": payloads }),
            ..AdminEvent::default()
        };
        self.record(caller, org, event).await?;
        self.store.start_audit_walk(org, &walk).await?;
        let source = match form {
            Form::Lines => Source::Lines(self.exporter(org, search, payloads)),
            Form::Table => Source::Table(Table::new(self, org, search).await?),
        };
        Ok(Download {
            log: self.clone(),
            org,
            actor: caller.into(),
            source,
            walk,
            above,
            noted: Instant::now(),
            ended: false,
        })
    }
}

impl Download {
    /// The next part of the file; `None` after the last.
    pub async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        let part = match &mut self.source {
            Source::Lines(exporter) => exporter.next().await.map(|lines| {
                lines.map(|lines| {
                    lines
                        .into_iter()
                        .fold(String::new(), |text, line| text + &line + "\n")
                })
            }),
            Source::Table(table) => table.next().await,
        };
        let (seq, written) = match &self.source {
            Source::Lines(exporter) => (exporter.seq(), exporter.written()),
            Source::Table(table) => (table.seq(), table.written()),
        };
        self.walk.walked = (seq - self.above).max(0);
        self.walk.seq = i64::try_from(written).unwrap_or(i64::MAX);
        match part {
            Ok(Some(text)) => {
                if self.noted.elapsed() > NOTED {
                    self.noted = Instant::now();
                    let now = self.log.clock.now();
                    let noted = self.log.store.see_audit_walk(
                        self.org,
                        self.walk.id,
                        self.walk.walked,
                        now,
                    );
                    if let Err(error) = noted.await {
                        tracing::warn!(error = %error, "how far an export is cannot be noted");
                    }
                }
                Some(text)
            }
            Ok(None) => {
                self.walk.walked = self.walk.total;
                self.end(WalkState::Done).await;
                None
            }
            Err(error) => {
                tracing::error!(error = %error, "an export of the audit log is broken off");
                let last = match &self.source {
                    Source::Lines(exporter) => exporter.broken_off() + "\n",
                    Source::Table(table) => table.broken_off(),
                };
                self.end(WalkState::Failed).await;
                Some(last)
            }
        }
    }

    async fn end(&mut self, state: WalkState) {
        self.ended = true;
        self.walk.state = state;
        ended(&self.log, self.org, self.actor, self.walk.clone()).await;
    }
}

/// Notes and records how an export ended.
async fn ended(log: &AuditLog, org: OrgId, actor: Actor, mut walk: Walk) {
    walk.seen_at = log.clock.now();
    if let Err(error) = log.store.end_audit_walk(org, &walk).await {
        tracing::warn!(error = %error, "how an export ended cannot be noted");
    }
    let event = AdminEvent {
        kind: "audit.export_ended",
        target: walk.id.to_string().into(),
        outcome: match walk.state {
            WalkState::Done => "ok",
            WalkState::Stopped => "broken_off",
            WalkState::Running | WalkState::Stopping | WalkState::Broken | WalkState::Failed => {
                "failed"
            }
        },
        detail: serde_json::json!({ "events": walk.seq }),
        ..AdminEvent::default()
    };
    if let Err(error) = log.record(actor, org, event).await {
        tracing::error!(error = %error, "how an export ended cannot be recorded");
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (log, org, actor, mut walk) =
            (self.log.clone(), self.org, self.actor, self.walk.clone());
        walk.state = WalkState::Stopped;
        // Without a runtime the process is ending, and the walk is known by standing still.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { ended(&log, org, actor, walk).await });
        }
    }
}
