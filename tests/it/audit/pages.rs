//! Audit review in a browser: who may look, what a filter shows, what is kept from whom.

use http::{Method, StatusCode};
use workbench_mcp::ids::CallId;

use super::*;
use crate::harness::app::{Person, TestApp, World, for_each_world, still, until};
use crate::harness::http::{Page, between};

const PAGES: &[&str] = &[
    "/admin/audit",
    "/admin/audit/rows?after=0",
    "/admin/audit/verify",
    "/admin/audit/verify/state",
    "/admin/audit/export",
    "/admin/audit/export/state",
];

const FORMS: &[(&str, &[(&str, &str)])] = &[
    ("/admin/audit/views", &[("name", "mine"), ("query", "")]),
    ("/admin/audit/views/delete", &[("name", "mine")]),
    ("/admin/audit/verify", &[]),
    (
        "/admin/audit/verify/stop",
        &[("id", "call_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b")],
    ),
    ("/admin/audit/export", &[("form", "csv")]),
    ("/admin/audit/call_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b", &[]),
];

/// Somebody who is signed in with this role.
async fn with_role(app: &TestApp, email: &str, role: Role) -> Person {
    app.auth.add_user(app.org, email, role).await.unwrap();
    let person = app.person(email).await;
    person.sign_in().await;
    person
}

async fn csrf(person: &Person) -> String {
    let page = person.browser.get(person.at("/account")).await;
    page.field("csrf")
}

/// A call of somebody, written down as a real one is; answers its id.
async fn call(app: &TestApp, caller: &Caller, event: Event<'_>, outcome: Outcome) -> CallId {
    let id = event.call;
    let mut pending = app.audit.begin(caller, &client(), event);
    pending.durable().await.unwrap();
    app.audit.finish(pending, outcome).await.unwrap();
    // A read's outcome may follow in the next batch: this one comes after it.
    note(app, caller.org).await;
    id
}

async fn note(app: &TestApp, org: OrgId) {
    let event = AdminEvent {
        kind: "key.rotated",
        ..AdminEvent::default()
    };
    app.audit.record(Actor::System, org, event).await.unwrap();
}

fn acting(person: &Person, org: OrgId) -> Caller {
    Caller {
        user: person.row.id,
        email: person.row.email.as_str().into(),
        ..caller(org)
    }
}

fn fresh<'a>(tool: &str, effect: &'static str, thread: Option<&'a str>) -> Event<'a> {
    Event {
        call: CallId::new(NOW),
        thread,
        ..event(tool, effect)
    }
}

/// The calls of the rows, in the order shown.
fn shown(page: &Page) -> Vec<String> {
    let rows = page.text.split("<tr data-seq=").skip(1);
    rows.map(|row| between(row, "/admin/audit/", "\"").unwrap())
        .collect()
}

async fn list(person: &Person, query: &str) -> Page {
    let page = person
        .browser
        .get(person.at(&format!("/admin/audit?{query}")))
        .await;
    assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.text);
    page
}

/// Where the link with this word leads.
fn leads(page: &Page, rel: &str) -> Option<String> {
    let found = between(&page.text, &format!("rel=\"{rel}\" href=\""), "\"")?;
    Some(found.replace("&#38;", "&").replace("&amp;", "&"))
}

