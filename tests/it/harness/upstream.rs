//! A provider on loopback that knows exactly the exchanges of one case.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Response, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::fixtures::Exchange;

pub struct Upstream {
    pub url: url::Url,
    state: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    exchanges: Vec<(Exchange, u32)>,
    unexpected: Vec<String>,
}

impl Upstream {
    pub async fn start(exchanges: Vec<Exchange>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let book = Book {
            exchanges: exchanges
                .into_iter()
                .map(|exchange| (exchange, 0))
                .collect(),
            unexpected: Vec::new(),
        };
        let state = Arc::new(Mutex::new(book));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    /// What was asked and not listed, and what was listed and not asked.
    pub fn complaints(&self) -> Vec<String> {
        let book = self.state.lock().unwrap();
        let unused = book.exchanges.iter().filter(|(_, used)| *used == 0);
        let unused = unused.map(|(exchange, _)| {
            format!(
                "unused: {} {}",
                exchange.request.method, exchange.request.path
            )
        });
        book.unexpected.iter().cloned().chain(unused).collect()
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Book>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response<Body> {
    let asked = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    // The values of a repeated parameter joined by commas; a fixture may also name the last one alone.
    let mut query: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in asked {
        query
            .entry(name.into_owned())
            .and_modify(|before| *before = format!("{before},{value}"))
            .or_insert_with(|| value.clone().into_owned());
    }
    let last: BTreeMap<String, String> = asked.into_owned().collect();
    let body: Option<Value> = (!body.is_empty()).then(|| {
        serde_json::from_slice(&body).unwrap_or_else(|_| match std::str::from_utf8(&body) {
            Ok(text) => text.into(),
            Err(_) => format!("base64:{}", STANDARD.encode(&body)).into(),
        })
    });
    let mut book = state.lock().unwrap();
    // The least used of those that fit, so that the same request may be answered differently the second time.
    let found = book
        .exchanges
        .iter_mut()
        .filter(|(exchange, _)| {
            let request = &exchange.request;
            request.method == method.as_str()
                && request.path == uri.path()
                && (request.query == query || request.query == last)
                && request.body == body
        })
        .min_by_key(|(_, used)| *used);
    let Some((exchange, used)) = found else {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        book.unexpected
            .push(format!("unexpected: {method} {uri} {body}"));
        return Response::builder().status(599).body(Body::empty()).unwrap();
    };
    *used += 1;
    let mut response = Response::builder().status(exchange.response.status);
    for (name, value) in &exchange.response.headers {
        response = response.header(name, value);
    }
    match (&exchange.response.body, &exchange.response.text) {
        (Some(json), _) => {
            if !exchange.response.headers.contains_key("content-type") {
                response = response.header("content-type", "application/json");
            }
            response.body(Body::from(json.to_string())).unwrap()
        }
        (None, Some(text)) => response.body(Body::from(text.clone())).unwrap(),
        (None, None) => {
            let bytes = exchange.response.base64.as_deref().unwrap_or_default();
            response
                .body(Body::from(STANDARD.decode(bytes).unwrap()))
                .unwrap()
        }
    }
}
