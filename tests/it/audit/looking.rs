//! Looking by stretches finds the same as reading everything; counts are what counting finds.

use workbench_mcp::audit::{Class, Like, Line, Order, Search, Words};

use super::*;

async fn walked(
    rig: &Rig,
    store: &Store,
    search: &Search,
    order: Order,
    rows: u32,
    limit: u32,
) -> Vec<Line> {
    let mut search = search.clone();
    let mut lines = Vec::new();
    loop {
        let stretch = store
            .audit_stretch(rig.caller.org, &search, order, rows, limit)
            .await
            .unwrap();
        assert!(stretch.lines.len() <= limit as usize);
        lines.extend(stretch.lines);
        let Some(seq) = stretch.reached else {
            return lines;
        };
        match order {
            Order::Down => search.below = seq,
            Order::Up => search.above = seq,
        }
    }
}

#[tokio::test]
async fn every_combination_finds_what_fits_in_both_directions() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let rig = rig_on(store.clone()).await;
        let other = Rig {
            caller: caller(rig.caller.org),
            ..rig_on(store.clone()).await
        };
        let connection = ConnectionId::new(NOW);
        for n in 0..60_usize {
            let by = if n % 3 == 0 { &other } else { &rig };
            let tool = ["github_search", "hubspot_save_records", "github_get_issue"][n % 3];
            let effect = if n % 5 == 0 { "write" } else { "read" };
            let thread = (n % 4 == 0).then_some("t-1");
            let mut wanted = Event {
                thread,
                ..event(tool, effect)
            };
            wanted.connection = (n % 7 == 0).then_some(connection);
            let code = if n % 6 == 0 { "timeout" } else { "ok" };
            by.call(wanted, Outcome { code, ..ok() }).await;
        }
        let event = AdminEvent {
            kind: "auth.signed_in",
            target: "Laptop".into(),
            ..AdminEvent::default()
        };
        rig.log
            .record(Actor::System, rig.caller.org, event)
            .await
            .unwrap();
        let event = AdminEvent {
            kind: "admin.invited",
            outcome: "refused",
            ..AdminEvent::default()
        };
        rig.log
            .record(&rig.caller, rig.caller.org, event)
            .await
            .unwrap();
        rig.eventually("refused", 1).await;
        let everything = Search {
            below: i64::MAX,
            ..Search::default()
        };
        let all = walked(&rig, &store, &everything, Order::Up, 1_000, 1_000).await;
        assert_eq!(all.len(), 62);
        let fits = |search: &Search, line: &Line| {
            let is = |wanted: &Option<String>, found: &Option<String>| {
                wanted.is_none() || wanted == found
            };
            let outcome = match &search.outcome {
                Some(Like::Is(code)) => line.outcome == *code,
                Some(Like::NotOk) => line.outcome != "ok",
                _ => true,
            };
            let kind = match &search.kind {
                Some(Like::Is(kind)) => line.kind == *kind,
                Some(Like::Class(class)) => Class::of(&line.kind, line.tool.is_some()) == *class,
                _ => true,
            };
            let words = search.words.as_ref().is_none_or(|words| {
                let has = |text: &Option<String>| {
                    text.as_ref()
                        .is_some_and(|text| text.to_lowercase().contains(&words.text))
                };
                has(&line.tool)
                    || has(&line.thread)
                    || has(&line.integration)
                    || line.kind.contains(&words.text)
                    || line.outcome.contains(&words.text)
                    || line.tool.is_none() && line.facts.to_lowercase().contains(&words.text)
                    || line.user_id.is_some_and(|id| words.users.contains(&id))
                    || line
                        .connection_id
                        .is_some_and(|id| words.connections.contains(&id))
            });
            (search.user.is_none() || search.user == line.user_id)
                && (search.connection.is_none() || search.connection == line.connection_id)
                && is(&search.integration, &line.integration)
                && is(&search.tool, &line.tool)
                && is(&search.effect, &line.effect)
                && is(&search.thread, &line.thread)
                && outcome
                && kind
                && words
        };
        let text = |text: &str| Some(text.to_owned());
        let words = |text: &str, users: Vec<UserId>, connections| {
            Some(Words {
                text: text.to_owned(),
                users,
                connections,
            })
        };
        // One of each column, combined.
        let mut searches = Vec::new();
        for outcome in [
            None,
            Some(Like::NotOk),
            Some(Like::Is("timeout".to_owned())),
            Some(Like::Is("ok".to_owned())),
        ] {
            for kind in [
                None,
                Some(Like::Class(Class::Calls)),
                Some(Like::Class(Class::Security)),
                Some(Like::Class(Class::Administration)),
                Some(Like::Is("auth.signed_in".to_owned())),
                Some(Like::Is("tool.outcome".to_owned())),
            ] {
                for other_columns in [
                    Search::default(),
                    Search {
                        user: Some(rig.caller.user),
                        ..Search::default()
                    },
                    Search {
                        tool: text("github_search"),
                        ..Search::default()
                    },
                    Search {
                        thread: text("t-1"),
                        effect: text("write"),
                        ..Search::default()
                    },
                    Search {
                        connection: Some(connection),
                        integration: text("github"),
                        ..Search::default()
                    },
                    Search {
                        effect: text("read"),
                        ..Search::default()
                    },
                    Search {
                        user: Some(rig.caller.user),
                        effect: text("write"),
                        integration: text("hubspot"),
                        ..Search::default()
                    },
                    Search {
                        words: words("_save_", vec![], vec![]),
                        ..Search::default()
                    },
                    Search {
                        words: words("laptop", vec![other.caller.user], vec![connection]),
                        ..Search::default()
                    },
                    Search {
                        tool: text("no_such_tool"),
                        integration: text("github"),
                        ..Search::default()
                    },
                ] {
                    searches.push(Search {
                        outcome: outcome.clone(),
                        kind: kind.clone(),
                        below: i64::MAX,
                        ..other_columns
                    });
                }
            }
        }
        for search in &searches {
            let up: Vec<Line> = all
                .iter()
                .filter(|line| fits(search, line))
                .cloned()
                .collect();
            let mut down = up.clone();
            down.reverse();
            assert_eq!(
                walked(&rig, &store, search, Order::Up, 7, 3).await,
                up,
                "{search:?} on {}",
                database.name
            );
            assert_eq!(
                walked(&rig, &store, search, Order::Down, 5, 4).await,
                down,
                "{search:?} on {}",
                database.name
            );
            let part = Search {
                above: 20,
                below: 90,
                ..search.clone()
            };
            let within: Vec<Line> = down
                .iter()
                .filter(|line| line.seq > 20 && line.seq < 90)
                .cloned()
                .collect();
            assert_eq!(
                walked(&rig, &store, &part, Order::Down, 11, 50).await,
                within,
                "{part:?}"
            );
        }
    })
    .await;
}

