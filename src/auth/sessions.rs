//! How a browser is signed in: with a password, a personal access token, a one-time link, an invitation or at an identity
//! provider. Each makes a session of its own, and whatever session the browser had before ends.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::password::check_new;
use super::people::address;
use super::{Auth, AuthError, Known};
use crate::audit::{Actor, AdminEvent};
use crate::caller::{Caller, Credential, Scopes};
use crate::ids::{OrgId, UserId};
use crate::store::{BY_TOKEN, GrantKind, UserRow};

/// How long a browser stays signed in, used or not.
pub(super) const SESSION_LIFE: Duration = Duration::from_hours(7 * 24);
/// How long a printed sign-in link is good for.
const TICKET_LIFE: Duration = Duration::from_mins(30);
/// How long after a one-time link a password can be set without the old one.
const FRESH: Duration = Duration::from_mins(15);
/// What a session is called that began with a one-time link. One that began with a token has the token in its name, and
/// ends with it ([`crate::store::Store::revoke_grant`]).
const BY_LINK: &str = "link";

impl Auth {
    /// Signs a browser in for whoever knows this password. Somebody who is not here, somebody who has no password and a
    /// wrong password are one failure, which takes the same time.
    pub async fn sign_in_with_password(
        &self,
        email: &str,
        password: SecretString,
        from: Option<IpAddr>,
    ) -> Result<SecretString, AuthError> {
        let email = email.trim().to_lowercase();
        // Whatever was typed that can be no address, perhaps the password, is not written down.
        let target = address(&email).map_or("(no address)", |_| email.as_str());
        if let Err(refused) = self.inner.guesses.take(&email, from) {
            if refused.tell {
                self.denied(target, "password", "throttled").await?;
            }
            return Err(AuthError::Throttled {
                retry_after_s: refused.retry_after_s,
            });
        }
        let org = self.inner.org;
        let found = self.inner.store.user_and_password(org, &email).await?;
        let found = found.filter(|(user, _)| user.removed_at.is_none());
        let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
        let fits = self.inner.passwords.fits(password, hash).await?;
        match user {
            Some(user) if fits => self.begin_session(org, user.id, "password").await,
            _ => {
                self.denied(target, "password", "invalid").await?;
                Err(AuthError::Invalid)
            }
        }
    }

    /// Writes down that somebody was not let in.
    pub(super) async fn denied(
        &self,
        target: &str,
        by: &'static str,
        outcome: &'static str,
    ) -> Result<(), AuthError> {
        let event = AdminEvent {
            kind: "auth.denied",
            target: target.into(),
            outcome,
            detail: json!({ "by": by }),
            ..AdminEvent::default()
        };
        let org = self.inner.org;
        Ok(self.inner.audit.record(Actor::System, org, event).await?)
    }

    /// Signs a browser in for whoever holds this personal access token; the session's secret goes into a cookie. Only a
    /// token for everything makes a session, because a session may do everything.
    pub async fn sign_in_with_token(&self, token: &str) -> Result<SecretString, AuthError> {
        let caller = self.bearer(token).await?;
        if caller.scopes != Scopes::ALL {
            return Err(AuthError::Invalid);
        }
        let Credential::Token(id) = caller.credential else {
            return Err(AuthError::Invalid);
        };
        let (token, _) = self
            .inner
            .store
            .grant(id)
            .await?
            .ok_or(AuthError::Invalid)?;
        let now = self.inner.clock.now();
        let left = token.expires_at.map(|end| end.since(now));
        let life = left.map_or(SESSION_LIFE, |left| left.min(SESSION_LIFE));
        let of_token = format!("{BY_TOKEN}{id}");
        self.begin(caller.org, caller.user, (&of_token, "token"), life)
            .await
    }

    /// Signs a browser in for whoever holds this one-time ticket.
    pub async fn sign_in_with_ticket(&self, ticket: &str) -> Result<SecretString, AuthError> {
        let known = self.live(ticket, GrantKind::Ticket).await?;
        let Known { grant, user, .. } = &*known;
        if !self
            .inner
            .store
            .consume_grant(grant.id, self.inner.clock.now())
            .await?
        {
            return Err(AuthError::Invalid);
        }
        self.inner.known.invalidate(&grant.secret_hash);
        self.begin_session(user.org_id, user.id, BY_LINK).await
    }

