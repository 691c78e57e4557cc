//! Every method of the store, on both databases.

use workbench_mcp::clock::{Clock, Timestamp};
use workbench_mcp::ids::{ConnectionId, DataKeyId, FlowId, GrantId, UserId};
use workbench_mcp::store::{
    AppRow, Change, ConnectionRow, DataKeyRow, DatabaseUrl, Failed, GrantKind, KeyRow,
    McpSessionRow, Record, RecordHead, Records, Rotated, Status, Store, StoreError, UserRow,
};
use workbench_mcp::vault::Sealed;

use crate::harness::database::{Database, for_each_database};
use crate::harness::rows::{NOW, connection, flow, grant, later, person, user};

fn sealed(byte: u8) -> Sealed {
    Sealed::from_bytes(vec![byte; 4])
}

#[track_caller]
fn assert_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>, name: &str) {
    match result {
        Err(StoreError::Conflict(constraint)) => assert_eq!(constraint, name),
        other => panic!("expected a conflict with {name}: {other:?}"),
    }
}

async fn topics_after(store: &Store, seq: i64) -> Vec<String> {
    let changes = store.changes_after(seq, 100).await.unwrap();
    changes.into_iter().map(|change| change.topic).collect()
}

/// Runs a future of a store in `tasks` tasks at once and counts who was told yes.
async fn winners<F: Future<Output = bool> + Send + 'static>(attempts: Vec<F>) -> usize {
    let tasks: Vec<_> = attempts.into_iter().map(tokio::spawn).collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_migrate_at_once() {
    for_each_database(async |database: Database| {
        let mut stores = Vec::new();
        for _ in 0..3 {
            stores.push(Store::open(&database.url).await.unwrap());
        }
        assert_eq!(
            stores[0].pending_migrations().await.unwrap(),
            ["1 init", "2 audit"]
        );
        let tasks: Vec<_> = stores
            .iter()
            .cloned()
            .map(|store| tokio::spawn(async move { store.migrate().await }))
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert!(stores[0].pending_migrations().await.unwrap().is_empty());
        stores[1].migrate().await.unwrap();
        stores[2].ping().await.unwrap();
        assert_eq!(stores[0].is_sqlite(), database.is_sqlite());
        for store in stores {
            store.close().await;
            assert!(matches!(store.ping().await, Err(StoreError::Unavailable)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_one_organization() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.organization(NOW).await.unwrap() })
            })
            .collect();
        let mut found = Vec::new();
        for task in tasks {
            found.push(task.await.unwrap());
        }
        found.dedup();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].created_at, NOW);
    })
    .await;
}

#[tokio::test]
async fn people_are_known_by_their_address_in_any_case() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "Alice@Example.test").await;
        let stored = UserRow {
            email: "alice@example.test".to_owned(),
            ..alice.clone()
        };
        assert_eq!(store.user(alice.id).await.unwrap(), Some(stored.clone()));
        assert_eq!(
            store
                .user_by_email(alice.org_id, "ALICE@example.TEST")
                .await
                .unwrap(),
            Some(stored.clone())
        );
        assert_conflict(
            store
                .insert_user(&user(alice.org_id, "ALICE@EXAMPLE.TEST"))
                .await,
            "users_org_id_email_key",
        );
        let bob = person(&store, "bob@example.test").await;
        assert_eq!(store.users(alice.org_id).await.unwrap(), [stored, bob]);
        assert_eq!(store.user(UserId::new(NOW)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_names_a_person_and_a_ticket_does_so_once() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let token = grant(&alice, GrantKind::Token, 1);
        store.insert_grant(&token).await.unwrap();
        assert_eq!(
            store.grant_by_hash(&[1; 32]).await.unwrap(),
            Some((token.clone(), alice.clone()))
        );
        assert_eq!(store.grant_by_hash(&[9; 32]).await.unwrap(), None);
        assert_conflict(
            store
                .insert_grant(&grant(&alice, GrantKind::Session, 1))
                .await,
            "grants_secret_hash_key",
        );
        assert_eq!(
            store.grants_of(alice.id, GrantKind::Token).await.unwrap(),
            [token.clone()]
        );
        assert!(
            store
                .grants_of(alice.id, GrantKind::Session)
                .await
                .unwrap()
                .is_empty()
        );

        store
            .touch_grants(&[
                (token.id, later(5)),
                (token.id, later(3)),
                (GrantId::new(NOW), NOW),
            ])
            .await
            .unwrap();
        let (used, _) = store.grant_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(used.last_used_at, Some(later(5)));

        let before = store.latest_change().await.unwrap();
        assert!(store.revoke_grant(token.id, later(6)).await.unwrap());
        assert!(!store.revoke_grant(token.id, later(7)).await.unwrap());
        assert_eq!(topics_after(&store, before).await, ["grant"]);
        let (revoked, _) = store.grant_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(later(6)));

        let ticket = grant(&alice, GrantKind::Ticket, 2);
        store.insert_grant(&ticket).await.unwrap();
        assert!(
            !store.consume_grant(ticket.id, later(60)).await.unwrap(),
            "it has expired"
        );
        let attempts = (0..8)
            .map(|_| {
                let store = store.clone();
                async move { store.consume_grant(ticket.id, later(10)).await.unwrap() }
            })
            .collect();
        assert_eq!(winners(attempts).await, 1);
    })
    .await;
}