/// The counts of a database, as text.
async fn counts(database: &Database) -> Vec<i64> {
    database
        .numbers(
            "select span + start / 1000000 + events * 3 + failures * 5 + timed * 7 + total_us * 11 + most_us * 13 \
             + within_10ms * 17 + longer * 19 + within_3s * 23 from audit_counts \
             order by org_id, span, start, class, integration, effect",
        )
        .await
}

#[tokio::test]
async fn counts_go_with_the_events_and_are_caught_up_with() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let rig = rig_on(store.clone()).await;
        for n in 0..40_u64 {
            let code = if n % 4 == 0 { "timeout" } else { "ok" };
            let outcome = Outcome {
                code,
                duration_us: n * n * 2_000,
                ..ok()
            };
            rig.call(event("hubspot_save_records", "write"), outcome)
                .await;
            rig.clock.advance(Duration::from_mins(7));
        }
        let org = rig.caller.org;
        assert_eq!(
            database
                .numbers("select cast(sum(events) as bigint) from audit_counts where span = 3600")
                .await,
            [40]
        );
        assert_eq!(
            database
                .numbers(
                    "select cast(sum(failures) as bigint) from audit_counts where span = 86400"
                )
                .await,
            [10]
        );
        assert_eq!(store.audit_counted(org).await.unwrap(), (80, 80));
        let before = counts(&database).await;
        // As an earlier release leaves it: events without counts, and the writer goes on meanwhile.
        database
            .execute("delete from audit_counts; update audit_heads set counted = 0")
            .await;
        rig.call(event("hubspot_save_records", "write"), ok()).await;
        assert_eq!(store.audit_counted(org).await.unwrap(), (0, 82));
        assert!(counts(&database).await.is_empty());
        assert_eq!(store.catch_up_audit_counts(org, 33).await.unwrap(), 33);
        assert_eq!(store.audit_counted(org).await.unwrap(), (33, 82));
        assert_eq!(
            rig.log
                .catch_up_counts(Duration::from_mins(1))
                .await
                .unwrap(),
            49
        );
        assert_eq!(store.audit_counted(org).await.unwrap(), (82, 82));
        rig.call(event("hubspot_save_records", "write"), ok()).await;
        assert_eq!(store.audit_counted(org).await.unwrap(), (84, 84));
        let after = counts(&database).await;
        // Two more calls in the last hour and day; what was before is as it was.
        assert_eq!(after.len(), before.len());
        let changed = before
            .iter()
            .zip(&after)
            .filter(|(one, two)| one != two)
            .count();
        assert_eq!(changed, 2, "{before:?} {after:?}");
        assert_eq!(rig.verify(&[]).await, Ok(84));
    })
    .await;
}
