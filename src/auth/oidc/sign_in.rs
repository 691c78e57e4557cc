//! Signing in at the identity provider: there with a state that only this browser can bring back, and back with a code.
//!
//! Nothing is stored on the way. The browser keeps one random secret in a cookie; the nonce and the PKCE verifier follow
//! from it, and the state is what we need to remember, sealed together with it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::{Claims, Expected, Flaw, OidcError, Provider, Tokens};
use crate::audit::AdminEvent;
use crate::auth::people::address;
use crate::auth::{Auth, AuthError};
use crate::caller::{Caller, Role};
use crate::ids::{InvitationId, UserId};
use crate::store::{Identity, StoreError, UserRow};
use crate::vault::{self, VaultError};

/// How long somebody may take at the provider.
const PATIENCE: Duration = Duration::from_mins(10);
/// Longest parameter of a callback that is looked at, in bytes.
const LONGEST: usize = 4_096;

/// Why somebody is sent to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To sign in.
    SignIn,
    /// To accept this invitation.
    Join(InvitationId),
    /// To sign in there from now on too.
    Link(UserId),
}

/// What travels in the state. The provider can read it; it is no secret, and it cannot be changed.
#[derive(Serialize, Deserialize)]
struct Remembered {
    purpose: Purpose,
    next: String,
    /// Seconds.
    at: i64,
}

/// Where to send the browser, and what it must bring back.
pub struct Started {
    /// The provider's sign-in page.
    pub url: Url,
    /// For a cookie.
    pub browser: SecretString,
}

/// What the provider sent the browser back with.
#[derive(Clone, Debug, Default)]
pub struct Callback {
    /// Our state.
    pub state: String,
    /// The code.
    pub code: Option<String>,
    /// Or why there is none (RFC 6749 §4.1.2.1).
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub issuer: Option<String>,
}

/// How it ended.
pub struct Ended {
    /// The new session's secret; `None` when somebody who is signed in only linked their identity.
    pub session: Option<SecretString>,
    /// Where the person was going.
    pub next: String,
}

/// What a code is worth.
struct Traded {
    id_token: String,
    /// For what the provider tells of the person beside it.
    access: Option<SecretString>,
}

fn derived(browser: &str, purpose: &str) -> String {
    URL_SAFE_NO_PAD.encode(vault::hash(&format!("{purpose}.{browser}")))
}

fn refused(said: impl Into<String>) -> AuthError {
    AuthError::Refused(said.into())
}

fn unreachable(error: &OidcError) -> AuthError {
    tracing::warn!(error = %error, "a sign-in at the identity provider failed");
    refused(
        "The identity provider does not answer as it should. Try again in a moment, or tell an admin.",
    )
}

