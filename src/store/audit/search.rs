//! Looking for completed events a stretch at a time. A stretch looks at so many rows of one index and no more, so a filter
//! that fits nothing costs as much as one that fits everything; who wants more asks for the next stretch.
//!
//! # Plans
//!
//! One part of the filter **leads**: it says along which index the rows are looked at, newest or oldest first. The others
//! are tested on each row. What leads, the narrowest first:
//!
//! | Asked for | Index |
//! |---|---|
//! | thread | `audit_events_by_thread (org_id, thread, seq)` |
//! | connection | `audit_events_by_connection (org_id, connection_id, seq)` |
//! | an outcome other than `ok` | `audit_events_not_ok (org_id, outcome, seq)` |
//! | a kind other than `tool.outcome` | `audit_events_not_tool (org_id, kind, seq)` |
//! | administration or security | `audit_events_not_calls (org_id, seq)` |
//! | person | `audit_events_by_user (org_id, user_id, seq)` |
//! | tool or block, everything that is not `ok` | `audit_events_tool_failed (org_id, tool, seq)` |
//! | tool or block | `audit_events_by_tool (org_id, tool, seq)` |
//! | everything that is not `ok` | `audit_events_failed (org_id, seq)` |
//! | an effect other than `read` | `audit_events_not_read (org_id, effect, seq)` |
//! | integration | `audit_events_by_integration (org_id, integration, seq)` |
//! | nothing of these | the primary key `(org_id, seq)` |
//!
//! Times are turned into places of the chain first ([`Store::audit_seq_before`]), so a range of time bounds every one of
//! these indexes. SQLite keeps no statistics here and is told the index. Postgres would sometimes walk the primary key
//! instead, which is endless when the leading value is rare: compared as a pair with the place, the value is no constant to
//! the planner, and only the index has the order asked for.
//!
//! A stretch is two statements: where it ends (the index alone), and the rows up to there that fit.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::AuditClass;
use super::filter::{AuditLine, AuditOrder, AuditSearch, AuditStretch, Like};
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, OrgId, UserId};
use crate::store::{Store, StoreError};

#[derive(FromRow)]
struct LineColumns {
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
    outcome: String,
    facts: String,
}

impl From<LineColumns> for AuditLine {
    fn from(row: LineColumns) -> Self {
        Self {
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
            facts: row.facts,
        }
    }
}

const LINE_COLUMNS: &str = "seq, at, kind, call_id, user_id, integration, connection_id, tool, effect, thread, outcome, facts";

/// A bound value.
#[derive(Clone, Debug, PartialEq)]
enum Bind {
    Id(Uuid),
    Text(String),
    Number(i64),
}

