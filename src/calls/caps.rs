//! Daily caps: how often a day calls may reach people outside. What was counted is rows, so that all processes together
//! never pass a cap, and a restart forgets nothing.

use std::time::Duration;

use super::Calls;
use super::explain::Failure;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::ids::{OrgId, UserId};
use crate::policy::{Cap, Per, Rules};

const DAY: Duration = Duration::from_hours(24);

/// A call that was counted.
pub(super) struct Counted {
    org: OrgId,
    day: i64,
    caps: Vec<(String, String, i64)>,
}

impl Counted {
    /// Takes the count back, because nothing left the house. When that fails the day merely has one call less.
    pub(super) async fn take_back(self, calls: &Calls) {
        let store = &calls.inner.store;
        if let Err(error) = store.uncount_call(self.org, self.day, &self.caps).await {
            tracing::warn!(error = %error, "a call that was not made stays counted");
        }
    }
}

/// Counts a call of this tool under every cap on it, or fails when one of them is reached.
pub(super) async fn count(
    calls: &Calls,
    caller: &Caller,
    rules: &Rules,
    tool: &str,
    now: Timestamp,
) -> Result<Option<Counted>, Failure> {
    let caps: Vec<&Cap> = rules.caps_of(tool).collect();
    if caps.is_empty() {
        return Ok(None);
    }
    let counted = Counted {
        org: caller.org,
        day: now.day(),
        caps: caps
            .iter()
            .map(|cap| {
                let most = i64::from(cap.calls_a_day.get());
                (cap.tools.to_string(), whose(cap, caller.user), most)
            })
            .collect(),
    };
    let full = calls
        .inner
        .store
        .count_call(counted.org, counted.day, &counted.caps)
        .await?;
    match full.and_then(|at| caps.get(at)) {
        None => Ok(Some(counted)),
        Some(cap) => {
            let resets = resets(now);
            Err(Failure::Capped {
                cap: (*cap).clone(),
                resets,
                seconds: resets.since(now).as_secs() + 1,
            })
        }
    }
}

/// Under what a cap counts this person's calls.
pub(super) fn whose(cap: &Cap, user: UserId) -> String {
    match cap.per {
        Per::Person => user.to_string(),
        Per::Organization => cap.per.as_str().to_owned(),
    }
}

/// When the count of the day begins anew.
pub(super) fn resets(now: Timestamp) -> Timestamp {
    let day = i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.day().saturating_mul(day)).plus(DAY)
}

/// The cap in words.
pub(super) fn words(cap: &Cap) -> String {
    let whose = match cap.per {
        Per::Person => "for each person",
        Per::Organization => "for the organization",
    };
    format!("{} calls of {} {whose}", cap.calls_a_day, cap.tools)
}
