//! The Model Context Protocol: the only module that names rmcp.
//!
//! [`Server`] is what every transport shares. [`service`] speaks Streamable HTTP (the stateless 2026-07-28 revision and the
//! sessions of the revisions before it, on one endpoint), [`sse`] the deprecated HTTP+SSE, [`serve_stdio`] the standard
//! streams. All three end in one handler that turns messages into [`crate::calls`] and answers back; it decides nothing
//! about what a person may do.
//!
//! This module does not authenticate (the [`Caller`] is put into each request by `web`), store, or reach a provider.

mod ask;
#[cfg(feature = "conformance")]
mod conformance;
mod gate;
mod handler;
mod http;
mod message;
mod publish;
mod render;
mod requests;
mod sessions;
pub mod sse;
mod stdio;
mod streams;
mod surface;
mod tell;
mod tried;
mod watch;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::model::RequestStateCodec;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::caller::Caller;
use crate::calls::Calls;
use crate::clock::Clock;
use crate::links::Links;
use crate::store::Store;

pub use http::{Body, Service, service};
pub use publish::{published, tool_json};
pub use stdio::serve_stdio;
pub use surface::Surface;
pub use tried::{Failed, Tried};

use sessions::Sessions;

/// Asks whether a caller's credential still holds; open streams end when it does not.
pub type StillAllowed = Arc<dyn Fn(Caller) -> BoxFuture<'static, bool> + Send + Sync>;

/// What a [`Server`] is made of.
pub struct Options {
    /// Where tools and blocks are called.
    pub calls: Calls,
    /// Our own addresses; its host and origin are always admitted.
    pub links: Links,
    /// The time.
    pub clock: Clock,
    /// Keys that sign what clients carry between two rounds of a request, by id; the first one signs.
    pub state_keys: Vec<(String, Zeroizing<[u8; 32]>)>,
    /// Where the sessions of the older protocol revisions are kept.
    pub store: Store,
    /// More hosts to answer to, as `host` or `host:port`.
    pub hosts: Vec<String>,
    /// More browser origins to admit, as `scheme://host[:port]`; `:*` stands for any port.
    pub origins: Vec<String>,
    /// With more tools than this, the four of [`Surface::Search`] are listed instead.
    pub most_tools: usize,
    /// Asked every few seconds while a stream is open.
    pub still_allowed: StillAllowed,
    /// Cancelled when the process is about to stop: streams end in good order then.
    pub closing: CancellationToken,
}

/// The server cannot be made from these options.
#[derive(Debug, thiserror::Error)]
#[error("the keys for request state are unusable: {0}")]
pub struct BadStateKeys(String);

/// What all transports share. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    calls: Calls,
    links: Links,
    clock: Clock,
    published: publish::Published,
    states: RequestStateCodec,
    sessions: Sessions,
    gate: gate::Gate,
    streams: streams::Streams,
    sse: sse::Peers,
    most_tools: usize,
    still_allowed: StillAllowed,
    closing: CancellationToken,
}

impl Server {
    /// Compiles the catalogue and the keys.
    pub fn new(options: Options) -> Result<Self, BadStateKeys> {
        let first = options
            .state_keys
            .first()
            .map(|(id, _)| id.clone())
            .unwrap_or_default();
        let keys = options
            .state_keys
            .iter()
            .map(|(id, key)| (id.as_str(), key.as_slice()));
        let states = RequestStateCodec::new_with_keyring(first, keys)
            .map_err(|error| BadStateKeys(error.to_string()))?;
        Ok(Self(Arc::new(Shared {
            published: publish::Published::new(&options.links),
            gate: gate::Gate::new(&options.links, &options.hosts, &options.origins),
            streams: streams::Streams::default(),
            sse: sse::Peers::default(),
            sessions: Sessions::new(options.store, options.clock.clone()),
            calls: options.calls,
            links: options.links,
            clock: options.clock,
            states,
            most_tools: options.most_tools,
            still_allowed: options.still_allowed,
            closing: options.closing,
        })))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
