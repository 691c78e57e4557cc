//! Access tokens of an authorization server that is not ours (RFC 9068), taken at the MCP endpoint. A person is created
//! the first time the issuer vouches for them. The token goes no further than this module.
//!
//! A signature is verified once per token and reading of the issuer's keys; whose token it is, is looked up as for our own
//! tokens, so a person who is removed here is out although their token lives on.

use std::sync::Arc;
use std::time::Duration;

use super::oidc::{Claims, Discovery, Expected, Flaw, Http, KeySet, OidcError, Tokens};
use super::people::address;
use super::{Auth, AuthError, REMEMBERED};
use crate::caller::{Caller, Credential, Scopes};
use crate::clock::{Clock, Timestamp};
use crate::config::{IssuerSettings, TokenType};
use crate::ids::GroupId;
use crate::store::{Identity, UserRow};
use crate::turns::Turns;
use crate::vault;

/// How long a verified signature is believed.
const BELIEVED: Duration = Duration::from_mins(5);
/// How many tokens and people are remembered.
const MOST: u64 = 50_000;
/// What only an ID token says (OpenID Connect Core §2, §3.1.3.6, §3.3.2.11).
const OF_ID_TOKENS: [&str; 3] = ["nonce", "at_hash", "c_hash"];

/// An issuer whose access tokens are taken. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
}

struct Inner {
    settings: IssuerSettings,
    audiences: Vec<String>,
    discovery: Discovery,
    keys: KeySet,
    verified: moka::sync::Cache<[u8; 32], Arc<Believed>>,
    people: moka::sync::Cache<Identity, Vouched>,
    turns: Turns,
}

/// A person whom the issuer vouches for, and their groups.
type Vouched = Arc<(UserRow, Arc<[GroupId]>)>;

/// What a token said when its signature was verified.
struct Believed {
    identity: Identity,
    email: Option<String>,
    scopes: Scopes,
    expires_at: Timestamp,
    /// The reading of the keys that verified it.
    generation: u64,
}

impl Issuer {
    /// An issuer with these settings; `resource` is the address of the MCP endpoint, the audience if none is set.
    pub fn new(
        settings: IssuerSettings,
        resource: String,
        clock: Clock,
    ) -> Result<Self, OidcError> {
        let http = Http::new()?;
        let audiences = if settings.audiences.is_empty() {
            vec![resource]
        } else {
            settings.audiences.clone()
        };
        Ok(Self {
            inner: Arc::new(Inner {
                audiences,
                discovery: Discovery::new(settings.issuer.clone(), http.clone(), clock.clone()),
                keys: KeySet::new(http, clock),
                settings,
                verified: moka::sync::Cache::builder()
                    .max_capacity(MOST)
                    .time_to_live(BELIEVED)
                    .build(),
                people: moka::sync::Cache::builder()
                    .max_capacity(MOST)
                    .time_to_live(REMEMBERED)
                    .build(),
                turns: Turns::default(),
            }),
        })
    }

    /// The issuer as it is configured.
    pub(super) fn name(&self) -> &str {
        self.inner.discovery.issuer()
    }

    /// Forgets who the people are.
    pub(super) fn forget(&self) {
        self.inner.people.invalidate_all();
    }

    async fn believe(&self, token: &str, now: Timestamp) -> Result<Arc<Believed>, OidcError> {
        let hash = vault::hash(token);
        let remembered = || {
            let believed = self.inner.verified.get(&hash)?;
            (believed.generation == self.inner.keys.generation()).then_some(believed)
        };
        if let Some(believed) = remembered() {
            return Ok(believed);
        }
        let _turn = self.inner.turns.of(&hash).await;
        if let Some(believed) = remembered() {
            return Ok(believed);
        }
        let tokens = Tokens {
            discovery: &self.inner.discovery,
            keys: &self.inner.keys,
        };
        let expected = Expected {
            audiences: &self.inner.audiences,
            tenants: &[],
            now,
        };
        let verified = tokens.verify(token, expected).await?;
        self.check_use(verified.kind.as_deref(), &verified.claims)?;
        let believed = Arc::new(Believed {
            identity: verified.identity,
            email: verified.claims.email().and_then(address),
            scopes: scopes(&verified.claims),
            expires_at: verified.expires_at,
            generation: self.inner.keys.generation(),
        });
        self.inner.verified.insert(hash, Arc::clone(&believed));
        Ok(believed)
    }

