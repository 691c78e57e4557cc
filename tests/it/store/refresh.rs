//! Refreshing once.
use super::*;

#[tokio::test]
async fn what_is_due_is_what_nobody_works_on() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let mut ids = Vec::new();
        let mut subject = 0;
        let mut insert = async |row: ConnectionRow| {
            subject += 1;
            let row = ConnectionRow {
                subject: subject.to_string(),
                ..row
            };
            store.insert_connection(&row).await.unwrap();
            ids.push(row.id);
        };
        let template = || connection(&alice, "0");
        let due = || ConnectionRow {
            next_refresh_at: Some(later(10)),
            ..template()
        };
        insert(due()).await;
        insert(ConnectionRow {
            next_refresh_at: Some(later(5)),
            status: Status::Error,
            ..template()
        })
        .await;
        insert(ConnectionRow {
            next_refresh_at: Some(later(11)),
            ..template()
        })
        .await;
        insert(ConnectionRow {
            next_refresh_at: None,
            ..template()
        })
        .await;
        insert(ConnectionRow {
            status: Status::Expired,
            ..due()
        })
        .await;
        insert(ConnectionRow {
            status: Status::Disabled,
            ..due()
        })
        .await;
        insert(ConnectionRow {
            retry_at: Some(later(20)),
            ..due()
        })
        .await;
        insert(ConnectionRow {
            retry_at: Some(later(8)),
            ..due()
        })
        .await;
        insert(ConnectionRow {
            lease_until: Some(later(10)),
            ..due()
        })
        .await;
        insert(ConnectionRow {
            lease_until: Some(later(9)),
            next_refresh_at: Some(later(9)),
            ..due()
        })
        .await;
        let found: Vec<ConnectionId> = store
            .connections_due(later(10), 10)
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.id)
            .collect();
        assert_eq!(found, [ids[1], ids[7], ids[9], ids[0]]);
        assert_eq!(store.connections_due(later(10), 1).await.unwrap().len(), 1);
    })
    .await;
}

fn rotated(byte: u8) -> Rotated {
    Rotated {
        sealed: sealed(byte),
        access_expires_at: Some(later(500)),
        refresh_expires_at: Some(later(900)),
        next_refresh_at: Some(later(400)),
        scopes: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_refreshes() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let other = Store::open(&database.url).await.unwrap();
        let alice = person(&store, "alice@example.test").await;
        let row = connection(&alice, "1");
        store.insert_connection(&row).await.unwrap();
        let attempts = (0..16)
            .map(|n| {
                let store = if n % 2 == 0 {
                    store.clone()
                } else {
                    other.clone()
                };
                async move {
                    let owner = format!("owner {n}");
                    store
                        .claim_refresh(row.id, 1, &owner, NOW, later(60))
                        .await
                        .unwrap()
                }
            })
            .collect();
        assert_eq!(winners(attempts).await, 1);
        let claimed = store.connection(row.id).await.unwrap().unwrap();
        assert_eq!(claimed.attempt_started_at, Some(NOW));
        assert_eq!(claimed.lease_until, Some(later(60)));
        let owner = claimed.lease_owner.unwrap();
        // The lease is over only after its last instant.
        assert!(
            !store
                .claim_refresh(row.id, 1, "late", later(60), later(99))
                .await
                .unwrap()
        );
        assert!(!store.release_refresh(row.id, 1, "late").await.unwrap());

        let attempts = (0..8)
            .map(|n| {
                let store = if n % 2 == 0 {
                    store.clone()
                } else {
                    other.clone()
                };
                async move { store.rotate(row.id, 1, &rotated(n)).await.unwrap() }
            })
            .collect();
        assert_eq!(winners(attempts).await, 1);
        assert!(!store.release_refresh(row.id, 1, &owner).await.unwrap());
        let after = store.connection(row.id).await.unwrap().unwrap();
        assert_eq!(
            after,
            ConnectionRow {
                sealed: after.sealed.clone(),
                token_version: 2,
                access_expires_at: Some(later(500)),
                refresh_expires_at: Some(later(900)),
                next_refresh_at: Some(later(400)),
                ..row.clone()
            }
        );
        assert_eq!(
            topics_after(&store, 1).await.len(),
            0,
            "nobody sees a difference"
        );
        assert!(
            !store
                .claim_refresh(row.id, 1, "old", NOW, later(60))
                .await
                .unwrap()
        );
        assert!(
            store
                .claim_refresh(row.id, 2, "new", NOW, later(60))
                .await
                .unwrap()
        );
        assert!(store.release_refresh(row.id, 2, "new").await.unwrap());
        assert_eq!(
            store
                .connection(row.id)
                .await
                .unwrap()
                .unwrap()
                .attempt_started_at,
            None
        );
    })
    .await;
}

