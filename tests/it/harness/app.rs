//! The real product on a database of its own, served on loopback, with a sandbox in place of the providers. What tests do
//! with it goes through the faces that people and clients have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;
use workbench_mcp::app::App;
use workbench_mcp::audit::{AuditLog, Entry, Filter};
use workbench_mcp::auth::Auth;
use workbench_mcp::caller::{Role, Scopes};
use workbench_mcp::clock::Clock;
use workbench_mcp::config::Config;
use workbench_mcp::connect::Connections;
use workbench_mcp::ids::OrgId;
use workbench_mcp::integrations;
use workbench_mcp::rulebook::Rulebook;
use workbench_mcp::sandbox::fixtures::Exchange;
use workbench_mcp::sandbox::{
    Command, Control, Fault, Mode, Options, Place, Report, Sandbox, Settings, Tokens,
};
use workbench_mcp::store::{ConnectionRow, Store, UserRow};
use workbench_mcp::tracking::MailTracking;
use workbench_mcp::vault;

use super::database::{Database, sqlite};
use super::http::{Browser, McpClient, Page, Reply, plain};
use super::rows::NOW;

/// The app's name at every provider.
pub const CLIENT_ID: &str = "workbench-tests";
/// Its secret.
pub const CLIENT_SECRET: &str = "tests-client-credential";

/// The keys that every process of one installation shares.
#[derive(Clone)]
pub struct Keys {
    pub encryption: String,
    pub secret: String,
    pub signing: String,
}

impl Keys {
    pub fn new() -> Self {
        Self {
            encryption: key("k1"),
            secret: key("s1"),
            signing: key("a1"),
        }
    }
}

/// An entry of a key setting.
pub fn key(id: &str) -> String {
    vault::generate_entry(id).unwrap()
}

