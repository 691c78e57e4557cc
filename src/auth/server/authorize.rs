//! From a client's request to a person's decision (RFC 6749 §4.1.1, with RFC 7636, RFC 8707 and RFC 9207).

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::clients::KnownClient;
use super::redirect::Destination;
use super::{AuthorizationServer, CODE_LIFE, QUESTION_LIFE, pkce, redirect};
use crate::audit::Actor;
use crate::auth::AuthError;
use crate::caller::{Caller, Scopes};
use crate::ids::AuthorizationId;
use crate::store::{AuthorizationRow, ConsentRow};
use crate::vault::{self, VaultError};

/// Longest state, scope and client id, in bytes.
const MAX_TEXT: usize = 2_048;
/// What codes begin with.
const CODE_PREFIX: &str = "wbc_";

/// An authorization request as it came: every value of every parameter that means something here.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query or a form.
    pub fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The one value of a parameter; an empty one counts as absent (RFC 6749 §3.1). The error is that there are several.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Several> {
        let mut values = self.all(name).into_iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Several),
            (value, None) => Ok(value),
        }
    }

    /// Every value of a parameter that is not empty.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(found, _)| found == name);
        named
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
            .collect()
    }
}

/// A parameter stands more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Several;

/// Why a request becomes no question.
#[derive(Debug)]
pub enum AuthorizeError {
    /// The client or the redirect URI cannot be trusted: a page says so, and nobody is sent anywhere.
    Page(String),
    /// The client is told at its redirect URI.
    Back(Url),
    /// Our fault.
    Failed(AuthError),
}

impl<E: Into<AuthError>> From<E> for AuthorizeError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a person is asked, or that they need not be.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Ask.
    Question(Question),
    /// They agreed to the same before; the browser goes here.
    Agreed(Url),
    /// There is no such question, or not any more.
    Gone,
    /// It was shown in another browser.
    Elsewhere,
}

/// What a person is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The attempt.
    pub id: AuthorizationId,
    /// What the client calls itself; unchecked.
    pub client_name: String,
    /// The host that vouches for the client, if one does.
    pub client_host: Option<String>,
    /// Where the code goes.
    pub destination: Destination,
    /// What the client asks for.
    pub scopes: Scopes,
    /// The origin, or scheme, that the answer leads to.
    pub redirect_origin: String,
}

/// What a client wants of a person.
struct Wanted<'a> {
    state: Option<&'a str>,
    challenge: &'a str,
    scopes: Scopes,
    ask_again: bool,
}