    /// Whether it is an access token, and one that a client got who may come here.
    fn check_use(&self, kind: Option<&str>, claims: &Claims) -> Result<(), Flaw> {
        let kind = kind.map(str::to_ascii_lowercase);
        let kind = kind
            .as_deref()
            .map(|kind| kind.trim_start_matches("application/"));
        let good = match self.inner.settings.token_type {
            TokenType::AccessToken => kind == Some("at+jwt"),
            TokenType::Any => {
                let says_scopes = claims.has("scope") || claims.has("scp");
                let is_id_token = OF_ID_TOKENS.iter().any(|name| claims.has(name))
                    || claims.text("typ") == Some("ID");
                matches!(kind, None | Some("jwt" | "at+jwt")) && says_scopes && !is_id_token
            }
        };
        if !good {
            return Err(Flaw::Use);
        }
        let clients = &self.inner.settings.clients;
        let client = ["client_id", "azp", "appid"]
            .iter()
            .find_map(|name| claims.text(name));
        if !clients.is_empty() && !client.is_some_and(|id| clients.iter().any(|known| known == id))
        {
            return Err(Flaw::Other("client_id"));
        }
        Ok(())
    }
}

/// The scopes of ours that a token carries; others are the issuer's own affair.
fn scopes(claims: &Claims) -> Scopes {
    let lists = ["scope", "scp"].iter().filter_map(|name| claims.list(name));
    let words = lists.flatten().flat_map(str::split_ascii_whitespace);
    let ours: Vec<&str> = words.filter(|word| Scopes::parse(word).is_ok()).collect();
    Scopes::parse(&ours.join(" ")).unwrap_or(Scopes {
        read: false,
        write: false,
        audit: false,
        integrations: None,
    })
}

impl Auth {
    /// Whose token of the external issuer this is.
    pub(super) async fn external(&self, issuer: &Issuer, token: &str) -> Result<Caller, AuthError> {
        let now = self.inner.clock.now();
        let believed = match issuer.believe(token, now).await {
            Ok(believed) => believed,
            Err(OidcError::Token(Flaw::Expired)) => return Err(AuthError::Expired),
            Err(OidcError::Token(flaw)) => {
                tracing::info!(flaw = %flaw, "a token of the external issuer is refused");
                return Err(AuthError::Invalid);
            }
            Err(error) => {
                tracing::warn!(error = %error, "a token of the external issuer cannot be verified");
                return Err(AuthError::Busy);
            }
        };
        if believed.expires_at <= now {
            return Err(AuthError::Expired);
        }
        let person = self.vouched(issuer, &believed).await?;
        let (user, groups) = &*person;
        if user.removed_at.is_some() {
            return Err(AuthError::Invalid);
        }
        Ok(Caller {
            user: user.id,
            org: user.org_id,
            email: user.email.as_str().into(),
            role: user.role,
            credential: Credential::External(believed.expires_at),
            groups: Arc::clone(groups),
            scopes: believed.scopes.clone(),
        })
    }

    /// The person whom the issuer vouches for, created the first time.
    async fn vouched(&self, issuer: &Issuer, believed: &Believed) -> Result<Vouched, AuthError> {
        let identity = &believed.identity;
        if let Some(person) = issuer.inner.people.get(identity) {
            return Ok(person);
        }
        let _turn = issuer.inner.turns.of(identity).await;
        if let Some(person) = issuer.inner.people.get(identity) {
            return Ok(person);
        }
        let found = self.inner.store.user_by_identity(identity).await?;
        let (user, groups) = if let Some(found) = found {
            found
        } else {
            let email = believed.email.clone();
            let email = email.unwrap_or_else(|| placeholder(identity));
            let Some(user) = self.create(identity, &email, "issuer").await? else {
                self.denied(&email, "issuer", "address_taken").await?;
                tracing::warn!("a person of the external issuer has the address of somebody else");
                return Err(AuthError::Invalid);
            };
            (user, Vec::new())
        };
        let person = Arc::new((user, groups.into()));
        issuer
            .inner
            .people
            .insert(identity.clone(), Arc::clone(&person));
        Ok(person)
    }
}

/// What stands for an address that the issuer does not tell: unique, and reaching nobody (RFC 2606 §2).
fn placeholder(identity: &Identity) -> String {
    let name = vault::hash(&format!("{} {}", identity.issuer, identity.subject));
    let bytes = name.first_chunk().copied().unwrap_or_default();
    let name = u64::from_be_bytes(bytes);
    format!("{name:016x}@unnamed.invalid")
}
