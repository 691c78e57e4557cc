//! What a provider says of itself: OpenID Connect Discovery 1.0 §3, or RFC 8414 for servers that only authorize.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use super::OidcError;
use super::http::Http;
use crate::clock::{Clock, Timestamp};

/// How long a document is believed.
const BELIEVED: Duration = Duration::from_hours(1);
/// How long a provider that failed is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// What stands in Entra's common issuer for the tenant.
const TENANT: &str = "{tenantid}";
/// Where Entra's clouds are.
const ENTRA: [&str; 5] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
    "sts.windows.net",
];

/// A provider's description of itself.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// The issuer that its tokens name; at Entra perhaps with the tenant left open.
    pub(super) issuer: String,
    pub(super) authorize: Option<Url>,
    pub(super) token: Option<Url>,
    pub(super) userinfo: Option<Url>,
    pub(crate) jwks: Url,
    /// Whether the client's secret goes into the form (RFC 6749 §2.3.1), because the provider says it takes it there.
    pub(super) secret_in_form: bool,
    /// Whether answers must name the issuer (RFC 9207 §2.3).
    pub(super) names_itself: bool,
    /// Whether people are named by tenant and object.
    pub(super) is_entra: bool,
}

impl Metadata {
    /// The issuer of a token of this tenant.
    pub(super) fn issuer_of(&self, tenant: Option<&str>) -> String {
        match tenant {
            Some(tenant) => self.issuer.replace(TENANT, tenant),
            None => self.issuer.clone(),
        }
    }

    /// Whether the tenant is left open, so that an allow-list must close it.
    pub(super) fn is_open(&self) -> bool {
        self.issuer.contains(TENANT)
    }

    fn read(configured: &str, document: &Map<String, Value>) -> Result<Self, OidcError> {
        let wrong = |problem: String| OidcError::Provider {
            what: "discovery document",
            problem,
        };
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let lists = |name: &str, word: &str| {
            let list = document.get(name).and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|item| item == word))
        };
        let address = |name: &str| -> Result<Option<Url>, OidcError> {
            let Some(text) = text(name) else {
                return Ok(None);
            };
            let url = Url::parse(text).map_err(|_| wrong(format!("has no address in {name}")))?;
            // A provider on https stays there; only one on this machine may do without.
            if url.scheme() == "https" || configured.starts_with("http://") {
                Ok(Some(url))
            } else {
                Err(wrong(format!("leaves https in {name}")))
            }
        };
        let issuer = text("issuer").ok_or_else(|| wrong("names no issuer".to_owned()))?;
        let host = |text: &str| Url::parse(text).ok()?.host_str().map(ToOwned::to_owned);
        // RFC 8414 §3.3: exactly the issuer that was asked for. Entra's common endpoints leave the tenant open instead.
        let open = issuer.contains(TENANT) && host(issuer) == host(configured);
        if issuer != configured && !open {
            return Err(wrong(format!("is of another issuer, {issuer}")));
        }
        let jwks = address("jwks_uri")?.ok_or_else(|| wrong("names no keys".to_owned()))?;
        Ok(Self {
            authorize: address("authorization_endpoint")?,
            token: address("token_endpoint")?,
            userinfo: address("userinfo_endpoint")?,
            jwks,
            secret_in_form: lists(
                "token_endpoint_auth_methods_supported",
                "client_secret_post",
            ),
            names_itself: document
                .get("authorization_response_iss_parameter_supported")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            is_entra: open || host(issuer).is_some_and(|host| ENTRA.contains(&host.as_str())),
            issuer: issuer.to_owned(),
        })
    }
}

/// The description of one provider, asked for when it is needed.
pub(crate) struct Discovery {
    issuer: String,
    http: Http,
    clock: Clock,
    /// One asks and the others wait for what it hears.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<(Arc<Metadata>, Timestamp)>,
    failed_at: Option<Timestamp>,
}

impl Discovery {
    pub(crate) fn new(issuer: String, http: Http, clock: Clock) -> Self {
        Self {
            issuer,
            http,
            clock,
            state: Mutex::default(),
        }
    }

