//! The audit log, on both databases: what it keeps, what it refuses, and what it notices.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use workbench_mcp::audit::{
    Actor, AdminEvent, AuditError, AuditKeys, AuditLog, AuditWriter, Broken, Checkpoint, Entry,
    Event, FileError, Filter, Kind, Outcome, Pending, Redacted, Signer, VerifyError, VerifyingKey,
    checkpoint_line, read_checkpoints, verify_file,
};
use workbench_mcp::caller::{Caller, Client, Credential, Role};
use workbench_mcp::clock::Clock;
use workbench_mcp::ids::{CallId, ConnectionId, GrantId, OrgId, UserId};
use workbench_mcp::store::Store;

use crate::harness::database::{Database, Raw, for_each_database};
use crate::harness::rows::{NOW, later};

/// A log, and everything around it.
struct Rig {
    log: AuditLog,
    writer: AuditWriter,
    clock: Clock,
    caller: Caller,
    published: Arc<Mutex<Vec<Checkpoint>>>,
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn verifying_key() -> VerifyingKey {
    VerifyingKey {
        key_id: "k1".to_owned(),
        public_key: key().public_key().as_ref().try_into().unwrap(),
    }
}

async fn rig_on(store: Store) -> Rig {
    let clock = Clock::manual(NOW);
    let org = store.organization(NOW).await.unwrap().id;
    let published = Arc::new(Mutex::new(Vec::new()));
    let signer = Signer {
        key: verifying_key(),
        sign: Arc::new(|bytes| key().sign(bytes).as_ref().to_vec()),
        publish: {
            let published = Arc::clone(&published);
            Arc::new(move |checkpoint| published.lock().unwrap().push(checkpoint.clone()))
        },
        earlier: Vec::new(),
    };
    let keys = AuditKeys {
        hmac: [3; 32],
        signer: Some(signer),
    };
    let (log, writer) = AuditLog::start(store, clock.clone(), keys).await.unwrap();
    Rig {
        log,
        writer,
        clock,
        caller: caller(org),
        published,
    }
}

async fn rig(database: &Database) -> Rig {
    rig_on(database.store().await).await
}

fn caller(org: OrgId) -> Caller {
    Caller {
        user: UserId::new(NOW),
        org,
        email: "alice@example.test".into(),
        role: Role::Member,
        credential: Credential::Token(GrantId::new(NOW)),
        read_only: false,
    }
}

fn client() -> Client {
    Client {
        name: "tester 1.0".to_owned(),
        protocol: "2026-07-28".to_owned(),
        transport: "http",
    }
}

fn event(tool: &str, effect: &'static str) -> Event<'static> {
    let integration = tool.split('_').next().unwrap().to_owned();
    Event {
        call: CallId::new(NOW),
        kind: Kind::Tool,
        tool: tool.to_owned().into(),
        integration: integration.into(),
        provider: None,
        effect,
        thread: None,
        connection: None,
        account: None,
        arguments: Redacted(json!({ "id": 7 })),
        arguments_digest: Some("hmac:00:8"),
        catalogue_digest: None,
    }
}

fn ok() -> Outcome {
    Outcome {
        code: "ok",
        duration_us: 5,
        ..Outcome::default()
    }
}

impl Rig {
    fn begin(&self, event: Event<'_>) -> Pending {
        self.log.begin(&self.caller, &client(), event)
    }

    /// A whole call.
    async fn call(&self, event: Event<'_>, outcome: Outcome) {
        let mut pending = self.begin(event);
        pending.durable().await.unwrap();
        self.log.finish(pending, outcome).await.unwrap();
    }

    async fn list(&self, filter: Filter) -> Vec<Entry> {
        let filter = Filter {
            limit: if filter.limit == 0 { 100 } else { filter.limit },
            ..filter
        };
        self.log.list(self.caller.org, &filter).await.unwrap()
    }

    async fn verify(&self, known: &[Checkpoint]) -> Result<u64, Broken> {
        match self.log.verify(None, known, |_| {}).await {
            Ok(verified) => Ok(verified.events),
            Err(VerifyError::Broken(broken)) => Err(broken),
            Err(VerifyError::Store(error)) => panic!("{error:?}"),
        }
    }

    /// Waits for what is written without anybody being told: entries with this outcome.
    async fn eventually(&self, outcome: &str, count: usize) -> Vec<Entry> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self
                .list(Filter {
                    outcome: Some(outcome.to_owned()),
                    ..Filter::default()
                })
                .await;
            if found.len() >= count {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{outcome} is not there: {found:?}"
            );
            tokio::task::yield_now().await;
        }
    }