#[tokio::test]
async fn only_admins_and_auditors_look_and_every_form_needs_its_token() {
    let (_world, app) = still().await;
    let visitor = app.person("visitor@example.test").await;
    for path in PAGES {
        let page = visitor.browser.get(visitor.at(path)).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
    }
    for role in [Role::Member, Role::Admin, Role::Auditor] {
        let person = with_role(&app, &format!("{}@example.test", role.as_str()), role).await;
        let member = role == Role::Member;
        for path in PAGES {
            let page = person.browser.get(person.at(path)).await;
            let expected = if member {
                StatusCode::FORBIDDEN
            } else {
                StatusCode::OK
            };
            assert_eq!(page.status, expected, "{role:?} {path}");
            if member {
                assert!(page.text.contains("for admins and auditors"), "{path}");
            }
        }
        for (path, form) in FORMS {
            let refused = person.browser.post(person.at(path), form).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{role:?} {path}");
            let token = csrf(&person).await;
            let form = [*form, &[("csrf", token.as_str())]].concat();
            let foreign = [("sec-fetch-site", "cross-site")];
            let refused = person
                .browser
                .send(Method::POST, &person.at(path), &foreign, Some(&form))
                .await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{role:?} {path}");
        }
    }
    for kind in ["audit.exported", "audit.verify_started", "audit.opened"] {
        assert_eq!(app.logged(kind).await.len(), 0, "{kind}");
    }
    let admin = app.person("admin@example.test").await;
    admin.sign_in().await;
    let page = list(&admin, "").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("connect-src 'self'") && !policy.contains("unsafe"));
    for word in ["<style", " style=", "onclick", "<script>"] {
        assert!(!page.text.contains(word), "{word}");
    }
    for path in [
        "/admin/audit/call_x",
        "/admin/audit/threads/none",
        "/admin/audit/call_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b",
    ] {
        let page = admin.browser.get(admin.at(path)).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_filter_shows_what_fits_it() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let ada = with_role(&app, "ada@example.test", Role::Admin).await;
        let bob = app.person("bob@example.test").await;
        let eve = app.person("eve@example.test").await;
        let (of_bob, of_eve) = (acting(&bob, app.org), acting(&eve, app.org));
        let failed = |code| Outcome {
            code,
            duration_us: 2_000_000,
            ..Outcome::default()
        };
        let one = call(
            &app,
            &of_bob,
            fresh("github_search", "read", Some("t-1")),
            ok(),
        )
        .await;
        let two = call(
            &app,
            &of_eve,
            fresh("github_search", "read", Some("t-1")),
            failed("timeout"),
        )
        .await;
        world.advance(Duration::from_hours(2));
        let three = call(
            &app,
            &of_bob,
            fresh("hubspot_save_records", "write", None),
            ok(),
        )
        .await;
        let four = call(
            &app,
            &of_eve,
            fresh("hubspot_save_records", "write", Some("t/2 ü")),
            failed("rate_limited"),
        )
        .await;
        let calls = |query: &'static str| {
            let ada = &ada;
            async move {
                let page = list(ada, query).await;
                let mut found = shown(&page);
                found.sort();
                found
            }
        };
        let names = |ids: &[CallId]| {
            let mut names: Vec<String> = ids.iter().map(ToString::to_string).collect();
            names.sort();
            names
        };
        for (query, expected) in [
            ("kind=calls", &[one, two, three, four][..]),
            ("person=bob%40example.test", &[one, three]),
            ("person=BOB%40example.test&kind=calls", &[one, three]),
            ("integration=github", &[one, two]),
            ("tool=github_search", &[one, two]),
            ("effect=write", &[three, four]),
            ("effect=read", &[one, two]),
            ("effect=destructive", &[]),
            ("outcome=timeout", &[two]),
            ("outcome=not-ok", &[two, four]),
            ("outcome=ok&kind=calls", &[one, three]),
            ("outcome=not-ok&person=bob%40example.test", &[]),
            (
                "outcome=not-ok&person=eve%40example.test&integration=github",
                &[two],
            ),
            ("thread=t-1", &[one, two]),
            ("thread=t%2F2+%C3%BC", &[four]),
            ("thread=t-1&person=eve%40example.test", &[two]),
            ("kind=tool.outcome&effect=write", &[three, four]),
            ("kind=calls&from=2026-11-20+13%3A00", &[three, four]),
            ("kind=calls&to=2026-11-20T13%3A00%3A00Z", &[one, two]),
            (
                "kind=calls&from=2026-11-20&to=2026-11-20",
                &[one, two, three, four],
            ),
            ("kind=calls&from=2026-11-21", &[]),
            ("q=github_search", &[one, two]),
            ("q=bob%40example.test&kind=calls", &[one, three]),
            ("q=t-1", &[one, two]),
            ("q=SAVE_rec", &[three, four]),
            ("q=eve%40&kind=calls", &[two, four]),
            ("q=rate_lim&effect=write", &[four]),
            ("q=nothing+like+this", &[]),
            ("kind=calls&q=%25", &[]),
            (
                "kind=calls&junk=1&tool=github_search&tool=other",
                &[one, two],
            ),
        ] {
            assert_eq!(
                calls(query).await,
                names(expected),
                "{query} on {}",
                world.database.name
            );
        }
        // What is no call: by class and by exact kind.
        let security = list(&ada, "kind=security").await;
        assert!(
            security.text.contains("auth.signed_in")
                && !security.text.contains("github_search</code>")
        );
        let page = list(&ada, "kind=administration").await;
        assert!(
            !page.text.contains("auth.signed_in</code>"),
            "{}",
            page.text
        );
        let page = list(&ada, "kind=key.rotated").await;
        assert_eq!(shown(&page).len(), 4);
        // A call's id leads to the call.
        let page = ada
            .browser
            .get(ada.at(&format!("/admin/audit?q={two}")))
            .await;
        let page = ada.browser.follow(page).await;
        assert!(page.text.contains("timeout") && page.text.contains(&two.to_string()));
        // The chart counts the same, from the counts and one by one.
        for (query, summary) in [
            ("kind=calls", "4 records, 2 of them not ok"),
            (
                "kind=calls&integration=github&from=2026-11-20&to=2026-11-20",
                "2 records, 1 of them not ok",
            ),
            ("outcome=not-ok", "2 records, 2 of them not ok"),
            ("person=bob%40example.test", "2 records, 0 of them not ok"),
            (
                "kind=calls&from=2026-11-20T11%3A59%3A00Z&to=2026-11-20T12%3A05%3A00Z",
                "2 records, 1 of them not ok",
            ),
        ] {
            let page = list(&ada, query).await;
            assert!(
                page.text.contains(summary),
                "{query} on {}: {}",
                world.database.name,
                page.text
            );
        }
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_filter_is_answered_with_what_is_wrong_and_what_was_typed() {
    let (_world, app) = still().await;
    let ada = with_role(&app, "ada@example.test", Role::Admin).await;
    for (query, problem, kept) in [
        ("from=gestern&tool=x1", "is no time", "value=\"gestern\""),
        ("to=2026-13-01", "is no time", "value=\"2026-13-01\""),
        (
            "from=2026-11-21&to=2026-11-20",
            "not after its beginning",
            "value=\"2026-11-20\"",
        ),
        (
            "person=nobody%40example.test",
            "Nobody here has the address",
            "value=\"nobody@example.test\"",
        ),
        (
            "account=unheard",
            "No connected account is called",
            "value=\"unheard\"",
        ),
        (
            "integration=fax",
            "There is no integration",
            ">fax</option>",
        ),
        ("effect=big", "is no effect", ">big</option>"),
        ("kind=odd", "is no kind", "value=\"odd\""),
        ("q=a%00b", "no record has", "name=\"q\""),
        (
            "person=%3Cscript%3E",
            "Nobody here",
            "value=\"&#60;script&#62;\"",
        ),
    ] {
        let page = ada
            .browser
            .get(ada.at(&format!("/admin/audit?{query}")))
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(page.text.contains(problem), "{query}: {}", page.text);
        assert!(page.text.contains(kept), "{query}: {}", page.text);
        assert!(page.text.contains("role=\"alert\""), "{query}");
        if query.contains("tool=x1") {
            assert!(page.text.contains("value=\"x1\""));
        }
        let token = csrf(&ada).await;
        let form = [("csrf", token.as_str()), ("query", query), ("form", "csv")];
        let refused = ada.browser.post(ada.at("/admin/audit/export"), &form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
    let page = list(&ada, "tool=never_called").await;
    assert!(page.text.contains("No record fits this filter."));
}

/// Watching is recorded once, by the page; asking for what is older is a look of its own.
#[tokio::test]
async fn older_rows_are_not_read_unnoticed() {
    let (world, app) = still().await;
    let ada = with_role(&app, "ada@example.test", Role::Admin).await;
    for (looks, expected) in [(1, 0), (2, 1), (3, 2)] {
        let rows = ada.at("/admin/audit/rows?after=0");
        assert_eq!(ada.browser.get(rows).await.status, StatusCode::OK);
        let read = app.logged("audit.read").await;
        assert_eq!(read.len(), expected, "after {looks} looks");
        assert!(read.iter().all(|entry| entry.facts["target"] == "rows"));
        world.advance(Duration::from_mins(2));
    }
}

#[tokio::test]
async fn pages_have_neither_gaps_nor_doubles_while_events_arrive() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let ada = with_role(&app, "ada@example.test", Role::Admin).await;
        let bob = app.person("bob@example.test").await;
        let caller = acting(&bob, app.org);
        let mut all = Vec::new();
        for _ in 0..130 {
            all.push(
                call(&app, &caller, fresh("github_search", "read", None), ok())
                    .await
                    .to_string(),
            );
        }
        all.reverse();
        for query in [
            "tool=github_search",
            "kind=calls",
            "q=github_sea",
            "person=bob%40example.test&effect=read",
        ] {
            let mut page = list(&ada, query).await;
            let mut found = shown(&page);
            let mut pages = vec![found.clone()];
            while let Some(older) = leads(&page, "next") {
                // Somebody else works meanwhile.
                let other = fresh("hubspot_search_records", "read", None);
                call(&app, &acting(&ada, app.org), other, ok()).await;
                page = ada
                    .browser
                    .get(page.url.join(&older).unwrap().as_str())
                    .await;
                let rows = shown(&page);
                found.extend(rows.clone());
                pages.push(rows);
            }
            let found: Vec<_> = found
                .into_iter()
                .filter(|call| all.contains(call))
                .collect();
            assert_eq!(found, all, "{query} on {}", world.database.name);
            // And back.
            while let Some(newer) = leads(&page, "prev") {
                pages.pop();
                page = ada
                    .browser
                    .get(page.url.join(&newer).unwrap().as_str())
                    .await;
                if let Some(expected) = pages.last().filter(|_| pages.len() > 1) {
                    assert_eq!(&shown(&page), expected, "{query}");
                }
                if pages.len() <= 1 {
                    break;
                }
            }
        }
        // New rows for a page that watches.
        let page = list(&ada, "tool=github_search").await;
        let after = between(&page.text, "data-after=\"", "\"").unwrap();
        let new = call(&app, &caller, fresh("github_search", "read", None), ok()).await;
        let rows = format!("/admin/audit/rows?tool=github_search&after={after}");
        let rows = ada.browser.get(ada.at(&rows)).await;
        assert_eq!(shown(&rows), [new.to_string()]);
        assert!(!rows.text.contains("<html"));
    })
    .await;
}

