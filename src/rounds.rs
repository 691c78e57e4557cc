//! How the background work of this process goes, for whoever looks after the installation.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// Work that is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Access tokens.
    Refresh,
    /// What is over or forgotten.
    Tidy,
}

impl Work {
    /// All of it.
    pub const ALL: [Self; 2] = [Self::Refresh, Self::Tidy];

    /// What it does, in words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Refresh => "Refreshes tokens before they end; saves when accounts were last used",
            Self::Tidy => {
                "Closes calls that nobody finished, counts the log, finishes removals, deletes what has expired"
            }
        }
    }

    /// Between the end of a round and the next one.
    pub const fn pause(self) -> Duration {
        match self {
            Self::Refresh => Duration::from_secs(5),
            Self::Tidy => Duration::from_mins(1),
        }
    }
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was due is done.
    Done,
    /// Another process does it.
    Elsewhere,
    /// It is put off to the next round, for this reason.
    PutOff(String),
}

/// The last rounds of all work; the same for all clones of its `Arc`.
#[derive(Debug, Default)]
pub struct Rounds(Mutex<[Option<(Timestamp, Ended)>; Work::ALL.len()]>);

impl Rounds {
    /// Notes that a round ended.
    pub fn note(&self, work: Work, at: Timestamp, ended: Ended) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last[work as usize] = Some((at, ended));
    }

    /// Of each the last round's end and how it ended; `None` before the first one.
    pub fn last(&self) -> Vec<(Work, Option<(Timestamp, Ended)>)> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Work::ALL.into_iter().zip(last.iter().cloned()).collect()
    }
}
