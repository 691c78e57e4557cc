//! Completed events counted by the hour and by the day, so that a chart over a year reads some thousand rows.
//!
//! They are written in the transaction that appends the events, one row for each hour, class, integration and effect that
//! a batch touches, so the two cannot disagree. Events that a release without counts appended are caught up with by
//! [`Store::catch_up_audit_counts`]; until it has, batches leave their counting to it (`audit_heads.counted`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use sqlx::FromRow;

use super::append::{chunk, inserts};
use crate::clock::Timestamp;
use crate::ids::OrgId;
use crate::store::{Store, StoreError};

/// What kind of thing an event is, for people who look for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditClass {
    /// Tools, blocks and completions.
    Calls,
    /// What people set up and decided: accounts, apps, people, rules, approvals.
    Administration,
    /// Signing in, keys, and reading this log.
    Security,
}

impl AuditClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Calls, Self::Administration, Self::Security];

    /// How the kinds begin that are [`AuditClass::Security`].
    pub(super) const SECURITY: [&str; 3] = ["audit.", "auth.", "key."];

    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Administration => "administration",
            Self::Security => "security",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// Of an event of this kind; only calls have a tool.
    pub fn of(kind: &str, has_tool: bool) -> Self {
        if has_tool {
            Self::Calls
        } else if Self::SECURITY.iter().any(|start| kind.starts_with(start)) {
            Self::Security
        } else {
            Self::Administration
        }
    }
}

/// How long is how long, in microseconds: the upper ends of the classes that timed events are counted in. What took
/// longer than the last is in a class of its own.
pub const DURATIONS_US: [i64; 7] = [
    10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000,
];

/// The lengths counted by, in microseconds: an hour and a day.
const SPANS: [i64; 2] = [3_600_000_000, 86_400_000_000];

/// What is counted of some events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditCount {
    /// Completed events.
    pub events: i64,
    /// Those that did not end `ok`.
    pub failures: i64,
    /// Those of which is known how long they took.
    pub timed: i64,
    /// How long they took together, in microseconds.
    pub total_us: i64,
    /// How long the longest took, in microseconds.
    pub most_us: i64,
    /// How many took up to each of [`DURATIONS_US`] and more than the one before; the last is the rest.
    pub within: [i64; 8],
}

/// What is kept of a call besides its columns; only the duration is of interest here.
#[derive(Deserialize)]
struct Timed {
    duration_us: Option<i64>,
}

impl AuditCount {
    /// Counts one more event.
    pub fn add(&mut self, failed: bool, duration_us: Option<i64>) {
        self.events += 1;
        self.failures += i64::from(failed);
        let Some(duration) = duration_us else { return };
        self.timed += 1;
        self.total_us = self.total_us.saturating_add(duration);
        self.most_us = self.most_us.max(duration);
        let place = DURATIONS_US.iter().position(|most| duration <= *most);
        if let Some(class) = self.within.get_mut(place.unwrap_or(DURATIONS_US.len())) {
            *class += 1;
        }
    }

    /// How long the event took that these facts are of.
    pub fn duration_us(facts: &str) -> Option<i64> {
        let timed: Timed = serde_json::from_str(facts).ok()?;
        timed.duration_us.filter(|duration| *duration >= 0)
    }

    fn from_numbers(numbers: &[i64; 13]) -> Self {
        let [events, failures, timed, total_us, most_us, within @ ..] = *numbers;
        Self {
            events,
            failures,
            timed,
            total_us,
            most_us,
            within,
        }
    }

    fn numbers(&self) -> [i64; 13] {
        let mut numbers = [0; 13];
        let (sums, within) = numbers.split_at_mut(5);
        sums.copy_from_slice(&[
            self.events,
            self.failures,
            self.timed,
            self.total_us,
            self.most_us,
        ]);
        within.copy_from_slice(&self.within);
        numbers
    }
}

/// Which counts to add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditCounted {
    /// Only of this class.
    pub class: Option<AuditClass>,
    /// Only of this integration.
    pub integration: Option<String>,
    /// Only of this effect.
    pub effect: Option<String>,
}

/// Where a batch is counted: span, beginning, class, integration, effect.
type Place<'a> = (i64, i64, AuditClass, &'a str, &'a str);

/// What is counted of an event.
pub(super) struct Counted<'a> {
    pub(super) at: Timestamp,
    pub(super) kind: &'a str,
    pub(super) integration: Option<&'a str>,
    pub(super) has_tool: bool,
    pub(super) effect: Option<&'a str>,
    /// Without one it is not completed and does not count.
    pub(super) outcome: Option<&'a str>,
    pub(super) facts: &'a str,
}

