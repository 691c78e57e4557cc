//! Stands in for the providers: the demo and the tests run on it, without an account anywhere.
//!
//! One origin serves all providers, each below its own prefix (`/github/…`, `/hubspot/…`): the authorization page, the
//! token, revocation and introspection endpoints, and an API that answers with the exchanges of `fixtures/`. The product
//! reaches it through the same base-address settings that a user has, and this module names nothing of the product: it is
//! the outside world.
//!
//! It is *not* a model of the providers' data: nothing that is written can be read back. It is not meant for strangers
//! either: `/_control` (see [`Command`]) is open to whoever reaches the listener, so that should be on loopback.
//!
//! | File | What |
//! |---|---|
//! | `providers` | how the providers differ, as data |
//! | `dialect` | how they word success and refusal |
//! | `authorize`, `token`, `api` | the three things that are asked of a provider |
//! | `state` | codes, grants, tokens and counts, in memory |
//! | `faults`, `control` | misbehaviour, and the switches for it |
//! | `fixtures` | the exchanges, and their format |
//! | `dates` | what is planned stays ahead |

mod administrator;
mod answer;
mod api;
mod authorize;
mod control;
mod dates;
mod dialect;
mod faults;
pub mod fixtures;
pub mod providers;
mod state;
mod token;

use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

pub use self::control::{Command, Control, ControlError, GrantReport, Reply, Report};
pub use self::faults::{Fault, Place, Planned};
pub use self::state::{Counters, Settings, Tokens};

use self::answer::Answer;
use self::api::{Book, Matching};
use self::dialect::WantsJson;
use self::fixtures::Exchange;
use self::providers::Endpoint;
use self::state::ProviderState;
use self::token::Extent;
use crate::clock::Clock;

/// Largest request that is read, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A running sandbox. Dropping it stops it.
pub struct Sandbox {
    url: Url,
    control: Control,
    serving: JoinHandle<()>,
    stop: DropGuard,
}

/// How to run a sandbox.
pub struct Options {
    /// What the API knows.
    pub mode: Mode,
    /// What time it is for codes and tokens.
    pub clock: Clock,
    /// Stops the sandbox when it is cancelled: no new connections, and waits of [`Fault`]s end.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Relaxed,
            clock: Clock::System,
            stop: CancellationToken::new(),
        }
    }
}

/// What the API knows.
pub enum Mode {
    /// The compiled-in fixtures. A request that is in none of them is answered with the success that resembles it most,
    /// and who is signed in shows in the answers.
    Relaxed,
    /// As relaxed, with these exchanges, by provider, instead of the fixtures.
    RelaxedOver(BTreeMap<&'static str, Vec<Exchange>>),
    /// Exactly these exchanges, by provider, as they are written; see [`Sandbox::complaints`].
    Strict(BTreeMap<&'static str, Vec<Exchange>>),
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address.
    #[error("the sandbox's listener has no address")]
    Listener(#[from] std::io::Error),
    /// A fixture is not a case.
    #[error(transparent)]
    Fixture(#[from] fixtures::Unreadable),
    /// Exchanges were given for a provider that does not exist.
    #[error("the sandbox has no provider `{0}`")]
    UnknownProvider(&'static str),
}

/// What requests and the control work on.
pub(crate) struct Shared {
    clock: Clock,
    stop: CancellationToken,
    providers: Mutex<BTreeMap<&'static str, ProviderState>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, ProviderState>> {
        // Counts and tokens stay usable whatever a panicking request left undone.
        self.providers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sandbox {
    /// Serves on `listener`. Needs a tokio runtime.
    pub fn start(listener: TcpListener, options: Options) -> Result<Self, StartError> {
        let mut address = listener.local_addr()?;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let url = Url::parse(&format!("http://{address}"))
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        let stop = options.stop.child_token();
        let shared = Arc::new(Shared {
            clock: options.clock,
            stop: stop.clone(),
            providers: Mutex::new(states(options.mode)?),
        });
        let control = Control {
            shared: Arc::clone(&shared),
        };
        let router = Router::new()
            .route("/", get(|| async { Redirect::to("/_control") }))
            .route("/_control", get(report).post(tell))
            .fallback(provide)
            .with_state(shared);
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .into_future();
        let serving = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the sandbox stopped");
            }
        });
        Ok(Self {
            url,
            control,
            serving,
            stop: stop.drop_guard(),
        })
    }

    /// Where it is; a provider's base address is this and the provider's id as the path.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The base address of a provider, for its API and its authorization pages alike.
    pub fn base(&self, provider: &str) -> Url {
        let mut base = self.url.clone();
        base.set_path(provider);
        base
    }

    /// The switches.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// In strict mode, by provider: what was asked and not listed, and what was listed and not asked.
    pub fn complaints(&self) -> Vec<String> {
        let reports = self.control.reports().into_iter();
        reports
            .flat_map(|(id, report)| {
                let complaints = report.complaints.into_iter();
                complaints.map(move |complaint| format!("{id}: {complaint}"))
            })
            .collect()
    }

    /// Stops, and waits until the last answer is out.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the sandbox did not stop in order");
        }
    }
}

fn states(mode: Mode) -> Result<BTreeMap<&'static str, ProviderState>, StartError> {
    let (matching, mut given) = match mode {
        Mode::Relaxed => (Matching::Relaxed, None),
        Mode::RelaxedOver(given) => (Matching::Relaxed, Some(given)),
        Mode::Strict(given) => (Matching::Strict, Some(given)),
    };
    let mut states = BTreeMap::new();
    for provider in providers::ALL {
        let exchanges = match &mut given {
            None => fixtures::exchanges(provider.fixtures)?,
            Some(given) => given.remove(provider.id).unwrap_or_default(),
        };
        let book = Book::new(matching, exchanges);
        states.insert(provider.id, ProviderState::new(provider, book));
    }
    match given.and_then(|given| given.into_keys().next()) {
        Some(id) => Err(StartError::UnknownProvider(id)),
        None => Ok(states),
    }
}

