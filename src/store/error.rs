//! What can go wrong with a database, reduced to what a caller can act on.

/// A database that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row like this exists already, or a limit on rows is reached; names the constraint, alike on both databases
    /// (`users_org_id_email_key`).
    #[error("conflicts with {0}")]
    Conflict(String),
    /// A row holds something this program never writes.
    #[error("column {column} of {table} {id} cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: String,
    },
    /// The database cannot be reached, is full or is too busy.
    #[error("the database is unavailable")]
    Unavailable,
    /// The SQLite library in this build loses data under several connections.
    #[error("SQLite 3.51.3 or newer is needed and this is {version}")]
    OldSqlite {
        /// What was found.
        version: String,
    },
    /// The schema is not what this program expects.
    #[error("the database schema does not fit: {0}")]
    Schema(String),
    /// Anything else the driver says.
    #[error("the database refused a statement")]
    Driver(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the driver's own enum, open by declaration"
        )]
        let unavailable = match &error {
            sqlx::Error::Database(refusal) if refusal.is_unique_violation() => {
                let name = refusal.constraint().map_or_else(
                    || sqlite_constraint(refusal.message()),
                    std::borrow::ToOwned::to_owned,
                );
                return Self::Conflict(name);
            }
            sqlx::Error::Database(refusal) => {
                let code = refusal.code().unwrap_or_default();
                if refusal
                    .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                    .is_some()
                {
                    postgres_unavailable(&code)
                } else {
                    sqlite_unavailable(&code)
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            _ => false,
        };
        if unavailable {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database is unavailable"
            );
            Self::Unavailable
        } else {
            Self::Driver(error)
        }
    }
}

/// SQLSTATE classes of a server that is gone, full or restarting, or that broke a deadlock
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn postgres_unavailable(code: &str) -> bool {
    ["08", "40", "53", "57P", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || code == "55P03"
        || code == "25006"
}

/// Primary result codes busy, locked, out of memory, read-only, I/O error, full and cannot open
/// (<https://www.sqlite.org/rescode.html>); the extended code keeps the primary one in its low byte.
fn sqlite_unavailable(code: &str) -> bool {
    code.parse::<u32>()
        .is_ok_and(|code| [5, 6, 7, 8, 10, 13, 14].contains(&(code & 0xff)))
}

/// Names a SQLite constraint as Postgres would, from `UNIQUE constraint failed: users.org_id, users.email`.
fn sqlite_constraint(message: &str) -> String {
    let columns = message.rsplit(": ").next().unwrap_or(message);
    let table = columns.split('.').next().unwrap_or(columns);
    let mut name = table.to_owned();
    for column in columns.split(", ") {
        name.push('_');
        name.push_str(column.rsplit('.').next().unwrap_or(column));
    }
    name.push_str("_key");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_constraints_alike() {
        assert_eq!(
            sqlite_constraint("UNIQUE constraint failed: users.org_id, users.email"),
            "users_org_id_email_key"
        );
    }

    #[test]
    fn knows_a_busy_or_full_sqlite() {
        assert!(sqlite_unavailable("5"));
        assert!(sqlite_unavailable("517"));
        assert!(sqlite_unavailable("13"));
        assert!(!sqlite_unavailable("1811"));
    }
}
