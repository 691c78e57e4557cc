//! Apps, switches, connections and keys.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use secrecy::SecretString;
use serde_json::json;

use super::{Json, output};
use crate::app::App;
use crate::audit::Actor;
use crate::calls::Switch;
use crate::connect::{self, Revoked, Synced};
use crate::ids::ConnectionId;
use crate::integrations;
use crate::keys;
use crate::vault;

/// OAuth apps.
#[derive(Subcommand)]
pub(super) enum Apps {
    /// Sets the app with which this organization comes to a provider.
    Set {
        /// The integration.
        id: String,
        /// The app's public id.
        #[arg(long)]
        client_id: String,
        /// A file that holds the app's secret.
        #[arg(long, value_name = "FILE")]
        client_secret_file: PathBuf,
    },
    /// Lists the apps that are set.
    List(Json),
}

impl Apps {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::Set {
                id,
                client_id,
                client_secret_file,
            } => {
                let Some((integration, provider)) = integrations::provider(&id) else {
                    bail!("nothing here is called {id}; `integrations list` shows what there is");
                };
                if provider.auth.open().is_some() {
                    bail!("{id} is open to everyone and needs no app");
                }
                let secret = read_secret(&client_secret_file)?;
                let oauth_app = connect::App {
                    client_id,
                    client_secret: secret,
                };
                app.connections
                    .set_app(Actor::System, app.org, provider.id, &oauth_app)
                    .await?;
                output::tell(&format!(
                    "register this redirect address at {}:",
                    integration.name
                ));
                output::line(&app.links.callback(provider.id))?;
            }
            Self::List(Json { json }) => {
                let mut rows = Vec::new();
                for provider in integrations::ALL
                    .iter()
                    .flat_map(|integration| integration.providers)
                {
                    if provider.auth.oauth2().is_none() {
                        continue;
                    }
                    let stored = app.store.app(app.org, provider.id).await?;
                    let set = app.connections.has_consent_page(app.org, provider).await;
                    let source = match (&stored, set) {
                        (Some(_), _) => "database",
                        (None, true) => "environment",
                        (None, false) => "not set",
                    };
                    let client_id = stored.map(|row| row.client_id).unwrap_or_default();
                    let redirect = app.links.callback(provider.id);
                    if json {
                        output::json(&json!({
                            "provider": provider.id, "source": source, "client_id": client_id, "redirect_uri": redirect,
                        }))?;
                    }
                    rows.push(vec![
                        provider.id.to_owned(),
                        source.to_owned(),
                        client_id,
                        redirect,
                    ]);
                }
                if !json {
                    output::table(
                        &["PROVIDER", "SET IN", "CLIENT ID", "REDIRECT ADDRESS"],
                        &rows,
                    )?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read_secret(path: &PathBuf) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let secret = text.trim_end();
    if secret.is_empty() || secret.contains(char::is_whitespace) {
        bail!(
            "{} must hold the secret on one line and nothing else",
            path.display()
        );
    }
    Ok(SecretString::from(secret.to_owned()))
}

/// Switches.
#[derive(Subcommand)]
pub(super) enum Integrations {
    /// Lists integrations and whether they are on.
    List(Json),
    /// Switches one on; its connections come back.
    Enable {
        /// The integration.
        id: String,
    },
    /// Switches one off: its tools are hidden and refused, its connections kept.
    Disable {
        /// The integration.
        id: String,
    },
}

impl Integrations {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(Json { json }) => {
                let disabled = app.store.disabled_integrations(app.org).await?;
                let mut rows = Vec::new();
                for integration in integrations::ALL {
                    let on = !disabled.iter().any(|(id, _)| id == integration.id);
                    let (tools, blocks) =
                        (integration.tools().count(), integration.blocks().count());
                    if json {
                        output::json(&json!({
                            "id": integration.id, "name": integration.name, "enabled": on, "tools": tools, "blocks": blocks,
                        }))?;
                    }
                    let state = if on { "enabled" } else { "disabled" };
                    rows.push(vec![
                        integration.id.to_owned(),
                        state.to_owned(),
                        tools.to_string(),
                        blocks.to_string(),
                    ]);
                }
                if !json {
                    output::table(&["INTEGRATION", "STATE", "TOOLS", "BLOCKS"], &rows)?;
                }
            }
            Self::Enable { id } => switch(app, &id, true).await?,
            Self::Disable { id } => switch(app, &id, false).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn switch(app: &App, id: &str, on: bool) -> anyhow::Result<()> {
    let Some(integration) = integrations::integration(id) else {
        bail!("nothing here is called {id}; `integrations list` shows what there is");
    };
    let switch = if on { Switch::On } else { Switch::Off };
    app.calls
        .switch(Actor::System, app.org, integration, switch)
        .await?;
    output::line(&format!(
        "{} is {}",
        integration.id,
        if on { "enabled" } else { "disabled" }
    ))
}

/// Connected accounts.
#[derive(Subcommand)]
pub(super) enum Connections {
    /// Lists connections: service, account, status, connected on, last used.
    List {
        /// Only this person's.
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Stores a credential from elsewhere for a person.
    Import {
        /// The provider.
        provider: String,
        /// The person's e-mail address.
        #[arg(long)]
        user: String,
        /// JSON: `{access_token, refresh_token?, expires_in?, scopes?, api_key?, base_url?}`.
        #[arg(long, value_name = "FILE")]
        credential_file: PathBuf,
    },
    /// Gives an account the name that the `account` argument and block addresses use.
    Rename {
        /// The connection's id, from the list.
        id: ConnectionId,
        /// The name; the account's own label again when it is left out.
        alias: Option<String>,
    },
    /// Revokes a connection at its provider and deletes it.
    Disconnect {
        /// The connection's id, from the list.
        id: ConnectionId,
    },
}

impl Connections {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::List {
                user,
                json: Json { json },
            } => {
                let people = match user {
                    Some(email) => vec![app.auth.person(app.org, &email).await?],
                    None => app.store.users(app.org).await?,
                };
                let mut rows = Vec::new();
                for person in people {
                    for account in app
                        .calls
                        .accounts(&crate::auth::Auth::local(&person))
                        .await?
                    {
                        if json {
                            let mut object = serde_json::to_value(&account)?;
                            object["user"] = json!(person.email);
                            output::json(&object)?;
                        }
                        let name = account.alias.map_or(account.account.clone(), |alias| {
                            format!("{} ({alias})", account.account)
                        });
                        let status = account.reason.map_or(account.status.to_owned(), |reason| {
                            format!("{}: {reason}", account.status)
                        });
                        let used = account.last_used.unwrap_or_else(|| "never".to_owned());
                        rows.push(vec![
                            person.email.clone(),
                            account.service,
                            name,
                            status,
                            account.connected_on,
                            used,
                            account.id.to_string(),
                        ]);
                    }
                }
                if !json {
                    output::table(
                        &[
                            "PERSON",
                            "SERVICE",
                            "ACCOUNT",
                            "STATUS",
                            "CONNECTED ON",
                            "LAST USED",
                            "ID",
                        ],
                        &rows,
                    )?;
                }
            }
            Self::Import {
                provider,
                user,
                credential_file,
            } => {
                import(app, &provider, &user, &credential_file).await?;
            }
            Self::Rename { id, alias } => {
                let owner = app.store.connection(id).await?.map(|row| row.user_id);
                let alias = alias
                    .as_deref()
                    .map(str::trim)
                    .filter(|alias| !alias.is_empty());
                let renamed = match owner {
                    Some(owner) => app.connections.rename(owner, id, alias).await?,
                    None => false,
                };
                if !renamed {
                    bail!("there is no connection {id}; `connections list` shows them");
                }
                output::line("renamed")?;
            }
            Self::Disconnect { id } => disconnect(app, id).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Disconnects an account and erases what was synced.
async fn disconnect(app: &App, id: ConnectionId) -> anyhow::Result<()> {
    let missing = || anyhow::anyhow!("there is no connection {id}; `connections list` shows them");
    let row = app.store.connection(id).await?.ok_or_else(missing)?;
    let receipt = app
        .connections
        .disconnect(row.user_id, id, Synced::Erase)
        .await?
        .ok_or_else(missing)?;
    let said = match receipt.revoked {
        Revoked::Yes => "revoked at the provider and deleted here".to_owned(),
        Revoked::Unsupported => "deleted here; the provider offers no revocation".to_owned(),
        Revoked::Key => "deleted here; delete the key at the provider too".to_owned(),
        Revoked::No(reason) => format!("deleted here, but not revoked: {reason}"),
        Revoked::Before => "disconnected before, now deleted here".to_owned(),
    };
    output::line(&format!(
        "{} {}: {said}",
        receipt.integration, receipt.account
    ))
}

async fn import(
    app: &App,
    provider: &str,
    user: &str,
    credential_file: &Path,
) -> anyhow::Result<()> {
    let person = app.auth.person(app.org, user).await?;
    let text = std::fs::read_to_string(credential_file)
        .with_context(|| format!("{} cannot be read", credential_file.display()))?;
    let import: connect::Import = serde_json::from_str(&text).map_err(|error| {
        anyhow::anyhow!(
            "{} is not a credential file: line {}, column {}",
            credential_file.display(),
            error.line(),
            error.column()
        )
    })?;
    let done = app
        .connections
        .import(app.org, person.id, provider, import)
        .await?;
    output::line(&format!(
        "{} {} {}",
        done.integration.id, done.label, done.id
    ))?;
    Ok(())
}

/// The vault's keys.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// Prints a fresh entry for `WORKBENCH_ENCRYPTION_KEYS`, `WORKBENCH_SECRET_KEYS` or `WORKBENCH_AUDIT_SIGNING_KEY`.
    Generate {
        /// The key's id: a-z, 0-9 and `-`, such as a date.
        id: String,
    },
    /// Says what is sealed under which key.
    Status(Json),
    /// Seals everything under the first key of `WORKBENCH_ENCRYPTION_KEYS`, while servers go on serving.
    Rotate,
}

pub(super) fn generate_key(id: &str) -> anyhow::Result<ExitCode> {
    let entry = vault::generate_entry(id).context("this machine gives no randomness")?;
    vault::KeyRing::parse(&entry)?;
    output::line(&entry)?;
    Ok(ExitCode::SUCCESS)
}

impl Keys {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::Generate { id } => return generate_key(&id),
            Self::Status(Json { json }) => {
                let status = keys::status(&app.store, &app.vault, app.org).await?;
                if json {
                    status.iter().try_for_each(output::json)?;
                } else {
                    let rows: Vec<_> = status
                        .into_iter()
                        .map(|key| {
                            let role = if key.active { "seals" } else { "opens" };
                            vec![
                                key.key,
                                role.to_owned(),
                                key.data_keys.to_string(),
                                key.secrets.to_string(),
                            ]
                        })
                        .collect();
                    output::table(&["KEY", "ROLE", "DATA KEYS", "SECRETS"], &rows)?;
                }
            }
            Self::Rotate => {
                let told = |count: usize| output::tell(&format!("{count} secrets sealed anew"));
                let done = app.system.rotate(Actor::System, told).await?;
                output::json(&done)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
