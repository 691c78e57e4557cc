//! A small OpenID provider on loopback: everybody who is sent to it is let in at once, and it tells whatever a test wants
//! it to tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use workbench_mcp::clock::Clock;

/// The app's name at the provider.
pub const CLIENT: &str = "workbench-at-idp";
/// Its secret.
pub const SECRET: &str = "idp-client-credential";

/// What it gives beside an ID token.
const ACCESS: &str = "for-user-information";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signing keys with a name.
pub struct Keys {
    pub id: String,
    ec: EcdsaKeyPair,
    rsa: RsaKeyPair,
}

impl Keys {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    fn modulus(&self) -> Vec<u8> {
        let public = self.rsa.public_key();
        public.modulus().big_endian_without_leading_zero().to_vec()
    }

    /// The public halves: `<id>` is the EC key, `<id>-rsa` the other one.
    fn public(&self) -> Vec<Value> {
        let point = self.ec.public_key().as_ref();
        let exponent = self.rsa.public_key();
        let exponent = exponent.exponent().big_endian_without_leading_zero();
        vec![
            json!({
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
                "x": encode(&point[1..33]), "y": encode(&point[33..]),
            }),
            json!({
                "kty": "RSA", "use": "sig", "kid": format!("{}-rsa", self.id),
                "n": encode(self.modulus()), "e": encode(exponent),
            }),
        ]
    }

    /// A token with this header and these claims, signed as the header's `alg` says; `HS256` uses the RSA key's public
    /// half as if it were a shared secret, and `none` signs nothing.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = match header["alg"].as_str().unwrap() {
            "ES256" => self
                .ec
                .sign(&SystemRandom::new(), message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            "RS256" => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa
                    .sign(
                        &RSA_PKCS1_SHA256,
                        &SystemRandom::new(),
                        message.as_bytes(),
                        &mut signature,
                    )
                    .unwrap();
                signature
            }
            "HS256" => {
                let mut mac = Hmac::<Sha256>::new_from_slice(&self.modulus()).unwrap();
                mac.update(message.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
            "none" => Vec::new(),
            other => panic!("no {other} here"),
        };
        format!("{message}.{}", encode(signature))
    }
}

/// The provider.
#[derive(Clone)]
pub struct IdentityProvider {
    pub url: String,
    state: Arc<Mutex<Book>>,
    clock: Clock,
}

struct Book {
    keys: Arc<Keys>,
    /// Whether the key set answers.
    serves_keys: bool,
    key_fetches: u32,
    token_calls: u32,
    /// Laid over what an ID token says; null takes a claim out.
    claims: Value,
    /// What it tells of the person beside the ID token; nothing is an outage.
    userinfo: Option<Value>,
    /// Laid over what the provider says of itself.
    metadata: Value,
    /// What was asked for, by code.
    codes: BTreeMap<String, BTreeMap<String, String>>,
}

impl IdentityProvider {
    pub async fn start(clock: Clock) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(Book {
                keys: Arc::new(Keys::new("k1")),
                serves_keys: true,
                key_fetches: 0,
                token_calls: 0,
                claims: json!({}),
                userinfo: None,
                metadata: json!({}),
                codes: BTreeMap::new(),
            })),
            clock,
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/keys", get(keys))
            .route("/userinfo", get(userinfo))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    /// What ID tokens say from now on, besides what they must.
    pub fn tells(&self, claims: Value) {
        self.state.lock().unwrap().claims = claims;
    }

    /// What it tells of the person beside the ID token from now on.
    pub fn informs(&self, userinfo: Option<Value>) {
        self.state.lock().unwrap().userinfo = userinfo;
    }

    /// What the provider says of itself from now on.
    pub fn describes(&self, metadata: Value) {
        self.state.lock().unwrap().metadata = metadata;
    }

    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.state.lock().unwrap().keys)
    }

    pub fn rotate(&self, keys: Keys) {
        self.state.lock().unwrap().keys = Arc::new(keys);
    }

    pub fn serve_keys(&self, serves: bool) {
        self.state.lock().unwrap().serves_keys = serves;
    }

    pub fn key_fetches(&self) -> u32 {
        self.state.lock().unwrap().key_fetches
    }

    pub fn token_calls(&self) -> u32 {
        self.state.lock().unwrap().token_calls
    }

    pub fn now(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// The settings of a product that signs people in here.
    pub fn settings(&self) -> BTreeMap<String, String> {
        [
            ("WORKBENCH_OIDC_ISSUER", self.url.clone()),
            ("WORKBENCH_OIDC_CLIENT_ID", CLIENT.to_owned()),
            ("WORKBENCH_OIDC_CLIENT_SECRET", SECRET.to_owned()),
            ("WORKBENCH_OIDC_ALLOWED_DOMAINS", "example.test".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Lays `over` over `base`; null takes a member out.
pub fn overlaid(mut base: Value, over: &Value) -> Value {
    for (name, value) in over.as_object().unwrap() {
        let base = base.as_object_mut().unwrap();
        if value.is_null() {
            base.remove(name);
        } else {
            base.insert(name.clone(), value.clone());
        }
    }
    base
}

async fn describe(State(provider): State<IdentityProvider>) -> Json<Value> {
    let url = &provider.url;
    let base = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    let over = provider.state.lock().unwrap().metadata.clone();
    Json(overlaid(base, &over))
}

async fn authorize(
    State(provider): State<IdentityProvider>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], expected, "{asked:?}");
    }
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
    let mut state = provider.state.lock().unwrap();
    let code = format!("code-{}", state.codes.len());
    let mut back = url::Url::parse(&asked["redirect_uri"]).unwrap();
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &asked["state"])
        .append_pair("iss", &provider.url);
    state.codes.insert(code, asked);
    Redirect::to(back.as_str()).into_response()
}

async fn token(
    State(provider): State<IdentityProvider>,
    headers: axum::http::HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    let refused =
        |word: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": word }))).into_response();
    let mut state = provider.state.lock().unwrap();
    state.token_calls += 1;
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:{SECRET}"))
    );
    let by_header = headers
        .get("authorization")
        .is_some_and(|value| *value == *basic);
    let by_form = form
        .get("client_secret")
        .is_some_and(|secret| secret == SECRET);
    if !by_header && !by_form {
        return refused("invalid_client");
    }
    // A code works once.
    let Some(asked) = form.get("code").and_then(|code| state.codes.remove(code)) else {
        return refused("invalid_grant");
    };
    let challenge = encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if challenge != asked["code_challenge"] || form["redirect_uri"] != asked["redirect_uri"] {
        return refused("invalid_grant");
    }
    let now = provider.clock.now().seconds();
    let claims = json!({
        "iss": provider.url, "aud": CLIENT, "sub": "person-1", "iat": now, "exp": now + 300,
        "nonce": asked["nonce"], "email": "carol@example.test", "email_verified": true,
    });
    let claims = overlaid(claims, &state.claims);
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": state.keys.id });
    let token = state.keys.sign(&header, &claims);
    Json(json!({ "access_token": ACCESS, "token_type": "Bearer", "expires_in": 300, "id_token": token }))
        .into_response()
}

async fn userinfo(
    State(provider): State<IdentityProvider>,
    headers: axum::http::HeaderMap,
) -> Response {
    assert_eq!(headers["authorization"], format!("Bearer {ACCESS}"));
    match provider.state.lock().unwrap().userinfo.clone() {
        Some(told) => Json(told).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn keys(State(provider): State<IdentityProvider>) -> Response {
    let mut state = provider.state.lock().unwrap();
    state.key_fetches += 1;
    if !state.serves_keys {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(json!({ "keys": state.keys.public() })).into_response()
}