#[tokio::test]
async fn an_app_is_replaced_version_by_version() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let org = store.organization(NOW).await.unwrap().id;
        let app = AppRow {
            org_id: org,
            provider: "hubspot".to_owned(),
            client_id: "one".to_owned(),
            secret: sealed(1),
            version: 1,
            updated_at: NOW,
        };
        store.upsert_app(&app).await.unwrap();
        assert_conflict(store.upsert_app(&app).await, "apps_version");
        let second = AppRow {
            client_id: "two".to_owned(),
            secret: sealed(2),
            version: 2,
            ..app
        };
        store.upsert_app(&second).await.unwrap();
        assert_eq!(
            store.app(org, "hubspot").await.unwrap(),
            Some(second.clone())
        );
        assert_eq!(store.app(org, "github").await.unwrap(), None);
        assert!(
            !store
                .reseal_app(org, "hubspot", 2, &sealed(1), &sealed(3))
                .await
                .unwrap()
        );
        assert!(
            !store
                .reseal_app(org, "hubspot", 1, &sealed(2), &sealed(3))
                .await
                .unwrap()
        );
        assert!(
            store
                .reseal_app(org, "hubspot", 2, &sealed(2), &sealed(3))
                .await
                .unwrap()
        );
        assert_eq!(
            store.apps(org).await.unwrap(),
            [AppRow {
                secret: sealed(3),
                ..second
            }]
        );
        assert_eq!(
            topics_after(&store, 0).await,
            ["integration", "integration"]
        );
    })
    .await;
}

#[tokio::test]
async fn an_integration_is_switched_off_and_on() {
    for_each_database(async |database: Database| {
        let store = database.store().await.with_clock(Clock::manual(later(9)));
        let org = store.organization(NOW).await.unwrap().id;
        store
            .set_integration(org, "zapier", Some(later(1)))
            .await
            .unwrap();
        store
            .set_integration(org, "github", Some(later(2)))
            .await
            .unwrap();
        store
            .set_integration(org, "github", Some(later(3)))
            .await
            .unwrap();
        assert_eq!(
            store.disabled_integrations(org).await.unwrap(),
            [
                ("github".to_owned(), later(2)),
                ("zapier".to_owned(), later(1))
            ]
        );
        store.set_integration(org, "zapier", None).await.unwrap();
        store.set_integration(org, "zapier", None).await.unwrap();
        assert_eq!(
            store.disabled_integrations(org).await.unwrap(),
            [("github".to_owned(), later(2))]
        );
        let changes = store.changes_after(0, 10).await.unwrap();
        let at: Vec<Timestamp> = changes.iter().map(|change| change.at).collect();
        assert_eq!(
            at,
            [later(1), later(2), later(9)],
            "only what changed something"
        );
    })
    .await;
}

