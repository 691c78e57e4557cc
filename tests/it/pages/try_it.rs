//! Trying tools and blocks: forms that lose nothing, and answers that are a client's.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use workbench_mcp::integrations;
use workbench_mcp::sandbox::{Fault, Place};

use super::forms::{buttons, controls, fill, part, text, value};
use super::{connected, get, press, rule};
use crate::harness::app::{Person, World, still, until};
use crate::harness::fixtures;
use crate::harness::http::Page;

const WRITE: &str = "github_save_issue";

/// The tool's form as it is shown at first.
async fn opened(person: &Person, tool: &str) -> Vec<(String, String)> {
    let path = format!("/try/{tool}");
    controls(part(&get(person, &path).await, &path))
}

/// All arguments as JSON, and a button.
async fn as_json(person: &Person, tool: &str, arguments: &Value, button: &str) -> Page {
    let path = format!("/try/{tool}");
    let csrf = get(person, "/tokens").await.field("csrf");
    let form = [
        ("csrf".to_owned(), csrf),
        ("view".to_owned(), "json".to_owned()),
        ("all".to_owned(), arguments.to_string()),
    ];
    press(person, &path, &form, ("do", button)).await
}

/// What the page shows as the whole answer.
fn whole(page: &Page) -> Value {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    serde_json::from_str(&text(page, "whole")).unwrap()
}

/// The same answer without what is another call's own.
fn without_call(mut answer: Value) -> Value {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for name in ["workbench-mcp/call", "call", "workbench-mcp/fetched_at"] {
                    map.remove(name);
                }
                map.values_mut().for_each(clean);
            }
            Value::Array(list) => list.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut answer);
    answer
}

/// The arguments of every case of a tool that ends well.
fn successes(integration: &str, tool: &str) -> Vec<Value> {
    let cases = fixtures::cases(integration, tool).into_iter();
    cases
        .filter_map(|path| {
            let case: Value = fixtures::read(&path);
            if !case["result"]["error"].is_null() {
                return None;
            }
            let mut arguments = case["args"].clone();
            if arguments.is_null() {
                arguments = json!({});
            }
            if case["dry_run"] == true {
                arguments["dry_run"] = json!(true);
            }
            Some(arguments)
        })
        .collect()
}

/// Whether a form can show it without JSON: the schema says that it is no object.
fn is_plain(schema: &Value, name: &str) -> bool {
    let property = &schema["properties"][name];
    let of = |schema: &Value| {
        matches!(
            schema["type"].as_str(),
            Some("string" | "integer" | "boolean")
        )
    };
    of(property) || property["type"] == "array" && of(&property["items"])
}

/// Whether boxes cannot give this list of words: they stand in the order of the schema, each once.
fn is_no_choice(schema: &Value, name: &str, value: &Value) -> bool {
    let Some(choices) = schema["properties"][name]["items"]["enum"].as_array() else {
        return false;
    };
    let words = value.as_array().into_iter().flatten();
    let places: Vec<_> = words
        .map(|word| choices.iter().position(|choice| choice == word))
        .collect();
    !places.is_sorted_by(|before, after| before < after)
}

