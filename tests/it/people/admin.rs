//! The pages of admins: who gets them, and what they do.

use workbench_mcp::audit::Actor;
use workbench_mcp::rulebook::Draft;
use workbench_mcp::sandbox::Command;

use super::*;
use crate::harness::app::{CLIENT_ID, CLIENT_SECRET};
use crate::harness::database::sqlite;
use crate::harness::http::between;

/// Method, path, form and status.
type Route = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    StatusCode,
);

/// Every route of admins, and the status of a good request by an admin; `{id}` is a member.
const ROUTES: &[Route] = &[
    ("GET", "/admin/people", &[], StatusCode::OK),
    ("GET", "/admin/people/{id}", &[], StatusCode::OK),
    ("GET", "/admin/people/{id}/remove", &[], StatusCode::OK),
    ("GET", "/admin/integrations", &[], StatusCode::OK),
    (
        "POST",
        "/admin/people/invite",
        &[("email", "new@example.test")],
        StatusCode::OK,
    ),
    (
        "POST",
        "/admin/people/{id}/role",
        &[("role", "auditor")],
        StatusCode::SEE_OTHER,
    ),
    (
        "POST",
        "/admin/people/{id}/groups",
        &[],
        StatusCode::SEE_OTHER,
    ),
    (
        "POST",
        "/admin/groups",
        &[("name", "Sales")],
        StatusCode::SEE_OTHER,
    ),
    (
        "POST",
        "/admin/groups/grp_00000000000070008000000000000000/remove",
        &[],
        StatusCode::NOT_FOUND,
    ),
    (
        "POST",
        "/admin/invitations/inv_00000000000070008000000000000000/revoke",
        &[],
        StatusCode::NOT_FOUND,
    ),
    (
        "POST",
        "/admin/integrations/github/switch",
        &[("to", "off")],
        StatusCode::SEE_OTHER,
    ),
    (
        "POST",
        "/admin/integrations/github/app",
        &[("client_id", "x"), ("client_secret", "y")],
        StatusCode::SEE_OTHER,
    ),
    (
        "POST",
        "/admin/integrations/github/toolsets/pulls",
        &[("to", "off")],
        StatusCode::SEE_OTHER,
    ),
    (
        "POST",
        "/admin/integrations/m365/tenant",
        &[("tenant", "organizations")],
        // Its app is set in the server's settings.
        StatusCode::CONFLICT,
    ),
    (
        "POST",
        "/admin/integrations/github/test",
        &[],
        StatusCode::OK,
    ),
    ("POST", "/admin/people/{id}/remove", &[], StatusCode::OK),
];

