//! A log that cannot be written.
use super::*;

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
