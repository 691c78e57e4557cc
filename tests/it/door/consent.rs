//! What a person sees and decides, and what nobody can decide for them.

use workbench_mcp::integrations;

use super::*;

#[tokio::test]
async fn a_person_can_allow_less_than_is_asked() {
    let (_world, app) = still().await;
    let alice = alice(&app).await;
    let client = Client::register(&app, LOCAL).await;
    for (asked, given, granted) in [
        (
            "tools:read tools:write",
            vec!["every integration"],
            "tools:read",
        ),
        (
            "tools:read tools:write audit:read",
            vec!["tools:write", "integration:github"],
            "tools:read tools:write integration:github",
        ),
        // What was not asked is not given, whatever the form says.
        (
            "tools:read",
            vec!["tools:write", "audit:read", "every integration"],
            "tools:read",
        ),
        (
            "tools:read integration:github",
            vec!["integration:github", "integration:hubspot"],
            "tools:read integration:github",
        ),
    ] {
        let page = client.ask(&alice, asked).await;
        let all = || integrations::ALL.iter();
        let given: Vec<String> = given
            .into_iter()
            .flat_map(|word| match word {
                "every integration" => all().map(|one| format!("integration:{}", one.id)).collect(),
                word => vec![word.to_owned()],
            })
            .collect();
        let back = decide(&alice, &page, "approve", &given).await;
        let held = held(&client.exchange(&parameter(&back, "code")).await);
        assert_eq!(held.scope, granted, "{asked}");
    }
    // No system at all is no answer.
    let page = client.ask(&alice, "tools:read").await;
    let again = answer(&alice, &page, "approve", &[]).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(
        again.text.contains("Tick at least one system"),
        "{}",
        again.text
    );

    // Declining is told to the client, and once only.
    let page = client.ask(&alice, "tools:read").await;
    let back = decide(&alice, &page, "decline", &[]).await;
    assert_eq!(parameter(&back, "error"), "access_denied");
    assert_eq!(parameter(&back, "state"), "st-4/te");
    assert_eq!(parameter(&back, "iss"), app.url);
    let late = answer(&alice, &page, "approve", &ticked(&page)).await;
    assert_eq!(late.status, StatusCode::GONE, "{}", late.text);
    assert_eq!(app.logged("auth.client_declined").await.len(), 1);
}

#[tokio::test]
async fn agreeing_is_remembered_for_exactly_that() {
    let (_world, app) = still().await;
    let alice = alice(&app).await;
    let bob = app.person("bob@example.test").await;
    bob.sign_in().await;
    let body = json!({ "redirect_uris": [WEB, "https://other.example.test/cb", LOCAL, "cursor://app/cb"] });
    let registered = register(&app, &body).await.body;
    let client = |redirect: &str| Client {
        base: app.url.clone(),
        id: registered["client_id"].as_str().unwrap().to_owned(),
        redirect: redirect.to_owned(),
    };
    let web = client(WEB);
    let asks = async |client: &Client, person: &Person, scope: &str| {
        sent_on(&client.ask(person, scope).await).is_none()
    };
    assert!(asks(&web, &alice, "tools:read").await, "the first time");
    web.sign_in(&alice, "tools:read").await;
    assert!(!asks(&web, &alice, "tools:read").await, "the same again");
    assert!(asks(&web, &bob, "tools:read").await, "somebody else");
    assert!(asks(&web, &alice, "tools:read tools:write").await, "more");
    assert!(
        asks(&web, &alice, "tools:read integration:github").await,
        "other"
    );
    assert!(
        asks(
            &client("https://other.example.test/cb"),
            &alice,
            "tools:read"
        )
        .await
    );
    assert!(asks(&Client::register(&app, WEB).await, &alice, "tools:read").await);
    let mut parameters = web.parameters("tools:read");
    parameters.insert("prompt".to_owned(), "consent".to_owned());
    let page = web.ask_with(&alice, &parameters).await;
    assert_eq!(sent_on(&page), None, "the client wants it asked");

    // Where anybody could be listening it is asked every time, and said.
    for (redirect, warning) in [
        (LOCAL, "nobody can tell which program it is"),
        ("cursor://app/cb", "whichever application on this computer"),
    ] {
        let local = client(redirect);
        local.sign_in(&alice, "tools:read").await;
        let page = local.ask(&alice, "tools:read").await;
        assert_eq!(page.status, StatusCode::OK, "{redirect}");
        assert!(page.text.contains(warning), "{}", page.text);
    }
    // Signing it out forgets it.
    let page = alice.browser.get(alice.at("/clients")).await;
    let csrf = page.field("csrf");
    alice
        .browser
        .post(alice.at("/clients/sign-out"), &[("csrf", &csrf)])
        .await;
    assert!(asks(&web, &alice, "tools:read").await, "signed out");
}

