//! What each provider does its own way, as data. Adding a provider is adding an entry here.
//!
//! Paths are those below the provider's public origins. Lifetimes are shorter than the real ones where those are long, so
//! that a demo of a quarter of an hour sees a refresh.

use serde::{Deserialize, Serialize};

/// A stand-in for one provider.
#[derive(Debug)]
pub struct Provider {
    /// The first segment of every path: `{sandbox}/{id}/…`.
    pub id: &'static str,
    /// The name people know.
    pub name: &'static str,
    /// The folder in `fixtures/` with the exchanges of its API.
    pub fixtures: &'static str,
    /// The authorization endpoint.
    pub authorize_path: &'static str,
    /// The token endpoint, in every version that is in service.
    pub token_paths: &'static [&'static str],
    /// Where an administrator consents for everybody. A provider that has it has directories: the first part of this
    /// path and of those above may be the name of any.
    pub admin_consent_path: Option<&'static str>,
    /// How a grant is taken back.
    pub revocation: Revocation,
    /// Where the client asks what a token is (RFC 7662).
    pub introspection_path: Option<&'static str>,
    /// How it words answers.
    pub dialect: Dialect,
    /// How the client must prove itself at the token endpoint.
    pub client_auth: ClientAuth,
    /// Whether an authorization request may come without a PKCE challenge (RFC 7636).
    pub pkce: Pkce,
    /// What using a refresh token does to it.
    pub rotation: Rotation,
    /// Life of an access token, in seconds.
    pub access_s: u64,
    /// Life of a refresh token, in seconds; `None` when it has no end.
    pub refresh_s: Option<u64>,
    /// Between scopes in answers. Requests may use a space or this.
    pub scope_separator: char,
    /// The parameter with the scopes that a person may leave out. `None`: of this provider's scopes a person may leave
    /// out any.
    pub optional_scope_param: Option<&'static str>,
    /// Who can sign in; nobody where the API is open to everyone.
    pub accounts: &'static [Account],
}

/// An account that can sign in at a provider.
#[derive(Debug)]
pub struct Account {
    /// What it is called here and in the form of the consent page.
    pub id: &'static str,
    /// What the consent page shows.
    pub label: &'static str,
    /// Facts that the token endpoint adds to its answers; a JSON object.
    pub token_facts: &'static str,
    /// Documents that say who the token's account is: the path, and the JSON object whose members replace those of the
    /// fixture's answer, so that two accounts can be told apart.
    pub identity: &'static [(&'static str, &'static str)],
}

/// How a provider words its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 6749 at the token endpoint, `{"error": {…}}` at the API.
    Standard,
    /// The token endpoint answers 200 to failures too, and as a form unless JSON is asked for; the API says `message`
    /// and `documentation_url`.
    GitHub,
    /// `{status, message, correlationId, category}` everywhere.
    HubSpot,
    /// RFC 6749 at the token endpoint, `{"detail": …}` at the API.
    Sentry,
}

/// How the client proves itself at the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    Body,
    /// HTTP basic authentication or in the body.
    Either,
}

/// Whether an authorization request needs a PKCE challenge. One that comes is always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkce {
    /// It may come without.
    Accepted,
    /// It is refused without.
    Required,
}

/// What using a refresh token does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// It stays as it is, and the answer repeats it.
    None,
    /// A new one comes; the old one works for [`GRACE_S`] more.
    Grace,
    /// A new one comes; the old one and the old access token are dead at once.
    Strict,
    /// As strict, and who uses an old one loses the whole grant (RFC 9700 §4.14.2).
    StrictFamily,
}

/// How long an old refresh token still works where there is grace, in seconds.
pub const GRACE_S: u64 = 10;

/// How a provider takes a grant back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It offers no call.
    Unsupported,
    /// A form with `token` (RFC 7009).
    Form {
        /// The revocation endpoints.
        paths: &'static [&'static str],
        /// Who may hand a token in.
        client: RevokingClient,
    },
    /// `DELETE /applications/{client_id}/grant` or `/token` with `{"access_token": …}` and the client as basic
    /// authentication.
    DeleteByClient,
}

/// Who may hand a token in to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokingClient {
    /// The client, with its secret (RFC 7009 §2.1).
    Proven,
    /// Whoever has the token.
    Anyone,
}

