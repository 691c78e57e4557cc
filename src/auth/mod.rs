//! Inbound: who is asking. Personal access tokens, browser sessions and one-time sign-in tickets are all "a secret of 256
//! random bits whose hash names a person"; only SHA-256 of them is stored. Passwords (`password.rs`), an identity provider
//! (`oidc/`) and invitations lead to a browser session; access tokens of another server (`issuer.rs`) are the one
//! credential that is not a row.
//!
//! This module knows nothing of connections to providers: that is `connect`.

mod access;
mod invitations;
mod issuer;
pub mod oidc;
mod password;
mod people;
pub mod server;
mod sessions;
mod throttle;
mod tokens;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::broadcast;

use crate::audit::{Actor, AdminEvent, AuditError, AuditLog};
use crate::caller::{Caller, Credential, Scopes};
use crate::changes::{Heard, REMEMBERED};
use crate::clock::{Clock, Timestamp};
use crate::ids::{GrantId, GroupId, OrgId, UserId};
use crate::store::{GrantKind, GrantRow, Store, StoreError, UserRow};
use crate::turns::Turns;
use crate::vault::{self, Mac, VaultError};

pub use access::ACCESS_PREFIX;
pub use invitations::{Invitation, Invited};
pub use issuer::Issuer;
pub use people::{Person, Removal};
pub use tokens::{PersonalToken, TokenState};

