//! Removing somebody: out everywhere, at once, with a receipt.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::harness::app::until;
use crate::harness::database::postgres;

#[tokio::test]
async fn a_removed_person_is_out_and_their_accounts_are_revoked() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let root = admin(&app, "root@example.test").await;
        let bob = app.person("bob@example.test").await;
        bob.sign_in().await;
        bob.connect("github", "alice-dev").await;
        bob.connect("hubspot", "alice-sales").await;
        give_password(&app, &bob, PASSWORD).await;
        let id = bob.row.id;
        let page = root
            .browser
            .get(root.at(&format!("/admin/people/{id}/remove")))
            .await;
        assert!(page.text.contains("2 connected accounts"), "{}", page.text);
        let page = submit(&root, &format!("/admin/people/{id}/remove"), &[]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        for part in [
            "bob@example.test is removed",
            "Tokens revoked: 1",
            "GitHub",
            "HubSpot",
        ] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        assert!(page.text.contains(": revoked."), "{}", page.text);
        assert!(!is_in(&bob.browser, &app.url).await);
        assert_eq!(bob.viewer().await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(app.rows(&bob).await, []);
        let page = sign_in(&Browser::new(), &app.url, "bob@example.test", PASSWORD).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        let page = root
            .browser
            .get(root.at(&format!("/admin/people/{id}")))
            .await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        let removed = app.logged("admin.user_removed").await;
        assert_eq!(removed.len(), 1);
        // By the admin, and the disconnecting too.
        let kinds = ["admin.user_removed", "connection.disconnected"];
        for kind in kinds {
            for entry in app.logged(kind).await {
                assert_eq!(entry.user, Some(root.row.id), "{entry:?}");
            }
        }
        // Back again, with nothing of before.
        let again = app
            .auth
            .add_user(app.org, "bob@example.test", Role::Member)
            .await
            .unwrap();
        assert_eq!(again.id, id);
        assert_eq!(bob.viewer().await.status, StatusCode::UNAUTHORIZED);
        let page = sign_in(&Browser::new(), &app.url, "bob@example.test", PASSWORD).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn a_removed_person_is_out_on_every_process_within_a_second() {
    let Some(database) = postgres().await else {
        eprintln!("SKIPPED: there is no PostgreSQL");
        return;
    };
    let world = World::running(database).await;
    let (one, two) = (world.app().await, world.app().await);
    let root = admin(&one, "root@example.test").await;
    let bob = one.person("bob@example.test").await;
    bob.sign_in().await;
    let elsewhere = two.as_seen_here(&bob);
    // Both processes remember the token.
    for person in [&bob, &elsewhere] {
        assert_eq!(
            person.mcp.request("tools/list", json!({})).await.status,
            StatusCode::OK
        );
    }
    let stream = elsewhere
        .mcp
        .build(
            &json!(7),
            "subscriptions/listen",
            json!({ "notifications": { "toolsListChanged": true } }),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let page = submit(&root, &format!("/admin/people/{}/remove", bob.row.id), &[]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let removed = Instant::now();
    let here = bob.mcp.request("tools/list", json!({})).await;
    assert_eq!(here.status, StatusCode::UNAUTHORIZED);
    until("the other process hears of it", async || {
        let reply = elsewhere.mcp.request("tools/list", json!({})).await;
        (reply.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let took = removed.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    // The stream ends by itself.
    let ended = tokio::time::timeout(Duration::from_secs(6), stream.bytes()).await;
    assert!(ended.is_ok(), "the stream goes on");
}
