//! Refreshing access tokens: exactly once however many callers and replicas ask, and without ever losing a token that a
//! provider has already exchanged (security.md 4).
//!
//! In one process a refresh is a single flight, detached from whoever asked. Across replicas it is a lease taken by
//! compare-and-set on `token_version`; the loser waits and reads. New tokens are durable before anybody uses them.
//!
//! Two deliberate differences from security.md 4.2, both simpler with the same end states. Leases are measured with our
//! own [`crate::clock::Clock`], not the database's, because tests set it; a lease of 60 s bears seconds of skew. And a
//! replica that takes an unfinished attempt over and finds the grant gone expires the connection at once instead of
//! watching for a late commit, because a late commit revives an expired row by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::error::ConnectError;
use super::life::{self, Life};
use super::oauth::{self, TokenFailure, Trade};
use super::secret::Tokens;
use super::{Connections, SKEW, handle};
use crate::audit::{Actor, AdminEvent};
use crate::clock::Timestamp;
use crate::ids::ConnectionId;
use crate::kit::client::Credential;
use crate::kit::integration::{Integration, Rotation, TokenSet};
use crate::store::{ConnectionRow, Failed, Rotated, Status, StoreError};

/// How long a replica may hold a refresh. At least four times [`oauth::TOKEN_TIMEOUT`].
const LEASE: Duration = Duration::from_mins(1);
/// How long a caller waits for a refresh.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a refresh tries to get the lease.
const CONTEST: Duration = Duration::from_secs(20);
/// How long an exchanged token is kept in memory while the database does not take it.
const SAVING: Duration = Duration::from_mins(5);
/// Between two attempts that callers cause while the schedule says to wait, and between two forced ones.
const PROBE: Duration = Duration::from_mins(1);
/// How long an organization's app rests after the provider refused it.
const APP_REST: Duration = Duration::from_mins(10);
/// Connections that one process refreshes at once ahead of time; few, so that an app that is refused is noticed early.
const AT_ONCE: usize = 4;
/// The reason of a connection whose provider said when to come back.
const THROTTLED: &str = "rate_limited";
/// The failure that deactivates a connection.
const LAST_FAILURE: i64 = 10;
/// Minutes after the first, second … failure before the next attempt counts; nine waits, more than a day in all.
const WAITS_MIN: [u64; 9] = [1, 5, 15, 30, 60, 120, 240, 480, 540];

/// How a refresh ended, for everyone who waited for it.
#[derive(Clone)]
enum Flown {
    Fresh(Arc<ConnectionRow>),
    Dead(Status),
    Later(u64),
    App(String),
    Unavailable,
}

/// Whether a failed attempt may have used the refresh token up all the same. One that may stays open in the row, so that
/// the next attempt knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Over,
    Open,
}

type Flight = Shared<BoxFuture<'static, Flown>>;

