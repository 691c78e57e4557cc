//! The schema, as pairs: one step cannot exist for one database alone, and a reviewer sees both texts side by side.
//!
//! Every step must work with the previous release still running beside it: first add, and remove a release later.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::{Db, Store, StoreError};

/// One change of the schema.
struct Step {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const STEPS: &[Step] = &[
    Step {
        version: 1,
        name: "init",
        sqlite: include_str!("migrations/0001_init.sqlite.sql"),
        postgres: include_str!("migrations/0001_init.postgres.sql"),
    },
    Step {
        version: 2,
        name: "audit",
        sqlite: include_str!("migrations/0002_audit.sqlite.sql"),
        postgres: include_str!("migrations/0002_audit.postgres.sql"),
    },
    Step {
        version: 3,
        name: "door",
        sqlite: include_str!("migrations/0003_door.sqlite.sql"),
        postgres: include_str!("migrations/0003_door.postgres.sql"),
    },
    Step {
        version: 4,
        name: "people",
        sqlite: include_str!("migrations/0004_people.sqlite.sql"),
        postgres: include_str!("migrations/0004_people.postgres.sql"),
    },
    Step {
        version: 5,
        name: "rules",
        sqlite: include_str!("migrations/0005_rules.sqlite.sql"),
        postgres: include_str!("migrations/0005_rules.postgres.sql"),
    },
    Step {
        version: 6,
        name: "approvals",
        sqlite: include_str!("migrations/0006_approvals.sqlite.sql"),
        postgres: include_str!("migrations/0006_approvals.postgres.sql"),
    },
    Step {
        version: 7,
        name: "review",
        sqlite: include_str!("migrations/0007_review.sqlite.sql"),
        postgres: include_str!("migrations/0007_review.postgres.sql"),
    },
    Step {
        version: 8,
        name: "untrusted",
        sqlite: include_str!("migrations/0008_untrusted.sqlite.sql"),
        postgres: include_str!("migrations/0008_untrusted.postgres.sql"),
    },
    Step {
        version: 9,
        name: "accounts",
        sqlite: include_str!("migrations/0009_accounts.sqlite.sql"),
        postgres: include_str!("migrations/0009_accounts.postgres.sql"),
    },
    Step {
        version: 10,
        name: "tracking",
        sqlite: include_str!("migrations/0010_tracking.sqlite.sql"),
        postgres: include_str!("migrations/0010_tracking.postgres.sql"),
    },
    Step {
        version: 11,
        name: "directories",
        sqlite: include_str!("migrations/0011_directories.sqlite.sql"),
        postgres: include_str!("migrations/0011_directories.postgres.sql"),
    },
    Step {
        version: 12,
        name: "failed_tools",
        sqlite: include_str!("migrations/0012_failed_tools.sqlite.sql"),
        postgres: include_str!("migrations/0012_failed_tools.postgres.sql"),
    },
];

fn migrator(sql: fn(&Step) -> &'static str) -> Migrator {
    let migrations = STEPS.iter().map(|step| {
        Migration::new(
            step.version,
            step.name.into(),
            MigrationType::Simple,
            sql(step).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the driver's own enum, open by declaration"
        )]
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            other => Self::Schema(other.to_string()),
        }
    }
}

impl Store {
    /// Brings the schema up to date. Several processes may do this at once: one works, the others wait.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match &self.db {
            Db::Sqlite { writer, turn, .. } => {
                let _turn = turn.lock().await;
                // The steps run as savepoints of one transaction, whose write lock keeps other processes out.
                let mut tx = writer.begin_with("begin immediate").await?;
                // `run` takes a connection too, but its future is then not `Send` in the eyes of the compiler.
                migrator(|step| step.sqlite)
                    .run_direct(None, &mut *tx, false)
                    .await?;
                tx.commit().await?;
            }
            // The migrator takes an advisory lock.
            Db::Postgres(pool) => migrator(|step| step.postgres).run(pool).await?,
        }
        Ok(())
    }

    /// The steps that [`Store::migrate`] would run, such as `1 init`.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let known: Option<String> = match &self.db {
            Db::Sqlite { readers, .. } => sqlx::query_scalar(
                "select name from sqlite_schema where type = 'table' and name = '_sqlx_migrations'",
            )
            .fetch_optional(readers)
            .await?,
            Db::Postgres(pool) => {
                sqlx::query_scalar("select cast(to_regclass('_sqlx_migrations') as text)")
                    .fetch_one(pool)
                    .await?
            }
        };
        let done: Vec<i64> = if known.is_some() {
            on!(&self.db, pool => sqlx::query_scalar("select version from _sqlx_migrations where success")
                .fetch_all(pool).await)?
        } else {
            Vec::new()
        };
        Ok(STEPS
            .iter()
            .filter(|step| !done.contains(&step.version))
            .map(|step| format!("{} {}", step.version, step.name))
            .collect())
    }
}