/// What a path below a provider's prefix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    Authorize,
    AdminConsent,
    Token,
    RevokeForm,
    RevokeGrant { client_id: &'a str },
    RevokeToken { client_id: &'a str },
    Introspect,
    Api,
}

impl Provider {
    /// What `method path` asks for; whatever is not OAuth's is the API's.
    pub(super) fn endpoint<'a>(&self, method: &str, path: &'a str) -> Endpoint<'a> {
        match (method, self.revocation) {
            ("GET" | "POST", _) if self.is_at(path, self.authorize_path) => {
                return Endpoint::Authorize;
            }
            ("GET" | "POST", _)
                if self
                    .admin_consent_path
                    .is_some_and(|own| self.is_at(path, own)) =>
            {
                return Endpoint::AdminConsent;
            }
            ("POST", _) if self.token_paths.iter().any(|own| self.is_at(path, own)) => {
                return Endpoint::Token;
            }
            ("POST", _) if self.introspection_path == Some(path) => return Endpoint::Introspect,
            ("POST", Revocation::Form { paths, .. }) if paths.contains(&path) => {
                return Endpoint::RevokeForm;
            }
            ("DELETE", Revocation::DeleteByClient) => {
                let rest = path.strip_prefix("/applications/").unwrap_or_default();
                match rest.split_once('/') {
                    Some((client_id, "grant")) => return Endpoint::RevokeGrant { client_id },
                    Some((client_id, "token")) => return Endpoint::RevokeToken { client_id },
                    _ => {}
                }
            }
            _ => {}
        }
        Endpoint::Api
    }

    /// Whether `path` is this one of ours, in any directory where there are such.
    fn is_at(&self, path: &str, own: &str) -> bool {
        let below = |path: &'_ str| {
            path.get(1..)?
                .split_once('/')
                .map(|(_, rest)| rest.to_owned())
        };
        path == own || (self.admin_consent_path.is_some() && below(path) == below(own))
    }

    /// Whether the API asks nobody who they are.
    pub const fn is_open(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The account of a key that is pasted instead of a consent.
    pub fn account_of_key(&self, key: &str) -> Option<&'static Account> {
        let mut own = KEYS.iter().filter(|(provider, ..)| *provider == self.id);
        let (_, _, account) = own.find(|(_, known, _)| *known == key)?;
        self.account(account)
    }

    /// The account with this id.
    pub fn account(&self, id: &str) -> Option<&'static Account> {
        self.accounts.iter().find(|account| account.id == id)
    }
}

/// The provider with this id.
pub fn provider(id: &str) -> Option<&'static Provider> {
    ALL.iter().find(|provider| provider.id == id)
}

/// Every provider, by id.
pub static ALL: &[Provider] = &[GITHUB, GOOGLE, HEALTH, HUBSPOT, M365, SENTRY];

/// Keys that open an account without a consent: the provider, the key and the account. They open nothing but a sandbox.
pub static KEYS: &[(&str, &str, &str)] = &[
    ("sentry", "sandbox-key-of-alice", "alice@acme.example"),
    ("sentry", "sandbox-key-of-bob", "bob@acme.example"),
];

/// Tokens expire and rotate as a GitHub App's do; scopes are granted and named as an OAuth App's are.
const GITHUB: Provider = Provider {
    id: "github",
    name: "GitHub",
    fixtures: "github",
    authorize_path: "/login/oauth/authorize",
    token_paths: &["/login/oauth/access_token"],
    admin_consent_path: None,
    revocation: Revocation::DeleteByClient,
    introspection_path: None,
    dialect: Dialect::GitHub,
    client_auth: ClientAuth::Either,
    pkce: Pkce::Required,
    rotation: Rotation::Strict,
    access_s: 15 * 60,
    refresh_s: Some(180 * 24 * 3_600),
    scope_separator: ',',
    optional_scope_param: None,
    accounts: &[
        Account {
            id: "alice-dev",
            label: "alice-dev (Alice Example)",
            token_facts: "{}",
            identity: &[(
                "/user",
                r#"{"login": "alice-dev", "id": 1001, "node_id": "U_1001", "name": "Alice Example",
                    "email": "alice@example.test", "type": "User", "html_url": "https://github.com/alice-dev"}"#,
            )],
        },
        Account {
            id: "bob-ops",
            label: "bob-ops (Bob Example)",
            token_facts: "{}",
            identity: &[(
                "/user",
                r#"{"login": "bob-ops", "id": 1002, "node_id": "U_1002", "name": "Bob Example",
                    "email": "bob@example.test", "type": "User", "html_url": "https://github.com/bob-ops"}"#,
            )],
        },
    ],
};