impl Bind {
    /// As SQL has it.
    fn literal(&self, sqlite: bool) -> String {
        match self {
            Self::Id(id) if sqlite => format!("x'{}'", id.simple()),
            Self::Id(id) => format!("cast('{id}' as uuid)"),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// What leads: the index, the column whose value it is for, and what makes a partial index fit (a bound value does not
/// show that it does).
struct Lead {
    index: Option<&'static str>,
    value: Option<(&'static str, Bind)>,
    fits: &'static str,
}

/// Statements and their values.
struct Plan {
    lead: Lead,
    /// The other conditions, with the numbers of their values.
    others: String,
    values: Vec<Bind>,
    sqlite: bool,
    order: AuditOrder,
}

/// What makes the indexes of what went wrong fit.
const NOT_OK: &str = " and outcome <> 'ok'";

/// Numbers of the values that every statement has: organization, above, below, the leading value.
const FIXED: usize = 4;

impl AuditSearch {
    /// Every equality that is asked for: column, value, index (without one it never leads), what makes that fit.
    fn equalities(&self) -> Vec<(&'static str, Bind, Option<&'static str>, &'static str)> {
        let text = |value: &String| Bind::Text(value.clone());
        let outcome = match &self.outcome {
            Some(Like::Is(code)) => Some(code),
            _ => None,
        };
        let kind = match &self.kind {
            Some(Like::Is(kind)) => Some(kind),
            _ => None,
        };
        let rare = |common: bool, index: &'static str, fits: &'static str| {
            if common {
                (None, "")
            } else {
                (Some(index), fits)
            }
        };
        let (by_outcome, failed) = rare(
            outcome.is_some_and(|code| code == "ok"),
            "audit_events_not_ok",
            NOT_OK,
        );
        let (by_kind, other_kind) = rare(
            kind.is_some_and(|kind| kind == "tool.outcome"),
            "audit_events_not_tool",
            " and kind <> 'tool.outcome'",
        );
        let (by_effect, changing) = rare(
            self.effect.as_deref() == Some("read"),
            "audit_events_not_read",
            " and effect <> 'read'",
        );
        // The narrowest first.
        let all = [
            (
                "thread",
                self.thread.as_ref().map(text),
                Some("audit_events_by_thread"),
                "",
            ),
            (
                "connection_id",
                self.connection.map(|id| Bind::Id(id.uuid())),
                Some("audit_events_by_connection"),
                "",
            ),
            ("outcome", outcome.map(text), by_outcome, failed),
            ("kind", kind.map(text), by_kind, other_kind),
            (
                "user_id",
                self.user.map(|id| Bind::Id(id.uuid())),
                Some("audit_events_by_user"),
                "",
            ),
            (
                "tool",
                self.tool.as_ref().map(text),
                Some("audit_events_by_tool"),
                "",
            ),
            (
                "effect",
                self.effect.as_ref().map(text),
                by_effect,
                changing,
            ),
            (
                "integration",
                self.integration.as_ref().map(text),
                Some("audit_events_by_integration"),
                "",
            ),
        ];
        all.into_iter()
            .filter_map(|(column, value, index, fits)| Some((column, value?, index, fits)))
            .collect()
    }

    fn plan(&self, sqlite: bool, order: AuditOrder) -> Plan {
        let mut equalities = self.equalities();
        let not_ok = self.outcome == Some(Like::NotOk);
        let class = match &self.kind {
            Some(Like::Class(class)) => Some(*class),
            _ => None,
        };
        let place = |narrower: &[&str]| {
            equalities
                .iter()
                .position(|(column, _, index, _)| index.is_some() && narrower.contains(column))
        };
        let whole = |index, fits| Lead {
            index: Some(index),
            value: None,
            fits,
        };
        let lead = if let Some(at) = place(&["thread", "connection_id", "outcome", "kind"]) {
            Err(at)
        } else if class.is_some_and(|class| class != AuditClass::Calls) {
            Ok(whole("audit_events_not_calls", " and tool is null"))
        } else if let Some(at) = place(&["user_id", "tool"]) {
            Err(at)
        } else if not_ok {
            Ok(whole("audit_events_failed", NOT_OK))
        } else if let Some(at) = place(&["effect", "integration"]) {
            Err(at)
        } else {
            Ok(Lead {
                index: None,
                value: None,
                fits: "",
            })
        };
        let lead = lead.unwrap_or_else(|at| {
            let (column, value, index, fits) = match equalities.remove(at) {
                ("tool", value, ..) if not_ok => {
                    ("tool", value, Some("audit_events_tool_failed"), NOT_OK)
                }
                other => other,
            };
            Lead {
                index,
                value: Some((column, value)),
                fits,
            }
        });
        let mut values = Vec::new();
        let mut others = String::new();
        let mut number = |value: Bind| {
            values.push(value);
            FIXED + values.len()
        };
        // Writing into a string does not fail.
        for (column, value, ..) in equalities {
            let _ = write!(others, " and {column} = ${}", number(value));
        }
        if not_ok && lead.fits != NOT_OK {
            others.push_str(NOT_OK);
        }
        if let Some(class) = class {
            others.push_str(&of_class(class));
        }
        if let Some(words) = &self.words {
            let at = number(Bind::Text(words.text.clone()));
            let _ = write!(others, " and ({}", contains(at, sqlite));
            let ids = [
                ("user_id", words.users.iter().map(|id| id.uuid()).collect()),
                (
                    "connection_id",
                    words.connections.iter().map(|id| id.uuid()).collect(),
                ),
            ];
            for (column, ids) in ids {
                let ids: Vec<Uuid> = ids;
                for id in ids {
                    let _ = write!(others, " or {column} = ${}", number(Bind::Id(id)));
                }
            }
            others.push(')');
        }
        Plan {
            lead,
            others,
            values,
            sqlite,
            order,
        }
    }
}

/// Only calls have a tool.
fn of_class(class: AuditClass) -> String {
    let security: Vec<String> = AuditClass::SECURITY
        .iter()
        .map(|start| format!("substr(kind, 1, {}) = '{start}'", start.len()))
        .collect();
    let security = security.join(" or ");
    match class {
        AuditClass::Calls => " and tool is not null".to_owned(),
        AuditClass::Administration => format!(" and tool is null and not ({security})"),
        AuditClass::Security => format!(" and tool is null and ({security})"),
    }
}

/// Whether one of the texts of an event contains a value, whatever the case of ASCII letters.
fn contains(number: usize, sqlite: bool) -> String {
    let columns = ["tool", "integration", "thread", "kind", "outcome"];
    let found = |column: &str| {
        if sqlite {
            format!("instr(lower({column}), ${number}) > 0")
        } else {
            format!("strpos(lower({column} collate \"C\"), ${number}) > 0")
        }
    };
    let mut all: Vec<String> = columns.into_iter().map(found).collect();
    all.push(format!("(tool is null and {})", found("facts")));
    all.join(" or ")
}

impl Plan {
    /// `from … where …` of the rows that lead, between the places $2 and $3 (both left out), and their order.
    fn leading(&self) -> (String, String) {
        let indexed_by = match self.lead.index {
            Some(index) if self.sqlite => format!(" indexed by {index}"),
            _ => String::new(),
        };
        let direction = match self.order {
            AuditOrder::Down => "desc",
            AuditOrder::Up => "asc",
        };
        let (range, order) = match &self.lead.value {
            None => (
                "seq > $2 and seq < $3 and $4 = 0".to_owned(),
                format!("seq {direction}"),
            ),
            Some((column, _)) if self.sqlite => (
                format!("{column} = $4 and seq > $2 and seq < $3"),
                format!("seq {direction}"),
            ),
            Some((column, _)) => (
                format!("({column}, seq) > ($4, $2) and ({column}, seq) < ($4, $3)"),
                format!("{column} {direction}, seq {direction}"),
            ),
        };
        let present = match &self.lead.value {
            Some((column @ ("connection_id" | "thread"), _)) => {
                format!(" and {column} is not null")
            }
            _ => String::new(),
        };
        let fits = self.lead.fits;
        (
            format!(
                "from audit_events{indexed_by} where org_id = $1 and {range} and outcome is not null{present}{fits}"
            ),
            order,
        )
    }

    /// The place of the `$5`th row on.
    fn end(&self) -> String {
        let (rows, order) = self.leading();
        format!("select seq {rows} order by {order} limit 1 offset $5")
    }

    /// The rows that fit, at most as many as the last value says.
    fn rows(&self) -> String {
        let (rows, order) = self.leading();
        let others = &self.others;
        let limit = FIXED + self.values.len() + 1;
        format!("select {LINE_COLUMNS} {rows}{others} order by {order} limit ${limit}")
    }

    /// The leading value; a number that is always the same when there is none.
    fn value(&self) -> Bind {
        match &self.lead.value {
            Some((_, value)) => value.clone(),
            None => Bind::Number(0),
        }
    }
}

/// Binds values one after the other.
macro_rules! bind_all {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Bind::Id(id) => query.bind(id),
                Bind::Text(text) => query.bind(text),
                Bind::Number(number) => query.bind(number),
            };
        }
        query
    }};
}