    /// A session of this person, which began in this way.
    pub(super) async fn begin_session(
        &self,
        org: OrgId,
        user: UserId,
        by: &'static str,
    ) -> Result<SecretString, AuthError> {
        self.begin(org, user, (by, by), SESSION_LIFE).await
    }

    /// A session with this name, recorded as one that began so.
    async fn begin(
        &self,
        org: OrgId,
        user: UserId,
        (name, by): (&str, &'static str),
        life: Duration,
    ) -> Result<SecretString, AuthError> {
        let (id, secret) = self
            .insert(org, user, GrantKind::Session, name, Some(life), Scopes::ALL)
            .await?;
        let event = AdminEvent {
            kind: "auth.signed_in",
            target: id.to_string().into(),
            detail: json!({ "by": by }),
            ..AdminEvent::default()
        };
        let actor = Actor::Person {
            user,
            grant: Some(id),
        };
        self.inner.audit.record(actor, org, event).await?;
        Ok(secret)
    }

    /// Ends the session that a browser had before it signed in again.
    pub async fn replace_session(&self, old: &str) -> Result<(), AuthError> {
        match self.session(old).await {
            Ok(caller) => self.sign_out(&caller).await,
            Err(AuthError::Store(error)) => Err(error.into()),
            Err(_) => Ok(()),
        }
    }

    /// Ends the session of this caller.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), AuthError> {
        if let Credential::Session(id) = caller.credential {
            self.inner
                .store
                .revoke_grant(id, self.inner.clock.now())
                .await?;
            self.forget();
            let event = AdminEvent {
                kind: "auth.signed_out",
                target: id.to_string().into(),
                ..AdminEvent::default()
            };
            self.inner.audit.record(caller, caller.org, event).await?;
        }
        Ok(())
    }

    /// A link's secret that signs this person in once, for the console of whoever runs the server.
    pub async fn ticket(&self, user: &UserRow) -> Result<SecretString, AuthError> {
        let life = Some(TICKET_LIFE);
        let (id, secret) = self
            .insert(
                user.org_id,
                user.id,
                GrantKind::Ticket,
                "console",
                life,
                Scopes::ALL,
            )
            .await?;
        let event = AdminEvent {
            kind: "auth.link_created",
            target: id.to_string().into(),
            detail: json!({ "for": user.email }),
            ..AdminEvent::default()
        };
        self.inner
            .audit
            .record(Actor::System, user.org_id, event)
            .await?;
        Ok(secret)
    }

    /// Whether this caller may set their password without the old one: they came by a one-time link just now.
    pub async fn may_set_password(&self, caller: &Caller) -> Result<bool, AuthError> {
        let Credential::Session(id) = caller.credential else {
            return Ok(false);
        };
        let found = self.inner.store.grant(id).await?;
        let now = self.inner.clock.now();
        Ok(found.is_some_and(|(grant, _)| {
            grant.name == BY_LINK && now.since(grant.created_at) <= FRESH
        }))
    }

    /// Sets the caller's password: with the old one, or after a one-time link. Their other browsers are signed out, and
    /// this one gets a new session.
    pub async fn change_password(
        &self,
        caller: &Caller,
        old: SecretString,
        new: SecretString,
        from: Option<IpAddr>,
    ) -> Result<SecretString, AuthError> {
        check_new(&new, &caller.email)?;
        if !self.may_set_password(caller).await? {
            if let Err(refused) = self.inner.guesses.take(&caller.email, from) {
                return Err(AuthError::Throttled {
                    retry_after_s: refused.retry_after_s,
                });
            }
            let found = self
                .inner
                .store
                .user_and_password(caller.org, &caller.email)
                .await?;
            let hash = found.and_then(|(_, hash)| hash);
            if !self.inner.passwords.fits(old, hash).await? {
                self.denied(&caller.email, "password", "invalid").await?;
                return Err(AuthError::Invalid);
            }
        }
        let hash = self.inner.passwords.hash(new).await?;
        let now = self.inner.clock.now();
        let set = self
            .inner
            .store
            .set_password(caller.user, &hash, now)
            .await?;
        self.forget();
        if !set {
            return Err(AuthError::Invalid);
        }
        let event = AdminEvent {
            kind: "auth.password_changed",
            target: caller.email.as_ref().into(),
            detail: json!({ "password": "changed" }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(caller, caller.org, event).await?;
        self.begin_session(caller.org, caller.user, "password")
            .await
    }

    /// Forgets tries of passwords that are long past. A job calls it.
    pub fn sweep(&self) {
        self.inner.guesses.sweep();
    }
}
