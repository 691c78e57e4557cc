//! The life of a connection.

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use workbench_mcp::audit::Filter;

use super::*;
use crate::harness::process;

/// The id of the person's connection to this account.
async fn id_of(app: &TestApp, person: &Person, label: &str) -> String {
    let rows = app.rows(person).await;
    let row = rows.iter().find(|row| row.label == label);
    row.unwrap_or_else(|| panic!("{label} in {rows:?}"))
        .id
        .to_string()
}

#[tokio::test]
async fn from_nothing_to_connected_to_nothing() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    assert_eq!(alice.mcp.tools().await, Vec::<String>::new());
    assert_eq!(alice.mcp.blocks().await, Vec::<String>::new());
    let missing = alice.viewer().await;
    assert_eq!(missing.code(), "connection_missing");
    assert_eq!(missing.error()["action_url"], alice.at("/connect/github"));

    let wanted =
        json!({ "notifications": { "toolsListChanged": true, "resourcesListChanged": true } });
    let listening = alice.mcp.build(&json!(7), "subscriptions/listen", wanted);
    let mut events = listening.send().await.unwrap().bytes_stream();
    let mut heard = String::new();
    let mut hear = async |word: &str| {
        let told = tokio::time::timeout(Duration::from_secs(20), async {
            while !heard.contains(word) {
                let more = events.next().await.expect("the stream ended").unwrap();
                heard.push_str(&String::from_utf8_lossy(&more));
            }
        });
        told.await.unwrap_or_else(|_| panic!("no {word}"));
        heard.clear();
    };

    let done = alice.connect("github", "alice-dev").await;
    assert!(
        done.text.contains("alice-dev is connected"),
        "{}",
        done.text
    );
    hear("notifications/tools/list_changed").await;
    hear("notifications/resources/list_changed").await;
    assert!(
        alice
            .mcp
            .tools()
            .await
            .contains(&"github_get_viewer".to_owned())
    );
    assert!(
        alice
            .mcp
            .blocks()
            .await
            .contains(&"github_issue".to_owned())
    );
    assert_eq!(alice.viewer().await.items()[0]["id"], "alice-dev");
    assert_eq!(alice.mcp.status("github").await.0, "Connected");
    let page = alice.browser.get(alice.at("/connections")).await;
    assert!(page.text.contains("alice-dev") && page.text.contains("status Connected"));
    let template = "github://{account}/{owner}/{repo}";
    let names = alice
        .mcp
        .complete(template, "account", "al", json!({}))
        .await;
    assert_eq!(names, ["alice-dev"]);

    let id = id_of(&app, &alice, "alice-dev").await;
    let said = alice.disconnect(&id).await;
    assert_eq!(said.status, StatusCode::OK);
    assert!(
        said.text
            .contains("GitHub confirmed that the access is revoked"),
        "{}",
        said.text
    );
    hear("notifications/tools/list_changed").await;
    assert!(world.report("github").grants[0].revoked);
    assert_eq!(app.rows(&alice).await, []);
    assert_eq!(alice.mcp.tools().await, Vec::<String>::new());
    assert_eq!(alice.viewer().await.code(), "connection_missing");
    for kind in ["connection.connected", "connection.disconnected"] {
        assert_eq!(app.logged(kind).await.len(), 1, "{kind}");
    }
    app.verify().await;
}

#[tokio::test]
async fn several_accounts_of_one_provider() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("hubspot", "4711").await;
    let only = alice.mcp.call("hubspot_get_account", json!({})).await;
    let first = only.account().to_owned();
    // Choices stand in the order in which they were connected.
    world.advance(Duration::from_secs(1));
    alice.connect("hubspot", "4712").await;
    let second = "acme-partners.example.test";
    assert_ne!(first, second);

    let asked = alice.mcp.call("hubspot_get_account", json!({})).await;
    assert_eq!(asked.code(), "ambiguous_account");
    assert_eq!(asked.error()["choices"], json!([first, second]));
    for (name, portal) in [(first.as_str(), "4711"), (second, "4712")] {
        let picked = alice
            .mcp
            .call("hubspot_get_account", json!({ "account": name }))
            .await;
        assert_eq!(picked.account(), name);
        assert_eq!(picked.items()[0]["id"], portal, "{:?}", picked.body);
    }
    let nobody = alice
        .mcp
        .call("hubspot_get_account", json!({ "account": "nobody" }))
        .await;
    assert_eq!(nobody.code(), "ambiguous_account");
    assert_eq!(nobody.error()["choices"], json!([first, second]));

    // One of them gone, the other one is meant again.
    let id = id_of(&app, &alice, second).await;
    let said = alice.disconnect(&id).await;
    assert!(
        said.text.contains("confirmed that the access is revoked"),
        "{}",
        said.text
    );
    let left = alice.mcp.call("hubspot_get_account", json!({})).await;
    assert_eq!(left.account(), first);
}

