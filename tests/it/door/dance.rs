//! The whole way, as a client goes it that knows nothing but the address of the MCP endpoint.

use workbench_mcp::audit::Filter;

use super::*;
use crate::harness::app::for_each_world;

#[tokio::test]
async fn a_client_finds_its_way_from_the_endpoint_alone() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let alice = alice(&app).await;
        let http = plain();

        // Nobody is known: the challenge names the metadata, which names the server.
        let challenge = reply(http.post(format!("{}/mcp", app.url))).await;
        assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
        let text = challenge.headers["www-authenticate"].to_str().unwrap();
        let at = crate::harness::http::between(text, "resource_metadata=\"", "\"").unwrap();
        let resource = reply(http.get(&at)).await.body;
        assert_eq!(resource["resource"], format!("{}/mcp", app.url));
        let issuer = resource["authorization_servers"][0].as_str().unwrap();
        let metadata = reply(http.get(format!("{issuer}/.well-known/oauth-authorization-server")));
        let metadata = metadata.await.body;
        assert_eq!(metadata["issuer"], issuer);
        assert_eq!(
            metadata["code_challenge_methods_supported"],
            json!(["S256"])
        );
        assert_eq!(
            metadata["authorization_response_iss_parameter_supported"],
            true
        );
        assert_eq!(metadata["client_id_metadata_document_supported"], true);
        for (field, path) in [
            ("authorization_endpoint", "/oauth/authorize"),
            ("token_endpoint", "/oauth/token"),
            ("revocation_endpoint", "/oauth/revoke"),
            ("registration_endpoint", "/oauth/register"),
        ] {
            assert_eq!(metadata[field], format!("{}{path}", app.url));
        }

        // The client registers and sends the person, who is not signed in, to sign in and to agree.
        let client = Client::register(&app, WEB).await;
        let browser = Browser::new();
        let stranger = Person {
            browser: browser.clone(),
            ..alice.clone()
        };
        let page = client.ask(&stranger, "tools:read").await;
        assert_eq!(page.url.path(), "/login");
        let next = page.field("next");
        assert!(next.starts_with("/oauth/consent/"), "{next}");
        let form = [("token", alice.mcp.token.as_str()), ("next", &next)];
        let page = browser.post(alice.at("/login"), &form).await;
        let page = browser.follow(page).await;
        assert!(page.text.contains("Allow this client"), "{}", page.text);
        assert!(page.text.contains("Editor") && page.text.contains("unverified"));
        assert!(page.text.contains("client.example.test"));
        let back = decide(&stranger, &page, "approve", &ticked(&page)).await;
        assert!(back.as_str().starts_with(WEB), "{back}");
        assert_eq!(parameter(&back, "state"), "st-4/te");
        assert_eq!(parameter(&back, "iss"), issuer);

        let first = held(&client.exchange(&parameter(&back, "code")).await);
        assert_eq!(first.scope, "tools:read");
        assert!(opens(&app, &first).await);

        // It refreshes when the access token has ended.
        world.advance(Duration::from_mins(30));
        let old = app
            .mcp(&first.access)
            .request("tools/list", json!({}))
            .await;
        assert_eq!(old.status, StatusCode::UNAUTHORIZED);
        let challenge = old.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        let second = held(&client.refresh(&first.refresh).await);
        assert_eq!(second.scope, "tools:read");
        assert!(opens(&app, &second).await);

        // The person sees it and signs it out; nothing of it is left.
        let page = stranger.browser.get(alice.at("/clients")).await;
        assert!(page.text.contains("client.example.test"), "{}", page.text);
        assert!(!page.text.contains("never"), "it was used: {}", page.text);
        let csrf = page.field("csrf");
        let action = crate::harness::http::between(&page.text, "action=\"/clients/", "\"").unwrap();
        let path = alice.at(&format!("/clients/{action}"));
        let foreign = stranger.browser.post(&path, &[("csrf", "x")]).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN);
        assert!(opens(&app, &second).await);
        let page = stranger.browser.post(&path, &[("csrf", &csrf)]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        assert!(!opens(&app, &second).await);
        refused(&client.refresh(&second.refresh).await, 400, "invalid_grant");
        let page = stranger.browser.get(alice.at("/clients")).await;
        assert!(
            page.text.contains("No AI client is signed in"),
            "{}",
            page.text
        );

        // All of it is in the log, and none of the secrets.
        for (kind, times) in [
            ("auth.client_registered", 1),
            ("auth.client_allowed", 1),
            ("auth.client_signed_in", 1),
            ("auth.client_signed_out", 1),
            ("auth.token_refused", 1),
        ] {
            assert_eq!(app.logged(kind).await.len(), times, "{kind}");
        }
        let log = format!("{:?}", app.log(Filter::default()).await);
        for secret in ["wba_", "wbr_", "wbc_", VERIFIER] {
            assert!(!log.contains(secret), "{secret}");
        }
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn tokens_end_by_themselves() {
    let (world, app) = still().await;
    let alice = alice(&app).await;
    let client = Client::register(&app, WEB).await;
    // A code lives for a minute.
    let code = client.code(&alice, "tools:read").await;
    world.advance(Duration::from_mins(1));
    refused(&client.exchange(&code).await, 400, "invalid_grant");
    // A refresh token that nobody uses lives for thirty days.
    let idle = client.sign_in(&alice, "tools:read").await;
    world.advance(Duration::from_hours(30 * 24));
    refused(&client.refresh(&idle.refresh).await, 400, "invalid_grant");
    // One that is used lives on, but not for ever.
    alice.sign_in().await;
    let mut held_now = client.sign_in(&alice, "tools:read").await;
    for _ in 0..7 {
        world.advance(Duration::from_hours(25 * 24));
        held_now = held(&client.refresh(&held_now.refresh).await);
    }
    world.advance(Duration::from_hours(6 * 24));
    refused(
        &client.refresh(&held_now.refresh).await,
        400,
        "invalid_grant",
    );
}

#[tokio::test]
async fn a_client_signs_out() {
    let (_world, app) = still().await;
    let alice = alice(&app).await;
    let client = Client::register(&app, WEB).await;
    let other = Client::register(&app, WEB).await;
    let url = format!("{}/oauth/revoke", app.url);
    let revoke = async |id: &str, token: &str| {
        let form = [("client_id", id), ("token", token)];
        reply(plain().post(&url).form(&form)).await
    };
    for by in ["refresh", "access"] {
        let held = client.sign_in(&alice, "tools:read").await;
        let token = if by == "refresh" {
            &held.refresh
        } else {
            &held.access
        };
        // Somebody else's client cannot, and is not told whether there was something to revoke.
        assert_eq!(revoke(&other.id, token).await.status, StatusCode::OK);
        assert!(opens(&app, &held).await, "{by}");
        assert_eq!(
            revoke(&client.id, "wbr_unknown").await.status,
            StatusCode::OK
        );
        assert_eq!(revoke(&client.id, token).await.status, StatusCode::OK);
        assert!(!opens(&app, &held).await, "{by}");
        refused(&client.refresh(&held.refresh).await, 400, "invalid_grant");
    }
    refused(
        &revoke("client-unknown", "wbr_x").await,
        401,
        "invalid_client",
    );
    let nothing = reply(plain().post(&url).form(&[("client_id", &client.id)])).await;
    refused(&nothing, 400, "invalid_request");
}

#[tokio::test]
async fn addresses_come_from_the_settings_and_never_from_a_request() {
    let (_world, app) = still().await;
    let get = async |path: &str, host: Option<&str>| {
        let mut request = plain().get(format!("{}{path}", app.url));
        if let Some(host) = host {
            request = request
                .header("host", host)
                .header("x-forwarded-host", host)
                .header("x-forwarded-proto", "gopher")
                .header("forwarded", format!("host={host}"));
        }
        reply(request).await
    };
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let own = get(path, None).await;
        assert_eq!(own.status, StatusCode::OK);
        for host in ["evil.test", "127.0.0.1", "localhost:1"] {
            let other = get(path, Some(host)).await;
            assert_eq!(own.body, other.body, "{path} {host}");
        }
    }
    for path in [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
    ] {
        let other = get(path, None).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_do_what_a_public_client_does() {
    let (_world, app) = still().await;
    for (path, allowed) in [
        ("/.well-known/oauth-authorization-server", true),
        ("/.well-known/oauth-protected-resource/mcp", true),
        ("/oauth/token", true),
        ("/oauth/register", true),
        ("/oauth/revoke", true),
        ("/login", false),
        ("/clients", false),
        ("/oauth/authorize", false),
        ("/connections", false),
    ] {
        let request = plain()
            .request(reqwest::Method::OPTIONS, format!("{}{path}", app.url))
            .header("origin", "https://inspector.example.test")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let preflight = reply(request).await;
        let origin = preflight.headers.get("access-control-allow-origin");
        assert_eq!(origin.is_some(), allowed, "{path}");
        let cookies = preflight.headers.get("access-control-allow-credentials");
        assert_eq!(cookies, None, "{path}");
    }
}
