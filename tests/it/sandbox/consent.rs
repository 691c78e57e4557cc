//! The authorization page, and the way from it to tokens and back out.

use super::*;

#[tokio::test]
async fn github_consent_code_tokens_identity_and_revocation() {
    let rig = Rig::relaxed().await;
    let page = rig
        .http
        .get(rig.authorize("github", &[("client_id", "<app>")]));
    let page = page.send().await.unwrap().text().await.unwrap();
    for shown in [
        "Sandbox GitHub",
        "http://127.0.0.1:9",
        "alice-dev",
        "bob-ops",
        ">one<",
        ">two<",
        "Approve",
        "Deny",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert!(!page.contains("<app>"), "{page}");

    let mut logins = Vec::new();
    let mut first = Value::Null;
    for account in ["alice-dev", "bob-ops"] {
        let tokens = rig.connect("github", account).await;
        assert_eq!(tokens["token_type"], "bearer");
        assert_eq!(tokens["scope"], "one,two");
        assert_eq!(tokens["expires_in"], 900);
        assert_eq!(tokens["refresh_token_expires_in"], 180 * 24 * 3_600);
        let user = json_of(rig.get("github/user", text(&tokens, "access_token"))).await;
        logins.push((user.1["login"].clone(), user.1["id"].clone()));
        if first.is_null() {
            first = tokens;
        }
    }
    assert_eq!(
        logins,
        [
            (json!("alice-dev"), json!(1001)),
            (json!("bob-ops"), json!(1002))
        ]
    );

    let token = text(&first, "access_token");
    let revoke = |secret: &str| {
        rig.http
            .delete(rig.url("github/applications/%61pp/grant"))
            .basic_auth("app", Some(secret))
            .json(&json!({ "access_token": token }))
            .send()
    };
    rig.tell(
        "github",
        Command::RegisterClient {
            client_id: "app".into(),
            client_secret: "right".into(),
        },
    );
    assert_eq!(revoke("wrong").await.unwrap().status(), 401);
    assert_eq!(revoke("right").await.unwrap().status(), 204);
    assert_eq!(revoke("right").await.unwrap().status(), 404);
    let (status, body) = json_of(rig.get("github/user", token)).await;
    assert_eq!(
        (status, text(&body, "message")),
        (StatusCode::UNAUTHORIZED, "Bad credentials")
    );
    let revoked: Vec<_> = rig.report("github").grants;
    assert_eq!(
        revoked
            .iter()
            .map(|grant| grant.revoked)
            .collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(rig.report("github").counters.revocations, 1);
}

#[tokio::test]
async fn github_answers_as_a_form_unless_json_is_asked_for() {
    let rig = Rig::relaxed().await;
    let code = rig.code("github", "alice-dev").await;
    let mut request = rig.redeem("github", &code, VERIFIER).build().unwrap();
    request.headers_mut().insert(ACCEPT, "*/*".parse().unwrap());
    let body = rig.http.execute(request).await.unwrap();
    assert_eq!(
        body.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert!(
        body.text()
            .await
            .unwrap()
            .contains("access_token=sandbox_access_")
    );
}

#[tokio::test]
async fn hubspot_portals_optional_scopes_introspection_and_revocation() {
    let rig = Rig::relaxed().await;
    // Without PKCE, which HubSpot does not insist on; the optional scope is left out by the person.
    let change = [
        ("optional_scope", "three"),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ];
    let form = [
        ("decision", "approve"),
        ("account", "4712"),
        ("narrowed", "1"),
    ];
    let query = rig.decide(rig.authorize("hubspot", &change), &form).await;
    let (status, tokens) = json_of(rig.redeem("hubspot", &query["code"], "")).await;
    assert_eq!(status, 200);
    assert_eq!(tokens["expires_in"], 1_800);
    assert_eq!(tokens["hub_id"], 4712);
    assert_eq!(tokens["scopes"], json!(["one", "two"]));

    let other = rig.connect("hubspot", "4711").await;
    for (tokens, portal) in [(&tokens, 4712), (&other, 4711)] {
        let token = text(tokens, "access_token");
        let details = json_of(rig.get("hubspot/account-info/v3/details", token)).await;
        assert_eq!(details.1["portalId"], portal);
    }
    let owners = rig.get("hubspot/crm/v3/owners", text(&tokens, "access_token"));
    assert_eq!(
        json_of(owners).await.1["results"][0]["email"],
        "alice@acme-partners.example.test"
    );

    let (_, again) = json_of(rig.refresh("hubspot", text(&tokens, "refresh_token"))).await;
    assert_eq!(again["refresh_token"], tokens["refresh_token"]);
    assert_ne!(again["access_token"], tokens["access_token"]);

    let ask = |path: &str, secret: &str| {
        let form = [
            ("client_id", "app"),
            ("client_secret", secret),
            ("token", text(&tokens, "refresh_token")),
        ];
        let url = rig.url(&format!("hubspot/oauth/2026-03/token/{path}"));
        rig.http.post(url).form(&form)
    };
    let (_, introspected) = json_of(ask("introspect", "secret")).await;
    assert_eq!(introspected["active"], true);
    assert_eq!(introspected["hub_domain"], "acme-partners.example.test");
    assert_eq!(ask("revoke", "").send().await.unwrap().status(), 400);
    assert_eq!(ask("revoke", "secret").send().await.unwrap().status(), 200);
    let (_, introspected) = json_of(ask("introspect", "secret")).await;
    assert_eq!(introspected, json!({ "active": false }));
    let (status, body) = json_of(rig.refresh("hubspot", text(&tokens, "refresh_token"))).await;
    assert_eq!(
        (status, text(&body, "status")),
        (StatusCode::BAD_REQUEST, "BAD_REFRESH_TOKEN")
    );
    let details = rig.get(
        "hubspot/account-info/v3/details",
        text(&again, "access_token"),
    );
    assert_eq!(
        json_of(details).await.1["category"],
        "INVALID_AUTHENTICATION"
    );
}

#[tokio::test]
async fn a_standard_provider_takes_basic_authentication_and_narrowed_consent() {
    let rig = Rig::relaxed().await;
    let form = [
        ("decision", "approve"),
        ("account", "bob@example.test"),
        ("narrowed", "1"),
        ("scope", "two"),
        ("scope", "never-asked-for"),
    ];
    let query = rig.decide(rig.authorize("google", &[]), &form).await;
    let form = [
        ("client_id", ""),
        ("client_secret", ""),
        ("grant_type", "authorization_code"),
        ("code", query["code"].as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, body) = json_of(rig.token("google", &form)).await;
    assert_eq!(
        (status, text(&body, "error")),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
    let both = rig
        .redeem("google", &query["code"], VERIFIER)
        .basic_auth("app", Some("s"));
    assert_eq!(json_of(both).await.1["error"], "invalid_request");
    let basic = rig.token("google", &form).basic_auth("app", Some("s"));
    let (status, tokens) = json_of(basic).await;
    assert_eq!((status, text(&tokens, "scope")), (StatusCode::OK, "two"));
    let revoke = rig
        .http
        .post(rig.url("google/revoke"))
        .form(&[("token", text(&tokens, "access_token"))]);
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    assert_eq!(rig.report("google").counters.revocations, 1);
}

#[tokio::test]
async fn deny_and_unacceptable_requests() {
    let rig = Rig::relaxed().await;
    let denied = rig
        .decide(rig.authorize("github", &[]), &[("decision", "deny")])
        .await;
    assert_eq!(denied["error"], "access_denied");
    assert_eq!(denied["state"], "a state");

    // Whoever the client is, it hears of these itself …
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("state", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
    ] {
        let response = rig
            .http
            .get(rig.authorize("github", &[change]))
            .send()
            .await;
        assert_eq!(redirected(&response.unwrap())["error"], error, "{change:?}");
    }
    let mut twice = rig.authorize("github", &[]);
    twice.query_pairs_mut().append_pair("state", "another");
    let response = rig.http.get(twice).send().await.unwrap();
    assert_eq!(redirected(&response)["error"], "invalid_request");

    // … but nothing is sent to an address that cannot be trusted.
    for change in [
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "http://example.test/cb"),
        ("redirect_uri", "https://example.test/cb#x"),
    ] {
        let response = rig
            .http
            .get(rig.authorize("github", &[change]))
            .send()
            .await;
        assert_eq!(response.unwrap().status(), 400, "{change:?}");
    }
    for form in [
        vec![("decision", "maybe")],
        vec![("decision", "approve")],
        vec![("decision", "approve"), ("account", "mallory")],
    ] {
        let url = rig.authorize("github", &[]);
        let response = rig.http.post(url).form(&form).send().await.unwrap();
        assert_eq!(response.status(), 400, "{form:?}");
    }
    assert!(rig.report("github").grants.is_empty());
}
