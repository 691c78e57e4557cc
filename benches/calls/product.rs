//! The product as its operator runs it: `serve` on SQLite, a thousand people with a token and a connected account each.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::json;
use workbench_mcp::app::App;
use workbench_mcp::audit::{Event, Kind, Outcome, Redacted};
use workbench_mcp::auth::Auth;
use workbench_mcp::caller::{Client, Role};
use workbench_mcp::clock::Clock;
use workbench_mcp::config::Config;
use workbench_mcp::ids::{CallId, UserId};

use super::credentials::{self, Issuer};
use super::process::Process;

/// People who call with each of the three kinds of token, where these are compared: so many that nobody meets the limit of
/// an account.
const COMPARED: usize = 1_000;

/// The real binary, serving, and who may call it.
pub(crate) struct Product {
    pub(crate) process: Process,
    _data: tempfile::TempDir,
    pub(crate) tokens: Vec<String>,
    /// The same call with each kind of token: its name, and the tokens.
    pub(crate) kinds: Vec<(&'static str, Vec<String>)>,
}

impl Product {
    pub(crate) async fn start(upstream: &str, people: usize) -> Self {
        let data = tempfile::tempdir().unwrap();
        let issuer = Issuer::start().await;
        let settings = [
            ("WORKBENCH_DATA_DIR", data.path().display().to_string()),
            ("WORKBENCH_PROVIDER_GITHUB_API_URL", upstream.to_owned()),
            ("WORKBENCH_LOG", "warn".to_owned()),
            ("WORKBENCH_ISSUER", issuer.url.clone()),
        ];
        let (tokens, kinds) = people_with_accounts(&settings, people, &issuer).await;
        Self {
            process: Process::serve(&settings).await,
            _data: data,
            tokens,
            kinds,
        }
    }
}

fn config(settings: &[(&str, String)]) -> Config {
    let settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Config::load(settings, None).unwrap()
}

type Tokens = Vec<String>;

/// Makes people with an account each; answers everybody's personal tokens, and of some all three kinds.
async fn people_with_accounts(
    settings: &[(&str, String)],
    people: usize,
    issuer: &Issuer,
) -> (Tokens, Vec<(&'static str, Tokens)>) {
    let app = App::start(&config(settings), Clock::System).await.unwrap();
    let connect = async |user: UserId, number: usize| {
        let credential = json!({ "access_token": format!("bench-token-{number}"), "scopes": ["repo", "read:org", "read:user"] });
        let import = serde_json::from_value(credential).unwrap();
        app.connections
            .import(app.org, user, "github", import)
            .await
            .unwrap();
    };
    let (mut tokens, mut known) = (Vec::new(), Vec::new());
    for number in 1..=people {
        let person = app
            .auth
            .add_user(app.org, &format!("p{number}@example.test"), Role::Member)
            .await
            .unwrap();
        let token = app
            .auth
            .create_token(&person, "bench", None, workbench_mcp::caller::Scopes::ALL)
            .await
            .unwrap();
        connect(person.id, number).await;
        tokens.push(token.secret.expose_secret().to_owned());
        known.push(person);
    }
    let embedded = credentials::embedded(&app, &known[..COMPARED]).await;
    let now = app.clock.now().micros() / 1_000_000;
    let mut external = Vec::new();
    for number in 1..=COMPARED {
        let token = issuer.token(&format!("person-{number}"), app.server.resource(), now);
        let caller = app.auth.bearer(&token).await.unwrap();
        connect(caller.user, people + number).await;
        external.push(token);
    }
    app.stop().await;
    let kinds = vec![
        ("personal token", tokens[..COMPARED].to_vec()),
        ("token of the embedded server", embedded),
        ("token of an external issuer", external),
    ];
    (tokens, kinds)
}

/// The audit log by itself: how many calls a second it can record, two durable events each, from 128 callers at once.
pub(crate) async fn audit_alone() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("WORKBENCH_DATA_DIR", data.path().display().to_string())];
    let app = App::start(&config(&settings), Clock::System).await.unwrap();
    let person = app
        .auth
        .add_user(app.org, "a@example.test", Role::Member)
        .await
        .unwrap();
    let length = Duration::from_secs(3);
    let started = Instant::now();
    let callers = (0..128).map(|_| {
        let (audit, caller, clock) = (app.audit.clone(), Auth::local(&person), app.clock.clone());
        tokio::spawn(async move {
            let mut calls = 0_u64;
            while started.elapsed() < length {
                let event = Event {
                    call: CallId::new(clock.now()),
                    kind: Kind::Tool,
                    tool: "github_list_tree".into(),
                    integration: "github".into(),
                    provider: None,
                    effect: "read",
                    thread: None,
                    connection: None,
                    account: None,
                    arguments: Redacted(json!({ "repo": "acme/site" })),
                    arguments_digest: None,
                    catalogue_digest: None,
                };
                let pending = audit.begin(&caller, &Client::default(), event);
                audit
                    .finish(
                        pending,
                        Outcome {
                            code: "ok",
                            ..Outcome::default()
                        },
                    )
                    .await
                    .unwrap();
                calls += 1;
            }
            calls
        })
    });
    let mut calls = 0;
    for caller in callers.collect::<Vec<_>>() {
        calls += caller.await.unwrap();
    }
    let rate = calls as f64 / started.elapsed().as_secs_f64();
    println!(
        "audit log alone, 128 callers: {rate:.0} calls/s, {:.0} durable events/s",
        rate * 2.0
    );
    let verifying = Instant::now();
    let found = app.audit.verify(None, &[], |_| {}).await.unwrap();
    println!(
        "audit verify: {:.0} events/s",
        found.events as f64 / verifying.elapsed().as_secs_f64()
    );
    app.stop().await;
}