#[tokio::test]
async fn a_connection_comes_back_as_it_was_stored() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let bob = person(&store, "bob@example.test").await;
        let full = ConnectionRow {
            alias: Some("main".to_owned()),
            base_url: Some("https://eu.example.test".to_owned()),
            scopes: None,
            status: Status::Error,
            reason: Some("timeout".to_owned()),
            refresh_expires_at: Some(later(1)),
            failures: 2,
            first_failure_at: Some(later(2)),
            retry_at: Some(later(3)),
            lease_owner: Some("one".to_owned()),
            lease_until: Some(later(4)),
            attempt_started_at: Some(later(5)),
            last_used_at: Some(later(6)),
            ..connection(&alice, "1")
        };
        let second = ConnectionRow {
            connected_at: later(1),
            ..connection(&alice, "2")
        };
        let theirs = ConnectionRow {
            connected_at: later(2),
            ..connection(&bob, "1")
        };
        for row in [&full, &second, &theirs] {
            store.insert_connection(row).await.unwrap();
        }
        assert_eq!(store.connection(full.id).await.unwrap(), Some(full.clone()));
        assert_eq!(
            store.connection_to_refresh(full.id).await.unwrap(),
            Some(full.clone())
        );
        assert_eq!(
            store.connections_of(alice.id).await.unwrap(),
            [full.clone(), second.clone()]
        );
        assert_eq!(
            store.connections(alice.org_id).await.unwrap(),
            [full.clone(), second.clone(), theirs.clone()]
        );
        assert_eq!(
            store
                .connection_by_subject(alice.id, "hubspot", "2")
                .await
                .unwrap(),
            Some(second.clone())
        );
        assert_eq!(
            store
                .connection_by_subject(bob.id, "hubspot", "2")
                .await
                .unwrap(),
            None
        );
        assert_conflict(
            store.insert_connection(&connection(&alice, "1")).await,
            "connections_user_id_provider_subject_key",
        );

        let mut walked = Vec::new();
        let mut after: Option<ConnectionId> = None;
        loop {
            let page = store.connections_after(after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            walked.extend(page.into_iter().map(|row| row.id));
        }
        let mut ids = vec![full.id, second.id, theirs.id];
        ids.sort();
        assert_eq!(walked, ids);

        assert!(
            store
                .rename_connection(second.id, Some("side"))
                .await
                .unwrap()
        );
        assert_conflict(
            store.rename_connection(second.id, Some("main")).await,
            "connections_user_id_integration_alias_key",
        );
        assert!(
            store
                .rename_connection(theirs.id, Some("main"))
                .await
                .unwrap(),
            "of another person"
        );
        assert!(store.rename_connection(second.id, None).await.unwrap());
        assert!(
            !store
                .rename_connection(ConnectionId::new(NOW), None)
                .await
                .unwrap()
        );

        store
            .touch_connections(&[(second.id, later(8)), (second.id, later(7))])
            .await
            .unwrap();
        let touched = store.connection(second.id).await.unwrap().unwrap();
        assert_eq!(
            (touched.alias, touched.last_used_at),
            (None, Some(later(8)))
        );

        assert!(store.delete_connection(second.id).await.unwrap());
        assert!(!store.delete_connection(second.id).await.unwrap());
        assert_eq!(topics_after(&store, 0).await.len(), 3 + 3 + 1);
    })
    .await;
}

