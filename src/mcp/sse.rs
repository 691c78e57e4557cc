//! The deprecated HTTP+SSE transport of 2024-11-05, for clients that know no other: `GET /sse` opens a stream, whose first
//! event names the address that messages are posted to; all answers come on the stream.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::{RoleServer, serve_server_with_ct};
use rmcp::transport::Transport as RmcpTransport;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::DropGuard;

use super::handler::{Transport, face};
use super::http::{Body, admit};
use super::message::{self, INVALID_REQUEST, Message, REFUSED, Refusal};
use super::streams::{Held, MAX_STREAMS};
use super::{Server, Surface};
use crate::ids::{CallId, UserId};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Messages waiting in each direction.
const CAPACITY: usize = 16;
/// Proxies close streams that are silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The open streams of this replica, by the id that their messages are posted with.
#[derive(Default)]
pub(super) struct Peers(Mutex<HashMap<String, Inbox>>);

struct Inbox {
    user: UserId,
    messages: mpsc::Sender<ClientJsonRpcMessage>,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Inbox>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers `GET /sse`. The request carries its [`crate::caller::Caller`] as an extension.
pub fn open<B>(server: &Server, request: &Request<B>) -> Response<Body> {
    match start(server, request) {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    }
}

/// Answers `POST /messages?sessionId=…`, for the person who opened the stream only.
pub async fn post<B>(server: &Server, request: Request<B>) -> Response<Body>
where
    B: hyper::body::Body + Send,
    B::Error: Into<BoxError>,
{
    match deliver(server, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    }
}

fn start<B>(server: &Server, request: &Request<B>) -> Result<Response<Body>, Refusal> {
    let caller = admit(server, request)?;
    let permit = server.0.streams.take(caller.user).ok_or_else(|| {
        Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            REFUSED,
            format!("{MAX_STREAMS} streams are open already; close one first"),
        )
    })?;
    // Unguessable, and of no use to anybody but its owner.
    let id = CallId::new(server.0.clock.now())
        .uuid()
        .simple()
        .to_string();
    let (to_us, from_client) = mpsc::channel(CAPACITY);
    let (to_client, from_us) = mpsc::channel(CAPACITY);
    server.0.sse.lock().insert(
        id.clone(),
        Inbox {
            user: caller.user,
            messages: to_us,
        },
    );
    let cancel = server.0.closing.child_token();
    let surface = request
        .uri()
        .query()
        .and_then(Surface::of_query)
        .unwrap_or_default();
    let handler = face(server, caller.clone(), Transport::Sse, surface);
    let transport = Channels {
        from_client,
        to_client,
    };
    let serving = cancel.clone();
    tokio::spawn(async move {
        match Box::pin(serve_server_with_ct(handler, transport, serving)).await {
            Ok(running) => {
                // How it ended does not matter: the stream ends with it.
                let _ = running.waiting().await;
            }
            Err(error) => tracing::debug!(%error, "an HTTP+SSE client opened no session"),
        }
    });
    tracing::info!(user.id = %caller.user, "a client uses the deprecated HTTP+SSE transport");
    let prefix = server.0.links.public().path().trim_end_matches('/');
    let mut keep_alive = interval(KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    keep_alive.reset();
    let events = Events {
        first: Some(format!(
            "event: endpoint\ndata: {prefix}/messages?sessionId={id}\n\n"
        )),
        messages: from_us,
        keep_alive,
        _leave: Leave {
            server: server.clone(),
            id,
        },
        _cancel: cancel.drop_guard(),
    };
    let mut response = Response::new(Held::new(events.boxed(), permit, server, caller).boxed());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

async fn deliver<B>(server: &Server, request: Request<B>) -> Result<Response<Body>, Refusal>
where
    B: hyper::body::Body + Send,
    B::Error: Into<BoxError>,
{
    let caller = admit(server, &request)?;
    let gone = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            REFUSED,
            "there is no such stream; open /sse again",
        )
    };
    let id = request
        .uri()
        .query()
        .and_then(|query| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == "sessionId")
                .map(|(_, id)| id.into_owned())
        })
        .ok_or_else(gone)?;
    let inbox = server
        .0
        .sse
        .lock()
        .get(&id)
        .filter(|inbox| inbox.user == caller.user)
        .map(|inbox| inbox.messages.clone())
        .ok_or_else(gone)?;
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(AUTHORIZATION);
    if !message::is_json(&parts.headers) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            INVALID_REQUEST,
            "the content type must be application/json",
        ));
    }
    let bytes = message::read_body(body).await?;
    let looked_at = Message::read(&bytes)?;
    let mut message: ClientJsonRpcMessage = serde_json::from_slice(&bytes).map_err(|_| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            INVALID_REQUEST,
            "the body is not a JSON-RPC message",
        )
        .to(looked_at.id)
    })?;
    message.insert_extension(parts);
    inbox.send(message).await.map_err(|_| gone())?;
    Ok(message::empty(StatusCode::ACCEPTED))
}

/// Forgets a stream when its answer is dropped.
struct Leave {
    server: Server,
    id: String,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.server.0.sse.lock().remove(&self.id);
    }
}

/// The stream of events: the address, then answers, and a comment now and then.
struct Events {
    first: Option<String>,
    messages: mpsc::Receiver<ServerJsonRpcMessage>,
    keep_alive: Interval,
    _leave: Leave,
    _cancel: DropGuard,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |text: String| Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))));
        if let Some(first) = self.first.take() {
            return frame(first);
        }
        match self.messages.poll_recv(cx) {
            Poll::Ready(Some(message)) => {
                // JSON text has no line breaks, so one data line holds it.
                let data = serde_json::to_string(&message).unwrap_or_default();
                frame(format!("event: message\ndata: {data}\n\n"))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.keep_alive.poll_tick(cx) {
                Poll::Ready(_) => frame(": keep-alive\n\n".to_owned()),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

/// The two directions as rmcp wants them.
struct Channels {
    from_client: mpsc::Receiver<ClientJsonRpcMessage>,
    to_client: mpsc::Sender<ServerJsonRpcMessage>,
}

impl RmcpTransport<RoleServer> for Channels {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let to_client = self.to_client.clone();
        async move {
            to_client
                .send(message)
                .await
                .map_err(|_| io::ErrorKind::BrokenPipe.into())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.from_client.recv().await
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.from_client.close();
        Ok(())
    }
}