/// What personal access tokens begin with, so that secret scanners find a leaked one.
pub const TOKEN_PREFIX: &str = "wbt_";
/// How many grants are remembered.
const GRANTS: u64 = 50_000;
/// How long a browser stays signed in without being used.
const SESSION_IDLE: Duration = Duration::from_hours(12);
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
    /// Without them nobody could administer the organization.
    #[error("{0} is the last admin; make somebody else an admin first")]
    LastAdmin(String),
    /// The group's name cannot be one.
    #[error("{0:?} cannot be the name of a group; use 1 to 60 visible characters")]
    BadGroupName(String),
    /// The name is taken.
    #[error("there is a group called {0} already")]
    GroupExists(String),
    /// Without the group its rules would be about nobody.
    #[error(
        "the policy has rules about {0}, which would be lifted with it; remove or change them first"
    )]
    GroupRuled(String),
    /// No group has this name.
    #[error("there is no group called {0}; `groups list` shows them")]
    NoSuchGroup(String),
    /// A new password that is too easy.
    #[error("this password is not good enough: {0}")]
    WeakPassword(&'static str),
    /// Too many tries.
    #[error("too many tries; try again in {retry_after_s} s")]
    Throttled {
        /// When to come again.
        retry_after_s: u64,
    },
    /// So many people sign in that this one would wait too long.
    #[error("too many people sign in at this moment; try again")]
    Busy,
    /// The identity provider, or what it said, does not let this person in; says what to do.
    #[error("{0}")]
    Refused(String),
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

/// A grant as it is remembered, with what every caller needs to know of its person.
struct Known {
    grant: GrantRow,
    user: UserRow,
    groups: Arc<[GroupId]>,
    /// When this process last saw it used, in microseconds; 0 when it did not.
    seen: AtomicI64,
}

/// The people and their credentials. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

/// What [`Auth::new`] is made of.
pub struct Parts {
    /// Rows.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// The log.
    pub audit: AuditLog,
    /// The organization.
    pub org: OrgId,
    /// Seals the tokens of forms.
    pub forms: Mac,
    /// Where people sign in besides here.
    pub oidc: Option<oidc::Provider>,
    /// Whose access tokens are taken besides our own.
    pub issuer: Option<Issuer>,
}

struct Inner {
    store: Store,
    clock: Clock,
    audit: AuditLog,
    org: OrgId,
    forms: Mac,
    passwords: password::Passwords,
    guesses: throttle::Guesses,
    oidc: Option<oidc::Provider>,
    issuer: Option<Issuer>,
    known: moka::sync::Cache<[u8; 32], Arc<Known>>,
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
    /// Authentication over these parts.
    pub fn new(parts: Parts) -> Self {
        let known = moka::sync::Cache::builder()
            .max_capacity(GRANTS)
            .time_to_live(REMEMBERED)
            .build();
        Self {
            inner: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                audit: parts.audit,
                org: parts.org,
                forms: parts.forms,
                passwords: password::Passwords::new(),
                guesses: throttle::Guesses::new(),
                oidc: parts.oidc,
                issuer: parts.issuer,
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
                Ok(_) | Err(RecvError::Lagged(_)) => self.forget(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Forgets what is remembered of grants and people; the next look is at the store.
    fn forget(&self) {
        self.inner.known.invalidate_all();
        if let Some(issuer) = &self.inner.issuer {
            issuer.forget();
        }
    }

    /// Whose personal access token, or token of the external issuer, this is.
    pub async fn bearer(&self, token: &str) -> Result<Caller, AuthError> {
        if !token.starts_with(TOKEN_PREFIX) {
            return match &self.inner.issuer {
                Some(issuer) => self.external(issuer, token).await,
                None => Err(AuthError::Invalid),
            };
        }
        let known = self.live(token, GrantKind::Token).await?;
        Ok(caller(&known, Credential::Token(known.grant.id)))
    }

    /// The external issuer whose access tokens are taken at the MCP endpoint, for the metadata that names it.
    pub fn issuer(&self) -> Option<&str> {
        self.inner.issuer.as_ref().map(Issuer::name)
    }

    /// Whose browser session this is.
    pub async fn session(&self, secret: &str) -> Result<Caller, AuthError> {
        let known = self.live(secret, GrantKind::Session).await?;
        Ok(caller(&known, Credential::Session(known.grant.id)))
    }

    /// Whether the credential of this caller still holds.
    pub async fn still_holds(&self, caller: &Caller) -> bool {
        let now = self.inner.clock.now();
        let held = match caller.credential {
            Credential::Token(id) | Credential::Session(id) | Credential::Access(id) => {
                self.inner.store.grant(id).await.map(|found| {
                    found.is_some_and(|(grant, user)| judge(&grant, &user, None, now).is_ok())
                })
            }
            Credential::External(until) => self
                .inner
                .store
                .user(caller.user)
                .await
                .map(|found| now < until && found.is_some_and(|user| user.removed_at.is_none())),
            Credential::Local => return true,
        };
        // A database that does not answer for a moment ends no stream.
        held.unwrap_or(true)
    }

    /// The grant with this hash, live or not, and its person.
    async fn known(&self, hash: [u8; 32]) -> Result<Arc<Known>, AuthError> {
        if let Some(known) = self.inner.known.get(&hash) {
            return Ok(known);
        }
        let _turn = self.inner.turns.of(&hash).await;
        if let Some(known) = self.inner.known.get(&hash) {
            return Ok(known);
        }
        let found = self.inner.store.grant_by_hash(&hash).await?;
        let (mut grant, user, groups) = found.ok_or(AuthError::Invalid)?;
        self.see_first_use(&mut grant).await?;
        // What was forgotten since the last flush was seen all the same.
        let seen = self
            .inner
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&grant.id)
            .copied()
            .unwrap_or_default();
        let known = Arc::new(Known {
            grant,
            user,
            groups: groups.into(),
            seen: AtomicI64::new(seen.micros()),
        });
        self.inner.known.insert(hash, Arc::clone(&known));
        Ok(known)
    }

    async fn live(&self, secret: &str, kind: GrantKind) -> Result<Arc<Known>, AuthError> {
        if secret.len() > MAX_SECRET {
            return Err(AuthError::Invalid);
        }
        self.live_hash(vault::hash(secret), kind).await
    }

    async fn live_hash(&self, hash: [u8; 32], kind: GrantKind) -> Result<Arc<Known>, AuthError> {
        let known = self.known(hash).await?;
        if known.grant.kind != kind {
            return Err(AuthError::Invalid);
        }
        let now = self.inner.clock.now();
        let seen = Timestamp::from_micros(known.seen.load(Ordering::Relaxed));
        judge(&known.grant, &known.user, Some(seen), now)?;
        known.seen.store(now.micros(), Ordering::Relaxed);
        self.inner
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(known.grant.id, now);
        Ok(known)
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
        self.forget();
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

    /// The caller of `stdio`, with their groups.
    pub async fn local_caller(&self, user: &UserRow) -> Result<Caller, AuthError> {
        Ok(Caller {
            groups: self.inner.store.groups_of(user.id).await?.into(),
            ..Self::local(user)
        })
    }

    /// The caller of `stdio`, in no group: this person, trusted because they hold the database.
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
        Credential::External(_) | Credential::Local => caller.user.to_string(),
    }
}

/// Whether a grant holds. `seen` is when this process saw it used, which the row may not know yet.
fn judge(
    grant: &GrantRow,
    user: &UserRow,
    seen: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), AuthError> {
    if grant.revoked_at.is_some() || user.removed_at.is_some() {
        return Err(AuthError::Invalid);
    }
    if grant.expires_at.is_some_and(|at| at <= now) {
        return Err(AuthError::Expired);
    }
    if grant.kind == GrantKind::Session {
        let used = grant.last_used_at.max(seen).unwrap_or_default();
        if now.since(used.max(grant.created_at)) >= SESSION_IDLE {
            return Err(AuthError::Expired);
        }
    }
    Ok(())
}

fn caller(known: &Known, credential: Credential) -> Caller {
    Caller {
        user: known.user.id,
        org: known.user.org_id,
        email: known.user.email.as_str().into(),
        role: known.user.role,
        credential,
        groups: Arc::clone(&known.groups),
        scopes: known.grant.scopes.clone(),
    }
}
