//! However many ask, the provider is asked once.

use futures_util::future::join_all;

use super::*;
use crate::harness::process::{Process, free_address};

/// Clients that carry many requests at once over few sockets.
fn crowd(person: &Person, sockets: usize) -> Vec<Person> {
    let client = || {
        let http = reqwest::Client::builder()
            .no_proxy()
            .http2_prior_knowledge()
            .build();
        let mut one = person.clone();
        one.mcp.http = http.unwrap();
        one
    };
    std::iter::repeat_with(client).take(sockets).collect()
}

/// Everybody calls at once; nobody fails but for our own limit of calls.
async fn all_call(people: &[Person], each: usize) -> usize {
    let calls = people
        .iter()
        .flat_map(|person| std::iter::repeat_with(move || person.issues()).take(each));
    let replies = join_all(calls).await;
    let mut answered = 0;
    for reply in &replies {
        match reply.code() {
            "ok" => answered += 1,
            "rate_limited" => {}
            _ => panic!("{}", reply.body),
        }
    }
    answered
}

#[tokio::test]
async fn a_thousand_calls_on_an_expired_token() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.set(
        "github",
        Settings {
            token_latency_ms: 100,
            ..Settings::default()
        },
    );
    world.advance(LIFE);
    let answered = all_call(&crowd(&alice, 8), 125).await;
    assert!(answered >= 30, "{answered}");
    let report = world.report("github");
    assert_eq!(report.counters.token_calls["refresh_token"], 1);
    assert_eq!(report.counters.reused_refresh_tokens, 0);
    assert_eq!(app.row(&alice).await.token_version, 2);
    assert_eq!(app.logged("connection.refreshed").await.len(), 1);
    app.verify().await;
}

#[tokio::test]
async fn two_servers_on_one_postgres() {
    let Some(database) = postgres().await else {
        eprintln!("SKIPPED on postgres: neither TEST_POSTGRES_URL nor a postgres to start");
        return;
    };
    let world = World::still(database).await;
    let (one, two) = (world.app().await, world.app().await);
    let alice = connected(&one).await;
    let there = two.as_seen_here(&alice);
    world.set(
        "github",
        Settings {
            token_latency_ms: 100,
            ..Settings::default()
        },
    );
    for version in 2..=4 {
        world.advance(LIFE);
        let people = [crowd(&alice, 1), crowd(&there, 1)].concat();
        assert!(all_call(&people, 12).await > 0);
        assert_eq!(world.refresh_calls("github"), version - 1);
        assert_eq!(
            u64::try_from(one.row(&alice).await.token_version).unwrap(),
            version
        );
    }
    assert_eq!(world.report("github").counters.reused_refresh_tokens, 0);
    one.verify().await;
}

/// Two processes that share a database, each told by the provider that the token is no longer good.
async fn two_processes(world: World) {
    let app = world.app().await;
    let alice = connected(&app).await;
    let start = async || Process::serve(&world.settings(free_address())).await;
    let (one, two) = (start().await, start().await);
    let people = [&one, &two].map(|process| {
        let mut there = alice.clone();
        there.mcp.endpoint = format!("{}/mcp", process.url);
        there
    });
    world.set(
        "github",
        Settings {
            token_latency_ms: 100,
            ..Settings::default()
        },
    );
    world.tell("github", Command::ExpireAccessTokens);
    let answered = all_call(&people, 10).await;
    assert_eq!(answered, 20, "{}{}", one.output(), two.output());
    assert_eq!(world.refresh_calls("github"), 1);
    assert_eq!(world.report("github").counters.reused_refresh_tokens, 0);
    assert_eq!(app.row(&alice).await.token_version, 2);
}

#[tokio::test]
async fn two_processes_on_one_postgres() {
    match postgres().await {
        Some(database) => two_processes(World::running(database).await).await,
        None => eprintln!("SKIPPED on postgres: neither TEST_POSTGRES_URL nor a postgres to start"),
    }
}

