//! What goes on in the background of a serving process. Everything here can be lost and done again: each job looks at
//! the database and does what is due.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::AuditLog;
use crate::auth::Auth;
use crate::auth::server::AuthorizationServer;
use crate::calls::Calls;
use crate::changes::{Changes, Heard};
use crate::clock::Clock;
use crate::connect::Connections;
use crate::keys;
use crate::removal;
use crate::rounds::{Ended, Rounds, Work};
use crate::store::{Store, StoreError};
use crate::vault::Vault;

/// Connections refreshed in one round.
const REFRESHES: u32 = 50;
/// How long a replica is believed to live after its last sign.
const ALIVE: Duration = Duration::from_secs(30);
/// After this, a call without an outcome cannot be under way any more.
const STALE_CALL: Duration = Duration::from_mins(10);
/// How long attempts to connect, and changes that everybody has heard of, are kept.
const KEPT: Duration = Duration::from_hours(24);
/// How long one round counts audit events that an earlier release did not count.
const CATCHING_UP: Duration = Duration::from_secs(20);
/// How long it can be looked up how an export or a verification went; the log itself keeps that.
const KEPT_WALKS: Duration = Duration::from_hours(30 * 24);
/// How long a legacy MCP session may be idle.
const IDLE_SESSION: Duration = Duration::from_hours(8);

/// What the jobs work on.
#[derive(Clone)]
pub struct Jobs {
    /// Rows.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Keys.
    pub vault: Vault,
    /// The log.
    pub audit: AuditLog,
    /// Credentials.
    pub auth: Auth,
    /// Signed-in MCP clients.
    pub server: AuthorizationServer,
    /// Accounts.
    pub connections: Connections,
    /// Limits and rules.
    pub calls: Calls,
    /// News.
    pub changes: Changes,
    /// This process's name among replicas.
    pub owner: String,
    /// How it goes.
    pub rounds: Arc<Rounds>,
}

impl Jobs {
    /// Starts all of them; they stop when `stop` is cancelled.
    pub fn start(self, tasks: &TaskTracker, stop: &CancellationToken) {
        let run = |task: futures_util::future::BoxFuture<'static, ()>| {
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = task => {}
                    () = stop.cancelled() => {}
                }
            });
        };
        let jobs = self.clone();
        run(Box::pin(async move { jobs.changes.run().await }));
        let (jobs, heard) = (self.clone(), self.changes.subscribe());
        run(Box::pin(
            async move { jobs.connections.follow(heard).await },
        ));
        let (jobs, heard) = (self.clone(), self.changes.subscribe());
        run(Box::pin(async move { jobs.calls.follow(heard).await }));
        let (jobs, heard) = (self.clone(), self.changes.subscribe());
        run(Box::pin(async move { jobs.auth.follow(heard).await }));
        let (jobs, heard) = (self.clone(), self.changes.subscribe());
        run(Box::pin(async move { jobs.follow_keys(heard).await }));
        let jobs = self.clone();
        run(Box::pin(async move {
            jobs.every(Work::Refresh, Self::refresh).await;
        }));
        run(Box::pin(async move {
            self.every(Work::Tidy, Self::tidy).await;
        }));
    }

    async fn every<F>(&self, work: Work, round: impl Fn(Self) -> F)
    where
        F: Future<Output = Result<Ended, StoreError>>,
    {
        loop {
            let ended = round(self.clone()).await.unwrap_or_else(|error| {
                tracing::warn!(error = %error, "a background job is put off");
                Ended::PutOff(error.to_string())
            });
            self.rounds.note(work, self.clock.now(), ended);
            tokio::time::sleep(work.pause()).await;
        }
    }

    async fn refresh(self) -> Result<Ended, StoreError> {
        let now = self.clock.now();
        let keys = self.vault.key_ids().join(",");
        let name = format!("{}{}/{keys}", keys::REPLICA, self.owner);
        self.store
            .claim_lease(&name, &keys, now, now.plus(ALIVE))
            .await?;
        self.connections.flush_used().await?;
        self.auth.flush_used().await?;
        self.connections.refresh_due(REFRESHES).await?;
        Ok(Ended::Done)
    }

    async fn tidy(self) -> Result<Ended, StoreError> {
        let now = self.clock.now();
        self.calls.sweep();
        self.server.sweep();
        self.auth.sweep();
        // One replica tidies at a time; the others would find nothing.
        if !self
            .store
            .claim_lease("tidy", &self.owner, now, now.plus(Work::Tidy.pause()))
            .await?
        {
            return Ok(Ended::Elsewhere);
        }
        if let Err(error) = self.audit.close_stale(STALE_CALL).await {
            tracing::warn!(error = %error, "stale calls are not closed yet");
        }
        self.audit.catch_up_counts(CATCHING_UP).await?;
        self.audit.forget_walks(KEPT_WALKS).await?;
        if let Err(error) = removal::finish(&self.store, &self.connections, now).await {
            tracing::warn!(error = %error, "accounts of removed people are still stored");
        }
        self.store
            .delete_invitations_before(now.minus(KEPT))
            .await?;
        self.store.delete_flows_before(now.minus(KEPT)).await?;
        self.server.tidy().await?;
        self.store.delete_changes_before(now.minus(KEPT)).await?;
        self.store.delete_once_before(now).await?;
        self.store.delete_untrusted_reads_before(now).await?;
        self.calls.approvals().sweep().await?;
        self.store.delete_cap_counts_before(now.day()).await?;
        self.store
            .end_sessions_idle_before(now.minus(IDLE_SESSION), now)
            .await?;
        Ok(Ended::Done)
    }

    /// Loads data keys that another process made.
    async fn follow_keys(&self, mut heard: tokio::sync::broadcast::Receiver<Heard>) {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match heard.recv().await {
                Ok(Heard::Change(change)) if change.topic != "key" => continue,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
            if let Err(error) = keys::load(&self.store, &self.vault).await {
                tracing::error!(error = %error, "new data keys cannot be loaded");
            }
        }
    }

    /// Saves what is only in memory; called at shutdown.
    pub async fn settle(&self) {
        self.connections.settle().await;
        for saved in [
            self.connections.flush_used().await,
            self.auth.flush_used().await,
        ] {
            if let Err(error) = saved {
                tracing::warn!(error = %error, "when accounts were last used is not saved");
            }
        }
        let keys = self.vault.key_ids().join(",");
        let name = format!("{}{}/{keys}", keys::REPLICA, self.owner);
        if let Err(error) = self.store.release_lease(&name, &keys).await {
            tracing::warn!(error = %error, "this process still counts as running for half a minute");
        }
    }
}