/// An error word of RFC 6749 §4.1.2.1, and what is wrong.
type Wrong = (&'static str, String);

fn wrong(word: &'static str, description: impl Into<String>) -> Wrong {
    (word, description.into())
}

impl AuthorizationServer {
    /// Checks an authorization request and keeps it. Nobody needs to be signed in for that.
    pub async fn begin(&self, parameters: &Parameters) -> Result<AuthorizationId, AuthorizeError> {
        let begun = self.check(parameters).await;
        let (reason, outcome) = match &begun {
            Ok(_) | Err(AuthorizeError::Failed(_)) => return begun,
            Err(AuthorizeError::Page(reason)) => (reason.clone(), "invalid_client"),
            Err(AuthorizeError::Back(url)) => {
                let said = url.query_pairs().find(|(name, _)| name == "error");
                (
                    said.map_or(String::new(), |(_, word)| word.into_owned()),
                    "refused",
                )
            }
        };
        let client = parameters
            .one("client_id")
            .ok()
            .flatten()
            .unwrap_or_default();
        self.record(
            Actor::System,
            "auth.authorization_refused",
            client,
            outcome,
            json!({ "reason": reason }),
        )
        .await?;
        begun
    }

    async fn check(&self, parameters: &Parameters) -> Result<AuthorizationId, AuthorizeError> {
        // First who asks and where the answer goes. Until both are known to belong together nothing is sent anywhere.
        let (client, redirect_uri, back) = self.trusted(parameters).await?;
        let wanted = self.wanted(parameters).map_err(|wrong| {
            let fields = [("error", wrong.0), ("error_description", wrong.1.as_str())];
            let state = parameters.one("state").ok().flatten();
            let state = state.filter(|state| state.len() <= MAX_TEXT);
            AuthorizeError::Back(self.answer(&back, &fields, state))
        })?;
        let parts = self.parts();
        let now = parts.clock.now();
        let row = AuthorizationRow {
            id: AuthorizationId::new(now),
            org_id: parts.org,
            client_id: client.id,
            client_name: client.name,
            client_host: client.host,
            redirect_uri: redirect_uri.to_owned(),
            state: wanted.state.map(ToOwned::to_owned),
            challenge: wanted.challenge.to_owned(),
            resource: self.resource().to_owned(),
            scopes: wanted.scopes,
            ask_again: wanted.ask_again,
            created_at: now,
            expires_at: now.plus(QUESTION_LIFE),
            browser_hash: None,
            user_id: None,
            granted: None,
            code_hash: None,
            decided_at: None,
            used_at: None,
            family_id: None,
        };
        parts.store.insert_authorization(&row).await?;
        Ok(row.id)
    }

    /// The client and a redirect URI of its own, as text and as address; whatever is wrong is told on a page.
    async fn trusted<'a>(
        &self,
        parameters: &'a Parameters,
    ) -> Result<(KnownClient, &'a str, Url), AuthorizeError> {
        let page = |text: &str| AuthorizeError::Page(text.to_owned());
        let client_id = parameters
            .one("client_id")
            .map_err(|Several| page("The request names several clients."))?
            .filter(|id| id.len() <= MAX_TEXT)
            .ok_or_else(|| page("The request names no client."))?;
        let redirect_uri = parameters
            .one("redirect_uri")
            .map_err(|Several| page("The request names several redirect URIs."))?
            .ok_or_else(|| page("The request names no redirect URI."))?;
        let (back, _) = redirect::read(redirect_uri).map_err(|problem| {
            AuthorizeError::Page(format!("The request cannot be answered: {problem}."))
        })?;
        let client = self.client(client_id).await?;
        let client = client.map_err(AuthorizeError::Page)?;
        if !client.may_redirect_to(redirect_uri) {
            return Err(page(
                "The redirect URI is none of those that this client has registered.",
            ));
        }
        Ok((client, redirect_uri, back))
    }

    /// What a trusted client wants; what is wrong with it is told to the client.
    fn wanted<'a>(&self, parameters: &'a Parameters) -> Result<Wanted<'a>, Wrong> {
        let once = |name: &str| {
            let value = parameters.one(name);
            value.map_err(|Several| {
                wrong("invalid_request", format!("{name} stands more than once"))
            })
        };
        let state = once("state")?;
        if state.is_some_and(|state| state.len() > MAX_TEXT) {
            return Err(wrong("invalid_request", "state is too long"));
        }
        match once("response_type")? {
            Some("code") => {}
            Some(_) => {
                return Err(wrong(
                    "unsupported_response_type",
                    "response_type must be code",
                ));
            }
            None => return Err(wrong("invalid_request", "response_type is missing")),
        }
        if !matches!(once("response_mode")?, None | Some("query")) {
            return Err(wrong("invalid_request", "response_mode must be query"));
        }
        if once("request")?.is_some() || once("request_uri")?.is_some() {
            return Err(wrong(
                "request_not_supported",
                "request objects are not supported",
            ));
        }
        if once("code_challenge_method")? != Some("S256") {
            return Err(wrong(
                "invalid_request",
                "code_challenge_method must be S256",
            ));
        }
        let challenge = once("code_challenge")?
            .filter(|challenge| pkce::is_challenge(challenge))
            .ok_or_else(|| {
                wrong(
                    "invalid_request",
                    "code_challenge must be 43 characters of base64url",
                )
            })?;
        let resources = parameters.all("resource");
        if resources
            .iter()
            .any(|resource| *resource != self.resource())
        {
            let said = format!("resource must be {}", self.resource());
            return Err(wrong("invalid_target", said));
        }
        let scopes = requested(once("scope")?.unwrap_or_default()).ok_or_else(|| {
            wrong(
                "invalid_scope",
                "scope names an integration in a wrong form or is too long",
            )
        })?;
        let prompt = once("prompt")?.unwrap_or_default();
        if prompt == "none" {
            return Err(wrong(
                "interaction_required",
                "a person has to sign in and agree",
            ));
        }
        Ok(Wanted {
            state,
            challenge,
            scopes,
            ask_again: prompt.split(' ').any(|word| word == "consent"),
        })
    }

    /// Shows an attempt to a signed-in person, and binds it to the browser with this secret. Who agreed to exactly this
    /// request before is not asked again, unless the code goes to where anybody could be waiting for it.
    pub async fn ask(
        &self,
        caller: &Caller,
        id: AuthorizationId,
        browser: &str,
    ) -> Result<Asked, AuthError> {
        let parts = self.parts();
        let now = parts.clock.now();
        let Some(row) = self.open(id).await? else {
            return Ok(Asked::Gone);
        };
        let browser_hash = vault::hash(browser);
        if !parts
            .store
            .bind_authorization(id, &browser_hash, now)
            .await?
        {
            let elsewhere = row.browser_hash.is_some_and(|bound| bound != browser_hash);
            return Ok(if elsewhere {
                Asked::Elsewhere
            } else {
                Asked::Gone
            });
        }
        let Ok((back, destination)) = redirect::read(&row.redirect_uri) else {
            return Ok(Asked::Gone);
        };
        if destination.is_certain() && !row.ask_again {
            let agreed = parts
                .store
                .consent(
                    caller.user,
                    &row.client_id,
                    destination.host(),
                    &row.resource,
                    &row.scopes.to_string(),
                )
                .await?;
            if let Some(granted) = agreed {
                return Ok(
                    match self.decide(caller, id, browser, Some(&granted)).await? {
                        Some(url) => Asked::Agreed(url),
                        None => Asked::Gone,
                    },
                );
            }
        }
        let redirect_origin = match &destination {
            Destination::App(scheme) => scheme.clone(),
            Destination::Site(_) | Destination::Loopback(_) => back.origin().ascii_serialization(),
        };
        Ok(Asked::Question(Question {
            id,
            client_name: row.client_name,
            client_host: row.client_host,
            destination,
            scopes: row.scopes,
            redirect_origin,
        }))
    }

    /// What was asked in an open attempt, for whoever decides about a part of it.
    pub async fn asked_scopes(&self, id: AuthorizationId) -> Result<Option<Scopes>, AuthError> {
        Ok(self.open(id).await?.map(|row| row.scopes))
    }

    async fn open(&self, id: AuthorizationId) -> Result<Option<AuthorizationRow>, AuthError> {
        let parts = self.parts();
        let now = parts.clock.now();
        let row = parts.store.authorization(id).await?;
        // Another server on the same database has attempts of its own.
        Ok(row.filter(|row| {
            row.decided_at.is_none() && row.expires_at > now && row.resource == self.resource()
        }))
    }

    /// Takes a person's decision, made in the browser with this secret: what they allow, or `None`. Answers where the
    /// browser goes; `None` when the attempt is over or belongs to another browser.
    pub async fn decide(
        &self,
        caller: &Caller,
        id: AuthorizationId,
        browser: &str,
        allowed: Option<&Scopes>,
    ) -> Result<Option<Url>, AuthError> {
        let parts = self.parts();
        let now = parts.clock.now();
        let Some(row) = self.open(id).await? else {
            return Ok(None);
        };
        // Nobody gives more than was asked for, whatever the form says.
        let allowed = allowed.filter(|granted| row.scopes.contain(granted));
        let code = match allowed {
            Some(_) => Some(vault::random_secret(CODE_PREFIX).ok_or(VaultError::Randomness)?),
            None => None,
        };
        let code_hash = code.as_ref().map(|code| vault::hash(code.expose_secret()));
        let decision = allowed
            .zip(code_hash.as_ref())
            .map(|(granted, hash)| (granted, hash, now.plus(CODE_LIFE)));
        let browser_hash = vault::hash(browser);
        let decided = parts
            .store
            .decide_authorization(id, &browser_hash, caller.user, decision, now)
            .await?;
        let Some(row) = decided else { return Ok(None) };
        self.decided(caller, &row, code).await
    }

    async fn decided(
        &self,
        caller: &Caller,
        row: &AuthorizationRow,
        code: Option<SecretString>,
    ) -> Result<Option<Url>, AuthError> {
        let Ok((back, destination)) = redirect::read(&row.redirect_uri) else {
            return Ok(None);
        };
        let mut detail = json!({
            "client": row.client_name,
            "redirect_host": destination.host(),
            "asked": row.scopes.to_string(),
        });
        let (Some(code), Some(granted)) = (code, &row.granted) else {
            self.record(
                caller,
                "auth.client_declined",
                &row.client_id,
                "declined",
                detail,
            )
            .await?;
            let fields = [
                ("error", "access_denied"),
                ("error_description", "the person declined"),
            ];
            return Ok(Some(self.answer(&back, &fields, row.state.as_deref())));
        };
        detail["granted"] = granted.to_string().into();
        self.record(caller, "auth.client_allowed", &row.client_id, "", detail)
            .await?;
        if destination.is_certain() {
            let consent = ConsentRow {
                user_id: caller.user,
                client_id: row.client_id.clone(),
                redirect_host: destination.host().to_owned(),
                resource: row.resource.clone(),
                asked: row.scopes.to_string(),
                granted: granted.clone(),
                given_at: self.parts().clock.now(),
            };
            self.parts().store.remember_consent(&consent).await?;
        }
        let fields = [("code", code.expose_secret())];
        Ok(Some(self.answer(&back, &fields, row.state.as_deref())))
    }

    /// The redirect URI with an answer, which always names us (RFC 9207) and gives the client its state back.
    fn answer(&self, back: &Url, fields: &[(&str, &str)], state: Option<&str>) -> Url {
        let mut url = back.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs(fields);
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", self.issuer());
        drop(query);
        url
    }
}

