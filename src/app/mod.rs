//! The composition root: from settings to a running product, and back down in order.

mod server;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::approvals::{self, Approvals};
use crate::audit::{self, AuditKeys, AuditLog, AuditWriter, Signer, VerifyingKey};
use crate::auth::server::{self as door, AuthorizationServer};
use crate::auth::{self, Auth};
use crate::calls::{self, Calls};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::config::{Config, Network, SecretText};
use crate::connect::{self, Connections, Servers, Site, Sites};
use crate::fetch::Fetcher;
use crate::ids::{CallId, OrgId};
use crate::integrations;
use crate::jobs::Jobs;
use crate::keys;
use crate::kit::client::Bases;
use crate::kit::integration::Provider;
use crate::links::Links;
use crate::mcp;
use crate::rounds::Rounds;
use crate::rulebook::Rulebook;
use crate::store::{DatabaseUrl, Store};
use crate::system::{self, System};
use crate::tracking::{self, MailTracking};
use crate::vault::{self, KeyRing, Mac, Secrets, Vault};
use crate::web::{self, Web};

/// How long calls that are under way may take when the process is told to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// Everything, built. What a command does not need costs it nothing: background jobs start with [`App::serve`].
pub struct App {
    /// Rows.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Secrets at rest.
    pub vault: Vault,
    /// The log.
    pub audit: AuditLog,
    /// People.
    pub auth: Auth,
    /// Signing MCP clients in.
    pub server: AuthorizationServer,
    /// Accounts.
    pub connections: Connections,
    /// What the organization allows.
    pub rulebook: Rulebook,
    /// Opens and clicks of sent mail.
    pub tracking: MailTracking,
    /// The call path.
    pub calls: Calls,
    /// The installation.
    pub system: System,
    /// News.
    pub changes: Changes,
    /// Our own addresses.
    pub links: Links,
    /// The one organization.
    pub org: OrgId,
    /// The MCP face.
    pub mcp: mcp::Server,
    writer: AuditWriter,
    tasks: TaskTracker,
    closing: CancellationToken,
    owner: String,
    rounds: Arc<Rounds>,
    origins: Vec<String>,
    proxies: Vec<Network>,
}

/// The keys a process works with.
struct Keys {
    ring: KeyRing,
    secrets: Secrets,
    signer: vault::Signer,
}