#[tokio::test]
async fn every_tool_has_a_form_that_gives_its_arguments_back() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    alice.connect("google", "alice@example.test").await;
    alice.connect("m365", "alice@example.test").await;
    alice.connect("sentry", "alice@acme.example").await;
    let mut cases = 0;
    for integration in integrations::ALL {
        for def in integration.tools() {
            let path = format!("/try/{}", def.name);
            let page = get(&alice, &path).await;
            let schema: Value = {
                let file = format!("tool-schemas/{}/{}.json", integration.id, def.name);
                let text = std::fs::read_to_string(
                    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file),
                );
                let published: Value = serde_json::from_str(&text.unwrap()).unwrap();
                published["inputSchema"].clone()
            };
            let form = controls(part(&page, &path));
            // Every argument of the published schema has its control.
            for name in schema["properties"].as_object().unwrap().keys() {
                let labelled = page.text.contains(&format!("<code>{name}</code>"));
                assert!(labelled, "{path}: {name}");
            }
            // Buttons for writes begin with the harmless one, which is also what the Enter key presses.
            let pressed = buttons(part(&page, &path));
            let first = if def.effect.is_read() { "run" } else { "dry" };
            assert_eq!(pressed[0], ("do".to_owned(), first.to_owned()), "{path}");
            assert_eq!(value(&form, "view"), Some("form"));

            for arguments in successes(integration.id, def.name) {
                cases += 1;
                let page = as_json(&alice, def.name, &arguments, "form").await;
                assert_eq!(page.status, StatusCode::OK, "{path}: {arguments}");
                let form = controls(part(&page, &path));
                for (name, value) in arguments.as_object().unwrap() {
                    let as_text = form.iter().any(|(own, _)| *own == format!("json/{name}"));
                    let plain = is_plain(&schema, name) && !is_no_choice(&schema, name, value);
                    assert_eq!(as_text, !plain, "{path}: {name}");
                }
                let back = press(&alice, &path, &form, ("do", "json")).await;
                assert_eq!(back.status, StatusCode::OK, "{}", back.text);
                let found: Value = serde_json::from_str(&text(&back, "all")).unwrap();
                assert_eq!(found, arguments, "{path}");
            }
        }
    }
    assert!(cases > 100, "{cases}");
    // Nothing was called by any of this.
    assert!(app.logged("tool.outcome").await.is_empty());
}

#[tokio::test]
async fn the_list_is_what_clients_are_told() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    rule(&app, "github_search", "deny").await;
    rule(&app, "hubspot_merge_records", "ask").await;
    let page = get(&alice, "/try").await;
    let mut listed: Vec<String> = page
        .text
        .split("href=\"/try/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    listed.sort();
    let mut told = alice.mcp.all_tools().await;
    let blocks = alice.mcp.all_blocks().await.into_iter();
    told.extend(blocks.map(|name| format!("blocks/{name}")));
    told.push("blocks/workbench_accounts".to_owned());
    told.sort();
    assert_eq!(listed, told);
    assert!(!listed.contains(&"github_search".to_owned()));

    let found = get(&alice, "/try?q=Archive%20hubspot").await;
    assert!(found.text.contains("/try/hubspot_archive_records"));
    assert!(!found.text.contains("/try/github_"), "{}", found.text);
    let none = get(&alice, "/try?q=%3Cscript%3E").await;
    assert!(none.text.contains("Nothing here has all of these words"));
    assert!(!none.text.contains("value=\"<script"));

    let bob = app.person("bob@example.test").await;
    bob.sign_in().await;
    let page = get(&bob, "/try").await;
    assert!(page.text.contains("Connect an account"), "{}", page.text);
    assert!(!page.text.contains("/try/github_"));
    let page = bob.browser.get(bob.at("/try/github_get_viewer")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("Connect GitHub"), "{}", page.text);
    for nothing in ["/try/nothing_here", "/try/blocks/nothing_here"] {
        let page = bob.browser.get(bob.at(nothing)).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn the_answer_is_what_a_client_gets() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    for (tool, arguments) in [
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "limit": 2 }),
        ),
        ("github_list_issues", json!({ "repo": "acme/nothing-here" })),
        ("github_list_issues", json!({})),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "limit": 500 }),
        ),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "colour": "red" }),
        ),
        (
            "hubspot_search_records",
            json!({ "object_type": "contacts", "account": "nobody" }),
        ),
    ] {
        let by_client = alice.mcp.call(tool, arguments.clone()).await;
        let page = as_json(&alice, tool, &arguments, "run").await;
        let shown = whole(&page);
        assert_eq!(
            without_call(shown["result"].clone()),
            without_call(by_client.body["result"].clone()),
            "{arguments}"
        );
        let call = &shown["result"]["_meta"]["workbench-mcp/call"];
        assert!(page.text.contains(call.as_str().unwrap()));
        if let Some(message) = by_client.error()["message"].as_str() {
            assert!(page.text.contains(by_client.code()), "{}", page.text);
            let escaped = page
                .text
                .contains(&message.chars().take(20).collect::<String>());
            assert!(escaped || message.contains(['"', '\'']), "{message}");
        }
        // What was typed stays.
        assert_eq!(
            serde_json::from_str::<Value>(&text(&page, "all")).unwrap(),
            arguments
        );
    }
    // It stands in the log as what it is.
    let logged = until("the outcome", async || {
        let entries = app.logged("tool.outcome").await;
        (entries.len() == 12).then_some(entries)
    });
    let of_pages = |entry: &&workbench_mcp::audit::Entry| {
        entry.facts["client"] == "Workbench pages" && entry.facts["transport"] == "web"
    };
    assert_eq!(logged.await.iter().filter(of_pages).count(), 6);
}

