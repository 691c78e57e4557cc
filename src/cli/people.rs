//! People and their personal access tokens.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Json, output};
use crate::app::App;
use crate::caller::{Role, Scopes};
use crate::clock::Timestamp;
use crate::ids::GrantId;
use crate::integrations;
use crate::store::GrantKind;

/// People.
#[derive(Subcommand)]
pub(super) enum Users {
    /// Adds a person.
    Add {
        /// Their e-mail address.
        email: String,
        /// Whether they administer the organization.
        #[arg(long)]
        admin: bool,
    },
    /// Lists people.
    List(Json),
}

impl Users {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add { email, admin } => {
                let role = if admin { Role::Admin } else { Role::Member };
                let user = app.auth.add_user(app.org, &email, role).await?;
                output::line(&format!("{} {}", user.email, user.id))?;
            }
            Self::List(Json { json }) => {
                let users = app.store.users(app.org).await?;
                if json {
                    for user in &users {
                        output::json(&json!({
                            "id": user.id, "email": user.email, "role": user.role.as_str(),
                            "added_at": user.created_at.rfc3339(), "removed_at": user.removed_at.map(Timestamp::rfc3339),
                        }))?;
                    }
                } else {
                    let rows: Vec<_> = users
                        .iter()
                        .map(|user| {
                            vec![
                                user.email.clone(),
                                user.role.as_str().to_owned(),
                                user.created_at.rfc3339(),
                            ]
                        })
                        .collect();
                    output::table(&["EMAIL", "ROLE", "ADDED"], &rows)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Personal access tokens.
#[derive(Subcommand)]
pub(super) enum Tokens {
    /// Makes a token and prints it, once.
    Create {
        /// Whose.
        email: String,
        /// Days until it ends; without, it does not end by itself.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
        expires: Option<u64>,
        /// Whether it only allows reading.
        #[arg(long, conflicts_with = "scopes")]
        read_only: bool,
        /// What it allows, as words: tools:read, tools:write, audit:read, `integration:ID`; without, everything.
        #[arg(long, num_args = 1.., value_name = "SCOPE")]
        scopes: Vec<String>,
        /// What to call it.
        #[arg(long, default_value = "token")]
        name: String,
    },
    /// Lists a person's tokens.
    List {
        /// Whose.
        email: String,
        #[command(flatten)]
        json: Json,
    },
    /// Ends a token.
    Revoke {
        /// Whose.
        email: String,
        /// The token's id, from the list.
        id: GrantId,
    },
}

/// Scopes that mean something here.
fn read_scopes(words: &str) -> anyhow::Result<Scopes> {
    let scopes = Scopes::parse(words).map_err(|word| {
        anyhow!(
            "{word:?} is no scope; there are tools:read, tools:write, audit:read and integration:<ID>"
        )
    })?;
    for id in scopes.integrations.iter().flat_map(|ids| ids.iter()) {
        if integrations::integration(id).is_none() {
            bail!("there is no integration {id:?}; `integrations list` names them");
        }
    }
    Ok(scopes)
}

impl Tokens {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create {
                email,
                expires,
                read_only,
                scopes,
                name,
            } => {
                let user = app.auth.person(app.org, &email).await?;
                let life = expires.map(|days| Duration::from_secs(days * 24 * 3_600));
                let scopes = match (read_only, scopes.join(" ")) {
                    (true, _) => Scopes::READ_ONLY,
                    (false, words) if words.is_empty() => Scopes::ALL,
                    (false, words) => read_scopes(&words)?,
                };
                let token = app.auth.create_token(&user, &name, life, scopes).await?;
                output::tell("this token is shown once; keep it like a password");
                output::line(token.secret.expose_secret())?;
            }
            Self::List {
                email,
                json: Json { json },
            } => {
                let user = app.auth.person(app.org, &email).await?;
                let tokens = app.store.grants_of(user.id, GrantKind::Token).await?;
                let at = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
                if json {
                    for token in &tokens {
                        output::json(&json!({
                            "id": token.id, "name": token.name, "scopes": token.scopes.to_string(),
                            "created_at": token.created_at.rfc3339(), "expires_at": at(token.expires_at),
                            "revoked_at": at(token.revoked_at), "last_used_at": at(token.last_used_at),
                        }))?;
                    }
                } else {
                    let rows: Vec<_> = tokens
                        .iter()
                        .map(|token| {
                            let ends = match token.revoked_at {
                                Some(at) => format!("revoked {at}"),
                                None => at(token.expires_at).unwrap_or_else(|| "never".to_owned()),
                            };
                            let used = at(token.last_used_at).unwrap_or_else(|| "never".to_owned());
                            vec![
                                token.id.to_string(),
                                token.name.clone(),
                                token.scopes.to_string(),
                                ends,
                                used,
                            ]
                        })
                        .collect();
                    output::table(&["ID", "NAME", "ALLOWS", "ENDS", "LAST USED"], &rows)?;
                }
            }
            Self::Revoke { email, id } => {
                let user = app.auth.person(app.org, &email).await?;
                let own = app.store.grants_of(user.id, GrantKind::Token).await?;
                if !own.iter().any(|token| token.id == id) {
                    bail!(
                        "{} has no token {id}; `tokens list {0}` shows them",
                        user.email
                    );
                }
                let was_live = app.auth.revoke_token(&user, id).await?;
                output::line(if was_live {
                    "revoked"
                } else {
                    "was revoked already"
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
