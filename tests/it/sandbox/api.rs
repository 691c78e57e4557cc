//! How requests find their exchange.

use super::*;

#[tokio::test]
async fn strict_mode_answers_what_is_listed_and_complains_about_the_rest() {
    let user = json!({ "method": "GET", "path": "/user" });
    let search = json!({ "method": "GET", "path": "/search/issues", "query": { "q": "a b" } });
    let rig = Rig::start(Mode::Strict(exchanges(json!([
        { "request": user, "response": { "status": 503, "text": "busy", "headers": { "x-try": "1" } } },
        { "request": user, "response": { "status": 200, "body": { "login": "REDACTED" } } },
        { "request": search, "response": { "status": 200, "body": [] } },
    ]))))
    .await;
    let tokens = rig.mint("github", "alice-dev");
    let get = |path: &str| rig.get(path, &tokens.access_token).send();
    let busy = get("github/user").await.unwrap();
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["x-try"]),
        (503, &"1".parse().unwrap())
    );
    // As written: nobody's login is put in.
    let user = get("github/user").await.unwrap();
    assert_eq!(
        user.json::<Value>().await.unwrap(),
        json!({ "login": "REDACTED" })
    );
    assert_eq!(
        get("github/search/issues?q=a+c").await.unwrap().status(),
        599
    );
    assert_eq!(
        rig.sandbox.complaints(),
        [
            "github: unexpected: GET /search/issues?q=a+c ",
            "github: unused: GET /search/issues"
        ]
    );
    assert_eq!(
        get("github/search/issues?q=a%20b").await.unwrap().status(),
        200
    );
    assert_eq!(
        rig.report("github").counters.api_calls,
        BTreeMap::from([
            ("GET /search/issues".to_owned(), 2),
            ("GET /user".to_owned(), 2)
        ])
    );
}

#[tokio::test]
async fn relaxed_mode_prefers_the_exact_then_the_closest_success() {
    let search = |query: Value, status: u16, says: &str| {
        json!({
            "request": { "method": "GET", "path": "/search/issues", "query": query },
            "response": { "status": status, "body": { "says": says } },
        })
    };
    let create = |body: Value, says: &str| {
        json!({
            "request": { "method": "POST", "path": "/repos/a/b/issues", "body": body },
            "response": { "status": 201, "body": { "says": says } },
        })
    };
    let rig = Rig::start(Mode::RelaxedOver(exchanges(json!([
        search(json!({ "q": "x" }), 403, "limited"),
        search(json!({ "q": "x" }), 200, "x"),
        search(json!({ "q": "y", "page": "2" }), 200, "y, page 2"),
        search(json!({ "q": "y", "page": "1" }), 200, "y, page 1"),
        search(json!({ "q": "forbidden" }), 422, "unprocessable"),
        create(json!({ "title": "t", "labels": ["a", "b"] }), "two labels"),
        create(json!({ "title": "t" }), "bare"),
        {
            "request": { "method": "GET", "path": "/user" },
            "response": { "status": 200, "body": { "login": "someone", "plan": "free" } },
        },
    ]))))
    .await;
    let tokens = rig.mint("github", "bob-ops");
    let says = async |path: &str| {
        let body = json_of(rig.get(&format!("github/{path}"), &tokens.access_token))
            .await
            .1;
        body["says"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(says("search/issues?q=x").await, "x");
    assert_eq!(says("search/issues?q=x").await, "x");
    assert_eq!(says("search/issues?q=forbidden").await, "unprocessable");
    assert_eq!(says("search/issues?q=z&page=1").await, "y, page 1");
    assert_eq!(says("search/issues?q=y").await, "y, page 2");
    assert_eq!(says("search/issues?q=unheard-of").await, "x");

    for (body, expected) in [
        (json!({ "title": "t", "labels": ["a"] }), "two labels"),
        (json!({ "title": "other" }), "bare"),
    ] {
        let request = rig.http.post(rig.url("github/repos/a/b/issues"));
        let request = request.bearer_auth(&tokens.access_token).json(&body);
        let (status, found) = json_of(request).await;
        assert_eq!((status.as_u16(), text(&found, "says")), (201, expected));
    }

    let (_, user) = json_of(rig.get("github/user", &tokens.access_token)).await;
    assert_eq!(
        (&user["login"], &user["plan"]),
        (&json!("bob-ops"), &json!("free"))
    );
    let (status, body) = json_of(rig.get("github/repos/a/c", &tokens.access_token)).await;
    assert_eq!(
        (status.as_u16(), text(&body, "message")),
        (404, "Not Found")
    );
    assert!(rig.sandbox.complaints().is_empty());
    let nowhere = rig.http.get(rig.url("nobody/user")).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
}

#[tokio::test]
async fn the_compiled_in_fixtures_are_readable_and_current() {
    let on_disk = {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut folders = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|name| name == "json") {
                    let path = path.strip_prefix(&root).unwrap();
                    found.push(path.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    };
    assert_eq!(
        workbench_mcp::sandbox::fixtures::embedded(),
        on_disk,
        "touch src/sandbox/fixtures.rs: the compiler does not see new files in fixtures/ by itself"
    );
    Rig::start(Mode::Relaxed).await.sandbox.stop().await;
}
