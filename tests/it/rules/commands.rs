//! The commands, as tables: what they take, what they refuse and how, what they print and record.

use serde_json::{Value, json};
use workbench_mcp::caller::Role;

use super::{command, connected, refused, rows, settings};
use crate::harness::app::still;

#[tokio::test]
async fn what_means_nothing_is_refused_by_name() {
    let (world, app) = still().await;
    let commands = settings(&world);
    for (arguments, expected) in [
        (&["maybe"][..], "invalid value 'maybe'"),
        (&["deny", "--role", "owner"], "invalid value 'owner'"),
        (&["deny", "--effect", "delete"], "invalid value 'delete'"),
        (
            &["deny", "--group", "sales"],
            "there is no group \"sales\"; `groups list` shows them",
        ),
        (
            &["deny", "--integration", "gihub"],
            "nothing here is called \"gihub\"; `integrations list` shows what there is",
        ),
        (
            &["deny", "--toolset", "issues"],
            "a toolset belongs to an integration; name the integration too",
        ),
        (
            &["deny", "--integration", "hubspot", "--toolset", "issues"],
            "hubspot has no toolset \"issues\"; it has crm, activity, lists",
        ),
        (
            &["deny", "--tool", "github_save_isue"],
            "no tool or block is called \"github_save_isue\"",
        ),
        (
            &["deny", "--tool", "slack_*"],
            "no tool or block is called \"slack_*\"",
        ),
        (
            &["deny", "--tool", "git*hub"],
            "no tool or block is called \"git*hub\"",
        ),
        (
            &[
                "deny",
                "--integration",
                "hubspot",
                "--tool",
                "github_save_issue",
            ],
            "there is nothing that \"all calls of github_save_issue in hubspot\" could mean",
        ),
        (
            &["deny", "--tool", "github_save_issue", "--effect", "read"],
            "there is nothing that \"read calls of github_save_issue\" could mean",
        ),
        (
            &["deny", "--integration", "github", "--effect", "destructive"],
            "there is nothing that \"destructive calls of github\" could mean",
        ),
        (
            &["deny", "--note", &"x".repeat(201)],
            "the note is longer than 200 characters",
        ),
    ] {
        let told = refused(&commands, &[&["policy", "add"], arguments].concat()).await;
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    assert_eq!(
        rows(&commands, &["policy", "list"]).await,
        Vec::<Value>::new()
    );
    assert_eq!(app.logged("admin.policy_changed").await.len(), 0);
    for (arguments, expected) in [
        (
            &["toolsets", "disable", "github", "crm"][..],
            "github has no toolset \"crm\"",
        ),
        (
            &["policy", "remove", "rul_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b"],
            "there is no rule rul_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b; `policy list` shows them",
        ),
        (
            &["policy", "remove", "7"],
            "expected an id that starts with `rul_`",
        ),
        (
            &[
                "policy",
                "explain",
                "github_search",
                "--user",
                "nobody@example.test",
            ],
            "nobody@example.test",
        ),
    ] {
        let told = refused(&commands, arguments).await;
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn every_change_is_recorded_with_what_was_before() {
    let (world, app) = still().await;
    let commands = settings(&world);
    let add = [
        "policy",
        "add",
        "ask",
        "--role",
        "member",
        "--integration",
        "hubspot",
        "--effect",
        "write",
    ];
    let added = command(&commands, &add).await;
    let (id, words) = added.trim().split_once(' ').unwrap();
    assert_eq!(words, "\"ask role member, write calls of hubspot\"");
    let rule = json!({
        "id": id, "who": "role:member", "decision": "ask", "integration": "hubspot", "toolset": null,
        "tool": null, "effect": "write", "note": "",
    });
    let listed = rows(&commands, &["policy", "list"]).await;
    assert_eq!(listed, std::slice::from_ref(&rule));
    let mut again = add;
    again[2] = "deny";
    let told = refused(&commands, &again).await;
    assert!(
        told.contains(&format!(
            "there is already the rule \"ask role member, write calls of hubspot\" ({id}) about the same calls; remove it first"
        )),
        "{told}"
    );
    for arguments in [
        &["policy", "remove", id][..],
        &["policy", "read-only", "on"],
        // It is so already, so nothing is recorded.
        &["policy", "read-only", "on"],
        &["policy", "read-only", "off"],
        &["toolsets", "disable", "github", "pulls"],
        &["toolsets", "enable", "github", "pulls"],
        &["policy", "limits", "--person", "60", "--integration", "600"],
        &["policy", "caps", "set", "github_save_issue", "9"],
        &["policy", "caps", "set", "github_save_issue", "10"],
        &["policy", "caps", "remove", "github_save_issue"],
    ] {
        command(&commands, arguments).await;
    }
    let logged = app.logged("admin.policy_changed").await;
    let told: Vec<(String, Value, Value)> = logged
        .iter()
        .map(|entry| {
            assert_eq!(entry.outcome, "ok");
            let detail = &entry.detail["detail"];
            (
                entry.facts["target"].as_str().unwrap().to_owned(),
                detail["before"].clone(),
                detail["after"].clone(),
            )
        })
        .collect();
    let about = "rule \"ask role member, write calls of hubspot\"".to_owned();
    let change = |target: &str, before: Value, after: Value| (target.to_owned(), before, after);
    assert_eq!(
        told,
        [
            (about.clone(), Value::Null, rule.clone()),
            (about, rule, Value::Null),
            change(
                "read-only",
                json!({ "read_only": false }),
                json!({ "read_only": true })
            ),
            change(
                "read-only",
                json!({ "read_only": true }),
                json!({ "read_only": false })
            ),
            change(
                "toolset github/pulls",
                json!({ "on": true }),
                json!({ "on": false })
            ),
            change(
                "toolset github/pulls",
                json!({ "on": false }),
                json!({ "on": true })
            ),
            change(
                "limit per person",
                json!({ "per_minute": null }),
                json!({ "per_minute": 60 })
            ),
            change(
                "limit per integration",
                json!({ "per_minute": null }),
                json!({ "per_minute": 600 })
            ),
            change(
                "cap of github_save_issue per person",
                json!({ "a_day": null }),
                json!({ "a_day": 9 })
            ),
            change(
                "cap of github_save_issue per person",
                json!({ "a_day": 9 }),
                json!({ "a_day": 10 })
            ),
            change(
                "cap of github_save_issue per person",
                json!({ "a_day": 10 }),
                json!({ "a_day": null })
            ),
        ]
    );
    app.verify().await;
}

#[tokio::test]
async fn a_decision_is_explained_step_by_step() {
    let (world, app) = still().await;
    let commands = settings(&world);
    let alice = connected(&app, "alice@example.test", Role::Member).await;
    app.person("bob@example.test").await;
    for line in [
        &[
            "policy",
            "add",
            "deny",
            "--integration",
            "github",
            "--effect",
            "write",
            "--note",
            "frozen",
        ][..],
        &["policy", "add", "ask", "--tool", "github_save_*"],
        &["policy", "add", "ask", "--tool", "hubspot_contact"],
        &["toolsets", "disable", "hubspot", "lists"],
        &["policy", "caps", "set", "github_save_issue", "7"],
        &["policy", "limits", "--person", "600"],
    ] {
        command(&commands, line).await;
    }
    let passed = |steps: &Value| -> Vec<(String, String)> {
        let steps = steps.as_array().unwrap().iter();
        let word = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
        steps
            .map(|step| (word(step, "passes"), word(step, "words")))
            .collect()
    };
    let explain = async |tool: &str, user: &str, scopes: &[&str]| {
        let mut line = vec!["policy", "explain", tool, "--user", user, "--json"];
        if !scopes.is_empty() {
            line.push("--scopes");
            line.extend(scopes);
        }
        let told = command(&commands, &line).await;
        serde_json::from_str::<Value>(&told).unwrap()
    };
    let alices = "alice@example.test";
    let why = explain("github_save_issue", alices, &[]).await;
    assert_eq!(
        (&why["decision"], &why["listed"]),
        (&json!("ask"), &json!(true))
    );
    let step = |passes: &str, words: &str| (passes.to_owned(), words.to_owned());
    assert_eq!(
        passed(&why["steps"]),
        [
            step("yes", "the integration is switched on"),
            step("yes", "the toolset is switched on"),
            step("yes", "the credential covers the integration"),
            step("yes", "the credential allows the effect"),
            step("yes", "the organization allows the effect"),
            step(
                "ask",
                "rule \"ask everyone, all calls of github_save_*\" is the closest"
            ),
            step(
                "note",
                "rule \"deny everyone, write calls of github\": frozen is overruled"
            ),
            step("yes", "connected at GitHub: alice-dev"),
            step("note", "a person may make 600 calls a minute"),
            step(
                "yes",
                "daily cap of 7 calls of github_save_issue for each person: 0 used today"
            ),
        ]
    );
    for (tool, user, scopes, decision, listed, last) in [
        (
            "github_propose_change",
            alices,
            &[][..],
            "deny",
            false,
            "rule \"deny everyone, write calls of github\": frozen is the closest",
        ),
        (
            "hubspot_get_lists",
            alices,
            &[],
            "deny",
            false,
            "an admin has switched off \"Lists\" of HubSpot",
        ),
        (
            "hubspot_contact",
            alices,
            &[],
            "deny",
            false,
            "a context block cannot wait for an approval",
        ),
        (
            "github_search",
            alices,
            &[],
            "allow",
            true,
            "no rule is about it, so it is allowed",
        ),
        (
            "github_search",
            "bob@example.test",
            &[],
            "allow",
            false,
            "no GitHub account is connected",
        ),
        (
            "hubspot_save_records",
            alices,
            &["tools:read"],
            "deny",
            false,
            "this token only allows reading",
        ),
        (
            "hubspot_save_records",
            alices,
            &["tools:write", "integration:github"],
            "deny",
            false,
            "this token is not for HubSpot",
        ),
    ] {
        let why = explain(tool, user, scopes).await;
        assert_eq!(why["decision"], decision, "{tool} {why}");
        assert_eq!(why["listed"], listed, "{tool} {why}");
        assert!(
            why["steps"]
                .to_string()
                .replace("\\\"", "\"")
                .contains(last),
            "{tool} {why}"
        );
        // What is explained is what happens.
        if user == alices && scopes.is_empty() && !tool.starts_with("hubspot_contact") {
            assert_eq!(
                alice.mcp.tools().await.contains(&tool.to_owned()),
                listed,
                "{tool}"
            );
        }
    }
    let told = command(
        &commands,
        &["policy", "explain", "github_search", "--user", alices],
    )
    .await;
    assert!(
        told.starts_with(
            "github_search (read, toolset github/search) by alice@example.test: allow, listed\nPASSES  WHY\n"
        ),
        "{told}"
    );
}

#[tokio::test]
async fn listings_are_for_people_and_machines() {
    let (world, _app) = still().await;
    let commands = settings(&world);
    command(&commands, &["toolsets", "disable", "hubspot", "lists"]).await;
    let listed = rows(&commands, &["toolsets", "list"]).await;
    let off: Vec<_> = listed
        .iter()
        .filter(|row| row["enabled"] == false)
        .collect();
    assert_eq!(off.len(), 1);
    assert_eq!(
        (&off[0]["integration"], &off[0]["id"]),
        (&json!("hubspot"), &json!("lists"))
    );
    let told = command(&commands, &["toolsets", "list"]).await;
    assert!(told.starts_with("INTEGRATION  TOOLSET"), "{told}");
    command(
        &commands,
        &[
            "policy",
            "add",
            "deny",
            "--tool",
            "hubspot_*",
            "--note",
            "not yet",
        ],
    )
    .await;
    command(
        &commands,
        &["policy", "add", "allow", "--tool", "hubspot_get_records"],
    )
    .await;
    let told = command(&commands, &["policy", "list"]).await;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("ID"), "{told}");
    // The closest comes first.
    assert!(lines[1].contains("hubspot_get_records"), "{told}");
    assert!(lines[2].ends_with("not yet"), "{told}");
}