/// What surrounds the product: a database, the providers, time.
pub struct World {
    pub database: Database,
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub keys: Keys,
    /// Settings besides those that every process has.
    pub extra: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl World {
    /// Time stands still at [`NOW`] until the test moves it.
    pub async fn still(database: Database) -> Self {
        Self::new(database, Clock::manual(NOW), Mode::Relaxed).await
    }

    /// As [`World::still`], with a provider that knows exactly these exchanges and each as often as it is listed.
    pub async fn strict(database: Database, provider: &'static str, book: Vec<Exchange>) -> Self {
        let book = Mode::Strict(BTreeMap::from([(provider, book)]));
        Self::new(database, Clock::manual(NOW), book).await
    }

    /// Time runs.
    pub async fn running(database: Database) -> Self {
        Self::new(database, Clock::System, Mode::Relaxed).await
    }

    async fn new(database: Database, clock: Clock, mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options {
            mode,
            clock: clock.clone(),
            ..Options::default()
        };
        Self {
            database,
            sandbox: Sandbox::start(listener, options).unwrap(),
            clock,
            keys: Keys::new(),
            extra: BTreeMap::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The settings of a process that listens there, as its environment.
    pub fn settings(&self, listen: SocketAddr) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::from(
            [
                ("LISTEN", listen.to_string()),
                ("DATA_DIR", self.folder.path().display().to_string()),
                ("DATABASE_URL", self.database.admin.clone()),
                ("ENCRYPTION_KEYS", self.keys.encryption.clone()),
                ("SECRET_KEYS", self.keys.secret.clone()),
                ("AUDIT_SIGNING_KEY", self.keys.signing.clone()),
                ("LOG", "warn".to_owned()),
            ]
            .map(|(name, value)| (format!("WORKBENCH_{name}"), value)),
        );
        let providers = integrations::ALL.iter().flat_map(|known| known.providers);
        for provider in providers {
            let id = provider.id.to_ascii_uppercase();
            let base = self.sandbox.base(provider.id).to_string();
            if provider.auth.open().is_some() {
                settings.insert(format!("WORKBENCH_PROVIDER_{id}_API_URL"), base);
                continue;
            }
            for (name, value) in [
                (format!("WORKBENCH_PROVIDER_{id}_API_URL"), base.clone()),
                (format!("WORKBENCH_PROVIDER_{id}_AUTH_URL"), base),
                (
                    format!("WORKBENCH_APP_{id}_CLIENT_ID"),
                    CLIENT_ID.to_owned(),
                ),
                (
                    format!("WORKBENCH_APP_{id}_CLIENT_SECRET"),
                    CLIENT_SECRET.to_owned(),
                ),
            ] {
                settings.insert(name, value);
            }
        }
        settings.extend(self.extra.clone());
        settings
    }

    /// A process of this installation, in this process.
    pub async fn app(&self) -> TestApp {
        self.try_app().await.unwrap()
    }

    pub async fn try_app(&self) -> anyhow::Result<TestApp> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let config = Config::load(self.settings(address), None)?;
        let app = App::start(&config, self.clock.clone()).await?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let rulebook = app.rulebook.clone();
        let tracking = app.tracking.clone();
        let (store, auth, audit, connections, org) = (
            app.store.clone(),
            app.auth.clone(),
            app.audit.clone(),
            app.connections.clone(),
            app.org,
        );
        let serving = tokio::spawn(async move {
            app.serve(listener, None, &stopped).await.unwrap();
            app.stop().await;
        });
        Ok(TestApp {
            url: format!("http://{address}"),
            store,
            auth,
            audit,
            connections,
            rulebook,
            tracking,
            org,
            stop,
            serving,
        })
    }

    pub fn control(&self) -> Control {
        self.sandbox.control()
    }

    pub fn tell(&self, provider: &str, command: Command) {
        self.control().tell(provider, command).unwrap();
    }

    pub fn misbehave(&self, provider: &str, at: Place, times: u32, fault: Fault) {
        self.control()
            .misbehave(provider, at, times, fault)
            .unwrap();
    }

    pub fn set(&self, provider: &str, settings: Settings) {
        self.tell(provider, Command::Set(settings));
    }

    pub fn report(&self, provider: &str) -> Report {
        self.control().report(provider).unwrap()
    }

    /// Calls of the token endpoint to refresh.
    pub fn refresh_calls(&self, provider: &str) -> u64 {
        let calls = self.report(provider).counters.token_calls;
        calls.get("refresh_token").copied().unwrap_or(0)
    }

    /// Calls of the API.
    pub fn api_calls(&self, provider: &str) -> u64 {
        self.report(provider).counters.api_calls.values().sum()
    }

    /// Consents without a browser.
    pub fn mint(&self, provider: &str, account: &str, scopes: &[&str]) -> Tokens {
        self.control()
            .mint(provider, account, CLIENT_ID, scopes)
            .unwrap()
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// A world of one process on SQLite in which time stands still.
pub async fn still() -> (World, TestApp) {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    (world, app)
}

/// A serving process. Dropping it stops it.
pub struct TestApp {
    pub url: String,
    pub store: Store,
    pub auth: Auth,
    pub audit: AuditLog,
    pub connections: Connections,
    pub rulebook: Rulebook,
    pub tracking: MailTracking,
    pub org: OrgId,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Somebody with a token, a client and a browser.
#[derive(Clone)]
pub struct Person {
    pub row: UserRow,
    pub mcp: McpClient,
    pub browser: Browser,
    pub base: String,
}

impl TestApp {
    /// Ends it in order.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let serving = std::mem::replace(&mut self.serving, tokio::spawn(async {}));
        serving.await.unwrap();
    }

    /// Adds somebody.
    pub async fn person(&self, email: &str) -> Person {
        let row = match self.auth.add_user(self.org, email, Role::Member).await {
            Ok(row) => row,
            Err(_) => self.auth.person(self.org, email).await.unwrap(),
        };
        let token = self.token(&row, None, false).await;
        Person {
            row,
            mcp: self.mcp(&token),
            browser: Browser::new(),
            base: self.url.clone(),
        }
    }

    pub async fn token(&self, row: &UserRow, life: Option<Duration>, read_only: bool) -> String {
        let scopes = if read_only {
            Scopes::READ_ONLY
        } else {
            Scopes::ALL
        };
        let token = self.auth.create_token(row, "tests", life, scopes).await;
        token.unwrap().secret.expose_secret().to_owned()
    }

    /// A client with this token.
    pub fn mcp(&self, token: &str) -> McpClient {
        McpClient {
            http: plain(),
            endpoint: format!("{}/mcp", self.url),
            token: token.to_owned(),
        }
    }

    /// The person, as a client of this process.
    pub fn as_seen_here(&self, person: &Person) -> Person {
        Person {
            mcp: self.mcp(&person.mcp.token),
            base: self.url.clone(),
            ..person.clone()
        }
    }

    /// Completed entries of the audit log, oldest first.
    pub async fn log(&self, filter: Filter) -> Vec<Entry> {
        let filter = Filter {
            limit: 1_000,
            ..filter
        };
        let mut entries = self.audit.list(self.org, &filter).await.unwrap();
        entries.reverse();
        entries
    }

    /// Completed entries of this kind.
    pub async fn logged(&self, kind: &str) -> Vec<Entry> {
        self.log(Filter {
            kind: Some(kind.to_owned()),
            ..Filter::default()
        })
        .await
    }

    /// The hash chain holds.
    pub async fn verify(&self) {
        self.audit
            .verify(Some(self.org), &[], |_| {})
            .await
            .unwrap();
    }

    /// The person's connections, as stored.
    pub async fn rows(&self, person: &Person) -> Vec<ConnectionRow> {
        self.store.connections_of(person.row.id).await.unwrap()
    }

    /// The person's only connection, as stored.
    pub async fn row(&self, person: &Person) -> ConnectionRow {
        let mut rows = self.rows(person).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }
}

impl Person {
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Signs the browser in with the token.
    pub async fn sign_in(&self) -> Page {
        let form = [("token", self.mcp.token.as_str()), ("next", "/connections")];
        let page = self.browser.post(self.at("/login"), &form).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        self.browser.follow(page).await
    }

    /// A page of ours for somebody who is signed in; signs in when a session has ended or never began.
    async fn page(&self, path: &str) -> Page {
        let page = self.browser.get(self.at(path)).await;
        let page = if page.status == StatusCode::SEE_OTHER {
            self.sign_in().await;
            self.browser.get(self.at(path)).await
        } else {
            page
        };
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        page
    }

    /// Clicks `Connect` on our page; answers the provider's consent page's address.
    pub async fn begin(&self, path: &str) -> Url {
        let ours = self.page(path).await;
        let csrf = ours.field("csrf");
        let mut form = vec![("csrf", csrf.as_str())];
        let reconnect = super::http::between(&ours.text, "name=\"reconnect\" value=\"", "\"");
        if let Some(id) = &reconnect {
            form.push(("reconnect", id));
        }
        let page = self.browser.post(ours.url.as_str(), &form).await;
        let to = page.location();
        to.unwrap_or_else(|| panic!("{}: {}", page.status, page.text))
    }

    /// Decides at the provider; answers where it sends the browser back to.
    pub async fn decide(&self, consent: &Url, form: &[(&str, &str)]) -> Url {
        let page = self.browser.post(consent.as_str(), form).await;
        let to = page.location();
        to.unwrap_or_else(|| panic!("{}: {}", page.status, page.text))
    }

    pub async fn approve(&self, consent: &Url, account: &str) -> Url {
        let form = [("decision", "approve"), ("account", account)];
        self.decide(consent, &form).await
    }

    /// Connects an account through the consent page; answers the last page.
    pub async fn connect(&self, integration: &str, account: &str) -> Page {
        let page = self
            .connect_at(&format!("/connect/{integration}"), account)
            .await;
        assert!(page.text.contains("is connected"), "{}", page.text);
        page
    }

    /// As [`Person::connect`], from this page of ours, however it ends.
    pub async fn connect_at(&self, path: &str, account: &str) -> Page {
        let consent = self.begin(path).await;
        let back = self.approve(&consent, account).await;
        let page = self.browser.get(back.as_str()).await;
        self.browser.follow(page).await
    }

    /// Disconnects on the page of accounts; answers what the page says.
    pub async fn disconnect(&self, id: &str) -> Page {
        let csrf = self.page("/connect/github").await.field("csrf");
        let path = self.at(&format!("/connections/{id}/disconnect"));
        self.browser.post(path, &[("csrf", &csrf)]).await
    }

    /// A read that says whose account answered.
    pub async fn viewer(&self) -> Reply {
        self.mcp.call("github_get_viewer", json!({})).await
    }

    /// A read of one request.
    pub async fn issues(&self) -> Reply {
        self.mcp
            .call("github_list_issues", json!({ "repo": "acme/site" }))
            .await
    }
}

/// Waits until the condition holds; a test that would wait for ever fails after twenty seconds.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Runs a test on every database there is.
pub async fn for_each_world(running: bool, test: impl AsyncFn(World)) {
    super::database::for_each_database(async |database| {
        let world = if running {
            World::running(database).await
        } else {
            World::still(database).await
        };
        test(world).await;
    })
    .await;
}
