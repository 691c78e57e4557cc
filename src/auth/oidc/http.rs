//! The HTTP client towards identity providers, whose addresses come from the settings and from the provider's own
//! documents: no redirects, no proxy of its own accord, short answers only.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::OidcError;

/// Longest wait for a provider.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// A client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Http(reqwest::Client);

/// An answer that is a JSON object.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Map<String, Value>,
}

impl Http {
    pub(crate) fn new() -> Result<Self, OidcError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .timeout(PATIENCE)
            .user_agent(concat!("workbench-mcp/", env!("CARGO_PKG_VERSION")))
            .build();
        client
            .map(Self)
            .map_err(|error| OidcError::Client(error.to_string()))
    }

    /// A document.
    pub(super) async fn get(
        &self,
        what: &'static str,
        url: Url,
    ) -> Result<Map<String, Value>, OidcError> {
        found(what, read(what, self.0.get(url)).await?)
    }

    /// A document for the holder of an access token.
    pub(super) async fn get_as(
        &self,
        what: &'static str,
        url: Url,
        token: &str,
    ) -> Result<Map<String, Value>, OidcError> {
        found(what, read(what, self.0.get(url).bearer_auth(token)).await?)
    }

    /// The answer to a form, with whatever status.
    pub(super) async fn post(
        &self,
        what: &'static str,
        url: Url,
        form: &[(&str, &str)],
        basic: Option<(&str, &str)>,
    ) -> Result<Answer, OidcError> {
        let mut request = self.0.post(url).form(form);
        if let Some((name, secret)) = basic {
            request = request.basic_auth(name, Some(secret));
        }
        read(what, request).await
    }
}

fn found(what: &'static str, answer: Answer) -> Result<Map<String, Value>, OidcError> {
    if answer.status == 200 {
        Ok(answer.body)
    } else {
        Err(OidcError::Provider {
            what,
            problem: format!("answered {}", answer.status),
        })
    }
}

async fn read(what: &'static str, request: reqwest::RequestBuilder) -> Result<Answer, OidcError> {
    let failed = |problem: &str| OidcError::Provider {
        what,
        problem: problem.to_owned(),
    };
    let sent = request.header(::http::header::ACCEPT, "application/json");
    let mut response = sent
        .send()
        .await
        .map_err(|_| failed("could not be reached"))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|_| failed("broke off its answer"))?
    {
        if body.len() + chunk.len() > MAX_DOCUMENT {
            return Err(failed("answered too much"));
        }
        body.extend_from_slice(&chunk);
    }
    match serde_json::from_slice(&body) {
        Ok(Value::Object(body)) => Ok(Answer { status, body }),
        _ if status == 200 => Err(failed("answered no JSON object")),
        _ => Ok(Answer {
            status,
            body: Map::new(),
        }),
    }
}