#[tokio::test]
async fn organizations_see_nothing_of_each_other() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let ada = with_role(&app, "ada@example.test", Role::Auditor).await;
        let bob = app.person("bob@example.test").await;
        let other = OrgId::new(NOW);
        let elsewhere = Caller {
            org: other,
            ..caller(other)
        };
        let foreign = call(
            &app,
            &elsewhere,
            fresh("github_search", "read", Some("shared")),
            ok(),
        )
        .await;
        let own = call(
            &app,
            &acting(&bob, app.org),
            fresh("github_search", "read", Some("shared")),
            ok(),
        )
        .await;
        for query in [
            "",
            "kind=calls",
            "tool=github_search",
            "thread=shared",
            "integration=github",
            "q=github_sear",
        ] {
            let page = list(&ada, query).await;
            assert!(page.text.contains(&own.to_string()), "{query}");
            assert!(!page.text.contains(&foreign.to_string()), "{query}");
        }
        let page = list(&ada, "kind=calls").await;
        assert!(page.text.contains("1 records, 0 of them"), "{}", page.text);
        let token = csrf(&ada).await;
        let path = ada.at(&format!("/admin/audit/{foreign}"));
        assert_eq!(ada.browser.get(&path).await.status, StatusCode::NOT_FOUND);
        let opened = ada.browser.post(&path, &[("csrf", token.as_str())]).await;
        assert_eq!(opened.status, StatusCode::NOT_FOUND);
        let story = ada.browser.get(ada.at("/admin/audit/threads/shared")).await;
        assert!(
            story.text.contains(&own.to_string()) && !story.text.contains(&foreign.to_string())
        );
        for form in ["jsonl", "csv"] {
            let form = [("csrf", token.as_str()), ("form", form)];
            let file = ada.browser.post(ada.at("/admin/audit/export"), &form).await;
            assert!(
                file.text.contains(&own.to_string()) && !file.text.contains(&foreign.to_string())
            );
        }
    })
    .await;
}