    async fn export(&self, filter: Filter) -> String {
        let mut file = String::new();
        self.log
            .export(self.caller.org, &filter, |line| {
                assert!(!line.contains('\n'), "{line}");
                file.push_str(line);
                file.push('\n');
            })
            .await
            .unwrap();
        file
    }
}

/// Lets SQL change what may not be changed.
async fn disarm(database: &Database) {
    let sql = if database.is_sqlite() {
        "drop trigger audit_events_keep; drop trigger audit_events_stay; drop trigger audit_payloads_keep; \
         drop trigger audit_checkpoints_keep; drop trigger audit_checkpoints_stay"
    } else {
        "alter table audit_events disable trigger all; alter table audit_payloads disable trigger all; \
         alter table audit_checkpoints disable trigger all"
    };
    database.execute(sql).await;
}

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
        // A read's outcome may follow its answer; in the queue it was before this last write.
        let all = rig.list(Filter::default()).await;
        assert_eq!(all.len(), 9);
        assert!(all.windows(2).all(|pair| pair[0].seq > pair[1].seq));

        let count = async |filter: Filter| rig.list(filter).await.len();
        let none = Filter::default;
        assert_eq!(
            count(Filter {
                user: Some(alice),
                ..none()
            })
            .await,
            8
        );
        assert_eq!(
            count(Filter {
                integration: Some("hubspot".to_owned()),
                ..none()
            })
            .await,
            4
        );
        assert_eq!(
            count(Filter {
                connection: Some(connection),
                ..none()
            })
            .await,
            4
        );
        assert_eq!(
            count(Filter {
                tool: Some("github_create_issue".to_owned()),
                ..none()
            })
            .await,
            5
        );
        assert_eq!(
            count(Filter {
                effect: Some("read".to_owned()),
                ..none()
            })
            .await,
            4
        );
        assert_eq!(
            count(Filter {
                outcome: Some("timeout".to_owned()),
                ..none()
            })
            .await,
            1
        );
        assert_eq!(
            count(Filter {
                outcome: Some("ok".to_owned()),
                ..none()
            })
            .await,
            8
        );
        assert_eq!(
            count(Filter {
                thread: Some("even".to_owned()),
                ..none()
            })
            .await,
            2
        );
        let several = Filter {
            user: Some(alice),
            thread: Some("odd".to_owned()),
            effect: Some("write".to_owned()),
            outcome: Some("ok".to_owned()),
            ..none()
        };
        assert_eq!(count(several).await, 1);
        // From an instant on, and before another.
        assert_eq!(
            count(Filter {
                since: Some(later(30)),
                ..none()
            })
            .await,
            5
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
        let age = Duration::from_secs(600);
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
                "note": format!("use {secret}\nplease"), &secret: [format!("Bearer {}", "y".repeat(12))],
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

#[tokio::test]
async fn nothing_is_changed_or_deleted_by_sql() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        rig.call(event("hubspot_save_records", "write"), ok()).await;
        for sql in [
            "update audit_events set outcome = 'ok'",
            "delete from audit_events",
            "update audit_payloads set body = '{}'",
            "update audit_checkpoints set at = 1",
            "delete from audit_checkpoints",
        ] {
            assert!(database.try_execute(sql).await.is_err(), "{sql}");
        }
        assert_eq!(rig.verify(&[]).await, Ok(2));
    })
    .await;
}

