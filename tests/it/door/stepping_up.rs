//! A client that is allowed less than a call needs asks its person for more.

use super::*;

fn wanted(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.body);
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert!(challenge.contains("resource_metadata=\""), "{challenge}");
    crate::harness::http::between(challenge, "scope=\"", "\"").unwrap()
}

#[tokio::test]
async fn a_call_that_needs_more_names_all_that_it_needs() {
    let (world, app) = still().await;
    let alice = alice(&app).await;
    let client = Client::register(&app, LOCAL).await;
    let write = "github_save_issue";
    let arguments = json!({ "repo": "acme/site", "title": "x" });

    // Asked without words, a client reads. It sees what it might ask for.
    let reader = client.sign_in(&alice, "").await;
    let mcp = app.mcp(&reader.access);
    assert!(mcp.tools().await.contains(&write.to_owned()));
    assert_eq!(mcp.call("github_get_viewer", json!({})).await.code(), "ok");
    let calls = world.api_calls("github");
    let refusal = mcp.call(write, arguments.clone()).await;
    assert_eq!(wanted(&refusal), "tools:read tools:write");
    assert_eq!(world.api_calls("github"), calls);

    // A header that names another tool than the body does opens nothing.
    let body = json!({ "name": write, "arguments": arguments.clone() });
    let forged = mcp.build(&json!(1), "tools/call", body);
    let (http, request) = forged.build_split();
    let mut request = request.unwrap();
    request
        .headers_mut()
        .insert("mcp-name", "github_get_viewer".parse().unwrap());
    let answer = http.execute(request).await.unwrap();
    assert!(!answer.status().is_success() || !answer.text().await.unwrap().contains("\"items\""));
    assert_eq!(world.api_calls("github"), calls);

    // It asks for them, and may.
    let writer = client.sign_in(&alice, "tools:read tools:write").await;
    let reply = app.mcp(&writer.access).call(write, arguments).await;
    assert_ne!(reply.status, StatusCode::FORBIDDEN, "{}", reply.body);

    // Outside of what it was narrowed to it asks for that as well, and keeps what it has.
    let page = client.ask(&alice, "tools:read").await;
    let back = decide(
        &alice,
        &page,
        "approve",
        &["integration:hubspot".to_owned()],
    )
    .await;
    let narrow = held(&client.exchange(&parameter(&back, "code")).await);
    let mcp = app.mcp(&narrow.access);
    let both = "tools:read integration:github integration:hubspot";
    assert_eq!(
        wanted(&mcp.call("github_get_viewer", json!({})).await),
        both
    );
    assert_eq!(
        wanted(&mcp.read("github://alice-dev/acme/site").await),
        both
    );

    // A personal token cannot grow; its holder hears it from the tool.
    let token = app.token(&alice.row, None, true).await;
    let reply = app
        .mcp(&token)
        .call(write, json!({ "repo": "a/b", "title": "x" }))
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.body["result"]["isError"], true);
}