const GOOGLE: Provider = Provider {
    id: "google",
    name: "Google",
    fixtures: "google",
    authorize_path: "/o/oauth2/v2/auth",
    token_paths: &["/token"],
    admin_consent_path: None,
    revocation: Revocation::Form {
        paths: &["/revoke"],
        client: RevokingClient::Anyone,
    },
    introspection_path: None,
    dialect: Dialect::Standard,
    client_auth: ClientAuth::Either,
    pkce: Pkce::Required,
    rotation: Rotation::None,
    access_s: 60 * 60,
    refresh_s: None,
    scope_separator: ' ',
    optional_scope_param: None,
    accounts: &[
        Account {
            id: "alice@example.test",
            label: "alice@acme.example (Alice Reyes)",
            token_facts: "{}",
            identity: &[(
                "/oauth2/v2/userinfo",
                r#"{"id": "1001", "email": "alice@acme.example", "verified_email": true, "name": "Alice Reyes"}"#,
            )],
        },
        Account {
            id: "bob@example.test",
            label: "bob@acme.example (Bob Osei)",
            token_facts: "{}",
            identity: &[(
                "/oauth2/v2/userinfo",
                r#"{"id": "1002", "email": "bob@acme.example", "verified_email": true, "name": "Bob Osei"}"#,
            )],
        },
    ],
};

/// Public sources: nobody signs in, so nothing of OAuth is served.
const HEALTH: Provider = Provider {
    id: "health",
    name: "Healthcare and life science",
    fixtures: "health",
    authorize_path: "",
    token_paths: &[],
    admin_consent_path: None,
    revocation: Revocation::Unsupported,
    introspection_path: None,
    dialect: Dialect::Standard,
    client_auth: ClientAuth::Either,
    pkce: Pkce::Accepted,
    rotation: Rotation::None,
    access_s: 0,
    refresh_s: None,
    scope_separator: ' ',
    optional_scope_param: None,
    accounts: &[],
};

const HUBSPOT: Provider = Provider {
    id: "hubspot",
    name: "HubSpot",
    fixtures: "hubspot",
    authorize_path: "/oauth/authorize",
    token_paths: &["/oauth/2026-03/token", "/oauth/v3/token", "/oauth/v1/token"],
    admin_consent_path: None,
    revocation: Revocation::Form {
        paths: &["/oauth/2026-03/token/revoke", "/oauth/v3/token/revoke"],
        client: RevokingClient::Proven,
    },
    introspection_path: Some("/oauth/2026-03/token/introspect"),
    dialect: Dialect::HubSpot,
    client_auth: ClientAuth::Body,
    pkce: Pkce::Accepted,
    rotation: Rotation::None,
    access_s: 30 * 60,
    refresh_s: None,
    scope_separator: ' ',
    optional_scope_param: Some("optional_scope"),
    accounts: &[
        Account {
            id: "4711",
            label: "Acme Sales (portal 4711)",
            token_facts: r#"{"hub_id": 4711, "user_id": 1001, "hub_domain": "acme-sales.example.test"}"#,
            identity: &[(
                "/account-info/v3/details",
                r#"{"portalId": 4711, "uiDomain": "app.hubspot.com", "accountType": "STANDARD",
                    "timeZone": "Europe/Berlin", "companyCurrency": "EUR"}"#,
            )],
        },
        Account {
            id: "4712",
            label: "Acme Partners (portal 4712)",
            token_facts: r#"{"hub_id": 4712, "user_id": 1001, "hub_domain": "acme-partners.example.test"}"#,
            // A portal does not say its own domain to a bearer; its owners' addresses give it away.
            identity: &[
                (
                    "/account-info/v3/details",
                    r#"{"portalId": 4712, "uiDomain": "app-eu1.hubspot.com", "accountType": "STANDARD",
                        "timeZone": "Europe/Berlin", "companyCurrency": "EUR"}"#,
                ),
                (
                    "/crm/v3/owners",
                    r#"{"results": [{"id": "471201", "email": "alice@acme-partners.example.test", "type": "PERSON",
                        "firstName": "Alice", "lastName": "Example", "userId": 1001, "archived": false,
                        "createdAt": "2026-01-05T08:00:00Z", "updatedAt": "2026-01-05T08:00:00Z"}]}"#,
                ),
            ],
        },
    ],
};

