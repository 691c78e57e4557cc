//! Connections, the attempts to make them, and what they keep.
use super::*;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_is_used_once() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let alice = person(&store, "alice@example.test").await;
        let account = connection(&alice, "1");
        store.insert_connection(&account).await.unwrap();
        let mut row = flow(&alice, 1);
        row.reconnect = Some(account.id);
        store.insert_flow(&row).await.unwrap();
        assert_eq!(store.flow(row.id).await.unwrap(), Some(row.clone()));
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
        assert_eq!(done.scopes, row.scopes);

        let unused = flow(&alice, 7);
        store.insert_flow(&unused).await.unwrap();
        assert!(
            store
                .finish_flow(unused.id, "denied", later(5))
                .await
                .unwrap()
        );
        assert_eq!(
            store
                .take_flow(&[7; 32], later(6))
                .await
                .unwrap()
                .map(|flow| flow.id),
            None,
            "it has ended"
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
