//! Serving over HTTP and over the standard streams, and what keeps an installation in order.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::output;
use crate::app::App;
use crate::caller::Role;
use crate::clock::Clock;
use crate::config::Config;
use crate::mcp::Surface;
use crate::{integrations, mcp, schemas, telemetry};

/// Cancelled at the first interrupt or termination signal.
pub(super) fn stop_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            match signal(SignalKind::terminate()) {
                Ok(mut terminate) => {
                    tokio::select! {
                        _ = tokio::signal::ctrl_c() => {}
                        _ = terminate.recv() => {}
                    }
                }
                Err(_) => drop(tokio::signal::ctrl_c().await),
            }
        }
        #[cfg(not(unix))]
        drop(tokio::signal::ctrl_c().await);
        told.cancel();
    });
    stop
}

/// MCP over HTTP, web pages, callbacks.
pub(super) async fn serve(config: &Config) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("WORKBENCH_LISTEN {} cannot be listened on", config.listen))?;
    let metrics = telemetry::metrics();
    let app = App::start(config, Clock::System).await?;
    if let Some(code) = app.auth.setup().await? {
        output::tell(&format!(
            "nobody is here yet; whoever opens this link first, within a day, becomes the admin: {}",
            app.links.join(code.expose_secret())
        ));
    }
    tracing::info!(address = %config.listen, public_url = %app.links.public(), mcp = %app.links.mcp(), "ready");
    app.serve(listener, metrics, &stop_signal()).await?;
    app.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// MCP over standard input and output.
#[derive(Args)]
pub(super) struct Stdio {
    /// Whose accounts to use; WORKBENCH_USER, else the only person there is.
    #[arg(long)]
    user: Option<String>,
    /// How tools are listed: `all`, or `search` for four that find and run the others; by their number when not set.
    #[arg(long, value_name = "HOW", value_parser = surface)]
    tools: Option<Surface>,
}

fn surface(word: &str) -> Result<Surface, String> {
    Surface::parse(word).ok_or_else(|| "must be `all` or `search`".to_owned())
}

impl Stdio {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let app = App::start(config, Clock::System).await?;
        let done = Box::pin(self.serve(config, &app)).await;
        app.stop().await;
        done.map(|()| ExitCode::SUCCESS)
    }

    async fn serve(self, config: &Config, app: &App) -> anyhow::Result<()> {
        let user = match self.user.clone().or_else(|| config.user.clone()) {
            Some(email) => app.auth.person(app.org, &email).await?,
            None => match app.store.users(app.org).await?.as_slice() {
                [one] => one.clone(),
                // A newcomer's own machine: the person is whoever started the process.
                [] => {
                    app.auth
                        .add_user(app.org, "me@localhost", Role::Admin)
                        .await?
                }
                _ => {
                    bail!("several people are here; say which with --user EMAIL or WORKBENCH_USER")
                }
            },
        };
        // Connecting an account needs our pages. When no server runs beside this process, it serves them itself.
        let caller = app.auth.local_caller(&user).await?;
        let stop = CancellationToken::new();
        app.start_jobs();
        let pages = match TcpListener::bind(config.listen).await {
            Ok(listener) => Some(app.spawn_pages(listener, stop.clone())),
            Err(_) => None,
        };
        let surface = self.tools.unwrap_or_default();
        let served = Box::pin(mcp::serve_stdio(&app.mcp, caller, surface)).await;
        stop.cancel();
        if let Some(pages) = pages {
            pages.abort();
        }
        served.context("serving on the standard streams")
    }
}