impl App {
    /// Builds everything from the settings: opens and migrates the database, loads or makes the keys.
    #[expect(
        clippy::too_many_lines,
        reason = "every part once, in the order of their needs"
    )]
    pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let store = migrated_store(config, &clock).await?;
        let now = clock.now();
        let org = store.organization(now).await?.id;
        let keys = Keys::read(config, store.keys().await?.is_empty())?;
        let vault = Vault::new(keys.ring);
        keys::open(&store, &vault, org, now).await?;
        let signer = Arc::new(keys.signer);
        let audit_keys = AuditKeys {
            hmac: *keys.secrets.keys("audit-digest")[0].1,
            signer: Some(checkpoint_signer(&signer)?),
        };
        let (audit, writer) = AuditLog::start(store.clone(), clock.clone(), audit_keys).await?;
        let links = Links::new(config.public_url()?);
        let changes = Changes::open(store.clone()).await?;
        let owner = CallId::new(now).uuid().simple().to_string();
        let connections = Connections::new(connect::Parts {
            store: store.clone(),
            clock: clock.clone(),
            vault: vault.clone(),
            audit: audit.clone(),
            links: links.clone(),
            changes: changes.clone(),
            sites: sites(config)?,
            servers: Servers::new(&config.private_provider_hosts),
            owner: owner.clone(),
        })?;
        let rulebook = Rulebook::new(store.clone(), clock.clone(), audit.clone(), changes.clone());
        let tracking = MailTracking::new(tracking::Parts {
            store: store.clone(),
            clock: clock.clone(),
            rulebook: rulebook.clone(),
            links: links.clone(),
            mac: keys.secrets.mac("tracked-mail"),
            org,
        });
        let calls = Calls::new(calls::Parts {
            store: store.clone(),
            clock: clock.clone(),
            audit: audit.clone(),
            connections: connections.clone(),
            rulebook: rulebook.clone(),
            tracking: tracking.clone(),
            changes: changes.clone(),
            links: links.clone(),
            cursors: keys.secrets.mac("cursor"),
            digests: keys.secrets.mac("arguments"),
            vault: vault.clone(),
            approvals: Approvals::new(approvals::Parts {
                store: store.clone(),
                clock: clock.clone(),
                vault: vault.clone(),
                audit: audit.clone(),
                changes: changes.clone(),
                digests: keys.secrets.mac("arguments"),
            }),
        });
        let forms = keys.secrets.mac("form");
        let (auth, server) = doors(config, &store, &clock, &audit, org, &links, forms)?;
        let rounds = Arc::new(Rounds::default());
        let system = System::new(system::Parts {
            store: store.clone(),
            clock: clock.clone(),
            vault: vault.clone(),
            audit: audit.clone(),
            org,
            rounds: Arc::clone(&rounds),
        });
        let closing = CancellationToken::new();
        let mcp = mcp::Server::new(mcp::Options {
            calls: calls.clone(),
            links: links.clone(),
            clock: clock.clone(),
            state_keys: keys.secrets.keys("request-state"),
            store: store.clone(),
            hosts: vec![config.listen.to_string()],
            origins: config.allowed_origins.clone(),
            most_tools: config.max_listed_tools,
            still_allowed: {
                let auth = auth.clone();
                Arc::new(move |caller| {
                    let auth = auth.clone();
                    Box::pin(async move { auth.still_holds(&caller).await })
                })
            },
            closing: closing.clone(),
        })?;
        let origins = config.allowed_origins.clone();
        let tasks = TaskTracker::new();
        Ok(Self {
            store,
            clock,
            vault,
            audit,
            auth,
            server,
            connections,
            rulebook,
            tracking,
            calls,
            system,
            changes,
            links,
            org,
            mcp,
            writer,
            tasks,
            closing,
            owner,
            rounds,
            origins,
            proxies: config.trusted_proxies.clone(),
        })
    }

    /// The background jobs of this process.
    pub fn jobs(&self) -> Jobs {
        Jobs {
            store: self.store.clone(),
            clock: self.clock.clone(),
            vault: self.vault.clone(),
            audit: self.audit.clone(),
            auth: self.auth.clone(),
            server: self.server.clone(),
            connections: self.connections.clone(),
            calls: self.calls.clone(),
            changes: self.changes.clone(),
            owner: self.owner.clone(),
            rounds: Arc::clone(&self.rounds),
        }
    }

    /// The product's routes.
    pub fn router(
        &self,
        metrics: Option<metrics_exporter_prometheus::PrometheusHandle>,
    ) -> axum::Router {
        let store = self.store.clone();
        web::router(Web {
            auth: self.auth.clone(),
            server: self.server.clone(),
            connections: self.connections.clone(),
            audit: self.audit.clone(),
            rulebook: self.rulebook.clone(),
            system: self.system.clone(),
            tracking: self.tracking.clone(),
            calls: self.calls.clone(),
            links: self.links.clone(),
            mcp: self.mcp.clone(),
            ready: Arc::new(move || {
                let store = store.clone();
                Box::pin(async move { store.ping().await.is_ok() })
            }),
            metrics,
            origins: self.origins.clone(),
            proxies: self.proxies.clone(),
        })
    }

    /// Starts the background jobs and serves HTTP until `stop` is cancelled.
    pub async fn serve(
        &self,
        listener: TcpListener,
        metrics: Option<metrics_exporter_prometheus::PrometheusHandle>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        self.jobs().start(&self.tasks, &self.closing);
        server::serve(listener, self.router(metrics), stop, &self.closing, DRAIN).await;
        Ok(())
    }

    /// Serves HTTP in the background until `stop` is cancelled, without starting the jobs.
    pub fn spawn_pages(&self, listener: TcpListener, stop: CancellationToken) -> JoinHandle<()> {
        let (router, closing) = (self.router(None), self.closing.clone());
        tokio::spawn(async move { server::serve(listener, router, &stop, &closing, DRAIN).await })
    }

    /// Starts the background jobs without serving HTTP.
    pub fn start_jobs(&self) {
        self.jobs().start(&self.tasks, &self.closing);
    }

    /// Stops in order: no new work, then what is under way, then the log, then the database.
    pub async fn stop(self) {
        let jobs = self.jobs();
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        jobs.settle().await;
        self.writer.stop().await;
        self.store.close().await;
    }
}