#[tokio::test]
async fn what_was_not_granted_is_hidden_and_refused() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let consent = alice.begin("/connect/hubspot").await;
    let form = [
        ("decision", "approve"),
        ("account", "4711"),
        ("narrowed", "1"),
        ("scope", "tickets"),
    ];
    let back = alice.decide(&consent, &form).await;
    let page = alice.browser.get(back.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(page.text.contains("is connected"), "{}", page.text);
    assert!(
        page.text.contains("Not allowed: ") && page.text.contains("crm.objects.contacts.write")
    );
    assert!(!page.text.contains("tickets,"), "{}", page.text);

    let tools = alice.mcp.tools().await;
    assert!(
        tools.contains(&"hubspot_search_records".to_owned()),
        "{tools:?}"
    );
    assert!(
        !tools.contains(&"hubspot_log_activity".to_owned()),
        "{tools:?}"
    );
    let before = world.api_calls("hubspot");
    let note = json!({ "kind": "note", "body": "hello", "on": ["contacts/101"] });
    let refused = alice.mcp.call("hubspot_log_activity", note.clone()).await;
    assert_eq!(refused.code(), "insufficient_scope");
    assert_eq!(
        refused.error()["missing_scopes"],
        json!(["crm.objects.contacts.write"])
    );
    let link = refused.error()["action_url"].as_str().unwrap().to_owned();
    assert!(
        link.starts_with(&alice.at("/connect/hubspot?reconnect=con_")),
        "{link}"
    );
    assert_eq!(world.api_calls("hubspot"), before, "nothing was tried");

    // Connecting again with everything allowed turns it on, on the same connection.
    let id = app.row(&alice).await.id;
    alice.connect("hubspot", "4711").await;
    assert_eq!(app.row(&alice).await.id, id);
    assert_eq!(
        alice.mcp.call("hubspot_log_activity", note).await.code(),
        "ok"
    );
}

#[tokio::test]
async fn saying_no_connects_nothing() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let consent = alice.begin("/connect/github").await;
    let back = alice.decide(&consent, &[("decision", "deny")]).await;
    let page = alice.browser.get(back.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(page.text.contains("You did not approve"), "{}", page.text);
    assert_eq!(app.rows(&alice).await, []);
    assert_eq!(world.report("github").counters.token_calls.len(), 0);
    let refused = app.logged("connection.refused").await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].outcome, "refused");
}

#[tokio::test]
async fn what_is_switched_off_is_not_connected() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let consent = alice.begin("/connect/github").await;
    let back = alice.approve(&consent, "alice-dev").await;
    let csrf = alice.browser.get(alice.at("/tokens")).await.field("csrf");
    let switch = async |off: bool| {
        for id in ["github", "sentry"] {
            let since = off.then(|| world.clock.now());
            app.store.set_integration(app.org, id, since).await.unwrap();
        }
        app.rulebook.forget();
    };
    switch(true).await;
    let form = [("csrf", csrf.as_str()), ("key", "sandbox-key-of-alice")];
    for page in [
        alice.browser.get(alice.at("/connect/github")).await,
        alice.browser.post(alice.at("/connect/github"), &form).await,
        alice.browser.get(back.as_str()).await,
        alice
            .browser
            .post(alice.at("/connect/sentry/key"), &form)
            .await,
    ] {
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.url);
        assert!(page.text.contains("is switched off"), "{}", page.text);
    }
    assert_eq!(app.rows(&alice).await, []);
    assert_eq!(world.report("github").counters.token_calls.len(), 0);
    assert_eq!(world.api_calls("sentry"), 0);
    // On again, the attempt that was under way goes on.
    switch(false).await;
    let page = alice.browser.get(back.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(page.text.contains("is connected"), "{}", page.text);
}

#[tokio::test]
async fn what_was_begun_is_done_when_the_browser_goes_away() {
    let world = World::running(crate::harness::database::sqlite()).await;
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    let gives_up = async |asking: BoxFuture<'_, Page>| {
        let answer = tokio::time::timeout(Duration::from_secs(2), asking).await;
        assert!(answer.is_err());
    };
    let stall = Fault::Stall { ms: 5_000 };
    let consent = alice.begin("/connect/github").await;
    let back = alice.approve(&consent, "alice-dev").await;
    world.misbehave("github", Place::Api, 1, stall.clone());
    gives_up(Box::pin(alice.browser.get(back.as_str()))).await;
    until("the account", async || {
        app.logged("connection.connected").await.pop()
    })
    .await;
    let id = app.row(&alice).await.id.to_string();
    let csrf = alice.browser.get(alice.at("/tokens")).await.field("csrf");
    world.misbehave("github", Place::Revocation, 1, stall);
    let path = alice.at(&format!("/connections/{id}/disconnect"));
    let form = [("csrf", csrf.as_str())];
    gives_up(Box::pin(alice.browser.post(path, &form))).await;
    until("the end of it", async || {
        app.logged("connection.disconnected").await.pop()
    })
    .await;
    assert!(world.report("github").grants[0].revoked);
    let gone = until("no account", async || {
        app.rows(&alice).await.is_empty().then_some(())
    });
    gone.await;
}