#[tokio::test]
async fn every_admin_route_exists_for_admins_alone() {
    let (_world, app) = still().await;
    let root = admin(&app, "root@example.test").await;
    let member = app.person("member@example.test").await;
    member.sign_in().await;
    let auditor = app.person("auditor@example.test").await;
    app.auth
        .set_role(Actor::System, &auditor.row, Role::Auditor)
        .await
        .unwrap();
    auditor.sign_in().await;
    let victim = app.person("victim@example.test").await;
    let stranger = Person {
        browser: Browser::new(),
        ..member.clone()
    };
    for (method, path, form, expected) in ROUTES {
        let path = path.replace("{id}", &victim.row.id.to_string());
        let ask = async |person: &Person| {
            if *method == "GET" {
                return person.browser.get(person.at(&path)).await;
            }
            submit(person, &path, form).await
        };
        for person in [&member, &auditor] {
            let page = ask(person).await;
            assert_eq!(
                page.status,
                StatusCode::NOT_FOUND,
                "{} {method} {path}",
                person.row.email
            );
            assert!(!page.text.contains("example.test"), "{}", page.text);
        }
        let url = stranger.at(&path);
        let page = if *method == "GET" {
            stranger.browser.get(url).await
        } else {
            stranger.browser.post(url, form).await
        };
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{method} {path}");
        assert!(page.location().unwrap().path().ends_with("/login"));
        if *method == "POST" {
            let forged = root
                .browser
                .post(root.at(&path), &[("csrf", "forged")])
                .await;
            assert_eq!(forged.status, StatusCode::FORBIDDEN, "{path}");
        }
        let page = ask(&root).await;
        assert_eq!(page.status, *expected, "{method} {path}: {}", page.text);
    }
    // A token that may do everything is no admin's browser.
    let http = crate::harness::http::plain();
    let page = http
        .get(root.at("/admin/people"))
        .bearer_auth(&root.mcp.token)
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn roles_change_and_the_last_admin_stays() {
    let (_world, app) = still().await;
    let root = admin(&app, "root@example.test").await;
    let ann = app.person("ann@example.test").await;
    ann.sign_in().await;
    let own = format!("/admin/people/{}/role", root.row.id);
    let page = submit(&root, &own, &[("role", "member")]).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    assert!(page.text.contains("last admin"), "{}", page.text);
    let page = submit(&root, &format!("/admin/people/{}/remove", root.row.id), &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    let page = submit(
        &root,
        &format!("/admin/people/{}/role", ann.row.id),
        &[("role", "admin")],
    )
    .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    // A new role needs a new session.
    assert!(!is_in(&ann.browser, &app.url).await);
    ann.sign_in().await;
    assert_eq!(
        ann.browser.get(ann.at("/admin/people")).await.status,
        StatusCode::OK
    );
    let page = submit(&root, &own, &[("role", "member")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    root.sign_in().await;
    assert_eq!(
        root.browser.get(root.at("/admin/people")).await.status,
        StatusCode::NOT_FOUND
    );
    let outcomes: Vec<String> = app
        .logged("admin.role_changed")
        .await
        .iter()
        .map(|entry| entry.outcome.clone())
        .collect();
    assert_eq!(outcomes, ["ok", "last_admin", "ok", "ok"]);
}

#[tokio::test]
async fn groups_are_chosen_on_a_persons_page() {
    let (_world, app) = still().await;
    let root = admin(&app, "root@example.test").await;
    let ann = app.person("ann@example.test").await;
    for name in ["Sales", "Legal"] {
        assert_eq!(
            submit(&root, "/admin/groups", &[("name", name)])
                .await
                .status,
            StatusCode::SEE_OTHER
        );
    }
    let groups = app.auth.groups(app.org).await.unwrap();
    let (legal, sales) = (groups[0].id.to_string(), groups[1].id.to_string());
    let path = format!("/admin/people/{}/groups", ann.row.id);
    for (chosen, expected) in [
        (
            vec![("group", legal.as_str()), ("group", sales.as_str())],
            2,
        ),
        (vec![("group", sales.as_str())], 1),
        (vec![], 0),
    ] {
        submit(&root, &path, &chosen).await;
        let caller = app.auth.bearer(&ann.mcp.token).await.unwrap();
        assert_eq!(caller.groups.len(), expected);
    }
    submit(&root, &path, &[("group", &legal)]).await;
    // A rule about the group would be lifted with it.
    let removal = format!("/admin/groups/{legal}/remove");
    let draft = Draft {
        verdict: "deny".to_owned(),
        who: format!("group:{}", groups[0].name),
        ..Draft::default()
    };
    let rule = app.rulebook.add(Actor::System, app.org, draft).await;
    let page = submit(&root, &removal, &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text.contains("rules about"), "{}", page.text);
    let rule = rule.unwrap().id;
    app.rulebook
        .remove(Actor::System, app.org, rule)
        .await
        .unwrap();
    let page = submit(&root, &removal, &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(
        app.auth
            .bearer(&ann.mcp.token)
            .await
            .unwrap()
            .groups
            .is_empty()
    );
}

#[tokio::test]
async fn an_app_is_set_tested_and_never_shown() {
    let mut world = World::still(sqlite()).await;
    // No apps in the environment: an admin sets them.
    for provider in ["GITHUB", "HUBSPOT"] {
        for name in ["CLIENT_ID", "CLIENT_SECRET"] {
            world
                .extra
                .insert(format!("WORKBENCH_APP_{provider}_{name}"), String::new());
        }
    }
    let app = world.app().await;
    let root = admin(&app, "root@example.test").await;
    let page = root.browser.get(root.at("/admin/integrations")).await;
    assert!(
        page.text
            .contains(&format!("{}/oauth/callback/github", app.url)),
        "{}",
        page.text
    );
    for provider in ["github", "hubspot"] {
        let client = Command::RegisterClient {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
        };
        world.tell(provider, client);
        for (id, secret, expected, said) in [
            (
                CLIENT_ID,
                "wrong-credential",
                "bad",
                "does not accept the app",
            ),
            (CLIENT_ID, CLIENT_SECRET, "good", "knows the client id"),
        ] {
            let form = [("client_id", id), ("client_secret", secret)];
            let page = submit(&root, &format!("/admin/integrations/{provider}/app"), &form).await;
            assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
            let page = submit(&root, &format!("/admin/integrations/{provider}/test"), &[]).await;
            let tone = between(&page.text, "card message ", "\"").unwrap();
            assert_eq!(tone, expected, "{provider} {id}: {}", page.text);
            assert!(page.text.contains(said), "{}", page.text);
        }
    }
    for form in [
        [("client_id", ""), ("client_secret", "x")],
        [("client_id", "x"), ("client_secret", "two words")],
    ] {
        let page = submit(&root, "/admin/integrations/github/app", &form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let ann = app.person("ann@example.test").await;
    ann.connect("github", "alice-dev").await;
    let page = root.browser.get(root.at("/admin/integrations")).await;
    assert!(!page.text.contains(CLIENT_SECRET) && page.text.contains(CLIENT_ID));
    let github = between(&page.text, "Switch GitHub off", "</section>").unwrap();
    assert!(
        between(&github, "Connected</dt>", "</dd>")
            .unwrap()
            .contains("ann@example.test"),
        "{github}"
    );
    assert!(
        between(&github, "Missing</dt>", "</dd>")
            .unwrap()
            .contains("root@example.test"),
        "{github}"
    );
    let log = serde_json::to_string(&app.logged("admin.app_set").await).unwrap();
    assert!(!log.contains(CLIENT_SECRET), "{log}");

    // Off is hidden and refused; on is back, with the account.
    let page = submit(&root, "/admin/integrations/github/switch", &[("to", "off")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(ann.viewer().await.code(), "blocked_by_policy");
    assert!(
        !ann.mcp
            .tools()
            .await
            .iter()
            .any(|name| name.starts_with("github_"))
    );
    submit(&root, "/admin/integrations/github/switch", &[("to", "on")]).await;
    assert_eq!(ann.viewer().await.code(), "ok");
    for kind in ["admin.integration_disabled", "admin.integration_enabled"] {
        assert_eq!(app.logged(kind).await[0].user, Some(root.row.id));
    }
}
