//! Access tokens of an external issuer at the MCP endpoint (security.md D13, D14).

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::harness::database::sqlite;
use crate::harness::http::McpClient;
use crate::harness::identity::{IdentityProvider, Keys, overlaid};

struct Rig {
    world: World,
    app: TestApp,
    issuer: IdentityProvider,
}

impl Rig {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let mut world = World::still(sqlite()).await;
        let issuer = IdentityProvider::start(world.clock.clone()).await;
        world
            .extra
            .insert("WORKBENCH_ISSUER".to_owned(), issuer.url.clone());
        for (name, value) in settings {
            world
                .extra
                .insert(format!("WORKBENCH_ISSUER_{name}"), (*value).to_owned());
        }
        let app = world.app().await;
        Self { world, app, issuer }
    }

    fn claims(&self, over: &Value) -> Value {
        let now = self.issuer.now();
        let good = json!({
            "iss": self.issuer.url, "aud": format!("{}/mcp", self.app.url), "sub": "person-1", "iat": now,
            "exp": now + 300, "client_id": "workbench", "scope": "openid tools:read tools:write",
            "email": "carol@example.test",
        });
        overlaid(good, over)
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let keys = self.issuer.keys();
        let header = overlaid(
            json!({ "alg": "ES256", "typ": "at+jwt", "kid": keys.id }),
            header,
        );
        keys.sign(&header, &self.claims(claims))
    }

    fn client(&self, token: &str) -> McpClient {
        self.app.mcp(token)
    }

    async fn status(&self, token: &str) -> StatusCode {
        let client = self.client(token);
        client.request("tools/list", json!({})).await.status
    }
}

