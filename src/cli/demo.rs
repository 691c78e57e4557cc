//! The newcomer's command: the whole product on an embedded database, with a sandbox in place of the providers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::net::TcpListener;

use super::{output, serving, tour};
use crate::app::App;
use crate::caller::{Role, Scopes};
use crate::clock::Clock;
use crate::config::{AppCredentials, Config, ProviderSettings, SecretText};
use crate::sandbox::{self, Sandbox};
use crate::store::UserRow;
use crate::{integrations, telemetry};

/// Who is there: the first one administers.
const PEOPLE: [(&str, Role); 2] = [
    ("alice@example.test", Role::Admin),
    ("bob@example.test", Role::Member),
];

/// The whole product, with a sandbox in place of the providers.
#[derive(Args)]
pub(super) struct Demo {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// Where to keep the database; a fresh temporary directory when it is not given.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Acts as an MCP client by itself, prints what happened, and ends.
    #[arg(long)]
    tour: bool,
}

impl Demo {
    pub(super) async fn run(self, base: Config) -> anyhow::Result<ExitCode> {
        let listener = match TcpListener::bind(self.listen).await {
            Ok(listener) => listener,
            // The tour needs no particular port.
            Err(_) if self.tour => TcpListener::bind("127.0.0.1:0").await?,
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("{} cannot be listened on; choose another address with --listen 127.0.0.1:0", self.listen)
                });
            }
        };
        let address = listener.local_addr()?;
        let sandbox_listener = TcpListener::bind("127.0.0.1:0").await?;
        let sandbox = Sandbox::start(sandbox_listener, sandbox::Options::default())?;
        let temporary = match &self.data {
            Some(_) => None,
            None => Some(Temporary::make()?),
        };
        let data_dir = self
            .data
            .clone()
            .or_else(|| temporary.as_ref().map(|made| made.0.clone()));
        let config = demo_config(
            base,
            address,
            data_dir.unwrap_or_else(|| PathBuf::from("data")),
            &sandbox,
        );
        let metrics = telemetry::metrics();
        let app = App::start(&config, Clock::System).await?;
        let mut people = Vec::new();
        let mut tokens = BTreeMap::new();
        for (email, role) in PEOPLE {
            let person = match app.store.user_by_email(app.org, email).await? {
                Some(person) => person,
                None => app.auth.add_user(app.org, email, role).await?,
            };
            let token = app
                .auth
                .create_token(&person, "demo", None, Scopes::ALL)
                .await?;
            tokens.insert(email, token.secret);
            people.push(person);
        }
        let stop = serving::stop_signal();
        let shown: BTreeMap<&str, &str> = tokens
            .iter()
            .map(|(email, token)| (*email, token.expose_secret()))
            .collect();
        if !self.tour {
            output::json(&json!({
                "event": "ready",
                "url": app.links.public(),
                "mcp": app.links.mcp(),
                "sandbox": sandbox.url(),
                "tokens": shown,
            }))?;
            guide(&app, &people, &tokens).await?;
        }
        let finished = if self.tour {
            let touring = tour::run(&app, &tokens[PEOPLE[0].0]);
            let serving = app.serve(listener, metrics, &stop);
            tokio::pin!(serving);
            let toured = tokio::select! {
                toured = touring => toured,
                served = &mut serving => served.map(|()| false),
            };
            stop.cancel();
            // The tour has its answer; what serving says while it ends changes nothing.
            let _ended = serving.await;
            toured
        } else {
            app.serve(listener, metrics, &stop).await.map(|()| true)
        };
        app.stop().await;
        sandbox.stop().await;
        Ok(if finished? {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The settings of the demo: whatever the environment says of the log, and the sandbox for every provider.
fn demo_config(base: Config, address: SocketAddr, data_dir: PathBuf, sandbox: &Sandbox) -> Config {
    let mut apps = BTreeMap::new();
    let mut providers = BTreeMap::new();
    for provider in integrations::ALL
        .iter()
        .flat_map(|integration| integration.providers)
    {
        let url = sandbox.base(provider.id);
        providers.insert(
            provider.id.to_owned(),
            ProviderSettings {
                api_url: Some(url.clone()),
                auth_url: Some(url),
                api_key: None,
            },
        );
        if provider.auth.oauth2().is_none() {
            continue;
        }
        let client_secret = SecretText::Inline(SecretString::from("sandbox-secret"));
        apps.insert(
            provider.id.to_owned(),
            AppCredentials {
                client_id: "workbench-demo".to_owned(),
                client_secret,
                tenant: None,
            },
        );
    }
    Config {
        listen: address,
        public_url: None,
        data_dir,
        database_url: None,
        encryption_keys: None,
        secret_keys: None,
        audit_signing_key: None,
        apps,
        providers,
        ..base
    }
}

async fn guide(
    app: &App,
    people: &[UserRow],
    tokens: &BTreeMap<&str, SecretString>,
) -> anyhow::Result<()> {
    let mcp = app.links.mcp();
    output::tell(
        "\nThe demo runs. Nothing here leaves this machine: the providers are a sandbox.\n",
    );
    output::tell("1. Connect accounts in the browser (each link signs in once):");
    for person in people {
        let ticket = app.auth.ticket(person).await?;
        output::tell(&format!(
            "   {}  {}",
            person.email,
            app.links.sign_in(ticket.expose_secret())
        ));
    }
    for (provider, key, account) in sandbox::providers::KEYS {
        output::tell(&format!(
            "   {provider} also takes a key instead of a consent: {key} is one of {account}"
        ));
    }
    output::tell("\n2. Point an MCP client at it, for example:");
    if let Some(token) = tokens.get(PEOPLE[0].0) {
        output::tell(&format!(
            "   claude mcp add --transport http workbench {mcp} --header \"Authorization: Bearer {}\"",
            token.expose_secret()
        ));
    }
    output::tell(&format!(
        "   or any other: address {mcp}, header `Authorization: Bearer <token from the first line>`\n"
    ));
    output::tell("3. Or see it work at once: workbench-mcp demo --tour\n");
    output::tell("Ctrl-C ends it.\n");
    Ok(())
}

/// A directory that is gone with the demo.
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> anyhow::Result<Self> {
        let name = crate::ids::FlowId::new(Clock::System.now());
        let path = std::env::temp_dir().join(format!("workbench-demo-{}", name.uuid().simple()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        builder
            .create(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Best effort: the system tidies its temporary directory too.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
