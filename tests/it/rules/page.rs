//! The admins' page: for admins alone, with the form's token, recorded under their name.

use http::StatusCode;
use workbench_mcp::caller::Role;

use super::connected;
use crate::harness::app::{Person, still};
use crate::harness::http::Page;

const ROUTES: &[(&str, &[(&str, &str)])] = &[
    ("/admin/policy/rules", &[("decision", "deny")]),
    (
        "/admin/policy/rules/rul_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b/remove",
        &[],
    ),
    ("/admin/policy/read-only", &[("state", "on")]),
    ("/admin/policy/after-untrusted", &[("state", "on")]),
    ("/admin/policy/track-mail", &[("state", "on")]),
    (
        "/admin/policy/caps",
        &[("tools", "github_*"), ("per", "person"), ("calls", "5")],
    ),
    ("/admin/policy/limits", &[("person", "5")]),
];

async fn page(person: &Person) -> Page {
    person.browser.get(person.at("/admin/policy")).await
}

#[tokio::test]
async fn the_page_is_there_for_admins_only() {
    let (_world, app) = still().await;
    let visitor = app.person("visitor@example.test").await;
    for (role, status) in [
        (Role::Member, StatusCode::NOT_FOUND),
        (Role::Auditor, StatusCode::NOT_FOUND),
        (Role::Admin, StatusCode::OK),
    ] {
        let person = connected(&app, &format!("{}@example.test", role.as_str()), role).await;
        let csrf = person
            .browser
            .get(person.at("/connections"))
            .await
            .field("csrf");
        let found = page(&person).await;
        assert_eq!(found.status, status, "{role:?}");
        for (path, form) in ROUTES {
            let refused = person.browser.post(person.at(path), form).await;
            let expected = match role {
                Role::Admin => StatusCode::FORBIDDEN,
                Role::Member | Role::Auditor => StatusCode::NOT_FOUND,
            };
            assert_eq!(
                refused.status, expected,
                "{role:?} {path} without the form's token"
            );
            if role != Role::Admin {
                let form = [*form, &[("csrf", csrf.as_str())]].concat();
                let refused = person.browser.post(person.at(path), &form).await;
                assert_eq!(refused.status, expected, "{role:?} {path}");
            }
        }
    }
    // Somebody who is not signed in is asked to.
    assert_eq!(page(&visitor).await.status, StatusCode::SEE_OTHER);
    for (path, form) in ROUTES {
        let refused = visitor.browser.post(visitor.at(path), form).await;
        assert_eq!(refused.status, StatusCode::SEE_OTHER, "{path}");
    }
    assert_eq!(app.logged("admin.policy_changed").await.len(), 0);
}

#[tokio::test]
async fn an_admin_sets_caps_and_limits() {
    let (_world, app) = still().await;
    let ada = connected(&app, "ada@example.test", Role::Admin).await;
    let csrf = page(&ada).await.field("csrf");
    let token = ("csrf", csrf.as_str());
    let caps = ada.at("/admin/policy/caps");
    let limits = ada.at("/admin/policy/limits");
    for (path, form, problem) in [
        (
            &caps,
            [
                ("tools", "github_search"),
                ("per", "person"),
                ("calls", "5"),
            ],
            "github_search",
        ),
        (
            &caps,
            [("tools", "github_*"), ("per", "person"), ("calls", "many")],
            "a whole number of calls",
        ),
        (
            &caps,
            [("tools", "github_*"), ("per", "team"), ("calls", "5")],
            "per person or per organization",
        ),
        (
            &limits,
            [("person", "-1"), ("integration", ""), ("", "")],
            "a whole number of calls",
        ),
    ] {
        let refused = ada
            .browser
            .post(path, &[&form[..], &[token]].concat())
            .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{form:?}");
        assert!(refused.text.contains(problem), "{form:?}: {}", refused.text);
        // Nothing of what was written is lost.
        assert!(
            refused.text.contains(&format!("value=\"{}\"", form[0].1)),
            "{}",
            refused.text
        );
    }
    let cap = [
        token,
        ("tools", "github_*"),
        ("per", "person"),
        ("calls", "7"),
    ];
    let shown = ada
        .browser
        .follow(ada.browser.post(&caps, &cap).await)
        .await;
    assert!(
        shown.text.contains("<td class=\"number\">7</td>"),
        "{}",
        shown.text
    );
    let removed = [token, ("tools", "github_*"), ("per", "person")];
    let shown = ada
        .browser
        .follow(ada.browser.post(&caps, &removed).await)
        .await;
    assert!(
        !shown.text.contains("<td class=\"number\">7</td>"),
        "{}",
        shown.text
    );
    let slow = [token, ("person", "2"), ("integration", "")];
    let shown = ada
        .browser
        .follow(ada.browser.post(&limits, &slow).await)
        .await;
    assert!(
        shown
            .text
            .contains("name=\"person\" min=\"1\" max=\"1000000\" value=\"2\""),
        "{}",
        shown.text
    );
    assert_eq!(ada.viewer().await.code(), "ok");
    assert_eq!(ada.viewer().await.code(), "ok");
    assert_eq!(ada.viewer().await.code(), "rate_limited");
    assert_eq!(app.logged("admin.policy_changed").await.len(), 3);
}