impl Store {
    /// Looks at no more than `rows` completed events of what leads, from one end of the range on, and answers at most
    /// `limit` that fit.
    pub async fn audit_stretch(
        &self,
        org: OrgId,
        search: &AuditSearch,
        order: AuditOrder,
        rows: u32,
        limit: u32,
    ) -> Result<AuditStretch, StoreError> {
        let plan = search.plan(self.is_sqlite(), order);
        let fixed = |above, below| {
            [
                Bind::Id(org.uuid()),
                Bind::Number(above),
                Bind::Number(below),
                plan.value(),
            ]
        };
        let (mut above, mut below) = (search.above, search.below);
        // Where all that leads fits, the limit ends the stretch.
        let end: Option<i64> = if plan.others.is_empty() {
            None
        } else {
            let text = plan.end();
            let values = fixed(above, below)
                .into_iter()
                .chain([Bind::Number(i64::from(rows).max(1) - 1)]);
            on!(&self.db, pool => {
                bind_all!(sqlx::query_scalar(AssertSqlSafe(text)), values)
                    .fetch_optional(pool)
                    .await
            })?
        };
        match (end, order) {
            (Some(end), AuditOrder::Down) => above = end - 1,
            (Some(end), AuditOrder::Up) => below = end + 1,
            (None, _) => {}
        }
        let text = plan.rows();
        let values = fixed(above, below)
            .into_iter()
            .chain(plan.values.iter().cloned())
            .chain([Bind::Number(i64::from(limit))]);
        let found: Vec<LineColumns> = on!(&self.db, pool => {
            bind_all!(sqlx::query_as(AssertSqlSafe(text)), values)
                .fetch_all(pool)
                .await
        })?;
        let full = found.len() == limit as usize;
        let last = found.last().map(|line| line.seq);
        Ok(AuditStretch {
            lines: found.into_iter().map(Into::into).collect(),
            reached: if full { last } else { end },
        })
    }

