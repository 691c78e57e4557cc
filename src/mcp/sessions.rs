//! The sessions of the protocol revisions before 2026-07-28: whose they are, and that they have not ended. rmcp keeps in
//! memory what it needs to answer; the rows here decide whether a request may reach it, on every replica alike.

use std::time::Duration;

use crate::caller::Caller;
use crate::clock::Clock;
use crate::store::{McpSessionRow, Store, StoreError};

/// Live sessions per person.
pub(super) const MAX_LIVE: i64 = 32;
/// A session that was silent for so long makes room for a new one.
const IDLE: Duration = Duration::from_hours(8);
/// How exactly it is known when a session was last used; finer would write a row on every request.
const NOTED: Duration = Duration::from_mins(5);

/// Everyone's sessions.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    store: Store,
    clock: Clock,
}

impl Sessions {
    /// The sessions in `store`.
    pub(super) const fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Records a session that rmcp has just opened with the JSON parameters `initialize`.
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        id: &str,
        initialize: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store
            .insert_session(&McpSessionRow {
                id: id.to_owned(),
                org_id: caller.org,
                user_id: caller.user,
                initialize: initialize.to_owned(),
                created_at: now,
                last_seen_at: now,
                ended_at: None,
            })
            .await
    }

    /// Whether `id` is a live session of this person.
    pub(super) async fn admits(&self, caller: &Caller, id: &str) -> Result<bool, StoreError> {
        let Some(row) = self.store.session(id).await? else {
            return Ok(false);
        };
        if row.user_id != caller.user || row.org_id != caller.org || row.ended_at.is_some() {
            return Ok(false);
        }
        let now = self.clock.now();
        if now.since(row.last_seen_at) >= NOTED {
            self.store.touch_session(id, now).await?;
        }
        Ok(true)
    }

    /// Whether this person may open one more. Clients seldom end their sessions, so those long silent make room.
    pub(super) async fn has_room(&self, caller: &Caller) -> Result<bool, StoreError> {
        if self.store.live_sessions(caller.user).await? < MAX_LIVE {
            return Ok(true);
        }
        let now = self.clock.now();
        self.store
            .end_sessions_idle_before(now.minus(IDLE), now)
            .await?;
        Ok(self.store.live_sessions(caller.user).await? < MAX_LIVE)
    }

    /// Ends a session for good.
    pub(super) async fn end(&self, id: &str) -> Result<(), StoreError> {
        // Ended already is as good.
        self.store.end_session(id, self.clock.now()).await.map(drop)
    }

    /// The parameters with which a live session was opened, as JSON.
    pub(super) async fn opened_with(&self, id: &str) -> Result<Option<String>, StoreError> {
        let row = self.store.session(id).await?;
        Ok(row
            .filter(|row| row.ended_at.is_none())
            .map(|row| row.initialize))
    }
}
