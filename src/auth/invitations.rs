//! How somebody becomes a member by a link: an admin's invitation, or the set-up link that a server without people
//! prints. The links are shown once, to be copied; this product sends no mail.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::password::check_new;
use super::people::address;
use super::{Auth, AuthError};
use crate::audit::{Actor, AdminEvent};
use crate::caller::{Caller, Role};
use crate::clock::Timestamp;
use crate::ids::{GroupId, InvitationId, OrgId, UserId};
use crate::store::{Accepted, Identity, InvitationRow, Joining, UserRow};
use crate::vault::{self, VaultError};

/// How long an invitation is good for.
const INVITATION_LIFE: Duration = Duration::from_hours(7 * 24);
/// How long a set-up link is good for; the next start prints another one.
const SETUP_LIFE: Duration = Duration::from_hours(24);

/// A new invitation, whose secret is shown once.
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// What its link carries.
    pub code: SecretString,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An invitation as its link's holder sees it.
#[derive(Clone, Debug)]
pub struct Invited {
    /// Its id.
    pub id: InvitationId,
    /// Who is invited; `None` asks for an address, because this is the first person.
    pub email: Option<String>,
}

impl Auth {
    /// Invites somebody.
    pub async fn invite(
        &self,
        by: &Caller,
        email: &str,
        role: Role,
        groups: Vec<GroupId>,
    ) -> Result<Invitation, AuthError> {
        let email = address(email).ok_or_else(|| AuthError::BadEmail(email.to_owned()))?;
        let found = self.inner.store.user_by_email(by.org, &email).await?;
        if found.is_some_and(|user| user.removed_at.is_none()) {
            return Err(AuthError::Exists(email));
        }
        let now = self.inner.clock.now();
        let detail = json!({ "role": role.as_str(), "groups": groups });
        let (row, code) = self.new_invitation(now, INVITATION_LIFE)?;
        let row = InvitationRow {
            org_id: by.org,
            email: Some(email),
            role,
            groups,
            created_by: Some(by.user),
            ..row
        };
        self.inner.store.insert_invitation(&row).await?;
        let event = AdminEvent {
            kind: "admin.invited",
            target: row.email.as_deref().unwrap_or_default().into(),
            detail,
            ..AdminEvent::default()
        };
        self.inner.audit.record(by, by.org, event).await?;
        Ok(Invitation {
            id: row.id,
            code,
            expires_at: row.expires_at,
        })
    }

    /// The code of a link that makes its holder the first admin; `None` when somebody is here already.
    pub async fn setup(&self) -> Result<Option<SecretString>, AuthError> {
        let org = self.inner.org;
        if !self.inner.store.people(org).await?.is_empty() {
            return Ok(None);
        }
        let (row, code) = self.new_invitation(self.inner.clock.now(), SETUP_LIFE)?;
        self.inner.store.insert_invitation(&row).await?;
        let event = AdminEvent {
            kind: "admin.setup_link",
            target: row.id.to_string().into(),
            ..AdminEvent::default()
        };
        self.inner.audit.record(Actor::System, org, event).await?;
        Ok(Some(code))
    }

    fn new_invitation(
        &self,
        now: Timestamp,
        life: Duration,
    ) -> Result<(InvitationRow, SecretString), AuthError> {
        let code = vault::random_secret("").ok_or(VaultError::Randomness)?;
        let row = InvitationRow {
            id: InvitationId::new(now),
            org_id: self.inner.org,
            secret_hash: vault::hash(code.expose_secret()),
            email: None,
            role: Role::Admin,
            groups: Vec::new(),
            created_by: None,
            created_at: now,
            expires_at: now.plus(life),
            accepted_at: None,
            revoked_at: None,
        };
        Ok((row, code))
    }

    /// The invitations that can still be accepted, newest first.
    pub async fn invitations(&self, org: OrgId) -> Result<Vec<InvitationRow>, AuthError> {
        let now = self.inner.clock.now();
        Ok(self.inner.store.open_invitations(org, now).await?)
    }