impl Provider {
    fn tokens(&self) -> Tokens<'_> {
        Tokens {
            discovery: &self.inner.discovery,
            keys: &self.inner.keys,
        }
    }

    /// Trades the code for an ID token (OpenID Connect Core §3.1.3).
    async fn trade(&self, code: &str, verifier: &str) -> Result<Traded, OidcError> {
        let metadata = self.inner.discovery.get().await?;
        let missing = |problem: String| OidcError::Provider {
            what: "token endpoint",
            problem,
        };
        let url = metadata
            .token
            .clone()
            .ok_or_else(|| missing("is not named".to_owned()))?;
        let (id, secret) = (
            self.inner.settings.client_id.as_str(),
            self.inner.secret.expose_secret(),
        );
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.inner.redirect.as_str()),
            ("code_verifier", verifier),
        ];
        // RFC 6749 §2.3.1 has both encoded before they go into the header.
        let encoded = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let (name, word) = (encoded(id), encoded(secret));
        let basic = if metadata.secret_in_form {
            form.extend([("client_id", id), ("client_secret", secret)]);
            None
        } else {
            Some((name.as_str(), word.as_str()))
        };
        let answer = self
            .inner
            .http
            .post("token endpoint", url, &form, basic)
            .await?;
        let text = |name: &str| answer.body.get(name).and_then(Value::as_str);
        match text("id_token") {
            Some(token) if answer.status == 200 => Ok(Traded {
                id_token: token.to_owned(),
                access: text("access_token").map(SecretString::from),
            }),
            _ => {
                let word = text("error");
                // Only words of the specification's alphabet, and not long: it goes to the log.
                let word: String = word
                    .unwrap_or("no ID token")
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ' '))
                    .take(60)
                    .collect();
                Err(missing(format!("answered {}: {word}", answer.status)))
            }
        }
    }

    /// The role that the provider's groups give; `None` when they say nothing about it.
    fn role(&self, claims: &Claims) -> Option<Role> {
        let settings = &self.inner.settings;
        if settings.admin_groups.is_empty() && settings.auditor_groups.is_empty() {
            return None;
        }
        let Some(groups) = claims.list(&settings.group_claim) else {
            // Entra leaves the claim out when somebody is in too many groups, and says so; that is not "in none".
            if claims.has("_claim_names") || claims.has("hasgroups") {
                tracing::warn!(
                    "the identity provider named too many groups to list them; the role stays"
                );
                return None;
            }
            return Some(Role::Member);
        };
        let among = |wanted: &[String]| {
            groups
                .iter()
                .any(|group| wanted.iter().any(|id| id == group))
        };
        Some(if among(&settings.admin_groups) {
            Role::Admin
        } else if among(&settings.auditor_groups) {
            Role::Auditor
        } else {
            Role::Member
        })
    }

    /// Whether somebody who is not here becomes a member by signing in.
    fn welcomes(&self, claims: &Claims, email: &str, identity: &Identity) -> bool {
        let settings = &self.inner.settings;
        let Some((_, domain)) = email.rsplit_once('@') else {
            return false;
        };
        let listed = |domain: &str| {
            let mut domains = settings.allowed_domains.iter();
            domains.any(|allowed| allowed.eq_ignore_ascii_case(domain))
        };
        // The tenant was checked with the token; at Entra an address proves nothing.
        if identity.issuer.starts_with("entra:") {
            return !settings.allowed_tenants.is_empty()
                && (settings.allowed_domains.is_empty() || listed(domain));
        }
        // Anybody can have a private Google account with an address at a company's domain; `hd` says whose it is.
        let of_organization = if self.inner.discovery.issuer() == "https://accounts.google.com" {
            claims.text("hd").is_some_and(listed)
        } else {
            true
        };
        listed(domain) && claims.is_true("email_verified") && of_organization
    }
}

impl Auth {
    /// Whether people can sign in at an identity provider.
    pub fn has_identity_provider(&self) -> bool {
        self.inner.oidc.is_some()
    }

