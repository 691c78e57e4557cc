//! Tokens: a code or a refresh token in, a new pair out (RFC 6749 §4.1.3 and §6), and their end (RFC 7009).

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::authorize::{Parameters, Several, requested};
use super::{ACCESS_LIFE, AuthorizationServer, FAMILY_LIFE, REFRESH_LIFE, pkce, redirect};
use crate::audit::Actor;
use crate::auth::access::{ACCESS_PREFIX, access_hash};
use crate::auth::{AuthError, MAX_SECRET};
use crate::caller::{Caller, Scopes};
use crate::ids::{FamilyId, GrantId};
use crate::store::{CodeUse, FamilyRow, Issue, Refreshed};
use crate::vault::{self, VaultError};

/// What refresh tokens begin with.
const REFRESH_PREFIX: &str = "wbr_";

/// Why there are no tokens, in the words of RFC 6749 §5.2 and RFC 8707 §2.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// `invalid_request`.
    #[error("{0}")]
    Request(String),
    /// `invalid_client`.
    #[error("the client is unknown here; register again")]
    Client,
    /// `invalid_grant`.
    #[error("{0}")]
    Grant(&'static str),
    /// `invalid_scope`.
    #[error("the scope is more than the person allowed")]
    Scope,
    /// `invalid_target`.
    #[error("the resource must be {0}")]
    Target(String),
    /// `unsupported_grant_type`.
    #[error("grant_type must be authorization_code or refresh_token")]
    GrantType,
    /// Our fault.
    #[error(transparent)]
    Failed(#[from] AuthError),
}

impl TokenError {
    /// The error code; `server_error` is not of the RFC but says what it is.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Request(_) => "invalid_request",
            Self::Client => "invalid_client",
            Self::Grant(_) => "invalid_grant",
            Self::Scope => "invalid_scope",
            Self::Target(_) => "invalid_target",
            Self::GrantType => "unsupported_grant_type",
            Self::Failed(_) => "server_error",
        }
    }
}

/// A token request as it came.
pub type TokenRequest = Parameters;

/// What a client gets.
pub struct Tokens {
    /// The access token, good for [`ACCESS_LIFE`].
    pub access: SecretString,
    /// The refresh token.
    pub refresh: SecretString,
    /// What they allow.
    pub scopes: Scopes,
}

/// A fresh pair and the hashes of it.
struct Pair {
    access: SecretString,
    refresh: SecretString,
    access_hash: [u8; 32],
    refresh_hash: [u8; 32],
}

impl AuthorizationServer {
    /// Answers a token request.
    pub async fn token(&self, request: &TokenRequest) -> Result<Tokens, TokenError> {
        let client_id = self.client_of(request).await?;
        let tokens = self.answer_request(client_id, request).await;
        if let Err(error) = &tokens
            && !matches!(error, TokenError::Failed(_))
        {
            self.record(
                Actor::System,
                "auth.token_refused",
                client_id,
                error.word(),
                json!({ "reason": error.to_string() }),
            )
            .await?;
        }
        tokens
    }

    async fn answer_request(
        &self,
        client_id: &str,
        request: &TokenRequest,
    ) -> Result<Tokens, TokenError> {
        let grant_type = required(request, "grant_type")?;
        if request
            .all("resource")
            .iter()
            .any(|resource| *resource != self.resource())
        {
            return Err(TokenError::Target(self.resource().to_owned()));
        }
        match grant_type {
            "authorization_code" => self.exchange(client_id, request).await,
            "refresh_token" => self.refresh(client_id, request).await,
            _ => Err(TokenError::GrantType),
        }
    }

