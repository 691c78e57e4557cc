//! Both databases for every test that wants them: SQLite in a file of its own, and PostgreSQL.
//!
//! PostgreSQL is the server that `TEST_POSTGRES_URL` names (its user must be allowed to create databases), else one that
//! is started here from the programs on this machine, in a temporary directory, on a random loopback port; each test gets
//! a fresh database in it. Without either, tests on PostgreSQL are skipped, loudly; with `CI` set that is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, Connection, Executor};
use tokio::sync::OnceCell;
use workbench_mcp::store::{DatabaseUrl, Store};

/// A database of one test, gone with it.
pub struct Database {
    pub name: &'static str,
    pub url: DatabaseUrl,
    /// What raw SQL is done through.
    pub admin: String,
    folder: Option<tempfile::TempDir>,
}

/// A connection past the store.
pub enum Raw {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Database {
    /// A store on it, migrated.
    pub async fn store(&self) -> Store {
        let store = Store::open(&self.url).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// Runs SQL past the store, as somebody does who has the database's password.
    pub async fn execute(&self, sql: &str) {
        self.try_execute(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// As [`Database::execute`], and it may be refused.
    pub async fn try_execute(&self, sql: &str) -> sqlx::Result<()> {
        let text = sqlx::AssertSqlSafe(sql.to_owned());
        let mut raw = self.connect().await;
        match &mut raw {
            Raw::Sqlite(connection) => connection.execute(sqlx::raw_sql(text)).await.map(drop),
            Raw::Postgres(connection) => connection.execute(sqlx::raw_sql(text)).await.map(drop),
        }
    }

    /// One column of whole numbers.
    pub async fn numbers(&self, sql: &str) -> Vec<i64> {
        let text = sqlx::AssertSqlSafe(sql.to_owned());
        match &mut self.connect().await {
            Raw::Sqlite(connection) => sqlx::query_scalar(text).fetch_all(connection).await,
            Raw::Postgres(connection) => sqlx::query_scalar(text).fetch_all(connection).await,
        }
        .unwrap()
    }

    /// Runs SQL and keeps its connection, with the transaction and the locks it began, until the answer is dropped.
    pub async fn hold(&self, sql: &str) -> Raw {
        let text = sqlx::AssertSqlSafe(sql.to_owned());
        let mut raw = self.connect().await;
        match &mut raw {
            Raw::Sqlite(connection) => connection.execute(sqlx::raw_sql(text)).await.map(drop),
            Raw::Postgres(connection) => connection.execute(sqlx::raw_sql(text)).await.map(drop),
        }
        .unwrap();
        raw
    }

    async fn connect(&self) -> Raw {
        if self.is_sqlite() {
            let options: sqlx::sqlite::SqliteConnectOptions = self.admin.parse().unwrap();
            Raw::Sqlite(options.connect().await.unwrap())
        } else {
            Raw::Postgres(sqlx::PgConnection::connect(&self.admin).await.unwrap())
        }
    }

    pub fn is_sqlite(&self) -> bool {
        self.folder.is_some()
    }
}

/// An empty SQLite file.
pub fn sqlite() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    Database {
        name: "sqlite",
        url: DatabaseUrl::sqlite(&path),
        admin: format!("sqlite://{}", path.display()),
        folder: Some(folder),
    }
}

/// An empty PostgreSQL database; `None` when there is no server.
pub async fn postgres() -> Option<Database> {
    static SERVER: OnceCell<Option<String>> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER
        .get_or_init(|| async {
            let url = match std::env::var("TEST_POSTGRES_URL") {
                Ok(url) => Some(url),
                Err(_) => tokio::task::spawn_blocking(start_postgres).await.unwrap(),
            };
            assert!(
                url.is_some() || std::env::var_os("CI").is_none(),
                "CI is set and there is neither TEST_POSTGRES_URL nor a postgres to start"
            );
            url
        })
        .await
        .as_ref()?;
    let name = format!(
        "it_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let mut connection = sqlx::PgConnection::connect(server).await.unwrap();
    connection
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "create database {name}"
        ))))
        .await
        .unwrap();
    connection.close().await.unwrap();
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(&name);
    Some(Database {
        name: "postgres",
        url: DatabaseUrl::parse(url.as_str()).unwrap(),
        admin: url.to_string(),
        folder: None,
    })
}

/// Runs a test on every database there is.
pub async fn for_each_database(test: impl AsyncFn(Database)) {
    test(sqlite()).await;
    match postgres().await {
        Some(database) => test(database).await,
        None => eprintln!("SKIPPED on postgres: neither TEST_POSTGRES_URL nor a postgres to start"),
    }
}

/// Where this machine keeps a program of PostgreSQL.
fn program(name: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default();
    let packaged = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"));
    on_path
        .into_iter()
        .chain(packaged)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Prepares `command` to run as the user `postgres` when this is root, whom the server refuses.
fn unprivileged(program: &Path) -> Command {
    let id = Command::new("id").arg("-u").output();
    if id.is_ok_and(|id| id.stdout.trim_ascii() == b"0") {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--",
            ])
            .arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// Starts a server that ends with this process, and answers its address.
fn start_postgres() -> Option<String> {
    let (initdb, postgres) = (program("initdb")?, program("postgres")?);
    let folder = tempfile::Builder::new()
        .prefix("workbench-mcp-postgres-")
        .tempdir()
        .ok()?
        .keep();
    let data = folder.join("data");
    let run = |command: &mut Command| {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .current_dir("/")
            .status()
            .is_ok_and(|status| status.success())
    };
    if !run(Command::new("chmod").arg("777").arg(&folder)) {
        return None;
    }
    let mut init = unprivileged(&initdb);
    init.args([
        "--auth=trust",
        "--username=postgres",
        "--encoding=UTF8",
        "--no-sync",
        "-D",
    ])
    .arg(&data);
    if !run(&mut init) {
        eprintln!("initdb did not work");
        return None;
    }
    // Asked of the system and then given away: good enough for a test.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .ok()?
        .local_addr()
        .ok()?
        .port();
    let mut server = unprivileged(&postgres);
    server
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""])
        // A test's server need not survive a power cut, but it must not be asked to behave otherwise than a real one.
        .args(["-c", "fsync=off", "-c", "max_connections=200"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    let child = server.spawn().ok()?;
    watch(child.id(), &folder);
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        // Written by the server when it takes connections.
        let status = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if status.lines().any(|line| line.trim() == "ready") {
            return Some(format!("postgres://postgres@127.0.0.1:{port}/postgres"));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    eprintln!("postgres did not start within 20 s");
    None
}

/// A shell that waits for the end of its input, which is the end of this process, and then stops the server.
fn watch(server: u32, folder: &Path) {
    let script = "trap '' INT TERM HUP; cat; kill -INT $1; while kill -0 $1 2>/dev/null; do sleep 0.1; done; rm -rf \"$2\"";
    let watcher = Command::new("sh")
        .args(["-c", script, "watch", &server.to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    // Neither waited for nor closed: the pipe closes when this process ends, however it ends.
    std::mem::forget(watcher);
}
