//! Every secret carries a marker, and after a run through everything that can go well or wrong no marker is to be found in
//! anything that is kept, printed or answered (security.md A1, A9, H5).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use http::StatusCode;
use serde_json::json;
use workbench_mcp::sandbox::{Command, Fault, Place};

use crate::harness::app::{CLIENT_SECRET, World};
use crate::harness::database::sqlite;
use crate::harness::http::{Browser, reply};
use crate::harness::process::{self, Process, free_address};

/// A key that is pasted, and one that the provider does not know.
const PASTED: &str = "sandbox-key-of-alice";
const WRONG: &str = "no-key-of-anybody-0815";

/// The ways in which a text can stand in a file: as it is, in hexadecimal digits, within base64 of either alphabet at each
/// of the three alignments, and percent-encoded.
fn disguises(marker: &str) -> Vec<String> {
    let hex = |upper: bool| -> String {
        let digits = marker.bytes().map(|byte| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        });
        digits.collect()
    };
    let mut all = vec![marker.to_owned(), hex(false), hex(true)];
    for engine in [&STANDARD, &URL_SAFE] {
        for before in 0..3 {
            let padded = [vec![0; before], marker.as_bytes().to_vec()].concat();
            let whole = engine.encode(&padded);
            // The characters that depend on what stands before and after are cut off.
            let start = [0, 2, 3][before];
            let end = whole.trim_end_matches('=').len() - usize::from(padded.len() % 3 != 0);
            all.push(whole[start..end].to_owned());
        }
    }
    let encoded = url::form_urlencoded::byte_serialize(marker.as_bytes()).collect::<String>();
    let percent = marker
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect::<Vec<_>>()
        .concat();
    all.extend([encoded, percent]);
    all.sort();
    all.dedup();
    all
}

