//! Outbound: a person's connection to a provider, from consent to revocation.
//!
//! The only module besides [`crate::kit::client`] in which a provider's credential exists in the clear, and the only one
//! that talks to token endpoints. It knows nothing of MCP or HTML, and nothing of who may use a tool: that is `policy`.

mod apps;
mod directory;
mod error;
mod flow;
mod flow_error;
mod import;
mod keep;
mod life;
mod oauth;
mod pace;
mod pasted;
mod refresh;
mod rejected;
mod reseal;
mod revoke;
mod road;
mod secret;
mod servers;
mod sites;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Map;

use crate::audit::{Actor, AdminEvent, AuditLog};
use crate::caller::Caller;
use crate::changes::{Changes, Heard, REMEMBERED};
use crate::clock::{Clock, Timestamp};
use crate::fetch::Resolver;
use crate::ids::{ConnectionId, UserId};
use crate::kit::client::{ProviderClient, Shared};
use crate::kit::integration::{Account, Integration, OAuth2, Provider};
use crate::kit::tool::{Granted, Needs};
use crate::links::Links;
use crate::store::{ConnectionRow, Records, Status, Store, StoreError};
use crate::turns::Turns;
use crate::vault::{Vault, VaultError};

pub use apps::{AppSource, Checked, Health, pasted};
pub use directory::{Consented, NoTenant, Wanted, is_admins, tenant};
pub use error::ConnectError;
pub use flow::{Callback, Ended, Finished, Outcome, Started};
pub use flow_error::FlowError;
pub use import::Import;
pub use oauth::App;
pub use pasted::{Correction, Field, Pasted};
pub use reseal::{load_data_keys, reseal, sealed_under};
pub use revoke::{Receipt, Revoked, Synced};
pub use servers::{ServerError, Servers};
pub use sites::{Site, Sites};

use pace::Pace;
use secret::Tokens;

/// How many people's connections are remembered.
const PEOPLE: u64 = 10_000;
/// An access token with less life than this is refreshed before it is used.
const SKEW: Duration = Duration::from_mins(1);
/// What the account of a provider that is open to everyone is called.
const PUBLIC: &str = "public";

/// The connections of everyone. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    vault: Vault,
    audit: AuditLog,
    links: Links,
    changes: Changes,
    http: reqwest::Client,
    sites: Sites,
    servers: Servers,
    /// What everybody shares of each open provider.
    shared: HashMap<&'static str, Shared>,
    people: moka::sync::Cache<UserId, Arc<Vec<Arc<ConnectionRow>>>>,
    turns: Turns,
    refreshes: refresh::Flights,
    used: Mutex<HashMap<ConnectionId, Timestamp>>,
    pace: Pace,
    /// Names this process in refresh leases.
    owner: String,
}

/// What [`Connections::new`] is made of.
pub struct Parts {
    /// Rows.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Secrets at rest.
    pub vault: Vault,
    /// The log of what happens to connections.
    pub audit: AuditLog,
    /// Our own addresses.
    pub links: Links,
    /// News of other processes.
    pub changes: Changes,
    /// Where the providers are and with which app we come.
    pub sites: Sites,
    /// Which servers of people's own may be asked.
    pub servers: Servers,
    /// A name of this process, unique among replicas.
    pub owner: String,
}

/// An account that a call may use now.
pub struct Opened {
    /// Which connection it is; `None` where the integration is open to everyone.
    pub id: Option<ConnectionId>,
    /// The provider it is at.
    pub provider: &'static Provider,
    /// Whose account it is at the provider.
    pub account: Account,
    /// What was granted.
    pub granted: Granted,
    /// The road to the provider, with the credential inside.
    pub client: ProviderClient,
    /// What integrations keep between calls.
    pub records: Records,
}

