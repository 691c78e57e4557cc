//! Groups of people, which rules may name.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{Json, output};
use crate::app::App;
use crate::audit::Actor;

/// Groups of people.
#[derive(Subcommand)]
pub(super) enum Groups {
    /// Makes a group.
    Add {
        /// What to call it.
        name: String,
    },
    /// Lists groups.
    List(Json),
    /// Deletes a group; its people stay.
    Remove {
        /// Its name.
        name: String,
    },
    /// Puts a person into a group.
    Join {
        /// The group's name.
        name: String,
        /// The person's e-mail address.
        email: String,
    },
    /// Takes a person out of a group.
    Leave {
        /// The group's name.
        name: String,
        /// The person's e-mail address.
        email: String,
    },
}

impl Groups {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add { name } => {
                let group = app.auth.add_group(Actor::System, app.org, &name).await?;
                output::line(&format!("{} {}", group.name, group.id))?;
            }
            Self::List(Json { json }) => {
                let people = app.auth.people(app.org).await?;
                let mut rows = Vec::new();
                for group in app.auth.groups(app.org).await? {
                    let members: Vec<&str> = people
                        .iter()
                        .filter(|person| person.groups.iter().any(|(id, _)| *id == group.id))
                        .map(|person| person.email.as_str())
                        .collect();
                    if json {
                        output::json(&json!({
                            "id": group.id, "name": group.name, "members": members,
                            "created_at": group.created_at.rfc3339(),
                        }))?;
                    }
                    rows.push(vec![
                        group.name,
                        members.len().to_string(),
                        members.join(","),
                    ]);
                }
                if !json {
                    output::table(&["GROUP", "PEOPLE", "WHO"], &rows)?;
                }
            }
            Self::Remove { name } => {
                let group = app.auth.group(app.org, &name).await?;
                app.auth.remove_group(Actor::System, &group).await?;
                output::line(&format!("{} is gone", group.name))?;
            }
            Self::Join { name, email } => {
                let group = app.auth.group(app.org, &name).await?;
                let user = app.auth.person(app.org, &email).await?;
                let new = app.auth.join_group(Actor::System, &group, &user).await?;
                let said = if new { "is in" } else { "was already in" };
                output::line(&format!("{} {said} {}", user.email, group.name))?;
            }
            Self::Leave { name, email } => {
                let group = app.auth.group(app.org, &name).await?;
                let user = app.auth.person(app.org, &email).await?;
                let left = app.auth.leave_group(Actor::System, &group, &user).await?;
                let said = if left { "is out of" } else { "was not in" };
                output::line(&format!("{} {said} {}", user.email, group.name))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