    /// The issuer as it is configured.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The description; an old one rather than none when the provider does not answer.
    pub(crate) async fn get(&self) -> Result<Arc<Metadata>, OidcError> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if let Some((metadata, at)) = &state.known
            && now.since(*at) < BELIEVED
        {
            return Ok(Arc::clone(metadata));
        }
        let resting = state.failed_at.is_some_and(|at| now.since(at) < PAUSE);
        let asked = if resting {
            Err(OidcError::Provider {
                what: "discovery document",
                problem: "could not be read a moment ago".to_owned(),
            })
        } else {
            self.ask().await
        };
        match asked {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                state.known = Some((Arc::clone(&metadata), now));
                state.failed_at = None;
                Ok(metadata)
            }
            Err(error) => {
                if !resting {
                    state.failed_at = Some(now);
                    tracing::warn!(error = %error, issuer = self.issuer, "an identity provider is not understood");
                }
                match &state.known {
                    Some((metadata, _)) => Ok(Arc::clone(metadata)),
                    None => Err(error),
                }
            }
        }
    }

    async fn ask(&self) -> Result<Metadata, OidcError> {
        let mut failure = None;
        for url in documents(&self.issuer) {
            match self.http.get("discovery document", url).await {
                Ok(document) => return Metadata::read(&self.issuer, &document),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(OidcError::Provider {
            what: "discovery document",
            problem: "has no address".to_owned(),
        }))
    }
}

/// Where an issuer's documents are: below it (OpenID Connect Discovery §4), or before its path (RFC 8414 §3.1).
fn documents(issuer: &str) -> Vec<Url> {
    let Ok(base) = Url::parse(issuer) else {
        return Vec::new();
    };
    let path = base.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = base.clone();
        url.set_path(&path);
        url
    };
    vec![
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
    ]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use serde_json::json;

    use super::*;

    fn read(configured: &str, document: &Value) -> Result<Metadata, String> {
        let read = Metadata::read(configured, document.as_object().unwrap());
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn documents_stand_where_the_specifications_say() {
        for (issuer, expected) in [
            (
                "https://accounts.google.com",
                [
                    "https://accounts.google.com/.well-known/openid-configuration",
                    "https://accounts.google.com/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://id.example.test/realms/team/",
                [
                    "https://id.example.test/realms/team/.well-known/openid-configuration",
                    "https://id.example.test/.well-known/oauth-authorization-server/realms/team",
                ],
            ),
        ] {
            let found: Vec<String> = documents(issuer).into_iter().map(Into::into).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_shapes_of_known_providers_are_understood() {
        let google = json!({
            "issuer": "https://accounts.google.com",
            "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
            "token_endpoint": "https://oauth2.googleapis.com/token",
            "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["plain", "S256"],
        });
        let found = read("https://accounts.google.com", &google).unwrap();
        assert!(found.secret_in_form && !found.is_entra && !found.is_open());
        let entra = json!({
            "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
            "authorization_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
            "token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "jwks_uri": "https://login.microsoftonline.com/common/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        });
        let found = read("https://login.microsoftonline.com/common/v2.0", &entra).unwrap();
        assert!(found.is_entra && found.is_open());
        assert_eq!(
            found.issuer_of(Some("t1")),
            "https://login.microsoftonline.com/t1/v2.0"
        );
    }

    #[test]
    fn a_document_of_another_issuer_is_refused() {
        let document = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys });
        let mine = "https://id.example.test";
        for (document, expected) in [
            (document(mine, "https://id.example.test/keys"), None),
            (
                document("https://evil.test", "https://id.example.test/keys"),
                Some("another issuer"),
            ),
            (
                document("https://id.example.test/", "https://id.example.test/keys"),
                Some("another issuer"),
            ),
            (
                document(
                    "https://evil.test/{tenantid}",
                    "https://id.example.test/keys",
                ),
                Some("another issuer"),
            ),
            (
                document(mine, "http://id.example.test/keys"),
                Some("leaves https"),
            ),
            (document(mine, "keys"), Some("no address in jwks_uri")),
            (json!({ "issuer": mine }), Some("names no keys")),
            (json!({}), Some("names no issuer")),
        ] {
            match (read(mine, &document), expected) {
                (Ok(_), None) => {}
                (Err(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
                (found, _) => panic!("{document}: {found:?}"),
            }
        }
    }
}