impl Connections {
    /// Connections over these parts. Fails only when the machine's certificates cannot be read.
    pub fn new(parts: Parts) -> Result<Self, ConnectError> {
        let http = http_client(None)?;
        let shared = parts.sites.iter().filter_map(|site| {
            let open = site.provider.auth.open()?;
            let shared = Shared::new(open, &site.keys, parts.clock.clone());
            Some((site.provider.id, shared))
        });
        let shared = shared.collect();
        Ok(Self {
            inner: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                vault: parts.vault,
                audit: parts.audit,
                links: parts.links,
                changes: parts.changes,
                http,
                shared,
                sites: parts.sites,
                servers: parts.servers,
                people: moka::sync::Cache::builder()
                    .max_capacity(PEOPLE)
                    .time_to_live(REMEMBERED)
                    .build(),
                turns: Turns::default(),
                refreshes: refresh::Flights::default(),
                used: Mutex::default(),
                pace: Pace::default(),
                owner: parts.owner,
            }),
        })
    }

    /// Forgets what a change made old. Runs until the future is dropped.
    pub async fn follow(&self, mut heard: tokio::sync::broadcast::Receiver<Heard>) {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match heard.recv().await {
                Ok(Heard::Change(change)) if change.topic == "connection" => match change.user_id {
                    Some(user) => self.inner.people.invalidate(&user),
                    None => self.inner.people.invalidate_all(),
                },
                Ok(Heard::Change(_)) => {}
                Ok(Heard::Everything) | Err(RecvError::Lagged(_)) => {
                    self.inner.people.invalidate_all();
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// The person's connections, oldest first. Holds no readable secret.
    pub async fn of(&self, user: UserId) -> Result<Arc<Vec<Arc<ConnectionRow>>>, StoreError> {
        if let Some(rows) = self.inner.people.get(&user) {
            return Ok(rows);
        }
        let _turn = self.inner.turns.of(&user).await;
        if let Some(rows) = self.inner.people.get(&user) {
            return Ok(rows);
        }
        let rows = self.inner.store.connections_of(user).await?;
        let rows = Arc::new(rows.into_iter().map(Arc::new).collect::<Vec<_>>());
        self.inner.people.insert(user, Arc::clone(&rows));
        Ok(rows)
    }

    /// Forgets what is remembered of this person; the next look is at the store.
    pub fn forget(&self, user: UserId) {
        self.inner.people.invalidate(&user);
    }

    /// Forgets what is remembered of this person and lets everyone else hear of a change.
    fn changed(&self, user: UserId) {
        self.forget(user);
        self.inner.changes.nudge();
    }

    /// The account of `integration` that `wanted` names, or the only one; ready to be used, refreshed when it must be.
    pub async fn open(
        &self,
        caller: &Caller,
        integration: &'static Integration,
        wanted: Option<&str>,
        needs: Needs,
    ) -> Result<Opened, ConnectError> {
        if let Some((provider, _)) = integration.open() {
            return self.open_to_all(caller, provider);
        }
        let rows = self.of(caller.user).await?;
        let row = choose(&rows, integration, wanted)?;
        match row.status {
            Status::Connected | Status::Error => {}
            Status::Expired | Status::Disabled => {
                return Err(ConnectError::Dead {
                    integration,
                    id: row.id,
                    account: handle(&row),
                    status: row.status,
                });
            }
        }
        let missing = self.granted(&row).missing(needs);
        if !missing.is_empty() {
            return Err(ConnectError::Scope {
                integration,
                id: row.id,
                account: handle(&row),
                missing: missing.into_iter().map(ToOwned::to_owned).collect(),
            });
        }
        let row = self.fresh(row, integration).await?;
        self.opened(&row, integration).await
    }

    /// A provider that is open to everyone, for this person.
    fn open_to_all(
        &self,
        caller: &Caller,
        provider: &'static Provider,
    ) -> Result<Opened, ConnectError> {
        let (_, site) = self.site(provider.id)?;
        let unknown = || ConnectError::UnknownProvider(provider.id.to_owned());
        let shared = self.inner.shared.get(provider.id).ok_or_else(unknown)?;
        let client = ProviderClient::open(
            self.inner.http.clone(),
            &provider.api,
            site.api.clone(),
            shared.clone(),
            caller.user,
        );
        Ok(Opened {
            id: None,
            provider,
            account: Account {
                id: PUBLIC.to_owned(),
                label: PUBLIC.to_owned(),
                handle: PUBLIC.to_owned(),
                details: Map::new(),
            },
            granted: Granted::Unknown,
            client,
            records: Records::none(),
        })
    }

    /// The scopes of a connection, with everything they imply.
    pub fn granted(&self, row: &ConnectionRow) -> Granted {
        let oauth = self
            .inner
            .sites
            .get(&row.provider)
            .and_then(|site| site.provider.auth.oauth2());
        granted(row, oauth)
    }

    /// The client of a connection whose token is fresh.
    async fn opened(
        &self,
        row: &Arc<ConnectionRow>,
        integration: &'static Integration,
    ) -> Result<Opened, ConnectError> {
        let (provider, site) = self.site(&row.provider)?;
        let tokens = self.unseal(row, integration).await?;
        let rejected = self.rejected(row.id, integration);
        let client = self.road(site, row, &tokens, Some(rejected))?;
        self.used(row.id);
        Ok(Opened {
            id: Some(row.id),
            provider,
            account: account(row),
            granted: granted(row, provider.auth.oauth2()),
            client,
            records: Records::new(self.inner.store.clone(), row.id, self.inner.clock.clone()),
        })
    }

    fn site(&self, provider: &str) -> Result<(&'static Provider, &Site), ConnectError> {
        self.inner
            .sites
            .get(provider)
            .map(|site| (site.provider, site))
            .ok_or_else(|| ConnectError::UnknownProvider(provider.to_owned()))
    }

    /// The credential of a connection. One that was moved here or altered expires the connection: it is never sent.
    async fn unseal(
        &self,
        row: &ConnectionRow,
        integration: &'static Integration,
    ) -> Result<Tokens, ConnectError> {
        let mut opened = Tokens::open(&self.inner.vault, row);
        if let Err(ConnectError::Vault(VaultError::UnknownDataKey(id))) = opened {
            // Another replica may have made the key a moment ago. One that nobody made is a forgery.
            load_data_keys(&self.inner.store, &self.inner.vault).await?;
            opened = Tokens::open(&self.inner.vault, row);
            if matches!(&opened, Err(ConnectError::Vault(VaultError::UnknownDataKey(still))) if *still == id)
            {
                opened = Err(VaultError::Integrity.into());
            }
        }
        match opened {
            Err(ConnectError::Vault(VaultError::Integrity)) => {
                tracing::error!(connection.id = %row.id, "a stored credential was altered or moved");
                self.expire(row, "integrity").await?;
                Err(refresh::dead(row, integration, Status::Expired))
            }
            opened => opened.inspect_err(|error| {
                tracing::error!(connection.id = %row.id, error = %error, "a stored credential cannot be opened");
            }),
        }
    }

    /// Gives an account of this person another name, or takes it away. False when they have no such connection; an error
    /// when another account of the integration has the name.
    pub async fn rename(
        &self,
        user: UserId,
        id: ConnectionId,
        alias: Option<&str>,
    ) -> Result<bool, ConnectError> {
        let Some(row) = self
            .inner
            .store
            .connection(id)
            .await?
            .filter(|row| row.user_id == user)
        else {
            return Ok(false);
        };
        if let Some(alias) = alias {
            let all = self.inner.store.connections_of(user).await?;
            let others = all.iter().filter(|other| other.id != id);
            let mut siblings = others.filter(|other| other.integration == row.integration);
            // `account` would mean both.
            if siblings.any(|other| named(other, alias)) {
                return Err(StoreError::Conflict("alias".to_owned()).into());
            }
        }
        let event = AdminEvent {
            kind: "connection.renamed",
            target: handle(&row).into(),
            integration: Some(&row.integration),
            connection: Some(id),
            detail: serde_json::json!({ "alias": alias }),
            ..AdminEvent::default()
        };
        let owner = Actor::Person { user, grant: None };
        self.inner.audit.record(owner, row.org_id, event).await?;
        let renamed = self.inner.store.rename_connection(id, alias).await?;
        self.changed(user);
        Ok(renamed)
    }

    /// Makes an account of this person the one that is meant when a call names none of its integration, or with `on`
    /// false none. False when they have no such connection.
    pub async fn set_default(
        &self,
        user: UserId,
        id: ConnectionId,
        on: bool,
    ) -> Result<bool, ConnectError> {
        let found = self.inner.store.connection(id).await?;
        let Some(row) = found.filter(|row| row.user_id == user) else {
            return Ok(false);
        };
        let event = AdminEvent {
            kind: "connection.default_changed",
            target: handle(&row).into(),
            integration: Some(&row.integration),
            connection: Some(id),
            detail: serde_json::json!({ "default": on }),
            ..AdminEvent::default()
        };
        let owner = Actor::Person { user, grant: None };
        self.inner.audit.record(owner, row.org_id, event).await?;
        let set = self.inner.store.set_default_connection(id, on).await?;
        self.changed(user);
        Ok(set)
    }

    /// What integrations keep for a connection: documents, and bytes of them.
    pub async fn kept(&self, id: ConnectionId) -> Result<(u64, u64), StoreError> {
        let (store, clock) = (self.inner.store.clone(), self.inner.clock.clone());
        Records::new(store, id, clock).kept().await
    }

    fn used(&self, id: ConnectionId) {
        let now = self.inner.clock.now();
        self.inner
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, now);
    }

    /// Writes down when connections were last used. A job calls it every few seconds, so that a call does not wait for
    /// it.
    pub async fn flush_used(&self) -> Result<(), StoreError> {
        let used = std::mem::take(
            &mut *self
                .inner
                .used
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if used.is_empty() {
            return Ok(());
        }
        self.inner
            .store
            .touch_connections(&used.into_iter().collect::<Vec<_>>())
            .await
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections")
            .field("owner", &self.inner.owner)
            .finish_non_exhaustive()
    }
}

/// The HTTP client of everything that carries a credential: it follows no redirect and uses no proxy by itself, and
/// dials what `resolver` answers, if there is one.
fn http_client(resolver: Option<Arc<Resolver>>) -> Result<reqwest::Client, ConnectError> {
    let mut builder = reqwest::Client::builder();
    if let Some(resolver) = resolver {
        builder = builder.dns_resolver(resolver);
    }
    builder
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_mins(1))
        .user_agent(concat!("workbench-mcp/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ConnectError::Http(error.to_string()))
}

/// The connection that `wanted` names among those of `integration`; never a guess.
fn choose(
    rows: &[Arc<ConnectionRow>],
    integration: &'static Integration,
    wanted: Option<&str>,
) -> Result<Arc<ConnectionRow>, ConnectError> {
    let all: Vec<&Arc<ConnectionRow>> = rows
        .iter()
        .filter(|row| row.integration == integration.id)
        .collect();
    if all.is_empty() {
        return Err(ConnectError::Missing(integration));
    }
    let fits: Vec<&Arc<ConnectionRow>> = match wanted {
        None => all.clone(),
        Some(wanted) => all
            .iter()
            .copied()
            .filter(|row| named(row, wanted))
            .collect(),
    };
    match fits.as_slice() {
        [one] => return Ok(Arc::clone(one)),
        [_, _, ..] if wanted.is_none() => {
            // What the person chose holds even when it is dead: another account would be a guess.
            if let Some(default) = fits.iter().find(|row| row.is_default) {
                return Ok(Arc::clone(default));
            }
            // A dead account beside one live one is no choice for the caller.
            let live: Vec<_> = fits
                .iter()
                .filter(|row| row.status == Status::Connected)
                .collect();
            if let [one] = live.as_slice() {
                return Ok(Arc::clone(one));
            }
        }
        _ => {}
    }
    let choices = all.iter().map(|row| handle(row)).collect();
    Err(match wanted {
        Some(wanted) if fits.is_empty() => ConnectError::NoSuchAccount {
            wanted: wanted.to_owned(),
            choices,
        },
        _ => ConnectError::Ambiguous {
            integration,
            choices,
        },
    })
}

fn named(row: &ConnectionRow, wanted: &str) -> bool {
    let same = |text: &str| text.eq_ignore_ascii_case(wanted);
    same(&row.label)
        || same(&row.subject)
        || row.alias.as_deref().is_some_and(same)
        || row.id.to_string() == wanted
}

/// What addresses and the `account` argument call a connection.
pub fn handle(row: &ConnectionRow) -> String {
    row.alias.clone().unwrap_or_else(|| row.label.clone())
}

fn account(row: &ConnectionRow) -> Account {
    Account {
        id: row.subject.clone(),
        label: row.label.clone(),
        handle: handle(row),
        details: row.details.as_object().cloned().unwrap_or_else(Map::new),
    }
}

/// The scopes of a connection with everything they imply at its provider.
fn granted(row: &ConnectionRow, oauth: Option<&OAuth2>) -> Granted {
    let Some(scopes) = &row.scopes else {
        return Granted::Unknown;
    };
    let mut all = scopes.clone();
    let mut at = 0;
    while let Some(scope) = all.get(at).cloned() {
        let implied = oauth.map_or(&[][..], |oauth| oauth.implied);
        for (_, contained) in implied.iter().filter(|(outer, _)| *outer == scope) {
            for inner in *contained {
                if !all.iter().any(|known| known == inner) {
                    all.push((*inner).to_owned());
                }
            }
        }
        at += 1;
    }
    Granted::Scopes(all)
}
