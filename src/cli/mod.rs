//! The commands (design 2.1). Standard output is data: aligned text for people, one JSON object a line with `--json`.
//! Everything said to a human besides goes to standard error.

mod admin;
mod audit;
mod demo;
mod groups;
mod output;
mod people;
mod policy;
mod serving;
mod tour;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry;

/// The variable that `mcp.json` has clients read their token from. It is no setting, but a client that has it hands it to
/// the `stdio` that it starts.
const CLIENT_TOKEN: &str = "WORKBENCH_TOKEN";

/// Connects a team's business systems to any AI client over the Model Context Protocol.
#[derive(Parser)]
#[command(name = "workbench-mcp", version, propagate_version = true)]
pub struct Cli {
    /// The settings file; `workbench.toml` here when there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole product on an embedded database with a sandbox in place of the providers.
    Demo(demo::Demo),
    /// MCP over HTTP, web pages, callbacks.
    Serve,
    /// MCP over standard input and output, for one local person.
    Stdio(serving::Stdio),
    /// People.
    #[command(subcommand)]
    Users(people::Users),
    /// Groups of people.
    #[command(subcommand)]
    Groups(groups::Groups),
    /// Personal access tokens.
    #[command(subcommand)]
    Tokens(people::Tokens),
    /// OAuth apps at the providers.
    #[command(subcommand)]
    Apps(admin::Apps),
    /// Switches of integrations.
    #[command(subcommand)]
    Integrations(admin::Integrations),
    /// Switches of toolsets.
    #[command(subcommand)]
    Toolsets(policy::Toolsets),
    /// What the organization allows.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Connected accounts.
    #[command(subcommand)]
    Connections(admin::Connections),
    /// The audit log.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The vault's keys.
    #[command(subcommand)]
    Keys(admin::Keys),
    /// Writes the schemas of all tools into `tool-schemas/`.
    Schemas(serving::Schemas),
    /// Brings the database up to date.
    Migrate(serving::Migrate),
    /// Says what of a set-up works and what does not.
    Doctor,
}

/// Machines read one JSON object a line.
#[derive(Args, Clone, Copy)]
struct Json {
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs a command line; the exit code is 0 for success, 1 for a failure that was told on standard error.
pub async fn run(cli: Cli) -> ExitCode {
    match Box::pin(dispatch(cli)).await {
        Ok(code) => code,
        Err(error) => {
            output::tell(&format!("workbench-mcp: {}", output::chain(&error)));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment = std::env::vars().filter(|(name, _)| name != CLIENT_TOKEN);
    let config = Config::load(environment, cli.config.as_deref())?;
    let serves = matches!(
        cli.command,
        Command::Serve | Command::Stdio(_) | Command::Demo(_)
    );
    // A command of a few lines is not interrupted by the log, unless somebody asked for it.
    let quiet = if serves || std::env::var_os("WORKBENCH_LOG").is_some() {
        config.log.as_str()
    } else {
        "warn"
    };
    telemetry::log(quiet, config.log_json).map_err(anyhow::Error::msg)?;
    match cli.command {
        Command::Demo(demo) => demo.run(config).await,
        Command::Serve => serving::serve(&config).await,
        Command::Stdio(stdio) => Box::pin(stdio.run(&config)).await,
        Command::Schemas(schemas) => schemas.run(),
        Command::Migrate(migrate) => migrate.run(&config).await,
        Command::Doctor => serving::doctor(&config).await,
        Command::Keys(admin::Keys::Generate { id }) => admin::generate_key(&id),
        Command::Users(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Groups(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Tokens(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Apps(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Integrations(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Toolsets(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Policy(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Connections(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Audit(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
        Command::Keys(command) => {
            with_app(&config, async |app| Box::pin(command.run(app)).await).await
        }
    }
}

/// Runs a command on the built product, and takes it down in order whatever the command did.
async fn with_app(
    config: &Config,
    command: impl AsyncFnOnce(&App) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let app = App::start(config, Clock::System).await?;
    let done = command(&app).await;
    app.stop().await;
    done
}
