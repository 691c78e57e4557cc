//! The organization, its people, what names them, its apps, switches, keys and sessions.
use super::*;

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
            Some((token.clone(), alice.clone(), Vec::new()))
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
            std::slice::from_ref(&token)
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
        let (used, _, _) = store.grant_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(used.last_used_at, Some(later(5)));

        let before = store.latest_change().await.unwrap();
        assert!(store.revoke_grant(token.id, later(6)).await.unwrap());
        assert!(!store.revoke_grant(token.id, later(7)).await.unwrap());
        assert_eq!(topics_after(&store, before).await, ["grant"]);
        let (revoked, _, _) = store.grant_by_hash(&[1; 32]).await.unwrap().unwrap();
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
        assert_eq!(store.data_keys().await.unwrap(), std::slice::from_ref(&key));
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