/// A request to a provider, whole.
struct Asked {
    method: Method,
    /// Below the provider's prefix, as sent.
    path: String,
    /// Decoded, in order.
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    /// The address as sent, for canaries.
    uri: String,
}

impl Asked {
    fn is_form(&self) -> bool {
        let media_type = self.headers.get(header::CONTENT_TYPE);
        media_type.is_some_and(|value| {
            value
                .as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        })
    }

    fn wants_json(&self) -> WantsJson {
        let mut accepted = self.headers.get_all(header::ACCEPT).iter();
        if accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("json"))) {
            WantsJson::Yes
        } else {
            WantsJson::No
        }
    }

    /// Everything that was sent, as text.
    fn transcript(&self) -> String {
        let mut text = format!("{} {}\n", self.method, self.uri);
        for (name, value) in &self.headers {
            text.push_str(name.as_str());
            text.push_str(": ");
            text.push_str(&String::from_utf8_lossy(value.as_bytes()));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&self.body));
        text
    }
}

async fn provide(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path().trim_start_matches('/');
    let (provider, rest) = path.find('/').map_or((path, "/"), |at| path.split_at(at));
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let asked = Asked {
        path: rest.to_owned(),
        query: url::form_urlencoded::parse(query).into_owned().collect(),
        uri: parts.uri.to_string(),
        method: parts.method,
        headers: parts.headers,
        body,
    };
    let (answer, fault, latency_ms) = {
        let mut providers = shared.lock();
        let Some(state) = providers.get_mut(provider) else {
            return (StatusCode::NOT_FOUND, "the sandbox has no such provider").into_response();
        };
        respond(state, &asked, &shared.clock)
    };
    faults::wait(latency_ms, &shared.stop).await;
    match fault {
        Some(fault) => fault.deliver(answer, &shared.stop).await,
        None => answer.into_response(),
    }
}

/// Carries a request out, unless a fault forbids it; says which fault is still to spoil the answer, and for how many
/// milliseconds to wait before it.
fn respond(
    state: &mut ProviderState,
    asked: &Asked,
    clock: &Clock,
) -> (Answer, Option<Fault>, u64) {
    let now = clock.now();
    observe(state, asked);
    let endpoint = state.provider.endpoint(asked.method.as_str(), &asked.path);
    let mut latency_ms = 0;
    let place = match endpoint {
        Endpoint::Authorize | Endpoint::AdminConsent => None,
        Endpoint::Token => {
            token::count(state, asked);
            latency_ms = state.settings.token_latency_ms;
            Some(Place::Token)
        }
        Endpoint::RevokeForm
        | Endpoint::RevokeGrant { .. }
        | Endpoint::RevokeToken { .. }
        | Endpoint::Introspect => Some(Place::Revocation),
        Endpoint::Api => {
            let call = format!("{} {}", asked.method, asked.path);
            *state.counters.api_calls.entry(call).or_default() += 1;
            Some(Place::Api)
        }
    };
    let fault = place.and_then(|place| faults::next(&mut state.faults, place));
    let instead = fault
        .as_ref()
        .and_then(|fault| fault.instead(state.provider, asked));
    if let Some(answer) = instead {
        return (answer, fault, latency_ms);
    }
    let answer = match endpoint {
        Endpoint::Authorize => authorize::answer(state, asked, now),
        Endpoint::AdminConsent => administrator::answer(state.provider, asked),
        Endpoint::Token => {
            let other = match &fault {
                Some(Fault::OtherAccount { account }) => Some(account.as_str()),
                _ => None,
            };
            token::answer(state, asked, other, now)
        }
        Endpoint::RevokeForm => token::revoke_form(state, asked, now),
        Endpoint::RevokeGrant { client_id } => {
            token::revoke_by_client(state, asked, client_id, Extent::Grant, now)
        }
        Endpoint::RevokeToken { client_id } => {
            token::revoke_by_client(state, asked, client_id, Extent::Token, now)
        }
        Endpoint::Introspect => token::introspect(state, asked, now),
        Endpoint::Api => api::answer(state, asked, now),
    };
    (answer, fault, latency_ms)
}

/// Notes what came, before anything is decided about it.
fn observe(state: &mut ProviderState, asked: &Asked) {
    let mut names: Vec<String> = asked.headers.keys().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    state.counters.last_headers = names;
    if state.canaries.values().any(|seen| !seen) {
        let sent = asked.transcript();
        let decoded = percent_decode_str(&sent).decode_utf8_lossy();
        for (text, seen) in &mut state.canaries {
            *seen |= sent.contains(text.as_str()) || decoded.contains(text.as_str());
        }
    }
}

async fn report(State(shared): State<Arc<Shared>>) -> Json<BTreeMap<String, Report>> {
    Json(Control { shared }.reports())
}

/// `{"provider": …, "do": …}`.
#[derive(Deserialize)]
struct Order {
    provider: String,
    #[serde(flatten)]
    command: Command,
}

// Only taken as `application/json`, which a page of another origin cannot send without being asked first.
async fn tell(State(shared): State<Arc<Shared>>, Json(order): Json<Order>) -> Response<Body> {
    match (Control { shared }).tell(&order.provider, order.command) {
        Ok(reply) => Json(reply).into_response(),
        Err(error) => (StatusCode::NOT_FOUND, error.to_string()).into_response(),
    }
}
