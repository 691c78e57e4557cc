//! Clients that register themselves: what they get, and what a flood of them gets.

use super::*;

#[tokio::test]
async fn the_usable_part_of_a_registration_is_kept() {
    let (_world, app) = still().await;
    let body = json!({
        "client_name": "Cursor",
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
            "http://insecure.example.test/cb",
            "unknown-app://cb",
        ],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "everything",
        "logo_uri": "https://evil.test/logo.png",
        "software_id": 7,
    });
    let registered = register(&app, &body).await;
    assert_eq!(
        registered.status,
        StatusCode::CREATED,
        "{}",
        registered.body
    );
    assert_eq!(registered.headers["cache-control"], "no-store");
    assert_eq!(
        registered.body["redirect_uris"].as_array().unwrap().len(),
        3
    );
    assert_eq!(registered.body["token_endpoint_auth_method"], "none");
    assert!(registered.body.get("client_secret").is_none());
    assert_eq!(app.logged("auth.client_registered").await.len(), 1);
    for (body, word) in [
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (
            json!({ "redirect_uris": ["javascript:alert(1)"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "redirect_uris": "https://client.example.test/cb" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": [WEB], "grant_types": ["implicit"] }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": [WEB], "client_id": "chosen" }),
            "invalid_client_metadata",
        ),
        (json!([]), "invalid_client_metadata"),
        (json!("x"), "invalid_client_metadata"),
    ] {
        refused(&register(&app, &body).await, 400, word);
    }
    let large = json!({ "redirect_uris": [WEB], "client_name": "x".repeat(100_000) });
    assert_eq!(
        register(&app, &large).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn a_flood_stops_at_the_door_and_leaves_little() {
    let (world, app) = still().await;
    let body = json!({ "redirect_uris": [WEB] });
    let mut statuses = BTreeMap::new();
    let mut last = None;
    for _ in 0..300 {
        let reply = register(&app, &body).await;
        *statuses.entry(reply.status.as_u16()).or_insert(0) += 1;
        last = Some(reply);
    }
    assert!(statuses[&201] <= 60, "{statuses:?}");
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [201, 429]);
    let last = last.unwrap();
    assert!(last.headers.contains_key("retry-after"));
    // From many addresses it ends at the cap.
    let many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000) \
        insert into clients select 'client-' || i, (select id from organizations), '', '[]', 0, 9000000000000000 from n";
    world.database.execute(many).await;
    let other = world.app().await;
    refused(
        &register(&other, &body).await,
        429,
        "temporarily_unavailable",
    );
    // A day later there is room again: nobody has used them.
    world
        .database
        .execute("update clients set expires_at = 1")
        .await;
    let registered = register(&other, &body).await;
    assert_eq!(
        registered.status,
        StatusCode::CREATED,
        "{}",
        registered.body
    );
    let left = world.database.numbers("select count(*) from clients").await;
    assert_eq!(left, [1]);
}

#[tokio::test]
async fn a_registration_ends_unless_somebody_signs_in_with_it() {
    let (world, app) = still().await;
    let alice = alice(&app).await;
    let unused = Client::register(&app, WEB).await;
    let used = Client::register(&app, WEB).await;
    used.sign_in(&alice, "tools:read").await;
    world.advance(Duration::from_hours(24));
    alice.sign_in().await;
    let page = unused.ask(&alice, "tools:read").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(
        page.text.contains("registration has expired"),
        "{}",
        page.text
    );
    refused(&unused.refresh("wbr_x").await, 401, "invalid_client");
    used.sign_in(&alice, "tools:read").await;
}

#[tokio::test]
async fn registration_can_be_switched_off() {
    let (mut world, app) = still().await;
    let alice = alice(&app).await;
    let known = Client::register(&app, WEB).await;
    let setting = ("WORKBENCH_REGISTRATION".to_owned(), "off".to_owned());
    world.extra.insert(setting.0, setting.1);
    let app = world.app().await;
    let body = json!({ "redirect_uris": [WEB] });
    refused(&register(&app, &body).await, 403, "access_denied");
    let metadata = format!("{}/.well-known/oauth-authorization-server", app.url);
    let metadata = reply(plain().get(metadata)).await.body;
    assert_eq!(metadata.get("registration_endpoint"), None);
    // Who has registered stays.
    let alice = app.as_seen_here(&alice);
    alice.sign_in().await;
    known.at(&app).sign_in(&alice, "tools:read").await;
}
