//! Signing in at an identity provider: who is let in as whom, and what cannot be forged.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use workbench_mcp::audit::Actor;

use super::*;
use crate::harness::database::sqlite;
use crate::harness::identity::{IdentityProvider, Keys};

async fn with_provider(settings: &[(&str, &str)]) -> (World, TestApp, IdentityProvider) {
    let mut world = World::still(sqlite()).await;
    let provider = IdentityProvider::start(world.clock.clone()).await;
    world.extra = provider.settings();
    for (name, value) in settings {
        world
            .extra
            .insert(format!("WORKBENCH_OIDC_{name}"), (*value).to_owned());
    }
    let app = world.app().await;
    (world, app, provider)
}

/// Goes to the provider and comes back; the address of the callback, not yet asked for.
async fn go(browser: &Browser, from: &str) -> Url {
    let there = browser.get(from).await;
    assert_eq!(there.status, StatusCode::SEE_OTHER, "{}", there.text);
    let back = browser.get(there.location().unwrap().as_str()).await;
    back.location().unwrap_or_else(|| panic!("{}", back.text))
}

/// The whole way.
async fn sign_in_there(app: &TestApp, browser: &Browser) -> Page {
    let back = go(browser, &format!("{}/login/sso", app.url)).await;
    browser.get(back.as_str()).await
}

/// Whose page of accounts the browser sees.
async fn who(app: &TestApp, browser: &Browser) -> Option<String> {
    let page = browser.get(format!("{}/connections", app.url)).await;
    crate::harness::http::between(&page.text, "title=\"Password and sign-in\">", "</a>")
}

#[tokio::test]
async fn people_of_allowed_domains_come_in_and_are_the_same_next_time() {
    let (_world, app, provider) = with_provider(&[]).await;
    let browser = Browser::new();
    let login = browser.get(format!("{}/login", app.url)).await;
    assert!(login.text.contains("/login/sso"), "{}", login.text);
    let page = sign_in_there(&app, &browser).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert_eq!(
        who(&app, &browser).await.as_deref(),
        Some("carol@example.test")
    );
    // The address changes there; the person stays who they are.
    provider.tells(json!({ "email": "married@example.test" }));
    let again = Browser::new();
    sign_in_there(&app, &again).await;
    assert_eq!(
        who(&app, &again).await.as_deref(),
        Some("carol@example.test")
    );
    assert_eq!(app.auth.people(app.org).await.unwrap().len(), 1);
    // The cookie of the way is gone.
    assert!(!browser.cookies().contains_key("workbench-sso"));
}

#[tokio::test]
async fn an_address_never_makes_somebody_somebody_else() {
    let (_world, app, provider) = with_provider(&[]).await;
    let victim = app.person("victim@example.test").await;
    for claims in [
        json!({ "email": "victim@example.test" }),
        json!({ "email": "VICTIM@example.test" }),
        json!({ "email": "victim@example.test", "email_verified": false }),
        json!({ "email": "victim@example.test", "sub": victim.row.id }),
        json!({ "email": null, "preferred_username": "victim@example.test" }),
        // Not of an allowed domain, or not proven to be.
        json!({ "email": "eve@evil.test" }),
        json!({ "email": "eve@evil.example.test" }),
        json!({ "email": "eve@example.test", "email_verified": false }),
        json!({ "email": "eve@example.test", "email_verified": null }),
        json!({ "email": null }),
        json!({ "email": "eve@evil.test\n@example.test" }),
    ] {
        provider.tells(claims.clone());
        let browser = Browser::new();
        let page = sign_in_there(&app, &browser).await;
        assert_eq!(
            page.status,
            StatusCode::FORBIDDEN,
            "{claims}: {}",
            page.text
        );
        assert_eq!(who(&app, &browser).await, None);
    }
    let people = app.auth.people(app.org).await.unwrap();
    assert_eq!(people.len(), 1);
    assert!(!people[0].has_identity);
    assert!(app.logged("auth.denied").await.len() >= 11);
}