fn checkpoint_signer(signer: &Arc<vault::Signer>) -> anyhow::Result<Signer> {
    let Ok(public_key) = <[u8; 32]>::try_from(signer.public_key()) else {
        bail!("the audit signing key is unusable")
    };
    let sign = Arc::clone(signer);
    Ok(Signer {
        key: VerifyingKey {
            key_id: signer.id().to_owned(),
            public_key,
        },
        sign: Arc::new(move |message| sign.sign(message)),
        // A line of the log leaves the database's reach wherever logs are shipped.
        publish: Arc::new(|checkpoint| {
            tracing::info!(target: "audit.checkpoint", checkpoint = audit::checkpoint_line(checkpoint), "the audit log stands here");
        }),
        earlier: Vec::new(),
    })
}

/// The database that the settings name, as it is.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let url = database_url(config)?;
    Store::open(&url)
        .await
        .context("the database cannot be opened")
}

fn database_url(config: &Config) -> anyhow::Result<DatabaseUrl> {
    if let Some(url) = &config.database_url {
        return DatabaseUrl::parse(url.expose_secret()).context("WORKBENCH_DATABASE_URL");
    }
    std::fs::create_dir_all(&config.data_dir).with_context(|| {
        format!(
            "WORKBENCH_DATA_DIR {} cannot be made",
            config.data_dir.display()
        )
    })?;
    Ok(DatabaseUrl::sqlite(config.data_dir.join("workbench.db")))
}

/// The database, as this release needs it.
async fn migrated_store(config: &Config, clock: &Clock) -> anyhow::Result<Store> {
    let store = open_store(config).await?.with_clock(clock.clone());
    store
        .migrate()
        .await
        .context("the database cannot be brought up to date")?;
    Ok(store)
}

/// Who lets people and their clients in.
fn doors(
    config: &Config,
    store: &Store,
    clock: &Clock,
    audit: &AuditLog,
    org: OrgId,
    links: &Links,
    forms: Mac,
) -> anyhow::Result<(Auth, AuthorizationServer)> {
    let oidc = config
        .oidc
        .clone()
        .map(|settings| auth::oidc::Provider::new(settings, links.login_callback(), clock.clone()));
    let issuer = config
        .issuer
        .clone()
        .map(|settings| auth::Issuer::new(settings, links.mcp(), clock.clone()));
    let auth = Auth::new(auth::Parts {
        store: store.clone(),
        clock: clock.clone(),
        audit: audit.clone(),
        org,
        forms,
        oidc: oidc.transpose()?,
        issuer: issuer.transpose()?,
    });
    let server = AuthorizationServer::new(door::Parts {
        auth: auth.clone(),
        store: store.clone(),
        clock: clock.clone(),
        audit: audit.clone(),
        org,
        links: links.clone(),
        fetcher: Fetcher::new(&config.private_client_hosts),
        registration: config.registration,
    });
    Ok((auth, server))
}

/// The directory that a setting names for this provider.
fn tenant(provider: &Provider, said: &str) -> anyhow::Result<String> {
    let name = format!("WORKBENCH_APP_{}_TENANT", provider.id.to_ascii_uppercase());
    let oauth = provider.auth.oauth2();
    let Some(directory) = oauth.and_then(|oauth| oauth.directory.as_ref()) else {
        bail!("{name} is set, but {} has no directories", provider.name);
    };
    connect::tenant(directory, said).with_context(|| name)
}