#[tokio::test]
async fn only_auditors_open_arguments_and_opening_is_recorded_first() {
    let (_world, app) = still().await;
    let ada = with_role(&app, "ada@example.test", Role::Admin).await;
    let ivy = with_role(&app, "ivy@example.test", Role::Auditor).await;
    let bob = app.person("bob@example.test").await;
    let mut wanted = fresh("hubspot_save_records", "write", Some("t-9"));
    wanted.arguments = Redacted(json!({ "deal": "Project Nightfall" }));
    let outcome = Outcome {
        detail: Some(json!({ "items": 3, "secret_note": "kept apart" })),
        upstream_requests: 2,
        upstream_status: Some(200),
        bytes_in: 4_321,
        ..ok()
    };
    let id = call(&app, &acting(&bob, app.org), wanted, outcome).await;
    let path = format!("/admin/audit/{id}");
    for person in [&ada, &ivy] {
        let page = person.browser.get(person.at(&path)).await;
        assert_eq!(page.status, StatusCode::OK);
        for shown in [
            "hubspot_save_records",
            "bob@example.test",
            "t-9",
            "tester 1.0",
            "2026-11-20T12:00:00Z",
            "4\u{202f}321",
            "holds",
            "Hash before it",
            "They are kept.",
        ] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
        for hidden in ["Nightfall", "secret_note", "kept apart"] {
            assert!(!page.text.contains(hidden), "{hidden}");
        }
        assert_eq!(
            page.text.contains("<button>Open</button>"),
            person.row.id == ivy.row.id
        );
    }
    assert_eq!(app.logged("audit.opened").await.len(), 0);
    let token = csrf(&ada).await;
    let refused = ada
        .browser
        .post(ada.at(&path), &[("csrf", token.as_str())])
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("Only auditors") && !refused.text.contains("Nightfall"));
    let token = csrf(&ivy).await;
    let opened = ivy
        .browser
        .post(ivy.at(&path), &[("csrf", token.as_str())])
        .await;
    assert_eq!(opened.status, StatusCode::OK);
    assert!(
        opened.text.contains("Project Nightfall") && opened.text.contains("kept apart"),
        "{}",
        opened.text
    );
    let logged = app.logged("audit.opened").await;
    let facts: Vec<_> = logged
        .iter()
        .map(|entry| {
            (
                entry.user,
                entry.outcome.as_str(),
                entry.facts["target"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            (Some(ada.row.id), "refused", id.to_string()),
            (Some(ivy.row.id), "ok", id.to_string()),
        ]
    );
    assert!(app.logged("audit.read").await.len() >= 2);
    // Of an export the arguments go to auditors only, and both files verify.
    for (person, holds) in [(&ada, false), (&ivy, true)] {
        let token = csrf(person).await;
        let form = [("csrf", token.as_str()), ("form", "jsonl")];
        let file = person
            .browser
            .post(person.at("/admin/audit/export"), &form)
            .await;
        assert_eq!(file.status, StatusCode::OK);
        assert_eq!(file.text.contains("Nightfall"), holds);
        let whole = verify_file(file.text.as_bytes(), &[]).unwrap();
        assert!(whole.events > 5);
        assert!(file.text.trim_end().ends_with(&format!(
            "{{\"complete\":true,\"events\":{}}}",
            whole.events
        )));
        let lines: Vec<&str> = file.text.lines().collect();
        let cut = [&lines[..lines.len() - 2], &lines[lines.len() - 1..]]
            .concat()
            .join("\n");
        assert!(verify_file(cut.as_bytes(), &[]).is_err());
    }
    // What was erased is said to be.
    let erased = later(60);
    app.audit
        .erase_payloads(Actor::System, app.org, erased)
        .await
        .unwrap();
    let page = ivy.browser.get(ivy.at(&path)).await;
    assert!(page.text.contains("They were erased") && !page.text.contains("<button>Open</button>"));
}

#[tokio::test]
async fn a_thread_is_told_in_order_and_for_one_person() {
    let (world, app) = still().await;
    let ada = with_role(&app, "ada@example.test", Role::Admin).await;
    let bob = app.person("bob@example.test").await;
    let eve = app.person("eve@example.test").await;
    let mut of_bob = Vec::new();
    for tool in ["github_search", "github_get_issue", "github_save_issue"] {
        of_bob.push(
            call(
                &app,
                &acting(&bob, app.org),
                fresh(tool, "read", Some("a/b c")),
                ok(),
            )
            .await
            .to_string(),
        );
        world.advance(Duration::from_secs(1));
    }
    let path = format!("/admin/audit/threads/a%2Fb%20c?person={}", bob.row.id);
    let steps = |page: &Page| -> Vec<String> {
        let items = page.text.split("story-time").skip(1);
        items
            .map(|item| between(item, "/admin/audit/", "\"").unwrap())
            .collect()
    };
    let page = ada.browser.get(ada.at(&path)).await;
    assert_eq!(steps(&page), of_bob);
    // Alone it need not be said whose it is; of two it must be.
    let page = ada
        .browser
        .get(ada.at("/admin/audit/threads/a%2Fb%20c"))
        .await;
    assert_eq!(steps(&page), of_bob);
    let of_eve = call(
        &app,
        &acting(&eve, app.org),
        fresh("github_search", "read", Some("a/b c")),
        ok(),
    )
    .await;
    let page = ada
        .browser
        .get(ada.at("/admin/audit/threads/a%2Fb%20c"))
        .await;
    assert!(steps(&page).is_empty() && page.text.contains("Choose whose"));
    let page = ada.browser.get(ada.at(&path)).await;
    assert_eq!(steps(&page), of_bob);
    assert!(page.text.contains("other people have threads of this name"));
    let path = format!("/admin/audit/threads/a%2Fb%20c?person={}", eve.row.id);
    assert_eq!(
        steps(&ada.browser.get(ada.at(&path)).await),
        [of_eve.to_string()]
    );
    let path = format!("/admin/audit/threads/a%2Fb%20c?person={}", ada.row.id);
    assert_eq!(
        ada.browser.get(ada.at(&path)).await.status,
        StatusCode::NOT_FOUND
    );
    // The list leads there.
    let page = list(&ada, "thread=a%2Fb+c&person=bob%40example.test").await;
    assert!(page.text.contains(&format!(
        "/admin/audit/threads/a%2Fb%20c?person={}",
        bob.row.id
    )));
}

#[tokio::test]
async fn a_table_holds_no_formulas_and_says_that_it_is_whole() {
    let (_world, app) = still().await;
    let ada = with_role(&app, "ada@example.test", Role::Admin).await;
    let bob = app.person("bob@example.test").await;
    for thread in [
        "=1+1", "+49 30", "-2", "@SUM(A1)", "\t=x", "a,\"b\"", "plain",
    ] {
        call(
            &app,
            &acting(&bob, app.org),
            fresh("github_search", "read", Some(thread)),
            ok(),
        )
        .await;
    }
    call(
        &app,
        &acting(&bob, app.org),
        fresh("=cmd|calc", "read", None),
        ok(),
    )
    .await;
    let token = csrf(&ada).await;
    let form = [
        ("csrf", token.as_str()),
        ("form", "csv"),
        ("query", "kind=calls&person=bob%40example.test"),
    ];
    let file = ada.browser.post(ada.at("/admin/audit/export"), &form).await;
    assert_eq!(file.status, StatusCode::OK);
    let named = file.headers["content-disposition"].to_str().unwrap();
    assert_eq!(named, "attachment; filename=\"audit-2026-11-20.csv\"");
    for cell in [
        "\"'=1+1\"",
        "\"'+49 30\"",
        "\"'-2\"",
        "\"'@SUM(A1)\"",
        "\"a,\"\"b\"\"\"",
        ",plain,",
        "\"'=cmd|calc\"",
        "bob@example.test",
    ] {
        assert!(file.text.contains(cell), "{cell}: {}", file.text);
    }
    let lines: Vec<&str> = file.text.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("seq,at,kind,call,person"));
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[9], "# complete: 8 records");
    for line in &lines[1..9] {
        for cell in line.split(',') {
            assert!(
                !cell
                    .trim_start_matches('"')
                    .starts_with(['=', '+', '-', '@', '\t']),
                "{cell}"
            );
        }
    }
    let logged = app.logged("audit.exported").await;
    assert_eq!(logged[0].user, Some(ada.row.id));
    let ended = app.logged("audit.export_ended").await;
    assert_eq!((ended.len(), ended[0].outcome.as_str()), (1, "ok"));
    let page = ada
        .browser
        .get(ada.at("/admin/audit/export?kind=calls"))
        .await;
    assert!(
        page.text.contains("About 8 completed records"),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("8 records were written."),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn an_export_that_nobody_takes_to_its_end_is_recorded_as_broken_off() {
    let (_world, app) = still().await;
    let ada = with_role(&app, "ada@example.test", Role::Admin).await;
    let caller = Caller {
        role: Role::Admin,
        ..acting(&ada, app.org)
    };
    let search = workbench_mcp::audit::Search::default();
    let form = workbench_mcp::audit::Form::Lines;
    let mut download = app
        .audit
        .download(&caller, form, &search, (None, None), "")
        .await
        .unwrap();
    assert!(download.next().await.is_some());
    drop(download);
    until("it is recorded", async || {
        let ended = app.logged("audit.export_ended").await;
        let one = ended.first()?;
        assert_eq!(one.outcome, "broken_off");
        Some(())
    })
    .await;
    let page = ada.browser.get(ada.at("/admin/audit/export")).await;
    assert!(page.text.contains("Broken off"), "{}", page.text);
}

#[tokio::test]
async fn views_are_saved_shared_and_deleted() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let ada = with_role(&app, "ada@example.test", Role::Admin).await;
        let ivy = with_role(&app, "ivy@example.test", Role::Auditor).await;
        let token = csrf(&ada).await;
        let save = async |name: &str, query: &str, shared: bool| {
            let mut form = vec![("csrf", token.as_str()), ("name", name), ("query", query)];
            if shared {
                form.push(("shared", "on"));
            }
            ada.browser.post(ada.at("/admin/audit/views"), &form).await
        };
        let saved = save(" Failures <b> ", "outcome=not-ok&before=7&junk=1", false).await;
        assert_eq!(saved.status, StatusCode::SEE_OTHER);
        assert!(
            saved
                .location()
                .unwrap()
                .as_str()
                .ends_with("/admin/audit?outcome=not-ok")
        );
        let named = "Failures &#60;b&#62;</a>";
        assert!(list(&ada, "").await.text.contains(named));
        assert!(!list(&ivy, "").await.text.contains(named));
        // Saving again replaces it.
        save("Failures <b>", "effect=write", true).await;
        let page = list(&ivy, "").await;
        assert!(page.text.contains(named) && page.text.contains("shared by ada@example.test"));
        assert!(
            page.text.contains("/admin/audit?effect=write\""),
            "{}",
            page.text
        );
        assert!(!page.text.contains("Delete the view"));
        for name in ["", "   ", &"x".repeat(61), "a\nb"] {
            assert_eq!(
                save(name, "", false).await.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{name}"
            );
        }
        // Nobody deletes what is somebody else's.
        let other = csrf(&ivy).await;
        let form = [("csrf", other.as_str()), ("name", "Failures <b>")];
        ivy.browser
            .post(ivy.at("/admin/audit/views/delete"), &form)
            .await;
        assert!(list(&ada, "").await.text.contains(named));
        let form = [("csrf", token.as_str()), ("name", "Failures <b>")];
        for _ in 0..2 {
            let gone = ada
                .browser
                .post(ada.at("/admin/audit/views/delete"), &form)
                .await;
            assert_eq!(gone.status, StatusCode::SEE_OTHER);
        }
        assert!(!list(&ivy, "").await.text.contains(named));
        assert_eq!(app.logged("audit.view_shared").await.len(), 1);
        for at in 0..50 {
            assert_eq!(
                save(&format!("v{at}"), "", false).await.status,
                StatusCode::SEE_OTHER
            );
        }
        let full = save("one more", "", false).await;
        assert_eq!(full.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            save("v3", "effect=read", false).await.status,
            StatusCode::SEE_OTHER
        );
    })
    .await;
}

