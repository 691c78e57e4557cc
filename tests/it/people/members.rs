//! Roles and groups, on both databases and by command.

use serde_json::Value;
use workbench_mcp::audit::Actor;
use workbench_mcp::caller::Scopes;
use workbench_mcp::clock::Clock;

use super::*;
use crate::harness::database::{for_each_database, sqlite};
use crate::harness::process::{free_address, run};
use crate::harness::rows;

#[tokio::test]
async fn a_caller_knows_their_groups_at_once() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        let token = alice.mcp.token.clone();
        let groups = async || app.auth.bearer(&token).await.unwrap().groups.to_vec();
        assert_eq!(groups().await, []);
        let sales = app
            .auth
            .add_group(Actor::System, app.org, "Sales")
            .await
            .unwrap();
        let legal = app
            .auth
            .add_group(Actor::System, app.org, "Legal")
            .await
            .unwrap();
        for group in [&sales, &legal] {
            assert!(
                app.auth
                    .join_group(Actor::System, group, &alice.row)
                    .await
                    .unwrap()
            );
            assert!(
                !app.auth
                    .join_group(Actor::System, group, &alice.row)
                    .await
                    .unwrap()
            );
        }
        let mut both = [sales.id, legal.id];
        both.sort_unstable();
        assert_eq!(groups().await, both);
        assert!(
            app.auth
                .leave_group(Actor::System, &sales, &alice.row)
                .await
                .unwrap()
        );
        assert_eq!(groups().await, [legal.id]);
        let local = app.auth.local_caller(&alice.row).await.unwrap();
        assert_eq!(
            (local.groups.to_vec(), local.scopes),
            (vec![legal.id], Scopes::ALL)
        );
        app.auth.remove_group(Actor::System, &legal).await.unwrap();
        assert_eq!(groups().await, []);
        for (name, said) in [
            ("Sales", "there is a group called Sales already"),
            ("", "cannot be the name of a group"),
            ("a\nb", "cannot be the name of a group"),
        ] {
            let refused = app.auth.add_group(Actor::System, app.org, name).await;
            assert!(refused.unwrap_err().to_string().contains(said), "{name:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_admins_who_take_each_other_away_leave_one() {
    for_each_database(async |database| {
        let store = database.store().await;
        for round in 0..10 {
            let emails = [
                format!("a{round}@example.test"),
                format!("b{round}@example.test"),
            ];
            let one = rows::person(&store, &emails[0]).await;
            let two = rows::person(&store, &emails[1]).await;
            let org = one.org_id;
            for person in [&one, &two] {
                store
                    .set_role(org, person.id, Role::Admin, rows::NOW)
                    .await
                    .unwrap();
            }
            // Only these two are admins.
            for person in store.people(org).await.unwrap() {
                if person.user.id != one.id && person.user.id != two.id {
                    store
                        .set_role(org, person.user.id, Role::Member, rows::NOW)
                        .await
                        .unwrap();
                }
            }
            let (demoted, removed) = tokio::join!(
                store.set_role(org, one.id, Role::Member, rows::NOW),
                store.remove_user(org, two.id, rows::NOW),
            );
            let (demoted, removed) = (demoted.unwrap(), removed.unwrap());
            let people = store.people(org).await.unwrap();
            let admins = people.iter().filter(|row| row.user.role == Role::Admin);
            assert_eq!(
                admins.count(),
                1,
                "{}: {demoted:?} {removed:?}",
                database.name
            );
        }
    })
    .await;
}

#[tokio::test]
async fn commands_manage_people_and_groups() {
    let world = World::new_for_commands().await;
    let settings = world.settings(free_address());
    let command = async |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let output = run(&settings, &words).await;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    for (line, good, expected) in [
        (
            "users add ann@example.test --admin",
            true,
            "ann@example.test usr_",
        ),
        (
            "users add bob@example.test --role auditor",
            true,
            "bob@example.test usr_",
        ),
        (
            "users add bob@example.test",
            false,
            "bob@example.test is already a member",
        ),
        ("users add nobody", false, "is not an e-mail address"),
        (
            "users role bob@example.test king",
            false,
            "the roles are member, admin and auditor",
        ),
        (
            "users role ann@example.test member",
            false,
            "ann@example.test is the last admin",
        ),
        (
            "users remove ann@example.test",
            false,
            "ann@example.test is the last admin",
        ),
        (
            "users role bob@example.test member",
            true,
            "bob@example.test is member",
        ),
        (
            "users role eve@example.test member",
            false,
            "nobody here is called eve@example.test",
        ),
        ("groups add Sales", true, "Sales grp_"),
        (
            "groups add Sales",
            false,
            "there is a group called Sales already",
        ),
        (
            "groups join Sales bob@example.test",
            true,
            "bob@example.test is in Sales",
        ),
        ("groups join Sales bob@example.test", true, "was already in"),
        (
            "groups join Nowhere bob@example.test",
            false,
            "there is no group called Nowhere",
        ),
        ("groups leave Sales ann@example.test", true, "was not in"),
        ("users link bob@example.test", true, "/login?ticket="),
        (
            "users remove bob@example.test",
            true,
            "bob@example.test is removed",
        ),
        ("users remove bob@example.test", true, "was removed already"),
        (
            "users link bob@example.test",
            false,
            "nobody here is called",
        ),
        ("groups list", true, "Sales"),
        ("users add bob@example.test", true, "bob@example.test usr_"),
        ("groups remove Sales", true, "Sales is gone"),
    ] {
        let (success, out, told) = command(line).await;
        assert_eq!(success, good, "{line}: {out}{told}");
        let said = if good { &out } else { &told };
        assert!(said.contains(expected), "{line}: {out}{told}");
    }
    let (_, out, _) = command("users list --json").await;
    let people: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names = |field: &str| -> Vec<&str> {
        people
            .iter()
            .map(|person| person[field].as_str().unwrap())
            .collect()
    };
    assert_eq!(names("email"), ["ann@example.test", "bob@example.test"]);
    assert_eq!(names("role"), ["admin", "member"]);
    assert_eq!(people[1]["groups"], serde_json::json!([]));
}

impl World {
    async fn new_for_commands() -> Self {
        let world = Self::running(sqlite()).await;
        assert!(matches!(world.clock, Clock::System));
        world
    }
}