#[tokio::test]
async fn a_page_leads_to_the_next_one() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let arguments = json!({ "q": "newsletter", "limit": 1 });
    let first = as_json(&alice, "hubspot_get_lists", &arguments, "run").await;
    assert!(first.text.contains("Next page"), "{}", first.text);
    let all = super::forms::unescape(&first.field("all"));
    let next: Value = serde_json::from_str(&all).unwrap();
    assert!(next["cursor"].is_string());
    let second = as_json(&alice, "hubspot_get_lists", &next, "run").await;
    let id = |page: &Page| whole(page)["result"]["structuredContent"]["items"][0]["id"].clone();
    assert_ne!(id(&first), id(&second));
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_kept() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let path = "/try/github_list_issues";
    let form = opened(&alice, "github_list_issues").await;
    let form = fill(
        form,
        &[("arg/repo", "acme/<b>site"), ("arg/limit", "ten \"or\" so")],
    );
    for button in ["run", "json"] {
        let page = press(&alice, path, &form, ("do", button)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            page.text.contains("must be a whole number"),
            "{}",
            page.text
        );
        assert!(page.text.contains("aria-invalid=\"true\""));
        assert!(!page.text.contains("<b>site"));
        let kept = controls(part(&page, path));
        assert_eq!(value(&kept, "arg/repo"), Some("acme/<b>site"));
        assert_eq!(value(&kept, "arg/limit"), Some("ten \"or\" so"));
    }
    let csrf = value(&form, "csrf").unwrap().to_owned();
    let broken = [
        ("csrf".to_owned(), csrf),
        ("view".to_owned(), "json".to_owned()),
        ("all".to_owned(), "{\"repo\": \"acme/site\",}".to_owned()),
    ];
    for button in ["run", "form"] {
        let page = press(&alice, path, &broken, ("do", button)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.text.contains("line 1 column 22"), "{}", page.text);
        assert_eq!(text(&page, "all"), "{\"repo\": \"acme/site\",}");
    }
    assert!(app.logged("tool.outcome").await.is_empty());
}

fn issues(world: &World) -> u64 {
    let calls = world.report("github").counters.api_calls;
    let posted = calls.get("POST /repos/acme/site/issues");
    posted.copied().unwrap_or(0)
}

#[tokio::test]
async fn a_write_is_tried_dry_and_happens_once() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let path = format!("/try/{WRITE}");
    let form = opened(&alice, WRITE).await;
    assert!(
        value(&form, "arg/idempotency_key")
            .unwrap()
            .starts_with("page-")
    );
    let form = fill(
        form,
        &[
            ("arg/repo", "acme/site"),
            ("arg/title", "From the page"),
            ("arg/body", "two\r\nlines"),
        ],
    );
    let dry = press(&alice, &path, &form, ("do", "dry")).await;
    assert!(
        dry.text.contains("Dry run: nothing was changed"),
        "{}",
        dry.text
    );
    assert_eq!(issues(&world), 0);
    // The form is as it was, so the next button runs the same call.
    assert_eq!(controls(part(&dry, &path)), form);
    let done = press(&alice, &path, &form, ("do", "run")).await;
    assert_eq!(whole(&done)["result"]["isError"], false, "{}", done.text);
    assert_eq!(issues(&world), 1);
    // A page that is loaded again sends its form again: that is no second issue.
    let again = press(&alice, &path, &form, ("do", "run")).await;
    assert!(
        again.text.contains("nothing was done now"),
        "{}",
        again.text
    );
    assert_eq!(issues(&world), 1);
    // The form that is shown afterwards is another call.
    let next = controls(part(&done, &path));
    assert_ne!(
        value(&next, "arg/idempotency_key"),
        value(&form, "arg/idempotency_key")
    );
    press(&alice, &path, &next, ("do", "run")).await;
    assert_eq!(issues(&world), 2);
}

