//! The people of the organization, their roles and groups, and the inbound half of removing somebody. The other half, at
//! the providers, is [`crate::removal`].

use serde::Serialize;
use serde_json::json;

use super::{Auth, AuthError};
use crate::audit::{Actor, AdminEvent};
use crate::caller::Role;
use crate::clock::Timestamp;
use crate::ids::{GroupId, OrgId, UserId};
use crate::store::{GrantKind, GroupRow, Membership, Removed, RoleChange, StoreError, UserRow};

/// Longest name of a group, in characters.
const GROUP_NAME: usize = 60;

/// A person as an admin sees them.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// The groups they are in, by name.
    pub groups: Vec<(GroupId, String)>,
    /// When they were added.
    pub added_at: Timestamp,
    /// When one of their tokens or browsers was last seen.
    pub last_seen_at: Option<Timestamp>,
    /// How many accounts they have connected.
    pub connections: i64,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    /// Whether they can sign in at the identity provider.
    pub has_identity: bool,
}

/// What removing a person ended here.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Removal {
    /// Signed-in browsers.
    pub sessions: usize,
    /// Personal access tokens.
    pub tokens: usize,
    /// Everything else that let them or a client of theirs in.
    pub other: usize,
}

/// The address as it is stored; `None` when it cannot be one.
pub(super) fn address(email: &str) -> Option<String> {
    let email = email.trim().to_lowercase();
    let plausible = email.len() <= 254
        && email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.len() > 1)
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    plausible.then_some(email)
}