/// The refreshes of this process.
#[derive(Default)]
pub(super) struct Flights {
    flying: Mutex<HashMap<ConnectionId, Flight>>,
    tasks: TaskTracker,
    /// When a caller last caused an attempt out of schedule.
    probes: Mutex<HashMap<ConnectionId, Timestamp>>,
    /// Versions that a forced refresh made, and when.
    forced: Mutex<HashMap<ConnectionId, (i64, Timestamp)>>,
    /// Providers whose app is refused, and until when to leave them alone.
    resting: Mutex<HashMap<String, (Timestamp, String)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connections {
    /// The row with an access token that is good for a call, refreshed if it must be; starts a refresh ahead of time
    /// without waiting for it.
    pub(super) async fn fresh(
        &self,
        row: Arc<ConnectionRow>,
        integration: &'static Integration,
    ) -> Result<Arc<ConnectionRow>, ConnectError> {
        let Some(expires_at) = row.access_expires_at else {
            return Ok(row);
        };
        let now = self.inner.clock.now();
        // Short lives, as the sandbox's, would otherwise always be within the skew.
        let ahead = expires_at.since(row.next_refresh_at.unwrap_or(expires_at));
        if now.plus(SKEW.min(ahead / 2)) < expires_at {
            if row.next_refresh_at.is_some_and(|at| at <= now) && self.may_try(&row, now).is_ok() {
                drop(self.fly(&row));
            }
            return Ok(row);
        }
        self.may_try(&row, now)?;
        let flight = self.fly(&row);
        match tokio::time::timeout(PATIENCE, flight).await {
            Ok(flown) => landed(flown, &row, integration),
            Err(_) => Err(ConnectError::Unavailable),
        }
    }

    /// Whether the schedule, or the last probe, allows an attempt now.
    fn may_try(&self, row: &ConnectionRow, now: Timestamp) -> Result<(), ConnectError> {
        if let Some(reason) = self.resting(&row.provider, now) {
            return Err(ConnectError::App {
                integration: row.integration.clone(),
                reason,
            });
        }
        let Some(retry_at) = row.retry_at.filter(|at| *at > now) else {
            return Ok(());
        };
        if row.reason.as_deref() == Some(THROTTLED) {
            return Err(ConnectError::Later {
                retry_after_s: retry_at.since(now).as_secs().max(1),
            });
        }
        let mut probes = locked(&self.inner.refreshes.probes);
        match probes.get(&row.id) {
            Some(at) if now.since(*at) < PROBE => Err(ConnectError::Later {
                retry_after_s: retry_at
                    .since(now)
                    .min(PROBE.saturating_sub(now.since(*at)))
                    .as_secs()
                    .max(1),
            }),
            _ => {
                probes.insert(row.id, now);
                Ok(())
            }
        }
    }

    /// Why the organization's app at this provider is left alone, while it is.
    fn resting(&self, provider: &str, now: Timestamp) -> Option<String> {
        let resting = locked(&self.inner.refreshes.resting);
        let (_, reason) = resting.get(provider).filter(|(until, _)| *until > now)?;
        Some(reason.clone())
    }

    /// As [`Self::resting`]; when a rest has just ended, whoever asks first is the one to try, and the others rest on.
    fn resting_for_others(&self, provider: &str) -> Option<String> {
        let now = self.inner.clock.now();
        let mut resting = locked(&self.inner.refreshes.resting);
        let (until, reason) = resting.get_mut(provider)?;
        if *until > now {
            return Some(reason.clone());
        }
        *until = now.plus(APP_REST);
        None
    }

    /// After a 401: a credential newer than `version`, by a forced refresh if need be. A connection whose new token is
    /// refused as well, or which has nothing to refresh with, expires.
    pub(super) async fn renew(
        &self,
        id: ConnectionId,
        version: i64,
        integration: &'static Integration,
        challenge: Option<String>,
    ) -> Result<Credential, ConnectError> {
        let row = self
            .inner
            .store
            .connection(id)
            .await?
            .ok_or(ConnectError::Missing(integration))?;
        let row = Arc::new(row);
        let (provider, _) = self.site(&row.provider)?;
        let row = if row.token_version == version {
            if self.is_owed(&row, provider, challenge).await? {
                self.expire(&row, "claims").await?;
                return Err(dead(&row, integration, Status::Expired));
            }
            let now = self.inner.clock.now();
            let forced = locked(&self.inner.refreshes.forced).get(&id).copied();
            let renewed_in_vain =
                forced.is_some_and(|(made, at)| made == version && now.since(at) < PROBE);
            let refreshable = matches!(
                self.unseal(&row, integration).await?,
                Tokens::OAuth {
                    refresh: Some(_),
                    ..
                }
            );
            if renewed_in_vain || !refreshable {
                self.expire(&row, "rejected").await?;
                return Err(dead(&row, integration, Status::Expired));
            }
            self.may_try(&row, now)?;
            let flown = tokio::time::timeout(PATIENCE, self.fly(&row)).await;
            let fresh = landed(flown.unwrap_or(Flown::Unavailable), &row, integration)?;
            locked(&self.inner.refreshes.forced).insert(id, (fresh.token_version, now));
            fresh
        } else {
            row
        };
        let tokens = self.unseal(&row, integration).await?;
        tokens
            .bearer()
            .and_then(|bearer| Credential::new(provider.api.credential, bearer, row.token_version))
            .ok_or(ConnectError::Secret)
    }

    /// Refreshes every connection that is due, `limit` at most. Called by a job; a person's call never waits for it.
    pub async fn refresh_due(&self, limit: u32) -> Result<usize, StoreError> {
        let now = self.inner.clock.now();
        let due = self.inner.store.connections_due(now, limit).await?;
        let flights = stream::iter(due)
            .filter(|row| std::future::ready(self.resting(&row.provider, now).is_none()))
            .map(|row| self.fly(&Arc::new(row)))
            .buffer_unordered(AT_ONCE);
        Ok(flights.count().await)
    }

    /// Waits for refreshes that are under way; called at shutdown so that no exchanged token is lost.
    pub async fn settle(&self) {
        self.inner.refreshes.tasks.close();
        self.inner.refreshes.tasks.wait().await;
        self.inner.refreshes.tasks.reopen();
    }

    /// The refresh of this connection that is under way, or a new one. Dropping the answer does not stop it.
    fn fly(&self, row: &Arc<ConnectionRow>) -> Flight {
        let mut flying = locked(&self.inner.refreshes.flying);
        if let Some(flight) = flying.get(&row.id) {
            return flight.clone();
        }
        let connections = self.clone();
        let (id, seen) = (row.id, row.token_version);
        let task = self.inner.refreshes.tasks.spawn(async move {
            let flown = connections.refresh(id, seen).await;
            locked(&connections.inner.refreshes.flying).remove(&id);
            flown
        });
        let flight = async move { task.await.unwrap_or(Flown::Unavailable) }
            .boxed()
            .shared();
        flying.insert(row.id, flight.clone());
        flight
    }

    async fn refresh(&self, id: ConnectionId, seen: i64) -> Flown {
        let started = tokio::time::Instant::now();
        while started.elapsed() < CONTEST {
            let row = match self.inner.store.connection_to_refresh(id).await {
                Ok(Some(row)) => row,
                Ok(None) => return Flown::Dead(Status::Expired),
                Err(_) => return Flown::Unavailable,
            };
            if row.token_version > seen {
                self.inner.people.invalidate(&row.user_id);
                return Flown::Fresh(Arc::new(row));
            }
            if matches!(row.status, Status::Expired | Status::Disabled) {
                self.inner.people.invalidate(&row.user_id);
                return Flown::Dead(row.status);
            }
            let now = self.inner.clock.now();
            let owner = &self.inner.owner;
            let claim = self
                .inner
                .store
                .claim_refresh(id, row.token_version, owner, now, now.plus(LEASE))
                .await;
            match claim {
                Ok(true) => return self.exchange(row).await,
                Ok(false) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(_) => return Flown::Unavailable,
            }
        }
        Flown::Unavailable
    }

    /// The exchange itself, by the holder of the lease.
    async fn exchange(&self, row: ConnectionRow) -> Flown {
        let Ok((provider, site)) = self.site(&row.provider) else {
            return Flown::Unavailable;
        };
        let Some(oauth) = provider.auth.oauth2() else {
            return Flown::Dead(Status::Expired);
        };
        let refresh = match self.unseal(&row, site.integration).await {
            Ok(Tokens::OAuth {
                refresh: Some(refresh),
                ..
            }) => refresh,
            Ok(_) => return self.gone(&row, "no_refresh_token").await,
            Err(ConnectError::Dead { status, .. }) => return Flown::Dead(status),
            Err(_) => {
                return self
                    .failed(&row, "the vault cannot open it", Attempt::Over)
                    .await;
            }
        };
        let (Some(app), Some(endpoints)) = (
            self.app(site, row.org_id).await,
            self.endpoints(site, oauth, row.org_id).await,
        ) else {
            return self.app_refused(&row, "not set up").await;
        };
        let http = &self.inner.http;
        let asked_at = self.inner.clock.now();
        // Another connection may have learnt it since this flight began.
        if let Some(reason) = self.resting_for_others(&row.provider) {
            self.release(&row).await;
            return Flown::App(reason);
        }
        crate::faults::point("refresh.claimed");
        let mut answer =
            oauth::trade(http, oauth, &endpoints, &app, Trade::Refresh(&refresh)).await;
        // Somebody's unfinished attempt, or our own request without an answer, may have used the token up.
        let mut maybe_used = row.attempt_started_at.is_some();
        if let Err(TokenFailure::Unknown(_)) = &answer {
            maybe_used = true;
            answer = oauth::trade(http, oauth, &endpoints, &app, Trade::Refresh(&refresh)).await;
        }
        crate::faults::point("refresh.after_response");
        if !matches!(answer, Err(TokenFailure::App(_))) {
            locked(&self.inner.refreshes.resting).remove(&row.provider);
        }
        match answer {
            Ok(tokens) if tokens.subject.as_ref().is_some_and(|of| *of != row.subject) => {
                tracing::error!(connection.id = %row.id, "a provider answered with the tokens of another account");
                let reason = "the provider answered with tokens of another account";
                self.note("connection.foreign_tokens", &row, reason).await;
                self.failed(&row, reason, Attempt::Over).await
            }
            Ok(tokens) => self.save(row, tokens, refresh, asked_at).await,
            Err(TokenFailure::Challenged(claims)) => {
                self.owe(&row, &claims).await;
                self.gone(&row, "claims").await
            }
            Err(TokenFailure::Gone(_)) => {
                let lost = maybe_used && oauth.rotation == Rotation::Strict;
                let reason = if lost {
                    "lost_rotation"
                } else if life::ended_unpublished(oauth, &row, asked_at) {
                    "app_unpublished"
                } else {
                    "revoked"
                };
                self.gone(&row, reason).await
            }
            Err(TokenFailure::App(word)) => self.app_refused(&row, &word).await,
            Err(TokenFailure::Throttled { retry_after_s }) => {
                let wait = Duration::from_secs(retry_after_s.clamp(1, 3_600));
                self.give_back(&row, row.failures, Some(wait), THROTTLED, Attempt::Over)
                    .await;
                Flown::Later(wait.as_secs())
            }
            Err(TokenFailure::Transient(reason)) => self.failed(&row, &reason, Attempt::Over).await,
            Err(TokenFailure::Unknown(reason)) => self.failed(&row, &reason, Attempt::Open).await,
        }
    }

    /// Makes exchanged tokens durable, however long the database takes.
    async fn save(
        &self,
        row: ConnectionRow,
        tokens: TokenSet,
        used: secrecy::SecretString,
        asked_at: Timestamp,
    ) -> Flown {
        let life = Life::of(&tokens, asked_at, &row);
        let scopes = tokens.scopes;
        let sealed = Tokens::OAuth {
            access: tokens.access_token,
            refresh: tokens.refresh_token.or(Some(used)),
        };
        let Ok(sealed) = sealed.seal(&self.inner.vault, &row, row.token_version + 1) else {
            return self
                .failed(&row, "the vault cannot seal it", Attempt::Over)
                .await;
        };
        let rotated = Rotated {
            sealed,
            access_expires_at: life.access_expires_at,
            refresh_expires_at: life.refresh_expires_at.or(row.refresh_expires_at),
            next_refresh_at: life.next_refresh_at,
            scopes: scopes.map(Some),
        };
        crate::faults::point("refresh.sealed");
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_millis(20);
        loop {
            match self
                .inner
                .store
                .rotate(row.id, row.token_version, &rotated)
                .await
            {
                Ok(true) => break,
                Ok(false) => {
                    // Somebody committed a newer version; theirs is what everyone uses.
                    tracing::warn!(connection.id = %row.id, "a refreshed token came too late");
                    break;
                }
                Err(error) if started.elapsed() < SAVING => {
                    tracing::error!(connection.id = %row.id, error = %error, "a refreshed token cannot be saved yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                Err(_) => return Flown::Unavailable,
            }
        }
        crate::faults::point("refresh.committed");
        locked(&self.inner.refreshes.probes).remove(&row.id);
        self.changed(row.user_id);
        self.note("connection.refreshed", &row, "").await;
        match self.inner.store.connection_to_refresh(row.id).await {
            Ok(Some(row)) => Flown::Fresh(Arc::new(row)),
            _ => Flown::Unavailable,
        }
    }

    /// The grant is gone, unless somebody else renewed it meanwhile.
    async fn gone(&self, row: &ConnectionRow, reason: &str) -> Flown {
        match self.inner.store.connection_to_refresh(row.id).await {
            Ok(Some(now)) if now.token_version > row.token_version => {
                return Flown::Fresh(Arc::new(now));
            }
            Ok(_) => {}
            Err(_) => return Flown::Unavailable,
        }
        let failed = Failed {
            status: Status::Expired,
            reason: Some(reason.to_owned()),
            failures: row.failures,
            first_failure_at: row.first_failure_at,
            retry_at: None,
            keep_lease_until: None,
        };
        self.give_up(row, &failed).await;
        self.note("connection.expired", row, reason).await;
        Flown::Dead(Status::Expired)
    }

    /// A failure that counts, unless a caller's probe caused it.
    async fn failed(&self, row: &ConnectionRow, reason: &str, attempt: Attempt) -> Flown {
        let now = self.inner.clock.now();
        locked(&self.inner.refreshes.probes).insert(row.id, now);
        if row.retry_at.is_some_and(|at| at > now) {
            self.give_back(row, row.failures, None, reason, attempt)
                .await;
            return Flown::Later(PROBE.as_secs());
        }
        let failures = row.failures + 1;
        if failures >= LAST_FAILURE {
            let failed = Failed {
                status: Status::Disabled,
                reason: Some("failed_ten_times".to_owned()),
                failures,
                first_failure_at: row.first_failure_at,
                retry_at: None,
                keep_lease_until: None,
            };
            self.give_up(row, &failed).await;
            self.note("connection.deactivated", row, reason).await;
            return Flown::Dead(Status::Disabled);
        }
        let at = usize::try_from(failures - 1)
            .unwrap_or(0)
            .min(WAITS_MIN.len() - 1);
        let wait = Duration::from_secs(WAITS_MIN[at] * 60);
        self.give_back(row, failures, Some(wait), reason, attempt)
            .await;
        self.note("connection.refresh_failed", row, reason).await;
        Flown::Later(PROBE.as_secs())
    }

    /// The organization's app is wrong; the connection is not to blame.
    async fn app_refused(&self, row: &ConnectionRow, word: &str) -> Flown {
        let until = self.inner.clock.now().plus(APP_REST);
        locked(&self.inner.refreshes.resting)
            .insert(row.provider.clone(), (until, word.to_owned()));
        self.release(row).await;
        self.note("app.refused", row, word).await;
        Flown::App(word.to_owned())
    }

    /// Gives the lease back with nothing changed.
    async fn release(&self, row: &ConnectionRow) {
        let owner = &self.inner.owner;
        let released = self
            .inner
            .store
            .release_refresh(row.id, row.token_version, owner);
        if let Err(error) = released.await {
            tracing::warn!(connection.id = %row.id, error = %error, "a refresh lease is left to run out");
        }
    }

    /// Writes a failure that leaves the connection alive and returns the lease. Its status is Error only once the access
    /// token no longer serves.
    async fn give_back(
        &self,
        row: &ConnectionRow,
        failures: i64,
        wait: Option<Duration>,
        reason: &str,
        attempt: Attempt,
    ) {
        let now = self.inner.clock.now();
        let serves = row.access_expires_at.is_none_or(|at| at > now);
        let failed = Failed {
            status: if serves { row.status } else { Status::Error },
            reason: Some(reason.to_owned()),
            failures,
            first_failure_at: row.first_failure_at.or(Some(now)),
            retry_at: wait.map(|wait| now.plus(wait)).or(row.retry_at),
            keep_lease_until: (attempt == Attempt::Open).then_some(now),
        };
        self.give_up(row, &failed).await;
    }

    async fn give_up(&self, row: &ConnectionRow, failed: &Failed) {
        let owner = &self.inner.owner;
        match self
            .inner
            .store
            .fail_refresh(row.id, row.token_version, owner, failed)
            .await
        {
            Ok(_) => self.changed(row.user_id),
            Err(error) => {
                tracing::warn!(connection.id = %row.id, error = %error, "a failed refresh cannot be written down");
            }
        }
    }

    /// Records what happened to a connection. A log that cannot take it is reported; the tokens are safe already.
    pub(super) async fn note(&self, kind: &'static str, row: &ConnectionRow, reason: &str) {
        let event = AdminEvent {
            kind,
            target: handle(row).into(),
            integration: Some(&row.integration),
            connection: Some(row.id),
            outcome: "",
            detail: json!({ "token_version": row.token_version, "reason": reason }),
        };
        let owner = Actor::Person {
            user: row.user_id,
            grant: None,
        };
        if let Err(error) = self.inner.audit.record(owner, row.org_id, event).await {
            tracing::error!(connection.id = %row.id, error = %error, "what happened to a connection is not in the log");
        }
    }
}

pub(super) fn dead(
    row: &ConnectionRow,
    integration: &'static Integration,
    status: Status,
) -> ConnectError {
    ConnectError::Dead {
        integration,
        id: row.id,
        account: handle(row),
        status,
    }
}

fn landed(
    flown: Flown,
    row: &ConnectionRow,
    integration: &'static Integration,
) -> Result<Arc<ConnectionRow>, ConnectError> {
    match flown {
        Flown::Fresh(row) => Ok(row),
        Flown::Dead(status) => Err(dead(row, integration, status)),
        Flown::Later(retry_after_s) => Err(ConnectError::Later { retry_after_s }),
        Flown::App(reason) => Err(ConnectError::App {
            integration: row.integration.clone(),
            reason,
        }),
        Flown::Unavailable => Err(ConnectError::Unavailable),
    }
}
