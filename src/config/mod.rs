//! Every setting, read once and checked whole (design 2.2).
//!
//! Names are `WORKBENCH_…` in the environment; an optional TOML file holds the same names in sections, so that
//! `[app.github] client_id = "…"` is `WORKBENCH_APP_GITHUB_CLIENT_ID`. The environment wins. Every secret is also read
//! from the file that its name with `_FILE` names.

mod identity;
mod networks;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

pub use identity::{IssuerSettings, OidcSettings, TokenType};
pub use networks::Network;

/// A setting that is missing or wrong, in one sentence that names the variable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The value cannot be used.
    #[error("{name} {problem}")]
    Wrong {
        /// The variable.
        name: String,
        /// What is wrong with its value, without the value when it is secret.
        problem: String,
    },
    /// No setting has this name.
    #[error("{0} is not a setting of workbench-mcp")]
    Unknown(String),
    /// The settings file cannot be read.
    #[error("the settings file {path} cannot be read: {problem}")]
    File {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
}

/// A secret text and where it came from, so that it can be read again.
#[derive(Clone)]
pub enum SecretText {
    /// Given directly.
    Inline(SecretString),
    /// In this file.
    File(PathBuf),
}

impl SecretText {
    /// The text now. `name` is the variable, for the error.
    pub fn read(&self, name: &str) -> Result<SecretString, ConfigError> {
        match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(SecretString::from(text.trim_end().to_owned())),
                Err(error) => Err(ConfigError::Wrong {
                    name: format!("{name}_FILE"),
                    problem: format!("names {}, which cannot be read: {error}", path.display()),
                }),
            },
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("[REDACTED]"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// An OAuth app set in the environment; one set by `apps set` comes from the store.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The public id.
    pub client_id: String,
    /// The secret.
    pub client_secret: SecretText,
    /// The directory that it is for, where the provider has such.
    pub tenant: Option<String>,
}

/// Other addresses for a provider or one of its hosts, and the installation's own key there.
#[derive(Clone, Debug, Default)]
pub struct ProviderSettings {
    /// Replaces the API's base address.
    pub api_url: Option<Url>,
    /// Replaces the origin of authorization, token and revocation addresses.
    pub auth_url: Option<Url>,
    /// The installation's key at a host that everybody shares.
    pub api_key: Option<SecretText>,
}

/// Whether MCP clients may register themselves (RFC 7591). A client with a metadata document needs no registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Any client may; a person still has to agree to it.
    Open,
    /// None may.
    Off,
}

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How people and clients reach it; derived from `listen` when it is not set.
    pub public_url: Option<Url>,
    /// Where the embedded database and generated keys are.
    pub data_dir: PathBuf,
    /// `postgres://…` or `sqlite:…`; the data directory's own database when it is not set.
    pub database_url: Option<SecretString>,
    /// `WORKBENCH_ENCRYPTION_KEYS`.
    pub encryption_keys: Option<SecretText>,
    /// `WORKBENCH_SECRET_KEYS`.
    pub secret_keys: Option<SecretText>,
    /// `WORKBENCH_AUDIT_SIGNING_KEY`.
    pub audit_signing_key: Option<SecretText>,
    /// By integration id.
    pub apps: BTreeMap<String, AppCredentials>,
    /// By provider id, and for a single host of one by `<provider>_<host>`.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// The log filter, in the form of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
    /// Origins besides our own that browsers may call `/mcp` from.
    pub allowed_origins: Vec<String>,
    /// With more tools than this, four that find and run them are listed instead.
    pub max_listed_tools: usize,
    /// Whether MCP clients may register themselves.
    pub registration: Registration,
    /// Hosts of client metadata documents that may be anywhere, this machine included.
    pub private_client_hosts: Vec<String>,
    /// `WORKBENCH_PRIVATE_PROVIDER_HOSTS`: hosts of people's own servers that may be anywhere, this network included; those
    /// written with `http://` may also be asked in the clear.
    pub private_provider_hosts: Vec<Url>,
    /// The e-mail address of the local person of `stdio`.
    pub user: Option<String>,
    /// Sign-in at an identity provider.
    pub oidc: Option<OidcSettings>,
    /// Access tokens of another authorization server.
    pub issuer: Option<IssuerSettings>,
    /// `WORKBENCH_TRUSTED_PROXIES`: who is believed about the address that a request comes from.
    pub trusted_proxies: Vec<Network>,
}