const M365: Provider = Provider {
    id: "m365",
    name: "Microsoft 365",
    fixtures: "m365",
    authorize_path: "/common/oauth2/v2.0/authorize",
    token_paths: &["/common/oauth2/v2.0/token"],
    admin_consent_path: Some("/organizations/v2.0/adminconsent"),
    revocation: Revocation::Unsupported,
    introspection_path: None,
    dialect: Dialect::Standard,
    client_auth: ClientAuth::Either,
    pkce: Pkce::Required,
    rotation: Rotation::Grace,
    access_s: 60 * 60,
    refresh_s: Some(90 * 24 * 3_600),
    scope_separator: ' ',
    optional_scope_param: None,
    accounts: &[
        Account {
            id: "alice@example.test",
            label: "alice@example.test",
            token_facts: "{}",
            identity: &[(
                "/v1.0/me",
                r#"{"id": "00000000-0000-0000-0000-000000001001", "displayName": "Alice Example",
                    "mail": "alice@example.test", "userPrincipalName": "alice@example.test"}"#,
            )],
        },
        Account {
            id: "bob@example.test",
            label: "bob@example.test",
            token_facts: "{}",
            identity: &[(
                "/v1.0/me",
                r#"{"id": "00000000-0000-0000-0000-000000001002", "displayName": "Bob Example",
                    "mail": "bob@example.test", "userPrincipalName": "bob@example.test"}"#,
            )],
        },
    ],
};

const SENTRY: Provider = Provider {
    id: "sentry",
    name: "Sentry",
    fixtures: "sentry",
    authorize_path: "/oauth/authorize/",
    token_paths: &["/oauth/token/"],
    admin_consent_path: None,
    revocation: Revocation::Unsupported,
    introspection_path: None,
    dialect: Dialect::Sentry,
    client_auth: ClientAuth::Body,
    pkce: Pkce::Accepted,
    rotation: Rotation::Strict,
    access_s: 60 * 60,
    refresh_s: None,
    scope_separator: ' ',
    optional_scope_param: None,
    accounts: &[
        Account {
            id: "alice@acme.example",
            label: "Alice Reyes (alice@acme.example)",
            token_facts: r#"{"user": {"id": "3301", "name": "Alice Reyes", "email": "alice@acme.example"}}"#,
            identity: &[(
                "/api/0/",
                r#"{"version": "0",
                    "auth": {"scopes": ["org:read", "project:read", "team:read", "event:read", "event:write"]},
                    "user": {"id": "3301", "name": "Alice Reyes", "email": "alice@acme.example"}}"#,
            )],
        },
        Account {
            id: "bob@acme.example",
            label: "Bob Osei (bob@acme.example)",
            token_facts: r#"{"user": {"id": "3302", "name": "Bob Osei", "email": "bob@acme.example"}}"#,
            // His key only reads.
            identity: &[(
                "/api/0/",
                r#"{"version": "0",
                    "auth": {"scopes": ["org:read", "project:read", "team:read", "event:read"]},
                    "user": {"id": "3302", "name": "Bob Osei", "email": "bob@acme.example"}}"#,
            )],
        },
    ],
};

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn ids_are_sorted_and_every_document_is_an_object() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
        for provider in ALL {
            assert!(
                provider.is_open() || provider.accounts.len() >= 2,
                "{}: two can be confused",
                provider.id
            );
            for account in provider.accounts {
                let documents = account.identity.iter().map(|(_, text)| *text);
                for text in documents.chain([account.token_facts]) {
                    serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap();
                }
            }
        }
    }

    #[test]
    fn paths_name_their_endpoints() {
        let endpoint = |id, method, path| provider(id).unwrap().endpoint(method, path);
        assert_eq!(
            endpoint("github", "GET", "/login/oauth/authorize"),
            Endpoint::Authorize
        );
        assert_eq!(
            endpoint("github", "DELETE", "/applications/abc/grant"),
            Endpoint::RevokeGrant { client_id: "abc" }
        );
        assert_eq!(
            endpoint("github", "DELETE", "/applications/abc"),
            Endpoint::Api
        );
        assert_eq!(
            endpoint("hubspot", "POST", "/oauth/v3/token"),
            Endpoint::Token
        );
        assert_eq!(endpoint("hubspot", "GET", "/oauth/v3/token"), Endpoint::Api);
        assert_eq!(
            endpoint("m365", "POST", "/acme.example/oauth2/v2.0/token"),
            Endpoint::Token
        );
        assert_eq!(
            endpoint("m365", "GET", "/acme.example/v2.0/adminconsent"),
            Endpoint::AdminConsent
        );
        assert_eq!(
            endpoint("hubspot", "POST", "/oauth/2026-03/token/revoke"),
            Endpoint::RevokeForm
        );
    }
}