    /// The statements that [`Store::audit_stretch`] would run, with their values in them, for whoever asks the database
    /// for its plan.
    pub fn audit_stretch_sql(
        &self,
        org: OrgId,
        search: &AuditSearch,
        order: AuditOrder,
        rows: u32,
        limit: u32,
    ) -> Vec<String> {
        let plan = search.plan(self.is_sqlite(), order);
        let fixed = [
            Bind::Id(org.uuid()),
            Bind::Number(search.above),
            Bind::Number(search.below),
            plan.value(),
        ];
        let write = |text: String, more: &[Bind]| {
            let values: Vec<&Bind> = fixed.iter().chain(more).collect();
            // From the last, so that `$1` is not taken for the beginning of `$10`.
            values
                .iter()
                .enumerate()
                .rev()
                .fold(text, |text, (at, value)| {
                    text.replace(&format!("${}", at + 1), &value.literal(plan.sqlite))
                })
        };
        let number = |number: u32| Bind::Number(i64::from(number));
        let mut texts = Vec::new();
        if !plan.others.is_empty() {
            texts.push(write(plan.end(), &[number(rows)]));
        }
        let values: Vec<Bind> = plan.values.iter().cloned().chain([number(limit)]).collect();
        texts.push(write(plan.rows(), &values));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_part_of_a_filter_leads() {
        let id = Uuid::nil();
        let user = Some(UserId::from_uuid(id));
        let text = |text: &str| Some(text.to_owned());
        for (search, index) in [
            (AuditSearch::default(), None),
            (
                AuditSearch {
                    user,
                    thread: text("t"),
                    ..AuditSearch::default()
                },
                Some("audit_events_by_thread"),
            ),
            (
                AuditSearch {
                    user,
                    outcome: Some(Like::Is("ok".to_owned())),
                    ..AuditSearch::default()
                },
                Some("audit_events_by_user"),
            ),
            (
                AuditSearch {
                    user,
                    outcome: Some(Like::Is("timeout".to_owned())),
                    ..AuditSearch::default()
                },
                Some("audit_events_not_ok"),
            ),
            (
                AuditSearch {
                    user,
                    outcome: Some(Like::NotOk),
                    ..AuditSearch::default()
                },
                Some("audit_events_by_user"),
            ),
            (
                AuditSearch {
                    tool: text("github_save_issue"),
                    outcome: Some(Like::NotOk),
                    ..AuditSearch::default()
                },
                Some("audit_events_tool_failed"),
            ),
            (
                AuditSearch {
                    outcome: Some(Like::NotOk),
                    integration: text("github"),
                    ..AuditSearch::default()
                },
                Some("audit_events_failed"),
            ),
            (
                AuditSearch {
                    user,
                    kind: Some(Like::Class(AuditClass::Security)),
                    ..AuditSearch::default()
                },
                Some("audit_events_not_calls"),
            ),
            (
                AuditSearch {
                    effect: text("read"),
                    ..AuditSearch::default()
                },
                None,
            ),
        ] {
            let plan = search.plan(true, AuditOrder::Down);
            assert_eq!(plan.lead.index, index, "{search:?}");
            let numbers = plan.rows().matches('$').count();
            assert!(numbers >= FIXED + plan.values.len(), "{}", plan.rows());
        }
    }
}
