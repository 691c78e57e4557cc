//! Inbound: who is asking. Personal access tokens, browser sessions and one-time sign-in tickets are all "a secret of 256
//! random bits whose hash names a person"; only SHA-256 of them is stored.
//!
//! This module knows nothing of connections to providers: that is `connect`.

mod access;
pub mod server;

pub use access::ACCESS_PREFIX;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::broadcast;

use crate::audit::{Actor, AdminEvent, AuditError, AuditLog};
use crate::caller::{Caller, Credential, Role, Scopes};
use crate::changes::{Heard, REMEMBERED};
use crate::clock::{Clock, Timestamp};
use crate::ids::{GrantId, OrgId, UserId};
use crate::store::{GrantKind, GrantRow, Store, StoreError, UserRow};
use crate::turns::Turns;
use crate::vault::{self, Mac, VaultError};

/// What personal access tokens begin with, so that secret scanners find a leaked one.
pub const TOKEN_PREFIX: &str = "wbt_";
/// How many grants are remembered.
const GRANTS: u64 = 50_000;
/// How long a browser stays signed in.
const SESSION_LIFE: Duration = Duration::from_hours(12);
/// How long a printed sign-in link is good for.
const TICKET_LIFE: Duration = Duration::from_mins(30);
/// Longest secret looked up, in bytes; ours are shorter.
const MAX_SECRET: usize = 200;

/// Why somebody is not who they must be.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The secret is unknown, revoked, or of another kind.
    #[error("the credential is not valid")]
    Invalid,
    /// It was valid once.
    #[error("the credential has expired")]
    Expired,
    /// A person with this e-mail address exists.
    #[error("{0} is already a member")]
    Exists(String),
    /// The address cannot be an e-mail address.
    #[error("{0:?} is not an e-mail address")]
    BadEmail(String),
    /// Nobody has this e-mail address.
    #[error("nobody here is called {0}; `users add` adds people")]
    NoSuchPerson(String),
    /// The machine gave no randomness.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log could not take it.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The database failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

type Known = Arc<(GrantRow, UserRow)>;

/// The people and their credentials. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    audit: AuditLog,
    forms: Mac,
    known: moka::sync::Cache<[u8; 32], Known>,
    turns: Turns,
    used: Mutex<HashMap<GrantId, Timestamp>>,
}

