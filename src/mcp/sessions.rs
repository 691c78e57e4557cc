//! The sessions of the protocol revisions before 2026-07-28: whose they are, and that they have not ended. rmcp keeps what
//! is needed to answer in memory; this is what decides whether a request may reach it, on every replica alike.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::caller::Caller;
use crate::clock::{Clock, Timestamp};
use crate::ids::UserId;

/// Live sessions per person.
pub(super) const MAX_LIVE: usize = 32;
/// A session that was silent for so long makes room for a new one.
const IDLE: Duration = Duration::from_hours(8);

/// The rows could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the sessions are unavailable")]
pub(super) struct Unavailable;

/// Everyone's sessions.
#[derive(Clone)]
pub struct Sessions {
    clock: Clock,
    rows: Arc<Mutex<HashMap<String, Row>>>,
}

struct Row {
    user: UserId,
    initialize: String,
    last_seen_at: Timestamp,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            rows: Arc::default(),
        }
    }

    /// Records a session that rmcp has just opened.
    #[expect(clippy::unused_async, reason = "the rows move to the store")]
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        id: &str,
        initialize: &str,
    ) -> Result<(), Unavailable> {
        let now = self.clock.now();
        self.rows().insert(
            id.to_owned(),
            Row {
                user: caller.user,
                initialize: initialize.to_owned(),
                last_seen_at: now,
            },
        );
        Ok(())
    }

    /// Whether `id` is a live session of this person.
    #[expect(clippy::unused_async, reason = "the rows move to the store")]
    pub(super) async fn admits(&self, caller: &Caller, id: &str) -> Result<bool, Unavailable> {
        let now = self.clock.now();
        Ok(self.rows().get_mut(id).is_some_and(|row| {
            row.last_seen_at = now;
            row.user == caller.user
        }))
    }

    /// Whether this person may open one more.
    #[expect(clippy::unused_async, reason = "the rows move to the store")]
    pub(super) async fn has_room(&self, caller: &Caller) -> Result<bool, Unavailable> {
        let oldest = self.clock.now().minus(IDLE);
        let mut rows = self.rows();
        rows.retain(|_, row| row.last_seen_at >= oldest);
        Ok(rows.values().filter(|row| row.user == caller.user).count() < MAX_LIVE)
    }

    /// Ends a session for good.
    #[expect(clippy::unused_async, reason = "the rows move to the store")]
    pub(super) async fn end(&self, id: &str) -> Result<(), Unavailable> {
        self.rows().remove(id);
        Ok(())
    }

    /// The parameters with which a live session was opened, as JSON.
    #[expect(clippy::unused_async, reason = "the rows move to the store")]
    pub(super) async fn opened_with(&self, id: &str) -> Result<Option<String>, Unavailable> {
        Ok(self.rows().get(id).map(|row| row.initialize.clone()))
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<String, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