#[tokio::test]
async fn an_admin_sets_rules_and_sees_why() {
    let (_world, app) = still().await;
    let ada = connected(&app, "ada@example.test", Role::Admin).await;
    let bob = connected(&app, "bob@example.test", Role::Member).await;
    let shown = page(&ada).await;
    assert!(
        shown.text.contains("There are no rules yet."),
        "{}",
        shown.text
    );
    let csrf = shown.field("csrf");
    let token = ("csrf", csrf.as_str());
    let rules = ada.at("/admin/policy/rules");
    for (form, problem) in [
        (
            &[("decision", "perhaps")][..],
            "is no decision; there are allow, ask, ask_admin, deny",
        ),
        (
            &[("decision", "deny"), ("who", "role:owner")],
            "is no role; there are member, admin, auditor",
        ),
        (
            &[("decision", "deny"), ("who", "group:<b>sales")],
            "here is no group",
        ),
        (
            &[("decision", "deny"), ("place", "/issues")],
            "name the integration too",
        ),
        (
            &[("decision", "deny"), ("tool", "<script>")],
            "o tool or block is called",
        ),
    ] {
        let refused = ada.browser.post(&rules, &[form, &[token]].concat()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{form:?}");
        assert!(refused.text.contains(problem), "{form:?}: {}", refused.text);
        assert!(!refused.text.contains("<script>") && !refused.text.contains("<b>sales"));
    }
    let form = [
        token,
        ("decision", "deny"),
        ("who", "role:member"),
        ("place", "github"),
        ("tool", ""),
        ("effect", "write"),
        ("note", "<i>frozen</i>"),
    ];
    let added = ada.browser.post(&rules, &form).await;
    assert_eq!(added.status, StatusCode::SEE_OTHER, "{}", added.text);
    let shown = ada.browser.follow(added).await;
    assert!(
        shown.text.contains("role member: write calls of github"),
        "{}",
        shown.text
    );
    assert!(!shown.text.contains("<i>frozen"), "{}", shown.text);
    // The process that made the change holds to it at once.
    let hidden = "github_save_issue".to_owned();
    assert!(!bob.mcp.tools().await.contains(&hidden));
    assert!(ada.mcp.tools().await.contains(&hidden));

    let ask = "/admin/policy?user=bob%40example.test&tool=github_save_issue";
    let shown = ada.browser.get(ada.at(ask)).await;
    assert!(
        shown.text.contains("<strong>deny</strong>, not listed"),
        "{}",
        shown.text
    );
    assert!(shown.text.contains("is the closest"), "{}", shown.text);
    for ask in [
        "user=nobody&tool=github_search",
        "user=bob%40example.test&tool=no_such_tool",
    ] {
        let shown = ada
            .browser
            .get(ada.at(&format!("/admin/policy?{ask}")))
            .await;
        assert_eq!(shown.status, StatusCode::OK);
        assert!(
            shown.text.contains("class=\"problem\""),
            "{ask}: {}",
            shown.text
        );
    }

    let switch = ada.at("/admin/policy/read-only");
    let switched = ada.browser.post(&switch, &[token, ("state", "on")]).await;
    assert_eq!(switched.status, StatusCode::SEE_OTHER);
    assert!(!ada.mcp.tools().await.contains(&hidden));
    let switched = ada.browser.post(&switch, &[token, ("state", "off")]).await;
    let shown = ada.browser.follow(switched).await;
    let id = crate::harness::http::between(&shown.text, "admin/policy/rules/", "/remove");
    let remove = ada.at(&format!("/admin/policy/rules/{}/remove", id.unwrap()));
    // Twice is once: a page that is shown in two windows does no harm.
    for _ in 0..2 {
        let removed = ada.browser.post(&remove, &[token]).await;
        assert_eq!(removed.status, StatusCode::SEE_OTHER, "{}", removed.text);
    }
    assert!(bob.mcp.tools().await.contains(&hidden));
    let logged = app.logged("admin.policy_changed").await;
    assert_eq!(logged.len(), 4);
    assert!(logged.iter().all(|entry| entry.user == Some(ada.row.id)));
}
