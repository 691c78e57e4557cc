//! The people of the organization: who is here, inviting, roles, groups, and removal with its receipt.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use secrecy::ExposeSecret;

use super::Fields;
use crate::auth::{AuthError, Person};
use crate::caller::{Caller, Role};
use crate::clock::Timestamp;
use crate::ids::{GroupId, InvitationId, UserId};
use crate::integrations;
use crate::removal::{self, RemovalError};
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Message, Page, Place, problem, show};
use crate::web::session::Admin;

#[derive(Template)]
#[template(path = "people.html", config = "src/web/askama.toml")]
struct People {
    page: Page,
    people: Vec<Row>,
    groups: Vec<Group>,
    invitations: Vec<Open>,
    /// A link that was just made.
    made: Option<(String, String)>,
}

/// A person in a table.
struct Row {
    id: UserId,
    email: String,
    role: &'static str,
    groups: String,
    last_seen: String,
    accounts: i64,
    signs_in: &'static str,
}

struct Group {
    id: GroupId,
    name: String,
    members: i64,
    /// Whether the person in question is in it.
    chosen: bool,
}

struct Open {
    id: InvitationId,
    email: String,
    role: &'static str,
    until: String,
}

#[derive(Template)]
#[template(path = "person.html", config = "src/web/askama.toml")]
struct One {
    page: Page,
    person: Row,
    groups: Vec<Group>,
}

#[derive(Template)]
#[template(path = "remove.html", config = "src/web/askama.toml")]
struct Confirm {
    page: Page,
    person: Row,
}

/// The roles there are, for a choice.
const ROLES: [&str; 3] = ["member", "admin", "auditor"];

impl One {
    #[expect(
        clippy::unused_self,
        reason = "templates call methods of what they show"
    )]
    fn roles(&self) -> [&'static str; 3] {
        ROLES
    }
}

fn day(at: Timestamp) -> String {
    at.rfc3339()
        .split('T')
        .next()
        .unwrap_or_default()
        .to_owned()
}

impl From<Person> for Row {
    fn from(person: Person) -> Self {
        let groups: Vec<String> = person.groups.into_iter().map(|(_, name)| name).collect();
        Self {
            id: person.id,
            email: person.email,
            role: person.role.as_str(),
            groups: groups.join(", "),
            last_seen: person.last_seen_at.map_or_else(|| "never".to_owned(), day),
            accounts: person.connections,
            signs_in: match (person.has_password, person.has_identity) {
                (true, true) => "password, identity provider",
                (true, false) => "password",
                (false, true) => "identity provider",
                (false, false) => "token or link",
            },
        }
    }
}

/// Everybody, the groups and the open invitations.
pub(in crate::web) async fn list(
    State(web): State<Web>,
    Admin(caller): Admin,
) -> Result<Response, Error> {
    shown(&web, &caller, None).await
}

async fn shown(
    web: &Web,
    caller: &Caller,
    made: Option<(String, String)>,
) -> Result<Response, Error> {
    let people = web.auth.people(caller.org).await?;
    let groups = web.auth.groups(caller.org).await?.into_iter();
    let invitations = web.auth.invitations(caller.org).await?.into_iter();
    let page = People {
        page: Page::of(web, Some(caller)),
        people: people.into_iter().map(Into::into).collect(),
        groups: groups
            .map(|group| Group {
                id: group.id,
                name: group.name,
                members: group.members,
                chosen: false,
            })
            .collect(),
        invitations: invitations
            .map(|row| Open {
                id: row.id,
                email: row.email.unwrap_or_default(),
                role: row.role.as_str(),
                until: day(row.expires_at),
            })
            .collect(),
        made,
    };
    Ok(show(StatusCode::OK, &page))
}

async fn found(web: &Web, caller: &Caller, id: UserId) -> Result<Person, Error> {
    let people = web.auth.people(caller.org).await?;
    let found = people.into_iter().find(|person| person.id == id);
    found.ok_or(Error::NotFound)
}

/// One person: role, groups, removal.
pub(in crate::web) async fn one(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<UserId>,
) -> Result<Response, Error> {
    let person = found(&web, &caller, id).await?;
    let all = web.auth.groups(caller.org).await?.into_iter();
    let groups = all
        .map(|group| Group {
            chosen: person.groups.iter().any(|(own, _)| *own == group.id),
            id: group.id,
            name: group.name,
            members: group.members,
        })
        .collect();
    let page = One {
        page: Page::of(&web, Some(&caller)).at(Place::People),
        person: person.into(),
        groups,
    };
    Ok(show(StatusCode::OK, &page))
}

