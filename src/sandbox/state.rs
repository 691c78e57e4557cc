//! What one provider remembers: codes, grants, tokens, and counts of what was asked. No HTTP here.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::api::Book;
use super::dialect::{Denial, Refusal};
use super::faults::Planned;
use super::providers::{Account, GRACE_S, Provider, Rotation};
use crate::clock::Timestamp;
use crate::ids;

/// How long a code can be redeemed, in seconds; RFC 6749 §4.1.2 recommends ten minutes at most.
const CODE_S: u64 = 10 * 60;

/// What one provider remembers.
pub(super) struct ProviderState {
    pub(super) provider: &'static Provider,
    pub(super) settings: Settings,
    pub(super) faults: Vec<Planned>,
    pub(super) counters: Counters,
    pub(super) book: Book,
    /// Texts to look out for in requests, and whether they came.
    pub(super) canaries: BTreeMap<String, bool>,
    /// Secrets of the clients that must give the right one; other clients may give any.
    pub(super) clients: HashMap<String, String>,
    pub(super) grants: Vec<Grant>,
    codes: HashMap<String, Code>,
    access: HashMap<String, AccessToken>,
    refresh: HashMap<String, RefreshToken>,
}

/// Where the behaviour of a provider departs from its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Wait before every answer of the token endpoint, in milliseconds; the work is done before it.
    pub token_latency_ms: u64,
    /// Life of an access token in seconds; `None` leaves it to the data.
    pub access_s: Option<u64>,
    /// What using a refresh token does to it; `None` leaves it to the data.
    pub rotation: Option<Rotation>,
}

/// What was asked of a provider since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Calls of the token endpoint by grant type, refused and spoilt ones included.
    pub token_calls: BTreeMap<String, u64>,
    /// Refresh tokens handed in that had been replaced and were dead.
    pub reused_refresh_tokens: u64,
    /// Refresh tokens handed in that had been replaced and were still within their grace.
    pub grace_reuses: u64,
    /// Codes handed in for the second time.
    pub reused_codes: u64,
    /// Tokens and grants taken back by the client.
    pub revocations: u64,
    /// Calls of the API by method and path, refused and spoilt ones included.
    pub api_calls: BTreeMap<String, u64>,
    /// Names of the headers of the last request, sorted.
    pub last_headers: Vec<String>,
}

/// One person's consent to one client.
pub(super) struct Grant {
    pub(super) account: &'static Account,
    pub(super) client_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) revoked_at: Option<Timestamp>,
    pub(super) refresh_calls: u64,
    pub(super) refreshes: u64,
    /// Those not yet known to be over.
    access: Vec<String>,
}

/// What a code was given for.
pub(super) struct Consent {
    pub(super) account: &'static Account,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    /// PKCE, S256 (RFC 7636 §4.2).
    pub(super) challenge: Option<String>,
    pub(super) scopes: Vec<String>,
}

struct Code {
    consent: Consent,
    expires_at: Timestamp,
    /// The grant it was redeemed for.
    grant: Option<usize>,
}

struct AccessToken {
    grant: usize,
    expires_at: Timestamp,
}

struct RefreshToken {
    grant: usize,
    expires_at: Option<Timestamp>,
    replaced_at: Option<Timestamp>,
}

/// What the token endpoint hands out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// For the API.
    pub access_token: String,
    /// For the token endpoint.
    pub refresh_token: String,
    /// Life of the access token in seconds.
    pub expires_in: u64,
    /// The consent they stand for, as an index into the report's grants.
    pub grant: usize,
}

// These tokens open nothing but a sandbox; still, nobody should get used to seeing tokens in logs.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

impl ProviderState {
    pub(super) fn new(provider: &'static Provider, book: Book) -> Self {
        Self {
            provider,
            settings: Settings::default(),
            faults: Vec::new(),
            counters: Counters::default(),
            book,
            canaries: BTreeMap::new(),
            clients: HashMap::new(),
            grants: Vec::new(),
            codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
        }
    }

