//! Integrations as data: what a third-party system offers, how one connects to it, and the facts of its API.

use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::block::BlockDef;
use super::client::Failure;
use super::error::{ProviderError, ToolError};
use super::people::Contact;
use super::tool::{Cx, Needs, ToolDef};

/// What a third-party system can do.
#[derive(Debug)]
pub struct Integration {
    /// Folder, tool prefix, URI scheme and key of settings: one id everywhere.
    pub id: &'static str,
    /// The name people know.
    pub name: &'static str,
    /// What connecting it enables, in one sentence.
    pub summary: &'static str,
    /// Our own drawing of it: the text of an SVG file.
    pub icon: &'static str,
    /// The ways in; nearly always one.
    pub providers: &'static [Provider],
    /// Its tools and blocks, by product.
    pub toolsets: &'static [Toolset],
    /// Old tool names and what they are called now.
    pub aliases: &'static [(&'static str, &'static str)],
    /// How other integrations find out who a person is here.
    pub contacts: Option<ContactLookup>,
}

type FindContacts =
    for<'a> fn(&'a Cx, &'a [String]) -> BoxFuture<'a, Result<Vec<Contact>, ToolError>>;

/// Finding people by their e-mail addresses.
#[derive(Debug)]
pub struct ContactLookup {
    /// The tool with which anybody could look by hand: where that is not allowed, neither is this, and it is recorded
    /// under that name.
    pub tool: &'static str,
    /// The scopes without which nobody is found.
    pub needs: Needs,
    /// The contacts with these addresses, which are in lower case; at most one for each.
    pub find: FindContacts,
}

impl Integration {
    /// All tools, in listing order.
    pub fn tools(&'static self) -> impl Iterator<Item = &'static ToolDef> {
        self.toolsets.iter().flat_map(|set| set.tools)
    }

    /// The provider of an integration that is open to everyone: there is nothing to connect, and nobody's own account.
    pub fn open(&'static self) -> Option<(&'static Provider, &'static Open)> {
        match self.providers {
            [provider] => provider.auth.open().map(|open| (provider, open)),
            _ => None,
        }
    }

    /// All blocks, in listing order.
    pub fn blocks(&'static self) -> impl Iterator<Item = &'static BlockDef> {
        self.toolsets.iter().flat_map(|set| set.blocks)
    }
}

/// The unit that a person consents to and an admin switches.
#[derive(Debug)]
pub struct Toolset {
    /// Unique in the integration.
    pub id: &'static str,
    /// The name people see.
    pub title: &'static str,
    /// In listing order.
    pub tools: &'static [ToolDef],
    /// In listing order.
    pub blocks: &'static [BlockDef],
}

type Identify = for<'a> fn(&'a Cx) -> BoxFuture<'a, Result<Account, ToolError>>;

/// One way into a third-party system.
#[derive(Debug)]
pub struct Provider {
    /// Key of settings (`WORKBENCH_PROVIDER_<ID>_…`) and of the callback path.
    pub id: &'static str,
    /// The name people know.
    pub name: &'static str,
    /// The URI scheme of its blocks, which is its integration's id.
    pub scheme: &'static str,
    /// How to connect.
    pub auth: Auth,
    /// The facts of its API.
    pub api: Api,
    /// Whose account is this? Runs after connecting; `cx.account` is empty then.
    pub identify: Identify,
}

/// The detail in which `identify` says what a credential may do, as a list, when the provider tells it there rather than
/// with the token. It becomes the connection's scopes and is no detail of the account.
pub const GRANTED: &str = "granted";

/// Whose account a connection is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The provider's stable id of the account; a connection is pinned to it.
    pub id: String,
    /// What people recognise: a login, an e-mail address, a portal's domain.
    pub label: String,
    /// What addresses of blocks and the `account` argument call it: the alias the person gave, else the label.
    #[serde(default)]
    pub handle: String,
    /// What tools need to know again and again (web host, time zone, currency); never secret.
    #[serde(default)]
    pub details: Map<String, Value>,
}

