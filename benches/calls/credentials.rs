//! Access tokens of the embedded authorization server, and of an external issuer that this program plays.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Json;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use workbench_mcp::app::App;
use workbench_mcp::auth::Auth;
use workbench_mcp::auth::server::{ClientMetadata, Parameters};
use workbench_mcp::caller::Scopes;
use workbench_mcp::store::UserRow;

const REDIRECT: &str = "https://client.example.test/cb";
const BROWSER: &str = "the browser of the measurement";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Signs a client in for each of these people, the whole way but for the pages; answers the access tokens.
pub(crate) async fn embedded(app: &App, people: &[UserRow]) -> Vec<String> {
    let metadata: ClientMetadata = serde_json::from_value(json!({
        "client_name": "bench", "redirect_uris": [REDIRECT],
    }))
    .unwrap();
    let client = app.server.register(&metadata).await.unwrap();
    let form = |fields: &[(&str, &str)]| {
        let text = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Parameters::parse(text.as_bytes())
    };
    let allowed = Scopes::parse("tools:read tools:write").unwrap();
    let mut tokens = Vec::new();
    for person in people {
        let caller = Auth::local(person);
        let asked = form(&[
            ("client_id", &client.id),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", app.server.resource()),
            ("scope", "tools:read tools:write"),
        ]);
        let attempt = app.server.begin(&asked).await.unwrap();
        let _question = app.server.ask(&caller, attempt, BROWSER).await.unwrap();
        let decided = app.server.decide(&caller, attempt, BROWSER, Some(&allowed));
        let back = decided.await.unwrap().unwrap();
        let (_, code) = back.query_pairs().find(|(name, _)| name == "code").unwrap();
        let exchange = form(&[
            ("grant_type", "authorization_code"),
            ("client_id", &client.id),
            ("redirect_uri", REDIRECT),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("resource", app.server.resource()),
        ]);
        let Ok(held) = app.server.token(&exchange).await else {
            panic!("no token for {}", person.email);
        };
        tokens.push(held.access.expose_secret().to_owned());
    }
    tokens
}

/// An issuer of access tokens (RFC 9068) with one key.
pub(crate) struct Issuer {
    pub(crate) url: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = key.public_key().as_ref();
        let keys = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k1",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        }] });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let about = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let answer = |value: Value| get(move || async move { Json(value) });
        let router = axum::Router::new()
            .route("/.well-known/openid-configuration", answer(about))
            .route("/keys", answer(keys));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, key }
    }

    /// A token of this person for `resource` that holds for an hour from `now`, in seconds since 1970.
    pub(crate) fn token(&self, subject: &str, resource: &str, now: i64) -> String {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" });
        let claims = json!({
            "iss": self.url, "aud": resource, "sub": subject, "iat": now, "exp": now + 3_600,
            "client_id": "bench", "scope": "tools:read tools:write",
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes());
        format!(
            "{message}.{}",
            URL_SAFE_NO_PAD.encode(signature.unwrap().as_ref())
        )
    }
}
