//! The matrix: role × rule × effect × credential × connection, on lists and on calls, over HTTP and the standard streams. A
//! list never shows what a call refuses, or the reverse.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use workbench_mcp::audit::Actor;
use workbench_mcp::auth::AuthError;
use workbench_mcp::caller::{Role, Scopes};
use workbench_mcp::integrations;
use workbench_mcp::policy::{Kind, Subject};

use super::stdio::Stdio;
use super::{Settings, clear, command, connected, settings};
use crate::harness::app::{Person, World, for_each_world, still, until};
use crate::harness::database::{postgres, sqlite};
use crate::harness::http::{McpClient, Reply};

/// How soon a change made by a command is heard by a server.
const HEARD: Duration = Duration::from_secs(1);

/// What the table expects of one tool or block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Asks,
    Shut,
}

/// Who asks.
struct Asker {
    role: Role,
    scopes: &'static str,
    face: Face,
}

enum Face {
    Http(McpClient),
    Stdio(Box<tokio::sync::Mutex<Stdio>>),
}

impl Asker {
    async fn request(&self, method: &str, params: Value) -> Value {
        match &self.face {
            Face::Http(client) => client.request(method, params).await.body,
            Face::Stdio(stdio) => stdio.lock().await.request(method, params).await,
        }
    }

    /// The names of everything it is shown.
    async fn listed(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (method, field) in [
            ("tools/list", "tools"),
            ("resources/templates/list", "resourceTemplates"),
        ] {
            let mut params = json!({});
            loop {
                let answer = self.request(method, params).await;
                let page = &answer["result"];
                let found = page[field].as_array();
                let found = found.unwrap_or_else(|| panic!("{method}: {answer}"));
                names.extend(
                    found
                        .iter()
                        .map(|one| one["name"].as_str().unwrap().to_owned()),
                );
                match page["nextCursor"].as_str() {
                    Some(cursor) => params = json!({ "cursor": cursor }),
                    None => break,
                }
            }
        }
        names.sort();
        names
    }

    /// What becomes of a call that no provider ever sees: its arguments are wrong, its account does not exist.
    async fn tried(&self, subject: &Subject) -> String {
        let answer = match subject.kind {
            Kind::Tool => {
                let arguments = json!({ "no_such_argument": 1 });
                let params = json!({ "name": subject.name, "arguments": arguments });
                self.request("tools/call", params).await
            }
            Kind::Block => {
                let params = json!({ "uri": address(subject) });
                self.request("resources/read", params).await
            }
        };
        let of_tool = &answer["result"]["structuredContent"]["error"]["code"];
        let of_protocol = &answer["error"]["data"]["code"];
        let code = of_tool.as_str().or(of_protocol.as_str());
        code.unwrap_or_else(|| panic!("{}: {answer}", subject.name))
            .to_owned()
    }
}

/// An address of this block that leads to no provider: at an account that nobody has; where there are no accounts, of
/// something that has no such name.
fn address(subject: &Subject) -> String {
    let block = subject
        .integration
        .blocks()
        .find(|block| block.name == subject.name);
    let mut rest = block.unwrap().uri;
    let mut address = String::new();
    while let Some((before, variable)) = rest.split_once('{') {
        let (variable, after) = variable.split_once('}').unwrap();
        address.push_str(before);
        address.push_str(match variable {
            "account" => "nobody",
            many if many.starts_with('/') => "/a",
            _ if subject.integration.open().is_some() => "!",
            _ => "1",
        });
        rest = after;
    }
    address + rest
}

/// Of the integrations that the askers are connected to and of those that are open: few enough to be listed one by one,
/// and of every kind that rules can tell apart.
fn everything() -> Vec<Subject> {
    integrations::ALL
        .iter()
        .filter(|one| one.open().is_some() || ["github", "hubspot"].contains(&one.id))
        .flat_map(|integration| Subject::all(integration))
        .collect()
}