/// What these events add to which counts.
pub(super) fn tally<'a>(events: impl Iterator<Item = Counted<'a>>) -> Vec<(Place<'a>, [i64; 13])> {
    let mut counts: BTreeMap<Place<'a>, AuditCount> = BTreeMap::new();
    for event in events {
        let Some(outcome) = event.outcome else {
            continue;
        };
        let duration = event
            .has_tool
            .then(|| AuditCount::duration_us(event.facts))
            .flatten();
        for span in SPANS {
            let start = event.at.micros().div_euclid(span) * span;
            let place = (
                span / 1_000_000,
                start,
                AuditClass::of(event.kind, event.has_tool),
                event.integration.unwrap_or_default(),
                event.effect.unwrap_or_default(),
            );
            counts
                .entry(place)
                .or_default()
                .add(outcome != "ok", duration);
        }
    }
    counts
        .into_iter()
        .map(|(place, count)| (place, count.numbers()))
        .collect()
}

/// The columns that are counts, in the order of [`AuditCount::numbers`].
const NUMBERS: [&str; 13] = [
    "events",
    "failures",
    "timed",
    "total_us",
    "most_us",
    "within_10ms",
    "within_30ms",
    "within_100ms",
    "within_300ms",
    "within_1s",
    "within_3s",
    "within_10s",
    "longer",
];

/// Adds to the counts, for 1, 2, 4 … rows.
static ADD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let columns = format!(
        "org_id, span, start, class, integration, effect, {}",
        NUMBERS.join(", ")
    );
    let added: Vec<String> = NUMBERS
        .iter()
        .map(|column| match *column {
            "most_us" => {
                "most_us = case when excluded.most_us > audit_counts.most_us then excluded.most_us \
                          else audit_counts.most_us end"
                    .to_owned()
            }
            _ => format!("{column} = audit_counts.{column} + excluded.{column}"),
        })
        .collect();
    let conflict = format!(
        " on conflict (org_id, span, start, class, integration, effect) do update set {}",
        added.join(", ")
    );
    inserts("audit_counts", &columns)
        .into_iter()
        .map(|text| text + &conflict)
        .collect()
});

/// The first counts that one statement takes, that statement, and the others.
pub(super) fn adding<T>(rows: &[T]) -> Option<(&'static str, &[T], &[T])> {
    chunk(rows, &ADD)
}

/// Adds counts in a transaction: `add_counts!(tx, org, counts)`.
macro_rules! add_counts {
    ($tx:ident, $org:expr, $counts:expr) => {{
        let mut rest = $counts.as_slice();
        while let Some((text, some, later)) = $crate::store::audit::counts::adding(rest) {
            let mut insert = sqlx::query(text);
            for ((span, start, class, integration, effect), numbers) in some {
                insert = insert
                    .bind($org.uuid())
                    .bind(*span)
                    .bind(*start)
                    .bind(class.as_str())
                    .bind(*integration)
                    .bind(*effect);
                for number in numbers {
                    insert = insert.bind(*number);
                }
            }
            insert.execute(&mut *$tx).await?;
            rest = later;
        }
    }};
}
pub(super) use add_counts;

#[derive(FromRow)]
struct CountedColumns {
    seq: i64,
    at: i64,
    kind: String,
    integration: Option<String>,
    has_tool: i64,
    effect: Option<String>,
    outcome: Option<String>,
    facts: String,
}

#[derive(FromRow)]
struct SumColumns {
    step: i64,
    #[sqlx(flatten)]
    counts: Sums,
}

#[derive(FromRow)]
struct Sums {
    events: i64,
    failures: i64,
    timed: i64,
    total_us: i64,
    most_us: i64,
    within_10ms: i64,
    within_30ms: i64,
    within_100ms: i64,
    within_300ms: i64,
    within_1s: i64,
    within_3s: i64,
    within_10s: i64,
    longer: i64,
}

impl From<Sums> for AuditCount {
    fn from(sums: Sums) -> Self {
        Self::from_numbers(&[
            sums.events,
            sums.failures,
            sums.timed,
            sums.total_us,
            sums.most_us,
            sums.within_10ms,
            sums.within_30ms,
            sums.within_100ms,
            sums.within_300ms,
            sums.within_1s,
            sums.within_3s,
            sums.within_10s,
            sums.longer,
        ])
    }
}

/// Sums of the counts in steps; the text is the same for every filter, because an absent value fits everything.
static SUM: LazyLock<String> = LazyLock::new(|| {
    let sums: Vec<String> = NUMBERS
        .iter()
        .map(|column| match *column {
            "most_us" => "max(most_us) as most_us".to_owned(),
            _ => format!("cast(sum({column}) as bigint) as {column}"),
        })
        .collect();
    format!(
        "select (start - $3) / $5 as step, {} from audit_counts where org_id = $1 and span = $2 and start >= $3 \
         and start < $4 and (class = $6 or $6 = '') and (integration = $7 or $8 = 0) and (effect = $9 or $10 = 0) \
         group by (start - $3) / $5 order by 1",
        sums.join(", ")
    )
});