/// The columns of a table, each with SQL for another value, which is never the one that is there.
fn changes(database: &Database, columns: &[(&'static str, char)]) -> Vec<(&'static str, String)> {
    let sqlite = database.is_sqlite();
    columns
        .iter()
        .map(|(column, kind)| {
            let value = match (kind, sqlite) {
                ('t', _) => format!("coalesce({column}, '') || 'x'"),
                ('n', _) => format!("coalesce({column}, 0) + 1000"),
                ('i', true) => "x'000102030405060708090a0b0c0d0e0f'".to_owned(),
                ('i', false) => "cast('00010203-0405-0607-0809-0a0b0c0d0e0f' as uuid)".to_owned(),
                ('b', true) => "zeroblob(32)".to_owned(),
                _ => "decode(repeat('00', 32), 'hex')".to_owned(),
            };
            (*column, value)
        })
        .collect()
}

#[tokio::test]
async fn any_changed_column_of_any_row_is_noticed() {
    const EVENTS: &[(&str, char)] = &[
        ("org_id", 'i'),
        ("seq", 'n'),
        ("at", 'n'),
        ("kind", 't'),
        ("call_id", 'i'),
        ("user_id", 'i'),
        ("integration", 't'),
        ("connection_id", 'i'),
        ("tool", 't'),
        ("effect", 't'),
        ("thread", 't'),
        ("outcome", 't'),
        ("completes", 'n'),
        ("facts", 't'),
        ("commitment", 'b'),
        ("hash", 'b'),
    ];
    const PAYLOADS: &[(&str, char)] =
        &[("org_id", 'i'), ("seq", 'n'), ("salt", 'b'), ("body", 't')];
    const HEADS: &[(&str, char)] = &[
        ("org_id", 'i'),
        ("seq", 'n'),
        ("hash", 'b'),
        ("at", 'n'),
        ("checkpoint_seq", 'n'),
        ("checkpoint_at", 'n'),
    ];
    const CHECKPOINTS: &[(&str, char)] = &[
        ("org_id", 'i'),
        ("seq", 'n'),
        ("hash", 'b'),
        ("at", 'n'),
        ("previous_seq", 'n'),
        ("key_id", 't'),
        ("signature", 'b'),
    ];
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        for _ in 0..3 {
            rig.call(event("hubspot_save_records", "write"), ok()).await;
            rig.clock.advance(Duration::from_secs(61));
        }
        assert_eq!(rig.verify(&[]).await, Ok(6));
        assert!(rig.published.lock().unwrap().len() > 1);
        disarm(&database).await;
        let tables = [
            ("audit_events", EVENTS),
            ("audit_payloads", PAYLOADS),
            ("audit_heads", HEADS),
            ("audit_checkpoints", CHECKPOINTS),
        ];
        for (table, columns) in tables {
            database
                .execute(&format!("create table saved as select * from {table}"))
                .await;
            for (column, value) in changes(&database, columns) {
                for seq in database
                    .numbers(&format!("select seq from {table} order by seq"))
                    .await
                {
                    database
                        .execute(&format!(
                            "update {table} set {column} = {value} where seq = {seq}"
                        ))
                        .await;
                    let broken = rig
                        .verify(&[])
                        .await
                        .expect_err(&format!("{table}.{column} of {seq}"));
                    if table == "audit_events" || table == "audit_payloads" {
                        assert_eq!(broken.seq, seq, "{table}.{column}: {broken}");
                    }
                    database
                        .execute(&format!(
                            "delete from {table}; insert into {table} select * from saved"
                        ))
                        .await;
                    assert_eq!(
                        rig.verify(&[]).await,
                        Ok(6),
                        "{table}.{column} of {seq} restored"
                    );
                }
            }
            for seq in database
                .numbers(&format!("select seq from {table} order by seq"))
                .await
            {
                database
                    .execute(&format!("delete from {table} where seq = {seq}"))
                    .await;
                let broken = rig
                    .verify(&[])
                    .await
                    .expect_err(&format!("{table} {seq} deleted"));
                if table == "audit_events" || table == "audit_payloads" {
                    assert_eq!(broken.seq, seq, "{table}: {broken}");
                }
                database
                    .execute(&format!(
                        "delete from {table}; insert into {table} select * from saved"
                    ))
                    .await;
            }
            database.execute("drop table saved").await;
        }
        if database.is_sqlite() {
            // What is no longer text at all; the other database does not take it.
            database
                .execute("update audit_events set facts = cast(x'ff' as text) where seq = 4")
                .await;
            assert_eq!(rig.verify(&[]).await.unwrap_err().seq, 4);
        }
    })
    .await;
}