impl Account {
    /// A detail that is text; empty when it is not known.
    pub fn detail(&self, name: &str) -> &str {
        self.details
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// The ways of connecting.
#[derive(Debug)]
pub enum Auth {
    /// Open to everyone: nothing to connect.
    Open(Open),
    /// A key that the person pastes.
    ApiKey(ApiKey),
    /// OAuth 2.0 authorization code (RFC 6749 §4.1, with PKCE, RFC 7636).
    OAuth2(OAuth2),
    /// Either of the two, as the person likes; without the organization's app, the key alone.
    Either(OAuth2, ApiKey),
}

impl Auth {
    /// The OAuth facts, where it is OAuth.
    pub const fn oauth2(&self) -> Option<&OAuth2> {
        match self {
            Self::OAuth2(oauth) | Self::Either(oauth, _) => Some(oauth),
            Self::Open(_) | Self::ApiKey(_) => None,
        }
    }

    /// The facts of the key, where one can be pasted.
    pub const fn key(&self) -> Option<&ApiKey> {
        match self {
            Self::ApiKey(key) | Self::Either(_, key) => Some(key),
            Self::Open(_) | Self::OAuth2(_) => None,
        }
    }

    /// How it is shared, where it is open.
    pub const fn open(&self) -> Option<&Open> {
        match self {
            Self::Open(open) => Some(open),
            Self::ApiKey(_) | Self::OAuth2(_) | Self::Either(..) => None,
        }
    }
}

/// A provider that needs no account. It sees one caller, this installation, so what it allows is shared by everybody
/// here, and so are its answers.
#[derive(Debug)]
pub struct Open {
    /// How its hosts are asked. A host of [`Api::hosts`] without a rule is not asked at all.
    pub hosts: &'static [HostRule],
}

/// How a host that all people share is asked.
#[derive(Debug)]
pub struct HostRule {
    /// Its name in [`Api::hosts`].
    pub host: &'static str,
    /// What it allows.
    pub allows: Allowance,
    /// The key that an installation may set for it (`WORKBENCH_PROVIDER_<ID>_<HOST>_API_KEY`).
    pub key: Option<HostKey>,
    /// How long an answer may be given again.
    pub keep: Duration,
}

/// An optional key of the installation.
#[derive(Debug)]
pub struct HostKey {
    /// The query parameter that carries it.
    pub param: &'static str,
    /// What the host allows with it.
    pub allows: Allowance,
}

/// How many requests a host takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So many …
    pub requests: u32,
    /// … within any time of this length.
    pub within: Duration,
    /// And so many a day (UTC).
    pub per_day: Option<u32>,
}

/// A key that the person pastes.
#[derive(Debug)]
pub struct ApiKey {
    /// What the provider calls it, such as `API key`.
    pub name: &'static str,
    /// Where to get one, for the person.
    pub hint: &'static str,
    /// Looks at a key before it is sent anywhere: what it says itself and `identify` needs to know, as details of the
    /// account, or why it cannot be one. [`ApiKey::any`] where keys say nothing.
    pub read: fn(&str) -> Result<Map<String, Value>, &'static str>,
    /// Where accounts may be on a server of their own.
    pub site: Option<Site>,
}

impl ApiKey {
    /// Takes any text for a key that says nothing.
    pub fn any(_key: &str) -> Result<Map<String, Value>, &'static str> {
        Ok(Map::new())
    }
}

/// Servers that customers run themselves, or that each of them has at an address of its own.
#[derive(Debug)]
pub struct Site {
    /// What to write, for the person.
    pub hint: &'static str,
    /// Whether there is no server without it; else an empty field means the provider's own.
    pub required: bool,
}