#[tokio::test]
async fn two_processes_on_one_sqlite_file() {
    two_processes(World::running(sqlite()).await).await;
}

#[tokio::test]
async fn callers_that_go_away_take_nothing_with_them() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.advance(LIFE);
    world.misbehave("github", Place::Token, 1, Fault::Stall { ms: 300 });
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let alice = alice.clone();
            tokio::spawn(async move { alice.issues().await })
        })
        .collect();
    until("the provider has exchanged the token", async || {
        (world.report("github").grants[0].refreshes == 1).then_some(())
    })
    .await;
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    until("the new token is stored", async || {
        (app.row(&alice).await.token_version == 2).then_some(())
    })
    .await;
    assert_eq!(alice.issues().await.code(), "ok");
    assert_eq!(world.refresh_calls("github"), 1);
    assert_eq!(world.report("github").counters.reused_refresh_tokens, 0);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_nobody_waits_for_it() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    let row = app.row(&alice).await;
    let (ends, next) = (row.access_expires_at.unwrap(), row.next_refresh_at.unwrap());
    assert!(next < ends && ends.since(next) < Duration::from_mins(5));
    world.advance(Duration::from_mins(13));
    assert_eq!(alice.issues().await.code(), "ok");
    until("the token is renewed", async || {
        (app.row(&alice).await.token_version == 2).then_some(())
    })
    .await;
    assert_eq!(world.refresh_calls("github"), 1);
    assert!(app.row(&alice).await.access_expires_at.unwrap() > ends);
}

#[tokio::test]
async fn a_new_token_is_durable_before_anybody_uses_it() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.advance(LIFE);
    world.misbehave("github", Place::Token, 1, Fault::Stall { ms: 300 });
    let before = world.api_calls("github");
    let caller = {
        let alice = alice.clone();
        tokio::spawn(async move { alice.issues().await })
    };
    until("the provider has exchanged the token", async || {
        (world.report("github").grants[0].refreshes == 1).then_some(())
    })
    .await;
    // Nobody can write from here on.
    let lock = world.database.hold("begin immediate").await;
    let waited = tokio::time::timeout(Duration::from_millis(900), async {
        until("nothing", async || {
            (world.api_calls("github") > before).then_some(())
        })
        .await;
    });
    assert!(
        waited.await.is_err(),
        "the provider was called with a token that a crash would lose"
    );
    assert_eq!(app.row(&alice).await.token_version, 1);
    drop(lock);
    until("the new token is stored", async || {
        (app.row(&alice).await.token_version == 2).then_some(())
    })
    .await;
    // The call itself may have been withheld by the log, which could not be written either.
    drop(caller.await.unwrap());
    assert_eq!(alice.issues().await.code(), "ok");
    assert_eq!(world.refresh_calls("github"), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_call_repeated() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.tell("github", Command::ExpireAccessTokens);
    // Three requests at once, each of them refused.
    assert_eq!(alice.viewer().await.items()[0]["id"], "alice-dev");
    assert_eq!(world.refresh_calls("github"), 1);
    assert_eq!(app.row(&alice).await.token_version, 2);

    // Refused with a new token too: the person must act, and the provider is not asked again and again.
    world.misbehave("github", Place::Api, 1_000, Fault::Fail { status: 401 });
    world.advance(Duration::from_mins(2));
    let refused = alice.issues().await;
    assert_eq!(refused.code(), "reauth_required");
    let link = refused.error()["action_url"].as_str().unwrap().to_owned();
    assert!(
        link.starts_with(&alice.at("/connect/github?reconnect=con_")),
        "{link}"
    );
    assert_eq!(world.refresh_calls("github"), 2);
    let (status, reason) = alice.mcp.status("github").await;
    assert_eq!(
        (status.as_str(), reason.as_str()),
        (
            "Expired",
            "the provider no longer accepts the access; reconnect"
        )
    );
    let before = world.api_calls("github");
    assert_eq!(alice.issues().await.code(), "reauth_required");
    assert_eq!(world.api_calls("github"), before);
}