impl Auth {
    /// Adds a person to the organization, or brings one back who was removed.
    pub async fn add_user(
        &self,
        org: OrgId,
        email: &str,
        role: Role,
    ) -> Result<UserRow, AuthError> {
        let email = address(email).ok_or_else(|| AuthError::BadEmail(email.to_owned()))?;
        let now = self.inner.clock.now();
        let mut user = UserRow {
            id: UserId::new(now),
            org_id: org,
            email,
            role,
            created_at: now,
            removed_at: None,
        };
        match self.inner.store.insert_user(&user).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => {
                let restored = self.inner.store.restore_user(org, &user.email, role, now);
                user = restored.await?.ok_or(AuthError::Exists(user.email))?;
            }
            Err(error) => return Err(error.into()),
        }
        let event = AdminEvent {
            kind: "admin.user_added",
            target: user.email.as_str().into(),
            detail: json!({ "user": user.id, "role": role.as_str() }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(Actor::System, org, event).await?;
        Ok(user)
    }

    /// The person with this e-mail address.
    pub async fn person(&self, org: OrgId, email: &str) -> Result<UserRow, AuthError> {
        let email = email.trim().to_lowercase();
        let found = self.inner.store.user_by_email(org, &email).await?;
        found
            .filter(|user| user.removed_at.is_none())
            .ok_or(AuthError::NoSuchPerson(email))
    }

    /// The person with this e-mail address, removed or not.
    pub async fn person_ever(&self, org: OrgId, email: &str) -> Result<UserRow, AuthError> {
        let email = email.trim().to_lowercase();
        let found = self.inner.store.user_by_email(org, &email).await?;
        found.ok_or(AuthError::NoSuchPerson(email))
    }

    /// The person with this id.
    pub async fn person_by_id(&self, org: OrgId, id: UserId) -> Result<Option<UserRow>, AuthError> {
        let found = self.inner.store.user(id).await?;
        Ok(found.filter(|user| user.org_id == org && user.removed_at.is_none()))
    }

    /// Everybody who is here, by address.
    pub async fn people(&self, org: OrgId) -> Result<Vec<Person>, AuthError> {
        let memberships = self.inner.store.memberships(org).await?;
        let groups_of = |user: UserId| {
            let own = memberships.iter().filter(|row| row.user_id == user);
            own.map(
                |Membership {
                     group_id, group, ..
                 }| (*group_id, group.clone()),
            )
            .collect()
        };
        let rows = self.inner.store.people(org).await?;
        let people = rows.into_iter().map(|row| Person {
            groups: groups_of(row.user.id),
            id: row.user.id,
            email: row.user.email,
            role: row.user.role,
            added_at: row.user.created_at,
            last_seen_at: row.last_seen_at,
            connections: row.connections,
            has_password: row.has_password,
            has_identity: row.has_identity,
        });
        Ok(people.collect())
    }

    /// Gives a person another role. The last admin keeps theirs.
    pub async fn set_role(
        &self,
        by: impl Into<Actor>,
        user: &UserRow,
        role: Role,
    ) -> Result<(), AuthError> {
        let org = user.org_id;
        let now = self.inner.clock.now();
        let done = self.inner.store.set_role(org, user.id, role, now).await?;
        self.forget();
        let outcome = match done {
            RoleChange::Same => return Ok(()),
            RoleChange::Done => "ok",
            RoleChange::LastAdmin => "last_admin",
            RoleChange::NoSuchPerson => return Err(AuthError::NoSuchPerson(user.email.clone())),
        };
        let event = AdminEvent {
            kind: "admin.role_changed",
            target: user.email.as_str().into(),
            outcome,
            detail: json!({ "user": user.id, "from": user.role.as_str(), "to": role.as_str() }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(by.into(), org, event).await?;
        match done {
            RoleChange::LastAdmin => Err(AuthError::LastAdmin(user.email.clone())),
            RoleChange::Done | RoleChange::Same | RoleChange::NoSuchPerson => Ok(()),
        }
    }

    /// Ends everything that lets a person in. `None` when they were out before. The last admin stays.
    pub(crate) async fn remove(
        &self,
        by: Actor,
        user: &UserRow,
    ) -> Result<Option<Removal>, AuthError> {
        let org = user.org_id;
        let now = self.inner.clock.now();
        let done = self.inner.store.remove_user(org, user.id, now).await?;
        self.forget();
        let mut removal = Removal::default();
        let mut outcome = "ok";
        match &done {
            Removed::Before => return Ok(None),
            Removed::NoSuchPerson => return Err(AuthError::NoSuchPerson(user.email.clone())),
            Removed::LastAdmin => outcome = "last_admin",
            Removed::Done(kinds) => {
                let count = |wanted| kinds.iter().filter(|kind| **kind == wanted).count();
                removal.sessions = count(GrantKind::Session);
                removal.tokens = count(GrantKind::Token);
                removal.other = kinds.len() - removal.sessions - removal.tokens;
            }
        }
        let event = AdminEvent {
            kind: "admin.user_removed",
            target: user.email.as_str().into(),
            outcome,
            detail: json!({ "user": user.id, "ended": removal }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(by, org, event).await?;
        if done == Removed::LastAdmin {
            return Err(AuthError::LastAdmin(user.email.clone()));
        }
        Ok(Some(removal))
    }

    /// Every group, by name.
    pub async fn groups(&self, org: OrgId) -> Result<Vec<GroupRow>, AuthError> {
        Ok(self.inner.store.groups(org).await?)
    }

    /// The group with this name.
    pub async fn group(&self, org: OrgId, name: &str) -> Result<GroupRow, AuthError> {
        let name = name.trim();
        let found = self.inner.store.group_by_name(org, name).await?;
        found.ok_or_else(|| AuthError::NoSuchGroup(name.to_owned()))
    }

    /// Makes a group.
    pub async fn add_group(
        &self,
        by: impl Into<Actor>,
        org: OrgId,
        name: &str,
    ) -> Result<GroupRow, AuthError> {
        let name = name.trim();
        if name.is_empty()
            || name.chars().count() > GROUP_NAME
            || name.chars().any(char::is_control)
        {
            return Err(AuthError::BadGroupName(name.to_owned()));
        }
        let now = self.inner.clock.now();
        let group = GroupRow {
            id: GroupId::new(now),
            org_id: org,
            name: name.to_owned(),
            created_at: now,
            members: 0,
        };
        match self.inner.store.insert_group(&group).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return Err(AuthError::GroupExists(group.name)),
            Err(error) => return Err(error.into()),
        }
        self.group_event(by.into(), &group, "admin.group_added", None)
            .await?;
        Ok(group)
    }

    /// Deletes a group; its people stay. Refused while the policy has rules about it: a rule that denies would be lifted
    /// unnoticed.
    pub async fn remove_group(
        &self,
        by: impl Into<Actor>,
        group: &GroupRow,
    ) -> Result<(), AuthError> {
        let now = self.inner.clock.now();
        let store = &self.inner.store;
        let about = format!("group:{}", group.id);
        let policy = store.policy(group.org_id).await?;
        if policy.rules.iter().any(|rule| rule.who == about) {
            return Err(AuthError::GroupRuled(group.name.clone()));
        }
        store.delete_group(group.org_id, group.id, now).await?;
        self.forget();
        self.group_event(by.into(), group, "admin.group_removed", None)
            .await
    }

    /// Puts a person into a group; false when they were in it.
    pub async fn join_group(
        &self,
        by: impl Into<Actor>,
        group: &GroupRow,
        user: &UserRow,
    ) -> Result<bool, AuthError> {
        let now = self.inner.clock.now();
        let store = &self.inner.store;
        let joined = store
            .join_group(group.org_id, group.id, user.id, now)
            .await?;
        self.forget();
        if joined {
            self.group_event(by.into(), group, "admin.group_joined", Some(user))
                .await?;
        }
        Ok(joined)
    }

    /// Takes a person out of a group; false when they were not in it.
    pub async fn leave_group(
        &self,
        by: impl Into<Actor>,
        group: &GroupRow,
        user: &UserRow,
    ) -> Result<bool, AuthError> {
        let now = self.inner.clock.now();
        let store = &self.inner.store;
        let left = store
            .leave_group(group.org_id, group.id, user.id, now)
            .await?;
        self.forget();
        if left {
            self.group_event(by.into(), group, "admin.group_left", Some(user))
                .await?;
        }
        Ok(left)
    }

    async fn group_event(
        &self,
        by: Actor,
        group: &GroupRow,
        kind: &'static str,
        user: Option<&UserRow>,
    ) -> Result<(), AuthError> {
        let event = AdminEvent {
            kind,
            target: group.name.as_str().into(),
            detail: json!({ "group": group.id, "user": user.map(|user| user.email.as_str()) }),
            ..AdminEvent::default()
        };
        Ok(self.inner.audit.record(by, group.org_id, event).await?)
    }
}