impl Config {
    /// Reads the settings from `environment`, and from `file` or else `workbench.toml` in the working directory.
    pub fn load(
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let mut settings = match file {
            Some(path) => read_file(path)?,
            None if Path::new("workbench.toml").exists() => read_file(Path::new("workbench.toml"))?,
            None => BTreeMap::new(),
        };
        settings.extend(
            environment
                .into_iter()
                .filter(|(name, _)| name.starts_with("WORKBENCH_")),
        );
        Self::from_settings(settings)
    }

    fn from_settings(settings: BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut settings = Settings(settings);
        let listen = settings.parsed(
            "WORKBENCH_LISTEN",
            "is not an address such as 127.0.0.1:8080",
        )?;
        let public_url: Option<Url> = settings.parsed(
            "WORKBENCH_PUBLIC_URL",
            "is not a URL such as https://tools.example.com",
        )?;
        if let Some(url) = &public_url {
            check_public_url(url)?;
        }
        let data_dir = settings
            .take("WORKBENCH_DATA_DIR")
            .map_or_else(|| PathBuf::from("data"), PathBuf::from);
        let database_url = settings.secret("WORKBENCH_DATABASE_URL")?;
        let database_url = database_url
            .map(|url| url.read("WORKBENCH_DATABASE_URL"))
            .transpose()?;
        let config = Self {
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            public_url,
            data_dir,
            database_url,
            encryption_keys: settings.secret("WORKBENCH_ENCRYPTION_KEYS")?,
            secret_keys: settings.secret("WORKBENCH_SECRET_KEYS")?,
            audit_signing_key: settings.secret("WORKBENCH_AUDIT_SIGNING_KEY")?,
            log: settings
                .take("WORKBENCH_LOG")
                .unwrap_or_else(|| "info".to_owned()),
            log_json: match settings.take("WORKBENCH_LOG_FORMAT").as_deref() {
                None | Some("text") => false,
                Some("json") => true,
                Some(_) => {
                    return Err(wrong(
                        "WORKBENCH_LOG_FORMAT",
                        "is neither `text` nor `json`",
                    ));
                }
            },
            allowed_origins: settings.list("WORKBENCH_ALLOWED_ORIGINS"),
            max_listed_tools: settings
                .parsed("WORKBENCH_MAX_LISTED_TOOLS", "must be a number")?
                .unwrap_or(40),
            registration: match settings.take("WORKBENCH_REGISTRATION").as_deref() {
                None | Some("open") => Registration::Open,
                Some("off") => Registration::Off,
                Some(_) => {
                    return Err(wrong(
                        "WORKBENCH_REGISTRATION",
                        "is neither `open` nor `off`",
                    ));
                }
            },
            private_client_hosts: settings.list("WORKBENCH_PRIVATE_CLIENT_HOSTS"),
            private_provider_hosts: settings.hosts("WORKBENCH_PRIVATE_PROVIDER_HOSTS")?,
            user: settings.take("WORKBENCH_USER"),
            apps: settings.apps()?,
            providers: settings.providers()?,
            oidc: settings.oidc()?,
            issuer: settings.issuer()?,
            trusted_proxies: settings
                .list("WORKBENCH_TRUSTED_PROXIES")
                .iter()
                .map(|network| network.parse())
                .collect::<Result<_, ()>>()
                .map_err(|()| {
                    wrong(
                        "WORKBENCH_TRUSTED_PROXIES",
                        "is not a list of networks such as 10.0.0.0/8",
                    )
                })?,
        };
        match settings.0.into_keys().next() {
            Some(name) => Err(ConfigError::Unknown(name)),
            None => Ok(config),
        }
    }

    /// How people and clients reach this server.
    pub fn public_url(&self) -> Result<Url, ConfigError> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None if self.listen.ip().is_unspecified() => Err(wrong(
                "WORKBENCH_PUBLIC_URL",
                "must be set when WORKBENCH_LISTEN is every address, such as https://tools.example.com",
            )),
            None => Url::parse(&format!("http://{}/", self.listen))
                .map_err(|_| wrong("WORKBENCH_LISTEN", "makes no URL; set WORKBENCH_PUBLIC_URL")),
        }
    }
}

/// The name of an integration's or provider's settings: `microsoft365` is `MICROSOFT365`.
fn key(id: &str) -> String {
    id.to_ascii_uppercase().replace('-', "_")
}

fn wrong(name: &str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Wrong {
        name: name.to_owned(),
        problem: problem.into(),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn check_public_url(url: &Url) -> Result<(), ConfigError> {
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url) => {}
        _ => {
            return Err(wrong(
                "WORKBENCH_PUBLIC_URL",
                "must be https, or http on this machine only",
            ));
        }
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(wrong(
            "WORKBENCH_PUBLIC_URL",
            "must be a plain address without user, query or fragment",
        ));
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let unreadable = |problem: String| ConfigError::File {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))?;
    let mut settings = BTreeMap::new();
    flatten("WORKBENCH", &table, &mut settings);
    Ok(settings)
}