impl Store {
    /// Adds the counts between two full hours up, in steps of whole hours: the number of the step from `from` on, and the
    /// counts. Steps in which nothing happened are left out. Whole days are read by the day.
    pub async fn audit_counts(
        &self,
        org: OrgId,
        of: &AuditCounted,
        from: Timestamp,
        to: Timestamp,
        step_us: i64,
    ) -> Result<Vec<(i64, AuditCount)>, StoreError> {
        let [hour, day] = SPANS;
        let whole_days =
            from.micros() % day == 0 && to.micros() % day == 0 && step_us.max(hour) % day == 0;
        let span = if whole_days { day } else { hour };
        let rows: Vec<SumColumns> = on!(&self.db, pool => sqlx::query_as(SUM.as_str())
            .bind(org.uuid())
            .bind(span / 1_000_000)
            .bind(from.micros())
            .bind(to.micros())
            .bind(step_us.max(hour))
            .bind(of.class.map_or("", AuditClass::as_str))
            .bind(of.integration.as_deref().unwrap_or_default())
            .bind(i64::from(of.integration.is_some()))
            .bind(of.effect.as_deref().unwrap_or_default())
            .bind(i64::from(of.effect.is_some()))
            .fetch_all(pool)
            .await)?;
        Ok(rows
            .into_iter()
            .map(|row| (row.step, row.counts.into()))
            .collect())
    }

    /// Up to which event is counted, and the last event.
    pub async fn audit_counted(&self, org: OrgId) -> Result<(i64, i64), StoreError> {
        let found: Option<(i64, i64)> = on!(&self.db, pool => sqlx::query_as(
            "select counted, seq from audit_heads where org_id = $1",
        )
        .bind(org.uuid())
        .fetch_optional(pool)
        .await)?;
        Ok(found.unwrap_or_default())
    }

    /// Counts at most `limit` events that are not counted yet; answers how many it counted. Holds the end of the chain
    /// meanwhile, so `limit` should not be large.
    pub async fn catch_up_audit_counts(&self, org: OrgId, limit: u32) -> Result<usize, StoreError> {
        on!(&self.db, begin tx => {
            let found: Option<(i64, i64)> = sqlx::query_as(
                "update audit_heads set seq = seq where org_id = $1 returning counted, seq",
            )
            .bind(org.uuid())
            .fetch_optional(&mut *tx)
            .await?;
            let Some((counted, _)) = found.filter(|(counted, seq)| counted < seq) else {
                return Ok(0);
            };
            let rows: Vec<CountedColumns> = sqlx::query_as(
                "select seq, at, kind, integration, cast(case when tool is null then 0 else 1 end as bigint) as has_tool, \
                 effect, outcome, facts from audit_events where org_id = $1 and seq > $2 order by seq limit $3",
            )
            .bind(org.uuid())
            .bind(counted)
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
            let Some(last) = rows.last() else {
                return Ok(0);
            };
            let counts = tally(rows.iter().map(|row| Counted {
                at: Timestamp::from_micros(row.at),
                kind: &row.kind,
                integration: row.integration.as_deref(),
                has_tool: row.has_tool == 1,
                effect: row.effect.as_deref(),
                outcome: row.outcome.as_deref(),
                facts: &row.facts,
            }));
            add_counts!(tx, org, counts);
            sqlx::query("update audit_heads set counted = $2 where org_id = $1")
                .bind(org.uuid())
                .bind(last.seq)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(rows.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_once_by_the_hour_and_once_by_the_day() {
        let hour = 3_600_000_000;
        let event = |at: i64, outcome, facts| Counted {
            at: Timestamp::from_micros(at),
            kind: "tool.outcome",
            integration: Some("github"),
            has_tool: true,
            effect: Some("read"),
            outcome,
            facts,
        };
        let counts = tally(
            [
                event(5, None, "{}"),
                event(6, Some("ok"), r#"{"duration_us":20000}"#),
                event(7, Some("timeout"), r#"{"duration_us":60000000}"#),
                event(hour + 1, Some("ok"), "no json"),
            ]
            .into_iter(),
        );
        let brief: Vec<_> = counts
            .iter()
            .map(|((span, start, ..), n)| (*span, *start, n[0], n[1], n[2], n[4], n[6], n[12]))
            .collect();
        assert_eq!(
            brief,
            [
                (3_600, 0, 2, 1, 2, 60_000_000, 1, 1),
                (3_600, hour, 1, 0, 0, 0, 0, 0),
                (86_400, 0, 3, 1, 2, 60_000_000, 1, 1),
            ]
        );
    }

    #[test]
    fn kinds_have_classes() {
        for (kind, has_tool, class) in [
            ("tool.outcome", true, AuditClass::Calls),
            ("auth.signed_in", false, AuditClass::Security),
            ("audit.opened", false, AuditClass::Security),
            ("key.rotated", false, AuditClass::Security),
            ("connection.connected", false, AuditClass::Administration),
            ("author.x", false, AuditClass::Administration),
        ] {
            assert_eq!(AuditClass::of(kind, has_tool), class, "{kind}");
        }
    }
}
