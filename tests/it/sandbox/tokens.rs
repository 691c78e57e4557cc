//! What codes and tokens are bound to, and what becomes of them.

use super::*;

#[tokio::test]
async fn a_code_is_bound_to_verifier_address_client_and_time_and_works_once() {
    let rig = Rig::relaxed().await;
    let code = rig.code("m365", "alice@example.test").await;
    let form = |name: &'static str, value: &'static str| {
        let mut form = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]);
        form.insert(name, value);
        rig.token("m365", &form.into_iter().collect::<Vec<_>>())
    };
    for (name, value, error) in [
        ("code_verifier", "another", "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        (
            "redirect_uri",
            "http://127.0.0.1:9/elsewhere",
            "invalid_grant",
        ),
        ("redirect_uri", "", "invalid_grant"),
        ("client_id", "another", "invalid_grant"),
        ("client_secret", "", "invalid_client"),
        ("code", "unknown", "invalid_grant"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
    ] {
        let (status, body) = json_of(form(name, value)).await;
        assert_eq!(text(&body, "error"), error, "{name}={value}");
        assert!(status.is_client_error());
    }
    let (status, tokens) = json_of(form("redirect_uri", CALLBACK)).await;
    assert_eq!(status, 200);
    let me = || rig.get("m365/v1.0/me", text(&tokens, "access_token"));
    assert_eq!(json_of(me()).await.1["mail"], "alice@example.test");

    let again = json_of(form("redirect_uri", CALLBACK)).await;
    assert_eq!(again.1["error"], "invalid_grant");
    assert_eq!(json_of(me()).await.0, 401, "reuse takes the grant back");
    assert_eq!(rig.report("m365").counters.reused_codes, 1);

    let late = rig.code("m365", "alice@example.test").await;
    rig.clock.advance(Duration::from_secs(601));
    let (_, body) = json_of(rig.redeem("m365", &late, VERIFIER)).await;
    assert_eq!(body["error"], "invalid_grant");

    // A challenge that an attacker took away is noticed where PKCE is not insisted on.
    let change = [("code_challenge", ""), ("code_challenge_method", "")];
    let form = [("decision", "approve"), ("account", "4711")];
    let query = rig.decide(rig.authorize("hubspot", &change), &form).await;
    let (_, body) = json_of(rig.redeem("hubspot", &query["code"], VERIFIER)).await;
    assert_eq!(body["status"], "BAD_AUTH_CODE");
}

#[tokio::test]
async fn rotation_strict_grace_none_and_family() {
    let rig = Rig::relaxed().await;
    let set = |rotation| {
        let settings = Settings {
            rotation: Some(rotation),
            access_s: Some(60),
            ..Settings::default()
        };
        rig.tell("github", Command::Set(settings));
    };
    let refresh = async |token: &str| json_of(rig.refresh("github", token)).await.1;

    set(Rotation::Strict);
    let first = rig.mint("github", "alice-dev");
    let second = refresh(&first.refresh_token).await;
    assert_eq!(second["expires_in"], 60);
    assert_eq!(
        json_of(rig.get("github/user", &first.access_token)).await.0,
        401,
        "the old access token dies with the refresh token"
    );
    assert_eq!(
        refresh(&first.refresh_token).await["error"],
        "bad_refresh_token"
    );
    let third = refresh(text(&second, "refresh_token")).await;
    assert!(third["access_token"].is_string(), "{third}");
    let report = rig.report("github");
    assert_eq!(report.counters.reused_refresh_tokens, 1);
    assert_eq!(
        report.counters.token_calls,
        BTreeMap::from([("refresh_token".to_owned(), 3)])
    );
    assert_eq!(
        (report.grants[0].refresh_calls, report.grants[0].refreshes),
        (3, 2)
    );

    set(Rotation::StrictFamily);
    refresh(&first.refresh_token).await;
    assert_eq!(
        refresh(text(&third, "refresh_token")).await["error"],
        "bad_refresh_token"
    );
    assert!(rig.report("github").grants[0].revoked);

    set(Rotation::Grace);
    let first = rig.mint("github", "alice-dev");
    let second = refresh(&first.refresh_token).await;
    assert_ne!(second["refresh_token"], first.refresh_token);
    rig.clock.advance(Duration::from_secs(9));
    assert!(refresh(&first.refresh_token).await["access_token"].is_string());
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(
        refresh(&first.refresh_token).await["error"],
        "bad_refresh_token"
    );
    let counters = rig.report("github").counters;
    assert_eq!(
        (counters.grace_reuses, counters.reused_refresh_tokens),
        (1, 3)
    );

    set(Rotation::None);
    let first = rig.mint("github", "alice-dev");
    for _ in 0..2 {
        let again = refresh(&first.refresh_token).await;
        assert_eq!(again["refresh_token"], first.refresh_token);
    }

    // Another client cannot use it, and its own life ends.
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &first.refresh_token),
        ("client_id", "another"),
    ];
    let (_, body) = json_of(rig.token("github", &form)).await;
    assert_eq!(body["error"], "bad_refresh_token");
    rig.clock.advance(Duration::from_hours(181 * 24));
    assert_eq!(
        refresh(&first.refresh_token).await["error"],
        "bad_refresh_token"
    );
}

#[tokio::test]
async fn access_tokens_expire_by_time_and_by_order_and_grants_are_revoked() {
    let rig = Rig::relaxed().await;
    let status = async |token: &str| {
        let (status, body) = json_of(rig.get("hubspot/account-info/v3/details", token)).await;
        (status.as_u16(), body["category"].clone())
    };
    let tokens = rig.mint("hubspot", "4711");
    assert_eq!(status(&tokens.access_token).await.0, 200);
    rig.clock.advance(Duration::from_mins(30));
    let expired = (401, json!("EXPIRED_AUTHENTICATION"));
    assert_eq!(status(&tokens.access_token).await, expired);

    let tokens = rig.mint("hubspot", "4711");
    rig.tell("hubspot", Command::ExpireAccessTokens);
    assert_eq!(status(&tokens.access_token).await, expired);
    let refreshed = json_of(rig.refresh("hubspot", &tokens.refresh_token))
        .await
        .1;
    assert_eq!(status(text(&refreshed, "access_token")).await.0, 200);

    let other = rig.mint("hubspot", "4712");
    let account = Some("4711".to_owned());
    rig.tell("hubspot", Command::Revoke { account });
    assert_eq!(status(text(&refreshed, "access_token")).await.0, 401);
    assert_eq!(status(&other.access_token).await.0, 200);
    assert_eq!(status("made-up").await.0, 401);
    let bare = rig.http.get(rig.url("hubspot/anything"));
    assert_eq!(json_of(bare).await.0, 401);
}

#[tokio::test]
async fn tokens_of_another_account() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let account = "bob-ops".to_owned();
    rig.misbehave(Place::Token, Fault::OtherAccount { account });
    let wrong = json_of(rig.refresh("github", &tokens.refresh_token))
        .await
        .1;
    let user = rig.get("github/user", text(&wrong, "access_token"));
    assert_eq!(json_of(user).await.1["login"], "bob-ops");
    let right = json_of(rig.refresh("github", &tokens.refresh_token))
        .await
        .1;
    let user = rig.get("github/user", text(&right, "access_token"));
    assert_eq!(json_of(user).await.1["login"], "alice-dev");
}
