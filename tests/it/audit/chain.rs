//! What cannot be changed, and how a change is noticed.
use super::*;

/// Lets SQL change what may not be changed.
pub(super) async fn disarm(database: &Database) {
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
                    .into_iter()
                    .filter(|seq| [1, 3, 4, 6].contains(seq))
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
        let lines: Vec<String> = published.lock().unwrap().iter().map(checkpoint_line).collect();
        let lines = format!("noise\n{}\n", lines.join("\nnoise\n"));
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