#[tokio::test]
async fn reconnecting_replaces_the_tokens_it_has_seen() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let row = ConnectionRow {
            alias: Some("main".to_owned()),
            status: Status::Expired,
            reason: Some("reconnect".to_owned()),
            failures: 3,
            retry_at: Some(later(1)),
            lease_owner: Some("one".to_owned()),
            lease_until: Some(later(1)),
            ..connection(&alice, "1")
        };
        store.insert_connection(&row).await.unwrap();
        let again = ConnectionRow {
            label: "renamed".to_owned(),
            status: Status::Connected,
            reason: None,
            sealed: sealed(2),
            token_version: 2,
            connected_at: later(9),
            failures: 0,
            retry_at: None,
            lease_owner: None,
            lease_until: None,
            ..row.clone()
        };
        assert!(!store.reconnect(&again, 7).await.unwrap());
        assert!(
            !store
                .reconnect(
                    &ConnectionRow {
                        token_version: 1,
                        ..again.clone()
                    },
                    1
                )
                .await
                .unwrap()
        );
        assert!(store.reconnect(&again, 1).await.unwrap());
        assert!(!store.reconnect(&again, 1).await.unwrap());
        assert_eq!(store.connection(row.id).await.unwrap(), Some(again));
        assert_eq!(topics_after(&store, 1).await, ["connection"]);
    })
    .await;
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_begins_once_and_is_used_once() {
    for_each_database(async |database: Database| {
        let clock = Clock::manual(NOW);
        let store = database.store().await.with_clock(clock.clone());
        let alice = person(&store, "alice@example.test").await;
        let account = connection(&alice, "1");
        store.insert_connection(&account).await.unwrap();
        let mut row = flow(&alice);
        row.reconnect = Some(account.id);
        store.insert_flow(&row).await.unwrap();
        assert_eq!(store.flow(row.id).await.unwrap(), Some(row.clone()));
        let scopes = ["a".to_owned(), "b".to_owned()];
        let begin = async |byte: u8| {
            store
                .begin_flow(row.id, &[byte; 32], &[8; 32], &sealed(9), &scopes)
                .await
                .unwrap()
        };
        clock.advance(std::time::Duration::from_secs(600));
        assert!(!begin(1).await, "it has expired");
        let store = store.clone().with_clock(Clock::manual(NOW));
        let begin = async |byte: u8| {
            store
                .begin_flow(row.id, &[byte; 32], &[8; 32], &sealed(9), &scopes)
                .await
                .unwrap()
        };
        assert!(begin(1).await);
        assert!(!begin(2).await);
        assert!(
            !store
                .reseal_flow(row.id, &sealed(1), &sealed(2))
                .await
                .unwrap()
        );
        assert!(
            store
                .reseal_flow(row.id, &sealed(9), &sealed(8))
                .await
                .unwrap()
        );
        assert_eq!(store.take_flow(&[2; 32], later(1)).await.unwrap(), None);
        assert_eq!(store.take_flow(&[1; 32], later(600)).await.unwrap(), None);
        let id = row.id;
        let attempts = (0..8)
            .map(|_| {
                let store = store.clone();
                async move {
                    let taken = store.take_flow(&[1; 32], later(2)).await.unwrap();
                    taken.is_some_and(|flow| flow.id == id && flow.sealed == Some(sealed(8)))
                }
            })
            .collect();
        assert_eq!(winners(attempts).await, 1);
        assert!(
            store
                .finish_flow(row.id, "connected", later(3))
                .await
                .unwrap()
        );
        assert!(!store.finish_flow(row.id, "denied", later(4)).await.unwrap());
        assert!(store.delete_connection(account.id).await.unwrap());
        let done = store.flow(row.id).await.unwrap().unwrap();
        assert_eq!(done.outcome.as_deref(), Some("connected"));
        assert_eq!(done.used_at, Some(later(2)));
        assert_eq!((done.sealed, done.reconnect), (None, None));
        assert_eq!(done.scopes, scopes);

        let unused = flow(&alice);
        store.insert_flow(&unused).await.unwrap();
        assert!(
            store
                .finish_flow(unused.id, "denied", later(5))
                .await
                .unwrap()
        );
        assert!(
            !store
                .begin_flow(unused.id, &[7; 32], &[8; 32], &sealed(9), &[])
                .await
                .unwrap()
        );
        let mut ids = vec![row.id, unused.id];
        ids.sort();
        let walked: Vec<FlowId> = store
            .flows_after(None, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|flow| flow.id)
            .collect();
        assert_eq!(walked, ids);
        assert_eq!(store.flows_after(Some(ids[0]), 10).await.unwrap().len(), 1);
        assert_eq!(store.delete_flows_before(later(600)).await.unwrap(), 0);
        assert_eq!(store.delete_flows_before(later(601)).await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn keys_are_wrapped_anew_retired_and_deleted() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let org = store.organization(NOW).await.unwrap().id;
        for kek_id in ["k2", "k1"] {
            let key = KeyRow {
                kek_id: kek_id.to_owned(),
                check_value: vec![1],
                first_seen_at: NOW,
            };
            store.insert_key(&key).await.unwrap();
            let again = store.insert_key(&key).await;
            assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        }
        let names: Vec<String> = store
            .keys()
            .await
            .unwrap()
            .into_iter()
            .map(|key| key.kek_id)
            .collect();
        assert_eq!(names, ["k1", "k2"]);
        let key = DataKeyRow {
            id: DataKeyId::new(NOW),
            org_id: org,
            kek_id: "k1".to_owned(),
            wrapped: vec![1, 2],
            active: true,
            created_at: NOW,
        };
        store.insert_data_key(&key).await.unwrap();
        assert_eq!(store.data_keys().await.unwrap(), [key.clone()]);
        assert!(
            store
                .rewrap_data_key(key.id, "k1", "k2", &[3])
                .await
                .unwrap()
        );
        assert!(
            !store
                .rewrap_data_key(key.id, "k1", "k2", &[4])
                .await
                .unwrap()
        );
        assert!(
            !store.delete_data_key(key.id).await.unwrap(),
            "it is active"
        );
        assert!(store.retire_data_key(key.id, later(1)).await.unwrap());
        assert!(!store.retire_data_key(key.id, later(2)).await.unwrap());
        assert_eq!(
            store.data_keys().await.unwrap(),
            [DataKeyRow {
                kek_id: "k2".to_owned(),
                wrapped: vec![3],
                active: false,
                ..key.clone()
            }]
        );
        assert!(store.delete_data_key(key.id).await.unwrap());
        assert!(store.data_keys().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn sessions_of_a_person_are_counted_and_end() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let session = |id: &str| McpSessionRow {
            id: id.to_owned(),
            org_id: alice.org_id,
            user_id: alice.id,
            initialize: "{}".to_owned(),
            created_at: NOW,
            last_seen_at: NOW,
            ended_at: None,
        };
        for id in ["a", "b", "c"] {
            store.insert_session(&session(id)).await.unwrap();
        }
        assert_eq!(store.live_sessions(alice.id).await.unwrap(), 3);
        assert!(store.end_session("a", later(1)).await.unwrap());
        assert!(!store.end_session("a", later(2)).await.unwrap());
        store.touch_session("a", later(9)).await.unwrap();
        store.touch_session("b", later(9)).await.unwrap();
        store.touch_session("b", later(8)).await.unwrap();
        assert_eq!(
            store.session("a").await.unwrap(),
            Some(McpSessionRow {
                ended_at: Some(later(1)),
                ..session("a")
            })
        );
        assert_eq!(
            store
                .end_sessions_idle_before(later(9), later(10))
                .await
                .unwrap(),
            1
        );
        assert_eq!(
            store.session("b").await.unwrap(),
            Some(McpSessionRow {
                last_seen_at: later(9),
                ..session("b")
            })
        );
        assert_eq!(store.live_sessions(alice.id).await.unwrap(), 1);
        assert_eq!(store.session("d").await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_misses_a_change() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let org = store.organization(NOW).await.unwrap().id;
        assert_eq!(store.latest_change().await.unwrap(), 0);
        // Four writers, and a reader that only ever asks for what is after the last one it saw.
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for _ in 0..25 {
                        store.insert_change(org, None, "policy", NOW).await.unwrap();
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 100 {
            let last = seen.last().copied().unwrap_or(0);
            seen.extend(
                store
                    .changes_after(last, 10)
                    .await
                    .unwrap()
                    .iter()
                    .map(|change| change.seq),
            );
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(seen, (1..=100).collect::<Vec<i64>>());
        assert_eq!(store.latest_change().await.unwrap(), 100);

        let user = UserId::new(NOW);
        let seq = store
            .insert_change(org, Some(user), "grant", later(5))
            .await
            .unwrap();
        assert_eq!(
            store.changes_after(100, 10).await.unwrap(),
            [Change {
                seq,
                org_id: org,
                user_id: Some(user),
                topic: "grant".to_owned(),
                at: later(5)
            }]
        );
        assert_eq!(store.delete_changes_before(later(5)).await.unwrap(), 100);
        assert_eq!(store.latest_change().await.unwrap(), 101);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_holds_a_lease() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let attempts = (0..8)
            .map(|n| {
                let store = store.clone();
                async move {
                    store
                        .claim_lease("refresh", &n.to_string(), NOW, later(10))
                        .await
                        .unwrap()
                }
            })
            .collect();
        assert_eq!(winners(attempts).await, 1);
        assert!(
            store
                .claim_lease("other", "x", NOW, later(10))
                .await
                .unwrap()
        );
        assert!(
            store
                .claim_lease("other", "x", later(5), later(20))
                .await
                .unwrap(),
            "extends"
        );
        assert!(
            !store
                .claim_lease("other", "y", later(20), later(30))
                .await
                .unwrap()
        );
        assert!(!store.release_lease("other", "y").await.unwrap());
        assert!(
            store
                .claim_lease("other", "y", later(21), later(30))
                .await
                .unwrap()
        );
        assert!(!store.release_lease("other", "x").await.unwrap());
        assert!(store.release_lease("other", "y").await.unwrap());
        assert!(
            store
                .claim_lease("other", "x", NOW, later(1))
                .await
                .unwrap()
        );
    })
    .await;
}

#[tokio::test]
async fn records_belong_to_one_connection_and_are_bounded() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let (one, two) = (connection(&alice, "1"), connection(&alice, "2"));
        store.insert_connection(&one).await.unwrap();
        store.insert_connection(&two).await.unwrap();
        let clock = Clock::manual(NOW);
        let records = Records::new(store.clone(), one.id, clock.clone());
        let others = Records::new(store.clone(), two.id, clock);
        let record = |key: &str, body: &str| Record {
            key: key.to_owned(),
            version: "v1".to_owned(),
            body: body.to_owned(),
        };
        for key in ["b", "docs/a", "docs/ä", "docs0", "Docs/x"] {
            records
                .put("tree/main", &record(key, "text"))
                .await
                .unwrap();
        }
        records.put("tree/dev", &record("b", "dev")).await.unwrap();
        let changed = record("b", "longer text");
        records.put("tree/main", &changed).await.unwrap();
        assert_eq!(records.get("tree/main", "b").await.unwrap(), Some(changed));
        assert_eq!(others.get("tree/main", "b").await.unwrap(), None);
        let keys = async |prefix: &str, after: &str, limit| -> Vec<String> {
            let heads = records
                .list("tree/main", prefix, after, limit)
                .await
                .unwrap();
            heads.into_iter().map(|head| head.key).collect()
        };
        assert_eq!(
            keys("", "", 10).await,
            ["Docs/x", "b", "docs/a", "docs/ä", "docs0"]
        );
        assert_eq!(keys("docs/", "", 10).await, ["docs/a", "docs/ä"]);
        assert_eq!(keys("docs/", "docs/a", 10).await, ["docs/ä"]);
        assert_eq!(keys("", "b", 1).await, ["docs/a"]);
        assert_eq!(
            records.list("tree/main", "b", "", 1).await.unwrap(),
            [RecordHead {
                key: "b".to_owned(),
                version: "v1".to_owned(),
                bytes: 11
            }]
        );
        assert_eq!(
            records.collections("").await.unwrap(),
            ["tree/dev", "tree/main"]
        );
        assert_eq!(records.collections("tree/m").await.unwrap(), ["tree/main"]);
        assert!(records.delete("tree/dev", "b").await.unwrap());
        assert!(!records.delete("tree/dev", "b").await.unwrap());

        let half = "x".repeat(32 * 1024 * 1024);
        others.put("big", &record("1", &half)).await.unwrap();
        others.put("big", &record("2", &half)).await.unwrap();
        assert_conflict(
            others.put("big", &record("3", "x")).await,
            "records are full",
        );
        others.put("big", &record("2", "small")).await.unwrap();
        others.put("big", &record("3", "x")).await.unwrap();
        assert!(store.delete_connection(two.id).await.unwrap());
        assert!(others.collections("").await.unwrap().is_empty());
        assert!(
            others.put("big", &record("1", "x")).await.is_err(),
            "the connection is gone"
        );
    })
    .await;
}

#[tokio::test]
async fn an_in_memory_database_is_shared_by_its_address_alone() {
    let url = DatabaseUrl::in_memory();
    let store = Store::open(&url).await.unwrap();
    store.migrate().await.unwrap();
    let org = store.organization(NOW).await.unwrap();
    let second = Store::open(&url).await.unwrap();
    assert_eq!(second.organization(later(1)).await.unwrap(), org);
    let other = Store::open(&DatabaseUrl::in_memory()).await.unwrap();
    assert!(!other.pending_migrations().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unreachable_database_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let missing = DatabaseUrl::sqlite(folder.path().join("no/such/folder/test.db"));
    assert!(matches!(
        Store::open(&missing).await,
        Err(StoreError::Unavailable)
    ));
    let closed = DatabaseUrl::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
    assert!(matches!(
        Store::open(&closed).await,
        Err(StoreError::Unavailable)
    ));
}