/// OAuth 2.0 facts of a provider. URLs are the public ones; `WORKBENCH_PROVIDER_<ID>_AUTH_URL` moves their origin, and
/// those on the API's own host move with `…_API_URL` instead.
#[derive(Debug)]
pub struct OAuth2 {
    /// The authorization endpoint.
    pub authorize_url: &'static str,
    /// The token endpoint.
    pub token_url: &'static str,
    /// More parameters of the authorization request.
    pub authorize_params: &'static [(&'static str, &'static str)],
    /// What to ask for.
    pub scopes: &'static [Scope],
    /// Between scopes in requests and answers.
    pub scope_separator: char,
    /// The parameter that carries the optional scopes, when the provider separates them (HubSpot's `optional_scope`).
    pub optional_scope_param: Option<&'static str>,
    /// Scopes that contain others, as the provider documents them.
    pub implied: &'static [(&'static str, &'static [&'static str])],
    /// Whether the provider takes a PKCE challenge.
    pub pkce: bool,
    /// How the client proves itself at the token endpoint.
    pub client_auth: ClientAuth,
    /// What using a refresh token does to it.
    pub rotation: Rotation,
    /// Error words besides RFC 6749's `invalid_grant` with which the token endpoint says that the grant is gone.
    pub gone_errors: &'static [&'static str],
    /// Error words besides RFC 6749's `invalid_client` and `unauthorized_client` that blame the organization's app.
    pub app_errors: &'static [&'static str],
    /// How long a grant lives while the organization's app is not published at the provider (Google's "Testing"), where
    /// that is a thing; a grant that ends then is told apart from one that was taken back.
    pub unpublished_life: Option<Duration>,
    /// Reads the token endpoint's success answer.
    pub read_token: fn(&Value) -> Result<TokenSet, ProviderError>,
    /// How to take a grant back.
    pub revocation: Revocation,
    /// What a person may take alone; scopes that no product names are always asked for. Empty where all are asked for
    /// together.
    pub products: &'static [Product],
    /// Facts of accounts that live in directories of organizations, where the provider has such.
    pub directory: Option<Directory>,
}

/// A part of what a provider offers that a person can connect without the rest.
#[derive(Debug)]
pub struct Product {
    /// Unique at the provider.
    pub id: &'static str,
    /// The name people see.
    pub title: &'static str,
    /// The toolset that it is for; an admin who switches that off takes the product off the list.
    pub toolset: &'static str,
    /// The scopes it takes.
    pub scopes: &'static [&'static str],
    /// Whether it is chosen unless the person says otherwise.
    pub chosen: bool,
}

/// Accounts that live in directories of organizations (tenants). In addresses `{tenant}` stands for the directory.
#[derive(Debug)]
pub struct Directory {
    /// What an admin may say besides a directory's id or domain, with what it means; the first one holds when nothing is
    /// said.
    pub tenants: &'static [(&'static str, &'static str)],
    /// Where an administrator consents for a whole directory.
    pub admin_consent_url: Option<&'static str>,
    /// What stands there for a word of `tenants`, which names no single directory.
    pub admin_consent_tenant: &'static str,
    /// Error words, and codes that begin an error's description, that ask for an administrator's consent.
    pub admin_refusals: &'static [&'static str],
    /// Accounts of people that belong to no organization: what to call them, and the scopes they cannot consent to.
    pub personal: Option<(&'static str, &'static [&'static str])>,
    /// The word of `tenants` with which nobody else can sign in.
    pub personal_tenant: Option<&'static str>,
}

/// One scope and why we ask for it.
#[derive(Debug)]
pub struct Scope {
    /// The provider's name of it.
    pub name: &'static str,
    /// What it enables, in words a person consents to.
    pub why: &'static str,
    /// Whether connecting makes sense without it.
    pub optional: bool,
}

impl Scope {
    /// A scope that connecting makes no sense without.
    #[must_use]
    pub const fn needed(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            why,
            optional: false,
        }
    }

    /// A scope that a person may leave out; what needs it then does not work.
    #[must_use]
    pub const fn optional(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            why,
            optional: true,
        }
    }
}

/// How the client proves itself at the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    Body,
    /// HTTP basic authentication.
    Basic,
}

/// What using a refresh token does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It stays as it is; an answer may leave it out.
    None,
    /// A new one comes, the old one works for some time more.
    Grace,
    /// A new one comes, the old one is dead at once.
    Strict,
}