/// Makes an invitation and shows its link, once.
pub(in crate::web) async fn invite(
    State(web): State<Web>,
    Admin(caller): Admin,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let role = Role::parse(fields.get("role")).unwrap_or(Role::Member);
    let groups = fields.all("group").filter_map(|id| id.parse().ok());
    let email = fields.get("email");
    match web
        .auth
        .invite(&caller, email, role, groups.collect())
        .await
    {
        Ok(invitation) => {
            let link = web.links.join(invitation.code.expose_secret());
            shown(&web, &caller, Some((email.trim().to_owned(), link))).await
        }
        Err(error) => Ok(back(&web, &caller, error)),
    }
}

/// Takes an invitation back.
pub(in crate::web) async fn revoke_invitation(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<InvitationId>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    if !web.auth.revoke_invitation(&caller, id).await? {
        return Err(Error::NotFound);
    }
    Ok(to_people(&web))
}

/// Gives somebody another role.
pub(in crate::web) async fn set_role(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<UserId>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let role = Role::parse(fields.get("role")).ok_or(Error::NotFound)?;
    let user = web.auth.person_by_id(caller.org, id).await?;
    let user = user.ok_or(Error::NotFound)?;
    match web.auth.set_role(&caller, &user, role).await {
        Ok(()) => Ok(to_people(&web)),
        Err(error) => Ok(back(&web, &caller, error)),
    }
}

/// Puts somebody into the chosen groups and out of the others.
pub(in crate::web) async fn set_groups(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<UserId>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let user = web.auth.person_by_id(caller.org, id).await?;
    let user = user.ok_or(Error::NotFound)?;
    for group in web.auth.groups(caller.org).await? {
        let id = group.id.to_string();
        if fields.all("group").any(|chosen| chosen == id) {
            web.auth.join_group(&caller, &group, &user).await?;
        } else {
            web.auth.leave_group(&caller, &group, &user).await?;
        }
    }
    Ok(to_people(&web))
}

/// What removing would do, before it is done.
pub(in crate::web) async fn confirm_removal(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<UserId>,
) -> Result<Response, Error> {
    let page = Confirm {
        page: Page::of(&web, Some(&caller)).at(Place::People),
        person: found(&web, &caller, id).await?.into(),
    };
    Ok(show(StatusCode::OK, &page))
}

/// Removes somebody and shows the receipt.
pub(in crate::web) async fn remove(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<UserId>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let user = web.auth.person_by_id(caller.org, id).await?;
    let user = user.ok_or(Error::NotFound)?;
    let receipt = match removal::remove(&web.auth, &web.connections, &caller, &user).await {
        Ok(receipt) => receipt,
        Err(RemovalError::Auth(error)) => return Ok(back(&web, &caller, error)),
        Err(RemovalError::Connect(error)) => return Err(error.into()),
    };
    let ended = receipt.ended.unwrap_or_default();
    let mut lines = vec![format!(
        "Signed-in browsers ended: {}. Tokens revoked: {}. Other access ended: {}.",
        ended.sessions, ended.tokens, ended.other
    )];
    if receipt.accounts.is_empty() {
        lines.push("No accounts were connected.".to_owned());
    }
    for account in receipt.accounts {
        let name = integrations::integration(&account.integration)
            .map_or(account.integration.as_str(), |known| known.name);
        lines.push(format!("{name} {}: {}.", account.account, account.provider));
    }
    let message = Message {
        // The admin may have removed themselves.
        page: Page::of(&web, (user.id != caller.user).then_some(&caller)),
        title: format!("{} is removed", receipt.email),
        tone: "good",
        lines,
        actions: vec![("People".to_owned(), web.links.admin_people())],
        close: false,
    };
    Ok(show(StatusCode::OK, &message))
}

/// Makes a group.
pub(in crate::web) async fn add_group(
    State(web): State<Web>,
    Admin(caller): Admin,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let name = fields.get("name");
    match web.auth.add_group(&caller, caller.org, name).await {
        Ok(_) => Ok(to_people(&web)),
        Err(error) => Ok(back(&web, &caller, error)),
    }
}

/// Deletes a group; its people stay.
pub(in crate::web) async fn remove_group(
    State(web): State<Web>,
    Admin(caller): Admin,
    Path(id): Path<GroupId>,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    let groups = web.auth.groups(caller.org).await?;
    let group = groups.into_iter().find(|group| group.id == id);
    let group = group.ok_or(Error::NotFound)?;
    match web.auth.remove_group(&caller, &group).await {
        Ok(()) => Ok(to_people(&web)),
        Err(error) => Ok(back(&web, &caller, error)),
    }
}

fn to_people(web: &Web) -> Response {
    Redirect::to(&web.links.admin_people()).into_response()
}

fn back(web: &Web, caller: &Caller, error: AuthError) -> Response {
    problem(web, Some(caller), error, &web.links.admin_people())
}
