//! What is written down, and how it is found again.
use super::*;

#[tokio::test]
async fn a_call_is_written_down_twice_and_read_as_one() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        let connection = ConnectionId::new(NOW);
        let mut pending = rig.begin(Event {
            thread: Some("thread-1"),
            provider: Some("hubspot"),
            catalogue_digest: Some("c0"),
            ..event("hubspot_save_records", "write")
        });
        pending.durable().await.unwrap();
        pending.durable().await.unwrap();
        assert!(rig.list(Filter::default()).await.is_empty(), "it is not completed yet");
        pending.connection(connection, "portal 1");
        rig.clock.advance(Duration::from_secs(1));
        let outcome = Outcome {
            code: "rate_limited",
            duration_us: 1_500,
            upstream_requests: 2,
            upstream_status: Some(429),
            bytes_in: 10,
            bytes_out: 20,
            result_digest: Some("hmac:11:20".to_owned()),
            detail: Some(json!({ "retry_after_s": 3 })),
        };
        rig.log.finish(pending, outcome).await.unwrap();
        // A write is there when `finish` says so.
        let found = rig.list(Filter::default()).await;
        let Credential::Token(grant) = rig.caller.credential else { unreachable!() };
        assert_eq!(
            found,
            [Entry {
                seq: 2,
                at: later(1),
                kind: "tool.outcome".to_owned(),
                call: found[0].call,
                user: Some(rig.caller.user),
                integration: Some("hubspot".to_owned()),
                connection: Some(connection),
                tool: Some("hubspot_save_records".to_owned()),
                effect: Some("write".to_owned()),
                thread: Some("thread-1".to_owned()),
                outcome: "rate_limited".to_owned(),
                facts: json!({
                    "transport": "http", "protocol": "2026-07-28", "client": "tester 1.0", "grant": grant,
                    "provider": "hubspot", "arguments_digest": "hmac:00:8", "catalogue_digest": "c0",
                    "duration_us": 1_500, "upstream_requests": 2, "upstream_status": 429, "bytes_in": 10,
                    "bytes_out": 20, "result_digest": "hmac:11:20",
                }),
                detail: json!({ "account": "portal 1", "detail": { "retry_after_s": 3 } }),
                arguments: json!({ "id": 7 }),
            }]
        );
        assert_eq!(rig.verify(&[]).await, Ok(2));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_a_call_is_one_event() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        let org = rig.caller.org;
        let connection = ConnectionId::new(NOW);
        let event = AdminEvent {
            kind: "connection.created",
            target: connection.to_string().into(),
            integration: Some("github"),
            connection: Some(connection),
            outcome: "",
            detail: json!({ "label": "octo" }),
        };
        rig.log.record(&rig.caller, org, event).await.unwrap();
        let denied = AdminEvent {
            kind: "auth.denied",
            outcome: "expired",
            ..AdminEvent::default()
        };
        rig.log.record(Actor::System, org, denied).await.unwrap();
        let found = rig.list(Filter::default()).await;
        assert_eq!(found[0].kind, "auth.denied");
        assert_eq!(
            (found[0].user, found[0].outcome.as_str()),
            (None, "expired")
        );
        assert_eq!(
            (&found[0].detail, &found[0].arguments),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(found[1].kind, "connection.created");
        assert_eq!(
            (found[1].user, found[1].connection),
            (Some(rig.caller.user), Some(connection))
        );
        assert_eq!(found[1].detail, json!({ "detail": { "label": "octo" } }));
        assert_eq!(found[1].facts["target"], connection.to_string());
        let of_kind = Filter {
            kind: Some("auth.denied".to_owned()),
            ..Filter::default()
        };
        assert_eq!(rig.list(of_kind).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn entries_are_found_by_what_they_are_about() {
    for_each_database(async |database: Database| {
        let mut rig = rig(&database).await;
        let connection = ConnectionId::new(NOW);
        let alice = rig.caller.user;
        for n in 0..4 {
            rig.clock.advance(Duration::from_secs(10));
            rig.call(event("hubspot_search_records", "read"), ok())
                .await;
            let mut pending = rig.begin(Event {
                thread: Some(if n % 2 == 0 { "even" } else { "odd" }),
                connection: Some(connection),
                ..event("github_create_issue", "write")
            });
            pending.durable().await.unwrap();
            let code = if n == 3 { "timeout" } else { "ok" };
            rig.log
                .finish(pending, Outcome { code, ..ok() })
                .await
                .unwrap();
        }
        rig.caller = caller(rig.caller.org);
        rig.call(event("github_create_issue", "write"), ok()).await;
        let admin = AdminEvent {
            kind: "connection.renamed",
            connection: Some(connection),
            integration: Some("github"),
            ..AdminEvent::default()
        };
        rig.log
            .record(&rig.caller, rig.caller.org, admin)
            .await
            .unwrap();
        // A read's outcome may follow its answer; in the queue it was before this last write.
        let all = rig.list(Filter::default()).await;
        assert_eq!(all.len(), 10);
        assert!(all.windows(2).all(|pair| pair[0].seq > pair[1].seq));

        let count = async |filter: Filter| rig.list(filter).await.len();
        let none = Filter::default;
        let several = Filter {
            user: Some(alice),
            thread: Some("odd".to_owned()),
            effect: Some("write".to_owned()),
            outcome: Some("ok".to_owned()),
            ..none()
        };
        assert_eq!(count(several).await, 1);
        // Every combination finds what a look at all entries finds.
        for like in [&all[1], &all[3], &all[8]] {
            for wanted in 0..1 << 8 {
                let want = |bit: u32| wanted & (1 << bit) != 0;
                let filter = Filter {
                    user: like.user.filter(|_| want(0)),
                    integration: like.integration.clone().filter(|_| want(1)),
                    connection: like.connection.filter(|_| want(2)),
                    tool: like.tool.clone().filter(|_| want(3)),
                    effect: like.effect.clone().filter(|_| want(4)),
                    outcome: Some(like.outcome.clone()).filter(|_| want(5)),
                    thread: like.thread.clone().filter(|_| want(6)),
                    kind: Some(like.kind.clone()).filter(|_| want(7)),
                    ..none()
                };
                let fits = |entry: &&Entry| {
                    (filter.user.is_none() || filter.user == entry.user)
                        && (filter.integration.is_none() || filter.integration == entry.integration)
                        && (filter.connection.is_none() || filter.connection == entry.connection)
                        && (filter.tool.is_none() || filter.tool == entry.tool)
                        && (filter.effect.is_none() || filter.effect == entry.effect)
                        && filter
                            .outcome
                            .as_ref()
                            .is_none_or(|outcome| *outcome == entry.outcome)
                        && (filter.thread.is_none() || filter.thread == entry.thread)
                        && filter.kind.as_ref().is_none_or(|kind| *kind == entry.kind)
                };
                let expected: Vec<Entry> = all.iter().filter(fits).cloned().collect();
                assert_eq!(rig.list(filter.clone()).await, expected, "{filter:?}");
            }
        }
        // From an instant on, and before another.
        assert_eq!(
            count(Filter {
                since: Some(later(30)),
                ..none()
            })
            .await,
            6
        );
        assert_eq!(
            count(Filter {
                until: Some(later(30)),
                ..none()
            })
            .await,
            4
        );
        assert_eq!(
            count(Filter {
                since: Some(later(20)),
                until: Some(later(30)),
                ..none()
            })
            .await,
            2
        );
        assert_eq!(
            count(Filter {
                since: Some(later(99)),
                ..none()
            })
            .await,
            0
        );
        assert_eq!(
            count(Filter {
                until: Some(NOW),
                ..none()
            })
            .await,
            0
        );
        // Page by page, by the number of the last one seen.
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = rig
                .list(Filter {
                    after,
                    limit: 4,
                    ..none()
                })
                .await;
            let Some(last) = page.last() else { break };
            after = Some(last.seq);
            pages.extend(page);
        }
        assert_eq!(pages, all);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_nobody_finishes_is_unknown() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        let pending = rig.begin(event("hubspot_save_records", "write"));
        drop(pending);
        let mut pending = rig.begin(event("hubspot_save_records", "write"));
        pending.durable().await.unwrap();
        drop(pending);
        for entry in rig.eventually("unknown", 2).await {
            assert_eq!(entry.arguments, json!({ "id": 7 }), "each found its intent");
        }
        // Its waiting was given up half way.
        let mut pending = rig.begin(event("hubspot_save_records", "write"));
        drop(futures_util::FutureExt::now_or_never(pending.durable()));
        drop(pending);
        assert_eq!(
            rig.eventually("unknown", 3).await[0].arguments,
            json!({ "id": 7 })
        );
        assert_eq!(rig.verify(&[]).await, Ok(6));
    })
    .await;
}

#[tokio::test]
async fn what_a_crash_left_open_is_closed() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let rig = rig_on(store.clone()).await;
        let mut lost = rig.begin(event("hubspot_save_records", "write"));
        lost.durable().await.unwrap();
        // As a crash does: neither finished nor dropped.
        std::mem::forget(lost);
        rig.call(event("hubspot_save_records", "write"), ok()).await;
        rig.clock.advance(Duration::from_secs(700));
        let mut running = rig.begin(event("github_create_issue", "write"));
        running.durable().await.unwrap();
        let age = Duration::from_mins(10);
        assert_eq!(rig.log.close_stale(age).await.unwrap(), 1);
        assert_eq!(rig.log.close_stale(age).await.unwrap(), 0);
        let closed = rig.eventually("unknown", 1).await;
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0].tool.as_deref(), Some("hubspot_save_records"));
        assert_eq!(closed[0].facts["closed"], "stale");
        assert_eq!(closed[0].arguments, json!({ "id": 7 }));
        rig.log.finish(running, ok()).await.unwrap();
        rig.clock.advance(Duration::from_secs(700));
        assert_eq!(rig.log.close_stale(age).await.unwrap(), 0);
        let heads = store.audit_heads().await.unwrap();
        assert_eq!(
            store.audit_closed(rig.caller.org).await.unwrap(),
            heads[0].seq
        );
        assert_eq!(rig.verify(&[]).await, Ok(6));
    })
    .await;
}