#[tokio::test]
async fn what_a_provider_answers_is_checked() {
    let (world, app, provider) = with_provider(&[]).await;
    let now = provider.now();
    for claims in [
        json!({ "iss": "https://evil.test" }),
        json!({ "iss": null }),
        json!({ "aud": "somebody-else" }),
        json!({ "aud": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "exp": null }),
        json!({ "exp": now - 61 }),
        json!({ "nbf": now + 120 }),
        json!({ "nonce": null }),
        json!({ "nonce": "another" }),
        json!({ "azp": "somebody-else" }),
    ] {
        provider.tells(claims.clone());
        let browser = Browser::new();
        let page = sign_in_there(&app, &browser).await;
        assert_eq!(
            page.status,
            StatusCode::FORBIDDEN,
            "{claims}: {}",
            page.text
        );
        assert!(!is_in(&browser, &app.url).await, "{claims}");
    }
    provider.tells(json!({}));
    let url = format!("{}/login/sso", app.url);
    let refused = async |browser: &Browser, back: &str, what: &str| {
        let page = browser.get(back).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{what}: {}", page.text);
        assert!(!is_in(browser, &app.url).await, "{what}");
    };
    // Brought back by another browser, or by one that was sent the address.
    let (mine, other) = (Browser::new(), Browser::new());
    let back = go(&mine, &url).await;
    refused(&other, back.as_str(), "no cookie").await;
    go(&other, &url).await;
    refused(&other, back.as_str(), "another cookie").await;
    // Changed on the way.
    let calls = provider.token_calls();
    for (name, value) in [
        ("state", "x"),
        ("iss", "https://evil.test"),
        ("code", ""),
        ("error", "access_denied"),
    ] {
        let browser = Browser::new();
        let mut changed = go(&browser, &url).await;
        let pairs: Vec<(String, String)> = changed.query_pairs().into_owned().collect();
        let mut pairs: Vec<_> = pairs
            .into_iter()
            .filter(|(known, _)| known != name)
            .collect();
        if name == "error" {
            pairs.retain(|(known, _)| known != "code");
        }
        if !value.is_empty() {
            pairs.push((name.to_owned(), value.to_owned()));
        }
        changed.query_pairs_mut().clear().extend_pairs(pairs);
        refused(&browser, changed.as_str(), name).await;
    }
    let browser = Browser::new();
    let mut twice = go(&browser, &url).await;
    twice.query_pairs_mut().append_pair("state", "x");
    refused(&browser, twice.as_str(), "state twice").await;
    assert_eq!(
        provider.token_calls(),
        calls,
        "a forged answer reached the provider"
    );
    // Too late, and once only.
    let browser = Browser::new();
    let late = go(&browser, &url).await;
    world.advance(Duration::from_mins(11));
    refused(&browser, late.as_str(), "late").await;
    let browser = Browser::new();
    let back = go(&browser, &url).await;
    assert_eq!(
        browser.get(back.as_str()).await.status,
        StatusCode::SEE_OTHER
    );
    refused(&Browser::new(), back.as_str(), "replayed").await;
    // New keys are found.
    provider.rotate(Keys::new("k2"));
    world.advance(Duration::from_mins(2));
    assert_eq!(
        sign_in_there(&app, &Browser::new()).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_sign_in_leads_to_pages_of_ours_only() {
    let (_world, app, _provider) = with_provider(&[]).await;
    for (next, expected) in [
        ("/connect/github", "/connect/github"),
        ("/account", "/account"),
        ("https://evil.test/", "/connections"),
        ("//evil.test", "/connections"),
    ] {
        let browser = Browser::new();
        let mut url = Url::parse(&format!("{}/login/sso", app.url)).unwrap();
        url.query_pairs_mut().append_pair("next", next);
        let back = go(&browser, url.as_str()).await;
        let page = browser.get(back.as_str()).await;
        assert_eq!(
            page.location().unwrap().as_str(),
            format!("{}{expected}", app.url)
        );
    }
}

#[tokio::test]
async fn groups_at_the_provider_give_the_role() {
    let settings = [
        ("ADMIN_GROUPS", "g-admins"),
        ("AUDITOR_GROUPS", "g-audit,g-law"),
        ("GROUP_CLAIM", "teams"),
    ];
    let (_world, app, provider) = with_provider(&settings).await;
    app.auth
        .add_user(app.org, "root@example.test", Role::Admin)
        .await
        .unwrap();
    for (claims, expected) in [
        (json!({}), Role::Member),
        (json!({ "teams": ["g-law", "others"] }), Role::Auditor),
        (json!({ "teams": ["g-audit", "g-admins"] }), Role::Admin),
        (json!({ "teams": "g-audit" }), Role::Auditor),
        // Too many groups to list is not "in none".
        (
            json!({ "_claim_names": { "teams": "src1" } }),
            Role::Auditor,
        ),
        (json!({ "groups": ["g-admins"] }), Role::Member),
        (json!({ "teams": [] }), Role::Member),
    ] {
        provider.tells(claims.clone());
        let page = sign_in_there(&app, &Browser::new()).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        let carol = app
            .auth
            .person(app.org, "carol@example.test")
            .await
            .unwrap();
        assert_eq!(carol.role, expected, "{claims}");
    }
    // The last admin stays one, whatever the provider says.
    provider.tells(json!({ "teams": ["g-admins"] }));
    sign_in_there(&app, &Browser::new()).await;
    let root = app.auth.person(app.org, "root@example.test").await.unwrap();
    app.auth
        .set_role(Actor::System, &root, Role::Member)
        .await
        .unwrap();
    provider.tells(json!({ "teams": [] }));
    let page = sign_in_there(&app, &Browser::new()).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    let carol = app
        .auth
        .person(app.org, "carol@example.test")
        .await
        .unwrap();
    assert_eq!(carol.role, Role::Admin);
}

#[tokio::test]
async fn an_invitation_or_a_link_binds_an_identity() {
    let (_world, app, provider) = with_provider(&[("ALLOWED_DOMAINS", "")]).await;
    let root = admin(&app, "root@example.test").await;
    // Nobody comes in uninvited.
    let page = sign_in_there(&app, &Browser::new()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    let page = submit(
        &root,
        "/admin/people/invite",
        &[("email", "dora@example.test"), ("role", "auditor")],
    )
    .await;
    let link = crate::harness::http::between(&page.text, "readonly value=\"", "\"").unwrap();
    let code = link.split_once("code=").unwrap().1;
    let browser = Browser::new();
    let join = format!("{}/login/sso?join={code}", app.url);
    let back = go(&browser, &join).await;
    assert_eq!(
        browser.get(back.as_str()).await.status,
        StatusCode::SEE_OTHER
    );
    // The invitation's address, not the provider's.
    assert_eq!(
        who(&app, &browser).await.as_deref(),
        Some("dora@example.test")
    );
    let page = Browser::new().get(&join).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);

    // Somebody who is signed in links theirs; only with a form of ours, and only while signed in.
    provider.tells(json!({ "sub": "person-2", "email": "elsewhere@evil.test" }));
    let url = format!("{}/login/sso", app.url);
    for token in ["", "forged"] {
        let page = root.browser.get(format!("{url}?link={token}")).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token}");
    }
    let csrf = root.browser.get(root.at("/account")).await.field("csrf");
    let back = go(&root.browser, &format!("{url}?link={csrf}")).await;
    let page = root.browser.get(back.as_str()).await;
    assert!(
        page.location().unwrap().path().ends_with("/account"),
        "{}",
        page.text
    );
    let later = Browser::new();
    sign_in_there(&app, &later).await;
    assert_eq!(
        who(&app, &later).await.as_deref(),
        Some("root@example.test")
    );
    // What is bound is bound.
    provider.tells(json!({ "sub": "person-1" }));
    let csrf = root.browser.get(root.at("/account")).await.field("csrf");
    let back = go(&root.browser, &format!("{url}?link={csrf}")).await;
    let page = root.browser.get(back.as_str()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    // Removed people stay out, and are not made anew.
    let dora = app.auth.person(app.org, "dora@example.test").await.unwrap();
    submit(&root, &format!("/admin/people/{}/remove", dora.id), &[]).await;
    let page = sign_in_there(&app, &Browser::new()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text.contains("no longer a member"), "{}", page.text);
}

#[tokio::test]
async fn entra_is_known_by_tenant_and_object() {
    let tenant = "11111111-2222-3333-4444-555555555555";
    let (_world, app, provider) =
        with_provider(&[("ALLOWED_DOMAINS", ""), ("ALLOWED_TENANTS", tenant)]).await;
    let url = provider.url.clone();
    provider.describes(json!({
        "issuer": format!("{url}/{{tenantid}}/v2.0"),
        "code_challenge_methods_supported": null,
        "authorization_response_iss_parameter_supported": null,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
    }));
    let claims = |tid: &str, issuer: &str, oid: Value| {
        json!({
            "iss": format!("{url}/{issuer}/v2.0"), "tid": tid, "oid": oid, "sub": "pairwise",
            "email": null, "email_verified": null, "preferred_username": "carol@example.test",
        })
    };
    let foreign = "99999999-2222-3333-4444-555555555555";
    for (claims, expected) in [
        (claims(foreign, foreign, json!("o1")), false),
        (claims(tenant, foreign, json!("o1")), false),
        (claims(foreign, tenant, json!("o1")), false),
        (claims(tenant, tenant, Value::Null), false),
        (claims(tenant, tenant, json!("o1")), true),
    ] {
        provider.tells(claims.clone());
        let page = sign_in_there(&app, &Browser::new()).await;
        assert_eq!(
            page.status == StatusCode::SEE_OTHER,
            expected,
            "{claims}: {}",
            page.text
        );
    }
    // Another app's `sub`, the same person.
    let mut other = claims(tenant, tenant, json!("o1"));
    other["sub"] = json!("other");
    provider.tells(other);
    let browser = Browser::new();
    sign_in_there(&app, &browser).await;
    assert_eq!(
        who(&app, &browser).await.as_deref(),
        Some("carol@example.test")
    );
    assert_eq!(app.auth.people(app.org).await.unwrap().len(), 1);
}

#[tokio::test]
async fn wrong_settings_stop_the_start() {
    for (settings, said) in [
        (
            vec![("WORKBENCH_OIDC_ISSUER", "https://id.example.test")],
            "WORKBENCH_OIDC_CLIENT_ID is missing",
        ),
        (
            vec![("WORKBENCH_OIDC_ALLOWED_DOMAINS", "example.test")],
            "WORKBENCH_OIDC_ISSUER is missing",
        ),
        (
            vec![("WORKBENCH_OIDC_ISSUER", "http://id.example.test")],
            "must be a plain https address",
        ),
        (
            vec![("WORKBENCH_ISSUER", "id.example.test")],
            "WORKBENCH_ISSUER is not an address",
        ),
        (
            vec![("WORKBENCH_ISSUER_AUDIENCE", "x")],
            "WORKBENCH_ISSUER is missing",
        ),
        (
            vec![("WORKBENCH_ISSUER_TOKEN_TYPE", "x")],
            "neither `at+jwt` nor `jwt`",
        ),
        (
            vec![("WORKBENCH_TRUSTED_PROXIES", "proxy")],
            "is not a list of networks",
        ),
    ] {
        let mut world = World::still(sqlite()).await;
        for (name, value) in settings {
            world.extra.insert(name.to_owned(), value.to_owned());
        }
        let error = world.try_app().await.err().expect("it starts").to_string();
        assert!(error.contains(said), "{error}");
    }
}
