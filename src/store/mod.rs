//! SQL lives here and nowhere else: one [`Store`], one `impl` block per table file, one body per query for both databases.
//!
//! A method is one statement or one transaction; no transaction leaves it. What must happen once is decided by the
//! statement itself (compare-and-set), so the answer is the same with one process or many.
//!
//! Not here: what the rows mean. A grant that has expired is still returned, a status is not judged.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use crate::clock::Clock;

/// Runs one body against whichever database is open, so that each is checked against its own driver.
///
/// - `on!(db, pool => …)` reads.
/// - `on!(db, write pool => …)` is one writing statement.
/// - `on!(db, begin tx => …)` is a transaction that the body commits.
///
/// SQLite has one writer at a time. Within this process writers queue in order of arrival instead of polling the file
/// lock, where a busy audit log would starve everybody else; other processes are waited for by the busy timeout. The
/// connection is taken before the turn, so that nobody waits for a connection while others wait for the turn.
macro_rules! on {
    ($db:expr, write $pool:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { writer, turn, .. } => {
                let mut connection = writer.acquire().await?;
                let _turn = turn.lock().await;
                let $pool = &mut *connection;
                $body
            }
            $crate::store::Db::Postgres($pool) => $body,
        }
    };
    ($db:expr, begin $tx:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { writer, turn, .. } => {
                let mut connection = writer.acquire().await?;
                let _turn = turn.lock().await;
                let mut $tx =
                    sqlx::Connection::begin_with(&mut *connection, "begin immediate").await?;
                $body
            }
            $crate::store::Db::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                $body
            }
        }
    };
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { readers: $pool, .. } => $body,
            $crate::store::Db::Postgres($pool) => $body,
        }
    };
}

/// Writes a row of `changes` in a transaction, as its last statement: `note!(tx, org, user, topic, at)`.
macro_rules! note {
    ($tx:ident, $org:expr, $user:expr, $topic:expr, $at:expr) => {{
        let seq: i64 = sqlx::query_scalar(super::changes::NEXT)
            .fetch_one(&mut *$tx)
            .await?;
        sqlx::query(super::changes::INSERT)
            .bind(seq)
            .bind($org)
            .bind($user)
            .bind($topic)
            .bind($at)
            .execute(&mut *$tx)
            .await?;
    }};
}

mod approvals;
mod apps;
mod audit;
mod authorizations;
mod changes;
mod clients;
mod connections;
mod error;
mod families;
mod flows;
mod grants;
mod groups;
mod idempotency;
mod identities;
mod invitations;
mod keys;
mod leases;
mod migrations;
mod passwords;
mod people;
mod records;
mod refresh;
mod rules;
mod sessions;
mod tracking;
mod untrusted;
mod url;
mod users;

pub use approvals::{ApprovalRow, ApprovalState, Asked};
pub use apps::AppRow;
pub use audit::{
    AuditAccount, AuditCheckpointRow, AuditClass, AuditCount, AuditCounted, AuditHead, AuditJoined,
    AuditLine, AuditOrder, AuditPayload, AuditQuery, AuditRow, AuditSearch, AuditStretch,
    AuditView, AuditWalk, AuditWords, DURATIONS_US, Like, WalkState,
};
pub use authorizations::{AuthorizationRow, ConsentRow};
pub use changes::Change;
pub use clients::ClientRow;
pub use connections::{ConnectionRow, Status};
pub use error::StoreError;
pub use families::{CodeUse, FamilyRow, Issue, Refreshed};
pub use flows::FlowRow;
pub use grants::{BY_TOKEN, GrantKind, GrantRow};
pub use groups::{GroupRow, Membership};
pub use idempotency::{OnceKey, OnceRow, OnceState};
pub use identities::Identity;
pub use invitations::{Accepted, InvitationRow, Joining};
pub use keys::{DataKeyRow, KeyRow};
pub use people::{PersonRow, Removed, RoleChange};
pub use records::{Record, RecordHead, Records};
pub use refresh::{Failed, Rotated};
pub use rules::{CapRow, CountRow, PolicyChange, PolicyRows, RuleRow};
pub use sessions::McpSessionRow;
pub use tracking::TrackedMail;
pub use url::{DatabaseUrl, InvalidDatabaseUrl};
pub use users::{OrgRow, UserRow};