/// How a provider takes a grant back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It offers no call; the person removes the grant at the provider.
    Unsupported,
    /// RFC 7009: a form with `token` and the client's credentials.
    Rfc7009 {
        /// The revocation endpoint.
        url: &'static str,
        /// Whether to hand in the refresh token, which takes the access tokens with it, or the access token.
        token: RevokedToken,
    },
    /// `DELETE` with the access token as JSON and the client as basic authentication (GitHub). `{client_id}` in the
    /// address is replaced.
    DeleteGrant {
        /// The endpoint.
        url: &'static str,
    },
}

/// Which of the two tokens a revocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedToken {
    /// The access token.
    Access,
    /// The refresh token.
    Refresh,
}

/// What a token endpoint answered.
pub struct TokenSet {
    /// For the `Authorization` header.
    pub access_token: SecretString,
    /// For the next refresh; `None` keeps the one in use.
    pub refresh_token: Option<SecretString>,
    /// Seconds of life of the access token; `None` when it does not expire.
    pub expires_in_s: Option<u64>,
    /// Seconds of life of the refresh token, when the provider says.
    pub refresh_expires_in_s: Option<u64>,
    /// The scopes granted, which may be fewer than asked for; `None` when the provider does not say.
    pub scopes: Option<Vec<String>>,
    /// Whose tokens these are ([`Account::id`]), when the answer says; tokens of another account are not taken.
    pub subject: Option<String>,
}

impl TokenSet {
    /// Reads an answer as RFC 6749 §5.1 has it, with numbers also accepted as text and scopes split at `separator`.
    pub fn standard(answer: &Value, separator: char) -> Result<Self, ProviderError> {
        let text = |name: &str| {
            answer
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let seconds = |name: &str| {
            let value = answer.get(name)?;
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        let access_token = text("access_token").ok_or_else(|| ProviderError::Unavailable {
            reason: "the token endpoint answered without an access token".to_owned(),
        })?;
        Ok(Self {
            access_token: access_token.into(),
            refresh_token: text("refresh_token").map(Into::into),
            expires_in_s: seconds("expires_in"),
            refresh_expires_in_s: seconds("refresh_token_expires_in"),
            scopes: answer.get("scope").and_then(Value::as_str).map(|scope| {
                scope
                    .split([separator, ' '])
                    .filter(|word| !word.is_empty())
                    .map(ToOwned::to_owned)
                    .collect()
            }),
            subject: None,
        })
    }
}

/// The facts of a provider's HTTP API.
#[derive(Debug)]
pub struct Api {
    /// Where all paths begin; `WORKBENCH_PROVIDER_<ID>_API_URL` replaces it.
    pub base_url: &'static str,
    /// Further hosts, by name; [`super::client::ProviderClient::at`] sends there. With a replaced base address they are in
    /// a folder of their name below it; `WORKBENCH_PROVIDER_<ID>_<HOST>_API_URL` replaces a single one.
    pub hosts: &'static [(&'static str, &'static str)],
    /// Sent with every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// Where the credential goes.
    pub credential: CredentialIn,
    /// Hosts, or `.suffixes` of hosts, that the provider redirects downloads to. They never see the credential.
    pub download_hosts: &'static [&'static str],
    /// Hosts, or `.suffixes` of hosts, at which the provider keeps accounts by region. They get the credential.
    pub regions: &'static [&'static str],
    /// Our own pace towards it, per connection.
    pub pace: Pace,
    /// Names a refusal that the status alone does not; `None` leaves it to the status.
    pub classify: fn(&Failure<'_>) -> Option<ProviderError>,
}

impl Api {
    /// Whether this host is one of the provider's regions.
    pub fn is_region(&self, host: &str) -> bool {
        is_listed(host, self.regions)
    }
}

/// Whether `host` is one of these, of which some are `.suffixes`.
pub(super) fn is_listed(host: &str, listed: &[&str]) -> bool {
    listed.iter().any(|listed| match listed.strip_prefix('.') {
        Some(domain) => host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.')),
        None => host == *listed,
    })
}

/// Where the credential goes in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialIn {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer,
    /// A header of the provider's own.
    Header(&'static str),
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Calls a second in the long run.
    pub per_second: u32,
    /// Calls at once after a pause.
    pub burst: u32,
}