#[tokio::test]
async fn a_failed_refresh_says_what_people_see() {
    for_each_database(async |database: Database| {
        let store = database.store().await.with_clock(Clock::manual(later(7)));
        let alice = person(&store, "alice@example.test").await;
        let row = connection(&alice, "1");
        store.insert_connection(&row).await.unwrap();
        let failed = Failed {
            status: Status::Error,
            reason: Some("upstream_unavailable".to_owned()),
            failures: 1,
            first_failure_at: Some(later(1)),
            retry_at: Some(later(30)),
            keep_lease_until: None,
        };
        assert!(
            !store.fail_refresh(row.id, 1, "me", &failed).await.unwrap(),
            "not its holder"
        );
        assert!(
            store
                .claim_refresh(row.id, 1, "me", NOW, later(60))
                .await
                .unwrap()
        );
        assert!(!store.fail_refresh(row.id, 2, "me", &failed).await.unwrap());
        assert!(store.fail_refresh(row.id, 1, "me", &failed).await.unwrap());
        assert_eq!(
            store.connection(row.id).await.unwrap().unwrap(),
            ConnectionRow {
                status: Status::Error,
                reason: failed.reason.clone(),
                status_at: Some(later(7)),
                failures: 1,
                first_failure_at: Some(later(1)),
                retry_at: Some(later(30)),
                ..row.clone()
            }
        );

        // Nobody knows whether an earlier holder got tokens: the lease is kept and the attempt stays open.
        assert!(
            store
                .claim_refresh(row.id, 1, "me", later(31), later(60))
                .await
                .unwrap()
        );
        let kept = Failed {
            keep_lease_until: Some(later(90)),
            ..failed.clone()
        };
        assert!(store.fail_refresh(row.id, 1, "me", &kept).await.unwrap());
        let waiting = store.connection(row.id).await.unwrap().unwrap();
        assert_eq!(waiting.lease_owner.as_deref(), Some("me"));
        assert_eq!(waiting.lease_until, Some(later(90)));
        assert_eq!(waiting.attempt_started_at, Some(later(31)));
        assert!(
            !store
                .claim_refresh(row.id, 1, "you", later(80), later(99))
                .await
                .unwrap()
        );

        // Given up …
        let before = store.latest_change().await.unwrap();
        assert!(
            !store
                .set_status(row.id, 2, Status::Expired, None)
                .await
                .unwrap()
        );
        assert!(
            store
                .set_status(row.id, 1, Status::Expired, Some("lost_rotation"))
                .await
                .unwrap()
        );
        assert!(
            !store
                .claim_refresh(row.id, 1, "you", later(99), later(100))
                .await
                .unwrap()
        );
        // … and found again: the late commit is welcome.
        let late = Rotated {
            scopes: Some(Some(vec!["crm.all".to_owned()])),
            ..rotated(5)
        };
        assert!(store.rotate(row.id, 1, &late).await.unwrap());
        let found = store.connection(row.id).await.unwrap().unwrap();
        assert_eq!(
            (found.status, found.reason, found.failures),
            (Status::Connected, None, 0)
        );
        assert_eq!(found.scopes, Some(vec!["crm.all".to_owned()]));
        assert_eq!((found.lease_owner, found.attempt_started_at), (None, None));
        assert_eq!(
            topics_after(&store, before).await,
            ["connection", "connection"]
        );

        let unknown = Rotated {
            scopes: Some(None),
            ..rotated(6)
        };
        assert!(store.rotate(row.id, 2, &unknown).await.unwrap());
        assert_eq!(
            store.connection(row.id).await.unwrap().unwrap().scopes,
            None
        );

        // What was switched off or has expired for good takes neither tokens nor failures.
        for (status, reason) in [
            (Status::Disabled, None),
            (Status::Expired, Some("reconnect")),
        ] {
            assert!(
                store
                    .set_status(row.id, 3, Status::Connected, None)
                    .await
                    .unwrap()
            );
            assert!(
                store
                    .claim_refresh(row.id, 3, "me", later(200), later(210))
                    .await
                    .unwrap()
            );
            assert!(store.set_status(row.id, 3, status, reason).await.unwrap());
            assert!(!store.rotate(row.id, 3, &rotated(7)).await.unwrap());
            assert!(!store.fail_refresh(row.id, 3, "me", &failed).await.unwrap());
            assert!(store.release_refresh(row.id, 3, "me").await.unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn a_refresh_wins_over_a_new_seal() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let row = ConnectionRow {
            sealed: sealed(1),
            ..connection(&alice, "1")
        };
        store.insert_connection(&row).await.unwrap();
        assert!(
            store
                .reseal_connection(row.id, 1, &sealed(1), &sealed(2))
                .await
                .unwrap()
        );
        assert!(
            !store
                .reseal_connection(row.id, 1, &sealed(1), &sealed(3))
                .await
                .unwrap()
        );
        assert!(store.rotate(row.id, 1, &rotated(4)).await.unwrap());
        assert!(
            !store
                .reseal_connection(row.id, 1, &sealed(2), &sealed(3))
                .await
                .unwrap()
        );
        assert_eq!(
            store.connection(row.id).await.unwrap().unwrap().sealed,
            sealed(4)
        );
    })
    .await;
}