#[tokio::test]
async fn a_destructive_call_is_asked_about_once_more() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let tool = "hubspot_archive_records";
    let path = format!("/try/{tool}");
    let form = opened(&alice, tool).await;
    let form = fill(
        form,
        &[("arg/object_type", "contacts"), ("arg/ids", "101\r\n102")],
    );
    let before = world.api_calls("hubspot");
    let asked = press(&alice, &path, &form, ("do", "run")).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(
        asked.text.contains("may lose something at HubSpot"),
        "{}",
        asked.text
    );
    assert!(asked.text.contains("101") && asked.text.contains("contacts"));
    assert_eq!(world.api_calls("hubspot"), before);
    let confirm = controls(part(&asked, &path));
    let back = press(&alice, &path, &confirm, ("do", "form")).await;
    assert_eq!(controls(part(&back, &path)), form);
    let done = press(&alice, &path, &confirm, ("do", "confirmed")).await;
    assert!(world.api_calls("hubspot") > before, "{}", done.text);
    assert!(whole(&done)["result"].is_object());
    // A dry run needs no second question.
    let dry = press(&alice, &path, &form, ("do", "dry")).await;
    assert!(dry.text.contains("nothing was changed") || dry.text.contains("did not work"));
}

#[tokio::test]
async fn what_policy_refuses_is_refused_here_and_nothing_typed_is_lost() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let path = format!("/try/{WRITE}");
    let form = fill(
        opened(&alice, WRITE).await,
        &[("arg/repo", "acme/site"), ("arg/title", "Kept")],
    );
    // The rule comes while somebody fills the form in.
    rule(&app, WRITE, "deny").await;
    let refused = press(&alice, &path, &form, ("do", "run")).await;
    assert!(
        refused.text.contains("blocked_by_policy"),
        "{}",
        refused.text
    );
    assert!(
        refused.text.contains("asked by the tests"),
        "{}",
        refused.text
    );
    assert_eq!(controls(part(&refused, &path)), form);
    assert_eq!(issues(&world), 0);
    let gone = alice.browser.get(alice.at(&path)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let logged = app.logged("tool.outcome").await;
    assert_eq!(logged[0].outcome, "blocked_by_policy");
}

#[tokio::test]
async fn a_call_that_is_asked_about_goes_on_after_the_yes() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    rule(&app, WRITE, "ask").await;
    let path = format!("/try/{WRITE}");
    let form = fill(
        opened(&alice, WRITE).await,
        &[
            ("arg/repo", "acme/site"),
            ("arg/title", "After a yes"),
            ("arg/labels", "ui\r\nbug"),
        ],
    );
    let waits = press(&alice, &path, &form, ("do", "run")).await;
    assert!(waits.text.contains("approval_required"), "{}", waits.text);
    let question = waits.text.split("/approvals/apr_").nth(1).unwrap();
    let question = format!("/approvals/apr_{}", question.split('"').next().unwrap());
    let asked = get(&alice, &question).await;
    let decision = [("csrf".to_owned(), asked.field("csrf"))];
    let said = press(&alice, &question, &decision, ("decision", "approve")).await;
    let back = said.text.split("/try/").nth(1).unwrap();
    let back = format!("/try/{}", back.split('"').next().unwrap());
    let page = get(&alice, &back).await;
    let again = controls(part(&page, &path));
    for name in ["arg/repo", "arg/title", "arg/labels"] {
        assert_eq!(value(&again, name), value(&form, name), "{name}");
    }
    let done = press(&alice, &path, &again, ("do", "run")).await;
    assert_eq!(whole(&done)["result"]["isError"], false, "{}", done.text);
    assert_eq!(issues(&world), 1);
    // The yes was for one call. And the first page's own form would have worked as well.
    let third = press(&alice, &path, &controls(part(&done, &path)), ("do", "run")).await;
    assert!(third.text.contains("approval_required"), "{}", third.text);
    // Somebody else does not see the arguments by the approval's id.
    let bob = connected(&app, "bob@example.test").await;
    let page = get(&bob, &back).await;
    assert!(!page.text.contains("After a yes"), "{}", page.text);
}