#[test]
fn a_disguised_marker_is_found() {
    for text in ["x", "xy", "xyz", ""] {
        let hidden = format!("{text}marker-0815{text}");
        for found in [
            hidden.clone(),
            STANDARD.encode(&hidden),
            URL_SAFE.encode(&hidden),
        ] {
            let seen = disguises("marker-0815")
                .iter()
                .any(|shape| found.contains(shape));
            assert!(seen, "{found}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_kept_printed_or_answered_in_the_clear() {
    let mut world = World::running(sqlite()).await;
    world
        .extra
        .insert("WORKBENCH_LOG".to_owned(), "trace".to_owned());
    let alice = {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        app.stop().await;
        alice
    };
    let mut settings = world.settings(free_address());
    let server = Process::serve(&settings).await;
    let mut there = alice.clone();
    there.base.clone_from(&server.url);
    there.mcp.endpoint = format!("{}/mcp", server.url);
    let mut said: Vec<String> = Vec::new();

    // Everything that goes well.
    there.sign_in().await;
    said.push(there.connect("github", "alice-dev").await.text);
    said.push(there.connect("hubspot", "4711").await.text);
    said.push(there.paste(&[("key", PASTED)]).await.text);
    let issues = there.mcp.call("sentry_search_issues", json!({})).await;
    assert_eq!(issues.code(), "ok", "{}", issues.body);
    said.push(issues.body.to_string());
    let secret_cookies = there.browser.cookies();
    said.push(there.viewer().await.body.to_string());
    let note = json!({ "kind": "note", "body": "hello", "on": ["contacts/101"] });
    said.push(
        there
            .mcp
            .call("hubspot_log_activity", note.clone())
            .await
            .body
            .to_string(),
    );
    world.tell("github", Command::ExpireAccessTokens);
    said.push(there.viewer().await.body.to_string());
    assert_eq!(world.refresh_calls("github"), 1);

    // Everything that goes wrong while a secret is in somebody's hand.
    for (provider, tool, arguments) in [
        (
            "github",
            "github_list_issues",
            json!({ "repo": "acme/site" }),
        ),
        ("hubspot", "hubspot_log_activity", note),
    ] {
        for fault in [
            Fault::Echo,
            Fault::Html,
            Fault::Truncate,
            Fault::Fail { status: 500 },
            Fault::Fail { status: 403 },
        ] {
            world.misbehave(provider, Place::Api, 10, fault);
            said.push(
                there
                    .mcp
                    .call(tool, arguments.clone())
                    .await
                    .body
                    .to_string(),
            );
            world.tell(provider, Command::Behave);
        }
    }
    for fault in [Fault::Echo, Fault::Html] {
        world.misbehave("hubspot", Place::Token, 2, fault);
        world.tell("hubspot", Command::ExpireAccessTokens);
        said.push(
            there
                .mcp
                .call("hubspot_get_account", json!({}))
                .await
                .body
                .to_string(),
        );
        world.tell("hubspot", Command::Behave);
    }
    for fault in [Fault::Echo, Fault::Html] {
        let consent = there.begin("/connect/github").await;
        let back = there.approve(&consent, "bob-ops").await;
        world.misbehave("github", Place::Token, 1, fault);
        let page = there.browser.get(back.as_str()).await;
        said.push(there.browser.follow(page).await.text);
        world.tell("github", Command::Behave);
    }
    for fault in [Fault::Echo, Fault::Html, Fault::Fail { status: 403 }] {
        for key in [PASTED, WRONG] {
            world.misbehave("sentry", Place::Api, 1, fault.clone());
            said.push(
                there
                    .paste(&[("key", key), ("server", "localhost")])
                    .await
                    .text,
            );
            said.push(there.paste(&[("key", key)]).await.text);
            world.tell("sentry", Command::Behave);
        }
    }
    let consent = there.begin("/connect/github").await;
    let back = there.approve(&consent, "bob-ops").await;
    said.push(Browser::new().get(back.as_str()).await.text);
    let wrong = back.as_str().replace("state=", "state=x");
    said.push(there.browser.get(&wrong).await.text);
    let token = &there.mcp.token;
    for request in [
        there
            .mcp
            .http
            .post(there.at(&format!("/mcp?access_token={token}"))),
        there.mcp.http.get(there.at(&format!("/nowhere/{token}"))),
        there
            .mcp
            .http
            .post(there.at("/mcp"))
            .bearer_auth(token)
            .body(format!("{{\"token\":\"{token}\"")),
        there
            .mcp
            .http
            .post(there.at("/mcp"))
            .bearer_auth(format!("{token}x")),
    ] {
        said.push(reply(request).await.body.to_string());
    }
    world.tell("github", Command::Revoke { account: None });
    world.tell("github", Command::ExpireAccessTokens);
    let gone = there.viewer().await;
    assert_eq!(gone.code(), "reauth_required");
    said.push(gone.body.to_string());
    said.push(there.browser.get(there.at("/connections")).await.text);
    let metrics = there
        .mcp
        .http
        .get(there.at("/metrics"))
        .send()
        .await
        .unwrap();
    assert_eq!(metrics.status(), StatusCode::OK);
    said.push(metrics.text().await.unwrap());

    // What is kept: the files as they are while the server runs, and what commands say of them.
    let path = world
        .database
        .admin
        .strip_prefix("sqlite://")
        .unwrap()
        .to_owned();
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for end in ["", "-wal", "-shm"] {
        let file = format!("{path}{end}");
        places.push((format!("the database{end}"), std::fs::read(&file).unwrap()));
    }
    settings.insert("WORKBENCH_LISTEN".to_owned(), free_address().to_string());
    for command in [
        &["audit", "export"][..],
        &["audit", "list", "--json"],
        &["connections", "list", "--json"],
        &["tokens", "list", "alice@example.test"],
        &["apps", "list"],
        &["keys", "status"],
        &["doctor"],
    ] {
        let output = process::run(&settings, command).await;
        places.push((command.join(" "), [output.stdout, output.stderr].concat()));
    }
    places.push((
        "the server's output".to_owned(),
        server.terminate().await.into_bytes(),
    ));
    places.push(("answers".to_owned(), said.join("\n").into_bytes()));
    for (place, bytes) in &places {
        assert!(!bytes.is_empty() || place.contains('-'), "{place} is empty");
    }

    let mut markers = vec![
        // What the sandbox hands out begins with these.
        "sandbox_access_".to_owned(),
        "sandbox_refresh_".to_owned(),
        "sandbox_code_".to_owned(),
        CLIENT_SECRET.to_owned(),
        PASTED.to_owned(),
        WRONG.to_owned(),
        there.mcp.token.clone(),
    ];
    markers.extend(
        secret_cookies
            .into_values()
            .filter(|value| value.len() > 20),
    );
    for keys in [
        &world.keys.encryption,
        &world.keys.secret,
        &world.keys.signing,
    ] {
        let material = keys.split_once(':').unwrap().1;
        markers.push(material.trim_end_matches('=').to_owned());
        let raw = STANDARD.decode(material).unwrap();
        markers.push(
            raw.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .concat(),
        );
    }
    assert!(markers.len() >= 11, "{}", markers.len());
    let mut found = Vec::new();
    let places: Vec<_> = places
        .iter()
        .map(|(place, bytes)| (place, String::from_utf8_lossy(bytes)))
        .collect();
    for marker in &markers {
        for shape in disguises(marker) {
            for (place, bytes) in &places {
                if bytes.contains(&shape) {
                    found.push(format!(
                        "{} as {} in {place}",
                        &marker[..12],
                        &shape[..12.min(shape.len())]
                    ));
                }
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}