/// SQLite before this release can corrupt a WAL database that several connections checkpoint
/// (<https://www.sqlite.org/wal.html#walresetbug>).
const SQLITE_AT_LEAST: (u32, u32, u32) = (3, 51, 3);

/// Connections of the main pool: readers on SQLite, where more than a few only compete for two cores.
const SQLITE_CONNECTIONS: u32 = 6;
const POSTGRES_CONNECTIONS: u32 = 16;
/// Refreshing tokens never waits behind ordinary requests.
const REFRESH_CONNECTIONS: u32 = 2;
/// How long a request waits for a free connection before it is told that the database is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How many times as long a start waits for a file on a busy disk: nobody is better off for a start that gives up.
const OPEN_ATTEMPTS: u32 = 10;

/// The database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// Everything that is not below.
    db: Db,
    /// Token refresh.
    refresh: Db,
    /// The audit batch.
    audit: Db,
    clock: Clock,
}

/// The closed set of databases.
#[derive(Clone, Debug)]
enum Db {
    Sqlite {
        readers: SqlitePool,
        /// Where writers wait for the turn, so that they hold no connection that a reader needs.
        writer: SqlitePool,
        /// The turn to write, shared by all pools of one [`Store`].
        turn: Arc<Mutex<()>>,
    },
    Postgres(PgPool),
}

impl Store {
    /// Opens the pools; changes nothing in the database.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let store = if let Some(options) = url.sqlite_options() {
            let turn = Arc::new(Mutex::new(()));
            // Making the file and turning it to WAL may take long on a busy disk. A pool would give up on its connection
            // meanwhile, and the next one would find the file locked by it.
            let first = options.connect().await?;
            let open = async |connections| {
                let pool = SqlitePoolOptions::new()
                    .max_connections(connections)
                    .min_connections(1)
                    // A database in memory lives as long as one connection to it.
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    // A file does not hang up; asking it before every statement costs as much as the statement.
                    .test_before_acquire(false);
                let mut attempts = 1;
                loop {
                    match pool.clone().connect_with(options.clone()).await {
                        Err(sqlx::Error::PoolTimedOut) if attempts < OPEN_ATTEMPTS => attempts += 1,
                        done => return done,
                    }
                }
            };
            let db = |readers, writer| Db::Sqlite {
                readers,
                writer,
                turn: Arc::clone(&turn),
            };
            let refresh = open(REFRESH_CONNECTIONS).await?;
            let audit = open(1).await?;
            let main = db(open(SQLITE_CONNECTIONS).await?, open(1).await?);
            first.close().await?;
            Self {
                db: main,
                refresh: db(refresh.clone(), refresh),
                audit: db(audit.clone(), audit),
                clock: Clock::System,
            }
        } else if let Some(options) = url.postgres_options() {
            let open = async |connections| {
                PgPoolOptions::new()
                    .max_connections(connections)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .connect_with(options.clone())
                    .await
                    .map(Db::Postgres)
            };
            Self {
                db: open(POSTGRES_CONNECTIONS).await?,
                refresh: open(REFRESH_CONNECTIONS).await?,
                audit: open(1).await?,
                clock: Clock::System,
            }
        } else {
            return Err(StoreError::Unavailable);
        };
        store.refuse_old_sqlite().await?;
        Ok(store)
    }

    /// The same store with another clock, which stamps the rows of `changes` and judges whether a flow has expired.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Asks the database for the smallest possible answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on!(&self.db, pool => sqlx::query("select 1").execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Whether this is the embedded database.
    pub const fn is_sqlite(&self) -> bool {
        matches!(self.db, Db::Sqlite { .. })
    }

    /// Waits until the connections are closed; SQLite then has folded its write-ahead log back into the file.
    pub async fn close(&self) {
        for db in [&self.audit, &self.refresh, &self.db] {
            match db {
                Db::Sqlite {
                    readers, writer, ..
                } => {
                    readers.close().await;
                    writer.close().await;
                }
                Db::Postgres(pool) => pool.close().await,
            }
        }
    }

    async fn refuse_old_sqlite(&self) -> Result<(), StoreError> {
        let Db::Sqlite { readers, .. } = &self.db else {
            return Ok(());
        };
        let version: String = sqlx::query_scalar("select sqlite_version()")
            .fetch_one(readers)
            .await?;
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let mut part = || parts.next().unwrap_or(0);
        if (part(), part(), part()) < SQLITE_AT_LEAST {
            return Err(StoreError::OldSqlite { version });
        }
        Ok(())
    }
}
