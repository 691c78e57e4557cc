//! The page that asks, and who may answer.

use http::StatusCode;
use workbench_mcp::caller::Role;

use super::*;
use crate::harness::app::still;
use crate::harness::database::sqlite;

#[tokio::test]
async fn the_page_shows_all_that_is_approved() {
    let (world, app) = still().await;
    rule(&app, "github_save_issue", "ask").await;
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    let body = format!(
        "<script>alert(1)</script> pay\u{202e}roll {}",
        "x".repeat(9_000)
    );
    let arguments = json!({ "repo": "acme/site", "number": 12, "title": "New title", "body": body, "labels": ["ui"] });
    let reply = alice
        .mcp
        .call_in("thread-7", "github_save_issue", arguments)
        .await;
    let path = question(&reply);
    alice.sign_in().await;
    let inbox = alice.browser.get(alice.at("/approvals")).await;
    assert!(inbox.text.contains(&path[1..]), "{}", inbox.text);
    let page = alice.browser.get(alice.at(&path)).await;
    assert_eq!(page.status, StatusCode::OK);
    for shown in [
        "github_save_issue",
        "Create, edit, close, label, assign or comment an issue.",
        "GitHub: alice-dev",
        "alice@example.test",
        "tests 1",
        "thread-7",
        "asked by the tests",
        "acme/site",
        "New title",
        "Checkout button does nothing on mobile",
        // Escaped, revealed and whole.
        "&#60;script&#62;alert(1)",
        "pay\\u{202e}roll",
        &"x".repeat(9_000),
        "Approve once",
    ] {
        let start: String = shown.chars().take(60).collect();
        assert!(page.text.contains(shown), "{start} is not on {}", page.text);
    }
    assert!(!page.text.contains("<script>alert"));
    // The dry run changed nothing and stands in the log as what it was.
    let calls = world.report("github").counters.api_calls;
    assert!(
        !calls
            .keys()
            .any(|call| call.starts_with("PATCH") || call.starts_with("POST")),
        "{calls:?}"
    );
    let previews = app.logged("tool.outcome").await;
    assert_eq!(
        previews
            .iter()
            .filter(|entry| entry.outcome == "ok")
            .count(),
        1
    );
    let form = page.field("csrf");
    let form = [("csrf", form.as_str()), ("decision", "approve")];
    let done = alice.browser.post(alice.at(&path), &form).await;
    assert!(done.text.contains("Approved"), "{}", done.text);
    // Twice is once.
    let again = alice.browser.post(alice.at(&path), &form).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(app.logged("approval.refused").await[0].outcome, "approved");
    let page = alice.browser.get(alice.at(&path)).await;
    assert!(!page.text.contains("Approve once"), "{}", page.text);
    let inbox = alice.browser.get(alice.at("/approvals")).await;
    assert!(inbox.text.contains("Nothing waits"), "{}", inbox.text);
}

#[tokio::test]
async fn only_the_person_who_is_asked_answers_and_only_by_the_form() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let bob = app.person("bob@example.test").await;
    let admin = app
        .auth
        .add_user(app.org, "root@example.test", Role::Admin)
        .await
        .unwrap();
    let admin = app.person(&admin.email).await;
    let path = question(&alice.mcp.call(WRITE, issue("mine")).await);
    for who in [&bob, &admin] {
        who.sign_in().await;
        let looked = who.browser.get(who.at(&path)).await;
        assert_eq!(looked.status, StatusCode::FORBIDDEN);
        assert!(!looked.text.contains("mine\""), "{}", looked.text);
        let decided = who.answer(&path, "approve").await;
        assert_eq!(decided.status, StatusCode::FORBIDDEN, "{}", decided.text);
    }
    let refused = app.logged("approval.refused").await;
    assert_eq!(refused.len(), 6, "{refused:?}");
    assert!(refused.iter().all(|entry| entry.outcome == "not_yours"));

    let signed_out = crate::harness::http::Browser::new();
    let page = signed_out.get(alice.at(&path)).await;
    let login = page.location().unwrap();
    assert!(
        login.as_str().contains("/login?next=%2Fapprovals%2Fapr_"),
        "{login}"
    );

    alice.sign_in().await;
    let csrf = alice.browser.get(alice.at(&path)).await.field("csrf");
    for (form, status) in [
        (vec![("decision", "approve")], StatusCode::FORBIDDEN),
        (
            vec![("csrf", "x"), ("decision", "approve")],
            StatusCode::FORBIDDEN,
        ),
        (
            vec![("csrf", csrf.as_str()), ("decision", "maybe")],
            StatusCode::FORBIDDEN,
        ),
    ] {
        let page = alice.browser.post(alice.at(&path), &form).await;
        assert_eq!(page.status, status, "{form:?}");
    }
    for nowhere in [
        "/approvals/apr_00000000000000000000000000000000",
        "/approvals/x",
    ] {
        let page = alice.browser.get(alice.at(nowhere)).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{nowhere}");
    }
    assert_eq!(question(&alice.mcp.call(WRITE, issue("mine")).await), path);
    assert_eq!(issues(&world), 0);
}