fn flatten(prefix: &str, table: &toml::Table, settings: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let name = format!("{prefix}_{}", key(name));
        match value {
            toml::Value::Table(section) => flatten(&name, section, settings),
            toml::Value::String(text) => {
                settings.insert(name, text.clone());
            }
            toml::Value::Array(list) => {
                let words: Vec<_> = list.iter().filter_map(toml::Value::as_str).collect();
                settings.insert(name, words.join(","));
            }
            toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_) => {
                settings.insert(name, value.to_string());
            }
        }
    }
}

/// Settings not yet looked at; what is left at the end is a spelling mistake.
struct Settings(BTreeMap<String, String>);

impl Settings {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &str,
        problem: &str,
    ) -> Result<Option<T>, ConfigError> {
        self.take(name)
            .map(|text| text.parse().map_err(|_| wrong(name, problem)))
            .transpose()
    }

    fn list(&mut self, name: &str) -> Vec<String> {
        let text = self.take(name).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Hosts as `name`, `name:port` or `http://name:port`; what is not said to be http is https.
    fn hosts(&mut self, name: &str) -> Result<Vec<Url>, ConfigError> {
        let read = |text: String| {
            let url = if text.contains("://") {
                Url::parse(&text)
            } else {
                Url::parse(&format!("https://{text}"))
            };
            url.ok()
                .filter(|url| {
                    matches!(url.scheme(), "http" | "https")
                        && url.path() == "/"
                        && url.query().is_none()
                        && url.fragment().is_none()
                        && url.username().is_empty()
                })
                .ok_or_else(|| {
                    let problem = "is not a list of hosts such as sentry.lan, 10.0.0.5:9000 or http://sentry.lan:9000";
                    wrong(name, problem)
                })
        };
        self.list(name).into_iter().map(read).collect()
    }

    fn secret(&mut self, name: &str) -> Result<Option<SecretText>, ConfigError> {
        let file = format!("{name}_FILE");
        match (self.take(name), self.take(&file)) {
            (Some(_), Some(_)) => Err(wrong(name, format!("and {file} are both set; keep one"))),
            (Some(text), None) => Ok(Some(SecretText::Inline(text.into()))),
            (None, Some(path)) => {
                let secret = SecretText::File(path.into());
                secret.read(name)?;
                Ok(Some(secret))
            }
            (None, None) => Ok(None),
        }
    }

    /// The ids named by variables `prefix<ID>suffix`, in lower case.
    fn ids(&self, prefix: &str, suffixes: &[&str]) -> Vec<String> {
        let mut ids: Vec<String> = self
            .0
            .keys()
            .filter_map(|name| {
                let rest = name.strip_prefix(prefix)?;
                suffixes.iter().find_map(|suffix| rest.strip_suffix(suffix))
            })
            .map(str::to_ascii_lowercase)
            .collect();
        ids.dedup();
        ids
    }

    fn apps(&mut self) -> Result<BTreeMap<String, AppCredentials>, ConfigError> {
        let mut apps = BTreeMap::new();
        let suffixes = [
            "_CLIENT_ID",
            "_CLIENT_SECRET",
            "_CLIENT_SECRET_FILE",
            "_TENANT",
        ];
        for id in self.ids("WORKBENCH_APP_", &suffixes) {
            let name = format!("WORKBENCH_APP_{}_CLIENT_ID", key(&id));
            let secret_name = format!("WORKBENCH_APP_{}_CLIENT_SECRET", key(&id));
            let client_id = self.take(&name);
            let tenant_name = format!("WORKBENCH_APP_{}_TENANT", key(&id));
            let tenant = self.take(&tenant_name);
            match (client_id, self.secret(&secret_name)?) {
                (Some(client_id), Some(client_secret)) => {
                    apps.insert(
                        id,
                        AppCredentials {
                            client_id,
                            client_secret,
                            tenant,
                        },
                    );
                }
                (Some(_), None) => {
                    return Err(wrong(&secret_name, "is missing beside the client id"));
                }
                (None, Some(_)) => return Err(wrong(&name, "is missing beside the client secret")),
                (None, None) if tenant.is_some() => {
                    return Err(wrong(&tenant_name, "is set without the app's client id"));
                }
                (None, None) => {}
            }
        }
        Ok(apps)
    }

    fn providers(&mut self) -> Result<BTreeMap<String, ProviderSettings>, ConfigError> {
        let mut providers = BTreeMap::new();
        let suffixes = ["_API_URL", "_AUTH_URL", "_API_KEY", "_API_KEY_FILE"];
        for id in self.ids("WORKBENCH_PROVIDER_", &suffixes) {
            let mut url = |kind: &str| {
                let name = format!("WORKBENCH_PROVIDER_{}_{kind}_URL", key(&id));
                let url: Option<Url> = self.parsed(&name, "is not a URL")?;
                match url {
                    Some(url) if url.cannot_be_a_base() => {
                        Err(wrong(&name, "is not a web address"))
                    }
                    url => Ok(url),
                }
            };
            let (api_url, auth_url) = (url("API")?, url("AUTH")?);
            let api_key = self.secret(&format!("WORKBENCH_PROVIDER_{}_API_KEY", key(&id)))?;
            let settings = ProviderSettings {
                api_url,
                auth_url,
                api_key,
            };
            providers.insert(id, settings);
        }
        Ok(providers)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_settings(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn the_defaults_are_a_loopback_server() {
        let config = load(&[]).unwrap();
        assert_eq!(
            config.public_url().unwrap().as_str(),
            "http://127.0.0.1:8080/"
        );
        assert_eq!(config.data_dir, Path::new("data"));
    }

    #[test]
    fn wrong_settings_are_named_and_secrets_are_not_shown() {
        for (pairs, expected) in [
            (
                vec![("WORKBENCH_LISTEN", "8080")],
                "WORKBENCH_LISTEN is not an address such as 127.0.0.1:8080",
            ),
            (
                vec![("WORKBENCH_PUBLIC_URL", "http://tools.example.com")],
                "WORKBENCH_PUBLIC_URL must be https, or http on this machine only",
            ),
            (
                vec![("WORKBENCH_LISTN", "x")],
                "WORKBENCH_LISTN is not a setting of workbench-mcp",
            ),
            (
                vec![
                    ("WORKBENCH_SECRET_KEYS", "hidden"),
                    ("WORKBENCH_SECRET_KEYS_FILE", "/nowhere"),
                ],
                "WORKBENCH_SECRET_KEYS and WORKBENCH_SECRET_KEYS_FILE are both set; keep one",
            ),
            (
                vec![("WORKBENCH_APP_GITHUB_CLIENT_SECRET", "hidden")],
                "WORKBENCH_APP_GITHUB_CLIENT_ID is missing beside the client secret",
            ),
            (
                vec![("WORKBENCH_REGISTRATION", "closed")],
                "WORKBENCH_REGISTRATION is neither `open` nor `off`",
            ),
            (
                vec![("WORKBENCH_PRIVATE_PROVIDER_HOSTS", "a.lan,b.lan/path")],
                "WORKBENCH_PRIVATE_PROVIDER_HOSTS is not a list of hosts such as sentry.lan, 10.0.0.5:9000 or http://sentry.lan:9000",
            ),
            (
                vec![("WORKBENCH_PROVIDER_GITHUB_API_URL", "nope")],
                "WORKBENCH_PROVIDER_GITHUB_API_URL is not a URL",
            ),
        ] {
            assert_eq!(load(&pairs).unwrap_err().to_string(), expected);
        }
        let config = load(&[
            ("WORKBENCH_SECRET_KEYS", "hidden"),
            ("WORKBENCH_PROVIDER_HEALTH_OPENFDA_API_KEY", "hidden"),
        ])
        .unwrap();
        assert!(config.providers["health_openfda"].api_key.is_some());
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn a_file_holds_the_same_names_in_sections() {
        let table = toml::from_str(
            "listen = '0.0.0.0:80'\nallowed_origins = ['https://a.test', 'https://b.test']\n\
             [app.github]\nclient_id = 'x'\nclient_secret = 'y'\n[provider.github]\napi_url = 'https://ghe.test/api/v3'",
        )
        .unwrap();
        let mut settings = BTreeMap::new();
        flatten("WORKBENCH", &table, &mut settings);
        let config = Config::from_settings(settings).unwrap();
        assert_eq!(config.apps["github"].client_id, "x");
        assert_eq!(
            config.providers["github"]
                .api_url
                .as_ref()
                .unwrap()
                .as_str(),
            "https://ghe.test/api/v3"
        );
        assert_eq!(config.allowed_origins, ["https://a.test", "https://b.test"]);
        assert!(
            config
                .public_url()
                .unwrap_err()
                .to_string()
                .starts_with("WORKBENCH_PUBLIC_URL must be set")
        );
    }
}
