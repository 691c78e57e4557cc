//! People and their personal access tokens.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Json, output};
use crate::app::App;
use crate::audit::Actor;
use crate::caller::{Role, Scopes};
use crate::clock::Timestamp;
use crate::ids::GrantId;
use crate::integrations;
use crate::removal;
use crate::store::GrantKind;

/// People.
#[derive(Subcommand)]
pub(super) enum Users {
    /// Adds a person, or brings one back who was removed.
    Add {
        /// Their e-mail address.
        email: String,
        /// Whether they administer the organization.
        #[arg(long, conflicts_with = "role")]
        admin: bool,
        /// What they may do: member, admin or auditor.
        #[arg(long, value_parser = read_role, default_value = "member")]
        role: Role,
    },
    /// Lists people.
    List(Json),
    /// Gives a person another role; their browsers are signed out.
    Role {
        /// Their e-mail address.
        email: String,
        /// member, admin or auditor.
        #[arg(value_parser = read_role)]
        role: Role,
    },
    /// Removes a person: what lets them in ends, and their accounts are revoked at the providers. Prints a receipt.
    Remove {
        /// Their e-mail address.
        email: String,
        #[command(flatten)]
        json: Json,
    },
    /// Prints a link that signs a person in once, and lets them set a password.
    Link {
        /// Their e-mail address.
        email: String,
    },
}

fn read_role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "the roles are member, admin and auditor".to_owned())
}

impl Users {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add { email, admin, role } => {
                let role = if admin { Role::Admin } else { role };
                let user = app.auth.add_user(app.org, &email, role).await?;
                output::line(&format!("{} {}", user.email, user.id))?;
            }
            Self::List(Json { json }) => list(app, json).await?,
            Self::Role { email, role } => {
                let user = app.auth.person(app.org, &email).await?;
                app.auth.set_role(Actor::System, &user, role).await?;
                output::line(&format!("{} is {}", user.email, role.as_str()))?;
            }
            Self::Remove { email, json } => {
                let user = app.auth.person_ever(app.org, &email).await?;
                let receipt =
                    removal::remove(&app.auth, &app.connections, Actor::System, &user).await?;
                if json.json {
                    output::json(&receipt)?;
                } else {
                    print(&receipt)?;
                }
            }
            Self::Link { email } => {
                let user = app.auth.person(app.org, &email).await?;
                let ticket = app.auth.ticket(&user).await?;
                output::tell("this link works once, within half an hour");
                output::line(&app.links.sign_in(ticket.expose_secret()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(receipt: &removal::Receipt) -> anyhow::Result<()> {
    match &receipt.ended {
        Some(ended) => output::line(&format!(
            "{} is removed: {} browsers, {} tokens, {} other",
            receipt.email, ended.sessions, ended.tokens, ended.other
        ))?,
        None => output::line(&format!("{} was removed already", receipt.email))?,
    }
    receipt.accounts.iter().try_for_each(|account| {
        output::line(&format!(
            "{} {}: {}",
            account.integration, account.account, account.provider
        ))
    })
}

async fn list(app: &App, json: bool) -> anyhow::Result<()> {
    let people = app.auth.people(app.org).await?;
    let mut rows = Vec::new();
    for person in people {
        let groups: Vec<String> = person.groups.into_iter().map(|(_, name)| name).collect();
        let seen = person.last_seen_at.map(Timestamp::rfc3339);
        if json {
            output::json(&json!({
                "id": person.id, "email": person.email, "role": person.role.as_str(), "groups": groups,
                "added_at": person.added_at.rfc3339(), "last_seen_at": seen, "connections": person.connections,
                "has_password": person.has_password, "has_identity": person.has_identity,
            }))?;
        }
        rows.push(vec![
            person.email,
            person.role.as_str().to_owned(),
            groups.join(","),
            person.added_at.rfc3339(),
            seen.unwrap_or_else(|| "never".to_owned()),
            person.connections.to_string(),
        ]);
    }
    if !json {
        let heading = ["EMAIL", "ROLE", "GROUPS", "ADDED", "LAST SEEN", "ACCOUNTS"];
        output::table(&heading, &rows)?;
    }
    Ok(())
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
pub(super) fn read_scopes(words: &str) -> anyhow::Result<Scopes> {
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