    /// The client that a request names, if we know it. A client has no secret here, so sending one is a mistake.
    async fn client_of<'a>(&self, request: &'a TokenRequest) -> Result<&'a str, TokenError> {
        let client_id = required(request, "client_id")?;
        if !self.is_client(client_id).await? {
            return Err(TokenError::Client);
        }
        Ok(client_id)
    }

    async fn exchange(
        &self,
        client_id: &str,
        request: &TokenRequest,
    ) -> Result<Tokens, TokenError> {
        let shown = required(request, "code")?;
        let redirect_uri = required(request, "redirect_uri")?;
        let challenge =
            pkce::challenge_of(required(request, "code_verifier")?).ok_or_else(|| {
                TokenError::Request(
                    "code_verifier must be 43 to 128 unreserved characters".to_owned(),
                )
            })?;
        let (_, destination) = redirect::read(redirect_uri)
            .map_err(|problem| TokenError::Request(problem.to_string()))?;
        let parts = self.parts();
        let now = parts.clock.now();
        let pair = self.pair()?;
        let code_hash = vault::hash(shown);
        let family = FamilyId::new(now);
        let code = CodeUse {
            code_hash: &code_hash,
            client_id,
            redirect_uri,
            challenge: &challenge,
            resource: self.resource(),
            family,
            redirect_host: destination.host(),
            until: now.plus(FAMILY_LIFE),
        };
        let exchanged = parts.store.exchange_code(&code, &self.issue(&pair)).await;
        let Some((user, scopes)) = exchanged.map_err(AuthError::from)? else {
            return Err(self.refused_code(&code_hash).await?);
        };
        let actor = Actor::Person { user, grant: None };
        let detail = json!({ "client": client_id, "scopes": scopes.to_string() });
        self.record(
            actor,
            "auth.client_signed_in",
            &family.to_string(),
            "",
            detail,
        )
        .await?;
        Ok(pair.tokens(scopes))
    }

    /// Why a code was not exchanged. One that was exchanged before is in two hands, so what came of it ends.
    async fn refused_code(&self, code_hash: &[u8; 32]) -> Result<TokenError, AuthError> {
        let row = self.parts().store.authorization_by_code(code_hash).await?;
        if let Some(family) = row.and_then(|row| row.family_id) {
            self.end(Actor::System, family, "the code was used twice")
                .await?;
            return Ok(TokenError::Grant(
                "the code was used before, so the client is signed out; sign in again",
            ));
        }
        Ok(TokenError::Grant(
            "the code is unknown, older than a minute, or was not given to this client, redirect URI and verifier",
        ))
    }

    async fn refresh(&self, client_id: &str, request: &TokenRequest) -> Result<Tokens, TokenError> {
        let shown = required(request, "refresh_token")?;
        let narrower = match one(request, "scope")? {
            Some(text) => Some(requested(text).ok_or(TokenError::Scope)?),
            None => None,
        };
        if shown.len() > MAX_SECRET {
            return Err(TokenError::Grant(UNKNOWN));
        }
        let pair = self.pair()?;
        let refreshed = self
            .parts()
            .store
            .refresh_family(
                &vault::hash(shown),
                client_id,
                self.resource(),
                narrower.as_ref(),
                &self.issue(&pair),
            )
            .await;
        match refreshed.map_err(AuthError::from)? {
            Refreshed::Issued(_, _, scopes) => Ok(pair.tokens(scopes)),
            Refreshed::Refused => Err(TokenError::Grant(UNKNOWN)),
            Refreshed::TooMuch => Err(TokenError::Scope),
            Refreshed::Reused(family) => {
                self.end(Actor::System, family, "a refresh token was used twice")
                    .await?;
                Err(TokenError::Grant(
                    "the refresh token was used before, so the client is signed out; sign in again",
                ))
            }
        }
    }

    /// Ends the family of a token (RFC 7009). A token that is none of this client's is nothing to tell about.
    pub async fn revoke(&self, request: &TokenRequest) -> Result<(), TokenError> {
        let client_id = self.client_of(request).await?;
        let token = required(request, "token")?;
        if token.len() > MAX_SECRET {
            return Ok(());
        }
        let hash = if token.starts_with(ACCESS_PREFIX) {
            access_hash(token, self.resource())
        } else {
            vault::hash(token)
        };
        let found = self.parts().store.family_of_token(&hash, client_id).await;
        if let Some(family) = found.map_err(AuthError::from)? {
            self.end(Actor::System, family, "the client signed out")
                .await?;
        }
        Ok(())
    }

    /// The clients that this person has signed in.
    pub async fn signed_in(&self, caller: &Caller) -> Result<Vec<FamilyRow>, AuthError> {
        let parts = self.parts();
        // When they were last used is written in batches; here somebody looks.
        parts.auth.flush_used().await?;
        Ok(parts
            .store
            .families_of(caller.user, parts.clock.now())
            .await?)
    }

    /// Signs one of this person's clients out, and asks them again when it comes back; false when it is none of theirs.
    pub async fn sign_out_client(&self, caller: &Caller, id: FamilyId) -> Result<bool, AuthError> {
        let parts = self.parts();
        let own = parts
            .store
            .families_of(caller.user, parts.clock.now())
            .await?;
        let Some(family) = own.into_iter().find(|family| family.id == id) else {
            return Ok(false);
        };
        parts
            .store
            .forget_consents(caller.user, &family.client_id)
            .await?;
        self.end(caller, id, "the person signed it out").await?;
        Ok(true)
    }

    async fn end(
        &self,
        actor: impl Into<Actor>,
        family: FamilyId,
        reason: &'static str,
    ) -> Result<(), AuthError> {
        let parts = self.parts();
        let ended = parts
            .store
            .revoke_family(family, reason, parts.clock.now())
            .await?;
        let Some(user) = ended else { return Ok(()) };
        parts.auth.inner.known.invalidate_all();
        let detail = json!({ "reason": reason, "of": user });
        self.record(
            actor,
            "auth.client_signed_out",
            &family.to_string(),
            "",
            detail,
        )
        .await
    }

    fn pair(&self) -> Result<Pair, AuthError> {
        let secret = |prefix| vault::random_secret(prefix).ok_or(VaultError::Randomness);
        let (access, refresh) = (secret(ACCESS_PREFIX)?, secret(REFRESH_PREFIX)?);
        Ok(Pair {
            access_hash: access_hash(access.expose_secret(), self.resource()),
            refresh_hash: vault::hash(refresh.expose_secret()),
            access,
            refresh,
        })
    }

    fn issue<'a>(&self, pair: &'a Pair) -> Issue<'a> {
        let now = self.parts().clock.now();
        Issue {
            access_id: GrantId::new(now),
            access_hash: &pair.access_hash,
            access_until: now.plus(ACCESS_LIFE),
            refresh_hash: &pair.refresh_hash,
            refresh_until: now.plus(REFRESH_LIFE),
            now,
        }
    }
}

const UNKNOWN: &str = "the refresh token is unknown, expired or revoked, or was not given to this client; sign in again";

impl Pair {
    fn tokens(self, scopes: Scopes) -> Tokens {
        Tokens {
            access: self.access,
            refresh: self.refresh,
            scopes,
        }
    }
}

fn one<'a>(request: &'a TokenRequest, name: &str) -> Result<Option<&'a str>, TokenError> {
    request
        .one(name)
        .map_err(|Several| TokenError::Request(format!("{name} stands more than once")))
}

fn required<'a>(request: &'a TokenRequest, name: &str) -> Result<&'a str, TokenError> {
    one(request, name)?.ok_or_else(|| TokenError::Request(format!("{name} is missing")))
}
