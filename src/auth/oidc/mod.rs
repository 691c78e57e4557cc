//! OpenID Connect: signing in at an identity provider (OpenID Connect Core 1.0 §3.1, code flow with PKCE), and what
//! checking its tokens takes.
//!
//! Nobody is known by an e-mail address that a provider tells: an identity is an issuer and a subject (at Microsoft Entra
//! a tenant and an object). Two shapes of real providers are met on purpose, as their discovery documents say: Entra's
//! common endpoints name an issuer with `{tenantid}` in it, and Entra names no PKCE method though it takes S256; Google
//! says in `hd` which organization an account belongs to.

mod claims;
mod discovery;
mod http;
mod keys;
mod sign_in;
mod userinfo;

use std::sync::Arc;

use secrecy::SecretString;

pub use claims::Flaw;
pub use sign_in::{Callback, Ended, Purpose, Started};

pub(super) use claims::{Claims, Expected, Tokens};
pub(super) use discovery::Discovery;
pub(super) use http::Http;
pub(super) use keys::KeySet;

use crate::clock::Clock;
use crate::config::{ConfigError, OidcSettings};

/// Why an identity provider could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The machine's certificates cannot be read.
    #[error("no HTTP client: {0}")]
    Client(String),
    /// It did not answer, or not as the specification has it.
    #[error("the identity provider's {what} {problem}")]
    Provider {
        /// Which document or endpoint.
        what: &'static str,
        /// What was wrong with it.
        problem: String,
    },
    /// The token is not one to be believed.
    #[error("the identity provider's token is not valid: {0}")]
    Token(#[from] Flaw),
}

/// An identity provider where people sign in. Cheap to clone.
#[derive(Clone)]
pub struct Provider {
    inner: Arc<Inner>,
}

struct Inner {
    settings: OidcSettings,
    secret: SecretString,
    redirect: String,
    http: http::Http,
    discovery: Discovery,
    keys: KeySet,
}

impl Provider {
    /// A provider with these settings, which sends browsers back to `redirect`. It is asked only when somebody signs in.
    pub fn new(settings: OidcSettings, redirect: String, clock: Clock) -> Result<Self, OidcError> {
        let http = http::Http::new()?;
        let secret = settings
            .client_secret
            .read("WORKBENCH_OIDC_CLIENT_SECRET")
            .map_err(|error: ConfigError| OidcError::Client(error.to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                discovery: Discovery::new(settings.issuer.clone(), http.clone(), clock.clone()),
                keys: KeySet::new(http.clone(), clock),
                settings,
                secret,
                redirect,
                http,
            }),
        })
    }
}