    /// Gives a code for a consent.
    pub(super) fn give_code(&mut self, consent: Consent, now: Timestamp) -> String {
        let code = ids::random_token("sandbox_code_");
        let expires_at = now.plus(Duration::from_secs(CODE_S));
        self.codes.insert(
            code.clone(),
            Code {
                consent,
                expires_at,
                grant: None,
            },
        );
        code
    }

    /// Turns a code into a grant and its first tokens. A second use takes the grant back (RFC 6749 §4.1.2).
    pub(super) fn redeem(
        &mut self,
        code: &str,
        client_id: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        now: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let found = self.codes.get(code).ok_or(Refusal::Code)?;
        if let Some(grant) = found.grant {
            self.counters.reused_codes += 1;
            self.revoke(grant, now);
            return Err(Refusal::Code);
        }
        let consent = &found.consent;
        if found.expires_at <= now || consent.client_id != client_id {
            return Err(Refusal::Code);
        }
        if redirect_uri != Some(consent.redirect_uri.as_str()) {
            return Err(Refusal::RedirectUri);
        }
        match (&consent.challenge, verifier) {
            (Some(challenge), Some(verifier)) if *challenge == s256(verifier) => {}
            (None, None) => {}
            // A verifier without a challenge means that someone took the challenge away (RFC 9700 §2.1.1).
            (Some(_), _) | (None, Some(_)) => return Err(Refusal::Verifier),
        }
        let (account, scopes) = (consent.account, consent.scopes.clone());
        let tokens = self.grant(account, client_id, scopes, now);
        if let Some(found) = self.codes.get_mut(code) {
            found.grant = Some(tokens.grant);
        }
        Ok(tokens)
    }

    /// A new grant and its first tokens.
    pub(super) fn grant(
        &mut self,
        account: &'static Account,
        client_id: &str,
        scopes: Vec<String>,
        now: Timestamp,
    ) -> Tokens {
        self.grants.push(Grant {
            account,
            client_id: client_id.to_owned(),
            scopes,
            revoked_at: None,
            refresh_calls: 0,
            refreshes: 0,
            access: Vec::new(),
        });
        self.issue(self.grants.len() - 1, None, now)
    }