#[tokio::test]
async fn verifying_from_the_page_finds_what_was_changed() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let ada = with_role(&app, "ada@example.test", Role::Admin).await;
        let bob = app.person("bob@example.test").await;
        for _ in 0..5 {
            call(
                &app,
                &acting(&bob, app.org),
                fresh("github_save_issue", "write", None),
                ok(),
            )
            .await;
        }
        let token = csrf(&ada).await;
        let verify = async |count: usize| {
            let form = [("csrf", token.as_str())];
            let started = ada.browser.post(ada.at("/admin/audit/verify"), &form).await;
            assert_eq!(started.status, StatusCode::SEE_OTHER);
            until("it ends", async || {
                // The page without scripts, and what the script asks for.
                let page = ada.browser.get(ada.at("/admin/audit/verify")).await;
                let part = ada.browser.get(ada.at("/admin/audit/verify/state")).await;
                assert!(!part.text.contains("<html"));
                let done = app.logged("audit.verified").await.len() == count;
                (done
                    && part.text.contains("data-running=\"false\"")
                    && page.text.contains("Verifications"))
                .then_some(part)
            })
            .await
        };
        let part = verify(1).await;
        assert!(
            part.text.contains("Intact") && part.text.contains("Every record from 1 to"),
            "{}",
            part.text
        );
        super::chain::disarm(&world.database).await;
        world
            .database
            .execute("update audit_events set outcome = 'odd' where seq = 6")
            .await;
        let part = verify(2).await;
        assert!(
            part.text.contains("Broken") && part.text.contains("is number 6:"),
            "{}",
            part.text
        );
        let logged = app.logged("audit.verified").await;
        assert_eq!(
            (logged[0].outcome.as_str(), logged[1].outcome.as_str()),
            ("ok", "broken")
        );
        assert_eq!(logged[1].detail["detail"]["seq"], 6);
        assert_eq!(app.logged("audit.verify_started").await.len(), 2);
        // Stopping what is not under way does no harm.
        let id = "call_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b";
        let form = [("csrf", token.as_str()), ("id", id)];
        let stopped = ada
            .browser
            .post(ada.at("/admin/audit/verify/stop"), &form)
            .await;
        assert_eq!(stopped.status, StatusCode::SEE_OTHER);
    })
    .await;
}
