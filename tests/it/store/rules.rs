//! What an organization allows, as rows.
use super::*;
use workbench_mcp::ids::RuleId;
use workbench_mcp::store::{CapRow, CountRow, PolicyChange, RuleRow};

fn rule(effect: &str, verdict: &str) -> RuleRow {
    RuleRow {
        id: RuleId::new(NOW),
        who: "role:member".to_owned(),
        integration: "hubspot".to_owned(),
        toolset: String::new(),
        tool: String::new(),
        effect: effect.to_owned(),
        verdict: verdict.to_owned(),
        note: "because".to_owned(),
        created_at: NOW,
    }
}

#[tokio::test]
async fn every_change_of_the_policy_is_told_once() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let org = store.organization(NOW).await.unwrap().id;
        let (first, second) = (rule("write", "deny"), rule("read", "ask"));
        let same = RuleRow {
            id: RuleId::new(NOW),
            verdict: "allow".to_owned(),
            ..first.clone()
        };
        let cap = CapRow {
            tools: "github_*".to_owned(),
            per: "person".to_owned(),
            calls_a_day: 3,
        };
        let toolset = |on| PolicyChange::Toolset {
            integration: "hubspot",
            toolset: "crm",
            on,
        };
        let uncap = PolicyChange::RemoveCap {
            tools: "github_*",
            per: "person",
        };
        for (change, changes) in [
            (PolicyChange::AddRule(&first), true),
            (PolicyChange::AddRule(&same), false),
            (PolicyChange::AddRule(&second), true),
            (PolicyChange::RemoveRule(same.id), false),
            (PolicyChange::RemoveRule(second.id), true),
            (PolicyChange::RemoveRule(second.id), false),
            (toolset(true), false),
            (toolset(false), true),
            (toolset(false), false),
            (PolicyChange::PersonRate(Some(60)), true),
            (PolicyChange::ReadOnly(true), true),
            (PolicyChange::ReadOnly(true), false),
            (PolicyChange::IntegrationRate(Some(600)), true),
            (uncap.clone(), false),
            (PolicyChange::SetCap(&cap), true),
        ] {
            let before = store.latest_change().await.unwrap();
            let changed = store.change_policy(org, &change, NOW).await.unwrap();
            assert_eq!(changed, changes, "{change:?}");
            let told = topics_after(&store, before).await;
            assert_eq!(told, vec!["policy"; usize::from(changes)], "{change:?}");
        }
        let policy = store.policy(org).await.unwrap();
        assert_eq!(policy.rules, [first]);
        assert_eq!(
            policy.disabled_toolsets,
            [("hubspot".to_owned(), "crm".to_owned())]
        );
        assert!(policy.read_only);
        assert_eq!(policy.person_per_minute, Some(60));
        assert_eq!(policy.integration_per_minute, Some(600));
        assert_eq!(policy.caps, [cap]);
        assert!(store.change_policy(org, &toolset(true), NOW).await.unwrap());
        assert!(store.change_policy(org, &uncap, NOW).await.unwrap());
        let policy = store.policy(org).await.unwrap();
        assert!(policy.disabled_toolsets.is_empty() && policy.caps.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_counts_under_every_cap_or_under_none() {
    for_each_database(async |database: Database| {
        let store = database.store().await;
        let org = store.organization(NOW).await.unwrap().id;
        let caps = |own: i64, all: i64| {
            vec![
                ("a*".to_owned(), "organization".to_owned(), all),
                ("a*".to_owned(), "usr_1".to_owned(), own),
            ]
        };
        let attempts = (0..12)
            .map(|_| {
                let store = store.clone();
                async move {
                    let full = store.count_call(org, 7, &caps(4, 9)).await.unwrap();
                    assert!(full.is_none() || full == Some(1), "{full:?}");
                    full.is_none()
                }
            })
            .collect();
        assert_eq!(winners(attempts).await, 4);
        let counted = async |day| {
            let rows: Vec<CountRow> = store.cap_counts(org, day).await.unwrap();
            rows.into_iter().map(|row| row.calls).collect::<Vec<_>>()
        };
        // A call that one cap refuses is not counted by the other.
        assert_eq!(counted(7).await, [4, 4]);
        store.uncount_call(org, 7, &caps(4, 9)).await.unwrap();
        assert_eq!(counted(7).await, [3, 3]);
        assert_eq!(
            store.count_call(org, 7, &caps(9, 3)).await.unwrap(),
            Some(0)
        );
        assert_eq!(store.count_call(org, 8, &caps(4, 9)).await.unwrap(), None);
        assert_eq!(store.delete_cap_counts_before(8).await.unwrap(), 2);
        assert_eq!((counted(7).await, counted(8).await), (vec![], vec![1, 1]));
    })
    .await;
}