    /// New tokens for a refresh token, which is replaced as the provider's rotation says.
    pub(super) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
        now: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let rotation = self.rotation();
        let found = self
            .refresh
            .get_mut(token)
            .filter(|found| self.grants[found.grant].client_id == client_id)
            .ok_or(Refusal::RefreshToken)?;
        let grant = found.grant;
        if let Some(replaced_at) = found.replaced_at {
            let grace =
                rotation == Rotation::Grace && now < replaced_at.plus(Duration::from_secs(GRACE_S));
            if !grace {
                self.counters.reused_refresh_tokens += 1;
                if rotation == Rotation::StrictFamily {
                    self.revoke(grant, now);
                }
                return Err(Refusal::RefreshToken);
            }
            self.counters.grace_reuses += 1;
        }
        let over = found.expires_at.is_some_and(|at| at <= now);
        if over || self.grants[grant].revoked_at.is_some() {
            return Err(Refusal::RefreshToken);
        }
        let kept = match rotation {
            Rotation::None => Some(token.to_owned()),
            Rotation::Grace => {
                found.replaced_at.get_or_insert(now);
                None
            }
            Rotation::Strict | Rotation::StrictFamily => {
                found.replaced_at = Some(now);
                for token in self.grants[grant].access.drain(..) {
                    self.access.remove(&token);
                }
                None
            }
        };
        self.grants[grant].refreshes += 1;
        Ok(self.issue(grant, kept, now))
    }

    fn issue(&mut self, grant: usize, kept: Option<String>, now: Timestamp) -> Tokens {
        let expires_in = self.settings.access_s.unwrap_or(self.provider.access_s);
        let access_token = ids::random_token("sandbox_access_");
        let over = |token: &String| match self.access.get(token) {
            Some(found) => found.expires_at <= now,
            None => true,
        };
        let (old, live): (Vec<_>, Vec<_>) = std::mem::take(&mut self.grants[grant].access)
            .into_iter()
            .partition(over);
        for token in old {
            self.access.remove(&token);
        }
        self.grants[grant].access = live;
        self.grants[grant].access.push(access_token.clone());
        self.access.insert(
            access_token.clone(),
            AccessToken {
                grant,
                expires_at: now.plus(Duration::from_secs(expires_in)),
            },
        );
        let refresh_token = kept.unwrap_or_else(|| {
            let token = ids::random_token("sandbox_refresh_");
            let expires_at = self
                .provider
                .refresh_s
                .map(|life_s| now.plus(Duration::from_secs(life_s)));
            self.refresh.insert(
                token.clone(),
                RefreshToken {
                    grant,
                    expires_at,
                    replaced_at: None,
                },
            );
            token
        });
        Tokens {
            access_token,
            refresh_token,
            expires_in,
            grant,
        }
    }

    /// The grant that a bearer token stands for.
    pub(super) fn bearer(&self, token: &str, now: Timestamp) -> Result<&Grant, Denial> {
        let found = self.access.get(token).ok_or(Denial::UnknownToken)?;
        let grant = &self.grants[found.grant];
        if grant.revoked_at.is_some() {
            Err(Denial::UnknownToken)
        } else if found.expires_at <= now {
            Err(Denial::ExpiredToken)
        } else {
            Ok(grant)
        }
    }

    /// The grant of either kind of token, whatever has become of it.
    pub(super) fn grant_of(&self, token: &str) -> Option<usize> {
        let access = self.access.get(token).map(|found| found.grant);
        access.or_else(|| self.refresh.get(token).map(|found| found.grant))
    }

    /// Seconds that a token has left, when it is alive.
    pub(super) fn seconds_left(&self, token: &str, now: Timestamp) -> Option<u64> {
        let grant = &self.grants[self.grant_of(token)?];
        let found = self.access.get(token);
        let expires_at = match (found, self.refresh.get(token)) {
            (Some(found), _) => found.expires_at,
            (None, Some(found)) if found.replaced_at.is_none() => {
                found.expires_at.unwrap_or(Timestamp::from_micros(i64::MAX))
            }
            (None, _) => return None,
        };
        (grant.revoked_at.is_none() && expires_at > now).then(|| expires_at.since(now).as_secs())
    }

    /// Takes a token back: a refresh token with its whole grant, an access token alone (RFC 7009 §2.1). Says whether
    /// there was one.
    pub(super) fn revoke_token(&mut self, token: &str, now: Timestamp) -> bool {
        if self.access.remove(token).is_some() {
            return true;
        }
        let Some(grant) = self.refresh.get(token).map(|found| found.grant) else {
            return false;
        };
        self.revoke(grant, now);
        true
    }

    /// Takes a grant back, with every token of it.
    pub(super) fn revoke(&mut self, grant: usize, now: Timestamp) {
        if let Some(grant) = self.grants.get_mut(grant) {
            grant.revoked_at.get_or_insert(now);
        }
    }

    /// Ends the life of every access token.
    pub(super) fn expire_access_tokens(&mut self, now: Timestamp) {
        for token in self.access.values_mut() {
            token.expires_at = token.expires_at.min(now);
        }
    }

    /// Whether the client is who it says it is.
    pub(super) fn client_is(&self, id: &str, secret: &str) -> bool {
        let right = self.clients.get(id);
        !id.is_empty() && !secret.is_empty() && right.is_none_or(|right| right == secret)
    }

    fn rotation(&self) -> Rotation {
        self.settings.rotation.unwrap_or(self.provider.rotation)
    }
}

fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}
