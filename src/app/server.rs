//! The accept loop. `axum::serve` waits for a half-sent header for ever and has no limit of connections, so connections
//! are driven by hyper's own builder here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::web::Peer;

/// Longest wait for the header of a request.
const HEADER: Duration = Duration::from_secs(10);
/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 8_192;

/// Serves until `stop`, then cancels `closing` so that streams end, and waits for requests under way, `drain` at most.
pub(super) async fn serve(
    listener: TcpListener,
    router: axum::Router,
    stop: &CancellationToken,
    closing: &CancellationToken,
    drain: Duration,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128);
    let builder = Arc::new(builder);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let open = TaskTracker::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a peer that was gone at once. Neither ends the server.
                tracing::warn!(error = %error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Without it an event stream costs 40 ms a message (Nagle's algorithm and delayed acknowledgements).
        let _best_effort = stream.set_nodelay(true);
        let peer = Peer(peer.ip());
        let router = router
            .clone()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                request.map(Body::new)
            });
        let service = TowerToHyperService::new(router);
        let (builder, closing) = (Arc::clone(&builder), closing.clone());
        open.spawn(async move {
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = closing.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = %error, "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    closing.cancel();
    open.close();
    if tokio::time::timeout(drain, open.wait()).await.is_err() {
        tracing::warn!("requests under way were cut off");
    }
}