#[tokio::test]
async fn secrets_do_not_enter_and_lines_stay_lines() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        let secret = format!("wbt_{}", "x".repeat(20));
        let mut pending = rig.begin(Event {
            thread: Some("one\r\n\u{1b}[2Jtwo\u{0}"),
            account: Some(&secret),
            arguments: Redacted(json!({
                "note": format!("use {secret}\nplease"), &secret: [format!("Bearer {}", "y".repeat(24))],
                "nul": "a\u{0}b",
            })),
            ..event("hubspot_save_records", "write")
        });
        pending.durable().await.unwrap();
        pending.connection(ConnectionId::new(NOW), &secret);
        let outcome = Outcome { detail: Some(json!({ "said": secret })), ..ok() };
        rig.log.finish(pending, outcome).await.unwrap();
        let admin = AdminEvent {
            kind: "admin.note",
            target: secret.clone().into(),
            detail: json!([secret]),
            ..AdminEvent::default()
        };
        rig.log.record(&rig.caller, rig.caller.org, admin).await.unwrap();
        let file = rig.export(Filter::default()).await;
        assert!(!file.contains(&secret) && !file.contains("yyyy"), "{file}");
        let found = rig.list(Filter { effect: Some("write".to_owned()), ..Filter::default() }).await;
        assert_eq!(
            found[0].arguments,
            json!({ "note": "use [masked]\nplease", "[masked]": ["Bearer [masked]"], "nul": "a\u{0}b" })
        );
        assert_eq!(
            found[0].thread.as_deref(),
            Some("one\u{fffd}\u{fffd}\u{fffd}[2Jtwo\u{fffd}")
        );
        assert_eq!(rig.verify(&[]).await, Ok(3));
    })
    .await;
}

#[tokio::test]
async fn equal_values_have_equal_digests() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        let org = rig.caller.org;
        let digest = rig.log.digest(org, "ann@example.test");
        assert_eq!(digest, rig.log.digest(org, "ann@example.test"));
        assert_ne!(digest, rig.log.digest(org, "bob@example.test"));
        assert_ne!(digest, rig.log.digest(OrgId::new(NOW), "ann@example.test"));
        let parts: Vec<&str> = digest.split(':').collect();
        assert_eq!((parts[0], parts[1].len(), parts[2]), ("hmac", 32, "16"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_calls_share_a_commit() {
    for_each_database(async |database: Database| {
        let rig = Arc::new(rig(&database).await);
        let began = Instant::now();
        let tasks: Vec<_> = (0..128)
            .map(|_| {
                let rig = Arc::clone(&rig);
                tokio::spawn(async move {
                    for _ in 0..20 {
                        rig.call(event("hubspot_save_records", "write"), ok()).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let wrote = began.elapsed();
        let began = Instant::now();
        assert_eq!(rig.verify(&[]).await, Ok(5_120));
        eprintln!(
            "{}: 5120 events of 128 callers written in {wrote:?}, verified in {:?}",
            database.name,
            began.elapsed()
        );
    })
    .await;
}