    /// Sends somebody to the identity provider; they come back to `next`, a path of ours.
    pub async fn begin_sign_in(&self, purpose: Purpose, next: &str) -> Result<Started, AuthError> {
        let provider = self.inner.oidc.as_ref().ok_or(AuthError::Invalid)?;
        let metadata = provider.inner.discovery.get().await;
        let metadata = metadata.map_err(|error| unreachable(&error))?;
        if metadata.is_open() && provider.inner.settings.allowed_tenants.is_empty() {
            return Err(refused(
                "This identity provider serves every organization, and none is allowed yet. An admin must name the tenants in WORKBENCH_OIDC_ALLOWED_TENANTS.",
            ));
        }
        let mut url = metadata.authorize.clone().ok_or_else(|| {
            refused("The identity provider names no sign-in page. Tell an admin.")
        })?;
        let browser = vault::random_secret("").ok_or(VaultError::Randomness)?;
        let secret = browser.expose_secret();
        let remembered = Remembered {
            purpose,
            next: next.to_owned(),
            at: self.inner.clock.now().seconds(),
        };
        let remembered = json!(remembered).to_string();
        let state = self
            .inner
            .forms
            .sign(&[b"sso", secret.as_bytes()], &remembered);
        let challenge = URL_SAFE_NO_PAD.encode(vault::hash(&derived(secret, "verifier")));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &provider.inner.settings.client_id)
            .append_pair("redirect_uri", &provider.inner.redirect)
            .append_pair("scope", "openid email profile")
            .append_pair("state", &state)
            .append_pair("nonce", &derived(secret, "nonce"))
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(Started { url, browser })
    }

    /// Takes somebody back from the identity provider. `browser` is the cookie of [`Started`]; `caller` is who is signed
    /// in, if anybody is.
    pub async fn finish_sign_in(
        &self,
        browser: Option<&str>,
        caller: Option<&Caller>,
        callback: Callback,
    ) -> Result<Ended, AuthError> {
        let provider = self.inner.oidc.as_ref().ok_or(AuthError::Invalid)?;
        let ended = self.finish(provider, browser, caller, callback).await;
        if let Err(AuthError::Refused(_) | AuthError::Exists(_) | AuthError::Invalid) = &ended {
            self.denied("identity provider", "sso", "refused").await?;
        }
        ended
    }

    async fn finish(
        &self,
        provider: &Provider,
        browser: Option<&str>,
        caller: Option<&Caller>,
        callback: Callback,
    ) -> Result<Ended, AuthError> {
        let stale =
            || refused("This sign-in was begun in another browser, or too long ago. Begin again.");
        let browser = browser
            .filter(|browser| browser.len() <= LONGEST)
            .ok_or_else(stale)?;
        let context: [&[u8]; 2] = [b"sso", browser.as_bytes()];
        let remembered = self.inner.forms.open(&context, &callback.state);
        let remembered = remembered.and_then(|text| serde_json::from_str::<Remembered>(&text).ok());
        let remembered = remembered.ok_or_else(stale)?;
        let now = self.inner.clock.now();
        let patience = i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX);
        if now.seconds() - remembered.at > patience {
            return Err(stale());
        }
        let metadata = provider.inner.discovery.get().await;
        let metadata = metadata.map_err(|error| unreachable(&error))?;
        let wants_name = metadata.names_itself || callback.issuer.is_some();
        if wants_name && !metadata.is_open() && callback.issuer.as_deref() != Some(&metadata.issuer)
        {
            return Err(stale());
        }
        let code = match (callback.code, callback.error) {
            (Some(code), None) if code.len() <= LONGEST => code,
            (_, Some(error)) if error == "access_denied" => {
                return Err(refused("You were not let in at the identity provider."));
            }
            _ => {
                return Err(refused(
                    "The identity provider sent no usable answer. Begin again.",
                ));
            }
        };
        let traded = provider.trade(&code, &derived(browser, "verifier")).await;
        let traded = traded.map_err(|error| unreachable(&error))?;
        let expected = Expected {
            audiences: std::slice::from_ref(&provider.inner.settings.client_id),
            tenants: &provider.inner.settings.allowed_tenants,
            now,
        };
        let verified = match provider.tokens().verify(&traded.id_token, expected).await {
            Ok(verified) => verified,
            Err(OidcError::Token(flaw)) => {
                tracing::warn!(flaw = %flaw, "an ID token is not valid");
                return Err(refused(if flaw == Flaw::Other("tid") {
                    "Your organization is not allowed here."
                } else {
                    "The identity provider's answer is not valid. Begin again, or tell an admin."
                }));
            }
            Err(error) => return Err(unreachable(&error)),
        };
        let claims = &verified.claims;
        let nonce = derived(browser, "nonce");
        let same_nonce = claims
            .text("nonce")
            .is_some_and(|told| bool::from(told.as_bytes().ct_eq(nonce.as_bytes())));
        let for_us = claims
            .text("azp")
            .is_none_or(|party| party == provider.inner.settings.client_id);
        if !same_nonce || !for_us {
            return Err(refused(
                "The identity provider's answer is not for this sign-in. Begin again.",
            ));
        }
        let access = traded.access.as_ref();
        let claims = provider.complete(verified.claims, access).await;
        let claims = &claims.map_err(|error| unreachable(&error))?;
        let next = remembered.next;
        let user = match remembered.purpose {
            Purpose::Link(user) => {
                self.link(caller, user, &verified.identity).await?;
                return Ok(Ended {
                    session: None,
                    next,
                });
            }
            Purpose::Join(invitation) => {
                self.accept_with_identity(invitation, claims.email(), &verified.identity)
                    .await?
            }
            Purpose::SignIn => {
                self.known_or_new(provider, claims, &verified.identity)
                    .await?
            }
        };
        if let Some(role) = provider.role(claims) {
            self.follow_role(user, role).await?;
        }
        let session = self.begin_session(self.inner.org, user, "sso").await?;
        Ok(Ended {
            session: Some(session),
            next,
        })
    }

    /// Binds an identity to the person who is signed in, and who began this.
    async fn link(
        &self,
        caller: Option<&Caller>,
        user: UserId,
        identity: &Identity,
    ) -> Result<(), AuthError> {
        let caller = caller.filter(|caller| caller.user == user);
        let caller = caller.ok_or_else(|| refused("Sign in again, and then link the account."))?;
        let now = self.inner.clock.now();
        let new = self
            .inner
            .store
            .insert_identity(identity, user, now)
            .await?;
        if !new {
            let owner = self.inner.store.user_by_identity(identity).await?;
            return if owner.is_some_and(|(owner, _)| owner.id == user) {
                Ok(())
            } else {
                Err(refused(
                    "This account of the identity provider belongs to somebody else here.",
                ))
            };
        }
        self.forget();
        let event = AdminEvent {
            kind: "auth.identity_linked",
            target: caller.email.as_ref().into(),
            detail: json!({ "issuer": identity.issuer, "subject": identity.subject }),
            ..AdminEvent::default()
        };
        Ok(self.inner.audit.record(caller, caller.org, event).await?)
    }

    async fn known_or_new(
        &self,
        provider: &Provider,
        claims: &Claims,
        identity: &Identity,
    ) -> Result<UserId, AuthError> {
        if let Some((user, _)) = self.inner.store.user_by_identity(identity).await? {
            return if user.removed_at.is_none() {
                Ok(user.id)
            } else {
                Err(refused(
                    "You are no longer a member here. Ask an admin to add you again.",
                ))
            };
        }
        let email = claims.email().unwrap_or_default();
        if !provider.welcomes(claims, email, identity) {
            return Err(refused(
                "You are not a member here. Ask an admin to invite you.",
            ));
        }
        let email = address(email).ok_or_else(|| {
            refused("The identity provider tells no e-mail address. Ask an admin to invite you.")
        })?;
        match self.create(identity, &email, "sso").await? {
            Some(user) => Ok(user.id),
            None => Err(refused(
                "Somebody here has your e-mail address already. If that is you, sign in the way you did before and link this account under Password and sign-in.",
            )),
        }
    }

    /// Adds a person whom an issuer vouches for; `None` when the address belongs to somebody.
    pub(in crate::auth) async fn create(
        &self,
        identity: &Identity,
        email: &str,
        by: &'static str,
    ) -> Result<Option<UserRow>, AuthError> {
        let now = self.inner.clock.now();
        let user = UserRow {
            id: UserId::new(now),
            org_id: self.inner.org,
            email: email.to_owned(),
            role: Role::Member,
            created_at: now,
            removed_at: None,
        };
        match self
            .inner
            .store
            .insert_user_with_identity(&user, identity)
            .await
        {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => {
                // Two first requests at the same moment: the other one was first.
                let found = self.inner.store.user_by_identity(identity).await?;
                return Ok(found
                    .map(|(user, _)| user)
                    .filter(|user| user.removed_at.is_none()));
            }
            Err(error) => return Err(error.into()),
        }
        let event = AdminEvent {
            kind: "admin.user_added",
            target: user.email.as_str().into(),
            detail: json!({ "user": user.id, "role": "member", "by": by, "issuer": identity.issuer }),
            ..AdminEvent::default()
        };
        let actor = crate::audit::Actor::System;
        self.inner.audit.record(actor, user.org_id, event).await?;
        Ok(Some(user))
    }

    /// Gives somebody the role that the provider's groups say. The last admin stays one.
    async fn follow_role(&self, user: UserId, role: Role) -> Result<(), AuthError> {
        let Some(row) = self.inner.store.user(user).await? else {
            return Ok(());
        };
        match self.set_role(crate::audit::Actor::System, &row, role).await {
            Err(AuthError::LastAdmin(email)) => {
                tracing::warn!(
                    person = email,
                    "the identity provider no longer names the last admin as one; they stay"
                );
                Ok(())
            }
            done => done,
        }
    }
}