/// One organization's settings and what they mean, written down without the product's own words for it.
struct Scenario {
    what: &'static str,
    set: &'static [&'static [&'static str]],
    unset: &'static [&'static [&'static str]],
    expect: fn(&Subject, Role) -> Gate,
}

const fn reads(subject: &Subject) -> bool {
    subject.effect.is_read()
}

fn asks(subject: &Subject) -> Gate {
    match subject.kind {
        Kind::Tool => Gate::Asks,
        Kind::Block => Gate::Shut,
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        what: "nothing is set",
        set: &[],
        unset: &[],
        expect: |_, _| Gate::Open,
    },
    Scenario {
        what: "everything is denied",
        set: &[&["policy", "add", "deny"]],
        unset: &[],
        expect: |_, _| Gate::Shut,
    },
    Scenario {
        what: "members may not change anything",
        set: &[
            &[
                "policy", "add", "deny", "--role", "member", "--effect", "write",
            ],
            &[
                "policy",
                "add",
                "deny",
                "--role",
                "member",
                "--effect",
                "destructive",
            ],
        ],
        unset: &[],
        expect: |subject, role| {
            if role == Role::Member && !reads(subject) {
                Gate::Shut
            } else {
                Gate::Open
            }
        },
    },
    Scenario {
        what: "writes ask, an integration is exempt, one tool of it is not",
        set: &[
            &["policy", "add", "ask", "--effect", "write"],
            &["policy", "add", "allow", "--integration", "hubspot"],
            &["policy", "add", "ask", "--tool", "hubspot_merge_records"],
        ],
        unset: &[],
        expect: |subject, _| match (subject.integration.id, subject.effect.as_str()) {
            (_, _) if subject.name == "hubspot_merge_records" => Gate::Asks,
            ("github", "write") => Gate::Asks,
            _ => Gate::Open,
        },
    },
    Scenario {
        what: "only what is named is allowed",
        set: &[
            &["policy", "add", "deny"],
            &[
                "policy",
                "add",
                "allow",
                "--integration",
                "github",
                "--toolset",
                "issues",
            ],
            &["policy", "add", "allow", "--tool", "hubspot_get_*"],
        ],
        unset: &[],
        expect: |subject, _| {
            let named = subject.toolset.id == "issues" && subject.integration.id == "github";
            if named || subject.name.starts_with("hubspot_get_") {
                Gate::Open
            } else {
                Gate::Shut
            }
        },
    },
    Scenario {
        what: "everything of an integration asks auditors, and blocks cannot wait",
        set: &[&[
            "policy",
            "add",
            "ask",
            "--role",
            "auditor",
            "--integration",
            "github",
        ]],
        unset: &[],
        expect: |subject, role| match (subject.integration.id, role) {
            ("github", Role::Auditor) => asks(subject),
            _ => Gate::Open,
        },
    },
    Scenario {
        what: "a block is denied by its name",
        set: &[&["policy", "add", "deny", "--tool", "hubspot_contact"]],
        unset: &[],
        expect: |subject, _| {
            if subject.name == "hubspot_contact" {
                Gate::Shut
            } else {
                Gate::Open
            }
        },
    },
    Scenario {
        what: "a closer allow beats a farther deny, for admins",
        set: &[
            &[
                "policy",
                "add",
                "deny",
                "--integration",
                "hubspot",
                "--effect",
                "destructive",
            ],
            &[
                "policy",
                "add",
                "allow",
                "--role",
                "admin",
                "--integration",
                "hubspot",
                "--effect",
                "destructive",
            ],
        ],
        unset: &[],
        expect: |subject, role| match (subject.integration.id, subject.effect.as_str(), role) {
            ("hubspot", "destructive", Role::Member | Role::Auditor) => Gate::Shut,
            _ => Gate::Open,
        },
    },
    Scenario {
        what: "everything is read-only, and no rule lifts it",
        set: &[
            &["policy", "read-only", "on"],
            &["policy", "add", "allow", "--tool", "github_save_issue"],
        ],
        unset: &[&["policy", "read-only", "off"]],
        expect: |subject, _| {
            if reads(subject) {
                Gate::Open
            } else {
                Gate::Shut
            }
        },
    },
    Scenario {
        what: "a toolset is off, and no rule lifts it",
        set: &[
            &["toolsets", "disable", "hubspot", "crm"],
            &["policy", "add", "allow", "--integration", "hubspot"],
        ],
        unset: &[&["toolsets", "enable", "hubspot", "crm"]],
        expect: |subject, _| {
            let off = subject.integration.id == "hubspot" && subject.toolset.id == "crm";
            if off { Gate::Shut } else { Gate::Open }
        },
    },
    Scenario {
        what: "an integration is off",
        set: &[&["integrations", "disable", "github"]],
        unset: &[&["integrations", "enable", "github"]],
        expect: |subject, _| {
            if subject.integration.id == "github" {
                Gate::Shut
            } else {
                Gate::Open
            }
        },
    },
];

/// What the credential makes of it.
fn narrowed(asker: &Asker, subject: &Subject, gate: Gate) -> Gate {
    let scopes = Scopes::parse(asker.scopes).unwrap();
    let effect = if reads(subject) {
        scopes.read
    } else {
        scopes.write
    };
    if effect && scopes.cover(subject.integration.id) {
        gate
    } else {
        Gate::Shut
    }
}

async fn check(scenario: &Scenario, asker: &Asker) {
    let expected: BTreeMap<&str, Gate> = everything()
        .iter()
        .map(|subject| {
            let gate = (scenario.expect)(subject, asker.role);
            (subject.name, narrowed(asker, subject, gate))
        })
        .collect();
    let shown: Vec<&str> = expected
        .iter()
        .filter(|(_, gate)| **gate != Gate::Shut)
        .map(|(name, _)| *name)
        .collect();
    let about = format!("{}: {:?} with {}", scenario.what, asker.role, asker.scopes);
    let changed = Instant::now();
    let mut listed = asker.listed().await;
    while listed != shown && changed.elapsed() <= HEARD {
        tokio::task::yield_now().await;
        listed = asker.listed().await;
    }
    assert_eq!(listed, shown, "{about}");
    let subjects = everything();
    let tried = subjects.iter().map(async |subject| {
        let code = asker.tried(subject).await;
        let fits = match expected[subject.name] {
            Gate::Shut => code == "blocked_by_policy",
            // Which of the two comes first is not policy's affair.
            Gate::Asks => code == "approval_required" || code == "invalid_input",
            Gate::Open => code == "invalid_input" || code == "ambiguous_account",
        };
        assert!(fits, "{about}: {} answers {code}", subject.name);
    });
    join_all(tried).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_calls_agree_over_every_face() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let commands = settings(&world);
    let mut askers = Vec::new();
    for (email, role) in [
        ("member@example.test", Role::Member),
        ("admin@example.test", Role::Admin),
        ("auditor@example.test", Role::Auditor),
    ] {
        let person = connected(&app, email, role).await;
        // What a credential allows has nothing to do with the role, so one of them tries all.
        let scopes: &[&str] = match role {
            Role::Member => &[
                "tools:read tools:write",
                "tools:read",
                "tools:write",
                "tools:read tools:write integration:hubspot",
                "audit:read",
            ],
            Role::Admin | Role::Auditor => &["tools:read tools:write"],
        };
        for scopes in scopes.iter().copied() {
            let token = app
                .auth
                .create_token(&person.row, "matrix", None, Scopes::parse(scopes).unwrap())
                .await
                .unwrap();
            let client = app.mcp(secrecy::ExposeSecret::expose_secret(&token.secret));
            askers.push(Asker {
                role,
                scopes,
                face: Face::Http(client),
            });
        }
        askers.push(Asker {
            role,
            scopes: "tools:read tools:write audit:read",
            face: Face::Stdio(Box::new(
                Stdio::start(&settings(&world), email).await.into(),
            )),
        });
    }
    let calls = |world: &World| world.api_calls("github") + world.api_calls("hubspot");
    let before = calls(&world);
    for scenario in SCENARIOS {
        for line in scenario.set {
            command(&commands, line).await;
        }
        for asker in &askers {
            check(scenario, asker).await;
        }
        for line in scenario.unset {
            command(&commands, line).await;
        }
        clear(&commands).await;
    }
    assert_eq!(calls(&world), before, "nothing left the house");
    app.verify().await;
}

/// A call that would work, by what its connection is like and what a rule says.
#[tokio::test]
async fn rules_come_before_connections_and_no_connection_lifts_a_rule() {
    let (world, app) = still().await;
    let commands = settings(&world);
    let everybody = [
        ("missing", None),
        ("lacking", Some(&["crm.objects.contacts.read"][..])),
        (
            "connected",
            Some(&["crm.objects.contacts.read", "crm.objects.contacts.write"][..]),
        ),
    ];
    let mut people = Vec::new();
    for (state, scopes) in everybody {
        let person = app.person(&format!("{state}@example.test")).await;
        if let Some(scopes) = scopes {
            let tokens = world.mint("hubspot", "4711", scopes);
            let import = json!({
                "access_token": tokens.access_token, "refresh_token": tokens.refresh_token,
                "expires_in": 1_800, "scopes": scopes,
            });
            let import = serde_json::from_value(import).unwrap();
            let done = app
                .connections
                .import(app.org, person.row.id, "hubspot", import)
                .await;
            done.unwrap();
        }
        people.push((state, person));
    }
    let tool = "hubspot_log_activity";
    let note = json!({ "kind": "note", "body": "hello", "on": ["contacts/101"], "dry_run": true });
    for (verdict, listed_when_connected) in [
        (None, true),
        (Some("allow"), true),
        (Some("ask"), true),
        (Some("deny"), false),
    ] {
        if let Some(verdict) = verdict {
            command(&commands, &["policy", "add", verdict, "--tool", tool]).await;
        }
        // Until this process has heard of the rule. Only a connected person can tell.
        let heard = match verdict {
            Some("ask") => "approval_required",
            Some("deny") => "blocked_by_policy",
            _ => "ok",
        };
        until("the rule is heard", async || {
            let (_, person) = people.last()?;
            let mut probe = note.clone();
            probe["dry_run"] = json!(verdict != Some("ask"));
            (person.mcp.call(tool, probe).await.code() == heard).then_some(())
        })
        .await;
        for (state, person) in &people {
            let about = format!("{state} {verdict:?}");
            let expected = listed_when_connected && *state == "connected";
            until(&about, async || {
                let listed = person.mcp.tools().await.contains(&tool.to_owned());
                (listed == expected).then_some(())
            })
            .await;
            let calls = world.api_calls("hubspot");
            let mut arguments = note.clone();
            if verdict == Some("ask") {
                // A dry run changes nothing, so it needs nobody's yes.
                arguments["dry_run"] = json!(false);
            }
            let reply = person.mcp.call(tool, arguments).await;
            let code = reply.code();
            match (verdict, *state) {
                (Some("deny"), _) => assert_eq!(code, "blocked_by_policy", "{about}"),
                (Some("ask"), "connected") => assert_eq!(code, "approval_required", "{about}"),
                (_, "connected") => assert_eq!(code, "ok", "{about}: {}", reply.body),
                (Some("ask"), _) => assert_ne!(code, "ok", "{about}"),
                (_, "missing") => assert_eq!(code, "connection_missing", "{about}"),
                (_, _) => assert_eq!(code, "insufficient_scope", "{about}"),
            }
            if code != "ok" {
                assert_eq!(world.api_calls("hubspot"), calls, "{about}");
            }
        }
        clear(&commands).await;
    }
}

#[tokio::test]
async fn a_refusal_quotes_its_rule_and_is_recorded() {
    let (world, app) = still().await;
    let commands = settings(&world);
    let alice = connected(&app, "alice@example.test", Role::Member).await;
    let deny = [
        "policy",
        "add",
        "deny",
        "--integration",
        "github",
        "--note",
        "ask Ada first",
    ];
    command(&commands, &deny).await;
    let told = |reply: &Reply| {
        reply.error()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let block = "github://alice-dev/acme/site";
    let replies = until("the rule is heard", async || {
        let replies = [alice.issues().await, alice.mcp.read(block).await];
        replies
            .iter()
            .all(|reply| reply.code() == "blocked_by_policy")
            .then_some(replies)
    })
    .await;
    for reply in &replies {
        assert_eq!(
            told(reply),
            "the organization does not allow this (rule \"deny everyone, all calls of github\": ask Ada first); ask an admin"
        );
    }
    let template = "github://{account}/{owner}/{repo}";
    let chosen = json!({ "account": "alice-dev", "owner": "acme" });
    let completed = alice.mcp.complete(template, "repo", "s", chosen).await;
    assert_eq!(completed, Vec::<String>::new());
    for kind in ["tool.outcome", "block.outcome", "completion.outcome"] {
        // The outcome of a read is written with the next batch.
        let logged = until(kind, async || app.logged(kind).await.pop()).await;
        assert_eq!(logged.outcome, "blocked_by_policy", "{kind}");
    }
    clear(&commands).await;
    command(
        &commands,
        &["policy", "add", "ask", "--tool", "github_list_*"],
    )
    .await;
    let asked = until("the other rule is heard", async || {
        let reply = alice.issues().await;
        (reply.code() == "approval_required").then_some(reply)
    })
    .await;
    assert!(
        told(&asked).contains("\"ask everyone, all calls of github_list_*\""),
        "{}",
        asked.body
    );
}

/// A change made by a third process is held by two servers within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_hears_of_a_change_within_a_second() {
    let Some(database) = postgres().await else {
        eprintln!("SKIPPED: no postgres to start");
        return;
    };
    let world = World::running(database).await;
    let (one, two) = (world.app().await, world.app().await);
    let alice = connected(&one, "alice@example.test", Role::Member).await;
    let there = two.as_seen_here(&alice);
    let commands: Settings = settings(&world);
    let heard = async |code: &str| {
        let changed = Instant::now();
        for person in [&alice, &there] {
            until(code, async || {
                let arguments = json!({ "repo": "not a repository" });
                let reply = person.mcp.call("github_list_issues", arguments).await;
                (reply.code() == code).then_some(())
            })
            .await;
        }
        assert!(changed.elapsed() <= HEARD, "{:?}", changed.elapsed());
    };
    heard("invalid_input").await;
    for (set, unset) in [
        (
            &["policy", "add", "deny", "--effect", "read"][..],
            &["policy", "list"][..],
        ),
        (
            &["toolsets", "disable", "github", "issues"],
            &["toolsets", "enable", "github", "issues"],
        ),
    ] {
        command(&commands, set).await;
        heard("blocked_by_policy").await;
        clear(&commands).await;
        command(&commands, unset).await;
        heard("invalid_input").await;
    }
}

/// Groups are named when a rule is set, and their members are looked at when it decides.
#[tokio::test]
async fn a_rule_about_a_group_is_about_its_members() {
    let (world, app) = still().await;
    let commands = settings(&world);
    let ada = connected(&app, "ada@example.test", Role::Admin).await;
    let bob = connected(&app, "bob@example.test", Role::Member).await;
    command(&commands, &["groups", "add", "sales"]).await;
    command(&commands, &["groups", "join", "sales", "bob@example.test"]).await;
    let sees = async |person: &Person| {
        person
            .mcp
            .tools()
            .await
            .contains(&"github_search".to_owned())
    };
    let deny = [
        "policy",
        "add",
        "deny",
        "--group",
        "sales",
        "--integration",
        "github",
    ];
    let added = command(&commands, &deny).await;
    assert!(
        added.ends_with("\"deny group sales, all calls of github\"\n"),
        "{added}"
    );
    until("it is heard", async || (!sees(&bob).await).then_some(())).await;
    assert!(sees(&ada).await);
    let refused = bob.issues().await;
    let message = refused.error()["message"].as_str().unwrap();
    assert!(message.contains("deny group sales"), "{message}");
    let mut stdio = Stdio::start(&settings(&world), "bob@example.test").await;
    let listed = stdio.request("tools/list", json!({})).await;
    assert!(!listed.to_string().contains("github_search"), "{listed}");
    let call = json!({ "name": "github_search", "arguments": {} });
    let answer = stdio.request("tools/call", call).await;
    let code = &answer["result"]["structuredContent"]["error"]["code"];
    assert_eq!(code, "blocked_by_policy", "{answer}");
    let explain = [
        "policy",
        "explain",
        "github_search",
        "--user",
        "bob@example.test",
    ];
    let told = command(&commands, &explain).await;
    assert!(told.contains(": deny, not listed"), "{told}");

    command(&commands, &["groups", "leave", "sales", "bob@example.test"]).await;
    until("they left", async || sees(&bob).await.then_some(())).await;
    // The group stays while there is a rule about it, which would be about nobody.
    let groups = app.auth.groups(app.org).await.unwrap();
    let removed = app.auth.remove_group(Actor::System, &groups[0]).await;
    assert!(matches!(removed, Err(AuthError::GroupRuled(name)) if name == "sales"));
    let rules = super::rows(&commands, &["policy", "list"]).await;
    let rule = rules[0]["id"].as_str().unwrap();
    command(&commands, &["policy", "remove", rule]).await;
    command(&commands, &["groups", "remove", "sales"]).await;
    assert!(sees(&bob).await);
}

/// Everything that is set is rows, and both databases keep them alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_survive_a_restart_and_are_the_same_on_both_databases() {
    for_each_world(true, async |world| {
        let app = world.app().await;
        let alice = connected(&app, "alice@example.test", Role::Member).await;
        let commands = settings(&world);
        command(
            &commands,
            &["policy", "add", "deny", "--integration", "github"],
        )
        .await;
        command(&commands, &["toolsets", "disable", "hubspot", "lists"]).await;
        command(&commands, &["policy", "read-only", "on"]).await;
        app.stop().await;
        let app = world.app().await;
        let alice = app.as_seen_here(&alice);
        let tools = alice.mcp.tools().await;
        assert!(
            tools.contains(&"hubspot_search_records".to_owned()),
            "{tools:?}"
        );
        for hidden in ["github_search", "hubspot_get_lists", "hubspot_save_records"] {
            assert!(!tools.contains(&hidden.to_owned()), "{hidden}");
        }
    })
    .await;
}