#[tokio::test]
async fn a_cut_or_rewritten_chain_fails_against_a_checkpoint_kept_elsewhere() {
    for_each_database(async |database: Database| {
        let first = rig(&database).await;
        for _ in 0..3 {
            first.call(event("hubspot_save_records", "write"), ok()).await;
        }
        let Rig { log, writer, published, caller, .. } = first;
        writer.stop().await;
        let refused = log.begin(&caller, &client(), event("hubspot_save_records", "write"));
        let mut refused = refused;
        assert!(matches!(refused.durable().await, Err(AuditError::Unavailable)));
        drop((log, refused));
        // What was published survives as lines in somebody else's log.
        let lines: String = published
            .lock()
            .unwrap()
            .iter()
            .map(|checkpoint| format!("noise\n{}\n", checkpoint_line(checkpoint)))
            .collect();
        let known = read_checkpoints(lines.as_bytes()).unwrap();
        assert_eq!(&known, &*published.lock().unwrap());
        assert_eq!(known.last().unwrap().seq, 6, "the writer signs the end when it stops");

        let rig = rig(&database).await;
        assert_eq!(rig.verify(&known).await, Ok(6));
        disarm(&database).await;
        // The last two events are cut off, carefully.
        database
            .execute(
                "delete from audit_events where seq > 4; delete from audit_payloads where seq > 4; \
                 delete from audit_checkpoints where seq > 4; \
                 update audit_heads set seq = 4, \
                 hash = (select hash from audit_events where seq = 4), at = (select at from audit_events where seq = 4), \
                 checkpoint_seq = (select max(seq) from audit_checkpoints), \
                 checkpoint_at = (select at from audit_checkpoints order by seq desc limit 1)",
            )
            .await;
        assert_eq!(rig.verify(&[]).await, Ok(4), "it looks whole by itself");
        assert_eq!(rig.verify(&known).await.unwrap_err().seq, 5);
        // The log goes on, and hides nothing.
        rig.call(event("github_create_issue", "write"), ok()).await;
        assert_eq!(rig.verify(&[]).await, Ok(6));
        assert_eq!(rig.verify(&known).await.unwrap_err().seq, 6);
        // All of it computed anew.
        database
            .execute(
                "delete from audit_events; delete from audit_payloads; delete from audit_checkpoints; \
                 delete from audit_heads",
            )
            .await;
        assert_eq!(rig.verify(&known).await.unwrap_err().seq, 1);
        for _ in 0..4 {
            rig.call(event("hubspot_save_records", "write"), ok()).await;
        }
        assert_eq!(rig.verify(&[]).await, Ok(8));
        assert!(rig.verify(&known).await.unwrap_err().seq <= 6);
    })
    .await;
}

#[tokio::test]
async fn a_checkpoint_by_another_key_is_refused() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        rig.call(event("hubspot_save_records", "write"), ok()).await;
        let mut forged = rig.published.lock().unwrap()[0].clone();
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        forged.signature = other.sign(b"anything").as_ref().to_vec();
        assert_eq!(rig.verify(&[forged]).await.unwrap_err().seq, 1);
    })
    .await;
}

