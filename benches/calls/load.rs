//! The load generator and the upstream, alike for both servers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// What one round measured.
#[derive(Clone)]
pub(crate) struct Measured {
    pub(crate) calls: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8.0} /s   p50 {:>6.2} ms   p99 {:>6.2} ms",
            self.per_second, self.p50_ms, self.p99_ms
        )
    }
}

/// One request, sent again and again, as each of the token's owners in turn.
pub(crate) struct Load {
    address: String,
    requests: Arc<Vec<Request<Full<Bytes>>>>,
}

impl Load {
    /// `params` is the beginning of a JSON object; the protocol's own part is added.
    pub(crate) fn new(
        url: &str,
        method: &str,
        params: &str,
        name: &str,
        tokens: &[String],
    ) -> Self {
        let url: url::Url = url.parse().unwrap();
        let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let comma = if params.len() > 1 { "," } else { "" };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}{comma}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        );
        let request = |token: &String| {
            let mut request = Request::post("/mcp")
                .header("host", &address)
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .header("mcp-protocol-version", "2026-07-28")
                .header("mcp-method", method);
            if !name.is_empty() {
                request = request.header("mcp-name", name);
            }
            if !token.is_empty() {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            request.body(Full::from(body.clone())).unwrap()
        };
        let requests = Arc::new(tokens.iter().map(request).collect());
        Self { address, requests }
    }

    /// Sends for this long over this many connections.
    pub(crate) async fn run(&self, connections: usize, length: Duration) -> Measured {
        let started = Instant::now();
        let workers = (0..connections).map(|worker| {
            let (address, requests) = (self.address.clone(), Arc::clone(&self.requests));
            tokio::spawn(async move {
                let stream = TcpStream::connect(&address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream))
                        .await
                        .unwrap();
                tokio::spawn(connection);
                let mut times = Vec::new();
                let mut next = worker * 31;
                while started.elapsed() < length {
                    let request = requests[next % requests.len()].clone();
                    next += connections;
                    let sent = Instant::now();
                    let response = sender.send_request(request).await.unwrap();
                    let status = response.status();
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    times.push(sent.elapsed());
                    let good =
                        status == 200 && !body.windows(14).any(|part| part == b"\"isError\":true");
                    assert!(good, "{status} {}", String::from_utf8_lossy(&body));
                }
                times
            })
        });
        let mut times: Vec<Duration> = Vec::new();
        for worker in workers.collect::<Vec<_>>() {
            times.extend(worker.await.unwrap());
        }
        let elapsed = started.elapsed().as_secs_f64();
        times.sort_unstable();
        let at = |share: usize| {
            times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3
        };
        Measured {
            calls: times.len() as f64,
            per_second: times.len() as f64 / elapsed,
            p50_ms: at(50),
            p99_ms: at(99),
        }
    }
}

/// A provider that answers at once: the tree of a repository, and whose token it is.
pub(crate) async fn upstream() -> String {
    let fixture = include_str!("../../fixtures/github/github_list_tree/success.json");
    let case: serde_json::Value = serde_json::from_str(fixture).unwrap();
    let tree = Bytes::from(case["upstream"][0]["response"]["body"].to_string());
    let json = [("content-type", "application/json")];
    let user = move |headers: http::HeaderMap| async move {
        let token = headers["authorization"]
            .to_str()
            .unwrap()
            .rsplit('-')
            .next()
            .unwrap()
            .to_owned();
        let id: u32 = token.parse().unwrap();
        (
            json,
            format!(
                r#"{{"login":"person{id}","id":{id},"html_url":"https://git.example.test/person{id}","type":"User"}}"#
            ),
        )
    };
    let router = axum::Router::new().route("/user", get(user)).route(
        "/repos/acme/site/git/trees/HEAD",
        get(move || async move { (json, tree) }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener =
        axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}
