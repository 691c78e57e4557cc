//! The embedded authorization server: OAuth 2.1 for MCP clients, with a person's consent in the browser.
//!
//! A client comes with an id that is the address of its metadata document, or registers itself (RFC 7591). Its request
//! ([`AuthorizationServer::begin`]) becomes a row; a signed-in person sees it, in one browser, and decides
//! ([`AuthorizationServer::decide`]); the code is exchanged once ([`AuthorizationServer::token`]) for an access token
//! and a refresh token, which form a family: it lives as long as it is refreshed, and dies whole when a code or a used
//! refresh token is shown again.
//!
//! All clients are public: what proves one is the redirect URI and the PKCE verifier (RFC 7636). Only `S256`, only codes.
//! No token says anything by itself: it is 256 random bits, and what is stored is a hash.
//!
//! Not here: pages and headers (`web::oauth`), and what a scope lets somebody do (`policy`).

mod authorize;
mod clients;
mod metadata;
mod pace;
mod pkce;
pub mod redirect;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Auth, AuthError};
use crate::audit::{Actor, AdminEvent, AuditLog};
use crate::clock::Clock;
use crate::config::Registration;
use crate::fetch::Fetcher;
use crate::ids::OrgId;
use crate::links::Links;
use crate::store::{Store, StoreError};

pub use authorize::{Asked, AuthorizeError, Parameters, Question};
pub use clients::{KnownClient, RegisterError};
pub use metadata::{BadClient, ClientMetadata};
pub use pace::Door;
pub use token::{TokenError, TokenRequest, Tokens};

/// How long a person has to decide.
const QUESTION_LIFE: Duration = Duration::from_mins(10);
/// How long a code is good for.
const CODE_LIFE: Duration = Duration::from_mins(1);
/// How long an access token is good for.
pub const ACCESS_LIFE: Duration = Duration::from_mins(30);
/// How long a refresh token is good for when it is not used.
pub const REFRESH_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long a client stays signed in however often it refreshes.
pub const FAMILY_LIFE: Duration = Duration::from_hours(180 * 24);
/// How long a registration waits for somebody to sign in with it.
const UNUSED_LIFE: Duration = Duration::from_hours(24);
/// Registrations that may wait.
const MOST_UNUSED: u32 = 1_000;
/// How long attempts are kept after their end, so that a code shown again is recognized.
const KEPT: Duration = Duration::from_hours(24);

/// What the authorization server works on.
pub struct Parts {
    /// Whose tokens are looked up with its own.
    pub auth: Auth,
    /// Rows.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// The log.
    pub audit: AuditLog,
    /// The one organization.
    pub org: OrgId,
    /// Its addresses.
    pub links: Links,
    /// Metadata documents.
    pub fetcher: Fetcher,
    /// Whether clients may register themselves.
    pub registration: Registration,
}

/// The embedded authorization server. Cheap to clone.
#[derive(Clone)]
pub struct AuthorizationServer {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    issuer: String,
    resource: String,
    pace: pace::Pace,
}

impl AuthorizationServer {
    /// An authorization server for this installation's MCP endpoint.
    pub fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                issuer: parts.links.issuer().to_owned(),
                resource: parts.links.mcp(),
                pace: pace::Pace::new(),
                parts,
            }),
        }
    }

    /// What it calls itself.
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// The one resource that its tokens are for: our MCP endpoint.
    pub fn resource(&self) -> &str {
        &self.inner.resource
    }

    /// Takes a place at one of the doors for whoever comes from this address; else the seconds until there is one.
    pub fn enter(&self, door: Door, from: Option<IpAddr>) -> Result<(), u64> {
        self.inner.pace.enter(door, from)
    }

    /// RFC 8414 §2.
    pub fn metadata(&self) -> Value {
        let links = &self.parts().links;
        let mut metadata = json!({
            "issuer": self.issuer(),
            "authorization_endpoint": links.oauth("authorize"),
            "token_endpoint": links.oauth("token"),
            "revocation_endpoint": links.oauth("revoke"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["tools:read", "tools:write", "audit:read"],
            "client_id_metadata_document_supported": true,
            "authorization_response_iss_parameter_supported": true,
        });
        if self.parts().registration == Registration::Open
            && let Some(fields) = metadata.as_object_mut()
        {
            fields.insert(
                "registration_endpoint".to_owned(),
                links.oauth("register").into(),
            );
        }
        metadata
    }

    /// Forgets what ended long ago. A job calls it now and then.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.parts().clock.now();
        let store = &self.parts().store;
        store.delete_unused_clients(now).await?;
        store.delete_authorizations_before(now.minus(KEPT)).await?;
        store.delete_tokens_before(now.minus(KEPT)).await
    }

    /// Forgets the pace of addresses that nobody came from lately.
    pub fn sweep(&self) {
        self.inner.pace.sweep();
        self.parts().fetcher.sweep();
    }

    fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    /// Writes down what happened at the door.
    async fn record(
        &self,
        actor: impl Into<Actor>,
        kind: &'static str,
        target: &str,
        outcome: &'static str,
        detail: Value,
    ) -> Result<(), AuthError> {
        let event = AdminEvent {
            kind,
            target: target.to_owned().into(),
            outcome,
            detail,
            ..AdminEvent::default()
        };
        let parts = self.parts();
        parts.audit.record(actor, parts.org, event).await?;
        Ok(())
    }
}

impl std::fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}
