//! Tells everyone in this process what changed for a person or an organization: an account was connected or died, an
//! integration was switched, a token was revoked. Changes are rows, written with what they tell of, so that other
//! replicas and the commands of the same installation are heard too; this process hears its own at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::ids::{OrgId, UserId};
use crate::store::{Change, Store, StoreError};

/// How long a change of another process may go unheard.
pub const POLL: Duration = Duration::from_millis(250);
/// Longest one look may take. Whoever cannot hear what changed must not go on with what they remember.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long rows that a change makes old may be remembered at all, as a second net. The first one is [`Changes::run`],
/// which tells everybody to forget when changes cannot be read.
pub const REMEMBERED: Duration = Duration::from_mins(1);
/// Changes read at once.
const BATCH: u32 = 500;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// One row.
    Change(Arc<Change>),
    /// So many that single ones were lost; assume everything.
    Everything,
}

impl Heard {
    /// Whether it concerns this person.
    pub fn concerns(&self, org: OrgId, user: UserId) -> bool {
        match self {
            Self::Everything => true,
            Self::Change(change) => {
                change.org_id == org && change.user_id.is_none_or(|changed| changed == user)
            }
        }
    }
}

/// The process's ear. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    store: Store,
    seen: Arc<AtomicI64>,
    wake: Arc<Notify>,
    sender: broadcast::Sender<Heard>,
}

impl Changes {
    /// Listens from the present on; [`Changes::run`] does the hearing.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let seen = store.latest_change().await?;
        Ok(Self {
            store,
            seen: Arc::new(AtomicI64::new(seen)),
            wake: Arc::new(Notify::new()),
            sender: broadcast::channel(1_024).0,
        })
    }

    /// A receiver of every change from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Heard> {
        self.sender.subscribe()
    }

    /// Looks for changes at once instead of at the next poll. Call it after writing one.
    pub fn nudge(&self) {
        self.wake.notify_one();
    }

    /// Hears changes until the future is dropped. A database that does not answer is asked again at the next poll, and
    /// until it does nothing is remembered: a revoked token is refused within seconds whatever happens.
    pub async fn run(&self) {
        loop {
            // Either way it is time to look.
            let _polled = tokio::time::timeout(POLL, self.wake.notified()).await;
            let failed = match tokio::time::timeout(PATIENCE, self.hear()).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            tracing::warn!(error = failed, "changes cannot be read");
            let _ = self.sender.send(Heard::Everything);
        }
    }

    /// Reads what is new and tells it.
    pub async fn hear(&self) -> Result<(), StoreError> {
        loop {
            let after = self.seen.load(Ordering::Acquire);
            let changes = self.store.changes_after(after, BATCH).await?;
            let Some(last) = changes.last().map(|change| change.seq) else {
                return Ok(());
            };
            let full = changes.len() as u64 >= u64::from(BATCH);
            self.seen.store(last, Ordering::Release);
            // Nobody listening is no failure.
            if full {
                let _ = self.sender.send(Heard::Everything);
            } else {
                for change in changes {
                    let _ = self.sender.send(Heard::Change(Arc::new(change)));
                }
                return Ok(());
            }
        }
    }
}