#[tokio::test]
async fn nobody_answers_in_another_browser_or_from_another_site() {
    let (world, app) = still().await;
    let alice = alice(&app).await;
    let bob = app.person("bob@example.test").await;
    bob.sign_in().await;
    let client = Client::register(&app, LOCAL).await;
    let page = client.ask(&alice, "tools:read").await;
    let set = page.headers["set-cookie"].to_str().unwrap();
    for part in ["workbench-consent=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        policy.ends_with("form-action 'self' http://127.0.0.1:33418"),
        "{policy}"
    );

    // The page of another browser, of the same person or of somebody else.
    let elsewhere = Person {
        browser: Browser::new(),
        ..alice.clone()
    };
    elsewhere.sign_in().await;
    for other in [&elsewhere, &bob] {
        let shown = other.browser.get(page.url.as_str()).await;
        assert_eq!(shown.status, StatusCode::FORBIDDEN, "{}", shown.text);
        assert_eq!(shown.location(), None);
        // A cookie of their own, from a page of their own, does not fit either.
        let own = client.ask(other, "tools:read").await;
        let csrf = own.field("csrf");
        let form = [
            ("csrf", csrf.as_str()),
            ("decision", "approve"),
            ("scope", "integration:github"),
        ];
        let after = other.browser.post(page.url.as_str(), &form).await;
        assert_eq!(after.status, StatusCode::FORBIDDEN, "{}", after.text);
        assert_eq!(after.location(), None);
    }
    // No form token, another one, another site.
    let csrf = page.field("csrf");
    for form in [
        vec![("decision", "approve"), ("scope", "integration:github")],
        vec![
            ("csrf", "x"),
            ("decision", "approve"),
            ("scope", "integration:github"),
        ],
        vec![("csrf", csrf.as_str()), ("scope", "integration:github")],
    ] {
        let after = alice.browser.post(page.url.as_str(), &form).await;
        assert_eq!(after.status, StatusCode::FORBIDDEN, "{form:?}");
    }
    let form = [
        ("csrf", csrf.as_str()),
        ("decision", "approve"),
        ("scope", "integration:github"),
    ];
    for header in [
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let post = reqwest::Method::POST;
        let after = alice
            .browser
            .send(post, page.url.as_str(), &[header], Some(&form))
            .await;
        assert_eq!(after.status, StatusCode::FORBIDDEN, "{header:?}");
    }
    // After all that it is still alice's to decide, until it is too old.
    let second = client.ask(&alice, "tools:read").await;
    decide(&alice, &page, "approve", &ticked(&page)).await;
    world.advance(Duration::from_mins(10));
    let late = answer(&alice, &second, "approve", &ticked(&second)).await;
    assert_eq!(late.status, StatusCode::GONE);
    for path in [
        "/oauth/consent/x",
        "/oauth/consent/athz_0196b1d2c3d4700080000000000000ff",
    ] {
        let page = alice.browser.get(alice.at(path)).await;
        assert!(page.status.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn names_on_the_page_are_only_text() {
    let (_world, app) = still().await;
    let alice = alice(&app).await;
    for (name, shown) in [
        ("<script>alert(1)</script>", "script&#62;"),
        ("\"><img src=x>", "&#62;&#60;img"),
        ("Claude\u{202e}\u{200b}", "<strong>Claude</strong>"),
        ("\u{200b}\u{feff}", "<strong>nothing</strong>"),
    ] {
        let body = json!({ "client_name": name, "redirect_uris": [LOCAL], "logo_uri": "https://evil.test/x.png" });
        let registered = register(&app, &body).await;
        let client = Client {
            base: app.url.clone(),
            id: registered.body["client_id"].as_str().unwrap().to_owned(),
            redirect: LOCAL.to_owned(),
        };
        let page = client.ask(&alice, "tools:read").await;
        assert!(page.text.contains(shown), "{name:?}: {}", page.text);
        for never in [
            "<script>alert",
            "<img src=x",
            "evil.test",
            "\u{202e}",
            "\u{200b}",
        ] {
            assert!(!page.text.contains(never), "{name:?}: {}", page.text);
        }
    }
}