#[tokio::test]
async fn reconnecting_revives_the_same_account_and_no_other() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    let before = app.row(&alice).await;
    world.tell("github", Command::Revoke { account: None });
    world.advance(Duration::from_mins(16));
    let dead = alice.viewer().await;
    assert_eq!(dead.code(), "reauth_required");
    assert_eq!(alice.mcp.status("github").await.0, "Expired");
    assert_eq!(alice.mcp.tools().await, Vec::<String>::new());
    let page = alice.browser.get(alice.at("/connections")).await;
    let path = format!("/connect/github?reconnect={}", before.id);
    assert!(page.text.contains(&path), "{}", page.text);

    let wrong = alice.connect_at(&path, "bob-ops").await;
    assert!(wrong.text.contains("You chose bob-ops"), "{}", wrong.text);
    // Trying again is still about that account.
    assert!(wrong.text.contains(&path), "{}", wrong.text);
    let rows = app.rows(&alice).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].subject, before.subject);
    assert_eq!(alice.viewer().await.code(), "reauth_required");
    let grants = world.report("github").grants;
    let wrong = grants.iter().find(|grant| grant.account == "bob-ops");
    assert!(wrong.unwrap().revoked, "what was not kept is given back");

    let right = alice.connect_at(&path, "alice-dev").await;
    assert!(
        right.text.contains("alice-dev is connected"),
        "{}",
        right.text
    );
    let after = app.row(&alice).await;
    assert_eq!(after.id, before.id);
    assert!(after.token_version > before.token_version);
    assert_eq!(alice.viewer().await.items()[0]["id"], "alice-dev");
    assert_eq!(app.logged("connection.reconnected").await.len(), 1);
}

#[tokio::test]
async fn a_wrong_account_at_reconnecting_leaves_that_account_alone() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    alice.connect("github", "bob-ops").await;
    let id = id_of(&app, &alice, "alice-dev").await;
    let wrong = alice
        .connect_at(&format!("/connect/github?reconnect={id}"), "bob-ops")
        .await;
    assert!(wrong.text.contains("You chose bob-ops"), "{}", wrong.text);
    let other = alice
        .mcp
        .call("github_get_viewer", json!({ "account": "bob-ops" }))
        .await;
    assert_eq!(other.items()[0]["id"], "bob-ops");
}

#[tokio::test]
async fn disconnecting_says_whether_the_provider_revoked() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("hubspot", "4711").await;
    let id = app.row(&alice).await.id.to_string();
    world.misbehave("hubspot", Place::Revocation, 1, Fault::Fail { status: 503 });
    let said = alice.disconnect(&id).await;
    assert!(
        said.text
            .contains("could not be revoked: the provider answered 503"),
        "{}",
        said.text
    );
    assert_eq!(app.rows(&alice).await, [], "deleted here all the same");
    assert!(!world.report("hubspot").grants[0].revoked);
    let logged = app.logged("connection.disconnected").await;
    assert_eq!(
        logged[0].detail["detail"]["revocation"],
        "not revoked: the provider answered 503"
    );

    // An access token that has ended cannot show the provider which grant is meant; the grant must go all the same.
    alice.connect("github", "alice-dev").await;
    world.advance(Duration::from_mins(16));
    let id = app.row(&alice).await.id.to_string();
    let said = alice.disconnect(&id).await;
    assert!(
        said.text.contains("confirmed that the access is revoked"),
        "{}",
        said.text
    );
    assert!(
        world
            .report("github")
            .grants
            .iter()
            .all(|grant| grant.revoked)
    );

    assert_eq!(alice.disconnect(&id).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_credential_from_elsewhere_is_imported() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let tokens = world.mint("github", "alice-dev", &["repo"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credential.json");
    let credential = json!({
        "access_token": tokens.access_token, "refresh_token": tokens.refresh_token, "expires_in": tokens.expires_in,
        "scopes": ["repo"],
    });
    let import = async |credential: serde_json::Value| {
        std::fs::write(&file, credential.to_string()).unwrap();
        let settings = world.settings(process::free_address());
        let arguments = [
            "connections",
            "import",
            "github",
            "--user",
            "alice@example.test",
            "--credential-file",
        ];
        let arguments: Vec<&str> = arguments.into_iter().chain(file.to_str()).collect();
        process::run(&settings, &arguments).await
    };
    let bad = import(json!({ "access_token": "REDACTED" })).await;
    assert!(!bad.status.success());
    let said = String::from_utf8(bad.stderr).unwrap();
    assert!(
        said.contains("the account cannot be identified") && !said.contains("REDACTED"),
        "{said}"
    );
    assert_eq!(app.rows(&alice).await, []);

    let good = import(credential).await;
    assert!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(said.starts_with("github alice-dev con_"), "{said}");
    // The running server hears of it.
    until("the tools of the imported account", async || {
        let tools = alice.mcp.tools().await;
        (!tools.is_empty()).then_some(())
    })
    .await;
    assert_eq!(app.row(&alice).await.scopes, Some(vec!["repo".to_owned()]));
    let filter = Filter {
        kind: Some("connection.imported".to_owned()),
        ..Filter::default()
    };
    assert_eq!(app.log(filter).await.len(), 1);
}
