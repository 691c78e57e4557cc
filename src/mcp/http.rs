//! Streamable HTTP on one endpoint for both eras: rmcp's service behind the checks it does not make. Who may use which
//! session, how many sessions and streams a person may have, and precise answers to malformed messages.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use rmcp::model::InitializeRequestParams;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::session::{
    SessionState, SessionStore, SessionStoreError,
};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::handler::{CALLER, Face, Transport, face};
use super::message::{self, INVALID_PARAMS, INVALID_REQUEST, MAX_BYTES, Message, REFUSED, Refusal};
use super::streams::{Held, MAX_STREAMS};
use super::{Server, Surface, sessions};
use crate::caller::Caller;
use crate::store::StoreError;

/// The body of every answer.
pub type Body = BoxBody<Bytes, Infallible>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The first revision without sessions.
const STATELESS: &str = "2026-07-28";
/// How long a session of the older revisions stays in memory without a request; afterwards its row brings it back.
const SESSION_MEMORY: Duration = Duration::from_mins(30);
/// Between telling streams to end and cutting those that did not.
const GRACE: Duration = Duration::from_secs(2);
/// Largest `initialize` parameters that are kept with a session, in bytes.
const MAX_INITIALIZE: usize = 16 * 1024;

/// Streamable HTTP, for `route_service("/mcp", …)`. Requests carry their [`Caller`] as an extension.
#[derive(Clone)]
pub struct Service {
    server: Server,
    inner: StreamableHttpService<Face, LocalSessionManager>,
}

/// The service of this server. All clones of one result share their sessions, so make it once, within a runtime.
pub fn service(server: &Server) -> Service {
    let cut = CancellationToken::new();
    let (closing, cutting) = (server.0.closing.clone(), cut.clone());
    tokio::spawn(async move {
        closing.cancelled().await;
        tokio::time::sleep(GRACE).await;
        cutting.cancel();
    });
    let mut config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(server.0.gate.hosts())
        .with_allowed_origins(server.0.gate.origins())
        .enforce_origin_validation()
        .with_legacy_session_mode(true)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BYTES)
        .with_cancellation_token(cut);
    config.session_store = Some(Arc::new(Rows(server.clone())));
    let mut manager = LocalSessionManager::default();
    manager.session_config.keep_alive = Some(SESSION_MEMORY);
    let factory = {
        let server = server.clone();
        move || {
            let caller = CALLER
                .try_with(Clone::clone)
                .map_err(|_| io::Error::other("a request without a caller"))?;
            Ok(face(&server, caller, Transport::Http, Surface::default()))
        }
    };
    Service {
        server: server.clone(),
        inner: StreamableHttpService::new(factory, Arc::new(manager), config),
    }
}

impl<B> tower::Service<Request<B>> for Service
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        async move {
            let mut response = match service.answer(request).await {
                Ok(response) => response,
                Err(refusal) => refusal.response(),
            };
            response
                .headers_mut()
                .entry(CACHE_CONTROL)
                .or_insert(HeaderValue::from_static("no-store"));
            Ok(response)
        }
        .boxed()
    }
}