/// A new personal access token. The secret is shown once and is nowhere afterwards.
pub struct NewToken {
    /// Its id.
    pub id: GrantId,
    /// The token itself.
    pub secret: SecretString,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl Auth {
    /// Authentication over this store. `forms` seals the tokens of forms.
    pub fn new(store: Store, clock: Clock, audit: AuditLog, forms: Mac) -> Self {
        let known = moka::sync::Cache::builder()
            .max_capacity(GRANTS)
            .time_to_live(REMEMBERED)
            .build();
        Self {
            inner: Arc::new(Inner {
                store,
                clock,
                audit,
                forms,
                known,
                turns: Turns::default(),
                used: Mutex::default(),
            }),
        }
    }

    /// Forgets what a change made old. Runs until the future is dropped.
    pub async fn follow(&self, mut heard: broadcast::Receiver<Heard>) {
        use broadcast::error::RecvError;
        loop {
            match heard.recv().await {
                Ok(Heard::Change(change)) if change.topic != "grant" => {}
                Ok(_) | Err(RecvError::Lagged(_)) => self.inner.known.invalidate_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Whose personal access token this is.
    pub async fn bearer(&self, token: &str) -> Result<Caller, AuthError> {
        if !token.starts_with(TOKEN_PREFIX) {
            return Err(AuthError::Invalid);
        }
        let known = self.live(token, GrantKind::Token).await?;
        Ok(caller(&known, Credential::Token(known.0.id)))
    }

    /// Whose browser session this is.
    pub async fn session(&self, secret: &str) -> Result<Caller, AuthError> {
        let known = self.live(secret, GrantKind::Session).await?;
        Ok(caller(&known, Credential::Session(known.0.id)))
    }

    /// Whether the credential of this caller still holds.
    pub async fn still_holds(&self, caller: &Caller) -> bool {
        let (Credential::Token(id) | Credential::Session(id) | Credential::Access(id)) =
            caller.credential
        else {
            return true;
        };
        let now = self.inner.clock.now();
        match self.inner.store.grant(id).await {
            Ok(Some((grant, user))) => judge(&grant, &user, now).is_ok(),
            // A database that does not answer for a moment ends no stream.
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The grant with this hash, live or not, and its person.
    async fn known(&self, hash: [u8; 32]) -> Result<Known, AuthError> {
        if let Some(known) = self.inner.known.get(&hash) {
            return Ok(known);
        }
        let _turn = self.inner.turns.of(&hash).await;
        if let Some(known) = self.inner.known.get(&hash) {
            return Ok(known);
        }
        let found = self.inner.store.grant_by_hash(&hash).await?;
        let mut found = found.ok_or(AuthError::Invalid)?;
        self.see_first_use(&mut found.0).await?;
        let known = Arc::new(found);
        self.inner.known.insert(hash, Arc::clone(&known));
        Ok(known)
    }

    async fn live(&self, secret: &str, kind: GrantKind) -> Result<Known, AuthError> {
        if secret.len() > MAX_SECRET {
            return Err(AuthError::Invalid);
        }
        self.live_hash(vault::hash(secret), kind).await
    }

    async fn live_hash(&self, hash: [u8; 32], kind: GrantKind) -> Result<Known, AuthError> {
        let known = self.known(hash).await?;
        let (grant, user) = &*known;
        if grant.kind != kind {
            return Err(AuthError::Invalid);
        }
        let now = self.inner.clock.now();
        judge(grant, user, now)?;
        self.inner
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(grant.id, now);
        Ok(known)
    }

    /// Signs a browser in for whoever holds this personal access token; the session's secret goes into a cookie. A
    /// read-only token makes no session, because a session may connect accounts.
    pub async fn sign_in_with_token(&self, token: &str) -> Result<SecretString, AuthError> {
        let caller = self.bearer(token).await?;
        if !caller.scopes.write {
            return Err(AuthError::Invalid);
        }
        self.begin_session(caller.org, caller.user, "token").await
    }

    /// Signs a browser in for whoever holds this one-time ticket.
    pub async fn sign_in_with_ticket(&self, ticket: &str) -> Result<SecretString, AuthError> {
        let known = self.live(ticket, GrantKind::Ticket).await?;
        let (grant, user) = &*known;
        if !self
            .inner
            .store
            .consume_grant(grant.id, self.inner.clock.now())
            .await?
        {
            return Err(AuthError::Invalid);
        }
        self.inner.known.invalidate(&grant.secret_hash);
        self.begin_session(user.org_id, user.id, "ticket").await
    }

    async fn begin_session(
        &self,
        org: OrgId,
        user: UserId,
        by: &'static str,
    ) -> Result<SecretString, AuthError> {
        let life = Some(SESSION_LIFE);
        let (id, secret) = self
            .insert(org, user, GrantKind::Session, "browser", life, Scopes::ALL)
            .await?;
        let event = AdminEvent {
            kind: "auth.signed_in",
            target: id.to_string().into(),
            detail: json!({ "by": by }),
            ..AdminEvent::default()
        };
        self.inner
            .audit
            .record(
                Actor::Person {
                    user,
                    grant: Some(id),
                },
                org,
                event,
            )
            .await?;
        Ok(secret)
    }

    /// Ends the session of this caller.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), AuthError> {
        if let Credential::Session(id) = caller.credential {
            self.inner
                .store
                .revoke_grant(id, self.inner.clock.now())
                .await?;
            self.inner.known.invalidate_all();
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
        let (_, secret) = self
            .insert(
                user.org_id,
                user.id,
                GrantKind::Ticket,
                "console",
                life,
                Scopes::ALL,
            )
            .await?;
        Ok(secret)
    }

    /// A personal access token for this person.
    pub async fn create_token(
        &self,
        user: &UserRow,
        name: &str,
        life: Option<Duration>,
        scopes: Scopes,
    ) -> Result<NewToken, AuthError> {
        let (id, secret) = self
            .insert(
                user.org_id,
                user.id,
                GrantKind::Token,
                name,
                life,
                scopes.clone(),
            )
            .await?;
        let event = AdminEvent {
            kind: "auth.token_created",
            target: id.to_string().into(),
            detail: json!({ "name": name, "scopes": scopes.to_string(), "for": user.email }),
            ..AdminEvent::default()
        };
        self.inner
            .audit
            .record(Actor::System, user.org_id, event)
            .await?;
        Ok(NewToken {
            id,
            secret,
            expires_at: life.map(|life| self.inner.clock.now().plus(life)),
        })
    }

    /// Ends a token; says whether it was live.
    pub async fn revoke_token(&self, user: &UserRow, id: GrantId) -> Result<bool, AuthError> {
        let revoked = self
            .inner
            .store
            .revoke_grant(id, self.inner.clock.now())
            .await?;
        self.inner.known.invalidate_all();
        let event = AdminEvent {
            kind: "auth.token_revoked",
            target: id.to_string().into(),
            detail: json!({ "was_live": revoked }),
            ..AdminEvent::default()
        };
        self.inner
            .audit
            .record(
                Actor::Person {
                    user: user.id,
                    grant: None,
                },
                user.org_id,
                event,
            )
            .await?;
        Ok(revoked)
    }

    /// A token that forms shown to this caller carry, against forged requests from other sites.
    pub fn form_token(&self, caller: &Caller) -> String {
        self.inner
            .forms
            .sign(&[form_owner(caller).as_bytes()], "form")
    }

    /// Whether a form was shown to this caller.
    pub fn is_form_token(&self, caller: &Caller, token: &str) -> bool {
        self.inner
            .forms
            .open(&[form_owner(caller).as_bytes()], token)
            .as_deref()
            == Some("form")
    }

    async fn insert(
        &self,
        org: OrgId,
        user: UserId,
        kind: GrantKind,
        name: &str,
        life: Option<Duration>,
        scopes: Scopes,
    ) -> Result<(GrantId, SecretString), AuthError> {
        let now = self.inner.clock.now();
        let prefix = if kind == GrantKind::Token {
            TOKEN_PREFIX
        } else {
            ""
        };
        let secret = vault::random_secret(prefix).ok_or(VaultError::Randomness)?;
        let grant = GrantRow {
            id: GrantId::new(now),
            org_id: org,
            user_id: user,
            kind,
            secret_hash: vault::hash(secret.expose_secret()),
            name: name.to_owned(),
            scopes,
            created_at: now,
            expires_at: life.map(|life| now.plus(life)),
            revoked_at: None,
            last_used_at: None,
        };
        self.inner.store.insert_grant(&grant).await?;
        Ok((grant.id, secret))
    }

    /// Adds a person to the organization.
    pub async fn add_user(
        &self,
        org: OrgId,
        email: &str,
        role: Role,
    ) -> Result<UserRow, AuthError> {
        let email = email.trim().to_lowercase();
        let plausible = email.len() <= 254
            && email
                .split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && host.len() > 1)
            && !email.chars().any(|c| c.is_whitespace() || c.is_control());
        if !plausible {
            return Err(AuthError::BadEmail(email));
        }
        let now = self.inner.clock.now();
        let user = UserRow {
            id: UserId::new(now),
            org_id: org,
            email,
            role,
            created_at: now,
            removed_at: None,
        };
        match self.inner.store.insert_user(&user).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return Err(AuthError::Exists(user.email)),
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

    /// The caller of `stdio`: this person, trusted because they hold the database.
    pub fn local(user: &UserRow) -> Caller {
        Caller {
            user: user.id,
            org: user.org_id,
            email: user.email.as_str().into(),
            role: user.role,
            credential: Credential::Local,
            groups: Arc::default(),
            scopes: Scopes::ALL,
        }
    }

    /// Writes down when grants were last used. A job calls it every few seconds.
    pub async fn flush_used(&self) -> Result<(), StoreError> {
        let used = std::mem::take(
            &mut *self
                .inner
                .used
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if used.is_empty() {
            return Ok(());
        }
        self.inner
            .store
            .touch_grants(&used.into_iter().collect::<Vec<_>>())
            .await
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

fn form_owner(caller: &Caller) -> String {
    match caller.credential {
        Credential::Token(id) | Credential::Session(id) | Credential::Access(id) => id.to_string(),
        Credential::Local => caller.user.to_string(),
    }
}

fn judge(grant: &GrantRow, user: &UserRow, now: Timestamp) -> Result<(), AuthError> {
    if grant.revoked_at.is_some() || user.removed_at.is_some() {
        return Err(AuthError::Invalid);
    }
    if grant.expires_at.is_some_and(|at| at <= now) {
        return Err(AuthError::Expired);
    }
    Ok(())
}

fn caller(known: &Known, credential: Credential) -> Caller {
    let (grant, user) = &**known;
    Caller {
        user: user.id,
        org: user.org_id,
        email: user.email.as_str().into(),
        role: user.role,
        credential,
        groups: Arc::default(),
        scopes: grant.scopes.clone(),
    }
}