#[tokio::test]
async fn what_wants_an_admin_is_decided_by_one() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    rule(&app, WRITE, "ask_admin").await;
    let alice = connected(&app, "alice@example.test").await;
    app.auth
        .add_user(app.org, "root@example.test", Role::Admin)
        .await
        .unwrap();
    let admin = app.person("root@example.test").await;
    let path = question(&alice.mcp.call(WRITE, issue("for an admin")).await);
    let asked = app.logged("tool.outcome").await.len();
    // The person sees it and cannot decide it.
    alice.sign_in().await;
    let page = alice.browser.get(alice.at(&path)).await;
    assert!(
        page.text.contains("An admin has to decide"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("Approve once"));
    assert_eq!(
        alice.answer(&path, "approve").await.status,
        StatusCode::FORBIDDEN
    );
    // The admin sees the question, and what would happen in the person's name only after saying so: that reads with the
    // person's account, so it is recorded as theirs.
    admin.sign_in().await;
    let inbox = admin.browser.get(admin.at("/approvals")).await;
    assert!(inbox.text.contains(&path[1..]), "{}", inbox.text);
    let page = admin.browser.get(admin.at(&path)).await;
    assert!(
        page.text.contains("for an admin") && page.text.contains("Make the dry run"),
        "{}",
        page.text
    );
    assert!(page.text.contains("alice@example.test"));
    assert_eq!(app.logged("tool.outcome").await.len(), asked);
    assert_eq!(
        alice.answer(&path, "preview").await.status,
        StatusCode::FORBIDDEN
    );
    let page = admin.answer(&path, "preview").await;
    assert!(page.text.contains("just now"), "{}", page.text);
    assert_eq!(app.logged("tool.outcome").await.len(), asked + 1);
    let previewed = app.logged("approval.previewed").await;
    assert_eq!(
        previewed.iter().map(|entry| entry.user).collect::<Vec<_>>(),
        [Some(admin.row.id)]
    );
    assert_eq!(admin.answer(&path, "approve").await.status, StatusCode::OK);
    assert_eq!(
        alice.mcp.call(WRITE, issue("for an admin")).await.code(),
        "ok"
    );
    assert_eq!(issues(&world), 1);
    let approved = app.logged("approval.approved").await;
    assert_eq!(approved[0].user, Some(admin.row.id));
}

#[tokio::test]
async fn arguments_are_sealed_and_erased() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let path = question(&alice.mcp.call(WRITE, issue("hush-hush")).await);
    let found = world
        .database
        .numbers("select count(*) from approvals where instr(sealed, 'hush') > 0 or instr(digest, 'hush') > 0")
        .await;
    assert_eq!(found, [0]);
    world.advance(std::time::Duration::from_mins(61));
    app.store.expire_approvals(world.clock.now()).await.unwrap();
    let left = world
        .database
        .numbers("select count(*) from approvals where sealed is not null")
        .await;
    assert_eq!(left, [0]);
    alice.sign_in().await;
    let page = alice.browser.get(alice.at(&path)).await;
    assert!(page.text.contains("They are erased"), "{}", page.text);
    assert!(page.text.contains("expired"), "{}", page.text);
}
