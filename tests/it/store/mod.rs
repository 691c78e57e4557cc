//! Every method of the store, on both databases.

mod connections;
mod people;
mod refresh;
mod rules;

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
            [
                "1 init",
                "2 audit",
                "3 door",
                "4 people",
                "5 rules",
                "6 approvals",
                "7 review",
                "8 untrusted",
                "9 accounts",
                "10 tracking",
                "11 directories",
                "12 failed_tools"
            ]
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