/// Writes the schemas of all tools.
#[derive(Args)]
pub(super) struct Schemas {
    /// Changes nothing; ends with an error when a file is missing or old.
    #[arg(long)]
    check: bool,
    /// The checkout to write into.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

impl Schemas {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let stale = if self.check {
            schemas::stale(&self.dir)?
        } else {
            schemas::write(&self.dir)?
        };
        stale
            .iter()
            .try_for_each(|path| output::line(&path.display().to_string()))?;
        if self.check && !stale.is_empty() {
            bail!(
                "{} generated files are missing or old; `workbench-mcp schemas` writes them",
                stale.len()
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Brings the database up to date.
#[derive(Args)]
pub(super) struct Migrate {
    /// Changes nothing; ends with an error when something is pending.
    #[arg(long)]
    check: bool,
}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let store = crate::app::open_store(config).await?;
        let pending = store.pending_migrations().await?;
        pending.iter().try_for_each(|step| output::line(step))?;
        if !self.check {
            store.migrate().await?;
        }
        store.close().await;
        let failed = self.check && !pending.is_empty();
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Says what of a set-up works and what does not.
pub(super) async fn doctor(config: &Config) -> anyhow::Result<ExitCode> {
    let mut well = true;
    let mut say = |good: bool, text: String| {
        well &= good;
        output::line(&format!("{} {text}", if good { "ok  " } else { "bad " }))
    };
    match config.public_url() {
        Ok(url) => say(true, format!("people reach it at {url}"))?,
        Err(error) => say(false, error.to_string())?,
    }
    match TcpListener::bind(config.listen).await {
        Ok(_) => say(
            true,
            format!("{} is free; no server runs here", config.listen),
        )?,
        Err(_) => say(
            true,
            format!(
                "{} is taken, by a running server as it seems",
                config.listen
            ),
        )?,
    }
    match App::start(config, Clock::System).await {
        Err(error) => say(false, output::chain(&error))?,
        Ok(app) => {
            let kind = if app.store.is_sqlite() {
                "SQLite"
            } else {
                "PostgreSQL"
            };
            say(
                true,
                format!("the database ({kind}) is up to date and its keys are known"),
            )?;
            let people = app.store.users(app.org).await?.len();
            say(people > 0, format!("{people} people; `users add` adds one"))?;
            for provider in integrations::ALL
                .iter()
                .flat_map(|integration| integration.providers)
            {
                if provider.auth.open().is_some() {
                    say(
                        true,
                        format!("{}: open to everyone, nothing to connect", provider.id),
                    )?;
                    continue;
                }
                let set = app.connections.is_set_up(app.org, provider.id).await;
                let advice = if set {
                    "the OAuth app is set"
                } else {
                    "no OAuth app; `apps set` sets one"
                };
                say(true, format!("{}: {advice}", provider.id))?;
            }
            match app.audit.verify(None, &[], |_| {}).await {
                Ok(found) => say(
                    true,
                    format!("the audit log's chain of {} events holds", found.events),
                )?,
                Err(error) => say(false, format!("the audit log: {error}"))?,
            }
            app.stop().await;
        }
    }
    secrets_are_private(config, &mut say)?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether files with keys can be read by others.
fn secrets_are_private(
    config: &Config,
    say: &mut impl FnMut(bool, String) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for file in ["encryption.keys", "secret.keys", "audit-signing.key"] {
        let path = config.data_dir.join(file);
        if let Some(mode) = others(&path) {
            say(
                mode == 0,
                format!(
                    "{} is {}",
                    path.display(),
                    if mode == 0 {
                        "private"
                    } else {
                        "readable by others"
                    }
                ),
            )?;
        }
    }
    if let Some(url) = &config.database_url {
        let inline_password =
            url.expose_secret().contains('@') && url.expose_secret().contains(':');
        if inline_password {
            output::tell(
                "a database password in the environment is visible to other processes of this user; WORKBENCH_DATABASE_URL_FILE is not",
            );
        }
    }
    Ok(())
}

/// The permission bits that others have; `None` when there is no file.
fn others(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path)
            .ok()
            .map(|data| data.permissions().mode() & 0o077)
    }
    #[cfg(not(unix))]
    {
        path.exists().then_some(0)
    }
}
