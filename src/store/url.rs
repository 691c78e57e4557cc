//! Where the database is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// How long a statement waits for another process that writes to the same SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A parsed database address. `Debug` and `Display` hide the password.
#[derive(Clone)]
pub struct DatabaseUrl(Kind);

#[derive(Clone)]
enum Kind {
    File(PathBuf),
    /// A name in SQLite's in-memory file system.
    Memory(String),
    Postgres(Box<(::url::Url, PgConnectOptions)>),
}

/// The text names no database that this program can use. It does not repeat the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `sqlite:<path>` or `postgres://user@host/database`")]
pub struct InvalidDatabaseUrl;

impl DatabaseUrl {
    /// The SQLite file at `path`, created when absent.
    pub fn sqlite(path: impl AsRef<Path>) -> Self {
        Self(Kind::File(path.as_ref().to_owned()))
    }

    /// A database of its own that nothing outside this process sees and that is gone with the last [`super::Store`] on
    /// it; for tests. Opening the same value twice opens the same database.
    pub fn in_memory() -> Self {
        let name = crate::ids::FlowId::new(crate::clock::Timestamp::default());
        // Only names that begin with a slash are shared between connections: https://www.sqlite.org/src/file/src/memdb.c
        Self(Kind::Memory(format!("/{name}")))
    }

    /// Reads `sqlite:<path>`, `sqlite://<path>` or `postgres://…`.
    pub fn parse(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(path) = text
            .strip_prefix("sqlite://")
            .or_else(|| text.strip_prefix("sqlite:"))
        {
            if path.is_empty() || path.starts_with(":memory:") {
                return Err(InvalidDatabaseUrl);
            }
            return Ok(Self::sqlite(path));
        }
        let url = ::url::Url::parse(text).map_err(|_| InvalidDatabaseUrl)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(InvalidDatabaseUrl);
        }
        let options = PgConnectOptions::from_str(text)
            .map_err(|_| InvalidDatabaseUrl)?
            .application_name("workbench-mcp")
            .disable_statement_logging();
        Ok(Self(Kind::Postgres(Box::new((url, options)))))
    }

    pub(super) fn sqlite_options(&self) -> Option<SqliteConnectOptions> {
        let options = SqliteConnectOptions::new()
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .synchronous(SqliteSynchronous::Full)
            // What is deleted (tokens above all) is overwritten, so that a copy of the file does not hold it.
            .pragma("secure_delete", "on")
            // 16 MB of log instead of 4 between checkpoints: the audit log rewrites the same index pages all the time.
            .pragma("wal_autocheckpoint", "4000")
            .disable_statement_logging();
        match &self.0 {
            Kind::File(path) => Some(options.filename(path).journal_mode(SqliteJournalMode::Wal)),
            Kind::Memory(name) => Some(options.filename(name).vfs("memdb")),
            Kind::Postgres(_) => None,
        }
    }

    pub(super) fn postgres_options(&self) -> Option<PgConnectOptions> {
        match &self.0 {
            Kind::Postgres(both) => Some(both.1.clone()),
            Kind::File(_) | Kind::Memory(_) => None,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::File(path) => write!(f, "sqlite:{}", path.display()),
            Kind::Memory(_) => f.write_str("sqlite in memory"),
            Kind::Postgres(both) => {
                let mut shown = both.0.clone();
                if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
                    return f.write_str("postgres");
                }
                // A query can hold a password too.
                shown.set_query(None);
                write!(f, "{shown}")
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn hides_passwords() {
        let url =
            DatabaseUrl::parse("postgres://joe:REDACTED@db.test/x?password=REDACTED").unwrap();
        assert_eq!(
            format!("{url:?}"),
            "DatabaseUrl(postgres://joe:***@db.test/x)"
        );
    }

    #[test]
    fn reads_both_kinds_and_nothing_else() {
        for text in [
            "sqlite:a.db",
            "sqlite:///var/a.db",
            "postgres:///x",
            "postgresql://h/x",
        ] {
            assert!(DatabaseUrl::parse(text).is_ok(), "{text}");
        }
        for text in ["", "sqlite:", "sqlite::memory:", "mysql://h/x", "a.db"] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