impl Service {
    async fn answer<B>(&self, request: Request<B>) -> Result<Response<Body>, Refusal>
    where
        B: hyper::body::Body + Send,
        B::Error: Into<BoxError>,
    {
        let caller = admit(&self.server, &request)?;
        let (mut parts, body) = request.into_parts();
        parts.headers.remove(AUTHORIZATION);
        let json = parts.method == Method::POST && message::is_json(&parts.headers);
        let bytes = if json {
            message::read_body(body).await?
        } else {
            Bytes::new()
        };
        let message = if json {
            Some(Message::read(&bytes)?)
        } else {
            None
        };
        let id = message.as_ref().and_then(|message| message.id);
        let session = self
            .session(&mut parts, &caller)
            .await
            .map_err(|refusal| refusal.to(id))?;
        let initialize = match &message {
            Some(message) if message.is("initialize") && session.is_none() => {
                Some(self.opening(message, &caller).await?)
            }
            _ => None,
        };
        let streams = match &message {
            Some(message) => message.is("subscriptions/listen"),
            None => parts.method == Method::GET,
        };
        let permit = if streams {
            Some(self.server.0.streams.take(caller.user).ok_or_else(|| {
                Refusal::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    REFUSED,
                    format!("{MAX_STREAMS} streams are open already; close one first"),
                )
                .to(id)
            })?)
        } else {
            None
        };
        let method = parts.method.clone();
        let forwarded = Request::from_parts(parts, message::full(bytes.clone()));
        let mut response = CALLER
            .scope(caller.clone(), self.inner.handle(forwarded))
            .await;
        if json && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // rmcp's word for a message that it could not read.
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                INVALID_REQUEST,
                "the body is not a JSON-RPC message",
            )
            .to(id));
        }
        if let (Some(initialize), Some(opened)) = (initialize, session_id(response.headers())) {
            self.server
                .0
                .sessions
                .begin(&caller, &opened, &initialize)
                .await
                .map_err(|error| unavailable(&error).to(id))?;
        }
        if let (Some(ended), true) = (session, method == Method::DELETE) {
            self.server
                .0
                .sessions
                .end(&ended)
                .await
                .map_err(|error| unavailable(&error))?;
            // rmcp says 202, which the Python SDK takes for a failure; the session is over, so there is nothing to accept.
            if response.status() == StatusCode::ACCEPTED {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
        }
        if let Some(permit) = permit
            && response.status().is_success()
        {
            response = response.map(|body| Held::new(body, permit, &self.server, caller).boxed());
        }
        Ok(response)
    }

    /// The session that the request names, when it is a live one of this person. A request of a revision without sessions
    /// loses the header, so that nothing can reach a session unchecked.
    async fn session(&self, parts: &mut Parts, caller: &Caller) -> Result<Option<String>, Refusal> {
        let stateless = parts
            .headers
            .get(PROTOCOL_VERSION)
            .is_some_and(|version| version.as_bytes() >= STATELESS.as_bytes());
        if stateless {
            parts.headers.remove(SESSION_ID);
        }
        if !parts.headers.contains_key(SESSION_ID) {
            return Ok(None);
        }
        let gone = || {
            Refusal::new(
                StatusCode::NOT_FOUND,
                REFUSED,
                "there is no such session; initialize a new one",
            )
        };
        let id = session_id(&parts.headers).ok_or_else(gone)?;
        match self.server.0.sessions.admits(caller, &id).await {
            Ok(true) => Ok(Some(id)),
            Ok(false) => Err(gone()),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// The parameters of an `initialize` that may open a session.
    async fn opening(&self, message: &Message<'_>, caller: &Caller) -> Result<String, Refusal> {
        let params = message.params.map_or("{}", RawValue::get);
        if params.len() > MAX_INITIALIZE {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                INVALID_PARAMS,
                "the parameters of `initialize` are larger than 16 KiB",
            )
            .to(message.id));
        }
        match self.server.0.sessions.has_room(caller).await {
            Ok(true) => Ok(params.to_owned()),
            Ok(false) => Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                REFUSED,
                format!(
                    "{} sessions are open already; end one with DELETE first",
                    sessions::MAX_LIVE
                ),
            )
            .to(message.id)),
            Err(error) => Err(unavailable(&error).to(message.id)),
        }
    }
}

/// The caller of a request that came to the right host from an admitted origin.
pub(super) fn admit<B>(server: &Server, request: &Request<B>) -> Result<Caller, Refusal> {
    server
        .0
        .gate
        .admit(request.uri(), request.headers())
        .map_err(|reason| Refusal::new(StatusCode::FORBIDDEN, REFUSED, reason))?;
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, REFUSED, "sign in first"))
}

/// The one session id of these headers.
fn session_id(headers: &HeaderMap) -> Option<String> {
    let mut ids = headers.get_all(SESSION_ID).iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) => id.to_str().ok().map(ToOwned::to_owned),
        _ => None,
    }
}

fn unavailable(error: &StoreError) -> Refusal {
    tracing::error!(%error, "an MCP session could not be looked up");
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        REFUSED,
        "sessions are unavailable right now; try again",
    )
}

/// Brings back sessions that were opened on another replica or slept too long. By the time rmcp asks, the request has been
/// admitted to the session; opening and ending are recorded by [`Service`] itself, where a failure can still be answered.
struct Rows(Server);

impl SessionStore for Rows {
    fn load<'life0, 'life1, 'async_trait>(
        &'life0 self,
        session_id: &'life1 str,
    ) -> BoxFuture<'async_trait, Result<Option<SessionState>, SessionStoreError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        async move {
            let Some(initialize) = self.0.0.sessions.opened_with(session_id).await? else {
                return Ok(None);
            };
            let params: InitializeRequestParams = serde_json::from_str(&initialize)?;
            Ok(Some(SessionState::new(params)))
        }
        .boxed()
    }

    fn store<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        _: &'life1 str,
        _: &'life2 SessionState,
    ) -> BoxFuture<'async_trait, Result<(), SessionStoreError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        futures_util::future::ready(Ok(())).boxed()
    }

    fn delete<'life0, 'life1, 'async_trait>(
        &'life0 self,
        _: &'life1 str,
    ) -> BoxFuture<'async_trait, Result<(), SessionStoreError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        futures_util::future::ready(Ok(())).boxed()
    }
}