#[tokio::test]
async fn a_browser_that_goes_away_cancels_the_call() {
    let world = World::running(crate::harness::database::sqlite()).await;
    let app = world.app().await;
    let alice = connected(&app, "alice@example.test").await;
    let csrf = get(&alice, "/tokens").await.field("csrf");
    world.misbehave("github", Place::Api, 9, Fault::Stall { ms: 60_000 });
    let arguments = json!({ "repo": "acme/site" }).to_string();
    let form = [
        ("csrf", csrf.as_str()),
        ("view", "json"),
        ("all", arguments.as_str()),
        ("do", "run"),
    ];
    let waiting = alice
        .browser
        .post(alice.at("/try/github_list_issues"), &form);
    let gave_up = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    assert!(gave_up.is_err());
    let logged = until("the outcome", async || {
        app.logged("tool.outcome").await.pop()
    })
    .await;
    assert_eq!(logged.outcome, "cancelled");
}

#[tokio::test]
async fn blocks_are_completed_and_read_as_clients_do() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let (_, block) = integrations::template("github://{account}/{owner}/{repo}").unwrap();
    let path = format!("/try/blocks/{}", block.name);
    let page = get(&alice, &path).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("connect-src 'self'") && !policy.contains("unsafe"));
    let form = controls(part(&page, &path));
    assert_eq!(value(&form, "part/account"), Some("alice-dev"));
    let form = fill(form, &[("part/owner", "acme"), ("part/repo", "s")]);

    let chosen = json!({ "account": "alice-dev", "owner": "acme" });
    let expected = alice.mcp.complete(block.uri, "repo", "s", chosen).await;
    assert!(!expected.is_empty());
    let values = press(&alice, &format!("{path}/complete"), &form, ("part", "repo")).await;
    let values: Value = serde_json::from_str(&values.text).unwrap();
    assert_eq!(values, json!({ "values": expected }));
    let page = press(&alice, &path, &form, ("do", "suggest:repo")).await;
    assert!(
        page.text.contains(&format!("take:repo={}", expected[0])),
        "{}",
        page.text
    );
    let taken = press(&alice, &path, &form, ("do", "take:repo=site")).await;
    let form = controls(part(&taken, &path));
    assert_eq!(value(&form, "part/repo"), Some("site"));

    let by_client = alice.mcp.read("github://alice-dev/acme/site").await;
    let page = press(&alice, &path, &form, ("do", "read")).await;
    assert_eq!(
        without_call(whole(&page)["result"].clone()),
        without_call(by_client.body["result"].clone())
    );
    for shown in ["workbench-mcp/fetched_at", block.mime, "characters, about"] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    let missing = fill(form, &[("part/repo", " ")]);
    let page = press(&alice, &path, &missing, ("do", "read")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text.contains("must be filled in"), "{}", page.text);
    let wrong = fill(missing, &[("part/repo", "nothing-here")]);
    let page = press(&alice, &path, &wrong, ("do", "read")).await;
    let by_client = alice.mcp.read("github://alice-dev/acme/nothing-here").await;
    assert_eq!(
        without_call(whole(&page)["error"].clone()),
        without_call(by_client.body["error"].clone())
    );

    let accounts = "/try/blocks/workbench_accounts";
    let form = controls(part(&get(&alice, accounts).await, accounts));
    let page = press(&alice, accounts, &form, ("do", "read")).await;
    let found: Value = serde_json::from_str(
        whole(&page)["result"]["contents"][0]["text"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(found["accounts"].as_array().unwrap().len(), 2);
}

/// A session that a narrow credential made would be as narrow here as anywhere.
#[tokio::test]
async fn a_narrow_session_stays_narrow() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let path = format!("/try/{WRITE}");
    super::tokens::narrow(&world, &app, &alice, "tools:read integration:github").await;
    let page = alice.browser.get(alice.at(&path)).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let page = get(&alice, "/try").await;
    assert!(
        page.text.contains("/try/github_get_viewer"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("/try/hubspot_") && !page.text.contains(WRITE));
}