    /// Takes an invitation back; false when it was used or taken back before.
    pub async fn revoke_invitation(
        &self,
        by: &Caller,
        id: InvitationId,
    ) -> Result<bool, AuthError> {
        let now = self.inner.clock.now();
        let revoked = self.inner.store.revoke_invitation(by.org, id, now).await?;
        if revoked {
            let event = AdminEvent {
                kind: "admin.invitation_revoked",
                target: id.to_string().into(),
                ..AdminEvent::default()
            };
            self.inner.audit.record(by, by.org, event).await?;
        }
        Ok(revoked)
    }

    /// Who is invited by the link with this code; an error when it was used, taken back or is too old.
    pub async fn invited(&self, code: &str) -> Result<Invited, AuthError> {
        if code.len() > super::MAX_SECRET {
            return Err(AuthError::Invalid);
        }
        let hash = vault::hash(code);
        let found = self.inner.store.invitation_by_hash(&hash).await?;
        let row = found.ok_or(AuthError::Invalid)?;
        let now = self.inner.clock.now();
        if row.accepted_at.is_some() || row.revoked_at.is_some() {
            return Err(AuthError::Invalid);
        }
        if row.expires_at <= now {
            return Err(AuthError::Expired);
        }
        if row.email.is_none() && !self.inner.store.people(row.org_id).await?.is_empty() {
            return Err(AuthError::Invalid);
        }
        Ok(Invited {
            id: row.id,
            email: row.email,
        })
    }

    /// Accepts an invitation with a new password, and signs the browser in. `email` is asked of the first person only.
    pub async fn accept_with_password(
        &self,
        code: &str,
        email: &str,
        password: SecretString,
    ) -> Result<SecretString, AuthError> {
        let invited = self.invited(code).await?;
        let email = match &invited.email {
            Some(email) => email.clone(),
            None => address(email).ok_or_else(|| AuthError::BadEmail(email.to_owned()))?,
        };
        check_new(&password, &email)?;
        let hash = self.inner.passwords.hash(password).await?;
        let user = self
            .accept(invited.id, email, Joining::Password(&hash))
            .await?;
        self.begin_session(self.inner.org, user, "invitation").await
    }

    /// Accepts an invitation with an identity; who this is now.
    pub(super) async fn accept_with_identity(
        &self,
        id: InvitationId,
        email: Option<&str>,
        identity: &Identity,
    ) -> Result<UserId, AuthError> {
        let row = self.inner.store.invitation(id).await?;
        let invited = row.and_then(|row| row.email);
        let email = match (invited, email) {
            (Some(email), _) => email,
            (None, Some(email)) => {
                address(email).ok_or_else(|| AuthError::BadEmail(email.to_owned()))?
            }
            (None, None) => return Err(AuthError::BadEmail(String::new())),
        };
        self.accept(id, email, Joining::Identity(identity)).await
    }

    async fn accept(
        &self,
        id: InvitationId,
        email: String,
        joining: Joining<'_>,
    ) -> Result<UserId, AuthError> {
        let now = self.inner.clock.now();
        let user = UserRow {
            id: UserId::new(now),
            org_id: self.inner.org,
            email,
            role: Role::Member,
            created_at: now,
            removed_at: None,
        };
        let accepted = self
            .inner
            .store
            .accept_invitation(id, &user, joining, now)
            .await?;
        self.forget();
        match accepted {
            Accepted::Done(member) => {
                let event = AdminEvent {
                    kind: "auth.joined",
                    target: user.email.as_str().into(),
                    detail: json!({ "invitation": id }),
                    ..AdminEvent::default()
                };
                let actor = Actor::Person {
                    user: member,
                    grant: None,
                };
                self.inner.audit.record(actor, user.org_id, event).await?;
                Ok(member)
            }
            Accepted::Gone => Err(AuthError::Invalid),
            Accepted::Taken => Err(AuthError::Exists(user.email)),
        }
    }
}