#[tokio::test]
async fn tokens_of_the_issuer_are_taken_and_forged_ones_are_not() {
    let rig = Rig::start(&[("CLIENTS", "workbench,other")]).await;
    let now = rig.issuer.now();
    let strange = Keys::new("k1");
    let evil = rig.issuer.url.clone() + "/evil";
    for (what, token, good) in [
        ("good", rig.token(&json!({}), &json!({})), true),
        (
            "RSA",
            rig.token(&json!({ "alg": "RS256", "kid": "k1-rsa" }), &json!({})),
            true,
        ),
        (
            "full type",
            rig.token(&json!({ "typ": "application/at+jwt" }), &json!({})),
            true,
        ),
        (
            "several audiences",
            rig.token(
                &json!({}),
                &json!({ "aud": ["x", format!("{}/mcp", rig.app.url)] }),
            ),
            true,
        ),
        (
            "expired 59 s",
            rig.token(&json!({}), &json!({ "exp": now - 59 })),
            true,
        ),
        (
            "none",
            rig.token(&json!({ "alg": "none" }), &json!({})),
            false,
        ),
        (
            "HS256 with the public key",
            rig.token(&json!({ "alg": "HS256", "kid": "k1-rsa" }), &json!({})),
            false,
        ),
        (
            "an algorithm that is not the key's",
            rig.token(&json!({ "alg": "RS256" }), &json!({})),
            false,
        ),
        (
            "jku",
            strange.sign(
                &json!({ "alg": "ES256", "typ": "at+jwt", "kid": "evil", "jku": evil }),
                &rig.claims(&json!({})),
            ),
            false,
        ),
        (
            "jwk",
            strange.sign(
                &json!({ "alg": "ES256", "typ": "at+jwt", "jwk": { "kty": "EC" } }),
                &rig.claims(&json!({})),
            ),
            false,
        ),
        (
            "a foreign key under a known name",
            strange.sign(
                &json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" }),
                &rig.claims(&json!({})),
            ),
            false,
        ),
        (
            "no key's name among two",
            rig.token(&json!({ "kid": null }), &json!({})),
            false,
        ),
        (
            "crit",
            rig.token(&json!({ "crit": ["b64"] }), &json!({})),
            false,
        ),
        (
            "no aud",
            rig.token(&json!({}), &json!({ "aud": null })),
            false,
        ),
        (
            "another aud",
            rig.token(&json!({}), &json!({ "aud": "https://other.test/mcp" })),
            false,
        ),
        (
            "no iss",
            rig.token(&json!({}), &json!({ "iss": null })),
            false,
        ),
        (
            "another iss",
            rig.token(&json!({}), &json!({ "iss": "https://evil.test" })),
            false,
        ),
        (
            "no sub",
            rig.token(&json!({}), &json!({ "sub": null })),
            false,
        ),
        (
            "no exp",
            rig.token(&json!({}), &json!({ "exp": null })),
            false,
        ),
        (
            "expired 61 s",
            rig.token(&json!({}), &json!({ "exp": now - 61 })),
            false,
        ),
        (
            "nbf ahead",
            rig.token(&json!({}), &json!({ "nbf": now + 120 })),
            false,
        ),
        (
            "an ID token",
            rig.token(
                &json!({ "typ": "JWT" }),
                &json!({ "nonce": "x", "scope": null }),
            ),
            false,
        ),
        (
            "no type",
            rig.token(&json!({ "typ": null }), &json!({})),
            false,
        ),
        (
            "another client",
            rig.token(&json!({}), &json!({ "client_id": "evil" })),
            false,
        ),
        (
            "no client",
            rig.token(&json!({}), &json!({ "client_id": null })),
            false,
        ),
        ("garbage", "a.b.c".to_owned(), false),
        ("empty", "..".to_owned(), false),
        ("long", "x".repeat(7_000), false),
    ] {
        let expected = if good {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        assert_eq!(rig.status(&token).await, expected, "{what}");
    }
    // A signature is not moved to other claims.
    let (one, two) = (
        rig.token(&json!({}), &json!({})),
        rig.token(&json!({}), &json!({ "sub": "other" })),
    );
    let (head, _) = two.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", one.rsplit_once('.').unwrap().1);
    assert_eq!(rig.status(&forged).await, StatusCode::UNAUTHORIZED);
    assert_eq!(rig.app.auth.people(rig.app.org).await.unwrap().len(), 1);
    // The metadata names the issuer.
    let url = format!("{}/.well-known/oauth-protected-resource/mcp", rig.app.url);
    let metadata: Value = crate::harness::http::plain()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(metadata["authorization_servers"], json!([rig.issuer.url]));
}

#[tokio::test]
async fn tokens_without_a_type_are_taken_when_the_settings_say_so() {
    let rig = Rig::start(&[("TOKEN_TYPE", "jwt"), ("AUDIENCE", "api://workbench")]).await;
    let aud = "api://workbench";
    for (header, claims, good) in [
        (json!({ "typ": "JWT" }), json!({ "aud": aud }), true),
        (
            json!({ "typ": "JWT" }),
            json!({ "aud": aud, "scope": null, "scp": "tools:read" }),
            true,
        ),
        (json!({ "typ": null }), json!({ "aud": aud }), true),
        (json!({}), json!({ "aud": aud }), true),
        // The MCP address is not the audience when another one is set.
        (json!({ "typ": "JWT" }), json!({}), false),
        (
            json!({ "typ": "JWT" }),
            json!({ "aud": aud, "scope": null }),
            false,
        ),
        (
            json!({ "typ": "JWT" }),
            json!({ "aud": aud, "nonce": "x" }),
            false,
        ),
        (
            json!({ "typ": "JWT" }),
            json!({ "aud": aud, "at_hash": "x" }),
            false,
        ),
        (
            json!({ "typ": "JWT" }),
            json!({ "aud": aud, "typ": "ID" }),
            false,
        ),
        (json!({ "typ": "logout+jwt" }), json!({ "aud": aud }), false),
    ] {
        let expected = if good {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        assert_eq!(
            rig.status(&rig.token(&header, &claims)).await,
            expected,
            "{header} {claims}"
        );
    }
}

#[tokio::test]
async fn an_issuers_people_are_people_of_their_own() {
    let rig = Rig::start(&[]).await;
    let victim = rig.app.person("victim@example.test").await;
    let caller = async |claims: Value| rig.app.auth.bearer(&rig.token(&json!({}), &claims)).await;
    // An address that belongs to somebody is not enough to be them.
    assert!(
        caller(json!({ "email": "victim@example.test", "sub": "eve" }))
            .await
            .is_err()
    );
    let carol = caller(json!({})).await.unwrap();
    assert_eq!(&*carol.email, "carol@example.test");
    assert_eq!(carol.scopes.to_string(), "tools:read tools:write");
    assert_eq!(carol.role, Role::Member);
    let again = caller(
        json!({ "email": "victim@example.test", "scope": "tools:read integration:github other" }),
    )
    .await;
    let again = again.unwrap();
    assert_eq!(again.user, carol.user);
    assert_eq!(again.scopes.to_string(), "tools:read integration:github");
    let nothing = caller(json!({ "scope": "openid" })).await.unwrap();
    assert_eq!(nothing.scopes.to_string(), "");
    let unnamed = caller(json!({ "sub": "nameless", "email": null }))
        .await
        .unwrap();
    assert!(unnamed.email.ends_with("@unnamed.invalid"));
    assert_eq!(rig.app.auth.people(rig.app.org).await.unwrap().len(), 3);
    // Twenty first requests at once are one person.
    let token = rig.token(
        &json!({}),
        &json!({ "sub": "new", "email": "new@example.test" }),
    );
    let first = futures_util::future::join_all((0..20).map(|_| rig.status(&token))).await;
    assert!(
        first.iter().all(|status| *status == StatusCode::OK),
        "{first:?}"
    );
    assert_eq!(rig.app.auth.people(rig.app.org).await.unwrap().len(), 4);
    // Removed, they are out although their token lives on; and a token gives no browser session.
    let root = admin(&rig.app, "root@example.test").await;
    let token = rig.token(&json!({}), &json!({}));
    assert_eq!(rig.status(&token).await, StatusCode::OK);
    let page = Browser::new()
        .post(root.at("/login"), &[("token", &token)])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    submit(&root, &format!("/admin/people/{}/remove", carol.user), &[]).await;
    assert_eq!(rig.status(&token).await, StatusCode::UNAUTHORIZED);
    // A read-only token writes nothing, and the log has no token.
    let reader = rig.token(
        &json!({}),
        &json!({ "sub": "reader", "email": null, "scope": "tools:read" }),
    );
    assert!(!rig.app.auth.bearer(&reader).await.unwrap().scopes.write);
    let log = rig.app.log(workbench_mcp::audit::Filter::default()).await;
    assert!(!serde_json::to_string(&log).unwrap().contains(&token[..40]));
    drop(victim);
}

#[tokio::test]
async fn keys_are_fetched_seldom_and_kept_when_the_issuer_is_down() {
    let rig = Rig::start(&[]).await;
    let good = || rig.token(&json!({}), &json!({ "jti": rig.issuer.now() }));
    assert_eq!(rig.status(&good()).await, StatusCode::OK);
    let long = rig.token(&json!({}), &json!({ "exp": rig.issuer.now() + 7_200 }));
    assert_eq!(rig.status(&long).await, StatusCode::OK);
    // Tokens that name keys nobody has.
    let flood = (0..500).map(|number| {
        let token = rig.token(&json!({ "kid": format!("random-{number}") }), &json!({}));
        let auth = rig.app.auth.clone();
        async move { auth.bearer(&token).await.is_err() }
    });
    assert!(
        futures_util::future::join_all(flood)
            .await
            .into_iter()
            .all(|refused| refused)
    );
    assert!(
        rig.issuer.key_fetches() <= 2,
        "{}",
        rig.issuer.key_fetches()
    );
    // The issuer's keys are down for an hour and more: known keys go on.
    rig.issuer.serve_keys(false);
    for _ in 0..7 {
        rig.world.advance(Duration::from_mins(10));
        assert_eq!(rig.status(&good()).await, StatusCode::OK);
    }
    // New keys are found once a minute has passed, and the old ones end then.
    let old = rig.issuer.keys();
    rig.issuer.serve_keys(true);
    rig.issuer.rotate(Keys::new("k2"));
    rig.world.advance(Duration::from_mins(2));
    assert_eq!(rig.status(&good()).await, StatusCode::OK);
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" });
    assert_eq!(
        rig.status(&old.sign(&header, &rig.claims(&json!({}))))
            .await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        rig.status(&long).await,
        StatusCode::UNAUTHORIZED,
        "a withdrawn key's token is believed"
    );
    // A token ends when it says, remembered or not.
    let short = rig.token(&json!({}), &json!({ "exp": rig.issuer.now() + 5 }));
    assert_eq!(rig.status(&short).await, StatusCode::OK);
    rig.world.advance(Duration::from_secs(66));
    assert_eq!(rig.status(&short).await, StatusCode::UNAUTHORIZED);
}
