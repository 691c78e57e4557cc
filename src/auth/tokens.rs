//! A person's own personal access tokens, as they manage them in a browser.

use std::time::Duration;

use serde_json::json;

use super::{Auth, AuthError, NewToken};
use crate::audit::AdminEvent;
use crate::caller::{Caller, Credential, Scopes};
use crate::clock::Timestamp;
use crate::ids::GrantId;
use crate::store::{GrantKind, GrantRow};

/// Longest name of a token, in characters.
const NAME: usize = 60;
/// Live tokens of one person, at most.
const MOST: usize = 50;

/// How a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It lets its holder in.
    Live,
    /// Its time is over.
    Expired,
    /// It was ended.
    Revoked,
}

/// A personal access token as its owner sees it. The secret is nowhere.
#[derive(Clone, Debug)]
pub struct PersonalToken {
    /// Its id.
    pub id: GrantId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last shown, up to a few seconds ago.
    pub last_used_at: Option<Timestamp>,
    /// How it stands.
    pub state: TokenState,
}

impl PersonalToken {
    fn at(now: Timestamp, row: GrantRow) -> Self {
        let state = if row.revoked_at.is_some() {
            TokenState::Revoked
        } else if row.expires_at.is_some_and(|at| at <= now) {
            TokenState::Expired
        } else {
            TokenState::Live
        };
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            state,
        }
    }
}

impl Auth {
    /// The caller's tokens, newest first, ended ones included.
    pub async fn own_tokens(&self, caller: &Caller) -> Result<Vec<PersonalToken>, AuthError> {
        let rows = self.inner.store.grants_of(caller.user, GrantKind::Token);
        let now = self.inner.clock.now();
        let tokens = rows.await?.into_iter();
        Ok(tokens.map(|row| PersonalToken::at(now, row)).collect())
    }

    /// A personal access token for the caller themself, who must be there in a browser. It never allows more than what the
    /// caller came with: whoever got hold of a narrow credential cannot make a broad one of it.
    pub async fn create_own_token(
        &self,
        caller: &Caller,
        name: &str,
        life: Option<Duration>,
        scopes: Scopes,
    ) -> Result<NewToken, AuthError> {
        let refused = |words: &str| Err(AuthError::Refused(words.to_owned()));
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
            return refused("give the token a name of 1 to 60 visible characters");
        }
        let present = matches!(caller.credential, Credential::Session(_));
        if !present || !caller.scopes.contain(&scopes) {
            let event = AdminEvent {
                kind: "auth.token_refused",
                target: caller.email.as_ref().into(),
                outcome: "insufficient_scope",
                detail: json!({ "name": name, "scopes": scopes.to_string() }),
                ..AdminEvent::default()
            };
            self.inner.audit.record(caller, caller.org, event).await?;
            return refused(
                "a token cannot allow more than you are signed in for; sign in with your password, or choose less",
            );
        }
        let live = self.own_tokens(caller).await?;
        let live = live.iter().filter(|token| token.state == TokenState::Live);
        if live.count() >= MOST {
            return refused("you have 50 live tokens; revoke one that you no longer need");
        }
        let (id, secret) = self
            .insert(
                caller.org,
                caller.user,
                GrantKind::Token,
                name,
                life,
                scopes.clone(),
            )
            .await?;
        let expires_at = life.map(|life| self.inner.clock.now().plus(life));
        let event = AdminEvent {
            kind: "auth.token_created",
            target: id.to_string().into(),
            detail: json!({
                "name": name,
                "scopes": scopes.to_string(),
                "for": caller.email,
                "expires_at": expires_at.map(Timestamp::rfc3339),
            }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(caller, caller.org, event).await?;
        Ok(NewToken {
            id,
            secret,
            expires_at,
        })
    }

    /// Ends one of the caller's tokens. `None` when they have no such token, else whether it was live.
    pub async fn revoke_own_token(
        &self,
        caller: &Caller,
        id: GrantId,
    ) -> Result<Option<bool>, AuthError> {
        let own = self.own_tokens(caller).await?;
        if !own.iter().any(|token| token.id == id) {
            return Ok(None);
        }
        let now = self.inner.clock.now();
        let was_live = self.inner.store.revoke_grant(id, now).await?;
        self.forget();
        let event = AdminEvent {
            kind: "auth.token_revoked",
            target: id.to_string().into(),
            detail: json!({ "was_live": was_live }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(caller, caller.org, event).await?;
        Ok(Some(was_live))
    }
}