#[tokio::test]
async fn erased_payloads_leave_a_chain_that_says_so() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        rig.call(event("hubspot_save_records", "write"), ok()).await;
        rig.clock.advance(Duration::from_secs(100));
        rig.call(event("hubspot_save_records", "write"), ok()).await;
        let erased = rig
            .log
            .erase_payloads(&rig.caller, rig.caller.org, later(50))
            .await
            .unwrap();
        assert_eq!(erased, 1);
        let verified = rig
            .log
            .verify(Some(rig.caller.org), &[], |_| {})
            .await
            .unwrap();
        assert_eq!((verified.events, verified.erased_payloads), (5, 1));
        let found = rig
            .list(Filter {
                effect: Some("write".to_owned()),
                ..Filter::default()
            })
            .await;
        assert_eq!(found[0].arguments, json!({ "id": 7 }));
        assert_eq!(found[1].arguments, Value::Null);
        // More than was said.
        database
            .execute("delete from audit_payloads where seq = 3")
            .await;
        assert_eq!(rig.verify(&[]).await.unwrap_err().seq, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_one_chain() {
    for_each_database(async |database: Database| {
        let one = Arc::new(rig(&database).await);
        let two = Arc::new(rig(&database).await);
        let mut tasks = Vec::new();
        for n in 0..40 {
            let rig = Arc::clone(if n % 2 == 0 { &one } else { &two });
            tasks.push(tokio::spawn(async move {
                for _ in 0..5 {
                    rig.call(event("hubspot_save_records", "write"), ok()).await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(one.verify(&[]).await, Ok(400));
        assert_eq!(
            one.list(Filter {
                limit: 1_000,
                ..Filter::default()
            })
            .await
            .len(),
            200
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_verified_while_it_grows() {
    for_each_database(async |database: Database| {
        let rig = Arc::new(rig(&database).await);
        let writing = {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move {
                for _ in 0..150 {
                    rig.call(event("hubspot_save_records", "write"), ok()).await;
                    rig.clock.advance(Duration::from_secs(20));
                }
            })
        };
        let mut last = 0;
        while !writing.is_finished() {
            let events = rig.verify(&[]).await.unwrap();
            assert!(events >= last);
            last = events;
        }
        writing.await.unwrap();
        assert_eq!(rig.verify(&[]).await, Ok(300));
        let published = rig.published.lock().unwrap().clone();
        assert!(published.len() >= 30);
        assert_eq!(rig.verify(&published).await, Ok(300));
    })
    .await;
}

/// Holds the log's lock, past the store, until it is dropped.
async fn block(database: &Database) -> Raw {
    let begin = if database.is_sqlite() {
        "begin immediate"
    } else {
        "begin; lock table audit_heads in access exclusive mode"
    };
    database.hold(begin).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_refuses_in_time() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        let mut write = rig.begin(event("hubspot_save_records", "write"));
        write.durable().await.unwrap();
        let mut read = rig.begin(event("hubspot_search_records", "read"));
        read.durable().await.unwrap();
        let blocked = block(&database).await;

        let began = Instant::now();
        let mut intent = rig.begin(event("github_create_issue", "write"));
        let org = rig.caller.org;
        let admin = AdminEvent {
            kind: "admin.note",
            ..AdminEvent::default()
        };
        let (refused, withheld, unrecorded) = tokio::join!(
            intent.durable(),
            rig.log.finish(write, ok()),
            rig.log.record(&rig.caller, org, admin),
        );
        assert!(
            matches!(refused, Err(AuditError::Unavailable)),
            "{refused:?}"
        );
        assert!(
            matches!(withheld, Err(AuditError::Unavailable)),
            "{withheld:?}"
        );
        assert!(
            matches!(unrecorded, Err(AuditError::Unavailable)),
            "{unrecorded:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(3));
        // The intent of a read was durable before: its outcome may follow.
        rig.log.finish(read, ok()).await.unwrap();

        // Many more than the queue holds are refused, too, and at once.
        let began = Instant::now();
        let mut refused = 0;
        let mut flood = Vec::new();
        for _ in 0..12_000 {
            flood.push(rig.begin(event("github_create_issue", "write")));
        }
        for pending in flood.iter_mut().rev() {
            let Some(result) = futures_util::FutureExt::now_or_never(pending.durable()) else {
                break;
            };
            assert!(matches!(result, Err(AuditError::Unavailable)));
            refused += 1;
        }
        assert!(refused >= 900, "{refused}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );

        drop(blocked);
        // What happened is written down as soon as that is possible.
        let done = rig.eventually("ok", 2).await;
        assert!(
            done.iter()
                .any(|entry| entry.tool.as_deref() == Some("hubspot_save_records"))
        );
        drop((intent, flood));
        rig.writer.stop().await;
        let verified = rig.log.verify(None, &[], |_| {}).await.unwrap();
        assert_eq!(verified.unsigned_events, 0, "the end is signed");
    })
    .await;
}

#[tokio::test]
async fn an_export_verifies_without_the_database() {
    for_each_database(async |database: Database| {
        let rig = rig(&database).await;
        for n in 0..4 {
            rig.call(event("hubspot_save_records", "write"), ok()).await;
            rig.call(event("github_create_issue", "write"), ok()).await;
            rig.clock
                .advance(Duration::from_secs(if n == 1 { 61 } else { 1 }));
        }
        let keys = [verifying_key()];
        let whole = rig.export(Filter::default()).await;
        let verified = verify_file(whole.as_bytes(), &keys).unwrap();
        assert_eq!((verified.events, verified.checkpoints), (16, 2));
        assert_eq!(
            verify_file(whole.as_bytes(), &[])
                .unwrap()
                .unchecked_checkpoints,
            2
        );

        // A range is whole in itself, a selection is checked event by event.
        let range = Filter {
            since: Some(later(1)),
            until: Some(later(62)),
            ..Filter::default()
        };
        assert_eq!(
            verify_file(rig.export(range).await.as_bytes(), &keys)
                .unwrap()
                .events,
            4
        );
        let selection = Filter {
            integration: Some("github".to_owned()),
            ..Filter::default()
        };
        let selection = rig.export(selection).await;
        assert_eq!(verify_file(selection.as_bytes(), &keys).unwrap().events, 8);

        let lines: Vec<&str> = whole.lines().collect();
        // Any event left out is missed …
        for left_out in 1..lines.len() - 1 {
            let mut some = lines.clone();
            let line = some.remove(left_out);
            if line.starts_with("{\"checkpoint") || left_out == 1 {
                continue;
            }
            let result = verify_file(some.join("\n").as_bytes(), &keys);
            assert!(
                matches!(result, Err(FileError::Broken(_))),
                "{line}: {result:?}"
            );
        }
        // … and any changed letter is found, unless the line cannot even be read.
        for changed in 1..lines.len() {
            let line = lines[changed];
            for at in (0..line.len()).step_by(7) {
                let mut bytes = line.as_bytes().to_vec();
                bytes[at] ^= 1;
                let Ok(text) = String::from_utf8(bytes) else {
                    continue;
                };
                let mut some = lines.clone();
                some[changed] = &text;
                let result = verify_file(some.join("\n").as_bytes(), &keys);
                assert!(result.is_err(), "{text}");
            }
        }
        assert!(matches!(
            verify_file("".as_bytes(), &keys),
            Err(FileError::Line(1))
        ));
        assert!(matches!(
            verify_file("{}\n".as_bytes(), &keys),
            Err(FileError::Line(1))
        ));
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