/// What a client asks for. Unknown words are dropped (RFC 6749 §3.3 lets a server give less), nothing at all is reading,
/// and who writes also reads. `None` for a narrowing that cannot be read: without it the client would get more.
pub(super) fn requested(text: &str) -> Option<Scopes> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let is_id = |id: &str| {
        !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let mut known = Vec::new();
    for word in text.split_ascii_whitespace() {
        if word
            .strip_prefix("integration:")
            .is_some_and(|id| !is_id(id))
        {
            return None;
        }
        if Scopes::parse(word).is_ok() {
            known.push(word);
        }
    }
    let mut scopes = Scopes::parse(&known.join(" ")).ok()?;
    scopes.read |= scopes.write || !scopes.audit;
    Some(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_leniently_but_never_widened() {
        for (text, expected) in [
            ("", Some("tools:read")),
            ("openid offline_access profile", Some("tools:read")),
            ("tools:read", Some("tools:read")),
            ("tools:write", Some("tools:read tools:write")),
            ("audit:read", Some("audit:read")),
            ("TOOLS:WRITE", Some("tools:read")),
            ("mcp:admin tools:read", Some("tools:read")),
            ("integration:github", Some("tools:read integration:github")),
            (
                "integration:nothing_here tools:write",
                Some("tools:read tools:write integration:nothing_here"),
            ),
            ("integration:", None),
            ("tools:read integration:a\"b", None),
            ("integration:\u{fc}", None),
        ] {
            let read = requested(text).map(|scopes| scopes.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(requested(&"x ".repeat(2_000)), None);
    }

    #[test]
    fn a_parameter_counts_once() {
        let parameters = Parameters::parse(b"a=1&b=&c=2&c=3&d=x%20y");
        assert_eq!(parameters.one("a"), Ok(Some("1")));
        assert_eq!(parameters.one("b"), Ok(None));
        assert_eq!(parameters.one("c"), Err(Several));
        assert_eq!(parameters.one("d"), Ok(Some("x y")));
        assert_eq!(parameters.one("e"), Ok(None));
    }
}