fn sites(config: &Config) -> anyhow::Result<Sites> {
    let is_host = |id: &str| {
        let providers = || integrations::ALL.iter().flat_map(|one| one.providers);
        providers().any(|provider| {
            let host = id
                .strip_prefix(provider.id)
                .and_then(|rest| rest.strip_prefix('_'));
            provider
                .api
                .hosts
                .iter()
                .any(|(name, _)| host == Some(*name))
        })
    };
    let known = |id: &str| {
        integrations::provider(id).is_some()
            || integrations::integration(id).is_some()
            || is_host(id)
    };
    if let Some(id) = config
        .apps
        .keys()
        .chain(config.providers.keys())
        .find(|id| !known(id))
    {
        bail!(
            "a WORKBENCH_APP_… or WORKBENCH_PROVIDER_… setting names `{id}`, which is no integration"
        );
    }
    let mut sites = Vec::new();
    for integration in integrations::ALL {
        for provider in integration.providers {
            let urls = config
                .providers
                .get(provider.id)
                .cloned()
                .unwrap_or_default();
            let host = |name: &str| {
                let settings = config.providers.get(&format!("{}_{name}", provider.id))?;
                settings.api_url.clone()
            };
            let api = Bases::new(&provider.api, urls.api_url.as_ref(), host)
                .context("a provider's base address")?;
            let app = match config
                .apps
                .get(provider.id)
                .or_else(|| config.apps.get(integration.id))
            {
                Some(app) => Some(connect::App {
                    client_id: app.client_id.clone(),
                    client_secret: app.client_secret.read("WORKBENCH_APP_…_CLIENT_SECRET")?,
                }),
                None => None,
            };
            let said = config
                .apps
                .get(provider.id)
                .or_else(|| config.apps.get(integration.id));
            let tenant = match said.and_then(|app| app.tenant.as_deref()) {
                Some(said) => Some(tenant(provider, said)?),
                None => None,
            };
            sites.push(Site {
                tenant,
                integration,
                provider,
                api,
                auth: urls.auth_url,
                app,
                keys: host_keys(config, provider)?,
            });
        }
    }
    Ok(Sites::new(sites))
}

/// The installation's keys at the hosts of an open provider.
fn host_keys(
    config: &Config,
    provider: &'static Provider,
) -> anyhow::Result<Vec<(&'static str, SecretString)>> {
    let rules = provider.auth.open().map_or(&[][..], |open| open.hosts);
    let mut keys = Vec::new();
    for (id, settings) in &config.providers {
        let rest = id.strip_prefix(provider.id);
        let Some((host, key)) = rest.zip(settings.api_key.as_ref()) else {
            continue;
        };
        let host = host.strip_prefix('_').unwrap_or(host);
        let name = format!(
            "WORKBENCH_PROVIDER_{}_API_KEY",
            id.to_ascii_uppercase().replace('-', "_")
        );
        match rules.iter().find(|rule| rule.host == host) {
            Some(rule) if rule.key.is_some() => keys.push((rule.host, key.read(&name)?)),
            _ => bail!("{name} is set, but nothing there takes a key"),
        }
    }
    Ok(keys)
}

impl Keys {
    /// From the settings, else from the data directory, where a first start makes them.
    fn read(config: &Config, fresh: bool) -> anyhow::Result<Self> {
        let read = |setting: &Option<SecretText>,
                    name: &str,
                    file: &str|
         -> anyhow::Result<SecretString> {
            match setting {
                Some(secret) => Ok(secret.read(name)?),
                None => from_data_dir(&config.data_dir, name, file, fresh),
            }
        };
        let ring = read(
            &config.encryption_keys,
            "WORKBENCH_ENCRYPTION_KEYS",
            "encryption.keys",
        )?;
        let secrets = read(&config.secret_keys, "WORKBENCH_SECRET_KEYS", "secret.keys")?;
        let signing = read(
            &config.audit_signing_key,
            "WORKBENCH_AUDIT_SIGNING_KEY",
            "audit-signing.key",
        )?;
        Ok(Self {
            ring: KeyRing::parse(ring.expose_secret()).context("WORKBENCH_ENCRYPTION_KEYS")?,
            secrets: Secrets::parse(secrets.expose_secret()).context("WORKBENCH_SECRET_KEYS")?,
            signer: vault::Signer::parse(signing.expose_secret())
                .context("WORKBENCH_AUDIT_SIGNING_KEY")?,
        })
    }
}

fn from_data_dir(dir: &Path, name: &str, file: &str, fresh: bool) -> anyhow::Result<SecretString> {
    let path = dir.join(file);
    if path.exists() {
        return Ok(SecretText::File(path).read(name)?);
    }
    if !fresh {
        bail!(
            "{name} is not set and {} is gone, but the database was sealed with it; bring it back",
            path.display()
        );
    }
    std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let entry = vault::generate_entry("k1").context("this machine gives no randomness")?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut made = options
        .open(&path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    writeln!(made, "{entry}")?;
    made.sync_all()?;
    tracing::warn!(
        "made {} because {name} is not set; keep a copy of it apart from the database, neither opens without the other",
        path.display()
    );
    Ok(SecretString::from(entry))
}
