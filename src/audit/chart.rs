//! Calls, failures and durations over time. Where the hourly counts know the filter they are added up; otherwise the
//! newest events that fit are counted, as many as are found in a moment, and the chart says so.

use std::time::Duration;

use super::review::Beyond;
use super::{AuditLog, Count, Like, Order, Search};
use crate::clock::Timestamp;
use crate::ids::OrgId;
use crate::store::{AuditCounted, StoreError};

/// Most bars of a chart.
const BARS: i64 = 60;

/// Events that are counted one by one at most, and how long that may take.
const SAMPLE: (u32, Duration) = (3_000, Duration::from_millis(30));

/// What is shown when no beginning was asked for.
const USUAL: Duration = Duration::from_hours(30 * 24);

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long a bar may be, in microseconds.
const STEPS: [i64; 11] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
    120 * DAY,
];

/// A stretch of time and what happened in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, left out.
    pub to: Timestamp,
    /// What is counted of it.
    pub count: Count,
}

/// Where the numbers of a chart come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// The counts, which are whole.
    Counts,
    /// The counts, while a job still counts what an earlier release wrote after this event.
    CountsUpTo(i64),
    /// Every event that fits, one by one.
    Events,
    /// The newest events that fit, so many, back to then.
    Newest(usize, Timestamp),
}

/// Bars without gaps, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// One after the other.
    pub bars: Vec<Bar>,
    /// Where they come from.
    pub served: Served,
}

/// The hourly counts that a filter asks for, if they know it; and whether only what failed.
fn counted(search: &Search) -> Option<(AuditCounted, bool)> {
    let Search {
        user: None,
        connection: None,
        tool: None,
        thread: None,
        words: None,
        integration,
        effect,
        outcome,
        kind,
        ..
    } = search
    else {
        return None;
    };
    let failures = match outcome {
        None => false,
        Some(Like::NotOk) => true,
        Some(_) => return None,
    };
    let class = match kind {
        None => None,
        Some(Like::Class(class)) => Some(*class),
        Some(_) => return None,
    };
    Some((
        AuditCounted {
            class,
            integration: integration.clone(),
            effect: effect.clone(),
        },
        failures,
    ))
}

impl AuditLog {
    /// A chart of what fits between two instants; of the last thirty days when no beginning is given. Bars are whole
    /// minutes, hours or days (UTC), so the first and the last may reach beyond the range.
    pub async fn chart(
        &self,
        org: OrgId,
        search: &Search,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Chart, StoreError> {
        let to = until.unwrap_or_else(|| self.clock.now().plus(Duration::from_micros(1)));
        let from = since.unwrap_or_else(|| to.minus(USUAL)).min(to);
        let length = (to.micros() - from.micros()).max(1);
        let fitting = STEPS.into_iter().find(|step| length / step < BARS);
        let step = fitting.unwrap_or_else(|| (length / BARS / DAY + 1) * DAY);
        let start = from.micros().div_euclid(step) * step;
        let end = (to.micros() - 1).div_euclid(step) * step + step;
        let number = usize::try_from((end - start) / step).unwrap_or(0);
        let mut bars: Vec<Bar> = (0..)
            .map(|at| start + at * step)
            .take(number)
            .map(|at| Bar {
                from: Timestamp::from_micros(at),
                to: Timestamp::from_micros(at + step),
                count: Count::default(),
            })
            .collect();
        let served = match counted(search) {
            Some((of, failures)) if step >= HOUR => {
                let (start, end) = (Timestamp::from_micros(start), Timestamp::from_micros(end));
                let sums = self.store.audit_counts(org, &of, start, end, step).await?;
                for (at, count) in sums {
                    let bar = usize::try_from(at).ok().and_then(|at| bars.get_mut(at));
                    let Some(bar) = bar else { continue };
                    // How long failures took is not counted apart.
                    bar.count = if failures {
                        Count {
                            events: count.failures,
                            failures: count.failures,
                            ..Count::default()
                        }
                    } else {
                        count
                    };
                }
                let (counted, last) = self.store.audit_counted(org).await?;
                if counted < last {
                    Served::CountsUpTo(counted)
                } else {
                    Served::Counts
                }
            }
            _ => self.sample(org, search, &mut bars, step).await?,
        };
        Ok(Chart { bars, served })
    }

    async fn sample(
        &self,
        org: OrgId,
        search: &Search,
        bars: &mut [Bar],
        step: i64,
    ) -> Result<Served, StoreError> {
        let (Some(first), Some(last)) = (bars.first().copied(), bars.last().copied()) else {
            return Ok(Served::Events);
        };
        let (above, below) = self.range(org, Some(first.from), Some(last.to)).await?;
        let search = Search {
            above,
            below,
            ..search.clone()
        };
        let (most, patience) = SAMPLE;
        let found = self
            .search(org, search, Order::Down, most, patience)
            .await?;
        for line in &found.lines {
            let at = (line.at.micros() - first.from.micros()).div_euclid(step);
            let bar = usize::try_from(at).ok().and_then(|at| bars.get_mut(at));
            if let Some(bar) = bar {
                let duration = line.tool.as_ref().and(Count::duration_us(&line.facts));
                bar.count.add(line.outcome != "ok", duration);
            }
        }
        Ok(match found.beyond {
            Beyond::Nothing => Served::Events,
            Beyond::More(_) => Served::Newest(
                found.lines.len(),
                found.lines.last().map_or(first.from, |line| line.at),
            ),
            Beyond::Searched(_, at) => Served::Newest(found.lines.len(), at),
        })
    }

    /// How many completed events fit a range, when the counts know; `None` when they do not. Whole hours are counted, so
    /// it is an estimate where the range is not of whole hours.
    pub async fn estimate(
        &self,
        org: OrgId,
        search: &Search,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Option<i64>, StoreError> {
        let Some((of, failures)) = counted(search) else {
            return Ok(None);
        };
        let whole = |at: Timestamp, up: i64| {
            Timestamp::from_micros((at.micros() + up).div_euclid(HOUR) * HOUR)
        };
        let from = since.map_or(Timestamp::default(), |since| whole(since, 0));
        let to = whole(until.unwrap_or_else(|| self.clock.now()), HOUR - 1);
        // Days are read where both ends allow it.
        let (from, to) = match (since, until) {
            (None, None) => (
                from,
                Timestamp::from_micros((to.micros() + DAY - 1).div_euclid(DAY) * DAY),
            ),
            _ => (from, to),
        };
        let length = (to.micros() - from.micros()).max(HOUR);
        let step = (length + DAY - 1).div_euclid(DAY) * DAY;
        let sums = self.store.audit_counts(org, &of, from, to, step).await?;
        let number = |count: &Count| {
            if failures {
                count.failures
            } else {
                count.events
            }
        };
        Ok(Some(sums.iter().map(|(_, count)| number(count)).sum()))
    }

    /// Counts what an earlier release wrote, for no longer than `patience`; answers how many events it counted.
    pub async fn catch_up_counts(&self, patience: Duration) -> Result<u64, StoreError> {
        /// Few enough to hold the end of a chain for some milliseconds only.
        const EVENTS: u32 = 1_000;
        let started = std::time::Instant::now();
        let mut all = 0;
        for head in self.store.audit_heads().await? {
            loop {
                let counted = self
                    .store
                    .catch_up_audit_counts(head.org_id, EVENTS)
                    .await?;
                all += counted as u64;
                if counted == 0 || started.elapsed() > patience {
                    break;
                }
                // Those who wait to write go first.
                tokio::task::yield_now().await;
            }
        }
        Ok(all)
    }
}
