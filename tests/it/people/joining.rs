//! The first admin, and invitations.

use std::time::Duration;

use super::*;
use crate::harness::database::sqlite;
use crate::harness::http::between;
use crate::harness::process::{Process, free_address};

#[tokio::test]
async fn twenty_set_ups_at_once_make_one_admin() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let one = app.auth.setup().await.unwrap().expect("nobody is here");
        let other = app
            .auth
            .setup()
            .await
            .unwrap()
            .expect("nobody is here still");
        let attempts = (0..20).map(|number| {
            let code = if number % 2 == 0 { &one } else { &other };
            let (url, code) = (format!("{}/join", app.url), code.expose_secret().to_owned());
            async move {
                let email = format!("p{number}@example.test");
                let form = [
                    ("code", code.as_str()),
                    ("email", &email),
                    ("password", PASSWORD),
                    ("again", PASSWORD),
                ];
                let browser = Browser::new();
                let page = browser.post(&url, &form).await;
                (page.status, browser)
            }
        });
        let done = futures_util::future::join_all(attempts).await;
        let (made, refused): (Vec<_>, Vec<_>) = done
            .into_iter()
            .partition(|(status, _)| *status == StatusCode::SEE_OTHER);
        assert_eq!(made.len(), 1, "{}", world.database.name);
        assert!(
            refused
                .iter()
                .all(|(status, _)| *status == StatusCode::FORBIDDEN)
        );
        let people = app.auth.people(app.org).await.unwrap();
        assert_eq!(people.len(), 1);
        assert_eq!(people[0].role, Role::Admin);
        assert!(is_in(&made[0].1, &app.url).await);
        assert!(app.auth.setup().await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_new_server_prints_a_link_and_a_used_one_does_not() {
    let world = World::running(sqlite()).await;
    let settings = world.settings(free_address());
    let server = Process::serve(&settings).await;
    let told = server.output();
    let link = between(&told, "becomes the admin: ", "\n").expect("the link");
    assert!(
        link.starts_with(&format!("{}/join?code=", server.url)),
        "{link}"
    );
    let browser = Browser::new();
    // Looking at the link does not use it up.
    for _ in 0..2 {
        assert_eq!(browser.get(&link).await.status, StatusCode::OK);
    }
    let code = browser.get(&link).await.field("code");
    let form = [
        ("code", code.as_str()),
        ("email", "Root@Example.test"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let page = browser.post(format!("{}/join", server.url), &form).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    let people = browser.get(format!("{}/admin/people", server.url)).await;
    assert!(people.text.contains("root@example.test"), "{}", people.text);
    server.terminate().await;
    let again = Process::serve(&settings).await;
    assert!(!again.output().contains("/join"), "{}", again.output());
}

#[tokio::test]
async fn an_invitation_is_for_one_person_once_and_for_a_week() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let root = admin(&app, "root@example.test").await;
        let by = workbench_mcp::audit::Actor::System;
        let sales = app.auth.add_group(by, app.org, "Sales");
        let sales = sales.await.unwrap().id.to_string();
        let invite = async |email: &str| {
            let form = [("email", email), ("role", "auditor"), ("group", &sales)];
            let page = submit(&root, "/admin/people/invite", &form).await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.text);
            between(&page.text, "readonly value=\"", "\"").expect("the link")
        };
        let accept = async |link: &str, extra: &[(&str, &str)]| {
            let code = link.split_once("code=").unwrap().1;
            let mut form = vec![("code", code), ("password", PASSWORD), ("again", PASSWORD)];
            form.extend(extra);
            let browser = Browser::new();
            let page = browser.post(format!("{}/join", app.url), &form).await;
            (page, browser)
        };
        let link = invite("Carol@Example.test").await;
        assert!(
            Browser::new()
                .get(&link)
                .await
                .text
                .contains("carol@example.test")
        );
        // The role and the address are the invitation's, whatever the form says.
        let forged = [
            ("email", "eve@example.test"),
            ("role", "admin"),
            ("org_id", "x"),
        ];
        let (page, browser) = accept(&link, &forged).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        assert!(is_in(&browser, &app.url).await);
        let people = app.auth.people(app.org).await.unwrap();
        let carol = people
            .iter()
            .find(|person| person.email == "carol@example.test")
            .unwrap();
        assert_eq!(
            (carol.role, carol.groups[0].1.as_str()),
            (Role::Auditor, "Sales")
        );
        assert_eq!(people.len(), 2);
        for _ in 0..2 {
            assert_eq!(accept(&link, &[]).await.0.status, StatusCode::FORBIDDEN);
        }
        // Somebody who is here is not invited again.
        let page = submit(
            &root,
            "/admin/people/invite",
            &[("email", "carol@example.test")],
        )
        .await;
        assert_eq!(page.status, StatusCode::CONFLICT);
        let page = submit(&root, "/admin/people/invite", &[("email", "nonsense")]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        // Taken back.
        let link = invite("dora@example.test").await;
        let page = root.browser.get(root.at("/admin/people")).await;
        let id = between(&page.text, "/admin/invitations/", "/revoke").unwrap();
        let page = submit(&root, &format!("/admin/invitations/{id}/revoke"), &[]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert_eq!(accept(&link, &[]).await.0.status, StatusCode::FORBIDDEN);
        // A bad choice does not use it up.
        let link = invite("dora@example.test").await;
        for wrong in [
            [("password", "short"), ("again", "short")],
            [("password", PASSWORD), ("again", "x")],
        ] {
            let code = link.split_once("code=").unwrap().1;
            let mut form = vec![("code", code)];
            form.extend(wrong);
            let page = Browser::new()
                .post(format!("{}/join", app.url), &form)
                .await;
            assert_eq!(
                page.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{}",
                page.text
            );
        }
        world.advance(Duration::from_hours(7 * 24 + 1));
        assert_eq!(
            Browser::new().get(&link).await.status,
            StatusCode::FORBIDDEN
        );
        assert_eq!(accept(&link, &[]).await.0.status, StatusCode::FORBIDDEN);
        assert_eq!(app.auth.people(app.org).await.unwrap().len(), 2);
        assert_eq!(app.logged("auth.joined").await.len(), 1);
        // The link is nowhere but where it was shown.
        let log =
            serde_json::to_string(&app.log(workbench_mcp::audit::Filter::default()).await).unwrap();
        assert!(!log.contains(link.split_once("code=").unwrap().1));
    })
    .await;
}
