//! The log as a table for spreadsheets: comma-separated values (RFC 4180), oldest first, without payloads.
//!
//! A text that a spreadsheet would take for a formula gets an apostrophe before it. The last line says that the file is
//! whole: one that ends without it was broken off.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::review::parsed;
use super::{AuditError, AuditLog, Line, Order, Search};
use crate::ids::{ConnectionId, OrgId, UserId};

/// Completed events that one step looks at, and writes at most.
const STEP: (u32, u32) = (5_000, 1_000);

const COLUMNS: &[&str] = &[
    "seq",
    "at",
    "kind",
    "call",
    "person",
    "person_id",
    "integration",
    "account",
    "connection",
    "tool",
    "effect",
    "thread",
    "outcome",
    "duration_ms",
    "upstream_requests",
    "upstream_status",
    "bytes_in",
    "bytes_out",
    "target",
];

/// Writes the completed events that fit, line by line.
pub(super) struct Table {
    log: AuditLog,
    org: OrgId,
    search: Search,
    people: BTreeMap<UserId, String>,
    accounts: BTreeMap<ConnectionId, String>,
    written: u64,
    begun: bool,
    ended: bool,
}

impl Table {
    /// Of the events of a range that fit.
    pub(super) async fn new(
        log: &AuditLog,
        org: OrgId,
        search: Search,
    ) -> Result<Self, AuditError> {
        let people = log.people(org).await?;
        let accounts = log.accounts(org).await?;
        Ok(Self {
            log: log.clone(),
            org,
            search,
            people: people
                .into_iter()
                .map(|user| (user.id, user.email))
                .collect(),
            accounts: accounts
                .into_iter()
                .map(|account| (account.id, account.label))
                .collect(),
            written: 0,
            begun: false,
            ended: false,
        })
    }

    /// Up to where it has looked.
    pub(super) const fn seq(&self) -> i64 {
        self.search.above
    }

    /// How many events it wrote.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// The line that says that the file is not whole.
    pub(super) fn broken_off(&self) -> String {
        format!("# broken off after {} records\r\n", self.written)
    }

    /// The next lines; `None` is the end.
    pub(super) async fn next(&mut self) -> Result<Option<String>, AuditError> {
        if self.ended {
            return Ok(None);
        }
        let mut text = String::new();
        if !self.begun {
            self.begun = true;
            text.push_str(&COLUMNS.join(","));
            text.push_str("\r\n");
            return Ok(Some(text));
        }
        let (rows, limit) = STEP;
        let stretch = self
            .log
            .store
            .audit_stretch(self.org, &self.search, Order::Up, rows, limit)
            .await?;
        for line in &stretch.lines {
            self.row(&mut text, line);
            self.written += 1;
        }
        if let Some(seq) = stretch.reached {
            self.search.above = seq;
        } else {
            self.ended = true;
            // Writing into a string does not fail.
            let _ = write!(text, "# complete: {} records\r\n", self.written);
        }
        Ok(Some(text))
    }

    fn row(&self, text: &mut String, line: &Line) {
        let facts = parsed(Some(&line.facts));
        let number = |name: &str| facts[name].as_i64().map(|n| n.to_string());
        let millis = facts["duration_us"]
            .as_i64()
            .map(|micros| format!("{}.{:03}", micros / 1_000, micros % 1_000));
        let person = line.user_id.and_then(|id| self.people.get(&id));
        let account = line.connection_id.and_then(|id| self.accounts.get(&id));
        let cells: [Option<String>; 19] = [
            Some(line.seq.to_string()),
            Some(line.at.rfc3339()),
            Some(line.kind.clone()),
            Some(line.call_id.to_string()),
            person.cloned(),
            line.user_id.map(|id| id.to_string()),
            line.integration.clone(),
            account.cloned(),
            line.connection_id.map(|id| id.to_string()),
            line.tool.clone(),
            line.effect.clone(),
            line.thread.clone(),
            Some(line.outcome.clone()),
            millis,
            number("upstream_requests"),
            number("upstream_status"),
            number("bytes_in"),
            number("bytes_out"),
            facts["target"].as_str().map(str::to_owned),
        ];
        for (at, value) in cells.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&cell(value.as_deref().unwrap_or_default()));
        }
        text.push_str("\r\n");
    }
}

/// A cell that means its text and nothing else, in any program that opens the file.
fn cell(value: &str) -> String {
    let formula = value.starts_with(['\t', '\r', '\n'])
        || value.trim_start().starts_with(['=', '+', '-', '@']);
    let quoted =
        formula || value.contains([',', '"', '\n', '\r', '\t', ';']) || value.trim() != value;
    if !quoted {
        return value.to_owned();
    }
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", value.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas_and_stay_one_cell() {
        for (value, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("a-b", "a-b"),
            ("=1+1", "\"'=1+1\""),
            ("+49", "\"'+49\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            (" =1", "\"' =1\""),
            (" a", "\" a\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(cell(value), expected, "{value:?}");
        }
    }
}
