//! The installation as its admins see it: version, database, processes, the audit log's head, the vault's keys; and turning
//! those keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::{Actor, AdminEvent, AuditError, AuditLog};
use crate::clock::{Clock, Timestamp};
use crate::ids::OrgId;
use crate::keys::{self, KeysError, Rotated};
use crate::rounds::{Ended, Rounds, Work};
use crate::store::{AuditHead, Store};
use crate::vault::Vault;

/// What it works on.
pub struct Parts {
    /// Rows.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Keys.
    pub vault: Vault,
    /// The log.
    pub audit: AuditLog,
    /// The one organization.
    pub org: OrgId,
    /// How the background work goes.
    pub rounds: Arc<Rounds>,
}

/// The installation. Cheap to clone.
#[derive(Clone)]
pub struct System {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    started_at: Timestamp,
    rotation: Mutex<Rotation>,
    resealed: AtomicUsize,
}

/// How turning the keys stands in this process.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// Not since it started.
    Idle,
    /// Under way; so many secrets are sealed anew.
    Running(usize),
    /// Done.
    Done(Arc<Rotated>),
    /// It stopped, for this reason.
    Failed(Arc<str>),
}

/// Why keys were not turned.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The keys do not allow it.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// It could not be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// A process of this installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its name, which lasts as long as it runs.
    pub name: String,
    /// The ids of the encryption keys that it knows, the sealing one first.
    pub keys: String,
}

/// How everything stands.
#[derive(Debug)]
pub struct Overview {
    /// Of this binary.
    pub version: &'static str,
    /// What the database is.
    pub database: &'static str,
    /// When this process started.
    pub started_at: Timestamp,
    /// The processes that showed a sign of life lately, this one included once its jobs run.
    pub replicas: Vec<Replica>,
    /// The background work of this process: the end of its last round, and how that ended.
    pub rounds: Vec<(Work, Option<(Timestamp, Ended)>)>,
    /// The head of the organization's log; `None` before its first event.
    pub log: Option<AuditHead>,
    /// What is sealed under which key.
    pub keys: Vec<keys::Status>,
    /// Turning the keys.
    pub rotation: Rotation,
}

impl System {
    /// The installation over these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                started_at: parts.clock.now(),
                parts,
                rotation: Mutex::new(Rotation::Idle),
                resealed: AtomicUsize::new(0),
            }),
        }
    }

    /// How everything stands.
    pub async fn overview(&self) -> Result<Overview, KeysError> {
        let Parts {
            store,
            clock,
            vault,
            org,
            ..
        } = &self.inner.parts;
        let leases = store.leases(keys::REPLICA, clock.now()).await?;
        let replicas = leases.into_iter().map(|(name, keys)| {
            let name = name.trim_start_matches(keys::REPLICA);
            let name = name.split('/').next().unwrap_or_default().to_owned();
            Replica { name, keys }
        });
        let heads = store.audit_heads().await?;
        Ok(Overview {
            version: env!("CARGO_PKG_VERSION"),
            database: if store.is_sqlite() {
                "SQLite, embedded"
            } else {
                "PostgreSQL"
            },
            started_at: self.inner.started_at,
            replicas: replicas.collect(),
            rounds: self.inner.parts.rounds.last(),
            log: heads.into_iter().find(|head| head.org_id == *org),
            keys: keys::status(store, vault, *org).await?,
            rotation: self.rotation(),
        })
    }

    fn rotation(&self) -> Rotation {
        let rotation = self.inner.rotation.lock();
        match &*rotation.unwrap_or_else(PoisonError::into_inner) {
            Rotation::Running(_) => Rotation::Running(self.inner.resealed.load(Ordering::Relaxed)),
            still @ (Rotation::Idle | Rotation::Done(_) | Rotation::Failed(_)) => still.clone(),
        }
    }

    fn set(&self, rotation: Rotation) {
        *self
            .inner
            .rotation
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = rotation;
    }

    /// Moves everything to the ring's first key, and records it. `told` hears how many secrets were sealed anew so far.
    pub async fn rotate(&self, by: Actor, told: impl Fn(usize)) -> Result<Rotated, RotationError> {
        let Parts {
            store,
            clock,
            vault,
            audit,
            org,
            ..
        } = &self.inner.parts;
        let done = keys::rotate(store, vault, *org, clock.now(), told).await?;
        let event = AdminEvent {
            kind: "key.rotated",
            target: done.key.as_str().into(),
            detail: serde_json::to_value(&done).unwrap_or_default(),
            ..AdminEvent::default()
        };
        audit.record(by, *org, event).await?;
        Ok(done)
    }

    /// As [`System::rotate`], in the background; false when it is under way already. A process that ends meanwhile loses
    /// nothing: what is not sealed anew yet opens as before, and the next rotation goes on.
    pub fn begin_rotation(&self, by: Actor) -> bool {
        {
            let rotation = self.inner.rotation.lock();
            let mut rotation = rotation.unwrap_or_else(PoisonError::into_inner);
            if matches!(*rotation, Rotation::Running(_)) {
                return false;
            }
            *rotation = Rotation::Running(0);
        }
        self.inner.resealed.store(0, Ordering::Relaxed);
        let system = self.clone();
        tokio::spawn(async move {
            let told = |count| system.inner.resealed.store(count, Ordering::Relaxed);
            let ended = match system.rotate(by, told).await {
                Ok(done) => Rotation::Done(Arc::new(done)),
                Err(error) => {
                    tracing::error!(error = %error, "the keys are not turned");
                    Rotation::Failed(error.to_string().into())
                }
            };
            system.set(ended);
        });
        true
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System").finish_non_exhaustive()
    }
}
